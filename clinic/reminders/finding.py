"""What the sweep finds: messages that are due and not yet in the ledger, a few statements whatever the number of rows.

Each statement reads a window of time through an index of what lies ahead or changed lately, so that it does not grow
with the years that the clinic has behind it.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ARRAY, String, any_, literal, select, text

from clinic.db import UTCDateTime, db
from clinic.reminders import due, purposes
from clinic.reminders.due import Due, Purpose, Visit
from clinic.reminders.models import Message, MessageState
from clinic.tasks.models import Task, TaskKind, TaskLevel

LOOKAHEAD = timedelta(hours=3)  # rows are written this long before they are due, so that a dead worker leaves a trace
DAY_BEFORE_REACH = timedelta(hours=33)  # from 16:00 to the end of the next day, one hour more for a change of clocks
RIDE_REACH = DAY_BEFORE_REACH + timedelta(days=due.RIDE_DAYS - 1)
PREPARE_REACH = DAY_BEFORE_REACH + timedelta(days=due.PREPARE_DAYS - 1)
CHANGES_TOLD_WITHIN = timedelta(days=2)
SURVEYS_TOLD_WITHIN = timedelta(days=4)
MISSED_TOLD_WITHIN = timedelta(days=3)
MISSING_TOLD_WITHIN = timedelta(days=5)
LONG_AGO = timedelta(days=365)  # a visit of no course does not say when it was booked
DIGEST_READERS = ("front_desk", "manager")
TOGETHER = "told in another message"
AS_TOLD = "time and place are as told before"
STAYS_VOID = [TOGETHER, AS_TOLD]


@dataclass(frozen=True, kw_only=True)
class Found:
    """One message to write: for whom, over which channel, about what."""

    due: Due
    channel: str
    patient_id: int | None = None
    recipient: str | None = None
    session_id: int | None = None
    course_id: int | None = None
    survey_id: int | None = None
    task_id: int | None = None
    staff_id: int | None = None
    location_id: int | None = None


# A channel counts where the present answer is yes and an address is known that takes messages.
_CONSENTED = """
    JOIN patients p ON p.id = {patient}
    JOIN channel_consents k ON k.patient_id = p.id AND k.superseded_at IS NULL AND k.granted
        AND CASE k.channel WHEN 'email' THEN p.email ELSE p.phone END IS NOT NULL
        AND NOT EXISTS (
            SELECT FROM dead_addresses d WHERE d.cleared_at IS NULL AND d.channel = k.channel
                AND d.address_blind = CASE k.channel WHEN 'email' THEN p.email_blind ELSE p.phone_blind END
        )
"""
# A void row comes back to life when what it was about holds again. The desk calls only about some things.
_NOT_WRITTEN = """
    (k.channel <> 'voice' OR {purpose} = ANY(:by_voice)) AND NOT EXISTS (
        SELECT FROM messages m
        WHERE m.recipient_key = 'p:' || p.id AND m.purpose = {purpose} AND m.occurrence = {occurrence}
            AND m.channel = k.channel AND (m.state <> 'void' OR m.failure = ANY(:stays_void))
    )
"""
_INSTANTS = {
    name: UTCDateTime()
    for name in (
        "expires_at",
        "starts_at",
        "booked_at",
        "first_starts_at",
        "due_at",
        "requested_at",
        "missed_at",
        "waits_since",
        "opened_at",
    )
}

_VISIT_KEY = "'s:' || s.id || '@' || floor(extract(epoch FROM s.starts_at))::bigint"
_EARLIER = """
    SELECT FROM treatment_sessions o
    WHERE o.course_id = s.course_id AND o.starts_at < s.starts_at {same_day}
        AND o.state IN ('booked', 'confirmed', 'arrived', 'completed')
"""
_IS_FIRST = f"NOT EXISTS ({_EARLIER.format(same_day='')})"
_VISITS = f"""
    SELECT s.id, s.course_id, s.patient_id, s.location_id, s.starts_at, s.revision, coalesce(c.created_at, :long_ago) AS booked_at, p.tz, k.channel, x.purpose
    FROM (VALUES ('day_before', cast(:day_until AS timestamptz)), ('two_hours_before', :hours_until),
        ('ride_and_fasting', :ride_until), ('first_visit', :prepare_until)) AS x (purpose, until)
    JOIN treatment_sessions s ON s.state IN ('booked', 'confirmed') AND s.starts_at > :now AND s.starts_at <= x.until
        AND s.starts_at <= :farthest
    LEFT JOIN courses c ON c.id = s.course_id
    {_CONSENTED.format(patient="s.patient_id")}
    WHERE {_NOT_WRITTEN.format(purpose="x.purpose", occurrence=_VISIT_KEY)}
        AND NOT EXISTS ({_EARLIER.format(same_day="AND o.local_on = s.local_on")})
        AND CASE x.purpose
            WHEN 'ride_and_fasting' THEN s.need = 'obs'
            WHEN 'first_visit' THEN s.course_id IS NOT NULL AND {_IS_FIRST}
            WHEN 'day_before' THEN p.message_style = 'each' OR s.need IN ('obs', 'person') OR {_IS_FIRST}
            ELSE p.message_style = 'each' OR s.need IN ('obs', 'person')
        END
"""  # noqa: S608 - built from our own constants
_DIGESTS = f"""
    SELECT s.patient_id, p.tz, k.channel, w.monday, min(s.starts_at) AS first_starts_at, min(c.created_at) AS booked_at,
        min(s.location_id) AS location_id
    FROM unnest(cast(:mondays AS date[])) AS w (monday)
    JOIN treatment_sessions s ON s.state IN ('booked', 'confirmed') AND s.starts_at > :now AND s.starts_at < :until
        AND s.local_on BETWEEN w.monday AND w.monday + 6 AND s.need <> 'obs'
    JOIN courses c ON c.id = s.course_id
    {_CONSENTED.format(patient="s.patient_id")}
    WHERE p.message_style = 'digest' AND {_NOT_WRITTEN.format(purpose="'weekly_digest'", occurrence="'w:' || w.monday")}
    GROUP BY s.patient_id, p.tz, k.channel, w.monday
"""  # noqa: S608
_BOOKINGS = f"""
    SELECT c.id, c.patient_id, c.location_id, c.created_at AS booked_at, p.tz, k.channel, f.first_starts_at
    FROM courses c
    CROSS JOIN LATERAL (
        SELECT min(s.starts_at) AS first_starts_at FROM treatment_sessions s
        WHERE s.course_id = c.id AND s.state IN ('booked', 'confirmed') AND s.starts_at > :now
    ) f
    {_CONSENTED.format(patient="c.patient_id")}
    WHERE c.created_at > :since AND c.state IN ('booked', 'running') AND f.first_starts_at IS NOT NULL
        AND {_NOT_WRITTEN.format(purpose="'course_booked'", occurrence="'c:' || c.id")}
"""  # noqa: S608
# A visit that belongs to no course: told once, when it is there.
_VISITS_BOOKED = f"""
    SELECT s.id, s.course_id, s.patient_id, s.location_id, s.starts_at, p.tz, k.channel
    FROM treatment_sessions s
    {_CONSENTED.format(patient="s.patient_id")}
    WHERE s.staff_id IS NOT NULL AND s.course_id IS NULL AND s.revision = 0
        AND s.state IN ('booked', 'confirmed') AND s.starts_at > :now
        AND {_NOT_WRITTEN.format(purpose="'course_booked'", occurrence="'s:' || s.id")}
"""  # noqa: S608
_CHANGES = f"""
    SELECT s.id, s.course_id, s.patient_id, s.location_id, s.starts_at, s.revision, p.tz, k.channel, x.purpose
    FROM (
        SELECT id, 'session_moved' AS purpose FROM treatment_sessions
        WHERE revision > 0 AND state IN ('booked', 'confirmed') AND starts_at > :now
        UNION ALL
        SELECT id, 'session_cancelled' FROM treatment_sessions
        WHERE state = 'cancelled' AND ended_at > :since AND starts_at > :now
    ) x
    JOIN treatment_sessions s ON s.id = x.id
    {_CONSENTED.format(patient="s.patient_id")}
    WHERE {_NOT_WRITTEN.format(purpose="x.purpose", occurrence="'s:' || s.id || '#' || s.revision")}
"""  # noqa: S608
_MISSED = f"""
    SELECT s.id, s.course_id, s.patient_id, s.location_id, s.starts_at, s.ended_at AS missed_at, p.tz, k.channel
    FROM treatment_sessions s
    {_CONSENTED.format(patient="s.patient_id")}
    WHERE s.state = 'no_show' AND s.ended_at > :since
        AND {_NOT_WRITTEN.format(purpose="'missed_visit'", occurrence=_VISIT_KEY)}
        AND NOT EXISTS (
            SELECT FROM treatment_sessions o
            WHERE o.course_id = s.course_id AND o.local_on = s.local_on AND o.starts_at < s.starts_at
                AND o.state = 'no_show'
        )
"""  # noqa: S608
_SURVEYS = f"""
    SELECT v.id, v.patient_id, v.course_id, coalesce(c.location_id, p.preferred_location_id) AS location_id,
        v.due_at, p.tz, k.channel
    FROM surveys v
    LEFT JOIN courses c ON c.id = v.course_id
    {_CONSENTED.format(patient="v.patient_id")}
    WHERE v.state = 'open' AND v.due_at <= :now AND v.due_at > :since AND k.channel <> 'voice'
"""  # noqa: S608
# Questions without an answer, and a form that was begun and left.
_MISSING = f"""
    SELECT x.key, x.patient_id, p.preferred_location_id AS location_id, x.waits_since, p.tz, k.channel
    FROM (
        SELECT 'q:' || a.id AS key, a.patient_id, a.asked_at AS waits_since
        FROM patient_asks a WHERE a.state = 'open' AND a.asked_at > :since
        UNION ALL
        SELECT 'i:' || i.id, i.patient_id, i.saved_at
        FROM intakes i
        WHERE i.state = 'open' AND i.saved_at > :since AND i.patient_id IS NOT NULL AND i.entered_by IS NULL
            AND NOT EXISTS (
                SELECT FROM intakes o WHERE o.patient_id = i.patient_id AND o.submitted_at > i.started_at
            )
    ) x
    {_CONSENTED.format(patient="x.patient_id")}
    WHERE {_NOT_WRITTEN.format(purpose="'answers_missing'", occurrence="x.key")}
"""  # noqa: S608
# Tasks about the medicine history of a payer's packet, which a list or a letter would fill, and none came since.
PAPERS_MISSING = """
    t.kind = 'packet_hole' AND t.closed_at IS NULL AND t.subject ->> 'hole' LIKE 'trials%'
        AND t.subject ->> 'assessment_id' IS NOT NULL
        AND NOT EXISTS (
            SELECT FROM attachments a WHERE a.patient_id = t.patient_id AND a.removed_at IS NULL
                AND a.kind IN ('pharmacy_list', 'letter') AND a.added_at >= t.created_at
        )
"""
_PAPERS = f"""
    SELECT x.key, x.patient_id, p.preferred_location_id AS location_id, x.waits_since, p.tz, k.channel
    FROM (
        SELECT 'p:' || (t.subject ->> 'assessment_id') AS key, t.patient_id, min(t.created_at) AS waits_since
        FROM tasks t WHERE {PAPERS_MISSING}
        GROUP BY 1, 2 HAVING min(t.created_at) > :since
    ) x
    {_CONSENTED.format(patient="x.patient_id")}
    WHERE {_NOT_WRITTEN.format(purpose="'documents_missing'", occurrence="x.key")}
"""  # noqa: S608
# Places that are held until the person says yes: a course off the waiting list, or earlier times of their own.
_OFFERS = f"""
    SELECT x.key, x.patient_id, x.course_id, x.location_id, x.expires_at, p.tz, k.channel
    FROM (
        SELECT 'o:' || o.id AS key, o.patient_id, NULL::bigint AS course_id,
            cast(c.plan ->> 'location_id' AS int) AS location_id, o.expires_at
        FROM waitlist_offers o JOIN course_proposals c ON c.id = o.proposal_id
        WHERE o.state = 'open' AND o.expires_at > :now
        UNION ALL
        SELECT 'x:' || h.id || '#' || h.revision, h.patient_id, h.course_id, c.location_id, h.answer_by
        FROM schedule_changes h LEFT JOIN courses c ON c.id = h.course_id
        WHERE h.state = 'asked' AND h.answer_by > :now
    ) x
    {_CONSENTED.format(patient="x.patient_id")}
    WHERE {_NOT_WRITTEN.format(purpose="'freed_slot'", occurrence="x.key")}
"""  # noqa: S608
# A link was asked for: over the channels that the person agreed to, else over those that nobody refused.
_LINKS = """
    SELECT r.id, r.patient_id, p.preferred_location_id AS location_id, r.requested_at, x.channel,
        k.granted IS TRUE AS granted
    FROM link_requests r
    JOIN patients p ON p.id = r.patient_id
    CROSS JOIN (VALUES ('email'), ('sms')) AS x (channel)
    LEFT JOIN channel_consents k ON k.patient_id = p.id AND k.channel = x.channel AND k.superseded_at IS NULL
    WHERE r.requested_at > :since AND k.granted IS NOT FALSE
        AND CASE x.channel WHEN 'email' THEN p.email ELSE p.phone END IS NOT NULL
"""
_OPENINGS = """
    SELECT t.id, t.created_at AS opened_at, t.location_id, u.id AS staff_id, u.email
    FROM tasks t
    JOIN staff_users u ON u.active AND (u.has_all_sites OR t.location_id IS NULL OR EXISTS (
        SELECT FROM staff_locations sl WHERE sl.user_id = u.id AND sl.location_id = t.location_id
    ))
    WHERE t.kind = 'record_opened' AND t.closed_at IS NULL AND t.created_at > :since
        AND EXISTS (
            SELECT FROM staff_user_roles ur JOIN staff_roles r ON r.id = ur.role_id
            WHERE ur.user_id = u.id AND r.name = 'manager'
        )
"""
# Links for a password that were asked for and are still good.
_STAFF_LINKS = """
    SELECT k.id, k.requested_at, k.expires_at, u.id AS staff_id, u.email
    FROM staff_password_links k JOIN staff_users u ON u.id = k.user_id AND u.active
    WHERE k.spent_at IS NULL AND k.ended_at IS NULL AND k.expires_at > :now
"""
_HAS_SITE = """(u.has_all_sites OR EXISTS (
        SELECT FROM staff_locations sl WHERE sl.user_id = u.id AND sl.location_id = l.id
    ))"""
# Who reads the day's mail: whose first site opens today. The row is written some hours ahead.
_STAFF = f"""
    SELECT DISTINCT ON (u.id) u.id, u.email, l.id AS location_id, l.tz, (cast(:now AS timestamptz) AT TIME ZONE l.tz)::date AS day
    FROM staff_users u
    JOIN locations l ON l.retired_at IS NULL AND {_HAS_SITE}
    JOIN opening_hours h ON h.location_id = l.id
        AND h.weekday = extract(isodow FROM cast(:now AS timestamptz) AT TIME ZONE l.tz) - 1
    WHERE u.active AND u.morning_mail
        AND (cast(:now AS timestamptz) AT TIME ZONE l.tz)::time BETWEEN :opens AND :closes
        AND NOT EXISTS (
            SELECT FROM closures c
            WHERE c.location_id = l.id AND c.on_date = (cast(:now AS timestamptz) AT TIME ZONE l.tz)::date
        )
        AND EXISTS (
            SELECT FROM staff_user_roles ur JOIN staff_roles r ON r.id = ur.role_id
            WHERE ur.user_id = u.id AND r.name = ANY(:roles)
        )
    ORDER BY u.id, l.id
"""  # noqa: S608


# Approvals that run out while their treatment goes on: to the desk of the course.
_AUTHORIZATIONS = f"""
    SELECT DISTINCT ON (a.id, u.id) a.id, a.patient_id AS about_id, u.id AS staff_id, u.email, l.id AS location_id, l.tz,
        (cast(:now AS timestamptz) AT TIME ZONE l.tz)::date AS day
    FROM authorisations a
    JOIN courses c ON c.patient_id = a.patient_id AND c.state IN ('booked', 'running', 'paused')
    JOIN locations l ON l.id = c.location_id
    JOIN staff_users u ON u.active AND u.morning_mail AND {_HAS_SITE}
    WHERE a.ended_at IS NULL
        AND a.valid_until BETWEEN cast(:today AS date) - 1 AND cast(:today AS date) + cast(:days AS int)
        AND (cast(:now AS timestamptz) AT TIME ZONE l.tz)::time BETWEEN :opens AND :closes
        AND EXISTS (
            SELECT FROM staff_user_roles ur JOIN staff_roles r ON r.id = ur.role_id
            WHERE ur.user_id = u.id AND r.name = ANY(:roles)
        )
    ORDER BY a.id, u.id, l.id
"""  # noqa: S608


def find_due(now: datetime, on_call: Sequence[str]) -> list[Found]:
    """Every message that has no row yet: news at once, reminders within `LOOKAHEAD` of their time."""
    soon = [item for item in (*_visits(now), *_digests(now)) if item.due.not_before <= now + LOOKAHEAD]
    news = [*_bookings(now), *_visits_booked(now), *_changes(now), *_missed(now), *_missing(now)]
    news += [*_papers(now), *_offers(now)]
    staff = [*_staff(now), *_authorizations(now)]
    return (
        soon
        + news
        + _not_written(
            [*_surveys(now), *_links(now), *_safety(now, on_call), *_openings(now), *_staff_links(now), *staff]
        )
    )


def find_urgent(now: datetime, on_call: Sequence[str]) -> list[Found]:
    """Every message that someone waits for and that has no row yet: links that were asked for, and calls."""
    return [*_offers(now), *_not_written([*_links(now), *_safety(now, on_call), *_openings(now), *_staff_links(now)])]


def find_calls(now: datetime, on_call: Sequence[str]) -> list[Found]:
    """Every message to whoever is on call that has no row yet."""
    return _not_written(list(_safety(now, on_call)))


def recipient_key(item: Found) -> str:
    """Who it is for, without an address."""
    return f"p:{item.patient_id}" if item.patient_id is not None else address_key(item.recipient or "")


def address_key(address: str) -> str:
    """A digest of the address of someone who is not a patient."""
    return f"a:{hashlib.sha256(address.encode()).hexdigest()[:32]}"


def _rows(sql: str, *instants: str, **params: Any) -> Sequence[Any]:
    statement = text(sql).columns(**{name: _INSTANTS[name] for name in instants})
    if ":stays_void" in sql:
        params |= {"stays_void": STAYS_VOID, "by_voice": [*map(str, purposes.BY_VOICE)]}
    return db.session.execute(statement, params).all()


def _any(values: set[str]) -> Any:
    """One of many values, as one parameter: a statement takes at most 65,535."""
    return any_(literal(sorted(values), ARRAY(String)))


def _not_written(found: list[Found]) -> list[Found]:
    if not found:
        return []
    rows = db.session.execute(
        select(Message.recipient_key, Message.purpose, Message.occurrence, Message.channel).where(
            Message.recipient_key == _any({recipient_key(item) for item in found}),
            Message.occurrence == _any({item.due.occurrence for item in found}),
            Message.state != MessageState.VOID,
        )
    )
    known = {tuple(row) for row in rows}
    return [
        item
        for item in found
        if (recipient_key(item), item.due.purpose, item.due.occurrence, item.channel) not in known
    ]


def _visits(now: datetime) -> Iterator[Found]:
    reach = {
        "day_until": DAY_BEFORE_REACH,
        "hours_until": due.TWO_HOURS,
        "ride_until": RIDE_REACH,
        "prepare_until": PREPARE_REACH,
    }
    until = {name: now + each + LOOKAHEAD for name, each in reach.items()}
    # Said once more for all, so that an index is read to there and no further.
    farthest = max(until.values())
    rows = _rows(_VISITS, "starts_at", "booked_at", now=now, farthest=farthest, long_ago=now - LONG_AGO, **until)
    makers = {
        Purpose.DAY_BEFORE: due.day_before,
        Purpose.TWO_HOURS_BEFORE: due.two_hours_before,
        Purpose.RIDE_AND_FASTING: due.ride_and_fasting,
        Purpose.FIRST_VISIT: due.first_visit,
    }
    for row in rows:
        visit = Visit(session_id=row.id, starts_at=row.starts_at, revision=row.revision, booked_at=row.booked_at)
        message = makers[Purpose(row.purpose)](visit, row.tz, now)
        if message:
            yield _about_visit(row, message)


def _about_visit(row: Any, message: Due) -> Found:
    return Found(
        due=message,
        channel=row.channel,
        patient_id=row.patient_id,
        session_id=row.id,
        course_id=row.course_id,
        location_id=row.location_id,
    )


def _digests(now: datetime) -> Iterator[Found]:
    mondays = due.digest_weeks(now)
    if not mondays:
        return
    rows = _rows(
        _DIGESTS,
        "first_starts_at",
        "booked_at",
        now=now,
        until=now + timedelta(days=9),
        mondays=mondays,
    )
    for row in rows:
        message = due.weekly_digest(row.monday, row.first_starts_at, row.booked_at, row.tz)
        if message:
            yield Found(due=message, channel=row.channel, patient_id=row.patient_id, location_id=row.location_id)


def _bookings(now: datetime) -> Iterator[Found]:
    rows = _rows(_BOOKINGS, "booked_at", "first_starts_at", now=now, since=now - due.BOOKING_TOLD_WITHIN)
    for row in rows:
        message = due.course_booked(row.id, row.booked_at, row.first_starts_at, row.tz)
        if message:
            yield Found(
                due=message,
                channel=row.channel,
                patient_id=row.patient_id,
                course_id=row.id,
                location_id=row.location_id,
            )


def _visits_booked(now: datetime) -> Iterator[Found]:
    for row in _rows(_VISITS_BOOKED, "starts_at", now=now):
        message = due.visit_booked(row.id, row.starts_at, row.tz, now)
        if message:
            yield _about_visit(row, message)


def _changes(now: datetime) -> Iterator[Found]:
    for row in _rows(_CHANGES, "starts_at", now=now, since=now - CHANGES_TOLD_WITHIN):
        message = due.changed(Purpose(row.purpose), row.id, row.revision, row.starts_at, row.tz, now)
        if message:
            yield _about_visit(row, message)


def _missed(now: datetime) -> Iterator[Found]:
    for row in _rows(_MISSED, "starts_at", "missed_at", since=now - MISSED_TOLD_WITHIN):
        message = due.missed(row.id, row.starts_at, row.missed_at, row.tz, now)
        if message:
            yield _about_visit(row, message)


def _missing(now: datetime) -> Iterator[Found]:
    for row in _rows(_MISSING, "waits_since", since=now - MISSING_TOLD_WITHIN):
        message = due.answers_missing(row.key, row.waits_since, row.tz, now)
        if message:
            yield Found(due=message, channel=row.channel, patient_id=row.patient_id, location_id=row.location_id)


def _papers(now: datetime) -> Iterator[Found]:
    for row in _rows(_PAPERS, "waits_since", since=now - MISSING_TOLD_WITHIN):
        message = due.documents_missing(row.key, row.waits_since, row.tz, now)
        if message:
            yield Found(due=message, channel=row.channel, patient_id=row.patient_id, location_id=row.location_id)


def _offers(now: datetime) -> Iterator[Found]:
    for row in _rows(_OFFERS, "expires_at", now=now):
        message = due.freed_slot(row.key, row.expires_at, row.tz, now)
        if message:
            yield Found(
                due=message,
                channel=row.channel,
                patient_id=row.patient_id,
                course_id=row.course_id,
                location_id=row.location_id,
            )


def _authorizations(now: datetime) -> Iterator[Found]:
    opens = (datetime.combine(now.date(), due.STAFF_DIGEST_AT) - LOOKAHEAD).time()
    rows = _rows(
        _AUTHORIZATIONS,
        now=now,
        today=now.date(),
        days=due.AUTHORIZATION_DAYS,
        opens=opens,
        closes=due.STAFF_DIGEST_UNTIL,
        roles=[*DIGEST_READERS],
    )
    for row in rows:
        yield Found(
            due=due.authorization_ending(row.id, row.day, row.tz),
            channel="email",
            recipient=row.email,
            staff_id=row.staff_id,
            location_id=row.location_id,
        )


def _staff(now: datetime) -> Iterator[Found]:
    opens = (datetime.combine(now.date(), due.STAFF_DIGEST_AT) - LOOKAHEAD).time()
    rows = _rows(_STAFF, now=now, opens=opens, closes=due.STAFF_DIGEST_UNTIL, roles=[*DIGEST_READERS])
    for row in rows:
        yield Found(
            due=due.staff_digest(row.day, row.tz),
            channel="email",
            recipient=row.email,
            staff_id=row.id,
            location_id=row.location_id,
        )


def _surveys(now: datetime) -> Iterator[Found]:
    for row in _rows(_SURVEYS, "due_at", now=now, since=now - SURVEYS_TOLD_WITHIN):
        message = due.survey_due(row.id, row.due_at, row.tz, now)
        if message:
            yield Found(
                due=message,
                channel=row.channel,
                patient_id=row.patient_id,
                survey_id=row.id,
                course_id=row.course_id,
                location_id=row.location_id,
            )


def _links(now: datetime) -> Iterator[Found]:
    rows = _rows(_LINKS, "requested_at", since=now - due.LINK_LASTS)
    agreed = {row.id for row in rows if row.granted}
    for row in rows:
        if row.granted or row.id not in agreed:
            yield Found(
                due=due.link(row.id, row.requested_at),
                channel=row.channel,
                patient_id=row.patient_id,
                location_id=row.location_id,
            )


def _openings(now: datetime) -> Iterator[Found]:
    """Mail to the managers of a patient's site, where someone opened the record from another."""
    for row in _rows(_OPENINGS, "opened_at", since=now - due.OPENING_TOLD_WITHIN):
        yield Found(
            due=due.record_opened(row.id, row.opened_at),
            channel="email",
            recipient=row.email,
            task_id=row.id,
            staff_id=row.staff_id,
            location_id=row.location_id,
        )


def _staff_links(now: datetime) -> Iterator[Found]:
    """Mail to a colleague who sets a password."""
    for row in _rows(_STAFF_LINKS, "requested_at", "expires_at", now=now):
        yield Found(
            due=due.staff_link(row.id, row.requested_at, row.expires_at),
            channel="email",
            recipient=row.email,
            staff_id=row.staff_id,
        )


def _safety(now: datetime, on_call: Sequence[str]) -> Iterator[Found]:
    """Messages to whoever is on call, for safety tasks that nobody has acknowledged, however old."""
    if not on_call:
        return
    tasks = db.session.execute(
        select(Task.id, Task.created_at, Task.due_at, Task.level, Task.location_id).where(
            Task.kind == TaskKind.SAFETY,
            Task.level.in_((TaskLevel.URGENT, TaskLevel.SAME_DAY)),
            Task.closed_at.is_(None),
            Task.owner_id.is_(None),
        )
    ).all()
    if not tasks:
        return
    failed = {
        (row.task_id, row.recipient_key)
        for row in db.session.execute(
            select(Message.task_id, Message.recipient_key).where(
                Message.purpose == Purpose.ON_CALL,
                Message.task_id.in_([task.id for task in tasks]),
                Message.state == MessageState.FAILED,
            )
        )
    }
    for task in tasks:
        told = due.on_call(
            task.id,
            task.created_at,
            task.due_at,
            is_urgent=task.level == TaskLevel.URGENT,
            failed=[place for place, to in enumerate(on_call) if (task.id, address_key(to)) in failed],
            people=len(on_call),
            now=now,
        )
        for place, message in told:
            address = on_call[place]
            channel = "email" if "@" in address else "sms"
            yield Found(due=message, channel=channel, recipient=address, task_id=task.id, location_id=task.location_id)
