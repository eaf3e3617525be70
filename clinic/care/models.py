"""The summary that a prescriber released, the care plan and its dates, referrals, and what a patient asks."""

from datetime import date, datetime
from enum import StrEnum

from sqlalchemy import Boolean, CheckConstraint, Date, ForeignKey, Index, SmallInteger, String, text
from sqlalchemy.orm import Mapped, mapped_column

from clinic.db import Base, Encrypted, EncryptedDate, Instant, PrimaryKey, Secret, SecretJSON, UTCDateTime, Word, one_of
from clinic.patients import sites


@sites.named("release_id")
class Release(Base):
    """A clinician's summary in plain words, as the patient sees it. Never edited: a new one withdraws it."""

    __tablename__ = "releases"
    __table_args__ = (
        Index("releases_present_key", "patient_id", unique=True, postgresql_where=text("withdrawn_at IS NULL")),
    )

    id: Mapped[PrimaryKey]
    patient_id: Mapped[int] = mapped_column(ForeignKey("patients.id"))
    assessment_id: Mapped[int] = mapped_column(ForeignKey("assessments.id"))
    language: Mapped[str] = mapped_column(String(5))
    content: Mapped[SecretJSON]  # opening words, a line a past treatment, what is missing, options
    next_step: Mapped[Secret]
    next_step_on: Mapped[date] = mapped_column(Date)
    released_by: Mapped[int] = mapped_column(ForeignKey("staff_users.id"))
    released_at: Mapped[Instant]
    withdrawn_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    withdrawn_by: Mapped[int | None] = mapped_column(ForeignKey("staff_users.id"))
    withdrawn_reason: Mapped[str | None] = mapped_column(Encrypted)  # null: a newer release took its place


class ReleaseDraft(Base):
    """The summary that a prescriber prepares: one a person. `revision` rises with every save."""

    __tablename__ = "release_drafts"

    id: Mapped[PrimaryKey]
    patient_id: Mapped[int] = mapped_column(ForeignKey("patients.id"), unique=True)
    assessment_id: Mapped[int] = mapped_column(ForeignKey("assessments.id"))
    language: Mapped[str] = mapped_column(String(5))
    content: Mapped[SecretJSON]
    next_step: Mapped[str | None] = mapped_column(Encrypted)
    next_step_on: Mapped[date | None] = mapped_column(Date)
    revision: Mapped[int] = mapped_column(SmallInteger)
    edited_by: Mapped[int] = mapped_column(ForeignKey("staff_users.id"))
    edited_at: Mapped[Instant]


class PlanKind(StrEnum):
    """What an item of the care plan is."""

    DECISION_POINT = "decision_point"
    AUGMENTATION = "augmentation"
    MEDICATION = "medication"
    PSYCHOTHERAPY = "psychotherapy"
    EXERCISE = "exercise"
    SLEEP = "sleep"
    NUTRITION = "nutrition"
    STRESS = "stress"
    SOCIAL = "social"
    OTHER = "other"


class PlanState(StrEnum):
    """States of a plan item; transitions in docs/states.md."""

    OPEN = "open"
    DONE = "done"
    DROPPED = "dropped"


@sites.named("item_id")
class PlanItem(Base):
    """One line of the care plan. With a date, a task opens on it."""

    __tablename__ = "plan_items"
    __table_args__ = (
        one_of("kind", [*PlanKind]),
        one_of("state", [*PlanState]),
        CheckConstraint("(state = 'open') = (closed_at IS NULL)", name="closed"),
        CheckConstraint("revision >= 0", name="revision"),
        CheckConstraint("kind <> 'decision_point' OR due_on IS NOT NULL", name="decision_has_a_date"),
        Index("plan_items_patient_idx", "patient_id"),
        Index("plan_items_due_idx", "due_on", postgresql_where=text("state = 'open'")),
    )

    id: Mapped[PrimaryKey]
    patient_id: Mapped[int] = mapped_column(ForeignKey("patients.id"))
    kind: Mapped[Word]
    state: Mapped[Word]
    text: Mapped[Secret]
    for_patient: Mapped[bool] = mapped_column(Boolean)  # shown on the patient's own pages
    due_on: Mapped[date | None] = mapped_column(Date)
    release_id: Mapped[int | None] = mapped_column(ForeignKey("releases.id"))  # the next step of that summary
    revision: Mapped[int] = mapped_column(SmallInteger)  # rises when it is opened again: its date may ring once more
    added_by: Mapped[int] = mapped_column(ForeignKey("staff_users.id"))
    added_at: Mapped[Instant]
    closed_by: Mapped[int | None] = mapped_column(ForeignKey("staff_users.id"))  # null: ticked off by the person
    closed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    outcome: Mapped[str | None] = mapped_column(Encrypted)


class ReferralState(StrEnum):
    """States of a referral; transitions in docs/states.md."""

    DRAFT = "draft"
    SENT = "sent"
    RECEIVED = "received"
    BOOKED = "booked"
    CLOSED = "closed"


class ReferralDirection(StrEnum):
    """Who refers to whom."""

    IN = "in"  # somebody sent the person to us
    OUT = "out"  # we send the person on: ECT, a trial, therapy


@sites.named("referral_id")
class Referral(Base):
    """A referral to us or from us. What may be sent about the person is the person's to say."""

    __tablename__ = "referrals"
    __table_args__ = (
        one_of("direction", [*ReferralDirection]),
        one_of("state", [*ReferralState]),
        CheckConstraint("(state = 'closed') = (closed_at IS NOT NULL)", name="closed"),
        Index("referrals_patient_idx", "patient_id"),
    )

    id: Mapped[PrimaryKey]
    patient_id: Mapped[int] = mapped_column(ForeignKey("patients.id"))
    direction: Mapped[Word]
    state: Mapped[Word]
    about: Mapped[Word]  # an option of the catalogue, or "care" for a referrer
    name: Mapped[Secret]
    organization: Mapped[str | None] = mapped_column(Encrypted)
    contact: Mapped[str | None] = mapped_column(Encrypted)  # phone, fax or email, as given
    reason: Mapped[str | None] = mapped_column(Encrypted)
    may_share: Mapped[bool] = mapped_column(Boolean)  # the person agreed that this one hears from us
    referred_on: Mapped[date | None] = mapped_column(EncryptedDate)
    added_by: Mapped[int] = mapped_column(ForeignKey("staff_users.id"))
    added_at: Mapped[Instant]
    state_since: Mapped[Instant]
    closed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    outcome: Mapped[str | None] = mapped_column(Encrypted)  # what came of it


@sites.named("question_id")
class PatientQuestion(Base):
    """Something that a patient asks from the released pages: about a line, or "I want to discuss"."""

    __tablename__ = "patient_questions"
    __table_args__ = (
        CheckConstraint("(answered_at IS NULL) = (answered_by IS NULL)", name="answered_by_someone"),
        Index("patient_questions_patient_idx", "patient_id"),
        Index("patient_questions_once_key", "patient_id", "form_key", unique=True),
    )

    id: Mapped[PrimaryKey]
    patient_id: Mapped[int] = mapped_column(ForeignKey("patients.id"))
    release_id: Mapped[int | None] = mapped_column(ForeignKey("releases.id"))
    about: Mapped[str] = mapped_column(String(80))  # "trial 2", "option ect"
    text: Mapped[str | None] = mapped_column(Encrypted)
    form_key: Mapped[str] = mapped_column(String(36))  # made with the form: a second send is the same question
    asked_at: Mapped[Instant]
    answered_by: Mapped[int | None] = mapped_column(ForeignKey("staff_users.id"))
    answered_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    answer: Mapped[str | None] = mapped_column(Encrypted)  # what the person was told, for staff


class OptionNote(Base):
    """What this clinic says of a treatment: cost, cover, a figure. The present note is not superseded."""

    __tablename__ = "option_notes"
    __table_args__ = (
        Index(
            "option_notes_present_key",
            "option",
            "field",
            "language",
            unique=True,
            postgresql_where=text("superseded_at IS NULL"),
        ),
    )

    id: Mapped[PrimaryKey]
    option: Mapped[Word]
    field: Mapped[Word]  # cost, cover, note
    language: Mapped[str] = mapped_column(String(5))
    text: Mapped[str] = mapped_column(String(2000))
    source: Mapped[str] = mapped_column(String(300))
    as_of: Mapped[date] = mapped_column(Date)
    edited_by: Mapped[int] = mapped_column(ForeignKey("staff_users.id"))
    edited_at: Mapped[Instant]
    superseded_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
