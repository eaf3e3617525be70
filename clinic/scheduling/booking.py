"""The steps that booking operations share. Each runs inside the caller's transaction: lock, check, write."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cache, cached_property, partial
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import BigInteger, BindParameter, TextClause, bindparam, delete, or_, select, text, update
from sqlalchemy.exc import IntegrityError

from clinic import audit, clock, jobs
from clinic.audit import Actor, AuditEvent
from clinic.db import array, broken_constraint, db, last_write
from clinic.eligibility import queries as eligibility
from clinic.errors import DecisionRequired, NotAuthorised, SlotTaken
from clinic.locations import queries as locations
from clinic.patients.sites import everyone
from clinic.protocols.base import Protocol
from clinic.scheduling import capacity, clearance, deltas, ledger, preparing, queries, wishes
from clinic.scheduling.capacity import Snapshot
from clinic.scheduling.known import Known
from clinic.scheduling.ledger import Funds, Wanted
from clinic.scheduling.mirror import Site, Taken, taken
from clinic.scheduling.models import CourseState, Hold, Mode, SessionState, TreatmentSession
from clinic.scheduling.planner import Booking
from clinic.scheduling.planner.rules import text_of
from clinic.scheduling.queries import Held, LockedDevice
from clinic.scheduling.wishes import PlannedSession
from clinic.tasks.models import TaskKind
from clinic.tasks.operations import close_matching_within_transaction

OVERLAPS = {
    "treatment_sessions_device_overlap": "the device was booked by someone else",
    "treatment_sessions_patient_overlap": "the patient has another appointment then",
    "treatment_sessions_spacing": "too few hours between two sessions of the course",
    "treatment_sessions_room_overlap": "the room was taken by someone else",
    "treatment_sessions_staff_overlap": "the staff member sees someone else then",
}
LEDGER = {
    "authorisations_not_exceeded_check": "No session is left of what the payer approved.",
    "authorisations_cover": "A session would lie outside what the payer approved.",
}
TAKEN = "Someone else booked one of these times. Nothing was booked."
AfterCommit = list[Callable[[], object]]

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
# One round trip for all that a booking writes: course, sessions, the proposal that it came from, the schedules' versions,
# the event that says so, and what the caller writes along with it.
INSERT_COURSE = f"""
    WITH course AS (
        INSERT INTO courses (id, patient_id, decision_id, protocol, protocol_version, location_id, device_id,
                             anchor_minute, planned_sessions, cost, state, created_at)
        VALUES (:course_id, :patient_id, :decision_id, :protocol, :protocol_version, :location_id, :device_id,
                :anchor_minute, :planned_sessions, :cost, 'booked', :created_at)
    ), proposal AS (
        UPDATE course_proposals SET course_id = :course_id WHERE id = :proposal_id
    ), {deltas.RAISE}, event AS (
        {audit.EVENT_ROW}
    ), {NO_LONGER_WAITS}{{along}}
    INSERT INTO treatment_sessions ({SESSION_COLUMNS}, id)
    SELECT :course_id, :patient_id, 'booked', NULL, 0, s.*
    FROM ROWS FROM ({SESSION_ROWS}, unnest(CAST(:session_ids AS bigint[]))) AS s
    """  # noqa: S608 - the parts are constants of ours
NEW_IDS = text(
    "SELECT nextval('courses_id_seq') AS course, ARRAY("
    "SELECT nextval('treatment_sessions_id_seq') FROM generate_series(1, CAST(:count AS integer))) AS sessions"
)


class Along(NamedTuple):
    """A statement to be written with a booking, as one part of the statement that writes it; parameters with types."""

    sql: str
    types: tuple[BindParameter[Any], ...]
    values: Mapping[str, Any]


@cache
def _insert_course(along: str, types: tuple[BindParameter[Any], ...]) -> TextClause:
    statement = text(INSERT_COURSE.format(along=f", along AS ({along})" if along else ""))
    ids = bindparam("course_id", type_=BigInteger), bindparam("patient_id", type_=BigInteger)
    return statement.bindparams(*ids, *audit.EVENT_TYPES, *types)


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


@dataclass
class Locked:
    """What is locked: devices, schedule version by location. `state` is read when it is asked for."""

    devices: Mapping[int, LockedDevice]
    versions: Mapping[int, int]
    until: date
    added: list[tuple[int, Booking]] = field(default_factory=list)
    removed: list[tuple[int, Booking]] = field(default_factory=list)
    taken: list[Taken] = field(default_factory=list)
    freed: list[Taken] = field(default_factory=list)
    fresh_until: datetime | None = None  # when the first hold that was added runs out
    facts_changed: bool = False  # hours, devices or shifts changed too: the warm state has to read them

    @cached_property
    def state(self) -> Snapshot:
        """The exact state of the locked locations; changes that free or take no place never need it."""
        return capacity.snapshot_under_lock(self.versions, until=self.until)

    def delta(self) -> dict[str, Any]:
        """What the next version of these schedules takes and frees, as `deltas.RAISE` writes it."""
        return deltas.values(
            self.versions, self.taken, self.freed, fresh_until=self.fresh_until, is_whole=not self.facts_changed
        )

    def so_far(self) -> Snapshot:
        """The state with what this operation freed and took until now."""
        if not self.added and not self.removed:
            return self.state
        return self.state.changed(added=_by_location(self.added), removed=_by_location(self.removed), versions={})

    def take(self, one: Taken) -> None:
        """The state under the lock is told of a new place."""
        self.taken.append(one)
        self.added.extend(self.state.mirrored(one))

    def free(self, one: Taken) -> None:
        """The state under the lock is told of a place that is free again."""
        self.freed.append(one)
        self.removed.extend(x for x in self.state.mirrored(one) if x[1] in self.state.bookings[x[0]])


def _by_location(changes: Iterable[tuple[int, Booking]]) -> dict[int, set[Booking]]:
    found: dict[int, set[Booking]] = {}
    for location_id, one in changes:
        found.setdefault(location_id, set()).add(one)
    return found


def approval(patient_id: int, protocol: Protocol, location_ids: Collection[int] = ()) -> int:
    """Id of the present approving decision. location_ids: where it will be given; none asks about the person alone.

    Raises DecisionRequired; ClearanceRequired where safety rules ask for more, or a site may not give it.
    """
    decision = eligibility.approving_decision(patient_id, protocol.modality)
    if decision is None:
        raise DecisionRequired(
            "A prescriber has to approve this treatment before it can be booked.", pathway=protocol.modality
        )
    clearance.refuse_booking(patient_id, protocol, location_ids)
    return decision.id


@everyone()  # a place is taken whoever holds it
def lock_places(
    device_ids: Collection[int],
    location_ids: Collection[int],
    until: date,
    *,
    patient_ids: Collection[int] = (),
    room_ids: Collection[int] = (),
    staff_ids: Collection[int] = (),
) -> Locked:
    """Devices, rooms, staff, then locations, each in id order, after the patients were locked.

    Holds that ran out at these locations, or of these patients, are let go: they stand in nobody's way.
    """
    if room_ids or staff_ids:
        devices = queries.lock_devices(set(device_ids)) if device_ids else {}
        if room_ids:
            queries.lock_rooms(set(room_ids))
        if staff_ids:
            queries.lock_staff(set(staff_ids))
        locations = queries.lock_locations(set(location_ids))
    else:
        devices, locations = queries.lock_devices_and_locations(set(device_ids), set(location_ids))
    if locations.has_old_holds:
        _let_go_expired(set(location_ids), set(patient_ids))
    return Locked(devices, locations.versions, until)


def lock_row(row: TreatmentSession, *, until: date | None = None) -> Locked:
    """Lock all that an appointment has; its patient is locked already."""
    return lock_places(
        {row.device_id} if row.device_id is not None else (),
        {row.location_id} | (queries.sites_of_person(row.staff_id) if row.staff_id is not None else set()),
        until or row.starts_at.date(),
        patient_ids={row.patient_id},
        room_ids={row.room_id} if row.room_id is not None else (),
        staff_ids={row.staff_id} if row.staff_id is not None else (),
    )


def _let_go_expired(location_ids: Collection[int], patient_ids: Collection[int]) -> None:
    """The sweep ends the holds themselves; the state of a location never counts one that ran out."""
    old = select(Hold.id).where(Hold.ended_at.is_(None), Hold.expires_at <= clock.now()).scalar_subquery()
    rows = (
        TreatmentSession.hold_id.in_(old),
        or_(TreatmentSession.location_id.in_(location_ids), TreatmentSession.patient_id.in_(patient_ids)),
    )
    without = {"synchronize_session": False}
    db.session.execute(
        delete(TreatmentSession).where(*rows, TreatmentSession.course_id.is_(None)), execution_options=without
    )
    db.session.execute(
        update(TreatmentSession)
        .where(*rows, TreatmentSession.course_id.is_not(None))
        .values(state=SessionState.CANCELLED, hold_id=None, ended_at=clock.now()),
        execution_options=without,
    )


def book_known_within_transaction(
    new: NewCourse, known: Known, *, along: WithIt, by: Actor, after_commit: AfterCommit
) -> BookedCourse:
    """Lock, check and write a plan of which `known` tells what there is; the patient is locked and holds no plan.

    It ends the transaction. along: what is written with it. Raises SlotTaken, DecisionRequired.
    """
    decision_id = known.approvals.get(new.protocol.modality)
    if decision_id is None or known.needs_clearance or clearance.is_asked_always(new.protocol):
        decision_id = approval(new.patient_id, new.protocol, {one.location_id for one in new.sessions})
    locked = lock_sessions(new.sessions, patient_ids={new.patient_id})
    refuse_taken(new.patient_id, locked.state, new.sessions, is_alone=not known.has_appointments)
    is_open = not known.has_authorisations and new.self_pay_id is None
    funds = [ledger.OPEN] * len(new.sessions) if is_open else _cover(new, locked)
    course = _course(known.course_id, known.session_ids, new, locked, funds)
    more = along(Booked(course.id, is_new=True, course=course))
    if known.has_task:
        _close_tasks(new.patient_id, by=by)
    _prepare(course.id, new, by=by)
    with last_write():
        _write(course, new, decision_id, locked, funds, along=more, by=by, after_commit=after_commit)
    return course


def book_locked_within_transaction(
    new: NewCourse, decision_id: int, locked: Locked, *, by: Actor, after_commit: AfterCommit
) -> int:
    """Check and write a whole course whose places are locked; the patient is locked too. Raises SlotTaken."""
    refuse_taken(new.patient_id, locked.so_far(), new.sessions)
    funds = _cover(new, locked)
    ids = db.session.execute(NEW_IDS, {"count": len(new.sessions)}).one()
    course = _course(ids.course, ids.sessions, new, locked, funds)
    _write(course, new, decision_id, locked, funds, along=None, by=by, after_commit=after_commit)
    _close_tasks(new.patient_id, by=by)
    _prepare(course.id, new, by=by)
    return course.id


def _cover(new: NewCourse, locked: Locked) -> Sequence[Funds]:
    wants = wanted(new.protocol, new.sessions, locked)
    return ledger.cover(new.patient_id, new.protocol, wants, self_pay_id=new.self_pay_id)


def _course(
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


def _write(
    course: BookedCourse,
    new: NewCourse,
    decision_id: int,
    locked: Locked,
    funds: Sequence[Funds],
    *,
    along: Along | None,
    by: Actor,
    after_commit: AfterCommit,
) -> None:
    values = {
        **course_values(new, decision_id),
        **_arrays(new.protocol, new.sessions, locked, funds),
        **audit.event_values(booked_event(course.id, new, by=by)),
        **locked.delta(),
        "course_id": course.id,
        "session_ids": array(one.id for one in course.sessions),
    }
    if along is None:
        db.session.execute(_insert_course("", ()), values)
    else:
        db.session.execute(_insert_course(along.sql, along.types), {**values, **along.values})
    _tell(locked, after_commit)


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


def finish_course(course_id: int, new: NewCourse, *, by: Actor) -> None:
    """What follows from the booking of what was held, in its transaction."""
    db.session.add(booked_event(course_id, new, by=by))
    _close_tasks(new.patient_id, by=by)
    _prepare(course_id, new, by=by)


def _prepare(course_id: int, new: NewCourse, *, by: Actor) -> None:
    if new.protocol.before:
        starts = (one.starts_at for one in new.sessions)
        preparing.open_within_transaction(course_id, new.patient_id, new.location_id, new.protocol, starts, by=by)


def _close_tasks(patient_id: int, *, by: Actor) -> None:
    close_matching_within_transaction(kind=TaskKind.BOOK_COURSE, patient_id=patient_id, outcome="course booked", by=by)


def lock_sessions(sessions: Sequence[PlannedSession], *, patient_ids: Collection[int]) -> Locked:
    """Lock all that these sessions need; the patient is locked already."""
    return lock_places(
        {s.device_id for s in sessions},
        {s.location_id for s in sessions},
        last_date(sessions),
        patient_ids=patient_ids,
    )


def refuse_taken(
    patient_id: int, state: Snapshot, sessions: Sequence[PlannedSession], *, is_alone: bool = False
) -> None:
    """Raise SlotTaken naming every session that no longer fits. is_alone: the patient has no other appointment."""
    held = [] if is_alone else queries.held_by_patient(patient_id)
    now = clock.now()
    taken = []
    for session in sessions:
        rule = rule_against(session, state, held)
        if rule is None and session.starts_at <= now:
            rule = "start_is_ahead"
        if rule is not None:
            taken.append(named(session, rule))
    if taken:
        raise SlotTaken(TAKEN, taken=taken)


def rule_against(session: PlannedSession, state: Snapshot, held: Iterable[Held]) -> str | None:
    """What takes its place, or its patient at that time; None where it fits."""
    rule = state.why_not(session.device_id, session.starts_at, session.minutes, session.need)
    if rule is None and any(one.overlaps(session.starts_at, session.ends_at) for one in held):
        return "patient_is_free"
    return rule


def named(session: PlannedSession, rule: str) -> dict[str, Any]:
    """A session that cannot be booked, and why; its time is that of its site, as in proposals."""
    zone = ZoneInfo(locations.get(session.location_id).tz)
    return {
        "number": session.number,
        "starts_at": session.starts_at.astimezone(zone).isoformat(),
        "device": session.device_id,
        "rule": rule,
        "why": text_of(rule),
    }


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
    zones = {s.device_id: ZoneInfo(locked.state.site_of_device[s.device_id].tz) for s in sessions}
    return [
        Wanted(s.number, s.location_id, s.device_id, s.starts_at.astimezone(zones[s.device_id]).date())
        for s in sessions
    ]


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
        "dates": [one.local_on for one in wanted(protocol, sessions, locked)],
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


def free_sessions(rows: Iterable[TreatmentSession], state: SessionState, locked: Locked) -> int:
    """Set sessions to a state that holds no place. Answers how many."""
    count = 0
    for row in rows:
        locked.free(taken(row))
        row.state, row.hold_id = state, None
        row.ended_at = clock.now()
        count += 1
    return count


def raise_versions(locked: Locked, after_commit: AfterCommit) -> None:
    """Tell every reader of these schedules that they changed, in the transaction that changes them."""
    db.session.execute(deltas.RAISE_ALONE, locked.delta())
    _tell(locked, after_commit)


def _tell(locked: Locked, after_commit: AfterCommit) -> None:
    """After the commit: the warm state of this process, and the sweep of the reminders."""
    state: Snapshot | None = locked.__dict__.get("state")  # read only where a place was taken or freed
    remember = partial(
        capacity.remember,
        locked.versions,
        locked.added,
        locked.removed,
        start=state.start if state is not None else None,
        fresh_until=locked.fresh_until,
    )
    if not locked.facts_changed:
        after_commit.append(remember)
    after_commit.append(lambda: jobs.ring(jobs.Job.SWEEP_REMINDERS))


@contextmanager
def overlaps_translated() -> Iterator[None]:
    """An overlap, or a session too many, that the database refused, in our words. Stands around the transaction, so that it was rolled back."""
    try:
        yield
    except IntegrityError as error:
        name = broken_constraint(error)
        if name in LEDGER:
            raise NotAuthorised(LEDGER[name], sessions=[]) from None
        if name not in OVERLAPS:
            raise
        raise SlotTaken(TAKEN, taken=[], why=OVERLAPS[name]) from None


def last_date(sessions: Sequence[PlannedSession]) -> date:
    """UTC date of the last session."""
    return max(s.starts_at for s in sessions).date()
