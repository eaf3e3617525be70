"""The labelled histories of this folder, each written out as the record that it stands for."""

from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parent
BASE: dict[str, Any] = yaml.safe_load((FOLDER / "base.yaml").read_text())


def cases() -> list[dict[str, Any]]:
    """Every case, file by file, with the theme that its file is named for."""
    return [
        case | {"theme": path.stem}
        for path in sorted(FOLDER.glob("*.yaml"))
        if path.name != "base.yaml"
        for case in yaml.safe_load(path.read_text())
    ]


def merged(base: Any, change: Any) -> Any:
    if isinstance(base, dict) and isinstance(change, dict):
        return base | {key: merged(base.get(key), value) for key, value in change.items()}
    return change


def record_of(case: dict[str, Any]) -> dict[str, Any]:
    """The whole record of a case: the base person, its changes, and each trial written out."""
    record = merged(BASE["record"], case.get("record", {}))
    trials = case["trials"]
    if trials is not None:
        trials = [
            BASE["trial"]
            | dict(zip(("drug", "dose_mg_per_day", "weeks_at_dose"), row[:3], strict=True))
            | (row[3] if len(row) > 3 else {})
            for row in trials
        ]
    return record | {"id": case["id"], "trials": trials}
