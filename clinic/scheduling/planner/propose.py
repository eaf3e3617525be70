"""Several courses to choose from, each the optimum of its own wish."""

from collections.abc import Callable, Iterator
from dataclasses import replace

from clinic.scheduling.planner.course import explained
from clinic.scheduling.planner.explain import explain_no_course
from clinic.scheduling.planner.facts import CoursePlan, CourseRequest, NoCourse, Proposal, StartOption
from clinic.scheduling.planner.occupancy import Occupancy
from clinic.scheduling.planner.placement import cost_parts, place
from clinic.scheduling.planner.reasons import time_reason
from clinic.scheduling.planner.search import best_by_start, solve
from clinic.scheduling.planner.table import INF, Table, waiting_costs

STEADIEST_FACTOR = 5
OTHER_TIME_MINUTES = 60
LATER_BY_DAYS = (7, 14, 21, 1)


def propose(request: CourseRequest, occupancy: Occupancy, count: int = 3) -> list[Proposal] | NoCourse:
    """Up to `count` different courses, the optimum first. One that is best in several ways carries several labels.

    Labels: best, earliest (the cheapest on the first day any can start), steadiest (least change of time and device),
    preferred_place (only locations with the least penalty), other_time (at least an hour from the optimum's usual time),
    later_start (the cheapest that starts a week later, or two, or three, or else a day; where the others are too few).
    """
    table = Table(request, occupancy)
    best = _planned(table)
    if best is None:
        return explain_no_course(request, occupancy)
    labels: dict[tuple[object, ...], list[str]] = {_identity(best): ["best"]}
    plans = {_identity(best): best}
    for label, find in WISHES.items():
        if label == "other_time" and len(plans) >= count:
            break
        plan = find(table, best)
        if plan is not None:
            plans.setdefault(_identity(plan), plan)
            labels.setdefault(_identity(plan), []).append(label)
    for days in LATER_BY_DAYS:
        later = None
        if len(plans) < count:
            later = _planned(table, best.visits[0].day + days - table.first_day)
        if later is not None and _identity(later) not in plans:
            later = replace(later, earliest_day=best.earliest_day)
            plans[_identity(later)], labels[_identity(later)] = later, ["later_start"]
    chosen = list(plans)[: max(1, count)]
    found = {key: explained(plans[key], request, occupancy) for key in chosen}
    return [
        Proposal(tuple(labels[key]), found[key], tuple(_reasons(found[key], best, request, occupancy)))
        for key in chosen
    ]


def start_curve(request: CourseRequest, occupancy: Occupancy) -> tuple[StartOption, ...]:
    """For each day on which a course can start: what the cheapest one costs. Start date against inconvenience."""
    table = Table(request, occupancy)
    costs, waits = best_by_start(table), waiting_costs(table)
    return tuple(
        StartOption(
            table.first_day + day,
            occupancy.date_of(table.first_day + day),
            int(costs[day]),
            int(costs[day] - waits[day]),
        )
        for day in range(table.days)
        if costs[day] < INF
    )


def _identity(plan: CoursePlan) -> tuple[object, ...]:
    return tuple((v.day, v.device, v.start) for v in plan.visits)


def _planned(table: Table, begin: int = 0, end: int | None = None) -> CoursePlan | None:
    found = solve(table, begin, end)
    return None if found is None else place(*found)


def _earliest(table: Table, best: CoursePlan) -> CoursePlan | None:
    if best.visits[0].day == best.earliest_day:
        return best
    day = best.earliest_day - table.first_day
    return _planned(table, day, day + 1)


def _steadiest(table: Table, best: CoursePlan) -> CoursePlan | None:
    """Change of time, device and place at five times its price, and never a start later than that is worth."""
    w = table.request.weights
    changes = best.parts.tod + best.parts.dev + best.parts.loc
    if changes == sum(table.request.locations[v.location] for v in best.visits):
        return best  # nothing changes: no course can be steadier
    steady = replace(w, tod=w.tod * STEADIEST_FACTOR, dev=w.dev * STEADIEST_FACTOR, loc=w.loc * STEADIEST_FACTOR)
    found = _planned(table.priced(steady))
    return None if found is None else _priced(found, best, table)


def _preferred_place(table: Table, best: CoursePlan) -> CoursePlan | None:
    least = min(table.request.locations.values())
    preferred = frozenset(x for x, penalty in table.request.locations.items() if penalty == least)
    if preferred.issuperset(best.locations):
        return best
    found = _planned(table.at(preferred))
    return None if found is None else _priced(found, best, table)


def _other_time(table: Table, best: CoursePlan) -> CoursePlan | None:
    found = _planned(table.away_from(best.anchor, OTHER_TIME_MINUTES))
    return None if found is None else _priced(found, best, table)


WISHES: dict[str, Callable[[Table, CoursePlan], CoursePlan | None]] = {
    "earliest": _earliest,
    "steadiest": _steadiest,
    "preferred_place": _preferred_place,
    "other_time": _other_time,
}


def _priced(plan: CoursePlan, best: CoursePlan, table: Table) -> CoursePlan:
    """The plan with the cost it has by the request's own weights, so that proposals compare."""
    parts = cost_parts(table.request, table.occupancy, plan.visits, plan.anchor, plan.home)
    return replace(plan, parts=parts, cost=parts.total, earliest_day=best.earliest_day)


def _reasons(plan: CoursePlan, best: CoursePlan, request: CourseRequest, occupancy: Occupancy) -> Iterator[str]:
    """How a plan differs from the best one, in plain words."""
    if _identity(plan) == _identity(best):
        yield from plan.why
        return
    a, b = plan.visits[0].day, best.visits[0].day
    weekdays = occupancy.weekdays_between(min(a, b), max(a, b))
    if weekdays:
        yield f"starts {weekdays} weekday{'s' if weekdays > 1 else ''} {'sooner' if a < b else 'later'}"
    yield time_reason(plan, request)
    if set(plan.locations) != set(best.locations):
        yield "at " + " and ".join(plan.locations)
    ends = plan.visits[-1].day - best.visits[-1].day
    if ends:
        yield f"ends {abs(ends)} day{'s' if abs(ends) > 1 else ''} {'sooner' if ends < 0 else 'later'}"
