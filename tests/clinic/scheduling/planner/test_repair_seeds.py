"""Repair on generated clinics with 220 to 300 running courses, judged by the independent referee."""

import json

import pytest

from clinic.scheduling.planner import preview, repair
from clinic.scheduling.planner.instance import parse_instance
from clinic.scheduling.planner.running import repair_as_json, repair_question
from tests.clinic.scheduling.planner.builders import DATA, tool

KNOWN = json.loads((DATA / "refs_open.json").read_text())["repair"]
NODES = 3
CASES = [(seed, event) for seed in range(301, 311) for event in ("device", "staff")]


def judged(raw, nodes):
    instance = parse_instance(raw)
    question = repair_question(instance)
    asked = question.courses, question.occupancy
    quick = preview(*asked, now=instance.now, notice=0, weights=question.weights)
    plan = repair(*asked, now=instance.now, notice=0, weights=question.weights, nodes=nodes)
    for found in (quick, plan):
        verdict = tool("checker").check(raw, repair_as_json(found, instance))
        assert (verdict["errors"], verdict["cost"]) == ([], found.cost)
    assert plan.bound <= plan.cost <= quick.cost
    return plan


@pytest.mark.parametrize("event", ["device", "staff"])
def test_the_referee_accepts_the_plan_of_a_small_clinic(event):
    raw = tool("instances").make("repair", seed=305 if event == "device" else 306, event=event)
    some = list(raw["old_plan"])[::5]
    judged({**raw, "old_plan": {name: raw["old_plan"][name] for name in some}}, nodes=1)


@pytest.mark.soak
@pytest.mark.parametrize(("seed", "event"), CASES)
def test_the_plan_is_as_good_as_the_known_one(seed, event):
    plan = judged(tool("instances").make("repair", seed=seed, event=event), NODES)
    known = KNOWN.get(f"repair seed={seed} event={event}")
    if known:
        assert plan.cost <= 1.02 * min(known["programme_0min"], known["programme_30min"])
        assert not plan.dropped
