"""Why none: the binding visit, the cause day by day, and the smallest change of each kind that opens a course."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import combinations

from clinic.scheduling.planner.facts import (
    BlockedDay,
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
from clinic.scheduling.planner.words import WEEKDAYS, day_name, list_days, times

WIDER_BY = (30, 60, 90, 120, 180, 240, 1440)
LONGER_GAPS_BY = (1, 2, 3, 4, 5)
STEP_PENALTY = 6
BREACH_PRICE = 100_000
NO_LIMIT = 10**6
WEAK_CAUSES = ("location_is_open", "given_on_this_weekday")  # bind only where nothing else does


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
    k, rule, days = binding_visit(table, first, last)
    visit, number = request.visits[k], request.first_number + k
    return NoCourse(rule, number, visit.kind, no_day_text(number, visit.kind, days, rule), days, relaxations)


def binding_visit(table: Table, first: int, last: int) -> tuple[int, str, tuple[BlockedDay, ...]]:
    """Of a start on table days [first, last), from which no course exists: the visit that finds no day, and why."""
    reach, k = _furthest(table, first, last)
    days = _blocked_days(table, reach, k)
    beyond = k > 0 and reach.candidates(k) > reach.days_mask(0, table.days)
    return k, _binding_rule(days, beyond, is_first=k == 0), days


def _furthest(table: Table, first: int, last: int) -> tuple[Reach, int]:
    """The mode that places most visits, and the first visit it cannot place."""
    found: list[tuple[int, int, Reach]] = []
    for part in table.by_zone():
        for mode in modes_for(part.request.min_hours):
            reach = Reach(Moves(part, mode), first, last)
            k = next((k for k, days in enumerate(reach.forward) if days == 0), len(reach.forward) - 1)
            found.append((k, len(_candidates(part, reach, k)), reach))
    k, _, reach = max(found, key=lambda x: x[:2])
    return reach, k


def _candidates(table: Table, reach: Reach, k: int) -> list[int]:
    """Table days that the gap rule, and the start window, leave for visit k."""
    if k == 0:
        return reach.days_of(reach.start_days)
    return reach.days_of(reach.candidates(k) & reach.days_mask(0, table.days))


def _blocked_days(table: Table, reach: Reach, k: int) -> tuple[BlockedDay, ...]:
    request, occupancy = table.request, table.occupancy
    visit = request.visits[k]
    devices = usable_devices(request, occupancy, visit)
    blocked = []
    for i in _candidates(table, reach, k):
        day = table.first_day + i
        block = Block(request, occupancy, visit, devices, day, day + 1, table.first_start, table.count)
        rule = first_empty_rule(block) or "hours_between"
        blocked.append(BlockedDay(day, occupancy.date_of(day), rule, f"{day_name(occupancy, day)}: {RULE_TEXT[rule]}"))
    return tuple(blocked)


def _binding_rule(days: tuple[BlockedDay, ...], beyond: bool, *, is_first: bool) -> str:
    """The most frequent cause; a closed day binds only where nothing else does, not even the end of the calendar."""
    causes = Counter(x.rule for x in days)
    weak = [rule for rule in WEAK_CAUSES if causes.pop(rule, 0)]
    if not causes:
        if weak and not beyond:
            return weak[0]
        return "gaps_are_allowed" if is_first else "day_is_inside_horizon"
    order = [rule.__name__ for rule in HARD_RULES] + ["hours_between"]
    return max(causes, key=lambda rule: (causes[rule], order.index(rule)))


def no_day_text(number: int, kind: str, days: tuple[BlockedDay, ...], rule: str) -> str:
    if rule == "day_is_inside_horizon":
        return f"visit {number} ({kind}) would fall after the last planned day"
    if not days:
        return f"visit {number} ({kind}) fits on no day of the gap allowed after the session before"
    return f"visit {number} ({kind}) fits on no day from {days[0].date} to {days[-1].date}; mostly: {RULE_TEXT[rule]}"


# -- what would open one ------------------------------------------------------------------------------------------


def relaxed(request: CourseRequest, occupancy: Occupancy, by: Relaxation) -> tuple[CourseRequest, Occupancy]:
    """Request and occupancy with one relaxation applied."""
    match by.kind:
        case "windows":
            return replace(request, windows=_wider(request, by.amount)), occupancy
        case "weekdays":
            return replace(request, windows=_also_on(request, by.weekdays)), occupancy
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
        case "several":
            for part in by.parts:
                request, occupancy = relaxed(request, occupancy, part)
            return request, occupancy
        case _:
            raise ValueError(by.kind)


def _wider(request: CourseRequest, minutes: int) -> tuple[tuple[Span, ...], ...]:
    if minutes >= 1440:
        return tuple(((0, 1440),) if windows else () for windows in request.windows)
    return tuple(
        tuple((max(0, a - minutes), min(1440, b + minutes)) for a, b in windows) for windows in request.windows
    )


def _also_on(request: CourseRequest, weekdays: tuple[int, ...]) -> tuple[tuple[Span, ...], ...]:
    """The usual hours on further weekdays: all that the patient names for any day, or the whole day."""
    usual = tuple(sorted({span for windows in request.windows for span in windows})) or ((0, 1440),)
    return tuple(usual if day in weekdays else windows for day, windows in enumerate(request.windows))


def _longer_gap(visit: VisitSpec, by: int) -> VisitSpec:
    return visit if visit.gap is None else replace(visit, gap=(visit.gap[0], visit.gap[1] + by))


def _relaxations(request: CourseRequest, occupancy: Occupancy) -> Iterator[Relaxation]:
    """Of each kind of limit the smallest change that alone opens a course; where none does, two that do together."""
    alone = [found for find in KINDS if (found := find(request, occupancy)) is not None]
    if alone:
        yield from alone
        return
    together = _two_at_once(request, occupancy)
    if together is not None:
        yield together


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
    text = f"a start up to {day_name(occupancy, day)}, {times(later, 'day')} later than asked"
    return _opened(request, occupancy, Relaxation("start_window", later, text, days=(day,)))


def _windows(request: CourseRequest, occupancy: Occupancy) -> Relaxation | None:
    for minutes in WIDER_BY:
        text = (
            "any time of the days they can come"
            if minutes == 1440
            else f"hours wider by {minutes} minutes on each side"
        )
        found = _opened(request, occupancy, Relaxation("windows", minutes, text))
        if found is not None:
            return found
    return None


def _weekdays(request: CourseRequest, occupancy: Occupancy) -> Relaxation | None:
    absent = [day for day, windows in enumerate(request.windows) if not windows and day in request.given_on]
    for size in range(1, len(absent) + 1):
        found = []
        for days in combinations(absent, size):
            text = "also on " + " and ".join(WEEKDAYS[day] for day in days)
            opened = _opened(request, occupancy, Relaxation("weekdays", size, text, weekdays=days))
            if opened is not None:
                found.append(opened)
        if found:
            return min(found, key=lambda x: (x.cost or 0, x.weekdays))
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
        text = f"gaps longer by {times(days, 'day')}, with a clinician's approval"
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
    text = f"the patient comes on {times(len(found), 'day')} away: {list_days(occupancy, found)}"
    return _opened(request, occupancy, Relaxation("days_away", len(found), text, days=found))


def _bookings(request: CourseRequest, occupancy: Occupancy) -> Relaxation | None:
    found = _fewest_breaches(request, request, occupancy, occupancy.without("bookings"))
    if found is None:
        return None
    text = f"other bookings move on {times(len(found), 'day')}: {list_days(occupancy, found)}"
    return _opened(request, occupancy, Relaxation("bookings", len(found), text, days=found))


def _staff(request: CourseRequest, occupancy: Occupancy) -> Relaxation | None:
    found = _fewest_breaches(request, request, occupancy, occupancy.without("staff"))
    if found is None:
        return None
    text = f"one more member of staff on {times(len(found), 'day')}: {list_days(occupancy, found)}"
    return _opened(request, occupancy, Relaxation("staff", len(found), text, days=found))


KINDS: tuple[Callable[[CourseRequest, Occupancy], Relaxation | None], ...] = (
    _start_window,
    _windows,
    _weekdays,
    _locations,
    _days_away,
    _gaps,
    _bookings,
    _staff,
)


def _two_at_once(request: CourseRequest, occupancy: Occupancy) -> Relaxation | None:
    """The first pair of whole limits, in the order of KINDS, without which there is a course."""
    absent = tuple(day for day, windows in enumerate(request.windows) if not windows and day in request.given_on)
    last, others = occupancy.days - 1, [x.id for x in occupancy.locations if x.id not in request.locations]
    away = tuple(sorted(request.away))
    limits = [
        Relaxation("windows", 1440, "any time of the days they can come"),
        Relaxation(
            "gaps", LONGER_GAPS_BY[-1], f"gaps longer by {LONGER_GAPS_BY[-1]} days, with a clinician's approval"
        ),
        Relaxation("bookings", 0, "other bookings move"),
        Relaxation("staff", 0, "more staff"),
    ]
    if not request.continued and request.latest_start < last:
        limits.insert(0, Relaxation("start_window", last - request.latest_start, "a later start", days=(last,)))
    if absent:
        text = "also on " + " and ".join(WEEKDAYS[day] for day in absent)
        limits.insert(-3, Relaxation("weekdays", len(absent), text, weekdays=absent))
    if others:
        limits.insert(-3, Relaxation("locations", len(others), "at every location"))
    if away:
        limits.insert(-3, Relaxation("days_away", len(away), "the patient comes on the days away", days=away))
    for a, b in combinations(limits, 2):
        both = Relaxation("several", 2, f"{a.text}, and {b.text}", parts=(a, b))
        found = _opened(request, occupancy, both)
        if found is not None:
            return found
    return None


def _fewest_breaches(
    request: CourseRequest, loose: CourseRequest, occupancy: Occupancy, free: Occupancy
) -> tuple[int, ...] | None:
    """Days of the visits that need the relaxation, in the course that needs it least often."""
    table = Table(loose, free, strict=Table(request, occupancy), price=BREACH_PRICE)
    found = solve(table)
    if found is None:
        return None
    plan = place(*found)
    return tuple(
        visit.day
        for spec, visit in zip(request.visits, plan.visits, strict=True)
        if why_not(request, occupancy, spec, (visit.day, visit.device, visit.start)) is not None
    )
