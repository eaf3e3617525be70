"""Reads of assessments and decisions."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import load_only

from clinic.db import db
from clinic.eligibility.models import Assessment, Decision, DecisionKind
from clinic.errors import NotFound
from clinic.intake.models import Intake, IntakeState
from clinic.patients.models import Patient

# What lists need: the sealed record and result stay in the database until a page opens one.
LIST_COLUMNS = load_only(
    Assessment.id,
    Assessment.patient_id,
    Assessment.trd,
    Assessment.tms,
    Assessment.esketamine,
    Assessment.iv_ketamine,
    Assessment.is_urgent,
    Assessment.assessed_at,
)


@dataclass(frozen=True)
class WorklistRow:
    """One person whose history waits for a prescriber."""

    assessment_id: int
    patient_id: int
    record_number: str
    initials: str
    trd: str
    tms: str
    esketamine: str
    iv_ketamine: str
    is_urgent: bool
    assessed_at: datetime


def unassessed_intake_ids(*, limit: int = 200) -> Sequence[int]:
    """Sent intakes that the engine has not seen, oldest first."""
    seen = select(Assessment.id).where(Assessment.intake_id == Intake.id).exists()
    statement = select(Intake.id).where(Intake.state == IntakeState.SUBMITTED, ~seen).order_by(Intake.submitted_at)
    return db.session.scalars(statement.limit(limit)).all()


def worklist(
    *, location_ids: frozenset[int] | None = None, after_id: int | None = None, limit: int = 50
) -> Sequence[WorklistRow]:
    """Present assessments without a decision, urgent first, then the longest waiting. `after_id` pages on."""
    decided = select(Decision.id).where(Decision.assessment_id == Assessment.id).exists()
    statement = (
        select(Assessment, Patient.record_number, Patient.initials)
        .join(Patient, Patient.id == Assessment.patient_id)
        .where(Assessment.superseded_at.is_(None), ~decided)
        .options(LIST_COLUMNS)
        .order_by(Assessment.is_urgent.desc(), Assessment.id)
        .limit(limit)
    )
    if location_ids is not None:
        statement = statement.where(
            or_(Patient.preferred_location_id.is_(None), Patient.preferred_location_id.in_(location_ids))
        )
    if after_id is not None:
        last = db.session.get(Assessment, after_id)
        if last is not None:
            later = Assessment.id > last.id
            statement = statement.where(
                and_(Assessment.is_urgent == last.is_urgent, later)
                if not last.is_urgent
                else or_(Assessment.is_urgent.is_(False), later)
            )
    return [
        WorklistRow(
            row.id,
            row.patient_id,
            number,
            initials,
            row.trd,
            row.tms,
            row.esketamine,
            row.iv_ketamine,
            row.is_urgent,
            row.assessed_at,
        )
        for row, number, initials in db.session.execute(statement)
    ]


def present_assessment(patient_id: int) -> Assessment | None:
    """The assessment that counts now."""
    return db.session.scalar(
        select(Assessment).where(Assessment.patient_id == patient_id, Assessment.superseded_at.is_(None))
    )


def assessment(assessment_id: int) -> Assessment:
    """One assessment, present or superseded. Raises NotFound."""
    found = db.session.get(Assessment, assessment_id)
    if found is None:
        raise NotFound("no such assessment")
    return found


def assessments(patient_id: int) -> Sequence[Assessment]:
    """All of a person's assessments, newest first."""
    statement = select(Assessment).where(Assessment.patient_id == patient_id).options(LIST_COLUMNS)
    return db.session.scalars(statement.order_by(Assessment.id.desc())).all()


def whole_assessments(patient_id: int, *, before: int | None = None, limit: int = 50) -> Sequence[Assessment]:
    """A person's assessments with record and result, newest first; `before` an id: the older ones."""
    statement = select(Assessment).where(Assessment.patient_id == patient_id)
    if before is not None:
        statement = statement.where(Assessment.id < before)
    return db.session.scalars(statement.order_by(Assessment.id.desc()).limit(limit)).all()


def decisions(patient_id: int) -> Sequence[Decision]:
    """All of a person's decisions, newest first."""
    return db.session.scalars(
        select(Decision).where(Decision.patient_id == patient_id).order_by(Decision.id.desc())
    ).all()


def approving_decision(patient_id: int, pathway: str) -> Decision | None:
    """The present decision that lets this treatment be booked, if there is one."""
    return db.session.scalar(
        select(Decision).where(
            Decision.patient_id == patient_id,
            Decision.pathway == pathway,
            Decision.superseded_at.is_(None),
            Decision.decision == DecisionKind.APPROVE,
        )
    )


def assessment_of_intake(intake_id: int) -> Assessment | None:
    """The newest assessment of this intake's record."""
    statement = select(Assessment).where(Assessment.intake_id == intake_id)
    return db.session.scalar(statement.order_by(Assessment.id.desc()).limit(1))


def is_decided(assessment_id: int) -> bool:
    """Whether anything was decided on this assessment."""
    return db.session.scalar(select(Decision.id).where(Decision.assessment_id == assessment_id).limit(1)) is not None


def present_decisions(patient_id: int, pathway: str) -> Sequence[Decision]:
    """The decision on a pathway that counts now (none or one)."""
    return db.session.scalars(
        select(Decision).where(
            Decision.patient_id == patient_id, Decision.pathway == pathway, Decision.superseded_at.is_(None)
        )
    ).all()


def approved_pathways(patient_id: int) -> set[str]:
    """Treatments that may be booked now."""
    rows = db.session.scalars(
        select(Decision.pathway).where(
            Decision.patient_id == patient_id,
            Decision.superseded_at.is_(None),
            Decision.decision == DecisionKind.APPROVE,
        )
    )
    return set(rows)
