"""An answer about safety while the broker is down and everything that runs is killed: kept, told, each step once."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select

from clinic import clock
from clinic.db import db
from clinic.embedded.redis import RedisServer
from clinic.intake import queries
from clinic.intake.models import Intake
from clinic.patients import links
from clinic.patients.models import LinkPurpose, PatientSession
from clinic.patients.signin import COOKIE
from clinic.reminders.models import Message
from clinic.surveys import operations as surveys
from clinic.surveys import queries as survey_queries
from clinic.tasks import operations as worklist
from clinic.tasks.models import Task
from tests.builders import TESTER, make_location, make_patient, make_profile, make_staff
from tests.conftest import make_app
from tests.gateway import FakeGateway

pytestmark = [pytest.mark.faults, pytest.mark.embedded]

START = datetime(2026, 11, 23, 18, tzinfo=UTC)  # Monday, 10:00 in Los Angeles
FIRST, SECOND = "+17145550111", "+17145550112"
PATIENCE = 90.0


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path / "redis") as server:
        yield server


@pytest.fixture
def app_of_broker(committed_app: Flask, broker: RedisServer) -> Iterator[Flask]:
    """An application that rings at this test's own broker."""
    app = make_app(replace(committed_app.config["SETTINGS"], redis_url=broker.url))
    yield app
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


@pytest.fixture
def gateway() -> Iterator[FakeGateway]:
    with FakeGateway() as fake:
        yield fake


@pytest.fixture
def start_beat(
    app_of_broker: Flask, gateway: FakeGateway, project_root: Path, tmp_path: Path
) -> Iterator[Callable[[datetime], "subprocess.Popen[bytes]"]]:
    """`start_beat(at)` runs a real beat whose clock stands at this instant; its broker is the test's own."""
    settings = app_of_broker.config["SETTINGS"]
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
            "CLINIC_ON_CALL": f"{FIRST},{SECOND}",
            "CLINIC_CLOCK_OFFSET": str((at - datetime.now(UTC)).total_seconds()),
        }
        schedule = str(tmp_path / f"schedule-{len(running)}")
        command = [sys.executable, "-m", "celery", "-A", "workers.celery_app:celery", "beat", "-s", schedule]
        with (tmp_path / f"beat-{len(running)}.log").open("wb") as log:
            beat = subprocess.Popen(
                [*command, "--pidfile="],
                cwd=project_root,
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        running.append(beat)
        return beat

    yield start
    for number in range(len(running)):  # shown where the test fails
        print((tmp_path / f"beat-{number}.log").read_text()[-3000:])
    for beat in running:
        kill(beat)


def kill(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)


def called(gateway: FakeGateway) -> list[str]:
    return [request.form["To"] for request in gateway.requests]


def wait_for(count: int, gateway: FakeGateway) -> None:
    """Until so many calls went out and are written down as sent."""
    ends = time.monotonic() + PATIENCE
    while len(gateway.requests) < count or sent() < count:
        assert time.monotonic() < ends, f"waited for {count} calls, heard {called(gateway)}"
        time.sleep(0.2)


def sent() -> int:
    db.session.rollback()
    return db.session.scalar(select(func.count()).select_from(Message).where(Message.state == "sent")) or 0


def answer_item_9(client: FlaskClient) -> tuple[int, Any, float]:
    """Through the form, as a person does: the id of the intake, the answer to the send, and how long that took."""
    client.post("/intake/start")
    intake_id = db.session.scalar(select(Intake.id).order_by(Intake.id.desc()).limit(1))
    begun = time.monotonic()
    answer = client.post("/intake/phq9-9", data={"answer": "3", "form": "a", "revision": "0"})
    return intake_id, answer, time.monotonic() - begun


def test_a_broker_that_is_down_keeps_no_answer_and_no_help_back(
    app_of_broker: Flask, broker: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    with app_of_broker.app_context(), clock.frozen(START):
        make_profile()
        make_location()
        db.session.commit()
        broker.stop()
        client = app_of_broker.test_client()
        intake_id, answer, seconds = answer_item_9(client)
        assert "/intake/safety" in answer.location
        assert seconds < 5
        assert "988" in client.get(answer.location).text
        db.session.rollback()
        assert queries.values(intake_id)["phq9-9"] == {"answer": "3"}
        [task] = db.session.scalars(select(Task))
        assert (task.level, task.owner_id) == ("same_day", None)
    assert "not heard" in caplog.text


def answer_check_in(app: Flask, patient: Any) -> Any:
    """Item 9 of a check-in, on the person's signed-in phone."""
    survey_id = surveys.ask_now(patient.id, ["phq9"], nonce="n", by=TESTER)
    cookie = links.open_session(LinkPurpose.SURVEY, patient_id=patient.id, survey_id=survey_id)
    db.session.flush()
    row = db.session.scalars(select(PatientSession).filter_by(token_hash=links.digest(cookie))).one()
    row.birth_date_checked_at = clock.now()
    db.session.commit()
    client = app.test_client()
    client.set_cookie(COOKIE, cookie)
    return client.post(f"/surveys/{survey_id}/9", data={"answer": "2"}), client, survey_id


def test_a_check_in_keeps_its_answer_and_shows_help_without_a_broker(
    app_of_broker: Flask, broker: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    with app_of_broker.app_context(), clock.frozen(START):
        make_profile()
        make_location()
        patient = make_patient()
        db.session.commit()
        broker.stop()
        answer, client, survey_id = answer_check_in(app_of_broker, patient)
        assert answer.location.endswith("/safety")
        page = client.get(answer.location).text
        assert "988" in page
        assert "will call you by" not in page  # the promise is not switched on
        db.session.rollback()
        assert survey_queries.get(survey_id).draft == {"phq9.9": 2}
        [task] = db.session.scalars(select(Task).filter_by(kind="safety"))
        assert (task.level, task.owner_id) == ("same_day", None)
    assert "not heard" in caplog.text


@pytest.mark.soak
def test_the_next_one_is_called_without_a_broker_and_after_a_kill_and_each_once(
    app_of_broker: Flask, broker: RedisServer, gateway: FakeGateway, start_beat: Callable[..., Any]
) -> None:
    with app_of_broker.app_context():
        with clock.frozen(START):
            make_profile()
            make_location()
            nurse = make_staff("nurse")
            db.session.commit()
            broker.stop()
            answer_item_9(app_of_broker.test_client())
            db.session.rollback()
            [task] = db.session.scalars(select(Task))
            task.level = "urgent"  # as a plan or intent makes it
            db.session.commit()

        beat = start_beat(START + timedelta(minutes=1))
        wait_for(1, gateway)
        kill(beat)
        assert called(gateway) == [FIRST]

        beat = start_beat(START + timedelta(minutes=22))  # nothing ran when the 20 minutes were over
        wait_for(2, gateway)
        time.sleep(6)  # one more look
        kill(beat)
        assert called(gateway) == [FIRST, SECOND]

        with clock.frozen(START + timedelta(minutes=30)):
            worklist.take_task(task.id, staff_id=nurse.id, by=TESTER)
        beat = start_beat(START + timedelta(minutes=90))
        time.sleep(12)  # to start, and one look
        assert beat.poll() is None  # it lives on without its broker
        assert called(gateway) == [FIRST, SECOND]
