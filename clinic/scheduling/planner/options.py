"""Where a visit of a running course could go: places, each with its price."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clinic.scheduling.planner.changes import MAKE_UP_GAP, change_cost
from clinic.scheduling.planner.facts import PlannedVisit
from clinic.scheduling.planner.occupancy import Occupancy
from clinic.scheduling.planner.repair_facts import RepairWeights, RunningCourse
from clinic.scheduling.planner.rules import Block, possible_starts, usable_devices

STARTS_SAME_DAY = 60  # on its own day so many cheapest places are looked at
STARTS_A_DAY = 4  # on another day only so many cheapest places are looked at
DAYS_INSIDE = 4  # free days inside the course, nearest first
MANY = 10**6
DAYS_AFTER = 5  # days with a place after its last visit


@dataclass(frozen=True, slots=True)
class Now:
    """The present: what lies before is past, and today nothing moves to a start before `minute` + `notice`."""

    day: int
    minute: int = 0
    notice: int = 0


@dataclass(frozen=True, slots=True)
class Option:
    """One place for a visit and what the change costs, gap rules apart."""

    visit: PlannedVisit
    cost: int


def minutes_between(occupancy: Occupancy, a: PlannedVisit, b: PlannedVisit) -> int:
    """Real minutes from start to start, clock changes counted; a lies on the earlier day."""
    return occupancy.minutes_apart((a.device, a.day, a.start), (b.device, b.day, b.start))


def too_close(occupancy: Occupancy, course: RunningCourse, a: PlannedVisit, b: PlannedVisit) -> bool:
    """True if two visits of the course break the hours between starts."""
    hours = course.request.min_hours
    if hours is None:
        return False
    a, b = sorted((a, b), key=lambda v: (v.day, v.start))
    return minutes_between(occupancy, a, b) < hours * 60


Memory = dict[tuple[str, int, int], "list[Option]"]


class Places:
    """Looks up options on an occupancy from which the visits that may move have been taken out.

    memory: options by course, position and day, to be used again on the days on which the occupancy is as it was.
    """

    def __init__(self, occupancy: Occupancy, now: Now, weights: RepairWeights, memory: Memory | None = None) -> None:
        self.occupancy, self.now, self.weights = occupancy, now, weights
        self.memory: Memory = {} if memory is None else memory

    def cost(self, old: PlannedVisit, new: PlannedVisit) -> int:
        """Price of a place."""
        return change_cost(old, new, self.occupancy, self.weights).total

    def on_day(
        self,
        course: RunningCourse,
        k: int,
        day: int,
        fixed: Iterable[PlannedVisit],
        *,
        within: int | None = None,
        most: int = MANY,
    ) -> list[Option]:
        """Places of visit k on a day, the `most` cheapest in order. `within`: minutes that its start may shift."""
        occupancy, request, old = self.occupancy, course.request, course.placed[k]
        if not max(0, self.now.day) <= day < occupancy.days:
            return []
        spec = request.visits[k]
        devices = usable_devices(request, occupancy, spec)
        devices = devices[occupancy.open_run[occupancy.device_location[devices], day].any(axis=1)]
        first, count = self._frame(spec.span, old, day, within)
        if not len(devices) or count <= 0:
            return []
        block = Block(request, occupancy, spec, devices, day, day + 1, first, count)
        rows, slots = np.nonzero(possible_starts(block)[:, 0])
        starts = first + slots * occupancy.grid
        costs = self._costs(old, day, devices, rows, starts)
        near = [v for v in fixed if abs(v.day - day) <= -(-(request.min_hours or 0) // 24)]
        found: list[Option] = []
        for i in np.lexsort((devices[rows], starts, costs)):
            facts, start = occupancy.devices[devices[rows[i]]], int(starts[i])
            visit = _at(old, occupancy, day, facts.id, facts.location, start, spec.span)
            if not any(too_close(occupancy, course, visit, other) for other in near):
                found.append(Option(visit, int(costs[i])))
            if len(found) == most:
                break
        return found

    def _costs(
        self, old: PlannedVisit, day: int, devices: NDArray[np.intp], rows: NDArray[np.intp], starts: NDArray[np.intp]
    ) -> NDArray[np.int64]:
        """As cost(), for many places on one day."""
        occupancy, w = self.occupancy, self.weights
        elsewhere = occupancy.device_location[devices] != occupancy.location_index[old.location]
        other = devices != occupancy.device_index[old.device]
        by_device = np.where(elsewhere, w.location, np.where(other, w.device, 0))
        weekdays = occupancy.weekdays_between(min(old.day, day), max(old.day, day))
        moved = w.touch + w.minute * np.abs(starts - old.start) + w.day * min(w.most_days, weekdays)
        stays = (starts == old.start) & (day == old.day)
        return np.asarray(by_device[rows] + np.where(stays, 0, moved), dtype=np.int64)

    def _frame(self, span: int, old: PlannedVisit, day: int, within: int | None) -> tuple[int, int]:
        """First start on the grid, and how many."""
        occupancy, grid = self.occupancy, self.occupancy.grid
        low, high = occupancy.low, occupancy.low + occupancy.slots * occupancy.unit - span
        if day == self.now.day:
            low = max(low, self.now.minute + self.now.notice)
        if within is not None:
            low, high = max(low, old.start - within), min(high, old.start + within)
        low = -(-low // grid) * grid
        return low, (high - low) // grid + 1

    def elsewhere(
        self, course: RunningCourse, k: int, fixed: Sequence[PlannedVisit], taken: Collection[int], *, more: int = 0
    ) -> dict[int, list[Option]]:
        """Cheapest places of visit k on other days: free days of the course, then days after its end.

        fixed: the visits of the course that do not move. taken: days not to be used. more: how many more days after
        the end are wanted.
        """
        old = course.placed[k]
        first, last = self._room(course, k, fixed)
        end = max(v.day for v in course.placed)
        own = course.request.visits[k].gap
        reach = max(own[1] if own else 1, MAKE_UP_GAP) + 3 * more
        inside = sorted(
            (d for d in range(first, min(end, last) + 1) if d not in taken), key=lambda d: (abs(d - old.day), d)
        )
        after = [d for d in range(max(end + 1, first), min(end + reach, last) + 1) if d not in taken]
        found: dict[int, list[Option]] = {}
        for days, wanted in ((inside, DAYS_INSIDE), (after, DAYS_AFTER + more)):
            seen = 0
            for day in days:
                if seen == wanted:
                    break
                key = course.id, k, day
                if key not in self.memory:
                    self.memory[key] = self.on_day(course, k, day, fixed, most=STARTS_A_DAY)
                if self.memory[key]:
                    found[day] = self.memory[key]
                    seen += 1
        return found

    def _room(self, course: RunningCourse, k: int, fixed: Sequence[PlannedVisit]) -> tuple[int, int]:
        """Days that visit k can fall on at all: mapping stays before what follows it, everything else after it."""
        first, last = max(0, self.now.day), self.occupancy.days - 1
        visits = course.request.visits
        if visits[k].gap is None:
            last = min([last, *(v.day - 1 for v in fixed)])
        elif visits[0].gap is None and k:
            first = max(first, course.placed[0].day + 1)
        return first, last


def _at(
    old: PlannedVisit, occupancy: Occupancy, day: int, device: str, location: str, start: int, span: int
) -> PlannedVisit:
    return PlannedVisit(old.number, old.kind, day, occupancy.date_of(day), device, location, start, start + span)
