"""How good is a repair after an outage, against the nearest free slot for each visit, and how soon is it there?

A clinic of 220 to 300 running courses loses a device, or a person, for three days. Both plans start from the same
calendar in the same run; the referee judges them. Seeds are drawn at random unless given, and printed.

    python benchmarks/planner_repair.py [--seed 301] [--event device] [--seconds 10]
"""

import argparse
import random
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.planner_online import tool  # noqa: E402
from clinic.scheduling.planner import preview, repair  # noqa: E402
from clinic.scheduling.planner.instance import parse_instance  # noqa: E402
from clinic.scheduling.planner.running import repair_as_json, repair_question  # noqa: E402

MOST_MEDIAN = 0.32
MOST_SECONDS = 12.0


@dataclass(frozen=True)
class Result:
    """Costs and times of one outage."""

    seed: int
    event: str
    nearest: int
    nearest_breaches: int
    nearest_seconds: float
    cost: int
    bound: int
    stage: str
    breaches: int
    dropped: int
    moved: int
    seconds: float

    @property
    def ratio(self) -> float:
        """Cost against the nearest slot for each."""
        return self.cost / max(1, self.nearest)


def measure(seed: int, event: str, seconds: float) -> Result:
    """Repair one outage both ways; an error of the referee ends the run."""
    raw = tool("data/planner/instances.py").make("repair", seed=seed, event=event)
    instance = parse_instance(raw)
    question = repair_question(instance)
    times = [time.perf_counter()]
    now, notice, weights = instance.now, 0, question.weights
    quick = preview(question.courses, question.occupancy, now=now, notice=notice, weights=weights)
    times.append(time.perf_counter())
    plan = repair(question.courses, question.occupancy, now=now, notice=notice, weights=weights, seconds=seconds)
    times.append(time.perf_counter())
    for found in (quick, plan):
        verdict = tool("data/planner/checker.py").check(raw, repair_as_json(found, instance))
        if verdict["errors"] or verdict["cost"] != found.cost:
            sys.exit(f"the referee refuses the plan of seed {seed}: {verdict['errors']}")
    assert plan.bound is not None
    return Result(
        seed=seed,
        event=event,
        nearest=quick.cost,
        nearest_breaches=len(quick.breaches),
        nearest_seconds=times[1] - times[0],
        cost=plan.cost,
        bound=plan.bound,
        stage=plan.stage,
        breaches=len(plan.breaches),
        dropped=len(plan.dropped),
        moved=len(plan.moves),
        seconds=times[2] - times[1],
    )


def report(r: Result) -> str:
    """The ratio and its parts, in lines."""
    return (
        f"{r.event} out, seed {r.seed}: repair / nearest slot = {r.ratio:.2f} in cost\n"
        f"  repair        cost {r.cost:7d}   bound {r.bound:7d}   gaps broken {r.breaches:2d}   dropped {r.dropped}   "
        f"{r.moved} visits change   stage {r.stage}   {r.seconds:5.1f} s\n"
        f"  nearest slot  cost {r.nearest:7d}                   gaps broken {r.nearest_breaches:2d}   "
        f"{r.nearest_seconds:5.1f} s"
    )


def main() -> int:
    """Print one report per outage and the median; exit 1 above a goal."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seed", type=int, action="append")
    parser.add_argument("--event", action="append", choices=["device", "staff"])
    parser.add_argument("--seconds", type=float, default=10.0)
    options = parser.parse_args()
    seeds = options.seed or [random.SystemRandom().randrange(1000, 10**6) for _ in range(3)]
    results = []
    for seed in seeds:
        for event in options.event or ["device", "staff"]:
            results.append(measure(seed, event, options.seconds))
            print(report(results[-1]), flush=True)
    median, longest = statistics.median(r.ratio for r in results), max(r.seconds for r in results)
    good = median <= MOST_MEDIAN and longest <= MOST_SECONDS and all(r.cost <= r.nearest for r in results)
    verdict = "within the goals" if good else "ABOVE THE GOALS"
    print(f"median repair / nearest slot = {median:.2f} in cost, longest {longest:.1f} s; {verdict}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
