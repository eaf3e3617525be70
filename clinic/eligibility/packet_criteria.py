"""A policy's criteria in a packet, each with the facts behind it and the holes in them. Pure."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from clinic.eligibility import packet_words as words
from clinic.eligibility import words as shown_as
from clinic.eligibility.packet_maker import MANAGER, NURSE, PRESCRIBER, Maker, shown_value
from clinic.eligibility.packet_parts import (
    CriterionLine,
    Source,
)

# Facts behind a criterion, by its code; those of trials and exclusions are found apart.
_CRITERION_PATHS: dict[str, tuple[str, ...]] = {
    "age": ("age",),
    "diagnosis": ("episode.diagnosis",),
    "no_psychosis": ("episode.psychotic_features",),
    "severity": ("episode.severity", "phq9"),
    "psychotherapy": ("psychotherapy",),
}
_TRIAL_CODES = (
    "failed_trials",
    "distinct_classes",
    "augmentation",
    "psychotherapy_or_augmentation",
    "oral_antidepressant",
)
_EXCLUSION_PATHS: dict[str, tuple[str, ...]] = {
    "implanted_device_within_30_cm": ("metal_in_head", "cochlear_implant", "vns_or_dbs", "pacemaker_or_icd"),
    "seizure_conditions": ("seizure_history",),
    "seizure_disorder": ("seizure_history",),
    "pregnancy": ("pregnant",),
    "severe_head_trauma": ("head_injury",),
    "hypersensitivity": ("hypersensitivity",),
    "intracerebral_haemorrhage": ("intracerebral_haemorrhage",),
    "intracerebral_haemorrhage_history": ("intracerebral_haemorrhage",),
}
_EXCLUSION_PATHS |= dict.fromkeys(
    ("metal_in_or_around_head", "conductive_ferromagnetic_or_magnetic_sensitive_metal_in_head_within_30_cm"),
    _EXCLUSION_PATHS["implanted_device_within_30_cm"],
)
_EXCLUSION_PATHS |= dict.fromkeys(
    ("cerebrovascular_disease", "dementia", "cns_tumour", "raised_icp"), ("stroke_or_brain_lesion",)
)
_EXCLUSION_PATHS |= dict.fromkeys(
    ("aneurysmal_vascular_disease", "arteriovenous_malformation", "avm"), ("aneurysm_or_avm",)
)
_EXCLUSION_PATHS |= dict.fromkeys(
    (
        "substance_abuse_last_90_days",
        "active_substance_use_disorder",
        "untreated_moderate_or_severe_substance_or_alcohol_use_disorder",
    ),
    ("current_substance_use",),
)
_EXCLUSION_ELSEWHERE: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("psychosis", "psychotic_features", "current_psychotic_symptoms"), ("episode.psychotic_features",)),
    **dict.fromkeys(("schizophrenia",), ("safety.psychosis_history",)),
    **dict.fromkeys(("schizoaffective", "bipolar"), ("episode.diagnosis",)),
    **dict.fromkeys(("active_suicidality", "acute_suicidal_ideation_with_intent"), ("cssrs",)),
}
_RULE_WORDS = {
    "age": "which ages",
    "severity": "how severe the episode has to be",
    "failed_trials": "how many medicines, and for how many weeks",
    "distinct_classes": "how many classes of medicine",
    "psychotherapy": "whether psychotherapy is asked for",
}
_NOT_HELD = re.compile(r" \([^()]*not established here[^()]*\)")
_PATH_WORDS = {
    "age": "Age",
    "episode.diagnosis": "The diagnosis of this episode",
    "episode.severity": "The severity of this episode",
    "episode.psychotic_features": "Whether there are psychotic features now",
    "phq9": "A scored depression scale, such as the PHQ-9",
    "psychotherapy": "Psychotherapy: kind and sessions",
    "cssrs": "The suicide screener (C-SSRS)",
    "trials": "The medicines that were tried",
    "safety.psychosis_history": "Psychosis, ever",
}


def _asked(finding: Mapping[str, Any]) -> str:
    text = shown_as.finding(_NOT_HELD.sub("", str(finding["text"])))
    return f"Exclusion: {text.removeprefix('Excluded: ')}" if finding["code"].startswith("exclusion_") else text


def _answer(code: str, status: str) -> str:
    """An exclusion is met where it does not apply: said so, a reader has not to think twice."""
    if status == "unknown":
        return "Not on record"
    if code.startswith("exclusion_"):
        return "Does not apply" if status == "met" else "Applies"
    return "Met" if status == "met" else "Not met"


def criteria(maker: Maker) -> tuple[CriterionLine, ...]:
    findings = [each for each in maker.facts.evaluation["findings"] if each["status"] != "info"]
    lines = [_criterion(maker, each) for each in findings]
    codes = {each["code"] for each in findings}
    return tuple(lines + [_by_hand(maker, key) for key in words.BY_HAND if _is_asked(maker, key) and key not in codes])


def _criterion(maker: Maker, finding: Mapping[str, Any]) -> CriterionLine:
    code, status = finding["code"], finding["status"]
    paths = _paths(maker, finding)
    if status == "unknown":
        holes = tuple(_holes_of(maker, finding, paths))
        private = any(words.is_private(path) for path in paths)
        return CriterionLine(code, _asked(finding), status, _answer(code, status), holes=holes, is_private=private)
    sources = [each for path in paths for each in _behind(maker, path) if each.shown]
    rule = Source(f"assessments.{maker.facts.assessment_id}", f"{code}: {status}", f"Rule check, {finding['source']}")
    made = maker.state(f"{_asked(finding)} {_answer(code, status)}.", [*sources, rule])
    return CriterionLine(code, _asked(finding), status, _answer(code, status), made.id, is_private=made.is_private)


def _paths(maker: Maker, finding: Mapping[str, Any]) -> tuple[str, ...]:
    code = finding["code"]
    if finding.get("trials"):
        return tuple(f"trials[{index}]" for index in finding["trials"])
    if code in _TRIAL_CODES:
        return ("trials",)
    if code.startswith("exclusion_"):
        name = code.removeprefix("exclusion_")
        safety = tuple(f"safety.{each}" for each in _EXCLUSION_PATHS.get(name, ()))
        return safety or _EXCLUSION_ELSEWHERE.get(name, ())
    return _CRITERION_PATHS.get(code, ())


def _behind(maker: Maker, path: str) -> list[Source]:
    """The fact at a path; of medicines the statement that their row is."""
    if not path.startswith("trials"):
        return [Source(path, shown_value(path, _value(maker, path)), maker.facts.origin(path))]
    rows = [row for row in maker.rows if path in ("trials", f"trials[{row.number - 1}]")]
    return [
        Source(f"trials[{row.number - 1}]", f"Medicine {row.number}, see {row.ref}", "The table of medicines")
        for row in rows
    ]


def _value(maker: Maker, path: str) -> Any:
    if path.startswith("trials["):
        index = int(path[len("trials[") : -1])
        trials = maker.facts.record.get("trials") or []
        return trials[index] if index < len(trials) else None
    return maker.at(path)


def _holes_of(maker: Maker, finding: Mapping[str, Any], paths: Sequence[str]) -> Iterable[str]:
    code = finding["code"]
    if finding.get("trials") or code in _TRIAL_CODES:
        rows = [row.hole for row in maker.rows if row.hole]
        rows += [hole.id for key, hole in maker.holes.items() if key == "trials"]
        if rows:
            return dict.fromkeys(rows)
    if "check the policy" in finding["text"] or "not established" in finding["text"]:
        return [
            maker.hole(
                f"policy:{maker.facts.policy['id']}:{code}",
                f"The policy's own rule: {_RULE_WORDS.get(code, code.replace('_', ' '))}",
                "Our file of this policy does not say it.",
                "Whoever checks the policy, in the payer's own text",
                MANAGER,
            )
        ]
    missing = [path for path in paths if _value(maker, path) is None]
    if missing and not finding.get("trials"):
        return [_asked_for(maker, path) for path in missing]
    because = "The record cannot answer it."
    text = finding["text"].removesuffix(" A person checks this.").removesuffix(".")
    return [maker.hole(f"check:{maker.facts.policy['id']}:{code}", text, because, "A prescriber", PRESCRIBER)]


def _asked_for(maker: Maker, path: str) -> str:
    label = (
        words.safety_label(path.removeprefix("safety.")) if path.startswith("safety.") else _PATH_WORDS.get(path, path)
    )
    role = PRESCRIBER if path.startswith("episode.") else NURSE
    filled_by = "A prescriber" if role == PRESCRIBER else "The patient"
    what = f"Safety answer: {label}" if path.startswith("safety.") else label
    return maker.missing(path, what, filled_by, role, "The policy asks for it.")


def _is_asked(maker: Maker, key: str) -> bool:
    return bool(maker.facts.policy["criteria"].get(key))


def _by_hand(maker: Maker, key: str) -> CriterionLine:
    """What the policy file asks for in words, and no fact of the record can show."""
    asked = maker.facts.policy["criteria"][key]
    label = words.BY_HAND[key]
    text = f"{label}." if asked is True else f"{label}: {asked}."
    because = "The policy asks for it; the record cannot show it."
    key_of = f"check:{maker.facts.policy['id']}:{key}"
    hole = maker.hole(key_of, text.removesuffix("."), because, "A prescriber", PRESCRIBER)
    return CriterionLine(key, text, "unknown", _answer(key, "unknown"), holes=(hole,))
