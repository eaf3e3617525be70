"""What a changed calendar costs and how it reads: the price of a move, the gap rules between kept visits, the plan."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from clinic.scheduling.planner.damage import Hit
from clinic.scheduling.planner.facts import CourseRequest, PlannedVisit, Span
from clinic.scheduling.planner.occupancy import Occupancy
from clinic.scheduling.planner.repair_facts import (
    GapBreach,
    MoveKind,
    RepairParts,
    RepairPlan,
    RepairWeights,
    RunningCourse,
    Stage,
    VisitMove,
)

MAKE_UP_GAP = 5  # calendar days that any two visits may be apart once one between them moved or fell out
BEFORE_ALL = -1  # position of the last visit delivered before the first one listed

Changes = Mapping[tuple[int, int], PlannedVisit | None]


def allowed_gap(request: CourseRequest, before: int, after: int) -> Span | None:
    """Calendar days allowed between two visits that follow each other, by position; None = no rule.

    Neighbours of the protocol keep the later one's rule; others may be 1..max(its longest gap, 5) days apart.
    """
    own = request.visits[after].gap
    if own is None:
        return None
    return own if after == before + 1 else (1, max(own[1], MAKE_UP_GAP))


def breaks_gap(request: CourseRequest, before: int, after: int, days: int) -> bool:
    """True if so many days lie outside what is allowed."""
    allowed = allowed_gap(request, before, after)
    return allowed is not None and not allowed[0] <= days <= allowed[1]


def change_cost(
    old: PlannedVisit, new: PlannedVisit | None, occupancy: Occupancy, weights: RepairWeights
) -> RepairParts:
    """Price of one visit at its new place, or without one; the gap rules apart."""
    if new is None:
        return RepairParts(dropped=weights.drop)
    device = location = 0
    if new.location != old.location:
        location = weights.location
    elif new.device != old.device:
        device = weights.device
    if (new.day, new.start) == (old.day, old.start):
        return RepairParts(device=device, location=location)
    weekdays = occupancy.weekdays_between(min(old.day, new.day), max(old.day, new.day))
    return RepairParts(
        touch=weights.touch,
        minutes=weights.minute * abs(new.start - old.start),
        days=weights.day * min(weights.most_days, weekdays),
        device=device,
        location=location,
    )


def add(a: RepairParts, b: RepairParts) -> RepairParts:
    """Term by term."""
    return RepairParts(**{name: value + b.as_dict()[name] for name, value in a.as_dict().items()})


def in_order(visits: Sequence[PlannedVisit | None]) -> list[tuple[int, PlannedVisit]]:
    """Kept visits with their positions, by day."""
    return sorted(((k, v) for k, v in enumerate(visits) if v is not None), key=lambda x: (x[1].day, x[1].start))


def as_plan(
    courses: Sequence[RunningCourse],
    changes: Changes,
    struck: Sequence[Hit],
    occupancy: Occupancy,
    weights: RepairWeights,
    *,
    stage: Stage,
    bound: int | None = None,
    unresolved: tuple[str, ...] = (),
    shift: int = 0,
) -> RepairPlan:
    """The plan that these changes make, priced from scratch over every course."""
    causes = {(hit.course, hit.position): hit.rule for hit in struck}
    placed: dict[str, tuple[PlannedVisit | None, ...]] = {}
    moves: list[VisitMove] = []
    breaches: list[GapBreach] = []
    parts = RepairParts()
    changed = {c for (c, k), new in changes.items() if new != courses[c].placed[k]}
    for c, course in enumerate(courses):
        visits: tuple[PlannedVisit | None, ...] = course.placed
        if c in changed or course.missed:
            missing = dict.fromkeys(course.missed)
            mine = missing | {k: new for (of, k), new in changes.items() if of == c}
            visits = tuple(mine.get(k, old) for k, old in enumerate(visits))
            placed[course.id] = visits
            for k, (old, new) in enumerate(zip(course.placed, visits, strict=True)):
                if new != old:
                    cost = change_cost(old, new, occupancy, weights)
                    parts = add(parts, cost)
                    moves.append(_move(course, k, old, new, causes.get((c, k), "makes_room"), cost.total))
        found = _breaches(course, visits, weights)
        parts = replace(parts, gap=parts.gap + sum(b.cost for b in found))
        breaches.extend(found)
    moves.sort(key=lambda m: (m.old.day, m.old.start, m.course, m.position))
    return RepairPlan(
        tuple(moves), placed, tuple(breaches), parts.total, parts, stage, bound, unresolved=unresolved, shift=shift
    )


def _breaches(course: RunningCourse, visits: Sequence[PlannedVisit | None], weights: RepairWeights) -> list[GapBreach]:
    request, kept = course.request, in_order(visits)
    old = {(a.day, b.day) for (_, a), (_, b) in pairwise(in_order(course.placed))}
    found = []
    if (
        request.previous_day is not None
        and kept
        and breaks_gap(request, BEFORE_ALL, kept[0][0], kept[0][1].day - request.previous_day)
    ):
        k, first = kept[0]
        days = first.day - request.previous_day
        found.append(
            _breach(course, None, first, days, allowed_gap(request, BEFORE_ALL, k), weights, first in course.placed)
        )
    for (ka, a), (kb, b) in pairwise(kept):
        if breaks_gap(request, ka, kb, b.day - a.day):
            known = (a.day, b.day) in old
            found.append(_breach(course, a, b, b.day - a.day, allowed_gap(request, ka, kb), weights, known))
    return found


def _breach(
    course: RunningCourse,
    before: PlannedVisit | None,
    after: PlannedVisit,
    days: int,
    allowed: Span | None,
    weights: RepairWeights,
    known: bool,
) -> GapBreach:
    assert allowed is not None
    text = f"{days} days before visit {after.number} on {after.date:%a} {after.date:%b} {after.date.day}, allowed {allowed[0]} to {allowed[1]}"
    return GapBreach(course.id, before, after, days, allowed, weights.gap, text, is_new=not known)


def _move(
    course: RunningCourse, k: int, old: PlannedVisit, new: PlannedVisit | None, because: str, cost: int
) -> VisitMove:
    kind: MoveKind = "moved"
    minutes = days = 0
    earlier = False
    if new is None:
        kind = "dropped"
    else:
        minutes, days = new.start - old.start, new.day - old.day
        earlier = k not in course.missed and (days, minutes) < (0, 0)
        if k in course.missed:
            kind = "made_up"
        elif not minutes and not days:
            kind = "other_device"
    text = _move_text(old, new, minutes, days)
    return VisitMove(course.id, k, kind, old, new, minutes, days, earlier, because, cost, text)


def _move_text(old: PlannedVisit, new: PlannedVisit | None, minutes: int, days: int) -> str:
    if new is None:
        return "no place found"
    at = f"{new.start // 60}:{new.start % 60:02d}"
    where = "" if new.location == old.location else f" at {new.location}"
    if days:
        return f"on {new.date:%a} {new.date:%b} {new.date.day} at {at}{where}"
    if minutes:
        return f"{abs(minutes)} minutes {'earlier' if minutes < 0 else 'later'}, at {at}{where}"
    return f"same time on {new.device}{where}"
