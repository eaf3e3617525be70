"""Writes of one appointment: move, cancel, confirm, arrive, complete, no-show. One operation, one transaction."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

from clinic import audit, clock
from clinic.audit import Actor
from clinic.db import AfterCommit, db, transaction
from clinic.errors import AlreadyOver, Conflict, Invalid, SlotTaken
from clinic.locations import queries as locations
from clinic.locations.models import Device
from clinic.protocols.base import Protocol
from clinic.scheduling import (
    booking,
    capacity,
    clearance,
    ledger,
    locking,
    overriding,
    planning,
    queries,
    steps,
    visits,
    wishes,
    writing,
)
from clinic.scheduling.capacity import Snapshot
from clinic.scheduling.ledger import Wanted
from clinic.scheduling.locking import Locked
from clinic.scheduling.mirror import taken
from clinic.scheduling.models import HOLDS_PLACE, Course, CourseState, Mode, SessionState, TreatmentSession
from clinic.scheduling.overriding import Soft
from clinic.scheduling.planner import CourseRequest
from clinic.scheduling.planner.rules import RULE_TEXT
from clinic.scheduling.planning import Place
from clinic.scheduling.wishes import CourseWish, PlannedSession

PRESENT = (*queries.AHEAD, SessionState.ARRIVED)
LEAST_MAKEUP_GAP = 5  # calendar days that one session may follow another where the protocol allows fewer
GAP_BREACH = 5000  # what the planner charges for one, in minutes: as much as many long moves
TAKEN_RULES = frozenset({"device_is_free", "staff_are_free"})
PLACE_TEXT = RULE_TEXT | {  # of one place, where the planner speaks of a whole day
    "device_is_free": "another session is on this device then",
    "staff_are_free": "every operator is busy then",
    "location_is_open": "the site is closed then",
    "device_is_up": "the device is out of service then",
    "staff_are_on_shift": "no operator is on shift then",
    "start_is_on_grid": "sessions start every five minutes",
}


# -- state changes --------------------------------------------------------------------------------------------------


@contextmanager
def _changing(
    session_id: int, action: str, *allowed: SessionState, by: Actor
) -> Iterator[tuple[TreatmentSession, Locked]]:
    """Lock patient, device and location; the schedule's version rises with the change, which can be taken back."""
    with transaction() as after_commit, _change(after_commit, session_id, action, *allowed, by=by) as found:
        yield found


@contextmanager
def _change(
    after_commit: AfterCommit, session_id: int, action: str, *allowed: SessionState, by: Actor
) -> Iterator[tuple[TreatmentSession, Locked]]:
    """The same within the caller's transaction."""
    row = queries.lock_session(session_id)
    if row.state not in allowed:
        raise AlreadyOver(f"this session is {row.state.replace('_', ' ')}", state=row.state)
    locked = locking.lock_row(row)
    course = queries.course(row.course_id) if row.course_id is not None else None
    old, old_course = steps.before([row]), steps.course_before(course) if course is not None else {}
    yield row, locked
    if steps.before([row]) == old:
        return
    is_changed = course is not None and steps.course_before(course) != old_course
    steps.remember(action, old, [row], course=(course, old_course) if course and is_changed else None, by=by)
    db.session.flush()
    locking.raise_versions(locked, after_commit)


def confirm_session(session_id: int, *, by: Actor) -> None:
    """The patient said yes. A session confirmed before stays so. Raises NotFound, AlreadyOver."""
    with _changing(session_id, "confirmed", *queries.AHEAD, by=by) as (row, _):
        if row.state == SessionState.CONFIRMED:
            return
        row.state = SessionState.CONFIRMED
        row.confirmed_at = clock.now()
        audit.record(row, "confirmed", by=by)


def arrive_session(session_id: int, *, by: Actor) -> None:
    """The patient is here. Raises NotFound, AlreadyOver, Conflict before the day."""
    with _changing(session_id, "arrived", *queries.AHEAD, by=by) as (row, _):
        _not_before_its_day(row)
        clearance.refuse(clearance.ARRIVAL, row)
        row.state = SessionState.ARRIVED
        audit.record(row, "arrived", by=by)


def start_session(session_id: int, *, by: Actor) -> None:
    """The treatment begins. Started once, it stays so. Raises NotFound, AlreadyOver, Conflict before the arrival."""
    with transaction() as after_commit:
        start_within_transaction(session_id, after_commit, by=by)


def start_within_transaction(session_id: int, after_commit: AfterCommit, *, by: Actor) -> None:
    """The same, as a step of another operation."""
    with _change(after_commit, session_id, "started", *PRESENT, by=by) as (row, _):
        if row.state != SessionState.ARRIVED:
            raise Conflict("the patient has not arrived yet")
        if row.started_at is None:
            clearance.refuse(clearance.START, row)
            row.started_at = clock.now()
            audit.record(row, "started", by=by)


def complete_session(session_id: int, *, patient_state: str | None = None, by: Actor) -> None:
    """It took place; the first session starts its course, the last ends it.

    A visit by video records in which state the patient was: the one of the booking, or `patient_state`.
    Raises NotFound, AlreadyOver, Conflict, Invalid.
    """
    with transaction() as after_commit:
        complete_within_transaction(session_id, after_commit, patient_state=patient_state, by=by)


def complete_within_transaction(
    session_id: int, after_commit: AfterCommit, *, patient_state: str | None = None, by: Actor
) -> None:
    """The same, as a step of another operation."""
    with _change(after_commit, session_id, "completed", *PRESENT, by=by) as (row, _):
        _not_before_its_day(row)
        clearance.refuse(clearance.FINISH, row)
        if patient_state is not None:
            if row.mode != Mode.VIDEO or patient_state not in visits.STATES:
                raise Invalid(
                    "the state of the patient belongs to a visit by video: two letters", fields=["patient_state"]
                )
            row.patient_state = patient_state
        if row.mode == Mode.VIDEO and row.patient_state is None:
            raise Invalid("say in which state the patient was", fields=["patient_state"])
        row.state = SessionState.COMPLETED
        row.ended_at = clock.now()
        audit.record(row, "completed", by=by)
        db.session.flush()
        if row.course_id is not None:
            _advance(queries.course(row.course_id), by=by)


def _advance(course: Course, *, by: Actor) -> None:
    done = sum(row.state == SessionState.COMPLETED for row in queries.sessions(course.id))
    if done >= course.planned_sessions and course.state in (CourseState.BOOKED, CourseState.RUNNING):
        course.state, course.ended_at = CourseState.COMPLETED, clock.now()
        audit.record(course, "completed", by=by, sessions=done)
    elif course.state == CourseState.BOOKED:
        course.state = CourseState.RUNNING
        audit.record(course, "started", by=by)


def miss_session(session_id: int, *, by: Actor) -> None:
    """The patient did not come (no-show). The place is free again. Raises NotFound, AlreadyOver, Conflict."""
    with _changing(session_id, "no_show", *queries.AHEAD, by=by) as (row, locked):
        _not_before_its_day(row)
        booking.free_sessions([row], SessionState.NO_SHOW, locked)
        audit.record(row, "no_show", by=by)


def cancel_session(session_id: int, *, reason: str = "", by: Actor) -> None:
    """Free one appointment that lies ahead, or one whose new time waits for the patient's yes. Raises NotFound, AlreadyOver."""
    with _changing(session_id, "cancelled", *queries.FREEABLE, by=by) as (row, locked):
        booking.free_sessions([row], SessionState.CANCELLED, locked)
        audit.record(row, "cancelled", by=by, reason=reason or None)


def _not_before_its_day(row: TreatmentSession) -> None:
    if row.local_on > clock.today(locations.get(row.location_id).tz):
        raise Conflict(f"this session is on {row.local_on.isoformat()}")


# -- move -----------------------------------------------------------------------------------------------------------


def move_session(
    session_id: int,
    *,
    starts_at: datetime,
    device_id: int | None = None,
    staff_id: int | None = None,
    room_id: int | None = None,
    reason: str = "",
    self_pay_id: int | None = None,
    by: Actor,
) -> None:
    """Give an appointment another time or device, a visit another staff member or room.

    Its confirmation lapses and its revision rises. Raises NotFound; AlreadyOver; SlotTaken where the place is taken;
    Invalid, with the rule, where none may be; ReasonNeeded where only soft rules are in the way.
    """
    with booking.overlaps_translated(), transaction() as after_commit:
        row = queries.lock_session(session_id)
        if row.state not in queries.AHEAD:
            raise AlreadyOver(f"this appointment is {row.state.replace('_', ' ')}", state=row.state)
        if row.is_visit:
            if device_id is not None:
                raise Invalid("a visit has no device", fields=["device"])
            to = visits.Where(
                starts_at, staff_id or row.staff_id or 0, row.room_id if room_id is None else room_id or None
            )
            visits.move_within_transaction(row, to, reason=reason, by=by, after_commit=after_commit)
        else:
            if staff_id is not None or room_id is not None:
                raise Invalid("a treatment session moves to a time and a device", fields=["staff", "room"])
            _move(row, starts_at, device_id or row.device_id or 0, reason, self_pay_id, by, after_commit)


def _move(
    row: TreatmentSession,
    starts_at: datetime,
    device_id: int,
    reason: str,
    self_pay_id: int | None,
    by: Actor,
    after_commit: AfterCommit,
) -> None:
    protocol = wishes.protocol_of(queries.course_of(row).protocol)
    if (starts_at, device_id) == (row.starts_at, row.device_id):
        return
    device = giving_device(device_id, protocol)
    wishes.refuse_distant(starts_at)
    locked = locking.lock_places(
        {x for x in (row.device_id, device_id) if x is not None},
        {row.location_id, device.location_id},
        max(row.starts_at, starts_at).date(),
        patient_ids={row.patient_id},
    )
    minutes = int((row.ends_at - row.starts_at).total_seconds() // 60)
    ends_at = starts_at + timedelta(minutes=minutes)
    place = PlannedSession(row.number, row.kind, row.need, device_id, device.location_id, starts_at, ends_at)
    refuse_place(locked.state.without(taken(row)), place)
    soft = _soft_pace(row, protocol, locked.state, place, _around(row))
    overriding.settle(soft, reason, by=by)
    old: dict[str, Any] = {"from_at": row.starts_at.isoformat(), "from_device": row.device_id}
    found = steps.before([row])
    locked.free(taken(row))
    with db.session.no_autoflush:
        put(row, place, protocol, locked)
        fund(row, protocol, self_pay_id=self_pay_id)
    row.revision += 1
    row.state, row.confirmed_at, row.change_id = SessionState.BOOKED, None, None
    locked.take(taken(row))
    audit.record(row, "moved", by=by, **old, to_at=place.starts_at.isoformat(), revision=row.revision)
    steps.remember("moved", found, [row], by=by)
    db.session.flush()
    overriding.record(row, soft, reason, by=by)
    locking.raise_versions(locked, after_commit)


def put(row: TreatmentSession, place: PlannedSession, protocol: Protocol, locked: Locked) -> None:
    """Write a place into a row."""
    one = writing.place_of(place, locked)
    row.location_id, row.device_id, row.room_id = one.location_id, one.device_id, one.room_id
    row.starts_at, row.ends_at, row.device_until = one.starts_at, one.ends_at, one.device_until
    row.spaced_until = place.starts_at + wishes.spacing(protocol, row.number)
    row.local_on = queries.local_date(place.starts_at, locked.state.site_of_device[place.device_id].tz)


def fund(row: TreatmentSession, protocol: Protocol, *, self_pay_id: int | None = None) -> None:
    """Who pays for a session at its new place: the same authorisation if it can, another one, or the patient.

    A session that no payer was asked for stays so. Raises NotAuthorised.
    """
    if row.authorisation_id is None:
        return
    wanted = Wanted(row.number, row.location_id, row.device_id, row.local_on)
    if ledger.why_not(ledger.get(row.authorisation_id), wanted) is None:
        return
    freed = {row.authorisation_id: 1}
    found = ledger.cover(row.patient_id, protocol, [wanted], self_pay_id=self_pay_id, freed=freed)[0]
    row.authorisation_id, row.self_pay_id = found


def giving_device(device_id: int, protocol: Protocol) -> Device:
    """The device, where it is in use and gives this protocol. Raises Invalid."""
    device = queries.devices({device_id}).get(device_id)
    if device is None or device.retired_at is not None:
        raise Invalid(f"no device {device_id}", fields=["device"])
    if protocol.gives not in device.protocols:
        raise Invalid(f"{device.name} does not give {protocol.name}", fields=["device"])
    return device


def refuse_place(state: Snapshot, place: PlannedSession) -> None:
    """Raise SlotTaken where somebody has the place, Invalid where nobody could."""
    rule = state.why_not(place.device_id, place.starts_at, place.minutes, place.need)
    if rule in TAKEN_RULES:
        raise SlotTaken(f"That time is taken: {PLACE_TEXT[rule]}.", taken=[booking.named(place, rule)])
    if rule is not None:
        words = PLACE_TEXT.get(rule, rule.replace("_", " "))
        raise Invalid(f"That time is not possible: {words}.", fields=["starts_at"], rule=rule)


@dataclass(frozen=True)
class _Around:
    """What a session must keep its distance to: the others of its course, and all else that the patient has booked."""

    others: Sequence[TreatmentSession]
    held: Sequence[queries.Held]


def _around(row: TreatmentSession) -> _Around:
    others = [x for x in queries.sessions(queries.course_of(row).id) if x.id != row.id and x.state in HOLDS_PLACE]
    return _Around(others, [x for x in queries.held_by_patient(row.patient_id) if x.session_id != row.id])


def _soft_pace(
    row: TreatmentSession, protocol: Protocol, state: Snapshot, place: PlannedSession, around: _Around
) -> list[Soft]:
    """Order and hours to the sessions before and after, and the patient's other appointments: those must hold.

    Answers the gaps in days that are too wide: those a prescriber may allow.
    """
    others = around.others
    before = max((x for x in others if x.starts_at < row.starts_at), key=lambda x: x.starts_at, default=None)
    after = min((x for x in others if x.starts_at > row.starts_at), key=lambda x: x.starts_at, default=None)
    on = queries.local_date(place.starts_at, state.site_of_device[place.device_id].tz)
    soft = []
    if before is not None:
        if place.starts_at < before.spaced_until:
            raise too_close("before")
        soft += soft_gap(protocol, row.number, before.local_on, on, row.kind)
    if after is not None:
        if place.starts_at + wishes.spacing(protocol, row.number) > after.starts_at:
            raise too_close("after")
        soft += soft_gap(protocol, after.number, on, after.local_on, after.kind)
    for held in around.held:
        if held.overlaps(place.starts_at, place.ends_at):
            raise SlotTaken(
                "The patient has another appointment then.", taken=[booking.named(place, "patient_is_free")]
            )
    return soft


def too_close(which: str) -> Invalid:
    """Too few hours to a neighbour."""
    return Invalid(f"That time is too close to the session {which} it.", fields=["starts_at"], rule="hours_between")


def most_gap(protocol: Protocol, number: int, kind: str | None = None) -> int:
    """Calendar days that session `number` may follow the one before; five are allowed to a course that was mended."""
    return max((wishes.visit_of(protocol, number, kind).gap or (1, LEAST_MAKEUP_GAP))[1], LEAST_MAKEUP_GAP)


def soft_gap(protocol: Protocol, number: int, before: date, on: date, kind: str | None = None) -> list[Soft]:
    """A gap that is too wide. Raises Invalid for two sessions on a day that are to lie on two."""
    visit = wishes.visit_of(protocol, number, kind)
    if visit.gap is None or (len(visit.offsets) > 1 and before == on):
        return []
    days, most = (on - before).days, most_gap(protocol, number, kind)
    if days < 1:
        raise Invalid("That day has a session of the course already.", fields=["starts_at"], rule="gaps_are_allowed")
    if days <= most:
        return []
    why = f"{days} days between two sessions, allowed 1 to {most}"
    return [Soft("gaps_are_allowed", why, prescriber_only=True, price=GAP_BREACH)]


def free_times(session_id: int, on: date) -> list[Place]:
    """Places on one date to which this session of a course can move, by time. Raises NotFound, AlreadyOver."""
    with transaction():
        row = queries.session(session_id)
        if row.state not in queries.AHEAD:
            raise AlreadyOver(f"this session is {row.state.replace('_', ' ')}", state=row.state)
        protocol = wishes.protocol_of(queries.course_of(row).protocol)
        state, request = question(row, protocol)
        state = state.without(taken(row))
        day = state.occupancy.day_of(on)
        visit = wishes.specs(protocol, [wishes.visit_of(protocol, row.number, row.kind)])[0]
        visit = replace(visit, offsets=(0,), duration=int((row.ends_at - row.starts_at).total_seconds() // 60))
        found, around = [], _around(row)
        for place in planning.free_places(request, state, visit, day, day + 1):
            planned = _as_planned(row, place)
            try:
                soft = _soft_pace(row, protocol, state, planned, around)
            except (Invalid, SlotTaken):
                continue
            if not soft:
                found.append(place)
        return found


def _as_planned(row: TreatmentSession, place: Place) -> PlannedSession:
    return PlannedSession(
        row.number, row.kind, row.need, place.device_id, place.location_id, place.starts_at, place.ends_at
    )


def question(row: TreatmentSession, protocol: Protocol, *, away: Sequence[date] = ()) -> tuple[Snapshot, CourseRequest]:
    """The present state of the course's site, and the planner's question about one session there."""
    state = capacity.snapshot({row.location_id}, until=row.starts_at.date())
    wish = CourseWish(protocol.key, location_ids=(row.location_id,), away=tuple(away))
    return state, wishes.course_request(wish, protocol, state, wishes.in_the_past(state))


# -- open slots -----------------------------------------------------------------------------------------------------


def open_places(location_id: int, protocol_key: str, first: date, last: date) -> list[Place]:
    """Every time at which one usual session of the protocol could start, both dates included. Raises NotFound, Invalid."""
    if last > wishes.last_day():
        raise Invalid(wishes.TOO_FAR, fields=["to"])
    with transaction():
        locations.get(location_id)
        protocol = wishes.protocol_of(protocol_key)
        state = capacity.snapshot({location_id}, until=last)
        wish = CourseWish(protocol_key, location_ids=(location_id,))
        request = wishes.course_request(wish, protocol, state, wishes.in_the_past(state))
        usual = next((visit for visit in protocol.visits if visit.consistent), protocol.visits[0])
    spec = wishes.specs(protocol, [usual])[0]
    days = state.occupancy.day_of(first), state.occupancy.day_of(last) + 1
    return list(planning.free_places(request, state, spec, *days))
