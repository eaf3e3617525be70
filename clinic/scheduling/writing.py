"""The statements that write courses and their sessions. The places are locked and checked before."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import BigInteger, BindParameter, bindparam, text

from clinic import audit, clock
from clinic.audit import Actor, AuditEvent
from clinic.db import AfterCommit, Asked, Said, array, db, together
from clinic.protocols.base import Protocol
from clinic.scheduling import deltas, ledger, wishes
from clinic.scheduling.ledger import Funds, Wanted
from clinic.scheduling.locking import Locked, tell
from clinic.scheduling.mirror import Site, Taken
from clinic.scheduling.models import CourseState, Mode, SessionState
from clinic.scheduling.wishes import PlannedSession

SESSION_COLUMNS = """course_id, patient_id, state, hold_id, revision, location_id, device_id, room_id, number, kind,
    need, starts_at, ends_at, device_until, spaced_until, local_on, authorisation_id, self_pay_id,
    with_threshold"""
SESSION_ROWS = """unnest(CAST(:location_ids AS integer[]), CAST(:device_ids AS integer[]), CAST(:room_ids AS integer[]),
    CAST(:numbers AS smallint[]), CAST(:kinds AS varchar[]), CAST(:needs AS varchar[]), CAST(:starts AS timestamptz[]),
    CAST(:ends AS timestamptz[]), CAST(:device_untils AS timestamptz[]), CAST(:spaced_untils AS timestamptz[]),
    CAST(:dates AS date[]), CAST(:authorisation_ids AS bigint[]), CAST(:self_pay_ids AS bigint[]),
    CAST(:thresholds AS boolean[]))"""
# Sessions of a course that is booked already: revision 1, because the patient was told of the course without them.
INSERT_SESSIONS = text(
    f"INSERT INTO treatment_sessions ({SESSION_COLUMNS}) "  # noqa: S608 - both parts are the constants above
    f"SELECT :course_id, :patient_id, 'booked', NULL, 1, s.* FROM {SESSION_ROWS} AS s"
)
# Places that are kept for somebody: they belong to no course yet.
HOLD_SESSIONS = text(
    f"INSERT INTO treatment_sessions ({SESSION_COLUMNS}) "  # noqa: S608 - both parts are the constants above
    f"SELECT NULL, :patient_id, 'held', :hold_id, 0, s.* FROM {SESSION_ROWS} AS s"
)
# Who gets the course by any way waits for it no longer. An offer that is open has its own end.
NO_LONGER_WAITS = """waits AS (
        UPDATE waitlist_entries SET state = 'booked', ended_at = :created_at
        WHERE patient_id = :patient_id AND protocol = :protocol AND state = 'waiting'
    )"""
# All that a booking writes, in one round trip: course and sessions, which take the server longest; and while it is at them
# the other is made: the proposal that the course came from, the schedules' versions, the event that says so, and what the
# caller writes along with it.
INSERT_COURSE = f"""
    WITH course AS (
        INSERT INTO courses (id, patient_id, decision_id, protocol, protocol_version, location_id, device_id,
                             anchor_minute, planned_sessions, cost, state, created_at)
        VALUES (:course_id, :patient_id, :decision_id, :protocol, :protocol_version, :location_id, :device_id,
                :anchor_minute, :planned_sessions, :cost, 'booked', :created_at)
    )
    INSERT INTO treatment_sessions ({SESSION_COLUMNS}, id)
    SELECT :course_id, :patient_id, 'booked', NULL, 0, s.*
    FROM ROWS FROM ({SESSION_ROWS}, unnest(CAST(:session_ids AS bigint[]))) AS s
    """  # noqa: S608 - the parts are constants of ours
WITH_COURSE = f"""
    WITH proposal AS (
        UPDATE course_proposals SET course_id = :course_id WHERE id = :proposal_id
    ), {deltas.RAISE}, event AS (
        {audit.EVENT_ROW}
    ), {NO_LONGER_WAITS}{{along}}
    SELECT 1
    """  # noqa: S608 - the parts are constants of ours
COURSE_TYPES = bindparam("course_id", type_=BigInteger), bindparam("patient_id", type_=BigInteger)
NEW_IDS = text(
    "SELECT nextval('courses_id_seq') AS course, ARRAY("
    "SELECT nextval('treatment_sessions_id_seq') FROM generate_series(1, CAST(:count AS integer))) AS sessions"
)


def new_ids(count: int) -> tuple[int, list[int]]:
    """Those that a new course and so many sessions are to have."""
    ids = db.session.execute(NEW_IDS, {"count": count}).one()
    return ids.course, ids.sessions


class Along(NamedTuple):
    """A statement to be written with a booking, as one part of the statement that writes it; parameters with types."""

    sql: str
    types: tuple[BindParameter[Any], ...]
    values: Mapping[str, Any]


@cache
def _insert_course() -> Asked:
    return Asked(text(INSERT_COURSE).bindparams(*COURSE_TYPES))


@cache
def _with_course(along: str, types: tuple[BindParameter[Any], ...]) -> Asked:
    statement = text(WITH_COURSE.format(along=f", along AS ({along})" if along else ""))
    return Asked(statement.bindparams(*COURSE_TYPES, *audit.EVENT_TYPES, *types))


def write_along(along: Along | None) -> None:
    """The same by itself, where a course is written in several statements."""
    if along is not None:
        db.session.execute(text(along.sql).bindparams(*along.types), dict(along.values))


@dataclass(frozen=True)
class NewCourse:
    """A whole course that is about to be booked."""

    patient_id: int
    protocol: Protocol
    sessions: Sequence[PlannedSession]
    location_id: int
    device_id: int
    anchor_minute: int
    cost: int
    proposal_id: UUID | None = None
    self_pay_id: int | None = None  # what the payer does not cover the patient agreed to pay


class BookedSession(NamedTuple):
    """A session as it was just written."""

    id: int
    course_id: int
    patient_id: int
    location_id: int
    device_id: int
    room_id: int | None
    number: int
    kind: str
    starts_at: datetime
    ends_at: datetime
    authorisation_id: int | None
    self_pay_id: int | None
    state: str = SessionState.BOOKED
    revision: int = 0
    mode: str = Mode.IN_PERSON
    staff_id: int | None = None
    patient_state: str | None = None


class BookedCourse(NamedTuple):
    """A course as it was just written, so that nobody has to read it back. Sessions in order of time."""

    id: int
    patient_id: int
    protocol: str
    location_id: int
    device_id: int
    planned_sessions: int
    sessions: tuple[BookedSession, ...]
    sites: Mapping[int, Site]
    state: str = CourseState.BOOKED


@dataclass(frozen=True)
class Booked:
    """A booked course. `is_new` is False where the same proposal was booked before.

    `course`: as it was written, where one statement wrote it all.
    """

    course_id: int
    is_new: bool
    course: BookedCourse | None = None


WithIt = Callable[[Booked], Along | None]


def as_booked(
    course_id: int, session_ids: Sequence[int], new: NewCourse, locked: Locked, funds: Sequence[Funds]
) -> BookedCourse:
    """The course as it is about to be written, its sessions in the order of the plan."""
    sessions = tuple(
        BookedSession(
            session_id,
            course_id,
            new.patient_id,
            one.location_id,
            one.device_id,
            locked.devices[one.device_id].room_id,
            one.number,
            one.kind,
            one.starts_at,
            one.ends_at,
            *paid,
        )
        for session_id, one, paid in zip(session_ids, new.sessions, funds, strict=True)
    )
    return BookedCourse(
        course_id,
        new.patient_id,
        new.protocol.key,
        new.location_id,
        new.device_id,
        len(sessions),
        sessions,
        locked.state.sites,
    )


def write_course(
    course: BookedCourse,
    new: NewCourse,
    decision_id: int,
    locked: Locked,
    funds: Sequence[Funds],
    *,
    along: Callable[[], Along | None],
    by: Actor,
    after_commit: AfterCommit,
    ends: bool = False,
) -> None:
    """Everything that a booking writes, in one round trip. ends: the transaction ends with it.

    along: asked for what to write with it while the course is being written; it asks the database for nothing.
    """
    of_course = {**course_values(new, decision_id), "course_id": course.id}
    columns = _arrays(new.protocol, new.sessions, locked, funds)

    def with_it() -> Said:
        more = along() or Along("", (), {})
        event = audit.event_values(booked_event(course.id, new, by=by))
        return _with_course(more.sql, more.types)({**of_course, **event, **locked.delta(), **more.values})

    sessions = {**of_course, **columns, "session_ids": array(one.id for one in course.sessions)}
    together(_insert_course()(sessions), with_it, ends=ends)
    tell(locked, after_commit)


def course_values(new: NewCourse, decision_id: int) -> dict[str, Any]:
    """The columns of a course that is booked now."""
    return {
        "patient_id": new.patient_id,
        "decision_id": decision_id,
        "protocol": new.protocol.key,
        "protocol_version": new.protocol.edition,
        "location_id": new.location_id,
        "device_id": new.device_id,
        "anchor_minute": new.anchor_minute,
        "planned_sessions": len(new.sessions),
        "cost": new.cost,
        "created_at": clock.now(),
        "proposal_id": new.proposal_id,
    }


def booked_event(course_id: int, new: NewCourse, *, by: Actor) -> AuditEvent:
    """What the audit trail says of a booking."""
    detail = {"sessions": len(new.sessions)}
    return audit.event_of("courses", course_id, "booked", by=by, patient_id=new.patient_id, detail=detail)


def insert_sessions(
    course_id: int,
    patient_id: int,
    protocol: Protocol,
    sessions: Sequence[PlannedSession],
    locked: Locked,
    *,
    self_pay_id: int | None = None,
) -> None:
    """Add sessions to a course in one statement. Raises NotAuthorised."""
    wants = wanted(protocol, sessions, locked)
    funds = ledger.cover(patient_id, protocol, wants, self_pay_id=self_pay_id)
    values = _arrays(protocol, sessions, locked, funds)
    db.session.execute(INSERT_SESSIONS, {**values, "course_id": course_id, "patient_id": patient_id})


def hold_sessions(
    hold_id: int, patient_id: int, protocol: Protocol, sessions: Sequence[PlannedSession], locked: Locked
) -> None:
    """Keep the places of a course in one statement."""
    values = _arrays(protocol, sessions, locked, [ledger.OPEN] * len(sessions))
    db.session.execute(HOLD_SESSIONS, {**values, "hold_id": hold_id, "patient_id": patient_id})


def wanted(protocol: Protocol, sessions: Sequence[PlannedSession], locked: Locked) -> list[Wanted]:
    """Sessions as the ledger looks at them."""
    dates = _dates(sessions, locked)
    return [Wanted(s.number, s.location_id, s.device_id, on) for s, on in zip(sessions, dates, strict=True)]


def _dates(sessions: Sequence[PlannedSession], locked: Locked) -> list[date]:
    """Those of the sites' own calendars."""
    zones = {x: ZoneInfo(locked.state.site_of_device[x].tz) for x in {s.device_id for s in sessions}}
    return [s.starts_at.astimezone(zones[s.device_id]).date() for s in sessions]


def _arrays(
    protocol: Protocol, sessions: Sequence[PlannedSession], locked: Locked, funds: Sequence[Funds]
) -> dict[str, str]:
    """The columns of new sessions, one array each; and the state under the lock is told of them."""
    places = [place_of(s, locked) for s in sessions]
    for place in places:
        locked.take(place)
    columns: dict[str, Iterable[object]] = {
        "location_ids": [s.location_id for s in sessions],
        "device_ids": [s.device_id for s in sessions],
        "room_ids": [place.room_id for place in places],
        "numbers": [s.number for s in sessions],
        "kinds": [s.kind for s in sessions],
        "needs": [s.need for s in sessions],
        "starts": [s.starts_at for s in sessions],
        "ends": [s.ends_at for s in sessions],
        "device_untils": [place.device_until for place in places],
        "spaced_untils": [s.starts_at + wishes.spacing(protocol, s.number) for s in sessions],
        "dates": _dates(sessions, locked),
        "authorisation_ids": [one.authorisation_id for one in funds],
        "self_pay_ids": [one.self_pay_id for one in funds],
        "thresholds": [s.with_threshold for s in sessions],
    }
    return {name: array(values) for name, values in columns.items()}


def place_of(session: PlannedSession, locked: Locked) -> Taken:
    """What a planned session takes."""
    device = locked.devices[session.device_id]
    until = session.ends_at + timedelta(minutes=device.turnover)
    return Taken(
        session.location_id,
        session.device_id,
        device.room_id,
        None,
        session.need,
        session.starts_at,
        session.ends_at,
        until,
    )
