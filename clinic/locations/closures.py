"""Dates on which a clinic in the United States is usually closed. A start for each site's own list, which it edits."""

from datetime import date, timedelta

import holidays

THANKSGIVING = "Thanksgiving Day"


def usual_closures(year: int) -> list[tuple[date, str]]:
    """Federal holidays with the weekdays on which they are observed, and the day after Thanksgiving; in order.

    The library knows far more days (state, half-day and unofficial ones): those are no reason to close.
    """
    federal = holidays.country_holidays("US", years=year, observed=True, language="en_US")
    days = {on: name for on, name in federal.items() if on.year == year}
    after = next(on for on, name in days.items() if name == THANKSGIVING) + timedelta(days=1)
    days[after] = "Day after Thanksgiving"
    return sorted(days.items())
