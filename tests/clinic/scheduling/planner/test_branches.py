"""Prices and parts: what they prove is true of every plan, and together they prove what prices alone do not."""

import random

import pytest

from clinic.scheduling.planner.bids import ALL, Bidder, Limits, Tariff
from clinic.scheduling.planner.branches import Branches
from clinic.scheduling.planner.prices import Market, Part
from clinic.scheduling.planner.roster import Roster
from clinic.scheduling.planner.shuffle import Budget, greedy
from clinic.scheduling.planner.table import INF
from tests.clinic.scheduling.planner.builders import make_device, make_occupancy, make_person, make_request, make_visit

MORNING = (((480, 570),),) * 7


def market(count=3, **request):
    devices = [make_device(), make_device("north-2")]
    roster = Roster(
        {f"p{i}": make_request(3, windows=MORNING, latest_start=3, **request) for i in range(count)},
        make_occupancy(devices=devices, staff=[make_person()]),
    )
    greedy(roster)
    found = Market(roster)
    found.add_seen()
    return found


def prices(of, seed=0):
    flat, rng = of.whole.prices.copy(), random.Random(seed)
    for place in rng.sample(range(len(flat)), len(flat) // 3):
        flat[place] = rng.randrange(40)
    return flat


@pytest.mark.parametrize("request_", [{}, {"min_hours": 20}, {"min_hours": 48}], ids=str)
def test_a_course_costs_its_price_and_what_its_places_cost(request_):
    of = market(1, **request_)
    flat = prices(of)
    cost, plan = of.bidders["p0"].cheapest(Tariff(of._by_name(flat)))
    of.add("p0", plan)
    course = next(c for c in of.courses["p0"].values() if c.plan == plan)
    assert cost == 8 * plan.cost + int(flat[course.places].sum())


@pytest.mark.parametrize("seed", range(4))
def test_what_is_known_of_a_question_changes_no_answer(seed):
    of = market(1)
    tariff, request = Tariff(of._by_name(prices(of, seed))), of.roster.requests["p0"]
    cost, _ = Bidder(request, of.free, often=False).cheapest(tariff)
    assert of.bidders["p0"].cheapest(tariff, ALL, cost + 1)[0] == cost
    assert of.bidders["p0"].cheapest(tariff, ALL, cost) is None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Limits(homes=frozenset({0})), Limits(homes=frozenset({1}))),
        (Limits(anchors=(0, 500)), Limits(anchors=(505, 1440))),
        (Limits(starts=(0, 1)), Limits(starts=(2, 99))),
    ],
)
def test_no_course_is_lost_in_a_split(one, other):
    of = market(1)
    tariff = Tariff(of._by_name(prices(of)))
    whole, *sides = (of.bidders["p0"].cheapest(tariff, limits) for limits in (ALL, one, other))
    assert whole[0] == min(side[0] if side else INF for side in sides)
    for limits, side in zip((one, other), sides, strict=True):
        of.add("p0", side[1])
        assert next(c for c in of.courses["p0"].values() if c.plan == side[1]).lies_in(limits)


def test_a_part_is_never_bounded_below_the_whole():
    of = market()
    of.trade(of.whole, Budget(None, 20), of.roster.cost)
    part = Part(of.whole.prices, of.whole.scaled, {"p0": Limits(starts=(2, 99))})
    of.trade(part, Budget(None, 20), of.roster.cost)
    assert of.whole.bound <= part.bound


def crowded(seed):
    """Five patients with sessions of several lengths who want one device in the same week."""
    rng = random.Random(seed)
    requests = {
        f"p{i}": make_request(
            visits=(make_visit(duration=rng.choice((25, 35, 45))),) * rng.choice((2, 3, 4)),
            windows=(((480, 600),),) * 7,
            priority=rng.randrange(3),
            away=frozenset(rng.sample(range(9), 2)),
            latest_start=4,
        )
        for i in range(5)
    }
    roster = Roster(requests, make_occupancy(devices=[make_device()], staff=[make_person()]))
    greedy(roster)
    found = Market(roster)
    found.add_seen()
    return found


def best_known(of):
    plans = of.combined(None, 50)
    return sum(plans[x].cost if x in plans else of.roster.unplaced_price(x) for x in of.roster.requests)


@pytest.mark.parametrize("seed", [15, 49, *(pytest.param(x, marks=pytest.mark.soak) for x in range(60, 100))])
def test_parts_prove_what_prices_alone_do_not(seed):
    of = crowded(seed)
    of.trade(of.whole, Budget(None, 100), of.roster.cost)
    branches = Branches(of, best_known(of))
    branches.grow(Budget(None, 3000))
    assert of.whole.bound <= branches.bound == best_known(of)


@pytest.mark.parametrize("seed", [15, 49, *(pytest.param(x, marks=pytest.mark.soak) for x in range(60, 100))])
def test_the_bound_of_what_is_left_is_never_above_the_best_plan(seed):
    of = crowded(seed)
    of.trade(of.whole, Budget(None, 100), of.roster.cost)
    branches = Branches(of, best_known(of) + 500)  # the best one is not known yet
    for _ in range(12):
        branches.grow(Budget(None, 20))
        assert branches.bound <= best_known(of)


@pytest.mark.parametrize("seed", [15, *(pytest.param(x, marks=pytest.mark.soak) for x in range(100, 140))])
def test_a_part_that_holds_a_plan_is_never_bounded_above_it(seed):
    of = crowded(seed)
    of.trade(of.whole, Budget(None, 100), of.roster.cost)
    plans, cost, part = of.combined(None, 50), best_known(of), of.whole
    mine = {x: next(c for c in of.courses[x].values() if c.plan == plan) for x, plan in plans.items()}
    for _ in range(6):
        assert part.bound <= cost
        halves = Branches(of, cost)._split(part) or [part.limits]
        holding = [half for half in halves if all(c.lies_in(half.get(x, ALL)) for x, c in mine.items())]
        part = Part(part.prices, part.scaled, random.Random(seed).choice(holding))
        of.trade(part, Budget(None, 10), 10**6)
