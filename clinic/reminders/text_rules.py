"""What the clinic's own wording may say: known facts, no clinical word, no address of its own, a bearable length. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from clinic.reminders import wording
from clinic.reminders.purposes import ASKING, TRAITS, Purpose
from clinic.reminders.sms_text import is_gsm, segments
from clinic.reminders.wording import Content, Parts, Place, Text, When

LONGEST = {"subject": 120, "mail": 4000, "text": 800}
MOST_SEGMENTS, MOST_WEEKLY_SEGMENTS = 3, 5
_ADDRESS = re.compile(r"https?:|www\.|\b[\w-]+\.(?:com|org|net|health|clinic|info|us)\b", re.IGNORECASE)
_BRACES = re.compile(r"\{[^{}]*\}|[{}]")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")

FACT_WORDS = {
    "clinic": "short name of the clinic",
    "phone": "telephone number of the clinic",
    "link": "address of the page for an answer",
    "home": "address of the person's own pages",
    "codes": "how to answer with 1, 2 or 3",
    "when": "day and time of the visit",
    "day": "day",
    "time": "time",
    "place": "site",
    "address": "site with its street",
    "was": "day and time before",
    "list": "the visits, one by one",
    "count": "how many",
    "first": "day and time of the first one",
    "last": "day and time of the last one",
    "lost": "the visits that are cancelled, one by one",
    "also": "what else changes, in sentences",
    "until": "how long the offer holds",
    "record": "record number",
    "minutes": "how many minutes it takes, about",
}
_ALWAYS = {"clinic", "phone"}
_VISIT = _ALWAYS | {"when", "day", "time", "place", "address", "link"}
_VISITS = _ALWAYS | {"count", "list", "first", "last", "day", "link"}


@dataclass(frozen=True)
class Rule:
    """What one text may and must name. `mail` and `text`: it is written for them."""

    purpose: Purpose | None
    facts: frozenset[str]
    needs: frozenset[str] = frozenset()
    has_mail: bool = True
    visits: int = 1


def _rule(purpose: Purpose, facts: set[str], *needs: str, visits: int = 1) -> Rule:
    return Rule(
        purpose, frozenset(facts | ({"codes"} if purpose in ASKING else set())), frozenset(needs), visits=visits
    )


def _reply(*facts: str) -> Rule:
    return Rule(None, frozenset({*_ALWAYS, *facts}), frozenset(facts), has_mail=False)


RULES = {
    "course_booked": _rule(Purpose.COURSE_BOOKED, _VISITS - {"link"} | {"home"}, "first", visits=30),
    "course_booked_one": _rule(Purpose.COURSE_BOOKED, _VISIT - {"link"} | {"home", "first"}),
    "first_visit": _rule(Purpose.FIRST_VISIT, _VISIT, "when"),
    "day_before": _rule(Purpose.DAY_BEFORE, _VISIT, "when", "link"),
    "day_before_first": _rule(Purpose.DAY_BEFORE, _VISIT, "when", "link"),
    "day_before_ride": _rule(Purpose.DAY_BEFORE, _VISIT, "when", "link"),
    "two_hours_before": _rule(Purpose.TWO_HOURS_BEFORE, _VISIT, "link"),
    "ride_and_fasting": _rule(Purpose.RIDE_AND_FASTING, _VISIT, "when"),
    "weekly_digest": _rule(Purpose.WEEKLY_DIGEST, _VISITS, "list", "link", visits=5),
    "session_moved": _rule(Purpose.SESSION_MOVED, _VISIT | {"was"}, "when"),
    "session_moved_new": _rule(Purpose.SESSION_MOVED, _VISIT, "when"),
    "session_moved_many": _rule(Purpose.SESSION_MOVED, _VISITS, "list", "link", visits=5),
    "session_cancelled": _rule(Purpose.SESSION_CANCELLED, _VISIT, "when"),
    "session_cancelled_many": _rule(Purpose.SESSION_CANCELLED, _VISITS, "list", visits=5),
    "session_moved_and_cancelled": _rule(Purpose.SESSION_MOVED, _VISITS | {"lost"}, "list", "lost", "link", visits=5),
    "freed_slot": _rule(Purpose.FREED_SLOT, _VISIT | {"until"}, "when", "until", "link"),
    "freed_slot_and_more": _rule(Purpose.FREED_SLOT, _VISIT | {"until", "also"}, "when", "until", "link", "also"),
    "freed_course": _rule(
        Purpose.FREED_SLOT, (_VISITS | _VISIT | {"until"}) - {"list"}, "first", "until", "link", visits=5
    ),
    "missed_visit": _rule(Purpose.MISSED_VISIT, _VISIT),
    "survey_due": _rule(Purpose.SURVEY_DUE, _ALWAYS | {"link", "minutes"}, "link", visits=0),
    "survey_overdue": _rule(Purpose.SURVEY_OVERDUE, _ALWAYS | {"link", "minutes"}, "link", visits=0),
    "answers_missing": _rule(Purpose.ANSWERS_MISSING, _ALWAYS | {"link"}, "link", visits=0),
    "documents_missing": _rule(Purpose.DOCUMENTS_MISSING, _ALWAYS | {"link"}, "link", visits=0),
    "link": _rule(Purpose.LINK, _ALWAYS | {"link"}, "link", visits=0),
    "reply_coming": _reply("when"),
    "reply_late": _reply("when"),
    "reply_cannot": _reply("when"),
    "reply_unclear": _reply(),
    "reply_stopped": _reply(),
    "reply_started": _reply(),
    "reply_help": _reply(),
}  # what is not here is not the clinic's to word: calls to staff, and the mail of the morning


@dataclass(frozen=True)
class Problem:
    """What stands in the way, and in which part."""

    part: str
    words: str


def names(key: str) -> tuple[str, ...]:
    """The parts that a text has."""
    return ("subject", "mail", "text") if RULES[key].has_mail else ("text",)


def problems(key: str, language: str, parts: Parts, clinic: str, places: list[Place], base: str) -> list[Problem]:
    """Everything that is wrong with a wording; empty where it may be used."""
    rule, found = RULES[key], []
    for name in names(key):
        text = parts.get(name, "")
        found += [Problem(name, words) for words in _wrong_in(name, text, rule)]
    if not found:
        most = MOST_WEEKLY_SEGMENTS if key == "weekly_digest" else MOST_SEGMENTS
        said = sample(key, language, parts, "sms", clinic, places, base).body
        if segments(said) > most:
            found.append(Problem("text", f"It takes {size(said)}. At most {most} are sent for this one."))
    return found


def _wrong_in(name: str, text: str, rule: Rule) -> list[str]:
    if not text.strip():
        return ["Write something here."]
    found = []
    if len(text) > LONGEST[name]:
        found.append(f"At most {LONGEST[name]} letters.")
    if _CONTROL.search(text) or (name != "mail" and "\n" in text.strip()):
        found.append("One line only." if "\n" in text else "There is a letter in it that cannot be sent.")
    unknown = sorted(set(_BRACES.findall(text)) - {f"{{{fact}}}" for fact in rule.facts})
    if unknown:
        known = ", ".join(f"{{{fact}}}" for fact in sorted(rule.facts))
        found.append(f"{', '.join(unknown)} is not known here. Known are {known}.")
    missing = sorted(rule.needs - wording.names_in(text)) if name != "subject" else []
    if missing:
        found.append(f"It has to say {', '.join(f'{{{fact}}}' for fact in missing)}.")
    plain = _BRACES.sub(" ", text)
    clinical = wording.clinical_words(plain)
    if clinical:
        found.append(f"It gives away what the visits are for: {', '.join(clinical)}.")
    if _ADDRESS.search(plain):
        found.append("Addresses of pages come in by {link} or {home} only: people must not learn to press others.")
    return found


def size(text: str) -> str:
    """`2 texts (161 letters)`, and why where it is more than it looks."""
    count = segments(text)
    said = f"{count} {'text' if count == 1 else 'texts'} ({len(text)} letters)"
    if is_gsm(text):
        return said
    odd = "".join(dict.fromkeys(letter for letter in text if not is_gsm(letter)))
    return f"{said}; {odd} make a text hold 70 letters instead of 160"


def sample(key: str, language: str, parts: Parts, channel: str, clinic: str, places: list[Place], base: str) -> Text:
    """The text with facts that are made up, as long as they get at this clinic."""
    rule = RULES[key]
    place = max(places or [Place("Main Street", "1 Main Street", "UTC")], key=lambda one: len(one.name))
    starts = [
        When(datetime(2026, 9, 23, 17, 50, tzinfo=UTC) + timedelta(days=day), place) for day in range(rule.visits)
    ]
    facts: Mapping[str, str] = {"clinic": clinic, "phone": "(714) 555-0100"}
    if rule.purpose is None:
        when = wording.when_in_words(When(datetime(2026, 9, 23, 17, 50, tzinfo=UTC), place), language)
        return Text(None, wording.reply(key, language, {**facts, "when": when}, parts))
    content = Content(
        purpose=rule.purpose,
        language=language,
        clinic=clinic,
        phone=facts["phone"],
        home=f"{base}/me",
        url=f"{base}/r/AAAAAA.{'x' * 16}" if TRAITS[rule.purpose].asks or rule.visits else f"{base}/l/{'x' * 32}",
        visits=starts,
        was=When(datetime(2026, 9, 22, 17, 50, tzinfo=UTC), place),
        until=datetime(2026, 9, 22, 18, 50, tzinfo=UTC) if "until" in rule.facts else None,
        tz=place.tz,
        moved=starts[:1] if "also" in rule.facts else (),
        lost=starts[:1] if rule.facts & {"also", "lost"} else (),
        minutes=5,
    )
    return wording.fill(parts, content, channel, language)
