"""Search and record: who sees whom, and that every reading is written down."""

from datetime import timedelta
from typing import Any

import pytest
from markupsafe import Markup
from sqlalchemy import select

from clinic import clock
from clinic.audit import AuditEvent
from clinic.patients import chart, queries
from clinic.patients.models import LinkRequest
from tests.builders import make_location, make_patient


def contacts(patient: Any, **overrides: Any) -> dict[str, Any]:
    return {
        "given_name": patient.given_name,
        "family_name": patient.family_name,
        "birth_date": "1980-05-17",
        "email": patient.email,
        "phone": patient.phone,
        "language": "en",
        "tz": "America/Los_Angeles",
        "payer": "",
        "preferred_location_id": patient.preferred_location_id or 0,
        "message_style": "digest",
        "email_consent": "unknown",
        "sms_consent": "unknown",
        "voice_consent": "unknown",
    } | overrides


def actions(database, patient) -> list[tuple[str, dict[str, Any]]]:
    events = database.session.scalars(
        select(AuditEvent).where(AuditEvent.patient_id == patient.id, AuditEvent.actor_kind == "staff")
    )
    return [(event.action, event.detail) for event in events]


@pytest.mark.parametrize("text", ["ana@example.org", "ANA@EXAMPLE.ORG", "714 555 0199", "ar", "A.R."])
def test_search_is_exact_by_email_phone_or_initials(client, database, sign_in, text) -> None:
    patient = make_patient(given_name="Ana", family_name="Reyes", email="ana@example.org", phone="+17145550199")
    sign_in("front_desk")
    page = client.get("/staff/patients", query_string={"q": text}).text
    assert patient.record_number in page
    assert "Reyes" not in page  # lists show initials only


@pytest.mark.parametrize("text", ["Ana", "ana@example", "555 0199", "Reyes"])
def test_search_finds_nothing_by_name_or_by_a_part(client, database, sign_in, text) -> None:
    patient = make_patient(given_name="Ana", family_name="Reyes", email="ana@example.org", phone="+17145550199")
    sign_in("front_desk")
    page = client.get("/staff/patients", query_string={"q": text}).text
    assert patient.record_number not in page
    assert "Nobody found" in page


def test_a_record_number_opens_the_record(client, database, sign_in) -> None:
    patient = make_patient()
    sign_in("front_desk")
    for text in (patient.record_number, patient.record_number.lower(), patient.record_number[2:]):
        answer = client.get("/staff/patients", query_string={"q": text})
        assert answer.status_code in (200, 302)
        assert f"/staff/patients/{patient.id}" in answer.text


def test_people_of_other_sites_do_not_appear(client, database, sign_in) -> None:
    here, elsewhere = make_location(), make_location()
    patient = make_patient(email="ana@example.org", preferred_location_id=elsewhere.id)
    sign_in("front_desk", locations=(here,))
    assert patient.record_number not in client.get("/staff/patients?q=ana@example.org").text
    assert client.get(f"/staff/patients/{patient.id}").status_code == 404
    assert client.get(f"/staff/patients/{patient.id}/contacts").status_code == 404


def test_opening_a_record_is_written_down(client, database, now, sign_in) -> None:
    patient = make_patient()
    nurse = sign_in("nurse")
    assert client.get(f"/staff/patients/{patient.id}").status_code == 200
    event = database.session.scalars(select(AuditEvent).where(AuditEvent.action == "viewed")).one()
    assert (event.actor_key, event.patient_id, event.detail) == (str(nurse.id), patient.id, {"part": "record"})


def test_sections_show_to_their_roles_only(client, database, now, sign_in, monkeypatch) -> None:
    monkeypatch.setattr(chart, "SECTIONS", [])
    chart.add_section(20, lambda _: Markup("for clinicians"), roles=["nurse"])
    chart.add_section(10, lambda _: Markup("for all"))
    patient = make_patient()
    sign_in("front_desk")
    page = client.get(f"/staff/patients/{patient.id}").text
    assert "for all" in page
    assert "for clinicians" not in page


def test_changing_contacts_names_the_fields_not_the_values(post, database, now, sign_in) -> None:
    patient = make_patient()
    sign_in("front_desk")
    post(f"/staff/patients/{patient.id}/contacts", contacts(patient, email="new@example.org", sms_consent="no"))
    assert queries.reached_at("NEW@example.org") == [patient]
    assert queries.consents(patient.id) == {"sms": False}
    assert actions(database, patient)[0] == ("changed", {"fields": ["email"]})


@pytest.mark.parametrize(
    "wrong",
    [
        {"email": "no address"},
        {"phone": "12"},
        {"birth_date": "2999-01-01"},
        {"birth_date": "soon"},
        {"tz": "Moon/Sea"},
        {"given_name": " "},
        {"preferred_location_id": "999"},
        {"message_style": "never"},
    ],
)
def test_wrong_contacts_are_refused_and_nothing_changes(post, database, now, sign_in, wrong) -> None:
    patient = make_patient()
    sign_in("front_desk")
    assert post(f"/staff/patients/{patient.id}/contacts", contacts(patient, **wrong)).status_code == 422
    assert actions(database, patient) == []


def test_operators_do_not_change_contacts(client, database, sign_in) -> None:
    patient = make_patient()
    sign_in("operator")
    assert client.get(f"/staff/patients/{patient.id}/contacts").status_code == 403


def test_the_desk_sends_a_sign_in_link(post, database, now, sign_in, rings) -> None:
    patient = make_patient()
    sign_in("front_desk")
    post(f"/staff/patients/{patient.id}/link")
    assert database.session.scalars(select(LinkRequest.patient_id)).all() == [patient.id]


def test_the_desk_is_told_when_no_link_goes_out(client, post, database, now, sign_in, rings) -> None:
    patient = make_patient()
    sign_in("front_desk")
    said = []
    for minute in (0, 1, 10, 20, 30, 40, 50):
        with clock.frozen(now + timedelta(minutes=minute)):
            post(f"/staff/patients/{patient.id}/link")
            said.append(client.get(f"/staff/patients/{patient.id}").text)
    assert "A sign-in link is on its way." in said[0]
    assert "no second one" in said[1]
    assert "A sign-in link is on its way." in said[5]
    assert "No link was sent: 5 were asked for within the hour" in said[6]
    assert "is on its way" not in said[6]


def test_the_log_lists_who_read_the_record(client, database, now, sign_in) -> None:
    patient = make_patient()
    manager = sign_in("manager")
    client.get(f"/staff/patients/{patient.id}")
    page = client.get(f"/staff/patients/{patient.id}/log").text
    assert manager.name in page
    assert "viewed" in page
