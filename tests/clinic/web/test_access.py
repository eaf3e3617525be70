"""The declaration of a route is held against the caller before the view runs."""

import re

import pytest

from clinic.web.access import is_safe_next
from tests.builders import make_location, make_patient


def test_a_view_without_a_declaration_is_refused(app, client, database, monkeypatch) -> None:
    monkeypatch.setitem(app.view_functions, "health.healthz", lambda: "open")
    assert client.get("/healthz").status_code == 403


def test_who_is_refused_stands_in_the_log_by_id(client, database, sign_in, caplog) -> None:
    nurse = sign_in("nurse")
    assert client.get("/staff/settings").status_code == 403
    assert f"refused: staff {nurse.id} at " in caplog.text
    assert nurse.name not in caplog.text


def test_a_record_out_of_reach_stands_in_the_log_by_id(client, database, sign_in, caplog) -> None:
    patient = make_patient(preferred_location_id=make_location().id)
    nurse = sign_in("nurse", locations=[make_location()])
    assert client.get(f"/staff/patients/{patient.id}").status_code == 404
    assert re.search(rf"out of reach: .*{nurse.id}.* patient_id {patient.id}\b", caplog.text)


@pytest.mark.parametrize("target", ["/me", "/staff/patients?q=AE", "/"])
def test_a_local_address_is_safe(target) -> None:
    assert is_safe_next(target)


@pytest.mark.parametrize(
    "target", [None, "", "me", "//evil.example", "https://evil.example", "/\\evil.example", "/a\\b"]
)
def test_an_address_that_may_lead_elsewhere_is_not(target) -> None:
    assert not is_safe_next(target)


def test_a_staff_form_after_the_session_ended_says_so(client, database, post) -> None:
    answer = post("/staff/tasks/1/take")
    assert "/staff/login" in answer.location
    assert "Please sign in again" in client.get(answer.location).text


@pytest.mark.parametrize("target", ["/\t/evil.example", "/\n/evil.example", "/a\rb", "/\x7f"])
def test_what_a_browser_drops_does_not_hide_another_site(target) -> None:
    assert not is_safe_next(target)


@pytest.mark.parametrize("path", ["//evil.example/", "/%09/evil.example/", "/%5Cevil.example/", "/%0d%0a/evil.example"])
def test_choosing_a_language_stays_on_this_site(client, database, path) -> None:
    location = client.get(f"{path}?lang=es").location or "/"
    assert location.startswith(("/", "http://localhost/"))
    assert not location.startswith(("//", "/\\", "/\t"))


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example", "/\\evil.example", "/\t/evil.example"])
def test_signing_in_leads_to_this_site(client, post, database, target) -> None:
    from clinic.staff.operations import create_staff_user
    from tests.builders import TESTER

    create_staff_user(email="n@example.org", name="Nora", password="a long pass phrase", roles=["nurse"], by=TESTER)
    answer = post(
        f"/staff/login?next={target}", {"email": "n@example.org", "password": "a long pass phrase", "next": target}
    )
    assert (answer.location or "/staff/") in (
        "/staff/",
        "/%5Cevil.example",
    )  # encoded: a page of ours that is not there
