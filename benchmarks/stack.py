"""The running stack: proportional memory of all its processes, and seconds from start to `ready:` on the second start.

The baseline of the start is the bare servers: PostgreSQL and Redis up, with nothing on them, on the same data.
"""

import os
import re
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clinic.embedded.ports import free_port
from clinic.embedded.postgres import PostgresServer
from clinic.embedded.redis import RedisServer

ROOT = Path(__file__).parent.parent
START_WITHIN = 300  # seconds; the first start loads the demo clinic


@contextmanager
def running(instance: Path) -> Iterator[tuple[int, float]]:
    """The stack on this instance: its process id, and the seconds until it was ready."""
    env = {**os.environ, "CLINIC_INSTANCE": str(instance), "CLINIC_PORT": str(free_port())}
    command = [str(ROOT / ".venv/bin/clinic"), "run"]
    started = time.monotonic()
    process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        yield process.pid, _wait_ready(process, started)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def _wait_ready(process: subprocess.Popen[bytes], started: float) -> float:
    assert process.stdout is not None
    said = b""
    while b"ready:" not in said:
        left = started + START_WITHIN - time.monotonic()
        if left <= 0 or process.poll() is not None:
            raise SystemExit(f"the stack did not start:\n{said.decode()}")
        if select.select([process.stdout], [], [], min(left, 0.2))[0]:
            said += os.read(process.stdout.fileno(), 65536)
    return time.monotonic() - started


def descendants(pid: int) -> dict[int, str]:
    """Process ids below and including `pid`, with their command lines."""
    parents: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        parents[int(folder.name)] = int(fields[1])
    found = {pid}
    while grown := {child for child, parent in parents.items() if parent in found} - found:
        found |= grown
    return {one: _command(one) for one in found}


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def part_of(command: str) -> str:
    """Which of the parts a process belongs to."""
    for mark, part in (
        ("postgres", "PostgreSQL"),
        ("redis", "Redis"),
        ("valkey", "Redis"),
        (" beat", "beat"),
        (" worker", "worker"),
        ("gunicorn", "web"),
    ):
        if mark in command:
            return part
    return "supervisor"


def proportional_mib(pid: int) -> float:
    """PSS of one process: its own pages, and its share of pages that it shares."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0.0
    found = re.search(r"^Pss:\s+(\d+) kB", text, re.MULTILINE)
    return int(found[1]) / 1024 if found else 0.0


def memory(pid: int) -> dict[str, float]:
    """MiB by part of the stack below `pid`."""
    parts: dict[str, float] = {}
    for one, command in descendants(pid).items():
        parts[part_of(command)] = parts.get(part_of(command), 0.0) + proportional_mib(one)
    return parts


def bare_start(instance: Path) -> float:
    """Seconds until PostgreSQL and Redis alone are up on this instance's data."""
    started = time.monotonic()
    with PostgresServer(instance / "postgres"), RedisServer(instance / "redis"):
        return time.monotonic() - started


def main() -> int:
    """Print the memory and the start, each with its parts."""
    with tempfile.TemporaryDirectory(prefix="daybreak-bench-") as folder:
        instance = Path(folder) / "instance"
        with running(instance) as (_, first):
            pass
        bare = bare_start(instance)
        with running(instance) as (pid, second):
            time.sleep(5)  # let the pools settle
            parts = memory(pid)
    total = sum(parts.values())
    servers = parts.get("PostgreSQL", 0.0) + parts.get("Redis", 0.0)
    print(f"memory: whole stack / its two servers = {total / servers:.1f}; {total:.0f} MiB proportional (PSS)")
    print("  " + "   ".join(f"{part} {mib:.0f} MiB" for part, mib in sorted(parts.items(), key=lambda item: -item[1])))
    print(
        f"second start: ready / bare servers up = {second / bare:.1f}; {second:.1f} s to `ready:`, servers alone {bare:.1f} s"
    )
    print(f"  first start with the demo clinic loaded: {first:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
