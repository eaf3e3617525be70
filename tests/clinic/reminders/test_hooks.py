"""What providers call: texts that come in, what became of a message, mail that came back."""

import base64
import hashlib
import hmac
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select

from clinic import clock
from clinic.db import db
from clinic.patients import queries
from clinic.reminders import answers, dead, inbound, ledger, operations, sending, signed
from clinic.reminders.models import DeadAddress, InboundText, Message
from clinic.reminders.signed import Use
from clinic.tasks.models import Task
from tests.builders import TESTER, course_sessions, make_message, make_patient, make_profile

NOW = datetime(2026, 11, 24, 0, 5, tzinfo=UTC)  # 16:05 in Los Angeles
TOMORROW = datetime(2026, 11, 24, 18, tzinfo=UTC)
KEYS = ("test-signing-key-0123456789abcdef",)
BASE = "https://harbor.example"
PHONE = "+17145550199"
Booked = Callable[..., Any]


@pytest.fixture(autouse=True)
def provider(app: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    values = {"sms_url": "http://127.0.0.1:1", "sms_account": "AC1", "sms_token": "secret", "sms_from": "+17145550100"}
    more = {"sms2_url": "http://127.0.0.1:2", "sms2_account": "AC2", "sms2_token": "other", "sms2_from": "+17145550101"}
    settings = replace(app.config["SETTINGS"], **values, **more, public_url=BASE, mail_hook_token="hook")
    monkeypatch.setitem(app.config, "SETTINGS", settings)
    with clock.frozen(NOW):
        yield


@pytest.fixture
def call(client: FlaskClient, database: Any) -> Callable[..., Any]:
    """`call(path, token=..., **fields)` signs as Twilio does."""
    make_profile()

    def do(path: str, token: str = "secret", **fields: str) -> Any:
        said = BASE + path + "".join(name + fields[name] for name in sorted(fields))
        seal = base64.b64encode(hmac.digest(token.encode(), said.encode(), hashlib.sha1)).decode()
        return client.post(path, data=fields, headers={"X-Twilio-Signature": seal})

    return do


@pytest.fixture
def text(call: Any) -> Callable[..., str]:
    """`text(body)` comes in; answers what is written back."""
    numbers = iter(range(1, 100))

    def do(body: str, sender: str = PHONE, sid: str = "") -> str:
        page = call("/hooks/sms", MessageSid=sid or f"IN{next(numbers)}", From=sender, To="+17145550100", Body=body)
        assert page.status_code == 200
        return page.text.partition("<Message>")[2].partition("</Message>")[0]

    return do


@pytest.fixture
def asked(booked: Booked) -> Callable[..., Any]:
    """`asked(*starts)`: these visits, and a text about each that went out, the first one last."""

    def make(*starts: datetime, **more: Any) -> Any:
        course = booked(list(starts), consents={"sms": True}, **more)
        visits = course_sessions(course)
        person = queries.get(course.patient_id)
        person.phone = person.phone_blind = PHONE  # type: ignore[assignment]
        for minutes, visit in enumerate(visits):
            at = NOW - timedelta(minutes=minutes)
            make_message(
                person,
                session_id=visit.id,
                course_id=course.id,
                occurrence=f"s:{visit.id}@{int(visit.starts_at.timestamp())}",
                state="sent",
                sent_at=at,
                ended_at=at,
                location_id=visit.location_id,
                provider="sms1",
                provider_id=f"SM{visit.id}",
            )
        return visits

    return make


def tasks(kind: str) -> list[Task]:
    return list(db.session.scalars(select(Task).filter_by(kind=kind)))


# -- replies ------------------------------------------------------------------------------------------------------------


def test_one_confirms_the_visit_that_was_asked_about_last(asked: Any, text: Any) -> None:
    first, second = asked(TOMORROW, TOMORROW + timedelta(days=1))
    assert text("1") == "Harbor: thank you. See you on Tue, Nov 24, 10:00 am."
    assert (first.state, second.state) == ("confirmed", "booked")


def test_two_tells_the_desk_that_the_person_is_late(asked: Any, text: Any) -> None:
    [visit] = asked(TOMORROW)
    assert "late on Tue, Nov 24" in text("2")
    assert [task.subject["session_id"] for task in tasks("running_late")] == [visit.id]


def test_three_touches_one_visit_and_keeps_its_place(asked: Any, text: Any) -> None:
    first, second = asked(TOMORROW, TOMORROW + timedelta(days=1))
    assert "Nothing is lost" in text("3")
    [task] = tasks("cannot_come")
    assert (task.subject["session_id"], first.state, second.state) == (first.id, "booked", "booked")


def test_a_second_answer_goes_to_the_visit_that_is_still_unanswered(asked: Any, text: Any) -> None:
    first, second = asked(TOMORROW, TOMORROW + timedelta(days=1))
    text("1")
    text("3")
    assert [task.subject["session_id"] for task in tasks("cannot_come")] == [second.id]
    assert first.state == "confirmed"


def test_without_an_open_question_a_code_is_a_persons_to_read(asked: Any, text: Any) -> None:
    [visit] = asked(TOMORROW)
    text("1")
    assert "a person at the clinic will read this" in text("3")
    assert len(tasks("unclear_reply")) == 1
    assert visit.state == "confirmed"


@pytest.mark.parametrize("change", ["moved", "cancelled", "over"])
def test_a_question_that_does_not_hold_any_more_is_not_answered(asked: Any, text: Any, change: str) -> None:
    [visit] = asked(TOMORROW)
    if change == "moved":
        visit.starts_at, visit.revision = TOMORROW + timedelta(minutes=10), 1
        visit.ends_at = visit.device_until = visit.spaced_until = TOMORROW + timedelta(minutes=30)
    elif change == "cancelled":
        visit.state, visit.ended_at = "cancelled", NOW
    db.session.flush()
    with clock.frozen(TOMORROW + timedelta(hours=1) if change == "over" else NOW):
        text("3")
    assert (len(tasks("cannot_come")), len(tasks("unclear_reply"))) == (0, 1)


def test_two_people_with_one_number_are_not_told_apart(asked: Any, text: Any) -> None:
    asked(TOMORROW)
    asked(TOMORROW)
    text("1")
    assert len(tasks("unclear_reply")) == 1
    assert db.session.scalars(select(InboundText.patient_id)).all() == [None]


def test_the_same_text_twice_is_one_text(asked: Any, text: Any) -> None:
    asked(TOMORROW, TOMORROW + timedelta(days=1))
    assert text("3", sid="IN7") == text("3", sid="IN7")
    assert len(tasks("cannot_come")) == 1
    assert db.session.scalar(select(func.count()).select_from(InboundText)) == 1


def test_a_text_that_was_kept_and_not_acted_on_is_finished_by_the_sweep(
    asked: Any, text: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    [visit] = asked(TOMORROW)
    with monkeypatch.context() as patch:
        patch.setattr(inbound, "_act", lambda _: "")
        text("1")
    assert visit.state == "booked"
    with clock.frozen(NOW + timedelta(minutes=3)):
        assert inbound.finish_left() == 1
    assert visit.state == "confirmed"


def test_late_is_over_when_the_person_came(asked: Any, text: Any) -> None:
    [visit] = asked(TOMORROW)
    text("2")
    assert answers.close_arrived() == []
    visit.state = "arrived"
    db.session.flush()
    assert len(answers.close_arrived()) == 1


@pytest.mark.parametrize("body", ["I can't make it tomorrow", "<script>", "x" * 1700, ""])
def test_what_no_rule_reads_becomes_a_task(asked: Any, text: Any, body: str) -> None:
    [visit] = asked(TOMORROW)
    text(body)
    [task] = tasks("unclear_reply")
    assert (task.patient_id, visit.state) == (visit.patient_id, "booked")


def test_alarming_words_reach_a_clinician_and_the_answer_names_help(asked: Any, text: Any) -> None:
    asked(TOMORROW)
    assert "988" in text("I want to die")
    [task] = tasks("safety")
    assert (task.level, task.for_role) == ("same_day", "prescriber")
    assert "want to die" in str(task.note)


def test_a_stranger_is_answered_and_the_desk_is_told(text: Any) -> None:
    text("hello", sender="+12125550100")
    [task] = tasks("unclear_reply")
    assert task.patient_id is None


# -- STOP, START, HELP ----------------------------------------------------------------------------------------------------


def person(**more: Any) -> Any:
    return make_patient(phone=PHONE, consents={"sms": True, "email": True}, **more)


@pytest.mark.parametrize(("word", "said"), [("STOP", "you get no more texts"), ("alto", "ya no recibe mensajes")])
def test_stop_ends_texts_at_once_and_nothing_else(text: Any, word: str, said: str) -> None:
    patient = person()
    assert said in text(word)
    assert queries.consents(patient.id) == {"sms": False, "email": True}


def test_stop_voids_what_waits(booked: Booked, text: Any, channel: Any) -> None:
    course = booked([TOMORROW], consents={"sms": True})
    patient = queries.get(course.patient_id)
    patient.phone = patient.phone_blind = PHONE  # type: ignore[assignment]
    db.session.flush()
    [message_id] = ledger.collect_due()
    text("STOP")
    sending.send_message(message_id)
    assert channel.sent == []


def test_start_speaks_only_for_whom_stop_silenced(text: Any) -> None:
    stopped, refused = person(), make_patient(phone=PHONE, consents={"sms": False})
    text("STOP")
    text("START")
    assert queries.consents(stopped.id)["sms"] is True
    assert queries.consents(refused.id)["sms"] is False


def test_help_says_whom_to_call(text: Any) -> None:
    person(language="es")
    assert "(714) 555-0100" in text("HELP")
    assert "Llame" in text("AYUDA")
    assert tasks("unclear_reply") == []


def test_cancel_ends_texts_and_asks_a_person(text: Any) -> None:
    patient = person()
    text("cancel")
    assert queries.consents(patient.id)["sms"] is False
    assert len(tasks("unclear_reply")) == 1


# -- who calls ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/hooks/sms", "/hooks/sms/status", "/hooks/sms/status?ref=x"])
def test_without_the_right_signature_nothing_happens(call: Any, client: FlaskClient, path: str) -> None:
    fields = {"MessageSid": "IN1", "From": PHONE, "Body": "STOP", "MessageStatus": "delivered"}
    patient = person()
    assert client.post(path, data=fields).status_code == 403
    assert client.post(path, data=fields, headers={"X-Twilio-Signature": "é"}).status_code == 403
    assert call(path, "wrong", **fields).status_code == 403
    assert queries.consents(patient.id)["sms"] is True


def test_either_provider_may_call(call: Any) -> None:
    assert call("/hooks/sms", "other", MessageSid="IN1", From=PHONE, Body="HELP").status_code == 200
    assert db.session.scalars(select(InboundText.provider)).all() == ["sms2"]


def test_a_call_without_a_number_is_refused(call: Any) -> None:
    assert call("/hooks/sms", Body="1").status_code == 400
    assert call("/hooks/sms/status", MessageSid="SM1").status_code == 400


# -- what became of it ----------------------------------------------------------------------------------------------------


def status(call: Any, *words: str, sid: str = "SM1", code: str = "", ref: str = "") -> None:
    for word in words:
        more = {"ErrorCode": code} if code else {}
        path = f"/hooks/sms/status?ref={ref}&via=sms1" if ref else "/hooks/sms/status"
        assert call(path, MessageSid=sid, MessageStatus=word, **more).status_code == 204


def accepted(**more: Any) -> Message:
    values = {"state": "sent", "sent_at": NOW, "ended_at": NOW, "provider": "sms1", "provider_id": "SM1"}
    return make_message(person(), **values | more)


@pytest.mark.parametrize(
    ("words", "receipt"),
    [
        (["queued", "sent", "delivered"], "delivered"),
        (["delivered", "sent", "queued", "delivered"], "delivered"),
        (["sent", "undelivered", "sent"], "undelivered"),
        (["delivered", "undelivered"], "delivered"),
        (["queued", "queued"], "on_its_way"),
        (["nonsense"], None),
    ],
)
def test_words_may_come_twice_and_in_any_order(call: Any, words: list[str], receipt: str | None) -> None:
    row = accepted()
    status(call, *words)
    assert row.receipt == receipt
    assert len(tasks("message_failed")) == (1 if receipt == "undelivered" else 0)


def test_a_word_about_a_message_that_is_not_ours_is_no_fault(call: Any) -> None:
    status(call, "delivered", sid="SM404")
    status(call, "delivered", ref="not-a-uuid")


def test_a_word_heals_a_row_whose_acceptance_was_lost(call: Any) -> None:
    row = make_message(person(), state="due", unsure_of="any")
    status(call, "sent", sid="SM9", ref=str(row.reference))
    db.session.expire_all()
    assert (row.state, row.provider, row.provider_id, row.receipt) == ("sent", "sms1", "SM9", "on_its_way")


def test_a_word_about_another_try_does_not_change_the_row(call: Any) -> None:
    row = accepted()
    status(call, "undelivered", sid="SM2", ref=str(row.reference))
    assert row.receipt is None


def test_a_code_that_is_no_number_is_kept_as_it_came(call: Any) -> None:
    row = accepted()
    status(call, "undelivered", code="3000²")
    assert (row.receipt, row.receipt_code) == ("undelivered", "3000²")


def test_a_number_that_takes_nothing_gets_no_more_texts_until_the_desk_says_so(call: Any) -> None:
    row = accepted()
    status(call, "undelivered", code="30006")
    assert db.session.scalars(select(DeadAddress.channel)).all() == ["sms"]
    again = make_message(queries.get(row.patient_id or 0))
    sending.send_message(again.id)
    assert (again.state, again.failure) == ("void", "the address takes no messages")
    operations.address_works(row.patient_id or 0, "sms", by=TESTER)
    assert db.session.scalars(select(DeadAddress.cleared_at)).all() == [NOW]


def test_what_came_back_is_sent_anew_as_a_row_of_its_own(call: Any, rings: list[Any]) -> None:
    row = accepted()
    status(call, "undelivered", code="30003")
    again = db.session.get_one(Message, operations.resend(row.id, reason="phone was off", by=TESTER))
    assert (again.again_of, again.occurrence, again.state) == (row.id, f"{row.occurrence}~1", "due")
    assert again.reference != row.reference
    assert rings == [("reminders.send", {"message_id": again.id})]


# -- mail that came back ----------------------------------------------------------------------------------------------------

BOUNCE = """\
From: MAILER-DAEMON@mx.example
To: bounces+{token}@harbor.example
Subject: Undelivered Mail Returned to Sender
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="B"

--B
Content-Type: text/plain

It could not be delivered.
--B
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example

Final-Recipient: rfc822; ada@example.org
Action: {action}
Status: {status}
--B--
"""


def bounce(client: FlaskClient, message_id: int, action: str, status: str, token: str = "hook") -> int:
    letter = BOUNCE.format(token=signed.sign(Use.RETURN, message_id, KEYS), action=action, status=status)
    headers = {"Authorization": f"Bearer {token}"}
    return client.post("/hooks/mail", data=letter, headers=headers, content_type="message/rfc822").status_code


@pytest.mark.parametrize(
    ("action", "status", "receipt", "marked"),
    [
        ("failed", "5.1.1", "bounced", 1),
        ("failed", "5.2.2", "undelivered", 0),
        ("delayed", "4.4.1", None, 0),
        ("relayed", "2.0.0", None, 0),
    ],
)
def test_mail_that_came_back(
    call: Any, client: FlaskClient, action: str, status: str, receipt: Any, marked: int
) -> None:
    row = accepted(channel="email", provider="smtp")
    for _ in range(2):
        assert bounce(client, row.id, action, status) == 204
    assert row.receipt == receipt
    assert len(db.session.scalars(select(DeadAddress)).all()) == marked
    assert len(tasks("message_failed")) == (1 if receipt else 0)


@pytest.mark.parametrize("letter", [b"", b"\xff\x00", b"To: bounces+AQ.x@harbor.example\r\n\r\nhello"])
def test_a_letter_that_is_no_bounce_changes_nothing(call: Any, client: FlaskClient, letter: bytes) -> None:
    answer = client.post("/hooks/mail", data=letter, headers={"Authorization": "Bearer hook"})
    assert answer.status_code == 204


def test_bounces_need_the_token(call: Any, client: FlaskClient, app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    row = accepted(channel="email", provider="smtp")
    assert bounce(client, row.id, "failed", "5.1.1", token="wrong") == 403
    monkeypatch.setitem(app.config, "SETTINGS", replace(app.config["SETTINGS"], mail_hook_token=""))
    assert bounce(client, row.id, "failed", "5.1.1", token="") == 403
    assert row.receipt is None


def test_a_new_address_is_not_dead(call: Any, client: FlaskClient) -> None:
    row = accepted(channel="email", provider="smtp")
    bounce(client, row.id, "failed", "5.1.1")
    patient = queries.get(row.patient_id or 0)
    patient.email = patient.email_blind = "new@example.org"  # type: ignore[assignment]
    db.session.flush()
    db.session.refresh(patient)
    assert dead.of_patient(patient) == {}
