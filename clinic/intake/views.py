"""The form's pages. Each is saved when it is left, and with every change where script runs."""

import secrets
import uuid
from collections.abc import Iterator
from typing import Any

from flask import Blueprint, current_app, flash, g, jsonify, make_response, redirect, render_template, request, url_for
from flask_babel import gettext as _
from markupsafe import Markup

from clinic.errors import AlreadyOver, Conflict, Invalid, NotFound
from clinic.intake import (
    attachments,
    consents,
    drugs,
    forms,
    frame,
    operations,
    pace,
    pages,
    presenter,
    queries,
    record,
)
from clinic.intake.forms import FORMS, PageForm
from clinic.intake.models import AttachmentKind, Intake, IntakeState, IntakeTrial
from clinic.intake.operations import Saved
from clinic.intake.queries import EMPTY, Leaf
from clinic.locations import queries as locations
from clinic.patients import chart, signin
from clinic.patients import operations as patient_operations
from clinic.patients import queries as patients
from clinic.patients.models import LinkPurpose
from clinic.staff.models import Role
from clinic.staff.queries import staff_names
from clinic.tasks import help as alert_help
from clinic.tasks import safety as alerts
from clinic.web import access, i18n
from clinic.web.access import PatientCaller, current_actor, current_patient, current_staff
from clinic.web.errors import problem
from clinic.web.limits import limiter

RADIO_PLACES = 7  # more sites than this are a list to choose from
MINORS_UNDER = 18
TEMPLATES = {
    "taking": "intake/taking.html",
    "thyroid": "intake/thyroid.html",
    "sleep": "intake/sleep.html",
    "consents": "intake/consents.html",
    "about": "intake/about.html",
    "contact": "intake/contact.html",
    "cover": "intake/cover.html",
    "brings": "intake/brings.html",
    "heart": "intake/heart.html",
    "times": "intake/times.html",
    "away": "intake/away.html",
    "places": "intake/places.html",
    "messages": "intake/messages.html",
    **{f"phq9-{n}": "intake/phq9.html" for n in range(1, pages.PHQ9_ITEMS + 1)},
    **{f"therapy-{kind}": "intake/therapy_kind.html" for kind in pages.THERAPIES},
    **{key: "intake/scale.html" for key in pages.PAGES if key.startswith(("gad7-", "ptsd-"))},
    "ptsd": "intake/gate.html",
    "difficulty": "intake/gate.html",
}

bp = Blueprint("intake", __name__, template_folder="templates")
mine = access.patient(LinkPurpose.INTAKE, LinkPurpose.SIGN_IN, birth_date=False)
MEDICINE_TEMPLATES = {1: "intake/dose.html", 2: "intake/outcome.html", 3: "intake/last.html", 4: "intake/steps.html"}
LAST_STEP = 3
FILE_KINDS = {  # what is most likely added from a page
    pages.MEDICINES: AttachmentKind.PHARMACY_LIST,
    "thyroid": AttachmentKind.TEST_RESULT,
    "family": AttachmentKind.GENE_TEST,
    pages.REVIEW: AttachmentKind.PHARMACY_LIST,
}
PUBLIC = ("intake.start", "intake.begin")
CLINICAL = (Role.NURSE, Role.THERAPIST, Role.PRESCRIBER)
RECORD_ORDER = 28  # on the staff's record: above what was made of it
HOME_ORDER = 21  # on the patient's home: below the one next thing
chart.LANDING[LinkPurpose.INTAKE] = lambda opened: url_for("intake.resume")


def _language(caller: PatientCaller) -> str | None:
    found = _of(caller) if caller.purpose == LinkPurpose.INTAKE else None
    return found.language if found is not None else None


def _keep_language(caller: PatientCaller, language: str) -> None:
    assert caller.intake_id is not None
    operations.choose_language(caller.intake_id, language, by=current_actor())


i18n.add_keeper(10, _language, _keep_language)


def sent_already(error: AlreadyOver) -> Any:
    """A form that was sent is read only: the person sees that it arrived."""
    if request.path.endswith("/autosave"):
        return problem(409, error.code, error.message)
    return redirect(url_for("intake.done"))


def ask_birth_date() -> Any:
    """Who comes by a link says the date of birth first, as on all own pages; not who began the form in this browser."""
    caller = g.get("patient")
    if request.endpoint in PUBLIC or caller is None or caller.patient_id is None or caller.is_kiosk:
        return None
    if caller.birth_date_checked_at is None:
        return redirect(url_for("patients.birth_date", next=request.path))
    return None


def guard(blueprint: Blueprint) -> None:
    """What holds for every page of the form, also for those that stand in modules of their own."""
    blueprint.register_error_handler(AlreadyOver, sent_already)
    blueprint.before_request(ask_birth_date)


guard(bp)


def home_section(patient_id: int) -> Markup | None:
    """On the patient's home: the form that is not sent yet."""
    if queries.open_of(patient_id) is None:
        return None
    return Markup(render_template("intake/home.html"))  # noqa: S704 - our own template, escaped by Jinja


chart.add_home(HOME_ORDER, home_section)


# -- start, go on, stop ---------------------------------------------------------------------------------------------


@bp.get("/intake/start")
@access.public
def start() -> Any:
    """What the form is, before anything is asked."""
    return render_template("intake/start.html", clinic_profile=locations.profile(), has_open=_open_of_caller())


@bp.post("/intake/start")
@access.public
@limiter.limit("60 per hour")
def begin() -> Any:
    """Open an intake on this browser. One that is open goes on, unless a new one is asked for."""
    if _open_of_caller() and not request.form.get("fresh"):
        return redirect(url_for(".resume"))
    _id, cookie = operations.start_intake(language=request.form.get("language") or i18n.language())
    response = make_response(redirect(url_for(".page", page=next(iter(pages.PAGES)))))
    signin.set_cookie(response, cookie)
    return response


def _open_of_caller() -> bool:
    found = _of(g.get("patient"))
    return found is not None and found.state == IntakeState.OPEN


def _of(caller: PatientCaller | None) -> Intake | None:
    """The form that a link opened, or the one that a signed-in patient has not sent yet, or sent last."""
    if caller is None:
        return None
    if caller.purpose == LinkPurpose.INTAKE and caller.intake_id is not None:
        return queries.get(caller.intake_id)
    if caller.purpose == LinkPurpose.SIGN_IN and caller.patient_id is not None:
        return queries.open_of(caller.patient_id) or queries.latest_submitted(caller.patient_id)
    return None


@bp.get("/intake", strict_slashes=False)
@mine
def resume() -> Any:
    """The page where the person stopped."""
    intake = open_form()
    page, key, step = queries.where_it_stopped(intake.id)
    if key is not None:
        return redirect(url_for(".medicine", key=key, step=step))
    return redirect(presenter.address(page))


@bp.route("/intake/later", methods=["GET", "POST"])
@mine
def later() -> Any:
    """Stop here: a link to come back, on this device or another."""
    intake = open_form()
    patient = queries.patient_of(intake)
    if request.method == "GET" or patient is None:
        return render("intake/later.html", intake, channels=presenter.masked(patient), asked=False)
    try:
        operations.request_link(intake.id, by=current_actor())
    except Conflict:
        return redirect(url_for(".page", page="contact"))
    return render("intake/later.html", intake, channels=presenter.masked(patient), asked=True)


# -- pages ----------------------------------------------------------------------------------------------------------


@bp.route("/intake/<page>", methods=["GET", "POST"])
@mine
def page(page: str) -> Any:
    """One page of the form."""
    intake, form_class = open_form(), _form_class(page)
    saved = queries.leaves(intake.id)
    leaf = saved.get(page, EMPTY)
    if request.method == "GET":
        form = presenter.form_of(form_class, intake, forms.stored(leaf.values) if leaf.values else None)
        return _show(page, intake, form, leaf)
    form = presenter.form_of(form_class, intake, request.form)
    sent, is_sound = _save(intake, page, form)
    if sent.clash is not None:
        return _show_clash(page, intake, form, sent.clash)
    if sent.level is not None:
        alert_help.note_kiosk(f"intake:{intake.id}", by=current_actor())
        return redirect(url_for(".safety", after=page, to=_to() or None))
    if page == "taking" and is_sound and _is_list_changed(form):
        return redirect(url_for(".page", page=page, to=_to() or None))
    if "files" in request.form:
        return redirect(url_for("intake_files.files", page=page, to=_to() or None))
    if "later" in request.form:
        return redirect(url_for(".later"))
    if not is_sound:
        return _show(page, intake, form, sent.leaf), 422
    if page == "about":
        _tell_minor(intake)
    return redirect(_next(intake, page))


@bp.post("/intake/<page>/autosave")
@mine
def autosave(page: str) -> Any:
    """Keep a draft of the page, whatever stands in it. Answers {saved_at, revision, safety}."""
    intake, form_class = open_form(), _form_class(page)
    values = presenter.form_of(form_class, intake, request.form).values(request.form)
    return _answer(
        operations.save_page(
            intake.id, page, values, is_complete=False, revision=_revision(), form=_form_id(), by=current_actor()
        ),
        intake,
    )


def _form_class(page: str) -> type[PageForm]:
    if page not in FORMS:
        raise NotFound("no such page")
    return FORMS[page]


def _is_list_changed(form: PageForm) -> bool:
    """Whether a name was added to the medicines that are taken now, or one taken off."""
    return bool("add" in request.form or "remove" in request.form or form["drug"].data)


def _values(form: PageForm) -> dict[str, Any]:
    """What was sent. A name typed on the page `taking` joins its list, one that was taken off leaves it."""
    values = form.values(request.form)
    if not isinstance(form, forms.TakingForm) or request.path.endswith("/autosave"):
        return values
    names = [*form.taken(), values.pop("drug", "")]
    off = forms.clean(request.form.get("remove", ""))
    values["names"] = record.names_of({"names": [name for name in names if name != off]})
    return {name: value for name, value in values.items() if value and not (name == "none" and values["names"])}


def _save(intake: Intake, page: str, form: PageForm) -> tuple[Saved, bool]:
    """Save what was sent; whether it can be used. What the rest of the clinic refuses is kept as a draft."""
    is_sound = form.validate()
    values = _values(form)
    aside = {"later", "files", "add", "remove"} & set(request.form)
    is_left = is_sound and (bool(values) or not aside) and not aside & {"files", "add", "remove"}
    keep: dict[str, Any] = {"revision": _revision(), "form": _form_id(), "by": current_actor()}
    try:
        return operations.save_page(intake.id, page, values, is_complete=is_left, **keep), is_sound
    except Invalid as error:
        form.form_errors.append(error.message)
        return operations.save_page(intake.id, page, values, is_complete=False, **keep), False


def _answer(saved: Saved, intake: Intake) -> Any:
    if saved.clash is not None:
        return problem(409, "conflict", _("This page was changed in another place."), revision=saved.clash.revision)
    said = {"saved_at": presenter.clock12(saved.leaf.saved_at, intake), "revision": saved.leaf.revision}
    return jsonify(said | ({"safety": True} if saved.level else {}))


def _tell_minor(intake: Intake) -> None:
    born = queries.born(intake, queries.values(intake.id))
    if born and pages.age_on(born, queries.today(intake)) < MINORS_UNDER:
        flash(
            _(
                "You wrote that you are under 18. Most of our treatments are for adults. "
                "You can go on: a person here looks at every form."
            )
        )


# -- safety ---------------------------------------------------------------------------------------------------------


@bp.route("/intake/safety", methods=["GET", "POST"])
@mine
def safety() -> Any:
    """Help now, before anything else; then the screener's questions or a person. Never blocks going on."""
    intake = open_form()
    after = request.values.get("after", "")
    after = after if after in pages.PAGES else "phq9-9"
    offers_questions = after == "phq9-9"
    form = presenter.form_of(forms.SafetyForm, intake, request.form if request.method == "POST" else None)
    if request.method == "POST":
        if form.validate() and form.next.data:
            values = form.values(request.form)
            operations.save_page(
                intake.id, pages.SAFETY, values, is_complete=True, revision=0, form=_form_id(), by=current_actor()
            )
            if form.next.data == "person":
                alerts.add_words(f"intake:{intake.id}", alerts.WANTS_A_PERSON, by=current_actor())
                flash(_("To talk to a person now: call or text 988, or call the clinic. You can go on here any time."))
            if form.next.data == "questions":
                return redirect(url_for(".page", page="cssrs-1", to=_to() or None))
        return redirect(_next(intake, after))
    return render(
        "intake/safety.html",
        intake,
        form=form if offers_questions else None,
        after=after,
        promises=presenter.promises(queries.help_of(intake.id)),
        next_url=_next(intake, after),
    )


# -- medicines ------------------------------------------------------------------------------------------------------


@bp.route("/intake/medicines", methods=["GET", "POST"])
@mine
def medicines() -> Any:
    """The list so far, a field for the next one, and "that is all"."""
    intake = open_form()
    leaf = queries.leaves(intake.id).get(pages.MEDICINES, EMPTY)
    if request.method == "GET":
        form = presenter.form_of(forms.MedicinesForm, intake, forms.stored(leaf.values) if leaf.values else None)
        return _show_list(intake, form, leaf)
    form = presenter.form_of(forms.MedicinesForm, intake, request.form)
    drug = form.values(request.form).get("drug", "")
    is_sound = form.validate()
    if "add" in request.form and not drug:
        form.drug.errors = [_("Write a name. A best guess is fine.")]
        is_sound = False
    if not is_sound:
        return _show_list(intake, form, leaf), 422
    if drug:
        try:
            key = operations.add_trial(intake.id, request.form.get("key", ""), drug, by=current_actor())
        except (Invalid, Conflict) as error:
            if isinstance(error, AlreadyOver):
                raise
            form.form_errors.append(error.message)
            return _show_list(intake, form, leaf), 422
    values = {name: value for name, value in form.values(request.form).items() if name != "drug"}
    is_left = not drug and not {"later", "files"} & set(request.form)
    operations.save_page(
        intake.id,
        pages.MEDICINES,
        values,
        is_complete=is_left,
        revision=leaf.revision,
        form=_form_id(),
        by=current_actor(),
    )
    if "later" in request.form:
        return redirect(url_for(".later"))
    if "files" in request.form and not drug:
        return redirect(url_for("intake_files.files", page=pages.MEDICINES))
    return redirect(url_for(".medicine", key=key, step=1) if drug else _next(intake, pages.MEDICINES))


def _show_list(intake: Intake, form: PageForm, leaf: Leaf) -> Any:
    removed = request.args.get("removed", "")
    gone = next((row for row in _removed(intake, removed)), None)
    return _show(
        pages.MEDICINES,
        intake,
        form,
        leaf,
        template="intake/medicines.html",
        rows=presenter.medicine_list(intake),
        key=str(uuid.uuid4()),
        gone=gone,
        gone_name=queries.trial_leaf(gone).values.get("drug", "") if gone else "",
        suggest_url=_suggest_url(),
    )


def _removed(intake: Intake, key: str) -> Iterator[IntakeTrial]:
    if key:
        try:
            row = queries.trial(intake.id, key[:36])
        except NotFound:
            return
        if row.removed_at is not None:
            yield row


def _suggest_url() -> str:
    """The search by brand or generic name stands above this feature; without it the name is typed."""
    return url_for("eligibility.drug_names") if "eligibility.drug_names" in current_app.view_functions else ""


@bp.route("/intake/medicines/<key>/<int:step>", methods=["GET", "POST"])
@mine
def medicine(key: str, step: int) -> Any:
    """One of a medicine's two short pages."""
    intake, form_class = open_form(), _step_class(step)
    row = queries.trial(intake.id, key[:36])
    if row.removed_at is not None:
        return redirect(url_for(".medicines", removed=row.key))
    leaf = queries.trial_leaf(row)
    if request.method == "GET":
        return _show_medicine(intake, row, step, presenter.form_of(form_class, intake, forms.stored(leaf.values)), leaf)
    sent = request.form.copy()
    if "rename" in sent:
        sent["drug"] = sent["rename"]
    form = presenter.form_of(form_class, intake, sent)
    is_sound = form.validate()
    saved = operations.save_trial(
        intake.id,
        row.key,
        step,
        form.values(sent),
        fields=presenter.names_on(form_class, intake),
        is_complete=is_sound and not {"files", "rename"} & set(sent),
        revision=_revision(),
        form=_form_id(),
        by=current_actor(),
    )
    if saved.clash is not None:
        stored = presenter.form_of(form_class, intake, forms.stored(saved.clash.values))
        return _show_medicine(intake, row, step, form, saved.clash, clash=presenter.differences(form, stored)), 409
    if "later" in request.form:
        return redirect(url_for(".later"))
    if not is_sound:
        return _show_medicine(intake, row, step, form, saved.leaf), 422
    if "rename" in request.form:
        return redirect(url_for(".medicine", key=row.key, step=1, to=_to() or None))
    if "files" in request.form:
        return redirect(url_for("intake_files.files", page=pages.MEDICINES, key=row.key, to=_to() or None))
    steps = pages.medicine_steps(saved.leaf.values)
    if step in steps[:-1]:
        return redirect(url_for(".medicine", key=row.key, step=steps[steps.index(step) + 1], to=_to() or None))
    return redirect(url_for(".review") if _to() else url_for(".medicines"))


@bp.post("/intake/medicines/<key>/<int:step>/autosave")
@mine
def autosave_medicine(key: str, step: int) -> Any:
    """Keep a draft of a medicine's page."""
    intake, form_class = open_form(), _step_class(step)
    form = presenter.form_of(form_class, intake, request.form)
    saved = operations.save_trial(
        intake.id,
        key[:36],
        step,
        form.values(request.form),
        fields=presenter.names_on(form_class, intake),
        is_complete=False,
        revision=_revision(),
        form=_form_id(),
        by=current_actor(),
    )
    return _answer(saved, intake)


def _step_class(step: int) -> type[PageForm]:
    if step not in presenter.STEPS:
        raise NotFound("no such page")
    return presenter.STEPS[step]


def _show_medicine(intake: Intake, row: IntakeTrial, step: int, form: PageForm, leaf: Leaf, **more: Any) -> Any:
    rows = presenter.medicine_list(intake)
    number = next((n for n, each in enumerate(rows, 1) if each["key"] == row.key), len(rows))
    steps = pages.medicine_steps(leaf.values)
    steps = steps if step in steps else sorted({*steps, step}, key=[1, 4, 2, 3].index)
    nth = steps.index(step)
    return _show(
        pages.MEDICINES,
        intake,
        form,
        leaf,
        template=MEDICINE_TEMPLATES[step],
        rows=rows,
        this=rows[number - 1],
        nth=number,
        step=nth + 1,
        steps=len(steps),
        key=row.key,
        open_step=step,
        stopped=leaf.values.get("stopped"),
        files=attachments.of_intake(intake) if step == LAST_STEP else [],
        suggest_url=_suggest_url(),
        save_url=url_for(".autosave_medicine", key=row.key, step=step),
        back_url=url_for(".medicine", key=row.key, step=steps[nth - 1]) if nth else url_for(".medicines"),
        **more,
    )


@bp.post("/intake/medicines/<key>/remove")
@mine
def remove(key: str) -> Any:
    """Take a medicine off the list; the list then offers to undo it."""
    intake = open_form()
    _keep_typed(intake)
    operations.remove_trial(intake.id, key[:36], by=current_actor())
    return redirect(url_for(".medicines", removed=key[:36]))


@bp.post("/intake/medicines/<key>/restore")
@mine
def restore(key: str) -> Any:
    """Undo the removal."""
    intake = open_form()
    _keep_typed(intake)
    operations.restore_trial(intake.id, key[:36], by=current_actor())
    return redirect(url_for(".medicines"))


def _keep_typed(intake: Intake) -> None:
    """A name that was typed and not added yet stays in its field."""
    values = presenter.form_of(forms.MedicinesForm, intake, request.form).values(request.form)
    if values:
        operations.save_page(
            intake.id,
            pages.MEDICINES,
            values,
            is_complete=False,
            revision=_revision(),
            form=_form_id(),
            by=current_actor(),
        )


# -- review, send ---------------------------------------------------------------------------------------------------


@bp.route("/intake/review", methods=["GET", "POST"])
@mine
def review() -> Any:
    """Every answer with Change, gaps dashed; then send."""
    if request.method == "POST":
        intake = own_form()
        try:
            operations.submit_intake(intake.id, by=current_actor())
        except Invalid as error:
            page = error.details["fields"][0]
            flash(
                _("You said that your care team may not use this form. So we did not send it.")
                if page == "consents"
                else _("Please look at this page once more, then send."),
                "error",
            )
            return redirect(url_for(".page", page=page, to=pages.REVIEW))
        return redirect(url_for(".done"))
    intake = open_form()
    saved = queries.leaves(intake.id)
    return render(
        "intake/review.html",
        intake,
        parts=presenter.parts(intake, saved),
        files=attachments.of_intake(intake),
        can_send=intake.patient_id is not None,
        last_url=url_for(".page", page="messages"),
    )


@bp.get("/intake/done")
@mine
def done() -> Any:
    """What happens next: only what the clinic really does."""
    intake = own_form()
    if intake.state == IntakeState.OPEN:
        return redirect(url_for(".resume"))
    patient = queries.patient_of(intake)
    return render(
        "intake/done.html",
        intake,
        channels=presenter.masked(patient),
        read_by=queries.review_due(intake),
        tz=queries.tz_of(intake),
    )


# -- staff ----------------------------------------------------------------------------------------------------------


@bp.get("/staff/patients/<int:patient_id>/intake")
@access.staff(*CLINICAL)
def answers(patient_id: int) -> Any:
    """Every answer as the person wrote it, for clinical roles. The reading is written down."""
    patient = patients.get_for(current_staff(), patient_id)
    intake = queries.latest_submitted(patient.id)
    if intake is None:
        raise NotFound("This person has not sent a form yet.")
    patient_operations.note_view(patient.id, part="intake", by=current_actor())
    saved = queries.leaves(intake.id)
    return render_template(
        "intake/answers.html",
        patient=patient,
        intake=intake,
        entered_by=_entered_by(intake),
        tz=queries.tz_of(intake),
        parts=presenter.parts(intake, saved) if saved else [],
        in_english=presenter.shown_in_english(intake, saved),
        files=attachments.of_patient(patient.id),
        consents=presenter.consent_rows(patient.id),
    )


def _entered_by(intake: Intake | None) -> str:
    """The staff member who filled the form in for the person; empty where the person did."""
    if intake is None or intake.entered_by is None:
        return ""
    return staff_names([intake.entered_by]).get(intake.entered_by, "staff")


def record_section(patient_id: int) -> Markup | None:
    """On the record: when the form was sent, and the way to it."""
    sent, is_open = queries.latest_submitted(patient_id), queries.open_of(patient_id)
    if sent is None and is_open is None:
        return None
    newest = is_open or sent
    assert newest is not None
    shown = render_template(
        "intake/section.html",
        entered_by=_entered_by(sent),
        sent=sent,
        is_open=is_open,
        tz=queries.tz_of(newest),
        patient_id=patient_id,
    )
    return Markup(shown)  # noqa: S704 - our own template, escaped by Jinja


chart.add_section(RECORD_ORDER, record_section, CLINICAL)


# -- shared ---------------------------------------------------------------------------------------------------------


def own_form() -> Intake:
    """The form of this browser's person, or the one that staff fill in here, sent or not. Raises NotFound."""
    found = frame.on_behalf() or _of(current_patient())
    if found is None:
        raise NotFound("You have no form that is open.")
    return found


def open_form() -> Intake:
    """The form that this browser's person fills. Raises NotFound, AlreadyOver."""
    intake = own_form()
    if intake.state != IntakeState.OPEN:
        raise AlreadyOver("This form was sent already.")
    return intake


def _to() -> str:
    """Where to go after saving, when the person came from the review."""
    return pages.REVIEW if request.values.get("to") == pages.REVIEW else ""


def _next(intake: Intake, page: str) -> str:
    answers = queries.values(intake.id)
    following = pages.after(page, answers, presenter.age(intake, answers))
    if _to() and not _opened_by(page, following):
        return url_for(".review")
    return presenter.address(following, to=_to())


def _opened_by(page: str, following: str) -> bool:
    """Whether an answer of this page opened the next one, so that even a change from the review goes on there."""
    return following.startswith(("cssrs-", "ptsd-", "therapy-")) and following.split("-")[0] in (page.split("-")[0],)


def _revision() -> int:
    try:
        return max(0, int(request.form.get("revision", "0")[:9]))
    except ValueError:
        return 0


def _form_id() -> str:
    return forms.clean(request.form.get("form", ""))[:32]


def _show(page: str, intake: Intake, form: PageForm, leaf: Leaf, template: str = "", **more: Any) -> Any:
    about = pages.PAGES[page]
    saved = queries.leaves(intake.id)
    answers = {key: each.values for key, each in saved.items()}
    earlier = pages.before(page, answers, presenter.age(intake, answers))
    number = int(page.removeprefix("phq9-")) if page.startswith("phq9-") else 0
    values: dict[str, Any] = {
        "page": page,
        "about": about,
        "form": form,
        "leaf": leaf,
        "number": number,
        "instrument": presenter.scale_of(page),
        "minutes": pace.minutes_left(intake, page, saved, key=more.get("key", ""), step=more.get("open_step", 0)),
        "is_private": page in pages.PRIVATE,
        "to": _to(),
        "form_id": secrets.token_hex(8),
        "saved_at": presenter.clock12(leaf.saved_at, intake),
        "save_url": url_for(".autosave", page=page),
        "back_url": presenter.address(earlier) if earlier else url_for(".start"),
        "skip_url": _next(intake, page),
        "files": attachments.of_intake(intake) if page in FILE_KINDS else [],
    }
    if page == "phq9-9":
        values["promises"] = _promises_before_an_answer(intake)
    if page == "places":
        values["few_places"] = len(form.places) <= RADIO_PLACES
        values["notes"] = {str(site.id): site.address for site in locations.active()}
    if page == "times":
        values |= {"weekdays": forms.WEEKDAYS, "day_parts": forms.DAY_PARTS}
    if page == "taking":
        assert isinstance(form, forms.TakingForm)
        values["taken"] = [(name, drugs.named(name).shown) for name in form.taken()]
        values["suggest_url"] = _suggest_url()
    if page in operations.CONSENTS:
        texts = {key: consents.shown(key, i18n.language()) for key in operations.CONSENTS[page]}
        values["marks"] = {f"{key}_text": text.digest.hex() for key, text in texts.items()}
    if page == "therapy-other":
        values["other_kind"] = (answers.get("therapy") or {}).get("other_kind")
    if page == "messages":
        values["patient"] = queries.patient_of(intake)
    return render(template or TEMPLATES.get(page, "intake/page.html"), intake, **values | more)


def _promises_before_an_answer(intake: Intake) -> list[str]:
    """What the hidden card may say before any answer was sent: only that nobody is there, when that is so."""
    facts = queries.hours_of(intake)
    return [] if facts.is_open else presenter.promises(facts)


def _show_clash(page: str, intake: Intake, form: PageForm, clash: Leaf) -> Any:
    stored = presenter.form_of(_form_class(page), intake, forms.stored(clash.values))
    return _show(page, intake, form, clash, clash=presenter.differences(form, stored)), 409


def render(template: str, intake: Intake, **values: Any) -> Any:
    """A page of the form, in the form's frame."""
    return render_template(
        template,
        clinic_profile=locations.profile(),
        session_key=f"intake-{intake.id}",
        parts_total=pages.PARTS,
        on_behalf=frame.on_behalf(),
        frame_note=frame.note(),
        **values,
    )
