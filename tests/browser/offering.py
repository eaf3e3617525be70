"""Holds places for a patient of a clinic that runs, and asks the same person about a new time of a visit.

`python -m tests.browser.offering INSTANCE` prints the page of the offer's message, the record, and the person's two own pages.
"""

import sys
from datetime import timedelta

from sqlalchemy import select

from clinic import clock, jobs
from clinic.app import create_app
from clinic.config import read_settings
from clinic.db import db
from clinic.reminders import ledger, signed
from clinic.reminders.models import Message
from clinic.reminders.signed import Use
from clinic.scheduling.models import ScheduleChange, TreatmentSession, WaitlistEntry
from tests.builders import make_offer

DAYS = (10, 11, 14)


def main() -> None:
    """The offer is written as the waiting list writes it; the clinic's own sweep finds it and its worker sends it."""
    app = create_app(read_settings({"CLINIC_INSTANCE": sys.argv[1]}))
    with app.app_context(), jobs.silence():
        now = clock.now()
        ahead = select(TreatmentSession).where(
            TreatmentSession.state == "booked",
            TreatmentSession.starts_at > now,
            TreatmentSession.course_id.is_not(None),
            TreatmentSession.patient_id.not_in(select(WaitlistEntry.patient_id)),
        )
        visit = db.session.scalars(ahead.order_by(TreatmentSession.id.desc()).limit(1)).one()
        offer = make_offer(visit, [now + timedelta(days=days) for days in DAYS], now=now)
        change = _asked(visit)
        db.session.commit()
        ledger.sweep_urgent()
        told = select(Message.id).where(Message.occurrence == f"o:{offer.id}").limit(1)
        keys = app.config["SETTINGS"].secret_keys
        print(f"/o/{signed.sign(Use.OFFER, db.session.scalars(told).one(), keys)}")
        print(f"/staff/patients/{visit.patient_id} /me/offers/{offer.id} /me/changes/{change.id}")


def _asked(visit: TreatmentSession) -> ScheduleChange:
    """One visit would be two hours later, and no time is found for it on another day."""
    places = {"from_location": visit.location_id, "to_location": visit.location_id}
    move = {"session_id": visit.id, "from_at": visit.starts_at.isoformat(), **places}
    later = (visit.starts_at + timedelta(hours=2)).isoformat()
    now = clock.now()
    change = ScheduleChange(
        patient_id=visit.patient_id,
        kind="device",
        state="asked",
        revision=1,
        moves=[{**move, "to_at": later}, {**move, "to_at": None}],
        created_at=now,
        answer_by=now + timedelta(hours=20),
    )
    db.session.add(change)
    db.session.flush()
    return change


if __name__ == "__main__":
    main()
