"""The two hours after esketamine."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class WatchCheck:
    """A blood pressure on the rail. `minute` counts from the first spray."""

    minute: int
    mark: Literal["done", "next", "to_do"]
    text: str


@dataclass(frozen=True)
class Watch:
    """`checks` are (x, check, anchor); `past` is the width of the elapsed part; `elapsed_x` is None before the start."""

    width: int
    rail: float
    past: float
    elapsed_x: float | None
    checks: tuple[tuple[float, WatchCheck, str], ...]


def watch(checks: Sequence[WatchCheck], *, elapsed: int | None, width: int = 400, full: int = 140) -> Watch:
    """Positions on a rail of `full` minutes. `elapsed` None: not started."""
    inset = 7.0
    rail = width - 2 * inset

    def x_of(minute: float) -> float:
        return round(inset + rail * min(max(minute, 0), full) / full, 1)

    placed = []
    for check in checks:
        x = x_of(check.minute)
        anchor = "start" if x < 40 else "end" if x > width - 40 else "middle"
        placed.append((x, check, anchor))
    past = 0.0 if elapsed is None else round(x_of(elapsed) - inset, 1)
    return Watch(width, rail, past, None if elapsed is None else x_of(elapsed), tuple(placed))
