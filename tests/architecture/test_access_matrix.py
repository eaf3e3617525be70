"""Role by route by own and other site, made from the URL map: a new page is in it by being there."""

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask, g
from sqlalchemy import func, select
from werkzeug.routing import Rule

from clinic.audit import AuditEvent
from clinic.db import db
from clinic.patients import sites
from clinic.patients.sites import Reach, person_of
from clinic.staff.models import Role
from clinic.staff.operations import create_token
from clinic.web.access import Access, Audience, declared
from tests.architecture.rows import Rows
from tests.architecture.test_routes import kind, sample
from tests.builders import TESTER, make_location, make_patient

STAFF = [role for role in Role if role is not Role.SERVICE]
NO_SUBJECT = {
    "step",
    "number",
    "device_id",
    "staff_session_id",
    "staff_id",
    "own_opening_id",
    "closure_id",
    "shift_id",
    "room_id",
    "outage_id",
    "plan_id",
    "subject_id",
}
# Pages that refuse a role by the row itself, with their own words.
NARROWER = {"eligibility.decide", "packets.download", "tasks.close"}


@pytest.fixture
def here(database, now, rings):
    return make_location()


@pytest.fixture
def scenes(here) -> tuple[Rows, Rows]:
    """A patient with a row of everything at our site, and one at another."""
    there = make_location()
    own = Rows(make_patient(given_name="Own", family_name="Ownsite", preferred_location_id=here.id), here)
    other = Rows(make_patient(given_name="Zelda", family_name="Quimby", preferred_location_id=there.id), there)
    for rows in (own, other):
        for model in sites.SUBJECTS.values():
            rows.id_of(model)
    db.session.flush()
    return own, other


def rules(app: Flask, audience: Audience) -> Iterator[tuple[Rule, Access, str]]:
    for rule in app.url_map.iter_rules():
        access = declared(app, rule.endpoint)
        if access is not None and access.audience is audience:
            for method in sorted((rule.methods or set()) & {"GET", "POST", "PUT", "PATCH", "DELETE"}):
                yield rule, access, method


def address(app: Flask, rule: Rule, rows: Rows) -> str:
    values = {
        name: rows.id_of(sites.SUBJECTS[name]) if name in sites.SUBJECTS else sample(converter)
        for name, converter in rule._converters.items()
    }
    with app.test_request_context():
        return app.url_map.bind("localhost").build(rule.endpoint, values)


def subjects(rule: Rule) -> set[str]:
    return set(rule._converters) & set(sites.SUBJECTS)


@pytest.mark.parametrize("audience", [Audience.STAFF, Audience.TOKEN])
def test_every_id_in_an_address_says_what_it_names(app, audience) -> None:
    unnamed = {
        (rule.rule, name)
        for rule, _, _ in rules(app, audience)
        for name, converter in rule._converters.items()
        if kind(converter) in ("int", "uuid") and name not in sites.SUBJECTS | dict.fromkeys(NO_SUBJECT)
    }
    assert unnamed == set(), "name the model in its module: @sites.named(...), or list the id in NO_SUBJECT"


@pytest.mark.parametrize("role", STAFF)
def test_rows_of_another_site_do_not_exist_for_any_role(app, client, sign_in, scenes, here, role) -> None:
    sign_in(str(role), locations=(here,))
    wrong = []
    for rule, access, method in rules(app, Audience.STAFF):
        if subjects(rule):
            expected = 404 if not access.roles or role in access.roles else 403
            status = client.open(address(app, rule, scenes[1]), method=method).status_code
            if status != expected:
                wrong.append((method, rule.rule, status))
    assert wrong == []


@pytest.mark.parametrize("role", STAFF)
def test_rows_of_the_own_site_open_for_the_roles_that_are_named(app, client, sign_in, scenes, here, role) -> None:
    sign_in(str(role), locations=(here,))
    wrong = []
    for rule, access, method in rules(app, Audience.STAFF):
        if subjects(rule) and (not access.roles or role in access.roles):
            status = client.open(address(app, rule, scenes[0]), method=method).status_code
            if status >= 500 or (status == 403 and rule.endpoint not in NARROWER):
                wrong.append((method, rule.rule, status))
    assert wrong == []


def test_every_row_of_the_own_site_is_within_reach(scenes, here) -> None:
    g.reach = Reach(frozenset({here.id}))
    try:
        sites.check_address({name: scenes[0].id_of(model) for name, model in sites.SUBJECTS.items()})
    finally:
        g.pop("reach")


@pytest.mark.parametrize("role", STAFF)
def test_no_list_or_search_shows_a_person_of_another_site(app, client, sign_in, scenes, here, role) -> None:
    sign_in(str(role), locations=(here,))
    patient_id, number, shown = scenes[1].patient.id, scenes[1].patient.record_number, []
    db.session.expunge_all()  # what the test itself loaded is not what a page found
    for rule, access, method in rules(app, Audience.STAFF):
        if method == "GET" and not subjects(rule) and (not access.roles or role in access.roles):
            page = client.get(address(app, rule, scenes[1]), query_string={"patient": patient_id}).text
            if "Quimby" in page or f"/patients/{patient_id}" in page or number in page:
                shown.append(rule.rule)
    if f"/patients/{patient_id}" in client.get("/staff/patients", query_string={"q": number}).text:
        shown.append("search")
    assert shown == []


def test_a_token_of_one_site_reaches_no_row_of_another(app, client, scenes, here) -> None:
    wrong: list[Any] = []
    for role in Role:
        bearer = {"Authorization": f"Bearer {create_token(name='t', role=role, location_ids=[here.id], by=TESTER)}"}
        for rule, access, method in rules(app, Audience.TOKEN):
            if subjects(rule) and (not access.roles or role in access.roles):
                for rows, expected in zip(scenes, (False, True), strict=True):
                    answer = client.open(address(app, rule, rows), method=method, headers=bearer, json={})
                    if (answer.status_code == 404) is not expected:
                        wrong.append((role, method, rule.rule, answer.status_code))
    assert wrong == []


def test_a_token_names_no_person_of_another_site_in_a_body(client, scenes, here) -> None:
    bearer = {"Authorization": f"Bearer {create_token(name='t', role='service', location_ids=[here.id], by=TESTER)}"}
    patient_id = scenes[1].patient.id
    db.session.expunge_all()
    for path, body in (
        ("intakes", {"record": {}}),
        ("course-proposals", {"protocol": "tms_10hz_left_standard"}),
        ("courses", {"protocol": "tms_10hz_left_standard", "sessions": []}),
    ):
        answer = client.post(f"/api/v1/{path}", json={"patient_id": patient_id, **body}, headers=bearer)
        assert answer.status_code in (404, 422), (path, answer.json)


def test_every_page_that_opens_a_record_leaves_one_event(app, client, sign_in, scenes, here) -> None:
    """One a page view at least: who, about whom, from where."""
    own, wrong = scenes[0], []
    for role in (Role.PRESCRIBER, Role.FRONT_DESK, Role.MANAGER):
        user = sign_in(str(role), locations=(here,))
        for rule, access, method in rules(app, Audience.STAFF):
            names = {name for name in subjects(rule) if person_of(sites.SUBJECTS[name]) is not None}
            if method != "GET" or not names or (access.roles and role not in access.roles):
                continue
            before = db.session.scalar(select(func.max(AuditEvent.id))) or 0
            if client.get(address(app, rule, own)).status_code == 200:
                found = select(AuditEvent).where(AuditEvent.id > before, AuditEvent.patient_id == own.patient.id)
                who = [(event.actor_key, (event.origin or {}).get("address")) for event in db.session.scalars(found)]
                if who != [(str(user.id), "127.0.0.1")]:
                    wrong.append((rule.rule, who))
    assert wrong == []
