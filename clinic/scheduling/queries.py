"""Reads of courses and sessions, and the row locks that every change takes first, in one fixed order."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import and_, exists, func, or_, select

from clinic import clock
from clinic.db import db
from clinic.errors import NotFound
from clinic.locations.models import Device, Location
from clinic.patients.models import Patient
from clinic.scheduling.models import HOLDS_PLACE, Course, CourseProposal, CourseState, SessionState, TreatmentSession

AHEAD = (SessionState.BOOKED, SessionState.CONFIRMED)
OPEN_COURSES = (CourseState.BOOKED, CourseState.RUNNING, CourseState.PAUSED)


def course(course_id: int) -> Course:
    """The course. Raises NotFound."""
    found = db.session.get(Course, course_id)
    if found is None:
        raise NotFound("no such course")
    return found


def session(session_id: int) -> TreatmentSession:
    """The session. Raises NotFound."""
    found = db.session.get(TreatmentSession, session_id)
    if found is None:
        raise NotFound("no such appointment")
    return found


def proposal(proposal_id: object) -> CourseProposal:
    """The proposal. Raises NotFound."""
    found = db.session.get(CourseProposal, proposal_id)
    if found is None:
        raise NotFound("no such proposal")
    return found


def proposals(ids: Sequence[object]) -> list[CourseProposal]:
    """Proposals in the order of their ids as given."""
    rows = {row.id: row for row in db.session.scalars(select(CourseProposal).where(CourseProposal.id.in_(ids)))}
    return [rows[x] for x in ids if x in rows]  # type: ignore[index]


def sessions(course_id: int) -> Sequence[TreatmentSession]:
    """Every session of a course in order of time, cancelled ones too."""
    return db.session.scalars(
        select(TreatmentSession)
        .where(TreatmentSession.course_id == course_id)
        .order_by(TreatmentSession.starts_at, TreatmentSession.id)
    ).all()


def courses_of(patient_id: int) -> Sequence[Course]:
    """A person's courses, newest first."""
    return db.session.scalars(select(Course).where(Course.patient_id == patient_id).order_by(Course.id.desc())).all()


# -- locks: patient, devices by id, locations by id -----------------------------------------------------------------


def lock_patient(patient_id: int) -> None:
    """First of the locks. Key-sharing, so that rows that merely name the patient can still be written."""
    statement = select(Patient.id).where(Patient.id == patient_id).with_for_update(key_share=True)
    if db.session.scalar(statement) is None:
        raise NotFound("no such patient")


def lock_devices(ids: Collection[int]) -> dict[int, int]:
    """Second: devices in id order; answers turnover minutes by id. Raises NotFound."""
    rows = db.session.execute(
        select(Device.id, Device.turnover_minutes)
        .where(Device.id.in_(ids))
        .order_by(Device.id)
        .with_for_update(key_share=True)
    ).all()
    if len(rows) < len(set(ids)):
        raise NotFound("no such device")
    return {row.id: row.turnover_minutes for row in rows}


def lock_locations(ids: Collection[int]) -> dict[int, int]:
    """Third: locations, the staff pools, in id order; answers their schedule versions."""
    rows = db.session.execute(
        select(Location.id, Location.schedule_version)
        .where(Location.id.in_(ids))
        .order_by(Location.id)
        .with_for_update(key_share=True)
    )
    return {row.id: row.schedule_version for row in rows}


def lock_course(course_id: int) -> Course:
    """The course as it is after the lock on its patient. Raises NotFound."""
    patient_id = db.session.scalar(select(Course.patient_id).where(Course.id == course_id))
    if patient_id is None:
        raise NotFound("no such course")
    lock_patient(patient_id)
    return db.session.get_one(Course, course_id, populate_existing=True)


def lock_session(session_id: int) -> TreatmentSession:
    """The session as it is after the lock on its patient. Raises NotFound."""
    patient_id = db.session.scalar(select(TreatmentSession.patient_id).where(TreatmentSession.id == session_id))
    if patient_id is None:
        raise NotFound("no such appointment")
    lock_patient(patient_id)
    return db.session.get_one(TreatmentSession, session_id, populate_existing=True)


# -- facts ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Held:
    """A span of time that a patient holds."""

    session_id: int
    course_id: int
    starts_at: datetime
    ends_at: datetime
    tz: str


def held_by_patient(patient_id: int, *, since: datetime | None = None) -> list[Held]:
    """What a person has booked, over all courses and sites."""
    rows = db.session.execute(
        select(
            TreatmentSession.id,
            TreatmentSession.course_id,
            TreatmentSession.starts_at,
            TreatmentSession.ends_at,
            Location.tz,
        )
        .join(Location, Location.id == TreatmentSession.location_id)
        .where(
            TreatmentSession.patient_id == patient_id,
            TreatmentSession.state.in_(HOLDS_PLACE),
            TreatmentSession.starts_at >= (since or clock.now() - timedelta(days=1)),
        )
        .order_by(TreatmentSession.starts_at)
    )
    return [Held(*row) for row in rows]


def sites_offering(protocol: str) -> list[int]:
    """Sites in use with a device that gives this protocol, by name."""
    offered = exists().where(
        Device.location_id == Location.id, Device.retired_at.is_(None), Device.protocols.contains([protocol])
    )
    statement = select(Location.id).where(Location.retired_at.is_(None), offered).order_by(Location.name)
    return list(db.session.scalars(statement))


def devices(ids: Collection[int]) -> dict[int, Device]:
    """Devices by id; one that does not exist is missing."""
    return {row.id: row for row in db.session.scalars(select(Device).where(Device.id.in_(set(ids))))}


# -- the day --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class DayRow:
    """One session on a day list: initials and record number only, because lists stand on shared screens."""

    id: int
    course_id: int
    patient_id: int
    initials: str
    record_number: str
    device_id: int
    device: str
    number: int
    planned: int
    kind: str
    starts_at: datetime
    ends_at: datetime
    state: str


def busy_sites(location_ids: Collection[int], since: date) -> set[int]:
    """Which of these sites have sessions on that local date or in the week after it."""
    until = since + timedelta(days=7)
    return set(
        db.session.scalars(
            select(TreatmentSession.location_id)
            .where(
                TreatmentSession.location_id.in_(location_ids),
                TreatmentSession.local_on.between(since, until),
                TreatmentSession.state.in_(HOLDS_PLACE),
            )
            .distinct()
        )
    )


def day_list(location_id: int, on: date) -> list[DayRow]:
    """Sessions of one site on one local date, by time, then device; cancelled ones left out. One query."""
    rows = db.session.execute(
        select(
            TreatmentSession.id,
            TreatmentSession.course_id,
            TreatmentSession.patient_id,
            Patient.initials,
            Patient.record_number,
            TreatmentSession.device_id,
            Device.name,
            TreatmentSession.number,
            Course.planned_sessions,
            TreatmentSession.kind,
            TreatmentSession.starts_at,
            TreatmentSession.ends_at,
            TreatmentSession.state,
        )
        .join(Patient, Patient.id == TreatmentSession.patient_id)
        .join(Device, Device.id == TreatmentSession.device_id)
        .join(Course, Course.id == TreatmentSession.course_id)
        .where(
            TreatmentSession.location_id == location_id,
            TreatmentSession.local_on == on,
            TreatmentSession.state != SessionState.CANCELLED,
        )
        .order_by(TreatmentSession.starts_at, Device.name)
    )
    return [DayRow(*tuple(row)) for row in rows]


@dataclass(frozen=True)
class CourseRow:
    """One course on a list."""

    id: int
    patient_id: int
    initials: str
    record_number: str
    protocol: str
    location: str
    state: str
    planned: int
    done: int
    next_at: datetime | None
    tz: str


def open_courses(location_ids: Collection[int], *, after: int = 0, limit: int = 50) -> list[CourseRow]:
    """Courses that are booked, running or paused at these sites, newest last. `after` pages on."""
    done = func.count().filter(TreatmentSession.state == SessionState.COMPLETED)
    coming = func.min(TreatmentSession.starts_at).filter(
        and_(TreatmentSession.state.in_(AHEAD), TreatmentSession.starts_at >= clock.now())
    )
    rows = db.session.execute(
        select(
            Course.id,
            Course.patient_id,
            Patient.initials,
            Patient.record_number,
            Course.protocol,
            Location.name,
            Course.state,
            Course.planned_sessions,
            done,
            coming,
            Location.tz,
        )
        .join(Patient, Patient.id == Course.patient_id)
        .join(Location, Location.id == Course.location_id)
        .outerjoin(TreatmentSession, TreatmentSession.course_id == Course.id)
        .where(Course.location_id.in_(location_ids), Course.state.in_(OPEN_COURSES), Course.id > after)
        .group_by(Course.id, Patient.id, Location.id)
        .order_by(Course.id)
        .limit(limit)
    )
    return [CourseRow(*tuple(row)) for row in rows]


@dataclass(frozen=True)
class Visit:
    """One session as the patient is told of it."""

    id: int
    course_id: int
    number: int
    planned: int
    kind: str
    location: str
    address: str
    tz: str
    starts_at: datetime
    ends_at: datetime
    state: str
    revision: int


def visits_of_patient(patient_id: int) -> list[Visit]:
    """Every session of a person's open courses, in order of time, cancelled ones left out."""
    rows = db.session.execute(
        select(
            TreatmentSession.id,
            TreatmentSession.course_id,
            TreatmentSession.number,
            Course.planned_sessions,
            TreatmentSession.kind,
            Location.name,
            Location.address,
            Location.tz,
            TreatmentSession.starts_at,
            TreatmentSession.ends_at,
            TreatmentSession.state,
            TreatmentSession.revision,
        )
        .join(Course, Course.id == TreatmentSession.course_id)
        .join(Location, Location.id == TreatmentSession.location_id)
        .where(
            TreatmentSession.patient_id == patient_id,
            TreatmentSession.state != SessionState.CANCELLED,
            or_(Course.state.in_(OPEN_COURSES), Course.state == CourseState.COMPLETED),
        )
        .order_by(TreatmentSession.starts_at)
    )
    return [Visit(*tuple(row)) for row in rows]


def device_names(ids: Iterable[int]) -> dict[int, str]:
    """Names by id."""
    rows = db.session.execute(select(Device.id, Device.name).where(Device.id.in_(set(ids))))
    return {row.id: row.name for row in rows}


def local_date(instant: datetime, tz: str) -> date:
    """Date on the site's wall."""
    return instant.astimezone(ZoneInfo(tz)).date()
