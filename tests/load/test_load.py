"""The whole clinic under load from another process, while each of its parts is killed once.

`LOAD_SESSIONS` people and systems, `LOAD_SECONDS`, `LOAD_PAUSE` seconds on average between two requests of one of them, `SEED`.
A smaller run: LOAD_SESSIONS=20 LOAD_SECONDS=60 LOAD_PAUSE=2. `docs/reliability.md` holds what was measured.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import quantiles
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import psutil
import psycopg
import pytest
from flask import Flask
from redis import Redis
from redis.exceptions import RedisError

from clinic.app import create_app
from clinic.audit.verifying import verify
from clinic.config import read_settings
from clinic.db import db
from clinic.scheduling import proving
from tests.browser.stack import ROOT, Stack, wait_for
from tests.load import scene, visitors

pytestmark = [pytest.mark.soak, pytest.mark.faults, pytest.mark.embedded]

START = datetime.fromisoformat("2027-03-01T10:00:00-08:00")  # a Monday
SESSIONS = int(os.environ.get("LOAD_SESSIONS", "200"))
SECONDS = int(os.environ.get("LOAD_SECONDS", "600"))
PAUSE = float(os.environ.get("LOAD_PAUSE", "8"))
SEED = int(os.environ.get("SEED", "1"))
KILLS = {"worker": 0.2, "Redis": 0.4, "PostgreSQL": 0.6, "web": 0.8}  # at which share of the time
RECOVERS_WITHIN = 10.0


@dataclass
class Death:
    """A part that was killed: when, when it was there again, and when all was well."""

    part: str
    killed: float = 0.0
    back: float = 0.0
    well: float = 0.0


class Running:
    """The clinic's parts, as the machine sees them."""

    def __init__(self, stack: Stack, app: Flask) -> None:
        self.stack, self.settings = stack, app.config["SETTINGS"]

    def processes(self, part: str) -> set[int]:
        """The supervisor's own children that are this part."""
        marks = {"web": "gunicorn", "PostgreSQL": "bin/postgres", "worker": "worker", "Redis": "-server"}
        found = set()
        for child in psutil.Process(self.stack.pid).children():
            with suppress(psutil.NoSuchProcess):
                if any(word.split(" ")[0].rstrip(":").endswith(marks[part]) for word in child.cmdline()):
                    found.add(child.pid)
        return found

    def kill(self, part: str) -> set[int]:
        """Kill -9 the processes of a part, without a word to their children; answers which."""
        killed = self.processes(part)
        assert killed, f"no {part} runs"
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
        return killed

    def is_back(self, part: str, killed: float) -> bool:
        """The part itself answers."""
        if part == "web":
            return self._status("/healthz") == 200
        if part == "Redis":
            with suppress(RedisError), Redis.from_url(self.settings.redis_url, socket_timeout=1) as client:
                return bool(client.ping())
            return False
        query = "SELECT 1 FROM heartbeats WHERE part = 'worker:normal' AND beat_at > to_timestamp(%s)"
        if part == "PostgreSQL":
            query = "SELECT 1 WHERE %s > 0"
        at = killed + self.settings.clock_offset
        url = self.settings.database_url.replace("postgresql+psycopg:", "postgresql:", 1)
        with suppress(psycopg.Error), psycopg.connect(url, connect_timeout=1) as connection:
            return connection.execute(query, [at]).fetchone() is not None
        return False

    def is_well(self) -> bool:
        """Every part answers, and a page that reads the database comes."""
        return self._status("/readyz") == 200 and self._status("/locations") == 200

    def _status(self, path: str) -> int:
        try:
            with urlopen(self.stack.url + path, timeout=5) as answer:
                return int(answer.status)
        except HTTPError as error:
            return error.code
        except (URLError, OSError):
            return 0


@pytest.fixture
def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Running, Flask]]:
    """The demo clinic behind one proxy, and an application of our own on its database."""
    monkeypatch.setattr("tests.browser.stack.READY_WITHIN", 900.0)  # the machine may be busy, and is not what is tested
    with Stack(tmp_path / "instance", CLINIC_TRUSTED_PROXIES="1") as stack:
        stack.start(START)
        for name in [name for name in os.environ if name.startswith("CLINIC_")]:
            monkeypatch.delenv(name)
        app = create_app(read_settings({"CLINIC_INSTANCE": str(stack.instance)}))
        with app.app_context():
            yield Running(stack, app), app
            db.session.remove()
            db.engine.dispose()
        for log in sorted((stack.instance / "log").glob("*.log")):
            print(f"-- {log.name}\n" + log.read_text(errors="replace")[-3000:])


def test_nothing_is_lost_while_every_part_dies_once(running: tuple[Running, Flask], tmp_path: Path) -> None:
    clinic, _app = running
    plan_file, journal = tmp_path / "plan.json", tmp_path / "journal.jsonl"
    given = {"url": clinic.stack.url, "seed": SEED, "seconds": SECONDS, "pause": PAUSE, "ramp": min(60, SECONDS / 10)}
    plan = scene.prepare(SESSIONS, **given)
    plan_file.write_text(json.dumps(plan))
    db.session.remove()
    db.engine.dispose()
    command = [sys.executable, "-m", visitors.__name__, str(plan_file), str(journal)]
    load = subprocess.Popen(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)})
    began = time.time()
    try:
        deaths = [die(clinic, part, began + share * SECONDS) for part, share in KILLS.items()]
        assert load.wait(SECONDS + 4 * visitors.PATIENCE) == 0
    finally:
        load.kill()
    if keep := os.environ.get("LOAD_JOURNAL"):
        Path(keep).write_bytes(journal.read_bytes())
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    left = lines.pop()["left"]
    assert len(lines) > len(plan["visitors"]), "the machine was too busy for anybody to come"
    judged = Judged(lines, deaths)
    print(judged.report(len(plan["visitors"])))
    assert left == 0
    assert judged.faults() == []
    assert [x for death in deaths if (x := judged.late(death))] == []
    assert_whole(lines, plan)


def die(clinic: Running, part: str, at: float) -> Death:
    """Kill a part at an instant, and see it come back."""
    time.sleep(max(0.0, at - time.time()))
    death = Death(part, killed=time.time())
    killed = clinic.kill(part)
    _until(lambda: bool(clinic.processes(part) - killed) and clinic.is_back(part, death.killed))
    death.back = time.time()
    _until(clinic.is_well)
    death.well = time.time()
    return death


def _until(is_so: Callable[[], bool]) -> None:
    ends = time.monotonic() + 90
    while not is_so() and time.monotonic() < ends:
        time.sleep(0.05)


class Judged:
    """What the visitors met, held against what was dead at the time."""

    def __init__(self, lines: list[dict[str, Any]], deaths: list[Death]) -> None:
        self.lines, self.deaths = lines, {death.part: death for death in deaths}

    def _is_during(self, line: dict[str, Any], part: str) -> bool:
        """From the kill until ten seconds after the part was there again; a request that began or ended in it."""
        death = self.deaths[part]
        ended = line["at"] + line["took"]
        return ended >= death.killed and line["at"] <= death.back + RECOVERS_WITHIN

    def is_clean(self, line: dict[str, Any]) -> bool:
        """An answer that a person can live with: no fault of ours, or what a dead part explains."""
        status = line["status"]
        if status == 503:
            return self._is_during(line, "PostgreSQL")
        if status == visitors.CUT:
            return self._is_during(line, "web")
        return status != visitors.HUNG and status < 500

    def faults(self) -> list[str]:
        """Everything else, by kind."""
        found = Counter(f"{line['status']} {line['what']}" for line in self.lines if not self.is_clean(line))
        return [f"{count} x {what}" for what, count in found.most_common()]

    def recovery(self, death: Death) -> float:
        """Seconds from a part's return to the last answer that its death explains, or until all was well."""
        bad = {"PostgreSQL": 503, "web": visitors.CUT}.get(death.part)
        last = [line["at"] for line in self.lines if line["status"] == bad and self._is_during(line, death.part)]
        return max([death.well, *last]) - death.back

    def late(self, death: Death) -> str:
        """Empty where it recovered in time."""
        seconds = self.recovery(death)
        return "" if seconds <= RECOVERS_WITHIN else f"{death.part}: {seconds:.1f} s after its return"

    def report(self, count: int) -> str:
        """What docs/reliability.md says."""
        took = quantiles([line["took"] for line in self.lines], n=100)
        claims = Counter(f"{line['key'][0]}: {line['written']}" for line in self.lines if "key" in line)
        statuses = Counter(line["status"] for line in self.lines)
        span = max(line["at"] for line in self.lines) - min(line["at"] for line in self.lines)
        said = [f"{count} sessions, {span:.0f} s, {len(self.lines)} requests, {len(self.lines) / span:.1f} a second"]
        said += [
            f"half under {took[49] * 1000:.0f} ms, 95 % under {took[94] * 1000:.0f}, 99 % under {took[98] * 1000:.0f}"
        ]
        said += [f"answers: {dict(sorted(statuses.items()))} (0: connection cut or refused, -1: none in time)"]
        said += [f"writes: {dict(sorted(claims.items()))}"]
        for death in self.deaths.values():
            clock = datetime.fromtimestamp(death.killed, UTC)
            said += [f"{death.part} killed at {clock:%H:%M:%S}, back after {death.back - death.killed:.1f} s,"]
            said[-1] += f" all well {self.recovery(death):.1f} s later"
        return "\n".join(said)


def assert_whole(lines: list[dict[str, Any]], plan: dict[str, Any]) -> None:
    """The database holds what was promised, once, and nothing that contradicts itself."""
    assert list(scene.lost(lines)) == []
    assert list(scene.written_twice(lines, plan)) == []
    assert scene.overlaps() == 0
    assert [one for one in proving.prove() if not one.pending] == []
    sealed = wait_for(_sealed, "every event to be sealed")
    assert sealed.problems == []


def _sealed() -> Any:
    db.session.rollback()
    report = verify()
    return report if not report.is_tail_old else None
