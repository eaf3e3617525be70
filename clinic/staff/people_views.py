"""Who works here: managers invite, give roles and sites, lock, close, and help to sign in. And the link for a password."""

from collections.abc import Callable
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for

from clinic import clock
from clinic.audit import Actor
from clinic.errors import Conflict, Expired, Invalid
from clinic.locations import queries as locations
from clinic.staff import administration, directory, password_links
from clinic.staff.directory import State
from clinic.staff.forms import (
    ROLE_NOTES,
    STATE_WORDS,
    AccountForm,
    FilterForm,
    FirstPasswordForm,
    GrantForm,
    InviteForm,
)
from clinic.staff.models import Role, StaffUser
from clinic.staff.signin import needs_second_step
from clinic.staff.views import role_words
from clinic.web import access
from clinic.web.access import current_actor, current_staff
from clinic.web.arguments import small_row_id
from clinic.web.limits import limiter

STATE_KINDS = {State.INVITED: "due", State.OPEN: "good", State.LOCKED: "stop", State.CLOSED: "unsure"}

bp = Blueprint("people", __name__, template_folder="templates")


@bp.get("/staff/people")
@access.staff(Role.MANAGER)
def listing() -> Any:
    """Who works here, by name: roles, sites, second step, the last sign-in."""
    form = FilterForm(request.args)
    ok = form.validate()
    text, state = (form.q.data or "").strip(), form.state.data or None
    found, count = directory.page(_scope(), text=text, state=state, after=request.args.get("after", type=small_row_id))
    shown = found[: directory.PAGE]
    chosen: dict[str, Any] = {name: value for name, value in (("q", text), ("state", state)) if value}
    return render_template(
        "staff/people.html",
        form=form,
        people=shown,
        count=count,
        chosen=chosen,
        is_later="after" in request.args,
        next_url=url_for(".listing", **chosen, after=shown[-1].id) if len(found) > directory.PAGE else "",
        me=current_staff().id,
        needs_step=needs_second_step,
        tz=locations.clinic_tz(),
        **_words(),
    ), 200 if ok else 422


@bp.route("/staff/people/invite", methods=["GET", "POST"])
@access.staff(Role.MANAGER, fresh=True)
def invite() -> Any:
    """A new colleague gets a mail with a link for a password."""
    form = InviteForm(**_choices())
    if not form.validate_on_submit():
        return _invite_page(form), 422 if form.is_submitted() else 200
    try:
        staff_id = administration.invite(
            email=form.email.data or "",
            name=form.name.data or "",
            grant=form.grant(),
            skills=form.skills.data or (),
            by=current_actor(),
        )
    except Conflict as error:
        form.email.errors = [f"{error.message}."]
        return _invite_page(form), 409
    except Invalid as error:
        form.form_errors.append(error.message)
        return _invite_page(form), 422
    flash("Invited. A mail with a link for a password is on its way; it is good for three days.")
    return redirect(url_for(".person", staff_id=staff_id))


def _invite_page(form: InviteForm) -> str:
    return render_template("staff/invite.html", form=form, **_words())


@bp.route("/staff/people/<int:staff_id>", methods=["GET", "POST"])
@access.staff(Role.MANAGER, fresh=True)
def person(staff_id: int) -> Any:
    """One account: roles and sites, how they sign in, and what can be done about it."""
    user = directory.get(staff_id, _scope())
    if request.method == "GET":
        return _page(user)
    form = GrantForm(**_choices())
    if not form.validate():
        return _page(user, grant=form), 422
    try:
        administration.change_grant(staff_id, form.grant(), seen=form.seen.data or "", by=current_actor())
    except Invalid as error:
        form.form_errors.append(error.message)
        return _page(user, grant=form), 422
    except Conflict as error:
        return _page(directory.get(staff_id, _scope()), problem=error.message), 409
    flash("Saved. It holds from their next page on.")
    return redirect(url_for(".person", staff_id=staff_id))


@bp.post("/staff/people/<int:staff_id>/<any('link', 'second-step', 'sign-out', 'tries', 'lock', 'close', 'open'):what>")
@access.staff(Role.MANAGER, fresh=True)
def do(staff_id: int, what: str) -> Any:
    """Help to sign in, or lock, close and open the account."""
    user = directory.get(staff_id, _scope())
    form = AccountForm()
    if not form.validate():
        return _page(user, account=form), 422
    try:
        words = _DEEDS[what](staff_id, form.reason.data or "", current_actor())
    except Invalid as error:
        form.reason.errors = [error.message]
        return _page(user, account=form), 422
    except Conflict as error:
        return _page(directory.get(staff_id, _scope()), problem=error.message), 409
    flash(words)
    return redirect(url_for(".person", staff_id=staff_id))


def _link(staff_id: int, _reason: str, by: Actor) -> str:
    sent = administration.send_link(staff_id, by=by)
    return "A mail with a link for a new password is on its way." if sent else "A mail left a moment ago."


def _second_step(staff_id: int, reason: str, by: Actor) -> str:
    administration.take_second_step(staff_id, reason=reason, by=by)
    return "The second step is gone, and they are signed out everywhere. They set a new one up at the next sign-in."


def _sign_out(staff_id: int, _reason: str, by: Actor) -> str:
    count = administration.sign_out(staff_id, by=by)
    return (
        "They were signed in nowhere."
        if not count
        else f"Signed out of {count} {'browser' if count == 1 else 'browsers'}."
    )


def _tries(staff_id: int, _reason: str, by: Actor) -> str:
    administration.forget_tries(staff_id, by=by)
    return "They can try again now."


def _lock(staff_id: int, reason: str, by: Actor) -> str:
    administration.lock_account(staff_id, reason=reason, by=by)
    return "Locked, and signed out everywhere."


def _close(staff_id: int, reason: str, by: Actor) -> str:
    administration.close_account(staff_id, reason=reason, by=by)
    return "Closed, and signed out everywhere. What they did stays on record."


def _open(staff_id: int, reason: str, by: Actor) -> str:
    administration.open_account(staff_id, reason=reason, by=by)
    return "Open again."


_DEEDS: dict[str, Callable[[int, str, Actor], str]] = {
    "link": _link,
    "second-step": _second_step,
    "sign-out": _sign_out,
    "tries": _tries,
    "lock": _lock,
    "close": _close,
    "open": _open,
}


def _page(
    user: StaffUser, *, grant: GrantForm | None = None, account: AccountForm | None = None, problem: str = ""
) -> str:
    """`grant` or `account`: what was sent and refused."""
    one = directory.people([user])[0]
    present = administration.grant_of(user)
    form = grant or GrantForm(
        formdata=None,
        data={
            "roles": sorted(present.roles),
            "sites": sorted(present.location_ids),
            "all_sites": present.all_sites,
            "seen": administration.state_digest(user),
        },
        **_choices(),
    )
    return render_template(
        "staff/person.html",
        one=one,
        entry=directory.entry(user),
        form=form,
        account=account or AccountForm(formdata=None),
        problem=problem,
        is_own=one.id == current_staff().id,
        needs_step=needs_second_step(one.roles),
        tz=locations.clinic_tz(),
        **_words(),
    )


def _scope() -> frozenset[int] | None:
    caller = current_staff()
    return None if caller.has_all_sites else caller.location_ids


def _choices() -> dict[str, Any]:
    caller = current_staff()
    sites = [(site.id, site.name) for site in locations.active() if site.id in caller.location_ids]
    return {"sites": sites, "may_all": caller.has_all_sites}


def _words() -> dict[str, Any]:
    return {"states": STATE_WORDS, "state_kinds": STATE_KINDS, "role_notes": ROLE_NOTES, "role_words": role_words}


# -- the link ----------------------------------------------------------------------------------------------------------


@bp.route("/staff/welcome/<token>", methods=["GET", "POST"])
@access.public
@limiter.limit("120 per hour")
@limiter.limit("20 per hour", methods=["POST"])
def welcome(token: str) -> Any:
    """Choose a password. Opening it changes nothing: mail scanners open links too."""
    user = password_links.owner(token, clock.now())
    if user is None:
        return render_template("staff/staff_welcome_old.html"), 410
    form = FirstPasswordForm()
    if not form.validate_on_submit():
        return _welcome_page(form, user), 422 if form.is_submitted() else 200
    try:
        administration.set_first_password(token, form.password.data or "")
    except Invalid as error:
        form.password.errors = [error.message]
        return _welcome_page(form, user), 422
    except Expired:
        return render_template("staff/staff_welcome_old.html"), 410
    flash("Your password is set. Sign in with it.")
    return redirect(url_for("security.login"))


def _welcome_page(form: FirstPasswordForm, user: StaffUser) -> str:
    return render_template("staff/staff_welcome.html", form=form, email=user.email, is_first=user.password is None)
