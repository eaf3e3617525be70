"""A waiting list planned together: greedy first, then parts of it are taken out and put back better, again and again."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from clinic.scheduling.planner.course import explained
from clinic.scheduling.planner.explain import explain_no_course
from clinic.scheduling.planner.facts import CostParts, CoursePlan, CourseRequest, NoCourse
from clinic.scheduling.planner.occupancy import Occupancy
from clinic.scheduling.planner.roster import Roster
from clinic.scheduling.planner.shuffle import Budget, improve

ROUNDS = 200  # where neither seconds nor rounds are given


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
    budget = Budget(seconds, ROUNDS if rounds is None and seconds is None else rounds)
    roster = Roster(requests, occupancy)
    alone = {name: roster.best(name) for name in requests}
    improve(roster, alone, budget, seed)
    plans = {
        name: _explained(roster.plans[name], request, roster) if name in roster.plans else None
        for name, request in requests.items()
    }
    refusals = {}
    for name, request in requests.items():
        if plans[name] is None:
            hurried = seconds is not None and time.monotonic() - begin > seconds
            refusals[name] = explain_no_course(request, roster.occupancy, relax=relax and not hurried)
    bound = sum(
        min(roster.unplaced_price(x), roster.unplaced_price(x) if a is None else a.cost) for x, a in alone.items()
    )
    return BatchPlan(
        plans=plans,
        refusals=refusals,
        cost=roster.cost,
        parts=_sum(plan.parts for plan in roster.plans.values()),
        unplaced_cost=sum(roster.unplaced_price(x) for x in refusals),
        bound=min(bound, roster.cost),
    )


def _explained(plan: CoursePlan, request: CourseRequest, roster: Roster) -> CoursePlan:
    return explained(plan, request, roster.occupancy)


def _sum(parts: Iterable[CostParts]) -> CostParts:
    total = dict.fromkeys(CostParts().as_dict(), 0)
    for part in parts:
        for name, value in part.as_dict().items():
            total[name] += value
    return CostParts(**total)
