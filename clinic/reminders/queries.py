"""Reads of the ledger, and what a message needs to know when it is claimed."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import and_, exists, or_, select
from sqlalchemy.orm import aliased

from clinic.audit import AuditEvent
from clinic.db import db
from clinic.errors import NotFound
from clinic.locations.models import Device, Location
from clinic.patients.models import Channel, ChannelConsent, LinkRequest, Patient
from clinic.reminders import due
from clinic.reminders.models import Message, MessageState
from clinic.reminders.wording import Place, When
from clinic.scheduling.models import Course, SessionState, TreatmentSession
from clinic.surveys.models import Survey
from clinic.tasks.models import Task

UPCOMING = (SessionState.BOOKED, SessionState.CONFIRMED)
PAGE = 50


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


def due_ids(now: datetime, limit: int, *, purpose: due.Purpose | None = None) -> Sequence[int]:
    """Messages to send now, of one purpose or all: to whoever is on call first, then the nearest deadline."""
    statement = select(Message.id).where(Message.state == MessageState.DUE, Message.not_before <= now)
    if purpose is not None:
        statement = statement.where(Message.purpose == purpose)
    order = (Message.purpose != due.Purpose.ON_CALL, Message.deadline, Message.id)
    return db.session.scalars(statement.order_by(*order).limit(limit)).all()


# -- facts ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Addressee:
    """A patient, as a message needs them. `granted`: the present answer for the channel, None where never asked."""

    patient_id: int
    address: str | None
    granted: bool | None
    tz: str
    language: str
    style: str


def addressee(patient_id: int, channel: str) -> Addressee:
    """Where a channel leads for this patient, and whether it may be used."""
    patient = db.session.get_one(Patient, patient_id, populate_existing=True)
    granted = db.session.scalar(
        select(ChannelConsent.granted).where(
            ChannelConsent.patient_id == patient_id,
            ChannelConsent.channel == channel,
            ChannelConsent.superseded_at.is_(None),
        )
    )
    return Addressee(
        patient_id=patient_id,
        address=patient.email if channel == Channel.EMAIL else patient.phone,
        granted=granted,
        tz=patient.tz,
        language=patient.language,
        style=patient.message_style,
    )


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


def is_first_of_course(row: TreatmentSession) -> bool:
    """Is there no earlier session of the course that took or takes place?"""
    earlier = exists().where(
        TreatmentSession.course_id == row.course_id,
        TreatmentSession.starts_at < row.starts_at,
        TreatmentSession.state.in_((*UPCOMING, SessionState.ARRIVED, SessionState.COMPLETED)),
    )
    return not db.session.scalar(select(earlier))


def upcoming_of_course(course_id: int | None, now: datetime) -> Sequence[TreatmentSession]:
    """Booked sessions of a course that lie ahead."""
    return _upcoming(TreatmentSession.course_id == course_id, now)


def upcoming_of_week(patient_id: int, monday: date, now: datetime) -> Sequence[TreatmentSession]:
    """Booked sessions of a patient in the week of this Monday that lie ahead."""
    in_week = TreatmentSession.local_on.between(monday, monday + timedelta(days=6))
    return _upcoming(and_(TreatmentSession.patient_id == patient_id, in_week), now)


def _upcoming(condition: Any, now: datetime) -> Sequence[TreatmentSession]:
    return db.session.scalars(
        select(TreatmentSession)
        .where(condition, TreatmentSession.state.in_(UPCOMING), TreatmentSession.starts_at > now)
        .order_by(TreatmentSession.starts_at)
    ).all()


def visits_with(session_id: int, patient_id: int, now: datetime) -> list[TreatmentSession]:
    """The visit of a link and those of the same course in the week after it, as far as they lie ahead."""
    about = session(session_id)
    if about is None or about.patient_id != patient_id:
        return []
    until = about.local_on + timedelta(days=6)
    near = [row for row in upcoming_of_course(about.course_id, now) if about.local_on <= row.local_on <= until]
    return first_of_each_day(near)


def sessions_of_that_day(session_id: int) -> Sequence[int]:
    """The session itself, and the later ones of its course on the same day that lie ahead, by time."""
    about = session(session_id)
    if about is None:
        raise NotFound("no such visit")
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


def link_request(request_id: int) -> LinkRequest | None:
    """Someone's request for a link."""
    return db.session.get(LinkRequest, request_id)


def survey(survey_id: int | None) -> Survey | None:
    """A check-in as it is now."""
    return db.session.get(Survey, survey_id, populate_existing=True) if survey_id is not None else None


def course(course_id: int | None) -> Course | None:
    """A course as it is now."""
    return db.session.get(Course, course_id, populate_existing=True) if course_id is not None else None


def task(task_id: int | None) -> Task | None:
    """A task as it is now."""
    return db.session.get(Task, task_id, populate_existing=True) if task_id is not None else None


def told_start(row: Message) -> tuple[datetime, int] | None:
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
    revision = int(last.partition("#")[2]) if last else 0
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
            return datetime.fromisoformat(move.detail["from_at"]), int(move.detail["from_device"])
    return None


def are_together(device_id: int, other_id: int) -> bool:
    """Are the two devices at one site?"""
    sites = db.session.scalars(select(Device.location_id).where(Device.id.in_((device_id, other_id))).distinct())
    return len(sites.all()) == 1


def lock_siblings(row: Message) -> Sequence[Message]:
    """Other due changes of the same course to the same person over the same channel; the patient is locked already."""
    return db.session.scalars(
        select(Message)
        .where(
            Message.id != row.id,
            Message.patient_id == row.patient_id,
            Message.course_id == row.course_id,
            Message.purpose == row.purpose,
            Message.channel == row.channel,
            Message.state == MessageState.DUE,
            Message.body.is_(None),
        )
        .order_by(Message.id)
        .with_for_update()
    ).all()


def location_of(row: Message) -> int | None:
    """The site whose desk is told when the message cannot be delivered."""
    visit = session(row.session_id)
    if visit is not None:
        return visit.location_id
    found = course(row.course_id)
    if found is not None:
        return found.location_id
    about = task(row.task_id)
    return about.location_id if about is not None else None


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
    record_number: str | None = None,
    before_id: int | None = None,
    limit: int = PAGE,
) -> list[MessageLine]:
    """Messages, newest first, to patients of these sites and to people who are no patients."""
    statement = select(Message, Patient.initials, Patient.record_number).outerjoin(
        Patient, Patient.id == Message.patient_id
    )
    statement = statement.where(_seen_from(location_ids))
    for column, value in (
        (Message.state, state),
        (Message.purpose, purpose),
        (Message.channel, channel),
        (Patient.record_number, record_number),
    ):
        if value:
            statement = statement.where(column == value)
    return _lines(statement, before_id, limit)


def of_patient(patient_id: int, *, limit: int = 20) -> list[MessageLine]:
    """A patient's messages, newest first."""
    statement = select(Message, Patient.initials, Patient.record_number).join(Patient, Patient.id == Message.patient_id)
    return _lines(statement.where(Message.patient_id == patient_id), None, limit)


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
    """A message belongs to the site of its course, else to those of the patient; without any, every site sees it."""
    person, course = aliased(Patient), aliased(Course)
    own = select(person.id).where(person.id == Message.patient_id)
    about = select(course.id).where(course.location_id.in_(location_ids))
    any_course = select(Course.id).where(Course.patient_id == person.id)
    return or_(
        about.where(course.id == Message.course_id).correlate(Message).exists(),
        and_(
            Message.course_id.is_(None),
            or_(
                Message.patient_id.is_(None),
                own.where(person.preferred_location_id.is_(None), ~any_course.correlate(person).exists())
                .correlate(Message)
                .exists(),
                own.where(person.preferred_location_id.in_(location_ids)).correlate(Message).exists(),
                about.where(course.patient_id == Message.patient_id).correlate(Message).exists(),
            ),
        ),
    )


def _lines(statement: Any, before_id: int | None, limit: int) -> list[MessageLine]:
    if before_id is not None:
        statement = statement.where(Message.id < before_id)
    rows = db.session.execute(statement.order_by(Message.id.desc()).limit(limit))
    return [MessageLine(message=message, initials=initials, record_number=number) for message, initials, number in rows]
