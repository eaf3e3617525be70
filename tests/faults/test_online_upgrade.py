"""A clinic of 200,000 appointments is brought forward while people use it: by the last two versions, and by all of them."""

import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import cycle, islice
from pathlib import Path

import httpx
import psycopg
import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from flask import Flask
from flask_migrate import downgrade, upgrade
from sqlalchemy import text

from clinic import clock
from clinic.db import db
from clinic.embedded.ports import free_port
from clinic.staff import sessions
from tests import many_visits
from tests.builders import make_staff
from tests.conftest import create_database, make_app

pytestmark = pytest.mark.faults
ROOT = Path(__file__).parents[2]
VERSIONS = ROOT / "migrations" / "versions"
APPOINTMENTS, PEOPLE = 200_000, 4_000
LONGEST_LOCK = 1.0  # seconds
CALENDAR = "0004"  # the first revision of which 200,000 appointments could be
CONTACTS = "/staff/patients/1000007/contacts"
CONTACT = {
    "given_name": "Ada", "family_name": "Smith", "birth_date": "1980-01-02", "email": "", "phone": "", "language": "en",
    "tz": "America/Los_Angeles", "payer": "", "preferred_location_id": "0", "email_consent": "no", "sms_consent": "no",
    "voice_consent": "no",
}  # fmt: skip
# Modes that keep others from writing or reading a table.
HELD = """
    SELECT l.relation::regclass::text FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
    JOIN pg_stat_activity a ON a.pid = l.pid
    WHERE l.granted AND a.application_name = 'upgrade' AND c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace
      AND l.mode IN ('AccessExclusiveLock', 'ExclusiveLock', 'ShareRowExclusiveLock', 'ShareLock')
      AND c.relname = ANY(%s)
"""


@dataclass
class Seen:
    """What the people at their browsers and the one at the calendar saw."""

    answers: int = 0
    failed: list[str] = field(default_factory=list)
    slowest: float = 0.0
    changes: int = 0
    writes: int = 0
    slowest_write: float = 0.0
    held: dict[str, float] = field(default_factory=dict)  # the longest time in one go, seconds by table

    @property
    def longest_lock(self) -> float:
        return max(self.held.values(), default=0.0)


def two_back() -> tuple[str, str]:
    """The revision two before the head, and the last commit whose code knew no later one."""
    config = Config()
    config.set_main_option("script_location", str(ROOT / "migrations"))
    _head, after, before = islice(ScriptDirectory.from_config(config).walk_revisions(), 3)
    file = next(VERSIONS.glob(f"{after.revision}_*.py"))
    # Followed through its names: a migration is numbered anew where another was faster.
    found = _git("log", "--follow", "--diff-filter=A", "--format=%H", "--", str(file.relative_to(ROOT)))
    if not found:
        pytest.skip("the history of the repository is not here")
    return before.revision, found.split()[-1] + "^"


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


@pytest.fixture
def old_tree(tmp_path: Path) -> Iterator[Path]:
    """The code of two migrations ago."""
    _, commit = two_back()
    tree = tmp_path / "old"
    if not _git("worktree", "add", "--detach", str(tree), commit) and not (tree / "clinic").exists():
        pytest.skip("the history of the repository is not here")
    shutil.copytree(ROOT / "clinic" / "web" / "static" / "dist", tree / "clinic" / "web" / "static" / "dist")
    yield tree
    _git("worktree", "remove", "--force", str(tree))


@pytest.fixture
def grown(postgres, settings, template_database, request) -> Iterator[Flask]:
    """A clinic of 200,000 appointments, as its database was two migrations ago."""
    url = create_database(postgres, f"grown_{abs(hash(request.node.name))}", template_database)
    app = make_app(replace(settings, database_url=url))
    with app.app_context():
        first = many_visits.prepare()
        many_visits.people(1, PEOPLE)
        began = datetime.fromisoformat("2020-01-02T18:00:00+00:00")
        many_visits.visits(first, 1, APPOINTMENTS, began, each=timedelta(minutes=25), state="completed")
        many_visits.analyze()
        downgrade(revision=two_back()[0])
        yield app
        db.session.remove()
        db.engine.dispose()


def cookie_of(app: Flask) -> str:
    """A staff member's cookie, as the old code reads it."""
    user = make_staff("manager")
    token = sessions.open_within_transaction(user.id, methods=["password"], address="127.0.0.1", browser="tests")
    db.session.commit()
    with app.test_client() as client:
        with client.session_transaction() as kept:
            kept["_user_id"] = kept["identity.id"] = user.fs_uniquifier
            kept["_fresh"] = True
            kept["staff_session"] = token
            kept["fs_paa"] = clock.now().timestamp()
        found = client.get_cookie("daybreak_staff")
    assert found is not None
    return str(found.value)


@contextmanager
def serving(tree: Path, app: Flask) -> Iterator[str]:
    """The old code behind its own gunicorn; answers its address."""
    settings = app.config["SETTINGS"]
    port = free_port()
    env = {name: value for name, value in os.environ.items() if not name.startswith("CLINIC_")}
    env |= {
        "PYTHONPATH": str(tree),
        "CLINIC_PORT": str(port),
        "CLINIC_INSTANCE": str(settings.instance),
        "CLINIC_DATABASE_URL": settings.database_url,
        "CLINIC_REDIS_URL": settings.redis_url,
        "CLINIC_SECRET_KEYS": settings.secret_keys[0],
        "CLINIC_DATA_KEYS": settings.data_keys[0],
    }
    command = [
        sys.executable,
        "-m",
        "gunicorn",
        "-c",
        str(tree / "clinic/embedded/gunicorn_conf.py"),
        "clinic.app:create_app()",
    ]
    process = subprocess.Popen(command, cwd=tree, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait(lambda: httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=2).status_code == 200)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=60)


def _wait(is_there: Callable[[], bool]) -> None:
    for _ in range(300):
        try:
            if is_there():
                return
        except httpx.HTTPError:
            pass
        time.sleep(1)
    raise AssertionError("the old code does not answer")


def browse(url: str, cookie: str, stop: threading.Event, seen: Seen) -> None:
    """Pages over the tables that the migrations touch, one after another."""
    pages = (
        "/", "/locations", "/staff/", "/staff/day", "/staff/patients?q=B-7", "/staff/patients/1000007", "/staff/outages",
        "/staff/courses", "/link",
    )  # fmt: skip
    with httpx.Client(base_url=url, cookies={"daybreak_staff": cookie}, timeout=30, follow_redirects=True) as client:
        while not stop.is_set():
            for page in pages:
                began = time.monotonic()
                try:
                    answer = client.get(page)
                    if answer.status_code != 200 or answer.url.path == "/staff/login":
                        seen.failed.append(f"{page}: {answer.status_code} at {answer.url.path}")
                except httpx.HTTPError as error:
                    seen.failed.append(f"{page}: {error!r}")
                seen.answers += 1
                seen.slowest = max(seen.slowest, time.monotonic() - began)


def change(url: str, cookie: str, stop: threading.Event, seen: Seen) -> None:
    """Somebody changes how a patient is reminded, through the pages of the old code."""
    styles = cycle(("each", "digest"))
    with httpx.Client(base_url=url, timeout=30) as client:
        client.cookies.set("daybreak_staff", cookie, domain="127.0.0.1")
        while not stop.is_set():
            began = time.monotonic()
            try:
                token = re.search(r'name="csrf_token"[^>]*?value="([^"]+)"', client.get(CONTACTS).text)
                sent = CONTACT | {"message_style": next(styles), "csrf_token": token[1] if token else ""}
                answer = client.post(CONTACTS, data=sent)
                if answer.status_code != 302 or "login" in answer.headers["location"]:
                    seen.failed.append(f"change: {answer.status_code}")
            except httpx.HTTPError as error:
                seen.failed.append(f"change: {error!r}")
            seen.changes += 1
            seen.slowest = max(seen.slowest, time.monotonic() - began)
            time.sleep(0.1)


def write(url: str, stop: threading.Event, seen: Seen) -> None:
    """Somebody books, cancels and writes up all the while."""
    with psycopg.connect(url, autocommit=True) as connection:
        while not stop.is_set():
            began = time.monotonic()
            connection.execute("UPDATE treatment_sessions SET revision = revision + 1 WHERE id = 1000007")
            connection.execute("UPDATE patients SET message_style = message_style WHERE id = 1000007")
            seen.writes += 1
            seen.slowest_write = max(seen.slowest_write, time.monotonic() - began)
            time.sleep(0.01)


def watch(url: str, tables: list[str], stop: threading.Event, seen: Seen) -> None:
    """For how long the upgrade kept others from a table that was there before."""
    with psycopg.connect(url, autocommit=True) as connection:
        since: dict[str, float] = {}
        while not stop.is_set():
            at = time.monotonic()
            now = {table for (table,) in connection.execute(HELD, [tables])}
            since = {table: since.get(table, at) for table in now}
            for table, first in since.items():
                held = time.monotonic() - first
                seen.held[table] = max(seen.held.get(table, 0.0), held)
            time.sleep(0.01)


@pytest.mark.soak
def test_an_upgrade_of_two_versions_disturbs_nobody(old_tree, grown, postgres) -> None:
    cookie, seen, stop = cookie_of(grown), Seen(), threading.Event()
    plain, tables = _address(grown), _tables()
    with serving(old_tree, grown) as url:
        threads = [
            *(threading.Thread(target=browse, args=(url, cookie, stop, seen)) for _ in range(3)),
            threading.Thread(target=change, args=(url, cookie, stop, seen)),
            threading.Thread(target=write, args=(plain, stop, seen)),
            threading.Thread(target=watch, args=(plain, tables, stop, seen)),
        ]
        for thread in threads:
            thread.start()
        time.sleep(5)
        before = seen.answers
        began = time.monotonic()
        _upgrade()
        took = time.monotonic() - began
        time.sleep(5)
        stop.set()
        for thread in threads:
            thread.join()
    print(f"upgrade {took:.2f} s, longest lock {seen.longest_lock:.3f} s {[*seen.held]}, {seen.answers} pages, {seen.changes} changes, "
          f"slowest {seen.slowest:.2f} s, {seen.writes} writes, slowest {seen.slowest_write:.3f} s")  # fmt: skip
    assert seen.failed == []
    assert seen.changes
    assert seen.answers > before > 0
    assert seen.longest_lock < LONGEST_LOCK


@pytest.mark.soak
def test_no_migration_since_there_is_a_calendar_keeps_others_waiting(grown) -> None:
    seen, stop = Seen(), threading.Event()
    downgrade(revision=CALENDAR)
    plain, tables = _address(grown), _tables()
    threads = [
        threading.Thread(target=call, args=(plain, *more, stop, seen)) for call, *more in ((write,), (watch, tables))
    ]
    for thread in threads:
        thread.start()
    _upgrade()
    stop.set()
    for thread in threads:
        thread.join()
    print({table: round(held, 3) for table, held in seen.held.items()}, seen.writes, seen.slowest_write)
    assert seen.longest_lock < LONGEST_LOCK
    assert seen.slowest_write < LONGEST_LOCK


def test_a_migration_that_waits_for_a_long_reader_lets_others_through(committed_app) -> None:
    """As a backup reads: every table for as long as it takes."""
    with committed_app.app_context():
        downgrade(revision="-1")
        tables = ", ".join(_tables())
        with psycopg.connect(_address(committed_app)) as reader, ThreadPoolExecutor(1) as pool:
            reader.execute(f"LOCK TABLE {tables} IN ACCESS SHARE MODE")
            upgraded = pool.submit(_upgrade_of, committed_app)
            longest, until = 0.0, time.monotonic() + 2.5
            with psycopg.connect(_address(committed_app), autocommit=True) as other:
                while (began := time.monotonic()) < until:
                    other.execute(f"BEGIN; LOCK TABLE {tables} IN ACCESS SHARE MODE; COMMIT")
                    longest = max(longest, time.monotonic() - began)
            assert not upgraded.done()
            reader.rollback()
            upgraded.result(timeout=30)
        assert longest < 2 * LONGEST_LOCK
        db.engine.dispose()


def _tables() -> list[str]:
    """Those that are there."""
    asked = "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
    found = list(db.session.scalars(text(asked)))
    db.session.remove()
    return found


def _address(app: Flask) -> str:
    return str(app.config["SETTINGS"].database_url).replace("+psycopg", "")


def _upgrade_of(app: Flask) -> None:
    with app.app_context():
        upgrade()
        db.session.remove()


def _upgrade() -> None:
    """As `clinic db upgrade` does, under a name by which its locks are known."""
    db.engine.dispose()
    os.environ["PGAPPNAME"] = "upgrade"
    try:
        upgrade()
    finally:
        del os.environ["PGAPPNAME"]
        db.engine.dispose()
