"""Links by which staff set a password: asked for by a manager, mailed once, spent once. Steps for operations."""

import secrets
from datetime import datetime, timedelta

from sqlalchemy import select, update

from clinic import clock
from clinic.db import db
from clinic.errors import Expired
from clinic.staff.models import PasswordLink, StaffUser
from clinic.staff.queries import hash_token

FIRST_LASTS = timedelta(days=3)  # to who has no password yet
LASTS = timedelta(hours=24)
ASKED_AGAIN = timedelta(minutes=1)  # a second press is no second wish


def ask(user: StaffUser) -> PasswordLink | None:
    """Add the wish for a mail with a link; the one before it works no longer. None where it is a moment old."""
    now, before = clock.now(), open_link(user.id)
    if before is not None and before.requested_at > now - ASKED_AGAIN:
        return None
    end(user.id)
    lasts = LASTS if user.password else FIRST_LASTS
    row = PasswordLink(user_id=user.id, requested_at=now, expires_at=now + lasts)
    db.session.add(row)
    db.session.flush()
    return row


def end(user_id: int) -> None:
    """A link that is on its way opens nothing any more."""
    now = clock.now()
    db.session.execute(
        update(PasswordLink).where(_open(user_id)).values(ended_at=now).execution_options(synchronize_session="fetch")
    )


def open_link(user_id: int) -> PasswordLink | None:
    """The one that was neither spent nor ended, in time or not."""
    return db.session.scalar(select(PasswordLink).where(_open(user_id)))


def _open(user_id: int):  # type: ignore[no-untyped-def]
    return (PasswordLink.user_id == user_id) & PasswordLink.spent_at.is_(None) & PasswordLink.ended_at.is_(None)


def make_token(link: PasswordLink) -> str:
    """The secret of the link, for the mail that leaves now; an earlier one's works no longer."""
    token = secrets.token_urlsafe(24)
    link.token_hash = hash_token(token)
    return token


def owner(token: str, now: datetime) -> StaffUser | None:
    """Who may set a password by this link now; nothing changes."""
    return db.session.scalar(
        select(StaffUser)
        .join(PasswordLink, PasswordLink.user_id == StaffUser.id)
        .where(*_good(token, now), StaffUser.active)
    )


def spend(token: str, now: datetime) -> StaffUser:
    """Spend the link and answer whose it was, locked. Raises Expired."""
    user_id = db.session.scalar(
        update(PasswordLink).where(*_good(token, now)).values(spent_at=now).returning(PasswordLink.user_id)
    )
    user = None if user_id is None else db.session.get(StaffUser, user_id, with_for_update={"of": StaffUser})
    if user is None or not user.active:
        raise Expired("this link was used or is too old")
    return user


def _good(token: str, now: datetime):  # type: ignore[no-untyped-def]
    return (
        PasswordLink.token_hash == hash_token(token),
        PasswordLink.spent_at.is_(None),
        PasswordLink.ended_at.is_(None),
        PasswordLink.expires_at > now,
    )
