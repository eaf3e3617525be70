"""Batches: many rows, few questions, and one bad row that sinks no other."""

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from clinic import clock
from clinic.db import db
from clinic.jobs import Job, queue_of
from clinic.patients import queries
from clinic.patients.models import MessageStyle
from clinic.reminders import due, keeper, ledger, measures, sending
from clinic.reminders.channels import ChannelBusy, ChannelRefused
from clinic.reminders.models import Lane, Message
from clinic.reminders.purposes import TRAITS, Purpose
from clinic.tasks.models import Task
from tests.builders import (
    make_course,
    make_decision,
    make_device,
    make_location,
    make_message,
    make_patient,
    make_profile,
)

AT_FOUR = datetime(2026, 11, 24, 0, tzinfo=UTC)
TOMORROW = datetime(2026, 11, 24, 18, tzinfo=UTC)


@pytest.fixture
def waiting(database: Any) -> Callable[[int], list[int]]:
    """`waiting(count)` books so many people a visit tomorrow and sweeps; answers the ids of their messages."""

    def make(count: int, **more: Any) -> list[int]:
        make_profile()
        site = make_location()
        decision = make_decision(make_patient())
        for _ in range(count):
            patient = make_patient(consents={"email": True}, **more)
            patient.message_style = MessageStyle.EACH
            make_course(patient, [TOMORROW], device=make_device(site), decision_id=decision.id)
        with clock.frozen(AT_FOUR):
            return list(ledger.collect_due())

    return make


@pytest.fixture(autouse=True)
def at_four() -> Any:
    with clock.frozen(AT_FOUR):
        yield


def states() -> dict[str, int]:
    db.session.expire_all()
    return dict(Counter(db.session.scalars(select(Message.state))))


def test_a_batch_sends_each_once(waiting: Any, channel: Any) -> None:
    waiting(7)
    assert sending.send_batch(Lane.NORMAL, 5) == 5
    assert sending.work(Lane.NORMAL) is False
    assert states() == {"sent": 7}
    assert len({sent.reference for sent in channel.sent}) == len(channel.sent) == 7


def test_a_batch_asks_the_same_number_of_questions_for_any_number_of_rows(
    waiting: Any, channel: Any, count_statements: Callable[[], Any]
) -> None:
    waiting(2)
    with count_statements() as few:
        sending.send_batch(Lane.NORMAL)
    waiting(20)
    with count_statements() as many:
        sending.send_batch(Lane.NORMAL)
    assert len(many) <= len(few) + 1


def test_one_row_that_cannot_be_worded_sinks_no_other(
    waiting: Any, channel: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = waiting(5)[2]
    fill = sending.content.content_of

    def broken(row: Message, *more: Any) -> Any:
        return 1 / 0 if row.id == bad else fill(row, *more)

    monkeypatch.setattr(sending.content, "content_of", broken)
    sending.work(Lane.NORMAL)
    assert states() == {"sent": 4, "failed": 1}
    assert [
        task.subject["message_id"] for task in db.session.scalars(select(Task).filter_by(kind="message_failed"))
    ] == [bad]


def test_what_a_provider_says_to_one_is_said_to_one(waiting: Any, channel: Any) -> None:
    waiting(4)
    channel.answers = [ChannelRefused("no such address"), ChannelBusy("busy")]
    sending.send_batch(Lane.NORMAL)
    assert states() == {"sent": 2, "failed": 1, "due": 1}


def test_a_batch_that_breaks_as_a_whole_is_taken_row_by_row(
    waiting: Any, channel: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting(3)
    monkeypatch.setattr(sending, "_claim_waiting", lambda *_: 1 / 0)
    assert sending.send_batch(Lane.NORMAL) == 3
    assert states() == {"sent": 3}


def test_row_by_row_takes_two_trips_a_message(
    waiting: Any, channel: Any, count_statements: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The claim with the facts, and one that keeps the words, writes down what came of the row before, and commits."""
    ids, trips, together = waiting(5), [], sending.together
    monkeypatch.setattr(sending, "together", lambda *asked, **how: trips.append(asked) or together(*asked, **how))
    with count_statements() as asked:
        sending.send_each(ids)
    assert states() == {"sent": 5}
    first_and_last = len([one for one in asked if "SAVEPOINT" not in one])
    assert (len(trips), first_and_last) == (2 * 5 - 1, 2)
    assert len([one for one in asked if one.startswith("SAVEPOINT")]) == 5 + 1  # transactions


def test_what_came_of_a_message_is_kept_whatever_is_wrong_with_the_next(
    waiting: Any, channel: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, bad, last = waiting(3)
    fill = sending.content.content_of
    monkeypatch.setattr(sending.content, "content_of", lambda row, *more: 1 / 0 if row.id == bad else fill(row, *more))
    sending.send_each([good, bad, last])
    assert {row.id: row.state for row in db.session.scalars(select(Message))} == {
        good: "sent",
        bad: "failed",
        last: "sent",
    }


def test_what_came_of_a_message_is_kept_when_the_database_goes_before_the_next(
    waiting: Any, channel: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = waiting(2)
    claim = sending._claim_one

    def away(message_id: int, came: Any) -> Any:
        if message_id == second:
            raise OperationalError("", {}, Exception())
        return claim(message_id, came)

    monkeypatch.setattr(sending, "_claim_one", away)
    with pytest.raises(OperationalError):
        sending.send_each([first, second])
    assert {row.id: row.state for row in db.session.scalars(select(Message))} == {first: "sent", second: "due"}


def test_what_was_not_taken_is_written_down_with_the_next_claim(waiting: Any, channel: Any) -> None:
    ids = waiting(3)
    channel.answers = [ChannelRefused("no such address"), ChannelBusy("busy")]
    sending.send_each(ids)
    assert states() == {"failed": 1, "due": 1, "sent": 1}


def test_an_old_claim_is_not_sent(waiting: Any, channel: Any) -> None:
    """The process was asleep between claim and send: the row may be another worker's by now."""
    [message_id] = waiting(1)
    claims = sending._claim_one(message_id)
    with clock.frozen(AT_FOUR + timedelta(minutes=6)):
        sending._record_all(sending._send_all(claims))
    assert (channel.sent, states()) == ([], {"due": 1})
    assert db.session.scalars(select(Message.attempts)).all() == [0]


def test_an_accepted_message_is_written_down_when_the_database_is_back(
    waiting: Any, channel: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    [message_id] = waiting(1)
    record, away = sending._record, [OperationalError("", {}, Exception())] * 3

    def flaky(outcomes: Any) -> None:
        if away:
            raise away.pop()
        record(outcomes)

    monkeypatch.setattr(sending, "_record", flaky)
    monkeypatch.setattr(sending.time, "sleep", lambda _: None)
    monkeypatch.setattr(db.session, "remove", lambda: None)
    sending.send_message(message_id)
    assert (len(channel.sent), states()) == (1, {"sent": 1})


def test_throttling_uses_up_no_try(waiting: Any, channel: Any) -> None:
    [message_id] = waiting(1)
    for minutes in range(30):
        channel.answers = [ChannelBusy("busy", is_throttled=True)]
        with clock.frozen(AT_FOUR + timedelta(minutes=minutes)):
            sending.send_message(message_id)
    assert states() == {"due": 1}
    with clock.frozen(AT_FOUR + timedelta(minutes=31)):
        sending.send_message(message_id)
    assert states() == {"sent": 1}


def test_a_claim_of_a_clock_that_ran_ahead_is_taken_back(waiting: Any, channel: Any) -> None:
    [message_id] = waiting(1)
    with clock.frozen(AT_FOUR + timedelta(hours=1)):
        sending._claim_one(message_id)
    ledger.collect_due()
    assert states() == {"due": 1}


def test_what_was_given_up_by_a_clock_that_ran_ahead_goes_out_after_all(waiting: Any, channel: Any) -> None:
    waiting(1)
    with clock.frozen(TOMORROW - timedelta(minutes=45)):
        ledger.collect_due()
    assert states()["failed"] == 1
    for message_id in ledger.collect_due():
        sending.send_message(message_id)
    assert [row.state for row in db.session.scalars(select(Message).filter_by(purpose="day_before"))] == ["sent"]
    [task] = db.session.scalars(select(Task))
    assert task.closed_at is not None


def test_many_that_are_too_late_are_one_task(waiting: Any, channel: Any) -> None:
    waiting(25)
    with clock.frozen(TOMORROW - timedelta(minutes=30)):
        ledger.give_up_late(clock.now())
    [task] = db.session.scalars(select(Task).filter_by(kind="message_failed"))
    assert (task.subject["count"], task.subject["purpose"]) == (25, "day_before")


# -- not too much -------------------------------------------------------------------------------------------------------


def told(patient: Any, count: int, purpose: str = "session_moved") -> None:
    for number in range(count):
        make_message(
            patient, purpose=purpose, channel="email", occurrence=f"s:{number}#1", state="sent", sent_at=AT_FOUR
        )


def overdue(patient: Any) -> Message:
    return make_message(
        patient, purpose="survey_overdue", channel="email", occurrence="v:1.1", lane="bulk", survey_id=1
    )


def test_what_may_wait_waits_for_the_morning(database: Any, channel: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending.content, "void_because", lambda *_: None)
    make_profile()
    patient = make_patient(consents={"email": True})
    told(patient, due.ENOUGH_A_DAY)
    row = overdue(patient)
    row.deadline = AT_FOUR + timedelta(days=1)
    db.session.flush()
    sending.send_message(row.id)
    assert (row.state, row.not_before) == ("due", datetime(2026, 11, 24, 16, tzinfo=UTC))
    assert channel.sent == []


def test_nobody_hears_more_than_any_plan_asks_for(waiting: Any, channel: Any) -> None:
    [message_id] = waiting(1)
    row = db.session.get_one(Message, message_id)
    told(queries.get(row.patient_id or 0), due.TOO_MANY_A_DAY)
    sending.send_message(message_id)
    assert (channel.sent, db.session.get_one(Message, message_id).state) == ([], "failed")


def test_messages_of_one_batch_count_too(database: Any, channel: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending.content, "void_because", lambda *_: None)
    monkeypatch.setattr(due, "ENOUGH_A_DAY", 2)
    make_profile()
    patient = make_patient(consents={"email": True})
    for number in range(4):
        make_message(
            patient, purpose="missed_visit", channel="email", lane="bulk", occurrence=f"s:{number}", session_id=None
        )
    monkeypatch.setattr(sending.content, "content_of", lambda row, purpose, *_: said(purpose))
    sending.send_batch(Lane.BULK)
    assert len(channel.sent) == 2


def said(purpose: Purpose) -> Any:
    from tests.clinic.reminders.test_wording import content

    return content(purpose)


# -- lanes ----------------------------------------------------------------------------------------------------------------


def test_each_lane_has_a_queue_of_its_own() -> None:
    rings = {Lane.URGENT: Job.SEND_URGENT, Lane.NORMAL: Job.SEND_NORMAL, Lane.BULK: Job.SEND_BULK}
    assert {lane: str(queue_of(job)) for lane, job in rings.items()} == {lane: str(lane) for lane in Lane}
    assert TRAITS[Purpose.LINK].lane == TRAITS[Purpose.ON_CALL].lane == Lane.URGENT


def test_a_batch_of_one_lane_leaves_the_others(waiting: Any, channel: Any) -> None:
    waiting(2)
    assert sending.send_batch(Lane.URGENT) == sending.send_batch(Lane.BULK) == 0
    assert states() == {"due": 2}


# -- what is watched --------------------------------------------------------------------------------------------------------


def alarms() -> list[Task]:
    return list(db.session.scalars(select(Task).filter_by(kind="messages_stuck")))


def test_messages_that_stand_still_are_one_task_until_they_go(waiting: Any, channel: Any) -> None:
    waiting(2)
    assert measures.watch() == []
    with clock.frozen(AT_FOUR + timedelta(minutes=11)):
        assert measures.watch() == measures.watch() == ["normal"]
        assert [task.closed_at for task in alarms()] == [None]
        sending.work(Lane.NORMAL)
        assert measures.watch() == []
    assert alarms()[0].closed_at is not None


def test_metrics_count_what_waits(waiting: Any, client: Any) -> None:
    waiting(3)
    page = client.get("/metrics").text
    assert 'daybreak_messages_waiting{lane="normal"} 3.0' in page
    assert 'daybreak_up{part="database"} 1.0' in page
    assert "daybreak_messages_oldest_seconds" in page


def test_without_a_sweep_for_a_minute_one_process_goes_on_by_itself(
    waiting: Any, channel: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting(2)
    one = keeper.Keeper()
    one.look()
    assert channel.sent == []
    monkeypatch.setattr(one, "_started", one._started - 61)
    one.look()
    assert states() == {"sent": 2}
