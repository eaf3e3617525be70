"""The clinic's own rates: computed as on each chart, with how many are missing."""

from datetime import UTC, datetime, timedelta

import pytest

from clinic import clock
from clinic.care import rates
from clinic.db import db
from clinic.surveys.models import Score
from clinic.surveys.progress import Point
from tests.builders import course_sessions, make_course, make_patient

START = datetime(2026, 9, 1, 16, tzinfo=UTC)
END = START + timedelta(days=40)


def point(days: float, total: int | None) -> Point:
    return Point(taken_at=START + timedelta(days=days), total=total, session=0)


def test_response_remission_and_missing_are_counted_apart() -> None:
    rows = [
        (1, START, END, point(-3, 20)),
        (1, START, END, point(30, 4)),  # response and remission
        (2, START, END, point(-3, 20)),
        (2, START, END, point(30, 10)),  # response
        (3, START, END, point(-3, 20)),
        (3, START, END, point(30, 15)),  # neither
        (4, START, END, point(-3, 20)),  # nothing after
        (5, START, END, None),
    ]
    found = rates.of_courses(rows, END)
    assert found == rates.Rates(courses=5, known=3, response=2, remission=1)
    assert (found.missing, found.response_percent, found.remission_percent) == (2, 67, 33)


def test_without_courses_there_is_no_rate() -> None:
    found = rates.of_courses([], END)
    assert (found.courses, found.missing, found.response_percent) == (0, 0, None)


def ended_course(totals: list[int]) -> None:
    patient = make_patient()
    course = make_course(patient, [START, START + timedelta(days=1)], state="completed", ended_at=END)
    for session in course_sessions(course):
        session.state, session.ended_at = "completed", session.ends_at
    for number, total in enumerate(totals):
        db.session.add(
            Score(
                patient_id=patient.id,
                instrument="phq9",
                instrument_version="1",
                items=[1] * 9,
                result={"total": total},
                taken_at=START + timedelta(days=20 * number - 1),
                source="survey" if number else "intake",
                course_id=course.id if number else None,
            )
        )
    db.session.flush()


def test_the_rates_come_from_one_query_over_ended_courses(count_statements) -> None:
    ended_course([20, 8])
    ended_course([20])
    make_course(make_patient(), [START])
    with count_statements() as statements:
        found = rates.clinic_rates(clock.now())
    assert len(statements) == 1
    assert found == rates.Rates(courses=2, known=1, response=1, remission=0)


def test_few_courses_are_not_shown_to_everyone(monkeypatch, client) -> None:
    ended_course([20, 8])
    assert rates.shown_rates(clock.now()) is None
    assert "Too few courses have ended here" in client.get("/sources").text
    monkeypatch.setattr(rates, "PUBLIC_FROM", 1)
    assert "For 1 of them we know" in client.get("/sources").text


@pytest.mark.parametrize("role", ["manager", "prescriber"])
def test_staff_see_them_beside_published_figures(client, sign_in, role) -> None:
    ended_course([20, 8])
    sign_in(role)
    page = client.get("/staff/reports/outcomes").text
    assert "100 of 100 people had a response, 0 of 100 are in remission" in page
    assert "Sackeim" in page
