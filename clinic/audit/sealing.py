"""The sealer: every few seconds it chains committed events, alone, and keeps the seals apart from the events.

One chain written inside every transaction would make the clinic wait in line. So an event is hashed by itself, and a seal
follows: the ids and hashes of the events since the last one, chained to it and signed with a key that the database does not
hold. Each seal is also a line in a file beside the database, so that a chain that was cut or made anew is noticed.
"""

import fcntl
import hashlib
import logging
import os
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from flask import current_app
from sqlalchemy import ARRAY, BigInteger, CheckConstraint, LargeBinary, func, or_, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from clinic import clock
from clinic.audit import AuditEvent
from clinic.db import Base, Instant, db, keyring, transaction

log = logging.getLogger(__name__)

LOCK = 0x5EA1  # one sealer at a time, in every process and on every machine
MOST = 5000  # events a seal
WAITED_FOR = timedelta(days=1)  # an id that nobody committed within this time was given up by its transaction
ANCHOR = "audit-anchor.txt"

Missing = list[tuple[int, int, datetime]]  # first and last id that were not there, and since when


class AuditSeal(Base):
    """A run of events, chained to the run before. `chain` is SHA-256 over all of it, `mac` its signature."""

    __tablename__ = "audit_seals"
    __table_args__ = (CheckConstraint("octet_length(hashes) = 32 * cardinality(ids)", name="hash_for_each"),)

    number: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)  # 1, 2, 3, ...
    last_id: Mapped[int] = mapped_column(BigInteger)  # every event up to here is sealed, or named in `missing`
    ids: Mapped[list[int]] = mapped_column(ARRAY(BigInteger))
    hashes: Mapped[bytes] = mapped_column(LargeBinary)  # 32 bytes an event, in the order of `ids`
    missing: Mapped[list[list[object]]] = mapped_column(JSONB)  # [first, last, since]: not committed yet, or never
    sealed_at: Mapped[Instant]
    chain: Mapped[bytes] = mapped_column(LargeBinary(32))
    mac: Mapped[bytes] = mapped_column(LargeBinary(32))
    key_id: Mapped[bytes] = mapped_column(LargeBinary(8))


def seal() -> int:
    """Seal what was committed since the last seal; answers how many events. 0 also where another sealer is at it."""
    with transaction() as after_commit:
        if not db.session.scalar(select(func.pg_try_advisory_xact_lock(LOCK))):
            return 0
        last = db.session.scalar(select(AuditSeal).order_by(AuditSeal.number.desc()).limit(1))
        found = _next_seal(last)
        if found is None:
            return 0
        db.session.add(found)
        line = anchor_line(found)
        after_commit.append(lambda: _write_anchor(line))
        return len(found.ids)


def _next_seal(last: AuditSeal | None) -> AuditSeal | None:
    now, frontier = clock.now(), last.last_id if last else 0
    missing = _still_missing(last, now)
    late = [AuditEvent.id.between(first, until) for first, until, _ in missing]
    statement = select(AuditEvent.id, AuditEvent.content_hash).where(or_(AuditEvent.id > frontier, *late))
    rows = db.session.execute(statement.order_by(AuditEvent.id).limit(MOST)).all()
    if not rows:
        return None
    ids = [row.id for row in rows]
    missing = _without(missing, ids) + _gaps([key for key in ids if key > frontier], frontier, now)
    row = AuditSeal(
        number=last.number + 1 if last else 1,
        last_id=max(frontier, ids[-1]),
        ids=ids,
        hashes=b"".join(bytes(row.content_hash) for row in rows),
        missing=[[first, until, since.isoformat()] for first, until, since in missing],
        sealed_at=now,
    )
    row.chain = chain(last.chain if last else b"", row)
    row.key_id, row.mac = sign(row.number, row.chain)
    return row


def chain(before: bytes, row: AuditSeal) -> bytes:
    """SHA-256 over the chain so far and everything that this seal says."""
    said = f"{row.number} {row.last_id} {row.ids} {row.missing} {row.sealed_at.isoformat()} ".encode()
    return hashlib.sha256(before + said + row.hashes).digest()


def sign(number: int, chained: bytes) -> tuple[bytes, bytes]:
    """Id of the newest key, and its signature under a seal."""
    return keyring().sign("audit seal", f"{number} ".encode() + chained)


def _still_missing(last: AuditSeal | None, now: datetime) -> Missing:
    if last is None:
        return []
    known = [(int(a), int(b), datetime.fromisoformat(str(since))) for a, b, since in last.missing]  # type: ignore[call-overload]
    return [span for span in known if span[2] > now - WAITED_FOR]


def _gaps(ids: Sequence[int], frontier: int, now: datetime) -> Missing:
    pairs = zip([frontier, *ids], ids, strict=False)
    return [(before + 1, after - 1, now) for before, after in pairs if after > before + 1]


def _without(missing: Missing, ids: Sequence[int]) -> Missing:
    left: Missing = []
    for first, until, since in missing:
        start = first
        for key in (key for key in ids if first <= key <= until):
            if key > start:
                left.append((start, key - 1, since))
            start = key + 1
        if start <= until:
            left.append((start, until, since))
    return left


# -- beside the database ----------------------------------------------------------------------------------------------


def anchor_file() -> Path:
    """Where the seals are noted outside the database."""
    settings = current_app.config["SETTINGS"]
    return Path(settings.audit_anchor) if settings.audit_anchor else settings.instance / ANCHOR


def anchor_line(row: AuditSeal) -> str:
    """`number last_id chain mac`, one line a seal."""
    return f"{row.number} {row.last_id} {row.chain.hex()} {row.mac.hex()}\n"


def _write_anchor(line: str) -> None:
    """Append; a disk that is full or read-only is said, and stops nothing: the seal itself is in the database."""
    path = anchor_file()
    try:
        with suppress(FileExistsError):
            path.parent.mkdir(mode=0o700, parents=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        log.warning("audit anchor not written: %s", error.strerror)
