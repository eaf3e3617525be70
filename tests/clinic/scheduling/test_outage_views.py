"""Pages of outages: reported, looked at, applied; who is told in which words; closures that were entered late."""

import re
from collections.abc import Callable
from datetime import date, timedelta
from html import unescape
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from flask.testing import FlaskClient

from clinic.db import db
from clinic.locations.models import Closure
from clinic.scheduling import answer_views, outage_presenter, outages, queries
from clinic.scheduling.models import Outage
from clinic.web import charts
from tests.builders import make_device, make_location, make_profile, make_shifts, make_staff
from tests.clinic.scheduling.conftest import Scene
from tests.clinic.scheduling.test_outages import Two, book, local

DOWN = {
    "from_day": "2026-12-02",
    "from_time": "00:00",
    "to_day": "2026-12-02",
    "to_time": "23:00",
    "reason": "coil broken",
}


@pytest.fixture
def two(scene: Scene) -> Two:
    mate = make_device(scene.site, name="B")
    make_shifts(make_staff("operator", skills=("tms", "map")), scene.site)
    db.session.commit()
    return Two(scene, mate, book(scene.patient.id))


@pytest.fixture
def desk(two: Two, client: FlaskClient, sign_in: Callable[..., Any]) -> FlaskClient:
    sign_in("front_desk", "manager", locations=(two.scene.site,))
    make_profile()
    db.session.commit()
    return client


def report(post: Callable[..., Any], two: Two, **change: str) -> Any:
    values = {**DOWN, "subject": str(two.rows[0].device_id), **change}
    return post("/staff/outages/new/fullerton/device", values)


def test_a_device_down_shows_the_answer_before_anyone_moves(
    desk: FlaskClient, two: Two, post: Callable[..., Any]
) -> None:
    session_id, before = two.hit.id, two.hit.device_id
    made = report(post, two)
    html = unescape(desk.get(made.location).text)
    assert "One person stays on the day. Nobody's time changes." in html
    assert "Nothing changes and nobody is told until you press." in html
    assert "No plan can do better." in html
    assert queries.session(session_id).device_id == before
    assert made.location in desk.get("/staff/outages").text
    assert "Review re-plan" in desk.get("/staff/day/fullerton/2026-12-02").text


def busy_mate(post: Callable[..., Any], two: Two) -> None:
    """The other device is out in the morning, so that the time has to change, too."""
    until = (two.hit.starts_at + timedelta(hours=2)).astimezone(ZoneInfo(two.scene.site.tz))
    report(post, two, subject=str(two.mate.id), to_time=f"{until:%H:%M}")


def test_the_message_is_shown_in_the_words_that_go_out(desk: FlaskClient, two: Two, post: Callable[..., Any]) -> None:
    two.scene.patient.language = "es"
    busy_mate(post, two)
    html = unescape(desk.get(report(post, two).location).text)
    assert "1 message, one each" in html
    said = re.search(r'<p class="said" lang="es">([^<]+)</p>', html)
    assert said is not None
    assert said[1].startswith("Harbor: ")
    assert "(enlace)" in said[1]


def test_who_keeps_time_and_site_is_neither_told_nor_asked(
    desk: FlaskClient, two: Two, post: Callable[..., Any]
) -> None:
    page = report(post, two).location
    before = unescape(desk.get(page).text)
    assert "Nobody has to be told" in before
    assert ("What " in before and " reads " in before, "Apply and send" in before) == (False, False)
    post(f"{page}/apply", {})
    after = desk.get(page).text
    assert ("Applied: nobody has to be told." in after, "Same time, not told" in after) == (True, True)
    assert "1 keep the time and were not asked" in desk.get("/staff/outages").text
    with desk.application.app_context():
        assert answer_views._asked(two.scene.patient.id) is None


def test_applying_moves_and_shows_who_said_what(desk: FlaskClient, two: Two, post: Callable[..., Any]) -> None:
    busy_mate(post, two)
    session_id, page = two.hit.id, report(post, two).location
    revision = re.search(r'name="revision" value="(\d+)"', desk.get(page).text)
    assert revision is not None
    assert post(f"{page}/apply", {"revision": revision[1]}).location == page
    assert queries.session(session_id).device_id == two.mate.id
    html = unescape(desk.get(page).text)
    assert "Told, may say no" in html
    assert "Applied Mon, Nov 23, 10:00" in html
    assert "/apply" not in html


def test_who_has_to_go_to_another_site_is_said_first() -> None:
    line = {"patient_id": 1, "days": 0, "minutes": 0, "from_location": 1, "to_location": 2}
    other = line | {"patient_id": 2, "minutes": 30, "to_location": 1}
    said = outage_presenter.title(Outage(), {"moved": [line, other], "unplaced": [], "visits": []})
    assert said == "All two stay on their day. One goes to another site. Nobody moves more than 30 minutes."


def test_an_old_preview_is_not_applied(desk: FlaskClient, two: Two, post: Callable[..., Any]) -> None:
    page = report(post, two).location
    answer = post(f"{page}/apply", {"revision": "0"})
    assert answer.status_code == 409
    assert "Nothing was changed" in answer.text


def test_it_did_not_happen(desk: FlaskClient, two: Two, post: Callable[..., Any]) -> None:
    page = report(post, two).location
    assert post(f"{page}/withdraw").location == page
    assert "Taken back." in desk.get(page).text
    assert "Nothing waits for a re-plan." in desk.get("/staff/outages").text
    assert post(f"{page}/apply").status_code == 409
    assert post(f"{page}/fly").status_code == 404


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"reason": ""}, "Say what happened."),
        ({"to_time": "late"}, "Not a valid time value."),
        ({"to_day": "2026-12-01"}, "It ends after it begins"),
        ({"subject": "999"}, "Not a valid choice"),
    ],
)
def test_a_wrong_report_comes_back_as_it_was(
    desk: FlaskClient, two: Two, post: Callable[..., Any], change: dict[str, str], words: str
) -> None:
    answer = report(post, two, **change)
    assert answer.status_code == 422
    assert words in unescape(answer.text)
    assert change.get("to_day", "2026-12-02") in answer.text
    assert db.session.query(Outage).count() == 0


def test_a_person_away_and_a_closed_site_are_reported_too(
    desk: FlaskClient, two: Two, post: Callable[..., Any]
) -> None:
    person = make_staff("operator", name="Omar", skills=("tms",))
    make_shifts(person, two.scene.site)
    db.session.commit()
    away = post("/staff/outages/new/fullerton/person", {**DOWN, "subject": str(person.id)})
    assert "Omar is away from Wed, Dec 2, 00:00" in desk.get(away.location).text
    storm = {"first": "2026-12-02", "last": "2026-12-03", "reason": "storm"}
    never = post("/staff/outages/new/fullerton/site", {**storm, "last": "9999-12-31"})
    assert "The year is not possible." in never.text
    closed = post("/staff/outages/new/fullerton/site", storm)
    assert "Fullerton is closed from Wed, Dec 2" in desk.get(closed.location).text


def test_a_closure_that_hits_someone_leads_to_the_replan(desk: FlaskClient, two: Two, post: Callable[..., Any]) -> None:
    settings = f"/staff/settings/locations/{two.scene.site.id}/closures"
    added = post(settings, {"on_date": "2026-12-02", "name": "Storm"})
    assert added.location == "/staff/outages"
    html = desk.get("/staff/outages").text
    assert "Fullerton is closed on Wed, Dec 2, and 1 session is booked then" in html
    made = post("/staff/outages/late/fullerton/2026-12-02")
    assert "/staff/outages/" in made.location
    assert db.session.query(Closure).count() == 1
    assert post("/staff/outages/late/fullerton/2026-12-09").status_code == 404
    quiet = post(settings, {"on_date": "2027-12-01", "name": "Training"})
    assert "/staff/settings/" in quiet.location


def test_an_outage_of_another_site_is_not_there(desk: FlaskClient, two: Two, post: Callable[..., Any]) -> None:
    from clinic.scheduling import closing
    from tests.builders import TESTER

    device = make_device(make_location())
    db.session.commit()
    far = closing.device_down(device.id, starts_at=local(2), ends_at=local(3), reason="x", by=TESTER)
    assert desk.get(f"/staff/outages/{far}").status_code == 404
    assert outages.get(far).state == "open"


def test_the_page_asks_as_often_for_many_as_for_one(
    desk: FlaskClient, two: Two, post: Callable[..., Any], count_statements: Callable[[], Any]
) -> None:
    from tests.clinic.scheduling.test_outages import someone

    page = report(post, two).location
    with count_statements() as few:
        desk.get(page)
    book(someone(), window=(700, 900))
    post(f"{page}/again")
    with count_statements() as many:
        desk.get(page)
    assert len(many) <= len(few) + 1


# -- the picture ------------------------------------------------------------------------------------------------------


def test_the_lane_that_is_out_stands_on_top_and_moves_lead_down() -> None:
    moves = [charts.Moved("A.W.", 650, 20, "B", 670, "A", False), charts.Moved("E.G.", 770, 20, "B", 735, "C", True)]
    drawn = charts.replan("Today", moves, [("A", "A", [(600, 30)]), ("B", "B", []), ("C", "C", [])], out={"B"})
    assert [lane.name for lane in drawn.lanes] == ["B", "A", "C"]
    assert all(move.to_y > move.y for move in drawn.moves)
    assert drawn.moves[0].to_x > drawn.moves[0].x
    assert [hour for _, hour in drawn.hours] == ["10:00", "11:00", "12:00", "13:00", "14:00"][: len(drawn.hours)]
    assert drawn.lanes[1].others[0][1] > 0


def test_days_are_by_the_wall_of_the_site(two: Two) -> None:
    assert two.hit.local_on == date(2026, 12, 2)
    assert two.hit.starts_at - local(2) < timedelta(days=1)


def test_what_was_applied_stays_on_the_list_with_what_people_said(
    desk: FlaskClient, two: Two, post: Callable[..., Any]
) -> None:
    busy_mate(post, two)
    page = report(post, two).location
    assert "Applied in the last two weeks" not in desk.get("/staff/outages").text
    post(f"{page}/apply", {})
    html = desk.get("/staff/outages").text
    assert "1 may still answer" in html
    assert f'href="{page}"' in html
