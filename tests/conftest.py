"""Fixtures: one embedded PostgreSQL and Redis a run, one migrated database a worker, one savepoint a test."""

import logging
import os
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, g, has_app_context
from flask.testing import FlaskClient
from flask_migrate import upgrade
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import Engine, create_engine, event, text
from xdist.scheduler import LoadScopeScheduling

from clinic import clock, jobs
from clinic.app import create_app
from clinic.config import Settings
from clinic.db import db
from clinic.embedded.postgres import PostgresServer
from clinic.embedded.redis import RedisServer
from clinic.web.limits import limiter

NOW = datetime(2026, 11, 23, 18, 0, tzinfo=UTC)  # Monday, 10:00 in Los Angeles


class ByGroup(LoadScopeScheduling):
    """Tests of one `xdist_group` run in one process. xdist's own way of it is lost on pytest 9.2: nothing is grouped."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid.split("::")[0]) or nodeid


@cache
def group_of(path: str) -> str:
    """The group that a test file names for all of its tests."""
    found = re.search(r'xdist_group\("(\w+)"\)', (Path(__file__).parents[1] / path).read_text())
    return found[1] if found else ""


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling | None:
    return ByGroup(config, log) if config.getvalue("dist") == "loadgroup" else None


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """One browser a process: a second Playwright beside it would not start."""
    from playwright.sync_api import sync_playwright

    from tests.browser.chromium import chromium_executable

    path, env = chromium_executable()
    with sync_playwright() as playwright:
        # The sandbox needs rights that a container may not have; only our own pages are opened.
        browser = playwright.chromium.launch(executable_path=path, env=env, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    with PostgresServer(tmp_path_factory.mktemp("postgres"), durable=False) as server:
        yield server


@pytest.fixture(scope="session")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="session")
def template_database(postgres: PostgresServer, settings: Settings) -> str:
    """A migrated database, copied for tests that commit for real."""
    name = "migrated"
    create_database(postgres, name)
    app = create_app(replace(settings, database_url=postgres.url(name)))
    with app.app_context():
        logging.getLogger("alembic").setLevel(logging.WARNING)
        upgrade()
        db.engine.dispose()
    return name


@pytest.fixture(scope="session")
def settings(postgres: PostgresServer, redis: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(
        database_url=postgres.url("postgres"),
        redis_url=redis.url,
        instance=tmp_path_factory.mktemp("instance"),
        secret_keys=("test-signing-key-0123456789abcdef",),
        data_keys=("test-data-key-0123456789abcdef",),
        on_call=("oncall@example.org",),
    )


def create_database(postgres: PostgresServer, name: str, template: str = "template0") -> str:
    """Make a database and answer its URL."""
    engine = create_engine(postgres.url("postgres"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f'CREATE DATABASE "{name}" TEMPLATE "{template}"'))
    engine.dispose()
    return postgres.url(name)


@pytest.fixture(scope="session")
def app(postgres: PostgresServer, settings: Settings, template_database: str) -> Flask:
    """The application on a database whose tests roll back."""
    return make_app(replace(settings, database_url=create_database(postgres, "rolled_back", template_database)))


def make_app(settings: Settings) -> Flask:
    """A testing application: no rate limits, no form tokens (the tests about those switch them on)."""
    os.environ["CLINIC_TESTING"] = "1"
    app = create_app(settings)
    app.config.update(TESTING=True, WTF_CSRF_ENABLED=False)
    app.test_client_class = Browser
    limiter.enabled = False
    return app


class Browser(FlaskClient):
    """A client whose requests share nothing but cookies: the test's own application context outlives them."""

    def open(self, *args: Any, **kwargs: Any) -> Any:
        if has_app_context():
            vars(g._get_current_object()).clear()  # type: ignore[attr-defined]
        return super().open(*args, **kwargs)


@pytest.fixture
def database(app: Flask) -> Iterator[SQLAlchemy]:
    """Whatever the test commits is rolled back with it."""
    with app.app_context():
        engine = db.engines[None]
        with engine.connect() as connection:
            outer = connection.begin()
            db.engines[None] = connection
            yield db
            db.session.remove()
            db.engines[None] = engine
            outer.rollback()


@pytest.fixture
def client(app: Flask, database: SQLAlchemy) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def committed_app(
    postgres: PostgresServer, settings: Settings, template_database: str, request: pytest.FixtureRequest
) -> Iterator[Flask]:
    """An application on a database of its own, for tests that commit for real (races, faults)."""
    name = f"own_{abs(hash(request.node.nodeid))}"
    app = make_app(replace(settings, database_url=create_database(postgres, name, template_database)))
    be_patient(app)
    yield app
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


def be_patient(app: Flask) -> None:
    """Let many threads wait for their turn at few connections, however starved the machine is.

    A worker of the real application has no more threads than connections: its ten seconds are for a database that hangs.
    """
    with app.app_context():
        db.engine.pool._timeout = 300  # type: ignore[attr-defined]


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[[datetime], AbstractContextManager[None]]:
    """`with at(instant):` holds the clock."""
    return clock.frozen


@pytest.fixture
def now() -> Iterator[datetime]:
    """The clock held at Monday, November 23, 2026, 10:00 in Los Angeles."""
    with clock.frozen(NOW):
        yield NOW


@pytest.fixture
def rings(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, int]]]:
    """Doorbells that were rung, instead of a broker."""
    heard: list[tuple[str, dict[str, int]]] = []
    monkeypatch.setattr(jobs, "ring", lambda job, **ids: heard.append((str(job), ids)))
    return heard


@pytest.fixture(scope="session")
def project_root() -> Path:
    return Path(__file__).parent.parent


@pytest.fixture
def sign_in(client: FlaskClient) -> Callable[..., Any]:
    """`sign_in(role, ...)` makes a staff member of all sites, or of `locations=`, and signs the client in."""
    from clinic.staff import sessions
    from tests.builders import make_staff

    def do(*roles: str, **overrides: Any) -> Any:
        user = make_staff(*roles, **overrides)
        token = sessions.open_within_transaction(user.id, methods=["password"], address="127.0.0.1", browser="tests")
        db.session.flush()
        with client.session_transaction() as cookie:
            cookie["_user_id"] = user.fs_uniquifier
            cookie["_fresh"] = True
            cookie["fs_cc"] = "set"
            cookie["staff_session"] = token
            cookie["fs_paa"] = clock.now().timestamp()
            cookie["identity.id"] = user.fs_uniquifier
        return user

    return do


@pytest.fixture
def post(client: FlaskClient, app: Flask) -> Callable[..., Any]:
    """`post(url, data)` sends a form with this browser's own CSRF token."""
    from itsdangerous import URLSafeTimedSerializer

    def do(url: str, data: dict[str, Any] | None = None, **more: Any) -> Any:
        with client.session_transaction() as cookie:
            raw = cookie.setdefault("csrf_token", "0" * 40)
        token = URLSafeTimedSerializer(app.secret_key, salt="wtf-csrf-token").dumps(raw)  # type: ignore[arg-type]
        return client.post(url, data={**(data or {}), "csrf_token": token}, **more)

    return do


@pytest.fixture
def sign_in_patient(client: FlaskClient) -> Callable[..., Any]:
    """`sign_in_patient(patient, purpose)` opens a patient session in the client; `checked`: the birth date was asked."""
    from clinic.patients import links
    from clinic.patients.models import LinkPurpose, PatientSession
    from clinic.patients.signin import COOKIE

    def do(patient: Any, purpose: str = "sign_in", *, checked: bool = True, **about: int) -> None:
        value = links.open_session(LinkPurpose(purpose), patient_id=patient.id if patient else None, **about)
        db.session.flush()
        row = db.session.query(PatientSession).filter_by(token_hash=links.digest(value)).one()
        row.birth_date_checked_at = clock.now() if checked else None
        db.session.flush()
        client.set_cookie(COOKIE, value)

    return do


@pytest.fixture
def count_statements() -> Callable[[], Any]:
    """`with count_statements() as statements:` collects what was sent to the database."""

    @contextmanager
    def count() -> Iterator[list[str]]:
        seen: list[str] = []

        def note(*args: Any) -> None:
            seen.append(args[2])

        event.listen(Engine, "before_cursor_execute", note)
        try:
            yield seen
        finally:
            event.remove(Engine, "before_cursor_execute", note)

    return count
