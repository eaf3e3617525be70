"""Open, take and close what a person at the clinic has to do."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from clinic import audit, clock
from clinic.audit import Actor
from clinic.db import db, transaction
from clinic.errors import Conflict, Invalid
from clinic.patients import queries as patients
from clinic.tasks import queries
from clinic.tasks.models import Task, TaskKind, TaskLevel

MAX_OUTCOME = 1000


def open_within_transaction(
    *,
    kind: TaskKind,
    level: TaskLevel,
    dedupe_key: str,
    for_role: str,
    due_at: datetime,
    by: Actor,
    patient_id: int | None = None,
    intake_id: int | None = None,
    location_id: int | None = None,
    subject: dict[str, Any] | None = None,
    note: str | None = None,
) -> int | None:
    """Open a task and answer its id; None where `dedupe_key` was used before. Two workers at once open one."""
    task_id: int | None = db.session.scalar(
        insert(Task)
        .values(
            kind=kind,
            level=level,
            dedupe_key=dedupe_key,
            for_role=for_role,
            due_at=due_at,
            created_at=clock.now(),
            patient_id=patient_id,
            intake_id=intake_id,
            location_id=location_id,
            subject=subject or {},
            note=note,
        )
        .on_conflict_do_nothing(index_elements=["dedupe_key"])
        .returning(Task.id)
    )
    if task_id is not None:
        audit.record_event("tasks", task_id, "opened", by=by, patient_id=patient_id, kind=str(kind), level=str(level))
    return task_id


def take_task(task_id: int, *, staff_id: int, by: Actor) -> None:
    """Make a staff member the owner. Raises Conflict where it is closed or someone else has it."""
    with transaction():
        task = queries.lock(task_id)
        _must_be_open(task)
        if task.owner_id is not None and task.owner_id != staff_id:
            raise Conflict("someone else took this task")
        if task.owner_id == staff_id:
            return
        task.owner_id = staff_id
        task.taken_at = clock.now()
        audit.record(task, "taken", by=by)


def hand_back_task(task_id: int, *, by: Actor) -> None:
    """Leave the task without an owner again. Raises Conflict where it is closed."""
    with transaction():
        task = queries.lock(task_id)
        _must_be_open(task)
        task.owner_id = None
        task.taken_at = None
        audit.record(task, "handed_back", by=by)


def close_task(task_id: int, *, outcome: str, by: Actor) -> None:
    """Close a task with what came of it. Raises Invalid without words, Conflict where it is closed."""
    words = outcome.strip()
    if not words:
        raise Invalid("Say what came of it.", fields=["outcome"])
    if len(words) > MAX_OUTCOME:
        raise Invalid(f"At most {MAX_OUTCOME} characters.", fields=["outcome"])
    with transaction():
        task = queries.lock(task_id)
        _must_be_open(task)
        _close(task, words, by=by)


def close_matching_within_transaction(
    *,
    kind: TaskKind,
    patient_id: int | None = None,
    intake_id: int | None = None,
    outcome: str,
    by: Actor,
) -> list[int]:
    """Close the open tasks of a kind about a patient or an intake, because what they asked for was done."""
    if patient_id is None and intake_id is None:
        raise ValueError("name a patient or an intake")
    statement = select(Task).where(Task.kind == kind, Task.closed_at.is_(None))
    if patient_id is not None:
        statement = statement.where(Task.patient_id == patient_id)
    if intake_id is not None:
        statement = statement.where(Task.intake_id == intake_id)
    tasks = db.session.scalars(statement.order_by(Task.id).with_for_update()).all()
    for task in tasks:
        _close(task, outcome, by=by)
    return [task.id for task in tasks]


def close_keyed_within_transaction(dedupe_keys: list[str], *, outcome: str, by: Actor) -> list[int]:
    """Close the open tasks that were opened under these keys."""
    statement = select(Task).where(Task.dedupe_key.in_(dedupe_keys), Task.closed_at.is_(None))
    tasks = db.session.scalars(statement.order_by(Task.id).with_for_update()).all()
    for task in tasks:
        _close(task, outcome, by=by)
    return [task.id for task in tasks]


def close_about_within_transaction(
    kind: TaskKind, name: str, values: Collection[int], *, outcome: str, by: Actor
) -> list[int]:
    """Close the open tasks of a kind whose subject names one of these (`name`: e.g. "message_id")."""
    wanted = [str(value) for value in values]
    statement = select(Task).where(Task.kind == kind, Task.closed_at.is_(None), Task.subject[name].astext.in_(wanted))
    tasks = db.session.scalars(statement.order_by(Task.id).with_for_update()).all()
    for task in tasks:
        _close(task, outcome, by=by)
    return [task.id for task in tasks]


def name_patient_within_transaction(*, intake_id: int, patient_id: int) -> None:
    """Tasks that an intake opened before it said who the person is are that patient's from now on."""
    statement = select(Task).where(Task.intake_id == intake_id, Task.patient_id.is_(None))
    for task in db.session.scalars(statement.order_by(Task.id).with_for_update()):
        task.patient_id = patient_id


def _must_be_open(task: Task) -> None:
    if task.closed_at is not None:
        raise Conflict("this task is done already")


def reopen_keyed_within_transaction(dedupe_keys: list[str], *, outcome: str, by: Actor) -> None:
    """Open again what was closed under these keys with this outcome, because what closed it was taken back."""
    statement = select(Task).where(Task.dedupe_key.in_(dedupe_keys), Task.closed_at.is_not(None))
    for task in db.session.scalars(statement.order_by(Task.id).with_for_update()):
        if task.outcome == outcome:
            task.closed_at = task.outcome = None
            audit.record(task, "reopened", by=by)


def _close(task: Task, outcome: str, *, by: Actor) -> None:
    task.closed_at = clock.now()
    task.outcome = outcome
    audit.record(task, "closed", by=by)


def tell_team(patient_id: int, *, topic: str, words: str, nonce: str, due_at: datetime, by: Actor) -> None:
    """Bring a patient's words to the team's worklist; a form that was sent twice (`nonce`) opens one task."""
    with transaction():
        open_within_transaction(
            kind=TaskKind.CLINICAL_REVIEW,
            level=TaskLevel.ROUTINE,
            dedupe_key=f"told:{patient_id}:{nonce}",
            for_role="nurse",
            due_at=due_at,
            by=by,
            patient_id=patient_id,
            location_id=patients.get(patient_id).preferred_location_id,
            subject={"topic": topic},
            note=words.strip(),
        )
