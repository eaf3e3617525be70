"""The ledger: one row an occurrence and channel, sent once, held against the facts when it is claimed."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from clinic import clock
from clinic.db import db
from clinic.errors import Conflict, Invalid
from clinic.patients import operations as patients
from clinic.patients.models import AccessLink, LinkRequest
from clinic.reminders import ledger, operations, sending
from clinic.reminders.channels import Accepted, ChannelBusy, ChannelRefused
from clinic.reminders.models import Message
from clinic.scheduling.models import TreatmentSession
from clinic.tasks import operations as worklist
from clinic.tasks.models import Task
from tests.builders import TESTER, course_sessions, make_patient, make_profile, make_session, make_staff, make_task

NOW = datetime(2026, 11, 23, 18, tzinfo=UTC)  # Monday, 10:00 in Los Angeles
TOMORROW = datetime(2026, 11, 24, 18, tzinfo=UTC)
AT_FOUR = datetime(2026, 11, 24, 0, tzinfo=UTC)  # 16:00 today
NIGHT = datetime(2026, 11, 24, 6, tzinfo=UTC)  # 22:00 today
Booked = Callable[..., Any]


def written(**wanted: Any) -> list[Message]:
    statement = select(Message).filter_by(**wanted).order_by(Message.id).execution_options(populate_existing=True)
    return list(db.session.scalars(statement))


def states(**wanted: Any) -> list[str]:
    return [row.state for row in written(**wanted)]


def sweep_and_send() -> None:
    for message_id in ledger.collect_due():
        sending.send_message(message_id)


def move(visit: TreatmentSession, to: datetime) -> None:
    visit.starts_at, visit.revision = to, visit.revision + 1
    visit.ends_at = to + timedelta(minutes=20)
    visit.device_until = visit.spaced_until = to + timedelta(minutes=25)
    db.session.flush()


def tasks(kind: str = "message_failed") -> list[Task]:
    return list(db.session.scalars(select(Task).filter_by(kind=kind).order_by(Task.id)))


def test_the_day_before_goes_out_once_from_four_in_the_afternoon(booked: Booked, channel: Any) -> None:
    booked([TOMORROW])
    with clock.frozen(AT_FOUR - timedelta(seconds=1)):
        sweep_and_send()
        assert channel.sent == []
    with clock.frozen(AT_FOUR):
        sweep_and_send()
        sweep_and_send()
    [sent] = channel.sent
    [row] = written(purpose="day_before")
    assert (row.state, row.attempts, row.provider_id) == ("sent", 1, "id-1")
    assert sent.reference == str(row.reference)
    assert "Tue, Nov 24, 10:00 am" in sent.body
    assert "Call us: (714) 555-0100" in sent.body
    assert row.body == sent.body


def test_one_row_for_each_consented_channel(booked: Booked, channel: Any) -> None:
    booked([TOMORROW], consents={"email": True, "sms": True})
    with clock.frozen(AT_FOUR):
        sweep_and_send()
    assert {(row.channel, row.state) for row in written()} == {("email", "sent"), ("sms", "sent")}


@pytest.mark.parametrize("consents", [{}, {"email": False}, {"email": False, "sms": False}])
def test_nothing_without_consent(booked: Booked, channel: Any, consents: dict[str, bool]) -> None:
    booked([TOMORROW], consents=consents)
    with clock.frozen(AT_FOUR):
        sweep_and_send()
    assert written() == []


def test_consent_taken_back_stops_that_channel_at_once(booked: Booked, channel: Any) -> None:
    course = booked([TOMORROW], consents={"email": True, "sms": True})
    with clock.frozen(AT_FOUR):
        ids = ledger.collect_due()
        patients.set_consent(course.patient_id, "sms", False, by=TESTER, source="desk")
        for message_id in ids:
            sending.send_message(message_id)
    assert {(row.channel, row.state) for row in written()} == {("email", "sent"), ("sms", "void")}
    assert [envelope.subject is None for envelope in channel.sent] == [False]


def test_single_messages_come_the_day_before_and_two_hours_before(booked: Booked, channel: Any) -> None:
    booked([TOMORROW])
    for at in (AT_FOUR, TOMORROW - timedelta(hours=2)):
        with clock.frozen(at):
            sweep_and_send()
    assert [(row.purpose, row.state) for row in written()] == [("day_before", "sent"), ("two_hours_before", "sent")]


def test_two_hours_before_an_early_visit_is_quiet(booked: Booked, channel: Any) -> None:
    booked([datetime(2026, 11, 24, 16, 30, tzinfo=UTC)])  # 8:30
    with clock.frozen(AT_FOUR):
        sweep_and_send()
    with clock.frozen(datetime(2026, 11, 24, 14, 30, tzinfo=UTC)):
        sweep_and_send()
    assert states(purpose="two_hours_before") == ["quiet"]
    assert len(channel.sent) == 1


def test_a_daily_course_gets_its_first_visit_and_a_weekly_message(booked: Booked, channel: Any) -> None:
    week = [datetime(2026, 11, 30, 18, tzinfo=UTC) + timedelta(days=n) for n in range(5)]
    booked(week, style="digest")
    at = datetime(2026, 11, 29, 12, tzinfo=UTC)
    while at < week[-1]:
        with clock.frozen(at):
            sweep_and_send()
        at += timedelta(hours=1)
    assert [(row.purpose, row.state) for row in written()] == [("day_before", "sent"), ("weekly_digest", "sent")]
    assert channel.sent[1].body.count("\n- ") == 5


def test_visits_that_are_not_daily_are_told_one_by_one(booked: Booked, channel: Any) -> None:
    booked([TOMORROW - timedelta(days=7), TOMORROW], style="digest", need="obs")
    with clock.frozen(AT_FOUR):
        sweep_and_send()
    assert [row.purpose for row in written()] == ["day_before"]


def test_ten_sessions_of_one_day_are_one_visit(booked: Booked, channel: Any) -> None:
    booked([TOMORROW + timedelta(minutes=50 * n) for n in range(10)])
    with clock.frozen(AT_FOUR):
        sweep_and_send()
    assert len(written()) == 1


def test_a_moved_visit_is_void_when_claimed_and_alive_when_moved_back(booked: Booked, channel: Any) -> None:
    [visit] = course_sessions(booked([TOMORROW]))
    with clock.frozen(AT_FOUR):
        [message_id] = ledger.collect_due()
        move(visit, TOMORROW + timedelta(hours=1))
        sending.send_message(message_id)
        assert states(occurrence=f"s:{visit.id}@{int(TOMORROW.timestamp())}") == ["void"]
        move(visit, TOMORROW)
        sweep_and_send()
    assert states(occurrence=f"s:{visit.id}@{int(TOMORROW.timestamp())}") == ["sent"]


def test_moving_there_and_back_and_there_announces_each(booked: Booked, channel: Any, now: datetime) -> None:
    later = TOMORROW + timedelta(days=3)
    [visit] = course_sessions(booked([later]))
    for to in (later + timedelta(hours=1), later, later + timedelta(hours=1)):
        move(visit, to)
        sweep_and_send()
    assert states(purpose="session_moved") == ["sent"] * 3
    assert ["11:00 am" in sent.body for sent in channel.sent] == [True, False, True]


def test_a_replanned_week_is_one_message(booked: Booked, channel: Any, now: datetime) -> None:
    course = booked([TOMORROW + timedelta(days=n) for n in range(2, 6)])
    for visit in course_sessions(course)[:3]:
        move(visit, visit.starts_at + timedelta(minutes=20))
    sweep_and_send()
    sweep_and_send()
    assert sorted(states(purpose="session_moved")) == ["sent", "void", "void"]
    [sent] = [sent for sent in channel.sent if "new times" in sent.body]
    assert "3 of your visits have new times" in sent.body
    assert sent.body.count("10:20 am") == 3


def test_a_cancelled_visit_is_told_and_a_past_one_is_not(booked: Booked, channel: Any, now: datetime) -> None:
    course = booked([NOW - timedelta(hours=1), TOMORROW + timedelta(days=2)])
    for visit in course_sessions(course):
        visit.state, visit.ended_at = "cancelled", NOW
    db.session.flush()
    sweep_and_send()
    [sent] = channel.sent
    assert "Thu, Nov 26, 10:00 am" in sent.body
    assert "cancelled" in sent.body


def test_a_new_course_is_told_with_all_dates(booked: Booked, channel: Any, now: datetime) -> None:
    course = booked([TOMORROW + timedelta(days=n) for n in (6, 7, 8)], created_at=NOW, style="digest")
    sweep_and_send()
    sweep_and_send()
    [sent] = channel.sent
    assert [(row.purpose, row.occurrence) for row in written()] == [("course_booked", f"c:{course.id}")]
    assert sent.body.count("\n- ") == 3


def test_news_at_night_waits_for_eight(booked: Booked, channel: Any) -> None:
    [visit] = course_sessions(booked([TOMORROW + timedelta(days=2)]))
    with clock.frozen(NIGHT):
        move(visit, TOMORROW + timedelta(days=3))
        sweep_and_send()
        [row] = written()
        assert row.not_before == datetime(2026, 11, 24, 16, tzinfo=UTC)
    with clock.frozen(datetime(2026, 11, 24, 16, tzinfo=UTC)):
        sweep_and_send()
    assert len(channel.sent) == 1


def test_news_at_night_of_an_early_visit_is_the_desks_to_tell(booked: Booked, channel: Any) -> None:
    [visit] = course_sessions(booked([TOMORROW + timedelta(days=2)]))
    with clock.frozen(NIGHT):
        move(visit, datetime(2026, 11, 24, 16, 5, tzinfo=UTC))
        sweep_and_send()
    assert states(purpose="session_moved") == ["failed"]
    assert [task.subject["purpose"] for task in tasks()] == ["session_moved"]
    assert channel.sent == []


def test_a_row_that_nobody_sent_in_time_fails_with_one_task(booked: Booked, channel: Any) -> None:
    booked([TOMORROW])
    with clock.frozen(AT_FOUR):
        ledger.collect_due()
    with clock.frozen(TOMORROW - timedelta(minutes=50)):
        sweep_and_send()
        sweep_and_send()
    [row] = written(purpose="day_before")
    assert (row.state, row.failure, row.attempts) == ("failed", "too late", 0)
    assert len(tasks()) == 1


def test_what_a_clock_that_ran_ahead_gave_up_in_doubt_goes_out_once_it_is_right(booked: Booked, channel: Any) -> None:
    booked([TOMORROW])
    with clock.frozen(AT_FOUR):
        ledger.collect_due()
    [row] = written(purpose="day_before")
    row.state, row.claimed_at, row.attempts = "sending", AT_FOUR, 1  # its worker died
    db.session.commit()
    with clock.frozen(TOMORROW + timedelta(hours=2)):
        sweep_and_send()
    assert (row.state, len(tasks())) == ("failed", 1)
    with clock.frozen(AT_FOUR + timedelta(minutes=15)):
        sweep_and_send()
    assert row.state == "sent"
    assert all(task.closed_at for task in tasks())


def test_a_busy_provider_is_tried_again_from_the_row(booked: Booked, channel: Any) -> None:
    booked([TOMORROW])
    channel.answers = [ChannelBusy("busy"), ChannelBusy("busy")]
    for at in (AT_FOUR, AT_FOUR + timedelta(seconds=29), AT_FOUR + timedelta(seconds=30)):
        with clock.frozen(at):
            sweep_and_send()
    [row] = written()
    assert (row.state, row.attempts, row.failure) == ("due", 2, "busy")
    assert row.not_before == AT_FOUR + timedelta(seconds=150)
    with clock.frozen(row.not_before):
        sweep_and_send()
    assert len({(sent.reference, sent.body) for sent in channel.sent}) == 1
    assert states() == ["sent"]


def test_the_provider_may_ask_for_a_longer_wait(booked: Booked, channel: Any) -> None:
    booked([TOMORROW])
    channel.answers = [ChannelBusy("busy", timedelta(minutes=7))]
    with clock.frozen(AT_FOUR):
        sweep_and_send()
    assert written()[0].not_before == AT_FOUR + timedelta(minutes=7)


def test_used_up_tries_open_one_task(booked: Booked, channel: Any) -> None:
    booked([TOMORROW + timedelta(hours=4)])
    channel.answers = [ChannelBusy("busy")] * 9
    for minutes in range(120):
        with clock.frozen(AT_FOUR + timedelta(minutes=minutes)):
            sweep_and_send()
    [row] = written()
    assert (row.state, row.attempts) == ("failed", 6)
    [task] = tasks()
    assert task.subject == {"message_id": row.id, "purpose": "day_before", "channel": "email", "why": "busy"}


def test_a_refused_address_is_given_up_at_once(booked: Booked, channel: Any) -> None:
    booked([TOMORROW])
    channel.answers = [ChannelRefused("no such address")]
    with clock.frozen(AT_FOUR):
        sweep_and_send()
    assert states() == ["failed"]
    assert len(tasks()) == 1


def test_a_fault_of_ours_is_tried_again(booked: Booked, channel: Any) -> None:
    booked([TOMORROW])
    channel.answers = [KeyError("x")]
    with clock.frozen(AT_FOUR):
        sweep_and_send()
    [row] = written()
    assert (row.state, row.failure) == ("due", "fault: KeyError")


def test_a_row_that_cannot_be_worded_holds_up_no_other(
    booked: Booked, channel: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    booked([TOMORROW])
    monkeypatch.setattr(sending.wording, "fill", lambda *_: 1 / 0)
    with clock.frozen(AT_FOUR):
        sweep_and_send()
    assert states() == ["failed"]
    assert len(tasks()) == 1


def test_a_claim_of_a_dead_worker_is_due_again_with_the_same_text(booked: Booked, channel: Any) -> None:
    booked([TOMORROW])
    with clock.frozen(AT_FOUR):
        [message_id] = ledger.collect_due()
        [first] = sending._claim_one(message_id)
        assert ledger.collect_due() == []
    with clock.frozen(AT_FOUR + ledger.STUCK_AFTER):
        sweep_and_send()
    [sent] = channel.sent
    assert (sent.reference, sent.body) == (first.envelope.reference, first.envelope.body)
    assert written()[0].attempts == 2


def test_accepted_counts_where_the_claim_was_taken_back_meanwhile(booked: Booked, channel: Any) -> None:
    booked([TOMORROW])
    with clock.frozen(AT_FOUR):
        [message_id] = ledger.collect_due()
        sending._claim_one(message_id)
    with clock.frozen(AT_FOUR + ledger.STUCK_AFTER):
        ledger.collect_due()
        sending.record_sent([(message_id, Accepted("fake", "x"))], clock.now())
        sending.send_message(message_id)
    assert states() == ["sent"]
    assert channel.sent == []


def test_a_message_written_again_holds_the_same_link(booked: Booked, channel: Any) -> None:
    booked([TOMORROW])
    channel.answers = [ChannelBusy("busy")]
    for at in (AT_FOUR, AT_FOUR + timedelta(minutes=1)):
        with clock.frozen(at):
            sweep_and_send()
            [row] = written()
            row.body = None  # as after a fault that lost it
            db.session.flush()
    first, second = channel.sent
    assert "/r/" in first.body
    assert first.body == second.body
    assert db.session.scalars(select(AccessLink)).all() == []


def test_a_link_that_was_asked_for_goes_out_at_night(channel: Any, database: Any) -> None:
    make_profile()
    patient = make_patient(consents={"sms": False})
    with clock.frozen(NIGHT):
        db.session.add(LinkRequest(patient_id=patient.id, purpose="sign_in", requested_at=NIGHT))
        db.session.flush()
        sweep_and_send()
        sweep_and_send()
    [sent] = channel.sent
    assert sent.to == patient.email
    assert "/l/" in sent.body


def safety_task(level: str, **overrides: Any) -> Task:
    make_profile()
    return make_task(kind="safety", level=level, due_at=NOW + timedelta(minutes=60), created_at=NOW, **overrides)


def test_an_urgent_answer_escalates_until_someone_takes_it(
    channel: Any, database: Any, app: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = ("one@example.org", "+17145550111", "three@example.org")
    monkeypatch.setitem(app.config, "SETTINGS", replace(app.config["SETTINGS"], on_call=people))
    patient = make_patient()
    task = safety_task("urgent", patient_id=patient.id)
    for minutes in (0, 5, 20, 39):
        with clock.frozen(NOW + timedelta(minutes=minutes)):
            sweep_and_send()
    assert [sent.to for sent in channel.sent] == ["one@example.org", "+17145550111"]
    assert f"Record {patient.record_number}" in channel.sent[0].body
    task.owner_id = None
    task.closed_at, task.outcome = NOW, "called"
    db.session.flush()
    with clock.frozen(NOW + timedelta(minutes=41)):
        sweep_and_send()
    assert len(channel.sent) == 2


def test_a_mild_answer_calls_nobody(channel: Any, database: Any, now: datetime) -> None:
    safety_task("lit")
    sweep_and_send()
    assert channel.sent == []


def test_resending_needs_a_reason_and_a_message_that_was_not_delivered(
    booked: Booked, channel: Any, rings: list[tuple[str, dict[str, int]]]
) -> None:
    booked([TOMORROW])
    channel.answers = [ChannelRefused("no such address")]
    with clock.frozen(AT_FOUR):
        sweep_and_send()
        [row] = written()
        with pytest.raises(Invalid):
            operations.resend(row.id, reason=" ", by=TESTER)
        operations.resend(row.id, reason="address corrected", by=TESTER)
        assert rings == [("reminders.send", {"message_id": row.id})]
        sending.send_message(row.id)
        with pytest.raises(Conflict):
            operations.resend(row.id, reason="again", by=TESTER)
    assert states() == ["sent"]


def test_the_sweep_asks_the_same_number_of_questions_for_any_number_of_visits(
    booked: Booked, channel: Any, count_statements: Callable[[], Any]
) -> None:
    booked([TOMORROW])
    with clock.frozen(AT_FOUR):
        with count_statements() as few:
            ledger.collect_due()
        for _ in range(5):
            course = booked([TOMORROW])
            make_session(course, TOMORROW + timedelta(hours=5), number=2)
        with count_statements() as many:
            ledger.collect_due()
    assert len(many) == len(few)


def test_another_device_at_the_same_time_is_no_news(booked: Booked, channel: Any, now: datetime) -> None:
    from clinic import audit

    course = booked([TOMORROW + timedelta(days=2)])
    [visit] = course_sessions(course)
    visit.revision = 1
    audit.record(
        visit, "moved", by=TESTER, from_at=visit.starts_at.isoformat(), from_device=visit.device_id, revision=1
    )
    db.session.flush()
    sweep_and_send()
    assert states(purpose="session_moved") == ["void"]
    assert ledger.collect_due() == []


def test_a_time_that_differs_from_what_was_told_is_news(booked: Booked, channel: Any, now: datetime) -> None:
    from clinic import audit

    course = booked([TOMORROW + timedelta(days=2)])
    [visit] = course_sessions(course)
    before = visit.starts_at
    move(visit, before + timedelta(hours=1))
    audit.record(visit, "moved", by=TESTER, from_at=before.isoformat(), from_device=visit.device_id, revision=1)
    sweep_and_send()
    assert states(purpose="session_moved") == ["sent"]


def test_a_session_that_was_added_to_the_course_is_told(booked: Booked, channel: Any, now: datetime) -> None:
    course = booked([TOMORROW + timedelta(days=2)], style="digest")
    make_session(course, TOMORROW + timedelta(days=6), number=2, revision=1)
    sweep_and_send()
    [sent] = [sent for sent in channel.sent if "new time" in sent.body]
    assert "Mon, Nov 30, 10:00 am" in sent.body


# -- whoever is on call -------------------------------------------------------------------------------------------------


@pytest.fixture
def on_call(app: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`on_call("a@example.org", ...)` says who is called, in turn."""

    def say(*people: str) -> None:
        monkeypatch.setitem(app.config, "SETTINGS", replace(app.config["SETTINGS"], on_call=people))

    return say


def at(minutes: float) -> Any:
    return clock.frozen(NOW + timedelta(minutes=minutes))


def test_calls_go_round_until_someone_acknowledges(channel: Any, database: Any, on_call: Any) -> None:
    on_call("one@example.org", "two@example.org")
    task = safety_task("urgent")
    for minutes in range(0, 70, 5):
        with at(minutes):
            sending.call_out()
    assert [sent.to for sent in channel.sent] == [f"{who}@example.org" for who in ("one", "two", "one", "two")]
    worklist.take_task(task.id, staff_id=make_staff("nurse").id, by=TESTER)
    with at(200):
        sending.call_out()
    assert len(channel.sent) == 4


def test_after_a_long_silence_each_person_is_told_once(channel: Any, database: Any, on_call: Any) -> None:
    on_call("one@example.org", "two@example.org", "three@example.org")
    safety_task("urgent")
    with at(60 * 30):
        for _ in range(3):
            sending.call_out()
            sweep_and_send()
    told = Counter(sent.to for sent in channel.sent)
    assert told == {
        "one@example.org": 2,
        "two@example.org": 1,
        "three@example.org": 1,
    }  # the present step, and the past


def test_a_task_that_is_handed_back_calls_on(channel: Any, database: Any, on_call: Any) -> None:
    on_call("one@example.org", "two@example.org")
    task = safety_task("urgent")
    with at(0):
        sending.call_out()
    worklist.take_task(task.id, staff_id=make_staff("nurse").id, by=TESTER)
    worklist.hand_back_task(task.id, by=TESTER)
    with at(25):
        sending.call_out()
    assert [sent.to for sent in channel.sent] == ["one@example.org", "two@example.org"]


def test_a_call_leads_to_the_alert_and_holds_no_clinical_word(channel: Any, database: Any, on_call: Any) -> None:
    on_call("one@example.org")
    task = safety_task("urgent", note="PHQ-9 item 9: 3")
    with at(0):
        sending.call_out()
    [sent] = channel.sent
    assert f"/staff/tasks/{task.id}" in sent.body
    assert "PHQ" not in sent.body
    assert "item 9" not in sent.body


def test_a_round_that_fails_again_opens_no_second_task(channel: Any, database: Any, on_call: Any) -> None:
    on_call("one@example.org")
    safety_task("urgent")
    for minutes in (0, 20, 40, 60):
        channel.answers = [ChannelRefused("no such address")]
        with at(minutes):
            sending.call_out()
    assert len(database.session.scalars(select(Task).where(Task.kind == "message_failed")).all()) == 1


def test_calls_need_no_broker(channel: Any, database: Any, on_call: Any, rings: list[Any]) -> None:
    on_call("one@example.org")
    safety_task("same_day")
    with at(0):
        assert sending.call_out() == 1
    assert rings == []
