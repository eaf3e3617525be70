"""What payers approved for a person, and what the person agreed to pay."""

from datetime import date
from typing import Any

from pydantic import Field

from clinic.api.blueprint import DESK, Body, Line, Prose, SmallKey, accepts, answers, bp, listed
from clinic.api.places import site
from clinic.locations import queries as locations
from clinic.patients import queries as patients
from clinic.scheduling import authorising, ledger
from clinic.scheduling.models import Authorisation
from clinic.web.access import current_actor, token


class AuthorisationIn(Body):
    """What was approved. What is left out is not limited; both dates are included."""

    payer: Line
    number: Line
    pathway: Line
    sessions_approved: int = Field(ge=1, le=400)
    valid_from: date
    valid_until: date
    protocol: Line | None = None
    location: Line | None = None
    device: SmallKey | None = None


class Because(Body):
    """Why."""

    reason: Prose


class SelfPayIn(Body):
    """What was agreed, in words, and when."""

    pathway: Line
    what: Prose
    agreed_on: date


@bp.get("/patients/<int:patient_id>/authorisations")
@answers("AuthorisationPage")
@token(*DESK)
def list_authorisations(patient_id: int) -> Any:
    """What payers approved, what runs out first in front."""
    patients.get(patient_id)
    return listed([_shape(row) for row in ledger.of_patient(patient_id)])


@bp.post("/patients/<int:patient_id>/authorisations")
@answers("Authorisation", 201)
@token(*DESK)
@accepts(AuthorisationIn)
def add_authorisation(patient_id: int, body: AuthorisationIn) -> Any:
    """Put an authorisation on the ledger; booked sessions without a payer come under it."""
    new = authorising.NewAuthorisation(
        patient_id=patient_id,
        payer=body.payer,
        number=body.number,
        pathway=body.pathway,
        sessions_approved=body.sessions_approved,
        valid_from=body.valid_from,
        valid_until=body.valid_until,
        protocol=body.protocol,
        location_id=site(body.location).id if body.location else None,
        device_id=body.device,
    )
    return _shape(ledger.get(authorising.add_authorisation(new, by=current_actor()))), 201


@bp.post("/authorisations/<int:authorisation_id>/end")
@answers("Authorisation")
@token(*DESK)
@accepts(Because)
def end_authorisation(authorisation_id: int, body: Because) -> Any:
    """The payer took it back; sessions stay booked, unpaid."""
    authorising.end_authorisation(authorisation_id, reason=body.reason, by=current_actor())
    return _shape(ledger.get(authorisation_id))


@bp.post("/patients/<int:patient_id>/self-pay-agreements")
@answers("Created", 201)
@token(*DESK)
@accepts(SelfPayIn)
def agree_self_pay(patient_id: int, body: SelfPayIn) -> Any:
    """The person agreed to pay for sessions; book them with the id."""
    agreed = authorising.agree_self_pay(
        patient_id, pathway=body.pathway, what=body.what, agreed_on=body.agreed_on, by=current_actor()
    )
    return {"id": agreed}, 201


def _shape(row: Authorisation) -> dict[str, Any]:
    return {
        "id": row.id,
        "patient_id": row.patient_id,
        "payer": row.payer,
        "pathway": row.pathway,
        "protocol": row.protocol,
        "location": locations.get(row.location_id).slug if row.location_id is not None else None,
        "device": row.device_id,
        "sessions_approved": row.sessions_approved,
        "sessions_left": row.sessions_approved - row.sessions_taken,
        "valid_from": row.valid_from.isoformat(),
        "valid_until": row.valid_until.isoformat(),
        "ended": row.ended_at is not None,
    }
