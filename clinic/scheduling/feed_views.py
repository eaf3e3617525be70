"""Calendar feeds over HTTP, and the pages on which their addresses are shown, renewed and revoked."""

from collections.abc import Callable
from typing import Any

from flask import Response, abort, current_app, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _

from clinic.audit import Actor, ActorKind
from clinic.errors import NotFound
from clinic.patients import chart
from clinic.patients.models import LinkPurpose
from clinic.scheduling import feeds
from clinic.scheduling.blueprint import bp
from clinic.scheduling.board_views import own_site, site_choices
from clinic.scheduling.models import FeedKind
from clinic.staff.models import Role
from clinic.web import access
from clinic.web.access import current_actor, current_patient
from clinic.web.limits import limiter

Act = Callable[..., object]
ACTS: dict[str, Act] = {"open": feeds.open_feed, "renew": feeds.renew_feed, "revoke": feeds.revoke_feed}


@bp.get("/calendar/<token>.ics")
@access.public
@limiter.limit("1200 per hour")
def calendar(token: str) -> Any:
    """Appointments for a calendar program. Unknown and revoked addresses look the same."""
    served = feeds.serve(token)
    if served is None:
        abort(404)
    answer = Response(served.content, mimetype="text/calendar")
    answer.headers["Cache-Control"] = "private, no-cache"
    answer.headers["Content-Disposition"] = 'inline; filename="calendar.ics"'
    answer.set_etag(served.etag)
    answer.last_modified = served.changed_at
    return answer.make_conditional(request)


def _address(kind: FeedKind, subject_id: int) -> dict[str, str] | None:
    found = feeds.present(kind, subject_id)
    if found is None:
        return None
    base = current_app.config["SETTINGS"].base_url.rstrip("/")
    url = f"{base}{url_for('scheduling.calendar', token=found.token)}"
    return {"url": url, "webcal": f"webcal://{url.partition('://')[2]}"}


# -- the patient's own ----------------------------------------------------------------------------------------------


@bp.get("/me/calendar")
@access.patient(LinkPurpose.SIGN_IN)
def my_calendar() -> Any:
    """The address of the patient's own calendar."""
    patient_id = current_patient().patient_id
    assert patient_id is not None
    return render_template(
        "scheduling/my_calendar.html", feed=_address(FeedKind.PATIENT, patient_id), tabs=chart.tabs("scheduling.dates")
    )


@bp.post("/me/calendar/<act>")
@access.patient(LinkPurpose.SIGN_IN)
def change_my_calendar(act: str) -> Any:
    """Make the address, another one, or none."""
    patient_id = current_patient().patient_id
    if act not in ACTS or patient_id is None:
        raise NotFound("no such change")
    ACTS[act](FeedKind.PATIENT, patient_id, by=Actor(ActorKind.PATIENT, str(patient_id)))
    words = {
        "open": _("Your calendar address is ready."),
        "renew": _("You have a new address. The old one shows nothing any more."),
        "revoke": _("The address is gone. Calendars that used it show nothing new."),
    }
    flash(words[act])
    return redirect(url_for(".my_calendar"))


# -- sites and devices ----------------------------------------------------------------------------------------------


@bp.get("/staff/calendars/<slug>")
@access.staff(Role.MANAGER)
def site_calendars(slug: str) -> Any:
    """The addresses of a site and its devices."""
    site = own_site(slug)
    rows = [(FeedKind.LOCATION, site.id, site.name)]
    rows += [(FeedKind.DEVICE, device.id, device.name) for device in site.devices if device.retired_at is None]
    return render_template(
        "scheduling/calendars.html",
        site=site,
        rows=[(kind, key, name, _address(kind, key)) for kind, key, name in rows],
        site_choices=site_choices(site),
        site_url=url_for(".today"),
    )


@bp.post("/staff/calendars/<slug>/<kind>/<int:subject_id>/<act>")
@access.staff(Role.MANAGER)
def change_site_calendar(slug: str, kind: str, subject_id: int, act: str) -> Any:
    """Make an address, another one, or none."""
    site = own_site(slug)
    own = {(str(FeedKind.LOCATION), site.id), *((str(FeedKind.DEVICE), device.id) for device in site.devices)}
    if act not in ACTS or (kind, subject_id) not in own:
        raise NotFound("no such calendar")
    ACTS[act](FeedKind(kind), subject_id, by=current_actor())
    flash("There is a new address." if act != "revoke" else "The address is gone.")
    return redirect(url_for(".site_calendars", slug=slug))
