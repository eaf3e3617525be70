"""What messages say, in English and Spanish. Pure. No clinical word, no promise, begins with the clinic's short name.

A changed sentence is a new `VERSION`; the ledger keeps the version beside the text as it was sent.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from html import escape
from zoneinfo import ZoneInfo

from clinic.reminders.due import Purpose

VERSION = "2"
LANGUAGES = ("en", "es")
MAX_SMS_LINES = 2  # dates listed in a text message; mail lists all

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


@dataclass(frozen=True, kw_only=True)
class Content:
    """What a message is about. `visits` in order; `url` opens the page for an answer, `home` the person's own pages."""

    purpose: Purpose
    language: str
    clinic: str
    phone: str
    home: str
    url: str = ""
    visits: Sequence[When] = ()
    call_by: datetime | None = None
    call_tz: str = "UTC"
    record: str = ""
    step: int = 0


@dataclass(frozen=True)
class Text:
    """A message. Texts have no subject."""

    subject: str | None
    body: str


def compose(content: Content, channel: str) -> Text:
    """The message in the person's language, for `email` or `sms`."""
    words = _WORDS[content.language if content.language in LANGUAGES else "en"]
    subject, lines = _MAKERS[content.purpose](content, words, channel == "email")
    if channel == "sms":
        return Text(None, f"{content.clinic}: " + " ".join(lines))
    if content.purpose is not Purpose.ON_CALL:
        lines = [words["hello"], *lines, words["questions"].format(phone=content.phone)]
    return Text(f"{content.clinic}: {subject}", f"{content.clinic}\n\n" + "\n\n".join(lines) + "\n")


_WORDS = {
    "en": {
        "hello": "Hello,",
        "questions": "Questions? Call us: {phone}",
        "reminder": "your next visit is {when}, {place}.",
        "reminder_subject": "your visit on {day}",
        "answer": "I'll be there, or I can't come: {url}",
        "digest": "your visits from {day}: {list}.",
        "digest_subject": "your visits this week",
        "booked": "your visits are booked: {count} in all, from {first} to {last}.",
        "booked_one": "your visit is booked: {first}.",
        "booked_subject": "your visits are booked",
        "dates": "All dates: {url}",
        "moved": "your visit has a new time: {list}.",
        "moved_many": "{count} of your visits have new times: {list}.",
        "moved_subject": "a new time for your visit",
        "cancelled": "your visit on {list} is cancelled.",
        "cancelled_many": "{count} of your visits are cancelled: {list}.",
        "cancelled_subject": "a visit is cancelled",
        "more": "and {count} more",
        "check_in": "your short check-in is ready. It takes about 3 minutes: {url}",
        "check_in_again": "your short check-in is still open. It takes about 3 minutes: {url}",
        "check_in_subject": "your short check-in",
        "link": "here is a link to your own pages with us: {url}",
        "link_note": "It opens once. If it comes as a surprise, call us.",
        "link_subject": "your link",
        "on_call": "a safety task is waiting, call by {time}.",
        "on_call_subject": "a safety task is waiting",
        "record": "Record {record}",
        "worklist": "Worklist: {url}",
        "at": "{day}, {time}",
    },
    "es": {
        "hello": "Hola:",
        "questions": "¿Preguntas? Llámenos: {phone}",
        "reminder": "su siguiente cita es el {when}, {place}.",
        "reminder_subject": "su cita del {day}",
        "answer": "Ahí estaré, o no puedo ir: {url}",
        "digest": "sus citas desde el {day}: {list}.",
        "digest_subject": "sus citas de esta semana",
        "booked": "sus citas quedaron reservadas: {count} en total, del {first} al {last}.",
        "booked_one": "su cita quedó reservada: {first}.",
        "booked_subject": "sus citas quedaron reservadas",
        "dates": "Todas las fechas: {url}",
        "moved": "su cita tiene hora nueva: {list}.",
        "moved_many": "{count} de sus citas tienen hora nueva: {list}.",
        "moved_subject": "hora nueva para su cita",
        "cancelled": "se cancela su cita del {list}.",
        "cancelled_many": "se cancelan {count} de sus citas: {list}.",
        "cancelled_subject": "se cancela una cita",
        "more": "y {count} más",
        "check_in": "unas preguntas cortas le esperan. Toma unos 3 minutos: {url}",
        "check_in_again": "sus preguntas cortas siguen abiertas. Toma unos 3 minutos: {url}",
        "check_in_subject": "unas preguntas cortas",
        "link": "un enlace a sus páginas con nosotros: {url}",
        "link_note": "Se abre una sola vez. Si le sorprende, llámenos.",
        "link_subject": "su enlace",
        "on_call": "hay una tarea de seguridad, llame antes de las {time}.",
        "on_call_subject": "hay una tarea de seguridad",
        "record": "Expediente {record}",
        "worklist": "Lista de tareas: {url}",
        "at": "{day}, {time}",
    },
}

Words = dict[str, str]
Made = tuple[str, list[str]]


def _reminder(content: Content, words: Words, is_mail: bool) -> Made:
    visit = content.visits[0]
    day, _ = _day_and_time(visit, content.language)
    lines = [words["reminder"].format(when=_when(visit, content.language), place=safe_place(visit.place, is_mail))]
    return words["reminder_subject"].format(day=day), [*_first_upper(lines, is_mail), *_answer(content, words)]


def _digest(content: Content, words: Words, is_mail: bool) -> Made:
    day, _ = _day_and_time(content.visits[0], content.language)
    text = words["digest"].format(day=day, list=_listed(content, words, is_mail, most=7))
    return words["digest_subject"], [*_first_upper([text], is_mail), *_answer(content, words)]


def _booked(content: Content, words: Words, is_mail: bool) -> Made:
    first, last = (_when(visit, content.language) for visit in (content.visits[0], content.visits[-1]))
    key = "booked" if len(content.visits) > 1 else "booked_one"
    lines = _first_upper([words[key].format(count=len(content.visits), first=first, last=last)], is_mail)
    if is_mail:
        lines.append("\n".join(f"- {_when(v, content.language)}, {safe_place(v.place, False)}" for v in content.visits))
    return words["booked_subject"], [*lines, words["dates"].format(url=content.home)]


def _moved(content: Content, words: Words, is_mail: bool) -> Made:
    text = _many(content, words, "moved", is_mail)
    return words["moved_subject"], [*_first_upper([text], is_mail), *_answer(content, words)]


def _cancelled(content: Content, words: Words, is_mail: bool) -> Made:
    return words["cancelled_subject"], _first_upper([_many(content, words, "cancelled", is_mail)], is_mail)


def _check_in(content: Content, words: Words, is_mail: bool) -> Made:
    text = words["check_in_again" if content.step else "check_in"].format(url=content.url)
    return words["check_in_subject"], _first_upper([text], is_mail)


def _link(content: Content, words: Words, is_mail: bool) -> Made:
    lines = [words["link"].format(url=content.url), words["link_note"]]
    return words["link_subject"], _first_upper(lines, is_mail)


def _on_call(content: Content, words: Words, is_mail: bool) -> Made:
    assert content.call_by is not None
    local = content.call_by.astimezone(ZoneInfo(content.call_tz))
    lines = [words["on_call"].format(time=f"{local:%H:%M}")]
    if content.record:
        lines.append(words["record"].format(record=content.record))
    return words["on_call_subject"], [*_first_upper(lines, is_mail), words["worklist"].format(url=content.home)]


_MAKERS = {
    Purpose.DAY_BEFORE: _reminder,
    Purpose.TWO_HOURS_BEFORE: _reminder,
    Purpose.WEEKLY_DIGEST: _digest,
    Purpose.COURSE_BOOKED: _booked,
    Purpose.SESSION_MOVED: _moved,
    Purpose.SESSION_CANCELLED: _cancelled,
    Purpose.SURVEY_DUE: _check_in,
    Purpose.LINK: _link,
    Purpose.ON_CALL: _on_call,
}


def _answer(content: Content, words: Words) -> list[str]:
    return [words["answer"].format(url=content.url)] if content.url else []


def _many(content: Content, words: Words, key: str, is_mail: bool) -> str:
    listed = _listed(content, words, is_mail, most=MAX_SMS_LINES)
    return words[key if len(content.visits) == 1 else f"{key}_many"].format(count=len(content.visits), list=listed)


def _listed(content: Content, words: Words, is_mail: bool, *, most: int) -> str:
    shown = content.visits if is_mail else content.visits[:most]
    lines = [_when(visit, content.language) for visit in shown]
    if is_mail and len(lines) > 1:
        return "\n" + "\n".join(
            f"- {line}, {safe_place(visit.place, False)}" for line, visit in zip(lines, shown, strict=True)
        )
    if len(shown) < len(content.visits):
        lines.append(words["more"].format(count=len(content.visits) - len(shown)))
    return "; ".join(lines)


def _first_upper(lines: list[str], is_mail: bool) -> list[str]:
    """A sentence in mail begins with a capital; a text goes on after the clinic's name."""
    return [line[:1].upper() + line[1:] for line in lines] if is_mail else lines


def _when(visit: When, language: str) -> str:
    return "{}, {}".format(*_day_and_time(visit, language))


def _day_and_time(visit: When, language: str) -> tuple[str, str]:
    local = visit.starts_at.astimezone(ZoneInfo(visit.place.tz))
    time = f"{local.hour % 12 or 12}:{local:%M} {'am' if local.hour < 12 else 'pm'}"
    return name_day(local.date(), language), time


def name_day(day: date, language: str) -> str:
    """`Mon, Nov 30` or `lun 30 nov`."""
    weekday, month = WEEKDAYS[language][day.weekday()], MONTHS[language][day.month - 1]
    return f"{weekday}, {month} {day.day}" if language == "en" else f"{weekday} {day.day} {month}"


def safe_place(place: Place, with_address: bool) -> str:
    """The site's name; only its address where the clinic gave the site a name that says what is done there."""
    if has_clinical_word(place.name):
        return place.address
    return f"{place.name}, {place.address}" if with_address else place.name


def has_clinical_word(text: str) -> bool:
    """Does the text give away what the person comes for?"""
    return _CLINICAL.search(text) is not None


# -- forms of a message -----------------------------------------------------------------------------------------------

_URL = re.compile(r"https?://\S+")


def as_html(body: str, language: str) -> str:
    """The text of a mail as a plain page: the same words, links that can be pressed."""
    parts = []
    for paragraph in body.strip().split("\n\n"):
        lines = paragraph.split("\n")
        items = [line[2:] for line in lines if line.startswith("- ")]
        rest = [_linked(line) for line in lines if not line.startswith("- ")]
        if rest:
            parts.append(f"<p>{'<br>'.join(rest)}</p>")
        if items:
            parts.append("<ul>" + "".join(f"<li>{_linked(item)}</li>" for item in items) + "</ul>")
    title = escape(body.split("\n", 1)[0])
    return (
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8"><title>{title}</title></head>'
        f"<body>{''.join(parts)}</body></html>\n"
    )


def _linked(line: str) -> str:
    pieces, at = [], 0
    for found in _URL.finditer(line):
        url = escape(found.group())
        pieces += [escape(line[at : found.start()]), f'<a href="{url}">{url}</a>']
        at = found.end()
    return "".join([*pieces, escape(line[at:])])


_GSM = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM_TWICE = frozenset("^{}\\[~]|€")  # take two places each


def sms_segments(text: str) -> int:
    """How many texts a message is billed as: 160 places of the GSM alphabet, else 70 of UTF-16; less when joined."""
    if all(letter in _GSM or letter in _GSM_TWICE for letter in text):
        places = len(text) + sum(letter in _GSM_TWICE for letter in text)
        return 1 if places <= 160 else -(-places // 153)
    places = len(text.encode("utf-16-le")) // 2
    return 1 if places <= 70 else -(-places // 67)
