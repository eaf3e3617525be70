"""Every encrypted value under the newest data key, while the clinic runs.

Rows are read in batches by key and written only where they are as they were read, so nobody waits and nothing that changed
meanwhile is overwritten. A run that was stopped goes on where it is started again: what is under the newest key is left.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from flask import current_app
from sqlalchemy import Column, LargeBinary, Table, bindparam, select, type_coerce, update

from clinic import audit
from clinic.audit import Actor
from clinic.audit.sealing import AuditSeal, sign
from clinic.db import (
    Base,
    Blind,
    Encrypted,
    EncryptedBytes,
    EncryptedDate,
    EncryptedJSON,
    db,
    keyring,
    transaction,
)
from clinic.errors import Conflict
from clinic.staff.models import StaffUser

CIPHERS = (Encrypted, EncryptedDate, EncryptedJSON, EncryptedBytes)
BATCH = 200
FILES_A_BATCH = 5  # a file may be 10 MB

Progress = Callable[[str, int, int], None]


@dataclass
class Standing:
    """How the values of a table lie: by place of the key that opens them (0: the newest); -1: no key does."""

    by_key: Counter[int] = field(default_factory=Counter)
    stale_blinds: int = 0

    @property
    def is_done(self) -> bool:
        """All under the newest key, and nothing lost."""
        return set(self.by_key) <= {0} and not self.stale_blinds


def encrypted_tables() -> list[Table]:
    """Tables with at least one encrypted column."""
    return [table for table in Base.metadata.sorted_tables if _sealed(table)]


def _sealed(table: Table) -> list[Column[Any]]:
    return [column for column in table.columns if isinstance(column.type, CIPHERS)]


def _blinds(table: Table) -> list[tuple[Column[Any], Column[Any]]]:
    """Search digests, each with the column whose value it is of."""
    return [
        (column, table.c[column.name.removesuffix("_blind")])
        for column in table.columns
        if isinstance(column.type, Blind)
    ]


def look(progress: Progress = lambda *_: None) -> dict[str, Standing]:
    """Try every value with every key; answers how each table lies. Changes nothing."""
    found = {}
    tables = encrypted_tables()
    for done, table in enumerate(tables, 1):
        standing = found[table.name] = Standing()
        for row in _rows(table):
            _count(table, row, standing)
        progress(table.name, done, len(tables))
    seals = found[AuditSeal.__tablename__] = Standing()
    newest = sign(0, b"")[0]
    for key_id in db.session.scalars(select(AuditSeal.key_id)):
        seals.by_key[0 if bytes(key_id) == newest else 1] += 1
    return found


def _count(table: Table, row: Any, standing: Standing) -> None:
    values = {column.name: row[column.name] for column in _sealed(table)}
    for value in values.values():
        if value is not None:
            standing.by_key[keyring().place_of(value)] += 1
    for blind, source in _blinds(table):
        if row[blind.name] is not None and keyring().place_of(values[source.name]) >= 0:
            standing.stale_blinds += bytes(row[blind.name]) != _blinded(blind, values[source.name])


def rotate(*, by: Actor, progress: Progress = lambda *_: None) -> int:
    """Put every value under the newest key; answers how many rows were written. Raises Conflict where a key is missing."""
    written = 0
    tables = encrypted_tables()
    for done, table in enumerate(tables, 1):
        written += _rotate_table(table)
        progress(table.name, done, len(tables))
    written += _rotate_seals()
    written += _rewrap_codes()
    with transaction():
        audit.record_event("data_keys", "all", "rotated", by=by, rows=written)
    return written


def _rotate_table(table: Table) -> int:
    written = 0
    for row in _rows(table):
        new = _renewed(table, row)
        if not new:
            continue
        old = {name: row[name] for name in new}
        statement = update(table).where(*(table.c[key.name] == row[key.name] for key in table.primary_key))
        for name, value in old.items():
            statement = statement.where(_raw(table.c[name]) == value)
        with transaction():
            raw = {name: bindparam(None, value, type_=LargeBinary) for name, value in new.items()}
            written += db.session.execute(statement.values(raw)).rowcount  # type: ignore[attr-defined]
    return written


def _renewed(table: Table, row: Any) -> dict[str, bytes]:
    """The values of a row that have to be written anew."""
    new: dict[str, bytes] = {}
    for column in _sealed(table):
        value = row[column.name]
        if value is not None and (place := keyring().place_of(value)) != 0:
            if place < 0:
                raise Conflict(
                    f"no data key opens {table.name}.{column.name} of row {row['id']}: see `clinic keys check`"
                )
            new[column.name] = keyring().rotate(bytes(value))
    for blind, source in _blinds(table):
        if row[blind.name] is not None:
            digest = _blinded(blind, row[source.name])
            if digest != bytes(row[blind.name]):
                new[blind.name] = digest
    return new


def _blinded(blind: Column[Any], value: Any) -> bytes:
    return keyring().blind(blind.type.kind, keyring().decrypt(bytes(value)))[0]  # type: ignore[attr-defined]


def _rows(table: Table) -> Iterator[Any]:
    """Keys and ciphertext of every row, in batches by primary key; no transaction stays open between two of them."""
    (key,) = table.primary_key
    columns = [key, *(_raw(column).label(column.name) for column in (*_sealed(table), *(b for b, _ in _blinds(table))))]
    has_files = any(isinstance(column.type, EncryptedBytes) for column in table.columns)
    size, after = (FILES_A_BATCH if has_files else BATCH), None
    while True:
        statement = select(*columns).order_by(key).limit(size)
        rows = db.session.execute(statement if after is None else statement.where(key > after)).mappings().all()
        db.session.rollback()
        if not rows:
            return
        yield from rows
        after = rows[-1][key.name]


def _raw(column: Column[Any]) -> Any:
    return type_coerce(column, LargeBinary)


def _rotate_seals() -> int:
    """Sign the seals of the audit trail anew, each only where its old signature was ours."""
    written = 0
    newest = sign(0, b"")[0]
    for number in db.session.scalars(
        select(AuditSeal.number).where(AuditSeal.key_id != newest).order_by(AuditSeal.number)
    ).all():
        with transaction():
            row = db.session.get_one(AuditSeal, number, with_for_update=True)
            if keyring().verify("audit seal", f"{row.number} ".encode() + row.chain, row.key_id, row.mac):
                row.key_id, row.mac = sign(row.number, row.chain)
                written += 1
    return written


def _rewrap_codes() -> int:
    """The secrets of authenticator apps are also wrapped under a signing key: the newest one."""
    factory = current_app.extensions["security"].totp_factory._totp
    written = 0
    for user_id in db.session.scalars(select(StaffUser.id).where(StaffUser.tf_totp_secret.is_not(None))).all():
        with transaction():
            user = db.session.get_one(StaffUser, user_id, with_for_update=True)
            totp = factory.from_source(user.tf_totp_secret)
            if totp.changed:
                user.tf_totp_secret = totp.to_json(encrypt=True)
                written += 1
    return written
