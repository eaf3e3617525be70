"""The ledger: one row a person, purpose, occurrence and channel; what came back; and the clinic's own texts."""

import uuid
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    String,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from clinic.db import Base, Encrypted, Instant, PrimaryKey, Secret, UTCDateTime, Word, one_of
from clinic.patients import sites
from clinic.reminders.purposes import Lane, Purpose

__all__ = [
    "Answer",
    "DeadAddress",
    "InboundText",
    "Lane",
    "Message",
    "MessageState",
    "MessageText",
    "Purpose",
    "Receipt",
]

CHANNELS = ("email", "sms", "voice")


class MessageState(StrEnum):
    """States of a ledger row; transitions in docs/states.md."""

    DUE = "due"
    SENDING = "sending"
    SENT = "sent"  # accepted by the provider
    FAILED = "failed"  # given up; a task tells the desk
    QUIET = "quiet"  # quiet hours made it void
    VOID = "void"  # what it was about moved, ended or lost its consent before it went out


class Receipt(StrEnum):
    """What came back of an accepted message."""

    ON_ITS_WAY = "on_its_way"
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"
    BOUNCED = "bounced"  # the address takes nothing


class Answer(StrEnum):
    """What a person said to a visit."""

    COMING = "coming"
    LATE = "late"
    CANNOT = "cannot"


@sites.named("message_id")
class Message(Base):
    """One message. `reference` goes to the provider, so that a repeat after a crash is recognizable."""

    __tablename__ = "messages"
    __table_args__ = (
        one_of("purpose", [*Purpose]),
        one_of("state", [*MessageState]),
        one_of("lane", [*Lane]),
        one_of("receipt", [*Receipt]),
        one_of("answer", [*Answer]),
        CheckConstraint("channel IN ('email', 'sms', 'voice')", name="channel"),
        CheckConstraint("patient_id IS NOT NULL OR recipient IS NOT NULL", name="to_someone"),
        CheckConstraint("(state = 'sending') = (claimed_at IS NOT NULL)", name="claimed"),
        CheckConstraint("(state = 'sent') = (sent_at IS NOT NULL)", name="sent"),
        CheckConstraint("receipt IS NULL OR state = 'sent'", name="receipt_of_sent"),
        Index("messages_once_key", "recipient_key", "purpose", "occurrence", "channel", unique=True),
        Index("messages_lane_idx", "lane", "deadline", postgresql_where=text("state = 'due'")),
        Index(
            "messages_news_idx",
            "lane",
            "deadline",
            postgresql_where=text("state = 'due' AND purpose IN ('session_moved', 'session_cancelled')"),
        ),
        Index("messages_due_idx", "not_before", postgresql_where=text("state = 'due'")),
        Index("messages_claimed_idx", "claimed_at", postgresql_where=text("state = 'sending'")),
        Index("messages_failed_idx", "deadline", postgresql_where=text("state = 'failed'")),
        Index("messages_ended_idx", "ended_at"),
        Index("messages_patient_idx", "patient_id", "created_at"),
        Index("messages_location_idx", "location_id", "id"),
        Index("messages_provider_idx", "provider_id", postgresql_where=text("provider_id IS NOT NULL")),
    )

    id: Mapped[PrimaryKey]
    reference: Mapped[uuid.UUID] = mapped_column(Uuid, unique=True)
    patient_id: Mapped[int | None] = mapped_column(ForeignKey("patients.id"))
    recipient: Mapped[str | None] = mapped_column(Encrypted)  # address of someone who is not a patient
    recipient_key: Mapped[str] = mapped_column(String(60))  # "p:{patient_id}" or a digest of the address
    purpose: Mapped[Word]
    occurrence: Mapped[str] = mapped_column(String(80))  # what it is about, e.g. "s:{session}@{start}" or "c:{course}"
    channel: Mapped[Word]
    lane: Mapped[Word]
    location_id: Mapped[int | None] = mapped_column(ForeignKey("locations.id"))  # whose desk sees it; None: every desk
    session_id: Mapped[int | None] = mapped_column(BigInteger, index=True)
    course_id: Mapped[int | None] = mapped_column(BigInteger)
    survey_id: Mapped[int | None] = mapped_column(BigInteger)
    task_id: Mapped[int | None] = mapped_column(BigInteger)
    staff_id: Mapped[int | None] = mapped_column(ForeignKey("staff_users.id"))
    again_of: Mapped[int | None] = mapped_column(
        ForeignKey("messages.id")
    )  # accepted, did not arrive, sent anew by hand
    state: Mapped[Word]
    not_before: Mapped[Instant]
    deadline: Mapped[Instant]  # past it the message is of no use
    attempts: Mapped[int] = mapped_column(SmallInteger)
    tried_at: Mapped[datetime | None] = mapped_column(UTCDateTime)  # the first try
    claimed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    sent_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UTCDateTime)  # came to rest: sent, failed, quiet or void
    provider: Mapped[str | None] = mapped_column(String(40))
    provider_id: Mapped[str | None] = mapped_column(String(120))
    unsure_of: Mapped[str | None] = mapped_column(
        String(40)
    )  # provider that may have taken it already: no other is asked
    failure: Mapped[str | None] = mapped_column(String(200))  # why, without addresses or text
    receipt: Mapped[str | None] = mapped_column(String(40))
    receipt_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    receipt_code: Mapped[str | None] = mapped_column(String(40))
    answer: Mapped[str | None] = mapped_column(String(40))
    answered_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    wording: Mapped[str | None] = mapped_column(String(20))  # version of the texts that made subject and body
    subject: Mapped[str | None] = mapped_column(Encrypted)
    body: Mapped[str | None] = mapped_column(Encrypted)  # as sent, kept for the desk
    created_at: Mapped[Instant]

    @property
    def matter(self) -> str:
        """What it is about: the occurrence, the same for one that was sent anew by hand."""
        return self.occurrence.partition("~")[0]


@sites.named("inbound_id")
class InboundText(Base):
    """A text that came in, once however often the provider calls. `meaning` is a rule's name, see `replies.py`."""

    __tablename__ = "inbound_texts"
    __table_args__ = (
        Index("inbound_texts_provider_key", "provider_id", unique=True),
        Index("inbound_texts_patient_idx", "patient_id", "received_at"),
        Index("inbound_texts_location_idx", "location_id", "id"),
    )

    id: Mapped[PrimaryKey]
    provider: Mapped[Word]
    provider_id: Mapped[str] = mapped_column(String(120))
    patient_id: Mapped[int | None] = mapped_column(ForeignKey("patients.id"))
    location_id: Mapped[int | None] = mapped_column(ForeignKey("locations.id"))
    message_id: Mapped[int | None] = mapped_column(ForeignKey("messages.id"))  # what it answers
    sender: Mapped[Secret]
    body: Mapped[Secret]
    meaning: Mapped[Word]
    said: Mapped[str | None] = mapped_column(Encrypted)  # what was written back
    received_at: Mapped[Instant]


class DeadAddress(Base):
    """An address that takes nothing. Messages do not go there until the desk says that it works, or it is changed."""

    __tablename__ = "dead_addresses"
    __table_args__ = (
        CheckConstraint("channel IN ('email', 'sms')", name="channel"),
        Index(
            "dead_addresses_present_key",
            "channel",
            "address_blind",
            unique=True,
            postgresql_where=text("cleared_at IS NULL"),
        ),
    )

    id: Mapped[PrimaryKey]
    channel: Mapped[Word]
    address_blind: Mapped[bytes] = mapped_column(LargeBinary(32))  # as the patient's row holds it
    reason: Mapped[str] = mapped_column(String(200))
    message_id: Mapped[int | None] = mapped_column(ForeignKey("messages.id"))
    recorded_at: Mapped[Instant]
    cleared_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class MessageText(Base):
    """The clinic's own wording of one text. Appended: the one in force is not superseded; without one ours is used."""

    __tablename__ = "message_texts"
    __table_args__ = (
        CheckConstraint("language IN ('en', 'es')", name="language"),
        Index("message_texts_version_key", "key", "language", "version", unique=True),
        Index(
            "message_texts_present_key",
            "key",
            "language",
            unique=True,
            postgresql_where=text("superseded_at IS NULL"),
        ),
    )

    id: Mapped[PrimaryKey]
    key: Mapped[Word]  # of texts/en.yaml
    language: Mapped[str] = mapped_column(String(5))
    version: Mapped[int] = mapped_column(Integer)  # 1, 2, ... a key and language
    parts: Mapped[dict[str, Any]] = mapped_column(JSONB)  # subject, mail, text; no facts about a person
    written_by: Mapped[Word]
    created_at: Mapped[Instant]
    superseded_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
