import json
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def pins(name: str) -> dict[str, str]:
    return dict(re.findall(r"^([\w.\-]+)(?:\[[^\]]*\])?==(\S+)", (ROOT / name).read_text(), re.MULTILINE))


def test_what_runs_is_what_was_tested():
    running, tested = pins("requirements.lock"), pins("requirements-dev.lock")
    assert running
    assert {name: tested.get(name) for name in running} == running


def test_locks_hold_hashes_and_no_addresses():
    for name in ("requirements.lock", "requirements-dev.lock", "package-lock.json"):
        assert not re.search(r"https?://(?!github\.com/sponsors)", (ROOT / name).read_text())
    for name in ("requirements.lock", "requirements-dev.lock"):
        assert (ROOT / name).read_text().count("--hash=sha256:") >= len(pins(name))


def test_every_front_end_package_has_its_hash():
    packages = json.loads((ROOT / "package-lock.json").read_text())["packages"]
    assert [name for name, entry in packages.items() if name and "integrity" not in entry] == []
