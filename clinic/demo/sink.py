"""Rows by the ten thousand: COPY on the connection of the running transaction, and ids reserved beforehand."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import text

from clinic.db import Base, db, keyring


def reserve(model: type[Base], count: int) -> range:
    """So many ids of a table that nobody else gets."""
    sequence = db.session.scalar(text("SELECT pg_get_serial_sequence(:table, 'id')"), {"table": model.__tablename__})
    last = db.session.scalar(text("SELECT setval(:name, nextval(:name) + :count)"), {"name": sequence, "count": count})
    return range(last - count, last)


def seal(value: str | None) -> bytes | None:
    """A value as an encrypted column holds it: a ciphertext of its own, as each row of a clinic has."""
    return None if value is None else keyring().encrypt(value)


def copy(model: type[Base], columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Append rows to a table; values as psycopg takes them."""
    with _cursor().copy(f"COPY {model.__tablename__} ({', '.join(columns)}) FROM STDIN") as sink:
        for row in rows:
            sink.write_row(row)


def copy_numbers(table: str, rows: NDArray[Any]) -> None:
    """Append an array whose fields are 8-byte integers to a table of bigint columns: COPY's binary form, made at once."""
    names = rows.dtype.names or ()
    form = [("fields", ">i2")]
    for name in names:
        form += [(f"{name} size", ">i4"), (name, ">i8")]
    wire = np.empty(len(rows), dtype=form)
    wire["fields"] = len(names)
    for name in names:
        wire[f"{name} size"], wire[name] = 8, rows[name]
    with _cursor().copy(f"COPY {table} ({', '.join(names)}) FROM STDIN (FORMAT binary)") as sink:
        sink.write(b"PGCOPY\n\xff\r\n\0" + bytes(8))
        sink.write(wire.tobytes())
        sink.write(b"\xff\xff")


def _cursor() -> Any:
    connection = db.session.connection().connection.driver_connection
    assert connection is not None
    return connection.cursor()
