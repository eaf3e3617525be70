"""The page of one course: who pays, make-ups, another device, sessions added, what changed."""

import re
from collections.abc import Callable
from datetime import date, timedelta
from html import unescape
from typing import Any

import pytest
from flask.testing import FlaskClient

from clinic.db import db
from clinic.locations.models import Closure
from clinic.scheduling import appointments, ledger, operations, queries
from clinic.scheduling.models import Authorisation, TreatmentSession
from clinic.scheduling.wishes import CourseWish
from tests.builders import TESTER, make_device
from tests.clinic.scheduling.conftest import Scene
from tests.clinic.scheduling.test_views import post

APPROVAL = {
    "payer": "Acme Health",
    "number": "A-77",
    "pathway": "tms",
    "sessions": "30",
    "valid_from": "2026-11-01",
    "valid_until": "2027-06-30",
    "site": "",
}


@pytest.fixture
def desk(scene: Scene, client: FlaskClient, sign_in: Callable[..., Any]) -> FlaskClient:
    sign_in("front_desk", locations=(scene.site,))
    return client


@pytest.fixture
def rows(scene: Scene) -> list[TreatmentSession]:
    wish = CourseWish("itbs_left", earliest_start=date(2026, 11, 24), daily_window=(480, 600))
    offer = operations.propose_courses(scene.patient.id, wish, by=TESTER)
    booked = operations.book_course(scene.patient.id, proposal_id=offer.proposal_ids[0], by=TESTER)
    return list(queries.sessions(booked.course_id))


def test_an_approval_goes_on_the_ledger_and_pays_for_what_was_booked(
    desk: FlaskClient, scene: Scene, rows: list[TreatmentSession]
) -> None:
    page = f"/staff/patients/{scene.patient.id}/authorisations"
    assert "Nothing is on the ledger" in desk.get(page).text
    assert post(desk, page, APPROVAL).status_code == 302
    ledger_page = unescape(desk.get(page).text)
    assert "0 approved sessions left to book." in ledger_page
    assert "Acme Health" in ledger_page
    course = unescape(desk.get(f"/staff/courses/{rows[0].course_id}").text)
    assert "6 sessions ahead have no payer." in course
    assert "Ask the payer for more by" in course


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"payer": ""}, "payer"),
        ({"sessions": "0"}, "sessions"),
        ({"sessions": "many"}, "valid integer"),
        ({"valid_from": "2027-07-01"}, "It ends on the day it begins, or later."),
        ({"valid_until": "someday"}, "date"),
    ],
)
def test_a_wrong_approval_keeps_what_was_typed(
    desk: FlaskClient, scene: Scene, wrong: dict[str, str], words: str
) -> None:
    answer = post(desk, f"/staff/patients/{scene.patient.id}/authorisations", APPROVAL | wrong)
    assert answer.status_code == 422
    assert words in answer.text
    assert "A-77" in answer.text
    assert not ledger.of_patient(scene.patient.id)


def test_an_approval_is_taken_back_with_a_reason_by_its_own_patient_only(
    desk: FlaskClient, scene: Scene, rows: list[TreatmentSession]
) -> None:
    page = f"/staff/patients/{scene.patient.id}/authorisations"
    post(desk, page, APPROVAL)
    row = db.session.query(Authorisation).one()
    assert post(desk, f"{page}/{row.id}/end", {"reason": ""}, page=page).status_code == 422
    elsewhere = f"/staff/patients/{scene.patient.id + 1}/authorisations/{row.id}/end"
    assert post(desk, elsewhere, {"reason": "wrong"}, page=page).status_code == 404
    assert post(desk, f"{page}/{row.id}/end", {"reason": "Payer withdrew it"}, page=page).status_code == 302
    assert "No payer was asked" in desk.get(f"/staff/courses/{rows[0].course_id}").text


def test_what_the_patient_pays_is_its_own_kind(desk: FlaskClient, scene: Scene) -> None:
    page = f"/staff/patients/{scene.patient.id}/authorisations"
    said = {"pathway": "tms", "what": "Six sessions at 250 dollars", "agreed_on": "2026-11-20"}
    assert post(desk, page.replace("authorisations", "self-pay"), said, page=page).status_code == 302
    assert "Six sessions at 250 dollars" in desk.get(page).text
    wrong = post(desk, page.replace("authorisations", "self-pay"), said | {"what": ""}, page=page)
    assert wrong.status_code == 422


def test_a_course_moves_to_another_device_whole_or_not_at_all(
    desk: FlaskClient, scene: Scene, rows: list[TreatmentSession]
) -> None:
    page = f"/staff/courses/{rows[0].course_id}"
    assert "Another device" not in desk.get(page).text
    other = make_device(scene.site, name="B")
    scene.site.schedule_version += 1
    db.session.commit()
    assert "Move to B" in desk.get(page).text
    assert post(desk, f"{page}/swap", {"device": other.id}, page=page).status_code == 302
    assert {row.device_id for row in queries.sessions(rows[0].course_id)} == {other.id}
    refused = post(desk, f"{page}/swap", {"device": 0}, page=page)
    assert refused.status_code in (404, 409)


def test_only_a_prescriber_adds_sessions(
    client: FlaskClient, scene: Scene, rows: list[TreatmentSession], sign_in: Callable[..., Any]
) -> None:
    page = f"/staff/courses/{rows[0].course_id}"
    sign_in("front_desk", locations=(scene.site,))
    assert "Add sessions" not in client.get(page).text
    assert post(client, f"{page}/extend", {}, page=page).status_code == 403
    sign_in("prescriber", locations=(scene.site,))
    html = client.get(page).text
    assert "Add sessions" in html
    kind = re.search(r'<option[^>]*value="([^"]+)"[^>]*>More', html)
    assert kind is not None
    wrong = post(client, f"{page}/extend", {"kind": kind[1], "count": "999", "reason": "x"}, page=page)
    assert wrong.status_code == 422
    more = {"kind": kind[1], "count": "2", "reason": "Partial response"}
    assert post(client, f"{page}/extend", more, page=page).status_code == 302
    assert len(queries.sessions(rows[0].course_id)) == 38
    changed = unescape(client.get(page).text)
    assert "Sessions were added" in changed
    assert "Partial response" in changed


def test_changes_are_named_with_who_and_why(desk: FlaskClient, rows: list[TreatmentSession]) -> None:
    page = f"/staff/courses/{rows[0].course_id}"
    cancel = f"/staff/sessions/{rows[4].id}/cancel"
    assert post(desk, cancel, {"reason": "Funeral"}, page=page).status_code == 302
    html = unescape(desk.get(page).text)
    assert "Session 5: cancelled" in html
    assert "Funeral" in html
    assert "One session is owed" in html


def test_a_make_up_past_the_gap_needs_a_prescribers_words(
    client: FlaskClient, scene: Scene, rows: list[TreatmentSession], sign_in: Callable[..., Any]
) -> None:
    appointments.cancel_session(rows[9].id, by=TESTER)
    for n in range(14):
        day = rows[-1].local_on + timedelta(days=n + 1)
        db.session.add(Closure(location_id=scene.site.id, on_date=day, name="storm"))
    scene.site.schedule_version += 1
    db.session.commit()
    page = f"/staff/courses/{rows[0].course_id}"
    sign_in("front_desk", locations=(scene.site,))
    assert "A prescriber may approve a later place: " in client.get(page).text
    sign_in("prescriber", locations=(scene.site,))
    html = client.get(page).text
    place = re.search(r'name="place" value="([^"]+)"', html)
    assert place is not None
    refused = post(client, f"{page}/make-up", {"place": place[1], "reason": ""}, page=page)
    assert refused.status_code in (409, 422)
    kept = post(client, f"{page}/make-up", {"place": place[1], "reason": "Storm; no harm expected"}, page=page)
    assert kept.status_code == 302
