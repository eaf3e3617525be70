import pytest
from pydantic import ValidationError

from clinic.eligibility.engine import IntakeRecord
from clinic.eligibility.engine.record import screen_question_ids


def where(document):
    with pytest.raises(ValidationError) as caught:
        IntakeRecord.model_validate(document)
    return [row["loc"] for row in caught.value.errors()]


@pytest.mark.parametrize(
    ("document", "path"),
    [
        ({"age": True}, ("age",)),
        ({"age": "40"}, ("age",)),
        ({"age": 40.5}, ("age",)),
        ({"age": 121}, ("age",)),
        ({"age": -1}, ("age",)),
        ({"nickname": "x"}, ("nickname",)),
        ({"sex": "F"}, ("sex",)),
        ({"phq9": [0] * 8}, ("phq9",)),
        ({"phq9": [0] * 8 + [4]}, ("phq9",)),
        ({"phq9": [True] * 9}, ("phq9",)),
        ({"audit_c": 13}, ("audit_c",)),
        ({"as_of": "2026-02-30"}, ("as_of",)),
        ({"as_of": "2026"}, ("as_of",)),
        ({"episode": {"diagnosis": "sad"}}, ("episode", "diagnosis")),
        ({"episode": {"onset_weeks_ago": -1}}, ("episode", "onset_weeks_ago")),
        ({"trials": {}}, ("trials",)),
        ({"trials": [{}, {"weeks": -1}]}, ("trials", 1, "weeks")),
        ({"trials": [{"weeks": float("nan")}]}, ("trials", 0, "weeks")),
        ({"trials": [{"weeks": float("inf")}]}, ("trials", 0, "weeks")),
        ({"trials": [{"weeks": True}]}, ("trials", 0, "weeks")),
        ({"trials": [{"weeks": [8, 4]}]}, ("trials", 0, "weeks")),
        ({"trials": [{"weeks": [4]}]}, ("trials", 0, "weeks")),
        ({"trials": [{"dose_mg_per_day": 0}]}, ("trials", 0, "dose_mg_per_day")),
        ({"trials": [{"dose_mg_per_day": "50"}]}, ("trials", 0, "dose_mg_per_day")),
        ({"trials": [{"steps": [{"dose": 50, "week": 3}]}]}, ("trials", 0, "steps", 0, "week")),
        ({"trials": [{"started_on": "05/2020"}]}, ("trials", 0, "started_on")),
        ({"trials": [{"drug": 5}]}, ("trials", 0, "drug")),
        ({"safety": {"metal_in_head": "no"}}, ("safety", "metal_in_head")),
        ({"safety": {"metal": True}}, ("safety", "metal")),
        ({"safety": {"bp": [80, 120]}}, ("safety", "bp")),
        ({"safety": {"bp": [120]}}, ("safety", "bp")),
        ({"safety": {"bp": [500, 80]}}, ("safety", "bp")),
        ({"safety": {"bp": [10**400, 80]}}, ("safety", "bp")),
        ({"safety": {"bp": [float("nan"), 80]}}, ("safety", "bp")),
        ({"trials": [{"weeks": 10**400}]}, ("trials", 0, "weeks")),
        ({"cssrs": {"plan": 1}}, ("cssrs", "plan")),
    ],
)
def test_a_fault_is_refused_where_it_is(document, path):
    assert where(document) == [path]


@pytest.mark.parametrize("document", [[], "x", None, 5])
def test_only_an_object_is_a_record(document):
    assert where(document) == [()]


def test_every_fault_is_named_at_once():
    assert where({"age": "x", "sex": "x", "extra": 1}) == [("age",), ("sex",), ("extra",)]


@pytest.mark.parametrize("value", ["2020", "2020-05", "2020-05-17", 2020])
def test_a_date_may_be_known_in_part(value):
    record = IntakeRecord.model_validate({"trials": [{"started_on": value}]})
    assert record.trials[0].started_on == str(value)


def test_every_question_of_the_safety_screens_can_be_answered():
    answers = dict.fromkeys(screen_question_ids(), False)
    record = IntakeRecord.model_validate({"safety": answers})
    assert record.to_json()["safety"] == answers


def test_null_and_left_out_are_the_same():
    nulls = {"age": None, "episode": None, "trials": None, "safety": {"bp": None}}
    assert IntakeRecord.model_validate(nulls).to_json() == {"safety": {}}


def test_missing_answers_of_the_phq9_may_be_null():
    assert IntakeRecord.model_validate({"phq9": [None] * 9}).phq9 == (None,) * 9
