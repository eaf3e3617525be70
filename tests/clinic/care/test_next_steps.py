"""Nobody without a next dated action: what counts as one for people whose course is over, held, or unanswered."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from clinic import clock
from clinic.care import queries
from clinic.db import db
from clinic.surveys import operations as surveys
from clinic.surveys.plans import plans
from clinic.treatment import telling
from tests.builders import TESTER, course_sessions, make_course, make_intake, make_patient, make_staff

NOW = datetime(2026, 11, 23, 18, tzinfo=UTC)


def is_listed(patient: Any, at: datetime = NOW) -> bool:
    found = queries.without_next_step(at, at.date(), location_ids=frozenset(), limit=500)
    return patient.id in {row.patient_id for row in found}


@pytest.fixture
def person(database: Any, now: datetime, rings: list[Any]) -> Any:
    patient = make_patient()
    make_intake(patient)
    return patient


def ended(patient: Any, days_ago: int, state: str = "completed") -> Any:
    course = make_course(patient, [NOW - timedelta(days=days_ago, hours=1)], state=state)
    course.ended_at = NOW - timedelta(days=days_ago)
    course_sessions(course)[0].state = "completed"
    db.session.flush()
    return course


def test_the_span_of_following_up_is_that_of_the_plans() -> None:
    days = [max(ask.days or ()) for plan in plans().plans for ask in plan.asks if ask.at == "days_after_last"]
    assert set(days) == {queries.FOLLOWED_DAYS}


@pytest.mark.parametrize(("days", "listed"), [(1, False), (179, False), (181, True)])
def test_a_whole_course_is_followed_up_for_half_a_year(person: Any, days: int, listed: bool) -> None:
    ended(person, days)
    assert is_listed(person) is listed


def test_a_course_that_ended_early_is_not_followed_up_by_itself(person: Any) -> None:
    ended(person, 1, "discontinued")
    assert is_listed(person)


def test_an_open_check_in_is_a_next_step_and_a_missed_one_a_call(person: Any) -> None:
    surveys.ask_now(person.id, ["phq9"], nonce="n", by=TESTER)
    assert not is_listed(person)
    for days in (4, 15):
        with clock.frozen(NOW + timedelta(days=days)):
            surveys.keep_up()
    assert not is_listed(person, NOW + timedelta(days=15))


def test_a_held_treatment_has_somebody_who_must_act(person: Any) -> None:
    course = make_course(person, [NOW], state="running")
    session = course_sessions(course)[0]
    session.state = "arrived"
    db.session.flush()
    telling.record_event(
        session.id,
        kind="seizure",
        severity="severe",
        is_serious=True,
        happened_at=NOW,
        note="at the chair",
        staff_id=make_staff("operator").id,
        by=TESTER,
    )
    assert not is_listed(person, NOW + timedelta(days=30))
