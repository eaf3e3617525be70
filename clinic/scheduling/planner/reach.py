"""Feasibility: one integer as a set of (day, anchor), one shift per allowed gap. An empty set is a proof."""

from functools import cached_property

import numpy as np

from clinic.scheduling.planner.facts import Span, VisitSpec
from clinic.scheduling.planner.rules import Mask
from clinic.scheduling.planner.table import INF, Mode, StartClass, Table


def _dilate(mask: Mask, reach: int) -> Mask:
    """Anchors that have a start within `reach` grid steps, along the last axis."""
    wide = mask.copy()
    for step in range(1, min(reach, mask.shape[-1] - 1) + 1):
        wide[..., step:] |= mask[..., :-step]
        wide[..., :-step] |= mask[..., step:]
    return wide


def _as_bits(mask: Mask) -> int:
    return int.from_bytes(np.packbits(mask.ravel(), bitorder="little").tobytes(), "little")


class Moves:
    """What a mode allows: the possible (day, anchor) of each class and the shifts from visit to visit, as integers.

    `width` anchors make a day: one where starts are not tied to the anchor.
    """

    def __init__(self, table: Table, mode: Mode) -> None:
        self.table, self.mode = table, mode
        self.width = 1 if mode.half is None else table.count
        by_class = [self._possible(c) for c in table.classes]
        self.possible = [by_class[i] for i in table.class_of]
        known: dict[tuple[Span | None, Span | None], list[tuple[int, int | None]]] = {}
        for visit in table.request.visits[1:]:
            key = visit.gap, visit.ideal
            if key not in known:
                known[key] = self._shifts(visit)
        self.shifts = [[], *(known[visit.gap, visit.ideal] for visit in table.request.visits[1:])]
        self._reaches: dict[tuple[int, int], Reach] = {}

    def reach(self, first: int, last: int) -> "Reach":
        """The days of courses that start on table days [first, last)."""
        if (first, last) not in self._reaches:
            self._reaches[first, last] = Reach(self, first, last)
        return self._reaches[first, last]

    def _possible(self, starts: StartClass) -> int:
        anywhere: Mask = np.asarray(starts.mask.any(axis=0))
        if self.mode.half is None:
            return _as_bits(np.asarray(anywhere.any(axis=1)))
        return _as_bits(_dilate(anywhere, self.mode.half // self.table.occupancy.grid))

    def _shifts(self, visit: VisitSpec) -> list[tuple[int, int | None]]:
        gaps, costs = self.table.gap_costs(visit, self.mode)
        if self.table.request.min_hours is None:
            return [(q * self.width, None) for q in gaps]
        days = costs < INF
        always: list[bool] = np.asarray(days.all(axis=1)).tolist()
        return [
            (q * self.width, None if always[row] else _as_bits(np.repeat(days[row], self.width)))
            for row, q in enumerate(gaps)
        ]


class Reach:
    """Days on which each visit can fall so that a whole course exists, per anchor where the mode ties starts to it.

    forward[k] are the days that visits 0..k can reach; an empty one is the proof that no course exists.
    live[k] are those from which the rest can be completed too.
    """

    def __init__(self, moves: Moves, first: int, last: int) -> None:
        self.table, self.width = moves.table, moves.width
        self._moves = moves.shifts
        possible, everything = moves.possible, self.days_mask(0, self.table.days)
        self.start_days = self._start_days(first, last)
        self.forward = [possible[0] & self.start_days]
        for k in range(1, len(possible)):
            self.forward.append(self.candidates(k) & possible[k] & everything)
        back = self.forward[-1]
        self.live = [back]
        for k in range(len(possible) - 1, 0, -1):
            earlier = 0
            for shift, allowed in self._moves[k]:
                earlier |= (back if allowed is None else back & allowed) >> shift
            back = earlier & self.forward[k - 1]
            self.live.append(back)
        self.live.reverse()

    def _start_days(self, first: int, last: int) -> int:
        request, start = self.table.request, self.days_mask(first, last)
        if request.previous_day is not None and request.visits[0].gap is not None:
            gap, before = request.visits[0].gap, request.previous_day - self.table.first_day
            start &= self.days_mask(before + max(gap[0], 1), before + gap[1] + 1)
        return start

    def days_mask(self, first: int, last: int) -> int:
        """The set of all anchors on days [first, last)."""
        first, last = max(0, first), max(0, min(last, self.table.days))
        if last <= first:
            return 0
        return ((1 << ((last - first) * self.width)) - 1) << (first * self.width)

    def candidates(self, k: int) -> int:
        """Days that the gap rule leaves for visit k, whether or not a start is possible there."""
        after, before = 0, self.forward[k - 1]
        for shift, allowed in self._moves[k]:
            after |= before << shift if allowed is None else (before << shift) & allowed
        return after

    @property
    def exists(self) -> bool:
        """True if a course exists."""
        return self.live[0] != 0

    @property
    def first_day(self) -> int:
        """Earliest day (table index) on which a course can start."""
        return ((self.live[0] & -self.live[0]).bit_length() - 1) // self.width

    def band(self, k: int) -> tuple[int, int]:
        """First and last day (table indices, last exclusive) on which visit k of a course can fall."""
        bits = self.live[k]
        return ((bits & -bits).bit_length() - 1) // self.width, (bits.bit_length() - 1) // self.width + 1

    @cached_property
    def bands(self) -> list[tuple[int, int]]:
        """band() of every visit, where a course exists."""
        return [self.band(k) for k in range(len(self.live))]

    def days_of(self, bits: int) -> list[int]:
        """Table indices of the days in a set."""
        one = (1 << self.width) - 1
        return [d for d in range(self.table.days) if bits >> (d * self.width) & one]
