"""The desk's pages: what was sent, to whom, when, what came back; and what was kept instead of sent."""

import re
from datetime import datetime
from typing import Any

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from markupsafe import Markup

from clinic.locations import queries as locations
from clinic.patients import chart
from clinic.patients import queries as patients
from clinic.reminders import dead, measures, operations, previewing, queries  # noqa: F401 - previewing registers its words
from clinic.reminders.forms import (
    ANSWER_WORDS,
    CHANNEL_WORDS,
    MEANING_WORDS,
    PURPOSE_WORDS,
    RECEIPT_WORDS,
    STATE_WORDS,
    FilterForm,
    ResendForm,
)
from clinic.reminders.models import Message, MessageState, Receipt
from clinic.staff.models import Role
from clinic.tasks import today
from clinic.tasks.models import Task, TaskKind
from clinic.web import access, context, health
from clinic.web.access import current_actor, current_staff
from clinic.web.arguments import row_id

READERS = (Role.FRONT_DESK, Role.NURSE, Role.PRESCRIBER, Role.MANAGER)
SENDERS = (Role.FRONT_DESK, Role.NURSE, Role.MANAGER)
KINDS = {"sent": "good", "failed": "stop", "due": "", "sending": "", "quiet": "unsure", "void": "unsure"}
RECEIPT_KINDS = {"on_its_way": "", "delivered": "good", "undelivered": "stop", "bounced": "stop"}
ANSWER_KINDS = {"coming": "good", "late": "due", "cannot": "due"}
MOST_FOUND = 100  # people with the same initials

bp = Blueprint("reminders", __name__, template_folder="templates")
context.NAV.append(("Messages", "reminders.messages", frozenset(map(str, READERS))))
health.MEASURES.append(measures.measures)


# -- the desk ---------------------------------------------------------------------------------------------------------


@bp.get("/staff/messages")
@access.staff(*READERS)
def messages() -> Any:
    """What was sent, to whom, when, what came back, and why not; newest first."""
    form = FilterForm(request.args)
    wanted: dict[str, Any] = form.wanted()
    before_id, after_id = request.args.get("before", type=row_id), request.args.get("after", type=row_id)
    found = None
    if "q" in wanted:
        found = {one.id for one in patients.search(wanted["q"], limit=MOST_FOUND)}
    lines = queries.listing(
        current_staff().location_ids,
        state=wanted.get("state"),
        purpose=wanted.get("purpose"),
        channel=wanted.get("channel"),
        patient_ids=found,
        before_id=before_id,
        after_id=after_id,
    )
    is_full = len(lines) == queries.PAGE
    more, newer = is_full or after_id is not None, before_id is not None or (after_id is not None and is_full)
    return render_template(
        "reminders/messages.html",
        lines=lines,
        form=form,
        wanted=wanted,
        tz=locations.clinic_tz(),
        next_url=url_for(".messages", **wanted, before=lines[-1].message.id) if lines and more else "",
        previous_url=url_for(".messages", **wanted, after=lines[0].message.id) if lines and newer else "",
        **_words(),
    )


@bp.route("/staff/messages/<int:message_id>", methods=["GET", "POST"])
@access.staff(*READERS)
def message(message_id: int) -> Any:
    """One message; what did not reach the person can be sent again, with a reason."""
    staff, form = current_staff(), ResendForm()
    row = queries.seen_by(message_id, staff.location_ids)
    if request.method == "POST":
        if not staff.has(*SENDERS):
            abort(403)
        if form.validate():
            again = operations.resend(row.id, reason=form.reason.data or "", by=current_actor())
            flash("It goes out again.")
            return redirect(url_for(".message", message_id=again))
    page = render_template(
        "reminders/message.html",
        row=row,
        patient=patients.get(row.patient_id) if row.patient_id is not None else None,
        form=form,
        may_send=staff.has(*SENDERS) and _did_not_reach(row),
        copies=queries.copies(row.id),
        body=without_links(row.body or ""),
        tz=locations.clinic_tz(),
        **_words(),
    )
    return page, 422 if form.is_submitted() else 200


def _did_not_reach(row: Message) -> bool:
    is_lost = row.state in (MessageState.FAILED, MessageState.QUIET)
    return is_lost or row.receipt in (Receipt.UNDELIVERED, Receipt.BOUNCED)


@bp.get("/staff/messages/in")
@access.staff(*READERS)
def texts_in() -> Any:
    """Texts that came in, newest first."""
    lines = queries.inbound_listing(current_staff().location_ids, before_id=request.args.get("before", type=row_id))
    more = len(lines) == queries.PAGE
    return render_template(
        "reminders/texts_in.html",
        lines=lines,
        tz=locations.clinic_tz(),
        next_url=url_for(".texts_in", before=lines[-1].text.id) if more else "",
        **_words(),
    )


@bp.get("/staff/messages/in/<int:inbound_id>")
@access.staff(*READERS)
def text_in(inbound_id: int) -> Any:
    """One text that came in, and what was written back."""
    row = queries.inbound_seen_by(inbound_id, current_staff().location_ids)
    return render_template(
        "reminders/text_in.html",
        row=row,
        patient=patients.get(row.patient_id) if row.patient_id is not None else None,
        sharing=[] if row.patient_id is not None else patients.reached_at(row.sender),
        tz=locations.clinic_tz(),
        **_words(),
    )


@bp.get("/staff/patients/<int:patient_id>/messages")
@access.staff(*READERS)
def of_patient(patient_id: int) -> Any:
    """Everything that was written to one person and that they wrote, newest first."""
    patient = patients.get_for(current_staff(), patient_id)
    events = queries.timeline(patient_id, before=_instant(request.args.get("before")))
    more = len(events) == queries.PAGE
    return render_template(
        "reminders/timeline.html",
        patient=patient,
        events=events,
        consents=patients.consents(patient_id),
        dead=dead.of_patient(patient),
        may_send=current_staff().has(*SENDERS),
        tz=locations.clinic_tz(),
        next_url=url_for(".of_patient", patient_id=patient_id, before=events[-1].at.isoformat()) if more else "",
        **_words(),
    )


@bp.post("/staff/patients/<int:patient_id>/address-works")
@access.staff(*SENDERS)
def address_works(patient_id: int) -> Any:
    """An address takes messages after all."""
    patients.get_for(current_staff(), patient_id)
    operations.address_works(patient_id, request.form.get("channel", ""), by=current_actor())
    flash("Messages go to this address again.")
    return redirect(url_for(".of_patient", patient_id=patient_id))


def _instant(text: str | None) -> datetime | None:
    try:
        found = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


def without_links(body: str) -> str:
    """The text without what opens a person's pages or account."""
    return re.sub(r"/(l|o|r|unsubscribe|staff/welcome)/[\w.-]+", r"/\1/…", body)


def _words() -> dict[str, Any]:
    return {
        "states": STATE_WORDS,
        "purposes": PURPOSE_WORDS,
        "channels": CHANNEL_WORDS,
        "kinds": KINDS,
        "receipts": RECEIPT_WORDS,
        "receipt_kinds": RECEIPT_KINDS,
        "answers": ANSWER_WORDS,
        "answer_kinds": ANSWER_KINDS,
        "meanings": MEANING_WORDS,
    }


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
    return context.rendered(
        "reminders/chart.html", lines=lines, patient_id=patient_id, tz=locations.clinic_tz(), **_words()
    )


def _failed(task: Task) -> today.Target | None:
    about = PURPOSE_WORDS.get(task.subject.get("purpose", ""), "A message")
    if task.subject.get("count"):
        text = f"{about}: {task.subject['count']} messages could not go out in time. Call those whose visit is near."
        url = url_for("reminders.messages", state=MessageState.FAILED, purpose=task.subject.get("purpose"))
        return today.Target(url, "See messages", text)
    message_id = task.subject.get("message_id")
    if message_id is None:
        return None
    channel = CHANNEL_WORDS.get(task.subject.get("channel", ""), "message").lower()
    text = f"{about}: the {channel} could not be delivered. Call, or correct the address."
    return today.Target(url_for("reminders.message", message_id=message_id), "See message", text)


def _call(task: Task) -> today.Target | None:
    about = PURPOSE_WORDS.get(task.subject.get("purpose", ""), "A message")
    url = url_for("reminders.message", message_id=task.subject["message_id"])
    return today.Target(url, "See what to say", f"{about}: this person wants to be called.")


def _text(task: Task) -> today.Target | None:
    url = url_for("reminders.text_in", inbound_id=task.subject["inbound_id"])
    return today.Target(url, "Read it", "A text came in that no rule reads. Call or answer.")


def _stuck(task: Task) -> today.Target | None:
    return today.Target(url_for("reminders.messages", state=MessageState.DUE), "See messages")


chart.add_section(70, _chart, roles=READERS)
today.TARGETS[TaskKind.MESSAGE_FAILED] = _failed
today.TARGETS[TaskKind.CALL_PATIENT] = _call
today.TARGETS[TaskKind.UNCLEAR_REPLY] = _text
today.TARGETS[TaskKind.MESSAGES_STUCK] = _stuck
