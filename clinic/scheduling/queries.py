"""Reads of courses and sessions, and the row locks that every change takes first, in one fixed order."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import and_, exists, func, or_, select, text

from clinic import clock
from clinic.db import array, db
from clinic.errors import Conflict, NotFound
from clinic.locations.models import Device, Location, Room, StaffShift
from clinic.patients.models import Patient
from clinic.patients.sites import everyone
from clinic.scheduling.models import (
    HOLDS_PLACE,
    Course,
    CourseProposal,
    CourseState,
    Hold,
    SessionState,
    TreatmentSession,
)
from clinic.staff.models import StaffUser

AHEAD = (SessionState.BOOKED, SessionState.CONFIRMED)
MOST_VISITS_SHOWN = 20
FREEABLE = (*AHEAD, SessionState.HELD)
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


def course_of(row: TreatmentSession) -> Course:
    """The course of a session. Raises Conflict for a visit or a hold, which has none."""
    if row.course_id is None:
        raise Conflict("this appointment belongs to no course")
    return course(row.course_id)


def proposal(proposal_id: object) -> CourseProposal:
    """The proposal. Raises NotFound."""
    found = db.session.get(CourseProposal, proposal_id)
    if found is None:
        raise NotFound("no such proposal")
    return found


def proposal_and_hold(proposal_id: object) -> tuple[CourseProposal, Hold | None]:
    """The proposal, and what keeps its places, if anything does. Raises NotFound."""
    live = and_(Hold.proposal_id == CourseProposal.id, Hold.ended_at.is_(None))
    statement = select(CourseProposal, Hold).outerjoin(Hold, live).where(CourseProposal.id == proposal_id)
    found = db.session.execute(statement).one_or_none()
    if found is None:
        raise NotFound("no such proposal")
    return found[0], found[1]


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


def booked_from(course_id: int) -> CourseProposal | None:
    """The plan that a course was booked from, while it is kept."""
    return db.session.scalar(select(CourseProposal).where(CourseProposal.course_id == course_id).limit(1))


def courses_of(patient_id: int) -> Sequence[Course]:
    """A person's courses, newest first."""
    return db.session.scalars(select(Course).where(Course.patient_id == patient_id).order_by(Course.id.desc())).all()


def last_delivered(patient_id: int, gives: str) -> date | None:
    """Local date of the person's last delivered session of a protocol, in whatever shape it was counted out."""
    same = or_(Course.protocol == gives, Course.protocol.startswith(f"{gives}.", autoescape=True))
    return db.session.scalar(
        select(func.max(TreatmentSession.local_on))
        .join(Course, Course.id == TreatmentSession.course_id)
        .where(TreatmentSession.patient_id == patient_id, TreatmentSession.state == SessionState.COMPLETED, same)
    )


# -- locks: patients, devices, rooms, staff, locations; each by id ---------------------------------------------------


def lock_patient(patient_id: int) -> None:
    """First of the locks. Key-sharing, so that rows that merely name the patient can still be written. Raises NotFound."""
    lock_patients({patient_id})


# The same lock as the driver writes it, where nothing narrows whom the caller may see.
LOCK_PATIENT = "SELECT id FROM patients WHERE id = %(id)s FOR NO KEY UPDATE"


def lock_patients(ids: Collection[int]) -> None:
    """First of the locks, in id order. Raises NotFound."""
    rows = db.session.scalars(
        select(Patient.id).where(Patient.id.in_(ids)).order_by(Patient.id).with_for_update(key_share=True)
    ).all()
    if len(rows) < len(set(ids)):
        raise NotFound("no such patient")


@dataclass(frozen=True)
class LockedDevice:
    """A locked device: minutes between two patients, and the room that it has to itself or shares one at a time."""

    turnover: int
    room_id: int | None


def lock_devices(ids: Collection[int]) -> dict[int, LockedDevice]:
    """Second: devices by id. Raises NotFound."""
    room = select(Room.id).where(Room.id == Device.room_id, Room.is_shared.is_(False)).scalar_subquery()
    rows = db.session.execute(
        select(Device.id, Device.turnover_minutes, room.label("room"))
        .where(Device.id.in_(ids))
        .order_by(Device.id)
        .with_for_update(key_share=True, of=Device)
    ).all()
    if len(rows) < len(set(ids)):
        raise NotFound("no such device")
    return {row.id: LockedDevice(row.turnover_minutes, row.room) for row in rows}


def lock_rooms(ids: Collection[int]) -> None:
    """Third: rooms by id. Raises NotFound."""
    rows = db.session.scalars(
        select(Room.id).where(Room.id.in_(ids)).order_by(Room.id).with_for_update(key_share=True)
    ).all()
    if len(rows) < len(set(ids)):
        raise NotFound("no such room")


def lock_staff(ids: Collection[int]) -> None:
    """Fourth: staff members by id. Raises NotFound."""
    rows = db.session.scalars(
        select(StaffUser.id).where(StaffUser.id.in_(ids)).order_by(StaffUser.id).with_for_update(key_share=True)
    ).all()
    if len(rows) < len(set(ids)):
        raise NotFound("no such staff member")


@dataclass(frozen=True)
class LockedLocations:
    """Schedule versions by location, and whether somewhere a hold ran out that nobody let go yet."""

    versions: dict[int, int]
    has_old_holds: bool


def lock_locations(ids: Collection[int]) -> LockedLocations:
    """Fifth: locations, the staff pools, by id."""
    old = exists().where(Hold.ended_at.is_(None), Hold.expires_at <= clock.now())
    rows = db.session.execute(
        select(Location.id, Location.schedule_version, old.label("old"))
        .where(Location.id.in_(ids))
        .order_by(Location.id)
        .with_for_update(key_share=True, of=Location)
    ).all()
    return LockedLocations({row.id: row.schedule_version for row in rows}, any(row.old for row in rows))


class LockedRow(NamedTuple):
    """One row of what `locked_places` answers: a device with its minutes and room, a location with its version, or 'old'."""

    what: str
    id: int
    value: int
    room: int | None


def locked_places(devices: str, locations: str) -> str:
    """SQL that locks devices and locations, whose ids the two arrays or queries give, and answers a `LockedRow` of each.

    Every device is locked before the first location is: counting them waits for their locks, and PostgreSQL asks a
    condition without columns before it reads a row.
    """
    return f"""device AS MATERIALIZED (
        SELECT id, turnover_minutes, room_id FROM devices WHERE id = ANY(ARRAY({devices}))
        ORDER BY id FOR NO KEY UPDATE
    ), location AS MATERIALIZED (
        SELECT id, schedule_version FROM locations
        WHERE id = ANY(ARRAY({locations})) AND (SELECT count(*) FROM device) >= 0
        ORDER BY id FOR NO KEY UPDATE
    )
    SELECT 'device' AS what, device.id, device.turnover_minutes AS value, room.id AS room
    FROM device LEFT JOIN rooms AS room ON room.id = device.room_id AND NOT room.is_shared
    UNION ALL
    SELECT 'location', id, schedule_version, NULL FROM location
    UNION ALL
    SELECT 'old', 0, 0, NULL WHERE EXISTS (SELECT FROM holds WHERE ended_at IS NULL AND expires_at <= :now)"""  # noqa: S608


_IDS = "SELECT unnest(CAST(:{} AS integer[]))"
LOCK_PLACES = text(f"WITH {locked_places(_IDS.format('devices'), _IDS.format('locations'))}")


def lock_devices_and_locations(
    device_ids: Collection[int], location_ids: Collection[int]
) -> tuple[dict[int, LockedDevice], LockedLocations]:
    """Second and fifth in one statement. Raises NotFound."""
    values = {"devices": array(device_ids), "locations": array(location_ids), "now": clock.now()}
    return as_locked([LockedRow(*row) for row in db.session.execute(LOCK_PLACES, values)], device_ids)


def as_locked(
    rows: Iterable[LockedRow], device_ids: Collection[int]
) -> tuple[dict[int, LockedDevice], LockedLocations]:
    """What `locked_places` answered. Raises NotFound."""
    rows = list(rows)
    devices = {row.id: LockedDevice(row.value, row.room) for row in rows if row.what == "device"}
    if len(devices) < len(set(device_ids)):
        raise NotFound("no such device")
    versions = {row.id: row.value for row in rows if row.what == "location"}
    return devices, LockedLocations(versions, any(row.what == "old" for row in rows))


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
    course_id: int | None
    starts_at: datetime
    ends_at: datetime
    tz: str

    def overlaps(self, starts_at: datetime, ends_at: datetime) -> bool:
        """Is the patient busy for a part of that time."""
        return self.starts_at < ends_at and starts_at < self.ends_at


@everyone()
def held_by_patient(patient_id: int, *, since: datetime | None = None) -> list[Held]:
    """What a person has booked or somebody keeps for them, over all courses, visits and sites."""
    rows = db.session.execute(
        select(
            TreatmentSession.id,
            TreatmentSession.course_id,
            TreatmentSession.starts_at,
            TreatmentSession.ends_at,
            Location.tz,
        )
        .join(Location, Location.id == TreatmentSession.location_id)
        .outerjoin(Hold, Hold.id == TreatmentSession.hold_id)
        .where(
            TreatmentSession.patient_id == patient_id,
            TreatmentSession.state.in_(HOLDS_PLACE),
            TreatmentSession.starts_at >= (since or clock.now() - timedelta(days=1)),
            or_(Hold.id.is_(None), Hold.expires_at > clock.now()),
        )
        .order_by(TreatmentSession.starts_at)
    )
    return [Held(*row) for row in rows]


def sites_of_person(staff_id: int) -> set[int]:
    """Sites on whose rota a staff member stands: there a visit takes them out of the pools."""
    statement = select(StaffShift.location_id).where(StaffShift.user_id == staff_id).distinct()
    return set(db.session.scalars(statement))


def people_on_rota(location_id: int) -> set[int]:
    """Staff who stand on the rota of a site."""
    return set(db.session.scalars(select(StaffShift.user_id).where(StaffShift.location_id == location_id).distinct()))


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
    """One appointment on a day list: initials and record number only, because lists stand on shared screens.

    A visit has a staff member and perhaps a room; it has no course, no device and nothing planned.
    """

    id: int
    course_id: int | None
    patient_id: int
    initials: str
    record_number: str
    device_id: int | None
    device: str | None
    room: str | None
    staff: str | None
    mode: str
    number: int
    planned: int | None
    kind: str
    starts_at: datetime
    ends_at: datetime
    state: str
    started_at: datetime | None
    revision: int
    staff_id: int | None
    with_threshold: bool


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


def site_slugs(location_ids: Collection[int]) -> list[tuple[str, str]]:
    """Address word and name of these sites as far as they are in use, by name."""
    rows = db.session.execute(
        select(Location.slug, Location.name)
        .where(Location.id.in_(location_ids), Location.retired_at.is_(None))
        .order_by(Location.name)
    )
    return [(row.slug, row.name) for row in rows]


def day_list(location_id: int, on: date) -> list[DayRow]:
    """Appointments of one site on one local date, by time, then device; holds and cancelled ones left out. One query."""
    rows = db.session.execute(
        select(
            TreatmentSession.id,
            TreatmentSession.course_id,
            TreatmentSession.patient_id,
            Patient.initials,
            Patient.record_number,
            TreatmentSession.device_id,
            Device.name,
            Room.name,
            StaffUser.name,
            TreatmentSession.mode,
            TreatmentSession.number,
            Course.planned_sessions,
            TreatmentSession.kind,
            TreatmentSession.starts_at,
            TreatmentSession.ends_at,
            TreatmentSession.state,
            TreatmentSession.started_at,
            TreatmentSession.revision,
            TreatmentSession.staff_id,
            TreatmentSession.with_threshold,
        )
        .join(Patient, Patient.id == TreatmentSession.patient_id)
        .outerjoin(Device, Device.id == TreatmentSession.device_id)
        .outerjoin(Room, Room.id == TreatmentSession.room_id)
        .outerjoin(StaffUser, StaffUser.id == TreatmentSession.staff_id)
        .outerjoin(Course, Course.id == TreatmentSession.course_id)
        .where(
            TreatmentSession.location_id == location_id,
            TreatmentSession.local_on == on,
            TreatmentSession.state.not_in((SessionState.CANCELLED, SessionState.HELD)),
        )
        .order_by(TreatmentSession.starts_at, Device.name, TreatmentSession.id)
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
    """One appointment as the patient is told of it; `course_id` and `planned` are None for a visit with a staff member."""

    id: int
    course_id: int | None
    number: int
    planned: int | None
    kind: str
    mode: str
    location: str
    address: str
    tz: str
    starts_at: datetime
    ends_at: datetime
    state: str
    revision: int
    with_threshold: bool


def visits_of_patient(patient_id: int) -> list[Visit]:
    """Every visit, and every session of a person's open courses, in order of time; cancelled ones and holds left out."""
    rows = db.session.execute(
        select(
            TreatmentSession.id,
            TreatmentSession.course_id,
            TreatmentSession.number,
            Course.planned_sessions,
            TreatmentSession.kind,
            TreatmentSession.mode,
            Location.name,
            Location.address,
            Location.tz,
            TreatmentSession.starts_at,
            TreatmentSession.ends_at,
            TreatmentSession.state,
            TreatmentSession.revision,
            TreatmentSession.with_threshold,
        )
        .outerjoin(Course, Course.id == TreatmentSession.course_id)
        .join(Location, Location.id == TreatmentSession.location_id)
        .where(
            TreatmentSession.patient_id == patient_id,
            TreatmentSession.state.not_in((SessionState.CANCELLED, SessionState.HELD)),
            or_(Course.id.is_(None), Course.state.in_(OPEN_COURSES), Course.state == CourseState.COMPLETED),
        )
        .order_by(TreatmentSession.starts_at)
    )
    return [Visit(*tuple(row)) for row in rows]


class VisitAhead(NamedTuple):
    """A visit with a staff member that is to come, as the record lists it."""

    id: int
    kind: str
    mode: str
    starts_at: datetime
    local_on: date
    tz: str
    slug: str
    staff: str


def visits_ahead(patient_id: int) -> list[VisitAhead]:
    """The next visits of a person with a staff member, soonest first."""
    rows = db.session.execute(
        select(
            TreatmentSession.id,
            TreatmentSession.kind,
            TreatmentSession.mode,
            TreatmentSession.starts_at,
            TreatmentSession.local_on,
            Location.tz,
            Location.slug,
            StaffUser.name.label("staff"),
        )
        .join(Location, Location.id == TreatmentSession.location_id)
        .join(StaffUser, StaffUser.id == TreatmentSession.staff_id)
        .where(
            TreatmentSession.patient_id == patient_id,
            TreatmentSession.course_id.is_(None),
            TreatmentSession.state.in_(AHEAD),
            TreatmentSession.ends_at > clock.now(),
        )
        .order_by(TreatmentSession.starts_at)
        .limit(MOST_VISITS_SHOWN)
    )
    return [VisitAhead(*row) for row in rows]


def device_names(ids: Iterable[int | None]) -> dict[int | None, str]:
    """Names by id."""
    known = {key for key in ids if key is not None}
    rows = db.session.execute(select(Device.id, Device.name).where(Device.id.in_(known)))
    return {row.id: row.name for row in rows}


def local_date(instant: datetime, tz: str) -> date:
    """Date on the site's wall."""
    return instant.astimezone(ZoneInfo(tz)).date()
