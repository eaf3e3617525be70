"""A course as a path of weeks and weekdays, and as a strip of all its sessions."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum


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
