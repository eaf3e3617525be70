"""Staff: prepare and release a summary, the care plan, questions, referrals, notes on treatments, and who has no next step."""

from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from flask import flash, redirect, render_template, request, url_for
from markupsafe import Markup

from clinic import clock
from clinic.care import (
    drafting,
    forms,
    history,
    noting,
    operations,
    options,
    planning,
    presenter,
    queries,
    rates,
    referring,
)
from clinic.care.blueprint import bp
from clinic.care.models import PlanItem, PlanKind, PlanState, Referral, ReferralDirection, ReleaseDraft
from clinic.care.speaking import speaking
from clinic.eligibility import queries as eligibility
from clinic.eligibility.letters import ReferrerLetter, referrer_letter
from clinic.eligibility.models import Assessment
from clinic.eligibility.packets import OUTSIDE
from clinic.eligibility.panels import add_panel
from clinic.errors import Conflict, Invalid, NotFound
from clinic.intake import queries as intake
from clinic.locations import queries as locations
from clinic.patients import chart
from clinic.patients import operations as patient_operations
from clinic.patients import queries as patients
from clinic.patients.models import Patient
from clinic.staff.models import Role
from clinic.staff.queries import staff_names
from clinic.tasks.models import Task, TaskKind
from clinic.tasks.today import TARGETS, Target
from clinic.web import access, context
from clinic.web.access import current_actor, current_staff
from clinic.web.pdf import attachment

CLINICAL = (Role.PRESCRIBER, Role.NURSE, Role.THERAPIST)
DESK = (*CLINICAL, Role.FRONT_DESK)
READERS = (Role.MANAGER, Role.PRESCRIBER, Role.NURSE)
PAGE = 50
LANGUAGE_WORDS = {"en": "English", "es": "Spanish"}

context.NAV.append(("Reports", "care.next_steps", frozenset(map(str, READERS))))


def _patient(patient_id: int) -> Patient:
    return patients.get_for(current_staff(), patient_id)


def _tz(patient: Patient) -> str:
    zone = locations.zones().get(patient.preferred_location_id or 0)
    return zone or locations.clinic_tz()


# -- the summary --------------------------------------------------------------------------------------------------------


@bp.post("/staff/patients/<int:patient_id>/summary/start")
@access.staff(Role.PRESCRIBER)
def start_summary(patient_id: int) -> Any:
    """Begin a draft from the present assessment, or go on with the one that is there."""
    patient = _patient(patient_id)
    row = eligibility.present_assessment(patient.id)
    if row is None:
        flash("There is no assessment yet: the history comes first.", "error")
        return redirect(url_for("patients.record", patient_id=patient.id))
    draft = queries.draft(patient.id)
    if draft is None or draft.assessment_id != row.id or "fresh" in request.form:
        language = request.form.get("language") or patient.language
        with speaking(language if language in operations.LANGUAGES else patient.language):
            content = drafting.build(row.result, row.record)
        operations.start_draft(
            patient.id, row.id, content, language=language, staff_id=current_staff().id, by=current_actor()
        )
    return redirect(url_for(".edit_summary", patient_id=patient.id))


@bp.route("/staff/patients/<int:patient_id>/summary", methods=["GET", "POST"])
@access.staff(Role.PRESCRIBER)
def edit_summary(patient_id: int) -> Any:
    """Change any line of the draft, tick options, and give the next step its date."""
    patient = _patient(patient_id)
    draft = _draft(patient)
    if request.method == "GET":
        patient_operations.note_view(patient.id, part="summary draft", by=current_actor())
        return _edit_page(patient, draft, draft.content, draft.next_step or "", draft.next_step_on, {})
    content = forms.edited(
        draft.content, request.form, ticked=[key for key in options.ids() if key in request.form.getlist("options")]
    )
    step, step_on = request.form.get("next_step", ""), forms.day(request.form.get("next_step_on"))
    try:
        operations.save_draft(
            patient.id,
            content,
            next_step=step,
            next_step_on=step_on,
            revision=request.form.get("revision", 0, type=int),
            staff_id=current_staff().id,
            by=current_actor(),
        )
    except (Conflict, Invalid) as error:
        faults = dict.fromkeys(error.details.get("fields", ()), error.message) or {"": error.message}
        status = 409 if isinstance(error, Conflict) else 422
        return _edit_page(patient, draft, content, step, step_on, faults), status
    return redirect(url_for(".preview_summary", patient_id=patient.id))


def _draft(patient: Patient) -> ReleaseDraft:
    draft = queries.draft(patient.id)
    if draft is None:
        raise NotFound("No summary is being prepared for this person.")
    return draft


def _edit_page(
    patient: Patient, draft: ReleaseDraft, content: Any, step: str, step_on: Any, faults: dict[str, str]
) -> str:
    present = eligibility.present_assessment(patient.id)
    found = operations.forbidden_in(operations.as_shown(content), step)
    return render_template(
        "care/edit_summary.html",
        patient=patient,
        draft=draft,
        content=content,
        next_step=step,
        next_step_on=step_on,
        faults={
            **{key: f"“{one.word}” is {one.why}. A patient does not see it." for key, one in found.items()},
            **faults,
        },
        choices=options.catalogue(),
        states=drafting.state_words(),
        language=LANGUAGE_WORDS[draft.language],
        is_old=present is None or present.id != draft.assessment_id,
        shown=queries.present_release(patient.id),
        earlier=[row for row in queries.releases(patient.id) if row.withdrawn_at is not None],
        today=clock.today(patient.tz),
        tz=_tz(patient),
        names=staff_names([draft.edited_by]),
    )


@bp.get("/staff/patients/<int:patient_id>/summary/preview")
@access.staff(Role.PRESCRIBER)
def preview_summary(patient_id: int) -> Any:
    """The draft as the patient would see it, in the patient's language."""
    patient = _patient(patient_id)
    return _preview(patient, _draft(patient), {})


def _preview(patient: Patient, draft: ReleaseDraft, faults: dict[str, str], status: int = 200) -> Any:
    draft_shown = _AsReleased(draft)
    found = operations.forbidden_in(draft_shown.content, draft.next_step)
    words = {key: f"“{one.word}” is {one.why}." for key, one in found.items()}
    with speaking(draft.language):
        page = render_template(
            "care/preview_summary.html",
            **presenter.summary_values(draft_shown, patient),
            draft=draft,
            faults={**faults, **words},
            labels=_labels(draft_shown.content),
            may_release=not found and draft.next_step_on is not None and bool((draft.next_step or "").strip()),
            has_channel=operations.is_reachable(patient),
            lang=draft.language,
        )
    return page, status


class _AsReleased:
    """A draft in the shape of a release."""

    def __init__(self, draft: ReleaseDraft) -> None:
        self.content = operations.as_shown(draft.content)
        self.next_step, self.next_step_on = draft.next_step or "", draft.next_step_on
        self.released_at = None
        self.language = draft.language


def _labels(content: Any) -> dict[str, str]:
    """How a line is called in a refusal."""
    named = {"opening": "The first words", "note": "A word of your own", "next_step": "The next step"}
    for line in content["lines"]:
        named[line["key"]] = named[f"{line['key']} title"] = f"{line['key'].capitalize()}, {line['title'][:60]}"
    return {
        **named,
        **{line["key"]: f"{line['key'].capitalize()}" for line in content["missing"]},
        "next_step_on": "The date",
    }


@bp.post("/staff/patients/<int:patient_id>/summary/release")
@access.staff(Role.PRESCRIBER)
def release_summary(patient_id: int) -> Any:
    """Show it to the patient, and write to them that something is there."""
    patient = _patient(patient_id)
    try:
        operations.release(
            patient.id,
            revision=request.form.get("revision", 0, type=int),
            staff_id=current_staff().id,
            by=current_actor(),
        )
    except (Invalid, Conflict) as error:
        draft = _draft(patient)
        faults = dict.fromkeys(error.details.get("fields", ()), error.message) or {"": error.message}
        return _preview(patient, draft, faults, 409 if isinstance(error, Conflict) else 422)
    told = (
        "A link is on its way to the patient."
        if operations.is_reachable(patient)
        else "Tell the patient: we have no way to write to them."
    )
    flash(f"Released. {told}")
    return redirect(url_for(".edit_summary", patient_id=patient.id))


@bp.post("/staff/patients/<int:patient_id>/summary/<int:release_id>/withdraw")
@access.staff(Role.PRESCRIBER)
def withdraw_summary(patient_id: int, release_id: int) -> Any:
    """Take the summary back, with a reason."""
    patient = _patient(patient_id)
    if release_id not in {row.id for row in queries.releases(patient.id)}:
        raise NotFound("no such summary")
    try:
        operations.withdraw(
            release_id,
            reason=request.form.get("words", ""),
            staff_id=current_staff().id,
            by=current_actor(),
        )
    except (Invalid, Conflict) as error:
        flash(error.message, "error")
    else:
        flash("Taken back. The patient no longer sees it.")
    return redirect(url_for(".edit_summary", patient_id=patient.id))


def _panel(assessment: Assessment) -> Markup | None:
    if assessment.superseded_at is not None:
        return None
    return context.rendered(
        "care/_review_panel.html", assessment=assessment, shown=queries.last_release(assessment.patient_id)
    )


# -- the plan -----------------------------------------------------------------------------------------------------------


@bp.get("/staff/patients/<int:patient_id>/plan")
@access.staff(*CLINICAL)
def care_plan(patient_id: int) -> Any:
    """What is planned, what is decided when, and what became of it."""
    return _plan_page(_patient(patient_id))


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
        tz=_tz(patient),
        form=new or therapy,
    ), status


@bp.post("/staff/patients/<int:patient_id>/plan/add")
@access.staff(*CLINICAL)
def add_item(patient_id: int) -> Any:
    """Put an item on the plan."""
    patient, form = _patient(patient_id), forms.PlanForm()
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
        _lay(form, error)
        return _plan_page(patient, new=form, status=422)
    flash("On the plan.")
    return redirect(url_for(".care_plan", patient_id=patient.id))


def _lay(form: Any, error: Invalid | Conflict) -> None:
    """The operation's refusal beside the fields that it names."""
    named = [name for name in error.details.get("fields", ()) if name in form]
    for name in named:
        form[name].errors = [*form[name].errors, error.message]
    if not named:
        form.form_errors.append(error.message)


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
    _patient(row.patient_id)
    return row


@bp.post("/staff/patients/<int:patient_id>/plan/therapy")
@access.staff(*CLINICAL)
def add_therapy(patient_id: int) -> Any:
    """Record sessions of talk therapy: they become part of the history, and the assessment is made again."""
    patient, form = _patient(patient_id), forms.TherapyForm()
    if not form.validate_on_submit():
        return _plan_page(patient, therapy=form, status=422)
    try:
        planning.record_therapy(patient.id, form.command(), staff_id=current_staff().id, by=current_actor())
    except (Invalid, Conflict) as error:
        _lay(form, error)
        return _plan_page(patient, therapy=form, status=422 if isinstance(error, Invalid) else 409)
    flash("Recorded in the history. The assessment is made again.")
    return redirect(url_for(".care_plan", patient_id=patient.id))


# -- questions ----------------------------------------------------------------------------------------------------------


@bp.get("/staff/patients/<int:patient_id>/questions")
@access.staff(*CLINICAL)
def questions(patient_id: int) -> Any:
    """What the person asked, with the history beside it."""
    return _questions_page(_patient(patient_id))


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
        tz=_tz(patient),
    ), status


@bp.post("/staff/questions/<int:question_id>/answer")
@access.staff(*CLINICAL)
def answer_question(question_id: int) -> Any:
    """Write down what the person was told."""
    row = queries.question(question_id)
    patient = _patient(row.patient_id)
    words = request.form.get("words", "")
    try:
        operations.answer(question_id, words=words, staff_id=current_staff().id, by=current_actor())
    except (Invalid, Conflict) as error:
        return _questions_page(patient, error.message, {question_id: words}, 422 if isinstance(error, Invalid) else 409)
    flash("Written down. The task is closed.")
    return redirect(url_for(".questions", patient_id=patient.id))


# -- referrals ----------------------------------------------------------------------------------------------------------


@bp.get("/staff/patients/<int:patient_id>/referrals")
@access.staff(*DESK)
def referrals(patient_id: int) -> Any:
    """Who sent the person, whom we refer to, and where each stands."""
    return _referrals_page(_patient(patient_id))


def _referrals_page(patient: Patient, form: Any = None, problem: str = "", status: int = 200) -> Any:
    patient_operations.note_view(patient.id, part="referrals", by=current_actor())
    rows, now = queries.referrals(patient.id), clock.now()
    return render_template(
        "care/referrals.html",
        patient=patient,
        rows=rows,
        form=form,
        new=form or forms.ReferralForm(formdata=None, direction=str(ReferralDirection.OUT)),
        about=forms.about_words(),
        states=forms.STATE_WORDS,
        next_of=referring.NEXT,
        patience=referring.PATIENCE,
        days={row.id: (now - row.state_since).days for row in rows},
        age={row.id: ((row.closed_at or now) - row.added_at).days for row in rows},
        problem=problem,
        is_clinical=current_staff().has(*CLINICAL),
        tz=_tz(patient),
    ), status


@bp.post("/staff/patients/<int:patient_id>/referrals/add")
@access.staff(*DESK)
def add_referral(patient_id: int) -> Any:
    """Write a referral down."""
    patient, form = _patient(patient_id), forms.ReferralForm()
    if not form.validate_on_submit():
        return _referrals_page(patient, form, status=422)
    try:
        referring.add(patient.id, form.command(), staff_id=current_staff().id, by=current_actor())
    except Invalid as error:
        _lay(form, error)
        return _referrals_page(patient, form, status=422)
    flash("Written down.")
    return redirect(url_for(".referrals", patient_id=patient.id))


@bp.post("/staff/referrals/<int:referral_id>/move")
@access.staff(*DESK)
def move_referral(referral_id: int) -> Any:
    """One step on, closed with what came of it, or the person's consent."""
    row = queries.referral(referral_id)
    patient = _patient(row.patient_id)
    to, seen = request.form.get("to", ""), request.form.get("seen", "")
    try:
        if to in ("share", "keep"):
            referring.set_consent(referral_id, may_share=to == "share", by=current_actor())
        elif to == "closed":
            referring.close(referral_id, outcome=request.form.get("words", ""), seen=seen, by=current_actor())
        else:
            referring.move(referral_id, to, seen=seen, by=current_actor())
    except (Invalid, Conflict) as error:
        return _referrals_page(patient, problem=error.message, status=422 if isinstance(error, Invalid) else 409)
    flash("Saved.")
    return redirect(url_for(".referrals", patient_id=patient.id))


@bp.get("/staff/referrals/<int:referral_id>/letter")
@access.staff(*CLINICAL)
def letter(referral_id: int) -> Any:
    """The letter: the history as it is stored where the person agreed, and nothing about it where not."""
    row = queries.referral(referral_id)
    patient = _patient(row.patient_id)
    patient_operations.note_view(patient.id, part="letter", by=current_actor())
    sent = intake.latest_submitted(patient.id) if row.may_share else None
    return render_template(
        "care/letter.html",
        patient=patient,
        referral=row,
        about=forms.about_words().get(row.about, row.about),
        told=history.of_record(sent.record or {}) if sent is not None else None,
        today=clock.today(patient.tz),
        profile=locations.profile(),
        writer=current_staff().name,
    )


@bp.get("/staff/referrals/<int:referral_id>/letter.pdf")
@access.staff(*CLINICAL)
def letter_pdf(referral_id: int) -> Any:
    """The same letter as a PDF. Without the person's consent there is none."""
    row = queries.referral(referral_id)
    patient = _patient(row.patient_id)
    if not row.may_share:
        flash("The person has not agreed that we send anything.", "error")
        return redirect(url_for(".letter", referral_id=referral_id))
    patient_operations.note_view(patient.id, part="letter", by=current_actor())
    sent, profile = intake.latest_submitted(patient.id), locations.profile()
    told = history.of_record(sent.record or {}) if sent is not None else None
    found = ReferrerLetter(
        clinic=profile.name if profile else "",
        clinic_phone=profile.phone if profile else "",
        to_name=row.name,
        to_organization=row.organization or "",
        to_contact=row.contact or "",
        patient=patient.name,
        birth_date=patient.birth_date,
        record_number=patient.record_number,
        subject="The person whom you sent to us" if row.direction == ReferralDirection.IN else "A referral to you",
        paragraphs=tuple(_paragraphs(row, told)),
        facts=tuple(_letter_facts(told)),
        signed_by=current_staff().name,
        issued_at=clock.now(),
        tz=_tz(patient),
    )
    return attachment(referrer_letter(found), f"{patient.record_number}-letter.pdf")


def _paragraphs(row: Referral, told: history.History | None) -> list[str]:
    if row.direction == ReferralDirection.IN:
        first = "Thank you for sending this person to us."
    else:
        about = forms.about_words().get(row.about, row.about)
        first = f"We refer this person to you for: {about}. {row.reason or ''}".strip()
    told_us = "This is the treatment history as it was told to us." if told else "No history was sent to us so far."
    return [first, told_us, "The person agreed that you receive this letter."]


def _letter_facts(told: history.History | None) -> list[tuple[str, str]]:
    if told is None:
        return []
    medicines = [
        (row.name, "; ".join(part for part in (row.dose, row.weeks, row.when, row.outcome, row.stopped) if part))
        for row in told.medicines
    ]
    return [*medicines, *((one.kind, one.sessions) for one in told.therapies)]


# -- reports ------------------------------------------------------------------------------------------------------------


@bp.get("/staff/reports/next-steps")
@access.staff(*READERS)
def next_steps() -> Any:
    """People under care with nothing dated ahead."""
    now, staff = clock.now(), current_staff()
    rows = queries.without_next_step(
        now,
        clock.today(locations.clinic_tz()),
        location_ids=staff.location_ids,
        after_id=request.args.get("after", 0, type=int),
        limit=PAGE + 1,
    )
    more = len(rows) > PAGE
    return render_template(
        "care/next_steps.html",
        rows=rows[:PAGE],
        next_url=url_for(".next_steps", after=rows[PAGE - 1].patient_id) if more else "",
        is_first="after" not in request.args,
        more=more,
        now=now,
        tz=locations.clinic_tz(),
    )


@bp.get("/staff/reports/outcomes")
@access.staff(*READERS)
def outcomes() -> Any:
    """The clinic's own response and remission, with how many are missing, beside the published figures."""
    tms = next(option for option in options.catalogue(["tms"]))
    return render_template(
        "care/outcomes.html", own=rates.clinic_rates(clock.now()), published=tms.figures, few=rates.PUBLIC_FROM
    )


# -- what the clinic says of treatments ---------------------------------------------------------------------------------


@bp.get("/staff/settings/options")
@access.staff(Role.MANAGER)
def option_notes() -> Any:
    """Cost, cover and notes by treatment, and the guide's figures in the clinic's own words."""
    found = {(row.option, row.field, row.language): row for row in queries.notes()}
    return render_template(
        "care/option_notes.html",
        choices=options.catalogue(),
        fields=noting.FIELDS,
        languages=LANGUAGE_WORDS,
        found=found,
        quotes=options.quotes(),
        guide=noting.GUIDE,
    )


@bp.route("/staff/settings/options/<option>/<field>/<language>", methods=["GET", "POST"])
@access.staff(Role.MANAGER)
def option_note(option: str, field: str, language: str) -> Any:
    """One note: what patients read, where it comes from, and when it was true."""
    quotes = options.quotes()
    if language not in LANGUAGE_WORDS:
        raise NotFound("There is no such note.")
    if field not in (quotes if option == noting.GUIDE else noting.FIELDS) or option not in (
        *options.ids(),
        noting.GUIDE,
    ):
        raise NotFound("There is no such note.")
    present = {(row.option, row.field, row.language): row for row in queries.notes([option])}.get(
        (option, field, language)
    )
    form = forms.NoteForm(obj=present)
    status = 200
    if form.is_submitted():
        status = 422
        if form.validate():
            try:
                noting.write(
                    option,
                    field,
                    language,
                    text=form.text.data or "",
                    source=form.source.data or "",
                    as_of=form.as_of.data,
                    staff_id=current_staff().id,
                    by=current_actor(),
                )
            except (Invalid, Conflict) as error:
                _lay(form, error)
                status = 409 if isinstance(error, Conflict) else 422
            else:
                flash("Saved. Patients see it now." if (form.text.data or "").strip() else "Taken away.")
                return redirect(url_for(".option_notes"))
    return render_template(
        "care/option_note.html",
        form=form,
        name=quotes[field].text if option == noting.GUIDE else options.names()[option],
        field=field,
        is_quote=option == noting.GUIDE,
        language=LANGUAGE_WORDS[language],
        present=present,
    ), status


# -- parts of other pages -----------------------------------------------------------------------------------------------


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


def _referral_section(patient_id: int) -> Markup | None:
    rows = [row for row in queries.referrals(patient_id) if row.closed_at is None]
    now = clock.now()
    return context.rendered(
        "care/_referrals.html",
        patient_id=patient_id,
        rows=rows,
        about=forms.about_words(),
        states=forms.STATE_WORDS,
        days={row.id: (now - row.state_since).days for row in rows},
        patience=referring.PATIENCE,
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


def _to_referrals(task: Task) -> Target | None:
    if task.patient_id is None:
        return None
    word = forms.STATE_WORDS.get(str(task.subject.get("state")), "")
    return Target(
        url_for("care.referrals", patient_id=task.patient_id),
        "Look",
        f"Nothing moved for a while. It stands at: {word}.",
    )


def _count_without_next_step() -> int:
    staff = current_staff()
    return queries.count_without_next_step(
        clock.now(), clock.today(locations.clinic_tz()), location_ids=staff.location_ids
    )


context.add("without_next_step", lambda: _count_without_next_step)  # asked only by the page that shows it


def _referrer(patient_id: int) -> tuple[str, str | None, int, date] | None:
    """Who sent the person, for a packet's head: the newest referral to the clinic."""
    found = [row for row in queries.referrals(patient_id) if row.direction == ReferralDirection.IN]
    if not found:
        return None
    row = max(found, key=lambda each: each.id)
    return row.name, row.organization, row.id, row.added_at.astimezone(ZoneInfo(locations.clinic_tz())).date()


OUTSIDE["referrer"] = _referrer
add_panel(30, _panel, roles=(Role.PRESCRIBER,))
chart.add_section(25, _section, CLINICAL)
chart.add_section(60, _referral_section, DESK)
TARGETS[TaskKind.PATIENT_QUESTION] = _to_questions
TARGETS[TaskKind.PLAN_STEP] = _to_plan
TARGETS[TaskKind.REFERRAL] = _to_referrals
