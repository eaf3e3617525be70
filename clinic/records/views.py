"""What is past its time, what is on hold, and deleting a record. For managers."""

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from markupsafe import Markup

from clinic.errors import Conflict, Invalid
from clinic.locations import queries as locations
from clinic.patients import chart
from clinic.patients import queries as patients
from clinic.records import retention
from clinic.records.forms import EraseForm, HoldForm
from clinic.staff.models import Role
from clinic.staff.queries import staff_names
from clinic.web import access, context
from clinic.web.access import current_actor, current_staff
from clinic.web.arguments import row_id

bp = Blueprint("records", __name__, template_folder="templates")


@bp.get("/staff/records/due")
@access.staff(Role.MANAGER)
def due() -> Any:
    """Records that were kept long enough."""
    rows = retention.due(after=request.args.get("after", 0, type=row_id), limit=retention.PAGE + 1)
    shown = rows[: retention.PAGE]
    return render_template(
        "records/due.html",
        rows=shown,
        people=patients.briefs([row.patient_id for row in shown]),
        next_url=url_for(".due", after=shown[-1].patient_id) if len(rows) > retention.PAGE else "",
        years=retention.keep_for().days // 365,
        tz=locations.clinic_tz(),
    )


@bp.get("/staff/patients/<int:patient_id>/keeping")
@access.staff(Role.MANAGER)
def keeping(patient_id: int) -> Any:
    """How long this record is kept, what holds it, and the way to delete it."""
    return _page(patient_id, HoldForm(), EraseForm())


def _page(patient_id: int, hold: HoldForm, erase: EraseForm, problem: str = "", status: int = 200) -> Any:
    patient, holds = patients.get_for(current_staff(), patient_id), retention.holds(patient_id)
    return render_template(
        "records/keeping.html",
        patient=patient,
        kept=retention.of_patient(patient_id),
        holds=holds,
        names=staff_names([key for row in holds for key in (row.placed_by, row.lifted_by) if key]),
        hold_form=hold,
        erase_form=erase,
        problem=problem,
        tz=locations.clinic_tz(),
    ), status


@bp.post("/staff/patients/<int:patient_id>/keeping/hold")
@access.staff(Role.MANAGER)
def hold(patient_id: int) -> Any:
    """Keep it whatever its age."""
    form = HoldForm()
    if not form.validate_on_submit():
        return _page(patient_id, form, EraseForm(formdata=None), status=422)
    try:
        retention.place_hold(patient_id, reason=form.why.data or "", staff_id=current_staff().id, by=current_actor())
    except Conflict as error:
        return _page(patient_id, form, EraseForm(formdata=None), error.message, 409)
    flash("The record is on hold: nobody deletes it.")
    return redirect(url_for(".keeping", patient_id=patient_id))


@bp.post("/staff/legal-holds/<int:legal_hold_id>/lift")
@access.staff(Role.MANAGER, fresh=True)
def lift(legal_hold_id: int) -> Any:
    """Let its own time count again."""
    retention.lift_hold(legal_hold_id, staff_id=current_staff().id, by=current_actor())
    flash("The hold is lifted.")
    return redirect(url_for(".due"))


@bp.post("/staff/patients/<int:patient_id>/keeping/erase")
@access.staff(Role.MANAGER, fresh=True)
def erase(patient_id: int) -> Any:
    """Delete the record. It cannot be taken back."""
    form = EraseForm()
    if not form.validate_on_submit():
        return _page(patient_id, HoldForm(formdata=None), form, status=422)
    try:
        retention.erase_patient(
            patient_id,
            record_number=form.record_number.data or "",
            reason=form.reason.data or "",
            by=current_actor(),
        )
    except Invalid as error:
        form.record_number.errors = [*form.record_number.errors, error.message]
        return _page(patient_id, HoldForm(formdata=None), form, status=422)
    except Conflict as error:
        return _page(patient_id, HoldForm(formdata=None), form, error.message, 409)
    flash("The record is deleted. Backups from before still hold it until they are gone.")
    return redirect(url_for(".due"))


def link(patient_id: int) -> Markup:
    """On the record, for managers."""
    return context.rendered("records/chart.html", patient_id=patient_id)


chart.add_section(99, link, [Role.MANAGER])
