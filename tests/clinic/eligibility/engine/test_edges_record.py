"""The first value that is refused beside the last that is taken, and what the refusal says."""

from datetime import date

import pytest
from pydantic import ValidationError

from clinic.eligibility.engine import IntakeRecord
from clinic.eligibility.engine.record import Span, partial_date, tidy

WEEKS = "must be from 0 to 6240 weeks"
DOSE = "must be from 0 to 10000 mg per day"
DATE = "must be a date as YYYY, YYYY-MM or YYYY-MM-DD"


def refusal(document):
    with pytest.raises(ValidationError) as caught:
        IntakeRecord.model_validate(document)
    (row,) = caught.value.errors()
    assert row["type"] == "record"
    return row["msg"]


def trial(**fields):
    return {"trials": [fields]}


def scores(name, value):
    return {"scores": {name: value}}


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (trial(weeks=-1), WEEKS),
        (trial(weeks=6241), WEEKS),
        (trial(weeks=-0.1), WEEKS),
        (trial(weeks="6"), "must be a number of weeks or [low, high]"),
        (trial(weeks=True), "must be a number of weeks or [low, high]"),
        (trial(weeks=float("nan")), "must be a finite number"),
        (trial(weeks=[1, 2, 3]), "must be a number or [low, high]"),
        (trial(weeks=[1]), "must be a number or [low, high]"),
        (trial(weeks=[2, 1]), "must be [low, high] with low not above high"),
        (trial(weeks=[1, 6241]), WEEKS),
        (trial(dose_mg_per_day=0), "must be more than 0 mg per day"),
        (trial(dose_mg_per_day=0.0), "must be more than 0 mg per day"),
        (trial(dose_mg_per_day=10001), DOSE),
        (trial(dose_mg_per_day=[0, 5]), "must be more than 0 mg per day"),
        (trial(dose_mg_per_day="5"), "must be a number of mg per day or [low, high]"),
        (trial(steps=[{"dose": 10001}]), DOSE),
        (trial(steps=[{"dose": -1}]), DOSE),
        (trial(missed_doses_per_week=29), "must be from 0 to 28 doses a week"),
        (trial(missed_doses_per_week=-1), "must be from 0 to 28 doses a week"),
        (trial(improvement_percent=101), "must be from -100 to 100 percent"),
        (trial(improvement_percent=-101), "must be from -100 to 100 percent"),
        (trial(started_on="2026-13"), DATE),
        (trial(started_on="2026-02-30"), DATE),
        (trial(started_on="1899-12-31"), DATE),
        (trial(started_on="2200"), DATE),
        (trial(started_on=True), DATE),
        (trial(started_on=1.5), DATE),
        ({"as_of": "2026-11"}, "must be a date as YYYY-MM-DD"),
        ({"age": 121}, "must be from 0 to 120"),
        ({"age": -1}, "must be from 0 to 120"),
        ({"age": True}, "must be a whole number from 0 to 120"),
        ({"age": 1.5}, "must be a whole number from 0 to 120"),
        ({"audit_c": 13}, "must be from 0 to 12"),
        ({"episode": {"onset_weeks_ago": 6241}}, "must be from 0 to 6240"),
        ({"phq9": [0] * 10}, "must be nine answers, each 0 to 3 or null"),
        ({"phq9": 9}, "must be nine answers, each 0 to 3 or null"),
        ({"phq9": [0, 4, 0, 0, 0, 0, 0, 0, 0]}, "answer 2 must be a whole number from 0 to 3, or null"),
        ({"phq9": [-1, 0, 0, 0, 0, 0, 0, 0, 0]}, "answer 1 must be a whole number from 0 to 3, or null"),
        ({"safety": {"bp": 120}}, "must be [systolic, diastolic] in mmHg"),
        ({"safety": {"bp": [120, 80, 1]}}, "must be [systolic, diastolic] in mmHg"),
        ({"safety": {"bp": [39, None]}}, "systolic must be from 40 to 300 mmHg"),
        ({"safety": {"bp": [301, 80]}}, "systolic must be from 40 to 300 mmHg"),
        ({"safety": {"bp": [120, 19]}}, "diastolic must be from 20 to 200 mmHg"),
        ({"safety": {"bp": [None, 201]}}, "diastolic must be from 20 to 200 mmHg"),
        ({"safety": {"bp": ["120", 80]}}, "systolic must be a number in mmHg"),
        ({"safety": {"bp": [120, True]}}, "diastolic must be a number in mmHg"),
        ({"safety": {"bp": [80, 80]}}, "systolic must be above diastolic"),
        (scores("gad7", 22), "must be from 0 to 21"),
        (scores("pcptsd5", 6), "must be from 0 to 5"),
        (scores("isi", 29), "must be from 0 to 28"),
        (scores("dast10", 11), "must be from 0 to 10"),
        (scores("madrs", 61), "must be from 0 to 60"),
        (scores("hamd17", 53), "must be from 0 to 52"),
        (scores("bdi2", 64), "must be from 0 to 63"),
        (scores("qids_sr16", 28), "must be from 0 to 27"),
        (scores("zung", 19), "must be from 20 to 100"),
        ([], "must be an object"),
    ],
)
def test_what_a_refusal_says(document, message):
    assert refusal(document) == message


@pytest.mark.parametrize(
    ("fields", "held"),
    [
        ({"weeks": 0}, Span(0, 0)),
        ({"weeks": 6240}, Span(6240, 6240)),
        ({"weeks": 6240.0}, Span(6240, 6240)),
        ({"weeks": [3, 3]}, Span(3, 3)),
        ({"weeks": [0, 6240]}, Span(0, 6240)),
        ({"dose_mg_per_day": 1}, Span(1, 1)),
        ({"dose_mg_per_day": 0.5}, Span(0.5, 0.5)),
        ({"dose_mg_per_day": 10000}, Span(10000, 10000)),
        ({"dose_mg_per_day": [0.5, 10000]}, Span(0.5, 10000)),
        ({"missed_doses_per_week": 0}, Span(0, 0)),
        ({"missed_doses_per_week": 28}, Span(28, 28)),
        ({"improvement_percent": -100}, Span(-100, -100)),
        ({"improvement_percent": 100}, Span(100, 100)),
        ({"weeks": None}, None),
    ],
)
def test_the_last_values_that_are_taken(fields, held):
    ((name, _),) = fields.items()
    assert getattr(IntakeRecord.model_validate(trial(**fields)).trials[0], name) == held


@pytest.mark.parametrize("dose", [0, 10000, [0, 50]])
def test_a_step_may_be_a_gap(dose):
    record = IntakeRecord.model_validate(trial(steps=[{"dose": dose}]))
    assert record.trials[0].steps[0].dose.low in (0, 10000)


@pytest.mark.parametrize(
    "document",
    [
        {"age": 0},
        {"age": 120},
        {"audit_c": 0},
        {"audit_c": 12},
        {"phq9": [3] * 9},
        {"phq9": (0,) * 9},
        {"safety": {"bp": [40, 20]}},
        {"safety": {"bp": [300, 200]}},
        {"safety": {"bp": [81, 80]}},
        {"safety": {"bp": [None, None]}},
        {"safety": {"bp": [120.5, 80.5]}},
        {"episode": {"onset_weeks_ago": 6240}},
        trial(started_on="1900"),
        trial(started_on="2199-12-31"),
        scores("gad7", 21),
        scores("pcptsd5", 5),
        scores("isi", 28),
        scores("dast10", 10),
        scores("madrs", 60),
        scores("hamd17", 52),
        scores("bdi2", 63),
        scores("qids_sr16", 27),
        scores("zung", 20),
        scores("zung", 100),
    ],
)
def test_what_is_taken_at_the_border(document):
    assert IntakeRecord.model_validate(document)


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("2026", date(2026, 1, 1), date(2026, 12, 31)),
        ("2026-01", date(2026, 1, 1), date(2026, 1, 31)),
        ("2024-02", date(2024, 2, 1), date(2024, 2, 29)),
        ("2026-11", date(2026, 11, 1), date(2026, 11, 30)),
        ("2026-12", date(2026, 12, 1), date(2026, 12, 31)),
        ("2026-05-17", date(2026, 5, 17), date(2026, 5, 17)),
    ],
)
def test_the_days_that_a_date_can_mean(text, first, last):
    assert partial_date(text) == (first, last)


def test_a_date_object_is_read_as_its_day():
    assert IntakeRecord.model_validate(trial(started_on=date(2026, 5, 17))).trials[0].started_on == "2026-05-17"


def test_numbers_have_at_most_two_decimals():
    assert [tidy(each) for each in (6.0, 6.256, 6.254, 6.25)] == [6, 6.26, 6.25, 6.25]
    assert isinstance(tidy(6.0), int)
    assert Span(1.0, 1.001).to_json() == 1
    assert Span(1, 2.5).to_json() == [1, 2.5]
