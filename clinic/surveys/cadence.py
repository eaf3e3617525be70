"""Which check-in of a course is due now. Pure: facts of a course in, one asking out; nothing is scheduled ahead."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from clinic.surveys.plans import Rhythm

BASELINE = "baseline"
BASELINE_LASTS = timedelta(days=14)  # a score so old, before the first session, is the baseline
BASELINE_UNTIL = 1  # delivered sessions after which a missing baseline is not asked for any more
OPENS_BEFORE = timedelta(hours=24)  # before the first session
LATE_AFTER = timedelta(hours=72)
LAPSES_AFTER = timedelta(days=14)  # the questions look back two weeks: an older one asks for another time
CATCH_UP_WITHIN = timedelta(days=7)  # a point that passed longer ago is not asked for any more
HOURS_LAST = timedelta(hours=24)  # so long a check-in "24 hours after" may still be opened
FOLLOW_UP_LASTS = timedelta(days=14)
WEEK = timedelta(days=7)
WEEK_IS_MET = timedelta(days=3)  # a check-in that opened so shortly before a course week begins stands for it

RUNS = ("booked", "running")
GIVEN_WHOLE = "completed"


@dataclass(frozen=True, kw_only=True)
class CourseFacts:
    """A course as far as check-ins need it; instants in UTC.

    `delivered` counts treatment sessions. `asked`: occasions of this course, and when each was opened. `last_asked_at`:
    when any check-in of the patient with the lead questionnaire was opened. `complete_at`: when complete scores of it
    were taken. `is_weekly`: a payer asked for it. `has_later_course`: the patient began another one after it.
    """

    rhythm: Rhythm
    state: str
    delivered: int
    first_delivered_at: datetime | None = None
    last_delivered_at: datetime | None = None
    first_starts_at: datetime | None = None
    asked: Mapping[str, datetime]
    last_asked_at: datetime | None = None
    complete_at: Sequence[datetime] = ()
    is_weekly: bool = False
    has_later_course: bool = False


@dataclass(frozen=True)
class Asking:
    """One check-in to open: what it belongs to, and its questionnaires in order."""

    occasion: str
    instruments: tuple[str, ...]


def session_key(delivered: int) -> str:
    """The check-in after so many delivered sessions."""
    return f"session:{delivered}"


def hours_key(delivered: int) -> str:
    """The check-in some hours after a session."""
    return f"hours:{delivered}"


def week_key(week: int) -> str:
    """The check-in of a course week; week 1 begins seven days after the first session was delivered."""
    return f"week:{week}"


def after_key(days: int) -> str:
    """The follow-up so many days after the last delivered session."""
    return f"after:{days}"


def asked_key(nonce: str) -> str:
    """A check-in that a person at the clinic asked for, once a form."""
    return f"asked:{nonce}"


def due(course: CourseFacts, now: datetime) -> Asking | None:
    """The check-in to open now, the most pressing first; None where nothing is due. A paused or ended course asks nothing."""
    for rule in (_baseline, _follow_up, _hours_after, _after_session, _weekly):
        asking = rule(course, now)
        if asking is not None and asking.occasion not in course.asked:
            return asking
    return None


def _baseline(course: CourseFacts, now: datetime) -> Asking | None:
    """From the day before the first session until the second, unless a complete score is at most 14 days older than it."""
    first = course.first_starts_at
    if course.state not in RUNS or course.delivered > BASELINE_UNTIL or first is None or now < first - OPENS_BEFORE:
        return None
    if course.delivered and _is_long_ago(course, now):
        return None
    if any(first - BASELINE_LASTS <= taken for taken in course.complete_at):
        return None
    return Asking(BASELINE, course.rhythm.baseline)


def _after_session(course: CourseFacts, now: datetime) -> Asking | None:
    """The last point that was reached, while it is fresh and not on the heels of another check-in."""
    point = max((n for n in course.rhythm.at_session if n <= course.delivered), default=0)
    if not point or course.state not in (*RUNS, GIVEN_WHOLE) or _is_long_ago(course, now):
        return None
    apart = timedelta(days=course.rhythm.apart_days[point])
    if course.last_asked_at is not None and now < course.last_asked_at + apart:
        return None
    return Asking(session_key(point), course.rhythm.at_session[point])


def _hours_after(course: CourseFacts, now: datetime) -> Asking | None:
    if course.rhythm.hours is None or course.state not in (*RUNS, GIVEN_WHOLE) or course.last_delivered_at is None:
        return None
    hours, instruments = course.rhythm.hours
    opens = course.last_delivered_at + timedelta(hours=hours)
    if not opens <= now < opens + HOURS_LAST:
        return None
    return Asking(hours_key(course.delivered), instruments)


def _weekly(course: CourseFacts, now: datetime) -> Asking | None:
    """Each course week of the phase; what another check-in of the course asked shortly before, or since, is not asked again."""
    rhythm, first = course.rhythm, course.first_delivered_at
    if not rhythm.weekly or not (rhythm.is_always_weekly or course.is_weekly):
        return None
    if first is None or course.state not in RUNS or course.delivered >= rhythm.weekly_until:
        return None
    week = (now - first) // WEEK
    if week < 1 or _is_long_ago(course, now):
        return None
    begins = first + week * WEEK
    if _asked_since(course.asked.items(), begins - WEEK_IS_MET):
        return None
    return Asking(week_key(week), rhythm.weekly)


def _asked_since(asked: Iterable[tuple[str, datetime]], since: datetime) -> bool:
    """Whether a check-in that holds the lead questionnaire was opened; those some hours after a session do not."""
    return any(at >= since for occasion, at in asked if not occasion.startswith("hours:"))


def _follow_up(course: CourseFacts, now: datetime) -> Asking | None:
    """The last follow-up whose day has come, while it is fresh; a later course has check-ins of its own."""
    if course.state != GIVEN_WHOLE or course.last_delivered_at is None or course.has_later_course:
        return None
    for days in sorted(course.rhythm.after_days, reverse=True):
        opens = course.last_delivered_at + timedelta(days=days)
        if opens <= now:
            fresh = now < opens + FOLLOW_UP_LASTS
            return Asking(after_key(days), course.rhythm.after_days[days]) if fresh else None
    return None


def _is_long_ago(course: CourseFacts, now: datetime) -> bool:
    return course.last_delivered_at is not None and course.last_delivered_at < now - CATCH_UP_WITHIN
