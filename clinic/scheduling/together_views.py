"""Several who wait, planned together: chosen from the list, looked at, booked or offered in one go."""

from typing import Any

from flask import flash, redirect, render_template, request, url_for

from clinic.errors import Invalid, NotFound
from clinic.locations import queries as locations
from clinic.scheduling import together, together_presenter
from clinic.scheduling.blueprint import DESK, bp
from clinic.scheduling.board_presenter import number
from clinic.scheduling.models import WaitState
from clinic.scheduling.waiting_views import chosen_site, shown_rows
from clinic.web import access
from clinic.web.access import current_actor
from clinic.web.arguments import row_id


@bp.post("/staff/waitlist/plans")
@access.staff(*DESK)
def plan_together() -> Any:
    """Plan those who were ticked, or all that the list shows. Nobody is booked or told yet."""
    site = chosen_site(request.form.get("site", ""))
    ids = _ticked()
    if request.form.get("all"):
        ids = [row.id for row in shown_rows(site) if row.state == WaitState.WAITING]
        if len(ids) > together.MOST_TOGETHER:
            flash(f"Planned are the first {together.MOST_TOGETHER} of {len(ids)} in line.")
            ids = ids[: together.MOST_TOGETHER]
    try:
        plan_id = together.plan(ids, by=current_actor())
    except Invalid as refusal:
        flash(refusal.message, "error")
        return redirect(url_for(".waitlist", site=site.slug if site else None))
    return redirect(url_for(".together_page", plan_id=plan_id))


def _ticked() -> list[int]:
    return list(dict.fromkeys(request.form.getlist("entry", type=row_id)))


@bp.get("/staff/waitlist/plans/<int:plan_id>")
@access.staff(*DESK)
def together_page(plan_id: int) -> Any:
    """Who gets which course, who gets none and by which rule; after it was carried out, what became of each."""
    plan, lines = together.get(plan_id), together.lines(plan_id)
    if not lines:
        raise NotFound("no such plan")
    return render_template(
        "scheduling/together.html", plan=plan, view=together_presenter.view(plan, lines), tz=locations.clinic_tz()
    )


@bp.post("/staff/waitlist/plans/<int:plan_id>/<any(again, book, offer):act>")
@access.staff(*DESK)
def carry_out(plan_id: int, act: str) -> Any:
    """Book or offer the courses that are ticked, each for itself; or plan those once more who have none yet."""
    by = current_actor()
    lines = together.lines(plan_id)
    if not lines:
        raise NotFound("no such plan")
    if act == "again":
        try:
            ids = [line.entry_id for line in lines if line.outcome not in ("booked", "offered")]
            return redirect(url_for(".together_page", plan_id=together.plan(ids, by=by)))
        except Invalid as refusal:
            flash(refusal.message, "error")
            return redirect(url_for(".waitlist"))
    ids = _ticked()
    if not ids:
        flash("Nobody is ticked. Nothing was booked.", "error")
        return redirect(url_for(".together_page", plan_id=plan_id))
    counts = (together.book if act == "book" else together.offer)(plan_id, ids, by=by)
    done = counts["booked" if act == "book" else "offered"]
    if done:
        flash(_done(act, done))
    if counts["lost"]:
        flash(_lost(counts["lost"]), "error")
    return redirect(url_for(".together_page", plan_id=plan_id))


def _done(act: str, count: int) -> str:
    courses = "One whole course is" if count == 1 else f"{number(count).capitalize()} whole courses are"
    if act == "book":
        return f"{courses} booked. Each person gets one message with all dates."
    return f"{courses} held and offered. Each person gets one message; the places are kept for four hours."


def _lost(count: int) -> str:
    who = "One course no longer fits" if count == 1 else f"{number(count).capitalize()} courses no longer fit"
    return f"{who}: why stands beside each. Whoever it is stays on the list; plan them once more."
