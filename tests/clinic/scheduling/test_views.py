"""Pages of booking, the course, the day, and the patient's dates."""

import re
from collections.abc import Callable
from datetime import date, datetime, timedelta
from html import unescape
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from flask.testing import FlaskClient
from sqlalchemy import event

from clinic import clock
from clinic.db import db
from clinic.patients import links
from clinic.patients.models import AccessLink, LinkPurpose
from clinic.scheduling import appointments, authorising, holding, operations, queries
from clinic.scheduling.authorising import NewAuthorisation
from clinic.scheduling.models import Hold, TreatmentSession
from clinic.scheduling.wishes import CourseWish
from tests.builders import TESTER, make_decision, make_patient, make_profile, make_task
from tests.clinic.scheduling.conftest import Scene

LOS_ANGELES = ZoneInfo("America/Los_Angeles")


def post(client: FlaskClient, path: str, data: dict[str, Any] | None = None, page: str | None = None) -> Any:
    """Send a form with the token of a page that was opened."""
    html = client.get(page or path).text
    token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', html)
    assert token is not None, html
    return client.post(path, data={**(data or {}), "csrf_token": token[1]})


@pytest.fixture
def desk(scene: Scene, client: FlaskClient, sign_in: Callable[..., Any]) -> FlaskClient:
    sign_in("front_desk", locations=(scene.site,))
    make_profile()
    db.session.commit()
    return client


def look(client: FlaskClient, scene: Scene, **wish: Any) -> Any:
    return post(client, f"/staff/courses/new?patient={scene.patient.id}", {"protocol": "itbs_left", **wish})


def book(scene: Scene, patient_id: int | None = None) -> list[TreatmentSession]:
    patient_id = patient_id or scene.patient.id
    wish = CourseWish("itbs_left", earliest_start=date(2026, 11, 24))
    offer = operations.propose_courses(patient_id, wish, by=TESTER)
    booked = operations.book_course(patient_id, proposal_id=offer.proposal_ids[0], by=TESTER)
    return list(queries.sessions(booked.course_id))


def test_a_course_is_booked_in_three_screens(desk: FlaskClient, scene: Scene) -> None:
    chosen = look(desk, scene)
    assert chosen.status_code == 302
    page = desk.get(chosen.location).text
    assert "Three whole courses fit. Pick one; all 36 are booked together." in page
    assert "Soonest start" in page
    plan = re.findall(r'name="plan" value="([^"]+)"', page)[1]
    booked = post(desk, "/staff/courses", {"plan": plan}, page=chosen.location)
    assert booked.status_code == 302
    shown = desk.get(booked.location).text
    assert "0 of 36 sessions done at Fullerton." in shown
    assert "All 36 sessions are booked." in unescape(shown)


def test_a_plan_that_was_lost_shows_fresh_ones(desk: FlaskClient, scene: Scene) -> None:
    chosen = look(desk, scene)
    plan = re.findall(r'name="plan" value="([^"]+)"', desk.get(chosen.location).text)[0]
    holding.let_go(db.session.query(Hold).filter_by(ended_at=None).one().id, by=TESTER)
    other = make_patient()
    make_decision(other)
    db.session.commit()
    offer = operations.propose_courses(other.id, CourseWish("itbs_left"), by=TESTER)
    operations.book_course(other.id, proposal_id=offer.proposal_ids[0], by=TESTER)
    lost = post(desk, "/staff/courses", {"plan": plan}, page=chosen.location)
    assert lost.status_code == 409
    words = "Someone else booked one of these times. Nothing was booked. Here are fresh plans."
    assert words in unescape(lost.text)
    assert plan not in re.findall(r'name="plan" value="([^"]+)"', lost.text)


def test_no_course_says_why_and_what_would_open_one(desk: FlaskClient, scene: Scene) -> None:
    page = look(desk, scene, after="480", before="510")
    assert page.status_code == 200
    assert "What stands in the way" in page.text
    assert "hours wider by" in page.text


def test_booking_without_a_decision_says_so(desk: FlaskClient, scene: Scene) -> None:
    patient = make_patient()
    db.session.commit()
    page = post(desk, f"/staff/courses/new?patient={patient.id}", {"protocol": "itbs_left"})
    assert page.status_code == 422
    assert "A prescriber has to approve this treatment" in page.text


def test_a_wrong_form_is_shown_again(desk: FlaskClient, scene: Scene) -> None:
    assert look(desk, scene, protocol="none").status_code == 422
    assert look(desk, scene, earliest="soon").status_code == 422
    assert desk.get("/staff/courses/choose?plan=x").status_code == 404
    assert desk.get("/staff/courses/choose").status_code == 404


def test_a_session_is_moved_to_a_listed_time(desk: FlaskClient, scene: Scene) -> None:
    row = book(scene)[5]
    session_id = row.id
    page = desk.get(f"/staff/sessions/{session_id}/move").text
    place = unescape(re.findall(r'name="place" value="([^"]+)"', page)[-1])
    assert post(desk, f"/staff/sessions/{session_id}/move", {"place": place}).status_code == 302
    assert queries.session(session_id).revision == 1
    assert post(desk, f"/staff/sessions/{session_id}/move", {"place": "soon"}).status_code == 409


def test_a_cancelled_session_is_made_up_from_the_course_page(desk: FlaskClient, scene: Scene) -> None:
    row = book(scene)[5]
    session_id, page = row.id, f"/staff/courses/{row.course_id}"
    assert post(desk, f"/staff/sessions/{session_id}/cancel", {}, page=page).status_code == 422
    assert post(desk, f"/staff/sessions/{session_id}/cancel", {"reason": "away"}, page=page).status_code == 302
    html = desk.get(page).text
    assert "One session is owed" in html
    place = unescape(re.findall(r'name="place" value="([^"]+)"', html)[0])
    assert post(desk, f"{page}/make-up", {"place": place}, page=page).status_code == 302
    assert "is owed" not in desk.get(page).text


def test_a_course_is_paused_and_goes_on(desk: FlaskClient, scene: Scene) -> None:
    page = f"/staff/courses/{book(scene)[0].course_id}"
    assert post(desk, f"{page}/pause", {"reason": "ill"}, page=page).status_code == 302
    assert "Paused" in desk.get(page).text
    assert post(desk, f"{page}/resume", {"on": "2026-12-07"}, page=page).status_code == 302
    assert post(desk, f"{page}/cancel", {"reason": "moved away"}, page=page).status_code == 302
    assert "Cancelled" in desk.get(page).text


def test_pages_of_a_long_course_ask_the_database_seldom(desk: FlaskClient, scene: Scene) -> None:
    row = book(scene)[5]
    session_id, course_id = row.id, row.course_id
    assert statements(desk, f"/staff/courses/{course_id}") <= 30
    assert statements(desk, f"/staff/sessions/{session_id}/move") <= 30


def statements(client: FlaskClient, path: str) -> int:
    heard: list[str] = []

    def hear(_conn: Any, _cursor: Any, statement: str, *_: Any) -> None:
        heard.append(statement)

    engine = db.engine.engine if hasattr(db.engine, "engine") else db.engine
    event.listen(engine, "before_cursor_execute", hear)
    try:
        assert client.get(path).status_code == 200
    finally:
        event.remove(engine, "before_cursor_execute", hear)
    return len(heard)


def test_an_operator_books_nothing(scene: Scene, client: FlaskClient, sign_in: Callable[..., Any]) -> None:
    sign_in("operator", locations=(scene.site,))
    db.session.commit()
    assert client.get(f"/staff/courses/new?patient={scene.patient.id}").status_code == 403
    assert client.get("/staff/courses").status_code == 200


def test_the_record_and_the_list_name_the_course(desk: FlaskClient, scene: Scene) -> None:
    course_id = book(scene)[0].course_id
    assert f"/staff/courses/{course_id}" in desk.get(f"/staff/patients/{scene.patient.id}").text
    assert scene.patient.record_number in desk.get("/staff/courses").text


def test_a_patient_sees_the_next_visit_and_all_dates(scene: Scene, client: FlaskClient) -> None:
    make_profile()
    open_patient_session(client, scene.patient.id, scene.patient.birth_date)
    assert "No visit is planned." in client.get("/me").text
    rows = book(scene)
    appointments.cancel_session(rows[1].id, by=TESTER)
    first = datetime(2026, 11, 24, 8, 0, tzinfo=LOS_ANGELES)
    assert rows[0].starts_at == first
    home = client.get("/me").text
    assert "Your next visit is tomorrow" in home
    assert "8:00 am" in home
    assert client.get("/me/dates").text.count("<li><b>") == 35


def open_patient_session(client: FlaskClient, patient_id: int, born: date) -> None:
    """Spend a sign-in link and say the birth date, as the patient does."""
    token = links.make_link(LinkPurpose.SIGN_IN, patient_id=patient_id)
    db.session.commit()
    assert db.session.query(AccessLink).count() == 1
    post(client, f"/l/{token}")
    post(client, "/birth-date", {"day": born.day, "month": born.month, "year": born.year})


def test_an_approved_patient_is_booked_from_the_worklist(desk: FlaskClient, scene: Scene) -> None:
    task = make_task(kind="book_course", for_role="front_desk", patient_id=scene.patient.id)
    assert f"/staff/courses/new?patient={scene.patient.id}" in desk.get(f"/staff/tasks/{task.id}").text


def test_the_first_plan_is_held_and_another_takes_its_place(desk: FlaskClient, scene: Scene) -> None:
    chosen = look(desk, scene)
    html = desk.get(chosen.location).text
    assert "Held for you, 10:00 left" in html
    plans = re.findall(r'name="plan" value="([^"]+)"', html)[1:]
    held = post(desk, "/staff/courses/hold", {"plan": plans[1], "plans": plans}, page=chosen.location)
    assert f"show={plans[1]}" in held.location
    assert db.session.query(Hold).filter_by(ended_at=None).one().proposal_id == UUID(plans[1])
    with clock.frozen(clock.now() + timedelta(minutes=9)):
        assert "Held for you, 1:00 left" in desk.get(chosen.location).text


def test_plans_are_compared_in_plain_words(desk: FlaskClient, scene: Scene) -> None:
    scene.site.latitude, scene.site.longitude = 33.8704, -117.9243
    db.session.commit()
    chosen = look(desk, scene, zip_code="90210", earliest="2026-12-21")
    html = unescape(desk.get(chosen.location).text)
    for words in ("Site changes", "32 miles", "Gaps over four days", "Compromises", "as minutes off the usual time"):
        assert words in html
    assert "Look again with other wishes" in html
    again = re.search(r'href="([^"]+)">Look again', html)
    assert again is not None
    form = desk.get(again[1]).text
    assert 'value="2026-12-21"' in form
    assert 'value="90210"' in form


def test_a_zip_code_that_is_none_is_refused(desk: FlaskClient, scene: Scene) -> None:
    answer = look(desk, scene, zip_code="1")
    assert answer.status_code == 422
    assert "This is no ZIP code that we know" in answer.text


def test_each_relaxation_is_one_button(desk: FlaskClient, scene: Scene) -> None:
    page = look(desk, scene, after="480", before="510").text
    assert "No whole course fits this wish." in page
    forms = re.findall(r'<form method="post" data-once>(.*?)</form>', page, re.DOTALL)
    wider = next(dict(re.findall(r'name="(\w+)" value="([^"]*)"', form)) for form in forms)
    assert (wider["after"], wider["before"]) != ("480", "510")
    answer = desk.post(f"/staff/courses/new?patient={scene.patient.id}", data=wider)
    assert answer.status_code == 302


def test_sessions_beyond_what_was_approved_are_named(desk: FlaskClient, scene: Scene) -> None:
    new = NewAuthorisation(
        patient_id=scene.patient.id,
        payer="Acme",
        number="A1",
        pathway="tms",
        sessions_approved=30,
        valid_from=date(2026, 11, 1),
        valid_until=date(2027, 6, 1),
    )
    authorising.add_authorisation(new, by=TESTER)
    chosen = look(desk, scene)
    html = desk.get(chosen.location).text
    assert "6 beyond what was approved" in html
    plan = re.findall(r'name="plan" value="([^"]+)"', html)[1]
    refused = post(desk, "/staff/courses", {"plan": plan}, page=chosen.location)
    assert refused.status_code == 409
    assert "6 sessions of 36 would lie outside" in refused.text
    assert "Session 31" in refused.text
