"""Sites, hours, closures, devices."""

from datetime import date, time

import pytest
from sqlalchemy import select

from clinic.audit import AuditEvent
from clinic.db import db
from clinic.errors import Conflict, Invalid, NotFound
from clinic.locations import operations, queries
from clinic.locations.closures import usual_closures
from clinic.locations.models import Device
from clinic.locations.operations import NewDevice, NewLocation, Span
from tests.builders import TESTER, make_device, make_location


def new(**overrides) -> NewLocation:
    values = {
        "slug": "harbor-north",
        "name": "Harbor North",
        "address": "2 Main Street",
        "zip_code": "92831",
        "tz": "America/Los_Angeles",
        "phone": "+17145550102",
        "hours": [Span(0, time(8), time(18))],
        "devices": [NewDevice(name="TMS A", kind="tms", protocols=["itbs_left"])],
    }
    return NewLocation(**values | overrides)


def test_the_usual_closures_are_federal_holidays_and_the_day_after_thanksgiving() -> None:
    assert [on.isoformat()[5:] for on, _ in usual_closures(2026)] == [
        "01-01", "01-19", "02-16", "05-25", "06-19", "07-03", "07-04", "09-07", "10-12", "11-11", "11-26", "11-27",
        "12-25",
    ]  # fmt: skip


def test_days_that_only_some_states_keep_are_no_closures() -> None:
    names = {name for year in range(2024, 2034) for _, name in usual_closures(year)}
    assert names.isdisjoint(
        {"Susan B. Anthony Day", "Cesar Chavez Day", "Christmas Eve", "Good Friday", "Lincoln's Birthday"}
    )


def test_a_holiday_observed_in_the_year_before_stands_there() -> None:
    assert (date(2027, 12, 31), "New Year's Day (observed)") in usual_closures(2027)


def test_starting_twice_adds_nothing_and_keeps_what_the_site_removed_out_only_until_then(database) -> None:
    site = make_location()
    assert len(operations.start_closures(site.id, 2026, by=TESTER)) == 13
    assert operations.start_closures(site.id, 2026, by=TESTER) == []
    [columbus] = queries.closures(site.id, date(2026, 10, 12), date(2026, 10, 12))
    operations.remove_closure(columbus.id, by=TESTER)
    assert len(queries.closures(site.id, date(2026, 1, 1), date(2026, 12, 31))) == 12


def test_closures_belong_to_one_site(database) -> None:
    here, there = make_location(), make_location()
    operations.start_closures(here.id, 2026, by=TESTER)
    assert queries.closures(there.id, date(2026, 1, 1), date(2026, 12, 31)) == []


def test_a_date_is_closed_once(database) -> None:
    site = make_location()
    operations.add_closure(site.id, date(2026, 12, 24), "Christmas Eve", by=TESTER)
    with pytest.raises(Conflict):
        operations.add_closure(site.id, date(2026, 12, 24), "Again", by=TESTER)


def test_a_closure_needs_a_reason(database) -> None:
    with pytest.raises(Invalid):
        operations.add_closure(make_location().id, date(2026, 12, 24), " ", by=TESTER)


def test_removing_what_is_not_there_is_not_found(database) -> None:
    with pytest.raises(NotFound):
        operations.remove_closure(999, by=TESTER)


def test_new_hours_replace_the_week_and_raise_the_version(database) -> None:
    site = make_location()
    operations.set_hours(site.id, [Span(5, time(9), time(12)), Span(5, time(13), time(15))], by=TESTER)
    assert [(row.weekday, row.opens.hour) for row in site.hours] == [(5, 9), (5, 13)]
    assert site.schedule_version == 2
    assert database.session.scalars(select(AuditEvent.action).where(AuditEvent.entity == "locations")).all() == [
        "hours_set"
    ]


@pytest.mark.parametrize(
    "spans",
    [
        [Span(0, time(8), time(8))],
        [Span(7, time(8), time(9))],
        [Span(0, time(8), time(12)), Span(0, time(11), time(15))],
    ],
)
def test_impossible_hours_are_refused(database, spans) -> None:
    with pytest.raises(Invalid):
        operations.set_hours(make_location().id, spans, by=TESTER)


def test_a_site_is_created_with_hours_and_devices(database) -> None:
    site = queries.get(operations.create_location(new(), by=TESTER))
    assert (site.name, len(site.hours), [device.name for device in site.devices]) == ("Harbor North", 1, ["TMS A"])


def test_a_slug_is_used_once(database) -> None:
    operations.create_location(new(), by=TESTER)
    with pytest.raises(Conflict):
        operations.create_location(new(), by=TESTER)


@pytest.mark.parametrize(
    "wrong",
    [
        {"slug": "Harbor North"},
        {"name": " "},
        {"tz": "Moon/Sea"},
        {"zip_code": "928"},
        {"devices": [NewDevice(name="X", kind="tms", protocols=["nothing"])]},
        {"devices": [NewDevice(name="X", kind="tms", protocols=["esketamine_trd"])]},
        {"devices": [NewDevice(name="X", kind="robot", protocols=["itbs_left"])]},
        {"devices": [NewDevice(name="X", kind="tms", protocols=[])]},
    ],
)
def test_a_site_that_cannot_be_is_refused(database, wrong) -> None:
    with pytest.raises(Invalid):
        operations.create_location(new(**wrong), by=TESTER)


def test_a_room_is_added_once_and_a_device_is_put_into_it(database) -> None:
    site, other = make_location(), make_location()
    device = make_device(site)
    room_id = operations.add_room(site.id, " Room 1 ", by=TESTER)
    with pytest.raises(Conflict):
        operations.add_room(site.id, "Room 1", by=TESTER)
    operations.put_device_in_room(device.id, room_id, by=TESTER)
    assert db.session.get_one(Device, device.id).room_id == room_id
    elsewhere = operations.add_room(other.id, "Room 1", by=TESTER)
    with pytest.raises(Invalid):
        operations.put_device_in_room(device.id, elsewhere, by=TESTER)
