"""Who and what is free, kept warm in each process and keyed by `Location.schedule_version`.

A snapshot never changes: a newer one replaces it, so a reader is never surprised. A stale snapshot can cost a
proposal, never a double booking: an operation compares versions under the lock on the location and reads again.
"""

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import Any

from flask import current_app
from sqlalchemy import select

from clinic import clock
from clinic.db import db
from clinic.locations.models import Location
from clinic.patients.sites import everyone
from clinic.scheduling import deltas
from clinic.scheduling.deltas import Delta
from clinic.scheduling.mirror import Site, Taken, read_bookings, read_site
from clinic.scheduling.planner import Booking, DeviceFacts, Occupancy
from clinic.scheduling.planner.calendar import from_utc

HORIZON_DAYS = 182
HORIZON_STEP = 28
GRID = 5
KEPT_SITES = 64  # in all sets that a process keeps: one to two megabytes each
MOST_TOLD = 500  # changes that wait for a reader of one set
MOST_SITES = 8  # up to so many sites a refusal also tries the others


@dataclass(frozen=True)
class Snapshot:
    """One state of a set of locations, as the planner reads it. `answers` remembers what was asked of this state."""

    start: date
    days: int
    versions: Mapping[int, int]
    sites: Mapping[int, Site]
    bookings: Mapping[int, frozenset[Booking]]
    occupancy: Occupancy
    fresh_until: datetime | None = None  # when the first hold in it runs out: from then on it is stale
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

    def person_is_needed(self, staff_id: int, starts_at: datetime, ends_at: datetime) -> bool:
        """Would the pools of a site fall short of what is booked there, if this person saw somebody then?"""
        for site in self.sites.values():
            on, start = from_utc(starts_at, site.tz)
            day, end = self.occupancy.day_of(on), start + int((ends_at - starts_at).total_seconds() // 60)
            if any(not self._has_room(site, shadow) for shadow in site.absent_from_pools(staff_id, day, start, end)):
                return True
        return False

    def _has_room(self, site: Site, shadow: Booking) -> bool:
        occupancy = self.occupancy
        first = (shadow.start - occupancy.low) // occupancy.unit
        last = -(-(shadow.start + shadow.duration - occupancy.low) // occupancy.unit)
        first, last = max(0, first), min(occupancy.slots, last)
        if not 0 <= shadow.day < occupancy.days or first >= last:
            return True  # outside the opening hours nothing is given
        where = occupancy.location_index[site.facts.id], shadow.day, slice(first, last)
        needs = ("obs",) if shadow.need == "obs" else ("map", "tms") if shadow.need == "map" else ("tms",)
        return all(self._is_left(need, where, site) for need in needs)

    def _is_left(self, need: str, where: tuple[int, int, slice], site: Site) -> bool:
        occupancy = self.occupancy
        used, on = occupancy.staff_used, occupancy.staff_on
        if need == "obs":
            return bool((used["obs"][where] + site.chairs_per_observer <= on["obs"][where]).all())
        if need == "map":
            return bool((used["map"][where] < on["map"][where]).all())
        return bool((used["map"][where] + used["tms"][where] < on["tms"][where]).all())

    def mirrored(self, one: Taken) -> list[tuple[int, Booking]]:
        """All that an appointment takes, by location."""
        sites: Iterable[Site] = [self.sites[one.location_id]] if one.staff_id is None else self.sites.values()
        return [(site.id, booking) for site in sites for booking in site.bookings(one)]

    def after(self, steps: Mapping[int, Iterable[Delta]], versions: Mapping[int, int]) -> "Snapshot":
        """The state after these changes of each location, one after the other, and the versions that they led to."""
        added: dict[int, set[Booking]] = {x: set() for x in steps}
        removed: dict[int, set[Booking]] = {x: set() for x in steps}
        until: datetime | None = None
        for x, each in steps.items():
            site, before, new, gone = self.sites[x], self.bookings[x], added[x], removed[x]
            for step in each:
                until = earlier(until, step.fresh_until)
                for booking in _at(site, step.freed):
                    if booking in new:
                        new.discard(booking)
                    elif booking in before:
                        gone.add(booking)
                for booking in _at(site, step.taken):
                    if booking in gone:
                        gone.discard(booking)
                    elif booking not in before:
                        new.add(booking)
        return self.changed(added=added, removed=removed, versions=versions, fresh_until=until)

    def changed(
        self,
        *,
        added: Mapping[int, set[Booking]],
        removed: Mapping[int, set[Booking]],
        versions: Mapping[int, int],
        fresh_until: datetime | None = None,
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
        until = earlier(self.fresh_until, fresh_until)
        return Snapshot(self.start, self.days, {**self.versions, **versions}, self.sites, bookings, occupancy, until)

    def without(self, *rows: Taken) -> "Snapshot":
        """The state as if these appointments were not booked."""
        gone: dict[int, set[Booking]] = {}
        for row in rows:
            for location_id, booking in self.mirrored(row):
                if booking in self.bookings[location_id]:
                    gone.setdefault(location_id, set()).add(booking)
        return self.changed(added={}, removed=gone, versions={})

    def is_stale(self, versions: Mapping[int, int]) -> bool:
        """Did a schedule change, or a hold run out?"""
        return dict(self.versions) != dict(versions) or (
            self.fresh_until is not None and self.fresh_until <= clock.now()
        )


def earlier(a: datetime | None, b: datetime | None) -> datetime | None:
    """The earlier of two instants, of which either may be missing."""
    return min((x for x in (a, b) if x is not None), default=None)


@dataclass(frozen=True)
class Told:
    """A change that follows from these versions, by location."""

    before: Mapping[int, int]
    what: Delta


Key = tuple[frozenset[int], date, int]


class Warm:
    """The snapshots of one process, by set of locations, newest use last: those of a whole network, each site alone."""

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
                    found = found.after(dict.fromkeys(versions, (told.what,)), versions)
            self._kept[key] = found
            return found

    def tell(self, told: Told) -> None:
        """Keep what this process changed for the next reader: the one who changed it does not wait for it."""
        with self._lock:
            for key in list(self._kept):
                if not told.before.keys() <= key[0]:
                    continue
                waiting = self._told.setdefault(key, [])
                waiting.append(told)
                if len(waiting) > MOST_TOLD:  # nobody asks for it any more
                    del self._kept[key], self._told[key]

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
            while len(self._kept) > 1 and sum(len(locations) for locations, *_ in self._kept) > KEPT_SITES:
                oldest = next(iter(self._kept))
                del self._kept[oldest]
                self._told.pop(oldest, None)


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


@everyone()
def as_it_would_be(location_id: int, *, until: date) -> Snapshot:
    """A site as this transaction sees it, whatever is not committed included; it is kept nowhere."""
    start = _first_day()
    days = horizon(until, start)
    site = read_site(location_id, start, days)
    return _built(
        start, days, _versions(frozenset({location_id})), {location_id: site}, {location_id: read_bookings(site, days)}
    )


def _first_day() -> date:
    """One day of slack: today at a site may be the day before today in UTC."""
    return clock.now().date() - timedelta(days=1)


@everyone()  # a place is taken whoever holds it; and what is kept warm serves every caller
def _present(ids: frozenset[int], start: date, days: int, versions: Mapping[int, int]) -> Snapshot:
    key, warm = (ids, start, days), _warm()
    found = warm.get(key)
    if found is None:
        sites = {x: read_site(x, start, days) for x in sorted(ids)}
        found = _built(start, days, versions, sites, {x: read_bookings(sites[x], days) for x in sites})
        warm.keep(key, found)
    elif found.is_stale(versions):
        found = _refreshed(found, versions)
        warm.keep(key, found)
    return found


def _versions(ids: frozenset[int]) -> dict[int, int]:
    rows = db.session.execute(select(Location.id, Location.schedule_version).where(Location.id.in_(ids)))
    return {row.id: row.schedule_version for row in rows}


def remember(versions: Mapping[int, int], what: Delta) -> None:
    """After a commit: what this process changed itself need not be read again. `versions`: those before the change."""
    _warm().tell(Told(dict(versions), what))


# -- building -------------------------------------------------------------------------------------------------------

Bookings = tuple[frozenset[Booking], datetime | None]


def _refreshed(old: Snapshot, versions: Mapping[int, int]) -> Snapshot:
    """Read the changed locations again; where only bookings changed, only those are booked and released."""
    has_run_out = old.fresh_until is not None and old.fresh_until <= clock.now()
    changed = [x for x in old.sites if has_run_out or old.versions[x] != versions[x]]
    caught_up = None if has_run_out else _caught_up(old, {x: (old.versions[x], versions[x]) for x in changed}, versions)
    if caught_up is not None:
        return caught_up
    sites = {x: read_site(x, old.start, old.days) for x in changed}
    bookings = {x: read_bookings(sites[x], old.days) for x in changed}
    kept = {x: (old.bookings[x], old.fresh_until) for x in old.sites}
    if any(sites[x] != old.sites[x] for x in changed):
        return _built(old.start, old.days, versions, {**old.sites, **sites}, {**kept, **bookings})
    new = old.changed(
        added={x: set(bookings[x][0] - old.bookings[x]) for x in changed},
        removed={x: set(old.bookings[x] - bookings[x][0]) for x in changed},
        versions=versions,
    )
    return replace(new, fresh_until=_first_end({**kept, **bookings}), answers={}, thinking=threading.Lock())


def _caught_up(old: Snapshot, behind: Mapping[int, tuple[int, int]], versions: Mapping[int, int]) -> Snapshot | None:
    """The state after versions that say what they changed; None where one does not."""
    found = deltas.since(behind)
    return None if found is None else old.after(found, versions)


def _at(site: Site, places: Iterable[Taken]) -> Iterable[Booking]:
    """All that appointments take at one site."""
    return [x for one in places if one.staff_id is not None or one.location_id == site.id for x in site.bookings(one)]


def _first_end(bookings: Mapping[int, Bookings]) -> datetime | None:
    return min((end for _, end in bookings.values() if end is not None), default=None)


def _built(
    start: date, days: int, versions: Mapping[int, int], sites: Mapping[int, Site], read: Mapping[int, Bookings]
) -> Snapshot:
    bookings = {x: found for x, (found, _) in read.items()}
    occupancy = Occupancy(
        start,
        days,
        locations=[site.facts for site in sites.values()],
        devices=[
            *(facts for site in sites.values() for _, facts in site.devices),
            *(site.pool for site in sites.values()),
        ],
        staff=[person for site in sites.values() for person in site.staff],
        bookings=[booking for x in sites for booking in sorted(bookings[x], key=lambda b: (b.device, b.day, b.start))],
        grid=GRID,
        observer_capacity=1,  # each site has its own ratio: an observer is counted once per chair
    )
    return Snapshot(start, days, dict(versions), dict(sites), bookings, occupancy, _first_end(read))
