"""Writes of whole courses: propose, book, cancel, pause, resume. One operation is one transaction."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from math import hypot
from typing import Any
from uuid import UUID, uuid4

from clinic import audit, clock
from clinic.audit import Actor
from clinic.db import AfterCommit, db, transaction
from clinic.errors import AlreadyOver, Conflict, Expired, Invalid, SlotTaken
from clinic.intake import queries as intake
from clinic.locations import queries as locations
from clinic.patients import queries as patients
from clinic.protocols.base import Protocol
from clinic.scheduling import (
    booking,
    capacity,
    holding,
    known,
    locking,
    planning,
    preparing,
    queries,
    steps,
    wishes,
    writing,
)
from clinic.scheduling.booking import approval, overlaps_translated
from clinic.scheduling.capacity import Snapshot
from clinic.scheduling.models import Course, CourseProposal, CourseState, HoldPurpose, SessionState
from clinic.scheduling.planner import CoursePlan, CourseRequest, NoCourse, best_course
from clinic.scheduling.planner.explain import explain_no_course
from clinic.scheduling.planner.reasons import gap_as_json
from clinic.scheduling.planner.visits import Part, opening_part, rest_of
from clinic.scheduling.wishes import CourseWish, PlannedSession
from clinic.scheduling.writing import Booked, NewCourse, WithIt

PROPOSAL_LIVES = timedelta(minutes=15)
MOST_TRIES = 3  # a course that is resumed has no one to choose for it: when a time is lost, plan again
BOOKING_RULES = frozenset({"device_is_free", "staff_are_free", "patient_is_free"})


@dataclass(frozen=True)
class Offer:
    """Proposals that were stored, best kind first; or why there is none, and what would open one.

    held_until: the places of the first one are kept until then.
    """

    proposal_ids: tuple[UUID, ...]
    binding: tuple[dict[str, Any], ...] = ()
    held_until: datetime | None = None


@dataclass(frozen=True)
class AskedSession:
    """A session that someone else planned."""

    starts_at: datetime
    device_id: int


# -- propose --------------------------------------------------------------------------------------------------------


def propose_courses(patient_id: int, wish: CourseWish, *, hold: bool = False, by: Actor) -> Offer:
    """Find and store whole courses that differ in kind; they live 15 minutes and keep no place.

    `hold`: the first of them is kept for ten minutes. What was held for the person's last question is let go.
    Raises NotFound, Invalid, DecisionRequired.
    """
    _let_go_of_last_question(patient_id, by=by)
    for _ in range(MOST_TRIES):
        offer = _propose(patient_id, wish, by=by)
        if not hold or not offer.proposal_ids:
            return offer
        try:
            kept = holding.hold_proposal(offer.proposal_ids[0], by=by)
        except SlotTaken:
            continue  # somebody was faster: look again
        return replace(offer, held_until=kept.expires_at)
    raise Conflict("The places are taken faster than they can be held. Try again.")


def _let_go_of_last_question(patient_id: int, *, by: Actor) -> None:
    with transaction():
        ids = [hold.id for hold in holding.live_holds(patient_id, HoldPurpose.PROPOSAL)]
    for hold_id in ids:
        holding.let_go(hold_id, by=by)


def _propose(patient_id: int, wish: CourseWish, *, by: Actor) -> Offer:
    with transaction():
        patients.get(patient_id)
        wish = wishes.checked(wish)
        protocol = wishes.protocol_of(wish.protocol)
        approval(patient_id, protocol)
        full = with_defaults(patient_id, wish)
        state = _state_for(full)
        if state is None:
            return Offer((), (_nowhere(protocol),))
        request = wishes.course_request(full, protocol, state, busy(patient_id, state))
        if protocol.follows:
            request = wishes.after_last(request, queries.last_delivered(patient_id, protocol.gives), state)
    found = planning.choices(request, state, wish.count)  # between two transactions: thinking holds no connection
    if isinstance(found, NoCourse):
        return Offer((), tuple(planning.binding_of(found, request, protocol, state)))
    with transaction():
        rows = [_stored(choice, patient_id, wish, protocol, state) for choice in found]
        db.session.add_all(rows)
        ids = tuple(row.id for row in rows)
        audit.record_event("courses", "-", "proposed", by=by, patient_id=patient_id, proposals=[str(x) for x in ids])
    return Offer(ids)


def _stored(
    choice: planning.Choice, patient_id: int, wish: CourseWish, protocol: Protocol, state: Snapshot
) -> CourseProposal:
    row = stored_plan(choice.plan, choice.kind, patient_id, wish, protocol, state)
    notes = {str(number): note for number, note in choice.notes.items()}
    row.plan = {**row.plan, "labels": list(choice.labels), "why": list(choice.why), "notes": notes}
    return row


def stored_plan(
    plan: CoursePlan, kind: str, patient_id: int, wish: CourseWish, protocol: Protocol, state: Snapshot
) -> CourseProposal:
    """A course of the planner as a proposal of somebody; the caller adds it."""
    sessions = wishes.sessions_of(plan, protocol, state, thresholds=wish.thresholds)
    home = state.device_ids[plan.home]
    return CourseProposal(
        id=uuid4(),
        patient_id=patient_id,
        kind=kind,
        protocol=protocol.key,
        request=wish.as_json(),
        plan={
            "labels": [kind],
            "location_id": state.site_of_device[home].id,
            "device_id": home,
            "anchor": plan.anchor,
            "cost": plan.cost,
            "parts": plan.parts.as_dict(),
            "why": list(plan.why),
            "gaps": [gap_as_json(gap) for gap in plan.gaps],
            "notes": {},
            "sessions": [session.as_json() for session in sessions],
        },
        created_at=clock.now(),
        expires_at=clock.now() + PROPOSAL_LIVES,
    )


def with_defaults(patient_id: int, wish: CourseWish) -> CourseWish:
    """Where the wish is silent, what the intake says; where that is silent, the nearest sites."""
    known = intake.availability(patient_id)
    away = tuple(known["away"])
    windows = None
    if wish.daily_window is None and not wish.weekdays and known["windows"]:
        windows = {day: tuple((a, b) for a, b in spans) for day, spans in known["windows"].items()}
    places = wish.location_ids or _usual_places(patient_id, wish.protocol, known["locations"])
    return replace(wish, location_ids=tuple(places), windows=windows, away=away)


def _usual_places(patient_id: int, protocol: str, named: Sequence[int]) -> list[int]:
    """Sites that give the protocol: those named first, else all by distance from the one that is preferred."""
    offering = queries.sites_offering(wishes.protocol_of(protocol).gives)
    fitting = [x for x in named if x in offering]
    if fitting:
        return fitting
    preferred = named[0] if named else patients.get(patient_id).preferred_location_id
    if preferred is None:
        return []
    here = locations.get(preferred)
    if here.latitude is None or here.longitude is None:
        return sorted(offering, key=lambda x: x != preferred)
    sites = {x: locations.get(x) for x in offering}
    return sorted(
        sites,
        key=lambda x: hypot(
            (sites[x].latitude or 0) - (here.latitude or 0), (sites[x].longitude or 0) - (here.longitude or 0)
        ),
    )


def _state_for(wish: CourseWish) -> Snapshot | None:
    """The sites that were named, and the others that give the protocol while they are few: a refusal tries them."""
    for location_id in wish.location_ids:
        locations.get(location_id)
    offering = queries.sites_offering(wishes.protocol_of(wish.protocol).gives)
    if not offering:
        return None
    everywhere = set(offering) if len(offering) <= capacity.MOST_SITES or not wish.location_ids else set()
    return capacity.snapshot(everywhere | set(wish.location_ids), until=wish.latest_start or wish.earliest_start)


def _nowhere(protocol: Protocol) -> dict[str, Any]:
    text = f"No site of the clinic gives {protocol.name}."
    return {"rule": "device_has_capability", "visit": 1, "text": text, "days": [], "opens": []}


def busy(patient_id: int, state: Snapshot) -> list[tuple[int, int, int]]:
    """The patient's other appointments and the past, as the planner counts days."""
    held = wishes.busy_spans(queries.held_by_patient(patient_id), state)
    return [*wishes.in_the_past(state), *(span for _, span in held)]


# -- book -----------------------------------------------------------------------------------------------------------


def book_course(
    patient_id: int,
    *,
    proposal_id: UUID | None = None,
    protocol: str | None = None,
    sessions: Sequence[AskedSession] = (),
    self_pay_id: int | None = None,
    by: Actor,
    along: WithIt = lambda _: None,
) -> Booked:
    """Book every session of a course, or none.

    Give a proposal, or a protocol and its sessions in order. The same proposal booked twice answers the same course.
    self_pay_id: the patient's agreement to pay for what the payer did not approve. along: a statement that is written
    with a new course. Where it is given the course (`Booked.course`) that is being written just then: it asks the database
    for nothing.
    Raises NotFound, Invalid, DecisionRequired, NotAuthorised; SlotTaken and Expired carry fresh proposals (`details["offer"]`).
    """
    wish = CourseWish(protocol or "")
    try:
        if proposal_id is not None:
            return _book_proposal(patient_id, proposal_id, self_pay_id, by=by, along=along)
        with transaction():
            patients.get(patient_id)
            new, wish = _from_sessions(patient_id, protocol or "", sessions)
            new = replace(new, self_pay_id=self_pay_id)
        with overlaps_translated(), transaction() as after_commit:
            queries.lock_patient(patient_id)
            booked = Booked(holding.book_within_transaction(new, by=by, after_commit=after_commit), is_new=True)
            writing.write_along(along(booked))
            return booked
    except (SlotTaken, Expired) as refusal:
        asked = _wish_of(proposal_id) if proposal_id is not None else wish
        refusal.details = {**refusal.details, "offer": propose_courses(patient_id, asked, by=by)}
        raise


def _book_proposal(patient_id: int, proposal_id: UUID, self_pay_id: int | None, *, by: Actor, along: WithIt) -> Booked:
    with overlaps_translated(), transaction() as after_commit:
        found = known.lock_for_plan(patient_id, proposal_id)
        if found.booked_as is not None:
            return Booked(found.booked_as, is_new=False)
        if found.expires_at <= clock.now():
            raise Expired("This plan is older than 15 minutes. Nothing was booked.")
        new = _new_course(patient_id, proposal_id, found.protocol, found.plan, self_pay_id)
        if found.is_held:
            booked = Booked(book_within_transaction(new, by=by, after_commit=after_commit), is_new=True)
            writing.write_along(along(booked))
            return booked
        course = booking.book_known_within_transaction(new, found, along=along, by=by, after_commit=after_commit)
        return Booked(course.id, is_new=True, course=course)


def book_within_transaction(new: NewCourse, *, by: Actor, after_commit: AfterCommit) -> int:
    """The patient is locked. A plan of somebody for whom places are held: those of this plan, or of another that gives way."""
    _, hold = queries.proposal_and_hold(new.proposal_id)
    course_id = holding.confirm_within_transaction(new, hold, by=by, after_commit=after_commit)
    if course_id is None:
        course_id = holding.book_within_transaction(new, by=by, after_commit=after_commit)
    return course_id


def new_course(row: CourseProposal, self_pay_id: int | None = None) -> NewCourse:
    """What a proposal becomes when it is booked."""
    return _new_course(row.patient_id, row.id, row.protocol, row.plan, self_pay_id)


def _new_course(
    patient_id: int, proposal_id: UUID, protocol: str, plan: dict[str, Any], self_pay_id: int | None
) -> NewCourse:
    return NewCourse(
        patient_id=patient_id,
        protocol=wishes.protocol_of(protocol),
        sessions=wishes.sessions_from_json(plan),
        location_id=plan["location_id"],
        device_id=plan["device_id"],
        anchor_minute=plan["anchor"],
        cost=plan["cost"],
        proposal_id=proposal_id,
        self_pay_id=self_pay_id,
    )


def _wish_of(proposal_id: UUID) -> CourseWish:
    with transaction():
        return wishes.wish_from_json(queries.proposal(proposal_id).request)


def _from_sessions(patient_id: int, protocol_key: str, asked: Sequence[AskedSession]) -> tuple[NewCourse, CourseWish]:
    """A course that was planned elsewhere, held against every rule of the protocol. Raises Invalid."""
    wish = wishes.checked(CourseWish(protocol_key))
    protocol = wishes.protocol_of(protocol_key)
    approval(patient_id, protocol)
    wanted = opening_part(protocol).sessions
    if len(asked) != wanted:
        raise Invalid(f"{protocol.name} has {wanted} sessions, {len(asked)} were given", fields=["sessions"])
    devices = queries.devices({each.device_id for each in asked})
    for each in asked:
        device = devices.get(each.device_id)
        if device is None or device.retired_at is not None:
            raise Invalid(f"no device {each.device_id}", fields=["sessions"])
        if protocol.gives not in device.protocols:
            raise Invalid(f"{device.name} does not give {protocol.name}", fields=["sessions"])
    if any(not clock.now() < each.starts_at < wishes.horizon() for each in asked):
        raise Invalid("every session lies ahead, at most two years", fields=["sessions"])
    state = capacity.snapshot(
        {device.location_id for device in devices.values()}, until=max(each.starts_at for each in asked).date()
    )
    planned = []
    for number, each in enumerate(asked, start=1):
        visit = wishes.visit_of(protocol, number)
        planned.append(
            PlannedSession(
                number,
                visit.kind,
                visit.need,
                each.device_id,
                devices[each.device_id].location_id,
                each.starts_at,
                each.starts_at + wishes.length(protocol, visit),
            )
        )
    any_day = replace(wish, location_ids=tuple(state.sites), earliest_start=clock.now().date() - timedelta(days=1))
    request = wishes.course_request(any_day, protocol, state, [])
    _refuse_illegal(request, state, protocol, planned)
    own = [s for s in planned if wishes.visit_of(protocol, s.number).consistent] or planned
    home, _ = Counter(s.device_id for s in own).most_common(1)[0]
    minutes = [state.day_and_minute(s.device_id, s.starts_at)[1] for s in own]
    anchor, _ = Counter(minutes).most_common(1)[0]
    cost = sum(abs(minute - anchor) for minute in minutes)
    new = NewCourse(patient_id, protocol, planned, devices[home].location_id, home, anchor_minute=anchor, cost=cost)
    return new, replace(wish, location_ids=(devices[home].location_id,))


def _refuse_illegal(
    request: CourseRequest, state: Snapshot, protocol: Protocol, planned: Sequence[PlannedSession]
) -> None:
    """Raise Invalid for a broken rule of place, pace or hours; places that are merely taken are judged at booking."""
    opening = opening_part(protocol)
    firsts = [planned[number - 1] for number in opening.numbers]
    for rule, words, position in planning.broken_rules(request, state, firsts):
        if rule not in BOOKING_RULES:
            where = "" if position is None else f"session {firsts[position].number}: "
            raise Invalid(f"{where}{words}", fields=["sessions"], rule=rule)
    for first, visit in zip(firsts, opening.visits, strict=True):
        for n, offset in enumerate(visit.offsets):
            session = planned[first.number - 1 + n]
            on_time = session.starts_at == first.starts_at + timedelta(minutes=offset)
            if not on_time or session.device_id != first.device_id:
                raise Invalid(
                    f"session {session.number} starts {offset} minutes after session {first.number}, on its device",
                    fields=["sessions"],
                    rule="sessions_of_a_day",
                )


# -- cancel, pause, resume ------------------------------------------------------------------------------------------


def cancel_course(course_id: int, *, reason: str, by: Actor) -> None:
    """End a course and free what lies ahead: cancelled before the first delivered session, discontinued after it.

    Raises NotFound, AlreadyOver.
    """
    with transaction() as after_commit:
        course = queries.lock_course(course_id)
        if course.state not in queries.OPEN_COURSES:
            raise AlreadyOver(f"this course is {course.state}")
        has_begun = any(row.state == SessionState.COMPLETED for row in queries.sessions(course_id))
        state = CourseState.DISCONTINUED if has_begun else CourseState.CANCELLED
        freed = _end(course, state, by=by, after_commit=after_commit)
        audit.record(course, course.state, by=by, reason=reason or None, freed=freed)


def pause_course(course_id: int, *, reason: str, by: Actor) -> None:
    """Free every session ahead and keep their number owed. Raises NotFound, AlreadyOver, Conflict."""
    with transaction() as after_commit:
        course = queries.lock_course(course_id)
        if course.state == CourseState.PAUSED:
            raise Conflict("this course is paused already")
        if course.state not in queries.OPEN_COURSES:
            raise AlreadyOver(f"this course is {course.state}")
        freed = _end(course, CourseState.PAUSED, by=by, after_commit=after_commit)
        audit.record(course, "paused", by=by, reason=reason or None, freed=freed)


def _end(course: Course, state: CourseState, *, by: Actor, after_commit: AfterCommit) -> int:
    """Give a course a state in which nothing lies ahead; answers how many sessions that frees."""
    rows = [row for row in queries.sessions(course.id) if row.state in queries.FREEABLE]
    found, found_course = steps.before(rows), steps.course_before(course)
    course.state = state
    course.ended_at = None if state == CourseState.PAUSED else clock.now()
    if state != CourseState.PAUSED:
        preparing.close_within_transaction(course.id, course.protocol, by=by)
    if not rows:
        return 0
    locked = locking.lock_places(
        {row.device_id for row in rows if row.device_id is not None},
        {row.location_id for row in rows},
        rows[-1].starts_at.date(),
        patient_ids={course.patient_id},
    )
    freed = booking.free_sessions(rows, SessionState.CANCELLED, locked)
    steps.remember(f"course_{state}", found, rows, course=(course, found_course), by=by)
    db.session.flush()
    locking.raise_versions(locked, after_commit)
    return freed


@dataclass(frozen=True)
class Resumed:
    """A course that goes on. `review`: why a prescriber looks first, empty where nothing asks for it."""

    sessions: int
    review: str

    @property
    def needs_review(self) -> bool:
        """True where the break asks for a prescriber."""
        return bool(self.review)


def resume_course(course_id: int, *, on: date | None = None, self_pay_id: int | None = None, by: Actor) -> Resumed:
    """Plan and book the sessions that are still owed, from a date on (today if left out).

    Raises NotFound, Conflict (also where none fits: `details["binding"]`), DecisionRequired.
    """
    for _ in range(MOST_TRIES):
        with transaction():
            rest = _rest_of(course_id, on)
        plan = best_course(rest.request, rest.state.occupancy)
        if plan is None:
            refusal = explain_no_course(rest.request, rest.state.occupancy)
            binding = planning.binding_of(refusal, rest.request, rest.protocol)
            raise Conflict(f"No place for the rest of the course: {refusal.text}", binding=binding)
        try:
            return _resume(course_id, rest, plan, self_pay_id, by=by)
        except SlotTaken:
            continue
    raise Conflict("The places are taken faster than they can be booked. Try again.")


@dataclass(frozen=True)
class _Rest:
    protocol: Protocol
    state: Snapshot
    request: CourseRequest
    part: Part
    review: str
    thresholds: bool


def _rest_of(course_id: int, on: date | None) -> _Rest:
    course = queries.course(course_id)
    if course.state != CourseState.PAUSED:
        raise Conflict(f"only a paused course is resumed; this one is {course.state}")
    protocol = wishes.protocol_of(course.protocol)
    approval(course.patient_id, protocol)
    every = queries.sessions(course_id)
    thresholds = any(row.with_threshold for row in every)  # as it was booked
    wish = wishes.checked(CourseWish(course.protocol, earliest_start=on, thresholds=thresholds))
    full = replace(with_defaults(course.patient_id, wish), location_ids=(course.location_id,))
    state = _state_for(full)
    if state is None:
        raise Conflict(f"no site gives {protocol.name} now")
    held = [row for row in every if row.state in (SessionState.COMPLETED, SessionState.ARRIVED)]
    done = len(held)
    if done >= course.planned_sessions:
        raise Conflict("every session of this course was delivered")
    last = state.day_and_minute(held[-1].device_id or 0, held[-1].starts_at) if held else None
    release = wishes.first_day(wish, state)
    days_since = release - last[0] if last is not None else None
    rest = rest_of(protocol, delivered=done, planned=course.planned_sessions, days_since=days_since)
    request = wishes.course_request(full, protocol, state, busy(course.patient_id, state), rest.part)
    if last is not None and rest.follows:
        request = replace(request, previous_day=last[0], previous_start=last[1])
    return _Rest(protocol, state, request, rest.part, rest.review, thresholds)


def _resume(course_id: int, rest: _Rest, plan: CoursePlan, self_pay_id: int | None, *, by: Actor) -> Resumed:
    sessions = wishes.sessions_of(plan, rest.protocol, rest.state, rest.part, thresholds=rest.thresholds)
    with overlaps_translated(), transaction() as after_commit:
        course = queries.lock_course(course_id)
        if course.state != CourseState.PAUSED:
            raise Conflict(f"this course is {course.state}")
        locked = locking.lock_sessions(sessions, patient_ids={course.patient_id})
        booking.refuse_taken(course.patient_id, locked.state, sessions)
        writing.insert_sessions(course.id, course.patient_id, rest.protocol, sessions, locked, self_pay_id=self_pay_id)
        course.state = CourseState.RUNNING if sessions[0].number > 1 else CourseState.BOOKED
        audit.record(course, "resumed", by=by, sessions=len(sessions), review=rest.review or None)
        locking.raise_versions(locked, after_commit)
        return Resumed(len(sessions), rest.review)
