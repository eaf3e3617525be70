from datetime import UTC, date, datetime

import pytest

from clinic.scheduling.planner import calendar

LA = "America/Los_Angeles"
SPRING = date(2026, 3, 8)  # 2:00 becomes 3:00
AUTUMN = date(2026, 11, 1)  # 2:00 becomes 1:00


def test_a_session_keeps_its_wall_time_over_the_spring_change():
    assert calendar.to_utc(date(2026, 3, 7), 500, LA) == datetime(2026, 3, 7, 16, 20, tzinfo=UTC)
    assert calendar.to_utc(date(2026, 3, 9), 500, LA) == datetime(2026, 3, 9, 15, 20, tzinfo=UTC)


def test_a_session_keeps_its_wall_time_over_the_autumn_change():
    assert calendar.to_utc(date(2026, 10, 31), 500, LA) == datetime(2026, 10, 31, 15, 20, tzinfo=UTC)
    assert calendar.to_utc(date(2026, 11, 2), 500, LA) == datetime(2026, 11, 2, 16, 20, tzinfo=UTC)


def test_a_time_that_spring_skips_moves_on_by_the_lost_hour():
    assert not calendar.exists(SPRING, 150, LA)
    assert calendar.wall(SPRING, 150, LA).strftime("%H:%M %z") == "03:30 -0700"


def test_a_time_that_autumn_repeats_means_the_first():
    assert calendar.happens_twice(AUTUMN, 90, LA)
    assert calendar.to_utc(AUTUMN, 90, LA) == datetime(2026, 11, 1, 8, 30, tzinfo=UTC)


def test_ordinary_times_exist_once():
    assert calendar.exists(SPRING, 180, LA)
    assert not calendar.happens_twice(AUTUMN, 120, LA)


@pytest.mark.parametrize("on", [SPRING, AUTUMN, date(2026, 6, 1)])
@pytest.mark.parametrize("minutes", [0, 60, 185, 719, 1439])
def test_wall_time_survives_the_way_to_utc_and_back(on, minutes):
    assert calendar.from_utc(calendar.to_utc(on, minutes, LA), LA) == (on, minutes)


def test_minute_1440_is_the_next_midnight():
    assert calendar.from_utc(calendar.to_utc(SPRING, 1440, LA), LA) == (date(2026, 3, 9), 0)


@pytest.mark.parametrize(("on", "lost"), [(SPRING, 60), (AUTUMN, -60), (date(2026, 3, 9), 0)])
def test_minutes_lost_between_two_noons(on, lost):
    assert calendar.minutes_lost_before(on, LA) == lost


def test_real_hours_count_the_clock_change():
    a, b = calendar.to_utc(date(2026, 3, 7), 600, LA), calendar.to_utc(SPRING, 600, LA)
    assert calendar.hours_between(a, b) == 23


def test_two_locations_may_lie_in_two_zones():
    east, west = calendar.to_utc(SPRING, 600, "America/New_York"), calendar.to_utc(SPRING, 600, LA)
    assert calendar.hours_between(east, west) == 3


def test_no_minute_of_a_day_is_refused():
    with pytest.raises(ValueError, match="1441"):
        calendar.wall(SPRING, 1441, LA)


def test_naive_instants_are_refused():
    with pytest.raises(ValueError, match="aware"):
        calendar.from_utc(datetime(2026, 3, 8, 9, 0), LA)  # noqa: DTZ001 - the naive one is the point


@pytest.mark.parametrize("on", [SPRING, AUTUMN, date(2026, 3, 9)])
@pytest.mark.parametrize(("first", "last"), [(0, 1435), (480, 1080), (0, 60)])
def test_one_counts_on_where_no_clock_changes(on, first, last):
    changes = on != date(2026, 3, 9) and (first, last) == (0, 1435)
    begins = calendar.steady_from(on, first, last, LA)
    assert begins == (None if changes else calendar.to_utc(on, first, LA))
