"""The clinical tables, each file read once."""

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from clinic.eligibility.engine import policy_file

FOLDER = Path(__file__).parent.parent / "knowledge"
TABLES = (
    "antidepressants",
    "drug_rules",
    "drug_words",
    "interactions",
    "other_medicines",
    "safety_screens",
    "treatment_options",
    "trial_adequacy",
)
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
def interactions() -> dict[str, Any]:
    return _table("interactions")


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


@dataclass(frozen=True)
class Refused:
    """A policy file that cannot be used: where it is, and each fault with what to do."""

    path: str
    problems: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.path}: {'; '.join(self.problems)}"


_own_policies: dict[str, dict[str, Any]] = {}


@cache
def _shipped_policy_ids() -> tuple[str, ...]:
    return tuple(sorted(path.stem for path in (FOLDER / "policies").glob("*.yaml")))


def policy_ids() -> tuple[str, ...]:
    """Every policy that can be checked, the clinic's own among them."""
    shipped = _shipped_policy_ids()
    return tuple(sorted((*shipped, *_own_policies))) if _own_policies else shipped


def use_folder(folder: Path) -> list[Refused]:
    """Let the policy files of a clinic's own folder stand beside ours, instead of those of an earlier call.

    A file that is broken, or takes an id of ours, is left out and answered with what to do; the others are used.
    """
    _own_policies.clear()
    refused = []
    if not folder.is_dir():
        return [Refused(str(folder), ("is no folder: make it, or name another",))]
    for path in sorted(folder.glob("*.yaml")):
        table, faults = _read_own(path)
        if faults:
            refused.append(Refused(str(path), tuple(faults)))
        else:
            _own_policies[path.stem] = table
    return refused


def _read_own(path: Path) -> tuple[dict[str, Any], list[str]]:
    if path.stem in _shipped_policy_ids():
        return {}, [f"{path.stem!r} is an id of a policy that comes with the program: rename file and id"]
    try:
        table = read_yaml(path)
    except (OSError, UnicodeDecodeError) as fault:
        return {}, [f"cannot be read: {fault}"]
    except (yaml.YAMLError, RecursionError, ValueError) as fault:
        return {}, [f"is not YAML: {' '.join(str(fault).split())}"]
    return table, policy_file.problems(table, stem=path.stem)


def policy(policy_id: str) -> dict[str, Any]:
    """One payer policy. Raises KeyError for an id that is not in the catalogue."""
    if policy_id in _own_policies:
        return _own_policies[policy_id]
    if policy_id not in _shipped_policy_ids():
        raise KeyError(policy_id)
    return _table(f"policies/{policy_id}")


@cache
def ruleset_table(ruleset_id: str) -> dict[str, Any]:
    """One rule set. Raises KeyError for an id that is not in the catalogue."""
    if ruleset_id not in ruleset_ids():
        raise KeyError(ruleset_id)
    return _table(f"rulesets/{ruleset_id}")


def content_hash(kind: str, entry_id: str) -> str:
    """SHA-256, in hex, of a rule set's or a policy's content, whatever the order of its keys and its comments.

    `kind` is `ruleset`, `policy` or `table`. Raises KeyError for another kind, or an id that is not in the catalogue.
    """
    if kind == "policy":
        content = policy(entry_id)
    elif kind == "ruleset":
        content = ruleset_table(entry_id)
    elif kind == "table" and entry_id in TABLES:
        content = _table(entry_id)
    else:
        raise KeyError(f"{kind} {entry_id}")
    plain = json.loads(json.dumps(content, default=str))
    return hashlib.sha256(json.dumps(plain, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def policies_index() -> list[dict[str, Any]]:
    """One row a policy, ours and the clinic's own, by id: what a list of policies shows."""
    return [_index_row(policy_id) for policy_id in policy_ids()]


def _index_row(policy_id: str) -> dict[str, Any]:
    table = policy(policy_id)
    payer = str(table["payer"])
    return {
        "id": policy_id,
        "name": payer,
        "version": str(table["version"]),
        "treatment": table["treatment"],
        "policy_number": table.get("policy_number"),
        "effective": None if table.get("effective_date") is None else str(table["effective_date"]),
        "payer_names": payer_names(policy_id),
        "confidence": table["confidence"],
        "verified": table["verified"],
        "currency": table.get("currency"),
        "sources": [{"id": name, **((table.get("sources") or {}).get(name) or {})} for name in table.get("src") or ()],
        "own": policy_id in _own_policies,
        "content_hash": content_hash("policy", policy_id),
    }


def payer_names(policy_id: str) -> list[str]:
    """The names under which a payer's policy is looked for, the id and the policy number not among them."""
    payer = str(policy(policy_id)["payer"])
    short = payer.split("(")[0]
    return list(dict.fromkeys(name.strip() for name in (payer, short, *short.split("/")) if name.strip()))


@cache
def _table(name: str) -> dict[str, Any]:
    found: dict[str, Any] = read_yaml(FOLDER / f"{name}.yaml")
    return found
