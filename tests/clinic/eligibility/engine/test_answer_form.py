"""Every answer, over all labelled histories and all policies: its keys, its words, and that each text is a sentence."""

import re
from collections import defaultdict
from typing import Any

import pytest

from clinic.eligibility.engine import IntakeRecord, assess, drugs, knowledge
from tests.data.histories.read import cases, record_of

CODE = re.compile(r"[a-z][a-z0-9_]*")
FIELD = re.compile(r"[a-z][a-z0-9_]*(\[\d+\])?(\.[a-z][a-z0-9_]*(\[\d+\])?)*")
# Drug names, abbreviations and units may begin a sentence as they are written.
SENTENCE = re.compile(r"[A-Za-z0-9+].*[.?]", re.DOTALL)
FILES = (
    "trial_adequacy",
    "safety_screens",
    "antidepressants",
    "instruments",
    "payer_policies",
    "trd",
    "ruleset",
    "episode",
)
# A sentence may begin with a medicine, which is written small.
NAMES = ("esketamine", *(word for drug in drugs.table().values() for word in (drug.name, drug.id)))
STATUS = {"met", "unmet", "unknown", "info"}
VERDICTS = {
    "trd": {"met", "not_met", "undetermined"},
    "pathway": {"likely_eligible", "not_yet", "needs_review", "contraindicated"},
}


THEMES: dict[str, list[dict[str, Any]]] = defaultdict(list)
for number, case in enumerate(cases()):
    THEMES[case["theme"]].append(case | {"number": number})


def answer_of(case: dict[str, Any]) -> dict[str, Any]:
    """Every history meets a few policies in turn, and every policy meets fifty histories."""
    chosen = {*knowledge.policy_ids()[case["number"] % 7 :: 7], *case["label"].get("policies", ())}
    using = {"ruleset": case.get("ruleset", "default"), "policies": sorted(chosen)}
    return assess(IntakeRecord.model_validate(record_of(case)), **using).to_json()


def assert_sentence(text: Any) -> None:
    assert isinstance(text, str)
    assert SENTENCE.fullmatch(text), text
    assert "XX" not in text, text
    assert "None" not in text, text
    assert "  " not in text, text
    assert text[0].isupper() or not text[0].isalpha() or text.startswith(NAMES), text
    letters = [each for each in text if each.isalpha()]
    assert sum(each.isupper() for each in letters) <= len(letters) / 2, text


def assert_code(code: Any) -> None:
    assert isinstance(code, str)
    assert CODE.fullmatch(code), code


def criteria(case: dict[str, Any], answer: dict[str, Any]) -> None:
    assert answer["trd"]["verdict"] in VERDICTS["trd"]
    for finding in answer["trd"]["findings"]:
        assert set(finding) - {"trials"} == {"code", "status", "text", "source"}
        assert_code(finding["code"])
        assert finding["status"] in STATUS
        assert_sentence(finding["text"])
        assert finding["source"].startswith(FILES), finding["source"]
        assert "XX" not in finding["source"]
        assert all(0 <= index < len(answer["trials"]) for index in finding.get("trials", []))


def the_finding_on_the_count_names_the_rows_that_count_or_may(case: dict[str, Any], answer: dict[str, Any]) -> None:
    (finding,) = (each for each in answer["trd"]["findings"] if each["code"] == "adequate_trials")
    matter = [row["index"] for row in answer["trials"] if row["verdict"] in ("adequate", "undetermined")]
    assert sorted(finding.get("trials", [])) == matter, case["id"]


def trials(case: dict[str, Any], answer: dict[str, Any]) -> None:
    assert [row["index"] for row in answer["trials"]] == list(range(len(answer["trials"])))
    for row in answer["trials"]:
        assert_code(row["verdict"])
        assert_code(row["detail"])
        for why in row["why"]:
            assert set(why) >= {"code", "text"}
            assert all(CODE.fullmatch(key) for key in why)
            assert_code(why["code"])
            assert_sentence(why["text"])
            if why.get("field"):
                assert FIELD.fullmatch(why["field"])
        for source in row["sources"]:
            assert set(source) <= {"source", "title", "verified", "confidence"}
            assert source["source"]
            assert source["verified"]
        would = row["would_count_if"]
        if would is not None:
            assert set(would) == {"changes", "text"}
            assert_sentence(would["text"])
            for change in would["changes"]:
                assert set(change) == {"field", "from", "to"}
                assert FIELD.fullmatch(change["field"])


def shortfalls_are_numbers_that_add_up(case: dict[str, Any], answer: dict[str, Any]) -> None:
    record = record_of(case)
    for row in answer["trials"]:
        for why in row["why"]:
            if why["code"] == "inadequate_dose" and "shortfall_mg" in why:
                dose = record["trials"][row["index"]]["dose_mg_per_day"]
                if isinstance(dose, int | float):
                    assert why["shortfall_mg"] == pytest.approx(why["minimum_mg"] - dose, abs=0.01)
            if why["code"] == "inadequate_duration" and "shortfall_weeks" in why:
                weeks = record["trials"][row["index"]]["weeks_at_dose"]
                needed = {"min_weeks_4": 4, "min_weeks_8": 8}.get(case.get("ruleset", ""), 6)
                if isinstance(weeks, int | float):
                    assert why["shortfall_weeks"] == pytest.approx(needed - weeks, abs=0.01)


def pathways(case: dict[str, Any], answer: dict[str, Any]) -> None:
    for pathway in answer["pathways"].values():
        assert pathway["verdict"] in VERDICTS["pathway"]
        assert pathway["findings"]
        for finding in pathway["findings"]:
            assert set(finding) >= {"code", "kind", "text", "source"}
            assert all(CODE.fullmatch(key) for key in finding)
            assert_code(finding["code"])
            assert_code(finding["kind"])
            assert_sentence(finding["text"])
            assert finding["source"].startswith(FILES), finding["source"]
            assert "XX" not in finding["source"]


def urgent_reasons(case: dict[str, Any], answer: dict[str, Any]) -> None:
    assert answer["urgent"]["flag"] is bool(
        [reason for reason in answer["urgent"]["reasons"] if reason["level"] == "urgent"]
    )
    for reason in answer["urgent"]["reasons"]:
        assert set(reason) == {"code", "level", "text"}
        assert_code(reason["code"])
        assert reason["level"] in {"urgent", "same_day", "lit"}
        assert_sentence(reason["text"])


def what_is_asked(case: dict[str, Any], answer: dict[str, Any]) -> None:
    fields = [ask["field"] for ask in answer["ask"]]
    assert len(set(fields)) == len(fields)
    for ask in answer["ask"]:
        assert set(ask) == {"field", "question", "because"}
        assert FIELD.fullmatch(ask["field"]), ask["field"]
        # A question on a trial begins with the name as the patient wrote it.
        of_trial = ask["field"].startswith("trials[")
        assert_sentence(ask["question"].partition(": ")[2] or ask["question"] if of_trial else ask["question"])
        assert ask["question"].endswith(("?", ".")), ask["question"]
        assert_sentence(ask["because"])


def next_steps(case: dict[str, Any], answer: dict[str, Any]) -> None:
    assert answer["next_steps"]
    for step in answer["next_steps"]:
        assert set(step) >= {"code", "text"}
        assert all(CODE.fullmatch(key) for key in step)
        assert_code(step["code"])
        assert_sentence(step["text"])


def policies(case: dict[str, Any], answer: dict[str, Any]) -> None:
    for policy in answer["policies"]:
        assert set(policy) >= {"id", "version", "verified_on", "verdict", "findings"}
        assert policy["verified_on"] is None
        assert policy["verdict"] in VERDICTS["trd"]
        statuses = [finding["status"] for finding in policy["findings"]]
        expected = "not_met" if "unmet" in statuses else "undetermined" if "unknown" in statuses else "met"
        assert policy["verdict"] == expected, policy["id"]
        for finding in policy["findings"]:
            assert set(finding) - {"trials"} == {"code", "status", "text", "source"}
            assert_code(finding["code"])
            assert finding["status"] in STATUS
            assert_sentence(finding["text"])
            assert finding["source"]
            assert "XX" not in finding["source"]


def staging_names_what_is_missing_or_adds_up(case: dict[str, Any], answer: dict[str, Any]) -> None:
    staging = answer["staging"]
    score = staging["maudsley"]
    assert "XX" not in str(staging)
    if score is None:
        assert staging.get("missing") or staging.get("not_applicable"), case["id"]
    else:
        assert set(score) == {"score", "band", "points"}
        assert set(score["points"]) == {"duration", "severity", "antidepressants", "augmentation", "ect"}
        assert score["score"] == sum(score["points"].values())
        assert score["band"] == ("mild" if score["score"] <= 6 else "moderate" if score["score"] <= 10 else "severe")


CHECKS = [
    criteria,
    the_finding_on_the_count_names_the_rows_that_count_or_may,
    trials,
    shortfalls_are_numbers_that_add_up,
    pathways,
    urgent_reasons,
    what_is_asked,
    next_steps,
    policies,
    staging_names_what_is_missing_or_adds_up,
]


@pytest.mark.parametrize("theme", THEMES)
def test_answers(theme):
    for case in THEMES[theme]:
        answer = answer_of(case)
        for check in CHECKS:
            check(case, answer)
