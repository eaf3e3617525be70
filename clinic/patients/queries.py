"""Reads of patients. Search is by record number, phone or email exactly, or initials: names are ciphertext."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sqlalchemy import or_, select

from clinic.audit import AuditEvent
from clinic.db import blind_is, db
from clinic.errors import NotFound
from clinic.patients import sites
from clinic.patients.contact import phone_or_none
from clinic.patients.models import ChannelConsent, Patient, PatientSession
from clinic.web.access import StaffCaller


def get(patient_id: int) -> Patient:
    """The patient. Raises NotFound."""
    found = db.session.get(Patient, patient_id)
    if found is None:
        raise NotFound("no such patient")
    return found


def lock(patient_id: int) -> Patient:
    """The patient's row, locked until the transaction ends. Raises NotFound."""
    found = db.session.scalar(select(Patient).where(Patient.id == patient_id).with_for_update())
    if found is None:
        raise NotFound("no such patient")
    return found


def search(text: str, *, limit: int = 20) -> Sequence[Patient]:
    """Patients whose record number, email, phone or initials is exactly `text`, newest first."""
    text = text.strip()
    if not text:
        return []
    upper = text.upper()
    conditions = [Patient.record_number == (f"D-{upper}" if upper.isdigit() else upper)]
    if "@" in text:
        conditions.append(blind_is(Patient.email_blind, text))
    elif any(character.isdigit() for character in text):
        phone = phone_or_none(text)
        if phone:
            conditions.append(blind_is(Patient.phone_blind, phone))
    else:
        conditions.append(Patient.initials == upper.replace(".", "").replace(" ", ""))
    return db.session.scalars(select(Patient).where(or_(*conditions)).order_by(Patient.id.desc()).limit(limit)).all()


def consents(patient_id: int) -> dict[str, bool]:
    """Present answer by channel; a channel that was never asked is missing."""
    rows = db.session.execute(
        select(ChannelConsent.channel, ChannelConsent.granted).where(
            ChannelConsent.patient_id == patient_id, ChannelConsent.superseded_at.is_(None)
        )
    )
    return {key: value for key, value in rows}  # noqa: C416 - a Result is not a mapping


def known_channels(patient: Patient) -> list[str]:
    """Channels over which this patient may be sent a link that was asked for."""
    return [channel for channel, address in (("email", patient.email), ("sms", patient.phone)) if address]


class Brief(NamedTuple):
    """How a person appears on lists and shared displays."""

    initials: str
    record_number: str


def briefs(ids: Iterable[int | None]) -> dict[int, Brief]:
    """Initials and record numbers by patient id."""
    wanted = {key for key in ids if key is not None}
    rows = db.session.execute(select(Patient.id, Patient.initials, Patient.record_number).where(Patient.id.in_(wanted)))
    return {row.id: Brief(row.initials, row.record_number) for row in rows}


def reached_at(contact: str, *, limit: int = 5) -> Sequence[Patient]:
    """Patients whose email or phone is exactly this one."""
    if "@" in contact:
        condition = blind_is(Patient.email_blind, contact)
    else:
        phone = phone_or_none(contact)
        if phone is None:
            return []
        condition = blind_is(Patient.phone_blind, phone)
    return db.session.scalars(select(Patient).where(condition).order_by(Patient.id.desc()).limit(limit)).all()


def visible_to(staff: StaffCaller, patient: Patient) -> bool:
    """May this staff member open the record: a site of the patient is granted, or the patient has none yet."""
    return sites.sees(staff, patient.id)


def get_for(staff: StaffCaller, patient_id: int) -> Patient:
    """The patient, if this staff member may open the record. Raises NotFound: it does not tell that there is one."""
    patient = get(patient_id)
    if not visible_to(staff, patient):
        raise NotFound("no such patient")
    return patient


def events(patient_id: int, *, before: int | None = None, limit: int = 50) -> Sequence[AuditEvent]:
    """Who did or read what in this record, newest first."""
    statement = select(AuditEvent).where(AuditEvent.patient_id == patient_id)
    if before is not None:
        statement = statement.where(AuditEvent.id < before)
    return db.session.scalars(statement.order_by(AuditEvent.id.desc()).limit(limit)).all()


def is_session_over(patient_session_id: int) -> bool:
    """Was this browser signed out, by the person or after too many wrong dates."""
    row = db.session.get(PatientSession, patient_session_id)
    return row is None or row.ended_at is not None
