"""Two at once: rules are kept once, a decision, an opinion and a verification have one author. Commits for real, in threads."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from threading import Barrier

import pytest
from flask import Flask
from sqlalchemy import func, select

from clinic.db import db
from clinic.eligibility import opinions, queries, rule_versions, verification
from clinic.eligibility.models import Assessment, Decision, Opinion, PolicyVerification, RuleVersion
from clinic.eligibility.operations import Decide, assess_intake, decide, reassess, submit_record
from clinic.errors import ClinicError
from tests.builders import TESTER, eligible_record, make_intake, make_patient, make_staff

pytestmark = pytest.mark.races
THREADS = 4
POLICY = "cigna_evernorth_en0383"


@pytest.fixture(autouse=True)
def _quiet(rings: list[object]) -> None:
    """Doorbells are not rung."""


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


def test_the_first_use_of_the_rules_by_many_keeps_each_entry_once(committed_app: Flask) -> None:
    with committed_app.app_context():
        ids = [make_patient().id for _ in range(THREADS)]
        db.session.commit()
        answers = at_once(committed_app, lambda number: submit_record(ids[number], eligible_record(), by=TESTER)[1])
        assert all(isinstance(each, int) for each in answers)
        used = queries.assessment(int(str(answers[0]))).rules
        assert db.session.scalar(select(func.count(RuleVersion.id))) == len(used)


def test_an_intake_is_assessed_once_whoever_rings(committed_app: Flask) -> None:
    with committed_app.app_context():
        intake_id = make_intake(record=eligible_record()).id
        db.session.commit()
        answers = at_once(committed_app, lambda _: assess_intake(intake_id, by=TESTER))
        assert len(set(answers)) == 1
        assert db.session.scalar(select(func.count(Assessment.id))) == 1


def test_assessing_again_by_many_leaves_one_that_counts(committed_app: Flask) -> None:
    with committed_app.app_context():
        patient_id = make_patient().id
        db.session.commit()
        submit_record(patient_id, eligible_record(), by=TESTER)
        answers = at_once(committed_app, lambda _: reassess(patient_id, reason="rules changed", by=TESTER))
        assert len(set(answers)) == THREADS
        present = select(func.count(Assessment.id)).where(Assessment.superseded_at.is_(None))
        assert db.session.scalar(present) == 1


def test_a_decision_that_is_pressed_many_times_is_one(committed_app: Flask) -> None:
    with committed_app.app_context():
        patient_id, staff_id = make_patient().id, make_staff("prescriber").id
        db.session.commit()
        submit_record(patient_id, eligible_record(), by=TESTER)
        command = Decide(patient_id=patient_id, pathway="tms", decision="approve", reason="suits")
        answers = at_once(committed_app, lambda _: decide(command, staff_id=staff_id, by=TESTER))
        assert len(set(answers)) == 1
        assert db.session.scalar(select(func.count(Decision.id))) == 1


def test_an_opinion_has_one_author(committed_app: Flask) -> None:
    with committed_app.app_context():
        patient_id = make_patient().id
        asker, *others = [make_staff("prescriber").id for _ in range(THREADS + 1)]
        db.session.commit()
        _, assessment_id = submit_record(patient_id, eligible_record(), by=TESTER)
        question = opinions.AskOpinion(assessment_id=assessment_id, pathway="tms", question="Would you?")
        asked = at_once(committed_app, lambda _: opinions.ask(question, staff_id=asker, by=TESTER))
        assert len(set(asked)) == 1
        opinion_id = int(str(asked[0]))
        answers = at_once(
            committed_app,
            lambda n: opinions.give(opinion_id, opinion="agree", reason="yes", staff_id=others[n], by=TESTER),
        )
        assert answers.count("conflict") == THREADS - 1
        assert db.session.scalar(select(func.count(Opinion.id))) == 1


def test_a_policy_is_verified_by_one_at_a_time(committed_app: Flask) -> None:
    with committed_app.app_context():
        staff = [make_staff("manager").id for _ in range(THREADS)]
        db.session.commit()
        today = date(2026, 11, 23)
        shown = rule_versions.policy(POLICY).content_hash.hex()
        command = verification.Verify(policy_id=POLICY, read_on=today, where="there", content_hash=shown)
        at_once(committed_app, lambda n: verification.verify(command, today=today, staff_id=staff[n], by=TESTER))
        present = select(func.count(PolicyVerification.id)).where(PolicyVerification.superseded_at.is_(None))
        assert db.session.scalar(present) == 1
