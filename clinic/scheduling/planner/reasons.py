"""Why this course: its cost in words and by visit, what blocks what looks better, and the gaps that it leaves by name."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from clinic.scheduling.planner.explain import binding_visit, no_day_text
from clinic.scheduling.planner.facts import (
    BlockedOption,
    BlockedStart,
    Booking,
    CoursePlan,
    CourseRequest,
    DayCause,
    NamedGap,
    PlannedVisit,
    VisitReason,
    VisitSpec,
)
from clinic.scheduling.planner.occupancy import Occupancy
from clinic.scheduling.planner.placement import visit_costs
from clinic.scheduling.planner.rules import (
    RULE_TEXT,
    Block,
    broken_rules_at,
    first_empty_rule,
    text_of,
    usable_devices,
    why_not,
)
from clinic.scheduling.planner.search import best_by_start
from clinic.scheduling.planner.table import INF, Table
from clinic.scheduling.planner.words import clock, day_name, times

LONGEST_PLAIN_GAP = 4  # calendar days; what lies beyond is shown by name
MOST_STARTS = 10
POSSIBLE = "possible"


def plan_reasons(plan: CoursePlan, request: CourseRequest, occupancy: Occupancy) -> tuple[str, ...]:
    """The cost terms of a plan in words."""
    reasons = [_start_reason(plan, request, occupancy), time_reason(plan, request)]
    home = occupancy.device(plan.home).location
    own = [v for spec, v in zip(request.visits, plan.visits, strict=True) if spec.consistent]
    elsewhere = sum(v.location != home for v in own)
    other_device = sum(v.location == home and v.device != plan.home for v in own)
    if elsewhere:
        reasons.append(f"{times(elsewhere, 'visit')} at another location")
    if other_device:
        reasons.append(f"{times(other_device, 'visit')} on another device")
    if plan.parts.gap:
        reasons.append(f"{times(plan.parts.gap // max(1, request.weights.gap), 'weekday')} off the ideal pace")
    if plan.parts.pref:
        reasons.append("some visits lie outside the preferred hours")
    return tuple(reasons)


def _start_reason(plan: CoursePlan, request: CourseRequest, occupancy: Occupancy) -> str:
    first = plan.visits[0].day
    text = f"starts {day_name(occupancy, first)}"
    if not request.continued:
        waited = occupancy.weekdays_between(request.release, first)
        text += f", {times(waited, 'weekday')} after the first possible day" if waited else ", the first possible day"
    if first > plan.earliest_day:
        return f"{text}; a start on {day_name(occupancy, plan.earliest_day)} is possible but costs no less"
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
            at = f"{day_name(occupancy, visit.day)} at {clock(plan.anchor)} on {plan.home}"
            notes[visit.number] = f"{at}: {text_of(rule)}"
    return notes


# -- visit by visit -------------------------------------------------------------------------------------------------


def visit_reasons(
    plan: CoursePlan, request: CourseRequest, occupancy: Occupancy, bookings: Iterable[Booking] = ()
) -> tuple[VisitReason, ...]:
    """What each visit adds to the cost, and the cheapest blocked place on its day.

    The occupancy is the one that the plan was made on. A cheaper place that is not blocked does not exist: the plan
    would have it. `bookings`, where given, are searched for those in the way. The parts add up to the plan's.
    """
    on_day: dict[int, list[Booking]] = {}
    for booking in bookings:
        on_day.setdefault(booking.day, []).append(booking)
    ideals: dict[tuple[object, ...], tuple[int, int, int] | None] = {}
    found = []
    parts = visit_costs(request, occupancy, plan.visits, plan.anchor, plan.home)
    for spec, visit, part in zip(request.visits, plan.visits, parts, strict=True):
        own = part.tod + part.dev + part.loc + part.pref
        key = spec.duration, spec.capability, spec.need, spec.offsets, spec.consistent
        if key not in ideals:
            ideals[key] = _ideal(spec, plan, request, occupancy)
        ideal = ideals[key]
        blocked = None
        if ideal is not None and ideal[0] < own:
            blocked = _blocked(spec, visit, ideal, own, request, occupancy, on_day.get(visit.day, []))
        found.append(VisitReason(visit.number, part, blocked))
    return tuple(found)


def _ideal(
    spec: VisitSpec, plan: CoursePlan, request: CourseRequest, occupancy: Occupancy
) -> tuple[int, int, int] | None:
    """Cost, device and start of the cheapest place for such a visit if nothing forbade it; nearest the usual time."""
    devices = usable_devices(request, occupancy, spec)
    if not len(devices) or not spec.consistent:
        return None  # what is compared with nothing has no usual place that could be blocked
    weights, home = request.weights, occupancy.device_index[plan.home]
    here = occupancy.device_location[home]
    starts = [plan.anchor]
    if request.preferred is not None:
        edge = -(-request.preferred[0] // occupancy.grid) * occupancy.grid
        last = (request.preferred[1] - 1) // occupancy.grid * occupancy.grid
        starts += [t for t in (edge, last) if request.preferred[0] <= t < request.preferred[1]]
    options = []
    for device in (int(i) for i in devices):
        location = occupancy.device_location[device]
        place = request.locations[occupancy.devices[device].location]
        place += weights.loc if location != here else weights.dev if device != home else 0
        for start in starts:
            outside = request.preferred and not request.preferred[0] <= start < request.preferred[1]
            cost = place + weights.tod * abs(start - plan.anchor) + (weights.pref if outside else 0)
            options.append((cost, abs(start - plan.anchor), device != home, device, start))
    cost, _, _, device, start = min(options)
    return cost, device, start


def _blocked(
    spec: VisitSpec,
    visit: PlannedVisit,
    ideal: tuple[int, int, int],
    own: int,
    request: CourseRequest,
    occupancy: Occupancy,
    bookings: Sequence[Booking],
) -> BlockedOption | None:
    cost, device, start = ideal
    facts = occupancy.devices[device]
    rules = broken_rules_at(request, occupancy, spec, (visit.day, facts.id, start))
    if not rules:
        return None  # only the hours between starts, or the other visits, forbid it
    in_the_way = _in_the_way(spec, device, start, rules, occupancy, bookings)
    needed = rules
    if "device_is_free" in rules and "staff_are_free" in rules:
        on_it = tuple(b for b in in_the_way if b.device == facts.id)
        if on_it and _staffed_without(on_it, spec, visit.day, device, start, occupancy):
            in_the_way, needed = on_it, tuple(rule for rule in rules if rule != "staff_are_free")
    where = f"{day_name(occupancy, visit.day)} at {clock(start)} on {facts.id}"
    return BlockedOption(
        date=visit.date,
        device=facts.id,
        location=facts.location,
        start=start,
        rules=rules,
        bookings=in_the_way,
        saves=own - cost,
        text=f"{where}: {RULE_TEXT[rules[0]]}",
        opens=" and ".join(_opens(rule, in_the_way, occupancy, facts.id) for rule in needed),
    )


def _in_the_way(
    spec: VisitSpec,
    device: int,
    start: int,
    rules: tuple[str, ...],
    occupancy: Occupancy,
    bookings: Sequence[Booking],
) -> tuple[Booking, ...]:
    """Bookings of the day that overlap a session of the visit on the device, or draw on the pool that is used up."""
    own, location = occupancy.devices[device], int(occupancy.device_location[device])
    pools = {"obs"} if spec.need == "obs" else {"tms", "map"}

    def overlaps(booking: Booking) -> bool:
        other = occupancy.device_index[booking.device]
        end = booking.start + booking.duration
        for offset in spec.offsets:
            first, last = start + offset, start + offset + spec.duration
            on_device = "device_is_free" in rules and other == device
            if on_device and booking.start < last + own.turnover and first < end + own.turnover:
                return True
            draws = booking.need in pools and int(occupancy.device_location[other]) == location
            if "staff_are_free" in rules and draws and booking.start < last and first < end:
                return True
        return False

    found = [booking for booking in bookings if overlaps(booking)]
    return tuple(sorted(found, key=lambda b: (b.start, b.device, b.duration)))


def _staffed_without(
    gone: Sequence[Booking], spec: VisitSpec, day: int, device: int, start: int, occupancy: Occupancy
) -> bool:
    """True where the pool has room for the visit once these bookings are gone."""
    at = int(occupancy.device_location[device]), day
    freed = {need: np.zeros(occupancy.slots, dtype=np.int16) for need in occupancy.staff_on}
    for booking in gone:
        if booking.need is not None:
            freed[booking.need][occupancy.outward(booking.start, booking.start + booking.duration)] += 1
    used = {need: occupancy.staff_used[need][at] - freed[need] for need in freed}
    room = used["obs"] < occupancy.staff_on["obs"][at]
    if spec.need != "obs":
        room = used["map"] + used["tms"] < occupancy.staff_on["tms"][at]
    if spec.need == "map":
        room &= used["map"] < occupancy.staff_on["map"][at]
    return all(
        bool(room[occupancy.outward(start + offset, start + offset + spec.duration)].all()) for offset in spec.offsets
    )


def _opens(rule: str, bookings: tuple[Booking, ...], occupancy: Occupancy, device: str) -> str:
    match rule:
        case "device_is_free":
            on_it = [b for b in bookings if b.device == device]
            if not on_it:
                return "the booking there moves"
            spans = ", ".join(f"{clock(b.start)}-{clock(b.start + b.duration)}" for b in on_it)
            return f"the booking{'s' if len(on_it) > 1 else ''} at {spans} move{'' if len(on_it) > 1 else 's'}"
        case "staff_are_free" | "staff_are_on_shift":
            return "one more member of staff is there"
        case "inside_one_window":
            return "the patient comes at that time"
        case "patient_is_here":
            return "the patient comes on that day"
        case "patient_is_free":
            return "the patient's other appointment moves"
        case "location_is_open":
            return "the site opens longer that day"
        case "device_is_up":
            return "the device is back in service"
        case _:
            return "the protocol allows it"


# -- gaps and starts ------------------------------------------------------------------------------------------------


def named_gaps(
    visits: Sequence[PlannedVisit], request: CourseRequest, occupancy: Occupancy, home: str
) -> tuple[NamedGap, ...]:
    """Every gap of more than four calendar days, with the cause of each weekday that it leaves out."""
    found = []
    days = [request.previous_day, *(visit.day for visit in visits)]
    for k, (before, visit) in enumerate(zip(days, visits, strict=False)):
        if before is None or visit.day - before <= LONGEST_PLAIN_GAP:
            continue
        spec = request.visits[k]
        expected = spec.ideal is not None and occupancy.weekdays_between(before, visit.day) <= spec.ideal[1]
        causes = () if expected else tuple(_causes(spec, before, visit.day, request, occupancy, home))
        text = (
            f"{times(visit.day - before, 'day')} from {day_name(occupancy, before)} to {day_name(occupancy, visit.day)}"
        )
        if expected:
            text += ", as the protocol asks"
        elif causes:
            text += ": " + ", ".join(cause.text for cause in causes)
        found.append(
            NamedGap(
                after=visit.number - 1,
                from_date=occupancy.date_of(before),
                to_date=visit.date,
                days=visit.day - before,
                expected=expected,
                causes=causes,
                text=text,
            )
        )
    return tuple(found)


def gap_as_json(gap: NamedGap) -> dict[str, Any]:
    """A gap as answers carry it."""
    return {
        "after": gap.after,
        "from": gap.from_date.isoformat(),
        "to": gap.to_date.isoformat(),
        "days": gap.days,
        "expected": gap.expected,
        "text": gap.text,
    }


def _causes(
    spec: VisitSpec, before: int, until: int, request: CourseRequest, occupancy: Occupancy, home: str
) -> Iterator[DayCause]:
    location = occupancy.locations[occupancy.location_index[occupancy.device(home).location]]
    for day in range(before + 1, until):
        on = occupancy.date_of(day)
        if on.weekday() > 4:
            continue
        if day in location.closed:
            name = location.closed_names.get(day)
            words = f"closed ({name})" if name else "closed"
            yield DayCause(on, "location_is_open", f"{day_name(occupancy, day)} {words}")
            continue
        rule = day_rule(spec, day, request, occupancy)
        words = "possible but dearer" if rule == POSSIBLE else RULE_TEXT[rule]
        yield DayCause(on, rule, f"{day_name(occupancy, day)} {words}")


def day_rule(spec: VisitSpec, day: int, request: CourseRequest, occupancy: Occupancy) -> str:
    """The rule that leaves such a visit no place on a day, or "possible"."""
    if not 0 <= day < occupancy.days:
        return "day_is_inside_horizon"
    devices = usable_devices(request, occupancy, spec)
    if not len(devices):
        return "device_has_capability"
    count = -(-occupancy.slots * occupancy.unit // occupancy.grid)
    block = Block(request, occupancy, spec, devices, day, day + 1, occupancy.low, count)
    return first_empty_rule(block) or POSSIBLE


def why_not_sooner(plan: CoursePlan, request: CourseRequest, occupancy: Occupancy) -> tuple[BlockedStart, ...]:
    """For each of the last weekdays before the planned start: which visit would find no day, or that it costs more."""
    if request.continued:
        return ()
    first = max(request.release, request.not_before, 0)
    days = [d for d in range(first, plan.visits[0].day) if occupancy.weekday[d] < 5][-MOST_STARTS:]
    if not days:
        return ()
    table = Table(request, occupancy)
    costs = best_by_start(table, days[0] - table.first_day, days[-1] - table.first_day + 1)
    return tuple(_blocked_start(table, day, int(costs[day - table.first_day]) - plan.cost) for day in days)


def _blocked_start(table: Table, day: int, dearer: int) -> BlockedStart:
    request, occupancy = table.request, table.occupancy
    on, name, at = occupancy.date_of(day), day_name(occupancy, day), day - table.first_day
    if dearer < INF // 2:
        return BlockedStart(day, on, request.first_number, POSSIBLE, f"{name}: possible, but {dearer} dearer")
    k, rule, days = binding_visit(table, at, at + 1)
    visit, number = request.visits[k], request.first_number + k
    text = RULE_TEXT[rule] if k == 0 else no_day_text(number, visit.kind, days, rule)
    return BlockedStart(day, on, number, rule, f"{name}: {text}")
