"""Accounts of staff as a manager keeps them: invited, given roles and sites, locked, closed, helped to sign in.

A manager keeps the accounts of those whose sites are all among their own, never their own account, and hands out only
sites that they have. Changes of accounts wait for each other, so that two managers cannot take each other's role at
once: whoever comes second is no manager any more. Somebody who manages always remains.
"""

import hashlib
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import delete, func, select

from clinic import audit, clock, jobs
from clinic.audit import Actor, ActorKind
from clinic.db import AfterCommit, db, transaction
from clinic.errors import Conflict, Invalid, NotFound, Refused, Stale
from clinic.jobs import Job
from clinic.staff import lockout, password_links, sessions
from clinic.staff.models import STAFF_ROLES, Role, SignInFailure, StaffLocation, StaffRole, StaffUser, StaffUserRole
from clinic.staff.operations import (
    create_within_transaction,
    give_password_within_transaction,
    lock_by_email,
    role_named,
)

MAX_REASON = 500
LAST = "This is the last account that manages the clinic. Give somebody else the role first."
OWN = "Another manager changes your account."
CHANGED = "Somebody else changed this account meanwhile. It is shown as it is now; look at it and decide again."


@dataclass(frozen=True, kw_only=True)
class Grant:
    """What a person may do and where. `all_sites`: those of tomorrow too."""

    roles: frozenset[str]
    location_ids: frozenset[int] = frozenset()
    all_sites: bool = False


def invite(*, email: str, name: str, grant: Grant, skills: Iterable[str] = (), by: Actor) -> int:
    """Make an account without a password and mail its link; answers the id. Raises Invalid, Conflict, Refused."""
    with transaction() as after_commit:
        _check_grant(grant, _manager(by))
        user = create_within_transaction(
            email=email,
            name=name,
            password=None,
            roles=grant.roles,
            location_ids=grant.location_ids,
            has_all_sites=grant.all_sites,
            skills=skills,
            is_demo=False,
            by=by,
        )
        _mail_link(user, after_commit, by=by)
        return user.id


def change_grant(staff_id: int, grant: Grant, *, seen: str, by: Actor) -> None:
    """Other roles or sites, from the person's next page on. `seen`: `state_digest` of what was looked at.

    Raises NotFound, Refused, Invalid, Stale, Conflict.
    """
    with transaction():
        scope = _manager(by)
        user = _lock(staff_id, scope, by)
        if seen != state_digest(user):
            raise Stale(CHANGED)
        _check_grant(grant, scope)
        before = {"roles": sorted(role.name for role in user.roles), "sites": _sites_word(grant_of(user))}
        with _somebody_manages():
            user.roles = [role_named(name) for name in sorted(grant.roles)]
        user.has_all_sites = grant.all_sites
        db.session.execute(delete(StaffLocation).where(StaffLocation.user_id == user.id))
        db.session.add_all(StaffLocation(user_id=user.id, location_id=key) for key in sorted(grant.location_ids))
        audit.record(user, "granted", by=by, roles=sorted(grant.roles), sites=_sites_word(grant), before=before)


def send_link(staff_id: int, *, by: Actor) -> bool:
    """Mail a link for a new password; the present one works until it is used. False: one left a moment ago."""
    with transaction() as after_commit:
        user = _lock(staff_id, _manager(by), by)
        if not user.active:
            raise Conflict("This account is locked or closed: open it first.")
        return _mail_link(user, after_commit, by=by)


def take_second_step(staff_id: int, *, reason: str, by: Actor) -> None:
    """For a lost phone: codes and passkeys are gone, and the person is signed out everywhere."""
    with transaction():
        user = _lock(staff_id, _manager(by), by)
        _drop_second_step(user, reason=_checked(reason), by=by)


def lock_account(staff_id: int, *, reason: str, by: Actor) -> None:
    """Nobody signs in as this person until it is unlocked; they are signed out everywhere."""
    _shut(staff_id, is_for_good=False, reason=reason, by=by)


def close_account(staff_id: int, *, reason: str, by: Actor) -> None:
    """The person left. What they did stays on record."""
    _shut(staff_id, is_for_good=True, reason=reason, by=by)


def open_account(staff_id: int, *, reason: str, by: Actor) -> None:
    """Unlock an account, or open one again that was closed."""
    with transaction():
        user = _lock(staff_id, _manager(by), by)
        if user.active:
            raise Conflict("This account is open.")
        user.active, user.closed_at = True, None
        _forget_tries(user)
        audit.record(user, "opened_again", by=by, reason=_checked(reason))


def sign_out(staff_id: int, *, by: Actor) -> int:
    """Sign a person out everywhere; answers how many browsers it was."""
    with transaction():
        user = _lock(staff_id, _manager(by), by)
        return sessions.end_all_within_transaction(user.id, by=by)


def forget_tries(staff_id: int, *, by: Actor) -> None:
    """Who typed it wrong too often may try again now."""
    with transaction():
        user = _lock(staff_id, _manager(by), by)
        _forget_tries(user)
        audit.record(user, "tries_forgotten", by=by)


def set_first_password(token: str, password: str) -> None:
    """Spend a link: its owner has this password from now on. Raises Expired, or Invalid and the link stays good."""
    with transaction():
        user = password_links.spend(token, clock.now())
        give_password_within_transaction(user, password, by=Actor(ActorKind.STAFF, str(user.id)), way="link")


# -- by whoever runs the system ----------------------------------------------------------------------------------------


def switch_off_second_step(email: str, *, by: Actor) -> None:
    """Let the person sign in with the password alone, until they set a second step up again. Raises NotFound."""
    with transaction():
        _drop_second_step(lock_by_email(email), reason=None, by=by)


def deactivate(email: str, *, by: Actor) -> None:
    """Close an account; the person is signed out everywhere. Raises NotFound, and Conflict for the last manager."""
    with transaction():
        _take_turn()
        _end(lock_by_email(email), is_for_good=True, reason=None, by=by)


# -- steps -------------------------------------------------------------------------------------------------------------


def grant_of(user: StaffUser) -> Grant:
    """What a person has now."""
    sites = db.session.scalars(select(StaffLocation.location_id).where(StaffLocation.user_id == user.id))
    return Grant(
        roles=frozenset(role.name for role in user.roles), location_ids=frozenset(sites), all_sites=user.has_all_sites
    )


def state_digest(user: StaffUser) -> str:
    """Stands for an account as somebody saw it."""
    grant = grant_of(user)
    seen = (sorted(grant.roles), sorted(grant.location_ids), grant.all_sites, user.active, user.closed_at is not None)
    return hashlib.sha256(repr(seen).encode()).hexdigest()[:16]


def reaches(scope: frozenset[int] | None, grant: Grant) -> bool:
    """Whether who has these sites (None: all) keeps the account of who has those."""
    return scope is None or (not grant.all_sites and grant.location_ids <= scope)


def _shut(staff_id: int, *, is_for_good: bool, reason: str, by: Actor) -> None:
    with transaction():
        user = _lock(staff_id, _manager(by), by)
        if user.closed_at is not None or not (user.active or is_for_good):
            raise Conflict("This account is closed." if user.closed_at else "This account is locked.")
        _end(user, is_for_good=is_for_good, reason=_checked(reason), by=by)


def _end(user: StaffUser, *, is_for_good: bool, reason: str | None, by: Actor) -> None:
    with _somebody_manages():
        user.active = False
    user.closed_at = clock.now() if is_for_good else None
    user.fs_uniquifier = secrets.token_hex(32)  # what every signed-in browser holds
    password_links.end(user.id)
    sessions.end_all_within_transaction(user.id, by=by)
    audit.record(user, "deactivated" if is_for_good else "locked", by=by, reason=reason)


def _drop_second_step(user: StaffUser, *, reason: str | None, by: Actor) -> None:
    user.tf_primary_method = user.tf_totp_secret = user.mf_recovery_codes = None
    user.webauthn.clear()
    sessions.end_all_within_transaction(user.id, by=by)
    audit.record(user, "second_step_off", by=by, reason=reason)


def _take_turn() -> None:
    """Changes of accounts go one after another: who manages is decided by all of them together."""
    db.session.execute(select(StaffRole.id).where(StaffRole.name == Role.MANAGER).with_for_update(key_share=True))


def _manager(by: Actor) -> frozenset[int] | None:
    """The sites whose people this actor keeps; None: everybody's. Raises Refused for who is no manager (any more)."""
    _take_turn()
    if by.kind is not ActorKind.STAFF:
        return None
    staff_id = int(by.key)
    found = db.session.execute(select(StaffUser.active, StaffUser.has_all_sites).where(StaffUser.id == staff_id)).one()
    held = select(StaffRole.name).join(StaffUserRole).where(StaffUserRole.user_id == staff_id)
    if not found.active or Role.MANAGER not in db.session.scalars(held).all():
        raise Refused("only a manager keeps accounts")
    if found.has_all_sites:
        return None
    sites = select(StaffLocation.location_id).where(StaffLocation.user_id == staff_id)
    return frozenset(db.session.scalars(sites))


def _lock(staff_id: int, scope: frozenset[int] | None, by: Actor) -> StaffUser:
    user = db.session.scalar(
        select(StaffUser)
        .where(StaffUser.id == staff_id)
        .with_for_update(of=StaffUser)
        .execution_options(populate_existing=True)
    )
    if user is None or not reaches(scope, grant_of(user)):
        raise NotFound("no such staff member")
    if by == Actor(ActorKind.STAFF, str(staff_id)):
        raise Conflict(OWN)
    return user


def _check_grant(grant: Grant, scope: frozenset[int] | None) -> None:
    if not grant.roles or not grant.roles <= STAFF_ROLES:
        raise Invalid("Choose at least one role.", fields=["roles"])
    if not reaches(scope, grant):
        raise Invalid("You hand out only sites that you have yourself.", fields=["sites"])


@contextmanager
def _somebody_manages() -> Iterator[None]:
    """Where somebody managed before what is done here, somebody does after it. Raises Conflict."""
    before = _managers()
    yield
    db.session.flush()
    if before and not _managers():
        raise Conflict(LAST)


def _managers() -> int:
    """How many manage and can sign in."""
    statement = (
        select(func.count())
        .select_from(StaffUser)
        .join(StaffUserRole, StaffUserRole.user_id == StaffUser.id)
        .join(StaffRole, StaffRole.id == StaffUserRole.role_id)
        .where(StaffRole.name == Role.MANAGER, StaffUser.active, StaffUser.password.is_not(None))
    )
    return db.session.scalar(statement) or 0


def _mail_link(user: StaffUser, after_commit: AfterCommit, *, by: Actor) -> bool:
    link = password_links.ask(user)
    if link is None:
        return False
    audit.record(user, "link_sent", by=by, link=link.id)
    after_commit.append(lambda: jobs.ring(Job.SWEEP_URGENT))
    return True


def _forget_tries(user: StaffUser) -> None:
    db.session.execute(delete(SignInFailure).where(SignInFailure.account == lockout.account_key(user.email)))


def _checked(reason: str) -> str:
    words = reason.strip()
    if not 0 < len(words) <= MAX_REASON:
        raise Invalid("Say why, in at most 500 characters.", fields=["reason"])
    return words


def _sites_word(grant: Grant) -> list[int] | str:
    return "all" if grant.all_sites else sorted(grant.location_ids)
