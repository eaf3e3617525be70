"""The worklist: one table of what a person at the clinic has to do."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from clinic.db import Base, Encrypted, Instant, PrimaryKey, UTCDateTime, Word, one_of
from clinic.patients import sites


class TaskKind(StrEnum):
    """Why someone has to act. The words shown are in `clinic/tasks/queries.py`."""

    SAFETY = "safety"  # a safety answer; the desk sees "Safety, call by {time}"
    REVIEW_INTAKE = "review_intake"
    BOOK_COURSE = "book_course"
    ASK_PATIENT = "ask_patient"
    MESSAGE_FAILED = "message_failed"
    CANNOT_COME = "cannot_come"
    SURVEY_OVERDUE = "survey_overdue"
    CLINICAL_REVIEW = "clinical_review"
    SECOND_OPINION = "second_opinion"
    PACKET_HOLE = "packet_hole"  # something that a payer asks for is missing
    PATIENT_QUESTION = "patient_question"  # about a line of the released summary, or "I want to discuss"
    PLAN_STEP = "plan_step"  # a decision date of the care plan has come
    REFERRAL = "referral"
    SAFETY_FORM = "safety_form"  # a form that a safety program wants after a visit
    RESCHEDULE = "reschedule"  # a re-plan found no place, or the patient took none
    CALL_PATIENT = "call_patient"  # the person wants calls: say what a message would have said
    UNCLEAR_REPLY = "unclear_reply"  # a text came in that no rule reads
    RUNNING_LATE = "running_late"
    MESSAGES_STUCK = "messages_stuck"  # messages that are due do not go out
    RECORD_OPENED = "record_opened"  # someone opened a record of another site: a manager looks at it
    PREPARE_COURSE = "prepare_course"  # what the protocol asks for before the first session


class TaskLevel(StrEnum):
    """How soon. Levels of safety tasks are the table of the public contracts."""

    URGENT = "urgent"
    SAME_DAY = "same_day"
    LIT = "lit"
    ROUTINE = "routine"


@sites.named("task_id")
class Task(Base):
    """One thing to do. `dedupe_key` keeps a repeated trigger from opening a second task."""

    __tablename__ = "tasks"
    __table_args__ = (
        one_of("kind", [*TaskKind]),
        one_of("level", [*TaskLevel]),
        CheckConstraint("(closed_at IS NULL) = (outcome IS NULL)", name="closed_with_outcome"),
        Index("tasks_open_idx", "due_at", postgresql_where=text("closed_at IS NULL")),
        Index("tasks_dedupe_key", "dedupe_key", unique=True),
        Index("tasks_patient_idx", "patient_id"),
    )

    id: Mapped[PrimaryKey]
    kind: Mapped[Word]
    level: Mapped[Word]
    patient_id: Mapped[int | None] = mapped_column(ForeignKey("patients.id"))
    intake_id: Mapped[int | None] = mapped_column(BigInteger)
    subject: Mapped[dict[str, Any]] = mapped_column(JSONB)  # ids and counts that the wording needs; no health data
    note: Mapped[str | None] = mapped_column(Encrypted)  # clinical detail, for clinical roles only
    for_role: Mapped[Word]
    location_id: Mapped[int | None] = mapped_column(ForeignKey("locations.id"))
    dedupe_key: Mapped[str] = mapped_column(String(120))
    created_at: Mapped[Instant]
    due_at: Mapped[Instant]
    owner_id: Mapped[int | None] = mapped_column(ForeignKey("staff_users.id"))
    taken_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    closed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    outcome: Mapped[str | None] = mapped_column(Encrypted)
