"""A device down, a person away, a site closed: reported, planned anew, looked at, applied."""

from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from flask import flash, redirect, render_template, request, url_for
from sqlalchemy import select

from clinic import clock
from clinic.db import db
from clinic.errors import Conflict, Invalid, NotFound, ReasonNeeded, Refused
from clinic.locations import front
from clinic.locations import queries as locations
from clinic.locations.models import Location, StaffShift
from clinic.scheduling import closing, outage_presenter, outages, replanning
from clinic.scheduling.blueprint import DESK, bp
from clinic.scheduling.board_views import own_site, site_choices
from clinic.scheduling.forms import ClosedForm, OutageForm, ReasonForm
from clinic.scheduling.models import ChangeKind, Outage, OutageState
from clinic.staff.models import Role, StaffUser
from clinic.web import access
from clinic.web.access import current_actor, current_staff

RESPONSIBLE = (Role.FRONT_DESK, Role.NURSE, Role.PRESCRIBER, Role.MANAGER)


def _own(outage_id: int) -> Outage:
    """An outage in the caller's reach. Raises NotFound."""
    row = outages.get(outage_id)
    if not outages.sites(row) & current_staff().location_ids:
        raise NotFound("no such outage")
    return row


@bp.get("/staff/outages")
@access.staff(*DESK)
def outages_page() -> Any:
    """What waits for its re-plan, sessions on days that were closed late, and who answered what was applied."""
    rows = outages.open_outages(current_staff().location_ids)
    hits = outage_presenter.hits(current_staff().location_ids)
    groups: dict[tuple[int, date], list[outage_presenter.Hit]] = {}
    for hit in hits:
        groups.setdefault((hit.location_id, hit.on), []).append(hit)
    recent = outages.recent_outages(current_staff().location_ids)
    said = outages.answers([row.id for row in recent])
    return render_template(
        "scheduling/outages.html",
        recent=[
            (
                row,
                outage_presenter.subject(row),
                outage_presenter.span_words(row),
                outage_presenter.answers_words(said.get(row.id, {})),
            )
            for row in recent
        ],
        rows=[(row, outage_presenter.view(row)) for row in rows],
        groups=[(key, group) for key, group in sorted(groups.items(), key=lambda one: one[0][1])],
        sites=locations.names(),
        slugs={site.id: site.slug for site in locations.active()},
    )


# -- reporting --------------------------------------------------------------------------------------------------------


def _devices(site: Location) -> list[tuple[str, str]]:
    return [(str(device.id), device.name) for device in site.devices if device.retired_at is None]


def _people(site: Location) -> list[tuple[str, str]]:
    rows = db.session.execute(
        select(StaffUser.id, StaffUser.name)
        .join(StaffShift, StaffShift.user_id == StaffUser.id)
        .where(StaffShift.location_id == site.id, StaffUser.active.is_(True))
        .distinct()
        .order_by(StaffUser.name)
    )
    return [(str(row.id), row.name) for row in rows]


def _defaults(site: Location) -> dict[str, Any]:
    now = clock.now().astimezone(ZoneInfo(site.tz))
    tomorrow = now.date() + timedelta(days=1)
    return {
        "from_day": now.date(),
        "from_time": now.time().replace(second=0, microsecond=0),
        "to_day": tomorrow,
        "to_time": now.time().replace(hour=7, minute=0, second=0, microsecond=0),
    }


@bp.get("/staff/outages/new/<slug>")
@access.staff(*RESPONSIBLE)
def report_outage(slug: str) -> Any:
    """What happened?"""
    return _report_page(own_site(slug))


def _report_page(site: Location, kind: str = "", form: Any = None, problem: str = "", status: int = 200) -> Any:
    """The three small forms; the one that was sent comes back as it was."""
    chosen = request.args.get("device", "")
    fresh = {"formdata": None}
    forms = {
        "device": OutageForm(subjects=_devices(site), subject=chosen, **fresh, **_defaults(site)),
        "person": OutageForm(subjects=_people(site), **fresh, **_defaults(site)),
        "site": ClosedForm(**fresh),
    }
    if form is not None:
        forms[kind] = form
    return render_template(
        "scheduling/report_outage.html",
        site=site,
        forms=forms,
        sent=form,
        problem=problem,
        site_choices=site_choices(site),
        site_url=url_for(".today"),
    ), status


@bp.post("/staff/outages/new/<slug>/<kind>")
@access.staff(*RESPONSIBLE)
def open_outage(slug: str, kind: str) -> Any:
    """It counts at once: nothing new is booked there. The plan is shown next; nobody is moved or told yet."""
    site, by = own_site(slug), current_actor()
    if kind not in ("device", "person", "site"):
        raise NotFound("no such outage")
    form: Any = (
        ClosedForm() if kind == "site" else OutageForm(subjects=(_devices if kind == "device" else _people)(site))
    )
    if not form.validate_on_submit():
        return _report_page(site, kind, form, status=422)
    try:
        if kind == "site":
            reason = form.reason.data
            outage_id = closing.site_closed(site.id, first=form.first.data, last=form.last.data, reason=reason, by=by)
        else:
            starts_at, ends_at = form.span(site.tz)
            span = {"starts_at": starts_at, "ends_at": ends_at, "reason": form.reason.data, "by": by}
            act = closing.device_down if kind == "device" else closing.person_away
            outage_id = act(int(form.subject.data), **span)
    except Invalid as refusal:
        return _report_page(site, kind, form, refusal.message, 422)
    return redirect(url_for(".outage", outage_id=outage_id))


# -- the plan ---------------------------------------------------------------------------------------------------------


@bp.get("/staff/outages/<int:outage_id>")
@access.staff(*DESK)
def outage(outage_id: int) -> Any:
    """Who moves, by how much, to where, who is told and who is asked; after it was applied, who said what."""
    return _outage_page(_own(outage_id))


def _outage_page(row: Outage, problem: str = "", status: int = 200) -> Any:
    if row.preview is None and row.state == OutageState.OPEN:
        replanning.preview_outage(row.id)
        row = outages.get(row.id)
    can_take_back = row.kind != ChangeKind.CAPACITY  # what was set in the settings is set back there
    return render_template(
        "scheduling/outage.html",
        outage=row,
        view=outage_presenter.view(row),
        picture=outage_presenter.picture(row) if row.applied_at is None else None,
        is_open=row.state == OutageState.OPEN,
        can_end=can_take_back and row.state == OutageState.APPLIED and row.starts_at < clock.now() < row.ends_at,
        can_take_back=can_take_back,
        reason=ReasonForm(),
        may_approve=current_staff().has(Role.PRESCRIBER),
        problem=problem,
        tz=locations.get(row.location_id).tz if row.location_id is not None else locations.clinic_tz(),
    ), status


@bp.post("/staff/outages/<int:outage_id>/<act>")
@access.staff(*RESPONSIBLE)
def change_outage(outage_id: int, act: str) -> Any:
    """Apply what is shown, plan once more, take it back, or end it early."""
    row, by = _own(outage_id), current_actor()
    try:
        if act == "apply":
            revision = request.form.get("revision", type=int)
            replanning.apply_outage(row.id, revision=revision, reason=request.form.get("reason", ""), by=by)
            counts = outages.answers([row.id]).get(row.id, {})
            count = sum(counts.values()) - counts.get(outages.SAME, 0)
            who = {0: "nobody has to be told", 1: "one person is told or asked"}
            flash(f"Applied: {who.get(count, f'{count} people are told or asked, once each')}.")
        elif act == "again":
            replanning.preview_outage(row.id)
            flash("Planned anew on the calendar as it is now.")
        elif act == "withdraw":
            closing.withdraw_outage(row.id, by=by)
            flash("Taken back: it did not happen, and nobody moved.")
        elif act == "end":
            closing.end_outage(row.id, by=by)
            flash("It is over. From now on it can be booked again; who was moved stays where they are.")
        else:
            raise NotFound("no such change")
    except (Conflict, Refused, ReasonNeeded) as refusal:  # a Stale one carries a fresh plan, which is stored
        return _outage_page(outages.get(outage_id), refusal.message, 409)
    return redirect(url_for(".outage", outage_id=outage_id))


@bp.post("/staff/outages/late/<slug>/<on>")
@access.staff(*RESPONSIBLE)
def replan_closure(slug: str, on: str) -> Any:
    """A closure that was entered late: plan its sessions anew."""
    site = own_site(slug)
    try:
        day = date.fromisoformat(on)
    except ValueError:
        raise NotFound("no such day") from None
    names = {row.on_date: row.name for row in locations.closures(site.id, day, day)}
    if day not in names:
        raise NotFound("the site is open on that day")
    outage_id = closing.site_closed(site.id, first=day, last=day, reason=names[day], by=current_actor())
    return redirect(url_for(".outage", outage_id=outage_id))


def _closure_hits(location_id: int, on: date) -> tuple[str, str] | None:
    """A closure that was just added and hits somebody leads to the re-plan."""
    hit = [one for one in outage_presenter.hits(frozenset({location_id})) if one.on == on]
    if not hit:
        return None
    words = f"Closed on that date, and {len(hit)} {'session is' if len(hit) == 1 else 'sessions are'} booked then."
    return f"{words} Plan them anew below; nobody is told before.", url_for("scheduling.outages_page")


front.CLOSURE_EFFECTS.append(_closure_hits)
