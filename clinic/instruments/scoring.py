"""Scores, bands and change, from one YAML file a questionnaire."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

_FOLDER = Path(__file__).parent
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

# Answers of the Columbia screener, in the order of its items; the last is the follow-up of item 6.
CSSRS_ANSWERS = ("wish_dead", "thoughts", "method", "intent", "plan", "behaviour_lifetime", "behaviour_3mo")

# How many missing items may be filled with the mean of the others, and which item never: the files say it in words.
_MAY_IMPUTE = {"phq9": (2, (9,)), "gad7": (1, ())}


class BadAnswers(ValueError):
    """Answers that do not fit the questionnaire; `field` and `index` say where."""

    def __init__(self, message: str, field: str = "items", index: int | str | None = None) -> None:
        super().__init__(message)
        self.field = field
        self.index = index


TEXT_AT_MOST = 500  # characters of an answer in the person's own words


@dataclass(frozen=True)
class Item:
    """One question with its answers, value to label; without answers it is answered in words. `key`: of our own ones."""

    number: int
    text: str
    answers: Mapping[int, str]
    loinc: str | None
    key: str | None = None

    @property
    def is_text(self) -> bool:
        return not self.answers


@dataclass(frozen=True)
class Trigger:
    """An answer that a person at the clinic acts on: `level` of the safety table, or `review` for a clinician's task.

    `times`: so many check-ins with such an answer, this one included.
    """

    item: int
    at_least: int
    code: str
    level: str
    times: int = 1


@dataclass(frozen=True)
class Instrument:
    """A questionnaire; `items` are empty where its owner does not allow them to be shown, `data` is the whole file."""

    key: str
    name: str
    version: str
    items: tuple[Item, ...]
    stem: str | None
    credit: str | None
    bands: tuple[tuple[int, str], ...]
    low: int | None
    high: int | None
    remission_at_most: int | None
    data: Mapping[str, Any]
    triggers: tuple[Trigger, ...] = ()

    @property
    def is_sent(self) -> bool:
        """Whether a person may answer it by themselves: its items are free, and it is not a clinician's rating."""
        return bool(self.items) and self.data.get("mode") != "clinician_rated"

    @property
    def how_sure(self) -> str:
        """What of it was seen and what is recalled, its sources by their names."""
        said = str(self.data.get("verified") or "not verified")
        for key, source in (self.data.get("sources") or {}).items():
            said = said.replace(key, f"{source['organisation']} {source['year']}")
        return said

    @property
    def method(self) -> str:
        """How it is scored: sum, triage, score_entry, or none for questions that are only kept."""
        return str((self.data.get("scoring") or {}).get("method") or "none")

    def item(self, number: int) -> Item:
        """One of its items. Raises StopIteration for a number that it does not have."""
        return next(item for item in self.items if item.number == number)


@dataclass(frozen=True)
class Response:
    """Change against the baseline. Percent is positive for improvement, None from a baseline of 0."""

    percent: float | None
    level: str | None  # response, partial_response, non_response
    response: bool | None
    remission: bool | None


def _read(name: str) -> dict[str, Any]:
    with (_FOLDER / f"{name}.yaml").open("rb") as stream:
        found: dict[str, Any] = yaml.load(stream, Loader=_LOADER)  # noqa: S506  both loaders are safe ones
    return found


@cache
def shared() -> dict[str, Any]:
    """Answer lists, definitions, cadence and sources."""
    return _read("shared")


@cache
def keys() -> tuple[str, ...]:
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.yaml") if path.stem != "shared"))


def _answers(data: Mapping[str, Any], row: Mapping[str, Any]) -> dict[int, str]:
    own = row.get("answers")
    if isinstance(own, Mapping):
        return {int(value): str(label) for value, label in own.items()}
    name = own or data.get("answers")
    if name is None or row.get("kind") == "text":
        return {}
    return {int(each["value"]): str(each["label"]) for each in shared()["shared_answer_lists"][name]}


def _items(data: Mapping[str, Any]) -> tuple[Item, ...]:
    if "items_from" in data:
        other = load(data["items_from"]["instrument"])
        return tuple(item for item in other.items if item.number in data["items_from"]["items"])
    return tuple(
        Item(row["n"], row["text"], _answers(data, row), row.get("loinc"), row.get("id"))
        for row in data.get("items") or ()
        if "n" in row
    )


@cache
def load(key: str) -> Instrument:
    """A questionnaire by its key. Raises KeyError for one that is not in the catalogue."""
    if key not in keys():
        raise KeyError(key)
    data = _read(key)
    low, high = (data.get("scoring") or {}).get("range") or (None, None)
    stem = data.get("stem")
    if stem is None and "items_from" in data:
        stem = load(data["items_from"]["instrument"]).stem
    items = _items(data)
    return Instrument(
        key=key,
        name=data["name"],
        version=data["version"],
        items=items,
        stem=stem,
        credit=data.get("credit"),
        bands=tuple((row["max"], row["label"]) for row in data.get("bands") or ()),
        low=low,
        high=high,
        remission_at_most=data.get("remission_at_most"),
        data=data,
        triggers=_triggers(data, items),
    )


def _triggers(data: Mapping[str, Any], items: Sequence[Item]) -> tuple[Trigger, ...]:
    """Triggers of our own questions; those that a published scale names in words are rules of their own."""
    numbers = {item.key: item.number for item in items if item.key}
    return tuple(
        Trigger(numbers[row["item"]], row["at_least"], row["code"], row["level"], row.get("times", 1))
        for row in data.get("triggers") or ()
        if isinstance(row, Mapping)
    )


def band(key: str, total: float) -> str | None:
    """The band that a total falls in; None for a questionnaire without bands. Raises BadAnswers out of range."""
    instrument = load(key)
    if instrument.low is None or instrument.high is None:
        return None
    if not instrument.low <= total <= instrument.high:
        raise BadAnswers(f"must be from {instrument.low} to {instrument.high}", "total")
    return next((label for top, label in instrument.bands if total <= top), None)


def _checked(instrument: Instrument, items: Any) -> list[Any]:
    if isinstance(items, str | Mapping) or not isinstance(items, Sequence):
        raise BadAnswers("must be a list of answers")
    if len(items) != len(instrument.items):
        raise BadAnswers(f"must be {len(instrument.items)} answers, null where missing")
    for at, (item, value) in enumerate(zip(instrument.items, items, strict=True)):
        if value is None:
            continue
        if item.is_text:
            if not isinstance(value, str) or len(value) > TEXT_AT_MOST:
                raise BadAnswers(f"must be at most {TEXT_AT_MOST} characters, or null", index=at)
            continue
        if isinstance(value, bool) or not isinstance(value, int) or value not in item.answers:
            low, high = min(item.answers), max(item.answers)
            raise BadAnswers(f"must be a whole number from {low} to {high}, or null", index=at)
    return list(items)


def _half_up(number: float) -> int:
    return math.floor(number + 0.5)


def _sum(instrument: Instrument, items: list[int | None]) -> dict[str, Any]:
    """Total and band. Missing items are named, and filled with the mean of the others only where that is allowed."""
    missing = [item.number for item, value in zip(instrument.items, items, strict=True) if value is None]
    answered = [value for value in items if value is not None]
    allowed, never = _MAY_IMPUTE.get(instrument.key, (0, ()))
    found: dict[str, Any] = {"total": None, "band": None}
    if not missing:
        found["total"] = sum(answered)
    elif len(missing) <= allowed and not set(missing) & set(never):
        found["total"] = _half_up(sum(answered) / len(answered) * len(items))
        found["imputed"] = missing
    else:
        found["missing"] = missing
    if found["total"] is not None:
        found["band"] = band(instrument.key, found["total"])
    if not instrument.bands:
        del found["band"]
    return found


def _phq9(items: list[int | None]) -> dict[str, Any]:
    found = _sum(load("phq9"), items)
    last = items[8]
    found["item9_positive"] = None if last is None else last >= 1
    return found


def _audit_c(items: list[int | None], sex: str | None) -> dict[str, Any]:
    instrument = load("audit_c")
    cutoffs = instrument.data["cutoffs"]
    cutoff = cutoffs["men"] if sex == "male" else cutoffs["women"]
    found = _sum(instrument, items)
    known = sum(value for value in items if value is not None)
    found["positive"] = known >= cutoff if found["total"] is not None or known >= cutoff else None
    found["cutoff"] = cutoff
    if sex not in ("male", "female"):
        found["lower_cutoff_used"] = True
    if found["positive"] and found["total"] is not None and not any(items[1:]):
        found["note"] = cutoffs["note"]
    return found


def _screen(instrument: Instrument, items: list[int | None]) -> dict[str, Any]:
    found = _sum(instrument, items)
    cutoff = (instrument.data.get("cutoffs") or {}).get("screen_positive")
    if cutoff is not None and not instrument.bands:
        known = sum(value for value in items if value is not None)
        found["positive"] = known >= cutoff if found["total"] is not None or known >= cutoff else None
    return found


def _risk(answers: Mapping[str, bool]) -> str:
    if answers["intent"] or answers["plan"] or answers["behaviour_3mo"]:
        return "high"
    if answers["method"] or answers["behaviour_lifetime"]:
        return "moderate"
    return "low" if answers["wish_dead"] or answers["thoughts"] else "none"


def _cssrs(answers: Any) -> dict[str, Any]:
    """Triage, highest first. Questions that an earlier no skips are no; other missing answers are never a no."""
    if not isinstance(answers, Mapping):
        raise BadAnswers("must be an object of yes and no answers", "answers")
    for name, value in answers.items():
        if name not in CSSRS_ANSWERS:
            raise BadAnswers("unknown key", "answers", str(name))
        if value is not None and not isinstance(value, bool):
            raise BadAnswers("must be true, false or null", "answers", str(name))
    given: dict[str, bool | None] = {name: answers.get(name) for name in CSSRS_ANSWERS}
    skipped = ["method", "intent", "plan"] if given["thoughts"] is False else []
    if given["behaviour_lifetime"] is False:
        skipped.append("behaviour_3mo")
    for name in skipped:
        if given[name] is None:
            given[name] = False
    least = _risk({name: bool(value) for name, value in given.items()})
    most = _risk({name: value is not False for name, value in given.items()})
    if least == most:
        return {"risk": least}
    return {"risk": None, "at_least": least, "missing": [name for name, value in given.items() if value is None]}


def _kept(instrument: Instrument, items: list[Any]) -> dict[str, Any]:
    """Our own questions make no total: what was reported, by item."""
    said = {item.key: value for item, value in zip(instrument.items, items, strict=True) if value not in (None, "")}
    return {"total": None, "said": said}


def _pcptsd5(items: list[int | None], gate: bool | None) -> dict[str, Any]:
    """The question before the items decides: no is a score of 0, and no answer leaves no total."""
    if gate:
        return _screen(load("pcptsd5"), items)
    if gate is None:
        found = _screen(load("pcptsd5"), [None] * len(items))
        return {**found, "missing": ["gate"]}
    return {"total": 0, "positive": False}


def score(key: str, answers: Any, *, sex: str | None = None, gate: bool | None = True) -> dict[str, Any]:
    """Score one sitting: items as a list in order, null for missing; for the Columbia screener answers by name.

    `gate`: the answer to the question that stands before the items of the PC-PTSD-5. A missing item is never counted as 0. Raises KeyError for an unknown questionnaire, BadAnswers for answers
    that do not fit or a questionnaire whose total a clinician enters.
    """
    instrument = load(key)
    if key == "cssrs":
        return _cssrs(answers)
    if instrument.items and instrument.method == "none" and instrument.is_sent:
        return _kept(instrument, _checked(instrument, answers))
    if instrument.method != "sum":
        raise BadAnswers("is not scored here: its total is entered by staff", "instrument")
    items = _checked(instrument, answers)
    if key == "phq9":
        return _phq9(items)
    if key == "audit_c":
        return _audit_c(items, sex)
    if key == "pcptsd5":
        return _pcptsd5(items, gate)
    return _screen(instrument, items)


def response(baseline: float, now: float, key: str = "phq9") -> Response:
    """Percent change (baseline - now) / baseline, response from 50, partial from 25, remission by the cut-off."""
    cutoff = load(key).remission_at_most
    remission = None if cutoff is None else now <= cutoff
    if baseline <= 0:
        return Response(None, None, None, remission)
    percent = (baseline - now) / baseline * 100
    level = "response" if percent >= 50 else "partial_response" if percent >= 25 else "non_response"
    return Response(round(percent, 1), level, percent >= 50, remission)
