"""The person: contacts, consents, links and patient sessions. Everything that names someone is encrypted."""

from datetime import date, datetime
from enum import StrEnum

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    ForeignKey,
    Index,
    LargeBinary,
    Sequence,
    SmallInteger,
    String,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from clinic.db import (
    Base,
    Blind,
    Encrypted,
    EncryptedDate,
    Instant,
    PrimaryKey,
    Secret,
    UTCDateTime,
    Word,
    one_of,
)

record_numbers = Sequence("patient_record_numbers", start=10001, metadata=Base.metadata)


class Channel(StrEnum):
    """Ways to reach a person. Consent is kept for each apart."""

    EMAIL = "email"
    SMS = "sms"
    VOICE = "voice"  # a call by the desk


class MessageStyle(StrEnum):
    """How a patient on a daily course hears of visits."""

    DIGEST = "digest"  # one message a week
    EACH = "each"  # one before every visit


class Patient(Base):
    """A person under care. Staff search by record number, phone or email exactly, or initials."""

    __tablename__ = "patients"
    __table_args__ = (
        one_of("message_style", [*MessageStyle]),
        CheckConstraint("language IN ('en', 'es')", name="language"),
        Index("patients_initials_idx", "initials"),
        Index("patients_email_blind_idx", "email_blind"),
        Index("patients_phone_blind_idx", "phone_blind"),
    )

    id: Mapped[PrimaryKey]
    record_number: Mapped[str] = mapped_column(String(20), unique=True)  # "D-10001"
    given_name: Mapped[Secret]
    family_name: Mapped[Secret]
    initials: Mapped[str] = mapped_column(String(8))
    birth_date: Mapped[date] = mapped_column(EncryptedDate)
    email: Mapped[str | None] = mapped_column(Encrypted)
    email_blind: Mapped[bytes | None] = mapped_column(Blind("email"))
    phone: Mapped[str | None] = mapped_column(Encrypted)  # E.164
    phone_blind: Mapped[bytes | None] = mapped_column(Blind("phone"))
    language: Mapped[str] = mapped_column(String(5))
    tz: Mapped[str] = mapped_column(String(60))
    message_style: Mapped[Word]
    payer: Mapped[str | None] = mapped_column(Encrypted)
    preferred_location_id: Mapped[int | None] = mapped_column(ForeignKey("locations.id"))
    created_at: Mapped[Instant]

    @property
    def name(self) -> str:
        """Full name, for pages that open one record."""
        return f"{self.given_name} {self.family_name}".strip()


class ChannelConsent(Base):
    """A yes or a no to one channel. Appended: the present answer is the row that is not superseded."""

    __tablename__ = "channel_consents"
    __table_args__ = (
        one_of("channel", [*Channel]),
        Index(
            "channel_consents_present_key",
            "patient_id",
            "channel",
            unique=True,
            postgresql_where=text("superseded_at IS NULL"),
        ),
    )

    id: Mapped[PrimaryKey]
    patient_id: Mapped[int] = mapped_column(ForeignKey("patients.id"))
    channel: Mapped[Word]
    granted: Mapped[bool] = mapped_column(Boolean)
    source: Mapped[Word]  # intake, desk, api, opt_out
    recorded_at: Mapped[Instant]
    superseded_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class OpeningReason(StrEnum):
    """Why a record of another site was opened."""

    EMERGENCY = "emergency"  # someone is in danger
    COVERING = "covering"  # standing in for a colleague of that site
    HERE_NOW = "here_now"  # the person is at this site, or on the phone
    OTHER = "other"


class RecordOpening(Base):
    """A staff member opened the record of a patient outside their sites, with a reason. Managers are told, and look at it."""

    __tablename__ = "record_openings"
    __table_args__ = (
        one_of("kind", [*OpeningReason]),
        CheckConstraint("opened_at < expires_at", name="order"),
        CheckConstraint("(reviewed_at IS NULL) = (reviewed_by IS NULL)", name="reviewed_by_someone"),
        CheckConstraint("reviewed_by <> staff_id", name="not_by_oneself"),
        Index("record_openings_staff_idx", "staff_id", "expires_at"),
        Index("record_openings_opened_idx", "opened_at"),
    )

    id: Mapped[PrimaryKey]
    patient_id: Mapped[int] = mapped_column(ForeignKey("patients.id"), index=True)
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff_users.id"))
    kind: Mapped[Word]
    reason: Mapped[Secret]
    opened_at: Mapped[Instant]
    expires_at: Mapped[Instant]
    closed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)  # given back before it expired
    reviewed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    reviewed_by: Mapped[int | None] = mapped_column(ForeignKey("staff_users.id"))
    finding: Mapped[str | None] = mapped_column(Encrypted)  # what the manager found


class LinkPurpose(StrEnum):
    """What a link opens. A link is bound to one purpose and to what it names."""

    INTAKE = "intake"  # go on with an unfinished intake on another device
    SIGN_IN = "sign_in"  # the patient's own pages
    SURVEY = "survey"
    VISIT = "visit"  # confirm a visit, or say "I can't come"
    ASK = "ask"  # a few questions that the clinic still has


ABOUT = ("intake_id", "survey_id", "session_id", "ask_id")  # what a link may name, beside the person


def about(row: "AccessLink | LinkRequest | PatientSession") -> dict[str, int | None]:
    """What a link, a wish for one, or the session that it opened is about."""
    return {name: getattr(row, name) for name in ABOUT}


class AccessLink(Base):
    """A single-use link that was sent to a patient. Only the SHA-256 of its token is kept. GET never spends it."""

    __tablename__ = "access_links"
    __table_args__ = (
        one_of("purpose", [*LinkPurpose]),
        CheckConstraint("patient_id IS NOT NULL OR intake_id IS NOT NULL", name="names_someone"),
        CheckConstraint("purpose <> 'survey' OR survey_id IS NOT NULL", name="survey"),
        CheckConstraint("purpose <> 'visit' OR session_id IS NOT NULL", name="visit"),
        CheckConstraint("purpose <> 'ask' OR ask_id IS NOT NULL", name="ask"),
    )

    id: Mapped[PrimaryKey]
    token_hash: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    purpose: Mapped[Word]
    patient_id: Mapped[int | None] = mapped_column(ForeignKey("patients.id"), index=True)
    intake_id: Mapped[int | None] = mapped_column(BigInteger)
    survey_id: Mapped[int | None] = mapped_column(BigInteger)
    session_id: Mapped[int | None] = mapped_column(BigInteger)
    ask_id: Mapped[int | None] = mapped_column(BigInteger)
    created_at: Mapped[Instant]
    expires_at: Mapped[Instant]
    spent_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class LinkRequest(Base):
    """Someone asked for a fresh link. The message goes to a channel that we know, through the ledger."""

    __tablename__ = "link_requests"
    __table_args__ = (one_of("purpose", [*LinkPurpose]), Index("link_requests_requested_idx", "requested_at"))

    id: Mapped[PrimaryKey]
    patient_id: Mapped[int] = mapped_column(ForeignKey("patients.id"), index=True)
    purpose: Mapped[Word]
    intake_id: Mapped[int | None] = mapped_column(BigInteger)
    survey_id: Mapped[int | None] = mapped_column(BigInteger)
    session_id: Mapped[int | None] = mapped_column(BigInteger)
    ask_id: Mapped[int | None] = mapped_column(BigInteger)
    requested_at: Mapped[Instant]


class PatientSession(Base):
    """A patient's signed-in browser: its own cookie, never a staff sign-in. Holds what the spent link opened."""

    __tablename__ = "patient_sessions"
    __table_args__ = (one_of("purpose", [*LinkPurpose]),)

    id: Mapped[PrimaryKey]
    token_hash: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    purpose: Mapped[Word]
    patient_id: Mapped[int | None] = mapped_column(ForeignKey("patients.id"), index=True)
    intake_id: Mapped[int | None] = mapped_column(BigInteger)
    survey_id: Mapped[int | None] = mapped_column(BigInteger)
    session_id: Mapped[int | None] = mapped_column(BigInteger)
    ask_id: Mapped[int | None] = mapped_column(BigInteger)
    is_kiosk: Mapped[bool] = mapped_column(Boolean)  # on a device of the clinic: short, and it ends at "hand back"
    birth_date_checked_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    failed_checks: Mapped[int] = mapped_column(SmallInteger)
    created_at: Mapped[Instant]
    last_seen_at: Mapped[Instant]
    expires_at: Mapped[Instant]
    ended_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
