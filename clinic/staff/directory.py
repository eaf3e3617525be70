"""Who works here, as managers look at it: a page of people at a time, a few statements whatever their number."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import ColumnElement, exists, func, or_, select, tuple_

from clinic import clock
from clinic.db import db
from clinic.errors import NotFound
from clinic.locations.models import Location
from clinic.staff import lockout, password_links, sessions
from clinic.staff.models import Passkey, SignInFailure, StaffLocation, StaffSession, StaffUser

PAGE = 25


class State(StrEnum):
    """Of an account; transitions in docs/states.md."""

    INVITED = "invited"  # has no password yet
    OPEN = "open"
    LOCKED = "locked"
    CLOSED = "closed"


@dataclass(frozen=True, kw_only=True)
class Person:
    """One line of the list. `sites` is empty for who has all of them."""

    id: int
    name: str
    email: str
    roles: frozenset[str]
    all_sites: bool
    sites: tuple[str, ...]
    state: State
    steps: tuple[str, ...]  # "passkey", "app code"
    last_sign_in: datetime | None


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What a person's page says about signing in."""

    open_browsers: int
    failed_tries: int
    link_until: datetime | None  # of the link that was mailed and not used


def state_of(user: StaffUser) -> State:
    """The word for an account."""
    if user.closed_at is not None:
        return State.CLOSED
    if not user.active:
        return State.LOCKED
    return State.INVITED if user.password is None else State.OPEN


def page(
    scope: frozenset[int] | None, *, text: str = "", state: str | None = None, after: int | None = None
) -> tuple[list[Person], int]:
    """People by name from the one after `after`, and how many there are in all. `scope`: sites of the caller, None: all."""
    wanted = [_in_scope(scope), *_matching(text), *_in_state(state)]
    count = db.session.scalar(select(func.count()).select_from(StaffUser).where(*wanted)) or 0
    order = (func.lower(StaffUser.name), StaffUser.id)
    if after is not None:
        last = select(*order).where(StaffUser.id == after).subquery()
        wanted.append(tuple_(*order) > select(last).scalar_subquery())
    users = db.session.scalars(select(StaffUser).where(*wanted).order_by(*order).limit(PAGE + 1)).all()
    return people(users), count


def people(users: Sequence[StaffUser]) -> list[Person]:
    """These accounts with what belongs to them."""
    ids = [user.id for user in users]
    sites, steps, last = _sites(ids), _passkeys(ids), _last_sign_ins(ids)
    return [
        Person(
            id=user.id,
            name=user.name,
            email=user.email,
            roles=frozenset(role.name for role in user.roles),
            all_sites=user.has_all_sites,
            sites=sites.get(user.id, ()),
            state=state_of(user),
            steps=tuple(
                word for word, has in (("passkey", user.id in steps), ("app code", user.tf_primary_method)) if has
            ),
            last_sign_in=last.get(user.id),
        )
        for user in users
    ]


def get(staff_id: int, scope: frozenset[int] | None) -> StaffUser:
    """An account that the caller may look at. Raises NotFound."""
    found = db.session.scalar(select(StaffUser).where(StaffUser.id == staff_id, _in_scope(scope)))
    if found is None:
        raise NotFound("no such staff member")
    return found


def entry(user: StaffUser) -> Entry:
    """How signing in goes for this person."""
    account, since = lockout.account_key(user.email), clock.now() - lockout.KEPT
    failed = select(func.count()).where(SignInFailure.account == account, SignInFailure.occurred_at > since)
    link = password_links.open_link(user.id)
    return Entry(
        open_browsers=len(sessions.open_sessions(user.id)),
        failed_tries=db.session.scalar(failed) or 0,
        link_until=link.expires_at if link is not None and link.expires_at > clock.now() else None,
    )


def _in_scope(scope: frozenset[int] | None) -> ColumnElement[bool]:
    """Whose sites are all among these."""
    if scope is None:
        return StaffUser.id.is_not(None)
    elsewhere = exists().where(StaffLocation.user_id == StaffUser.id, StaffLocation.location_id.not_in(scope))
    return StaffUser.has_all_sites.is_(False) & ~elsewhere


def _matching(text: str) -> list[ColumnElement[bool]]:
    words = text.strip().casefold()
    if not words:
        return []
    return [or_(*(func.strpos(func.lower(column), words) > 0 for column in (StaffUser.name, StaffUser.email)))]


def _in_state(state: str | None) -> list[ColumnElement[bool]]:
    return {
        State.INVITED: [StaffUser.active, StaffUser.password.is_(None)],
        State.OPEN: [StaffUser.active, StaffUser.password.is_not(None)],
        State.LOCKED: [~StaffUser.active, StaffUser.closed_at.is_(None)],
        State.CLOSED: [StaffUser.closed_at.is_not(None)],
    }.get(state, [])  # type: ignore[call-overload, no-any-return]


def _sites(ids: Collection[int]) -> Mapping[int, tuple[str, ...]]:
    rows = db.session.execute(
        select(StaffLocation.user_id, func.array_agg(Location.name))
        .join(Location, Location.id == StaffLocation.location_id)
        .where(StaffLocation.user_id.in_(ids))
        .group_by(StaffLocation.user_id)
    )
    return {user_id: tuple(sorted(names)) for user_id, names in rows}


def _passkeys(ids: Collection[int]) -> frozenset[int]:
    return frozenset(db.session.scalars(select(Passkey.user_id).where(Passkey.user_id.in_(ids))))


def _last_sign_ins(ids: Collection[int]) -> Mapping[int, datetime]:
    rows = db.session.execute(
        select(StaffSession.user_id, func.max(StaffSession.created_at))
        .where(StaffSession.user_id.in_(ids))
        .group_by(StaffSession.user_id)
    )
    return {user_id: at for user_id, at in rows}  # noqa: C416 - a Result is not a mapping
