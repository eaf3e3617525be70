"""The pages of a check-in: its questionnaires laid out one after another. Pure: names in, pages and keys out."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from clinic.instruments import scoring

GATE = "gate"
DIFFICULTY = "difficulty"  # the question of the PHQ-9 that is not scored
CSSRS = "cssrs"
ITEM9 = "phq9.9"
# Questions of the screener as they are kept in a draft, beside "phq9.1" and the like, by the pages that ask them.
SCREENER = {
    f"{CSSRS}.{key}": name
    for key, name in zip(("1", "2", "3", "4", "5", "6", "6b"), scoring.CSSRS_ANSWERS, strict=True)
}
SCREENER_PAGES = (("cssrs.1", "cssrs.2"), ("cssrs.3", "cssrs.4", "cssrs.5"), ("cssrs.6", "cssrs.6b"))
SECONDS_A_CHOICE, SECONDS_WORDS = 10, 30  # to read and answer one question


@dataclass(frozen=True)
class Page:
    """One page: the keys that it asks for, of one questionnaire."""

    instrument: str
    keys: tuple[str, ...]

    @property
    def is_scale(self) -> bool:
        """Whether it holds one item of a published scale, which stands word for word and alone."""
        return "per_page" not in scoring.load(self.instrument).data


def key_of(instrument: str, number: int | str) -> str:
    """Where the answer to an item is kept."""
    return f"{instrument}.{number}"


def item_of(key: str) -> tuple[str, str]:
    """Questionnaire and number (or `gate`) of a key."""
    instrument, _, number = key.partition(".")
    return instrument, number


@cache
def pages(instruments: tuple[str, ...]) -> tuple[Page, ...]:
    """Pages in order. The Columbia screener has pages of its own, at the end."""
    return tuple(page for key in instruments if key != CSSRS for page in _pages_of(key))


def _pages_of(key: str) -> Iterator[Page]:
    instrument = scoring.load(key)
    if "gate" in instrument.data:
        yield Page(key, (key_of(key, GATE),))
    keys = [key_of(key, item.number) for item in instrument.items]
    size = int(instrument.data.get("per_page", 1))
    for at in range(0, len(keys), size):
        yield Page(key, tuple(keys[at : at + size]))
    if "functional_item" in instrument.data:
        yield Page(key, (key_of(key, DIFFICULTY),))


def is_skipped(page: Page, draft: Mapping[str, Any]) -> bool:
    """Whether earlier answers make this page needless: no to the question before the items, or no problem at all."""
    gate, difficulty = key_of(page.instrument, GATE), key_of(page.instrument, DIFFICULTY)
    if difficulty in page.keys:
        numbers = [item.number for item in scoring.load(page.instrument).items]
        return not any(draft.get(key_of(page.instrument, number)) for number in numbers)
    return gate not in page.keys and draft.get(gate) == 0


def first_open(instruments: Sequence[str], draft: Mapping[str, Any]) -> int | None:
    """Number of the first page, from 1, that has a question without an answer or a skip; None where there is none."""
    for number, page in enumerate(pages(tuple(instruments)), 1):
        if not is_skipped(page, draft) and any(key not in draft for key in page.keys):
            return number
    return None


def following(instruments: Sequence[str], number: int, draft: Mapping[str, Any]) -> int | None:
    """The page after this one that is asked; None after the last."""
    found = pages(tuple(instruments))
    return next((n for n in range(number + 1, len(found) + 1) if not is_skipped(found[n - 1], draft)), None)


def before(instruments: Sequence[str], number: int, draft: Mapping[str, Any]) -> int | None:
    """The page before this one that is asked; None before the first."""
    found = pages(tuple(instruments))
    return next((n for n in range(number - 1, 0, -1) if not is_skipped(found[n - 1], draft)), None)


@cache
def allowed(instruments: tuple[str, ...]) -> Mapping[str, frozenset[int] | None]:
    """Every key that these questionnaires take, with its values; None for an answer in words. The screener is always in."""
    found: dict[str, frozenset[int] | None] = {key: frozenset((0, 1)) for key in SCREENER}
    for key in instruments:
        if key == CSSRS:
            continue
        instrument = scoring.load(key)
        if "gate" in instrument.data:
            found[key_of(key, GATE)] = frozenset((0, 1))
        if "functional_item" in instrument.data:
            found[key_of(key, DIFFICULTY)] = frozenset(range(len(instrument.data["functional_item"]["answers"])))
        for item in instrument.items:
            found[key_of(key, item.number)] = None if item.is_text else frozenset(item.answers)
    return found


def answers_of(instrument: str, draft: Mapping[str, Any]) -> Any:
    """What the scoring takes: items in order, null where missing; of the screener the answers by name."""
    if instrument == CSSRS:
        return {name: bool(draft[key]) for key, name in SCREENER.items() if draft.get(key) is not None}
    return [draft.get(key_of(instrument, item.number)) for item in scoring.load(instrument).items]


def draft_of(instrument: str, items: Any, result: Mapping[str, Any]) -> dict[str, Any]:
    """The other way round: what was kept as a score, as it stood in the draft."""
    if instrument == CSSRS:
        return {key: int(items[name]) for key, name in SCREENER.items() if name in items}
    found = {key_of(instrument, item.number): value for item, value in zip(_items(instrument), items, strict=True)}
    if DIFFICULTY in result:
        found[key_of(instrument, DIFFICULTY)] = result[DIFFICULTY]
    if "gate" in scoring.load(instrument).data and GATE not in result.get("missing", ()):
        is_no = result.get("total") == 0 and all(value is None for value in items)
        found[key_of(instrument, GATE)] = int(not is_no)
    return found


def _items(instrument: str) -> Any:
    return scoring.load(instrument).items


def gate_of(instrument: str, draft: Mapping[str, Any]) -> bool | None:
    """The answer to the question before the items; True where there is none."""
    if "gate" not in scoring.load(instrument).data:
        return True
    said = draft.get(key_of(instrument, GATE))
    return None if said is None else bool(said)


def is_answered(instrument: str, draft: Mapping[str, Any]) -> bool:
    """Whether anything of this questionnaire was answered."""
    prefix = f"{instrument}."
    return any(key.startswith(prefix) and value not in (None, "") for key, value in draft.items())


def screener_open(draft: Mapping[str, Any]) -> int | None:
    """The page of the screener that comes next, from 1; None where it was gone through. Questions 3 to 5 only after a yes to 2."""
    if SCREENER_PAGES[0][0] not in draft:
        return 1
    if draft.get("cssrs.2") == 1 and SCREENER_PAGES[1][0] not in draft:
        return 2
    return 3 if SCREENER_PAGES[2][0] not in draft else None


def minutes(instruments: Sequence[str]) -> int:
    """About how long the check-in takes, at least a minute."""
    items = [item for key in instruments for item in scoring.load(key).items]
    seconds = sum(SECONDS_WORDS if item.is_text else SECONDS_A_CHOICE for item in items)
    return max(1, round(seconds / 60))
