"""What features above know about a site and the public pages show."""

from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

from clinic.db import transaction
from clinic.locations.models import Location

# The first day on which a full course could begin, by treatment (`presenter.treatments`); what nobody can say is left out.
NEXT_STARTS: list[Callable[[Location], Mapping[str, date]]] = []


def next_starts(location: Location) -> dict[str, date]:
    """The first day on which a full course of each treatment could begin here."""
    found: dict[str, date] = {}
    for ask in NEXT_STARTS:
        for treatment, on in ask(location).items():
            found[treatment] = min(on, found.get(treatment, on))
    return found


# What a closure that was just added hits, by site and date: a sentence and the page where it is put right, or None.
CLOSURE_EFFECTS: list[Callable[[int, date], tuple[str, str] | None]] = []

# Who makes a change of a site's capacity (a step within a transaction) with what is booked in view: answers the page that
# comes next where it hits somebody, or None. The first one does.
CAPACITY_GUARDS: list[Callable[[int, Callable[[], None]], Any | None]] = []


def change_capacity(location_id: int, change: Callable[[], None]) -> Any | None:
    """Make the change; answers the page that comes next where it hits somebody."""
    if CAPACITY_GUARDS:
        return CAPACITY_GUARDS[0](location_id, change)
    with transaction():
        change()
    return None
