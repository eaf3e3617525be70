"""A policy counts only while a person of the clinic stands for our file."""

from datetime import date, timedelta
from typing import Any

import pytest
from flask_sqlalchemy import SQLAlchemy

from clinic import clock
from clinic.eligibility import queries, rule_versions, verification
from clinic.eligibility.operations import assess_intake, reassess, submit_record
from clinic.eligibility.verification import PolicyState, Verify
from clinic.errors import Conflict, Invalid, NotFound
from clinic.intake.models import Intake
from tests.builders import TESTER, eligible_record, make_decision, make_intake, make_patient, make_staff

CIGNA, AETNA, SPRAVATO = "cigna_evernorth_en0383", "aetna_cpb_0469", "cigna_spravato"
TODAY = date(2026, 11, 23)


@pytest.fixture(autouse=True)
def _quiet(database: SQLAlchemy, now: Any, rings: Any) -> None:
    """The clock is held at TODAY, doorbells are not rung."""


def switch_on(policy_id: str = CIGNA, *, read_on: date = TODAY, staff_id: int | None = None) -> int:
    command = Verify(
        policy_id=policy_id,
        read_on=read_on,
        where="https://payer.example/policy.pdf",
        content_hash=rule_versions.policy(policy_id).content_hash.hex(),
    )
    return verification.verify(command, today=TODAY, staff_id=staff_id or make_staff("manager").id, by=TESTER)


def shown(patient_id: int) -> dict[str, Any]:
    row = queries.present_assessment(patient_id)
    assert row is not None
    return {policy["id"]: policy for policy in row.result["policies"]}


def test_every_policy_is_off_until_somebody_verifies_it() -> None:
    assert {each.state for each in verification.standings(TODAY).values()} == {PolicyState.OFF}
    assert len(verification.standings(TODAY)) == 28
    assert verification.active_policies(TODAY) == []


@pytest.mark.parametrize(("days", "state"), [(0, "on"), (180, "on"), (181, "stale")])
def test_a_verification_is_stale_after_180_days(days: int, state: str) -> None:
    switch_on()
    assert verification.state(CIGNA, TODAY + timedelta(days=days)) == state


def test_a_file_that_changed_is_no_longer_the_one_that_was_verified(monkeypatch: pytest.MonkeyPatch) -> None:
    switch_on()
    table = {**verification.knowledge.policy(CIGNA), "version": "1.1"}
    monkeypatch.setattr(rule_versions.knowledge, "policy", lambda _: table)
    assert verification.state(CIGNA, TODAY) == "changed"
    assert verification.active_policies(TODAY) == []


def test_switched_off_is_off_and_the_history_keeps_both() -> None:
    staff_id = make_staff("manager").id
    switch_on(staff_id=staff_id)
    verification.switch_off(CIGNA, reason="a new text came", today=TODAY, staff_id=staff_id, by=TESTER)
    assert verification.state(CIGNA, TODAY) == "off"
    assert [row.is_on for row in verification.history(CIGNA)] == [False, True]
    with pytest.raises(Conflict, match="off already"):
        verification.switch_off(CIGNA, reason="again", today=TODAY, staff_id=staff_id, by=TESTER)


def test_sent_twice_is_said_once() -> None:
    staff_id = make_staff("manager").id
    assert switch_on(staff_id=staff_id) == switch_on(staff_id=staff_id)
    assert len(verification.history(CIGNA)) == 1


@pytest.mark.parametrize(
    ("read_on", "where", "field"),
    [
        (TODAY + timedelta(days=1), "x", "read_on"),
        (TODAY - timedelta(days=181), "x", "read_on"),
        (TODAY, " ", "where"),
        (TODAY, "x" * 1001, "where"),
    ],
)
def test_a_reading_that_cannot_count_is_refused_by_field(read_on: date, where: str, field: str) -> None:
    command = Verify(policy_id=CIGNA, read_on=read_on, where=where, content_hash="")
    with pytest.raises(Invalid) as refused:
        verification.verify(command, today=TODAY, staff_id=1, by=TESTER)
    assert refused.value.details["fields"] == [field]


def test_a_file_that_changed_while_it_was_read_is_not_switched_on() -> None:
    command = Verify(policy_id=CIGNA, read_on=TODAY, where="x", content_hash="00")
    with pytest.raises(Conflict, match="changed while you read"):
        verification.verify(command, today=TODAY, staff_id=1, by=TESTER)


def test_an_unknown_policy_is_not_found() -> None:
    with pytest.raises(NotFound):
        verification.verify(
            Verify(policy_id="no_such", read_on=TODAY, where="x", content_hash=""), today=TODAY, staff_id=1, by=TESTER
        )


# -- what assessments make of it --------------------------------------------------------------------------------------


def test_no_payers_verdict_is_made_by_a_policy_that_is_off() -> None:
    patient = make_patient()
    _, assessment_id = submit_record(patient.id, eligible_record(payer="Cigna"), by=TESTER)
    row = queries.assessment(assessment_id)
    assert row.result["policies"] == []
    assert set(row.payer_policies) == {CIGNA, SPRAVATO}
    assert row.result["next_steps"][-1]["code"] == "payer_policy"


def test_a_verified_policy_gives_its_verdict_with_the_day_and_the_patients_own_stands_first() -> None:
    switch_on(AETNA, read_on=date(2026, 11, 3))
    switch_on(CIGNA)
    patient = make_patient()
    submit_record(patient.id, eligible_record(payer="Cigna"), by=TESTER)
    found = shown(patient.id)
    assert list(found) == [CIGNA, AETNA]
    assert found[AETNA]["verified_on"] == "2026-11-03"


def test_a_payers_policy_never_changes_the_clinical_answer() -> None:
    patient, other = make_patient(), make_patient()
    submit_record(patient.id, eligible_record(payer="Aetna"), by=TESTER)
    switch_on(AETNA)
    submit_record(other.id, eligible_record(payer="Aetna"), by=TESTER)
    before, after = queries.present_assessment(patient.id), queries.present_assessment(other.id)
    assert shown(other.id)[AETNA]["verdict"] == "not_met"
    assert (before.result["trd"], before.result["pathways"]) == (after.result["trd"], after.result["pathways"])


def test_a_stale_policy_is_left_out() -> None:
    switch_on()
    patient = make_patient()
    with clock.frozen(clock.now() + timedelta(days=182)):
        submit_record(patient.id, eligible_record(payer="Cigna"), by=TESTER)
    assert shown(patient.id) == {}


def test_reassessing_supersedes_and_keeps_the_older_one_whole() -> None:
    patient = make_patient()
    intake_id, old_id = submit_record(patient.id, eligible_record(payer="Cigna"), by=TESTER)
    old = queries.assessment(old_id)
    before = (old.result_hash, dict(old.result))
    switch_on()
    new_id = reassess(patient.id, reason="Cigna is on", by=TESTER)
    assert queries.present_assessment(patient.id).id == new_id
    assert (old.result_hash, old.result) == before
    assert old.superseded_at is not None
    assert queries.assessment(new_id).intake_id == intake_id
    assert assess_intake(intake_id, by=TESTER) == new_id


def test_reassessing_what_is_settled_does_not_ask_again_unless_a_verdict_changed() -> None:
    patient = make_patient()
    submit_record(patient.id, eligible_record(payer="Cigna"), by=TESTER)
    row = queries.present_assessment(patient.id)
    make_decision(patient, assessment_id=row.id)
    switch_on()
    new_id = reassess(patient.id, reason="Cigna is on", by=TESTER)
    assert queries.assessment(new_id).waits is False
    assert queries.worklist() == []


def test_reassessing_needs_a_reason_and_something_that_was_sent() -> None:
    patient = make_patient()
    with pytest.raises(Invalid):
        reassess(patient.id, reason=" ", by=TESTER)
    with pytest.raises(Conflict, match="intake comes first"):
        reassess(patient.id, reason="rules changed", by=TESTER)


def test_a_changed_verdict_after_a_decision_opens_the_review_again(database: SQLAlchemy) -> None:
    patient = make_patient()
    intake = make_intake(patient, record=eligible_record())
    row = queries.assessment(assess_intake(intake.id, by=TESTER))
    make_decision(patient, assessment_id=row.id)
    database.session.get(Intake, intake.id).record = eligible_record(trials=[])
    database.session.flush()
    new_id = reassess(patient.id, reason="rules changed", by=TESTER)
    assert queries.assessment(new_id).waits is True
    assert [each.assessment_id for each in queries.worklist()] == [new_id]
