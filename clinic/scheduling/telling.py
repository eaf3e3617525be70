"""What features above write to a patient whose dates were planned anew, so that a preview can show the words."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple


class NewTime(NamedTuple):
    """One appointment with its new time and site, and where it was."""

    starts_at: datetime
    location_id: int
    was_at: datetime
    was_location_id: int


Say = Callable[[str, Sequence[NewTime]], str]  # language, new times: the text message
SAYS: list[Say] = []


def words(language: str, times: Sequence[NewTime]) -> str:
    """The message in the person's language; empty where nobody sends any."""
    return SAYS[0](language, times) if SAYS and times else ""
