"""Two at once: a link is spent once, a task has one owner, a trigger opens one task. Commits for real, in threads."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from flask import Flask
from sqlalchemy import func, select

from clinic import clock
from clinic.db import db, transaction
from clinic.errors import ClinicError
from clinic.patients import links, operations
from clinic.patients.models import LinkPurpose, LinkRequest, PatientSession
from clinic.tasks import operations as tasks
from clinic.tasks.models import Task, TaskKind, TaskLevel
from tests.builders import TESTER, make_patient, make_staff, make_task

pytestmark = pytest.mark.races
THREADS = 4


def at_once(app: Flask, call: Callable[[int], object]) -> list[object]:
    """Answers of `call(0)`, `call(1)`, ... made at the same moment; a refusal is answered as its code."""
    start = Barrier(THREADS)

    def run(number: int) -> object:
        with app.app_context():
            start.wait()
            try:
                return call(number)
            except ClinicError as error:
                return error.code
            finally:
                db.session.remove()

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(run, range(THREADS)))


def test_a_link_is_spent_once(committed_app) -> None:
    with committed_app.app_context():
        token = links.make_link(LinkPurpose.SIGN_IN, patient_id=make_patient().id)
        db.session.commit()
        answers = at_once(committed_app, lambda _: operations.spend_link(token)[1])
        assert answers.count("expired") == THREADS - 1
        assert db.session.scalar(select(func.count(PatientSession.id))) == 1


def test_pressing_for_a_fresh_link_many_times_is_one_request(committed_app, rings) -> None:
    with committed_app.app_context():
        patient_id = make_patient().id
        db.session.commit()
        at_once(committed_app, lambda _: operations.request_link(patient_id, by=TESTER))
        assert db.session.scalar(select(func.count(LinkRequest.id))) == 1


def test_a_task_has_one_owner(committed_app) -> None:
    with committed_app.app_context():
        task_id, people = make_task().id, [make_staff("nurse").id for _ in range(THREADS)]
        db.session.commit()
        answers = at_once(committed_app, lambda n: tasks.take_task(task_id, staff_id=people[n], by=TESTER))
        assert sorted(map(str, answers)) == ["None", *["conflict"] * (THREADS - 1)]


def test_a_trigger_opens_one_task(committed_app) -> None:
    def trigger(_: int) -> int | None:
        with transaction():
            return tasks.open_within_transaction(
                kind=TaskKind.ASK_PATIENT,
                level=TaskLevel.ROUTINE,
                dedupe_key="ask:1",
                for_role="front_desk",
                due_at=clock.now(),
                by=TESTER,
            )

    answers = at_once(committed_app, trigger)
    assert answers.count(None) == THREADS - 1
    with committed_app.app_context():
        assert db.session.scalar(select(func.count(Task.id))) == 1
