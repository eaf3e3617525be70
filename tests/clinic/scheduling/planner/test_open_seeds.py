"""The planner against known optima of generated instances, judged by the independent referee."""

import json
import os
import random
import re

import pytest

from clinic.scheduling.planner.course import best_course, earliest_start
from clinic.scheduling.planner.instance import course_as_json, from_instance, parse_instance
from tests.clinic.scheduling.planner import plain_model
from tests.clinic.scheduling.planner.builders import DATA, tool

KNOWN = json.loads((DATA / "refs_open.json").read_text())["online"]
QUICK = ("seed=103 ", "seed=105 ", "seed=109 ", "seed=110 ", "seed=113 ", "seed=117 ")
CASES = [
    pytest.param(name, marks=() if any(q in name for q in QUICK) else pytest.mark.soak, id=name.replace(" ", "-"))
    for name in KNOWN
]


def make_instance(name):
    seed, grid, util = re.match(r"online seed=(\d+) grid=(\d+) util=([\d.]+)", name).groups()
    return tool("instances").make("online", seed=int(seed), grid=int(grid), util=float(util))


@pytest.mark.parametrize("name", CASES)
def test_every_patient_gets_the_optimum_or_a_proof(name):
    raw = make_instance(name)
    question = from_instance(parse_instance(raw))
    plans = {pid: best_course(request, question.occupancy) for pid, request in question.requests.items()}
    found = {pid: plan and {"optimum": plan.cost, "earliest_day": plan.earliest_day} for pid, plan in plans.items()}
    assert found == KNOWN[name]["patients"]
    verdict = tool("checker").check(raw, {"patients": {pid: p and course_as_json(p) for pid, p in plans.items()}})
    assert verdict["errors"] == []
    assert verdict["per_patient"] == {pid: plan and plan.cost for pid, plan in plans.items()}
    starts = {pid: earliest_start(request, question.occupancy) for pid, request in question.requests.items()}
    assert starts == {pid: known and known["earliest_day"] for pid, known in KNOWN[name]["patients"].items()}


@pytest.mark.soak
@pytest.mark.parametrize("nth", range(12))
def test_seeds_drawn_anew_equal_a_plain_second_planner(nth):
    rng = random.Random(f"{os.environ.get('SEED', '0')}/{nth}")
    seed, grid, util = rng.randrange(1000, 10**6), rng.choice((5, 10, 15)), rng.choice((0.85, 0.9, 0.95))
    raw = tool("instances").make("online", seed=seed, grid=grid, util=util)
    question, calendar = from_instance(parse_instance(raw)), plain_model.Calendar(raw)
    for patient in raw["patients"]:
        plan = best_course(question.requests[patient["id"]], question.occupancy)
        assert (plan and (plan.cost, plan.earliest_day)) == plain_model.solve(raw, patient, calendar), (
            seed,
            grid,
            util,
        )


def test_the_plain_planner_finds_the_known_optima():
    name = CASES[0].values[0]
    raw, known = make_instance(name), KNOWN[name]["patients"]
    calendar = plain_model.Calendar(raw)
    for patient in raw["patients"][:3]:
        wanted = known[patient["id"]]
        assert plain_model.solve(raw, patient, calendar) == (wanted and (wanted["optimum"], wanted["earliest_day"]))
