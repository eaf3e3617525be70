"""Check-ins are opened by milestone, kept answer by answer, and scored once."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from clinic import clock
from clinic.db import db
from clinic.errors import AlreadyOver, Invalid
from clinic.intake import correcting
from clinic.intake.models import Intake
from clinic.surveys import charting, operations, queries
from clinic.surveys.models import Score, Survey
from clinic.tasks.models import Task
from tests.builders import TESTER, make_patient, make_staff, phq9_answers

NOW = datetime(2026, 11, 23, 18, tzinfo=UTC)
EIGHTEEN = phq9_answers(2, 2)


def surveys() -> list[tuple[str, str]]:
    statement = select(Survey).order_by(Survey.id).execution_options(populate_existing=True)
    return [(survey.occasion, survey.state) for survey in db.session.scalars(statement)]


def tasks(kind: str) -> list[Task]:
    return list(db.session.scalars(select(Task).filter_by(kind=kind).order_by(Task.id)))


def submitted(phq9: list[int | None] | None, **overrides: Any) -> Intake:
    patient = overrides.pop("patient", None) or make_patient()
    intake = Intake(
        patient_id=patient.id,
        state="submitted",
        language="en",
        started_at=NOW,
        saved_at=NOW,
        submitted_at=overrides.pop("submitted_at", NOW),
        record={"phq9": phq9},
    )
    db.session.add(intake)
    db.session.flush()
    return intake


def test_the_fifth_delivered_session_opens_one_check_in(running: Any, rings: list[Any]) -> None:
    running(5)
    assert len(operations.keep_up()) == 1
    assert operations.keep_up() == []
    assert surveys() == [("session:5", "open")]
    assert rings == [("reminders.sweep", {})]


def test_four_delivered_sessions_with_a_baseline_open_none(running: Any, rings: list[Any]) -> None:
    course = running(4)
    patient = db.session.get_one(queries.patients.Patient, course.patient_id)
    submitted([2] * 9, patient=patient, submitted_at=NOW - timedelta(days=10))
    operations.keep_up()
    assert surveys() == []


def test_a_stale_intake_score_asks_again_at_the_first_session(running: Any, rings: list[Any]) -> None:
    course = running(0, starts=NOW + timedelta(hours=20))
    patient = db.session.get_one(queries.patients.Patient, course.patient_id)
    submitted([2] * 9, patient=patient, submitted_at=NOW - timedelta(days=15))
    operations.keep_up()
    assert surveys() == [("baseline", "open")]


def test_the_score_of_a_sent_intake_is_copied_once(database: Any, now: datetime) -> None:
    intake = submitted([1, 1, 1, 1, 1, 1, 1, 1, 0])
    operations.keep_up()
    operations.keep_up()
    [score] = db.session.scalars(select(Score)).all()
    assert (score.intake_id, score.source, score.result["total"], score.result["band"]) == (
        intake.id,
        "intake",
        8,
        "mild",
    )


def test_an_intake_without_answers_is_never_a_score_of_zero(database: Any, now: datetime) -> None:
    submitted(None)
    operations.keep_up()
    [score] = db.session.scalars(select(Score)).all()
    assert score.result["total"] is None
    assert charting.chart_of(score.patient_id) is None


def test_a_form_that_staff_dropped_holds_nobodys_check_in_up(running: Any, rings: list[Any]) -> None:
    running(5)
    entry = correcting.start_entry(make_patient().id, staff_id=make_staff("nurse").id, by=TESTER)
    correcting.drop(entry, by=TESTER)
    operations.keep_up()
    assert surveys() == [("session:5", "open")]
    assert db.session.scalars(select(Score).filter_by(intake_id=entry)).all() == []


def test_a_row_that_breaks_holds_up_no_other(running: Any, rings: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    running(5)
    bad, good = submitted([2] * 9), submitted([1] * 9)
    copy = operations._copy_score
    monkeypatch.setattr(operations, "_copy_score", lambda intake: 1 / 0 if intake.id == bad.id else copy(intake))
    assert len(operations.keep_up()) == 1
    assert db.session.scalars(select(Score.intake_id).where(Score.source == "intake")).all() == [good.id]


def test_a_step_that_breaks_is_told_once_the_others_are_done(
    running: Any, rings: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    running(5)
    db.session.commit()
    monkeypatch.setattr(queries, "intakes_without_score", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        operations.keep_up()
    assert (surveys(), rings) == ([("session:5", "open")], [("reminders.sweep", {})])


@pytest.mark.parametrize("state", ["cancelled", "discontinued"])
def test_a_check_in_ends_with_its_course(running: Any, rings: list[Any], state: str) -> None:
    course = running(5)
    operations.keep_up()
    course.state, course.ended_at = state, NOW
    db.session.flush()
    operations.keep_up()
    assert surveys() == [("session:5", "cancelled")]


def test_an_unanswered_check_in_is_the_desks_after_three_days(running: Any, rings: list[Any], at: Any) -> None:
    running(5)
    operations.keep_up()
    with at(NOW + timedelta(hours=71)):
        operations.keep_up()
        assert tasks("survey_overdue") == []
    with at(NOW + timedelta(hours=72)):
        operations.keep_up()
        operations.keep_up()
    assert len(tasks("survey_overdue")) == 1


def test_answers_are_kept_one_by_one_and_scored_once(running: Any, make_survey: Callable[..., Survey]) -> None:
    survey = make_survey(running(5))
    for key, value in EIGHTEEN.items():
        operations.save_answers(survey.id, {key: value}, by=TESTER)
    assert operations.send_answers(survey.id, by=TESTER) is True
    assert operations.send_answers(survey.id, by=TESTER) is False
    [score] = queries.scores(survey.patient_id)
    assert (score.result["total"], score.delivered_sessions, score.survey_id) == (18, 5, survey.id)
    assert (survey.state, survey.is_late, survey.draft) == ("answered", False, None)


def test_a_late_answer_is_kept_and_marked(running: Any, make_survey: Callable[..., Survey]) -> None:
    survey = make_survey(running(5), late_after=NOW - timedelta(seconds=1))
    operations.save_answers(survey.id, {"phq9.1": 1}, by=TESTER)
    operations.send_answers(survey.id, by=TESTER)
    assert survey.is_late


def test_skipped_items_are_never_zero(running: Any, make_survey: Callable[..., Survey]) -> None:
    survey = make_survey(running(5))
    operations.save_answers(survey.id, {f"phq9.{n}": 1 if n < 7 else None for n in range(1, 10)}, by=TESTER)
    operations.send_answers(survey.id, by=TESTER)
    [score] = queries.scores(survey.patient_id)
    assert (score.result["total"], score.result["missing"]) == (None, [7, 8, 9])


def test_an_empty_check_in_is_not_sent(running: Any, make_survey: Callable[..., Survey]) -> None:
    with pytest.raises(Invalid):
        operations.send_answers(make_survey(running(5)).id, by=TESTER)


@pytest.mark.parametrize(
    "answers",
    [{"phq9.1": 4}, {"phq9.10": 1}, {"cssrs.4": 2}, {"gad7.1": 1}, {"x": None}, {"phq9.1": "1"}, {"phq9.1": True}],
)
def test_answers_that_do_not_exist_are_refused(
    running: Any, make_survey: Callable[..., Survey], answers: dict[str, Any]
) -> None:
    with pytest.raises(Invalid):
        operations.save_answers(make_survey(running(5)).id, answers, by=TESTER)


@pytest.mark.parametrize(("item9", "level"), [(0, None), (1, "lit"), (2, "same_day"), (3, "same_day")])
def test_item_9_opens_its_task_before_anything_is_sent(
    running: Any, make_survey: Callable[..., Survey], rings: list[Any], item9: int, level: str | None
) -> None:
    survey = make_survey(running(5))
    assert operations.save_answers(survey.id, {"phq9.9": item9}, by=TESTER) == level
    assert [task.level for task in tasks("safety")] == ([level] if level else [])
    assert bool(rings) == (level == "same_day")


def test_item_9_above_the_last_answer_is_for_the_same_day(running: Any, make_survey: Callable[..., Survey]) -> None:
    course = running(5)
    first = make_survey(course, milestone=0)
    operations.save_answers(first.id, {"phq9.9": 0, "phq9.1": 1}, by=TESTER)
    operations.send_answers(first.id, by=TESTER)
    assert operations.save_answers(make_survey(course).id, {"phq9.9": 1}, by=TESTER) == "same_day"


def test_intent_is_urgent_and_kept_as_a_score(
    running: Any, make_survey: Callable[..., Survey], rings: list[Any]
) -> None:
    survey = make_survey(running(5))
    operations.save_answers(survey.id, {"phq9.9": 1}, by=TESTER)
    assert operations.save_answers(survey.id, {"cssrs.1": 1, "cssrs.2": 1}, by=TESTER) == "lit"
    assert operations.save_answers(survey.id, {"cssrs.3": 1, "cssrs.4": 1, "cssrs.5": 0}, by=TESTER) == "urgent"
    operations.send_answers(survey.id, by=TESTER)
    [score] = queries.scores(survey.patient_id, "cssrs")
    assert score.result == {"risk": "high"}
    assert [task.level for task in tasks("safety") if task.closed_at is None] == ["urgent"]


def test_a_grave_answer_after_the_sending_is_not_lost(running: Any, make_survey: Callable[..., Survey]) -> None:
    survey = make_survey(running(5))
    operations.save_answers(survey.id, {"phq9.1": 1}, by=TESTER)
    operations.send_answers(survey.id, by=TESTER)
    with pytest.raises(AlreadyOver) as over:
        operations.save_answers(survey.id, {"phq9.9": 3}, by=TESTER)
    assert over.value.details["level"] == "same_day"
    assert [task.level for task in tasks("safety")] == ["same_day"]


def test_five_points_more_than_before_are_for_the_prescriber(running: Any, make_survey: Callable[..., Survey]) -> None:
    course = running(5)
    for milestone, value in ((0, 1), (5, 2)):
        survey = make_survey(course, milestone=milestone)
        operations.save_answers(survey.id, phq9_answers(value), by=TESTER)
        with clock.frozen(NOW + timedelta(days=milestone)):
            operations.send_answers(survey.id, by=TESTER)
    [task] = tasks("clinical_review")
    assert task.level == "same_day"
    assert "PHQ-9 rose to 16, from 8 the last time. Rule: 5 points or more" in task.note


def test_the_sweep_asks_the_same_number_of_questions_for_any_number_of_courses(
    running: Any, rings: list[Any], count_statements: Any
) -> None:
    running(5)
    with count_statements() as few:
        operations.keep_up()
    for _ in range(4):
        running(5)
    with count_statements() as many:
        operations.keep_up()
    assert len([line for line in many if line.startswith(("SELECT", "UPDATE"))]) <= len(few)
