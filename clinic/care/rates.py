"""The clinic's own rates: how many ended courses came to response and to remission, and for how many nobody can tell."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import groupby
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Interval, and_, func, literal, or_, select

from clinic.db import db
from clinic.instruments import scoring
from clinic.protocols.base import catalogue
from clinic.scheduling.models import HOLDS_PLACE, Course, CourseState, SessionState, TreatmentSession
from clinic.surveys.cadence import BASELINE, BASELINE_LASTS
from clinic.surveys.models import Score, Survey
from clinic.surveys.progress import Point, progress
from clinic.surveys.queries import LEAD

ENDED = (CourseState.COMPLETED, CourseState.DISCONTINUED)
PUBLIC_FROM = 20  # courses; fewer could point to a person
FEW = 5  # known courses; a rate of fewer would tell of persons, also to staff


@dataclass(frozen=True)
class Rates:
    """Of `courses` that ended, `known` have a score before and after; the rest are `missing`."""

    courses: int
    known: int
    response: int
    remission: int

    @property
    def missing(self) -> int:
        return self.courses - self.known

    @property
    def response_percent(self) -> int | None:
        return round(100 * self.response / self.known) if self.known else None

    @property
    def remission_percent(self) -> int | None:
        return round(100 * self.remission / self.known) if self.known else None


def of_courses(rows: Iterable[tuple[int, datetime, datetime, Point | None]], now: datetime) -> Rates:
    """Rates of rows `(course id, first session, end, score)` that stand together by course."""
    changes: list[scoring.Response | None] = []
    for _course, group in groupby(rows, key=lambda row: row[0]):
        found = list(group)
        points = [point for *_rest, point in found if point is not None]
        changes.append(progress(points, found[0][1], now).change)
    known = [change for change in changes if change is not None and change.response is not None]
    return Rates(
        courses=len(changes),
        known=len(known),
        response=sum(bool(change.response) for change in known),
        remission=sum(bool(change.remission) for change in known),
    )


@dataclass(frozen=True, kw_only=True)
class Which:
    """Which ended courses are counted: of these sites and protocols, ended in this span, both dates included."""

    location_ids: frozenset[int] | None = None
    protocol: str | None = None  # without the shape that counts it out
    modality: str | None = None
    ended_from: date | None = None
    ended_until: date | None = None
    tz: str = "UTC"


def clinic_rates(now: datetime, which: Which | None = None) -> Rates:
    """The rates of every course that ended after something was delivered: one query, scored as each chart is."""
    first = (
        select(
            TreatmentSession.course_id,
            func.min(TreatmentSession.starts_at).label("begins"),
            func.bool_or(TreatmentSession.state == SessionState.COMPLETED).label("is_delivered"),
        )
        .where(TreatmentSession.state.in_(HOLDS_PLACE))
        .group_by(TreatmentSession.course_id)
        .subquery()
    )
    belongs = and_(
        Score.patient_id == Course.patient_id,
        Score.instrument == LEAD,
        Score.superseded_at.is_(None),
        or_(
            Score.course_id == Course.id,
            and_(
                Score.course_id.is_(None),
                Score.taken_at >= first.c.begins - literal(BASELINE_LASTS, Interval()),
                Score.taken_at <= first.c.begins,
            ),
        ),
    )
    rows = db.session.execute(
        select(
            Course.id,
            first.c.begins,
            Course.ended_at,
            Score.taken_at,
            Score.result,
            Score.delivered_sessions,
            Survey.occasion,
        )
        .join(first, first.c.course_id == Course.id)
        .outerjoin(Score, belongs)
        .outerjoin(Survey, Survey.id == Score.survey_id)
        .where(Course.state.in_(ENDED), first.c.is_delivered, *_conditions(which or Which()))
        .order_by(Course.id, Score.taken_at)
    )
    return of_courses(((row.id, row.begins, row.ended_at, _point(row)) for row in rows), now)


def _conditions(which: Which) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if which.location_ids is not None:
        found.append(Course.location_id.in_(which.location_ids))
    base = func.split_part(Course.protocol, ".", 1)
    if which.protocol is not None:
        found.append(base == which.protocol)
    if which.modality is not None:
        found.append(base.in_([key for key, one in catalogue().items() if one.modality == which.modality]))
    if which.ended_from is not None:
        found.append(Course.ended_at >= _midnight(which.ended_from, which.tz))
    if which.ended_until is not None:
        found.append(Course.ended_at < _midnight(which.ended_until + timedelta(days=1), which.tz))
    return found


def _midnight(day: date, tz: str) -> datetime:
    return datetime.combine(day, time(0), tzinfo=ZoneInfo(tz)).astimezone(UTC)


@dataclass(frozen=True)
class Shown:
    """Rates as a report shows them: a group of fewer than `FEW` known courses says how many they are and nothing else."""

    label: str
    rates: Rates
    hides_another: bool = False  # the one group that is too small could be worked out from it

    @property
    def is_suppressed(self) -> bool:
        return self.hides_another or 0 < self.rates.known < FEW

    @property
    def response(self) -> int | None:
        return None if self.is_suppressed else self.rates.response_percent

    @property
    def remission(self) -> int | None:
        return None if self.is_suppressed else self.rates.remission_percent


def hidden(groups: list[Shown]) -> list[Shown]:
    """Parts of one whole: where one alone is too small, the smallest other part is hidden with it."""
    small = [group for group in groups if group.is_suppressed]
    others = [group for group in groups if group.rates.known >= FEW]
    if len(small) != 1 or not others:
        return groups
    other = min(others, key=lambda group: group.rates.known)
    return [replace(group, hides_another=True) if group is other else group for group in groups]


_kept: dict[tuple[Any, ...], Rates] = {}  # the last answer, by what it was made of: the page is open to anyone


def shown_rates(now: datetime) -> Rates | None:
    """The rates as anyone may see them: None while so few courses ended that they could point to a person."""
    ended = select(func.count(Course.id), func.max(Course.ended_at)).where(Course.state.in_(ENDED))
    key = (*db.session.execute(ended).one(), db.session.scalar(select(func.max(Score.id))))
    if key[0] < PUBLIC_FROM:
        return None
    if key not in _kept:
        found = clinic_rates(now)
        _kept.clear()
        _kept[key] = found
    return _kept[key] if _kept[key].known >= PUBLIC_FROM else None


def _point(row: Any) -> Point | None:
    if row.taken_at is None:
        return None
    return Point(
        taken_at=row.taken_at,
        total=row.result.get("total"),
        session=row.delivered_sessions or 0,
        is_baseline_survey=row.occasion == BASELINE,
    )
