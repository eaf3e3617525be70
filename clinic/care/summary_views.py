"""Staff: prepare, preview, release and take back the summary for a patient."""

from typing import Any

from flask import flash, redirect, render_template, request, url_for
from markupsafe import Markup

from clinic import clock
from clinic.care import (
    drafting,
    forms,
    operations,
    options,
    presenter,
    queries,
)
from clinic.care.blueprint import bp
from clinic.care.models import ReleaseDraft
from clinic.care.speaking import speaking
from clinic.care.staff_pages import LANGUAGE_WORDS, patient_of, tz_of
from clinic.eligibility import queries as eligibility
from clinic.eligibility.models import Assessment
from clinic.eligibility.panels import add_panel
from clinic.errors import Conflict, Invalid, NotFound
from clinic.patients import operations as patient_operations
from clinic.patients.models import Patient
from clinic.staff.models import Role
from clinic.staff.queries import staff_names
from clinic.web import access, context
from clinic.web.access import current_actor, current_staff


@bp.post("/staff/patients/<int:patient_id>/summary/start")
@access.staff(Role.PRESCRIBER)
def start_summary(patient_id: int) -> Any:
    """Begin a draft from the present assessment, or go on with the one that is there."""
    patient = patient_of(patient_id)
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
    patient = patient_of(patient_id)
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
        tz=tz_of(patient),
        names=staff_names([draft.edited_by]),
    )


@bp.get("/staff/patients/<int:patient_id>/summary/preview")
@access.staff(Role.PRESCRIBER)
def preview_summary(patient_id: int) -> Any:
    """The draft as the patient would see it, in the patient's language."""
    patient = patient_of(patient_id)
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
    patient = patient_of(patient_id)
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
    patient = patient_of(patient_id)
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


add_panel(30, _panel, roles=(Role.PRESCRIBER,))
