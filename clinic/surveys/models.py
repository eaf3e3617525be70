"""Questionnaires sent during a course, and scores from wherever they came."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, Boolean, CheckConstraint, ForeignKey, Index, SmallInteger, String
from sqlalchemy.orm import Mapped, mapped_column

from clinic.db import Base, EncryptedJSON, Instant, PrimaryKey, SecretJSON, UTCDateTime, Word, one_of


class SurveyState(StrEnum):
    """States of a survey; transitions in docs/states.md."""

    OPEN = "open"
    ANSWERED = "answered"
    CANCELLED = "cancelled"  # its course ended before it was answered


class Survey(Base):
    """One sending of one instrument. `milestone` is the number of delivered sessions it belongs to (0 = baseline)."""

    __tablename__ = "surveys"
    __table_args__ = (
        one_of("state", [*SurveyState]),
        CheckConstraint("(state = 'answered') = (answered_at IS NOT NULL)", name="answered"),
        Index("surveys_once_key", "course_id", "instrument", "milestone", unique=True),
        Index("surveys_patient_idx", "patient_id"),
    )

    id: Mapped[PrimaryKey]
    patient_id: Mapped[int] = mapped_column(ForeignKey("patients.id"))
    course_id: Mapped[int] = mapped_column(ForeignKey("courses.id"))
    instrument: Mapped[Word]
    instrument_version: Mapped[str] = mapped_column(String(20))
    milestone: Mapped[int] = mapped_column(SmallInteger)
    state: Mapped[Word]
    due_at: Mapped[Instant]
    late_after: Mapped[Instant]
    draft: Mapped[Any | None] = mapped_column(EncryptedJSON)  # answers so far
    answered_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    is_late: Mapped[bool] = mapped_column(Boolean)


class Score(Base):
    """A scored questionnaire. `total` is null where too many items are missing; missing items never count as 0."""

    __tablename__ = "scores"
    __table_args__ = (
        CheckConstraint("source IN ('intake', 'survey', 'paper', 'staff')", name="source"),
        Index("scores_patient_idx", "patient_id", "instrument", "taken_at"),
        Index("scores_survey_key", "survey_id", unique=True),
        Index("scores_intake_key", "intake_id", "instrument", unique=True),
    )

    id: Mapped[PrimaryKey]
    patient_id: Mapped[int] = mapped_column(ForeignKey("patients.id"))
    instrument: Mapped[Word]
    instrument_version: Mapped[str] = mapped_column(String(20))
    items: Mapped[SecretJSON]
    result: Mapped[SecretJSON]  # total, band, imputed items
    taken_at: Mapped[Instant]
    source: Mapped[Word]
    intake_id: Mapped[int | None] = mapped_column(BigInteger)
    survey_id: Mapped[int | None] = mapped_column(ForeignKey("surveys.id"))
    course_id: Mapped[int | None] = mapped_column(ForeignKey("courses.id"))
    delivered_sessions: Mapped[int | None] = mapped_column(SmallInteger)  # of that course when it was taken
