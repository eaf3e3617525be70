"""What each version of a site's schedule took and freed, so that a process brings its arrays up to date by reading that alone.

Written with the version by whoever raises it and knows. A version without a row, because hours or shifts changed, because
something was loaded in bulk or the table was emptied, is one of which nothing is known: the whole site is read again.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import JSON, Integer, delete, text
from sqlalchemy.orm import Mapped, mapped_column

from clinic import clock
from clinic.db import Base, Instant, UTCDateTime, array, db, transaction
from clinic.scheduling.mirror import Taken

MOST_VERSIONS = 40  # from so many on reading the whole site is as fast
KEPT = timedelta(minutes=10)


class ScheduleDelta(Base):
    """One version of one site's schedule. Nothing hangs on it: it survives no crash, and is kept for minutes."""

    __tablename__ = "schedule_deltas"
    __table_args__ = {"prefixes": ["UNLOGGED"]}

    location_id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    version: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    taken: Mapped[list[Any]] = mapped_column(JSON)
    freed: Mapped[list[Any]] = mapped_column(JSON)
    fresh_until: Mapped[datetime | None] = mapped_column(UTCDateTime)
    made_at: Mapped[Instant]


# Raises the versions of locked sites and says what changed; a part of a larger statement, or one by itself.
RAISE = """schedule AS (
        UPDATE locations SET schedule_version = schedule_version + 1 WHERE id = ANY(CAST(:locked AS integer[]))
        RETURNING id, schedule_version
    ), delta AS (
        INSERT INTO schedule_deltas (location_id, version, taken, freed, fresh_until, made_at)
        SELECT id, schedule_version, CAST(:taken AS json), CAST(:freed AS json), CAST(:fresh_until AS timestamptz), :now
        FROM schedule WHERE CAST(:taken AS json) IS NOT NULL
        ON CONFLICT (location_id, version) DO UPDATE SET taken = EXCLUDED.taken, freed = EXCLUDED.freed,
            fresh_until = EXCLUDED.fresh_until, made_at = EXCLUDED.made_at
    )"""
RAISE_ALONE = text(f"WITH {RAISE} SELECT 1")
SINCE = text(
    """
    SELECT d.location_id, d.taken, d.freed, d.fresh_until
    FROM unnest(CAST(:ids AS integer[]), CAST(:old AS integer[]), CAST(:new AS integer[])) AS w (id, old, new)
    JOIN schedule_deltas d ON d.location_id = w.id AND d.version > w.old AND d.version <= w.new
    ORDER BY d.location_id, d.version
    """
)


def values(
    locked: Iterable[int],
    taken: Iterable[Taken],
    freed: Iterable[Taken],
    *,
    fresh_until: datetime | None,
    is_whole: bool,
) -> dict[str, Any]:
    """Parameters of `RAISE`. is_whole: this is all that the version changed."""
    return {
        "locked": array(locked),
        "taken": _as_json(taken) if is_whole else None,
        "freed": _as_json(freed) if is_whole else None,
        "fresh_until": fresh_until,
        "now": clock.now(),
    }


def _as_json(places: Iterable[Taken]) -> str:
    rows = [
        (*one[:5], int(one.starts_at.timestamp()), int(one.ends_at.timestamp()), int(one.device_until.timestamp()))
        for one in places
    ]
    return json.dumps(rows, separators=(",", ":"))


class Delta(NamedTuple):
    """What one version took and freed; `fresh_until`: when the first hold in it runs out."""

    taken: list[Taken]
    freed: list[Taken]
    fresh_until: datetime | None


def since(behind: Mapping[int, tuple[int, int]]) -> dict[int, list[Delta]] | None:
    """The versions after the first and up to the second of each site, in order; None where not all of them are known."""
    if any(not 0 < new - old <= MOST_VERSIONS for old, new in behind.values()):
        return None
    spans = {"ids": behind, "old": [old for old, _ in behind.values()], "new": [new for _, new in behind.values()]}
    found: dict[int, list[Delta]] = {x: [] for x in behind}
    for row in db.session.execute(SINCE, {name: array(column) for name, column in spans.items()}):
        found[row.location_id].append(Delta([*_read(row.taken)], [*_read(row.freed)], row.fresh_until))
    return found if all(len(found[x]) == new - old for x, (old, new) in behind.items()) else None


def _read(places: Iterable[list[Any]]) -> Iterator[Taken]:
    for one in places:
        yield Taken(*one[:5], *(datetime.fromtimestamp(at, UTC) for at in one[5:]))


def forget_old() -> None:
    """Drop what every process has heard of by now, or reads anew."""
    with transaction():
        db.session.execute(delete(ScheduleDelta).where(ScheduleDelta.made_at <= clock.now() - KEPT))
