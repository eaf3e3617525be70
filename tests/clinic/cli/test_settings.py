from pathlib import Path

from click.testing import CliRunner

from clinic.cli.settings import as_markdown, settings


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
