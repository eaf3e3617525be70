"""What features above know about a site and the public pages show."""

from collections.abc import Callable, Mapping
from datetime import date

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
