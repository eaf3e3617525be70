"""The sweep over real rows opens what the plain model says: its query may look at too much, never at too little."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from sqlalchemy import select

from clinic import clock
from clinic.db import db
from clinic.scheduling.models import Course
from clinic.surveys import operations
from clinic.surveys.models import Score, Survey, WeeklyAsk
from tests.builders import course_sessions, make_course, make_patient, make_staff
from tests.clinic.surveys.histories import WHOLE, History, expected, histories, state_at, ticks

FIRST = datetime(2026, 11, 2, 18, tzinfo=UTC)
STATES = {"booked": "booked", "running": "running", "paused": "paused", "whole": "completed", "stopped": "discontinued"}
FIXTURES = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


def booked(history: History) -> Course:
    """The course before anything happened: sessions a day apart, or where the history says that they are given."""
    hours = [event.hour for event in history.events if event.kind == "give"]
    last = max(hours, default=-24)
    hours += [last + 24 * n for n in range(1, WHOLE - len(hours) + 1)]
    starts = sorted({0, *hours})  # one at hour 0 that was not given is late: it says when the course was to begin
    course = make_course(make_patient(), [FIRST + timedelta(hours=hour) for hour in starts], planned_sessions=WHOLE)
    if history.has_baseline:
        db.session.add(
            Score(
                patient_id=course.patient_id,
                instrument="phq9",
                instrument_version="1.0",
                items=[1] * 9,
                result={"total": 9},
                taken_at=FIRST - timedelta(days=3),
                source="staff",
            )
        )
    if history.is_weekly:
        staff = make_staff("nurse").id
        db.session.add(WeeklyAsk(course_id=course.id, reason="payer", asked_by=staff, asked_at=FIRST))
    db.session.flush()
    return course


def live(course: Course, history: History, hour: int) -> None:
    """Bring the rows to where the history stands at this hour."""
    given = {event.hour for event in history.events if event.kind == "give" and event.hour <= hour}
    for session in course_sessions(course):
        if round((session.starts_at - FIRST) / timedelta(hours=1)) in given and session.state != "completed":
            session.state, session.ended_at = "completed", session.starts_at
    course.state = STATES[state_at(history.events, hour)]
    if course.state == "completed":
        course.ended_at = FIRST + timedelta(hours=max(given))
    db.session.flush()


def opened_by_sweeps(history: History) -> dict[str, int]:
    course = booked(history)
    turns = sorted({event.hour for event in history.events})
    for hour in ticks(history):
        if any(hour - 8 < turn <= hour for turn in turns):
            live(course, history, hour)
        with clock.frozen(FIRST + timedelta(hours=hour)):
            operations.keep_up()
    rows = db.session.scalars(select(Survey).where(Survey.course_id == course.id))
    return {row.occasion: round((row.due_at - FIRST) / timedelta(hours=1)) for row in rows}


@settings(max_examples=2, deadline=None, suppress_health_check=FIXTURES)
@given(histories())
def test_sweeps_over_rows_open_what_the_model_says(database: Any, rings: list[Any], history: History) -> None:
    assert opened_by_sweeps(history) == expected(history, ticks(history))


@pytest.mark.soak
@settings(max_examples=60, deadline=None, suppress_health_check=FIXTURES)
@given(histories())
def test_many_sweeps_open_what_the_model_says(database: Any, rings: list[Any], history: History) -> None:
    assert opened_by_sweeps(history) == expected(history, ticks(history))
