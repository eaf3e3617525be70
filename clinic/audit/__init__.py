"""Who did what to which row, appended in the same transaction, each event hashed by its own content."""

import hashlib
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from flask import g, has_request_context
from sqlalchemy import BigInteger, Index, LargeBinary, bindparam
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from clinic import clock
from clinic.db import Base, Encrypted, EncryptedJSON, Instant, PrimaryKey, UTCDateTime, Word, db, one_of


class ActorKind(StrEnum):
    """Who can act."""

    STAFF = "staff"
    PATIENT = "patient"
    SERVICE = "service"  # an API token
    SYSTEM = "system"  # a worker, by name


@dataclass(frozen=True)
class Actor:
    """Who acts. `key` is the id of a staff member, patient or token, or the name of a worker."""

    kind: ActorKind
    key: str

    def __post_init__(self) -> None:
        if not self.key:
            raise ValueError("an anonymous actor cannot write")

    def __str__(self) -> str:
        return f"{self.kind}:{self.key}"


def system(name: str) -> Actor:
    """The named worker or command that acts on nobody's behalf."""
    return Actor(ActorKind.SYSTEM, name)


class AuditEvent(Base):
    """One change or one read of a patient. Never updated, never deleted. `detail` holds ids and states, no health data.

    `origin` says from where: address, session and page, with a random number that keeps the hash from being guessed.
    Where a person's data was deleted as policy says, `reason` and `origin` go too and `erased_at` says when.
    """

    __tablename__ = "audit_events"
    __table_args__ = (
        one_of("actor_kind", [*ActorKind]),
        Index("audit_events_entity_idx", "entity", "entity_id"),
        Index("audit_events_patient_idx", "patient_id"),
        Index("audit_events_actor_idx", "actor_kind", "actor_key", "id"),
    )

    id: Mapped[PrimaryKey]
    occurred_at: Mapped[Instant]
    actor_kind: Mapped[Word]
    actor_key: Mapped[Word]
    action: Mapped[Word]
    entity: Mapped[Word]
    entity_id: Mapped[Word]
    patient_id: Mapped[int | None] = mapped_column(BigInteger)
    detail: Mapped[dict[str, Any]] = mapped_column(JSONB)
    reason: Mapped[str | None] = mapped_column(Encrypted)
    origin: Mapped[dict[str, Any] | None] = mapped_column(EncryptedJSON)
    content_hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    erased_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


Origin = Callable[[], Mapping[str, Any]]
_origin: Origin = dict


def ask_origin(provider: Origin) -> None:
    """`provider` says from where the present caller acts: address, session, page. Without one: from no address."""
    global _origin
    _origin = provider


def record(row: Any, action: str, *, by: Actor, reason: str | None = None, **detail: Any) -> None:
    """Append an event about `row`. `detail` is ids, states and counts only; free text goes in `reason`."""
    if row.id is None:
        db.session.flush()
    patient_id = row.id if row.__tablename__ == "patients" else getattr(row, "patient_id", None)
    record_event(row.__tablename__, row.id, action, by=by, reason=reason, patient_id=patient_id, **detail)


def record_event(
    entity: str,
    entity_id: object,
    action: str,
    *,
    by: Actor,
    reason: str | None = None,
    patient_id: int | None = None,
    **detail: Any,
) -> None:
    """As `record`, for rows written in bulk or not mapped."""
    db.session.add(event_of(entity, entity_id, action, by=by, reason=reason, patient_id=patient_id, detail=detail))


def event_of(
    entity: str,
    entity_id: object,
    action: str,
    *,
    by: Actor,
    reason: str | None = None,
    patient_id: int | None = None,
    detail: dict[str, Any],
) -> AuditEvent:
    """The event that `record_event` appends, for a statement that writes it with what it is about (`EVENT_ROW`)."""
    event = AuditEvent(
        occurred_at=clock.now(),
        actor_kind=by.kind,
        actor_key=by.key,
        action=action,
        entity=entity,
        entity_id=str(entity_id),
        patient_id=patient_id,
        detail=detail,
        reason=reason,
        origin={**_origin(), "nonce": secrets.token_urlsafe(12)},
    )
    event.content_hash = content_hash(event)
    if has_request_context():
        g.setdefault("audited", set()).add(patient_id)
    return event


_COLUMNS = [column for column in AuditEvent.__table__.columns if column.name not in ("id", "erased_at")]
# One event as a part of a larger statement, its parameters named `event_...`, with their types.
EVENT_ROW = (
    f"INSERT INTO audit_events ({', '.join(column.name for column in _COLUMNS)}) "  # noqa: S608 - names of our columns
    f"VALUES ({', '.join(f':event_{column.name}' for column in _COLUMNS)})"
)
EVENT_TYPES = [bindparam(f"event_{column.name}", type_=column.type) for column in _COLUMNS]


def event_values(event: AuditEvent) -> dict[str, Any]:
    """The parameters of `EVENT_ROW`."""
    return {f"event_{column.name}": getattr(event, column.name) for column in _COLUMNS}


def content_hash(event: AuditEvent) -> bytes:
    """SHA-256 over everything that the event says."""
    said = [
        _instant(event.occurred_at),
        event.actor_kind,
        event.actor_key,
        event.action,
        event.entity,
        event.entity_id,
        event.patient_id,
        event.detail,
        event.reason,
    ]
    if event.origin is not None:  # events from before it was kept
        said.append(event.origin)
    return hashlib.sha256(json.dumps(said, sort_keys=True, default=str).encode()).digest()


def _instant(value: datetime) -> str:
    return value.isoformat(timespec="microseconds")
