"""Conditions over the record, each answered met, unmet or unknown, with its reason and source."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, NamedTuple

from clinic.eligibility.engine import drugs, knowledge, logic, together
from clinic.eligibility.engine.record import IntakeRecord, Psychotherapy
from clinic.eligibility.engine.rules import RuleSet
from clinic.eligibility.engine.safety import Known
from clinic.eligibility.engine.trials import Weighed, amount

Status = Literal["met", "unmet", "unknown", "info"]
Verdict = Literal["met", "not_met", "undetermined"]


class Finding(NamedTuple):
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


_ANSWERS: dict[str, bool | None] = {"met": True, "unmet": False, "unknown": None}
_VERDICTS: dict[bool | None, Verdict] = {True: "met", False: "not_met", None: "undetermined"}


def decide(findings: Iterable[Finding]) -> Verdict:
    """Not met where one criterion is unmet, undetermined where one is unknown, else met."""
    answers = [_ANSWERS[finding.status] for finding in findings if finding.status != "info"]
    return _VERDICTS[logic.all_of(answers)]


def status(answer: bool | None) -> Status:
    """The word for yes, no and not known."""
    return "unknown" if answer is None else "met" if answer else "unmet"


def at_least(certain: int, possible: int, needed: int) -> Status:
    """A count known only as a range against a minimum."""
    return status(logic.at_least(certain, possible, needed))


@dataclass(frozen=True, slots=True)
class Trd:
    """Treatment-resistant depression by a rule set; counts are of different medicines."""

    verdict: Verdict
    adequate: int
    possible: int
    findings: tuple[Finding, ...]
    combinations: tuple[together.Combination, ...] = ()


_DEFINITION = "trial_adequacy.definitions_of_trd: fda_label_trials, ema; recalled. consensus_2021; seen"


@cache
def _similar() -> tuple[tuple[frozenset[str], str], ...]:
    rows = knowledge.drug_rules()["similar_agents"]
    return tuple((frozenset(row["drugs"]), row["rule"]) for row in rows)


def trd(record: IntakeRecord, trials: Sequence[Weighed], known: Known, rules: RuleSet) -> Trd:
    """Whether the history meets the rule set's definition; undetermined where open facts could still change it."""
    adequate = [row for row in trials if row.verdict == "adequate"]
    open_rows = [row for row in trials if row.verdict == "undetermined"]
    pairs = together.combinations(trials, rules.min_weeks) if rules.combination_counts_once else []
    count = together.count(trials, pairs)
    possible = count + len(open_rows)
    enough = "unknown" if record.trials is None else at_least(count, possible, rules.min_trials)
    counted = _counted(record, count, adequate, open_rows, enough, rules)
    findings = [counted, _diagnosis(known, enough), _adult(known)]
    findings += [*_notes(adequate), *_taken_together(pairs), _psychotherapy(record)]
    verdict = "undetermined" if known.under_age() else decide(findings)
    return Trd(verdict, count, possible, tuple(findings), tuple(pairs))


def _counted(
    record: IntakeRecord,
    count: int,
    adequate: Sequence[Weighed],
    open_rows: Sequence[Weighed],
    status: Status,
    rules: RuleSet,
) -> Finding:
    needed = rules.min_trials
    text = f"{count} adequate of {needed} needed, at least {amount(rules.min_weeks)} weeks at dose each"
    if record.trials is None:
        text = "Not known which medicines were tried"
    elif count < len(adequate):
        text += f"; {len(adequate)} rows, those taken together counted once"
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


# Names under which patients and therapists write a kind of psychotherapy.
_THERAPIES = {
    "cognitive behavioral therapy": "cbt",
    "cognitive behavioural therapy": "cbt",
    "cognitive therapy": "cbt",
    "interpersonal therapy": "ipt",
    "interpersonal psychotherapy": "ipt",
    "dialectical behavior therapy": "dbt",
    "dialectical behavioral therapy": "dbt",
    "dialectical behaviour therapy": "dbt",
    "behavioral activation": "behavioural activation",
    "mindfulness based cognitive therapy": "mbct",
    "problem solving therapy": "problem solving",
    "terapia cognitivo conductual": "cbt",
    "tcc": "cbt",
}


def therapy(written: str) -> str:
    """The short name of a kind of psychotherapy, or the plain text where it is none that is known."""
    name = drugs.plain(written)
    return _THERAPIES.get(name, name)


@cache
def _evidence_based() -> frozenset[str]:
    table = knowledge.adequacy()["psychotherapy_adequacy"]
    return frozenset(drugs.plain(row) for row in (*table["evidence_based"], *table["document_named"]))


def psychotherapy_answer(record: IntakeRecord, kinds: Sequence[str] | None = None) -> bool | None:
    """Whether an adequate course of evidence-based psychotherapy is on record, of one of `kinds` where given."""
    if record.psychotherapy is None:
        return None
    return logic.any_of(logic.all_of([_is_adequate(course), _is_of(course, kinds)]) for course in record.psychotherapy)


def _is_of(course: Psychotherapy, kinds: Sequence[str] | None) -> bool | None:
    if kinds is None:
        return True
    return None if course.type is None else therapy(course.type) in kinds


def _is_adequate(course: Psychotherapy) -> bool | None:
    if course.adequate is not None:
        return course.adequate
    least = knowledge.adequacy()["psychotherapy_adequacy"]["default_adequate"]["min_sessions"]
    if course.sessions is not None and course.sessions < least:
        return False
    if course.sessions is None or course.type is None:
        return None
    return True if therapy(course.type) in _evidence_based() else None


@cache
def _psychotherapy_source() -> str:
    table = knowledge.adequacy()["psychotherapy_adequacy"]
    return f"trial_adequacy.psychotherapy_adequacy: {table['verified']}; confidence {table['confidence']}"


_PSYCHOTHERAPY = {
    True: "An adequate course of evidence-based psychotherapy is on record.",
    False: "No adequate course of evidence-based psychotherapy is on record.",
    None: "Not known whether evidence-based psychotherapy was tried.",
}


def _psychotherapy(record: IntakeRecord) -> Finding:
    text = _PSYCHOTHERAPY[psychotherapy_answer(record)]
    return Finding("evidence_based_psychotherapy", "info", text, _psychotherapy_source())


def _taken_together(pairs: Sequence[together.Combination]) -> list[Finding]:
    """Pairs of adequate trials that the dates put side by side for as long as a trial needs."""
    return [
        Finding("combination" if pair.once else "taken_together", "info", pair.text, together.COMBINATION, pair.trials)
        for pair in pairs
    ]


def _notes(adequate: Sequence[Weighed]) -> list[Finding]:
    notes = []
    ids = {row.facts.drug.id: row.index for row in adequate if row.facts.drug}
    for pair, rule in _similar():
        if pair <= ids.keys():
            first, second = sorted(pair)
            text = f"{first} and {second} are closely related: two trials, one class, and a reviewer may see one."
            source = f"trial_adequacy.counting_rules.{rule}: recalled"
            notes.append(Finding("similar_agents", "info", text, source, (ids[first], ids[second])))
    classes = {row.facts.drug.payer_class for row in adequate if row.facts.drug}
    if len(adequate) > 1 and len(classes) == 1:
        text = f"All adequate trials are of one class: {classes.pop()}. Many payers ask for two."
        rows = tuple(row.index for row in adequate)
        notes.append(Finding("one_class", "info", text, "trial_adequacy.counting_rules.same_class: seen", rows))
    return notes
