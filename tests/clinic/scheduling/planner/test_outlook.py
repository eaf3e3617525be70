"""The next start of a site before there is a patient, and what another device or shift would do to it."""

from datetime import timedelta

import pytest

from clinic.protocols.base import catalogue
from clinic.scheduling.planner import (
    Booking,
    Extra,
    another_device,
    another_shift,
    best_course,
    breaches,
    earliest_start,
    earliest_starts,
    question_for,
    starts_with,
)
from clinic.scheduling.planner.instance import from_instance, parse_instance
from tests.clinic.scheduling.planner.builders import (
    MONDAY,
    WEEKDAYS_8_TO_12,
    make_device,
    make_location,
    make_occupancy,
    make_person,
    make_request,
    tool,
)

DAYS = 120
EVERY = frozenset(catalogue())
DASH = "tms_10hz_left_dash"
EVENING = (720, 900)


def day(number):
    return MONDAY + timedelta(days=number)


def north_and_south(**overrides):
    facts = {
        "days": DAYS,
        "locations": [make_location(), make_location("south")],
        "devices": [make_device(capabilities=EVERY), make_device("south-1", "south", capabilities=EVERY)],
        "staff": [make_person(days=DAYS), make_person("bob", "south", days=DAYS)],
    }
    return make_occupancy(**{**facts, **overrides})


def full(*days, device="north-1"):
    return [Booking(device, day, 480, 235, "tms") for day in days]


def test_each_site_answers_for_itself():
    occupancy = north_and_south(bookings=full(0, 1, 2))
    found = earliest_starts(question_for(catalogue()[DASH], occupancy), occupancy)
    assert found == {"north": day(3), "south": day(0)}


def test_a_site_without_the_treatment_has_no_start():
    devices = [make_device(capabilities=EVERY), make_device("south-1", "south", capabilities=frozenset())]
    occupancy = north_and_south(devices=devices)
    assert earliest_starts(question_for(catalogue()[DASH], occupancy), occupancy)["south"] is None


def test_the_hours_and_the_first_day_asked_for_count():
    occupancy = north_and_south(bookings=[Booking("north-1", d, 480, 115, "tms") for d in range(10)])
    request = question_for(catalogue()[DASH], occupancy, locations=["north"], windows=(((480, 600),),) * 7, release=2)
    assert earliest_starts(request, occupancy) == {"north": day(10)}
    anytime = question_for(catalogue()[DASH], occupancy, locations=["north"], release=2)
    assert earliest_starts(anytime, occupancy) == {"north": day(2)}


def test_the_part_of_today_that_is_gone_takes_no_start():
    occupancy = north_and_south()
    gone = question_for(catalogue()[DASH], occupancy, locations=["north"], busy=[(0, 0, 700)])
    assert earliest_starts(gone, occupancy) == {"north": day(1)}


@pytest.mark.parametrize("grid", [10, 15])
def test_a_site_alone_equals_the_planner_asked_for_that_site_alone(grid):
    question = from_instance(parse_instance(tool("instances").make("online", seed=106, grid=grid, util=0.9)))
    for request in question.requests.values():
        found = earliest_starts(request, question.occupancy)
        for place, penalty in request.locations.items():
            alone = make_request(
                **{f: getattr(request, f) for f in request.__slots__} | {"locations": {place: penalty}}
            )
            wanted = earliest_start(alone, question.occupancy)
            assert found[place] == (None if wanted is None else question.occupancy.date_of(wanted))


# -- more capacity


def test_another_device_with_its_operator_brings_the_start_forward():
    occupancy = north_and_south(bookings=full(0, 1, 2))
    request = question_for(catalogue()[DASH], occupancy, locations=["north"])
    found = starts_with(request, occupancy, another_device(occupancy, "north-1"))["north"]
    assert (found.before, found.after, found.weekdays) == (day(3), day(0), 3)


def test_a_device_that_nobody_works_changes_nothing():
    occupancy = north_and_south(bookings=full(0, 1, 2))
    request = question_for(catalogue()[DASH], occupancy, locations=["north"])
    assert starts_with(request, occupancy, another_device(occupancy, "north-1", people=0))["north"].weekdays == 0


def test_an_afternoon_shift_opens_the_hours_and_staffs_them():
    occupancy = north_and_south(bookings=full(*range(20)))
    request = question_for(catalogue()[DASH], occupancy, locations=["north"])
    found = starts_with(request, occupancy, another_shift(occupancy, "north", EVENING))["north"]
    assert (found.before, found.after, found.weekdays) == (day(21), day(0), 15)  # day 20 is a Sunday


def test_a_shift_leaves_closed_days_closed_and_the_given_weekdays_alone():
    location = make_location(closed=frozenset({0}))
    occupancy = north_and_south(locations=[location, make_location("south")], bookings=full(*range(20)))
    request = question_for(catalogue()[DASH], occupancy, locations=["north"])
    with_tuesdays = another_shift(occupancy, "north", EVENING, weekdays=[1])
    longer = occupancy.extended(with_tuesdays)
    assert starts_with(request, occupancy, with_tuesdays)["north"].after == day(1)  # then once a week until day 20
    assert int(longer.open_run[0, 0].max()) == 0


def test_a_course_may_lie_across_the_old_closing_time():
    occupancy = make_occupancy(bookings=[Booking("north-1", d, 480, 205, "tms") for d in range(14)])
    longer = occupancy.extended(another_shift(occupancy, "north", (720, 735)))
    plan = best_course(make_request(3), longer)
    assert {v.start for v in plan.visits} == {690}
    longest = make_request(1, visits=(make_request(1).visits[0].__class__(40, "std", "tms"),))
    assert best_course(longest, longer).visits[0].start == 690  # until 12:10, turnover until 12:15


def test_what_is_booked_stays_booked():
    occupancy = north_and_south(bookings=full(0, 1, 2))
    longer = occupancy.extended(another_shift(occupancy, "north", (420, 480)))
    plan = best_course(make_request(2, visits=make_request(2).visits), longer)
    assert plan is None  # the devices here give the catalogue's protocols only
    request = question_for(catalogue()[DASH], longer, locations=["north"], windows=(((480, 720),),) * 7)
    assert best_course(request, longer).visits[0].day == 3


def test_the_answer_is_a_course_that_keeps_every_rule_on_the_longer_calendar():
    occupancy = north_and_south(bookings=full(*range(20)))
    longer = occupancy.extended(another_shift(occupancy, "north", EVENING))
    request = question_for(catalogue()[DASH], occupancy, locations=["north"])
    plan = best_course(request, longer)
    assert breaches(request, longer, [(v.day, v.device, v.start) for v in plan.visits]) == []
    assert (
        plan.visits[0].date
        == starts_with(request, occupancy, another_shift(occupancy, "north", EVENING))["north"].after
    )


def test_a_closed_clinic_can_be_opened():
    occupancy = make_occupancy(locations=[make_location(hours=((),) * 7)], staff=[])
    assert best_course(make_request(3), occupancy.extended(another_shift(occupancy, "north", (480, 720)))) is not None


def test_special_hours_of_a_day_grow_too():
    location = make_location(hours=WEEKDAYS_8_TO_12, special={0: ((480, 540),)})
    occupancy = make_occupancy(locations=[location], bookings=[Booking("north-1", 0, 480, 55, "tms")])
    longer = occupancy.extended(another_shift(occupancy, "north", (540, 600)))
    assert best_course(make_request(1, latest_start=0), longer).visits[0].start == 540


def test_unknown_places_and_devices_given_twice_are_errors():
    occupancy = make_occupancy()
    with pytest.raises(KeyError):
        occupancy.extended(Extra(hours={"nowhere": ((),) * 7}))
    with pytest.raises(ValueError, match="north-1"):
        occupancy.extended(Extra(devices=(make_device(),)))
    with pytest.raises(KeyError):
        another_shift(occupancy, "nowhere", EVENING)


def test_the_horizon_bounds_the_promise():
    occupancy = north_and_south(days=30)
    assert earliest_starts(question_for(catalogue()[DASH], occupancy), occupancy) == {"north": None, "south": None}
