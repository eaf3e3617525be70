from datetime import date

import pytest

from clinic.scheduling.planner import Booking, breaches, why_not
from clinic.scheduling.planner.rules import COURSE_RULES, HARD_RULES
from tests.clinic.scheduling.planner.builders import (
    make_device,
    make_location,
    make_occupancy,
    make_person,
    make_request,
    make_visit,
)

AT_9 = (0, "north-1", 540)


def refusal(at=AT_9, *, visit=None, request=None, occupancy=None):
    return why_not(request or make_request(), occupancy or make_occupancy(), visit or make_visit(), at)


def test_a_free_time_is_allowed():
    assert refusal() is None


def test_a_start_off_the_grid_is_refused():
    assert refusal((0, "north-1", 542)) == "start_is_on_grid"


def test_an_unknown_device_is_refused():
    assert refusal((0, "south-9", 540)) == "device_is_known"


def test_a_day_before_today_is_refused():
    assert refusal(request=make_request(not_before=1)) == "day_is_inside_horizon"


def test_a_device_without_the_capability_is_refused():
    assert refusal(visit=make_visit(capability="deep")) == "device_has_capability"


def test_a_location_the_patient_does_not_accept_is_refused():
    assert refusal(request=make_request(locations={"south": 0})) == "location_is_accepted"


def test_sessions_of_one_day_need_room_for_the_turnover():
    tight, roomy = make_visit(offsets=(0, 25)), make_visit(offsets=(0, 30))
    assert refusal(visit=tight) == "device_has_capability"
    assert refusal(visit=roomy) is None


# -- location_is_open


def test_the_turnover_ends_before_closing():
    assert refusal((0, "north-1", 690)) is None
    assert refusal((0, "north-1", 695)) == "location_is_open"


def test_no_session_before_opening():
    assert refusal((0, "north-1", 475)) == "location_is_open"


def test_no_session_on_a_closed_day():
    occupancy = make_occupancy(locations=[make_location(closed=frozenset({0}))])
    assert refusal(occupancy=occupancy) == "location_is_open"
    assert refusal((1, "north-1", 540), occupancy=occupancy) is None


def test_special_hours_replace_those_of_the_week():
    occupancy = make_occupancy(locations=[make_location(special={0: ((480, 540),), 5: ((480, 720),)})])
    assert refusal(occupancy=occupancy) == "location_is_open"
    assert refusal((5, "north-1", 540), occupancy=occupancy) is None


def test_a_session_lies_inside_one_opening_window_even_if_two_touch():
    occupancy = make_occupancy(locations=[make_location(hours=(((480, 550), (550, 720)),) * 7)])
    assert refusal(occupancy=occupancy) == "location_is_open"
    assert refusal((0, "north-1", 550), occupancy=occupancy) is None


# -- device_is_up, device_is_free


def test_maintenance_blocks_until_its_end():
    occupancy = make_occupancy(devices=[make_device(down=((0, 540, 600),))])
    assert refusal((0, "north-1", 515), occupancy=occupancy) == "device_is_up"
    assert refusal((0, "north-1", 510), occupancy=occupancy) is None
    assert refusal((0, "north-1", 600), occupancy=occupancy) is None


def test_sessions_that_touch_with_the_turnover_between_do_not_overlap():
    occupancy = make_occupancy(
        bookings=[Booking("north-1", 0, 540, 25, "tms")], staff=[make_person(), make_person("bob")]
    )
    assert refusal((0, "north-1", 510), occupancy=occupancy) is None
    assert refusal((0, "north-1", 515), occupancy=occupancy) == "device_is_free"
    assert refusal((0, "north-1", 565), occupancy=occupancy) == "device_is_free"
    assert refusal((0, "north-1", 570), occupancy=occupancy) is None


# -- patient rules


def test_no_visit_on_a_day_away():
    assert refusal(request=make_request(away=frozenset({0}))) == "patient_is_here"
    assert refusal((1, "north-1", 540), request=make_request(away=frozenset({0}))) is None


def test_the_whole_visit_day_lies_inside_one_window():
    request = make_request(windows=(((480, 600), (600, 660)),) * 7)
    assert refusal((0, "north-1", 575), request=request) is None
    assert refusal((0, "north-1", 580), request=request) == "inside_one_window"


def test_ten_sessions_need_the_window_from_first_start_to_last_end():
    visit = make_visit(duration=10, offsets=(0, 60, 120))
    assert refusal((0, "north-1", 540), visit=visit, request=make_request(windows=(((540, 670),),) * 7)) is None
    assert refusal(visit=visit, request=make_request(windows=(((540, 665),),) * 7)) == "inside_one_window"


def test_no_visit_over_another_appointment_of_the_patient():
    request = make_request(busy=((0, 560, 600),))
    assert refusal(request=request) == "patient_is_free"
    assert refusal((0, "north-1", 535), request=request) is None
    assert refusal((0, "north-1", 600), request=request) is None


def test_a_continued_course_keeps_the_hours_since_its_last_visit():
    request = make_request(min_hours=21, continued=True, previous_day=0, previous_start=700)
    assert refusal((1, "north-1", 515), request=request) == "rested_since_last_visit"
    assert refusal((1, "north-1", 520), request=request) is None


# -- staff


def test_someone_is_on_shift_and_not_on_a_break():
    person = make_person(shifts=((0, 480, 720),), breaks=((0, 550, 580),))
    occupancy = make_occupancy(staff=[person])
    assert refusal(occupancy=occupancy) == "staff_are_on_shift"
    assert refusal((0, "north-1", 525), occupancy=occupancy) is None
    assert refusal((0, "north-1", 580), occupancy=occupancy) is None


def test_a_mapping_needs_a_mapping_operator():
    occupancy = make_occupancy(staff=[make_person(skills=frozenset({"tms"}))])
    assert refusal(visit=make_visit(need="map"), occupancy=occupancy) == "staff_are_on_shift"
    assert refusal(occupancy=occupancy) is None


def test_one_operator_serves_one_session_at_a_time():
    two = [make_device(), make_device("north-2")]
    occupancy = make_occupancy(devices=two, bookings=[Booking("north-2", 0, 540, 25, "tms")])
    assert refusal(occupancy=occupancy) == "staff_are_free"
    assert refusal((0, "north-1", 565), occupancy=occupancy) is None


def test_a_mapping_operator_who_treats_is_not_free_to_map():
    devices = [make_device(f"north-{i}") for i in (1, 2, 3)]
    staff = [make_person("ann"), make_person("bob", skills=frozenset({"tms"}))]
    one = make_occupancy(devices=devices, staff=staff, bookings=[Booking("north-2", 0, 540, 25, "tms")])
    two = make_occupancy(
        devices=devices,
        staff=staff,
        bookings=[Booking("north-2", 0, 540, 25, "map"), Booking("north-3", 0, 540, 25, "tms")],
    )
    assert refusal(visit=make_visit(need="map"), occupancy=one) is None
    assert refusal(visit=make_visit(need="map"), occupancy=two) == "staff_are_free"


def test_one_mapping_operator_maps_one_patient_however_many_treat():
    devices = [make_device(), make_device("north-2")]
    staff = [make_person("ann"), *(make_person(n, skills=frozenset({"tms"})) for n in ("bob", "cy"))]
    occupancy = make_occupancy(devices=devices, staff=staff, bookings=[Booking("north-2", 0, 540, 25, "map")])
    assert refusal(visit=make_visit(need="map"), occupancy=occupancy) == "staff_are_free"
    assert refusal(occupancy=occupancy) is None


def test_chairs_in_use_stay_within_the_observers():
    devices = [make_device(f"north-{i}") for i in (1, 2, 3)]
    taken = [Booking("north-2", 0, 540, 25, "obs"), Booking("north-3", 0, 540, 25, "obs")]
    two = make_occupancy(devices=devices, bookings=taken, observer_capacity=2)
    three = make_occupancy(devices=devices, bookings=taken, observer_capacity=3)
    assert refusal(visit=make_visit(need="obs"), occupancy=two) == "staff_are_free"
    assert refusal(visit=make_visit(need="obs"), occupancy=three) is None


def test_every_session_of_an_accelerated_day_needs_the_operator():
    visit = make_visit(duration=10, offsets=(0, 60, 120))
    occupancy = make_occupancy(staff=[make_person(breaks=((0, 600, 630),))])
    assert refusal(visit=visit, occupancy=occupancy) == "staff_are_on_shift"
    assert refusal((0, "north-1", 510), visit=visit, occupancy=occupancy) is None


# -- course rules


def rules_broken(course, **overrides):
    return [(b.rule, b.visit) for b in breaches(make_request(len(course), **overrides), make_occupancy(), course)]


def test_a_course_by_the_rules_has_no_breach():
    assert rules_broken([(0, "north-1", 540), (1, "north-1", 540), (4, "north-1", 600)]) == []


def test_every_visit_is_planned():
    found = breaches(make_request(3), make_occupancy(), [(0, "north-1", 540)])
    assert [b.rule for b in found] == ["every_visit_is_planned"]


@pytest.mark.parametrize(("latest", "broken"), [(1, []), (0, [("first_visit_is_in_window", 0)])])
def test_the_first_visit_falls_into_the_start_window(latest, broken):
    assert rules_broken([(1, "north-1", 540)], latest_start=latest) == broken


def test_a_continued_course_has_no_start_window():
    assert rules_broken([(1, "north-1", 540)], latest_start=0, continued=True) == []


@pytest.mark.parametrize(("day", "broken"), [(4, []), (0, [("gaps_are_allowed", 1)]), (7, [("gaps_are_allowed", 1)])])
def test_gaps_count_calendar_days(day, broken):
    assert rules_broken([(0, "north-1", 540), (day, "north-1", 600)]) == broken


def test_a_continued_course_keeps_the_gap_to_its_last_visit():
    assert rules_broken([(9, "north-1", 540)], continued=True, previous_day=4) == [("gaps_are_allowed", 0)]


def test_hours_between_starts():
    near, far = [(0, "north-1", 690), (1, "north-1", 480)], [(0, "north-1", 690), (1, "north-1", 570)]
    assert rules_broken(near, min_hours=22) == [("hours_between", 1)]
    assert rules_broken(far, min_hours=22) == []


def test_hours_between_starts_count_the_spring_change():
    location = make_location(hours=(((480, 720),),) * 7, tz="America/Los_Angeles")
    occupancy = make_occupancy(start=date(2026, 3, 2), locations=[location])
    course = [(5, "north-1", 540), (6, "north-1", 540)]  # Saturday and Sunday, March 8
    assert [b.rule for b in breaches(make_request(2, min_hours=24), occupancy, course)] == ["hours_between"]
    assert breaches(make_request(2, min_hours=23), occupancy, course) == []


def test_every_rule_is_named_once():
    names = [rule.__name__ for rule in (*HARD_RULES, *COURSE_RULES)]
    assert len(names) == len(set(names)) == 14
