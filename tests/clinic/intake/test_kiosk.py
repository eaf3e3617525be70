"""On a tablet of the clinic: staff are signed out first, nothing leads out, and it ends by itself."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from clinic import clock
from clinic.audit import AuditEvent
from clinic.db import db
from clinic.intake import queries
from clinic.intake.models import Intake
from clinic.patients.models import PatientSession
from tests.builders import make_patient


def started(client, sign_in, patient=None, role="front_desk"):
    sign_in(role)
    return client.post(f"/staff/patients/{patient.id}/kiosk" if patient else "/staff/kiosk")


def session_row() -> PatientSession:
    db.session.expire_all()
    return db.session.scalars(select(PatientSession).order_by(PatientSession.id.desc())).first()


def test_staff_are_signed_out_and_the_form_is_open(clinic, client, sign_in, rings) -> None:
    patient = make_patient(given_name="Ada", family_name="Example")
    answer = started(client, sign_in, patient)
    assert answer.location.endswith("/intake/about")
    html = client.get("/intake/about").get_data(as_text=True)
    assert 'value="Ada"' in html
    assert client.get(f"/staff/patients/{patient.id}").status_code == 302
    row = session_row()
    assert (row.is_kiosk, row.patient_id, row.purpose) == (True, patient.id, "intake")
    handed = db.session.scalars(select(AuditEvent).where(AuditEvent.action == "handed_over")).one()
    assert (handed.actor_kind, handed.patient_id) == ("staff", patient.id)


def test_what_is_known_is_not_asked_again(clinic, client, sign_in, rings) -> None:
    patient = make_patient(email="ada@example.org")
    started(client, sign_in, patient)
    intake = queries.open_of(patient.id)
    assert queries.values(intake.id)["contact"]["email"] == "ada@example.org"
    assert db.session.query(Intake).count() == 1
    started(client, sign_in, patient)
    assert db.session.query(Intake).count() == 1, "a form that is open goes on"


def test_a_new_person_begins_without_a_name(clinic, client, sign_in, rings) -> None:
    assert started(client, sign_in).location.endswith("/intake/about")
    assert session_row().patient_id is None


@pytest.mark.parametrize("role", ["operator", "therapist"])
def test_who_may_not_edit_does_not_hand_over(clinic, client, sign_in, role) -> None:
    assert started(client, sign_in, make_patient(), role).status_code == 403


def test_the_button_is_on_the_record(clinic, client, sign_in) -> None:
    patient = make_patient()
    sign_in("front_desk")
    assert "Fill in on this tablet" in client.get(f"/staff/patients/{patient.id}").get_data(as_text=True)
    assert "New person: fill in on this tablet" in client.get("/staff/patients").get_data(as_text=True)


def test_the_page_is_light_large_and_leads_nowhere(clinic, client, sign_in, rings) -> None:
    started(client, sign_in)
    html = client.get("/intake/about").get_data(as_text=True)
    assert 'data-scheme="light" data-kiosk' in html
    assert '<a class="brand"' not in html
    assert "hand back the tablet" in html
    done = client.get("/intake/later").get_data(as_text=True)
    assert "Stop and hand back the tablet" in done


@pytest.mark.parametrize("way", ["/", "/treatments", "/link", "/me", "/me/consents", "/intake/start", "/birth-date"])
def test_every_other_page_leads_back_to_the_form(clinic, client, sign_in, rings, way) -> None:
    started(client, sign_in)
    assert client.get(way, follow_redirects=True).request.path == "/intake/about"


def test_pages_of_the_staff_ask_for_a_sign_in(clinic, client, sign_in, rings) -> None:
    started(client, sign_in)
    assert client.get("/staff/patients", follow_redirects=True).request.path == "/staff/login"


def test_hand_back_ends_it_and_the_way_back_shows_nothing(clinic, client, sign_in, rings) -> None:
    patient = make_patient(given_name="Ada")
    started(client, sign_in, patient)
    client.post("/intake/cover", data={"payer": "Aetna", "form": "a", "revision": "0"})
    answer = client.post("/kiosk/hand-back")
    assert answer.location.endswith("/kiosk/over")
    page = client.get("/kiosk/over")
    assert "Ada" not in page.get_data(as_text=True)
    assert page.headers["Clear-Site-Data"] == '"cache", "storage"'
    assert page.headers["Cache-Control"] == "no-store"
    for before in ("/intake/about", "/intake/cover", "/intake", "/intake/files"):
        assert client.get(before).location.startswith("/link")
    assert session_row().ended_at is not None
    assert queries.values(queries.open_of(patient.id).id)["cover"] == {"payer": "Aetna"}


def test_ten_minutes_alone_end_it_with_everything_kept(clinic, client, sign_in, rings, now, at) -> None:
    patient = make_patient()
    started(client, sign_in, patient)
    client.post("/intake/cover/autosave", data={"payer": "Aetna", "form": "a"})
    with at(now + timedelta(minutes=9, seconds=59)):
        assert client.post("/kiosk/still").status_code == 204
    with at(now + timedelta(minutes=19)):
        assert client.get("/intake/cover").status_code == 200
    with at(now + timedelta(minutes=29)):
        assert client.get("/intake/cover").location.endswith("/kiosk/over")
        assert client.get("/intake/cover").location.startswith("/link")
    assert queries.values(queries.open_of(patient.id).id)["cover"] == {"payer": "Aetna"}


def test_it_ends_after_two_hours_whoever_is_there(clinic, client, sign_in, rings, now, at) -> None:
    started(client, sign_in)
    for minutes in range(9, 120, 9):
        with at(now + timedelta(minutes=minutes)):
            assert client.get("/intake/about").status_code == 200
    with at(now + timedelta(minutes=121)):
        assert client.get("/intake/about").location.startswith("/link")


def test_staff_who_sign_in_end_it(clinic, client, sign_in, rings) -> None:
    started(client, sign_in)
    sign_in("nurse")
    assert client.get("/staff/patients").status_code == 200
    assert session_row().ended_at is not None


def test_after_sending_the_tablet_is_handed_back(clinic, client, sign_in, rings) -> None:
    patient = make_patient()
    started(client, sign_in, patient)
    assert client.post("/intake/review").location.endswith("/intake/done")
    html = client.get("/intake/done").get_data(as_text=True)
    assert "Done: hand back the tablet" in html
    assert 'href="/link"' not in html
    assert clock.now() < session_row().expires_at
