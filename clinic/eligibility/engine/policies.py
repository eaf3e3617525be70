"""Payer policies: each criterion of a policy file against the record. What a policy leaves open stays unknown."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from clinic.eligibility.engine import drugs, knowledge, logic, together
from clinic.eligibility.engine.criteria import Finding, Status, Verdict, at_least, decide, psychotherapy_answer, status
from clinic.eligibility.engine.record import IntakeRecord, partial_date
from clinic.eligibility.engine.rules import RuleSet
from clinic.eligibility.engine.safety import Known
from clinic.eligibility.engine.together import Augmentation
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
    _added: dict[float | None, list[Augmentation]] = field(default_factory=dict)
    _counted: dict[int, "_Count"] = field(default_factory=dict)

    def weighed(self, min_weeks: float, any_episode: bool) -> list[Weighed]:
        """The trials by another least length, or with earlier episodes let in."""
        key = (min_weeks, any_episode)
        if key not in self._weighed:
            self._weighed[key] = weigh(
                self.facts, self.rules, min_weeks=min_weeks, any_episode=any_episode, known=self.trials
            )
        return self._weighed[key]

    def counting(self, criteria: dict[str, Any]) -> "_Count":
        """What counts under a policy's criteria, worked out once for all of them."""
        found = self._counted.get(id(criteria))
        if found is None:
            found = self._counted[id(criteria)] = _counting(criteria, self)
        return found

    def augmentations(self, weeks: float | None = None) -> list[Augmentation]:
        """Every add-on, judged by a policy's own weeks or the agent's."""
        if weeks not in self._added:
            self._added[weeks] = together.augmentations(self.trials, weeks)
        return self._added[weeks]


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


def _failed(row: Weighed, limit: float | None) -> bool | None:
    """Whether an adequate row is a failure under a percent limit; partial is 25 to 49 percent."""
    if limit is None:
        return True
    percent = row.facts.trial.improvement_percent
    if percent is not None:
        return logic.same_for_all(percent.low <= limit, percent.high <= limit)
    return limit >= 49 or row.facts.outcome == "none"


_YEARS = {"last_5_years": 5.0, "last_12_months": 1.0}


def _years_back(criteria: dict[str, Any]) -> float | None:
    """How far back a policy looks, where it looks at the calendar."""
    found: float | None = criteria.get("lookback_years")
    return found or _YEARS.get(criteria.get("episode_window") or "")


def _recent(row: Weighed, years: float | None, case: Case) -> bool | None:
    """Whether a row was still taken within so many years before the day of the record."""
    trial, as_of = row.facts.trial, row.facts.as_of
    if years is None or trial.stopped_reason == "ongoing":
        return True
    if as_of is None:
        return None
    first_day = as_of.toordinal() - years * 365.25
    if trial.stopped_on is not None:
        first, last = partial_date(trial.stopped_on)
        return logic.same_for_all(first.toordinal() >= first_day, last.toordinal() >= first_day)
    weeks = case.record.episode.onset_weeks_ago if case.record.episode else None
    if row.facts.in_episode and weeks is not None and weeks * 7 <= years * 365.25:
        return True
    return None


@dataclass(frozen=True)
class _Count:
    """Rows that count for sure and rows that may, one for each medicine; `once` are rows less for combinations."""

    certain: list[Weighed]
    possible: list[Weighed]
    least: int
    most: int


def _windows(window: str | None) -> tuple[bool, bool]:
    """Whether earlier episodes count for sure, and whether they may."""
    if window in ("lifetime", "current_episode_at_least_one", *_YEARS):
        return True, True
    return False, window != "current_episode"


def _counting(criteria: dict[str, Any], case: Case) -> _Count:
    """What counts under the policy for sure, and what may."""
    least, most = _weeks_range(criteria)
    sure_any, may_any = _windows(criteria.get("episode_window"))
    limit, years = criteria.get("failure_max_improvement_percent"), _years_back(criteria)
    strict, loose = case.weighed(most, sure_any), case.weighed(least, may_any)
    sure = [row for row in strict if row.verdict == "adequate" and _failed(row, limit) and _recent(row, years, case)]
    may = [
        row
        for row in loose
        if (row.verdict == "undetermined" or (row.verdict == "adequate" and _failed(row, limit) is not False))
        and _recent(row, years, case) is not False
    ]
    certain = {row.group: row for row in sure}
    possible = certain | {row.group: row for row in may if row.group not in certain}
    fewer, fewer_at_most = _joined(strict, certain, most, case), _joined(loose, possible, least, case)
    tolerated, maybe = _intolerances(criteria, case)
    certain, possible = tolerated | certain, maybe | possible
    if criteria.get("augmentation_may_count_as_trial"):
        added = {f"+{case.trials[each.index].group}": each for each in _augmentations(criteria, case)}
        possible = {key: case.trials[each.index] for key, each in added.items()} | possible
    low = len(certain) - fewer
    return _Count(list(certain.values()), list(possible.values()), low, max(low, len(possible) - fewer_at_most))


def _joined(rows: Sequence[Weighed], counted: dict[str, Weighed], weeks: float, case: Case) -> int:
    """How many of the counted medicines are the second of a combination that counts once."""
    mine = [row for row in rows if row.group in counted and row.own.verdict == "adequate"]
    if not case.rules.combination_counts_once or len(mine) < 2:
        return 0
    pairs = together.combinations(mine, weeks)
    return len({row.group for row in mine}) - together.count(mine, pairs) if pairs else 0


def _intolerances(criteria: dict[str, Any], case: Case) -> tuple[dict[str, Weighed], dict[str, Weighed]]:
    """Medicines stopped early for side effects that stand in for failures: for sure, and perhaps."""
    counts, agents = criteria.get("intolerance_counts"), criteria.get("intolerance_min_agents") or 1
    found = {row.group: row for row in case.trials if row.verdict == "intolerance"}
    if counts is False or len(found) < agents:
        return {}, {}
    certain = found
    if criteria.get("intolerance_distinct_side_effects"):
        effects = {drugs.plain(row.facts.trial.side_effect or ""): group for group, row in found.items()}
        effects.pop("", None)
        certain = {group: found[group] for group in sorted(effects.values())}
        unsaid = {group: row for group, row in found.items() if not (row.facts.trial.side_effect or "").strip()}
        found = certain | unsaid
        if len(found) < agents:
            return {}, {}
    return (certain if counts and len(certain) >= agents else {}), found


def _failed_trials(criteria: dict[str, Any], case: Case, source: str) -> list[Finding]:
    if "min_failed_antidepressant_trials" not in criteria:
        return []
    counting = case.counting(criteria)
    needed = criteria["min_failed_antidepressant_trials"]
    rows = tuple(sorted({row.index for row in counting.possible}))
    if needed is None:
        return [Finding("failed_trials", "unknown", f"Number of trials {CHECK}.", source, rows)]
    status: Status = "unknown" if case.record.trials is None else at_least(counting.least, counting.most, needed)
    text = f"{counting.least} of {needed} trials count{_weeks_note(criteria)}"
    if counting.most > counting.least:
        text += f"; {counting.most - counting.least} more may"
    return [Finding("failed_trials", status, f"{text}.", source, rows)]


def _weeks_note(criteria: dict[str, Any]) -> str:
    least, most = _weeks_range(criteria)
    if least == most:
        return f" at {amount(least)} weeks or more"
    return f" (weeks {CHECK}; sure from {amount(most)}, possible from {amount(least)})"


def _distinct_classes(criteria: dict[str, Any], case: Case, source: str) -> list[Finding]:
    if "min_distinct_classes" not in criteria:
        return []
    needed = criteria["min_distinct_classes"]
    if needed is None:
        return [Finding("distinct_classes", "unknown", f"Number of classes {CHECK}.", source)]
    counting, named = case.counting(criteria), criteria.get("classes_named")
    names = sorted({row.facts.drug.payer_class for row in counting.certain if _is_named(row, named)})  # type: ignore[union-attr]
    most = {row.facts.drug.payer_class if row.facts.drug else f"?{row.index}" for row in counting.possible}
    status: Status = "unknown" if case.record.trials is None else at_least(len(names), len(most), needed)
    text = f"{len(names)} of {needed} classes: {', '.join(names) or 'none'}."
    return [Finding("distinct_classes", status, text, source)]


def _is_named(row: Weighed, named: Sequence[str] | None) -> bool:
    """Whether the class or the medicine is among those that a policy names; all are where it names none."""
    drug = row.facts.drug
    return drug is not None and (named is None or drug.payer_class in named or drug.id in named)


def _one_in_episode(criteria: dict[str, Any], case: Case, source: str) -> list[Finding]:
    if criteria.get("episode_window") != "current_episode_at_least_one":
        return []
    counting = case.counting(criteria)
    certain = sum(1 for row in counting.certain if row.facts.in_episode)
    possible = sum(1 for row in counting.possible if row.facts.in_episode is not False)
    status: Status = "unknown" if case.record.trials is None else at_least(certain, possible, 1)
    return [Finding("one_in_episode", status, "At least one of them in the current episode.", source)]


def _dose_rule(criteria: dict[str, Any], case: Case, source: str) -> list[Finding]:
    """The highest labeled dose settles it; below it only a person knows what was tolerated."""
    rule = criteria.get("dose_rule")
    if not rule:
        return []
    needed = criteria.get("min_failed_antidepressant_trials") or 1
    at_most = [row for row in case.counting(criteria).certain if _at_label_maximum(row)]
    status: Status = "met" if len(at_most) >= needed else "unknown"
    text = f"Dose: {rule}. {len(at_most)} at the highest labeled dose; a person checks the others."
    return [Finding("dose_rule", status, text, source, tuple(row.index for row in at_most))]


def _at_label_maximum(row: Weighed) -> bool:
    most = row.facts.max_dose
    return most is not None and row.facts.dose.low >= most - 1e-9


# Augmentation and psychotherapy


def _augmentations(criteria: dict[str, Any], case: Case) -> list[Augmentation]:
    """Augmentations that are adequate under the policy or may be, of the kinds that it lists."""
    kinds = criteria.get("augmentation_list")
    return [
        each
        for each in case.augmentations(criteria.get("augmentation_weeks"))
        if each.counts is not False and (kinds is None or each.agent_class in kinds or each.agent in kinds)
    ]


def _augmentation_answer(needed: int, criteria: dict[str, Any], case: Case) -> bool | None:
    if case.record.trials is None:
        return None
    rows = _augmentations(criteria, case)
    certain = {case.trials[each.index].group for each in rows if each.counts}
    possible = {case.trials[each.index].group for each in rows}
    return logic.at_least(len(certain), len(possible), needed)


def _augmentation(criteria: dict[str, Any], case: Case, source: str) -> list[Finding]:
    needed = criteria.get("augmentation_trials_required")
    if not needed or criteria.get("psychotherapy") == "required_or_augmentation":
        return []
    text = f"{needed} augmentation {'trial' if needed == 1 else 'trials'} asked for."
    rows = tuple(each.index for each in _augmentations(criteria, case))
    return [Finding("augmentation", status(_augmentation_answer(needed, criteria, case)), text, source, rows)]


def _psychotherapy(criteria: dict[str, Any], case: Case, source: str) -> list[Finding]:
    if "psychotherapy" not in criteria:
        return []
    wanted = criteria["psychotherapy"]
    if wanted is None:
        return [Finding("psychotherapy", "unknown", f"Psychotherapy {CHECK}.", source)]
    if wanted == "not_required":
        return []
    answer = psychotherapy_answer(case.record, criteria.get("psychotherapy_types"))
    if wanted == "if_available":
        return [Finding("psychotherapy", "info", "Psychotherapy is asked for if it is available.", source)]
    if wanted == "required_or_augmentation":
        other = _augmentation_answer(criteria.get("augmentation_trials_required") or 1, criteria, case)
        either = status(logic.any_of([answer, other]))
        return [Finding("psychotherapy_or_augmentation", either, "Psychotherapy or an augmentation.", source)]
    return [Finding("psychotherapy", status(answer), "An adequate course of psychotherapy.", source)]


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


SCORES = {"hamd": "hamd17", "bdi": "bdi2", "qids": "qids_sr16"}


def _score(record: IntakeRecord, name: str) -> int | None:
    """A total by the name that a policy uses."""
    if name == "phq9":
        return _phq9_total(record)
    found: int | None = getattr(record.scores, SCORES.get(name, name), None)
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
    "trial_mix": "Kinds of trial",
    "failure_definitions": "Definition of failure",
    "oral_antidepressant_stable_weeks": "Weeks on a stable oral antidepressant",
    "oral_antidepressant_must_not_be_a_failed_one": "Oral antidepressant other than a failed one",
    "same_criteria_as": "Criteria shared with",
}


def _by_hand(criteria: dict[str, Any], _case: Case, source: str) -> list[Finding]:
    """Conditions that the record cannot answer."""
    return [
        Finding(key, "unknown", f"{name}: {_said(criteria[key])}. A person checks this.", source)
        for key, name in _NOT_IN_RECORD.items()
        if criteria.get(key)
    ]


def _said(value: Any) -> str:
    return "; ".join(value) if isinstance(value, list) else "asked for" if value is True else str(value)


def _alternatives(criteria: dict[str, Any], _case: Case, source: str) -> list[Finding]:
    """What replaces the trials where it is documented; the record does not hold it, a person looks."""
    return [
        Finding("alternative", "info", f"Instead of the trials, where documented: {words}.", source)
        for words in criteria.get("alternatives_to_drug_trials") or ()
    ]


# Every kind of condition that a policy can set, by name; a new kind is one more function here.
CRITERIA: dict[str, Criterion] = {
    "age": _age,
    "diagnosis": _diagnosis,
    "severity": _severity,
    "failed_trials": _failed_trials,
    "distinct_classes": _distinct_classes,
    "one_in_episode": _one_in_episode,
    "dose_rule": _dose_rule,
    "augmentation": _augmentation,
    "psychotherapy": _psychotherapy,
    "oral_antidepressant": _oral,
    "by_hand": _by_hand,
    "alternatives": _alternatives,
}


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


@lru_cache(maxsize=256)
def _excluded(code: str) -> str:
    return f"Excluded: {code.replace('_', ' ')}."


def _exclusions(policy: dict[str, Any], case: Case, source: str) -> list[Finding]:
    """Exclusions of the person; exclusions of a kind of treatment inform only."""
    found = []
    for code in policy.get("exclusions") or ():
        words = _excluded(code)
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
    findings = [finding for criterion in CRITERIA.values() for finding in criterion(criteria, case, source)]
    findings += _exclusions(policy, case, source)
    return PolicyResult(policy["id"], str(policy["version"]), verified_on, decide(findings), tuple(findings))


@lru_cache(maxsize=4)
def _payer_names(policy_ids: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """Plain payer name, policy number and id to policy ids."""
    found: dict[str, list[str]] = {}
    for policy_id in policy_ids:
        number = str(knowledge.policy(policy_id).get("policy_number") or "")
        names = {*knowledge.payer_names(policy_id), policy_id, number}
        for name in {drugs.plain(name) for name in names} - {""}:
            found.setdefault(name, []).append(policy_id)
    return {name: tuple(ids) for name, ids in found.items()}


def find_policies(payer: str) -> tuple[str, ...]:
    """Policies of a payer, named by id, policy number or name; empty where none is held."""
    if payer in knowledge.policy_ids():
        return (payer,)
    return _payer_names(knowledge.policy_ids()).get(drugs.plain(payer), ())
