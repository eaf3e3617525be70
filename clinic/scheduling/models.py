"""Courses and their treatment sessions. The constraints here are the last word against a double booking."""

import uuid
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    Integer,
    SmallInteger,
    String,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, ExcludeConstraint
from sqlalchemy.orm import Mapped, mapped_column

from clinic.db import Base, Instant, PrimaryKey, UTCDateTime, Word, one_of
from clinic.patients import sites


class CourseState(StrEnum):
    """States of a course; transitions in docs/states.md."""

    BOOKED = "booked"
    RUNNING = "running"
    PAUSED = "paused"
    COMPLETED = "completed"
    DISCONTINUED = "discontinued"
    CANCELLED = "cancelled"


class SessionState(StrEnum):
    """States of a treatment session; transitions in docs/states.md."""

    BOOKED = "booked"
    CONFIRMED = "confirmed"
    ARRIVED = "arrived"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    NO_SHOW = "no_show"


HOLDS_PLACE = (SessionState.BOOKED, SessionState.CONFIRMED, SessionState.ARRIVED, SessionState.COMPLETED)
HOLDS_PLACE_SQL = "state IN ('booked', 'confirmed', 'arrived', 'completed')"


@sites.binds
@sites.named("course_id")
class Course(Base):
    """A series of sessions under one protocol, booked whole."""

    __tablename__ = "courses"
    __table_args__ = (
        one_of("state", [*CourseState]),
        Index("courses_patient_idx", "patient_id"),
        CheckConstraint("anchor_minute BETWEEN 0 AND 1439", name="anchor"),
    )

    id: Mapped[PrimaryKey]
    patient_id: Mapped[int] = mapped_column(ForeignKey("patients.id"))
    decision_id: Mapped[int] = mapped_column(ForeignKey("decisions.id"))
    protocol: Mapped[str] = mapped_column(String(60))
    protocol_version: Mapped[str] = mapped_column(String(20))
    location_id: Mapped[int] = mapped_column(ForeignKey("locations.id"))
    device_id: Mapped[int] = mapped_column(ForeignKey("devices.id"))  # home device
    anchor_minute: Mapped[int] = mapped_column(SmallInteger)  # usual start, minutes after midnight at the site
    planned_sessions: Mapped[int] = mapped_column(SmallInteger)
    cost: Mapped[int] = mapped_column(Integer)  # the planner's, minutes of deviation
    state: Mapped[Word]
    created_at: Mapped[Instant]
    ended_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


@sites.binds
@sites.named("session_id")
class TreatmentSession(Base):
    """One visit of a course. The patient holds [starts, ends), the device [starts, device_until), staff [starts, ends).

    `spaced_until` is the earliest start of the next session of the same course (start + the protocol's hours between).
    """

    __tablename__ = "treatment_sessions"
    __table_args__ = (
        one_of("state", [*SessionState]),
        CheckConstraint("need IN ('tms', 'map', 'obs')", name="need"),
        CheckConstraint("starts_at < ends_at AND ends_at <= device_until AND starts_at < spaced_until", name="order"),
        CheckConstraint("number >= 1", name="number"),
        ExcludeConstraint(
            (text("int4range(device_id, device_id, '[]')"), "&&"),
            (text("tstzrange(starts_at, device_until, '[)')"), "&&"),
            where=text(HOLDS_PLACE_SQL),
            using="gist",
            name="treatment_sessions_device_overlap",
        ),
        ExcludeConstraint(
            (text("int8range(patient_id, patient_id, '[]')"), "&&"),
            (text("tstzrange(starts_at, ends_at, '[)')"), "&&"),
            where=text(HOLDS_PLACE_SQL),
            using="gist",
            name="treatment_sessions_patient_overlap",
        ),
        ExcludeConstraint(
            (text("int8range(course_id, course_id, '[]')"), "&&"),
            (text("tstzrange(starts_at, spaced_until, '[)')"), "&&"),
            where=text(HOLDS_PLACE_SQL),
            using="gist",
            name="treatment_sessions_spacing",
        ),
        Index("treatment_sessions_course_idx", "course_id", "number"),
        Index("treatment_sessions_location_idx", "location_id", "local_on"),
        Index("treatment_sessions_starts_idx", "starts_at", postgresql_where=text("state IN ('booked', 'confirmed')")),
        Index("treatment_sessions_patient_idx", "patient_id", "starts_at"),
        Index(
            "treatment_sessions_moved_idx",
            "starts_at",
            postgresql_where=text("revision > 0 AND state IN ('booked', 'confirmed')"),
        ),
        Index("treatment_sessions_cancelled_idx", "ended_at", postgresql_where=text("state = 'cancelled'")),
    )

    id: Mapped[PrimaryKey]
    course_id: Mapped[int] = mapped_column(ForeignKey("courses.id"))
    patient_id: Mapped[int] = mapped_column(ForeignKey("patients.id"))
    location_id: Mapped[int] = mapped_column(ForeignKey("locations.id"))
    device_id: Mapped[int] = mapped_column(ForeignKey("devices.id"))
    number: Mapped[int] = mapped_column(SmallInteger)  # 1-based, order in the protocol
    kind: Mapped[Word]  # mapping, daily, taper, ...
    need: Mapped[Word]  # staff pool
    starts_at: Mapped[Instant]
    ends_at: Mapped[Instant]
    device_until: Mapped[Instant]
    spaced_until: Mapped[Instant]
    local_on: Mapped[date]
    state: Mapped[Word]
    revision: Mapped[int] = mapped_column(Integer)  # rises with every move; calendar SEQUENCE
    confirmed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UTCDateTime)  # completed, missed or cancelled at


class CourseProposal(Base):
    """A whole course that was offered. Holds nothing: booking checks again."""

    __tablename__ = "course_proposals"
    __table_args__ = (Index("course_proposals_expires_idx", "expires_at"),)

    id: Mapped[uuid.UUID] = mapped_column(Uuid, primary_key=True)
    patient_id: Mapped[int] = mapped_column(ForeignKey("patients.id"))
    kind: Mapped[Word]  # earliest, steadiest, preferred_place
    protocol: Mapped[str] = mapped_column(String(60))
    request: Mapped[dict[str, Any]] = mapped_column(JSONB)
    plan: Mapped[dict[str, Any]] = mapped_column(JSONB)  # location, anchor, home device, visits, cost and its parts
    created_at: Mapped[Instant]
    expires_at: Mapped[Instant]
    course_id: Mapped[int | None] = mapped_column(BigInteger)  # set when it was booked
