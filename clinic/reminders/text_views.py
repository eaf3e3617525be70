"""Settings: what messages say. Every text with its preview in both forms, checked before it is used."""

from typing import Any

from flask import Blueprint, current_app, flash, redirect, render_template, request, url_for

from clinic.locations import queries as locations
from clinic.reminders import text_rules, texts, wording
from clinic.reminders.forms import PURPOSE_WORDS, TextForm
from clinic.staff.models import Role
from clinic.web import access
from clinic.web.access import current_actor
from clinic.web.i18n import LANGUAGES

bp = Blueprint("texts", __name__, template_folder="templates")

TITLES = {
    **{str(purpose): word for purpose, word in PURPOSE_WORDS.items()},
    "course_booked_one": "Course booked, one visit",
    "day_before_first": "Day before the first visit",
    "day_before_ride": "Day before, with ride and fasting",
    "session_moved_new": "Visit added or moved, old time not known",
    "session_moved_many": "Several visits moved",
    "session_cancelled_many": "Several visits cancelled",
    "session_moved_and_cancelled": "Visits moved, others cancelled",
    "freed_slot_and_more": "Earlier time offered, other visits changed",
    "freed_course": "Place off the waiting list",
    "reply_coming": "Reply to 1, coming",
    "reply_late": "Reply to 2, late",
    "reply_cannot": "Reply to 3, cannot come",
    "reply_unclear": "Reply to what nobody can read",
    "reply_stopped": "Reply to STOP",
    "reply_started": "Reply to START",
    "reply_help": "Reply to HELP",
}


@bp.get("/staff/settings/messages")
@access.staff(Role.MANAGER)
def overview() -> Any:
    """Every text, and which of them the clinic words itself."""
    own = texts.own_versions()
    return render_template(
        "reminders/texts.html", keys=list(text_rules.RULES), titles=TITLES, own=own, languages=LANGUAGES
    )


@bp.route("/staff/settings/messages/<key>/<language>", methods=["GET", "POST"])
@access.staff(Role.MANAGER)
def edit(key: str, language: str) -> Any:
    """One text: write, look, use."""
    in_force, row = texts.in_force(key, language)
    names, base = text_rules.names(key), current_app.config["SETTINGS"].base_url
    form = TextForm(data=dict(in_force) if request.method == "GET" else None)
    status = 200
    parts: wording.Parts = in_force
    if request.method == "POST":
        parts = form.parts(names)
        wrong = texts.check(key, language, parts, base) if form.validate() else []
        for problem in wrong:
            form[problem.part].errors = [*form[problem.part].errors, problem.words]
        if form.errors or wrong:
            status = 422
        elif request.form.get("do") == "save":
            version = texts.save_text(key, language, parts, base=base, by=current_actor())
            flash(f"In use from now on, version {version}.")
            return redirect(url_for(".edit", key=key, language=language))
    shown = status == 200
    said = texts.preview(key, language, parts, "sms", base).body if shown else ""
    letter = texts.preview(key, language, parts, "email", base) if shown and "mail" in names else None
    page = render_template(
        "reminders/text.html",
        key=key,
        language=language,
        languages=LANGUAGES,
        title=TITLES[key],
        form=form,
        fields=[form[name] for name in names],
        facts=[
            (name, text_rules.FACT_WORDS[name]) for name in text_rules.FACT_WORDS if name in text_rules.RULES[key].facts
        ],
        said=said,
        size=text_rules.size(said) if said else "",
        letter=letter,
        row=row,
        versions=texts.versions(key, language),
        tz=locations.clinic_tz(),
    )
    return page, status


@bp.post("/staff/settings/messages/<key>/<language>/ours")
@access.staff(Role.MANAGER)
def use_ours(key: str, language: str) -> Any:
    """Back to the wording that comes with the software."""
    texts.use_ours(key, language, by=current_actor())
    flash("Our own wording is in use again.")
    return redirect(url_for(".edit", key=key, language=language))
