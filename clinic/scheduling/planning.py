"""From a wish and the present state to proposals, make-ups and free places. Reads nothing, writes nothing."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import numpy as np

from clinic.protocols.base import Protocol
from clinic.scheduling.capacity import GRID, Snapshot
from clinic.scheduling.planner import (
    CoursePlan,
    CourseRequest,
    NoCourse,
    Proposal,
    Relaxation,
    VisitSpec,
    breaches,
    propose,
    visit_reasons,
    why_this_time,
)
from clinic.scheduling.planner.calendar import steady_from, to_utc
from clinic.scheduling.planner.rules import Block, possible_starts, usable_devices
from clinic.scheduling.wishes import PlannedSession

KINDS = ("earliest", "steadiest", "preferred_place", "best", "other_time", "later_start")
MOST_REMEMBERED = 64  # questions to one state


@dataclass(frozen=True)
class Choice:
    """One course to choose from, and how it differs from the others."""

    kind: str
    labels: tuple[str, ...]
    plan: CoursePlan
    why: tuple[str, ...]
    notes: dict[int, str]


def choices(request: CourseRequest, state: Snapshot, count: int) -> list[Choice] | NoCourse:
    """Up to `count` courses that differ in kind, or why there is none. What was asked of a state is remembered."""
    question = f"{count} {request!r}"
    with state.thinking:
        known = state.answers.get(question)
        if known is None:
            known = _choices(request, state, count)
            if len(state.answers) >= MOST_REMEMBERED:
                state.answers.clear()
            state.answers[question] = known
    return known  # type: ignore[no-any-return]


def _choices(request: CourseRequest, state: Snapshot, count: int) -> list[Choice] | NoCourse:
    found = propose(request, state.occupancy, count)
    if isinstance(found, NoCourse):
        return found
    kinds = _distinct_kinds(found)
    ordered = sorted(zip(kinds, found, strict=True), key=lambda pair: KINDS.index(pair[0]))
    return [
        Choice(kind, offer.labels, offer.plan, _why(offer), _notes(offer.plan, request, state))
        for kind, offer in ordered
    ]


def _why(offer: Proposal) -> tuple[str, ...]:
    """How it differs, and each gap by name that is not the protocol's own."""
    return (*offer.reasons, *(gap.text for gap in offer.plan.gaps if not gap.expected))


def _notes(plan: CoursePlan, request: CourseRequest, state: Snapshot) -> dict[int, str]:
    """For each visit away from its usual place what stood in the way, and what would open it."""
    notes = why_this_time(plan, request, state.occupancy)
    bookings = [booking for each in state.bookings.values() for booking in each]
    for reason in visit_reasons(plan, request, state.occupancy, bookings):
        if reason.blocked is not None:
            blocked = reason.blocked
            notes[reason.number] = f"{blocked.text} (open if {blocked.opens}, {blocked.saves} less)"
    return notes


def _distinct_kinds(found: Sequence[Proposal]) -> list[str]:
    """One word for each proposal; a word that is taken goes to the next label."""
    kinds: list[str] = []
    for offer in found:
        fitting = [kind for kind in KINDS if kind in offer.labels]
        kinds.append(next((kind for kind in fitting if kind not in kinds), fitting[0]))
    return kinds


def binding_of(
    refusal: NoCourse, request: CourseRequest, protocol: Protocol, state: Snapshot | None = None
) -> list[dict[str, Any]]:
    """Which rule binds, and what would open a course, as it is shown and sent.

    `change` says the same to a program: what of the wish to change, where that is the wish's to change.
    """
    text = refusal.text
    if refusal.rule == "device_has_capability":
        text = f"{protocol.name} is not given at {' or '.join(request.locations)}"
    return [
        {
            "rule": refusal.rule,
            "visit": refusal.visit,
            "text": text,
            "days": [{"date": day.date.isoformat(), "rule": day.rule, "text": day.text} for day in refusal.days[:14]],
            "opens": [
                {
                    "kind": change.kind,
                    "text": change.text,
                    "starts_on": change.starts_on.isoformat() if change.starts_on else None,
                    "change": _wish_change(change, state),
                }
                for change in refusal.relaxations
            ],
        }
    ]


def _wish_change(change: Relaxation, state: Snapshot | None) -> dict[str, Any] | None:
    """The relaxation as a change of the wish; None where it is not the wish's to change (bookings, staff, gaps)."""
    match change.kind:
        case "several":
            parts = [_wish_change(part, state) for part in change.parts]
            merged: dict[str, Any] = {}
            for part in parts:
                merged |= part or {}
            return merged if all(parts) else None
        case "windows":
            return {"wider_by": change.amount}
        case "weekdays":
            return {"weekdays": list(change.weekdays)}
        case "start_window":
            return {"latest_start": state.occupancy.date_of(change.days[0]).isoformat()} if state else None
        case "locations" if state is not None:
            wanted = [change.location] if change.location is not None else list(state.site_by_name)
            return {"locations": [state.site_by_name[name].id for name in wanted if name in state.site_by_name]}
        case _:
            return None


def broken_rules(
    request: CourseRequest, state: Snapshot, sessions: Sequence[PlannedSession]
) -> list[tuple[str, str, int | None]]:
    """Rules that a course given by hand breaks: name, words, position of the visit. First sessions of visits only."""
    course = []
    for session in sessions:
        day, minute = state.day_and_minute(session.device_id, session.starts_at)
        course.append((day, state.devices[session.device_id].id, minute))
    return [(breach.rule, breach.text, breach.visit) for breach in breaches(request, state.occupancy, course)]


# -- single places --------------------------------------------------------------------------------------------------


class Place(NamedTuple):
    """A free place for one session."""

    starts_at: datetime
    ends_at: datetime
    device_id: int
    location_id: int
    day: int
    minute: int


def free_places(
    request: CourseRequest, state: Snapshot, visit: VisitSpec, first_day: int, last_day: int
) -> Iterator[Place]:
    """Every possible start on days [first_day, last_day), by day, start and device."""
    occupancy = state.occupancy
    first_day, last_day = max(0, first_day), min(occupancy.days, last_day)
    devices = usable_devices(request, occupancy, visit)
    if not len(devices) or first_day >= last_day:
        return
    count = -(-occupancy.slots * occupancy.unit // occupancy.grid)
    block = Block(request, occupancy, visit, devices, first_day, last_day, occupancy.low, count)
    mask = possible_starts(block)
    minutes = range(occupancy.low, occupancy.low + count * GRID, GRID)
    later = [timedelta(minutes=minute - minutes[0]) for minute in minutes]
    lasts = timedelta(minutes=visit.duration)
    ids = [state.device_ids[occupancy.devices[device].id] for device in devices]
    sites = [state.site_of_device[device_id] for device_id in ids]
    for day in range(first_day, last_day):
        found = np.argwhere(mask[:, day - first_day].T).tolist()
        if not found:
            continue
        on = occupancy.date_of(day)
        begins = {tz: steady_from(on, minutes[0], minutes[-1], tz) for tz in {site.tz for site in sites}}
        for slot, row in found:
            site = sites[row]
            first = begins[site.tz]
            starts_at = first + later[slot] if first is not None else to_utc(on, minutes[slot], site.tz)
            yield Place(starts_at, starts_at + lasts, ids[row], site.id, day, minutes[slot])
