"""Reads of openings and of the trail, for staff, managers and the patient."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from zoneinfo import ZoneInfo

from sqlalchemy import String, cast, or_, select

from clinic import clock
from clinic.audit import ActorKind, AuditEvent
from clinic.db import db
from clinic.errors import NotFound
from clinic.patients.models import RecordOpening
from clinic.staff.models import StaffUser

PAGE = 50
OWN_PAGE = 400  # events that are read for one page of a patient's report


def get(opening_id: int) -> RecordOpening:
    """An opening that the caller may see. Raises NotFound."""
    found = db.session.scalar(select(RecordOpening).where(RecordOpening.id == opening_id))
    if found is None:
        raise NotFound("no such opening")
    return found


def lock(opening_id: int) -> RecordOpening:
    """As `get`, locked until the transaction ends."""
    found = db.session.scalar(select(RecordOpening).where(RecordOpening.id == opening_id).with_for_update())
    if found is None:
        raise NotFound("no such opening")
    return found


def open_now(staff_id: int) -> Sequence[RecordOpening]:
    """What this person has open at the moment."""
    statement = select(RecordOpening).where(
        RecordOpening.staff_id == staff_id, RecordOpening.closed_at.is_(None), RecordOpening.expires_at > clock.now()
    )
    return db.session.scalars(statement.order_by(RecordOpening.id)).all()


def done_with(row: RecordOpening) -> Sequence[AuditEvent]:
    """What the opener read and changed in that record while it was open."""
    until = row.closed_at or row.expires_at
    statement = select(AuditEvent).where(
        AuditEvent.patient_id == row.patient_id,
        AuditEvent.actor_kind == ActorKind.STAFF,
        AuditEvent.actor_key == str(row.staff_id),
        AuditEvent.occurred_at.between(row.opened_at, until),
    )
    return db.session.scalars(statement.order_by(AuditEvent.id).limit(200)).all()


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a report of access is about; what is None does not matter."""

    staff_id: int | None = None
    patient_id: int | None = None
    since: datetime | None = None
    until: datetime | None = None
    only_opened: bool = False


def events(asked: Asked, *, before: int | None = None, limit: int = PAGE) -> Sequence[AuditEvent]:
    """Events of staff about the patients that the caller may see, newest first."""
    statement = select(AuditEvent).where(AuditEvent.actor_kind == ActorKind.STAFF, AuditEvent.patient_id.is_not(None))
    if asked.staff_id is not None:
        statement = statement.where(AuditEvent.actor_key == str(asked.staff_id))
    if asked.patient_id is not None:
        statement = statement.where(AuditEvent.patient_id == asked.patient_id)
    if asked.since is not None:
        statement = statement.where(AuditEvent.occurred_at >= asked.since)
    if asked.until is not None:
        statement = statement.where(AuditEvent.occurred_at < asked.until)
    if before is not None:
        statement = statement.where(AuditEvent.id < before)
    if asked.only_opened:
        while_open = select(RecordOpening.id).where(
            RecordOpening.patient_id == AuditEvent.patient_id,
            AuditEvent.occurred_at.between(RecordOpening.opened_at, RecordOpening.expires_at),
        )
        same = cast(RecordOpening.staff_id, String) == AuditEvent.actor_key
        statement = statement.where(or_(AuditEvent.action == "opened_elsewhere", while_open.where(same).exists()))
    return db.session.scalars(statement.order_by(AuditEvent.id.desc()).limit(limit)).all()


# -- the patient's own report -------------------------------------------------------------------------------------------


@dataclass
class Visit:
    """What one person did with a record on one day."""

    on: date
    who: str  # "staff 7", "service 3", "system"
    last: int  # the newest event
    read: set[str] = field(default_factory=set)
    changed: set[str] = field(default_factory=set)
    was_elsewhere: bool = False


READING = frozenset({"viewed", "downloaded", "previewed", "printed", "opened", "listed"})


def own_report(patient_id: int, tz: str, *, before: int | None = None) -> tuple[list[Visit], int | None]:
    """Who else looked at or changed a patient's record, by day and person, newest first; and where the next page begins."""
    statement = select(AuditEvent).where(
        AuditEvent.patient_id == patient_id,
        AuditEvent.actor_kind.in_([ActorKind.STAFF, ActorKind.SERVICE]),
    )
    if before is not None:
        statement = statement.where(AuditEvent.id < before)
    rows = db.session.scalars(statement.order_by(AuditEvent.id.desc()).limit(OWN_PAGE + 1)).all()
    visits = by_day(rows[:OWN_PAGE], tz)
    return visits, rows[OWN_PAGE - 1].id if len(rows) > OWN_PAGE else None


def by_day(rows: Iterable[AuditEvent], tz: str) -> list[Visit]:
    """Events of one record, grouped by day and person."""
    found: dict[tuple[date, str], Visit] = {}
    for event in rows:
        on = event.occurred_at.astimezone(ZoneInfo(tz)).date()
        who = f"{event.actor_kind} {event.actor_key}"
        visit = found.setdefault((on, who), Visit(on=on, who=who, last=event.id))
        (visit.read if event.action in READING else visit.changed).add(event.entity)
        visit.was_elsewhere |= event.action == "opened_elsewhere"
    return list(found.values())


def staff_choices() -> list[tuple[int, str]]:
    """Everyone who ever worked here, by name."""
    rows = db.session.execute(select(StaffUser.id, StaffUser.name).order_by(StaffUser.name, StaffUser.id))
    return [(row.id, row.name) for row in rows]


def roles_of(staff_ids: Iterable[int]) -> dict[int, tuple[str, frozenset[str]]]:
    """Name and roles by id."""
    rows = db.session.scalars(select(StaffUser).where(StaffUser.id.in_(set(staff_ids))))
    return {row.id: (row.name, frozenset(role.name for role in row.roles)) for row in rows}
