"""How often one caller may ask."""

from collections.abc import Iterator

import pytest
from limits.storage import storage_from_string
from limits.strategies import FixedWindowRateLimiter

from clinic.web import limits as rules
from clinic.web.limits import limiter


@pytest.fixture
def limits(app) -> Iterator[None]:
    limiter.enabled = True
    limiter.reset()
    yield
    limiter.reset()
    limiter.enabled = False


@pytest.fixture
def redis_is_gone(limits, monkeypatch) -> None:
    dead = storage_from_string("redis://127.0.0.1:1/0")
    monkeypatch.setattr(limiter, "_storage", dead)
    monkeypatch.setattr(limiter, "_limiter", FixedWindowRateLimiter(dead))
    monkeypatch.setattr(limiter, "_storage_dead", False)
    limiter._fallback_storage.reset()


def asked(post, times: int) -> list[int]:
    return [post("/link", {"contact": "nobody@example.org"}).status_code for _ in range(times)]


def test_asking_for_links_is_slowed_down(limits, post, database) -> None:
    assert asked(post, 21) == [200] * 20 + [429]


def test_who_is_refused_is_told_when_to_come_back(limits, post, database) -> None:
    asked(post, 20)
    refused = post("/link", {"contact": "nobody@example.org"})
    assert 0 < int(refused.headers["Retry-After"]) <= 3601


def test_the_page_itself_stays_open(limits, client, post, database) -> None:
    asked(post, 21)
    assert client.get("/link").status_code == 200


def test_without_redis_pages_open_and_limits_hold(redis_is_gone, client, post, database) -> None:
    assert client.get("/link").status_code == 200
    assert asked(post, 21) == [200] * 20 + [429]


def test_without_redis_signing_in_is_still_slowed_down(redis_is_gone, post, database, now) -> None:
    said = [post("/staff/login", {"email": "a@example.org", "password": f"guess {n}"}).text for n in range(6)]
    assert "Too many tries" not in said[4]
    assert "Too many tries" in said[5]


def test_the_writes_of_one_account_are_counted_together(limits, client, post, sign_in, monkeypatch) -> None:
    monkeypatch.setattr(rules, "WRITES", "3 per minute")
    sign_in("nurse")
    assert [post("/staff/still").status_code for _ in range(4)] == [204, 204, 204, 429]
    assert client.get("/staff/account").status_code == 200
    sign_in("nurse")
    assert post("/staff/still").status_code == 204
