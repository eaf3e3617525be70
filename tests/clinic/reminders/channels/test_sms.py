"""Texts against a real HTTP server on loopback."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from clinic.reminders.channels import sms
from clinic.reminders.channels.base import ChannelBusy, ChannelRefused, Envelope
from clinic.reminders.channels.sms import Gateway, SmsChannel
from tests.gateway import FakeGateway

TEXT = Envelope("3f0c", "+17145550111", None, "Harbor: your next visit", "en")


@pytest.fixture
def gateway() -> Iterator[FakeGateway]:
    with FakeGateway() as fake:
        yield fake


def channel(*gateways: FakeGateway) -> SmsChannel:
    return SmsChannel(
        [
            Gateway(fake.url, "AC 1", "secret", "+17145550100", f"sms{number}")
            for number, fake in enumerate(gateways, start=1)
        ]
    )


def test_what_a_gateway_is_told(gateway: FakeGateway) -> None:
    accepted = channel(gateway).send(TEXT)
    [request] = gateway.requests
    assert (accepted.provider, accepted.provider_id) == ("sms1", "SM1")
    assert request.path == "/2010-04-01/Accounts/AC%201/Messages.json"
    assert request.authorization == ("AC 1", "secret")
    assert request.reference == "3f0c"
    assert request.form == {
        "To": "+17145550111",
        "From": "+17145550100",
        "Body": "Harbor: your next visit",
    }


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (500, ChannelBusy),
        (503, ChannelBusy),
        (429, ChannelBusy),
        (401, ChannelBusy),
        (400, ChannelRefused),
        (404, ChannelRefused),
    ],
)
def test_answers_of_the_gateway(gateway: FakeGateway, status: int, verdict: type[Exception]) -> None:
    gateway.answers = [(status, {}, {"code": 21211, "message": "'To' +17145550111 is not valid"})]
    with pytest.raises(verdict) as refused:
        channel(gateway).send(TEXT)
    assert str(refused.value).endswith(f"({status}, code 21211)")
    assert "7145550111" not in str(refused.value)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_gateway_leads_nowhere_else(gateway: FakeGateway, status: int) -> None:
    with FakeGateway() as elsewhere:
        gateway.answers = [(status, {"Location": f"{elsewhere.url}/Messages.json"}, {})]
        with pytest.raises(ChannelRefused):
            channel(gateway).send(TEXT)
        assert elsewhere.requests == []


@pytest.mark.parametrize(("said", "wait"), [("90", timedelta(seconds=90)), ("9²", None), ("soon", None)])
def test_a_busy_gateway_says_how_long(gateway: FakeGateway, said: str, wait: timedelta | None) -> None:
    gateway.answers = [(429, {"Retry-After": said}, {})]
    with pytest.raises(ChannelBusy) as busy:
        channel(gateway).send(TEXT)
    assert busy.value.wait == wait


def test_an_answer_that_is_not_json_is_accepted_without_a_number(gateway: FakeGateway) -> None:
    gateway.answers = [(200, {}, "thanks")]
    assert channel(gateway).send(TEXT).provider_id is None


def test_a_silent_gateway_is_tried_again_and_not_another(gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sms, "TIMEOUT", httpx.Timeout(0.2))
    gateway.delay = 1.0
    with FakeGateway() as second:
        with pytest.raises(ChannelBusy):
            channel(gateway, second).send(TEXT)
        assert second.requests == []


@pytest.mark.parametrize("answer", [(429, {}, {}), (401, {}, {})])
def test_the_second_gateway_takes_what_the_first_did_not(gateway: FakeGateway, answer: Any) -> None:
    gateway.answers = [answer]
    with FakeGateway() as second:
        assert channel(gateway, second).send(TEXT).provider == "sms2"


def test_the_second_gateway_takes_over_from_a_dead_one(gateway: FakeGateway) -> None:
    with FakeGateway() as dead:
        pass
    assert channel(dead, gateway).send(TEXT).provider == "sms2"


# -- a try that ended in the dark ---------------------------------------------------------------------------------------

AGAIN = replace(TEXT, unsure_of="sms1", since=datetime(2026, 11, 24, tzinfo=UTC))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sms, "TIMEOUT", httpx.Timeout(0.3))


def test_what_a_lying_gateway_took_is_found_and_not_sent_again(gateway: FakeGateway, quick: None) -> None:
    gateway.lists, gateway.fault = True, lambda number: (201, True, 0.8) if number == 1 else None
    with pytest.raises(ChannelBusy) as busy:
        channel(gateway).send(TEXT)
    assert busy.value.unsure_of == "sms1"
    assert channel(gateway).send(replace(TEXT, unsure_of="sms1")).provider_id == "SM1"
    assert len(gateway.accepted) == 1


def test_what_was_not_taken_goes_to_the_second_gateway(gateway: FakeGateway) -> None:
    gateway.lists = True
    with FakeGateway() as second:
        accepted = channel(gateway, second).send(AGAIN)
        assert (accepted.provider, len(second.accepted), len(gateway.accepted)) == ("sms2", 1, 0)


def test_no_second_gateway_where_the_first_does_not_say_what_it_took(gateway: FakeGateway) -> None:
    with FakeGateway() as second:
        assert channel(gateway, second).send(AGAIN).provider == "sms1"
        assert second.requests == []


def test_a_gateway_that_does_not_answer_keeps_the_doubt(gateway: FakeGateway) -> None:
    with FakeGateway() as dead:
        pass
    with pytest.raises(ChannelBusy) as busy:
        channel(dead, gateway).send(AGAIN)
    assert busy.value.unsure_of == "sms1"
    assert gateway.requests == []


def test_the_same_words_of_another_day_are_another_message(gateway: FakeGateway) -> None:
    gateway.lists, gateway.now = True, lambda: datetime(2026, 11, 22, tzinfo=UTC)
    channel(gateway).send(TEXT)
    channel(gateway).send(AGAIN)
    assert len(gateway.accepted) == 2


@pytest.mark.parametrize(
    ("status", "unsure_of"), [(500, "sms1"), (502, "sms1"), (504, "sms1"), (503, None), (429, None)]
)
def test_which_faults_leave_a_doubt(gateway: FakeGateway, status: int, unsure_of: str | None) -> None:
    gateway.answers = [(status, {}, {})]
    with pytest.raises(ChannelBusy) as busy:
        channel(gateway).send(TEXT)
    assert (busy.value.unsure_of, busy.value.is_throttled) == (unsure_of, status == 429)


@pytest.mark.parametrize(("code", "is_dead"), [(21211, True), (21614, True), (21610, False), (30007, False)])
def test_a_number_that_takes_nothing_is_told_from_a_message_that_is_not_taken(
    gateway: FakeGateway, code: int, is_dead: bool
) -> None:
    gateway.answers = [(400, {}, {"code": code})]
    with pytest.raises(ChannelRefused) as refused:
        channel(gateway).send(TEXT)
    assert refused.value.is_dead is is_dead


def test_the_gateway_is_told_where_to_say_what_became_of_it(gateway: FakeGateway) -> None:
    channel(gateway).send(replace(TEXT, callback="https://harbor.example/hooks/sms/status?ref=3f0c"))
    [request] = gateway.requests
    assert request.form["StatusCallback"] == "https://harbor.example/hooks/sms/status?ref=3f0c&via=sms1"
