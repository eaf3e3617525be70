"""Check-ins in words, for staff."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from clinic.instruments import scoring
from clinic.surveys import plans
from clinic.surveys.charting import Chart
from clinic.surveys.models import Survey, SurveyState
from clinic.treatment.queries import Mark
from clinic.web import charts
from clinic.web.context import short_day

STATES = {
    SurveyState.OPEN: ("due", "Waits for an answer"),
    SurveyState.ANSWERED: ("good", "Answered"),
    SurveyState.MISSED: ("unsure", "Not answered"),
    SurveyState.CANCELLED: ("", "Ended with the course"),
}
SHORT = {
    "phq9": "PHQ-9",
    "phq2": "PHQ-2",
    "gad7": "GAD-7",
    "pcptsd5": "PC-PTSD-5",
    "audit_c": "AUDIT-C",
    "cssrs": "C-SSRS screener",
    "side_effects_tms": "Side effects (TMS)",
    "side_effects_ketamine": "Side effects (ketamine)",
    "sleep_clinic": "Sleep",
    "mood_clinic": "Mood 0 to 10",
}


def short_name(instrument: str) -> str:
    """`PHQ-9`; the whole name of one that has no short one."""
    return SHORT.get(instrument) or scoring.load(instrument).name


def occasion_words(occasion: str) -> str:
    """`After session 10`, `90 days after the last session`."""
    kind, _, number = occasion.partition(":")
    return {
        "baseline": "Baseline",
        "session": f"After session {number}",
        "hours": f"A day after session {number}",
        "week": f"Week {number} of the course",
        "after": f"{number} days after the last session",
    }.get(kind, "Asked by the clinic")


def trend(found: Chart, *, is_broad: bool = False) -> charts.Trend | None:
    """The picture of a chart; broad for the page that is about it alone. None for an instrument without a total."""
    instrument = scoring.load(found.instrument)
    if instrument.high is None:
        return None
    base, points = found.progress.baseline, found.points
    scores = [
        charts.Score(point.session, point.total, short_day(point.taken_at, found.tz), point.is_late, point.after_days)
        for point in points
        if point.session > 0 or point == (base or points[-1])
    ]
    return charts.trend(
        scores,
        maximum=instrument.high,
        remission_below=instrument.remission_at_most,
        sessions=found.planned,
        mark_sessions=found.rhythm.plan.noticed_sessions if found.rhythm is not None else None,
        happenings=[charts.Happening(mark.session, _kind(mark), mark.text) for mark in found.marks],
        width=520 if is_broad else 310,
    )


def _kind(mark: Mark) -> Literal["event", "dose"]:
    return "event" if mark.kind == "event" else "dose"


@dataclass(frozen=True)
class Row:
    """One check-in of a person. `is_overdue`: open, and past the time in which an answer is in time."""

    survey: Survey
    occasion: str
    instruments: str
    state_kind: str
    state_word: str
    is_overdue: bool
    is_begun: bool
    may_enter: bool
    may_correct: bool


def rows(surveys: Sequence[Survey], from_paper: frozenset[int], now: datetime) -> list[Row]:
    """Rows in the given order; `from_paper`: check-ins whose answers were entered from paper."""
    return [_row(survey, survey.id in from_paper, now) for survey in surveys]


def _row(survey: Survey, is_paper: bool, now: datetime) -> Row:
    state = SurveyState(survey.state)
    kind, word = STATES[state]
    is_overdue = state is SurveyState.OPEN and survey.late_after <= now
    if state is SurveyState.ANSWERED:
        word = " ".join([word, *(["on paper"] if is_paper else []), *(["late"] if survey.is_late else [])])
    return Row(
        survey=survey,
        occasion=occasion_words(survey.occasion),
        instruments=", ".join(short_name(key) for key in survey.instruments),
        state_kind=kind,
        state_word="Overdue" if is_overdue else word,
        is_overdue=is_overdue,
        is_begun=state is SurveyState.OPEN and bool(survey.draft),
        may_enter=state in (SurveyState.OPEN, SurveyState.MISSED),
        may_correct=is_paper,
    )


def coming(rhythm: plans.Rhythm, delivered: int) -> list[str]:
    """What the plan of a course asks for next, as sessions are delivered."""
    found = []
    following = min((n for n in rhythm.at_session if n > delivered), default=None)
    if following is not None:
        away = following - delivered
        named = ", ".join(short_name(key) for key in rhythm.at_session[following])
        found.append(f"after session {following}, {away} more {'session' if away == 1 else 'sessions'}: {named}")
    if rhythm.hours is not None:
        named = ", ".join(short_name(key) for key in rhythm.hours[1])
        found.append(f"{rhythm.hours[0]} hours after every session: {named}")
    if rhythm.after_days:
        days = ", ".join(map(str, sorted(rhythm.after_days)))
        found.append(f"{days} days after the last delivered session of a whole course")
    return found
