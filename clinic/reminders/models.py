"""The ledger: one row a person, purpose, occurrence and channel."""

import uuid
from datetime import datetime
from enum import StrEnum

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, SmallInteger, String, Uuid, text
from sqlalchemy.orm import Mapped, mapped_column

from clinic.db import Base, Encrypted, Instant, PrimaryKey, UTCDateTime, Word, one_of
from clinic.patients import sites
from clinic.reminders.due import Purpose

__all__ = ["Message", "MessageState", "Purpose"]


class MessageState(StrEnum):
    """States of a ledger row; transitions in docs/states.md."""

    DUE = "due"
    SENDING = "sending"
    SENT = "sent"  # accepted by the provider
    FAILED = "failed"  # given up; a task tells the desk
    QUIET = "quiet"  # quiet hours made it void
    VOID = "void"  # what it was about moved, ended or lost its consent before it went out


@sites.named("message_id")
class Message(Base):
    """One message. `reference` goes to the provider, so that a repeat after a crash is recognizable."""

    __tablename__ = "messages"
    __table_args__ = (
        one_of("purpose", [*Purpose]),
        one_of("state", [*MessageState]),
        CheckConstraint("channel IN ('email', 'sms')", name="channel"),
        CheckConstraint("patient_id IS NOT NULL OR recipient IS NOT NULL", name="to_someone"),
        CheckConstraint("(state = 'sending') = (claimed_at IS NOT NULL)", name="claimed"),
        CheckConstraint("(state = 'sent') = (sent_at IS NOT NULL)", name="sent"),
        Index("messages_once_key", "recipient_key", "purpose", "occurrence", "channel", unique=True),
        Index("messages_due_idx", "not_before", postgresql_where=text("state = 'due'")),
        Index("messages_claimed_idx", "claimed_at", postgresql_where=text("state = 'sending'")),
        Index("messages_patient_idx", "patient_id", "created_at"),
    )

    id: Mapped[PrimaryKey]
    reference: Mapped[uuid.UUID] = mapped_column(Uuid, unique=True)
    patient_id: Mapped[int | None] = mapped_column(ForeignKey("patients.id"))
    recipient: Mapped[str | None] = mapped_column(Encrypted)  # address of someone who is not a patient
    recipient_key: Mapped[str] = mapped_column(String(60))  # "p:{patient_id}" or a digest of the address
    purpose: Mapped[Word]
    occurrence: Mapped[str] = mapped_column(String(80))  # what it is about, e.g. "s:{session}@{start}" or "c:{course}"
    channel: Mapped[Word]
    session_id: Mapped[int | None] = mapped_column(BigInteger, index=True)
    course_id: Mapped[int | None] = mapped_column(BigInteger)
    survey_id: Mapped[int | None] = mapped_column(BigInteger)
    task_id: Mapped[int | None] = mapped_column(BigInteger)
    state: Mapped[Word]
    not_before: Mapped[Instant]
    deadline: Mapped[Instant]  # past it the message is of no use
    attempts: Mapped[int] = mapped_column(SmallInteger)
    claimed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    sent_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    provider: Mapped[str | None] = mapped_column(String(40))
    provider_id: Mapped[str | None] = mapped_column(String(120))
    failure: Mapped[str | None] = mapped_column(String(200))  # why, without addresses or text
    wording: Mapped[str | None] = mapped_column(String(20))  # version of the templates that made subject and body
    subject: Mapped[str | None] = mapped_column(Encrypted)
    body: Mapped[str | None] = mapped_column(Encrypted)  # as sent, kept for the desk
    created_at: Mapped[Instant]
