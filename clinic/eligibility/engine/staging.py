"""Staging models of treatment resistance."""

import math
import re
from collections.abc import Sequence
from functools import cache
from typing import Any

from clinic.eligibility.engine import knowledge
from clinic.eligibility.engine.record import IntakeRecord
from clinic.eligibility.engine.trials import Weighed

WEEKS_A_MONTH = 365.25 / 12 / 7
_OPEN_ENDED = re.compile(r"over (\d+)")
_NUMBERS = re.compile(r"\d+")


def _upper(words: str) -> float:
    """The top of `12 or less`, `13 to 24` or `over 24`."""
    return math.inf if _OPEN_ENDED.match(words) else float(_NUMBERS.findall(words)[-1])


@cache
def _model() -> dict[str, Any]:
    found: dict[str, Any] = knowledge.adequacy()["staging_models"]["maudsley_staging_method"]
    return found


@cache
def _steps(item: str, key: str) -> tuple[tuple[float, int], ...]:
    return tuple((_upper(row[key]), row["points"]) for row in _model()["items"][item])


def duration_points(months: float) -> int:
    return next(points for top, points in _steps("duration_of_episode", "months") if months <= top)


def severity_points(severity: str) -> int:
    """Points of a severity category. Raises KeyError."""
    return _severities()[severity]


@cache
def _severities() -> dict[str, int]:
    rows = _model()["items"]["symptom_severity_at_baseline"]
    return {row["category"]: int(row["points"]) for row in rows}


def antidepressant_points(failed: int) -> int | None:
    """Points for failed antidepressants; None for none, where the model does not apply."""
    if failed < 1:
        return None
    steps = _steps("antidepressant_failures_in_episode", "count")
    return next(points for top, points in steps if failed <= top)


def maudsley(
    *,
    duration_months: float | None,
    severity: str | None,
    failed_antidepressants: int | None,
    augmentation_used: bool | None,
    ect_used: bool | None,
) -> dict[str, Any]:
    """Maudsley Staging Method, 3 to 15. Score null with `missing`, or with `reason` where nothing failed yet."""
    items = _model()["items"]
    points = {
        "duration": None if duration_months is None else duration_points(duration_months),
        "severity": None if severity is None else severity_points(severity),
        "antidepressants": None if failed_antidepressants is None else antidepressant_points(failed_antidepressants),
        "augmentation": None
        if augmentation_used is None
        else items["augmentation_used"]["used" if augmentation_used else "not_used"],
        "ect": None if ect_used is None else items["ect_used"]["used" if ect_used else "not_used"],
    }
    given = {
        "duration_months": duration_months,
        "severity": severity,
        "failed_antidepressants": failed_antidepressants,
        "augmentation_used": augmentation_used,
        "ect_used": ect_used,
    }
    missing = [name for name, value in given.items() if value is None]
    if missing or failed_antidepressants == 0:
        answer: dict[str, Any] = {"score": None, "band": None, "points": points}
        if failed_antidepressants == 0:
            answer["reason"] = "not_applicable: no failed antidepressant"
        return answer | ({"missing": missing} if missing else {})
    score = sum(each for each in points.values() if each is not None)
    band = next(name for name, (low, high) in _model()["bands"].items() if low <= score <= high)
    return {"score": score, "band": band, "points": points}


def _augmented(record: IntakeRecord, trials: Sequence[Weighed]) -> bool | None:
    """Whether an augmentation was used in this episode."""
    if record.trials is None:
        return None
    unsure = False
    for row in trials:
        drug, trial = row.facts.drug, row.facts.trial
        if trial.purpose not in (None, "depression"):
            continue
        if (drug is not None and drug.kind == "augmentation") or trial.role == "add_on":
            if row.facts.in_episode:
                return True
            unsure = unsure or row.facts.in_episode is None
    return None if unsure else False


@cache
def _source() -> str:
    return f"trial_adequacy.maudsley_staging_method: {', '.join(_model()['src'])}; {_model()['verified']}"


def stage(record: IntakeRecord, trials: Sequence[Weighed], adequate: int, possible: int) -> dict[str, Any]:
    """The staging part of an assessment: the Maudsley stage, or null and what is missing for it."""
    episode = record.episode
    weeks = episode.onset_weeks_ago if episode else None
    open_count = record.trials is None or (
        antidepressant_points(adequate) != antidepressant_points(possible) and possible > 0
    )
    result = maudsley(
        duration_months=None if weeks is None else weeks / WEEKS_A_MONTH,
        severity=episode.severity if episode else None,
        failed_antidepressants=None if open_count else adequate,
        augmentation_used=_augmented(record, trials),
        ect_used=episode.ect_used if episode else None,
    )
    fields = {
        "duration_months": "episode.onset_weeks_ago",
        "severity": "episode.severity",
        "failed_antidepressants": "trials",
        "augmentation_used": "trials",
        "ect_used": "episode.ect_used",
    }
    missing = list(dict.fromkeys(fields[name] for name in result.get("missing", ())))
    score = result["score"]
    found: dict[str, Any] = {
        "maudsley": None if score is None else {"score": score, "band": result["band"], "points": result["points"]},
        "missing": missing,
        "source": _source(),
    }
    if "reason" in result:
        found["not_applicable"] = "no adequate trial yet"
    return found
