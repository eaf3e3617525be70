"""Staff fill in a form for a person, or correct what was sent: the form's own pages, under an address of the staff's."""

from collections.abc import Callable
from typing import Any

from flask import Blueprint, flash, g, redirect, render_template, request, url_for
from flask_babel import gettext as _
from markupsafe import Markup

from clinic.errors import AlreadyOver, Conflict, Invalid, NotFound
from clinic.intake import correcting, frame, pages, presenter, queries, views
from clinic.intake import forms as intake_forms
from clinic.intake.models import Amendment, Intake, IntakeState
from clinic.patients import chart, sites
from clinic.patients import operations as patient_operations
from clinic.patients import queries as patients
from clinic.patients.models import Patient
from clinic.staff.models import Role
from clinic.staff.queries import staff_names
from clinic.web import access, context
from clinic.web.access import StaffCaller, current_actor, current_staff
from clinic.web.errors import problem

FILLERS = (Role.FRONT_DESK, Role.NURSE, Role.THERAPIST, Role.PRESCRIBER)
CLINICAL = views.CLINICAL
RECORD_ORDER = 26  # on the staff's record: above the form itself
# What the front desk may see of a form, and what it may also fill in for a person who says it there and then.
DESK = frozenset({"about", "contact", "cover", "times", "away", "places", "consents", "messages"})
DICTATED = DESK | {"brings", pages.MEDICINES, "taking", "therapy", "treatments"}
DICTATED |= {f"therapy-{kind}" for kind in pages.THERAPIES}

bp = Blueprint("staff_intakes", __name__, template_folder="templates")
form_bp = Blueprint(frame.STAFF, __name__, url_prefix="/staff/intakes/<int:on_behalf>/form")


def may_see(staff: StaffCaller, intake: Intake, page: str) -> bool:
    """Whether this role opens this page: the front desk never those about health that the person wrote."""
    if staff.has(*CLINICAL):
        return True
    return page in (DESK if intake.corrects_id is not None else DICTATED)


# -- the form's pages in the staff's frame --------------------------------------------------------------------------


@form_bp.url_value_preprocessor
def take_id(endpoint: str | None, values: dict[str, Any] | None) -> None:
    """The form's id is part of every address; the pages themselves do not know it."""
    sites.refuse_impossible(values or {})
    g.on_behalf_id = (values or {}).pop("on_behalf", None)


@form_bp.url_defaults
def give_id(endpoint: str, values: dict[str, Any]) -> None:
    """The same on the way out."""
    values.setdefault("on_behalf", g.get("on_behalf_id"))


@form_bp.errorhandler(AlreadyOver)
def over(error: AlreadyOver) -> Any:
    """A form that was sent or dropped meanwhile."""
    if request.path.endswith("/autosave"):
        return problem(409, error.code, error.message)
    flash(error.message, "error")
    return redirect(url_for("staff_intakes.overview", intake_id=g.on_behalf_id))


def _open(intake_id: int) -> Intake:
    intake = _of_staff(intake_id)
    queries.must_be_open(intake)
    staff = current_staff()
    if intake.entered_by != staff.id:
        raise Conflict("Someone else has this form open.")
    return intake


def _of_staff(intake_id: int) -> Intake:
    """A form that staff opened, for whoever may open the person's record. Raises NotFound."""
    intake = queries.get(intake_id)
    if intake.patient_id is None or intake.entered_by is None:
        raise NotFound("no such form")
    patients.get_for(current_staff(), intake.patient_id)
    return intake


def _framed(view: Callable[..., Any]) -> Callable[..., Any]:
    def call(**values: Any) -> Any:
        intake = _open(g.on_behalf_id)
        page = values.get("page") or pages.MEDICINES
        if not may_see(current_staff(), intake, page):
            if request.path.endswith("/autosave") or request.method == "POST":
                return problem(403, "refused", "your role does not fill in this page")
            return redirect(_next_for(current_staff(), intake, page))
        frame.enter(intake)
        answer = view(**values)
        if "files" in request.form:  # papers have a page of their own on the record
            return redirect(url_for("intake_files.listed", patient_id=intake.patient_id))
        return answer

    return access.staff(*FILLERS)(call)


def _next_for(staff: StaffCaller, intake: Intake, page: str) -> str:
    """The next page that this role fills in; the overview after the last."""
    order = list(pages.PAGES)
    rest = order[order.index(page) + 1 :] if page in order else []
    answers = queries.values(intake.id)
    found = next((key for key in rest if may_see(staff, intake, key) and pages.applies(key, answers, None)), None)
    frame.enter(intake)
    return presenter.address(found) if found else url_for("staff_intakes.overview", intake_id=intake.id)


def _to_overview(**values: Any) -> Any:
    if request.endpoint == f"{frame.STAFF}.safety":
        flash("This answer calls for a person: a safety task is open. Tell the person how to reach 988 now.")
    return redirect(url_for("staff_intakes.overview", intake_id=_of_staff(g.on_behalf_id).id))


for rule, endpoint, methods in (
    ("/<page>", "page", ["GET", "POST"]),
    ("/<page>/autosave", "autosave", ["POST"]),
    ("/medicines", "medicines", ["GET", "POST"]),
    ("/medicines/<key>/<int:step>", "medicine", ["GET", "POST"]),
    ("/medicines/<key>/<int:step>/autosave", "autosave_medicine", ["POST"]),
    ("/medicines/<key>/remove", "remove", ["POST"]),
    ("/medicines/<key>/restore", "restore", ["POST"]),
):
    form_bp.add_url_rule(rule, endpoint, _framed(getattr(views, endpoint)), methods=methods)
for aside in ("review", "done", "later", "safety", "start", "resume"):
    form_bp.add_url_rule(f"/{aside}", aside, access.staff(*FILLERS)(lambda **values: _to_overview(**values)))


# -- start, look, send, drop ----------------------------------------------------------------------------------------


@bp.post("/staff/patients/<int:patient_id>/intake/enter")
@access.staff(*FILLERS)
def enter(patient_id: int) -> Any:
    """Open a form to fill in for the person."""
    patient = patients.get_for(current_staff(), patient_id)
    try:
        intake_id = correcting.start_entry(patient.id, staff_id=current_staff().id, by=current_actor())
    except Conflict as error:
        return _someone_else(patient, error)
    return redirect(url_for(".overview", intake_id=intake_id))


@bp.route("/staff/patients/<int:patient_id>/intake/correct", methods=["GET", "POST"])
@access.staff(*FILLERS)
def correct(patient_id: int) -> Any:
    """Say why, then work on a copy of what was sent."""
    patient = patients.get_for(current_staff(), patient_id)
    sent = queries.latest_submitted(patient.id)
    if sent is None:
        raise NotFound("This person has not sent a form yet.")
    fault, reason = "", intake_forms.clean(request.form.get("reason", "")).strip()
    if request.method == "POST":
        try:
            intake_id = correcting.start_correction(patient.id, reason, staff_id=current_staff().id, by=current_actor())
        except Conflict as error:
            return _someone_else(patient, error)
        except Invalid as error:
            fault = error.message
        else:
            return redirect(url_for(".overview", intake_id=intake_id))
    page = render_template(
        "intake/staff_correct.html", patient=patient, sent=sent, tz=queries.tz_of(sent), fault=fault, reason=reason
    )
    return page, 422 if fault else 200


def _someone_else(patient: Patient, error: Conflict) -> Any:
    """Who has the form open, and since when; with the way to go on with it."""
    present = correcting.held(patient.id)
    if present is None:
        flash(error.message, "error")
        return redirect(url_for("patients.record", patient_id=patient.id))
    page = render_template(
        "intake/staff_held.html",
        patient=patient,
        held=present,
        name=staff_names([present.staff_id]).get(present.staff_id, "Someone else"),
    )
    return page, 409


@bp.post("/staff/intakes/<int:intake_id>/take-over")
@access.staff(*FILLERS)
def take_over(intake_id: int) -> Any:
    """Go on with a form that someone else began."""
    intake = _of_staff(intake_id)
    correcting.take_over(intake.id, staff_id=current_staff().id, by=current_actor())
    return redirect(url_for(".overview", intake_id=intake.id))


@bp.get("/staff/intakes/<int:intake_id>")
@access.staff(*FILLERS)
def overview(intake_id: int) -> Any:
    """The form's pages with what stands in them, what changed, and the way to send or drop it."""
    intake = _of_staff(intake_id)
    assert intake.patient_id is not None
    patient = patients.get(intake.patient_id)
    if intake.state != IntakeState.OPEN:
        if current_staff().has(*CLINICAL):
            return redirect(url_for(".versions", patient_id=patient.id))
        return redirect(url_for("patients.record", patient_id=patient.id))
    if intake.entered_by != current_staff().id:
        return _someone_else(patient, Conflict("someone else has this form open"))
    frame.enter(intake)
    g.on_behalf_id = intake.id
    patient_operations.note_view(patient.id, part="intake", by=current_actor())
    return render_template(
        "intake/staff_overview.html",
        patient=patient,
        intake=intake,
        parts=_parts(intake, current_staff()),
        changes=_differences(intake, current_staff()) if intake.corrects_id is not None else [],
        go_on=_where_it_stopped(intake) if intake.corrects_id is None else None,
    )


def _where_it_stopped(intake: Intake) -> str | None:
    """The page to fill in next of a whole new form; none after the last."""
    page, key, step = queries.where_it_stopped(intake.id)
    if key is not None:
        return url_for(f"{frame.STAFF}.medicine", key=key, step=step)
    return presenter.address(page) if page != pages.REVIEW else None


@bp.post("/staff/intakes/<int:intake_id>/send")
@access.staff(*FILLERS)
def send(intake_id: int) -> Any:
    """Send it in place of what was sent before."""
    intake = _of_staff(intake_id)
    assert intake.patient_id is not None
    if intake.state == IntakeState.OPEN:
        _open(intake.id)
    try:
        correcting.send(intake.id, by=current_actor())
    except Invalid as error:
        words = {"consents": "The person said that the care team may not use this form: it is not sent."}
        page = str((error.details.get("fields") or [""])[0])
        flash(words.get(page, "Name and one way to reach the person are needed first."), "error")
        return redirect(url_for(".overview", intake_id=intake.id))
    except Conflict as error:
        flash(error.message, "error")
        return redirect(url_for(".overview", intake_id=intake.id))
    is_first = len(queries.versions(intake.patient_id)) == 1
    flash("Sent. The history is assessed" + ("." if is_first else " again; the older version stays readable."))
    return redirect(url_for("patients.record", patient_id=intake.patient_id))


@bp.post("/staff/intakes/<int:intake_id>/drop")
@access.staff(*FILLERS)
def drop(intake_id: int) -> Any:
    """Give it up."""
    intake = _of_staff(intake_id)
    try:
        correcting.drop(intake.id, by=current_actor())
    except AlreadyOver as error:
        flash(error.message, "error")
    else:
        flash("Dropped. Nothing of it is used.")
    return redirect(url_for("patients.record", patient_id=intake.patient_id))


@bp.get("/staff/patients/<int:patient_id>/intake/versions")
@access.staff(*CLINICAL)
def versions(patient_id: int) -> Any:
    """Everything that was sent: who, when, why, and what differs from the one before. The reading is written down."""
    patient = patients.get_for(current_staff(), patient_id)
    rows = queries.versions(patient.id)
    if not rows:
        raise NotFound("This person has not sent a form yet.")
    patient_operations.note_view(patient.id, part="intake", by=current_actor())
    shown = [_version(row, current_staff()) for row in rows]
    people = [row.entered_by for row in rows if row.entered_by] + [one for each in shown for one in each["by"]]
    return render_template(
        "intake/staff_versions.html",
        patient=patient,
        versions=shown,
        names=staff_names(people),
        tz=queries.tz_of(rows[0]),
    )


def _version(row: Intake, staff: StaffCaller) -> dict[str, Any]:
    new = [each for each in queries.amendments(row.id) if each.amended_at == row.submitted_at]
    return {
        "row": row,
        "facts": [(each.path, _words(each), each.source) for each in new],
        "by": sorted({each.amended_by for each in new if each.amended_by is not None}),
        "is_amended": bool(new),
        "changes": _differences(row, staff) if row.corrects_id is not None and not new else [],
    }


def _words(row: Amendment) -> str:
    """The value of a fact as people read it."""
    value = queries.fact_of(row).value
    if value is None:
        return "not known"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list) and all(isinstance(each, int | float) for each in value):
        return " to ".join(f"{each:g}" for each in value)
    if isinstance(value, list):
        return f"{len(value)} entries"
    return str(value).replace("_", " ")


def _parts(intake: Intake, staff: StaffCaller) -> list[dict[str, Any]]:
    """The answers that this role may see, by part."""
    found = []
    for part in presenter.parts(intake, queries.leaves(intake.id)):
        shown = [page for page in part["pages"] if may_see(staff, intake, page["key"])]
        medicines = part["medicines"] if may_see(staff, intake, pages.MEDICINES) else None
        if shown or medicines is not None:
            found.append(part | {"pages": shown, "medicines": medicines})
    return found


def _differences(intake: Intake, staff: StaffCaller) -> list[tuple[str, str, str]]:
    """Question, answer in the corrected form, answer here; of the pages that this role may see."""
    assert intake.corrects_id is not None
    nothing = _("no answer")
    before, after = (_lines(each, intake, staff) for each in (queries.get(intake.corrects_id), intake))
    return [
        (question, before.get(key, nothing), after.get(key, nothing))
        for key, question in ({key: key[-1] for key in before} | {key: key[-1] for key in after}).items()
        if before.get(key, nothing) != after.get(key, nothing)
    ]


def _lines(shown: Intake, intake: Intake, staff: StaffCaller) -> dict[tuple[str, str], str]:
    """Every answer that this role may see, by page or medicine and question."""
    answers, trials = correcting.pages_said(shown)
    found: dict[tuple[str, str], str] = {}
    for key in pages.flow(answers, presenter.age(shown, answers)):
        if key in answers and key != pages.MEDICINES and may_see(staff, intake, key):
            form = presenter.form_of(intake_forms.FORMS[key], shown, intake_forms.stored(answers[key]))
            found |= {(key, row.question): row.answer for row in form.rows() if row.answer}
    if may_see(staff, intake, pages.MEDICINES):
        for key, values in trials.items():
            for form_class in presenter.STEPS.values():
                form = presenter.form_of(form_class, shown, intake_forms.stored(values))
                found |= {
                    (key, f"{values.get('drug', '')}: {row.question}"): row.answer for row in form.rows() if row.answer
                }
    return found


def record_section(patient_id: int) -> Markup | None:
    """On the record: fill in or correct the form for the person; who has one open."""
    staff = current_staff()
    if not staff.has(*FILLERS):
        return None
    present = correcting.held(patient_id)
    return context.rendered(
        "intake/staff_section.html",
        patient_id=patient_id,
        held=present,
        name=staff_names([present.staff_id]).get(present.staff_id, "") if present else "",
        is_mine=present is not None and present.staff_id == staff.id,
        sent=queries.latest_submitted(patient_id),
        reads=staff.has(*CLINICAL),
        tz=patients.get(patient_id).tz,
    )


chart.add_section(RECORD_ORDER, record_section, FILLERS)
