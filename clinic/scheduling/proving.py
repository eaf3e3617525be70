"""Proves over the whole calendar that no physical rule and no authorisation is broken: nightly, and when asked.

It trusts neither operations nor constraints: overlaps are counted from the rows by one pass in order of time, pools
minute by minute against the rota. Pools are looked at from today on: what was given is history, and the rota of the past
may have been tidied since. What an outage or a closure hits and nobody has planned anew yet is pending, no violation.
"""

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import func, select, text

from clinic import clock
from clinic.db import db, transaction
from clinic.locations import queries as locations
from clinic.locations.models import Location
from clinic.patients.sites import everyone
from clinic.protocols.shapes import bookable
from clinic.scheduling import capacity, fitting, ledger_ddl
from clinic.scheduling.models import Outage, OutageState, ScheduleProof, TreatmentSession

log = logging.getLogger(__name__)

WINDOW = 84  # days of one site in memory at a time
MOST_KEPT = 100
FRESH, LATE = timedelta(hours=20), timedelta(hours=28)
NIGHT = range(1, 5)  # hours of the day in which nobody waits
# What nobody shares: the thing, and until when an appointment has it.
OVERLAPS = (
    ("device", "device_id", "device_until"),
    ("patient", "patient_id", "ends_at"),
    ("hours_between", "course_id", "spaced_until"),
    ("room", "room_id", "device_until"),
    ("staff_member", "staff_id", "ends_at"),
)
# A hold that ran out holds nothing, whether or not the sweep has come by.
LIVE = f"""
    SELECT s.* FROM treatment_sessions s LEFT JOIN holds h ON h.id = s.hold_id
    WHERE s.{ledger_ddl.HOLDS} AND (h.id IS NULL OR h.expires_at > :now)
"""  # noqa: S608 - built from our own constants
OVERLAP = """
    SELECT id, key FROM (
        SELECT id, {key} AS key, starts_at, max({until}) OVER (
            PARTITION BY {key} ORDER BY starts_at, id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ) AS busy_until
        FROM ({live}) live WHERE {key} IS NOT NULL
    ) x WHERE starts_at < busy_until ORDER BY id
"""
LEDGER = f"""
    SELECT a.id, a.sessions_taken, a.sessions_approved, count(n.id) AS held,
        count(n.id) FILTER (WHERE {ledger_ddl.OUTSIDE}) AS outside
    FROM authorisations a
    LEFT JOIN treatment_sessions n ON n.authorisation_id = a.id AND n.{ledger_ddl.HOLDS}
    GROUP BY a.id
    HAVING count(n.id) <> a.sessions_taken OR count(n.id) > a.sessions_approved
        OR count(n.id) FILTER (WHERE {ledger_ddl.OUTSIDE}) > 0
    ORDER BY a.id
"""  # noqa: S608
SHAPES: dict[str, str] = {
    "device_at_another_site": """
        SELECT s.id FROM treatment_sessions s JOIN devices d ON d.id = s.device_id
        WHERE d.location_id <> s.location_id AND s.{holds}""",
    "more_than_planned": """
        SELECT min(s.id) AS id FROM treatment_sessions s JOIN courses c ON c.id = s.course_id WHERE s.{holds}
        GROUP BY c.id, c.planned_sessions HAVING count(*) > c.planned_sessions""",
    "held_without_a_hold": """
        SELECT s.id FROM treatment_sessions s JOIN holds h ON h.id = s.hold_id
        WHERE s.state = 'held' AND h.ended_at IS NOT NULL""",
    "place_of_an_ended_course": """
        SELECT s.id FROM treatment_sessions s JOIN courses c ON c.id = s.course_id
        WHERE c.state IN ('cancelled', 'discontinued', 'paused') AND s.state IN ('held', 'booked', 'confirmed')""",
}


@dataclass(frozen=True)
class Found:
    """One rule that does not hold. `pending`: a re-plan of an outage or closure waits for it."""

    rule: str
    text: str
    session_ids: tuple[int, ...] = ()
    pending: bool = False

    def as_json(self) -> dict[str, Any]:
        """To be stored and shown; ids only."""
        return {"rule": self.rule, "text": self.text, "sessions": list(self.session_ids), "pending": self.pending}


@everyone()
def prove() -> Iterator[Found]:
    """Everything that is wrong, rule by rule; nothing where nothing is."""
    yield from _overlaps()
    yield from _shapes()
    yield from _ledger()
    yield from _capabilities()
    for location_id in db.session.scalars(select(Location.id).order_by(Location.id)).all():
        yield from _pools(location_id)


def record_proof() -> ScheduleProof:
    """Look through the calendar and keep what was found; a violation is logged as an error."""
    began = time.monotonic()
    with transaction():
        found = list(prove())
        wrong = [one for one in found if not one.pending]
        count = db.session.scalar(select(func.count()).select_from(TreatmentSession)) or 0
        row = ScheduleProof(
            made_at=clock.now(),
            appointments=count,
            violations=len(wrong),
            pending=len(found) - len(wrong),
            seconds=round(time.monotonic() - began),
            found=[one.as_json() for one in (wrong + [x for x in found if x.pending])[:MOST_KEPT]],
        )
        db.session.add(row)
        db.session.flush()
    for one in wrong[:MOST_KEPT]:
        log.error("calendar: %s, sessions %s", one.rule, list(one.session_ids)[:10])
    return row


def prove_if_due() -> ScheduleProof | None:
    """Once a day, at night at the first site; None where the last look is fresh."""
    with transaction():
        last = last_proof()
        at = last.made_at if last is not None else None
        hour = clock.now().astimezone(ZoneInfo(locations.clinic_tz())).hour
    age = clock.now() - at if at is not None else None
    if age is not None and (age < FRESH or (age < LATE and hour not in NIGHT)):
        return None
    return record_proof()


def last_proof() -> ScheduleProof | None:
    """What the last look found."""
    return db.session.scalar(select(ScheduleProof).order_by(ScheduleProof.id.desc()).limit(1))


# -- what the rows alone say ----------------------------------------------------------------------------------------


def _overlaps() -> Iterator[Found]:
    for rule, key, until in OVERLAPS:
        sql = OVERLAP.format(key=key, until=until, live=LIVE)
        for row in db.session.execute(text(sql), {"now": clock.now()}):
            yield Found(rule, f"{rule.replace('_', ' ')} {row.key} is taken twice", (row.id,))


def _shapes() -> Iterator[Found]:
    for rule, sql in SHAPES.items():
        for row in db.session.execute(text(sql.format(holds=ledger_ddl.HOLDS))):
            yield Found(rule, rule.replace("_", " "), (row.id,))


def _ledger() -> Iterator[Found]:
    for row in db.session.execute(text(LEDGER)):
        words = f"authorisation {row.id}: {row.held} sessions, {row.sessions_taken} counted, "
        yield Found("authorisation", f"{words}{row.sessions_approved} approved, {row.outside} outside it")


def _capabilities() -> Iterator[Found]:
    rows = db.session.execute(
        text(
            f"""
            SELECT c.protocol, s.device_id, d.protocols, array_agg(s.id) AS ids
            FROM treatment_sessions s JOIN courses c ON c.id = s.course_id JOIN devices d ON d.id = s.device_id
            WHERE s.{ledger_ddl.HOLDS} AND s.starts_at > :now
            GROUP BY c.protocol, s.device_id, d.protocols
            """  # noqa: S608
        ),
        {"now": clock.now()},
    )
    for row in rows:
        known = bookable().get(row.protocol)
        if known is not None and known.gives not in row.protocols:
            text_ = f"device {row.device_id} does not give {row.protocol}"
            yield Found("device_has_capability", text_, tuple(sorted(row.ids)))


# -- against the rota -----------------------------------------------------------------------------------------------


def _pools(location_id: int) -> Iterator[Found]:
    """Pools, opening hours and downtimes of a site from today to its last appointment."""
    last = fitting.last_day(location_id)
    if last is None or last < clock.now().date():
        return
    state = capacity.snapshot({location_id}, until=last)
    waiting = _open_outages(location_id)
    for one in fitting.crowded(state, location_id):
        pending = any(_is_waiting(row, waiting) for row in one.rows)
        yield Found(one.rule, one.text, tuple(row.id for row in one.rows), pending)
    for one in fitting.impossible(state, location_id):
        yield Found(one.rule, one.text, tuple(row.id for row in one.rows), pending=True)


def _open_outages(location_id: int) -> list[tuple[datetime, datetime]]:
    rows = db.session.execute(
        select(Outage.starts_at, Outage.ends_at).where(
            Outage.state == OutageState.OPEN,
            (Outage.location_id == location_id) | Outage.location_id.is_(None),
        )
    )
    return [(row.starts_at, row.ends_at) for row in rows]


def _is_waiting(row: Any, waiting: Sequence[tuple[datetime, datetime]]) -> bool:
    return any(a < row.device_until and row.starts_at < b for a, b in waiting)
