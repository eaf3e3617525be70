"""Medicine history on one scale of days: doses, add-ons and endings."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

DayScale = Callable[[date], float]


class Level(StrEnum):
    """How the dose of a segment stands against the drug's minimum."""

    AT = "at"
    BELOW = "below"
    UNSURE = "unsure"  # the dates or the dose may lie on either side
    OTHER = "other"  # no minimum is held for this medicine


@dataclass(frozen=True)
class Segment:
    """A stretch of one dose. `ends` None: still taken. `ratio` is dose over minimum dose, 1.0 at the minimum."""

    starts: date
    ends: date | None
    level: Level
    ratio: float = 1.0


@dataclass(frozen=True)
class AddOn:
    """A medicine that was added to the one of the row, drawn as a line above its bars. `ends` None: still taken."""

    starts: date
    ends: date | None
    label: str
    is_unsure: bool = False


class Ending(StrEnum):
    """What came of a treatment: the sign at the end of its bars."""

    NONE = "none"
    PARTIAL = "partial"
    HELPED = "helped"
    LOST = "lost"
    SIDE_EFFECTS = "side_effects"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Bar:
    """A drawn segment."""

    x: float
    y: float
    width: float
    height: float
    level: Level
    is_open: bool


@dataclass(frozen=True)
class Rail:
    """A drawn add-on."""

    x: float
    width: float
    label: str
    is_open: bool
    is_unsure: bool


@dataclass(frozen=True)
class Sign:
    """A drawn ending. `is_above`: the bars run up to the edge, so that it stands over them and not behind."""

    x: float
    ending: Ending
    is_above: bool


@dataclass(frozen=True)
class Timeline:
    """One scale for all rows: `ticks` are (x, year); `rows` one tuple of bars a treatment, in the order given."""

    width: int
    height: int
    floor: float
    minimum_y: float
    ticks: tuple[tuple[float, int], ...]
    rows: tuple[tuple[Bar, ...], ...]
    rails: tuple[tuple[Rail, ...], ...] = ()
    signs: tuple[Sign | None, ...] = ()
    earlier: tuple[str, ...] = ()  # of each row: the years that lie before the scale, empty where none does

    def part(self, x: float) -> float:
        """Percent of the picture's width; its right edge is left to open ends and signs."""
        return round(DRAWN_PERCENT * x / self.width, 2)


ROW_FLOOR, ROW_MINIMUM = 42.0, 29.0  # a bar at the minimum dose is 13 high, at twice the minimum 26
NARROWEST = 3.0
DRAWN_PERCENT = 95.0
NEAR_EDGE = 0.97
TICK_ROOM = 9  # years that fit beside each other; of more, every other or every fifth is labelled


def timeline(
    rows: Sequence[Sequence[Segment]],
    *,
    today: date,
    add_ons: Sequence[Sequence[AddOn]] = (),
    endings: Sequence[Ending | None] = (),
    since: date | None = None,
    width: int = 430,
    height: int = 46,
) -> Timeline:
    """Bars of a treatment history, from the first January of the history to `today`. An empty row stays empty.

    `add_ons` and `endings`, where given, are as many as `rows`; an ending without bars is not drawn. `since`: the scale
    begins with that year; a row that ended before it says its years in words.
    """
    earlier = tuple(_years_before(row, since) for row in rows)
    rows = [() if words else row for row, words in zip(rows, earlier, strict=True)]
    segments = [segment for row in rows for segment in row]
    began = min((segment.starts.year for segment in segments), default=today.year)
    first = date(max(began, since.year) if since else began, 1, 1)
    last = max([today, *(segment.ends for segment in segments if segment.ends)])
    days = max((last - first).days, 1)

    def x_of(day: date) -> float:
        return round(width * (min(max(day, first), last) - first).days / days, 1)

    bars = tuple(tuple(_bar(segment, last, x_of) for segment in row) for row in rows)
    years = range(first.year, last.year + 1)
    step = next((each for each in (1, 2, 5) if len(years) / each <= TICK_ROOM), 10)
    return Timeline(
        width=width,
        height=height,
        floor=ROW_FLOOR,
        minimum_y=ROW_MINIMUM,
        ticks=tuple((x_of(date(year, 1, 1)), year) for year in years[::step]),
        rows=bars,
        rails=tuple(tuple(_rail(each, last, x_of) for each in row) for row in add_ons),
        signs=tuple(_sign(ending, row, width) for ending, row in zip(endings, bars, strict=False)),
        earlier=earlier,
    )


def _years_before(row: Sequence[Segment], since: date | None) -> str:
    """`2016`, or `2014 to 2016`, of a row that ended before the scale begins."""
    if since is None or not row or any(segment.ends is None or segment.ends.year >= since.year for segment in row):
        return ""
    years = sorted({segment.starts.year for segment in row} | {segment.ends.year for segment in row if segment.ends})
    return str(years[0]) if len(years) == 1 else f"{years[0]} to {years[-1]}"


def _bar(segment: Segment, last: date, x_of: DayScale) -> Bar:
    if segment.ends is not None and segment.ends < segment.starts:
        raise ValueError("a segment ends before it starts")
    start, end = x_of(segment.starts), x_of(segment.ends or last)
    tall = round((ROW_FLOOR - ROW_MINIMUM) * min(max(segment.ratio, 0.3), 2.0), 1)
    return Bar(
        x=start,
        y=round(ROW_FLOOR - tall, 1),
        width=round(max(end - start, NARROWEST), 1),
        height=tall,
        level=segment.level,
        is_open=segment.ends is None,
    )


def _rail(add_on: AddOn, last: date, x_of: DayScale) -> Rail:
    if add_on.ends is not None and add_on.ends < add_on.starts:
        raise ValueError("an add-on ends before it starts")
    start, end = x_of(add_on.starts), x_of(add_on.ends or last)
    return Rail(start, round(max(end - start, NARROWEST), 1), add_on.label, add_on.ends is None, add_on.is_unsure)


def _sign(ending: Ending | None, bars: Sequence[Bar], width: int) -> Sign | None:
    if ending is None or not bars:
        return None
    end = max(bar.x + bar.width for bar in bars)
    return Sign(round(min(end, width), 1), ending, is_above=any(bar.is_open for bar in bars) or end > width * NEAR_EDGE)
