"""An intake: pages as they were left, medicine rows, and the record as it was sent."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, Integer, SmallInteger, String
from sqlalchemy.orm import Mapped, mapped_column

from clinic.db import Base, EncryptedJSON, Instant, PrimaryKey, SecretJSON, UTCDateTime, Word, one_of


class IntakeState(StrEnum):
    """States of an intake; transitions in docs/states.md."""

    OPEN = "open"
    SUBMITTED = "submitted"
    SUPERSEDED = "superseded"


class Intake(Base):
    """One person's form. It has a patient once "about you" is saved. Sending it freezes `record`."""

    __tablename__ = "intakes"
    __table_args__ = (
        one_of("state", [*IntakeState]),
        CheckConstraint(
            "state = 'open' OR (submitted_at IS NOT NULL AND record IS NOT NULL AND patient_id IS NOT NULL)",
            name="sent_whole",
        ),
        Index("intakes_patient_idx", "patient_id"),
    )

    id: Mapped[PrimaryKey]
    patient_id: Mapped[int | None] = mapped_column(ForeignKey("patients.id"))
    state: Mapped[Word]
    language: Mapped[str] = mapped_column(String(5))
    started_at: Mapped[Instant]
    saved_at: Mapped[Instant]
    submitted_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    record: Mapped[Any | None] = mapped_column(EncryptedJSON)  # the IntakeRecord as sent


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
