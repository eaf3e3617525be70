"""What every template may use. Features add their own entries through `add`."""

from collections.abc import Callable
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from flask import Flask, flash, g, render_template, url_for
from markupsafe import Markup
from sqlalchemy.exc import SQLAlchemyError

from clinic.db import db

Provider = Callable[[], Any]
NAV: list[tuple[str, str, frozenset[str]]] = []  # label, endpoint, roles (empty: any staff)
NAV_ORDER = ("Today", "Day board", "Courses", "Eligibility", "Observation", "Patients", "Reports", "Settings")
BANNERS: list[Callable[[], Markup | None]] = []  # stand on top of every staff page
_PROVIDERS: dict[str, Provider] = {}


def add(name: str, provider: Provider) -> None:
    """Let every template use the answer of `provider` under `name`; it is asked once a request."""
    _PROVIDERS[name] = provider


def init_app(app: Flask) -> None:
    """Filters for dates and times, and the staff bar."""
    app.jinja_env.filters.update(day=day, clock12=clock12, clock24=clock24, long_day=long_day)
    app.jinja_env.globals.update(staff_nav=staff_nav, staff_banners=staff_banners)
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


def staff_banners() -> list[Markup]:
    """What every staff page shows on top, for this caller."""
    if g.get("staff") is None:
        return []
    return [shown for banner in BANNERS if (shown := _asked(banner))]


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
    """`Mon, Nov 30`."""
    value = _local(value, tz)
    return f"{value:%a}, {value:%b} {value.day}"


def long_day(value: date | datetime, tz: str | None = None) -> str:
    """`Monday, November 30, 2026`."""
    value = _local(value, tz)
    return f"{value:%A}, {value:%B} {value.day}, {value.year}"


def clock12(value: datetime, tz: str) -> Markup:
    """`8:20 am`, for patients."""
    local = value.astimezone(ZoneInfo(tz))
    return Markup("{}:{:02d} {}").format(local.hour % 12 or 12, local.minute, "am" if local.hour < 12 else "pm")


def clock24(value: datetime, tz: str) -> str:
    """`08:20`, for staff."""
    return f"{value.astimezone(ZoneInfo(tz)):%H:%M}"


def _local(value: date | datetime, tz: str | None) -> date:
    if isinstance(value, datetime):
        if tz is None:
            raise ValueError("an instant needs a zone to be shown")
        return value.astimezone(ZoneInfo(tz)).date()
    return value
