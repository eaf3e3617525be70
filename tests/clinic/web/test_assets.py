"""How bundled files are served."""

import pytest
from flask.testing import FlaskClient

from clinic.web.assets import asset


@pytest.mark.parametrize("coding", ["br", "gzip"])
def test_a_bundled_file_comes_compressed_and_may_be_kept_for_ever(client: FlaskClient, coding: str) -> None:
    with client.application.test_request_context():
        url = asset("app.css")
    answer = client.get(url, headers={"Accept-Encoding": coding})
    assert answer.headers["Content-Encoding"] == coding
    assert "immutable" in answer.headers["Cache-Control"]
    assert len(answer.data) < 20_000


def test_a_file_without_a_hash_in_its_name_is_asked_for_again(client: FlaskClient) -> None:
    assert "immutable" not in client.get("/static/favicon.svg").headers["Cache-Control"]


def test_pages_are_never_kept(client: FlaskClient) -> None:
    assert client.get("/healthz").headers["Cache-Control"] == "no-store"
