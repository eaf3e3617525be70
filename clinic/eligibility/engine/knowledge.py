"""The clinical tables, each file read once."""

from functools import cache
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parent.parent / "knowledge"
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_yaml(path: Path) -> Any:
    """The value in a YAML file, by the fast loader where the C library is built in."""
    with path.open("rb") as stream:
        return yaml.load(stream, Loader=_LOADER)  # noqa: S506  both loaders are safe ones


@cache
def antidepressants() -> dict[str, Any]:
    return _table("antidepressants")


@cache
def drug_words() -> dict[str, Any]:
    return _table("drug_words")


@cache
def other_medicines() -> dict[str, Any]:
    return _table("other_medicines")


@cache
def drug_rules() -> dict[str, Any]:
    return _table("drug_rules")


@cache
def adequacy() -> dict[str, Any]:
    return _table("trial_adequacy")


@cache
def safety_screens() -> dict[str, Any]:
    return _table("safety_screens")


@cache
def treatment_options() -> dict[str, Any]:
    return _table("treatment_options")


@cache
def policy_notes() -> dict[str, Any]:
    return _table("policy_notes")


@cache
def ruleset_ids() -> tuple[str, ...]:
    return tuple(sorted(path.stem for path in (FOLDER / "rulesets").glob("*.yaml")))


@cache
def policy_ids() -> tuple[str, ...]:
    return tuple(sorted(path.stem for path in (FOLDER / "policies").glob("*.yaml")))


@cache
def policy(policy_id: str) -> dict[str, Any]:
    """One payer policy. Raises KeyError for an id that is not in the catalogue."""
    if policy_id not in policy_ids():
        raise KeyError(policy_id)
    return _table(f"policies/{policy_id}")


@cache
def ruleset_table(ruleset_id: str) -> dict[str, Any]:
    """One rule set. Raises KeyError for an id that is not in the catalogue."""
    if ruleset_id not in ruleset_ids():
        raise KeyError(ruleset_id)
    return _table(f"rulesets/{ruleset_id}")


def _table(name: str) -> dict[str, Any]:
    found: dict[str, Any] = read_yaml(FOLDER / f"{name}.yaml")
    return found
