"""Staff sign-in: password, second step, and what a visitor without it gets."""

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import argon2
import pytest
from sqlalchemy import select

from clinic.audit import AuditEvent
from clinic.config import ROLES
from clinic.staff import lockout, sessions
from clinic.staff.models import StaffUser
from clinic.staff.operations import create_staff_user
from tests.builders import TESTER
from tests.conftest import NOW

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
    assert "That email and that password do not go together." in answer.text
    assert ">Email<" in answer.text


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


# -- sessions ---------------------------------------------------------------------------------------------------------


def sign_in_as(post, nurse) -> Any:
    return post("/staff/login", {"email": nurse.email, "password": PASSWORD})


def test_a_session_ends_when_nobody_is_there(client, post, nurse, at, now) -> None:
    sign_in_as(post, nurse)
    with at(NOW + timedelta(minutes=29)):
        assert client.get("/staff/").status_code == 200
    with at(NOW + timedelta(minutes=58)):
        assert client.get("/staff/").status_code == 200  # counted from when someone was last there
    with at(NOW + timedelta(minutes=89)):
        assert client.get("/staff/").location == "/staff/login?next=/staff/"


def test_a_session_ends_after_twelve_hours_in_any_case(client, post, nurse, at, now) -> None:
    sign_in_as(post, nurse)
    for minutes in range(20, 720, 20):
        with at(NOW + timedelta(minutes=minutes)):
            assert client.get("/staff/").status_code == 200
    with at(NOW + timedelta(minutes=720)):
        assert client.get("/staff/").status_code == 302


def test_what_a_page_asks_by_itself_keeps_no_session_open(client, post, nurse, at, now) -> None:
    sign_in_as(post, nurse)
    for minutes in (10, 20, 29):
        with at(NOW + timedelta(minutes=minutes)):
            assert client.get("/staff/alerts").status_code == 200
    with at(NOW + timedelta(minutes=31)):
        assert client.get("/staff/").status_code == 302


def test_a_cookie_alone_is_no_session(client, post, nurse) -> None:
    sign_in_as(post, nurse)
    with client.session_transaction() as cookie:
        cookie.pop("staff_session")
    assert client.get("/staff/").status_code == 302


def test_signing_out_ends_the_session_also_for_a_copy_of_the_cookie(client, post, nurse) -> None:
    sign_in_as(post, nurse)
    with client.session_transaction() as cookie:
        copy = dict(cookie)
    post("/staff/logout")
    with client.session_transaction() as cookie:
        cookie.update(copy)
    assert client.get("/staff/").status_code == 302


def test_a_person_sees_where_they_are_signed_in_and_signs_others_out(app, client, post, nurse) -> None:
    sign_in_as(post, nurse)
    other = sessions.open_within_transaction(
        nurse.id, methods=["password"], address="192.0.2.9", browser="Firefox/9 Windows"
    )
    page = client.get("/staff/account").text
    assert "192.0.2.9" in page
    assert "Firefox on Windows" in page
    row = sessions.find(other).row
    post(f"/staff/account/sessions/{row.id}/end")
    assert sessions.find(other).row is None
    assert client.get("/staff/").status_code == 200


def test_nobody_ends_anothers_session(client, post, database, nurse, sign_in) -> None:
    token = sessions.open_within_transaction(nurse.id, methods=["password"], address="", browser="")
    database.session.commit()
    row = sessions.find(token).row
    sign_in("manager")
    assert post(f"/staff/account/sessions/{row.id}/end").status_code == 404
    assert sessions.find(token).row is not None


def test_a_new_password_signs_every_other_browser_out(client, post, nurse) -> None:
    sign_in_as(post, nurse)
    other = sessions.open_within_transaction(nurse.id, methods=["password"], address="", browser="")
    new = "another long pass phrase"
    post("/staff/change", {"password": PASSWORD, "new_password": new, "new_password_confirm": new})
    assert sessions.find(other).row is None
    assert client.get("/staff/").status_code == 200


# -- what was typed -----------------------------------------------------------------------------------------------------


def test_a_form_that_was_sent_too_late_is_back_after_signing_in(client, post, nurse, at, now) -> None:
    sign_in_as(post, nurse)
    page = "/staff/patients/1/contacts"
    with at(NOW + timedelta(hours=1)):
        late = post(page, {"given_name": "Ana María", "password": "x"}, headers={"Referer": f"http://localhost{page}"})
        assert late.location == f"/staff/login?next={page}"
        answer = post(late.location, {"email": nurse.email, "password": PASSWORD})
        assert answer.location == page
        held = client.get("/staff/held", query_string={"path": page}).json
        assert held["fields"] == [["given_name", "Ana María"]]
        assert client.post("/staff/held/drop", json={"path": page}).status_code == 204
        assert client.get("/staff/held", query_string={"path": page}).status_code == 204


def test_what_one_person_typed_is_not_shown_to_the_next(client, post, nurse, sign_in) -> None:
    sessions.hold(nurse.id, "/staff/tasks/1", {"action": "/staff/tasks/1", "fields": [["outcome", "x"]], "focus": ""})
    sign_in("nurse")
    assert client.get("/staff/held", query_string={"path": "/staff/tasks/1"}).status_code == 204


def test_what_is_held_is_gone_after_a_day_and_bounded(nurse, at, now) -> None:
    for number in range(25):
        sessions.hold(nurse.id, f"/staff/{number}", {"fields": []})
    assert sessions.held(nurse.id, "/staff/24") is not None
    assert sessions.held(nurse.id, "/staff/0") is None
    assert not sessions.hold(nurse.id, "/staff/x", {"fields": ["x" * 300_000]})
    with at(NOW + timedelta(hours=25)):
        assert sessions.held(nurse.id, "/staff/24") is None


@pytest.mark.parametrize(
    "body",
    [None, [], "x", {}, {"path": "/staff/", "action": 1}, {"path": "//evil", "action": "", "focus": "", "fields": []}],
)
def test_only_a_form_is_held(client, sign_in, body) -> None:
    sign_in("nurse")
    assert client.post("/staff/held", json=body).status_code == 422


# -- proving it again -----------------------------------------------------------------------------------------------------


def test_after_ten_minutes_the_password_is_asked_before_what_matters(client, post, nurse, at, now) -> None:
    sign_in_as(post, nurse)
    with at(NOW + timedelta(minutes=11)):
        assert client.get("/staff/mf-recovery-codes").location == "/staff/verify?next=/staff/mf-recovery-codes"
        post("/staff/verify?next=/staff/mf-recovery-codes", {"password": PASSWORD})
        assert client.get("/staff/mf-recovery-codes").status_code == 200


def test_with_an_old_proof_no_table_of_the_clinic_leaves_it(client, sign_in, at, now) -> None:
    sign_in("manager")
    assert client.get("/staff/reports/outcomes.csv").mimetype == "text/csv"
    with at(NOW + timedelta(minutes=11)):
        assert client.get("/staff/reports/outcomes.csv").location == "/staff/verify?next=/staff/reports/outcomes.csv"


# -- second steps -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def strict(app, monkeypatch):
    """A clinic that asks nurses for more than a password."""
    settings = app.config["SETTINGS"]
    monkeypatch.setitem(app.config, "SETTINGS", replace(settings, mfa_roles=("nurse",)))


def test_who_needs_a_second_step_gets_nowhere_before_it_is_set_up(client, post, nurse, strict, app) -> None:
    sign_in_as(post, nurse)
    for url in ("/staff/", "/staff/patients", "/staff/patients/1", "/staff/mf-recovery-codes"):
        assert client.get(url).location == "/staff/account"
    assert "Set a passkey or an authenticator app up" in client.get("/staff/account").text
    page = post("/staff/tf-setup", {"setup": "authenticator"}).text
    url = page.split('action="/staff/tf-')[-1].split('"')[0]
    post(f"/staff/tf-{url}", {"code": _code(app, page)})
    assert client.get("/staff/").status_code == 200


def test_other_roles_are_let_in_by_password(client, sign_in, strict) -> None:
    sign_in("front_desk")
    assert client.get("/staff/").status_code == 200


def test_production_asks_every_role_for_a_second_step(settings) -> None:
    assert settings.second_step_roles == frozenset()
    assert replace(settings, env="production").second_step_roles == frozenset(ROLES)
    assert replace(settings, env="production", mfa_roles=("none",)).second_step_roles == frozenset()


def test_a_recovery_code_works_once(client, post, nurse, strict, app) -> None:
    with_codes(client, post, nurse, app)
    codes = list(nurse.mf_recovery_codes)
    assert len(codes) == 8
    for expected in (200, 302):
        post("/staff/logout")
        sign_in_as(post, nurse)
        post("/staff/mf-recovery", {"code": codes[0].upper()})
        assert client.get("/staff/").status_code == expected


def with_codes(client, post, nurse, app) -> str:
    sign_in_as(post, nurse)
    page = post("/staff/tf-setup", {"setup": "authenticator"}).text
    url = page.split('action="/staff/tf-')[-1].split('"')[0]
    post(f"/staff/tf-{url}", {"code": _code(app, page)})
    post("/staff/mf-recovery-codes", {"generate_new_codes": "y"})
    return page


def test_six_digits_cannot_be_guessed_at(client, post, nurse, app, now) -> None:
    with_codes(client, post, nurse, app)
    post("/staff/logout")
    sign_in_as(post, nurse)
    pages = [post("/staff/tf-validate", {"code": f"{n:06d}"}).text for n in range(6)]
    assert "Too many tries" not in pages[4]
    assert "Too many tries" in pages[5]


def test_a_code_works_once(client, post, nurse, app) -> None:
    page = with_codes(client, post, nurse, app)
    code = _code(app, page)
    nurse.tf_last_counter = None
    for expected in (200, 302):
        post("/staff/logout")
        sign_in_as(post, nurse)
        post("/staff/tf-validate", {"code": code})
        assert client.get("/staff/").status_code == expected


def test_proving_it_again_changes_the_token_of_the_session(client, post, nurse) -> None:
    sign_in_as(post, nurse)
    with client.session_transaction() as cookie:
        before = dict(cookie)
    post("/staff/verify", {"password": PASSWORD})
    assert client.get("/staff/").status_code == 200
    with client.session_transaction() as cookie:
        cookie.update(before)
    assert client.get("/staff/").status_code == 302


def test_tries_that_failed_are_on_record_without_the_address(post, database, nurse) -> None:
    post("/staff/login", {"email": "nobody@example.org", "password": "wrong password"})
    event = database.session.scalars(select(AuditEvent).where(AuditEvent.entity == "sign_in")).one()
    assert (event.action, event.origin["address"]) == ("failed", "127.0.0.1")
    assert "nobody" not in event.entity_id


def test_signing_out_clears_what_the_browser_keeps(post, nurse) -> None:
    sign_in_as(post, nurse)
    assert post("/staff/logout").headers["Clear-Site-Data"] == '"cache", "storage"'


# -- waits ------------------------------------------------------------------------------------------------------------------


def tries(post, email: str, count: int, address: str = "192.0.2.1", password: str = "wrong password") -> str:
    page = ""
    for _ in range(count):
        page = post(
            "/staff/login", {"email": email, "password": password}, environ_overrides={"REMOTE_ADDR": address}
        ).text
    return page


@pytest.mark.parametrize("email", ["nurse@example.org", "nobody@example.org"])
def test_five_tries_are_free_then_there_is_a_wait_for_known_and_unknown_alike(post, nurse, now, email) -> None:
    assert "Too many tries" not in tries(post, email, 5)
    assert "Too many tries. Wait a minute" in tries(post, email, 1)


def test_the_right_password_waits_too_and_works_after_it(client, post, nurse, now, at) -> None:
    tries(post, nurse.email, 5)
    assert "Too many tries" in tries(post, nurse.email, 1, password=PASSWORD)
    with at(NOW + timedelta(seconds=31)):
        tries(post, nurse.email, 1, password=PASSWORD)
        assert client.get("/staff/").status_code == 200


def test_nobody_is_locked_out_by_a_stranger_elsewhere(client, post, nurse, now) -> None:
    tries(post, nurse.email, 9, address="198.51.100.1")
    tries(post, nurse.email, 1, address="192.0.2.1", password=PASSWORD)
    assert client.get("/staff/").status_code == 200


def test_an_attack_from_everywhere_holds_up_strangers_and_not_the_persons_own_browser(
    app, client, post, nurse, now
) -> None:
    tries(post, nurse.email, 1, password=PASSWORD)  # this browser is known from now on
    post("/staff/logout")
    stranger = app.test_client()
    for number in range(50):
        lockout.failed(nurse.email, f"203.0.113.{number}", None)
    data = {"email": nurse.email, "password": PASSWORD}
    answer = stranger.post("/staff/login", data=data, environ_overrides={"REMOTE_ADDR": "198.51.100.77"})
    assert "Too many tries" in answer.text
    tries(post, nurse.email, 1, password=PASSWORD)
    assert client.get("/staff/").status_code == 200


def test_one_address_does_not_try_every_account(post, nurse, now) -> None:
    for number in range(30):
        tries(post, f"person{number}@example.org", 1)
    assert "Too many tries" in tries(post, "somebody.new@example.org", 1)


def test_a_guest_at_the_same_address_does_not_lock_the_staff_out(client, post, nurse, now) -> None:
    tries(post, nurse.email, 1, password=PASSWORD)  # this browser is known from now on
    post("/staff/logout")
    for number in range(60):  # the guests' network leaves by the same address
        lockout.failed(nurse.email if number % 2 else f"person{number}@example.org", "192.0.2.1", None)
    tries(post, nurse.email, 1, password=PASSWORD)
    assert client.get("/staff/").status_code == 200
    assert lockout.wait("somebody.new@example.org", "192.0.2.1", None) > timedelta(0)


def test_a_browser_is_known_for_its_own_account_only(nurse) -> None:
    with_cookie = lockout.device_cookie("nurse@example.org", "nonce")
    assert lockout.known_device("NURSE@example.org", with_cookie) is not None
    assert lockout.known_device("other@example.org", with_cookie) is None
    assert lockout.known_device("nurse@example.org", with_cookie[:-2] + "xx") is None


def test_a_known_and_an_unknown_account_cost_the_same_work(client, post, nurse, monkeypatch, count_statements) -> None:
    """One slow hash and the same statements, whether the account exists or not: nothing to be measured from outside."""
    hashed: list[str] = []
    for name in ("hash_secret", "verify_secret"):
        original = getattr(argon2.low_level, name)
        monkeypatch.setattr(
            argon2.low_level, name, lambda *a, _o=original, _n=name, **k: (hashed.append(_n), _o(*a, **k))[1]
        )
    seen = []
    for email in ("nurse@example.org", "nobody@example.org"):
        hashed.clear()
        with count_statements() as statements:
            answer = post("/staff/login", {"email": email, "password": "not the password"})
        seen.append(
            (len(hashed), [text[:60] for text in statements if "SAVEPOINT" not in text], answer.text.replace(email, ""))
        )
    assert seen[0][0] == 1
    assert seen[0][:2] == seen[1][:2]
    assert words_of(seen[0][2]) == words_of(seen[1][2])


def words_of(page: str) -> str:
    return re.sub(r"<[^>]*>", " ", page)
