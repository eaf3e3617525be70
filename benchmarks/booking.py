"""What questions about booking share: people who may be booked, and the bare transaction that a booking is held against."""

import sys
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from sqlalchemy import func, select, text

from benchmarks.worlds import Took, timed
from clinic.db import db
from clinic.scheduling import queries, writing
from clinic.scheduling.models import TreatmentSession
from clinic.scheduling.wishes import CourseWish
from tests.builders import make_decision, make_patient

PROTOCOL = "itbs_left"
SESSIONS = 36
FAR = 364  # days: past every booking, on the same weekday
BARE_COURSE = """INSERT INTO courses (patient_id, decision_id, protocol, protocol_version, location_id, device_id,
    anchor_minute, planned_sessions, cost, state, created_at)
    SELECT patient_id, decision_id, protocol, protocol_version, location_id, device_id, anchor_minute,
    planned_sessions, cost, 'booked', created_at FROM courses WHERE id = :id RETURNING id"""


def people(count: int) -> list[int]:
    """So many new patients whose treatment a prescriber approved."""
    ids = []
    for _ in range(count):
        patient = make_patient()
        make_decision(patient)
        ids.append(patient.id)
    db.session.commit()
    return ids


def busiest_sites(count: int) -> list[int]:
    """Sites that give the protocol, those with the most appointments first."""
    offering = queries.sites_offering(PROTOCOL)
    statement = (
        select(TreatmentSession.location_id)
        .where(TreatmentSession.location_id.in_(offering))
        .group_by(TreatmentSession.location_id)
        .order_by(func.count().desc())
        .limit(count)
    )
    found = list(db.session.scalars(statement))
    db.session.remove()
    return found


def wish_at(site: int, **more: Any) -> CourseWish:
    """A whole course there."""
    return CourseWish(PROTOCOL, location_ids=(site,), **more)


@dataclass(frozen=True)
class Bare:
    """One course row and its sessions, to be written a year past every booking by nothing but SQL."""

    course_id: int
    columns: dict[str, Any]

    def write(self, years: int = 1) -> int:
        """The transaction; answers the id of the course."""
        shift = timedelta(days=FAR * years)
        later = ("starts", "ends", "device_untils", "spaced_untils", "dates")
        values = {
            name: [value + shift for value in column] if name in later else column
            for name, column in self.columns.items()
        }
        with db.engine.begin() as connection:
            made = int(connection.scalar(text(BARE_COURSE), {"id": self.course_id}))
            connection.execute(writing.INSERT_SESSIONS, {**values, "course_id": made})
        return made

    def timed(self) -> Took:
        """Milliseconds of it; what it wrote is taken away again."""
        made: list[int] = []
        took = timed(lambda: made.append(self.write()))
        with db.engine.begin() as connection:
            connection.execute(text("DELETE FROM treatment_sessions WHERE course_id = :id"), {"id": made[0]})
            connection.execute(text("DELETE FROM courses WHERE id = :id"), {"id": made[0]})
        return took


def bare_of(course_id: int) -> Bare:
    """The same rows as those of a course that is booked."""
    rows = queries.sessions(course_id)
    columns = {
        "location_ids": [r.location_id for r in rows],
        "device_ids": [r.device_id for r in rows],
        "room_ids": [r.room_id for r in rows],
        "numbers": [r.number for r in rows],
        "kinds": [r.kind for r in rows],
        "needs": [r.need for r in rows],
        "starts": [r.starts_at for r in rows],
        "ends": [r.ends_at for r in rows],
        "device_untils": [r.device_until for r in rows],
        "spaced_untils": [r.spaced_until for r in rows],
        "dates": [r.local_on for r in rows],
        "authorisation_ids": [r.authorisation_id for r in rows],
        "self_pay_ids": [r.self_pay_id for r in rows],
        "thresholds": [r.with_threshold for r in rows],
        "patient_id": rows[0].patient_id,
    }
    db.session.remove()
    return Bare(course_id, columns)
