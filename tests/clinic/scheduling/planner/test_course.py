"""The planner against exhaustive search on tiny instances, and the rules that the known instances do not hold."""

import itertools
import random
from dataclasses import replace
from datetime import date

import pytest

from clinic.scheduling.planner import (
    Booking,
    NoCourse,
    best_course,
    breaches,
    earliest_start,
    lanes,
    plan_course,
    search,
)
from clinic.scheduling.planner.instance import course_as_json, from_instance, parse_instance
from clinic.scheduling.planner.table import Table
from tests.clinic.scheduling.planner.builders import (
    make_device,
    make_location,
    make_occupancy,
    make_person,
    make_request,
    make_visit,
    tool,
)

# -- exhaustive search: every day sequence x anchor x home, day by day on sets of minutes ---------------------------


def random_instance(seed):
    rng = random.Random(seed)
    grid = rng.choice([15, 30])
    days, need = 11, rng.choice(["tms", "tms", "obs"])
    locations = [
        {"id": x, "hours": [[[480, 660]]] * 5 + [[[480, 600]] if x == "A" else [], []], "closed": [rng.randrange(11)]}
        for x in "AB"
    ]
    devices = [
        {
            "id": n,
            "loc": n[0],
            "kind": "tms",
            "caps": ["std", "acc"] if n != "A2" else ["std"],
            "turnover": 5,
            "down": [],
        }
        for n in ("A1", "A2", "B1")
    ]
    devices[rng.randrange(3)]["down"] = [[rng.randrange(11), 480, 570]]
    staff = [
        {"id": f"{x}s{i}", "loc": x, "skills": skills, "shifts": [[d, 480, 660] for d in range(days)], "breaks": breaks}
        for x in "AB"
        for i, (skills, breaks) in enumerate(
            ((["tms", "map", "obs"], [[d, 540, 555] for d in range(days)]), (["tms"], []))[: rng.choice([1, 2])]
        )
    ]
    length = rng.choice([2, 3, 4])
    offsets = rng.choice([[0], [0], [0, 60]])
    visit = {
        "cls": "treat",
        "dur": 25,
        "cap": rng.choice(["std", "acc"]),
        "need": need,
        "offsets": offsets,
        "consist": True,
    }
    gap, ideal = rng.choice([([1, 3], [1, 1]), ([1, 4], [1, 2]), ([2, 3], [2, 2])])
    visits = [{**visit, "gap": None if k == 0 else gap, "ideal": None if k == 0 else ideal} for k in range(length)]
    if rng.random() < 0.6:
        visits[0] = {
            **visits[0],
            "cls": "map",
            "dur": 40,
            "need": "map" if need == "tms" else need,
            "cap": "std",
            "offsets": [0],
            "consist": False,
        }
    patient = {
        "id": "p", "protocol": "x", "prio": rng.randrange(3), "release": rng.randrange(3), "target": 2, "latest_start": rng.choice([4, 10]),
        "locs": [{"id": x, "pen": 6 * i} for i, x in enumerate(rng.choice(["A", "AB", "BA"]))],
        "avail": [rng.choice([[[480, 660]], [[510, 660]], [[480, 570], [600, 660]]])] * 5 + [[[480, 600]], []],
        "away": rng.sample(range(days), rng.choice([0, 1])), "pref": rng.choice([None, [480, 540]]),
    }  # fmt: skip
    weights = tool("instances").WEIGHTS
    raw = {
        "format": "tms-plan/1", "grid": grid, "start": "2026-01-05", "days": days, "start_days": 9, "now": 0, "obs_cap": 2,
        "weights": weights, "locations": locations, "devices": devices, "staff": staff, "bookings": [], "task": "online",
        "protocols": [{"id": "x", "kind": "tms", "visits": visits, "min_hours": None}], "patients": [patient],
    }  # fmt: skip
    for i in range(rng.choice([0, 10, 30, 60])):
        add_if_it_fits(raw, rng.choice(devices)["id"], rng.randrange(days), rng.randrange(480, 620, 5), need, f"b{i}")
    return raw


def add_if_it_fits(raw, device, day, t, need, name):
    checker = tool("checker")
    raw["bookings"].append({"id": name, "course": "x", "dev": device, "day": day, "t": t, "dur": 25, "need": need})
    if checker.with_bookings(checker.Inst(raw)).errors():
        raw["bookings"].pop()


def possible_placements(raw):
    """(day, device, start) of every visit that the referee accepts for itself."""
    checker = tool("checker")
    inst = checker.Inst(raw)
    patient = raw["patients"][0]
    visits = raw["protocols"][0]["visits"]
    found = []
    for visit in visits:
        mine = []
        for day, device, t in itertools.product(range(raw["days"]), inst.dev, range(480, 660, raw["grid"])):
            if checker.session_errors(inst, patient, visit, day, device, t, ""):
                continue
            use = checker.with_bookings(inst)
            checker.add_visit(use, inst, visit, day, device, t, "")
            if not use.errors():
                mine.append((day, device, t))
        found.append(mine)
    return inst, patient, visits, found


def best_by_exhaustion(raw, allowed=lambda gaps, reach: True, reach=None, previous=None):
    inst, patient, visits, possible = possible_placements(raw)
    w, pen = raw["weights"], {x["id"]: x["pen"] for x in patient["locs"]}
    homes = [d for d, x in inst.dev.items() if x["loc"] in pen]
    last_start = min(patient["latest_start"], raw["start_days"] - 1)
    best = None
    for home, anchor in itertools.product(homes, range(480, 660, raw["grid"])):
        cheapest = []
        for visit, mine in zip(visits, possible, strict=True):
            by_day = {}
            for day, device, t in mine:
                if reach is not None and abs(t - anchor) > reach:
                    continue
                price = pen[inst.dev[device]["loc"]]
                if visit["consist"]:
                    away = inst.dev[device]["loc"] != inst.dev[home]["loc"]
                    price += abs(t - anchor) + (w["loc"] if away else w["dev"] if device != home else 0)
                    outside = patient["pref"] and not patient["pref"][0] <= t < patient["pref"][1]
                    price += w["pref"] if outside else 0
                by_day[day] = min(price, by_day.get(day, price))
            cheapest.append(by_day)
        for days in itertools.product(*cheapest):
            gaps = [b - a for a, b in itertools.pairwise(days)]
            in_time = patient["release"] <= days[0] <= last_start or previous is not None
            if not in_time or not allowed(gaps, reach):
                continue
            if previous is not None and not visits[0]["gap"][0] <= days[0] - previous <= visits[0]["gap"][1]:
                continue
            if any(not v["gap"][0] <= g <= v["gap"][1] for v, g in zip(visits[1:], gaps, strict=True)):
                continue
            waited = inst.workdays(patient["release"], days[0])
            cost = w["wait"][patient["prio"]] * waited + w["late"][patient["prio"]] * max(0, waited - patient["target"])
            if previous is not None:
                weekdays, ideal = inst.workdays(previous, days[0]), visits[0]["ideal"]
                cost = w["gap"] * max(0, ideal[0] - weekdays, weekdays - ideal[1])
            for v, a, b in zip(visits[1:], days, days[1:], strict=False):
                weekdays = inst.workdays(a, b)
                cost += w["gap"] * max(0, v["ideal"][0] - weekdays, weekdays - v["ideal"][1])
            cost += sum(by_day[day] for by_day, day in zip(cheapest, days, strict=True))
            if best is None or cost < best:
                best = cost
    return best


def found_by_planner(raw):
    question = from_instance(parse_instance(raw))
    plan = plan_course(question.requests["p"], question.occupancy)
    if isinstance(plan, NoCourse):
        return None
    verdict = tool("checker").check({**raw, "protocols": raw["protocols"]}, {"patients": {"p": course_as_json(plan)}})
    assert verdict["errors"] == []
    assert verdict["cost"] == plan.cost
    placements = [(v.day, v.device, v.start) for v in plan.visits]
    assert breaches(question.requests["p"], question.occupancy, placements) == []
    return plan.cost


@pytest.mark.parametrize("seed", [*range(16), *(pytest.param(s, marks=pytest.mark.soak) for s in range(16, 200))])
def test_the_optimum_equals_exhaustive_search(seed):
    raw = random_instance(seed)
    assert found_by_planner(raw) == best_by_exhaustion(raw)


@pytest.mark.parametrize("seed", [*range(8), *(pytest.param(s, marks=pytest.mark.soak) for s in range(8, 100))])
def test_hours_of_a_daily_course_equal_exhaustive_search(seed):
    raw = random_instance(seed)
    raw["protocols"][0]["min_hours"] = 22  # starts at most 60 minutes from the anchor
    assert found_by_planner(raw) == best_by_exhaustion(raw, reach=60)


@pytest.mark.parametrize("seed", [*range(8), *(pytest.param(s, marks=pytest.mark.soak) for s in range(8, 100))])
def test_48_hours_equal_exhaustive_search(seed):
    raw = random_instance(seed)
    raw["protocols"][0]["min_hours"] = 48  # three days apart at any time, or two at one time
    loose = best_by_exhaustion(raw, lambda gaps, reach: all(g >= 3 for g in gaps))
    equal = best_by_exhaustion(raw, lambda gaps, reach: all(g >= 2 for g in gaps), reach=0)
    assert found_by_planner(raw) == min((x for x in (loose, equal) if x is not None), default=None)


@pytest.mark.parametrize("seed", [*range(8), *(pytest.param(s, marks=pytest.mark.soak) for s in range(8, 100))])
def test_a_continued_course_equals_exhaustive_search(seed):
    raw = random_instance(seed)
    visits, previous = raw["protocols"][0]["visits"], seed % 5
    visits[0] = {**visits[0], "gap": [1, 4], "ideal": [2, 2]}
    question = from_instance(parse_instance(raw))
    request = replace(question.requests["p"], continued=True, previous_day=previous, previous_start=480)
    plan = plan_course(request, question.occupancy)
    wanted = best_by_exhaustion(raw, previous=previous)
    assert (None if isinstance(plan, NoCourse) else plan.cost) == wanted


def crowded_question(seed):
    """Many short courses of nearly equal cost at many times of the day, so that no bundle stands out."""
    rng = random.Random(seed)
    devices = [make_device(f"north-{i}") for i in (1, 2, 3)]
    staff = [make_person(f"p{i}") for i in range(3)]
    location = make_location(hours=(((420, 1140),),) * 5 + ((), ()))
    occupancy = make_occupancy(locations=[location], devices=devices, staff=staff)
    for device, day in itertools.product(devices, range(14)):
        for start in range(420, 1100, 30):
            if rng.random() < 0.85:
                occupancy.book(Booking(device.id, day, start + rng.choice([0, 5, 10]), 15, None))
    request = make_request(rng.choice([3, 4, 5]), preferred=rng.choice([None, (480, 600)]), priority=rng.randrange(3))
    return replace(request, min_hours=rng.choice([None, 20])), occupancy


@pytest.mark.parametrize("seed", [*range(30), *(pytest.param(s, marks=pytest.mark.soak) for s in range(30, 400))])
def test_bundling_anchors_loses_nothing(seed, monkeypatch):
    request, occupancy = crowded_question(seed)
    at_once = best_course(request, occupancy)  # all lanes, where they and the days are few
    monkeypatch.setattr(search, "FEW_CELLS", 0)
    bundled = best_course(request, occupancy)
    monkeypatch.setattr(lanes, "BUNDLE", 1)  # every lane is its own bound
    monkeypatch.setattr(search, "BUNDLE", 1)
    assert at_once == best_course(request, occupancy) == bundled


# -- what the model promises ----------------------------------------------------------------------------------------


def starts(plan):
    return [(v.day, v.start) for v in plan.visits]


def test_an_empty_calendar_costs_nothing():
    plan = plan_course(make_request(5), make_occupancy())
    assert (plan.cost, [v.day for v in plan.visits]) == (0, [0, 1, 2, 3, 4])
    assert {v.device for v in plan.visits} == {plan.home}


def test_planning_twice_gives_the_same_course():
    occupancy = make_occupancy(bookings=[Booking("north-1", 2, 480, 25, "tms")])
    assert plan_course(make_request(6), occupancy) == plan_course(make_request(6), occupancy)


def test_the_usual_time_gives_way_for_one_taken_day():
    taken = [Booking("north-1", 1, 480, 85, "tms")]  # Tuesday 8:00 to 9:30 with turnover
    request = make_request(3, windows=(((480, 575),),) * 7)
    plan = plan_course(request, make_occupancy(bookings=taken))
    assert isinstance(plan, NoCourse) is False
    assert plan.visits[1].start >= 570 or plan.visits[1].day != 1


def test_a_visit_moves_to_another_device_for_eight_minutes():
    devices = [make_device(), make_device("north-2")]
    taken = [Booking("north-1", 1, 480, 235, "tms")]
    staff = [make_person(), make_person("bob")]
    plan = plan_course(make_request(3), make_occupancy(devices=devices, bookings=taken, staff=staff))
    assert plan.cost == 0  # the whole course goes to the free device
    busy = [*taken, Booking("north-2", 0, 480, 235, "tms"), Booking("north-2", 2, 480, 235, "tms")]
    plan = plan_course(make_request(3, latest_start=0), make_occupancy(devices=devices, bookings=busy, staff=staff))
    assert plan.parts.as_dict() == {"wait": 0, "late": 0, "gap": 0, "tod": 0, "dev": 8, "loc": 0, "pref": 0}


def test_a_daily_course_with_hours_between_stays_near_its_time():
    taken = [Booking("north-1", day, 480, 115, "tms") for day in (0, 2)]  # only from 10:00
    taken += [Booking("north-1", day, 540, 175, "tms") for day in (1, 3)]  # only until 9:00
    request = make_request(4, visits=tuple(make_visit(gap=(1, 1)) for _ in range(4)), latest_start=0)
    assert plan_course(request, make_occupancy(bookings=taken)).cost > 0
    refused = plan_course(
        make_request(4, visits=request.visits, latest_start=0, min_hours=24), make_occupancy(bookings=taken)
    )
    assert refused.rule == "hours_between"


def test_a_gap_of_one_day_is_not_used_over_the_spring_change():
    location = make_location(hours=(((480, 720),),) * 7, tz="America/Los_Angeles")
    occupancy = make_occupancy(start=date(2026, 3, 7), locations=[location])  # a Saturday; clocks change on day 1
    visits = tuple(make_visit(ideal=(0, 1)) for _ in range(2))
    plain = plan_course(make_request(visits=visits, latest_start=0), occupancy)
    kept = plan_course(make_request(visits=visits, latest_start=0, min_hours=20), occupancy)
    assert [v.day for v in plain.visits] == [0, 1]
    assert [v.day for v in kept.visits] == [0, 2]


def test_a_gap_of_one_day_is_used_over_the_autumn_change():
    location = make_location(hours=(((480, 720),),) * 7, tz="America/Los_Angeles")
    occupancy = make_occupancy(start=date(2026, 10, 31), locations=[location])
    request = make_request(visits=tuple(make_visit(ideal=(0, 1)) for _ in range(2)), min_hours=20)
    assert [v.day for v in plan_course(request, occupancy).visits] == [0, 1]


def test_a_continued_course_keeps_the_gap_to_its_last_visit_and_does_not_wait():
    request = make_request(3, continued=True, previous_day=4, previous_start=540, not_before=6, first_number=12)
    plan = plan_course(request, make_occupancy())
    assert [v.day for v in plan.visits] == [7, 8, 9]  # Friday, then Monday
    assert [v.number for v in plan.visits] == [12, 13, 14]
    assert plan.cost == 0


def test_a_continued_course_takes_two_day_gaps_at_one_time_where_they_cost_less():
    visits = (make_visit(gap=(1, 5), ideal=(3, 3)), make_visit(gap=(2, 5), ideal=(2, 2)))
    request = make_request(visits=visits, min_hours=48, continued=True, previous_day=-1, previous_start=480)
    plan = plan_course(request, make_occupancy())
    assert ([v.day for v in plan.visits], plan.cost) == ([2, 4], 0)  # Wednesday and Friday, not Monday for 60


def test_neither_release_nor_latest_start_bind_a_continued_course():
    request = make_request(2, continued=True, previous_day=0, release=9, latest_start=0)
    assert [v.day for v in plan_course(request, make_occupancy()).visits] == [1, 2]


def test_a_continued_course_whose_gap_has_passed_is_refused():
    request = make_request(3, continued=True, previous_day=0, not_before=6)
    assert isinstance(plan_course(request, make_occupancy()), NoCourse)


def test_the_patient_is_never_in_two_places():
    request = make_request(1, busy=((0, 480, 700),), latest_start=0)
    assert plan_course(request, make_occupancy()).rule == "patient_is_free"


def test_the_earliest_start_is_proven_even_where_the_best_is_later():
    taken = [Booking("north-1", 1, 480, 205, "tms")]  # Tuesday only from 11:30
    request = make_request(2, preferred=(480, 540), visits=(make_visit(), make_visit(gap=(1, 1))))
    occupancy = make_occupancy(bookings=taken)
    plan = plan_course(request, occupancy)
    assert (earliest_start(request, occupancy), plan.earliest_day) == (0, 0)
    assert (plan.visits[0].day, plan.cost) == (2, 10)  # two weekdays of waiting beat two visits outside the preference


@pytest.mark.parametrize("day", [14, 24, 70])
def test_a_search_from_a_day_on_finds_nothing_that_starts_before(day):
    occupancy = make_occupancy(days=99, staff=[make_person(days=99)])
    found, _ = search.solve(Table(make_request(2), occupancy), day)
    assert found.days[0] >= day == search.earliest_day(Table(make_request(2), occupancy), day)


@pytest.mark.parametrize("visits", [0, 1])
def test_the_shortest_protocols_are_answered(visits):
    answer = plan_course(make_request(visits), make_occupancy())
    assert isinstance(answer, NoCourse) == (visits == 0)


def test_a_request_without_places_or_days_is_refused_not_crashed():
    assert plan_course(make_request(locations={}), make_occupancy()).rule == "device_has_capability"
    assert plan_course(make_request(release=99), make_occupancy()).rule == "first_visit_is_in_window"
    assert isinstance(plan_course(make_request(windows=((),) * 7), make_occupancy()), NoCourse)


def test_prices_too_large_to_be_exact_are_an_error():
    request = make_request()
    with pytest.raises(ValueError, match="too large"):
        plan_course(replace(request, weights=replace(request.weights, tod=10**7)), make_occupancy())
