"""Reads of what is given: records, thresholds, watched visits, adverse events, and what a treatment asks for before it."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import select

from clinic import clock
from clinic.db import db
from clinic.errors import NotFound
from clinic.locations import queries as locations
from clinic.locations.models import Device
from clinic.patients.models import Patient
from clinic.protocols.base import Protocol
from clinic.scheduling import queries as scheduling
from clinic.scheduling.models import Course, SessionState, TreatmentSession
from clinic.scheduling.wishes import protocol_of
from clinic.treatment import rules, watching
from clinic.treatment.models import (
    AdverseEvent,
    MotorThreshold,
    Observation,
    ObservationState,
    ProgramEnrollment,
    Reading,
    RecordState,
    SessionRecord,
    SiteCertification,
    TreatmentHold,
)
from clinic.treatment.watching import Watched

EXPECTED = (SessionState.BOOKED, SessionState.CONFIRMED, SessionState.ARRIVED)
FORMS_SHOWN = 50


def protocol_of_session(row: TreatmentSession) -> Protocol:
    """The protocol of a session's course. Raises NotFound for a visit that belongs to none."""
    if row.course_id is None:
        raise NotFound("this appointment is no session of a course")
    return protocol_of(scheduling.course(row.course_id).protocol)


# -- before a booking ---------------------------------------------------------------------------------------------------


def certification(location_id: int, program: str) -> SiteCertification | None:
    """The present certification of a site."""
    return db.session.scalar(
        select(SiteCertification).where(
            SiteCertification.location_id == location_id,
            SiteCertification.program == program,
            SiteCertification.superseded_at.is_(None),
        )
    )


def certifications(program: str) -> dict[int, SiteCertification]:
    """Present certifications by site."""
    statement = select(SiteCertification).where(
        SiteCertification.program == program, SiteCertification.superseded_at.is_(None)
    )
    return {row.location_id: row for row in db.session.scalars(statement)}


def enrollment(patient_id: int, program: str) -> ProgramEnrollment | None:
    """The present enrollment of a person."""
    return db.session.scalar(
        select(ProgramEnrollment).where(
            ProgramEnrollment.patient_id == patient_id,
            ProgramEnrollment.program == program,
            ProgramEnrollment.superseded_at.is_(None),
        )
    )


def open_holds(patient_id: int, modality: str | None = None) -> Sequence[TreatmentHold]:
    """Holds that nobody lifted, oldest first."""
    statement = select(TreatmentHold).where(TreatmentHold.patient_id == patient_id, TreatmentHold.lifted_at.is_(None))
    if modality is not None:
        statement = statement.where(TreatmentHold.modality == modality)
    return db.session.scalars(statement.order_by(TreatmentHold.placed_at, TreatmentHold.id)).all()


def hold(hold_id: int) -> TreatmentHold:
    """The hold. Raises NotFound."""
    found = db.session.get(TreatmentHold, hold_id)
    if found is None:
        raise NotFound("no such hold")
    return found


def sessions_today(patient_id: int) -> Sequence[TreatmentSession]:
    """Sessions of courses that a person has today, wherever."""
    statement = select(TreatmentSession).where(
        TreatmentSession.patient_id == patient_id,
        TreatmentSession.course_id.is_not(None),
        TreatmentSession.state.in_((*EXPECTED, SessionState.COMPLETED)),
        TreatmentSession.starts_at >= clock.now() - timedelta(hours=20),
        TreatmentSession.starts_at <= clock.now() + timedelta(hours=20),
    )
    zones = locations.zones()
    rows = db.session.scalars(statement.order_by(TreatmentSession.starts_at)).all()
    return [row for row in rows if row.local_on == clock.today(zones[row.location_id])]


# -- TMS ----------------------------------------------------------------------------------------------------------------


def record_of(session_id: int) -> SessionRecord | None:
    """The present record of a session."""
    return db.session.scalar(
        select(SessionRecord).where(SessionRecord.session_id == session_id, SessionRecord.superseded_at.is_(None))
    )


def records_of_course(course_id: int) -> Sequence[tuple[SessionRecord, TreatmentSession]]:
    """Present records of a course with their sessions, in order of time."""
    rows = db.session.execute(
        select(SessionRecord, TreatmentSession)
        .join(TreatmentSession, TreatmentSession.id == SessionRecord.session_id)
        .where(SessionRecord.course_id == course_id, SessionRecord.superseded_at.is_(None))
        .order_by(TreatmentSession.starts_at)
    )
    return [(row[0], row[1]) for row in rows]


def thresholds(course_id: int) -> Sequence[MotorThreshold]:
    """Thresholds of a course, oldest first."""
    statement = select(MotorThreshold).where(MotorThreshold.course_id == course_id)
    return db.session.scalars(statement.order_by(MotorThreshold.measured_at, MotorThreshold.id)).all()


@dataclass(frozen=True)
class ThresholdAge:
    """The present threshold of a course with its age; `why_due`: why the convention asks for a new one, or empty."""

    percent: int
    measured_at: datetime
    days: int
    sessions: int
    why_due: str


def threshold_of(course_id: int) -> ThresholdAge | None:
    """The newest threshold, how old it is in days and delivered sessions; None where none was measured."""
    found = thresholds(course_id)
    if not found:
        return None
    last, now = found[-1], clock.now()
    rows = [row for row in scheduling.sessions(course_id) if row.state == SessionState.COMPLETED]
    since = [row for row in rows if row.ended_at is not None and row.ended_at > last.measured_at]
    days = (now - last.measured_at).days
    gap = (now - max(row.ended_at for row in rows if row.ended_at)).days if rows else 0
    why = ""
    if gap > rules.GAP_DAYS:
        why = f"{gap} days without a session"
    elif len(since) >= rules.THRESHOLD_LASTS_SESSIONS:
        why = f"{len(since)} sessions since it was measured"
    elif days > rules.THRESHOLD_LASTS_DAYS:
        why = f"{days} days old"
    return ThresholdAge(last.percent, last.measured_at, days, len(since), why)


# -- adverse events -----------------------------------------------------------------------------------------------------


def events_of(patient_id: int, *, course_id: int | None = None) -> Sequence[AdverseEvent]:
    """Adverse events that were not voided, oldest first."""
    statement = select(AdverseEvent).where(AdverseEvent.patient_id == patient_id, AdverseEvent.voided_at.is_(None))
    if course_id is not None:
        statement = statement.where(AdverseEvent.course_id == course_id)
    return db.session.scalars(statement.order_by(AdverseEvent.happened_at, AdverseEvent.id)).all()


# -- watched visits -----------------------------------------------------------------------------------------------------


def lock_observation(session_id: int) -> Observation | None:
    """The watched visit of a session, locked; None where none was opened."""
    return db.session.scalar(
        select(Observation)
        .where(Observation.session_id == session_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )


def observation_of(session_id: int) -> Observation | None:
    """The watched visit of a session."""
    return db.session.scalar(select(Observation).where(Observation.session_id == session_id))


def readings_of(observation_ids: Iterable[int]) -> dict[int, list[Reading]]:
    """Readings that were not voided, by watched visit, in order of time."""
    found: dict[int, list[Reading]] = {}
    statement = select(Reading).where(Reading.observation_id.in_(set(observation_ids)), Reading.voided_at.is_(None))
    for row in db.session.scalars(statement.order_by(Reading.taken_at, Reading.id)):
        found.setdefault(row.observation_id, []).append(row)
    return found


def watched(
    session: TreatmentSession, modality: str, observation: Observation | None, readings: Sequence[Reading]
) -> Watched:
    """The facts of a visit for the pure core. Raises NotFound where nobody is watched after this treatment."""
    watch = rules.watch_of(modality)
    if watch is None:
        raise NotFound("nobody is watched after this treatment")
    if observation is None:
        return Watched(starts_at=session.starts_at, is_here=session.state == SessionState.ARRIVED, watch=watch)
    return Watched(
        starts_at=session.starts_at,
        is_here=session.state in (SessionState.ARRIVED, SessionState.COMPLETED),
        watch=watch.model_copy(update={"minimum_minutes": observation.minimum_minutes}),
        readings=[
            watching.Reading(
                taken_at=row.taken_at,
                moment=row.moment,
                systolic=row.systolic,
                diastolic=row.diastolic,
                spo2=row.spo2,
            )
            for row in readings
        ],
        dosed_at=observation.dosed_at,
        has_ride=bool(observation.ride),
        is_decided=observation.decided_by is not None,
        sedation_gone=observation.sedation_gone_at is not None,
        dissociation_gone=observation.dissociation_gone_at is not None,
        ride_here=observation.ride_here_at is not None,
        is_stable=observation.stable_at is not None,
        left_at=observation.left_at,
    )


def confirmed(patient_id: int, modality: str, observation: Observation | None) -> set[str]:
    """What of the list before the dose is ticked or stands on record."""
    watch = rules.watch_of(modality)
    found = set(observation.checks) if observation is not None else set()
    if observation is not None and observation.ride:
        found.add("ride_named")
    if watch is not None and watch.program and enrollment(patient_id, watch.program) is not None:
        found.add("enrolled")
    return found


@dataclass(frozen=True)
class Chair:
    """One visit on the room's board."""

    session: TreatmentSession
    device: str
    initials: str
    record_number: str
    modality: str
    observation: Observation | None
    watched: Watched


def room(location_id: int, on: date) -> list[Chair]:
    """Visits of a day that are watched, in three statements whatever their number."""
    rows = db.session.execute(
        select(TreatmentSession, Device.name, Patient.initials, Patient.record_number, Observation)
        .join(Device, Device.id == TreatmentSession.device_id)
        .join(Patient, Patient.id == TreatmentSession.patient_id)
        .outerjoin(Observation, Observation.session_id == TreatmentSession.id)
        .where(
            TreatmentSession.location_id == location_id,
            TreatmentSession.local_on == on,
            TreatmentSession.need == "obs",
            TreatmentSession.course_id.is_not(None),
            TreatmentSession.state.in_((*EXPECTED, SessionState.COMPLETED)),
        )
        .order_by(TreatmentSession.starts_at, TreatmentSession.id)
    ).all()
    readings = readings_of(row[4].id for row in rows if row[4] is not None)
    modalities = _modalities([row[0].course_id for row in rows])
    return [
        Chair(
            session,
            device,
            initials,
            number,
            modalities[session.course_id],
            seen,
            watched(session, modalities[session.course_id], seen, readings.get(seen.id, []) if seen else []),
        )
        for session, device, initials, number, seen in rows
        if modalities[session.course_id] in rules.watches()
    ]


def _modalities(course_ids: Collection[int | None]) -> dict[int | None, str]:
    rows = db.session.execute(select(Course.id, Course.protocol).where(Course.id.in_(course_ids)))
    return {row.id: protocol_of(row.protocol).modality for row in rows}


def forms_due(location_id: int) -> Sequence[Any]:
    """Forms of closed visits at a site that were not filed: (observation, day of the visit, initials, record number)."""
    return db.session.execute(
        select(Observation, TreatmentSession.local_on, Patient.initials, Patient.record_number)
        .join(TreatmentSession, TreatmentSession.id == Observation.session_id)
        .join(Patient, Patient.id == Observation.patient_id)
        .where(
            TreatmentSession.location_id == location_id,
            Observation.form_due_on.is_not(None),
            Observation.form_filed_at.is_(None),
        )
        .order_by(Observation.form_due_on, Observation.id)
        .limit(FORMS_SHOWN)
    ).all()


# -- what the chart shows ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Mark:
    """Something on a course's axis: an adverse event, or a change of dose or threshold. `session`: delivered until then."""

    at: datetime
    session: int
    kind: str  # event, dose
    text: str
    is_serious: bool = False


def marks_of_course(course_id: int) -> list[Mark]:
    """Adverse events and changes of dose or threshold of a course, in order of time."""
    patient_id = scheduling.course(course_id).patient_id
    ends = sorted(
        row.ended_at
        for row in scheduling.sessions(course_id)
        if row.state == SessionState.COMPLETED and row.ended_at is not None
    )

    def delivered(at: datetime) -> int:
        return sum(end <= at for end in ends)

    found = [
        Mark(
            row.happened_at,
            delivered(row.happened_at),
            "event",
            f"{rules.EVENTS[row.kind]}, {row.severity}{', serious' if row.is_serious else ''}",
            row.is_serious,
        )
        for row in events_of(patient_id, course_id=course_id)
    ]
    found += [
        Mark(row.measured_at, delivered(row.measured_at), "dose", f"threshold {row.percent} %")
        for row in thresholds(course_id)
    ]
    found += _intensities(course_id, delivered)
    found += _doses(course_id, delivered)
    return sorted(found, key=lambda mark: (mark.at, mark.kind, mark.text))


def _intensities(course_id: int, delivered: Any) -> list[Mark]:
    before, found = None, []
    for record, _ in records_of_course(course_id):
        if record.state == RecordState.GIVEN and record.intensity_percent != before:
            before = record.intensity_percent
            at = record.finished_at
            assert at is not None
            found.append(Mark(at, delivered(at), "dose", f"{before} % of the threshold"))
    return found


def _doses(course_id: int, delivered: Any) -> list[Mark]:
    statement = select(Observation).where(
        Observation.course_id == course_id,
        Observation.state.in_((ObservationState.WATCHED, ObservationState.CLOSED)),
        Observation.dose_mg.is_not(None),
    )
    before, found = None, []
    for row in db.session.scalars(statement.order_by(Observation.dosed_at)):
        if row.dose_mg != before and row.dosed_at is not None:
            before = row.dose_mg
            found.append(Mark(row.dosed_at, delivered(row.dosed_at), "dose", f"{before} mg"))
    return found
