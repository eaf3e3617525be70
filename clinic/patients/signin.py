"""The patient's own cookie: never a staff sign-in."""

from flask import Flask, Response, current_app, g, request
from sqlalchemy import select

from clinic import clock
from clinic.audit import Actor, ActorKind
from clinic.db import db
from clinic.patients.links import SESSION_LIFETIME, digest
from clinic.patients.models import PatientSession
from clinic.web.access import PatientCaller

COOKIE = "daybreak_patient"


def init_app(app: Flask) -> None:
    """Load the patient session before every request."""
    app.before_request(load_caller)


def load_caller() -> None:
    """Set `g.patient`, and `g.actor` where no staff member is signed in."""
    g.patient = None
    cookie = request.cookies.get(COOKIE)
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
        birth_date_checked_at=row.birth_date_checked_at,
    )
    if g.actor is None:
        g.actor = Actor(ActorKind.PATIENT, str(row.patient_id) if row.patient_id else f"intake {row.intake_id}")


def set_cookie(response: Response, value: str) -> None:
    """Give the browser its patient session."""
    secure = current_app.config["SESSION_COOKIE_SECURE"]
    response.set_cookie(
        COOKIE,
        value,
        max_age=int(SESSION_LIFETIME.total_seconds()),
        httponly=True,
        secure=secure,
        samesite="Lax",
    )
