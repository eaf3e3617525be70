"""Signed-in browsers of staff: opened at sign-in, kept while someone is there, ended by the person, a manager or the clock."""

import hashlib
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from flask import current_app
from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert

from clinic import audit, clock
from clinic.audit import Actor
from clinic.db import db, transaction
from clinic.errors import NotFound
from clinic.staff.models import HeldForm, StaffSession

SEEN_EVERY = timedelta(seconds=30)  # a page view sooner than this after the last one writes nothing
SECOND_STEPS = frozenset({"authenticator", "webauthn", "recovery", "set_up"})
HELD_FOR = timedelta(hours=24)
MOST_HELD = 200_000  # characters of a form that is held
MOST_FORMS = 20


class Found(NamedTuple):
    """A session of this browser: `row` where it is open, `user_id` also where it has just run out."""

    row: StaffSession | None
    user_id: int | None


def digest(token: str) -> bytes:
    """What is kept of the cookie's token."""
    return hashlib.sha256(token.encode()).digest()


def open_within_transaction(user_id: int, *, methods: Sequence[str], address: str, browser: str) -> str:
    """Add a session and answer the token for the cookie."""
    token, now = secrets.token_urlsafe(32), clock.now()
    row = StaffSession(
        user_id=user_id,
        token_hash=digest(token),
        methods=list(methods),
        address=address,
        browser=browser[:300],
        created_at=now,
        last_seen_at=now,
        verified_at=now,
    )
    db.session.add(row)
    return token


def find(token: str | None) -> Found:
    """The session of a cookie."""
    row = db.session.scalar(select(StaffSession).where(StaffSession.token_hash == digest(token))) if token else None
    if row is None:
        return Found(None, None)
    return Found(row if is_open(row) else None, row.user_id)


def is_open(row: StaffSession) -> bool:
    """Neither ended, nor idle, nor too old."""
    now = clock.now()
    return row.ended_at is None and row.last_seen_at > now - idle() and row.created_at > now - longest()


def idle() -> timedelta:
    """How long nobody may be there."""
    return timedelta(minutes=current_app.config["SETTINGS"].idle_minutes)


def longest() -> timedelta:
    """How long a session lasts at most."""
    return timedelta(hours=current_app.config["SETTINGS"].session_hours)


def seen(row: StaffSession) -> None:
    """Someone is there. Writes at most every half minute."""
    now = clock.now()
    if row.last_seen_at <= now - SEEN_EVERY:
        with transaction():
            db.session.execute(
                update(StaffSession)
                .where(StaffSession.id == row.id, StaffSession.last_seen_at < now)
                .values(last_seen_at=now)
                .execution_options(synchronize_session=False)
            )


def verified(session_id: int, *, method: str = "") -> None:
    """The person proved again who they are, or set a second step up. The caller commits."""
    row = db.session.get(StaffSession, session_id, with_for_update=True)
    if row is not None:
        row.verified_at = row.last_seen_at = clock.now()
        if method and method not in row.methods:
            row.methods = [*row.methods, method]


def renewed(session_id: int) -> str:
    """The person proved again who they are: the session goes on under a new token, which is answered. The caller commits."""
    token = secrets.token_urlsafe(32)
    verified(session_id)
    db.session.execute(update(StaffSession).where(StaffSession.id == session_id).values(token_hash=digest(token)))
    return token


def open_sessions(user_id: int) -> Sequence[StaffSession]:
    """Where this person is signed in now, the last used first."""
    now = clock.now()
    statement = select(StaffSession).where(
        StaffSession.user_id == user_id,
        StaffSession.ended_at.is_(None),
        StaffSession.last_seen_at > now - idle(),
        StaffSession.created_at > now - longest(),
    )
    return db.session.scalars(statement.order_by(StaffSession.last_seen_at.desc())).all()


def end(session_id: int, *, of: int, by: Actor) -> None:
    """Sign one browser of a person out. Raises NotFound where it is not that person's."""
    with transaction():
        row = db.session.get(StaffSession, session_id, with_for_update=True)
        if row is None or row.user_id != of:
            raise NotFound("no such session")
        if row.ended_at is None:
            row.ended_at = clock.now()
            audit.record(row, "ended", by=by, user=of)


def end_all(user_id: int, *, but: int | None = None, by: Actor) -> int:
    """Sign a person out everywhere, or everywhere else; answers how many browsers it was."""
    with transaction():
        return end_all_within_transaction(user_id, but=but, by=by)


def end_all_within_transaction(user_id: int, *, but: int | None = None, by: Actor) -> int:
    """As `end_all`, as a step of another operation."""
    ended = db.session.scalars(
        update(StaffSession)
        .where(StaffSession.user_id == user_id, StaffSession.ended_at.is_(None), StaffSession.id != (but or 0))
        .values(ended_at=clock.now())
        .returning(StaffSession.id)
    ).all()
    if ended:
        audit.record_event("staff_users", user_id, "sessions_ended", by=by, sessions=sorted(ended))
    return len(ended)


# -- forms that were open -----------------------------------------------------------------------------------------------


def hold(user_id: int, path: str, content: dict[str, object]) -> bool:
    """Keep what was typed on a page until its writer is back; False where it is too much to keep."""
    if len(str(content)) > MOST_HELD or len(path) > 500:
        return False
    now = clock.now()
    with transaction():
        _forget_old(now)
        statement = insert(HeldForm).values(user_id=user_id, path=path, content=content, held_at=now)
        db.session.execute(
            statement.on_conflict_do_update(
                index_elements=["user_id", "path"],
                set_={"content": statement.excluded.content, "held_at": statement.excluded.held_at},
            )
        )
        held = (
            select(HeldForm.id).where(HeldForm.user_id == user_id).order_by(HeldForm.held_at.desc(), HeldForm.id.desc())
        )
        too_many = db.session.scalars(held.offset(MOST_FORMS)).all()
        for key in too_many:
            db.session.delete(db.session.get_one(HeldForm, key))
    return True


def has_held(user_id: int) -> bool:
    """Is anything of this person kept."""
    statement = select(HeldForm.id).where(HeldForm.user_id == user_id, HeldForm.held_at > clock.now() - HELD_FOR)
    return db.session.scalar(statement.limit(1)) is not None


def held(user_id: int, path: str) -> HeldForm | None:
    """What this person had typed on that page."""
    return db.session.scalar(
        select(HeldForm).where(
            HeldForm.user_id == user_id, HeldForm.path == path, HeldForm.held_at > clock.now() - HELD_FOR
        )
    )


def let_go(user_id: int, path: str) -> None:
    """It is on the page again, or not wanted."""
    with transaction():
        row = held(user_id, path)
        if row is not None:
            db.session.delete(row)


def _forget_old(now: datetime) -> None:
    for row in db.session.scalars(select(HeldForm).where(HeldForm.held_at <= now - HELD_FOR)):
        db.session.delete(row)
