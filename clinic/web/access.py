"""Who may call a route. Every view declares it; a view that does not is refused, and a test walks the URL map."""

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, TypeVar
from urllib.parse import urlsplit

from flask import Flask, current_app, flash, g, redirect, request, url_for
from flask_babel import gettext as _

from clinic import clock
from clinic.audit import Actor
from clinic.errors import NotFound, Refused
from clinic.web import visit

log = logging.getLogger(__name__)

View = TypeVar("View", bound=Callable[..., Any])


class Audience(StrEnum):
    """The kinds of caller."""

    PUBLIC = "public"
    STAFF = "staff"
    PATIENT = "patient"
    TOKEN = "token"  # noqa: S105 - the word, not a secret
    DEVELOPMENT = "development"


@dataclass(frozen=True)
class Access:
    """A route's declaration. No roles with STAFF means any staff member."""

    audience: Audience
    roles: frozenset[str] = frozenset()
    purposes: frozenset[str] = frozenset()
    birth_date: bool = False
    fresh: bool = False  # the caller proved lately who they are
    background: bool = False  # asked for by the page itself: nobody need be there


@dataclass(frozen=True)
class StaffCaller:
    """The signed-in staff member of this request."""

    id: int
    name: str
    roles: frozenset[str]
    location_ids: frozenset[int]
    has_all_sites: bool = False
    session_id: int = 0
    verified_at: datetime | None = None  # when this person last proved who they are
    needs_second_step: bool = False  # signed in by password alone where more is asked for

    def has(self, *roles: str) -> bool:
        return not self.roles.isdisjoint(roles)


@dataclass(frozen=True)
class PatientCaller:
    """The patient session of this request: what the spent link opened."""

    session_id: int
    purpose: str
    patient_id: int | None
    intake_id: int | None
    survey_id: int | None
    treatment_session_id: int | None
    ask_id: int | None
    is_kiosk: bool
    birth_date_checked_at: datetime | None


# Routes of libraries, which cannot carry our decorators. Flask-Security guards its own.
LIBRARY_ROUTES = {
    "static": Access(Audience.PUBLIC),
    "security.login": Access(Audience.PUBLIC),
    "security.logout": Access(Audience.PUBLIC),
    "security.verify": Access(Audience.STAFF),
    "security.two_factor_setup": Access(Audience.STAFF),
    "security.two_factor_setup_validate": Access(Audience.STAFF),
    "security.two_factor_token_validation": Access(Audience.PUBLIC),
    "security.two_factor_rescue": Access(Audience.PUBLIC),
    "security.mf_recovery": Access(Audience.PUBLIC),
    "security.mf_recovery_codes": Access(Audience.STAFF, fresh=True),
    "security.wan_signin": Access(Audience.PUBLIC),
    "security.wan_signin_response": Access(Audience.PUBLIC),
    "security.wan_register": Access(Audience.STAFF),
    "security.wan_register_response": Access(Audience.STAFF),
    "security.wan_delete": Access(Audience.STAFF, fresh=True),
    "security.wan_verify": Access(Audience.STAFF),
    "security.wan_verify_response": Access(Audience.STAFF),
    "security.tf_select": Access(Audience.PUBLIC),
    "security.change_password": Access(Audience.STAFF),
    "security.static": Access(Audience.PUBLIC),
}


def _declare(access: Access) -> Callable[[View], View]:
    def mark(view: View) -> View:
        view.access = access  # type: ignore[attr-defined]
        return view

    return mark


def public(view: View) -> View:
    """Anyone, without signing in."""
    return _declare(Access(Audience.PUBLIC))(view)


def development(view: View) -> View:
    """Anyone on this machine, in development only; elsewhere the page does not exist."""
    return _declare(Access(Audience.DEVELOPMENT))(view)


def staff(*roles: str, fresh: bool = False, background: bool = False) -> Callable[[View], View]:
    """Signed-in staff with one of the roles; without roles, any staff.

    `fresh`: who has not proved lately who they are does it again first. `background`: a page asks by itself.
    """
    return _declare(Access(Audience.STAFF, roles=frozenset(map(str, roles)), fresh=fresh, background=background))


def patient(*purposes: str, birth_date: bool = True) -> Callable[[View], View]:
    """A patient session of one of the purposes; `birth_date`: asked before this page is shown."""
    return _declare(Access(Audience.PATIENT, purposes=frozenset(map(str, purposes)), birth_date=birth_date))


def token(*roles: str) -> Callable[[View], View]:
    """A bearer token with one of the roles; without roles, any token."""
    return _declare(Access(Audience.TOKEN, roles=frozenset(map(str, roles))))


def declared(app: Flask, endpoint: str) -> Access | None:
    """The declaration of an endpoint, or None where it is missing."""
    view: Any = app.view_functions.get(endpoint)
    while view is not None:
        found = getattr(view, "access", None)
        if found is not None:
            assert isinstance(found, Access)
            return found
        view = getattr(view, "__wrapped__", None)
    return LIBRARY_ROUTES.get(endpoint)


def current_actor() -> Actor:
    """Who acts in this request. Raises Refused where nobody is known."""
    actor = g.get("actor")
    if actor is None:
        raise Refused("nobody is signed in")
    assert isinstance(actor, Actor)
    return actor


def current_staff() -> StaffCaller:
    """The signed-in staff member. Only in routes declared with `staff`."""
    caller = g.staff
    assert isinstance(caller, StaffCaller)
    return caller


def current_patient() -> PatientCaller:
    """The patient session. Only in routes declared with `patient`."""
    caller = g.patient
    assert isinstance(caller, PatientCaller)
    return caller


def enforce() -> Any:
    """Before every request: hold the route's declaration against the caller."""
    if request.endpoint is None:
        return None
    access = declared(current_app, request.endpoint)
    if access is None:
        raise Refused("this page declares no audience")
    if access.audience is Audience.STAFF:
        return _staff_only(access)
    if access.audience is Audience.PATIENT:
        return _patient_only(access)
    if access.audience is Audience.DEVELOPMENT and not _on_this_machine():
        raise NotFound("no such page")
    return None  # tokens are checked by the API's own authentication


def _on_this_machine() -> bool:
    return not current_app.config["SETTINGS"].is_production and request.remote_addr in (
        "127.0.0.1",
        "::1",
        None,
    )


FRESH_FOR = timedelta(minutes=10)
# Pages for who has to set a second step up first.
SETTING_UP = frozenset(
    {
        "staff.account",
        "staff.still",
        "security.two_factor_setup",
        "security.two_factor_setup_validate",
        "security.wan_register",
        "security.wan_register_response",
        "security.verify",
        "security.wan_verify",
        "security.wan_verify_response",
        "security.change_password",
    }
)
Hold = Callable[[int, str, dict[str, Any]], None]
_hold: Hold | None = None


def hold_with(hold: Hold) -> None:
    """`hold` keeps what a staff member had typed, by the page that it was typed on."""
    global _hold
    _hold = hold


def _staff_only(access: Access) -> Any:
    caller: StaffCaller | None = g.get("staff")
    if caller is None:
        return ("", 401) if access.background else _sign_in_first()
    if caller.needs_second_step and request.endpoint not in SETTING_UP:
        return redirect(url_for("staff.account"))
    if access.roles and not caller.has(*access.roles):
        log.warning("refused: staff %s at %s", caller.id, request.endpoint)
        raise Refused("your role does not open this page")
    return confirm_again() if access.fresh else None


def _sign_in_first() -> Any:
    ran_out: int | None = g.get("ran_out")
    if request.method == "GET":
        return redirect(url_for("security.login", next=request.full_path.rstrip("?")))
    back = _kept(ran_out) if ran_out is not None else None
    if back is not None:
        flash("You were signed out because nobody was here. What you typed is kept until you are back.", "due")
        return redirect(url_for("security.login", next=back))
    flash(_("Please sign in again. Nothing was lost; go back and send it once more."), "due")
    return redirect(url_for("security.login"))


def confirm_again() -> Any:
    """None where the caller proved lately who they are, else the way to do it, with what was typed kept."""
    caller = current_staff()
    if caller.verified_at is not None and caller.verified_at > clock.now() - FRESH_FOR:
        return None
    back = request.full_path.rstrip("?") if request.method == "GET" else _kept(caller.id)
    if request.method != "GET":
        visit.flag_held(True)
    return redirect(url_for("security.verify", next=back or "/staff/"))


def _kept(user_id: int) -> str | None:
    """Keep the form that was sent; answers the page that it was typed on."""
    page = urlsplit(request.referrer or "")
    is_ours = page.netloc == request.host and page.path.startswith("/staff/")
    path = (f"{page.path}?{page.query}" if page.query else page.path) if is_ours else request.path
    fields = [[name, value] for name, values in request.form.lists() for value in values if _may_be_kept(name)]
    if _hold is None or not fields or request.endpoint is None or request.endpoint.startswith("security."):
        return path if is_ours else None
    _hold(user_id, path, {"action": request.path, "fields": fields, "focus": fields[0][0]})
    return path


def _may_be_kept(name: str) -> bool:
    return name != "csrf_token" and "password" not in name and "code" not in name


def _patient_only(access: Access) -> Any:
    caller: PatientCaller | None = g.get("patient")
    if caller is None or (access.purposes and caller.purpose not in access.purposes):
        return redirect(url_for("patients.ask_link", next=request.path))
    if access.birth_date and caller.birth_date_checked_at is None:
        return redirect(url_for("patients.birth_date", next=request.path))
    return None


def wants_json() -> bool:
    """Script asked, and shows the answer itself."""
    return request.accept_mimetypes.best == "application/json"


def is_safe_next(target: str | None) -> bool:
    """A local path, and nothing that a browser would take for another site: it drops tabs and line ends before it looks."""
    return target is not None and re.fullmatch(r"/(?!/)[^\x00-\x1f\x7f\\]*", target) is not None
