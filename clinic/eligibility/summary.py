"""The evaluation that a signature covers, drawn up from an assessment for the prescriber to read and change. Pure."""

from collections.abc import Mapping
from typing import Any

from clinic.eligibility import words
from clinic.eligibility.models import Assessment

LISTED = 6  # open questions that are written out


def evaluation(assessment: Assessment) -> str:
    """What this assessment says, a line a topic. Nothing in it is not in the record or in the answer."""
    result, record = assessment.result or {}, assessment.record or {}
    if not result:
        return ""
    day, rules = result.get("as_of") or "a day not recorded", result["ruleset"]
    lines = [
        f"Basis: history as of {day}, rules {rules['id']} version {rules['version']}.",
        *_illness(record),
        _history(result),
        *(_trial(given, judged) for given, judged in zip(record.get("trials") or [], result["trials"], strict=False)),
        *(_treatment(key, name, result) for key, name in words.TREATMENTS.items()),
        _staging(result.get("staging") or {}),
        _missing(result),
    ]
    return "\n".join(line for line in lines if line)


def _illness(record: Mapping[str, Any]) -> list[str]:
    episode = record.get("episode") or {}
    onset = episode.get("onset_weeks_ago")
    facts = [
        words.DIAGNOSES[episode["diagnosis"]] if episode.get("diagnosis") else "Diagnosis not recorded",
        f"episode for {words.weeks(onset)}" if onset is not None else "start of the episode not recorded",
        f"severity {words.SEVERITIES[episode['severity']].lower()}"
        if episode.get("severity")
        else "severity not recorded",
    ]
    total = words.phq9(record)
    return [f"{'; '.join(facts)}.", f"PHQ-9 {total}." if total else "PHQ-9 not complete."]


def _history(result: Mapping[str, Any]) -> str:
    found = result["trd"]
    count = next((each["text"] for each in found["findings"] if each["code"] == "adequate_trials"), "")
    return f"Treatment-resistant depression, clinical definition: {words.TRD_WORDS[found['verdict']]}. {count}".strip()


def _trial(given: Mapping[str, Any], judged: Mapping[str, Any]) -> str:
    dose, held = words.span(given.get("dose_mg_per_day")), words.weeks(given.get("weeks_at_dose") or given.get("weeks"))
    facts = [
        f"{dose} mg" if dose else "dose not known",
        held or "weeks not known",
        words.OUTCOMES[given.get("outcome") or "unknown"].lower(),
    ]
    return f"- {words.medicine(judged)}: {', '.join(facts)}; {words.TRIAL_WORDS[judged['verdict']]}."


def _treatment(key: str, name: str, result: Mapping[str, Any]) -> str:
    path = result["pathways"][key]
    against = [each["text"] for each in path["findings"] if each["kind"] in ("contraindication", "precaution")]
    said = f"{name}: {words.VERDICT_WORDS[path['verdict']]}."
    return f"{said} {' '.join(against)}".strip()


def _staging(staging: Mapping[str, Any]) -> str:
    found = staging.get("maudsley")
    return f"Maudsley stage: {found['score']}, {found['band']}." if found else ""


def _missing(result: Mapping[str, Any]) -> str:
    questions = [each["question"] for each in result["ask"]]
    if not questions:
        return "Nothing that could change a verdict is missing."
    more = f" And {len(questions) - LISTED} more." if len(questions) > LISTED else ""
    return f"Not known: {' '.join(questions[:LISTED])}{more}"
