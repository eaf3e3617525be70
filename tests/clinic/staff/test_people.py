"""Accounts that managers keep: who may, what they see, invitations, second steps, locking, and links for a password."""

import re
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from clinic.audit import AuditEvent
from clinic.db import db
from clinic.errors import Conflict, Expired, NotFound, Refused, Stale
from clinic.reminders import finding, ledger, sending
from clinic.reminders.models import Message
from clinic.staff import administration, directory, lockout, sessions
from clinic.staff.administration import Grant
from clinic.staff.models import PasswordLink, StaffUser
from tests.builders import TESTER, actor_of, make_location, make_staff
from tests.conftest import NOW

NURSE = Grant(roles=frozenset({"nurse"}), all_sites=True)
PASSWORD = "seven quiet herons wade"
pytestmark = pytest.mark.usefixtures("now", "rings")


@pytest.fixture
def boss(database) -> StaffUser:
    user = make_staff("manager", password="x", name="Bea Boss")
    db.session.commit()
    return user


@pytest.fixture
def manager(sign_in) -> StaffUser:
    user = sign_in("manager", password="x", name="Mia Manager")
    db.session.commit()
    return user


def person(*roles: str, **more: Any) -> StaffUser:
    user = make_staff(*(roles or ("nurse",)), **{"password": "x", "name": "Nora Nurse", **more})
    db.session.commit()
    return user


def url(user: StaffUser, what: str = "") -> str:
    return f"/staff/people/{user.id}" + (f"/{what}" if what else "")


def seen(user: StaffUser) -> str:
    return administration.state_digest(user)


def last_event(user: StaffUser) -> AuditEvent:
    found = select(AuditEvent).where(AuditEvent.entity == "staff_users", AuditEvent.entity_id == str(user.id))
    return db.session.scalars(found.order_by(AuditEvent.id.desc())).first()


# -- the list ----------------------------------------------------------------------------------------------------------


def test_the_list_shows_roles_sites_second_step_and_the_last_sign_in(client, manager) -> None:
    site = make_location(name="Fullerton")
    nurse = person(locations=(site,), tf_primary_method="authenticator", name="Nora " + "Longname" * 20)
    sessions.open_within_transaction(nurse.id, methods=["password"], address="", browser="")
    db.session.flush()
    row = client.get("/staff/people").text.split(nurse.name)[1].split("</tr>")[0]
    for words in ("Nurse", "Fullerton", "App code", "Mon, Nov 23, 10:00", "Open"):
        assert words in row


def test_people_are_found_by_a_part_of_the_name_or_email_and_by_their_account(client, manager) -> None:
    person(name="Ada Percent%", email="ada@example.org")
    person(name="Ben Locked", active=False)
    assert "Ada" in client.get("/staff/people?q=PERCENT%25").text
    assert "Ada" not in client.get("/staff/people?q=A_a").text
    locked = client.get("/staff/people?state=locked").text
    assert "Ben Locked" in locked
    assert "Ada" not in locked
    assert "Nobody like that" in client.get("/staff/people?q=nobody").text


def test_a_page_holds_25_people_and_leads_to_the_rest(client, manager, count_statements) -> None:
    people = [person(name="Same Name") for _ in range(30)]
    with count_statements() as statements:
        page = client.get("/staff/people?q=same").text
    assert len(statements) < 20
    assert page.count("data-row") == 25
    rest = re.search(r'rel="next" href="([^"]+)"', page)
    assert client.get(rest[1].replace("&amp;", "&")).text.count("data-row") == len(people) - 25


def test_a_manager_of_some_sites_keeps_those_whose_sites_are_all_among_them(client, sign_in) -> None:
    here, there = make_location(), make_location()
    sign_in("manager", locations=(here,))
    mine, both, everywhere = person(locations=(here,)), person(locations=(here, there)), person()
    page = client.get("/staff/people").text
    assert url(mine) in page
    assert [client.get(url(one)).status_code for one in (mine, both, everywhere)] == [200, 404, 404]
    with pytest.raises(NotFound):
        directory.get(everywhere.id, frozenset({here.id}))


# -- changes -----------------------------------------------------------------------------------------------------------


def test_an_old_proof_asks_for_the_password_first_and_keeps_what_was_typed(client, post, manager, at) -> None:
    nurse = person()
    with at(NOW + timedelta(minutes=11)):
        assert client.get("/staff/people").status_code == 200
        for answer in (
            client.get(url(nurse)),
            client.get("/staff/people/invite"),
            post(url(nurse, "lock"), {"reason": "x"}),
        ):
            assert answer.location.startswith("/staff/verify")
    assert nurse.active


def test_roles_and_sites_are_changed_and_written_down(client, post, manager) -> None:
    nurse, site = person(), make_location()
    post(url(nurse), {"roles": ["therapist"], "sites": [site.id], "seen": seen(nurse)})
    grant = administration.grant_of(nurse)
    assert grant == Grant(roles=frozenset({"therapist"}), location_ids=frozenset({site.id}))
    event = last_event(nurse)
    assert (event.action, event.actor_key, event.detail["before"]["roles"]) == ("granted", str(manager.id), ["nurse"])


def test_what_another_manager_changed_meanwhile_is_shown_and_not_overwritten(post, manager, boss) -> None:
    nurse = person()
    old = seen(nurse)
    administration.change_grant(nurse.id, Grant(roles=frozenset({"therapist"})), seen=old, by=actor_of(boss))
    answer = post(url(nurse), {"roles": ["nurse"], "all_sites": "y", "seen": old})
    assert answer.status_code == 409
    assert "Somebody else changed" in answer.text
    assert administration.grant_of(nurse).roles == {"therapist"}
    with pytest.raises(Stale):
        administration.change_grant(nurse.id, NURSE, seen=old, by=actor_of(boss))


def test_nobody_changes_their_own_account(post, manager, boss) -> None:
    assert post(url(manager), {"roles": ["manager"], "all_sites": "y", "seen": seen(manager)}).status_code == 409
    assert post(url(manager, "close"), {"reason": "bye"}).status_code == 409
    assert manager.active


def test_nobody_hands_out_sites_that_they_do_not_have(post, sign_in) -> None:
    here, there = make_location(), make_location()
    sign_in("manager", locations=(here,))
    nurse = person(locations=(here,))
    for more in ({"sites": [there.id]}, {"all_sites": "y"}):
        post(url(nurse), {"roles": ["nurse"], "seen": seen(nurse), **more})
    grant = administration.grant_of(nurse)
    assert not grant.all_sites
    assert there.id not in grant.location_ids


def test_the_last_who_manages_stays(database) -> None:
    one = person("manager")
    with pytest.raises(Conflict, match="last account"):
        administration.deactivate(one.email, by=TESTER)
    person("manager", password=None)  # invited, not there yet
    with pytest.raises(Conflict, match="last account"):
        administration.lock_account(one.id, reason="x", by=TESTER)
    person("manager")
    administration.deactivate(one.email, by=TESTER)


def test_who_lost_the_role_a_moment_ago_changes_nothing_more(boss) -> None:
    other, nurse = person("manager"), person()
    administration.change_grant(other.id, NURSE, seen=seen(other), by=actor_of(boss))
    with pytest.raises(Refused):
        administration.lock_account(nurse.id, reason="x", by=actor_of(other))


@pytest.mark.parametrize("what", ["second-step", "lock", "close"])
def test_what_takes_something_away_wants_a_reason(post, manager, what) -> None:
    nurse = person()
    answer = post(url(nurse, what), {"reason": " "})
    assert answer.status_code == 422
    assert "Say why" in answer.text
    assert post(url(nurse, what), {"reason": "Left her phone in a cab"}).status_code == 302
    assert last_event(nurse).reason == "Left her phone in a cab"


@pytest.mark.parametrize("what", ["second-step", "lock", "close", "sign-out"])
def test_every_browser_is_signed_out(post, manager, what) -> None:
    nurse = person(tf_primary_method="authenticator", tf_totp_secret="x")
    sessions.open_within_transaction(nurse.id, methods=["password"], address="", browser="")
    db.session.flush()
    post(url(nurse, what), {"reason": "Lost"})
    assert sessions.open_sessions(nurse.id) == []
    assert nurse.active is (what not in ("lock", "close"))
    assert (nurse.tf_primary_method is None) is (what == "second-step")


def test_a_locked_account_is_unlocked_and_a_closed_one_opened_again(post, manager) -> None:
    nurse = person()
    for what, state in (("lock", "locked"), ("open", "open"), ("close", "closed"), ("open", "open")):
        post(url(nurse, what), {"reason": "x"})
        assert directory.state_of(nurse) == state
    assert post(url(nurse, "open"), {"reason": "x"}).status_code == 409


def test_who_typed_it_wrong_too_often_may_try_again(post, manager) -> None:
    nurse = person()
    for _ in range(8):
        lockout.failed(nurse.email, "192.0.2.1", None)
    db.session.flush()
    assert lockout.wait(nurse.email, "192.0.2.1", None)
    post(url(nurse, "tries"))
    assert not lockout.wait(nurse.email, "192.0.2.1", None)


# -- the link ----------------------------------------------------------------------------------------------------------


def mailed() -> Message:
    """The mail with the link, as the worker writes it."""
    found = finding.find_urgent(NOW, ())
    ledger.write(found, NOW)
    row = db.session.scalars(select(Message).where(Message.purpose == "staff_link").order_by(Message.id.desc())).first()
    sending.send_message(row.id)
    db.session.refresh(row)
    return row


def link(row: Message) -> str:
    return re.search(r"/staff/welcome/\S+", row.body)[0]


def invited(post) -> StaffUser:
    sent = {"name": "Iris New", "email": "Iris@Example.org ", "roles": ["nurse"], "all_sites": "y"}
    assert post("/staff/people/invite", sent).status_code == 302
    return db.session.scalars(select(StaffUser).where(StaffUser.email == "iris@example.org")).one()


def test_who_is_invited_chooses_a_password_once(client, post, manager) -> None:
    iris, row = invited(post), None
    row = mailed()
    assert (row.recipient, directory.state_of(iris)) == ("iris@example.org", "invited")
    assert client.get(link(row)).status_code == 200  # a scanner looks: nothing is spent
    assert "not the same" in post(link(row), {"password": PASSWORD, "again": "other"}).text
    assert post(link(row), {"password": "Iris New Iris New", "again": "Iris New Iris New"}).status_code == 422
    assert post(link(row), {"password": PASSWORD, "again": PASSWORD}).location == "/staff/login"
    assert directory.state_of(iris) == "open"
    assert (
        client.get(link(row)).status_code
        == post(link(row), {"password": PASSWORD, "again": PASSWORD}).status_code
        == 410
    )
    client.delete_cookie("daybreak_staff")
    assert post("/staff/login", {"email": "iris@example.org", "password": PASSWORD}).location == "/staff/"


def test_a_link_is_of_use_for_three_days_and_a_later_one_takes_its_place(client, post, manager, at) -> None:
    iris = invited(post)
    first = link(mailed())
    with at(NOW + timedelta(minutes=2)):
        post(url(iris, "link"))
    second = link(mailed_again())
    assert [client.get(one).status_code for one in (first, second)] == [410, 200]
    with at(NOW + timedelta(days=3, minutes=3)), pytest.raises(Expired):
        administration.set_first_password(second.rpartition("/")[2], PASSWORD)


def mailed_again() -> Message:
    from clinic import clock

    with clock.frozen(NOW + timedelta(minutes=2)):
        return mailed()


def test_a_link_of_a_locked_account_opens_nothing(client, post, manager) -> None:
    iris = invited(post)
    row = mailed()
    post(url(iris, "lock"), {"reason": "Not yet"})
    assert client.get(link(row)).status_code == 410


def test_only_a_digest_of_the_link_is_kept_and_no_page_of_messages_shows_it(client, post, manager) -> None:
    invited(post)
    row = mailed()
    token = link(row).rpartition("/")[2]
    kept = db.session.scalars(select(PasswordLink)).one()
    assert token.encode() not in kept.token_hash
    assert token not in client.get(f"/staff/messages/{row.id}").text


def test_an_email_that_has_an_account_is_not_invited_again(post, manager) -> None:
    invited(post)
    sent = {"name": "Iris Two", "email": "iris@example.org", "roles": ["nurse"]}
    answer = post("/staff/people/invite", sent)
    assert answer.status_code == 409
    assert "already has an account" in answer.text
