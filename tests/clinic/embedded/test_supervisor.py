"""The real thing: `clinic run` with all five parts, killed and ended in every way."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from clinic.config import instance_values
from clinic.embedded.ports import free_port
from clinic.embedded.process import take_lock

pytestmark = [pytest.mark.embedded, pytest.mark.faults, pytest.mark.xdist_group("supervisor")]
COMMAND = [sys.executable, "-P", "-c", "from clinic.cli.main import main; main()", "run"]
ROOT = Path(__file__).parents[3]
START = "2027-03-13T07:00:00-08:00"


class Clinic:
    """One `clinic run` on an instance of its own."""

    def __init__(self, instance: Path, **settings: str) -> None:
        self.port = settings.pop("CLINIC_PORT", "") or str(free_port())
        self.instance = instance
        env = {name: value for name, value in os.environ.items() if not name.startswith(("CLINIC_", "MAKE"))}
        env |= {"CLINIC_INSTANCE": str(instance), "CLINIC_PORT": self.port, "PYTHONPATH": str(ROOT)} | settings
        self.process = subprocess.Popen(COMMAND, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.said: list[str] = []

    def wait_for(self, pattern: str) -> None:
        """Read its output up to a line that matches."""
        assert self.process.stdout
        for line in self.process.stdout:
            self.said.append(line.rstrip())
            if re.match(pattern, line):
                return
        raise AssertionError("\n".join(["never said it:", *self.said]))

    def dead_parts(self) -> list[str]:
        try:
            with urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=5) as answer:
                return json.load(answer)["dead"]
        except (URLError, OSError):
            return ["web"]

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + 40
        while self.dead_parts():
            assert time.monotonic() < deadline, self.dead_parts()
            time.sleep(0.2)

    def children(self) -> dict[str, int]:
        """Process id of each of the parts."""
        found = {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text().rsplit(")", 1)[1].split()
                line = (stat.parent / "cmdline").read_text().replace("\0", " ")
            except OSError:
                continue
            if int(fields[1]) == self.process.pid:
                line = line.replace(" worker -Q urgent", " worker-urgent ")
                for name in PROGRAMS:
                    if name in line:
                        found[name.split()[0].replace("redis-server", "valkey-server")] = int(stat.parent.name)
        return found

    def end(self, sign: signal.Signals = signal.SIGTERM) -> None:
        """Ask it to stop and wait for its end."""
        if self.process.poll() is None:
            self.process.send_signal(sign)
            self.process.communicate(timeout=60)


PROGRAMS = ("postgres -D", "valkey-server", "redis-server", "gunicorn", " worker-urgent ", " worker ", " beat ")


def nothing_is_left(instance: Path) -> bool:
    """Every program of a run inherits one of these locks and so do its own children."""
    for name in ("programs.lock", "postgres/lock", "redis/lock"):
        lock = take_lock(instance / name, patience=0)
        if lock is None:
            return False
        os.close(lock)
    return not (instance / "running.env").exists()


def start(instance: Path, **settings: str) -> Clinic:
    clinic = Clinic(instance, **settings)
    try:
        clinic.wait_for("ready: ")
    except BaseException:
        clinic.end()
        raise
    return clinic


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    """A run that the tests below share and that the last of them kills."""
    clinic = start(tmp_path_factory.mktemp("clinic") / "an instance", CLINIC_CLOCK_START=START)
    yield clinic
    clinic.end()


def test_ready_is_said_only_when_all_five_parts_answer(clinic):
    assert clinic.dead_parts() == []
    assert clinic.said[-1] == f"ready: http://127.0.0.1:{clinic.port}"
    assert set(clinic.children()) == {"postgres", "valkey-server", "gunicorn", "worker-urgent", "worker", "beat"}


@pytest.mark.parametrize(
    "part",
    [
        "postgres",
        "worker",
        pytest.param("worker-urgent", marks=pytest.mark.soak),
        pytest.param("valkey-server", marks=pytest.mark.soak),
        pytest.param("gunicorn", marks=pytest.mark.soak),
        pytest.param("beat", marks=pytest.mark.soak),
    ],
)
def test_a_part_that_is_killed_comes_back(clinic, part):
    before = clinic.children()[part]
    os.kill(before, signal.SIGKILL)
    clinic.wait_for(r"daybreak: \S+ ended \(signal SIGKILL")
    deadline = time.monotonic() + 40
    while clinic.children().get(part, before) == before:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    clinic.wait_until_ready()


def test_a_second_run_on_the_instance_is_one_line(clinic):
    second = Clinic(clinic.instance)
    said = second.process.communicate(timeout=20)[0]
    assert second.process.returncode == 1
    assert re.fullmatch(r"daybreak: Daybreak already runs from .*\n", said)
    assert clinic.dead_parts() == []


def test_a_taken_port_is_one_line(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        clinic = Clinic(tmp_path / "other", CLINIC_PORT=str(taken.getsockname()[1]))
        said = clinic.process.communicate(timeout=20)[0]
    assert clinic.process.returncode == 1
    assert re.fullmatch(r"daybreak: Port \d+ on 127.0.0.1 is taken by another program: .*\n", said)


def test_killed_it_takes_everything_along_and_the_next_run_has_the_data(clinic):
    offset = instance_values(clinic.instance)["CLINIC_CLOCK_OFFSET"]
    clinic.process.kill()
    clinic.process.communicate()
    again = start(clinic.instance, CLINIC_PORT=clinic.port)
    kept = instance_values(again.instance)["CLINIC_CLOCK_OFFSET"]
    again.end()
    assert kept == offset
    assert not any("loading the demo" in line for line in again.said)
    assert again.process.returncode == 0
    assert nothing_is_left(again.instance)


@pytest.mark.soak
def test_ctrl_c_while_the_demo_loads_leaves_nothing_behind_and_no_half_demo(tmp_path):
    clinic = Clinic(tmp_path / "new")
    clinic.wait_for("daybreak: loading")
    time.sleep(8)
    clinic.end(signal.SIGINT)
    assert clinic.process.returncode == 0
    assert nothing_is_left(clinic.instance)
    again = start(clinic.instance)
    again.end()
    assert any("loading the demo" in line for line in again.said)
