"""The three treatments: what the screens and the history together say of each."""

from dataclasses import dataclass
from typing import Any

from clinic.eligibility.engine import safety
from clinic.eligibility.engine.criteria import Trd
from clinic.eligibility.engine.safety import Known, Pathway, PathwayFinding


@dataclass(frozen=True)
class PathwayResult:
    """One treatment: contraindicated, needs_review, not_yet or likely_eligible, with everything that bears on it."""

    verdict: str
    findings: tuple[PathwayFinding, ...]

    def to_json(self) -> dict[str, Any]:
        return {"verdict": self.verdict, "findings": [finding.to_json() for finding in self.findings]}


_TRD_FINDING = {
    "met": PathwayFinding("trd_met", "criterion", "The history meets the rule set.", "trd"),
    "not_met": PathwayFinding("trd_not_met", "criterion", "The history does not meet the rule set yet.", "trd"),
    "undetermined": PathwayFinding("trd_undetermined", "missing", "The history cannot be told yet.", "trd"),
}


def assess_pathway(name: Pathway, known: Known, history: Trd) -> PathwayResult:
    """Contraindicated over needs_review over not_yet over likely_eligible."""
    found = [*safety.findings(name, known), _TRD_FINDING[history.verdict]]
    kinds = {finding.kind for finding in found}
    if "contraindication" in kinds:
        verdict = "contraindicated"
    elif kinds & {"precaution", "co_occurring", "missing"}:
        verdict = "needs_review"
    else:
        verdict = "likely_eligible" if history.verdict == "met" else "not_yet"
    return PathwayResult(verdict, tuple(found))
