"""What holds for every course: any protocol of the catalogue, zone, clock change, holidays, hours and bookings."""

import random
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import holidays
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from clinic.protocols.shapes import bookable
from clinic.scheduling.planner import (
    CoursePlan,
    NoCourse,
    best_course,
    breaches,
    earliest_start,
    plan_course,
    propose,
    relaxed,
    search,
)
from clinic.scheduling.planner.instance import course_as_json, from_instance, parse_instance
from clinic.scheduling.planner.visits import visits_of
from tests.clinic.scheduling.planner.builders import tool

ZONES = (
    "America/Los_Angeles",
    "America/New_York",
    "America/Phoenix",  # no clock change
    "Pacific/Honolulu",
    "Europe/Berlin",
    "Australia/Lord_Howe",  # half an hour, in the southern autumn
    "America/Santiago",  # at midnight
)
DAYS = 130
QUIET = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large]}
WINDOWS = ([[420, 1140]], [[420, 720]], [[600, 900]], [[480, 570]], [[420, 600], [840, 1140]], [[960, 1140]])


def sampled(examples):
    """A small fixed sample in the suite, a wide one in the long runs."""
    return pytest.mark.parametrize(
        "examples",
        [pytest.param(examples, id="sample"), pytest.param(examples * 40, id="wide", marks=pytest.mark.soak)],
    )


def check(examples, claim):
    quick = examples < 100
    settings(max_examples=examples, derandomize=quick, database=None, **QUIET)(given(instances())(claim))()


def clock_changes(zone, year):
    """Dates in whose morning the clocks have changed since the morning before."""
    days = [date(year, 1, 1) + timedelta(days=n) for n in range(365)]
    at = [datetime.combine(day, time(12), tzinfo=ZoneInfo(zone)).utcoffset() for day in days]
    return [day for (a, b), day in zip(pairwise(at), days[1:], strict=True) if a != b]


@st.composite
def instances(draw):
    """One patient's question in a clinic of two sites, in the exchange format."""
    protocol = bookable()[draw(st.sampled_from(sorted(bookable())))]
    zone = draw(st.sampled_from(ZONES))
    year = draw(st.sampled_from((2026, 2027)))
    moments = [*clock_changes(zone, year), date(year, 7, 4), date(year, 11, 26), date(year, 12, 25)]
    start = draw(st.sampled_from(moments)) - timedelta(days=draw(st.integers(1, 45)))
    other = draw(st.sampled_from((zone, zone, draw(st.sampled_from(ZONES)))))
    closed = [
        n for n in range(DAYS) if start + timedelta(days=n) in holidays.country_holidays("US", years=(year, year + 1))
    ]
    rng = random.Random(draw(st.integers(0, 10**6)))
    grid = draw(st.sampled_from((5, 10, 15)))
    visits = [
        {
            "cls": "visit", "dur": v.duration, "cap": v.capability, "need": v.need, "offsets": list(v.offsets), "kind": v.kind,
            "gap": v.gap, "ideal": v.ideal, "consist": v.consistent,
        }
        for v in visits_of(protocol, grid=grid)
    ]  # fmt: skip
    kind = protocol.device_kind
    window = draw(st.sampled_from(WINDOWS)) if len(visits[-1]["offsets"]) == 1 else [[420, 1140]]
    week = [window] * 5 + ([window, []] if protocol.given_on > {5} and draw(st.booleans()) else [[], []])
    raw = {
        "format": "tms-plan/1", "task": "online", "grid": grid, "start": start.isoformat(), "days": DAYS, "start_days": 45,
        "now": 0, "obs_cap": 2, "weights": tool("instances").WEIGHTS, "bookings": [],
        "locations": [
            {"id": name, "hours": [[[420, 1140]]] * 5 + [[[480, 780]], []], "closed": closed, "tz": tz}
            for name, tz in (("near", zone), ("far", other))
        ],
        "devices": [
            {"id": name, "loc": name.split("-")[0], "kind": kind, "caps": [protocol.gives], "turnover": 5, "down": []}
            for name in ("near-1", "near-2", "far-1")
        ],
        "staff": [
            {
                "id": f"{place}-{n}", "loc": place, "skills": ["tms", "map", "obs"] if n == 0 else ["tms"],
                "shifts": [[day, 420, 1140] for day in range(DAYS)], "breaks": [[day, 720 + 30 * n, 750 + 30 * n] for day in range(DAYS)],
            }
            for place in ("near", "far") for n in range(2)
        ],
        "protocols": [{"id": "p", "kind": kind, "visits": visits, "min_hours": protocol.min_hours}],
        "patients": [{
            "id": "x", "protocol": "p", "prio": draw(st.integers(0, 2)), "release": draw(st.integers(0, 4)), "target": 10,
            "latest_start": draw(st.sampled_from((6, 20, 44))),
            "locs": [{"id": "near", "pen": 0}, {"id": "far", "pen": 6}][: draw(st.integers(1, 2))],
            "avail": week, "away": sorted(rng.sample(range(50), draw(st.integers(0, 3)))), "pref": draw(st.sampled_from((None, [480, 660]))),
        }],
    }  # fmt: skip
    fill(raw, rng, draw(st.sampled_from((0, 0.5, 0.9))))
    return raw


def fill(raw, rng, share):
    """Devices taken now and then, never more at once than the staff can give."""
    need = "obs" if raw["protocols"][0]["kind"] == "chair" else "tms"
    for device in raw["devices"]:
        for day in range(DAYS):
            t = 420
            while share and t < 1080:
                length = rng.choice((20, 40, 115))
                if rng.random() < share and need == "tms" and device["id"] != "near-2" and length == 20:
                    raw["bookings"].append(
                        {
                            "id": f"b{len(raw['bookings'])}",
                            "dev": device["id"],
                            "day": day,
                            "t": t,
                            "dur": length,
                            "need": need,
                        }
                    )
                t += length + 10
            if share and need == "obs" and rng.random() < share / 2:
                start = rng.choice((rng.randrange(420, 570, 15), rng.randrange(750, 990, 15)))  # not over the break
                raw["bookings"].append(
                    {
                        "id": f"b{len(raw['bookings'])}",
                        "dev": device["id"],
                        "day": day,
                        "t": start,
                        "dur": 145,
                        "need": need,
                    }
                )


def asked(raw):
    question = from_instance(parse_instance(raw))
    return question.requests["x"], question.occupancy


def answer(raw):
    request, occupancy = asked(raw)
    found = plan_course(request, occupancy)
    event("planned" if isinstance(found, CoursePlan) else found.rule)
    return request, occupancy, found


def instants(raw, plan):
    zones = {x["id"]: ZoneInfo(x["tz"]) for x in raw["locations"]}
    return [
        datetime.combine(v.date, time(v.start // 60, v.start % 60), tzinfo=zones[v.location]).astimezone(UTC)
        for v in plan.visits
    ]


@sampled(18)
def test_a_course_keeps_every_rule_at_the_cost_it_states(examples):
    def claim(raw):
        request, occupancy, plan = answer(raw)
        if isinstance(plan, NoCourse):
            return
        verdict = tool("checker").check(raw, {"patients": {"x": course_as_json(plan)}})
        assert (verdict["errors"], verdict["cost"]) == ([], plan.cost)
        assert breaches(request, occupancy, [(v.day, v.device, v.start) for v in plan.visits]) == []
        assert plan.earliest_day == earliest_start(request, occupancy) <= plan.visits[0].day
        assert plan_course(request, occupancy) == plan

    check(examples, claim)


@sampled(18)
def test_hours_between_starts_are_real_hours_over_clock_changes_and_zones(examples):
    def claim(raw):
        request, _, plan = answer(raw)
        if isinstance(plan, NoCourse) or request.min_hours is None:
            return
        least = timedelta(hours=request.min_hours)
        assert all(b - a >= least for a, b in pairwise(instants(raw, plan)))
        local = [datetime.combine(v.date, time()) + timedelta(minutes=v.start) for v in plan.visits]
        assert [x.date() for x in local] == [v.date for v in plan.visits]  # wall time, never a shifted instant

    check(examples, claim)


@sampled(12)
def test_no_session_lies_on_a_holiday_and_every_long_gap_is_named(examples):
    def claim(raw):
        _, _, plan = answer(raw)
        if isinstance(plan, NoCourse):
            return
        closed = {x["id"]: set(x["closed"]) for x in raw["locations"]}
        assert not [v for v in plan.visits if v.day in closed[v.location]]
        long = [(a.number, b.day - a.day) for a, b in pairwise(plan.visits) if b.day - a.day > 4]
        assert [(gap.after, gap.days) for gap in plan.gaps] == long
        assert all(gap.expected or gap.causes for gap in plan.gaps)

    check(examples, claim)


@sampled(12)
def test_what_a_refusal_offers_opens_a_course(examples):
    def claim(raw):
        request, occupancy, no = answer(raw)
        if isinstance(no, CoursePlan):
            return
        assert no.text
        for change in no.relaxations:
            opened = plan_course(*relaxed(request, occupancy, change))
            assert isinstance(opened, CoursePlan)
            assert (opened.starts_on, opened.cost) == (change.starts_on, change.cost)

    check(examples, claim)


@sampled(8)
def test_proposals_differ_and_none_is_cheaper_than_the_first(examples):
    def claim(raw):
        request, occupancy = asked(raw)
        found = propose(request, occupancy)
        if isinstance(found, NoCourse):
            return
        plans = [offer.plan for offer in found]
        assert len({tuple((v.day, v.device, v.start) for v in plan.visits) for plan in plans}) == len(plans)
        assert min(plan.cost for plan in plans) == plans[0].cost
        for plan in plans:
            verdict = tool("checker").check(raw, {"patients": {"x": course_as_json(plan)}})
            assert (verdict["errors"], verdict["cost"]) == ([], plan.cost)

    check(examples, claim)


@pytest.mark.parametrize("zone", ZONES)
def test_the_zones_hold_both_kinds_of_change_or_none(zone):
    assert len(clock_changes(zone, 2026)) in (0, 2)


@sampled(40)
def test_looking_near_first_loses_nothing(examples):
    def claim(raw):
        request, occupancy = asked(raw)
        near = best_course(request, occupancy)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(search, "_affordable", every_day)
            assert best_course(request, occupancy) == near
        event("planned" if near else "none")

    check(examples, claim)


def every_day(_table, starts, bands, _most):
    (lo, hi), *rest = bands
    first = max(lo, starts[0]), min(hi, starts[1])
    return [first, *rest] if first[0] < first[1] else None
