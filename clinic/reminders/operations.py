"""The ledger: the sweep writes what is due, one task sends one row. The network is never used inside a transaction."""

import logging
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flask import current_app
from sqlalchemy import func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import OperationalError

from clinic import audit, clock, jobs
from clinic.audit import Actor, system
from clinic.config import Settings
from clinic.db import db, transaction
from clinic.errors import Conflict, Invalid, NotFound
from clinic.jobs import Job
from clinic.patients import queries as patients
from clinic.reminders import content, due, finding, queries, wording
from clinic.reminders.channels import Accepted, ChannelBusy, ChannelRefused, Envelope, channel_for
from clinic.reminders.due import Purpose
from clinic.reminders.models import Message, MessageState
from clinic.reminders.queries import Addressee
from clinic.tasks import operations as tasks
from clinic.tasks.models import TaskKind, TaskLevel

log = logging.getLogger(__name__)

STUCK_AFTER = timedelta(minutes=10)  # a claim this old belongs to a worker that died
RINGS_A_SWEEP = 1000  # a longer queue waits for the next sweep, so that doorbells do not pile up
ROWS_A_STATEMENT = 500
GIVEN_UP_A_SWEEP = 200
TASK_WITHIN = timedelta(hours=1)
BY: Actor = system("reminders")


# -- the sweep --------------------------------------------------------------------------------------------------------


def collect_due() -> Sequence[int]:
    """Write rows for what has become due, take back claims of dead workers, give up what is too late.

    Answers the ids of messages to send now. Two sweeps at once write every row once.
    """
    now = clock.now()
    with transaction():
        _take_back(now)
        _write(finding.find_due(now, _settings().on_call), now)
        _give_up_late(now)
        return list(queries.due_ids(now, RINGS_A_SWEEP))


def call_out() -> int:
    """Tell whoever is on call what is due, here and now: needs no broker. Answers how many messages were tried.

    Several processes may do this at once, beside the sweep: a row is written once and claimed once.
    """
    now = clock.now()
    with transaction():
        _take_back(now)
        _write(finding.find_calls(now, _settings().on_call), now)
        ids = list(queries.due_ids(now, RINGS_A_SWEEP, purpose=Purpose.ON_CALL))
    for message_id in ids:
        send_message(message_id)
    return len(ids)


def _take_back(now: datetime) -> None:
    taken = db.session.execute(
        update(Message)
        .where(Message.state == MessageState.SENDING, Message.claimed_at <= now - STUCK_AFTER)
        .values(state=MessageState.DUE, claimed_at=None, not_before=now, failure="the worker died while sending")
        .returning(Message.id)
    )
    for (message_id,) in taken:
        log.warning("message %s: its worker died, due again", message_id)


def _write(found: Sequence[finding.Found], now: datetime) -> None:
    # One order for every sweep: two of them at once wait for each other and never in a circle.
    ordered = sorted(
        found, key=lambda item: (finding.recipient_key(item), item.due.purpose, item.due.occurrence, item.channel)
    )
    for start in range(0, len(ordered), ROWS_A_STATEMENT):
        rows = insert(Message).values([_row(item, now) for item in ordered[start : start + ROWS_A_STATEMENT]])
        again = {name: rows.excluded[name] for name in ("state", "not_before", "deadline")}
        db.session.execute(
            rows.on_conflict_do_update(
                index_elements=["recipient_key", "purpose", "occurrence", "channel"],
                set_={**again, "failure": None},
                # What made it void is over: it was moved away and back, or consent was given again.
                where=(Message.state == MessageState.VOID)
                & ~func.coalesce(Message.failure, "").in_(finding.STAYS_VOID),
            )
        )


def _row(item: finding.Found, now: datetime) -> dict[str, Any]:
    return {
        "reference": uuid.uuid4(),
        "patient_id": item.patient_id,
        "recipient": item.recipient,
        "recipient_key": finding.recipient_key(item),
        "purpose": item.due.purpose,
        "occurrence": item.due.occurrence,
        "channel": item.channel,
        "session_id": item.session_id,
        "course_id": item.course_id,
        "survey_id": item.survey_id,
        "task_id": item.task_id,
        "state": MessageState.QUIET if item.due.is_quiet else MessageState.DUE,
        "not_before": item.due.not_before,
        "deadline": item.due.deadline,
        "attempts": 0,
        "failure": "quiet hours" if item.due.is_quiet else None,
        "created_at": now,
    }


def _give_up_late(now: datetime) -> None:
    """Never dropped in silence: the desk is told while a call may still help."""
    late = (
        select(Message.id)
        .where(
            Message.state == MessageState.DUE,
            or_(Message.deadline <= now, Message.not_before >= Message.deadline),
        )
        .order_by(Message.deadline)
        .limit(GIVEN_UP_A_SWEEP)
    )
    given_up = db.session.scalars(
        update(Message)
        .where(Message.id.in_(late), Message.state == MessageState.DUE)
        .values(state=MessageState.FAILED, failure="too late")
        .returning(Message)
    ).all()
    for row in given_up:
        _tell_desk(row, now)


# -- one message ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Claim:
    """What one try needs after its transaction is over."""

    claimed_at: datetime
    channel: str
    envelope: Envelope


def send_message(message_id: int) -> None:
    """Make one try: claim and commit, send, record. Nothing happens where another worker was faster."""
    try:
        claim = _claim(message_id)
    except (OperationalError, NotFound):
        raise
    except Exception as fault:  # a row that cannot be read or worded ends on the worklist and holds up no other
        log.exception("message %s: fault before sending", message_id)
        _record_unsendable(message_id, f"fault: {type(fault).__name__}")
        return
    if claim is None:
        return
    try:
        accepted = channel_for(claim.channel, _settings()).send(claim.envelope)
    except ChannelBusy as busy:
        _record_busy(message_id, claim, busy.message, busy.wait)
    except ChannelRefused as refused:
        _record_refused(message_id, claim, refused.message)
    except Exception as fault:  # a fault of ours is tried again like one of theirs, and ends on the worklist
        log.exception("message %s: fault in channel %s", message_id, claim.channel)
        _record_busy(message_id, claim, f"fault: {type(fault).__name__}", None)
    else:
        _record_sent(message_id, accepted)


def _claim(message_id: int) -> _Claim | None:
    with transaction():
        before = queries.get(message_id)
        purpose, patient_id, now = Purpose(before.purpose), before.patient_id, clock.now()
        if purpose in content.CHANGES and patient_id is not None:
            patients.lock(patient_id)  # changes that are told together are claimed one after another
        row = db.session.scalar(
            update(Message)
            .where(Message.id == message_id, Message.state == MessageState.DUE, Message.not_before <= now)
            .values(state=MessageState.SENDING, claimed_at=now, attempts=Message.attempts + 1)
            .returning(Message)
            .execution_options(populate_existing=True)
        )
        if row is None:
            return None
        to = queries.addressee(patient_id, row.channel) if patient_id is not None else None
        if not _may_go(row, purpose, to, now):
            return None
        if row.body is None:
            text = wording.compose(content.content_of(row, purpose, to, now, _settings().base_url), row.channel)
            row.subject, row.body, row.wording = text.subject, text.body, wording.VERSION
        address = to.address if to is not None else row.recipient
        assert row.body is not None
        assert address is not None
        envelope = Envelope(
            reference=str(row.reference),
            to=address,
            subject=row.subject,
            body=row.body,
            language=to.language if to is not None else "en",
        )
        return _Claim(now, row.channel, envelope)


def _may_go(row: Message, purpose: Purpose, to: Addressee | None, now: datetime) -> bool:
    """Hold the claimed row against the facts as they are now; a row that may not go gets its new state here."""
    if row.deadline <= now:
        _end(row, MessageState.FAILED, "too late")
        _tell_desk(row, now)
        return False
    void = content.void_because(row, purpose, to, now)
    if void is not None:
        _end(row, MessageState.VOID, void)
        return False
    if to is None or not due.keeps_quiet_hours(purpose) or not due.is_quiet(now, to.tz):
        return True
    if purpose is Purpose.TWO_HOURS_BEFORE:
        _end(row, MessageState.QUIET, "quiet hours")
        return False
    row.not_before = due.after_quiet(now, to.tz)
    if row.not_before < row.deadline:
        _end(row, MessageState.DUE, "waits for the end of quiet hours")
    else:
        _end(row, MessageState.FAILED, "too late: quiet hours until the deadline")
        _tell_desk(row, now)
    return False


def _end(row: Message, state: MessageState, why: str) -> None:
    """Leave `sending` without a try."""
    row.state, row.claimed_at, row.failure = state, None, why
    row.attempts -= 1


# -- what came of it --------------------------------------------------------------------------------------------------


def _record_sent(message_id: int, accepted: Accepted) -> None:
    """Accepted is accepted, also where the sweep took the claim back meanwhile."""
    with transaction():
        db.session.execute(
            update(Message)
            .where(Message.id == message_id, Message.state.in_((MessageState.SENDING, MessageState.DUE)))
            .values(
                state=MessageState.SENT,
                sent_at=clock.now(),
                claimed_at=None,
                provider=accepted.provider,
                provider_id=accepted.provider_id,
                failure=None,
            )
        )


def _record_busy(message_id: int, claim: _Claim, why: str, wait: timedelta | None) -> None:
    with transaction():
        row = _mine(message_id, claim)
        if row is None:
            return
        now = clock.now()
        purpose = Purpose(row.purpose)
        keeps_quiet = row.patient_id is not None and due.keeps_quiet_hours(purpose)
        tz = patients.get(row.patient_id).tz if keeps_quiet and row.patient_id is not None else None
        again = due.retry_at(purpose, row.attempts, row.deadline, tz, now)
        if again is not None and wait is not None:
            again = max(again, now + wait) if now + wait < row.deadline else None
        row.claimed_at, row.failure = None, why[:200]
        if again is not None:
            row.state, row.not_before = MessageState.DUE, again
            return
        row.state = MessageState.FAILED
        _tell_desk(row, now)


def _record_refused(message_id: int, claim: _Claim, why: str) -> None:
    with transaction():
        row = _mine(message_id, claim)
        if row is None:
            return
        row.state, row.claimed_at, row.failure = MessageState.FAILED, None, why[:200]
        _tell_desk(row, clock.now())


def _record_unsendable(message_id: int, why: str) -> None:
    with transaction():
        row = queries.lock(message_id)
        if row.state == MessageState.DUE:
            row.state, row.failure = MessageState.FAILED, why
            _tell_desk(row, clock.now())


def _mine(message_id: int, claim: _Claim) -> Message | None:
    """The row, if this claim still holds it."""
    row = queries.lock(message_id)
    return row if row.state == MessageState.SENDING and row.claimed_at == claim.claimed_at else None


def _tell_desk(row: Message, now: datetime) -> None:
    """One task a give-up; a message that was sent again by hand and given up again opens another."""
    is_call = row.purpose == Purpose.ON_CALL
    if is_call and due.is_again(row.occurrence):
        return  # the desk knows from the first time
    tasks.open_within_transaction(
        kind=TaskKind.MESSAGE_FAILED,
        level=TaskLevel.SAME_DAY if is_call else TaskLevel.ROUTINE,
        dedupe_key=f"message:{row.id}:{int(now.timestamp())}",
        for_role="manager" if is_call else "front_desk",
        due_at=now if is_call else now + TASK_WITHIN,
        by=BY,
        patient_id=row.patient_id,
        location_id=queries.location_of(row),
        subject={"message_id": row.id, "purpose": row.purpose, "channel": row.channel, "why": row.failure},
    )
    log.warning("message %s: given up after %s attempts: %s", row.id, row.attempts, row.failure)


# -- by hand ----------------------------------------------------------------------------------------------------------

RESEND_WITHIN = timedelta(hours=2)


def resend(message_id: int, *, reason: str, by: Actor) -> None:
    """Try a message that was not delivered once more, same reference. Raises Invalid, NotFound, Conflict."""
    words = reason.strip()
    if not 0 < len(words) <= 500:
        raise Invalid("Say why it should go out again, in at most 500 characters.", fields=["reason"])
    with transaction() as after_commit:
        row, now = queries.lock(message_id), clock.now()
        if row.state not in (MessageState.FAILED, MessageState.QUIET):
            raise Conflict("only a message that was not delivered can be sent again")
        before = row.state
        row.state, row.attempts, row.failure, row.not_before = MessageState.DUE, 0, None, now
        row.deadline = max(row.deadline, now + RESEND_WITHIN)
        row.subject = row.body = row.wording = None  # written anew: links in the old text may be too old
        audit.record(row, "resent", by=by, reason=words, was=before)
        after_commit.append(lambda: jobs.ring(Job.SEND_MESSAGE, message_id=message_id))


def _settings() -> Settings:
    settings: Settings = current_app.config["SETTINGS"]
    return settings
