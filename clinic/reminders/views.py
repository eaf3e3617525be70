"""The desk's list of messages, the patient's answer to a visit, and what was kept instead of sent."""

import re
from typing import Any

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from markupsafe import Markup

from clinic import clock
from clinic.errors import AlreadyOver, NotFound
from clinic.locations import queries as locations
from clinic.patients import chart
from clinic.patients import queries as patients
from clinic.patients.models import LinkPurpose
from clinic.reminders import answers, operations, queries
from clinic.reminders.forms import CHANNEL_WORDS, PURPOSE_WORDS, STATE_WORDS, FilterForm, ResendForm
from clinic.reminders.models import MessageState
from clinic.staff.models import Role
from clinic.tasks import today
from clinic.tasks.models import Task, TaskKind
from clinic.web import access, context
from clinic.web.access import current_actor, current_patient, current_staff

READERS = (Role.FRONT_DESK, Role.NURSE, Role.PRESCRIBER, Role.MANAGER)
SENDERS = (Role.FRONT_DESK, Role.NURSE, Role.MANAGER)
KINDS = {"sent": "good", "failed": "stop", "due": "", "sending": "", "quiet": "unsure", "void": "unsure"}

bp = Blueprint("reminders", __name__, template_folder="templates")
context.NAV.append(("Messages", "reminders.messages", frozenset(map(str, READERS))))


# -- the desk ---------------------------------------------------------------------------------------------------------


@bp.get("/staff/messages")
@access.staff(*READERS)
def messages() -> Any:
    """What was sent, to whom, when, and why not; newest first."""
    form = FilterForm(request.args)
    wanted: dict[str, Any] = form.wanted()
    before_id = request.args.get("before", type=int)
    lines = queries.listing(
        current_staff().location_ids,
        state=wanted.get("state"),
        purpose=wanted.get("purpose"),
        channel=wanted.get("channel"),
        record_number=wanted.get("record"),
        before_id=before_id,
    )
    more = len(lines) == queries.PAGE
    return render_template(
        "reminders/messages.html",
        lines=lines,
        form=form,
        wanted=wanted,
        tz=locations.clinic_tz(),
        next_url=url_for(".messages", **wanted, before=lines[-1].message.id) if more else "",
        previous_url=url_for(".messages", **wanted) if before_id else "",
        **_words(),
    )


@bp.route("/staff/messages/<int:message_id>", methods=["GET", "POST"])
@access.staff(*READERS)
def message(message_id: int) -> Any:
    """One message; what was not delivered can be sent again, with a reason."""
    staff, form = current_staff(), ResendForm()
    row = queries.seen_by(message_id, staff.location_ids)
    may_send = staff.has(*SENDERS) and row.state in (MessageState.FAILED, MessageState.QUIET)
    if request.method == "POST":
        if not staff.has(*SENDERS):
            abort(403)
        if form.validate():
            operations.resend(row.id, reason=form.reason.data or "", by=current_actor())
            flash("It goes out again.")
            return redirect(url_for(".message", message_id=row.id))
    page = render_template(
        "reminders/message.html",
        row=row,
        patient=patients.get(row.patient_id) if row.patient_id is not None else None,
        form=form,
        may_send=may_send,
        body=without_links(row.body or ""),
        tz=locations.clinic_tz(),
        **_words(),
    )
    return page, 422 if form.is_submitted() else 200


def without_links(body: str) -> str:
    """The text without what opens a patient's pages."""
    return re.sub(r"/l/[\w-]+", "/l/…", body)


def _words() -> dict[str, Any]:
    return {"states": STATE_WORDS, "purposes": PURPOSE_WORDS, "channels": CHANNEL_WORDS, "kinds": KINDS}


# -- the patient ------------------------------------------------------------------------------------------------------


@bp.get("/visit")
@access.patient(LinkPurpose.VISIT, birth_date=False)
def visit() -> Any:
    """The visit of the link, and those of the week after it: two answers each. Nothing about health is shown."""
    caller = current_patient()
    assert caller.patient_id is not None
    visits = queries.visits_with(caller.treatment_session_id or 0, caller.patient_id, clock.now())
    declined = queries.open_task_keys([answers.cannot_come_key(row) for row in visits])
    return render_template(
        "reminders/visit.html",
        visits=visits,
        places=queries.places({row.location_id for row in visits}),
        declined={row.id for row in visits if answers.cannot_come_key(row) in declined},
        asked=caller.treatment_session_id,
    )


@bp.post("/visit/<int:session_id>/confirm")
@access.patient(LinkPurpose.VISIT, birth_date=False)
def confirm(session_id: int) -> Any:
    """I'll be there."""
    _must_be_shown(session_id)
    try:
        answers.confirm_visit(session_id, by=current_actor())
    except AlreadyOver:
        flash(_("This visit was changed meanwhile. Please look again."), "error")
    return redirect(url_for(".visit"))


@bp.post("/visit/<int:session_id>/cannot-come")
@access.patient(LinkPurpose.VISIT, birth_date=False)
def cannot_come(session_id: int) -> Any:
    """I can't come: the desk is told."""
    _must_be_shown(session_id)
    try:
        answers.decline_visit(session_id, by=current_actor())
    except AlreadyOver:
        flash(_("This visit was changed meanwhile. Please look again."), "error")
    return redirect(url_for(".visit"))


def _must_be_shown(session_id: int) -> None:
    """Raises NotFound for a visit that the link does not open."""
    caller = current_patient()
    assert caller.patient_id is not None
    shown = queries.visits_with(caller.treatment_session_id or 0, caller.patient_id, clock.now())
    if session_id not in {row.id for row in shown}:
        raise NotFound("this visit is over, or the link does not open it")


# -- development ------------------------------------------------------------------------------------------------------


@bp.get("/dev/outbox")
@access.development
def outbox() -> Any:
    """Messages as they went out, or were kept because no provider is set up."""
    return render_template("reminders/outbox.html", rows=queries.kept(), tz=locations.clinic_tz(), **_words())


# -- parts of other pages ---------------------------------------------------------------------------------------------


def _chart(patient_id: int) -> Markup | None:
    lines = queries.of_patient(patient_id, limit=10)
    if not lines:
        return None
    return context.rendered("reminders/chart.html", lines=lines, tz=locations.clinic_tz(), **_words())


def _target(task: Task) -> today.Target | None:
    message_id = task.subject.get("message_id")
    if message_id is None:
        return None
    about = _words()["purposes"].get(task.subject.get("purpose"), "A message")
    channel = CHANNEL_WORDS.get(task.subject.get("channel", ""), "message").lower()
    text = f"{about}: the {channel} could not be delivered. Call, or correct the address."
    return today.Target(url_for("reminders.message", message_id=message_id), "See message", text)


chart.add_section(70, _chart, roles=READERS)
today.TARGETS[TaskKind.MESSAGE_FAILED] = _target
