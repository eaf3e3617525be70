"""Pages behind signed links in messages: no sign-in, nothing about health. Opening one changes nothing: mail scanners
open links too."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from flask import Blueprint, current_app, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _

from clinic import clock
from clinic.audit import Actor, ActorKind
from clinic.errors import AlreadyOver, Conflict, NotFound
from clinic.patients import operations as patient_operations
from clinic.patients import queries as patients
from clinic.patients.models import Channel
from clinic.reminders import answers, offers, queries, signed
from clinic.reminders.models import Answer, Message
from clinic.reminders.signed import Use
from clinic.scheduling.models import TreatmentSession
from clinic.staff import operations as staff_operations
from clinic.web import access, i18n
from clinic.web.limits import limiter

LASTS = timedelta(days=14)
YES_OR_NO = ("yes", "no")

bp = Blueprint("signed", __name__, template_folder="templates")


# -- visits -----------------------------------------------------------------------------------------------------------


@bp.get("/r/<token>")
@access.public
@limiter.limit("120 per hour")
def visit(token: str) -> Any:
    """The visits of a message, with three answers each."""
    row, visits = _opened(token)
    said = queries.open_task_keys([key(one) for one in visits for key in (answers.cannot_come_key, answers.late_key)])
    page = render_template(
        "reminders/visit.html",
        token=token,
        visits=visits,
        places=queries.places({one.location_id for one in visits}),
        declined={one.id for one in visits if answers.cannot_come_key(one) in said},
        late={one.id for one in visits if answers.late_key(one) in said},
        asked=row.session_id,
        changes=queries.open_changes(row.patient_id or 0, {one.change_id for one in visits if one.change_id}),
    )
    return page, 200 if visits else 410


@bp.post("/r/<token>/<int:session_id>/<said>")
@access.public
@limiter.limit("60 per hour")
def answer(token: str, session_id: int, said: str) -> Any:
    """I'll be there, I'm late, or I can't come: to this one visit."""
    row, visits = _opened(token)
    if said not in {str(one) for one in Answer} or session_id not in {one.id for one in visits}:
        raise NotFound("this visit is over, or the link does not open it")
    try:
        answers.answer_visit(session_id, Answer(said), by=_patient(row))
    except AlreadyOver:
        flash(_("This visit was changed meanwhile. Please look again."), "error")
    return redirect(url_for(".visit", token=token))


@bp.post("/r/<token>/new-times/<int:change_id>/<said>")
@access.public
@limiter.limit("60 per hour")
def answer_change(token: str, change_id: int, said: str) -> Any:
    """The new times of a re-plan suit, or they do not."""
    row, visits = _opened(token)
    if said not in YES_OR_NO or change_id not in {one.change_id for one in visits}:
        raise NotFound("there is nothing to answer")
    _answered(lambda: offers.answer_change(change_id, yes=said == "yes", by=_patient(row)))
    return redirect(url_for(".visit", token=token))


# -- what is held for a yes -------------------------------------------------------------------------------------------


@bp.get("/o/<token>")
@access.public
@limiter.limit("120 per hour")
def offer(token: str) -> Any:
    """Places that are held: take them, or leave them."""
    row = _message(Use.OFFER, token)
    held = offers.sessions_of(row.matter, clock.now())
    visits = held.visits if held is not None else []
    page = render_template(
        "reminders/offer.html",
        token=token,
        held=held,
        visits=visits,
        places=queries.places({location_id for _, location_id in visits}),
    )
    return page, 200 if held is not None else 410


@bp.post("/o/<token>/<said>")
@access.public
@limiter.limit("60 per hour")
def answer_offer(token: str, said: str) -> Any:
    """Yes or no, once."""
    row = _message(Use.OFFER, token)
    if said not in YES_OR_NO:
        raise NotFound("there is nothing to answer")
    if _answered(lambda: offers.answer(row.matter, yes=said == "yes", by=_patient(row))):
        flash(_("It is yours. We write to you with all dates.") if said == "yes" else _("Thank you. Nothing changes."))
    return redirect(url_for(".offer", token=token))


def _answered(call: Callable[[], None]) -> bool:
    try:
        call()
    except Conflict:
        flash(_("This is not possible any more. The clinic looks for another time with you."), "error")
        return False
    return True


def _patient(row: Message) -> Actor:
    return Actor(ActorKind.PATIENT, str(row.patient_id))


def _opened(token: str) -> tuple[Message, Sequence[TreatmentSession]]:
    """The message of a link and the visits that it opens now; none where it is too old. Raises NotFound."""
    row, now = _message(Use.VISIT, token), clock.now()
    return row, queries.visits_of(row, now) if now < row.created_at + LASTS else []


def _message(use: Use, token: str) -> Message:
    """The message of a link, its page in the person's language. Raises NotFound."""
    number = signed.read(use, token, current_app.config["SETTINGS"].secret_keys)
    row = queries.get(number) if number is not None else None
    if row is None or row.patient_id is None:
        raise NotFound("no such link")
    i18n.suggest(patients.get(row.patient_id).language)
    return row


# -- no more mail -----------------------------------------------------------------------------------------------------


@bp.get("/unsubscribe/<token>")
@access.public
@limiter.limit("120 per hour")
def unsubscribe_page(token: str) -> Any:
    """One button."""
    patient_id, staff_id = _whose(token)
    if patient_id is not None:
        i18n.suggest(patients.get(patient_id).language)
        is_on = patients.consents(patient_id).get(Channel.EMAIL, False)
    else:
        is_on = staff_operations.wants_morning_mail(staff_id or 0)
    return render_template("reminders/unsubscribe.html", token=token, is_on=is_on, is_staff=patient_id is None)


@bp.post("/unsubscribe/<token>")
@access.public
@limiter.limit("120 per hour")
def unsubscribe(token: str) -> Any:
    """Ends mail at once, and nothing else: the press of a mail program (RFC 8058), or of the page's button."""
    patient_id, staff_id = _whose(token)
    is_on = request.form.get("again") == "yes"
    if patient_id is not None:
        by = Actor(ActorKind.PATIENT, str(patient_id))
        patient_operations.set_consent(patient_id, Channel.EMAIL, is_on, by=by, source="unsubscribe")
    else:
        staff_operations.set_morning_mail(staff_id or 0, is_on)
    if request.form.get("List-Unsubscribe"):
        return "", 200
    return redirect(url_for(".unsubscribe_page", token=token))


def _whose(token: str) -> tuple[int | None, int | None]:
    """Patient or staff member of a token. Raises NotFound."""
    keys = current_app.config["SETTINGS"].secret_keys
    patient_id, staff_id = signed.read(Use.MAIL, token, keys), signed.read(Use.STAFF_MAIL, token, keys)
    if patient_id is None and staff_id is None:
        raise NotFound("no such link")
    return patient_id, staff_id
