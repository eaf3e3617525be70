"""Staff: the care plan, therapy beside it, and the patient's questions."""

from typing import Any

from flask import flash, redirect, render_template, request, url_for
from markupsafe import Markup

from clinic import clock
from clinic.care import (
    forms,
    history,
    operations,
    planning,
    presenter,
    queries,
)
from clinic.care.blueprint import bp
from clinic.care.models import PlanItem, PlanKind, PlanState
from clinic.care.staff_pages import CLINICAL, lay_fault, patient_of, tz_of
from clinic.eligibility import queries as eligibility
from clinic.errors import Conflict, Invalid, NotFound
from clinic.intake import queries as intake
from clinic.locations import queries as locations
from clinic.patients import chart
from clinic.patients import operations as patient_operations
from clinic.patients import queries as patients
from clinic.patients.models import Patient
from clinic.staff.queries import staff_names
from clinic.tasks.models import Task, TaskKind
from clinic.tasks.today import TARGETS, Target
from clinic.web import access, context
from clinic.web.access import current_actor, current_staff


@bp.get("/staff/patients/<int:patient_id>/plan")
@access.staff(*CLINICAL)
def care_plan(patient_id: int) -> Any:
    """What is planned, what is decided when, and what became of it."""
    return _plan_page(patient_of(patient_id))


def _plan_page(patient: Patient, *, new: Any = None, therapy: Any = None, problem: str = "", status: int = 200) -> Any:
    patient_operations.note_view(patient.id, part="care plan", by=current_actor())
    items = queries.plan(patient.id)
    dated = [row for row in items if row.state == PlanState.OPEN and row.due_on is not None]
    sent = intake.latest_submitted(patient.id)
    return render_template(
        "care/care_plan.html",
        patient=patient,
        open_items=[row for row in items if row.state == PlanState.OPEN],
        closed_items=[row for row in items if row.state != PlanState.OPEN],
        next_item=dated[0] if dated else None,
        done=sum(row.state == PlanState.DONE for row in items if row.kind != PlanKind.DECISION_POINT),
        of=sum(row.state != PlanState.DROPPED for row in items if row.kind != PlanKind.DECISION_POINT),
        kinds=forms.KIND_WORDS,
        therapies=history.of_record(sent.record or {}).therapies if sent is not None else (),
        has_history=sent is not None,
        new=new or forms.PlanForm(formdata=None),
        therapy=therapy or forms.TherapyForm(formdata=None),
        problem=problem,
        names=staff_names([key for row in items for key in (row.added_by, row.closed_by) if key]),
        today=clock.today(patient.tz),
        tz=tz_of(patient),
        form=new or therapy,
    ), status


@bp.post("/staff/patients/<int:patient_id>/plan/add")
@access.staff(*CLINICAL)
def add_item(patient_id: int) -> Any:
    """Put an item on the plan."""
    patient, form = patient_of(patient_id), forms.PlanForm()
    if not form.validate_on_submit():
        return _plan_page(patient, new=form, status=422)
    try:
        planning.add(
            patient.id,
            kind=form.kind.data or "",
            text=form.text.data or "",
            for_patient=bool(form.for_patient.data),
            due_on=form.due_on.data,
            staff_id=current_staff().id,
            by=current_actor(),
        )
    except Invalid as error:
        lay_fault(form, error)
        return _plan_page(patient, new=form, status=422)
    flash("On the plan.")
    return redirect(url_for(".care_plan", patient_id=patient.id))


@bp.post("/staff/plan/<int:item_id>/<state>")
@access.staff(*CLINICAL)
def end_item(item_id: int, state: str) -> Any:
    """Close an item with what came of it."""
    row = _own_item(item_id)
    if state not in (PlanState.DONE, PlanState.DROPPED):
        raise NotFound("An item is done or dropped.")
    try:
        planning.end(
            item_id, state, outcome=request.form.get("words", ""), staff_id=current_staff().id, by=current_actor()
        )
    except Invalid as error:
        return _plan_page(patients.get(row.patient_id), problem=error.message, status=422)
    except Conflict as error:
        return _plan_page(patients.get(row.patient_id), problem=error.message, status=409)
    context.flash_with_undo(
        "Done." if state == PlanState.DONE else "Dropped.", url_for(".reopen_item", item_id=item_id)
    )
    return redirect(url_for(".care_plan", patient_id=row.patient_id))


@bp.post("/staff/plan/<int:item_id>/reopen")
@access.staff(*CLINICAL)
def reopen_item(item_id: int) -> Any:
    """Undo."""
    row = _own_item(item_id)
    try:
        planning.reopen(item_id, by=current_actor())
    except Conflict as error:
        return _plan_page(patients.get(row.patient_id), problem=error.message, status=409)
    flash("It is open again.")
    return redirect(url_for(".care_plan", patient_id=row.patient_id))


def _own_item(item_id: int) -> PlanItem:
    row = queries.item(item_id)
    patient_of(row.patient_id)
    return row


@bp.post("/staff/patients/<int:patient_id>/plan/therapy")
@access.staff(*CLINICAL)
def add_therapy(patient_id: int) -> Any:
    """Record sessions of talk therapy: they become part of the history, and the assessment is made again."""
    patient, form = patient_of(patient_id), forms.TherapyForm()
    if not form.validate_on_submit():
        return _plan_page(patient, therapy=form, status=422)
    try:
        planning.record_therapy(patient.id, form.command(), staff_id=current_staff().id, by=current_actor())
    except (Invalid, Conflict) as error:
        lay_fault(form, error)
        return _plan_page(patient, therapy=form, status=422 if isinstance(error, Invalid) else 409)
    flash("Recorded in the history. The assessment is made again.")
    return redirect(url_for(".care_plan", patient_id=patient.id))


@bp.get("/staff/patients/<int:patient_id>/questions")
@access.staff(*CLINICAL)
def questions(patient_id: int) -> Any:
    """What the person asked, with the history beside it."""
    return _questions_page(patient_of(patient_id))


def _questions_page(patient: Patient, problem: str = "", kept: dict[int, str] | None = None, status: int = 200) -> Any:
    patient_operations.note_view(patient.id, part="questions", by=current_actor())
    rows = queries.questions(patient.id)
    shown = {row.id: row for row in queries.releases(patient.id)}
    sent = intake.latest_submitted(patient.id)
    return render_template(
        "care/questions.html",
        patient=patient,
        waiting=[row for row in rows if row.answered_at is None],
        answered=[row for row in rows if row.answered_at is not None],
        subjects={row.id: presenter.subject(row.about, shown.get(row.release_id or 0)) for row in rows},
        told=history.of_record(sent.record or {}) if sent is not None else None,
        names=staff_names([row.answered_by for row in rows if row.answered_by]),
        problem=problem,
        kept=kept or {},
        tz=tz_of(patient),
    ), status


@bp.post("/staff/questions/<int:question_id>/answer")
@access.staff(*CLINICAL)
def answer_question(question_id: int) -> Any:
    """Write down what the person was told."""
    row = queries.question(question_id)
    patient = patient_of(row.patient_id)
    words = request.form.get("words", "")
    try:
        operations.answer(question_id, words=words, staff_id=current_staff().id, by=current_actor())
    except (Invalid, Conflict) as error:
        return _questions_page(patient, error.message, {question_id: words}, 422 if isinstance(error, Invalid) else 409)
    flash("Written down. The task is closed.")
    return redirect(url_for(".questions", patient_id=patient.id))


def _section(patient_id: int) -> Markup | None:
    items = queries.plan(patient_id)
    shown = queries.last_release(patient_id)
    asked = [row for row in queries.questions(patient_id, limit=20) if row.answered_at is None]
    present = eligibility.present_assessment(patient_id)
    if not items and shown is None and not asked and present is None:
        return None
    return context.rendered(
        "care/_section.html",
        patient_id=patient_id,
        open_items=[row for row in items if row.state == PlanState.OPEN],
        done=sum(row.state == PlanState.DONE for row in items),
        shown=shown,
        is_old=shown is not None and present is not None and shown.assessment_id != present.id,
        asked=asked,
        kinds=forms.KIND_WORDS,
        today=clock.today(locations.clinic_tz()),
        tz=locations.clinic_tz(),
    )


def _to_questions(task: Task) -> Target | None:
    if task.patient_id is None:
        return None
    text = "Wants to talk about a treatment." if task.subject.get("discuss") else "Asks about the summary."
    return Target(url_for("care.questions", patient_id=task.patient_id), "Read", text)


def _to_plan(task: Task) -> Target | None:
    if task.patient_id is None:
        return None
    return Target(
        url_for("care.care_plan", patient_id=task.patient_id), "Open the plan", "A date of the care plan has come."
    )


chart.add_section(25, _section, CLINICAL)
TARGETS[TaskKind.PATIENT_QUESTION] = _to_questions
TARGETS[TaskKind.PLAN_STEP] = _to_plan
