"""Several press the same button of the care pages at once, for real: own database, own connections, threads."""

import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from flask import Flask
from sqlalchemy import func, select

from clinic import clock
from clinic.care import operations, planning
from clinic.care.models import PatientQuestion, Release
from clinic.db import db
from clinic.eligibility import operations as eligibility
from clinic.errors import Conflict
from clinic.tasks.models import Task
from tests.builders import TESTER, eligible_record, make_patient, make_staff

pytestmark = pytest.mark.races
CLIENTS = 6


def all_at_once(app: Flask, step: Callable[[], object]) -> list[object]:
    """What each of several threads got: the answer or the Conflict."""
    together = Barrier(CLIENTS)

    def one(_number: int) -> object:
        with app.app_context():
            together.wait()
            try:
                return step()
            except Conflict as refusal:
                return refusal
            finally:
                db.session.remove()

    with ThreadPoolExecutor(CLIENTS) as pool:
        return list(pool.map(one, range(CLIENTS)))


def prepared() -> tuple[int, int, int]:
    """Patient, staff member, and the revision of a draft that may be released."""
    patient, staff = make_patient(), make_staff("prescriber")
    db.session.commit()
    _intake, assessment_id = eligibility.submit_record(patient.id, eligible_record(), by=TESTER)
    content = {"opening": "Hello.", "note": "", "lines": [], "missing": [], "options": []}
    start = operations.start_draft(patient.id, assessment_id, content, language="en", staff_id=staff.id, by=TESTER)
    revision = operations.save_draft(
        patient.id,
        content,
        next_step="See us.",
        next_step_on=clock.today("America/Los_Angeles") + timedelta(days=3),
        revision=start,
        staff_id=staff.id,
        by=TESTER,
    )
    return patient.id, staff.id, revision


def count(statement: object) -> int:
    return db.session.scalar(statement) or 0  # type: ignore[call-overload]


def test_one_press_of_release_wins(committed_app, rings) -> None:
    with committed_app.app_context():
        patient_id, staff_id, revision = prepared()
        got = all_at_once(
            committed_app, lambda: operations.release(patient_id, revision=revision, staff_id=staff_id, by=TESTER)
        )
        assert sum(isinstance(each, int) for each in got) == 1
        assert sum(isinstance(each, Conflict) for each in got) == CLIENTS - 1
        assert count(select(func.count()).select_from(Release)) == 1


def test_one_form_is_one_question_and_one_date_is_one_task(committed_app, rings) -> None:
    with committed_app.app_context():
        patient_id, staff_id, revision = prepared()
        operations.release(patient_id, revision=revision, staff_id=staff_id, by=TESTER)
        key = str(uuid.uuid4())
        got = all_at_once(
            committed_app, lambda: operations.ask(patient_id, about="summary", text="Why?", form_key=key, by=TESTER)
        )
        assert sorted(map(bool, got)) == [False] * (CLIENTS - 1) + [True]
        assert count(select(func.count()).select_from(PatientQuestion)) == 1
        assert count(select(func.count()).where(Task.kind == "patient_question")) == 1
        with clock.frozen(clock.now() + timedelta(days=4)):
            opened = all_at_once(committed_app, planning.open_due_tasks)
        assert sum(len(each) for each in opened) == 1  # type: ignore[arg-type]
        assert count(select(func.count()).where(Task.kind == "plan_step")) == 1
