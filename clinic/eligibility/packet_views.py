"""Prior-authorization packets: can it go out, what is missing, and the PDF."""

from collections.abc import Collection
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from markupsafe import Markup
from werkzeug.datastructures import MultiDict

from clinic import clock
from clinic.eligibility import packet, packets, panels, queries, verification
from clinic.eligibility.models import Assessment
from clinic.eligibility.packet_forms import ROLE_WORDS, DraftForm, assignments
from clinic.eligibility.packet_parts import Packet
from clinic.errors import Conflict, Invalid, Refused
from clinic.patients import chart
from clinic.patients import queries as patients
from clinic.patients.models import Patient
from clinic.staff.models import Role
from clinic.staff.queries import staff_names
from clinic.tasks.models import Task, TaskKind
from clinic.tasks.today import TARGETS, Target
from clinic.web import access, context, pdf
from clinic.web.access import current_actor, current_staff

CLINICAL = (Role.PRESCRIBER, Role.NURSE, Role.THERAPIST)
STATE_WORDS = {
    "on": ("good", "Verified"),
    "off": ("due", "Not verified"),
    "stale": ("due", "Verified over 180 days ago"),
    "changed": ("due", "Changed since verified"),
}
ANSWERS = {"met": "good", "unmet": "stop", "unknown": "unsure"}

bp = Blueprint("packets", __name__, template_folder="templates")


@bp.get("/staff/eligibility/<int:assessment_id>/packet")
@access.staff(*CLINICAL, Role.MANAGER)
def choose(assessment_id: int) -> Any:
    """Policies of the person's payer first, then every other one."""
    row, patient = _opened(assessment_id)
    named, rest = packets.policies_for(row)
    states = verification.standings(clock.today(patient.tz))
    groups = [("Of this patient's payer", named), ("Other payers" if named else "Every policy", rest)]
    return render_template(
        "eligibility/packet_choose.html",
        assessment=row,
        patient=patient,
        payer=row.record.get("payer"),
        groups=[
            (title, [(packets.policy(each), STATE_WORDS[states[each].state]) for each in ids])
            for title, ids in groups
            if ids
        ],
        treatments=packet.words.TREATMENTS,
        treatment_of=packet.treatment_of,
    )


@bp.get("/staff/eligibility/<int:assessment_id>/packet/<policy_id>")
@access.staff(*CLINICAL, Role.MANAGER)
def show(assessment_id: int, policy_id: str) -> Any:
    """Whether it can go out: holes first, then every statement with its evidence."""
    row, patient = _opened(assessment_id)
    made = packets.build(row, policy_id)
    packets.note_read(row, "viewed", by=current_actor(), part="packet", policy=policy_id)
    return _page(row, patient, policy_id, made, _filled_form(patient, policy_id))


def _opened(assessment_id: int) -> tuple[Assessment, Patient]:
    row = queries.assessment(assessment_id)
    return row, patients.get_for(current_staff(), row.patient_id)


def _filled_form(patient: Patient, policy_id: str) -> DraftForm:
    added = packets.draft(patient.id, policy_id)
    form = DraftForm(
        formdata=None,
        words=added.words if added else "",
        protocol=(added.protocol if added else None) or "",
        revision=str(added.revision if added else 0),
    )
    form.offer(packets.protocols_for(policy_id))
    return form


def _page(
    row: Assessment,
    patient: Patient,
    policy_id: str,
    made: Packet,
    form: DraftForm,
    *,
    problem: str = "",
    status: int = 200,
    entered: MultiDict[str, str] | None = None,
    wrong: Collection[str] = (),
) -> Any:
    """entered: owners and days as they were sent, to be put right. wrong: names of the fields that have to be."""
    sent = packets.issued(patient.id)
    open_tasks = packets.hole_tasks(patient.id)
    is_clinical = current_staff().has(*CLINICAL)
    names = staff_names(
        [each.issued_by for each in sent] + [each.owner_id for each in open_tasks.values() if each.owner_id]
    )
    return render_template(
        "eligibility/packet.html",
        assessment=row,
        patient=patient,
        policy_id=policy_id,
        made=made,
        title=_title(made),
        facts={each.id: each for each in made.evidence},
        state_word=STATE_WORDS[made.policy["state"]],
        answers=ANSWERS,
        form=form,
        problem=problem,
        entered=entered,
        wrong=wrong,
        tasks=open_tasks,
        untasked=[hole for hole in made.holes if hole.key not in open_tasks],
        due=packets.due_for(patient),
        colleagues=packets.colleagues(patient),
        roles=ROLE_WORDS,
        issued=sent,
        names=names,
        is_clinical=is_clinical,
        is_present=row.superseded_at is None,
        hidden="For clinical roles only",
    ), status


def _title(made: Packet) -> str:
    unmet = sum(line.status == "unmet" for line in made.criteria)
    if made.holes:
        count = len(made.holes)
        return f"Not yet: {count} {'thing is' if count == 1 else 'things are'} missing"
    if unmet:
        return f"Nothing is missing, and {unmet} {'criterion is' if unmet == 1 else 'criteria are'} not met"
    if made.warnings:
        return "Nothing is missing, but our file of the policy is not verified"
    return "It can go out: nothing is missing"


@bp.post("/staff/eligibility/<int:assessment_id>/packet/<policy_id>/words")
@access.staff(*CLINICAL)
def save_words(assessment_id: int, policy_id: str) -> Any:
    """Keep the paragraph and the protocol."""
    row, patient = _opened(assessment_id)
    form = DraftForm()
    form.offer(packets.protocols_for(policy_id))
    problem, status = "", 422
    if form.validate_on_submit():
        try:
            packets.save_draft(
                patient.id,
                policy_id,
                words=form.words.data or "",
                protocol=form.protocol.data or None,
                revision=form.whole_revision(),
                staff_id=current_staff().id,
                by=current_actor(),
            )
            flash("Saved.", "good")
            return redirect(url_for(".show", assessment_id=assessment_id, policy_id=policy_id))
        except Invalid as error:
            form.protocol.errors = [*form.protocol.errors, error.message]
        except Conflict as error:
            added = packets.draft(patient.id, policy_id)
            problem = (
                f"{error.message} Saved by them: “{(added.words if added else '') or 'nothing'}”. Yours stands below."
            )
            form.revision.data = str(added.revision if added else 0)
            form.revision.raw_data = None
            status = 409
    return _page(row, patient, policy_id, packets.build(row, policy_id), form, problem=problem, status=status)


@bp.post("/staff/eligibility/<int:assessment_id>/packet/<policy_id>/tasks")
@access.staff(*CLINICAL, Role.MANAGER)
def make_tasks(assessment_id: int, policy_id: str) -> Any:
    """A task for each chosen hole."""
    row, patient = _opened(assessment_id)
    made = packets.build(row, policy_id)
    try:
        chosen = assignments(request.form, made.holes, request.form.getlist("pick"))
        opened = packets.make_tasks(assessment_id, policy_id, chosen, by=current_actor())
    except Invalid as error:
        wrong = error.details.get("fields", ())
        lines = dict.fromkeys(name.partition("-")[2] for name in wrong if "-" in name)
        return _page(
            row,
            patient,
            policy_id,
            made,
            _filled_form(patient, policy_id),
            problem=f"{', '.join(lines)}: {error.message}" if lines else error.message,
            status=422,
            entered=request.form,
            wrong=wrong,
        )
    flash(
        f"{opened} {'task' if opened == 1 else 'tasks'} made." if opened else "These have their tasks already.", "good"
    )
    return redirect(url_for(".show", assessment_id=assessment_id, policy_id=policy_id))


@bp.post("/staff/eligibility/<int:assessment_id>/packet/<policy_id>/issue")
@access.staff(*CLINICAL)
def issue(assessment_id: int, policy_id: str) -> Any:
    """Seal it with its PDF."""
    row, patient = _opened(assessment_id)
    try:
        packets.issue(assessment_id, policy_id, staff_id=current_staff().id, by=current_actor())
    except Conflict as error:
        made = packets.build(row, policy_id)
        form = _filled_form(patient, policy_id)
        return _page(row, patient, policy_id, made, form, problem=error.message, status=409)
    flash("Packet issued. It is sealed as it is.", "good")
    return redirect(url_for(".show", assessment_id=assessment_id, policy_id=policy_id, _anchor="issued"))


@bp.get("/staff/eligibility/<int:assessment_id>/packet/<policy_id>/draft.pdf")
@access.staff(*CLINICAL)
def preview(assessment_id: int, policy_id: str) -> Any:
    """The PDF as it would be issued now, marked as a draft."""
    row, patient = _opened(assessment_id)
    data = packets.render(packets.build(row, policy_id), patient, at=clock.now(), is_draft=True)
    packets.note_read(row, "downloaded", by=current_actor(), part="packet draft", policy=policy_id)
    return pdf.attachment(data, f"{patient.record_number}-packet-draft.pdf")


@bp.get("/staff/packets/<int:packet_id>.pdf")
@access.staff(*CLINICAL)
def download(packet_id: int) -> Any:
    """An issued packet, byte for byte."""
    row = packets.get(packet_id)
    patient = patients.get_for(current_staff(), row.patient_id)
    if not packets.is_whole(row):
        raise Refused("this file is not the one that was issued")
    packets.note_read(row, "downloaded", by=current_actor())
    return pdf.attachment(row.pdf, f"{patient.record_number}-packet-{row.id}.pdf")


# -- parts of other pages ---------------------------------------------------------------------------------------------


def _panel(row: Assessment) -> Markup:
    """Ways to the packet, and those that went out, on the review page."""
    named, _ = packets.policies_for(row)
    sent = packets.issued(row.patient_id, limit=5)
    return context.rendered(
        "eligibility/_packet_panel.html",
        assessment=row,
        named=[packets.policy(each) for each in named],
        issued=sent,
        payers={each.policy: packets.policy_name(each.policy) for each in sent},
        tz=patients.get(row.patient_id).tz,
        is_clinical=current_staff().has(*CLINICAL),
    )


def _section(patient_id: int) -> Markup | None:
    """The same on the record, for managers, who do not open the review page."""
    row = queries.present_assessment(patient_id)
    return None if row is None or current_staff().has(*CLINICAL) else _panel(row)


def _target(task: Task) -> Target | None:
    assessment = queries.present_assessment(task.patient_id) if task.patient_id else None
    if assessment is None or not current_staff().has(*CLINICAL, Role.MANAGER):
        return None
    url = url_for("packets.show", assessment_id=assessment.id, policy_id=task.subject["policy"])
    return Target(url, "Open packet", "Something that a payer asks for is missing.")


panels.add_panel(60, _panel, roles=CLINICAL)
chart.add_section(31, _section, roles=(Role.MANAGER,))
TARGETS[TaskKind.PACKET_HOLE] = _target
