"""Reads of check-ins and scores."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import ARRAY, Integer, any_, exists, func, literal, or_, select, text

from clinic import clock
from clinic.db import UTCDateTime, db
from clinic.errors import NotFound
from clinic.intake.models import Intake, IntakeState
from clinic.locations import queries as locations
from clinic.patients import queries as patients
from clinic.protocols.shapes import bookable
from clinic.scheduling.models import Course, CourseState, SessionState, TreatmentSession
from clinic.surveys import plans
from clinic.surveys.cadence import (
    BASELINE_LASTS,
    CATCH_UP_WITHIN,
    FOLLOW_UP_LASTS,
    HOURS_LAST,
    LAPSES_AFTER,
    OPENS_BEFORE,
    CourseFacts,
)
from clinic.surveys.models import Score, Survey, SurveyState, WeeklyAsk
from clinic.tasks import safety
from clinic.tasks.models import Task

LEAD = "phq9"
RUNS = (CourseState.BOOKED, CourseState.RUNNING)
ACTIVE = (*RUNS, CourseState.PAUSED)
ENDED_EARLY = (CourseState.CANCELLED, CourseState.DISCONTINUED)
DAYS_AHEAD = 14
CANDIDATES = 5000  # courses looked at in one sweep
LAPSED_A_SWEEP = 200


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


def of_patient(patient_id: int, *, limit: int = 200) -> Sequence[Survey]:
    """A patient's check-ins, newest first."""
    return db.session.scalars(
        select(Survey)
        .where(Survey.patient_id == patient_id)
        .order_by(Survey.due_at.desc(), Survey.id.desc())
        .limit(limit)
    ).all()


def open_of_patient(patient_id: int) -> Sequence[Survey]:
    """Check-ins that wait for an answer, newest first."""
    return [survey for survey in of_patient(patient_id) if survey.state == SurveyState.OPEN]


def scores(patient_id: int, instrument: str = LEAD) -> Sequence[Score]:
    """A patient's scores, oldest first; those that were corrected are left out."""
    return db.session.scalars(
        select(Score)
        .where(Score.patient_id == patient_id, Score.instrument == instrument, Score.superseded_at.is_(None))
        .order_by(Score.taken_at, Score.id)
    ).all()


def scores_of(survey_id: int) -> Sequence[Score]:
    """The present scores of one check-in."""
    statement = select(Score).where(Score.survey_id == survey_id, Score.superseded_at.is_(None))
    return db.session.scalars(statement.order_by(Score.id)).all()


def from_paper(patient_id: int) -> frozenset[int]:
    """Check-ins of a person whose present answers were entered from paper."""
    statement = select(Score.survey_id).where(
        Score.patient_id == patient_id, Score.source == "paper", Score.superseded_at.is_(None)
    )
    return frozenset(key for key in db.session.scalars(statement) if key is not None)


def previous_item9(patient_id: int, *, but_survey: int | None = None) -> int | None:
    """The last answer to item 9, of another check-in than this one; None where it was never answered."""
    for row in reversed(scores(patient_id)):
        if row.items[8] is not None and (but_survey is None or row.survey_id != but_survey):
            return int(row.items[8])
    return None


def delivered(course_id: int, by: datetime | None = None) -> int:
    """How many treatment sessions of a course were given, until that instant."""
    row = course(course_id)
    given = [
        TreatmentSession.course_id == course_id,
        TreatmentSession.state == SessionState.COMPLETED,
        TreatmentSession.kind.not_in(not_counted(row.protocol)),
    ]
    if by is not None:
        given.append(TreatmentSession.ended_at <= by)
    return db.session.scalar(select(func.count()).select_from(TreatmentSession).where(*given)) or 0


def present_course(patient_id: int) -> Course | None:
    """The course that was booked last, unless it was cancelled."""
    return db.session.scalar(
        select(Course)
        .where(Course.patient_id == patient_id, Course.state != CourseState.CANCELLED)
        .order_by(Course.created_at.desc(), Course.id.desc())
        .limit(1)
    )


def weekly_ask(course_id: int) -> WeeklyAsk | None:
    """Who wants this course asked every week; None where nobody does."""
    return db.session.scalar(select(WeeklyAsk).where(WeeklyAsk.course_id == course_id, WeeklyAsk.ended_at.is_(None)))


def rhythm_of(row: Course) -> plans.Rhythm | None:
    """The plan over this course; None for a protocol that no plan names."""
    return plans.rhythm_of(row.protocol, row.planned_sessions - without_treatment(row.protocol))


@cache
def not_counted(protocol: str) -> tuple[str, ...]:
    """Kinds of visits of a protocol that are no treatment."""
    found = bookable().get(protocol)
    if found is None:
        return ()
    return tuple({visit.kind for visit in found.visits if not plans.counts(found, visit.kind)})


@cache
def without_treatment(protocol: str) -> int:
    """How many visits of a whole course are no treatment."""
    found = bookable().get(protocol)
    if found is None:
        return 0
    return sum(len(visit.offsets) for visit in found.visits if not plans.counts(found, visit.kind))


# -- the sweep --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Candidate:
    """A course that may need a check-in now."""

    course_id: int
    patient_id: int
    facts: CourseFacts


# What each protocol asks for, as the query needs it: points of delivered sessions, follow-ups, hours, weeks.
_POINTS = "unnest(cast(:point_protocols AS varchar[]), cast(:points AS integer[])) AS p (protocol, point)"
_COURSES = f"""
    WITH picked AS (
        SELECT id FROM courses WHERE state IN ('booked', 'running')
        UNION
        SELECT id FROM courses WHERE state = 'completed' AND ended_at > :catch_up_since
        UNION
        SELECT c.id FROM courses c, unnest(cast(:after_protocols AS varchar[]), cast(:after_days AS integer[])) AS f (protocol, days)
        WHERE c.state = 'completed' AND c.protocol = f.protocol
            AND c.ended_at BETWEEN :now - make_interval(hours => 24 * (f.days + :follow_up_lasts)) AND :now - make_interval(hours => 24 * f.days)
            AND NOT EXISTS (SELECT FROM surveys v WHERE v.course_id = c.id AND v.occasion = 'after:' || f.days)
    ), course AS (
        SELECT c.id, c.patient_id, c.protocol, c.planned_sessions, c.state, c.created_at,
            count(*) FILTER (WHERE x.is_given) AS delivered,
            min(s.ended_at) FILTER (WHERE x.is_given) AS first_delivered_at,
            max(s.ended_at) FILTER (WHERE x.is_given) AS last_delivered_at,
            min(s.starts_at) AS first_starts_at
        FROM picked
        JOIN courses c USING (id)
        JOIN treatment_sessions s ON s.course_id = c.id AND s.state IN ('booked', 'confirmed', 'arrived', 'completed')
        CROSS JOIN LATERAL (SELECT s.state = 'completed' AND NOT EXISTS (
            SELECT FROM unnest(cast(:bare_protocols AS varchar[]), cast(:bare_kinds AS varchar[])) AS b (protocol, kind)
            WHERE b.protocol = c.protocol AND b.kind = s.kind
        ) AS is_given) x
        GROUP BY c.id
    )
    SELECT course.*, w.course_id IS NOT NULL AS is_weekly,
        course.state = 'completed' AND EXISTS (
            SELECT FROM courses l WHERE l.patient_id = course.patient_id AND l.created_at > course.created_at AND l.state <> 'cancelled'
        ) AS has_later_course
    FROM course
    LEFT JOIN weekly_asks w ON w.course_id = course.id AND w.ended_at IS NULL
    WHERE (delivered <= 1 AND course.state <> 'completed' AND first_starts_at < :opens_until
            AND NOT EXISTS (SELECT FROM surveys v WHERE v.course_id = course.id AND v.occasion = 'baseline'))
        OR (last_delivered_at >= :catch_up_since AND EXISTS (
            SELECT FROM (
                SELECT max(point) AS point FROM {_POINTS} WHERE p.protocol = course.protocol AND p.point <= delivered
            ) reached
            WHERE (reached.point IS NOT NULL OR delivered >= planned_sessions) AND NOT EXISTS (
                SELECT FROM surveys v WHERE v.course_id = course.id
                    AND v.occasion = 'session:' || CASE WHEN delivered >= planned_sessions THEN delivered ELSE reached.point END
            )))
        OR (course.protocol = ANY(:hours_protocols) AND last_delivered_at BETWEEN :hours_since AND :now
            AND NOT EXISTS (SELECT FROM surveys v WHERE v.course_id = course.id AND v.occasion = 'hours:' || delivered))
        OR ((w.course_id IS NOT NULL OR course.protocol = ANY(:weekly_protocols)) AND course.state <> 'completed'
            AND last_delivered_at >= :catch_up_since AND first_delivered_at <= :week_ago AND NOT EXISTS (
                SELECT FROM surveys v WHERE v.course_id = course.id AND v.occasion =
                    'week:' || floor(extract(epoch FROM :now - first_delivered_at) / 604800)::int))
        OR (course.state = 'completed' AND last_delivered_at <= :catch_up_since)
    ORDER BY delivered > 1, last_delivered_at, first_starts_at, id
    LIMIT :limit
"""  # noqa: S608 - built from our own constants


@cache
def _plan_parameters() -> dict[str, Any]:
    """The plans as the query's arrays. A follow-up is looked for by the end of its course; points but those of the end."""
    points, after, hours, weekly = [], [], [], []
    for protocol in bookable():
        found = plans.rhythm_of(protocol, plans.session_count(protocol))
        if found is not None:
            points += [(protocol, point) for point in found.at_session]
            after += [(protocol, days) for days in found.after_days]
            hours += [protocol] if found.hours else []
            weekly += [protocol] if found.weekly and found.is_always_weekly else []
    bare = [(protocol, kind) for protocol in bookable() for kind in not_counted(protocol)]
    return {
        "point_protocols": [protocol for protocol, _ in points],
        "points": [point for _, point in points],
        "after_protocols": [protocol for protocol, _ in after],
        "after_days": [days for _, days in after],
        "hours_protocols": hours,
        "weekly_protocols": weekly,
        "bare_protocols": [protocol for protocol, _ in bare],
        "bare_kinds": [kind for _, kind in bare],
    }


_INSTANTS = {
    name: UTCDateTime() for name in ("created_at", "first_delivered_at", "last_delivered_at", "first_starts_at")
}


def candidates(now: datetime) -> Iterator[Candidate]:
    """Courses that may need a check-in, in three statements whatever their number; `cadence.due` decides."""
    rows = db.session.execute(
        text(_COURSES).columns(**_INSTANTS),
        {
            **_plan_parameters(),
            "now": now,
            "catch_up_since": now - CATCH_UP_WITHIN,
            "opens_until": now + OPENS_BEFORE + timedelta(seconds=1),
            "follow_up_lasts": FOLLOW_UP_LASTS.days + 1,
            "hours_since": now - timedelta(hours=_longest_hours()) - HOURS_LAST,
            "week_ago": now - timedelta(days=7),
            "limit": CANDIDATES,
        },
    ).all()
    if not rows:
        return
    patient_ids = [row.patient_id for row in rows]
    asked: dict[int, dict[str, datetime]] = {}
    last_asked: dict[int, datetime] = {}
    statement = select(Survey.course_id, Survey.patient_id, Survey.occasion, Survey.instruments, Survey.due_at).where(
        Survey.patient_id == _any(patient_ids)
    )
    for row in db.session.execute(statement):
        if row.course_id is not None:
            asked.setdefault(row.course_id, {})[row.occasion] = row.due_at
        if LEAD in row.instruments:
            last_asked[row.patient_id] = max(row.due_at, last_asked.get(row.patient_id, row.due_at))
    complete = _complete_since(patient_ids, min(row.first_starts_at for row in rows) - BASELINE_LASTS)
    for row in rows:
        rhythm = plans.rhythm_of(row.protocol, row.planned_sessions - without_treatment(row.protocol))
        if rhythm is None:
            continue
        facts = CourseFacts(
            rhythm=rhythm,
            state=row.state,
            delivered=row.delivered,
            first_delivered_at=row.first_delivered_at,
            last_delivered_at=row.last_delivered_at,
            first_starts_at=row.first_starts_at,
            asked=asked.get(row.id, {}),
            last_asked_at=last_asked.get(row.patient_id),
            complete_at=complete.get(row.patient_id, ()),
            is_weekly=row.is_weekly,
            has_later_course=row.has_later_course,
        )
        yield Candidate(row.id, row.patient_id, facts)


def _any(ids: Sequence[int]) -> Any:
    """One of many ids, as one parameter."""
    return any_(literal(sorted(set(ids)), ARRAY(Integer)))


@cache
def _longest_hours() -> int:
    return max((ask.hours or 0 for plan in plans.plans().plans for ask in plan.asks), default=0)


def _complete_since(patient_ids: Sequence[int], since: datetime) -> Mapping[int, list[datetime]]:
    """When complete scores of the lead questionnaire were taken, by patient."""
    found: dict[int, list[datetime]] = {}
    statement = select(Score).where(
        Score.patient_id == _any(patient_ids),
        Score.instrument == LEAD,
        Score.taken_at >= since,
        Score.superseded_at.is_(None),
    )
    for score in db.session.scalars(statement):
        if score.result.get("total") is not None:
            found.setdefault(score.patient_id, []).append(score.taken_at)
    return found


def intakes_without_score(limit: int = 200) -> Sequence[Intake]:
    """Sent intakes whose questionnaire was not copied into the scores yet."""
    sent = (IntakeState.SUBMITTED, IntakeState.SUPERSEDED)  # one that was dropped was never sent
    copied = exists().where(Score.intake_id == Intake.id, Score.instrument == LEAD)
    return db.session.scalars(
        select(Intake).where(Intake.state.in_(sent), ~copied).order_by(Intake.submitted_at).limit(limit)
    ).all()


def overdue(now: datetime) -> Sequence[Any]:
    """Check-ins that nobody answered in time and the desk was not told of: id, patient and site."""
    told = exists().where(Task.dedupe_key == func.concat("survey:", Survey.id))
    return db.session.execute(
        select(Survey.id, Survey.patient_id, Course.location_id)
        .outerjoin(Course, Course.id == Survey.course_id)
        .where(
            Survey.state == SurveyState.OPEN,
            Survey.late_after <= now,
            Survey.due_at > now - LAPSES_AFTER,
            or_(Survey.course_id.is_(None), Course.state.not_in(ENDED_EARLY)),
            ~told,
        )
    ).all()


def lapsed(now: datetime) -> Sequence[Survey]:
    """Check-ins that ask for another time by now, or whose course ended early; locked, those that others hold left out."""
    ended = select(Course.id).where(Course.state.in_(ENDED_EARLY))
    return db.session.scalars(
        select(Survey)
        .where(
            Survey.state == SurveyState.OPEN,
            or_(Survey.due_at <= now - LAPSES_AFTER, Survey.course_id.in_(ended)),
        )
        .order_by(Survey.due_at)
        .limit(LAPSED_A_SWEEP)
        .with_for_update(skip_locked=True)
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
    return locations.openings(location_of(survey), yesterday, DAYS_AHEAD)


def location_of(survey: Survey) -> int | None:
    """The site of the check-in's course, else the one that the person prefers."""
    if survey.course_id is not None:
        return course(survey.course_id).location_id
    return patients.get(survey.patient_id).preferred_location_id


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
    site = location_of(survey)
    tz = locations.get(site).tz if site is not None else patient.tz
    return Help(is_open=is_open, call_by=call_by, opens_at=safety.next_opening(now, spans), tz=tz)


def asked_before(patient_id: int, occasion: str) -> Survey:
    """The check-in of this occasion. Raises NotFound."""
    found = db.session.scalar(select(Survey).where(Survey.patient_id == patient_id, Survey.occasion == occasion))
    if found is None:
        raise NotFound("no such check-in")
    return found
