"""Who looked: for managers in full, for the patient in plain words."""

from datetime import timedelta
from typing import Any

import pytest

from clinic.oversight import queries
from tests.builders import make_location, make_patient, make_staff
from tests.conftest import NOW


@pytest.fixture
def seen(database, now, sign_in, client, post) -> Any:
    """A patient whose record a nurse opened and changed; a manager is signed in."""
    here = make_location()
    patient = make_patient(preferred_location_id=here.id)
    nurse = sign_in("nurse", locations=(here,), name="Nora Nurse")
    client.get(f"/staff/patients/{patient.id}")
    post(f"/staff/patients/{patient.id}/link")
    sign_in("manager", locations=(here,))
    return patient, nurse, here


def test_the_report_says_who_when_what_from_where(client, seen) -> None:
    page = client.get("/staff/reports/access").text
    for words in ("Nora Nurse", seen[0].record_number, "viewed", "127.0.0.1"):
        assert words in page


def test_it_is_of_the_own_sites(client, seen, sign_in) -> None:
    sign_in("manager", locations=(make_location(),))
    assert seen[0].record_number not in client.get("/staff/reports/access").text


@pytest.mark.parametrize("query", ["since=2026-11-24", "until=2026-11-22", "record=D-1", "opened=y"])
def test_what_does_not_fit_is_left_out(client, seen, query) -> None:
    assert "Nora Nurse</th>" not in client.get(f"/staff/reports/access?{query}").text


def test_it_is_narrowed_by_person_record_and_day(client, seen) -> None:
    patient, nurse, _ = seen
    other = make_staff("nurse")
    query = {"who": nurse.id, "record": patient.record_number, "since": "2026-11-23", "until": "2026-11-23"}
    assert "Nora Nurse</th>" in client.get("/staff/reports/access", query_string=query).text
    ever = {"since": "0001-01-01", "until": "9999-12-31"}
    assert "Nora Nurse</th>" in client.get("/staff/reports/access", query_string=query | ever).text
    assert "Nora Nurse</th>" not in client.get("/staff/reports/access", query_string=query | {"who": other.id}).text


@pytest.mark.parametrize("query", ["who=x", "since=yesterday", "before=x", "record=" + "9" * 50])
def test_a_wrong_question_is_no_fault_of_ours(client, seen, query) -> None:
    assert client.get(f"/staff/reports/access?{query}").status_code in (200, 422)


def test_a_patient_reads_who_looked_in_plain_words(client, seen, sign_in_patient) -> None:
    sign_in_patient(seen[0])
    page = client.get("/me/access").text
    assert "Nora Nurse" in page
    assert "nurse" in page
    assert "Looked at: your record" in page
    assert "Worked on: a link for you" in page
    assert "127.0.0.1" not in page


def test_in_spanish_too(client, seen, sign_in_patient) -> None:
    seen[0].language = "es"
    sign_in_patient(seen[0])
    assert "Quién vio su expediente" in client.get("/me/access").text


def test_of_another_patient_nothing(client, seen, sign_in_patient) -> None:
    sign_in_patient(make_patient())
    assert "Nora Nurse" not in client.get("/me/access").text


def test_visits_are_grouped_by_day_and_person(client, seen, at, sign_in) -> None:
    patient, _, here = seen
    with at(NOW + timedelta(days=1)):
        sign_in("nurse", locations=(here,))
        client.get(f"/staff/patients/{patient.id}")
        client.get(f"/staff/patients/{patient.id}/plan")
    visits, older = queries.own_report(patient.id, "America/Los_Angeles")
    assert [visit.on.day for visit in visits] == [24, 23]
    assert older is None


def test_a_long_trail_has_pages(client, seen, monkeypatch, sign_in_patient) -> None:
    monkeypatch.setattr(queries, "OWN_PAGE", 1)
    sign_in_patient(seen[0])
    page = client.get("/me/access").text
    assert "/me/access?before=" in page
