"""One outage, one person, one message: whatever was moved, cancelled or asked by it."""

from datetime import timedelta
from typing import Any

import pytest

from clinic import clock
from clinic.db import db
from clinic.patients.models import Patient
from clinic.reminders.models import Message
from clinic.scheduling.models import Hold, Outage, ScheduleChange, TreatmentSession
from tests.builders import course_sessions, make_course
from tests.clinic.reminders.test_purposes import NOW, VISIT, Booked, sweep_and_send

LATER = timedelta(hours=1)


def outage(location_id: int) -> Outage:
    row = Outage(
        kind="site", location_id=location_id, starts_at=VISIT, ends_at=VISIT + timedelta(days=2), reason="storm",
        is_final=False, state="applied", created_at=NOW, closure_ids=[], revision=1, versions={},
    )  # fmt: skip
    db.session.add(row)
    db.session.flush()
    return row


def change(course: Any, state: str = "told", outage_id: int | None = None) -> ScheduleChange:
    rows = course_sessions(course)
    lines = [
        {
            "session_id": row.id,
            "from_at": row.starts_at.isoformat(),
            "to_at": None,
            "to_location": 1,
            "from_location": 1,
        }
        for row in rows
    ]
    found = ScheduleChange(
        patient_id=course.patient_id, course_id=course.id, outage_id=outage_id, kind="site", state=state, revision=1,
        moves=lines, created_at=NOW, answer_by=NOW + timedelta(hours=24),
    )  # fmt: skip
    db.session.add(found)
    db.session.flush()
    return found


def shift(visit: TreatmentSession, by: ScheduleChange, state: str = "booked") -> None:
    """What a re-plan writes: the session an hour later, held or cancelled."""
    if state == "held":
        hold = Hold(patient_id=by.patient_id, purpose="change", created_at=NOW, expires_at=by.answer_by)
        db.session.add(hold)
        db.session.flush()
        visit.hold_id = hold.id
    visit.change_id, visit.revision, visit.state = by.id, 1, state
    if state == "cancelled":
        visit.ended_at = NOW
    else:
        visit.starts_at, visit.ends_at, visit.device_until, visit.spaced_until = (
            at + LATER for at in (visit.starts_at, visit.ends_at, visit.device_until, visit.spaced_until)
        )
    db.session.flush()


def told() -> list[Message]:
    db.session.expire_all()
    return db.session.query(Message).filter_by(state="sent").order_by(Message.id).all()


@pytest.mark.parametrize("order", [("cancelled", "booked"), ("booked", "cancelled")])
def test_a_lost_and_a_moved_session_are_one_message(booked: Booked, channel: Any, order: tuple[str, str]) -> None:
    course = booked([VISIT, VISIT + timedelta(days=3)])
    plan = change(course)
    with clock.frozen(NOW):
        for visit, state in zip(course_sessions(course), order, strict=True):
            shift(visit, plan, state)
    sweep_and_send(NOW)
    (row,) = told()
    moved, lost = ("Mon, Nov 30, 11:00 am", "Fri, Nov 27, 10:00 am") if order[0] == "cancelled" else (
        "Fri, Nov 27, 11:00 am", "Mon, Nov 30, 10:00 am")  # fmt: skip
    assert f"New times for your visits: {moved}" in str(row.body)
    assert f"Cancelled: {lost}." in str(row.body)
    sweep_and_send(NOW + timedelta(minutes=1))
    assert len(told()) == 1


def test_its_link_opens_the_visit_that_takes_place(booked: Booked, channel: Any, client: Any) -> None:
    course = booked([VISIT, VISIT + timedelta(days=3)])
    plan = change(course)
    for visit, state in zip(course_sessions(course), ("cancelled", "booked"), strict=True):
        shift(visit, plan, state)
    sweep_and_send(NOW)
    with clock.frozen(NOW):
        page = client.get("/r/" + str(told()[0].body).split("/r/")[1].split()[0])
    assert page.status_code == 200
    assert "Nov 30" in page.text


def test_two_courses_of_a_person_in_one_outage_are_one_message(booked: Booked, channel: Any) -> None:
    first = booked([VISIT])
    second = make_course(db.session.get_one(Patient, first.patient_id), [VISIT + timedelta(days=1)])
    out = outage(first.location_id)
    for course in (first, second):
        shift(course_sessions(course)[0], change(course, outage_id=out.id))
    sweep_and_send(NOW)
    (row,) = told()
    assert "2 of your visits have new times" in str(row.body)


def test_an_earlier_time_that_is_asked_tells_the_rest_too(booked: Booked, channel: Any) -> None:
    course = booked([VISIT + timedelta(days=n) for n in (0, 3, 4)])
    plan = change(course, "asked")
    with clock.frozen(NOW):
        for visit, state in zip(course_sessions(course), ("held", "booked", "cancelled"), strict=True):
            shift(visit, plan, state)
    sweep_and_send(NOW)
    (row,) = told()
    assert row.purpose == "freed_slot"
    assert "An earlier time is free: Fri, Nov 27, 11:00 am" in str(row.body)
    assert "New times: Mon, Nov 30, 11:00 am." in str(row.body)
    assert "Cancelled: Tue, Dec 1, 10:00 am." in str(row.body)


def test_it_is_said_in_spanish(booked: Booked, channel: Any) -> None:
    course = booked([VISIT, VISIT + timedelta(days=3)], language="es")
    plan = change(course)
    for visit, state in zip(course_sessions(course), ("cancelled", "booked"), strict=True):
        shift(visit, plan, state)
    sweep_and_send(NOW)
    (row,) = told()
    assert "Horas nuevas para sus citas" in str(row.body)
    assert "Canceladas: vie 27 nov, 10:00 am." in str(row.body)
