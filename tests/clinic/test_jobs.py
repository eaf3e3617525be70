"""The doorbell: short-lived, and quiet while much is loaded."""

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from kombu import serialization
from kombu.exceptions import ContentDisallowed

from clinic import jobs
from clinic.jobs import Job


@pytest.fixture
def sent(app: Flask, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, object]]]:
    heard: list[tuple[str, dict[str, object]]] = []
    monkeypatch.setattr(app.extensions["celery"], "send_task", lambda name, **more: heard.append((name, more)))
    return heard


def test_an_old_ring_does_not_stand_in_the_way_of_new_ones(
    app: Flask, sent: list[tuple[str, dict[str, object]]]
) -> None:
    with app.app_context():
        jobs.ring(Job.SEND_MESSAGE, message_id=7)
    assert sent == [("reminders.send", {"kwargs": {"message_id": 7}, "expires": 30, "queue": "normal"})]


@pytest.mark.parametrize("media_type", ["application/x-python-serialize", "application/x-yaml"])
def test_a_message_that_could_be_code_is_not_read(app: Flask, media_type: str) -> None:
    accepts = serialization.prepare_accept_content(app.extensions["celery"].conf.accept_content)
    assert serialization.loads(b"{}", "application/json", "utf-8", accept=accepts) == {}
    with pytest.raises(ContentDisallowed):
        serialization.loads(b"{}", media_type, "utf-8", accept=accepts)


@pytest.fixture
def bell(monkeypatch: pytest.MonkeyPatch) -> jobs._Bell:
    """That of a process which has not rung yet."""
    monkeypatch.setattr(jobs, "_bell", jobs._Bell())
    return jobs._bell


def test_a_load_in_bulk_rings_nobody(app: Flask, bell: jobs._Bell, sent: list[Any]) -> None:
    with app.app_context():
        with jobs.silence():
            jobs.ring(Job.SWEEP_REMINDERS)
        time.sleep(3 * jobs.SOON)
        assert sent == []
        jobs.ring(Job.SWEEP_REMINDERS)
        wait_until(lambda: len(sent) == 1)


def test_nobody_waits_for_the_broker_and_the_rings_of_a_moment_are_one(
    app: Flask, bell: jobs._Bell, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker_answers, heard = threading.Event(), []

    def send_task(name: str, **_more: object) -> None:
        heard.append(time.monotonic())
        broker_answers.wait(30)

    monkeypatch.setattr(app.extensions["celery"], "send_task", send_task)
    with app.app_context():
        jobs.ring(Job.SWEEP_REMINDERS)
        wait_until(lambda: len(heard) == 1)
        for _ in range(50):  # while the broker thinks
            jobs.ring(Job.SWEEP_REMINDERS)
        rung = time.monotonic()
        broker_answers.set()
        wait_until(lambda: len(heard) == 2)
        time.sleep(2 * jobs.MOMENT)
    first, second = heard
    assert second > rung
    assert second - first >= jobs.MOMENT


def wait_until(is_so: Callable[[], bool]) -> None:
    until = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_each_ring_for_a_lane_is_heard(app: Flask, sent: list[tuple[str, dict[str, object]]]) -> None:
    with app.app_context():
        for _ in range(3):
            jobs.ring(Job.SEND_NORMAL)
    assert [name for name, _ in sent] == ["reminders.send_normal"] * 3
