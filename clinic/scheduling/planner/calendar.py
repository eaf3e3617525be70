"""Wall time of a location and instants. Wall time rules; UTC is derived per day, never by adding 24 hours."""

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

MINUTES_PER_DAY = 1440


def wall(on: date, minutes: int, tz: str) -> datetime:
    """Aware local time `minutes` after midnight by the clock on the wall; 1440 is the next midnight.

    A time that the spring change skips moves on by the hour lost; of a time that comes twice the first is meant.
    Raises ValueError outside [0, 1440].
    """
    if not 0 <= minutes <= MINUTES_PER_DAY:
        raise ValueError(f"{minutes} is no minute of a day")
    if minutes == MINUTES_PER_DAY:
        on, minutes = on + timedelta(days=1), 0
    naive = datetime.combine(on, time(minutes // 60, minutes % 60))
    zone = ZoneInfo(tz)
    return naive.replace(tzinfo=zone).astimezone(UTC).astimezone(zone)


def to_utc(on: date, minutes: int, tz: str) -> datetime:
    """The instant of a wall time, in UTC. As wall()."""
    return wall(on, minutes, tz).astimezone(UTC)


def steady_from(on: date, first: int, last: int, tz: str) -> datetime | None:
    """The instant of minute `first`, from which one may count on to `last`; None where a clock changes between them."""
    begins, ends = to_utc(on, first, tz), to_utc(on, last, tz)
    return begins if ends - begins == timedelta(minutes=last - first) else None


def from_utc(instant: datetime, tz: str) -> tuple[date, int]:
    """Local date and minute of the day. Raises ValueError for a naive instant."""
    if instant.tzinfo is None:
        raise ValueError("instants are aware")
    local = instant.astimezone(ZoneInfo(tz))
    return local.date(), local.hour * 60 + local.minute


def exists(on: date, minutes: int, tz: str) -> bool:
    """False for a wall time that a clock change skips."""
    return from_utc(to_utc(on, minutes, tz), tz) == (
        (on, minutes) if minutes < MINUTES_PER_DAY else (on + timedelta(days=1), 0)
    )


def happens_twice(on: date, minutes: int, tz: str) -> bool:
    """True for a wall time that a clock change repeats."""
    first = wall(on, minutes, tz)
    return first.replace(fold=0).utcoffset() != first.replace(fold=1).utcoffset() and exists(on, minutes, tz)


def hours_between(a: datetime, b: datetime) -> float:
    """Hours that pass from a to b. Both aware."""
    return (b.astimezone(UTC) - a.astimezone(UTC)).total_seconds() / 3600


@lru_cache(maxsize=65536)
def real_minute(on: date, minutes: int, tz: str | None) -> int:
    """Minutes that have passed at a wall time since one fixed instant; without a zone every day has 1440."""
    if tz is None:
        return on.toordinal() * MINUTES_PER_DAY + minutes
    return int(to_utc(on, minutes, tz).timestamp()) // 60


@lru_cache(maxsize=4096)
def minutes_lost_before(on: date, tz: str) -> int:
    """Minutes that the clocks skip between noon of the day before and noon of `on`: 60 in spring, -60 in autumn."""
    noon = MINUTES_PER_DAY // 2
    passed = to_utc(on, noon, tz) - to_utc(on - timedelta(days=1), noon, tz)
    return MINUTES_PER_DAY - int(passed.total_seconds() // 60)
