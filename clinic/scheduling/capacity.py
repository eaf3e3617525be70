"""Who and what is free, kept warm in each process and keyed by `Location.schedule_version`.

A snapshot never changes: a newer one replaces it, so a reader is never surprised. A stale snapshot can cost a
proposal, never a double booking: an operation compares versions under the lock on the location and reads again.
"""

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from functools import cached_property
from typing import Any

from flask import current_app
from sqlalchemy import or_, select

from clinic import clock
from clinic.db import db
from clinic.locations.models import Closure, Device, DeviceDowntime, Location, OpeningHours, StaffShift
from clinic.patients.sites import everyone
from clinic.scheduling.models import HOLDS_PLACE, TreatmentSession
from clinic.scheduling.planner import Booking, DeviceFacts, LocationFacts, Occupancy, StaffFacts
from clinic.scheduling.planner.calendar import from_utc
from clinic.staff.models import StaffUser

HORIZON_DAYS = 182
HORIZON_STEP = 28
GRID = 5
KEPT_SETS = 8
MOST_SITES = 8  # up to so many sites a refusal also tries the others

DaySpan = tuple[int, int, int]


@dataclass(frozen=True)
class Site:
    """What is fixed about a location between two changes of its schedule; days count from the horizon's start."""

    id: int
    slug: str
    name: str
    tz: str
    facts: LocationFacts
    devices: tuple[tuple[int, DeviceFacts], ...]
    staff: tuple[StaffFacts, ...]


@dataclass(frozen=True)
class Snapshot:
    """One state of a set of locations, as the planner reads it. `answers` remembers what was asked of this state."""

    start: date
    days: int
    versions: Mapping[int, int]
    sites: Mapping[int, Site]
    bookings: Mapping[int, frozenset[Booking]]
    occupancy: Occupancy
    answers: dict[str, Any] = field(default_factory=dict)
    thinking: threading.Lock = field(default_factory=threading.Lock)

    @cached_property
    def device_ids(self) -> dict[str, int]:
        """Our id of each device by the planner's."""
        return {facts.id: key for site in self.sites.values() for key, facts in site.devices}

    @cached_property
    def devices(self) -> dict[int, DeviceFacts]:
        """Planner's facts by our id."""
        return {key: facts for site in self.sites.values() for key, facts in site.devices}

    @cached_property
    def site_of_device(self) -> dict[int, Site]:
        """Site by device id."""
        return {key: site for site in self.sites.values() for key, _ in site.devices}

    @cached_property
    def site_by_name(self) -> dict[str, Site]:
        """Site by the planner's id of it."""
        return {site.facts.id: site for site in self.sites.values()}

    def day_and_minute(self, device_id: int, instant: datetime) -> tuple[int, int]:
        """Planner's day and local minute of an instant at the device's site."""
        on, minute = from_utc(instant, self.site_of_device[device_id].tz)
        return self.occupancy.day_of(on), minute

    def why_not(self, device_id: int, starts_at: datetime, minutes: int, need: str) -> str | None:
        """The first rule that forbids this session, by its name in the planner; None where it fits.

        The same rules in the same order as the planner's, on one place: cheap enough to run under a lock.
        """
        occupancy, facts = self.occupancy, self.devices[device_id]
        day, minute = self.day_and_minute(device_id, starts_at)
        device = occupancy.device_index[facts.id]
        site = int(occupancy.device_location[device])
        slot = (minute - occupancy.low) // occupancy.unit
        if minute % GRID:
            return "start_is_on_grid"
        if not 0 <= day < occupancy.days:
            return "day_is_inside_horizon"
        if not 0 <= slot < occupancy.slots:
            return "location_is_open"
        held = -(-(minutes + facts.turnover) // occupancy.unit)
        staffed = -(-minutes // occupancy.unit)
        for rule, left, needed in (
            ("location_is_open", occupancy.open_run[site, day, slot], held),
            ("device_is_up", occupancy.device_up_run[device, day, slot], held),
            ("staff_are_on_shift", occupancy.staff_on_run[need][site, day, slot], staffed),
            ("device_is_free", occupancy.device_free_run[device, day, slot], held),
            ("staff_are_free", occupancy.staff_free_run[need][site, day, slot], staffed),
        ):
            if left < needed:
                return rule
        return None

    def booking(self, device_id: int, starts_at: datetime, ends_at: datetime, need: str) -> Booking:
        """A session as the planner counts it."""
        day, minute = self.day_and_minute(device_id, starts_at)
        minutes = int((ends_at - starts_at).total_seconds() // 60)
        return Booking(self.devices[device_id].id, day, minute, minutes, need)  # type: ignore[arg-type]

    def changed(
        self, *, added: Mapping[int, set[Booking]], removed: Mapping[int, set[Booking]], versions: Mapping[int, int]
    ) -> "Snapshot":
        """The state after bookings came and went."""
        occupancy = self.occupancy.copy()
        bookings = dict(self.bookings)
        for location_id, gone in removed.items():
            for booking in gone:
                occupancy.release(booking)
            bookings[location_id] = bookings[location_id] - gone
        for location_id, new in added.items():
            for booking in new:
                occupancy.book(booking)
            bookings[location_id] = bookings[location_id] | new
        return Snapshot(self.start, self.days, {**self.versions, **versions}, self.sites, bookings, occupancy)

    def without(self, session: TreatmentSession) -> "Snapshot":
        """The state as if this session were not booked."""
        gone = {self.booking(session.device_id, session.starts_at, session.ends_at, session.need)}
        present = gone & self.bookings[session.location_id]
        return self.changed(added={}, removed={session.location_id: present}, versions={})


@dataclass(frozen=True)
class Told:
    """A change that follows from these versions, by location."""

    before: Mapping[int, int]
    added: Mapping[int, set[Booking]]
    removed: Mapping[int, set[Booking]]


Key = tuple[frozenset[int], date, int]


class Warm:
    """The snapshots of one process, a few sets of locations, newest use last."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[Key, Snapshot] = {}
        self._told: dict[Key, list[Told]] = {}

    def get(self, key: Key) -> Snapshot | None:
        with self._lock:
            found = self._kept.pop(key, None)
            if found is None:
                return None
            for told in self._told.pop(key, ()):
                if all(found.versions[x] == version for x, version in told.before.items()):
                    versions = {x: version + 1 for x, version in told.before.items()}
                    found = found.changed(added=told.added, removed=told.removed, versions=versions)
            self._kept[key] = found
            return found

    def tell(self, key: Key, told: "Told") -> None:
        """Keep what this process changed for the next reader: the one who changed it does not wait for it."""
        with self._lock:
            self._told.setdefault(key, []).append(told)

    def covering(self, ids: frozenset[int], start: date, until: date) -> Snapshot | None:
        """The newest kept state of at least these locations that reaches that date."""
        with self._lock:
            kept = list(self._kept)
        for key in reversed(kept):
            locations, begins, days = key
            if ids <= locations and begins == start and until < start + timedelta(days=days):
                return self.get(key)
        return None

    def keep(self, key: Key, snapshot: Snapshot) -> None:
        with self._lock:
            self._kept.pop(key, None)
            self._told.pop(key, None)
            self._kept[key] = snapshot
            while len(self._kept) > KEPT_SETS:
                self._kept.pop(next(iter(self._kept)))


def _warm() -> Warm:
    warm = current_app.extensions.setdefault("clinic-capacity", Warm())
    assert isinstance(warm, Warm)
    return warm


def horizon(until: date | None, start: date) -> int:
    """Days that a snapshot spans, in steps so that few sets are kept."""
    needed = HORIZON_DAYS if until is None else max(HORIZON_DAYS, (until - start).days + HORIZON_DAYS)
    return -(-needed // HORIZON_STEP) * HORIZON_STEP


def snapshot(location_ids: Iterable[int], *, until: date | None = None) -> Snapshot:
    """The present state of these locations, for planning. `until`: the latest first day that is asked for."""
    ids, start = frozenset(location_ids), _first_day()
    return _present(ids, start, horizon(until, start), _versions(ids))


def snapshot_under_lock(versions: Mapping[int, int], *, until: date) -> Snapshot:
    """The exact state of the locations whose versions were read under their lock; others in it may be older."""
    ids, start = frozenset(versions), _first_day()
    found = _warm().covering(ids, start, until)
    if found is None:
        return _present(ids, start, horizon(until, start), versions)
    return _present(frozenset(found.sites), start, found.days, {**found.versions, **versions})


def _first_day() -> date:
    """One day of slack: today at a site may be the day before today in UTC."""
    return clock.now().date() - timedelta(days=1)


@everyone()  # a place is taken whoever holds it; and what is kept warm serves every caller
def _present(ids: frozenset[int], start: date, days: int, versions: Mapping[int, int]) -> Snapshot:
    key, warm = (ids, start, days), _warm()
    found = warm.get(key)
    if found is None:
        sites = {x: _read_site(x, start, days) for x in sorted(ids)}
        found = _built(start, days, versions, sites, {x: _read_bookings(sites[x], start, days) for x in sites})
        warm.keep(key, found)
    elif dict(found.versions) != dict(versions):
        found = _refreshed(found, versions)
        warm.keep(key, found)
    return found


def _versions(ids: frozenset[int]) -> dict[int, int]:
    rows = db.session.execute(select(Location.id, Location.schedule_version).where(Location.id.in_(ids)))
    return {row.id: row.schedule_version for row in rows}


def remember(before: Snapshot, added: Sequence[tuple[int, Booking]], removed: Sequence[tuple[int, Booking]]) -> None:
    """After a commit: what this process changed itself need not be read again."""
    touched = {location_id for location_id, _ in (*added, *removed)}
    told = Told(
        {x: before.versions[x] for x in touched},
        {x: {booking for at, booking in added if at == x} for x in touched},
        {x: {booking for at, booking in removed if at == x} for x in touched},
    )
    _warm().tell((frozenset(before.sites), before.start, before.days), told)


# -- reading --------------------------------------------------------------------------------------------------------


def _refreshed(old: Snapshot, versions: Mapping[int, int]) -> Snapshot:
    """Read the changed locations again; where only bookings changed, only those are booked and released."""
    changed = [x for x in old.sites if old.versions[x] != versions[x]]
    sites = {x: _read_site(x, old.start, old.days) for x in changed}
    bookings = {x: _read_bookings(sites[x], old.start, old.days) for x in changed}
    if all(sites[x] == old.sites[x] for x in changed):
        return old.changed(
            added={x: set(bookings[x] - old.bookings[x]) for x in changed},
            removed={x: set(old.bookings[x] - bookings[x]) for x in changed},
            versions=versions,
        )
    return _built(old.start, old.days, versions, {**old.sites, **sites}, {**old.bookings, **bookings})


def _built(
    start: date,
    days: int,
    versions: Mapping[int, int],
    sites: Mapping[int, Site],
    bookings: Mapping[int, frozenset[Booking]],
) -> Snapshot:
    occupancy = Occupancy(
        start,
        days,
        locations=[site.facts for site in sites.values()],
        devices=[facts for site in sites.values() for _, facts in site.devices],
        staff=[person for site in sites.values() for person in site.staff],
        bookings=[booking for x in sites for booking in sorted(bookings[x], key=lambda b: (b.device, b.day, b.start))],
        grid=GRID,
        observer_capacity=1,  # each site has its own ratio: an observer is counted once per chair
    )
    return Snapshot(start, days, dict(versions), dict(sites), dict(bookings), occupancy)


def _read_site(location_id: int, start: date, days: int) -> Site:
    location = db.session.execute(
        select(Location.slug, Location.name, Location.tz, Location.chairs_per_observer).where(
            Location.id == location_id
        )
    ).one()
    until = start + timedelta(days=days)
    name = f"{location.name} ({location.slug})" if _name_is_shared(location_id, location.name) else location.name
    return Site(
        id=location_id,
        slug=location.slug,
        name=location.name,
        tz=location.tz,
        facts=LocationFacts(name, _hours(location_id), _closed(location_id, start, until), tz=location.tz),
        devices=_devices(location_id, name, location.tz, start, days),
        staff=_staff(location_id, name, start, days, location.chairs_per_observer),
    )


def _name_is_shared(location_id: int, name: str) -> bool:
    other = select(Location.id).where(Location.name == name, Location.id != location_id).limit(1)
    return db.session.scalar(other) is not None


def _minute(wall: time) -> int:
    """Minutes after midnight; a closing time of 23:59 means midnight, the last minute a column can hold."""
    minutes = wall.hour * 60 + wall.minute
    return 1440 if minutes == 1439 else minutes


def _hours(location_id: int) -> tuple[tuple[tuple[int, int], ...], ...]:
    week: list[list[tuple[int, int]]] = [[] for _ in range(7)]
    rows = select(OpeningHours.weekday, OpeningHours.opens, OpeningHours.closes).where(
        OpeningHours.location_id == location_id
    )
    for weekday, opens, closes in db.session.execute(rows):
        week[weekday].append((_minute(opens), _minute(closes)))
    return tuple(tuple(sorted(spans)) for spans in week)


def _closed(location_id: int, start: date, until: date) -> frozenset[int]:
    rows = select(Closure.on_date).where(
        Closure.location_id == location_id, Closure.on_date >= start, Closure.on_date < until
    )
    return frozenset((on - start).days for on in db.session.scalars(rows))


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
        down[device_id].extend(_day_spans(starts_at, ends_at, tz, start, days))
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


def _day_spans(starts_at: datetime, ends_at: datetime, tz: str, start: date, days: int) -> Iterable[DaySpan]:
    first, first_minute = from_utc(starts_at, tz)
    last, last_minute = from_utc(ends_at + timedelta(seconds=59), tz)
    for day in range(max(0, (first - start).days), min(days - 1, (last - start).days) + 1):
        on = start + timedelta(days=day)
        opens, closes = first_minute if on == first else 0, last_minute if on == last else 1440
        if opens < closes:
            yield day, opens, closes


def _staff(location_id: int, site: str, start: date, days: int, chairs: int) -> tuple[StaffFacts, ...]:
    until = start + timedelta(days=days)
    shifts: dict[tuple[int, frozenset[str]], tuple[list[DaySpan], list[DaySpan]]] = {}
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
    )
    for shift, skills in rows:
        # who may map may also treat: the planner counts mapping operators as a part of the pool
        able = frozenset(skills) | (frozenset({"tms"}) if "map" in skills else frozenset())
        on, breaks = shifts.setdefault((shift.user_id, able), ([], []))
        for day in _days_of(shift, start, days):
            on.append((day, _minute(shift.starts), _minute(shift.ends)))
            if shift.break_starts is not None and shift.break_ends is not None:
                breaks.append((day, _minute(shift.break_starts), _minute(shift.break_ends)))
    people: list[StaffFacts] = []
    for (user_id, able), (on, breaks) in shifts.items():
        person = StaffFacts(str(user_id), site, able - {"obs"}, tuple(on), tuple(breaks))
        people.append(person)
        if "obs" in able:
            people.extend(replace(person, id=f"{user_id} chair {n}", skills=frozenset({"obs"})) for n in range(chairs))
    return tuple(people)


def _days_of(shift: StaffShift, start: date, days: int) -> range:
    first = max(0, (shift.valid_from - start).days)
    last = days if shift.valid_until is None else min(days, (shift.valid_until - start).days + 1)
    first += (shift.weekday - (start + timedelta(days=first)).weekday()) % 7
    return range(first, max(first, last), 7)


def _read_bookings(site: Site, start: date, days: int) -> frozenset[Booking]:
    names = {key: facts.id for key, facts in site.devices}
    rows = db.session.execute(
        select(
            TreatmentSession.device_id, TreatmentSession.starts_at, TreatmentSession.ends_at, TreatmentSession.need
        ).where(
            TreatmentSession.location_id == site.id,
            TreatmentSession.local_on >= start,
            TreatmentSession.local_on < start + timedelta(days=days),
            TreatmentSession.state.in_(HOLDS_PLACE),
        )
    )
    found = set()
    for device_id, starts_at, ends_at, need in rows:
        on, minute = from_utc(starts_at, site.tz)
        minutes = int((ends_at - starts_at).total_seconds() // 60)
        found.add(Booking(names[device_id], (on - start).days, minute, minutes, need))  # type: ignore[arg-type]
    return frozenset(found)
