"""A database that is away is a 503 on every page, whoever asks."""

import re
import runpy
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine, event, text
from sqlalchemy.exc import InterfaceError, OperationalError

from clinic.backup.making import plain
from clinic.db import db
from clinic.patients import reading
from clinic.staff.operations import create_token
from clinic.web import access
from tests.builders import TESTER, make_patient, make_profile


@pytest.fixture(params=[OperationalError, InterfaceError])
def away(request: Any) -> Iterator[Any]:
    """`away()`: from now on no statement gets an answer."""

    def refuse(*_: object) -> None:
        error = request.param("SELECT 1", {}, Exception("gone"))
        error.connection_invalidated = True
        raise error

    yield lambda: event.listen(Engine, "before_cursor_execute", refuse)
    if event.contains(Engine, "before_cursor_execute", refuse):
        event.remove(Engine, "before_cursor_execute", refuse)


@pytest.mark.parametrize("path", ["/staff/", "/staff/login", "/staff/patients/1", "/locations", "/link"])
def test_a_signed_in_browser_is_told_so_and_asked_nothing(client, database, sign_in, away, path) -> None:
    make_profile()
    sign_in("manager")
    away()
    answer = client.get(path)
    assert answer.status_code == 503
    assert "Try again in a minute" in answer.text


def test_a_page_does_not_wait_for_the_database_without_end(app, client, database, settings, monkeypatch) -> None:
    monkeypatch.setenv("PGOPTIONS", "")  # so that it is put back
    monkeypatch.delenv("PGOPTIONS")
    runpy.run_path("clinic/embedded/gunicorn_conf.py")
    with psycopg.connect(plain(settings.database_url)) as connection:
        assert connection.execute("SHOW statement_timeout").fetchone() == ("30s",)

    def endless() -> None:
        db.session.execute(text("SET LOCAL statement_timeout = 20"))
        db.session.execute(text("SELECT pg_sleep(60)"))

    monkeypatch.setitem(app.view_functions, "care.guide", access.public(endless))
    assert client.get("/guide").status_code == 503


def test_a_database_that_dies_behind_the_view_is_no_fault_of_ours(app, client, database, sign_in, monkeypatch) -> None:
    def gone(_: object) -> None:
        raise OperationalError("INSERT", {}, Exception("gone"))

    patient_id = make_patient().id
    sign_in("manager")
    monkeypatch.setattr(reading, "people_of", gone)
    monkeypatch.setitem(app.config, "PROPAGATE_EXCEPTIONS", False)
    assert client.get(f"/staff/patients/{patient_id}/keeping").status_code == 503


@pytest.mark.parametrize(("path", "view"), [("/guide", "care.guide"), ("/api/v1/openapi.json", "api.openapi")])
def test_a_fault_shows_a_page_without_details(app, client, database, monkeypatch, caplog, path, view) -> None:
    def broken() -> None:
        raise KeyError("patient05@demo.example.org")

    monkeypatch.setitem(app.view_functions, view, access.public(broken))
    monkeypatch.setattr(app, "testing", False)
    answer = client.get(path)
    assert answer.status_code == 500
    assert not re.search("patient05|KeyError|Traceback", answer.text)
    assert f"unexpected error on {view}" in caplog.text


def test_a_system_is_told_so_by_problem_details(client, database, away) -> None:
    headers = {"Authorization": f"Bearer {create_token(name='test', role='service', by=TESTER)}"}
    away()
    answer = client.post("/api/v1/appointments", json={}, headers=headers | {"Idempotency-Key": "a"})
    assert (answer.status_code, answer.json["code"]) == (503, "unavailable")


@pytest.mark.parametrize(("path", "home"), [("/staff/patients/99999", "/staff/"), ("/nowhere", "/")])
def test_a_page_that_is_not_there_leads_back_to_ones_own_first_page(client, database, sign_in, path, home) -> None:
    sign_in("nurse")
    answer = client.get(path)
    assert answer.status_code == 404
    assert f'class="tap" href="{home}"' in answer.text
