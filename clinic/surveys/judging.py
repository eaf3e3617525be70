"""What follows from scores: tasks for a clinician, each with the rule that called for it. Steps of an answer's transaction."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from clinic import clock
from clinic.audit import Actor
from clinic.instruments import scoring
from clinic.intake import queries as intake
from clinic.surveys import charting, plans, queries
from clinic.surveys.flow import key_of
from clinic.surveys.models import Score, Survey
from clinic.surveys.plans import Flag
from clinic.tasks import operations as tasks
from clinic.tasks import safety
from clinic.tasks.models import TaskKind, TaskLevel

SAFETY_LEVELS = ("urgent", "same_day")
WORSE_BY = scoring.load("phq9").data["mcid_points"]  # points, against the baseline or the score before
REVIEW_WITHIN = timedelta(days=1)
NAMES = {
    "hearing_change": "New ringing, or hears less well: the course stops until this is reviewed",
    "headache_scalp_pain": "Headache or scalp pain of 6 or more, twice",
    "cystitis": "Pain on passing water, or often: review for cystitis",
    "substance_use": "Craving or extra use reported",
    "blood_pressure_symptoms": "Pounding heart, chest pain or very bad headache after treatment",
}


def _triggers() -> Iterator[tuple[str, scoring.Trigger]]:
    for key in plans.sendable():
        for trigger in scoring.load(key).triggers:
            yield key, trigger


# Keys of answers that may open a safety task, beside item 9 and the screener.
SAFETY_KEYS = frozenset(key_of(key, trigger.item) for key, trigger in _triggers() if trigger.level in SAFETY_LEVELS)


def safety_codes(answers: Mapping[str, Any]) -> frozenset[str]:
    """Codes of the safety table that these answers call for, of our own questions."""
    return frozenset(
        trigger.code
        for key, trigger in _triggers()
        if trigger.level in SAFETY_LEVELS and (answers.get(key_of(key, trigger.item)) or 0) >= trigger.at_least
    )


def sex_of(patient_id: int) -> str | None:
    """As the last sent form says it, for cut-offs that differ; None where it is not known."""
    sent = intake.latest_submitted(patient_id)
    return ((sent.record or {}).get("sex") if sent is not None else None) or None


def judge(survey: Survey, made: Sequence[Score], *, by: Actor) -> None:
    """Open the tasks that these new scores of one check-in call for."""
    for row in made:
        if row.instrument == queries.LEAD:
            _tell_worse(survey, row, by=by)
            _tell_flags(survey, row, by=by)
        _tell_reviews(survey, row, by=by)
        _tell_words(survey, row, by=by)


def _tell_worse(survey: Survey, row: Score, *, by: Actor) -> None:
    """Rapid worsening, as the questionnaire's file says: against the score before, and against the baseline."""
    total = row.result["total"]
    if total is None:
        return
    others = [other for other in queries.scores(survey.patient_id) if other.id != row.id]
    before = [other for other in others if other.taken_at < row.taken_at and other.result.get("total") is not None]
    base = charting.baseline_of(survey.course_id) if survey.course_id is not None else None
    told = []
    if before and total - before[-1].result["total"] >= WORSE_BY:
        told.append(f"from {before[-1].result['total']} the last time")
    if base is not None and base.total is not None and base.taken_at < row.taken_at and total - base.total >= WORSE_BY:
        told.append(f"from {base.total} at baseline")
    if told:
        _review(
            survey,
            f"worse:survey:{survey.id}",
            f"PHQ-9 rose to {total}, {' and '.join(told)}. Rule: {WORSE_BY} points or more (instruments file of the PHQ-9, version "
            f"{row.instrument_version}; safety screens: rapid worsening, same day).",
            level=TaskLevel.SAME_DAY,
            by=by,
        )


def _tell_flags(survey: Survey, row: Score, *, by: Actor) -> None:
    """Rules of the plan over a course, each told once: early non-response."""
    if survey.course_id is None or row.result["total"] is None or row.delivered_sessions is None:
        return
    rhythm = queries.rhythm_of(queries.course(survey.course_id))
    base = charting.baseline_of(survey.course_id)
    if rhythm is None or base is None or base.total is None or row.taken_at <= base.taken_at:
        return
    percent = scoring.response(base.total, row.result["total"], row.instrument).percent
    for flag in rhythm.plan.flags:
        if is_raised(flag, percent, row.delivered_sessions):
            words = flag_words(flag, base.total, row.result["total"], percent, row.delivered_sessions)
            _review(survey, f"{flag.code}:course:{survey.course_id}", words, by=by, course_id=survey.course_id)


def is_raised(flag: Flag, percent: float | None, sessions: int) -> bool:
    """Whether a score after so many sessions, with this improvement from the baseline, is under the rule."""
    in_time = flag.session <= sessions < flag.before_session
    return in_time and percent is not None and percent < flag.improved_less_than_percent


def flag_words(flag: Flag, base: int, total: int, percent: float | None, sessions: int) -> str:
    """The finding with its rule and where that comes from."""
    sources = "; ".join(str(plans.plans().sources[key]["title"]) for key in flag.src)
    change = "" if percent is None else f" ({abs(percent):g} percent {'lower' if percent >= 0 else 'higher'})"
    return (
        f"Early non-response: PHQ-9 {base} at baseline, {total} after {sessions} sessions{change}. "
        f"Rule: less than {flag.improved_less_than_percent:g} percent lower at session {flag.session} "
        f"(cadence {plans.plans().version}). Sources: {sources}. {flag.note}."
    )


def _tell_reviews(survey: Survey, row: Score, *, by: Actor) -> None:
    instrument = scoring.load(row.instrument)
    codes = []
    for trigger in instrument.triggers:
        key = instrument.item(trigger.item).key
        if trigger.level == "review" and (row.result["said"].get(key) or 0) >= trigger.at_least:
            times = sum(
                (other.result.get("said", {}).get(key) or 0) >= trigger.at_least
                for other in queries.scores(survey.patient_id, row.instrument)
            )
            if times >= trigger.times:
                codes.append(trigger.code)
    for code in dict.fromkeys(codes):
        words = f"{NAMES[code]}. From the check-in; rule of {instrument.name}, version {instrument.version}."
        _review(survey, f"{code}:survey:{survey.id}", words, by=by)


def _tell_words(survey: Survey, row: Score, *, by: Actor) -> None:
    """Free text is read by a person within one business day."""
    instrument = scoring.load(row.instrument)
    words = [
        row.result["said"][item.key] for item in instrument.items if item.is_text and row.result["said"].get(item.key)
    ]
    if words:
        _review(
            survey, f"words:survey:{survey.id}:{row.instrument}", "\n".join(words), role="nurse", by=by, topic="words"
        )


def _review(
    survey: Survey,
    key: str,
    note: str,
    *,
    by: Actor,
    level: TaskLevel = TaskLevel.ROUTINE,
    role: str = "prescriber",
    topic: str = "",
    course_id: int | None = None,
) -> None:
    subject: dict[str, Any] = {"survey_id": survey.id}
    if topic:
        subject["topic"] = topic
    if course_id is not None:
        subject["course_id"] = course_id
    tasks.open_within_transaction(
        kind=TaskKind.CLINICAL_REVIEW,
        level=level,
        dedupe_key=key,
        for_role=role,
        due_at=_due(survey, level),
        by=by,
        patient_id=survey.patient_id,
        location_id=queries.location_of(survey),
        subject=subject,
        note=note,
    )


def _due(survey: Survey, level: TaskLevel) -> datetime:
    """The same clinic day, or the next one where the clinic is closed; a routine review has a day."""
    now = clock.now()
    if level is TaskLevel.ROUTINE:
        return now + REVIEW_WITHIN
    return safety.due_at(level, now, queries.openings(survey))
