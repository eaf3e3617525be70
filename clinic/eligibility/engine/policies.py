"""Payer policies: each criterion of a policy file against the record. What a policy leaves open stays unknown."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from clinic.eligibility.engine import drugs, knowledge, logic
from clinic.eligibility.engine.criteria import Finding, Status, Verdict, at_least, decide, psychotherapy_status
from clinic.eligibility.engine.record import IntakeRecord
from clinic.eligibility.engine.rules import RuleSet
from clinic.eligibility.engine.safety import Known
from clinic.eligibility.engine.trials import Facts, Weighed, amount, weigh

CHECK = "not established here: check the policy"


@dataclass(frozen=True)
class Case:
    """What a criterion may look at."""

    record: IntakeRecord
    facts: Sequence[Facts]
    trials: Sequence[Weighed]
    known: Known
    rules: RuleSet
    _weighed: dict[tuple[float, bool], list[Weighed]] = field(default_factory=dict)

    def weighed(self, min_weeks: float, any_episode: bool) -> list[Weighed]:
        """The trials by another least length, or with earlier episodes let in."""
        key = (min_weeks, any_episode)
        if key not in self._weighed:
            self._weighed[key] = weigh(self.facts, self.rules, min_weeks=min_weeks, any_episode=any_episode)
        return self._weighed[key]


@dataclass(frozen=True)
class PolicyResult:
    """A policy's answer; `verified_on` is the day a clinic checked the rules, known only with a database."""

    id: str
    version: str
    verified_on: str | None
    verdict: Verdict
    findings: tuple[Finding, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "version": self.version,
            "verified_on": self.verified_on,
            "verdict": self.verdict,
            "findings": [finding.to_json() for finding in self.findings],
        }


Criterion = Callable[[dict[str, Any], Case, str], list[Finding]]


def _answer(code: str, present: bool | None, wanted: bool, text: str, source: str) -> Finding:
    status: Status = "unknown" if present is None else "met" if present is wanted else "unmet"
    return Finding(code, status, text, source)


# Trials


def _weeks_range(criteria: dict[str, Any]) -> tuple[float, float]:
    """The least weeks asked for; where a policy does not say, every length that is asked anywhere."""
    weeks = criteria.get("trial_min_weeks")
    if weeks is not None:
        return weeks, weeks
    options = knowledge.adequacy()["parameters"]["min_duration_weeks"]["options"]
    return min(options), max(options)


def _failed(row: Weighed, limit: float | None) -> bool:
    """Whether an adequate row is a failure under a percent limit; partial is 25 to 49 percent."""
    return limit is None or limit >= 49 or row.facts.trial.outcome == "none"


@dataclass(frozen=True)
class _Count:
    certain: list[Weighed]
    possible: list[Weighed]


def _windows(window: str | None) -> tuple[bool, bool]:
    """Whether earlier episodes count for sure, and whether they may."""
    if window == "lifetime":
        return True, True
    return False, window not in ("current_episode",)


def _counting(criteria: dict[str, Any], case: Case) -> _Count:
    """Rows that count under the policy for sure, and rows that may; one for each medicine."""
    least, most = _weeks_range(criteria)
    sure_any, may_any = _windows(criteria.get("episode_window"))
    limit = criteria.get("failure_max_improvement_percent")
    strict = case.weighed(most, sure_any)
    loose = case.weighed(least, may_any)
    certain = {row.group: row for row in strict if row.verdict == "adequate" and _failed(row, limit)}
    possible = {
        row.group: row
        for row in loose
        if row.verdict == "undetermined" or (row.verdict == "adequate" and _failed(row, limit))
    }
    possible = certain | {group: row for group, row in possible.items() if group not in certain}
    intolerant = {row.group: row for row in case.trials if row.verdict == "intolerance"}
    counts, agents = criteria.get("intolerance_counts"), criteria.get("intolerance_min_agents") or 1
    if counts is not False and len(intolerant) >= agents:
        possible = intolerant | possible
        if counts and not criteria.get("intolerance_distinct_side_effects"):
            certain = intolerant | certain
    if criteria.get("augmentation_may_count_as_trial"):
        possible = {f"+{row.group}": row for row, _ in _augmentations(case)} | possible
    return _Count(list(certain.values()), list(possible.values()))


def _trial_count(criteria: dict[str, Any], case: Case, source: str) -> list[Finding]:
    if "min_failed_antidepressant_trials" not in criteria and "min_distinct_classes" not in criteria:
        return []
    counting = _counting(criteria, case)
    needed = criteria.get("min_failed_antidepressant_trials")
    certain, possible = len(counting.certain), len(counting.possible)
    rows = tuple(sorted(row.index for row in counting.possible))
    findings = []
    if needed is None:
        findings.append(Finding("failed_trials", "unknown", f"Number of trials {CHECK}.", source, rows))
    else:
        status: Status = "unknown" if case.record.trials is None else at_least(certain, possible, needed)
        text = f"{certain} of {needed} trials count{_weeks_note(criteria)}"
        if possible > certain:
            text += f"; {possible - certain} more may"
        findings.append(Finding("failed_trials", status, f"{text}.", source, rows))
    return [*findings, *_classes(criteria, counting, case, source)]


def _weeks_note(criteria: dict[str, Any]) -> str:
    least, most = _weeks_range(criteria)
    if least == most:
        return f" at {amount(least)} weeks or more"
    return f" (weeks {CHECK}; sure from {amount(most)}, possible from {amount(least)})"


def _classes(criteria: dict[str, Any], counting: _Count, case: Case, source: str) -> list[Finding]:
    needed = criteria.get("min_distinct_classes")
    if "min_distinct_classes" not in criteria:
        return []
    names = sorted({row.facts.drug.payer_class for row in counting.certain if row.facts.drug})
    if needed is None:
        return [Finding("distinct_classes", "unknown", f"Number of classes {CHECK}.", source)]
    most = {row.facts.drug.payer_class if row.facts.drug else f"?{row.index}" for row in counting.possible}
    status: Status = "unknown" if case.record.trials is None else at_least(len(names), len(most), needed)
    text = f"{len(names)} of {needed} classes: {', '.join(names) or 'none'}."
    return [Finding("distinct_classes", status, text, source)]


# Augmentation and psychotherapy


def _augmentations(case: Case) -> list[tuple[Weighed, bool]]:
    """Augmentations in this episode that are long enough or may be, each with whether that is sure."""
    found = []
    for row in case.trials:
        drug, trial = row.facts.drug, row.facts.trial
        is_agent = drug is not None and drug.kind == "augmentation"
        if not (is_agent or trial.role == "add_on") or row.facts.in_episode is False:
            continue
        if trial.purpose not in (None, "depression") or trial.outcome in ("response", "remission"):
            continue
        weeks = (drug.adequate_weeks if drug else None) or 6
        minimum = drug.min_dose if drug and drug.min_dose is not None else math.inf
        if row.facts.at_dose.high < weeks or (minimum < math.inf and row.facts.dose.high < minimum):
            continue
        sure = (
            row.facts.at_dose.low >= weeks
            and row.facts.dose.low >= minimum
            and row.facts.in_episode is True
            and trial.adherence == "good"
            and trial.outcome in ("none", "partial")
            and trial.purpose == "depression"
        )
        found.append((row, sure))
    return found


def _augmentation_status(needed: int, case: Case) -> Status:
    if case.record.trials is None:
        return "unknown"
    rows = _augmentations(case)
    return at_least(len({row.group for row, sure in rows if sure}), len({row.group for row, _ in rows}), needed)


def _augmentation(criteria: dict[str, Any], case: Case, source: str) -> list[Finding]:
    needed = criteria.get("augmentation_trials_required")
    if not needed or criteria.get("psychotherapy") == "required_or_augmentation":
        return []
    text = f"{needed} augmentation {'trial' if needed == 1 else 'trials'} asked for."
    return [Finding("augmentation", _augmentation_status(needed, case), text, source)]


def _psychotherapy(criteria: dict[str, Any], case: Case, source: str) -> list[Finding]:
    if "psychotherapy" not in criteria:
        return []
    wanted = criteria["psychotherapy"]
    if wanted is None:
        return [Finding("psychotherapy", "unknown", f"Psychotherapy {CHECK}.", source)]
    if wanted == "not_required":
        return []
    status = psychotherapy_status(case.record)
    if wanted == "if_available":
        return [Finding("psychotherapy", "info", "Psychotherapy is asked for if it is available.", source)]
    if wanted == "required_or_augmentation":
        other = _augmentation_status(criteria.get("augmentation_trials_required") or 1, case)
        best: Status = "met" if "met" in (status, other) else "unknown" if "unknown" in (status, other) else "unmet"
        return [Finding("psychotherapy_or_augmentation", best, "Psychotherapy or an augmentation.", source)]
    return [Finding("psychotherapy", status, "An adequate course of psychotherapy.", source)]


# The person and the illness


def _age(criteria: dict[str, Any], case: Case, source: str) -> list[Finding]:
    limits = criteria.get("age")
    if limits is None:
        return []
    low, high, age = limits.get("min"), limits.get("max"), case.record.age
    if low is None and high is None:
        return [Finding("age", "unknown", f"Age {CHECK}.", source)]
    text = f"Age {low if low is not None else 'any'} to {high}." if high else f"Age {low} or more."
    inside = None if age is None else (low is None or age >= low) and (high is None or age <= high)
    return [_answer("age", inside, True, text, source)]


def _diagnosis(criteria: dict[str, Any], case: Case, source: str) -> list[Finding]:
    diagnosis = case.known.diagnosis()
    found = [_answer("diagnosis", None if diagnosis is None else diagnosis == "mdd", True, "Major depression.", source)]
    words = str(criteria.get("diagnosis") or "")
    if "without psychosis" in words or "non-psychotic" in words:
        found.append(_answer("no_psychosis", case.known.psychosis_now(), False, "Without psychosis.", source))
    return found


_LEVELS = {"moderate": 3, "moderate_to_severe": 3, "moderately_severe": 4, "severe": 5}
_SEVERITY = {"subsyndromal": 1, "mild": 2, "moderate": 3, "severe_without_psychosis": 5, "severe_with_psychosis": 5}


def _severity(criteria: dict[str, Any], case: Case, source: str) -> list[Finding]:
    wanted = criteria.get("severity")
    if wanted is None or wanted.get("level") == "not_stated":
        return []
    level, minimums = wanted.get("level"), wanted.get("instrument_minimums")
    if level is None and not minimums:
        return [Finding("severity", "unknown", f"Severity {CHECK}.", source)]
    severity = case.record.episode.severity if case.record.episode else None
    by_level = None if severity is None or level is None else _SEVERITY[severity] >= _LEVELS[level]
    if not minimums:
        return [_answer("severity", by_level, True, f"Severity {_words(level)} asked for.", source)]
    scores = {name: _score(case.record, name) for name in minimums}
    answers = [None if total is None else total >= minimums[name] for name, total in scores.items()]
    asked = " or ".join(
        f"{name.upper()} {minimums[name]}{'' if total is None else f' (is {total})'}" for name, total in scores.items()
    )
    text = f"{f'Severity {_words(level)}, ' if level else ''}at least {asked}."
    enough = logic.any_of(answers)
    if by_level is False and enough is None:
        enough = False  # milder than asked for by the clinician's own word
    return [_answer("severity", enough, True, text, source)]


def _words(code: Any) -> str:
    return str(code).replace("_", " ")


_SCORES = {"hamd": "hamd17", "bdi": "bdi2", "qids": "qids_sr16"}


def _score(record: IntakeRecord, name: str) -> int | None:
    """A total by the name that a policy uses."""
    if name == "phq9":
        return _phq9_total(record)
    found: int | None = getattr(record.scores, _SCORES.get(name, name), None)
    return found


def _phq9_total(record: IntakeRecord) -> int | None:
    if record.phq9 is None or None in record.phq9:
        return None
    return sum(answer or 0 for answer in record.phq9)


def _oral(criteria: dict[str, Any], case: Case, source: str) -> list[Finding]:
    if not criteria.get("oral_antidepressant_required"):
        return []
    taking = any(
        row.facts.trial.stopped_reason == "ongoing" and row.facts.drug and row.facts.drug.kind == "antidepressant"
        for row in case.trials
    )
    return [_answer("oral_antidepressant", taking or None, True, "Taking an oral antidepressant.", source)]


_NOT_IN_RECORD = {
    "dose_rule": "Dose rule",
    "trial_mix": "Kinds of trial",
    "lookback_years": "Look-back in years",
    "failure_definitions": "Definition of failure",
    "oral_antidepressant_stable_weeks": "Weeks on a stable oral antidepressant",
    "same_criteria_as": "Criteria shared with",
}


def _by_hand(criteria: dict[str, Any], _case: Case, source: str) -> list[Finding]:
    """Conditions that the record cannot answer."""
    return [
        Finding(key, "unknown", f"{name}: {criteria[key]}. A person checks this.", source)
        for key, name in _NOT_IN_RECORD.items()
        if criteria.get(key)
    ] + [
        Finding("alternative", "info", f"Instead of the trials: {words}.", source)
        for words in criteria.get("alternatives_to_drug_trials") or ()
    ]


CRITERIA: tuple[Criterion, ...] = (
    _age,
    _diagnosis,
    _severity,
    _trial_count,
    _augmentation,
    _psychotherapy,
    _oral,
    _by_hand,
)


# Exclusions


def _head_implant(known: Known) -> bool | None:
    names = ("metal_in_head", "cochlear_implant", "vns_or_dbs", "pacemaker_or_icd")
    answers = [known.fact(name) for name in names]
    return True if True in answers else None if None in answers else False


def _suicidal_now(known: Known) -> bool | None:
    screener = known.record.cssrs
    if screener is None:
        return None
    answers = [screener.intent, screener.plan]
    return True if True in answers else False if screener.thoughts is False or answers == [False, False] else None


_EXCLUSIONS: dict[str, Callable[[Known], bool | None]] = {
    "implanted_device_within_30_cm": _head_implant,
    "metal_in_or_around_head": _head_implant,
    "conductive_ferromagnetic_or_magnetic_sensitive_metal_in_head_within_30_cm": _head_implant,
    "seizure_conditions": lambda known: known.fact("seizure_history"),
    "seizure_disorder": lambda known: known.fact("seizure_history"),
    "psychosis": Known.psychosis_now,
    "psychotic_features": Known.psychosis_now,
    "current_psychotic_symptoms": Known.psychosis_now,
    "schizophrenia": lambda known: False if known.fact("psychosis_history") is False else None,
    "schizoaffective": lambda known: None if known.diagnosis() is None else known.diagnosis() == "schizoaffective",
    "bipolar": Known.bipolar,
    "pregnancy": lambda known: known.fact("pregnant") if known.could_be_pregnant() else bool(known.fact("pregnant")),
    "substance_abuse_last_90_days": Known.substance_use,
    "active_substance_use_disorder": Known.substance_use,
    "untreated_moderate_or_severe_substance_or_alcohol_use_disorder": Known.substance_use,
    "active_suicidality": _suicidal_now,
    "acute_suicidal_ideation_with_intent": _suicidal_now,
    "cerebrovascular_disease": lambda known: known.fact("stroke_or_brain_lesion"),
    "dementia": lambda known: known.fact("stroke_or_brain_lesion"),
    "cns_tumour": lambda known: known.fact("stroke_or_brain_lesion"),
    "raised_icp": lambda known: known.fact("stroke_or_brain_lesion"),
    "severe_head_trauma": lambda known: known.answer("head_injury"),
    "aneurysmal_vascular_disease": Known.aneurysm_or_avm,
    "arteriovenous_malformation": Known.aneurysm_or_avm,
    "avm": Known.aneurysm_or_avm,
    "intracerebral_haemorrhage": lambda known: known.fact("intracerebral_haemorrhage"),
    "intracerebral_haemorrhage_history": lambda known: known.fact("intracerebral_haemorrhage"),
    "hypersensitivity": lambda known: known.answer("hypersensitivity"),
}


def _exclusions(policy: dict[str, Any], case: Case, source: str) -> list[Finding]:
    """Exclusions of the person; exclusions of a kind of treatment inform only."""
    found = []
    for code in policy.get("exclusions") or ():
        words = f"Excluded: {code.replace('_', ' ')}."
        fact = _EXCLUSIONS.get(code)
        if fact is None:
            found.append(Finding(f"exclusion_{code}", "info", words, source))
        else:
            found.append(_answer(f"exclusion_{code}", fact(case.known), False, words, source))
    return found


def evaluate(policy_id: str, case: Case) -> PolicyResult:
    """One policy of the catalogue. Raises KeyError for an unknown id."""
    return evaluate_policy(knowledge.policy(policy_id), case)


def evaluate_policy(policy: dict[str, Any], case: Case, verified_on: str | None = None) -> PolicyResult:
    """A policy in the shape of the catalogue, also one that a clinic entered."""
    number = policy.get("policy_number") or policy["payer"]
    source = f"{number}, in force {policy.get('effective_date') or 'from a date not known'}; confidence {policy['confidence']}"
    criteria = policy["criteria"]
    findings = [finding for criterion in CRITERIA for finding in criterion(criteria, case, source)]
    findings += _exclusions(policy, case, source)
    return PolicyResult(policy["id"], str(policy["version"]), verified_on, decide(findings), tuple(findings))


@cache
def _payer_names() -> dict[str, tuple[str, ...]]:
    """Plain payer name, policy number and id to policy ids."""
    found: dict[str, list[str]] = {}
    for policy_id in knowledge.policy_ids():
        policy = knowledge.policy(policy_id)
        payer = str(policy["payer"])
        short = payer.split("(")[0]
        names = {payer, short, *short.split("/"), policy_id, str(policy.get("policy_number") or "")}
        for name in {drugs.plain(name) for name in names} - {""}:
            found.setdefault(name, []).append(policy_id)
    return {name: tuple(ids) for name, ids in found.items()}


def find_policies(payer: str) -> tuple[str, ...]:
    """Policies of a payer, named by id, policy number or name; empty where none is held."""
    if payer in knowledge.policy_ids():
        return (payer,)
    return _payer_names().get(drugs.plain(payer), ())
