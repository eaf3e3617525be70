"""Conditions over the record, each answered met, unmet or unknown, with its reason and source."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from clinic.eligibility.engine import drugs, knowledge
from clinic.eligibility.engine.record import IntakeRecord, partial_date
from clinic.eligibility.engine.rules import RuleSet
from clinic.eligibility.engine.safety import Known
from clinic.eligibility.engine.trials import Weighed, amount

Status = Literal["met", "unmet", "unknown", "info"]
Verdict = Literal["met", "not_met", "undetermined"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One criterion with its answer. `info` informs and decides nothing."""

    code: str
    status: Status
    text: str
    source: str
    evidence: tuple[int, ...] = ()

    def to_json(self) -> dict[str, Any]:
        found: dict[str, Any] = {
            "code": self.code,
            "status": self.status,
            "text": self.text,
            "source": self.source,
        }
        if self.evidence:
            found["trials"] = list(self.evidence)
        return found


def decide(findings: Iterable[Finding]) -> Verdict:
    """Not met where one criterion is unmet, undetermined where one is unknown, else met."""
    statuses = {finding.status for finding in findings}
    if "unmet" in statuses:
        return "not_met"
    return "undetermined" if "unknown" in statuses else "met"


def at_least(certain: int, possible: int, needed: int) -> Status:
    """A count known only as a range against a minimum."""
    if certain >= needed:
        return "met"
    return "unknown" if possible >= needed else "unmet"


@dataclass(frozen=True, slots=True)
class Trd:
    """Treatment-resistant depression by a rule set; counts are of different medicines."""

    verdict: Verdict
    adequate: int
    possible: int
    findings: tuple[Finding, ...]


_DEFINITION = "trial_adequacy.definitions_of_trd: fda_label_trials, ema; recalled. consensus_2021; seen"
_SIMILAR = (
    ({"citalopram", "escitalopram"}, "enantiomers"),
    ({"bupropion", "dextromethorphan_bupropion"}, "enantiomers"),
    ({"venlafaxine", "desvenlafaxine"}, "active_metabolite"),
    ({"amitriptyline", "nortriptyline"}, "active_metabolite"),
    ({"imipramine", "desipramine"}, "active_metabolite"),
)


def trd(record: IntakeRecord, trials: Sequence[Weighed], known: Known, rules: RuleSet) -> Trd:
    """Whether the history meets the rule set's definition; undetermined where open facts could still change it."""
    adequate = [row for row in trials if row.verdict == "adequate"]
    open_rows = [row for row in trials if row.verdict == "undetermined"]
    possible = len(adequate) + len(open_rows)
    enough = "unknown" if record.trials is None else at_least(len(adequate), possible, rules.min_trials)
    counted = _counted(record, adequate, open_rows, enough, rules)
    findings = [counted, _diagnosis(known, enough), _adult(known)]
    findings += [*_notes(adequate), *_taken_together(adequate, rules), _psychotherapy(record)]
    statuses = {finding.code: finding.status for finding in findings}
    verdict = decide(findings)
    if statuses["adult"] == "unknown":
        verdict = "undetermined"
    return Trd(verdict, len(adequate), possible, tuple(findings))


def _counted(
    record: IntakeRecord,
    adequate: Sequence[Weighed],
    open_rows: Sequence[Weighed],
    status: Status,
    rules: RuleSet,
) -> Finding:
    needed = rules.min_trials
    text = f"{len(adequate)} adequate of {needed} needed, at least {amount(rules.min_weeks)} weeks at dose each"
    if record.trials is None:
        text = "Not known which medicines were tried"
    elif open_rows:
        text += f"; {len(open_rows)} cannot be told yet"
    rows = tuple(row.index for row in (*adequate, *open_rows))
    return Finding("adequate_trials", status, f"{text}.", _DEFINITION, rows)


def _diagnosis(known: Known, enough: Status) -> Finding:
    diagnosis = known.diagnosis()
    source = "trial_adequacy.definitions_of_trd"
    if diagnosis == "mdd":
        return Finding("diagnosis", "met", "Major depressive episode.", source)
    if known.bipolar():
        text = "Bipolar disorder: counts are not comparable. A clinician decides before any verdict."
        status: Status = "unmet" if enough == "unmet" else "unknown"
        return Finding("diagnosis", status, text, "trial_adequacy.counting_rules.bipolar: recalled")
    if diagnosis is None:
        return Finding("diagnosis", "unknown", "The diagnosis of this episode is not known.", source)
    return Finding("diagnosis", "unmet", f"Not a major depressive episode: {diagnosis}.", source)


def _adult(known: Known) -> Finding:
    under = known.under_age()
    if under:
        text = "Under 18: the rules are for adults."
        return Finding("adult", "unknown", text, "safety_screens.tms_screen.age_band")
    text = "Adult." if under is False else "Age not known; the rules are for adults."
    return Finding("adult", "met" if under is False else "info", text, "safety_screens.tms_screen.age_band")


@cache
def _evidence_based() -> frozenset[str]:
    rows = knowledge.adequacy()["psychotherapy_adequacy"]["evidence_based"]
    return frozenset(drugs.plain(row) for row in rows)


def psychotherapy_status(record: IntakeRecord) -> Status:
    """Whether an adequate course of evidence-based psychotherapy is on record."""
    courses = record.psychotherapy
    if courses is None:
        return "unknown"
    sessions = knowledge.adequacy()["psychotherapy_adequacy"]["default_adequate"]["min_sessions"]
    statuses: list[Status] = []
    for course in courses:
        if course.adequate is not None:
            statuses.append("met" if course.adequate else "unmet")
        elif course.sessions is not None and course.sessions < sessions:
            statuses.append("unmet")
        elif course.sessions is None or course.type is None:
            statuses.append("unknown")
        else:
            statuses.append("met" if drugs.plain(course.type) in _evidence_based() else "unknown")
    return "met" if "met" in statuses else "unknown" if "unknown" in statuses else "unmet"


def _psychotherapy(record: IntakeRecord) -> Finding:
    text = {
        "met": "An adequate course of evidence-based psychotherapy is on record.",
        "unmet": "No adequate course of evidence-based psychotherapy is on record.",
    }.get(psychotherapy_status(record), "Not known whether evidence-based psychotherapy was tried.")
    adequacy = knowledge.adequacy()["psychotherapy_adequacy"]
    source = f"trial_adequacy.psychotherapy_adequacy: {adequacy['verified']}; confidence {adequacy['confidence']}"
    return Finding("evidence_based_psychotherapy", "info", text, source)


def _taken_together(adequate: Sequence[Weighed], rules: RuleSet) -> list[Finding]:
    """Pairs of adequate trials that the dates put side by side for as long as a trial needs."""
    dated = []
    for row in adequate:
        trial = row.facts.trial
        if trial.started_on is not None and trial.stopped_on is not None:
            dated.append((row, partial_date(trial.started_on)[1], partial_date(trial.stopped_on)[0]))
    found = []
    for at, (one, one_start, one_stop) in enumerate(dated):
        for other, other_start, other_stop in dated[at + 1 :]:
            if (min(one_stop, other_stop) - max(one_start, other_start)).days / 7 >= rules.min_weeks:
                text = "Two adequate trials were taken at the same time: a reviewer may see one combination."
                source = "trial_adequacy.counting_rules.combination: recalled"
                found.append(Finding("taken_together", "info", text, source, (one.index, other.index)))
    return found


def _notes(adequate: Sequence[Weighed]) -> list[Finding]:
    notes = []
    ids = {row.facts.drug.id: row.index for row in adequate if row.facts.drug}
    for pair, rule in _SIMILAR:
        if pair <= set(ids):
            first, second = sorted(pair)
            text = f"{first} and {second} are closely related: two trials, yet a reviewer may see one."
            source = f"trial_adequacy.counting_rules.{rule}: recalled"
            notes.append(Finding("similar_agents", "info", text, source, (ids[first], ids[second])))
    classes = {row.facts.drug.payer_class for row in adequate if row.facts.drug}
    if len(adequate) > 1 and len(classes) == 1:
        text = f"All adequate trials are of one class: {classes.pop()}. Many payers ask for two."
        rows = tuple(row.index for row in adequate)
        notes.append(Finding("one_class", "info", text, "trial_adequacy.counting_rules.same_class: seen", rows))
    return notes
