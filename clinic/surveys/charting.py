"""Progress of a person over a course: the scores of one questionnaire against delivered sessions, with what is missing."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import func, select

from clinic import clock
from clinic.db import db
from clinic.instruments import scoring
from clinic.intake import queries as intake
from clinic.intake.models import ScreenScore
from clinic.locations import queries as locations
from clinic.patients import queries as patients
from clinic.scheduling.models import HOLDS_PLACE, Course, CourseState, SessionState, TreatmentSession
from clinic.surveys import queries
from clinic.surveys.cadence import BASELINE, BASELINE_LASTS
from clinic.surveys.models import Score, Survey, SurveyState
from clinic.surveys.plans import Flag, Rhythm
from clinic.surveys.progress import Point, Progress, progress
from clinic.treatment import queries as treatment
from clinic.treatment.queries import Mark

LEAD = queries.LEAD
AFTER_COURSE = timedelta(days=3)  # a score so long after the last session stands beside the course, not on it
END_OF_DAY = time(23, 59)


@dataclass(frozen=True)
class Chart:
    """Scores of a patient over the course that was booked last."""

    instrument: str
    course_id: int | None
    planned: int | None
    delivered: int
    tz: str
    progress: Progress
    rows: Sequence[Score]
    late: frozenset[int]  # scores whose check-in was answered late
    open: Sequence[Survey]
    missing: Sequence[Point] = ()  # check-ins that held this questionnaire and have no score of it
    marks: Sequence[Mark] = ()
    rhythm: Rhythm | None = None

    @property
    def points(self) -> list[Point]:
        """Scores and gaps in order of time."""
        return sorted([*self.progress.points, *self.missing], key=lambda point: point.taken_at)


def chart_of(patient_id: int, instrument: str = LEAD, *, with_marks: bool = False) -> Chart | None:
    """The scores of a questionnaire, ready to draw; None for a patient without any check-in or score of it."""
    found = [row for row in queries.scores(patient_id, instrument) if _has_answers(row)]
    surveys = queries.of_patient(patient_id)
    waiting = [survey for survey in surveys if survey.state == SurveyState.OPEN]
    entered = [row for row in intake.screen_scores(patient_id) if row.instrument == instrument]
    if not found and not waiting and not entered:
        return None
    course = queries.present_course(patient_id)
    frame = _frame(course, patient_id)
    by_id = {survey.id: survey for survey in surveys}
    late = frozenset(
        row.id for row in found if row.survey_id is not None and row.survey_id in by_id and by_id[row.survey_id].is_late
    )
    shown = [row for row in found if _belongs(row, course, frame.first)] if course is not None else found[-1:]
    points = [_point(row, frame, row.id in late, by_id.get(row.survey_id or 0)) for row in shown]
    points += [point for row in entered if (point := _entered(row, frame)) is not None]
    now = clock.now()
    return Chart(
        instrument=instrument,
        course_id=course.id if course is not None else None,
        planned=course.planned_sessions if course is not None else None,
        delivered=len(frame.ends),
        tz=frame.tz,
        progress=progress(points, frame.first, now, instrument),
        rows=found,
        late=late,
        open=waiting,
        missing=_missing(surveys, found, course, instrument, frame, now),
        marks=treatment.marks_of_course(course.id) if with_marks and course is not None else (),
        rhythm=queries.rhythm_of(course) if course is not None else None,
    )


def _has_answers(row: Score) -> bool:
    values = row.items.values() if isinstance(row.items, dict) else row.items
    return any(value is not None for value in values)


@dataclass(frozen=True)
class _Frame:
    """The axis: when the course began, when each of its sessions was given, and whether it was given whole."""

    tz: str
    first: datetime | None
    ends: Sequence[datetime]
    is_whole: bool

    def session(self, at: datetime) -> int:
        return sum(end <= at for end in self.ends)

    def after_days(self, at: datetime) -> int | None:
        if not self.is_whole or not self.ends or at < self.ends[-1] + AFTER_COURSE:
            return None
        return (at - self.ends[-1]).days


def _frame(course: Course | None, patient_id: int) -> _Frame:
    if course is None:
        return _Frame(patients.get(patient_id).tz, None, (), is_whole=False)
    given = db.session.scalars(
        select(TreatmentSession.ended_at)
        .where(
            TreatmentSession.course_id == course.id,
            TreatmentSession.state == SessionState.COMPLETED,
            TreatmentSession.kind.not_in(queries.not_counted(course.protocol)),
        )
        .order_by(TreatmentSession.ended_at)
    )
    ends = [end for end in given if end is not None]
    tz = locations.get(course.location_id).tz
    return _Frame(tz, _first_session_at(course.id), ends, is_whole=course.state == CourseState.COMPLETED)


def _point(row: Score, frame: _Frame, is_late: bool, survey: Survey | None) -> Point:
    return Point(
        taken_at=row.taken_at,
        total=row.result.get("total"),
        session=row.delivered_sessions or 0,
        is_late=is_late,
        is_baseline_survey=survey is not None and survey.occasion == BASELINE,
        after_days=frame.after_days(row.taken_at),
    )


def _entered(row: ScreenScore, frame: _Frame) -> Point | None:
    """A score that staff entered, at the end of its day; None for one from before this course."""
    at = datetime.combine(row.taken_on, END_OF_DAY, tzinfo=ZoneInfo(frame.tz))
    if frame.first is not None and at < frame.first - BASELINE_LASTS:
        return None
    return Point(taken_at=at, total=row.total, session=frame.session(at), after_days=frame.after_days(at))


def _missing(
    surveys: Sequence[Survey],
    found: Sequence[Score],
    course: Course | None,
    instrument: str,
    frame: _Frame,
    now: datetime,
) -> list[Point]:
    """A gap for each check-in of this course that is over or late without a score."""
    if course is None:
        return []
    have = {row.survey_id for row in found}
    gone = [
        survey
        for survey in surveys
        if survey.course_id == course.id
        and instrument in survey.instruments
        and survey.id not in have
        and (
            survey.state in (SurveyState.MISSED, SurveyState.ANSWERED)
            or (survey.state == SurveyState.OPEN and survey.late_after <= now)
        )
    ]
    return [
        Point(
            taken_at=survey.due_at,
            total=None,
            session=survey.milestone,
            is_late=True,
            after_days=frame.after_days(survey.due_at),
        )
        for survey in gone
    ]


def _belongs(row: Score, course: Course, first: datetime | None) -> bool:
    if row.course_id is not None:
        return row.course_id == course.id
    return first is None or row.taken_at >= first - BASELINE_LASTS


def _first_session_at(course_id: int) -> datetime | None:
    return db.session.scalar(
        select(func.min(TreatmentSession.starts_at)).where(
            TreatmentSession.course_id == course_id, TreatmentSession.state.in_(HOLDS_PLACE)
        )
    )


def baseline_of(course_id: int) -> Point | None:
    """The baseline of a course as its chart has it: frozen when the first session begins; None without one."""
    row, first = queries.course(course_id), _first_session_at(course_id)
    baseline_ids = set(
        db.session.scalars(select(Survey.id).where(Survey.course_id == course_id, Survey.occasion == BASELINE))
    )
    points = [
        Point(
            taken_at=score.taken_at,
            total=score.result.get("total"),
            session=score.delivered_sessions or 0,
            is_baseline_survey=score.survey_id in baseline_ids,
        )
        for score in queries.scores(row.patient_id)
        if _belongs(score, row, first)
    ]
    return progress(points, first, clock.now()).baseline


@dataclass(frozen=True)
class Judged:
    """A rule of the plan over this course: raised, not raised, or not to be told (None), with the score that it rests on."""

    flag: Flag
    is_raised: bool | None
    total: int | None = None
    percent: float | None = None
    sessions: int | None = None


def judged(chart: Chart) -> list[Judged]:
    """Each rule whose session was reached; it cannot be told without a baseline or a complete score in its span."""
    if chart.rhythm is None or chart.instrument != chart.rhythm.plan.lead:
        return []
    return [_judged(chart, flag) for flag in chart.rhythm.plan.flags if chart.delivered >= flag.session]


def _judged(chart: Chart, flag: Flag) -> Judged:
    base = chart.progress.baseline
    within = [
        point
        for point in chart.progress.points
        if point.total is not None and flag.session <= point.session < flag.before_session
    ]
    if base is None or base.total is None or not within:
        return Judged(flag, None)
    point = within[0]
    assert point.total is not None
    percent = scoring.response(base.total, point.total, chart.instrument).percent
    if percent is None:
        return Judged(flag, None)
    return Judged(flag, percent < flag.improved_less_than_percent, point.total, percent, point.session)


def instruments_of(patient_id: int) -> list[str]:
    """Questionnaires with a total of which a person has scores, the lead one first."""
    sent = db.session.scalars(
        select(Score.instrument).where(Score.patient_id == patient_id, Score.superseded_at.is_(None)).distinct()
    )
    entered = (row.instrument for row in intake.screen_scores(patient_id))
    named = {key for key in (*sent, *entered) if scoring.load(key).high is not None}
    return sorted(named | {LEAD}, key=lambda key: (key != LEAD, key))


def sleep_of(patient_id: int) -> list[tuple[datetime, str, str]]:
    """Answers to the sleep question, newest first: when, how well, how many hours; empty words where it was left open."""
    instrument = scoring.load("sleep_clinic")
    found = []
    for row in reversed(queries.scores(patient_id, "sleep_clinic")):
        words = [
            item.answers.get(value, "") if value is not None else ""
            for item, value in zip(instrument.items, row.items, strict=True)
        ]
        found.append((row.taken_at, words[0], words[1]))
    return found[:12]
