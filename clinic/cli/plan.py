"""`clinic plan`: whole treatment courses from a `tms-plan/1` instance, without a database."""

import sys
import time
from typing import TYPE_CHECKING, Any

import click

from clinic.cli import jsonio

if TYPE_CHECKING:
    from clinic.scheduling.planner.instance import Instance, InstanceError

START_UP_SECONDS = 0.3
COURSE_SECONDS = 60.0
BATCH_SECONDS = 20.0
SMALL_BATCH, SMALL_BATCH_SECONDS = 10, 14.0
REPAIR_SECONDS = 10.0
LAST_SHARE = 0.06  # of the time, kept for reasons and for writing the answer


@click.group()
def plan() -> None:
    """Plan whole courses: one patient, a waiting list, or running courses after an outage."""


@plan.command()
@click.argument("file", required=False)
@click.option(
    "--seconds",
    type=click.FloatRange(min=0, min_open=True),
    default=COURSE_SECONDS,
    show_default=True,
    help="Wall time for the whole command.",
)
def course(file: str | None, seconds: float) -> None:
    """Read an online instance from FILE (- or none: standard input) and print the optimal course of each patient.

    Each patient is planned alone against the bookings. One without any feasible course is null, with the binding
    rule beside it. Exit code 0: answered; 2: refused, each problem on its own line of standard error.
    """
    deadline = time.monotonic() + seconds - START_UP_SECONDS
    sys.exit(jsonio.answer_document(file, lambda document: _courses(_instance(document, "online"), deadline)))


@plan.command()
@click.argument("file", required=False)
@click.option(
    "--seconds",
    type=click.FloatRange(min=0, min_open=True),
    help=f"Wall time for the whole command.  [default: {BATCH_SECONDS:g}, up to {SMALL_BATCH} patients {SMALL_BATCH_SECONDS:g}]",
)
def batch(file: str | None, seconds: float | None) -> None:
    """Read a batch instance from FILE (- or none: standard input) and plan the whole waiting list together.

    A patient without a course is null, with the rule that binds beside the others' courses. The bound is proven: no
    plan of this list costs less. Exit code 0: answered; 2: refused, each problem on its own line of standard error.
    """
    begin = time.monotonic() - START_UP_SECONDS

    def answer(document: Any) -> dict[str, Any]:
        instance = _instance(document, "batch")
        few = len(instance.patients) <= SMALL_BATCH
        return _batch(instance, begin, seconds or (SMALL_BATCH_SECONDS if few else BATCH_SECONDS))

    sys.exit(jsonio.answer_document(file, answer))


@plan.command()
@click.argument("file", required=False)
@click.option(
    "--seconds",
    type=click.FloatRange(min=0, min_open=True),
    default=REPAIR_SECONDS,
    show_default=True,
    help="Wall time for the whole command.",
)
def repair(file: str | None, seconds: float) -> None:
    """Read a repair instance from FILE (- or none: standard input) and plan its courses anew after the event.

    The answer says who moves, by how many minutes and to where, what found no place, which gap rules would break (a
    clinician's approval each), and a proven bound. Exit code 0: answered; 2: refused, each problem on its own line of
    standard error.
    """
    begin = time.monotonic() - START_UP_SECONDS
    sys.exit(jsonio.answer_document(file, lambda document: _repair(_instance(document, "repair"), begin, seconds)))


def _instance(document: Any, task: str) -> "Instance":
    from clinic.scheduling.planner.instance import InstanceError, parse_instance

    try:
        instance = parse_instance(document)
    except InstanceError as error:
        raise _refused(error) from None
    if instance.task != task:
        jsonio.refuse("$.task", f"this is a {instance.task} instance; wanted {task}")
    return instance


def _refused(error: "InstanceError") -> jsonio.InputRefused:
    return jsonio.InputRefused([jsonio.Problem(jsonio.json_path(where), what) for where, what in error.problems])


def _left(begin: float, seconds: float) -> float:
    """Seconds for planning, when the answer is to be out in time."""
    return max(0.0, begin + seconds * (1 - LAST_SHARE) - time.monotonic())


def _batch(instance: "Instance", begin: float, seconds: float) -> dict[str, Any]:
    from clinic.scheduling.planner.batch import plan_batch
    from clinic.scheduling.planner.instance import FORMAT, course_as_json, from_instance, refusal_as_json

    question = from_instance(instance)
    plan = plan_batch(question.requests, question.occupancy, seconds=_left(begin, seconds))
    return {
        "format": FORMAT,
        "name": instance.name,
        "task": instance.task,
        "cost": plan.cost,
        "parts": {**plan.parts.as_dict(), "unplaced": plan.unplaced_cost},
        "bound": plan.bound,
        "unplaced": len(plan.unplaced),
        "patients": {name: None if c is None else course_as_json(c) for name, c in plan.plans.items()},
        "binding": {name: refusal_as_json(refusal) for name, refusal in plan.refusals.items()},
    }


def _repair(instance: "Instance", begin: float, seconds: float) -> dict[str, Any]:
    from clinic.scheduling.planner.instance import FORMAT, InstanceError
    from clinic.scheduling.planner.repair import repair as plan_repair
    from clinic.scheduling.planner.running import repair_as_json, repair_question

    try:
        question = repair_question(instance)
    except InstanceError as error:
        raise _refused(error) from None
    plan = plan_repair(
        question.courses,
        question.occupancy,
        now=instance.now,
        now_minute=instance.now_minute,
        notice=instance.notice,
        weights=question.weights,
        seconds=_left(begin, seconds),
    )
    return {"format": FORMAT, "name": instance.name, "task": instance.task, **repair_as_json(plan, instance)}


def _courses(instance: "Instance", deadline: float) -> dict[str, Any]:
    """The plan as JSON. What the deadline leaves unsearched says so and is never called infeasible."""
    from clinic.scheduling.planner.course import best_course
    from clinic.scheduling.planner.explain import explain_no_course
    from clinic.scheduling.planner.facts import CostParts
    from clinic.scheduling.planner.instance import (
        FORMAT,
        course_as_json,
        from_instance,
        reasons_as_json,
        refusal_as_json,
    )

    question = from_instance(instance)
    patients: dict[str, Any] = {}
    binding: dict[str, Any] = {}
    for name, request in question.requests.items():
        found = None
        if time.monotonic() > deadline:
            binding[name] = {"rule": "time_limit", "text": "not searched within the time given"}
        else:
            found = best_course(request, question.occupancy)
        patients[name] = None if found is None else course_as_json(found)
        if found is not None and time.monotonic() < deadline:
            patients[name]["reasons"] = reasons_as_json(question, request, found)
    for name, request in question.requests.items():
        if patients[name] is None and name not in binding:
            relax = time.monotonic() < deadline
            binding[name] = refusal_as_json(explain_no_course(request, question.occupancy, relax=relax))
    parts = dict.fromkeys((*CostParts().as_dict(), "unplaced"), 0)
    for name, request in question.requests.items():
        if patients[name] is None:
            parts["unplaced"] += request.weights.unplaced[request.priority]
        else:
            for part, value in patients[name]["parts"].items():
                parts[part] += value
    return {
        "format": FORMAT,
        "name": instance.name,
        "task": instance.task,
        "cost": sum(parts.values()),
        "parts": parts,
        "unplaced": len(binding),
        "patients": patients,
        "binding": binding,
    }
