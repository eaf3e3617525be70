"""The prescriber's worklist and the review page; the drug names that the intake offers."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flask import Blueprint, flash, jsonify, redirect, render_template, request, url_for
from markupsafe import Markup
from werkzeug.datastructures import MultiDict

from clinic import audit, clock
from clinic.db import db
from clinic.eligibility import (
    difference,
    lines,
    naming,
    operations,
    opinions,
    panels,
    presenter,
    queries,
    rule_versions,
    sources,
    summary,
    verification,
    words,
)
from clinic.eligibility.engine import drugs
from clinic.eligibility.forms import (
    ANY,
    ANYONE,
    NO_PAYER,
    OPINION_WORDS,
    PATHWAY_WORDS,
    AskOpinionForm,
    DecisionForm,
    DiagnosisForm,
    FilterForm,
    OpinionForm,
)
from clinic.eligibility.models import Verdict
from clinic.errors import Conflict, Invalid, NotFound
from clinic.intake import amending
from clinic.intake import drugs as intake_drugs
from clinic.intake.models import AmendmentSource
from clinic.locations import queries as locations
from clinic.patients import chart
from clinic.patients import queries as patients
from clinic.staff.models import Role
from clinic.tasks.models import Task, TaskKind
from clinic.tasks.today import TARGETS, Target
from clinic.web import access, context
from clinic.web.access import current_actor, current_staff
from clinic.web.arguments import row_id

CLINICAL = (Role.PRESCRIBER, Role.NURSE, Role.THERAPIST)
PAGE = 50
LONG = 80  # characters of a list that still stands beside its name

bp = Blueprint("eligibility", __name__, template_folder="templates")
intake_drugs.use(naming.named)
context.NAV.append(("Eligibility", "eligibility.worklist", frozenset(map(str, CLINICAL))))


@bp.get("/staff/eligibility")
@access.staff(*CLINICAL)
def worklist() -> Any:
    """Who waits for a decision, by the filters in the address."""
    caller, now = current_staff(), clock.now()
    form = _filters(request.args)
    only = _only(form, now)
    after = request.args.get("after", type=row_id)
    rows = queries.worklist(location_ids=caller.location_ids, only=only, after_id=after, limit=PAGE + 1)
    count, urgent = queries.waiting_count(location_ids=caller.location_ids, only=only)
    chosen: dict[str, Any] = {key: value for key, value in request.args.items() if key in form.data and value}
    more = len(rows) > PAGE
    return render_template(
        "eligibility/worklist.html",
        rows=rows[:PAGE],
        count=count,
        urgent=urgent,
        form=form,
        is_filtered=bool(chosen),
        first_url=url_for(".worklist", **chosen) if after else "",
        next_url=url_for(".worklist", **chosen, after=rows[PAGE - 1].assessment_id) if more else "",
        states=presenter.PATHWAY_STATES,
        criteria=presenter.CRITERION_STATES,
        policy_name=presenter.policy_name,
        sites=locations.names(),
        changed_rules=rule_versions.changed(),
        advice=rule_versions.advice,
        now=now,
    )


def _filters(args: Any) -> FilterForm:
    form = FilterForm(args)
    allowed = current_staff().location_ids
    form.verdict.choices = [(ANY, "any"), *presenter.FILTER_VERDICTS.items()]
    form.site.choices = [(ANY, "any of yours")] + [
        (str(key), name) for key, name in locations.names().items() if key in allowed
    ]
    form.payer.choices = [(ANY, "any"), *presenter.payer_choices(), (NO_PAYER, "without a policy here")]
    form.validate()
    for field in form:
        if field.errors:
            field.data = field.default or ("" if field.type != "BooleanField" else False)
    return form


def _only(form: FilterForm, now: datetime) -> queries.Waiting:
    key, _, word = (form.verdict.data or "").partition(":")
    number = (form.q.data or "").strip().upper()
    payer = form.payer.data or ""
    return queries.Waiting(
        trd=word if key == "trd" else "",
        pathway=key if key in PATHWAY_WORDS else "",
        pathway_is=word if key in PATHWAY_WORDS else "",
        location_id=int(form.site.data) if form.site.data else None,
        waiting_since=now - timedelta(days=int(form.since.data)) if form.since.data else None,
        is_urgent=bool(form.urgent.data),
        policies=(() if payer == NO_PAYER else presenter.policies_of(payer)) if payer else None,
        record_number=f"D-{number}" if number.isdigit() else number,
    )


@bp.get("/staff/eligibility/of/<int:patient_id>")
@access.staff(*CLINICAL)
def of_patient(patient_id: int) -> Any:
    """The review of a person's present assessment."""
    row = queries.present_assessment(patient_id)
    if row is None:
        wrong = rule_versions.changed()
        if wrong:
            flash(rule_versions.advice(wrong), "error")
        else:
            flash("This history is being read. Look again in a moment.", "due")
        return redirect(url_for("patients.record", patient_id=patient_id))
    return redirect(url_for(".review", assessment_id=row.id))


@dataclass
class Forms:
    """The forms of the review page; a refused one keeps what was typed."""

    decision: DecisionForm
    ask: AskOpinionForm
    answer: OpinionForm
    diagnosis: DiagnosisForm

    @classmethod
    def fresh(cls, **given: Any) -> "Forms":
        """All forms, empty but for the one that was sent."""
        nothing = MultiDict[str, str]()
        return cls(
            given.get("decision") or DecisionForm(nothing),
            given.get("ask") or AskOpinionForm({}, nothing),
            given.get("answer") or OpinionForm(nothing),
            given.get("diagnosis") or DiagnosisForm(nothing),
        )


@bp.get("/staff/eligibility/<int:assessment_id>")
@access.staff(*CLINICAL)
def review(assessment_id: int) -> Any:
    """One history: verdict, the smallest change, the evidence, the decision."""
    return _page(assessment_id, Forms.fresh())


@bp.post("/staff/eligibility/<int:assessment_id>")
@access.staff(*CLINICAL)
def decide(assessment_id: int) -> Any:
    """A prescriber signs a decision."""
    form = DecisionForm()
    forms = Forms.fresh(decision=form)
    if not current_staff().has(Role.PRESCRIBER):
        return _page(assessment_id, forms, "Only a prescriber decides."), 403
    row = queries.assessment(assessment_id)
    patients.get_for(current_staff(), row.patient_id)
    if not form.validate_on_submit():
        return _page(assessment_id, forms), 422
    if form.override.data and (again := access.confirm_again()) is not None:
        return again
    actor = current_actor()
    command = operations.Decide(
        patient_id=row.patient_id,
        pathway=form.pathway.data,
        decision=form.decision.data,
        reason=form.reason.data or "",
        override=form.override.data,
        evaluation=form.evaluation.data or "",
        assessment_id=assessment_id,
    )
    try:
        operations.decide(command, by=actor, **operations.actor_ids(actor))
    except Invalid as error:
        fields = error.details.get("fields", ())
        target = next((form[name] for name in ("override", "evaluation") if name in fields), form.reason)
        target.errors = [*target.errors, error.sentence]
        return _page(assessment_id, forms), 422
    except Conflict as error:
        return _overtaken(assessment_id, forms, error)
    flash(f"Decision on {PATHWAY_WORDS[form.pathway.data]} signed.", "good")
    return redirect(url_for(".review", assessment_id=assessment_id))


def _overtaken(assessment_id: int, forms: Forms, error: Conflict) -> Any:
    """The page that counts now, with what was typed: a newer assessment came while someone wrote."""
    row = queries.assessment(assessment_id)
    present = queries.present_assessment(row.patient_id)
    if present is None or present.id == assessment_id:
        return _page(assessment_id, forms, f"{error.sentence} Nothing was signed. What you typed is kept."), 409
    if forms.decision.evaluation.data == summary.evaluation(row):
        forms.decision.evaluation.data = None  # untouched: the new one is drawn up
    problem = (
        "A newer assessment came while you wrote. Nothing was signed. What you typed is kept below: "
        "read what changed, then sign."
    )
    return _page(present.id, forms, problem, against=assessment_id), 409


@bp.post("/staff/eligibility/<int:assessment_id>/again")
@access.staff(Role.PRESCRIBER)
def reassess(assessment_id: int) -> Any:
    """The same record by the rules and policies of today."""
    row = queries.assessment(assessment_id)
    patients.get_for(current_staff(), row.patient_id)
    if row.superseded_at is not None:
        flash("A newer assessment was there already.", "due")
        return redirect(url_for(".of_patient", patient_id=row.patient_id))
    made = operations.reassess(row.patient_id, reason="Rules or policies changed.", by=current_actor())
    flash("Assessed again. The older assessment stays readable.", "good")
    return redirect(url_for(".review", assessment_id=made))


@bp.post("/staff/eligibility/<int:assessment_id>/diagnosis")
@access.staff(Role.PRESCRIBER)
def change_diagnosis(assessment_id: int) -> Any:
    """A clinician records another diagnosis; the verdict is made anew, the old one stays readable."""
    row = queries.assessment(assessment_id)
    patients.get_for(current_staff(), row.patient_id)
    form = DiagnosisForm()
    forms = Forms.fresh(diagnosis=form)
    present = (row.record.get("episode") or {}).get("diagnosis")
    if form.validate_on_submit() and form.diagnosis.data == present:
        form.diagnosis.errors = ["This is the diagnosis on record already."]
    if form.errors or form.diagnosis.errors:
        return _page(assessment_id, forms), 422
    if row.superseded_at is not None:
        return _overtaken(assessment_id, forms, Conflict("a newer assessment is there"))
    actor = current_actor()
    try:
        intake_id = amending.amend(
            row.patient_id,
            [amending.Change("episode.diagnosis", form.diagnosis.data, AmendmentSource.CLINICIAN)],
            reason=form.diagnosis_reason.data or "",
            by=actor,
            staff_id=current_staff().id,
            check=operations.checked_record,
        )
    except Invalid as error:
        form.diagnosis.errors = [error.sentence]
        return _page(assessment_id, forms), 422
    made = operations.assess_intake(intake_id, by=actor)
    flash("Diagnosis recorded, and the history assessed again. The older assessment stays readable.", "good")
    return redirect(url_for(".review", assessment_id=made))


@bp.post("/staff/eligibility/<int:assessment_id>/opinions")
@access.staff(Role.PRESCRIBER)
def ask_opinion(assessment_id: int) -> Any:
    """A prescriber asks another one."""
    row = queries.assessment(assessment_id)
    patients.get_for(current_staff(), row.patient_id)
    form = AskOpinionForm(queries.prescribers())
    forms = Forms.fresh(ask=form)
    if not form.validate_on_submit():
        return _page(assessment_id, forms), 422
    command = opinions.AskOpinion(
        assessment_id=assessment_id,
        pathway=form.pathway.data,
        question=form.question.data or "",
        asked_of=int(form.asked_of.data) if form.asked_of.data else None,
    )
    try:
        opinions.ask(command, staff_id=current_staff().id, by=current_actor())
    except Invalid as error:
        name = next(iter(error.details["fields"]))
        form[name].errors = [error.message]
        return _page(assessment_id, forms), 422
    except Conflict as error:
        return _page(assessment_id, forms, f"{error.message} Nothing was sent. What you typed is kept."), 409
    flash("Second opinion asked for.", "good")
    return redirect(url_for(".review", assessment_id=assessment_id, _anchor="opinions"))


@bp.post("/staff/eligibility/opinions/<int:opinion_id>")
@access.staff(Role.PRESCRIBER)
def give_opinion(opinion_id: int) -> Any:
    """Another prescriber answers."""
    row = opinions.get(opinion_id)
    patients.get_for(current_staff(), row.patient_id)
    form = OpinionForm()
    forms = Forms.fresh(answer=form)
    if not form.validate_on_submit():
        return _page(row.assessment_id, forms), 422
    try:
        opinions.give(
            opinion_id,
            opinion=form.opinion.data,
            reason=form.opinion_reason.data or "",
            staff_id=current_staff().id,
            by=current_actor(),
        )
    except Conflict as error:
        return _page(row.assessment_id, forms, f"{error.message} What you typed is kept."), 409
    flash("Your opinion is on record.", "good")
    return redirect(url_for(".review", assessment_id=row.assessment_id, _anchor="opinions"))


@bp.get("/staff/eligibility/rules/<kind>/<key>/<version>")
@access.staff(*CLINICAL, Role.MANAGER)
def rule(kind: str, key: str, version: str) -> Any:
    """An entry of the catalogue as assessments used it."""
    row = rule_versions.used(kind, key, version)
    is_on_disk = rule_versions.is_on_disk(row)
    return render_template("eligibility/rule.html", row=row, is_on_disk=is_on_disk, is_long=_is_long, words=words)


def _is_long(value: Any) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and len(str(value)) > LONG)


def _page(assessment_id: int, forms: Forms, problem: str = "", *, against: int | None = None) -> str:
    """The review page, in two round trips for the person and one for the policies. Reading it is one audit event."""
    caller = current_staff()
    if against is None:
        against = request.args.get("since", type=row_id)
    found = queries.chart(assessment_id, against=against)
    row, patient = found.assessment, found.patient
    if not patients.visible_to(caller, patient):
        raise NotFound("no such patient")
    today, is_present = clock.today(patient.tz), row.superseded_at is None
    can_decide = is_present and caller.has(Role.PRESCRIBER)
    form = forms.decision
    form.pathway.data = form.pathway.data or _first_open(row.result, {each.row.pathway for each in found.decisions})
    if form.evaluation.data is None:
        form.evaluation.data = summary.evaluation(row)
    if can_decide:
        forms.ask.asked_of.choices = [(ANY, ANYONE)] + [
            (str(key), name) for key, name in queries.prescribers().items() if key != caller.id
        ]
    forms.ask.pathway.data = forms.ask.pathway.data or form.pathway.data
    diagnosis = (row.record.get("episode") or {}).get("diagnosis")
    forms.diagnosis.diagnosis.data = forms.diagnosis.diagnosis.data or diagnosis or "unknown"
    standings = verification.standings(today)
    text = render_template(
        "eligibility/review.html",
        assessment=row,
        patient=patient,
        result=row.result,
        record=row.record,
        page=presenter.review(
            row.result,
            row.record,
            initials=_dotted(patient.initials),
            today=today,
            is_current=presenter.is_current(row.rules),
            payer_policies=row.payer_policies,
        ),
        head=presenter.head_facts(row.record, today, patient.birth_date),
        pathways=presenter.pathway_rows(row.result),
        asks=presenter.asks(row.result),
        steps=presenter.steps(row.result),
        turns=presenter.turns(row.result),
        clinical=lines.clinical(row.result),
        payers=lines.payers(row.result, row.payer_policies),
        unverified=presenter.unverified(row, standings),
        changed=presenter.changed_since(row, standings) if is_present else [],
        options=lines.options(row.result),
        causes=lines.other_causes(row.result, row.record),
        scores=lines.scores(row.record, found.scores, row.result.get("as_of")),
        staging=lines.staging(row.result),
        medicines=lines.medicines(row.result, row.record),
        diagnosis=words.DIAGNOSES.get(diagnosis or "unknown"),
        decisions=found.decisions,
        opinions=found.opinions,
        others=found.others,
        newest=next((each for each in found.others if each.superseded_at is None), None),
        before=found.before,
        difference=_difference(found),
        forms=forms,
        problem=problem,
        is_refused=any(field.errors for form in vars(forms).values() for field in form),
        can_decide=can_decide,
        pathway_words=PATHWAY_WORDS,
        opinion_words=OPINION_WORDS,
        criteria=presenter.CRITERION_STATES,
        states=presenter.PATHWAY_STATES,
        words=words,
        panels=panels.panels_for(row, caller.roles),
        rules=[tuple(each) for each in row.rules],
        cite=sources.cite,
        rule_pages={key: url_for(".rule", kind=kind, key=key, version=version) for kind, key, version in row.rules},
        now=clock.now(),
    )
    if request.method == "GET":
        audit.record(row, "viewed", by=current_actor())
        db.session.commit()
    return text


def _difference(found: queries.Chart) -> difference.Difference | None:
    """What changed between the assessment on the page and the one that it is compared with, the older one first."""
    other, row = found.before, found.assessment
    if other is None or other.result is None:
        return None
    pair = ((other.record, other.result), (row.record, row.result))
    return difference.between(*(pair if other.id < row.id else pair[::-1]))


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


def _opinion_target(task: Task) -> Target | None:
    if task.patient_id is None:
        return None
    url = url_for("eligibility.of_patient", patient_id=task.patient_id)
    return Target(url, "Answer", "A prescriber asked for a second opinion.")


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
TARGETS[TaskKind.SECOND_OPINION] = _opinion_target
