"""Outages and what people say to the new times."""

from typing import Any
from zoneinfo import ZoneInfo

from pydantic import Field

from clinic.api.blueprint import DESK, Body, Moment, Nothing, Prose, accepts, answers, bp, listed, within_reach
from clinic.locations import queries as locations
from clinic.scheduling import answering, closing, outages, queries, replanning
from clinic.scheduling.models import Outage, ScheduleChange
from clinic.staff.models import Role
from clinic.web.access import current_actor, token

PLANNERS = (Role.FRONT_DESK, Role.PRESCRIBER, Role.MANAGER, Role.SERVICE)


class OutageIn(Body):
    """From when to when a device cannot be used, and why."""

    from_: Moment = Field(alias="from")
    to: Moment
    reason: Prose


class ApplyIn(Body):
    """revision: the preview that was looked at. reason: a prescriber's, where the plan breaks a gap rule."""

    revision: int | None = Field(default=None, ge=1, le=2**31 - 1)
    reason: Prose = ""


@bp.post("/devices/<int:device_id>/outages")
@answers("Outage", 201)
@token(*PLANNERS)
@accepts(OutageIn)
def open_outage(device_id: int, body: OutageIn) -> Any:
    """Mark a device down: nothing new is booked on it, and the answer shows who would have to move."""
    device = queries.devices({device_id}).get(device_id)
    within_reach(device.location_id if device is not None else None)
    outage_id = closing.device_down(
        device_id, starts_at=body.from_, ends_at=body.to, reason=body.reason, by=current_actor()
    )
    return _shape(outages.get(outage_id)), 201


@bp.get("/outages/<int:outage_id>")
@answers("Outage")
@token(*PLANNERS)
def show_outage(outage_id: int) -> Any:
    """An outage and its preview."""
    return _shape(_reachable(outage_id))


@bp.post("/outages/<int:outage_id>/preview")
@answers("Outage")
@token(*PLANNERS)
@accepts(Nothing)
def preview(outage_id: int, body: Nothing) -> Any:
    """Plan anew for whom it hits."""
    _reachable(outage_id)
    replanning.preview_outage(outage_id)
    return _shape(outages.get(outage_id))


@bp.post("/outages/<int:outage_id>/apply")
@answers("Outage")
@token(*PLANNERS)
@accepts(ApplyIn)
def apply_outage(outage_id: int, body: ApplyIn) -> Any:
    """Do what the preview shows, all of it or nothing; 409 `stale` carries a fresh one."""
    _reachable(outage_id)
    applied = replanning.apply_outage(outage_id, revision=body.revision, reason=body.reason, by=current_actor())
    return {**_shape(outages.get(outage_id)), "applied": applied}


@bp.post("/outages/<int:outage_id>/withdraw")
@answers("Outage")
@token(*PLANNERS)
@accepts(Nothing)
def withdraw(outage_id: int, body: Nothing) -> Any:
    """It did not happen."""
    _reachable(outage_id)
    closing.withdraw_outage(outage_id, by=current_actor())
    return _shape(outages.get(outage_id))


def _reachable(outage_id: int) -> Outage:
    row = outages.get(outage_id)
    within_reach(row.location_id)
    return row


# -- what people say ------------------------------------------------------------------------------------------------


@bp.get("/patients/<int:patient_id>/changes")
@answers("ChangePage")
@token(*DESK)
def list_changes(patient_id: int) -> Any:
    """Re-plans that the person can still answer."""
    return listed([_change(row) for row in answering.open_of_patient(patient_id)])


@bp.post("/changes/<int:change_id>/accept")
@answers("Change")
@token(*DESK)
@accepts(Nothing)
def accept(change_id: int, body: Nothing) -> Any:
    """The person says yes to the new times."""
    answering.accept_change(change_id, by=current_actor())
    return _change(answering.get(change_id))


@bp.post("/changes/<int:change_id>/decline")
@answers("Change")
@token(*DESK)
@accepts(Nothing)
def decline(change_id: int, body: Nothing) -> Any:
    """The person says no: planned anew, or given to the desk."""
    answering.decline_change(change_id, by=current_actor())
    return _change(answering.get(change_id))


# -- answers --------------------------------------------------------------------------------------------------------


def _shape(row: Outage) -> dict[str, Any]:
    slugs = {place.id: place.slug for place in locations.active()}
    found = {**replanning.EMPTY, **(row.preview or {})}
    tz = locations.get(row.location_id).tz if row.location_id is not None else locations.clinic_tz()
    return {
        "id": row.id,
        "kind": row.kind,
        "state": row.state,
        "device": row.device_id,
        "location": slugs.get(row.location_id or 0),
        "starts_at": row.starts_at.astimezone(ZoneInfo(tz)).isoformat(),
        "ends_at": row.ends_at.astimezone(ZoneInfo(tz)).isoformat(),
        "reason": row.reason,
        "revision": row.revision,
        "preview": {
            **found,
            "moved": [_line(line, slugs) for line in found["moved"]],
            "unplaced": [_line(line, slugs) for line in found["unplaced"]],
        },
    }


def _line(line: dict[str, Any], slugs: dict[int, str]) -> dict[str, Any]:
    to = line.get("to_location")
    return {
        **line,
        "to_location": slugs.get(to) if to is not None else None,
        "from_location": slugs.get(line["from_location"]),
    }


def _change(row: ScheduleChange) -> dict[str, Any]:
    slugs = {place.id: place.slug for place in locations.active()}
    return {
        "id": row.id,
        "patient_id": row.patient_id,
        "course_id": row.course_id,
        "state": row.state,
        "revision": row.revision,
        "answer_by": row.answer_by.isoformat(),
        "moves": [_line(line, slugs) for line in row.moves],
    }
