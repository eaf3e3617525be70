"""Pages behind signed links: three answers to one visit, no sign-in, and nothing that a scanner could set off."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from clinic import clock
from clinic.db import db
from clinic.patients import queries as patients
from clinic.reminders import ledger, sending, signed
from clinic.reminders.models import Message
from clinic.reminders.signed import Use
from clinic.tasks.models import Task
from tests.builders import course_sessions, make_patient, make_profile, make_staff

KEYS = ("test-signing-key-0123456789abcdef",)
TOMORROW = datetime(2026, 11, 24, 18, tzinfo=UTC)
AT_FOUR = datetime(2026, 11, 24, 0, tzinfo=UTC)
Booked = Callable[..., Any]


@pytest.fixture
def link(booked: Booked, channel: Any) -> Callable[..., tuple[Any, str]]:
    """`link(starts)` books these visits, sends the message of the day before; answers visits and the link's path."""

    def make(*starts: datetime, **more: Any) -> tuple[Any, str]:
        course = booked(list(starts), **more)
        with clock.frozen(AT_FOUR):
            for message_id in ledger.collect_due():
                sending.send_message(message_id)
        path = "/r/" + channel.sent[-1].body.split("/r/")[1].split()[0]
        return course_sessions(course), path

    return make


@pytest.fixture(autouse=True)
def soon() -> Any:
    with clock.frozen(AT_FOUR + timedelta(minutes=5)):
        yield


def tasks(kind: str) -> list[Task]:
    return list(db.session.scalars(select(Task).filter_by(kind=kind)))


def test_opening_the_link_changes_nothing(link: Any, client: FlaskClient) -> None:
    [visit], path = link(TOMORROW)
    page = client.get(path)
    assert "Tue, Nov 24, 10:00 am" in page.text
    assert "Set-Cookie" not in page.headers or "daybreak_patient" not in page.headers["Set-Cookie"]
    assert client.get(f"{path}/{visit.id}/coming").status_code == 405
    assert visit.state == "booked"


def test_i_will_be_there(link: Any, client: FlaskClient) -> None:
    [visit], path = link(TOMORROW)
    assert client.post(f"{path}/{visit.id}/coming").location == path
    assert client.post(f"{path}/{visit.id}/coming").status_code == 302
    assert visit.state == "confirmed"
    assert "You said that you" in client.get(path).text
    assert db.session.scalars(select(Message.answer)).all() == ["coming"]


def test_i_am_late_tells_the_desk_once(link: Any, client: FlaskClient) -> None:
    [visit], path = link(TOMORROW)
    for _ in range(2):
        client.post(f"{path}/{visit.id}/late")
    [task] = tasks("running_late")
    assert (task.subject["session_id"], task.due_at, visit.state) == (visit.id, TOMORROW, "booked")
    assert "You told us that you are late" in client.get(path).text


def test_i_cannot_come_keeps_the_place_and_can_be_taken_back(link: Any, client: FlaskClient) -> None:
    [visit], path = link(TOMORROW)
    for _ in range(2):
        client.post(f"{path}/{visit.id}/cannot")
    [task] = tasks("cannot_come")
    assert (task.level, task.subject["session_id"], visit.state) == ("same_day", visit.id, "booked")
    assert "You told us that you can" in client.get(path).text
    client.post(f"{path}/{visit.id}/coming")
    assert task.closed_at is not None


def test_an_answer_touches_one_visit(link: Any, client: FlaskClient) -> None:
    visits, path = link(TOMORROW, TOMORROW + timedelta(days=1))
    client.post(f"{path}/{visits[0].id}/cannot")
    assert [task.subject["session_id"] for task in tasks("cannot_come")] == [visits[0].id]


def test_a_yes_holds_for_all_sessions_of_the_day(link: Any, client: FlaskClient) -> None:
    visits, path = link(TOMORROW, TOMORROW + timedelta(minutes=50), TOMORROW + timedelta(days=1))
    client.post(f"{path}/{visits[0].id}/coming")
    assert [visit.state for visit in visits] == ["confirmed", "confirmed", "booked"]


def test_the_link_answers_for_the_week_and_not_beyond(link: Any, client: FlaskClient) -> None:
    (_, within, beyond), path = link(TOMORROW, TOMORROW + timedelta(days=6), TOMORROW + timedelta(days=7))
    assert client.post(f"{path}/{within.id}/coming").status_code == 302
    assert client.post(f"{path}/{beyond.id}/coming").status_code == 404


def test_a_strangers_visit_is_not_found(link: Any, booked: Booked, client: FlaskClient) -> None:
    _, path = link(TOMORROW)
    [strange] = course_sessions(booked([TOMORROW]))
    assert client.post(f"{path}/{strange.id}/coming").status_code == 404


def test_the_weekly_message_opens_its_week(link: Any, client: FlaskClient, booked: Booked, channel: Any) -> None:
    week = [datetime(2026, 11, 30, 18, tzinfo=UTC) + timedelta(days=n) for n in range(5)]
    course = booked([TOMORROW - timedelta(days=20), *week], style="digest")
    course_sessions(course)[0].state = "completed"
    with clock.frozen(datetime(2026, 11, 30, 1, tzinfo=UTC)):
        for message_id in ledger.collect_due():
            sending.send_message(message_id)
        page = client.get("/r/" + channel.sent[-1].body.split("/r/")[1].split()[0]).text
    assert page.count("10:00 am") == 5


@pytest.mark.parametrize("later", [timedelta(days=1), timedelta(days=15)])
def test_a_link_ends_with_its_visit_or_after_two_weeks(link: Any, client: FlaskClient, later: timedelta) -> None:
    _, path = link(TOMORROW)
    with clock.frozen(AT_FOUR + later):
        page = client.get(path)
    assert page.status_code == 410
    assert "This visit is over" in page.text


@pytest.mark.parametrize("token", ["x", "AQ.AAAAAAAAAAAAAAAA", "é.x", "AQ", "A" * 90])
def test_a_token_that_is_not_ours_is_not_found(database: Any, client: FlaskClient, token: str) -> None:
    assert client.get(f"/r/{token}").status_code == 404
    assert client.get(f"/unsubscribe/{token}").status_code == 404


def test_the_page_speaks_the_persons_language(link: Any, client: FlaskClient) -> None:
    _, path = link(TOMORROW, language="es")
    assert "No puedo ir" in client.get(path).text


# -- no more mail -----------------------------------------------------------------------------------------------------


def test_one_press_of_a_mail_program_ends_mail_and_nothing_else(database: Any, client: FlaskClient) -> None:
    make_profile()
    patient = make_patient(consents={"email": True, "sms": True})
    path = f"/unsubscribe/{signed.sign(Use.MAIL, patient.id, KEYS)}"
    assert client.get(path).status_code == 200
    assert patients.consents(patient.id) == {"email": True, "sms": True}
    assert client.post(path, data={"List-Unsubscribe": "One-Click"}).status_code == 200
    assert patients.consents(patient.id) == {"email": False, "sms": True}


def test_the_page_takes_it_back(database: Any, client: FlaskClient) -> None:
    make_profile()
    patient = make_patient(consents={"email": True})
    path = f"/unsubscribe/{signed.sign(Use.MAIL, patient.id, KEYS)}"
    client.post(path)
    assert "You get no more mail" in client.get(path).text
    client.post(path, data={"again": "yes"})
    assert patients.consents(patient.id) == {"email": True}


def test_staff_end_the_mail_of_the_morning(database: Any, client: FlaskClient) -> None:
    staff = make_staff("front_desk")
    client.post(f"/unsubscribe/{signed.sign(Use.STAFF_MAIL, staff.id, KEYS)}")
    assert staff.morning_mail is False


def test_a_token_opens_only_what_it_was_made_for() -> None:
    token = signed.sign(Use.MAIL, 7, KEYS)
    assert signed.read(Use.MAIL, token, KEYS) == 7
    assert signed.read(Use.VISIT, token, KEYS) is None
    assert signed.read(Use.MAIL, token, ("another", *KEYS)) == 7
    assert signed.read(Use.MAIL, token, ("another",)) is None
