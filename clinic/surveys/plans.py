"""The plans of `cadence.yaml`: which questionnaires a protocol asks for, and at which points of a course. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator

from clinic.instruments import keys as catalogued
from clinic.instruments import scoring
from clinic.protocols.base import Protocol
from clinic.protocols.shapes import bookable

FILE = Path(__file__).with_name("cadence.yaml")
COURSE = "course"
# The order in which the questionnaires of one check-in are asked; others follow by name.
ORDER = ("phq9", "gad7", "mood_clinic", "sleep_clinic", "side_effects_tms", "side_effects_ketamine")
At = Literal["baseline", "every", "after_session", "end_of", "hours_after_each", "weekly", "days_after_last"]
NEEDS = {
    "every": "sessions",
    "after_session": "sessions",
    "end_of": "phase",
    "weekly": "phase",
    "hours_after_each": "hours",
    "days_after_last": "days",
}


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Ask(_Part):
    """One line of a plan: when, and what. `src` are keys of the file's sources."""

    at: At
    instruments: Annotated[tuple[str, ...], Field(min_length=1)]
    src: Annotated[tuple[str, ...], Field(min_length=1)]
    sessions: int | tuple[int, ...] | None = None
    phase: tuple[str, ...] | Literal["course"] | None = None
    hours: int | None = None
    days: tuple[int, ...] | None = None
    apart_days: int | None = None
    only_where_asked: bool = False

    @model_validator(mode="after")
    def _whole(self) -> "Ask":
        needed = NEEDS.get(self.at)
        if needed is not None and getattr(self, needed) is None:
            raise ValueError(f"{self.at} says its {needed}")
        for key in self.instruments:
            if not scoring.load(key).is_sent:
                raise ValueError(f"{key} cannot be sent: its items are not free, or a clinician rates it")
        return self


class Flag(_Part):
    """A rule over the scores of a course: less improvement than this, judged between two numbers of sessions."""

    code: str
    session: int
    before_session: int
    improved_less_than_percent: float
    src: tuple[str, ...]
    note: str = ""


class Plan(_Part):
    """What the protocols that it names are asked."""

    key: str
    protocols: tuple[str, ...]
    lead: str
    apart_days: int
    asks: tuple[Ask, ...]
    flags: tuple[Flag, ...]
    noticed_sessions: tuple[int, int] | None = None


class Plans(_Part):
    """The whole file."""

    version: int
    date: str
    sources: Mapping[str, Mapping[str, Any]]
    plans: tuple[Plan, ...]

    @model_validator(mode="after")
    def _sourced(self) -> "Plans":
        named = {key for plan in self.plans for ask in plan.asks for key in ask.src}
        named |= {key for plan in self.plans for flag in plan.flags for key in flag.src}
        if named - set(self.sources):
            raise ValueError(f"no source {sorted(named - set(self.sources))}")
        protocols = [key for plan in self.plans for key in plan.protocols]
        if len(protocols) != len(set(protocols)):
            raise ValueError("a protocol stands in two plans")
        return self


@dataclass(frozen=True)
class Rhythm:
    """A plan, laid over one protocol: what is asked at which number of delivered sessions, and when else."""

    plan: Plan
    planned: int
    at_session: Mapping[int, tuple[str, ...]]  # delivered sessions -> questionnaires
    apart_days: Mapping[int, int]  # delivered sessions -> days to the check-in before
    baseline: tuple[str, ...]
    hours: tuple[int, tuple[str, ...]] | None
    weekly: tuple[str, ...]
    weekly_until: int  # delivered sessions at which the weekly asking ends
    is_always_weekly: bool
    after_days: Mapping[int, tuple[str, ...]]


@cache
def plans() -> Plans:
    """The file. Raises pydantic's ValidationError where it cannot be used."""
    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return Plans.model_validate(yaml.load(FILE.read_text("utf-8"), Loader=loader))  # noqa: S506  both are safe ones


@cache
def plan_of(protocol: str) -> Plan | None:
    """The plan of a protocol, in whatever shape it is counted out; None for one that no plan names."""
    return next((plan for plan in plans().plans if protocol.partition(".")[0] in plan.protocols), None)


@cache
def sendable() -> tuple[str, ...]:
    """Every questionnaire that a person may answer by themselves, in the order in which they are asked."""
    return ordered(key for key in catalogued() if scoring.load(key).is_sent)


def ordered(instruments: Iterable[str]) -> tuple[str, ...]:
    """Each questionnaire once, in the order in which they are asked."""
    return tuple(sorted(set(instruments), key=lambda key: (ORDER.index(key) if key in ORDER else len(ORDER), key)))


@cache
def rhythm_of(protocol: str, planned: int) -> Rhythm | None:
    """The plan over a course of so many planned sessions; None for a protocol without a plan."""
    plan, found = plan_of(protocol), bookable().get(protocol)
    if plan is None or found is None:
        return None
    at: dict[int, list[str]] = {}
    apart: dict[int, int] = {}
    for ask in plan.asks:
        for point in _points(ask, found, planned):
            at.setdefault(point, []).extend(ask.instruments)
            apart[point] = min(
                apart.get(point, plan.apart_days), plan.apart_days if ask.apart_days is None else ask.apart_days
            )
    weekly = [ask for ask in plan.asks if ask.at == "weekly"]
    hours = next((ask for ask in plan.asks if ask.at == "hours_after_each"), None)
    return Rhythm(
        plan=plan,
        planned=planned,
        at_session={point: ordered(keys) for point, keys in sorted(at.items())},
        apart_days=apart,
        baseline=_instruments(plan, "baseline"),
        hours=(hours.hours or 0, ordered(hours.instruments)) if hours is not None else None,
        weekly=_instruments(plan, "weekly"),
        weekly_until=max((_phase_ends(found, ask.phase, planned) for ask in weekly), default=0),
        is_always_weekly=any(not ask.only_where_asked for ask in weekly),
        after_days={
            days: ordered(ask.instruments)
            for ask in plan.asks
            if ask.at == "days_after_last"
            for days in ask.days or ()
        },
    )


def _instruments(plan: Plan, at: str) -> tuple[str, ...]:
    return ordered(key for ask in plan.asks if ask.at == at for key in ask.instruments)


def _points(ask: Ask, protocol: Protocol, planned: int) -> list[int]:
    if ask.at == "every":
        assert isinstance(ask.sessions, int)
        return list(range(ask.sessions, planned + 1, ask.sessions))
    if ask.at == "after_session":
        assert isinstance(ask.sessions, tuple)
        return [point for point in ask.sessions if point <= planned]
    if ask.at == "end_of":
        ends = _phase_ends(protocol, ask.phase, planned)
        return [ends] if ends else []
    return []


def _phase_ends(protocol: Protocol, phase: Any, planned: int) -> int:
    """Delivered sessions at the end of a phase; 0 where the protocol has no such phase.

    The last phase ends with the course, however many sessions were planned.
    """
    if phase == COURSE:
        return planned
    given = [visit.kind for visit in protocol.visits for _ in visit.offsets if counts(protocol, visit.kind)]
    kinds = given[:planned]  # the first stages, where a payer approved no more
    last = max((n for n, kind in enumerate(kinds, 1) if kind in phase), default=0)
    return planned if last == len(kinds) else min(last, planned)


def counts(protocol: Protocol, kind: str) -> bool:
    """Whether a visit of this kind is a treatment session: a mapping visit is where it treats too."""
    return kind != "mapping" or bool(protocol.facts.get("first_visit_treats", True))


def session_count(protocol: str) -> int:
    """Treatment sessions of a whole course of a protocol."""
    return bookable()[protocol].session_count
