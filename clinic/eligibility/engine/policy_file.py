"""What a policy file may say: ours and a clinic's own are checked by the same table before they are used."""

from collections.abc import Callable, Mapping
from typing import Any

TREATMENTS = ("tms", "esketamine", "ketamine_iv")
CONFIDENCES = ("high", "medium", "low")
WINDOWS = (
    "current_episode",
    "current_episode_at_least_one",
    "lifetime",
    "last_5_years",
    "last_12_months",
    "not_stated",
)
THERAPY = ("required", "required_or_augmentation", "if_available", "not_required")
LEVELS = ("moderate", "moderate_to_severe", "moderately_severe", "severe", "not_stated")
INSTRUMENTS = ("phq9", "hamd", "madrs", "bdi", "qids", "zung")

Check = Callable[[Any], str | None]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _number(low: float, high: float) -> Check:
    def check(value: Any) -> str | None:
        fits = value is None or (_is_number(value) and low <= value <= high)
        return None if fits else f"must be a number from {low:g} to {high:g}, or null for not known"

    return check


def _whole(low: int, high: int) -> Check:
    def check(value: Any) -> str | None:
        fits = value is None or (isinstance(value, int) and not isinstance(value, bool) and low <= value <= high)
        return None if fits else f"must be a whole number from {low} to {high}, or null for not known"

    return check


def _word(*words: str) -> Check:
    def check(value: Any) -> str | None:
        return None if value is None or value in words else f"must be one of {', '.join(words)}, or null for not known"

    return check


def _yes_no(value: Any) -> str | None:
    return None if value is None or isinstance(value, bool) else "must be true or false, or null for not known"


def _text(value: Any) -> str | None:
    return None if value is None or isinstance(value, str) else "must be text"


def _texts(value: Any) -> str | None:
    fits = value is None or (isinstance(value, list) and all(isinstance(each, str) for each in value))
    return None if fits else "must be a list of texts"


def _anything(_value: Any) -> str | None:
    return None


def _age(value: Any) -> str | None:
    if not isinstance(value, Mapping) or set(value) - {"min", "max", "note"}:
        return "must be {min: years, max: years}"
    return _whole(0, 120)(value.get("min")) or _whole(0, 120)(value.get("max"))


def _severity(value: Any) -> str | None:
    known = {"level", "instrument_minimums", "any_one_of", "within_weeks", "note"}
    if not isinstance(value, Mapping) or set(value) - known:
        return "must be {level: word, instrument_minimums: {phq9: points, ...}}"
    minimums = value.get("instrument_minimums")
    if minimums is not None and not isinstance(minimums, Mapping):
        return "instrument_minimums must be {phq9: points, ...}, or null for not known"
    strange = [str(name) for name in minimums or () if name not in INSTRUMENTS]
    if strange:
        return f"instrument_minimums: {strange[0]} is not one of {', '.join(INSTRUMENTS)}"
    points = next((fault for each in (minimums or {}).values() if (fault := _whole(0, 100)(each))), None)
    return points or _word(*LEVELS)(value.get("level"))


# The condition that a person checks by hand, and what only describes the authorization, may be any value.
CRITERIA: dict[str, Check] = {
    "age": _age,
    "diagnosis": _text,
    "severity": _severity,
    "min_failed_antidepressant_trials": _whole(0, 20),
    "min_distinct_classes": _whole(0, 8),
    "classes_named": _texts,
    "trial_min_weeks": _number(0, 52),
    "failure_max_improvement_percent": _number(0, 100),
    "episode_window": _word(*WINDOWS),
    "lookback_years": _number(0, 100),
    "adherence_min_percent": _number(0, 100),
    "intolerance_counts": _yes_no,
    "intolerance_min_agents": _whole(0, 20),
    "intolerance_distinct_side_effects": _yes_no,
    "augmentation_trials_required": _whole(0, 20),
    "augmentation_may_count_as_trial": _yes_no,
    "augmentation_weeks": _number(0, 52),
    "augmentation_list": _texts,
    "psychotherapy": _word(*THERAPY),
    "psychotherapy_types": _texts,
    "oral_antidepressant_required": _yes_no,
    "alternatives_to_drug_trials": _texts,
    "dose_rule": _text,
    "trial_mix": _text,
    "failure_definitions": _texts,
    "oral_antidepressant_stable_weeks": _number(0, 52),
    "oral_antidepressant_must_not_be_a_failed_one": _yes_no,
    "same_criteria_as": _text,
    "prior_use_requires_phq9_reduction_percent": _number(0, 100),
}
DESCRIBED = frozenset(
    [
        "accelerated",
        "authorisation_months",
        "billing",
        "device",
        "devices",
        "documentation",
        "ect_candidate_required",
        "maintenance",
        "max_mg_per_week_induction",
        "mdsi_authorisation_months",
        "measurement",
        "note",
        "ordered_by",
        "pdmp_check",
        "prescriber",
        "psychosis",
        "psychotherapy_window",
        "reauthorisation",
        "rems_required",
        "request_code",
        "retreatment",
        "sessions",
    ]
)
_REQUIRED = ("id", "version", "treatment", "payer", "confidence", "verified", "criteria")
_TOP: dict[str, Check] = {
    "id": _text,
    "version": _text,
    "date": _anything,
    "treatment": _word(*TREATMENTS),
    "payer": _text,
    "policy_number": _text,
    "effective_date": _anything,
    "confidence": _word(*CONFIDENCES),
    "verified": _text,
    "src": _texts,
    "exclusions": _texts,
}
_ALSO = frozenset(
    [
        "adolescent",
        "conflict_note",
        "criteria",
        "currency",
        "effective_date_note",
        "exclusions_note",
        "note",
        "other_indication",
        "prior_authorisation",
        "reviewed",
        "scheduler_note",
        "sources",
        "supersedes",
    ]
)


def problems(table: Any, *, stem: str) -> list[str]:
    """Everything wrong with a policy file, each with where and what to do; empty where it can be used."""
    if not isinstance(table, Mapping):
        return [
            "must be a list of keys with values: start from a copy of one of the policies that come with the program"
        ]
    found = [f"{key}: is missing: add it" for key in _REQUIRED if table.get(key) in (None, "")]
    for key, value in table.items():
        if key in _TOP:
            found += [f"{key}: {fault}" for fault in [_TOP[key](value)] if fault]
        elif key not in _ALSO:
            found.append(f"{key}: unknown key: remove it, or put words for people under note")
    if isinstance(table.get("id"), str) and table["id"] != stem:
        found.append(f"id: is {table['id']!r}, the file is {stem!r}: give both one name")
    criteria = table.get("criteria")
    if criteria is not None and not isinstance(criteria, Mapping):
        return [*found, "criteria: must be a list of keys with values"]
    for key, value in (criteria or {}).items():
        if key in CRITERIA:
            found += [f"criteria.{key}: {fault}" for fault in [CRITERIA[key](value)] if fault]
        elif key not in DESCRIBED and not str(key).endswith(("_note", "_verified")):
            found.append(f"criteria.{key}: unknown criterion: use one of {', '.join(sorted(CRITERIA))}")
    return found
