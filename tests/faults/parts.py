"""Real workers and beats against a test's own database, broker and gateway, and the ways in which they die."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from clinic.config import Settings
from tests.gateway import FakeGateway

CELERY = [sys.executable, "-m", "celery", "-A", "workers.celery_app:celery"]


class Parts:
    """Starts programs whose clock stands at an instant; ends them all."""

    def __init__(self, settings: Settings, root: Path, folder: Path, gateways: list[FakeGateway], **more: str) -> None:
        self._root, self._folder = root, folder
        self.running: list[subprocess.Popen[bytes]] = []
        self.workers: list[subprocess.Popen[bytes]] = []
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("CLINIC_")},
            "CLINIC_INSTANCE": str(folder),
            "CLINIC_DATABASE_URL": settings.database_url,
            "CLINIC_REDIS_URL": settings.redis_url,
            "CLINIC_SECRET_KEYS": ",".join(settings.secret_keys),
            "CLINIC_DATA_KEYS": ",".join(settings.data_keys),
            **more,
        }
        for name, gateway in zip(("SMS", "SMS2"), gateways, strict=False):
            self._environment |= {
                f"CLINIC_{name}_URL": gateway.url,
                f"CLINIC_{name}_ACCOUNT": "AC1",
                f"CLINIC_{name}_TOKEN": "secret",
                f"CLINIC_{name}_FROM": "+17145550100",
            }

    def worker(
        self, at: datetime, *, queues: str = "urgent,normal,bulk", processes: int = 1
    ) -> "subprocess.Popen[bytes]":
        """A worker; of one process, unless said otherwise."""
        pool = ["--pool=solo"] if processes == 1 else ["-c", str(processes)]
        process = self._start([*CELERY, "worker", "-Q", queues, *pool, "--without-mingle", "--without-gossip"], at)
        self.workers.append(process)
        return process

    def beat(self, at: datetime) -> "subprocess.Popen[bytes]":
        """A beat with a schedule file of its own."""
        schedule = self._folder / f"schedule-{len(self.running)}"
        return self._start([*CELERY, "beat", "-s", str(schedule), "--pidfile="], at)

    def _start(self, command: list[str], at: datetime) -> "subprocess.Popen[bytes]":
        environment = self._environment | {"CLINIC_CLOCK_OFFSET": str((at - datetime.now(UTC)).total_seconds())}
        with self._log(len(self.running)).open("wb") as log:
            process = subprocess.Popen(
                command, cwd=self._root, env=environment, stdout=log, stderr=log, start_new_session=True
            )
        self.running.append(process)
        return process

    def _log(self, number: int) -> Path:
        return self._folder / f"part-{number}.log"

    def end(self) -> None:
        """Kill what still runs, and show what was said: pytest prints it where the test failed."""
        for number, process in enumerate(self.running):
            kill(process)
            print(f"-- part {number}\n" + self._log(number).read_text(errors="replace")[-2500:])


def kill(process: "subprocess.Popen[bytes]") -> None:
    """As `kill -9`, its children too."""
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(60)  # at once, but for a machine that is very busy


def pause(process: "subprocess.Popen[bytes]", seconds: float) -> None:
    """Stop it where it stands, then let it go on."""
    os.killpg(process.pid, signal.SIGSTOP)
    time.sleep(seconds)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGCONT)


def wait(until: Callable[[], bool], what: str, seconds: float, between: Callable[[], object] = lambda: None) -> None:
    """Until it is so; fails after some seconds."""
    ends = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < ends, f"{what} took longer than {seconds:.0f} s"
        between()
        time.sleep(0.05)
