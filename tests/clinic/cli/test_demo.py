import pytest
from click.testing import CliRunner

from clinic.cli.demo import demo


@pytest.mark.parametrize("args", [("load", "--size", "small"), ("sign-ins",)])
def test_without_a_database_the_demo_says_so_in_one_line(monkeypatch, tmp_path, args):
    for name in ("CLINIC_DATABASE_URL", "CLINIC_REDIS_URL", "CLINIC_SECRET_KEYS", "CLINIC_DATA_KEYS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CLINIC_INSTANCE", str(tmp_path))
    result = CliRunner().invoke(demo, args)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.splitlines() == [result.stderr.strip()]
    assert result.stderr.startswith("CLINIC_DATABASE_URL is not set")
