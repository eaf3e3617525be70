"""What payers approved for a person, and what the person agreed to pay: seen, entered, changed, taken back."""

from typing import Any

from flask import flash, redirect, render_template, url_for
from flask_wtf import FlaskForm

from clinic import clock
from clinic.errors import AlreadyOver, Conflict, Invalid, NotFound
from clinic.locations import queries as locations
from clinic.patients import queries as patients
from clinic.scheduling import authorising, ledger
from clinic.scheduling.authorising import NewAuthorisation
from clinic.scheduling.blueprint import DESK, bp
from clinic.scheduling.forms import ApprovalForm, ReasonForm, SelfPayForm
from clinic.web import access
from clinic.web.access import current_actor

NAMES = {"sessions_approved": "sessions", "location_id": "site"}
PATHWAY_WORDS = {"tms": "TMS", "esketamine": "Esketamine", "iv_ketamine": "IV ketamine"}


@bp.get("/staff/patients/<int:patient_id>/authorisations")
@access.staff(*DESK)
def authorisations(patient_id: int) -> Any:
    """The ledger of one person."""
    return _ledger_page(patient_id)


def _form() -> ApprovalForm:
    return ApprovalForm(
        pathways=list(PATHWAY_WORDS.items()), sites=[(str(site.id), site.name) for site in locations.active()]
    )


def _say(form: FlaskForm, refusal: Invalid) -> None:
    """Put what was wrong at the field it is about, else above all."""
    named = [NAMES.get(name, name) for name in refusal.details.get("fields", ())]
    fields = [field for field in form if field.name in named]
    for field in fields:
        field.errors = [*field.errors, refusal.sentence]
    if not fields:
        form.form_errors.append(refusal.sentence)


def _ledger_page(
    patient_id: int, approval: ApprovalForm | None = None, self_pay: SelfPayForm | None = None, problem: str = ""
) -> Any:
    patient = patients.get(patient_id)
    rows = ledger.of_patient(patient_id)
    sent = approval or self_pay
    if approval is None:
        approval = ApprovalForm(
            pathways=list(PATHWAY_WORDS.items()),
            sites=[(str(site.id), site.name) for site in locations.active()],
            formdata=None,
        )
    page = render_template(
        "scheduling/authorisations.html",
        patient=patient,
        rows=rows,
        sites=locations.names(),
        pathways=PATHWAY_WORDS,
        self_pays=ledger.self_pays(patient_id),
        approval=approval,
        self_pay=self_pay or SelfPayForm(pathways=list(PATHWAY_WORDS.items()), formdata=None),
        sent=sent,
        today=clock.today(locations.clinic_tz()),
        problem=problem,
    )
    return (page, 422) if sent is not None or problem else page


@bp.post("/staff/patients/<int:patient_id>/authorisations")
@access.staff(*DESK)
def add_authorisation(patient_id: int) -> Any:
    """Put what a payer approved on the ledger."""
    form = _form()
    if not form.validate_on_submit():
        return _ledger_page(patient_id, form)
    new = NewAuthorisation(
        patient_id=patient_id,
        payer=form.payer.data or "",
        number=form.number.data or "",
        pathway=form.pathway.data,
        sessions_approved=form.sessions.data or 0,
        valid_from=form.valid_from.data,
        valid_until=form.valid_until.data,
        location_id=int(form.site.data) if form.site.data else None,
    )
    try:
        authorising.add_authorisation(new, by=current_actor())
    except Invalid as refusal:
        _say(form, refusal)
        return _ledger_page(patient_id, form)
    flash("On the ledger. Booked sessions without a payer came under it.")
    return redirect(url_for(".authorisations", patient_id=patient_id))


@bp.post("/staff/patients/<int:patient_id>/authorisations/<int:authorisation_id>/end")
@access.staff(*DESK)
def end_authorisation(patient_id: int, authorisation_id: int) -> Any:
    """The payer took it back, or it was wrong."""
    if ledger.get(authorisation_id).patient_id != patient_id:
        raise NotFound("no such authorisation")
    form = ReasonForm()
    if not form.validate_on_submit():
        return _ledger_page(patient_id, problem="Say why: the reason goes on record.")
    try:
        freed = authorising.end_authorisation(authorisation_id, reason=form.reason.data, by=current_actor())
    except (AlreadyOver, Conflict) as refusal:
        return _ledger_page(patient_id, problem=refusal.message)
    flash(f"Taken back. {freed} booked session{'' if freed == 1 else 's'} ahead have no payer now.")
    return redirect(url_for(".authorisations", patient_id=patient_id))


@bp.post("/staff/patients/<int:patient_id>/self-pay")
@access.staff(*DESK)
def agree_self_pay(patient_id: int) -> Any:
    """The patient agreed to pay."""
    form = SelfPayForm(pathways=list(PATHWAY_WORDS.items()))
    if not form.validate_on_submit():
        return _ledger_page(patient_id, self_pay=form)
    try:
        authorising.agree_self_pay(
            patient_id,
            pathway=form.pathway.data,
            what=form.what.data or "",
            agreed_on=form.agreed_on.data,
            by=current_actor(),
        )
    except Invalid as refusal:
        _say(form, refusal)
        return _ledger_page(patient_id, self_pay=form)
    flash("Kept. Sessions beyond an approval can be booked under it.")
    return redirect(url_for(".authorisations", patient_id=patient_id))
