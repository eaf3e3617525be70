"""Clinics of about 1,000, 20,000, 200,000 and 2,000,000 appointments that benchmarks measure in.

Each is what `clinic demo load` makes, built once and kept as a database of one PostgreSQL server (durable, with the settings
of `make run`) in `.cache/bench`, or in the folder that CLINIC_BENCH_CACHE names. A question gets copies to work in, at the
hour at which they were built.

    python benchmarks/worlds.py [--upto 2000000]      builds what is missing: the largest takes minutes and 3 GB, its copy as much
"""

import argparse
import json
import logging
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from flask import Flask  # noqa: E402
from flask_migrate import upgrade  # noqa: E402
from sqlalchemy import create_engine, text  # noqa: E402

from benchmarks.stack import descendants  # noqa: E402
from clinic import clock, jobs  # noqa: E402
from clinic.app import create_app  # noqa: E402
from clinic.config import Settings  # noqa: E402
from clinic.db import db  # noqa: E402
from clinic.demo.sizes import SIZES, Size  # noqa: E402
from clinic.embedded.postgres import PostgresServer  # noqa: E402

CACHE = Path(os.environ.get("CLINIC_BENCH_CACHE") or ROOT / ".cache" / "bench")
SIZES_BUILT = (0, 20_000, 200_000, 2_000_000)
EDITION = 1  # of how worlds are built; another one builds them anew
KEYS = {"secret_keys": ("benchmark-signing-key-0123456789",), "data_keys": ("benchmark-data-key-0123456789",)}
BUILT_AS = {
    0: SIZES["small"],
    20_000: SIZES["clinic"],
    200_000: Size("region", 200_000, SIZES["network"].days, 4),
    2_000_000: SIZES["network"],
}


def upto(summary: str | None) -> int:
    """The largest world that is asked for: the one option that every question over several worlds has."""
    parser = argparse.ArgumentParser(description=(summary or "").splitlines()[0])
    parser.add_argument("--upto", type=int, choices=SIZES_BUILT, default=SIZES_BUILT[-1], help="largest clinic")
    return int(parser.parse_args().upto)


@dataclass(frozen=True)
class World:
    """A copy of one clinic, to be spoiled: `rows` is the size that it is known by, `appointments` what it has."""

    rows: int
    app: Flask
    settings: Settings
    database: str
    appointments: int

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Its application context, at its hour."""
        clock.configure(self.settings.clock_offset)
        with self.app.app_context():
            try:
                yield
            finally:
                db.session.remove()


@contextmanager
def worlds(largest: int, *, only: Sequence[int] = SIZES_BUILT) -> Iterator[dict[int, World]]:
    """Copies of every world up to that size, by number of appointments; built where one is missing. Nothing rings."""
    logging.getLogger("alembic").setLevel(logging.WARNING)
    CACHE.mkdir(parents=True, exist_ok=True)
    with PostgresServer(CACHE / "postgres", durable=True) as server, jobs.silence():
        found = {rows: _open(server, rows) for rows in SIZES_BUILT if rows <= largest and rows in only}
        try:
            yield found
        finally:
            for world in found.values():
                with world.app.app_context():
                    db.session.remove()
                    db.engine.dispose()
                _administer(server, f"DROP DATABASE {world.database} WITH (FORCE)")


def _open(server: PostgresServer, rows: int) -> World:
    index = CACHE / "worlds.json"
    known: dict[str, Any] = json.loads(index.read_text()) if index.exists() else {}
    name, copy, key = f"world_{rows}", f"copy_{rows}", f"{rows}"
    if known.get(key, {}).get("edition") != EDITION:
        known[key] = _build(server, rows, name)
        index.write_text(json.dumps(known, indent=1))
    _administer(server, f"DROP DATABASE IF EXISTS {copy}", f"CREATE DATABASE {copy} TEMPLATE {name} STRATEGY file_copy")
    clock.configure(0)
    offset = (datetime.fromisoformat(known[key]["built_at"]) - clock.now()).total_seconds()
    settings = Settings(database_url=server.url(copy), instance=CACHE, clock_offset=offset, **KEYS)
    app = create_app(settings)
    with app.app_context():
        upgrade()
        db.engine.dispose()  # migrations leave their timeouts on the connection
        appointments = db.session.scalar(text("SELECT count(*) FROM treatment_sessions")) or 0
        db.session.remove()
    return World(rows, app, settings, copy, appointments)


def _build(server: PostgresServer, rows: int, name: str) -> dict[str, Any]:
    from clinic.demo.load import load

    _administer(server, f"DROP DATABASE IF EXISTS {name}", f"CREATE DATABASE {name}")
    app = create_app(Settings(database_url=server.url(name), instance=CACHE, **KEYS))
    clock.configure(0)
    began, busy = time.monotonic(), time.process_time()
    shown = [0.0]

    def show(what: str, done: int, total: int) -> None:
        if done == total or time.monotonic() - shown[0] > 10:
            shown[0] = time.monotonic()
            print(f"  {rows:,}: {what} {done:,} of {total:,}, {shown[0] - began:.0f} s", file=sys.stderr, flush=True)

    with app.app_context():
        upgrade()
        db.engine.dispose()
        built_at = clock.now()
        load(show, BUILT_AS[rows])
        db.session.remove()
        db.engine.dispose()
    took = time.monotonic() - began
    print(f"built {rows:,} appointments in {took:.0f} s ({time.process_time() - busy:.0f} s of it our own CPU)")
    return {"edition": EDITION, "built_at": built_at.isoformat(), "seconds": round(took)}


def _administer(server: PostgresServer, *statements: str) -> None:
    engine = create_engine(server.url("postgres"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


class Took(float):
    """Milliseconds by the clock; `cpu`: those in which a processor worked for us, our servers' included.

    On a machine that does other things too the second tells more; on an idle one they differ by what the disk takes.
    """

    cpu: float


def timed(call: Callable[[], object]) -> Took:
    """How long one call took."""
    others = [Path(f"/proc/{pid}/task") for pid in descendants(os.getpid()) if pid != os.getpid()]
    worked, own, began = processor_ns(others), time.process_time_ns(), time.perf_counter()
    call()
    took = Took((time.perf_counter() - began) * 1000)
    own = time.process_time_ns() - own
    took.cpu = (processor_ns(others) - worked + own) / 1e6
    return took


def processor_ns(processes: Sequence[Path]) -> int:
    """Nanoseconds that a processor worked so far for these `/proc/PID/task` folders."""
    total = 0
    for tasks in processes:
        try:
            total += sum(int((task / "schedstat").read_text().split()[0]) for task in tasks.iterdir())
        except OSError:  # it ended
            continue
    return total


def median(samples: Sequence[float]) -> float:
    """The median without the first two, which warm up."""
    return statistics.median(samples[2:] if len(samples) > 4 else samples)


def processor(samples: Sequence[Took]) -> float:
    """The same of the processor's milliseconds."""
    return median([took.cpu for took in samples])


def over(ours: Sequence[Took], bare: Sequence[Took]) -> str:
    """The ratio of medians by the clock and, in brackets, of the processor's work."""
    return f"{median(ours) / median(bare):.2f} ({processor(ours) / processor(bare):.2f})"


def parts(**named: Sequence[Took]) -> str:
    """One line that names medians: by the clock, and of the processor."""
    return "   ".join(
        f"{name.replace('_', ' ')} {median(took):.1f} ms ({processor(took):.1f})" for name, took in named.items()
    )


def main() -> int:
    """Build every world that is missing."""
    largest = upto(__doc__)
    with worlds(largest) as found:
        for world in found.values():
            with world.entered():
                size = db.session.scalar(text("SELECT pg_size_pretty(pg_database_size(current_database()))"))
                print(f"{world.rows:>9,}: {world.appointments:,} appointments, {size}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
