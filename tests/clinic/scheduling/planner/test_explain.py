"""A refusal names the visit, the days and what would open a course; what it offers is true."""

from dataclasses import replace
from datetime import date

import pytest

from clinic.scheduling.planner import Booking, CoursePlan, NoCourse, Relaxation, plan_course, relaxed, why_this_time
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


def by_kind(no):
    return {r.kind: r for r in no.relaxations}


def opens(request, occupancy, relaxation):
    plan = plan_course(*relaxed(request, occupancy, relaxation))
    return isinstance(plan, CoursePlan) and (plan.starts_on, plan.cost) == (relaxation.starts_on, relaxation.cost)


def full_days(*days, device="north-1"):
    return [Booking(device, day, 480, 235, "tms") for day in days]


def test_a_closure_longer_than_the_hard_gap_names_the_visit_and_the_days():
    occupancy = make_occupancy(
        start=date(2026, 11, 23), locations=[make_location(closed=frozenset({3, 4}))]
    )  # Thanksgiving on a Thursday, and its Friday
    visits = tuple(make_visit(gap=(1, 4)) for _ in range(5))
    no = plan_course(make_request(visits=visits, latest_start=0), occupancy)
    assert isinstance(no, NoCourse)
    assert (no.rule, no.visit) == ("location_is_open", 4)
    assert [d.date.day for d in no.days] == [26, 27, 28, 29]
    assert by_kind(no)["gaps"].amount == 1
    assert by_kind(no)["start_window"].days == (7,)


def test_a_taken_week_is_opened_by_moving_the_fewest_bookings():
    request = make_request(3, latest_start=1)
    occupancy = make_occupancy(bookings=full_days(0, 2, 3, 4))
    no = plan_course(request, occupancy)
    assert (no.rule, no.visit) == ("device_is_free", 2)
    assert (by_kind(no)["bookings"].amount, by_kind(no)["bookings"].days) == (1, (4,))  # Friday, then Monday


def test_an_absent_operator_is_named_and_hired():
    person = make_person(shifts=tuple((day, 480, 720) for day in (0, 1, 7, 8)))
    request = make_request(3, latest_start=1)
    no = plan_course(request, make_occupancy(staff=[person]))
    assert no.rule == "staff_are_on_shift"
    assert by_kind(no)["staff"].days == (2,)


def test_days_away_are_asked_back_only_where_needed():
    request = make_request(3, away=frozenset({1, 2, 3, 4, 9, 10}), latest_start=0)
    no = plan_course(request, make_occupancy())
    assert no.rule == "patient_is_here"
    assert len(by_kind(no)["days_away"].days) == 1


def test_hours_widen_by_the_smallest_step():
    request = make_request(2, windows=(((480, 540),),) * 7, latest_start=0)
    occupancy = make_occupancy(bookings=[Booking("north-1", day, 480, 110, "tms") for day in range(5)])
    no = plan_course(request, occupancy)
    assert by_kind(no)["windows"].amount == 90  # taken until 9:55; 9:55 to 10:20 lies inside 10:30


def test_one_more_weekday_opens_a_course_and_the_cheapest_is_named():
    mondays = (((480, 720),), *((),) * 6)
    no = plan_course(make_request(3, windows=mondays), make_occupancy())  # gaps of at most four days
    change = by_kind(no)["weekdays"]
    assert (change.amount, change.weekdays) == (1, (3,))  # Monday, Thursday, Monday: three and four days
    assert change.text == "also on Thursdays"
    assert change.starts_on == date(2026, 1, 5)


def test_a_weekday_on_which_the_protocol_is_not_given_is_never_offered():
    week = (((480, 720),),) * 7
    occupancy = make_occupancy(locations=[make_location(hours=week)], bookings=full_days(*range(5), *range(7, 12)))
    request = make_request(2, windows=(((480, 720),),) * 5 + ((), ()), given_on=frozenset(range(5)))
    no = plan_course(request, occupancy)
    assert {"weekdays", "windows"}.isdisjoint(by_kind(no))
    assert "weekdays" in by_kind(plan_course(replace(request, given_on=frozenset(range(7))), occupancy))


def test_a_weekend_that_the_protocol_does_not_know_is_named_so():
    request = make_request(1, given_on=frozenset(range(5)), release=5, latest_start=6)
    occupancy = make_occupancy(locations=[make_location(hours=(((480, 720),),) * 7)])
    no = plan_course(request, occupancy)
    assert no.rule == "given_on_this_weekday"
    assert [d.text for d in no.days] == [
        "Sat Jan 10: not given on this weekday",
        "Sun Jan 11: not given on this weekday",
    ]


def test_where_one_change_is_not_enough_two_together_are_offered():
    request = make_request(2, windows=(((480, 500),),) * 7, latest_start=0, away=frozenset({1, 2, 3, 4}))
    no = plan_course(request, make_occupancy())
    (both,) = no.relaxations
    assert (both.kind, both.amount, [part.kind for part in both.parts]) == ("several", 2, ["start_window", "windows"])
    assert opens(request, make_occupancy(), both)
    assert all(isinstance(plan_course(*relaxed(request, make_occupancy(), part)), NoCourse) for part in both.parts)


def test_the_first_visit_of_a_running_course_is_bound_by_its_gap():
    request = make_request(2, continued=True, previous_day=0, previous_start=480, not_before=6)
    no = plan_course(request, make_occupancy())
    assert (no.rule, no.days) == ("gaps_are_allowed", ())
    assert by_kind(no)["gaps"].amount == 3  # Monday to the next Monday
    assert no.text == "visit 1 (daily) fits on no day of the gap allowed after the session before"


def test_another_location_opens_a_course():
    locations, devices = [make_location(), make_location("south")], [make_device(), make_device("south-1", "south")]
    occupancy = make_occupancy(
        locations=locations,
        devices=devices,
        staff=[make_person(), make_person("bob", "south")],
        bookings=full_days(*range(14)),
    )
    no = plan_course(make_request(2), occupancy)
    assert by_kind(no)["locations"].location == "south"


def test_a_request_that_nothing_can_open_offers_nothing():
    no = plan_course(make_request(2), make_occupancy(locations=[make_location(closed=frozenset(range(14)))]))
    assert no.relaxations == ()
    assert no.rule == "location_is_open"


def test_a_course_beyond_the_horizon_says_so():
    no = plan_course(make_request(12), make_occupancy())
    assert (no.rule, no.visit) == ("day_is_inside_horizon", 11)


@pytest.mark.parametrize(("seed", "grid"), [(103, 5), (117, 15)])
def test_every_offered_change_opens_a_course_and_gives_what_it_says(seed, grid):
    util = {103: 0.95, 117: 0.9}[seed]
    question = from_instance(parse_instance(tool("instances").make("online", seed=seed, grid=grid, util=util)))
    offers = 0
    for request in question.requests.values():
        answer = plan_course(request, question.occupancy)
        if isinstance(answer, NoCourse):
            assert answer.days
            assert answer.relaxations
            assert all(opens(request, question.occupancy, r) for r in answer.relaxations)
            offers += len(answer.relaxations)
    assert offers > 10


def test_blocked_days_name_their_own_cause():
    occupancy = make_occupancy(bookings=full_days(1), locations=[make_location(closed=frozenset({2}))])
    request = make_request(2, visits=(make_visit(), make_visit(gap=(1, 3))), away=frozenset({3}), latest_start=0)
    no = plan_course(request, occupancy)
    assert [d.rule for d in no.days] == ["device_is_free", "location_is_open", "patient_is_here"]
    assert no.days[0].text == "Tue Jan 6: every fitting device time is taken"


def test_a_plan_says_why_it_starts_when_it_does():
    plan = plan_course(make_request(2), make_occupancy(bookings=full_days(0)))
    assert plan.why == (
        "starts Tue Jan 6, 1 weekday after the first possible day; no course can start sooner",
        "every session at 8:00",
    )


def test_why_this_time_names_what_blocks_the_usual_one():
    request = make_request(3, visits=tuple(make_visit(gap=(1, 1)) for _ in range(3)), latest_start=0)
    plan = plan_course(request, make_occupancy(bookings=[Booking("north-1", 1, 480, 25, "tms")]))
    notes = why_this_time(plan, request, make_occupancy(bookings=[Booking("north-1", 1, 480, 25, "tms")]))
    assert plan.anchor == 510 or list(notes) == [2]
    moved = replace(plan, anchor=480)
    occupancy = make_occupancy(bookings=[Booking("north-1", 1, 480, 25, "tms")])
    assert (
        why_this_time(moved, request, occupancy)[2]
        == "Tue Jan 6 at 8:00 on north-1: every fitting device time is taken"
    )


def test_an_unknown_kind_of_change_is_an_error():
    with pytest.raises(ValueError, match="magic"):
        relaxed(make_request(), make_occupancy(), Relaxation("magic", 1, ""))
