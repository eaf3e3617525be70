"""The supervisor behind `make run`: PostgreSQL, Redis, web, worker and beat as children, all of them or none."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import psycopg

from clinic.config import RUNNING_FILE, ensure_secrets, read_settings
from clinic.embedded.instance import (
    check_port,
    claim_instance,
    clock_offset,
    prepare_instance,
    readiness,
    shown_address,
)
from clinic.embedded.postgres import PostgresServer
from clinic.embedded.process import ServerError, end, kill_orphans, launch, say, show, size, telling_line, write_private
from clinic.embedded.redis import RedisServer

ROOT = Path(__file__).resolve().parents[2]
QUICK = 10.0  # seconds; a child that ends sooner has not really started
QUICK_DEATHS = 5  # in a row, then everything stops
FIRST_DEATHS = 2  # the same before everything was up once: a broken package does not mend itself
READY_WITHIN = 180.0  # seconds from the first program to /readyz
PATIENCE = 20.0  # seconds that a program gets to end
TICK = 0.1
UNFINISHED_DEMO = "demo-unfinished"
COMMAND = [sys.executable, "-P", "-c", "from clinic.cli.main import main; main(prog_name='clinic')"]
_PR_SET_CHILD_SUBREAPER = 36


class Stopped(Exception):
    """Somebody asked us to end."""


@dataclass
class Child:
    """One of the parts: how to start and end it, and how often it failed."""

    name: str
    log: Path
    start: Callable[[], subprocess.Popen[bytes] | None]
    stop: Callable[[], None]
    process: subprocess.Popen[bytes] | None = None
    log_start: int = 0
    started_at: float = 0.0
    quick_deaths: int = 0
    start_again_at: float = 0.0


class Supervisor:
    """Starts the parts in order, restarts one that dies, ends them all. One per instance."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.instance = Path(environ.get("CLINIC_INSTANCE") or "instance").absolute()
        self.logs = self.instance / "log"
        own = {name: value for name, value in environ.items() if name.startswith("CLINIC_")}
        prepare_instance(self.instance)
        self.locks = claim_instance(self.instance)
        (self.instance / RUNNING_FILE).unlink(missing_ok=True)
        self.settings = read_settings(own | {"CLINIC_INSTANCE": str(self.instance)})
        self.env = dict(environ) | {"CLINIC_INSTANCE": str(self.instance), "PYTHONUNBUFFERED": "1"}
        if not self.settings.is_production:
            ensure_secrets(self.instance)
            offset = clock_offset(self.instance, self.settings.clock_start, own.get("CLINIC_CLOCK_OFFSET", ""))
            self.env["CLINIC_CLOCK_OFFSET"] = str(offset)
        self.env.pop("CLINIC_CLOCK_START", None)
        self.servers: list[Child] = []
        self.programs: list[Child] = []
        self.asked_to_stop = 0
        self.was_ready = False

    def run(self) -> None:
        """From the first server to the last child's end. Raises ServerError with one line."""
        for sign in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(sign, self._heard)
        # Orphans of our children come to us, so that the end can be sure of having met every one.
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)
        try:
            with suppress(Stopped):
                self._start_servers()
                self._prepare_database()
                self._start_programs()
                self._wait_until_ready()
                while True:
                    self._watch()
        finally:
            self._stop_all()
            (self.instance / RUNNING_FILE).unlink(missing_ok=True)
            self.locks.release()

    def _heard(self, _sign: int, _frame: FrameType | None) -> None:
        self.asked_to_stop += 1

    # Start

    def _start_servers(self) -> None:
        check_port(self.settings.host, self.settings.port)
        self.env["CLINIC_DATABASE_URL"] = self.settings.database_url
        self.env["CLINIC_REDIS_URL"] = self.settings.redis_url
        if not self.settings.database_url:
            postgres = PostgresServer(self.instance / "postgres", log=self._log("postgres"))
            self._add_server("PostgreSQL", postgres)
            self.env["CLINIC_DATABASE_URL"] = postgres.url()
        if not self.settings.redis_url:
            redis = RedisServer(self.instance / "redis", log=self._log("redis"))
            self._add_server("Redis", redis)
            self.env["CLINIC_REDIS_URL"] = redis.url
        published = ("DATABASE_URL", "REDIS_URL", "CLOCK_OFFSET", "HOST", "PORT", "PUBLIC_URL")
        lines = [
            f"CLINIC_{name}={self.env[f'CLINIC_{name}']}\n" for name in published if self.env.get(f"CLINIC_{name}")
        ]
        write_private(self.instance / RUNNING_FILE, "".join(lines))

    def _prepare_database(self) -> None:
        url = self.env["CLINIC_DATABASE_URL"]
        unfinished = self.instance / UNFINISHED_DEMO
        if unfinished.exists():  # all that stands there is half a demo: nobody could use it yet
            if self.settings.database_url:
                raise ServerError(f"Half a demo clinic was loaded: empty the database, then delete {unfinished}.")
            empty_database(url)
        self._step("updating the database", "db", "upgrade")
        if not self.settings.is_production and database_is_empty(url):
            write_private(unfinished, "")
            self._step("loading the demo clinic (made-up people)", "demo", "load", "--size", "small")
            unfinished.unlink()

    def _start_programs(self) -> None:
        celery = ["-m", "celery", "-A", "workers.celery_app:celery"]
        schedule = str(self.instance / "celerybeat-schedule")
        self._add_program(
            "web", "-m", "gunicorn", "-c", str(ROOT / "clinic/embedded/gunicorn_conf.py"), "clinic.app:create_app()"
        )
        alone = ["--loglevel=WARNING", "--without-mingle", "--without-gossip"]
        # One process does nothing but what somebody waits for.
        self._add_program("worker-urgent", *celery, "worker", "-Q", "urgent", "--pool=solo", *alone)
        self._add_program("worker", *celery, "worker", "-Q", "normal,bulk", "--concurrency=2", *alone)
        self._add_program("beat", *celery, "beat", "--loglevel=WARNING", "-s", schedule)

    def _add_server(self, name: str, server: PostgresServer | RedisServer) -> None:
        def start() -> subprocess.Popen[bytes] | None:
            server.start()
            return server.process

        say(f"starting {name}")
        self.servers.append(child := Child(name, server.log, start, server.stop))
        self._start(child)

    def _add_program(self, name: str, *arguments: str) -> None:
        def start() -> subprocess.Popen[bytes]:
            return launch([sys.executable, "-P", *arguments], log=log, env=self.env, keep=[self.locks.shared])

        def stop() -> None:
            if child.process is not None:
                end(child.process)

        log = self._log(name)
        self.programs.append(child := Child(name, log, start, stop))
        self._start(child)

    def _start(self, child: Child) -> None:
        if self.asked_to_stop:
            raise Stopped
        child.log_start = size(child.log)
        child.started_at = time.monotonic()
        child.process = child.start()

    def _step(self, what: str, *arguments: str) -> None:
        """Run a `clinic` command to its end. Raises ServerError with what it said last."""
        say(what)
        log = self._log("setup")
        log_start = size(log)
        process = launch([*COMMAND, *arguments], log=log, env=self.env, keep=[self.locks.shared])
        while process.poll() is None:
            if self.asked_to_stop:
                end(process, signal.SIGTERM)
                raise Stopped
            time.sleep(TICK)
        if process.returncode:
            raise ServerError(f"{what} failed: {telling_line(log, log_start)} (log: {log})")

    def _wait_until_ready(self) -> None:
        say("starting web, worker and beat")
        deadline = time.monotonic() + READY_WITHIN
        while (missing := readiness(self.settings.host, self.settings.port)) is not None:
            if time.monotonic() > deadline:
                raise ServerError(f"Not ready after {READY_WITHIN:.0f} s: {missing} (logs: {self.logs})")
            self._watch()
        self.was_ready = True
        show(f"ready: {shown_address(self.settings.host, self.settings.port)}")
        if not self.settings.is_production:
            said = subprocess.run(
                [*COMMAND, "demo", "sign-ins"], env=self.env, capture_output=True, text=True, check=False
            )
            show(said.stdout.rstrip())

    # While it runs

    def _watch(self) -> None:
        """One look at every child. Raises Stopped or, when one cannot be kept alive, ServerError."""
        if self.asked_to_stop:
            raise Stopped
        self._reap_orphans()
        for child in (*self.servers, *self.programs):
            if child.process is not None and child.process.poll() is not None:
                self._bury(child)
            if child.process is None and time.monotonic() >= child.start_again_at:
                try:
                    self._start(child)
                except ServerError as error:
                    self._count_death(child, str(error))
        time.sleep(TICK)

    def _bury(self, child: Child) -> None:
        assert child.process is not None
        code = child.process.returncode
        child.stop()  # what is left of its group
        child.process = None
        cause = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit {code}"
        self._count_death(child, f"{cause}, {telling_line(child.log, child.log_start) or 'no word'}")

    def _count_death(self, child: Child, why: str) -> None:
        lived = time.monotonic() - child.started_at
        child.quick_deaths = child.quick_deaths + 1 if lived < QUICK else 1
        if child.quick_deaths >= (QUICK_DEATHS if self.was_ready else FIRST_DEATHS):
            raise ServerError(f"{child.name} does not stay up: {why} (log: {child.log})")
        child.start_again_at = time.monotonic() + 0.25 * 2**child.quick_deaths
        if self.was_ready:
            say(f"{child.name} ended ({why}); starting it again")

    def _reap_orphans(self) -> None:
        """Orphans that came to us are waited for; our own children are left to their Popen."""
        own = {child.process.pid for child in (*self.servers, *self.programs) if child.process is not None}
        with suppress(ChildProcessError):
            while (found := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) and found.si_pid not in own:
                os.waitpid(found.si_pid, 0)

    # End

    def _stop_all(self) -> None:
        """Programs first and all at once, then the servers that they use, then orphans. A second Ctrl-C hurries."""
        if any(child.process is not None for child in (*self.servers, *self.programs)):
            say("stopping")
        self.asked_to_stop = 0
        running = [child.process for child in self.programs if child.process is not None]
        for process in running:
            if process.poll() is None:
                process.terminate()
        deadline = time.monotonic() + PATIENCE
        while any(process.poll() is None for process in running):
            if time.monotonic() > deadline or self.asked_to_stop:
                break
            time.sleep(TICK / 2)
        for child in (*self.programs[::-1], *self.servers[::-1]):
            child.stop()
        kill_orphans()

    def _log(self, name: str) -> Path:
        return self.logs / f"{name}.log"


def database_is_empty(url: str) -> bool:
    """No place and no patient yet."""
    with _connect(url) as connection:
        row = connection.execute(
            "SELECT NOT (EXISTS (SELECT FROM locations) OR EXISTS (SELECT FROM patients))"
        ).fetchone()
    return bool(row and row[0])


def empty_database(url: str) -> None:
    """Drop every table."""
    with _connect(url) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")


def _connect(url: str) -> psycopg.Connection:
    return psycopg.connect(url.replace("postgresql+psycopg:", "postgresql:", 1))
