"""Reads of the ledger, and what a message needs to know when it is claimed."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import aliased

from clinic import clock
from clinic.audit import AuditEvent
from clinic.db import db
from clinic.errors import NotFound
from clinic.locations.models import Device, Location
from clinic.patients.models import Patient
from clinic.reminders import due
from clinic.reminders.facts import UPCOMING
from clinic.reminders.finding import TOGETHER
from clinic.reminders.models import InboundText, Lane, Message, MessageState, Receipt
from clinic.reminders.purposes import NEWS
from clinic.reminders.wording import Place, When
from clinic.scheduling import answering
from clinic.scheduling.models import ChangeState, ScheduleChange, SessionState, TreatmentSession
from clinic.scheduling.moving import is_news
from clinic.tasks.models import Task

PAGE = 50
CAME_BACK = "undelivered"  # a filter beside the states
# Not one of the many rows of a change that one message told of: they would bury everything else.
_SPEAKS_FOR_ITSELF = or_(Message.state != MessageState.VOID, func.coalesce(Message.failure, "") != TOGETHER)


def get(message_id: int) -> Message:
    """The message. Raises NotFound."""
    found = db.session.get(Message, message_id)
    if found is None:
        raise NotFound("no such message")
    return found


def lock(message_id: int) -> Message:
    """The message's row, locked until the transaction ends. Raises NotFound."""
    found = db.session.scalar(select(Message).where(Message.id == message_id).with_for_update())
    if found is None:
        raise NotFound("no such message")
    return found


def due_ids(now: datetime, limit: int, *, purpose: due.Purpose | None = None, lane: str | None = None) -> Sequence[int]:
    """Messages to send now, of one purpose, one lane or all: the most urgent lane first, then the nearest deadline."""
    statement = select(Message.id).where(Message.state == MessageState.DUE, Message.not_before <= now)
    if purpose is not None:
        statement = statement.where(Message.purpose == purpose)
    if lane is not None:
        statement = statement.where(Message.lane == lane)
    else:
        statement = statement.order_by(Message.lane != Lane.URGENT)
    return db.session.scalars(statement.order_by(Message.deadline, Message.id).limit(limit)).all()


def due_news(lane: str, now: datetime, limit: int) -> Sequence[int]:
    """Messages about changes to send now; those of one plan go together, so each is claimed by itself."""
    statement = select(Message.id).where(
        Message.state == MessageState.DUE,
        Message.lane == lane,
        Message.not_before <= now,
        Message.purpose.in_(NEWS),
    )
    return db.session.scalars(statement.order_by(Message.deadline, Message.id).limit(limit)).all()


def waiting(now: datetime) -> dict[str, int]:
    """How many messages wait to go out now, by lane."""
    rows = db.session.execute(
        select(Message.lane, func.count())
        .where(Message.state == MessageState.DUE, Message.not_before <= now)
        .group_by(Message.lane)
    )
    return {lane: count for lane, count in rows}  # noqa: C416 - a Result is not a mapping


def copies(message_id: int) -> Sequence[Message]:
    """The rows that sent it anew."""
    return db.session.scalars(select(Message).where(Message.again_of == message_id).order_by(Message.id)).all()


def inbound(inbound_id: int) -> InboundText:
    """A text that came in. Raises NotFound."""
    found = db.session.get(InboundText, inbound_id)
    if found is None:
        raise NotFound("no such text")
    return found


def lock_inbound(inbound_id: int) -> InboundText:
    """Its row, locked until the transaction ends."""
    statement = select(InboundText).where(InboundText.id == inbound_id).with_for_update()
    return db.session.scalars(statement.execution_options(populate_existing=True)).one()


def inbound_by_provider_id(provider_id: str) -> InboundText:
    """The text that the provider knows by this name."""
    return db.session.scalars(select(InboundText).where(InboundText.provider_id == provider_id[:120])).one()


def left_inbound(before: datetime) -> Sequence[int]:
    """Texts of the last day that nobody finished."""
    statement = select(InboundText.id).where(
        InboundText.said.is_(None), InboundText.received_at.between(before - timedelta(days=1), before)
    )
    return db.session.scalars(statement.order_by(InboundText.id).limit(100)).all()


def copies_of(message_id: int) -> int:
    """How often it was sent anew by hand."""
    return db.session.scalar(select(func.count()).where(Message.again_of == message_id)) or 0


# -- facts ------------------------------------------------------------------------------------------------------------


def session(session_id: int | None) -> TreatmentSession | None:
    """A session as it is now."""
    return db.session.get(TreatmentSession, session_id, populate_existing=True) if session_id is not None else None


def sessions(ids: Collection[int]) -> Sequence[TreatmentSession]:
    """These sessions, by time."""
    statement = select(TreatmentSession).where(TreatmentSession.id.in_(ids)).order_by(TreatmentSession.starts_at)
    return db.session.scalars(statement).all()


def lock_visit(session_id: int) -> TreatmentSession:
    """The session's row, locked until the transaction ends. Raises NotFound."""
    found = db.session.scalar(
        select(TreatmentSession)
        .where(TreatmentSession.id == session_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if found is None:
        raise NotFound("no such visit")
    return found


def upcoming_of_course(course_id: int | None, now: datetime) -> Sequence[TreatmentSession]:
    """Booked sessions of a course that lie ahead."""
    return _upcoming(TreatmentSession.course_id == course_id, now)


def _upcoming(condition: Any, now: datetime) -> Sequence[TreatmentSession]:
    return db.session.scalars(
        select(TreatmentSession)
        .where(condition, TreatmentSession.state.in_(UPCOMING), TreatmentSession.starts_at > now)
        .order_by(TreatmentSession.starts_at)
    ).all()


def visits_of(row: Message, now: datetime) -> list[TreatmentSession]:
    """The visits that a message's link opens: its own and those of the week after it, as far as they lie ahead."""
    assert row.patient_id is not None
    if row.session_id is not None:
        return visits_with(row.session_id, row.patient_id, now)
    monday = date.fromisoformat(row.matter.removeprefix("w:"))
    mine, in_week = (
        TreatmentSession.patient_id == row.patient_id,
        TreatmentSession.local_on.between(monday, monday + timedelta(days=6)),
    )
    return first_of_each_day(_upcoming(and_(mine, in_week), now))


def open_changes(patient_id: int, ids: Collection[int]) -> Sequence[ScheduleChange]:
    """Re-plans among these that the person was told of and can still answer."""
    found = answering.open_of_patient(patient_id) if ids else []
    return [one for one in found if one.id in ids and one.state == ChangeState.TOLD]


def visits_with(session_id: int, patient_id: int, now: datetime) -> list[TreatmentSession]:
    """The visit of a link and those of the same course in the week after it, as far as they lie ahead."""
    about = session(session_id)
    if about is None or about.patient_id != patient_id:
        return []
    if about.course_id is None:
        return [about] if about.state in UPCOMING and about.starts_at > now else []
    until = about.local_on + timedelta(days=6)
    near = [row for row in upcoming_of_course(about.course_id, now) if about.local_on <= row.local_on <= until]
    return first_of_each_day(near)


def sessions_of_that_day(session_id: int) -> Sequence[int]:
    """The session itself, and the later ones of its course on the same day that lie ahead, by time."""
    about = session(session_id)
    if about is None:
        raise NotFound("no such visit")
    if about.course_id is None:
        return [session_id]
    later = db.session.scalars(
        select(TreatmentSession.id)
        .where(
            TreatmentSession.course_id == about.course_id,
            TreatmentSession.local_on == about.local_on,
            TreatmentSession.starts_at > about.starts_at,
            TreatmentSession.state.in_(UPCOMING),
        )
        .order_by(TreatmentSession.starts_at)
    )
    return [session_id, *later]


def open_task_keys(keys: Collection[str]) -> set[str]:
    """Those of these tasks that are open."""
    statement = select(Task.dedupe_key).where(Task.dedupe_key.in_(keys), Task.closed_at.is_(None))
    return set(db.session.scalars(statement))


def first_of_each_day(rows: Sequence[TreatmentSession]) -> list[TreatmentSession]:
    """Several sessions of one day are one visit to the patient."""
    days: dict[tuple[int, date], TreatmentSession] = {}
    for row in rows:
        days.setdefault((row.location_id, row.local_on), row)
    return list(days.values())


def places(ids: Collection[int]) -> dict[int, Place]:
    """Sites by id, as messages name them."""
    rows = db.session.execute(
        select(Location.id, Location.name, Location.address, Location.tz).where(Location.id.in_(ids))
    )
    return {row.id: Place(row.name, row.address, row.tz) for row in rows}


def named(rows: Sequence[TreatmentSession]) -> list[When]:
    """Visits as messages name them."""
    sites = places({row.location_id for row in rows})
    return [When(row.starts_at, sites[row.location_id]) for row in rows]


def device(device_id: int) -> Device | None:
    """The device."""
    return db.session.get(Device, device_id)


def told_start(row: Message) -> tuple[datetime, int | None] | None:
    """Start and device of a moved session as this person was last told; None where that is not known."""
    last = db.session.scalar(
        select(Message.occurrence)
        .where(
            Message.session_id == row.session_id,
            Message.purpose == row.purpose,
            Message.channel == row.channel,
            Message.state == MessageState.SENT,
        )
        .order_by(Message.id.desc())
        .limit(1)
    )
    revision = int(last.partition("#")[2].partition("~")[0]) if last else 0
    moves = db.session.scalars(
        select(AuditEvent)
        .where(
            AuditEvent.entity == TreatmentSession.__tablename__,
            AuditEvent.entity_id == str(row.session_id),
            AuditEvent.detail.has_key("from_at"),
        )
        .order_by(AuditEvent.id)
    )
    for move in moves:
        if move.detail.get("revision", 0) > revision:
            return datetime.fromisoformat(move.detail["from_at"]), move.detail.get("from_device")
    return None


def are_together(device_id: int, other_id: int) -> bool:
    """Are the two devices at one site?"""
    sites = db.session.scalars(select(Device.location_id).where(Device.id.in_((device_id, other_id))).distinct())
    return len(sites.all()) == 1


def asked_change(visit: TreatmentSession, channel: str) -> ScheduleChange | None:
    """The re-plan of a session that waits for a yes to an earlier time, where that question tells of the session too."""
    change = db.session.get(ScheduleChange, visit.change_id) if visit.change_id is not None else None
    if change is None or change.state != ChangeState.ASKED or change.answer_by <= clock.now():
        return None
    asked = select(Message.id).where(
        Message.patient_id == visit.patient_id,
        Message.purpose == due.Purpose.FREED_SLOT,
        Message.occurrence == f"x:{change.id}#{change.revision}",
        Message.channel == channel,
        Message.state.in_((MessageState.DUE, MessageState.SENDING, MessageState.SENT)),
    )
    return change if db.session.scalar(asked.limit(1)) is not None else None


def changed_beside(change_id: int) -> Sequence[TreatmentSession]:
    """Sessions of a re-plan that moved or were cancelled without a question, by time."""
    change = db.session.get_one(ScheduleChange, change_id)
    statement = select(TreatmentSession).where(
        TreatmentSession.id.in_([line["session_id"] for line in change.moves if is_news(line)]),
        TreatmentSession.change_id == change_id,
        TreatmentSession.state.in_((*UPCOMING, SessionState.CANCELLED)),
        TreatmentSession.starts_at > clock.now(),
    )
    return db.session.scalars(statement.order_by(TreatmentSession.starts_at)).all()


def lock_siblings(row: Message) -> Sequence[Message]:
    """Other due changes of the same course or outage to the same person over the same channel; the patient is locked."""
    mine, theirs = aliased(ScheduleChange), aliased(ScheduleChange)
    outage = (
        select(mine.outage_id)
        .join(TreatmentSession, TreatmentSession.change_id == mine.id)
        .where(TreatmentSession.id == row.session_id)
        .scalar_subquery()
    )
    of_outage = (
        select(TreatmentSession.id)
        .join(theirs, theirs.id == TreatmentSession.change_id)
        .where(TreatmentSession.patient_id == row.patient_id, theirs.outage_id == outage)
    )
    return db.session.scalars(
        select(Message)
        .where(
            Message.id != row.id,
            Message.patient_id == row.patient_id,
            or_(Message.course_id == row.course_id, Message.session_id.in_(of_outage)),
            Message.purpose.in_(NEWS),
            Message.channel == row.channel,
            Message.state == MessageState.DUE,
            Message.body.is_(None),
        )
        .order_by(Message.id)
        .with_for_update()
    ).all()


# -- the desk ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class MessageLine:
    """One row of the desk's list: initials and record number, never an address."""

    message: Message
    initials: str | None
    record_number: str | None


def listing(
    location_ids: Collection[int],
    *,
    state: str | None = None,
    purpose: str | None = None,
    channel: str | None = None,
    patient_ids: Collection[int] | None = None,
    before_id: int | None = None,
    after_id: int | None = None,
    limit: int = PAGE,
) -> list[MessageLine]:
    """Messages, newest first, to patients of these sites and to people who are no patients.

    `state`: of the row, or `undelivered` for what was accepted and came back; rows that another message told of are
    shown only where `void` is asked for. `after_id`: the page of newer ones.
    """
    statement = select(Message, Patient.initials, Patient.record_number).outerjoin(
        Patient, Patient.id == Message.patient_id
    )
    statement = statement.where(_seen_from(location_ids))
    if state == CAME_BACK:
        statement = statement.where(Message.receipt.in_((Receipt.UNDELIVERED, Receipt.BOUNCED)))
    elif state:
        statement = statement.where(Message.state == state)
    else:
        statement = statement.where(_SPEAKS_FOR_ITSELF)
    if purpose:
        statement = statement.where(Message.purpose == purpose)
    if channel:
        statement = statement.where(Message.channel == channel)
    if patient_ids is not None:
        statement = statement.where(Message.patient_id.in_(patient_ids))
    if after_id is not None:
        newer = statement.where(Message.id > after_id).order_by(Message.id).limit(limit)
        return _lines(newer)[::-1]
    if before_id is not None:
        statement = statement.where(Message.id < before_id)
    return _lines(statement.order_by(Message.id.desc()).limit(limit))


def of_patient(patient_id: int, *, limit: int = 20) -> list[MessageLine]:
    """A patient's messages, newest first."""
    statement = select(Message, Patient.initials, Patient.record_number).join(Patient, Patient.id == Message.patient_id)
    statement = statement.where(Message.patient_id == patient_id, _SPEAKS_FOR_ITSELF)
    return _lines(statement.order_by(Message.created_at.desc(), Message.id.desc()).limit(limit))


@dataclass(frozen=True, kw_only=True)
class Event:
    """One line of a patient's timeline: a message, or a text that came in."""

    at: datetime
    message: Message | None = None
    text: InboundText | None = None


def timeline(patient_id: int, *, before: datetime | None = None, limit: int = PAGE) -> list[Event]:
    """What was written to a patient and what they wrote, newest first, strictly before an instant."""
    before = before or datetime.max.replace(tzinfo=UTC)
    written = db.session.scalars(
        select(Message)
        .where(Message.patient_id == patient_id, Message.created_at < before, _SPEAKS_FOR_ITSELF)
        .order_by(Message.created_at.desc(), Message.id.desc())
        .limit(limit)
    )
    came = db.session.scalars(
        select(InboundText)
        .where(InboundText.patient_id == patient_id, InboundText.received_at < before)
        .order_by(InboundText.received_at.desc(), InboundText.id.desc())
        .limit(limit)
    )
    events = [Event(at=row.created_at, message=row) for row in written]
    events += [Event(at=row.received_at, text=row) for row in came]
    return sorted(events, key=lambda event: event.at, reverse=True)[:limit]


@dataclass(frozen=True, kw_only=True)
class TextLine:
    """One text that came in."""

    text: InboundText
    initials: str | None
    record_number: str | None


def inbound_listing(
    location_ids: Collection[int], *, before_id: int | None = None, limit: int = PAGE
) -> list[TextLine]:
    """Texts that came in, newest first, of these sites and of people whom we do not know."""
    statement = select(InboundText, Patient.initials, Patient.record_number).outerjoin(
        Patient, Patient.id == InboundText.patient_id
    )
    statement = statement.where(_belongs(InboundText.location_id, location_ids))
    if before_id is not None:
        statement = statement.where(InboundText.id < before_id)
    rows = db.session.execute(statement.order_by(InboundText.id.desc()).limit(limit))
    return [TextLine(text=text, initials=initials, record_number=number) for text, initials, number in rows]


def inbound_seen_by(inbound_id: int, location_ids: Collection[int]) -> InboundText:
    """The text, if it may be seen from these sites. Raises NotFound."""
    found = db.session.scalar(
        select(InboundText).where(InboundText.id == inbound_id, _belongs(InboundText.location_id, location_ids))
    )
    if found is None:
        raise NotFound("no such text")
    return found


def kept(limit: int = 100) -> Sequence[Message]:
    """Messages that were kept instead of sent, newest first: development only."""
    return db.session.scalars(
        select(Message)
        .where(Message.state == MessageState.SENT, Message.body.is_not(None))
        .order_by(Message.sent_at.desc(), Message.id.desc())
        .limit(limit)
    ).all()


def seen_by(message_id: int, location_ids: Collection[int]) -> Message:
    """The message, if it may be seen from these sites. Raises NotFound."""
    found = db.session.scalar(select(Message).where(Message.id == message_id, _seen_from(location_ids)))
    if found is None:
        raise NotFound("no such message")
    return found


def _seen_from(location_ids: Collection[int]) -> Any:
    """A message belongs to the site of what it is about, else to that of the patient; without any, every site sees it."""
    return _belongs(Message.location_id, location_ids)


def _belongs(column: Any, location_ids: Collection[int]) -> Any:
    return or_(column.is_(None), column.in_(location_ids))


def _lines(statement: Any) -> list[MessageLine]:
    rows = db.session.execute(statement)
    return [MessageLine(message=message, initials=initials, record_number=number) for message, initials, number in rows]
