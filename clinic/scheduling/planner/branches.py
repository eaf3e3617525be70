"""What prices alone cannot prove: all plans are parted in two, again and again, and each part has prices of its own.

A part is one patient's home device, usual time or first day on one side of a line; where no such line helps, a place that
either the patient keeps off or everybody else. No plan is lost, so the least bound of all parts that are left bounds every
plan; the part with the least is the next to be split. Where the line is drawn is decided by what the linear programme
over the known courses then says of both sides.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from heapq import heappop, heappush

from clinic.scheduling.planner.bids import ALL, Limits
from clinic.scheduling.planner.master import Relaxed
from clinic.scheduling.planner.prices import Course, Market, Part
from clinic.scheduling.planner.shuffle import Budget

TRIED = 14  # lines that are tried, the most even ones first
NEAR = 0.1  # how near to what prices can prove at all a part is priced before it is split
NOTHING = 1e-4  # a smaller share of a course is none
MOST_GAIN = 50.0  # of the better side that counts
SIDE = 0.1  # how much it counts beside the worse side

Sides = tuple[Limits, Limits]
Halves = Mapping[str, Limits]
Shares = list[tuple[Course, float]]


class Branches:
    """The parts that are left of all plans that cost less than the best one known."""

    def __init__(self, market: Market, cost: int) -> None:
        """cost: of the best plan known."""
        self.market, self.cost = market, cost
        self._left: list[tuple[int, int, Part]] = []
        self._made = 0
        self._keep(market.whole)

    @property
    def bound(self) -> int:
        """No plan of the list costs less."""
        return min([self.cost, *(part.bound for _, _, part in self._left[:1])])

    def grow(self, budget: Budget) -> None:
        """Split the part with the least bound until the best plan is proven, the budget ends or no line can be drawn."""
        while self.bound < self.cost and budget.step():
            _, _, part = self._left[0]
            halves = self._split(part)
            if halves is None:
                before = part.scaled
                self.market.trade(part, budget, self.cost)
                if part.scaled == before:
                    return
                parts = [part]
            else:
                parts = [Part(part.prices, part.scaled, limits) for limits in halves]
                for half in parts:
                    self.market.trade(half, budget, self.cost, near=NEAR)
            heappop(self._left)
            for half in parts:
                self._keep(half)

    def _keep(self, part: Part) -> None:
        if part.bound < self.cost:
            self._made += 1
            heappush(self._left, (part.scaled, self._made, part))

    def _split(self, part: Part) -> list[Halves] | None:
        """The two sides of the line that promises most; None if the mixture is a plan."""
        relaxed = self.market.relaxed(part.limits)
        if relaxed is None:
            return None
        best: list[Halves] | None = None
        promise = -1.0
        for lines in (self._lines, self._contested):
            for sides in lines(part, relaxed):
                halves: list[Halves] = [{**part.limits, **side} for side in sides]
                found = [self.market.relaxed(half) for half in halves]
                worse, better = sorted(MOST_GAIN if x is None else x.value - relaxed.value for x in found)
                if (value := worse + SIDE * min(better, MOST_GAIN)) > promise:
                    best, promise = halves, value
            if promise > NOTHING:
                break
        return best

    def _lines(self, part: Part, relaxed: Relaxed) -> list[list[Halves]]:
        """Lines with courses of the mixture on both sides, the most even first."""
        found: list[tuple[float, list[Halves]]] = []
        for patient, shares in self._mixed(relaxed):
            limits = part.limits.get(patient, ALL)
            every = (*self._homes(patient, limits, shares), *self._anchors(limits, shares), *_starts(limits, shares))
            found.extend((abs(share - 0.5), [{patient: x} for x in sides]) for share, sides in every)
        return [sides for _, sides in sorted(found, key=lambda x: x[0])[:TRIED]]

    def _contested(self, part: Part, relaxed: Relaxed) -> list[list[Halves]]:
        """Single places: either the patient keeps off, or everybody else does. One for each patient."""
        mixed = self._mixed(relaxed)
        by_patient: dict[str, dict[int, float]] = {patient: defaultdict(float) for patient, _ in mixed}
        wanted: dict[int, float] = defaultdict(float)
        for patient, shares in mixed:
            for course, share in shares:
                for place in course.places.tolist():
                    by_patient[patient][place] += share
                    wanted[place] += share
        found: list[tuple[float, list[Halves]]] = []
        for patient, mine in by_patient.items():
            open_ones = [
                (abs(share - 0.5), place)
                for place, share in mine.items()
                if self.market.capacity[place] == 1 and NOTHING < share < min(1, wanted[place]) - NOTHING
            ]
            if open_ones:
                even, place = min(open_ones)
                others = {x: _without(part, x, place) for x in self.market.courses if x != patient}
                found.append((even, [{patient: _without(part, patient, place)}, others]))
        return [sides for _, sides in sorted(found, key=lambda x: x[0])]

    def _mixed(self, relaxed: Relaxed) -> list[tuple[str, Shares]]:
        """Patients with several courses in the mixture, and these."""
        every = (
            (patient, [(c, share) for c in known.values() if (share := float(relaxed.shares[c.column])) > NOTHING])
            for patient, known in self.market.courses.items()
        )
        return [(patient, shares) for patient, shares in every if shares and shares[0][1] < 1 - NOTHING]

    def _homes(self, patient: str, limits: Limits, shares: Shares) -> Iterator[tuple[float, Sides]]:
        homes = {course.home for course, _ in shares}
        allowed = self.market.bidders[patient].homes if limits.homes is None else limits.homes
        for home in sorted(homes) if len(homes) > 1 else ():
            one, others = frozenset({home}), allowed - {home}
            mine = sum(share for course, share in shares if course.home == home)
            yield mine, (replace(limits, homes=one), replace(limits, homes=others))

    def _anchors(self, limits: Limits, shares: Shares) -> Iterator[tuple[float, Sides]]:
        grid = self.market.free.grid
        for anchor in sorted({x for c, _ in shares for x in (c.anchors[1], c.anchors[0] - grid)}):
            early = sum(share for c, share in shares if c.anchors[0] <= anchor)
            late = sum(share for c, share in shares if c.anchors[1] > anchor)
            if max(early, late) < 1 - NOTHING:
                before = replace(limits, anchors=(limits.anchors[0], anchor))
                yield early, (before, replace(limits, anchors=(anchor + grid, limits.anchors[1])))


def _starts(limits: Limits, shares: Shares) -> Iterator[tuple[float, Sides]]:
    for day in sorted({c.plan.visits[0].day for c, _ in shares})[:-1]:
        early = sum(share for c, share in shares if c.plan.visits[0].day <= day)
        before = replace(limits, starts=(limits.starts[0], day))
        yield early, (before, replace(limits, starts=(day + 1, limits.starts[1])))


def _without(part: Part, patient: str, place: int) -> Limits:
    limits = part.limits.get(patient, ALL)
    return replace(limits, closed=limits.closed | {place})
