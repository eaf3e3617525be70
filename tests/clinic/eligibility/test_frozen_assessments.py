"""What was assessed stays as it was, and the same input by the same rules gives the same bytes."""

import json
from datetime import date
from typing import Any

import pytest
from flask_sqlalchemy import SQLAlchemy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clinic.eligibility import queries
from clinic.eligibility.engine import IntakeRecord
from clinic.eligibility.operations import Decide, answer, decide, reassess, result_hash, submit_record
from tests.builders import TESTER, eligible_record, failed_trial, make_patient, make_staff

CHECKS = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
trials = st.lists(
    st.builds(
        failed_trial,
        st.sampled_from(["sertraline", "Effexor XR", "bupropion", "Celebrex", "lithium"]),
        st.sampled_from([25, 75, 150, 300]),
        weeks_at_dose=st.sampled_from([2, 4, 6, 8]),
        outcome=st.sampled_from(["none", "partial", "remission", "unknown"]),
    ),
    max_size=4,
)
records = st.builds(
    eligible_record,
    trials=trials,
    age=st.one_of(st.none(), st.integers(15, 80)),
    mdq_positive=st.sampled_from([True, False, None]),
    audit_c=st.sampled_from([0, 4, 9]),
    payer=st.sampled_from(["Cigna", "Aetna", "Nowhere Health", None]),
)
verified = st.lists(st.sampled_from(["cigna_evernorth_en0383", "aetna_cpb_0469", "tricare"]), unique=True).map(
    lambda ids: dict.fromkeys(ids, date(2026, 11, 3))
)


@given(records, verified)
@settings(max_examples=60, deadline=None, suppress_health_check=CHECKS)
def test_the_same_record_and_rules_give_the_same_bytes(record: dict[str, Any], policies: dict[str, date]) -> None:
    one, other = (answer(IntakeRecord.model_validate(record), policies) for _ in range(2))
    assert json.dumps(one).encode() == json.dumps(other).encode()
    assert result_hash(one) == result_hash(json.loads(json.dumps(one)))


@given(records, verified)
@settings(max_examples=60, deadline=None, suppress_health_check=CHECKS)
def test_policies_never_change_the_clinical_answer(record: dict[str, Any], policies: dict[str, date]) -> None:
    with_them, without = (answer(IntakeRecord.model_validate(record), each) for each in (policies, {}))
    for part in ("trd", "trials", "pathways", "urgent", "staging"):
        assert with_them[part] == without[part]


@pytest.fixture(autouse=True)
def _quiet(now: Any, rings: Any) -> None:
    """The clock is held, doorbells are not rung."""


@given(st.lists(records, min_size=2, max_size=2))
@settings(max_examples=3, deadline=None, suppress_health_check=CHECKS)
def test_a_superseded_assessment_never_changes(database: SQLAlchemy, history: list[dict[str, Any]]) -> None:
    keep_all(history)


@pytest.mark.soak
@given(st.lists(records, min_size=2, max_size=6))
@settings(max_examples=40, deadline=None, suppress_health_check=CHECKS)
def test_superseded_assessments_of_a_long_history_never_change(
    database: SQLAlchemy, history: list[dict[str, Any]]
) -> None:
    keep_all(history)


def keep_all(history: list[dict[str, Any]]) -> None:
    """One assessment after the other, each decided on and made again; all read as they were made."""
    patient, prescriber = make_patient(), make_staff("prescriber")
    kept: dict[int, tuple[bytes, bytes]] = {}
    for record in history:
        _, made = submit_record(patient.id, record, by=TESTER)
        kept[made] = said(made)
        decide(
            Decide(patient_id=patient.id, pathway="tms", decision="approve", override=True, reason="seen"),
            staff_id=prescriber.id,
            by=TESTER,
        )
        again = reassess(patient.id, reason="rules changed", by=TESTER)
        kept[again] = said(again)
    assert {each: said(each) for each in kept} == kept
    assert [row.superseded_at is None for row in queries.assessments(patient.id)] == [True] + [False] * (len(kept) - 1)


def said(assessment_id: int) -> tuple[bytes, bytes]:
    """The stored hash, and that of what is stored."""
    row = queries.assessment(assessment_id)
    assert row.result_hash == result_hash(row.result)
    return row.result_hash, json.dumps([row.record, row.rules, row.trd, row.tms]).encode()


def test_a_second_assessment_of_one_record_is_byte_equal(database: SQLAlchemy) -> None:
    patient = make_patient()
    _, first = submit_record(patient.id, eligible_record(payer="Cigna"), by=TESTER)
    second = reassess(patient.id, reason="again", by=TESTER)
    one, other = queries.assessment(first), queries.assessment(second)
    assert (one.result_hash, one.rules) == (other.result_hash, other.rules)
