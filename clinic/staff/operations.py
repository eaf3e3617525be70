"""Staff members, roles, shifts and API tokens."""

import re
import secrets
from collections.abc import Iterable

from flask_security.utils import hash_password
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from clinic import audit, clock
from clinic.audit import Actor
from clinic.db import broken_constraint, db, transaction
from clinic.errors import Conflict, Invalid, NotFound
from clinic.staff import sessions
from clinic.staff.models import STAFF_ROLES, ApiToken, ApiTokenLocation, Role, StaffLocation, StaffRole, StaffUser
from clinic.staff.passwords import faults
from clinic.staff.queries import hash_token

SKILLS = ("tms", "map", "obs")
TOKEN_PREFIX = "dbk_"  # noqa: S105 - marks our tokens for secret scanners


def create_staff_user(
    *,
    email: str,
    name: str,
    password: str,
    roles: Iterable[str],
    location_ids: Iterable[int] = (),
    has_all_sites: bool = False,
    skills: Iterable[str] = (),
    is_demo: bool = False,
    by: Actor,
) -> int:
    """Create a staff member and answer the id. `is_demo`: with the password that is printed on the screen. Raises Invalid, or Conflict where the email is taken."""
    with transaction():
        user = create_within_transaction(
            email=email,
            name=name,
            password=password,
            roles=roles,
            location_ids=location_ids,
            has_all_sites=has_all_sites,
            skills=skills,
            is_demo=is_demo,
            by=by,
        )
        return user.id


def create_within_transaction(
    *,
    email: str,
    name: str,
    password: str | None,
    roles: Iterable[str],
    location_ids: Iterable[int],
    has_all_sites: bool,
    skills: Iterable[str],
    is_demo: bool,
    by: Actor,
) -> StaffUser:
    """`create_staff_user` as a step of another operation. No password: its owner sets it by a link."""
    email = email.strip().casefold()
    roles, skills = sorted(set(roles)), sorted(set(skills))
    if "@" not in email or len(email) > 255:
        raise Invalid("the email address has no @, or is too long")
    if not roles or not STAFF_ROLES.issuperset(roles):
        raise Invalid(f"roles are {', '.join(sorted(STAFF_ROLES))}")
    if not set(skills) <= set(SKILLS):
        raise Invalid(f"skills are {', '.join(SKILLS)}")
    if not name.strip() or len(name.strip()) > 200 or not name.strip().isprintable():
        raise Invalid("a staff member needs a name of one line")
    if not is_demo and password is not None:
        _check_password(password, name, email)
    if db.session.scalar(select(StaffUser.id).where(StaffUser.email == email)):
        raise Conflict(f"{email} already has an account")
    user = StaffUser(
        email=email,
        name=name.strip(),
        password=None if password is None else hash_password(password),
        active=True,
        fs_uniquifier=secrets.token_hex(32),
        confirmed_at=clock.now(),
        skills=skills,
        has_all_sites=has_all_sites,
    )
    user.roles = [role_named(name) for name in roles]
    db.session.add(user)
    try:
        db.session.flush()
    except IntegrityError as error:
        if broken_constraint(error) == "staff_users_email_key":  # in this very moment
            raise Conflict(f"{email} already has an account") from None
        raise
    db.session.add_all(
        StaffLocation(user_id=user.id, location_id=location_id) for location_id in sorted(set(location_ids))
    )
    audit.record(user, "created", by=by, roles=roles, all_sites=has_all_sites)
    return user


def _check_password(password: str, name: str, email: str) -> None:
    """Raises Invalid with the first fault."""
    found = faults(password, (name, email))
    if found:
        raise Invalid(found[0], fields=["password"])


def set_licences(staff_id: int, states: Iterable[str], *, by: Actor) -> None:
    """In which states a person may see patients by video. Raises NotFound, Invalid."""
    wanted = sorted({state.strip().upper() for state in states})
    if any(not re.fullmatch("[A-Z]{2}", state) for state in wanted):
        raise Invalid("a state is two letters, e.g. CA", fields=["licensed_in"])
    with transaction():
        user = db.session.get(StaffUser, staff_id, with_for_update={"of": StaffUser})
        if user is None:
            raise NotFound("no such staff member")
        user.licensed_in = wanted
        audit.record(user, "licences_set", by=by, states=wanted)


def set_password(email: str, password: str, *, by: Actor) -> None:
    """Set a new password and sign the person out everywhere. Raises Invalid, NotFound."""
    with transaction():
        give_password_within_transaction(lock_by_email(email), password, by=by)


def give_password_within_transaction(user: StaffUser, password: str, *, by: Actor, **detail: str) -> None:
    """The account, locked, has this password from now on; signed out everywhere. Raises Invalid."""
    _check_password(password, user.name, user.email)
    user.password = hash_password(password)
    user.fs_uniquifier = secrets.token_hex(32)  # what every signed-in browser holds
    sessions.end_all_within_transaction(user.id, by=by)
    audit.record(user, "password_set", by=by, **detail)


def wants_morning_mail(staff_id: int) -> bool:
    """Does this person read what the day holds, at seven? Raises NotFound."""
    return _get(staff_id).morning_mail


def set_morning_mail(staff_id: int, wanted: bool) -> None:
    """The person's own choice, from a link in the mail or on the account page. Raises NotFound."""
    with transaction():
        user = _get(staff_id)
        if user.morning_mail != wanted:
            user.morning_mail = wanted
            audit.record(user, "morning_mail", by=Actor(audit.ActorKind.STAFF, str(staff_id)), wanted=wanted)


def _get(staff_id: int) -> StaffUser:
    user = db.session.get(StaffUser, staff_id)
    if user is None:
        raise NotFound("no such staff member")
    return user


def lock_by_email(email: str) -> StaffUser:
    """The account, locked. Raises NotFound."""
    found = db.session.scalar(
        select(StaffUser).where(StaffUser.email == email.strip().casefold()).with_for_update(of=StaffUser)
    )
    if found is None:
        raise NotFound(f"nobody signs in as {email}")
    return found


def role_named(name: str) -> StaffRole:
    """The row of a role, made where it is missing."""
    found = db.session.scalar(select(StaffRole).where(StaffRole.name == name))
    if found is None:
        found = StaffRole(name=name)
        db.session.add(found)
        db.session.flush()
    return found


def create_token(*, name: str, role: str, location_ids: Iterable[int] | None = None, by: Actor) -> str:
    """Make a bearer token and answer it; it is shown this once. No sites named: all of them. Raises Invalid."""
    if role not in {str(known) for known in Role}:
        raise Invalid(f"roles are {', '.join(Role)}")
    if not name.strip():
        raise Invalid("a token needs a name that says who uses it")
    token = TOKEN_PREFIX + secrets.token_urlsafe(32)
    with transaction():
        row = ApiToken(
            name=name.strip(),
            role=role,
            token_hash=hash_token(token),
            has_all_sites=location_ids is None,
            created_at=clock.now(),
        )
        db.session.add(row)
        db.session.flush()
        sites = sorted(set(location_ids or ()))
        db.session.add_all(ApiTokenLocation(token_id=row.id, location_id=site) for site in sites)
        audit.record(row, "created", by=by, role=role, sites=sites or "all")
    return token


def revoke_token(token_id: int, *, by: Actor) -> None:
    """End a token at once."""
    with transaction():
        row = db.session.get(ApiToken, token_id, with_for_update=True)
        if row is None or row.revoked_at is not None:
            raise Conflict("no such token, or it was revoked before")
        row.revoked_at = clock.now()
        audit.record(row, "revoked", by=by)
