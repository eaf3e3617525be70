"""`clinic backup` and `clinic restore`, from one machine to an empty one."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest

from clinic import clock
from clinic.backup.making import plain
from clinic.db import db
from clinic.embedded.postgres import PostgresServer
from tests.builders import make_patient, make_staff
from tests.conftest import NOW

ROOT = Path(__file__).parents[3]


def clinic(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from clinic.cli.main import main; main()", *arguments]
    own = {name: value for name, value in os.environ.items() if not name.startswith("CLINIC_")}
    return subprocess.run(command, env=own | env, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture
def there(committed_app, settings) -> dict[str, str]:
    """The settings of a clinic with one patient."""
    with committed_app.app_context(), clock.frozen(NOW):
        make_staff("manager")
        make_patient(given_name="Ada")
        db.session.commit()
        db.engine.dispose()
        url = committed_app.config["SETTINGS"].database_url
    return {"CLINIC_DATABASE_URL": url, "CLINIC_DATA_KEYS": ",".join(settings.data_keys), "CLINIC_INSTANCE": "/nowhere"}


@pytest.fixture
def backup(there, tmp_path) -> Path:
    done = clinic("backup", str(tmp_path / "a clinic.backup"), **there)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["rows"] > 3
    return tmp_path / "a clinic.backup"


@pytest.mark.embedded
def test_an_empty_machine_becomes_the_clinic(backup, there, tmp_path, settings) -> None:
    secrets = tmp_path / "kept apart.env"
    secrets.write_text(f"CLINIC_SECRET_KEYS=x\nCLINIC_DATA_KEYS={settings.data_keys[0]}\n")
    instance = tmp_path / "new machine"
    done = clinic("restore", str(backup), "--secrets", str(secrets), CLINIC_INSTANCE=str(instance))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["compared"] is True
    with PostgresServer(instance / "postgres") as server, psycopg.connect(plain(server.url())) as connection:
        assert connection.execute("SELECT count(*) FROM patients").fetchone() == (1,)
    again = clinic("restore", str(backup), CLINIC_INSTANCE=str(instance))
    assert (again.returncode, again.stdout) == (1, "")
    assert "holds a clinic already" in again.stderr


def test_a_backup_says_what_is_in_it_without_a_database(backup, there, tmp_path) -> None:
    keys = {"CLINIC_DATA_KEYS": there["CLINIC_DATA_KEYS"], "CLINIC_INSTANCE": str(tmp_path / "none")}
    done = clinic("restore", "--check", str(backup), **keys)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["tables"]["patients"] == 1


@pytest.mark.parametrize(
    ("change", "code", "says"),
    [
        ({"CLINIC_DATA_KEYS": "some other key"}, 2, "none of CLINIC_DATA_KEYS opens this backup"),
        ({"CLINIC_DATA_KEYS": ""}, 1, "CLINIC_DATA_KEYS is not set"),
    ],
)
def test_without_the_keys_nothing_is_read(backup, there, change, code, says) -> None:
    done = clinic("restore", "--check", str(backup), **(there | change))
    assert (done.returncode, done.stdout) == (code, "")
    assert says in done.stderr


def test_a_file_is_not_written_over(backup, there) -> None:
    before = backup.read_bytes()
    done = clinic("backup", str(backup), **there)
    assert (done.returncode, done.stdout, backup.read_bytes()) == (2, "", before)
    assert "--force" in done.stderr


@pytest.mark.parametrize("target", ["no/such folder/x", "."])
def test_a_place_that_cannot_be_is_said(there, target) -> None:
    done: Any = clinic("backup", target, **there)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr


def test_a_database_that_does_not_answer_is_said(there, tmp_path) -> None:
    done = clinic(
        "backup", str(tmp_path / "b"), **(there | {"CLINIC_DATABASE_URL": "postgresql+psycopg://x@127.0.0.1:1/x"})
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "the database does not answer" in done.stderr
    assert list(tmp_path.iterdir()) == []
