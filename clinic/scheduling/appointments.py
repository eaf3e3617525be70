"""Writes of single sessions: move, cancel, confirm, arrive, complete, no-show, make up. One operation, one transaction."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

from clinic import audit, clock
from clinic.audit import Actor
from clinic.db import db, transaction
from clinic.errors import AlreadyOver, Conflict, Invalid, SlotTaken
from clinic.locations import queries as locations
from clinic.protocols.base import Protocol
from clinic.scheduling import booking, capacity, planning, queries, wishes
from clinic.scheduling.booking import AfterCommit, Locked
from clinic.scheduling.capacity import Snapshot
from clinic.scheduling.models import HOLDS_PLACE, Course, CourseState, SessionState, TreatmentSession
from clinic.scheduling.planner import CourseRequest
from clinic.scheduling.planner.rules import RULE_TEXT
from clinic.scheduling.planning import Place
from clinic.scheduling.wishes import CourseWish, PlannedSession

PRESENT = (*queries.AHEAD, SessionState.ARRIVED)
LEAST_MAKEUP_GAP = 5  # calendar days that a make-up may follow the last session, where the protocol allows fewer
MOST_MAKEUPS = 28
TAKEN_RULES = frozenset({"device_is_free", "staff_are_free"})


# -- state changes --------------------------------------------------------------------------------------------------


@contextmanager
def _changing(session_id: int, *allowed: SessionState) -> Iterator[tuple[TreatmentSession, Locked, AfterCommit]]:
    """Lock patient, device and location; the schedule's version rises with the change."""
    with transaction() as after_commit:
        row = queries.lock_session(session_id)
        if row.state not in allowed:
            raise AlreadyOver(f"this session is {row.state.replace('_', ' ')}", state=row.state)
        locked = booking.lock_places({row.device_id}, {row.location_id}, row.starts_at.date())
        yield row, locked, after_commit
        db.session.flush()
        booking.raise_versions(locked, after_commit)


def confirm_session(session_id: int, *, by: Actor) -> None:
    """The patient said yes. A session confirmed before stays so. Raises NotFound, AlreadyOver."""
    with _changing(session_id, *queries.AHEAD) as (row, _, _):
        if row.state == SessionState.CONFIRMED:
            return
        row.state = SessionState.CONFIRMED
        row.confirmed_at = clock.now()
        audit.record(row, "confirmed", by=by)


def arrive_session(session_id: int, *, by: Actor) -> None:
    """The patient is here. Raises NotFound, AlreadyOver, Conflict before the day."""
    with _changing(session_id, *queries.AHEAD) as (row, _, _):
        _not_before_its_day(row)
        row.state = SessionState.ARRIVED
        audit.record(row, "arrived", by=by)


def complete_session(session_id: int, *, by: Actor) -> None:
    """The session was delivered; the first starts the course, the last ends it. Raises NotFound, AlreadyOver, Conflict."""
    with _changing(session_id, *PRESENT) as (row, _, _):
        _not_before_its_day(row)
        row.state = SessionState.COMPLETED
        row.ended_at = clock.now()
        audit.record(row, "completed", by=by)
        db.session.flush()
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
    with _changing(session_id, *queries.AHEAD) as (row, locked, _):
        _not_before_its_day(row)
        booking.free_sessions([row], SessionState.NO_SHOW, locked)
        audit.record(row, "no_show", by=by)


def cancel_session(session_id: int, *, reason: str = "", by: Actor) -> None:
    """Free one session that lies ahead. Raises NotFound, AlreadyOver."""
    with _changing(session_id, *queries.AHEAD) as (row, locked, _):
        booking.free_sessions([row], SessionState.CANCELLED, locked)
        audit.record(row, "cancelled", by=by, reason=reason or None)


def _not_before_its_day(row: TreatmentSession) -> None:
    if row.local_on > clock.today(locations.get(row.location_id).tz):
        raise Conflict(f"this session is on {row.local_on.isoformat()}")


# -- move -----------------------------------------------------------------------------------------------------------


def move_session(session_id: int, *, starts_at: datetime, device_id: int | None = None, by: Actor) -> None:
    """Give a session another time or device. Its confirmation lapses and its revision rises.

    Raises NotFound; AlreadyOver; SlotTaken where the place is taken; Invalid, with the rule, where none may be.
    """
    with booking.overlaps_translated(), transaction() as after_commit:
        _move(session_id, starts_at, device_id, by, after_commit)


def _move(session_id: int, starts_at: datetime, device_id: int | None, by: Actor, after_commit: AfterCommit) -> None:
    row = queries.lock_session(session_id)
    if row.state not in queries.AHEAD:
        raise AlreadyOver(f"this session is {row.state.replace('_', ' ')}", state=row.state)
    course = queries.course(row.course_id)
    protocol = wishes.protocol_of(course.protocol)
    device_id = device_id or row.device_id
    if (starts_at, device_id) == (row.starts_at, row.device_id):
        return
    device = queries.devices({device_id}).get(device_id)
    if device is None or device.retired_at is not None:
        raise Invalid(f"no device {device_id}", fields=["device"])
    if protocol.gives not in device.protocols:
        raise Invalid(f"{device.name} does not give {protocol.name}", fields=["device"])
    _refuse_distant(starts_at)
    locked = booking.lock_places(
        {row.device_id, device_id}, {row.location_id, device.location_id}, max(row.starts_at, starts_at).date()
    )
    minutes = int((row.ends_at - row.starts_at).total_seconds() // 60)
    place = PlannedSession(
        row.number,
        row.kind,
        row.need,
        device_id,
        device.location_id,
        starts_at,
        starts_at + timedelta(minutes=minutes),
    )
    _refuse_place(locked.state.without(row), place)
    _refuse_pace(row, protocol, locked.state, place, _around(row))
    old: dict[str, Any] = {"from_at": row.starts_at.isoformat(), "from_device": row.device_id}
    locked.removed.extend(_held(row, locked.state))
    row.starts_at, row.ends_at = place.starts_at, place.ends_at
    row.device_id, row.location_id = place.device_id, place.location_id
    row.device_until = place.ends_at + timedelta(minutes=locked.turnover[device_id])
    row.spaced_until = place.starts_at + wishes.spacing(protocol, row.number)
    row.local_on = queries.local_date(place.starts_at, locked.state.site_of_device[device_id].tz)
    row.revision += 1
    row.state, row.confirmed_at = SessionState.BOOKED, None
    locked.added.extend(_held(row, locked.state))
    audit.record(row, "moved", by=by, **old, to_at=place.starts_at.isoformat(), revision=row.revision)
    db.session.flush()
    booking.raise_versions(locked, after_commit)


def _held(row: TreatmentSession, state: Snapshot) -> list[tuple[int, Any]]:
    return [(row.location_id, state.booking(row.device_id, row.starts_at, row.ends_at, row.need))]


def _renumber(held: Sequence[TreatmentSession], protocol: Protocol) -> int:
    """The total is kept: what follows a lost session moves up one place. Answers the number of the place that is free."""
    for number, row in enumerate(held, start=1):
        if row.number != number:
            row.number = number
            if row.state in queries.AHEAD:
                row.kind = wishes.visit_of(protocol, number).kind
    return len(held) + 1


def _refuse_distant(starts_at: datetime) -> None:
    if not clock.now() < starts_at < clock.now() + timedelta(days=2 * wishes.MOST_DAYS_AHEAD):
        raise Invalid("a session moves to a time ahead, at most two years", fields=["starts_at"])


def _refuse_place(state: Snapshot, place: PlannedSession) -> None:
    rule = state.why_not(place.device_id, place.starts_at, place.minutes, place.need)
    if rule in TAKEN_RULES:
        raise SlotTaken(f"That time is taken: {RULE_TEXT[rule]}.", taken=[booking.named(place, rule)])
    if rule is not None:
        words = RULE_TEXT.get(rule, rule.replace("_", " "))
        raise Invalid(f"That time is not possible: {words}.", fields=["starts_at"], rule=rule)


@dataclass(frozen=True)
class _Around:
    """What a session must keep its distance to: the others of its course, and all else that the patient has booked."""

    others: Sequence[TreatmentSession]
    held: Sequence[queries.Held]


def _around(row: TreatmentSession) -> _Around:
    others = [x for x in queries.sessions(row.course_id) if x.id != row.id and x.state in HOLDS_PLACE]
    return _Around(others, [x for x in queries.held_by_patient(row.patient_id) if x.session_id != row.id])


def _refuse_pace(
    row: TreatmentSession, protocol: Protocol, state: Snapshot, place: PlannedSession, around: _Around
) -> None:
    """Order, calendar days and hours to the sessions before and after, and the patient's other appointments."""
    others = around.others
    before = max((x for x in others if x.starts_at < row.starts_at), key=lambda x: x.starts_at, default=None)
    after = min((x for x in others if x.starts_at > row.starts_at), key=lambda x: x.starts_at, default=None)
    on = queries.local_date(place.starts_at, state.site_of_device[place.device_id].tz)
    if before is not None:
        if place.starts_at < before.spaced_until:
            raise _too_close("before")
        _refuse_gap(protocol, row.number, before.local_on, on)
    if after is not None:
        if place.starts_at + wishes.spacing(protocol, row.number) > after.starts_at:
            raise _too_close("after")
        _refuse_gap(protocol, after.number, on, after.local_on)
    for held in around.held:
        if held.starts_at < place.ends_at and place.starts_at < held.ends_at:
            raise SlotTaken(
                "The patient has another appointment then.", taken=[booking.named(place, "patient_is_free")]
            )


def _too_close(which: str) -> Invalid:
    return Invalid(f"That time is too close to the session {which} it.", fields=["starts_at"], rule="hours_between")


def _refuse_gap(protocol: Protocol, number: int, before: date, on: date) -> None:
    visit = wishes.visit_of(protocol, number)
    same_day = len(visit.offsets) > 1 and before == on
    if visit.gap is None or same_day:
        return
    # a course that was mended may hold wider gaps than the protocol: five days are always allowed
    most = max(visit.gap[1], LEAST_MAKEUP_GAP)
    if not 1 <= (on - before).days <= most:
        raise Invalid(
            f"{(on - before).days} days between two sessions, allowed 1 to {most}.",
            fields=["starts_at"],
            rule="gaps_are_allowed",
        )


def free_times(session_id: int, on: date) -> list[Place]:
    """Places on one date to which this session can move, by time. Raises NotFound, AlreadyOver."""
    with transaction():
        row = queries.session(session_id)
        if row.state not in queries.AHEAD:
            raise AlreadyOver(f"this session is {row.state.replace('_', ' ')}", state=row.state)
        protocol = wishes.protocol_of(queries.course(row.course_id).protocol)
        state, request = _question(row, protocol)
        state = state.without(row)
        day = state.occupancy.day_of(on)
        visit = wishes.specs(protocol, [wishes.visit_of(protocol, row.number)])[0]
        visit = replace(visit, offsets=(0,), duration=int((row.ends_at - row.starts_at).total_seconds() // 60))
        found, around = [], _around(row)
        for place in planning.free_places(request, state, visit, day, day + 1):
            planned = _as_planned(row, place)
            try:
                _refuse_pace(row, protocol, state, planned, around)
            except (Invalid, SlotTaken):
                continue
            found.append(place)
        return found


def _as_planned(row: TreatmentSession, place: Place) -> PlannedSession:
    return PlannedSession(
        row.number, row.kind, row.need, place.device_id, place.location_id, place.starts_at, place.ends_at
    )


def _question(row: TreatmentSession, protocol: Protocol) -> tuple[Snapshot, CourseRequest]:
    """The present state of the course's site, and the planner's question about one session there."""
    state = capacity.snapshot({row.location_id}, until=row.starts_at.date())
    wish = CourseWish(protocol.key, location_ids=(row.location_id,))
    return state, wishes.course_request(wish, protocol, state, wishes.in_the_past(state))


# -- make-ups -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class MakeUps:
    """Places for a session that is owed, soonest day first; `reason` where there is none."""

    places: tuple[Place, ...] = ()
    reason: str = ""
    needs_review: bool = False  # five in a row, or seven calendar days: a prescriber looks first


def make_ups(course_id: int, *, count: int = 3) -> MakeUps:
    """Where a session that was missed or cancelled can be added: after the last one, by the gap rules.

    Nothing is appended before the mapping was done, and never two sessions a day. Raises NotFound.
    """
    with transaction():
        course = queries.course(course_id)
        if course.state not in (CourseState.BOOKED, CourseState.RUNNING):
            return MakeUps(reason=f"The course is {course.state}.")
        rows = queries.sessions(course_id)
        held = [row for row in rows if row.state in HOLDS_PLACE]
        if len(held) >= course.planned_sessions:
            return MakeUps(reason="Every session of the course has its place.")
        protocol = wishes.protocol_of(course.protocol)
        if any(len(visit.offsets) > 1 for visit in protocol.visits):
            reason = "Sessions of an accelerated day are not made up one by one: pause the course and resume it."
            return MakeUps(reason=reason, needs_review=True)
        if not held or held[0].number != 1:
            reason = "The first session, with the mapping, is owed: pause the course and resume it from a new date."
            return MakeUps(reason=reason)
        last = held[-1]
        state, request = _question(last, protocol)
        spec = wishes.specs(protocol, [wishes.visit_of(protocol, len(held) + 1)])[0]
        day, minute = state.day_and_minute(last.device_id, last.starts_at)
        request = replace(request, previous_day=day, previous_start=minute, continued=True)
        most = max((spec.gap or (1, LEAST_MAKEUP_GAP))[1], LEAST_MAKEUP_GAP)
        first = max(day + 1, state.occupancy.day_of(clock.now().date()))
        places = planning.free_places(request, state, spec, first, day + most + 1)
        found = planning.nearest_on_each_day(
            places, minute=course.anchor_minute, device_id=course.device_id, count=count
        )
        review = _break_is_long(rows)
        if not found:
            return MakeUps(reason="No free time inside the allowed gap after the last session.", needs_review=review)
        return MakeUps(tuple(found), needs_review=review)


def _break_is_long(rows: Sequence[TreatmentSession]) -> bool:
    """Five sessions missed in a row."""
    past = [row for row in rows if row.state in (SessionState.NO_SHOW, SessionState.COMPLETED)]
    return len(past) >= 5 and all(row.state == SessionState.NO_SHOW for row in past[-5:])


def add_make_up(course_id: int, *, starts_at: datetime, device_id: int, by: Actor) -> int:
    """Book one session that is owed; answers its id. Raises NotFound, Conflict, SlotTaken, Invalid."""
    offered = make_ups(course_id, count=MOST_MAKEUPS)
    if not offered.places:
        raise Conflict(offered.reason)
    with booking.overlaps_translated(), transaction() as after_commit:
        return _add(course_id, starts_at, device_id, by, after_commit)


def _add(course_id: int, starts_at: datetime, device_id: int, by: Actor, after_commit: AfterCommit) -> int:
    course = queries.lock_course(course_id)
    held = [row for row in queries.sessions(course_id) if row.state in HOLDS_PLACE]
    if course.state not in (CourseState.BOOKED, CourseState.RUNNING) or len(held) >= course.planned_sessions:
        raise Conflict("no session of this course is owed")
    protocol = wishes.protocol_of(course.protocol)
    device = queries.devices({device_id}).get(device_id)
    if device is None or device.retired_at is not None or protocol.gives not in device.protocols:
        raise Invalid("that device does not give this treatment", fields=["device"])
    _refuse_distant(starts_at)
    number = _renumber(held, protocol)
    visit = wishes.visit_of(protocol, number)
    place = PlannedSession(
        number,
        visit.kind,
        visit.need,
        device_id,
        device.location_id,
        starts_at,
        starts_at + wishes.length(protocol, visit),
    )
    locked = booking.lock_places({device_id}, {device.location_id}, starts_at.date())
    _refuse_place(locked.state, place)
    last = held[-1]
    if starts_at < last.spaced_until:
        raise _too_close("before")
    _refuse_gap(
        protocol, number, last.local_on, queries.local_date(starts_at, locked.state.site_of_device[device_id].tz)
    )
    booking.refuse_taken(course.patient_id, locked.state, [place])
    booking.insert_sessions(course.id, course.patient_id, protocol, [place], locked)
    audit.record(course, "made_up", by=by, starts_at=starts_at.isoformat())
    booking.raise_versions(locked, after_commit)
    added = max(queries.sessions(course_id), key=lambda row: row.id)
    return added.id


# -- open slots -----------------------------------------------------------------------------------------------------


def open_places(location_id: int, protocol_key: str, first: date, last: date) -> list[Place]:
    """Every time at which one usual session of the protocol could start, both dates included. Raises NotFound."""
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
