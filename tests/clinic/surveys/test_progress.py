"""Baseline, response and remission by hand-worked scores."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from clinic.surveys.progress import Point, progress

FIRST = datetime(2026, 11, 24, 18, tzinfo=UTC)
NOW = FIRST + timedelta(days=40)


def point(days: float, total: int | None, session: int = 0, **more: Any) -> Point:
    return Point(taken_at=FIRST + timedelta(days=days), total=total, session=session, **more)


@pytest.mark.parametrize(
    ("before", "after", "percent", "response", "remission"),
    [
        (18, 9, 50.0, True, False),
        (18, 10, 44.4, False, False),
        (18, 4, 77.8, True, True),
        (9, 5, 44.4, False, False),
        (6, 4, 33.3, False, True),
        (10, 14, -40.0, False, False),
        (0, 3, None, None, True),
    ],
)
def test_response_and_remission(
    before: int, after: int, percent: float | None, response: bool | None, remission: bool
) -> None:
    change = progress([point(-1, before), point(7, after, 5)], FIRST, NOW).change
    assert change is not None
    assert (change.percent, change.response, change.remission) == (percent, response, remission)


def test_the_baseline_is_the_last_complete_score_in_fourteen_days() -> None:
    points = [point(-20, 22), point(-10, 20), point(-2, 17), point(-1, None), point(7, 12, 5)]
    found = progress(points, FIRST, NOW)
    assert found.baseline == points[2]


def test_an_older_score_is_no_baseline() -> None:
    found = progress([point(-15, 22), point(7, 12, 5)], FIRST, NOW)
    assert (found.baseline, found.change) == (None, None)


def test_a_score_after_the_first_session_does_not_move_the_baseline() -> None:
    found = progress([point(-1, 18), point(0.1, 21, 1), point(7, 9, 5)], FIRST, NOW)
    assert found.baseline is not None
    assert found.baseline.total == 18


@pytest.mark.parametrize(("session", "counts"), [(1, True), (2, False)])
def test_a_late_baseline_counts_until_the_second_session(session: int, counts: bool) -> None:
    late = point(0.5, 18, session, is_baseline_survey=True)
    assert (progress([late, point(9, 9, 5)], FIRST, NOW).baseline == late) is counts


def test_a_score_with_too_many_gaps_is_never_the_latest() -> None:
    found = progress([point(-1, 18), point(7, 9, 5), point(14, None, 10)], FIRST, NOW)
    assert found.latest is not None
    assert found.latest.total == 9


def test_nothing_is_compared_before_the_first_session() -> None:
    found = progress([point(-3, 18), point(-1, 16)], FIRST, FIRST - timedelta(hours=1))
    assert (found.change, found.is_baseline_frozen) == (None, False)
