"""Proposals beside each other: earlier or later in minutes, the best value of a row."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Shift:
    """A bar from the middle; `text_x` and `anchor` place the words beside it."""

    width: int
    middle: float
    x: float
    length: float
    text_x: float
    anchor: Literal["start", "end"]


def shift(minutes: int, *, reach: int = 60, width: int = 260) -> Shift:
    """How far a visit moves: right is later. `reach` minutes fill half of the free room."""
    middle, room = width / 2, width / 2 - 76
    length = round(room * min(abs(minutes), reach) / reach, 1) if reach > 0 else 0.0
    if minutes < 0:
        return Shift(width, middle, round(middle - length, 1), length, round(middle - length - 6, 1), "end")
    return Shift(width, middle, middle, length, round(middle + length + 6, 1), "start")


def best(values: Sequence[float | None], *, prefer: Literal["low", "high"] = "low") -> tuple[bool, ...]:
    """Which cells of a row are set in bold: those with the best value, as long as another one is worse."""
    known = [value for value in values if value is not None]
    if len(set(known)) < 2:
        return tuple(False for _ in values)
    top = min(known) if prefer == "low" else max(known)
    return tuple(value == top for value in values)
