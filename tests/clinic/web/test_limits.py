"""How often one caller may ask for links."""

from collections.abc import Iterator

import pytest

from clinic.web.limits import limiter


@pytest.fixture
def limits(app) -> Iterator[None]:
    limiter.enabled = True
    limiter.reset()
    yield
    limiter.reset()
    limiter.enabled = False


def test_asking_for_links_is_slowed_down(limits, post, database) -> None:
    answers = [post("/link", {"contact": "nobody@example.org"}).status_code for _ in range(21)]
    assert answers == [200] * 20 + [429]


def test_the_page_itself_stays_open(limits, client, post, database) -> None:
    for _ in range(21):
        post("/link", {"contact": "nobody@example.org"})
    assert client.get("/link").status_code == 200
