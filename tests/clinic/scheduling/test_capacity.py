"""What a process keeps of calendars: those of a network's sites at once, and no more."""

from datetime import date
from typing import Any, cast

from clinic.scheduling.capacity import KEPT_SITES, Snapshot, Warm

START = date(2026, 11, 23)


def test_the_calendar_that_was_asked_for_longest_ago_gives_way() -> None:
    warm, keys = Warm(), [(frozenset({n}), START, 182) for n in range(KEPT_SITES + 1)]
    for key in keys[:-1]:
        warm.keep(key, Snapshot(START, 182, {}, {}, {}, cast(Any, None)))
    first = warm.get(keys[0])
    warm.keep(keys[-1], Snapshot(START, 182, {}, {}, {}, cast(Any, None)))
    assert first is not None
    assert [key for key in keys if warm.get(key) is None] == [keys[1]]
