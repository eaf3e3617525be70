"""From a solution of the search to visits with devices and starts, and the objective term by term."""

import numpy as np

from clinic.scheduling.planner.facts import CostParts, CoursePlan, CourseRequest, PlannedVisit
from clinic.scheduling.planner.occupancy import Occupancy
from clinic.scheduling.planner.search import Solution
from clinic.scheduling.planner.table import StartClass, Table, waiting


def place(solution: Solution, earliest: int) -> CoursePlan:
    """Put a device and a start to every day of the solution. `earliest`: the proven first day, as a table index."""
    return placed_for(solution.table.request, solution, earliest)


def placed_for(asked: CourseRequest, solution: Solution, earliest: int) -> CoursePlan:
    """As place(), at what it costs in the request that was asked."""
    table = solution.table
    request, occupancy = table.request, table.occupancy
    starts: list[int] = [0] * len(solution.days)
    devices: list[int] = [0] * len(solution.days)
    for c, starts_class in enumerate(table.classes):
        numbers = [k for k, of in enumerate(table.class_of) if of == c]
        for k, (device, slot) in zip(numbers, _choose(table, starts_class, solution, numbers), strict=True):
            devices[k], starts[k] = device, table.first_start + slot * occupancy.grid
    visits = []
    for k, (spec, day, device, start) in enumerate(zip(request.visits, solution.days, devices, starts, strict=True)):
        facts = occupancy.devices[device]
        visits.append(
            PlannedVisit(
                number=request.first_number + k,
                kind=spec.kind,
                day=table.first_day + day,
                date=occupancy.date_of(table.first_day + day),
                device=facts.id,
                location=facts.location,
                start=start,
                end=start + spec.span,
            )
        )
    anchor = table.first_start + solution.anchor * occupancy.grid
    home = occupancy.devices[table.homes[solution.home]].id
    parts = cost_parts(asked, occupancy, tuple(visits), anchor, home)
    return CoursePlan(tuple(visits), anchor, home, parts.total, parts, table.first_day + earliest)


def _choose(table: Table, c: StartClass, solution: Solution, numbers: list[int]) -> list[tuple[int, int]]:
    """Cheapest (device, start slot) of each visit; of equals the home, then the nearer, then the earlier start."""
    occupancy, weights = table.occupancy, table.request.weights
    home = table.homes[solution.home]
    days = np.array([solution.days[k] for k in numbers])
    mask = c.mask[:, days]
    far = np.abs(np.arange(table.count) - solution.anchor) * occupancy.grid
    price = np.zeros(mask.shape, dtype=np.int64) + c.penalty[:, None, None]
    here = occupancy.device_location[c.devices] == occupancy.device_location[home]
    if c.visit.consistent:
        apart = np.where(c.devices == home, 0, np.where(here, weights.dev, weights.loc))
        price += apart[:, None, None] + far * weights.tod
    if c.extra is not None:
        price += np.broadcast_to(c.extra, mask.shape) if c.extra.ndim == 1 else c.extra[:, days]
    rank = np.argsort(np.argsort(np.where(c.devices == home, 0, np.where(here, 1, 2)), kind="stable"))
    order = (rank[:, None] if c.visit.consistent else np.where(here, 0, 1)[:, None]) * 2000 + far
    order = (order * table.count + np.arange(table.count)) * len(c.devices) + rank[:, None]
    allowed = mask if solution.mode.half is None else mask & (far <= solution.mode.half)
    key = np.where(allowed, price * (1 << 40) + order[:, None, :], np.iinfo(np.int64).max)
    best = key.transpose(1, 0, 2).reshape(len(days), -1).argmin(axis=1)
    return [(int(c.devices[i // table.count]), int(i % table.count)) for i in best]


def cost_parts(
    request: CourseRequest, occupancy: Occupancy, visits: tuple[PlannedVisit, ...], anchor: int, home: str
) -> CostParts:
    """The objective of a placed course, term by term."""
    by_visit = visit_costs(request, occupancy, visits, anchor, home)
    return CostParts(*(sum(terms) for terms in zip(*(part.terms for part in by_visit), strict=True)))


def visit_costs(
    request: CourseRequest, occupancy: Occupancy, visits: tuple[PlannedVisit, ...], anchor: int, home: str
) -> tuple[CostParts, ...]:
    """The objective visit by visit; waiting lies on the first, a gap on the visit after it."""
    weights, between = request.weights, occupancy.weekdays_between
    home_location = occupancy.device(home).location
    before = request.previous_day
    found = []
    for k, (spec, visit) in enumerate(zip(request.visits, visits, strict=True)):
        wait = late = gap = tod = dev = pref = 0
        if k == 0 and not request.continued:
            weekdays = between(request.release, visit.day)
            wait = weights.wait[request.priority] * weekdays
            late = waiting(request, weekdays) - wait
        if before is not None and spec.ideal is not None:
            weekdays = between(before, visit.day)
            gap = weights.gap * max(0, spec.ideal[0] - weekdays, weekdays - spec.ideal[1])
        before = visit.day
        loc = request.locations[visit.location]
        if spec.consistent:
            tod = weights.tod * abs(visit.start - anchor)
            loc += weights.loc if visit.location != home_location else 0
            dev = weights.dev if visit.location == home_location and visit.device != home else 0
            outside = request.preferred and not request.preferred[0] <= visit.start < request.preferred[1]
            pref = weights.pref if outside else 0
        found.append(CostParts(wait, late, gap, tod, dev, loc, pref))
    return tuple(found)
