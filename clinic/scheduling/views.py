"""Booking in three screens, the course, the day list, and the patient's dates."""

from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import lazy_gettext
from markupsafe import Markup

from clinic import audit, clock
from clinic.db import db
from clinic.eligibility.queries import approved_pathways
from clinic.errors import Conflict, DecisionRequired, Expired, Invalid, NotFound, Refused, SlotTaken
from clinic.locations import queries as locations
from clinic.locations.models import Location
from clinic.patients import chart
from clinic.patients import queries as patients
from clinic.protocols.shapes import bookable
from clinic.scheduling import appointments, making_up, operations, presenter, queries
from clinic.scheduling.forms import CourseForm, ReasonForm, ResumeForm
from clinic.scheduling.models import HOLDS_PLACE, CourseProposal, SessionState, TreatmentSession
from clinic.staff.models import Role
from clinic.tasks.models import Task, TaskKind
from clinic.tasks.today import TARGETS, Target
from clinic.web import access, charts, context
from clinic.web.access import current_actor, current_patient, current_staff, is_safe_next

DESK = (Role.FRONT_DESK, Role.NURSE, Role.PRESCRIBER, Role.MANAGER)
FLOOR = (*DESK, Role.OPERATOR)
PAGE = 50

bp = Blueprint("scheduling", __name__, template_folder="templates")
context.NAV.append(("Day board", "scheduling.today", frozenset(map(str, FLOOR))))
context.NAV.append(("Courses", "scheduling.courses", frozenset(map(str, FLOOR))))
chart.TABS.append(chart.Tab(30, lazy_gettext("Dates"), "scheduling.dates", "cal"))


# -- booking: what is wanted, which of three, done ------------------------------------------------------------------


def _course_form(patient_id: int, **defaults: Any) -> CourseForm:
    """Protocols that some device gives: approved treatments first, then what most devices give."""
    sites = locations.active()
    offered = Counter(key for site in sites for device in site.devices for key in device.protocols)
    approved = approved_pathways(patient_id)
    known = sorted(
        (protocol for protocol in bookable().values() if protocol.gives in offered),
        key=lambda one: (one.modality not in approved, -offered[one.gives], one.name),
    )
    return CourseForm(
        protocols=[(one.key, one.name) for one in known], sites=[(site.id, site.name) for site in sites], **defaults
    )


@bp.route("/staff/courses/new", methods=["GET", "POST"])
@access.staff(*DESK)
def new_course() -> Any:
    """What the course should be like."""
    patient = patients.get(request.args.get("patient", 0, type=int))
    form = _course_form(patient.id)
    if not form.validate_on_submit():
        return render_template("scheduling/new.html", form=form, patient=patient), 422 if form.is_submitted() else 200
    try:
        offer = operations.propose_courses(patient.id, form.wish(), by=current_actor())
    except (Invalid, DecisionRequired) as refusal:
        return render_template("scheduling/new.html", form=form, patient=patient, problem=refusal.message), 422
    if not offer.proposal_ids:
        return render_template(
            "scheduling/new.html", form=form, patient=patient, binding=offer.binding, day_words=_iso_day
        )
    return redirect(url_for(".choose", plan=[str(x) for x in offer.proposal_ids]))


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
    cheapest = min(rows, key=lambda row: row.plan["cost"])
    chosen = next((row for row in rows if str(row.id) == shown), cheapest)
    minutes = max(0, int((min(row.expires_at for row in rows) - clock.now()).total_seconds() // 60))
    return render_template(
        "scheduling/choose.html",
        patient=patients.get(rows[0].patient_id),
        protocol=bookable()[rows[0].protocol].name,
        page=presenter.compare(rows, chosen),
        ids=[str(row.id) for row in rows],
        minutes=minutes,
        problem=problem,
    )


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
    except DecisionRequired as refusal:
        return render_template(
            "scheduling/refused.html", patient=patients.get(patient_id), problem=refusal.message
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


# -- courses --------------------------------------------------------------------------------------------------------


@bp.get("/staff/courses")
@access.staff(*FLOOR)
def courses() -> Any:
    """Courses that run or will run at the caller's sites."""
    after = request.args.get("after", 0, type=int)
    rows = queries.open_courses(current_staff().location_ids, after=after, limit=PAGE + 1)
    next_url = url_for(".courses", after=rows[PAGE - 1].id) if len(rows) > PAGE else ""
    return render_template(
        "scheduling/courses.html",
        rows=rows[:PAGE],
        next_url=next_url,
        words=presenter.COURSE_WORDS,
        protocols={key: entry.name for key, entry in bookable().items()},
    )


@bp.get("/staff/courses/<int:course_id>")
@access.staff(*FLOOR)
def course(course_id: int) -> Any:
    """One course: its path, its sessions, what can be done."""
    return _course_page(course_id)


def _course_page(course_id: int, problem: str = "") -> str:
    audit.record(queries.course(course_id), "read", by=current_actor())
    db.session.commit()
    make_ups = making_up.make_ups(course_id)  # its own transaction: before anything is loaded for the page
    row = queries.course(course_id)
    patient = patients.get(row.patient_id)
    site = locations.get(row.location_id)
    sessions = queries.sessions(course_id)
    names = queries.device_names({s.device_id for s in sessions} | {row.device_id})
    owed = row.planned_sessions - sum(s.state in HOLDS_PLACE for s in sessions)
    return render_template(
        "scheduling/course.html",
        course=row,
        patient=patient,
        site=site,
        protocol=bookable()[row.protocol].name if row.protocol in bookable() else row.protocol,
        sessions=sessions,
        zones={s.location_id: locations.get(s.location_id) for s in sessions},
        devices=names,
        done=sum(s.state == SessionState.COMPLETED for s in sessions),
        owed=owed,
        make_ups=make_ups,
        path=presenter.booked_path(sessions, site.tz, clock.now()),
        words=presenter.STATE_WORDS,
        course_words=presenter.COURSE_WORDS,
        today=clock.today(site.tz),
        reason=ReasonForm(),
        resume=ResumeForm(),
        may_change=current_staff().has(*DESK),
        problem=problem,
    )


@bp.post("/staff/courses/<int:course_id>/<change>")
@access.staff(*DESK)
def end_course(course_id: int, change: str) -> Any:
    """Cancel or pause a course, with a reason."""
    if change not in ("cancel", "pause"):
        raise NotFound("no such change")
    form = ReasonForm()
    if not form.validate_on_submit():
        return _course_page(course_id, "Say why: the reason goes on record."), 422
    act = operations.cancel_course if change == "cancel" else operations.pause_course
    try:
        act(course_id, reason=form.reason.data, by=current_actor())
    except Conflict as refusal:
        return _course_page(course_id, refusal.message), 409
    flash("The course was cancelled." if change == "cancel" else "The course is paused. Its sessions stay owed.")
    return redirect(url_for(".course", course_id=course_id))


@bp.post("/staff/courses/<int:course_id>/resume")
@access.staff(*DESK)
def resume_course(course_id: int) -> Any:
    """Plan and book what is owed."""
    form = ResumeForm()
    if not form.validate_on_submit():
        return _course_page(course_id, "That is not a date."), 422
    try:
        resumed = operations.resume_course(course_id, on=form.on.data, by=current_actor())
    except (Conflict, Invalid) as refusal:
        return _course_page(course_id, refusal.message), 409
    flash(f"{resumed.sessions} sessions are booked again.")
    if resumed.needs_review:
        flash(f"Ask the prescriber before the next session: {resumed.review}.", "error")
    return redirect(url_for(".course", course_id=course_id))


@bp.post("/staff/courses/<int:course_id>/make-up")
@access.staff(*DESK)
def make_up(course_id: int) -> Any:
    """Book one of the places that were offered for an owed session."""
    try:
        starts_at, device_id = _place()
        making_up.add_make_up(course_id, starts_at=starts_at, device_id=device_id, by=current_actor())
    except (Conflict, Invalid) as refusal:
        return _course_page(course_id, refusal.message), 409
    flash("The session was added at the end.")
    return redirect(url_for(".course", course_id=course_id))


def _place() -> tuple[datetime, int]:
    text, _, device = request.form.get("place", "").partition(" ")
    try:
        starts_at = datetime.fromisoformat(text)
    except ValueError:
        raise Invalid("Choose one of the times.") from None
    if starts_at.tzinfo is None or not device.isdecimal() or len(device) > 9:
        raise Invalid("Choose one of the times.")
    return starts_at, int(device)


# -- one session ----------------------------------------------------------------------------------------------------

CHANGES = {
    "confirm": (appointments.confirm_session, "Confirmed."),
    "arrive": (appointments.arrive_session, "Arrived."),
    "complete": (appointments.complete_session, "Done."),
    "no-show": (
        appointments.miss_session,
        "Marked as missed. The place is free; make-up times are on the course page.",
    ),
}


@bp.post("/staff/sessions/<int:session_id>/<change>")
@access.staff(*FLOOR)
def change_session(session_id: int, change: str) -> Any:
    """One button of a row."""
    if change not in CHANGES:
        raise NotFound("no such change")
    row = queries.session(session_id)
    back = _home_of(row)
    act, words = CHANGES[change]
    try:
        act(session_id, by=current_actor())
    except Conflict as refusal:
        flash(f"{refusal.message[0].upper()}{refusal.message[1:]}. Nothing was changed.", "error")
    else:
        flash(words)
    return _back(back)


def _home_of(row: TreatmentSession) -> str:
    """The page that an appointment belongs to: its course, or for a visit the day."""
    if row.course_id is not None:
        return url_for(".course", course_id=row.course_id)
    return url_for(".day", slug=locations.get(row.location_id).slug, on=row.local_on.isoformat())


@bp.post("/staff/sessions/<int:session_id>/cancel")
@access.staff(*DESK)
def cancel_session(session_id: int) -> Any:
    """Free one session, with a reason."""
    course_id = queries.course_of(queries.session(session_id)).id
    form = ReasonForm()
    if not form.validate_on_submit():
        return _course_page(course_id, "Say why: the reason goes on record."), 422
    try:
        appointments.cancel_session(session_id, reason=form.reason.data, by=current_actor())
    except Conflict as refusal:
        return _course_page(course_id, refusal.message), 409
    flash("The session was cancelled. Make-up times are below.")
    return redirect(url_for(".course", course_id=course_id))


def _back(home: str) -> Any:
    target = request.form.get("next")
    return redirect(target if target and is_safe_next(target) else home)


@bp.route("/staff/sessions/<int:session_id>/move", methods=["GET", "POST"])
@access.staff(*DESK)
def move_session(session_id: int) -> Any:
    """Free times for one session, day by day."""
    problem, status = "", 200
    if request.method == "POST":
        try:
            starts_at, device_id = _place()
            appointments.move_session(session_id, starts_at=starts_at, device_id=device_id, by=current_actor())
        except (Conflict, Invalid) as refusal:
            problem, status = refusal.message, 409
        else:
            flash("The session was moved. The patient is told by message.")
            return redirect(_home_of(queries.session(session_id)))
    row = queries.session(session_id)
    site = locations.get(row.location_id)
    on = _date(request.args.get("on", row.local_on.isoformat()))
    try:
        places = appointments.free_times(session_id, on)
    except Conflict as refusal:
        if row.course_id is None:
            raise
        return _course_page(row.course_id, refusal.message), 409
    row = queries.session(session_id)
    page = render_template(
        "scheduling/move.html",
        session=row,
        patient=patients.get(row.patient_id),
        site=site,
        on=on,
        count=len({place.starts_at for place in places}),
        hours=presenter.hours_of(places, row, site.tz, every="all" in request.args),
        devices=queries.device_names({place.device_id for place in places} | {row.device_id}),
        before=on - timedelta(days=1),
        after=on + timedelta(days=1),
        problem=problem,
    )
    return page, status


def _date(text: str) -> date:
    try:
        found = date.fromisoformat(text)
    except ValueError:
        raise NotFound("no such day") from None
    if not 2000 <= found.year <= 2200:
        raise NotFound("no such day")
    return found


# -- the day --------------------------------------------------------------------------------------------------------


def _busiest(sites: list[Location]) -> Location | None:
    """The first site with sessions this week, else the first."""
    if not sites:
        return None
    busy = queries.busy_sites([site.id for site in sites], clock.today(sites[0].tz))
    return next((site for site in sites if site.id in busy), sites[0])


@bp.get("/staff/day")
@access.staff(*FLOOR)
def today() -> Any:
    """Today at the caller's site: the one that was asked for, or one where something happens."""
    sites = [site for site in locations.active() if site.id in current_staff().location_ids]
    wanted = request.args.get("site")
    site = next((x for x in sites if x.slug == wanted), None) or _busiest(sites)
    if site is None:
        raise Refused("no site was granted to you yet: ask a manager")
    return redirect(url_for(".day", slug=site.slug, on=clock.today(site.tz).isoformat()))


@bp.get("/staff/day/<slug>/<on>")
@access.staff(*FLOOR)
def day(slug: str, on: str) -> Any:
    """The sessions of one site on one day: a table that prints."""
    site = locations.get_by_slug(slug)
    if site.id not in current_staff().location_ids:
        raise Refused("this site was not granted to you")
    shown = _date(on)
    rows = queries.day_list(site.id, shown)
    now = clock.now()
    return render_template(
        "scheduling/day.html",
        site=site,
        on=shown,
        rows=rows,
        title=presenter.day_title(rows, now),
        words=presenter.STATE_WORDS,
        kinds=presenter.KIND_WORDS,
        now=now,
        late=now - timedelta(minutes=5),
        today=clock.today(site.tz),
        before=shown - timedelta(days=1),
        after=shown + timedelta(days=1),
        ahead=queries.AHEAD,
        site_choices=[
            {"value": x.slug, "label": x.name, "current": x.id == site.id}
            for x in locations.active()
            if x.id in current_staff().location_ids
        ],
        site_url=url_for(".today"),
    )


# -- the patient ----------------------------------------------------------------------------------------------------


@bp.get("/me/dates")
@access.patient("sign_in")
def dates() -> Any:
    """Every visit that is to come, and those that were."""
    patient_id = current_patient().patient_id
    visits = queries.visits_of_patient(patient_id) if patient_id is not None else []
    now = clock.now()
    return render_template(
        "scheduling/dates.html",
        coming=[v for v in visits if v.state in queries.AHEAD and v.ends_at > now],
        past=[v for v in visits if v.state not in queries.AHEAD or v.ends_at <= now],
        path=_path(visits, now),
        tabs=chart.tabs("scheduling.dates"),
    )


def _path(visits: Sequence[queries.Visit], now: datetime) -> charts.CoursePath | None:
    """The person's courses as a path; visits with a staff member are no part of it."""
    sessions = [visit for visit in visits if visit.course_id is not None]
    return presenter.booked_path(sessions, sessions[0].tz, now) if sessions else None


def _home(patient_id: int) -> Markup:
    """The light of the patient's home: when the next visit is; in words where none is planned."""
    now = clock.now()
    following = next(
        (v for v in queries.visits_of_patient(patient_id) if v.state in queries.AHEAD and v.ends_at > now), None
    )
    if following is None:
        return context.rendered("scheduling/home.html", visit=None)
    on = queries.local_date(following.starts_at, following.tz)
    days = (on - clock.today(following.tz)).days
    return context.rendered("scheduling/home.html", visit=following, days=days)


def _home_path(patient_id: int) -> Markup | None:
    """The course as a path."""
    path = _path(queries.visits_of_patient(patient_id), clock.now())
    if path is None:
        return None
    return context.rendered("scheduling/home_path.html", path=path)


def _record(patient_id: int) -> Markup | None:
    """The courses of a person on the staff's record page."""
    rows = queries.courses_of(patient_id)
    return context.rendered(
        "scheduling/chart.html",
        rows=rows,
        patient_id=patient_id,
        words=presenter.COURSE_WORDS,
        protocols={key: entry.name for key, entry in bookable().items()},
    )


chart.add_home(10, _home)
chart.add_home(30, _home_path)
chart.add_section(20, _record, roles=FLOOR)


# -- where tasks lead -------------------------------------------------------------------------------------------------


def _to_book(task: Task) -> Target | None:
    if task.patient_id is None:
        return None
    return Target(url_for("scheduling.new_course", patient=task.patient_id), "Book", "A prescriber approved it.")


def _to_move(task: Task) -> Target | None:
    session_id = task.subject.get("session_id")
    return Target(url_for("scheduling.move_session", session_id=session_id), "Move") if session_id else None


TARGETS[TaskKind.BOOK_COURSE] = _to_book
TARGETS[TaskKind.CANNOT_COME] = _to_move
