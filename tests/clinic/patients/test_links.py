"""Links: looking never spends, spending opens the patient's own session, old ones offer a fresh one."""

from datetime import timedelta
from types import SimpleNamespace

import pytest
from sqlalchemy import func, select

from clinic import clock
from clinic.audit import AuditEvent
from clinic.patients import links, operations
from clinic.patients.models import AccessLink, LinkPurpose, LinkRequest, PatientSession
from clinic.patients.signin import COOKIE
from clinic.web import limits
from tests.builders import TESTER, make_patient


def make_link(patient, purpose: str = "sign_in", **about: int) -> str:
    return links.make_link(LinkPurpose(purpose), patient_id=patient.id, **about)


def requests(database) -> list[tuple[int, str]]:
    return [(row.patient_id, row.purpose) for row in database.session.scalars(select(LinkRequest))]


@pytest.mark.parametrize("method", ["get", "head"])
def test_looking_at_a_link_changes_nothing(client, database, now, method) -> None:
    token = make_link(make_patient())
    database.session.commit()
    events = database.session.scalar(select(func.count(AuditEvent.id)))
    for _ in range(3):
        assert getattr(client, method)(f"/l/{token}").status_code == 200
    assert links.find_link(token).spent_at is None
    assert database.session.scalar(select(func.count(PatientSession.id))) == 0
    assert database.session.scalar(select(func.count(AuditEvent.id))) == events


@pytest.mark.parametrize(
    ("purpose", "about", "page"),
    [
        ("sign_in", {}, "/me"),
        ("survey", {"survey_id": 7}, "/surveys/7"),
        ("visit", {"session_id": 9}, "/visit"),
        ("intake", {"intake_id": 3}, "/intake"),
    ],
)
def test_spending_opens_the_patients_session_and_goes_to_what_the_link_is_for(
    client, post, database, now, purpose, about, page
) -> None:
    patient = make_patient()
    answer = post(f"/l/{make_link(patient, purpose, **about)}")
    assert answer.status_code == 302
    assert page in answer.location
    session = database.session.scalars(select(PatientSession)).one()
    assert (session.patient_id, session.purpose, session.birth_date_checked_at) == (patient.id, purpose, None)
    assert client.get_cookie(COOKIE) is not None
    assert client.get_cookie("daybreak_staff") is not None  # only the CSRF token: nobody is signed in as staff
    assert client.get("/staff/patients").status_code == 302


def test_a_link_works_once(client, post, database, now) -> None:
    token = make_link(make_patient())
    post(f"/l/{token}")
    client.delete_cookie(COOKIE)
    answer = post(f"/l/{token}")
    assert answer.status_code == 410
    assert "Send me a fresh link" in answer.text
    assert database.session.scalar(select(func.count(PatientSession.id))) == 1


def test_a_second_press_in_the_same_browser_goes_on(post, database, now) -> None:
    token = make_link(make_patient())
    post(f"/l/{token}")
    assert post(f"/l/{token}").location == "/me"


def test_an_old_link_offers_a_fresh_one_and_stays_shut(client, post, database, now) -> None:
    token = make_link(make_patient())
    with clock.frozen(now + timedelta(minutes=31)):
        assert client.get(f"/l/{token}").status_code == 410
        assert post(f"/l/{token}").status_code == 410


def test_an_unknown_link_is_not_found(client, post, database) -> None:
    assert client.get("/l/nothing").status_code == 404
    assert post("/l/nothing").status_code == 410


def test_a_fresh_link_is_asked_for_the_same_purpose(post, database, now, rings) -> None:
    patient = make_patient()
    token = make_link(patient, "survey", survey_id=7)
    post(f"/l/{token}/fresh")
    assert requests(database) == [(patient.id, "survey")]
    assert rings == [("reminders.sweep_urgent", {})]


def test_asking_answers_the_same_whether_the_address_is_known_or_not(post, database, now, rings) -> None:
    patient = make_patient(email="ana@example.org")
    known = post("/link", {"contact": " ANA@example.org "})
    unknown = post("/link", {"contact": "nobody@example.org"})
    assert known.status_code == unknown.status_code == 200
    assert known.text == unknown.text
    assert requests(database) == [(patient.id, "sign_in")]


def test_asking_takes_as_long_whether_the_address_is_known_or_not(app, post, database, monkeypatch) -> None:
    make_patient(email="ada@example.org")
    ticks, slept = iter([0.0, 0.3, 0.0, 0.1]), []
    monkeypatch.setattr(app, "testing", False)
    monkeypatch.setattr(limits, "time", SimpleNamespace(monotonic=lambda: next(ticks), sleep=slept.append))
    for contact in ("ada@example.org", "nobody@example.org"):
        assert post("/link", {"contact": contact}).status_code == 200
    assert slept == [pytest.approx(limits.EVEN - 0.3), pytest.approx(limits.EVEN - 0.1)]


def test_a_phone_number_is_found_however_it_is_written(post, database, now, rings) -> None:
    patient = make_patient(phone="+17145550199")
    post("/link", {"contact": "(714) 555-0199"})
    assert requests(database) == [(patient.id, "sign_in")]


def test_what_is_no_address_is_said_so(post, database) -> None:
    answer = post("/link", {"contact": "hello"})
    assert answer.status_code == 422
    assert "no email or phone number" in answer.text


def test_asking_twice_in_a_moment_is_one_request_and_five_an_hour_are_enough(database, now, rings) -> None:
    patient = make_patient()
    for minute in range(20):
        with clock.frozen(now + timedelta(minutes=minute)):
            operations.request_link(patient.id, by=TESTER)
    assert len(requests(database)) == 5
    with clock.frozen(now + timedelta(minutes=90)):
        operations.request_link(patient.id, by=TESTER)
    assert len(requests(database)) == 6


def test_only_the_hash_of_a_token_is_kept(database, now) -> None:
    token = make_link(make_patient())
    database.session.flush()
    kept = database.session.scalars(select(AccessLink)).one()
    assert token.encode() not in bytes(kept.token_hash)
    assert len(kept.token_hash) == 32


def test_a_second_link_in_the_same_browser_asks_for_no_date_of_birth_again(
    client, database, now, post, sign_in_patient
) -> None:
    patient, other = make_patient(), make_patient()
    for whose, wanted in ((patient, True), (other, False)):
        sign_in_patient(patient)
        post(f"/l/{make_link(whose, 'survey', survey_id=7)}")
        [session] = database.session.scalars(
            select(PatientSession).where(PatientSession.purpose == "survey", PatientSession.patient_id == whose.id)
        )
        assert (session.birth_date_checked_at is not None) is wanted


def test_an_unchecked_session_vouches_for_nobody(client, database, now, post, sign_in_patient) -> None:
    patient = make_patient()
    sign_in_patient(patient, checked=False)
    post(f"/l/{make_link(patient, 'survey', survey_id=7)}")
    checked = database.session.scalars(select(PatientSession.birth_date_checked_at))
    assert list(checked) == [None, None]
