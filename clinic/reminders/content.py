"""What a claimed row is held against, and what it says: facts as they are now. Steps of the claim's transaction."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import phonenumbers

from clinic.locations import queries as locations
from clinic.patients import links
from clinic.patients import queries as patients
from clinic.patients.contact import REGION
from clinic.patients.models import LinkPurpose, MessageStyle, about
from clinic.reminders import due, finding, queries
from clinic.reminders.due import Purpose
from clinic.reminders.models import Message, MessageState
from clinic.reminders.queries import Addressee
from clinic.reminders.wording import Content
from clinic.scheduling.models import CourseState, SessionState, TreatmentSession
from clinic.surveys.models import SurveyState

CHANGES = (Purpose.SESSION_MOVED, Purpose.SESSION_CANCELLED)


def void_because(row: Message, purpose: Purpose, to: Addressee | None, now: datetime) -> str | None:
    """Why the message is of no use any more; None where it may go."""
    if to is not None:
        if to.granted is False or (to.granted is None and purpose is not Purpose.LINK):
            return "no consent to this channel"
        if to.address is None:
            return "no address for this channel"
    return _CHECKS[purpose](row, to, now)


def _reminder_is_void(row: Message, to: Addressee | None, now: datetime) -> str | None:
    visit = queries.session(row.session_id)
    if visit is None or visit.state not in queries.UPCOMING or visit.starts_at <= now:
        return "the visit is over or cancelled"
    if row.occurrence != due.visit_key(visit.id, visit.starts_at):
        return "the visit was moved"
    if to is None or to.style == MessageStyle.EACH or visit.need == "obs":
        return None
    if row.purpose == Purpose.DAY_BEFORE and queries.is_first_of_course(visit):
        return None
    return "the weekly message tells of it"


def _digest_is_void(row: Message, to: Addressee | None, now: datetime) -> str | None:
    if to is None or to.style != MessageStyle.DIGEST:
        return "one message for each visit was chosen"
    return None if _visits_of_week(row, now) else "no visit is left in this week"


def _booking_is_void(row: Message, to: Addressee | None, now: datetime) -> str | None:
    course = queries.course(row.course_id)
    if course is None or course.state not in (CourseState.BOOKED, CourseState.RUNNING):
        return "the course was cancelled"
    return None if queries.upcoming_of_course(course.id, now) else "no visit lies ahead"


def _change_is_void(row: Message, to: Addressee | None, now: datetime) -> str | None:
    visit = queries.session(row.session_id)
    if visit is None or visit.starts_at <= now:
        return "the visit is over"
    if row.occurrence != due.change_key(visit.id, visit.revision):
        return "the visit was moved again"
    if row.purpose == Purpose.SESSION_MOVED and _is_as_told(row, visit):
        return finding.AS_TOLD
    wanted = (SessionState.CANCELLED,) if row.purpose == Purpose.SESSION_CANCELLED else queries.UPCOMING
    return None if visit.state in wanted else "the visit changed again"


def _is_as_told(row: Message, visit: TreatmentSession) -> bool:
    """Another device at the same time and site is no news for the patient."""
    told = queries.told_start(row)
    if told is None:
        return False
    starts_at, device_id = told
    if visit.device_id is None:
        return False
    return starts_at == visit.starts_at and queries.are_together(device_id, visit.device_id)


def _survey_is_void(row: Message, to: Addressee | None, now: datetime) -> str | None:
    survey = queries.survey(row.survey_id)
    return None if survey is not None and survey.state == SurveyState.OPEN else "the check-in is not open"


def _link_is_void(row: Message, to: Addressee | None, now: datetime) -> str | None:
    return None if queries.link_request(_number(row)) else "nobody asked"


def _call_is_void(row: Message, to: Addressee | None, now: datetime) -> str | None:
    task = queries.task(row.task_id)
    return (
        None if task is not None and task.closed_at is None and task.owner_id is None else "someone has taken the task"
    )


_CHECKS = {
    Purpose.DAY_BEFORE: _reminder_is_void,
    Purpose.TWO_HOURS_BEFORE: _reminder_is_void,
    Purpose.WEEKLY_DIGEST: _digest_is_void,
    Purpose.COURSE_BOOKED: _booking_is_void,
    Purpose.SESSION_MOVED: _change_is_void,
    Purpose.SESSION_CANCELLED: _change_is_void,
    Purpose.SURVEY_DUE: _survey_is_void,
    Purpose.LINK: _link_is_void,
    Purpose.ON_CALL: _call_is_void,
}


# -- what it says -----------------------------------------------------------------------------------------------------


def content_of(row: Message, purpose: Purpose, to: Addressee | None, now: datetime, base: str) -> Content:
    """Facts for the wording; `base` is what links are built from. Links are made here, in the claim's transaction, and stay in the kept body."""
    profile = locations.profile()
    common: dict[str, Any] = {
        "purpose": purpose,
        "language": to.language if to is not None else "en",
        "clinic": profile.short_name if profile is not None else "Daybreak",
        "phone": _as_people_read(profile.phone) if profile is not None else "",
        "home": f"{base}/me" if to is not None else f"{base}/staff/",
    }
    if purpose is Purpose.ON_CALL:
        return Content(**common | _call(row, base))
    assert to is not None
    if purpose is Purpose.LINK:
        return Content(**common, url=_requested_link(row, base))
    if purpose is Purpose.SURVEY_DUE:
        assert row.survey_id is not None
        token = links.make_link(LinkPurpose.SURVEY, patient_id=to.patient_id, survey_id=row.survey_id)
        return Content(**common, url=f"{base}/l/{token}", step=int(row.occurrence.rpartition(".")[2]))
    visits = _visits(row, purpose, now)
    url = ""
    if purpose not in (Purpose.COURSE_BOOKED, Purpose.SESSION_CANCELLED):
        token = links.make_link(LinkPurpose.VISIT, patient_id=to.patient_id, session_id=visits[0].id)
        url = f"{base}/l/{token}"
    return Content(**common, visits=queries.named(visits), url=url)


def _as_people_read(phone: str) -> str:
    """`(714) 555-0100`; a number that is none stays as it is."""
    try:
        number = phonenumbers.parse(phone, REGION)
    except phonenumbers.NumberParseException:
        return phone
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.NATIONAL))


def _visits(row: Message, purpose: Purpose, now: datetime) -> Sequence[TreatmentSession]:
    if purpose is Purpose.WEEKLY_DIGEST:
        return _visits_of_week(row, now)
    if purpose is Purpose.COURSE_BOOKED:
        return queries.first_of_each_day(queries.upcoming_of_course(row.course_id, now))
    assert row.session_id is not None
    ids = {row.session_id}
    if purpose in CHANGES:
        ids |= _joined(row, now)
    return queries.first_of_each_day(queries.sessions(ids))


def _visits_of_week(row: Message, now: datetime) -> Sequence[TreatmentSession]:
    assert row.patient_id is not None
    monday = date.fromisoformat(row.occurrence.removeprefix("w:"))
    return queries.first_of_each_day(queries.upcoming_of_week(row.patient_id, monday, now))


def _joined(row: Message, now: datetime) -> set[int]:
    """Sessions whose change is told in this message too: one re-plan, one message."""
    joined = set()
    for other in queries.lock_siblings(row):
        void = _change_is_void(other, None, now)
        other.state, other.failure = MessageState.VOID, void or finding.TOGETHER
        if void is None and other.session_id is not None:
            joined.add(other.session_id)
    return joined


def _requested_link(row: Message, base: str) -> str:
    request = queries.link_request(_number(row))
    assert request is not None
    token = links.make_link(LinkPurpose(request.purpose), patient_id=request.patient_id, **about(request))
    return f"{base}/l/{token}"


def _call(row: Message, base: str) -> dict[str, Any]:
    task = queries.task(row.task_id)
    assert task is not None
    sites = [locations.get(task.location_id)] if task.location_id is not None else locations.active()
    record = patients.get(task.patient_id).record_number if task.patient_id is not None else ""
    return {
        "call_by": task.due_at,
        "call_tz": sites[0].tz if sites else "UTC",
        "record": record,
        "home": f"{base}/staff/tasks/{task.id}",
    }


def _number(row: Message) -> int:
    return int(row.occurrence.partition(":")[2])
