"""Histories, what the engine said of them, and what a prescriber decided."""

from typing import Any

from clinic.api.blueprint import CREATED, Body, Key, Line, Prose, accepts, bp, page_cursor, page_limit
from clinic.eligibility import operations, queries
from clinic.eligibility.models import Assessment
from clinic.eligibility.operations import Decide
from clinic.intake import queries as intakes
from clinic.intake.models import Intake
from clinic.patients import queries as patients
from clinic.staff.models import Role
from clinic.web.access import current_actor, token

CLINICAL = (Role.NURSE, Role.THERAPIST, Role.PRESCRIBER, Role.SERVICE)


class IntakeIn(Body):
    """A history that was taken elsewhere: the intake record of `clinic assess`."""

    patient_id: Key
    record: dict[str, Any]


class DecisionIn(Body):
    """A prescriber's decision. Approving what is not likely eligible needs `override` and a reason.

    `evaluation` is the text that the signature covers; left out, it is drawn up from the assessment.
    """

    pathway: Line
    decision: Line
    reason: Prose
    override: bool = False
    evaluation: Prose = ""


@bp.post("/intakes")
@CREATED
@token(*CLINICAL)
@accepts(IntakeIn)
def create_intake(body: IntakeIn) -> Any:
    """Store a history and assess it."""
    intake_id, assessment_id = operations.submit_record(body.patient_id, body.record, by=current_actor())
    return {"id": intake_id, "assessment": _assessment(queries.assessment(assessment_id))}, 201


@bp.get("/intakes/<int:intake_id>")
@token(*CLINICAL)
def get_intake(intake_id: int) -> Any:
    """One intake: its record as it was sent, the assessment that was made of it, and the person's other versions."""
    row = intakes.get(intake_id)
    made = queries.assessment_of_intake(intake_id)
    return {
        "id": row.id,
        "patient_id": row.patient_id,
        "state": row.state,
        "submitted_at": row.submitted_at.isoformat() if row.submitted_at else None,
        "corrects_id": row.corrects_id,
        "record": row.record,
        "assessment": _assessment(made) if made else None,
        "versions": [_version(each) for each in intakes.versions(row.patient_id)] if row.patient_id else [],
    }


def _version(row: Intake) -> dict[str, Any]:
    """One of the forms that were sent for the person, newest first; the one that is `submitted` counts."""
    assert row.submitted_at is not None
    return {
        "id": row.id,
        "state": row.state,
        "submitted_at": row.submitted_at.isoformat(),
        "corrects_id": row.corrects_id,
    }


@bp.get("/patients/<int:patient_id>/assessments")
@token(*CLINICAL)
def list_assessments(patient_id: int) -> Any:
    """All assessments of a patient, newest first; the one without `superseded_at` counts."""
    patients.get(patient_id)
    limit = page_limit()
    rows = queries.whole_assessments(patient_id, before=page_cursor(), limit=limit + 1)
    items = [_assessment(row) for row in rows[:limit]]
    return {"items": items, "next_cursor": str(items[-1]["id"]) if len(rows) > limit else None}


@bp.post("/patients/<int:patient_id>/decisions")
@CREATED
@token(Role.PRESCRIBER)
@accepts(DecisionIn)
def create_decision(patient_id: int, body: DecisionIn) -> Any:
    """Record a decision on one pathway."""
    actor = current_actor()
    command = Decide(patient_id=patient_id, **body.model_dump())
    return {"id": operations.decide(command, by=actor, **operations.actor_ids(actor))}, 201


def _assessment(row: Assessment) -> dict[str, Any]:
    return {
        "id": row.id,
        "intake_id": row.intake_id,
        "assessed_at": row.assessed_at.isoformat(),
        "superseded_at": row.superseded_at.isoformat() if row.superseded_at else None,
        **{key: value for key, value in row.result.items() if key != "id"},
    }
