"""Assessing what was sent, and deciding on it."""

from typing import Any

import pytest
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import select

from clinic.eligibility import operations, queries
from clinic.eligibility.models import Assessment
from clinic.eligibility.operations import Decide, decide, submit_record
from clinic.errors import Conflict, Invalid
from clinic.tasks.models import Task
from tests.builders import TESTER, eligible_record, failed_trial, make_patient, make_staff


@pytest.fixture(autouse=True)
def _quiet(database: SQLAlchemy, now: Any, rings: Any) -> None:
    """A database, a held clock, no broker."""


def open_kinds(patient_id: int) -> list[str]:
    return sorted(database_kinds(patient_id))


def database_kinds(patient_id: int) -> list[str]:
    from clinic.db import db

    return list(db.session.scalars(select(Task.kind).where(Task.patient_id == patient_id, Task.closed_at.is_(None))))


def approve(patient_id: int, **overrides: Any) -> int:
    prescriber = make_staff("prescriber")
    command = {"patient_id": patient_id, "pathway": "tms", "decision": "approve", **overrides}
    return decide(Decide(**command), staff_id=prescriber.id, by=TESTER)


def test_a_record_is_stored_with_its_rules_and_as_seen() -> None:
    patient = make_patient()
    _, assessment_id = submit_record(patient.id, eligible_record(), by=TESTER)
    row = queries.assessment(assessment_id)
    assert (row.ruleset, row.trd, row.tms) == ("default", "met", "likely_eligible")
    assert row.record["trials"][0]["drug"] == "sertraline"
    assert row.result["ruleset"] == {"id": "default", "version": row.ruleset_version}


def test_a_later_record_supersedes_and_the_older_stays_readable() -> None:
    patient = make_patient()
    _, first = submit_record(patient.id, eligible_record(), by=TESTER)
    _, second = submit_record(patient.id, eligible_record(trials=[failed_trial("sertraline", 150)]), by=TESTER)
    assert queries.present_assessment(patient.id).id == second
    assert queries.assessment(first).superseded_at is not None
    assert (queries.assessment(first).trd, queries.assessment(second).trd) == ("met", "not_met")


def test_assessing_one_intake_twice_makes_one_assessment(database: SQLAlchemy) -> None:
    patient = make_patient()
    intake_id, assessment_id = submit_record(patient.id, eligible_record(), by=TESTER)
    assert operations.assess_intake(intake_id, by=TESTER) == assessment_id
    assert database.session.query(Assessment).filter_by(intake_id=intake_id).count() == 1


def test_a_bad_record_names_the_field_and_stores_nothing(database: SQLAlchemy) -> None:
    patient = make_patient()
    with pytest.raises(Invalid) as refused:
        submit_record(patient.id, eligible_record(age="forty"), by=TESTER)
    assert refused.value.details["fields"][0]["path"] == "$.age"
    assert queries.present_assessment(patient.id) is None


def test_an_urgent_answer_opens_the_safety_task_with_the_assessment() -> None:
    patient = make_patient()
    record = eligible_record()
    record["cssrs"]["plan"] = True
    submit_record(patient.id, record, by=TESTER)
    assert "safety" in open_kinds(patient.id)


def test_approval_closes_the_review_and_asks_the_desk_to_book() -> None:
    patient = make_patient()
    submit_record(patient.id, eligible_record(), by=TESTER)
    assert open_kinds(patient.id) == ["review_intake"]
    approve(patient.id)
    assert open_kinds(patient.id) == ["book_course"]
    assert queries.approving_decision(patient.id, "tms") is not None
    assert queries.approving_decision(patient.id, "esketamine") is None


def test_approving_what_is_not_likely_eligible_is_an_override_and_needs_a_reason() -> None:
    patient = make_patient()
    submit_record(patient.id, eligible_record(trials=[failed_trial("sertraline", 150)]), by=TESTER)
    with pytest.raises(Invalid, match="override"):
        approve(patient.id, reason="severe illness")
    with pytest.raises(Invalid, match="reason"):
        approve(patient.id, override=True, reason="  ")
    approve(patient.id, override=True, reason="severe illness, seen together with Dr. Example")
    assert queries.approving_decision(patient.id, "tms").is_override


@pytest.mark.parametrize(("decision", "task"), [("ask", "ask_patient"), ("decline", "clinical_review")])
def test_every_decision_opens_the_next_step(decision: str, task: str) -> None:
    patient = make_patient()
    submit_record(patient.id, eligible_record(), by=TESTER)
    with pytest.raises(Invalid, match="reason"):
        approve(patient.id, decision=decision)
    approve(patient.id, decision=decision, reason="therapy letter is missing")
    assert open_kinds(patient.id) == [task]
    assert queries.approving_decision(patient.id, "tms") is None


def test_a_new_decision_supersedes_the_one_before() -> None:
    patient = make_patient()
    submit_record(patient.id, eligible_record(), by=TESTER)
    first = approve(patient.id)
    approve(patient.id, decision="decline", reason="patient changed their mind")
    assert queries.approving_decision(patient.id, "tms") is None
    assert {one.id: one.superseded_at is None for one in queries.decisions(patient.id)}[first] is False


def test_nobody_decides_on_an_assessment_that_was_replaced() -> None:
    patient = make_patient()
    _, old = submit_record(patient.id, eligible_record(), by=TESTER)
    submit_record(patient.id, eligible_record(), by=TESTER)
    with pytest.raises(Conflict, match="newer"):
        approve(patient.id, assessment_id=old)


def test_without_an_intake_there_is_nothing_to_decide() -> None:
    with pytest.raises(Conflict, match="intake comes first"):
        approve(make_patient().id)
