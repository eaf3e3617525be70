"""When a course could start: live for staff, kept for public pages; and how full a site is."""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient

from clinic import clock
from clinic.db import db
from clinic.errors import Invalid, NotFound
from clinic.scheduling import operations, starts, utilisation
from clinic.scheduling.models import CourseStart
from clinic.scheduling.wishes import CourseWish
from tests.builders import TESTER, make_decision, make_location, make_patient, make_profile
from tests.clinic.scheduling.conftest import Scene

MONDAY = date(2026, 11, 23)


def book_one(scene: Scene, **wish: Any) -> None:
    patient = make_patient()
    make_decision(patient)
    db.session.commit()
    offer = operations.propose_courses(patient.id, CourseWish("itbs_left", **wish), by=TESTER)
    operations.book_course(patient.id, proposal_id=offer.proposal_ids[0], by=TESTER)


def test_a_course_starts_on_the_first_day_with_room(scene: Scene) -> None:
    assert [row.starts_on for row in starts.site_starts("itbs_left", {scene.site.id})] == [MONDAY]
    evening = starts.site_starts("itbs_left", {scene.site.id}, hours=(8 * 60, 9 * 60 + 30))
    assert [row.starts_on for row in evening] == [MONDAY + timedelta(days=1)], "it is ten already"


def test_hours_in_which_nothing_fits_answer_none(scene: Scene) -> None:
    assert starts.site_starts("itbs_left", {scene.site.id}, hours=(8 * 60, 8 * 60 + 30))[0].starts_on is None
    assert starts.site_starts("itbs_left", {make_location().id}) == []


def test_wrong_questions_are_refused(scene: Scene) -> None:
    with pytest.raises(Invalid):
        starts.site_starts("itbs_left", {scene.site.id}, hours=(600, 540))
    with pytest.raises(NotFound):
        starts.site_starts("none", {scene.site.id})


def test_what_if_names_what_another_device_would_do(scene: Scene) -> None:
    changes = starts.what_if("itbs_left", {scene.site.id})
    assert [change.text for change in changes] == [
        "another device like A",
        "an evening shift, Monday to Friday 18:00 to 21:00",
        "Saturdays 09:00 to 13:00",
    ]
    assert {change.change.before for change in changes} == {MONDAY}


def test_the_sweep_keeps_answers_and_asks_again_where_the_calendar_changed(scene: Scene) -> None:
    assert starts.stale_sites() == [scene.site.id]
    assert starts.refresh_starts(scene.site.id) == 3
    assert starts.stale_sites() == []
    book_one(scene)
    assert starts.stale_sites() == [], "not before ten minutes have passed"
    with clock.frozen(clock.now() + timedelta(minutes=11)):
        assert starts.stale_sites() == [scene.site.id]
        starts.refresh_starts(scene.site.id)
        assert starts.stale_sites() == []
    with clock.frozen(clock.now() + timedelta(days=1)):
        assert starts.stale_sites() == [scene.site.id]


def test_a_protocol_that_is_no_longer_given_leaves_the_list(scene: Scene) -> None:
    starts.refresh_starts(scene.site.id)
    scene.device.protocols = ["itbs_left"]
    scene.site.schedule_version += 1
    db.session.commit()
    starts.refresh_starts(scene.site.id)
    assert [row.protocol for row in db.session.query(CourseStart)] == ["itbs_left"]


def test_public_pages_say_when_and_think_nothing(
    scene: Scene, client: FlaskClient, count_statements: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    make_profile()
    starts.refresh_starts(scene.site.id)
    monkeypatch.setattr(starts, "earliest_starts", lambda *_: pytest.fail("a view asked the planner"))
    for _ in range(3):
        make_location()
    db.session.commit()
    with count_statements() as statements:
        html = client.get("/locations").text
    assert "Full courses of TMS can start November 23" in html
    assert sum("course_starts" in each for each in statements) == 1
    with clock.frozen(clock.now() + timedelta(days=1)):
        assert "can start" not in client.get("/locations").text, "an answer of yesterday is not shown"


@pytest.fixture
def desk(scene: Scene, client: FlaskClient, sign_in: Callable[..., Any]) -> FlaskClient:
    sign_in("front_desk", "manager", locations=(scene.site,))
    make_profile()
    db.session.commit()
    return client


def test_staff_ask_for_hours_and_weekdays(desk: FlaskClient) -> None:
    assert "A course could start on Mon, Nov 23 at Fullerton." in desk.get("/staff/starts").text
    late = desk.get("/staff/starts?protocol=itbs_left&before=510").text
    assert "no whole course fits" in late
    assert desk.get("/staff/starts?protocol=nothing").status_code == 422
    assert desk.get("/staff/starts?after=600&before=540").status_code == 422


def test_a_manager_asks_what_more_would_change(desk: FlaskClient) -> None:
    html = desk.get("/staff/starts?protocol=itbs_left&what_if=1").text
    assert "an evening shift, Monday to Friday 18:00 to 21:00" in html
    assert "no change" in html


def test_capacity_counts_minutes_with_turnover(desk: FlaskClient, scene: Scene) -> None:
    book_one(scene, earliest_start=MONDAY + timedelta(days=1))
    view = utilisation.of_site(scene.site, MONDAY, 2)
    first = view.rows[0].weeks[0]
    assert (first.sessions, first.busy, first.minutes) == (4, 75 + 3 * 15, 5 * 600)
    html = desk.get("/staff/capacity/fullerton").text
    assert "4%" in html
    table = desk.get("/staff/capacity/fullerton.csv")
    assert table.mimetype == "text/csv"
    assert "fullerton,A,2026-11-23,4,120,3000,4" in table.text


def test_capacity_takes_outages_and_closed_days_off(scene: Scene) -> None:
    from clinic.locations.models import Closure, DeviceDowntime

    db.session.add(Closure(location_id=scene.site.id, on_date=MONDAY, name="Storm"))
    at = datetime.fromisoformat("2026-11-24T09:00:00-08:00")
    db.session.add(DeviceDowntime(device_id=scene.device.id, starts_at=at, ends_at=at + timedelta(hours=2), reason="x"))
    db.session.commit()
    assert utilisation.of_site(scene.site, MONDAY, 1).rows[0].weeks[0].minutes == 4 * 600 - 120
