"""Words for the values of a record and of an answer, as staff read them. Pure."""

import re
from collections.abc import Mapping
from datetime import date
from typing import Any

TRIAL_WORDS = {
    "adequate": "counts",
    "inadequate_dose": "does not count",
    "inadequate_duration": "does not count",
    "inadequate_adherence": "does not count",
    "intolerance": "does not count (side effects)",
    "responded": "does not count",
    "not_counted": "does not count",
    "duplicate": "same medicine, counted once",
    "undetermined": "can't tell",
}
TRD_WORDS = {"met": "met", "not_met": "not met", "undetermined": "can't tell yet"}
VERDICT_WORDS = {
    "likely_eligible": "likely eligible",
    "not_yet": "not yet",
    "needs_review": "needs review",
    "contraindicated": "contraindicated",
}
TREATMENTS = {"tms": "TMS", "esketamine": "Esketamine", "iv_ketamine": "IV ketamine"}
DIAGNOSES = {
    "mdd": "Major depressive disorder",
    "bipolar_1": "Bipolar I disorder",
    "bipolar_2": "Bipolar II disorder",
    "dysthymia": "Persistent depressive disorder",
    "schizoaffective": "Schizoaffective disorder",
    "unknown": "Not known",
}
SEVERITIES = {
    "subsyndromal": "Below the threshold",
    "mild": "Mild",
    "moderate": "Moderate",
    "severe_without_psychosis": "Severe, without psychosis",
    "severe_with_psychosis": "Severe, with psychosis",
}
OUTCOMES = {
    "none": "No change",
    "partial": "Partial",
    "response": "Helped well",
    "remission": "Symptoms gone",
    "lost_response": "Lost response",
    "unknown": "Not known",
}
STOPPED = {
    "inefficacy": "it did not help enough",
    "side_effects": "side effects",
    "cost": "cost",
    "other": "another reason",
    "ongoing": "still taking it",
    "unknown": "not known",
}
CLASSES = {
    "ssri": "SSRI",
    "snri": "SNRI",
    "ndri": "NDRI",
    "tca": "TCA",
    "maoi": "MAOI",
    "sari": "SARI",
    "nassa_tetracyclic": "NaSSA",
    "tetracyclic": "Tetracyclic",
    "5ht1a_agonist": "5-HT1A agonist",
    "nmda_antagonist": "NMDA antagonist",
    "nmda_ndri_combination": "NMDA and NDRI",
    "neurosteroid_gaba_a": "Neurosteroid",
    "second_generation_antipsychotic": "Antipsychotic",
    "second_generation_antipsychotic_combination": "Antipsychotic and SSRI",
    "non_us_antidepressant": "Not sold in the US",
    "not_an_antidepressant_trial": "No antidepressant",
}
DOCUMENTS = {
    "pharmacy": "Pharmacy record",
    "chart": "Chart",
    "letter": "Letter of a prescriber",
    "patient": "Patient's own words",
}

_SHORT = re.compile(
    r"\b(ssri|snri|ndri|tca|maoi|sari|trd|iv|rems|tms|ect|vns|dbs|mri|icp|cns|avm|mdd|fda|cbt|dbt|ipt|mert|saint)\b"
)
_SEVERITY = re.compile(r"^Severity (.+) asked for\.")
_LONG_WEEKS = re.compile(r"\d+\.\d{2,}(?= weeks)")  # days as sevenths


def span(value: Any) -> str:
    """`6`, or `4 to 7` for a range; empty where nothing is known."""
    if value is None:
        return ""
    return f"{value[0]:g} to {value[1]:g}" if isinstance(value, list | tuple) else f"{value:g}"


def weeks(value: Any) -> str:
    """`1 week`, `4 to 7 weeks`; empty where nothing is known."""
    words = span(value)
    return f"{words} week{'' if words == '1' else 's'}" if words else ""


def sentence(text: str) -> str:
    """With a capital at its start."""
    return f"{text[:1].upper()}{text[1:]}"


def within(text: str) -> str:
    """A name inside a sentence: `esketamine`, and `TMS` as it is."""
    return f"{text[:1].lower()}{text[1:]}" if text[1:].islower() else text


def listed(items: list[str]) -> str:
    """`a, b and c`."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}" if items else ""


def drug_class(key: str | None) -> str:
    """The class of a medicine, as it is written."""
    return CLASSES.get(key or "", sentence((key or "").replace("_", " ")))


def code(text: str) -> str:
    """`exclusion_raised_icp` as words."""
    return sentence(plain(text))


def plain(text: str) -> str:
    """`raised_icp` in the middle of a sentence: `raised ICP`."""
    return _SHORT.sub(lambda short: short[0].upper(), text.replace("_", " "))


def finding(text: str) -> str:
    """What the engine found about a criterion, as staff and payers read it."""
    short = _LONG_WEEKS.sub(lambda weeks: f"{float(weeks[0]):.1f}", plain(text))
    return _SEVERITY.sub(lambda level: f"Severity asked for: {level[1]}.", short)


def partial_day(text: Any) -> str:
    """`2024`, `March 2024` or `Mar 5, 2024` of a date that may be known in part; empty where it is not."""
    if not text:
        return ""
    parts = [int(part) for part in str(text).split("-")]
    if len(parts) == 1:
        return str(parts[0])
    day = date(parts[0], parts[1], parts[2] if len(parts) > 2 else 1)
    return f"{day:%b} {day.day}, {day.year}" if len(parts) > 2 else f"{day:%B} {day.year}"


def medicine(trial: Mapping[str, Any]) -> str:
    """The name of a judged row: the ingredient, or what was written."""
    name = (trial.get("ingredient") or trial.get("entered") or "a medicine without a name").replace("_", " ")
    return sentence(str(name))


def phq9(record: Mapping[str, Any]) -> str:
    """`18 of 27`; empty where an item is missing."""
    items = record.get("phq9") or []
    return f"{sum(items)} of 27" if len(items) == 9 and None not in items else ""
