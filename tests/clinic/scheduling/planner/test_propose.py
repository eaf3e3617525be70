from dataclasses import replace

import pytest

from clinic.scheduling.planner import (
    Booking,
    NoCourse,
    best_course,
    breaches,
    earliest_start,
    propose,
    start_curve,
)
from clinic.scheduling.planner.instance import from_instance, parse_instance
from tests.clinic.scheduling.planner.builders import (
    make_device,
    make_location,
    make_occupancy,
    make_person,
    make_request,
    make_visit,
    tool,
)


def two_sites(**overrides):
    return make_occupancy(
        locations=[make_location(), make_location("south")],
        devices=[make_device(), make_device("south-1", "south")],
        staff=[make_person(), make_person("bob", "south")],
        **overrides,
    )


def identity(plan):
    return [(v.day, v.device, v.start) for v in plan.visits]


def test_the_optimum_comes_first_with_every_label_it_earns():
    (first, *others) = propose(make_request(3), make_occupancy())
    assert first.labels == ("best", "earliest", "steadiest", "preferred_place")
    assert [p.labels for p in others] == [("other_time",), ("later_start",)]
    assert others[1].plan.visits[0].day == 7
    assert "starts 5 weekdays later" in others[1].reasons
    assert abs(others[0].plan.anchor - first.plan.anchor) >= 60


def test_the_preferred_place_is_offered_where_the_optimum_leaves_it():
    taken = [Booking("north-1", day, 480, 235, "tms") for day in range(5)]
    proposals = propose(make_request(3, locations={"north": 0, "south": 6}), two_sites(bookings=taken))
    labels = {label: p for p in proposals for label in p.labels}
    assert labels["best"].plan.locations == ("south",)
    assert labels["preferred_place"].plan.locations == ("north",)
    assert "starts 5 weekdays later" in labels["preferred_place"].reasons


def test_an_earlier_start_is_offered_at_its_price():
    taken = [Booking("north-1", day, 480, 205, "tms") for day in (0, 2)]  # only from 11:30
    taken += [Booking("north-1", day, 600, 115, "tms") for day in (1, 3)]  # only until 10:00
    proposals = propose(make_request(4, latest_start=9), make_occupancy(bookings=taken))
    labels = {label: p for p in proposals for label in p.labels}
    assert labels["earliest"].plan.visits[0].day == 0
    assert labels["best"].plan.visits[0].day > 0
    assert labels["earliest"].plan.cost > labels["best"].plan.cost
    assert any(r.endswith("sooner") and r.startswith("starts") for r in labels["earliest"].reasons)


def test_count_limits_the_proposals():
    assert len(propose(make_request(3), make_occupancy(), count=1)) == 1


def test_no_course_is_explained_instead():
    assert isinstance(propose(make_request(12), make_occupancy()), NoCourse)


def test_the_earliest_start_is_the_proven_one_at_its_least_cost():
    question = from_instance(parse_instance(tool("instances").make("online", seed=106, grid=15, util=0.9)))
    seen = 0
    for request in question.requests.values():
        found = propose(request, question.occupancy, count=5)
        if isinstance(found, NoCourse):
            continue
        earliest = next(p.plan for p in found if "earliest" in p.labels)
        assert earliest.visits[0].day == earliest_start(request, question.occupancy)
        same_day = replace(request, latest_start=earliest.visits[0].day)
        assert earliest.cost == best_course(same_day, question.occupancy).cost
        seen += "best" not in next(p.labels for p in found if p.plan is earliest)
    assert seen >= 1


def test_the_other_time_lies_an_hour_away_in_every_session():
    (first, other, _) = propose(make_request(4), make_occupancy(), count=3)
    assert other.labels == ("other_time",)
    assert min(abs(v.start - first.plan.anchor) for v in other.plan.visits) >= 60


def test_a_day_later_is_offered_where_a_week_later_is_too_late():
    request = make_request(2, latest_start=3, windows=(((480, 510),),) * 7)
    (first, later) = propose(request, make_occupancy())
    assert (first.plan.visits[0].day, later.labels, later.plan.visits[0].day) == (0, ("later_start",), 1)


def test_sessions_on_both_sides_of_the_usual_time_are_no_other_time():
    free = {0: (500, 600), 1: (600, 690)}  # 8:20 and 10:00 on Monday, 10:00 and 11:30 on Tuesday
    taken = [
        Booking("north-1", day, start, 5, None)
        for day, starts in free.items()
        for start in range(480, 720, 10)
        if not any(at <= start < at + 30 for at in starts)
    ]
    visits = (make_visit(), make_visit(gap=(1, 1)))
    request = make_request(visits=visits, latest_start=0, min_hours=20)
    (best,) = propose(request, make_occupancy(bookings=taken))
    assert (best.plan.anchor, best.plan.cost) == (600, 0)
    (_, other) = propose(replace(request, min_hours=None), make_occupancy(bookings=taken))
    assert [v.start for v in other.plan.visits] == [500, 690]


@pytest.mark.parametrize(("seed", "grid"), [(105, 15), (109, 10)])
def test_the_curve_is_the_optimum_of_each_first_day(seed, grid):
    question = from_instance(parse_instance(tool("instances").make("online", seed=seed, grid=grid, util=0.9)))
    for request in question.requests.values():
        curve = {option.day: option for option in start_curve(request, question.occupancy)}
        best = best_course(request, question.occupancy)
        assert min((o.cost for o in curve.values()), default=None) == (best and best.cost)
        if best is None:
            continue
        assert min(curve) == best.earliest_day
        for day in sorted(curve)[:3]:
            alone = best_course(replace(request, latest_start=day, not_before=day), question.occupancy)
            assert alone.cost == curve[day].cost
            assert curve[day].inconvenience == alone.cost - alone.parts.wait - alone.parts.late
        missing = next((d for d in range(best.earliest_day, max(curve)) if d not in curve), None)
        if missing is not None:
            only = replace(request, latest_start=missing, not_before=missing)
            assert best_course(only, question.occupancy) is None


def test_the_curve_keeps_the_hours_between_starts():
    visits = tuple(make_visit(gap=(2, 4), ideal=(2, 2)) for _ in range(3))
    request = make_request(visits=visits, min_hours=48)
    taken = [Booking("north-1", 0, 480, 100, None), Booking("north-1", 2, 600, 115, None)]
    occupancy = make_occupancy(bookings=taken)
    for option in start_curve(request, occupancy):
        alone = best_course(replace(request, latest_start=option.day, not_before=option.day), occupancy)
        assert alone.cost == option.cost


def test_proposals_differ_keep_the_rules_and_carry_the_cost_of_the_request():
    question = from_instance(parse_instance(tool("instances").make("online", seed=108, grid=15, util=0.9)))
    several = 0
    for request in question.requests.values():
        proposals = propose(request, question.occupancy)
        if isinstance(proposals, NoCourse):
            continue
        plans = [p.plan for p in proposals]
        assert len({tuple(identity(p)) for p in plans}) == len(plans) <= 3
        assert plans[0] == best_course(request, question.occupancy)
        assert all(p.cost == p.parts.total >= plans[0].cost for p in plans)
        assert all(breaches(request, question.occupancy, identity(p)) == [] for p in plans)
        assert all(p.reasons for p in proposals)
        several += len(plans) > 1
    assert several >= 5
