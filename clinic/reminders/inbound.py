"""Texts that come in: kept once, read by rule, acted on, answered. What no rule reads becomes a task."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from clinic import clock
from clinic.audit import Actor, ActorKind
from clinic.db import db, transaction
from clinic.errors import AlreadyOver, NotFound
from clinic.locations import queries as locations
from clinic.patients import operations as patient_operations
from clinic.patients import queries as patients
from clinic.patients.models import Channel, ChannelConsent, Patient
from clinic.reminders import answers, due, queries, replies, wording
from clinic.reminders.content import as_people_read
from clinic.reminders.facts import UPCOMING, own_texts
from clinic.reminders.ledger import BY
from clinic.reminders.models import Answer, InboundText, Message, MessageState
from clinic.reminders.purposes import ASKING
from clinic.reminders.replies import Meaning, Read
from clinic.scheduling.models import TreatmentSession
from clinic.tasks import operations as tasks
from clinic.tasks import safety
from clinic.tasks.models import TaskKind, TaskLevel

log = logging.getLogger(__name__)

ANSWERED_WITHIN = timedelta(days=8)
TASK_WITHIN = timedelta(hours=1)
LEFT_AFTER = timedelta(minutes=2)  # a text whose answer is not finished by then was left by a process that died
LONGEST = 1600
OPTED_OUT = "opt_out"  # source of a consent that STOP took back


@dataclass(frozen=True)
class Inbound:
    """A text as the provider hands it on."""

    provider: str
    provider_id: str
    sender: str
    body: str


def receive(text: Inbound) -> str | None:
    """Keep, act and answer; None where nothing is written back. The same text again has the same answer."""
    with transaction():
        row = _keep(text)
        if row is None:
            return queries.inbound_by_provider_id(text.provider_id).said
        inbound_id = row.id
    return _act(inbound_id)


def finish_left() -> int:
    """Act on texts that a process kept and then died over; answers how many."""
    with transaction():
        left = queries.left_inbound(clock.now() - LEFT_AFTER)
    for inbound_id in left:
        _act(inbound_id)
    return len(left)


# -- keep ----------------------------------------------------------------------------------------------------------------


def _keep(text: Inbound) -> InboundText | None:
    """The row of a new text, with what it means; None where it was kept before."""
    now, people = clock.now(), patients.reached_at(text.sender)
    read = replies.read(text.body)
    asked = _asked(people, now) if read.meaning in replies.CODES.values() else None
    meaning = Meaning.UNCLEAR if read.meaning in replies.CODES.values() and asked is None else read.meaning
    person = asked.patient_id if asked is not None else people[0].id if len(people) == 1 else None
    row = db.session.scalar(
        insert(InboundText)
        .values(
            provider=text.provider,
            provider_id=text.provider_id[:120],
            patient_id=person,
            location_id=asked.location_id if asked is not None else _site_of(people),
            message_id=asked.id if asked is not None else None,
            sender=text.sender[:40],
            body=text.body[:LONGEST],
            meaning=meaning,
            received_at=now,
        )
        .on_conflict_do_nothing(index_elements=["provider_id"])
        .returning(InboundText)
    )
    if row is None:
        return None
    if meaning is Meaning.STOP:
        _set_consent(people, granted=False)
    elif meaning is Meaning.START:
        _set_consent(people, granted=True)
    if meaning is Meaning.UNCLEAR or read.is_double:
        _ask_a_person(row, read, now)
    return row


def _asked(people: Sequence[Patient], now: datetime) -> Message | None:
    """The last unanswered question by text, if it is about a visit that lies ahead as it was asked; never a choice."""
    found = []
    for patient in people:
        last = db.session.scalar(
            select(Message)
            .where(
                Message.patient_id == patient.id,
                Message.created_at > now - ANSWERED_WITHIN - timedelta(days=1),
                Message.channel == Channel.SMS,
                Message.purpose.in_(ASKING),
                Message.state == MessageState.SENT,
                Message.sent_at > now - ANSWERED_WITHIN,
                Message.answer.is_(None),
                Message.session_id.is_not(None),
            )
            .order_by(Message.sent_at.desc(), Message.id.desc())
            .limit(1)
        )
        if last is not None:
            found.append(last)
    return found[0] if len(found) == 1 and _holds(found[0], now) else None


def _holds(asked: Message, now: datetime) -> bool:
    visit = queries.session(asked.session_id)
    if visit is None or visit.state not in UPCOMING or visit.starts_at <= now:
        return False
    return asked.matter in (due.visit_key(visit.id, visit.starts_at), due.change_key(visit.id, visit.revision))


def _set_consent(people: Sequence[Patient], *, granted: bool) -> None:
    """STOP holds for everyone with this number; START for those whom STOP silenced. This channel and no other."""
    for patient in sorted(people, key=lambda one: one.id):
        patients.lock(patient.id)
        if granted and not _was_silenced(patient.id):
            continue
        patient_operations.set_consent_within_transaction(
            patient.id, Channel.SMS, granted, by=_actor(patient.id), source="opt_in" if granted else OPTED_OUT
        )


def _was_silenced(patient_id: int) -> bool:
    source = db.session.scalar(
        select(ChannelConsent.source).where(
            ChannelConsent.patient_id == patient_id,
            ChannelConsent.channel == Channel.SMS,
            ChannelConsent.superseded_at.is_(None),
            ~ChannelConsent.granted,
        )
    )
    return source == OPTED_OUT


def _ask_a_person(row: InboundText, read: Read, now: datetime) -> None:
    if read.is_alarming:
        openings = locations.openings(row.location_id, clock.today(locations.clinic_tz()), 14)
        tasks.open_within_transaction(
            kind=TaskKind.SAFETY,
            level=TaskLevel.SAME_DAY,
            dedupe_key=f"safety:text:{row.id}",
            for_role="prescriber",
            due_at=safety.due_at(TaskLevel.SAME_DAY, now, openings),
            by=BY,
            patient_id=row.patient_id,
            location_id=row.location_id,
            subject={"inbound_id": row.id},
            note=f"Text message: {row.body}",
        )
    tasks.open_within_transaction(
        kind=TaskKind.UNCLEAR_REPLY,
        level=TaskLevel.SAME_DAY,
        dedupe_key=f"text:{row.id}",
        for_role="front_desk",
        due_at=now + TASK_WITHIN,
        by=BY,
        patient_id=row.patient_id,
        location_id=row.location_id,
        subject={"inbound_id": row.id},
    )


def _site_of(people: Sequence[Patient]) -> int | None:
    sites = {patient.preferred_location_id for patient in people}
    return sites.pop() if len(sites) == 1 else None


# -- act -----------------------------------------------------------------------------------------------------------------


def _act(inbound_id: int) -> str | None:
    """Do what a kept text says, and write down what is written back. Safe to repeat."""
    with transaction():
        row = queries.inbound(inbound_id)
        meaning, patient_id = Meaning(row.meaning), row.patient_id
        asked = db.session.get(Message, row.message_id) if row.message_id is not None else None
        session_id = asked.session_id if asked is not None else None
    if session_id is not None and patient_id is not None:
        try:
            answers.answer_visit(session_id, Answer(meaning), by=_actor(patient_id))
        except (AlreadyOver, NotFound):
            meaning = Meaning.UNCLEAR
    with transaction():
        row = queries.lock_inbound(inbound_id)
        if row.said is None:
            if meaning is Meaning.UNCLEAR and row.meaning != Meaning.UNCLEAR:
                row.meaning = meaning
                _ask_a_person(row, Read(meaning), clock.now())
            row.said = _answer(row, meaning, session_id)
        return row.said


def _answer(row: InboundText, meaning: Meaning, session_id: int | None) -> str:
    key = {Meaning.STOP: "reply_stopped", Meaning.START: "reply_started"}.get(meaning, f"reply_{meaning}")
    profile, read = locations.profile(), replies.read(row.body)
    person = patients.get(row.patient_id) if row.patient_id is not None else None
    language = wording.known(read.language or (person.language if person is not None else "en"))
    visit = queries.session(session_id)
    facts = {
        "clinic": profile.short_name if profile is not None else "Daybreak",
        "phone": as_people_read(profile.phone) if profile is not None else "",
        "when": _when(visit, language) if visit is not None else "",
    }
    own = own_texts().get((key, language))
    return wording.reply(key, language, facts, own[1] if own else None)


def _when(visit: TreatmentSession, language: str) -> str:
    [named] = queries.named([visit])
    return wording.when_in_words(named, language)


def _actor(patient_id: int) -> Actor:
    return Actor(ActorKind.PATIENT, str(patient_id))
