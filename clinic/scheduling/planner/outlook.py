"""What a site can promise before there is a patient: the next possible start, and what more capacity would do to it."""

from collections.abc import Collection, Iterable
from datetime import date
from itertools import count

from clinic.protocols.base import Protocol
from clinic.scheduling.planner.facts import ALL_DAY, CourseRequest, DaySpan, Extra, Span, StaffFacts, StartChange, Week
from clinic.scheduling.planner.occupancy import Occupancy
from clinic.scheduling.planner.search import earliest_day
from clinic.scheduling.planner.table import Table
from clinic.scheduling.planner.visits import visits_of

WORKDAYS = range(5)


def question_for(
    protocol: Protocol,
    occupancy: Occupancy,
    *,
    locations: Iterable[str] | None = None,
    windows: Week = ALL_DAY,
    release: int = 0,
    busy: Iterable[DaySpan] = (),
    turnover: int = 5,
) -> CourseRequest:
    """A whole course of the protocol for nobody in particular: at these locations (all if left out), in these hours.

    `busy` takes the part of today away that nothing can be booked into.
    """
    places = [x.id for x in occupancy.locations] if locations is None else list(locations)
    return CourseRequest(
        visits=visits_of(protocol, grid=occupancy.grid, turnover=turnover),
        device_kind=protocol.device_kind,
        locations=dict.fromkeys(places, 0),
        windows=windows,
        given_on=protocol.given_on,
        release=release,
        busy=tuple(busy),
        not_before=release,
        min_hours=protocol.min_hours,
    )


def earliest_starts(request: CourseRequest, occupancy: Occupancy) -> dict[str, date | None]:
    """Per accepted location the first date on which a course that stays there can start; None where none fits.

    Proven, not searched: no course of the request starts sooner at that location.
    """
    table = Table(request, occupancy)
    found: dict[str, date | None] = {}
    for location in request.locations:
        day = earliest_day(table.at([location])) if location in occupancy.location_index else None
        found[location] = None if day is None else occupancy.date_of(table.first_day + day)
    return found


def starts_with(request: CourseRequest, occupancy: Occupancy, extra: Extra) -> dict[str, StartChange]:
    """Per accepted location the first start as it is and as it would be with `extra`, on the bookings of today."""
    before, after = earliest_starts(request, occupancy), earliest_starts(request, occupancy.extended(extra))
    return {
        location: StartChange(location, before[location], after[location], _sooner(occupancy, before, after, location))
        for location in request.locations
    }


def _sooner(
    occupancy: Occupancy, before: dict[str, date | None], after: dict[str, date | None], location: str
) -> int | None:
    a, b = before[location], after[location]
    return None if a is None or b is None else occupancy.weekdays_between(occupancy.day_of(b), occupancy.day_of(a))


# -- what a clinic might add --------------------------------------------------------------------------------------


def another_device(occupancy: Occupancy, like: str, *, people: int = 1, skills: Collection[str] | None = None) -> Extra:
    """A device like one that is there, with `people` more to work it during all opening hours.

    `skills`: what they can do; left out, observing for a chair, else treating. Without people a device that no
    operator has time for changes nothing, which is an answer too. Raises KeyError for an unknown device.
    """
    model = occupancy.device(like)
    able = frozenset(skills) if skills is not None else frozenset({"obs" if model.kind == "chair" else "tms"})
    location = occupancy.locations[occupancy.location_index[model.location]]
    open_on = [location.special.get(day, location.hours[occupancy.weekday[day]]) for day in range(occupancy.days)]
    shifts = tuple((day, a, b) for day, spans in enumerate(open_on) for a, b in spans)
    device = model.__class__(
        _fresh(occupancy.device_index, f"{like}, another"),
        model.location,
        model.kind,
        model.capabilities,
        model.turnover,
    )
    return Extra(devices=(device,), staff=tuple(_people(model.location, people, able, shifts)))


def another_shift(
    occupancy: Occupancy,
    location: str,
    hours: Span,
    *,
    weekdays: Iterable[int] = WORKDAYS,
    people: int = 1,
    skills: Collection[str] = ("tms", "map"),
) -> Extra:
    """The location open in these hours too (an evening, a Saturday), with `people` on shift. Raises KeyError.

    Closed days stay closed. One who observes is counted for `observer_capacity` chairs.
    """
    facts = occupancy.locations[occupancy.location_index[location]]
    on = frozenset(weekdays)
    week = tuple((hours,) if day in on else () for day in range(7))
    days = [day for day in range(occupancy.days) if int(occupancy.weekday[day]) in on and day not in facts.closed]
    shifts = tuple((day, *hours) for day in days)
    return Extra(staff=tuple(_people(location, people, frozenset(skills), shifts)), hours={location: week})


def _people(location: str, how_many: int, skills: frozenset[str], shifts: tuple[DaySpan, ...]) -> list[StaffFacts]:
    return [StaffFacts(f"{location} extra {n + 1}", location, skills, shifts) for n in range(how_many)]


def _fresh(taken: Collection[str], name: str) -> str:
    if name not in taken:
        return name
    return next(other for n in count(2) if (other := f"{name} {n}") not in taken)
