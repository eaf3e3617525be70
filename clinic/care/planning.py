"""The care plan: items with or without a date, and the task that opens on the date."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from clinic import audit, clock
from clinic.audit import Actor, system
from clinic.care import queries
from clinic.care.models import PlanItem, PlanKind, PlanState
from clinic.care.wording import forbidden
from clinic.db import db, transaction
from clinic.errors import Conflict, Invalid, NotFound
from clinic.intake import amending
from clinic.intake import queries as intake
from clinic.intake.amending import Change
from clinic.intake.models import AmendmentSource
from clinic.locations.queries import closing_on_open_day
from clinic.patients import queries as patients
from clinic.staff.models import Role
from clinic.tasks import operations as tasks
from clinic.tasks.models import TaskKind, TaskLevel

MAX_TEXT = 500
MAX_SESSIONS = 10_000
MAX_AHEAD = timedelta(days=5 * 366)
THERAPIES = ("cbt", "dbt", "ipt", "other")
BY = system("care plan")


def add(
    patient_id: int,
    *,
    kind: str,
    text: str,
    for_patient: bool,
    due_on: date | None,
    staff_id: int,
    by: Actor,
) -> int:
    """Put an item on the plan; answers its id. Raises Invalid."""
    with transaction():
        patient = patients.lock(patient_id)
        if due_on is not None and not clock.today(patient.tz) <= due_on <= clock.today(patient.tz) + MAX_AHEAD:
            raise Invalid("Choose a date from today on, within five years.", fields=["due_on"])
        return add_within_transaction(
            patient_id, kind=kind, text=text, for_patient=for_patient, due_on=due_on, staff_id=staff_id, by=by
        ).id


def add_within_transaction(
    patient_id: int,
    *,
    kind: str,
    text: str,
    for_patient: bool,
    due_on: date | None,
    staff_id: int,
    by: Actor,
    release_id: int | None = None,
) -> PlanItem:
    """As `add`, as a step of another operation."""
    words = " ".join(text.split())
    if kind not in {str(known) for known in PlanKind}:
        raise Invalid("Choose what it is.", fields=["kind"])
    if not words:
        raise Invalid("Say what is planned.", fields=["text"])
    if len(words) > (MAX_TEXT if release_id is None else 2000):
        raise Invalid(f"At most {MAX_TEXT} characters.", fields=["text"])
    if kind == PlanKind.DECISION_POINT and due_on is None:
        raise Invalid("A decision needs a date: a task opens on it.", fields=["due_on"])
    if for_patient and (found := forbidden(words)):
        raise Invalid(f"“{found[0].word}” is {found[0].why}: a patient does not see it.", fields=["text"])
    row = PlanItem(
        patient_id=patient_id,
        kind=kind,
        state=PlanState.OPEN,
        text=words,
        for_patient=for_patient,
        due_on=due_on,
        release_id=release_id,
        revision=0,
        added_by=staff_id,
        added_at=clock.now(),
    )
    db.session.add(row)
    audit.record(row, "planned", by=by, kind=kind, due_on=due_on.isoformat() if due_on else None)
    return row


def task_key(item: PlanItem) -> str:
    """The task that opens on an item's date; opened again, an item rings again."""
    return f"plan_step:{item.id}:{item.due_on}:{item.revision}"


def end(item_id: int, state: str, *, outcome: str, staff_id: int | None, by: Actor) -> None:
    """Close an item as done or dropped; what is dropped needs words. Raises Invalid, Conflict."""
    words = outcome.strip()
    if state not in (PlanState.DONE, PlanState.DROPPED):
        raise Invalid("An item is done or dropped.", fields=["state"])
    if state == PlanState.DROPPED and not words:
        raise Invalid("Say why it is dropped.", fields=["outcome"])
    if len(words) > MAX_TEXT:
        raise Invalid(f"At most {MAX_TEXT} characters.", fields=["outcome"])
    with transaction():
        row = queries.lock_item(item_id)
        if row.state != PlanState.OPEN:
            raise Conflict("This item is closed already.")
        end_within_transaction(row, PlanState(state), outcome=words, staff_id=staff_id, by=by)


def end_within_transaction(row: PlanItem, state: PlanState, *, outcome: str, staff_id: int | None, by: Actor) -> None:
    """As `end`, as a step of another operation: the row is locked and open."""
    row.state, row.outcome = state, outcome or None
    row.closed_at, row.closed_by = clock.now(), staff_id
    audit.record(row, str(state), by=by)
    tasks.close_keyed_within_transaction([task_key(row)], outcome=outcome or str(state), by=by)


def reopen(item_id: int, *, by: Actor, only_own: bool = False) -> None:
    """Undo: the item is open again and its date may ring once more. Raises Conflict.

    `only_own`: a patient takes back what they ticked off themselves, and nothing that staff closed.
    """
    with transaction():
        row = queries.lock_item(item_id)
        if row.state == PlanState.OPEN:
            raise Conflict("This item is open.")
        if only_own and (row.state != PlanState.DONE or row.closed_by is not None):
            raise Conflict("The clinic closed this one. Please ask us.")
        row.state, row.outcome, row.closed_at, row.closed_by = PlanState.OPEN, None, None, None
        row.revision += 1
        audit.record(row, "reopened", by=by)


def tick(item_id: int, *, patient_id: int, done: bool, by: Actor) -> None:
    """A patient ticks off an item of the own plan, or takes that back. Raises NotFound, Conflict."""
    row = queries.item(item_id)
    if row.patient_id != patient_id or not row.for_patient or row.kind == PlanKind.DECISION_POINT:
        raise NotFound("no such plan item")
    if done:
        end(item_id, PlanState.DONE, outcome="", staff_id=None, by=by)
    else:
        reopen(item_id, by=by, only_own=True)


def open_due_tasks() -> list[int]:
    """Open a task for every item whose date has come where the person lives; answers the items. Two at once open one."""
    now = clock.now()
    opened = []
    for item_id, tz in queries.due_items((now + timedelta(days=1)).date()):
        if _open_task(item_id, now, tz):
            opened.append(item_id)
    return opened


def _open_task(item_id: int, now: datetime, tz: str) -> bool:
    with transaction():
        row = queries.lock_item(item_id)
        if row.state != PlanState.OPEN or row.due_on is None or row.due_on > clock.today(tz):
            return False
        patient = patients.get(row.patient_id)
        task_id = tasks.open_within_transaction(
            kind=TaskKind.PLAN_STEP,
            level=TaskLevel.ROUTINE,
            dedupe_key=task_key(row),
            for_role=Role.PRESCRIBER,
            due_at=closing_on_open_day(patient.preferred_location_id, patient.tz, 1),
            by=BY,
            patient_id=row.patient_id,
            location_id=patient.preferred_location_id,
            subject={"item_id": row.id},
            note=row.text,
        )
        return task_id is not None


# -- therapy ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class TherapyDone:
    """A course of talk therapy that a clinician records: it counts beside the medicines."""

    kind: str
    other: str = ""
    sessions: int | None
    adequate: bool | None
    reason: str


def record_therapy(patient_id: int, therapy: TherapyDone, *, staff_id: int, by: Actor) -> int:
    """Write sessions of talk therapy into the history; a new assessment follows. Answers the amended intake's id.

    A course of the same kind is brought up to date, any other is added. Raises Invalid, Conflict where no history was sent.
    """
    if therapy.kind not in THERAPIES:
        raise Invalid("Choose the kind.", fields=["kind"])
    kind = " ".join(therapy.other.split()) if therapy.kind == "other" else therapy.kind.upper()
    if not kind:
        raise Invalid("Say which kind.", fields=["other"])
    if therapy.sessions is not None and not 0 < therapy.sessions <= MAX_SESSIONS:
        raise Invalid("How many sessions: a number from 1 on.", fields=["sessions"])
    present = intake.latest_submitted(patient_id)
    if present is None:
        raise Conflict("No history was sent yet: it comes first.")
    rows = [row for row in (present.record or {}).get("psychotherapy") or [] if row]
    same = next((at for at, row in enumerate(rows) if (row.get("type") or "").casefold() == kind.casefold()), len(rows))
    changes = [Change(f"psychotherapy[{same}].type", kind, AmendmentSource.CLINICIAN)]
    if therapy.sessions is not None:
        changes.append(Change(f"psychotherapy[{same}].sessions", therapy.sessions, AmendmentSource.CLINICIAN))
    if therapy.adequate is not None:
        changes.append(Change(f"psychotherapy[{same}].adequate", therapy.adequate, AmendmentSource.CLINICIAN))
    return amending.amend(
        patient_id,
        changes,
        reason=therapy.reason.strip() or "Therapy recorded on the care plan",
        by=by,
        staff_id=staff_id,
    )
