"""What holds for every repair: the referee agrees, nobody is touched who need not be, and never worse than by hand."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clinic.scheduling.planner import preview, repair
from clinic.scheduling.planner.damage import hits
from clinic.scheduling.planner.instance import parse_instance
from clinic.scheduling.planner.running import repair_as_json, repair_question
from tests.clinic.scheduling.planner.builders import tool

HOURS = [[[480, 660]]] * 5 + [[], []]
DAYS = 16


def clinic(seed, event):
    """Two devices and two operators, up to eight running courses, and an event on day 2."""
    rng = random.Random(f"{seed}/{event}")
    visit = {"cls": "treat", "dur": 25, "cap": "std", "need": "tms", "offsets": [0], "consist": True}
    gap = rng.choice([[1, 3], [1, 4], [1, 7]])
    visits = [{**visit, "gap": None, "ideal": None}, *({**visit, "gap": gap, "ideal": [1, 1]} for _ in range(4))]
    away = {"staff": 1}.get(event)
    raw = {
        "format": "tms-plan/1", "grid": 15, "start": "2026-01-05", "days": DAYS, "start_days": DAYS, "now": 1, "obs_cap": 1,
        "task": "repair", "weights": tool("instances").WEIGHTS, "bookings": [],
        "locations": [{"id": x, "hours": HOURS, "closed": []} for x in "AB"],
        "devices": [{"id": x, "loc": x[0], "kind": "tms", "caps": ["std"], "turnover": 5, "down": []} for x in ("A1", "A2", "B1")],
        "staff": [{"id": f"s{x}{i}", "loc": x, "skills": ["tms"], "breaks": [],
                   "shifts": [[d, 480, 660] for d in range(DAYS) if (x, d, i) != ("A", 2, away)]} for x, i in ("A0", "A1", "B0")],
        "protocols": [{"id": "x", "kind": "tms", "visits": visits}],
        "patients": [], "old_plan": {},
    }  # fmt: skip
    taken: set[tuple[int, str, int]] = set()
    for n in range(rng.randrange(2, 9)):
        start, device, first = rng.choice(range(480, 631, 30)), rng.choice(["A1", "A2", "B1"]), rng.randrange(3)
        days = [d for d in range(first, DAYS) if d % 7 < 5][:4]
        if any((day, device, start) in taken for day in days):
            continue
        taken |= {(day, device, start) for day in days}
        places = rng.choice(["A", "AB", "BA"]) if device[0] == "A" else rng.choice(["B", "AB"])
        raw["patients"].append({
            "id": f"p{n}", "protocol": "x", "prio": 0, "release": 0, "target": 5, "latest_start": DAYS, "away": [], "pref": None,
            "locs": [{"id": x, "pen": 0} for x in places], "avail": HOURS, "first_visit": 1,
        })  # fmt: skip
        raw["old_plan"][f"p{n}"] = {"anchor": start, "home": device, "visits": [[day, device, start] for day in days]}
    if event == "device":
        raw["devices"][0]["down"] = [[day, 0, 1440] for day in range(2, rng.choice([3, 4, 9]))]
    elif event == "closed":
        raw["locations"][0]["closed"] = [2]
    return raw


def check(seed, event):
    raw = clinic(seed, event)
    instance = parse_instance(raw)
    question = repair_question(instance)
    asked, present = (question.courses, question.occupancy), {"now": 1, "notice": 0, "weights": question.weights}
    quick, plan = preview(*asked, **present), repair(*asked, **present, nodes=500)
    for found in (quick, plan):
        verdict = tool("checker").check(raw, repair_as_json(found, instance))
        assert (verdict["errors"], verdict["cost"]) == ([], found.cost)
    assert plan.cost <= quick.cost
    struck = {(h.course, h.position) for h in hits(question.courses, question.occupancy, now=1, now_minute=0)}
    moved = {([c.id for c in question.courses].index(m.course), m.position) for m in plan.moves}
    assert plan.stage == "shifted" or moved <= struck
    assert all(
        m.because == "makes_room"
        for m in plan.moves
        if ([c.id for c in question.courses].index(m.course), m.position) not in struck
    )
    assert plan.bound is None or plan.bound <= plan.cost
    assert [m.earlier for m in plan.moves] == [
        m.new is not None and (m.new.day, m.new.start) < (m.old.day, m.old.start) for m in plan.moves
    ]
    assert repair(*asked, **present, nodes=500) == plan


@settings(max_examples=12, deadline=None, derandomize=True, database=None)
@given(seed=st.integers(0, 10**6), event=st.sampled_from(["device", "staff", "closed"]))
def test_every_repair_keeps_the_rules(seed, event):
    check(seed, event)


@pytest.mark.soak
@settings(max_examples=400, deadline=None, database=None)
@given(seed=st.integers(0, 10**6), event=st.sampled_from(["device", "staff", "closed"]))
def test_many_repairs_keep_the_rules(seed, event):
    check(seed, event)
