"""Every protocol of the catalogue is planned, over closures and clock changes, by the rules it states."""

from dataclasses import replace
from datetime import date
from itertools import pairwise

import pytest

from clinic.protocols.base import catalogue
from clinic.protocols.shapes import bookable
from clinic.scheduling.planner import Booking, CoursePlan, CourseRequest, best_course, breaches
from clinic.scheduling.planner.calendar import hours_between, to_utc
from clinic.scheduling.planner.visits import next_stage, rest_of, visits_of
from tests.clinic.scheduling.planner.builders import make_device, make_location, make_occupancy, make_person

LA = "America/Los_Angeles"
DAYS = 110
KEYS = sorted(bookable())


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
    protocol = bookable()[key]
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
        assert all(hours_between(a, b) >= request.min_hours for a, b in pairwise(instants))


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
    assert plan.visits[0].date < closed[0]
    assert plan.visits[-1].date > closed[0] or len(plan.visits) == 1
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


# -- accelerated days and others on one device


def take(occupancy, plan, request):
    for spec, visit in zip(request.visits, plan.visits, strict=True):
        for offset in spec.offsets:
            occupancy.book(Booking(visit.device, visit.day, visit.start + offset, spec.duration, spec.need))


def held(plan, request):
    return [
        (v.day, v.start + offset, v.start + offset + spec.duration + 5)
        for spec, v in zip(request.visits, plan.visits, strict=True)
        for offset in spec.offsets
    ]


def test_a_daily_course_is_woven_into_the_gaps_of_an_accelerated_day():
    occupancy = clinic_from(date(2026, 6, 1))
    fast = request_for("saint_snt", windows=(((480, 1080),),) * 7)
    first = best_course(fast, occupancy)
    take(occupancy, first, fast)
    slow = request_for("itbs_left", windows=(((600, 780),),) * 7)
    second = best_course(slow, occupancy)
    assert_sound(second, slow, occupancy)
    taken = sorted(held(first, fast) + held(second, slow))
    assert all(a[0] < b[0] or a[2] <= b[1] for a, b in pairwise(taken))
    woven = {v.day for v in first.visits} & {v.day for v in second.visits}
    assert len(woven) >= 5
    for v in second.visits[1:]:
        if v.day in woven:
            assert first.visits[1].start < v.start < first.visits[1].start + 540


def test_four_accelerated_patients_rotate_on_one_device_and_a_fifth_finds_no_room():
    occupancy = clinic_from(date(2026, 6, 1))
    plans = []
    for n in range(5):
        # the mapping is Monday to Friday of the first week, the five days those of the second
        request = request_for("saint_snt", windows=(((420, 1140),),) * 5 + ((), ()), latest_start=4, release=n % 5)
        request = replace(
            request,
            visits=tuple(
                replace(v, gap=(3, 8)) if v.kind == "daily" and k == 1 else v for k, v in enumerate(request.visits)
            ),
        )
        plan = best_course(request, occupancy)
        plans.append(plan)
        if plan is not None:
            take(occupancy, plan, request)
    assert [plan is not None for plan in plans] == [True, True, True, True, False]
    assert len({p.visits[1].start % 60 for p in plans[:4]}) == 4
    assert {p.visits[1].day for p in plans[:4]} == {7}


def test_the_rest_of_an_accelerated_course_is_planned_as_it_goes_on():
    rest = rest_of(bookable()["saint_snt"], delivered=25, planned=51, days_since=1)
    request = request_for("saint_snt", visits=visits_of(bookable()["saint_snt"], rest.part.visits))
    request = replace(request, previous_day=0, previous_start=840, not_before=1, release=1, first_number=4)
    plan = best_course(request, clinic_from(date(2026, 6, 1)))
    assert [(v.number, v.day) for v in plan.visits] == [(4, 1), (5, 2), (6, 3)]
    assert plan.visits[0].end - plan.visits[0].start == 5 * 60 + 10


def test_the_extension_of_a_staged_course_follows_its_last_session():
    noridian = bookable()["itbs_left.noridian"]
    _, part = next_stage(noridian, 25)
    request = request_for("itbs_left.noridian", visits=visits_of(noridian, part.visits), continued=True)
    request = replace(request, previous_day=4, previous_start=600, not_before=5, first_number=part.visits[0].number)
    occupancy = clinic_from(date(2026, 6, 1))
    plan = best_course(request, occupancy)
    assert_sound(plan, request, occupancy)
    assert (plan.visits[0].day, plan.visits[0].number, len(plan.visits), plan.cost) == (7, 26, 16, 0)


@pytest.mark.parametrize("key", [k for k in KEYS if catalogue().get(k) is None and bookable()[k].follows])
def test_maintenance_keeps_its_weeks_after_the_last_session(key):
    request, occupancy = request_for(key), clinic_from(date(2026, 6, 1))
    request = replace(request, previous_day=0, previous_start=600, continued=True, not_before=1)
    plan = best_course(request, occupancy)
    low, high = request.visits[0].ideal
    assert low <= occupancy.weekdays_between(0, plan.visits[0].day) <= high
    assert plan.cost == 0
