"""Consents: the words that were shown are stored by their hash, with version and language; a yes can be taken back."""

import pytest
from sqlalchemy import select

from clinic.db import db
from clinic.errors import Conflict, Invalid
from clinic.intake import consents, operations, queries
from clinic.intake.models import IntakeConsent, IntakeState
from clinic.patients import queries as patients
from tests.builders import TESTER, make_intake, make_patient

# A published text is frozen: whoever changes its words adds a version to the file and a line here.
PUBLISHED = {
    ("care_team", "2026-11", "en"): "5488b54d7158e014",
    ("care_team", "2026-11", "es"): "0e3f129767e4e78c",
    ("care_team", "2026-11.2", "en"): "dd3f6678d13b9542",
    ("care_team", "2026-11.2", "es"): "07205a5a6e403ecf",
    ("records", "2026-11", "en"): "fd2cc240dbf5480d",
    ("records", "2026-11", "es"): "62a873f67efeaf63",
    ("email", "2026-11", "en"): "225df74ee6536156",
    ("email", "2026-11", "es"): "4fe50819925d3969",
    ("sms", "2026-11", "en"): "a7f05260d88818d1",
    ("sms", "2026-11", "es"): "c4fec815f6f83193",
}


def rows(intake_id: int) -> list[tuple[str, bool, str, str]]:
    found = db.session.scalars(
        select(IntakeConsent).where(IntakeConsent.intake_id == intake_id).order_by(IntakeConsent.id)
    )
    return [(row.consent, row.granted, row.version, row.language) for row in found]


def test_a_published_text_is_never_changed() -> None:
    texts = [text for key in consents.KEYS for text in consents.versions(key)]
    assert {(text.key, text.version, text.language): text.digest.hex()[:16] for text in texts} == PUBLISHED


@pytest.mark.parametrize("key", consents.KEYS)
def test_every_text_is_there_in_both_languages(key) -> None:
    assert {consents.shown(key, language).language for language in ("en", "es")} == {"en", "es"}
    assert consents.shown(key, "tlh").language == "en"


def test_an_answer_is_kept_with_the_text_that_was_shown(person) -> None:
    person.known()
    person.save("consents", care_team="yes", records="no")
    assert rows(person.intake_id) == [
        ("care_team", True, "2026-11.2", "en"),
        ("records", False, "2026-11", "en"),
    ]
    row = queries.consent_answers(person.intake.patient_id)[0]
    assert row.text_hash == consents.shown("care_team", "en").digest


def test_the_language_is_that_of_the_page(person) -> None:
    person.client.get("/intake/consents?lang=es")
    person.save("consents", care_team="yes")
    assert rows(person.intake_id) == [("care_team", True, "2026-11.2", "es")]


def test_the_same_answer_again_adds_nothing_another_one_does(person) -> None:
    for answer in ("yes", "yes", "no"):
        person.save("consents", records=answer)
    assert [row[1] for row in rows(person.intake_id)] == [True, False]


def test_an_older_text_that_was_on_the_page_is_the_one_that_counts(person, monkeypatch) -> None:
    old = consents.shown("records", "en")
    new = consents.Text("records", "2027-01", "en", "May we ask?", "Other words.")
    monkeypatch.setattr(consents, "shown", lambda key, language: new)
    person.client.post(
        "/intake/consents", data={"records": "yes", "records_text": old.digest.hex(), "form": "a", "revision": "0"}
    )
    assert rows(person.intake_id) == [("records", True, "2026-11", "en")]


def test_message_answers_keep_their_text_too(person) -> None:
    person.known()
    person.save("messages", email="yes", sms="no")
    assert [row[:2] for row in rows(person.intake_id)] == [("email", True), ("sms", False)]
    assert patients.consents(person.intake.patient_id) == {"email": True, "sms": False}


def test_a_draft_is_no_answer(person) -> None:
    person.client.post("/intake/consents/autosave", data={"care_team": "yes", "form": "a"})
    assert rows(person.intake_id) == []


def test_a_form_that_the_team_may_not_read_is_not_sent(person) -> None:
    person.known()
    person.save("consents", care_team="no")
    answer = person.send()
    assert answer.location.endswith("/intake/consents?to=review")
    assert person.intake.state == IntakeState.OPEN
    assert "your care team may not use this form" in person.client.get(answer.location).get_data(as_text=True)
    person.save("consents", care_team="yes")
    assert person.send().location.endswith("/intake/done")


# -- later ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def patient(person):
    person.known()
    person.save("consents", care_team="yes", records="yes")
    person.send()
    return queries.patient_of(person.intake)


def test_a_yes_is_taken_back_on_the_own_pages(patient, person, client, sign_in_patient) -> None:
    sign_in_patient(patient)
    html = client.get("/me/consents").get_data(as_text=True)
    assert "You said yes" in html
    assert "Change it under Messages" in html
    assert "What you agreed to" in client.get("/me").get_data(as_text=True)
    client.post("/me/consents", data={"consent": "records", "answer": "no"})
    newest = {row.consent: row.granted for row in queries.consent_answers(patient.id)}
    assert newest == {"care_team": True, "records": False}
    assert len(rows(person.intake_id)) == 3


@pytest.mark.parametrize("sent", [{}, {"consent": "records"}, {"consent": "email", "answer": "no"}, {"answer": "no"}])
def test_nonsense_changes_nothing(patient, person, client, sign_in_patient, sent) -> None:
    sign_in_patient(patient)
    assert client.post("/me/consents", data=sent).status_code == 302
    assert len(rows(person.intake_id)) == 2


def test_without_a_form_there_is_nothing_to_change(clinic, client, sign_in_patient) -> None:
    patient = make_patient()
    db.session.commit()
    sign_in_patient(patient)
    assert "You have not answered this yet" in client.get("/me/consents").get_data(as_text=True)
    with pytest.raises(Conflict):
        operations.change_consent(patient.id, "records", True, language="en", by=TESTER)
    make_intake(patient)
    with pytest.raises(Invalid):
        operations.change_consent(patient.id, "sms", True, language="en", by=TESTER)


@pytest.mark.parametrize("role", ["front_desk", "prescriber"])
def test_staff_see_version_and_date(patient, client, sign_in, role) -> None:
    sign_in(role)
    html = client.get(f"/staff/patients/{patient.id}").get_data(as_text=True)
    assert "text 2026-11, English, Mon, Nov 23" in html
