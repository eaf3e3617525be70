"""Who and what is free when, kept warm in arrays: build it once, then book and release.

Every array is indexed [device or location, day, slot]; a slot is `unit` minutes and the first slot starts at `low`.
Facts off the unit are rounded against the booking. A "run" array holds for each slot the number of free slots from
it on, so that "free for n slots" is one comparison.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clinic.scheduling.planner.calendar import minutes_lost_before, real_minute
from clinic.scheduling.planner.facts import Booking, DaySpan, DeviceFacts, Extra, LocationFacts, Span, StaffFacts, Week

Counts = NDArray[np.int16]
Runs = NDArray[np.int16]


def runs_of(free: NDArray[np.bool_]) -> Runs:
    """Number of free slots from each slot on, along the last axis."""
    slots = free.shape[-1]
    index = np.arange(slots, dtype=np.int16)
    next_busy = np.where(free, np.int16(slots), index)
    next_busy = np.minimum.accumulate(next_busy[..., ::-1], axis=-1)[..., ::-1]
    return (next_busy - index).astype(np.int16)


def _opened(location: LocationFacts, more: Week, monday: int) -> LocationFacts:
    """The location with further hours on every day that is not closed; day 0 falls `monday` days after a Monday."""
    hours = tuple(_joined((*a, *b)) for a, b in zip(location.hours, more, strict=True))
    special = {day: _joined((*spans, *more[(day + monday) % 7])) for day, spans in location.special.items()}
    return replace(location, hours=hours, special=special)


def _joined(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Windows in order; those that touch become one, so that a session may lie across."""
    found: list[Span] = []
    for a, b in sorted(spans):
        if found and a <= found[-1][1]:
            found[-1] = found[-1][0], max(b, found[-1][1])
        else:
            found.append((a, b))
    return tuple(found)


class Occupancy:
    """Opening, devices, staff and bookings of a set of locations over `days` days from `start`.

    book() and release() keep it true while it stays in memory; unknown devices raise KeyError.
    """

    def __init__(
        self,
        start: date,
        days: int,
        *,
        locations: Sequence[LocationFacts],
        devices: Sequence[DeviceFacts],
        staff: Sequence[StaffFacts],
        bookings: Iterable[Booking] = (),
        grid: int = 5,
        unit: int = 5,
        observer_capacity: int = 3,
    ) -> None:
        if grid % unit:
            raise ValueError("the grid must be a multiple of the unit")
        self.start, self.days, self.grid, self.unit = start, days, grid, unit
        self.locations, self.devices, self.staff = tuple(locations), tuple(devices), tuple(staff)
        self.observer_capacity = observer_capacity
        self.location_index = {x.id: i for i, x in enumerate(self.locations)}
        self.device_index = {x.id: i for i, x in enumerate(self.devices)}
        self.device_location = np.array([self.location_index[x.location] for x in self.devices], dtype=np.intp)
        self.weekday = (np.arange(days) + start.weekday()) % 7
        self.weekday_numbers = np.cumsum(self.weekday < 5, dtype=np.int32) + np.int32(self.weekday_number(-1))
        self._lost_in = {tz: self._clock_changes(tz) for tz in {x.tz for x in self.locations}}
        self._set_envelope()
        self._build_opening()
        self._build_devices()
        self._build_staff()
        self.bookings_on = np.zeros((len(self.devices), days, self.slots), dtype=np.int16)
        self.staff_used: dict[str, Counts] = {n: np.zeros(on.shape, dtype=np.int16) for n, on in self.staff_on.items()}
        for booking in bookings:
            self._count(booking, 1)
        self.device_free_run = runs_of(self.bookings_on == 0)
        self.staff_free_run = {need: runs_of(self._room(need)) for need in self.staff_on}

    # -- time ---------------------------------------------------------------------------------------------------

    def date_of(self, day: int) -> date:
        """Date of a day index."""
        return self.start + timedelta(days=day)

    def day_of(self, on: date) -> int:
        """Day index of a date; may lie outside [0, days)."""
        return (on - self.start).days

    def weekdays_between(self, after: int, until: int) -> int:
        """Number of Monday-Friday dates in (after, until]."""
        return max(0, self.weekday_number(until) - self.weekday_number(after))

    def weekday_number(self, day: int) -> int:
        """Monday-Friday dates up to and with the day, counted from the Monday of the first week."""
        weeks, rest = divmod(day + 1 + self.start.weekday(), 7)
        return weeks * 5 + min(rest, 5)

    def _clock_changes(self, tz: str | None) -> NDArray[np.int32]:
        lost = [0 if tz is None else minutes_lost_before(self.date_of(day), tz) for day in range(self.days)]
        return np.array(lost, dtype=np.int32)

    def minutes_lost(self, locations: Iterable[str]) -> NDArray[np.int32]:
        """Minutes that the clocks skip before each day, at the worst of these locations; -60 where they go back."""
        zones = {self.locations[self.location_index[x]].tz for x in locations if x in self.location_index}
        worst = [self._lost_in[tz] for tz in sorted(zones, key=str)]
        return np.max(worst, axis=0) if worst else np.zeros(self.days, dtype=np.int32)

    def minutes_apart(self, a: tuple[str, int, int], b: tuple[str, int, int]) -> int:
        """Real minutes from a to b, each (device, day, start) by the wall clock of the device's location."""
        return self._real_minute(*b) - self._real_minute(*a)

    def _real_minute(self, device: str, day: int, start: int) -> int:
        location = self.locations[int(self.device_location[self.device_index[device]])]
        return real_minute(self.date_of(day), start, location.tz)

    # -- building -----------------------------------------------------------------------------------------------

    def _set_envelope(self) -> None:
        spans = [s for x in self.locations for week in (*x.hours, *x.special.values()) for s in week]
        low = min((a for a, _ in spans), default=0)
        high = max((b for _, b in spans), default=0)
        self.low = low // self.grid * self.grid
        self.slots = max(1, -(-(high - self.low) // self.unit))

    def outward(self, a: int, b: int) -> slice:
        """Slots that minutes [a, b) touch, as far as they lie in the day."""
        first = (a - self.low) // self.unit
        last = -(-(b - self.low) // self.unit)
        return slice(max(0, first), max(0, min(self.slots, last)))

    def _inward(self, a: int, b: int) -> slice:
        first = -(-(a - self.low) // self.unit)
        last = (b - self.low) // self.unit
        return slice(max(0, first), max(0, min(self.slots, last)))

    def _build_opening(self) -> None:
        self.open_run = np.zeros((len(self.locations), self.days, self.slots), dtype=np.int16)
        for i, location in enumerate(self.locations):
            usual = [self._opening_row(windows) for windows in location.hours]
            for day in range(self.days):
                if day in location.closed:
                    continue
                if day in location.special:
                    self.open_run[i, day] = self._opening_row(location.special[day])
                else:
                    self.open_run[i, day] = usual[self.weekday[day]]

    def _opening_row(self, windows: Iterable[tuple[int, int]]) -> Runs:
        """Slots left until closing; windows that touch stay apart, a session must lie inside one."""
        row = np.zeros(self.slots, dtype=np.int16)
        for a, b in windows:
            where = self._inward(a, b)
            if where.stop > where.start:
                left = np.arange(where.stop - where.start, 0, -1, dtype=np.int16)
                row[where] = np.maximum(row[where], left)
        return row

    def _build_devices(self) -> None:
        up = np.ones((len(self.devices), self.days, self.slots), dtype=np.bool_)
        for i, device in enumerate(self.devices):
            for day, a, b in device.down:
                if 0 <= day < self.days:
                    up[i, day, self.outward(a, b)] = False
        self.device_up_run = runs_of(up)

    def _build_staff(self) -> None:
        shape = (len(self.locations), self.days, self.slots)
        self.staff_on: dict[str, Counts] = {n: np.zeros(shape, dtype=np.int16) for n in ("tms", "map", "obs")}
        for person in self.staff:
            self._count_person(person, self._present(person), 1)
        self.staff_on_run = {n: runs_of(self._on_shift(n)) for n in self.staff_on}

    def _present(self, person: StaffFacts) -> Counts:
        """[day, slot]: 1 where the person is on shift and not on a break."""
        present = np.zeros((self.days, self.slots), dtype=np.int16)
        for day, a, b in person.shifts:
            if 0 <= day < self.days:
                present[day, self._inward(a, b)] = 1
        for day, a, b in person.breaks:
            if 0 <= day < self.days:
                present[day, self.outward(a, b)] = 0
        return present

    def _count_person(self, person: StaffFacts, present: Counts, by: int) -> None:
        i = self.location_index[person.location]
        for skill in person.skills & self.staff_on.keys():
            self.staff_on[skill][i] += by * present * (self.observer_capacity if skill == "obs" else 1)

    def _on_shift(self, need: str) -> NDArray[np.bool_]:
        on: NDArray[np.bool_] = self.staff_on[need] > 0
        return on & (self.staff_on["tms"] > 0) if need == "map" else on

    def _room(self, need: str, at: Any = ...) -> NDArray[np.bool_]:
        """Where one more session fits. Mapping operators are TMS operators too: Hall's condition for nested skills."""
        if need == "obs":
            return np.asarray(self.staff_used["obs"][at] < self.staff_on["obs"][at])
        both = self.staff_used["map"][at] + self.staff_used["tms"][at] < self.staff_on["tms"][at]
        if need == "tms":
            return np.asarray(both)
        return np.asarray(both & (self.staff_used["map"][at] < self.staff_on["map"][at]))

    # -- bookings -----------------------------------------------------------------------------------------------

    def book(self, booking: Booking) -> None:
        """Take the device until the end of its turnover and the staff until the session's end."""
        self._change(booking, 1)

    def release(self, booking: Booking) -> None:
        """Undo book()."""
        self._change(booking, -1)

    def change(self, *, added: Iterable[Booking] = (), removed: Iterable[Booking] = ()) -> None:
        """Book and release many at once: the runs of a device or site and day are counted once."""
        rows: set[tuple[int, int]] = set()
        pools: dict[str, set[tuple[int, int]]] = {need: set() for need in self.staff_on}
        for bookings, by in ((removed, -1), (added, 1)):
            for booking in bookings:
                if self._count(booking, by):
                    device = self.device_index[booking.device]
                    rows.add((device, booking.day))
                    for need in self._pools(booking.need):
                        pools[need].add((int(self.device_location[device]), booking.day))
        if rows:
            at = tuple(np.array(sorted(rows)).T)
            self.device_free_run[at] = runs_of(self.bookings_on[at] == 0)
        for need, sites in pools.items():
            if sites:
                at = tuple(np.array(sorted(sites)).T)
                self.staff_free_run[need][at] = runs_of(self._room(need, at))

    def _change(self, booking: Booking, by: int) -> None:
        if not self._count(booking, by):
            return
        device, day = self.device_index[booking.device], booking.day
        self.device_free_run[device, day] = runs_of(self.bookings_on[device, day] == 0)
        for need in self._pools(booking.need):
            at = (self.device_location[device], day)
            self.staff_free_run[need][at] = runs_of(self._room(need, at))

    @staticmethod
    def _pools(need: str | None) -> tuple[str, ...]:
        if need is None:
            return ()
        return ("obs",) if need == "obs" else ("tms", "map")

    def _count(self, booking: Booking, by: int) -> bool:
        if not 0 <= booking.day < self.days:
            return False
        i = self.device_index[booking.device]
        end = booking.start + booking.duration
        self.bookings_on[i, booking.day, self.outward(booking.start, end + self.devices[i].turnover)] += by
        if booking.need is not None:
            where = self.outward(booking.start, end)
            self.staff_used[booking.need][self.device_location[i], booking.day, where] += by
        return True

    # -- copies -------------------------------------------------------------------------------------------------

    def without(self, what: str) -> "Occupancy":
        """A copy for "what if": what = "bookings" (nothing booked) or "staff" (staff without limit)."""
        other = object.__new__(Occupancy)
        other.__dict__.update(self.__dict__)
        everywhere = np.full((self.slots,), self.slots, dtype=np.int16) - np.arange(self.slots, dtype=np.int16)
        if what == "bookings":
            other.device_free_run = np.broadcast_to(everywhere, self.device_free_run.shape)
            other.staff_free_run = self.staff_on_run
        elif what == "staff":
            unlimited: dict[str, Runs] = {
                n: np.broadcast_to(everywhere, r.shape) for n, r in self.staff_free_run.items()
            }
            other.staff_on_run = other.staff_free_run = unlimited
        else:
            raise ValueError(what)
        return other

    def with_device_down(self, device_id: str, down: Iterable[DaySpan]) -> "Occupancy":
        """A copy in which the device is out of service on (day, from, to). KeyError if unknown."""
        other, i, more = self.copy(), self.device_index[device_id], tuple(down)
        up = self.device_up_run[i] > 0
        for day, a, b in more:
            if 0 <= day < self.days:
                up[day, self.outward(a, b)] = False
        other.device_up_run = self.device_up_run.copy()
        other.device_up_run[i] = runs_of(up)
        facts = replace(self.devices[i], down=(*self.devices[i].down, *more))
        other.devices = (*self.devices[:i], facts, *self.devices[i + 1 :])
        return other

    def with_closed(self, location_id: str, days: Iterable[int]) -> "Occupancy":
        """A copy in which the location is closed on these days. KeyError if unknown."""
        other, i, more = self.copy(), self.location_index[location_id], frozenset(days)
        other.open_run = self.open_run.copy()
        for day in more:
            if 0 <= day < self.days:
                other.open_run[i, day] = 0
        facts = replace(self.locations[i], closed=self.locations[i].closed | more)
        other.locations = (*self.locations[:i], facts, *self.locations[i + 1 :])
        return other

    def with_absence(self, people: Collection[str], absent: Iterable[DaySpan]) -> "Occupancy":
        """A copy in which these members of staff (by id) are away on (day, from, to). KeyError if one is unknown."""
        unknown = set(people) - {person.id for person in self.staff}
        if unknown:
            raise KeyError(min(unknown))
        other, more = self.copy(), tuple(absent)
        other.staff_on = {n: a.copy() for n, a in self.staff_on.items()}
        other.staff = tuple(replace(x, breaks=(*x.breaks, *more)) if x.id in people else x for x in self.staff)
        for before, left in zip(self.staff, other.staff, strict=True):
            if before is not left:
                other._count_person(before, self._present(before) - self._present(left), -1)
        other.staff_on_run = {n: runs_of(other._on_shift(n)) for n in other.staff_on}
        other.staff_free_run = {n: runs_of(other._room(n)) for n in other.staff_on}
        return other

    def copy(self) -> "Occupancy":
        """An independent copy: bookings in one do not show in the other."""
        other = object.__new__(Occupancy)
        other.__dict__.update(self.__dict__)
        other.bookings_on = self.bookings_on.copy()
        other.device_free_run = self.device_free_run.copy()
        other.staff_used = {n: a.copy() for n, a in self.staff_used.items()}
        other.staff_free_run = {n: a.copy() for n, a in self.staff_free_run.items()}
        return other

    def extended(self, extra: Extra) -> "Occupancy":
        """A copy with more devices, people and opening hours, and the same bookings. Raises KeyError, ValueError.

        Bookings outside the opening hours of before are not known to it.
        """
        if unknown := extra.hours.keys() - self.location_index.keys():
            raise KeyError(min(unknown))
        if again := {x.id for x in extra.devices} & self.device_index.keys():
            raise ValueError(f"device {min(again)} is there already")
        other = Occupancy(
            self.start,
            self.days,
            locations=[
                _opened(x, extra.hours[x.id], self.start.weekday()) if x.id in extra.hours else x
                for x in self.locations
            ],
            devices=(*self.devices, *extra.devices),
            staff=(*self.staff, *extra.staff),
            grid=self.grid,
            unit=self.unit,
            observer_capacity=self.observer_capacity,
        )
        shift = (self.low - other.low) // self.unit
        if shift >= 0:  # else there were no opening hours, and nothing could be booked
            kept = slice(shift, shift + self.slots)
            other.bookings_on[: len(self.devices), :, kept] = self.bookings_on
            for need, used in self.staff_used.items():
                other.staff_used[need][:, :, kept] = used
        other.device_free_run = runs_of(other.bookings_on == 0)
        other.staff_free_run = {need: runs_of(other._room(need)) for need in other.staff_on}
        return other

    def device(self, device_id: str) -> DeviceFacts:
        """Facts of a device. KeyError if unknown."""
        return self.devices[self.device_index[device_id]]
