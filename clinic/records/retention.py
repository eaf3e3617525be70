"""How long records are kept, what keeps them longer, and how one is deleted: whole, with a stub on the audit trail."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flask import current_app
from sqlalchemy import delete, func, select, text, update
from sqlalchemy.exc import IntegrityError

from clinic import audit, clock
from clinic.audit import Actor, AuditEvent
from clinic.db import Base, UTCDateTime, broken_constraint, db, transaction
from clinic.errors import Conflict, Invalid, NotFound
from clinic.intake.models import Intake, IntakeState
from clinic.patients import queries as patients
from clinic.patients.models import Patient
from clinic.patients.sites import person_of
from clinic.records.models import LegalHold
from clinic.scheduling.models import HOLDS_PLACE, TreatmentSession

PAGE = 50
DRAFTS_A_SWEEP = 100
LEAST_WORDS = 10
# The last thing that happened with a person: a visit, a form, a decision, an answer.
LAST = """
    SELECT p.id, greatest(
        p.created_at,
        (SELECT max(s.ends_at) FROM treatment_sessions s WHERE s.patient_id = p.id),
        (SELECT max(i.saved_at) FROM intakes i WHERE i.patient_id = p.id),
        (SELECT max(d.decided_at) FROM decisions d WHERE d.patient_id = p.id),
        (SELECT max(v.answered_at) FROM surveys v WHERE v.patient_id = p.id),
        (SELECT max(m.sent_at) FROM messages m WHERE m.patient_id = p.id)
    ) AS last_at
    FROM patients p
"""


@dataclass(frozen=True)
class Kept:
    """How long one record is kept."""

    patient_id: int
    last_at: datetime
    due_at: datetime
    is_due: bool
    hold: LegalHold | None


def keep_for() -> timedelta:
    """How long a record is kept after the last thing that happened."""
    return timedelta(days=365.25 * current_app.config["SETTINGS"].keep_years)


def of_patient(patient_id: int) -> Kept:
    """One record. Raises NotFound."""
    row = db.session.execute(
        text(f"{LAST} WHERE p.id = :id").columns(last_at=UTCDateTime()), {"id": patient_id}
    ).one_or_none()
    if row is None:
        raise NotFound("no such patient")
    due_at = row.last_at + keep_for()
    return Kept(patient_id, row.last_at, due_at, due_at <= clock.now(), present_hold(patient_id))


def present_hold(patient_id: int) -> LegalHold | None:
    """What keeps this record, if anything does."""
    return db.session.scalar(select(LegalHold).where(LegalHold.patient_id == patient_id, LegalHold.lifted_at.is_(None)))


def holds(patient_id: int) -> Sequence[LegalHold]:
    """Every hold of this record, newest first."""
    return db.session.scalars(
        select(LegalHold).where(LegalHold.patient_id == patient_id).order_by(LegalHold.id.desc())
    ).all()


def due(*, after: int = 0, limit: int = PAGE) -> list[Kept]:
    """Records that the caller may see and that are past their time, those on hold marked; by id."""
    now = clock.now()
    last = text(LAST).columns(id=Patient.id.type, last_at=UTCDateTime()).subquery("last")
    rows = db.session.execute(
        select(Patient.id, last.c.last_at)
        .join(last, last.c.id == Patient.id)
        .where(Patient.id > after, last.c.last_at <= now - keep_for())
        .order_by(Patient.id)
        .limit(limit)
    ).all()
    held = {
        row.patient_id: row
        for row in db.session.scalars(
            select(LegalHold).where(LegalHold.patient_id.in_([row.id for row in rows]), LegalHold.lifted_at.is_(None))
        )
    }
    return [Kept(row.id, row.last_at, row.last_at + keep_for(), True, held.get(row.id)) for row in rows]


# -- holds --------------------------------------------------------------------------------------------------------------


def place_hold(patient_id: int, *, reason: str, staff_id: int, by: Actor) -> None:
    """Keep a record whatever its age. Raises Invalid, Conflict."""
    words = _reason(reason)
    try:
        with transaction():
            patients.lock(patient_id)
            row = LegalHold(patient_id=patient_id, reason=words, placed_by=staff_id, placed_at=clock.now())
            db.session.add(row)
            audit.record(row, "placed", by=by, reason=words)
    except IntegrityError as error:
        if broken_constraint(error) == "legal_holds_present_key":
            raise Conflict("This record is on hold already.") from None
        raise


def lift_hold(hold_id: int, *, staff_id: int, by: Actor) -> None:
    """Let the record's own time count again. Raises NotFound, Conflict."""
    with transaction():
        row = db.session.scalar(select(LegalHold).where(LegalHold.id == hold_id).with_for_update())
        if row is None:
            raise NotFound("no such hold")
        if row.lifted_at is not None:
            raise Conflict("This hold was lifted before.")
        row.lifted_at, row.lifted_by = clock.now(), staff_id
        audit.record(row, "lifted", by=by)


# -- deleting -----------------------------------------------------------------------------------------------------------


def erase_patient(patient_id: int, *, record_number: str, reason: str, by: Actor) -> Counter[str]:
    """Delete a record whole; answers how many rows of each table. Raises Invalid, Conflict, NotFound.

    The record number is said once more. Its events stay on the audit trail without reason and origin, which may tell of
    the person; a last one says that the record was erased, so that the chain can still be verified.
    """
    words = _reason(reason)
    with transaction():
        patient = patients.lock(patient_id)
        if record_number.strip().upper() != patient.record_number:
            raise Invalid("Write the record number as it stands above.", fields=["record_number"])
        if present_hold(patient_id) is not None:
            raise Conflict("This record is on hold. Lift the hold first.")
        ahead = select(TreatmentSession.id).where(
            TreatmentSession.patient_id == patient_id,
            TreatmentSession.state.in_(HOLDS_PLACE),
            TreatmentSession.starts_at > clock.now(),
        )
        if db.session.scalar(ahead.limit(1)) is not None:
            raise Conflict("Visits lie ahead. Cancel them first.")
        erased = _erase_rows(patient_id)
        _strip_events(AuditEvent.patient_id == patient_id)
        audit.record_event(
            "patients", patient_id, "erased", by=by, reason=words, patient_id=patient_id, rows=dict(erased)
        )
    return erased


def _erase_rows(patient_id: int) -> Counter[str]:
    """Rows that lead to the patient, children first."""
    db.session.flush()
    db.session.expunge_all()
    models = {mapper.local_table: mapper.class_ for mapper in Base.registry.mappers}
    erased: Counter[str] = Counter()
    for table in reversed(Base.metadata.sorted_tables):
        model: Any = models[table]
        column = person_of(model)
        if column is None or model is AuditEvent:
            continue
        gone = db.session.execute(
            delete(model).where(column == patient_id).execution_options(synchronize_session=False)
        ).rowcount  # type: ignore[attr-defined]
        if gone:
            erased[table.name] = gone
    return erased


def _strip_events(condition: Any) -> None:
    db.session.execute(
        update(AuditEvent)
        .where(condition, AuditEvent.erased_at.is_(None))
        .values(reason=None, origin=None, erased_at=clock.now())
        .execution_options(synchronize_session=False)
    )


def erase_drafts(*, by: Actor) -> int:
    """Delete forms that nobody finished and that never got a name; answers how many."""
    old = clock.now() - timedelta(days=current_app.config["SETTINGS"].keep_draft_days)
    with transaction():
        ids = db.session.scalars(
            select(Intake.id)
            .where(Intake.state == IntakeState.OPEN, Intake.patient_id.is_(None), Intake.saved_at < old)
            .order_by(Intake.id)
            .limit(DRAFTS_A_SWEEP)
            .with_for_update(skip_locked=True)
        ).all()
        if not ids:
            return 0
        for table in reversed(Base.metadata.sorted_tables):
            if table.name != "audit_events" and "intake_id" in table.c:
                db.session.execute(delete(table).where(table.c.intake_id.in_(ids)))
        db.session.execute(delete(Intake).where(Intake.id.in_(ids)))
        for intake_id in ids:
            audit.record_event("intakes", intake_id, "draft_erased", by=by)
    return len(ids)


def _reason(reason: str) -> str:
    words = reason.strip()
    if not LEAST_WORDS <= len(words) <= 1000:
        raise Invalid("Say why in a few words, at most 1000 characters.", fields=["reason"])
    return words


def count_due() -> int:
    """How many records of the caller's sites are past their time."""
    last = text(LAST).columns(id=Patient.id.type, last_at=UTCDateTime()).subquery("last")
    statement = select(func.count(Patient.id)).join(last, last.c.id == Patient.id)
    return db.session.scalar(statement.where(last.c.last_at <= clock.now() - keep_for())) or 0
