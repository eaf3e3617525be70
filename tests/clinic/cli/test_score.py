import json

import pytest
from click.testing import CliRunner

from clinic.cli.score import score


def call(*args, text=""):
    return CliRunner().invoke(score, list(args), input=text)


def answer(document):
    result = call(text=json.dumps(document))
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def test_phq9():
    found = answer({"instrument": "phq9", "items": [1, 1, 1, 1, 1, 1, 1, 1, 2]})
    assert found == {"total": 10, "band": "moderate", "item9_positive": True}


def test_gad7():
    assert answer({"instrument": "gad7", "items": [2, 2, 2, 2, 2, 2, 3]}) == {"total": 15, "band": "severe"}


def test_audit_c():
    found = answer({"instrument": "audit_c", "items": [2, 1, 1], "sex": "male"})
    assert (found["total"], found["positive"]) == (4, True)


def test_cssrs():
    assert answer({"instrument": "cssrs", "answers": {"intent": True}}) == {"risk": "high"}


def test_maudsley():
    document = {
        "instrument": "maudsley",
        "duration_months": 18,
        "severity": "severe_without_psychosis",
        "failed_antidepressants": 3,
        "augmentation_used": True,
        "ect_used": False,
    }
    points = {"duration": 2, "severity": 4, "antidepressants": 2, "augmentation": 1, "ect": 0}
    assert answer(document) == {"score": 9, "band": "moderate", "points": points}


def test_maudsley_names_what_is_missing():
    found = answer({"instrument": "maudsley", "severity": "mild"})
    assert found["score"] is None
    assert found["missing"] == ["duration_months", "failed_antidepressants", "augmentation_used", "ect_used"]


@pytest.mark.parametrize(
    ("document", "path"),
    [
        ({}, "$.instrument"),
        ({"instrument": "phq10"}, "$.instrument"),
        ({"instrument": ["phq9"]}, "$.instrument"),
        ({"instrument": "phq9"}, "$.items"),
        ({"instrument": "phq9", "items": [0] * 8}, "$.items"),
        ({"instrument": "phq9", "items": [0] * 8 + [4]}, "$.items[8]"),
        ({"instrument": "phq9", "items": [0] * 9, "sum": 3}, "$.sum"),
        ({"instrument": "audit_c", "items": [0] * 3, "sex": "F"}, "$.sex"),
        ({"instrument": "cssrs", "answers": {"plan": "yes"}}, "$.answers.plan"),
        ({"instrument": "cssrs", "answers": {"plans": True}}, "$.answers.plans"),
        ({"instrument": "maudsley", "duration_months": "18"}, "$.duration_months"),
        ({"instrument": "maudsley", "severity": "bad"}, "$.severity"),
        ({"instrument": "maudsley", "failed_antidepressants": 2.5}, "$.failed_antidepressants"),
        ({"instrument": "maudsley", "ect_used": 1}, "$.ect_used"),
        ({"instrument": "madrs", "items": [1]}, "$.instrument"),
        ([], "$"),
    ],
)
def test_a_refusal_names_the_field(document, path):
    result = call(text=json.dumps(document))
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"{path}: ")


def test_lines_are_scored_in_order():
    lines = ['{"id": "a", "instrument": "gad7", "items": [0,0,0,0,0,0,0]}', '{"id": "b"}', "x"]
    result = call("--jsonl", text="\n".join(lines))
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert rows[0] == {"id": "a", "total": 0, "band": "minimal"}
    assert [row["id"] for row in rows[1:]] == ["b", None]
    assert all("error" in row for row in rows[1:])
    assert result.exit_code == 2
