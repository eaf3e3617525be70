"""What every template may use. Features add their own entries through `add`."""

import base64
import re
from collections.abc import Callable
from datetime import date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from babel.dates import format_date
from flask import Flask, flash, g, render_template, url_for
from markupsafe import Markup, escape
from sqlalchemy.exc import SQLAlchemyError

from clinic import clock
from clinic.db import db, keyring
from clinic.web import i18n

Provider = Callable[[], Any]
NAV: list[tuple[str, str, frozenset[str]]] = []  # label, endpoint, roles (empty: any staff)
NAV_ORDER = ("Today", "Day board", "Courses", "Eligibility", "Observation", "Patients", "Reports", "Settings")
BANNERS: list[Callable[[], Markup | None]] = []  # stand on top of every staff page
# Links of features above beside one session of a course: label and address, given the session's id.
SESSION_LINKS: list[Callable[[int], tuple[str, str] | None]] = []
_PROVIDERS: dict[str, Provider] = {}
_QUESTIONNAIRE = re.compile(r"\b(PHQ|GAD)-\d\b")


def add(name: str, provider: Provider) -> None:
    """Let every template use the answer of `provider` under `name`; it is asked once a request."""
    _PROVIDERS[name] = provider


def init_app(app: Flask) -> None:
    """Filters for dates and times, and the staff bar."""
    app.jinja_env.filters.update(
        day=day,
        clock12=clock12,
        clock24=clock24,
        long_day=long_day,
        short_day=short_day,
        megabytes=megabytes,
        unbroken=unbroken,
    )
    app.jinja_env.globals.update(
        staff_nav=staff_nav, staff_banners=staff_banners, session_links=session_links, draft_keys=draft_keys
    )
    app.before_request(_forget)
    app.context_processor(_values)


def _forget() -> None:
    g.pop("provided", None)


def _values() -> dict[str, Any]:
    if "provided" not in g:
        g.provided = {name: _asked(provider) for name, provider in _PROVIDERS.items()}
    return {"staff": g.get("staff"), "patient_caller": g.get("patient"), **g.provided}


def _asked(provider: Callable[[], Any]) -> Any:
    """What stands on every page must not take a page down: without a database an error page still shows."""
    if g.get("database_down"):
        return None
    try:
        return provider()
    except SQLAlchemyError:
        db.session.rollback()
        g.database_down = True
        return None


def draft_keys(form: str) -> str:
    """What opens the unsent answers of a form on a person's own device: stands only in that form, for who may fill it in."""
    return " ".join(base64.b64encode(key).decode() for key in keyring().draft_keys(form))


def staff_banners() -> list[Markup]:
    """What every staff page shows on top, for this caller."""
    if g.get("staff") is None:
        return []
    return [shown for banner in BANNERS if (shown := _asked(banner))]


def session_links(session_id: int) -> list[tuple[str, str]]:
    """What other pages there are about a session, for this caller."""
    return [found for link in SESSION_LINKS if (found := link(session_id)) is not None]


def rendered(template: str, **values: Any) -> Markup:
    """A part of a page that another feature's page shows as it is."""
    return Markup(render_template(template, **values))  # noqa: S704 - our own template, which escapes


def flash_with_undo(text: str, undo_url: str) -> None:
    """A toast on the next staff page that offers to take the last step back."""
    flash({"text": text, "undo_url": undo_url}, "undo")  # type: ignore[arg-type]  # any JSON value is kept as it is


def staff_nav(current: str = "") -> list[dict[str, Any]]:
    """Entries of the staff bar that the caller's roles open."""
    caller = g.get("staff")
    if caller is None:
        return []
    return [
        {"label": label, "url": url_for(endpoint), "current": label == current}
        for label, endpoint, roles in sorted(NAV, key=_place)
        if not roles or not caller.roles.isdisjoint(roles)
    ]


def _place(entry: tuple[str, str, frozenset[str]]) -> int:
    return NAV_ORDER.index(entry[0]) if entry[0] in NAV_ORDER else len(NAV_ORDER)


def day(value: date | datetime, tz: str | None = None) -> str:
    """`Mon, Nov 30`; in Spanish `lunes, 30 de noviembre`."""
    value = _local(value, tz)
    if i18n.language() == "es":
        return f"{_name(value, 'EEEE')}, {value.day} de {_name(value, 'MMMM')}"
    return f"{value:%a}, {value:%b} {value.day}"


def long_day(value: date | datetime, tz: str | None = None) -> str:
    """`Monday, November 30, 2026`; in Spanish `lunes, 30 de noviembre de 2026`."""
    value = _local(value, tz)
    if i18n.language() == "es":
        return f"{day(value)} de {value.year}"
    return f"{value:%A}, {value:%B} {value.day}, {value.year}"


def short_day(value: date | datetime, tz: str | None = None) -> str:
    """`Nov 30`, in Spanish `30 nov`: for pictures, where room is short."""
    value = _local(value, tz)
    if i18n.language() == "es":
        return f"{value.day} {_name(value, 'MMM')}"
    return f"{value:%b} {value.day}"


def clock12(value: datetime | time, tz: str | None = None) -> str:
    """`8:20 am`, for patients; in Spanish `8:20 a. m.`. An instant needs a zone, a time of day has none."""
    if isinstance(value, datetime):
        assert tz is not None
        value = value.astimezone(ZoneInfo(tz)).time()
    half = i18n.HALVES[i18n.language()][value.hour >= 12]
    return f"{value.hour % 12 or 12}:{value.minute:02d} {half}"


def clock24(value: datetime, tz: str) -> str:
    """`08:20`, for staff."""
    return f"{value.astimezone(ZoneInfo(tz)):%H:%M}"


def moment(at: datetime, tz: str) -> str:
    """`11:00 am` today, `Mon, Nov 30, 8:00 am` on another day; in Spanish `hoy a las 11:00 a. m.`."""
    clock12_at, is_today = clock12(at, tz), at.astimezone(ZoneInfo(tz)).date() == clock.today(tz)
    if i18n.language() == "es":
        on = "hoy" if is_today else f"el {day(at, tz)},"
        return f"{on} {'a la' if clock12_at.startswith('1:') else 'a las'} {clock12_at}"
    return clock12_at if is_today else f"{day(at, tz)}, {clock12_at}"


def _name(value: date, pattern: str) -> str:
    return str(format_date(value, pattern, locale="es"))


def _local(value: date | datetime, tz: str | None) -> date:
    if isinstance(value, datetime):
        if tz is None:
            raise ValueError("an instant needs a zone to be shown")
        return value.astimezone(ZoneInfo(tz)).date()
    return value


def unbroken(text: str) -> Markup:
    """The names of questionnaires in one piece: a line would end at the hyphen of `PHQ-9`."""
    return Markup(_QUESTIONNAIRE.sub(r'<span class="nowrap">\g<0></span>', str(escape(text))))  # noqa: S704 - escaped


def megabytes(size: int) -> str:
    """`2.4 MB`; below a tenth of one `40 KB`."""
    return f"{size / 1_000_000:.1f} MB" if size >= 100_000 else f"{max(1, round(size / 1000))} KB"
