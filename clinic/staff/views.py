"""The account of a staff member: second steps, signed-in browsers, and what is kept while they are signed out."""

from typing import Any, TypeGuard

from flask import Blueprint, current_app, flash, g, jsonify, redirect, render_template, request, url_for
from flask_login import current_user

from clinic.errors import Invalid
from clinic.locations import queries as locations
from clinic.staff import operations, sessions
from clinic.staff.forms import ROLE_WORDS
from clinic.staff.models import Role, StaffSession
from clinic.web import access, context, visit
from clinic.web.access import current_actor, current_staff

METHOD_WORDS = {
    "password": "password",
    "authenticator": "app code",
    "webauthn": "passkey",
    "recovery": "recovery code",
    "set_up": "second step set up",
}
BROWSERS = (("Edg/", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"), ("Safari/", "Safari"))
SYSTEMS = (
    ("iPhone", "iPhone"), ("iPad", "iPad"), ("Android", "Android"), ("Windows", "Windows"), ("Mac OS", "Mac"),
    ("Linux", "Linux"),
)  # fmt: skip

bp = Blueprint("staff", __name__, template_folder="templates")


def _signed_in() -> dict[str, str] | None:
    """Who is signed in, for the corner of every staff page."""
    caller = g.get("staff")
    if caller is None:
        return None
    return {
        "name": caller.name,
        "role": role_words(caller.roles),
        "account_url": url_for("staff.account"),
        "sign_out_url": url_for("security.logout"),
    }


def _visit() -> dict[str, Any] | None:
    """What the page's own clock needs."""
    if g.get("staff") is None:
        return None
    return {
        "idle": current_app.config["SETTINGS"].idle_minutes * 60,
        "hold_url": url_for("staff.hold"),
        "still_url": url_for("staff.still"),
        "over_url": url_for("staff.over"),
        "is_held": visit.is_held(),
    }


def role_words(roles: frozenset[str]) -> str:
    """`Front desk, nurse`."""
    words = [word for role, word in ROLE_WORDS.items() if role in roles]
    return ", ".join([words[0], *(word.lower() for word in words[1:])]) if words else ""


context.add("signed_in", _signed_in)
context.add("staff_visit", _visit)


@bp.get("/staff/account")
@access.staff()
def account() -> Any:
    """Who I am here, my password, my second steps, and where I am signed in."""
    caller = current_staff()
    return render_template(
        "staff/account.html",
        name=caller.name,
        email=current_user.email,
        roles=role_words(caller.roles),
        has_codes=bool(current_user.tf_primary_method),
        morning_mail=operations.wants_morning_mail(caller.id),
        gets_morning_mail=caller.has(Role.FRONT_DESK, Role.MANAGER),
        passkeys=current_user.webauthn,
        codes_left=len(current_user.mf_recovery_codes or ()),
        must_set_up=caller.needs_second_step,
        sessions=sessions.open_sessions(caller.id),
        this=caller.session_id,
        browser_words=browser_words,
        method_words=lambda row: ", ".join(METHOD_WORDS.get(method, method) for method in row.methods),
        tz=locations.clinic_tz(),
    )


def browser_words(row: StaffSession) -> str:
    """`Firefox on Windows`, of what a browser calls itself."""
    browser = next((word for mark, word in BROWSERS if mark in row.browser), "A browser")
    system = next((word for mark, word in SYSTEMS if mark in row.browser), "")
    return f"{browser} on {system}" if system else browser


@bp.post("/staff/account/sessions/<int:staff_session_id>/end")
@access.staff(fresh=True)
def end_session(staff_session_id: int) -> Any:
    """Sign one of my other browsers out."""
    sessions.end(staff_session_id, of=current_staff().id, by=current_actor())
    flash("That browser is signed out.")
    return redirect(url_for(".account"))


@bp.post("/staff/account/sessions/end-others")
@access.staff(fresh=True)
def end_others() -> Any:
    """Sign all of my other browsers out."""
    caller = current_staff()
    count = sessions.end_all(caller.id, but=caller.session_id, by=current_actor())
    flash(
        f"{count} other {'browser is' if count == 1 else 'browsers are'} signed out."
        if count
        else "There was no other."
    )
    return redirect(url_for(".account"))


# -- while nobody is there ----------------------------------------------------------------------------------------------


@bp.post("/staff/still")
@access.staff()
def still() -> Any:
    """Someone types; the session goes on."""
    return "", 204


@bp.post("/staff/held")
@access.staff(background=True)
def hold() -> Any:
    """Keep what stands in a form, because the page's time is over."""
    path, content = _held_content(request.get_json(silent=True))
    if not sessions.hold(current_staff().id, path, content):
        raise Invalid("That is too much to keep.")
    return "", 204


@bp.get("/staff/held")
@access.staff()
def held() -> Any:
    """What I had typed on that page; nothing where there is none."""
    found = sessions.held(current_staff().id, request.args.get("path", ""))
    if found is None:
        visit.flag_held(sessions.has_held(current_staff().id))
        return "", 204
    return jsonify(found.content)


@bp.post("/staff/held/drop")
@access.staff(background=True)
def drop_held() -> Any:
    """It is on the page again."""
    body = request.get_json(silent=True)
    path = body.get("path") if isinstance(body, dict) else None
    if not _is_text(path):
        raise Invalid("Say which page.", fields=["path"])
    sessions.let_go(current_staff().id, path)
    visit.flag_held(sessions.has_held(current_staff().id))
    return "", 204


def _is_text(value: Any) -> TypeGuard[str]:
    """What PostgreSQL keeps: it takes no NUL."""
    return isinstance(value, str) and "\0" not in value


def _held_content(body: Any) -> tuple[str, dict[str, Any]]:
    """Path and content of what a page sends. Raises Invalid."""
    if not isinstance(body, dict):
        raise Invalid("That is no form.")
    path, action, focus, fields = (body.get(key) for key in ("path", "action", "focus", "fields"))
    texts = all(_is_text(each) for each in (path, action, focus))
    pairs = isinstance(fields, list) and all(
        isinstance(pair, list) and len(pair) == 2 and all(_is_text(part) for part in pair) for pair in fields
    )
    if not (texts and pairs and str(path).startswith("/staff/")):
        raise Invalid("That is no form.")
    return str(path), {"action": action, "fields": fields, "focus": focus}


@bp.post("/staff/over")
@access.staff(background=True)
def over() -> Any:
    """The page's time is over: this browser is signed out."""
    sessions.end(current_staff().session_id, of=current_staff().id, by=current_actor())
    return "", 204


@bp.post("/staff/account/morning-mail")
@access.staff()
def morning_mail() -> Any:
    """Whether the mail of the morning comes."""
    operations.set_morning_mail(current_staff().id, request.form.get("wanted") == "yes")
    flash("Saved.")
    return redirect(url_for(".account"))
