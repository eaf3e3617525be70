"""How long does booking a whole course take, against the bare transaction that writes the same 36 rows?

Starts its own PostgreSQL (durable), loads a site, books and cancels. Prints the ratio of the medians and their parts.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from flask_migrate import upgrade
from sqlalchemy import create_engine, text

from clinic import jobs
from clinic.app import create_app
from clinic.config import Settings
from clinic.db import db
from clinic.embedded.postgres import PostgresServer
from clinic.scheduling import booking, operations, queries
from clinic.scheduling.wishes import CourseWish
from tests.builders import TESTER, make_decision, make_device, make_location, make_patient, make_shifts, make_staff

WISH = CourseWish("itbs_left")
FULL = 8  # courses that stay booked; the others are cancelled after their turn
BARE_COURSE = """INSERT INTO courses (patient_id, decision_id, protocol, protocol_version, location_id, device_id,
    anchor_minute, planned_sessions, cost, state, created_at)
    SELECT patient_id, decision_id, protocol, protocol_version, location_id, device_id, anchor_minute,
    planned_sessions, cost, 'booked', created_at FROM courses WHERE id = :id RETURNING id"""


def clinic() -> list[int]:
    """One site with four devices, and patients who may be booked."""
    site = make_location(name="Fullerton")
    for _ in range(4):
        make_device(site)
        make_shifts(make_staff("operator", skills=("tms", "map")), site)
    ids = []
    for _ in range(40):
        patient = make_patient()
        make_decision(patient)
        ids.append(patient.id)
    db.session.commit()
    return ids


def timed(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return (time.perf_counter() - started) * 1000


def bare(course_id: int) -> float:
    """One course row and its 36 sessions, copied four weeks past every booking, committed, then taken away."""
    rows = queries.sessions(course_id)
    shift = timedelta(days=364)
    values = {
        "location_ids": [r.location_id for r in rows],
        "device_ids": [r.device_id for r in rows],
        "room_ids": [r.room_id for r in rows],
        "numbers": [r.number for r in rows],
        "kinds": [r.kind for r in rows],
        "needs": [r.need for r in rows],
        "starts": [r.starts_at + shift for r in rows],
        "ends": [r.ends_at + shift for r in rows],
        "device_untils": [r.device_until + shift for r in rows],
        "spaced_untils": [r.spaced_until + shift for r in rows],
        "dates": [r.local_on + shift for r in rows],
        "authorisation_ids": [r.authorisation_id for r in rows],
        "self_pay_ids": [r.self_pay_id for r in rows],
        "patient_id": rows[0].patient_id,
    }
    db.session.remove()
    made: list[int] = []

    def write() -> None:
        with db.engine.begin() as connection:
            made.append(connection.scalar(text(BARE_COURSE), {"id": course_id}))
            connection.execute(booking.INSERT_SESSIONS, {**values, "course_id": made[0]})

    took = timed(write)
    with db.engine.begin() as connection:
        connection.execute(text("DELETE FROM treatment_sessions WHERE course_id = :id"), {"id": made[0]})
        connection.execute(text("DELETE FROM courses WHERE id = :id"), {"id": made[0]})
    return took


ROUNDS = 40


def main() -> int:
    """Print the ratio and its parts."""
    jobs.ring = lambda *_a, **_k: None  # type: ignore[assignment] - the doorbell is after the commit and needs a broker
    with tempfile.TemporaryDirectory() as folder, PostgresServer(Path(folder) / "pg", durable=True) as server:
        engine = create_engine(server.url("postgres"), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text("CREATE DATABASE bench"))
        engine.dispose()
        settings = Settings(
            database_url=server.url("bench"),
            instance=Path(folder),
            secret_keys=("benchmark-signing-key-0123456789",),
            data_keys=("benchmark-data-key-0123456789",),
        )
        app = create_app(replace(settings, redis_url=""))
        with app.app_context():
            upgrade()
            ids = clinic()
            whole, plain, proposing = [], [], []
            for n in range(ROUNDS):
                patient_id = ids[n % len(ids)]
                proposing.append(timed(partial(operations.propose_courses, patient_id, WISH, by=TESTER)))
                offer = operations.propose_courses(patient_id, WISH, by=TESTER)
                db.session.remove()
                book = partial(operations.book_course, patient_id, proposal_id=offer.proposal_ids[0], by=TESTER)
                whole.append(timed(book))
                course_id = queries.courses_of(patient_id)[0].id
                plain.append(bare(course_id))
                if n >= FULL:
                    operations.cancel_course(course_id, reason="benchmark", by=TESTER)
                    db.session.remove()
            db.engine.dispose()
    whole, plain = sorted(whole[2:]), sorted(plain[2:])
    ratio = statistics.median(whole) / statistics.median(plain)
    print(f"whole-course commit / bare transaction of the same 36 rows = {ratio:.2f}")
    print(f"  operation median {statistics.median(whole):.1f} ms, best {whole[0]:.1f} ms")
    print(f"  bare      median {statistics.median(plain):.1f} ms, best {plain[0]:.1f} ms")
    print(f"  three proposals, before the commit: median {statistics.median(proposing):.0f} ms")
    return 0


if __name__ == "__main__":
    sys.exit(main())
