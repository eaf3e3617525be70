"""What staff see of the form: clinical roles only, and every reading is written down."""

import pytest
from sqlalchemy import select

from clinic.audit import AuditEvent
from clinic.db import db
from tests.builders import make_intake, make_patient


def test_a_prescriber_reads_what_the_person_wrote(person, sign_in, client) -> None:
    person.known()
    person.save("brings", reason="Nothing helped")
    person.save("life", words="A hard year")
    key = person.add_medicine("Zoloft")
    person.save(f"medicines/{key}/2", stopped="side_effects")
    person.save(f"medicines/{key}/3", side_effects="Nausea")
    person.send()
    patient_id = person.intake.patient_id
    sign_in("prescriber")
    html = client.get(f"/staff/patients/{patient_id}/intake").get_data(as_text=True)
    for words in ("Nothing helped", "A hard year", "Zoloft", "Nausea", "Not answered"):
        assert words in html
    read = db.session.scalars(select(AuditEvent).where(AuditEvent.action == "viewed")).all()
    assert [event.detail for event in read if event.patient_id == patient_id] == [{"part": "intake"}]


@pytest.mark.parametrize("role", ["front_desk", "operator", "manager"])
def test_others_do_not(client, clinic, sign_in, role) -> None:
    patient = make_patient()
    make_intake(patient)
    sign_in(role)
    assert client.get(f"/staff/patients/{patient.id}/intake").status_code == 403
    assert "Intake form" not in client.get(f"/staff/patients/{patient.id}").get_data(as_text=True)


def test_the_record_says_when_it_was_sent(client, clinic, sign_in) -> None:
    patient = make_patient()
    make_intake(patient)
    sign_in("nurse")
    assert "Intake form" in client.get(f"/staff/patients/{patient.id}").get_data(as_text=True)
    html = client.get(f"/staff/patients/{patient.id}/intake").get_data(as_text=True)
    assert "came as a record" in html


def test_without_a_form_there_is_nothing_to_read(client, clinic, sign_in) -> None:
    sign_in("nurse")
    assert client.get(f"/staff/patients/{make_patient().id}/intake").status_code == 404
