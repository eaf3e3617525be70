"""What a treatment asks for before it is booked, before a person is let in, and before a session begins or ends."""

from collections.abc import Collection
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, exists

from clinic import audit, clock
from clinic.audit import Actor
from clinic.db import db, transaction
from clinic.eligibility import queries as eligibility
from clinic.errors import AlreadyOver, Invalid, NotFound
from clinic.locations import queries as locations
from clinic.patients import queries as patients
from clinic.protocols.base import Protocol, catalogue
from clinic.scheduling import clearance, ledger
from clinic.scheduling.clearance import Missing
from clinic.scheduling.models import TreatmentSession
from clinic.treatment import queries, rules
from clinic.treatment.models import (
    ObservationState,
    ProgramEnrollment,
    RecordState,
    SiteCertification,
    TreatmentHold,
)

CERTIFICATION, ENROLLMENT, AUTHORIZATION, HOLD = "site_certification", "patient_enrollment", "authorization", "hold"


def _program(protocol: Protocol) -> str | None:
    watch = rules.watch_of(protocol.modality)
    return watch.program if watch is not None else None


def against_booking(patient_id: int, protocol: Protocol, location_ids: Collection[int]) -> list[Missing]:
    """Holds of this kind of treatment; for a safety program the sites' certification, the enrollment, and who pays."""
    found = [
        Missing(HOLD, f"{rules.HOLDING.get(hold.code, 'On hold')}.", "prescriber")
        for hold in queries.open_holds(patient_id, protocol.modality)
    ]
    program = _program(protocol)
    if program is None:
        return found
    return found + _of_person(patient_id, program) + _of_payer(patient_id, protocol) + _of_sites(location_ids, program)


def _of_person(patient_id: int, program: str) -> list[Missing]:
    if queries.enrollment(patient_id, program) is not None:
        return []
    words = "The person is not enrolled in the safety program: enter the enrollment first."
    return [Missing(ENROLLMENT, words, "nurse")]


def _of_payer(patient_id: int, protocol: Protocol) -> list[Missing]:
    """A payer's authorization that stands, or the person's own agreement to pay."""
    today = clock.today(patients.get(patient_id).tz)
    is_authorized = any(row.valid_until >= today for row in ledger.fitting(patient_id, protocol))
    if is_authorized or any(row.pathway == protocol.modality for row in ledger.self_pays(patient_id)):
        return []
    words = "No authorization stands for this treatment, and the person did not agree to pay: enter one of them first."
    return [Missing(AUTHORIZATION, words, "front_desk")]


def _of_sites(location_ids: Collection[int], program: str) -> list[Missing]:
    found = []
    for location_id in sorted(location_ids):
        site = locations.get(location_id)
        row = queries.certification(location_id, program)
        if row is None or (row.expires_on is not None and row.expires_on <= clock.today(site.tz)):
            words = f"{site.name} is not certified for the safety program{'' if row is None else ' any more'}."
            found.append(Missing(CERTIFICATION, words, "manager"))
    return found


def against_arrival(row: TreatmentSession) -> list[Missing]:
    """The first session of a safety program is not marked arrived without the enrollment."""
    if row.course_id is None or row.need != "obs":
        return []
    program = _program(queries.protocol_of_session(row))
    if program is None or queries.enrollment(row.patient_id, program) is not None:
        return []
    return [
        Missing(ENROLLMENT, "the person is not enrolled in the safety program: enter the enrollment first", "nurse")
    ]


def against_start(row: TreatmentSession) -> list[Missing]:
    """A hold; and where a record was begun, what it says."""
    if row.course_id is None:
        return []
    modality = queries.protocol_of_session(row).modality
    holds = queries.open_holds(row.patient_id, modality)
    if holds:
        return [
            Missing(HOLD, rules.HOLDING.get(hold.code, "this treatment is on hold"), "prescriber") for hold in holds
        ]
    record = queries.record_of(row.id)
    if record is not None and record.state == RecordState.NOT_GIVEN:
        return [Missing("not_given", "the record says that it is not given today", "prescriber")]
    return []


def against_finish(row: TreatmentSession) -> list[Missing]:
    """A watched visit ends by its own list: the hours of watching and three blood pressures."""
    if row.course_id is None or rules.watch_of(queries.protocol_of_session(row).modality) is None:
        return []
    seen = queries.observation_of(row.id)
    if seen is None or seen.state != ObservationState.CLOSED:
        return [
            Missing(
                "observation",
                "close the observation first: two hours and three blood pressures are on its list",
                "nurse",
            )
        ]
    return []


def is_approved(patient_id: int, program: str) -> bool:
    """Whether a prescriber approved a treatment of the program for this person."""
    modalities = {one.modality for one in catalogue().values() if _program(one) == program}
    return any(eligibility.approving_decision(patient_id, modality) is not None for modality in modalities)


def of_program(patient_id: int, program: str) -> list[Missing]:
    """What of a person stands against booking the treatments of a program, at any site."""
    protocols = [protocol for protocol in catalogue().values() if _program(protocol) == program]
    found = {one.code: one for protocol in protocols for one in against_booking(patient_id, protocol, ())}
    return list(found.values())


def _has_hold(patient_id: Any) -> ColumnElement[bool]:
    row = TreatmentHold.__table__.c
    return exists().where(row.patient_id == patient_id, row.lifted_at.is_(None))


def _is_in_program(protocol: Protocol) -> bool:
    return _program(protocol) is not None


clearance.BOOKING.append(clearance.Check(against_booking, _has_hold, _is_in_program))
clearance.ARRIVAL.append(against_arrival)
clearance.START.append(against_start)
clearance.FINISH.append(against_finish)


# -- entering them --------------------------------------------------------------------------------------------------------


def certify_site(
    location_id: int,
    program: str,
    *,
    number: str,
    certified_on: date,
    expires_on: date | None,
    staff_id: int,
    by: Actor,
) -> None:
    """Enter a site's certification; the one before stays on record. Raises NotFound, Invalid."""
    number = number.strip()
    if not number:
        raise Invalid("Enter the certification number.", fields=["number"])
    if expires_on is not None and expires_on <= certified_on:
        raise Invalid("The end is before the start.", fields=["expires_on"])
    with transaction():
        site = locations.lock(location_id)
        if certified_on > clock.today(site.tz):
            raise Invalid("This day is still to come.", fields=["certified_on"])
        before = queries.certification(location_id, program)
        if before is not None:
            before.superseded_at = clock.now()
            db.session.flush()
        row = SiteCertification(
            location_id=location_id,
            program=program,
            number=number,
            certified_on=certified_on,
            expires_on=expires_on,
            recorded_by=staff_id,
            recorded_at=clock.now(),
        )
        db.session.add(row)
        db.session.flush()
        audit.record_event("site_certifications", row.id, "entered", by=by, location_id=location_id, program=program)


def enroll(
    patient_id: int,
    program: str,
    *,
    number: str,
    enrolled_on: date,
    staff_id: int,
    by: Actor,
) -> None:
    """Enter a person's enrollment; the one before stays on record. Raises NotFound, Invalid."""
    number = number.strip()
    if not number:
        raise Invalid("Enter the enrollment number.", fields=["number"])
    patient = patients.get(patient_id)
    if enrolled_on > clock.today(patient.tz):
        raise Invalid("This day is still to come.", fields=["enrolled_on"])
    with transaction():
        patients.lock(patient_id)
        before = queries.enrollment(patient_id, program)
        if before is not None:
            before.superseded_at = clock.now()
            db.session.flush()
        row = ProgramEnrollment(
            patient_id=patient_id,
            program=program,
            number=number,
            enrolled_on=enrolled_on,
            recorded_by=staff_id,
            recorded_at=clock.now(),
        )
        db.session.add(row)
        db.session.flush()
        audit.record(row, "entered", by=by, program=program)


def lift_hold(hold_id: int, *, reason: str, staff_id: int, by: Actor) -> int:
    """A prescriber lets the treatment go on; answers the patient's id. Raises NotFound, Invalid, AlreadyOver."""
    words = reason.strip()
    if not words:
        raise Invalid("Say why it may go on: the reason goes on record.", fields=["reason"])
    with transaction():
        row = db.session.get(TreatmentHold, hold_id, with_for_update=True, populate_existing=True)
        if row is None:
            raise NotFound("no such hold")
        if row.lifted_at is not None:
            raise AlreadyOver("This hold was lifted already.")
        row.lifted_at, row.lifted_by, row.lifted_reason = clock.now(), staff_id, words
        audit.record(row, "lifted", by=by, code=row.code)
        return row.patient_id
