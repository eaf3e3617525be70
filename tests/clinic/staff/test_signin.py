"""Staff sign-in: password, second step, and what a visitor without it gets."""

from typing import Any

import pytest
from sqlalchemy import select

from clinic.audit import AuditEvent
from clinic.staff.models import StaffUser
from clinic.staff.operations import create_staff_user
from tests.builders import TESTER

PASSWORD = "a long pass phrase"


@pytest.fixture
def nurse(database) -> Any:
    key = create_staff_user(
        email="nurse@example.org", name="Nora Nurse", password=PASSWORD, roles=["nurse"], location_ids=[], by=TESTER
    )
    return database.session.get(StaffUser, key)


def test_the_password_is_kept_as_argon2(nurse) -> None:
    assert nurse.password.startswith("$argon2")


def test_signing_in_opens_today_and_is_written_down(client, post, database, nurse) -> None:
    answer = post("/staff/login", {"email": nurse.email, "password": PASSWORD})
    assert answer.location == "/staff/"
    assert "Nora Nurse" in client.get("/staff/").text
    actions = database.session.scalars(select(AuditEvent.action).where(AuditEvent.actor_key == str(nurse.id))).all()
    assert actions == ["signed_in"]


def test_signing_in_leads_back_to_the_page_that_was_asked_for(client, post, nurse) -> None:
    asked = client.get("/staff/patients?q=AE")
    assert asked.location == "/staff/login?next=/staff/patients?q%3DAE"
    answer = post(asked.location, {"email": nurse.email, "password": PASSWORD})
    assert answer.location == "/staff/patients?q=AE"


@pytest.mark.parametrize("email", ["nurse@example.org", "nobody@example.org"])
def test_a_wrong_password_says_the_same_as_a_wrong_email(post, nurse, email) -> None:
    answer = post("/staff/login", {"email": email, "password": "not the password"})
    assert answer.status_code in (200, 400, 422)
    assert "Sign-in did not work" in answer.text


def test_someone_who_left_cannot_sign_in(post, database, nurse) -> None:
    nurse.active = False
    database.session.flush()
    assert "Sign-in did not work" in post("/staff/login", {"email": nurse.email, "password": PASSWORD}).text


def test_signing_in_needs_the_forms_token(client, nurse, app, monkeypatch) -> None:
    monkeypatch.setitem(app.config, "WTF_CSRF_ENABLED", True)
    assert client.post("/staff/login", data={"email": nurse.email, "password": PASSWORD}).status_code == 400


def test_signing_out_is_a_post(client, post, nurse) -> None:
    post("/staff/login", {"email": nurse.email, "password": PASSWORD})
    assert client.get("/staff/logout").status_code == 405
    post("/staff/logout")
    assert client.get("/staff/").status_code == 302


def test_a_second_step_can_be_set_up_and_is_then_asked_for(client, post, database, nurse, app) -> None:
    post("/staff/login", {"email": nurse.email, "password": PASSWORD})
    assert "Second step" in client.get("/staff/tf-setup").text
    page = post("/staff/tf-setup", {"setup": "authenticator"}).text
    assert "data:image/svg+xml" in page
    code = _code(app, page)
    url = page.split('action="/staff/tf-')[-1].split('"')[0]
    post(f"/staff/tf-{url}", {"code": code})
    assert nurse.tf_primary_method == "authenticator"
    post("/staff/logout")
    answer = post("/staff/login", {"email": nurse.email, "password": PASSWORD})
    assert client.get("/staff/").status_code == 302  # not in yet
    assert "Your code" in (client.get(answer.location) if answer.status_code == 302 else answer).text


def _code(app, page: str) -> str:
    from passlib.totp import TOTP

    key = page.split('<b class="id">')[1].split("</b>")[0]
    return TOTP(key=key.replace("-", "")).generate().token


@pytest.mark.parametrize("page", ["/staff/account", "/staff/change", "/staff/tf-setup"])
def test_account_pages_open_for_those_signed_in(client, sign_in, page) -> None:
    assert client.get(page).status_code == 302
    sign_in("nurse")
    assert client.get(page).status_code in (200, 302)


def test_a_short_password_is_refused(client, post, nurse) -> None:
    post("/staff/login", {"email": nurse.email, "password": PASSWORD})
    sent = {"password": PASSWORD, "new_password": "short", "new_password_confirm": "short"}
    assert "The password was not changed" in post("/staff/change", sent).text


def test_an_old_sign_in_gives_the_password_again_before_changing_how_to_sign_in(client, sign_in) -> None:
    sign_in("nurse")
    with client.session_transaction() as cookie:
        cookie["fs_paa"] = 0
    assert client.get("/staff/tf-setup").location.startswith("/staff/verify")
    assert "Your password again" in client.get("/staff/verify").text
