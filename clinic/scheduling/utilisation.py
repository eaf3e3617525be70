"""How much of its working time each device is taken: by week, turnover included, outages and closed days taken off."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from sqlalchemy import select

from clinic.db import db
from clinic.locations import queries as locations
from clinic.locations.models import DeviceDowntime, Location
from clinic.scheduling import board
from clinic.scheduling.mirror import minute_of
from clinic.scheduling.planner.calendar import to_utc


@dataclass(frozen=True)
class Week:
    """One device in one week: sessions, minutes taken with turnover, and minutes in which it could work."""

    monday: date
    sessions: int
    busy: int
    minutes: int

    @property
    def percent(self) -> int | None:
        """Of the working time, rounded; None where there is none."""
        return round(100 * self.busy / self.minutes) if self.minutes else None


@dataclass(frozen=True)
class Row:
    """One device, or all of a site."""

    name: str
    weeks: tuple[Week, ...]


@dataclass(frozen=True)
class View:
    """A site's devices by week, and all of them together."""

    weeks: tuple[date, ...]
    rows: tuple[Row, ...]
    total: Row


def of_site(site: Location, monday: date, weeks: int) -> View:
    """Utilisation of a site from a Monday on. As many statements for many weeks as for one."""
    mondays = tuple(monday + timedelta(weeks=n) for n in range(weeks))
    days = [monday + timedelta(days=n) for n in range(7 * weeks)]
    loads = board.loads(site.id, days[0], days[-1])
    devices = [d for d in site.devices if d.retired_at is None or any(key == d.id for _, key in loads)]
    spans = _open_spans(site, days)
    down = _down_minutes([device.id for device in devices], site, days, spans)
    by_week: dict[tuple[int, date], list[int]] = {}
    for device in devices:
        for on in days:
            cell = by_week.setdefault((device.id, on - timedelta(days=on.weekday())), [0, 0, 0])
            load = loads.get((on, device.id), board.Load())
            minutes = sum(b - a for a, b in spans[on]) - down[device.id, on]
            cell[0], cell[1], cell[2] = cell[0] + load.sessions, cell[1] + load.busy, cell[2] + max(0, minutes)
    rows = tuple(
        Row(device.name, tuple(Week(each, *by_week[device.id, each]) for each in mondays)) for device in devices
    )
    total = Row("All devices", tuple(_sum(each, [row.weeks[n] for row in rows]) for n, each in enumerate(mondays)))
    return View(mondays, rows, total)


def _sum(monday: date, weeks: Sequence[Week]) -> Week:
    return Week(
        monday,
        sum(week.sessions for week in weeks),
        sum(week.busy for week in weeks),
        sum(week.minutes for week in weeks),
    )


def _open_spans(site: Location, days: Sequence[date]) -> dict[date, list[tuple[int, int]]]:
    shut = {row.on_date for row in locations.closures(site.id, days[0], days[-1])}
    by_weekday: dict[int, list[tuple[int, int]]] = {}
    for row in site.hours:
        by_weekday.setdefault(row.weekday, []).append((minute_of(row.opens), minute_of(row.closes)))
    return {on: [] if on in shut else by_weekday.get(on.weekday(), []) for on in days}


def _down_minutes(
    device_ids: Sequence[int], site: Location, days: Sequence[date], spans: dict[date, list[tuple[int, int]]]
) -> Counter[tuple[int, date]]:
    """Minutes of the opening hours in which a device is out of use."""
    begins, ends = to_utc(days[0], 0, site.tz), to_utc(days[-1], 1440, site.tz)
    rows = db.session.execute(
        select(DeviceDowntime.device_id, DeviceDowntime.starts_at, DeviceDowntime.ends_at).where(
            DeviceDowntime.device_id.in_(device_ids), DeviceDowntime.starts_at < ends, DeviceDowntime.ends_at > begins
        )
    ).all()
    found: Counter[tuple[int, date]] = Counter()
    for device_id, starts_at, ends_at in rows:
        for on in days:
            for opens, closes in spans[on]:
                a, b = to_utc(on, opens, site.tz), to_utc(on, closes, site.tz)
                found[device_id, on] += max(0, int((min(b, ends_at) - max(a, starts_at)).total_seconds() // 60))
    return found
