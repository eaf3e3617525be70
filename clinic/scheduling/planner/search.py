"""The exact search behind course.py: tables of possible starts and a shortest path over days.

Every visit is compared with an anchor time and a home device, not with the visit before. So, given both (a "lane"),
the days decouple and the best course is a small shortest path; all lanes run side by side in one array. Lanes are
first bundled: a bundle priced with the least of its lanes bounds them all from below, and only bundles whose bound
does not exceed the best course found are opened. Waiting and gaps have a price of their own, so what the best course
costs also says on which days the visits of a better one could lie. Nothing is left out by guesswork.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

import numpy as np

from clinic.scheduling.planner.lanes import BUNDLE, Lanes
from clinic.scheduling.planner.reach import Moves, Reach
from clinic.scheduling.planner.table import INF, Ints, Mode, Table, modes_for, start_costs, start_limits

START_WINDOWS = (21, 63)
FEW_GAPS = 3  # weekdays too many or too few that a course is first looked for with
LANES_AT_ONCE = 256
FEW_CELLS = 6000  # days times lanes

Gaps = tuple[Sequence[int], Ints]
NO_GAPS: Gaps = (), np.zeros((0, 0), dtype=np.int32)
Bands = Sequence[tuple[int, int]]  # per visit the first and last table day, last exclusive


@dataclass(frozen=True, slots=True)
class Solution:
    """An optimal course of the table: its lane and the day (table index) of each visit."""

    table: Table
    cost: int
    mode: Mode
    home: int
    anchor: int
    days: tuple[int, ...]


class Path:
    """Shortest path over days for many lanes at once. `most`: gaps that always cost more are passed over."""

    def __init__(self, table: Table, mode: Mode, start_cost: Ints, most: int = INF) -> None:
        self.table, self.start_cost = table, start_cost
        rules = [(visit.gap, visit.ideal) for visit in table.request.visits]
        unlike = dict(zip(rules[1:], table.request.visits[1:], strict=True))
        known = {rule: _cheap(*table.gap_costs(visit, mode), most) for rule, visit in unlike.items()}
        # per visit: days, and [gap, day of arrival] -> price
        self.gaps = [NO_GAPS, *(known[rule] for rule in rules[1:])]
        self.pad = max((gaps[-1] + 1 for gaps, _ in self.gaps if gaps), default=0)

    def run(self, prices: Sequence[Ints], bands: Bands, lanes: int, keep: list[Ints] | None = None) -> Ints:
        """Least cost per lane of a whole course; `keep` collects the table of each visit, [pad + day, lane]."""
        pad, days = self.pad, max(hi for _, hi in bands)
        lo, hi = bands[0]
        value = np.full((pad + days, lanes), INF, dtype=np.int32)
        value[pad + lo : pad + hi] = self.start_cost[lo:hi, None] + prices[self.table.class_of[0]][lo:hi]
        np.minimum(value, INF, out=value)
        spare = np.empty_like(value)
        scratch = np.empty((days, lanes), dtype=np.int32)
        if keep is not None:
            keep.append(value)
        for k in range(1, len(self.gaps)):
            lo, hi = bands[k]
            gaps, costs = self.gaps[k]
            if keep is not None and k > 1:
                spare = np.empty_like(value)
            spare.fill(INF)
            best, trial = spare[pad + lo : pad + hi], scratch[: hi - lo]
            for row, q in enumerate(gaps):
                np.add(value[pad + lo - q : pad + hi - q], costs[row, lo:hi, None], out=trial)
                np.minimum(best, trial, out=best)
            best += prices[self.table.class_of[k]][lo:hi]
            np.minimum(best, INF, out=best)
            value, spare = spare, value
            if keep is not None:
                keep.append(value)
        return np.asarray(value[pad + lo : pad + hi].min(axis=0))

    def by_start(self, prices: Sequence[Ints], reach: Reach, lanes: int) -> Ints:
        """Least cost over the lanes of a whole course that starts on each table day."""
        pad, days, last = self.pad, self.table.days, len(self.gaps) - 1
        value = np.full((days + pad, lanes), INF, dtype=np.int32)
        lo, hi = reach.band(last)
        value[lo:hi] = prices[self.table.class_of[last]][lo:hi]
        for k in range(last - 1, -1, -1):
            gaps, costs = self.gaps[k + 1]
            arrival = np.pad(costs, ((0, 0), (0, pad)))
            lo, hi = reach.band(k)
            best = np.full((hi - lo, lanes), INF, dtype=np.int32)
            for row, q in enumerate(gaps):
                np.minimum(best, value[lo + q : hi + q] + arrival[row, lo + q : hi + q, None], out=best)
            value = np.full((days + pad, lanes), INF, dtype=np.int32)
            value[lo:hi] = np.minimum(best + prices[self.table.class_of[k]][lo:hi], INF)
        return np.asarray(np.minimum(value[:days].min(axis=1) + self.start_cost, INF))

    def through(self, prices: Sequence[Ints], bands: Bands, lanes: int) -> list[Ints]:
        """Per visit and table day the least cost of a whole course that has the visit on that day; INF: none has."""
        before: list[Ints] = []
        self.run(prices, bands, lanes, keep=before)
        pad, days = self.pad, self.table.days
        rest = np.zeros((days + pad, lanes), dtype=np.int32)
        found = []
        for k in range(len(self.gaps) - 1, -1, -1):
            lo, hi = bands[k]
            least = np.full(days, INF, dtype=np.int32)
            least[lo:hi] = np.minimum((before[k][pad + lo : pad + hi] + rest[lo:hi]).min(axis=1), INF)
            found.append(least)
            if k:
                gaps, costs = self.gaps[k]
                after = np.full((days + pad, lanes), INF, dtype=np.int32)
                after[lo:hi] = np.minimum(prices[self.table.class_of[k]][lo:hi] + rest[lo:hi], INF)
                arrival = np.pad(costs, ((0, 0), (0, pad)))
                lo, hi = bands[k - 1]
                rest = np.full((days + pad, lanes), INF, dtype=np.int32)
                for row, q in enumerate(gaps):
                    np.minimum(
                        rest[lo:hi], after[lo + q : hi + q] + arrival[row, lo + q : hi + q, None], out=rest[lo:hi]
                    )
        return found[::-1]

    def trace(self, prices: Sequence[Ints], bands: Bands) -> tuple[int, ...]:
        """Days of the best course of a single lane: earliest end, then the latest earlier days."""
        steps: list[Ints] = []
        self.run(prices, bands, 1, keep=steps)
        return self.traced(steps, 0)

    def traced(self, steps: Sequence[Ints], lane: int) -> tuple[int, ...]:
        """As trace(), of one of the lanes whose run was kept."""
        pad = self.pad
        day = int(np.argmin(steps[-1][pad:, lane]))
        found = [day]
        for k in range(len(steps) - 1, 0, -1):
            gaps, costs = self.gaps[k]
            before = [int(steps[k - 1][pad + day - q, lane]) + int(costs[row, day]) for row, q in enumerate(gaps)]
            day -= gaps[before.index(min(before))]
            found.append(day)
        return tuple(reversed(found))


def _cheap(gaps: range, costs: Ints, most: int) -> Gaps:
    cheap = np.flatnonzero(costs.min(axis=1, initial=INF) <= most)
    return [gaps[row] for row in cheap], costs[cheap]


def _moves(table: Table, mode: Mode) -> Moves:
    if (Moves, mode) not in table.lasting:
        table.lasting[Moves, mode] = Moves(table, mode)
    moves: Moves = table.lasting[Moves, mode]
    return moves


def _lanes(table: Table, mode: Mode, days: int) -> Lanes:
    """With prices of so many days at least."""
    lanes: Lanes | None = table.kept.get((Lanes, mode))
    if lanes is None or lanes.days < days:
        lanes = table.kept[Lanes, mode] = Lanes(table, mode, min(table.days, days + START_WINDOWS[0]))
    return lanes


def _limits(table: Table, begin: int, end: int | None) -> tuple[int, int]:
    first, last = start_limits(table)
    return max(first, begin), last if end is None else min(last, end)


def solve(table: Table, begin: int = 0, end: int | None = None, below: int = INF) -> tuple[Solution, int] | None:
    """The optimal course and the earliest day (table index) any course can start; None is a proof that none exists.

    Of the courses that start on table days [begin, end) and cost less than `below`, where given.
    """
    answers = [found for part in table.by_zone() if (found := _solve(part, begin, end, below)) is not None]
    if not answers:
        return None
    best, _ = min(answers, key=lambda answer: answer[0].cost)
    return best, min(earliest for _, earliest in answers)


def know_least(table: Table) -> None:
    """Let searches of this question at higher prices pass over the days that cost too much even at these."""
    costs = start_costs(table)
    for part in table.by_zone():
        for mode in modes_for(table.request.min_hours):
            reach = _moves(part, mode).reach(*start_limits(table))
            if reach.exists and part.homes:
                lanes = _lanes(part, mode, table.days)
                bundled = [lanes.bundled(p) for p in lanes.by_class]
                width = max(x.shape[1] for x in bundled)
                part.lasting["least", mode] = np.array(Path(part, mode, costs).through(bundled, reach.bands, width))


def _narrowed(table: Table, mode: Mode, bands: Bands, limit: int) -> Bands | None:
    """The days of each visit of courses below the limit; None where there are no such courses."""
    least: Ints | None = table.lasting.get(("least", mode))
    if least is None or limit >= INF:
        return bands
    good = least < limit
    first, last = good.argmax(axis=1).tolist(), (table.days - good[:, ::-1].argmax(axis=1)).tolist()
    narrow = [(max(lo, a), min(hi, b)) for (lo, hi), a, b in zip(bands, first, last, strict=True)]
    return narrow if good.any(axis=1).all() and all(lo < hi for lo, hi in narrow) else None


def _solve(table: Table, begin: int, end: int | None, below: int) -> tuple[Solution, int] | None:
    best: Solution | None = None
    earliest: int | None = None
    costs = start_costs(table)
    first, last = _limits(table, begin, end)
    if first >= last or not table.homes or not table.request.visits:
        return None
    later_costs_more = bool((np.diff(costs) >= 0).all())  # not so after a gap to a visit already delivered
    windows = START_WINDOWS if later_costs_more else ()
    for mode in modes_for(table.request.min_hours):
        moves = _moves(table, mode)
        whole = moves.reach(first, last)
        if not whole.exists:
            continue
        earliest = whole.first_day if earliest is None else min(earliest, whole.first_day)
        begin = first
        for end in (*(w for w in windows if first < w < last), last):
            # a later start costs at least its own waiting: stop as soon as that alone reaches the best course
            until, limit = end, below if best is None else best.cost
            if limit < INF and later_costs_more:
                until = begin + int(np.searchsorted(costs[begin:end], limit))
            if until > begin:
                best = _best_between(table, mode, whole, (begin, until), limit) or best
            if until < end:
                break
            begin = end
    if best is None or earliest is None:
        return None
    return best, earliest


def _best_between(table: Table, mode: Mode, whole: Reach, starts: tuple[int, int], limit: int) -> Solution | None:
    """The best course strictly below the limit that starts on these table days; of equals the first lane.

    Waiting and gaps alone have a price, so a course with few gaps more than wanted lies within few days. Where that leaves
    out most days it is looked for first, and what it costs says how far a course that is no dearer can reach.
    """
    weight, most = table.request.weights.gap, limit - 1
    if weight and limit >= INF:
        guess = int(start_costs(table)[slice(*starts)].min()) + FEW_GAPS * weight
        narrow = _affordable(table, starts, whole.bands, guess)
        if narrow is not None and 2 * _days(narrow) < _days(whole.bands):
            found = _best_affordable(table, mode, starts, narrow, guess, limit)
            if found is not None and found.cost <= guess:
                return found
            if found is not None:
                most, limit = found.cost, found.cost + 1
    reach = whole if weight and limit < INF else _moves(table, mode).reach(*starts)
    bands = _narrowed(table, mode, reach.bands, limit) if reach.exists else None
    narrow = None if bands is None else _affordable(table, starts, bands, most)
    return None if narrow is None else _best_affordable(table, mode, starts, narrow, most, limit)


def _ideals(table: Table) -> tuple[Ints, Ints]:
    """Per visit the wanted weekdays from the start, at least and at most; up to the first visit that has no wish."""
    if "ideals" not in table.lasting:
        wishes = takewhile(lambda ideal: ideal is not None, (x.ideal for x in table.request.visits[1:]))
        table.lasting["ideals"] = np.cumsum([(0, 0), *(x for x in wishes if x)], axis=0, dtype=np.int32).T
    least, most = table.lasting["ideals"]
    return least, most


def _days(bands: Bands) -> int:
    return sum(hi - lo for lo, hi in bands)


def _best_affordable(
    table: Table, mode: Mode, starts: tuple[int, int], bands: Bands, most: int, limit: int
) -> Solution | None:
    """As _best_between(), of the courses on these days whose gaps cost at most what the cheapest start leaves of `most`."""
    costs = start_costs(table)
    path = Path(table, mode, costs, most - int(costs[slice(*starts)].min()))
    return _best_lane(table, mode, _lanes(table, mode, max(hi for _, hi in bands)), path, bands, limit)


def _affordable(table: Table, starts: tuple[int, int], bands: Bands, most: int) -> Bands | None:
    """The days of each visit of courses that cost at most `most` by start and gaps alone; None: there are none.

    Gaps off the wanted weekdays add up to at least what the visit itself is off, seen from the start.
    """
    weight, numbers = table.request.weights.gap, table.occupancy.weekday_numbers[table.first_day :]
    narrow = [(max(bands[0][0], starts[0]), min(bands[0][1], starts[1])), *bands[1:]]
    if weight and most < INF - 1:
        left = most - start_costs(table)[slice(*starts)]
        can = left >= 0
        if not can.any():
            return None
        off, begins = left[can] // weight, numbers[slice(*starts)][can]
        least, most_ideal = _ideals(table)
        first = numbers.searchsorted(least + (begins - off).min(), "left").tolist()
        last = numbers.searchsorted(most_ideal + (begins + off).max(), "right").tolist()
        for k, (lo, hi) in enumerate(narrow[: len(first)]):
            narrow[k] = max(lo, first[k]), min(hi, last[k])
    return narrow if all(lo < hi for lo, hi in narrow) else None


def earliest_day(table: Table, begin: int = 0, end: int | None = None) -> int | None:
    """Earliest table day, of [begin, end) where given, on which any course can start; None: a proof that none exists."""
    first, last = _limits(table, begin, end)
    if first >= last or not table.request.visits:
        return None
    reaches = (
        _moves(part, mode).reach(first, last)
        for part in table.by_zone()
        if part.homes
        for mode in modes_for(table.request.min_hours)
    )
    return min((reach.first_day for reach in reaches if reach.exists), default=None)


def best_by_start(table: Table, begin: int = 0, end: int | None = None) -> Ints:
    """For each table day, of [begin, end) where given, the cost of the best course that starts on it; INF: none does."""
    best = np.full(table.days, INF, dtype=np.int32)
    first, last = _limits(table, begin, end)
    if first >= last or not table.request.visits:
        return best
    costs = start_costs(table)
    for part in table.by_zone():
        if not part.homes:
            continue
        for mode in modes_for(part.request.min_hours):
            reach = _moves(part, mode).reach(first, last)
            if not reach.exists:
                continue
            lanes, path = _lanes(part, mode, table.days), Path(part, mode, costs)
            for begin in range(0, lanes.homes * lanes.anchors, LANES_AT_ONCE):
                which = np.arange(begin, min(begin + LANES_AT_ONCE, lanes.homes * lanes.anchors))
                prices = [lanes.picked(p, which) for p in lanes.by_class]
                np.minimum(best, path.by_start(prices, reach, len(which)), out=best)
    best[:first], best[last:] = INF, INF
    return best


def _best_lane(table: Table, mode: Mode, lanes: Lanes, path: Path, bands: Bands, limit: int) -> Solution | None:
    """The best course strictly below the limit; of equals the first lane. None if there is none."""
    if lanes.homes * lanes.anchors * max(hi - lo for lo, hi in bands) <= FEW_CELLS:
        return _best_of_all(table, mode, lanes, path, bands, limit)
    bundles = -(-lanes.anchors // BUNDLE)
    bounds = path.run([lanes.bundled(p) for p in lanes.by_class], bands, lanes.homes * bundles)
    order = np.argsort(bounds, kind="stable")
    chosen: tuple[int, int] | None = None
    done, batch = 0, 4
    while done < len(order) and bounds[order[done]] < limit + (chosen is not None):
        group = order[done : done + batch]
        group = group[bounds[group] <= limit]
        done, batch = done + batch, LANES_AT_ONCE // BUNDLE
        anchors = (group % bundles)[:, None] * BUNDLE + np.arange(BUNDLE)
        which = ((group // bundles)[:, None] * lanes.anchors + anchors)[anchors < lanes.anchors]
        which.sort()
        values = path.run([lanes.picked(p, which) for p in lanes.by_class], bands, len(which))
        at = int(np.argmin(values))
        value, lane = int(values[at]), int(which[at])
        if value < limit or (chosen is not None and value == limit and lane < chosen[1]):
            limit, chosen = value, (value, lane)
    if chosen is None:
        return None
    cost, lane = chosen
    single = [lanes.picked(p, np.array([lane])) for p in lanes.by_class]
    home, anchor = divmod(lane, lanes.anchors)
    return Solution(table, cost, mode, home, lanes.first_anchor + anchor, path.trace(single, bands))


def _best_of_all(table: Table, mode: Mode, lanes: Lanes, path: Path, bands: Bands, limit: int) -> Solution | None:
    """As _best_lane(), all lanes in one go: for so few of them and so few days it is the steps that cost."""
    steps: list[Ints] = []
    which = np.arange(lanes.homes * lanes.anchors)
    values = path.run([lanes.picked(p, which) for p in lanes.by_class], bands, len(which), keep=steps)
    lane = int(np.argmin(values))
    if values[lane] >= limit:
        return None
    home, anchor = divmod(lane, lanes.anchors)
    return Solution(table, int(values[lane]), mode, home, lanes.first_anchor + anchor, path.traced(steps, lane))
