"""A proven bound for a waiting list, and courses worth combining: prices on what several patients want.

Every device and every staff pool gets a price per day and slot. With prices each patient's cheapest course is found
alone and exactly; the sum of these, less what the free places are worth at those prices, bounds every plan of the list
from below (Lagrange). The prices come from the linear programme over all courses found so far, smoothed.
"""

from collections import defaultdict
from dataclasses import dataclass, replace
from math import ceil

import numpy as np
from numpy.typing import NDArray

from clinic.scheduling.planner.facts import CoursePlan, CourseRequest, Weights
from clinic.scheduling.planner.placement import cost_parts, place
from clinic.scheduling.planner.programme import Programme
from clinic.scheduling.planner.roster import Plans, Roster, bookings_of
from clinic.scheduling.planner.search import solve
from clinic.scheduling.planner.shuffle import Budget
from clinic.scheduling.planner.table import Ints, Table

SCALE = 8  # prices are whole numbers of an eighth of the objective's unit
SMOOTHING = 0.6  # share of the best prices so far in the next ones
KEPT = 30  # courses of one patient seen elsewhere that are combined with those found by price, cheapest first
POOLS = ("tms", "map", "obs")

Prices = dict[str, NDArray[np.int32]]


@dataclass(frozen=True, slots=True)
class _Course:
    plan: CoursePlan
    rows: NDArray[np.int64]


class Market:
    """Courses found so far, the best prices, and the best bound."""

    def __init__(self, roster: Roster) -> None:
        self.roster, self.free = roster, roster.free
        self.shapes: dict[str, tuple[int, ...]] = {
            name: (*used.shape,) for name, used in (("device", self.free.bookings_on), *self.free.staff_used.items())
        }
        self.capacity = self._capacity()
        self.courses: dict[str, dict[tuple[object, ...], _Course]] = {x: {} for x in roster.requests}
        self.relaxed = {x: _scaled(request) for x, request in roster.requests.items()}
        self.centre = self._no_prices()
        self.bound = 0

    def add(self, patient: str, plan: CoursePlan) -> None:
        """Remember a course."""
        self.courses[patient].setdefault(_key(plan), _Course(plan, self._rows(self.roster.requests[patient], plan)))

    def trade(self, budget: Budget) -> None:
        """Raise the bound, and find more courses, until neither goes on or the budget is used up."""
        worth = self._priced_out(self.centre)
        smoothing = SMOOTHING
        while self.bound < self.roster.cost and budget.step():
            programme, rows, _ = self._programme()
            duals = programme.row_prices(range(len(rows)))
            if duals is None:
                return
            known = sum(map(len, self.courses.values()))
            wanted = self._as_prices(rows, duals)
            mixed = {
                n: (smoothing * self.centre[n] + (1 - smoothing) * wanted[n]).round().astype(np.int32) for n in wanted
            }
            value = self._priced_out(mixed)
            found = sum(map(len, self.courses.values())) > known
            if value > worth:
                worth, self.centre = value, mixed
            elif not found and not smoothing:
                return
            # prices that bring neither a course nor a better bound are no use: next the programme's own
            smoothing = SMOOTHING if found else 0.0

    def considerate(self, patient: str, share: float) -> CoursePlan | None:
        """The cheapest course on what is free now if it pays that share of the best prices; its cost is without them."""
        request = self.roster.requests[patient]
        if request.min_hours is not None:
            return self.roster.best(patient)
        prices = {n: (share * p).astype(np.int32) for n, p in self.centre.items()}
        found = solve(_priced(Table(self.relaxed[patient], self.roster.occupancy), prices))
        if found is None:
            return None
        plan = place(*found)
        parts = cost_parts(request, self.free, plan.visits, plan.anchor, plan.home)
        return replace(plan, parts=parts, cost=parts.total)

    def combined(self, seconds: float | None, nodes: int | None) -> Plans | None:
        """The best choice of one known course per patient."""
        for patient, seen in self.roster.seen.items():
            for plan in sorted(seen.values(), key=lambda x: x.cost)[:KEPT]:
                self.add(patient, plan)
        programme, _, columns = self._programme()
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

    # -- pricing ------------------------------------------------------------------------------------------------------

    def _priced_out(self, prices: Prices) -> int:
        """Value of the prices (scaled); keeps the bound and every patient's cheapest course at these prices."""
        total = -sum(int((prices[n].astype(np.int64) * self.capacity[n]).sum()) for n in prices)
        for patient, request in self.relaxed.items():
            price = self.roster.unplaced_price(patient) * SCALE
            table = _priced(Table(request, self.free), prices)
            found = solve(table)
            if found is not None and found[0].cost < price:
                price = found[0].cost
            if found is not None:
                self._keep(patient, place(*found))
            total += price
        self.bound = max(self.bound, ceil(total / SCALE))
        return total

    def _keep(self, patient: str, plan: CoursePlan) -> None:
        request = self.roster.requests[patient]
        if request.min_hours is None:  # else it was found without the hours between starts, and only bounds
            parts = cost_parts(request, self.free, plan.visits, plan.anchor, plan.home)
            self.add(patient, replace(plan, parts=parts, cost=parts.total))

    # -- rows ---------------------------------------------------------------------------------------------------------

    def _capacity(self) -> dict[str, NDArray[np.int64]]:
        """What is free of each resource, per day and slot. Slots off the grid are left out: no session starts there."""
        free = self.free
        left = {"device": (free.bookings_on == 0).astype(np.int64)}
        for need in POOLS:
            used = free.staff_used[need] + (free.staff_used["map"] if need == "tms" else 0)
            left[need] = np.maximum(free.staff_on[need] - used, 0).astype(np.int64)
        return left

    def _no_prices(self) -> Prices:
        return {name: np.zeros(shape, dtype=np.int32) for name, shape in self.shapes.items()}

    def _rows(self, request: CourseRequest, plan: CoursePlan) -> NDArray[np.int64]:
        """Numbers of the (resource, day, slot) that a course takes, on the grid."""
        free, step = self.free, self.free.grid // self.free.unit
        found: list[int] = []
        for booking in bookings_of(request, plan):
            device = free.device_index[booking.device]
            site, end = int(free.device_location[device]), booking.start + booking.duration
            held = free.outward(booking.start, end + free.devices[device].turnover)
            staffed = free.outward(booking.start, end)
            found.extend(self._number("device", device, booking.day, s) for s in _on_grid(held, step))
            for need in ("tms", "map") if booking.need == "map" else (str(booking.need),):
                if need in POOLS:
                    found.extend(self._number(need, site, booking.day, s) for s in _on_grid(staffed, step))
        return np.unique(np.array(found, dtype=np.int64))

    def _number(self, name: str, row: int, day: int, slot: int) -> int:
        _, days, slots = self.shapes[name]
        return self._offset(name) + (row * int(days) + day) * int(slots) + slot

    def _offset(self, name: str) -> int:
        before = list(self.shapes)[: list(self.shapes).index(name)]
        return sum(int(np.prod(self.shapes[x])) for x in before)

    def _as_prices(self, rows: NDArray[np.int64], duals: NDArray[np.float64]) -> Prices:
        flat = np.zeros(sum(int(np.prod(s)) for s in self.shapes.values()), dtype=np.int32)
        flat[rows] = np.maximum(0, np.round(-duals * SCALE)).astype(np.int32)
        prices, at = {}, 0
        for name, shape in self.shapes.items():
            size = int(np.prod(shape))
            prices[name] = flat[at : at + size].reshape(shape)
            at += size
        return prices

    # -- the programme over known courses -----------------------------------------------------------------------------

    def _programme(self) -> "tuple[Programme, NDArray[np.int64], dict[str, list[tuple[int, _Course | None]]]]":
        """One column per course and one for having none; rows of what more patients want than can have it."""
        programme = Programme()
        columns: dict[str, list[tuple[int, _Course | None]]] = {}
        wanted: dict[int, set[str]] = defaultdict(set)
        users: dict[int, list[int]] = defaultdict(list)
        for patient, known in self.courses.items():
            columns[patient] = [(programme.column(self.roster.unplaced_price(patient)), None)]
            for course in known.values():
                column = programme.column(course.plan.cost)
                columns[patient].append((column, course))
                for row in course.rows.tolist():
                    wanted[row].add(patient)
                    users[row].append(column)
        capacity = np.concatenate([self.capacity[name].ravel() for name in self.shapes])
        rows = [row for row in sorted(wanted) if len(wanted[row]) > capacity[row]]
        for row in rows:
            programme.at_most(users[row], int(capacity[row]))
        for mine in columns.values():
            programme.exactly_one([column for column, _ in mine])
        return programme, np.array(rows, dtype=np.int64), columns


def _key(plan: CoursePlan) -> tuple[object, ...]:
    return tuple((v.day, v.device, v.start) for v in plan.visits)


def _on_grid(slots: slice, step: int) -> range:
    return range(-(-slots.start // step) * step, slots.stop, step)


def _scaled(request: CourseRequest) -> CourseRequest:
    """The request with every price in eighths; the hours between starts are dropped, which can only make it cheaper."""
    w = request.weights
    wait, late = tuple(SCALE * x for x in w.wait), tuple(SCALE * x for x in w.late)
    weights = Weights(
        wait=(wait[0], wait[1], wait[2]),
        late=(late[0], late[1], late[2]),
        gap=SCALE * w.gap,
        tod=SCALE * w.tod,
        dev=SCALE * w.dev,
        loc=SCALE * w.loc,
        pref=SCALE * w.pref,
        unplaced=w.unplaced,
    )
    places = {x: SCALE * penalty for x, penalty in request.locations.items()}
    return replace(request, weights=weights, locations=places, min_hours=None)


def _priced(table: Table, prices: Prices) -> Table:
    """The table with the price of what each start takes on top."""
    occupancy = table.occupancy
    for i, c in enumerate(table.classes):
        extra = np.zeros(c.mask.shape, dtype=np.int32)
        sites = occupancy.device_location[c.devices]
        turnover = [occupancy.devices[d].turnover for d in c.devices]
        for offset in c.visit.offsets:
            for row, device in enumerate(c.devices):
                extra[row] += _windows(prices["device"][device], table, offset, c.visit.duration + turnover[row])
                for need in ("tms", "map") if c.visit.need == "map" else (c.visit.need,):
                    extra[row] += _windows(prices[need][sites[row]], table, offset, c.visit.duration)
        table.classes[i] = replace(c, extra=extra if c.extra is None else extra + c.extra)
    return table


def _windows(prices: NDArray[np.int32], table: Table, offset: int, minutes: int) -> Ints:
    """[day, start]: sum of the prices of the slots that a session of so many minutes takes."""
    occupancy, unit = table.occupancy, table.occupancy.unit
    summed = np.zeros((occupancy.days - table.first_day, occupancy.slots + 1), dtype=np.int32)
    np.cumsum(prices[table.first_day :], axis=1, out=summed[:, 1:])
    starts = table.first_start + offset + np.arange(table.count) * occupancy.grid - occupancy.low
    first = np.clip(starts // unit, 0, occupancy.slots)
    last = np.clip(-(-(starts + minutes) // unit), 0, occupancy.slots)
    return summed[:, last] - summed[:, first]
