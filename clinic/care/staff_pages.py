"""What the clinic's care pages share: who may open them, whose page it is, its time zone."""

from typing import Any

from clinic.errors import Conflict, Invalid
from clinic.locations import queries as locations
from clinic.patients import queries as patients
from clinic.patients.models import Patient
from clinic.staff.models import Role
from clinic.web.access import current_staff

CLINICAL = (Role.PRESCRIBER, Role.NURSE, Role.THERAPIST)
DESK = (*CLINICAL, Role.FRONT_DESK)
LANGUAGE_WORDS = {"en": "English", "es": "Spanish"}


def patient_of(patient_id: int) -> Patient:
    return patients.get_for(current_staff(), patient_id)


def tz_of(patient: Patient) -> str:
    zone = locations.zones().get(patient.preferred_location_id or 0)
    return zone or locations.clinic_tz()


def lay_fault(form: Any, error: Invalid | Conflict) -> None:
    """The operation's refusal beside the fields that it names."""
    named = [name for name in error.details.get("fields", ()) if name in form]
    for name in named:
        form[name].errors = [*form[name].errors, error.message]
    if not named:
        form.form_errors.append(error.message)
