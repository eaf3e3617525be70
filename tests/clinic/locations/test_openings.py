"""Opening hours as UTC spans: closures, clock changes, several sites."""

from datetime import UTC, date, datetime, time

from clinic.locations import queries
from clinic.locations.models import Closure, OpeningHours
from tests.builders import make_location


def at(month: int, day: int, hour: int) -> datetime:
    return datetime(2026, month, day, hour, tzinfo=UTC)


def test_a_day_opens_at_the_sites_wall_time(database) -> None:
    site = make_location(hours=(time(8), time(18)))
    assert queries.openings(site.id, date(2026, 11, 23), 1) == [(at(11, 23, 16), at(11, 24, 2))]


def test_the_hours_keep_their_clock_time_over_both_clock_changes(database) -> None:
    site = make_location(hours=(time(8), time(17)), weekdays=range(7))
    autumn = queries.openings(site.id, date(2026, 10, 31), 2)
    assert [span.opens_at for span in autumn] == [at(10, 31, 15), at(11, 1, 16)]
    spring = queries.openings(site.id, date(2026, 3, 7), 2)
    assert [span.opens_at for span in spring] == [at(3, 7, 16), at(3, 8, 15)]


def test_closures_and_weekends_have_no_spans(database) -> None:
    site = make_location()
    database.session.add(Closure(location_id=site.id, on_date=date(2026, 11, 26), name="Thanksgiving Day"))
    days = [span.opens_at.date() for span in queries.openings(site.id, date(2026, 11, 25), 5)]
    assert days == [date(2026, 11, 25), date(2026, 11, 27)]


def test_a_lunch_break_makes_two_spans(database) -> None:
    site = make_location(hours=(time(8), time(12)), weekdays=range(1))
    database.session.add(OpeningHours(location_id=site.id, weekday=0, opens=time(13), closes=time(17)))
    database.session.refresh(site)
    assert len(queries.openings(site.id, date(2026, 11, 23), 1)) == 2


def test_without_a_site_the_clinic_is_open_when_any_site_is(database) -> None:
    make_location(hours=(time(8), time(12)))
    make_location(hours=(time(11), time(18)))
    assert queries.openings(None, date(2026, 11, 23), 1) == [(at(11, 23, 16), at(11, 24, 2))]


def test_a_retired_site_opens_nowhere(database) -> None:
    make_location(retired_at=at(1, 1, 0))
    assert queries.openings(None, date(2026, 11, 23), 1) == []
