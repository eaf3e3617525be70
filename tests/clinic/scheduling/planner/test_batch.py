"""Waiting lists planned together, judged by the independent referee."""

import json

import pytest

from clinic.scheduling.planner import breaches, plan_batch
from clinic.scheduling.planner.instance import course_as_json, from_instance, parse_instance
from tests.clinic.scheduling.planner.builders import (
    DATA,
    make_device,
    make_occupancy,
    make_person,
    make_request,
    tool,
)

KNOWN = json.loads((DATA / "refs_open.json").read_text())["batch"]
AT_NINE = (((540, 570),),) * 7
CASES = [
    pytest.param(seed, size, marks=() if (seed, size) == (201, 10) else pytest.mark.soak, id=f"{seed}-{size}")
    for seed in range(201, 211)
    for size in (10, 50)
] + [pytest.param(207, 100, marks=pytest.mark.soak), pytest.param(208, 200, marks=pytest.mark.soak)]


@pytest.mark.parametrize(("seed", "size"), CASES)
def test_the_referee_accepts_the_plan_at_its_cost(seed, size):
    raw = tool("instances").make("batch", seed=seed, patients=size)
    question = from_instance(parse_instance(raw))
    plan = plan_batch(question.requests, question.occupancy, rounds=10)
    verdict = tool("checker").check(raw, {"patients": {x: p and course_as_json(p) for x, p in plan.plans.items()}})
    assert (verdict["errors"], verdict["cost"], verdict["unplaced"]) == ([], plan.cost, len(plan.unplaced))
    assert plan.bound <= plan.cost == plan.parts.total + plan.unplaced_cost
    known = KNOWN.get(f"batch seed={seed} patients={size}")
    if known:
        assert plan.cost <= 1.02 * known["greedy"] <= known["by_hand"]


def calendar():
    return make_occupancy(devices=[make_device()], staff=[make_person()])


def test_the_same_list_and_seed_have_the_same_answer():
    question = from_instance(parse_instance(tool("instances").make("batch", seed=203, patients=4)))
    first, second = (plan_batch(question.requests, question.occupancy, rounds=6, seed=3) for _ in range(2))
    assert first == second


def test_a_patient_without_a_course_has_the_rule_that_binds():
    requests = {x: make_request(1, windows=AT_NINE, latest_start=0) for x in "ab"}
    plan = plan_batch(requests, calendar(), rounds=5)
    assert len(plan.unplaced) == 1
    assert plan.refusals[plan.unplaced[0]].rule == "device_is_free"
    assert (plan.cost, plan.unplaced_cost) == (6000, 6000)


def test_who_blocks_more_urgent_patients_gives_way():
    picky = make_request(1, windows=AT_NINE, latest_start=0)
    plan = plan_batch(
        {"any time": make_request(1, priority=2, preferred=(540, 570)), "picky": picky}, calendar(), rounds=9
    )
    assert plan.unplaced == ()


def test_an_empty_list_is_planned():
    plan = plan_batch({}, calendar(), rounds=1)
    assert (plan.cost, plan.bound, plan.gap) == (0, 0, 0.0)


def test_hours_between_starts_are_kept_with_and_without_prices():
    occupancy = make_occupancy(devices=[make_device(), make_device("north-2")], staff=[make_person()])
    requests = {x: make_request(4, min_hours=20, windows=(((480, 600),),) * 7, latest_start=3) for x in "abcdef"}
    plan = plan_batch(requests, occupancy, rounds=8)
    assert plan.bound <= plan.cost
    for name, course in plan.plans.items():
        if course is not None:
            places = [(v.day, v.device, v.start) for v in course.visits]
            assert breaches(requests[name], occupancy, places) == []
