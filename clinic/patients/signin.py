"""The patient's own cookie: never a staff sign-in."""

from datetime import datetime, timedelta

from flask import Flask, Response, g, request
from sqlalchemy import select

from clinic import clock
from clinic.audit import Actor, ActorKind
from clinic.db import db, transaction
from clinic.patients.links import SESSION_LIFETIME, digest
from clinic.patients.models import PatientSession
from clinic.web import cookies
from clinic.web.access import PatientCaller

COOKIE = "daybreak_patient"
ASKED_AGAIN_AFTER = timedelta(minutes=30)  # without anyone there: somebody else may hold the phone by now
SEEN_EVERY = timedelta(minutes=1)  # a page sooner than this after the last one writes nothing


def init_app(app: Flask) -> None:
    """Load the patient session before every request."""
    app.before_request(load_caller)


def load_caller() -> None:
    """Set `g.patient`, and `g.actor` where no staff member is signed in."""
    g.patient = None
    cookie = cookies.read(COOKIE)
    if not cookie:
        return
    row = db.session.scalar(
        select(PatientSession).where(
            PatientSession.token_hash == digest(cookie),
            PatientSession.ended_at.is_(None),
            PatientSession.expires_at > clock.now(),
        )
    )
    if row is None:
        return
    g.patient = PatientCaller(
        session_id=row.id,
        purpose=row.purpose,
        patient_id=row.patient_id,
        intake_id=row.intake_id,
        survey_id=row.survey_id,
        treatment_session_id=row.session_id,
        ask_id=row.ask_id,
        is_kiosk=row.is_kiosk,
        birth_date_checked_at=row.birth_date_checked_at if row.is_kiosk else _checked(row),
    )
    if g.actor is None:
        g.actor = Actor(ActorKind.PATIENT, str(row.patient_id) if row.patient_id else f"intake {row.intake_id}")


def _checked(row: PatientSession) -> datetime | None:
    """When the date of birth was given; None where it is asked again, because nobody was there for a while.

    What was typed before is still taken when it is sent; the question comes before the next page is shown.
    """
    now = clock.now()
    is_away = row.last_seen_at <= now - ASKED_AGAIN_AFTER
    is_sent = request.method != "GET" and request.endpoint != "patients.spend_link"
    if row.birth_date_checked_at is None or (is_away and is_sent):
        return row.birth_date_checked_at
    if not is_away and row.last_seen_at > now - SEEN_EVERY:
        return row.birth_date_checked_at
    with transaction():
        found = db.session.get_one(PatientSession, row.id)
        found.last_seen_at = now
        if is_away:
            found.birth_date_checked_at = None
    return None if is_away else row.birth_date_checked_at


def set_cookie(response: Response, value: str) -> None:
    """Give the browser its patient session."""
    cookies.write(response, COOKIE, value, seconds=int(SESSION_LIFETIME.total_seconds()))
