"""Public pages, and the settings of each site."""

from collections.abc import Callable
from datetime import date
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import ngettext

from clinic import clock
from clinic.errors import Conflict, Invalid, NotFound
from clinic.locations import front as hooks
from clinic.locations import operations, presenter, queries, zips
from clinic.locations.forms import WEEKDAYS, ClosureForm, HoursForm, ProfileForm, YearForm
from clinic.locations.models import Location
from clinic.web import access, context
from clinic.web.access import current_actor, current_staff

START_URL = "/intake/start"  # the history form, a feature above this one
MANAGER = "manager"

# Pages of features above about one site: given its id, label and address. They register at import.
SITE_LINKS: list[Callable[[int], tuple[str, str]]] = []

bp = Blueprint("locations", __name__, template_folder="templates")
context.NAV.append(("Settings", "locations.settings", frozenset({MANAGER})))
context.add("clinic_profile", queries.profile)


@bp.get("/")
@access.public
def front() -> Any:
    """The public front page."""
    sites, profile = queries.active(), queries.profile()
    return render_template(
        "front.html",
        clinic_name=profile.name if profile else "",
        slogan=profile.slogan if profile else "",
        phone=profile.phone if profile else "",
        start_url=START_URL,
        sign_in_url=url_for("patients.ask_link"),
        how_common=_(
            "About 3 in 10 people who take medicine for depression are in this place "
            "(31 of 100 in a US study of 2021; other sources say 22 to 44)."
        ),
        treatments=presenter.offered(sites),
        facts=[
            {
                "question": _("What does it mean when medicines have not helped enough?"),
                "answer": _("What we know, what we do not, and what you can ask a doctor. In plain words."),
                "url": url_for("care.guide"),
                "link": _("Read the guide"),
            },
            {
                "question": _("What will each one be like?"),
                "answer": _("How a visit goes, what people feel, and what the studies found, with their sources."),
                "url": url_for("care.treatments"),
                "link": _("What to expect"),
            },
        ],
        reading=[
            {"label": _("Guide"), "url": url_for("care.guide")},
            {"label": _("Treatments"), "url": url_for("care.treatments")},
            {"label": _("Sources"), "url": url_for("care.sources")},
        ],
        sites=[presenter.site_card(site, sites, url_for(".location", slug=site.slug)) for site in sites],
        nearest_url=url_for(".locations"),
        places_title=ngettext("%(num)s clinic", "%(num)s clinics", len(sites)),
    )


@bp.get("/locations")
@access.public
def locations() -> Any:
    """Every site, with its treatments, hours and the next possible start; the nearest first where a ZIP code is given."""
    sites, zip_code = queries.active(), request.args.get("zip", "").strip()[:10]
    near = zips.center(zip_code)
    cards = [presenter.site_card(site, sites, url_for(".location", slug=site.slug), near) for site in sites]
    problem = ""
    if zip_code and not zips.is_zip(zip_code):
        problem = _("A ZIP code has five digits.")
    elif zip_code and near is None:
        problem = _("We do not know where this ZIP code is. Try one nearby.")
    return render_template(
        "locations/locations.html",
        cards=presenter.near_first(cards) if near else cards,
        zip_code=zip_code,
        near=near is not None,
        problem=problem,
    ), 422 if problem else 200


@bp.get("/locations/<slug>")
@access.public
def location(slug: str) -> Any:
    """Hours, closures and address of one site."""
    site = queries.get_by_slug(slug)
    if site.retired_at is not None:
        raise NotFound("no such location")
    today = clock.today(site.tz)
    return render_template(
        "locations/location.html",
        site=site,
        card=presenter.site_card(site, queries.active(), ""),
        closures=[
            (row.on_date, presenter.closure_words(row.name))
            for row in queries.closures(site.id, today, date(today.year + 1, 12, 31))
        ],
    )


# -- settings -------------------------------------------------------------------------------------------------------


@bp.route("/staff/settings", methods=["GET", "POST"])
@access.staff(MANAGER)
def settings() -> Any:
    """Who the clinic is, and its sites."""
    profile = queries.profile()
    form = ProfileForm(obj=profile)
    if form.validate_on_submit():
        operations.set_profile(
            name=form.name.data or "",
            short_name=form.short_name.data or "",
            slogan=form.slogan.data or "",
            phone=form.phone.data or "",
            promises_safety_call=form.promises_safety_call.data,
            is_demo=profile.is_demo if profile else False,
            by=current_actor(),
        )
        flash("Saved.")
        return redirect(url_for(".settings"))
    sites = [site for site in queries.active() if site.id in current_staff().location_ids]
    return render_template(
        "locations/settings.html",
        form=form,
        sites=[(site, presenter.hours_words(site.hours)) for site in sites],
    ), 422 if form.is_submitted() else 200


@bp.get("/staff/settings/locations/<int:location_id>")
@access.staff(MANAGER)
def site(location_id: int) -> Any:
    """Hours, closures and devices of a site."""
    return _site_page(_own_site(location_id))


@bp.post("/staff/settings/locations/<int:location_id>/hours")
@access.staff(MANAGER)
def set_hours(location_id: int) -> Any:
    """Replace the week."""
    found, form = _own_site(location_id), HoursForm()
    if not form.validate_on_submit():
        return _site_page(found, hours=form), 422
    try:
        spans = operations.checked_hours(form.spans())
    except Invalid as error:
        form.form_errors.append(error.message)
        return _site_page(found, hours=form), 422
    by = current_actor()
    page = hooks.change_capacity(
        location_id, lambda: operations.set_hours_within_transaction(location_id, spans, by=by)
    )
    if page is not None:
        return page
    flash("Hours saved. Nobody who is booked is touched by it.")
    return redirect(url_for(".site", location_id=found.id))


@bp.post("/staff/settings/locations/<int:location_id>/closures")
@access.staff(MANAGER)
def add_closure(location_id: int) -> Any:
    """Close the site on a date."""
    found, form = _own_site(location_id), ClosureForm()
    if not form.validate_on_submit():
        return _site_page(found, closure=form), 422
    try:
        operations.add_closure(found.id, form.on_date.data, form.name.data or "", by=current_actor())
    except Conflict as error:
        form.on_date.errors = [error.message]
        return _site_page(found, closure=form), 409
    for effect in hooks.CLOSURE_EFFECTS:
        hit = effect(found.id, form.on_date.data)
        if hit is not None:
            flash(hit[0], "error")
            return redirect(hit[1])
    flash("Closed on that date. Nobody is booked then.")
    return redirect(url_for(".site", location_id=found.id, year=form.on_date.data.year))


@bp.post("/staff/settings/locations/<int:location_id>/closures/start")
@access.staff(MANAGER)
def start_closures(location_id: int) -> Any:
    """Put the usual closures of a year on the list."""
    found, form = _own_site(location_id), YearForm()
    if not form.validate_on_submit():
        return _site_page(found, year=form), 422
    added = operations.start_closures(found.id, form.year.data, by=current_actor())
    flash(f"{len(added)} dates were added. Take away those on which you work." if added else "All of them were there.")
    return redirect(url_for(".site", location_id=found.id, year=form.year.data))


@bp.post("/staff/settings/locations/<int:location_id>/closures/<int:closure_id>/remove")
@access.staff(MANAGER)
def remove_closure(location_id: int, closure_id: int) -> Any:
    """Open the site again on that date."""
    found = _own_site(location_id)
    closure = queries.get_closure(closure_id)
    if closure.location_id != found.id:
        raise NotFound("no such closure")
    year = closure.on_date.year
    operations.remove_closure(closure_id, by=current_actor())
    flash("Open again on that date.")
    return redirect(url_for(".site", location_id=found.id, year=year))


def _own_site(location_id: int) -> Location:
    if location_id not in current_staff().location_ids:
        raise NotFound("no such location")
    return queries.get(location_id)


def _site_page(
    found: Location,
    *,
    hours: HoursForm | None = None,
    closure: ClosureForm | None = None,
    year: YearForm | None = None,
) -> Any:
    today = clock.today(found.tz)
    shown = request.args.get("year", type=int) or today.year
    shown = min(max(shown, operations.FIRST_YEAR), operations.LAST_YEAR)
    form = hours or HoursForm.of(found.hours)
    return render_template(
        "locations/site.html",
        site=found,
        hours=form,
        faults=[*form.form_errors, *form.faults()],
        weekdays=WEEKDAYS,
        closure=closure or ClosureForm(formdata=None),
        year_form=year or YearForm(formdata=None, year=shown),
        year=shown,
        years=[
            {"label": str(item), "url": url_for(".site", location_id=found.id, year=item), "current": item == shown}
            for item in range(today.year, today.year + 3)
        ],
        closures=queries.closures(found.id, date(shown, 1, 1), date(shown, 12, 31)),
        links=[link(found.id) for link in SITE_LINKS],
    )
