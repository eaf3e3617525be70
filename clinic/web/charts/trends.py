"""A score over delivered sessions: points, gaps, goals and the weeks in which a change is often seen."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

Scale = Callable[[float], float]


@dataclass(frozen=True)
class Score:
    """One check-in. `session` counts the sessions delivered before it; `total` is None when it was not answered.

    `after_days`: days after the last session of a whole course; such scores stand to the right of the course.
    """

    session: int
    total: int | None
    label: str
    is_late: bool = False
    after_days: int | None = None


@dataclass(frozen=True)
class Happening:
    """Something at a session: an adverse event, or a change of dose or threshold. `session`: delivered until then."""

    session: int
    kind: Literal["event", "dose"]
    text: str


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
class Sign:
    """A drawn happening; `number` names it in the list beside the picture."""

    x: float
    kind: Literal["event", "dose"]
    number: int
    text: str
    session: int


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
    signs: tuple[Sign, ...] = ()
    signs_y: float = 0.0
    course_ends_x: float | None = None  # where the days after the course begin

    @property
    def answered(self) -> tuple[TrendPoint, ...]:
        return tuple(point for point in self.points if point.total is not None)

    @property
    def first(self) -> TrendPoint | None:
        return next(iter(self.answered), None)

    @property
    def last(self) -> TrendPoint | None:
        return next(reversed(self.answered), None)


TREND_TOP = 42.0  # room for the figure above the highest dot, and above it for the words of the band
TREND_FLOOR = 154.0
SIGN_ROOM, SIGNS_BELOW, SIGNS_HEIGHT = 13.0, 36.0, 26.0
AFTER_PART = 0.26  # of the width for the days after a course, where there are scores of them
LABEL_ROOM, FIGURE_ROOM = 42.0, 21.0  # widths of "Nov 20" and of "20" with the air around them


def trend(
    scores: Sequence[Score],
    *,
    maximum: int,
    remission_below: int | None = None,
    sessions: int | None = None,
    mark_sessions: tuple[int, int] | None = (10, 15),
    happenings: Sequence[Happening] = (),
    width: int = 310,
    height: int = 182,
) -> Trend:
    """Positions of a score over delivered sessions.

    The scale runs from 0 at the floor to `maximum`, cropped to the highest score in steps of a third of the
    instrument, so that a change can be seen and the floor is always 0. A missing score opens a gap in the line.
    `sessions` is the length of the course; `mark_sessions` is the span of weeks 2 to 3 of a daily course. `happenings`
    stand in a lane of their own below the scores, on the same axis.
    """
    if maximum <= 0:
        raise ValueError("maximum must be positive")
    ordered = sorted(scores, key=lambda score: (score.after_days is not None, score.session, score.after_days or 0))
    left, right = 24.0, width - 22.0
    longest = max([1, sessions or 0, *(score.session for score in ordered)])
    last_day = max((score.after_days or 0 for score in ordered), default=0)
    course_right = right - (right - left) * AFTER_PART if last_day else right
    totals = [score.total for score in ordered if score.total is not None]
    top = _crop(max(totals, default=maximum), maximum)

    def x_of(session: float) -> float:
        return round(left + (course_right - left) * min(session, longest) / longest, 1)

    def x_at(score: Score) -> float:
        if score.after_days is None:
            return x_of(score.session)
        return round(course_right + (right - course_right) * score.after_days / last_day, 1)

    def y_of(total: float) -> float:
        return round(TREND_FLOOR - (TREND_FLOOR - TREND_TOP) * total / top, 1)

    last_answered = max((n for n, score in enumerate(ordered) if score.total is not None), default=-1)
    xs = [x_at(score) for score in ordered]
    labelled = _spaced(xs, LABEL_ROOM, keep=last_answered)
    figured = _spaced(xs, FIGURE_ROOM, keep=last_answered)
    points = tuple(
        TrendPoint(
            x=xs[n],
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
        height=height + (round(SIGNS_HEIGHT) if happenings else 0),
        left=left,
        right=right,
        floor=TREND_FLOOR,
        points=points,
        lines=lines,
        gaps=gaps,
        goals=_goals(totals, remission_below, top, y_of),
        mark=_mark(mark_sessions, longest, x_of),
        signs=_signs(happenings, x_of, right),
        signs_y=TREND_FLOOR + SIGNS_BELOW,
        course_ends_x=course_right if last_day else None,
    )


def _signs(happenings: Sequence[Happening], x_of: Scale, right: float) -> tuple[Sign, ...]:
    """Side by side where they would lie on each other, never past the right edge."""
    ordered = sorted(happenings, key=lambda each: each.session)
    xs: list[float] = []
    for one in ordered:
        xs.append(max(x_of(one.session), xs[-1] + SIGN_ROOM) if xs else x_of(one.session))
    for n in range(len(xs) - 1, -1, -1):
        xs[n] = min(xs[n], right if n == len(xs) - 1 else xs[n + 1] - SIGN_ROOM)
    return tuple(
        Sign(round(x, 1), one.kind, number, one.text, one.session)
        for number, (x, one) in enumerate(zip(xs, ordered, strict=True), 1)
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
