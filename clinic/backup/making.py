"""Make a backup: one snapshot of the database, dumped and counted, encrypted on the way to the disk."""

import json
import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from clinic.backup.container import CHUNK, BackupWriter
from clinic.backup.tables import Contents, contents
from clinic.db import Keyring
from clinic.embedded.postgres import binaries

MOST_POLICY = 1_000_000  # bytes of a policy file


class BackupFailed(Exception):
    """The backup could not be made or restored; the message says why."""


def make_backup(path: Path, url: str, keys: Keyring, *, policies: Path | None, now: datetime) -> Contents:
    """Write the database behind `url`, and the clinic's own policy files, to `path`; answers what is in it.

    Runs beside a working clinic: rows and digests are read in the snapshot that is dumped. Raises BackupFailed, BadBackup.
    """
    with psycopg.connect(plain(url)) as connection:
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        snapshot = _one(connection, "SELECT pg_export_snapshot()")
        found = contents(connection)
        if "alembic_version" not in found.tables:
            raise BackupFailed("this database holds no clinic")
        about = {
            "made_at": now.astimezone(UTC).isoformat(timespec="seconds"),
            "revision": _one(connection, "SELECT version_num FROM alembic_version"),
            "postgresql": _one(connection, "SHOW server_version"),
            "rows": found.rows,
        }
        manifest = json.dumps({**found._asdict(), "policies": _policies(policies)}).encode()
        with BackupWriter(path, keys, about) as writer:
            writer.write(len(manifest).to_bytes(8, "big") + manifest)
            _dump(url, snapshot, writer)
    return found


def _dump(url: str, snapshot: str, writer: BackupWriter) -> None:
    command = [
        *program("pg_dump"), "--format=custom", "--no-owner", "--no-privileges", "--schema=public",
        f"--snapshot={snapshot}", "--compress=gzip:6",
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(url)) as process:
        assert process.stdout is not None
        while data := process.stdout.read(CHUNK):
            writer.write(data)
        finish(process, "pg_dump")


def finish(process: subprocess.Popen[bytes], name: str) -> None:
    assert process.stderr is not None
    said = process.stderr.read().decode(errors="replace").strip().splitlines()
    if process.wait():
        raise BackupFailed(f"{name} failed: {said[-1] if said else 'no reason given'}")


def program(name: str) -> list[str]:
    """PostgreSQL's own tool, of the version that comes with Daybreak."""
    return [str(binaries() / name)]


def environment(url: str) -> dict[str, str]:
    """The address for PostgreSQL's tools, by environment: a password on a command line is seen by everyone."""
    known = psycopg.conninfo.conninfo_to_dict(plain(url))
    names = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD", "dbname": "PGDATABASE"}
    others = {"sslmode": "PGSSLMODE", "sslrootcert": "PGSSLROOTCERT"}
    own = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return own | {variable: str(known[key]) for key, variable in (names | others).items() if known.get(key) is not None}


def plain(url: str) -> str:
    """An address as psycopg takes it."""
    return url.replace("postgresql+psycopg:", "postgresql:", 1)


def _one(connection: psycopg.Connection, statement: str) -> Any:
    row = connection.execute(statement).fetchone()  # type: ignore[call-overload]
    return row[0] if row else None


def _policies(folder: Path | None) -> dict[str, str]:
    if folder is None or not folder.is_dir():
        return {}
    files = [file for file in sorted(folder.glob("*.y*ml")) if file.is_file() and file.stat().st_size <= MOST_POLICY]
    return {file.name: file.read_text() for file in files}
