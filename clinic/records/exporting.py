"""Everything of the clinic in one folder that other programs read: CSV of every table, FHIR R4 of what has a place there.

One snapshot of the database, row by row, so that memory does not grow with it. What signs people in is left out.
"""

import csv
import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import time
from enum import StrEnum
from pathlib import Path
from typing import Any, TextIO

from sqlalchemy import Column, Connection, Table, select, text

from clinic import audit, clock
from clinic.audit import Actor
from clinic.db import Base, Blind, EncryptedBytes, db, transaction
from clinic.errors import Conflict
from clinic.records import fhir
from clinic.web import tables

ROWS = 500
# Sign-ins, links and keys: of no use elsewhere, and of harm in the wrong hands.
LEFT_OUT = frozenset(
    {
        "access_links", "patient_sessions", "staff_sessions", "staff_passkeys", "sign_in_failures", "held_forms",
        "staff_password_links", "api_tokens", "api_token_locations", "idempotency_keys", "heartbeats", "link_requests",
        "calendar_feeds",
    }
)  # fmt: skip
LEFT_OUT_COLUMNS = frozenset(
    {"password", "fs_uniquifier", "tf_totp_secret", "mf_recovery_codes", "fs_webauthn_user_handle"}
)

Progress = Callable[[str, int, int], None]


@dataclass
class Exported:
    """What lies in the folder."""

    rows: Counter[str] = field(default_factory=Counter)
    resources: Counter[str] = field(default_factory=Counter)
    files: int = 0


class Kind(StrEnum):
    """What a folder may hold."""

    CSV = "csv"
    FHIR = "fhir"
    FILES = "files"


def export(folder: Path, *, by: Actor, progress: Progress = lambda *_: None) -> Exported:
    """Write everything into a new or empty folder, readable by its owner alone. Raises Conflict where it holds something."""
    if folder.exists() and any(folder.iterdir()):
        raise Conflict(f"{folder} holds something already: give a new or empty folder")
    for part in ("", *Kind):
        (folder / part).mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    done = Exported()
    tables = [table for table in Base.metadata.sorted_tables if table.name not in LEFT_OUT]
    with _snapshot() as connection, _lines(folder / Kind.FHIR) as write_resource:
        for place, table in enumerate(tables, 1):
            _export_table(connection, table, folder, done, write_resource)
            progress(table.name, place, len(tables))
    with transaction():
        audit.record_event("exports", "all", "exported", by=by, rows=done.rows.total(), files=done.files)
    _write_manifest(folder, done)
    return done


@contextmanager
def _snapshot() -> Iterator[Connection]:
    """One state of the database for every table."""
    with db.engine.connect() as connection, connection.begin():
        connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
        yield connection


def _export_table(
    connection: Connection, table: Table, folder: Path, done: Exported, write_resource: Callable[[fhir.Resource], None]
) -> None:
    columns = [column for column in table.columns if _is_wanted(column)]
    statement = select(*columns).order_by(*table.primary_key)
    rows = connection.execution_options(stream_results=True, yield_per=ROWS).execute(statement).mappings()
    with _open(folder / Kind.CSV / f"{table.name}.csv") as file:
        writer = csv.writer(file, lineterminator="\r\n")
        writer.writerow([column.name for column in columns])
        for found in rows:
            row = _with_files(table, found, folder, done)
            writer.writerow([cell(row[column.name]) for column in columns])
            done.rows[table.name] += 1
            for resource in fhir.resources(table.name, row):
                write_resource(resource)
                done.resources[resource["resourceType"]] += 1


def _is_wanted(column: Column[Any]) -> bool:
    return not isinstance(column.type, Blind) and column.name not in LEFT_OUT_COLUMNS


def _with_files(table: Table, found: Mapping[Any, Any], folder: Path, done: Exported) -> dict[str, Any]:
    """The row, its files written beside and named in their place."""
    row = dict(found)
    for column in table.columns:
        if isinstance(column.type, EncryptedBytes) and row.get(column.name) is not None:
            ending = _ending(row.get("media_type") or "application/pdf")
            name = f"{table.name}-{row['id']}{ending}"
            path = folder / Kind.FILES / name
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(row[column.name])
            row[column.name] = f"{Kind.FILES}/{name}"
            done.files += 1
    return row


def _ending(media_type: str) -> str:
    known = {"application/pdf": ".pdf", "image/jpeg": ".jpg", "image/png": ".png", "image/heic": ".heic"}
    return known.get(media_type, ".bin")


def cell(value: Any) -> str:
    """A value for a spreadsheet: never one that it would take for a formula; a quote mark stands before such a text."""
    if value is None:
        return ""
    if isinstance(value, bool | int | float):
        return str(value).lower() if isinstance(value, bool) else str(value)
    if isinstance(value, time):
        return value.isoformat()
    plain = fhir.plain(value)
    written = plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False, default=str)
    written = written.replace("\0", "")
    return tables.plain(written)


@contextmanager
def _lines(folder: Path) -> Iterator[Callable[[fhir.Resource], None]]:
    """One NDJSON file a kind of resource."""
    files: dict[str, TextIO] = {}

    def write(resource: fhir.Resource) -> None:
        kind = resource["resourceType"]
        if kind not in files:
            files[kind] = _opened(folder / f"{kind}.ndjson")
        files[kind].write(json.dumps(resource, ensure_ascii=False, separators=(",", ":")) + "\n")

    try:
        yield write
    finally:
        for file in files.values():
            file.close()


def _opened(path: Path) -> TextIO:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8", newline="")


@contextmanager
def _open(path: Path) -> Iterator[TextIO]:
    with _opened(path) as file:
        yield file


def _write_manifest(folder: Path, done: Exported) -> None:
    """Counts, and the SHA-256 of every file."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    about = {
        "made_at": clock.now().isoformat(timespec="seconds"),
        "fhir": "4.0.1",
        "rows": dict(done.rows),
        "resources": dict(done.resources),
        "sha256": {str(path.relative_to(folder)): _digest(path) for path in files},
    }
    with _open(folder / "manifest.json") as file:
        json.dump(about, file, indent=1)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
