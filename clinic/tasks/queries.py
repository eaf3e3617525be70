"""Reads of the worklist, and the words of each kind of task."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import ColumnElement, case, or_, select

from clinic.db import db
from clinic.errors import NotFound
from clinic.tasks.models import Task, TaskKind, TaskLevel
from clinic.web.access import StaffCaller

CLINICAL = ("nurse", "therapist", "prescriber")  # who may read a task's note
WORDS = {
    TaskKind.SAFETY: "Safety",
    TaskKind.REVIEW_INTAKE: "Review an intake",
    TaskKind.BOOK_COURSE: "Book a course",
    TaskKind.ASK_PATIENT: "Ask the patient",
    TaskKind.MESSAGE_FAILED: "Message not delivered",
    TaskKind.CANNOT_COME: "Cannot come to a visit",
    TaskKind.SURVEY_OVERDUE: "Check-in not answered",
    TaskKind.CLINICAL_REVIEW: "Clinical review",
    TaskKind.SECOND_OPINION: "Second opinion",
    TaskKind.PACKET_HOLE: "Missing for the payer",
    TaskKind.PATIENT_QUESTION: "A patient asks",
    TaskKind.PLAN_STEP: "Decision date",
    TaskKind.REFERRAL: "Referral",
    TaskKind.SAFETY_FORM: "Safety form due",
    TaskKind.RESCHEDULE: "Plan dates anew",
    TaskKind.CALL_PATIENT: "Call the patient",
    TaskKind.UNCLEAR_REPLY: "A text came in",
    TaskKind.RUNNING_LATE: "Running late",
    TaskKind.MESSAGES_STUCK: "Messages stand still",
    TaskKind.PREPARE_COURSE: "Arrange before a course",
    TaskKind.RECORD_OPENED: "Record opened from another site",
}
_RANK = case({TaskLevel.URGENT: 0, TaskLevel.SAME_DAY: 1, TaskLevel.LIT: 2}, value=Task.level, else_=3)


def get(task_id: int) -> Task:
    """The task. Raises NotFound."""
    found = db.session.get(Task, task_id)
    if found is None:
        raise NotFound("no such task")
    return found


def lock(task_id: int) -> Task:
    """The task's row, locked until the transaction ends. Raises NotFound."""
    found = db.session.scalar(select(Task).where(Task.id == task_id).with_for_update())
    if found is None:
        raise NotFound("no such task")
    return found


def open_tasks(
    location_ids: Collection[int],
    *,
    kind: str | None = None,
    for_roles: Collection[str] = (),
    location_id: int | None = None,
    owner_id: int | None = None,
    unowned: bool = False,
    concerning: StaffCaller | None = None,
    limit: int = 200,
) -> Sequence[Task]:
    """Open tasks of these sites, and of no site, soonest duty first."""
    statement = select(Task).where(Task.closed_at.is_(None), _at(location_ids))
    if kind:
        statement = statement.where(Task.kind == kind)
    if for_roles:
        statement = statement.where(Task.for_role.in_(for_roles))
    if location_id:
        statement = statement.where(Task.location_id == location_id)
    if owner_id:
        statement = statement.where(Task.owner_id == owner_id)
    if concerning:
        statement = statement.where(_concerns(concerning))
    if unowned:
        statement = statement.where(Task.owner_id.is_(None))
    return db.session.scalars(statement.order_by(Task.due_at, _RANK, Task.id).limit(limit)).all()


def open_safety(location_ids: Collection[int]) -> Sequence[Task]:
    """Open safety tasks of these sites, and of no site, soonest due first."""
    statement = select(Task).where(Task.kind == TaskKind.SAFETY, Task.closed_at.is_(None), _at(location_ids))
    return db.session.scalars(statement.order_by(Task.due_at, _RANK, Task.id)).all()


def of_patient(patient_id: int, *, limit: int = 50) -> Sequence[Task]:
    """A patient's tasks, open ones first by due time, then those closed last."""
    statement = select(Task).where(Task.patient_id == patient_id)
    order: tuple[Any, ...] = (Task.closed_at.is_not(None), Task.closed_at.desc(), Task.due_at, Task.id)
    return db.session.scalars(statement.order_by(*order).limit(limit)).all()


def get_for(staff: StaffCaller, task_id: int) -> Task:
    """The task, if it belongs to one of the caller's sites or to none. Raises NotFound."""
    task = get(task_id)
    if task.location_id is not None and task.location_id not in staff.location_ids:
        raise NotFound("no such task")
    return task


def may_take(staff: StaffCaller, task: Task) -> bool:
    """A safety task is acknowledged by someone who can act on it: that ends the calls to whoever is on call."""
    return task.kind != TaskKind.SAFETY or staff.has(*CLINICAL, "manager")


def may_close(staff: StaffCaller, task: Task) -> bool:
    """A safety task is closed by a clinician; others by the role that they are for, their owner, or a manager."""
    if task.kind == TaskKind.SAFETY:
        return staff.has(*CLINICAL)
    return staff.has(task.for_role, "manager") or task.owner_id == staff.id


def _concerns(staff: StaffCaller) -> ColumnElement[bool]:
    """What this person has to know of: their roles' tasks, their own, and every safety task."""
    return or_(Task.for_role.in_(staff.roles), Task.owner_id == staff.id, Task.kind == TaskKind.SAFETY)


def _at(location_ids: Collection[int]) -> ColumnElement[bool]:
    return or_(Task.location_id.is_(None), Task.location_id.in_(location_ids))
