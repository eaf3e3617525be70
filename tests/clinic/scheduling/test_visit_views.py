"""The desk finds a time for a visit, books it, moves it and calls it off."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from flask.testing import FlaskClient

from clinic.db import db
from clinic.scheduling import queries
from clinic.scheduling.models import RuleOverride, TreatmentSession
from tests.builders import make_profile, make_room, make_shifts, make_staff, make_visit
from tests.clinic.scheduling.conftest import Scene

NINE = datetime(2026, 11, 24, 17, 0, tzinfo=UTC)  # 9:00 at the site


@pytest.fixture
def doctor(scene: Scene) -> Any:
    staff = make_staff("prescriber", locations=(scene.site,), name="Lena Voss")
    make_shifts(staff, scene.site)
    return staff


@pytest.fixture
def desk(scene: Scene, client: FlaskClient, sign_in: Callable[..., Any], doctor: Any) -> FlaskClient:
    sign_in("front_desk", locations=(scene.site,))
    make_profile()
    db.session.commit()
    return client


def address(scene: Scene, doctor: Any, **more: Any) -> str:
    asked = {
        "kind": "consult",
        "minutes": 30,
        "location": scene.site.id,
        "mode": "in_person",
        "staff": doctor.id,
        "room": 0,
        "patient_state": "",
        "on": "2026-11-24",
    } | more
    words = "&".join(f"{key}={value}" for key, value in asked.items())
    return f"/staff/patients/{scene.patient.id}/visits/new?{words}"


def the_visit() -> TreatmentSession:
    return db.session.query(TreatmentSession).filter(TreatmentSession.course_id.is_(None)).one()


@pytest.mark.parametrize(
    ("on", "words"),
    [
        ("2029-12-31", "Choose a day within two years."),
        ("9999-12-31", "The year is not possible."),
        ("0001-01-01", "The year is not possible."),
    ],
)
def test_a_day_in_another_age_is_asked_for_again(
    desk: FlaskClient, scene: Scene, doctor: Any, on: str, words: str
) -> None:
    visit = make_visit(scene.patient, doctor, scene.site, NINE)
    for path in (address(scene, doctor, on=on), f"/staff/visits/{visit.id}/move?staff={doctor.id}&room=0&on={on}"):
        answer = desk.get(path)
        assert answer.status_code == 422
        assert words in answer.text


def test_a_free_time_is_pressed_and_the_visit_stands_on_the_record(
    desk: FlaskClient, scene: Scene, doctor: Any, post: Callable[..., Any]
) -> None:
    page = desk.get(address(scene, doctor)).text
    first = re.search(r'name="starts_at" value="([^"]+)"', page)
    assert first
    assert post(address(scene, doctor), {"starts_at": first[1]}).status_code == 302
    assert the_visit().starts_at.isoformat() == first[1]
    assert "consult with Lena Voss" in desk.get(f"/staff/patients/{scene.patient.id}").text


def test_the_form_opens_with_what_is_usual(desk: FlaskClient, scene: Scene) -> None:
    make_staff("therapist", locations=(scene.site,), name="Abe Elsewhere")
    make_staff("front_desk", locations=(scene.site,), name="Dana Whitfield")
    db.session.commit()
    page = desk.get(f"/staff/patients/{scene.patient.id}/visits/new").text
    assert 'value="2026-11-24"' in page
    assert re.search(r"<option selected[^>]*>Lena Voss", page)
    assert ("Abe Elsewhere" in page, "Dana Whitfield" in page) == (True, False)


def test_a_taken_time_is_refused_and_the_wish_is_kept(
    desk: FlaskClient, scene: Scene, doctor: Any, post: Callable[..., Any]
) -> None:
    url = address(scene, doctor)
    post(url, {"starts_at": NINE.isoformat()})
    again = post(url, {"starts_at": NINE.isoformat()})
    assert again.status_code == 409
    assert "The patient has another appointment then." in again.text
    assert f'value="{doctor.id}" selected' in again.text or f'selected value="{doctor.id}"' in again.text


def test_outside_the_rota_a_reason_is_asked_for_and_goes_on_record(
    desk: FlaskClient, scene: Scene, doctor: Any, post: Callable[..., Any]
) -> None:
    url = address(scene, doctor)
    refused = post(url, {"time": "22:00"})
    assert (refused.status_code, 'value="22:00"' in refused.text) == (409, True)
    assert post(url, {"time": "22:00", "reason": "They work nights."}).status_code == 302
    assert {row.reason for row in db.session.query(RuleOverride)} == {"They work nights."}


@pytest.mark.parametrize(
    ("more", "words"),
    [({"time": ""}, "Write a time"), ({"time": "9 o'clock"}, "Write a time"), ({"starts_at": "soon"}, "Write a time")],
)
def test_a_time_that_is_none_is_said(
    desk: FlaskClient, scene: Scene, doctor: Any, post: Callable[..., Any], more: dict[str, str], words: str
) -> None:
    answer = post(address(scene, doctor), more)
    assert (answer.status_code, words in answer.text) == (409, True)


@pytest.mark.parametrize("wrong", [{"staff": 0}, {"on": "never"}, {"kind": "dance"}, {"minutes": 7}, {"location": 999}])
def test_a_wish_that_is_none_is_said(desk: FlaskClient, scene: Scene, doctor: Any, wrong: dict[str, Any]) -> None:
    assert desk.get(address(scene, doctor, **wrong)).status_code == 422


def test_a_visit_is_moved_called_off_and_taken_back(
    desk: FlaskClient, scene: Scene, doctor: Any, post: Callable[..., Any]
) -> None:
    room = make_room(scene.site)
    visit = make_visit(scene.patient, doctor, scene.site, NINE)
    db.session.commit()
    assert "Move the consult" in desk.get(f"/staff/visits/{visit.id}/move").text
    assert desk.get(f"/staff/visits/{visit.id}/move?next=/staff/day").status_code == 200  # as the day board links to it
    url = f"/staff/visits/{visit.id}/move?staff={doctor.id}&room={room.id}&on=2026-11-25"
    assert post(url, {"time": "10:00"}).status_code == 302
    row = queries.session(visit.id)
    assert (row.starts_at, row.room_id) == (datetime(2026, 11, 25, 18, 0, tzinfo=UTC), room.id)
    assert post(f"/staff/visits/{visit.id}/cancel", {"reason": "They feel better."}).status_code == 302
    assert queries.session(visit.id).state == "cancelled"
    post(f"/staff/sessions/{visit.id}/take-back", {})
    assert queries.session(visit.id).state == "booked"


def test_a_session_of_a_course_is_no_visit(desk: FlaskClient, scene: Scene) -> None:
    from tests.builders import course_sessions, make_course

    session = course_sessions(make_course(scene.patient, [NINE], device=scene.device))[0]
    db.session.commit()
    assert desk.get(f"/staff/visits/{session.id}/move").status_code == 404
