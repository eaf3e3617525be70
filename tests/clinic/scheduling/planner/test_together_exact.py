"""Batch and repair against an exhaustive model that shares no code with them, on tiny random calendars."""

import itertools
import random

import pytest

from clinic.scheduling.planner import plan_batch, repair
from clinic.scheduling.planner.instance import course_as_json, from_instance, parse_instance
from clinic.scheduling.planner.running import repair_as_json, repair_question
from tests.clinic.scheduling.planner.builders import tool

FEW, MANY = 6, 60
SEEDS = [pytest.param(seed, marks=() if seed < FEW else pytest.mark.soak) for seed in range(MANY)]
OPEN = [[[480, 570]]] * 5 + [[], []]


def tiny(rng, task):
    visit = {"cls": "treat", "dur": 25, "cap": "std", "need": "tms", "offsets": [0], "consist": True}
    gap, ideal = rng.choice([([1, 2], [1, 1]), ([1, 3], [1, 1])])
    visits = [{**visit, "gap": gap if k else None, "ideal": ideal if k else None} for k in range(rng.choice([2, 3]))]
    devices = ["A1", "A2"][: rng.choice([1, 2])]
    return {
        "format": "tms-plan/1", "grid": 30, "start": "2026-01-05", "days": 8 if task == "batch" else 9, "start_days": 8,
        "now": 0, "obs_cap": 1, "task": task, "weights": tool("instances").WEIGHTS, "bookings": [],
        "locations": [{"id": "A", "hours": OPEN, "closed": []}],
        "devices": [{"id": x, "loc": "A", "kind": "tms", "caps": ["std"], "turnover": 5, "down": []} for x in devices],
        "staff": [{"id": f"s{i}", "loc": "A", "skills": ["tms"], "shifts": [[d, 480, 570] for d in range(9)], "breaks": []}
                  for i in range(len(devices))],
        "protocols": [{"id": "x", "kind": "tms", "visits": visits}],
        "patients": [
            {"id": f"p{i}", "protocol": "x", "prio": rng.randrange(3), "release": rng.randrange(2), "target": 1,
             "latest_start": rng.choice([1, 3]), "locs": [{"id": "A", "pen": 0}], "away": rng.sample(range(5), rng.choice([0, 1])),
             "avail": [rng.choice([[[480, 570]], [[480, 540]], [[510, 570]]])] * 5 + [[], []],
             "pref": rng.choice([None, [480, 510]])}
            for i in range(2)
        ],
    }  # fmt: skip


def every_course(raw, patient):
    """All lawful courses of one patient, cheapest anchor and home each: (cost, plan)."""
    checker = tool("checker")
    inst = checker.Inst(raw)
    visits = raw["protocols"][0]["visits"]
    places = [
        (day, device, t)
        for day in range(raw["days"])
        for device in inst.dev
        for t in range(480, 570, 30)
        if not checker.session_errors(inst, patient, visits[0], day, device, t, "")
    ]
    found = []
    for course in itertools.combinations(places, len(visits)):
        options = [
            {"anchor": anchor, "home": home, "visits": [list(v) for v in course]}
            for anchor in range(480, 570, 30)
            for home in inst.dev
        ]
        judged = [(checker.course(inst, patient, plan), plan) for plan in options]
        lawful = [(sum(cost.values()), plan) for (errors, cost), plan in judged if not errors]
        if lawful:
            found.append(min(lawful, key=lambda x: x[0]))
    return found


@pytest.mark.parametrize("seed", SEEDS)
def test_a_list_of_two_is_planned_as_well_as_by_exhaustion(seed):
    raw = tiny(random.Random(seed), "batch")
    one, two = raw["patients"]
    price = {x["id"]: raw["weights"]["unplaced"][x["prio"]] for x in (one, two)}
    firsts = [*every_course(raw, one), (price[one["id"]], None)]
    seconds = [*every_course(raw, two), (price[two["id"]], None)]
    best = price[one["id"]] + price[two["id"]]
    for (a, plan_a), (b, plan_b) in itertools.product(firsts, seconds):
        if a + b < best:
            verdict = tool("checker").check(raw, {"patients": {one["id"]: plan_a, two["id"]: plan_b}})
            best = a + b if verdict["ok"] else best
    question = from_instance(parse_instance(raw))
    plan = plan_batch(question.requests, question.occupancy, rounds=30, seed=seed)
    verdict = tool("checker").check(raw, {"patients": {x: p and course_as_json(p) for x, p in plan.plans.items()}})
    assert (verdict["errors"], verdict["cost"]) == ([], plan.cost)
    assert plan.bound <= best == plan.cost


def with_outage(rng):
    raw = tiny(rng, "repair")
    raw["old_plan"], taken = {}, set()
    first, *later = raw["protocols"][0]["visits"]
    raw["protocols"][0]["visits"] = [first, later[0], *later]  # the first was delivered
    for patient in raw["patients"]:
        patient.update(first_visit=1, avail=OPEN, away=[], latest_start=8)
        day, visits = rng.randrange(2), []
        for _ in raw["protocols"][0]["visits"][1:]:
            free = [(d["id"], t) for d in raw["devices"] for t in range(480, 570, 30) if (day, d["id"], t) not in taken]
            device, t = rng.choice(free)
            taken.add((day, device, t))
            visits.append([day, device, t])
            day += 1
        raw["old_plan"][patient["id"]] = {"anchor": 480, "home": "A1", "visits": visits}
    raw["devices"][0]["down"] = [[rng.randrange(1, 3), 480, rng.choice([540, 570])]]
    return raw


@pytest.mark.parametrize("seed", SEEDS)
def test_a_small_outage_is_mended_as_well_as_by_exhaustion(seed):
    """Every way to put the visits hit anywhere, or drop them, while all others stay where they are."""
    raw = with_outage(random.Random(seed))
    checker = tool("checker")
    inst = checker.Inst(raw)
    (day, a, b), device = raw["devices"][0]["down"][0], raw["devices"][0]["id"]
    hit = [
        (pid, k)
        for pid, course in raw["old_plan"].items()
        for k, (d, x, t) in enumerate(course["visits"])
        if (d, x) == (day, device) and t < b and a < t + 30
    ]
    places = [None, *([d, x, t] for d in range(raw["days"]) for x in inst.dev for t in range(480, 570, 30))]
    best = 10**9
    for choice in itertools.product(places, repeat=len(hit)):
        plan = {pid: {**course, "visits": list(course["visits"])} for pid, course in raw["old_plan"].items()}
        for (pid, k), place in zip(hit, choice, strict=True):
            plan[pid]["visits"][k] = place
        verdict = checker.check(raw, {"patients": plan})
        if verdict["ok"]:
            best = min(best, verdict["cost"])
    instance = parse_instance(raw)
    question = repair_question(instance)
    found = repair(question.courses, question.occupancy, now=0, notice=0, weights=question.weights, nodes=1000)
    verdict = checker.check(raw, repair_as_json(found, instance))
    assert (verdict["errors"], verdict["cost"]) == ([], found.cost)
    if found.stage in ("frozen", "unchanged"):
        assert found.cost == best
        assert found.bound is None or found.bound <= best
    else:
        assert found.cost <= best
