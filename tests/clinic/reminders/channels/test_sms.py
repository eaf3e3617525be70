"""Texts against a real HTTP server on loopback."""

from collections.abc import Iterator
from datetime import timedelta
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
    return SmsChannel([Gateway(fake.url, "AC 1", "secret", "+17145550100") for fake in gateways])


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


def test_a_busy_gateway_says_how_long(gateway: FakeGateway) -> None:
    gateway.answers = [(429, {"Retry-After": "90"}, {})]
    with pytest.raises(ChannelBusy) as busy:
        channel(gateway).send(TEXT)
    assert busy.value.wait == timedelta(seconds=90)


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
