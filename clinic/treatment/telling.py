"""Adverse events and the holds that some of them place; alerts of what staff see themselves. Steps and one operation."""

from datetime import UTC, datetime, timedelta

from sqlalchemy.dialects.postgresql import insert

from clinic import audit, clock
from clinic.audit import Actor, system
from clinic.db import db, transaction
from clinic.errors import AlreadyOver, Invalid, NotFound
from clinic.locations import queries as locations
from clinic.scheduling import queries as scheduling
from clinic.scheduling.models import TreatmentSession
from clinic.tasks import operations as tasks
from clinic.tasks import safety
from clinic.tasks.models import TaskKind, TaskLevel
from clinic.treatment import queries, rules
from clinic.treatment.models import AdverseEvent, TreatmentHold

BY: Actor = system("treatment")
DAYS_AHEAD = 14
FORM_OF_EVENT = "esketamine"  # serious events are reported to its program


def openings(location_id: int) -> list[locations.Opening]:
    """Spans around and after now in which a site is open."""
    yesterday = (clock.now() - timedelta(days=1)).astimezone(UTC).date()
    return locations.openings(location_id, yesterday, DAYS_AHEAD)


def record_event(
    session_id: int,
    *,
    kind: str,
    severity: str,
    is_serious: bool,
    happened_at: datetime,
    note: str,
    staff_id: int,
    by: Actor,
) -> int:
    """Keep an adverse event; some kinds hold the treatment and all serious ones are told at once. Answers its id.

    Raises NotFound, Invalid.
    """
    words = note.strip()
    if kind not in rules.EVENTS or severity not in rules.SEVERITIES:
        raise Invalid("Choose what happened, and how strong it was.", fields=["kind"])
    if not words:
        raise Invalid("Say in a few words what happened.", fields=["note"])
    if happened_at > clock.now():
        raise Invalid("This time is still to come.", fields=["happened_at"])
    with transaction():
        row = scheduling.lock_session(session_id)
        modality = queries.protocol_of_session(row).modality
        event = AdverseEvent(
            patient_id=row.patient_id,
            course_id=row.course_id,
            session_id=row.id,
            kind=kind,
            severity=severity,
            is_serious=is_serious,
            happened_at=happened_at,
            note=words,
            recorded_by=staff_id,
            recorded_at=clock.now(),
        )
        db.session.add(event)
        db.session.flush()
        audit.record(event, "recorded", by=by, kind=kind, severity=severity)
        if kind in rules.HOLDING:
            _hold(row, modality, event, by=by)
        _tell(row, modality, event, by=by)
        return event.id


def _hold(row: TreatmentSession, modality: str, event: AdverseEvent, *, by: Actor) -> None:
    hold_id = db.session.scalar(
        insert(TreatmentHold)
        .values(
            patient_id=row.patient_id,
            modality=modality,
            code=event.kind,
            event_id=event.id,
            placed_at=clock.now(),
        )
        .on_conflict_do_nothing(
            index_elements=["patient_id", "modality", "code"], index_where=TreatmentHold.lifted_at.is_(None)
        )
        .returning(TreatmentHold.id)
    )
    if hold_id is not None:
        audit.record_event("treatment_holds", hold_id, "placed", by=by, patient_id=row.patient_id, code=event.kind)


def _tell(row: TreatmentSession, modality: str, event: AdverseEvent, *, by: Actor) -> None:
    """A task for the prescriber: at once for what holds the treatment or is serious, else with a day."""
    is_grave = event.is_serious or event.kind in rules.HOLDING or event.severity == "severe"
    level = TaskLevel.SAME_DAY if is_grave else TaskLevel.ROUTINE
    now = clock.now()
    parts = [f"{rules.EVENTS[event.kind]}, {event.severity}{', serious' if event.is_serious else ''}: {event.note}"]
    if event.kind in rules.HOLDING:
        parts.append(rules.HOLDING[event.kind])
    if event.is_serious and modality == FORM_OF_EVENT:
        parts.append("Serious adverse events are reported to the safety program (and MedWatch)")
    tasks.open_within_transaction(
        kind=TaskKind.CLINICAL_REVIEW,
        level=level,
        dedupe_key=f"adverse_event:{event.id}",
        for_role="prescriber",
        due_at=safety.due_at(level, now, openings(row.location_id)) if is_grave else now + timedelta(days=1),
        by=by,
        patient_id=row.patient_id,
        location_id=row.location_id,
        subject={"course_id": row.course_id, "session_id": row.id},
        note=". ".join(parts),
    )


def void_event(event_id: int, *, by: Actor) -> int:
    """Take an event off the record that was entered by mistake; a hold that it placed stays. Answers the session's id."""
    with transaction():
        row = db.session.get(AdverseEvent, event_id, with_for_update=True, populate_existing=True)
        if row is None or row.session_id is None:
            raise NotFound("no such event")
        if row.voided_at is not None:
            raise AlreadyOver("This event is off the record already.")
        row.voided_at = clock.now()
        audit.record(row, "voided", by=by)
        return row.session_id
