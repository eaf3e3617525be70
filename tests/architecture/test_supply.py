"""What Daybreak is made of is known: licences, a bill of materials, and which advisories speak of it, without a network."""

import json
import zipfile
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from scripts import supply
from scripts.supply import Package
from tests.architecture.test_locks import pins

# What may run in a clinic: nobody who uses Daybreak owes anyone the source of their own work.
FREE = {
    "MIT",
    "MIT-0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "0BSD",
    "BSD-0-Clause",
    "Apache-2.0",
    "ISC",
    "PSF-2.0",
    "Unlicense",
    "Zlib",
}
FREE |= {"CC0-1.0", "OFL-1.1", "MPL-2.0", "LGPL-3.0-only", "LGPL-2.1-or-later", "Artistic-2.0"}
FLASK = Package("PyPI", "flask", "3.1.3", runs=True)
ESBUILD = Package("npm", "esbuild", "0.28.2", runs=True)


@pytest.fixture(scope="module")
def locked() -> list[Package]:
    return supply.packages()


def advisory(package: Package, *events: dict[str, str], **more: object) -> dict[str, object]:
    kind = "ECOSYSTEM" if package.ecosystem == "PyPI" else "SEMVER"
    affected = {"package": {"ecosystem": package.ecosystem, "name": package.name}}
    return {"id": "X-1", "affected": [{**affected, "ranges": [{"type": kind, "events": list(events)}]}], **more}


def test_the_page_of_licences_is_current(locked) -> None:
    assert supply.PAGE.read_text() == supply.licenses_page(locked), "run `make licenses`"


def test_what_runs_is_free_to_use(locked) -> None:
    stated = {each.name: set(each.license.replace(" OR ", " AND ").split(" AND ")) for each in locked if each.runs}
    assert {name: words - FREE for name, words in stated.items() if words - FREE} == {}


def test_every_locked_package_is_on_the_bill_with_its_version_and_hash(locked) -> None:
    bill = json.loads(supply.bill(locked))
    parts = {part["name"]: part for part in bill["components"]}
    for name, version in pins("requirements-dev.lock").items():
        assert parts[name.lower()]["version"] == version
    assert all(part["hashes"] and part["purl"] for part in bill["components"])
    assert len(bill["components"]) == len(locked)


def test_the_bill_keeps_the_schema_of_cyclonedx(locked) -> None:
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(supply.bill(locked)) is None


@pytest.mark.parametrize(
    ("package", "events", "speaks"),
    [
        (FLASK, [{"introduced": "0"}, {"fixed": "3.1.4"}], True),
        (FLASK, [{"introduced": "0"}, {"fixed": "3.1.3"}], False),
        (FLASK, [{"introduced": "3.1.4"}], False),
        (FLASK, [{"introduced": "3.1"}, {"last_affected": "3.1.3"}], True),
        (FLASK, [{"introduced": "0"}, {"last_affected": "3.1.3rc1"}], False),
        (FLASK, [{"introduced": "0"}, {"fixed": "2.0"}, {"introduced": "3.0"}], True),
        (ESBUILD, [{"introduced": "0"}, {"fixed": "0.28.10"}], True),
        (ESBUILD, [{"introduced": "0"}, {"fixed": "0.28.2-beta.1"}], False),
        (ESBUILD, [{"introduced": "0.28.2-0"}], True),
        (ESBUILD, [{"introduced": "0"}, {"fixed": "0.3.0"}], False),
    ],
)
def test_an_advisory_speaks_of_the_versions_that_it_names(package, events, speaks) -> None:
    assert bool(list(supply.affected([package], advisory(package, *events)))) is speaks


def test_an_advisory_that_was_withdrawn_speaks_of_nothing() -> None:
    withdrawn = advisory(FLASK, {"introduced": "0"}, withdrawn="2026-01-01T00:00:00Z")
    assert list(supply.affected([FLASK], withdrawn)) == []


def test_names_are_read_as_their_ecosystem_writes_them() -> None:
    other = Package("PyPI", "flask-login", "1", runs=True)
    found = advisory(Package("PyPI", "Flask_Login", "1", runs=True), {"introduced": "0"})
    assert [each.name for each, _ in supply.affected([other, FLASK], found)] == ["flask-login"]


@pytest.mark.parametrize("form", ["one.json", "many.json", "lines.jsonl", "all.zip", "folder"])
def test_advisories_are_read_in_every_form_they_are_given_out_in(tmp_path: Path, form, capsys) -> None:
    version = pins("requirements-dev.lock")["flask"]
    found = advisory(Package("PyPI", "flask", version, runs=True), {"introduced": "0"}, summary="a hole")
    path = tmp_path / form
    if form == "folder":
        path.mkdir()
        (path / "x.json").write_text(json.dumps(found))
    elif form == "all.zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("x.json", json.dumps(found))
    else:
        path.write_text(json.dumps([found]) if form == "many.json" else json.dumps(found))
    assert supply.main(["audit", str(path)]) == 1
    assert f"flask {version}" in capsys.readouterr().out
    assert supply.main(["audit", str(path), "--ignore", "X-1"]) == 0


@pytest.mark.parametrize("content", ["no json", "[1]", "{}"])
def test_a_file_without_advisories_is_not_taken_for_all_clear(tmp_path: Path, content) -> None:
    path = tmp_path / "x.json"
    path.write_text(content)
    assert supply.main(["audit", str(path)]) == 2
    assert supply.main(["audit", str(tmp_path / "missing.json")]) == 2
