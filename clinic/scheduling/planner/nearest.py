"""The instant preview: every visit that lost its place goes to the nearest free one, one after the other."""

from collections.abc import Sequence

from clinic.scheduling.planner.changes import Changes
from clinic.scheduling.planner.damage import MISSED, Hit, is_crowded, sessions_of
from clinic.scheduling.planner.facts import PlannedVisit
from clinic.scheduling.planner.occupancy import Occupancy
from clinic.scheduling.planner.options import Option, Places
from clinic.scheduling.planner.repair_facts import RunningCourse


def nearest_places(courses: Sequence[RunningCourse], struck: Sequence[Hit], places: Places) -> Changes:
    """A place for every visit in turn, by day and start: the cheapest on its day, else the first day after the course.

    Gap rules are not looked at: where several visits of one course fall out they may end far apart. Of visits in
    crowded minutes as many move as must, in order of time.
    """
    occupancy = places.occupancy = places.occupancy.copy()
    changes: dict[tuple[int, int], PlannedVisit | None] = {}
    for hit in struck:
        if hit.certain and hit.rule != MISSED:
            _take(courses[hit.course], hit.position, courses[hit.course].placed[hit.position], occupancy, -1)
    for hit in struck:
        course, k = courses[hit.course], hit.position
        old = course.placed[k]
        if not hit.certain:
            if not is_crowded(occupancy, course.request.visits[k], old):
                continue
            _take(course, k, old, occupancy, -1)
        now = [changes.get((hit.course, j), v) for j, v in enumerate(course.placed) if j != k]
        fixed = [v for v in now if v is not None]
        option = _nearest(course, k, hit, fixed, places)
        changes[hit.course, k] = None if option is None else option.visit
        if option is not None:
            _take(course, k, option.visit, occupancy, 1)
    return changes


def _nearest(course: RunningCourse, k: int, hit: Hit, fixed: Sequence[PlannedVisit], places: Places) -> Option | None:
    old = course.placed[k]
    if hit.rule != MISSED:
        options = places.on_day(course, k, old.day, fixed, most=1)
        if options:
            return options[0]
    taken = {v.day for v in fixed}
    for day, options in sorted(places.elsewhere(course, k, fixed, taken | {old.day}).items()):
        if day > max(v.day for v in course.placed) and options:
            return options[0]
    return None


def _take(course: RunningCourse, k: int, visit: PlannedVisit, occupancy: Occupancy, by: int) -> None:
    for session in sessions_of(course.request.visits[k], visit.day, visit.device, visit.start):
        occupancy.book(session) if by > 0 else occupancy.release(session)
