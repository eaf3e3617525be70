"""Rows as the planner reads them: a site's hours, devices and people, and everything that takes one of them.

Besides its own device an appointment takes other things that the planner has no word for. They become bookings of the
same effect (`Shadow`): a room that two devices share is taken on the other device too, and a staff member who sees
somebody is taken out of the pools of the sites where the rota has them then.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from functools import cached_property
from typing import Any, NamedTuple

from sqlalchemy import and_, or_, select

from clinic import clock
from clinic.db import db
from clinic.locations.models import (
    Closure,
    Device,
    DeviceDowntime,
    Location,
    OpeningHours,
    Room,
    StaffAbsence,
    StaffShift,
)
from clinic.scheduling.models import HOLDS_PLACE, Hold, TreatmentSession
from clinic.scheduling.planner import Booking, DeviceFacts, LocationFacts, StaffFacts
from clinic.scheduling.planner.calendar import from_utc
from clinic.staff.models import StaffUser

DaySpan = tuple[int, int, int]
PEOPLE = "people"  # kind of the device that stands for the pools of a site; no protocol asks for it


@dataclass(frozen=True, slots=True)
class Shadow(Booking):
    """A booking that another appointment causes; `cause` keeps two of the same span apart."""

    cause: str = ""


class Taken(NamedTuple):
    """One appointment that holds its place."""

    location_id: int
    device_id: int | None
    room_id: int | None
    staff_id: int | None
    need: str
    starts_at: datetime
    ends_at: datetime
    device_until: datetime


def taken(row: TreatmentSession) -> Taken:
    """What a row takes."""
    return Taken(*(getattr(row, name) for name in Taken._fields))


@dataclass(frozen=True)
class Person:
    """When somebody counts in the pools of a site: days and minutes on shift, breaks and absences taken off."""

    skills: frozenset[str]
    shifts: tuple[DaySpan, ...]
    off: tuple[DaySpan, ...]

    def present(self, day: int, start: int, end: int) -> Iterator[tuple[int, int]]:
        """The parts of [start, end) in which they are there."""
        for at, opens, closes in self.shifts:
            if at != day:
                continue
            spans = [(max(start, opens), min(end, closes))]
            for off_day, a, b in self.off:
                if off_day == day:
                    spans = [part for x, y in spans for part in ((x, min(y, a)), (max(x, b), y))]
            yield from ((a, b) for a, b in spans if a < b)


@dataclass(frozen=True)
class Site:
    """What is fixed about a location between two changes of its schedule; days count from `start`."""

    id: int
    slug: str
    name: str
    tz: str
    start: date
    facts: LocationFacts
    devices: tuple[tuple[int, DeviceFacts], ...]
    staff: tuple[StaffFacts, ...]
    people: Mapping[int, Person]
    rooms: Mapping[int, tuple[int, ...]]  # devices by the room that they share, where one appointment has it at a time
    chairs_per_observer: int

    @cached_property
    def device_facts(self) -> dict[int, DeviceFacts]:
        """Planner's facts by our id."""
        return dict(self.devices)

    @cached_property
    def pool(self) -> DeviceFacts:
        """What shadows of people are booked on."""
        return DeviceFacts(f"{PEOPLE}, {self.facts.id}", self.facts.id, PEOPLE, frozenset(), turnover=0)

    def bookings(self, one: Taken) -> list[Booking]:
        """All that an appointment takes here. Its own device comes first."""
        on, start = from_utc(one.starts_at, self.tz)
        day = (on - self.start).days
        minutes = int((one.ends_at - one.starts_at).total_seconds() // 60)
        found: list[Booking] = []
        facts = self.device_facts.get(one.device_id) if one.device_id is not None else None
        if facts is not None:
            found.append(Booking(facts.id, day, start, minutes, one.need))  # type: ignore[arg-type]
        if one.room_id is not None and one.location_id == self.id:
            found.extend(self._room_mates(one, day, start))
        if one.staff_id is not None:
            found.extend(self.absent_from_pools(one.staff_id, day, start, start + minutes))
        return found

    def _room_mates(self, one: Taken, day: int, start: int) -> Iterator[Booking]:
        until = int((one.device_until - one.starts_at).total_seconds() // 60)
        for mate in self.rooms.get(one.room_id or 0, ()):
            facts = self.device_facts[mate]
            if mate != one.device_id and until > facts.turnover:
                cause = f"room {one.room_id} {one.device_id or one.staff_id}"
                yield Shadow(facts.id, day, start, until - facts.turnover, None, cause)

    def absent_from_pools(self, staff_id: int, day: int, start: int, end: int) -> Iterator[Booking]:
        """A person who sees somebody: as if they gave a session of every kind that they can give."""
        person = self.people.get(staff_id)
        if person is None:
            return
        for a, b in person.present(day, start, end):
            if "tms" in person.skills:
                need = "map" if "map" in person.skills else "tms"
                yield Shadow(self.pool.id, day, a, b - a, need, f"person {staff_id}")  # type: ignore[arg-type]
            for n in range(self.chairs_per_observer if "obs" in person.skills else 0):
                yield Shadow(self.pool.id, day, a, b - a, "obs", f"person {staff_id} chair {n}")


# -- reading --------------------------------------------------------------------------------------------------------


def read_site(location_id: int, start: date, days: int) -> Site:
    """A site as it stands, for `days` days from `start`."""
    location = db.session.execute(
        select(Location.slug, Location.name, Location.tz, Location.chairs_per_observer).where(
            Location.id == location_id
        )
    ).one()
    until = start + timedelta(days=days)
    name = f"{location.name} ({location.slug})" if _name_is_shared(location_id, location.name) else location.name
    people = _people(location_id, location.tz, start, days)
    closed = _closed(location_id, start, until)
    return Site(
        id=location_id,
        slug=location.slug,
        name=location.name,
        tz=location.tz,
        start=start,
        facts=LocationFacts(name, _hours(location_id), frozenset(closed), tz=location.tz, closed_names=closed),
        devices=_devices(location_id, name, location.tz, start, days),
        staff=_staff(people, name, location.chairs_per_observer),
        people=people,
        rooms=_rooms(location_id),
        chairs_per_observer=location.chairs_per_observer,
    )


def _rooms(location_id: int) -> dict[int, tuple[int, ...]]:
    rows = db.session.execute(
        select(Room.id, Device.id)
        .join(Device, Device.room_id == Room.id)
        .where(Room.location_id == location_id, Room.is_shared.is_(False))
        .order_by(Device.id)
    )
    found: dict[int, tuple[int, ...]] = {}
    for room_id, device_id in rows:
        found[room_id] = (*found.get(room_id, ()), device_id)
    return found


def _name_is_shared(location_id: int, name: str) -> bool:
    other = select(Location.id).where(Location.name == name, Location.id != location_id).limit(1)
    return db.session.scalar(other) is not None


def minute_of(wall: time) -> int:
    """Minutes after midnight; a closing time of 23:59 means midnight, the last minute a column can hold."""
    minutes = wall.hour * 60 + wall.minute
    return 1440 if minutes == 1439 else minutes


def _hours(location_id: int) -> tuple[tuple[tuple[int, int], ...], ...]:
    week: list[list[tuple[int, int]]] = [[] for _ in range(7)]
    rows = select(OpeningHours.weekday, OpeningHours.opens, OpeningHours.closes).where(
        OpeningHours.location_id == location_id
    )
    for weekday, opens, closes in db.session.execute(rows):
        week[weekday].append((minute_of(opens), minute_of(closes)))
    return tuple(tuple(sorted(spans)) for spans in week)


def _closed(location_id: int, start: date, until: date) -> dict[int, str]:
    """Closed days with their names."""
    rows = select(Closure.on_date, Closure.name).where(
        Closure.location_id == location_id, Closure.on_date >= start, Closure.on_date < until
    )
    return {(on - start).days: name for on, name in db.session.execute(rows)}


def _devices(location_id: int, site: str, tz: str, start: date, days: int) -> tuple[tuple[int, DeviceFacts], ...]:
    rows = db.session.execute(
        select(Device.id, Device.name, Device.kind, Device.protocols, Device.turnover_minutes, Device.retired_at)
        .where(Device.location_id == location_id)
        .order_by(Device.id)
    ).all()
    down: dict[int, list[DaySpan]] = {row.id: [] for row in rows}
    spans = select(DeviceDowntime.device_id, DeviceDowntime.starts_at, DeviceDowntime.ends_at).where(
        DeviceDowntime.device_id.in_(down), DeviceDowntime.ends_at > clock.now() - timedelta(days=2)
    )
    for device_id, starts_at, ends_at in db.session.execute(spans):
        down[device_id].extend(day_spans(starts_at, ends_at, tz, start, days))
    return tuple(
        (
            row.id,
            DeviceFacts(
                id=f"{row.name}, {site}",
                location=site,
                kind=row.kind,
                # a retired device takes no new sessions, the ones it has still hold staff
                capabilities=frozenset() if row.retired_at is not None else frozenset(row.protocols),
                turnover=row.turnover_minutes,
                down=tuple(sorted(down[row.id])),
            ),
        )
        for row in rows
    )


def day_spans(starts_at: datetime, ends_at: datetime, tz: str, start: date, days: int) -> Iterable[DaySpan]:
    """The span as days and local minutes, outward to whole minutes."""
    first, first_minute = from_utc(starts_at, tz)
    last, last_minute = from_utc(ends_at + timedelta(seconds=59), tz)
    for day in range(max(0, (first - start).days), min(days - 1, (last - start).days) + 1):
        on = start + timedelta(days=day)
        opens, closes = first_minute if on == first else 0, last_minute if on == last else 1440
        if opens < closes:
            yield day, opens, closes


def _people(location_id: int, tz: str, start: date, days: int) -> dict[int, Person]:
    until = start + timedelta(days=days)
    rows = db.session.execute(
        select(StaffShift, StaffUser.skills)
        .join(StaffUser, StaffUser.id == StaffShift.user_id)
        .where(
            StaffShift.location_id == location_id,
            StaffUser.active.is_(True),
            StaffShift.valid_from < until,
            or_(StaffShift.valid_until.is_(None), StaffShift.valid_until >= start),
        )
        .order_by(StaffShift.user_id, StaffShift.weekday, StaffShift.starts)
    ).all()
    shifts: dict[int, tuple[frozenset[str], list[DaySpan], list[DaySpan]]] = {}
    for shift, skills in rows:
        # who may map may also treat: the planner counts mapping operators as a part of the pool
        able = frozenset(skills) | (frozenset({"tms"}) if "map" in skills else frozenset())
        _, on, off = shifts.setdefault(shift.user_id, (able, [], []))
        weeks, opens, closes = _days_of(shift, start, days), minute_of(shift.starts), minute_of(shift.ends)
        on.extend((day, opens, closes) for day in weeks)
        if shift.break_starts is not None and shift.break_ends is not None:
            rests, back = minute_of(shift.break_starts), minute_of(shift.break_ends)
            off.extend((day, rests, back) for day in weeks)
    absences = select(StaffAbsence.user_id, StaffAbsence.starts_at, StaffAbsence.ends_at).where(
        StaffAbsence.user_id.in_(shifts), StaffAbsence.ends_at > clock.now() - timedelta(days=2)
    )
    for user_id, starts_at, ends_at in db.session.execute(absences) if shifts else ():
        shifts[user_id][2].extend(day_spans(starts_at, ends_at, tz, start, days))
    return {key: Person(able, tuple(on), tuple(sorted(off))) for key, (able, on, off) in shifts.items()}


def _staff(people: Mapping[int, Person], site: str, chairs: int) -> tuple[StaffFacts, ...]:
    found: list[StaffFacts] = []
    for user_id, one in people.items():
        person = StaffFacts(str(user_id), site, one.skills - {"obs"}, one.shifts, one.off)
        found.append(person)
        if "obs" in one.skills:
            found.extend(replace(person, id=f"{user_id} chair {n}", skills=frozenset({"obs"})) for n in range(chairs))
    return tuple(found)


def _days_of(shift: StaffShift, start: date, days: int) -> range:
    first = max(0, (shift.valid_from - start).days)
    last = days if shift.valid_until is None else min(days, (shift.valid_until - start).days + 1)
    first += (shift.weekday - (start + timedelta(days=first)).weekday()) % 7
    return range(first, max(first, last), 7)


def read_bookings(site: Site, days: int) -> tuple[frozenset[Booking], datetime | None]:
    """All that is taken at a site, and when the first hold in it runs out. Holds that ran out are no longer there."""
    now, until = clock.now(), site.start + timedelta(days=days)
    columns = [getattr(TreatmentSession, name) for name in Taken._fields]
    here = and_(
        TreatmentSession.location_id == site.id,
        TreatmentSession.local_on >= site.start,
        TreatmentSession.local_on < until,
    )
    rows = list(_taken_where(columns, here, now))
    if site.people:
        slack = timedelta(days=1)
        noon = datetime.combine(site.start, time(12), tzinfo=now.tzinfo)
        elsewhere = and_(
            TreatmentSession.staff_id.in_(site.people),
            TreatmentSession.location_id != site.id,
            TreatmentSession.starts_at >= noon - slack,
            TreatmentSession.starts_at < noon + timedelta(days=days) + slack,
        )
        rows.extend(_taken_where(columns, elsewhere, now))
    ends = [expires_at for _, expires_at in rows if expires_at is not None]
    return frozenset(x for one, _ in rows for x in site.bookings(one)), min(ends, default=None)


def _taken_where(columns: Iterable[Any], condition: Any, now: datetime) -> Iterator[tuple[Taken, datetime | None]]:
    statement = (
        select(*columns, Hold.expires_at)
        .outerjoin(Hold, Hold.id == TreatmentSession.hold_id)
        .where(condition, TreatmentSession.state.in_(HOLDS_PLACE), or_(Hold.id.is_(None), Hold.expires_at > now))
    )
    for *values, expires_at in db.session.execute(statement):
        yield Taken(*values), expires_at
