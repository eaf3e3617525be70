"""Sending: once, frozen, reviewed; and coming back before that, on any device."""

from datetime import UTC, date, datetime

import pytest
from sqlalchemy import select

from clinic.db import db, transaction
from clinic.eligibility.engine.record import IntakeRecord
from clinic.errors import AlreadyOver
from clinic.intake import operations, queries
from clinic.intake.models import Intake, IntakeState
from clinic.patients import links
from clinic.patients import queries as patients
from clinic.patients.models import LinkPurpose, LinkRequest
from clinic.tasks.models import Task
from tests.builders import TESTER, make_intake, make_location, make_patient

BORN = {"month": "5", "day": "17", "year": "1980"}


def reviews() -> list[Task]:
    return list(db.session.scalars(select(Task).where(Task.kind == "review_intake")))


def link_to(person) -> str:
    intake = person.intake
    with transaction():
        return links.make_link(LinkPurpose.INTAKE, patient_id=intake.patient_id, intake_id=intake.id)


def test_sending_freezes_the_record_and_opens_the_review(person, rings) -> None:
    person.known()
    person.save("cover", payer="Aetna")
    key = person.add_medicine("Zoloft")
    person.save(f"medicines/{key}/1", drug="Zoloft", dose="100", weeks="8")
    assert person.send().location.endswith("/intake/done")
    intake = person.intake
    assert intake.state == IntakeState.SUBMITTED
    assert intake.record == {
        "id": f"intake-{intake.id}",
        "as_of": "2026-11-23",
        "age": 46,
        "trials": [{"drug": "Zoloft", "dose_mg_per_day": 100, "weeks": 8}],
        "payer": "Aetna",
    }
    IntakeRecord.model_validate(intake.record)
    task = reviews()[0]
    assert (task.patient_id, task.intake_id, task.level) == (intake.patient_id, intake.id, "routine")
    assert task.due_at == datetime(2026, 11, 25, 2, 0, tzinfo=UTC)  # end of the second open day
    assert ("eligibility.assess", {"intake_id": intake.id}) in rings


def test_sending_twice_is_one_intake(person, rings) -> None:
    person.known()
    for _ in range(2):
        answer = person.send()
        assert answer.location.endswith("/intake/done")
    assert len(reviews()) == 1
    assert [job for job, _ in rings].count("eligibility.assess") == 1


def test_after_sending_nothing_changes(person) -> None:
    person.known()
    key = person.add_medicine("Zoloft")
    person.send()
    assert person.save("cover", payer="Other").location.endswith("/intake/done")
    assert person.client.post("/intake/cover/autosave", data={"payer": "Other"}).status_code == 409
    assert person.client.post(f"/intake/medicines/{key}/remove").location.endswith("/intake/done")
    with pytest.raises(AlreadyOver):
        operations.add_trial(person.intake_id, "c0ffee00-0000-4000-8000-000000000000", "x", by=TESTER)
    assert "payer" not in person.intake.record


def test_what_was_chosen_moves_to_the_patient(person, clinic) -> None:
    person.known()
    person.save("cover", payer="Aetna")
    person.save("places", first=str(clinic.id))
    person.save("messages", email="yes", sms="no", style="each")
    person.send()
    patient = queries.patient_of(person.intake)
    assert (patient.payer, patient.preferred_location_id, patient.message_style) == ("Aetna", clinic.id, "each")
    assert patients.consents(patient.id) == {"email": True, "sms": False}
    assert reviews()[0].location_id == clinic.id


def test_a_consent_that_was_not_answered_is_not_recorded(person) -> None:
    person.known()
    person.save("messages", sms="yes")
    person.send()
    assert patients.consents(person.intake.patient_id) == {"sms": True}


def test_without_a_name_the_form_is_not_sent(person) -> None:
    answer = person.send()
    assert "/intake/about" in answer.location
    assert person.intake.state == IntakeState.OPEN


def test_a_page_that_was_changed_and_not_left_is_looked_at_once_more(person) -> None:
    person.known()
    person.client.post("/intake/contact/autosave", data={"email": "half@", "form": "z", "revision": "1"})
    assert "/intake/contact" in person.send().location


def test_a_newer_intake_takes_the_place_of_the_older(person) -> None:
    person.known()
    older = make_intake(queries.patient_of(person.intake))
    person.send()
    db.session.expire_all()
    assert (older.state, person.intake.state) == (IntakeState.SUPERSEDED, IntakeState.SUBMITTED)
    assert queries.latest_submitted(older.patient_id).id == person.intake_id


def test_availability_is_read_from_the_form_that_was_sent(person, clinic) -> None:
    other = make_location()
    person.known()
    person.save("times", when="some", windows=["0-morning", "0-afternoon"])
    person.save("away", from1="2026-12-24", to1="2026-12-25")
    person.save("places", first=str(other.id), second=str(clinic.id))
    patient_id = person.intake.patient_id
    nothing = {"windows": {}, "away": [], "locations": []}
    assert queries.availability(patient_id) == nothing
    person.send()
    assert queries.availability(patient_id) == {
        "windows": {0: [[480, 1020]]},
        "away": [date(2026, 12, 24), date(2026, 12, 25)],
        "locations": [other.id, clinic.id],
    }


# -- coming back ----------------------------------------------------------------------------------------------------


def test_another_device_goes_on_where_it_stopped(person, another) -> None:
    person.known()
    person.save("cover", payer="Aetna")
    token = link_to(person)
    phone = another()
    assert phone.get(f"/l/{token}").status_code == 200
    landed = phone.post(f"/l/{token}").location
    assert phone.get("/intake/cover").location.startswith("/birth-date")  # whoever holds the phone sees no answer yet
    phone.post("/birth-date", data=BORN)
    assert phone.get(landed).location.endswith("/intake/brings")
    assert "Aetna" in phone.get("/intake/cover").get_data(as_text=True)


def test_every_page_is_there_after_the_browser_and_the_server_are_gone(person, another) -> None:
    person.known()
    person.save("phq9-1", answer="2")
    key = person.add_medicine("Zoloft")
    person.save(f"medicines/{key}/1", drug="Zoloft", dose="50")
    token = link_to(person)
    db.session.remove()  # nothing is held but what the database has
    phone = another()
    phone.post(f"/l/{token}")
    phone.post("/birth-date", data=BORN)
    assert phone.get("/intake").location.endswith(f"/intake/medicines/{key}/2")
    assert 'value="2" checked' in phone.get("/intake/phq9-1").get_data(as_text=True)


def test_a_page_that_was_not_finished_is_where_it_stopped(person) -> None:
    person.known()
    person.client.post("/intake/brings/autosave", data={"reason": "so", "form": "a"})
    assert person.get("").location.endswith("/intake/brings")


def test_without_a_session_the_way_back_is_a_fresh_link(person, another) -> None:
    answer = another().get("/intake/cover")
    assert answer.status_code == 302
    assert answer.location.startswith("/link")


def signed_in(browser, patient_id: int) -> None:
    with transaction():
        token = links.make_link(LinkPurpose.SIGN_IN, patient_id=patient_id)
    browser.post(f"/l/{token}")


def test_a_sign_in_link_leads_back_to_the_form_after_the_birth_date(person, another) -> None:
    person.known()
    person.save("cover", payer="Aetna")
    phone = another()
    signed_in(phone, person.intake.patient_id)
    assert phone.get("/intake/cover").location.startswith("/birth-date")
    phone.post("/birth-date?next=/intake", data={"month": "5", "day": "17", "year": "1980"})
    assert phone.get("/intake").location.endswith("/intake/brings")
    assert "Your form is not sent yet" in phone.get("/me").get_data(as_text=True)


def test_who_has_no_form_is_told_so(person, another) -> None:
    stranger = make_patient(birth_date=date(1980, 5, 17))
    db.session.commit()
    phone = another()
    signed_in(phone, stranger.id)
    phone.post("/birth-date?next=/intake", data={"month": "5", "day": "17", "year": "1980"})
    assert phone.get("/intake").status_code == 404
    assert phone.get("/intake/start").status_code == 200


def test_stopping_asks_for_a_link_and_shows_where_it_goes(person, rings) -> None:
    person.known()
    assert person.save("cover", payer="Aet", later="1").location.endswith("/intake/later")
    html = person.get("later").get_data(as_text=True)
    assert "a***@example.org" in html
    assert "ada@example.org" not in html
    person.client.post("/intake/later")
    row = db.session.scalars(select(LinkRequest)).one()
    assert (row.purpose, row.intake_id, row.patient_id) == ("intake", person.intake_id, person.intake.patient_id)
    assert ("reminders.sweep_urgent", {}) in rings


def test_stopping_keeps_what_cannot_be_used_yet(person) -> None:
    assert person.save("about", given="Ada", later="1").location.endswith("/intake/later")
    assert queries.values(person.intake_id)["about"] == {"given": "Ada"}
    assert "We do not know yet how to reach you" in person.get("later").get_data(as_text=True)
    assert person.client.post("/intake/later").status_code == 200


def test_who_stops_at_an_open_question_comes_back_to_it(person) -> None:
    person.known()
    person.save("therapy", later="1")
    assert person.client.get("/intake").location.endswith("/intake/therapy")
    person.save("therapy", had="no", later="1")
    assert person.client.get("/intake").location.endswith("/intake/treatments")


def test_starting_again_on_the_same_device_goes_on(person) -> None:
    assert person.client.post("/intake/start").location.endswith("/intake")
    assert db.session.query(Intake).count() == 1
    assert "Go on where you stopped" in person.get("start").get_data(as_text=True)


def test_the_review_shows_every_answer_and_the_gaps(person) -> None:
    person.known()
    person.save("implants", metal_in_head="yes", cochlear_implant="not_sure")
    key = person.add_medicine("Zoloft")
    person.save(f"medicines/{key}/1", drug="Zoloft", dose="50-100")
    html = person.get("review").get_data(as_text=True)
    for shown in ("Ada Example", "May 17, 1980", "Zoloft", "50-100", "Not sure", "Not answered"):
        assert shown in html
    assert 'href="/intake/implants?to=review"' in html


def test_the_done_page_is_shown_only_after_sending(person) -> None:
    person.known()
    assert person.get("done").location.endswith("/intake")
    person.send()
    assert "We have your answers" in person.get("done").get_data(as_text=True)
