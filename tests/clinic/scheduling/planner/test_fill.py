from dataclasses import replace

from clinic.scheduling.planner import Booking, Waiting, best_course, fill
from clinic.scheduling.planner.roster import bookings_of
from tests.clinic.scheduling.planner.builders import (
    make_device,
    make_occupancy,
    make_person,
    make_request,
    make_running,
    make_visit,
)

SLOT = Booking("north-1", 0, 540, 25, "tms")
AT_NINE = (((540, 570),),) * 7


def calendar(**overrides):
    facts = {"days": 14, "devices": [make_device()], "staff": [make_person()]}
    return make_occupancy(**{**facts, **overrides})


def test_a_course_that_becomes_possible_is_proposed():
    request = make_request(2, windows=AT_NINE, latest_start=0)
    (found,) = fill([SLOT], [Waiting("a", request)], calendar(), now=0)
    assert (found.kind, found.visit.day, found.gain) == ("new_course", 0, 6000)
    assert found.plan == best_course(request, calendar())


def test_a_mapping_visit_is_named_as_such():
    mapping = make_visit(need="map", gap=None, ideal=None, consistent=False)
    request = make_request(visits=(mapping, make_visit()), windows=AT_NINE, latest_start=0)
    assert fill([SLOT], [Waiting("a", request)], calendar(), now=0)[0].kind == "mapping"


def test_who_does_as_well_without_the_slot_is_not_asked():
    assert fill([SLOT], [Waiting("a", make_request(2, windows=(((600, 720),),) * 7))], calendar(), now=0) == ()
    assert fill([SLOT], [Waiting("a", make_request(2))], calendar(), now=0) == ()


def test_a_small_improvement_is_not_worth_a_change():
    soon = make_request(2, windows=AT_NINE)
    assert fill([SLOT], [Waiting("a", soon)], calendar(), now=0) == ()  # one day sooner: 5


def test_a_held_plan_is_improved_by_more_than_the_price_of_a_change():
    occupancy = calendar()
    request = make_request(1, windows=AT_NINE, priority=2)
    late = best_course(make_request(1, windows=AT_NINE, priority=2, release=11), occupancy)
    for booking in bookings_of(request, late):
        occupancy.book(booking)
    held = Waiting("a", request, plan=replace(late, cost=200))
    (found,) = fill([SLOT], [held], occupancy, now=0)
    assert (found.kind, found.days_sooner, found.gain) == ("improvement", 11, 200)


def test_a_session_that_is_owed_comes_into_the_slot():
    occupancy = calendar(days=4)
    course = make_running(occupancy, "a", (0, "north-1", 600), windows=AT_NINE)
    owed = Waiting("a", running=course, owed=make_visit())
    (found,) = fill([Booking("north-1", 1, 540, 25, "tms")], [owed], occupancy, now=0)
    assert (found.kind, found.visit.day, found.gain) == ("make_up", 1, 3000 - 60 - 55)


def test_the_dearest_gain_comes_first_and_priority_counts():
    requests = [make_request(1, windows=AT_NINE, latest_start=0, priority=p) for p in (0, 2, 1)]
    found = fill([SLOT], [Waiting(f"p{i}", r) for i, r in enumerate(requests)], calendar(), now=0)
    assert [x.patient for x in found] == ["p1", "p2", "p0"]
    assert [x.score for x in found] == [45000, 18000, 6000]


def test_of_two_who_gain_as_much_the_first_in_line_comes_first():
    request = make_request(2, windows=AT_NINE, latest_start=0)
    asked = [Waiting("99", request), Waiting("100", request)]
    assert [one.patient for one in fill([SLOT], asked, calendar(), now=0)] == ["99", "100"]
    assert [one.patient for one in fill([SLOT], asked[::-1], calendar(), now=0)] == ["100", "99"]


def test_asking_books_nothing():
    occupancy = calendar()
    fill([SLOT], [Waiting("a", make_request(2, windows=AT_NINE, latest_start=0))], occupancy, now=0)
    assert not occupancy.bookings_on.any()
