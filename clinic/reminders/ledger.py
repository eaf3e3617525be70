"""The sweep: what is due gets its row, what a dead worker held is due again, what is too late goes to the desk.

Any number of sweeps may run at once. Each writes in small transactions, so that the first messages go out while the
last of many are still being written.
"""

import logging
import uuid
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import groupby, islice
from typing import Any

from flask import current_app
from sqlalchemy import case, func, or_, select, text, update

from clinic import clock
from clinic.audit import Actor, system
from clinic.config import Settings
from clinic.db import db, keyring, transaction
from clinic.reminders import finding, queries
from clinic.reminders.channels.base import ANY
from clinic.reminders.models import Lane, Message, MessageState, Purpose
from clinic.reminders.purposes import NEWS, TRAITS
from clinic.tasks import operations as tasks
from clinic.tasks.models import TaskKind, TaskLevel

log = logging.getLogger(__name__)

STUCK_AFTER = timedelta(minutes=10)  # a claim this old belongs to a worker that died
FAR = timedelta(hours=13)  # nothing waits longer than a night; a row that does was written under a clock that ran ahead
ROWS_A_TRANSACTION = 1000
LATE_A_TRANSACTION = 500
MOST_TRANSACTIONS = 100
EACH_ITS_TASK = 20  # more that are too late at one site about one thing are one task
TASK_WITHIN = timedelta(hours=1)
TOO_LATE = "too late"
BY: Actor = system("reminders")


def sweep() -> dict[str, int]:
    """Bring the ledger up to date; answers how many messages wait to go out now, by lane."""
    now = clock.now()
    take_back(now)
    write(finding.find_due(now, settings().on_call), now)
    give_up_late(now)
    with transaction():
        return queries.waiting(now)


def sweep_urgent() -> int:
    """The same for what someone waits for, quickly; answers how many messages wait in that lane."""
    now = clock.now()
    write(finding.find_urgent(now, settings().on_call), now)
    with transaction():
        return queries.waiting(now).get(Lane.URGENT, 0)


def collect_due() -> Sequence[int]:
    """As `sweep`; answers the ids of messages to send now, the most urgent first."""
    sweep()
    with transaction():
        return queries.due_ids(clock.now(), ROWS_A_TRANSACTION)


def take_back(now: datetime) -> None:
    """Rows that a dead worker held, or that wait for an hour which only a clock that ran ahead knew, are due again."""
    with transaction():
        held = or_(Message.claimed_at <= now - STUCK_AFTER, Message.claimed_at > now + STUCK_AFTER)
        taken = db.session.execute(
            update(Message)
            .where(Message.state == MessageState.SENDING, held)
            .values(
                state=MessageState.DUE,
                claimed_at=None,
                not_before=now,
                unsure_of=func.coalesce(Message.unsure_of, ANY),
                failure="the worker died while sending",
            )
            .returning(Message.id)
        )
        for (message_id,) in taken:
            log.warning("message %s: its worker died, due again", message_id)
        db.session.execute(
            update(Message)
            .where(Message.state == MessageState.DUE, Message.not_before > now + FAR)
            .values(not_before=now)
        )
        _bring_back(now)


def _bring_back(now: datetime) -> None:
    """What was given up under a clock that ran ahead still has time."""
    back = db.session.scalars(
        update(Message)
        .where(
            Message.state == MessageState.FAILED,
            Message.failure == TOO_LATE,
            Message.deadline > now + timedelta(minutes=1),
            or_(Message.not_before < Message.deadline, Message.ended_at > now),
        )
        .values(
            state=MessageState.DUE,
            failure=None,
            ended_at=None,
            not_before=case((Message.not_before >= Message.deadline, now), else_=Message.not_before),
        )
        .returning(Message.id)
    ).all()
    if back:
        log.warning("%s messages were given up under another clock, due again", len(back))
        words = "The message goes out after all."
        tasks.close_about_within_transaction(TaskKind.MESSAGE_FAILED, "message_id", back, outcome=words, by=BY)


# -- rows ----------------------------------------------------------------------------------------------------------------

_COLUMNS = {
    "reference": "uuid",
    "patient_id": "bigint",
    "recipient": "bytea",
    "recipient_key": "text",
    "purpose": "text",
    "occurrence": "text",
    "channel": "text",
    "lane": "text",
    "location_id": "int",
    "session_id": "bigint",
    "course_id": "bigint",
    "survey_id": "bigint",
    "task_id": "bigint",
    "staff_id": "int",
    "state": "text",
    "not_before": "timestamptz",
    "deadline": "timestamptz",
    "failure": "text",
    "ended_at": "timestamptz",
}
# What made a row void is over where it is found again: it was moved away and back, or consent was given again. A text
# that may be out already stays as it is.
_INSERT = text(
    f"""
    INSERT INTO messages ({", ".join(_COLUMNS)}, attempts, created_at)
    SELECT u.*, 0, :now
    FROM unnest({", ".join(f"cast(:{name} AS {kind}[])" for name, kind in _COLUMNS.items())}) AS u
    ON CONFLICT (recipient_key, purpose, occurrence, channel) DO UPDATE
    SET state = excluded.state, not_before = excluded.not_before, deadline = excluded.deadline,
        failure = excluded.failure, ended_at = excluded.ended_at,
        subject = CASE WHEN messages.unsure_of IS NULL THEN NULL ELSE messages.subject END,
        body = CASE WHEN messages.unsure_of IS NULL THEN NULL ELSE messages.body END
    WHERE messages.state = 'void' AND coalesce(messages.failure, '') <> ALL(:stays_void)
    """  # noqa: S608 - our own column names
)


def write(found: Sequence[finding.Found], now: datetime) -> None:
    """Give each its row; one that has a row keeps it."""
    # One order for every sweep: two of them at once wait for each other and never in a circle.
    ordered = iter(
        sorted(
            found, key=lambda item: (finding.recipient_key(item), item.due.purpose, item.due.occurrence, item.channel)
        )
    )
    while batch := list(islice(ordered, ROWS_A_TRANSACTION)):
        rows = [_row(item) for item in batch]
        columns = {name: [row[name] for row in rows] for name in _COLUMNS}
        with transaction():
            db.session.execute(_INSERT, {**columns, "now": now, "stays_void": finding.STAYS_VOID})


def count_as_told_within_transaction(now: datetime) -> int:
    """Write what is due by now, and all news, as sent by `demo`: a history that was loaded was told while it happened.

    Answers how many messages that are. A step of another operation, for a clinic that never ran before.
    """
    found = finding.find_due(now, [])
    news = (*NEWS, Purpose.COURSE_BOOKED)
    told = [item for item in found if item.due.purpose in news or item.due.not_before <= now]
    for start in range(0, len(told), ROWS_A_TRANSACTION):
        rows = [_row(item) for item in told[start : start + ROWS_A_TRANSACTION]]
        columns = {name: [row[name] for row in rows] for name in _COLUMNS}
        db.session.execute(_INSERT, {**columns, "now": now, "stays_void": finding.STAYS_VOID})
    sent = update(Message).where(Message.state == MessageState.DUE)
    at = func.least(Message.not_before, now)
    db.session.execute(
        sent.values(state=MessageState.SENT, provider="demo", attempts=1, tried_at=at, sent_at=at, ended_at=at)
    )
    return len(told)


def _row(item: finding.Found) -> dict[str, Any]:
    is_quiet = item.due.is_quiet
    return {
        "reference": uuid.uuid4(),
        "patient_id": item.patient_id,
        "recipient": keyring().encrypt(item.recipient) if item.recipient is not None else None,
        "recipient_key": finding.recipient_key(item),
        "purpose": str(item.due.purpose),
        "occurrence": item.due.occurrence,
        "channel": item.channel,
        "lane": str(TRAITS[item.due.purpose].lane),
        "location_id": item.location_id,
        "session_id": item.session_id,
        "course_id": item.course_id,
        "survey_id": item.survey_id,
        "task_id": item.task_id,
        "staff_id": item.staff_id,
        "state": str(MessageState.QUIET if is_quiet else MessageState.DUE),
        "not_before": item.due.not_before,
        "deadline": item.due.deadline,
        "failure": "quiet hours" if is_quiet else None,
        "ended_at": clock.now() if is_quiet else None,
    }


# -- too late ------------------------------------------------------------------------------------------------------------


def give_up_late(now: datetime) -> None:
    """Never dropped in silence: the desk is told while a call may still help."""
    for _ in range(MOST_TRANSACTIONS):
        with transaction():
            given_up = _fail_late(now)
            for rows in _by_subject(given_up):
                if len(rows) > EACH_ITS_TASK:
                    _tell_of_many(rows, now)
                else:
                    for row in rows:
                        tell_desk(row, now)
        if len(given_up) < LATE_A_TRANSACTION:
            return


def _fail_late(now: datetime) -> Sequence[Message]:
    late = (
        select(Message.id)
        .where(
            Message.state == MessageState.DUE,
            or_(Message.deadline <= now, Message.not_before >= Message.deadline),
        )
        .order_by(Message.deadline)
        .limit(LATE_A_TRANSACTION)
        .with_for_update(skip_locked=True)
    )
    return db.session.scalars(
        update(Message)
        .where(Message.id.in_(late), Message.state == MessageState.DUE)
        .values(state=MessageState.FAILED, failure=TOO_LATE, ended_at=now)
        .returning(Message)
    ).all()


def _by_subject(rows: Sequence[Message]) -> Iterator[list[Message]]:
    def subject(row: Message) -> tuple[int, str]:
        return row.location_id or 0, row.purpose

    return (list(group) for _, group in groupby(sorted(rows, key=subject), key=subject))


def tell_desk(row: Message, now: datetime) -> None:
    """One task a give-up; a message that was sent again by hand and given up again opens another. A step of an operation."""
    if row.purpose == Purpose.ON_CALL and "." in row.occurrence:
        return  # the desk knows from the first time
    is_call = TRAITS[Purpose(row.purpose)].to_staff
    tasks.open_within_transaction(
        kind=TaskKind.MESSAGE_FAILED,
        level=TaskLevel.SAME_DAY if row.purpose == Purpose.ON_CALL else TaskLevel.ROUTINE,
        dedupe_key=f"message:{row.id}:{int(now.timestamp())}",
        for_role="manager" if is_call else "front_desk",
        due_at=now if row.purpose == Purpose.ON_CALL else now + TASK_WITHIN,
        by=BY,
        patient_id=row.patient_id,
        location_id=row.location_id,
        subject={"message_id": row.id, "purpose": row.purpose, "channel": row.channel, "why": row.failure},
    )
    log.warning("message %s: given up after %s attempts: %s", row.id, row.attempts, row.failure)


def _tell_of_many(rows: Sequence[Message], now: datetime) -> None:
    first = rows[0]
    tasks.open_within_transaction(
        kind=TaskKind.MESSAGE_FAILED,
        level=TaskLevel.SAME_DAY,
        dedupe_key=f"messages:{first.id}:{int(now.timestamp())}",
        for_role="front_desk",
        due_at=now + TASK_WITHIN,
        by=BY,
        location_id=first.location_id,
        subject={"purpose": first.purpose, "count": len(rows), "why": first.failure},
    )
    log.warning("%s messages about %s: given up, too late", len(rows), first.purpose)


def close_give_up(message_id: int) -> None:
    """A message that was given up went out after all. A step of an operation."""
    words = "The message went out after all."
    tasks.close_about_within_transaction(TaskKind.MESSAGE_FAILED, "message_id", [message_id], outcome=words, by=BY)


def settings() -> Settings:
    """Of this process."""
    found: Settings = current_app.config["SETTINGS"]
    return found
