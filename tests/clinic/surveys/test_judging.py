"""What follows from answers: tasks with their rule, once, for the right person."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from clinic import clock
from clinic.db import db
from clinic.scheduling.models import Course
from clinic.surveys import operations, queries
from clinic.surveys.models import Score, Survey
from clinic.tasks.models import Task
from tests.builders import TESTER, course_sessions, make_course, make_patient, make_profile, make_staff, phq9_answers

NOW = datetime(2026, 11, 23, 18, tzinfo=UTC)
FIRST = datetime(2026, 10, 26, 17, tzinfo=UTC)
Make = Callable[..., Survey]


def tasks(kind: str = "clinical_review") -> list[Task]:
    return list(db.session.scalars(select(Task).filter_by(kind=kind).order_by(Task.id)))


@pytest.fixture
def long_course(database: Any, now: datetime) -> Callable[[int], Course]:
    """`long_course(delivered)`: a whole daily course from four weeks ago, with so many sessions given."""

    def make(delivered: int) -> Course:
        make_profile()
        days = [day for n in range(60) if (day := FIRST + timedelta(days=n)).weekday() < 5][:36]
        course = make_course(make_patient(), days, state="running")
        for session in course_sessions(course)[:delivered]:
            session.state, session.ended_at = "completed", session.ends_at
        db.session.flush()
        return course

    return make


def answered(survey: Survey, value: int, at: datetime = NOW, **more: Any) -> None:
    with clock.frozen(at):
        operations.save_answers(survey.id, phq9_answers(value) | more, by=TESTER)
        operations.send_answers(survey.id, by=TESTER)


def with_baseline(course: Course, make_survey: Make, value: int = 2) -> None:
    answered(make_survey(course, milestone=0, due_at=FIRST), value, FIRST - timedelta(hours=2))


@pytest.mark.parametrize(("value", "flagged"), [(2, True), (1, False)])
def test_early_non_response_is_told_at_session_15_with_its_rule(
    long_course: Any, make_survey: Make, value: int, flagged: bool
) -> None:
    course = long_course(15)
    with_baseline(course, make_survey)
    answered(make_survey(course, milestone=15), value)
    notes = [task.note for task in tasks()]
    assert len(notes) == flagged
    if flagged:
        assert "16 at baseline, 16 after 15 sessions (0 percent lower)" in notes[0]
        assert "Rule: less than 25 percent lower at session 15" in notes[0]
        assert "Definitions of response, version 1.0" in notes[0]
        assert tasks()[0].for_role == "prescriber"


def test_it_is_told_once_a_course(long_course: Any, make_survey: Make) -> None:
    course = long_course(16)
    with_baseline(course, make_survey)
    for occasion in ("session:15", "week:3"):
        answered(make_survey(course, milestone=15, occasion=occasion), 2)
    assert len(tasks()) == 1


@pytest.mark.parametrize("delivered", [10, 20])
def test_it_is_not_judged_earlier_or_later(long_course: Any, make_survey: Make, delivered: int) -> None:
    course = long_course(delivered)
    with_baseline(course, make_survey)
    answered(make_survey(course, milestone=delivered), 2)
    assert tasks() == []


def test_without_a_baseline_nothing_is_judged(long_course: Any, make_survey: Make) -> None:
    answered(make_survey(long_course(15), milestone=15), 2)
    assert tasks() == []


def test_five_points_above_the_baseline_are_told_also_where_each_step_is_small(
    long_course: Any, make_survey: Make
) -> None:
    course = long_course(12)
    with_baseline(course, make_survey, 1)
    for days, milestone, extra in ((20, 5, 3), (22, 10, 6)):
        raised = {f"phq9.{n}": 2 for n in range(1, extra)}
        answered(make_survey(course, milestone=milestone), 1, FIRST + timedelta(days=days), **raised)
    assert [task.note.split(".")[0] for task in tasks()] == ["PHQ-9 rose to 13, from 8 at baseline"]
    assert tasks()[0].level == "same_day"


@pytest.fixture
def effects(long_course: Any, make_survey: Make) -> Callable[..., Survey]:
    """A check-in about side effects, answered; `code=value` by item key."""

    def make(occasion: str = "session:5", **said: int | str) -> Survey:
        from clinic.instruments import scoring

        course = db.session.scalar(select(Course)) or long_course(5)
        survey = make_survey(course, occasion=occasion, instruments=["side_effects_tms"])
        numbers = {item.key: item.number for item in scoring.load("side_effects_tms").items}
        answers = {f"side_effects_tms.{numbers[key]}": value for key, value in said.items()}
        operations.save_answers(survey.id, answers, by=TESTER)
        operations.send_answers(survey.id, by=TESTER)
        return survey

    return make


@pytest.mark.parametrize(
    ("said", "level"),
    [
        ({"any_jerk_or_blackout": 1}, "urgent"),
        ({"unusually_high_mood_or_energy": 1}, "same_day"),
        ({"tooth_pain": 1}, None),
    ],
)
def test_a_blackout_and_high_energy_are_safety_answers(
    effects: Any, rings: list[Any], said: dict[str, int], level: str | None
) -> None:
    effects(**said)
    assert [task.level for task in tasks("safety")] == ([level] if level else [])


def test_a_strong_headache_is_told_the_second_time(effects: Any) -> None:
    effects("session:5", headache_0_10=6)
    assert tasks() == []
    effects("session:10", headache_0_10=7)
    assert [task.note.split(".")[0] for task in tasks()] == ["Headache or scalp pain of 6 or more, twice"]


def test_words_are_read_by_a_person(effects: Any) -> None:
    effects(other_text="My coil buzzes.")
    [task] = tasks()
    assert (task.for_role, task.note) == ("nurse", "My coil buzzes.")


def test_a_lapsed_check_in_keeps_what_was_answered(long_course: Any, make_survey: Make, at: Any) -> None:
    survey = make_survey(long_course(5))
    operations.save_answers(survey.id, {"phq9.1": 2, "phq9.2": 1}, by=TESTER)
    with at(NOW + timedelta(days=14)):
        operations.keep_up()
    [score] = queries.scores(survey.patient_id)
    assert (survey.state, survey.is_late, survey.draft) == ("answered", False, None)
    assert (score.result["total"], score.items[:2], score.taken_at) == (None, [2, 1], NOW)


def test_a_check_in_without_an_answer_is_missed_after_two_weeks(long_course: Any, make_survey: Make, at: Any) -> None:
    survey = make_survey(long_course(5))
    with at(NOW + timedelta(days=14)):
        operations.keep_up()
    assert survey.state == "missed"
    assert db.session.scalar(select(Score)) is None


def test_who_missed_a_check_in_is_still_called_until_they_answer_the_next(
    long_course: Any, make_survey: Make, at: Any
) -> None:
    course = long_course(5)
    make_survey(course)
    with at(NOW + timedelta(days=4)):
        operations.keep_up()
    with at(NOW + timedelta(days=15)):
        operations.keep_up()
        [task] = tasks("survey_overdue")
        assert task.closed_at is None
        answered(make_survey(course, milestone=10, due_at=clock.now()), 1, clock.now())
    assert task.closed_at is not None


def paper(survey: Survey, answers: dict[str, Any], days_ago: int = 0, **more: Any) -> Any:
    taken_on = (NOW - timedelta(days=days_ago)).date()
    staff_id = make_staff("nurse").id
    return operations.enter_paper(survey.id, answers, taken_on=taken_on, staff_id=staff_id, by=TESTER, **more)


def test_paper_is_kept_with_its_day_and_the_sessions_until_then(long_course: Any, make_survey: Make) -> None:
    survey = make_survey(long_course(10), due_at=NOW - timedelta(days=12))
    paper(survey, phq9_answers(1), days_ago=11)
    [score] = queries.scores(survey.patient_id)
    assert (score.source, score.delivered_sessions, score.result["total"]) == ("paper", 10, 8)
    assert (score.taken_at.date().isoformat(), survey.state) == ("2026-11-12", "answered")


def test_item_9_on_paper_opens_the_alert(long_course: Any, make_survey: Make, rings: list[Any]) -> None:
    assert paper(make_survey(long_course(5)), phq9_answers(1, 2)) == "same_day"
    assert [task.level for task in tasks("safety")] == ["same_day"]


def test_a_sheet_leaves_what_was_answered_online_and_a_correction_leaves_the_screener(
    long_course: Any, make_survey: Make, rings: list[Any]
) -> None:
    survey = make_survey(long_course(5))
    operations.save_answers(survey.id, {"phq9.5": 3, "cssrs.1": 1, "cssrs.2": 0}, by=TESTER)
    paper(survey, phq9_answers(1) | {"phq9.5": None})
    for items, corrects in (([1, 1, 1, 1, 3, 1, 1, 1, 0], False), ([1, 1, 1, 1, None, 1, 1, 1, 0], True)):
        if corrects:
            paper(survey, phq9_answers(1) | {"phq9.5": None}, corrects=True)
        kept = {row.instrument: row.items for row in queries.scores_of(survey.id)}
        assert kept == {"phq9": items, "cssrs": {"wish_dead": True, "thoughts": False}}


def test_paper_never_takes_the_place_of_the_persons_own_answer(long_course: Any, make_survey: Make) -> None:
    from clinic.errors import AlreadyOver

    survey = make_survey(long_course(5))
    answered(survey, 1)
    for corrects in (False, True):
        with pytest.raises(AlreadyOver):
            paper(survey, phq9_answers(3), corrects=corrects)


def test_a_slip_on_paper_is_corrected_and_the_first_entry_stays(long_course: Any, make_survey: Make) -> None:
    survey = make_survey(long_course(5))
    paper(survey, phq9_answers(3))
    paper(survey, phq9_answers(1), corrects=True)
    assert [score.result["total"] for score in queries.scores(survey.patient_id)] == [8]
    assert len(db.session.scalars(select(Score)).all()) == 2


@pytest.mark.parametrize("days_ago", [-1, 61])
def test_a_sheet_of_tomorrow_or_of_long_ago_is_refused(long_course: Any, make_survey: Make, days_ago: int) -> None:
    from clinic.errors import Invalid

    with pytest.raises(Invalid):
        paper(make_survey(long_course(5)), phq9_answers(1), days_ago=days_ago)


def test_asking_now_opens_one_however_often_it_is_sent(long_course: Any, rings: list[Any]) -> None:
    course = long_course(3)
    first = operations.ask_now(course.patient_id, ["gad7", "phq9"], nonce="n", by=TESTER)
    assert operations.ask_now(course.patient_id, ["gad7", "phq9"], nonce="n", by=TESTER) == first
    survey = queries.get(first)
    assert (survey.instruments, survey.milestone, survey.course_id) == (["phq9", "gad7"], 3, course.id)


def test_a_person_without_a_course_can_be_asked(database: Any, now: datetime, rings: list[Any]) -> None:
    patient = make_patient()
    survey = queries.get(operations.ask_now(patient.id, ["audit_c"], nonce="n", by=TESTER))
    operations.save_answers(survey.id, {"audit_c.1": 4, "audit_c.2": 1, "audit_c.3": 0}, by=TESTER)
    operations.send_answers(survey.id, by=TESTER)
    [score] = queries.scores(patient.id, "audit_c")
    assert (score.result["total"], score.result["positive"], score.course_id) == (5, True, None)
