"""A second opinion informs and never holds."""

from typing import Any

import pytest
from flask_sqlalchemy import SQLAlchemy

from clinic.eligibility import opinions, queries
from clinic.eligibility.operations import Decide, decide, submit_record
from clinic.eligibility.opinions import AskOpinion
from clinic.errors import Conflict, Invalid, NotFound, Refused
from clinic.tasks.models import Task
from tests.builders import TESTER, eligible_record, make_patient, make_staff


@pytest.fixture(autouse=True)
def _quiet(database: SQLAlchemy, now: Any, rings: Any) -> None:
    """The clock is held, doorbells are not rung."""


def asked(assessment_id: int, asker: int, **overrides: Any) -> int:
    values = {"assessment_id": assessment_id, "pathway": "tms", "question": "Fainted once. Would you start?"}
    return opinions.ask(AskOpinion(**values | overrides), staff_id=asker, by=TESTER)


def sent() -> int:
    return submit_record(make_patient().id, eligible_record(), by=TESTER)[1]


def open_tasks(database: SQLAlchemy) -> list[Task]:
    return database.session.query(Task).filter_by(kind="second_opinion", closed_at=None).all()


def test_asking_opens_a_task_for_prescribers_and_answering_closes_it(database: SQLAlchemy) -> None:
    asker, other = make_staff("prescriber"), make_staff("prescriber")
    opinion_id = asked(sent(), asker.id, asked_of=other.id)
    assert [task.for_role for task in open_tasks(database)] == ["prescriber"]
    opinions.give(opinion_id, opinion="disagree", reason="work up the fainting first", staff_id=other.id, by=TESTER)
    assert open_tasks(database) == []
    row = opinions.get(opinion_id)
    assert (row.opinion, row.given_by) == ("disagree", other.id)


def test_nobody_answers_their_own_question() -> None:
    asker = make_staff("prescriber")
    opinion_id = asked(sent(), asker.id)
    with pytest.raises(Refused, match="somebody else"):
        opinions.give(opinion_id, opinion="agree", reason="I agree with me", staff_id=asker.id, by=TESTER)
    with pytest.raises(Invalid, match="somebody else"):
        asked(sent(), asker.id, asked_of=asker.id)


def test_a_question_sent_twice_is_one_and_another_one_waits_its_turn() -> None:
    asker, assessment_id = make_staff("prescriber"), sent()
    assert asked(assessment_id, asker.id) == asked(assessment_id, asker.id)
    with pytest.raises(Conflict, match="waits"):
        asked(assessment_id, asker.id, question="another question")
    assert asked(assessment_id, asker.id, pathway="esketamine")


def test_an_answer_sent_twice_is_one_and_a_second_one_is_refused() -> None:
    asker, other, third = (make_staff("prescriber") for _ in range(3))
    opinion_id = asked(sent(), asker.id)
    answer = {"opinion": "agree", "reason": "as I would", "by": TESTER}
    first = opinions.give(opinion_id, staff_id=other.id, **answer)
    assert opinions.give(opinion_id, staff_id=other.id, **answer) == first
    with pytest.raises(Conflict, match="given already"):
        opinions.give(opinion_id, staff_id=third.id, **answer)


def test_only_prescribers_are_asked_and_only_about_what_counts_now() -> None:
    asker, nurse, patient = make_staff("prescriber"), make_staff("nurse"), make_patient()
    _, old = submit_record(patient.id, eligible_record(), by=TESTER)
    with pytest.raises(Invalid, match="Choose a prescriber"):
        asked(old, asker.id, asked_of=nurse.id)
    submit_record(patient.id, eligible_record(), by=TESTER)
    with pytest.raises(Conflict, match="newer"):
        asked(old, asker.id)


@pytest.mark.parametrize("wrong", [{"question": " "}, {"question": "x" * 4001}, {"pathway": "ect"}])
def test_a_question_without_words_or_treatment_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        asked(sent(), make_staff("prescriber").id, **wrong)


@pytest.mark.parametrize("wrong", [{"opinion": "maybe"}, {"reason": " "}])
def test_an_answer_without_choice_or_reason_is_refused(wrong: dict[str, Any]) -> None:
    opinion_id = asked(sent(), make_staff("prescriber").id)
    values = {"opinion": "agree", "reason": "as I would"}
    with pytest.raises(Invalid):
        opinions.give(opinion_id, **values | wrong, staff_id=make_staff("prescriber").id, by=TESTER)


def test_an_opinion_that_is_not_there_is_not_found() -> None:
    with pytest.raises(NotFound):
        opinions.give(10**9, opinion="agree", reason="x", staff_id=1, by=TESTER)


def test_a_waiting_opinion_does_not_hold_the_decision() -> None:
    asker, assessment_id = make_staff("prescriber"), sent()
    asked(assessment_id, asker.id)
    patient_id = queries.assessment(assessment_id).patient_id
    decide(Decide(patient_id=patient_id, pathway="tms", decision="approve"), staff_id=asker.id, by=TESTER)
    assert queries.approving_decision(patient_id, "tms") is not None
