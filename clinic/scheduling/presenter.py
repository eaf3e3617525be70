"""Courses and days in the words and pictures of pages."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from flask_babel import gettext as _
from flask_babel import ngettext

from clinic.locations import queries as locations
from clinic.locations.models import Location
from clinic.locations.presenter import miles
from clinic.locations.zips import Point
from clinic.scheduling import preparing, queries, wishes
from clinic.scheduling.models import CourseProposal, CourseState, SessionState, TreatmentSession, VisitKind
from clinic.scheduling.moving import is_news
from clinic.scheduling.planning import Place
from clinic.scheduling.staging import Asked
from clinic.web import charts
from clinic.web.charts import Mark, PathSession

TITLES = {
    "earliest": "Soonest start",
    "steadiest": "Steady time",
    "preferred_place": "Preferred place",
    "best": "Best balance",
    "other_time": "Another time of day",
    "later_start": "Later start",
}
PRICE_NOTE = "as minutes off the usual time"
COUNTS = {1: "One whole course fits", 2: "Two whole courses fit", 3: "Three whole courses fit"}
COST_WORDS = {
    "wait": "waiting for the start",
    "late": "a late start",
    "gap": "days off the ideal pace",
    "tod": "changes of time",
    "dev": "changes of device",
    "loc": "changes of place",
    "pref": "times outside the wish",
}
KIND_WORDS = {
    VisitKind.CONSULT: "Consult",
    VisitKind.MEDICATION: "Medication visit",
    VisitKind.THERAPY: "Therapy",
}
STATE_WORDS = {
    SessionState.HELD: ("due", "Held", "clock"),
    SessionState.BOOKED: ("", "Planned", "ring"),
    SessionState.CONFIRMED: ("", "Confirmed", "text"),
    SessionState.ARRIVED: ("now", "Arrived", "user"),
    SessionState.COMPLETED: ("good", "Done", "check"),
    SessionState.CANCELLED: ("", "Cancelled", "x"),
    SessionState.NO_SHOW: ("stop", "No-show", "x"),
}
COURSE_WORDS = {
    CourseState.BOOKED: ("", "Booked", "cal"),
    CourseState.RUNNING: ("good", "Running", "play"),
    CourseState.PAUSED: ("due", "Paused", "clock"),
    CourseState.COMPLETED: ("good", "Completed", "check"),
    CourseState.DISCONTINUED: ("stop", "Ended early", "x"),
    CourseState.CANCELLED: ("", "Cancelled", "x"),
}


def day_words(on: date) -> str:
    """`Mon, Nov 30`."""
    return f"{on:%a}, {on:%b} {on.day}"


def clock24(minute: int) -> str:
    """`08:20`."""
    return f"{minute // 60:02d}:{minute % 60:02d}"


def clock24_of(at: datetime, tz: str) -> str:
    """The same of an instant, on the wall of a zone."""
    return f"{at.astimezone(ZoneInfo(tz)):%H:%M}"


# -- proposals ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Seen:
    """A proposal in the wall time of its sites."""

    row: CourseProposal
    times: list[datetime]
    devices: list[str]
    home: str
    place: str

    @property
    def own(self) -> list[datetime]:
        """Starts of all sessions but the mapping, which has a time of its own."""
        return [t for t, s in zip(self.times, self.row.plan["sessions"], strict=True) if s["kind"] != "mapping"]

    @property
    def minutes(self) -> list[int]:
        """When each day begins: a day of an accelerated course holds ten sessions an hour apart."""
        first: dict[date, datetime] = {}
        for at in self.own:
            first.setdefault(at.date(), at)
        return [at.hour * 60 + at.minute for at in first.values()]


def _seen(rows: Sequence[CourseProposal]) -> list[_Seen]:
    ids = {s["location_id"] for row in rows for s in row.plan["sessions"]}
    sites = {x: locations.get(x) for x in ids | {row.plan["location_id"] for row in rows}}
    names = queries.device_names(
        {s["device_id"] for row in rows for s in row.plan["sessions"]} | {row.plan["device_id"] for row in rows}
    )
    return [
        _Seen(
            row,
            [
                datetime.fromisoformat(s["starts_at"]).astimezone(ZoneInfo(sites[s["location_id"]].tz))
                for s in row.plan["sessions"]
            ],
            [f"{sites[s['location_id']].name}, {names[s['device_id']]}" for s in row.plan["sessions"]],
            f"{sites[row.plan['location_id']].name}, {names[row.plan['device_id']]}",
            sites[row.plan["location_id"]].name,
        )
        for row in rows
    ]


def compare(
    rows: Sequence[CourseProposal], chosen: CourseProposal, home: Point | None = None, left: int | None = None
) -> dict[str, Any]:
    """Columns and rows of the comparison, and the chosen course day by day.

    home: from where straight-line miles are counted. left: sessions that a payer still pays for, None: none was asked.
    """
    seen = _seen(rows)
    starts, ends = [s.times[0].date() for s in seen], [s.times[-1].date() for s in seen]
    changes = [sum(device != s.home for device in s.devices) for s in seen]
    moves = [sum(x["location_id"] != s.row.plan["location_id"] for x in s.row.plan["sessions"]) for s in seen]
    usual = [Counter(s.minutes).most_common(1)[0] for s in seen]
    closed = _closed(rows)
    table = [
        _line("First session", [day_words(x) for x in starts], [x.toordinal() for x in starts]),
        *_before_lines(seen),
        _line("Last session", [day_words(x) for x in ends], [x.toordinal() for x in ends]),
        {"label": "At a glance", "note": f"the line is {clock24(usual[0][0])}", "cells": _strips(seen, usual[0][0])},
        _line("Usual time", [_usual(s, u) for s, u in zip(seen, usual, strict=True)], [-u[1] for u in usual]),
        _line("Where", [_where(s) for s in seen]),
        _line("Device changes", [str(x) if x else "None" for x in changes], changes),
        _line("Site changes", [str(x) if x else "None" for x in moves], moves),
        *([_miles_line(seen, home)] if home is not None else []),
        _line("Days skipped", [", ".join(_skipped(s, closed[s.row.plan["location_id"]])) or "None" for s in seen]),
        *([_threshold_line(seen)] if any(_longer(s) for s in seen) else []),
        _line("Gaps over four days", [_gaps(s.row) for s in seen], [len(s.row.plan.get("gaps", ())) for s in seen]),
        *([_approval_line(seen, left)] if left is not None else []),
        {**_line("Compromises", [_price(s.row) for s in seen], [s.row.plan["cost"] for s in seen]), "note": PRICE_NOTE},
        _line("Why", ["; ".join(s.row.plan["why"]) for s in seen]),
        _line(
            "Why not better?",
            ["; ".join(list(s.row.plan["notes"].values())[:2]) or "Nothing stood in the way" for s in seen],
        ),
    ]
    plans = [
        {
            "value": str(s.row.id),
            "title": TITLES.get(s.row.kind, s.row.kind) if s.row.kind != "preferred_place" else s.place,
            "summary": s.row.plan["why"][0] if s.row.plan["why"] else "",
            "chosen": s.row.id == chosen.id,
        }
        for s in seen
    ]
    mine = next(s for s in seen if s.row.id == chosen.id)
    count = len(mine.times)
    return {
        "title": f"{COUNTS.get(len(rows), f'{len(rows)} whole courses fit')}. Pick one; all {count} are booked together.",
        "plans": plans,
        "rows": table,
        "count": count,
        "path": _proposed_path(mine, closed[chosen.plan["location_id"]]),
        "number": rows.index(chosen) + 1,
        "notes": [f"Session {number}: {text}" for number, text in chosen.plan["notes"].items()],
    }


def _before_lines(seen: Sequence[_Seen]) -> list[dict[str, Any]]:
    """What the protocol asks for before the first session, and by when."""
    each = [preparing.of_plan(wishes.protocol_of(s.row.protocol), s.times[0].date()) for s in seen]
    return [_line(same[0].words, [f"by {day_words(one.by)}" for one in same]) for same in zip(*each, strict=True)]


def _line(label: str, texts: Sequence[str], values: Sequence[float] | None = None) -> dict[str, Any]:
    bold = charts.best(values) if values is not None else [False] * len(texts)
    return {"label": label, "cells": [{"text": t, "best": b} for t, b in zip(texts, bold, strict=True)]}


def _strips(seen: Sequence[_Seen], wanted: int) -> list[dict[str, Any]]:
    first = min(s.times[0].date() for s in seen)
    last = max(s.times[-1].date() for s in seen)
    return [
        {
            "chart": charts.strip(
                [(t.date(), t.hour * 60 + t.minute) for t in s.times], wanted=wanted, first=first, last=last
            ),
            "chart_label": f"{len(s.times)} sessions from {day_words(s.times[0].date())} to {day_words(s.times[-1].date())}",
        }
        for s in seen
    ]


def _usual(seen: _Seen, usual: tuple[int, int]) -> str:
    minute, count = usual
    after = " after the mapping" if len(seen.own) < len(seen.times) else ""
    days = len(seen.minutes)
    if days < len(seen.own):
        return (
            f"{clock24(minute)}, the first of " + ("each day" if count == days else f"{count} of {days} days") + after
        )
    return f"{clock24(minute)}, " + (f"all {count}" if count == days else f"{count} of {days}") + after


def _where(seen: _Seen) -> str:
    """`Laguna Hills, TMS B and TMS A`."""
    devices: dict[str, list[str]] = {}
    for one in dict.fromkeys(seen.devices):
        site, _comma, device = one.rpartition(", ")
        devices.setdefault(site, []).append(device)
    return "; ".join(f"{site}, {' and '.join(names)}" for site, names in devices.items())


def _price(row: CourseProposal) -> str:
    """What the course asks of the patient beside the best imaginable one, in minutes of a wrong hour."""
    parts = [(COST_WORDS[name], value) for name, value in row.plan["parts"].items() if value]
    if not parts:
        return "None"
    listed = ", ".join(f"{value} for {words}" for words, value in sorted(parts, key=lambda part: -part[1]))
    return listed if len(parts) == 1 else f"{row.plan['cost']} in all: {listed}"


def _gaps(row: CourseProposal) -> str:
    """Breaks that are not the protocol's own, by name."""
    named = [gap["text"] for gap in row.plan.get("gaps", ()) if not gap["expected"]]
    return "; ".join(named) or "None"


def _miles_line(seen: Sequence[_Seen], home: Point) -> dict[str, Any]:
    """Straight-line miles from home to the site where most sessions are."""
    away: list[float | None] = []
    for each in seen:
        site = locations.get(each.row.plan["location_id"])
        known = site.latitude is not None and site.longitude is not None
        away.append(miles(Point(site.latitude or 0, site.longitude or 0), home) if known else None)
    texts = ["not known" if x is None else f"{x:.0f} miles" if x >= 1 else "under a mile" for x in away]
    line = _line("From home", texts, [10**6 if x is None else round(x) for x in away])
    return {**line, "note": "in a straight line"}


def _approval_line(seen: Sequence[_Seen], left: int) -> dict[str, Any]:
    spare = [left - len(each.times) for each in seen]
    return _line("Approved", [f"{x} left after it" if x >= 0 else f"{-x} beyond what was approved" for x in spare])


def _longer(seen: _Seen) -> list[int]:
    return [s["number"] for s in seen.row.plan["sessions"] if s.get("with_threshold")]


def _threshold_line(seen: Sequence[_Seen]) -> dict[str, Any]:
    """The sessions that take longer."""
    line = _line("New motor threshold", [f"Sessions {', '.join(map(str, _longer(s)))}" for s in seen])
    return {**line, "note": "these take longer"}


def _closed(rows: Sequence[CourseProposal]) -> dict[int, list[date]]:
    found: dict[int, list[date]] = {}
    for row in rows:
        place = row.plan["location_id"]
        first, last = (datetime.fromisoformat(row.plan["sessions"][n]["starts_at"]).date() for n in (0, -1))
        days = [closure.on_date for closure in locations.closures(place, first, last)]
        found[place] = sorted({*found.get(place, []), *days})
    return found


def _skipped(seen: _Seen, closed: Sequence[date]) -> list[str]:
    first, last = seen.times[0].date(), seen.times[-1].date()
    return [f"{on:%b} {on.day}" for on in closed if first < on < last]


def _proposed_path(seen: _Seen, closed: Collection[date]) -> charts.CoursePath:
    usual = Counter(seen.minutes).most_common(1)[0][0]
    begins: dict[date, int] = {}
    sessions = []
    for n, (at, session) in enumerate(zip(seen.times, seen.row.plan["sessions"], strict=True)):
        minute = at.hour * 60 + at.minute
        is_usual = begins.setdefault(at.date(), minute) == usual
        mark = Mark.NEXT if n == 0 else Mark.PLANNED if is_usual else Mark.OTHER
        sessions.append(PathSession(at.date(), mark, session["number"], clock24(minute)))
    return charts.course_path(sessions, closed=closed)


# -- a booked course ------------------------------------------------------------------------------------------------


def booked_path(visits: Sequence[Any], tz: str, now: datetime, *, url: Any = None) -> charts.CoursePath:
    """A course as it stands: what was done, what is next, what is to come. Cancelled sessions and visits are left out."""
    zone = ZoneInfo(tz)
    shown = [v for v in visits if v.state != SessionState.CANCELLED and v.course_id is not None]
    following = next((v for v in shown if v.state in queries.AHEAD and v.starts_at >= now), None)
    times = Counter(v.starts_at.astimezone(zone).time() for v in shown)
    usual = times.most_common(1)[0][0] if times else None
    sessions = []
    for visit in shown:
        at = visit.starts_at.astimezone(zone)
        sessions.append(
            PathSession(
                at.date(),
                _mark(visit, following, is_usual=at.time() == usual),
                visit.number,
                clock24(at.hour * 60 + at.minute),
                url=url(visit) if url else "",
            )
        )
    return charts.course_path(sessions)


def _mark(visit: Any, following: Any, *, is_usual: bool) -> Mark:
    if visit.state in (SessionState.COMPLETED, SessionState.ARRIVED):
        return Mark.DONE
    if visit.state == SessionState.NO_SHOW:
        return Mark.MISSED
    if visit is following:
        return Mark.NEXT
    return Mark.MOVED if visit.revision and not is_usual else Mark.PLANNED


def hours_of(
    places: Sequence[Place], row: TreatmentSession, tz: str, *, every: bool = False
) -> list[tuple[str, list[Place]]]:
    """Free places by hour: one a quarter of an hour and start, its own device first; `every` lists them all."""
    zone = ZoneInfo(tz)
    other = [place for place in places if (place.starts_at, place.device_id) != (row.starts_at, row.device_id)]
    best: dict[Any, Place] = {}
    for place in sorted(other, key=lambda p: (p.starts_at, p.device_id != row.device_id, p.device_id)):
        at = place.starts_at.astimezone(zone)
        best.setdefault((at, place.device_id) if every else (at.hour, at.minute // 15), place)
    hours: dict[str, list[Place]] = {}
    for place in best.values():
        hours.setdefault(f"{place.starts_at.astimezone(zone):%H}:00", []).append(place)
    return list(hours.items())


# -- months, for patients -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class MonthDay:
    """One day of a month's calendar; `visits` in order of time."""

    on: date
    visits: tuple[queries.Visit, ...]


@dataclass(frozen=True)
class Month:
    """Weeks of seven days, Monday first; days of other months are None."""

    first: date
    weeks: tuple[tuple[MonthDay | None, ...], ...]


def months(visits: Sequence[queries.Visit]) -> list[Month]:
    """Every month from the first of these visits to the last, by the date on each site's wall."""
    by_day: dict[date, list[queries.Visit]] = {}
    for visit in visits:
        by_day.setdefault(queries.local_date(visit.starts_at, visit.tz), []).append(visit)
    if not by_day:
        return []
    found, first, last = [], min(by_day).replace(day=1), max(by_day)
    while first <= last:
        following = (first + timedelta(days=32)).replace(day=1)
        days: list[MonthDay | None] = [None] * first.weekday()
        days += [
            MonthDay(on, tuple(by_day.get(on, ())))
            for on in (first + timedelta(days=n) for n in range((following - first).days))
        ]
        days += [None] * (-len(days) % 7)
        found.append(Month(first, tuple(tuple(days[n : n + 7]) for n in range(0, len(days), 7))))
        first = following
    return found


# -- what a patient is asked, and why times are as they are ---------------------------------------------------------


@dataclass(frozen=True)
class MovedLine:
    """One visit of a re-plan; `to` None: no time was found. `site` where it will be, `was_site` where that is new."""

    was: datetime
    to: datetime | None
    tz: str
    site: str
    was_site: str

    @property
    def is_same_time(self) -> bool:
        """Is only the place another one."""
        return self.to == self.was


def what_changed(moves: Sequence[Mapping[str, Any]]) -> list[str]:
    """How many visits of a re-plan are at another time, at another place, or without one; in the patient's language."""
    news = [move for move in moves if is_news(move)]
    lost = sum(move["to_at"] is None for move in news)
    place = sum(move["to_at"] == move["from_at"] for move in news)
    time = len(news) - lost - place
    found = []
    if time:
        found.append(ngettext("One visit is at another time.", "%(num)s visits are at other times.", time))
    if place:
        found.append(
            ngettext(
                "One visit is at another place, at the same time.",
                "%(num)s visits are at another place, at the same time.",
                place,
            )
        )
    if lost:
        found.append(ngettext("One visit has no time yet.", "%(num)s visits have no time yet.", lost))
    return found


def moved_lines(moves: Sequence[Mapping[str, Any]]) -> list[MovedLine]:
    """The visits of a re-plan in order of time. Another device at the same time and site is no news."""
    moves = [move for move in moves if is_news(move)]
    places = places_of(x for move in moves for x in (move["to_location"], move["from_location"]))
    found = []
    for move in moves:
        here = places[move["to_location"] or move["from_location"]]
        to = datetime.fromisoformat(move["to_at"]) if move["to_at"] else None
        was = places[move["from_location"]]
        elsewhere = was.name if to is not None and was.id != here.id else ""
        line = MovedLine(datetime.fromisoformat(move["from_at"]), to, here.tz, here.name if to else "", elsewhere)
        found.append(line)
    return sorted(found, key=lambda line: line.to or line.was)


def places_of(ids: Iterable[int | None]) -> dict[int, Location]:
    """Sites by id."""
    return {key: locations.get(key) for key in set(ids) if key is not None}


@dataclass(frozen=True)
class CourseWords:
    """A proposed course in few words."""

    first: date
    last: date
    usual: str
    where: str
    compromises: str
    sessions: int


def in_few_words(rows: Sequence[CourseProposal]) -> dict[Any, CourseWords]:
    """Each of these courses, by the proposal's id."""
    return {
        one.row.id: CourseWords(
            one.times[0].date(),
            one.times[-1].date(),
            _usual(one, Counter(one.minutes or [one.times[0].hour * 60 + one.times[0].minute]).most_common(1)[0]),
            _where(one),
            _price(one.row),
            len(one.times),
        )
        for one in _seen(rows)
    }


def first_of(row: CourseProposal) -> date:
    """The first day of a proposed course."""
    return datetime.fromisoformat(row.plan["sessions"][0]["starts_at"]).date()


def why_for_patient(
    anchor_minute: int, window: tuple[int, int] | None, sessions: Sequence[Any], tz: str, at: Callable[[datetime], str]
) -> list[str]:
    """Why the visits of a course are when they are, in the patient's language and without clinic words.

    at: writes a time of day.
    """
    if not sessions:
        return []
    zone = ZoneInfo(tz)
    local = [session.starts_at.astimezone(zone) for session in sessions]
    usual = local[0].replace(hour=anchor_minute // 60, minute=anchor_minute % 60)
    if window is not None and window[0] <= anchor_minute < window[1]:
        lines = [_("Your usual time is %(time)s. It is within the hours that you gave us.", time=at(usual))]
    else:
        lines = [
            _(
                "Your usual time is %(time)s. Of all times that were free for the whole course it keeps the pace best.",
                time=at(usual),
            )
        ]
    lines.append(
        _(
            "The treatment works by visits that follow each other closely, nearly every weekday at first. That is why we plan all of them together."
        )
    )
    away = [moment for moment in local[1:] if moment.hour * 60 + moment.minute != anchor_minute]
    if away and len(away) < len(local) - 1:
        lines.append(
            ngettext(
                "One visit is at another time, because the usual one was not free or you asked for it.",
                "%(num)s visits are at another time, because the usual one was not free or you asked for it.",
                len(away),
            )
        )
    longest = max(((b.date() - a.date()).days for a, b in pairwise(local)), default=0)
    if longest > 1:
        lines.append(
            ngettext(
                "The longest break between two visits is one day.",
                "The longest break between two visits is %(num)s days; weekends and days on which we are closed are part of it.",
                longest,
            )
        )
    return lines


def stage_words(asked: Asked | None) -> tuple[str, ...] | None:
    """What the next stage asks for, what was measured, and whether that is enough: a note's state, words and icon."""
    if asked is None:
        return None
    rule = f"The next stage asks for an improvement of at least {asked.percent} percent ({asked.rule})."
    found = asked.measured
    if found is None or found.percent is None:
        return "unsure", f"{rule} Not known: a baseline or a later complete score is missing. Ask for a check-in first."
    way = "lower" if found.percent > 0 else "higher"
    change = f"{abs(found.percent):g} percent {way}" if found.percent else "as at baseline"
    seen = f"{found.instrument} {found.baseline} at baseline, {found.total} on {day_words(found.on)}, {change}."
    if asked.is_met:
        return "", f"{rule} {seen} Met.", "check"
    return "due", f"{rule} {seen} Not met: give your reason if it goes on all the same."
