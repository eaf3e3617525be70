"""Repair in the JSON format: running courses out of `old_plan`, and the plan back into the format's shape."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from clinic.scheduling.planner.damage import sessions_of
from clinic.scheduling.planner.facts import CourseRequest, PlannedVisit
from clinic.scheduling.planner.instance import CourseIn, Instance, InstanceError, WeightsIn, Where, from_instance
from clinic.scheduling.planner.occupancy import Occupancy
from clinic.scheduling.planner.repair_facts import GapBreach, RepairPlan, RepairWeights, RunningCourse, VisitMove
from clinic.scheduling.planner.rules import why_not

PLACE_CHANGES = frozenset({"location_is_open", "device_is_up", "staff_are_on_shift", "patient_is_here"})


@dataclass(frozen=True, slots=True)
class RepairQuestion:
    """A repair instance as the planner sees it: what is booked, the running courses' own visits included."""

    occupancy: Occupancy
    courses: tuple[RunningCourse, ...]
    weights: RepairWeights


def repair_question(instance: Instance) -> RepairQuestion:
    """Occupancy and running courses of a repair instance. Raises InstanceError with everything wrong in `old_plan`."""
    question = from_instance(instance)
    if instance.old_plan is None:
        raise InstanceError([(("old_plan",), "missing")])
    problems = list(_bad_plan(instance, question.requests, question.occupancy))
    if problems:
        raise InstanceError(problems)
    courses = tuple(
        RunningCourse(
            name, question.requests[name], _placed(question.requests[name], course, question.occupancy), course.missed
        )
        for name, course in instance.old_plan.items()
    )
    for running in courses:
        for k, (spec, visit) in enumerate(zip(running.request.visits, running.placed, strict=True)):
            if k not in running.missed:
                for session in sessions_of(spec, visit.day, visit.device, visit.start):
                    question.occupancy.book(session)
    return RepairQuestion(question.occupancy, courses, repair_weights(instance.weights))


def repair_weights(w: WeightsIn) -> RepairWeights:
    """The prices of a change."""
    return RepairWeights(w.r_touch, w.r_min, w.r_dev, w.r_loc, w.r_day, w.r_drop, w.r_gap)


def _placed(request: CourseRequest, course: CourseIn, occupancy: Occupancy) -> tuple[PlannedVisit, ...]:
    return tuple(
        PlannedVisit(
            request.first_number + k,
            spec.kind,
            day,
            occupancy.date_of(day),
            device,
            occupancy.device(device).location,
            start,
            start + spec.span,
        )
        for k, (spec, (day, device, start)) in enumerate(zip(request.visits, course.visits, strict=True))
    )


def _bad_plan(
    instance: Instance, requests: dict[str, CourseRequest], occupancy: Occupancy
) -> Iterator[tuple[Where, str]]:
    first_visits = {p.id: p.first_visit for p in instance.patients}
    for name, course in (instance.old_plan or {}).items():
        where: Where = ("old_plan", name)
        if name not in requests:
            yield where, "unknown patient"
        elif first_visits[name] is None:
            yield where, "the patient's first_visit is missing"
        elif course.home not in occupancy.device_index:
            yield (*where, "home"), f"unknown device {course.home}"
        elif len(course.visits) != len(requests[name].visits):
            yield (*where, "visits"), f"{len(course.visits)} visits, the protocol has {len(requests[name].visits)} left"
        else:
            yield from _bad_visits(instance, course, requests[name], occupancy, where)


def _bad_visits(
    instance: Instance, course: CourseIn, request: CourseRequest, occupancy: Occupancy, where: Where
) -> Iterator[tuple[Where, str]]:
    days: set[int] = set()
    for k, (day, device, start) in enumerate(course.visits):
        here: Where = (*where, "visits", k)
        past = day < instance.now or (day == instance.now and start < instance.now_minute)
        if device not in occupancy.device_index:
            yield (*here, 1), f"unknown device {device}"
        elif not 0 <= day < occupancy.days:
            yield (*here, 0), f"day {day} outside the calendar"
        elif start % occupancy.grid:
            yield (*here, 2), f"start {start} off the grid"
        elif day in days:
            yield (*here, 0), "two visits on one day"
        elif not past:
            rule = why_not(request, occupancy, request.visits[k], (day, device, start))
            if rule is not None and rule not in PLACE_CHANGES and not rule.endswith("_free"):
                yield here, f"not possible before the event either: {rule.replace('_', ' ')}"
        days.add(day)
    for k in sorted(course.missed):
        if not 0 <= k < len(course.visits) or course.visits[k][0] > instance.now:
            yield (*where, "missed"), f"{k} is no past visit"


def repair_as_json(plan: RepairPlan, instance: Instance) -> dict[str, Any]:
    """The plan in the format's own shape, with what moves, what breaks a rule and the bound."""
    assert instance.old_plan is not None
    patients = {}
    for name, course in instance.old_plan.items():
        visits: list[Any] = [list(v) for v in course.visits]
        if name in plan.placed:
            visits = [None if v is None else [v.day, v.device, v.start] for v in plan.placed[name]]
        patients[name] = {"anchor": course.anchor, "home": course.home, "visits": visits}
    return {
        "cost": plan.cost,
        "parts": plan.parts.as_dict(),
        "bound": plan.bound,
        "stage": plan.stage,
        "shift": plan.shift,
        "unplaced": len(plan.dropped),
        "patients": patients,
        "moves": [move_as_json(m) for m in plan.moves],
        "breaches": [breach_as_json(b) for b in plan.breaches],
        "unresolved": list(plan.unresolved),
    }


def move_as_json(move: VisitMove) -> dict[str, Any]:
    """One visit that changes."""
    return {
        "patient": move.course,
        "visit": move.old.number,
        "position": move.position,
        "kind": move.kind,
        "from": [move.old.day, move.old.device, move.old.start],
        "to": None if move.new is None else [move.new.day, move.new.device, move.new.start],
        "minutes": move.minutes,
        "days": move.days,
        "needs_yes": move.earlier,
        "because": move.because,
        "cost": move.cost,
        "text": move.text,
    }


def breach_as_json(breach: GapBreach) -> dict[str, Any]:
    """One gap outside its rule."""
    return {
        "patient": breach.course,
        "after": None if breach.before is None else breach.before.number,
        "visit": breach.after.number,
        "days": breach.days,
        "allowed": list(breach.allowed),
        "cost": breach.cost,
        "needs_approval": breach.needs_approval,
        "is_new": breach.is_new,
        "text": breach.text,
    }
