"""Every reason for a message: when it comes, to whom, and when it does not."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from clinic import clock
from clinic.db import db
from clinic.eligibility.models import PatientAsk
from clinic.intake import attachments
from clinic.locations.models import Location
from clinic.patients import queries as patients
from clinic.patients.operations import set_consent
from clinic.reminders import ledger, sending
from clinic.reminders.models import Message
from clinic.scheduling.models import Authorisation, ScheduleChange, WaitlistOffer
from clinic.tasks.models import Task
from tests.builders import (
    TESTER,
    course_sessions,
    make_decision,
    make_intake,
    make_location,
    make_offer,
    make_patient,
    make_profile,
    make_staff,
    make_task,
    make_visit,
)
from tests.clinic.intake import files

NOW = datetime(2026, 11, 23, 18, tzinfo=UTC)  # Monday, 10:00 in Los Angeles
VISIT = datetime(2026, 11, 27, 18, tzinfo=UTC)  # Friday, 10:00
Booked = Callable[..., Any]


def sweep_and_send(at: datetime) -> None:
    with clock.frozen(at):
        for message_id in ledger.collect_due():
            sending.send_message(message_id)


def sent(purpose: str) -> list[Message]:
    db.session.expire_all()
    statement = select(Message).filter_by(purpose=purpose, state="sent").order_by(Message.id)
    return list(db.session.scalars(statement))


def four_days_before(days: int) -> datetime:
    """16:00 in Los Angeles so many days before the visit."""
    return datetime(2026, 11, 28, tzinfo=UTC) - timedelta(days=days)


def test_how_to_prepare_comes_three_days_before_the_first_visit_alone(booked: Booked, channel: Any) -> None:
    booked([VISIT, VISIT + timedelta(days=3)])
    sweep_and_send(four_days_before(3) - timedelta(minutes=1))
    assert sent("first_visit") == []
    for _ in range(2):
        sweep_and_send(four_days_before(3))
    [row] = sent("first_visit")
    assert "photo ID" in str(row.body)


def test_the_day_before_a_first_visit_says_it_again(booked: Booked, channel: Any) -> None:
    booked([VISIT])
    sweep_and_send(four_days_before(1))
    assert "photo ID" in str(sent("day_before")[0].body)


def test_ride_and_fasting_come_two_days_before_each_such_visit(booked: Booked, channel: Any) -> None:
    booked([VISIT - timedelta(days=3), VISIT], style="digest", need="obs")
    sweep_and_send(four_days_before(2))
    sweep_and_send(four_days_before(1))
    [ride], [eve] = sent("ride_and_fasting"), sent("day_before")
    for row in (ride, eve):
        assert "2 hours before" in str(row.body)
        assert "30 minutes before" in str(row.body)
    assert ride.session_id == eve.session_id


def test_a_missed_visit_is_followed_up_once_and_not_where_it_was_a_mistake(booked: Booked, channel: Any) -> None:
    course = booked([NOW - timedelta(hours=3), NOW - timedelta(hours=2)])
    first, second = course_sessions(course)
    first.state = second.state = "no_show"
    first.ended_at = second.ended_at = NOW
    db.session.flush()
    sweep_and_send(NOW + timedelta(minutes=59))
    assert sent("missed_visit") == []
    sweep_and_send(NOW + timedelta(minutes=60))
    sweep_and_send(NOW + timedelta(minutes=90))
    [row] = sent("missed_visit")
    assert row.session_id == first.id
    assert "Nothing is lost" in str(row.body)


def test_a_missed_visit_that_was_undone_is_not_followed_up(booked: Booked, channel: Any) -> None:
    [visit] = course_sessions(booked([NOW - timedelta(hours=3)]))
    visit.state, visit.ended_at = "no_show", NOW
    db.session.flush()
    with clock.frozen(NOW + timedelta(minutes=30)):
        ledger.collect_due()
    visit.state = "arrived"
    db.session.flush()
    sweep_and_send(NOW + timedelta(minutes=70))
    assert sent("missed_visit") == []


def test_questions_without_an_answer_are_reminded_of_once(database: Any, channel: Any) -> None:
    make_profile()
    patient = make_patient(consents={"email": True})
    decision = make_decision(patient)
    ask = PatientAsk(
        patient_id=patient.id,
        assessment_id=decision.assessment_id,
        state="open",
        questions=[],
        asked_by=make_staff("nurse").id,
        asked_at=NOW,
    )
    db.session.add(ask)
    db.session.flush()
    for hours in (47, 48, 60, 72, 96):
        sweep_and_send(NOW + timedelta(hours=hours))
    [row] = sent("answers_missing")
    assert (row.matter, row.sent_at) == (f"q:{ask.id}", NOW + timedelta(hours=48))
    assert "/l/" in str(row.body)


def test_a_form_that_was_left_is_reminded_of_unless_another_was_sent(database: Any, channel: Any) -> None:
    make_profile()
    left, sent_it = make_patient(consents={"email": True}), make_patient(consents={"email": True})
    with clock.frozen(NOW):
        for patient in (left, sent_it):
            make_intake(patient, state="open", submitted_at=None, record=None)
        make_intake(sent_it)
    sweep_and_send(NOW + timedelta(hours=48))
    assert [row.patient_id for row in sent("answers_missing")] == [left.id]


def lacks(patient: Any, assessment_id: int, hole: str = "trials[0]", at: datetime = NOW) -> None:
    with clock.frozen(at):
        make_task(
            patient_id=patient.id,
            kind="packet_hole",
            subject={"hole": hole, "policy": "any", "assessment_id": assessment_id},
            created_at=at,
        )


def test_a_paper_that_is_missing_is_asked_for_once(database: Any, channel: Any) -> None:
    make_profile()
    patient = make_patient(consents={"email": True})
    assessment_id = make_decision(patient).assessment_id
    lacks(patient, assessment_id)
    lacks(patient, assessment_id, "trials[1]")
    for hours in (47, 48, 60, 72, 96):
        sweep_and_send(NOW + timedelta(hours=hours))
    [row] = sent("documents_missing")
    assert (row.matter, row.sent_at) == (f"p:{assessment_id}", NOW + timedelta(hours=48))
    assert "/me/papers" in str(row.body)


def test_one_more_paper_of_an_assessment_does_not_ask_anew_over_a_channel_chosen_since(
    database: Any, channel: Any
) -> None:
    make_profile()
    patient = make_patient(consents={"sms": False})
    lacks(patient, assessment_id=1)
    lacks(patient, 1, "trials[1]", at=NOW + timedelta(days=4))
    with clock.frozen(NOW + timedelta(days=5)):
        set_consent(patient.id, "sms", True, by=TESTER, source="desk")
    sweep_and_send(NOW + timedelta(days=6))
    assert sent("documents_missing") == []


@pytest.mark.parametrize(("kind", "asks"), [("pharmacy_list", 0), ("letter", 0), ("gene_test", 1)])
def test_a_paper_that_came_is_not_asked_for(database: Any, channel: Any, kind: str, asks: int) -> None:
    make_profile()
    patient = make_patient(consents={"email": True})
    lacks(patient, make_decision(patient).assessment_id)
    ledger_at = NOW + timedelta(hours=48)
    with clock.frozen(ledger_at):
        ledger.collect_due()  # the row is written, and the paper comes before it goes out
        attachments.add(patient_id=patient.id, kind=kind, name="list.png", content=files.png(), by=TESTER)
    sweep_and_send(ledger_at)
    assert len(sent("documents_missing")) == asks


def test_what_only_a_prescriber_can_supply_is_asked_of_nobody(database: Any, channel: Any) -> None:
    make_profile()
    patient = make_patient(consents={"email": True})
    lacks(patient, make_decision(patient).assessment_id, "decision")
    sweep_and_send(NOW + timedelta(hours=48))
    assert sent("documents_missing") == []


def test_a_visit_of_no_course_is_told_when_booked_and_before_it(database: Any, channel: Any) -> None:
    make_profile()
    patient = make_patient(consents={"email": True})
    visit = make_visit(patient, make_staff("prescriber"), make_location(), VISIT, mode="video", kind="consult")
    other = make_visit(make_patient(), make_staff("prescriber"), make_location(), VISIT)
    for at in (NOW, NOW + timedelta(minutes=1), four_days_before(1), VISIT - timedelta(hours=2)):
        sweep_and_send(at)
    assert [row.purpose for row in db.session.scalars(select(Message).order_by(Message.id))] == [
        "course_booked",
        "day_before",
        "two_hours_before",
    ]
    assert "by video" in str(sent("day_before")[0].body)
    assert {row.session_id for row in sent("day_before")} == {visit.id} != {other.id}


def test_a_new_course_comes_with_a_calendar_file(booked: Booked, channel: Any) -> None:
    with clock.frozen(NOW):
        booked([VISIT, VISIT + timedelta(days=3)], created_at=NOW)
    sweep_and_send(NOW)
    [file] = channel.sent[0].attachments
    text = file.content.decode()
    assert (text.count("BEGIN:VEVENT"), file.name) == (2, "visits.ics")
    assert "TMS" not in text


def test_who_wants_calls_is_called_by_the_desk(booked: Booked, channel: Any) -> None:
    course = booked([VISIT], consents={"voice": True})
    sweep_and_send(four_days_before(1))
    sweep_and_send(VISIT - timedelta(hours=2))
    [task] = db.session.scalars(select(Task).filter_by(kind="call_patient"))
    [row] = sent("day_before")
    assert (task.patient_id, row.channel, row.provider) == (course.patient_id, "voice", "desk")
    assert str(row.body).startswith("your first visit is")
    assert channel.sent == []


# -- staff ----------------------------------------------------------------------------------------------------------------

SEVEN = datetime(2026, 11, 24, 15, tzinfo=UTC)  # Tuesday, 7:00 in Los Angeles


def test_the_mail_of_the_morning_counts_and_names_nobody(booked: Booked, channel: Any) -> None:
    course = booked([SEVEN + timedelta(hours=3)])
    site = db.session.get_one(Location, course.location_id)
    site.name = "Fullerton"
    staff = make_staff("front_desk", locations=(site,))
    make_task(location_id=site.id, for_role="front_desk", due_at=NOW)
    sweep_and_send(SEVEN - timedelta(minutes=1))
    assert sent("staff_digest") == []
    for minutes in (0, 15):
        sweep_and_send(SEVEN + timedelta(minutes=minutes))
    [row] = sent("staff_digest")
    assert row.staff_id == staff.id
    assert "Fullerton: 1 visit, 0 confirmed" in str(row.body)
    assert "1 task waiting, 1 past the time" in str(row.body)
    assert patients.get(course.patient_id).family_name not in str(row.body)


@pytest.mark.parametrize("why", ["off", "inactive", "other role", "closed"])
def test_no_mail_of_the_morning_for_who_wants_none_or_when_the_site_is_closed(
    booked: Booked, channel: Any, why: str
) -> None:
    site = db.session.get_one(Location, booked([VISIT]).location_id)
    staff = make_staff("operator" if why == "other role" else "front_desk", locations=(site,))
    staff.morning_mail, staff.active = why != "off", why != "inactive"
    db.session.flush()
    sweep_and_send(SEVEN + timedelta(days=4 if why == "closed" else 0))  # Saturday
    assert sent("staff_digest") == []


@pytest.mark.parametrize(("days", "told"), [(10, 1), (14, 1), (30, 0)])
def test_an_approval_that_runs_out_is_told_once_to_the_desk_of_the_course(
    booked: Booked, channel: Any, days: int, told: int
) -> None:
    course = booked([VISIT])
    site = db.session.get_one(Location, course.location_id)
    make_staff("front_desk", locations=(site,))
    make_staff("front_desk", locations=(make_location(),))
    db.session.add(
        Authorisation(
            patient_id=course.patient_id,
            payer="aetna",
            number="A-1",
            pathway="tms",
            sessions_approved=36,
            valid_from=date(2026, 11, 1),
            valid_until=date(2026, 11, 24) + timedelta(days=days),
            created_at=NOW,
        )
    )
    db.session.flush()
    for extra in (0, 1):
        sweep_and_send(SEVEN + timedelta(days=extra))
    rows = sent("authorization_ending")
    assert len(rows) == told
    if told:
        number = patients.get(course.patient_id).record_number
        assert f"Record {number}: an approval runs out" in str(rows[0].body)
        assert "Visits left on it: 36" in str(rows[0].body)


# -- what is held for a yes -------------------------------------------------------------------------------------------------


@pytest.fixture
def offered(booked: Booked) -> Callable[[], WaitlistOffer]:
    """A course off the waiting list, held for four hours."""

    def make() -> WaitlistOffer:
        [visit] = course_sessions(booked([VISIT]))
        return make_offer(visit, [VISIT + timedelta(days=10 + n) for n in range(3)], now=NOW)

    return make


def test_a_freed_place_is_offered_at_once_and_left_by_its_link(offered: Any, channel: Any, client: Any) -> None:
    offer = offered()
    sweep_and_send(NOW)
    [row] = sent("freed_slot")
    assert row.lane == "urgent"
    assert "3 visits, from Mon, Dec 7, 10:00 am" in str(row.body)
    path = "/o/" + str(row.body).split("/o/")[1].split()[0]
    with clock.frozen(NOW + timedelta(minutes=5)):
        assert "It is kept for you until" in client.get(path).text
        assert offer.state == "open"
        assert client.post(f"{path}/no").status_code == 302
        assert client.get(path).status_code == 410
    db.session.expire_all()
    assert offer.state == "declined"


def test_an_offer_that_ran_out_is_not_told(offered: Any, channel: Any) -> None:
    offered()
    sweep_and_send(NOW + timedelta(hours=3, minutes=50))
    assert sent("freed_slot") == []


def test_an_offer_that_cannot_be_taken_any_more_says_so(offered: Any, channel: Any, client: Any) -> None:
    offered()
    sweep_and_send(NOW)
    path = "/o/" + str(sent("freed_slot")[0].body).split("/o/")[1].split()[0]
    with clock.frozen(NOW + timedelta(hours=5)):
        assert client.post(f"{path}/yes").status_code == 302
        assert "not possible any more" in client.get(path).text
    assert client.post(f"{path}/perhaps").status_code == 404


def test_new_times_can_be_answered_on_the_page_of_the_message(booked: Booked, channel: Any, client: Any) -> None:
    [visit] = course_sessions(booked([VISIT]))
    with clock.frozen(NOW):
        change = ScheduleChange(
            patient_id=visit.patient_id,
            course_id=visit.course_id,
            kind="device",
            state="told",
            revision=1,
            moves=[{"to_at": "later", "from_at": "before", "to_location": 1, "from_location": 1}],
            created_at=NOW,
            answer_by=NOW + timedelta(hours=24),
        )
        db.session.add(change)
        db.session.flush()
        visit.change_id, visit.revision = change.id, 1
        db.session.flush()
        sweep_and_send(NOW)
        path = "/r/" + str(sent("session_moved")[0].body).split("/r/")[1].split()[0]
        assert "Do the new times suit you?" in client.get(path).text
        assert client.post(f"{path}/new-times/{change.id}/yes").status_code == 302
        assert "Do the new times suit you?" not in client.get(path).text
    assert change.state == "accepted"
    assert client.post(f"{path}/new-times/{change.id + 1}/yes").status_code == 404
