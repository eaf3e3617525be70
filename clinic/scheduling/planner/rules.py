"""The hard rules, one small function each. A start is possible where every rule of HARD_RULES says so.

A rule answers a whole block of starts at once: an array that broadcasts to [device, day, start]. The order is
the order in which a refusal is named. COURSE_RULES judge a whole course, visit against visit.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from clinic.scheduling.planner.facts import CourseRequest, VisitSpec
from clinic.scheduling.planner.occupancy import Occupancy, Runs

Mask = NDArray[np.bool_]
Placement = tuple[int, str, int]


@dataclass(frozen=True, slots=True)
class Block:
    """Starts to judge for one visit: these devices (indices), days [first_day, last_day), `count` starts on the grid."""

    request: CourseRequest
    occupancy: Occupancy
    visit: VisitSpec
    devices: NDArray[np.intp]
    first_day: int
    last_day: int
    first_start: int
    count: int

    @property
    def starts(self) -> NDArray[np.int32]:
        """The starts in minutes."""
        return np.arange(self.count, dtype=np.int32) * self.occupancy.grid + self.first_start

    @property
    def turnover(self) -> NDArray[np.int32]:
        """Turnover minutes per device."""
        return np.array([self.occupancy.devices[i].turnover for i in self.devices], dtype=np.int32)

    def room(self, runs: Runs, rows: NDArray[np.intp], *, with_turnover: bool) -> Mask:
        """Where every session of the visit finds a free run in the given rows (devices or locations)."""
        unit, step = self.occupancy.unit, self.occupancy.grid // self.occupancy.unit
        extra = self.turnover[:, None, None] if with_turnover else np.zeros(1, dtype=np.int32)
        base = (self.first_start - self.occupancy.low) // unit
        fits: Mask | None = None
        for offset in self.visit.offsets:
            shift = offset // unit
            needed = -(-(offset + self.visit.duration + extra) // unit) - shift
            first = base + shift
            part = runs[rows, self.first_day : self.last_day, first : first + (self.count - 1) * step + 1 : step]
            here = part >= needed.astype(np.int16)
            if here.shape[-1] < self.count:
                here = np.pad(here, ((0, 0), (0, 0), (0, self.count - here.shape[-1])))
            fits = here if fits is None else fits & here
        assert fits is not None
        return fits


def given_on_this_weekday(block: Block) -> Mask:
    """The protocol is given on this weekday."""
    given = np.array([weekday in block.request.given_on for weekday in range(7)])
    return np.asarray(given[block.occupancy.weekday[block.first_day : block.last_day]][None, :, None])


def patient_is_here(block: Block) -> Mask:
    """Not on a day the patient is away."""
    days = np.ones((1, block.last_day - block.first_day, 1), dtype=np.bool_)
    for day in block.request.away:
        if block.first_day <= day < block.last_day:
            days[0, day - block.first_day, 0] = False
    return days


def inside_one_window(block: Block) -> Mask:
    """The whole visit day lies inside one of the patient's windows of that weekday."""
    starts, ends = block.starts, block.starts + block.visit.span
    week = np.zeros((7, block.count), dtype=np.bool_)
    for weekday, windows in enumerate(block.request.windows):
        for a, b in windows:
            week[weekday] |= (starts >= a) & (ends <= b)
    return np.asarray(week[block.occupancy.weekday[block.first_day : block.last_day]][None])


def patient_is_free(block: Block) -> Mask:
    """No other appointment of the patient between the first start and the last end."""
    free = np.ones((1, block.last_day - block.first_day, block.count), dtype=np.bool_)
    for day, a, b in block.request.busy:
        if block.first_day <= day < block.last_day:
            clash = (block.starts < b) & (block.starts + block.visit.span > a)
            free[0, day - block.first_day] &= ~clash
    return free


def rested_since_last_visit(block: Block) -> Mask:
    """A continued course keeps the hours between starts to its last delivered visit too."""
    request, days = block.request, np.arange(block.first_day, block.last_day)
    allowed = np.ones((1, len(days), block.count), dtype=np.bool_)
    if request.min_hours is not None and request.previous_day is not None and request.previous_start is not None:
        lost = np.cumsum(block.occupancy.minutes_lost(request.locations))
        since = (days - request.previous_day) * 1440 - (lost[days] - lost[max(0, request.previous_day)])
        allowed[0] = since[:, None] + block.starts - request.previous_start >= request.min_hours * 60
    return allowed


def location_is_open(block: Block) -> Mask:
    """Session and turnover end before closing, inside one opening window, on no closed day."""
    rows = block.occupancy.device_location[block.devices]
    return block.room(block.occupancy.open_run, rows, with_turnover=True)


def device_is_up(block: Block) -> Mask:
    """No maintenance or outage of the device."""
    return block.room(block.occupancy.device_up_run, block.devices, with_turnover=True)


def staff_are_on_shift(block: Block) -> Mask:
    """Someone with the skill is on shift and not on a break."""
    rows = block.occupancy.device_location[block.devices]
    return block.room(block.occupancy.staff_on_run[block.visit.need], rows, with_turnover=False)


def device_is_free(block: Block) -> Mask:
    """No other session on the device, turnover included."""
    return block.room(block.occupancy.device_free_run, block.devices, with_turnover=True)


def staff_are_free(block: Block) -> Mask:
    """The pool has one more to give in every minute of every session."""
    rows = block.occupancy.device_location[block.devices]
    return block.room(block.occupancy.staff_free_run[block.visit.need], rows, with_turnover=False)


HardRule = Callable[[Block], Mask]
PROTOCOL_RULES: tuple[HardRule, ...] = (given_on_this_weekday,)
PATIENT_RULES: tuple[HardRule, ...] = (
    patient_is_here,
    inside_one_window,
    patient_is_free,
    rested_since_last_visit,
)
PLACE_RULES: tuple[HardRule, ...] = (location_is_open, device_is_up, staff_are_on_shift)
BOOKING_RULES: tuple[HardRule, ...] = (device_is_free, staff_are_free)
HARD_RULES: tuple[HardRule, ...] = (*PROTOCOL_RULES, *PLACE_RULES, *PATIENT_RULES, *BOOKING_RULES)
WHOLE_WEEK = frozenset(range(7))

RULE_TEXT = {
    "given_on_this_weekday": "not given on this weekday",
    "patient_is_here": "the patient is away",
    "inside_one_window": "no time inside the patient's hours",
    "patient_is_free": "the patient has another appointment",
    "rested_since_last_visit": "too soon after the last visit",
    "location_is_open": "closed",
    "device_is_up": "device out of service",
    "staff_are_on_shift": "no operator on shift",
    "device_is_free": "every fitting device time is taken",
    "staff_are_free": "every operator is taken",
    "hours_between": "too few hours between starts",
    "gaps_are_allowed": "outside the gap that the protocol allows",
    "day_is_inside_horizon": "outside the calendar",
    "device_has_capability": "no device for it",
}


def text_of(rule: str) -> str:
    """The words for a rule; its name where it has none."""
    return RULE_TEXT.get(rule, rule.replace("_", " "))


def possible_starts(block: Block) -> Mask:
    """[device, day, start]: true where no hard rule forbids the start."""
    shape = (len(block.devices), block.last_day - block.first_day, block.count)
    mask = np.ones(shape, dtype=np.bool_)
    for rule in HARD_RULES:
        if rule is given_on_this_weekday and block.request.given_on >= WHOLE_WEEK:
            continue
        if rule is patient_is_here and not block.request.away:
            continue
        if rule is patient_is_free and not block.request.busy:
            continue
        if rule is rested_since_last_visit and block.request.previous_start is None:
            continue
        mask &= rule(block)
    return mask


def first_empty_rule(block: Block) -> str | None:
    """Name of the rule that takes the last possible start of the block away; None if a start is left."""
    mask = np.ones((len(block.devices), block.last_day - block.first_day, block.count), dtype=np.bool_)
    for rule in HARD_RULES:
        mask &= rule(block)
        if not mask.any():
            return rule.__name__
    return None


def usable_devices(request: CourseRequest, occupancy: Occupancy, visit: VisitSpec) -> NDArray[np.intp]:
    """Indices of devices with the capability, at accepted locations, with room for turnover between the sessions."""
    spacing = min((b - a for a, b in pairwise(visit.offsets)), default=None)
    return np.array(
        [
            i
            for i, x in enumerate(occupancy.devices)
            if visit.capability in x.capabilities
            and x.location in request.locations
            and (spacing is None or spacing >= visit.duration + x.turnover)
        ],
        dtype=np.intp,
    )


# -- one placement, one course ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Breach:
    """A broken rule. `visit` is the 0-based position in the course, None for the course as a whole."""

    rule: str
    text: str
    visit: int | None = None


def why_not(request: CourseRequest, occupancy: Occupancy, visit: VisitSpec, at: Placement) -> str | None:
    """Name of the first hard rule that forbids this start on this device; None if it is possible."""
    return next(iter(broken_rules_at(request, occupancy, visit, at, first_only=True)), None)


def broken_rules_at(
    request: CourseRequest, occupancy: Occupancy, visit: VisitSpec, at: Placement, *, first_only: bool = False
) -> tuple[str, ...]:
    """Names of the hard rules that forbid this start on this device, in their order; empty if it is possible."""
    structural = _off_the_map(request, occupancy, visit, at)
    if structural is not None:
        return (structural,)
    day, device_id, start = at
    index = np.array([occupancy.device_index[device_id]], dtype=np.intp)
    block = Block(request, occupancy, visit, index, day, day + 1, start, 1)
    found = []
    for rule in HARD_RULES:
        if not rule(block).any():
            found.append(rule.__name__)
            if first_only:
                break
    return tuple(found)


def _off_the_map(request: CourseRequest, occupancy: Occupancy, visit: VisitSpec, at: Placement) -> str | None:
    """What is wrong before any calendar is asked."""
    day, device_id, start = at
    if device_id not in occupancy.device_index:
        return "device_is_known"
    if occupancy.device(device_id).location not in request.locations:
        return "location_is_accepted"
    index = occupancy.device_index[device_id]
    if index not in usable_devices(request, occupancy, visit):
        return "device_has_capability"
    if start % occupancy.grid:
        return "start_is_on_grid"
    if not max(0, request.not_before) <= day < occupancy.days:
        return "day_is_inside_horizon"
    if not occupancy.low <= start < occupancy.low + occupancy.slots * occupancy.unit:
        return location_is_open.__name__
    return None


def every_visit_is_planned(request: CourseRequest, _occupancy: Occupancy, course: Sequence[Placement]) -> list[Breach]:
    """As many placements as visits."""
    if len(course) == len(request.visits):
        return []
    text = f"{len(course)} visits planned, the protocol has {len(request.visits)}"
    return [Breach("every_visit_is_planned", text)]


def first_visit_is_in_window(
    request: CourseRequest, _occupancy: Occupancy, course: Sequence[Placement]
) -> list[Breach]:
    """A new course starts between release and latest start."""
    if request.continued or not course or request.release <= course[0][0] <= request.latest_start:
        return []
    return [Breach("first_visit_is_in_window", f"first visit on day {course[0][0]}, outside the start window", 0)]


def gaps_are_allowed(request: CourseRequest, _occupancy: Occupancy, course: Sequence[Placement]) -> list[Breach]:
    """Calendar days since the previous visit lie inside the protocol's hard gap."""
    days = [request.previous_day, *(day for day, _, _ in course)]
    found = []
    for k, (visit, before, day) in enumerate(zip(request.visits, days, days[1:], strict=False)):
        if before is None or day is None or visit.gap is None:
            continue
        if not visit.gap[0] <= day - before <= visit.gap[1]:
            text = f"{day - before} days since the visit before, allowed {visit.gap[0]} to {visit.gap[1]}"
            found.append(Breach("gaps_are_allowed", text, k))
    return found


def hours_between_starts(request: CourseRequest, occupancy: Occupancy, course: Sequence[Placement]) -> list[Breach]:
    """Real hours between consecutive starts, clock changes counted."""
    if request.min_hours is None:
        return []
    found = []
    for k, ((day_a, device_a, a), (day_b, device_b, b)) in enumerate(pairwise(course), start=1):
        if not {device_a, device_b} <= occupancy.device_index.keys():
            continue
        passed = occupancy.minutes_apart((device_a, day_a, a), (device_b, day_b, b))
        if passed < request.min_hours * 60:
            text = f"{passed // 60} h {passed % 60} min after the start before, at least {request.min_hours} h needed"
            found.append(Breach("hours_between", text, k))
    return found


CourseRule = Callable[[CourseRequest, Occupancy, Sequence[Placement]], list[Breach]]
COURSE_RULES: tuple[CourseRule, ...] = (
    every_visit_is_planned,
    first_visit_is_in_window,
    gaps_are_allowed,
    hours_between_starts,
)


def breaches(request: CourseRequest, occupancy: Occupancy, course: Sequence[Placement]) -> list[Breach]:
    """Every broken rule of a course given as (day, device, start) per visit; empty = it can be booked."""
    found = [b for rule in COURSE_RULES for b in rule(request, occupancy, course)]
    for k, (visit, at) in enumerate(zip(request.visits, course, strict=False)):
        rule = why_not(request, occupancy, visit, at)
        if rule is not None:
            found.append(Breach(rule, text_of(rule), k))
    return found
