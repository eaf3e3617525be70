"""Where a session that was missed can be given: after the last one, by the gap rules."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from clinic.scheduling.planner.changes import MAKE_UP_GAP
from clinic.scheduling.planner.facts import PlannedVisit, VisitSpec
from clinic.scheduling.planner.occupancy import Occupancy
from clinic.scheduling.planner.options import Now, Places
from clinic.scheduling.planner.repair_facts import GapBreach, RepairWeights, RunningCourse

LOOK_AHEAD = 28  # days after the last session, or after today, in which a place is looked for


@dataclass(frozen=True, slots=True)
class MakeUp:
    """One place for a session that is owed. Nothing is booked.

    gap: calendar days since the session before. minutes: away from the usual time, negative = earlier in the day.
    breach: the gap rule that this place would not keep; such a place needs a clinician's approval.
    """

    visit: PlannedVisit
    gap: int
    minutes: int
    breach: GapBreach | None
    text: str


def make_ups(
    course: RunningCourse,
    owed: VisitSpec,
    occupancy: Occupancy,
    *,
    now: int,
    now_minute: int = 0,
    notice: int = 60,
    usual: tuple[str, int] | None = None,
    count: int = 3,
    weights: RepairWeights | None = None,
) -> tuple[MakeUp, ...]:
    """Up to `count` places on as many days, soonest first, each nearest to the usual time; () if there is none at all.

    course: the visits that hold a place, delivered ones among them; their bookings are in the occupancy.
    owed: the visit to be added. usual: device and start; without it those of the last visit.
    The gap to the last visit is 1 to max(own longest gap, 5) calendar days. Only where no day inside it has a place,
    later days follow, each with the breach named.
    """
    if not course.placed:
        raise ValueError("nothing was given yet: plan the course anew")
    weights = weights or RepairWeights()
    last = max(course.placed, key=lambda v: (v.day, v.start))
    device, minute = usual or (last.device, last.start)
    following = _with_owed(course, owed, last, occupancy, device, minute)
    allowed = (1, max(owed.gap[1] if owed.gap else 1, MAKE_UP_GAP))
    places = Places(occupancy, Now(now, now_minute, notice), weights)
    found: list[MakeUp] = []
    for day in range(max(last.day + 1, now), min(occupancy.days, max(last.day, now) + LOOK_AHEAD)):
        late = day - last.day > allowed[1]
        if len(found) == count or (late and any(x.breach is None for x in found)):
            break
        options = places.on_day(following, len(course.placed), day, course.placed, most=1)
        if options:
            found.append(_made_up(course, last, options[0].visit, minute, allowed, weights))
    return tuple(found)


def _with_owed(
    course: RunningCourse, owed: VisitSpec, last: PlannedVisit, occupancy: Occupancy, device: str, minute: int
) -> RunningCourse:
    """The course with the owed visit at its usual place, to price the distance from."""
    visits = (*course.request.visits, owed)
    usual = replace(
        last,
        number=last.number + 1,
        kind=owed.kind,
        device=device,
        location=occupancy.device(device).location,
        start=minute,
        end=minute + owed.span,
    )
    return replace(course, request=replace(course.request, visits=visits), placed=(*course.placed, usual))


def _made_up(
    course: RunningCourse,
    last: PlannedVisit,
    visit: PlannedVisit,
    minute: int,
    allowed: tuple[int, int],
    weights: RepairWeights,
) -> MakeUp:
    gap = visit.day - last.day
    text = " ".join(_words(visit, gap, visit.start - minute))
    breach = None
    if gap > allowed[1]:
        why = f"{gap} days after the session before, allowed {allowed[0]} to {allowed[1]}"
        breach = GapBreach(course.id, last, visit, gap, allowed, weights.gap, why)
    return MakeUp(visit, gap, visit.start - minute, breach, text)


def _words(visit: PlannedVisit, gap: int, minutes: int) -> Iterator[str]:
    yield f"{visit.date:%a} {visit.date:%b} {visit.date.day} at {visit.start // 60}:{visit.start % 60:02d},"
    yield f"{gap} {'day' if gap == 1 else 'days'} after the session before"
    if minutes:
        yield f"and {abs(minutes)} minutes {'earlier' if minutes < 0 else 'later'} than usual"
