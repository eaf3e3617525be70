"""The review page: what it shows, to whom, in how many queries, and what happens when two people write at once."""

import re
from datetime import date, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from flask_sqlalchemy import SQLAlchemy
from markupsafe import Markup

from clinic.audit import AuditEvent
from clinic.db import db
from clinic.eligibility import opinions, panels, queries, rule_versions, verification
from clinic.eligibility.operations import reassess, submit_record
from tests.builders import (
    TESTER,
    eligible_record,
    failed_trial,
    make_location,
    make_patient,
    make_profile,
    make_staff,
)

CIGNA, AETNA, TRICARE = "cigna_evernorth_en0383", "aetna_cpb_0469", "tricare"
TODAY = date(2026, 11, 23)
DRUGS = ["sertraline", "venlafaxine", "bupropion", "escitalopram", "mirtazapine", "fluoxetine"]


@pytest.fixture(autouse=True)
def _quiet(client: FlaskClient, now: Any, rings: Any) -> None:
    make_profile()


def switch_on(policy_id: str) -> None:
    command = verification.Verify(
        policy_id=policy_id,
        read_on=TODAY,
        where="read there",
        content_hash=rule_versions.policy(policy_id).content_hash.hex(),
    )
    verification.verify(command, today=TODAY, staff_id=make_staff("manager").id, by=TESTER)


def sent(patient: Any = None, **overrides: Any) -> int:
    return submit_record((patient or make_patient()).id, eligible_record(**overrides), by=TESTER)[1]


def page_of(client: FlaskClient, assessment_id: int, query: str = "") -> str:
    answer = client.get(f"/staff/eligibility/{assessment_id}{query}")
    assert answer.status_code == 200
    return answer.text


def plain(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


# -- queries ----------------------------------------------------------------------------------------------------------


def long_case() -> int:
    """12 trials, 3 policies, 5 older assessments, a decision and two opinions."""
    for policy in (CIGNA, AETNA, TRICARE):
        switch_on(policy)
    patient = make_patient()
    dates = [(f"20{n:02d}-02", f"20{n:02d}-06") for n in range(14, 26)]
    trials = [
        failed_trial(DRUGS[n % len(DRUGS)], 20 + 25 * n, started_on=first, stopped_on=last)
        for n, (first, last) in enumerate(dates)
    ]
    sent(patient, trials=trials, payer="Cigna", as_of="2026-11-20")
    for _ in range(5):
        made = reassess(patient.id, reason="again", by=TESTER)
    asker, other = make_staff("prescriber"), make_staff("prescriber")
    asked = opinions.ask(
        opinions.AskOpinion(assessment_id=made, pathway="tms", question="Would you?"), staff_id=asker.id, by=TESTER
    )
    opinions.give(asked, opinion="agree", reason="yes", staff_id=other.id, by=TESTER)
    return made


def statements_of(client: FlaskClient, assessment_id: int, count_statements: Any) -> list[str]:
    db.session.commit()
    db.session.remove()
    with count_statements() as statements:
        page_of(client, assessment_id)
    return [each for each in statements if "SAVEPOINT" not in each]


def test_the_page_takes_at_most_twelve_queries(client: FlaskClient, sign_in: Any, count_statements: Any) -> None:
    made = long_case()
    sign_in("prescriber")
    found = statements_of(client, made, count_statements)
    assert len(found) <= 12, "\n".join(found)


def test_a_long_case_is_a_page_of_at_most_1500_nodes(client: FlaskClient, sign_in: Any) -> None:
    made = long_case()
    sign_in("prescriber")
    assert len(re.findall(r"<[a-z]", page_of(client, made))) <= 1500


def test_a_long_case_takes_no_more_queries_than_a_short_one(
    client: FlaskClient, sign_in: Any, count_statements: Any
) -> None:
    short, made = sent(), long_case()
    sign_in("prescriber")
    assert len(statements_of(client, made, count_statements)) == len(statements_of(client, short, count_statements))


# -- what it shows ----------------------------------------------------------------------------------------------------


def test_fact_threshold_source_and_how_sure_stand_side_by_side(client: FlaskClient, sign_in: Any) -> None:
    sign_in("prescriber")
    page = plain(page_of(client, sent()))
    for words in ("150 mg per day", "at least 50 mg per day", "Table of medicines: sertraline; seen; high confidence"):
        assert words in page


def test_each_source_leads_to_its_place_in_the_rules_that_were_used(client: FlaskClient, sign_in: Any) -> None:
    sign_in("prescriber")
    page = page_of(client, sent(safety={"seizure_history": True}))
    places = set(re.findall(r'href="(/staff/eligibility/rules/[^"#]+)#([^"]+)"', page))
    assert {"definitions_of_trd", "antidepressants.sertraline", "tms_screen.seizure_history"} <= {
        one for _, one in places
    }
    rules = {address: client.get(address).text for address, _ in places}
    assert [one for address, one in places if rules[address].count(f'id="{one}"') != 1] == []


def test_payers_stand_in_a_table_of_their_own(client: FlaskClient, sign_in: Any) -> None:
    switch_on(CIGNA)
    sign_in("prescriber")
    page = page_of(client, sent(payer="Cigna"))
    assert "verified Nov 23" in plain(page)
    clinical = page[page.index('id="criteria"') : page.index('id="payers"')]
    assert "Cigna" not in clinical
    assert "Cigna Psychiatry - Spravato : not verified by this clinic, no verdict shown" in plain(page)


def test_without_a_policy_the_page_says_that_no_payers_verdict_is_shown(client: FlaskClient, sign_in: Any) -> None:
    sign_in("prescriber")
    assert "No policy of Nowhere Health is held here" in plain(page_of(client, sent(payer="Nowhere Health")))


def test_a_policy_that_was_switched_on_since_asks_to_assess_again(client: FlaskClient, sign_in: Any, post: Any) -> None:
    sign_in("prescriber")
    assessment_id = sent(payer="Cigna")
    assert "changed since" not in page_of(client, assessment_id)
    switch_on(CIGNA)
    assert "Cigna / Evernorth EN0383 is on now" in plain(page_of(client, assessment_id))
    answer = post(f"/staff/eligibility/{assessment_id}/again")
    assert answer.status_code == 302
    assert "is on now" not in client.get(answer.location).text


def test_older_assessments_stay_readable_with_what_changed(client: FlaskClient, sign_in: Any) -> None:
    patient = make_patient()
    old = sent(patient, trials=[failed_trial("sertraline", 25), failed_trial("venlafaxine", 225)])
    new = sent(patient)
    sign_in("prescriber")
    page = plain(page_of(client, new))
    assert "What changed since" in page
    assert "Trial 1 (Sertraline): dose, mg per day 25 150" in page
    assert "was replaced on" in plain(page_of(client, old))
    assert "Sign decision" not in page_of(client, old)


def test_any_two_assessments_are_compared_by_the_address(client: FlaskClient, sign_in: Any) -> None:
    patient = make_patient()
    first, *_, last = [sent(patient, audit_c=n) for n in (1, 2, 5)]
    sign_in("prescriber")
    assert "AUDIT-C 1 5" in plain(page_of(client, last, f"?since={first}"))
    assert "AUDIT-C 2 5" in plain(page_of(client, last))


def test_another_persons_assessment_is_never_compared(client: FlaskClient, sign_in: Any) -> None:
    sign_in("prescriber")
    assert 'id="changed"' not in page_of(client, sent(), f"?since={sent(audit_c=9)}")


def test_one_read_is_one_audit_event(client: FlaskClient, sign_in: Any, database: SQLAlchemy) -> None:
    assessment_id = sent()
    sign_in("nurse")
    page_of(client, assessment_id)
    found = database.session.query(AuditEvent).filter_by(action="viewed", entity="assessments")
    assert [event.entity_id for event in found] == [str(assessment_id)]


def test_a_place_that_a_person_may_not_see_hides_the_history(client: FlaskClient, sign_in: Any) -> None:
    patient = make_patient(preferred_location_id=make_location().id)
    sign_in("prescriber", locations=(make_location(),))
    assert client.get(f"/staff/eligibility/{sent(patient)}").status_code == 404


def test_parts_of_other_features_stand_where_they_said(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(panels, "REVIEW_PANELS", [])
    panels.add_panel(20, lambda _: Markup("later"))
    panels.add_panel(10, lambda _: Markup("sooner"))
    panels.add_panel(5, lambda _: None)
    panels.add_panel(1, lambda _: Markup("main"), place="main", roles=("nurse",))
    row = queries.assessment(sent())
    assert panels.panels_for(row, frozenset({"prescriber"})) == {"side": ["sooner", "later"], "main": []}
    assert panels.panels_for(row, frozenset({"nurse"}))["main"] == ["main"]


# -- decisions --------------------------------------------------------------------------------------------------------


def sign(client: FlaskClient, assessment_id: int, **data: Any) -> Any:
    return client.post(f"/staff/eligibility/{assessment_id}", data={"pathway": "tms", "decision": "approve"} | data)


def test_an_approval_keeps_the_evaluation_that_was_signed(client: FlaskClient, sign_in: Any) -> None:
    assessment_id = sent()
    sign_in("prescriber")
    sign(client, assessment_id, evaluation="Seen today. Two adequate trials. No contraindication.")
    row = queries.approving_decision(queries.assessment(assessment_id).patient_id, "tms")
    assert row.evaluation == "Seen today. Two adequate trials. No contraindication."
    assert "Seen today." in page_of(client, assessment_id)


def test_without_own_words_the_summary_of_the_assessment_is_signed(client: FlaskClient, sign_in: Any) -> None:
    assessment_id = sent()
    sign_in("prescriber")
    sign(client, assessment_id)
    row = queries.approving_decision(queries.assessment(assessment_id).patient_id, "tms")
    assert "Major depressive disorder" in row.evaluation


def test_a_double_click_is_one_decision(client: FlaskClient, sign_in: Any) -> None:
    assessment_id = sent()
    sign_in("prescriber")
    assert [sign(client, assessment_id, reason="suits").status_code for _ in range(2)] == [302, 302]
    assert len(queries.decisions(queries.assessment(assessment_id).patient_id)) == 1


def test_a_newer_assessment_shows_itself_and_keeps_what_was_typed(client: FlaskClient, sign_in: Any) -> None:
    patient = make_patient()
    old = sent(patient, audit_c=1)
    sign_in("prescriber")
    new = sent(patient, audit_c=2)
    answer = sign(client, old, decision="ask", reason="words that took a while")
    assert answer.status_code == 409
    assert "A newer assessment came while you wrote. Nothing was signed." in answer.text
    assert "words that took a while" in answer.text
    assert f'action="/staff/eligibility/{new}"' in answer.text
    assert "AUDIT-C 1 2" in plain(answer.text)
    assert queries.decisions(patient.id) == []


def test_an_override_needs_its_reason_and_the_box(client: FlaskClient, sign_in: Any, database: SQLAlchemy) -> None:
    assessment_id = sent(trials=[failed_trial("sertraline", 150)])
    sign_in("prescriber")
    database.session.commit()  # a refusal rolls back what is not
    assert sign(client, assessment_id, reason="severe").status_code == 422
    assert sign(client, assessment_id, override="y").status_code == 422
    assert sign(client, assessment_id, override="y", reason="severe").status_code == 302
    assert "Override" in page_of(client, assessment_id)


def test_a_later_decision_replaces_the_one_before_and_both_show(client: FlaskClient, sign_in: Any) -> None:
    assessment_id = sent()
    sign_in("prescriber")
    sign(client, assessment_id)
    sign(client, assessment_id, decision="decline", reason="changed their mind")
    page = plain(page_of(client, assessment_id))
    assert "TMS: not now" in page
    assert "TMS: suits this patient (replaced" in page


def test_the_keys_choose_treatment_and_decision(client: FlaskClient, sign_in: Any) -> None:
    sign_in("prescriber")
    page = page_of(client, sent())
    assert re.findall(r'data-key="(\d)"', page)[:6] == ["1", "2", "3", "4", "5", "6"]


# -- diagnosis --------------------------------------------------------------------------------------------------------


def test_a_change_of_diagnosis_makes_the_verdict_anew_and_keeps_the_old(
    client: FlaskClient, sign_in: Any, post: Any
) -> None:
    patient = make_patient()
    old = sent(patient)
    sign_in("prescriber")
    data = {"diagnosis": "bipolar_2", "diagnosis_reason": "two hypomanic episodes in the chart"}
    answer = post(f"/staff/eligibility/{old}/diagnosis", data)
    assert answer.status_code == 302
    present = queries.present_assessment(patient.id)
    assert (present.id != old, present.trd, queries.assessment(old).trd) == (True, "undetermined", "met")
    page = plain(client.get(answer.location).text)
    assert "Diagnosis mdd bipolar 2" in page
    assert "two hypomanic episodes in the chart" in page


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"diagnosis": "bipolar_2", "diagnosis_reason": ""}, "Say why"),
        ({"diagnosis": "mdd", "diagnosis_reason": "x"}, "on record already"),
        ({"diagnosis": "flu", "diagnosis_reason": "x"}, "Not a valid choice"),
    ],
)
def test_a_change_of_diagnosis_that_cannot_be_is_refused_in_place(
    client: FlaskClient, sign_in: Any, post: Any, data: dict[str, str], words: str
) -> None:
    assessment_id = sent()
    sign_in("prescriber")
    answer = post(f"/staff/eligibility/{assessment_id}/diagnosis", data)
    assert answer.status_code == 422
    assert words in answer.text


@pytest.mark.parametrize("path", ["again", "diagnosis", "opinions"])
def test_only_a_prescriber_changes_what_stands(client: FlaskClient, sign_in: Any, post: Any, path: str) -> None:
    assessment_id = sent()
    sign_in("nurse")
    assert post(f"/staff/eligibility/{assessment_id}/{path}", {}).status_code == 403


# -- second opinion ---------------------------------------------------------------------------------------------------


def test_an_opinion_is_asked_answered_and_noted_beside_the_decision(
    client: FlaskClient, sign_in: Any, post: Any
) -> None:
    assessment_id = sent()
    make_staff("prescriber")
    sign_in("prescriber")
    question = {"pathway": "tms", "asked_of": "", "question": "Fainted once. Would you start?"}
    assert post(f"/staff/eligibility/{assessment_id}/opinions", question).status_code == 302
    assert "Second opinion on TMS waits" in plain(page_of(client, assessment_id))
    sign_in("prescriber")
    [opinion] = queries.chart(assessment_id).opinions
    answer = {"opinion": "disagree", "opinion_reason": "work it up first"}
    assert post(f"/staff/eligibility/opinions/{opinion.row.id}", answer).status_code == 302
    page = plain(page_of(client, assessment_id))
    assert "Second opinion on TMS: disagrees" in page
    assert "work it up first" in page


def test_a_question_without_words_is_refused_in_place(client: FlaskClient, sign_in: Any, post: Any) -> None:
    assessment_id = sent()
    make_staff("prescriber")
    sign_in("prescriber")
    answer = post(f"/staff/eligibility/{assessment_id}/opinions", {"pathway": "tms", "asked_of": "", "question": ""})
    assert answer.status_code == 422
    assert "Write the question." in answer.text


def test_the_one_who_asked_finds_no_form_to_answer(client: FlaskClient, sign_in: Any, post: Any) -> None:
    assessment_id = sent()
    make_staff("prescriber")
    sign_in("prescriber")
    post(f"/staff/eligibility/{assessment_id}/opinions", {"pathway": "tms", "asked_of": "", "question": "Would you?"})
    assert "Give opinion" not in page_of(client, assessment_id)
    [opinion] = queries.chart(assessment_id).opinions
    answer = post(f"/staff/eligibility/opinions/{opinion.row.id}", {"opinion": "agree", "opinion_reason": "x"})
    assert answer.status_code == 403


def test_an_override_asks_who_it_is_again_after_ten_minutes(
    client: FlaskClient, sign_in: Any, post: Any, at: Any, now: Any
) -> None:
    made = sent()
    sign_in("prescriber")
    data = {
        "pathway": "esketamine",
        "decision": "approve",
        "reason": "seen in person",
        "override": "y",
        "evaluation": "x",
    }
    with at(now + timedelta(minutes=11)):
        answer = post(f"/staff/eligibility/{made}", data)
        assert answer.location.startswith("/staff/verify")
    assert "/staff/verify" not in (post(f"/staff/eligibility/{made}", data).location or "")
