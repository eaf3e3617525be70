"""Geometry of the pictures that templates draw as SVG. Pure: values in, positions out, no colors, no clock.

Positions become SVG attributes, never styles: pages carry a policy that allows no style attribute.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum
from itertools import pairwise
from typing import Literal

Scale = Callable[[float], float]
DayScale = Callable[[date], float]

# ---- trend: a score over delivered sessions --------------------------------------------------------------------


@dataclass(frozen=True)
class Score:
    """One check-in. `session` counts the sessions delivered before it; `total` is None when it was not answered."""

    session: int
    total: int | None
    label: str
    is_late: bool = False


@dataclass(frozen=True)
class TrendPoint:
    """A mark in the picture. `y` of a missing score is the floor."""

    x: float
    y: float
    total: int | None
    label: str
    session: int
    has_label: bool
    has_figure: bool
    is_late: bool
    is_last: bool


@dataclass(frozen=True)
class Goal:
    """A line to fall below: `response` (half of the first score) or `remission` (the instrument's cut-off)."""

    kind: Literal["response", "remission"]
    y: float
    text_y: float
    value: float


@dataclass(frozen=True)
class Trend:
    """What `charts/trend.svg.html` draws."""

    width: int
    height: int
    left: float
    right: float
    floor: float
    points: tuple[TrendPoint, ...]
    lines: tuple[str, ...]
    gaps: tuple[str, ...]
    goals: tuple[Goal, ...]
    mark: tuple[float, float] | None

    @property
    def answered(self) -> tuple[TrendPoint, ...]:
        return tuple(point for point in self.points if point.total is not None)

    @property
    def first(self) -> TrendPoint | None:
        return next(iter(self.answered), None)

    @property
    def last(self) -> TrendPoint | None:
        return next(reversed(self.answered), None)


TREND_TOP = 28.0  # room for the figure above the highest dot
TREND_FLOOR = 154.0
LABEL_ROOM, FIGURE_ROOM = 42.0, 21.0  # widths of "Nov 20" and of "20" with the air around them


def trend(
    scores: Sequence[Score],
    *,
    maximum: int,
    remission_below: int | None = None,
    sessions: int | None = None,
    mark_sessions: tuple[int, int] | None = (10, 15),
    width: int = 310,
    height: int = 182,
) -> Trend:
    """Positions of a score over delivered sessions.

    The scale runs from 0 at the floor to `maximum`, cropped to the highest score in steps of a third of the
    instrument, so that a change can be seen and the floor is always 0. A missing score opens a gap in the line.
    `sessions` is the length of the course; `mark_sessions` is the span of weeks 2 to 3 of a daily course.
    """
    if maximum <= 0:
        raise ValueError("maximum must be positive")
    ordered = sorted(scores, key=lambda score: score.session)
    left, right = 24.0, width - 22.0
    longest = max([1, sessions or 0, *(score.session for score in ordered)])
    totals = [score.total for score in ordered if score.total is not None]
    top = _crop(max(totals, default=maximum), maximum)

    def x_of(session: float) -> float:
        return round(left + (right - left) * min(session, longest) / longest, 1)

    def y_of(total: float) -> float:
        return round(TREND_FLOOR - (TREND_FLOOR - TREND_TOP) * total / top, 1)

    last_answered = max((n for n, score in enumerate(ordered) if score.total is not None), default=-1)
    xs = [x_of(score.session) for score in ordered]
    labelled = _spaced(xs, LABEL_ROOM, keep=last_answered)
    figured = _spaced(xs, FIGURE_ROOM, keep=last_answered)
    points = tuple(
        TrendPoint(
            x=x_of(score.session),
            y=y_of(score.total) if score.total is not None else TREND_FLOOR,
            total=score.total,
            label=score.label,
            session=score.session,
            has_label=n in labelled,
            has_figure=n in figured,
            is_late=score.is_late,
            is_last=n == last_answered,
        )
        for n, score in enumerate(ordered)
    )
    lines, gaps = _runs(points)
    return Trend(
        width=width,
        height=height,
        left=left,
        right=right,
        floor=TREND_FLOOR,
        points=points,
        lines=lines,
        gaps=gaps,
        goals=_goals(totals, remission_below, top, y_of),
        mark=_mark(mark_sessions, longest, x_of),
    )


def _crop(highest: int, maximum: int) -> int:
    """The smallest third of the scale that holds the highest score."""
    return next(limit for limit in (-(-maximum // 3), -(-maximum * 2 // 3), maximum, highest) if highest <= limit)


def _spaced(xs: Sequence[float], room: float, *, keep: int) -> set[int]:
    """Which labels fit side by side; the latest answered one wins, then the earlier ones."""
    chosen: list[int] = []
    order = ([keep] if keep >= 0 else []) + [n for n in range(len(xs)) if n != keep]
    for n in order:
        if all(abs(xs[n] - xs[other]) >= room for other in chosen):
            chosen.append(n)
    return set(chosen)


def _runs(points: Sequence[TrendPoint]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Paths of unbroken runs, and of the dotted bridges over missing scores."""
    runs: list[list[TrendPoint]] = [[]]
    for point in points:
        if point.total is None:
            runs.append([])
        else:
            runs[-1].append(point)
    filled = [run for run in runs if run]
    lines = tuple("M" + "L".join(f"{p.x:g},{p.y:g}" for p in run) for run in filled if len(run) > 1)
    gaps = tuple(
        f"M{before[-1].x:g},{before[-1].y:g}L{after[0].x:g},{after[0].y:g}" for before, after in pairwise(filled)
    )
    return lines, gaps


def _goals(totals: Sequence[int], remission_below: int | None, top: int, y_of: Scale) -> tuple[Goal, ...]:
    goals = []
    if totals and totals[0] > 0:
        half = totals[0] / 2
        goals.append(("response", half))
    if remission_below is not None and remission_below <= top:
        goals.append(("remission", float(remission_below)))
    if len(goals) == 2 and abs(y_of(goals[0][1]) - y_of(goals[1][1])) < 14:
        above, below = sorted(goals, key=lambda goal: -goal[1])
        return (
            _goal(above[0], above[1], y_of, offset=-5),
            _goal(below[0], below[1], y_of, offset=14),
        )
    return tuple(_goal(kind, value, y_of, offset=14) for kind, value in goals)


def _goal(kind: str, value: float, y_of: Scale, *, offset: float) -> Goal:
    y = y_of(value)
    return Goal("response" if kind == "response" else "remission", y, round(y + offset, 1), value)


def _mark(span: tuple[int, int] | None, longest: int, x_of: Scale) -> tuple[float, float] | None:
    """Left edge and width of the band, or None where the course has not room for it."""
    if span is None or span[0] >= longest or span[1] <= span[0]:
        return None
    start, end = x_of(span[0]), x_of(min(span[1], longest))
    return start, round(end - start, 1)


# ---- trial timeline: medicine history on one scale --------------------------------------------------------------


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


# ---- course path: weeks are columns, weekdays are rows -----------------------------------------------------------


class Mark(StrEnum):
    """State of one session, or of a day without any."""

    DONE = "done"
    NEXT = "next"
    PLANNED = "planned"
    MISSED = "missed"
    CLOSED = "closed"
    OTHER = "other"
    MOVED = "moved"
    HELD = "held"


@dataclass(frozen=True)
class PathSession:
    """One session of a course. `text` is its line in the list for screen readers."""

    on: date
    mark: Mark
    number: int
    time: str = ""
    text: str = ""
    url: str = ""


@dataclass(frozen=True)
class PathDay:
    """One cell of the path: its sessions, or closed, or nothing."""

    on: date
    is_closed: bool
    sessions: tuple[PathSession, ...]


@dataclass(frozen=True)
class PathWeek:
    """One column. `monday` names it; `is_new_month` where the month is worth a label."""

    monday: date
    is_new_month: bool
    days: tuple[PathDay, ...]


@dataclass(frozen=True)
class CoursePath:
    """What `path()` of macros/course.html draws."""

    weeks: tuple[PathWeek, ...]
    weekdays: tuple[int, ...]
    sessions: tuple[PathSession, ...]
    counts: Mapping[Mark, int] = field(default_factory=dict)

    @property
    def most_in_a_day(self) -> int:
        return max((len(day.sessions) for week in self.weeks for day in week.days), default=0)

    @property
    def next(self) -> PathSession | None:
        return next((session for session in self.sessions if session.mark is Mark.NEXT), None)

    @property
    def last(self) -> PathSession | None:
        return next(reversed(self.sessions), None)


def course_path(sessions: Iterable[PathSession], *, closed: Iterable[date] = ()) -> CoursePath:
    """Order sessions into weeks by weekdays. Saturday and Sunday appear only where a session needs them.

    A closed day is shown only while the course is daily, in a week that has a session.
    """
    ordered = tuple(sorted(sessions, key=lambda session: (session.on, session.number)))
    if not ordered:
        return CoursePath(weeks=(), weekdays=(0, 1, 2, 3, 4), sessions=())
    shut = set(closed)
    weekdays = tuple(day for day in range(7) if day < 5 or any(session.on.weekday() == day for session in ordered))
    by_day: dict[date, list[PathSession]] = {}
    for session in ordered:
        by_day.setdefault(session.on, []).append(session)
    monday, end = _monday(ordered[0].on), _monday(ordered[-1].on)
    weeks: list[PathWeek] = []
    while monday <= end:
        days = [monday + timedelta(days=weekday) for weekday in weekdays]
        weeks.append(
            PathWeek(
                monday=monday,
                is_new_month=not weeks or weeks[-1].monday.month != monday.month,
                days=tuple(PathDay(day, day in shut and day not in by_day, tuple(by_day.get(day, ()))) for day in days),
            )
        )
        monday += timedelta(days=7)
    counts = {mark: sum(session.mark is mark for session in ordered) for mark in Mark}
    return CoursePath(tuple(weeks), weekdays, ordered, counts)


def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


# ---- strip: a whole course at a glance, in comparisons -----------------------------------------------------------


@dataclass(frozen=True)
class Strip:
    """`dots` are (x, y) in order; the first is drawn as the start."""

    width: int
    height: int
    line_y: float
    dots: tuple[tuple[float, float], ...]


def strip(
    sessions: Sequence[tuple[date, int]], *, wanted: int, first: date, last: date, width: int = 280, height: int = 42
) -> Strip:
    """A course as dots: across by day, up and down by minutes from the wanted time.

    `sessions` are (day, minute of the day); `first` and `last` bound the scale, the same for all strips compared.
    An hour and more off is at the edge.
    """
    line, reach = 20.0, 16.0
    days = max((last - first).days, 1)
    dots = tuple(
        (
            round(6 + (width - 12) * (day - first).days / days, 1),
            round(line + reach * max(-1.0, min(1.0, (minute - wanted) / 60)), 1),
        )
        for day, minute in sorted(sessions)
    )
    return Strip(width, height, line, dots)


# ---- watch: the two hours after esketamine ------------------------------------------------------------------------


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


# ---- shift: earlier or later, in minutes ---------------------------------------------------------------------------


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


# ---- compare table --------------------------------------------------------------------------------------------------


def best(values: Sequence[float | None], *, prefer: Literal["low", "high"] = "low") -> tuple[bool, ...]:
    """Which cells of a row are set in bold: those with the best value, as long as another one is worse."""
    known = [value for value in values if value is not None]
    if len(set(known)) < 2:
        return tuple(False for _ in values)
    top = min(known) if prefer == "low" else max(known)
    return tuple(value == top for value in values)
