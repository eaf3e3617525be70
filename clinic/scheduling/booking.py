"""The steps that booking operations share. Each runs inside the caller's transaction: lock, check, write."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy.exc import IntegrityError

from clinic import clock
from clinic.audit import Actor
from clinic.db import AfterCommit, broken_constraint, db
from clinic.eligibility import queries as eligibility
from clinic.errors import DecisionRequired, NotAuthorised, SlotTaken
from clinic.locations import queries as locations
from clinic.protocols.base import Protocol
from clinic.scheduling import clearance, ledger, preparing, queries
from clinic.scheduling.capacity import Snapshot
from clinic.scheduling.known import Known
from clinic.scheduling.ledger import Funds
from clinic.scheduling.locking import Locked, lock_sessions
from clinic.scheduling.mirror import taken
from clinic.scheduling.models import SessionState, TreatmentSession
from clinic.scheduling.planner.rules import text_of
from clinic.scheduling.queries import Held
from clinic.scheduling.wishes import PlannedSession
from clinic.scheduling.writing import (
    Booked,
    BookedCourse,
    NewCourse,
    WithIt,
    as_booked,
    booked_event,
    new_ids,
    wanted,
    write_course,
)
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


def book_known_within_transaction(
    new: NewCourse, known: Known, *, along: WithIt, by: Actor, after_commit: AfterCommit
) -> BookedCourse:
    """Lock, check and write a plan of which `known` tells what there is; the patient is locked and holds no plan.

    It ends the transaction. along: what is written with it. Raises SlotTaken, DecisionRequired.
    """
    decision_id = known.approvals.get(new.protocol.modality)
    if decision_id is None or known.needs_clearance or clearance.is_asked_always(new.protocol):
        decision_id = approval(new.patient_id, new.protocol, {one.location_id for one in new.sessions})
    locked = lock_sessions(new.sessions, patient_ids={new.patient_id}, rows=known.places)
    refuse_taken(new.patient_id, locked.state, new.sessions, is_alone=not known.has_appointments)
    is_open = not known.has_authorisations and new.self_pay_id is None
    funds = [ledger.OPEN] * len(new.sessions) if is_open else _cover(new, locked)
    course = as_booked(known.course_id, known.session_ids, new, locked, funds)
    if known.has_task:
        _close_tasks(new.patient_id, by=by)
    _prepare(course.id, new, by=by)
    write_course(
        course,
        new,
        decision_id,
        locked,
        funds,
        along=lambda: along(Booked(course.id, is_new=True, course=course)),
        by=by,
        after_commit=after_commit,
        ends=True,
    )
    return course


def book_locked_within_transaction(
    new: NewCourse, decision_id: int, locked: Locked, *, by: Actor, after_commit: AfterCommit
) -> int:
    """Check and write a whole course whose places are locked; the patient is locked too. Raises SlotTaken."""
    refuse_taken(new.patient_id, locked.so_far(), new.sessions)
    funds = _cover(new, locked)
    course = as_booked(*new_ids(len(new.sessions)), new, locked, funds)
    write_course(course, new, decision_id, locked, funds, along=lambda: None, by=by, after_commit=after_commit)
    _close_tasks(new.patient_id, by=by)
    _prepare(course.id, new, by=by)
    return course.id


def _cover(new: NewCourse, locked: Locked) -> Sequence[Funds]:
    wants = wanted(new.protocol, new.sessions, locked)
    return ledger.cover(new.patient_id, new.protocol, wants, self_pay_id=new.self_pay_id)


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


def free_sessions(rows: Iterable[TreatmentSession], state: SessionState, locked: Locked) -> int:
    """Set sessions to a state that holds no place. Answers how many."""
    count = 0
    for row in rows:
        locked.free(taken(row))
        row.state, row.hold_id = state, None
        row.ended_at = clock.now()
        count += 1
    return count


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
