"""What a claimed row is held against, and what it says: facts as they are now. Steps of the claim's transaction."""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import phonenumbers

from clinic.eligibility.models import AskState
from clinic.intake.models import IntakeState
from clinic.locations import queries as locations
from clinic.patients import links
from clinic.patients import queries as patients
from clinic.patients.contact import REGION
from clinic.patients.models import Channel, LinkPurpose, MessageStyle, about
from clinic.reminders import briefing, due, finding, offers, queries, signed
from clinic.reminders.channels.base import Attachment
from clinic.reminders.due import Purpose
from clinic.reminders.facts import UPCOMING, Addressee, Facts, number_of
from clinic.reminders.models import Message, MessageState
from clinic.reminders.purposes import TRAITS
from clinic.reminders.signed import Use
from clinic.reminders.wording import Content, Place, When, safe_place
from clinic.scheduling import calendar_file, feeds
from clinic.scheduling.models import PERSON, CourseState, Mode, SessionState, TreatmentSession
from clinic.staff import password_links
from clinic.surveys import flow
from clinic.surveys.models import SurveyState

TOLD_EACH = ("obs", PERSON)  # visits that no weekly message tells of
MORNING = (Purpose.STAFF_DIGEST, Purpose.AUTHORIZATION_ENDING)
NO_CONSENT = "no consent to this channel"


def void_because(row: Message, purpose: Purpose, to: Addressee | None, facts: Facts) -> str | None:
    """Why the message is of no use any more; None where it may go."""
    if to is not None:
        if to.granted is False or (to.granted is None and purpose is not Purpose.LINK):
            return NO_CONSENT
        if to.address is None:
            return "no address for this channel"
        if to.is_dead and purpose is not Purpose.LINK:
            return "the address takes no messages"
    return _CHECKS[purpose](row, to, facts)


def _reminder_is_void(row: Message, to: Addressee | None, facts: Facts) -> str | None:
    visit = facts.sessions.get(row.session_id or 0)
    if visit is None or visit.state not in UPCOMING or visit.starts_at <= facts.now:
        return "the visit is over or cancelled"
    if row.matter != due.visit_key(visit.id, visit.starts_at):
        return "the visit was moved"
    if row.purpose == Purpose.FIRST_VISIT:
        return None if visit.id in facts.firsts else "it is not the first visit any more"
    if to is None or to.style == MessageStyle.EACH or visit.need in TOLD_EACH:
        return None
    if row.purpose == Purpose.DAY_BEFORE and visit.id in facts.firsts:
        return None
    return "the weekly message tells of it"


def _digest_is_void(row: Message, to: Addressee | None, facts: Facts) -> str | None:
    if to is None or to.style != MessageStyle.DIGEST:
        return "one message for each visit was chosen"
    return None if _visits_of_week(row, facts) else "no visit is left in this week"


def _booking_is_void(row: Message, to: Addressee | None, facts: Facts) -> str | None:
    if row.session_id is not None:
        visit = facts.sessions.get(row.session_id)
        is_ahead = visit is not None and visit.state in UPCOMING and visit.starts_at > facts.now
        return None if is_ahead else "the visit is over or cancelled"
    course = facts.courses.get(row.course_id or 0)
    if course is None or course.state not in (CourseState.BOOKED, CourseState.RUNNING):
        return "the course was cancelled"
    return None if facts.upcoming(row) else "no visit lies ahead"


def _change_is_void(row: Message, to: Addressee | None, facts: Facts) -> str | None:
    visit = facts.sessions.get(row.session_id or 0) or queries.session(row.session_id)
    if visit is None or visit.starts_at <= facts.now:
        return "the visit is over"
    if row.matter != due.change_key(visit.id, visit.revision):
        return "the visit was moved again"
    if row.purpose == Purpose.SESSION_MOVED and _is_as_told(row, visit):
        return finding.AS_TOLD
    if queries.asked_change(visit, row.channel) is not None:
        return finding.TOGETHER
    wanted = (SessionState.CANCELLED,) if row.purpose == Purpose.SESSION_CANCELLED else UPCOMING
    return None if visit.state in wanted else "the visit changed again"


def _is_as_told(row: Message, visit: TreatmentSession) -> bool:
    """Another device at the same time and site is no news for the patient."""
    told = queries.told_start(row)
    if told is None:
        return False
    starts_at, device_id = told
    if visit.device_id is None or device_id is None:
        return starts_at == visit.starts_at
    return starts_at == visit.starts_at and queries.are_together(device_id, visit.device_id)


def _missed_is_void(row: Message, to: Addressee | None, facts: Facts) -> str | None:
    visit = facts.sessions.get(row.session_id or 0)
    if visit is None or visit.state != SessionState.NO_SHOW:
        return "the visit was not missed after all"
    return None if row.matter == due.visit_key(visit.id, visit.starts_at) else "the visit was moved"


def _offer_is_void(row: Message, to: Addressee | None, facts: Facts) -> str | None:
    return None if offers.sessions_of(row.matter, facts.now) else "the offer is over"


def _authorization_is_void(row: Message, to: Addressee | None, facts: Facts) -> str | None:
    found = facts.authorizations.get(number_of(row))
    if found is None or found.ended_at is not None or found.valid_until > _soon(facts):
        return "the approval was extended or ended"
    return _staff_is_void(row, to, facts)


def _soon(facts: Facts) -> date:
    return facts.now.date() + timedelta(days=due.AUTHORIZATION_DAYS + 1)


def _survey_is_void(row: Message, to: Addressee | None, facts: Facts) -> str | None:
    survey = facts.surveys.get(row.survey_id or 0)
    return None if survey is not None and survey.state == SurveyState.OPEN else "the check-in is not open"


def _missing_is_void(row: Message, to: Addressee | None, facts: Facts) -> str | None:
    ask, intake = facts.asks.get(number_of(row)), facts.intakes.get(number_of(row))
    is_open = ask.state == AskState.OPEN if ask else intake is not None and intake.state == IntakeState.OPEN
    return None if is_open else "nothing is open any more"


def _papers_are_void(row: Message, to: Addressee | None, facts: Facts) -> str | None:
    return None if number_of(row) in facts.lacking else "no paper is missing any more"


def _link_is_void(row: Message, to: Addressee | None, facts: Facts) -> str | None:
    return None if number_of(row) in facts.requests else "nobody asked"


def _call_is_void(row: Message, to: Addressee | None, facts: Facts) -> str | None:
    task = facts.tasks.get(row.task_id or 0)
    is_open = task is not None and task.closed_at is None and task.owner_id is None
    return None if is_open else "someone has taken the task"


def _opening_is_void(row: Message, to: Addressee | None, facts: Facts) -> str | None:
    task = facts.tasks.get(row.task_id or 0)
    return None if task is not None and task.closed_at is None else "a manager has looked at it"


def _staff_is_void(row: Message, to: Addressee | None, facts: Facts) -> str | None:
    staff = facts.staff.get(row.staff_id or 0)
    return None if staff is not None and staff.active and staff.morning_mail else "this person wants no such mail"


def _staff_link_is_void(row: Message, to: Addressee | None, facts: Facts) -> str | None:
    staff, link = facts.staff.get(row.staff_id or 0), facts.password_links.get(number_of(row))
    is_open = link is not None and link.spent_at is None and link.ended_at is None and link.expires_at > facts.now
    return None if is_open and staff is not None and staff.active else "this link is not wanted any more"


_CHECKS: dict[Purpose, Callable[[Message, Addressee | None, Facts], str | None]] = {
    Purpose.FIRST_VISIT: _reminder_is_void,
    Purpose.DAY_BEFORE: _reminder_is_void,
    Purpose.TWO_HOURS_BEFORE: _reminder_is_void,
    Purpose.RIDE_AND_FASTING: _reminder_is_void,
    Purpose.WEEKLY_DIGEST: _digest_is_void,
    Purpose.COURSE_BOOKED: _booking_is_void,
    Purpose.SESSION_MOVED: _change_is_void,
    Purpose.SESSION_CANCELLED: _change_is_void,
    Purpose.MISSED_VISIT: _missed_is_void,
    Purpose.FREED_SLOT: _offer_is_void,
    Purpose.AUTHORIZATION_ENDING: _authorization_is_void,
    Purpose.SURVEY_DUE: _survey_is_void,
    Purpose.SURVEY_OVERDUE: _survey_is_void,
    Purpose.ANSWERS_MISSING: _missing_is_void,
    Purpose.DOCUMENTS_MISSING: _papers_are_void,
    Purpose.LINK: _link_is_void,
    Purpose.ON_CALL: _call_is_void,
    Purpose.STAFF_DIGEST: _staff_is_void,
    Purpose.RECORD_OPENED: _opening_is_void,
    Purpose.STAFF_LINK: _staff_link_is_void,
}


# -- what it says -----------------------------------------------------------------------------------------------------


def content_of(row: Message, purpose: Purpose, to: Addressee | None, facts: Facts) -> Content:
    """Facts for the wording. Single-use links are made here, in the claim's transaction, and stay in the kept body."""
    base = facts.settings.base_url
    common: dict[str, Any] = {
        "purpose": purpose,
        "language": to.language if to is not None else "en",
        "clinic": facts.clinic.short_name,
        "phone": as_people_read(facts.clinic.phone),
        "home": f"{base}/me" if to is not None else f"{base}/staff/",
        "unsubscribe": unsubscribe_url(row, facts),
    }
    if purpose in (Purpose.ON_CALL, Purpose.RECORD_OPENED):
        return Content(**common | _call(row, facts))
    if purpose is Purpose.STAFF_DIGEST:
        return Content(**common | _morning(row, facts))
    if purpose is Purpose.AUTHORIZATION_ENDING:
        return Content(**common | _authorization(row, facts))
    if purpose is Purpose.STAFF_LINK:
        return Content(**common | _password_link(row, facts))
    assert to is not None
    if purpose in _SINGLE_USE:
        survey = facts.surveys.get(row.survey_id or 0)
        minutes = flow.minutes(survey.instruments) if survey is not None else 0
        return Content(**common, url=f"{base}/l/{_SINGLE_USE[purpose](row, to, facts)}", minutes=minutes)
    if purpose is Purpose.FREED_SLOT:
        return Content(**common | _offer(row, facts))
    if purpose is Purpose.DOCUMENTS_MISSING:
        return Content(**common, url=f"{base}/me/papers")
    if TRAITS[purpose].is_news:
        return Content(**common | _changes(row, purpose, facts))
    visits = _visits(row, purpose, facts)
    token = signed.sign(Use.VISIT, row.id, facts.settings.secret_keys)
    return Content(
        **common,
        visits=facts.named(visits),
        url=f"{base}/r/{token}",
    )


def key_of_text(row: Message, content: Content, facts: Facts) -> str | None:
    """A text of its own for some visits of a purpose; None: the purpose's."""
    if row.purpose == Purpose.STAFF_LINK:
        return "staff_link_first" if facts.staff[row.staff_id or 0].password is None else None
    if row.purpose != Purpose.DAY_BEFORE:
        return None
    visit = facts.sessions[row.session_id or 0]
    if visit.need == "obs":
        return "day_before_ride"
    return "day_before_first" if visit.id in facts.firsts else None


def attachments_of(row: Message, purpose: Purpose, content: Content, facts: Facts) -> tuple[Attachment, ...]:
    """The visits of a new course as a calendar file."""
    if purpose is not Purpose.COURSE_BOOKED or row.channel != Channel.EMAIL:
        return ()
    visits = _booked(row, facts)
    entries = [_entry(one, facts.place(one.location_id), content) for one in visits]
    file = calendar_file.write(content.clinic, entries, changed_at=row.created_at)
    return (Attachment("visits.ics", "text/calendar", file),)


def _entry(visit: TreatmentSession, place: Place, content: Content) -> calendar_file.Entry:
    """The same entry as in the person's calendar feed: a program that reads both shows one."""
    is_video = visit.mode == Mode.VIDEO
    return calendar_file.Entry(
        key=f"appointment:{visit.id}",
        sequence=visit.revision,
        starts_at=visit.starts_at,
        ends_at=visit.ends_at,
        tz=place.tz,
        summary=feeds.VISIT_WORDS[content.language].format(clinic=content.clinic),
        location=feeds.VIDEO_WORDS[content.language] if is_video else safe_place(place, True),
    )


def unsubscribe_url(row: Message, facts: Facts) -> str:
    """Where one press ends such mail; nothing for what a person asked for or has to do."""
    keys, base = facts.settings.secret_keys, facts.settings.base_url
    if row.channel != Channel.EMAIL:
        return ""
    if row.patient_id is not None and row.purpose != Purpose.LINK:
        return f"{base}/unsubscribe/{signed.sign(Use.MAIL, row.patient_id, keys)}"
    if row.staff_id is not None and row.purpose in MORNING:
        return f"{base}/unsubscribe/{signed.sign(Use.STAFF_MAIL, row.staff_id, keys)}"
    return ""


@lru_cache(64)  # the clinic's own: in every message
def as_people_read(phone: str) -> str:
    """`(714) 555-0100`; a number that is none stays as it is."""
    try:
        number = phonenumbers.parse(phone, REGION)
    except phonenumbers.NumberParseException:
        return phone
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.NATIONAL))


def _visits(row: Message, purpose: Purpose, facts: Facts) -> list[TreatmentSession]:
    if purpose is Purpose.WEEKLY_DIGEST:
        return _visits_of_week(row, facts)
    if purpose is Purpose.COURSE_BOOKED:
        return _booked(row, facts)
    assert row.session_id is not None
    return [facts.sessions[row.session_id]]


def _booked(row: Message, facts: Facts) -> list[TreatmentSession]:
    """The visits of a new course, or the one visit of none."""
    if row.session_id is not None:
        return [facts.sessions[row.session_id]]
    return queries.first_of_each_day(facts.upcoming(row))


def _visits_of_week(row: Message, facts: Facts) -> list[TreatmentSession]:
    monday = date.fromisoformat(row.matter.removeprefix("w:"))
    week = [one for one in facts.upcoming(row) if monday <= one.local_on <= monday + timedelta(days=6)]
    return queries.first_of_each_day(week)


def _was(row: Message, facts: Facts) -> When | None:
    """Where the person was told that the moved visit is."""
    told = queries.told_start(row)
    if told is None:
        return None
    device = queries.device(told[1]) if told[1] is not None else None
    site = device.location_id if device is not None else facts.sessions[row.session_id or 0].location_id
    return When(told[0], facts.place(site))


def _changes(row: Message, purpose: Purpose, facts: Facts) -> dict[str, Any]:
    """Every change of one plan: what moved, what was cancelled. The link leads to a visit that still takes place."""
    told = _told_together(row, facts)
    moved, lost = (
        queries.first_of_each_day(queries.sessions({x for x, one in told.items() if one.purpose == which}))
        for which in (Purpose.SESSION_MOVED, Purpose.SESSION_CANCELLED)
    )
    opens = next((one.id for one in told.values() if one.purpose == Purpose.SESSION_MOVED), row.id)
    token = signed.sign(Use.VISIT, row.id if purpose is Purpose.SESSION_MOVED else opens, facts.settings.secret_keys)
    return {
        "visits": facts.named(moved or lost),
        "lost": facts.named(lost) if moved else (),
        "was": _was(row, facts) if purpose is Purpose.SESSION_MOVED and len(moved) == 1 and not lost else None,
        "url": f"{facts.settings.base_url}/r/{token}",
    }


def _told_together(row: Message, facts: Facts) -> dict[int, Message]:
    """The message, and those of other sessions whose change it tells too: one person and plan, one message."""
    joined = {row.session_id: row} if row.session_id is not None else {}
    for other in queries.lock_siblings(row):
        void = _change_is_void(other, None, facts)
        other.state, other.failure, other.ended_at = MessageState.VOID, void or finding.TOGETHER, facts.now
        if void is None and other.session_id is not None:
            joined[other.session_id] = other
    return joined


def _survey_link(row: Message, to: Addressee, facts: Facts) -> str:
    return links.make_link(LinkPurpose.SURVEY, patient_id=to.patient_id, survey_id=row.survey_id)


def _missing_link(row: Message, to: Addressee, facts: Facts) -> str:
    if row.matter.startswith("q:"):
        return links.make_link(LinkPurpose.ASK, patient_id=to.patient_id, ask_id=number_of(row))
    return links.make_link(LinkPurpose.INTAKE, patient_id=to.patient_id, intake_id=number_of(row))


def _requested_link(row: Message, to: Addressee, facts: Facts) -> str:
    request = facts.requests[number_of(row)]
    return links.make_link(LinkPurpose(request.purpose), patient_id=request.patient_id, **about(request))


_SINGLE_USE = {
    Purpose.SURVEY_DUE: _survey_link,
    Purpose.SURVEY_OVERDUE: _survey_link,
    Purpose.ANSWERS_MISSING: _missing_link,
    Purpose.LINK: _requested_link,
}


def _call(row: Message, facts: Facts) -> dict[str, Any]:
    task = facts.tasks[row.task_id or 0]
    sites = [locations.get(task.location_id)] if task.location_id is not None else locations.active()
    number = patients.get(task.patient_id).record_number if task.patient_id is not None else ""
    return {
        "until": task.due_at,
        "tz": sites[0].tz if sites else "UTC",
        "record": f"Record {number}" if number else "",
        "url": f"{facts.settings.base_url}/staff/tasks/{task.id}",
    }


def _offer(row: Message, facts: Facts) -> dict[str, Any]:
    found = offers.sessions_of(row.matter, facts.now)
    assert found is not None
    visits = [When(starts_at, facts.place(location_id)) for starts_at, location_id in found.visits]
    token = signed.sign(Use.OFFER, row.id, facts.settings.secret_keys)
    change_id = offers.change_of(row.matter)
    beside = queries.changed_beside(change_id) if change_id is not None else ()
    return {
        "visits": visits,
        "until": found.until,
        "url": f"{facts.settings.base_url}/o/{token}",
        "moved": facts.named(queries.first_of_each_day([x for x in beside if x.state in UPCOMING])),
        "lost": facts.named(queries.first_of_each_day([x for x in beside if x.state == SessionState.CANCELLED])),
    }


def _authorization(row: Message, facts: Facts) -> dict[str, Any]:
    found = facts.authorizations[number_of(row)]
    number = patients.get(found.patient_id).record_number
    tz = facts.place(row.location_id).tz if row.location_id is not None else "UTC"
    return {
        "record": f"Record {number}",
        "until": datetime.combine(found.valid_until, due.STAFF_DIGEST_UNTIL, ZoneInfo(tz)),
        "tz": tz,
        "count": found.sessions_approved - found.sessions_taken,
        "url": f"{facts.settings.base_url}/staff/patients/{found.patient_id}",
    }


def _password_link(row: Message, facts: Facts) -> dict[str, Any]:
    """Made anew with every wording: of two mails about one wish the later one's link works."""
    link = facts.password_links[number_of(row)]
    token = password_links.make_token(link)
    return {
        "until": link.expires_at,
        "tz": locations.clinic_tz(),
        "url": f"{facts.settings.base_url}/staff/welcome/{token}",
    }


def _morning(row: Message, facts: Facts) -> dict[str, Any]:
    day = date.fromisoformat(row.matter.removeprefix("d:"))
    tz = facts.place(row.location_id).tz if row.location_id is not None else "UTC"
    return {
        "until": datetime.combine(day, due.STAFF_DIGEST_AT, ZoneInfo(tz)),
        "tz": tz,
        "lines": briefing.lines(row.staff_id or 0, day, facts.now, tz),
        "url": f"{facts.settings.base_url}/staff/",
    }
