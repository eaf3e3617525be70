"""Causes other than resistance for a medicine that did not help. Shown beside every verdict; they change none."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from clinic.eligibility.engine import knowledge, logic
from clinic.eligibility.engine.criteria import psychotherapy_answer
from clinic.eligibility.engine.interactions import Interaction
from clinic.eligibility.engine.record import IntakeRecord, other_cause_codes
from clinic.eligibility.engine.safety import Known
from clinic.eligibility.engine.trials import Weighed

Status = Literal["present", "absent", "not_asked"]
_STATUS: dict[bool | None, Status] = {True: "present", False: "absent", None: "not_asked"}

# What the screens take for positive (instruments.yaml).
GAD7_FROM = 10
PCPTSD5_FROM, PCPTSD5_FROM_WOMEN = 4, 3
DAST10_FROM = 3


@dataclass(frozen=True, slots=True)
class Cause:
    """One other cause: present, absent, or not asked yet."""

    code: str
    status: Status
    text: str
    source: str

    def to_json(self) -> dict[str, Any]:
        return {"code": self.code, "status": self.status, "text": self.text, "source": self.source}


@dataclass(frozen=True)
class Seen:
    """What a cause may look at."""

    record: IntakeRecord
    trials: Sequence[Weighed]
    known: Known
    interactions: Sequence[Interaction]


def _trial_fault(verdict: str, field: str) -> Callable[[Seen], bool | None]:
    def answer(seen: Seen) -> bool | None:
        if seen.record.trials is None:
            return None
        return logic.any_of(_row(row) for row in seen.trials)

    def _row(row: Weighed) -> bool | None:
        codes = {why.code for why in row.judgement.why}
        if row.verdict == verdict or verdict in codes:
            return True
        return None if field in row.judgement.missing else False

    return answer


def _interaction_or_substance(seen: Seen) -> bool | None:
    record, scores = seen.record, seen.record.scores
    dast = scores.dast10 if scores else None
    pairs = [each for each in seen.interactions if len(each.medicines) > 1]
    return logic.any_of(
        [
            True if pairs else None if record.current_medicines is None else False,
            seen.known.substance_use(),
            seen.known.drinks_too_much(),
            None if dast is None and seen.known.substance_use() is None else (dast or 0) >= DAST10_FROM,
        ]
    )


def _bipolar(seen: Seen) -> bool | None:
    return logic.any_of([seen.known.bipolar(), seen.record.mdq_positive])


def _ptsd_or_anxiety(seen: Seen) -> bool | None:
    scores = seen.record.scores
    gad7, ptsd = (scores.gad7, scores.pcptsd5) if scores else (None, None)
    cutoff = PCPTSD5_FROM if seen.record.sex == "male" else PCPTSD5_FROM_WOMEN
    return logic.any_of([None if gad7 is None else gad7 >= GAD7_FROM, None if ptsd is None else ptsd >= cutoff])


def _thyroid(seen: Seen) -> bool | None:
    thyroid = seen.record.thyroid
    if thyroid is None:
        return None
    abnormal = None if thyroid.result in (None, "unknown") else thyroid.result == "abnormal"
    if thyroid.problem or abnormal:
        return True
    return False if thyroid.problem is False or abnormal is False else None


def _therapy(seen: Seen) -> bool | None:
    return logic.opposite(psychotherapy_answer(seen.record))


def _wrong_diagnosis(seen: Seen) -> bool | None:
    diagnosis = seen.known.diagnosis()
    return True if diagnosis not in (None, "mdd") else None


def _lowers_mood(seen: Seen) -> bool | None:
    if seen.record.current_medicines is None:
        return None
    return seen.known.takes("mood_lowering")


def _not_derived(_seen: Seen) -> bool | None:
    return None


# Code to what it is called, what is done about it, and how it follows from the record.
_CAUSES: dict[str, tuple[str, str, Callable[[Seen], bool | None]]] = {
    "inadequate_dose": (
        "a dose that was too low",
        "Consider the dose before another medicine.",
        _trial_fault("inadequate_dose", "dose_mg_per_day"),
    ),
    "inadequate_duration": (
        "too little time at dose",
        "Consider more time before another medicine.",
        _trial_fault("inadequate_duration", "weeks_at_dose"),
    ),
    "poor_adherence": (
        "doses that were missed",
        "Ask what stood in the way.",
        _trial_fault("inadequate_adherence", "adherence"),
    ),
    "drug_interaction_or_substance_use": (
        "an interaction, alcohol or another substance",
        "Review the medicines and the use.",
        _interaction_or_substance,
    ),
    "bipolar_disorder": ("bipolar disorder", "Review before any verdict on resistance.", _bipolar),
    "ptsd_or_anxiety": ("PTSD or an anxiety disorder", "Treat it beside the depression.", _ptsd_or_anxiety),
    "thyroid_or_other_medical": ("the thyroid or another illness", "Test, and treat first.", _thyroid),
    "sleep_apnoea": ("sleep apnea", "Ask for snoring and tired days; test.", _not_derived),
    "chronic_stress_trauma_relationships": (
        "lasting stress, trauma or relationships",
        "Address it; a medicine cannot.",
        _not_derived,
    ),
    "therapy_not_evidence_based": (
        "no evidence-based psychotherapy so far",
        "Offer CBT, IPT or another of the kinds with evidence.",
        _therapy,
    ),
    "wrong_diagnosis": ("another diagnosis", "Evaluate anew.", _wrong_diagnosis),
    "medicines_that_lower_mood": ("a medicine that lowers the mood", "Ask for another one.", _lowers_mood),
}


@cache
def _source() -> str:
    table = knowledge.adequacy()["pseudo_resistance_checks"]
    return f"trial_adequacy.pseudo_resistance_checks: {', '.join(table['src'])}; {table['verified']}"


@cache
def _cause(code: str, answer: bool | None) -> Cause:
    name, action, _ = _CAUSES[code]
    said = f"{name[0].upper()}{name[1:]}"
    text = {True: f"{said}. {action}", False: f"{said}: nothing found.", None: f"{said}: not known yet."}[answer]
    return Cause(code, _STATUS[answer], text, _source())


def causes(seen: Seen) -> list[Cause]:
    """Every cause of the table with its status. What a clinician entered goes before what follows from other answers."""
    said = seen.record.other_causes
    found = []
    for code in other_cause_codes():
        stated: bool | None = getattr(said, code, None)
        found.append(_cause(code, stated if stated is not None else _CAUSES[code][2](seen)))
    return found
