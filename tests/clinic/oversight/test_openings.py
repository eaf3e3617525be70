"""A record of another site: opened with a reason, heard of at once, looked at afterwards, closed by itself."""

from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from clinic.audit import AuditEvent
from clinic.db import db
from clinic.patients.models import RecordOpening
from clinic.reminders import finding
from clinic.reminders.purposes import Purpose
from clinic.tasks.models import Task
from tests.builders import make_location, make_patient, make_staff
from tests.conftest import NOW

BORN = date(1980, 5, 17)


@pytest.fixture
def scene(database, now, rings, sign_in) -> Any:
    """A nurse of one site, a patient of another, and that site's manager."""
    here, there = make_location(), make_location()
    patient = make_patient(given_name="Zelda", preferred_location_id=there.id, birth_date=BORN)
    boss = make_staff("manager", locations=(there,))
    nurse = sign_in("nurse", locations=(here,))
    return patient, nurse, boss, here, there


def wish(patient: Any, **overrides: Any) -> dict[str, Any]:
    return {
        "found_by": patient.record_number,
        "birth_date": BORN.isoformat(),
        "kind": "emergency",
        "reason": "She is at our desk and feels faint.",
    } | overrides


def opened() -> RecordOpening:
    return db.session.scalars(select(RecordOpening)).one()


def test_a_reason_opens_the_record_and_what_belongs_to_it(client, post, scene) -> None:
    patient = scene[0]
    assert client.get(f"/staff/patients/{patient.id}").status_code == 404
    answer = post("/staff/patients/elsewhere", wish(patient))
    assert answer.location == f"/staff/patients/{patient.id}"
    page = client.get(answer.location).text
    assert "Zelda" in page
    assert "of another site is open to you until" in page


def test_it_closes_by_itself_after_four_hours(client, post, scene, at) -> None:
    post("/staff/patients/elsewhere", wish(scene[0]))
    for minutes in range(25, 240, 25):
        with at(NOW + timedelta(minutes=minutes)):
            assert client.get(f"/staff/patients/{scene[0].id}").status_code == 200
    with at(NOW + timedelta(hours=4)):
        assert client.get(f"/staff/patients/{scene[0].id}").status_code == 404


def test_it_can_be_given_back(client, post, scene) -> None:
    post("/staff/patients/elsewhere", wish(scene[0]))
    post(f"/staff/openings/{opened().id}/give-back")
    assert client.get(f"/staff/patients/{scene[0].id}").status_code == 404


def test_nobody_gives_back_for_another(post, scene, sign_in) -> None:
    post("/staff/patients/elsewhere", wish(scene[0]))
    sign_in("nurse")
    assert post(f"/staff/openings/{opened().id}/give-back").status_code == 404


def test_roles_count_in_an_opened_record_too(client, post, scene, sign_in) -> None:
    patient, _, _, here, _ = scene
    sign_in("front_desk", locations=(here,))
    post("/staff/patients/elsewhere", wish(patient))
    assert client.get(f"/staff/patients/{patient.id}").status_code == 200
    assert client.get(f"/staff/patients/{patient.id}/intake").status_code == 403


@pytest.mark.parametrize(
    "change",
    [
        {"birth_date": "1980-05-18"},
        {"found_by": "D-99999"},
        {"found_by": "Zelda"},
        {"reason": "x"},
        {"reason": "x" + " " * 20},
        {"reason": ""},
        {"kind": "curious"},
        {"kind": ""},
        {"birth_date": ""},
    ],
)
def test_without_person_birth_date_or_reason_nothing_opens(post, scene, change) -> None:
    answer = post("/staff/patients/elsewhere", wish(scene[0], **change))
    assert answer.status_code == 422
    assert db.session.scalars(select(RecordOpening)).all() == []


def test_a_wrong_date_and_an_unknown_number_sound_the_same(post, scene) -> None:
    pages = [
        post("/staff/patients/elsewhere", wish(scene[0], **change)).text
        for change in ({"birth_date": "1980-05-18"}, {"found_by": "D-99999"})
    ]
    assert all("Nobody has this record number, phone or email and this date of birth." in page for page in pages)


def test_the_managers_of_the_patients_site_are_told_at_once(post, scene) -> None:
    patient, _, boss, here, there = scene
    other, everywhere = make_staff("manager", locations=(here,)), make_staff("manager")
    post("/staff/patients/elsewhere", wish(patient))
    task = db.session.scalars(select(Task).where(Task.kind == "record_opened")).one()
    assert (task.for_role, task.location_id, task.patient_id) == ("manager", there.id, patient.id)
    told = {found.recipient for found in finding.find_urgent(NOW, ()) if found.due.purpose == Purpose.RECORD_OPENED}
    assert told == {boss.email, everywhere.email}
    assert other.email not in told


def test_who_when_what_from_where_and_why_is_on_record(client, post, scene) -> None:
    patient, nurse = scene[:2]
    post("/staff/patients/elsewhere", wish(patient))
    client.get(f"/staff/patients/{patient.id}")
    events = db.session.scalars(
        select(AuditEvent).where(AuditEvent.actor_key == str(nurse.id), AuditEvent.patient_id == patient.id)
    ).all()
    first = next(event for event in events if event.action == "opened_elsewhere")
    assert first.reason == "She is at our desk and feels faint."
    assert first.origin["address"] == "127.0.0.1"
    assert first.origin["session"].startswith("staff ")
    assert [event.action for event in events][-1] == "viewed"


def test_a_manager_looks_at_it_and_says_what_was_found(client, post, scene, sign_in) -> None:
    patient, nurse, _, _, there = scene
    post("/staff/patients/elsewhere", wish(patient))
    client.get(f"/staff/patients/{patient.id}")
    sign_in("manager", locations=(there,))
    task = db.session.scalars(select(Task).where(Task.kind == "record_opened")).one()
    row = opened()
    page = client.get(f"/staff/openings/{row.id}").text
    assert nurse.name in page
    assert "feels faint" in page
    assert "viewed" in page
    assert post(f"/staff/openings/{row.id}", {"finding": ""}).status_code == 422
    post(f"/staff/openings/{row.id}", {"finding": "In order."})
    assert row.finding == "In order."
    assert task.closed_at is not None
    assert post(f"/staff/openings/{row.id}", {"finding": "Again."}).status_code == 409


def test_a_manager_of_another_site_does_not_see_it(client, post, scene, sign_in) -> None:
    post("/staff/patients/elsewhere", wish(scene[0]))
    sign_in("manager", locations=(scene[3],))
    assert client.get(f"/staff/openings/{opened().id}").status_code == 404


def test_nobody_looks_at_what_they_opened_themselves(client, post, scene, sign_in) -> None:
    boss = sign_in("manager", locations=(scene[3],))
    post("/staff/patients/elsewhere", wish(scene[0]))
    assert post(f"/staff/openings/{opened().id}", {"finding": "In order."}).status_code == 403
    assert opened().staff_id == boss.id


def test_an_empty_search_leads_there(client, scene) -> None:
    page = client.get("/staff/patients", query_string={"q": scene[0].record_number}).text
    assert f"/staff/patients/elsewhere?q={scene[0].record_number}" in page
