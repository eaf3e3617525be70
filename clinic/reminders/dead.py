"""Addresses that take nothing: marked when a provider or a bounce says so, cleared by the desk or by a new address."""

from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert

from clinic import audit
from clinic.audit import Actor
from clinic.db import db
from clinic.patients import queries as patients
from clinic.patients.models import Channel, Patient
from clinic.reminders.models import DeadAddress, Message


def mark_within_transaction(row: Message, reason: str, now: datetime) -> None:
    """No message goes to the address of this row's patient any more. A step of an operation."""
    assert row.patient_id is not None
    blind = _blind(patients.get(row.patient_id), row.channel)
    if blind is None:
        return
    db.session.execute(
        insert(DeadAddress)
        .values(channel=row.channel, address_blind=blind, reason=reason[:200], message_id=row.id, recorded_at=now)
        .on_conflict_do_nothing(
            index_elements=["channel", "address_blind"], index_where=DeadAddress.cleared_at.is_(None)
        )
    )


def of_patient(patient: Patient) -> dict[str, DeadAddress]:
    """What of this person takes nothing, by channel."""
    found = {}
    for channel in (Channel.EMAIL, Channel.SMS):
        blind = _blind(patient, channel)
        if blind is None:
            continue
        row = db.session.scalar(
            select(DeadAddress).where(
                DeadAddress.channel == channel, DeadAddress.address_blind == blind, DeadAddress.cleared_at.is_(None)
            )
        )
        if row is not None:
            found[str(channel)] = row
    return found


def clear_within_transaction(patient: Patient, channel: str, now: datetime, *, by: Actor) -> None:
    """The address works again. A step of an operation."""
    cleared = db.session.execute(
        update(DeadAddress)
        .where(
            DeadAddress.channel == channel,
            DeadAddress.address_blind == _blind(patient, channel),
            DeadAddress.cleared_at.is_(None),
        )
        .values(cleared_at=now)
        .returning(DeadAddress.id)
    ).all()
    if cleared:
        audit.record(patient, "address_works", by=by, channel=channel)


def _blind(patient: Patient, channel: str) -> bytes | None:
    return patient.email_blind if channel == Channel.EMAIL else patient.phone_blind
