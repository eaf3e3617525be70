"""Repair: what it must find on small calendars, and what it must never do on any."""

from dataclasses import replace
from itertools import pairwise

import pytest

from clinic.scheduling.planner import (
    ALL_DAY,
    DeviceOut,
    Occupancy,
    PersonOut,
    RunningCourse,
    SiteClosed,
    preview,
    repair,
)
from tests.clinic.scheduling.planner.builders import (
    make_device,
    make_location,
    make_occupancy,
    make_person,
    make_running,
    make_visit,
)

ANN, BOB = make_person("ann", days=28), make_person("bob", days=28)


def two_devices(**overrides) -> Occupancy:
    facts = {"days": 28, "devices": [make_device(), make_device("north-2")], "staff": [ANN, BOB]}
    return make_occupancy(**{**facts, **overrides})


def out(day, device="north-1", a=0, b=1440) -> DeviceOut:
    return DeviceOut(device, ((day, a, b),))


def changes(plan):
    return [(m.course, m.kind, m.new and (m.new.day, m.new.device, m.new.start)) for m in plan.moves]


def test_nothing_hit_means_nothing_changes():
    occupancy = two_devices()
    course = make_running(occupancy, "a", (0, "north-1", 540))
    plan = repair([course], occupancy, [out(1)], now=0)
    assert (plan.moves, plan.cost, plan.stage, plan.placed) == ((), 0, "unchanged", {})


def test_a_free_device_at_the_same_time_is_the_least_change():
    occupancy = two_devices()
    course = make_running(occupancy, "a", (0, "north-1", 540), (1, "north-1", 540))
    plan = repair([course], occupancy, [out(1)], now=0)
    assert changes(plan) == [("a", "other_device", (1, "north-2", 540))]
    assert (plan.cost, plan.bound, plan.stage, plan.is_proven) == (10, 10, "frozen", True)


def test_where_the_other_device_is_taken_the_start_shifts_as_little_as_can_be():
    occupancy = two_devices()
    course = make_running(occupancy, "a", (1, "north-1", 540))
    make_running(occupancy, "b", (1, "north-2", 540))
    plan = repair([course], occupancy, [out(1)], now=0)
    assert changes(plan) == [("a", "moved", (1, "north-2", 570))]
    assert (plan.cost, plan.moves[0].minutes, plan.moves[0].earlier) == (60 + 30 + 10, 30, False)


def test_a_move_to_an_earlier_time_needs_the_patients_yes():
    occupancy = two_devices()
    course = make_running(occupancy, "a", (1, "north-1", 540), windows=(((480, 570),),) * 7)
    make_running(occupancy, "b", (1, "north-2", 540))
    plan = repair([course], occupancy, [out(1)], now=0)
    assert (plan.moves[0].minutes, plan.needs_yes) == (-30, plan.moves)


def test_what_cannot_be_done_today_is_made_up_after_the_course():
    occupancy = two_devices(devices=[make_device()])
    course = make_running(occupancy, "a", (0, "north-1", 540), (1, "north-1", 540), (2, "north-1", 540))
    plan = repair([course], occupancy, [out(1)], now=0)
    assert changes(plan) == [("a", "moved", (3, "north-1", 540))]
    assert plan.breaches == ()


def test_a_gap_outside_the_rule_is_priced_named_and_needs_approval():
    occupancy = two_devices(devices=[make_device(down=tuple((day, 0, 1440) for day in range(1, 28)))])
    visits = tuple(make_visit(gap=(1, 1)) for _ in range(3))
    course = make_running(occupancy, "a", (0, "north-1", 540), (1, "north-1", 540), (7, "north-1", 540), visits=visits)
    occupancy = occupancy.with_device_down("north-1", ())
    plan = repair([course], occupancy, [out(1)], now=0)
    assert [(b.course, b.days, b.allowed) for b in plan.breaches] == [("a", 7, (1, 5))]
    assert plan.breaches[0].needs_approval


def test_neighbours_give_way_only_to_save_a_visit_or_a_gap():
    occupancy = two_devices(staff=[ANN, BOB])
    hit = make_running(occupancy, "hit", (25, "north-1", 540), windows=(((540, 570),),) * 7)
    neighbour = make_running(occupancy, "next", (25, "north-2", 540))
    plan = repair([hit, neighbour], occupancy, [out(25)], now=25)
    assert changes(plan) == [("hit", "other_device", (25, "north-2", 540)), ("next", "moved", (25, "north-2", 570))]
    assert (plan.stage, plan.moves[1].because, plan.dropped) == ("shifted", "makes_room", ())


def test_without_any_place_the_visit_is_named_as_dropped():
    occupancy = two_devices(devices=[make_device()])
    course = make_running(occupancy, "a", (25, "north-1", 540))
    plan = repair([course], occupancy, [out(25)], now=25)
    assert changes(plan) == [("a", "dropped", None)]
    assert (plan.cost, plan.placed) == (3000, {"a": (None,)})


def test_an_absence_moves_only_as_many_as_are_too_many():
    occupancy = two_devices()
    courses = [
        make_running(occupancy, "a", (1, "north-1", 540)),
        make_running(occupancy, "b", (1, "north-2", 540)),
        make_running(occupancy, "c", (1, "north-2", 600)),
    ]
    plan = repair(courses, occupancy, [PersonOut(frozenset({"bob"}), ((1, 0, 1440),))], now=0)
    assert len(plan.moves) == 1
    assert plan.moves[0].course in "ab"
    assert (plan.moves[0].because, plan.cost) == ("staff_are_free", 85)


def test_a_closed_site_sends_its_patients_to_another_they_accept():
    occupancy = two_devices(
        locations=[make_location(), make_location("south")],
        devices=[make_device(), make_device("south-1", "south")],
        staff=[ANN, make_person("sue", "south", days=28)],
    )
    course = make_running(occupancy, "a", (1, "north-1", 540), locations={"north": 0, "south": 6})
    plan = repair([course], occupancy, [SiteClosed("north", frozenset({1}))], now=0)
    assert changes(plan) == [("a", "other_device", (1, "south-1", 540))]
    assert (plan.cost, plan.moves[0].because) == (60, "location_is_open")


def test_only_what_lies_in_reach_of_the_event_is_mended():
    occupancy = two_devices(staff=[make_person(days=28, shifts=((1, 0, 1440),))])
    courses = [
        make_running(occupancy, "a", (1, "north-1", 540)),
        make_running(occupancy, "unstaffed", (2, "north-2", 540)),
    ]
    plan = repair(courses, occupancy, [out(1)], now=0)
    assert {m.course for m in plan.moves} == {"a"}


def test_today_nothing_moves_to_a_start_within_the_notice():
    occupancy = two_devices()
    course = make_running(occupancy, "a", (1, "north-1", 540))
    plan = repair([course], occupancy, [out(1)], now=1, now_minute=520, notice=60)
    assert plan.moves[0].new.start == 580
    assert plan.moves[0].new.day == 1


def test_a_visit_that_has_started_is_past():
    occupancy = two_devices()
    course = make_running(occupancy, "a", (1, "north-1", 540))
    assert repair([course], occupancy, [out(1)], now=1, now_minute=545).moves == ()


def test_hours_between_starts_are_kept_to_the_visits_around():
    occupancy = two_devices(locations=[make_location(hours=(((480, 1140),),) * 7)])
    places = (0, "north-1", 900), (1, "north-1", 900), (2, "north-1", 900)
    course = make_running(
        occupancy, "a", *places, min_hours=20, windows=(((480, 660), (1080, 1140)), *ALL_DAY[1:])[:1] * 7
    )
    plan = repair([course], occupancy, [out(1)], now=0)
    times = [v.day * 1440 + v.start for v in sorted(filter(None, plan.placed["a"]), key=lambda v: v.day)]
    assert all(b - a >= 1200 for a, b in pairwise(times))


def test_two_courses_of_one_person_do_not_meet():
    occupancy = two_devices(devices=[make_device(), make_device("north-2"), make_device("north-3")], staff=[ANN, BOB])
    window = (((540, 600),),) * 7
    courses = [
        make_running(occupancy, "a", (25, "north-1", 540), windows=window, person="p"),
        make_running(occupancy, "b", (25, "north-1", 570), windows=window, person="p"),
    ]
    plan = repair(courses, occupancy, [out(25)], now=25)
    spans = sorted((m.new.start, m.new.end) for m in plan.moves if m.new)
    assert len(spans) == 2
    assert spans[0][1] <= spans[1][0]


def test_a_missed_visit_is_made_up_after_the_last_one():
    occupancy = two_devices()
    course = make_running(occupancy, "a", (0, "north-1", 540), (1, "north-1", 540), missed=(0,))
    plan = repair([course], occupancy, now=1, now_minute=0, notice=0)
    assert changes(plan) == [("a", "made_up", (2, "north-1", 540))]


def test_mapping_stays_before_the_first_session():
    occupancy = two_devices(devices=[make_device()])
    visits = (make_visit(gap=None, ideal=None, need="map", consistent=False), make_visit())
    course = make_running(occupancy, "a", (2, "north-1", 540), (4, "north-1", 540), visits=visits)
    plan = repair([course], occupancy, [out(2)], now=0)
    assert [m.new.day for m in plan.moves] == [3]


def test_events_may_be_in_the_occupancy_already():
    occupancy = two_devices()
    course = make_running(occupancy, "a", (1, "north-1", 540))
    applied = occupancy.with_device_down("north-1", ((1, 0, 1440),))
    assert repair([course], applied, [out(1)], now=0, applied=True) == repair([course], occupancy, [out(1)], now=0)


def test_the_preview_never_costs_less_and_nothing_is_booked_by_asking():
    occupancy = two_devices()
    courses = [make_running(occupancy, f"c{i}", (1, "north-1", 480 + 30 * i)) for i in range(8)]
    used = occupancy.bookings_on.copy()
    plan, quick = repair(courses, occupancy, [out(1)], now=0), preview(courses, occupancy, [out(1)], now=0)
    assert plan.cost <= quick.cost
    assert quick.bound is None
    assert (occupancy.bookings_on == used).all()


def test_a_course_needs_a_place_for_each_visit():
    course = make_running(two_devices(), "a", (0, "north-1", 540))
    with pytest.raises(ValueError, match="0 places for 1 visits"):
        replace(course, placed=())
    assert isinstance(course, RunningCourse)
