from pathlib import Path

import pytest
from click.testing import CliRunner

from clinic.cli.settings import as_markdown, settings
from clinic.config import ensure_secrets


def test_the_page_about_settings_is_the_one_that_the_command_writes():
    page = Path(__file__).parents[3] / "docs" / "settings.md"
    assert page.read_text() == as_markdown(), "run: clinic settings --markdown > docs/settings.md"


def test_a_secret_is_never_printed(monkeypatch, tmp_path):
    monkeypatch.setenv("CLINIC_INSTANCE", str(tmp_path))
    monkeypatch.setenv("CLINIC_SECRET_KEYS", "hidden-1,hidden-2")
    result = CliRunner().invoke(settings)
    assert "CLINIC_SECRET_KEYS=(set, not shown)" in result.stdout
    assert "hidden" not in result.output


def test_each_wrong_setting_is_one_line_and_exit_2(monkeypatch, tmp_path):
    monkeypatch.setenv("CLINIC_INSTANCE", str(tmp_path))
    monkeypatch.setenv("CLINIC_PORT", "70000")
    monkeypatch.setenv("CLINIC_ENV", "staging")
    result = CliRunner().invoke(settings)
    assert (result.exit_code, result.stdout) == (2, "")
    assert [line.split(" ")[0] for line in result.stderr.splitlines()] == ["CLINIC_ENV", "CLINIC_PORT"]


@pytest.mark.parametrize("start", ["yesterday", "2026-11-23", "2026-11-23T10:00:00"])
def test_a_clock_start_without_an_instant_is_refused(monkeypatch, tmp_path, start):
    monkeypatch.setenv("CLINIC_INSTANCE", str(tmp_path))
    monkeypatch.setenv("CLINIC_CLOCK_START", start)
    result = CliRunner().invoke(settings)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("CLINIC_CLOCK_START is ")


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"CLINIC_SECRET_KEYS": "", "CLINIC_DATA_KEYS": ""}, "CLINIC_SECRET_KEYS"),
        ({"CLINIC_TRUSTED_PROXIES": ""}, "CLINIC_TRUSTED_PROXIES"),
        ({"CLINIC_PUBLIC_URL": "http://clinic.example.org"}, "CLINIC_PUBLIC_URL with https"),
        ({"CLINIC_PUBLIC_URL": ""}, "CLINIC_PUBLIC_URL with https"),
        ({"CLINIC_CLOCK_START": "2026-11-23T10:00:00-08:00"}, "test clock"),
        ({"CLINIC_CLOCK_OFFSET": "60"}, "test clock"),
    ],
)
def test_production_refuses_demo_secrets_no_proxies_and_the_test_clock(monkeypatch, tmp_path, changes, problem):
    ensure_secrets(tmp_path)
    given = {
        "CLINIC_ENV": "production",
        "CLINIC_INSTANCE": str(tmp_path),
        "CLINIC_SECRET_KEYS": "a-key-of-its-own",
        "CLINIC_DATA_KEYS": "another-key-of-its-own",
        "CLINIC_PUBLIC_URL": "https://clinic.example.org",
        "CLINIC_TRUSTED_PROXIES": "1",
    }
    for name, value in (given | changes).items():
        monkeypatch.setenv(name, value)
    result = CliRunner().invoke(settings)
    assert (result.exit_code, result.stdout) == (2, "")
    assert problem in result.stderr


def test_someone_on_call_who_cannot_be_reached_is_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("CLINIC_INSTANCE", str(tmp_path))
    monkeypatch.setenv("CLINIC_ON_CALL", "ana@example.org, +13105550100")
    assert CliRunner().invoke(settings).exit_code == 0
    monkeypatch.setenv("CLINIC_ON_CALL", "ana@example.org,Dr Lopez,310 555")
    result = CliRunner().invoke(settings)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("CLINIC_ON_CALL has Dr Lopez, 310 555")
