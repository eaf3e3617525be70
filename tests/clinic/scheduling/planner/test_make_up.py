import pytest

from clinic.scheduling.planner import make_ups
from tests.clinic.scheduling.planner.builders import (
    make_device,
    make_occupancy,
    make_person,
    make_running,
    make_visit,
)


def calendar(**overrides):
    facts = {"days": 42, "devices": [make_device(), make_device("north-2")], "staff": [make_person(days=42)]}
    return make_occupancy(**{**facts, **overrides})


def places(found):
    return [(x.visit.day, x.visit.device, x.visit.start) for x in found]


def test_the_soonest_days_after_the_last_visit_at_the_usual_time():
    occupancy = calendar()
    course = make_running(occupancy, "a", (0, "north-1", 540), (1, "north-1", 540))
    found = make_ups(course, make_visit(), occupancy, now=1)
    assert places(found) == [(2, "north-1", 540), (3, "north-1", 540), (4, "north-1", 540)]
    assert found[0].visit.number == 3
    assert found[0].text == "Wed Jan 7 at 9:00, 1 day after the session before"


def test_a_taken_time_gives_way_to_the_nearest():
    occupancy = calendar(devices=[make_device()])
    course = make_running(occupancy, "a", (0, "north-1", 540))
    make_running(occupancy, "b", (1, "north-1", 540))
    first = make_ups(course, make_visit(), occupancy, now=0, count=1)[0]
    assert (first.visit.day, abs(first.minutes), first.breach) == (1, 30, None)


def test_a_gap_of_five_days_is_always_allowed_and_a_longer_one_where_the_protocol_has_it():
    occupancy = calendar(devices=[make_device(down=tuple((day, 0, 1440) for day in range(1, 7)))])
    course = make_running(occupancy, "a", (0, "north-1", 540))
    daily, weekly = make_visit(gap=(1, 4)), make_visit(gap=(3, 8))
    assert make_ups(course, weekly, occupancy, now=0, count=1)[0].breach is None
    late = make_ups(course, daily, occupancy, now=0, count=1)[0]
    assert (late.gap, late.breach.allowed, late.breach.needs_approval) == (7, (1, 5), True)


def test_breaches_are_offered_only_where_nothing_keeps_the_rule():
    occupancy = calendar(devices=[make_device(down=((2, 0, 1440), (3, 0, 1440), (4, 0, 1440)))])
    course = make_running(occupancy, "a", (0, "north-1", 540))
    found = make_ups(course, make_visit(), occupancy, now=0, count=3)
    assert [(x.visit.day, x.breach) for x in found] == [(1, None)]


def test_today_counts_only_from_the_notice_on():
    occupancy = calendar()
    course = make_running(occupancy, "a", (0, "north-1", 540))
    asked = {"now": 1, "now_minute": 500, "count": 1}
    assert make_ups(course, make_visit(), occupancy, notice=60, **asked)[0].visit.start == 560
    assert make_ups(course, make_visit(), occupancy, notice=300, **asked)[0].visit.day == 2


def test_the_hours_between_starts_are_kept():
    occupancy = calendar()
    course = make_running(occupancy, "a", (0, "north-1", 690), min_hours=24)
    assert make_ups(course, make_visit(), occupancy, now=0, usual=("north-2", 480))[0].visit.start == 690


def test_the_usual_place_may_be_given():
    occupancy = calendar()
    course = make_running(occupancy, "a", (0, "north-1", 600))
    found = make_ups(course, make_visit(), occupancy, now=0, usual=("north-2", 480), count=1)
    assert places(found) == [(1, "north-2", 480)]


def test_nothing_is_made_up_before_anything_was_given():
    occupancy = calendar()
    with pytest.raises(ValueError, match="plan the course anew"):
        make_ups(make_running(occupancy, "a"), make_visit(), occupancy, now=0)


def test_no_place_at_all_is_an_empty_answer():
    occupancy = calendar(days=3, devices=[make_device(down=((1, 0, 1440), (2, 0, 1440)))])
    course = make_running(occupancy, "a", (0, "north-1", 540))
    assert make_ups(course, make_visit(), occupancy, now=0) == ()
