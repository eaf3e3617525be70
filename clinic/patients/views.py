"""Links, the birth-date question, the patient's own pages, and the staff's search and record."""

from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint, flash, g, make_response, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext

from clinic import clock
from clinic.audit import Actor, ActorKind, system
from clinic.errors import Conflict, Expired, Invalid
from clinic.locations import queries as locations
from clinic.patients import chart, links, operations, queries, signin
from clinic.patients.forms import AskLinkForm, BirthDateForm, ContactForm, MessagesForm, SearchForm
from clinic.patients.models import LinkPurpose, Patient, about
from clinic.staff.models import Role
from clinic.staff.queries import staff_names
from clinic.web import access, context, cookies, i18n
from clinic.web.access import PatientCaller, current_actor, current_patient, current_staff, is_safe_next
from clinic.web.arguments import row_id
from clinic.web.limits import even, limiter

EDITORS = (Role.FRONT_DESK, Role.NURSE, Role.PRESCRIBER, Role.MANAGER)
LOG_READERS = (Role.PRESCRIBER, Role.MANAGER)
LOG_PAGE = 50

bp = Blueprint("patients", __name__, template_folder="templates")
context.NAV.append(("Patients", "patients.search", frozenset()))
context.add("find_url", lambda: url_for("patients.search") if g.get("staff") else "")
chart.TABS.append(chart.Tab(10, lazy_gettext("Home"), "patients.home", "home"))
chart.TABS.append(chart.Tab(90, lazy_gettext("Messages"), "patients.messages", "text"))


def _language(caller: PatientCaller) -> str | None:
    return queries.get(caller.patient_id).language if caller.patient_id is not None else None


def _keep_language(caller: PatientCaller, language: str) -> None:
    assert caller.patient_id is not None
    operations.choose_language(caller.patient_id, language, by=Actor(ActorKind.PATIENT, str(caller.patient_id)))


i18n.add_keeper(20, _language, _keep_language)


# -- links and sessions -----------------------------------------------------------------------------------------------


@bp.get("/l/<token>")
@access.public
@limiter.limit("120 per hour")
def link(token: str) -> Any:
    """Show Continue. Nothing changes: mail scanners open links too."""
    found = links.find_link(token)
    if found is None:
        return render_template("patients/link_unknown.html"), 404
    if found.patient_id is not None:
        i18n.suggest(queries.get(found.patient_id).language)
    if found.spent_at is None and found.expires_at > clock.now():
        return render_template("patients/link.html", token=token)
    go_on = _opened_before(token)
    if go_on:
        return render_template("patients/link.html", token=token, go_on=go_on)
    return render_template("patients/link_old.html", token=token), 410


@bp.post("/l/<token>")
@access.public
@limiter.limit("60 per hour")
def spend_link(token: str) -> Any:
    """Spend the link, open the patient session, and go on to what the link is for."""
    try:
        spent, cookie = operations.spend_link(token, checked_for=_checked_for())
    except Expired:
        go_on = _opened_before(token)
        return redirect(go_on) if go_on else (render_template("patients/link_old.html", token=token), 410)
    response = make_response(redirect(chart.landing(chart.Opened(spent.purpose, **about(spent)))))
    signin.set_cookie(response, cookie)
    return response


def _checked_for() -> int | None:
    """The person whose date of birth was given in this browser, in a session that still runs and is nobody else's."""
    caller = g.get("patient")
    if caller is None or caller.is_kiosk or caller.birth_date_checked_at is None:
        return None
    return caller.patient_id


def _opened_before(token: str) -> str | None:
    """Where to go on when this browser spent the very link before (a second press, a reload)."""
    found, caller = links.find_link(token), g.get("patient")
    if found is None or caller is None:
        return None
    opened = chart.Opened(
        caller.purpose, caller.intake_id, caller.survey_id, caller.treatment_session_id, caller.ask_id
    )
    same = opened == chart.Opened(found.purpose, **about(found))
    return chart.landing(opened) if same and caller.patient_id == found.patient_id else None


@bp.post("/l/<token>/fresh")
@access.public
@limiter.limit("10 per hour")
def fresh_link(token: str) -> Any:
    """Send a fresh link to the channel that we know, in place of one that was used or is too old."""
    if operations.request_link_again(token, by=system("link page")):
        return render_template("patients/link_sent.html")
    return redirect(url_for(".ask_link"))


@bp.route("/link", methods=["GET", "POST"])
@access.public
@limiter.limit("20 per hour", methods=["POST"])
def ask_link() -> Any:
    """Ask for a fresh link by email or phone. The answer and its time are the same whether we know the address or not."""
    form = AskLinkForm()
    if not form.validate_on_submit():
        return render_template("patients/ask_link.html", form=form), 422 if form.is_submitted() else 200
    with even():
        operations.request_links_to(form.contact.data or "", by=system("link page"))
    return render_template("patients/link_sent.html", asked=True)


@bp.route("/birth-date", methods=["GET", "POST"])
@access.patient(birth_date=False)
@limiter.limit("20 per hour", methods=["POST"])
def birth_date() -> Any:
    """Ask for the date of birth before anything about health is shown."""
    caller, form = current_patient(), BirthDateForm()
    target = request.args.get("next")
    target = target if target and is_safe_next(target) else url_for(".home")
    if caller.patient_id is None:
        return redirect(url_for(".ask_link"))
    if caller.birth_date_checked_at is not None:
        return redirect(target)
    if not form.validate_on_submit():
        return render_template("patients/birth_date.html", form=form), 422 if form.is_submitted() else 200
    given = form.value()
    assert given is not None
    if operations.check_birth_date(caller.session_id, given):
        return redirect(target)
    if queries.is_session_over(caller.session_id):
        flash(_("That was not the date that we have. Ask for a fresh link to try again."), "error")
        return redirect(url_for(".ask_link"))
    form.year.errors = [_("That is not the date that we have. Please check it.")]
    return render_template("patients/birth_date.html", form=form), 422


# -- the patient's own pages ------------------------------------------------------------------------------------------


@bp.get("/me")
@access.patient(LinkPurpose.SIGN_IN)
def home() -> Any:
    """What is next, and how far along."""
    patient = queries.get(_own_id())
    plan, more = chart.home_for(patient.id)
    hour = clock.now().astimezone(ZoneInfo(patient.tz)).hour
    return render_template(
        "patients/home.html",
        patient=patient,
        plan=plan,
        more=more,
        part_of_day="morning" if hour < 12 else "afternoon" if hour < 18 else "evening",
        today=clock.today(patient.tz),
        tabs=chart.tabs("patients.home"),
    )


@bp.route("/me/messages", methods=["GET", "POST"])
@access.patient(LinkPurpose.SIGN_IN)
def messages() -> Any:
    """Which channels we may use, and how often."""
    patient, given = queries.get(_own_id()), queries.consents(_own_id())
    form = MessagesForm(
        email=_yes_no(given.get("email")),
        sms=_yes_no(given.get("sms")),
        voice=_yes_no(given.get("voice")),
        style=patient.message_style,
    )
    if form.validate_on_submit():
        answers = {"email": form.email.data, "sms": form.sms.data, "voice": form.voice.data}
        operations.choose_messages(
            patient.id,
            style=form.style.data,
            consents={channel: answer == "yes" for channel, answer in answers.items() if answer in ("yes", "no")},
            by=current_actor_of(patient),
        )
        flash(_("Saved."))
        return redirect(url_for(".messages"))
    status = 422 if form.is_submitted() else 200
    return render_template(
        "patients/messages.html", form=form, patient=patient, tabs=chart.tabs("patients.messages")
    ), status


@bp.post("/me/sign-out")
@access.patient(birth_date=False)
def sign_out() -> Any:
    """End this browser's session."""
    operations.end_session(current_patient().session_id)
    response = make_response(redirect(url_for(".ask_link")))
    cookies.forget(response, signin.COOKIE)
    return response


def _own_id() -> int:
    patient_id = current_patient().patient_id
    assert patient_id is not None
    return patient_id


def current_actor_of(patient: Patient) -> Actor:
    """The patient as the actor, also in a browser where a staff member is signed in as well."""
    return Actor(ActorKind.PATIENT, str(patient.id))


def _yes_no(granted: bool | None) -> str | None:
    return None if granted is None else "yes" if granted else "no"


# -- staff --------------------------------------------------------------------------------------------------------------


@bp.get("/staff/patients")
@access.staff()
def search() -> Any:
    """Find by record number, phone, email or initials: exactly, because names are kept as ciphertext."""
    form = SearchForm(request.args)
    text = (form.q.data or "").strip()
    ok = form.validate()
    found = queries.search(text) if ok else []
    if text and ok:
        operations.note_search([patient.id for patient in found], by=current_actor())
    if len(found) == 1 and found[0].record_number == text.upper():
        return redirect(url_for(".record", patient_id=found[0].id))
    return render_template(
        "patients/search.html", form=form, text=text, found=found, sites=locations.names()
    ), 200 if ok else 422


@bp.get("/staff/patients/<int:patient_id>")
@access.staff()
def record(patient_id: int) -> Any:
    """One person's record. Every reading of it is written down."""
    staff = current_staff()
    patient = queries.get_for(staff, patient_id)
    operations.note_view(patient.id, part="record", by=current_actor())
    return render_template(
        "patients/record.html",
        patient=patient,
        parts=chart.sections_for(patient.id, staff.roles),
        consents=queries.consents(patient.id),
        site=locations.names().get(patient.preferred_location_id or 0),
        age=_age(patient),
        may_edit=staff.has(*EDITORS),
        may_read_log=staff.has(*LOG_READERS),
    )


@bp.route("/staff/patients/<int:patient_id>/contacts", methods=["GET", "POST"])
@access.staff(*EDITORS)
def contacts(patient_id: int) -> Any:
    """Change contacts, consents and message style."""
    patient = queries.get_for(current_staff(), patient_id)
    given = queries.consents(patient.id)
    form = ContactForm(
        obj=patient,
        sites=locations.names(),
        data={
            "preferred_location_id": patient.preferred_location_id or 0,
            "email_consent": _yes_no(given.get("email")) or "unknown",
            "sms_consent": _yes_no(given.get("sms")) or "unknown",
            "voice_consent": _yes_no(given.get("voice")) or "unknown",
        },
    )
    if form.validate_on_submit():
        try:
            operations.change_contacts(patient.id, form.command(), by=current_actor())
        except Invalid as error:
            form.form_errors.append(error.message)
        else:
            flash("Saved.")
            return redirect(url_for(".record", patient_id=patient.id))
    elif not form.is_submitted():
        operations.note_view(patient.id, part="contacts", by=current_actor())
    return render_template("patients/contacts.html", form=form, patient=patient), 422 if form.is_submitted() else 200


LINK_WORDS = {
    operations.LinkWish.ASKED: ("A sign-in link is on its way.", "message"),
    operations.LinkWish.JUST_ASKED: (
        "A link was asked for a moment ago: that one is on its way, no second one.",
        "message",
    ),
    operations.LinkWish.ENOUGH: (
        f"No link was sent: {operations.MAX_REQUESTS} were asked for within the hour, and nobody is sent more.",
        "error",
    ),
}


@bp.post("/staff/patients/<int:patient_id>/link")
@access.staff(*EDITORS)
@limiter.limit("60 per hour")
def send_link(patient_id: int) -> Any:
    """Send the person a sign-in link over a channel that we know."""
    patient = queries.get_for(current_staff(), patient_id)
    try:
        wish = operations.request_link(patient.id, by=current_actor())
    except Conflict as error:
        flash(error.message, "error")
    else:
        flash(*LINK_WORDS[wish])
    return redirect(url_for(".record", patient_id=patient.id))


@bp.get("/staff/patients/<int:patient_id>/log")
@access.staff(*LOG_READERS)
def log(patient_id: int) -> Any:
    """Who read or changed this record."""
    patient = queries.get_for(current_staff(), patient_id)
    operations.note_view(patient.id, part="log", by=current_actor())
    events = queries.events(patient.id, before=request.args.get("before", type=row_id), limit=LOG_PAGE + 1)
    shown = events[:LOG_PAGE]
    names = staff_names([int(event.actor_key) for event in shown if event.actor_kind == ActorKind.STAFF])
    return render_template(
        "patients/log.html",
        patient=patient,
        events=shown,
        who={event.id: _who(event.actor_kind, event.actor_key, names) for event in shown},
        next_url=url_for(".log", patient_id=patient.id, before=shown[-1].id) if len(events) > LOG_PAGE else "",
        tz=locations.clinic_tz(),
    )


def _who(kind: str, key: str, names: dict[int, str]) -> str:
    if kind == ActorKind.STAFF:
        return names.get(int(key), f"staff {key}")
    return {ActorKind.PATIENT: "the patient", ActorKind.SERVICE: f"token {key}"}.get(ActorKind(kind), key)


def _age(patient: Patient) -> int:
    today, born = clock.today(patient.tz), patient.birth_date
    return today.year - born.year - ((today.month, today.day) < (born.month, born.day))
