"""The prescriber's worklist and the review page; the drug names that the intake offers."""

from typing import Any

from flask import Blueprint, flash, jsonify, redirect, render_template, request, url_for
from markupsafe import Markup

from clinic import audit, clock
from clinic.db import db
from clinic.eligibility import operations, presenter, queries
from clinic.eligibility.engine import drugs
from clinic.eligibility.forms import PATHWAY_WORDS, DecisionForm
from clinic.eligibility.models import Verdict
from clinic.errors import Conflict, Invalid
from clinic.patients import chart
from clinic.patients import queries as patients
from clinic.staff.models import Role
from clinic.staff.queries import staff_names
from clinic.tasks.models import Task, TaskKind
from clinic.tasks.today import TARGETS, Target
from clinic.web import access, context
from clinic.web.access import current_actor, current_staff

CLINICAL = (Role.PRESCRIBER, Role.NURSE, Role.THERAPIST)
PAGE = 50

bp = Blueprint("eligibility", __name__, template_folder="templates")
context.NAV.append(("Eligibility", "eligibility.worklist", frozenset(map(str, CLINICAL))))


@bp.get("/staff/eligibility")
@access.staff(*CLINICAL)
def worklist() -> Any:
    """Who waits for a decision."""
    rows = queries.worklist(
        location_ids=current_staff().location_ids, after_id=request.args.get("after", type=int), limit=PAGE + 1
    )
    more = len(rows) > PAGE
    return render_template(
        "eligibility/worklist.html",
        rows=rows[:PAGE],
        next_url=url_for(".worklist", after=rows[PAGE - 1].assessment_id) if more else "",
        states=presenter.PATHWAY_STATES,
        criteria=presenter.CRITERION_STATES,
        now=clock.now(),
    )


@bp.get("/staff/eligibility/of/<int:patient_id>")
@access.staff(*CLINICAL)
def of_patient(patient_id: int) -> Any:
    """The review of a person's present assessment."""
    row = queries.present_assessment(patient_id)
    if row is None:
        flash("This history is being read. Look again in a moment.", "due")
        return redirect(url_for("patients.record", patient_id=patient_id))
    return redirect(url_for(".review", assessment_id=row.id))


@bp.route("/staff/eligibility/<int:assessment_id>", methods=["GET", "POST"])
@access.staff(*CLINICAL)
def review(assessment_id: int) -> Any:
    """One history: verdict, the smallest change, the evidence, the decision."""
    form = DecisionForm()
    if request.method == "POST":
        if not current_staff().has(Role.PRESCRIBER):
            return _page(assessment_id, form, "Only a prescriber decides."), 403
        if form.validate_on_submit():
            try:
                return _decide(assessment_id, form)
            except (Invalid, Conflict) as error:
                target = form.override if "override" in error.details.get("fields", ()) else form.reason
                target.errors = [*target.errors, _sentence(error.message)]
        return _page(assessment_id, form), 422
    return _page(assessment_id, form)


def _decide(assessment_id: int, form: DecisionForm) -> Any:
    row, actor = queries.assessment(assessment_id), current_actor()
    patients.get_for(current_staff(), row.patient_id)
    command = operations.Decide(
        patient_id=row.patient_id,
        pathway=form.pathway.data,
        decision=form.decision.data,
        reason=form.reason.data or "",
        override=form.override.data,
        assessment_id=assessment_id,
    )
    operations.decide(command, by=actor, **operations.actor_ids(actor))
    flash(f"Decision on {PATHWAY_WORDS[form.pathway.data]} signed.", "good")
    return redirect(url_for(".review", assessment_id=assessment_id))


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _page(assessment_id: int, form: DecisionForm, problem: str = "") -> str:
    row = queries.assessment(assessment_id)
    patient = patients.get_for(current_staff(), row.patient_id)
    decisions = queries.decisions(patient.id)
    if request.method == "GET":
        audit.record(row, "viewed", by=current_actor())
        db.session.commit()
        form.pathway.data = form.pathway.data or _first_open(row.result, {one.pathway for one in decisions})
    page = presenter.review(row.result, row.record, initials=_dotted(patient.initials), today=clock.today(patient.tz))
    return render_template(
        "eligibility/review.html",
        assessment=row,
        patient=patient,
        result=row.result,
        page=page,
        pathways=presenter.pathway_rows(row.result),
        asks=presenter.asks(row.result),
        criteria=presenter.CRITERION_STATES,
        form=form,
        problem=problem,
        decisions=decisions,
        names=staff_names([one.decided_by for one in decisions if one.decided_by]),
        pathway_words=PATHWAY_WORDS,
        older=[one for one in queries.assessments(patient.id) if one.id != row.id],
        eligible=str(Verdict.LIKELY_ELIGIBLE),
    )


def _first_open(result: Any, decided: set[str]) -> str:
    """The treatment that the form starts on: the first not decided yet, likely eligible ones first."""
    order = sorted(
        PATHWAY_WORDS, key=lambda key: (key in decided, result["pathways"][key]["verdict"] != Verdict.LIKELY_ELIGIBLE)
    )
    return str(order[0])


def _dotted(initials: str) -> str:
    return "".join(f"{letter}." for letter in initials)


@bp.get("/intake/drugs")
@access.public
def drug_names() -> Any:
    """Medicines whose brand or generic name begins as typed: `[{value, label}]`. Says nothing about a person."""
    typed = request.args.get("q", "").strip()[:40]
    if len(typed) < 2:
        return jsonify([])
    found = drugs.search(typed, limit=8)
    return jsonify([{"value": name, "label": _drug_label(name, brands)} for name, brands, _ in found])


def _drug_label(name: str, brands: tuple[str, ...]) -> str:
    return f"{name} ({', '.join(brands[:3])})" if brands else name


# -- parts on pages of lower features -------------------------------------------------------------------------------


def _section(patient_id: int) -> Markup | None:
    """The record's summary: the present verdicts and what was decided on them."""
    row = queries.present_assessment(patient_id)
    if row is None:
        return None
    return context.rendered(
        "eligibility/_section.html",
        assessment=row,
        states=presenter.PATHWAY_STATES,
        criteria=presenter.CRITERION_STATES,
        pathway_words=PATHWAY_WORDS,
        decided={one.pathway: one for one in queries.decisions(patient_id) if one.superseded_at is None},
        tz=patients.get(patient_id).tz,
    )


def _target(task: Task) -> Target | None:
    if task.patient_id is None:
        return None
    return Target(url_for("eligibility.of_patient", patient_id=task.patient_id), "Review")


def _to_ask(task: Task) -> Target | None:
    if task.patient_id is None:
        return None
    return Target(
        url_for("patients.record", patient_id=task.patient_id), "Open", "A prescriber asked for more before deciding."
    )


chart.add_section(30, _section, CLINICAL)
TARGETS[TaskKind.REVIEW_INTAKE] = _target
TARGETS[TaskKind.CLINICAL_REVIEW] = _target
TARGETS[TaskKind.ASK_PATIENT] = _to_ask
