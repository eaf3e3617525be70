"""Two at once: one intake, one medicine row, one safety task, no answer lost."""

import threading
import uuid
from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import func, select

from clinic.db import db
from clinic.intake import amending, operations, queries
from clinic.intake.models import AmendmentSource, Intake, IntakePage, IntakeTrial
from clinic.tasks.models import Task
from tests.builders import TESTER, make_location, make_profile

pytestmark = pytest.mark.races

ABOUT = {"given": "Ada", "family": "Example", "birth_month": "5", "birth_day": "17", "birth_year": "1980"}


@pytest.fixture
def intake_id(committed_app: Flask, rings: object) -> int:
    with committed_app.app_context():
        make_profile()
        make_location()
        db.session.commit()
        found, _cookie = operations.start_intake()
        for page, values in (("about", ABOUT), ("contact", {"email": "ada@example.org"})):
            save(found, page, values)
        return found


def save(intake_id: int, page: str, values: dict[str, str], form: str = "a") -> operations.Saved:
    return operations.save_page(intake_id, page, values, is_complete=True, revision=0, form=form, by=TESTER)


def at_once(app: Flask, *calls: Callable[[], object]) -> list[object]:
    """Every call in a thread of its own, released together; what they answered or raised."""
    gate, answers = threading.Barrier(len(calls)), [None] * len(calls)

    def run(n: int) -> None:
        with app.app_context():
            gate.wait()
            try:
                answers[n] = calls[n]()
            except Exception as error:  # noqa: BLE001 - the test looks at it
                answers[n] = error
            finally:
                db.session.remove()

    threads = [threading.Thread(target=run, args=(n,)) for n in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return list(answers)


def test_sent_by_six_at_once_it_is_one_intake(committed_app, intake_id) -> None:
    answers = at_once(committed_app, *[lambda: operations.submit_intake(intake_id, by=TESTER)] * 6)
    assert answers == [intake_id] * 6
    with committed_app.app_context():
        tasks = db.session.scalar(select(func.count()).where(Task.kind == "review_intake"))
        assert (queries.get(intake_id).state, tasks) == ("submitted", 1)


def test_the_same_medicine_sent_by_four_at_once_is_one_row(committed_app, intake_id) -> None:
    key = str(uuid.uuid4())
    answers = at_once(committed_app, *[lambda: operations.add_trial(intake_id, key, "Zoloft", by=TESTER)] * 4)
    assert answers == [key] * 4
    with committed_app.app_context():
        assert db.session.scalar(select(func.count()).select_from(IntakeTrial)) == 1


def test_a_page_first_saved_by_four_at_once_is_one_row_and_no_answer_is_overwritten(committed_app, intake_id) -> None:
    calls = [lambda n=n: save(intake_id, "cover", {"payer": f"Plan {n}"}, form=f"tab {n}") for n in range(4)]
    answers = at_once(committed_app, *calls)
    assert sum(answer.clash is None for answer in answers) == 1
    with committed_app.app_context():
        assert db.session.scalar(select(func.count()).where(IntakePage.page == "cover")) == 1


def test_item_9_answered_by_four_at_once_is_one_task(committed_app, intake_id) -> None:
    answers = at_once(committed_app, *[lambda: save(intake_id, "phq9-9", {"answer": "2"})] * 4)
    assert [answer.level for answer in answers] == ["same_day"] * 4
    with committed_app.app_context():
        assert db.session.scalar(select(func.count()).where(Task.kind == "safety")) == 1


def test_saving_while_it_is_sent_is_kept_or_refused_never_half(committed_app, intake_id) -> None:
    sent, saved = at_once(
        committed_app,
        lambda: operations.submit_intake(intake_id, by=TESTER),
        lambda: save(intake_id, "cover", {"payer": "Aetna"}),
    )
    assert sent == intake_id
    with committed_app.app_context():
        frozen = queries.get(intake_id).record
        assert ("payer" in frozen) == isinstance(saved, operations.Saved)


def test_six_facts_added_at_once_are_all_kept(committed_app, intake_id) -> None:
    with committed_app.app_context():
        operations.submit_intake(intake_id, by=TESTER)
        patient_id = queries.get(intake_id).patient_id
    fields = ["audit_c", "mdq_positive", "sex", "payer", "age", "safety.fainting"]

    def amend(path: str) -> int:
        change = amending.Change(path, 1, AmendmentSource.CLINICIAN)
        return amending.amend(patient_id, [change], reason="told", by=TESTER)

    answers = at_once(committed_app, *[lambda path=path: amend(path) for path in fields])
    assert sorted(answers) == sorted(set(answers))
    with committed_app.app_context():
        last = queries.latest_submitted(patient_id)
        assert (last.record["audit_c"], last.record["safety"]["fainting"]) == (1, 1)
        assert {path for path in fields[:5] if last.record[path] == 1} == set(fields[:5])
        states = db.session.scalars(select(Intake.state).order_by(Intake.id)).all()
        assert states == ["superseded"] * 6 + ["submitted"]
