"""The declaration of a route is held against the caller before the view runs."""

import pytest

from clinic.web.access import is_safe_next


def test_a_view_without_a_declaration_is_refused(app, client, database, monkeypatch) -> None:
    monkeypatch.setitem(app.view_functions, "health.healthz", lambda: "open")
    assert client.get("/healthz").status_code == 403


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
