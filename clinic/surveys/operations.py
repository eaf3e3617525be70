"""Check-ins: opened when they are due, kept answer by answer, scored once."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import OperationalError

from clinic import audit, clock, jobs
from clinic.audit import Actor, system
from clinic.db import db, transaction
from clinic.errors import AlreadyOver, Conflict, Invalid
from clinic.instruments import scoring
from clinic.intake.models import Intake
from clinic.jobs import Job
from clinic.patients import queries as patients
from clinic.surveys import flow, judging, plans, queries
from clinic.surveys.cadence import LATE_AFTER, asked_key, due
from clinic.surveys.flow import CSSRS, ITEM9, SCREENER
from clinic.surveys.models import Score, Survey, SurveyState, WeeklyAsk
from clinic.tasks import operations as tasks
from clinic.tasks import safety
from clinic.tasks.models import TaskKind, TaskLevel
from clinic.tasks.safety import SafetyAnswers

log = logging.getLogger(__name__)

BY: Actor = system("surveys")
LEAD = queries.LEAD
OPENED_A_SWEEP = 1000
OVERDUE_TASK_WITHIN = timedelta(hours=8)
PAPER_AT_MOST = timedelta(days=60)  # so old a sheet of paper may be
NOON = time(12)

Row = TypeVar("Row", bound=Any)


# -- the sweep --------------------------------------------------------------------------------------------------------


def keep_up() -> Sequence[int]:
    """Copy scores of sent intakes, open what is due, close what is over; answers the new check-ins.

    Each in its own transaction, and a row that breaks is logged and holds up no other. What breaks a whole step is
    raised once the others are done.
    """
    now = clock.now()
    opened: list[int] = []
    faults: list[Exception] = []
    with _by_itself("copying scores", faults):
        _each(queries.intakes_without_score(), _copy_score)
    with _by_itself("opening", faults):
        opened = _open_due(now)
    with _by_itself("closing", faults):
        _close_over(now)
    with _by_itself("telling the desk", faults):
        _each(queries.overdue(now), lambda row: _tell_desk(row, now))
    if opened:
        jobs.ring(Job.SWEEP_REMINDERS)
    if faults:
        raise faults[0]
    return opened


@contextmanager
def _by_itself(step: str, faults: list[Exception]) -> Iterator[None]:
    """A step in its own transaction: what breaks it is kept for later."""
    try:
        with transaction():
            yield
    except OperationalError:
        raise
    except Exception as fault:
        log.exception("check-ins: fault in %s", step)
        faults.append(fault)


def _each(rows: Iterable[Row], do: Callable[[Row], object]) -> list[Row]:
    """Do it for each row by itself; answers those with which it went well."""
    done = []
    for row in rows:
        key = row.id
        try:
            with db.session.begin_nested():
                do(row)
        except OperationalError:
            raise
        except Exception:
            log.exception("check-ins: fault at %s %s", type(row).__name__, key)
        else:
            done.append(row)
    return done


def _copy_score(intake: Intake) -> None:
    """An intake without answers leaves a row without a total, so that it is looked at once."""
    items = (intake.record or {}).get(LEAD) or [None] * 9
    try:
        result = scoring.score(LEAD, items)
    except scoring.BadAnswers:
        items = [None] * 9
        result = scoring.score(LEAD, items)
    db.session.execute(
        insert(Score)
        .values(
            patient_id=intake.patient_id,
            instrument=LEAD,
            instrument_version=scoring.load(LEAD).version,
            items=items,
            result=result,
            taken_at=intake.submitted_at,
            source="intake",
            intake_id=intake.id,
        )
        .on_conflict_do_nothing(index_elements=["intake_id", "instrument"])
    )


def _open_due(now: datetime) -> list[int]:
    rows = []
    for candidate in sorted(queries.candidates(now), key=lambda candidate: candidate.course_id):
        try:
            asking = due(candidate.facts, now)
        except Exception:
            log.exception("check-ins: fault at course %s", candidate.course_id)
            continue
        if asking is not None:
            rows.append(
                {
                    "patient_id": candidate.patient_id,
                    "course_id": candidate.course_id,
                    "occasion": asking.occasion,
                    "instruments": list(asking.instruments),
                    "milestone": candidate.facts.delivered,
                    "state": SurveyState.OPEN,
                    "due_at": now,
                    "late_after": now + LATE_AFTER,
                    "is_late": False,
                }
            )
    if not rows:
        return []
    statement = insert(Survey).values(rows[:OPENED_A_SWEEP])
    statement = statement.on_conflict_do_nothing(index_elements=["course_id", "occasion"])
    opened = db.session.execute(statement.returning(Survey.id, Survey.patient_id, Survey.occasion)).all()
    for row in opened:
        audit.record_event("surveys", row.id, "opened", by=BY, patient_id=row.patient_id, occasion=row.occasion)
    return [row.id for row in opened]


def _close_over(now: datetime) -> None:
    """What asks for another time by now, or whose course ended early: answers so far are kept and scored."""
    over = _each(queries.lapsed(now), lambda survey: _end(survey, now))
    settled = [
        _overdue_key(row.id) for row in over if row.state != SurveyState.MISSED
    ]  # who missed one is still called
    tasks.close_keyed_within_transaction(settled, outcome="the check-in is over", by=BY)


def _end(survey: Survey, now: datetime) -> None:
    draft = survey.draft or {}
    is_lapsed = survey.due_at <= now - queries.LAPSES_AFTER
    if any(flow.is_answered(key, draft) for key in (*survey.instruments, CSSRS)):
        _score_all(survey, draft, survey.saved_at or now, source="survey")
        _close(survey, SurveyState.ANSWERED, now)
    else:
        _close(survey, SurveyState.MISSED if is_lapsed else SurveyState.CANCELLED, now)
    audit.record(survey, survey.state, by=BY, unfinished=True)


def _close(survey: Survey, state: SurveyState, now: datetime) -> None:
    survey.state, survey.draft = state, None
    if state == SurveyState.ANSWERED:
        survey.answered_at = now
        survey.is_late = (survey.saved_at or now) > survey.late_after


def _tell_desk(row: Any, now: datetime) -> None:
    tasks.open_within_transaction(
        kind=TaskKind.SURVEY_OVERDUE,
        level=TaskLevel.ROUTINE,
        dedupe_key=_overdue_key(row.id),
        for_role="front_desk",
        due_at=now + OVERDUE_TASK_WITHIN,
        by=BY,
        patient_id=row.patient_id,
        location_id=row.location_id,
        subject={"survey_id": row.id},
    )


def _overdue_key(survey_id: int) -> str:
    return f"survey:{survey_id}"


# -- answers ----------------------------------------------------------------------------------------------------------


def save_answers(survey_id: int, answers: Mapping[str, Any], *, by: Actor) -> TaskLevel | None:
    """Keep answers of the draft; None is "skipped". Answers the level of the safety task that they call for.

    An answer about safety opens its task also where the check-in was sent from another device meanwhile; then, or
    where it is over, AlreadyOver is raised after the task is stored. Raises Invalid.
    """
    with transaction() as after_commit:
        survey = queries.lock(survey_id)
        kept = _checked(survey, answers)
        is_open = survey.state == SurveyState.OPEN
        draft = {**(survey.draft or {}), **kept}
        if is_open:
            survey.draft, survey.saved_at = draft, clock.now()
        level = _raise(survey, draft if is_open else kept, changed=kept, by=by)
        if level in (TaskLevel.SAME_DAY, TaskLevel.URGENT):
            after_commit.append(lambda: jobs.ring(Job.SWEEP_URGENT))
    if not is_open:
        raise AlreadyOver("this check-in is closed", level=level)
    return level


def _checked(survey: Survey, answers: Mapping[str, Any]) -> dict[str, Any]:
    allowed = flow.allowed(tuple(survey.instruments))
    kept: dict[str, Any] = {}
    for key, value in answers.items():
        if key not in allowed:
            raise Invalid("This question is not part of the check-in.", fields=[key])
        values = allowed[key]
        if values is None:
            kept[key] = _words(key, value)
        elif value is None or (type(value) is int and value in values):
            kept[key] = value
        else:
            raise Invalid("Choose one of the answers.", fields=[key])
    return kept


def _words(key: str, value: Any) -> str | None:
    if value is not None and not isinstance(value, str):
        raise Invalid("Write the answer in words.", fields=[key])
    words = (value or "").strip()
    if len(words) > scoring.TEXT_AT_MOST:
        raise Invalid("Please write at most 500 characters.", fields=[key])
    return words or None


def _raise(survey: Survey, answers: Mapping[str, Any], *, changed: Mapping[str, Any], by: Actor) -> TaskLevel | None:
    """Open the safety task in the same transaction as the answer: it needs no broker and no mail."""
    grave = judging.safety_codes(answers)
    if not any(key == ITEM9 or key in SCREENER or key in judging.SAFETY_KEYS for key in changed):
        return None
    said = SafetyAnswers(
        item9=answers.get(ITEM9),
        previous_item9=queries.previous_item9(survey.patient_id, but_survey=survey.id),
        cssrs_intent=answers.get("cssrs.4") == 1,
        cssrs_plan=answers.get("cssrs.5") == 1,
        behavior_3mo=answers.get("cssrs.6b") == 1,
        seizure="seizure_any" in grave,
        high_energy="psychosis_or_mania" in grave,
    )
    return safety.raise_within_transaction(
        said,
        source_key=f"survey:{survey.id}",
        openings=lambda: queries.openings(survey),
        patient_id=survey.patient_id,
        intake_id=None,
        location_id=queries.location_of(survey),
        by=by,
    )


def send_answers(survey_id: int, *, by: Actor) -> bool:
    """Score the draft and close the check-in. False where it was sent before: two devices keep one answer.

    Raises Invalid where nothing was answered, AlreadyOver where it is over.
    """
    with transaction():
        survey, now = queries.lock(survey_id), clock.now()
        if survey.state == SurveyState.ANSWERED:
            return False
        if survey.state != SurveyState.OPEN:
            raise AlreadyOver("this check-in is closed")
        draft = survey.draft or {}
        if not any(flow.is_answered(key, draft) for key in (*survey.instruments, CSSRS)):
            raise Invalid("Answer at least one question.", fields=["1"])
        survey.saved_at = now
        _score_all(survey, draft, now, source="survey")
        _close(survey, SurveyState.ANSWERED, now)
        audit.record(survey, "answered", by=by, late=survey.is_late)
        _settle_overdue(survey, "answered")
        return True


def _settle_overdue(survey: Survey, outcome: str) -> None:
    """Who answers is not called about this check-in, nor about those that they missed before it."""
    earlier = [row.id for row in queries.of_patient(survey.patient_id) if row.due_at <= survey.due_at]
    tasks.close_keyed_within_transaction([_overdue_key(key) for key in {survey.id, *earlier}], outcome=outcome, by=BY)


def _score_all(
    survey: Survey, draft: Mapping[str, Any], taken_at: datetime, *, source: str, entered_by: int | None = None
) -> None:
    """One score a questionnaire of which anything was answered, and what follows from them."""
    sessions = None
    if survey.course_id is not None:
        sessions = queries.delivered(survey.course_id, by=taken_at)
    sex = judging.sex_of(survey.patient_id)
    made = []
    for key in dict.fromkeys((*survey.instruments, CSSRS)):
        if flow.is_answered(key, draft):
            items = flow.answers_of(key, draft)
            row = Score(
                patient_id=survey.patient_id,
                instrument=key,
                instrument_version=scoring.load(key).version,
                items=items,
                result=_scored(key, items, draft, sex),
                taken_at=taken_at,
                source=source,
                survey_id=survey.id,
                course_id=survey.course_id,
                delivered_sessions=sessions,
                entered_by=entered_by,
            )
            db.session.add(row)
            made.append(row)
    db.session.flush()
    judging.judge(survey, made, by=BY)


def _scored(key: str, items: Any, draft: Mapping[str, Any], sex: str | None) -> dict[str, Any]:
    found = scoring.score(key, items, sex=sex, gate=flow.gate_of(key, draft))
    difficulty = draft.get(flow.key_of(key, flow.DIFFICULTY))
    return found if difficulty is None else {**found, flow.DIFFICULTY: difficulty}


# -- by people at the clinic -------------------------------------------------------------------------------------------


def ask_now(patient_id: int, instruments: Sequence[str], *, nonce: str, by: Actor) -> int:
    """Open a check-in at once and answer its id; a form that was sent twice (`nonce`) opens one. Raises Invalid."""
    if not instruments:
        raise Invalid("Choose at least one.", fields=["instruments"])
    if not set(instruments) <= set(plans.sendable()):
        raise Invalid("One of these cannot be sent.", fields=["instruments"])
    now = clock.now()
    with transaction() as after_commit:
        patients.get(patient_id)
        course = queries.present_course(patient_id)
        is_live = course is not None and course.state not in queries.ENDED_EARLY
        course_id = course.id if course is not None and is_live else None
        survey_id: int | None = db.session.scalar(
            insert(Survey)
            .values(
                patient_id=patient_id,
                course_id=course_id,
                occasion=asked_key(nonce),
                instruments=list(plans.ordered(instruments)),
                milestone=queries.delivered(course_id) if course_id is not None else 0,
                state=SurveyState.OPEN,
                due_at=now,
                late_after=now + LATE_AFTER,
                is_late=False,
            )
            .on_conflict_do_nothing()
            .returning(Survey.id)
        )
        if survey_id is None:
            return queries.asked_before(patient_id, asked_key(nonce)).id
        audit.record_event("surveys", survey_id, "asked", by=by, patient_id=patient_id, instruments=list(instruments))
        after_commit.append(lambda: jobs.ring(Job.SWEEP_REMINDERS))
        return survey_id


def enter_paper(
    survey_id: int,
    answers: Mapping[str, Any],
    *,
    taken_on: date,
    staff_id: int,
    by: Actor,
    corrects: bool = False,
) -> TaskLevel | None:
    """Enter what a person answered on paper, and close the check-in with it; also one that they missed.

    `corrects`: takes the place of what was entered from paper before. Answers the level of the safety task that it
    calls for. Raises Invalid; AlreadyOver where the person answered it, or where nothing is open to be entered.
    """
    with transaction() as after_commit:
        survey, now = queries.lock(survey_id), clock.now()
        entered = _checked(survey, answers)
        taken_at = _paper_instant(survey, taken_on, now)
        if not any(flow.is_answered(key, entered) for key in survey.instruments):
            raise Invalid("Enter at least one answer.", fields=["taken_on"])
        draft = _beside_paper(survey, corrects) | {
            key: value for key, value in entered.items() if corrects or value is not None
        }
        _make_room(survey, corrects, now)
        survey.saved_at = taken_at
        _score_all(survey, draft, taken_at, source="paper", entered_by=staff_id)
        _close(survey, SurveyState.ANSWERED, now)
        audit.record(survey, "corrected" if corrects else "entered", by=by, late=survey.is_late)
        _settle_overdue(survey, "answered on paper")
        level = _raise(survey, draft, changed=draft, by=by)
        if level in (TaskLevel.SAME_DAY, TaskLevel.URGENT):
            after_commit.append(lambda: jobs.ring(Job.SWEEP_URGENT))
        return level


def _beside_paper(survey: Survey, corrects: bool) -> dict[str, Any]:
    """What the person answered online before the sheet came, and what a sheet does not ask."""
    if not corrects:
        return dict(survey.draft or {})
    kept = [row for row in queries.scores_of(survey.id) if row.instrument == CSSRS]
    return {key: value for row in kept for key, value in flow.draft_of(CSSRS, row.items, row.result).items()}


def check_paper(survey: Survey, *, corrects: bool) -> None:
    """Whether a sheet can be entered, or what was entered be corrected. Raises AlreadyOver."""
    if corrects:
        if survey.state != SurveyState.ANSWERED or any(row.source != "paper" for row in queries.scores_of(survey.id)):
            raise AlreadyOver("Only what was entered from paper can be corrected.")
    elif survey.state not in (SurveyState.OPEN, SurveyState.MISSED):
        raise AlreadyOver("This check-in is answered or over. Nothing was entered.")


def _make_room(survey: Survey, corrects: bool, now: datetime) -> None:
    check_paper(survey, corrects=corrects)
    if corrects:
        for row in queries.scores_of(survey.id):
            row.superseded_at = now
        db.session.flush()


def _paper_instant(survey: Survey, taken_on: date, now: datetime) -> datetime:
    """Of a sheet of today this moment, of an earlier one its noon."""
    zone = ZoneInfo(patients.get(survey.patient_id).tz)
    today = now.astimezone(zone).date()
    if taken_on > today:
        raise Invalid("This day is still to come.", fields=["taken_on"])
    if taken_on < today - PAPER_AT_MOST:
        raise Invalid("This is more than 60 days ago: open a new check-in for what is asked now.", fields=["taken_on"])
    return now if taken_on == today else datetime.combine(taken_on, NOON, tzinfo=zone)


def ask_weekly(course_id: int, *, reason: str, staff_id: int, by: Actor) -> None:
    """Ask the lead questionnaire every week of this course from now on, because a payer wants it. Raises Invalid, Conflict."""
    words = reason.strip()
    if not words or len(words) > 300:
        raise Invalid("Say who asks for it, in at most 300 characters.", fields=["reason"])
    with transaction():
        course = queries.course(course_id)
        if queries.weekly_ask(course_id) is not None:
            raise Conflict("This course is asked every week already.")
        row = WeeklyAsk(course_id=course_id, reason=words, asked_by=staff_id, asked_at=clock.now())
        db.session.add(row)
        db.session.flush()
        audit.record_event("weekly_asks", row.id, "started", by=by, patient_id=course.patient_id)


def end_weekly(course_id: int, *, by: Actor) -> None:
    """Go back to the usual check-ins. Nothing happens where they are the usual ones."""
    with transaction():
        row = queries.weekly_ask(course_id)
        if row is not None:
            row.ended_at = clock.now()
            patient_id = queries.course(course_id).patient_id
            audit.record_event("weekly_asks", row.id, "ended", by=by, patient_id=patient_id)
