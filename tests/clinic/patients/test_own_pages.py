"""The patient's own pages: the birth-date question, home, messages, signing out."""

from datetime import date, timedelta

import pytest
from markupsafe import Markup
from sqlalchemy import select

from clinic import clock
from clinic.audit import AuditEvent
from clinic.patients import chart, links, queries
from clinic.patients.models import PatientSession
from tests.builders import make_patient


def test_without_a_session_the_page_offers_a_link(client, database) -> None:
    assert client.get("/me").location == "/link?next=/me"


def test_the_birth_date_is_asked_before_home(client, post, database, now, sign_in_patient) -> None:
    sign_in_patient(make_patient(birth_date=date(1980, 5, 17)), checked=False)
    assert client.get("/me").location == "/birth-date?next=/me"
    answer = post("/birth-date?next=/me", {"month": "5", "day": "17", "year": "1980"})
    assert answer.location == "/me"
    assert client.get("/me").status_code == 200


def test_the_fifth_wrong_birth_date_ends_the_session(client, post, database, now, sign_in_patient) -> None:
    sign_in_patient(make_patient(), checked=False)
    wrong = {"month": "1", "day": "1", "year": "1970"}
    assert [post("/birth-date", wrong).status_code for _ in range(5)] == [422, 422, 422, 422, 302]
    assert database.session.scalars(select(PatientSession)).one().ended_at == now
    assert client.get("/me").location.startswith("/link")


@pytest.mark.parametrize(
    "given",
    [
        {"month": "2", "day": "30", "year": "1980"},
        {"month": "", "day": "1", "year": "1980"},
        {"month": "13", "day": "1", "year": "1980"},
        {"month": "1", "day": "x", "year": "1980"},
        {"month": "1", "day": "1", "year": "80"},
    ],
)
def test_a_date_that_does_not_exist_costs_no_try(post, database, now, sign_in_patient, given) -> None:
    sign_in_patient(make_patient(), checked=False)
    assert post("/birth-date", given).status_code == 422
    assert database.session.scalars(select(PatientSession)).one().failed_checks == 0


def test_the_question_leads_nowhere_else(post, database, now, sign_in_patient) -> None:
    sign_in_patient(make_patient(birth_date=date(1980, 5, 17)), checked=False)
    given = {"month": "5", "day": "17", "year": "1980"}
    assert post("/birth-date?next=//evil.example", given).location == "/me"


@pytest.mark.parametrize("purpose", ["visit", "survey"])
def test_a_link_for_one_thing_does_not_open_home(client, database, now, sign_in_patient, purpose) -> None:
    sign_in_patient(make_patient(), purpose, session_id=1, survey_id=1)
    assert client.get("/me").location == "/link?next=/me"


def test_a_session_ends_after_twelve_hours(client, database, now, sign_in_patient) -> None:
    sign_in_patient(make_patient())
    with clock.frozen(now + links.SESSION_LIFETIME - timedelta(minutes=1)):
        assert client.get("/me").location.startswith("/birth-date")
    with clock.frozen(now + links.SESSION_LIFETIME):
        assert client.get("/me").location.startswith("/link")


def test_a_phone_that_lay_there_asks_the_birth_date_again(client, post, database, now, sign_in_patient) -> None:
    sign_in_patient(make_patient(birth_date=date(1980, 5, 17)))
    for minutes in (0, 29, 58):  # somebody reads
        with clock.frozen(now + timedelta(minutes=minutes)):
            assert client.get("/me").status_code == 200
    with clock.frozen(now + timedelta(minutes=88)):
        assert client.get("/me").location.startswith("/birth-date")
        post("/birth-date", {"month": "5", "day": "17", "year": "1980"})
        assert client.get("/me").status_code == 200


def test_what_was_typed_before_is_taken_and_nothing_is_shown(client, post, database, now, sign_in_patient) -> None:
    patient = make_patient(birth_date=date(1980, 5, 17))
    sign_in_patient(patient)
    with clock.frozen(now + timedelta(minutes=31)):
        assert post("/me/messages", {"style": "each"}).location == "/me/messages"
        assert client.get("/me/messages").location.startswith("/birth-date")
    assert patient.message_style == "each"


def test_a_new_link_does_not_vouch_for_a_phone_that_lay_there(client, post, database, now, sign_in_patient) -> None:
    patient = make_patient(birth_date=date(1980, 5, 17))
    sign_in_patient(patient)
    token = links.make_link("sign_in", patient_id=patient.id)
    with clock.frozen(now + timedelta(minutes=31)):
        post(f"/l/{token}")
        assert client.get("/me").location.startswith("/birth-date")


def test_an_empty_home_says_what_comes(client, database, now, sign_in_patient) -> None:
    sign_in_patient(make_patient())
    page = client.get("/me").text
    assert "Good morning" in page
    assert "988" in page


def test_home_shows_what_features_register_in_order(client, database, now, sign_in_patient, monkeypatch) -> None:
    parts = [
        chart.Section(50, lambda _: Markup("<p>second</p>")),
        chart.Section(10, lambda key: Markup("<p>first {}</p>").format(key)),
        chart.Section(20, lambda _: None),
    ]
    monkeypatch.setattr(chart, "HOME", parts)
    patient = make_patient()
    sign_in_patient(patient)
    page = client.get("/me").text
    assert page.index(f"first {patient.id}") < page.index("second")


def test_a_no_to_texts_stops_texts_and_nothing_else(post, database, now, sign_in_patient) -> None:
    patient = make_patient(consents={"email": True, "sms": True})
    sign_in_patient(patient)
    post("/me/messages", {"email": "yes", "sms": "no", "style": "each"})
    assert queries.consents(patient.id) == {"email": True, "sms": False}
    assert queries.get(patient.id).message_style == "each"
    actions = database.session.scalars(select(AuditEvent.action).where(AuditEvent.actor_kind == "patient")).all()
    assert sorted(actions) == ["message_style", "withdrew"]


def test_signing_out_ends_the_session(client, post, database, now, sign_in_patient) -> None:
    sign_in_patient(make_patient())
    post("/me/sign-out")
    assert database.session.scalars(select(PatientSession)).one().ended_at == now
    assert client.get("/me").status_code == 302


def test_what_always_stands_there_does_not_make_a_plan(client, database, now, sign_in_patient, monkeypatch) -> None:
    monkeypatch.setattr(chart, "HOME", [chart.Section(chart.ALWAYS, lambda _: Markup("<p>Tell your team</p>"))])
    sign_in_patient(make_patient())
    page = client.get("/me").text
    assert page.index("Nothing is planned yet") < page.index("Tell your team")
