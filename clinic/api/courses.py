"""Courses: proposals, booking, and what becomes of a course."""

import re
from datetime import date, datetime, time
from typing import Annotated, Any
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field

from clinic.api.blueprint import CREATED, DESK, Body, Key, Line, Moment, Prose, SmallKey, accepts, bp
from clinic.api.places import site
from clinic.errors import Conflict, Expired, Invalid, SlotTaken
from clinic.locations import queries as locations
from clinic.scheduling import operations, queries
from clinic.scheduling.models import Course, CourseProposal
from clinic.scheduling.operations import AskedSession, Offer
from clinic.scheduling.wishes import CourseWish
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


class Because(Body):
    """Why."""

    reason: Prose = ""


class ResumeIn(Body):
    """From which date on; today if left out."""

    from_: date | None = Field(default=None, alias="from")


@bp.post("/course-proposals")
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
    )
    return offered(operations.propose_courses(body.patient_id, wish, by=current_actor()))


def _minutes(window: DailyWindow | None) -> tuple[int, int] | None:
    if window is None:
        return None
    first, last = (at.hour * 60 + at.minute for at in (window.from_, window.to))
    return first, 1440 if last == 1439 else last


@bp.post("/courses")
@CREATED
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
            by=current_actor(),
        )
    except (SlotTaken, Expired) as refusal:
        return _refused(refusal)
    if not booked.is_new:
        return _booked_before(booked.course_id)
    return course_shape(queries.course(booked.course_id)), 201


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
@token()
def show_course(course_id: int) -> Any:
    """A course and every session of it."""
    return course_shape(queries.course(course_id))


@bp.post("/courses/<int:course_id>/cancel")
@token(*DESK)
@accepts(Because)
def cancel(course_id: int, body: Because) -> Any:
    """End a course and free what lies ahead."""
    operations.cancel_course(course_id, reason=body.reason, by=current_actor())
    return course_shape(queries.course(course_id))


@bp.post("/courses/<int:course_id>/pause")
@token(*DESK)
@accepts(Because)
def pause(course_id: int, body: Because) -> Any:
    """Free what lies ahead; the sessions stay owed."""
    operations.pause_course(course_id, reason=body.reason, by=current_actor())
    return course_shape(queries.course(course_id))


@bp.post("/courses/<int:course_id>/resume")
@token(*DESK)
@accepts(ResumeIn)
def resume(course_id: int, body: ResumeIn) -> Any:
    """Plan and book what is owed."""
    resumed = operations.resume_course(course_id, on=body.from_, by=current_actor())
    return {**course_shape(queries.course(course_id)), "needs_review": resumed.needs_review, "review": resumed.review}


# -- answers --------------------------------------------------------------------------------------------------------


def offered(offer: Offer) -> dict[str, Any]:
    """Proposals, or why there is none."""
    rows = queries.proposals(offer.proposal_ids)
    named = {session["location_id"] for row in rows for session in row.plan["sessions"]}
    sites = {x: locations.get(x) for x in named | {row.plan["location_id"] for row in rows}}
    answer: dict[str, Any] = {"proposals": [_proposal(row, sites) for row in rows]}
    if not rows:
        answer["binding"] = list(offer.binding)
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
    return {
        "id": row.id,
        "patient_id": row.patient_id,
        "protocol": row.protocol,
        "state": row.state,
        "location": locations.get(row.location_id).slug,
        "device": row.device_id,
        "planned_sessions": row.planned_sessions,
        "sessions": _sessions(row.id),
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
        "number": row.number,
        "kind": row.kind,
        "starts_at": row.starts_at.astimezone(zone).isoformat(),
        "ends_at": row.ends_at.astimezone(zone).isoformat(),
        "device": row.device_id,
        "location": slug,
        "state": row.state,
        "revision": row.revision,
    }
