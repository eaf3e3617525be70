"""A check-in at baseline, then after every fifth delivered session."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from clinic.surveys.cadence import CourseFacts, milestone_due

FIRST = datetime(2026, 11, 24, 18, tzinfo=UTC)


def facts(**overrides: Any) -> CourseFacts:
    values: dict[str, Any] = {
        "delivered": 0,
        "last_delivered_at": None,
        "first_starts_at": FIRST,
        "has_many_a_day": False,
        "milestones": (),
        "last_opened_at": None,
        "complete_at": (),
    }
    return CourseFacts(**values | overrides)


def after(delivered: int, **overrides: Any) -> int | None:
    now = FIRST + timedelta(days=delivered)
    done = now - timedelta(hours=1) if delivered else None
    return milestone_due(facts(delivered=delivered, last_delivered_at=done, **overrides), now)


@pytest.mark.parametrize(
    ("delivered", "milestones", "due"),
    [(4, (0,), None), (5, (0,), 5), (6, (0, 5), None), (9, (0, 5), None), (10, (0, 5), 10), (12, (0, 5), 10)],
)
def test_every_fifth_delivered_session(delivered: int, milestones: tuple[int, ...], due: int | None) -> None:
    assert after(delivered, milestones=milestones) == due


def test_the_baseline_opens_a_day_before_the_first_session() -> None:
    assert milestone_due(facts(), FIRST - timedelta(hours=24, seconds=1)) is None
    assert milestone_due(facts(), FIRST - timedelta(hours=24)) == 0


@pytest.mark.parametrize(("days", "due"), [(14, None), (15, 0)])
def test_a_score_of_the_last_fourteen_days_is_the_baseline(days: int, due: int | None) -> None:
    assert milestone_due(facts(complete_at=[FIRST - timedelta(days=days)]), FIRST) == due


def test_a_missed_baseline_is_asked_for_after_the_first_session() -> None:
    assert after(1) == 0


def test_a_milestone_of_last_month_is_not_asked_for() -> None:
    long_ago = facts(delivered=10, last_delivered_at=FIRST, milestones=(0,))
    assert milestone_due(long_ago, FIRST + timedelta(days=8)) is None


def test_ten_sessions_a_day_are_not_asked_twice_a_day() -> None:
    assert after(5, has_many_a_day=True, milestones=(0,), last_opened_at=FIRST + timedelta(days=4)) is None
    assert after(5, milestones=(0,), last_opened_at=FIRST + timedelta(days=4)) == 5


def test_a_course_without_sessions_asks_nothing() -> None:
    assert milestone_due(facts(first_starts_at=None), FIRST) is None
