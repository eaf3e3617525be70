"""What a patient says to a visit: "I'll be there", or "I can't come"."""

from datetime import timedelta

from clinic import audit, clock
from clinic.audit import Actor
from clinic.db import transaction
from clinic.errors import AlreadyOver
from clinic.reminders import queries
from clinic.scheduling import appointments
from clinic.scheduling.models import TreatmentSession
from clinic.tasks import operations as tasks
from clinic.tasks.models import TaskKind, TaskLevel

SOON = timedelta(hours=36)
TASK_WITHIN = timedelta(hours=2)


def confirm_visit(session_id: int, *, by: Actor) -> None:
    """The patient comes, to all sessions of that day. What they said before, that they cannot, is taken back.

    Raises NotFound, AlreadyOver.
    """
    for same_day in queries.sessions_of_that_day(session_id):
        appointments.confirm_session(same_day, by=by)
    with transaction():
        visit = queries.lock_visit(session_id)
        tasks.close_keyed_within_transaction([cannot_come_key(visit)], outcome="the patient can come after all", by=by)


def decline_visit(session_id: int, *, by: Actor) -> None:
    """The patient cannot come. The place is kept until the desk has found another: a mistaken press loses nothing.

    Raises NotFound, AlreadyOver.
    """
    with transaction():
        visit, now = queries.lock_visit(session_id), clock.now()
        if visit.state not in queries.UPCOMING or visit.starts_at <= now:
            raise AlreadyOver("this visit is over or was cancelled", state=visit.state)
        opened = tasks.open_within_transaction(
            kind=TaskKind.CANNOT_COME,
            level=TaskLevel.SAME_DAY if visit.starts_at - now < SOON else TaskLevel.ROUTINE,
            dedupe_key=cannot_come_key(visit),
            for_role="front_desk",
            due_at=min(now + TASK_WITHIN, visit.starts_at),
            by=by,
            patient_id=visit.patient_id,
            location_id=visit.location_id,
            subject={"session_id": visit.id, "course_id": visit.course_id, "number": visit.number},
        )
        if opened is not None:
            audit.record(visit, "cannot_come", by=by, task_id=opened)


def cannot_come_key(visit: TreatmentSession) -> str:
    """One task for a visit at one time."""
    return f"cannot_come:{visit.id}@{int(visit.starts_at.timestamp())}"
