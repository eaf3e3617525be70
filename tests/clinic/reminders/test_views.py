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
from clinic.reminders import ledger, sending
from clinic.reminders.channels import ChannelRefused
from clinic.reminders.models import Message
from clinic.reminders.views import without_links
from clinic.scheduling.models import Course
from clinic.tasks.models import Task
from tests.builders import make_message

TOMORROW = datetime(2026, 11, 24, 18, tzinfo=UTC)
AT_FOUR = datetime(2026, 11, 24, 0, tzinfo=UTC)
Booked = Callable[..., Any]


def send_all() -> None:
    with clock.frozen(AT_FOUR):
        for message_id in ledger.collect_due():
            sending.send_message(message_id)


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
        ("q=D-1", False),
        ("q=ZZ", False),
        ("q=7145550000", False),
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


@pytest.mark.parametrize(("query", "shown"), [("", 1), ("?state=void", 2)])
def test_what_one_message_told_of_is_one_line(
    booked: Booked, sign_in: Any, client: Any, query: str, shown: int
) -> None:
    course = booked([TOMORROW])
    patient = patient_of(course)
    make_message(patient, state="sent", sent_at=AT_FOUR, occurrence="a")
    for occurrence in ("b", "c"):
        make_message(patient, state="void", failure="told in another message", occurrence=occurrence)
    desk(course, sign_in)
    assert client.get(f"/staff/messages{query}").text.count("data-row") == shown
    assert client.get(f"/staff/patients/{patient.id}/messages").text.count("Not needed any more") == 0


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
    token = str(row.body).split("/r/")[1].split()[0]
    desk(course, sign_in)
    page = client.get(f"/staff/messages/{row.id}").text
    assert "/r/…" in page
    assert token not in page


@pytest.mark.parametrize("use", ["l", "o", "r", "unsubscribe"])
def test_no_kind_of_link_is_shown(use: str) -> None:
    assert without_links(f"at https://harbor.example.org/{use}/AAA.b-c_d.") == f"at https://harbor.example.org/{use}/…"


def test_the_failed_message_leads_from_its_task(failed: Course, sign_in: Any, client: Any) -> None:
    desk(failed, sign_in)
    task = db.session.scalars(select(Task).filter_by(kind="message_failed")).one()
    assert "could not be delivered" in client.get("/staff/").text
    assert "/staff/messages/" in client.get(f"/staff/tasks/{task.id}").text


# -- development ------------------------------------------------------------------------------------------------------


def test_the_outbox_shows_what_was_kept(booked: Booked, client: Any, now: datetime) -> None:
    booked([TOMORROW])
    send_all()
    page = client.get("/dev/outbox").text
    assert "Tue, Nov 24, 10:00 am" in page
    assert "/r/" in page


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
    for message_id in ledger.collect_due():
        sending.send_message(message_id)
    [sent] = [sent for sent in channel.sent if "check-in" in sent.body]
    assert "It takes about 2 minutes" in sent.body
    token = sent.body.split("/l/")[1].split()[0]
    asked = client.get(post(f"/l/{token}").location)
    assert asked.location.startswith("/birth-date")
    answered = post(asked.location, {"day": "17", "month": "5", "year": "1980"})
    opened = client.get(answered.location, follow_redirects=True)
    assert "Little interest or pleasure in doing things" in opened.text
