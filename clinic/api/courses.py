"""Courses: proposals, booking, and what becomes of a course."""

import re
from datetime import date, datetime, time
from typing import Annotated, Any
from uuid import UUID
from zoneinfo import ZoneInfo

from flask import g, make_response
from pydantic import BeforeValidator, Field

from clinic.api import idempotency
from clinic.api.blueprint import DESK, Body, Key, Line, Moment, Nothing, Prose, SmallKey, accepts, answers, bp
from clinic.api.places import site
from clinic.errors import Conflict, Expired, Invalid, SlotTaken
from clinic.locations import queries as locations
from clinic.scheduling import holding, ledger, making_up, operations, queries
from clinic.scheduling.models import Course, CourseProposal
from clinic.scheduling.operations import AskedSession, Offer
from clinic.scheduling.wishes import CourseWish
from clinic.scheduling.writing import Along, Booked, BookedCourse
from clinic.staff.models import Role
from clinic.web.access import current_actor, token
from clinic.web.errors import problem

WALL_TIME = re.compile(r"[0-9]{2}:[0-9]{2}(:00)?")
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def _weekday(value: Any) -> Any:
    """`mon`, `Monday` or 0 to 6, Monday first."""
    if isinstance(value, str) and len(value) >= 3:
        found = [n for n, name in enumerate(DAYS) if name.startswith(value.lower())]
        return found[0] if found else value
    return value


def _clock(value: Any) -> Any:
    """`HH:MM`, wall time; 24:00 is the end of the day."""
    if not isinstance(value, str) or not WALL_TIME.fullmatch(value):
        raise ValueError("write it as HH:MM")
    return "23:59" if value.startswith("24:00") else value


Weekday = Annotated[int, BeforeValidator(_weekday), Field(ge=0, le=6, json_schema_extra={"examples": ["mon", 0]})]
Clock = Annotated[time, Field(strict=False), BeforeValidator(_clock)]


class DailyWindow(Body):
    """Hours of the day, wall time of the site, in which every whole session lies."""

    from_: Clock = Field(alias="from")
    to: Clock


class CourseQuestion(Body):
    """A course that is wanted."""

    patient_id: Key
    protocol: Line
    earliest_start: date | None = None
    latest_start: date | None = None
    locations: list[Line] | None = Field(default=None, max_length=50)
    daily_window: DailyWindow | None = None
    weekdays: list[Weekday] | None = Field(default=None, max_length=7)
    count: int = Field(default=3, ge=1, le=5)
    thresholds: bool = False
    hold: bool = False


class SessionIn(Body):
    """One session of a course that was planned elsewhere."""

    starts_at: Moment
    device: SmallKey
    number: int | None = None
    kind: str | None = None
    ends_at: Moment | None = None
    location: str | None = None


class CourseIn(Body):
    """A proposal to book, or a protocol and all of its sessions in order."""

    patient_id: Key
    proposal_id: UUID | None = None
    protocol: Line | None = None
    sessions: list[SessionIn] | None = Field(default=None, max_length=200)
    self_pay: Key | None = None


class Because(Body):
    """Why."""

    reason: Prose = ""


class ResumeIn(Body):
    """From which date on; today if left out."""

    from_: date | None = Field(default=None, alias="from")
    self_pay: Key | None = None


class ExtendIn(Body):
    """Sessions past the end: a kind of the protocol and how many, `stage` for the next one, `maintenance` with weeks."""

    kind: Line
    count: int = Field(default=0, ge=0, le=40)
    every_weeks: int | None = Field(default=None, ge=1, le=12)
    from_: date | None = Field(default=None, alias="from")
    self_pay: Key | None = None
    reason: Prose


class SwapIn(Body):
    """Another device of the same site, from a date on."""

    device: SmallKey
    from_: date | None = Field(default=None, alias="from")


@bp.post("/course-proposals")
@answers("Proposals")
@token(*DESK)
@accepts(CourseQuestion)
def propose(body: CourseQuestion) -> Any:
    """Whole courses that fit, each of another kind; or which rule binds, and what would open a course."""
    wish = CourseWish(
        protocol=body.protocol,
        earliest_start=body.earliest_start,
        latest_start=body.latest_start,
        location_ids=tuple(dict.fromkeys(site(name).id for name in body.locations or ())),
        daily_window=_minutes(body.daily_window),
        weekdays=tuple(sorted(set(body.weekdays or ()))),
        count=body.count,
        thresholds=body.thresholds,
    )
    return offered(operations.propose_courses(body.patient_id, wish, hold=body.hold, by=current_actor()))


@bp.post("/course-proposals/<uuid:proposal_id>/hold")
@answers("Proposals")
@token(*DESK)
@accepts(Nothing)
def hold(proposal_id: UUID, body: Nothing) -> Any:
    """Keep the places of this plan for ten minutes; another plan of the person is let go."""
    kept = holding.hold_proposal(proposal_id, by=current_actor())
    return offered(Offer((proposal_id,), held_until=kept.expires_at))


@bp.post("/course-proposals/<uuid:proposal_id>/release")
@answers("Proposals")
@token(*DESK)
@accepts(Nothing)
def release(proposal_id: UUID, body: Nothing) -> Any:
    """Let the places of this plan go. What was let go before stays so."""
    hold_id = holding.hold_of(proposal_id)
    if hold_id is not None:
        holding.let_go(hold_id, by=current_actor())
    return offered(Offer((proposal_id,)))


def _minutes(window: DailyWindow | None) -> tuple[int, int] | None:
    if window is None:
        return None
    first, last = (at.hour * 60 + at.minute for at in (window.from_, window.to))
    return first, 1440 if last == 1439 else last


@bp.post("/courses")
@answers("Course", 201)
@token(*DESK)
@accepts(CourseIn)
def book(body: CourseIn) -> Any:
    """Book every session of a course, or none."""
    if (body.proposal_id is None) == (body.sessions is None):
        raise Invalid("give either proposal_id, or protocol and sessions", fields=["proposal_id", "sessions"])
    if body.sessions is not None and body.protocol is None:
        raise Invalid("sessions need their protocol", fields=["protocol"])
    try:
        booked = operations.book_course(
            body.patient_id,
            proposal_id=body.proposal_id,
            protocol=body.protocol,
            sessions=[AskedSession(each.starts_at, each.device) for each in body.sessions or ()],
            self_pay_id=body.self_pay,
            by=current_actor(),
            along=_kept,
        )
    except (SlotTaken, Expired) as refusal:
        return _refused(refusal)
    if not booked.is_new:
        return _booked_before(booked.course_id)
    return g.pop("booked_answer")


def _kept(booked: Booked) -> Along | None:
    """The answer is kept with the course that it is about: who asks again gets it, whatever died in between."""
    course = booked.course
    shape = course_shape(queries.course(booked.course_id)) if course is None else _written_shape(course)
    g.booked_answer = make_response(shape, 201)
    return idempotency.kept_along(g.booked_answer)


def _written_shape(course: BookedCourse) -> dict[str, Any]:
    sites = course.sites
    sessions = [session_shape(one, sites[one.location_id].tz, sites[one.location_id].slug) for one in course.sessions]
    return _course_shape(course, sites[course.location_id].slug, sessions)


def _refused(refusal: Conflict) -> Any:
    details = {key: value for key, value in refusal.details.items() if key != "offer"}
    fresh = refusal.details.get("offer")
    return problem(409, refusal.code, refusal.message, **details, **(offered(fresh) if fresh else {"proposals": []}))


def _booked_before(course_id: int) -> Any:
    """The proposal became a course already. Who repeats a request sends an Idempotency-Key; this is somebody else's."""
    taken = [{"number": s["number"], "starts_at": s["starts_at"], "device": s["device"]} for s in _sessions(course_id)]
    row = queries.course(course_id)
    offer = operations.propose_courses(row.patient_id, CourseWish(row.protocol), by=current_actor())
    return problem(
        409, "conflict", "This proposal was booked before.", course_id=course_id, taken=taken, **offered(offer)
    )


@bp.get("/courses/<int:course_id>")
@answers("Course")
@token()
def show_course(course_id: int) -> Any:
    """A course and every session of it."""
    return course_shape(queries.course(course_id))


@bp.post("/courses/<int:course_id>/cancel")
@answers("Course")
@token(*DESK)
@accepts(Because)
def cancel(course_id: int, body: Because) -> Any:
    """End a course and free what lies ahead."""
    operations.cancel_course(course_id, reason=body.reason, by=current_actor())
    return course_shape(queries.course(course_id))


@bp.post("/courses/<int:course_id>/pause")
@answers("Course")
@token(*DESK)
@accepts(Because)
def pause(course_id: int, body: Because) -> Any:
    """Free what lies ahead; the sessions stay owed."""
    operations.pause_course(course_id, reason=body.reason, by=current_actor())
    return course_shape(queries.course(course_id))


@bp.post("/courses/<int:course_id>/resume")
@answers("Course")
@token(*DESK)
@accepts(ResumeIn)
def resume(course_id: int, body: ResumeIn) -> Any:
    """Plan and book what is owed."""
    resumed = operations.resume_course(course_id, on=body.from_, self_pay_id=body.self_pay, by=current_actor())
    return {**course_shape(queries.course(course_id)), "needs_review": resumed.needs_review, "review": resumed.review}


@bp.post("/courses/<int:course_id>/extend")
@answers("Course")
@token(Role.PRESCRIBER)
@accepts(ExtendIn)
def extend(course_id: int, body: ExtendIn) -> Any:
    """Add sessions past the end, with a prescriber's reason."""
    making_up.extend_course(
        course_id,
        kind=body.kind,
        count=body.count,
        every_weeks=body.every_weeks,
        on=body.from_,
        self_pay_id=body.self_pay,
        reason=body.reason,
        by=current_actor(),
    )
    return course_shape(queries.course(course_id))


@bp.post("/courses/<int:course_id>/swap-device")
@answers("Course")
@token(*DESK)
@accepts(SwapIn)
def swap_device(course_id: int, body: SwapIn) -> Any:
    """The same times on another device of the site, all or nothing."""
    making_up.swap_device(course_id, body.device, from_on=body.from_, by=current_actor())
    return course_shape(queries.course(course_id))


@bp.get("/courses/<int:course_id>/funds")
@answers("CourseFunds")
@token(*DESK)
def funds(course_id: int) -> Any:
    """Who pays for the course, what is left, when it runs out and when to ask for more."""
    found = ledger.of_course(course_id)
    return {
        "course_id": course_id,
        "left": found.left,
        "self_paid": found.self_paid,
        "unfunded": found.unfunded,
        "owed": found.owed,
        "runs_out_on": found.runs_out_on.isoformat() if found.runs_out_on else None,
        "ask_by": found.ask_by.isoformat() if found.ask_by else None,
        "authorisations": [
            {
                "id": one.id,
                "payer": one.payer,
                "approved": one.approved,
                "used": one.used,
                "booked": one.booked,
                "left": one.left,
                "valid_from": one.valid_from.isoformat(),
                "valid_until": one.valid_until.isoformat(),
            }
            for one in found.accounts
        ],
    }


# -- answers --------------------------------------------------------------------------------------------------------


def offered(offer: Offer) -> dict[str, Any]:
    """Proposals, or why there is none."""
    rows = queries.proposals(offer.proposal_ids)
    named = {session["location_id"] for row in rows for session in row.plan["sessions"]}
    sites = {x: locations.get(x) for x in named | {row.plan["location_id"] for row in rows}}
    answer: dict[str, Any] = {"proposals": [_proposal(row, sites) for row in rows]}
    if not rows:
        answer["binding"] = list(offer.binding)
    if offer.held_until is not None:
        zone = ZoneInfo(sites[rows[0].plan["location_id"]].tz)
        answer["held_until"] = offer.held_until.astimezone(zone).isoformat()
    return answer


def _proposal(row: CourseProposal, sites: dict[int, Any]) -> dict[str, Any]:
    plan = row.plan
    home = sites[plan["location_id"]]

    def local(text: str, location_id: int) -> datetime:
        return datetime.fromisoformat(text).astimezone(ZoneInfo(sites[location_id].tz))

    sessions = [
        {
            "number": s["number"],
            "kind": s["kind"],
            "starts_at": local(s["starts_at"], s["location_id"]).isoformat(),
            "ends_at": local(s["ends_at"], s["location_id"]).isoformat(),
            "device": s["device_id"],
            "location": sites[s["location_id"]].slug,
        }
        for s in plan["sessions"]
    ]
    return {
        "id": str(row.id),
        "kind": row.kind,
        "expires_at": row.expires_at.astimezone(ZoneInfo(home.tz)).isoformat(),
        "location": home.slug,
        "starts_on": sessions[0]["starts_at"][:10],
        "ends_on": sessions[-1]["starts_at"][:10],
        "cost": plan["cost"],
        "cost_parts": plan["parts"],
        "why": plan["why"],
        "gaps": plan.get("gaps", []),
        "sessions": sessions,
    }


def course_shape(row: Course) -> dict[str, Any]:
    """A course as it is sent."""
    site = locations.get(row.location_id)  # held on to, so that its sessions do not read it again
    return _course_shape(row, site.slug, _sessions(row.id))


def _course_shape(row: Course | BookedCourse, slug: str, sessions: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": row.id,
        "patient_id": row.patient_id,
        "protocol": row.protocol,
        "state": row.state,
        "location": slug,
        "device": row.device_id,
        "planned_sessions": row.planned_sessions,
        "sessions": sessions,
    }


def _sessions(course_id: int) -> list[dict[str, Any]]:
    rows = queries.sessions(course_id)
    sites = {x: locations.get(x) for x in {row.location_id for row in rows}}
    return [session_shape(row, sites[row.location_id].tz, sites[row.location_id].slug) for row in rows]


def session_shape(row: Any, tz: str, slug: str) -> dict[str, Any]:
    """A session as it is sent."""
    zone = ZoneInfo(tz)
    return {
        "id": row.id,
        "course_id": row.course_id,
        "patient_id": row.patient_id,
        "number": row.number,
        "kind": row.kind,
        "mode": row.mode,
        "starts_at": row.starts_at.astimezone(zone).isoformat(),
        "ends_at": row.ends_at.astimezone(zone).isoformat(),
        "device": row.device_id,
        "room": row.room_id,
        "staff": row.staff_id,
        "location": slug,
        "patient_state": row.patient_state,
        "state": row.state,
        "revision": row.revision,
        "paid_by": "payer" if row.authorisation_id else "patient" if row.self_pay_id else "open",
    }
