"""Undo of a mistaken press on the board: arrived, started, done or no-show, for two minutes."""

from datetime import datetime, timedelta

from sqlalchemy import select

from clinic import audit, clock
from clinic.audit import Actor, AuditEvent
from clinic.db import db, transaction
from clinic.errors import Conflict, SlotTaken
from clinic.scheduling import booking, queries, visits
from clinic.scheduling.appointments import PLACE_TEXT
from clinic.scheduling.mirror import taken
from clinic.scheduling.models import HOLDS_PLACE, CourseState, SessionState, TreatmentSession

UNDO_WITHIN = timedelta(minutes=2)


def take_back(session_id: int, *, by: Actor) -> None:
    """What held before the last press holds again; a place that was given up is taken again if it is still free.

    Raises NotFound; Conflict where nothing was pressed lately; SlotTaken where a no-show's place is gone.
    """
    with booking.overlaps_translated(), transaction() as after_commit:
        row = queries.lock_session(session_id)
        pressed = _last_press(row)
        locked = booking.lock_row(row)
        match pressed:
            case "arrived":
                row.state = _before_arrival(row)
            case "started":
                row.started_at = None
            case "completed":
                _not_completed(row, by=by)
            case "no_show":
                _here_after_all(row, locked)
        audit.record(row, "taken_back", by=by, action_before=pressed)
        db.session.flush()
        booking.raise_versions(locked, after_commit)


def _last_press(row: TreatmentSession) -> str:
    present = {
        SessionState.ARRIVED: "arrived" if row.started_at is None else "started",
        SessionState.COMPLETED: "completed",
        SessionState.NO_SHOW: "no_show",
    }.get(SessionState(row.state))
    at = _pressed_at(row.id, present) if present else None
    if present is None or at is None or clock.now() - at > UNDO_WITHIN:
        raise Conflict("There is nothing to take back: it was more than two minutes ago, or someone changed it since.")
    return present


def _pressed_at(session_id: int, action: str) -> datetime | None:
    return db.session.scalar(
        select(AuditEvent.occurred_at)
        .where(
            AuditEvent.entity == TreatmentSession.__tablename__,
            AuditEvent.entity_id == str(session_id),
            AuditEvent.action == action,
        )
        .order_by(AuditEvent.id.desc())
        .limit(1)
    )


def _before_arrival(row: TreatmentSession) -> SessionState:
    return SessionState.CONFIRMED if row.confirmed_at is not None else SessionState.BOOKED


def _not_completed(row: TreatmentSession, *, by: Actor) -> None:
    arrived = row.started_at is not None or _pressed_at(row.id, "arrived") is not None
    row.state, row.ended_at = SessionState.ARRIVED if arrived else _before_arrival(row), None
    db.session.flush()
    if row.course_id is None:
        return
    course = queries.course(row.course_id)
    has_begun = any(each.state == SessionState.COMPLETED for each in queries.sessions(course.id))
    state = CourseState.RUNNING if has_begun else CourseState.BOOKED
    if course.state in (CourseState.COMPLETED, CourseState.RUNNING) and course.state != state:
        course.state, course.ended_at = state, None
        audit.record(course, "reopened", by=by)


def _here_after_all(row: TreatmentSession, locked: booking.Locked) -> None:
    if row.is_visit:
        visits.refuse_taken(taken(row), row.patient_id, locked, but=row)
    else:
        _refuse_course(row, locked)
    row.state, row.ended_at = _before_arrival(row), None
    locked.take(taken(row))


def _refuse_course(row: TreatmentSession, locked: booking.Locked) -> None:
    course = queries.course_of(row)
    held = sum(each.state in HOLDS_PLACE for each in queries.sessions(course.id))
    if held >= course.planned_sessions:
        raise Conflict("A make-up was booked for this session already.")
    minutes = int((row.ends_at - row.starts_at).total_seconds() // 60)
    rule = locked.state.why_not(row.device_id or 0, row.starts_at, minutes, row.need)
    if rule is not None:
        raise SlotTaken(f"The place is gone: {PLACE_TEXT.get(rule, rule.replace('_', ' '))}.", taken=[])
