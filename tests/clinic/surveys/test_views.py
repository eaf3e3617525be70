"""The check-in on a phone: word for word, safety first, sent once; the trend on the record."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from clinic.db import db
from clinic.instruments import scoring
from clinic.patients.models import LinkPurpose
from clinic.surveys import operations
from clinic.surveys.models import Survey
from clinic.tasks.models import Task
from tests.builders import TESTER, phq9_answers

NOW = datetime(2026, 11, 23, 18, tzinfo=UTC)
Make = Callable[..., Survey]


@pytest.fixture
def survey(running: Any, make_survey: Make) -> Survey:
    return make_survey(running(5))


@pytest.fixture(autouse=True)
def _no_csrf(app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(app.config, "WTF_CSRF_ENABLED", False)


def test_every_item_is_shown_word_for_word(survey: Survey, phone: Any) -> None:
    browser = phone(survey)
    for item in scoring.load("phq9").items:
        page = browser.get(f"/surveys/{survey.id}/{item.number}").text
        assert f'<h1 class="mt-3">{item.text}</h1>' in page
        assert all(f"<span>{label}</span>" in page for label in item.answers.values())
        assert '<a href="tel:988">call or text 988</a>' in page


def test_answering_goes_from_item_to_item_to_the_end(survey: Survey, phone: Any) -> None:
    browser = phone(survey)
    assert browser.get(f"/surveys/{survey.id}").location.endswith("/1")
    for number in range(1, 9):
        answer = browser.post(f"/surveys/{survey.id}/{number}", data={"answer": "2"})
        assert answer.location.endswith(f"/{number + 1}")
    assert browser.post(f"/surveys/{survey.id}/9", data={"answer": "0"}).location.endswith("/10")
    assert "how difficult have these problems made it" in browser.get(f"/surveys/{survey.id}/10").text
    assert browser.post(f"/surveys/{survey.id}/10", data={"answer": "1"}).location.endswith("/send")
    assert browser.post(f"/surveys/{survey.id}/send").location.endswith("/done")
    assert survey.state == "answered"
    assert "with your care team" in browser.get(f"/surveys/{survey.id}/done").text


def test_coming_back_goes_to_the_first_open_question(survey: Survey, phone: Any) -> None:
    operations.save_answers(survey.id, {"phq9.1": 2, "phq9.2": None}, by=TESTER)
    assert phone(survey).get(f"/surveys/{survey.id}").location.endswith("/3")


def test_a_question_may_be_skipped_but_not_left_blank_by_accident(survey: Survey, phone: Any) -> None:
    browser = phone(survey)
    refused = browser.post(f"/surveys/{survey.id}/1", data={})
    assert refused.status_code == 422
    assert 'id="errors"' in refused.text
    assert browser.post(f"/surveys/{survey.id}/1", data={"skip": "1"}).location.endswith("/2")


@pytest.mark.parametrize("answer", ["1", "3"])
def test_item_9_shows_who_can_be_called_before_anything_else(survey: Survey, phone: Any, answer: str) -> None:
    browser = phone(survey)
    went = browser.post(f"/surveys/{survey.id}/9", data={"answer": answer})
    assert went.location.endswith("/safety")
    page = browser.get(went.location).text
    assert 'href="tel:988"' in page
    assert 'href="sms:988"' in page
    assert db.session.scalar(select(Task).filter_by(kind="safety")) is not None


def test_autosave_says_that_the_answer_is_grave(survey: Survey, phone: Any) -> None:
    browser = phone(survey)
    saved = browser.post(f"/surveys/{survey.id}/9/save", data={"answer": "2"})
    assert saved.json == {"saved_at": "10:00 am", "safety": True}
    assert browser.post(f"/surveys/{survey.id}/9/save", data={"answer": "7"}).status_code == 422


def test_the_screener_asks_what_the_answers_call_for(survey: Survey, phone: Any, rings: list[Any]) -> None:
    browser = phone(survey)
    browser.post(f"/surveys/{survey.id}/9", data={"answer": "1"})
    first = browser.post(f"/surveys/{survey.id}/safety", data={"next": "questions"})
    assert first.location.endswith("/more/1")
    assert browser.get(first.location).status_code == 200
    assert browser.post(first.location, data={"cssrs-1": "1", "cssrs-2": "0"}).location.endswith("/more/3")
    assert browser.post(first.location, data={"cssrs-1": "1", "cssrs-2": "1"}).location.endswith("/more/2")
    assert browser.post(f"/surveys/{survey.id}/more/2", data={"cssrs-4": "1"}).location.endswith("/more/3")
    assert browser.post(f"/surveys/{survey.id}/more/3", data={}).location.endswith(f"/{survey.id}/1")
    assert "urgent" in {task.level for task in db.session.scalars(select(Task).filter_by(kind="safety"))}


def test_the_clinics_promise_is_shown_only_where_it_is_switched_on(survey: Survey, phone: Any) -> None:
    from clinic.locations import queries as locations

    browser = phone(survey)
    browser.post(f"/surveys/{survey.id}/9", data={"answer": "2"})
    assert "will call you by" not in browser.get(f"/surveys/{survey.id}/safety").text
    profile = locations.profile()
    assert profile is not None
    profile.promises_safety_call = True
    db.session.flush()
    assert "will call you by 6:00 pm" in browser.get(f"/surveys/{survey.id}/safety").text


def test_two_devices_keep_one(survey: Survey, phone: Any) -> None:
    browser = phone(survey)
    browser.post(f"/surveys/{survey.id}/1", data={"answer": "2"})
    for _ in range(2):
        assert browser.post(f"/surveys/{survey.id}/send").location.endswith("/done")
    assert browser.post(f"/surveys/{survey.id}/2", data={"answer": "2"}).location.endswith("/done")


def test_a_grave_answer_on_the_second_device_still_shows_the_card(survey: Survey, phone: Any) -> None:
    browser = phone(survey)
    browser.post(f"/surveys/{survey.id}/1", data={"answer": "2"})
    browser.post(f"/surveys/{survey.id}/send")
    went = browser.post(f"/surveys/{survey.id}/9", data={"answer": "3"})
    assert went.location.endswith("/safety")
    assert 'href="tel:988"' in browser.get(went.location).text


def test_nothing_answered_is_not_sent(survey: Survey, phone: Any) -> None:
    refused = phone(survey).post(f"/surveys/{survey.id}/send")
    assert refused.status_code == 422
    assert "Answer at least one question" in refused.text


def test_a_link_opens_no_other_check_in(survey: Survey, running: Any, make_survey: Make, phone: Any) -> None:
    other = make_survey(running(5))
    assert phone(survey).get(f"/surveys/{other.id}/1").status_code == 404
    assert phone(survey, LinkPurpose.SIGN_IN).get(f"/surveys/{other.id}/1").status_code == 404


def test_a_stranger_is_asked_for_a_link(survey: Survey, client: Any) -> None:
    assert "/link" in client.get(f"/surveys/{survey.id}/1").location


def answered(survey: Survey, value: int) -> None:
    operations.save_answers(survey.id, phq9_answers(value), by=TESTER)
    operations.send_answers(survey.id, by=TESTER)


def test_the_record_shows_trend_response_and_remission(
    running: Any, make_survey: Make, sign_in: Any, client: Any, at: Any
) -> None:
    course = running(5)
    with at(datetime(2026, 11, 16, 16, tzinfo=UTC)):
        answered(make_survey(course, milestone=0), 2)
    answered(make_survey(course), 1)
    sign_in("prescriber", locations=())
    from clinic.surveys.views import _section

    with client.application.test_request_context():
        part = str(_section("surveys/chart.html")(course.patient_id))
    assert "<b>16</b> at baseline, <b>8</b> after 5 sessions: 50 % lower." in part
    assert ">Response</span>" in part.replace("</svg>", "")
    assert "No remission yet" in part
    assert '<svg class="chart"' in part
    assert "<caption" in part


def test_no_change_after_one_session_is_said_as_such(
    running: Any, make_survey: Make, sign_in: Any, client: Any, at: Any
) -> None:
    course = running(1)
    with at(datetime(2026, 11, 16, 16, tzinfo=UTC)):
        answered(make_survey(course, milestone=0), 2)
    answered(make_survey(course), 2)
    sign_in("prescriber")
    said = client.get(f"/staff/patients/{course.patient_id}").text
    assert "<b>16</b> at baseline, <b>16</b> after 1 session: as at baseline." in said
    assert "16 after 1 session" in client.get(f"/staff/patients/{course.patient_id}/progress").text


def test_the_patients_own_page_shows_what_waits_and_the_trend(survey: Survey, phone: Any, make_survey: Make) -> None:
    answered(survey, 1)
    page = phone(survey, LinkPurpose.SIGN_IN).get("/surveys").text
    assert "No check-in is waiting." in page
    assert "One check-in so far." in page
    assert "remission" not in page.lower().replace("few or no symptoms", "")


def test_a_cancelled_check_in_says_that_it_is_closed(survey: Survey, phone: Any) -> None:
    survey.state = "cancelled"
    db.session.flush()
    browser = phone(survey)
    assert browser.get(f"/surveys/{survey.id}/1").location.endswith("/done")
    assert "This check-in is closed" in browser.get(f"/surveys/{survey.id}/done").text


def test_an_old_answer_stays_marked_late(running: Any, make_survey: Make) -> None:
    survey = make_survey(running(5), late_after=NOW - timedelta(hours=1))
    answered(survey, 1)
    assert survey.is_late
