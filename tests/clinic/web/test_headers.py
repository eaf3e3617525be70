"""What every answer tells the browser."""

import re

import pytest

from tests.builders import make_patient


@pytest.mark.parametrize("url", ["/", "/staff/login", "/link", "/api/v1/openapi.json", "/no-such-page", "/healthz"])
def test_nothing_from_elsewhere_nothing_inline_nothing_framed(client, database, url) -> None:
    headers = client.get(url).headers
    policy = headers["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert not re.search(r"https?:|\*", policy)
    for directive in ("default-src 'self'", "frame-ancestors 'none'", "object-src 'none'", "base-uri 'none'"):
        assert directive in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "same-origin"
    assert "Access-Control-Allow-Origin" not in headers


def test_nothing_about_a_person_is_kept_by_the_browser(client, database, sign_in, sign_in_patient) -> None:
    sign_in("nurse")
    assert client.get(f"/staff/patients/{make_patient().id}").headers["Cache-Control"] == "no-store"
    sign_in_patient(make_patient())
    assert client.get("/me").headers["Cache-Control"] == "no-store"


def test_a_request_is_not_sent_back_as_it_came(client, database) -> None:
    assert client.open("/", method="TRACE", headers={"X-Mark": "it came"}).status_code == 405


def test_over_https_the_browser_is_told_to_stay_there(client, database) -> None:
    assert "Strict-Transport-Security" not in client.get("/").headers
    told = client.get("/", base_url="https://localhost").headers["Strict-Transport-Security"]
    assert int(re.search(r"max-age=(\d+)", told)[1]) >= 31_536_000
    assert "includeSubDomains" in told


def test_no_script_reads_a_cookie_and_no_other_site_sends_it(client, post, database, sign_in) -> None:
    from clinic.staff.operations import create_staff_user
    from tests.builders import TESTER

    create_staff_user(email="n@example.org", name="Nora", password="a long pass phrase", roles=["nurse"], by=TESTER)
    answer = post("/staff/login", {"email": "n@example.org", "password": "a long pass phrase"})
    cookies = answer.headers.getlist("Set-Cookie")
    assert len(cookies) >= 2
    assert all("HttpOnly" in cookie and "SameSite=Lax" in cookie for cookie in cookies)
