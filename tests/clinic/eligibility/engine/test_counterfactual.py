import itertools

import pytest

from clinic.eligibility.engine import IntakeRecord, assess
from clinic.eligibility.engine.counterfactual import apply
from clinic.eligibility.engine.record import Trial


def test_two_more_weeks_and_a_running_trial_counts(run, make_trial):
    row = make_trial(dose_mg_per_day=50, weeks=4, weeks_at_dose=4, stopped_reason="ongoing")
    found = run(trials=[row]).would_count_if[0]
    assert found["text"] == "2 weeks more at 50 mg per day and this trial counts."


@pytest.mark.parametrize(
    "changes",
    [
        {"outcome": "response"},
        {"in_current_episode": False},
        {"purpose": "sleep"},
        {"stopped_reason": "side_effects", "weeks_at_dose": 2},
        {"drug": "Celebrex"},
        {"drug": "lithium"},
        {},
    ],
)
def test_what_no_open_fact_can_change_has_no_counterfactual(run, make_trial, changes):
    assert run(trials=[make_trial(**changes)]).would_count_if == (None,)


OPEN = {
    "dose_mg_per_day": [25, [25, 100], None],
    "weeks_at_dose": [2, [3, 9], None],
    "weeks": [10, 4, None],
    "adherence": ["good", "poor", None],
    "outcome": ["none", None],
    "steps": [None, [{"dose": 25, "weeks": 2}, {"dose": 37.5, "weeks": 3}], [{"dose": 50, "weeks": None}]],
    "stopped_on": [None, "2026-02-01"],
}


def test_applying_the_changes_turns_the_trial_and_no_fewer_do(make_record, make_trial):
    for values in itertools.product(*OPEN.values()):
        trial = make_trial(started_on="2026-01-01", **dict(zip(OPEN, values, strict=True)))
        (row,) = assess(IntakeRecord.model_validate(make_record(trials=[trial]))).to_json()["trials"]
        if row["verdict"] == "adequate":
            continue
        changes = {each["field"]: each["to"] for each in row["would_count_if"]["changes"]}
        assert turned(make_record, trial, changes), (trial, changes)
        for field in changes:
            fewer = {key: value for key, value in changes.items() if key != field}
            assert not turned(make_record, trial, fewer), (trial, field)


def test_weeks_with_many_decimals_are_rounded_up_so_that_they_suffice(make_record, make_trial):
    steps = [{"dose": 25, "weeks": 0.334}, {"dose": 50, "weeks": None}]
    trial = make_trial(dose_mg_per_day=None, weeks=2, weeks_at_dose=None, steps=steps)
    found = assess(IntakeRecord.model_validate(make_record(trials=[trial]))).would_count_if[0]
    changes = {each["field"]: each["to"] for each in found["changes"]}
    assert turned(make_record, trial, changes), changes


def turned(make_record, trial, changes):
    changed = apply(Trial.model_validate(trial), changes).model_dump(mode="json")
    result = assess(IntakeRecord.model_validate(make_record(trials=[changed])))
    return result.trials[0].verdict == "adequate"
