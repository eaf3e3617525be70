"""The account of a staff member. Signing in itself is Flask-Security's, with our templates."""

from typing import Any

from flask import Blueprint, flash, g, redirect, render_template, request, url_for
from flask_login import current_user

from clinic.staff import operations
from clinic.staff.models import Role
from clinic.web import access, context
from clinic.web.access import current_staff

ROLE_WORDS = {
    Role.FRONT_DESK: "Front desk",
    Role.OPERATOR: "Operator",
    Role.NURSE: "Nurse",
    Role.THERAPIST: "Therapist",
    Role.PRESCRIBER: "Prescriber",
    Role.MANAGER: "Manager",
}

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


def role_words(roles: frozenset[str]) -> str:
    """`Front desk, nurse`."""
    words = [word for role, word in ROLE_WORDS.items() if role in roles]
    return ", ".join([words[0], *(word.lower() for word in words[1:])]) if words else ""


context.add("signed_in", _signed_in)


@bp.get("/staff/account")
@access.staff()
def account() -> Any:
    """Who I am here, my password, and the second step at sign-in."""
    caller = current_staff()
    return render_template(
        "staff/account.html",
        name=caller.name,
        email=current_user.email,
        roles=role_words(caller.roles),
        has_second_step=bool(current_user.tf_primary_method),
        morning_mail=operations.wants_morning_mail(caller.id),
        gets_morning_mail=caller.has(Role.FRONT_DESK, Role.MANAGER),
    )


@bp.post("/staff/account/morning-mail")
@access.staff()
def morning_mail() -> Any:
    """Whether the mail of the morning comes."""
    operations.set_morning_mail(current_staff().id, request.form.get("wanted") == "yes")
    flash("Saved.")
    return redirect(url_for(".account"))
