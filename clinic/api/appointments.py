"""Single sessions of a course."""

from typing import Any
from zoneinfo import ZoneInfo

from clinic.api.blueprint import CREATED, DESK, FLOOR, Body, Moment, Prose, SmallKey, accepts, bp
from clinic.api.courses import session_shape
from clinic.locations import queries as locations
from clinic.scheduling import appointments, making_up, queries
from clinic.web.access import current_actor, token


class MoveIn(Body):
    """Where to; the same device if left out."""

    starts_at: Moment
    device: SmallKey | None = None


class MakeUpIn(Body):
    """One of the places that were offered."""

    starts_at: Moment
    device: SmallKey


class Because(Body):
    """Why."""

    reason: Prose = ""


class Nothing(Body):
    """No body."""


@bp.get("/appointments/<int:session_id>")
@token()
def show_appointment(session_id: int) -> Any:
    """One session."""
    return _shape(session_id)


@bp.post("/appointments/<int:session_id>/move")
@token(*DESK)
@accepts(MoveIn)
def move(session_id: int, body: MoveIn) -> Any:
    """Another time or device."""
    appointments.move_session(session_id, starts_at=body.starts_at, device_id=body.device, by=current_actor())
    return _shape(session_id)


@bp.post("/appointments/<int:session_id>/cancel")
@token(*DESK)
@accepts(Because)
def cancel_appointment(session_id: int, body: Because) -> Any:
    """Free the place; answers where it can be made up."""
    appointments.cancel_session(session_id, reason=body.reason, by=current_actor())
    return _with_make_ups(session_id)


@bp.post("/appointments/<int:session_id>/confirm")
@token(*FLOOR)
@accepts(Nothing)
def confirm(session_id: int, body: Nothing) -> Any:
    """The patient said yes."""
    appointments.confirm_session(session_id, by=current_actor())
    return _shape(session_id)


@bp.post("/appointments/<int:session_id>/arrive")
@token(*FLOOR)
@accepts(Nothing)
def arrive(session_id: int, body: Nothing) -> Any:
    """The patient is here."""
    appointments.arrive_session(session_id, by=current_actor())
    return _shape(session_id)


@bp.post("/appointments/<int:session_id>/complete")
@token(*FLOOR)
@accepts(Nothing)
def complete(session_id: int, body: Nothing) -> Any:
    """The session was delivered."""
    appointments.complete_session(session_id, by=current_actor())
    return _shape(session_id)


@bp.post("/appointments/<int:session_id>/no-show")
@token(*FLOOR)
@accepts(Nothing)
def no_show(session_id: int, body: Nothing) -> Any:
    """The patient did not come; answers where it can be made up."""
    appointments.miss_session(session_id, by=current_actor())
    return _with_make_ups(session_id)


@bp.post("/courses/<int:course_id>/make-ups")
@CREATED
@token(*DESK)
@accepts(MakeUpIn)
def make_up(course_id: int, body: MakeUpIn) -> Any:
    """Book one session that is owed."""
    added = making_up.add_make_up(course_id, starts_at=body.starts_at, device_id=body.device, by=current_actor())
    return _shape(added), 201


def _shape(session_id: int) -> dict[str, Any]:
    row = queries.session(session_id)
    place = locations.get(row.location_id)
    return session_shape(row, place.tz, place.slug)


def _with_make_ups(session_id: int) -> dict[str, Any]:
    course_id = queries.session(session_id).course_id
    offered = making_up.MakeUps() if course_id is None else making_up.make_ups(course_id)
    proposals = []
    for place in offered.places:
        at = locations.get(place.location_id)
        zone = ZoneInfo(at.tz)
        proposals.append(
            {
                "starts_at": place.starts_at.astimezone(zone).isoformat(),
                "ends_at": place.ends_at.astimezone(zone).isoformat(),
                "device": place.device_id,
                "location": at.slug,
            }
        )
    return {
        **_shape(session_id),
        "proposals": proposals,
        "reason": offered.reason or None,
        "needs_review": offered.needs_review,
    }
