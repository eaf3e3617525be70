"""Histories of a course, and a second, plain model of which check-ins they call for.

Time is hours from the first planned session. The model reads the whole history at each tick and knows no code of the
clinic: its numbers are written by hand from the plan of daily TMS, 30 sessions and a taper of 6.
"""

from collections.abc import Sequence
from typing import NamedTuple

from hypothesis import strategies as st

DAY = 24
WHOLE = 36
POINTS = (5, 10, 15, 20, 25, 30, 35, 36)
FOLLOW_UPS = (30, 90, 180)
TICK = 8


class Event(NamedTuple):
    """At an hour: a session is given, or the course is paused, resumed or stopped."""

    hour: int
    kind: str


class History(NamedTuple):
    """What happened, and whether a score of the days before stands for the baseline, and a payer asks every week."""

    events: tuple[Event, ...]
    has_baseline: bool
    is_weekly: bool


@st.composite
def histories(draw: st.DrawFn) -> History:
    """Sessions one to four days apart, with breaks, pauses, and perhaps an early end."""
    events, hour, given = [Event(0, "give")] if draw(st.booleans()) else [], 0, 0
    given = len(events)
    for _ in range(draw(st.integers(0, 45))):
        hour += draw(st.sampled_from((DAY, DAY, DAY, DAY, 2 * DAY, 3 * DAY, 4 * DAY, 10 * DAY)))
        kind = draw(st.sampled_from(("give",) * 14 + ("pause", "resume", "stop")))
        if given == WHOLE or (events and events[-1].kind == "stop"):
            break
        if kind == "give" and state_at(events, hour) == "paused":
            kind = "resume"
        events.append(Event(hour, kind))
        given += kind == "give"
    return History(tuple(events), draw(st.booleans()), draw(st.booleans()))


def state_at(events: Sequence[Event], hour: int) -> str:
    """booked, running, paused, stopped or whole."""
    seen = [event.kind for event in events if event.hour <= hour]
    if "stop" in seen:
        return "stopped"
    if seen.count("give") >= WHOLE:
        return "whole"
    turns = [kind for kind in seen if kind in ("pause", "resume")]
    if turns and turns[-1] == "pause":
        return "paused"
    return "running" if "give" in seen else "booked"


def ticks(history: History) -> list[int]:
    """When the sweep looks: three times a day, until all follow-ups are over."""
    last = max((event.hour for event in history.events), default=0)
    tail = [last + days * DAY + more * TICK for days in FOLLOW_UPS for more in range(-1, 46)]
    return sorted({*range(-3 * DAY, last + 10 * DAY, TICK), *tail})


def expected(history: History, at: Sequence[int]) -> dict[str, int]:
    """Every check-in that opens, and at which tick."""
    opened: dict[str, int] = {}
    for hour in at:
        name = _one(history, hour, opened)
        if name is not None:
            opened[name] = hour
    return opened


def _one(history: History, hour: int, opened: dict[str, int]) -> str | None:
    state = state_at(history.events, hour)
    given = [event.hour for event in history.events if event.kind == "give" and event.hour <= hour]
    if state in ("paused", "stopped"):
        return None
    fresh = bool(given) and hour - given[-1] <= 7 * DAY
    if "baseline" not in opened and not history.has_baseline and state != "whole":
        if len(given) == 0 and hour >= -DAY:
            return "baseline"
        if len(given) == 1 and fresh:
            return "baseline"
    if state == "whole":
        passed = [days for days in FOLLOW_UPS if hour - given[-1] >= days * DAY]
        if passed and hour - given[-1] < (passed[-1] + 14) * DAY and f"after:{passed[-1]}" not in opened:
            return f"after:{passed[-1]}"
    reached = [point for point in POINTS if point <= len(given)]
    is_apart = not opened or hour - max(opened.values()) >= 3 * DAY
    if reached and fresh and is_apart and f"session:{reached[-1]}" not in opened:
        return f"session:{reached[-1]}"
    if history.is_weekly and fresh and 0 < len(given) < 30:
        week = (hour - given[0]) // (7 * DAY)
        begins = given[0] + week * 7 * DAY
        if week >= 1 and not any(at >= begins - 3 * DAY for at in opened.values()):
            return f"week:{week}"
    return None
