"""The board of one site and day, its week and month, the run sheet, and what is pressed on it."""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any

from flask import flash, jsonify, redirect, render_template, request, url_for

from clinic import clock
from clinic.audit import Actor
from clinic.errors import ClinicError, Conflict, Invalid, NotFound, Refused
from clinic.locations import queries as locations
from clinic.locations.models import Location
from clinic.patients import queries as patients
from clinic.scheduling import appointments, board, board_presenter, outages, presenter, queries, undoing
from clinic.scheduling.blueprint import DESK, FLOOR, bp
from clinic.scheduling.course_views import course_page, place
from clinic.scheduling.models import TreatmentSession
from clinic.scheduling.planner.calendar import to_utc
from clinic.web import access, context
from clinic.web.access import current_actor, current_staff, is_safe_next, wants_json

NOTHING_NEW = "", 204
Change = Callable[..., None]

CHANGES: dict[str, tuple[Change, str]] = {
    "confirm": (appointments.confirm_session, "Confirmed."),
    "arrive": (appointments.arrive_session, "Arrived."),
    "start": (appointments.start_session, "Started."),
    "complete": (appointments.complete_session, "Done."),
    "no-show": (
        appointments.miss_session,
        "Marked as missed. The place is free; make-up times are on the course page.",
    ),
    "take-back": (undoing.take_back, "Taken back."),
}
CAN_BE_TAKEN_BACK = ("arrive", "start", "complete", "no-show")


# -- which site and day ---------------------------------------------------------------------------------------------


def _busiest(sites: list[Location]) -> Location | None:
    """The first site with sessions this week, else the first."""
    if not sites:
        return None
    busy = queries.busy_sites([site.id for site in sites], clock.today(sites[0].tz))
    return next((site for site in sites if site.id in busy), sites[0])


@bp.get("/staff/day")
@access.staff(*FLOOR)
def today() -> Any:
    """Today at the caller's site: the one that was asked for, or one where something happens."""
    sites = [site for site in locations.active() if site.id in current_staff().location_ids]
    wanted = request.args.get("site")
    site = next((x for x in sites if x.slug == wanted), None) or _busiest(sites)
    if site is None:
        raise Refused("no site was granted to you yet: ask a manager")
    return redirect(url_for(".day", slug=site.slug, on=clock.today(site.tz).isoformat()))


def own_site(slug: str) -> Location:
    """The site, if the caller may see it. Raises NotFound, Refused."""
    site = locations.get_by_slug(slug)
    if site.id not in current_staff().location_ids:
        raise Refused("this site was not granted to you")
    return site


def date_of(text: str) -> date:
    """A date in an address. Raises NotFound."""
    try:
        found = date.fromisoformat(text)
    except ValueError:
        raise NotFound("no such day") from None
    if not clock.is_near(found):
        raise NotFound("no such day")
    return found


def site_choices(here: Location) -> list[dict[str, Any]]:
    return [
        {"value": slug, "label": name, "current": slug == here.slug}
        for slug, name in queries.site_slugs(current_staff().location_ids)
    ]


# -- the day --------------------------------------------------------------------------------------------------------


@bp.get("/staff/day/<slug>/<on>")
@access.staff(*FLOOR)
def day(slug: str, on: str) -> Any:
    """The sessions of one site on one day: a table that prints; script makes a board of it."""
    return _day_page(own_site(slug), date_of(on))


def _day_page(site: Location, on: date, problem: str = "", status: int = 200) -> Any:
    shown = board.day(site, on)
    chosen = request.args.get("s", type=int)
    block = next((each for each in shown.blocks if each.row.id == chosen), None)
    return render_template(
        "scheduling/day.html",
        **_board_values(site, on, shown),
        chosen=_panel(block, site) if block is not None else None,
        waiting=[row for row in outages.open_outages({site.id}) if site.id in outages.sites(row)],
        may_report=current_staff().has(*DESK),
        problem=problem,
        site_choices=site_choices(site),
        site_url=url_for(".today"),
    ), status


def _board_values(site: Location, on: date, shown: board.BoardDay) -> dict[str, Any]:
    today = clock.today(site.tz)
    return {
        "site": site,
        "on": on,
        "board": shown,
        "title": board_presenter.title(shown, on, today),
        "counts": board_presenter.counts(shown),
        "lanes": board_presenter.lanes(shown),
        "people": board_presenter.people(shown),
        "words": board_presenter.WORDS,
        "next_step": board_presenter.NEXT_STEP,
        "what": board_presenter.what,
        "where": board_presenter.where,
        "now": clock.now(),
        "today": today,
        "before": on - timedelta(days=1),
        "after": on + timedelta(days=1),
        "is_open": on <= today,
        "may_move": current_staff().has(*DESK) and on >= today,
    }


@bp.get("/staff/day/<slug>/<on>/changes")
@access.staff(*FLOOR, background=True)
def day_changes(slug: str, on: str) -> Any:
    """The table again if the site's schedule changed since version `v`, with who changed what; else nothing."""
    site, shown_on = own_site(slug), date_of(on)
    if board.version_of(site.id) == request.args.get("v", type=int):
        return NOTHING_NEW
    shown = board.day(site, shown_on)
    changed = board.recent_changes(block.row.id for block in shown.blocks)
    by = {key: f"{board_presenter.ACTION_WORDS.get(action, action)} by {who}" for key, (action, who) in changed.items()}
    return render_template("scheduling/_board.html", **_board_values(site, shown_on, shown), by=by)


@bp.get("/staff/sessions/<int:session_id>/panel")
@access.staff(*FLOOR)
def session_panel(session_id: int) -> Any:
    """One session beside the board."""
    row = queries.session(session_id)
    site = locations.get(row.location_id)
    shown = board.day(site, row.local_on)
    block = next((each for each in shown.blocks if each.row.id == session_id), None)
    if block is None:
        raise NotFound("this session was cancelled")
    values = _panel(block, site)
    return render_template(
        "scheduling/_panel.html", chosen=values, site=site, on=row.local_on, today=clock.today(site.tz)
    )


def _panel(block: board.Block, site: Location) -> dict[str, Any]:
    is_ahead = block.row.state in queries.AHEAD
    has_come = queries.local_date(block.row.starts_at, site.tz) <= clock.today(site.tz)
    return {
        "block": block,
        "facts": board_presenter.facts(block, site),
        "step": board_presenter.NEXT_STEP.get(block.state) if has_come else None,
        "may_move": current_staff().has(*DESK) and is_ahead,
        "may_miss": is_ahead and has_come,
    }


# -- what is pressed ------------------------------------------------------------------------------------------------


@bp.post("/staff/day/<slug>/<on>/press")
@access.staff(*FLOOR)
def press(slug: str, on: str) -> Any:
    """The button of a row: `do` is a word of CHANGES and the session's id."""
    own_site(slug)
    word, _, number = request.form.get("do", "").partition(" ")
    if word not in CHANGES or not number.isdecimal() or len(number) > 18:
        raise NotFound("no such change")
    return _change(int(number), word, url_for(".day", slug=slug, on=date_of(on).isoformat()))


@bp.post("/staff/sessions/<int:session_id>/<change>")
@access.staff(*FLOOR)
def change_session(session_id: int, change: str) -> Any:
    """One button of a session."""
    if change not in CHANGES:
        raise NotFound("no such change")
    target = request.values.get("next")
    if not target or not is_safe_next(target):
        target = _home_of(queries.session(session_id))
    return _change(session_id, change, target)


def _home_of(row: TreatmentSession) -> str:
    """The page that an appointment belongs to: its course, or for a visit the day."""
    if row.course_id is not None:
        return url_for(".course", course_id=row.course_id)
    return url_for(".day", slug=locations.get(row.location_id).slug, on=row.local_on.isoformat())


def _change(session_id: int, word: str, target: str) -> Any:
    act, said = CHANGES[word]
    actor: Actor = current_actor()
    try:
        act(session_id, by=actor)
    except Conflict as refusal:
        return refused(refusal, target)
    undo = url_for(".change_session", session_id=session_id, change="take-back", next=target)
    return done(said, target, undo if word in CAN_BE_TAKEN_BACK else "")


def refused(refusal: ClinicError, target: str) -> Any:
    """Why nothing was changed, on the page that was open."""
    words = f"{refusal.sentence} Nothing was changed."
    if wants_json():
        return jsonify(say=words), 409
    flash(words, "error")
    return redirect(target)


def done(said: str, target: str, undo_url: str) -> Any:
    """What was done, with a way to take it back where there is one."""
    if wants_json():
        return jsonify(say=said, undo_url=undo_url)
    if undo_url:
        context.flash_with_undo(said, undo_url)
    else:
        flash(said)
    return redirect(target)


# -- moving ---------------------------------------------------------------------------------------------------------


@bp.route("/staff/sessions/<int:session_id>/move", methods=["GET", "POST"])
@access.staff(*DESK)
def move_session(session_id: int) -> Any:
    """Free times for one session, day by day. With script, beside the board."""
    row = queries.session(session_id)
    if request.method == "POST":
        back = request.values.get("next")
        target = back if back and is_safe_next(back) else _home_of(row)
        before = f"{row.starts_at.isoformat()} {row.device_id}"
        undo = url_for(".move_session", session_id=session_id, place=before, next=target, back=1)
        try:
            starts_at, device_id = _dropped_at(row) if "minute" in request.form else place()
            appointments.move_session(session_id, starts_at=starts_at, device_id=device_id, by=current_actor())
        except (Conflict, Invalid) as refusal:
            if wants_json():
                return jsonify(say=refusal.message), 409
            return _free_times(queries.session(session_id), refusal.message)
        is_undo = "back" in request.args
        return done(_moved_words(session_id, is_undo=is_undo), target, "" if is_undo else undo)
    return _free_times(row)


def _dropped_at(row: TreatmentSession) -> tuple[datetime, int]:
    """Where a block was dropped: date, minute of the wall clock and device of the session's site. Raises Invalid."""
    minute, device = (request.form.get(name, "", type=str) for name in ("minute", "device"))
    if not minute.isdecimal() or not 0 <= int(minute[:6]) < board.DAY_MINUTES or not device.isdecimal():
        raise Invalid("That is not a place on the board.")
    on = date_of(request.form.get("on", ""))
    return to_utc(on, int(minute), locations.get(row.location_id).tz), int(device[:9])


def _moved_words(session_id: int, *, is_undo: bool) -> str:
    row = queries.session(session_id)
    site, patient = locations.get(row.location_id), patients.get(row.patient_id)
    device = queries.device_names([row.device_id])[row.device_id]
    at = f"{context.day(row.starts_at, site.tz)}, {context.clock24(row.starts_at, site.tz)}"
    if is_undo:
        return f"{patient.initials} is back at {at}, {device}."
    return f"{patient.initials} moves to {at}, {device}. The patient is told by message."


def _free_times(row: TreatmentSession, problem: str = "") -> Any:
    """The page, 409 with a problem; of a session that can move nowhere its course's, with why."""
    session_id, site = row.id, locations.get(row.location_id)
    on = date_of(request.args.get("on", row.local_on.isoformat()))
    try:
        places = appointments.free_times(session_id, on)
    except Conflict as refusal:
        if row.course_id is None:
            raise
        return course_page(row.course_id, refusal.message), 409
    row = queries.session(session_id)
    values = {
        "session": row,
        "patient": patients.get(row.patient_id),
        "site": site,
        "on": on,
        "count": len({place.starts_at for place in places}),
        "hours": presenter.hours_of(places, row, site.tz, every="all" in request.args),
        "devices": queries.device_names({place.device_id for place in places} | {row.device_id}),
        "before": on - timedelta(days=1),
        "after": on + timedelta(days=1),
        "problem": problem,
    }
    part = "_free_times" if request.args.get("part") else "move"
    return render_template(f"scheduling/{part}.html", **values), 409 if problem else 200


@bp.get("/staff/sessions/<int:session_id>/places")
@access.staff(*DESK)
def legal_places(session_id: int) -> Any:
    """Spans of starts to which this session may move on one day, in wall minutes by device: for dragging."""
    row = queries.session(session_id)
    site = locations.get(row.location_id)
    on = date_of(request.args.get("on", row.local_on.isoformat()))
    try:
        found = appointments.free_times(session_id, on)
    except Conflict as refusal:
        return jsonify(say=refusal.message, places={}), 409
    return jsonify(places=board_presenter.spans(found, site.tz))


# -- week, month, paper ---------------------------------------------------------------------------------------------


@bp.get("/staff/week/<slug>/<on>")
@access.staff(*FLOOR)
def week(slug: str, on: str) -> Any:
    """How full each device is, day by day."""
    site, asked = own_site(slug), date_of(on)
    monday = asked - timedelta(days=asked.weekday())
    return render_template(
        "scheduling/week.html",
        site=site,
        week=board_presenter.week(site, monday),
        monday=monday,
        today=clock.today(site.tz),
        before=monday - timedelta(days=7),
        after=monday + timedelta(days=7),
        site_choices=site_choices(site),
        site_url=url_for(".today"),
    )


@bp.get("/staff/month/<slug>/<on>")
@access.staff(*FLOOR)
def month(slug: str, on: str) -> Any:
    """How full the site is, week by week."""
    site, asked = own_site(slug), date_of(on)
    first = asked.replace(day=1)
    return render_template(
        "scheduling/month.html",
        site=site,
        month=board_presenter.month(site, first),
        first=first,
        today=clock.today(site.tz),
        before=(first - timedelta(days=1)).replace(day=1),
        after=(first + timedelta(days=32)).replace(day=1),
        site_choices=site_choices(site),
        site_url=url_for(".today"),
    )


@bp.get("/staff/day/<slug>/<on>/run-sheet")
@access.staff(*FLOOR)
def run_sheet(slug: str, on: str) -> Any:
    """The day on paper, device by device, with lines to write on."""
    site, shown_on = own_site(slug), date_of(on)
    shown = board.day(site, shown_on)
    return render_template(
        "scheduling/run_sheet.html",
        site=site,
        on=shown_on,
        lanes=[lane for lane in board_presenter.lanes(shown) if lane.blocks],
        words=board_presenter.WORDS,
        what=board_presenter.what,
        printed_at=clock.now(),
        site_choices=site_choices(site),
        site_url=url_for(".today"),
    )
