"""Booking in three screens, a person's courses on the record, and where tasks lead."""

from datetime import date
from typing import Any
from uuid import UUID

from flask import flash, jsonify, redirect, render_template, request, url_for
from flask_babel import lazy_gettext
from markupsafe import Markup

from clinic import clock
from clinic.errors import Conflict, DecisionRequired, Expired, Invalid, NotAuthorised, NotFound, SlotTaken
from clinic.locations import zips
from clinic.patients import chart
from clinic.patients import queries as patients
from clinic.protocols.shapes import bookable
from clinic.scheduling import holding, ledger, operations, presenter, queries, wishes
from clinic.scheduling.blueprint import DESK, FLOOR
from clinic.scheduling.blueprint import bp as bp
from clinic.scheduling.course_form import course_form
from clinic.scheduling.models import CourseProposal
from clinic.tasks.models import Task, TaskKind
from clinic.tasks.today import TARGETS, Target
from clinic.web import access, context
from clinic.web.access import current_actor, wants_json
from clinic.web.arguments import row_id

context.NAV.append(("Day board", "scheduling.today", frozenset(map(str, FLOOR))))
context.NAV.append(("Courses", "scheduling.courses", frozenset(map(str, FLOOR))))
chart.TABS.append(chart.Tab(30, lazy_gettext("Dates"), "scheduling.dates", "cal"))


# -- booking: what is wanted, which of three, done ------------------------------------------------------------------


@bp.route("/staff/courses/new", methods=["GET", "POST"])
@access.staff(*DESK)
def new_course() -> Any:
    """What the course should be like."""
    patient = patients.get(request.args.get("patient", 0, type=row_id))
    form = course_form(patient.id, **_asked_before())
    if not form.validate_on_submit():
        return render_template("scheduling/new.html", form=form, patient=patient), 422 if form.is_submitted() else 200
    zip_code = (form.zip_code.data or "").strip()
    if zip_code and zips.center(zip_code) is None:
        form.zip_code.errors = ["This is no ZIP code that we know. Leave it out, or try one nearby."]
        return render_template("scheduling/new.html", form=form, patient=patient), 422
    try:
        offer = operations.propose_courses(patient.id, form.wish(), hold=True, by=current_actor())
    except (Conflict, Invalid) as refusal:
        return render_template("scheduling/new.html", form=form, patient=patient, problem=refusal.message), 422
    if not offer.proposal_ids:
        return render_template(
            "scheduling/new.html", form=form, patient=patient, binding=offer.binding, day_words=_iso_day
        )
    held = str(offer.proposal_ids[0])
    return redirect(url_for(".choose", plan=[str(x) for x in offer.proposal_ids], show=held, zip=zip_code or None))


def _asked_before() -> dict[str, Any]:
    """What was asked for when the proposal `from` was made, so that another wish starts from it."""
    if "from" not in request.args:
        return {}
    wish = wishes.wish_from_json(queries.proposal(_uuid(request.args["from"])).request)
    window = wish.daily_window or (0, 1440)
    return {
        "protocol": wish.protocol,
        "locations": list(wish.location_ids),
        "earliest": wish.earliest_start,
        "latest": wish.latest_start,
        "after": str(window[0]) if window[0] else "",
        "before": str(window[1]) if window[1] < 1440 else "",
        "weekdays": list(wish.weekdays),
        "thresholds": wish.thresholds,
        "zip_code": request.args.get("zip", ""),
    }


def _iso_day(text: str) -> str:
    return presenter.day_words(date.fromisoformat(text))


@bp.get("/staff/courses/choose")
@access.staff(*DESK)
def choose() -> Any:
    """Three whole courses side by side."""
    rows = queries.proposals([_uuid(x) for x in request.args.getlist("plan")[:5]])
    return _choice(rows)


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise NotFound("no such proposal") from None


def _choice(rows: list[CourseProposal], problem: str = "") -> str:
    if not rows or len({row.patient_id for row in rows}) > 1:
        raise NotFound("no such proposals")
    shown = request.args.get("show", "")
    held = holding.held_proposal(rows[0].patient_id)
    cheapest = min(rows, key=lambda row: row.plan["cost"])
    wanted = shown or (str(held[0]) if held else "")
    chosen = next((row for row in rows if str(row.id) == wanted), cheapest)
    zip_code = request.args.get("zip", "")[:10]
    is_held = held is not None and held[0] in {row.id for row in rows}
    until = held[1] if held is not None and is_held else min(row.expires_at for row in rows)
    return render_template(
        "scheduling/choose.html",
        patient=patients.get(rows[0].patient_id),
        protocol=bookable()[rows[0].protocol].name,
        page=presenter.compare(rows, chosen, zips.center(zip_code), _left_to_book(rows[0])),
        ids=[str(row.id) for row in rows],
        held_id=str(held[0]) if held is not None and is_held else "",
        seconds=max(0, int((until - clock.now()).total_seconds())),
        zip_code=zip_code,
        problem=problem,
    )


def _left_to_book(row: CourseProposal) -> int | None:
    """Sessions that a payer still pays for; None where no payer was asked for this treatment."""
    approved = ledger.fitting(row.patient_id, wishes.protocol_of(row.protocol))
    return sum(each.sessions_approved - each.sessions_taken for each in approved) if approved else None


@bp.post("/staff/courses/hold")
@access.staff(*DESK)
def hold_plan() -> Any:
    """Keep the places of this plan for ten minutes, in place of another one of the person, or once more."""
    row = queries.proposal(_uuid(request.form.get("plan", "")))
    plans = [str(row.id) if x == "" else x for x in request.form.getlist("plans")] or [str(row.id)]
    target = url_for(".choose", plan=plans, show=str(row.id), zip=request.form.get("zip") or None)
    try:
        kept = holding.hold_proposal(row.id, by=current_actor())
    except Conflict as refusal:
        if wants_json():
            return jsonify(say=refusal.message), 409
        flash(refusal.message, "error")
        return redirect(target)
    if wants_json():
        return jsonify(say="Held for ten minutes.", seconds=int((kept.expires_at - clock.now()).total_seconds()))
    return redirect(target)


@bp.post("/staff/courses")
@access.staff(*DESK)
def book() -> Any:
    """Book every session of the chosen course, or none."""
    row = queries.proposal(_uuid(request.form.get("plan", "")))
    patient_id = row.patient_id
    try:
        booked = operations.book_course(patient_id, proposal_id=row.id, by=current_actor())
    except (SlotTaken, Expired) as refusal:
        return _lost(patient_id, refusal)
    except (DecisionRequired, NotAuthorised) as refusal:
        return render_template(
            "scheduling/refused.html",
            patient=patients.get(patient_id),
            problem=refusal.message,
            outside=refusal.details.get("sessions", ()),
            day_words=_iso_day,
        ), 409
    if booked.is_new:
        flash(f"All {len(queries.sessions(booked.course_id))} sessions are booked.")
    return redirect(url_for(".course", course_id=booked.course_id))


def _lost(patient_id: int, refusal: Conflict) -> Any:
    """Nothing was booked: say so, with fresh plans where there are any."""
    offer = refusal.details.get("offer")
    if offer is None or not offer.proposal_ids:
        words = offer.binding[0]["text"] if offer and offer.binding else ""
        return render_template(
            "scheduling/refused.html", patient=patients.get(patient_id), problem=refusal.message, words=words
        ), 409
    rows = queries.proposals(offer.proposal_ids)
    return _choice(rows, f"{refusal.message} Here are fresh plans."), 409


# -- the record -----------------------------------------------------------------------------------------------------


def _record(patient_id: int) -> Markup | None:
    """The courses of a person, and the visits ahead, on the staff's record page."""
    return context.rendered(
        "scheduling/chart.html",
        rows=queries.courses_of(patient_id),
        visits=queries.visits_ahead(patient_id),
        kinds=presenter.KIND_WORDS,
        patient_id=patient_id,
        words=presenter.COURSE_WORDS,
        protocols={key: entry.name for key, entry in bookable().items()},
    )


chart.add_section(20, _record, roles=FLOOR)


# -- where tasks lead -------------------------------------------------------------------------------------------------


def _to_book(task: Task) -> Target | None:
    if task.patient_id is None:
        return None
    return Target(url_for("scheduling.new_course", patient=task.patient_id), "Book", "A prescriber approved it.")


def _to_move(task: Task) -> Target | None:
    session_id = task.subject.get("session_id")
    return Target(url_for("scheduling.move_session", session_id=session_id), "Move") if session_id else None


def _to_prepare(task: Task) -> Target | None:
    course_id = task.subject.get("course_id")
    return Target(url_for("scheduling.course", course_id=course_id), "Look") if course_id else None


TARGETS[TaskKind.BOOK_COURSE] = _to_book
TARGETS[TaskKind.PREPARE_COURSE] = _to_prepare
TARGETS[TaskKind.CANNOT_COME] = _to_move


from clinic.scheduling import (  # noqa: E402 - their routes belong to the same blueprint
    answer_views,  # noqa: F401
    board_views,  # noqa: F401
    capacity_views,  # noqa: F401
    course_views,  # noqa: F401
    equipment_views,  # noqa: F401
    feed_views,  # noqa: F401
    funding_views,  # noqa: F401
    outage_views,  # noqa: F401
    patient_views,  # noqa: F401
    together_views,  # noqa: F401
    visit_views,  # noqa: F401
    waiting_views,  # noqa: F401
)
