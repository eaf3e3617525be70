import json

import pytest

from clinic.scheduling.planner import plan_course
from clinic.scheduling.planner.instance import InstanceError, from_instance, parse_instance
from tests.clinic.scheduling.planner.builders import tool

WEEK = [[[480, 720]]] * 5 + [[], []]


def make_instance(**overrides):
    visit = {"cls": "treat", "dur": 25, "cap": "std", "need": "tms", "offsets": [0], "consist": True}
    visits = [{**visit, "gap": None, "ideal": None}, {**visit, "gap": [1, 4], "ideal": [1, 1]}]
    patient = {
        "id": "p0", "protocol": "short", "prio": 0, "release": 0, "target": 20, "latest_start": 9,
        "locs": [{"id": "north", "pen": 0}], "avail": WEEK, "away": [], "pref": None,
    }  # fmt: skip
    base = {
        "format": "tms-plan/1", "grid": 5, "start": "2026-01-05", "days": 14, "start_days": 14, "now": 0, "obs_cap": 3,
        "task": "online", "weights": tool("instances").WEIGHTS, "locations": [{"id": "north", "hours": WEEK, "closed": []}],
        "devices": [{"id": "n1", "loc": "north", "kind": "tms", "caps": ["std"], "turnover": 5, "down": []}],
        "staff": [{"id": "ann", "loc": "north", "skills": ["tms"], "shifts": [[d, 480, 720] for d in range(14)], "breaks": []}],
        "protocols": [{"id": "short", "kind": "tms", "visits": visits}],
        "bookings": [{"id": "b0", "course": "x", "dev": "n1", "day": 0, "t": 480, "dur": 25, "need": "tms"}],
        "patients": [patient],
    }  # fmt: skip
    return json.loads(json.dumps({**base, **overrides}))


def problems(change):
    raw = make_instance()
    change(raw)
    with pytest.raises(InstanceError) as refusal:
        parse_instance(raw)
    return refusal.value.problems


def put(value, *path):
    def change(raw):
        for key in path[:-1]:
            raw = raw[key]
        raw[path[-1]] = value

    return change


def test_a_sound_instance_is_planned():
    question = from_instance(parse_instance(make_instance()))
    plan = plan_course(question.requests["p0"], question.occupancy)
    assert [(v.day, v.start) for v in plan.visits] == [(0, 510), (1, 510)]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("grid",), "5"),
        (("grid",), 0),
        (("grid",), True),
        (("days",), 10**9),
        (("start",), "2026-1-5"),
        (("start",), "2026-02-30"),
        (("obs_cap",), -1),
        (("format",), "tms-plan/2"),
        (("task",), "else"),
        (("surprise",), 1),
        (("locations", 0, "hours"), WEEK[:6]),
        (("locations", 0, "tz"), "Mars/Olympus"),
        (("locations", 0, "id"), ""),
        (("devices", 0, "loc"), "south"),
        (("devices", 0, "turnover"), -5),
        (("protocols", 0, "visits"), []),
        (("protocols", 0, "visits", 1, "gap"), None),
        (("protocols", 0, "visits", 1, "gap"), [0, 4]),
        (("protocols", 0, "visits", 1, "ideal"), [3, 1]),
        (("protocols", 0, "visits", 0, "dur"), 0),
        (("protocols", 0, "visits", 0, "offsets"), [10, 60]),
        (("protocols", 0, "visits", 0, "offsets"), [0, 20]),
        (("bookings", 0, "dev"), "n9"),
        (("bookings", 0, "t"), 1441),
        (("patients", 0, "protocol"), "long"),
        (("patients", 0, "prio"), 3),
        (("patients", 0, "first_visit"), 2),
        (("weights", "gap"), -1),
    ],
)
def test_a_wrong_value_is_refused_at_its_path(path, value):
    assert [where for where, _ in problems(put(value, *path))] == [path]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("locations", 0, "hours", 0, 0), [720, 480]),
        (("devices", 0, "down"), [[1, 2]]),
        (("staff", 0, "shifts", 0), [0, 600, 600]),
        (("staff", 0, "skills"), ["juggling"]),
        (("patients", 0, "pref"), [540]),
        (("patients", 0, "locs"), [{"id": "south", "pen": 0}]),
    ],
)
def test_a_wrong_value_is_refused_near_its_path(path, value):
    ((where, _),) = problems(put(value, *path))
    assert where[: len(path)] == path


def test_every_problem_is_told_at_once():
    def change(raw):
        del raw["days"]
        raw["patients"][0]["prio"] = 7

    assert [where for where, _ in problems(change)] == [("days",), ("patients", 0, "prio")]


def test_a_name_given_twice_is_refused():
    assert problems(lambda raw: raw["patients"].append(raw["patients"][0])) == [
        (("patients", 1, "id"), "p0 is given twice")
    ]


def test_prices_beyond_exact_arithmetic_are_refused():
    def change(raw):
        raw["weights"]["tod"] = 100_000
        raw["protocols"][0]["visits"] += raw["protocols"][0]["visits"][1:] * 9

    assert problems(change) == [(("weights",), "prices too large to plan exactly")]


@pytest.mark.parametrize("data", [None, [], "x", 1, {}])
def test_what_is_no_instance_is_refused(data):
    with pytest.raises(InstanceError):
        parse_instance(data)


def test_the_unit_divides_every_time_so_that_nothing_is_rounded():
    raw = make_instance()
    raw["bookings"][0]["dur"] = 23  # device free again at 8:28, the operator at 8:23
    question = from_instance(parse_instance(raw))
    assert question.occupancy.unit == 1
    assert plan_course(question.requests["p0"], question.occupancy).anchor == 510


def test_days_before_now_are_not_used():
    question = from_instance(parse_instance(make_instance(now=3)))
    assert plan_course(question.requests["p0"], question.occupancy).visits[0].day == 3


def test_an_instance_without_patients_is_an_instance():
    assert from_instance(parse_instance(make_instance(patients=[]))).requests == {}
