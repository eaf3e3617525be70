"""Single appointments: sessions of a course, and visits with a staff member."""

from typing import Any
from zoneinfo import ZoneInfo

from pydantic import Field

from clinic.api.blueprint import (
    DESK,
    FLOOR,
    Body,
    Key,
    Line,
    Moment,
    Nothing,
    Prose,
    SmallKey,
    accepts,
    answers,
    bp,
)
from clinic.api.courses import session_shape
from clinic.api.places import site
from clinic.locations import queries as locations
from clinic.scheduling import appointments, making_up, queries, visits
from clinic.scheduling.planning import Place
from clinic.web.access import current_actor, token


class MoveIn(Body):
    """Where to; what is left out stays. A visit moves to another staff member or room, a session to another device.

    reason: sets soft rules aside; a gap past its rule only for a prescriber. self_pay: the patient's agreement, where
    the payer does not cover the new place.
    """

    starts_at: Moment
    device: SmallKey | None = None
    staff: SmallKey | None = None
    room: SmallKey | None = None
    reason: Prose = ""
    self_pay: Key | None = None


class VisitIn(Body):
    """A visit with a staff member; by video with the state in which the patient will be."""

    patient_id: Key
    kind: Line
    staff: SmallKey
    location: Line
    starts_at: Moment
    minutes: int = Field(ge=5, le=240)
    mode: Line = "in_person"
    room: SmallKey | None = None
    patient_state: Line | None = None
    reason: Prose = ""


class MakeUpIn(Body):
    """One of the places that were offered; one beyond the allowed gap with a prescriber's reason."""

    starts_at: Moment
    device: SmallKey
    reason: Prose = ""
    self_pay: Key | None = None


class CompleteIn(Body):
    """In which state the patient was, for a visit by video."""

    patient_state: Line | None = None


class Because(Body):
    """Why."""

    reason: Prose = ""


@bp.post("/appointments")
@answers("Appointment", 201)
@token(*DESK)
@accepts(VisitIn)
def book_visit(body: VisitIn) -> Any:
    """Book a consult, medication visit or therapy, in person or by video."""
    visit_id = visits.book_visit(
        visits.NewVisit(
            patient_id=body.patient_id,
            kind=body.kind,
            staff_id=body.staff,
            location_id=site(body.location).id,
            starts_at=body.starts_at,
            minutes=body.minutes,
            mode=body.mode,
            room_id=body.room,
            patient_state=body.patient_state,
        ),
        reason=body.reason,
        by=current_actor(),
    )
    return _shape(visit_id), 201


@bp.get("/appointments/<int:session_id>")
@answers("Appointment")
@token()
def show_appointment(session_id: int) -> Any:
    """One session."""
    return _shape(session_id)


@bp.post("/appointments/<int:session_id>/move")
@answers("Appointment")
@token(*DESK)
@accepts(MoveIn)
def move(session_id: int, body: MoveIn) -> Any:
    """Another time or device."""
    appointments.move_session(
        session_id,
        starts_at=body.starts_at,
        device_id=body.device,
        staff_id=body.staff,
        room_id=body.room,
        reason=body.reason,
        self_pay_id=body.self_pay,
        by=current_actor(),
    )
    return _shape(session_id)


@bp.post("/appointments/<int:session_id>/cancel")
@answers("AppointmentWithMakeUps")
@token(*DESK)
@accepts(Because)
def cancel_appointment(session_id: int, body: Because) -> Any:
    """Free the place; answers where it can be made up."""
    appointments.cancel_session(session_id, reason=body.reason, by=current_actor())
    return _with_make_ups(session_id)


@bp.post("/appointments/<int:session_id>/confirm")
@answers("Appointment")
@token(*FLOOR)
@accepts(Nothing)
def confirm(session_id: int, body: Nothing) -> Any:
    """The patient said yes."""
    appointments.confirm_session(session_id, by=current_actor())
    return _shape(session_id)


@bp.post("/appointments/<int:session_id>/arrive")
@answers("Appointment")
@token(*FLOOR)
@accepts(Nothing)
def arrive(session_id: int, body: Nothing) -> Any:
    """The patient is here."""
    appointments.arrive_session(session_id, by=current_actor())
    return _shape(session_id)


@bp.post("/appointments/<int:session_id>/complete")
@answers("Appointment")
@token(*FLOOR)
@accepts(CompleteIn)
def complete(session_id: int, body: CompleteIn) -> Any:
    """It took place."""
    appointments.complete_session(session_id, patient_state=body.patient_state, by=current_actor())
    return _shape(session_id)


@bp.post("/appointments/<int:session_id>/no-show")
@answers("AppointmentWithMakeUps")
@token(*FLOOR)
@accepts(Nothing)
def no_show(session_id: int, body: Nothing) -> Any:
    """The patient did not come; answers where it can be made up."""
    appointments.miss_session(session_id, by=current_actor())
    return _with_make_ups(session_id)


@bp.post("/courses/<int:course_id>/make-ups")
@answers("Appointment", 201)
@token(*DESK)
@accepts(MakeUpIn)
def make_up(course_id: int, body: MakeUpIn) -> Any:
    """Book one session that is owed."""
    added = making_up.add_make_up(
        course_id,
        starts_at=body.starts_at,
        device_id=body.device,
        reason=body.reason,
        self_pay_id=body.self_pay,
        by=current_actor(),
    )
    return _shape(added), 201


def _shape(session_id: int) -> dict[str, Any]:
    row = queries.session(session_id)
    place = locations.get(row.location_id)
    return session_shape(row, place.tz, place.slug)


def _with_make_ups(session_id: int) -> dict[str, Any]:
    course_id = queries.session(session_id).course_id
    offered = making_up.MakeUps() if course_id is None else making_up.make_ups(course_id)
    return {
        **_shape(session_id),
        "proposals": [_make_up(place) for place in offered.places],
        "beyond": [_make_up(place) | {"breach": place.breach, "cost": offered.price} for place in offered.beyond],
        "reason": offered.reason or None,
        "needs_review": offered.needs_review,
    }


def _make_up(place: making_up.MakeUp) -> dict[str, Any]:
    return _place(place) | {"gap_days": place.gap, "shift_minutes": place.shift}


def _place(place: Place | making_up.MakeUp) -> dict[str, Any]:
    at = locations.get(place.location_id)
    zone = ZoneInfo(at.tz)
    return {
        "starts_at": place.starts_at.astimezone(zone).isoformat(),
        "ends_at": place.ends_at.astimezone(zone).isoformat(),
        "device": place.device_id,
        "location": at.slug,
    }
