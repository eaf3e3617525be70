"""The exact search behind course.py: tables of possible starts and a shortest path over days.

Every visit is compared with an anchor time and a home device, not with the visit before. So, given both (a "lane"),
the days decouple and the best course is a small shortest path; all lanes run side by side in one array. Lanes are
first bundled: a bundle priced with the least of its lanes bounds them all from below, and only bundles whose bound
does not exceed the best course found are opened. Nothing is left out by guesswork.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clinic.scheduling.planner.facts import CourseRequest, Span, VisitSpec, Weights
from clinic.scheduling.planner.occupancy import Occupancy
from clinic.scheduling.planner.rules import Block, Mask, possible_starts, usable_devices

Ints = NDArray[np.int32]
INF = 1 << 29  # three of them still fit 32 bits
BUNDLE = 8
START_WINDOWS = (21, 63)
LANES_AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class Mode:
    """A way to keep the hours between starts: starts at most `half` minutes from the anchor, gaps of `min_gap` days up."""

    half: int | None
    min_gap: int


def worst_cost(weights: Weights, visits: int, days: int, penalty: int) -> int:
    """No course of so many visits in so many days can cost more; it must stay below INF to be planned exactly."""
    a_visit = 1440 * weights.tod + weights.dev + weights.loc + weights.pref + penalty + days * weights.gap
    return visits * a_visit + days * (max(weights.wait) + max(weights.late))


def modes_for(min_hours: int | None) -> tuple[Mode, ...]:
    """The modes that together keep `min_hours` by construction; a course of any of them is allowed."""
    if min_hours is None:
        return (Mode(None, 0),)
    days = -(-min_hours // 24)
    if min_hours % 24:
        return (Mode((days * 24 - min_hours) * 60 // 2, days),)
    return Mode(None, days + 1), Mode(0, days)


def _class_key(visit: VisitSpec) -> tuple[object, ...]:
    return visit.duration, visit.capability, visit.need, visit.offsets, visit.consistent


@dataclass(frozen=True, slots=True)
class StartClass:
    """Possible starts of all visits that are alike: [device, day, start], and what each costs beyond distance."""

    visit: VisitSpec
    devices: NDArray[np.intp]
    mask: Mask
    extra: Ints | None
    penalty: Ints


class Table:
    """Possible starts of one request. Days count from `first_day`, starts from `first_start` on the grid.

    `strict`: where given, the starts it forbids are allowed at `price` each (to find the course with fewest of them).
    """

    def __init__(
        self, request: CourseRequest, occupancy: Occupancy, *, strict: "Table | None" = None, price: int = 0
    ) -> None:
        self.request, self.occupancy = request, occupancy
        penalty = max(request.locations.values(), default=0)
        if worst_cost(request.weights, len(request.visits), occupancy.days, penalty) >= INF:
            raise ValueError("the prices are too large to plan exactly")
        earliest = request.not_before if request.continued else max(request.not_before, request.release)
        self.first_day = max(0, min(earliest, occupancy.days))
        self.days = occupancy.days - self.first_day
        self.first_start, self.count = self._start_range()
        self.classes: list[StartClass] = []
        self.class_of: list[int] = []
        index: dict[tuple[object, ...], int] = {}
        for visit in request.visits:
            key = _class_key(visit)
            if key not in index:
                index[key] = len(self.classes)
                self.classes.append(self._start_class(visit, strict, price))
            self.class_of.append(index[key])
        self.homes = self._homes()
        self._gap_costs: dict[tuple[Span | None, Span | None, Mode], tuple[range, Ints]] = {}

    def _start_range(self) -> tuple[int, int]:
        occupancy, request = self.occupancy, self.request
        spans = [s for day in request.windows for s in day]
        low = max(occupancy.low, min((a for a, _ in spans), default=0))
        shortest = min((v.span for v in request.visits), default=0)
        high = min(occupancy.low + occupancy.slots * occupancy.unit, max((b for _, b in spans), default=0)) - shortest
        first = -(-low // occupancy.grid) * occupancy.grid
        return first, max(1, (high - first) // occupancy.grid + 1)

    def _start_class(self, visit: VisitSpec, strict: "Table | None", price: int) -> StartClass:
        request, occupancy = self.request, self.occupancy
        devices = usable_devices(request, occupancy, visit)
        block = Block(request, occupancy, visit, devices, self.first_day, occupancy.days, self.first_start, self.count)
        mask = possible_starts(block)
        extra: Ints | None = None
        if visit.consistent and request.preferred is not None:
            outside = (block.starts < request.preferred[0]) | (block.starts >= request.preferred[1])
            extra = (outside * np.int32(request.weights.pref)).astype(np.int32)
        if strict is not None:
            forbidden = ~strict.allows(visit, devices, self)
            extra = (forbidden * np.int32(price)).astype(np.int32) + (0 if extra is None else extra)
        penalty = np.array([request.locations[occupancy.devices[i].location] for i in devices], dtype=np.int32)
        return StartClass(visit, devices, mask, extra, penalty)

    def allows(self, visit: VisitSpec, devices: NDArray[np.intp], like: "Table") -> Mask:
        """This table's possible starts of a visit on the frame of another table and other devices."""
        frame = np.zeros((len(devices), like.days, like.count), dtype=np.bool_)
        mine = self.classes[[_class_key(c.visit) for c in self.classes].index(_class_key(visit))]
        shift = (self.first_start - like.first_start) // self.occupancy.grid
        row = {int(device): x for x, device in enumerate(mine.devices)}
        for i, device in enumerate(devices):
            if int(device) in row:
                a, b = max(0, shift), min(like.count, shift + self.count)
                offset = self.first_day - like.first_day
                frame[i, offset:, a:b] = mine.mask[row[int(device)], :, a - shift : b - shift]
        return frame

    def _homes(self) -> list[int]:
        """Devices worth being home: any other is never better than one of these in the same location."""
        request, devices = self.request, self.occupancy.devices
        own = [i for i, x in enumerate(devices) if x.kind == request.device_kind and x.location in request.locations]
        wanted = {int(i) for c in self.classes if c.visit.consistent for i in c.devices}
        homes = [i for i in own if i in wanted] or own
        return sorted(homes, key=lambda i: (request.locations[devices[i].location], i))

    # -- gaps ---------------------------------------------------------------------------------------------------

    def gap_costs(self, visit: VisitSpec, mode: Mode) -> tuple[range, Ints]:
        """Allowed gaps in days, and [gap, day of arrival] -> price; INF where the hours between starts forbid it."""
        key = visit.gap, visit.ideal, mode
        if key not in self._gap_costs:
            gap = visit.gap or (1, self.days)
            gaps = range(max(gap[0], mode.min_gap), min(gap[1], self.days) + 1)
            self._gap_costs[key] = gaps, self._gap_table(gaps, visit.ideal, mode)
        return self._gap_costs[key]

    def _gap_table(self, gaps: range, ideal: Span | None, mode: Mode) -> Ints:
        occupancy = self.occupancy
        arrivals = np.arange(self.first_day, occupancy.days)
        before = np.maximum(arrivals - np.array(gaps, dtype=np.intp)[:, None], 0)
        table = np.zeros(before.shape, dtype=np.int32)
        if ideal is not None:
            weekdays = occupancy.weekdays_until[arrivals] - occupancy.weekdays_until[before]
            off = np.maximum(np.maximum(ideal[0] - weekdays, weekdays - ideal[1]), 0)
            table += off.astype(np.int32) * np.int32(self.request.weights.gap)
        if self.request.min_hours is not None:
            lost = np.cumsum(occupancy.minutes_lost)
            spread = (self.count - 1) * occupancy.grid if mode.half is None else 2 * mode.half
            passed = np.array(gaps)[:, None] * 1440 - (lost[arrivals] - lost[before]) - spread
            table[passed < self.request.min_hours * 60] = INF
        return table


# -- feasibility: one integer as a set of (day, anchor) --------------------------------------------------------------


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
        for visit in table.request.visits:
            key = visit.gap, visit.ideal
            if key not in known:
                known[key] = self._shifts(visit)
        self.shifts = [known[visit.gap, visit.ideal] for visit in table.request.visits]

    def _possible(self, starts: StartClass) -> int:
        anywhere: Mask = np.asarray(starts.mask.any(axis=0))
        if self.mode.half is None:
            return _as_bits(np.asarray(anywhere.any(axis=1)))
        return _as_bits(_dilate(anywhere, self.mode.half // self.table.occupancy.grid))

    def _shifts(self, visit: VisitSpec) -> list[tuple[int, int | None]]:
        gaps, costs = self.table.gap_costs(visit, self.mode)
        if self.table.request.min_hours is None:
            return [(q * self.width, None) for q in gaps]
        return [(q * self.width, self._allowed(costs[row] < INF)) for row, q in enumerate(gaps)]

    def _allowed(self, days: Mask) -> int | None:
        return None if days.all() else _as_bits(np.repeat(days, self.width))


class Reach:
    """Days on which each visit can fall so that a whole course exists, per anchor where the mode ties starts to it.

    forward[k] are the days that visits 0..k can reach; an empty one is the proof that no course exists.
    live[k] are those from which the rest can be completed too.
    """

    def __init__(self, moves: Moves, first: int, last: int) -> None:
        self.table, self.width = moves.table, moves.width
        self._moves = moves.shifts
        possible, everything = moves.possible, self.days_mask(0, self.table.days)
        self.forward = [possible[0] & self._start_days(first, last)]
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

    def days_of(self, bits: int) -> list[int]:
        """Table indices of the days in a set."""
        one = (1 << self.width) - 1
        return [d for d in range(self.table.days) if bits >> (d * self.width) & one]


# -- prices per lane -------------------------------------------------------------------------------------------------


def _nearest(costs: Ints, step: int) -> Ints:
    """min over starts t of costs[t] + step * |t - anchor|, for every anchor on the last axis."""
    way = np.arange(costs.shape[-1], dtype=np.int32) * np.int32(step)
    left = np.minimum.accumulate(costs - way, axis=-1)
    left += way
    right = np.minimum.accumulate((costs + way)[..., ::-1], axis=-1)[..., ::-1]
    right = right - way
    return np.asarray(np.minimum(left, right, out=left))


class Lanes:
    """Price of every class on every day for every lane (home, anchor): arrays [day, home, anchor]."""

    def __init__(self, table: Table, mode: Mode) -> None:
        self.table, self.mode = table, mode
        self.first_anchor, self.anchors = self._anchor_range()
        self.homes = len(table.homes)
        self.by_class = [self._consistent(c) if c.visit.consistent else self._free(c) for c in table.classes]

    def _anchor_range(self) -> tuple[int, int]:
        """Anchors between the first and the last possible start; with starts tied to it an anchor may lie between."""
        if self.mode.half is not None and self.mode.half > 0:
            return 0, self.table.count
        used = np.zeros(self.table.count, dtype=np.bool_)
        for c in self.table.classes:
            if c.visit.consistent:
                used |= c.mask.any(axis=(0, 1))
        where = np.flatnonzero(used)
        return (0, 1) if len(where) == 0 else (int(where[0]), int(where[-1] - where[0] + 1))

    def _by_distance(self, mask: Mask, extra: Ints | None, tod: int) -> Ints:
        grid, half = self.table.occupancy.grid, self.mode.half
        if half is None:
            price = np.int32(0) if extra is None else extra
            return _nearest(np.where(mask, price, np.int32(INF)).astype(np.int32, copy=False), tod * grid)
        best = np.full(mask.shape, INF, dtype=np.int32)
        for level in (0,) if extra is None else np.unique(extra):
            at_level = mask if extra is None else mask & (extra == level)
            far = _nearest(np.where(at_level, np.int32(0), np.int32(INF)), grid)
            np.minimum(best, np.where(far <= half, far * np.int32(tod) + np.int32(level), np.int32(INF)), out=best)
        return best

    def _consistent(self, c: StartClass) -> Ints:
        table, weights = self.table, self.table.request.weights
        a, b = self.first_anchor, self.first_anchor + self.anchors
        extra = None if c.extra is None else c.extra[..., a:b]
        price = self._by_distance(c.mask[:, :, a:b], extra, weights.tod) + c.penalty[:, None, None]
        location = table.occupancy.device_location
        at = location[c.devices]
        nowhere = np.full(price.shape[1:], INF, dtype=np.int32)
        best = {int(place): price[at == place].min(axis=0) for place in np.unique(at)}
        lanes = np.empty((table.days, self.homes, self.anchors), dtype=np.int32)
        rows = {int(device): x for x, device in enumerate(c.devices)}
        for h, home in enumerate(table.homes):
            here = int(location[home])
            lane = best.get(here, nowhere) + np.int32(weights.dev)
            if home in rows:
                np.minimum(lane, price[rows[home]], out=lane)
            for place, elsewhere in best.items():
                if place != here:
                    np.minimum(lane, elsewhere + np.int32(weights.loc), out=lane)
            np.minimum(lane, INF, out=lanes[:, h])
        return lanes

    def _free(self, c: StartClass) -> Ints:
        """A visit compared with nothing: only place (and what a start costs extra) matters."""
        if self.mode.half is None:
            extra = np.int32(0) if c.extra is None else c.extra
            price = np.where(c.mask, extra, np.int32(INF)).min(axis=2, initial=INF).astype(np.int32)
            lane = np.minimum((price + c.penalty[:, None]).min(axis=0, initial=INF), INF)
            return np.asarray(lane[:, None, None])
        a, b = self.first_anchor, self.first_anchor + self.anchors
        price3 = self._by_distance(c.mask, c.extra, 0)[:, :, a:b] + c.penalty[:, None, None]
        return np.asarray(np.minimum(price3.min(axis=0, initial=INF), INF)[:, None, :])

    def bundled(self, lanes: Ints) -> Ints:
        """[day, bundle]: the least price of BUNDLE neighbouring anchors of one home."""
        if lanes.shape[1:] == (1, 1):
            return lanes.reshape(len(lanes), 1)
        short = -lanes.shape[2] % BUNDLE
        if short:
            lanes = np.pad(lanes, ((0, 0), (0, 0), (0, short)), constant_values=INF)
        least = lanes[:, :, ::BUNDLE].copy()
        for j in range(1, BUNDLE):
            np.minimum(least, lanes[:, :, j::BUNDLE], out=least)
        return np.broadcast_to(least, (len(least), self.homes, least.shape[2])).reshape(len(least), -1)

    def picked(self, lanes: Ints, which: NDArray[np.intp]) -> Ints:
        """[day, lane] of the lanes `which`, numbered home-major."""
        if lanes.shape[1:] == (1, 1):
            return lanes.reshape(len(lanes), 1)
        if lanes.shape[1] == 1:
            return lanes[:, 0, which % self.anchors]
        return lanes.reshape(len(lanes), -1)[:, which]


# -- shortest path ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Solution:
    """An optimal course of the table: its lane and the day (table index) of each visit."""

    cost: int
    mode: Mode
    home: int
    anchor: int
    days: tuple[int, ...]


class Path:
    """Shortest path over days for many lanes at once."""

    def __init__(self, table: Table, mode: Mode, start_cost: Ints) -> None:
        self.table, self.start_cost = table, start_cost
        self.gaps = [table.gap_costs(visit, mode) for visit in table.request.visits]
        self.pad = max((gaps.stop for gaps, _ in self.gaps[1:]), default=0)

    def run(self, prices: Sequence[Ints], reach: Reach, lanes: int, keep: list[Ints] | None = None) -> Ints:
        """Least cost per lane of a whole course; `keep` collects the table of each visit, [pad + day, lane]."""
        pad, days = self.pad, self.table.days
        lo, hi = reach.band(0)
        value = np.full((pad + days, lanes), INF, dtype=np.int32)
        value[pad + lo : pad + hi] = self.start_cost[lo:hi, None] + prices[self.table.class_of[0]][lo:hi]
        np.minimum(value, INF, out=value)
        spare = np.empty_like(value)
        scratch = np.empty((days, lanes), dtype=np.int32)
        if keep is not None:
            keep.append(value.copy())
        for k in range(1, len(self.gaps)):
            lo, hi = reach.band(k)
            gaps, costs = self.gaps[k]
            spare.fill(INF)
            best, trial = spare[pad + lo : pad + hi], scratch[: hi - lo]
            for row, q in enumerate(gaps):
                np.add(value[pad + lo - q : pad + hi - q], costs[row, lo:hi, None], out=trial)
                np.minimum(best, trial, out=best)
            best += prices[self.table.class_of[k]][lo:hi]
            np.minimum(best, INF, out=best)
            value, spare = spare, value
            if keep is not None:
                keep.append(value.copy())
        return np.asarray(value[pad + lo : pad + hi].min(axis=0))

    def trace(self, prices: Sequence[Ints], reach: Reach) -> tuple[int, ...]:
        """Days of the best course of a single lane: earliest end, then the latest earlier days."""
        steps: list[Ints] = []
        self.run(prices, reach, 1, keep=steps)
        pad = self.pad
        day = int(np.argmin(steps[-1][pad:, 0]))
        found = [day]
        for k in range(len(steps) - 1, 0, -1):
            gaps, costs = self.gaps[k]
            before = [int(steps[k - 1][pad + day - q, 0]) + int(costs[row, day]) for row, q in enumerate(gaps)]
            day -= gaps[before.index(min(before))]
            found.append(day)
        return tuple(reversed(found))


def start_costs(table: Table) -> Ints:
    """Price of the first visit falling on each day: waiting, or the gap to the last delivered visit."""
    request, between = table.request, table.occupancy.weekdays_between
    costs = np.zeros(table.days, dtype=np.int32)
    own = table.occupancy.weekdays_until[table.first_day :]
    if table.days == 0:
        return costs
    if request.previous_day is not None and request.visits[0].ideal is not None:
        low, high = request.visits[0].ideal
        weekdays = own - own[0] + between(request.previous_day, table.first_day)
        costs += request.weights.gap * np.maximum(np.maximum(low - weekdays, weekdays - high), 0)
    elif not request.continued:
        weekdays = own - own[0] + between(request.release, table.first_day)
        costs += request.weights.wait[request.priority] * weekdays
        costs += request.weights.late[request.priority] * np.maximum(weekdays - request.target, 0)
    return costs


def waiting(request: CourseRequest, weekdays: int) -> int:
    """Price of a first visit so many weekdays after the release."""
    weights, priority = request.weights, request.priority
    return weights.wait[priority] * weekdays + weights.late[priority] * max(0, weekdays - request.target)


def start_limits(table: Table) -> tuple[int, int]:
    """Table days [first, last) on which the first visit may fall."""
    if table.request.continued:
        return 0, table.days
    return 0, max(0, min(table.days, table.request.latest_start - table.first_day + 1))


def solve(table: Table) -> tuple[Solution, int] | None:
    """The optimal course and the earliest day (table index) any course can start; None is a proof that none exists."""
    best: Solution | None = None
    earliest: int | None = None
    costs = start_costs(table)
    first, last = start_limits(table)
    if first >= last or not table.homes or not table.request.visits:
        return None
    for mode in modes_for(table.request.min_hours):
        moves = Moves(table, mode)
        whole = Reach(moves, first, last)
        if not whole.exists:
            continue
        earliest = whole.first_day if earliest is None else min(earliest, whole.first_day)
        lanes, path = Lanes(table, mode), Path(table, mode, costs)
        begin = first
        windows = () if table.request.continued else START_WINDOWS
        for end in (*(w for w in windows if w < last), last):
            # a later start costs at least its own waiting: stop as soon as that alone reaches the best course
            until = end if best is None else begin + int(np.searchsorted(costs[begin:end], best.cost))
            if until > begin:
                found = _best_lane(table, mode, lanes, path, Reach(moves, begin, until), best)
                best = found or best
            if until < end:
                break
            begin = end
    if best is None or earliest is None:
        return None
    return best, earliest


def earliest_day(table: Table) -> int | None:
    """Earliest table day on which any course can start; None is a proof that none exists."""
    first, last = start_limits(table)
    if first >= last or not table.homes or not table.request.visits:
        return None
    reaches = (Reach(Moves(table, mode), first, last) for mode in modes_for(table.request.min_hours))
    return min((reach.first_day for reach in reaches if reach.exists), default=None)


def _best_lane(
    table: Table, mode: Mode, lanes: Lanes, path: Path, reach: Reach, best: Solution | None
) -> Solution | None:
    """The best course strictly below `best`; of equals the first lane. None if there is none."""
    if not reach.exists:
        return None
    limit = INF if best is None else best.cost
    bundles = -(-lanes.anchors // BUNDLE)
    bounds = path.run([lanes.bundled(p) for p in lanes.by_class], reach, lanes.homes * bundles)
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
        values = path.run([lanes.picked(p, which) for p in lanes.by_class], reach, len(which))
        at = int(np.argmin(values))
        value, lane = int(values[at]), int(which[at])
        if value < limit or (chosen is not None and value == limit and lane < chosen[1]):
            limit, chosen = value, (value, lane)
    if chosen is None:
        return None
    cost, lane = chosen
    single = [lanes.picked(p, np.array([lane])) for p in lanes.by_class]
    home, anchor = divmod(lane, lanes.anchors)
    return Solution(cost, mode, home, lanes.first_anchor + anchor, path.trace(single, reach))
