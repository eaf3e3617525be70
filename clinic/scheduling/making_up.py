"""What a course gets besides its first booking: make-ups, sessions added by a clinician, another device."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from clinic import audit, clock
from clinic.audit import Actor
from clinic.db import AfterCommit, db, transaction
from clinic.errors import Conflict, Invalid, Refused, SlotTaken
from clinic.intake import queries as intake
from clinic.protocols.base import Protocol
from clinic.scheduling import (
    appointments,
    booking,
    capacity,
    locking,
    overriding,
    planner,
    planning,
    queries,
    steps,
    wishes,
    writing,
)
from clinic.scheduling.mirror import taken
from clinic.scheduling.models import HOLDS_PLACE, Course, CourseState, SessionState, TreatmentSession
from clinic.scheduling.planner import CoursePlan, CourseRequest, PlannedVisit, RunningCourse, best_course
from clinic.scheduling.planner.calendar import from_utc, to_utc
from clinic.scheduling.planner.explain import explain_no_course
from clinic.scheduling.planner.visits import Part, next_stage
from clinic.scheduling.wishes import MAINTENANCE, CourseWish, PlannedSession
from clinic.staff import queries as staff
from clinic.staff.models import Role

MOST_MAKEUPS = 28
MOST_EXTRA = 40
STAGE = "stage"
MOST_TRIES = 3
BOOKABLE = (CourseState.BOOKED, CourseState.RUNNING)


# -- make-ups -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class MakeUp:
    """One free place for a session that is owed.

    gap: calendar days since the session before. shift: minutes from the usual time, negative = earlier in the day.
    breach: the gap rule that this place would not keep, in words.
    """

    starts_at: datetime
    ends_at: datetime
    device_id: int
    location_id: int
    gap: int
    shift: int
    breach: str = ""


@dataclass(frozen=True)
class MakeUps:
    """Places for a session that is owed, soonest day first; `reason` where there is none.

    beyond: places past the allowed gap; each breaks the gap rule, costs `price` and needs a prescriber's reason.
    """

    places: tuple[MakeUp, ...] = ()
    reason: str = ""
    needs_review: bool = False  # five in a row, or seven calendar days: a prescriber looks first
    beyond: tuple[MakeUp, ...] = ()
    most_days: int = 0  # calendar days after the last session that the rule allows
    price: int = appointments.GAP_BREACH


def make_ups(course_id: int, *, count: int = 3) -> MakeUps:
    """Where a session that was missed or cancelled can be added: after the last one, by the gap rules.

    Nothing is appended before the mapping was done, and never two sessions a day. Raises NotFound.
    """
    with transaction():
        course = queries.course(course_id)
        if course.state not in BOOKABLE:
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
        return after_the_last(course, protocol, held, rows, count)


def after_the_last(
    course: Course,
    protocol: Protocol,
    held: Sequence[TreatmentSession],
    rows: Sequence[TreatmentSession],
    count: int,
) -> MakeUps:
    """Places behind the last session that is held, by the gap rules; inside the caller's transaction."""
    last = held[-1]
    state, request = appointments.question(last, protocol, away=intake.availability(course.patient_id)["away"])
    owed, given = wishes.specs(
        protocol,
        [wishes.visit_of(protocol, len(held) + 1, last.kind), wishes.visit_of(protocol, last.number, last.kind)],
    )
    site = state.sites[last.location_id]
    today, minute = from_utc(clock.now(), site.tz)
    busy = (*request.busy, *_elsewhere(course, state))
    running = RunningCourse(str(course.id), replace(request, visits=(given,), busy=busy), (_placed(last, state),))
    device_id = course.device_id if course.device_id in state.devices else last.device_id or 0
    found = planner.make_ups(
        running,
        owed,
        state.occupancy,
        now=state.occupancy.day_of(today),
        now_minute=minute,
        notice=wishes.NOTICE_MINUTES,
        usual=(state.devices[device_id].id, course.anchor_minute),
        count=count,
    )
    offered = tuple(_as_offered(one, state) for one in found)
    inside = tuple(one for one in offered if not one.breach)
    review, most = _break_is_long(rows), appointments.most_gap(protocol, len(held) + 1, last.kind)
    if inside:
        return MakeUps(inside, needs_review=review, most_days=most)
    reason = "No free time inside the allowed gap after the last session."
    return MakeUps(reason=reason, needs_review=review or bool(offered), beyond=offered, most_days=most)


def _placed(row: TreatmentSession, state: capacity.Snapshot) -> PlannedVisit:
    day, start = state.day_and_minute(row.device_id or 0, row.starts_at)
    facts = state.devices[row.device_id or 0]
    minutes = int((row.ends_at - row.starts_at).total_seconds() // 60)
    on = state.occupancy.date_of(day)
    return PlannedVisit(row.number, row.kind, day, on, facts.id, facts.location, start, start + minutes)


def _as_offered(one: planner.MakeUp, state: capacity.Snapshot) -> MakeUp:
    visit, device_id = one.visit, state.device_ids[one.visit.device]
    site = state.site_of_device[device_id]
    return MakeUp(
        starts_at=to_utc(visit.date, visit.start, site.tz),
        ends_at=to_utc(visit.date, visit.end, site.tz),
        device_id=device_id,
        location_id=site.id,
        gap=one.gap,
        shift=one.minutes,
        breach=one.breach.text if one.breach is not None else "",
    )


def _elsewhere(course: Course, state: capacity.Snapshot) -> list[tuple[int, int, int]]:
    """What the patient has besides this course, as the planner counts days."""
    return [
        span
        for held, span in wishes.busy_spans(queries.held_by_patient(course.patient_id), state)
        if held.course_id != course.id
    ]


def _break_is_long(rows: Sequence[TreatmentSession]) -> bool:
    """Five sessions missed in a row."""
    past = [row for row in rows if row.state in (SessionState.NO_SHOW, SessionState.COMPLETED)]
    return len(past) >= 5 and all(row.state == SessionState.NO_SHOW for row in past[-5:])


def add_make_up(
    course_id: int,
    *,
    starts_at: datetime,
    device_id: int,
    reason: str = "",
    self_pay_id: int | None = None,
    by: Actor,
) -> int:
    """Book one session that is owed; answers its id.

    Past the allowed gap only with a prescriber's reason. Raises NotFound, Conflict, SlotTaken, Invalid, ReasonNeeded,
    NotAuthorised.
    """
    offered = make_ups(course_id, count=MOST_MAKEUPS)
    if not offered.places and not offered.beyond:
        raise Conflict(offered.reason)
    with booking.overlaps_translated(), transaction() as after_commit:
        return _add(course_id, starts_at, device_id, reason, self_pay_id, by, after_commit)


def _add(
    course_id: int,
    starts_at: datetime,
    device_id: int,
    reason: str,
    self_pay_id: int | None,
    by: Actor,
    after_commit: AfterCommit,
) -> int:
    course = queries.lock_course(course_id)
    held = [row for row in queries.sessions(course_id) if row.state in HOLDS_PLACE]
    if course.state not in BOOKABLE or len(held) >= course.planned_sessions:
        raise Conflict("no session of this course is owed")
    protocol = wishes.protocol_of(course.protocol)
    device = appointments.giving_device(device_id, protocol)
    wishes.refuse_distant(starts_at)
    number, last = renumber(held, protocol), held[-1]
    visit = wishes.visit_of(protocol, number, last.kind)
    ends_at = starts_at + wishes.length(protocol, visit)
    place = PlannedSession(number, visit.kind, visit.need, device_id, device.location_id, starts_at, ends_at)
    locked = locking.lock_sessions([place], patient_ids={course.patient_id})
    appointments.refuse_place(locked.state, place)
    if starts_at < last.spaced_until:
        raise appointments.too_close("before")
    on = queries.local_date(starts_at, locked.state.site_of_device[device_id].tz)
    soft = appointments.soft_gap(protocol, number, last.local_on, on, last.kind)
    overriding.settle(soft, reason, by=by)
    booking.refuse_taken(course.patient_id, locked.state, [place])
    writing.insert_sessions(course.id, course.patient_id, protocol, [place], locked, self_pay_id=self_pay_id)
    audit.record(course, "made_up", by=by, starts_at=starts_at.isoformat())
    locking.raise_versions(locked, after_commit)
    added = max(queries.sessions(course_id), key=lambda row: row.id)
    overriding.record(added, soft, reason, by=by)
    steps.remember("made_up", {}, [added], by=by)
    return added.id


def renumber(held: Sequence[TreatmentSession], protocol: Protocol) -> int:
    """The total is kept: what follows a lost session moves up one place. Answers the number of the place that is free."""
    for number, row in enumerate(held, start=1):
        if row.number != number:
            row.number = number
            if row.state in queries.AHEAD:
                row.kind = wishes.visit_of(protocol, number, row.kind).kind
    return len(held) + 1


# -- more sessions --------------------------------------------------------------------------------------------------


def extend_course(
    course_id: int,
    *,
    kind: str,
    count: int = 0,
    every_weeks: int | None = None,
    on: date | None = None,
    self_pay_id: int | None = None,
    reason: str,
    by: Actor,
) -> list[int]:
    """Plan and book sessions past the end of a course; answers their ids.

    A prescriber says why. kind: one of the protocol's (they follow at its pace); `stage`, the next one of a staged
    protocol, whose `count` is its own; or `maintenance` with the weeks between (`every_weeks`). `on`: the earliest
    date. Raises NotFound, Refused, Invalid, Conflict.
    """
    if not reason.strip():
        raise Invalid("Say why the course goes on.", fields=["reason"])
    if kind != STAGE and not 1 <= count <= MOST_EXTRA:
        raise Invalid(f"add 1 to {MOST_EXTRA} sessions", fields=["count"])
    if Role.PRESCRIBER not in staff.roles_of(by):
        raise Refused("Only a prescriber adds sessions to a course.")
    for _ in range(MOST_TRIES):
        with transaction():
            more = _more(course_id, count, kind, every_weeks, on)
        plan = best_course(more.request, more.state.occupancy)
        if plan is None:
            refusal = explain_no_course(more.request, more.state.occupancy)
            binding = planning.binding_of(refusal, more.request, more.protocol)
            raise Conflict(f"No place for these sessions: {refusal.text}", binding=binding)
        try:
            with booking.overlaps_translated(), transaction() as after_commit:
                return _extend(course_id, more, plan, reason, self_pay_id, by, after_commit)
        except SlotTaken:
            continue
    raise Conflict("The places are taken faster than they can be booked. Try again.")


@dataclass(frozen=True)
class _More:
    protocol: Protocol
    state: capacity.Snapshot
    request: CourseRequest
    part: Part
    kind: str
    planned: int


def _more(course_id: int, count: int, kind: str, every_weeks: int | None, on: date | None) -> _More:
    course = queries.course(course_id)
    protocol = wishes.protocol_of(course.protocol)
    part = _part(protocol, kind, count, every_weeks, course.planned_sessions)
    if course.state not in (*BOOKABLE, CourseState.COMPLETED):
        raise Conflict(f"a course that is {course.state} is not extended")
    if any(len(visit.offsets) > 1 for visit in protocol.visits):
        raise Conflict("an accelerated course is not extended: plan a new one")
    booking.approval(course.patient_id, protocol)
    held = [row for row in queries.sessions(course_id) if row.state in HOLDS_PLACE]
    if len(held) < course.planned_sessions:
        raise Conflict("sessions of this course are owed: make them up first")
    wish = wishes.checked(CourseWish(course.protocol, earliest_start=on, location_ids=(course.location_id,)))
    state = capacity.snapshot({course.location_id}, until=max(held[-1].local_on, on or held[-1].local_on))
    busy = [span for _, span in wishes.busy_spans(queries.held_by_patient(course.patient_id), state)]
    request = wishes.course_request(wish, protocol, state, [*wishes.in_the_past(state), *busy], part)
    day, minute = state.day_and_minute(held[-1].device_id or 0, held[-1].starts_at)
    request = replace(request, release=max(request.release, day + 1))
    gap = request.visits[0].gap
    if on is None and gap is not None and request.release - day <= gap[1]:
        request = replace(request, continued=True, previous_day=day, previous_start=minute)
    return _More(protocol, state, request, part, kind, course.planned_sessions)


def _part(protocol: Protocol, kind: str, count: int, every_weeks: int | None, planned: int) -> Part:
    """The visits to add, numbered on from the course's last session. Raises Invalid, Conflict."""
    if kind == STAGE:
        following = next_stage(protocol, planned)
        if following is None:
            raise Conflict(f"{protocol.name} has no stage after {planned} sessions")
        return following[1]
    kinds = {visit.kind for visit in protocol.visits if visit.kind != "mapping"} | {MAINTENANCE, STAGE}
    if kind not in kinds:
        raise Invalid(f"kind is {', '.join(sorted(kinds))}", fields=["kind"])
    visit = wishes.extra_visit(protocol, kind)
    if kind == MAINTENANCE:
        if not 1 <= (every_weeks or 0) <= 12:
            raise Invalid("say how many weeks lie between, 1 to 12", fields=["every_weeks"])
        days, weekdays = 7 * (every_weeks or 1), 5 * (every_weeks or 1)
        visit = replace(visit, gap=(max(1, days - 3), days + 3), ideal=(weekdays, weekdays))
    numbers = tuple(range(planned + 1, planned + 1 + count))
    return Part(tuple(replace(visit, number=number) for number in numbers), numbers)


def _extend(
    course_id: int,
    more: _More,
    plan: CoursePlan,
    reason: str,
    self_pay_id: int | None,
    by: Actor,
    after_commit: AfterCommit,
) -> list[int]:
    course = queries.lock_course(course_id)
    if course.planned_sessions != more.planned or course.state not in (*BOOKABLE, CourseState.COMPLETED):
        raise Conflict("this course was changed meanwhile. Look at it again.")
    sessions = wishes.sessions_of(plan, more.protocol, more.state, more.part)
    locked = locking.lock_sessions(sessions, patient_ids={course.patient_id})
    booking.refuse_taken(course.patient_id, locked.state, sessions)
    writing.insert_sessions(course.id, course.patient_id, more.protocol, sessions, locked, self_pay_id=self_pay_id)
    course.planned_sessions += len(sessions)
    if course.state == CourseState.COMPLETED:
        course.state, course.ended_at = CourseState.RUNNING, None
    audit.record(course, "extended", by=by, reason=reason.strip(), sessions=len(sessions), kind=more.kind)
    locking.raise_versions(locked, after_commit)
    return [row.id for row in queries.sessions(course_id) if row.number > more.planned]


# -- another device -------------------------------------------------------------------------------------------------


def swap_device(course_id: int, device_id: int, *, from_on: date | None = None, by: Actor) -> int:
    """Put what lies ahead on another device of the same site at the same times, or nothing; answers how many moved.

    Raises NotFound, Conflict, Invalid; SlotTaken names the sessions whose time is taken there.
    """
    with booking.overlaps_translated(), transaction() as after_commit:
        course = queries.lock_course(course_id)
        if course.state not in BOOKABLE:
            raise Conflict(f"this course is {course.state}")
        protocol = wishes.protocol_of(course.protocol)
        device = appointments.giving_device(device_id, protocol)
        rows = [
            row
            for row in queries.sessions(course_id)
            if row.state in queries.AHEAD
            and row.starts_at > clock.now()
            and row.device_id != device_id
            and (from_on is None or row.local_on >= from_on)
        ]
        if any(row.location_id != device.location_id for row in rows):
            raise Invalid("that device stands at another site: plan the sessions anew", fields=["device"])
        if rows:
            _swap(rows, device_id, protocol, by, after_commit)
        if all(row.device_id == device_id for row in queries.sessions(course_id) if row.state in queries.AHEAD):
            course.device_id = device_id
        audit.record(course, "device_swapped", by=by, device_id=device_id, sessions=len(rows))
        return len(rows)


def _swap(
    rows: Sequence[TreatmentSession], device_id: int, protocol: Protocol, by: Actor, after_commit: AfterCommit
) -> None:
    locked = locking.lock_places(
        {device_id, *(row.device_id for row in rows if row.device_id is not None)},
        {row.location_id for row in rows},
        rows[-1].starts_at.date(),
        patient_ids={row.patient_id for row in rows},
    )
    state = locked.state.without(*(taken(row) for row in rows))
    places = [
        PlannedSession(row.number, row.kind, row.need, device_id, row.location_id, row.starts_at, row.ends_at)
        for row in rows
    ]
    lost = [
        booking.named(place, rule)
        for place in places
        if (rule := state.why_not(device_id, place.starts_at, place.minutes, place.need)) is not None
    ]
    if lost:
        raise SlotTaken("Some of these times are taken on that device. Nothing was changed.", taken=lost)
    found = steps.before(rows)
    for row, place in zip(rows, places, strict=True):
        old: dict[str, Any] = {"from_at": row.starts_at.isoformat(), "from_device": row.device_id}
        locked.free(taken(row))
        with db.session.no_autoflush:
            appointments.put(row, place, protocol, locked)
            appointments.fund(row, protocol)
        row.revision += 1
        locked.take(taken(row))
        audit.record(row, "moved", by=by, **old, to_at=row.starts_at.isoformat(), revision=row.revision)
    steps.remember("device_swapped", found, rows, by=by)
    db.session.flush()
    locking.raise_versions(locked, after_commit)
