"""Reads of patients. Search is by record number, phone or email exactly, or initials: names are ciphertext."""

from collections.abc import Sequence

from sqlalchemy import or_, select

from clinic.db import blind_is, db
from clinic.errors import NotFound
from clinic.patients.contact import phone_or_none
from clinic.patients.models import ChannelConsent, Patient


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
    return dict(rows)


def known_channels(patient: Patient) -> list[str]:
    """Channels over which this patient may be sent a link that was asked for."""
    return [channel for channel, address in (("email", patient.email), ("sms", patient.phone)) if address]
