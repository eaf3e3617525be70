"""Progress over a course: gaps, days after it, scores that staff entered, the early rule, and its page."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from clinic import clock
from clinic.db import db
from clinic.intake.models import ScreenScore
from clinic.scheduling.models import Course
from clinic.surveys import charting, operations
from clinic.surveys.models import Survey
from tests.builders import TESTER, course_sessions, make_course, make_patient, make_profile, make_staff, phq9_answers

NOW = datetime(2026, 11, 23, 18, tzinfo=UTC)
FIRST = datetime(2026, 9, 7, 17, tzinfo=UTC)  # eleven weeks before
Make = Callable[..., Survey]


@pytest.fixture
def whole(database: Any, now: datetime) -> Course:
    """A course of 36 weekday sessions that was given whole; the last one on October 26."""
    make_profile()
    return given(36)


def given(count: int, **overrides: Any) -> Course:
    days = [day for n in range(60) if (day := FIRST + timedelta(days=n)).weekday() < 5][:count]
    course = make_course(make_patient(), days, state="completed", **overrides)
    for session in course_sessions(course):
        session.state, session.ended_at = "completed", session.ends_at
    course.ended_at = session.ended_at
    db.session.flush()
    return course


def answer(survey: Survey, value: int, at: datetime) -> None:
    with clock.frozen(at):
        operations.save_answers(survey.id, phq9_answers(value), by=TESTER)
        operations.send_answers(survey.id, by=TESTER)


def story(course: Course, make_survey: Make, *, at_fifteen: int | None = 2) -> charting.Chart:
    """16 at baseline, then at session 15, then 8 thirty days after the course; the check-in of session 20 stays open."""
    sessions = course_sessions(course)
    answer(make_survey(course, milestone=0, due_at=FIRST), 2, FIRST - timedelta(hours=2))
    if at_fifteen is not None:
        answer(make_survey(course, milestone=15), at_fifteen, sessions[14].ends_at + timedelta(hours=1))
    old = sessions[19].ends_at
    make_survey(course, milestone=20, due_at=old, late_after=old + timedelta(days=3), state="missed")
    answer(make_survey(course, milestone=36, occasion="after:30"), 1, sessions[-1].ends_at + timedelta(days=30))
    found = charting.chart_of(course.patient_id, with_marks=True)
    assert found is not None
    return found


def test_a_check_in_without_a_score_is_a_gap(whole: Course, make_survey: Make) -> None:
    found = story(whole, make_survey)
    assert [(point.session, point.total) for point in found.points] == [(0, 16), (15, 16), (20, None), (36, 8)]


def test_a_follow_up_counts_days_from_the_last_session(whole: Course, make_survey: Make) -> None:
    assert [point.after_days for point in story(whole, make_survey).points] == [None, None, None, 30]


@pytest.mark.parametrize(("value", "raised"), [(2, True), (1, False), (None, None)])
def test_the_early_rule_is_raised_kept_or_not_to_be_told(
    whole: Course, make_survey: Make, value: int | None, raised: bool | None
) -> None:
    [judged] = charting.judged(story(whole, make_survey, at_fifteen=value))
    assert judged.is_raised is raised


def test_a_score_that_staff_entered_stands_on_the_same_axis(whole: Course, make_survey: Make) -> None:
    day = course_sessions(whole)[9].local_on
    row = ScreenScore(
        patient_id=whole.patient_id,
        instrument="madrs",
        total=31,
        taken_on=day,
        entered_by=make_staff("prescriber").id,
        entered_at=NOW,
    )
    db.session.add(row)
    db.session.flush()
    found = charting.chart_of(whole.patient_id, "madrs")
    assert found is not None
    assert [(point.session, point.total) for point in found.points] == [(10, 31)]
    assert charting.instruments_of(whole.patient_id) == ["phq9", "madrs"]


def test_the_page_has_picture_table_rule_and_sleep(whole: Course, make_survey: Make, sign_in: Any, client: Any) -> None:
    from clinic.locations import queries as locations

    story(whole, make_survey)
    sleep = make_survey(whole, milestone=36, occasion="asked:1", instruments=["sleep_clinic"])
    operations.save_answers(sleep.id, {"sleep_clinic.1": 2, "sleep_clinic.2": 4}, by=TESTER)
    operations.send_answers(sleep.id, by=TESTER)
    sign_in("prescriber", locations=(locations.get(whole.location_id),))
    page = client.get(f"/staff/patients/{whole.patient_id}/progress").text
    assert "PHQ-9 16 at baseline, 8 after 36 sessions" in page
    for words in (
        "Flagged",
        "less than 25 % lower than the baseline at session 15",
        "missing",
        "30 days after",
        "Fairly badly, 4 or 5 hours",
    ):
        assert words in page
    assert ">Response</span>" in page.replace("</svg>", "")
    assert 'class="chart broad"' in page


def test_the_page_of_somebody_without_a_score_says_what_to_do(database: Any, sign_in: Any, client: Any) -> None:
    sign_in("prescriber", locations=())
    page = client.get(f"/staff/patients/{make_patient().id}/progress").text
    assert "No score of PHQ-9 yet" in page
    assert "Ask for one now" in page


def test_the_desk_does_not_see_scores(whole: Course, sign_in: Any, client: Any) -> None:
    sign_in("front_desk", locations=())
    assert client.get(f"/staff/patients/{whole.patient_id}/progress").status_code in (403, 404)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (1, "PHQ-9 16 at baseline, 8 on Fri, Oct 9, 50 percent lower. Met."),
        (2, "as at baseline. Not met"),
        (None, "Not known"),
    ],
)
def test_the_next_stage_is_measured_against_what_the_payer_asks_for(
    database: Any, now: datetime, make_survey: Make, sign_in: Any, client: Any, value: int | None, words: str
) -> None:
    from clinic.locations import queries as locations

    make_profile()
    course = given(25, protocol="itbs_left.noridian")
    answer(make_survey(course, milestone=0, due_at=FIRST), 2, FIRST - timedelta(hours=2))
    if value is not None:
        answer(make_survey(course, milestone=25), value, course_sessions(course)[-1].ends_at + timedelta(hours=1))
    sign_in("prescriber", locations=(locations.get(course.location_id),))
    page = client.get(f"/staff/courses/{course.id}").text.replace('<span class="nowrap">PHQ-9</span>', "PHQ-9")
    assert "at least 25 percent" in page
    assert words in page
