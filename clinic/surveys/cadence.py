"""When a check-in is sent. Pure: facts of a course in, the number of delivered sessions that it belongs to out."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

INSTRUMENT = "phq9"
EVERY = 5  # delivered sessions
BASELINE_LASTS = timedelta(days=14)  # before the first session
OPENS_BEFORE = timedelta(hours=24)  # before the first session
LATE_AFTER = timedelta(hours=72)
CATCH_UP_WITHIN = timedelta(days=7)  # a milestone that passed longer ago is not asked for any more
APART = timedelta(days=3)  # in courses of several sessions a day: the questions look back two weeks


@dataclass(frozen=True, kw_only=True)
class CourseFacts:
    """A course as far as check-ins need it. `complete_at`: when complete scores of the patient were taken."""

    delivered: int
    last_delivered_at: datetime | None
    first_starts_at: datetime | None
    has_many_a_day: bool
    milestones: Sequence[int]
    last_opened_at: datetime | None
    complete_at: Sequence[datetime]


def milestone_due(course: CourseFacts, now: datetime) -> int | None:
    """The milestone to ask for now: 0 for the baseline, else a multiple of `EVERY`; None where nothing is due."""
    if course.last_delivered_at is not None and course.last_delivered_at < now - CATCH_UP_WITHIN:
        return None
    milestone = course.delivered - course.delivered % EVERY
    if milestone in course.milestones:
        return None
    if milestone == 0:
        return 0 if _needs_baseline(course, now) else None
    if course.has_many_a_day and course.last_opened_at is not None and now < course.last_opened_at + APART:
        return None
    return milestone


def _needs_baseline(course: CourseFacts, now: datetime) -> bool:
    """From the day before the first session on, unless a complete score is at most 14 days older than it."""
    first = course.first_starts_at
    if first is None or now < first - OPENS_BEFORE:
        return False
    return not any(first - BASELINE_LASTS <= taken for taken in course.complete_at)
