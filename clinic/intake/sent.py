"""A history that came whole, from another system. A step of another operation; no transaction here."""

from typing import Any

from sqlalchemy import select, update

from clinic import audit, clock
from clinic.audit import Actor
from clinic.db import db
from clinic.intake.models import Intake, IntakeState


def add_within_transaction(patient_id: int, record: dict[str, Any], *, language: str, by: Actor) -> Intake:
    """Store a sent intake with this record; the person's earlier sent ones are superseded, not edited."""
    now = clock.now()
    earlier = db.session.scalars(
        select(Intake.id).where(Intake.patient_id == patient_id, Intake.state == IntakeState.SUBMITTED)
    ).all()
    if earlier:
        db.session.execute(update(Intake).where(Intake.id.in_(earlier)).values(state=IntakeState.SUPERSEDED))
    intake = Intake(
        patient_id=patient_id,
        state=IntakeState.SUBMITTED,
        language=language,
        started_at=now,
        saved_at=now,
        submitted_at=now,
        record=record,
    )
    db.session.add(intake)
    audit.record(intake, "submitted", by=by, supersedes=len(earlier))
    return intake
