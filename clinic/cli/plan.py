"""`clinic plan`: whole treatment courses from a `tms-plan/1` instance, without a database."""

import sys
import time
from typing import TYPE_CHECKING, Any

import click

from clinic.cli import jsonio

if TYPE_CHECKING:
    from clinic.scheduling.planner.instance import Instance

START_UP_SECONDS = 0.3
COURSE_SECONDS = 60.0


@click.group()
def plan() -> None:
    """Plan whole courses: one patient, or the answer that there is none and why."""


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
    sys.exit(jsonio.answer_document(file, lambda document: _courses(_online_instance(document), deadline)))


def _online_instance(document: Any) -> "Instance":
    from clinic.scheduling.planner.instance import InstanceError, parse_instance

    try:
        instance = parse_instance(document)
    except InstanceError as error:
        problems = [jsonio.Problem(jsonio.json_path(where), what) for where, what in error.problems]
        raise jsonio.InputRefused(problems) from None
    if instance.task != "online":
        jsonio.refuse("$.task", f"{instance.task} instances are not planned patient by patient; wanted online")
    return instance


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
