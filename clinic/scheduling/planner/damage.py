"""What an event takes away: the visits that cannot stay, and those of whom some have to give way."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from clinic.scheduling.planner.facts import Booking, PlannedVisit, VisitSpec
from clinic.scheduling.planner.occupancy import Occupancy
from clinic.scheduling.planner.repair_facts import DeviceOut, Event, PersonOut, RunningCourse, SiteClosed
from clinic.scheduling.planner.rules import (
    device_is_free,
    device_is_up,
    location_is_open,
    patient_is_here,
    staff_are_on_shift,
)

MISSED = "missed"
MAKES_ROOM = "makes_room"


def after(occupancy: Occupancy, events: Iterable[Event]) -> Occupancy:
    """A copy of the occupancy as the events leave it; bookings stay. KeyError for an unknown device or location."""
    for event in events:
        match event:
            case DeviceOut():
                occupancy = occupancy.with_device_down(event.device, event.down)
            case PersonOut():
                occupancy = occupancy.with_absence(event.people, event.absent)
            case SiteClosed():
                occupancy = occupancy.with_closed(event.location, event.days)
    return occupancy


@dataclass(frozen=True, slots=True)
class Hit:
    """A visit that an event takes its place from: course index, position. `certain`: it cannot stay whatever others do."""

    course: int
    position: int
    rule: str
    certain: bool


def is_past(visit: PlannedVisit, now: int, now_minute: int) -> bool:
    """True once the visit's start has come."""
    return visit.day < now or (visit.day == now and visit.start < now_minute)


def sessions_of(spec: VisitSpec, day: int, device: str, start: int) -> Iterator[Booking]:
    """What a visit takes from the calendar."""
    for offset in spec.offsets:
        yield Booking(device, day, start + offset, spec.duration, spec.need)


def in_reach(event: Event, visit: PlannedVisit, occupancy: Occupancy) -> bool:
    """Whether an event can take anything from a visit."""
    match event:
        case DeviceOut():
            held = visit.end + occupancy.device(visit.device).turnover
            return visit.device == event.device and _meets(event.down, visit.day, visit.start, held)
        case PersonOut():
            here = any(x.id in event.people and x.location == visit.location for x in occupancy.staff)
            return here and _meets(event.absent, visit.day, visit.start, visit.end)
        case SiteClosed():
            return visit.location == event.location and visit.day in event.days


def _meets(spans: Iterable[tuple[int, int, int]], day: int, start: int, end: int) -> bool:
    return any(day == d and start < b and a < end for d, a, b in spans)


def hits(
    courses: Sequence[RunningCourse], occupancy: Occupancy, *, now: int, now_minute: int, events: Sequence[Event] = ()
) -> list[Hit]:
    """Visits ahead without a lawful place, by day and start; a missed visit counts too.

    With events only what lies in their reach: a session that was impossible before is not theirs to mend.
    """
    crowded = _Crowded(occupancy)
    found: list[tuple[tuple[int, int, str, int], Hit]] = []
    for c, course in enumerate(courses):
        for k, visit in enumerate(course.placed):
            if is_past(visit, now, now_minute):
                rule = MISSED if k in course.missed else None
                certain = True
            else:
                spec = course.request.visits[k]
                if events and not any(in_reach(event, visit, occupancy) for event in events):
                    continue
                rule = _broken_rule(course, spec, visit, occupancy)
                certain = rule is not None
                if rule is None:
                    rule = crowded.rule(spec, visit)
            if rule is not None:
                found.append(((visit.day, visit.start, course.id, k), Hit(c, k, rule, certain)))
    return [hit for _, hit in sorted(found, key=lambda x: x[0])]


def left_over(
    courses: Sequence[RunningCourse], struck: Sequence[Hit], occupancy: Occupancy, events: Sequence[Event], now: int
) -> tuple[str, ...]:
    """What the events take from bookings that belong to no course here: nothing in `courses` can mend it."""
    free = occupancy.copy()
    for hit in struck:
        if hit.rule != MISSED:
            course, k = courses[hit.course], hit.position
            visit = course.placed[k]
            free.change(removed=sessions_of(course.request.visits[k], visit.day, visit.device, visit.start))
    found: list[tuple[str, int]] = []
    for event in events:
        match event:
            case DeviceOut():
                i = free.device_index[event.device]
                gone = (free.bookings_on[i] > 0) & (free.device_up_run[i] == 0)
                found.extend((event.device, int(day)) for day in np.flatnonzero(gone.any(axis=1)))
            case SiteClosed():
                here = free.device_location == free.location_index[event.location]
                booked = (free.bookings_on[here] > 0).any(axis=(0, 2))
                found.extend((event.location, day) for day in sorted(event.days) if day < free.days and booked[day])
            case PersonOut():
                crowded = _Crowded(free)
                short = np.any([crowded.staff[need].any(axis=2) for need in crowded.staff], axis=0)
                sites = {free.location_index[x.location] for x in free.staff if x.id in event.people}
                days = sorted({day for day, _, _ in event.absent if 0 <= day < free.days})
                found.extend((free.locations[i].id, day) for i in sorted(sites) for day in days if short[i, day])
    return tuple(f"{name} on {free.date_of(day).isoformat()}: other bookings stay" for name, day in found if day >= now)


def _broken_rule(course: RunningCourse, spec: VisitSpec, visit: PlannedVisit, occupancy: Occupancy) -> str | None:
    """The rule about place or person that the visit no longer keeps. The patient's hours do not undo what is booked."""
    if not 0 <= visit.day < occupancy.days:
        return None
    device = occupancy.device_index[visit.device]
    site = int(occupancy.device_location[device])
    unit, turnover = occupancy.unit, occupancy.devices[device].turnover
    for offset in spec.offsets:
        slot = (visit.start + offset - occupancy.low) // unit
        if not 0 <= slot < occupancy.slots:
            return location_is_open.__name__
        end = visit.start + offset + spec.duration
        held = -(-(end + turnover - occupancy.low) // unit) - slot
        staffed = -(-(end - occupancy.low) // unit) - slot
        if occupancy.open_run[site, visit.day, slot] < held:
            return location_is_open.__name__
        if occupancy.device_up_run[device, visit.day, slot] < held:
            return device_is_up.__name__
        if occupancy.staff_on_run[spec.need][site, visit.day, slot] < staffed:
            return staff_are_on_shift.__name__
    return patient_is_here.__name__ if visit.day in course.request.away else None


def is_crowded(occupancy: Occupancy, spec: VisitSpec, visit: PlannedVisit) -> bool:
    """True if in some minute of the visit more is booked than there is."""
    return _Crowded(occupancy).rule(spec, visit) is not None


class _Crowded:
    """Where more is booked than there is: [device or site, day, slot]."""

    def __init__(self, occupancy: Occupancy) -> None:
        self.occupancy = occupancy
        used, on = occupancy.staff_used, occupancy.staff_on
        together = used["map"] + used["tms"] > on["tms"]
        self.device = occupancy.bookings_on > 1
        self.staff = {"obs": used["obs"] > on["obs"], "tms": together, "map": together | (used["map"] > on["map"])}
        self.nowhere = not (self.device.any() or any(x.any() for x in self.staff.values()))

    def rule(self, spec: VisitSpec, visit: PlannedVisit) -> str | None:
        occupancy = self.occupancy
        if self.nowhere or not 0 <= visit.day < occupancy.days:
            return None
        device = occupancy.device_index[visit.device]
        site = int(occupancy.device_location[device])
        for session in sessions_of(spec, visit.day, visit.device, visit.start):
            end = session.start + session.duration
            if self._any(self.staff[spec.need][site, visit.day], session.start, end):
                return "staff_are_free"
            if self._any(self.device[device, visit.day], session.start, end + occupancy.devices[device].turnover):
                return device_is_free.__name__
        return None

    def _any(self, row: np.ndarray[tuple[int], np.dtype[np.bool_]], a: int, b: int) -> bool:
        return bool(row[self.occupancy.outward(a, b)].any())
