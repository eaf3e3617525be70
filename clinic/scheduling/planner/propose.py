"""Several courses to choose from, each the optimum of its own wish."""

from collections.abc import Iterator
from dataclasses import replace

from clinic.scheduling.planner.course import best_course
from clinic.scheduling.planner.explain import explain_no_course, plan_reasons, time_reason
from clinic.scheduling.planner.facts import CoursePlan, CourseRequest, NoCourse, Proposal
from clinic.scheduling.planner.occupancy import Occupancy
from clinic.scheduling.planner.placement import cost_parts

EARLIEST_FACTOR = 50
STEADIEST_FACTOR = 5
OTHER_TIME_MINUTES = 60


def propose(request: CourseRequest, occupancy: Occupancy, count: int = 3) -> list[Proposal] | NoCourse:
    """Up to `count` different courses, the optimum first. One that is best in several ways carries several labels.

    Labels: best, earliest, steadiest (least change of time and device), preferred_place (only the location with the
    least penalty), other_time (at least an hour from the optimum's usual time).
    """
    best = best_course(request, occupancy)
    if best is None:
        return explain_no_course(request, occupancy)
    labels: dict[tuple[object, ...], list[str]] = {_identity(best): ["best"]}
    plans = {_identity(best): best}
    for label, wish in _wishes(request, occupancy, best):
        if label == "other_time" and len(plans) >= count:
            break
        found = best_course(wish, occupancy)
        if found is None:
            continue
        plan = _priced(found, request, occupancy)
        plans.setdefault(_identity(plan), plan)
        labels.setdefault(_identity(plan), []).append(label)
    chosen = list(plans)[: max(1, count)]
    return [
        Proposal(tuple(labels[key]), plans[key], tuple(_reasons(plans[key], best, request, occupancy)))
        for key in chosen
    ]


def _identity(plan: CoursePlan) -> tuple[object, ...]:
    return tuple((v.day, v.device, v.start) for v in plan.visits)


def _wishes(request: CourseRequest, occupancy: Occupancy, best: CoursePlan) -> Iterator[tuple[str, CourseRequest]]:
    w = request.weights
    sooner = replace(w, wait=(w.wait[0] * EARLIEST_FACTOR, w.wait[1] * EARLIEST_FACTOR, w.wait[2] * EARLIEST_FACTOR))
    yield "earliest", replace(request, weights=sooner)
    steady = replace(w, tod=w.tod * STEADIEST_FACTOR, dev=w.dev * STEADIEST_FACTOR, loc=w.loc * STEADIEST_FACTOR)
    yield "steadiest", replace(request, weights=steady)
    least = min(request.locations.values())
    preferred = {x: p for x, p in request.locations.items() if p == least}
    yield "preferred_place", replace(request, locations=preferred)
    before, after = best.anchor - OTHER_TIME_MINUTES, best.anchor + OTHER_TIME_MINUTES
    earlier = tuple(tuple((a, b) for a, b in _clipped(day, 0, before)) for day in request.windows)
    later = tuple(tuple((a, b) for a, b in _clipped(day, after, 1440)) for day in request.windows)
    options = [
        plan
        for windows in (earlier, later)
        if (plan := best_course(replace(request, windows=windows), occupancy)) is not None
    ]
    if options:
        cheapest = min(options, key=lambda plan: plan.cost)
        windows = earlier if cheapest.anchor < best.anchor else later
        yield "other_time", replace(request, windows=windows)


def _clipped(day: tuple[tuple[int, int], ...], low: int, high: int) -> list[tuple[int, int]]:
    return [(max(a, low), min(b, high)) for a, b in day if max(a, low) < min(b, high)]


def _priced(plan: CoursePlan, request: CourseRequest, occupancy: Occupancy) -> CoursePlan:
    """The plan with the cost it has by the request's own weights, so that proposals compare."""
    parts = cost_parts(request, occupancy, plan.visits, plan.anchor, plan.home)
    plan = replace(plan, parts=parts, cost=parts.total)
    return replace(plan, why=plan_reasons(plan, request, occupancy))


def _reasons(plan: CoursePlan, best: CoursePlan, request: CourseRequest, occupancy: Occupancy) -> Iterator[str]:
    """How a plan differs from the best one, in plain words."""
    if plan is best:
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
