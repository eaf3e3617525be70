"""The ledger over real sockets: a gateway and a mail server on loopback that have a bad day."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from aiosmtpd.controller import Controller
from sqlalchemy import select

from clinic import clock
from clinic.db import db
from clinic.embedded.ports import free_port
from clinic.reminders import ledger, sending
from clinic.reminders.channels import sms
from clinic.reminders.models import Message
from clinic.tasks.models import Task
from tests.gateway import HANG_UP, FakeGateway

AT_FOUR = datetime(2026, 11, 24, 0, tzinfo=UTC)
TOMORROW = datetime(2026, 11, 24, 20, tzinfo=UTC)
Booked = Callable[..., Any]


def use(app: Any, monkeypatch: pytest.MonkeyPatch, **values: str) -> None:
    monkeypatch.setitem(app.config, "SETTINGS", replace(app.config["SETTINGS"], **values))


def work_until(at: datetime) -> None:
    """Sweep and send once a minute from four in the afternoon."""
    now = AT_FOUR
    while now <= at:
        with clock.frozen(now):
            for message_id in ledger.collect_due():
                sending.send_message(message_id)
        now += timedelta(minutes=1)


@pytest.fixture
def gateway(app: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeGateway]:
    with FakeGateway() as fake:
        use(app, monkeypatch, sms_url=fake.url, sms_account="AC1", sms_token="secret", sms_from="+17145550100")
        yield fake


def test_faults_of_the_gateway_are_outlived(booked: Booked, gateway: FakeGateway) -> None:
    booked([TOMORROW], consents={"sms": True})
    gateway.answers = [(500, {}, {}), (429, {"Retry-After": "240"}, {})]
    work_until(AT_FOUR + timedelta(minutes=10))
    [row] = db.session.scalars(select(Message))
    assert (row.state, row.attempts, row.provider, row.provider_id) == ("sent", 3, "sms1", "SM3")
    assert {(request.reference, request.form["Body"]) for request in gateway.requests} == {
        (str(row.reference), row.body)
    }


def test_a_silent_gateway_is_tried_again_with_the_same_reference(
    booked: Booked, gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    booked([TOMORROW], consents={"sms": True})
    monkeypatch.setattr(sms, "TIMEOUT", httpx.Timeout(0.2))
    gateway.delay = 0.6
    work_until(AT_FOUR)
    gateway.delay = 0.0
    work_until(AT_FOUR + timedelta(minutes=1))
    assert len({request.reference for request in gateway.requests}) == 1
    assert [row.state for row in db.session.scalars(select(Message))] == ["sent"]


def test_what_was_taken_under_a_clock_that_ran_ahead_is_found_and_not_said_twice(
    booked: Booked, gateway: FakeGateway
) -> None:
    booked([TOMORROW], consents={"sms": True})
    gateway.lists, gateway.now, gateway.fault = True, lambda: AT_FOUR, lambda number: (HANG_UP, True, 0.0)
    work_until(AT_FOUR)
    row = db.session.scalars(select(Message)).one()
    row.tried_at = AT_FOUR + timedelta(hours=4)  # as the clock had it, which was set right since
    db.session.commit()
    work_until(AT_FOUR + timedelta(minutes=5))
    assert (row.state, row.provider_id, len(gateway.accepted)) == ("sent", "SM1", 1)


def test_a_dead_gateway_ends_on_the_worklist_once(booked: Booked, gateway: FakeGateway) -> None:
    booked([TOMORROW], consents={"sms": True})
    gateway.answers = [(503, {}, {})] * 20
    work_until(AT_FOUR + timedelta(minutes=100))
    assert [row.state for row in db.session.scalars(select(Message))] == ["failed"]
    assert len(db.session.scalars(select(Task).filter_by(kind="message_failed")).all()) == 1
    assert len(gateway.requests) == 6


def test_a_mail_server_that_puts_off_is_asked_again(booked: Booked, app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class Greylist:
        calls = 0

        async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
            self.calls += 1
            return "451 greylisted" if self.calls == 1 else "250 OK"

    handler, port = Greylist(), free_port()
    controller = Controller(handler, hostname="127.0.0.1", port=port)
    controller.start()
    use(app, monkeypatch, smtp_url=f"smtp://127.0.0.1:{port}", mail_from="desk@harbor.example")
    try:
        booked([TOMORROW])
        work_until(AT_FOUR + timedelta(minutes=2))
    finally:
        controller.stop()
    [row] = db.session.scalars(select(Message))
    assert (row.state, row.attempts, row.provider_id) == ("sent", 2, f"<{row.reference}@harbor.example>")
