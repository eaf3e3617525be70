"""The catalogue's entries that verdicts rest on, each frozen with its first use: the same version never changes."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import select, tuple_
from sqlalchemy.dialects.postgresql import insert

from clinic import clock
from clinic.db import db
from clinic.eligibility.engine import knowledge
from clinic.eligibility.models import RuleKind, RuleVersion
from clinic.errors import Conflict, NotFound

# Tables that every assessment reads, by kind. Rule sets and policies have folders of their own.
TABLES: dict[str, RuleKind] = {
    "antidepressants": RuleKind.DRUGS,
    "drug_words": RuleKind.DRUGS,
    "drug_rules": RuleKind.DRUGS,
    "other_medicines": RuleKind.DRUGS,
    "interactions": RuleKind.DRUGS,
    "safety_screens": RuleKind.SCREENS,
    "trial_adequacy": RuleKind.ADEQUACY,
    "treatment_options": RuleKind.OPTIONS,
}
UNVERSIONED = "1"  # a table that names no version of its own


class RulesChanged(Conflict):
    """An entry was changed after its first use without a new version. `details["entries"]` names each."""

    code = "rules_changed"


@dataclass(frozen=True)
class Entry:
    """One entry of the catalogue as it is on disk now."""

    kind: RuleKind
    key: str
    version: str
    content: Any
    content_hash: bytes

    @property
    def name(self) -> tuple[str, str, str]:
        """What an assessment keeps of it."""
        return str(self.kind), self.key, self.version


def entry_of(kind: RuleKind, key: str, content: Any) -> Entry:
    """An entry with its version and the hash of its content, whatever the order of its keys."""
    plain = json.loads(json.dumps(content, default=str))
    meta = plain.get("meta") or {}
    version = str(plain.get("version") or meta.get("version") or UNVERSIONED)
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"))
    return Entry(kind, key, version, plain, hashlib.sha256(text.encode()).digest())


@cache
def _tables() -> tuple[Entry, ...]:
    files = [(name, kind, knowledge.FOLDER / f"{name}.yaml") for name, kind in TABLES.items()]
    return tuple(entry_of(kind, name, knowledge.read_yaml(file)) for name, kind, file in files if file.exists())


_refused: list[str] = []  # files of the clinic's own folder that cannot be used


def use_policies_of(folder: Path, *, is_wanted: bool = False) -> None:
    """Let the clinic's own policy files stand beside ours; what cannot be used is kept for the pages and the doctor.

    `is_wanted`: somebody named this folder, so that its absence is a fault.
    """
    found = knowledge.use_folder(folder)
    _refused[:] = [str(each) for each in found] if is_wanted or folder.is_dir() else []


def refused_policies() -> list[str]:
    """The clinic's own policy files that were left out, each with what to do."""
    return list(_refused)


def ruleset(ruleset_id: str) -> Entry:
    """A rule set. Raises KeyError for one that is not in the catalogue."""
    return entry_of(RuleKind.RULESET, ruleset_id, knowledge.ruleset_table(ruleset_id))


def policy(policy_id: str) -> Entry:
    """A payer policy. Raises KeyError for one that is not in the catalogue."""
    return entry_of(RuleKind.POLICY, policy_id, knowledge.policy(policy_id))


def used_by(ruleset_id: str, policy_ids: Iterable[str]) -> list[Entry]:
    """Every entry that an assessment by these rules reads."""
    return [ruleset(ruleset_id), *(policy(each) for each in policy_ids), *_tables()]


def catalogue() -> list[Entry]:
    """Every entry on disk."""
    return [
        *(ruleset(each) for each in knowledge.ruleset_ids()),
        *(policy(each) for each in knowledge.policy_ids()),
        *_tables(),
    ]


def freeze_within_transaction(entries: Sequence[Entry]) -> None:
    """Keep what is used for the first time. Raises RulesChanged where a version that was used has other content now."""
    known = _known(entries)
    fresh = [entry for entry in entries if entry.name not in known]
    if fresh:
        now = clock.now()
        rows = [
            {
                "kind": entry.kind,
                "key": entry.key,
                "version": entry.version,
                "content_hash": entry.content_hash,
                "content": entry.content,
                "first_used_at": now,
            }
            for entry in fresh
        ]
        written = insert(RuleVersion).values(rows).on_conflict_do_nothing().returning(RuleVersion.id)
        if len(db.session.scalars(written).all()) < len(fresh):
            known = _known(entries)  # someone else used one for the first time at the same moment
    _refuse_changed(entries, known)


def _known(entries: Sequence[Entry]) -> dict[tuple[str, str, str], bytes]:
    statement = select(RuleVersion.kind, RuleVersion.key, RuleVersion.version, RuleVersion.content_hash).where(
        tuple_(RuleVersion.kind, RuleVersion.key, RuleVersion.version).in_([entry.name for entry in entries])
    )
    return {(kind, key, version): content_hash for kind, key, version, content_hash in db.session.execute(statement)}


def _refuse_changed(entries: Sequence[Entry], known: dict[tuple[str, str, str], bytes]) -> None:
    wrong = _differing(entries, known)
    if wrong:
        raise RulesChanged(f"{advice(wrong)} No history is assessed until then.", entries=wrong)


def _differing(entries: Sequence[Entry], known: dict[tuple[str, str, str], bytes]) -> list[str]:
    return [
        f"{entry.kind} {entry.key} version {entry.version}"
        for entry in entries
        if known.get(entry.name, entry.content_hash) != entry.content_hash
    ]


def changed() -> list[str]:
    """Entries on disk that differ from what the same version said when it was used. Empty: all is well."""
    entries = catalogue()
    return _differing(entries, _known(entries))


def advice(entries: Sequence[str]) -> str:
    """What an operator does about changed entries."""
    words = "was changed after it was used" if len(entries) == 1 else "were changed after they were used"
    return f"{', '.join(entries)} {words}: give the file a new version, or put its old content back."


def used(kind: str, key: str, version: str) -> RuleVersion:
    """An entry as it was when it was used. Raises NotFound."""
    found = db.session.scalar(
        select(RuleVersion).where(RuleVersion.kind == kind, RuleVersion.key == key, RuleVersion.version == version)
    )
    if found is None:
        raise NotFound("no assessment used this version")
    return found


def is_on_disk(row: RuleVersion) -> bool:
    """Whether the catalogue still holds this version with this content."""
    return any(entry.name == (row.kind, row.key, row.version) for entry in catalogue())
