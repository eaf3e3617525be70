"""A bare clone, a folder with spaces, Python and make: nothing else."""

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif(not (ROOT / ".git").exists(), reason="this is no clone"),
]


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    env = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("CLINIC_", "MAKE", "PYTEST", "VIRTUAL"))
    }
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fresh") / "a clone"
    assert run(ROOT, "git", "clone", "--quiet", str(ROOT), str(folder)).returncode == 0
    return folder


def test_set_up_works_once_and_then_has_nothing_to_do(clone):
    first = run(clone, "make", "setup")
    assert first.returncode == 0, first.stdout + first.stderr
    started = time.monotonic()
    second = run(clone, "make", "setup")
    assert (second.returncode, second.stdout, second.stderr) == (0, "", "")
    assert time.monotonic() - started < 3


def test_the_command_works_from_any_folder(clone, tmp_path):
    assert run(tmp_path, str(clone / ".venv" / "bin" / "clinic"), "settings").returncode == 0


def test_a_broken_package_is_one_line(clone):
    site = next((clone / ".venv" / "lib").glob("python3.*/site-packages"))
    shutil.rmtree(site / "click")
    broken = run(clone, ".venv/bin/clinic", "run")
    assert broken.returncode == 1
    assert broken.stderr == (
        "clinic: a package is broken (No module named 'click'): delete .venv and run `make setup`\n"
    )
