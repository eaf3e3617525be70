"""Days, times and counts as explanations write them."""

from collections.abc import Sequence

from clinic.scheduling.planner.occupancy import Occupancy

WEEKDAYS = ("Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays", "Sundays")


def clock(minutes: int) -> str:
    """8:20 for 500."""
    return f"{minutes // 60}:{minutes % 60:02d}"


def day_name(occupancy: Occupancy, day: int) -> str:
    """Mon Jan 5."""
    on = occupancy.date_of(day)
    return f"{on:%a} {on:%b} {on.day}"


def times(count: int, word: str) -> str:
    """1 day, 2 days."""
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def list_days(occupancy: Occupancy, days: Sequence[int], most: int = 6) -> str:
    """Mon Jan 5, Tue Jan 6 and 3 more."""
    text = ", ".join(day_name(occupancy, day) for day in days[:most])
    return text if len(days) <= most else f"{text} and {len(days) - most} more"
