"""The one clock. Every other read of the wall clock fails lint."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

_offset = timedelta(0)
_frozen: datetime | None = None


def configure(offset_seconds: float) -> None:
    """Run ahead of or behind the machine's clock (CLINIC_CLOCK_START, never in production)."""
    global _offset
    _offset = timedelta(seconds=offset_seconds)


def now() -> datetime:
    """The present instant, aware, in UTC."""
    return _frozen if _frozen is not None else datetime.now(UTC) + _offset


def on_machine(at: datetime) -> datetime:
    """What the machine's own clock, which other systems go by, shows at a business instant."""
    return at if _frozen is not None else at - _offset


def today(tz: str) -> date:
    """The present date on the wall in the zone `tz`."""
    return now().astimezone(ZoneInfo(tz)).date()


def is_near(day: date) -> bool:
    """A date of our time: with another year it is a slip of the pen."""
    return 2000 <= day.year <= 2200


@cache
def zones() -> frozenset[str]:
    """Names of all time zones. To gather them reads hundreds of files: once a process."""
    return frozenset(available_timezones())


@contextmanager
def frozen(at: datetime) -> Iterator[None]:
    """Hold the clock at an aware instant. For tests and for loading demo data."""
    global _frozen
    if at.tzinfo is None:
        raise ValueError("the clock holds aware instants only")
    before, _frozen = _frozen, at.astimezone(UTC)
    try:
        yield
    finally:
        _frozen = before
