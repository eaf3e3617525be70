"""Column types and transactions."""

from datetime import UTC, datetime

import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DataError, IntegrityError

from clinic.db import (
    Asked,
    Keyring,
    UTCDateTime,
    array,
    blind_is,
    broken_constraint,
    db,
    loaded,
    together,
    transaction,
)
from clinic.embedded.postgres import PostgresServer
from clinic.patients.models import Patient
from tests.builders import make_patient


def test_names_are_ciphertext_in_the_database(database: SQLAlchemy) -> None:
    patient = make_patient(given_name="Wilhelmina")
    stored = bytes(
        database.session.execute(
            text("SELECT given_name FROM patients WHERE id = :id"), {"id": patient.id}
        ).scalar_one()
    )
    assert b"Wilhelmina" not in stored
    database.session.refresh(patient)
    assert patient.given_name == "Wilhelmina"


def test_an_email_is_found_whatever_its_case(database: SQLAlchemy) -> None:
    patient = make_patient(email="Ada@Example.org")
    found = database.session.query(Patient).where(blind_is(Patient.email_blind, "ada@example.ORG")).one()
    assert found.id == patient.id


def test_an_older_key_still_opens_and_a_new_one_encrypts() -> None:
    old, both, new = Keyring(["old"]), Keyring(["new", "old"]), Keyring(["new"])
    token = old.encrypt("hello")
    assert both.decrypt(token) == "hello"
    assert new.decrypt(both.rotate(token)) == "hello"
    assert old.blind("email", "a@b.c")[0] in both.blind("email", "A@B.c")


def test_a_lost_key_is_a_clear_error() -> None:
    with pytest.raises(ValueError, match="CLINIC_DATA_KEYS"):
        Keyring(["new"]).decrypt(Keyring(["old"]).encrypt("hello"))


def test_a_forms_drafts_have_keys_of_their_own() -> None:
    old, both = Keyring(["old key"]), Keyring(["new key", "old key"])
    assert [len(key) for key in both.draft_keys("intake-5")] == [32, 32]
    assert both.draft_keys("intake-5")[1:] == old.draft_keys("intake-5")  # what was kept before a rotation opens
    assert not set(both.draft_keys("intake-5")) & set(both.draft_keys("intake-6"))


def test_naive_instants_are_refused() -> None:
    with pytest.raises(ValueError, match="naive"):
        UTCDateTime().process_bind_param(datetime(2026, 1, 1), None)  # noqa: DTZ001 - the point of the test


def test_operations_do_not_nest(database: SQLAlchemy) -> None:
    with transaction(), pytest.raises(RuntimeError, match="nest"), transaction():
        pass


def test_calls_after_commit_wait_for_the_commit_and_are_dropped_on_rollback(database: SQLAlchemy) -> None:
    rung: list[str] = []
    with transaction() as after_commit:
        after_commit.append(lambda: rung.append("yes"))
        assert rung == []
    with pytest.raises(ZeroDivisionError), transaction() as after_commit:
        after_commit.append(lambda: rung.append("no"))
        _ = 1 / 0
    assert rung == ["yes"]


def test_statements_together_answer_in_order_and_fail_as_any_other(database: SQLAlchemy) -> None:
    asked = "SELECT CAST(%(n)s AS integer)"
    with transaction():
        assert together((asked, {"n": 1}), (asked, {"n": 2})) == [[(1,)], [(2,)]]
    with pytest.raises(DataError, match="division by zero"), transaction():
        together((asked, {"n": 1}), ("SELECT 1 / CAST(%(n)s AS integer)", {"n": 0}))
    with transaction():
        assert together((asked, {"n": 3})) == [[(3,)]]


NAMED = "id", "email", "tz"


def raw(patient_id: int) -> list[object]:
    [[row]] = together(("SELECT id, email, tz FROM patients WHERE id = %(id)s", {"id": patient_id}))
    return list(row)


def test_a_row_of_the_driver_is_as_one_that_the_session_loaded(database: SQLAlchemy) -> None:
    made = make_patient(email="vera@example.org")
    patient_id, phone = made.id, made.phone
    db.session.flush()
    db.session.expunge_all()
    row = loaded(Patient, raw(patient_id), NAMED)
    assert (row.email, row.phone, db.session.get(Patient, patient_id)) == ("vera@example.org", phone, row)
    row.tz = "America/Denver"
    db.session.flush()
    assert raw(patient_id)[2] == "America/Denver"


def test_a_row_that_the_session_knows_is_told_what_the_driver_read(database: SQLAlchemy) -> None:
    made = make_patient()
    db.session.flush()
    together(("UPDATE patients SET tz = 'America/Denver' WHERE id = %(id)s RETURNING id", {"id": made.id}))
    assert loaded(Patient, raw(made.id), NAMED) is made
    assert made.tz == "America/Denver"


def test_the_last_statements_take_the_commit_along_or_leave_nothing(committed_app: Flask) -> None:
    with committed_app.app_context():
        db.session.execute(text("CREATE TABLE said (n integer CONSTRAINT known CHECK (n < 3))"))
        db.session.commit()
        say = Asked(text("INSERT INTO said VALUES (:n)"))
        for n in (1, 2):
            with transaction():
                assert together(say({"n": n}), ends=True) == [[]]
        for several in ([say({"n": 0}), say({"n": 3})], [say({"n": 3})], [say({"n": 0}), lambda: say({"n": 3})]):
            with pytest.raises(IntegrityError) as refused, transaction():
                together(*several, ends=True)
            assert broken_constraint(refused.value) == "known"
        with pytest.raises(LookupError), transaction():
            together(say({"n": 0}), lambda: {}["not there"], ends=True)
        with db.engine.connect() as another:
            assert another.scalars(text("SELECT n FROM said ORDER BY n")).all() == [1, 2]


def test_a_statement_alone_leaves_a_connection_on_which_a_transaction_can_be_given_up(committed_app: Flask) -> None:
    with committed_app.app_context():
        with transaction():
            together(("SELECT 1", {}), ends=True)
        with pytest.raises(LookupError), transaction():
            together(("CREATE TABLE left_behind (n integer)", {}))
            raise LookupError
        assert db.session.scalar(text("SELECT to_regclass('left_behind')")) is None


def test_a_statement_given_as_a_call_is_made_while_the_server_works(database: SQLAlchemy) -> None:
    asked: list[datetime] = []

    def second() -> tuple[str, dict[str, object]]:
        asked.append(datetime.now(UTC))
        return "SELECT 2", {}

    with transaction():
        [(answered,)], two = together(("SELECT clock_timestamp() FROM pg_sleep(0.5)", {}), second)
    assert two == [(2,)]
    assert asked[0] < answered


@pytest.mark.parametrize("silent", [True, False], ids=["without a word", "with one"])
def test_a_connection_whose_server_is_gone_is_not_given_out(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch, silent: bool
) -> None:
    if silent:
        monkeypatch.setattr("clinic.db._has_news", lambda _: False)
        monkeypatch.setattr("clinic.db.SILENT_FOR", 0.0)
    engine, own = create_engine(postgres.url("postgres")), text("SELECT pg_backend_pid()")
    with engine.connect() as first, engine.connect() as second:
        gone, left = first.scalar(own), second.scalar(own)
    with engine.connect() as last:
        assert last.scalar(own) == left
        last.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": gone})
        with engine.connect() as new:
            assert new.scalar(own) not in (gone, left)
    engine.dispose()


def test_an_array_is_read_as_it_was_written(database: SQLAlchemy) -> None:
    said = ['a, "b"', "c\\d", "{e}", "NULL", ""]
    assert database.session.scalar(text("SELECT CAST(:it AS text[])"), {"it": array(said)}) == said
    assert database.session.scalar(text("SELECT CAST(:it AS integer[])"), {"it": array([1, None])}) == [1, None]
    starts = [datetime(2026, 11, 30, 8, 20, tzinfo=UTC), datetime(2026, 12, 1, 14, 0, 0, 500000, tzinfo=UTC)]
    read = database.session.scalar(text("SELECT CAST(:it AS timestamptz[])"), {"it": array(starts)})
    assert read == starts
