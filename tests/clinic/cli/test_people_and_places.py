"""`clinic user`, `clinic token`, `clinic location`: the answer on stdout, everything else on stderr."""

import json
from datetime import date
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import select

from clinic.cli.main import main
from clinic.db import db
from clinic.locations import queries as locations
from clinic.staff import queries as staff
from clinic.staff.models import StaffUser

PASSWORD = "a long pass phrase"
SITE = [
    "location", "add", "--slug", "north", "--name", "North", "--address", "1 Main Street", "--zip", "92831",
    "--tz", "America/Los_Angeles",
]  # fmt: skip
NURSE = ["user", "create", "--email", "Nora@example.org", "--name", "Nora", "--role", "nurse", "--password-stdin"]


@pytest.fixture
def clinic(app, database, monkeypatch) -> Any:
    """`clinic("token", "create", ...)` runs a command on the test's database."""
    monkeypatch.setattr("clinic.app.create_app", lambda: app)

    def run(*arguments: str, given: str = "") -> Result:
        return CliRunner().invoke(main, list(arguments), input=given)

    return run


def test_a_token_is_printed_alone_and_opens(clinic) -> None:
    result = clinic("token", "create", "--name", "billing", "--role", "service")
    assert (result.exit_code, result.stderr) == (0, "")
    bearer = result.stdout.strip()
    row = staff.active_token(bearer)
    assert row is not None
    assert (row.name, row.role) == ("billing", "service")
    assert bearer not in clinic("token", "list").stdout


def test_a_revoked_token_opens_nothing(clinic) -> None:
    bearer = clinic("token", "create", "--name", "billing", "--role", "service").stdout.strip()
    key = clinic("token", "list").stdout.split("\t")[0]
    assert clinic("token", "revoke", key).exit_code == 0
    assert staff.active_token(bearer) is None
    assert clinic("token", "revoke", key).exit_code == 2


def test_an_unknown_role_is_refused_on_stderr(clinic) -> None:
    result = clinic("token", "create", "--name", "billing", "--role", "king")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "roles are" in result.stderr


def test_a_staff_member_is_created_for_all_sites(clinic) -> None:
    clinic(*SITE)
    result = clinic(*NURSE, "--location", "all", given=PASSWORD + "\n")
    key = json.loads(result.stdout)["id"]
    assert db.session.get_one(StaffUser, key).email == "nora@example.org"
    assert db.session.get_one(StaffUser, key).has_all_sites


@pytest.mark.parametrize(
    ("more", "given", "says"),
    [
        ([], "short\n", "at least 12 characters"),
        (["--location", "nowhere"], PASSWORD, "no such location"),
        (["--role", "king"], PASSWORD, "roles are"),
        (["--skill", "magic"], PASSWORD, "skills are"),
        (["--email", "nobody"], PASSWORD, "no @"),
    ],
)
def test_a_wrong_account_is_refused(clinic, more, given, says) -> None:
    result = clinic(*NURSE, *more, given=given)
    assert (result.exit_code, result.stdout) == (2, "")
    assert says in result.stderr


def test_an_email_has_one_account(clinic) -> None:
    clinic(*NURSE, given=PASSWORD)
    assert clinic(*NURSE, given=PASSWORD).exit_code == 2


def test_without_a_terminal_the_password_comes_from_standard_input(clinic) -> None:
    result = clinic(*NURSE[:-1])
    assert result.exit_code == 2
    assert "--password-stdin" in result.stderr


def test_a_new_password_signs_out_everywhere_and_an_account_can_be_stopped(clinic) -> None:
    clinic(*NURSE, given=PASSWORD)
    user = db.session.scalars(select(StaffUser)).one()
    before = (user.password, user.fs_uniquifier)
    assert clinic("user", "password", user.email, "--password-stdin", given=PASSWORD + "!").exit_code == 0
    assert clinic("user", "second-step-off", "nora@example.org").exit_code == 0
    assert clinic("user", "stop", "nora@example.org").exit_code == 0
    assert clinic("user", "stop", "nobody@example.org").exit_code == 2
    db.session.expire_all()
    assert user.active is False
    assert user.password != before[0]
    assert user.fs_uniquifier != before[1]


def test_a_site_is_added_with_hours_devices_and_closures(clinic) -> None:
    result = clinic(
        *SITE, "--hours", "mon-fri 08:00-12:00", "--hours", "mon 13:00-18:00", "--device", "TMS A:tms:itbs_left",
        "--closures", "2026",
    )  # fmt: skip
    site = locations.get(json.loads(result.stdout)["id"])
    assert len(site.hours) == 6
    assert site.devices[0].protocols == ["itbs_left"]
    assert len(locations.closures(site.id, date(2026, 1, 1), date(2026, 12, 31))) == 13


@pytest.mark.parametrize(
    "more",
    [
        ["--hours", "weekdays 8-18"],
        ["--hours", "fri-mon 08:00-18:00"],
        ["--hours", "mon 18:00-08:00"],
        ["--device", "TMS A"],
        ["--device", "TMS A:tms:nothing"],
        ["--tz", "Moon/Sea"],
        ["--closures", "1"],
        ["--latitude", "200"],
    ],
)
def test_a_wrong_site_is_refused(clinic, more) -> None:
    result = clinic(*SITE, *more)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr


def test_without_a_database_the_command_says_what_to_do(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("CLINIC_INSTANCE", str(tmp_path))
    for name in ("DATABASE_URL", "REDIS_URL", "SECRET_KEYS", "DATA_KEYS"):
        monkeypatch.delenv(f"CLINIC_{name}", raising=False)
    result = CliRunner().invoke(main, ["token", "create", "--name", "x", "--role", "service"])
    assert result.exit_code == 1
    assert "make run" in result.stderr
