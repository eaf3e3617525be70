"""Papers and photos that a person adds to the form, and what staff see of them."""

from io import BytesIO
from typing import Any

from flask import Blueprint, flash, jsonify, redirect, render_template, request, send_file, url_for
from flask_babel import gettext as _
from markupsafe import Markup
from werkzeug.datastructures import FileStorage
from werkzeug.exceptions import RequestEntityTooLarge

from clinic.intake import attachments, filetypes, pages, queries
from clinic.intake.attachments import MAX_FILES, MAX_SIZE, MEGABYTE, NotReadable, TooBig, TooMany
from clinic.intake.models import AttachmentKind, Intake
from clinic.intake.views import CLINICAL, FILE_KINDS, LAST_STEP, guard, mine, open_form, render
from clinic.patients import chart
from clinic.patients import operations as patient_operations
from clinic.patients import queries as patients
from clinic.patients.models import LinkPurpose
from clinic.staff.models import Role
from clinic.web import access, context
from clinic.web.access import current_actor, current_patient, current_staff
from clinic.web.arguments import row_id
from clinic.web.limits import limiter

MAX_BODY = 25 * MEGABYTE  # of one send: two files of the largest size, and the form around them
LONGEST_NAME_SHOWN = 60
HOME_ORDER = 87  # on the patient's home: among what always stands there
RECORD_ORDER = 30  # on the staff's record: below the form

bp = Blueprint("intake_files", __name__, template_folder="templates")
guard(bp)


def kind_words() -> dict[str, str]:
    """What a file may be, as people call it."""
    return {
        AttachmentKind.PHARMACY_LIST: _("A pharmacy list, or a photo of bottles"),
        AttachmentKind.LETTER: _("A letter or notes from a doctor"),
        AttachmentKind.TEST_RESULT: _("A test result"),
        AttachmentKind.GENE_TEST: _("A gene test"),
        AttachmentKind.OTHER: _("Something else"),
    }


@bp.url_value_preprocessor
def allow_files(endpoint: str | None, _values: dict[str, Any] | None) -> None:
    """Only the page that takes files reads more than a form's worth; set before anything reads the body."""
    if endpoint in ("intake_files.files", "intake_files.papers", "intake_files.listed") and request.method == "POST":
        request.max_content_length = MAX_BODY


@bp.errorhandler(RequestEntityTooLarge)
def too_large(_error: RequestEntityTooLarge) -> Any:
    """More than we read at all: back to the page, which says so."""
    size = -(-(request.content_length or 0) // MEGABYTE)
    if _wants_json():
        return jsonify(errors=[_too_big(_("This file"), size)]), 413
    if request.endpoint == "intake_files.listed":
        flash(_too_big("This file", size), "error")
        return redirect(request.path)
    if request.endpoint == "intake_files.papers":
        flash(_too_big(_("This file"), size), "error")
        return redirect(request.path)
    return redirect(url_for(".files", big=size, **_where()))


def _too_big(name: str, megabytes: int) -> str:
    return _(
        "%(name)s is %(size)s MB; the limit is %(limit)s MB. A photo of the list works too.",
        name=name,
        size=megabytes,
        limit=MAX_SIZE // MEGABYTE,
    )


@bp.route("/intake/files", methods=["GET", "POST"])
@mine
@limiter.limit("120 per hour", methods=["POST"])
def files() -> Any:
    """The files so far, and one more. Whatever goes wrong here, the form's pages are not touched."""
    intake = open_form()
    if request.method == "GET":
        size = request.args.get("big", type=int)
        return _show(intake, [_too_big(_("This file"), min(size, 9999))] if size else [])
    chosen = [file for file in request.files.getlist("file") if file.filename]
    errors = [problem for file in chosen if (problem := _add(file, intake_id=intake.id))]
    if not chosen:
        errors = [_("Choose a file or take a photo first.")]
    if _wants_json():
        return jsonify(errors=errors, url=url_for(".files", **_where())), 422 if errors else 200
    return (_show(intake, errors), 422) if errors else redirect(url_for(".files", **_where()))


def _add(file: FileStorage, **owner: Any) -> str:
    """Keep one file; answers what is wrong with it, or nothing."""
    name = " ".join((file.filename or "").split())[:LONGEST_NAME_SHOWN]
    kind = request.form.get("kind") or AttachmentKind.OTHER
    kind = kind if kind in kind_words() else AttachmentKind.OTHER
    content = file.stream.read(MAX_BODY)
    try:
        added = attachments.add(kind=kind, name=file.filename or "", content=content, by=current_actor(), **owner)
    except TooBig:
        return _too_big(name, -(-len(content) // MEGABYTE))
    except NotReadable:
        if not content:
            return _("%(name)s is empty.", name=name)
        return _(
            "We cannot read %(name)s. We take PDF files and photos (JPEG, PNG or HEIC). You can take a photo of it.",
            name=name,
        )
    except TooMany:
        return _("You have %(n)s files. That is all we can keep. Take one off to add another.", n=MAX_FILES)
    if not added.is_new:
        flash(_("You added %(name)s before. It is on your list once.", name=name))
    return ""


def _show(intake: Intake, errors: list[str]) -> Any:
    removed = request.args.get("removed", 0, type=int)
    return render(
        "intake/files.html",
        intake,
        files=attachments.of_intake(intake),
        kinds=list(kind_words().items()),
        kind_words=kind_words(),
        kind=request.form.get("kind") or FILE_KINDS.get(request.args.get("page", ""), AttachmentKind.OTHER),
        errors=errors,
        accept=",".join((*filetypes.ENDINGS.values(), *filetypes.ENDINGS)),
        max_size=MAX_SIZE,
        max_files=MAX_FILES,
        gone=removed,
        gone_name=attachments.removed_name(intake, removed) if removed else "",
        where=_where(),
        back_url=_back(),
    )


def _where() -> dict[str, Any]:
    """The page that the person came from, as it stands in the address."""
    return {name: request.args[name][:40] for name in ("page", "key", "to") if request.args.get(name)}


def _back() -> str:
    page, key = request.args.get("page", ""), request.args.get("key", "")
    to = pages.REVIEW if request.args.get("to") == pages.REVIEW else None
    if page == pages.MEDICINES and key:
        return url_for("intake.medicine", key=key[:36], step=LAST_STEP, to=to)
    if page in (pages.MEDICINES, pages.REVIEW):
        return url_for(f"intake.{page}")
    return url_for("intake.page", page=page, to=to) if page in pages.PAGES else url_for("intake.review")


def _wants_json() -> bool:
    return request.accept_mimetypes.best == "application/json"


@bp.post("/intake/files/<int:attachment_id>/remove")
@mine
def remove(attachment_id: int) -> Any:
    """Take a file off; the list then offers to undo it."""
    attachments.remove(open_form(), attachment_id, by=current_actor())
    return redirect(url_for(".files", removed=attachment_id, **_where()))


@bp.post("/intake/files/<int:attachment_id>/restore")
@mine
def restore(attachment_id: int) -> Any:
    """Undo the removal."""
    try:
        attachments.restore(open_form(), attachment_id, by=current_actor())
    except TooMany:
        flash(_("You have %(n)s files. That is all we can keep. Take one off to add another.", n=MAX_FILES), "error")
    return redirect(url_for(".files", **_where()))


# -- the patient's own pages ------------------------------------------------------------------------------------------


@bp.route("/me/papers", methods=["GET", "POST"])
@access.patient(LinkPurpose.SIGN_IN)
@limiter.limit("120 per hour", methods=["POST"])
def papers() -> Any:
    """Papers after the form was sent: those that the person added, and one more."""
    patient_id = current_patient().patient_id
    assert patient_id is not None
    errors: list[str] = []
    if request.method == "POST" and (answer := _taken_off(patient_id, is_own=True)):
        return answer
    if request.method == "POST":
        chosen = [file for file in request.files.getlist("file") if file.filename]
        errors = [problem for file in chosen if (problem := _add(file, patient_id=patient_id))]
        if not chosen:
            errors = [_("Choose a file or take a photo first.")]
        if not errors:
            flash(_("Added. Thank you."))
        if _wants_json():
            return jsonify(errors=errors, url=url_for(".papers")), 422 if errors else 200
        if not errors:
            return redirect(url_for(".papers"))
    gone = request.args.get("removed", 0, type=row_id)
    page = render_template(
        "intake/my_papers.html",
        gone=gone,
        gone_name=attachments.taken_off_name(patient_id, gone, is_own=True) if gone else "",
        files=[file for file in attachments.of_patient(patient_id) if file.added_by is None],
        has_room=attachments.count_of(patient_id) < MAX_FILES,
        kinds=list(kind_words().items()),
        kind_words=kind_words(),
        kind=request.form.get("kind") or AttachmentKind.PHARMACY_LIST,
        errors=errors,
        accept=",".join((*filetypes.ENDINGS.values(), *filetypes.ENDINGS)),
        max_size=MAX_SIZE,
        max_files=MAX_FILES,
        tabs=chart.tabs(""),
    )
    return page, 422 if errors else 200


def _taken_off(patient_id: int, *, is_own: bool) -> Any | None:
    """One file taken off the list or put back, where that was asked for; back to the list, which offers to undo it."""
    here = url_for(request.endpoint or "", **(request.view_args or {}))
    if number := request.form.get("take_off", 0, type=row_id):
        attachments.take_off(patient_id, number, is_own=is_own, by=current_actor())
        return redirect(f"{here}?removed={number}")
    if number := request.form.get("put_back", 0, type=row_id):
        try:
            attachments.put_back(patient_id, number, is_own=is_own, by=current_actor())
        except TooMany:
            flash(
                _("You have %(n)s files. That is all we can keep. Take one off to add another.", n=MAX_FILES), "error"
            )
        return redirect(here)
    return None


def home_section(patient_id: int) -> Markup | None:
    """On the patient's home: the way to their papers, once a form was sent."""
    if queries.newest_of(patient_id) is None:
        return None
    return context.rendered("intake/home_papers.html")


# -- staff ----------------------------------------------------------------------------------------------------------

STAFF_KINDS = {
    AttachmentKind.PHARMACY_LIST: "Pharmacy list",
    AttachmentKind.TEST_RESULT: "Test result",
    AttachmentKind.GENE_TEST: "Gene test",
    AttachmentKind.LETTER: "Letter or notes",
    AttachmentKind.OTHER: "Other",
}


@bp.route("/staff/patients/<int:patient_id>/attachments", methods=["GET", "POST"])
@access.staff(*CLINICAL, Role.FRONT_DESK)
def listed(patient_id: int) -> Any:
    """The files of a person, for clinical roles; the front desk adds papers that were brought, and sees how many."""
    staff = current_staff()
    patient = patients.get_for(staff, patient_id)
    errors: list[str] = []
    may_read = staff.has(*CLINICAL)
    if request.method == "POST" and may_read and (answer := _taken_off(patient.id, is_own=False)):
        return answer
    if request.method == "POST":
        chosen = [file for file in request.files.getlist("file") if file.filename]
        errors = [bad for file in chosen if (bad := _add(file, patient_id=patient.id, staff_id=staff.id))]
        if not chosen:
            errors = ["Choose a file first."]
        if not errors:
            flash("Added.")
            return redirect(url_for(".listed", patient_id=patient.id))
    gone = request.args.get("removed", 0, type=row_id) if may_read else 0
    if may_read:
        patient_operations.note_view(patient.id, part="files", by=current_actor())
    page = render_template(
        "intake/staff_files.html",
        gone=gone,
        gone_name=attachments.taken_off_name(patient.id, gone, is_own=False) if gone else "",
        patient=patient,
        may_read=may_read,
        count=attachments.count_of(patient.id),
        files=attachments.of_patient(patient.id) if may_read else [],
        kinds=STAFF_KINDS,
        kind=request.form.get("kind") or AttachmentKind.PHARMACY_LIST,
        accept=",".join((*filetypes.ENDINGS.values(), *filetypes.ENDINGS)),
        errors=errors,
    )
    return page, 422 if errors else 200


@bp.get("/staff/attachments/<int:attachment_id>")
@access.staff(*CLINICAL)
def download(attachment_id: int) -> Any:
    """One file, to be saved and never shown by the browser inside our pages. The reading is written down."""
    owner = queries.patient_of_attachment(attachments.get(attachment_id))
    patients.get_for(current_staff(), owner)
    row, content = attachments.content(attachment_id, by=current_actor())
    answer = send_file(
        BytesIO(content), mimetype=row.media_type, as_attachment=True, download_name=row.name, max_age=None
    )
    answer.headers["Cache-Control"] = "no-store"
    return answer


def record_section(patient_id: int) -> Markup | None:
    """On the record: the files for clinical roles; others see that there are some."""
    count = attachments.count_of(patient_id)
    may_read = current_staff().has(*CLINICAL)
    if not count and not may_read and not current_staff().has(Role.FRONT_DESK):
        return None
    return context.rendered(
        "intake/files_section.html",
        patient_id=patient_id,
        count=count,
        may_add=may_read or current_staff().has(Role.FRONT_DESK),
        files=attachments.of_patient(patient_id) if may_read else [],
        kinds=STAFF_KINDS,
    )


chart.add_home(HOME_ORDER, home_section)
chart.add_section(RECORD_ORDER, record_section)
