import os
from dataclasses import replace

import pytest
from click.testing import CliRunner

from clinic.cli.doctor import doctor, examine
from clinic.config import Settings


@pytest.fixture
def nothing_set(monkeypatch, tmp_path):
    for name in [name for name in os.environ if name.startswith("CLINIC_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("CLINIC_INSTANCE", str(tmp_path / "instance"))
    monkeypatch.setenv("CLINIC_PORT", "1")


def test_a_clinic_that_does_not_run_gets_advice_for_each_part(nothing_set):
    result = CliRunner().invoke(doctor)
    lines = {line.split()[1]: line for line in result.stdout.splitlines()}
    assert result.exit_code == 1
    for part in ("instance", "web", "database", "broker", "worker", "beat"):
        assert lines[part].startswith("wrong")
        assert "start the clinic" in lines[part]


def test_one_part_alone_answers_by_its_exit_code(nothing_set):
    assert CliRunner().invoke(doctor, ["--part", "settings"]).exit_code == 0
    assert CliRunner().invoke(doctor, ["--part", "worker"]).exit_code == 1
    assert CliRunner().invoke(doctor, ["--part", "kitchen"]).exit_code == 2


def test_it_tells_a_migrated_database_from_a_worker_that_never_started(settings, postgres, template_database):
    found = examine(replace(settings, database_url=postgres.url(template_database)))
    advice = {finding.part: finding.advice for finding in found}
    assert advice["database"] == advice["schema"] == advice["broker"] == ""
    assert "worker.log" in advice["worker"]


def test_production_without_a_provider_or_anyone_on_call_is_told_so(settings):
    production = Settings(env="production", public_url="https://clinic.example.org", trusted_proxies=1)
    advice = {finding.part: finding.advice for finding in examine(production)}
    assert "CLINIC_SMTP_URL" in advice["mail"]
    assert "CLINIC_ON_CALL" in advice["on call"]
