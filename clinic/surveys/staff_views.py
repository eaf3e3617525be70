"""Staff: a person's check-ins, asking for one now, answers from paper, and the weekly rhythm of a course."""

import secrets
from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint, flash, redirect, render_template, request, url_for
from wtforms import Form

from clinic import clock
from clinic.errors import AlreadyOver, Conflict, Invalid
from clinic.instruments import scoring
from clinic.patients import operations as patient_operations
from clinic.patients import queries as patients
from clinic.patients.models import Patient
from clinic.staff.models import Role
from clinic.surveys import charting, flow, operations, plans, presenter, queries
from clinic.surveys.forms import AskForm, WeeklyForm, name_of, paper_answers, paper_form
from clinic.surveys.models import Survey
from clinic.tasks.models import Task, TaskKind
from clinic.tasks.today import TARGETS, Target
from clinic.web import access, scales
from clinic.web.access import current_actor, current_staff

CLINICAL = (Role.NURSE, Role.THERAPIST, Role.PRESCRIBER)
DESK = (*CLINICAL, Role.FRONT_DESK, Role.OPERATOR)
# What the front desk does not send: answers about substances and trauma are asked for by clinicians.
FOR_CLINICIANS = frozenset({"audit_c", "pcptsd5", "cssrs"})

bp = Blueprint("staff_surveys", __name__, template_folder="templates")


@bp.get("/staff/patients/<int:patient_id>/check-ins")
@access.staff(*DESK)
def listing(patient_id: int) -> Any:
    """Every check-in of a person with its state, what comes next, and what can be done."""
    return _page(patient_id)


def _page(patient_id: int, *, ask: AskForm | None = None, weekly: WeeklyForm | None = None, problem: str = "") -> str:
    patient = patients.get_for(current_staff(), patient_id)
    patient_operations.note_view(patient.id, part="check-ins", by=current_actor())
    surveys = queries.of_patient(patient.id)
    course = queries.present_course(patient.id)
    is_live = course is not None and course.state in queries.ACTIVE
    rhythm = queries.rhythm_of(course) if course is not None and is_live else None
    delivered = queries.delivered(course.id) if course is not None else 0
    return render_template(
        "surveys/staff_list.html",
        patient=patient,
        rows=presenter.rows(surveys, queries.from_paper(patient.id), clock.now()),
        course=course,
        delivered=delivered,
        coming=presenter.coming(rhythm, delivered) if rhythm is not None else [],
        sources=[row["title"] for row in plans.plans().sources.values()],
        version=plans.plans().version,
        may_weekly=rhythm is not None and bool(rhythm.weekly) and not rhythm.is_always_weekly,
        weekly_ask=queries.weekly_ask(course.id) if course is not None else None,
        ask=ask or _ask_form(),
        weekly=weekly or WeeklyForm(formdata=None),
        problem=problem,
    )


def _ask_form() -> AskForm:
    form = AskForm(nonce=secrets.token_hex(8))
    allowed = [key for key in plans.sendable() if current_staff().has(*CLINICAL) or key not in FOR_CLINICIANS]
    form.instruments.choices = [(key, presenter.short_name(key)) for key in allowed]
    return form


@bp.post("/staff/patients/<int:patient_id>/check-ins")
@access.staff(*DESK)
def ask(patient_id: int) -> Any:
    """Open a check-in now: the person gets a message with a link."""
    patient = patients.get_for(current_staff(), patient_id)
    form = _ask_form()
    if not form.validate():
        return _page(patient.id, ask=form), 422
    operations.ask_now(patient.id, form.instruments.data or [], nonce=form.nonce.data or "", by=current_actor())
    flash("The check-in is open. A message with the link goes out where the person agreed to one.")
    return redirect(url_for(".listing", patient_id=patient.id))


@bp.route("/staff/check-ins/<int:survey_id>/paper", methods=["GET", "POST"])
@access.staff(*DESK)
def paper(survey_id: int) -> Any:
    """Enter what a person answered on paper."""
    survey = queries.get(survey_id)
    patient = patients.get_for(current_staff(), survey.patient_id)
    corrects = bool(request.values.get("corrects"))
    if request.method == "GET":
        try:
            operations.check_paper(survey, corrects=corrects)
        except AlreadyOver as over:
            flash(over.message, "error")
            return redirect(url_for(".listing", patient_id=patient.id))
    form = _paper_form(survey, patient, corrects)
    if form.validate_on_submit():
        gone = _entered(survey, form, corrects)
        if gone is not None:
            return gone
    page = render_template(
        "surveys/staff_paper.html",
        patient=patient,
        survey=survey,
        occasion=presenter.occasion_words(survey.occasion),
        parts=_parts(survey, form),
        form=form,
        corrects=corrects,
    )
    return page, 422 if form.is_submitted() else 200


def _paper_form(survey: Survey, patient: Patient, corrects: bool) -> Any:
    """Filled with what was entered before, for those who may read it: clinicians, and who entered it."""
    staff, taken_on = current_staff(), clock.today(patient.tz)
    answers: dict[str, Any] = {}
    for row in queries.scores_of(survey.id) if corrects else []:
        taken_on = row.taken_at.astimezone(ZoneInfo(patient.tz)).date()
        if staff.has(*CLINICAL) or row.entered_by == staff.id:
            answers |= flow.draft_of(row.instrument, row.items, row.result)
    return paper_form(tuple(survey.instruments), taken_on=taken_on, answers=answers)


def _entered(survey: Survey, form: Any, corrects: bool) -> Any:
    try:
        level = operations.enter_paper(
            survey.id,
            paper_answers(form, tuple(survey.instruments)),
            taken_on=form.taken_on.data,
            staff_id=current_staff().id,
            by=current_actor(),
            corrects=corrects,
        )
    except Invalid as fault:
        name = name_of(str(fault.details.get("fields", ["taken_on"])[0]))
        form[name if name in form else "taken_on"].errors = [fault.message]
        return None
    except AlreadyOver as over:
        flash(over.message, "error")
        return redirect(url_for(".listing", patient_id=survey.patient_id))
    if level is not None:
        flash(
            "Kept. An answer calls for a clinician: the alert is open. Stay with the person if they are here.", "error"
        )
    else:
        flash("Kept.")
    return redirect(url_for(".listing", patient_id=survey.patient_id))


def _parts(survey: Survey, form: Form) -> list[dict[str, Any]]:
    """Questionnaires in order, each with its fields."""
    parts: dict[str, dict[str, Any]] = {}
    for page in flow.pages(tuple(survey.instruments)):
        words = scales.shown(page.instrument)
        part = parts.setdefault(
            page.instrument, {"words": words, "name": presenter.short_name(page.instrument), "fields": []}
        )
        part["fields"] += [form[name_of(key)] for key in page.keys]
    return list(parts.values())


@bp.post("/staff/courses/<int:course_id>/weekly-check-ins")
@access.staff(*DESK)
def weekly(course_id: int) -> Any:
    """Ask every week of this course, because a payer wants it."""
    patient = _patient_of(course_id)
    form = WeeklyForm()
    if not form.validate_on_submit():
        return _page(patient.id, weekly=form), 422
    try:
        operations.ask_weekly(course_id, reason=form.reason.data or "", staff_id=current_staff().id, by=current_actor())
    except Conflict as refusal:
        return _page(patient.id, problem=refusal.message), 409
    flash("This course is asked every week from now on.")
    return redirect(url_for(".listing", patient_id=patient.id))


@bp.post("/staff/courses/<int:course_id>/weekly-check-ins/end")
@access.staff(*DESK)
def end_weekly(course_id: int) -> Any:
    """Back to the usual check-ins."""
    patient = _patient_of(course_id)
    operations.end_weekly(course_id, by=current_actor())
    flash("Back to the usual check-ins.")
    return redirect(url_for(".listing", patient_id=patient.id))


def _patient_of(course_id: int) -> Patient:
    return patients.get_for(current_staff(), queries.course(course_id).patient_id)


@bp.get("/staff/patients/<int:patient_id>/progress")
@access.staff(*CLINICAL)
def progress(patient_id: int) -> Any:
    """Scores against delivered sessions, with response and remission, what is missing, events and doses on one axis."""
    patient = patients.get_for(current_staff(), patient_id)
    patient_operations.note_view(patient.id, part="progress", by=current_actor())
    choices = charting.instruments_of(patient.id)
    wanted = request.args.get("instrument", charting.LEAD)
    instrument = wanted if wanted in choices else charting.LEAD
    found = charting.chart_of(patient.id, instrument, with_marks=True)
    return render_template(
        "surveys/staff_progress.html",
        patient=patient,
        found=found,
        trend=presenter.trend(found, is_broad=True) if found is not None else None,
        instrument=scoring.load(instrument),
        short=presenter.short_name(instrument),
        items=[
            {
                "label": presenter.short_name(key),
                "url": url_for(".progress", patient_id=patient.id, instrument=key),
                "current": key == instrument,
            }
            for key in choices
        ],
        judged=charting.judged(found) if found is not None else [],
        plan=plans.plans(),
        sources=plans.plans().sources,
        sleep=charting.sleep_of(patient.id),
    )


# -- where tasks lead -------------------------------------------------------------------------------------------------


def _to_check_ins(task: Task) -> Target | None:
    survey_id = task.subject.get("survey_id")
    if survey_id is None or task.patient_id is None:
        return None
    return Target(
        url_for("staff_surveys.listing", patient_id=task.patient_id),
        "Check-ins",
        "No answer so far: call, or enter it from paper.",
    )


def _to_progress(task: Task) -> Target | None:
    """A review that a score called for opens the chart; one that a session called for, the session's record."""
    if task.patient_id is None:
        return None
    if "survey_id" in task.subject:
        return Target(url_for("staff_surveys.progress", patient_id=task.patient_id), "Progress")
    if "session_id" in task.subject:
        return Target(url_for("treatment.record", session_id=task.subject["session_id"]), "Session")
    return None


TARGETS[TaskKind.CLINICAL_REVIEW] = _to_progress
TARGETS[TaskKind.SURVEY_OVERDUE] = _to_check_ins
