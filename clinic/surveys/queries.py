"""Reads of check-ins and scores."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import and_, exists, func, or_, select

from clinic import clock
from clinic.db import db
from clinic.errors import NotFound
from clinic.intake.models import Intake, IntakeState
from clinic.locations import queries as locations
from clinic.patients import queries as patients
from clinic.scheduling.models import HOLDS_PLACE, Course, CourseState, SessionState, TreatmentSession
from clinic.surveys.cadence import BASELINE_LASTS, CATCH_UP_WITHIN, EVERY, INSTRUMENT, OPENS_BEFORE, CourseFacts
from clinic.surveys.models import Score, Survey, SurveyState
from clinic.surveys.progress import Point, Progress, progress
from clinic.tasks import safety
from clinic.tasks.models import Task

ACTIVE = (CourseState.BOOKED, CourseState.RUNNING, CourseState.PAUSED)
ENDED_EARLY = (CourseState.CANCELLED, CourseState.DISCONTINUED)
DAYS_AHEAD = 14
CANDIDATES = 5000  # courses looked at in one sweep


def get(survey_id: int) -> Survey:
    """The check-in. Raises NotFound."""
    found = db.session.get(Survey, survey_id)
    if found is None:
        raise NotFound("no such check-in")
    return found


def lock(survey_id: int) -> Survey:
    """The check-in's row, locked until the transaction ends. Raises NotFound."""
    found = db.session.scalar(
        select(Survey).where(Survey.id == survey_id).with_for_update().execution_options(populate_existing=True)
    )
    if found is None:
        raise NotFound("no such check-in")
    return found


def of_patient(patient_id: int) -> Sequence[Survey]:
    """A patient's check-ins, newest first."""
    return db.session.scalars(
        select(Survey).where(Survey.patient_id == patient_id).order_by(Survey.due_at.desc(), Survey.id.desc())
    ).all()


def open_of_patient(patient_id: int) -> Sequence[Survey]:
    """Check-ins that wait for an answer, newest first."""
    return [survey for survey in of_patient(patient_id) if survey.state == SurveyState.OPEN]


def scores(patient_id: int, instrument: str = INSTRUMENT) -> Sequence[Score]:
    """A patient's scores, oldest first."""
    return db.session.scalars(
        select(Score)
        .where(Score.patient_id == patient_id, Score.instrument == instrument)
        .order_by(Score.taken_at, Score.id)
    ).all()


def previous_item9(patient_id: int) -> int | None:
    """The last answer to item 9; None where it was never answered."""
    for row in reversed(scores(patient_id)):
        if row.items[8] is not None:
            return int(row.items[8])
    return None


def delivered(course_id: int) -> int:
    """How many sessions of a course were given."""
    statement = select(func.count()).where(
        TreatmentSession.course_id == course_id, TreatmentSession.state == SessionState.COMPLETED
    )
    return db.session.scalar(statement) or 0


# -- the sweep --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Candidate:
    """A course that may need a check-in now."""

    course_id: int
    patient_id: int
    facts: CourseFacts


def candidates(now: datetime) -> Iterator[Candidate]:
    """Courses whose present milestone has no check-in yet, in three statements whatever their number."""
    session, given = TreatmentSession, TreatmentSession.state == SessionState.COMPLETED
    count = func.count().filter(given)
    held = TreatmentSession.state.in_(HOLDS_PLACE)
    course = (
        select(
            Course.id,
            Course.patient_id,
            count.label("delivered"),
            func.max(session.ended_at).filter(given).label("last_delivered_at"),
            func.min(session.starts_at).filter(held).label("first_starts_at"),
            (func.count().filter(held) > func.count(session.local_on.distinct()).filter(held)).label("has_many_a_day"),
        )
        .join(session, session.course_id == Course.id)
        .where(
            or_(
                Course.state.in_(ACTIVE),
                and_(Course.state == CourseState.COMPLETED, Course.ended_at > now - CATCH_UP_WITHIN),
            )
        )
        .group_by(Course.id, Course.patient_id)
        .having(or_(count > 0, func.min(session.starts_at).filter(held) < now + OPENS_BEFORE))
        .subquery()
    )
    asked = exists().where(
        Survey.course_id == course.c.id,
        Survey.instrument == INSTRUMENT,
        Survey.milestone == course.c.delivered - course.c.delivered % EVERY,
    )
    is_fresh = or_(course.c.delivered < EVERY, course.c.last_delivered_at >= now - CATCH_UP_WITHIN)
    first_come = (course.c.delivered < EVERY, course.c.last_delivered_at, course.c.first_starts_at, course.c.id)
    rows = db.session.execute(select(course).where(~asked, is_fresh).order_by(*first_come).limit(CANDIDATES)).all()
    if not rows:
        return
    ids, patient_ids = [row.id for row in rows], [row.patient_id for row in rows]
    asked_before: dict[int, list[Survey]] = {}
    for survey in db.session.scalars(select(Survey).where(Survey.course_id.in_(ids), Survey.instrument == INSTRUMENT)):
        asked_before.setdefault(survey.course_id, []).append(survey)
    complete: dict[int, list[datetime]] = {}
    since = min((row.first_starts_at or now for row in rows), default=now) - BASELINE_LASTS
    for score in db.session.scalars(
        select(Score).where(Score.patient_id.in_(patient_ids), Score.instrument == INSTRUMENT, Score.taken_at >= since)
    ):
        if score.result.get("total") is not None:
            complete.setdefault(score.patient_id, []).append(score.taken_at)
    for row in rows:
        surveys = asked_before.get(row.id, [])
        facts = CourseFacts(
            delivered=row.delivered,
            last_delivered_at=row.last_delivered_at,
            first_starts_at=row.first_starts_at,
            has_many_a_day=row.has_many_a_day,
            milestones=[survey.milestone for survey in surveys],
            last_opened_at=max((survey.due_at for survey in surveys), default=None),
            complete_at=complete.get(row.patient_id, ()),
        )
        yield Candidate(row.id, row.patient_id, facts)


def intakes_without_score(limit: int = 200) -> Sequence[Intake]:
    """Sent intakes whose questionnaire was not copied into the scores yet."""
    copied = exists().where(Score.intake_id == Intake.id, Score.instrument == INSTRUMENT)
    return db.session.scalars(
        select(Intake).where(Intake.state != IntakeState.OPEN, ~copied).order_by(Intake.submitted_at).limit(limit)
    ).all()


def overdue(now: datetime) -> Sequence[Any]:
    """Check-ins that nobody answered in time and the desk was not told of: id, patient and site."""
    told = exists().where(Task.dedupe_key == func.concat("survey:", Survey.id))
    return db.session.execute(
        select(Survey.id, Survey.patient_id, Course.location_id)
        .join(Course, Course.id == Survey.course_id)
        .where(
            Survey.state == SurveyState.OPEN,
            Survey.late_after <= now,
            Survey.late_after > now - timedelta(days=14),
            Course.state.in_(ACTIVE),
            ~told,
        )
    ).all()


# -- safety -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Help:
    """What the safety card may say: open now, call promised by, next opening; instants in UTC."""

    is_open: bool
    call_by: datetime | None
    opens_at: datetime | None
    tz: str


def openings(survey: Survey) -> list[locations.Opening]:
    """Spans around and after now in which the site of the course is open."""
    yesterday = (clock.now() - timedelta(days=1)).astimezone(UTC).date()
    return locations.openings(course(survey.course_id).location_id, yesterday, DAYS_AHEAD)


def course(course_id: int) -> Course:
    """The course. Raises NotFound."""
    found = db.session.get(Course, course_id)
    if found is None:
        raise NotFound("no such course")
    return found


def help_of(survey: Survey) -> Help:
    """Facts for the safety card. A call is promised only in hours, where the clinic does so, to a known number."""
    now, spans = clock.now(), openings(survey)
    patient, profile = patients.get(survey.patient_id), locations.profile()
    is_open = safety.day_closes_at(now, spans) is not None
    task = db.session.scalar(
        select(Task)
        .where(Task.dedupe_key.like(f"safety:survey:{survey.id}:%"), Task.closed_at.is_(None))
        .order_by(Task.id.desc())
        .limit(1)
    )
    is_promised = is_open and bool(patient.phone) and profile is not None and profile.promises_safety_call
    call_by = task.due_at if is_promised and task is not None and task.due_at > now else None
    tz = locations.get(course(survey.course_id).location_id).tz
    return Help(is_open=is_open, call_by=call_by, opens_at=safety.next_opening(now, spans), tz=tz)


# -- the chart --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Chart:
    """Scores of a patient over the course that was booked last."""

    course_id: int | None
    planned: int | None
    tz: str
    progress: Progress
    rows: Sequence[Score]
    late: frozenset[int]  # scores whose check-in was answered late
    open: Sequence[Survey]


def chart_of(patient_id: int) -> Chart | None:
    """The scores, ready to draw; None for a patient without any."""
    found = [row for row in scores(patient_id) if any(value is not None for value in row.items)]
    waiting = open_of_patient(patient_id)
    if not found and not waiting:
        return None
    last = db.session.scalar(
        select(Course)
        .where(Course.patient_id == patient_id, Course.state != CourseState.CANCELLED)
        .order_by(Course.created_at.desc(), Course.id.desc())
        .limit(1)
    )
    first = _first_session_at(last.id) if last is not None else None
    surveys = {survey.id: survey for survey in of_patient(patient_id)}
    late = frozenset(row.id for row in found if row.survey_id is not None and surveys[row.survey_id].is_late)
    shown = [row for row in found if _belongs(row, last, first)] if last is not None else found[-1:]
    points = [
        Point(
            taken_at=row.taken_at,
            total=row.result.get("total"),
            session=row.delivered_sessions or 0,
            is_late=row.id in late,
            is_baseline_survey=row.survey_id is not None and surveys[row.survey_id].milestone == 0,
        )
        for row in shown
    ]
    return Chart(
        course_id=last.id if last is not None else None,
        planned=last.planned_sessions if last is not None else None,
        tz=locations.get(last.location_id).tz if last is not None else patients.get(patient_id).tz,
        progress=progress(points, first, clock.now()),
        rows=found,
        late=late,
        open=waiting,
    )


def _belongs(row: Score, last: Course, first: datetime | None) -> bool:
    if row.course_id is not None:
        return row.course_id == last.id
    return first is None or row.taken_at >= first - BASELINE_LASTS


def _first_session_at(course_id: int) -> datetime | None:
    return db.session.scalar(
        select(func.min(TreatmentSession.starts_at)).where(
            TreatmentSession.course_id == course_id, TreatmentSession.state.in_(HOLDS_PLACE)
        )
    )
