"""Courses: the list, one course with what can be done about it, and the cancelling of one session."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from flask import flash, redirect, render_template, request, url_for

from clinic import audit, clock
from clinic.db import db
from clinic.errors import Conflict, Invalid, NotFound, Refused
from clinic.locations import queries as locations
from clinic.patients import queries as patients
from clinic.protocols.shapes import bookable
from clinic.scheduling import (
    appointments,
    course_history,
    ledger,
    making_up,
    operations,
    preparing,
    presenter,
    queries,
    staging,
    thresholds,
    wishes,
)
from clinic.scheduling.blueprint import DESK, FLOOR, bp
from clinic.scheduling.forms import ExtendForm, ReasonForm, ResumeForm
from clinic.scheduling.models import HOLDS_PLACE, Course, CourseState, SessionState, TreatmentSession
from clinic.scheduling.planner.visits import next_stage
from clinic.staff.models import Role
from clinic.web import access
from clinic.web.access import current_actor, current_staff
from clinic.web.arguments import row_id

PAGE = 50
EXTENDABLE = (CourseState.BOOKED, CourseState.RUNNING, CourseState.COMPLETED)


@bp.get("/staff/courses")
@access.staff(*FLOOR)
def courses() -> Any:
    """Courses that run or will run at the caller's sites."""
    after = request.args.get("after", 0, type=row_id)
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
    return course_page(course_id)


def course_page(course_id: int, problem: str = "") -> str:
    audit.record(queries.course(course_id), "read", by=current_actor())
    db.session.commit()
    make_ups = making_up.make_ups(course_id)  # its own transaction: before anything is loaded for the page
    row = queries.course(course_id)
    patient = patients.get(row.patient_id)
    site = locations.get(row.location_id)
    sessions = queries.sessions(course_id)
    names = queries.device_names({s.device_id for s in sessions} | {row.device_id})
    owed = row.planned_sessions - sum(s.state in HOLDS_PLACE for s in sessions)
    may_extend = current_staff().has(Role.PRESCRIBER) and row.state in EXTENDABLE and owed == 0
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
        why=_why(row, sessions),
        funds=ledger.of_course(course_id),
        history=course_history.of_course(row, sessions),
        mates=_mates(row, site),
        threshold_minutes=_threshold_minutes(row),
        thresholds=_may_be_longer(row, sessions),
        before=_before(row, sessions),
        extend=ExtendForm(kinds=_kinds(row), formdata=None),
        may_extend=may_extend,
        stage=presenter.stage_words(staging.asked(row)) if may_extend and row.protocol in bookable() else None,
        may_approve=current_staff().has(Role.PRESCRIBER),
        words=presenter.STATE_WORDS,
        course_words=presenter.COURSE_WORDS,
        today=clock.today(site.tz),
        reason=ReasonForm(),
        resume=ResumeForm(),
        may_change=current_staff().has(*DESK),
        problem=problem,
    )


def _threshold_minutes(row: Course) -> int:
    """The slot of a session with a new motor threshold; 0 where the treatment has none."""
    protocol = bookable().get(row.protocol)
    return protocol.redetermination.minutes if protocol is not None and protocol.redetermination is not None else 0


def _before(row: Course, sessions: Sequence[TreatmentSession]) -> list[preparing.Preparation]:
    """What has to be done before the first session, while it lies ahead."""
    protocol = bookable().get(row.protocol)
    ahead = [x.local_on for x in sessions if x.number == 1 and x.state in queries.AHEAD and x.starts_at > clock.now()]
    return preparing.of_course(row.id, protocol, ahead[0]) if protocol is not None and ahead else []


def _may_be_longer(row: Course, sessions: Sequence[TreatmentSession]) -> list[TreatmentSession]:
    """Sessions ahead in which the motor threshold may be found anew."""
    if not _threshold_minutes(row):
        return []
    now = clock.now()
    return [x for x in sessions if x.state in queries.AHEAD and x.starts_at > now and x.kind != "mapping"]


def _why(row: Course, sessions: Any) -> list[str]:
    """What was in the way of the usual place when the course was booked; only of sessions that are still there."""
    plan = queries.booked_from(row.id)
    notes = plan.plan.get("notes", {}) if plan is not None else {}
    booked = {one["starts_at"]: str(one["number"]) for one in plan.plan["sessions"]} if plan is not None else {}
    by_start = {datetime.fromisoformat(at): number for at, number in booked.items()}
    return [
        f"Session {one.number}: {notes[number]}."
        for one in sessions
        if (number := by_start.get(one.starts_at)) is not None and number in notes
    ]


def _mates(row: Course, site: Any) -> list[Any]:
    """The site's other devices that give this course's protocol."""
    if row.protocol not in bookable():
        return []
    gives = wishes.protocol_of(row.protocol).gives
    return [
        device
        for device in site.devices
        if device.retired_at is None and device.id != row.device_id and gives in device.protocols
    ]


def _kinds(row: Course) -> list[tuple[str, str]]:
    """What may follow the last session: more of the same, the protocol's next stage, maintenance."""
    if row.protocol not in bookable():
        return []
    protocol = bookable()[row.protocol]
    same = dict.fromkeys(visit.kind for visit in protocol.visits if visit.kind != "mapping")
    stage = next_stage(protocol, row.planned_sessions)
    found: list[tuple[str, str]] = [(kind, f"More {kind} sessions") for kind in same]
    if stage is not None:
        found.insert(0, (making_up.STAGE, f"The next stage: {stage[0].name}"))
    return [*found, (wishes.MAINTENANCE, "Maintenance visits")]


@bp.post("/staff/courses/<int:course_id>/extend")
@access.staff(Role.PRESCRIBER)
def extend_course(course_id: int) -> Any:
    """A prescriber adds sessions behind the last one."""
    form = ExtendForm(kinds=_kinds(queries.course(course_id)))
    if not form.validate_on_submit():
        return course_page(course_id, " ".join(words for field in form for words in field.errors)), 422
    try:
        added = making_up.extend_course(
            course_id,
            kind=form.kind.data,
            count=form.count.data or 0,
            every_weeks=form.every_weeks.data,
            reason=form.reason.data,
            by=current_actor(),
        )
    except (Conflict, Invalid, Refused) as refusal:
        return course_page(course_id, refusal.sentence), 409
    flash(f"{len(added)} session{'' if len(added) == 1 else 's'} were added. The patient is told by message.")
    return redirect(url_for(".course", course_id=course_id))


@bp.post("/staff/courses/<int:course_id>/threshold")
@access.staff(*DESK, Role.OPERATOR)
def plan_threshold(course_id: int) -> Any:
    """A new motor threshold in one session, or not: it gets the minutes that it takes, where it is."""
    wanted, chosen = bool(request.form.get("wanted")), request.form.get("session", 0, type=row_id)
    if chosen not in {row.id for row in queries.sessions(course_id)}:
        return course_page(course_id, "Choose a session of this course."), 422
    try:
        minutes = thresholds.plan_threshold(chosen, wanted=wanted, by=current_actor())
    except Conflict as refusal:
        return course_page(course_id, refusal.sentence), 409
    what = "The session has time for a new motor threshold" if wanted else "The session has its usual length"
    flash(f"{what}: {minutes} minutes.")
    return redirect(url_for(".course", course_id=course_id))


@bp.post("/staff/courses/<int:course_id>/swap")
@access.staff(*DESK)
def swap_device(course_id: int) -> Any:
    """Put what lies ahead on another device of the site at the same times, or nothing."""
    device_id = request.form.get("device", 0, type=int)
    try:
        moved = making_up.swap_device(course_id, device_id, by=current_actor())
    except (Conflict, Invalid) as refusal:
        taken = ", ".join(f"session {one['number']}" for one in refusal.details.get("taken", ())[:6])
        return course_page(course_id, refusal.sentence + (f" Taken: {taken}." if taken else "")), 409
    flash(f"{moved} session{'' if moved == 1 else 's'} are on the other device, at the same times.")
    return redirect(url_for(".course", course_id=course_id))


@bp.post("/staff/courses/<int:course_id>/<change>")
@access.staff(*DESK)
def end_course(course_id: int, change: str) -> Any:
    """Cancel or pause a course, with a reason."""
    if change not in ("cancel", "pause"):
        raise NotFound("no such change")
    form = ReasonForm()
    if not form.validate_on_submit():
        return course_page(course_id, "Say why: the reason goes on record."), 422
    act = operations.cancel_course if change == "cancel" else operations.pause_course
    try:
        act(course_id, reason=form.reason.data, by=current_actor())
    except Conflict as refusal:
        return course_page(course_id, refusal.message), 409
    flash("The course was cancelled." if change == "cancel" else "The course is paused. Its sessions stay owed.")
    return redirect(url_for(".course", course_id=course_id))


@bp.post("/staff/courses/<int:course_id>/resume")
@access.staff(*DESK)
def resume_course(course_id: int) -> Any:
    """Plan and book what is owed."""
    form = ResumeForm()
    if not form.validate_on_submit():
        return course_page(course_id, "That is not a date."), 422
    try:
        resumed = operations.resume_course(course_id, on=form.on.data, by=current_actor())
    except (Conflict, Invalid) as refusal:
        return course_page(course_id, refusal.message), 409
    flash(f"{resumed.sessions} sessions are booked again.")
    if resumed.needs_review:
        flash(f"Ask the prescriber before the next session: {resumed.review}.", "error")
    return redirect(url_for(".course", course_id=course_id))


@bp.post("/staff/courses/<int:course_id>/make-up")
@access.staff(*DESK)
def make_up(course_id: int) -> Any:
    """Book one of the places that were offered for an owed session."""
    try:
        starts_at, device_id = place()
        reason = request.form.get("reason", "")
        making_up.add_make_up(course_id, starts_at=starts_at, device_id=device_id, reason=reason, by=current_actor())
    except (Conflict, Invalid, Refused) as refusal:
        return course_page(course_id, refusal.message), 409
    flash("The session was added at the end.")
    return redirect(url_for(".course", course_id=course_id))


def place() -> tuple[datetime, int]:
    text, _, device = request.values.get("place", "").partition(" ")
    try:
        starts_at = datetime.fromisoformat(text)
    except ValueError:
        raise Invalid("Choose one of the times.") from None
    if starts_at.tzinfo is None or not device.isdecimal() or len(device) > 9:
        raise Invalid("Choose one of the times.")
    return starts_at, int(device)


@bp.post("/staff/sessions/<int:session_id>/cancel")
@access.staff(*DESK)
def cancel_session(session_id: int) -> Any:
    """Free one session, with a reason."""
    course_id = queries.course_of(queries.session(session_id)).id
    form = ReasonForm()
    if not form.validate_on_submit():
        return course_page(course_id, "Say why: the reason goes on record."), 422
    try:
        appointments.cancel_session(session_id, reason=form.reason.data, by=current_actor())
    except Conflict as refusal:
        return course_page(course_id, refusal.message), 409
    flash("The session was cancelled. Make-up times are below.")
    return redirect(url_for(".course", course_id=course_id))
