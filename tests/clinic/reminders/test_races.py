"""Two sweeps and two workers at once, committing for real."""

import threading
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from clinic import clock
from clinic.db import db
from clinic.patients.models import MessageStyle
from clinic.reminders import ledger, sending
from clinic.reminders.models import Message
from clinic.surveys import operations as surveys
from clinic.surveys.models import Score, Survey
from tests.builders import (
    TESTER,
    course_sessions,
    make_course,
    make_device,
    make_location,
    make_patient,
    make_profile,
    phq9_answers,
)

pytestmark = pytest.mark.races

AT_FOUR = datetime(2026, 11, 24, 0, tzinfo=UTC)
TOMORROW = datetime(2026, 11, 24, 18, tzinfo=UTC)


def together(app: Flask, *calls: Callable[[], Any]) -> list[Any]:
    """Run the calls in threads that start at once; answers their results."""
    gate, results = threading.Barrier(len(calls)), []

    def run(call: Callable[[], Any]) -> None:
        with app.app_context():
            gate.wait()
            try:
                results.append(call())
            finally:
                db.session.remove()

    threads = [threading.Thread(target=run, args=[call]) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(results) == len(calls)
    return results


def book(count: int) -> list[int]:
    """Courses of `count` patients with one visit tomorrow each."""
    make_profile()
    site = make_location()
    ids = []
    for _ in range(count):
        patient = make_patient(consents={"email": True})
        patient.message_style = MessageStyle.EACH
        ids.append(make_course(patient, [TOMORROW], device=make_device(site)).id)
    db.session.commit()
    return ids


def test_two_sweeps_write_every_row_once(committed_app: Flask) -> None:
    with committed_app.app_context(), clock.frozen(AT_FOUR):
        book(8)
        found = together(committed_app, *[ledger.collect_due] * 4)
        assert db.session.scalar(select(func.count()).select_from(Message)) == 8
    assert {len(ids) for ids in found} <= set(range(9))


def test_one_of_many_workers_sends(committed_app: Flask, channel: Any) -> None:
    with committed_app.app_context(), clock.frozen(AT_FOUR):
        book(3)
        ids = ledger.collect_due()
        together(committed_app, *[lambda n=n: sending.send_message(n) for n in ids for _ in range(4)])
        assert Counter(db.session.scalars(select(Message.state))) == {"sent": 3}
    assert sorted(Counter(sent.reference for sent in channel.sent).values()) == [1, 1, 1]


def test_changes_of_one_plan_stay_one_message_with_many_workers(committed_app: Flask, channel: Any) -> None:
    with committed_app.app_context(), clock.frozen(AT_FOUR):
        make_profile()
        patient = make_patient(consents={"email": True})
        patient.message_style = MessageStyle.EACH
        starts = [TOMORROW.replace(day=day) for day in (25, 26, 27)]
        course = make_course(patient, starts)
        for visit in course_sessions(course):
            visit.revision = 1
        db.session.commit()
        ids = ledger.collect_due()
        together(committed_app, *[lambda n=n: sending.send_message(n) for n in ids])
        assert Counter(db.session.scalars(select(Message.state))) == {"sent": 1, "void": 2}
    assert len(channel.sent) == 1


def test_two_devices_keep_one_answer(committed_app: Flask) -> None:
    with committed_app.app_context(), clock.frozen(AT_FOUR):
        make_profile()
        course = make_course(make_patient(), [TOMORROW], state="running")
        survey = Survey(
            patient_id=course.patient_id,
            course_id=course.id,
            occasion="session:5",
            instruments=["phq9"],
            milestone=0,
            state="open",
            due_at=AT_FOUR,
            late_after=TOMORROW,
            is_late=False,
            draft=phq9_answers(1),
        )
        db.session.add(survey)
        db.session.commit()
        key = survey.id
        won = together(committed_app, *[lambda: surveys.send_answers(key, by=TESTER)] * 4)
        assert db.session.scalar(select(func.count()).select_from(Score)) == 1
    assert sorted(won) == [False, False, False, True]


def test_two_survey_sweeps_open_one(committed_app: Flask, rings: list[Any]) -> None:
    with committed_app.app_context(), clock.frozen(AT_FOUR):
        make_profile()
        course = make_course(make_patient(), [TOMORROW.replace(day=day) for day in (16, 17, 18, 19, 20)])
        course.state = "running"
        for visit in course_sessions(course):
            visit.state, visit.ended_at = "completed", visit.ends_at
        db.session.commit()
        together(committed_app, *[surveys.keep_up] * 4)
        assert db.session.scalar(select(func.count()).select_from(Survey)) == 1
