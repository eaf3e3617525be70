"""Check-ins in bulk: opened where the plan over the course has its points, answered by most, scored by the catalogue."""

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from functools import cache
from random import Random
from typing import Any, NamedTuple

from clinic.demo import sink
from clinic.demo.crowd import instant
from clinic.demo.living import DAY, Lived
from clinic.instruments import scoring
from clinic.surveys import queries
from clinic.surveys.cadence import BASELINE, LAPSES_AFTER, LATE_AFTER, after_key, session_key
from clinic.surveys.models import Score, Survey
from clinic.surveys.plans import Rhythm, counts, rhythm_of

ANSWERED = 0.9
SCORED = ("phq9", "gad7")


class Asked(NamedTuple):
    """One check-in: of whom, when, what, and how low the mood was then (0 to 27)."""

    patient_id: int
    course_id: int
    occasion: str
    instruments: tuple[str, ...]
    delivered: int
    due: int
    mood: int


def of_course(course: Lived, patient_id: int, course_id: int, now: int, random: Random) -> Iterator[Asked]:
    """Every check-in of a course until now."""
    rhythm = _rhythm(course)
    if rhythm is None or not course.delivered:
        return
    start, falls = random.randint(14, 23), random.choice((0.15, 0.4, 0.6, 0.8))
    given = [
        ended
        for ended, row in zip(course.delivered, (r for r in course.rows if r.state == "completed"), strict=True)
        if counts(course.pattern.protocol, row.session.takes.kind)
    ]
    yield Asked(patient_id, course_id, BASELINE, rhythm.baseline, 0, course.rows[0].starts - DAY // 2, start)

    def mood(done: float) -> int:
        return max(1, round(start * (1 - falls * min(1.0, done)) + random.randint(-1, 1)))

    for point, instruments in rhythm.at_session.items():
        if point <= len(given):
            done = point / rhythm.planned
            yield Asked(
                patient_id, course_id, session_key(point), instruments, point, given[point - 1] + 1800, mood(done)
            )
    if course.state != "completed":
        return
    for days, instruments in rhythm.after_days.items():
        due = given[-1] + days * DAY
        if due < now:
            yield Asked(patient_id, course_id, after_key(days), instruments, len(given), due, mood(1.0))


def _rhythm(course: Lived) -> Rhythm | None:
    key = course.pattern.protocol.key
    return rhythm_of(key, course.pattern.sessions - queries.without_treatment(key))


def write(asked: Sequence[Asked], now: int, random: Random) -> None:
    """Check-ins, and a score for each questionnaire of those that were answered."""
    keys = sink.reserve(Survey, len(asked))
    answered: list[tuple[int, Asked, int]] = []

    def surveys() -> Iterator[tuple[Any, ...]]:
        for key, one in zip(keys, asked, strict=True):
            at = one.due + random.randint(1800, 30 * 3600)
            state = "answered" if at < now and random.random() < ANSWERED else _unanswered(one, now)
            if state == "answered":
                answered.append((key, one, at))
            late = instant(one.due) + LATE_AFTER
            closed = instant(at) if state == "answered" else None
            yield (
                *(key, one.patient_id, one.course_id, one.occasion, list(one.instruments), one.delivered, state),
                *(instant(one.due), late, closed, closed, closed is not None and closed > late),
            )

    sink.copy(
        Survey,
        (
            *("id", "patient_id", "course_id", "occasion", "instruments", "milestone", "state", "due_at"),
            *("late_after", "saved_at", "answered_at", "is_late"),
        ),
        surveys(),
    )
    sink.copy(
        Score,
        (
            *("patient_id", "instrument", "instrument_version", "items", "result", "taken_at", "source", "survey_id"),
            *("course_id", "delivered_sessions"),
        ),
        _scores(answered),
    )


def _unanswered(one: Asked, now: int) -> str:
    return "open" if now - one.due < timedelta(LAPSES_AFTER.days).total_seconds() else "missed"


def _scores(answered: Iterable[tuple[int, Asked, int]]) -> Iterator[tuple[Any, ...]]:
    for key, one, at in answered:
        for name in SCORED:
            if name in one.instruments:
                items, result = _sitting(name, one.mood)
                yield (
                    *(one.patient_id, name, scoring.load(name).version, sink.seal(items), sink.seal(result)),
                    *(instant(at), "survey", key, one.course_id, one.delivered),
                )


@cache
def _sitting(name: str, mood: int) -> tuple[str, str]:
    """Answers of about that much, and what the catalogue makes of them; the ninth of the PHQ-9 stays 0."""
    count, spread = (9, 8) if name == "phq9" else (7, 7)
    answers = [0] * count
    for place in range(min(mood if name == "phq9" else mood * 3 // 4, 3 * spread)):
        answers[place % spread] += 1
    pack = {"separators": (",", ":")}
    return json.dumps(answers, **pack), json.dumps(scoring.score(name, answers), **pack)  # type: ignore[arg-type]
