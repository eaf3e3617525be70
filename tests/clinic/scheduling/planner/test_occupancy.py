import random

import numpy as np
import pytest

from clinic.scheduling.planner import Booking
from tests.clinic.scheduling.planner.builders import make_device, make_location, make_occupancy, make_person


def same(a, b):
    return np.array_equal(a.device_free_run, b.device_free_run) and all(
        np.array_equal(a.staff_free_run[n], b.staff_free_run[n]) for n in ("tms", "map", "obs")
    )


def random_bookings(rng, count=30):
    devices = ("north-1", "north-2")
    return [
        Booking(
            rng.choice(devices), rng.randrange(14), rng.randrange(480, 700, 5), 25, rng.choice(["tms", "map", "obs"])
        )
        for _ in range(count)
    ]


def facts():
    return {"devices": [make_device(), make_device("north-2")], "staff": [make_person(), make_person("bob")]}


def test_booking_one_by_one_equals_building_with_all():
    bookings = random_bookings(random.Random(1))
    warm = make_occupancy(**facts())
    for booking in bookings:
        warm.book(booking)
    assert same(warm, make_occupancy(**facts(), bookings=bookings))


def test_releasing_restores_what_was_free():
    bookings = random_bookings(random.Random(2))
    warm = make_occupancy(**facts(), bookings=bookings)
    for booking in bookings:
        warm.release(booking)
    assert same(warm, make_occupancy(**facts()))


def test_a_copy_is_independent():
    warm = make_occupancy(**facts())
    warm.copy().book(Booking("north-1", 0, 540, 25, "tms"))
    assert same(warm, make_occupancy(**facts()))


def test_bookings_outside_the_horizon_or_the_hours_change_nothing():
    warm = make_occupancy(**facts())
    for booking in (Booking("north-1", 14, 540, 25, "tms"), Booking("north-1", -1, 540, 25, "tms")):
        warm.book(booking)
    warm.book(Booking("north-1", 0, 60, 25, "tms"))
    assert same(warm, make_occupancy(**facts()))


def test_an_unknown_device_is_an_error():
    with pytest.raises(KeyError):
        make_occupancy().book(Booking("south-1", 0, 540, 25, "tms"))


def test_times_off_the_unit_are_rounded_against_the_booking():
    occupancy = make_occupancy(bookings=[Booking("north-1", 0, 542, 25, "tms")])
    busy = np.flatnonzero(occupancy.device_free_run[0, 0] == 0) * 5 + 480
    assert (busy[0], busy[-1] + 5) == (540, 575)  # 542 to 572 with turnover


def test_dates_and_days():
    occupancy = make_occupancy()
    assert occupancy.day_of(occupancy.date_of(9)) == 9
    assert occupancy.date_of(9).isoformat() == "2026-01-14"


@pytest.mark.parametrize(
    ("after", "until", "weekdays"), [(0, 0, 0), (0, 4, 4), (4, 7, 1), (0, 14, 10), (5, 6, 0), (-3, 0, 1)]
)
def test_weekdays_between_leaves_out_the_first_day(after, until, weekdays):
    assert make_occupancy().weekdays_between(after, until) == weekdays


def test_the_grid_is_a_multiple_of_the_unit():
    with pytest.raises(ValueError, match="multiple"):
        make_occupancy(grid=12)


def test_locations_without_any_hours_are_simply_closed():
    occupancy = make_occupancy(locations=[make_location(hours=((),) * 7)])
    assert not occupancy.open_run.any()
