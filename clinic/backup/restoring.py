"""Restore a backup: read it to its end first, restore beside what is there, compare row by row, and only then take the place."""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import psycopg
from psycopg import sql

from clinic.backup.container import BadBackup, read_chunks, read_header
from clinic.backup.making import BackupFailed, environment, finish, plain, program
from clinic.backup.tables import Contents, contents, differences
from clinic.db import Keyring

ASIDE = "before_restore"  # the schema that holds what was there until the restored clinic is whole


@dataclass(frozen=True)
class Restored:
    """What was restored and compared."""

    contents: Contents
    about: dict[str, Any]
    policies: dict[str, str]


def check_backup(file: IO[bytes], keys: Keyring) -> tuple[dict[str, Any], Contents, dict[str, str]]:
    """Read a backup from its first byte to its last; answers what it says is in it. Raises BadBackup."""
    file.seek(0)
    about, _ = read_header(file)
    head = b""
    size: int | None = None
    for chunk in read_chunks(file, keys):
        if size is None or len(head) < 8 + size:
            head += chunk
            size = int.from_bytes(head[:8], "big") if len(head) >= 8 else None
    try:
        manifest = json.loads(head[8 : 8 + (size or 0)])
        return about, Contents(manifest["tables"], manifest["sequences"]), manifest["policies"]
    except (ValueError, KeyError, TypeError):
        raise BadBackup("the backup has no list of its tables") from None


def restore_backup(path: Path, url: str, keys: Keyring, *, known: set[str], replace: bool) -> Restored:
    """Put the clinic of a backup into the database behind `url`. Raises BadBackup, BackupFailed.

    `known`: the schema revisions that this program can bring up to date. What is in the database stays as it is until the
    restored one was compared with the backup; without `replace` a database that holds a clinic is refused.
    """
    with path.open("rb") as file:
        about, expected, policies = check_backup(file, keys)
        if about.get("revision") not in known:
            raise BackupFailed(f"the backup is of a newer Daybreak (schema {about.get('revision')}): update first")
        with psycopg.connect(plain(url), autocommit=True) as connection:
            _finish_killed(connection)
            _refuse_clinic(connection, replace=replace)
            _set_aside(connection)
            try:
                _pour(file, url, keys)
                with connection.transaction():
                    found = contents(connection)
                wrong = differences(expected, found)
                if wrong:
                    raise BackupFailed("what was restored is not what was backed up: " + "; ".join(wrong))
            except BaseException:
                _put_back(connection)
                raise
            connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(ASIDE)))
    return Restored(found, about, policies)


def _finish_killed(connection: psycopg.Connection) -> None:
    """A restore that was killed on the way left the clinic aside: it comes back first. Raises BackupFailed beside another."""
    taken = connection.execute("SELECT pg_try_advisory_lock(hashtext(%s))", [ASIDE]).fetchone()
    if not (taken and taken[0]):
        raise BackupFailed("another restore works on this database")
    if connection.execute("SELECT FROM pg_namespace WHERE nspname = %s", [ASIDE]).fetchone() is not None:
        _put_back(connection)


def is_clinic(connection: psycopg.Connection) -> bool:
    """Is there a person, a place or a staff member in the database."""
    for table in ("patients", "locations", "staff_users"):
        row = connection.execute("SELECT to_regclass(%s) IS NOT NULL", [f"public.{table}"]).fetchone()
        if row and row[0]:
            held = connection.execute(
                sql.SQL("SELECT EXISTS (SELECT FROM {})").format(sql.Identifier(table))
            ).fetchone()
            if held and held[0]:
                return True
    return False


def _refuse_clinic(connection: psycopg.Connection, *, replace: bool) -> None:
    if not replace and is_clinic(connection):
        raise BackupFailed("this database holds a clinic already: give an empty one, or --replace to overwrite it")
    if replace:
        others = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            " AND backend_type = 'client backend'"
        ).fetchone()
        if others and others[0]:
            raise BackupFailed(f"{others[0]} others use this database: stop web, worker and beat first")


def _set_aside(connection: psycopg.Connection) -> None:
    with connection.transaction():
        connection.execute(sql.SQL("ALTER SCHEMA public RENAME TO {}").format(sql.Identifier(ASIDE)))
        connection.execute("CREATE SCHEMA public")


def _put_back(connection: psycopg.Connection) -> None:
    with connection.transaction():
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute(sql.SQL("ALTER SCHEMA {} RENAME TO public").format(sql.Identifier(ASIDE)))


def _pour(file: IO[bytes], url: str, keys: Keyring) -> None:
    command = [
        *program("pg_restore"), "--no-owner", "--no-privileges", "--single-transaction", "--exit-on-error",
        "--schema=public", f"--dbname={environment(url).get('PGDATABASE', '')}",
    ]  # fmt: skip
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, env=environment(url), **pipes) as process:
        assert process.stdin is not None
        try:
            for data in _dump_of(file, keys):
                process.stdin.write(data)
            process.stdin.close()
        except BrokenPipeError:
            pass  # it ended early, and says why
        finish(process, "pg_restore")


def _dump_of(file: IO[bytes], keys: Keyring) -> Iterator[bytes]:
    """What follows the manifest."""
    head = b""
    passed = False
    for chunk in read_chunks(file, keys):
        if passed:
            yield chunk
            continue
        head += chunk
        if len(head) >= 8 and len(head) >= (start := 8 + int.from_bytes(head[:8], "big")):
            passed = True
            yield head[start:]
