"""The fewest changes of facts that can still change by which a whole verdict would turn, searched up to three.

A change is offered only where applying it to the record and assessing again does turn the verdict.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from itertools import combinations
from typing import Any, NamedTuple

from clinic.eligibility.engine import counterfactual, knowledge, policies, together
from clinic.eligibility.engine.counterfactual import MOST
from clinic.eligibility.engine.criteria import Finding, Trd, trd
from clinic.eligibility.engine.pathways import PathwayResult, assess_pathway
from clinic.eligibility.engine.policies import Case, PolicyResult
from clinic.eligibility.engine.record import Cssrs, Episode, IntakeRecord, Psychotherapy, Safety, Scores
from clinic.eligibility.engine.rules import RuleSet
from clinic.eligibility.engine.safety import Known, Pathway, PathwayFinding
from clinic.eligibility.engine.trials import Facts, Setting, read, weigh

_TRIES = 8  # ways to put the trials together, the fewest changes first


class Change(NamedTuple):
    """One fact by its path in the record, as it is and as it would have to be."""

    field: str
    before: Any
    after: Any
    words: str
    parsed: Any

    def to_json(self) -> dict[str, Any]:
        return {"field": self.field, "from": self.before, "to": self.after}


class Turn(NamedTuple):
    """What would turn one verdict; `changes` are None where nothing up to three facts does."""

    about: str
    changes: tuple[Change, ...] | None
    text: str


Wanted = tuple[Change, ...]


# Changing a record

_PARTS: dict[str, type[Any]] = {"episode": Episode, "safety": Safety, "cssrs": Cssrs, "scores": Scores}


def changed(record: IntakeRecord, changes: Iterable[Change]) -> IntakeRecord:
    """The record with the changes made."""
    top: dict[str, Any] = {}
    trials = list(record.trials or ())
    for change in changes:
        head, _, tail = change.field.partition(".")
        if head.startswith("trials["):
            at = int(head[7:-1])
            trials[at] = trials[at].model_copy(update={tail: change.parsed})
            top["trials"] = trials
        elif tail:
            part = top.get(head) or getattr(record, head) or _PARTS[head]()
            top[head] = part.model_copy(update={tail: change.parsed})
        else:
            top[head] = change.parsed
    return record.model_copy(update=top)


def apply_to(document: dict[str, Any], changes: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """A record as plain values with changes as the output shows them."""
    found = dict(document)
    for change in changes:
        head, _, tail = change["field"].partition(".")
        if head.startswith("trials["):
            at = int(head[7:-1])
            rows = list(found["trials"])
            rows[at] = rows[at] | {tail: change["to"]}
            found["trials"] = rows
        elif tail:
            found[head] = (found.get(head) or {}) | {tail: change["to"]}
        else:
            found[head] = change["to"]
    return found


def case_of(record: IntakeRecord, rules: RuleSet, facts: Sequence[Facts] | None = None) -> Case:
    """Everything that the criteria look at, read anew; `facts` where the rows have been read already."""
    if facts is None:
        setting = Setting.of(record, rules)
        facts = [read(trial, setting, rules) for trial in record.trials or ()]
    whole = together.without_cross_taper(facts, rules)
    weighed = weigh(whole, rules)
    return Case(record, whole, weighed, Known(record, weighed, rules), rules)


class Turning:
    """The search over one assessed record."""

    def __init__(self, case: Case, raw: Sequence[Facts], setting: Setting, history: Trd) -> None:
        self._case = case
        self._raw = raw
        self._setting = setting
        self._history = history
        self.trials = tuple(counterfactual.changes_to_count(row, setting, case.rules) for row in case.trials)

    # Assessing again

    def _again(self, changes: Wanted) -> tuple[Case, Trd]:
        record, rules = changed(self._case.record, changes), self._case.rules
        rows = {int(each.field[7:].split("]")[0]) for each in changes if each.field.startswith("trials[")}
        if any(each.field.endswith(".weeks_well_after") for each in changes):
            case = case_of(record, rules)
        else:
            facts = [
                read(trial, self._setting, rules) if at in rows else self._raw[at]
                for at, trial in enumerate(record.trials or ())
            ]
            case = case_of(record, rules, facts)
        return case, trd(record, case.trials, case.known, rules)

    def _first(self, about: str, offers: Iterable[Wanted], turns: Callable[[Case, Trd], bool], wanted: str) -> Turn:
        for offer in offers:
            if len(offer) <= MOST and turns(*self._again(offer)):
                listed = _listed([each.words for each in offer])
                return Turn(about, offer, f"{wanted} if {listed}.")
        return Turn(about, None, f"{wanted}: no change of up to three facts brings it about.")

    # The history

    @cached_property
    def history(self) -> Turn | None:
        """What would make the rule set met; None where it is."""
        if self._history.verdict == "met":
            return None
        name = "The history meets the rule set"
        if self._case.known.under_age() or self._case.record.trials is None:
            return Turn("trd", None, f"{name}: no change of up to three facts brings it about.")
        known = self._case.known.diagnosis()
        if known not in (None, "mdd"):
            return Turn("trd", None, f"{name}: no change of up to three facts brings it about.")
        base = () if known else (_diagnosis_is_mdd(self._case.record),)
        needed = max(0, self._case.rules.min_trials - self._history.adequate)
        return self._first("trd", self._ways(needed, base), lambda _case, found: found.verdict == "met", name)

    def _ways(self, needed: int, base: Wanted) -> Iterable[Wanted]:
        """Ways to win so many more trials of other medicines, the fewest changes first."""
        rows = self._winnable()
        if needed > MOST:
            return []
        picks = [
            pick
            for pick in combinations(rows, needed)
            if len({self._case.trials[at].group for at, _ in pick}) == needed
            and sum(len(changes) for _, changes in pick) + len(base) <= MOST
        ]
        picks.sort(key=lambda pick: sum(len(changes) for _, changes in pick))
        return [(*base, *(each for _, changes in pick for each in changes)) for pick in picks[:_TRIES]]

    def _winnable(self) -> list[tuple[int, Wanted]]:
        counted = {row.group for row in self._case.trials if row.verdict == "adequate"}
        return [
            (row.index, _of_trial(row.index, found, row.facts.trial.drug))
            for row, found in zip(self._case.trials, self.trials, strict=True)
            if found is not None and row.group not in counted
        ]

    # A treatment

    def pathway(self, name: Pathway, result: PathwayResult, shown: str) -> Turn | None:
        """What would make a treatment likely eligible; None where it is."""
        if result.verdict == "likely_eligible":
            return None
        wanted = f"{shown} is likely eligible"
        nothing = Turn(name, None, f"{wanted}: no change of up to three facts brings it about.")
        settled: dict[str, Change] = {}
        for finding in result.findings:
            if finding.kind not in ("contraindication", "precaution", "co_occurring", "missing"):
                continue
            if finding.code == "trd_undetermined":
                continue
            change = _settles(finding, self._case.record)
            if change is None:
                return nothing
            settled[change.field] = change
        if self._history.verdict != "met":
            if self.history is None or self.history.changes is None:
                return nothing
            settled |= {each.field: each for each in self.history.changes}
        offer = tuple(settled.values())

        def turns(case: Case, found: Trd) -> bool:
            return assess_pathway(name, case.known, found).verdict == "likely_eligible"

        return self._first(name, [offer], turns, wanted)

    # A payer

    def policy(self, result: PolicyResult) -> Turn | None:
        """What would make a policy met; None where it is."""
        if result.verdict == "met":
            return None
        wanted = f"Policy {result.id} is met"
        nothing = Turn(result.id, None, f"{wanted}: no change of up to three facts brings it about.")
        settled: dict[str, Change] = {}
        trials = False
        for finding in result.findings:
            if finding.status in ("met", "info"):
                continue
            if finding.code in ("failed_trials", "distinct_classes", "one_in_episode", "dose_rule"):
                trials = True
                continue
            answers = _settles_policy(finding, self._case, result.id)
            if not answers:
                return nothing
            settled |= {each.field: each for each in answers}
        base = tuple(settled.values())
        if len(base) > MOST:
            return nothing

        def turns(case: Case, _found: Trd) -> bool:
            return policies.evaluate(result.id, case).verdict == "met"

        if not trials:
            return self._first(result.id, [base], turns, wanted)
        more = [way for needed in (1, 2, 3) for way in self._ways(needed, base)]
        return self._first(result.id, sorted(more, key=len)[:_TRIES], turns, wanted)


def _of_trial(index: int, changes: Sequence[counterfactual.Change], drug: str | None) -> Wanted:
    name = drug or f"trial {index + 1}"
    return tuple(
        Change(f"trials[{index}].{each.field}", each.before, each.after, f"for {name} {each.words}", each.parsed)
        for each in changes
    )


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _diagnosis_is_mdd(record: IntakeRecord) -> Change:
    before = record.episode.diagnosis if record.episode else None
    return Change("episode.diagnosis", before, "mdd", "the diagnosis is major depression", "mdd")


def _safety(record: IntakeRecord, field: str, after: Any, words: str, parsed: Any = None) -> Change:
    before = getattr(record.safety, field, None)
    if isinstance(before, tuple):
        before = list(before)
    return Change(f"safety.{field}", before, after, words, after if parsed is None else parsed)


# What is open about the person now, and the answer that lets a treatment go on. Lasting facts are not among them.
_STATES: dict[str, Callable[[IntakeRecord], Change | None]] = {
    "bp_pre_dose": lambda record: _pressure(record),
    "uncontrolled_hypertension": lambda record: _pressure(record),
    "missing_bp": lambda record: _pressure(record),
    "missing_diagnosis": lambda record: _diagnosis_is_mdd(record),
    "missing_age": lambda record: Change("age", None, 18, "the person is an adult", 18),
    "missing_liver_impairment": lambda record: _safety(record, "liver_impairment", "none", "the liver is not impaired"),
    "pregnancy": lambda record: _ends(record, "pregnant", "there is no pregnancy"),
    "substance_use": lambda record: _ends(record, "current_substance_use", "no substance is a problem now"),
    "active_substance_use_disorder": lambda record: _ends(
        record, "current_substance_use", "no substance is a problem now"
    ),
    "current_mania": lambda record: _over(record, "current_mania", "the mania is over"),
    "current_mania_or_mixed": lambda record: _over(record, "current_mania", "the mania is over"),
    "current_psychosis": lambda record: _over(record, "psychotic_features", "the psychosis is over"),
    "psychosis_now": lambda record: _over(record, "psychotic_features", "the psychosis is over"),
    "active_psychosis_or_schizophrenia": lambda record: _over(record, "psychotic_features", "the psychosis is over"),
    "stimulants_drugs": lambda record: _ends(record, "current_substance_use", "no substance is a problem now"),
}


def _pressure(record: IntakeRecord) -> Change:
    return _safety(record, "bp", [120, 80], "the blood pressure is in range, as at 120/80", (120, 80))


def _ends(record: IntakeRecord, field: str, words: str) -> Change | None:
    return _safety(record, field, False, words) if getattr(record.safety, field, None) else None


def _over(record: IntakeRecord, field: str, words: str) -> Change | None:
    if record.episode is None or not getattr(record.episode, field):
        return None
    return Change(f"episode.{field}", True, False, words, False)


def _settles(finding: PathwayFinding, record: IntakeRecord) -> Change | None:
    """The one answer that takes a finding away, where it is about the present or not known."""
    state = _STATES.get(finding.code)
    if state is not None:
        return state(record)
    if finding.field is None:
        return None  # what was answered, and lasts
    field = finding.field.removeprefix("safety.")
    return _safety(record, field, False, f"the answer on {field.replace('_', ' ')} is no")


# Exclusions that one answer settles, by its path; several paths where each is a question of its own.
_EXCLUSIONS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(
        (
            "implanted_device_within_30_cm",
            "metal_in_or_around_head",
            "conductive_ferromagnetic_or_magnetic_sensitive_metal_in_head_within_30_cm",
        ),
        ("metal_in_head", "cochlear_implant", "vns_or_dbs", "pacemaker_or_icd"),
    ),
    **dict.fromkeys(("seizure_conditions", "seizure_disorder"), ("seizure_history",)),
    **dict.fromkeys(
        ("cerebrovascular_disease", "dementia", "cns_tumour", "raised_icp"),
        ("stroke_or_brain_lesion",),
    ),
    **dict.fromkeys(
        ("aneurysmal_vascular_disease", "arteriovenous_malformation", "avm"),
        ("aneurysm_or_avm",),
    ),
    **dict.fromkeys(
        ("intracerebral_haemorrhage", "intracerebral_haemorrhage_history"),
        ("intracerebral_haemorrhage",),
    ),
    **dict.fromkeys(
        (
            "substance_abuse_last_90_days",
            "active_substance_use_disorder",
            "untreated_moderate_or_severe_substance_or_alcohol_use_disorder",
        ),
        ("current_substance_use",),
    ),
    "schizophrenia": ("psychosis_history",),
    "pregnancy": ("pregnant",),
    "severe_head_trauma": ("head_injury",),
    "hypersensitivity": ("hypersensitivity",),
}
_PSYCHOSIS = (
    "no_psychosis",
    "exclusion_psychosis",
    "exclusion_psychotic_features",
    "exclusion_current_psychotic_symptoms",
)
_SUICIDALITY = ("exclusion_active_suicidality", "exclusion_acute_suicidal_ideation_with_intent")


def _settles_policy(finding: Finding, case: Case, policy_id: str) -> Wanted:
    """The answers that turn an open or unmet condition of a policy; none where no fact of the record does."""
    record = case.record
    if finding.code in ("psychotherapy", "psychotherapy_or_augmentation"):
        return _psychotherapy(record)
    if finding.status != "unknown":
        return ()
    if finding.code == "age":
        return (Change("age", None, 40, "the age is in range, as at 40", 40),)
    if finding.code in ("diagnosis", "exclusion_bipolar", "exclusion_schizoaffective"):
        return (_diagnosis_is_mdd(record),)
    if finding.code in _PSYCHOSIS:
        return (Change("episode.psychotic_features", None, False, "there is no psychosis now", False),)
    if finding.code in _SUICIDALITY:
        return (Change("cssrs.thoughts", None, False, "there are no thoughts of suicide", False),)
    if finding.code == "severity":
        return _severity(record, knowledge.policy(policy_id)["criteria"]["severity"])
    fields = _EXCLUSIONS.get(finding.code.removeprefix("exclusion_"), ())
    return tuple(
        _safety(record, field, False, f"the answer on {field.replace('_', ' ')} is no")
        for field in fields
        if not _is_answered(field, case.known)
    )


def _is_answered(field: str, known: Known) -> bool:
    return known.answer(field) is not None or known.fact(field) is not None


def _psychotherapy(record: IntakeRecord) -> Wanted:
    before = [each.model_dump() for each in record.psychotherapy] if record.psychotherapy else None
    course = {"type": "cbt", "sessions": 12, "adequate": True}
    rows = [*(record.psychotherapy or ()), Psychotherapy.model_validate(course)]
    words = "an adequate course of psychotherapy is on record"
    return (Change("psychotherapy", before, [*(before or ()), course], words, rows),)


def _severity(record: IntakeRecord, wanted: dict[str, Any]) -> Wanted:
    minimums = wanted.get("instrument_minimums")
    if not minimums:
        if wanted.get("level") is None:
            return ()
        after = "severe_without_psychosis"
        return (Change("episode.severity", None, after, "the episode is severe", after),)
    if "phq9" in minimums and record.phq9 is None:
        least = int(minimums["phq9"])
        answers = [3] * (least // 3) + [least % 3] * (least % 3 > 0)
        items = (answers + [0] * 9)[:9]
        return (Change("phq9", None, items, f"the PHQ-9 is {least} or more", tuple(items)),)
    for name, least in minimums.items():
        field = policies.SCORES.get(name, name)
        if name != "phq9" and getattr(record.scores, field, None) is None:
            return (Change(f"scores.{field}", None, least, f"the {name.upper()} is {least} or more", least),)
    return ()
