"""What a request may carry."""

import pytest
from sqlalchemy import select

from clinic.db import db
from clinic.tasks.models import Task
from tests.builders import make_patient


@pytest.mark.parametrize("body", [b'{"contact": 1}', b"[1]", b"null", b'"x"', b'{"a":' * 5000, b"{"])
def test_a_form_is_never_json(client, database, body) -> None:
    assert client.post("/link", data=body, content_type="application/json").status_code == 415


def test_json_that_is_nested_too_deep_is_refused_where_json_is_taken(client, database, sign_in) -> None:
    sign_in("nurse")
    deep = client.post("/staff/held", data=b'{"path":' * 5000, content_type="application/json")
    assert deep.status_code == 422


@pytest.mark.parametrize("sign", ["\0", "\ud800"])
def test_a_page_keeps_no_sign_that_the_database_does_not_take(client, database, sign_in, sign) -> None:
    sign_in("nurse")
    form = {"path": "/staff/x", "action": "/staff/x", "focus": "a", "fields": [["a", "b"]]}
    for wrong in ({"path": f"/staff/{sign}"}, {"fields": [["a", sign]]}, {"fields": [[sign, "b"]]}):
        assert client.post("/staff/held", json=form | wrong).status_code == 422
    assert client.post("/staff/held/drop", json={"path": f"/staff/{sign}"}).status_code == 422
    assert client.post("/staff/held", json=form | {"fields": [["a", "\U0001f600 \\u0000"]]}).status_code == 204


def test_a_form_loses_nothing_but_the_sign_that_nobody_types(post, database, sign_in_patient) -> None:
    sign_in_patient(make_patient())
    sent = {"topic": "question", "words": "May I\0 drive?", "nonce": "4f1c5d6e\x007a8b9c0d"}
    assert post("/me/tell", sent).location == "/me"
    assert db.session.scalars(select(Task.note)).one() == "May I drive?"


@pytest.mark.parametrize("url", ["/staff/still", "/staff/over"])
def test_a_page_says_in_json_whether_its_time_goes_on(client, database, sign_in, url) -> None:
    sign_in("nurse")
    assert client.post(url, json={}).status_code == 204


@pytest.mark.parametrize(
    ("url", "size"), [("/link", 2_000_000), ("/api/v1/patients", 2_000_000), ("/hooks/sms", 2_000_000)]
)
def test_more_than_a_megabyte_is_not_read(client, database, url, size) -> None:
    body = b"contact=" + b"x" * size
    answer = client.post(url, data=body, content_type="application/x-www-form-urlencoded")
    assert answer.status_code in (401, 413)


def test_a_form_of_too_many_parts_is_refused(client, database) -> None:
    parts = (
        "".join(f'--x\r\nContent-Disposition: form-data; name="a{n}"\r\n\r\n1\r\n' for n in range(2500)) + "--x--\r\n"
    )
    answer = client.post("/link", data=parts, content_type="multipart/form-data; boundary=x")
    assert answer.status_code == 413
