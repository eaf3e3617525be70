"""From the ledger to the provider: claim and commit, send, record. The network is never used inside a transaction.

Rows are claimed one by one or in small batches. In a batch the facts are read once for all and the providers are
spoken to side by side; a row that cannot be worded, sent or recorded ends alone on the worklist. Where many go one by
one, the transaction that writes down what came of a message claims the next: one commit a message.
"""

import logging
import os
import time
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import ARRAY, BigInteger, any_, bindparam, func, select, text, update
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.orm.attributes import set_committed_value

from clinic import clock
from clinic.db import Asked, UTCDateTime, db, keyring, loaded, read_as, together, transaction
from clinic.patients import queries as patients
from clinic.patients.models import Channel, Patient
from clinic.reminders import content, dead, due, finding, ledger, queries, signed, wording
from clinic.reminders.channels import Accepted, ChannelBusy, ChannelRefused, Envelope, channel_for
from clinic.reminders.channels import Channel as Way
from clinic.reminders.channels.base import ANY
from clinic.reminders.due import Purpose
from clinic.reminders.facts import Addressee, Facts, Known, Person, known_of, of_one, told_since
from clinic.reminders.models import Message, MessageState
from clinic.reminders.purposes import NEWS, TRAITS
from clinic.reminders.signed import Use
from clinic.tasks import operations as tasks
from clinic.tasks.models import TaskKind, TaskLevel

log = logging.getLogger(__name__)

BATCH = 50
AT_ONCE = 8  # providers are spoken to by so many threads
WORK_SECONDS = 8.0  # then other work of the queue gets its turn
SEND_SECONDS = 120.0  # what is not tried by then is due again: the claim must not grow old meanwhile
CLAIM_HOLDS = ledger.STUCK_AFTER / 2  # an older claim may be another worker's already
RECORD_PATIENCE = 480.0  # seconds that an accepted message waits for a database that is away
DOUBT_MATTERS = (Channel.SMS,)  # mail has one provider, which knows the Message-ID

Outcome = Accepted | ChannelBusy | ChannelRefused | None  # None: not tried


@dataclass(frozen=True)
class Claim:
    """What one try needs after its transaction is over."""

    id: int
    claimed_at: datetime
    channel: str
    envelope: Envelope


Outcomes = Sequence[tuple[Claim, Outcome]]


# -- the worker's side ---------------------------------------------------------------------------------------------------


def work(lane: str, *, seconds: float = WORK_SECONDS) -> bool:
    """Send what waits in a lane, batch by batch; answers whether more waits when the time is over."""
    ends = time.monotonic() + seconds
    while send_batch(lane):
        if time.monotonic() > ends:
            return True
    return False


def send_batch(lane: str, limit: int = BATCH) -> int:
    """One batch of a lane, nearest deadline first; answers how many rows were handled. Several workers share a lane."""
    news = queries.due_news(lane, clock.now(), limit)
    send_each(news)
    try:
        claims, handled = _claim_waiting(lane, limit)
    except OperationalError:
        raise
    except Exception:  # one of them breaks the whole: take them one by one
        log.exception("a batch of lane %s: fault before sending", lane)
        ids = queries.due_ids(clock.now(), limit, lane=lane)
        send_each(ids)
        return len(news) + len(ids)
    _record_all(_send_all(claims))
    return len(news) + handled


def send_message(message_id: int) -> None:
    """Make one try. Nothing happens where another worker was faster."""
    send_each([message_id])


def send_each(message_ids: Sequence[int]) -> None:
    """Make one try of each, one after another. Nothing happens to those where another worker was faster."""
    came: Outcomes = []
    try:
        for message_id in message_ids:
            claims = _claim_next(message_id, came)
            came = []
            came = _send_all(claims)
    finally:
        _record_all(came)


def _claim_next(message_id: int, came: Outcomes) -> list[Claim]:
    """Claim a message and write down what came of the one before it, which is never lost by what is wrong with this one."""
    try:
        return _claim_one(message_id, came)
    except Exception as fault:
        if came:
            _record_all(came)
            return _claim_next(message_id, [])
        if isinstance(fault, OperationalError):
            raise
        # A row that cannot be read or worded ends on the worklist and holds up no other.
        log.exception("message %s: fault before sending", message_id)
        _record_unsendable(message_id, f"fault: {type(fault).__name__}")
        return []


def call_out() -> int:
    """Tell whoever is on call what is due, here and now: needs no broker. Answers how many messages were tried.

    Several processes may do this at once, beside the sweep: a row is written once and claimed once.
    """
    now = clock.now()
    ledger.take_back(now)
    ledger.write(finding.find_calls(now, ledger.settings().on_call), now)
    ids = queries.due_ids(now, BATCH, purpose=Purpose.ON_CALL)
    send_each(ids)
    return len(ids)


# -- claim ---------------------------------------------------------------------------------------------------------------


def _claim_waiting(lane: str, limit: int) -> tuple[list[Claim], int]:
    """Claim up to `limit` rows of a lane; answers what is to be sent, and how many rows came to something.

    Nobody is waited for: a row that another worker holds, or whose patient someone is changing, is left for later.
    """
    with transaction():
        now = clock.now()
        waiting = (
            select(Message.id, Message.patient_id)
            .where(
                Message.state == MessageState.DUE,
                Message.lane == lane,
                Message.not_before <= now,
                Message.purpose.not_in(NEWS),
            )
            .order_by(Message.deadline, Message.id)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        picked = db.session.execute(waiting).all()
        wanted = {row.patient_id for row in picked if row.patient_id is not None}
        people = _lock_people(wanted) if wanted else {}
        ids = [row.id for row in picked if row.patient_id is None or row.patient_id in people]
        if not ids:
            return [], 0
        rows = _take(ids, now)
        claims, worded = _prepare_all(rows, people, now)
        _keep_words(worded)
        return claims, len(rows)


def _claim_one(message_id: int, came: Outcomes = ()) -> list[Claim]:
    """Claim a row; the same transaction writes down what came of another. Raises what is wrong with either."""
    with transaction():
        # Changes that are told together are claimed one after another: the person is locked before the row.
        now = clock.now()
        wanted = {"wanted": message_id}
        found, read = together(_claim_with_person()({**wanted, "now": now}), of_one()({**wanted, **told_since(now)}))
        if found:
            of_row, of_person = found[0][: -len(Person._fields)], found[0][-len(Person._fields) :]
            row, person = loaded(Message, of_row), Person(*read_as(Patient, of_person, Person._fields))
            claims, worded = _prepare_all([row], {person.id: person}, clock.now(), known_of(read[0]))
        else:  # to nobody who is a patient, or another worker was faster
            claims, worded = _prepare_all(_take([message_id], now, to_patients=False), {}, now)
        # What is known of others is written last, so that nobody is waited for with those rows in hand.
        if len(worded) == len(came) == 1 and isinstance(came[0][1], Accepted):
            together(_words_and_sent()(_words_of(worded[0]) | _sent_of(came[0][0].id, came[0][1], now)), ends=True)
        else:
            _keep_words(worded)
            if came:
                _record(came)
        return claims


def _lock_people(ids: Collection[int]) -> dict[int, Person]:
    statement = (
        select(*_PERSON)
        .where(Patient.id.in_(ids))
        .order_by(Patient.id)
        .with_for_update(key_share=True, skip_locked=True)
    )
    return {row.id: Person(*row) for row in db.session.execute(statement)}


def _take(ids: Sequence[int], now: datetime, *, to_patients: bool = True) -> Sequence[Message]:
    claim = _claim_rows() if to_patients else _claim_rows().where(Message.patient_id.is_(None))
    taken = db.session.scalars(claim, {"ids": list(ids), "now": now})
    return sorted(taken, key=lambda row: (row.deadline, row.id))


_PERSON = [getattr(Patient, name) for name in Person._fields]


@cache
def _claim() -> Any:
    """Whoever gets a row back has it, and nobody else."""
    now = bindparam("now", type_=UTCDateTime)
    return (
        update(Message)
        .where(Message.state == MessageState.DUE, Message.not_before <= now)
        .values(
            state=MessageState.SENDING,
            claimed_at=now,
            attempts=Message.attempts + 1,
            tried_at=func.coalesce(Message.tried_at, now),
        )
        .execution_options(populate_existing=True, synchronize_session=False)
    )


@cache
def _claim_rows() -> Any:
    return _claim().where(Message.id == any_(bindparam("ids", type_=ARRAY(BigInteger)))).returning(Message)


@cache
def _claim_with_person() -> Asked:
    """The row of a patient, and the patient: locked first, then looked at."""
    key = bindparam("wanted", type_=BigInteger)
    who = select(Message.patient_id).where(Message.id == key).scalar_subquery()
    person = select(*_PERSON).where(Patient.id == who).with_for_update(key_share=True).cte("person")
    mine = _claim().where(Message.id == key, Message.patient_id == person.c.id)
    return Asked(mine.returning(*Message.__table__.c, *person.c))


def _prepare_all(
    rows: Sequence[Message], people: dict[int, Person], now: datetime, known: Known | None = None
) -> tuple[list[Claim], Sequence[Message]]:
    """What is to be sent, and the rows whose words are new and not yet written."""
    facts = Facts(rows, people, ledger.settings(), now, known)
    claims = []
    for row in rows:
        try:
            claim = _prepare(row, facts)
        except DBAPIError:
            raise
        except Exception as fault:  # nothing was sent to the database for it: the others go on
            if len(rows) == 1:
                raise
            log.exception("message %s: fault before sending", row.id)
            _give_up(row, f"fault: {type(fault).__name__}", now)
            continue
        if claim is not None:
            claims.append(claim)
    return claims, facts.worded


# What goes out is on record before it does: a later try says the same.
_ITS_WORDS = "UPDATE messages SET subject = :subject, body = :body, wording = :wording WHERE id = :worded"
_WORDS = text(_ITS_WORDS)
_MANY_WORDS = text(
    """
    UPDATE messages m SET subject = u.subject, body = u.body, wording = u.wording
    FROM unnest(cast(:ids AS bigint[]), cast(:subjects AS bytea[]), cast(:bodies AS bytea[]), cast(:wordings AS text[]))
        AS u (id, subject, body, wording)
    WHERE m.id = u.id
    """
)


def _keep_words(rows: Sequence[Message]) -> None:
    if len(rows) == 1:
        db.session.execute(_WORDS, _words_of(rows[0]))
    elif rows:
        each = [_words_of(row) for row in rows]
        names = {"worded": "ids", "subject": "subjects", "body": "bodies", "wording": "wordings"}
        db.session.execute(_MANY_WORDS, {many: [one[name] for one in each] for name, many in names.items()})


def _words_of(row: Message) -> dict[str, Any]:
    encrypt = keyring().encrypt
    subject, body = (encrypt(part) if part is not None else None for part in (row.subject, row.body))
    return {"worded": row.id, "subject": subject, "body": body, "wording": row.wording}


def _prepare(row: Message, facts: Facts) -> Claim | None:
    """Hold the claimed row against the facts as they are now, and word it; None where it does not go out."""
    purpose, now, settings = Purpose(row.purpose), facts.now, facts.settings
    to = facts.addressee(row)
    if not _may_go(row, purpose, to, facts):
        return None
    facts.note_told(row)
    made = None
    if row.body is None:
        made = content.content_of(row, purpose, to, facts)
        key, language = content.key_of_text(row, made, facts) or wording.key_of(made), wording.known(made.language)
        own = facts.texts.get((key, language))
        parts = own[1] if own else wording.default_parts(key, language)
        said = wording.fill(parts, made, row.channel, language)
        version = f"own {own[0]}" if own else wording.version(language)
        for name, value in (("subject", said.subject), ("body", said.body), ("wording", version)):
            set_committed_value(row, name, value)  # written for all rows at once
        facts.worded.append(row)
    if row.channel == Channel.VOICE:
        _hand_to_desk(row, now)
        return None
    address = to.address if to is not None else row.recipient
    assert row.body is not None
    assert address is not None
    unsubscribe = content.unsubscribe_url(row, facts)
    doubt = row.unsure_of if row.channel in DOUBT_MATTERS and purpose is not Purpose.ON_CALL else None
    envelope = Envelope(
        reference=str(row.reference),
        to=address,
        subject=row.subject,
        body=row.body,
        language=to.language if to is not None else "en",
        unsure_of=doubt,
        since=_first_tried(row, now),
        foot=(1 if to is not None else 0) + (1 if unsubscribe else 0),
        unsubscribe=unsubscribe,
        callback=f"{settings.base_url}/hooks/sms/status?ref={row.reference}" if row.channel == Channel.SMS else "",
        return_path=_return_path(row.id, facts) if row.channel == Channel.EMAIL else "",
        attachments=content.attachments_of(row, purpose, made or content.content_of(row, purpose, to, facts), facts)
        if purpose is Purpose.COURSE_BOOKED
        else (),
    )
    assert row.claimed_at is not None
    return Claim(row.id, row.claimed_at, row.channel, envelope)


def _first_tried(row: Message, now: datetime) -> datetime | None:
    """When the first try was, by the machine's clock; None where that lies ahead: the clock was set back since."""
    return clock.on_machine(row.tried_at) if row.tried_at is not None and row.tried_at <= now else None


def _return_path(message_id: int, facts: Facts) -> str:
    """Where bounces of this message go: each has an address of its own, which names it."""
    box, _, domain = facts.settings.mail_return.rpartition("@")
    return f"{box}+{signed.sign(Use.RETURN, message_id, facts.settings.secret_keys)}@{domain}" if box else ""


def _may_go(row: Message, purpose: Purpose, to: Addressee | None, facts: Facts) -> bool:
    """A row that may not go gets its new state here."""
    now = facts.now
    if row.deadline <= now:
        _give_up(row, ledger.TOO_LATE, now)
        return False
    void = content.void_because(row, purpose, to, facts)
    if void is not None:
        _end(row, MessageState.VOID, void, now)
        return False
    if to is None:
        return True
    if due.is_too_many(purpose, to.told_today):
        _give_up(row, "more messages in a day than any plan asks for", now)
        return False
    if due.waits_for_tomorrow(purpose, to.told_today):
        return _put_off(row, due.next_morning(now, to.tz), "the person heard enough today", now, is_void=True)
    if not due.keeps_quiet_hours(purpose) or not due.is_quiet(now, to.tz):
        return True
    if purpose is Purpose.TWO_HOURS_BEFORE:
        _end(row, MessageState.QUIET, "quiet hours", now)
        return False
    return _put_off(row, due.after_quiet(now, to.tz), "waits for the end of quiet hours", now, is_void=False)


def _put_off(row: Message, until: datetime, why: str, now: datetime, *, is_void: bool) -> bool:
    row.not_before = until
    if until < row.deadline:
        _end(row, MessageState.DUE, why, now)
    elif is_void:
        _end(row, MessageState.VOID, why, now)
    else:
        _give_up(row, "too late: quiet hours until the deadline", now)
    return False


def _end(row: Message, state: MessageState, why: str, now: datetime) -> None:
    """Leave `sending` without a try."""
    row.state, row.claimed_at, row.failure = state, None, why
    row.ended_at = None if state == MessageState.DUE else now
    row.attempts -= 1
    if row.attempts == 0:
        row.tried_at = None


def _give_up(row: Message, why: str, now: datetime) -> None:
    _end(row, MessageState.FAILED, why, now)
    ledger.tell_desk(row, now)


def _hand_to_desk(row: Message, now: datetime) -> None:
    """The person wants calls: what a text would have said is the desk's to say."""
    row.state, row.claimed_at, row.sent_at, row.ended_at, row.provider = MessageState.SENT, None, now, now, "desk"
    task_id = tasks.open_within_transaction(
        kind=TaskKind.CALL_PATIENT,
        level=TaskLevel.SAME_DAY,
        dedupe_key=f"call:{row.id}",
        for_role="front_desk",
        due_at=min(row.deadline, now + ledger.TASK_WITHIN * 4),
        by=ledger.BY,
        patient_id=row.patient_id,
        location_id=row.location_id,
        subject={"message_id": row.id, "purpose": row.purpose},
    )
    row.task_id = row.task_id or task_id


# -- send ----------------------------------------------------------------------------------------------------------------


def _send_all(claims: Sequence[Claim]) -> Outcomes:
    """What came of each."""
    if not claims:
        return []
    settings, ends = ledger.settings(), time.monotonic() + SEND_SECONDS
    ways = {kind: channel_for(kind, settings) for kind in {claim.channel for claim in claims}}

    def one(claim: Claim) -> tuple[Claim, Outcome]:
        is_fresh = abs(clock.now() - claim.claimed_at) < CLAIM_HOLDS and time.monotonic() < ends
        return claim, _try(claim, ways[claim.channel]) if is_fresh else None

    if len(claims) == 1:
        return [one(claims[0])]
    return list(_threads(os.getpid()).map(one, claims))


def _try(claim: Claim, way: Way) -> Outcome:
    try:
        return way.send(claim.envelope)
    except (ChannelBusy, ChannelRefused) as answer:
        return answer
    except Exception as fault:  # a fault of ours is tried again like one of theirs, and ends on the worklist
        log.exception("message %s: fault in channel %s", claim.id, claim.channel)
        return ChannelBusy(f"fault: {type(fault).__name__}", unsure_of=ANY)


@cache
def _threads(_process: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(AT_ONCE, thread_name_prefix="send")


# -- what came of it -----------------------------------------------------------------------------------------------------


def _record_all(outcomes: Outcomes) -> None:
    """Write down what came of the tries. That a provider took a message is not forgotten while the database is away."""
    if not outcomes:
        return
    ends, wait = time.monotonic() + RECORD_PATIENCE, 0.2
    while True:
        try:
            with transaction():
                _record(outcomes)
        except DBAPIError as error:
            if not (error.connection_invalidated or isinstance(error, OperationalError)) or time.monotonic() > ends:
                raise
            log.warning(
                "what came of %s messages is not written down yet: %s", len(outcomes), type(error.orig).__name__
            )
            db.session.remove()
            time.sleep(wait)
            wait = min(wait * 2, 5.0)
        else:
            return


def _record(outcomes: Outcomes) -> None:
    now = clock.now()
    sent = [(claim.id, outcome) for claim, outcome in outcomes if isinstance(outcome, Accepted)]
    if sent:
        record_sent(sent, now)
    for claim, outcome in outcomes:
        if not isinstance(outcome, Accepted):
            row = _mine(claim)
            if row is not None:
                _record_not_sent(row, outcome, now)


_IS_SENT = """UPDATE messages m
    SET state = 'sent', sent_at = :now, ended_at = :now, claimed_at = NULL, provider = {provider},
        provider_id = {provider_id}, unsure_of = NULL, failure = NULL"""
_SENT = f"{_IS_SENT.format(provider=':provider', provider_id=':provider_id')} WHERE m.id = :sent AND m.state <> 'sent'"
_ONE_SENT = text(f"{_SENT} RETURNING m.id")
_MANY_SENT = text(
    f"""
    {_IS_SENT.format(provider="u.provider", provider_id="u.provider_id")}
    FROM unnest(cast(:ids AS bigint[]), cast(:providers AS text[]), cast(:provider_ids AS text[]))
        AS u (id, provider, provider_id)
    WHERE m.id = u.id AND m.state <> 'sent'
    RETURNING m.id
    """
)


@cache
def _words_and_sent() -> Asked:
    return Asked(text(f"WITH words AS ({_ITS_WORDS}) {_SENT}"))


def _sent_of(message_id: int, accepted: Accepted, now: datetime) -> dict[str, Any]:
    return {"now": now, "sent": message_id, "provider": accepted.provider, "provider_id": accepted.provider_id}


def record_sent(sent: Sequence[tuple[int, Accepted]], now: datetime) -> list[int]:
    """Accepted is accepted, also where the claim was taken back or given up meanwhile. A step of a transaction.

    Answers the ids of rows that were not known to be sent before.
    """
    if len(sent) == 1:
        return list(db.session.scalars(_ONE_SENT, _sent_of(*sent[0], now)))
    ordered = sorted(sent, key=lambda item: item[0])
    rows = db.session.execute(
        _MANY_SENT,
        {
            "now": now,
            "ids": [message_id for message_id, _ in ordered],
            "providers": [accepted.provider for _, accepted in ordered],
            "provider_ids": [accepted.provider_id for _, accepted in ordered],
        },
    ).all()
    return [row.id for row in rows]


def _record_not_sent(row: Message, outcome: ChannelBusy | ChannelRefused | None, now: datetime) -> None:
    if outcome is None:
        _end(row, MessageState.DUE, "not tried yet", now)
        return
    again = None
    if isinstance(outcome, ChannelBusy):
        again = _again(row, outcome, now)
        row.unsure_of = outcome.unsure_of
    row.claimed_at, row.failure = None, outcome.message[:200]
    if again is not None:
        row.state, row.not_before = MessageState.DUE, again
        return
    row.state, row.ended_at = MessageState.FAILED, now
    if isinstance(outcome, ChannelRefused) and outcome.is_dead and row.patient_id is not None:
        dead.mark_within_transaction(row, outcome.message, now)
    ledger.tell_desk(row, now)


def _again(row: Message, busy: ChannelBusy, now: datetime) -> datetime | None:
    purpose = Purpose(row.purpose)
    keeps_quiet = row.patient_id is not None and TRAITS[purpose].keeps_quiet
    tz = patients.get(row.patient_id).tz if keeps_quiet and row.patient_id is not None else None
    again = due.retry_at(purpose, row.attempts, row.deadline, tz, now, throttled=busy.is_throttled)
    if again is not None and busy.wait is not None:
        again = max(again, now + busy.wait) if now + busy.wait < row.deadline else None
    return again


def _record_unsendable(message_id: int, why: str) -> None:
    with transaction():
        row, now = queries.lock(message_id), clock.now()
        if row.state == MessageState.DUE:
            row.state, row.failure, row.ended_at = MessageState.FAILED, why, now
            ledger.tell_desk(row, now)


def _mine(claim: Claim) -> Message | None:
    """The row, if this claim still holds it."""
    row = queries.lock(claim.id)
    return row if row.state == MessageState.SENDING and row.claimed_at == claim.claimed_at else None
