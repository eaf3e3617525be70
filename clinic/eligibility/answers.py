"""What a typed answer to a missing fact means, in the record's words. Pure; nothing unknown is guessed."""

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from clinic.intake import record
from clinic.intake.pages import THERAPIES

Values = Mapping[str, Any]  # answers of one question by the names of its inputs
Facts = list[tuple[str, Any]]  # path, value

MAX_NAMES = 8  # medicines that a person names where the whole history is missing
_TRIAL = re.compile(r"trials\[(\d{1,3})\]\.([a-z_]+)", re.ASCII)
_SAFETY_YES_NO = re.compile(r"safety\.[a-z_]+", re.ASCII)

TRIAL_KINDS = {
    "drug": "drug",
    "dose_mg_per_day": "dose",
    "weeks": "weeks",
    "weeks_at_dose": "weeks_at_dose",
    "started_on": "month",
    "stopped_on": "month",
    "adherence": "adherence",
    "outcome": "outcome",
    "stopped_reason": "stopped",
    "in_current_episode": "this_episode",
    "purpose": "use",
    "role": "use",
}
RECORD_KINDS = {
    "trials": "trials",
    "episode.diagnosis": "diagnosis",
    "episode.psychotic_features": "psychosis",
    "episode.current_mania": "mania",
    "episode.ect_used": "ect",
    "age": "age",
    "sex": "sex",
    "audit_c": "audit_c",
    "cssrs": "cssrs",
    "psychotherapy": "psychotherapy",
    "safety.bp": "bp",
    "safety.liver_impairment": "liver",
}
# Facts that only a clinician can give: items that may not be shown, ratings.
CLINICIAN_KINDS = {"mdq_positive": "mdq", "episode.severity": "severity"}
SEVERITIES = ("subsyndromal", "mild", "moderate", "severe_without_psychosis", "severe_with_psychosis")


class Field(NamedTuple):
    """A fact that is asked for. `trial`: the medicine's place in the record, None where it is about no medicine."""

    path: str
    kind: str
    name: str  # the last part of the path
    trial: int | None


def field_of(path: str, *, by_clinician: bool = False) -> Field | None:
    """How a fact is asked for; None where it is not for this reader, or for nobody."""
    about = _TRIAL.fullmatch(path)
    if about is not None:
        kind = TRIAL_KINDS.get(about[2])
        return Field(path, kind, about[2], int(about[1])) if kind else None
    kind = RECORD_KINDS.get(path) or (CLINICIAN_KINDS.get(path) if by_clinician else None)
    if kind is None and _SAFETY_YES_NO.fullmatch(path):
        kind = "yes_no"
    return Field(path, kind, path.rsplit(".", 1)[-1], None) if kind else None


def is_unsure(values: Values) -> bool:
    """Whether the person said that they do not know."""
    return values.get("answer") == "not_sure" or bool(values.get("not_sure"))


def facts_of(field: Field, values: Values) -> Facts:
    """The facts that an answer gives; none where it is left open, not sure, or cannot be read."""
    if values.get("not_sure"):
        return []
    return [(path, value) for path, value in _READERS[field.kind](field, values) if value is not None]


Reader = Callable[[Field, Values], Facts]


def _one(read: Callable[[Values], Any]) -> Reader:
    return lambda field, values: [(field.path, read(values))]


def _word(*words: str) -> Reader:
    return _one(lambda values: values.get("answer") if values.get("answer") in words else None)


def _drug(values: Values) -> str | None:
    chosen = values.get("answer")
    said = (values.get("other") or "") if chosen in (None, "other", "not_sure") else chosen
    return " ".join(said.split())[: record.MAX_DRUG] or None


def _use(field: Field, values: Values) -> Facts:
    """One question holds both facts; a medicine for something else has no role."""
    way = field.path.rsplit(".", 1)[0]
    said = values.get("answer")
    if said in ("alone", "add_on"):
        return [(f"{way}.purpose", "depression"), (f"{way}.role", said)]
    return [(f"{way}.purpose", said)] if said in record.OTHER_USES else []


def _diagnosis(field: Field, values: Values) -> Facts:
    if values.get("answer") == "bipolar":  # told of bipolar disorder, the kind not known
        return [("safety.bipolar_mania", True)]
    return [(field.path, values.get("answer") if values.get("answer") in record.DIAGNOSES else None)]


def _audit_c(values: Values) -> int | None:
    answers = [record.whole_of(values.get(f"audit{n}"), 0, 4) for n in (1, 2, 3)]
    return None if None in answers else sum(answer or 0 for answer in answers)


CSSRS = {"item1": "wish_dead", "item2": "thoughts", "item3": "method", "item4": "intent", "item5": "plan"} | {
    "item6": "behaviour_lifetime",
    "recent": "behaviour_3mo",
}


def cssrs(values: Values) -> dict[str, bool]:
    """The screener's known answers. Items 3 to 5 are asked after a yes to item 2, the last after a yes to item 6."""
    found = {name: record.yes_or_no(values.get(item)) for item, name in CSSRS.items()}
    if found["thoughts"] is False:
        found |= dict.fromkeys(("method", "intent", "plan"), None)
    if found["behaviour_lifetime"] is False:
        found["behaviour_3mo"] = False
    return {name: said for name, said in found.items() if said is not None}


def _trials(values: Values) -> list[dict[str, str]] | None:
    names = [" ".join((values.get(f"name{n}") or "").split())[: record.MAX_DRUG] for n in range(MAX_NAMES)]
    found = [{"drug": name} for name in names if name]
    return found or ([] if values.get("none") else None)


def _psychotherapy(values: Values) -> list[dict[str, Any]] | None:
    if values.get("answer") == "no":
        return []
    if values.get("answer") != "yes":
        return None
    kind = values.get("therapy")
    known = kind if kind in THERAPIES and kind != "not_sure" else None
    return [record.known(type=known, sessions=record.count_of(values.get("sessions")))]


_READERS: dict[str, Reader] = {
    "drug": _one(_drug),
    "dose": _one(lambda values: record.dose_of(values.get("answer"))),
    "weeks": _one(lambda values: record.weeks_of(values.get("answer"))),
    "weeks_at_dose": _one(lambda values: record.weeks_of(values.get("answer"))),
    "month": _one(lambda values: record.month_of(values, "at")),
    "adherence": _one(lambda values: record.ADHERENCE.get(values.get("answer") or "")),
    "outcome": _word(*record.OUTCOMES),
    "stopped": _word(*record.STOPPED),
    "this_episode": _one(lambda values: record.yes_or_no(values.get("answer"))),
    "use": _use,
    "trials": _one(_trials),
    "diagnosis": _diagnosis,
    "psychosis": _one(lambda values: record.yes_or_no(values.get("answer"))),
    "mania": _one(lambda values: record.yes_or_no(values.get("answer"))),
    "ect": _one(lambda values: record.yes_or_no(values.get("answer"))),
    "yes_no": _one(lambda values: record.yes_or_no(values.get("answer"))),
    "age": _one(lambda values: record.whole_of(values.get("answer"), 1, 120)),
    "sex": _word("female", "male", "other"),
    "audit_c": _one(_audit_c),
    "cssrs": lambda field, values: [(f"{field.path}.{name}", said) for name, said in cssrs(values).items()],
    "psychotherapy": _one(_psychotherapy),
    "bp": _one(
        lambda values: record.blood_pressure({"systolic": values.get("upper"), "diastolic": values.get("lower")})
    ),
    "liver": _word(*record.LIVER),
    "mdq": _one(lambda values: record.yes_or_no(values.get("answer"))),
    "severity": _word(*SEVERITIES),
}
KINDS = frozenset(_READERS)
