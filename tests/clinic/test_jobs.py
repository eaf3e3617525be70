"""The doorbell: short-lived, and quiet while much is loaded."""

from types import SimpleNamespace
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
def timers(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, Any, tuple[Any, ...]]]:
    """What waits for its time, in a process that has not rung yet."""
    waiting: list[tuple[float, Any, tuple[Any, ...]]] = []
    monkeypatch.setattr(jobs, "_bell", jobs._Bell())
    monkeypatch.setattr(jobs.threading, "Timer", lambda *more: waiting.append(more) or SimpleNamespace(start=list))
    return waiting


def test_a_load_in_bulk_rings_nobody(app: Flask, timers: list[Any]) -> None:
    with app.app_context():
        with jobs.silence():
            jobs.ring(Job.SWEEP_REMINDERS)
        assert timers == []
        jobs.ring(Job.SWEEP_REMINDERS)
    assert len(timers) == 1


def test_many_rings_of_a_moment_are_two_and_nobody_waits_for_the_broker(
    app: Flask, sent: list[tuple[str, dict[str, object]]], timers: list[Any]
) -> None:
    with app.app_context():
        for heard in (1, 2):
            for _ in range(5):
                jobs.ring(Job.SWEEP_REMINDERS)
            assert (len(sent), len(timers)) == (heard - 1, heard)
            wait, ring, args = timers[-1]
            assert wait == pytest.approx(0.5 * (heard - 1), abs=0.2)
            ring(*args)
    assert [name for name, _ in sent] == ["reminders.sweep"] * 2


def test_each_ring_for_a_lane_is_heard(app: Flask, sent: list[tuple[str, dict[str, object]]]) -> None:
    with app.app_context():
        for _ in range(3):
            jobs.ring(Job.SEND_NORMAL)
    assert [name for name, _ in sent] == ["reminders.send_normal"] * 3
