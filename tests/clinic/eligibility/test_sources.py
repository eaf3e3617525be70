"""Sources as people read them: no key of a file is left, and every work has a name."""

import json
import re
from collections import Counter
from typing import Any

import pytest

from clinic.eligibility import rule_versions
from clinic.eligibility.engine import IntakeRecord, assess, knowledge, safety
from clinic.eligibility.engine.drugs import table
from clinic.eligibility.engine.trials import sources_for
from clinic.eligibility.sources import WORKS, Citation, cite, works
from tests.builders import eligible_record

KEY = re.compile(r"[a-z0-9]+[_.][a-z]")  # `tms_screen`, `antidepressants.sertraline`
RECORD = {
    "id": None,
    "mdq_positive": True,
    "audit_c": 9,
    "current_medicines": ["tramadol", "Xanax"],
    "phq9": [2] * 8 + [1],
}


def said(part: Any) -> list[Any]:
    """Every source in an answer."""
    if isinstance(part, list):
        return [one for each in part for one in said(each)]
    if not isinstance(part, dict):
        return []
    own = [part["source"]] if isinstance(part.get("source"), str) and "verified" not in part else []
    return [
        *own,
        *part.get("sources", ()),
        *(one for key, each in part.items() if key != "sources" for one in said(each)),
    ]


def test_no_key_of_a_file_is_shown_to_a_person() -> None:
    yes = {"safety": dict.fromkeys(safety.QUESTIONS, True) | {"liver_impairment": "severe", "bp": [150, 95]}}
    record = IntakeRecord.model_validate(eligible_record() | RECORD | yes)
    answer = json.loads(assess(record, policies=knowledge.policy_ids()).to_text())
    answer.pop("augmentations")  # no page says where the rule of an add-on comes from
    shown = [cite(each).text for each in said(answer)] + [
        cite(each).text for drug in table() for each in sources_for(drug)
    ]
    assert len(set(shown)) > 100
    assert [each for each in shown if KEY.search(each)] == []


@pytest.mark.parametrize("name", ["antidepressants", "interactions", "safety_screens", "adequacy"])
def test_every_work_of_the_tables_has_a_name(name: str) -> None:
    assert set(getattr(knowledge, name)()["sources"]) <= set(WORKS)


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        (
            "trial_adequacy.counting_rules.combination: recalled",
            Citation("Rules of counting: combination", "recalled", "trial_adequacy", "counting_rules.combination"),
        ),
        (
            "safety_screens.tms_screen.fainting: tass; recalled",
            Citation(
                "TMS screen: fainting", "TMS Adult Safety Screen; recalled", "safety_screens", "tms_screen.fainting"
            ),
        ),
        (
            "trial_adequacy.adherence: seen",
            Citation("Rules of counting: taken as prescribed", "seen", "trial_adequacy", "parameters"),
        ),
        ("instruments.mdq: recalled", Citation("Instrument: MDQ", "recalled", "instruments", "mdq")),
        ("CPB 0469, in force 2026-02-27", Citation("CPB 0469, in force 2026-02-27", "")),
        (
            {"source": "antidepressants.aripiprazole", "verified": "recalled", "confidence": "high"},
            Citation(
                "Table of medicines: aripiprazole",
                "recalled; high confidence",
                "antidepressants",
                "augmentation_agents.aripiprazole",
            ),
        ),
        ({"source": "stard", "title": "STAR*D", "verified": "seen"}, Citation("STAR*D", "seen")),
    ],
)
def test_a_source_is_named_by_rule_work_and_how_sure(source: Any, shown: Citation) -> None:
    assert cite(source) == shown


def test_a_work_without_a_key_stays_as_it_is() -> None:
    assert works("seen for consensus_2021, documents; others recalled") == (
        "seen for Expert consensus 2021, documents; others recalled"
    )


def test_no_two_entries_of_a_section_share_a_place() -> None:
    """Each entry of a section has an address of its own on the rules' page."""

    def ids(part: Any) -> list[str]:
        rows = part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
        own = [row["id"] for row in rows if isinstance(row, dict) and "id" in row] if isinstance(part, list) else []
        return own + [one for each in rows for one in ids(each)]

    tables = [entry for entry in rule_versions.catalogue() if entry.key in rule_versions.TABLES]
    twice = [
        (entry.key, section, one)
        for entry in tables
        for section, content in entry.content.items()
        for one, times in Counter(ids(content)).items()
        if times > 1
    ]
    assert twice == []
