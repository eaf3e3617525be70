"""What features above know about a site and the public pages show."""

from collections.abc import Callable
from datetime import date

from clinic.locations.models import Location

NEXT_START: list[Callable[[Location], date | None]] = []  # the first day on which a full course of TMS could begin


def next_start(location: Location) -> date | None:
    """The first day on which a full course could begin here; None where nobody can say."""
    days = (ask(location) for ask in NEXT_START)
    return min((day for day in days if day is not None), default=None)
