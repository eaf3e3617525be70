"""After an outage: who moves where, so that as little as possible changes and no gap rule breaks.

Stage 0 plans all affected visits together as a 0/1 programme while everyone else keeps the place. Only where that leaves
a visit without a place or a gap outside its rule, neighbours at the affected place and day may give way by up to
SHIFT minutes, starting from stage 0's plan; the better of the two is the answer. Choosing days is one column per
course and pattern of days, so that the gap rules cost exactly what they cost and need no rows of their own.
"""

import time
from collections.abc import Sequence
from dataclasses import replace

from clinic.scheduling.planner.changes import Changes, as_plan
from clinic.scheduling.planner.damage import MAKES_ROOM, Hit, after, hits, is_past, left_over
from clinic.scheduling.planner.mending import Found, Mending
from clinic.scheduling.planner.nearest import nearest_places
from clinic.scheduling.planner.occupancy import Occupancy
from clinic.scheduling.planner.options import Now, Places
from clinic.scheduling.planner.repair_facts import Event, RepairPlan, RepairWeights, RunningCourse

SHIFT = 30
FIRST_SHARE = 0.3  # of the time, for stage 0
BUILDING = 2.5  # setting the second stage up takes so many times as long as the first; without that time it is left out


def preview(
    courses: Sequence[RunningCourse],
    occupancy: Occupancy,
    events: Sequence[Event] = (),
    *,
    now: int,
    now_minute: int = 0,
    notice: int = 60,
    applied: bool = False,
    weights: RepairWeights | None = None,
) -> RepairPlan:
    """Each affected visit to its nearest free place, at once and without proof. Parameters as repair()."""
    weights = weights or RepairWeights()
    occupancy = occupancy if applied else after(occupancy, events)
    struck = hits(courses, occupancy, now=now, now_minute=now_minute, events=events)
    places = Places(occupancy, Now(now, now_minute, notice), weights)
    changes = nearest_places(courses, struck, places)
    return as_plan(courses, changes, struck, occupancy, weights, stage="nearest" if struck else "unchanged")


def repair(
    courses: Sequence[RunningCourse],
    occupancy: Occupancy,
    events: Sequence[Event] = (),
    *,
    now: int,
    now_minute: int = 0,
    notice: int = 60,
    applied: bool = False,
    weights: RepairWeights | None = None,
    seconds: float | None = None,
    nodes: int | None = None,
) -> RepairPlan:
    """The cheapest plan after the events that leaves in place whoever need not move. Changes nothing.

    courses: every running course that may be asked to move; bookings of none of them stay where they are.
    occupancy: everything booked, the courses' own visits included, before the events; `applied`: after them.
    events: what happened; only what lies in their reach is mended. None given: every visit without a lawful place is.
    now, now_minute: the present as day and local minute; what has started is past. notice: today a visit moves only to
    a start at least so many minutes ahead.
    seconds: wall time, an outer limit. nodes: limit of the search per stage; with it and without seconds the same
    question has the same answer, always.
    """
    weights = weights or RepairWeights()
    begin = time.monotonic()
    occupancy = occupancy if applied else after(occupancy, events)
    present = Now(now, now_minute, notice)
    struck = hits(courses, occupancy, now=now, now_minute=now_minute, events=events)
    if not struck:
        return as_plan(courses, {}, struck, occupancy, weights, stage="unchanged", bound=None)
    start = nearest_places(courses, struck, Places(occupancy, present, weights))
    best = as_plan(courses, start, struck, occupancy, weights, stage="nearest")
    least = sum(hit.certain for hit in struck) * min(weights.device, weights.location, weights.touch, weights.drop)
    changes, bound, stage = start, least, _Stage(courses, struck, occupancy, present, weights)
    for shift, prove in ((0, False), (SHIFT, True), (0, True)):
        left = None if seconds is None else seconds - (time.monotonic() - begin)
        needed = bool(best.dropped or any(b.is_new for b in best.breaches))
        if left is not None and left <= 0:
            break
        if shift and not (needed and stage.is_open and stage.fits(left)):
            continue
        # stage 0 is searched to the end only where it is the last word
        if prove and not shift and (best.stage == "shifted" or stage.shift or best.is_proven):
            continue
        found = stage.solve(changes, shift, left if prove or left is None else left * FIRST_SHARE, nodes, prove=prove)
        plan = as_plan(
            courses, found.changes, struck, occupancy, weights, stage="shifted" if shift else "frozen", shift=shift
        )
        bound = max(least, found.bound + found.constant)
        if plan.cost < best.cost or best.stage == "nearest":
            best, changes = replace(plan, bound=min(bound, plan.cost)), found.changes
    unresolved = left_over(courses, struck, occupancy, events, now)
    return replace(best, bound=min(bound, best.cost), unresolved=unresolved)


class _Stage:
    """The programme at hand, set up once per stage, and how long that took."""

    def __init__(
        self,
        courses: Sequence[RunningCourse],
        struck: Sequence[Hit],
        occupancy: Occupancy,
        now: Now,
        weights: RepairWeights,
    ) -> None:
        self.courses, self.struck, self.occupancy, self.now, self.weights = courses, struck, occupancy, now, weights
        self.mending: Mending | None = None
        self.shift, self.building, self.is_open = 0, 0.0, False

    def fits(self, left: float | None) -> bool:
        """True if there is time to set the second stage up."""
        return left is None or left > BUILDING * self.building

    def solve(self, changes: Changes, shift: int, seconds: float | None, nodes: int | None, *, prove: bool) -> Found:
        """Search a stage, starting from `changes`."""
        if self.mending is None or shift != self.shift:
            freed = [*self.struck, *_neighbours(self.courses, self.struck, self.occupancy, self.now)]
            self.mending = Mending(
                self.courses,
                freed if shift else self.struck,
                self.occupancy,
                self.now,
                self.weights,
                shift=shift,
                memory=self.mending.places.memory if self.mending else None,
            )
            self.shift = shift
        found = self.mending.solve(changes, seconds=seconds, nodes=nodes, prove=prove)
        self.building = self.building or found.building
        self.is_open = self.is_open or found.bound > 0
        return found


def _neighbours(courses: Sequence[RunningCourse], struck: Sequence[Hit], occupancy: Occupancy, now: Now) -> list[Hit]:
    """Visits at an affected location on an affected day that were not hit themselves."""
    hit = {(h.course, h.position) for h in struck}
    where = {(v.location, v.day) for v in (courses[h.course].placed[h.position] for h in struck) if v.day >= now.day}
    found = []
    for c, course in enumerate(courses):
        for k, visit in enumerate(course.placed):
            here = (visit.location, visit.day) in where and (c, k) not in hit
            if here and not is_past(visit, now.day, now.minute):
                found.append(Hit(c, k, MAKES_ROOM, certain=False))
    return found
