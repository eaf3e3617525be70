"""What a patient is asked: new times after an outage, a course that came free. Yes or no, once; a person is one tap away."""

from typing import Any

from flask import flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from markupsafe import Markup

from clinic import clock
from clinic.audit import Actor, ActorKind
from clinic.errors import Conflict, NotFound
from clinic.locations import queries as locations
from clinic.patients import chart
from clinic.patients.models import LinkPurpose
from clinic.protocols.shapes import bookable
from clinic.scheduling import answering, holding, presenter, queries, waiting
from clinic.scheduling.blueprint import bp
from clinic.scheduling.models import ChangeState, OfferState, ScheduleChange, WaitlistOffer
from clinic.web import access, context
from clinic.web.access import current_patient

mine = access.patient(LinkPurpose.SIGN_IN)


def _me() -> Actor:
    return Actor(ActorKind.PATIENT, str(current_patient().patient_id))


# -- new times after an outage ----------------------------------------------------------------------------------------


def _own_change(change_id: int) -> ScheduleChange:
    """A re-plan of one's own. Raises NotFound."""
    row = answering.get(change_id)
    if row.patient_id != current_patient().patient_id:
        raise NotFound("no such change")
    return row


@bp.get("/me/changes/<int:change_id>")
@mine
def my_change(change_id: int) -> Any:
    """The new times beside the old ones, and two buttons."""
    row = _own_change(change_id)
    return render_template(
        "scheduling/my_change.html",
        change=row,
        lines=presenter.moved_lines(row.moves),
        can_answer=row.state in answering.OPEN and row.answer_by > clock.now(),
        accepted=row.state == ChangeState.ACCEPTED,
        tabs=chart.tabs("scheduling.dates"),
        tz=locations.clinic_tz(),
    )


@bp.post("/me/changes/<int:change_id>")
@mine
def answer_change(change_id: int) -> Any:
    """Yes, or other times."""
    _own_change(change_id)
    try:
        if request.form.get("answer") == "yes":
            answering.accept_change(change_id, by=_me())
            flash(_("Thank you. Your new times are set."))
            return redirect(url_for(".dates"))
        state = answering.decline_change(change_id, by=_me())
    except Conflict:
        flash(_("This was answered, or its time is over. Here is what is booked now."), "error")
        return redirect(url_for(".dates"))
    if state in answering.OPEN:
        flash(_("We looked again. Do these times suit you?"))
        return redirect(url_for(".my_change", change_id=change_id))
    flash(_("Thank you for telling us. A person from the clinic calls you to find a time."))
    return redirect(url_for(".dates"))


# -- a course that came free ------------------------------------------------------------------------------------------


def _own_offer(offer_id: int) -> WaitlistOffer:
    """An offer to oneself. Raises NotFound."""
    row = waiting.get_offer(offer_id)
    if row.patient_id != current_patient().patient_id:
        raise NotFound("no such offer")
    return row


@bp.get("/me/offers/<int:offer_id>")
@mine
def my_offer(offer_id: int) -> Any:
    """A whole course that is kept for a while, and two buttons."""
    row = _own_offer(offer_id)
    proposal = queries.proposal(row.proposal_id)
    sessions = holding.planned(proposal)
    site = locations.get(sessions[0].location_id)
    return render_template(
        "scheduling/my_offer.html",
        offer=row,
        protocol=bookable()[proposal.protocol].name,
        sessions=sessions,
        places=presenter.places_of(session.location_id for session in sessions),
        site=site,
        can_answer=row.state == OfferState.OPEN and row.expires_at > clock.now(),
        tabs=chart.tabs("scheduling.dates"),
    )


@bp.post("/me/offers/<int:offer_id>")
@mine
def answer_offer(offer_id: int) -> Any:
    """Yes: every session is booked. No: the place on the list stays."""
    _own_offer(offer_id)
    try:
        if request.form.get("answer") == "yes":
            waiting.accept(offer_id, by=_me())
            flash(_("Your course is booked. All dates are here."))
        else:
            waiting.decline(offer_id, by=_me())
            flash(_("That is fine. You stay on the list."))
    except Conflict:
        flash(_("This offer is over. You stay on the list."), "error")
    return redirect(url_for(".dates"))


# -- on the patient's home --------------------------------------------------------------------------------------------


def _asked(patient_id: int) -> Markup | None:
    """What waits for an answer, before all else."""
    changes = [(one, presenter.what_changed(one.moves)) for one in answering.open_of_patient(patient_id)]
    offers = waiting.open_offers(patient_id)
    if not changes and not offers:
        return None
    return context.rendered("scheduling/home_asked.html", changes=changes, offers=offers, tz=locations.clinic_tz())


chart.add_home(5, _asked)
