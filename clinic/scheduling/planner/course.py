"""One patient, one course: the exact optimum, or the proof that there is none."""

from dataclasses import replace

from clinic.scheduling.planner.explain import explain_no_course
from clinic.scheduling.planner.facts import CoursePlan, CourseRequest, NoCourse
from clinic.scheduling.planner.occupancy import Occupancy
from clinic.scheduling.planner.placement import place
from clinic.scheduling.planner.reasons import named_gaps, plan_reasons
from clinic.scheduling.planner.search import earliest_day, solve
from clinic.scheduling.planner.table import Table


def plan_course(request: CourseRequest, occupancy: Occupancy) -> CoursePlan | NoCourse:
    """The cheapest course of the request on what is free, or why there is none. Deterministic; changes nothing."""
    plan = best_course(request, occupancy)
    return plan if plan is not None else explain_no_course(request, occupancy)


def best_course(request: CourseRequest, occupancy: Occupancy) -> CoursePlan | None:
    """As plan_course(), without the explanation of a refusal."""
    table = Table(request, occupancy)
    found = solve(table)
    if found is None:
        return None
    solution, earliest = found
    return explained(place(solution, earliest), request, occupancy)


def explained(plan: CoursePlan, request: CourseRequest, occupancy: Occupancy) -> CoursePlan:
    """The plan with its reasons in words and its long gaps by name."""
    gaps = named_gaps(plan.visits, request, occupancy, plan.home)
    return replace(plan, why=plan_reasons(plan, request, occupancy), gaps=gaps)


def earliest_start(request: CourseRequest, occupancy: Occupancy) -> int | None:
    """First day on which any course of the request can start; None if none exists. Proven, not searched."""
    table = Table(request, occupancy)
    day = earliest_day(table)
    return None if day is None else day + table.first_day
