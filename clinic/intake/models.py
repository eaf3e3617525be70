"""An intake: pages as they were left, medicine rows, and the record as it was sent."""

from datetime import date, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, Integer, LargeBinary, SmallInteger, String, text
from sqlalchemy.orm import Mapped, mapped_column

from clinic.db import (
    Base,
    Encrypted,
    EncryptedBytes,
    EncryptedDate,
    EncryptedJSON,
    Instant,
    PrimaryKey,
    Secret,
    SecretJSON,
    UTCDateTime,
    Word,
    one_of,
)
from clinic.patients import sites


class IntakeState(StrEnum):
    """States of an intake; transitions in docs/states.md."""

    OPEN = "open"
    SUBMITTED = "submitted"
    SUPERSEDED = "superseded"
    DROPPED = "dropped"  # a form that staff opened and gave up


@sites.named("intake_id", "on_behalf")
class Intake(Base):
    """One person's form. It has a patient once "about you" is saved. Sending it freezes `record`."""

    __tablename__ = "intakes"
    __table_args__ = (
        one_of("state", [*IntakeState]),
        CheckConstraint(
            "state IN ('open', 'dropped') OR (submitted_at IS NOT NULL AND record IS NOT NULL AND patient_id IS NOT NULL)",
            name="sent_whole",
        ),
        CheckConstraint("corrects_id IS NULL OR reason IS NOT NULL", name="correction_has_reason"),
        CheckConstraint("state <> 'dropped' OR entered_by IS NOT NULL", name="dropped_by_staff"),
        Index("intakes_patient_idx", "patient_id"),
        Index("intakes_left_idx", "saved_at", postgresql_where=text("state = 'open'")),
        Index(
            "intakes_staff_open_key",
            "patient_id",
            unique=True,
            postgresql_where=text("state = 'open' AND entered_by IS NOT NULL"),
        ),
    )

    id: Mapped[PrimaryKey]
    patient_id: Mapped[int | None] = mapped_column(ForeignKey("patients.id"))
    state: Mapped[Word]
    language: Mapped[str] = mapped_column(String(5))
    started_at: Mapped[Instant]
    saved_at: Mapped[Instant]
    submitted_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    record: Mapped[Any | None] = mapped_column(EncryptedJSON)  # the IntakeRecord as sent
    base_record: Mapped[Any | None] = mapped_column(EncryptedJSON)  # a record that was sent whole, without pages
    corrects_id: Mapped[int | None] = mapped_column(ForeignKey("intakes.id"))  # the sent intake that this one corrects
    entered_by: Mapped[int | None] = mapped_column(ForeignKey("staff_users.id"))  # staff who fill it in for the person
    reason: Mapped[str | None] = mapped_column(Encrypted)  # why it was corrected


class IntakePage(Base):
    """The answers of one page as last saved. `revision` rises with every save, so that a second tab is noticed."""

    __tablename__ = "intake_pages"
    __table_args__ = (Index("intake_pages_page_key", "intake_id", "page", unique=True),)

    id: Mapped[PrimaryKey]
    intake_id: Mapped[int] = mapped_column(ForeignKey("intakes.id"))
    page: Mapped[Word]
    answers: Mapped[SecretJSON]
    revision: Mapped[int] = mapped_column(Integer)
    is_complete: Mapped[bool]
    saved_at: Mapped[Instant]


class IntakeTrial(Base):
    """One medicine row. `key` is made by the browser, so that a repeated send makes one row."""

    __tablename__ = "intake_trials"
    __table_args__ = (Index("intake_trials_key_key", "intake_id", "key", unique=True),)

    id: Mapped[PrimaryKey]
    intake_id: Mapped[int] = mapped_column(ForeignKey("intakes.id"))
    key: Mapped[str] = mapped_column(String(36))
    position: Mapped[int] = mapped_column(SmallInteger)
    answers: Mapped[SecretJSON]
    saved_at: Mapped[Instant]
    removed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class AmendmentSource(StrEnum):
    """Where a fact came from that was added after the form was sent."""

    PATIENT = "patient"  # an answer to "ask the patient"
    CLINICIAN = "clinician"  # a change of diagnosis, a fact from the interview
    DOCUMENT = "document"  # a pharmacy list, a letter, a test result
    SCORE = "score"  # an instrument that staff enter


class Amendment(Base):
    """One fact laid over what the pages say. A correction copies those of the intake that it corrects."""

    __tablename__ = "intake_amendments"
    __table_args__ = (one_of("source", [*AmendmentSource]), Index("intake_amendments_intake_idx", "intake_id"))

    id: Mapped[PrimaryKey]
    intake_id: Mapped[int] = mapped_column(ForeignKey("intakes.id"))
    trial_key: Mapped[str | None] = mapped_column(
        String(36)
    )  # the medicine row that `path` starts from, else the record
    path: Mapped[str] = mapped_column(String(120))  # "dose_mg_per_day", "episode.diagnosis"
    value: Mapped[SecretJSON]  # {"value": ...}; null: taken back, not known
    source: Mapped[Word]
    amended_by: Mapped[int | None] = mapped_column(ForeignKey("staff_users.id"))  # null: the person
    amended_at: Mapped[Instant]


class AttachmentKind(StrEnum):
    """What a file is."""

    PHARMACY_LIST = "pharmacy_list"
    TEST_RESULT = "test_result"  # blood, thyroid, a sleep study
    GENE_TEST = "gene_test"  # never an input to a verdict
    LETTER = "letter"
    OTHER = "other"


@sites.named("attachment_id")
class Attachment(Base):
    """A file of a person's history, sealed. Never edited; `removed_at` takes it off the lists."""

    __tablename__ = "attachments"
    __table_args__ = (
        one_of("kind", [*AttachmentKind]),
        CheckConstraint("size > 0", name="size"),
        CheckConstraint("patient_id IS NOT NULL OR intake_id IS NOT NULL", name="of_someone"),
        Index("attachments_patient_idx", "patient_id"),
        Index("attachments_intake_idx", "intake_id"),
    )

    id: Mapped[PrimaryKey]
    patient_id: Mapped[int | None] = mapped_column(ForeignKey("patients.id"))
    intake_id: Mapped[int | None] = mapped_column(ForeignKey("intakes.id"))
    kind: Mapped[Word]
    name: Mapped[Secret]  # as the person's device calls it
    media_type: Mapped[str] = mapped_column(String(80))  # by content, not by name
    size: Mapped[int] = mapped_column(Integer)
    content_hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    content: Mapped[bytes] = mapped_column(EncryptedBytes, deferred=True)
    about_on: Mapped[date | None] = mapped_column(EncryptedDate)  # the day of the test or of the list
    added_by: Mapped[int | None] = mapped_column(ForeignKey("staff_users.id"))  # null: the person
    added_at: Mapped[Instant]
    removed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class IntakeConsent(Base):
    """A yes or a no to one consent text, with the version that was shown. Appended."""

    __tablename__ = "intake_consents"
    __table_args__ = (Index("intake_consents_intake_idx", "intake_id"),)

    id: Mapped[PrimaryKey]
    intake_id: Mapped[int] = mapped_column(ForeignKey("intakes.id"))
    consent: Mapped[Word]  # key of a text in clinic/intake/consents
    version: Mapped[str] = mapped_column(String(20))
    language: Mapped[str] = mapped_column(String(5))
    text_hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    granted: Mapped[bool]
    answered_at: Mapped[Instant]


class ScreenScore(Base):
    """The score of an instrument that staff enter: its items may not be shown. The present one is not superseded."""

    __tablename__ = "screen_scores"
    __table_args__ = (Index("screen_scores_patient_idx", "patient_id", postgresql_where=text("superseded_at IS NULL")),)

    id: Mapped[PrimaryKey]
    patient_id: Mapped[int] = mapped_column(ForeignKey("patients.id"))
    instrument: Mapped[Word]
    total: Mapped[int] = mapped_column(SmallInteger)
    parts: Mapped[Any | None] = mapped_column(EncryptedJSON)
    taken_on: Mapped[date] = mapped_column(EncryptedDate)
    note: Mapped[str | None] = mapped_column(Encrypted)
    entered_by: Mapped[int] = mapped_column(ForeignKey("staff_users.id"))
    entered_at: Mapped[Instant]
    superseded_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
