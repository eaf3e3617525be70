"""The JSON format `tms-plan/1`: read strictly, and turned into the planner's own facts."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from math import gcd
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from clinic.scheduling.planner.facts import (
    BlockedOption,
    Booking,
    CoursePlan,
    CourseRequest,
    DeviceFacts,
    LocationFacts,
    NoCourse,
    Relaxation,
    StaffFacts,
    VisitSpec,
    Weights,
)
from clinic.scheduling.planner.occupancy import Occupancy
from clinic.scheduling.planner.reasons import gap_as_json, visit_reasons, why_not_sooner
from clinic.scheduling.planner.table import INF, worst_cost

FORMAT = "tms-plan/1"
MOST_DAYS = 1100
LAST_START = "9000-01-01"


def _ordered(span: tuple[int, ...]) -> tuple[int, ...]:
    if span[-2] >= span[-1]:
        raise ValueError("from must be before to")
    return span


def _not_reversed(span: tuple[int, int]) -> tuple[int, int]:
    if span[0] > span[1]:
        raise ValueError("min must not exceed max")
    return span


def _rising(offsets: tuple[int, ...]) -> tuple[int, ...]:
    if offsets[0] != 0 or any(b <= a for a, b in pairwise(offsets)):
        raise ValueError("offsets start at 0 and rise")
    return offsets


def _iso_date(text: str) -> str:
    if date.fromisoformat(text).isoformat() != text or text >= LAST_START:
        raise ValueError("a date is written YYYY-MM-DD")
    return text


Id = Annotated[str, Field(strict=True, min_length=1, max_length=200)]
Int = Annotated[int, Field(strict=True)]
Day = Annotated[int, Field(strict=True, ge=0, le=MOST_DAYS)]
Minute = Annotated[int, Field(strict=True, ge=0, le=1440)]
Price = Annotated[int, Field(strict=True, ge=0, le=100_000)]
Span = Annotated[tuple[Minute, Minute], AfterValidator(_ordered)]
DaySpan = Annotated[tuple[Int, Minute, Minute], AfterValidator(_ordered)]
Week = Annotated[tuple[tuple[Span, ...], ...], Field(min_length=7, max_length=7)]
Need = Literal["tms", "map", "obs"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class WeightsIn(_Part):
    """Prices of the objective; those of repair are read too."""

    wait: tuple[Price, Price, Price] = (5, 10, 20)
    late: tuple[Price, Price, Price] = (10, 20, 40)
    gap: Price = 60
    tod: Price = 1
    dev: Price = 8
    loc: Price = 45
    pref: Price = 10
    unplaced: tuple[Price, Price, Price] = (6000, 9000, 15000)
    r_touch: Price = 60
    r_min: Price = 1
    r_dev: Price = 10
    r_loc: Price = 60
    r_day: Price = 120
    r_drop: Price = 3000
    r_gap: Price = 5000


class LocationIn(_Part):
    """A location: weekly opening hours, closed days, and its zone where hours between starts are asked for."""

    id: Id
    hours: Week
    closed: frozenset[Int] = frozenset()
    tz: Annotated[str, Field(strict=True)] | None = None


class DeviceIn(_Part):
    """A device or chair."""

    id: Id
    loc: Id
    kind: Id
    caps: frozenset[Id]
    turnover: Annotated[int, Field(strict=True, ge=0, le=240)]
    down: tuple[DaySpan, ...] = ()


class StaffIn(_Part):
    """A person on shift."""

    id: Id
    loc: Id
    skills: frozenset[Need]
    shifts: tuple[DaySpan, ...]
    breaks: tuple[DaySpan, ...] = ()


class VisitIn(_Part):
    """A visit of a protocol."""

    cls: Id
    dur: Annotated[int, Field(strict=True, ge=1, le=1440)]
    cap: Id
    need: Need
    offsets: Annotated[tuple[Minute, ...], Field(min_length=1), AfterValidator(_rising)]
    gap: Annotated[tuple[Day, Day], AfterValidator(_not_reversed)] | None
    ideal: Annotated[tuple[Day, Day], AfterValidator(_not_reversed)] | None
    consist: Annotated[bool, Field(strict=True)]
    kind: Id | None = None


class ProtocolIn(_Part):
    """A protocol: its visits in order."""

    id: Id
    kind: Id
    visits: Annotated[tuple[VisitIn, ...], Field(min_length=1, max_length=400)]
    min_hours: Annotated[int, Field(strict=True, ge=1, le=168)] | None = None


class BookingIn(_Part):
    """A fixed booking."""

    id: Id
    course: str | None = None
    dev: Id
    day: Int
    t: Minute
    dur: Annotated[int, Field(strict=True, ge=1, le=1440)]
    need: Need


class PlaceIn(_Part):
    """An accepted location and its penalty per visit."""

    id: Id
    pen: Price


class PatientIn(_Part):
    """A patient who asks for a course."""

    id: Id
    protocol: Id
    prio: Annotated[int, Field(strict=True, ge=0, le=2)]
    release: Day
    target: Day
    latest_start: Annotated[int, Field(strict=True, ge=0)]
    locs: tuple[PlaceIn, ...]
    avail: Week
    away: frozenset[Int] = frozenset()
    pref: Span | None = None
    first_visit: Annotated[int, Field(strict=True, ge=0)] | None = None


class CourseIn(_Part):
    """A course as it is booked: one (day, device, start) per visit still listed. `missed`: positions to be made up."""

    anchor: Minute
    home: Id
    visits: tuple[tuple[Int, Id, Minute], ...]
    missed: frozenset[Int] = frozenset()


class Instance(_Part):
    """A whole instance. `parse_instance` also checks what refers to what."""

    format: Literal["tms-plan/1"]
    name: str | None = None
    seed: int | None = None
    util: float | None = None
    task: Literal["online", "batch", "repair"] = "online"
    grid: Annotated[int, Field(strict=True, ge=1, le=240)]
    start: Annotated[str, Field(strict=True), AfterValidator(_iso_date)]
    days: Annotated[int, Field(strict=True, ge=1, le=MOST_DAYS)]
    start_days: Annotated[int, Field(strict=True, ge=0, le=MOST_DAYS)]
    now: Day = 0
    now_minute: Minute = 0
    notice: Annotated[int, Field(strict=True, ge=0)] = 60
    obs_cap: Annotated[int, Field(strict=True, ge=0, le=1000)]
    weights: WeightsIn = WeightsIn()
    locations: tuple[LocationIn, ...]
    devices: tuple[DeviceIn, ...]
    staff: tuple[StaffIn, ...]
    protocols: tuple[ProtocolIn, ...]
    bookings: tuple[BookingIn, ...]
    patients: tuple[PatientIn, ...]
    old_plan: dict[Id, CourseIn] | None = None
    events: tuple[Any, ...] = ()

    @property
    def first_date(self) -> date:
        """Date of day 0."""
        return date.fromisoformat(self.start)


Where = tuple[str | int, ...]


class InstanceError(ValueError):
    """The input is no usable instance. `problems`: where (keys and positions) and what, each."""

    def __init__(self, problems: list[tuple[Where, str]]) -> None:
        super().__init__("; ".join(f"{'.'.join(map(str, where))}: {what}" for where, what in problems))
        self.problems = problems


def parse_instance(data: object) -> Instance:
    """Read an instance from decoded JSON. Raises InstanceError with every problem found."""
    try:
        instance = Instance.model_validate(data)
    except ValidationError as fault:
        found = [(e["loc"], _plain(e)) for e in fault.errors(include_url=False)]
        inner = {where[:i] for where, _ in found for i in range(len(where))}  # a bad item also shortens its list
        raise InstanceError([(where, what) for where, what in found if where not in inner]) from None
    problems = list(_dangling(instance))
    if problems:
        raise InstanceError(problems)
    return instance


def _plain(error: Mapping[str, Any]) -> str:
    if error["type"] == "extra_forbidden":
        return "unknown key"
    if error["type"] == "missing":
        return "missing"
    return str(error["msg"]).removeprefix("Value error, ")


def _dangling(instance: Instance) -> Iterator[tuple[Where, str]]:
    """References that lead nowhere, names given twice, protocols that cannot be counted."""
    for key in ("locations", "devices", "staff", "protocols", "bookings", "patients"):
        seen: set[str] = set()
        for i, item in enumerate(getattr(instance, key)):
            if item.id in seen:
                yield (key, i, "id"), f"{item.id} is given twice"
            seen.add(item.id)
    locations = {x.id for x in instance.locations}
    devices = {x.id for x in instance.devices}
    for part in ("devices", "staff"):
        for i, x in enumerate(getattr(instance, part)):
            if x.loc not in locations:
                yield (part, i, "loc"), f"unknown location {x.loc}"
    for i, booking in enumerate(instance.bookings):
        if booking.dev not in devices:
            yield (("bookings", i, "dev")), f"unknown device {booking.dev}"
    for i, location in enumerate(instance.locations):
        if location.tz is not None and not _is_zone(location.tz):
            yield ("locations", i, "tz"), f"unknown time zone {location.tz}"
    longest = max((len(x.visits) for x in instance.protocols), default=0)
    penalty = max((place.pen for x in instance.patients for place in x.locs), default=0)
    if worst_cost(weights_of(instance.weights), longest, instance.days, penalty) >= INF:
        yield ("weights",), "prices too large to plan exactly"
    yield from _bad_protocols(instance)
    yield from _bad_patients(instance, locations)


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        return False
    return True


def _bad_protocols(instance: Instance) -> Iterator[tuple[Where, str]]:
    for i, protocol in enumerate(instance.protocols):
        for k, visit in enumerate(protocol.visits):
            where: Where = ("protocols", i, "visits", k)
            if k and (visit.gap is None or visit.ideal is None):
                yield (*where, "gap" if visit.gap is None else "ideal"), "needed for every visit but the first"
            elif k and visit.gap is not None and visit.gap[0] < 1:
                yield (*where, "gap"), "two visits of a course are at least one day apart"
            if any(b - a < visit.dur for a, b in pairwise(visit.offsets)):
                yield (*where, "offsets"), "sessions overlap"


def _bad_patients(instance: Instance, locations: set[str]) -> Iterator[tuple[Where, str]]:
    lengths = {x.id: len(x.visits) for x in instance.protocols}
    for i, patient in enumerate(instance.patients):
        if patient.protocol not in lengths:
            yield ("patients", i, "protocol"), f"unknown protocol {patient.protocol}"
        elif patient.first_visit is not None and patient.first_visit >= lengths[patient.protocol]:
            yield ("patients", i, "first_visit"), f"the protocol has {lengths[patient.protocol]} visits"
        seen: set[str] = set()
        for j, place in enumerate(patient.locs):
            if place.id not in locations or place.id in seen:
                what = "is given twice" if place.id in seen else "is unknown"
                yield ("patients", i, "locs", j, "id"), f"location {place.id} {what}"
            seen.add(place.id)


# -- to the planner's own facts --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Question:
    """An instance as the planner sees it: what is free, one request per patient, and the bookings with their ids."""

    occupancy: Occupancy
    requests: dict[str, CourseRequest]
    bookings: tuple[Booking, ...] = ()


def from_instance(instance: Instance) -> Question:
    """Occupancy and requests of an instance. The unit divides every time in it, so that nothing is rounded."""
    bookings = tuple(Booking(x.dev, x.day, x.t, x.dur, x.need, id=x.id) for x in instance.bookings)
    requests = {p.id: _request(instance, p) for p in instance.patients}
    return Question(_occupancy(instance, bookings), requests, bookings)


def unit_of(instance: Instance) -> int:
    """The largest unit that divides every time in the instance."""
    unit = instance.grid
    for location in instance.locations:
        unit = gcd(unit, *(t for day in location.hours for span in day for t in span))
    for device in instance.devices:
        unit = gcd(unit, device.turnover, *(t for span in device.down for t in span[1:]))
    for person in instance.staff:
        unit = gcd(unit, *(t for span in (*person.shifts, *person.breaks) for t in span[1:]))
    for protocol in instance.protocols:
        unit = gcd(unit, *(t for visit in protocol.visits for t in (visit.dur, *visit.offsets)))
    return gcd(unit, *(t for booking in instance.bookings for t in (booking.t, booking.dur)))


def _occupancy(instance: Instance, bookings: tuple[Booking, ...]) -> Occupancy:
    return Occupancy(
        instance.first_date,
        instance.days,
        locations=[LocationFacts(x.id, x.hours, x.closed, tz=x.tz) for x in instance.locations],
        devices=[DeviceFacts(x.id, x.loc, x.kind, x.caps, x.turnover, x.down) for x in instance.devices],
        staff=[StaffFacts(x.id, x.loc, frozenset(x.skills), x.shifts, x.breaks) for x in instance.staff],
        bookings=bookings,
        grid=instance.grid,
        unit=unit_of(instance),
        observer_capacity=instance.obs_cap,
    )


def _request(instance: Instance, patient: PatientIn) -> CourseRequest:
    protocol = next(x for x in instance.protocols if x.id == patient.protocol)
    first = patient.first_visit or 0
    return CourseRequest(
        visits=tuple(
            VisitSpec(v.dur, v.cap, v.need, v.gap, v.ideal, v.offsets, v.consist, v.kind or v.cls)
            for v in protocol.visits[first:]
        ),
        device_kind=protocol.kind,
        locations={x.id: x.pen for x in patient.locs},
        windows=patient.avail,
        release=patient.release,
        latest_start=min(patient.latest_start, instance.start_days - 1),
        target=patient.target,
        priority=patient.prio,
        away=patient.away,
        preferred=patient.pref,
        not_before=instance.now,
        min_hours=protocol.min_hours,
        continued=patient.first_visit is not None,
        first_number=first + 1,
        weights=weights_of(instance.weights),
    )


def weights_of(w: WeightsIn) -> Weights:
    """The prices of a course."""
    return Weights(w.wait, w.late, w.gap, w.tod, w.dev, w.loc, w.pref, w.unplaced)


def course_as_json(plan: CoursePlan) -> dict[str, Any]:
    """A plan in the format's own shape, with its cost parts, its proven earliest first day and its long gaps by name."""
    return {
        "anchor": plan.anchor,
        "home": plan.home,
        "visits": [[v.day, v.device, v.start] for v in plan.visits],
        "cost": plan.cost,
        "parts": plan.parts.as_dict(),
        "earliest_day": plan.earliest_day,
        "why": list(plan.why),
        "gaps": [gap_as_json(gap) for gap in plan.gaps],
    }


def reasons_as_json(question: Question, request: CourseRequest, plan: CoursePlan) -> dict[str, Any]:
    """Why this time: each visit that costs something, what blocks the better place, and why no start is sooner."""
    occupancy = question.occupancy
    return {
        "visits": [
            {
                "visit": reason.number,
                "parts": {name: value for name, value in reason.parts.as_dict().items() if value},
                "blocked": None if reason.blocked is None else _blocked_as_json(reason.blocked, occupancy),
            }
            for reason in visit_reasons(plan, request, occupancy, question.bookings)
            if reason.parts.total
        ],
        "not_sooner": [
            {
                "day": start.day,
                "date": start.date.isoformat(),
                "visit": start.visit,
                "rule": start.rule,
                "text": start.text,
            }
            for start in why_not_sooner(plan, request, occupancy)
        ],
    }


def _blocked_as_json(blocked: BlockedOption, occupancy: Occupancy) -> dict[str, Any]:
    return {
        "day": occupancy.day_of(blocked.date),
        "device": blocked.device,
        "start": blocked.start,
        "rules": list(blocked.rules),
        "bookings": [booking.id for booking in blocked.bookings],
        "saves": blocked.saves,
        "text": blocked.text,
        "opens": blocked.opens,
    }


def refusal_as_json(no: NoCourse) -> dict[str, Any]:
    """The binding rule of a patient without a course: which visit, why day by day, what would open one."""
    return {
        "rule": no.rule,
        "visit": no.visit,
        "kind": no.kind,
        "text": no.text,
        "days": [{"day": d.day, "date": d.date.isoformat(), "rule": d.rule, "text": d.text} for d in no.days],
        "relaxations": [_change_as_json(change) for change in no.relaxations],
    }


def _change_as_json(change: Relaxation) -> dict[str, Any]:
    return {
        "kind": change.kind,
        "amount": change.amount,
        "text": change.text,
        "days": list(change.days),
        "weekdays": list(change.weekdays),
        "location": change.location,
        "starts_on": None if change.starts_on is None else change.starts_on.isoformat(),
        "cost": change.cost,
        "parts": [_change_as_json(part) for part in change.parts],
    }
