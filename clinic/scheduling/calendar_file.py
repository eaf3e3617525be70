"""Appointments as an iCalendar file (RFC 5545). Nothing here says what an appointment is for."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from uuid import NAMESPACE_URL, uuid5
from zoneinfo import ZoneInfo

from icalendar import Calendar, Event, vDuration

PRODUCT = "-//Daybreak//Daybreak//EN"
REFRESH = timedelta(minutes=30)


@dataclass(frozen=True)
class Entry:
    """One appointment in a calendar. `sequence` rises with every change; a cancelled one stays for a while, as cancelled."""

    key: str
    sequence: int
    starts_at: datetime
    ends_at: datetime
    tz: str
    summary: str
    location: str
    is_cancelled: bool = False


def write(name: str, entries: Sequence[Entry], *, changed_at: datetime) -> bytes:
    """The calendar. Times are wall time of each entry's zone, whose clock changes come along.

    `changed_at` stamps every entry, so that the same calendar is the same file until something changes.
    """
    calendar = Calendar()
    calendar.add("prodid", PRODUCT)
    calendar.add("version", "2.0")
    calendar.add("calscale", "GREGORIAN")
    calendar.add("method", "PUBLISH")
    calendar.add("x-wr-calname", name)
    calendar.add("x-published-ttl", vDuration(REFRESH))
    calendar.add("refresh-interval", vDuration(REFRESH), parameters={"VALUE": "DURATION"})
    for entry in entries:
        calendar.add_component(_event(entry, changed_at))
    if entries:
        first, last = (each(e.starts_at for e in entries).date() for each in (min, max))
        calendar.add_missing_timezones(_year(first), _year(last, 2))
    return bytes(calendar.to_ical())


def _year(on: date, more: int = 0) -> date:
    """Whole years, so that the zone's rules do not change with every entry."""
    return date(on.year + more, 1, 1)


def _event(entry: Entry, changed_at: datetime) -> Event:
    zone, event = ZoneInfo(entry.tz), Event()
    event.add("uid", uid_of(entry.key))
    event.add("sequence", entry.sequence)
    event.add("dtstamp", changed_at.astimezone(UTC))
    event.add("dtstart", entry.starts_at.astimezone(zone))
    event.add("dtend", entry.ends_at.astimezone(zone))
    event.add("summary", entry.summary)
    if entry.location:
        event.add("location", entry.location)
    event.add("status", "CANCELLED" if entry.is_cancelled else "CONFIRMED")
    event.add("class", "PRIVATE")
    event.add("transp", "TRANSPARENT" if entry.is_cancelled else "OPAQUE")
    return event


def uid_of(key: str) -> str:
    """The same in every calendar and for ever, wherever the clinic's pages are served from."""
    return f"{uuid5(NAMESPACE_URL, f'daybreak:{key}')}@daybreak"
