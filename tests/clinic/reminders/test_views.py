"""The desk's list, the patient's answer to a visit, and the outbox of development."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from clinic import clock
from clinic.audit import AuditEvent
from clinic.db import db
from clinic.locations.models import Location
from clinic.patients.models import Patient
from clinic.reminders import operations
from clinic.reminders.channels import ChannelRefused
from clinic.reminders.models import Message
from clinic.scheduling.models import Course
from clinic.tasks.models import Task
from tests.builders import course_sessions

TOMORROW = datetime(2026, 11, 24, 18, tzinfo=UTC)
AT_FOUR = datetime(2026, 11, 24, 0, tzinfo=UTC)
Booked = Callable[..., Any]


def send_all() -> None:
    with clock.frozen(AT_FOUR):
        for message_id in operations.collect_due():
            operations.send_message(message_id)


def patient_of(course: Course) -> Patient:
    return db.session.get_one(Patient, course.patient_id)


def desk(course: Course, sign_in: Any, *roles: str) -> Any:
    return sign_in(*(roles or ("front_desk",)), locations=(db.session.get_one(Location, course.location_id),))


@pytest.fixture
def failed(booked: Booked, channel: Any, now: datetime) -> Course:
    course = booked([TOMORROW])
    channel.answers = [ChannelRefused("the mail server refused the recipient (550)")]
    send_all()
    return course


def test_the_desk_sees_initials_record_number_and_why(failed: Course, sign_in: Any, client: Any) -> None:
    desk(failed, sign_in)
    page = client.get("/staff/messages").text
    patient = patient_of(failed)
    assert patient.record_number in page
    assert "Not delivered" in page
    assert "refused the recipient (550)" in page
    assert str(patient.email) not in page
    assert patient.family_name not in page


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("state=failed", True),
        ("state=sent", False),
        ("channel=sms", False),
        ("purpose=day_before&channel=email", True),
        ("record=1", False),
        ("state=nonsense&before=999999999", True),
    ],
)
def test_the_list_is_filtered_by_its_address(
    failed: Course, sign_in: Any, client: Any, query: str, shown: bool
) -> None:
    desk(failed, sign_in)
    page = client.get(f"/staff/messages?{query}")
    assert page.status_code == 200
    assert (patient_of(failed).record_number in page.text) is shown


def test_another_site_sees_nothing(failed: Course, sign_in: Any, client: Any) -> None:
    sign_in("front_desk", locations=())
    assert patient_of(failed).record_number not in client.get("/staff/messages").text
    [row] = db.session.scalars(select(Message))
    assert client.get(f"/staff/messages/{row.id}").status_code == 404


@pytest.mark.parametrize("role", ["operator", "therapist"])
def test_other_roles_do_not_open_it(failed: Course, sign_in: Any, client: Any, role: str) -> None:
    desk(failed, sign_in, role)
    assert client.get("/staff/messages").status_code == 403


def test_sending_again_needs_a_reason(failed: Course, sign_in: Any, post: Any, client: Any, rings: list[Any]) -> None:
    desk(failed, sign_in)
    [row] = db.session.scalars(select(Message))
    refused = post(f"/staff/messages/{row.id}", {"reason": ""})
    assert refused.status_code == 422
    assert post(f"/staff/messages/{row.id}", {"reason": "address corrected"}).status_code == 302
    assert rings == [("reminders.send", {"message_id": row.id})]
    assert "resent" in set(db.session.scalars(select(AuditEvent.action)))


def test_the_desk_never_sees_a_link_that_opens_a_patients_page(
    booked: Booked, channel: Any, sign_in: Any, client: Any, now: datetime
) -> None:
    course = booked([TOMORROW])
    send_all()
    [row] = db.session.scalars(select(Message))
    token = str(row.body).split("/l/")[1].split()[0]
    desk(course, sign_in)
    page = client.get(f"/staff/messages/{row.id}").text
    assert "/l/…" in page
    assert token not in page


def test_the_failed_message_leads_from_its_task(failed: Course, sign_in: Any, client: Any) -> None:
    desk(failed, sign_in)
    task = db.session.scalars(select(Task).filter_by(kind="message_failed")).one()
    assert "could not be delivered" in client.get("/staff/").text
    assert "/staff/messages/" in client.get(f"/staff/tasks/{task.id}").text


# -- the patient's answer ---------------------------------------------------------------------------------------------


def test_i_will_be_there_confirms_without_a_birth_date(
    booked: Booked, sign_in_patient: Any, client: Any, post: Any, now: datetime
) -> None:
    course = booked([TOMORROW])
    [visit] = course_sessions(course)
    sign_in_patient(patient_of(course), "visit", checked=False, session_id=visit.id)
    page = client.get("/visit").text
    assert "Tue, Nov 24, 10:00 am" in page
    assert post(f"/visit/{visit.id}/confirm").location.endswith("/visit")
    assert visit.state == "confirmed"
    assert "You said that you" in client.get("/visit").text


def test_i_cannot_come_tells_the_desk_once_and_keeps_the_place(
    booked: Booked, sign_in_patient: Any, client: Any, post: Any, now: datetime
) -> None:
    course = booked([TOMORROW])
    [visit] = course_sessions(course)
    sign_in_patient(patient_of(course), "visit", checked=False, session_id=visit.id)
    post(f"/visit/{visit.id}/cannot-come")
    post(f"/visit/{visit.id}/cannot-come")
    [task] = db.session.scalars(select(Task).filter_by(kind="cannot_come"))
    assert (task.level, task.subject["session_id"], visit.state) == ("same_day", visit.id, "booked")
    assert "You told us that you can" in client.get("/visit").text
    post(f"/visit/{visit.id}/confirm")
    assert task.closed_at is not None


def test_opening_the_page_changes_nothing(booked: Booked, sign_in_patient: Any, client: Any, now: datetime) -> None:
    course = booked([TOMORROW])
    [visit] = course_sessions(course)
    sign_in_patient(patient_of(course), "visit", checked=False, session_id=visit.id)
    client.get("/visit")
    assert client.get(f"/visit/{visit.id}/confirm").status_code == 405
    assert visit.state == "booked"


def test_the_link_answers_for_the_week_and_not_beyond(
    booked: Booked, sign_in_patient: Any, client: Any, post: Any, now: datetime
) -> None:
    course = booked([TOMORROW, TOMORROW + timedelta(days=6), TOMORROW + timedelta(days=7)])
    first, within, beyond = course_sessions(course)
    sign_in_patient(patient_of(course), "visit", checked=False, session_id=first.id)
    assert post(f"/visit/{within.id}/confirm").status_code == 302
    assert post(f"/visit/{beyond.id}/confirm").status_code == 404


def test_a_strangers_visit_is_not_found(booked: Booked, sign_in_patient: Any, post: Any, now: datetime) -> None:
    course, other = booked([TOMORROW]), booked([TOMORROW])
    [visit], [strange] = course_sessions(course), course_sessions(other)
    sign_in_patient(patient_of(course), "visit", checked=False, session_id=visit.id)
    assert post(f"/visit/{strange.id}/confirm").status_code == 404


def test_a_visit_that_is_over_has_nothing_to_answer(
    booked: Booked, sign_in_patient: Any, client: Any, now: datetime
) -> None:
    course = booked([datetime(2026, 11, 23, 17, tzinfo=UTC)])
    [visit] = course_sessions(course)
    sign_in_patient(patient_of(course), "visit", checked=False, session_id=visit.id)
    assert "This visit is over" in client.get("/visit").text


# -- development ------------------------------------------------------------------------------------------------------


def test_the_outbox_shows_what_was_kept(booked: Booked, client: Any, now: datetime) -> None:
    booked([TOMORROW])
    send_all()
    page = client.get("/dev/outbox").text
    assert "Tue, Nov 24, 10:00 am" in page
    assert "/l/" in page


def test_the_outbox_does_not_exist_in_production_or_from_elsewhere(
    client: Any, app: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert client.get("/dev/outbox", environ_base={"REMOTE_ADDR": "192.0.2.1"}).status_code == 404
    monkeypatch.setitem(app.config, "SETTINGS", replace(app.config["SETTINGS"], env="production"))
    assert client.get("/dev/outbox").status_code == 404


def test_the_record_lists_the_messages(failed: Course, sign_in: Any, client: Any) -> None:
    desk(failed, sign_in)
    page = client.get(f"/staff/patients/{failed.patient_id}").text
    assert "Day before" in page


def test_a_yes_holds_for_all_sessions_of_the_day(
    booked: Booked, sign_in_patient: Any, post: Any, now: datetime
) -> None:
    course = booked([TOMORROW, TOMORROW + timedelta(minutes=50), TOMORROW + timedelta(days=1)])
    visits = course_sessions(course)
    sign_in_patient(patient_of(course), "visit", checked=False, session_id=visits[0].id)
    post(f"/visit/{visits[0].id}/confirm")
    assert [visit.state for visit in visits] == ["confirmed", "confirmed", "booked"]


def test_the_link_in_a_reminder_opens_the_visit_and_nothing_else(
    booked: Booked, channel: Any, client: Any, post: Any, now: datetime
) -> None:
    course = booked([TOMORROW])
    send_all()
    token = channel.sent[0].body.split("/l/")[1].split()[0]
    with clock.frozen(AT_FOUR + timedelta(minutes=5)):
        assert "Continue" in client.get(f"/l/{token}").text
        assert post(f"/l/{token}").location.endswith("/visit")
        assert "Tue, Nov 24, 10:00 am" in client.get("/visit").text
        assert client.get("/me").status_code == 302
    [visit] = course_sessions(course)
    assert visit.state == "booked"


def test_the_link_of_a_check_in_asks_the_birth_date_once_and_opens_the_first_question(
    booked: Booked, channel: Any, client: Any, post: Any, now: datetime
) -> None:
    from clinic.surveys.models import Survey

    course = booked([TOMORROW])
    db.session.add(
        Survey(
            patient_id=course.patient_id,
            course_id=course.id,
            occasion="session:5",
            instruments=["phq9"],
            milestone=5,
            state="open",
            due_at=now,
            late_after=now + timedelta(hours=72),
            is_late=False,
        )
    )
    db.session.flush()
    for message_id in operations.collect_due():
        operations.send_message(message_id)
    [sent] = [sent for sent in channel.sent if "check-in" in sent.body]
    token = sent.body.split("/l/")[1].split()[0]
    asked = client.get(post(f"/l/{token}").location)
    assert asked.location.startswith("/birth-date")
    answered = post(asked.location, {"day": "17", "month": "5", "year": "1980"})
    opened = client.get(answered.location, follow_redirects=True)
    assert "Little interest or pleasure in doing things" in opened.text
