"""A waiting list planned together: greedy first, then parts of it are taken out and put back better, again and again."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from clinic.scheduling.planner.branches import NEAR, Branches
from clinic.scheduling.planner.course import explained
from clinic.scheduling.planner.explain import explain_no_course
from clinic.scheduling.planner.facts import CostParts, CoursePlan, CourseRequest, NoCourse
from clinic.scheduling.planner.occupancy import Occupancy
from clinic.scheduling.planner.prices import Market
from clinic.scheduling.planner.roster import Roster
from clinic.scheduling.planner.shuffle import Budget, improve

ROUNDS = 200  # where neither seconds nor rounds are given
NODES = 50  # of the programme over all courses seen, where rounds are given
FEW = 20
SHARES = ((0.12, 0.42, 0.48), (0.7, 0.88, 0.92))  # of the time: until when to search, to price, to combine
SEARCHED, BRANCHED, COMBINED = 0.6, 0.88, 0.94  # of the time for a few: search again, branch, combine again
WIDE = 0.03  # a gap above which a better plan is searched for before its proof
LAST = 0.96
MOST_PRICED = 60  # longer lists are bounded by each patient's optimum alone: prices cost them more than they give


@dataclass(frozen=True, slots=True)
class BatchPlan:
    """Courses for a waiting list, none of which takes what another one needs. Nothing is booked.

    plans: per patient the course, or None. refusals: for each without a course the rule that binds beside the others.
    cost: all courses, and the price of everyone without one (`unplaced_cost`). bound: no plan of this list costs less.
    """

    plans: Mapping[str, CoursePlan | None]
    refusals: Mapping[str, NoCourse]
    cost: int
    parts: CostParts
    unplaced_cost: int
    bound: int

    @property
    def unplaced(self) -> tuple[str, ...]:
        """Patients without a course."""
        return tuple(x for x, plan in self.plans.items() if plan is None)

    @property
    def gap(self) -> float:
        """How much of the cost is not proven to be needed: 0.02 = at most 2 % above the best plan there is."""
        return 0.0 if self.cost == 0 else (self.cost - self.bound) / self.cost


def plan_batch(
    requests: Mapping[str, CourseRequest],
    occupancy: Occupancy,
    *,
    seconds: float | None = None,
    rounds: int | None = None,
    seed: int = 0,
    relax: bool = False,
) -> BatchPlan:
    """Plan everyone on the list so that the sum of all costs is small. Changes nothing.

    requests: by the patient's name. seconds: wall time, an outer limit. rounds: attempts to improve; with rounds and
    without seconds the same list and seed have the same answer, always. relax: for a patient without a course also
    look for what would open one.
    """
    begin = time.monotonic()
    if rounds is None and seconds is None:
        rounds = ROUNDS
    roster = Roster(requests, occupancy)
    alone = {name: roster.best(name) for name in requests}
    bound = sum(_least(roster, name, plan) for name, plan in alone.items())
    priced = len(requests) <= MOST_PRICED
    shares = SHARES[0] if len(requests) <= FEW else SHARES[1] if priced else (LAST, LAST, LAST)

    def budget(until: float, share: float) -> Budget:
        left = None if seconds is None else max(0.0, seconds * until - (time.monotonic() - begin))
        return Budget(left, None if rounds is None else int(rounds * share))

    improve(roster, alone, budget(shares[0], 0.5 if priced else 1.0), seed)
    if priced and roster.cost > bound:
        market = Market(roster)
        market.add_seen()
        nodes = None if rounds is None else NODES
        few = len(requests) <= FEW
        market.trade(market.whole, budget(shares[1], 1.0), roster.cost, near=NEAR if few else 0.0)
        bound = max(bound, market.whole.bound)
        _combine(roster, market, budget(shares[2], 0.0).seconds, nodes)
        if few and roster.cost > bound:
            if roster.cost - bound > WIDE * roster.cost:
                improve(roster, alone, budget(SEARCHED, 0.5), seed + 2, bound=bound, considerate=market.considerate)
            branches = Branches(market, roster.cost)
            branches.grow(budget(BRANCHED, 1.0))
            bound = max(bound, branches.bound)
            _combine(roster, market, budget(COMBINED, 0.0).seconds, nodes)
        if roster.cost > bound:
            improve(roster, alone, budget(LAST, 1.0), seed + 1, bound=bound, considerate=market.considerate)
    plans = {
        name: _explained(roster.plans[name], request, roster) if name in roster.plans else None
        for name, request in requests.items()
    }
    refusals = {}
    for name, request in requests.items():
        if plans[name] is None:
            hurried = seconds is not None and time.monotonic() - begin > seconds
            refusals[name] = explain_no_course(request, roster.occupancy, relax=relax and not hurried)
    return BatchPlan(
        plans=plans,
        refusals=refusals,
        cost=roster.cost,
        parts=_sum(plan.parts for plan in roster.plans.values()),
        unplaced_cost=sum(roster.unplaced_price(x) for x in refusals),
        bound=min(bound, roster.cost),
    )


def _least(roster: Roster, name: str, alone: CoursePlan | None) -> int:
    """What a patient costs at least, whatever the others do."""
    return roster.unplaced_price(name) if alone is None else min(alone.cost, roster.unplaced_price(name))


def _combine(roster: Roster, market: Market, seconds: float | None, nodes: int | None) -> None:
    """Take the best combination of all courses seen, if it is better than what the roster holds."""
    if seconds is not None and seconds <= 0:
        return
    found = market.combined(seconds, nodes)
    if found is None:
        return
    cost = sum(found[x].cost if x in found else roster.unplaced_price(x) for x in roster.requests)
    if cost < roster.cost:
        roster.restore(found, roster.requests)


def _explained(plan: CoursePlan, request: CourseRequest, roster: Roster) -> CoursePlan:
    return explained(plan, request, roster.occupancy)


def _sum(parts: Iterable[CostParts]) -> CostParts:
    total = dict.fromkeys(CostParts().as_dict(), 0)
    for part in parts:
        for name, value in part.as_dict().items():
            total[name] += value
    return CostParts(**total)
