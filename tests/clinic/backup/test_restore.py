"""From one database into another: every row as it was, or nothing changed."""

import subprocess
from pathlib import Path
from typing import Any

import psycopg
import pytest

from clinic import clock
from clinic.backup import making, restoring
from clinic.backup.container import BadBackup
from clinic.backup.making import BackupFailed, make_backup, plain
from clinic.backup.restoring import restore_backup
from clinic.db import Keyring, db
from clinic.intake.models import Attachment, AttachmentKind
from tests.builders import make_course, make_intake, make_location, make_patient, make_staff
from tests.conftest import NOW, create_database

KNOWN = {path.name[:4] for path in Path("migrations/versions").glob("[0-9]*.py")}


@pytest.fixture
def keys(settings) -> Keyring:
    return Keyring(settings.data_keys)


@pytest.fixture
def source(committed_app) -> str:
    """A clinic with people of several alphabets, a course, a file of every byte."""
    with committed_app.app_context(), clock.frozen(NOW):
        make_staff("manager", locations=(make_location(),))
        for name in ("Ann", "Zoë O'Neil", "李", "tab\tand\\slash"):
            make_course(make_patient(given_name=name), [NOW])
        patient = make_patient()
        make_intake(patient)
        content = bytes(range(256)) * 50
        db.session.add(
            Attachment(
                patient_id=patient.id,
                kind=AttachmentKind.OTHER,
                name="x.pdf",
                media_type="application/pdf",
                size=len(content),
                content_hash=b"0" * 32,
                content=content,
                added_at=NOW,
            )
        )
        db.session.commit()
        url: str = committed_app.config["SETTINGS"].database_url
        return url


@pytest.fixture
def empty(postgres, request) -> str:
    return create_database(postgres, f"restored_{abs(hash(request.node.name))}")


@pytest.fixture
def backup(source, keys, tmp_path) -> Path:
    make_backup(tmp_path / "clinic.backup", source, keys, policies=None, now=NOW)
    return tmp_path / "clinic.backup"


def all_rows(url: str) -> dict[str, list[Any]]:
    """Every row of every table, read by other means than the comparison under test."""
    with psycopg.connect(plain(url)) as connection:
        names = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1").fetchall()
        return {name: sorted(map(repr, connection.execute(f'TABLE "{name}"').fetchall())) for (name,) in names}


def test_every_row_of_every_table_comes_back(source, backup, empty, keys) -> None:
    done = restore_backup(backup, empty, keys, known=KNOWN, replace=False)
    before = all_rows(source)
    assert all_rows(empty) == before
    assert done.contents.rows == sum(map(len, before.values()))


def test_constraints_indexes_and_sequences_come_back(source, backup, empty, keys) -> None:
    restore_backup(backup, empty, keys, known=KNOWN, replace=False)
    questions = (
        "SELECT conrelid::regclass::text, conname, contype FROM pg_constraint ORDER BY 1, 2",
        "SELECT indexrelid::regclass::text, indisunique, indnatts FROM pg_index JOIN pg_class t ON t.oid = indrelid WHERE t.relnamespace = 'public'::regnamespace ORDER BY 1",
        "SELECT sequencename, last_value FROM pg_sequences ORDER BY 1",
    )
    for question in questions:
        with psycopg.connect(plain(source)) as one, psycopg.connect(plain(empty)) as other:
            assert one.execute(question).fetchall() == other.execute(question).fetchall()


def test_a_restored_clinic_is_backed_up_and_restored_again(source, backup, empty, keys, tmp_path, postgres) -> None:
    restore_backup(backup, empty, keys, known=KNOWN, replace=False)
    make_backup(tmp_path / "second", empty, keys, policies=None, now=NOW)
    third = create_database(postgres, "restored_again")
    restore_backup(tmp_path / "second", third, keys, known=KNOWN, replace=False)
    assert all_rows(third) == all_rows(source)


def test_a_clinic_is_not_overwritten_unless_told(source, backup, keys) -> None:
    before = all_rows(source)
    with pytest.raises(BackupFailed, match="holds a clinic already"):
        restore_backup(backup, source, keys, known=KNOWN, replace=False)
    assert all_rows(source) == before


def test_told_so_it_is_overwritten(source, backup, keys, committed_app) -> None:
    with committed_app.app_context():
        make_patient(given_name="Later")
        db.session.commit()
        db.session.remove()
        db.engine.dispose()
    restore_backup(backup, source, keys, known=KNOWN, replace=True)
    with psycopg.connect(plain(source)) as connection:
        assert connection.execute("SELECT count(*) FROM patients").fetchone() == (5,)
        assert connection.execute("SELECT count(*) FROM pg_namespace WHERE nspname = 'before_restore'").fetchone() == (
            0,
        )


def test_a_clinic_in_use_is_not_overwritten_even_when_told(source, backup, keys) -> None:
    with psycopg.connect(plain(source)), pytest.raises(BackupFailed, match="stop web, worker and beat"):
        restore_backup(backup, source, keys, known=KNOWN, replace=True)


@pytest.mark.parametrize("share", [0.02, 0.5, 0.99])
def test_half_a_backup_changes_nothing(source, backup, keys, share, committed_app) -> None:
    with committed_app.app_context():
        db.engine.dispose()
    content = backup.read_bytes()
    backup.write_bytes(content[: int(len(content) * share)])
    before = all_rows(source)
    with pytest.raises(BadBackup):
        restore_backup(backup, source, keys, known=KNOWN, replace=True)
    assert all_rows(source) == before


def test_a_restore_that_fails_puts_back_what_was_there(source, backup, keys, monkeypatch, committed_app) -> None:
    with committed_app.app_context():
        db.engine.dispose()
    before = all_rows(source)
    monkeypatch.setattr(restoring, "differences", lambda *_: ["table patients: rows differ"])
    with pytest.raises(BackupFailed, match="rows differ"):
        restore_backup(backup, source, keys, known=KNOWN, replace=True)
    assert all_rows(source) == before


def test_a_restore_that_was_killed_leaves_the_clinic_to_come_back(source, backup, keys, committed_app) -> None:
    with committed_app.app_context():
        db.engine.dispose()
    before = all_rows(source)
    with psycopg.connect(plain(source), autocommit=True) as connection:
        restoring._set_aside(connection)  # and no more: the machine stopped
    with pytest.raises(BackupFailed, match="holds a clinic already"):
        restore_backup(backup, source, keys, known=KNOWN, replace=False)
    assert all_rows(source) == before


def test_two_restores_at_once_do_not_meet(source, backup, empty, keys) -> None:
    with psycopg.connect(plain(empty), autocommit=True) as first:
        restoring._finish_killed(first)
        with pytest.raises(BackupFailed, match="another restore"):
            restore_backup(backup, empty, keys, known=KNOWN, replace=False)


def test_the_comparison_sees_one_character(source, backup, empty, keys, monkeypatch) -> None:
    pour = restoring._pour

    def pour_and_change(*given: Any) -> None:
        pour(*given)
        with psycopg.connect(plain(empty)) as connection:
            connection.execute("UPDATE patients SET tz = tz || ' ' WHERE id = (SELECT min(id) FROM patients)")

    monkeypatch.setattr(restoring, "_pour", pour_and_change)
    with pytest.raises(BackupFailed, match="table patients: rows differ"):
        restore_backup(backup, empty, keys, known=KNOWN, replace=False)


def test_a_backup_of_a_newer_schema_is_refused(backup, empty, keys) -> None:
    with pytest.raises(BackupFailed, match="newer Daybreak"):
        restore_backup(backup, empty, keys, known={"0001"}, replace=False)


def test_other_keys_open_nothing(backup, empty) -> None:
    with pytest.raises(BadBackup, match="none of CLINIC_DATA_KEYS"):
        restore_backup(backup, empty, Keyring(["another"]), known=KNOWN, replace=False)


def test_an_empty_database_makes_no_backup(empty, keys, tmp_path) -> None:
    with pytest.raises(BackupFailed, match="holds no clinic"):
        make_backup(tmp_path / "b", empty, keys, policies=None, now=NOW)
    assert list(tmp_path.iterdir()) == []


def test_a_dump_that_fails_leaves_no_file(source, keys, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(making, "program", lambda _: ["sh", "-c", "echo part; echo 'disk is gone' >&2; exit 1", "-"])
    with pytest.raises(BackupFailed, match="disk is gone"):
        make_backup(tmp_path / "b", source, keys, policies=None, now=NOW)
    assert list(tmp_path.iterdir()) == []


def test_no_password_stands_on_a_command_line(source, keys, tmp_path, monkeypatch) -> None:
    seen: list[Any] = []
    popen = subprocess.Popen

    def note(command: Any, **more: Any) -> Any:
        seen.append(command)
        return popen(command, **more)

    monkeypatch.setattr(subprocess, "Popen", note)
    make_backup(tmp_path / "b", source, keys, policies=None, now=NOW)
    password = psycopg.conninfo.conninfo_to_dict(plain(source))["password"]
    assert seen
    assert str(password) not in str(seen)


def test_what_is_written_meanwhile_is_not_half_in_it(source, keys, tmp_path, monkeypatch, empty, committed_app) -> None:
    """Rows are counted and dumped in one snapshot."""
    dump = making._dump

    def write_then_dump(*given: Any) -> None:
        with committed_app.app_context():
            make_patient(given_name="Meanwhile")
            db.session.commit()
        dump(*given)

    monkeypatch.setattr(making, "_dump", write_then_dump)
    found = make_backup(tmp_path / "b", source, keys, policies=None, now=NOW)
    assert found.tables["patients"][0] == "5"
    assert restore_backup(tmp_path / "b", empty, keys, known=KNOWN, replace=False).contents.tables["patients"][0] == "5"


def test_policy_files_of_the_clinic_come_along(source, empty, keys, tmp_path) -> None:
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "own.yaml").write_text("id: own\n")
    make_backup(tmp_path / "b", source, keys, policies=tmp_path / "policies", now=NOW)
    assert restore_backup(tmp_path / "b", empty, keys, known=KNOWN, replace=False).policies == {"own.yaml": "id: own\n"}
