"""Why messages go out, and what holds for each reason. Pure."""

from dataclasses import dataclass
from enum import StrEnum


class Purpose(StrEnum):
    """Why a message goes out."""

    COURSE_BOOKED = "course_booked"
    FIRST_VISIT = "first_visit"  # how to prepare for it
    DAY_BEFORE = "day_before"
    TWO_HOURS_BEFORE = "two_hours_before"
    RIDE_AND_FASTING = "ride_and_fasting"  # visits after which nobody drives
    WEEKLY_DIGEST = "weekly_digest"
    SESSION_MOVED = "session_moved"
    SESSION_CANCELLED = "session_cancelled"
    FREED_SLOT = "freed_slot"  # an earlier time is offered
    MISSED_VISIT = "missed_visit"
    SURVEY_DUE = "survey_due"
    SURVEY_OVERDUE = "survey_overdue"
    ANSWERS_MISSING = "answers_missing"  # questions or a form that wait for the person
    DOCUMENTS_MISSING = "documents_missing"  # papers that the payer asks for and only the person can bring
    LINK = "link"  # a link that the person asked for
    ON_CALL = "on_call"  # to staff: a safety answer waits
    STAFF_DIGEST = "staff_digest"  # to staff: what the day holds
    AUTHORIZATION_ENDING = "authorization_ending"  # to staff: a payer's approval runs out
    RECORD_OPENED = "record_opened"  # to managers: someone opened a record of another site
    STAFF_LINK = "staff_link"  # to staff: a link by which they set a password


class Lane(StrEnum):
    """The queue that a message waits in. Each has workers of its own, so that none holds up another."""

    URGENT = "urgent"
    NORMAL = "normal"
    BULK = "bulk"


@dataclass(frozen=True, kw_only=True)
class Trait:
    """What holds for a purpose.

    `keeps_quiet`: it waits for the end of quiet hours. `may_wait`: it gives way where the person heard enough that day.
    `asks`: a reply of 1, 2 or 3 answers it. `by_voice`: the desk calls where the person wants calls.
    `is_news`: it tells of a change, and changes of one plan are told together.
    """

    lane: Lane = Lane.NORMAL
    keeps_quiet: bool = True
    may_wait: bool = False
    asks: bool = False
    by_voice: bool = False
    is_news: bool = False
    to_staff: bool = False


TRAITS = {
    Purpose.COURSE_BOOKED: Trait(by_voice=True),
    Purpose.FIRST_VISIT: Trait(by_voice=True),
    Purpose.DAY_BEFORE: Trait(asks=True, by_voice=True),
    Purpose.TWO_HOURS_BEFORE: Trait(asks=True),
    Purpose.RIDE_AND_FASTING: Trait(by_voice=True),
    Purpose.WEEKLY_DIGEST: Trait(lane=Lane.BULK),
    Purpose.SESSION_MOVED: Trait(asks=True, by_voice=True, is_news=True),
    Purpose.SESSION_CANCELLED: Trait(by_voice=True, is_news=True),
    Purpose.FREED_SLOT: Trait(lane=Lane.URGENT),
    Purpose.MISSED_VISIT: Trait(lane=Lane.BULK, may_wait=True),
    Purpose.SURVEY_DUE: Trait(lane=Lane.BULK, may_wait=True),
    Purpose.SURVEY_OVERDUE: Trait(lane=Lane.BULK, may_wait=True),
    Purpose.ANSWERS_MISSING: Trait(lane=Lane.BULK, may_wait=True),
    Purpose.DOCUMENTS_MISSING: Trait(lane=Lane.BULK, may_wait=True),
    Purpose.LINK: Trait(lane=Lane.URGENT, keeps_quiet=False),
    Purpose.ON_CALL: Trait(lane=Lane.URGENT, keeps_quiet=False, to_staff=True),
    Purpose.STAFF_DIGEST: Trait(lane=Lane.BULK, keeps_quiet=False, to_staff=True),
    Purpose.RECORD_OPENED: Trait(lane=Lane.URGENT, keeps_quiet=False, to_staff=True),
    Purpose.AUTHORIZATION_ENDING: Trait(lane=Lane.BULK, keeps_quiet=False, to_staff=True),
    Purpose.STAFF_LINK: Trait(lane=Lane.URGENT, keeps_quiet=False, to_staff=True),
}
NEWS = tuple(purpose for purpose, trait in TRAITS.items() if trait.is_news)
ASKING = tuple(purpose for purpose, trait in TRAITS.items() if trait.asks)
BY_VOICE = tuple(purpose for purpose, trait in TRAITS.items() if trait.by_voice)
