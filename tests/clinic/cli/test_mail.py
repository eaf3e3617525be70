"""Mail that came back, by the mail server's pipe."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from clinic.cli import mail
from clinic.cli.application import application
from clinic.cli.main import main
from clinic.config import Settings
from clinic.reminders import signed
from clinic.reminders.signed import Use
from tests.builders import make_message, make_patient
from tests.clinic.reminders.test_hooks import BOUNCE, KEYS


@pytest.fixture(autouse=True)
def in_the_test(database: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def running(*, failed: int) -> Iterator[None]:
        yield

    monkeypatch.setattr(mail, "application", running)


def pipe(letter: str | bytes) -> Result:
    return CliRunner().invoke(main, ["mail", "bounce"], input=letter)


def test_a_bounce_is_written_down() -> None:
    row = make_message(make_patient(), channel="email", state="sent", sent_at=make_patient().created_at)
    done = pipe(BOUNCE.format(token=signed.sign(Use.RETURN, row.id, KEYS), action="failed", status="5.1.1"))
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "written down\n")
    assert row.receipt == "bounced"


@pytest.mark.parametrize("letter", ["", "Subject: hello\n\nyou", b"\xff\xfe\x00"])
def test_other_mail_is_left_alone_and_not_sent_back(letter: str | bytes) -> None:
    assert pipe(letter).exit_code == 0


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["mail", "bounce", str(tmp_path / "gone")])
    assert (done.exit_code, done.stdout) == (1, "")


def test_while_the_database_is_away_the_mail_server_comes_again(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mail, "application", application)
    monkeypatch.setenv("CLINIC_DATABASE_URL", "postgresql+psycopg://nobody@127.0.0.1:1/none")
    monkeypatch.setenv("CLINIC_SECRET_KEYS", settings.secret_keys[0])
    monkeypatch.setenv("CLINIC_DATA_KEYS", settings.data_keys[0])
    done = pipe(BOUNCE.format(token=signed.sign(Use.RETURN, 1, settings.secret_keys), action="failed", status="5.1.1"))
    assert (done.exit_code, done.stdout) == (75, "")
    assert "the database does not answer" in done.stderr
