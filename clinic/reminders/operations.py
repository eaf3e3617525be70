"""What people do with the ledger by hand."""

import uuid
from datetime import datetime, timedelta

from clinic import audit, clock, jobs
from clinic.audit import Actor
from clinic.db import AfterCommit, db, transaction
from clinic.errors import Conflict, Invalid
from clinic.jobs import Job
from clinic.patients import queries as patients
from clinic.patients.models import Channel
from clinic.reminders import dead, queries
from clinic.reminders.models import Message, MessageState, Receipt

RESEND_WITHIN = timedelta(hours=2)
MAX_REASON = 500


def resend(message_id: int, *, reason: str, by: Actor) -> int:
    """Send a message that did not reach the person once more; answers the id of the row that goes out.

    One that no provider took goes out itself, same reference. One that was taken and came back is a new row.
    Raises Invalid, NotFound, Conflict.
    """
    words = reason.strip()
    if not 0 < len(words) <= MAX_REASON:
        raise Invalid("Say why it should go out again, in at most 500 characters.", fields=["reason"])
    with transaction() as after_commit:
        row, now = queries.lock(message_id), clock.now()
        if row.state in (MessageState.FAILED, MessageState.QUIET):
            before, again = row.state, row
            row.state, row.attempts, row.failure, row.not_before, row.ended_at = MessageState.DUE, 0, None, now, None
            row.deadline = max(row.deadline, now + RESEND_WITHIN)
            if row.unsure_of is None:
                row.subject = row.body = row.wording = None  # written anew: links in the old text may be too old
        elif row.receipt in (Receipt.UNDELIVERED, Receipt.BOUNCED):
            before, again = row.receipt, _copy(row, now)
        else:
            raise Conflict("only a message that did not reach the person can be sent again")
        if row.patient_id is not None:
            dead.clear_within_transaction(patients.get(row.patient_id), row.channel, now, by=by)
        audit.record(again, "resent", by=by, reason=words, was=before)
        _ring_for(again, after_commit)
        return again.id


def _copy(row: Message, now: datetime) -> Message:
    number = queries.copies_of(row.id) + 1
    if number > 9:
        raise Conflict("this message was sent again too often: call the person")
    again = Message(
        **{name: getattr(row, name) for name in _SAME},
        reference=uuid.uuid4(),
        occurrence=f"{row.occurrence}~{number}",
        again_of=row.id,
        state=MessageState.DUE,
        not_before=now,
        deadline=max(row.deadline, now + RESEND_WITHIN),
        attempts=0,
        created_at=now,
    )
    db.session.add(again)
    db.session.flush()
    return again


_SAME = (
    "patient_id", "recipient", "recipient_key", "purpose", "channel", "lane", "location_id", "session_id", "course_id",
    "survey_id", "task_id", "staff_id",
)  # fmt: skip


def _ring_for(row: Message, after_commit: AfterCommit) -> None:
    message_id = row.id
    after_commit.append(lambda: jobs.ring(Job.SEND_MESSAGE, message_id=message_id))


def address_works(patient_id: int, channel: str, *, by: Actor) -> None:
    """The desk found that an address takes messages after all. Raises NotFound, Invalid."""
    if channel not in (Channel.EMAIL, Channel.SMS):
        raise Invalid("channel is email or sms", fields=["channel"])
    with transaction():
        dead.clear_within_transaction(patients.lock(patient_id), channel, clock.now(), by=by)
