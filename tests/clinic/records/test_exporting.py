"""The whole clinic in formats that others read: every row, valid FHIR, no formulas, no keys."""

import csv
import hashlib
import importlib
import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from clinic import clock
from clinic.db import Base, db
from clinic.errors import Conflict
from clinic.records.exporting import LEFT_OUT, cell, export
from tests.architecture.rows import Rows
from tests.builders import TESTER, eligible_record, make_intake, make_location, make_patient, make_profile, make_staff
from tests.conftest import NOW


@pytest.fixture
def clinic(committed_app) -> Any:
    """A clinic with a row of nearly everything."""
    from clinic.patients import sites

    with committed_app.app_context(), clock.frozen(NOW):
        make_profile()
        site = make_location()
        make_staff("prescriber", locations=(site,), password="$argon2-of-someone")
        patient = make_patient(given_name="=HYPERLINK(1)", family_name="Ñandú", preferred_location_id=site.id)
        make_intake(patient, record=eligible_record())
        rows = Rows(patient, site)
        for model in sites.SUBJECTS.values():
            rows.id_of(model)
        db.session.commit()
        yield committed_app


@pytest.fixture
def folder(clinic, tmp_path) -> Path:
    export(tmp_path / "out", by=TESTER)
    return tmp_path / "out"


def read(folder: Path, table: str) -> list[dict[str, str]]:
    with (folder / "csv" / f"{table}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def lines(folder: Path) -> list[dict[str, Any]]:
    return [
        json.loads(line)
        for path in sorted((folder / "fhir").glob("*.ndjson"))
        for line in path.read_text().splitlines()
    ]


def test_every_row_of_every_table_is_there(clinic, folder) -> None:
    counts = {
        table.name: db.session.scalar(select(func.count()).select_from(table))
        for table in Base.metadata.sorted_tables
        if table.name not in LEFT_OUT
    }
    counts["audit_events"] -= 1  # that it was exported
    assert {name: len(read(folder, name)) for name in counts} == counts


def test_what_was_encrypted_can_be_read(folder) -> None:
    (patient,) = [row for row in read(folder, "patients") if row["family_name"] == "Ñandú"]
    assert patient["birth_date"] == "1980-05-17"
    assert json.loads(read(folder, "intakes")[0]["record"])["age"] == 43


def test_every_resource_is_valid_fhir(folder) -> None:
    """By the published schema, as the library has it (R4B differs from R4 in none of these kinds)."""
    kinds = set()
    for resource in lines(folder):
        kind = resource["resourceType"]
        model = getattr(importlib.import_module(f"fhir.resources.R4B.{kind.lower()}"), kind)
        model.model_validate(resource)
        kinds.add(kind)
    assert {"Patient", "Practitioner", "Location", "Appointment", "CarePlan", "QuestionnaireResponse", "Task"} <= kinds
    assert {"MedicationStatement", "DocumentReference", "Organization", "Device", "Communication"} <= kinds


def test_references_lead_somewhere(folder) -> None:
    found = lines(folder)
    known = {f"{one['resourceType']}/{one['id']}" for one in found}
    named = {part["reference"] for one in found for part in references(one)}
    assert named - known == set()


def references(value: Any) -> list[dict[str, str]]:
    if isinstance(value, dict):
        own = [value] if "reference" in value else []
        return own + [one for inner in value.values() for one in references(inner)]
    return [one for inner in value for one in references(inner)] if isinstance(value, list) else []


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "\n=1"])
def test_no_cell_is_a_formula(text) -> None:
    assert cell(text) == f"'{text}"


@pytest.mark.parametrize(
    ("value", "written"), [(None, ""), (-5, "-5"), (True, "true"), ("a-b", "a-b"), ({"a": [1]}, '{"a": [1]}')]
)
def test_other_cells_are_as_they_are(value, written) -> None:
    assert cell(value) == written


def test_no_name_becomes_a_formula(folder) -> None:
    assert "'=HYPERLINK(1)" in [row["given_name"] for row in read(folder, "patients")]


def test_what_signs_people_in_is_not_there(folder) -> None:
    everything = "".join(path.read_text(errors="replace") for path in folder.rglob("*") if path.is_file())
    assert "$argon2-of-someone" not in everything
    assert "fs_uniquifier" not in everything
    assert not any((folder / "csv" / f"{name}.csv").exists() for name in LEFT_OUT)
    assert {table.name for table in Base.metadata.sorted_tables if "token_hash" in table.c} <= LEFT_OUT


def test_the_manifest_counts_and_seals_every_file(folder) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    files = {
        str(path.relative_to(folder)): path
        for path in folder.rglob("*")
        if path.is_file() and path.name != "manifest.json"
    }
    assert manifest["sha256"] == {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()}
    assert manifest["rows"]["patients"] == len(read(folder, "patients"))


def test_files_lie_beside_and_only_the_owner_reads_them(folder) -> None:
    name = read(folder, "attachments")[0]["content"]
    assert (folder / name).exists()
    assert (folder.stat().st_mode & 0o777, (folder / name).stat().st_mode & 0o777) == (0o700, 0o600)


def test_a_folder_that_holds_something_is_left_alone(clinic, tmp_path) -> None:
    (tmp_path / "kept").write_text("x")
    with pytest.raises(Conflict, match="holds something already"):
        export(tmp_path, by=TESTER)
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
