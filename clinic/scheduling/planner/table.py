"""What one request could use: its possible starts on the grid, and the prices of starting and of gaps."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clinic.scheduling.planner.facts import CourseRequest, Span, VisitSpec, Weights
from clinic.scheduling.planner.occupancy import Occupancy
from clinic.scheduling.planner.rules import Block, Mask, possible_starts, usable_devices

Ints = NDArray[np.int32]
INF = 1 << 29  # three of them still fit 32 bits


@dataclass(frozen=True, slots=True)
class Mode:
    """A way to keep the hours between starts: starts at most `half` minutes from the anchor, gaps of `min_gap` days up."""

    half: int | None
    min_gap: int


def worst_cost(weights: Weights, visits: int, days: int, penalty: int) -> int:
    """No course of so many visits in so many days can cost more; it must stay below INF to be planned exactly."""
    a_visit = 1440 * weights.tod + weights.dev + weights.loc + weights.pref + penalty + days * weights.gap
    return visits * a_visit + days * (max(weights.wait) + max(weights.late))


def modes_for(min_hours: int | None) -> tuple[Mode, ...]:
    """The modes that together keep `min_hours` by construction; a course of any of them is allowed."""
    if min_hours is None:
        return (Mode(None, 0),)
    days = -(-min_hours // 24)
    if min_hours % 24:
        return (Mode((days * 24 - min_hours) * 60 // 2, days),)
    return Mode(None, days + 1), Mode(0, days)


def _class_key(visit: VisitSpec) -> tuple[object, ...]:
    return visit.duration, visit.capability, visit.need, visit.offsets, visit.consistent


@dataclass(frozen=True, slots=True)
class StartClass:
    """Possible starts of all visits that are alike: [device, day, start], and what each costs beyond distance."""

    visit: VisitSpec
    devices: NDArray[np.intp]
    mask: Mask
    extra: Ints | None
    penalty: Ints

    def within(self, rows: NDArray[np.bool_]) -> "StartClass":
        """The same starts on some of the devices."""
        extra = self.extra if self.extra is None or self.extra.ndim == 1 else self.extra[rows]
        return replace(self, devices=self.devices[rows], mask=self.mask[rows], extra=extra, penalty=self.penalty[rows])

    def before(self, day: int) -> "StartClass":
        """The same starts on the days before a table day."""
        extra = self.extra if self.extra is None or self.extra.ndim == 1 else self.extra[:, :day]
        return replace(self, mask=self.mask[:, :day], extra=extra)


class Table:
    """Possible starts of one request. Days count from `first_day`, starts from `first_start` on the grid.

    `strict`: where given, the starts it forbids are allowed at `price` each (to find the course with fewest of them).
    """

    def __init__(
        self, request: CourseRequest, occupancy: Occupancy, *, strict: "Table | None" = None, price: int = 0
    ) -> None:
        self.request, self.occupancy = request, occupancy
        penalty = max(request.locations.values(), default=0)
        if worst_cost(request.weights, len(request.visits), occupancy.days, penalty) >= INF:
            raise ValueError("the prices are too large to plan exactly")
        earliest = request.not_before if request.continued else max(request.not_before, request.release)
        self.first_day = max(0, min(earliest, occupancy.days))
        self.days = occupancy.days - self.first_day
        self.first_start, self.count = self._start_range()
        self.classes: list[StartClass] = []
        self.class_of: list[int] = []
        index: dict[tuple[object, ...], int] = {}
        for visit in request.visits:
            key = _class_key(visit)
            if key not in index:
                index[key] = len(self.classes)
                self.classes.append(self._start_class(visit, strict, price))
            self.class_of.append(index[key])
        self.allowed_homes: Collection[int] | None = None  # every one
        self.homes = self._homes()
        self.forbidden: NDArray[np.bool_] | None = None  # usual times that are not wanted
        self._gap_costs: dict[tuple[Span | None, Span | None, Mode], tuple[range, Ints]] = {}
        self.kept: dict[object, Any] = {}  # what searches of this table share
        self.lasting: dict[object, Any] = {}  # the same, where higher prices change nothing about it

    def _start_range(self) -> tuple[int, int]:
        occupancy, request = self.occupancy, self.request
        spans = [s for day in request.windows for s in day]
        low = max(occupancy.low, min((a for a, _ in spans), default=0))
        shortest = min((v.span for v in request.visits), default=0)
        high = min(occupancy.low + occupancy.slots * occupancy.unit, max((b for _, b in spans), default=0)) - shortest
        first = -(-low // occupancy.grid) * occupancy.grid
        return first, max(1, (high - first) // occupancy.grid + 1)

    def _start_class(self, visit: VisitSpec, strict: "Table | None", price: int) -> StartClass:
        request, occupancy = self.request, self.occupancy
        devices = usable_devices(request, occupancy, visit)
        block = Block(request, occupancy, visit, devices, self.first_day, occupancy.days, self.first_start, self.count)
        mask = possible_starts(block)
        extra: Ints | None = None
        if visit.consistent and request.preferred is not None:
            outside = (block.starts < request.preferred[0]) | (block.starts >= request.preferred[1])
            extra = (outside * np.int32(request.weights.pref)).astype(np.int32)
        if strict is not None:
            forbidden = ~strict.allows(visit, devices, self)
            extra = (forbidden * np.int32(price)).astype(np.int32) + (0 if extra is None else extra)
        penalty = np.array([request.locations[occupancy.devices[i].location] for i in devices], dtype=np.int32)
        return StartClass(visit, devices, mask, extra, penalty)

    def allows(self, visit: VisitSpec, devices: NDArray[np.intp], like: "Table") -> Mask:
        """This table's possible starts of a visit on the frame of another table and other devices."""
        frame = np.zeros((len(devices), like.days, like.count), dtype=np.bool_)
        mine = self.classes[[_class_key(c.visit) for c in self.classes].index(_class_key(visit))]
        shift = (self.first_start - like.first_start) // self.occupancy.grid
        row = {int(device): x for x, device in enumerate(mine.devices)}
        for i, device in enumerate(devices):
            if int(device) in row:
                a, b = max(0, shift), min(like.count, shift + self.count)
                offset = self.first_day - like.first_day
                frame[i, offset:, a:b] = mine.mask[row[int(device)], :, a - shift : b - shift]
        return frame

    def at(self, locations: Collection[str]) -> "Table":
        """The same question for some of the accepted locations alone; masks and gap prices are shared."""
        other = self._copy()
        other.request = replace(self.request, locations={x: self.request.locations[x] for x in locations})
        here = [self.occupancy.location_index[x] for x in locations]
        other.classes = [c.within(np.isin(self.occupancy.device_location[c.devices], here)) for c in self.classes]
        other.homes = other._homes()
        other._gap_costs = {}
        return other

    def by_zone(self) -> "list[Table]":
        """The question split so that no course with hours between starts crosses from one time zone to another."""
        if self.request.min_hours is None:
            return [self]
        if "zones" not in self.kept:
            self.kept["zones"] = self._split()
        parts: list[Table] = self.kept["zones"]
        return parts

    def _split(self) -> "list[Table]":
        zones: dict[str | None, list[str]] = {}
        for location in self.request.locations:
            if location in self.occupancy.location_index:
                tz = self.occupancy.locations[self.occupancy.location_index[location]].tz
                zones.setdefault(tz, []).append(location)
        return [self] if len(zones) < 2 else [self.at(locations) for locations in zones.values()]

    def priced(self, weights: Weights) -> "Table":
        """The same question with other prices for change of time, device or place, or for waiting."""
        if (weights.pref, weights.gap) != (self.request.weights.pref, self.request.weights.gap):
            raise ValueError("the prices of hours and gaps are part of the table")
        other = self._copy()
        other.request = replace(self.request, weights=weights)
        return other

    def dearer(self, extras: Iterable[Ints]) -> "Table":
        """The same question where starts cost more: of each class [device, day, start] what is added, never below 0."""
        other = self._copy()
        other.lasting = self.lasting
        other.classes = [
            replace(c, extra=extra if c.extra is None else extra + c.extra)
            for c, extra in zip(self.classes, extras, strict=True)
        ]
        return other

    def only(self, homes: Collection[int] | None, anchors: NDArray[np.bool_]) -> "Table":
        """The same question with these home devices (None: all) and usual times alone."""
        other = self._copy()
        other.lasting = self.lasting
        other.allowed_homes = homes
        other.homes = other._homes()
        other.forbidden = ~anchors
        return other

    def away_from(self, anchor: int, minutes: int) -> "Table":
        """The same question with usual times and starts at least so far from a time of day."""
        other = self._copy()
        starts = np.arange(self.count) * self.occupancy.grid + self.first_start
        other.forbidden = np.abs(starts - anchor) < minutes
        other.classes = [replace(c, mask=c.mask & ~other.forbidden) if c.visit.consistent else c for c in self.classes]
        return other

    def _copy(self) -> "Table":
        other = object.__new__(Table)
        other.__dict__.update(self.__dict__)
        other.kept, other.lasting = {}, {}
        return other

    def _homes(self) -> list[int]:
        """Devices worth being home: any other is never better than one of these in the same location."""
        request, devices = self.request, self.occupancy.devices
        own = [i for i, x in enumerate(devices) if x.kind == request.device_kind and x.location in request.locations]
        wanted = {int(i) for c in self.classes if c.visit.consistent for i in c.devices}
        homes = [i for i in own if i in wanted] or own
        if self.allowed_homes is not None:
            homes = [i for i in homes if i in self.allowed_homes]
        return sorted(homes, key=lambda i: (request.locations[devices[i].location], i))

    # -- gaps ---------------------------------------------------------------------------------------------------

    def gap_costs(self, visit: VisitSpec, mode: Mode) -> tuple[range, Ints]:
        """Allowed gaps in days, and [gap, day of arrival] -> price; INF where the hours between starts forbid it."""
        key = visit.gap, visit.ideal, mode
        if key not in self._gap_costs:
            gap = visit.gap or (1, self.days)
            gaps = range(max(gap[0], mode.min_gap), min(gap[1], self.days) + 1)
            self._gap_costs[key] = gaps, self._gap_table(gaps, visit.ideal, mode)
        return self._gap_costs[key]

    def _gap_table(self, gaps: range, ideal: Span | None, mode: Mode) -> Ints:
        occupancy = self.occupancy
        arrivals = np.arange(self.first_day, occupancy.days)
        before = np.maximum(arrivals - np.array(gaps, dtype=np.intp)[:, None], 0)
        table = np.zeros(before.shape, dtype=np.int32)
        if ideal is not None:
            weekdays = occupancy.weekday_numbers[arrivals] - occupancy.weekday_numbers[before]
            off = np.maximum(np.maximum(ideal[0] - weekdays, weekdays - ideal[1]), 0)
            table += off.astype(np.int32) * np.int32(self.request.weights.gap)
        if self.request.min_hours is not None:
            lost = np.cumsum(occupancy.minutes_lost(self.request.locations))
            spread = (self.count - 1) * occupancy.grid if mode.half is None else 2 * mode.half
            passed = np.array(gaps)[:, None] * 1440 - (lost[arrivals] - lost[before]) - spread
            table[passed < self.request.min_hours * 60] = INF
        return table


def waiting_costs(table: Table) -> Ints:
    """Price of waiting until each day; nothing where the course runs already."""
    request, own = table.request, table.occupancy.weekday_numbers[table.first_day :]
    if request.continued:
        return np.zeros(table.days, dtype=np.int32)
    weekdays = own - table.occupancy.weekday_number(request.release)
    late = np.maximum(weekdays - request.target, 0)
    weights = request.weights
    return np.asarray(weights.wait[request.priority] * weekdays + weights.late[request.priority] * late, dtype=np.int32)


def start_costs(table: Table) -> Ints:
    """Price of the first visit falling on each day: waiting, and the gap to the last delivered visit."""
    if "start costs" not in table.lasting:
        request, number = table.request, table.occupancy.weekday_number
        costs = waiting_costs(table)
        own = table.occupancy.weekday_numbers[table.first_day :]
        if request.previous_day is not None and request.visits[0].ideal is not None:
            low, high = request.visits[0].ideal
            weekdays = own - number(request.previous_day)
            costs += request.weights.gap * np.maximum(np.maximum(low - weekdays, weekdays - high), 0)
        table.lasting["start costs"] = costs
    known: Ints = table.lasting["start costs"]
    return known


def waiting(request: CourseRequest, weekdays: int) -> int:
    """Price of a first visit so many weekdays after the release."""
    weights, priority = request.weights, request.priority
    return weights.wait[priority] * weekdays + weights.late[priority] * max(0, weekdays - request.target)


def start_limits(table: Table) -> tuple[int, int]:
    """Table days [first, last) on which the first visit may fall."""
    if table.request.continued:
        return 0, table.days
    return 0, max(0, min(table.days, table.request.latest_start - table.first_day + 1))
