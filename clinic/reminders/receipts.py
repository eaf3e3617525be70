"""What providers say became of an accepted message: late, twice and out of order, as they please."""

import logging
import uuid
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from clinic import clock
from clinic.db import db, transaction
from clinic.reminders import dead, ledger, sending
from clinic.reminders.channels import Accepted
from clinic.reminders.channels.sms import DEAD_NUMBER
from clinic.reminders.models import Message, MessageState, Receipt

log = logging.getLogger(__name__)

STATUSES = {
    **dict.fromkeys(("accepted", "scheduled", "queued", "sending", "sent"), Receipt.ON_ITS_WAY),
    **dict.fromkeys(("delivered", "read"), Receipt.DELIVERED),
    **dict.fromkeys(("undelivered", "failed", "canceled"), Receipt.UNDELIVERED),
}
FINAL = (Receipt.DELIVERED, Receipt.UNDELIVERED, Receipt.BOUNCED)


@dataclass(frozen=True)
class Status:
    """One word of a provider about one message."""

    provider: str
    provider_id: str
    status: str
    code: str | None
    reference: str | None


def record_status(status: Status) -> bool:
    """Write it down; False where no message of ours is meant. A word that adds nothing changes nothing."""
    receipt = STATUSES.get(status.status)
    with transaction():
        row = _lock(status)
        if row is None or receipt is None:
            return row is not None
        now = clock.now()
        if row.state != MessageState.SENT:  # it was taken, and we did not hear of it: the answer or the worker was lost
            taken = Accepted(status.provider, status.provider_id)
            sending.record_sent([(row.id, taken)], now)
            ledger.close_give_up(row.id)
            db.session.refresh(row)
        if row.provider_id is None:
            row.provider_id = status.provider_id[:120]
        if row.provider_id == status.provider_id[:120]:
            code = int(status.code) if status.code and status.code.isdecimal() else None
            _note(row, receipt, status.code, now, is_dead=code in DEAD_NUMBER)
        return True


def record_bounce(message_id: int, *, code: str, is_dead: bool) -> bool:
    """A mail came back for good; False where there is no such message."""
    with transaction():
        row = db.session.scalar(select(Message).where(Message.id == message_id).with_for_update())
        if row is None:
            return False
        now = clock.now()
        if row.state != MessageState.SENT:
            sending.record_sent([(row.id, Accepted("smtp", None))], now)
            ledger.close_give_up(row.id)
            db.session.refresh(row)
        if row.receipt != Receipt.BOUNCED:
            row.receipt = None  # a bounce is the last word, whatever a server said before
        _note(row, Receipt.BOUNCED if is_dead else Receipt.UNDELIVERED, code, now, is_dead=is_dead)
        return True


def _lock(status: Status) -> Message | None:
    statement = select(Message).with_for_update()
    if status.reference is not None:
        try:
            return db.session.scalar(statement.where(Message.reference == uuid.UUID(status.reference)))
        except ValueError:
            return None
    return db.session.scalar(statement.where(Message.provider_id == status.provider_id[:120]).limit(1))


def _note(row: Message, receipt: Receipt, code: str | None, now: datetime, *, is_dead: bool) -> None:
    if row.receipt in FINAL or row.receipt == receipt:
        return
    row.receipt, row.receipt_at, row.receipt_code = receipt, now, (code or "")[:40] or None
    if receipt not in (Receipt.UNDELIVERED, Receipt.BOUNCED):
        return
    row.failure = f"it did not arrive ({row.receipt_code or 'no reason given'})"
    if is_dead and row.patient_id is not None:
        dead.mark_within_transaction(row, row.failure, now)
    ledger.tell_desk(row, now)
