"""Reads of the clinic and its sites. Wall time is turned into UTC day by day, never by adding hours."""

from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import selectinload

from clinic import clock
from clinic.db import db
from clinic.errors import NotFound
from clinic.locations.models import ClinicProfile, Closure, Location, Room

LOOK_AHEAD = 21  # days; longer than any run of closed ones


class Opening(NamedTuple):
    """A span in which a site is open, half-open, in UTC."""

    opens_at: datetime
    closes_at: datetime


def profile() -> ClinicProfile | None:
    """The clinic as a whole; None before it was set up."""
    return db.session.get(ClinicProfile, 1)


def get(location_id: int) -> Location:
    """The site. Raises NotFound."""
    found = db.session.get(Location, location_id)
    if found is None:
        raise NotFound("no such location")
    return found


def get_by_slug(slug: str) -> Location:
    """The site with this word in its address. Raises NotFound."""
    found = db.session.scalar(select(Location).where(Location.slug == slug))
    if found is None:
        raise NotFound("no such location")
    return found


def lock(location_id: int) -> Location:
    """The site's row as it is now, locked until the transaction ends. Raises NotFound."""
    statement = select(Location).where(Location.id == location_id).with_for_update()
    found = db.session.scalar(statement, execution_options={"populate_existing": True})
    if found is None:
        raise NotFound("no such location")
    return found


def active() -> Sequence[Location]:
    """Sites that are in use, by name, with their hours and devices."""
    return db.session.scalars(
        select(Location)
        .where(Location.retired_at.is_(None))
        .options(selectinload(Location.hours), selectinload(Location.devices))
        .order_by(Location.name)
    ).all()


def names(ids: Iterable[int | None] | None = None) -> dict[int, str]:
    """Names by id; of every site without `ids`."""
    statement = select(Location.id, Location.name).order_by(Location.name)
    if ids is not None:
        statement = statement.where(Location.id.in_({key for key in ids if key is not None}))
    return {row.id: row.name for row in db.session.execute(statement)}


def own_rooms(location_ids: Collection[int]) -> list[tuple[int, str]]:
    """Rooms that one appointment has to itself: id, and site and name in words."""
    rows = db.session.execute(
        select(Room.id, Room.name, Location.name.label("site"))
        .join(Location, Location.id == Room.location_id)
        .where(Room.location_id.in_(location_ids), Room.retired_at.is_(None), Room.is_shared.is_(False))
        .order_by(Location.name, Room.name)
    )
    return [(row.id, f"{row.site}, {row.name}") for row in rows]


def zones() -> dict[int, str]:
    """Time zone of every site."""
    return {row.id: row.tz for row in db.session.execute(select(Location.id, Location.tz))}


def clinic_tz() -> str:
    """Zone in which pages that belong to no site show times: that of the first site."""
    statement = select(Location.tz).where(Location.retired_at.is_(None)).order_by(Location.id).limit(1)
    return db.session.scalar(statement) or "UTC"


def closures(location_id: int, from_day: date, until: date) -> Sequence[Closure]:
    """Dates on which a site is closed, both ends included, soonest first."""
    return db.session.scalars(
        select(Closure)
        .where(Closure.location_id == location_id, Closure.on_date.between(from_day, until))
        .order_by(Closure.on_date)
    ).all()


def get_closure(closure_id: int) -> Closure:
    """The closure. Raises NotFound."""
    found = db.session.get(Closure, closure_id)
    if found is None:
        raise NotFound("no such closure")
    return found


def openings(location_id: int | None, from_day: date, days: int) -> list[Opening]:
    """Spans in which the site is open on `days` local dates from `from_day`; without a site, when any site is open."""
    until = from_day + timedelta(days=days - 1)
    sites = [get(location_id)] if location_id is not None else active()
    rows = db.session.execute(
        select(Closure.location_id, Closure.on_date).where(
            Closure.location_id.in_([site.id for site in sites]), Closure.on_date.between(from_day, until)
        )
    )
    shut = {(row.location_id, row.on_date) for row in rows}
    spans = [
        Opening(_instant(day, hours.opens, site.tz), _instant(day, hours.closes, site.tz))
        for site in sites
        for day in (from_day + timedelta(days=offset) for offset in range(days))
        if (site.id, day) not in shut
        for hours in site.hours
        if hours.weekday == day.weekday()
    ]
    return _merged(spans)


def closing_on_open_day(location_id: int | None, tz: str, number: int) -> datetime:
    """When the site closes on its `number`-th open day from now on; that many days on where no hours are known."""
    now, zone = clock.now(), ZoneInfo(tz)
    ends: dict[date, datetime] = {}
    for opens, closes in openings(location_id, clock.today(tz), LOOK_AHEAD):
        if closes > now:
            ends[opens.astimezone(zone).date()] = closes
    days = sorted(ends)
    return ends[days[min(number, len(days)) - 1]] if days else now + timedelta(days=number)


def _instant(day: date, wall: time, tz: str) -> datetime:
    return datetime.combine(day, wall, tzinfo=ZoneInfo(tz)).astimezone(UTC)


def _merged(spans: Iterable[Opening]) -> list[Opening]:
    merged: list[Opening] = []
    for span in sorted(spans):
        if merged and span.opens_at <= merged[-1].closes_at:
            merged[-1] = Opening(merged[-1].opens_at, max(merged[-1].closes_at, span.closes_at))
        else:
            merged.append(span)
    return merged
