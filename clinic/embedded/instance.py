"""The instance: one folder that holds everything of one clinic on this machine, and who may use it."""

import json
import os
import socket
import stat
import time
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from clinic.config import INSTANT_WANTED, SECRETS_FILE, instant
from clinic.embedded.process import ServerError, say, take_lock, write_private

SUPERVISOR_LOCK = "supervisor.lock"
PROGRAMS_LOCK = "programs.lock"
CLOCK_FILE = "clock.json"
LEFTOVERS = 30.0  # seconds that the programs of a killed supervisor get to end


@dataclass(frozen=True)
class Locks:
    """`own` is the supervisor's alone; `shared` is inherited by every program and free once all have ended."""

    own: int
    shared: int

    def release(self) -> None:
        """Let the next run in."""
        os.close(self.shared)
        os.close(self.own)


def prepare_instance(instance: Path) -> None:
    """Make the folder (mode 0700). Raises ServerError where it is somebody else's or holds something else."""
    try:
        instance.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = instance.stat()
        empty = not any(instance.iterdir())
    except OSError as error:
        raise ServerError(f"The instance folder {instance} cannot be used: {error.strerror}.") from error
    if not empty and not (instance / SUPERVISOR_LOCK).exists() and not (instance / SECRETS_FILE).exists():
        raise ServerError(f"{instance} holds something else: set CLINIC_INSTANCE to an empty or new folder.")
    if found.st_uid != os.geteuid() and not (empty and os.geteuid() == 0):
        raise ServerError(f"{instance} belongs to another account: start as that account, or set CLINIC_INSTANCE.")
    if stat.S_IMODE(found.st_mode) != 0o700:
        instance.chmod(0o700)


def claim_instance(instance: Path) -> Locks:
    """Take both locks. Raises ServerError when another supervisor runs here."""
    own = take_lock(instance / SUPERVISOR_LOCK, patience=0)
    if own is None:
        holder = (instance / SUPERVISOR_LOCK).read_text().strip()
        raise ServerError(
            f"Daybreak already runs from {instance} (process {holder}): "
            "stop it first, or set CLINIC_INSTANCE and CLINIC_PORT for a second clinic."
        )
    os.ftruncate(own, 0)
    os.pwrite(own, f"{os.getpid()}\n".encode(), 0)
    path = instance / PROGRAMS_LOCK
    shared = take_lock(path, patience=0)
    if shared is None:
        say("waiting for the rest of an earlier run to end")
        shared = take_lock(path, patience=LEFTOVERS)
    if shared is None:
        raise ServerError(f"Programs of an earlier run still hold {path}: end them first.")
    return Locks(own, shared)


def clock_offset(instance: Path, start: str, offset: str) -> float:
    """Seconds between the clinic's clock and the machine's.

    CLINIC_CLOCK_START is turned into an offset once; later runs keep it until they are given another start, or
    CLINIC_CLOCK_OFFSET itself (0 goes back to the machine's time). Raises ServerError for a start that is no instant.
    """
    path = instance / CLOCK_FILE
    kept_start, kept_offset = "", 0.0
    with suppress(OSError, ValueError, KeyError):
        kept = json.loads(path.read_text())
        kept_start, kept_offset = str(kept["start"]), float(kept["offset"])
    if offset:
        start, seconds = "", float(offset)
    elif start and start != kept_start:
        seconds = _instant(start) - time.time()
    else:
        return kept_offset
    write_private(path, json.dumps({"start": start, "offset": seconds}) + "\n")
    return seconds


def _instant(text: str) -> float:
    try:
        return instant(text).timestamp()
    except ValueError:
        raise ServerError(f"CLINIC_CLOCK_START is {text!r}: {INSTANT_WANTED}.") from None


def check_port(host: str, port: int) -> None:
    """Raise ServerError when the web server could not listen there."""
    try:
        family, kind, protocol, _name, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except socket.gaierror:
        raise ServerError(f"CLINIC_HOST is {host!r}, which is no address of this machine.") from None
    except PermissionError:
        raise ServerError(f"Port {port} needs special rights: set CLINIC_PORT to one above 1023.") from None
    except OSError as error:
        reason = "is taken by another program" if error.errno == 98 else f"cannot be used ({error.strerror})"
        raise ServerError(
            f"Port {port} on {host} {reason}: stop that program, or set CLINIC_PORT to a free port."
        ) from None


def shown_address(host: str, port: int) -> str:
    """Where a person on this machine finds the web server."""
    return f"http://{_reachable(host, bracketed=True)}:{port}"


def readiness(host: str, port: int) -> str | None:
    """None when /readyz says that every part answers, else what is missing."""
    status, body = _get(host, port, "/readyz")
    if status == 200:
        return None
    with suppress(ValueError, AttributeError, KeyError):
        parts = json.loads(body)["parts"]
        return ", ".join(f"{name} is {state}" for name, state in parts.items() if state != "up")
    return f"/readyz answers {status}" if status else "web does not answer"


def answers(host: str, port: int) -> bool:
    """Is the web process up?"""
    return _get(host, port, "/healthz")[0] == 200


def _get(host: str, port: int, path: str) -> tuple[int, bytes]:
    """Status and body; status 0 when nothing answers."""
    connection = HTTPConnection(_reachable(host), port, timeout=5)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, HTTPException):
        return 0, b""
    finally:
        connection.close()


def _reachable(host: str, *, bracketed: bool = False) -> str:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)  # noqa: S104 - not a bind
    return f"[{host}]" if bracketed and ":" in host else host
