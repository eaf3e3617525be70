"""In which language a page is shown, and how that is chosen, kept and told."""

import re
from datetime import UTC, date, datetime

import pytest
from flask import Flask
from sqlalchemy import select

from clinic.audit import AuditEvent
from clinic.intake.models import Intake
from clinic.patients import links
from clinic.patients.models import LinkPurpose, Patient
from clinic.patients.signin import COOKIE
from clinic.web import context, i18n
from tests.builders import make_location, make_patient, make_profile

SPANISH = {"Accept-Language": "es-MX,es;q=0.9,en;q=0.5"}


def lang(answer) -> str:
    found = re.search(r'<html lang="([a-z]+)"', answer.text)
    assert found
    assert answer.headers["Content-Language"] == found[1]
    return found[1]


def switch(answer, language: str) -> str:
    """Address of the page's link to another language."""
    found = re.search(rf'<a href="([^"]+)" lang="{language}" hreflang="{language}">', answer.text)
    assert found
    return found[1].replace("&amp;", "&")


@pytest.fixture
def intake(client, database, now) -> Intake:
    make_profile()
    make_location()
    client.post("/intake/start")
    return database.session.scalars(select(Intake)).one()


def test_a_visitor_reads_what_the_browser_asks_for(client, database) -> None:
    assert lang(client.get("/")) == "en"
    assert lang(client.get("/", headers=SPANISH)) == "es"
    assert lang(client.get("/", headers={"Accept-Language": "fr"})) == "en"


def test_caches_are_told_on_what_the_language_depends(client, database) -> None:
    assert {"Accept-Language", "Cookie"} <= set(client.get("/").vary)


def test_a_visitors_choice_is_kept_and_leaves_the_address(client, database) -> None:
    address = switch(client.get("/locations?near=92831"), "es")
    answer = client.get(address)
    assert answer.location == "/locations?near=92831"
    assert lang(client.get(answer.location)) == "es"
    assert lang(client.get("/treatments")) == "es"
    assert lang(client.get(client.get("/?lang=en").location)) == "en"


def test_an_unknown_language_is_no_choice(client, database) -> None:
    assert client.get("/?lang=xx").location == "/"
    assert lang(client.get("/")) == "en"


def test_a_choice_leads_to_no_other_site(client, database) -> None:
    assert not client.get("//evil.example/?lang=es").location.startswith("//")


def test_a_form_is_begun_in_the_language_of_the_page(client, database, now) -> None:
    make_location()
    client.get("/intake/start?lang=es")
    client.post("/intake/start")
    assert database.session.scalars(select(Intake)).one().language == "es"


def test_a_choice_on_the_form_is_stored_with_it(client, database, intake) -> None:
    answer = client.get("/intake/about?to=review&lang=es")
    assert answer.location == "/intake/about?to=review"
    assert intake.language == "es"
    assert lang(client.get("/intake/about", headers={"Accept-Language": "en"})) == "es"
    event = database.session.scalars(select(AuditEvent).filter_by(entity="intakes", action="language")).one()
    assert event.detail == {"language": "es"}


def test_a_choice_loses_no_answer(client, database, intake) -> None:
    client.post("/intake/about/autosave", data={"given": "Ada", "form": "a", "revision": "0"})
    client.get(client.get("/intake/about?lang=es").location)
    assert 'value="Ada"' in client.get("/intake/about").text


def test_a_choice_after_the_question_about_language_counts(client, database, intake) -> None:
    about = {"given": "Ada", "family": "Example", "birth_month": "5", "birth_day": "17", "birth_year": "1980"}
    client.post("/intake/about", data=about)
    client.post("/intake/contact", data={"email": "ada@example.org", "language": "en"})
    client.get("/intake/cover?lang=es")
    client.post("/intake/about", data=about | {"revision": "1"})
    patient = database.session.scalars(select(Patient)).one()
    assert (intake.language, patient.language) == ("es", "es")


def test_the_own_pages_follow_the_patient_and_a_choice_is_stored(client, database, now, sign_in_patient) -> None:
    patient = make_patient(language="es")
    sign_in_patient(patient)
    assert lang(client.get("/me", headers={"Accept-Language": "en"})) == "es"
    client.get("/me?lang=en")
    assert patient.language == "en"
    assert lang(client.get("/me", headers=SPANISH)) == "en"


def test_a_choice_made_before_signing_in_goes_with_the_person_once(client, database, now, sign_in_patient) -> None:
    patient = make_patient(language="en")
    client.get("/link?lang=es")
    sign_in_patient(patient)
    assert lang(client.get("/me")) == "es"
    assert patient.language == "es"
    other = make_patient(language="en")
    sign_in_patient(other)
    assert lang(client.get("/me")) == "en"
    assert other.language == "en"


def test_the_page_of_a_link_is_in_the_language_of_its_owner(client, database, now) -> None:
    token = links.make_link(LinkPurpose.SIGN_IN, patient_id=make_patient(language="es").id)
    database.session.flush()
    assert lang(client.get(f"/l/{token}")) == "es"
    client.get("/?lang=en")
    assert lang(client.get(f"/l/{token}")) == "en"


def test_staff_pages_are_english(client, database, now, sign_in) -> None:
    assert lang(client.get("/staff/login", headers=SPANISH)) == "en"
    sign_in("manager")
    client.get("/?lang=es")
    for address in ("/staff/", "/staff/patients", "/staff/nothing-here"):
        answer = client.get(address, headers=SPANISH)
        assert lang(answer) == "en"
        assert "hreflang" not in answer.text


def test_error_pages_speak_the_readers_language(client, database, app: Flask, monkeypatch) -> None:
    answer = client.get("/nothing-here", headers=SPANISH)
    assert (answer.status_code, lang(answer)) == (404, "es")
    assert "Aquí no hay ninguna página" in answer.text


def test_the_last_resort_page_needs_no_database(client, database, app: Flask, monkeypatch) -> None:
    from sqlalchemy.exc import OperationalError

    def gone(*_args):
        raise OperationalError("SELECT 1", {}, Exception("gone"))

    monkeypatch.setattr(i18n, "KEEPERS", [i18n.Keeper(1, gone, gone)])
    monkeypatch.setattr("clinic.locations.queries.active", gone)
    answer = client.get("/", headers=SPANISH)
    assert answer.status_code == 503
    assert "988" in answer.text


@pytest.mark.parametrize(
    ("language", "day", "long_day", "short_day", "clock"),
    [
        ("en", "Mon, Nov 30", "Monday, November 30, 2026", "Nov 30", "8:05 pm"),
        ("es", "lunes, 30 de noviembre", "lunes, 30 de noviembre de 2026", "30 nov", "8:05 p. m."),
    ],
)
def test_dates_and_times_are_in_the_pages_language(app: Flask, language, day, long_day, short_day, clock) -> None:
    instant, zone = datetime(2026, 12, 1, 4, 5, tzinfo=UTC), "America/Los_Angeles"
    with app.test_request_context("/", headers={"Accept-Language": language}):
        assert context.day(instant, zone) == day
        assert context.long_day(date(2026, 11, 30)) == long_day
        assert context.short_day(instant, zone) == short_day
        assert context.clock12(instant, zone).replace("\u00a0", " ") == clock


def test_a_questionnaire_without_a_published_form_is_english_and_says_so(client, database, intake, sign_in) -> None:
    client.get("/intake/about?lang=es")
    page = client.get("/intake/ptsd-1").text
    assert "Had nightmares about the event(s)" in page
    assert "su versión publicada en español no está cargada" in page
    assert '<div class="stack gap-5" lang="en">' in page
    page = client.get("/intake/phq9-1").text
    assert "Poco interés o placer en hacer cosas" in page
    assert "no está cargada" not in page


def test_staff_are_told_what_was_asked_in_english(client, database, intake, sign_in) -> None:
    client.get("/intake/about?lang=es")
    about = {"given": "Ada", "family": "Example", "birth_month": "5", "birth_day": "17", "birth_year": "1980"}
    client.post("/intake/about", data=about)
    client.post("/intake/contact", data={"email": "ada@example.org", "language": "es"})
    client.post("/intake/ptsd-1", data={"item1": "1"})
    client.post("/intake/review")
    sign_in("prescriber")
    patient = database.session.scalars(select(Patient)).one()
    page = client.get(f"/staff/patients/{patient.id}/intake").text
    assert "no published form in the person&#39;s language is loaded: Primary Care PTSD Screen for DSM-5." in page


def test_a_clinics_tablet_keeps_no_choice_for_the_next_person(client, database, now) -> None:
    def open_kiosk(patient: Patient) -> None:
        client.set_cookie(COOKIE, links.open_kiosk_session(LinkPurpose.INTAKE, patient_id=patient.id, intake_id=None))
        database.session.flush()

    first, second = make_patient(language="en"), make_patient(language="en")
    open_kiosk(first)
    client.get("/intake/later?lang=es")
    assert first.language == "es"
    assert client.get_cookie(i18n.COOKIE) is None
    client.delete_cookie(COOKIE)
    client.get("/?lang=es")
    open_kiosk(second)
    client.get("/intake/later")
    assert second.language == "en"
