"""What the parts of a packet are made with: statements with their sources, holes, and how a stored fact is said. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from clinic.eligibility import packet_words as words
from clinic.eligibility.packet_parts import (
    Facts,
    Hole,
    Line,
    Source,
    Statement,
    TrialRow,
)

PRESCRIBER, NURSE, MANAGER = "prescriber", "nurse", "manager"


def treatment_of(policy: Mapping[str, Any]) -> str:
    """The pathway that a policy is about: tms, esketamine or iv_ketamine."""
    return words.PATHWAY_OF[policy["treatment"]]


SAFETY_OF = {
    "tms": (
        "metal_in_head",
        "cochlear_implant",
        "pacemaker_or_icd",
        "vns_or_dbs",
        "seizure_history",
        "stroke_or_brain_lesion",
    ),
    "esketamine": (
        "aneurysm_or_avm",
        "intracerebral_haemorrhage",
        "stroke_or_brain_lesion",
        "current_substance_use",
        "psychosis_history",
        "liver_impairment",
        "bp",
    ),
}
SAFETY_OF["iv_ketamine"] = SAFETY_OF["esketamine"]


def shown_value(path: str, value: Any) -> str:
    """A stored value as the evidence list shows it."""
    if value is None:
        return ""
    if value is True or value is False:
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return "; ".join(
            f"{name.replace('_', ' ')} {shown_value(name, each)}" for name, each in value.items() if each is not None
        )
    if isinstance(value, list | tuple):
        if path == "phq9":
            return f"{sum(each is not None for each in value)} of {len(value)} answers"  # the total is what is asked
        if len(value) == 2 and all(isinstance(each, int | float) for each in value):
            return words.span(value)
        return "; ".join(shown_value("", each) for each in value)
    return f"{value:g}" if isinstance(value, int | float) else str(value)


@dataclass
class Maker:
    """The statements and holes of one packet as they are found; the parts of the packet add to it in their order."""

    facts: Facts
    statements: list[Statement] = field(default_factory=list)
    holes: dict[str, Hole] = field(default_factory=dict)  # by key
    rows: tuple[TrialRow, ...] = ()
    said: dict[str, str] = field(default_factory=dict)  # what the letter repeats, by name: the statement's id

    def state(self, text: str, sources: Iterable[Source]) -> Statement:
        found = tuple(sources)
        private = any(words.is_private(source.path) for source in found)
        made = Statement(f"E{len(self.statements) + 1}", text, found, private)
        self.statements.append(made)
        return made

    def source(self, path: str, value: Any = None) -> Source:
        """A fact of the intake record."""
        shown = shown_value(path, self.at(path) if value is None else value)
        return Source(path, shown, self.facts.origin(path))

    def hole(self, key: str, text: str, because: str, filled_by: str, role: str, fields: Iterable[str] = ()) -> str:
        if key not in self.holes:
            number = f"H{len(self.holes) + 1}"
            self.holes[key] = Hole(number, key, text, because, filled_by, role, tuple(fields))
        return self.holes[key].id

    def at(self, path: str) -> Any:
        """The value at a dotted path of the record; None where nothing is known, also for the word `unknown`."""
        value: Any = self.facts.record
        for part in path.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        return None if value == "unknown" else value

    def line(self, label: str, text: str, *sources: Source, name: str = "") -> Line:
        made = self.state(f"{label}: {text}", sources)
        if name:
            self.said[name] = made.id
        return Line(label, text, made.id, is_private=made.is_private)

    def missing(self, path: str, what: str, filled_by: str, role: str, because: str = "The request states it.") -> str:
        return self.hole(path, what, because, filled_by, role, (path,))

    def as_of(self) -> date:
        as_of = self.facts.record.get("as_of")
        return date.fromisoformat(as_of) if as_of else self.facts.sent_on

    def asks(self, code: str) -> bool:
        findings = self.facts.evaluation["findings"]
        return any(each["code"].startswith(code) and each["status"] in ("unmet", "unknown") for each in findings)
