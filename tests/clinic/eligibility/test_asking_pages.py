"""Asking on the review page, and answering on a phone."""

import re
from typing import Any

import pytest
from sqlalchemy import select

from clinic.db import db
from clinic.eligibility import asking, operations, queries
from clinic.patients import queries as patients
from clinic.tasks.models import Task
from tests.builders import TESTER, eligible_record, make_location, make_patient, make_profile, make_staff

DOSE, PRESSURE, VOICES = "trials[1].dose_mg_per_day", "safety.bp", "episode.psychotic_features"


@pytest.fixture
def site(database, now, rings) -> Any:
    make_profile()
    return make_location()


@pytest.fixture
def gaps(site) -> Any:
    record = eligible_record()
    del record["trials"][1]["dose_mg_per_day"], record["safety"]["bp"], record["episode"]["psychotic_features"]
    del record["mdq_positive"]
    patient = make_patient(preferred_location_id=site.id)
    _, assessment_id = operations.submit_record(patient.id, record, by=TESTER)
    return queries.assessment(assessment_id)


@pytest.fixture
def ask(gaps, client, sign_in_patient) -> Any:
    """Three questions, opened by their link."""
    staff = make_staff("prescriber")
    ask_id = asking.send_ask(gaps.id, [DOSE, PRESSURE, VOICES], "Two of these are short.", staff_id=staff.id, by=TESTER)
    sign_in_patient(patients.get(gaps.patient_id), "ask", ask_id=ask_id)
    return asking.get(ask_id)


def hidden(html: str) -> dict[str, str]:
    return dict(re.findall(r'<input type="hidden" name="([a-z_]+)" value="([^"]*)"', html))


def save(client: Any, url: str, **values: str) -> Any:
    html = client.get(url).get_data(as_text=True)
    return client.post(url, data=hidden(html) | values)


def test_the_questions_stand_in_plain_words_with_the_clinics_own_line(ask, client) -> None:
    first = client.get(f"/questions/{ask.id}", follow_redirects=True).get_data(as_text=True)
    assert "Two of these are short." in first
    assert "(Effexor" in first, "brand and generic together"
    assert "What was the most you took in a day?" in first
    assert "mg per day?" not in first


def test_page_by_page_to_the_thank_you(ask, client) -> None:
    assert save(client, f"/questions/{ask.id}/1", q0_answer="225").location.endswith(f"/questions/{ask.id}/2")
    sent = save(client, f"/questions/{ask.id}/2", q1_upper="118", q1_lower="76", q2_answer="no")
    assert sent.location.endswith("/done")
    page = client.get(sent.location).get_data(as_text=True)
    assert "Thank you. We have your answers." in page
    assert queries.present_assessment(ask.patient_id).record["trials"][1]["dose_mg_per_day"] == 225
    again = client.get(f"/questions/{ask.id}/1")
    assert again.location.endswith("/done")


def test_what_cannot_be_read_is_said_and_kept(ask, client) -> None:
    answer = save(client, f"/questions/{ask.id}/1", q0_answer="a lot")
    assert answer.status_code == 422
    html = answer.get_data(as_text=True)
    assert "Write a number" in html
    assert 'value="a lot"' in html
    assert save(client, f"/questions/{ask.id}/1", q0_answer="a lot", q0_not_sure="y").status_code == 302


def test_every_change_is_kept(ask, client) -> None:
    html = client.get(f"/questions/{ask.id}/1").get_data(as_text=True)
    kept = client.post(f"/questions/{ask.id}/1/autosave", data=hidden(html) | {"q0_answer": "22"})
    assert kept.get_json()["revision"] == 1
    assert 'value="22"' in client.get(f"/questions/{ask.id}/1").get_data(as_text=True)
    assert client.get(f"/questions/{ask.id}").location.endswith("/1")


def test_a_second_tab_sees_both_answers(ask, client) -> None:
    html = client.get(f"/questions/{ask.id}/1").get_data(as_text=True)
    save(client, f"/questions/{ask.id}/1", q0_answer="225")
    late = client.post(f"/questions/{ask.id}/1", data=hidden(html) | {"q0_answer": "75"})
    assert late.status_code == 409
    assert "You changed this page in two places" in late.get_data(as_text=True)


def test_a_grave_answer_shows_help_first_and_never_blocks(ask, client) -> None:
    answer = save(client, f"/questions/{ask.id}/2", q2_answer="yes")
    assert "/safety" in answer.location
    card = client.get(answer.location).get_data(as_text=True)
    assert "988" in card
    task = db.session.scalars(select(Task).where(Task.kind == "safety")).one()
    assert task.level == "urgent"
    assert client.post(f"/questions/{ask.id}/send").location.endswith("/done")
    assert queries.present_assessment(ask.patient_id).is_urgent


@pytest.mark.parametrize(("gone", "fields"), [("audit_c", ["audit_c"]), ("mind", ["episode.psychotic_features"])])
def test_who_will_read_an_answer_stands_above_private_questions(site, client, sign_in_patient, gone, fields) -> None:
    record = eligible_record()
    record.pop("audit_c", None), record["episode"].pop("psychotic_features", None)
    patient = make_patient(preferred_location_id=site.id)
    _, assessment_id = operations.submit_record(patient.id, record, by=TESTER)
    ask_id = asking.send_ask(assessment_id, fields, "", staff_id=make_staff("prescriber").id, by=TESTER)
    sign_in_patient(patient, "ask", ask_id=ask_id)
    assert "Only your doctors, nurses and therapists" in client.get(f"/questions/{ask_id}/1").text


def test_someone_elses_questions_do_not_exist(ask, client, sign_in_patient) -> None:
    sign_in_patient(make_patient(), "sign_in")
    assert client.get(f"/questions/{ask.id}/1").status_code == 404


def test_the_birth_date_comes_first(ask, client, sign_in_patient) -> None:
    sign_in_patient(patients.get(ask.patient_id), "ask", checked=False, ask_id=ask.id)
    assert "birth" in client.get(f"/questions/{ask.id}/1").location


def test_questions_that_were_taken_back_say_so(ask, client) -> None:
    asking.withdraw_ask(ask.id, by=TESTER)
    page = client.get(f"/questions/{ask.id}", follow_redirects=True).get_data(as_text=True)
    assert "not needed any more" in page


def test_a_fresh_link_can_be_asked_for(ask, client) -> None:
    page = save(client, f"/questions/{ask.id}/1", q0_answer="225", later="1")
    assert page.location.endswith("/later")
    assert "Send me the link" in client.get(page.location).get_data(as_text=True)
    assert "We are sending a link" in client.post(page.location).get_data(as_text=True)


def test_the_home_leads_to_open_questions(ask, client, sign_in_patient) -> None:
    sign_in_patient(patients.get(ask.patient_id), "sign_in")
    assert f"/questions/{ask.id}" in client.get("/me").get_data(as_text=True)


# -- staff ----------------------------------------------------------------------------------------------------------


def test_the_review_page_sends_what_is_ticked(gaps, site, client, sign_in) -> None:
    sign_in("prescriber", locations=(site,))
    page = client.get(f"/staff/eligibility/{gaps.id}").get_data(as_text=True)
    assert "Ask the patient" in page
    assert f'value="{DOSE}"' in page
    sent = client.post(f"/staff/eligibility/{gaps.id}/ask", data={"fields": [DOSE, PRESSURE], "note": "Hello"})
    assert sent.status_code == 302
    ask = asking.open_of(gaps.patient_id)
    assert [row["field"] for row in ask.questions] == [DOSE, PRESSURE]
    assert "Waiting for the patient" in client.get(f"/staff/eligibility/{gaps.id}").get_data(as_text=True)


def test_a_second_sending_asks_before_it_replaces(gaps, site, ask, client, sign_in) -> None:
    sign_in("nurse", locations=(site,))
    db.session.commit()  # the refusal rolls back what was not kept
    page = client.post(f"/staff/eligibility/{gaps.id}/ask", data={"fields": [DOSE]})
    assert page.status_code == 409
    html = page.get_data(as_text=True)
    assert "open already" in html
    client.post(f"/staff/eligibility/{gaps.id}/ask", data={"fields": [DOSE], "replaces": hidden(html)["replaces"]})
    assert asking.get(ask.id).state == "withdrawn"
    client.post(f"/staff/asks/{asking.open_of(gaps.patient_id).id}/withdraw")
    assert asking.open_of(gaps.patient_id) is None


@pytest.mark.parametrize("data", [{}, {"fields": ["nonsense"]}, {"fields": [DOSE], "note": "x" * 501}])
def test_a_bad_wish_sends_nothing(gaps, site, client, sign_in, data) -> None:
    sign_in("prescriber", locations=(site,))
    assert client.post(f"/staff/eligibility/{gaps.id}/ask", data=data).status_code == 302
    assert asking.open_of(gaps.patient_id) is None


@pytest.mark.parametrize("role", ["front_desk", "therapist", "operator"])
def test_only_prescribers_and_nurses_ask(gaps, site, client, sign_in, role) -> None:
    sign_in(role, locations=(site,))
    assert client.post(f"/staff/eligibility/{gaps.id}/ask", data={"fields": [DOSE]}).status_code == 403
    assert client.get(f"/staff/eligibility/{gaps.id}/facts?field={DOSE}").status_code == 403


def test_a_prescriber_enters_a_fact_from_the_interview(gaps, site, client, sign_in) -> None:
    sign_in("prescriber", locations=(site,))
    url = f"/staff/eligibility/{gaps.id}/facts?field={DOSE}"
    assert "venlafaxine" in client.get(url).get_data(as_text=True)
    refused = client.post(url, data={"q0_answer": "lots", "reason": "told"})
    assert refused.status_code == 422
    assert client.post(url, data={"q0_answer": "225", "reason": "pharmacy list"}).status_code == 302
    assert queries.present_assessment(gaps.patient_id).record["trials"][1]["dose_mg_per_day"] == 225
    assert client.get(f"/staff/eligibility/{gaps.id}/facts?field=payer").status_code == 404
