"""How good is a waiting list planned together, against planning it by hand, and how soon is the answer there?

By hand = one patient after the other by priority and release: earliest day, first free slot, then on each ideal day the
free slot nearest to it. Both plan the same generated lists in the same run; the referee judges the plan. Seeds are drawn
at random unless given, and printed.

    python benchmarks/planner_batch.py [--size 10] [--seed 203] [--seconds 15]
"""

import argparse
import random
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.planner_online import by_hand, tool, visits_by_hand  # noqa: E402
from clinic.scheduling.planner import CourseRequest, Occupancy, plan_batch  # noqa: E402
from clinic.scheduling.planner.damage import sessions_of  # noqa: E402
from clinic.scheduling.planner.instance import course_as_json, from_instance, parse_instance  # noqa: E402

SECONDS = {10: 15.0, 50: 60.0, 100: 60.0}
MOST_OF_HAND = {10: 0.65, 50: 0.40, 100: 0.40, 200: 0.40}
MOST_GAP = {10: 0.02}


@dataclass(frozen=True)
class Result:
    """Costs and times of one list."""

    size: int
    seed: int
    patients: int
    hand: int
    hand_unplaced: int
    hand_seconds: float
    cost: int
    bound: int
    unplaced: int
    seconds: float

    @property
    def ratio(self) -> float:
        """Cost against planning by hand."""
        return self.cost / max(1, self.hand)

    @property
    def gap(self) -> float:
        """Part of the cost that is not proven to be needed."""
        return (self.cost - self.bound) / max(1, self.cost)

    @property
    def meets_target(self) -> bool:
        """Within the goals of its size; a plan proven to be the best there is need not be far below the one by hand."""
        cheap = self.ratio <= MOST_OF_HAND.get(self.size, 1.0) or self.cost == self.bound
        return cheap and self.gap <= MOST_GAP.get(self.size, 1.0)


def list_by_hand(requests: dict[str, CourseRequest], occupancy: Occupancy) -> tuple[int, int]:
    """Cost of the list as a scheduler fills it in, and how many have no course."""
    calendar, cost, unplaced = occupancy.copy(), 0, 0
    for name in sorted(requests, key=lambda x: (-requests[x].priority, requests[x].release)):
        request = requests[name]
        price, visits = by_hand(request, calendar), visits_by_hand(request, calendar)
        if price is None or visits is None:
            unplaced += 1
            cost += request.weights.unplaced[request.priority]
            continue
        cost += price
        for spec, visit in zip(request.visits, visits, strict=True):
            for session in sessions_of(spec, visit.day, visit.device, visit.start):
                calendar.book(session)
    return cost, unplaced


def measure(size: int, seed: int, seconds: float) -> Result:
    """Plan one list both ways; an error of the referee ends the run."""
    raw = tool("data/planner/instances.py").make("batch", seed=seed, patients=size)
    question = from_instance(parse_instance(raw))
    begin = time.perf_counter()
    hand, hand_unplaced = list_by_hand(question.requests, question.occupancy)
    middle = time.perf_counter()
    plan = plan_batch(question.requests, question.occupancy, seconds=seconds)
    end = time.perf_counter()
    patients = {x: None if c is None else course_as_json(c) for x, c in plan.plans.items()}
    verdict = tool("data/planner/checker.py").check(raw, {"patients": patients})
    if verdict["errors"] or verdict["cost"] != plan.cost:
        sys.exit(f"the referee refuses the plan of seed {seed}: {verdict['errors']}")
    return Result(
        size=size,
        seed=seed,
        patients=len(raw["patients"]),
        hand=hand,
        hand_unplaced=hand_unplaced,
        hand_seconds=middle - begin,
        cost=plan.cost,
        bound=plan.bound,
        unplaced=len(plan.unplaced),
        seconds=end - middle,
    )


def report(r: Result) -> str:
    """The ratio and its parts, in lines."""
    return (
        f"{r.size} patients, seed {r.seed}: together / by hand = {r.ratio:.2f} in cost, "
        f"at most {r.gap * 100:.1f} % above the best there is\n"
        f"  together  cost {r.cost:7d}   bound {r.bound:7d}   unplaced {r.unplaced}   {r.seconds:6.1f} s\n"
        f"  by hand   cost {r.hand:7d}                   unplaced {r.hand_unplaced}   {r.hand_seconds:6.1f} s\n"
        f"  {'within the goals' if r.meets_target else 'ABOVE THE GOALS'}"
    )


def main() -> int:
    """Print one report per list; exit 1 above a goal."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--size", type=int, action="append")
    parser.add_argument("--seed", type=int, action="append")
    parser.add_argument("--seconds", type=float)
    options = parser.parse_args()
    failed = False
    for size in options.size or [10, 50, 100]:
        for seed in options.seed or [random.SystemRandom().randrange(1000, 10**6)]:
            result = measure(size, seed, options.seconds or SECONDS.get(size, 120.0))
            print(report(result), flush=True)
            failed |= not result.meets_target
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
