"""Ask the patient: staff choose which missing facts, the patient answers them on a short form by link."""

import secrets
from collections.abc import Mapping
from typing import Any

from flask import Blueprint, flash, jsonify, redirect, render_template, request, url_for
from flask_babel import gettext as _
from markupsafe import Markup

from clinic import clock
from clinic.eligibility import ask_forms, asking, queries
from clinic.eligibility.answers import field_of
from clinic.eligibility.ask_forms import AnswersForm, AskForm, Step
from clinic.eligibility.models import AskState, Assessment, PatientAsk
from clinic.eligibility.panels import add_panel
from clinic.eligibility.views import CLINICAL
from clinic.errors import AlreadyOver, Conflict, Invalid, NotFound
from clinic.intake import forms as intake_forms
from clinic.intake import presenter as intake_presenter
from clinic.intake.operations import Saved
from clinic.locations import queries as locations
from clinic.patients import chart
from clinic.patients import operations as patient_operations
from clinic.patients import queries as patients
from clinic.patients.models import LinkPurpose
from clinic.staff.models import Role
from clinic.staff.queries import staff_names
from clinic.tasks.models import Task, TaskKind
from clinic.tasks.today import TARGETS, Target
from clinic.web import access, context
from clinic.web.access import current_actor, current_patient, current_staff
from clinic.web.errors import problem

ASKERS = tuple(role for role in CLINICAL if role != Role.THERAPIST)
HOME_ORDER = 22  # on the patient's home: below a form that is not sent
PANEL_ORDER = 10
TICKED = 12  # questions that a form holds unless more are wanted

bp = Blueprint("asks", __name__, template_folder="templates")
mine = access.patient(LinkPurpose.ASK, LinkPurpose.SIGN_IN)


# -- the patient ----------------------------------------------------------------------------------------------------


@bp.errorhandler(AlreadyOver)
def over(error: AlreadyOver) -> Any:
    """Sent, or taken back meanwhile: the person sees which."""
    ask_id = (request.view_args or {}).get("ask_id")
    if request.path.endswith("/autosave") or ask_id is None or request.path.startswith("/staff/"):
        return problem(409, error.code, error.message)
    return redirect(url_for(".done", ask_id=ask_id))


@bp.get("/questions/<int:ask_id>")
@mine
def start(ask_id: int) -> Any:
    """The first page that was not left yet."""
    ask = _own(ask_id)
    if ask.state != AskState.OPEN:
        return redirect(url_for(".done", ask_id=ask.id))
    steps = _steps(ask)
    first = next((n for n in range(1, len(steps) + 1) if not asking.leaf_of(ask, n).is_complete), len(steps))
    return redirect(url_for(".page", ask_id=ask.id, step=first))


@bp.route("/questions/<int:ask_id>/<int(min=1, max=99):step>", methods=["GET", "POST"])
@mine
def page(ask_id: int, step: int) -> Any:
    """One page of the form; the last one sends."""
    ask = _open(ask_id)
    steps = _steps(ask)
    this = _step(steps, step)
    if request.method == "GET":
        kept = asking.values_kept(ask)
        form = _form(ask, this, intake_forms.stored(kept) if kept else None)
        return _show(ask, steps, step, form, asking.leaf_of(ask, step))
    form = _form(ask, this, request.form)
    is_sound = form.validate()
    saved = _save(ask, this, step, form, is_complete=is_sound)
    if saved.clash is not None:
        stored = _form(ask, this, intake_forms.stored(saved.clash.values))
        clash = intake_presenter.differences(form, stored)
        return _show(ask, steps, step, form, saved.clash, clash=clash), 409
    if saved.level is not None:
        return redirect(url_for(".safety", ask_id=ask.id, after=step))
    if "later" in request.form:
        return redirect(url_for(".later", ask_id=ask.id))
    if not is_sound:
        return _show(ask, steps, step, form, saved.leaf), 422
    if step < len(steps):
        return redirect(url_for(".page", ask_id=ask.id, step=_after(ask, steps, step)))
    return _send(ask)


def _send(ask: PatientAsk) -> Any:
    try:
        asking.answer_ask(ask.id, by=current_actor())
    except Invalid:
        flash(_("Something in these answers cannot be kept. Please look at them once more, or call us."), "error")
        return redirect(url_for(".page", ask_id=ask.id, step=1))
    return redirect(url_for(".done", ask_id=ask.id))


@bp.post("/questions/<int:ask_id>/<int(min=1, max=99):step>/autosave")
@mine
def autosave(ask_id: int, step: int) -> Any:
    """Keep a draft of the page, whatever stands in it. Answers {saved_at, revision, safety}."""
    ask = _open(ask_id)
    this = _step(_steps(ask), step)
    saved = _save(ask, this, step, _form(ask, this, request.form), is_complete=False)
    if saved.clash is not None:
        return problem(409, "conflict", _("This page was changed in another place."), revision=saved.clash.revision)
    said: dict[str, Any] = {"saved_at": _now(ask), "revision": saved.leaf.revision}
    return jsonify(said | ({"safety": True} if saved.level else {}))


@bp.get("/questions/<int:ask_id>/safety")
@mine
def safety(ask_id: int) -> Any:
    """Help now, before anything else. Never blocks going on."""
    ask = _own(ask_id)
    after = request.args.get("after", 1, type=int)
    steps = _steps(ask)
    is_last = after >= len(steps)
    return _render(
        "eligibility/ask_safety.html",
        ask,
        promises=intake_presenter.promises(asking.help_of(ask)),
        next_url=url_for(".page", ask_id=ask.id, step=after if is_last else _after(ask, steps, after)),
        send_url=url_for(".send", ask_id=ask.id) if is_last else "",
    )


@bp.post("/questions/<int:ask_id>/send")
@mine
def send(ask_id: int) -> Any:
    """Send what was answered, from the safety card after the last page."""
    return _send(_own(ask_id))


@bp.route("/questions/<int:ask_id>/later", methods=["GET", "POST"])
@mine
def later(ask_id: int) -> Any:
    """Stop here: a fresh link to come back, on this device or another."""
    ask = _open(ask_id)
    asked = request.method == "POST"
    if asked:
        patient_operations.request_link(ask.patient_id, LinkPurpose.ASK, ask_id=ask.id, by=current_actor())
    channels = intake_presenter.masked(patients.get(ask.patient_id))
    return _render("eligibility/ask_later.html", ask, channels=channels, asked=asked)


@bp.get("/questions/<int:ask_id>/done")
@mine
def done(ask_id: int) -> Any:
    """It was sent, or it is not needed any more."""
    ask = _own(ask_id)
    if ask.state == AskState.OPEN:
        return redirect(url_for(".start", ask_id=ask.id))
    return _render("eligibility/ask_done.html", ask, is_home_open=current_patient().purpose == LinkPurpose.SIGN_IN)


def _own(ask_id: int) -> PatientAsk:
    """The form, if this patient session opens it. Raises NotFound."""
    caller, ask = current_patient(), asking.get(ask_id)
    if ask.patient_id != caller.patient_id:
        raise NotFound("no such questions")
    if caller.purpose == LinkPurpose.ASK and caller.ask_id != ask.id:
        raise NotFound("no such questions")
    return ask


def _open(ask_id: int) -> PatientAsk:
    ask = _own(ask_id)
    if ask.state != AskState.OPEN:
        raise AlreadyOver("This form was sent already.")
    return ask


def _steps(ask: PatientAsk) -> list[Step]:
    return ask_forms.steps_of(asking.questions_of(ask))


def _step(steps: list[Step], number: int) -> Step:
    if number > len(steps):
        raise NotFound("no such page")
    return steps[number - 1]


def _after(ask: PatientAsk, steps: list[Step], step: int) -> int:
    """The page that follows; the screener's second page is asked after a yes to its item 2 only."""
    kept = asking.values_kept(ask)
    for number in range(step + 1, len(steps) + 1):
        if ask_forms.applies(steps[number - 1], kept):
            return number
    return len(steps)


def _form(ask: PatientAsk, step: Step, sent: Any) -> AnswersForm:
    return ask_forms.form_of(step.parts, sent, today=clock.today(patients.get(ask.patient_id).tz))


def _save(ask: PatientAsk, step: Step, number: int, form: AnswersForm, *, is_complete: bool) -> Saved:
    return asking.save_ask_draft(
        ask.id,
        number,
        form.values(request.form),
        fields=step.fields,
        is_complete=is_complete,
        revision=_whole(request.form.get("revision", "")),
        form=intake_forms.clean(request.form.get("form", ""))[:32],
        by=current_actor(),
    )


def _whole(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def _now(ask: PatientAsk) -> str:
    return context.clock12(clock.now(), patients.get(ask.patient_id).tz)


def _show(ask: PatientAsk, steps: list[Step], number: int, form: AnswersForm, leaf: Any, **more: Any) -> Any:
    step = steps[number - 1]
    facts = asking.help_of(ask) if step.is_grave else None
    return _render(
        "eligibility/ask_page.html",
        ask,
        step=step,
        number=number,
        total=len(steps),
        form=form,
        leaf=leaf,
        form_id=secrets.token_hex(8),
        save_url=url_for(".autosave", ask_id=ask.id, step=number),
        back_url=url_for(".page", ask_id=ask.id, step=number - 1) if number > 1 else "",
        is_private=any(part.question.field.name in ask_forms.PRIVATE for part in step.parts),
        promises=intake_presenter.promises(facts) if facts is not None and not facts.is_open else [],
        **more,
    )


def _render(template: str, ask: PatientAsk, **values: Any) -> Any:
    return render_template(
        template, ask=ask, clinic_profile=locations.profile(), session_key=f"questions-{ask.id}", **values
    )


def home_section(patient_id: int) -> Markup | None:
    """On the patient's home: questions that wait for an answer."""
    ask = asking.open_of(patient_id)
    return None if ask is None else context.rendered("eligibility/ask_home.html", ask=ask)


chart.add_home(HOME_ORDER, home_section)


# -- staff ----------------------------------------------------------------------------------------------------------


@bp.post("/staff/eligibility/<int:assessment_id>/ask")
@access.staff(*ASKERS)
def create(assessment_id: int) -> Any:
    """Send the chosen questions. A form that is open is replaced after a look at it."""
    row = _assessment(assessment_id)
    form = _ask_form(row)
    back = redirect(url_for("eligibility.review", assessment_id=row.id, _anchor="ask-patient"))
    if not form.validate_on_submit():
        flash(" ".join(str(message) for messages in form.errors.values() for message in messages), "error")
        return back
    try:
        asking.send_ask(
            row.id,
            form.fields.data,
            form.note.data or "",
            staff_id=current_staff().id,
            by=current_actor(),
            replaces=_whole(form.replaces.data or "") or None,
        )
    except Conflict as error:
        if "ask_id" in error.details:
            return _confirm(row, form, int(error.details["ask_id"])), 409
        flash(error.message, "error")
        return back
    except Invalid as error:
        flash(error.message, "error")
        return back
    flash("Sent. The patient gets a link; if no answer comes in three days, the desk is asked to call.")
    return back


def _confirm(row: Assessment, form: AskForm, ask_id: int) -> Any:
    open_ask = asking.get(ask_id)
    return render_template(
        "eligibility/ask_replace.html",
        assessment=row,
        form=form,
        ask=open_ask,
        patient=patients.get(row.patient_id),
        asker=staff_names([open_ask.asked_by]).get(open_ask.asked_by, ""),
    )


@bp.post("/staff/asks/<int:ask_id>/withdraw")
@access.staff(*ASKERS)
def withdraw(ask_id: int) -> Any:
    """Take open questions back."""
    ask = asking.get(ask_id)
    patients.get_for(current_staff(), ask.patient_id)
    try:
        asking.withdraw_ask(ask_id, by=current_actor())
    except AlreadyOver as error:
        flash(error.message, "error")
    else:
        flash("Taken back. The link now says that the answers are not needed.")
    return redirect(url_for("eligibility.of_patient", patient_id=ask.patient_id, _anchor="ask-patient"))


@bp.route("/staff/eligibility/<int:assessment_id>/facts", methods=["GET", "POST"])
@access.staff(*ASKERS)
def facts(assessment_id: int) -> Any:
    """Enter a missing fact, or correct one, from the interview; the record is assessed anew."""
    row = _assessment(assessment_id)
    path = request.args.get("field", "")
    question = asking.question_for_staff(row, path)
    if question is None:
        raise NotFound("This fact cannot be entered here.")
    patient = patients.get(row.patient_id)
    parts = ask_forms.parts_of(0, question)
    form = ask_forms.form_of(parts, request.form if request.method == "POST" else None, today=clock.today(patient.tz))
    reason = intake_forms.clean(request.form.get("reason", "")).strip()
    fault = ""
    if request.method == "POST" and form.validate():
        try:
            asking.enter_fact(
                row.id, path, form.values(request.form), reason=reason, staff_id=current_staff().id, by=current_actor()
            )
        except (Conflict, Invalid) as error:
            fault = error.message
        else:
            flash("Kept. The record was assessed again.")
            return redirect(url_for("eligibility.of_patient", patient_id=patient.id))
    page = render_template(
        "eligibility/ask_fact.html",
        assessment=row,
        patient=patient,
        question=question,
        form=form,
        reason=reason,
        fault=fault,
    )
    return page, 422 if request.method == "POST" else 200


def _assessment(assessment_id: int) -> Assessment:
    row = queries.assessment(assessment_id)
    patients.get_for(current_staff(), row.patient_id)
    return row


def _ask_form(row: Assessment) -> AskForm:
    return AskForm([(one["field"], one["question"]) for one in asking.askable(row.result["ask"])])


def panel(assessment: Assessment) -> Markup | None:
    """On the review page: what is open with the patient, and what could be asked. One query."""
    if assessment.superseded_at is not None:
        return None
    last = asking.last_of(assessment.patient_id)
    sent = last if last is not None and last.state == AskState.OPEN else None
    answered = last if last is not None and last.state == AskState.ANSWERED else None
    choices = asking.askable(assessment.result["ask"])
    by_staff = asking.for_staff_only(assessment.result["ask"])
    if last is None and not choices and not by_staff:
        return None
    tz = patients.get(assessment.patient_id).tz
    return context.rendered(
        "eligibility/_ask_panel.html",
        assessment=assessment,
        sent=sent,
        answered=answered,
        said=_said(answered, tz) if answered is not None else [],
        tz=tz,
        groups=_groups(choices, assessment, is_first=sent is None),
        by_staff=by_staff,
        form=_ask_form(assessment),
    )


def _groups(
    choices: list[Mapping[str, Any]], assessment: Assessment, *, is_first: bool
) -> list[tuple[str, list[dict[str, Any]]]]:
    """The questions by medicine, then all others; so many are ticked as make a short form."""
    trials = (assessment.record or {}).get("trials") or []
    found: dict[str, list[dict[str, Any]]] = {}
    for place, one in enumerate(choices):
        field = field_of(one["field"])
        assert field is not None
        name = trials[field.trial].get("drug") or "A medicine" if field.trial is not None else "Everything else"
        question = one["question"].removeprefix(f"{name}: ")
        ticked = is_first and place < TICKED
        found.setdefault(name, []).append({**one, "question": question, "ticked": ticked})
    return list(found.items())


def _said(ask: PatientAsk, tz: str) -> list[Any]:
    """Every question with the answer as it was typed, whether it could be read or not."""
    parts = [part for step in _steps(ask) for part in step.parts]
    kept = intake_forms.stored(asking.values_kept(ask))
    return list(ask_forms.form_of(parts, kept, today=clock.today(tz)).rows())


def _topic(task: Task, earlier: Any, text: str, verb: str) -> Target | None:
    if "ask_id" not in task.subject or task.patient_id is None:
        found: Target | None = earlier(task) if earlier is not None else None
        return found
    if task.kind == TaskKind.ASK_PATIENT:
        return Target(url_for("patients.record", patient_id=task.patient_id), verb, text)
    return Target(url_for("eligibility.of_patient", patient_id=task.patient_id), verb, text)


def _say(kind: TaskKind, text: str, verb: str) -> None:
    earlier = TARGETS.get(kind)
    TARGETS[kind] = lambda task: _topic(task, earlier, text, verb)


_say(TaskKind.ASK_PATIENT, "Questions were sent by link and wait for an answer. Call when the time is over.", "Open")
_say(TaskKind.CLINICAL_REVIEW, "Answers came back from the patient.", "Review")
add_panel(PANEL_ORDER, panel, place="main", roles=ASKERS)
