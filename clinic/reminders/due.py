"""Which message is due when. Pure: facts and instants in, windows out.

A window is `[not_before, deadline)`. Quiet hours are the patient's wall time; nothing goes out in them except what the
person asked for a moment ago, and what calls a clinician.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from clinic.reminders.purposes import TRAITS
from clinic.reminders.purposes import Purpose as Purpose

QUIET_FROM, QUIET_UNTIL = time(21), time(8)
LAST_QUARTER = time(20, 45)  # the last quarter hour before quiet hours
DAY_BEFORE_AT = time(16)
DIGEST_AT = time(17)
SUNDAY = timedelta(days=1)  # before the Monday that the week is named by

DAY_BEFORE_ENDS = timedelta(hours=1)  # this long before the visit a reminder of the day before is of no use
TWO_HOURS = timedelta(hours=2)
TWO_HOURS_ENDS = timedelta(minutes=30)
CHANGE_ENDS = timedelta(minutes=15)
BOOKING_TOLD_WITHIN = timedelta(days=2)
PREPARE_DAYS = 3  # before the first visit
RIDE_DAYS = 2  # before the visit: time to find someone who drives
OFFER_ENDS = timedelta(minutes=15)  # less than that is not enough to answer
AUTHORIZATION_DAYS = 14  # before an approval runs out
MISSED_AFTER = timedelta(hours=1)  # a person who is only late is not told that they were missed
MISSED_LASTS = timedelta(hours=24)
MISSING_AFTER = timedelta(days=2)  # without an answer
MISSING_LASTS = timedelta(hours=36)  # put off to the next morning it still goes
SURVEY_STEPS = (timedelta(0), timedelta(hours=24), timedelta(hours=48))  # the check-in, and two reminders of it
STAFF_DIGEST_AT, STAFF_DIGEST_UNTIL = time(7), time(12)
SURVEY_STEP_LASTS = timedelta(hours=24)
LINK_LASTS = timedelta(minutes=30)
ESCALATE_AFTER = timedelta(minutes=20)
OPENING_TOLD_WITHIN = timedelta(days=2)
ON_CALL_LASTS = timedelta(hours=1)

BACKOFF = (timedelta(seconds=30), timedelta(minutes=2), timedelta(minutes=8), timedelta(minutes=20), timedelta(hours=1))
ON_CALL_BACKOFF = timedelta(seconds=30)
MAX_ATTEMPTS = len(BACKOFF) + 1
THROTTLED = timedelta(minutes=1)  # where the provider takes no more just now and does not say for how long

ENOUGH_A_DAY = 3  # messages over one channel, after which those that may wait do
TOO_MANY_A_DAY = 10  # more than any plan asks for: a fault of ours must not reach the person hour by hour


@dataclass(frozen=True, kw_only=True)
class Visit:
    """A booked session, as far as messages need it. `booked_at`: when the patient's course was booked."""

    session_id: int
    starts_at: datetime
    revision: int
    booked_at: datetime


@dataclass(frozen=True, kw_only=True)
class Due:
    """One message to write into the ledger. `is_quiet`: it is skipped, because its time lies in quiet hours."""

    purpose: Purpose
    occurrence: str
    not_before: datetime
    deadline: datetime
    is_quiet: bool = False


# -- quiet hours ---------------------------------------------------------------------------------------------------


def is_quiet(at: datetime, tz: str) -> bool:
    """Does the instant lie in quiet hours, 21:00 to 08:00, in the zone `tz`?"""
    wall = at.astimezone(ZoneInfo(tz)).time()
    return wall >= QUIET_FROM or wall < QUIET_UNTIL


def after_quiet(at: datetime, tz: str) -> datetime:
    """The first instant at or after `at` that is not quiet."""
    if not is_quiet(at, tz):
        return at
    local = at.astimezone(ZoneInfo(tz))
    day = local.date() + timedelta(days=1) if local.time() >= QUIET_FROM else local.date()
    return wall_instant(day, QUIET_UNTIL, tz)


def before_quiet(at: datetime, tz: str) -> datetime:
    """`at`, or where it is quiet the last quarter hour before those quiet hours."""
    if not is_quiet(at, tz):
        return at
    local = at.astimezone(ZoneInfo(tz))
    day = local.date() if local.time() >= QUIET_FROM else local.date() - timedelta(days=1)
    return wall_instant(day, LAST_QUARTER, tz)


def wall_instant(day: date, wall: time, tz: str) -> datetime:
    """The instant of a wall time, in UTC."""
    return datetime.combine(day, wall, tzinfo=ZoneInfo(tz)).astimezone(UTC)


# -- occurrences: what a message is about, the same for every sweep -------------------------------------------------


def visit_key(session_id: int, starts_at: datetime) -> str:
    """A session at one time; a session that moves back to it is the same occurrence."""
    return f"s:{session_id}@{int(starts_at.timestamp())}"


def booked_key(session_id: int) -> str:
    """The booking of a visit that belongs to no course."""
    return f"s:{session_id}"


def change_key(session_id: int, revision: int) -> str:
    """One change of a session."""
    return f"s:{session_id}#{revision}"


def course_key(course_id: int) -> str:
    """The booking of a course."""
    return f"c:{course_id}"


def week_key(monday: date) -> str:
    """The week that begins on this Monday."""
    return f"w:{monday.isoformat()}"


def survey_key(survey_id: int, step: int) -> str:
    """A check-in (step 0), or a reminder of it."""
    return f"v:{survey_id}.{step}"


def link_key(request_id: int) -> str:
    """One request for a link."""
    return f"l:{request_id}"


def password_link_key(link_id: int) -> str:
    """One link by which a staff member sets a password."""
    return f"a:{link_id}"


def offer_key(offer_id: int) -> str:
    """One course off the waiting list."""
    return f"o:{offer_id}"


def plan_key(change_id: int, revision: int) -> str:
    """An earlier time that waits for a yes."""
    return f"x:{change_id}#{revision}"


def ask_key(ask_id: int) -> str:
    """One set of questions to the person."""
    return f"q:{ask_id}"


def intake_key(intake_id: int) -> str:
    """One form that was begun."""
    return f"i:{intake_id}"


def papers_key(assessment_id: int) -> str:
    """The papers that an assessment still lacks."""
    return f"p:{assessment_id}"


def day_key(day: date) -> str:
    """One day of the clinic."""
    return f"d:{day.isoformat()}"


def task_key(task_id: int, again: int = 0) -> str:
    """One safety task; `again` counts how often everyone was told before."""
    return f"t:{task_id}.{again}" if again else f"t:{task_id}"


def is_again(occurrence: str) -> bool:
    """Whether everyone on call was told of this task before."""
    return "." in occurrence


# -- reminders of visits ----------------------------------------------------------------------------------------------


def day_before(visit: Visit, tz: str, now: datetime) -> Due | None:
    """From 16:00 on the day before, in the patient's zone; at once where the visit was booked or moved after that.

    None where no time outside quiet hours is left.
    """
    eve = visit.starts_at.astimezone(ZoneInfo(tz)).date() - timedelta(days=1)
    opens = before_quiet(wall_instant(eve, DAY_BEFORE_AT, tz), tz)
    return _reminder(Purpose.DAY_BEFORE, visit, opens, visit.starts_at - DAY_BEFORE_ENDS, tz, now)


def two_hours_before(visit: Visit, tz: str, now: datetime) -> Due | None:
    """Two hours before; skipped where that is quiet."""
    opens, ends = visit.starts_at - TWO_HOURS, visit.starts_at - TWO_HOURS_ENDS
    if is_quiet(opens, tz):
        key = visit_key(visit.session_id, visit.starts_at)
        return Due(purpose=Purpose.TWO_HOURS_BEFORE, occurrence=key, not_before=opens, deadline=ends, is_quiet=True)
    return _reminder(Purpose.TWO_HOURS_BEFORE, visit, opens, ends, tz, now)


def _reminder(purpose: Purpose, visit: Visit, opens: datetime, ends: datetime, tz: str, now: datetime) -> Due | None:
    known_at = visit.booked_at if visit.revision == 0 else now
    if known_at > opens:
        opens = after_quiet(known_at, tz)
    if opens >= ends:
        return None
    key = visit_key(visit.session_id, visit.starts_at)
    return Due(purpose=purpose, occurrence=key, not_before=opens, deadline=ends)


def first_visit(visit: Visit, tz: str, now: datetime) -> Due | None:
    """How to prepare: three days before at 16:00. Later than a day after that, the message of the day before says it."""
    return _days_before(Purpose.FIRST_VISIT, visit, PREPARE_DAYS, tz, now)


def ride_and_fasting(visit: Visit, tz: str, now: datetime) -> Due | None:
    """Two days before at 16:00, so that someone can be found who drives. Later the message of the day before says it."""
    return _days_before(Purpose.RIDE_AND_FASTING, visit, RIDE_DAYS, tz, now)


def _days_before(purpose: Purpose, visit: Visit, days: int, tz: str, now: datetime) -> Due | None:
    eve = visit.starts_at.astimezone(ZoneInfo(tz)).date() - timedelta(days=1)
    opens, ends = (wall_instant(eve - timedelta(days=days - n), DAY_BEFORE_AT, tz) for n in (1, 2))
    return _reminder(purpose, visit, opens, ends, tz, now) if now < ends else None


def weekly_digest(monday: date, first_starts_at: datetime, booked_at: datetime, tz: str) -> Due | None:
    """On Sunday at 17:00 for the visits from that Monday to Sunday; None for a week whose booking told of them."""
    opens, ends = digest_opens_at(monday, tz), first_starts_at - DAY_BEFORE_ENDS
    if booked_at > opens or opens >= ends:
        return None
    return Due(purpose=Purpose.WEEKLY_DIGEST, occurrence=week_key(monday), not_before=opens, deadline=ends)


def digest_weeks(now: datetime) -> list[date]:
    """Mondays of the weeks whose digest may be due somewhere in the world, some hours ahead and a day and a half behind."""
    monday = now.date() - timedelta(days=now.weekday())
    return [
        week
        for week in (monday, monday + timedelta(days=7))
        if timedelta(days=-1) <= now - datetime.combine(week, time(0), UTC) <= timedelta(hours=36)
    ]


def digest_opens_at(monday: date, tz: str) -> datetime:
    """When the digest of a week goes out."""
    return wall_instant(monday - SUNDAY, DIGEST_AT, tz)


# -- news -------------------------------------------------------------------------------------------------------------


def course_booked(course_id: int, booked_at: datetime, first_starts_at: datetime, tz: str) -> Due | None:
    """At booking, out of quiet hours, with all dates; None where nothing of it lies ahead."""
    opens = after_quiet(booked_at, tz)
    ends = min(first_starts_at - CHANGE_ENDS, booked_at + BOOKING_TOLD_WITHIN)
    if booked_at >= ends:
        return None
    return Due(purpose=Purpose.COURSE_BOOKED, occurrence=course_key(course_id), not_before=opens, deadline=ends)


def visit_booked(session_id: int, starts_at: datetime, tz: str, now: datetime) -> Due | None:
    """A visit of no course: once, out of quiet hours; None once it is too late."""
    ends = starts_at - CHANGE_ENDS
    if now >= ends:
        return None
    key = booked_key(session_id)
    return Due(purpose=Purpose.COURSE_BOOKED, occurrence=key, not_before=after_quiet(now, tz), deadline=ends)


def changed(
    purpose: Purpose, session_id: int, revision: int, starts_at: datetime, tz: str, now: datetime
) -> Due | None:
    """At once, out of quiet hours. Its deadline may come first: then the desk has to call. None once it is too late."""
    ends = starts_at - CHANGE_ENDS
    if now >= ends:
        return None
    key = change_key(session_id, revision)
    return Due(purpose=purpose, occurrence=key, not_before=after_quiet(now, tz), deadline=ends)


def survey_due(survey_id: int, due_at: datetime, tz: str, now: datetime) -> Due | None:
    """The check-in when it is due, and a reminder after one and two days, each out of quiet hours.

    None in a night that the message would not outlast: the next step takes over.
    """
    for step in reversed(range(len(SURVEY_STEPS))):
        opens = after_quiet(due_at + SURVEY_STEPS[step], tz)
        ends = opens + SURVEY_STEP_LASTS
        if opens <= now and after_quiet(now, tz) < ends:
            purpose = Purpose.SURVEY_OVERDUE if step else Purpose.SURVEY_DUE
            return Due(purpose=purpose, occurrence=survey_key(survey_id, step), not_before=opens, deadline=ends)
    return None


def missed(session_id: int, starts_at: datetime, missed_at: datetime, tz: str, now: datetime) -> Due | None:
    """An hour after the visit was marked missed, out of quiet hours, within a day; once a visit."""
    opens = after_quiet(missed_at + MISSED_AFTER, tz)
    ends = opens + MISSED_LASTS
    if now >= ends:
        return None
    key = visit_key(session_id, starts_at)
    return Due(purpose=Purpose.MISSED_VISIT, occurrence=key, not_before=opens, deadline=ends)


def answers_missing(key: str, waits_since: datetime, tz: str, now: datetime) -> Due | None:
    """Once, two days after the questions were sent or the form was left, out of quiet hours."""
    return _missing(Purpose.ANSWERS_MISSING, key, waits_since, tz, now)


def documents_missing(key: str, waits_since: datetime, tz: str, now: datetime) -> Due | None:
    """Once an assessment, two days after the first paper was found missing, out of quiet hours."""
    return _missing(Purpose.DOCUMENTS_MISSING, key, waits_since, tz, now)


def _missing(purpose: Purpose, key: str, waits_since: datetime, tz: str, now: datetime) -> Due | None:
    opens = after_quiet(waits_since + MISSING_AFTER, tz)
    ends = opens + MISSING_LASTS
    if now < opens or after_quiet(now, tz) >= ends:
        return None
    return Due(purpose=purpose, occurrence=key, not_before=opens, deadline=ends)


def freed_slot(key: str, expires_at: datetime, tz: str, now: datetime) -> Due | None:
    """At once, out of quiet hours; None where too little of the offer is left to answer it."""
    opens, ends = after_quiet(now, tz), expires_at - OFFER_ENDS
    return Due(purpose=Purpose.FREED_SLOT, occurrence=key, not_before=opens, deadline=ends) if opens < ends else None


# -- staff ------------------------------------------------------------------------------------------------------------


def authorization_ending(authorization_id: int, day: date, tz: str) -> Due:
    """With the mail of the morning, once an approval and person."""
    whole = staff_digest(day, tz)
    return Due(
        purpose=Purpose.AUTHORIZATION_ENDING,
        occurrence=f"a:{authorization_id}",
        not_before=whole.not_before,
        deadline=whole.deadline,
    )


def staff_digest(day: date, tz: str) -> Due:
    """At 7:00 on the wall of the site, of no use after noon."""
    return Due(
        purpose=Purpose.STAFF_DIGEST,
        occurrence=day_key(day),
        not_before=wall_instant(day, STAFF_DIGEST_AT, tz),
        deadline=wall_instant(day, STAFF_DIGEST_UNTIL, tz),
    )


# -- at once ----------------------------------------------------------------------------------------------------------


def link(request_id: int, requested_at: datetime) -> Due:
    """At once, at any hour: the person waits for it."""
    return Due(
        purpose=Purpose.LINK,
        occurrence=link_key(request_id),
        not_before=requested_at,
        deadline=requested_at + LINK_LASTS,
    )


def on_call(
    task_id: int,
    opened_at: datetime,
    due_at: datetime,
    *,
    is_urgent: bool,
    failed: Iterable[int],
    people: int,
    now: datetime,
) -> list[tuple[int, Due]]:
    """Who is told of a safety task that nobody acknowledged, as (place in the list, message).

    The first person at once, then one more every 20 minutes: from the start where it is urgent, else from when the
    call was due. After the last person it begins again with the first. Where the message to one could not be delivered
    (`failed` places), the next one is told without waiting. Of steps that were missed because nothing ran, each person
    gets one message.
    """
    if not people:
        return []
    waited = _steps(opened_at, now) if is_urgent else _steps(due_at - ESCALATE_AFTER, now)
    reach, given_up = 0, set(failed)
    for place in range(people):
        if place <= waited or (place == reach and place - 1 in given_up):
            reach = place + 1
    ends = max(due_at, now) + ON_CALL_LASTS
    told = [(place, 0) for place in range(reach)]
    if waited >= people:
        told.append((waited % people, waited // people))
    return [
        (
            place,
            Due(
                purpose=Purpose.ON_CALL,
                occurrence=task_key(task_id, again),
                not_before=now if again else min(now, opened_at + place * ESCALATE_AFTER),
                deadline=ends,
            ),
        )
        for place, again in told
    ]


def record_opened(task_id: int, opened_at: datetime) -> Due:
    """Managers are told at once that a record was opened from another site; after two days the worklist says it alone."""
    return Due(
        purpose=Purpose.RECORD_OPENED,
        occurrence=task_key(task_id, 0),
        not_before=opened_at,
        deadline=opened_at + OPENING_TOLD_WITHIN,
    )


def staff_link(link_id: int, requested_at: datetime, expires_at: datetime) -> Due:
    """At once: somebody waits to sign in."""
    return Due(
        purpose=Purpose.STAFF_LINK,
        occurrence=password_link_key(link_id),
        not_before=requested_at,
        deadline=expires_at,
    )


def _steps(start: datetime, now: datetime) -> int:
    """How many times 20 minutes have passed since the start; none before it."""
    return max(0, int((now - start) / ESCALATE_AFTER))


# -- retries ------------------------------------------------------------------------------------------------------------


def retry_at(
    purpose: Purpose, attempts: int, deadline: datetime, tz: str | None, now: datetime, *, throttled: bool = False
) -> datetime | None:
    """When to try again after `attempts` tries; None where it is given up: too often, or too late.

    `tz`: the zone whose quiet hours are kept; None: they do not matter. `throttled`: the provider takes no more just
    now, which uses up no try.
    """
    if throttled:
        wait = THROTTLED
    elif attempts >= MAX_ATTEMPTS:
        return None
    else:
        wait = ON_CALL_BACKOFF if purpose is Purpose.ON_CALL else BACKOFF[attempts - 1]
    again = now + wait if tz is None else after_quiet(now + wait, tz)
    if again < deadline:
        return again
    return None


def keeps_quiet_hours(purpose: Purpose) -> bool:
    """Does the message wait for the end of quiet hours?"""
    return TRAITS[purpose].keeps_quiet


# -- not too much -------------------------------------------------------------------------------------------------------


def next_morning(now: datetime, tz: str) -> datetime:
    """The end of the next quiet hours."""
    return wall_instant(now.astimezone(ZoneInfo(tz)).date() + timedelta(days=1), QUIET_UNTIL, tz)


def waits_for_tomorrow(purpose: Purpose, told_today: int) -> bool:
    """Did the person hear enough today for a message that may wait?"""
    return TRAITS[purpose].may_wait and told_today >= ENOUGH_A_DAY


def is_too_many(purpose: Purpose, told_today: int) -> bool:
    """Is it more than any plan asks for? What the person asked for, and calls to staff, do not count."""
    return keeps_quiet_hours(purpose) and told_today >= TOO_MANY_A_DAY
