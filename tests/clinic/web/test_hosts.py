"""Which names a request may ask for: addresses in mail, signatures and redirects never come from a stranger."""

from dataclasses import replace
from pathlib import Path

import pytest

from clinic.config import Settings
from tests.conftest import make_app


def hosts(**values: str) -> list[str] | None:
    return Settings(instance=Path("x"), **values).trusted_hosts


def test_the_public_name_and_this_machine_are_known() -> None:
    known = hosts(public_url="https://clinic.example.org:8443/", host="0.0.0.0")
    assert known == ["clinic.example.org", "0.0.0.0", "localhost", "127.0.0.1", "[::1]"]


def test_who_listens_everywhere_without_a_public_name_answers_to_any() -> None:
    assert hosts(host="0.0.0.0") is None
    assert hosts() == ["127.0.0.1", "localhost", "[::1]"]


@pytest.mark.parametrize(
    "host", ["evil.example", "clinic.example.org.evil.example", "evil@127.0.0.1", "", "a b", "[::1"]
)
def test_a_foreign_name_is_refused_in_plain_words(app, database, host) -> None:
    for path in ("/", "/staff/login", "/api/v1/locations", "/no-such-page"):
        answer = app.test_client().get(path, headers={"Host": host})
        assert answer.status_code == 400
        assert "evil" not in answer.text
        assert "Content-Security-Policy" in answer.headers


def test_a_forwarded_name_counts_only_behind_a_proxy_that_is_trusted(app, client, settings, database) -> None:
    forged = {"X-Forwarded-Host": "evil.example", "X-Forwarded-For": "192.0.2.1", "X-Forwarded-Proto": "https"}
    answer = client.get("/", headers=forged)
    assert answer.status_code == 200
    assert "Strict-Transport-Security" not in answer.headers
    behind = make_app(replace(settings, trusted_proxies=1, public_url="https://clinic.example.org"))
    assert behind.test_client().get("/healthz", headers=forged).status_code == 400
    right = forged | {"X-Forwarded-Host": "clinic.example.org"}
    assert "Strict-Transport-Security" in behind.test_client().get("/healthz", headers=right).headers


def test_over_https_cookies_are_bound_to_this_host(settings, app) -> None:
    https = make_app(replace(settings, public_url="https://clinic.example.org"))
    client = https.test_client()
    answer = client.get("/staff/login", base_url="https://clinic.example.org")
    cookies = answer.headers.getlist("Set-Cookie")
    assert cookies
    for cookie in cookies:
        assert cookie.startswith("__Host-daybreak_")
        assert {"Secure", "Path=/"} <= set(cookie.split("; "))
        assert "Domain" not in cookie
