"""The policies' pages: read by clinical roles, verified by managers and prescribers."""

from datetime import date, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from flask_sqlalchemy import SQLAlchemy

from clinic import clock
from clinic.eligibility import queries, rule_versions, verification
from clinic.eligibility.engine import knowledge
from clinic.eligibility.operations import submit_record
from tests.builders import TESTER, eligible_record, make_patient, make_profile

CIGNA = "cigna_evernorth_en0383"
PAGE = f"/staff/settings/policies/{CIGNA}"


@pytest.fixture(autouse=True)
def _quiet(client: FlaskClient, now: Any, rings: Any) -> None:
    make_profile()


def form(**overrides: Any) -> dict[str, Any]:
    shown = rule_versions.policy(CIGNA).content_hash.hex()
    return {"read_on": "2026-11-20", "where": "https://payer.example/policy.pdf", "shown": shown} | overrides


@pytest.mark.parametrize(
    ("role", "reads", "verifies"),
    [
        ("manager", 200, 302),
        ("prescriber", 200, 302),
        ("nurse", 200, 403),
        ("therapist", 200, 403),
        ("front_desk", 403, 403),
        ("operator", 403, 403),
    ],
)
def test_who_reads_and_who_verifies(
    client: FlaskClient, sign_in: Any, post: Any, role: str, reads: int, verifies: int
) -> None:
    sign_in(role)
    assert client.get("/staff/settings/policies").status_code == reads
    assert client.get(PAGE).status_code == reads
    assert post(f"{PAGE}/verify", form()).status_code == verifies


def test_all_28_are_listed_and_off(client: FlaskClient, sign_in: Any) -> None:
    sign_in("manager")
    page = client.get("/staff/settings/policies").text
    assert page.count("never verified") == 28
    assert "No policy is on: no payer’s verdict is shown" in page


@pytest.mark.parametrize("policy_id", knowledge.policy_ids())
def test_every_policy_has_a_page(client: FlaskClient, sign_in: Any, policy_id: str) -> None:
    sign_in("nurse")
    answer = client.get(f"/staff/settings/policies/{policy_id}")
    assert answer.status_code == 200
    assert "How sure" in answer.text


def test_a_policy_goes_on_with_day_and_name_and_off_with_a_reason(client: FlaskClient, sign_in: Any, post: Any) -> None:
    user = sign_in("manager")
    post(f"{PAGE}/verify", form())
    page = client.get(PAGE).text
    for words in ("is on", "verified Nov 20, 2026, counts until May 19, 2027", user.name, "https://payer.example"):
        assert words in page
    post(f"{PAGE}/off", {"reason": "a new text came"})
    page = client.get(PAGE).text
    assert "is off" in page
    assert "a new text came" in page


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"read_on": ""}, "Give the day"),
        ({"read_on": "yesterday"}, "Not a valid date value."),
        ({"read_on": "2027-01-01"}, "lies in the future"),
        ({"read_on": "2026-01-01"}, "more than 180 days ago"),
        ({"where": ""}, "Say where you read it"),
    ],
)
def test_a_refused_verification_keeps_what_was_typed(
    client: FlaskClient, sign_in: Any, post: Any, wrong: dict[str, str], words: str
) -> None:
    sign_in("manager")
    answer = post(f"{PAGE}/verify", form(where="a long address") | wrong)
    assert answer.status_code == 422
    assert words in answer.text
    assert "a long address" in answer.text or "where" in wrong


@pytest.mark.parametrize("of_another_file", ["00", "", "¿'\"("])
def test_a_file_that_changed_meanwhile_is_said(
    client: FlaskClient, sign_in: Any, post: Any, of_another_file: str
) -> None:
    sign_in("manager")
    answer = post(f"{PAGE}/verify", form(shown=of_another_file))
    assert answer.status_code == 409
    assert "Our file changed while you read." in answer.text


def test_switching_off_needs_a_reason_and_something_that_is_on(
    client: FlaskClient, sign_in: Any, post: Any, database: SQLAlchemy
) -> None:
    sign_in("manager")
    database.session.commit()  # a refusal rolls back what is not
    assert post(f"{PAGE}/off", {"reason": "x"}).status_code == 409
    post(f"{PAGE}/verify", form())
    assert post(f"{PAGE}/off", {"reason": ""}).status_code == 422


def test_stale_ones_stand_first(client: FlaskClient, sign_in: Any, post: Any) -> None:
    sign_in("manager")
    post(f"{PAGE}/verify", form())
    with clock.frozen(clock.now() + timedelta(days=200)):
        sign_in("manager")
        page = client.get("/staff/settings/policies").text
    assert "1 needs a look" in page
    assert page.index("Cigna / Evernorth") < page.index("Aetna")


def test_the_payers_histories_are_assessed_again_by_one_press(client: FlaskClient, sign_in: Any, post: Any) -> None:
    ours, other = make_patient(), make_patient()
    submit_record(ours.id, eligible_record(payer="Cigna"), by=TESTER)
    submit_record(other.id, eligible_record(payer="Aetna"), by=TESTER)
    sign_in("manager")
    with clock.frozen(clock.now() + timedelta(minutes=5)):
        post(f"{PAGE}/verify", form())
        assert "Assess them again" in client.get(PAGE).text
        post(f"{PAGE}/again")
        assert "Assess them again" not in client.get(PAGE).text
    assert [each["id"] for each in queries.present_assessment(ours.id).result["policies"]] == [CIGNA]
    assert queries.present_assessment(other.id).result["policies"] == []


def test_a_policy_that_is_not_there_is_not_found(client: FlaskClient, sign_in: Any, post: Any) -> None:
    sign_in("manager")
    assert client.get("/staff/settings/policies/none").status_code == 404
    assert post("/staff/settings/policies/none/verify", form()).status_code == 404
    assert post("/staff/settings/policies/none/again").status_code == 404


def test_the_state_is_the_present_one_of_the_clinics_day(client: FlaskClient) -> None:
    assert verification.active_policies(date(2026, 11, 23)) == []
