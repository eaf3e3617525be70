"""Patients."""

from datetime import date
from typing import Any

from clinic.api.blueprint import CREATED, DESK, Body, Line, accepts, bp
from clinic.patients import operations, queries
from clinic.patients.operations import NewPatient
from clinic.web.access import current_actor, token


class Consents(Body):
    """A yes or a no by channel; left out: not asked."""

    email: bool | None = None
    sms: bool | None = None


class PatientIn(Body):
    """A new patient."""

    given_name: Line
    family_name: Line
    birth_date: date
    email: Line | None = None
    phone: Line | None = None
    language: Line | None = None
    timezone: Line | None = None
    consents: Consents | None = None


@bp.post("/patients")
@CREATED
@token(*DESK)
@accepts(PatientIn)
def create_patient(body: PatientIn) -> Any:
    """Create a patient."""
    consents = body.consents.model_dump(exclude_none=True) if body.consents else {}
    new = NewPatient(
        given_name=body.given_name,
        family_name=body.family_name,
        birth_date=body.birth_date,
        email=body.email,
        phone=body.phone,
        language=body.language or "en",
        tz=body.timezone or "America/Los_Angeles",
        consents=consents,
    )
    patient_id = operations.create_patient(new, by=current_actor(), source="api")
    return {"id": patient_id, "record_number": queries.get(patient_id).record_number}, 201
