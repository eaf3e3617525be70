"""Weaves whole courses into a site's calendar, years of them, by the planner's own rules on its own arrays. Pure.

The exact planner thinks milliseconds about one course; years of a network need tens of thousands. So each course takes
the first place at which all its daily visits fit at one time of day, and only where none is left moves single visits.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clinic.protocols.base import Protocol, catalogue
from clinic.scheduling import wishes
from clinic.scheduling.planner import Occupancy

MOST_ASIDE = 4  # visits of one course that may lie away from its usual time
TRIES = 4  # starts that are tried, an open day apart
# Slots of five minutes. Hours between starts bind: two visits each two hours aside are twenty hours apart.
ASIDE = 24
LATE = 48
MAKE_UP = 12


@dataclass(frozen=True)
class VisitKind:
    """Visits of one protocol that take the same: minutes of the session, who gives it, starts of several on one day."""

    kind: str
    minutes: int
    need: str
    offsets: tuple[int, ...]
    is_consistent: bool


@dataclass(frozen=True)
class Step:
    """One visit of a course: what it takes and how far behind the one before, in calendar days and weekdays."""

    takes: VisitKind
    gap: tuple[int, int]
    ideal: int


@dataclass(frozen=True, eq=False)
class Pattern:
    """A protocol as it is woven. `spacing`: minutes from a session's start to the next one's earliest, by session number."""

    protocol: Protocol
    steps: tuple[Step, ...]
    spacing: tuple[int, ...]

    @property
    def is_daily(self) -> bool:
        """Do its visits follow day on day, so that a time aside costs no hours between?"""
        return self.protocol.min_hours is None or self.protocol.min_hours <= 20

    @property
    def sessions(self) -> int:
        """How many a whole course has."""
        return sum(len(step.takes.offsets) for step in self.steps)


@dataclass(frozen=True)
class Session:
    """One session of a course that was woven; day and start as the site's calendar counts them."""

    day: int
    device: int
    start: int
    takes: VisitKind


class Weaver:
    """The calendar of one site from `first` to the end of the occupancy, filled course by course."""

    def __init__(self, occupancy: Occupancy, devices: Sequence[int], random: Random) -> None:
        self.random, self.devices = random, list(devices)
        self.low, self.unit, self.days, self.slots = occupancy.low, occupancy.unit, occupancy.days, occupancy.slots
        self.facts = [occupancy.devices[i] for i in self.devices]
        self.may = np.minimum(occupancy.open_run[0], occupancy.device_up_run[self.devices])
        self.busy = occupancy.bookings_on[self.devices] > 0
        self.used = {need: used[0].copy() for need, used in occupancy.staff_used.items()}
        self.on = {need: on[0] for need, on in occupancy.staff_on.items()}
        self.weekday = occupancy.weekday
        self.number = occupancy.weekday_numbers
        self.open_run = occupancy.open_run[0]
        self.is_open = self.open_run.any(axis=1)
        self._days_of: dict[tuple[int, int], tuple[int, ...] | None] = {}

    # -- days -------------------------------------------------------------------------------------------------------

    def open_days(self, given_on: Iterable[int]) -> NDArray[np.bool_]:
        """Days on which the site is open and the protocol is given."""
        return self.is_open & np.isin(self.weekday, list(given_on))

    def course_days(self, pattern: Pattern, start: int) -> tuple[int, ...] | None:
        """The days of a course that begins then, at the protocol's own pace; None where its gaps cannot be kept."""
        key = (id(pattern), start)
        if key not in self._days_of:
            self._days_of[key] = self._paced(pattern, start)
        return self._days_of[key]

    def _paced(self, pattern: Pattern, start: int) -> tuple[int, ...] | None:
        given = self.open_days(pattern.protocol.given_on)
        if not given[start]:
            return None
        found = [start]
        for step in pattern.steps[1:]:
            day = self.next_day(given, found[-1], step)
            if day is None:
                return None
            found.append(day)
        return tuple(found)

    def next_day(self, given: NDArray[np.bool_], before: int, step: Step) -> int | None:
        """The first day at the step's distance to the one before."""
        for day in range(before + step.gap[0], min(before + step.gap[1] + 1, self.days)):
            if given[day] and self.number[day] - self.number[before] >= step.ideal:
                return day
        return None

    def may_meet(self, day: int, minute: int, minutes: int) -> bool:
        """Is the site open for so long?"""
        slot = (minute - self.low) // self.unit
        return 0 <= slot < self.slots and int(self.open_run[day, slot]) * self.unit >= minutes

    # -- places -----------------------------------------------------------------------------------------------------

    def weave(self, pattern: Pattern, start: int) -> list[Session] | None:
        """Take the places of a whole course that begins then or a little later; None where there are none."""
        able = [n for n, facts in enumerate(self.facts) if pattern.protocol.gives in facts.capabilities]
        given = self.open_days(pattern.protocol.given_on)
        for _ in range(TRIES):
            if not able or start >= self.days:
                return None
            days = self.course_days(pattern, start)
            found = self._placed(pattern, days, able) if days is not None else None
            if found is not None:
                for session in found:
                    self.take(session)
                return found
            later = np.flatnonzero(given[start + 1 : start + 15])
            if not len(later):
                return None
            start += 1 + int(later[0])
        return None

    def _placed(self, pattern: Pattern, days: tuple[int, ...], able: list[int]) -> list[Session] | None:
        usual = [n for n, step in enumerate(pattern.steps) if step.takes.is_consistent]
        longest = max((pattern.steps[n].takes for n in usual), key=lambda takes: takes.minutes)
        free = self._fits(longest, np.array([days[n] for n in usual]), able)
        place = self._usual_place(free, MOST_ASIDE if pattern.is_daily else 0)
        if place is None:
            return None
        device, slot = place
        places = dict.fromkeys(usual, place)
        for row in np.flatnonzero(~free[device, :, slot]):
            aside = self._nearest(free[:, row], slot, ASIDE)
            if aside is None:
                return None
            places[usual[row]] = aside
        for n, step in enumerate(pattern.steps):
            if not step.takes.is_consistent:
                found = self._fits(step.takes, np.array([days[n]]), able)[:, 0]
                found[:, slot + LATE + 1 :] = False  # so many hours before the next day's visit
                first = self._nearest(found, slot, LATE + slot)
                if first is None:
                    return None
                places[n] = first
        sessions = [
            Session(days[n], able[places[n][0]], self.low + places[n][1] * self.unit + offset, step.takes)
            for n, step in enumerate(pattern.steps)
            for offset in step.takes.offsets
        ]
        return sessions if _keeps_apart(sessions, pattern.spacing) else None

    def _usual_place(self, free: NDArray[np.bool_], aside: int) -> tuple[int, int] | None:
        """Device and slot that are free on most of the days: of equals the first of the day or, as often, the last."""
        count = free.sum(axis=1)
        most = int(count.max(initial=0))
        if most < free.shape[1] - aside:
            return None
        best = np.argwhere(count == most)
        order = best[np.argsort(best[:, 1], kind="stable")]
        device, slot = order[0] if self.random.random() < 0.6 else order[-1]
        return int(device), int(slot)

    @staticmethod
    def _nearest(free: NDArray[np.bool_], slot: int, most: int) -> tuple[int, int] | None:
        """The free place of a day nearest to the usual time, at most so many slots away."""
        found = np.argwhere(free)
        if not len(found):
            return None
        device, at = found[int(np.argmin(np.abs(found[:, 1] - slot)))]
        return (int(device), int(at)) if abs(at - slot) <= most else None

    def _fits(self, takes: VisitKind, days: NDArray[Any], able: list[int]) -> NDArray[np.bool_]:
        """[device, day, slot]: may every session of such a visit begin here?"""
        staffed = -(-takes.minutes // self.unit)
        held = -(-(takes.minutes + self.facts[able[0]].turnover) // self.unit)
        rows = np.ix_(np.array(able), days)
        ok = (self.may[rows] >= held) & _clear(self.busy[rows], held)
        ok &= _clear(~self._room(takes.need, days), staffed)
        whole = ok
        for offset in takes.offsets[1:]:
            by = offset // self.unit
            later = np.zeros_like(ok)
            if by < self.slots:
                later[..., : self.slots - by] = ok[..., by:]
            whole = whole & later
        return whole

    def _room(self, need: str, days: NDArray[Any]) -> NDArray[np.bool_]:
        if need == "obs":
            return np.asarray(self.used["obs"][days] < self.on["obs"][days])
        both = self.used["map"][days] + self.used["tms"][days] < self.on["tms"][days]
        return np.asarray(both & (self.used["map"][days] < self.on["map"][days]) if need == "map" else both)

    def take(self, session: Session) -> None:
        """Nobody else gets this place."""
        first = (session.start - self.low) // self.unit
        minutes = session.takes.minutes
        held = -(-(minutes + self.facts[session.device].turnover) // self.unit)
        self.busy[session.device, session.day, first : first + held] = True
        self.used[session.takes.need][session.day, first : first - (-minutes // self.unit)] += 1

    def one_more(self, pattern: Pattern, after: Session) -> Session | None:
        """A make-up behind the last session, on its device at about its time."""
        step = pattern.steps[-1]
        given = self.open_days(pattern.protocol.given_on)
        soonest = max(2 if pattern.is_daily else 3, step.gap[0])
        for day in range(after.day + soonest, min(after.day + step.gap[1] + 1, self.days)):
            if given[day]:
                free = self._fits(after.takes, np.array([day]), [after.device])[:, 0]
                place = self._nearest(free, (after.start - self.low) // self.unit, MAKE_UP)
                if place is not None:
                    found = Session(day, after.device, self.low + place[1] * self.unit, after.takes)
                    self.take(found)
                    return found
        return None


def _keeps_apart(sessions: Sequence[Session], spacing: Sequence[int]) -> bool:
    """Lie so many minutes between the starts? A visit aside may come too early behind a late one."""
    starts = [session.day * 1440 + session.start for session in sessions]
    return all(b - a >= apart for a, b, apart in zip(starts, starts[1:], spacing, strict=False))


def _clear(busy: NDArray[np.bool_], slots: int) -> NDArray[np.bool_]:
    """Where so many slots from here on are not busy; the end of the day ends them too."""
    count = np.zeros((*busy.shape[:-1], busy.shape[-1] + slots), dtype=np.int16)
    np.cumsum(busy, axis=-1, out=count[..., 1 : busy.shape[-1] + 1])
    count[..., busy.shape[-1] + 1 :] = 30_000
    return np.asarray(count[..., slots:] == count[..., : busy.shape[-1]])


# -- patterns -------------------------------------------------------------------------------------------------------


@cache
def pattern_of(key: str) -> Pattern:
    """What a course of this protocol takes."""
    protocol = catalogue()[key]
    takes: dict[tuple[str, int, str], VisitKind] = {}
    steps = []
    for visit in protocol.visits:
        minutes = int(wishes.length(protocol, visit).total_seconds() // 60)
        kind = takes.setdefault(
            (visit.kind, minutes, visit.need),
            VisitKind(visit.kind, minutes, visit.need, visit.offsets, visit.consistent),
        )
        steps.append(Step(kind, visit.gap or (1, 1), visit.ideal[0] if visit.ideal else 1))
    count = sum(len(visit.offsets) for visit in protocol.visits)
    spacing = [int(wishes.spacing(protocol, n).total_seconds() // 60) for n in range(1, count + 1)]
    return Pattern(protocol, tuple(steps), tuple(spacing))
