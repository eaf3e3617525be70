"""A second, independent model of one course: possible starts minute by minute, and an integer programme over all of them.

Shares no code with the planner. Nothing is decoupled: the usual time is an integer variable, the home device a binary
one, and every visit chooses among all its places; HiGHS proves the optimum. For small worlds only.
"""

from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import highspy

DAY = 1440


@dataclass
class World:
    """The facts that an occupancy is built from."""

    start: date
    days: int
    locations: list
    devices: list
    staff: list
    bookings: list = field(default_factory=list)
    grid: int = 15
    observer_capacity: int = 2
    counted: dict = field(default_factory=dict)

    def weekday(self, day):
        return (self.start + timedelta(days=day)).weekday()

    def weekdays(self, a, b):
        return sum(self.weekday(day) < 5 for day in range(a + 1, b + 1))

    def location_of(self, device):
        return next(x for x in self.locations if x.id == device.location)

    def lost(self, tz, day):
        """Minutes by which noon to noon is shorter than 24 hours."""
        if tz is None:
            return 0
        noons = [
            datetime.combine(self.start + timedelta(days=d), time(12), tzinfo=ZoneInfo(tz)) for d in (day - 1, day)
        ]
        return DAY - int((noons[1].timestamp() - noons[0].timestamp()) // 60)


# -- what is possible -----------------------------------------------------------------------------------------------


def possible(world, request, visit):
    """Every (day, device position, start) that no rule forbids, each looked at by itself."""
    found = []
    for n, device in enumerate(world.devices):
        if device.location not in request.locations or visit.capability not in device.capabilities:
            continue
        if any(b - a < visit.duration + device.turnover for a, b in pairwise(visit.offsets)):
            continue
        for day in range(max(0, request.not_before), world.days):
            if day in request.away or world.weekday(day) not in request.given_on:
                continue
            for start in range(0, DAY, world.grid):
                if fits(world, request, visit, device, day, start):
                    found.append((day, n, start))
    return found


def fits(world, request, visit, device, day, start):
    """Does no rule about the day, the patient, the device or the staff forbid this start?"""
    end = start + visit.offsets[-1] + visit.duration
    if not any(a <= start and end <= b for a, b in request.windows[world.weekday(day)]):
        return False
    if any(d == day and start < b and a < end for d, a, b in request.busy):
        return False
    if request.min_hours is not None and request.previous_start is not None:
        tz = world.location_of(device).tz
        lost = sum(world.lost(tz, d) for d in range(request.previous_day + 1, day + 1))
        passed = (day - request.previous_day) * DAY + start - request.previous_start - lost
        if passed < request.min_hours * 60:
            return False
    return all(_session_fits(world, visit, device, day, start + offset) for offset in visit.offsets)


def _session_fits(world, visit, device, day, start):
    location = world.location_of(device)
    held = start + visit.duration + device.turnover
    hours = [] if day in location.closed else location.special.get(day, location.hours[world.weekday(day)])
    if not any(a <= start and held <= b for a, b in hours):
        return False
    if any(d == day and start < b and a < held for d, a, b in device.down):
        return False
    turnover = {x.id: x.turnover for x in world.devices}
    for other in world.bookings:
        until = other.start + other.duration + turnover[other.device]
        if other.device == device.id and other.day == day and start < until and other.start < held:
            return False
    return all(_staffed(world, visit.need, location.id, day, m) for m in range(start, start + visit.duration))


def _staffed(world, need, location, day, minute):
    key = location, day, len(world.bookings)
    if key not in world.counted:
        world.counted[key] = _count(world, location, day)
    present, used = world.counted[key]
    if need == "obs":
        return used["obs"][minute] < world.observer_capacity * present["obs"][minute]
    if used["map"][minute] + used["tms"][minute] >= present["tms"][minute]:
        return False
    return need == "tms" or used["map"][minute] < present["map"][minute]


def _count(world, location, day):
    """Per skill and minute of a day: people on shift and not on a break, and sessions that need one."""
    present = {skill: [0] * DAY for skill in ("tms", "map", "obs")}
    used = {skill: [0] * DAY for skill in ("tms", "map", "obs")}
    for person in world.staff:
        if person.location != location:
            continue
        on = {m for d, a, b in person.shifts if d == day for m in range(a, b)}
        on -= {m for d, a, b in person.breaks if d == day for m in range(a, b)}
        for skill in person.skills:
            for minute in on:
                present[skill][minute] += 1
    here = {x.id for x in world.devices if x.location == location}
    for other in world.bookings:
        if other.day == day and other.device in here and other.need is not None:
            for minute in range(other.start, other.start + other.duration):
                used[other.need][minute] += 1
    return present, used


# -- the programme --------------------------------------------------------------------------------------------------


class Programme:
    """Columns with a price, rows with limits."""

    def __init__(self):
        self.solver = highspy.Highs()
        self.solver.setOptionValue("output_flag", False)
        self.solver.setOptionValue("mip_rel_gap", 0.0)
        self.count = 0

    def column(self, price=0.0, low=0.0, high=1.0, *, whole=True):
        self.solver.addCol(float(price), float(low), float(high), 0, [], [])
        if whole:
            self.solver.changeColIntegrality(self.count, highspy.HighsVarType.kInteger)
        self.count += 1
        return self.count - 1

    def row(self, terms, low, high):
        merged = {}
        for column, value in terms:
            merged[column] = merged.get(column, 0.0) + value
        low = -highspy.kHighsInf if low is None else float(low)
        high = highspy.kHighsInf if high is None else float(high)
        self.solver.addRow(low, high, len(merged), list(merged), [float(x) for x in merged.values()])

    def least(self):
        self.solver.run()
        status = self.solver.getModelStatus()
        if status == highspy.HighsModelStatus.kInfeasible:
            return None
        assert status == highspy.HighsModelStatus.kOptimal, status
        return round(self.solver.getInfo().objective_function_value)


def least_cost(world, request):
    """Cost of the best course, None if there is none. Of all ways to keep the hours between starts the cheapest."""
    zones = {world.location_of(x).tz for x in world.devices if x.location in request.locations}
    hours = request.min_hours
    if hours is None:
        ways = [(None, 0, None)]
    else:
        within = zones or {None}
        ways = [
            (half, gap, tz)
            for tz in within
            for half, gap in ([((24 - hours) * 30, 1)] if hours < 24 else [(None, 3), (0, 2)])
        ]
    costs = [_least_in(world, request, half, gap, tz) for half, gap, tz in ways]
    return min((x for x in costs if x is not None), default=None)


def earliest_day(world, request):
    """First day on which a course can start, by trying one after the other."""
    if request.continued:
        raise ValueError("a running course does not start")
    for day in range(max(request.release, request.not_before), min(request.latest_start, world.days - 1) + 1):
        only = replace(request, latest_start=day, not_before=day)
        if least_cost(world, only) is not None:
            return day
    return None


def _least_in(world, request, half, least_gap, tz):
    weights, model = request.weights, Programme()
    options = [possible(world, request, visit) for visit in request.visits]
    if request.min_hours is not None:
        options = [[x for x in mine if world.location_of(world.devices[x[1]]).tz == tz] for mine in options]
    if not all(options):
        return None
    homes = [
        n
        for n, x in enumerate(world.devices)
        if x.kind == request.device_kind
        and x.location in request.locations
        and (request.min_hours is None or world.location_of(x).tz == tz)
    ]
    if not homes:
        return None
    anchor = model.column(high=DAY // world.grid)  # in steps of the grid
    home = {n: model.column() for n in homes}
    model.row([(c, 1) for c in home.values()], 1, 1)
    taken = []
    for visit, mine in zip(request.visits, options, strict=True):
        columns = [model.column(_price(world, request, visit, option)) for option in mine]
        model.row([(c, 1) for c in columns], 1, 1)
        taken.append(dict(zip(mine, columns, strict=True)))
        far = model.column(weights.tod if visit.consistent else 0, high=DAY if half is None else half, whole=False)
        for sign in (1, -1):  # far >= |start - anchor|
            when = [(c, -sign * start) for (_, _, start), c in taken[-1].items()]
            model.row([(far, 1), (anchor, sign * world.grid), *when], 0, None)
        if visit.consistent:
            _apart(world, weights, model, taken[-1], home)
    _paced(world, request, model, taken, half, least_gap, tz)
    return model.least()


def _price(world, request, visit, option):
    _, n, start = option
    price = request.locations[world.devices[n].location]
    outside = request.preferred and not request.preferred[0] <= start < request.preferred[1]
    return price + (request.weights.pref if visit.consistent and outside else 0)


def _apart(world, weights, model, taken, home):
    """Another location than the home's, or else another device."""
    elsewhere, other = model.column(weights.loc, whole=False), model.column(weights.dev, whole=False)
    for location in {x.location for x in world.devices}:
        here = [(c, 1) for (_, n, _), c in taken.items() if world.devices[n].location == location]
        at_home = [(c, -1) for n, c in home.items() if world.devices[n].location == location]
        model.row([(elsewhere, -1), *here, *at_home], None, 0)
    for n in {n for _, n, _ in taken}:
        on_it = [(c, 1) for (_, m, _), c in taken.items() if m == n]
        model.row([(other, -1), (elsewhere, -1), *on_it, *([(home[n], -1)] if n in home else [])], None, 0)


def _paced(world, request, model, taken, half, least_gap, tz):
    """Start window and waiting on the first visit; then one arc from day to day for each pair of neighbours."""
    weights, on_day = request.weights, []
    for mine in taken:
        days = {}
        for (day, _, _), column in mine.items():
            days.setdefault(day, []).append((column, 1))
        on_day.append(days)
    for day, columns in on_day[0].items():
        price = _start_price(world, request, day)
        model.row(columns, 0, 0 if price is None else 1)
        if price:
            marker = model.column(price, whole=False)
            model.row([*columns, (marker, -1)], 0, 0)
    spread = 0 if half is None else 2 * half
    for visit, before, after in zip(request.visits[1:], on_day, on_day[1:], strict=False):
        leaving = {day: [] for day in before}
        arriving = {day: [] for day in after}
        for a in before:
            for b in after:
                gap = b - a
                if not visit.gap[0] <= gap <= visit.gap[1] or gap < least_gap:
                    continue
                lost = sum(world.lost(tz, d) for d in range(a + 1, b + 1))
                if (
                    request.min_hours is not None
                    and least_gap < 3
                    and gap * DAY - lost - spread < request.min_hours * 60
                ):
                    continue
                weekdays = world.weekdays(a, b)
                arc = model.column(weights.gap * max(0, visit.ideal[0] - weekdays, weekdays - visit.ideal[1]))
                leaving[a].append((arc, -1))
                arriving[b].append((arc, -1))
        for day, arcs in leaving.items():
            model.row([*before[day], *arcs], 0, 0)
        for day, arcs in arriving.items():
            model.row([*after[day], *arcs], 0, 0)


def _start_price(world, request, day):
    """Price of the first visit on a day, None where it may not lie there."""
    weights, visit, price = request.weights, request.visits[0], 0
    if not request.continued:
        if not request.release <= day <= request.latest_start:
            return None
        waited = world.weekdays(request.release, day)
        price += weights.wait[request.priority] * waited
        price += weights.late[request.priority] * max(0, waited - request.target)
    if request.previous_day is not None:
        if visit.gap is not None and not max(1, visit.gap[0]) <= day - request.previous_day <= visit.gap[1]:
            return None
        if visit.ideal is not None:
            weekdays = world.weekdays(request.previous_day, day)
            price += weights.gap * max(0, visit.ideal[0] - weekdays, weekdays - visit.ideal[1])
    return price
