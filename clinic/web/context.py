"""What every template may use. Features add their own entries through `add`."""

from collections.abc import Callable
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from flask import Flask, g, url_for
from markupsafe import Markup

Provider = Callable[[], Any]
NAV: list[tuple[str, str, frozenset[str]]] = []  # label, endpoint, roles (empty: any staff)


def init_app(app: Flask) -> None:
    """Filters for dates and times, and the staff bar."""
    app.jinja_env.filters.update(day=day, clock12=clock12, clock24=clock24, long_day=long_day)
    app.jinja_env.globals["staff_nav"] = staff_nav
    app.context_processor(lambda: {"staff": g.get("staff"), "patient_caller": g.get("patient")})


def staff_nav(current: str = "") -> list[dict[str, Any]]:
    """Entries of the staff bar that the caller's roles open."""
    caller = g.get("staff")
    if caller is None:
        return []
    return [
        {"label": label, "url": url_for(endpoint), "current": label == current}
        for label, endpoint, roles in NAV
        if not roles or not caller.roles.isdisjoint(roles)
    ]


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
