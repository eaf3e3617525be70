"""What is given: records of TMS sessions, visits that are watched, adverse events, and what a treatment asks for before it."""

from datetime import date, datetime
from enum import StrEnum

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Date, ForeignKey, Index, SmallInteger, String, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from clinic.db import Base, Encrypted, Instant, PrimaryKey, Secret, SecretJSON, UTCDateTime, Word, one_of
from clinic.patients import sites
from clinic.treatment.rules import EVENTS, SEVERITIES


class SiteCertification(Base):
    """A site may give what a safety program covers. The present one is not superseded."""

    __tablename__ = "site_certifications"
    __table_args__ = (
        CheckConstraint("expires_on IS NULL OR certified_on < expires_on", name="order"),
        Index(
            "site_certifications_present_key",
            "location_id",
            "program",
            unique=True,
            postgresql_where=text("superseded_at IS NULL"),
        ),
    )

    id: Mapped[PrimaryKey]
    location_id: Mapped[int] = mapped_column(ForeignKey("locations.id"))
    program: Mapped[Word]
    number: Mapped[str] = mapped_column(String(60))
    certified_on: Mapped[date] = mapped_column(Date)
    expires_on: Mapped[date | None] = mapped_column(Date)
    recorded_by: Mapped[int] = mapped_column(ForeignKey("staff_users.id"))
    recorded_at: Mapped[Instant]
    superseded_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class ProgramEnrollment(Base):
    """A person is enrolled in a safety program. The present enrollment is not superseded."""

    __tablename__ = "program_enrollments"
    __table_args__ = (
        Index(
            "program_enrollments_present_key",
            "patient_id",
            "program",
            unique=True,
            postgresql_where=text("superseded_at IS NULL"),
        ),
    )

    id: Mapped[PrimaryKey]
    patient_id: Mapped[int] = mapped_column(ForeignKey("patients.id"))
    program: Mapped[Word]
    number: Mapped[Secret]
    enrolled_on: Mapped[date] = mapped_column(Date)
    recorded_by: Mapped[int] = mapped_column(ForeignKey("staff_users.id"))
    recorded_at: Mapped[Instant]
    superseded_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class MotorThreshold(Base):
    """A measured motor threshold, in percent of the device's output. Appended; the newest of a course counts."""

    __tablename__ = "motor_thresholds"
    __table_args__ = (
        CheckConstraint("percent BETWEEN 1 AND 100", name="percent"),
        Index("motor_thresholds_course_idx", "course_id", "measured_at"),
    )

    id: Mapped[PrimaryKey]
    patient_id: Mapped[int] = mapped_column(ForeignKey("patients.id"))
    course_id: Mapped[int] = mapped_column(ForeignKey("courses.id"))
    session_id: Mapped[int] = mapped_column(ForeignKey("treatment_sessions.id"))
    percent: Mapped[int] = mapped_column(SmallInteger)
    measured_at: Mapped[Instant]
    recorded_by: Mapped[int] = mapped_column(ForeignKey("staff_users.id"))


class RecordState(StrEnum):
    """States of a session's record; transitions in docs/states.md."""

    OPEN = "open"  # the checks of the day are in
    GIVEN = "given"
    NOT_GIVEN = "not_given"  # held today, with a reason


class SessionRecord(Base):
    """What was checked, given and felt at one TMS session. The present one is not superseded."""

    __tablename__ = "session_records"
    __table_args__ = (
        one_of("state", [*RecordState]),
        CheckConstraint(
            "state <> 'given' OR (intensity_percent IS NOT NULL AND finished_at IS NOT NULL)", name="given"
        ),
        CheckConstraint("state <> 'not_given' OR reason IS NOT NULL", name="not_given"),
        CheckConstraint("intensity_percent BETWEEN 1 AND 200", name="intensity"),
        CheckConstraint("headache BETWEEN 0 AND 10 AND scalp_pain BETWEEN 0 AND 10", name="pain"),
        Index("session_records_present_key", "session_id", unique=True, postgresql_where=text("superseded_at IS NULL")),
        Index("session_records_course_idx", "course_id"),
    )

    id: Mapped[PrimaryKey]
    patient_id: Mapped[int] = mapped_column(ForeignKey("patients.id"))
    course_id: Mapped[int] = mapped_column(ForeignKey("courses.id"))
    session_id: Mapped[int] = mapped_column(ForeignKey("treatment_sessions.id"))
    state: Mapped[Word]
    checks: Mapped[SecretJSON]
    concerns: Mapped[list[str]] = mapped_column(ARRAY(String(60)))
    cleared_by: Mapped[int | None] = mapped_column(ForeignKey("staff_users.id"))  # the prescriber who was asked
    cleared_words: Mapped[str | None] = mapped_column(Encrypted)
    threshold_percent: Mapped[int | None] = mapped_column(SmallInteger)  # as it stood at this session
    intensity_percent: Mapped[int | None] = mapped_column(SmallInteger)  # of the threshold
    pulses: Mapped[int | None]
    headache: Mapped[int | None] = mapped_column(SmallInteger)
    scalp_pain: Mapped[int | None] = mapped_column(SmallInteger)
    note: Mapped[str | None] = mapped_column(Encrypted)
    reason: Mapped[str | None] = mapped_column(Encrypted)  # why it was not given
    opened_by: Mapped[int] = mapped_column(ForeignKey("staff_users.id"))
    opened_at: Mapped[Instant]
    finished_by: Mapped[int | None] = mapped_column(ForeignKey("staff_users.id"))
    finished_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    superseded_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class AdverseEvent(Base):
    """Something unwanted at or after a session. Never edited: one that was a mistake is voided."""

    __tablename__ = "adverse_events"
    __table_args__ = (
        one_of("kind", [*EVENTS]),
        one_of("severity", [*SEVERITIES]),
        Index("adverse_events_patient_idx", "patient_id", "happened_at"),
    )

    id: Mapped[PrimaryKey]
    patient_id: Mapped[int] = mapped_column(ForeignKey("patients.id"))
    course_id: Mapped[int | None] = mapped_column(ForeignKey("courses.id"))
    session_id: Mapped[int | None] = mapped_column(ForeignKey("treatment_sessions.id"))
    kind: Mapped[Word]
    severity: Mapped[Word]
    is_serious: Mapped[bool] = mapped_column(Boolean)
    happened_at: Mapped[Instant]
    note: Mapped[Secret]
    recorded_by: Mapped[int] = mapped_column(ForeignKey("staff_users.id"))
    recorded_at: Mapped[Instant]
    voided_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


@sites.named("hold_id")
class TreatmentHold(Base):
    """No session of this kind begins until a prescriber lifts it, with a reason."""

    __tablename__ = "treatment_holds"
    __table_args__ = (
        CheckConstraint("(lifted_at IS NULL) = (lifted_by IS NULL)", name="lifted_by_someone"),
        CheckConstraint("lifted_at IS NULL OR lifted_reason IS NOT NULL", name="lifted_with_a_reason"),
        Index(
            "treatment_holds_open_key",
            "patient_id",
            "modality",
            "code",
            unique=True,
            postgresql_where=text("lifted_at IS NULL"),
        ),
    )

    id: Mapped[PrimaryKey]
    patient_id: Mapped[int] = mapped_column(ForeignKey("patients.id"))
    modality: Mapped[Word]
    code: Mapped[Word]
    event_id: Mapped[int | None] = mapped_column(ForeignKey("adverse_events.id"))
    placed_at: Mapped[Instant]
    lifted_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    lifted_by: Mapped[int | None] = mapped_column(ForeignKey("staff_users.id"))
    lifted_reason: Mapped[str | None] = mapped_column(Encrypted)


class ObservationState(StrEnum):
    """States of a watched visit; transitions in docs/states.md."""

    OPEN = "open"
    WATCHED = "watched"  # the dose was given
    CLOSED = "closed"
    NOT_GIVEN = "not_given"


class Observation(Base):
    """One visit that is watched after a dose. What closing asks for stands in its constraints too."""

    __tablename__ = "observations"
    __table_args__ = (
        one_of("state", [*ObservationState]),
        CheckConstraint("(state IN ('watched', 'closed')) = (dosed_at IS NOT NULL)", name="dosed"),
        CheckConstraint(
            "state <> 'closed' OR (left_at IS NOT NULL"
            " AND left_at >= dosed_at + make_interval(mins => minimum_minutes))",
            name="watched_long_enough",
        ),
        CheckConstraint(
            "state <> 'closed' OR (before_id IS NOT NULL AND during_id IS NOT NULL AND leaving_id IS NOT NULL)",
            name="three_pressures",
        ),
        CheckConstraint("state <> 'not_given' OR reason IS NOT NULL", name="not_given"),
        CheckConstraint("form_filed_at IS NULL OR form_reference IS NOT NULL", name="form"),
        CheckConstraint("minimum_minutes >= 0", name="minimum"),
        Index("observations_session_key", "session_id", unique=True),
        Index(
            "observations_form_idx",
            "form_due_on",
            postgresql_where=text("form_due_on IS NOT NULL AND form_filed_at IS NULL"),
        ),
    )

    id: Mapped[PrimaryKey]
    patient_id: Mapped[int] = mapped_column(ForeignKey("patients.id"))
    course_id: Mapped[int] = mapped_column(ForeignKey("courses.id"))
    session_id: Mapped[int] = mapped_column(ForeignKey("treatment_sessions.id"))
    modality: Mapped[Word]
    state: Mapped[Word]
    rules_version: Mapped[int] = mapped_column(SmallInteger)
    minimum_minutes: Mapped[int] = mapped_column(SmallInteger)  # of the rules at that time
    checks: Mapped[list[str]] = mapped_column(ARRAY(String(40)))  # of the list before the dose, confirmed
    ride: Mapped[str | None] = mapped_column(Encrypted)  # who takes the person home, and a phone
    decision: Mapped[str | None] = mapped_column(Encrypted)  # of a prescriber about a high pressure
    decided_by: Mapped[int | None] = mapped_column(ForeignKey("staff_users.id"))
    dose_mg: Mapped[int | None] = mapped_column(SmallInteger)
    lot: Mapped[str | None] = mapped_column(String(40))
    dosed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    sedation_gone_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    dissociation_gone_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    ride_here_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    stable_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    stable_by: Mapped[int | None] = mapped_column(ForeignKey("staff_users.id"))
    left_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    before_id: Mapped[int | None] = mapped_column(BigInteger)  # the readings that closing rests on
    during_id: Mapped[int | None] = mapped_column(BigInteger)
    leaving_id: Mapped[int | None] = mapped_column(BigInteger)
    reason: Mapped[str | None] = mapped_column(Encrypted)  # why it was not given
    form_due_on: Mapped[date | None] = mapped_column(Date)
    form_filed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    form_reference: Mapped[str | None] = mapped_column(Encrypted)
    opened_at: Mapped[Instant]


class Reading(Base):
    """A blood pressure in mmHg, with the oxygen beside it. Appended: one that was a slip is voided."""

    __tablename__ = "readings"
    __table_args__ = (
        CheckConstraint(
            "systolic BETWEEN 50 AND 300 AND diastolic BETWEEN 20 AND 200 AND diastolic < systolic", name="pressure"
        ),
        CheckConstraint("spo2 BETWEEN 50 AND 100", name="spo2"),
        CheckConstraint("sedation BETWEEN 0 AND 5", name="sedation"),
        Index("readings_observation_idx", "observation_id", "taken_at"),
    )

    id: Mapped[PrimaryKey]
    observation_id: Mapped[int] = mapped_column(ForeignKey("observations.id"))
    patient_id: Mapped[int] = mapped_column(ForeignKey("patients.id"))
    taken_at: Mapped[Instant]
    moment: Mapped[Word]  # before, the minute of a check, leaving, extra
    systolic: Mapped[int] = mapped_column(SmallInteger)
    diastolic: Mapped[int] = mapped_column(SmallInteger)
    spo2: Mapped[int | None] = mapped_column(SmallInteger)
    sedation: Mapped[int | None] = mapped_column(SmallInteger)  # MOAA/S, 5 alert to 0 unresponsive
    recorded_by: Mapped[int] = mapped_column(ForeignKey("staff_users.id"))
    voided_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
