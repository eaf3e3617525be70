"""Tasks are thin: a sweep rings for each row, the other task handles one, with ids only."""

import importlib
from collections.abc import Callable
from typing import Any

import pytest

from clinic.config import Settings


@pytest.fixture
def task(settings: Settings, app: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Any]:
    """`task(module, name)` is the function of a task, called without a broker."""

    def find(module: str, name: str) -> Any:
        return getattr(importlib.import_module(f"workers.{module}"), name).run

    return find


def test_the_sweep_of_messages_rings_once_a_batch_and_not_too_often(
    task: Any, database: Any, rings: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clinic.reminders.ledger.sweep", lambda: {"urgent": 1, "normal": 51, "bulk": 100_000})
    task("reminders", "sweep")()
    rung = [name for name, _ in rings]
    assert [rung.count(f"reminders.send_{lane}") for lane in ("urgent", "normal", "bulk")] == [1, 2, 10]


def test_one_message_is_sent_by_its_id(task: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[int] = []
    monkeypatch.setattr("clinic.reminders.sending.send_message", sent.append)
    task("reminders", "send_one")(message_id=4)
    assert sent == [4]


@pytest.mark.parametrize(("more", "rung"), [(True, ["reminders.send_bulk"]), (False, [])])
def test_a_lane_is_rung_for_again_while_more_waits(
    task: Any, rings: list[Any], monkeypatch: pytest.MonkeyPatch, more: bool, rung: list[str]
) -> None:
    monkeypatch.setattr("clinic.reminders.sending.work", lambda lane: more)
    task("reminders", "send_bulk")()
    assert [name for name, _ in rings] == rung


def test_the_sweep_of_intakes_rings_for_each(task: Any, rings: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clinic.eligibility.queries.unassessed_intake_ids", lambda: [7])
    task("eligibility", "sweep")()
    assert rings == [("eligibility.assess", {"intake_id": 7})]


def test_an_intake_is_assessed_by_a_named_worker(task: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr("clinic.eligibility.operations.assess_intake", lambda key, by: seen.append((key, str(by))))
    task("eligibility", "assess_one")(intake_id=7)
    assert seen == [(7, "system:eligibility")]


def test_the_sweep_of_check_ins_only_keeps_up(task: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    monkeypatch.setattr("clinic.surveys.operations.keep_up", lambda: calls.append("kept up"))
    task("surveys", "sweep")()
    assert calls == ["kept up"]
