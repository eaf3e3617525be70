"""The form on a tablet of the clinic: nobody is signed in as staff on it, it ends by itself, and leads nowhere else."""

from datetime import timedelta
from typing import Any

from flask import Blueprint, g, make_response, redirect, render_template, request, session, url_for
from flask_security import logout_user
from markupsafe import Markup

from clinic.intake import operations, pages
from clinic.intake.views import mine
from clinic.locations import queries as locations
from clinic.patients import chart, signin
from clinic.patients import operations as patient_operations
from clinic.patients import queries as patients
from clinic.patients.views import EDITORS
from clinic.web import access, context, cookies
from clinic.web.access import current_actor, current_staff
from clinic.web.limits import limiter

IDLE = timedelta(minutes=10)
WARNED = timedelta(minutes=2)  # before the end
RECORD_ORDER = 27  # on the staff's record: right above the form
OPEN_TO_KIOSK = ("intake.", "intake_files.", "kiosk.")
ALSO_OPEN = ("static", "security.login", "eligibility.drug_names", "health.healthz")

bp = Blueprint("kiosk", __name__, template_folder="templates")
context.add("kiosk", lambda: _is_kiosk())
context.add("kiosk_idle", lambda: {"ends": int(IDLE.total_seconds()), "warns": int((IDLE - WARNED).total_seconds())})
context.add("kiosk_start_url", lambda: url_for("kiosk.start_new") if _may_start() else "")


def _is_kiosk() -> bool:
    caller = g.get("patient")
    return caller is not None and caller.is_kiosk


def _may_start() -> bool:
    return g.get("staff") is not None and g.staff.has(*EDITORS)


@bp.before_app_request
def keep_inside() -> Any:
    """A kiosk session opens the form and nothing else; left alone, or with staff signed in, it is over."""
    if not _is_kiosk() or request.endpoint == "static":
        return None
    caller = g.patient
    if g.get("staff") is not None or not patient_operations.keep_session(caller.session_id, idle=IDLE):
        patient_operations.end_session(caller.session_id)
        g.patient = None
        g.kiosk_ended = True
        return None if g.get("staff") is not None else redirect(url_for("kiosk.over"))
    endpoint = request.endpoint or ""
    if endpoint.startswith(OPEN_TO_KIOSK) and endpoint not in ("intake.start", "intake.begin"):
        return None
    return None if endpoint in ALSO_OPEN else redirect(url_for("intake.resume"))


@bp.after_app_request
def forget(response: Any) -> Any:
    """The cookie of a session that is over leaves the tablet."""
    if g.get("kiosk_ended"):
        cookies.forget(response, signin.COOKIE)
    return response


@bp.post("/staff/patients/<int:patient_id>/kiosk")
@access.staff(*EDITORS)
@limiter.limit("60 per hour")
def start(patient_id: int) -> Any:
    """Hand this browser to a patient of ours."""
    patient = patients.get_for(current_staff(), patient_id)
    return _hand_over(operations.start_at_kiosk(patient.id, by=current_actor()))


@bp.post("/staff/kiosk")
@access.staff(*EDITORS)
@limiter.limit("60 per hour")
def start_new() -> Any:
    """Hand this browser to someone who is new here."""
    return _hand_over(operations.start_at_kiosk(None, by=current_actor()))


def _hand_over(opened: tuple[str, bool]) -> Any:
    """The staff member is signed out first, so that nothing of theirs is behind the form."""
    logout_user()
    session.clear()
    cookie, is_new = opened
    first = url_for("intake.page", page=next(iter(pages.PAGES)))
    response = make_response(redirect(first if is_new else url_for("intake.resume")))
    signin.set_cookie(response, cookie)
    return response


@bp.post("/kiosk/still")
@mine
def still() -> Any:
    """Someone is there. `keep_inside` has noted it."""
    return "", 204


@bp.post("/kiosk/hand-back")
@mine
def hand_back() -> Any:
    """End the session; every answer that was saved stays."""
    patient_operations.end_session(g.patient.session_id)
    g.patient = None
    g.kiosk_ended = True
    session.clear()
    return redirect(url_for(".over"))


@bp.get("/kiosk/over")
@access.public
def over() -> Any:
    """Says nothing about anyone; staff sign in from here."""
    response = make_response(render_template("intake/kiosk_over.html", clinic_profile=locations.profile()))
    response.headers["Clear-Site-Data"] = '"cache", "storage"'
    return response


def record_section(patient_id: int) -> Markup | None:
    """On the record: the button that hands this browser to the person."""
    return context.rendered("intake/kiosk_section.html", patient_id=patient_id)


chart.add_section(RECORD_ORDER, record_section, EDITORS)
