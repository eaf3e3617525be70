"""Why this course, and why none: the binding visit, the cause day by day, and the smallest change that opens one."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from clinic.scheduling.planner.facts import (
    ALL_DAY,
    BlockedDay,
    CoursePlan,
    CourseRequest,
    NoCourse,
    Relaxation,
    Span,
    VisitSpec,
)
from clinic.scheduling.planner.occupancy import Occupancy
from clinic.scheduling.planner.placement import place
from clinic.scheduling.planner.reach import Moves, Reach
from clinic.scheduling.planner.rules import (
    HARD_RULES,
    RULE_TEXT,
    Block,
    first_empty_rule,
    usable_devices,
    why_not,
)
from clinic.scheduling.planner.search import solve
from clinic.scheduling.planner.table import Table, modes_for, start_limits

WIDER_BY = (30, 60, 90, 120, 180, 240, 1440)
LONGER_GAPS_BY = (1, 2, 3, 4, 5)
STEP_PENALTY = 6
BREACH_PRICE = 100_000
NO_LIMIT = 10**6


def clock(minutes: int) -> str:
    """8:20 for 500."""
    return f"{minutes // 60}:{minutes % 60:02d}"


def _day(occupancy: Occupancy, day: int) -> str:
    on = occupancy.date_of(day)
    return f"{on:%a} {on:%b} {on.day}"


def _times(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


# -- why this course ----------------------------------------------------------------------------------------------


def plan_reasons(plan: CoursePlan, request: CourseRequest, occupancy: Occupancy) -> tuple[str, ...]:
    """The cost terms of a plan in words."""
    reasons = [_start_reason(plan, request, occupancy), time_reason(plan, request)]
    home = occupancy.device(plan.home).location
    own = [v for spec, v in zip(request.visits, plan.visits, strict=True) if spec.consistent]
    elsewhere = sum(v.location != home for v in own)
    other_device = sum(v.location == home and v.device != plan.home for v in own)
    if elsewhere:
        reasons.append(f"{_times(elsewhere, 'visit')} at another location")
    if other_device:
        reasons.append(f"{_times(other_device, 'visit')} on another device")
    if plan.parts.gap:
        reasons.append(f"{_times(plan.parts.gap // max(1, request.weights.gap), 'weekday')} off the ideal pace")
    if plan.parts.pref:
        reasons.append("some visits lie outside the preferred hours")
    return tuple(reasons)


def _start_reason(plan: CoursePlan, request: CourseRequest, occupancy: Occupancy) -> str:
    first = plan.visits[0].day
    text = f"starts {_day(occupancy, first)}"
    if not request.continued:
        waited = occupancy.weekdays_between(request.release, first)
        text += f", {_times(waited, 'weekday')} after the first possible day" if waited else ", the first possible day"
    if first > plan.earliest_day:
        return f"{text}; a start on {_day(occupancy, plan.earliest_day)} is possible but costs no less"
    return f"{text}; no course can start sooner"


def time_reason(plan: CoursePlan, request: CourseRequest) -> str:
    """How far the sessions lie from their usual time."""
    own = [v.start for spec, v in zip(request.visits, plan.visits, strict=True) if spec.consistent]
    far = max((abs(t - plan.anchor) for t in own), default=0)
    if far == 0:
        return f"every session at {clock(plan.anchor)}"
    return f"every session within {far} minutes of {clock(plan.anchor)}"


def why_this_time(plan: CoursePlan, request: CourseRequest, occupancy: Occupancy) -> dict[int, str]:
    """For each visit away from the usual time or device (by number): what blocks the usual place that day."""
    notes = {}
    for spec, visit in zip(request.visits, plan.visits, strict=True):
        if not spec.consistent or (visit.start, visit.device) == (plan.anchor, plan.home):
            continue
        rule = why_not(request, occupancy, spec, (visit.day, plan.home, plan.anchor))
        if rule is not None:
            text = RULE_TEXT.get(rule, rule.replace("_", " "))
            notes[visit.number] = f"{_day(occupancy, visit.day)} at {clock(plan.anchor)} on {plan.home}: {text}"
    return notes


# -- why none -----------------------------------------------------------------------------------------------------


def explain_no_course(request: CourseRequest, occupancy: Occupancy, *, relax: bool = True) -> NoCourse:
    """Explain a request that has no course. The proof is the first visit that no day can take.

    `relax`: also search what would open one, which takes some ten times as long as planning.
    """
    relaxations = tuple(_relaxations(request, occupancy)) if relax else ()
    table = Table(request, occupancy)
    if not request.visits:
        return NoCourse("every_visit_is_planned", 0, "", "the protocol has no visits left to plan")
    for k, visit in enumerate(request.visits):
        if len(usable_devices(request, occupancy, visit)) == 0 or not table.homes:
            number = request.first_number + k
            text = f"no accepted location has a device for {visit.capability} (visit {number})"
            return NoCourse("device_has_capability", number, visit.kind, text, relaxations=relaxations)
    first, last = start_limits(table)
    if first >= last:
        text = "the start window is empty"
        return NoCourse("first_visit_is_in_window", request.first_number, request.visits[0].kind, text, (), relaxations)
    reach, k = _furthest(table, first, last)
    days = _blocked_days(table, reach, k, first, last)
    beyond = k > 0 and reach.candidates(k) > reach.days_mask(0, table.days)
    rule = _binding_rule(days, beyond)
    visit, number = request.visits[k], request.first_number + k
    return NoCourse(rule, number, visit.kind, _no_course_text(number, visit.kind, days, rule), days, relaxations)


def _furthest(table: Table, first: int, last: int) -> tuple[Reach, int]:
    """The mode that places most visits, and the first visit it cannot place."""
    found: list[tuple[int, int, Reach]] = []
    for mode in modes_for(table.request.min_hours):
        reach = Reach(Moves(table, mode), first, last)
        k = next((k for k, days in enumerate(reach.forward) if days == 0), len(reach.forward) - 1)
        found.append((k, len(_candidates(table, reach, k, first, last)), reach))
    k, _, reach = max(found, key=lambda x: x[:2])
    return reach, k


def _candidates(table: Table, reach: Reach, k: int, first: int, last: int) -> list[int]:
    """Table days that the gap rule, or the start window, leaves for visit k."""
    if k == 0:
        return list(range(first, last))
    return reach.days_of(reach.candidates(k) & reach.days_mask(0, table.days))


def _blocked_days(table: Table, reach: Reach, k: int, first: int, last: int) -> tuple[BlockedDay, ...]:
    request, occupancy = table.request, table.occupancy
    visit = request.visits[k]
    devices = usable_devices(request, occupancy, visit)
    blocked = []
    for i in _candidates(table, reach, k, first, last):
        day = table.first_day + i
        block = Block(request, occupancy, visit, devices, day, day + 1, table.first_start, table.count)
        rule = first_empty_rule(block) or "hours_between"
        blocked.append(BlockedDay(day, occupancy.date_of(day), rule, f"{_day(occupancy, day)}: {RULE_TEXT[rule]}"))
    return tuple(blocked)


def _binding_rule(days: tuple[BlockedDay, ...], beyond: bool) -> str:
    """The most frequent cause; a closed day binds only where nothing else does, not even the end of the calendar."""
    causes = Counter(x.rule for x in days)
    closed = causes.pop("location_is_open", 0)
    if not causes:
        return "location_is_open" if closed and not beyond else "day_is_inside_horizon"
    order = [rule.__name__ for rule in HARD_RULES] + ["hours_between"]
    return max(causes, key=lambda rule: (causes[rule], order.index(rule)))


def _no_course_text(number: int, kind: str, days: tuple[BlockedDay, ...], rule: str) -> str:
    if rule == "day_is_inside_horizon":
        return f"visit {number} ({kind}) would fall after the last planned day"
    return f"visit {number} ({kind}) fits on no day from {days[0].date} to {days[-1].date}; mostly: {RULE_TEXT[rule]}"


# -- what would open one ------------------------------------------------------------------------------------------


def relaxed(request: CourseRequest, occupancy: Occupancy, by: Relaxation) -> tuple[CourseRequest, Occupancy]:
    """Request and occupancy with one relaxation applied."""
    match by.kind:
        case "windows":
            return replace(request, windows=_wider(request, by.amount)), occupancy
        case "locations":
            added = [by.location] if by.location is not None else [x.id for x in occupancy.locations]
            penalty = max(request.locations.values(), default=0) + STEP_PENALTY
            return replace(request, locations={**dict.fromkeys(added, penalty), **request.locations}), occupancy
        case "bookings" | "staff":
            return request, occupancy.without(by.kind)
        case "days_away":
            return replace(request, away=request.away - set(by.days)), occupancy
        case "start_window":
            return replace(request, latest_start=by.days[0]), occupancy
        case "gaps":
            return replace(request, visits=tuple(_longer_gap(v, by.amount) for v in request.visits)), occupancy
        case _:
            raise ValueError(by.kind)


def _wider(request: CourseRequest, minutes: int) -> tuple[tuple[Span, ...], ...]:
    if minutes >= 1440:
        return ALL_DAY
    return tuple(
        tuple((max(0, a - minutes), min(1440, b + minutes)) for a, b in windows) for windows in request.windows
    )


def _longer_gap(visit: VisitSpec, by: int) -> VisitSpec:
    return visit if visit.gap is None else replace(visit, gap=(visit.gap[0], visit.gap[1] + by))


def _relaxations(request: CourseRequest, occupancy: Occupancy) -> Iterator[Relaxation]:
    """Of each kind of limit the smallest change that alone opens a course."""
    for find in (_start_window, _windows, _locations, _days_away, _gaps, _bookings, _staff):
        found = find(request, occupancy)
        if found is not None:
            yield found


def _opened(request: CourseRequest, occupancy: Occupancy, by: Relaxation) -> Relaxation | None:
    table = Table(*relaxed(request, occupancy, by))
    found = solve(table)
    if found is None:
        return None
    solution, _ = found
    starts_on = occupancy.date_of(table.first_day + solution.days[0])
    return replace(by, starts_on=starts_on, cost=solution.cost)


def _start_window(request: CourseRequest, occupancy: Occupancy) -> Relaxation | None:
    if request.continued or request.latest_start >= occupancy.days - 1:
        return None
    table = Table(replace(request, latest_start=NO_LIMIT), occupancy)
    found = solve(table)
    if found is None:
        return None
    day = table.first_day + found[1]
    later = max(1, day - request.latest_start)
    text = f"a start up to {_day(occupancy, day)}, {_times(later, 'day')} later than asked"
    return _opened(request, occupancy, Relaxation("start_window", later, text, days=(day,)))


def _windows(request: CourseRequest, occupancy: Occupancy) -> Relaxation | None:
    for minutes in WIDER_BY:
        text = "any time of any day" if minutes == 1440 else f"hours wider by {minutes} minutes on each side"
        found = _opened(request, occupancy, Relaxation("windows", minutes, text))
        if found is not None:
            return found
    return None


def _locations(request: CourseRequest, occupancy: Occupancy) -> Relaxation | None:
    others = [x.id for x in occupancy.locations if x.id not in request.locations]
    each = (_opened(request, occupancy, Relaxation("locations", 1, f"also at {x}", location=x)) for x in others)
    found = [x for x in each if x is not None]
    if found:
        return min(found, key=lambda x: (x.cost or 0, x.location or ""))
    if len(others) < 2:
        return None
    return _opened(request, occupancy, Relaxation("locations", len(others), "at every location"))


def _gaps(request: CourseRequest, occupancy: Occupancy) -> Relaxation | None:
    for days in LONGER_GAPS_BY:
        text = f"gaps longer by {_times(days, 'day')}, with a clinician's approval"
        found = _opened(request, occupancy, Relaxation("gaps", days, text))
        if found is not None:
            return found
    return None


def _days_away(request: CourseRequest, occupancy: Occupancy) -> Relaxation | None:
    if not request.away:
        return None
    found = _fewest_breaches(request, replace(request, away=frozenset()), occupancy, occupancy)
    if found is None:
        return None
    text = f"the patient comes on {_times(len(found), 'day')} away: {_list_days(occupancy, found)}"
    return _opened(request, occupancy, Relaxation("days_away", len(found), text, days=found))


def _bookings(request: CourseRequest, occupancy: Occupancy) -> Relaxation | None:
    found = _fewest_breaches(request, request, occupancy, occupancy.without("bookings"))
    if found is None:
        return None
    text = f"other bookings move on {_times(len(found), 'day')}: {_list_days(occupancy, found)}"
    return _opened(request, occupancy, Relaxation("bookings", len(found), text, days=found))


def _staff(request: CourseRequest, occupancy: Occupancy) -> Relaxation | None:
    found = _fewest_breaches(request, request, occupancy, occupancy.without("staff"))
    if found is None:
        return None
    text = f"one more member of staff on {_times(len(found), 'day')}: {_list_days(occupancy, found)}"
    return _opened(request, occupancy, Relaxation("staff", len(found), text, days=found))


def _list_days(occupancy: Occupancy, days: tuple[int, ...], most: int = 6) -> str:
    text = ", ".join(_day(occupancy, day) for day in days[:most])
    return text if len(days) <= most else f"{text} and {len(days) - most} more"


def _fewest_breaches(
    request: CourseRequest, loose: CourseRequest, occupancy: Occupancy, free: Occupancy
) -> tuple[int, ...] | None:
    """Days of the visits that need the relaxation, in the course that needs it least often."""
    table = Table(loose, free, strict=Table(request, occupancy), price=BREACH_PRICE)
    found = solve(table)
    if found is None:
        return None
    plan = place(table, found[0], found[1])
    return tuple(
        visit.day
        for spec, visit in zip(request.visits, plan.visits, strict=True)
        if why_not(request, occupancy, spec, (visit.day, visit.device, visit.start)) is not None
    )
