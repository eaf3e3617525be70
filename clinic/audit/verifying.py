"""Hold the events against their seals: what was altered, removed, put in or moved, and what is not sealed yet."""

import hmac
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import LargeBinary, func, select, type_coerce

from clinic import clock
from clinic.audit import AuditEvent, content_hash
from clinic.audit.sealing import AuditSeal, chain
from clinic.db import db, keyring

PAGE = 2000
TAIL_IS_OLD = timedelta(minutes=1)  # the sealer looks every few seconds


@dataclass(frozen=True)
class Problem:
    """One thing that is not as it was sealed. `kind`: altered, removed, added, moved, seal, anchor, erased."""

    kind: str
    at: str  # "event 12", "seal 3", "line 4"
    text: str


@dataclass
class Report:
    """What was found. `missing` are ids that no event ever had: transactions that were rolled back, or rows removed unsealed."""

    events: int = 0
    seals: int = 0
    sealed: int = 0
    unsealed: int = 0
    unsealed_since: datetime | None = None
    erased: int = 0
    unsigned: int = 0  # seals whose key is not among ours any more
    anchored: int = 0
    missing: list[tuple[int, int]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def says(self, kind: str, at: str, text: str) -> None:
        self.problems.append(Problem(kind, at, text))

    @property
    def tail_age(self) -> timedelta | None:
        """How long the oldest event waits for its seal."""
        return None if self.unsealed_since is None else clock.now() - self.unsealed_since

    @property
    def is_tail_old(self) -> bool:
        """Nobody seals: the worker and beat are down, or the sealer is broken."""
        return self.tail_age is not None and self.tail_age > TAIL_IS_OLD


def verify(anchors: Sequence[Path] = ()) -> Report:
    """Read everything once, in order. Memory grows by about a hundred bytes an event."""
    report = Report()
    sealed: dict[int, bytes] = {}
    last = _read_seals(report, sealed)
    erasures = _erasures()
    known_at = {digest: key for key, digest in sealed.items()}
    seen: set[int] = set()
    for event in _events(report):
        report.events += 1
        seen.add(event.id)
        _check(report, event, sealed, known_at, last, erasures)
    for key in sorted(set(sealed) - seen):
        report.says("removed", f"event {key}", "it was sealed and is gone")
    report.sealed = len(sealed)
    top = max([0, *seen, *sealed])
    report.missing = _spans(sorted(set(range(1, top + 1)) - seen - set(sealed)))
    for path in anchors:
        _check_anchor(report, path)
    return report


def _read_seals(report: Report, sealed: dict[int, bytes]) -> AuditSeal | None:
    before, last = b"", None
    for row in _pages(AuditSeal, AuditSeal.number):
        at, expected = f"seal {row.number}", (last.number if last else 0) + 1
        if row.number != expected:
            report.says("seal", at, f"seal {expected} is missing")
        if chain(before, row) != row.chain:
            report.says("seal", at, "it does not follow from the one before")
        signed = keyring().verify("audit seal", f"{row.number} ".encode() + row.chain, row.key_id, row.mac)
        if signed is None:
            report.unsigned += 1
        elif not signed:
            report.says("seal", at, "its signature is not ours")
        report.seals += 1
        before, last = row.chain, row
        for place, key in enumerate(row.ids):
            if key in sealed:
                report.says("seal", at, f"event {key} is sealed twice")
            sealed[key] = row.hashes[32 * place : 32 * place + 32]
    return last


def _check(
    report: Report,
    event: AuditEvent,
    sealed: dict[int, bytes],
    known_at: dict[bytes, int],
    last: AuditSeal | None,
    erasures: dict[int, int],
) -> None:
    at, kept = f"event {event.id}", sealed.get(event.id)
    now_says = event.content_hash if event.erased_at is not None else content_hash(event)
    if event.erased_at is not None:
        report.erased += 1
        if erasures.get(event.patient_id or 0, 0) <= event.id or event.reason is not None or event.origin is not None:
            report.says("erased", at, "marked as erased, but no deletion of that patient is on record after it")
    if now_says != event.content_hash:
        report.says("altered", at, "its content is not what its own hash says")
    elif kept is not None and not hmac.compare_digest(kept, now_says):
        was = known_at.get(now_says)
        report.says("moved", at, f"it was sealed as event {was}") if was else report.says(
            "altered", at, "its content and hash are not what was sealed"
        )
    if kept is None:
        if last is not None and event.id <= last.last_id and not _is_awaited(event.id, last):
            report.says("added", at, "it lies among sealed events and was never sealed")
        else:
            report.unsealed += 1
            report.unsealed_since = min(report.unsealed_since or event.occurred_at, event.occurred_at)


def _is_awaited(key: int, last: AuditSeal) -> bool:
    return any(int(first) <= key <= int(until) for first, until, _ in last.missing)  # type: ignore[call-overload]


def _erasures() -> dict[int, int]:
    """By patient: the event that says that the person's data was deleted."""
    rows = db.session.execute(
        select(AuditEvent.patient_id, func.max(AuditEvent.id))
        .where(AuditEvent.action == "erased", AuditEvent.entity == "patients", AuditEvent.patient_id.is_not(None))
        .group_by(AuditEvent.patient_id)
    )
    return {patient_id: key for patient_id, key in rows if patient_id is not None}


def _events(report: Report) -> Iterator[AuditEvent]:
    """Every event in order. What no key opens is said and read as if it were not there, so that the rest is still checked."""
    table = AuditEvent.__table__
    sealed = {name: type_coerce(table.c[name], LargeBinary) for name in ("reason", "origin")}
    plain = [column for column in table.c if column.name not in sealed]
    after = 0
    while rows := db.session.execute(
        select(*plain, *(column.label(name) for name, column in sealed.items()))
        .where(table.c.id > after)
        .order_by(table.c.id)
        .limit(PAGE)
    ).all():
        for row in rows:
            event = AuditEvent(**{column.name: getattr(row, column.name) for column in plain})
            event.reason, origin = (_opened(report, row.id, name, getattr(row, name)) for name in ("reason", "origin"))
            event.origin = None if origin is None else json.loads(origin)
            yield event
        after = rows[-1].id


def _opened(report: Report, key: int, name: str, value: bytes | None) -> str | None:
    if value is None:
        return None
    try:
        return keyring().decrypt(bytes(value))
    except ValueError:
        report.says("altered", f"event {key}", f"no data key opens its {name}")
        return None


def _pages(model: Any, key: Any) -> Iterator[Any]:
    after = 0
    while rows := db.session.scalars(select(model).where(key > after).order_by(key).limit(PAGE)).all():
        yield from rows
        after = getattr(rows[-1], key.key)
        for row in rows:
            db.session.expunge(row)


def _spans(ids: Iterable[int]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for key in ids:
        if found and found[-1][1] == key - 1:
            found[-1] = (found[-1][0], key)
        else:
            found.append((key, key))
    return found


def _check_anchor(report: Report, path: Path) -> None:
    """Every line that was written beside the database must still be in it."""
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        report.says("anchor", str(path), f"cannot be read: {getattr(error, 'strerror', None) or 'not a text'}")
        return
    seals = {
        row.number: (row.last_id, row.chain.hex(), row.mac.hex())
        for row in db.session.execute(select(AuditSeal.number, AuditSeal.last_id, AuditSeal.chain, AuditSeal.mac))
    }
    for place, line in enumerate(lines, 1):
        parts = line.split()
        if len(parts) != 4 or not parts[0].isdecimal():
            report.says("anchor", f"line {place}", "it is torn: not a whole line")
            continue
        report.anchored += 1
        known = seals.get(int(parts[0]))
        if known is None:
            report.says("anchor", f"line {place}", f"seal {parts[0]} was written here and is gone from the database")
        elif (str(known[0]), known[1]) != (parts[1], parts[2]):
            report.says("anchor", f"line {place}", f"seal {parts[0]} is not the one that was written here")
