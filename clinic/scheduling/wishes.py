"""From what a person asks for to what the planner is asked, and back: courses as rows of sessions."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

from clinic import clock
from clinic.errors import Invalid, NotFound
from clinic.protocols.base import Protocol, ProtocolVisit
from clinic.protocols.shapes import bookable
from clinic.scheduling.capacity import GRID, Snapshot
from clinic.scheduling.planner import CoursePlan, CourseRequest, VisitSpec, visits_of
from clinic.scheduling.planner.calendar import from_utc, to_utc
from clinic.scheduling.planner.visits import Part, opening_part
from clinic.scheduling.queries import Held

SLOT_TURNOVER = 5  # minutes of a protocol's slot that are the device's turnover, not the session
NOTICE_MINUTES = 30  # a session today starts at least so long from now
OTHER_PLACE = 6  # price of a visit at a site that was not named first
MOST_DAYS_AHEAD = 400
TOO_FAR = "an appointment has a time ahead, at most two years"
MOST_PROPOSALS = 5
MAINTENANCE = "maintenance"  # kind of the visits that follow a course, one by one

Span = tuple[int, int]
DaySpan = tuple[int, int, int]


@dataclass(frozen=True)
class CourseWish:
    """What the desk or another system asks for. Times are minutes of the site's wall clock, weekdays 0 = Monday.

    `thresholds`: sessions in which the motor threshold is found anew are planned with the time that it takes.
    `windows` (by weekday) and `away` come from the intake and bind only where no daily window is given.
    """

    protocol: str
    earliest_start: date | None = None
    latest_start: date | None = None
    location_ids: tuple[int, ...] = ()
    daily_window: Span | None = None
    weekdays: tuple[int, ...] = ()
    count: int = 3
    thresholds: bool = False
    windows: Mapping[int, tuple[Span, ...]] | None = None
    away: tuple[date, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """To keep beside a proposal, so that fresh ones can be made."""
        return {
            "protocol": self.protocol,
            "earliest_start": self.earliest_start.isoformat() if self.earliest_start else None,
            "latest_start": self.latest_start.isoformat() if self.latest_start else None,
            "location_ids": list(self.location_ids),
            "daily_window": list(self.daily_window) if self.daily_window else None,
            "weekdays": list(self.weekdays),
            "count": self.count,
            "thresholds": self.thresholds,
        }


def wish_from_json(data: Mapping[str, Any]) -> CourseWish:
    """The wish that `as_json` kept."""
    return CourseWish(
        protocol=data["protocol"],
        earliest_start=date.fromisoformat(data["earliest_start"]) if data["earliest_start"] else None,
        latest_start=date.fromisoformat(data["latest_start"]) if data["latest_start"] else None,
        location_ids=tuple(data["location_ids"]),
        daily_window=(data["daily_window"][0], data["daily_window"][1]) if data["daily_window"] else None,
        weekdays=tuple(data["weekdays"]),
        count=data["count"],
        thresholds=data.get("thresholds", False),
    )


def protocol_of(key: str) -> Protocol:
    """What can be booked under this key: an entry of the catalogue, or one in another shape. Raises NotFound."""
    found = bookable().get(key)
    if found is None:
        raise NotFound(f"no protocol {key!r}")
    return found


def horizon() -> datetime:
    """No appointment starts then or later."""
    return clock.now() + timedelta(days=2 * MOST_DAYS_AHEAD)


def last_day() -> date:
    """No appointment lies after it, at any place: so far the calendar is read, and no further."""
    return horizon().date()


def refuse_distant(starts_at: datetime) -> None:
    """An appointment lies ahead, at most two years. Raises Invalid."""
    if not clock.now() < starts_at < horizon():
        raise Invalid(TOO_FAR, fields=["starts_at"])


def checked(wish: CourseWish) -> CourseWish:
    """The wish, or Invalid with the fields that are wrong."""
    if wish.protocol not in bookable():
        raise Invalid(f"no protocol {wish.protocol!r}", fields=["protocol"])
    today = clock.now().date()
    latest = today + timedelta(days=MOST_DAYS_AHEAD)
    for name in ("earliest_start", "latest_start"):
        asked: date | None = getattr(wish, name)
        if asked is not None and asked > latest:
            raise Invalid(f"{name} is more than {MOST_DAYS_AHEAD} days ahead", fields=[name])
    if wish.latest_start and wish.latest_start < max(today - timedelta(days=1), wish.earliest_start or today):
        raise Invalid("latest_start is before the earliest possible start", fields=["latest_start"])
    if wish.daily_window and not 0 <= wish.daily_window[0] < wish.daily_window[1] <= 1440:
        raise Invalid("the daily window ends before it begins", fields=["daily_window"])
    if any(not 0 <= weekday <= 6 for weekday in wish.weekdays):
        raise Invalid("weekdays are monday to sunday", fields=["weekdays"])
    if not 1 <= wish.count <= MOST_PROPOSALS:
        raise Invalid(f"count is 1 to {MOST_PROPOSALS}", fields=["count"])
    return wish


def specs(protocol: Protocol, visits: Iterable[ProtocolVisit]) -> tuple[VisitSpec, ...]:
    """Visits as the planner reads them. Devices carry the keys of the protocols that they give."""
    return visits_of(protocol, visits, grid=GRID, turnover=SLOT_TURNOVER)


def course_request(
    wish: CourseWish, protocol: Protocol, state: Snapshot, busy: Sequence[DaySpan], part: Part | None = None
) -> CourseRequest:
    """The planner's question for what is booked when a course begins, or for the given part of one."""
    is_opening = part is None
    part = part or opening_part(protocol)
    occupancy = state.occupancy
    return CourseRequest(
        visits=specs(protocol, _timed(protocol, part) if wish.thresholds else part.visits),
        device_kind=protocol.device_kind,
        locations=_prices(wish.location_ids, state),
        windows=week(wish),
        given_on=protocol.given_on,
        release=first_day(wish, state, lead=protocol.lead_days if is_opening else 0),
        latest_start=occupancy.day_of(wish.latest_start) if wish.latest_start else 10**6,
        away=frozenset(occupancy.day_of(day) for day in wish.away),
        busy=tuple(busy),
        not_before=_today(state),
        min_hours=protocol.min_hours,
        first_number=part.visits[0].number,
    )


def _timed(protocol: Protocol, part: Part) -> Iterator[ProtocolVisit]:
    """The visits of a part, longer where the motor threshold is found anew."""
    for visit, number in zip(part.visits, part.numbers, strict=True):
        yield longer(protocol, visit) if protocol.finds_threshold(number) else visit


def longer(protocol: Protocol, visit: ProtocolVisit) -> ProtocolVisit:
    """The visit with the minutes that a new motor threshold takes, where the protocol knows them."""
    anew = protocol.redetermination
    return visit if anew is None else replace(visit, minutes=max(visit.minutes, anew.minutes))


def after_last(request: CourseRequest, last_on: date | None, state: Snapshot) -> CourseRequest:
    """The question of a maintenance visit: its weeks count from the last session, while they have not run out."""
    gap = request.visits[0].gap
    if last_on is None or gap is None:
        return request
    day = state.occupancy.day_of(last_on)
    return request if request.release - day > gap[1] else replace(request, previous_day=day)


def first_day(wish: CourseWish, state: Snapshot, *, lead: int = 0) -> int:
    """The first day that is asked for; else today, and the days that what comes before the course takes."""
    today = _today(state)
    return today + lead if wish.earliest_start is None else max(today, state.occupancy.day_of(wish.earliest_start))


def _today(state: Snapshot) -> int:
    return state.occupancy.day_of(min(clock.today(site.tz) for site in state.sites.values()))


def _prices(location_ids: Sequence[int], state: Snapshot) -> dict[str, int]:
    """The first place named costs nothing, the others a little a visit."""
    named = [x for x in location_ids if x in state.sites] or list(state.sites)
    free = len(location_ids) == 0
    return {state.sites[x].facts.id: 0 if free or n == 0 else OTHER_PLACE for n, x in enumerate(named)}


def week(wish: CourseWish) -> tuple[tuple[Span, ...], ...]:
    """Hours by weekday in which the patient can come."""
    days = frozenset(wish.weekdays) or frozenset(range(7))
    if wish.daily_window is not None:
        return tuple((wish.daily_window,) if day in days else () for day in range(7))
    if wish.windows:
        return tuple(tuple(wish.windows.get(day, ())) if day in days else () for day in range(7))
    return tuple(((0, 1440),) if day in days else () for day in range(7))


def in_the_past(state: Snapshot) -> list[DaySpan]:
    """The part of today, and of the day before it, that nothing can be booked into."""
    spans = []
    for tz in {site.tz for site in state.sites.values()}:
        on, minute = from_utc(clock.now() + timedelta(minutes=NOTICE_MINUTES), tz)
        day = state.occupancy.day_of(on)
        spans.append((day - 1, 0, 1440))
        spans.append((day, 0, -(-minute // GRID) * GRID))
    return sorted(set(spans))


def busy_spans(held: Iterable[Held], state: Snapshot) -> Iterator[tuple[Held, DaySpan]]:
    """What a patient has booked, as the planner counts days: by the wall clock of every zone that it plans for."""
    zones = sorted({site.tz for site in state.sites.values()})
    for one in held:
        length = int((one.ends_at - one.starts_at).total_seconds() // 60)
        for tz in zones:
            on, minute = from_utc(one.starts_at, tz)
            yield one, (state.occupancy.day_of(on), minute, minute + length)


# -- sessions -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PlannedSession:
    """One session of a plan, ready to be booked. `number` counts sessions in the protocol, from 1."""

    number: int
    kind: str
    need: str
    device_id: int
    location_id: int
    starts_at: datetime
    ends_at: datetime
    with_threshold: bool = False  # the motor threshold is found anew

    @property
    def minutes(self) -> int:
        """Length of the session."""
        return int((self.ends_at - self.starts_at).total_seconds() // 60)

    def as_json(self) -> dict[str, Any]:
        """To keep in a proposal."""
        return {
            "number": self.number,
            "kind": self.kind,
            "need": self.need,
            "device_id": self.device_id,
            "location_id": self.location_id,
            "starts_at": self.starts_at.isoformat(),
            "ends_at": self.ends_at.isoformat(),
            "with_threshold": self.with_threshold,
        }


def sessions_from_json(plan: Mapping[str, Any]) -> list[PlannedSession]:
    """Every session of a stored plan."""
    return [session_from_json(data) for data in plan["sessions"]]


def session_from_json(data: Mapping[str, Any]) -> PlannedSession:
    """The session that `as_json` kept."""
    return PlannedSession(
        **{
            **data,
            "starts_at": datetime.fromisoformat(data["starts_at"]),
            "ends_at": datetime.fromisoformat(data["ends_at"]),
        }
    )


def session_numbers(protocol: Protocol) -> list[int]:
    """Number of the first session of each visit; a visit of several sessions takes several numbers."""
    numbers, following = [], 1
    for visit in protocol.visits:
        numbers.append(following)
        following += len(visit.offsets)
    return numbers


def sessions_of(
    plan: CoursePlan, protocol: Protocol, state: Snapshot, part: Part | None = None, *, thresholds: bool = False
) -> list[PlannedSession]:
    """Every session of a plan: wall time of its site turned into an instant, day by day.

    `thresholds`: as in the wish. `part`: what was planned; left out, all from the plan's first visit on as the protocol counts them.
    """
    numbers = dict(enumerate(session_numbers(protocol), start=1))
    specs_by_number = {visit.number: visit for visit in protocol.visits}
    if part is not None:
        specs_by_number |= {visit.number: visit for visit in part.visits}
        numbers |= {visit.number: number for visit, number in zip(part.visits, part.numbers, strict=True)}
    found = []
    for visit in plan.visits:
        spec = specs_by_number[visit.number]
        device_id = state.device_ids[visit.device]
        site = state.site_of_device[device_id]
        for n, offset in enumerate(spec.offsets):
            starts_at = to_utc(visit.date, visit.start + offset, site.tz)
            number = numbers[visit.number] + n
            anew = thresholds and protocol.finds_threshold(number)
            found.append(
                PlannedSession(
                    number=number,
                    kind=visit.kind,
                    need=spec.need,
                    device_id=device_id,
                    location_id=site.id,
                    starts_at=starts_at,
                    ends_at=starts_at + length(protocol, longer(protocol, spec) if anew else spec),
                    with_threshold=anew,
                )
            )
    return found


def length(protocol: Protocol, visit: ProtocolVisit) -> timedelta:
    """How long patient and operator are busy: the protocol's slot without the device's turnover."""
    return timedelta(minutes=specs(protocol, [visit])[0].duration)


def spacing(protocol: Protocol, number: int) -> timedelta:
    """Time from this session's start to the earliest start of the next one."""
    if protocol.min_hours is not None:
        return timedelta(hours=protocol.min_hours)
    visit = visit_of(protocol, number)
    if len(visit.offsets) > 1:
        return timedelta(minutes=visit.offsets[1] - visit.offsets[0])
    return length(protocol, visit)


def visit_of(protocol: Protocol, number: int, kind: str | None = None) -> ProtocolVisit:
    """The visit that session `number` belongs to; past the protocol's last one (an extension), the one of its kind."""
    starts = session_numbers(protocol)
    last = protocol.visits[-1]
    if kind is not None and number >= starts[-1] + len(last.offsets):
        return extra_visit(protocol, kind)
    index = max(i for i, first in enumerate(starts) if first <= number)
    return protocol.visits[index]


def extra_visit(protocol: Protocol, kind: str) -> ProtocolVisit:
    """A visit past the protocol's end. Maintenance is like the last visit, at whatever distance the clinician sets."""
    if kind == MAINTENANCE:
        last = protocol.visits[-1]
        return replace(last, kind=MAINTENANCE, gap=None, ideal=None)  # type: ignore[arg-type]
    return next((visit for visit in reversed(protocol.visits) if visit.kind == kind), protocol.visits[-1])
