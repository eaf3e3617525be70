"""What a patient says to a visit: I'll be there, I'm late, or I can't come. Each answer is about one visit."""

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import select, update

from clinic import audit, clock
from clinic.audit import Actor
from clinic.db import db, transaction
from clinic.errors import AlreadyOver
from clinic.reminders import due, queries
from clinic.reminders.facts import UPCOMING
from clinic.reminders.ledger import BY
from clinic.reminders.models import Answer, Message, MessageState
from clinic.reminders.purposes import ASKING
from clinic.scheduling import appointments
from clinic.scheduling.models import TreatmentSession
from clinic.tasks import operations as tasks
from clinic.tasks.models import Task, TaskKind, TaskLevel

SOON = timedelta(hours=36)
TASK_WITHIN = timedelta(hours=2)
LATE_LASTS = timedelta(hours=3)  # after the start nobody waits any more


def answer_visit(session_id: int, answer: Answer, *, by: Actor) -> None:
    """Do what the person said, once however often it is said. Raises NotFound, AlreadyOver."""
    {Answer.COMING: confirm_visit, Answer.LATE: expect_late, Answer.CANNOT: decline_visit}[answer](session_id, by=by)


def confirm_visit(session_id: int, *, by: Actor) -> None:
    """The patient comes, to all sessions of that day. What they said before, that they cannot, is taken back.

    Raises NotFound, AlreadyOver.
    """
    for same_day in queries.sessions_of_that_day(session_id):
        appointments.confirm_session(same_day, by=by)
    with transaction():
        visit = queries.lock_visit(session_id)
        keys = [cannot_come_key(visit), late_key(visit)]
        tasks.close_keyed_within_transaction(keys, outcome="the patient comes after all, and in time", by=by)
        _note(visit, Answer.COMING)


def expect_late(session_id: int, *, by: Actor) -> None:
    """The patient comes, but late: the desk knows. Raises NotFound, AlreadyOver."""
    with transaction():
        visit = _lock_ahead(session_id)
        opened = tasks.open_within_transaction(
            kind=TaskKind.RUNNING_LATE,
            level=TaskLevel.SAME_DAY,
            dedupe_key=late_key(visit),
            for_role="front_desk",
            due_at=visit.starts_at,
            by=by,
            patient_id=visit.patient_id,
            location_id=visit.location_id,
            subject=_subject(visit),
        )
        if opened is not None:
            audit.record(visit, "late", by=by, task_id=opened)
        _note(visit, Answer.LATE)


def decline_visit(session_id: int, *, by: Actor) -> None:
    """The patient cannot come. The place is kept until the desk has found another: a mistaken press loses nothing.

    Raises NotFound, AlreadyOver.
    """
    with transaction():
        visit, now = _lock_ahead(session_id), clock.now()
        opened = tasks.open_within_transaction(
            kind=TaskKind.CANNOT_COME,
            level=TaskLevel.SAME_DAY if visit.starts_at - now < SOON else TaskLevel.ROUTINE,
            dedupe_key=cannot_come_key(visit),
            for_role="front_desk",
            due_at=min(now + TASK_WITHIN, visit.starts_at),
            by=by,
            patient_id=visit.patient_id,
            location_id=visit.location_id,
            subject=_subject(visit),
        )
        if opened is not None:
            audit.record(visit, "cannot_come", by=by, task_id=opened)
        tasks.close_keyed_within_transaction([late_key(visit)], outcome="the patient cannot come", by=by)
        _note(visit, Answer.CANNOT)


def close_arrived() -> Sequence[int]:
    """Close "running late" where the person came, or nobody waits any more."""
    with transaction():
        number = Task.subject["session_id"].as_integer()
        over = db.session.scalars(
            select(Task.dedupe_key)
            .join(TreatmentSession, TreatmentSession.id == number)
            .where(
                Task.kind == TaskKind.RUNNING_LATE,
                Task.closed_at.is_(None),
                TreatmentSession.state.not_in(UPCOMING) | (TreatmentSession.starts_at < clock.now() - LATE_LASTS),
            )
        ).all()
        return tasks.close_keyed_within_transaction(list(over), outcome="the visit is not waited for any more", by=BY)


def cannot_come_key(visit: TreatmentSession) -> str:
    """One task for a visit at one time."""
    return f"cannot_come:{visit.id}@{int(visit.starts_at.timestamp())}"


def late_key(visit: TreatmentSession) -> str:
    """As `cannot_come_key`."""
    return f"late:{visit.id}@{int(visit.starts_at.timestamp())}"


def _lock_ahead(session_id: int) -> TreatmentSession:
    visit = queries.lock_visit(session_id)
    if visit.state not in UPCOMING or visit.starts_at <= clock.now():
        raise AlreadyOver("this visit is over or was cancelled", state=visit.state)
    return visit


def _subject(visit: TreatmentSession) -> dict[str, int | None]:
    return {"session_id": visit.id, "course_id": visit.course_id, "number": visit.number}


def _note(visit: TreatmentSession, answer: Answer) -> None:
    """Every message that asked about the visit, at the time that it has now, is answered."""
    keys = (due.visit_key(visit.id, visit.starts_at), due.change_key(visit.id, visit.revision))
    db.session.execute(
        update(Message)
        .where(
            Message.session_id == visit.id,
            Message.state == MessageState.SENT,
            Message.purpose.in_(ASKING),
            Message.occurrence.in_([*keys, *(f"{key}~{number}" for key in keys for number in range(1, 10))]),
        )
        .values(answer=answer, answered_at=clock.now())
    )
