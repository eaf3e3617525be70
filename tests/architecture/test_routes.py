"""Every address says who may see it, and keeps its word."""

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from werkzeug.routing import AnyConverter, BaseConverter, Rule

from clinic.staff.models import Role
from clinic.web.access import LIBRARY_ROUTES, Access, Audience, declared

SAMPLES = {"int": 1, "string": "x", "path": "x", "uuid": "00000000-0000-0000-0000-000000000000", "float": 1.0}
# What a person may do only after proving again who they are; Flask-Security asks at its own pages for second steps.
ASKED_AGAIN = {
    "care.outcomes_csv", "people.do", "people.invite", "people.person", "records.erase", "records.lift",
    "security.mf_recovery_codes", "security.wan_delete", "staff.end_others", "staff.end_session",
}  # fmt: skip
# Called by programs, or by a signed address that needs no cookie: bearer token, signature, one-click link.
NO_FORM_TOKEN = ("/api/", "/hooks/", "/unsubscribe/", "/r/", "/o/")


def routes(app: Flask, *audiences: Audience) -> Iterator[tuple[Rule, Access, str, str]]:
    """Rule, declaration, a sample address and a method, for each route and method of these audiences."""
    with app.test_request_context():
        adapter = app.url_map.bind("localhost")
        for rule in app.url_map.iter_rules():
            access = declared(app, rule.endpoint)
            if access is None or (audiences and access.audience not in audiences):
                continue
            values = {name: sample(converter) for name, converter in rule._converters.items()}
            url = adapter.build(rule.endpoint, values)
            for method in sorted((rule.methods or set()) & {"GET", "POST", "PUT", "PATCH", "DELETE"}):
                yield rule, access, url, method


def sample(converter: BaseConverter) -> Any:
    """A value that the address takes: the first by name where it lists what there is."""
    return min(converter.items) if isinstance(converter, AnyConverter) else SAMPLES[kind(converter)]


def kind(converter: BaseConverter) -> str:
    return {"IntegerConverter": "int", "UUIDConverter": "uuid", "PathConverter": "path", "FloatConverter": "float"}.get(
        type(converter).__name__, "string"
    )


def test_every_route_declares_who_may_see_it(app) -> None:
    silent = [rule.endpoint for rule in app.url_map.iter_rules() if declared(app, rule.endpoint) is None]
    assert silent == []


def test_no_declaration_outlives_its_route(app) -> None:
    assert set(LIBRARY_ROUTES) <= {rule.endpoint for rule in app.url_map.iter_rules()}


def test_roles_that_are_named_exist(app) -> None:
    named = {role for _, access, _, _ in routes(app) for role in access.roles}
    assert named <= {str(role) for role in Role}


def test_staff_pages_send_strangers_to_the_sign_in(app, client) -> None:
    opened = [
        (method, url)
        for _, access, url, method in routes(app, Audience.STAFF)
        if (answer := client.open(url, method=method)).status_code != (401 if access.background else 302)
        or (not access.background and "/staff/login" not in answer.location)
    ]
    assert opened == []


def test_patient_pages_send_strangers_to_a_fresh_link(app, client) -> None:
    opened = [
        (method, url)
        for _, _, url, method in routes(app, Audience.PATIENT)
        if (answer := client.open(url, method=method)).status_code != 302 or "/link" not in answer.location
    ]
    assert opened == []


def test_staff_are_no_patients(app, client, sign_in) -> None:
    sign_in("manager")
    answers = {client.open(url, method=method).status_code for _, _, url, method in routes(app, Audience.PATIENT)}
    assert answers == {302}


def test_patients_are_no_staff(app, client, sign_in_patient) -> None:
    from tests.builders import make_patient

    sign_in_patient(make_patient())
    answers = {client.open(url, method=method).status_code for _, _, url, method in routes(app, Audience.STAFF)}
    assert answers == {302, 401}


def test_patient_pages_ask_for_the_birth_date_where_they_say_so(app, client, sign_in_patient) -> None:
    from tests.builders import make_patient

    patient, missed = make_patient(), []
    for _, access, url, method in routes(app, Audience.PATIENT):
        if access.birth_date:
            for purpose in access.purposes or {"sign_in"}:
                about = {"survey": {"survey_id": 1}, "visit": {"session_id": 1}}.get(purpose, {})
                sign_in_patient(patient, purpose, checked=False, **about)
                if "/birth-date" not in (client.open(url, method=method).location or ""):
                    missed.append((method, url, purpose))
    assert missed == []


def test_a_role_that_is_not_named_is_refused(app, client, sign_in) -> None:
    opened = []
    for role in (role for role in Role if role is not Role.SERVICE):
        sign_in(str(role))
        opened += [
            (str(role), method, url)
            for _, access, url, method in routes(app, Audience.STAFF)
            if access.roles and role not in access.roles and client.open(url, method=method).status_code != 403
        ]
    assert opened == []


def test_who_proved_it_long_ago_does_so_again_before_what_matters(app) -> None:
    asked = {rule.endpoint for rule in app.url_map.iter_rules() if (a := declared(app, rule.endpoint)) and a.fresh}
    assert asked == ASKED_AGAIN


def test_development_pages_exist_on_this_machine_only(app, client) -> None:
    away = {"REMOTE_ADDR": "192.0.2.7"}
    answers = {
        client.open(url, method=method, environ_overrides=away).status_code
        for _, _, url, method in routes(app, Audience.DEVELOPMENT)
    }
    assert answers <= {404}


def test_the_api_wants_a_token(app, client) -> None:
    opened = [
        (method, url)
        for _, _, url, method in routes(app, Audience.TOKEN)
        if client.open(url, method=method).status_code not in (401, 415)
    ]
    assert opened == []


def test_every_form_needs_its_token(app, client, monkeypatch) -> None:
    monkeypatch.setitem(app.config, "WTF_CSRF_ENABLED", True)
    open_ = [
        url
        for _, _, url, method in routes(app)
        if method != "GET" and not url.startswith(NO_FORM_TOKEN) and client.open(url, method=method).status_code != 400
    ]
    assert open_ == []


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.SERVICE])
def test_no_page_breaks_for_anyone(app, client, sign_in, role) -> None:
    sign_in(str(role))
    broken = [
        url
        for _, _, url, method in routes(app, Audience.STAFF, Audience.PUBLIC)
        if method == "GET" and client.get(url).status_code >= 500 and url != "/readyz"
    ]
    assert broken == []
