"""A proven bound for a waiting list, and courses worth combining: prices on what several patients want.

Every device and every staff pool gets a price per day and slot. With prices each patient's cheapest course is found
alone and exactly; the sum of these, less what the free places are worth at those prices, bounds every plan of the list
from below (Lagrange). The prices come from the linear programme over all courses found so far, smoothed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import ceil

import numpy as np
from numpy.typing import NDArray

from clinic.scheduling.planner.bids import ALL, POOLS, SCALE, Bidder, Limits, Prices, Tariff
from clinic.scheduling.planner.facts import CoursePlan, CourseRequest
from clinic.scheduling.planner.master import Master, Relaxed
from clinic.scheduling.planner.programme import Programme
from clinic.scheduling.planner.roster import Plans, Roster, bookings_of
from clinic.scheduling.planner.shuffle import Budget

SMOOTHING = 0.8  # share of the best prices so far in the next ones
KEPT = 30  # courses of one patient seen elsewhere that are combined with those found by price, cheapest first
NEGLIGIBLE = 1e-6

Flat = NDArray[np.int32]  # prices of all resources, days and slots in one row


@dataclass(frozen=True, slots=True)
class Course:
    """A course found: its column, the places that it takes, its home, and the usual times at which it costs the same."""

    plan: CoursePlan
    column: int
    places: NDArray[np.int64]
    home: int
    anchors: tuple[int, int]

    def lies_in(self, limits: Limits) -> bool:
        """True for a course of that part."""
        return (
            (limits.homes is None or self.home in limits.homes)
            and self.anchors[0] <= limits.anchors[1]
            and self.anchors[1] >= limits.anchors[0]
            and limits.starts[0] <= self.plan.visits[0].day <= limits.starts[1]
            and (not limits.closed or limits.closed.isdisjoint(self.places.tolist()))
        )


@dataclass(slots=True)
class Part:
    """The plans of a list whose courses keep the limits of each patient; prices, and the bound that they prove."""

    prices: Flat
    scaled: int = 0
    limits: Mapping[str, Limits] = field(default_factory=dict)

    @property
    def bound(self) -> int:
        """No plan of the part costs less."""
        return ceil(self.scaled / SCALE)


class Market:
    """Courses found so far, and what the places are worth."""

    def __init__(self, roster: Roster) -> None:
        self.roster, self.free = roster, roster.free
        self.shapes: dict[str, tuple[int, int, int]] = {"device": self.free.bookings_on.shape}
        self.shapes |= {need: self.free.staff_used[need].shape for need in POOLS}
        offsets = np.cumsum([0, *(a * b * c for a, b, c in self.shapes.values())]).tolist()
        self.offsets = dict(zip(self.shapes, offsets, strict=False))
        self.capacity = self._capacity()
        self.courses: dict[str, dict[tuple[object, ...], Course]] = {x: {} for x in roster.requests}
        self.bidders = {x: Bidder(request, self.free, often=True) for x, request in roster.requests.items()}
        self.numbers = {x: i for i, x in enumerate(roster.requests)}
        self.master = Master(self.capacity, [roster.unplaced_price(x) for x in roster.requests])
        self.whole = Part(np.zeros(len(self.capacity), dtype=np.int32))

    def add(self, patient: str, plan: CoursePlan) -> bool:
        """Remember a course; False if it was known."""
        key = _key(plan)
        if key in self.courses[patient]:
            return False
        request = self.roster.requests[patient]
        places = self._places(request, plan)
        column = self.master.add(self.numbers[patient], plan.cost, places)
        home = self.free.device_index[plan.home]
        self.courses[patient][key] = Course(plan, column, places, home, _anchors(request, plan))
        return True

    def add_seen(self) -> None:
        """Remember the best of the courses that the roster has seen."""
        for patient, seen in self.roster.seen.items():
            for plan in sorted(seen.values(), key=lambda x: x.cost)[:KEPT]:
                self.add(patient, plan)

    def trade(self, part: Part, budget: Budget, enough: int, *, near: float = 0.0) -> None:
        """Raise the bound of a part, and find more courses, until neither goes on, it is enough or the budget ends.

        near: stop earlier, where no more than this share of what is left to `enough` could still be won by prices.
        """
        best, _ = self._bid(part, part.prices)
        part.scaled = max(part.scaled, best)
        smoothing = SMOOTHING
        while part.bound < enough and budget.step():
            relaxed = self.relaxed(part.limits)
            if relaxed is None or part.bound >= ceil(relaxed.value - NEGLIGIBLE):
                return
            if relaxed.value - part.scaled / SCALE < near * (enough - part.scaled / SCALE):
                return
            wanted = np.zeros(len(self.capacity), dtype=np.int32)
            for place, worth in relaxed.worth.items():
                wanted[place] = round(worth * SCALE)
            prices = (smoothing * part.prices + (1 - smoothing) * wanted).round().astype(np.int32)
            scaled, found = self._bid(part, prices)
            if scaled > best:
                best, part.prices = scaled, prices
                part.scaled = max(part.scaled, best)
            elif not found and not smoothing:
                return
            # prices that bring neither a course nor a better bound are no use: next the programme's own
            smoothing = SMOOTHING if found else 0.0

    def relaxed(self, limits: Mapping[str, Limits]) -> Relaxed | None:
        """The best mixture of known courses that keep the limits."""
        return self.master.solve(
            course.column
            for patient, mine in limits.items()
            for course in self.courses[patient].values()
            if not course.lies_in(mine)
        )

    def considerate(self, patient: str, share: float) -> CoursePlan | None:
        """The cheapest course on what is free now if it pays that share of the best prices; its cost is without them."""
        bidder = Bidder(self.roster.requests[patient], self.roster.occupancy, often=False)
        found = bidder.cheapest(Tariff(self._by_name((share * self.whole.prices).astype(np.int32))))
        return None if found is None else found[1]

    def combined(self, seconds: float | None, nodes: int | None) -> Plans | None:
        """The best choice of one known course per patient."""
        self.add_seen()
        programme, columns = self._programme()
        present = {patient: _key(plan) for patient, plan in self.roster.plans.items()}
        start = [
            column
            for patient, mine in columns.items()
            for column, course in mine
            if (_key(course.plan) if course else None) == present.get(patient)
        ]
        known = len(start) == len(columns)
        outcome = programme.solve(
            seconds=float("inf") if seconds is None else seconds, nodes=nodes, start=start if known else None
        )
        if outcome.chosen is None:
            return None
        taken = set(outcome.chosen)
        return {
            patient: course.plan
            for patient, mine in columns.items()
            for column, course in mine
            if column in taken and course is not None
        }

    # -- bidding ------------------------------------------------------------------------------------------------------

    def _bid(self, part: Part, prices: Flat) -> tuple[int, bool]:
        """The bound of the part at these prices (scaled), and whether a new course was found: one of each is kept."""
        used = np.flatnonzero(prices)
        total = -int((prices[used].astype(np.int64) * self.capacity[used]).sum())
        tariff, new = Tariff(self._by_name(prices)), False
        for patient, bidder in self.bidders.items():
            limits = part.limits.get(patient, ALL)
            least = self.roster.unplaced_price(patient) * SCALE
            for course in self.courses[patient].values():
                if course.lies_in(limits):
                    least = min(least, course.plan.cost * SCALE + int(prices[course.places].sum()))
            found = bidder.cheapest(self._shut(prices, limits, least) or tariff, limits, least)
            if found is not None:
                least, plan = found
                new |= self.add(patient, plan)
            total += least
        return total, new

    def _shut(self, prices: Flat, limits: Limits, least: int) -> Tariff | None:
        """The tariff for whom places are closed: each costs as much as the course may cost at most."""
        if not limits.closed:
            return None
        dearer = prices.copy()
        dearer[list(limits.closed)] = least
        return Tariff(self._by_name(dearer))

    def _by_name(self, flat: Flat) -> Prices:
        ends = [*self.offsets.values(), len(flat)][1:]
        return {
            x: flat[self.offsets[x] : end].reshape(self.shapes[x]) for x, end in zip(self.shapes, ends, strict=True)
        }

    # -- places -------------------------------------------------------------------------------------------------------

    def _capacity(self) -> NDArray[np.int64]:
        """What is free of each resource, per day and slot, as one row."""
        free = self.free
        left = {"device": (free.bookings_on == 0).astype(np.int64)}
        for need in POOLS:
            used = free.staff_used[need] + (free.staff_used["map"] if need == "tms" else 0)
            left[need] = np.maximum(free.staff_on[need] - used, 0).astype(np.int64)
        return np.concatenate([left[name].ravel() for name in self.shapes])

    def _places(self, request: CourseRequest, plan: CoursePlan) -> NDArray[np.int64]:
        """Numbers of the (resource, day, slot) that a course takes. Slots off the grid are left out: nothing starts there."""
        free, step = self.free, self.free.grid // self.free.unit
        found: list[int] = []
        for booking in bookings_of(request, plan):
            device = free.device_index[booking.device]
            site, end = int(free.device_location[device]), booking.start + booking.duration
            held = free.outward(booking.start, end + free.devices[device].turnover)
            staffed = free.outward(booking.start, end)
            found.extend(self._numbers("device", device, booking.day, _on_grid(held, step)))
            for need in ("tms", "map") if booking.need == "map" else (str(booking.need),):
                if need in POOLS:
                    found.extend(self._numbers(need, site, booking.day, _on_grid(staffed, step)))
        return np.unique(np.array(found, dtype=np.int64))

    def _numbers(self, name: str, row: int, day: int, slots: range) -> range:
        _, days, count = self.shapes[name]
        first = self.offsets[name] + (row * days + day) * count
        return range(first + slots.start, first + slots.stop, slots.step)

    # -- the programme over known courses -----------------------------------------------------------------------------

    def _programme(self) -> "tuple[Programme, dict[str, list[tuple[int, Course | None]]]]":
        """One column per course and one for having none; rows of what more patients want than can have it."""
        programme = Programme()
        columns: dict[str, list[tuple[int, Course | None]]] = {}
        takers: dict[int, list[int]] = {}
        owners: dict[int, set[str]] = {}
        for patient, known in self.courses.items():
            columns[patient] = [(programme.column(self.roster.unplaced_price(patient)), None)]
            for course in known.values():
                column = programme.column(course.plan.cost)
                columns[patient].append((column, course))
                for place in course.places.tolist():
                    takers.setdefault(place, []).append(column)
                    owners.setdefault(place, set()).add(patient)
        scarce = (place for place in sorted(takers) if len(owners[place]) > self.capacity[place])
        for capacity, *mine in dict.fromkeys((int(self.capacity[x]), *takers[x]) for x in scarce):
            programme.at_most(mine, capacity)
        for own in columns.values():
            programme.exactly_one([column for column, _ in own])
        return programme, columns


def _key(plan: CoursePlan) -> tuple[object, ...]:
    return plan.anchor, plan.home, *((v.day, v.device, v.start) for v in plan.visits)


def _anchors(request: CourseRequest, plan: CoursePlan) -> tuple[int, int]:
    """First and last usual time at which the course costs the same."""
    starts = sorted(v.start for spec, v in zip(request.visits, plan.visits, strict=True) if spec.consistent)
    if request.min_hours is None and starts:  # else starts are tied to it
        early, late = starts[(len(starts) - 1) // 2], starts[len(starts) // 2]
        if early <= plan.anchor <= late:
            return early, late
    return plan.anchor, plan.anchor


def _on_grid(slots: slice, step: int) -> range:
    return range(-(-slots.start // step) * step, slots.stop, step)
