"""Every protocol of the catalogue is planned, over closures and clock changes, by the rules it states."""

from datetime import date
from itertools import pairwise

import pytest

from clinic.protocols.base import catalogue
from clinic.scheduling.planner import Booking, CoursePlan, CourseRequest, best_course, breaches
from clinic.scheduling.planner.calendar import hours_between, to_utc
from clinic.scheduling.planner.visits import visits_of
from tests.clinic.scheduling.planner.builders import make_device, make_location, make_occupancy, make_person

LA = "America/Los_Angeles"
DAYS = 110
KEYS = sorted(catalogue())


def clinic_from(start, *, closed=(), unit=5):
    location = make_location(
        hours=(((420, 1140),),) * 5 + (((480, 780),), ()), closed=frozenset((day - start).days for day in closed), tz=LA
    )
    every = frozenset(catalogue())
    devices = [make_device(capabilities=every), make_device("north-c", kind="chair", capabilities=every)]
    return make_occupancy(
        start=start, days=DAYS, locations=[location], devices=devices, staff=[make_person(days=DAYS)], unit=unit
    )


def request_for(key, **overrides):
    protocol = catalogue()[key]
    facts = {
        "visits": visits_of(protocol),
        "device_kind": protocol.device_kind,
        "locations": {"north": 0},
        "min_hours": protocol.min_hours,
    }
    return CourseRequest(**{**facts, **overrides})


def assert_sound(plan, request, occupancy):
    assert isinstance(plan, CoursePlan)
    assert breaches(request, occupancy, [(v.day, v.device, v.start) for v in plan.visits]) == []
    instants = [to_utc(v.date, v.start, LA) for v in plan.visits]
    if request.min_hours is not None:
        assert min(hours_between(a, b) for a, b in pairwise(instants)) >= request.min_hours


@pytest.mark.parametrize("key", KEYS)
def test_an_empty_calendar_takes_every_protocol_without_a_gap(key):
    request, occupancy = request_for(key), clinic_from(date(2026, 6, 1))
    plan = best_course(request, occupancy)
    assert_sound(plan, request, occupancy)
    assert plan.cost == plan.parts.wait <= 10  # five days in a row start after a weekend


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("start", [date(2026, 2, 16), date(2026, 10, 12)], ids=["spring", "autumn"])
def test_every_protocol_keeps_its_wall_time_over_a_clock_change(key, start):
    request, occupancy = request_for(key, latest_start=4), clinic_from(start)
    plan = best_course(request, occupancy)
    assert_sound(plan, request, occupancy)
    assert {v.start for v in plan.visits} == {plan.anchor}


@pytest.mark.parametrize("key", [k for k in KEYS if k != "saint_snt"])
def test_every_protocol_runs_over_thanksgiving(key):
    closed = [date(2026, 11, 26), date(2026, 11, 27)]
    request, occupancy = request_for(key, latest_start=4), clinic_from(date(2026, 11, 9), closed=closed)
    plan = best_course(request, occupancy)
    assert_sound(plan, request, occupancy)
    assert plan.visits[0].date < closed[0] < plan.visits[-1].date
    assert not {v.date for v in plan.visits} & set(closed)


def test_five_days_in_a_row_wait_until_after_thanksgiving():
    closed = [date(2026, 11, 26), date(2026, 11, 27)]
    request, occupancy = request_for("saint_snt"), clinic_from(date(2026, 11, 24), closed=closed)
    plan = best_course(request, occupancy)
    assert_sound(plan, request, occupancy)
    assert [v.date.isoformat() for v in plan.visits[1:]] == [f"2026-11-{30}", *(f"2026-12-0{d}" for d in range(1, 5))]


@pytest.mark.parametrize("key", KEYS)
def test_a_saturated_morning_still_keeps_the_hours_between(key):
    """A different half of the day is taken each day, so that starts must jump."""
    occupancy = clinic_from(date(2026, 2, 16))
    for day in range(DAYS):
        for device in ("north-1", "north-c"):
            start, length = ((420, 200), (780, 355))[day % 2]
            occupancy.book(Booking(device, day, start, length, None))
    request = request_for(key)
    plan = best_course(request, occupancy)
    if key == "saint_snt":  # its day is longer than what is left of any
        assert plan is None
    else:
        assert_sound(plan, request, occupancy)


def test_esketamine_is_never_given_on_two_consecutive_days():
    request = request_for("esketamine_trd")
    plan = best_course(request, clinic_from(date(2026, 6, 1)))
    gaps = [b.day - a.day for a, b in pairwise(plan.visits)]
    assert min(gaps) >= 2


def test_a_slot_holds_the_turnover():
    visits = visits_of(catalogue()["tms_10hz_left_dash"], grid=10, turnover=5)
    assert [v.duration for v in visits[:2]] == [85, 25]
    assert visits_of(catalogue()["itbs_left"], grid=10, turnover=5)[1].duration == 15
