"""Check-ins sent during a course or asked for by the clinic, and scores from wherever they came."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, Boolean, CheckConstraint, ForeignKey, Index, SmallInteger, String, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from clinic.db import Base, Encrypted, EncryptedJSON, Instant, PrimaryKey, SecretJSON, UTCDateTime, Word, one_of
from clinic.patients import sites


class SurveyState(StrEnum):
    """States of a check-in; transitions in docs/states.md."""

    OPEN = "open"
    ANSWERED = "answered"
    MISSED = "missed"  # two weeks passed, and nothing was answered
    CANCELLED = "cancelled"  # its course ended before anything was answered


@sites.named("survey_id")
class Survey(Base):
    """One check-in: questionnaires that are asked together.

    `occasion` is what it belongs to: "baseline", "session:10", "week:2", "hours:3", "after:90" of its course, or
    "asked:..." where a person at the clinic asked for it. `milestone`: sessions that were delivered when it was opened.
    """

    __tablename__ = "surveys"
    __table_args__ = (
        one_of("state", [*SurveyState]),
        CheckConstraint("(state = 'answered') = (answered_at IS NOT NULL)", name="answered"),
        CheckConstraint("cardinality(instruments) >= 1", name="instruments"),
        Index("surveys_once_key", "course_id", "occasion", unique=True),
        Index("surveys_asked_key", "patient_id", "occasion", unique=True, postgresql_where=text("course_id IS NULL")),
        Index("surveys_patient_idx", "patient_id", "due_at"),
        Index("surveys_open_idx", "due_at", postgresql_where=text("state = 'open'")),
    )

    id: Mapped[PrimaryKey]
    patient_id: Mapped[int] = mapped_column(ForeignKey("patients.id"))
    course_id: Mapped[int | None] = mapped_column(ForeignKey("courses.id"))
    occasion: Mapped[str] = mapped_column(String(60))
    instruments: Mapped[list[str]] = mapped_column(ARRAY(String(40)))
    milestone: Mapped[int] = mapped_column(SmallInteger)
    state: Mapped[Word]
    due_at: Mapped[Instant]
    late_after: Mapped[Instant]
    draft: Mapped[Any | None] = mapped_column(EncryptedJSON)  # answers so far
    saved_at: Mapped[datetime | None] = mapped_column(UTCDateTime)  # of the last answer in the draft
    answered_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    is_late: Mapped[bool] = mapped_column(Boolean)


class Score(Base):
    """A scored questionnaire. `total` is null where too many items are missing; missing items never count as 0.

    Never edited: a correction is a new row, and the one before has `superseded_at`.
    """

    __tablename__ = "scores"
    __table_args__ = (
        CheckConstraint("source IN ('intake', 'survey', 'paper', 'staff')", name="source"),
        Index("scores_patient_idx", "patient_id", "instrument", "taken_at"),
        Index(
            "scores_survey_key",
            "survey_id",
            "instrument",
            unique=True,
            postgresql_where=text("superseded_at IS NULL"),
        ),
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
    entered_by: Mapped[int | None] = mapped_column(ForeignKey("staff_users.id"))  # from paper
    superseded_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class WeeklyAsk(Base):
    """A course that is asked every week, because a payer wants it. The present one has no `ended_at`."""

    __tablename__ = "weekly_asks"
    __table_args__ = (
        Index("weekly_asks_present_key", "course_id", unique=True, postgresql_where=text("ended_at IS NULL")),
    )

    id: Mapped[PrimaryKey]
    course_id: Mapped[int] = mapped_column(ForeignKey("courses.id"))
    reason: Mapped[str] = mapped_column(Encrypted)  # who wants it, e.g. the payer's policy
    asked_by: Mapped[int] = mapped_column(ForeignKey("staff_users.id"))
    asked_at: Mapped[Instant]
    ended_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
