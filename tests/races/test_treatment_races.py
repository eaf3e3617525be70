"""Two devices at once, for real: a check-in from phone and paper, a dose and a close pressed twice. One is kept."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from threading import Barrier
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from clinic import clock
from clinic.db import db
from clinic.errors import Conflict
from clinic.surveys import operations as surveys
from clinic.surveys.models import Score
from clinic.tasks.models import Task
from clinic.treatment import observing, telling
from clinic.treatment.models import Observation, TreatmentHold
from clinic.treatment.rules import BEFORE_DOSE, ON_RECORD
from tests.builders import (
    TESTER,
    course_sessions,
    make_course,
    make_device,
    make_location,
    make_patient,
    make_profile,
    make_staff,
    permit_esketamine,
    phq9_answers,
)

pytestmark = pytest.mark.races
NOW = datetime(2026, 11, 23, 18, tzinfo=UTC)


def together(app: Flask, *steps: Callable[[], object]) -> list[object]:
    """What each thread got: the answer, or the refusal."""
    barrier = Barrier(len(steps))

    def one(step: Callable[[], object]) -> object:
        with app.app_context():
            barrier.wait()
            try:
                return step()
            except Conflict as refusal:
                return refusal
            finally:
                db.session.remove()

    with clock.frozen(NOW), ThreadPoolExecutor(len(steps)) as pool:
        return list(pool.map(one, steps))


def count(model: Any) -> int:
    db.session.rollback()
    return db.session.scalar(select(func.count()).select_from(model)) or 0


def test_the_phone_and_the_paper_keep_one_answer(committed_app: Flask) -> None:
    with committed_app.app_context(), clock.frozen(NOW):
        make_profile()
        make_location()
        patient, staff = make_patient().id, make_staff("nurse").id
        db.session.commit()
        key = surveys.ask_now(patient, ["phq9"], nonce="n", by=TESTER)
        surveys.save_answers(key, phq9_answers(1), by=TESTER)

        def paper() -> object:
            return surveys.enter_paper(key, phq9_answers(3), taken_on=date(2026, 11, 23), staff_id=staff, by=TESTER)

        found = together(committed_app, *[lambda: surveys.send_answers(key, by=TESTER), paper] * 3)
        assert count(Score) == 1
        assert sum(one is True or one is None for one in found) == 1


def chair() -> tuple[int, int]:
    """An esketamine visit that begins now, all there but the dose; answers session and nurse."""
    make_profile()
    site, patient, nurse = make_location(), make_patient(), make_staff("nurse").id
    device = make_device(site, kind="chair", protocols=["esketamine_trd"])
    course = make_course(patient, [NOW], device=device, need="obs", protocol="esketamine_trd", state="running")
    session = course_sessions(course)[0]
    session.state = "arrived"
    db.session.commit()
    permit_esketamine(patient, site)
    db.session.commit()
    checks = [key for key in BEFORE_DOSE if key not in ON_RECORD]
    observing.prepare(session.id, checks=checks, ride="brother", by=TESTER)
    read(session.id, nurse, "before")
    return session.id, nurse


def read(session_id: int, nurse: int, moment: str) -> None:
    observing.record_reading(session_id, moment=moment, systolic=120, diastolic=80, staff_id=nurse, by=TESTER)


def test_a_dose_that_is_pressed_twice_is_given_once_and_a_visit_closes_once(committed_app: Flask) -> None:
    with committed_app.app_context(), clock.frozen(NOW):
        session_id, nurse = chair()
        give = together(committed_app, *[lambda: observing.give_dose(session_id, dose_mg=56, lot="", by=TESTER)] * 4)
        assert sum(one is None for one in give) == 1
        with clock.frozen(NOW + timedelta(minutes=41)):
            read(session_id, nurse, "40")
        with clock.frozen(NOW + timedelta(minutes=121)):
            read(session_id, nurse, "leaving")
            observing.mark_leaving(session_id, tuple(observing.LEAVING_MARKS), staff_id=nurse, by=TESTER)

        def close() -> object:
            with clock.frozen(NOW + timedelta(minutes=121)):
                return observing.close(session_id, by=TESTER)

        closed = together(committed_app, *[close] * 4)
        assert sum(one is None for one in closed) == 1
        assert count(Observation) == 1
        assert db.session.scalar(select(func.count()).select_from(Task).where(Task.kind == "safety_form")) == 1


def test_a_seizure_that_two_people_write_down_is_one_hold(committed_app: Flask) -> None:
    with committed_app.app_context(), clock.frozen(NOW):
        session_id, nurse = chair()

        def tell() -> object:
            return telling.record_event(
                session_id,
                kind="seizure",
                severity="severe",
                is_serious=True,
                happened_at=NOW,
                note="seen",
                staff_id=nurse,
                by=TESTER,
            )

        found = together(committed_app, tell, tell, tell)
        assert all(isinstance(one, int) for one in found)
        assert count(TreatmentHold) == 1
