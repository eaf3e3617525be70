"""Sites in words, for the public pages."""

from collections.abc import Sequence
from datetime import date, time
from math import asin, cos, radians, sin, sqrt
from typing import Any, NamedTuple

from flask_babel import format_date, ngettext
from flask_babel import gettext as _

from clinic.locations import front
from clinic.locations.models import Location, OpeningHours
from clinic.locations.zips import Point
from clinic.protocols.base import catalogue
from clinic.web import context

EARTH_MILES = 3958.8
OBSERVED = " (observed)"  # ends the name of a holiday that is kept on another weekday
A_MONDAY = date(2026, 11, 23)


class Treatment(NamedTuple):
    """One row of what is offered; `protocols` say which devices give it, none: not bound to a device."""

    key: str
    name: str
    short: str
    text: str
    how_often: str
    each_visit: str
    drive_home: str
    protocols: frozenset[str]


def treatments() -> list[Treatment]:
    """What a clinic may offer, in no order of merit; numbers are those of the protocols that come with the project."""
    tms = frozenset(key for key, protocol in catalogue().items() if protocol.device_kind == "tms")
    return [
        Treatment(
            "tms",
            _("TMS"),
            _("TMS"),
            _("Magnetic pulses, while you sit awake in a chair"),
            _("Weekdays for about six weeks, then 3, 2 and 1 a week"),
            _("15 to 50 minutes"),
            _("Yes, on your own"),
            tms,
        ),
        Treatment(
            "esketamine",
            _("Esketamine nasal spray"),
            _("esketamine"),
            _("A spray that you give yourself, with a nurse near"),
            _("Twice a week for four weeks, then less often"),
            _("At least 2 hours"),
            _("No. Bring a ride"),
            frozenset({"esketamine_trd"}),
        ),
        Treatment(
            "ketamine",
            _("Ketamine by drip"),
            _("ketamine by drip"),
            _("Into a vein. Not FDA-approved for depression"),
            _("About six times in two to three weeks"),
            _("About 2 hours"),
            _("No. Bring a ride"),
            frozenset({"iv_ketamine_induction"}),
        ),
    ]


def given_at(location: Location) -> set[str]:
    """Keys of the treatments that a working device of the site gives."""
    protocols = {key for device in location.devices if device.retired_at is None for key in device.protocols}
    return {treatment.key for treatment in treatments() if treatment.protocols & protocols}


def offered(sites: Sequence[Location]) -> list[dict[str, str]]:
    """Rows of the treatments table: those that some site gives, with where."""
    rows = []
    for treatment in treatments():
        where = [site.name for site in sites if treatment.key in given_at(site)]
        if where:
            rows.append(
                {
                    "key": treatment.key,
                    "name": treatment.name,
                    "text": treatment.text,
                    "how_often": treatment.how_often,
                    "each_visit": treatment.each_visit,
                    "drive_home": treatment.drive_home,
                    "where": ", ".join(where),
                }
            )
    return rows


def site_card(site: Location, sites: Sequence[Location], url: str, near: Point | None = None) -> dict[str, Any]:
    """One site as public pages show it; `near`: from where straight-line miles are counted."""
    given = given_at(site)
    shown = [treatment for treatment in treatments() if treatment.key in given]
    starts = front.next_starts(site)
    away = miles(Point(site.latitude, site.longitude), near) if near and site.latitude and site.longitude else None
    return {
        "name": site.name,
        "treatments": _capital(", ".join(treatment.short for treatment in shown)) or _("Visits and talks"),
        "starts": [_start_words(treatment, starts[treatment.key]) for treatment in shown if treatment.key in starts],
        "no_course": None if "tms" in given else _no_tms(site, sites),
        "miles": away,
        "away": _miles_words(away) if away is not None else None,
        "address": site.address,
        "hours": hours_words(site.hours),
        "url": url,
    }


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]


def _start_words(treatment: Treatment, on: date) -> str:
    return _(
        "Full courses of %(treatment)s can start %(day)s", treatment=treatment.short, day=format_date(on, _("MMMM d"))
    )


def _miles_words(away: float) -> str:
    if away < 1:
        return _("Less than a mile away")
    return ngettext("About %(num)s mile away", "About %(num)s miles away", round(away))


def near_first(cards: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The nearest site first; those whose place is not known last, by name."""
    return sorted(cards, key=lambda card: (card["miles"] is None, card["miles"] or 0, card["name"]))


def _no_tms(site: Location, sites: Sequence[Location]) -> str:
    others = [other for other in sites if other is not site and "tms" in given_at(other)]
    if not others:
        return _("No TMS here.")
    nearest = min(others, key=lambda other: (_between(site, other), other.name))
    return _("No TMS here. Nearest: %(site)s", site=nearest.name)


def _between(one: Location, other: Location) -> float:
    """Straight-line miles; farther than any place where one of the two is not known."""
    if None in (one.latitude, one.longitude, other.latitude, other.longitude):
        return EARTH_MILES
    return miles(Point(one.latitude or 0, one.longitude or 0), Point(other.latitude or 0, other.longitude or 0))


def miles(one: Point, other: Point) -> float:
    """Straight-line miles."""
    north, east = radians(other.latitude - one.latitude), radians(other.longitude - one.longitude)
    half = sin(north / 2) ** 2 + cos(radians(one.latitude)) * cos(radians(other.latitude)) * sin(east / 2) ** 2
    return 2 * EARTH_MILES * asin(sqrt(half))


def hours_words(hours: Sequence[OpeningHours]) -> str:
    """`Mon to Fri 8:00 am to 6:00 pm`; days of like hours in a row stand together."""
    by_day: dict[int, list[str]] = {}
    for row in sorted(hours, key=lambda row: (row.weekday, row.opens)):
        words = _("%(opens)s to %(closes)s", opens=_clock(row.opens), closes=_clock(row.closes))
        by_day.setdefault(row.weekday, []).append(words)
    runs: list[tuple[int, int, str]] = []
    for weekday, spans in sorted(by_day.items()):
        words = _(" and ").join(spans)
        if runs and runs[-1][1] == weekday - 1 and runs[-1][2] == words:
            runs[-1] = (runs[-1][0], weekday, words)
        else:
            runs.append((weekday, weekday, words))
    return "; ".join(f"{_days(first, last)} {words}" for first, last, words in runs)


def closure_words(name: str) -> str:
    """Why a site is closed: the usual holidays in the page's language, what the clinic wrote as it is."""
    usual = {
        "New Year's Day": _("New Year's Day"),
        "Martin Luther King Jr. Day": _("Martin Luther King Jr. Day"),
        "Washington's Birthday": _("Washington's Birthday"),
        "Memorial Day": _("Memorial Day"),
        "Juneteenth National Independence Day": _("Juneteenth National Independence Day"),
        "Independence Day": _("Independence Day"),
        "Labor Day": _("Labor Day"),
        "Columbus Day": _("Columbus Day"),
        "Veterans Day": _("Veterans Day"),
        "Thanksgiving Day": _("Thanksgiving Day"),
        "Day after Thanksgiving": _("Day after Thanksgiving"),
        "Christmas Day": _("Christmas Day"),
    }
    plain = name.removesuffix(OBSERVED)
    words = usual.get(plain, plain)
    return _("%(day)s (observed)", day=words) if plain != name else words


def _days(first: int, last: int) -> str:
    if first == last:
        return _weekday(first)
    return _("%(first)s to %(last)s", first=_weekday(first), last=_weekday(last))


def _weekday(number: int) -> str:
    return str(format_date(A_MONDAY.replace(day=A_MONDAY.day + number), "EEE"))


def _clock(value: time) -> str:
    return context.clock12(value)
