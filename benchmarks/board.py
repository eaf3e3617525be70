"""How long does the day board of 200 sessions take on the server, against fetching its rows and nothing else?

Starts its own PostgreSQL and asks the application for the page, for what changed, and for nothing new, as a signed-in desk.
"""

import gzip
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from flask.testing import FlaskClient
from flask_migrate import upgrade
from sqlalchemy import create_engine, text

from clinic import clock, jobs
from clinic.app import create_app
from clinic.config import Settings
from clinic.db import db
from clinic.embedded.postgres import PostgresServer
from clinic.locations.models import Location
from clinic.scheduling import board, queries
from tests.builders import (
    course_sessions,
    make_course,
    make_device,
    make_location,
    make_patient,
    make_profile,
    make_shifts,
    make_staff,
)

LANES, A_LANE = 10, 20
ROUNDS = 30
MOST_MS = 300.0
MOST_PAGE, MOST_UPDATE = 60_000, 15_000  # bytes, compressed
NOON = datetime(2026, 11, 23, 20, 0, tzinfo=UTC)


def full_day() -> Location:
    """One site, ten devices, twenty sessions on each, ten people on shift."""
    make_profile()
    site = make_location(name="Fullerton", slug="fullerton")
    for _ in range(LANES):
        device = make_device(site)
        make_shifts(make_staff("operator", skills=("tms", "map")), site)
        for n in range(A_LANE):
            start = NOON.replace(hour=16) + timedelta(minutes=28 * n)
            course = make_course(make_patient(), [start], device=device, planned_sessions=36, state="running")
            course_sessions(course)[0].state = "completed" if start < NOON - timedelta(hours=1) else "booked"
    db.session.commit()
    return site


def sign_in(client: FlaskClient, site: Location) -> None:
    user = make_staff("front_desk", locations=(site,))
    db.session.commit()
    with client.session_transaction() as cookie:
        cookie.update(_user_id=user.fs_uniquifier, _fresh=True, fs_cc="set", fs_paa=clock.now().timestamp())
        cookie["identity.id"] = user.fs_uniquifier


def median_ms(call: Callable[[], object]) -> float:
    took = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        call()
        took.append((time.perf_counter() - started) * 1000)
    return statistics.median(took[2:])


def rows_alone(site_id: int) -> bytes:
    """The baseline: the one statement that reads the day, as JSON."""
    rows = queries.day_list(site_id, NOON.date())
    assert len(rows) == LANES * A_LANE
    db.session.remove()
    return json.dumps([vars(row) for row in rows], default=str).encode()


def fetched(client: FlaskClient, path: str, status: int = 200) -> bytes:
    answer = client.get(path)
    assert answer.status_code == status, answer.status
    return answer.data


def main() -> int:
    """Print each ratio and its parts; 1 where the page is too slow or too large."""
    jobs.ring = lambda *_a, **_k: None  # type: ignore[assignment] - nothing here needs a broker
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
        app = create_app(settings)
        with app.app_context(), clock.frozen(NOON):
            upgrade()
            site = full_day()
            site_id, client = site.id, app.test_client()
            sign_in(client, site)
            version = board.version_of(site_id)
            day = f"/staff/day/fullerton/{NOON.date()}"
            page, update = fetched(client, day), fetched(client, f"{day}/changes?v=0")
            bare = median_ms(partial(rows_alone, site_id))
            whole = median_ms(partial(fetched, client, day))
            part = median_ms(partial(fetched, client, f"{day}/changes?v=0"))
            nothing = median_ms(partial(fetched, client, f"{day}/changes?v={version}", 204))
            db.engine.dispose()
    sizes = len(gzip.compress(page)), len(gzip.compress(update))
    print(f"board page of {LANES * A_LANE} sessions / its rows alone = {whole / bare:.1f}")
    print(f"  page {whole:.0f} ms (at most {MOST_MS:.0f}), rows alone {bare:.1f} ms")
    print(f"  what changed {part:.0f} ms, nothing new {nothing:.1f} ms, which each open board asks every 1.5 s")
    print(
        f"  page {len(page) / 1000:.0f} KB, compressed {sizes[0] / 1000:.1f}; update compressed {sizes[1] / 1000:.1f} KB"
    )
    return int(whole > MOST_MS or sizes[0] > MOST_PAGE or sizes[1] > MOST_UPDATE)


if __name__ == "__main__":
    sys.exit(main())
