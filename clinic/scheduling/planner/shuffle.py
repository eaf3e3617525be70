"""Large neighbourhood search over a roster: take a patient and whoever is in the way out, put them back in turn.

Every course that goes back in is the exact optimum on what is free then; only who goes first is a guess. The moves aim
at patients who cost more than they would alone, first of all those without a course.
"""

import math
import random
import time
from collections.abc import Callable, Mapping

from clinic.scheduling.planner.facts import CoursePlan
from clinic.scheduling.planner.roster import Roster, optimum
from clinic.scheduling.planner.table import Table

MOST_REMOVED = 8
CLASH_PRICES = (5, 15, 40, 100, 300)  # what a visit on someone else's place may cost, in search of few clashes
NEAR_MINUTES = 90
FIRST_HEAT = 30.0
CONSIDERATE = 0.5  # share of the moves that put courses back with a thought for others
PRICE_SHARES = (0.3, 0.6, 1.0, 1.4)  # how much of the prices they pay
MOVES = ("blockers", "few_clashes", "alike", "others")
MOVE_WEIGHTS = (1, 2, 5, 1)


Choose = Callable[[str, float], CoursePlan | None]


class Budget:
    """When to stop: wall seconds, or a number of rounds; whichever ends first."""

    def __init__(self, seconds: float | None, rounds: int | None) -> None:
        self.begin = time.monotonic()
        self.seconds, self.rounds, self.done = seconds, rounds, 0

    def step(self) -> bool:
        """Count a round; False once the budget is used up."""
        self.done += 1
        return self.left > 0

    @property
    def left(self) -> float:
        """What is left of it, 1 to 0."""
        by_time = 1.0 if self.seconds is None else 1 - (time.monotonic() - self.begin) / max(self.seconds, 1e-9)
        by_rounds = 1.0 if self.rounds is None else 1 - (self.done - 1) / max(self.rounds, 1)
        return max(0.0, min(by_time, by_rounds))


def greedy(roster: Roster) -> None:
    """Everyone in turn, by priority, then release."""
    requests = roster.requests
    for name in sorted(requests, key=lambda x: (-requests[x].priority, requests[x].release, x)):
        roster.insert(name, roster.best(name))


def improve(
    roster: Roster,
    alone: Mapping[str, CoursePlan | None],
    budget: Budget,
    seed: int,
    *,
    bound: int = 0,
    considerate: Choose | None = None,
) -> None:
    """Leave the best plans found within the budget in the roster. `alone`: the optimum of each patient alone.

    An empty roster is first filled greedily. bound: where to stop. considerate: chooses a course that leaves to others
    what they want most; it takes turns with the plain optimum.
    """
    if not roster.plans:
        greedy(roster)
    search = _Search(roster, alone, random.Random(seed), considerate)
    best, cost = dict(roster.plans), roster.cost
    while cost > max(bound, search.bound) and budget.step():
        search.move(FIRST_HEAT * budget.left)
        if roster.cost < cost:
            best, cost = dict(roster.plans), roster.cost
    roster.restore(best, roster.requests)


class _Search:
    def __init__(
        self,
        roster: Roster,
        alone: Mapping[str, CoursePlan | None],
        rng: random.Random,
        considerate: Choose | None,
    ) -> None:
        self.roster, self.alone, self.rng, self.considerate = roster, alone, rng, considerate
        self.names = list(roster.requests)
        self.least = {
            x: roster.unplaced_price(x) if (plan := alone[x]) is None else min(plan.cost, roster.unplaced_price(x))
            for x in self.names
        }
        self.bound = sum(self.least.values())

    def move(self, heat: float) -> None:
        """Take one patient and those in the way out, put all back; undo it if that was worse, save a little heat."""
        patient = self._someone_dear()
        group = [patient, *self._in_the_way(patient)]
        roster, before = self.roster, {x: self.roster.plans[x] for x in group if x in self.roster.plans}
        cost = roster.cost
        roster.remove(group)
        order = self._order(group)
        if self.considerate is not None and self.rng.random() < CONSIDERATE:
            for name in order:
                roster.insert(name, self.considerate(name, self.rng.choice(PRICE_SHARES)))
            order = self.rng.sample(group, len(group))
            for name in order:
                roster.remove([name])
                roster.insert(name, roster.best(name))
        else:
            for name in order:
                roster.insert(name, roster.best(name))
        worse = roster.cost - cost
        if worse > 0 and self.rng.random() >= math.exp(-worse / max(heat, 1e-9)):
            roster.restore(before, group)

    def _someone_dear(self) -> str:
        """A patient, the likelier the more it costs above its optimum alone."""
        excess = [1 + max(0, self.roster.price(x) - self.least[x]) for x in self.names]
        return self.rng.choices(self.names, excess)[0]

    def _in_the_way(self, patient: str) -> list[str]:
        others = [x for x in self.names if x != patient]
        match self.rng.choices(MOVES, MOVE_WEIGHTS)[0]:
            case "blockers" if (plan := self.alone[patient]) is not None:
                found = self.roster.blockers(patient, plan)
            case "few_clashes" if (plan := self._with_few_clashes(patient)) is not None:
                found = self.roster.blockers(patient, plan)
            case "alike" if patient in self.roster.plans:
                return self._alike(patient)[: self.rng.randrange(1, 6)]
            case _:
                found = self.rng.sample(others, min(len(others), self.rng.randrange(1, 5)))
        return found if len(found) <= MOST_REMOVED else self.rng.sample(found, MOST_REMOVED)

    def _alike(self, patient: str) -> list[str]:
        """Others at the same location, the nearest usual times first, with a little chance."""
        plans, occupancy = self.roster.plans, self.roster.occupancy
        mine = plans[patient]
        here = occupancy.device(mine.home).location
        near = [x for x in plans if x != patient and occupancy.device(plans[x].home).location == here]
        return sorted(near, key=lambda x: abs(plans[x].anchor - mine.anchor) + self.rng.random() * NEAR_MINUTES)

    def _with_few_clashes(self, patient: str) -> CoursePlan | None:
        """The best course if a place that someone else on the list holds may be had at a price."""
        roster, request = self.roster, self.roster.requests[patient]
        strict = Table(request, roster.occupancy)
        return optimum(Table(request, roster.free, strict=strict, price=self.rng.choice(CLASH_PRICES)))

    def _order(self, group: list[str]) -> list[str]:
        """The patient first and the others by priority, mostly; else by chance."""
        if self.rng.random() >= 0.8:
            return self.rng.sample(group, len(group))
        requests, first, rest = self.roster.requests, group[:1], group[1:]
        return first + sorted(rest, key=lambda x: (-requests[x].priority, self.rng.random()))
