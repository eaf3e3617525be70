"""Change over a course: baseline, response and remission, as the questionnaire's file defines them. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from clinic.instruments import scoring
from clinic.surveys.cadence import BASELINE_LASTS


@dataclass(frozen=True, kw_only=True)
class Point:
    """One check-in. `total` is None where too much is missing; `session`: delivered before it; `milestone` 0: baseline."""

    taken_at: datetime
    total: int | None
    session: int
    is_late: bool = False
    is_baseline_survey: bool = False
    after_days: int | None = None  # days after the last session of a whole course


@dataclass(frozen=True)
class Progress:
    """`change` is None without a baseline or without a later score. `is_baseline_frozen`: the first session has begun."""

    points: tuple[Point, ...]
    baseline: Point | None
    latest: Point | None
    change: scoring.Response | None
    is_baseline_frozen: bool


def progress(
    points: Sequence[Point], first_session_at: datetime | None, now: datetime, instrument: str = "phq9"
) -> Progress:
    """Baseline: the last complete score in the 14 days before the first session, frozen when that begins.

    A baseline check-in that was answered after the first session, before the second, stands in for a missing one.
    """
    ordered = tuple(sorted(points, key=lambda point: point.taken_at))
    complete = [point for point in ordered if point.total is not None]
    baseline = _baseline(complete, first_session_at)
    later = [point for point in complete if baseline is not None and point.taken_at > baseline.taken_at]
    is_frozen = first_session_at is not None and first_session_at <= now
    latest = later[-1] if later and is_frozen else None
    change = None
    if baseline is not None and latest is not None:
        assert baseline.total is not None
        assert latest.total is not None
        change = scoring.response(baseline.total, latest.total, instrument)
    return Progress(ordered, baseline, latest, change, is_frozen)


def _baseline(complete: Sequence[Point], first_session_at: datetime | None) -> Point | None:
    if first_session_at is None:
        return None
    before = [p for p in complete if first_session_at - BASELINE_LASTS <= p.taken_at <= first_session_at]
    if before:
        return before[-1]
    return next(
        (p for p in complete if p.is_baseline_survey and p.taken_at > first_session_at and p.session <= 1), None
    )
