"""Logs hold ids, kinds of faults and their places; nothing that somebody typed."""

import logging
import re
import sys
from datetime import date

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from clinic.db import db
from clinic.logs import Lines


def line(message: str, *args: object, **more: object) -> str:
    values = {"name": "clinic.x", "levelname": "WARNING", "created": 1795962400.25, "msecs": 250, "process": 7}
    return Lines().format(logging.makeLogRecord({**values, "msg": message, "args": args, **more}))


def test_a_line_says_when_how_bad_where_and_what() -> None:
    said = line("refused: staff %s at %s", 12, "staff.account")
    assert said == "2026-11-29T14:26:40.250Z WARNING clinic.x [7] refused: staff 12 at staff.account"


def test_nothing_that_is_handed_in_makes_a_line_of_its_own() -> None:
    said = line("no such page: %s", "a\r\n2026-11-29T14:26:40.250Z WARNING forged\x1b[2J\u2028b")
    assert len(said.splitlines()) == 1
    assert "\\x0d\\x0a2026" in said
    assert "\x1b" not in said


def test_a_fault_is_its_kind_and_place_and_not_its_words() -> None:
    try:
        try:
            date.fromisoformat("Ximena Northcott")
        except ValueError as error:
            raise KeyError("patient05@demo.example.org") from error
    except KeyError:
        said = line("unexpected error on %s", "patients.record", exc_info=sys.exc_info())
    assert re.search(r"test_logs\.py.*builtins\.ValueError\nthen:\n.*builtins\.KeyError$", said, re.DOTALL)
    assert "Ximena" not in said.replace('fromisoformat("Ximena Northcott")', "")
    assert "patient05" not in said.replace('KeyError("patient05@demo.example.org")', "")


def test_a_broken_rule_of_the_database_is_named_without_the_row(database) -> None:
    values = {"email": "a@example.org", "name": "Ximena Northcott"}
    with pytest.raises(IntegrityError) as refused:
        db.session.execute(text("INSERT INTO staff_users (email, name) VALUES (:email, :name)"), values)
    error = refused.value
    assert isinstance(error.orig, psycopg.Error)
    said = line("unexpected error", exc_info=(type(error), error, error.__traceback__))
    assert "psycopg.errors.NotNullViolation (23502)" in said
    assert "Ximena" in str(error.orig)
    assert "Ximena" not in said
    assert "Ximena" not in str(error).replace(str(error.orig), "")


def test_a_task_that_failed_is_named_without_its_fault() -> None:
    about = {"name": "reminders.send", "id": "5f1c", "exc": "ValueError('Ximena')"}
    error = (ValueError, ValueError("Ximena"), None)
    said = line("Task %(name)s raised: %(exc)s", args=about, name="celery.app.trace", data=about, exc_info=error)
    assert "task reminders.send [5f1c] failed" in said
    assert "Ximena" not in said
