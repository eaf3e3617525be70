"""A re-plan in words: the answer as a sentence, who moves by how much to where, how each person hears of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select

from clinic.db import db
from clinic.locations import queries as locations
from clinic.patients.models import ChannelConsent, Patient
from clinic.patients.sites import everyone
from clinic.scheduling import outages, queries, telling
from clinic.scheduling.board_presenter import number
from clinic.scheduling.models import ChangeKind, ChangeState, Outage, ScheduleChange, TreatmentSession, VisitKind
from clinic.scheduling.moving import is_news
from clinic.scheduling.presenter import KIND_WORDS, clock24, day_words
from clinic.scheduling.telling import NewTime
from clinic.staff import queries as staff
from clinic.web import charts

STATES: dict[str, tuple[str, str, str]] = {
    ChangeState.TOLD: ("", "Told, may say no", "text"),
    ChangeState.ASKED: ("due", "Asked, no answer yet", "clock"),
    ChangeState.ACCEPTED: ("good", "Said yes", "check"),
    ChangeState.DECLINED: ("stop", "Said no: call", "phone"),
    ChangeState.LAPSED: ("", "No answer in time", "ask"),
}
ICONS = {"sms": "text", "email": "mail"}
LANGUAGES = {"en": "English", "es": "Spanish"}


@dataclass(frozen=True)
class Line:
    """One session that moves, or finds no place."""

    session_id: int
    course_id: int
    initials: str
    record_number: str
    number: int
    was: str
    becomes: str  # empty: no place
    day_shift: str  # "", "one day later", ...
    shift: charts.Shift | None
    shift_words: str
    channel: str
    icon: str
    is_news: bool  # else the person keeps site and time, and is not told
    needs_yes: bool
    state: tuple[str, str, str] | None
    because: str


@dataclass(frozen=True)
class Words:
    """What one person reads."""

    initials: str
    language: str
    lang: str
    text: str


@dataclass(frozen=True)
class View:
    """Everything on the page of an outage."""

    title: str
    subject: str
    span: str
    lines: tuple[Line, ...]
    lost: tuple[Line, ...]
    told: int
    asked: int
    calls: tuple[str, ...]  # who has to be called, because no message reaches them
    by_channel: tuple[tuple[str, str], ...]  # icon, words
    words: tuple[Words, ...]
    minutes: int
    cost: int
    bound: int
    breaches: tuple[str, ...]
    visits: int
    is_fresh: bool


def view(row: Outage) -> View:
    """The stored plan of an outage, or what became of it. As many statements for many people as for one."""
    preview = row.preview or {"moved": [], "unplaced": [], "breaches": [], "visits": [], "cost": 0, "bound": 0}
    changes = {change.course_id: change for change in outages.changes(row.id)}
    lines = [*preview["moved"], *preview["unplaced"]]
    people = _people({line["patient_id"] for line in lines})
    names = queries.device_names({x for line in lines for x in (line["from_device"], line["to_device"]) if x})
    zones = locations.zones()
    sites = locations.names()
    made = [_line(line, people, names, zones, sites, changes) for line in lines]
    moved = tuple(one for one in made if one.becomes)
    lost = tuple(one for one in made if not one.becomes)
    news = [line for line in preview["moved"] if is_news(line)]
    ids = {line["patient_id"] for line in news}
    asked = {line["patient_id"] for line in preview["moved"] if line["needs_yes"]}
    return View(
        title=title(row, preview),
        subject=subject(row),
        span=span_words(row),
        lines=moved,
        lost=lost,
        told=len(ids - asked),
        asked=len(asked),
        calls=tuple(people[x].initials for x in sorted(ids) if not people[x].channels),
        by_channel=_channels([people[x] for x in sorted(ids)]),
        words=_words(news, people),
        minutes=sum(abs(line["minutes"]) for line in preview["moved"]),
        cost=preview["cost"],
        bound=preview["bound"],
        breaches=tuple(one["text"] for one in preview["breaches"]),
        visits=len(preview["visits"]),
        is_fresh=row.previewed_at is not None,
    )


def answers_words(counts: Mapping[str, int]) -> str:
    """`3 said yes, 1 said no, 2 may still answer`."""
    waiting = counts.get(ChangeState.TOLD, 0) + counts.get(ChangeState.ASKED, 0)
    parts = (
        (counts.get(ChangeState.ACCEPTED, 0), "said yes"),
        (counts.get(ChangeState.DECLINED, 0), "said no and must be called"),
        (counts.get(ChangeState.LAPSED, 0), "did not answer"),
        (waiting, "may still answer"),
        (counts.get(outages.SAME, 0), "keep the time and were not asked"),
    )
    return ", ".join(f"{count} {words}" for count, words in parts if count) or "Nobody had to move."


# -- sentences ----------------------------------------------------------------------------------------------------------


def title(row: Outage, preview: Mapping[str, Any]) -> str:
    """The answer: does everyone stay on their day, and what is the largest move."""
    moved, unplaced = preview["moved"], preview["unplaced"]
    people = {line["patient_id"] for line in moved}
    lost = {line["patient_id"] for line in unplaced}
    if not moved and not unplaced:
        visits = len(preview["visits"])
        return f"{_count(visits, 'visit')} to be moved by hand." if visits else "Nobody has to move."
    if lost:
        words = f"{_people_words(len(lost))} no other place"
        verb = "finds" if len(lost) == 1 else "find"
        words = words.replace(" no other", f" {verb} no other")
        return words + (f"; {_people_words(len(people - lost)).lower()} move." if people - lost else ".")
    away = {line["patient_id"] for line in moved if line["days"]}
    most = max(abs(line["minutes"]) for line in moved)
    elsewhere = {line["patient_id"] for line in moved if line["to_location"] != line["from_location"]}
    if away:
        there = f", {number(len(elsewhere))} to another site" if elsewhere else ""
        verb = "moves" if len(people) == 1 else "move"
        return f"{_people_words(len(people))} {verb}, {number(len(away))} to another day{there}."
    everyone_ = "One person stays on the day" if len(people) == 1 else f"All {number(len(people))} stay on their day"
    time = f"Nobody moves more than {most} minutes." if most else "Nobody's time changes."
    if elsewhere:
        who = _people_words(len(elsewhere)).removesuffix(" people").removesuffix(" person")
        time = f"{who} go{'es' if len(elsewhere) == 1 else ''} to another site. {time}"
    return f"{everyone_}. {time}"


def _people_words(count: int) -> str:
    words = f"{number(count)} {'person' if count == 1 else 'people'}"
    return words[0].upper() + words[1:]


def _count(count: int, noun: str) -> str:
    words = f"{number(count)} {noun}{'' if count == 1 else 's'}"
    return words[0].upper() + words[1:]


def subject(row: Outage) -> str:
    """`TMS B, Fullerton`."""
    if row.kind == ChangeKind.DEVICE:
        name = queries.device_names([row.device_id or 0]).get(row.device_id or 0, "A device")
        return f"{name}, {locations.get(row.location_id or 0).name}"
    if row.kind == ChangeKind.PERSON:
        return staff.get(row.staff_id or 0).name
    return locations.get(row.location_id or 0).name


def span_words(row: Outage) -> str:
    """`is down from Mon, Nov 23, 10:12 to Tue, Nov 24, 07:00`, by the wall of its site."""
    tz = locations.get(row.location_id).tz if row.location_id is not None else locations.clinic_tz()
    starts, ends = row.starts_at.astimezone(ZoneInfo(tz)), row.ends_at.astimezone(ZoneInfo(tz))
    if row.kind == ChangeKind.CAPACITY:
        return f"has other hours or fewer people since {day_words(starts.date())}"
    what = {ChangeKind.DEVICE: "is down", ChangeKind.PERSON: "is away", ChangeKind.SITE: "is closed"}
    verb = what[ChangeKind(row.kind)]
    if row.is_final:
        return f"leaves for good on {day_words(starts.date())}"
    return f"{verb} from {day_words(starts.date())}, {starts:%H:%M} to {day_words(ends.date())}, {ends:%H:%M}"


# -- lines --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Person:
    initials: str
    record_number: str
    language: str
    channels: tuple[str, ...]


@everyone()
def _people(ids: set[int]) -> dict[int, _Person]:
    rows = db.session.execute(
        select(
            Patient.id, Patient.initials, Patient.record_number, Patient.language, Patient.email, Patient.phone
        ).where(Patient.id.in_(ids))
    ).all()
    granted: dict[int, set[str]] = {}
    consents = select(ChannelConsent.patient_id, ChannelConsent.channel).where(
        ChannelConsent.patient_id.in_(ids), ChannelConsent.superseded_at.is_(None), ChannelConsent.granted.is_(True)
    )
    for patient_id, channel in db.session.execute(consents):
        granted.setdefault(patient_id, set()).add(channel)
    return {
        row.id: _Person(
            row.initials,
            row.record_number,
            row.language,
            tuple(
                channel
                for channel, address in (("sms", row.phone), ("email", row.email))
                if address and channel in granted.get(row.id, ())
            ),
        )
        for row in rows
    }


def _line(
    line: Mapping[str, Any],
    people: Mapping[int, _Person],
    names: Mapping[Any, str],
    zones: Mapping[int, str],
    sites: Mapping[Any, str],
    changes: Mapping[int | None, ScheduleChange],
) -> Line:
    person = people[line["patient_id"]]
    change = changes.get(line["course_id"]) if is_news(line) else None
    old = _at(line["from_at"], zones[line["from_location"]])
    place, shift, words, far = "", None, "", ""
    if line["to_at"] is not None:
        new = _at(line["to_at"], zones[line["to_location"]])
        where = names.get(line["to_device"], "")
        if line["to_location"] != line["from_location"]:
            where = f"{where}, {sites[line['to_location']]}"
        day = "" if new.date() == old.date() else f"{day_words(new.date())}, "
        place = f"{day}{new:%H:%M} {where}"
        shift = charts.shift(line["minutes"] if not line["days"] else 0)
        far = _days(line["days"])
        words = far or _minutes(line["minutes"])
    return Line(
        session_id=line["session_id"],
        course_id=line["course_id"],
        initials=person.initials,
        record_number=person.record_number,
        number=line["number"],
        was=f"{day_words(old.date())}, {old:%H:%M} {names.get(line['from_device'], '')}",
        becomes=place,
        day_shift=far,
        shift=shift,
        shift_words=words,
        channel=_channel(person) if is_news(line) else "None",
        icon=("phone" if not person.channels else ICONS[person.channels[0]]) if is_news(line) else "",
        is_news=is_news(line),
        needs_yes=bool(line["needs_yes"]),
        state=STATES[change.state] if change is not None else None,
        because=line["text"],
    )


def _at(text: str, tz: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(ZoneInfo(tz))


def _minutes(minutes: int) -> str:
    if not minutes:
        return "no change"
    return f"{abs(minutes)} {'later' if minutes > 0 else 'earlier'}"


def _days(days: int) -> str:
    if not days:
        return ""
    return f"{abs(days)} day{'s' if abs(days) > 1 else ''} {'later' if days > 0 else 'earlier'}"


def _channel(person: _Person) -> str:
    how = {"sms": "Text", "email": "Email"}.get(person.channels[0], "Call") if person.channels else "Call"
    return how if person.language == "en" else f"{how}, {LANGUAGES.get(person.language, person.language)}"


def _channels(people: Sequence[_Person]) -> tuple[tuple[str, str], ...]:
    found: list[tuple[str, str]] = []
    for channel, icon, noun in (("sms", "text", "text"), ("email", "mail", "email")):
        mine = [person for person in people if person.channels and person.channels[0] == channel]
        spanish = sum(person.language == "es" for person in mine)
        if mine:
            words = f"{len(mine)} {noun}{'s' if len(mine) > 1 else ''}"
            found.append((icon, f"{words}, {spanish} in Spanish" if spanish else words))
    return tuple(found)


def _words(moved: Sequence[Mapping[str, Any]], people: Mapping[int, _Person], most: int = 4) -> tuple[Words, ...]:
    """What the first people read, one of each language first."""
    times: dict[int, list[NewTime]] = {}
    for line in sorted(moved, key=lambda one: one["to_at"]):
        at, was = datetime.fromisoformat(line["to_at"]), datetime.fromisoformat(line["from_at"])
        new = NewTime(at, line["to_location"], was, line["from_location"])
        times.setdefault(line["patient_id"], []).append(new)
    firsts = {people[x].language: x for x in sorted(times, reverse=True)}  # one of each language in front
    order = [*sorted(firsts.values()), *sorted(set(times) - set(firsts.values()))]
    found = []
    for patient_id in order[:most]:
        person = people[patient_id]
        text = telling.words(person.language, times[patient_id])
        if text:
            found.append(Words(person.initials, LANGUAGES.get(person.language, person.language), person.language, text))
    return tuple(found)


# -- the picture ------------------------------------------------------------------------------------------------------


def picture(row: Outage) -> charts.Replan | None:
    """The first day on which somebody moves, before and after; None where nobody changes the device on their day."""
    zones = locations.zones()
    moved = [line for line in (row.preview or {}).get("moved", []) if not line["days"]]
    days = [_at(line["from_at"], zones[line["from_location"]]).date() for line in moved]
    on = min(days, default=None)
    today = [line for line, day in zip(moved, days, strict=True) if day == on]
    going = [line for line in today if line["from_device"] != line["to_device"]]
    if on is None or not going:
        return None
    people = _people({line["patient_id"] for line in going})
    used = {line[end] for line in going for end in ("from_device", "to_device")}
    names = queries.device_names(used)
    others: dict[int, list[tuple[int, int]]] = {}
    lengths: dict[int, int] = {}
    for location_id in {line[end] for line in going for end in ("from_location", "to_location")}:
        for one in queries.day_list(location_id, on):
            lengths[one.id] = int((one.ends_at - one.starts_at).total_seconds() // 60)
            if one.device_id in used and one.id not in {line["session_id"] for line in today}:
                at = _minute(one.starts_at, zones[location_id])
                others.setdefault(one.device_id or 0, []).append((at, lengths[one.id]))
    moves = [
        charts.Moved(
            people[line["patient_id"]].initials,
            _minute(datetime.fromisoformat(line["from_at"]), zones[line["from_location"]]),
            lengths.get(line["session_id"], 20),
            str(line["from_device"]),
            _minute(datetime.fromisoformat(line["to_at"]), zones[line["to_location"]]),
            str(line["to_device"]),
            bool(line["needs_yes"]),
        )
        for line in going
    ]
    lanes = [
        (str(key), names.get(key, ""), others.get(key, [])) for key in sorted(used, key=lambda x: names.get(x, ""))
    ]
    gone = {str(row.device_id)} if row.kind == ChangeKind.DEVICE else {move.lane for move in moves}
    return charts.replan(f"{day_words(on)}, before and after", moves, lanes, out=gone)


# -- lists --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Hit:
    """A session on a day on which its site is closed."""

    initials: str
    record_number: str
    course_id: int | None
    number: int
    location_id: int
    on: date
    at: str
    what: str


@everyone()
def hits(location_ids: frozenset[int]) -> list[Hit]:
    """What closures that were entered late hit, by time."""
    return _hits(outages.hit_by_closures(location_ids))


@everyone()
def hits_of(ids: Sequence[int]) -> list[Hit]:
    """These appointments, by time."""
    statement = select(TreatmentSession).where(TreatmentSession.id.in_(ids))
    return _hits(db.session.scalars(statement.order_by(TreatmentSession.starts_at, TreatmentSession.id)).all())


def _hits(rows: Sequence[TreatmentSession]) -> list[Hit]:
    people = _people({row.patient_id for row in rows})
    zones = locations.zones()
    return [
        Hit(
            people[row.patient_id].initials,
            people[row.patient_id].record_number,
            row.course_id,
            row.number,
            row.location_id,
            row.local_on,
            clock24(_minute(row.starts_at, zones[row.location_id])),
            KIND_WORDS[VisitKind(row.kind)]
            if row.is_visit
            else f"session {row.number}"
            if row.course_id is not None
            else "a plan that is held",
        )
        for row in rows
    ]


def _minute(at: datetime, tz: str) -> int:
    wall = at.astimezone(ZoneInfo(tz))
    return wall.hour * 60 + wall.minute
