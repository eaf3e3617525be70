"""Check-ins: sent by milestone, kept answer by answer, scored once."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert

from clinic import audit, clock, jobs
from clinic.audit import Actor, system
from clinic.db import db, transaction
from clinic.errors import AlreadyOver, Invalid
from clinic.instruments import scoring
from clinic.jobs import Job
from clinic.scheduling.models import Course
from clinic.surveys import queries
from clinic.surveys.cadence import INSTRUMENT, LATE_AFTER, milestone_due
from clinic.surveys.models import Score, Survey, SurveyState
from clinic.tasks import operations as tasks
from clinic.tasks import safety
from clinic.tasks.models import TaskKind, TaskLevel
from clinic.tasks.safety import SafetyAnswers

BY: Actor = system("surveys")
ITEM9 = 9
OPENED_A_SWEEP = 1000
WORSE_BY = 5  # points of the total, against the score before
OVERDUE_TASK_WITHIN = timedelta(hours=8)
# Questions of the screener as they are kept in the draft, beside the items "1" to "9".
SCREENER = dict(zip(("c1", "c2", "c3", "c4", "c5", "c6", "c6b"), scoring.CSSRS_ANSWERS, strict=True))


# -- the sweep --------------------------------------------------------------------------------------------------------


def keep_up() -> Sequence[int]:
    """Copy scores of sent intakes, open what is due, close what ended with its course; answers the new check-ins."""
    now = clock.now()
    with transaction() as after_commit:
        _copy_intake_scores()
        opened = _open_due(now)
        _cancel_ended()
        _tell_overdue(now)
        if opened:
            after_commit.append(lambda: jobs.ring(Job.SWEEP_REMINDERS))
        return opened


def _copy_intake_scores() -> None:
    """An intake without answers leaves a row without a total, so that it is looked at once."""
    version = scoring.load(INSTRUMENT).version
    for intake in queries.intakes_without_score():
        items = (intake.record or {}).get(INSTRUMENT) or [None] * 9
        try:
            result = scoring.score(INSTRUMENT, items)
        except scoring.BadAnswers:
            items = [None] * 9
            result = scoring.score(INSTRUMENT, items)
        db.session.execute(
            insert(Score)
            .values(
                patient_id=intake.patient_id,
                instrument=INSTRUMENT,
                instrument_version=version,
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
        milestone = milestone_due(candidate.facts, now)
        if milestone is not None:
            rows.append(
                {
                    "patient_id": candidate.patient_id,
                    "course_id": candidate.course_id,
                    "instrument": INSTRUMENT,
                    "instrument_version": scoring.load(INSTRUMENT).version,
                    "milestone": milestone,
                    "state": SurveyState.OPEN,
                    "due_at": now,
                    "late_after": now + LATE_AFTER,
                    "is_late": False,
                }
            )
    if not rows:
        return []
    statement = insert(Survey).values(rows[:OPENED_A_SWEEP])
    statement = statement.on_conflict_do_nothing(index_elements=["course_id", "instrument", "milestone"])
    opened = db.session.execute(statement.returning(Survey.id, Survey.patient_id, Survey.milestone)).all()
    for row in opened:
        audit.record_event("surveys", row.id, "opened", by=BY, patient_id=row.patient_id, milestone=row.milestone)
    return [row.id for row in opened]


def _cancel_ended() -> None:
    ended = db.session.execute(
        update(Survey)
        .where(
            Survey.state == SurveyState.OPEN,
            Survey.course_id.in_(select(Course.id).where(Course.state.in_(queries.ENDED_EARLY))),
        )
        .values(state=SurveyState.CANCELLED)
        .returning(Survey.id, Survey.patient_id)
    ).all()
    for row in ended:
        audit.record_event("surveys", row.id, "cancelled", by=BY, patient_id=row.patient_id)
    tasks.close_keyed_within_transaction([_overdue_key(row.id) for row in ended], outcome="the course ended", by=BY)


def _tell_overdue(now: datetime) -> None:
    for row in queries.overdue(now):
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


def save_answers(survey_id: int, answers: Mapping[str, int | None], *, by: Actor) -> TaskLevel | None:
    """Keep answers of the draft; None is "skipped". Answers the level of the safety task that they call for.

    An answer about safety opens its task also where the check-in was sent from another device meanwhile; then, or
    where the course ended, AlreadyOver is raised after the task is stored. Raises Invalid.
    """
    _check(answers)
    with transaction() as after_commit:
        survey = queries.lock(survey_id)
        is_open = survey.state == SurveyState.OPEN
        draft = {**(survey.draft or {}), **answers}
        if is_open:
            survey.draft = draft
        level = None
        if any(key == str(ITEM9) or key in SCREENER for key in answers):
            level = _raise(survey, draft if is_open else answers, by=by)
        if level in (TaskLevel.SAME_DAY, TaskLevel.URGENT):
            after_commit.append(lambda: jobs.ring(Job.SWEEP_REMINDERS))
    if not is_open:
        raise AlreadyOver("this check-in is closed", level=level)
    return level


def _check(answers: Mapping[str, int | None]) -> None:
    known = {str(item.number): set(item.answers) for item in scoring.load(INSTRUMENT).items}
    known |= {key: {0, 1} for key in SCREENER}
    for key, value in answers.items():
        if key not in known or (value is not None and value not in known[key]):
            raise Invalid("Choose one of the answers.", fields=[key])


def _raise(survey: Survey, answers: Mapping[str, Any], *, by: Actor) -> TaskLevel | None:
    """Open the safety task in the same transaction as the answer: it needs no broker and no mail."""
    said = SafetyAnswers(
        item9=answers.get(str(ITEM9)),
        previous_item9=queries.previous_item9(survey.patient_id),
        cssrs_intent=answers.get("c4") == 1,
        cssrs_plan=answers.get("c5") == 1,
        behavior_3mo=answers.get("c6b") == 1,
    )
    return safety.raise_within_transaction(
        said,
        source_key=f"survey:{survey.id}",
        openings=lambda: queries.openings(survey),
        patient_id=survey.patient_id,
        intake_id=None,
        location_id=queries.course(survey.course_id).location_id,
        by=by,
    )


def send_answers(survey_id: int, *, by: Actor) -> bool:
    """Score the draft and close the check-in. False where it was sent before: two devices keep one answer.

    Raises Invalid where nothing was answered, AlreadyOver where the course ended.
    """
    with transaction():
        survey, now = queries.lock(survey_id), clock.now()
        if survey.state == SurveyState.ANSWERED:
            return False
        if survey.state != SurveyState.OPEN:
            raise AlreadyOver("this check-in is closed")
        draft = survey.draft or {}
        items = [draft.get(str(item.number)) for item in scoring.load(INSTRUMENT).items]
        if all(value is None for value in items):
            raise Invalid("Answer at least one question.", fields=["1"])
        result = scoring.score(INSTRUMENT, items)
        earlier = [
            row.result["total"] for row in queries.scores(survey.patient_id) if row.result.get("total") is not None
        ]
        db.session.add(_score(survey, INSTRUMENT, items, result, now, survey_id=survey.id))
        _keep_screener(survey, draft, now)
        survey.state, survey.answered_at, survey.is_late = SurveyState.ANSWERED, now, now > survey.late_after
        survey.draft = None
        audit.record(survey, "answered", by=by, late=survey.is_late)
        tasks.close_keyed_within_transaction([_overdue_key(survey.id)], outcome="answered", by=BY)
        if earlier and result["total"] is not None and result["total"] - earlier[-1] >= WORSE_BY:
            _tell_worse(survey, earlier[-1], result["total"], now)
        return True


def _score(
    survey: Survey, instrument: str, items: Any, result: dict[str, Any], now: datetime, *, survey_id: int | None
) -> Score:
    return Score(
        patient_id=survey.patient_id,
        instrument=instrument,
        instrument_version=scoring.load(instrument).version,
        items=items,
        result=result,
        taken_at=now,
        source="survey",
        survey_id=survey_id,
        course_id=survey.course_id,
        delivered_sessions=queries.delivered(survey.course_id),
    )


def _keep_screener(survey: Survey, draft: Mapping[str, Any], now: datetime) -> None:
    given = {name: bool(draft[key]) for key, name in SCREENER.items() if draft.get(key) is not None}
    if given:
        db.session.add(_score(survey, "cssrs", given, scoring.score("cssrs", given), now, survey_id=None))


def _tell_worse(survey: Survey, before: int, total: int, now: datetime) -> None:
    tasks.open_within_transaction(
        kind=TaskKind.CLINICAL_REVIEW,
        level=TaskLevel.ROUTINE,
        dedupe_key=f"worse:survey:{survey.id}",
        for_role="prescriber",
        due_at=now + timedelta(days=1),
        by=BY,
        patient_id=survey.patient_id,
        location_id=queries.course(survey.course_id).location_id,
        subject={"survey_id": survey.id},
        note=f"PHQ-9 rose from {before} to {total}",
    )
