"""Facts laid over an intake record by their path, and what differs between two records. Pure."""

import copy
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

MAX_PATH = 120
MAX_INDEX = 299
_PATH = re.compile(r"[a-z][a-z0-9_]*(?:\[\d{1,3}\]|\.[a-z][a-z0-9_]*)*", re.ASCII)
_PART = re.compile(r"[a-z][a-z0-9_]*|\d+")

Part = str | int


class NoPlace(ValueError):
    """A path that leads nowhere in a record; the message is the path."""


class Fact(NamedTuple):
    """A value at a path. `trial_key`: the medicine row that the path starts from, else the record. None: not known."""

    trial_key: str | None
    path: str
    value: Any


def parts_of(path: str) -> list[Part]:
    """The parts of a path such as `trials[2].outcome`. Raises NoPlace."""
    if len(path) > MAX_PATH or not _PATH.fullmatch(path):
        raise NoPlace(path)
    parts: list[Part] = [int(part) if part.isdigit() else part for part in _PART.findall(path)]
    if any(isinstance(part, int) and part > MAX_INDEX for part in parts):
        raise NoPlace(path)
    return parts


def lay(record: dict[str, Any], path: str, value: Any) -> None:
    """Set the value at a path of the record; None takes it away. Raises NoPlace where nothing can stand there."""
    parts = parts_of(path)
    at: Any = record
    for part, following in itertools.pairwise(parts):
        at = _enter(at, part, [] if isinstance(following, int) else {}, path)
    last = parts[-1]
    if isinstance(at, dict) and isinstance(last, str):
        if value is None:
            at.pop(last, None)
        else:
            at[last] = copy.deepcopy(value)
    elif isinstance(at, list) and isinstance(last, int) and last <= len(at):
        at[last : last + 1] = [copy.deepcopy(value)]
    else:
        raise NoPlace(path)


def _enter(at: Any, part: Part, empty: Any, path: str) -> Any:
    if isinstance(at, dict) and isinstance(part, str):
        if at.get(part) is None:
            at[part] = empty
        return at[part]
    if isinstance(at, list) and isinstance(part, int) and part <= len(at):
        if part == len(at):
            at.append(empty)
        return at[part]
    raise NoPlace(path)


def over(base: dict[str, Any], record: dict[str, Any]) -> dict[str, Any]:
    """A record that was sent whole, with what pages say laid over it. Medicines of both stand one after the other."""
    found = copy.deepcopy(base)
    for name, value in record.items():
        if name in ("id", "as_of", "age"):  # of the day on which it was sent
            continue
        there = found.get(name)
        if name == "trials":
            found[name] = [*(there or []), *value]
        else:
            found[name] = {**there, **value} if isinstance(there, dict) and isinstance(value, dict) else value
    return found


def laid(record: dict[str, Any], facts: Sequence[Fact], rows: Mapping[str, Any]) -> dict[str, Any]:
    """The record with its medicine rows (by key) after its own medicines, and the facts over all of it, in order.

    A fact about a row that is no longer on the list is passed over. Raises NoPlace where a fact cannot stand.
    """
    found = copy.deepcopy(record)
    for fact in facts:
        if fact.trial_key is None:
            lay(found, fact.path, fact.value)
    if rows:
        own = found.get("trials") or []
        found["trials"] = [*own, *copy.deepcopy(list(rows.values()))]
        places = {key: place for place, key in enumerate(rows, len(own))}
        for fact in facts:
            if fact.trial_key in places:
                lay(found, f"trials[{places[fact.trial_key]}].{fact.path}", fact.value)
    return found


def addressed(path: str, trials: int, keys: Sequence[str]) -> tuple[str | None, str]:
    """A path of a record with so many `trials` as it is kept: the last ones are rows, by key. Raises NoPlace."""
    parts = parts_of(path)
    if parts[0] != "trials" or len(parts) == 1:
        if parts[0] == "trials" and keys:
            raise NoPlace(path)  # the rows of the list are changed one by one
        return None, path
    row = parts[1] - (trials - len(keys)) if isinstance(parts[1], int) else -1
    if len(parts) > 2 and 0 <= row < len(keys):
        return keys[row], path.split("].", 1)[1]
    if row >= 0 and keys:
        raise NoPlace(path)
    return None, path


def value_at(record: dict[str, Any], path: str) -> Any:
    """What stands at a path; None where nothing does. Raises NoPlace for what is no path."""
    at: Any = record
    for part in parts_of(path):
        try:
            at = at[part]
        except (KeyError, IndexError, TypeError):
            return None
    return at


def leaves(record: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every known value by its path. A list of plain values is one value."""
    if isinstance(record, dict):
        for name, value in record.items():
            yield from leaves(value, f"{path}.{name}" if path else name)
    elif isinstance(record, list) and any(isinstance(each, dict) for each in record):
        for index, value in enumerate(record):
            yield from leaves(value, f"{path}[{index}]")
    else:
        yield path, record
