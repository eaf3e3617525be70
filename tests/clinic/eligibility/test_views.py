"""The prescriber's pages."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from clinic.eligibility import queries
from clinic.eligibility.operations import submit_record
from clinic.eligibility.presenter import pathway_rows
from tests.builders import TESTER, eligible_record, make_location, make_patient, make_profile


@pytest.fixture(autouse=True)
def _quiet(client: FlaskClient, now: Any, rings: Any) -> None:
    make_profile()


def test_the_worklist_shows_who_waits_and_forgets_who_was_decided(client: FlaskClient, sign_in: Any) -> None:
    patient = make_patient()
    _, assessment_id = submit_record(patient.id, eligible_record(), by=TESTER)
    sign_in("prescriber", locations=(make_location(),))
    assert patient.record_number in client.get("/staff/eligibility").text
    answer = client.post(f"/staff/eligibility/{assessment_id}", data={"pathway": "tms", "decision": "approve"})
    assert answer.status_code == 302
    assert queries.approving_decision(patient.id, "tms") is not None
    assert patient.record_number not in client.get("/staff/eligibility").text


def test_the_review_shows_threshold_source_and_rule_version(client: FlaskClient, sign_in: Any) -> None:
    patient = make_patient()
    record = eligible_record()
    record["trials"][0]["dose_mg_per_day"] = 25
    _, assessment_id = submit_record(patient.id, record, by=TESTER)
    sign_in("prescriber")
    page = client.get(f"/staff/eligibility/{assessment_id}").text
    for words in ("25 mg below the least adequate dose of 50 mg", "version", "Sources:", "recalled", "Counts if"):
        assert words in page


def test_a_refused_decision_keeps_the_reason_that_was_typed(client: FlaskClient, sign_in: Any) -> None:
    patient = make_patient()
    _, assessment_id = submit_record(patient.id, eligible_record(trials=[]), by=TESTER)
    sign_in("prescriber")
    data = {"pathway": "tms", "decision": "approve", "reason": "words that took a while"}
    answer = client.post(f"/staff/eligibility/{assessment_id}", data=data)
    assert answer.status_code == 422
    assert "words that took a while" in answer.text
    assert queries.decisions(patient.id) == []


@pytest.mark.parametrize(("role", "status"), [("front_desk", 403), ("operator", 403), ("manager", 403), ("nurse", 200)])
def test_only_clinical_roles_read_a_history(client: FlaskClient, sign_in: Any, role: str, status: int) -> None:
    _, assessment_id = submit_record(make_patient().id, eligible_record(), by=TESTER)
    sign_in(role)
    assert client.get(f"/staff/eligibility/{assessment_id}").status_code == status


def test_a_nurse_reads_but_does_not_decide(client: FlaskClient, sign_in: Any) -> None:
    patient = make_patient()
    _, assessment_id = submit_record(patient.id, eligible_record(), by=TESTER)
    sign_in("nurse")
    answer = client.post(f"/staff/eligibility/{assessment_id}", data={"pathway": "tms", "decision": "approve"})
    assert answer.status_code == 403
    assert queries.decisions(patient.id) == []


@pytest.mark.parametrize("typed", ["zol", "ser", "ZOLO"])
def test_a_medicine_is_offered_by_brand_and_generic(client: FlaskClient, typed: str) -> None:
    offered = client.get("/intake/drugs", query_string={"q": typed}).get_json()
    assert any("sertraline" in one["label"].lower() and "zoloft" in one["label"].lower() for one in offered)


def test_one_letter_offers_nothing(client: FlaskClient) -> None:
    assert client.get("/intake/drugs?q=z").get_json() == []


def test_what_speaks_against_a_treatment_stands_first_and_what_is_met_is_no_warning() -> None:
    findings = [
        {"code": "trd_met", "kind": "criterion", "text": "", "source": ""},
        {"code": "fainting", "kind": "precaution", "text": "", "source": ""},
        {"code": "implant", "kind": "contraindication", "text": "", "source": ""},
        {"code": "bp", "kind": "missing", "text": "Not known: blood pressure", "source": ""},
    ]
    path = {"verdict": "contraindicated", "findings": findings}
    row = pathway_rows({"pathways": dict.fromkeys(("tms", "esketamine", "iv_ketamine"), path)})[0]
    assert [finding["state"][:2] for finding in row["findings"]] == [
        ("stop", "Contraindication"),
        ("due", "Precaution"),
        ("good", "Met"),
    ]
    assert [finding["text"] for finding in row["missing"]] == ["blood pressure"]
