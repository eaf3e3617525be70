"""Questionnaires in the languages in which their owners published them. Pure.

A validated scale is never translated here: where no published form stands in the file, the English one is shown, and
`language` says so.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from clinic.instruments import scoring

ENGLISH = "en"
VERIFIED = ("seen", "recalled")  # how a text was found; nothing else is shown
OURS = "our design"  # questions of our own, which we may put into other languages ourselves


@dataclass(frozen=True)
class Wording:
    """What a person reads of a questionnaire: items and answers by number. `language` is that of these words."""

    language: str
    name: str
    stem: str | None
    gate: str | None
    items: Mapping[int, str]
    answers: Mapping[int, Mapping[int, str]]
    follow_up: str | None
    functional: tuple[str, tuple[str, ...]] | None  # the question that is not scored, and its answers in order
    credit: str | None


@cache
def wording(key: str, language: str) -> Wording:
    """The published words in a language, or the English ones. Raises KeyError for an unknown questionnaire."""
    instrument = scoring.load(key)
    if "items_from" in instrument.data:
        return _part(wording(instrument.data["items_from"]["instrument"], language), instrument)
    found = (instrument.data.get("translations") or {}).get(language)
    return _english(instrument) if found is None else _published(instrument, language, found)


def is_published(key: str, language: str) -> bool:
    """Whether this questionnaire can be shown in this language."""
    return wording(key, language).language == language


def _english(instrument: scoring.Instrument) -> Wording:
    follow_ups = (row.get("follow_up") for row in instrument.data.get("items") or ())
    return Wording(
        language=ENGLISH,
        name=instrument.name,
        stem=instrument.stem,
        gate=instrument.data.get("gate"),
        items={item.number: item.text for item in instrument.items},
        answers={item.number: item.answers for item in instrument.items},
        follow_up=next(filter(None, follow_ups), None),
        functional=_functional(instrument.data),
        credit=instrument.credit,
    )


def _published(instrument: scoring.Instrument, language: str, found: Mapping[str, Any]) -> Wording:
    own = _own_answers(instrument, found)
    words = Wording(
        language=language,
        name=found["name"],
        stem=found.get("stem"),
        gate=found.get("gate"),
        items=found["items"],
        answers={number: own.get(number, found.get("answers") or {}) for number in found["items"]},
        follow_up=found.get("follow_up"),
        functional=_functional(found),
        credit=found.get("credit"),
    )
    english = _english(instrument)
    same = {number: set(answers) for number, answers in words.answers.items()}
    if same != {number: set(answers) for number, answers in english.answers.items()}:
        raise ValueError(f"{instrument.key}: the {language} form has other items or answers than the English one")
    if _parts(words) != _parts(english):
        raise ValueError(f"{instrument.key}: the {language} form is not whole")
    is_ours = found["verified"] == OURS == instrument.data.get("verified")
    if not (is_ours or str(found["verified"]).startswith(VERIFIED)) or not found["source"]:
        raise ValueError(f"{instrument.key}: say where the {language} form was found")
    return words


def _own_answers(instrument: scoring.Instrument, found: Mapping[str, Any]) -> dict[int, Mapping[int, str]]:
    """Answers by item where they are not the same for all: given by item, or by the name of the list that it uses."""
    own: dict[int, Mapping[int, str]] = dict(found.get("item_answers") or {})
    lists = found.get("answers_by_list") or {}
    for row in instrument.data.get("items") or ():
        if isinstance(row.get("answers"), str) and row["answers"] in lists:
            own[row["n"]] = lists[row["answers"]]
        elif row.get("kind") == "text":
            own[row["n"]] = {}
    return own


def _parts(words: Wording) -> list[bool]:
    return [part is not None for part in (words.stem, words.gate, words.follow_up, words.functional)]


def _functional(data: Mapping[str, Any]) -> tuple[str, tuple[str, ...]] | None:
    found = data.get("functional_item")
    return (found["text"], tuple(found["answers"])) if found else None


def _part(whole: Wording, instrument: scoring.Instrument) -> Wording:
    """Some items of another questionnaire, in its words."""
    numbers = [item.number for item in instrument.items]
    return Wording(
        language=whole.language,
        name=instrument.name,
        stem=whole.stem,
        gate=None,
        items={number: whole.items[number] for number in numbers},
        answers={number: whole.answers[number] for number in numbers},
        follow_up=None,
        functional=None,
        credit=whole.credit,
    )
