"""A course with delivered sessions, and a patient's signed-in phone."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from clinic import clock
from clinic.db import db
from clinic.patients import links
from clinic.patients.models import LinkPurpose, PatientSession
from clinic.patients.signin import COOKIE
from clinic.scheduling.models import Course
from clinic.surveys.models import Survey
from tests.builders import course_sessions, make_course, make_patient, make_profile

FIRST = datetime(2026, 11, 16, 18, tzinfo=UTC)  # Monday a week before `now`


@pytest.fixture
def running(database: Any, now: datetime) -> Callable[..., Course]:
    """`running(delivered)` makes a course of ten weekday sessions, of which this many were given."""

    def make(delivered: int, starts: datetime = FIRST, **overrides: Any) -> Course:
        make_profile()
        days = [starts + timedelta(days=day) for day in range(14) if (starts + timedelta(days=day)).weekday() < 5]
        course = make_course(make_patient(consents={"email": True}), days, state="running", **overrides)
        for session in course_sessions(course)[:delivered]:
            session.state, session.ended_at = "completed", session.ends_at
        db.session.flush()
        return course

    return make


@pytest.fixture
def make_survey(database: Any) -> Callable[..., Survey]:
    def make(course: Course, **overrides: Any) -> Survey:
        values: dict[str, Any] = {
            "patient_id": course.patient_id,
            "course_id": course.id,
            "instruments": ["phq9"],
            "milestone": 5,
            "state": "open",
            "due_at": clock.now(),
            "late_after": clock.now() + timedelta(hours=72),
            "is_late": False,
        }
        values |= overrides
        milestone = values["milestone"]
        values.setdefault("occasion", f"session:{milestone}" if milestone else "baseline")
        survey = Survey(**values)
        db.session.add(survey)
        db.session.flush()
        return survey

    return make


@pytest.fixture
def phone(client: Any) -> Callable[..., Any]:
    """`phone(survey)` is a browser that opened the check-in's link and gave the date of birth."""

    def open_link(survey: Survey, purpose: LinkPurpose = LinkPurpose.SURVEY) -> Any:
        survey_id = survey.id if purpose == LinkPurpose.SURVEY else None
        cookie = links.open_session(purpose, patient_id=survey.patient_id, survey_id=survey_id)
        db.session.flush()
        row = db.session.query(PatientSession).filter_by(token_hash=links.digest(cookie)).one()
        row.birth_date_checked_at = clock.now()
        db.session.flush()
        client.set_cookie(COOKIE, cookie)
        return client

    return open_link
