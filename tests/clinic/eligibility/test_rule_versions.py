"""The catalogue is frozen with its first use."""

from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from flask_sqlalchemy import SQLAlchemy

from clinic.eligibility import queries, rule_versions
from clinic.eligibility.engine import knowledge
from clinic.eligibility.models import RuleKind, RuleVersion
from clinic.eligibility.operations import assess_intake, submit_record
from clinic.eligibility.rule_versions import RulesChanged
from tests.builders import TESTER, eligible_record, make_intake, make_patient, make_profile

# Files beside the rules that no verdict rests on: notes for the policies' pages, figures for patients.
NOT_RULES = {"policy_notes", "options"}


@pytest.fixture(autouse=True)
def _quiet(now: Any, rings: Any) -> None:
    """The clock is held, doorbells are not rung."""


def other_content(monkeypatch: pytest.MonkeyPatch, ruleset_id: str = "default", **changes: Any) -> None:
    table = {**knowledge.ruleset_table(ruleset_id), **changes}
    monkeypatch.setattr(rule_versions.knowledge, "ruleset_table", lambda _: table)


def test_every_file_of_the_catalogue_is_frozen_or_named_as_no_rule() -> None:
    files = {path.stem for path in knowledge.FOLDER.glob("*.yaml")}
    assert files - NOT_RULES == set(rule_versions.TABLES)


def test_the_first_assessment_keeps_every_entry_that_it_used(database: SQLAlchemy) -> None:
    _, assessment_id = submit_record(make_patient().id, eligible_record(), by=TESTER)
    rules = queries.assessment(assessment_id).rules
    kept = {(row.kind, row.key, row.version) for row in database.session.query(RuleVersion)}
    assert kept == {tuple(each) for each in rules}
    assert {kind for kind, _, _ in kept} == {"ruleset", "drugs", "screens", "adequacy", "options"}


def test_what_is_kept_is_the_content_in_the_order_of_the_file(database: SQLAlchemy) -> None:
    submit_record(make_patient().id, eligible_record(), by=TESTER)
    entry = rule_versions.ruleset("default")
    row = rule_versions.used("ruleset", "default", entry.version)
    assert list(row.content) == list(knowledge.ruleset_table("default"))
    assert row.content["min_weeks"] == 6


def test_a_second_use_keeps_nothing_new(database: SQLAlchemy) -> None:
    submit_record(make_patient().id, eligible_record(), by=TESTER)
    before = database.session.query(RuleVersion).count()
    submit_record(make_patient().id, eligible_record(), by=TESTER)
    assert database.session.query(RuleVersion).count() == before


def test_the_same_version_with_other_content_is_refused_and_nothing_is_assessed(
    database: SQLAlchemy, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit_record(make_patient().id, eligible_record(), by=TESTER)
    other_content(monkeypatch, min_weeks=2)
    patient = make_patient()
    with pytest.raises(RulesChanged, match="give the file a new version"):
        submit_record(patient.id, eligible_record(), by=TESTER)
    assert queries.present_assessment(patient.id) is None


def test_a_new_version_with_other_content_is_used(database: SQLAlchemy, monkeypatch: pytest.MonkeyPatch) -> None:
    submit_record(make_patient().id, eligible_record(), by=TESTER)
    other_content(monkeypatch, min_weeks=2, version="99")
    _, assessment_id = submit_record(make_patient().id, eligible_record(), by=TESTER)
    assert ["ruleset", "default", "99"] in queries.assessment(assessment_id).rules


def test_the_worker_makes_no_assessment_by_changed_rules(database: SQLAlchemy, monkeypatch: pytest.MonkeyPatch) -> None:
    submit_record(make_patient().id, eligible_record(), by=TESTER)
    intake = make_intake(record=eligible_record())
    other_content(monkeypatch, min_trials=1)
    with pytest.raises(RulesChanged) as refused:
        assess_intake(intake.id, by=TESTER)
    assert refused.value.details["entries"] == ["ruleset default version " + rule_versions.ruleset("default").version]


def test_the_order_of_keys_is_no_change() -> None:
    one = rule_versions.entry_of(RuleKind.POLICY, "x", {"version": "1", "a": 1, "b": [1, 2]})
    other = rule_versions.entry_of(RuleKind.POLICY, "x", {"b": [1, 2], "a": 1, "version": "1"})
    assert one.content_hash == other.content_hash


def test_the_hash_is_the_one_that_the_engine_names() -> None:
    assert rule_versions.policy("tricare").content_hash.hex() == knowledge.content_hash("policy", "tricare")


def test_what_changed_is_named_for_the_operator(database: SQLAlchemy, monkeypatch: pytest.MonkeyPatch) -> None:
    assert rule_versions.changed() == []
    submit_record(make_patient().id, eligible_record(), by=TESTER)
    other_content(monkeypatch, min_weeks=2)
    [entry] = [each for each in rule_versions.changed() if "default" in each]
    assert "put its old content back" in rule_versions.advice([entry])


def test_the_worklist_says_that_nothing_is_assessed(
    client: FlaskClient, sign_in: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_profile()
    submit_record(make_patient().id, eligible_record(), by=TESTER)
    other_content(monkeypatch, min_weeks=2)
    sign_in("prescriber")
    assert "No history is assessed until then." in client.get("/staff/eligibility").text


@pytest.mark.parametrize("role", ["prescriber", "manager"])
def test_a_used_version_is_readable(client: FlaskClient, sign_in: Any, role: str) -> None:
    make_profile()
    submit_record(make_patient().id, eligible_record(), by=TESTER)
    sign_in(role)
    version = rule_versions.ruleset("default").version
    page = client.get(f"/staff/eligibility/rules/ruleset/default/{version}")
    assert page.status_code == 200
    assert "Min weeks" in page.text
    assert client.get("/staff/eligibility/rules/ruleset/default/0.1").status_code == 404


@pytest.mark.parametrize("key", sorted(rule_versions.TABLES))
def test_every_table_can_be_read_on_its_page(client: FlaskClient, sign_in: Any, key: str) -> None:
    make_profile()
    submit_record(make_patient().id, eligible_record(), by=TESTER)
    sign_in("prescriber")
    row = next(entry for entry in rule_versions.catalogue() if entry.key == key)
    page = client.get(f"/staff/eligibility/rules/{row.kind}/{key}/{row.version}")
    assert page.status_code == 200
    assert '<dl class="facts panel"></dl>' not in page.text


def test_policies_of_the_clinics_own_folder_stand_beside_ours(tmp_path: Path) -> None:
    text = (knowledge.FOLDER / "policies" / "tricare.yaml").read_text().replace("id: tricare", "id: own_plan")
    (tmp_path / "own_plan.yaml").write_text(text)
    (tmp_path / "broken.yaml").write_text("id: [")
    try:
        rule_versions.use_policies_of(tmp_path)
        assert "own_plan" in knowledge.policy_ids()
        assert len(rule_versions.refused_policies()) == 1
    finally:
        rule_versions.use_policies_of(tmp_path / "none")
    assert "own_plan" not in knowledge.policy_ids()


def test_a_folder_that_somebody_named_and_is_not_there_is_a_fault(tmp_path: Path) -> None:
    try:
        rule_versions.use_policies_of(tmp_path / "none", is_wanted=True)
        assert "make it, or name another" in rule_versions.refused_policies()[0]
    finally:
        rule_versions.use_policies_of(tmp_path / "none")
