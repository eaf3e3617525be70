"""kill -9 of the worker in the middle of 200 messages: none is lost, and only what was in flight goes out twice."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from redis import Redis
from sqlalchemy import func, select

from clinic import clock, jobs
from clinic.db import db
from clinic.jobs import Job
from clinic.patients.models import MessageStyle
from clinic.reminders import ledger
from clinic.reminders.models import Message
from tests.builders import make_course, make_decision, make_device, make_location, make_patient, make_profile
from tests.gateway import FakeGateway

pytestmark = [pytest.mark.faults, pytest.mark.embedded]

START = datetime(2026, 11, 24, 0, 5, tzinfo=UTC)  # Monday, 16:05 in Los Angeles
MESSAGES, IN_FLIGHT, PATIENCE = 200, 2, 180.0
AFTER_RESTART = ledger.STUCK_AFTER + timedelta(minutes=1)


@pytest.fixture
def gateway() -> Iterator[FakeGateway]:
    with FakeGateway() as fake:
        fake.delay = 0.01
        yield fake


@pytest.fixture
def start_worker(
    committed_app: Flask, gateway: FakeGateway, project_root: Path, tmp_path: Path
) -> Iterator[Callable[[datetime], "subprocess.Popen[bytes]"]]:
    """`start_worker(at)` runs a real worker whose clock stands at this instant."""
    settings = committed_app.config["SETTINGS"]
    running: list[subprocess.Popen[bytes]] = []

    def start(at: datetime) -> "subprocess.Popen[bytes]":
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("CLINIC_")},
            "CLINIC_INSTANCE": str(tmp_path),
            "CLINIC_DATABASE_URL": settings.database_url,
            "CLINIC_REDIS_URL": settings.redis_url,
            "CLINIC_SECRET_KEYS": ",".join(settings.secret_keys),
            "CLINIC_DATA_KEYS": ",".join(settings.data_keys),
            "CLINIC_SMS_URL": gateway.url,
            "CLINIC_SMS_ACCOUNT": "AC1",
            "CLINIC_SMS_TOKEN": "secret",
            "CLINIC_SMS_FROM": "+17145550100",
            "CLINIC_CLOCK_OFFSET": str((at - datetime.now(UTC)).total_seconds()),
        }
        command = [sys.executable, "-m", "celery", "-A", "workers.celery_app:celery", "worker", "-c", str(IN_FLIGHT)]
        log = (tmp_path / f"worker-{len(running)}.log").open("wb")
        worker = subprocess.Popen(
            command, cwd=project_root, env=environment, stdout=log, stderr=log, start_new_session=True
        )
        log.close()
        running.append(worker)
        return worker

    yield start
    for number in range(len(running)):  # shown where the test fails
        print((tmp_path / f"worker-{number}.log").read_text()[-4000:])
    for worker in running:
        _kill(worker)


def _kill(worker: "subprocess.Popen[bytes]") -> None:
    if worker.poll() is None:
        os.killpg(worker.pid, signal.SIGKILL)
        worker.wait(10)


def _wait(until: Callable[[], bool], what: str, between: Callable[[], object] = lambda: None) -> None:
    ends = time.monotonic() + PATIENCE
    while not until():
        assert time.monotonic() < ends, f"{what} took longer than {PATIENCE:.0f} s"
        between()
        time.sleep(0.02)


def _book_visits() -> None:
    make_profile()
    site = make_location()
    devices = [make_device(site) for _ in range(20)]
    decision = make_decision(make_patient())
    for number in range(MESSAGES):
        patient = make_patient(consents={"sms": True}, phone=f"+1714555{number:04d}")
        patient.message_style = MessageStyle.EACH
        at = datetime(2026, 11, 24, 18, tzinfo=UTC) + timedelta(minutes=30 * (number // len(devices)))
        make_course(patient, [at], device=devices[number % len(devices)], decision_id=decision.id)
    db.session.commit()


def _unsent() -> int:
    db.session.rollback()
    return db.session.scalar(select(func.count()).select_from(Message).where(Message.state != "sent")) or 0


@pytest.mark.parametrize(
    "seed", [1, *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(2, 12))], ids=lambda seed: f"seed{seed}"
)
def test_every_message_reaches_the_gateway(
    committed_app: Flask, gateway: FakeGateway, start_worker: Callable[..., Any], seed: int
) -> None:
    rng = random.Random(seed)
    with committed_app.app_context():
        Redis.from_url(committed_app.config["SETTINGS"].redis_url).delete("celery", "unacked", "unacked_index")
        with clock.frozen(START):
            _book_visits()
            ids = ledger.collect_due()
            assert len(ids) == MESSAGES
            for message_id in ids:
                jobs.ring(Job.SEND_MESSAGE, message_id=message_id)
        worker, reach = start_worker(START), rng.randrange(MESSAGES // 10, MESSAGES * 9 // 10)
        _wait(lambda: len(gateway.requests) >= reach, "the first half")
        time.sleep(rng.uniform(0, 0.03))
        _kill(worker)
        before = len(gateway.requests)
        assert 0 < _unsent() <= MESSAGES - before + IN_FLIGHT

        start_worker(START + AFTER_RESTART)
        rung = [0.0]

        def sweep() -> None:
            if time.monotonic() - rung[0] > 2:
                rung[0] = time.monotonic()
                jobs.ring(Job.SWEEP_REMINDERS)

        _wait(lambda: _unsent() == 0, "the rest", between=sweep)
        references = set(map(str, db.session.scalars(select(Message.reference))))

    accepted = Counter(request.reference for request in gateway.requests)
    assert set(accepted) == references
    assert len(references) == MESSAGES
    assert max(accepted.values()) <= 2
    assert sum(count == 2 for count in accepted.values()) <= IN_FLIGHT
    bodies = {(request.reference, request.form["To"], request.form["Body"]) for request in gateway.requests}
    assert len(bodies) == MESSAGES  # a repeat says the same to the same person
