"""A day before and after a re-plan: lanes, what stays, and who goes from where to where."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

NARROWEST_BLOCK = 34.0


@dataclass(frozen=True)
class Moved:
    """One session that moves within a day: minutes of the day and lane keys."""

    text: str
    start: int
    minutes: int
    lane: str
    to_start: int
    to_lane: str
    is_asked: bool


@dataclass(frozen=True)
class ReplanLane:
    """A drawn lane. `others`: (x, width) of sessions that stay."""

    name: str
    y: float
    is_out: bool
    others: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class ReplanMove:
    """A drawn move, from the old lane to the new place."""

    text: str
    x: float
    y: float
    to_x: float
    to_y: float
    width: float
    path: str
    is_asked: bool


@dataclass(frozen=True)
class Replan:
    """What `charts/replan.svg.html` draws."""

    title: str
    width: int
    height: int
    left: float
    hours: tuple[tuple[float, str], ...]
    lanes: tuple[ReplanLane, ...]
    moves: tuple[ReplanMove, ...]


def replan(
    title: str,
    moves: Sequence[Moved],
    lanes: Sequence[tuple[str, str, Sequence[tuple[int, int]]]],
    *,
    out: Iterable[str],
    width: int = 960,
) -> Replan:
    """Positions of a day before and after. `lanes` are (key, name, others as (start, minutes)); those `out` stand on top."""
    gone = set(out)
    first = min(min(move.start, move.to_start) for move in moves) // 60 * 60
    last = -(-max(max(move.start, move.to_start) + move.minutes for move in moves) // 60) * 60
    left, span = 96.0, max(60, last - first)

    def x_of(minute: float) -> float:
        return round(left + 4 + (width - left - 12) * (min(max(minute, first), last) - first) / span, 1)

    ordered = sorted(lanes, key=lambda lane: lane[0] not in gone)
    tops: dict[str, float] = {}
    y = 26.0
    for n, (key, _, _) in enumerate(ordered):
        tops[key] = y
        is_last_out = key in gone and (n + 1 == len(ordered) or ordered[n + 1][0] not in gone)
        y += 84 if is_last_out else 40
    drawn = tuple(
        ReplanLane(
            name, tops[key], key in gone, tuple(_block(x_of, a, m) for a, m in others if a < last and a + m > first)
        )
        for key, name, others in ordered
    )
    hours = tuple((x_of(minute), f"{minute // 60}:00") for minute in range(first, last + 1, 60))
    return Replan(title, width, int(y + 4), left, hours, drawn, tuple(_move(move, tops, x_of) for move in moves))


def _block(x_of: Callable[[float], float], start: int, minutes: int) -> tuple[float, float]:
    return x_of(start), round(max(4.0, x_of(start + minutes) - x_of(start)), 1)


def _move(move: Moved, tops: Mapping[str, float], x_of: Callable[[float], float]) -> ReplanMove:
    width = max(NARROWEST_BLOCK, round(x_of(move.start + move.minutes) - x_of(move.start), 1))
    x, to_x, y, to_y = x_of(move.start), x_of(move.to_start), tops[move.lane], tops[move.to_lane]
    a, b, half = x + width / 2, to_x + width / 2, (y + 30 + to_y) / 2
    path = f"M{a:g} {y + 30:g}C{a:g} {half:g} {b:g} {half:g} {b:g} {to_y:g}"
    return ReplanMove(move.text, x, y, to_x, to_y, width, path, move.is_asked)
