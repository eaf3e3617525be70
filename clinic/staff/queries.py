"""Reads of staff and tokens."""

import hashlib
from collections.abc import Collection, Sequence
from typing import NamedTuple

from sqlalchemy import func, or_, select, text

from clinic.audit import Actor, ActorKind
from clinic.db import db
from clinic.errors import NotFound
from clinic.locations.models import Location
from clinic.staff.models import ApiToken, ApiTokenLocation, Role, StaffLocation, StaffRole, StaffSession, StaffUser


def hash_token(token: str) -> bytes:
    """What is kept of a token. Tokens are long and random, so a plain SHA-256 suffices."""
    return hashlib.sha256(token.encode()).digest()


class Token(NamedTuple):
    """A token that may be used."""

    id: int
    name: str
    role: str
    has_all_sites: bool


TOKEN = text("SELECT id, name, role, has_all_sites FROM api_tokens WHERE token_hash = :hash AND revoked_at IS NULL")


def active_token(token: str) -> Token | None:
    """The token, unless it was revoked or never existed. Asked at every call: a token that is revoked ends at once."""
    row = db.session.execute(TOKEN, {"hash": hash_token(token)}).first()
    return None if row is None else Token(*row)


class SessionAndSites(NamedTuple):
    """A session and the sites of its person, in one statement: it is asked on every page."""

    row: StaffSession
    location_ids: frozenset[int]


def session_and_sites(token: str, user: StaffUser) -> SessionAndSites | None:
    """The session of a cookie, open or not, if it is this person's."""
    if user.has_all_sites:
        granted = select(func.array_agg(Location.id))
    else:
        granted = select(func.array_agg(StaffLocation.location_id)).where(StaffLocation.user_id == user.id)
    found = db.session.execute(
        select(StaffSession, granted.scalar_subquery()).where(
            StaffSession.token_hash == hash_token(token), StaffSession.user_id == user.id
        )
    ).one_or_none()
    return None if found is None else SessionAndSites(found[0], frozenset(found[1] or ()))


def token_sites(token_id: int) -> frozenset[int]:
    """Ids of the sites whose patients a token reaches, where it does not reach all."""
    statement = select(ApiTokenLocation.location_id).where(ApiTokenLocation.token_id == token_id)
    return frozenset(db.session.scalars(statement))


def roles_of(actor: Actor) -> frozenset[str]:
    """Roles of a staff member or token; none of a patient or a worker."""
    if actor.kind is ActorKind.STAFF and actor.key.isdecimal():
        user = db.session.get(StaffUser, int(actor.key))
        return frozenset(role.name for role in user.roles) if user is not None and user.active else frozenset()
    if actor.kind is ActorKind.SERVICE and actor.key.isdecimal():
        token = db.session.get(ApiToken, int(actor.key))
        return frozenset({token.role}) if token is not None and token.revoked_at is None else frozenset()
    return frozenset()


def get(staff_id: int) -> StaffUser:
    """The staff member. Raises NotFound."""
    found = db.session.get(StaffUser, staff_id)
    if found is None:
        raise NotFound("no such staff member")
    return found


def staff_names(ids: Sequence[int]) -> dict[int, str]:
    """Names by id, for pages that show who did something."""
    rows = db.session.execute(select(StaffUser.id, StaffUser.name).where(StaffUser.id.in_(set(ids))))
    return {key: value for key, value in rows}  # noqa: C416 - a Result is not a mapping


def of_site(location_id: int) -> list[tuple[int, str]]:
    """Ids and names of those who may work at a site, by name."""
    return of_sites({location_id})


def of_sites(location_ids: Collection[int]) -> list[tuple[int, str]]:
    """Ids and names of those who may work at one of these sites, by name."""
    granted = select(StaffLocation.user_id).where(StaffLocation.location_id.in_(location_ids))
    statement = select(StaffUser.id, StaffUser.name).where(
        StaffUser.active.is_(True), or_(StaffUser.has_all_sites.is_(True), StaffUser.id.in_(granted))
    )
    return [(row.id, row.name) for row in db.session.execute(statement.order_by(StaffUser.name, StaffUser.id))]


def prescribers(location_ids: Collection[int]) -> list[tuple[int, str]]:
    """Active prescribers of these sites by name: (id, name)."""
    return in_roles(location_ids, {Role.PRESCRIBER})


def in_roles(location_ids: Collection[int], roles: Collection[Role]) -> list[tuple[int, str]]:
    """Who is active at these sites in one of these roles, by name: (id, name)."""
    granted = select(StaffLocation.user_id).where(StaffLocation.location_id.in_(location_ids))
    rows = db.session.execute(
        select(StaffUser.id, StaffUser.name)
        .join(StaffUser.roles)
        .where(
            StaffRole.name.in_(roles),
            StaffUser.active,
            or_(StaffUser.has_all_sites, StaffUser.id.in_(granted)),
        )
        .distinct()
        .order_by(StaffUser.name, StaffUser.id)
    )
    return [(row.id, row.name) for row in rows]


def tokens() -> Sequence[ApiToken]:
    """Every token, oldest first."""
    return db.session.scalars(select(ApiToken).order_by(ApiToken.id)).all()
