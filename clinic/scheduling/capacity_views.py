"""When a course could start, how full the sites are, and what more capacity would change."""

from collections import Counter
from datetime import date, timedelta
from typing import Any

from flask import render_template, request, url_for

from clinic import clock
from clinic.errors import Invalid
from clinic.locations import queries as locations
from clinic.protocols.base import Protocol
from clinic.protocols.shapes import bookable
from clinic.scheduling import starts, utilisation
from clinic.scheduling.blueprint import DESK, bp
from clinic.scheduling.board_views import date_of, own_site, site_choices
from clinic.scheduling.course_form import grouped
from clinic.scheduling.forms import StartsForm
from clinic.staff.models import Role
from clinic.web import access, tables
from clinic.web.access import current_staff

WEEKS = 8


def _offered(location_ids: frozenset[int]) -> list[Protocol]:
    """Protocols that some device of these sites gives: what most devices give first."""
    given = Counter(
        key
        for site in locations.active()
        if site.id in location_ids
        for device in site.devices
        if device.retired_at is None
        for key in device.protocols
    )
    known = [one for one in bookable().values() if one.gives in given]
    return sorted(known, key=lambda one: (-given[one.gives], one.name))


@bp.get("/staff/starts")
@access.staff(*DESK)
def starts_page() -> Any:
    """When could I start? Per site, before there is a patient; and what more capacity would do to it."""
    sites = current_staff().location_ids
    offered = _offered(sites)
    form = StartsForm(request.args, protocols=grouped(offered))
    if not form.protocol.data and offered:
        form.protocol.data = offered[0].key
    rows, problem = [], ""
    if offered:
        if form.validate():
            try:
                rows = starts.site_starts(
                    form.protocol.data, sites, hours=form.hours(), weekdays=form.weekdays.data or ()
                )
            except Invalid as refusal:
                problem = refusal.message
        else:
            problem = "Choose a protocol from the list."
    ask = request.args.get("what_if") == "1" and not problem
    return render_template(
        "scheduling/starts.html",
        form=form,
        rows=rows,
        problem=problem,
        has_protocols=bool(offered),
        changes=starts.what_if(form.protocol.data, sites) if ask and offered else None,
        may_ask=current_staff().has(Role.MANAGER, Role.PRESCRIBER),
        what_if_url=url_for(".starts_page", protocol=form.protocol.data, what_if=1),
    ), 422 if problem else 200


@bp.get("/staff/capacity/<slug>")
@access.staff(*DESK)
def capacity_page(slug: str) -> Any:
    """How full a site is, week by week and device by device, with what lies ahead."""
    site = own_site(slug)
    monday = _monday(site.tz)
    return render_template(
        "scheduling/capacity.html",
        site=site,
        view=utilisation.of_site(site, monday, WEEKS),
        monday=monday,
        this_week=clock.today(site.tz) - timedelta(days=clock.today(site.tz).weekday()),
        before=monday - timedelta(weeks=WEEKS),
        after=monday + timedelta(weeks=WEEKS),
        site_choices=site_choices(site),
        site_url=url_for(".today"),
    )


COLUMNS = ("site", "device", "week_of", "sessions", "minutes_taken", "minutes_open", "percent")


@bp.get("/staff/capacity/<slug>.csv")
@access.staff(*DESK)
def capacity_csv(slug: str) -> Any:
    """The same as a table for a spreadsheet."""
    site = own_site(slug)
    view = utilisation.of_site(site, _monday(site.tz), WEEKS)
    rows = [
        [site.slug, row.name, week.monday.isoformat(), week.sessions, week.busy, week.minutes, week.percent]
        for row in view.rows
        for week in row.weeks
    ]
    return tables.download(f"capacity-{site.slug}-{view.weeks[0].isoformat()}.csv", COLUMNS, rows)


def _monday(tz: str) -> date:
    asked = date_of(request.args["on"]) if "on" in request.args else clock.today(tz)
    return asked - timedelta(days=asked.weekday())
