"""The waiting list for staff: who waits and since when, what is offered to whom until when, onto the list and off it."""

from collections.abc import Sequence
from typing import Any

from flask import flash, redirect, render_template, request, url_for

from clinic import clock
from clinic.errors import AlreadyOver, Conflict, DecisionRequired, Invalid
from clinic.locations import queries as locations
from clinic.locations.models import Location
from clinic.patients import queries as patients
from clinic.protocols.shapes import bookable
from clinic.scheduling import presenter, queries, waiting, wishes
from clinic.scheduling.blueprint import DESK, FLOOR, bp
from clinic.scheduling.board_views import own_site
from clinic.scheduling.course_form import course_form
from clinic.scheduling.models import WaitlistEntry, WaitState
from clinic.web import access
from clinic.web.access import current_actor, current_staff

PRIORITIES = ((0, "Usual"), (1, "Soon"), (2, "Urgent"))


def chosen_site(slug: str) -> Location | None:
    """The site that the list is narrowed to; None: all of the caller's. Raises NotFound, Refused."""
    return own_site(slug) if slug else None


def shown_rows(site: Location | None) -> Sequence[WaitlistEntry]:
    """Who waits for that site, or for any of the caller's."""
    return waiting.waiting(current_staff().location_ids if site is None else {site.id})


@bp.get("/staff/waitlist")
@access.staff(*FLOOR)
def waitlist() -> Any:
    """Who waits, in the order in which they are asked."""
    site = chosen_site(request.args.get("site", ""))
    rows = shown_rows(site)
    offers = waiting.open_offers_of([row.id for row in rows])
    plans = {row.id: row for row in queries.proposals([offer.proposal_id for offer in offers.values()])}
    return render_template(
        "scheduling/waitlist.html",
        rows=[(row, wishes.wish_from_json(row.wish), offers.get(row.id)) for row in rows],
        firsts={key: presenter.first_of(plan) for key, plan in plans.items()},
        people=patients.briefs(row.patient_id for row in rows),
        sites=locations.names(),
        narrowed=site,
        choices=queries.site_slugs(current_staff().location_ids),
        free_to_plan=sum(row.state == WaitState.WAITING for row in rows),
        protocols={key: one.name for key, one in bookable().items()},
        hours=presenter.clock24,
        priorities=dict(PRIORITIES),
        now=clock.now(),
        tz=locations.clinic_tz(),
        may_change=current_staff().has(*DESK),
    )


@bp.post("/staff/patients/<int:patient_id>/waitlist")
@access.staff(*DESK)
def join_waitlist(patient_id: int) -> Any:
    """Put a person on the list with the wish of the form that found nothing."""
    form = course_form(patient_id)
    if not form.validate_on_submit():
        flash("The wish was not complete. Look once more, then put them on the list.", "error")
        return redirect(url_for(".new_course", patient=patient_id))
    try:
        waiting.join(patient_id, form.wish(), priority=request.form.get("priority", 0, type=int), by=current_actor())
    except (Conflict, DecisionRequired, Invalid) as refusal:
        flash(refusal.message, "error")
        return redirect(url_for(".waitlist"))
    flash("On the waiting list. When a whole course comes free that fits, it is offered and held for four hours.")
    return redirect(url_for(".waitlist"))


@bp.post("/staff/waitlist/offer")
@access.staff(*DESK)
def offer_earliest() -> Any:
    """Offer the first in line the earliest course that is free now."""
    site = chosen_site(request.form.get("site", ""))
    made = waiting.offer_earliest(current_staff().location_ids if site is None else {site.id}, by=current_actor())
    rows = {row.id: row for row in waiting.entries([x for x, _ in made.passed_over])}
    people = patients.briefs(row.patient_id for row in rows.values())
    passed = [f"{people[rows[x].patient_id].initials}: {why}" for x, why in made.passed_over]
    if made.offer_id is None:
        flash(f"No whole course fits anybody who waits. {' '.join(passed[:3])}".strip(), "error")
    else:
        offer = waiting.get_offer(made.offer_id)
        who = patients.briefs([offer.patient_id])[offer.patient_id]
        first = presenter.first_of(queries.proposal(offer.proposal_id))
        until = presenter.clock24_of(offer.expires_at, locations.clinic_tz())
        flash(
            f"{who.initials}, {who.record_number}, is offered a course from {presenter.day_words(first)}, held until {until}."
        )
        if passed:
            flash(f"Passed over: {' '.join(passed[:3])}", "error")
    return redirect(url_for(".waitlist", site=site.slug if site else None))


@bp.post("/staff/waitlist/<int:entry_id>/leave")
@access.staff(*DESK)
def leave_waitlist(entry_id: int) -> Any:
    """Take somebody off the list."""
    try:
        waiting.leave(entry_id, by=current_actor())
    except AlreadyOver as refusal:
        flash(refusal.sentence, "error")
    else:
        flash("Off the list. What was held is free again.")
    return redirect(url_for(".waitlist"))


@bp.post("/staff/offers/<int:offer_id>/<any(accept, decline):answer>")
@access.staff(*DESK)
def answer_for_patient(offer_id: int, answer: str) -> Any:
    """The patient said it on the phone."""
    try:
        if answer == "accept":
            course_id = waiting.accept(offer_id, by=current_actor())
            flash("The whole course is booked. The patient gets one message with all dates.")
            return redirect(url_for(".course", course_id=course_id))
        waiting.decline(offer_id, by=current_actor())
        flash("The places are free for others; the person stays on the list.")
    except Conflict as refusal:
        flash(refusal.sentence, "error")
    return redirect(url_for(".waitlist"))
