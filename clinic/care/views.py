"""The patient's own pages after the release: summary, history, options and plan; and kinder ones before it."""

import uuid
from typing import Any

from flask import flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from markupsafe import Markup

from clinic import clock
from clinic.audit import Actor, ActorKind
from clinic.care import drafting, history, operations, planning, presenter, queries
from clinic.care.blueprint import bp as bp
from clinic.care.forms import AskForm
from clinic.care.models import Release
from clinic.care.queries import decision_points
from clinic.eligibility import queries as eligibility
from clinic.errors import Conflict, Invalid, NotFound
from clinic.intake import queries as intake
from clinic.patients import chart
from clinic.patients import queries as patients
from clinic.patients.models import LinkPurpose, Patient
from clinic.web import access, context, i18n
from clinic.web.access import current_patient, is_safe_next

HOME_ORDER = 35  # below the course and its path, above the check-ins
HISTORY_ORDER = 85  # always there
PAGES = ("summary", "options", "plan", "history")

mine = access.patient(LinkPurpose.SIGN_IN)


def _patient() -> Patient:
    patient_id = current_patient().patient_id
    assert patient_id is not None
    return patients.get(patient_id)


def _actor(patient: Patient) -> Actor:
    return Actor(ActorKind.PATIENT, str(patient.id))


@bp.get("/me/summary")
@mine
def summary() -> Any:
    """What counted and why not, what is missing, and what comes next."""
    patient = _patient()
    shown = queries.present_release(patient.id)
    if shown is None:
        return _before(patient, "summary")
    return _summary_page(patient, shown, AskForm())


def _summary_page(patient: Patient, shown: Release, form: AskForm, status: int = 200) -> Any:
    return render_template(
        "care/summary.html",
        **presenter.summary_values(shown, patient),
        asked=presenter.asked_at(queries.questions(patient.id), shown),
        form=form,
        new_key=lambda: str(uuid.uuid4()),
        tabs=chart.tabs("patients.home"),
    ), status


def _before(patient: Patient, page: str) -> Any:
    """Before a release, or after it was taken back: what arrived, what is missing, and what happens next."""
    sent = intake.latest_submitted(patient.id)
    row = eligibility.present_assessment(patient.id) if sent is not None else None
    told = history.of_record(sent.record or {}) if sent is not None else None
    return render_template(
        "care/before.html",
        page=page,
        patient=patient,
        sent=sent,
        told=told,
        missing=drafting.missing(row.result, row.record) if row is not None and row.result else [],
        was_shown=queries.last_release(patient.id) is not None,
        tabs=chart.tabs("patients.home"),
    )


@bp.get("/me/history")
@mine
def history_page() -> Any:
    """`Here is my history`: one page for the person's own doctor, as it is stored."""
    patient = _patient()
    sent = intake.latest_submitted(patient.id)
    return render_template(
        "care/history.html",
        patient=patient,
        born=history.day(patient.birth_date.isoformat()),
        sent=sent,
        told=history.of_record(sent.record or {}) if sent is not None else None,
        tabs=chart.tabs("patients.home"),
    )


@bp.get("/me/options")
@mine
def options_page() -> Any:
    """Ways of treatment side by side, A to Z."""
    patient = _patient()
    shown = queries.present_release(patient.id)
    if shown is None:
        return _before(patient, "options")
    ticked = list(shown.content.get("options") or ())
    notes = queries.notes_in(i18n.language())
    asked = presenter.asked_at(queries.questions(patient.id), shown)
    return render_template(
        "care/options.html",
        patient=patient,
        chosen=presenter.shown_options(notes, only=ticked or None, asked=asked),
        is_all=not ticked,
        new_key=lambda: str(uuid.uuid4()),
        tabs=chart.tabs("patients.home"),
    )


@bp.post("/me/ask")
@mine
def ask() -> Any:
    """Ask about a line, or say that an option is to be talked about."""
    patient, form = _patient(), AskForm()
    back = request.form.get("next")
    back = back if back and is_safe_next(back) else url_for(".summary")
    if not form.validate():
        flash(_("Please use fewer words, and send it once more."), "error")
        return redirect(back)
    try:
        operations.ask(
            patient.id,
            about=form.about.data or "",
            text=form.text.data or "",
            form_key=form.form_key.data or "",
            by=_actor(patient),
        )
    except (Invalid, Conflict) as error:
        flash(_(error.message), "error")  # the sentences are collected for the catalog
        return redirect(back)
    flash(_("Thank you. Your team has your question. They answer in clinic hours."))
    return redirect(back)


@bp.get("/me/plan")
@mine
def plan() -> Any:
    """The next dated step, decisions ahead, and what the person may tick off."""
    patient = _patient()
    shown = queries.present_release(patient.id)
    if shown is None:
        return _before(patient, "plan")
    items = queries.plan_for_patient(patient.id)
    next_item = next((row for row in items if row.due_on is not None and row.closed_at is None), None)
    return render_template(
        "care/plan.html",
        patient=patient,
        today=clock.today(patient.tz),
        next_item=next_item,
        decisions=[row for row in decision_points(items) if row is not next_item],
        items=[row for row in items if row.kind != "decision_point"],
        past=[row for row in items if row.kind == "decision_point" and row.closed_at is not None],
        tabs=chart.tabs("patients.home"),
    )


@bp.post("/me/plan/<int:item_id>")
@mine
def tick(item_id: int) -> Any:
    """Tick an item off, or take that back."""
    patient = _patient()
    if queries.present_release(patient.id) is None:
        raise NotFound("no such plan item")
    done = request.form.get("done") == "yes"
    try:
        planning.tick(item_id, patient_id=patient.id, done=done, by=_actor(patient))
    except Conflict:
        flash(_("This changed meanwhile. Here is how it stands now."))
    return redirect(url_for(".plan"))


# -- on the patient's home ----------------------------------------------------------------------------------------------


def _home(patient_id: int) -> Markup | None:
    shown = queries.present_release(patient_id)
    if shown is None and intake.latest_submitted(patient_id) is None:
        return None
    return context.rendered("care/_home.html", shown=shown, today=clock.today(patients.get(patient_id).tz))


def _home_links(patient_id: int) -> Markup | None:
    return context.rendered("care/_home_links.html", has_history=intake.latest_submitted(patient_id) is not None)


chart.add_home(HOME_ORDER, _home)
chart.add_home(HISTORY_ORDER, _home_links)


from clinic.care import plan_views, public_views, referral_views, report_views, summary_views  # noqa: E402,F401 - their routes belong to the same blueprint
