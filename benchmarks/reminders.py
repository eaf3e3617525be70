"""How many reminders a second does one worker process send, end to end, against a Celery task that does one insert?

Sweep, ring, claim, send to a local gateway, record: row by row (each claimed, sent and recorded by itself before the
next, as changes go out and a batch that breaks), with a task for each row (as the desk sends one again), and in batches.
Starts its own durable PostgreSQL, Redis, gateway and worker; the baseline runs beside it in the same run. Then: does the
sweep grow with the years that the clinic has behind it?
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent.parent))

from flask import Flask
from flask_migrate import upgrade
from redis import Redis
from sqlalchemy import create_engine, text

from benchmarks import row_task
from benchmarks.stack import descendants
from benchmarks.worlds import Took, over, parts, processor_ns, timed
from clinic import clock, jobs
from clinic.app import create_app
from clinic.config import Settings
from clinic.db import db
from clinic.embedded.postgres import PostgresServer
from clinic.embedded.process import end
from clinic.embedded.redis import RedisServer
from clinic.jobs import Job
from clinic.reminders import ledger, queries, sending
from tests import many_visits

ROOT = Path(__file__).parent.parent
START = datetime(2026, 11, 24, 0, 5, tzinfo=UTC)  # Monday, 16:05 in Los Angeles
TOMORROW = datetime(2026, 11, 24, 18, tzinfo=UTC)
RING_AT_ONCE = 500  # rings in the broker: they are short-lived
GOAL = 0.6
POLL = 0.2  # seconds: counting what is done must not take the time of those who do it
ROWS, TASKS, BATCHES = "rows", "tasks", "batches"
HISTORY = 2_000_000
HISTORY_STEP = 20_000  # visits a statement, within its time also on a busy machine
ROUNDS = 14


class Speed(NamedTuple):
    """How many a second, and milliseconds that a processor worked for each: in the worker, the database and the broker."""

    rate: float
    worked: float


@dataclass
class Bench:
    """The clinic under test, and the environment of its workers."""

    app: Flask
    server: PostgresServer
    redis: Redis
    environment: dict[str, str]

    @contextmanager
    def worker(self, module: str) -> Iterator[None]:
        """One worker process on the normal queue, once it works."""
        self.redis.flushall()
        command = [sys.executable, "-m", "celery", "-A", module, "worker", "-Q", "normal", "-c", "1", "-l", "WARNING"]
        command += ["--without-mingle", "--without-gossip"]
        process = subprocess.Popen(
            command, cwd=ROOT, env=self.environment, stdout=subprocess.DEVNULL, stderr=None, start_new_session=True
        )
        try:
            yield
        finally:
            end(process, signal.SIGTERM, patience=60)  # a busy machine: what was measured stays


def count(sql: str) -> int:
    db.session.rollback()
    return int(db.session.scalar(text(sql)) or 0)


def drain(ring: Callable[[int], int], done: Callable[[], int], wanted: int, seconds: float) -> Speed:
    """Ring and wait; answers how many a second were done. `ring(n)` rings n times at most, and answers how often."""
    while not done():  # the worker starts up: the first one is not counted
        ring(1)
        time.sleep(0.3)
    begun, before, rung, worked = time.perf_counter(), done(), 0, processor_ns(others())
    while True:
        now_done = done() - before
        elapsed = time.perf_counter() - begun
        if now_done >= wanted - before or elapsed > seconds:
            return Speed(now_done / elapsed, (processor_ns(others()) - worked) / 1e6 / max(now_done, 1))
        if rung - now_done < RING_AT_ONCE:
            rung += ring(RING_AT_ONCE)
        time.sleep(POLL)


def others() -> list[Path]:
    """The worker, the database and the broker: neither the gateway nor this process."""
    mine = descendants(os.getpid()).items()
    return [Path(f"/proc/{pid}/task") for pid, command in mine if pid != os.getpid() and "sink.py" not in command]


def bare(bench: Bench, wanted: int, seconds: float) -> Speed:
    """One insert a task."""
    db.session.execute(text("CREATE TABLE IF NOT EXISTS bare (id bigserial PRIMARY KEY, number int, said text)"))
    db.session.execute(text("TRUNCATE bare"))
    db.session.commit()
    celery = bench.app.extensions["celery"]

    def ring(times: int) -> int:
        for number in range(times):
            celery.send_task("bare.insert", kwargs={"number": number}, expires=30, queue="normal")
        return times

    with bench.worker("benchmarks.bare_task:celery"):
        return drain(ring, lambda: count("SELECT count(*) FROM bare"), wanted, seconds)


SENT = "SELECT count(*) FROM messages WHERE state = 'sent'"


def reminders(bench: Bench, wanted: int, seconds: float, how: str) -> tuple[Speed, float]:
    """One reminder, its share of the sweep included, and seconds of the sweep that wrote all rows."""
    db.session.execute(text("TRUNCATE messages CASCADE"))
    db.session.commit()
    swept = timed(ledger.sweep)
    waiting = iter(queries.due_ids(clock.now(), wanted))

    def ring(times: int) -> int:
        if how == BATCHES:
            jobs.ring(Job.SEND_NORMAL)
            return times
        if how == ROWS:
            rings = max(1, times // sending.BATCH)  # each is heard once, for as many as a batch holds
            for _ in range(rings):
                bench.app.extensions["celery"].send_task(row_task.TASK, expires=30, queue="normal")
            return rings * sending.BATCH
        rung = 0
        for message_id, _ in zip(waiting, range(times), strict=False):
            jobs.ring(Job.SEND_MESSAGE, message_id=message_id)
            rung += 1
        return rung

    module = "benchmarks.row_task:celery" if how == ROWS else "workers.celery_app:celery"
    with bench.worker(module):
        sent = drain(ring, lambda: count(SENT), wanted, seconds)
    return Speed(1 / (1 / sent.rate + swept / 1000 / wanted), sent.worked + swept.cpu / wanted), swept / 1000


def at_size(bench: Bench, size: int, seconds: float) -> bool:
    """Print one comparison; answers whether the goal was met."""
    inserts = bare(bench, size, seconds)
    rows, swept = reminders(bench, size, seconds, ROWS)
    tasks, _ = reminders(bench, size, seconds, TASKS)
    batches, _ = reminders(bench, size, seconds, BATCHES)
    named = {"row by row": rows, "a task for each row": tasks, "in batches": batches}
    over_bare = "; ".join(
        f"{name} {one.rate / inserts.rate:.2f} ({inserts.worked / one.worked:.2f})" for name, one in named.items()
    )
    print(f"{size} due rows / bare insert: {over_bare}")
    each = "   ".join(
        f"{name} {one.rate:.0f}/s ({one.worked:.1f} ms)" for name, one in {"bare insert": inserts, **named}.items()
    )
    print(f"  {each}   sweep {swept:.2f} s, {swept / size * 1000:.2f} ms a row")
    return rows.rate / inserts.rate >= GOAL


def sweep_once(app: Flask) -> Took:
    """Milliseconds of a sweep that finds nothing new."""
    with app.app_context():
        took = timed(ledger.sweep)
        db.session.remove()
        return took


@contextmanager
def copied(bench: Bench) -> Iterator[Flask]:
    """The same clinic once more, in a database of its own on the same server."""
    db.session.remove()
    db.engine.dispose()
    settings: Settings = bench.app.config["SETTINGS"]
    engine = create_engine(bench.server.url("postgres"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("CREATE DATABASE past TEMPLATE bench"))
    engine.dispose()
    app = create_app(replace(settings, database_url=bench.server.url("past")))
    yield app
    with app.app_context():
        db.engine.dispose()


def with_history(bench: Bench, visit_id: int, history: int) -> None:
    """The sweep beside a day's visits with few and with very many of the past, in turn."""
    many_visits.analyze()
    ledger.sweep()
    upcoming = count("SELECT count(*) FROM treatment_sessions WHERE state = 'booked'")
    with copied(bench) as old:
        with old.app_context():
            each = timedelta(minutes=2)
            past = START - timedelta(days=2) - history * each
            for first in range(10_000_001, 10_000_001 + history, HISTORY_STEP):
                last = min(first + HISTORY_STEP, 10_000_001 + history) - 1
                many_visits.visits(visit_id, first, last, past - 10_000_001 * each, each=each, state="completed")
            many_visits.analyze()
            db.session.remove()
        few, many = [], []
        for _ in range(ROUNDS):
            few.append(sweep_once(bench.app))
            many.append(sweep_once(old))
    print(f"sweep with {history} visits of the past / without = {over(many, few)}")
    print(f"  {parts(without=few, with_them=many)}   {upcoming} visits ahead, all in the ledger")


@contextmanager
def gateway() -> Iterator[str]:
    """The port of a gateway that takes every text."""
    sink = subprocess.Popen([sys.executable, str(ROOT / "benchmarks/sink.py")], stdout=subprocess.PIPE, text=True)
    assert sink.stdout is not None
    try:
        yield sink.stdout.readline().strip()
    finally:
        sink.terminate()


@contextmanager
def running() -> Iterator[Bench]:
    """Servers, a migrated database and the gateway."""
    with (
        gateway() as port,
        tempfile.TemporaryDirectory(prefix="daybreak-bench-") as folder,
        PostgresServer(Path(folder) / "pg", durable=True) as server,
        RedisServer(Path(folder) / "redis") as redis,
    ):
        engine = create_engine(server.url("postgres"), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text("CREATE DATABASE bench"))
        engine.dispose()
        settings = Settings(
            database_url=server.url("bench"),
            redis_url=redis.url,
            instance=Path(folder),
            secret_keys=("benchmark-signing-key-0123456789",),
            data_keys=("benchmark-data-key-0123456789",),
            public_url="https://clinic.example.org",
            sms_url=f"http://127.0.0.1:{port}",
            sms_account="AC1",
            sms_token="secret",
            sms_from="+17145550100",
            clock_offset=(START - datetime.now(UTC)).total_seconds(),
        )
        app = create_app(settings)
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("CLINIC_")},
            "PYTHONPATH": str(ROOT),
            "CLINIC_INSTANCE": folder,
            "CLINIC_DATABASE_URL": settings.database_url,
            "CLINIC_REDIS_URL": settings.redis_url,
            "CLINIC_SECRET_KEYS": settings.secret_keys[0],
            "CLINIC_DATA_KEYS": settings.data_keys[0],
            "CLINIC_PUBLIC_URL": settings.public_url,
            "CLINIC_SMS_URL": settings.sms_url,
            "CLINIC_SMS_ACCOUNT": "AC1",
            "CLINIC_SMS_TOKEN": "secret",
            "CLINIC_SMS_FROM": settings.sms_from,
            "CLINIC_CLOCK_OFFSET": str(settings.clock_offset),
        }
        with app.app_context():
            upgrade()
            db.engine.dispose()  # migrations leave their timeouts on the connection
            yield Bench(app, server, Redis.from_url(settings.redis_url), environment)
            db.session.remove()
            db.engine.dispose()


def main() -> int:
    """Print each comparison; exit 1 where a goal is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="*", default=[1_000, 100_000])
    parser.add_argument("--history", type=int, default=HISTORY)
    parser.add_argument("--seconds", type=float, default=20.0, help="most that one measurement takes")
    options = parser.parse_args()
    met = True
    with running() as bench:
        visit_id, there = many_visits.prepare(), 0
        for size in options.sizes:
            many_visits.people(there + 1, size)
            later = timedelta(hours=6) / size
            many_visits.visits(visit_id, there + 1, size, TOMORROW, each=later, state="booked")
            there = size
            many_visits.analyze()
            met &= at_size(bench, size, options.seconds)
        if options.history:
            with_history(bench, visit_id, options.history)
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
