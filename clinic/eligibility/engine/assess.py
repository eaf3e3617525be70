"""The whole assessment of an intake record. No clock, no database: the same record gives the same bytes."""

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, NamedTuple

from clinic.eligibility.engine import (
    counterfactual,
    interactions,
    knowledge,
    other_causes,
    policies,
    safety,
    staging,
)
from clinic.eligibility.engine.criteria import Trd, trd
from clinic.eligibility.engine.interactions import Interaction
from clinic.eligibility.engine.other_causes import Cause
from clinic.eligibility.engine.pathways import PathwayResult, assess_pathway
from clinic.eligibility.engine.policies import Case, PolicyResult
from clinic.eligibility.engine.record import IntakeRecord, Span
from clinic.eligibility.engine.rules import RuleSet, ruleset
from clinic.eligibility.engine.safety import PATHWAYS, Flag, PathwayFinding, Reason
from clinic.eligibility.engine.together import Augmentation
from clinic.eligibility.engine.trials import GRADES, Setting, Weighed, read, sources_for
from clinic.eligibility.engine.turning import Change, Turn, Turning, case_of


class Ask(NamedTuple):
    """A fact that is missing and could change a verdict."""

    field: str
    question: str
    because: str

    def to_json(self) -> dict[str, Any]:
        return {"field": self.field, "question": self.question, "because": self.because}


class NextStep(NamedTuple):
    """What a clinician or the desk does next."""

    code: str
    text: str
    about: str | None = None  # trd, a treatment or a policy, where the step would turn its verdict
    changes: tuple[Change, ...] | None = None

    def to_json(self) -> dict[str, Any]:
        found: dict[str, Any] = {"code": self.code, "text": self.text}
        if self.about is not None:
            found["about"] = self.about
            found["changes"] = None if self.changes is None else [each.to_json() for each in self.changes]
        return found


@dataclass(frozen=True)
class Assessment:
    """The verdicts on one record, each with its reasons. Decision support: a clinician decides."""

    record: IntakeRecord
    rules: RuleSet
    trd: Trd
    trials: tuple[Weighed, ...]
    would_count_if: tuple[dict[str, Any] | None, ...]
    pathways: dict[str, PathwayResult]
    urgent: tuple[Reason, ...]
    staging: dict[str, Any]
    policies: tuple[PolicyResult, ...]
    ask: tuple[Ask, ...]
    next_steps: tuple[NextStep, ...]
    augmentations: tuple[Augmentation, ...]
    pseudo_resistance: tuple[Cause, ...]
    interactions: tuple[Interaction, ...]
    flags: tuple[Flag, ...]

    def to_json(self) -> dict[str, Any]:
        """The public output, plain values in a fixed order."""
        return self._shown(
            [
                _trial_json(row, other, list(sources_for(row.facts.drug.id if row.facts.drug else None)))
                for row, other in zip(self.trials, self.would_count_if, strict=True)
            ],
            pathways={name: self.pathways[name].to_json() for name in PATHWAYS},
            pseudo_resistance=[each.to_json() for each in self.pseudo_resistance],
        )

    def _shown(self, trials: list[dict[str, Any]], pathways: Any, pseudo_resistance: Any) -> dict[str, Any]:
        return {
            "id": self.record.id,
            "as_of": self.record.as_of,
            "ruleset": {"id": self.rules.id, "version": self.rules.version},
            "trd": {
                "verdict": self.trd.verdict,
                "adequate_trials": self.trd.adequate,
                "findings": [finding.to_json() for finding in self.trd.findings],
            },
            "trials": trials,
            "pathways": pathways,
            "urgent": {
                "flag": bool(self.urgent),
                "reasons": [reason.to_json() for reason in self.urgent],
            },
            "staging": self.staging,
            "policies": [policy.to_json() for policy in self.policies],
            "ask": [ask.to_json() for ask in self.ask],
            "next_steps": [step.to_json() for step in self.next_steps],
            "augmentations": [each.to_json() for each in self.augmentations],
            "combinations": [each.to_json() for each in self.trd.combinations],
            "interactions": [each.to_json() for each in self.interactions],
            "flags": [each.to_json() for each in self.flags],
            "pseudo_resistance": pseudo_resistance,
        }

    def to_text(self) -> str:
        """The output as compact ASCII JSON, equal for equal records and rules: `to_json()`, as text.

        The parts that come again in many answers are encoded once and put in the place of a 0; a quote inside a text
        is escaped, so that no text can look like such a place.
        """
        trials = [_trial_json(row, other, 0) for row, other in zip(self.trials, self.would_count_if, strict=True)]
        text = _encode(self._shown(trials, pathways=0, pseudo_resistance=0))
        pieces = text.split('"sources":0')
        for at, row in enumerate(self.trials):
            drug = row.facts.drug
            pieces[at] += f'"sources":{_sources_text(drug.id if drug else None)}'
        pathways = ",".join(
            f'"{name}":{{"verdict":"{self.pathways[name].verdict}","findings":{_texts(self.pathways[name].findings)}}}'
            for name in PATHWAYS
        )
        return (
            "".join(pieces)
            .replace('"pathways":0', f'"pathways":{{{pathways}}}', 1)
            .replace('"pseudo_resistance":0', f'"pseudo_resistance":{_texts(self.pseudo_resistance)}', 1)
        )

    def to_bytes(self) -> bytes:
        """`to_text()` as bytes."""
        return self.to_text().encode()


_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


@lru_cache(maxsize=1024)
def _text(part: PathwayFinding | Cause) -> str:
    return _encode(part.to_json())


def _texts(parts: Iterable[PathwayFinding | Cause]) -> str:
    return f"[{','.join(map(_text, parts))}]"


@cache
def _sources_text(drug_id: str | None) -> str:
    return _encode(list(sources_for(drug_id)))


def _trial_json(row: Weighed, would_count_if: dict[str, Any] | None, sources: Any) -> dict[str, Any]:
    drug = row.facts.drug
    why = [each.to_json() for each in row.judgement.why]
    if would_count_if is None and counterfactual.could_ever_change(row):
        why.append({"code": "no_small_change", "text": counterfactual.NO_CHANGE})
    return {
        "index": row.index,
        "entered": row.facts.trial.drug,
        "ingredient": drug.id if drug else None,
        "drug_class": drug.drug_class if drug else None,
        "verdict": row.verdict,
        "detail": row.judgement.detail,
        "why": why,
        "would_count_if": would_count_if,
        "documentation": GRADES.get(row.facts.trial.documentation or ""),
        "intolerance": _intolerance(row),
        "sources": sources,
    }


def _intolerance(row: Weighed) -> dict[str, Any] | None:
    """What is on record of side effects that ended a trial, and what a reviewer will still ask for."""
    trial = row.facts.trial
    if trial.stopped_reason != "side_effects" and not trial.side_effect:
        return None
    dose, weeks = row.facts.dose, row.facts.all_weeks
    found = {
        "side_effect": trial.side_effect,
        "on": trial.side_effect_on,
        "dose_reached": None if dose.high == math.inf else dose.to_json(),
        "days": None if weeks.high == math.inf else Span(round(weeks.low * 7), round(weeks.high * 7)).to_json(),
        "confirmed": trial.side_effect_confirmed,
    }
    return found | {"missing": [name for name, value in found.items() if value is None]}


def assess(record: IntakeRecord, *, ruleset: str = "default", policies: Sequence[str] = ()) -> Assessment:
    """Assess a record by a rule set and policies, by id. Raises KeyError for an id that is not in the catalogue."""
    return _assess(record, _rules(ruleset), tuple(policies))


_rules = ruleset


def _assess(record: IntakeRecord, rules: RuleSet, policy_ids: tuple[str, ...]) -> Assessment:
    setting = Setting.of(record, rules)
    raw = [read(trial, setting, rules) for trial in record.trials or ()]
    case = case_of(record, rules, raw)
    known, weighed = case.known, case.trials
    history = trd(record, weighed, known, rules)
    named = policies.find_policies(record.payer) if record.payer else ()
    results = tuple(policies.evaluate(each, case) for each in dict.fromkeys((*policy_ids, *named)))
    found = {name: assess_pathway(name, known, history) for name in PATHWAYS}
    pathways: dict[str, PathwayResult] = {str(name): each for name, each in found.items()}
    reasons = tuple(safety.urgent(known))
    stage = staging.stage(record, weighed, history.adequate, history.possible)
    turning = Turning(case, raw, setting, history)
    turns = [
        turning.history,
        *(turning.pathway(name, each, _SHOWN[name]) for name, each in found.items()),
        *(turning.policy(each) for each in results),
    ]
    pairs = interactions.interactions(record, known.medicines)
    causes = other_causes.causes(other_causes.Seen(record, weighed, known, pairs))
    return Assessment(
        record=record,
        rules=rules,
        trd=history,
        trials=tuple(weighed),
        would_count_if=tuple(
            counterfactual.would_count_if(row, changes, rules)
            for row, changes in zip(weighed, turning.trials, strict=True)
        ),
        pathways=pathways,
        urgent=reasons,
        staging=stage,
        policies=results,
        ask=tuple(_asks(case, pathways, results)),
        next_steps=(*_next_steps(case, history, pathways, reasons, named), *_turning_steps(turns)),
        augmentations=tuple(case.augmentations()),
        pseudo_resistance=tuple(causes),
        interactions=tuple(pairs),
        flags=tuple(safety.flags(known)),
    )


# What to ask

_TRIAL_QUESTIONS = {
    "drug": "Which medicine was it? Check the spelling on the bottle.",
    "dose_mg_per_day": "What was the highest dose, in mg per day?",
    "weeks_at_dose": "For how many weeks was that dose taken?",
    "adherence": "Over those weeks, about how many doses a week were missed?",
    "outcome": "How much did it help: not at all, in part, or well?",
    "in_current_episode": "Was it taken in the current episode of depression?",
    "purpose": "What was it taken for?",
    "role": "Was it taken alone, or added to another medicine?",
}

# Facts that force nothing by being missing, yet could change a verdict once known.
_COULD_CHANGE = (
    ("age", "How old is the person?", "The rules are for adults, and payers set age limits."),
    ("episode.psychotic_features", "Any voices or fixed frightening beliefs now?", "It would need a review at once."),
    ("episode.current_mania", "Unusually high mood with little sleep now?", "It would need a review at once."),
    ("mdq_positive", "What is the result of the mood disorder questionnaire?", "Bipolar disorder changes the path."),
    ("audit_c", "What is the AUDIT-C score?", "Alcohol bears on seizures and on misuse."),
    ("cssrs", "What are the answers to the suicide screener?", "Intent, a plan or recent behavior is urgent."),
)


def _is_missing(record: IntakeRecord, field: str) -> bool:
    value: Any = record
    for part in field.split("."):
        value = getattr(value, part, None)
    return value is None


def _trial_asks(case: Case) -> list[Ask]:
    found = []
    for row in case.trials:
        why = dict(zip(row.judgement.missing, row.judgement.why, strict=False))
        for field in row.judgement.missing:
            name = row.facts.trial.drug or "this medicine"
            question = f"{name}: {_TRIAL_QUESTIONS[field]}"
            found.append(Ask(f"trials[{row.index}].{field}", question, why[field].text))
    return found


def _pathway_asks(pathways: dict[str, PathwayResult]) -> list[Ask]:
    names: dict[str, list[str]] = {}
    for name, pathway in pathways.items():
        if pathway.verdict == "contraindicated":
            continue  # no answer can change it
        for finding in pathway.findings:
            if finding.field is not None and finding.field.startswith("safety."):
                names.setdefault(finding.field, []).append(name)
    return [
        Ask(field, safety.QUESTIONS[field.removeprefix("safety.")], f"It matters for {_listed(each)}.")
        for field, each in names.items()
    ]


_SHOWN = {"tms": "TMS", "esketamine": "esketamine", "iv_ketamine": "IV ketamine"}


def _listed(names: list[str]) -> str:
    shown = [_SHOWN[name] for name in names]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


_POLICY_FIELDS = {
    "psychotherapy": ("psychotherapy", "Which talking treatments, and how many sessions?"),
    "psychotherapy_or_augmentation": ("psychotherapy", "Which talking treatments, and how many sessions?"),
    "severity": ("episode.severity", "How severe is the episode, and what is the PHQ-9?"),
    "no_psychosis": ("episode.psychotic_features", "Any voices or fixed frightening beliefs now?"),
}


def _policy_asks(case: Case, results: tuple[PolicyResult, ...]) -> list[Ask]:
    found = []
    for result in results:
        if result.verdict != "undetermined":
            continue
        for finding in result.findings:
            field, question = _POLICY_FIELDS.get(finding.code, (None, ""))
            if field and finding.status == "unknown" and _is_missing(case.record, field):
                found.append(Ask(field, question, f"Policy {result.id} asks for it."))
    return found


def _asks(case: Case, pathways: dict[str, PathwayResult], results: tuple[PolicyResult, ...]) -> list[Ask]:
    found: list[Ask] = []
    if case.record.trials is None:
        because = "Without the history nothing can be counted."
        found.append(Ask("trials", "Which medicines were tried, at what dose and for how long?", because))
    if case.known.diagnosis() is None:
        because = "The rules are for a major depressive episode."
        found.append(Ask("episode.diagnosis", "What is the diagnosis of this episode?", because))
    found += _trial_asks(case)
    found += _pathway_asks(pathways)
    found += [Ask(*row) for row in _COULD_CHANGE if _is_missing(case.record, row[0])]
    if case.record.audit_c == 3 and case.record.sex in (None, "unknown"):
        found.append(Ask("sex", "What is the sex of the person?", "The AUDIT-C cut-off depends on it."))
    if not case.known.is_known("pregnant") and case.known.pregnancy_is_asked():
        question = safety.QUESTIONS["pregnant"]
        found.append(Ask("safety.pregnant", question, "It matters for TMS, esketamine and IV ketamine."))
    found += _policy_asks(case, results)
    return list({ask.field: ask for ask in reversed(found)}.values())[::-1]


# What to do next


def _next_steps(
    case: Case,
    history: Trd,
    pathways: dict[str, PathwayResult],
    reasons: tuple[Reason, ...],
    named: tuple[str, ...],
) -> list[NextStep]:
    steps = []
    if reasons:
        steps.append(NextStep("urgent_review", "Tell the on-call clinician now. A person calls within 60 minutes."))
    item9 = case.record.phq9[8] if case.record.phq9 else None
    if item9:
        text = "PHQ-9 item 9 is positive: open the C-SSRS questions and tell the care team the same day."
        steps.append(NextStep("item9_review", text))
    if case.known.bipolar() or case.record.mdq_positive:
        steps.append(NextStep("bipolar_review", "A clinician reviews for bipolar disorder before any decision."))
    if any(pathway.verdict == "contraindicated" for pathway in pathways.values()):
        names = [name for name, pathway in pathways.items() if pathway.verdict == "contraindicated"]
        text = f"No booking of {_listed(names)} until a prescriber records a reasoned release."
        steps.append(NextStep("prescriber_release", text))
    if history.verdict == "undetermined" and (history.possible or case.record.trials is None):
        steps.append(NextStep("complete_history", "Ask for what is missing in the medication history."))
    if any(pathway.verdict == "needs_review" for pathway in pathways.values()):
        names = [name for name, pathway in pathways.items() if pathway.verdict == "needs_review"]
        steps.append(NextStep("clinician_review", f"A clinician reviews {_listed(names)}."))
    steps += _offers(history)
    if case.record.payer and not named:
        steps.append(NextStep("payer_policy", "No policy of this payer is held: open the current one."))
    if any(pathway.verdict == "likely_eligible" for pathway in pathways.values()):
        steps.append(NextStep("prescriber_decision", "A prescriber decides, with the person, on the options."))
    return steps


def _turning_steps(turns: Sequence[Turn | None]) -> list[NextStep]:
    """What would turn each verdict, or that nothing up to three facts does."""
    return [
        NextStep("would_turn" if turn.changes else "no_small_change", turn.text, turn.about, turn.changes)
        for turn in turns
        if turn is not None
    ]


@cache
def _offer_names() -> dict[str, str]:
    return {row["id"]: str(row["name"]) for row in knowledge.treatment_options()["options"]}


def _offers(history: Trd) -> list[NextStep]:
    """Options to talk about after the adequate trials so far, in the alphabet's order."""
    if history.verdict == "undetermined":
        return []
    rows = [row for row in knowledge.treatment_options()["pathway_recommended_default"] if "after_failed" in row]
    fitting = [row for row in rows if row["after_failed"] <= history.adequate]
    if not fitting:
        return []
    names = _offer_names()
    listed = sorted(names.get(each, each.replace("_", " ")) for each in fitting[-1]["offer"])
    text = f"Options to talk about after {history.adequate} adequate trials: {'; '.join(listed)}."
    return [NextStep("discuss_options", text)]
