"""What messages say, in English and Spanish. Pure. No clinical word, no promise, begins with the clinic's short name.

The sentences stand in `texts/`; a clinic may have its own of each (`parts`). Names in braces are facts. The ledger keeps
the version of the sentences beside the text as it was sent.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import yaml

from clinic.reminders.purposes import TRAITS, Purpose
from clinic.reminders.sms_text import fold

LANGUAGES = ("en", "es")
MAX_SMS_LINES = 2  # dates listed in a text message; mail lists all
WEEK_SMS_LINES = 7
SHORTEST = 2  # minutes that a check-in is said to take, at least
FOLDER = Path(__file__).parent / "texts"

CLINICAL_WORDS = (
    "antidepress", "anxiety", "bipolar", "depress", "diagnos", "disorder", "drug", "esketamin", "gad-7", "infusion",
    "ketamin", "magnetic", "medicat", "medicin", "mental", "patient", "phq", "prescri", "psychiat", "psychol", "score",
    "self-harm", "session", "spravato", "stimulat", "suicid", "survey", "symptom", "therap", "tms", "transcranial",
    "treatment", "trd", "ansiedad", "cuestionario", "depresi", "diagnóst", "esquetamin", "estimulaci", "medicament",
    "paciente", "psicol", "psiqui", "puntaje", "receta", "salud mental", "sesion", "sesión", "síntoma", "terapia",
    "trastorno", "tratamiento",
)  # fmt: skip
_CLINICAL = re.compile("|".join(re.escape(word) for word in CLINICAL_WORDS), re.IGNORECASE)

WEEKDAYS = {
    "en": ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"),
    "es": ("lun", "mar", "mié", "jue", "vie", "sáb", "dom"),
}
MONTHS = {
    "en": ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
    "es": ("ene", "feb", "mar", "abr", "may", "jun", "jul", "ago", "sep", "oct", "nov", "dic"),
}


@dataclass(frozen=True)
class Place:
    """Where a visit is. `tz` is the zone in which its time is told."""

    name: str
    address: str
    tz: str


@dataclass(frozen=True)
class When:
    """A visit to name."""

    starts_at: datetime
    place: Place
    is_video: bool = False


@dataclass(frozen=True, kw_only=True)
class Content:
    """What a message is about. `visits` in order; `url` opens the page for an answer, `home` the person's own pages.

    `was`: where a moved visit was told to be; `until`: instant up to which an offer holds; `lines`: a list that is
    not of visits; `count` where it is not the number of visits; `minutes`: how long what is asked for takes, about.
    `lost`: visits that were cancelled by what moved the others; `moved`: those with a new time beside an offer.
    """

    purpose: Purpose
    language: str
    clinic: str
    phone: str
    home: str
    url: str = ""
    unsubscribe: str = ""
    visits: Sequence[When] = ()
    was: When | None = None
    until: datetime | None = None
    tz: str = "UTC"
    record: str = ""
    count: int | None = None
    minutes: int = 0
    lines: Sequence[str] = ()
    moved: Sequence[When] = ()
    lost: Sequence[When] = ()


class Text(NamedTuple):
    """A message. Texts have no subject."""

    subject: str | None
    body: str


Parts = Mapping[str, str]  # subject, mail, text of one key
_FACT = re.compile(r"\{([a-z_]+)\}")
_SPACE = re.compile(r" +\n")
_BUTTON = re.compile(r"^\[([^\]\n]+)\]\(([^)\s]+)\)$", re.MULTILINE)


@cache
def catalog(language: str) -> dict[str, Any]:
    """Our own sentences of a language."""
    with (FOLDER / f"{language}.yaml").open(encoding="utf-8") as file:
        found: dict[str, Any] = yaml.load(file, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - both are safe
    return found


def version(language: str) -> str:
    """Of our own sentences."""
    return str(catalog(known(language))["version"])


def default_parts(key: str, language: str) -> Parts:
    """Our own sentences of one text."""
    parts: Parts = catalog(known(language))["texts"][key]
    return parts


def known(language: str) -> str:
    """The language, or English where there are no sentences in it."""
    return language if language in LANGUAGES else "en"


def key_of(content: Content) -> str:
    """Which of the texts says it."""
    purpose, many = content.purpose, len(content.visits) > 1
    if purpose is Purpose.FREED_SLOT and (content.moved or content.lost):
        return "freed_slot_and_more"
    if content.lost:
        return "session_moved_and_cancelled"
    if purpose is Purpose.COURSE_BOOKED:
        return "course_booked" if many else "course_booked_one"
    if purpose is Purpose.SESSION_MOVED:
        return "session_moved_many" if many else "session_moved" if content.was else "session_moved_new"
    if purpose is Purpose.SESSION_CANCELLED:
        return "session_cancelled_many" if many else "session_cancelled"
    if purpose is Purpose.FREED_SLOT and many:
        return "freed_course"
    return str(purpose)


def compose(content: Content, channel: str, parts: Parts | None = None) -> Text:
    """The message in the person's language, for `email`, `sms` or `voice` (what the desk says)."""
    language = known(content.language)
    return fill(parts or default_parts(key_of(content), language), content, channel, language)


def fill(parts: Parts, content: Content, channel: str, language: str) -> Text:
    """One text with the facts put in. A name without a fact stays empty."""
    words = catalog(language)["words"]
    is_mail = channel == "email"
    facts = _facts(content, words, language, is_mail)
    if not is_mail:
        said = _tidy(_put(parts["text"], facts))
        return Text(None, fold(f"{content.clinic}: {said}") if channel == "sms" else said)
    paragraphs = [
        part for raw in parts["mail"].strip().split("\n\n") if (part := _SPACE.sub("\n", _put(raw, facts)).strip())
    ]
    paragraphs = [_BUTTON.sub(r"\1: \2", part) for part in paragraphs]
    if not TRAITS[content.purpose].to_staff:
        paragraphs = [words["hello"], *paragraphs, words["questions"].format(phone=content.phone)]
    if content.unsubscribe:
        paragraphs.append(f"{words['unsubscribe']}: {content.unsubscribe}")
    subject = " ".join(_put(parts["subject"], facts).split())
    return Text(f"{content.clinic}: {subject}", f"{content.clinic}\n\n" + "\n\n".join(paragraphs) + "\n")


def reply(key: str, language: str, facts: Mapping[str, str], parts: Parts | None = None) -> str:
    """What is written back at once to a text that came in. `facts`: clinic, phone, when."""
    language = known(language)
    said = _put((parts or default_parts(key, language))["text"], facts)
    return fold(f"{facts['clinic']}: {_tidy(said)}")


def names_in(text: str) -> set[str]:
    """The facts that a text asks for."""
    return set(_FACT.findall(text))


def _put(text: str, facts: Mapping[str, str]) -> str:
    return _FACT.sub(lambda found: facts.get(found[1], ""), text)


def _tidy(text: str) -> str:
    return re.sub(r" {2,}", " ", text).strip()


def _facts(content: Content, words: Mapping[str, str], language: str, is_mail: bool) -> dict[str, str]:
    facts = {
        "clinic": content.clinic,
        "phone": content.phone,
        "home": content.home,
        "link": content.url,
        "record": content.record,
        "count": str(content.count if content.count is not None else len(content.visits)),
        "minutes": str(max(content.minutes, SHORTEST)),
        "codes": words["codes"] if TRAITS[content.purpose].asks else "",
    }
    if content.visits:
        first, last = content.visits[0], content.visits[-1]
        facts["when"] = facts["first"] = when_in_words(first, language)
        facts["last"] = when_in_words(last, language)
        facts["day"], facts["time"] = _day_and_time(first, language)
        facts["place"], facts["address"] = (_where(first, words, full) for full in (False, True))
        facts["list"] = _listed(content, words, language, is_mail)
    said = [
        words[key].format(list=_in_line(visits, language, words, is_mail))
        for key, visits in (("moved", content.moved), ("lost", content.lost))
        if visits
    ]
    if said:
        facts["also"] = (" " if not is_mail else "\n\n").join(said)
    if content.lost:
        facts["lost"] = _in_line(content.lost, language, words, is_mail)
    if content.was is not None:
        facts["was"] = when_in_words(content.was, language)
    if content.until is not None:
        tz = content.visits[0].place.tz if content.visits else content.tz
        facts["day"], at = _day_and_time(When(content.until, Place("", "", tz)), language)
        facts["until"] = f"{facts['day']}, {at}"
        facts.setdefault("time", f"{content.until.astimezone(ZoneInfo(tz)):%H:%M}")
    if content.lines:
        facts["list"] = "\n".join(f"- {line}" for line in content.lines) if is_mail else "; ".join(content.lines)
    return facts


def _in_line(visits: Sequence[When], language: str, words: Mapping[str, str], is_mail: bool) -> str:
    """Visits by their time alone; a text names the first ones."""
    shown = visits if is_mail else visits[:MAX_SMS_LINES]
    lines = [when_in_words(visit, language) for visit in shown]
    if left := len(visits) - len(shown):
        lines.append(words["more_one"] if left == 1 else words["more"].format(count=left))
    return "; ".join(lines)


def _listed(content: Content, words: Mapping[str, str], language: str, is_mail: bool) -> str:
    most = WEEK_SMS_LINES if content.purpose is Purpose.WEEKLY_DIGEST else MAX_SMS_LINES
    shown = content.visits if is_mail else content.visits[:most]
    lines = [when_in_words(visit, language) for visit in shown]
    if is_mail and len(lines) > 1:
        places = [_where(visit, words, False) for visit in shown]
        if len(set(places)) == 1:  # one place is named once, with its address
            return "\n".join(["", _where(shown[0], words, True), *(f"- {line}" for line in lines)])
        pairs = zip(lines, places, strict=True)
        return "\n" + "\n".join(f"- {line}, {place}" for line, place in pairs)
    if left := len(content.visits) - len(shown):
        lines.append(words["more_one"] if left == 1 else words["more"].format(count=left))
    return "; ".join(lines)


def when_in_words(visit: When, language: str) -> str:
    """`Tue, Nov 24, 8:20 am`."""
    return "{}, {}".format(*_day_and_time(visit, known(language)))


def _day_and_time(visit: When, language: str) -> tuple[str, str]:
    local = visit.starts_at.astimezone(ZoneInfo(visit.place.tz))
    time = f"{local.hour % 12 or 12}:{local:%M} {'am' if local.hour < 12 else 'pm'}"
    return name_day(local.date(), language), time


def name_day(day: date, language: str) -> str:
    """`Mon, Nov 30` or `lun 30 nov`."""
    weekday, month = WEEKDAYS[language][day.weekday()], MONTHS[language][day.month - 1]
    return f"{weekday}, {month} {day.day}" if language == "en" else f"{weekday} {day.day} {month}"


def _where(visit: When, words: Mapping[str, str], with_address: bool) -> str:
    return words["video"] if visit.is_video else safe_place(visit.place, with_address)


def safe_place(place: Place, with_address: bool) -> str:
    """The site's name; only its address where the clinic gave the site a name that says what is done there."""
    if has_clinical_word(place.name):
        return place.address
    return f"{place.name}, {place.address}" if with_address else place.name


def has_clinical_word(text: str) -> bool:
    """Does the text give away what the person comes for?"""
    return _CLINICAL.search(text) is not None


def clinical_words(text: str) -> list[str]:
    """Those words of the text that give it away."""
    return sorted({found.group().lower() for found in _CLINICAL.finditer(text)})
