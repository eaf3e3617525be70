"""How fast, and how much better than by hand, is one patient's whole course planned on a warm calendar?

By hand = earliest day, first free slot, then on each ideal day the free slot nearest to it, else the next day that the
gap rule allows; on a dead end the next start day. Both are timed in the same run on the same occupancy.

    python benchmarks/planner_online.py [--grid 5 --grid 10] [--seeds 101 120] [--repeat 3]
"""

import argparse
import importlib.util
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from clinic.scheduling.planner import CourseRequest, Occupancy, PlannedVisit, best_course  # noqa: E402
from clinic.scheduling.planner.instance import from_instance, parse_instance  # noqa: E402
from clinic.scheduling.planner.placement import cost_parts  # noqa: E402
from clinic.scheduling.planner.rules import Block, possible_starts, usable_devices  # noqa: E402

UTILISATIONS = (0.85, 0.9, 0.95)
TARGETS_MS = {5: (15.0, 70.0), 10: (15.0, 70.0)}


@dataclass(frozen=True)
class Result:
    """Times in milliseconds over all requests of a grid, and mean costs over those that both ways can place."""

    grid: int
    requests: int
    without_course: int
    median: float
    p95: float
    longest: float
    by_hand_median: float
    by_hand_p95: float
    cost: float
    by_hand_cost: float
    by_hand_missed: int

    @property
    def meets_target(self) -> bool:
        """Median and p95 within the target of the grid, where it has one."""
        median, p95 = TARGETS_MS.get(self.grid, (float("inf"), float("inf")))
        return self.median <= median and self.p95 <= p95


def generator() -> Any:
    """The instance generator that the tests use too."""
    path = ROOT / "tests" / "data" / "planner" / "instances.py"
    spec = importlib.util.spec_from_file_location("planner_instances", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def by_hand(request: CourseRequest, occupancy: Occupancy) -> int | None:
    """Cost of the course a scheduler finds by hand; None if none is found."""
    for day in range(request.release, min(request.latest_start + 1, occupancy.days)):
        visits = _filled(request, occupancy, day)
        if visits is not None:
            consistent = [v for spec, v in zip(request.visits, visits, strict=True) if spec.consistent]
            first = consistent[0]
            return cost_parts(request, occupancy, tuple(visits), first.start, first.device).total
    return None


def _filled(request: CourseRequest, occupancy: Occupancy, first_day: int) -> list[PlannedVisit] | None:
    visits: list[PlannedVisit] = []
    wanted: int | None = None
    for k, spec in enumerate(request.visits):
        days = [first_day] if not visits else _days_to_try(occupancy, visits[-1].day, spec.gap, spec.ideal)
        for day in days:
            found = _nearest(request, occupancy, k, day, wanted if spec.consistent else None)
            if found is not None:
                break
        else:
            return None
        visits.append(found)
        if spec.consistent and wanted is None:
            wanted = found.start
    return visits


def _days_to_try(
    occupancy: Occupancy, before: int, gap: tuple[int, int] | None, ideal: tuple[int, int] | None
) -> list[int]:
    assert gap is not None
    assert ideal is not None
    days = range(before + gap[0], min(before + gap[1] + 1, occupancy.days))
    off = {d: max(0, ideal[0] - occupancy.weekdays_between(before, d)) for d in days}
    return sorted(days, key=lambda d: (off[d], d))


def _nearest(request: CourseRequest, occupancy: Occupancy, k: int, day: int, wanted: int | None) -> PlannedVisit | None:
    spec = request.visits[k]
    devices = usable_devices(request, occupancy, spec)
    count = occupancy.slots * occupancy.unit // occupancy.grid
    block = Block(request, occupancy, spec, devices, day, day + 1, occupancy.low, count)
    where = np.argwhere(possible_starts(block)[:, 0])
    if len(where) == 0:
        return None
    starts = block.starts[where[:, 1]]
    penalty = np.array([request.locations[occupancy.devices[devices[x]].location] for x in where[:, 0]])
    away = starts if wanted is None else np.abs(starts - wanted)
    best = int(np.lexsort((penalty, away))[0])
    facts, start = occupancy.devices[devices[where[best, 0]]], int(starts[best])
    return PlannedVisit(
        k + 1, spec.kind, day, occupancy.date_of(day), facts.id, facts.location, start, start + spec.span
    )


def questions(grid: int, seeds: range) -> Iterator[tuple[CourseRequest, Occupancy]]:
    """Every request of the generated instances of a grid, on its warm occupancy."""
    make = generator().make
    for i, seed in enumerate(seeds):
        util = UTILISATIONS[i % len(UTILISATIONS)]
        question = from_instance(parse_instance(make("online", seed=seed, grid=grid, util=util)))
        for request in question.requests.values():
            yield request, question.occupancy


def _timed(call: Callable[[], Any], repeat: int) -> tuple[float, Any]:
    times = []
    for _ in range(repeat):
        begin = time.perf_counter()
        answer = call()
        times.append((time.perf_counter() - begin) * 1000)
    return statistics.median(times), answer


def measure(grid: int, seeds: range = range(101, 121), repeat: int = 3) -> Result:
    """Time planner and hand on the same requests; each time is the median of `repeat` runs."""
    ours: list[float] = []
    hands: list[float] = []
    costs: list[tuple[int, int]] = []
    missed = nothing = 0
    for request, occupancy in questions(grid, seeds):
        ms, plan = _timed(lambda: best_course(request, occupancy), repeat)  # noqa: B023 - called at once
        ours.append(ms)
        ms, cost = _timed(lambda: by_hand(request, occupancy), 1)  # noqa: B023 - called at once
        hands.append(ms)
        if plan is None:
            nothing += 1
        elif cost is None:
            missed += 1
        else:
            costs.append((plan.cost, cost))
    return Result(
        grid=grid,
        requests=len(ours),
        without_course=nothing,
        median=statistics.median(ours),
        p95=float(np.percentile(ours, 95)),
        longest=max(ours),
        by_hand_median=statistics.median(hands),
        by_hand_p95=float(np.percentile(hands, 95)),
        cost=statistics.mean(a for a, _ in costs),
        by_hand_cost=statistics.mean(b for _, b in costs),
        by_hand_missed=missed,
    )


def report(result: Result) -> str:
    """The ratio and its parts, in lines."""
    r = result
    verdict = "within the target" if r.meets_target else "ABOVE THE TARGET"
    return (
        f"grid {r.grid}: planner / by hand = {r.median / r.by_hand_median:.2f} in time, "
        f"{r.cost / r.by_hand_cost:.2f} in cost\n"
        f"  planner   median {r.median:6.1f} ms   p95 {r.p95:6.1f} ms   longest {r.longest:6.1f} ms   "
        f"cost {r.cost:6.0f}\n"
        f"  by hand   median {r.by_hand_median:6.1f} ms   p95 {r.by_hand_p95:6.1f} ms   "
        f"cost {r.by_hand_cost:6.0f}   missed {r.by_hand_missed}\n"
        f"  {r.requests} requests, {r.without_course} proven to have no course; {verdict}"
    )


def main() -> int:
    """Print one report per grid; exit 1 above a target."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--grid", type=int, action="append", choices=[5, 10, 15])
    parser.add_argument("--seeds", type=int, nargs=2, default=[101, 120], metavar=("FIRST", "LAST"))
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    results = [
        measure(g, range(options.seeds[0], options.seeds[1] + 1), options.repeat) for g in options.grid or [5, 10]
    ]
    for result in results:
        print(report(result))
    return 0 if all(r.meets_target for r in results) else 1


if __name__ == "__main__":
    sys.exit(main())
