"""What each change of a fact says: the field, the value from and to, its words, and whether it is of the past."""

import pytest

from clinic.eligibility.engine import IntakeRecord, counterfactual
from clinic.eligibility.engine.rules import ruleset
from clinic.eligibility.engine.trials import Setting, read, weigh

PAST = "Counts if a pharmacy or chart record shows that "
OPEN = "Counts if "


def found(run, trial, **record):
    return run(trials=[trial], **record).to_json()["trials"][0]["would_count_if"]


def change(field, before, after):
    return {"field": field, "from": before, "to": after}


STEPS = {"dose_mg_per_day": None, "weeks": None, "weeks_at_dose": None}


@pytest.mark.parametrize(
    ("changes", "expected", "text"),
    [
        (
            {"dose_mg_per_day": 25},
            [change("dose_mg_per_day", 25, 50)],
            PAST + "the dose was 50 mg per day.",
        ),
        (
            {"dose_mg_per_day": None},
            [change("dose_mg_per_day", None, 50)],
            OPEN + "the dose was 50 mg per day.",
        ),
        (
            {"dose_mg_per_day": [25, 50]},
            [change("dose_mg_per_day", [25, 50], 50)],
            OPEN + "the dose was 50 mg per day.",
        ),
        (
            {"dose_mg_per_day": [25, 49]},
            [change("dose_mg_per_day", [25, 49], 50)],
            PAST + "the dose was 50 mg per day.",
        ),
        (
            {"drug": "Emsam", "dose_mg_per_day": 3},
            [change("dose_mg_per_day", 3, 6)],
            PAST + "the dose was 6 mg per 24 h.",
        ),
        (
            {"weeks_at_dose": 4},
            [change("weeks_at_dose", 4, 6)],
            PAST + "it was held for 6 weeks.",
        ),
        (
            {"weeks_at_dose": [4, 6]},
            [change("weeks_at_dose", [4, 6], 6)],
            OPEN + "it was held for 6 weeks.",
        ),
        (
            {"weeks_at_dose": None},
            [change("weeks_at_dose", None, 6)],
            OPEN + "it was held for 6 weeks.",
        ),
        (
            {"weeks": 4, "weeks_at_dose": 4},
            [change("weeks_at_dose", 4, 6), change("weeks", 4, 6)],
            PAST + "it was held for 6 weeks.",
        ),
        (
            {"dose_mg_per_day": 25, "weeks_at_dose": 4},
            [change("dose_mg_per_day", 25, 50), change("weeks_at_dose", 4, 6)],
            PAST + "the dose was 50 mg per day and it was held for 6 weeks.",
        ),
        (
            {"dose_mg_per_day": 25, "weeks_at_dose": 4, "adherence": None},
            [
                change("dose_mg_per_day", 25, 50),
                change("weeks_at_dose", 4, 6),
                change("adherence", None, "good"),
            ],
            PAST + "the dose was 50 mg per day, it was held for 6 weeks and it was taken as prescribed.",
        ),
        # What was taken as prescribed
        ({"adherence": "unknown"}, [change("adherence", "unknown", "good")], OPEN + "it was taken as prescribed."),
        ({"adherence": "poor"}, [change("adherence", "poor", "good")], PAST + "it was taken as prescribed."),
        ({"adherence": "partial"}, [change("adherence", "partial", "good")], PAST + "it was taken as prescribed."),
        (
            {"adherence": None, "missed_doses_per_week": 2},
            [change("missed_doses_per_week", 2, 0)],
            PAST + "no doses were missed.",
        ),
        (
            {"adherence": "good", "missed_doses_per_week": 3},
            [change("missed_doses_per_week", 3, 0)],
            PAST + "no doses were missed.",
        ),
        (
            {"adherence": None, "missed_doses_per_week": [1, 2]},
            [change("missed_doses_per_week", [1, 2], 1)],
            OPEN + "no more than 1 dose a week was missed.",
        ),
        (
            {"adherence": None, "missed_doses_per_week": [1.4, 2]},
            [change("missed_doses_per_week", [1.4, 2], 1.4)],
            OPEN + "no more than 1.4 doses a week were missed.",
        ),
        (
            {"adherence": None, "missed_doses_per_week": [1.41, 2]},
            [change("missed_doses_per_week", [1.41, 2], 0)],
            PAST + "no doses were missed.",
        ),
        (
            {"adherence": "poor", "missed_doses_per_week": 1},
            [change("adherence", "poor", "good")],
            PAST + "it was taken as prescribed.",
        ),
        (
            {"adherence": "poor", "missed_doses_per_week": 4},
            [change("missed_doses_per_week", 4, 0), change("adherence", "poor", "good")],
            PAST + "no doses were missed and it was taken as prescribed.",
        ),
        # What it did
        ({"outcome": None}, [change("outcome", None, "none")], OPEN + "it did not help enough."),
        ({"outcome": "unknown"}, [change("outcome", "unknown", "none")], OPEN + "it did not help enough."),
        (
            {"outcome": "unknown", "improvement_percent": [40, 60]},
            [change("improvement_percent", [40, 60], 40)],
            OPEN + "it helped by 40 percent or less.",
        ),
        (
            {"outcome": "none", "improvement_percent": 60},
            [change("improvement_percent", 60, 0)],
            OPEN + "it helped by 0 percent or less.",
        ),
        (
            {"outcome": "partial", "improvement_percent": 50},
            [change("improvement_percent", 50, 0)],
            OPEN + "it helped by 0 percent or less.",
        ),
        (
            {"outcome": "remission", "improvement_percent": 49},
            [change("outcome", "remission", "none")],
            OPEN + "it did not help enough.",
        ),
        # The rest that is open
        (
            {"in_current_episode": None},
            [change("in_current_episode", None, True)],
            OPEN + "it was in the current episode.",
        ),
        (
            {"weeks_well_after": 8},
            [change("weeks_well_after", 8, 0)],
            OPEN + "there was no time well after it.",
        ),
        (
            {"weeks_well_after": [6, 9]},
            [change("weeks_well_after", [6, 9], 0)],
            OPEN + "there was no time well after it.",
        ),
        ({"purpose": None}, [change("purpose", None, "depression")], OPEN + "it was taken for depression."),
        ({"role": None}, [change("role", None, "alone")], OPEN + "it was taken alone."),
        (
            {"adherence": None, "outcome": None, "role": None},
            [
                change("adherence", None, "good"),
                change("outcome", None, "none"),
                change("role", None, "alone"),
            ],
            OPEN + "it was taken as prescribed, it did not help enough and it was taken alone.",
        ),
        # Steps
        (
            {**STEPS, "steps": [{"dose": 25, "weeks": 2}, {"dose": 50, "weeks": 4}]},
            [
                change(
                    "steps",
                    [{"dose": 25, "weeks": 2}, {"dose": 50, "weeks": 4}],
                    [{"dose": 25, "weeks": 2}, {"dose": 50, "weeks": 6}],
                )
            ],
            PAST + "at least 50 mg per day was held for 6 weeks.",
        ),
        (
            {**STEPS, "steps": [{"dose": 37.5, "weeks": 8}, {"dose": 25, "weeks": 9}]},
            [
                change(
                    "steps",
                    [{"dose": 37.5, "weeks": 8}, {"dose": 25, "weeks": 9}],
                    [{"dose": 50, "weeks": 8}, {"dose": 25, "weeks": 9}],
                )
            ],
            PAST + "at least 50 mg per day was held for 6 weeks.",
        ),
        (
            {**STEPS, "steps": [{"dose": 100, "weeks": [3, 9]}]},
            [change("steps", [{"dose": 100, "weeks": [3, 9]}], [{"dose": 100, "weeks": 6}])],
            OPEN + "at least 50 mg per day was held for 6 weeks.",
        ),
        (
            {**STEPS, "steps": [{"dose": None, "weeks": None}]},
            [change("steps", [{"dose": None, "weeks": None}], [{"dose": 50, "weeks": 6}])],
            OPEN + "at least 50 mg per day was held for 6 weeks.",
        ),
        (
            {**STEPS, "steps": [{"dose": 25, "weeks": 6.5}]},
            [change("steps", [{"dose": 25, "weeks": 6.5}], [{"dose": 50, "weeks": 6.5}])],
            PAST + "at least 50 mg per day was held for 6 weeks.",
        ),
        (
            {**STEPS, "steps": [{"dose": 25, "weeks": 3}, {"dose": 25, "weeks": 3}]},
            [
                change(
                    "steps",
                    [{"dose": 25, "weeks": 3}, {"dose": 25, "weeks": 3}],
                    [{"dose": 25, "weeks": 3}, {"dose": 50, "weeks": 6}],
                )
            ],
            PAST + "at least 50 mg per day was held for 6 weeks.",
        ),
        (
            {**STEPS, "steps": [{"dose": 25, "weeks": [6, 9]}]},
            [change("steps", [{"dose": 25, "weeks": [6, 9]}], [{"dose": 50, "weeks": [6, 9]}])],
            PAST + "at least 50 mg per day was held for 6 weeks.",
        ),
        (
            {**STEPS, "steps": [{"dose": None, "weeks": 8}, {"dose": 25, "weeks": 3}]},
            [
                change(
                    "steps",
                    [{"dose": None, "weeks": 8}, {"dose": 25, "weeks": 3}],
                    [{"dose": None, "weeks": 8}, {"dose": 50, "weeks": 6}],
                )
            ],
            PAST + "at least 50 mg per day was held for 6 weeks.",
        ),
        # The last day stands in the way: six weeks after 2026-01-01, a day for the rounding
        (
            {"weeks": None, "weeks_at_dose": 4, "started_on": "2026-01-01", "stopped_on": "2026-01-29"},
            [change("weeks_at_dose", 4, 6), change("stopped_on", "2026-01-29", "2026-02-12")],
            PAST + "it was held for 6 weeks and it was taken until 2026-02-12.",
        ),
        # A running trial
        (
            {"weeks": None, "weeks_at_dose": 4, "stopped_reason": "ongoing"},
            [change("weeks_at_dose", 4, 6)],
            "2 weeks more at 100 mg per day and this trial counts.",
        ),
        (
            {"weeks": 5, "weeks_at_dose": 5, "stopped_reason": "ongoing", "dose_mg_per_day": [50, 100]},
            [change("weeks_at_dose", 5, 6), change("weeks", 5, 6)],
            "1 week more and this trial counts.",
        ),
        (
            {"weeks": None, "weeks_at_dose": [4, 5], "stopped_reason": "ongoing"},
            [change("weeks_at_dose", [4, 5], 6)],
            "Counts once at least 50 mg per day has been held for 6 weeks.",
        ),
        (
            {"weeks": None, "weeks_at_dose": 4, "dose_mg_per_day": 25, "stopped_reason": "ongoing"},
            [change("dose_mg_per_day", 25, 50), change("weeks_at_dose", 4, 6)],
            "Counts once at least 50 mg per day has been held for 6 weeks.",
        ),
        (
            {"weeks": None, "weeks_at_dose": 4, "adherence": None, "stopped_reason": "ongoing"},
            [change("weeks_at_dose", 4, 6), change("adherence", None, "good")],
            OPEN + "it was held for 6 weeks and it was taken as prescribed.",
        ),
        (
            {**STEPS, "steps": [{"dose": 50, "weeks": 4}], "stopped_reason": "ongoing"},
            [change("steps", [{"dose": 50, "weeks": 4}], [{"dose": 50, "weeks": 6}])],
            "Counts once at least 50 mg per day has been held for 6 weeks.",
        ),
        (
            {"adherence": "poor", "stopped_reason": "ongoing"},
            [change("adherence", "poor", "good")],
            OPEN + "it was taken as prescribed.",
        ),
        # A near name
        (
            {"drug": "Celebrex"},
            [change("drug", "Celebrex", "Celexa")],
            OPEN + "the medicine was Celexa (citalopram).",
        ),
        (
            {"drug": "Celebrex", "adherence": None, "role": None},
            [
                change("drug", "Celebrex", "Celexa"),
                change("adherence", None, "good"),
                change("role", None, "alone"),
            ],
            OPEN + "the medicine was Celexa (citalopram), it was taken as prescribed and it was taken alone.",
        ),
    ],
)
def test_the_changes_and_their_words(run, make_trial, changes, expected, text):
    shown = found(run, make_trial(**changes))
    assert shown["changes"] == expected
    assert shown["text"] == text


@pytest.mark.parametrize(
    "changes",
    [
        {"adherence": None, "outcome": None, "role": None, "purpose": None},
        {"drug": "Celebrex", "adherence": None, "outcome": None, "role": None},
        {"dose_mg_per_day": 25, "weeks_at_dose": 4, "adherence": None, "role": None},
        {"role": "add_on"},
        {"dose_mg_per_day": 25, "contraindicated": "QT"},
        {"adherence": "poor", "documentation": "chart"},
        {"weeks_at_dose": 4, "documentation": "pharmacy"},
    ],
)
def test_more_than_three_facts_or_what_stands_is_no_small_change(run, make_trial, changes):
    row = run(trials=[make_trial(**changes)]).to_json()["trials"][0]
    assert row["would_count_if"] is None


def test_a_dose_beside_steps_that_contradict_it_is_the_one_fact(run, make_trial):
    row = make_trial(**STEPS | {"dose_mg_per_day": 25, "steps": [{"dose": 100, "weeks": 8}]})
    assert found(run, row)["changes"] == [change("dose_mg_per_day", 25, 50)]


def test_the_step_that_is_raised_is_one_whose_dose_is_known(run, make_trial):
    steps = [{"dose": None, "weeks": 8}, {"dose": [0, 0.5], "weeks": 8}]
    (raised,) = found(run, make_trial(**STEPS | {"steps": steps}))["changes"]
    assert raised["to"] == [steps[0], {"dose": 50, "weeks": 8}]


def test_three_facts_are_still_told(run, make_trial):
    shown = found(run, make_trial(adherence=None, outcome=None, role=None))
    assert len(shown["changes"]) == 3


def test_that_nothing_small_helps_is_said_with_the_number(run, make_trial):
    row = run(trials=[make_trial(dose_mg_per_day=25, documentation="chart")]).to_json()["trials"][0]
    assert row["why"][-1] == {
        "code": "no_small_change",
        "text": "No change of up to three facts would make this trial count.",
    }


@pytest.mark.parametrize("documentation", ["letter", "patient", None])
def test_what_a_letter_or_the_patient_says_may_turn_out_otherwise(run, make_trial, documentation):
    assert found(run, make_trial(dose_mg_per_day=25, documentation=documentation)) is not None


def test_what_a_chart_leaves_open_can_be_answered(run, make_trial):
    assert found(run, make_trial(adherence=None, documentation="chart"))["changes"] == [
        change("adherence", None, "good")
    ]
    assert found(run, make_trial(dose_mg_per_day=[25, 50], documentation="chart"))["changes"] == [
        change("dose_mg_per_day", [25, 50], 50)
    ]


# The value in the row is the value that is shown


ROWS = [
    {"dose_mg_per_day": 25},
    {"weeks_at_dose": [4, 5]},
    {"weeks": 4, "weeks_at_dose": 4},
    {"adherence": None, "outcome": None},
    {"adherence": "partial", "missed_doses_per_week": 4},
    {"adherence": None, "missed_doses_per_week": [1.4, 2]},
    {"outcome": None, "improvement_percent": [40, 60]},
    {"in_current_episode": None, "purpose": None, "role": None},
    {"stopped_on": "2026-01-01", "weeks_well_after": [6, 10]},
    {"started_on": "2026-01-01", "stopped_on": "2026-01-29", "weeks": None, "weeks_at_dose": 4},
    {**STEPS, "steps": [{"dose": 25, "weeks": 2}, {"dose": 50, "weeks": 4}]},
    {**STEPS, "steps": [{"dose": 25, "weeks": 2}, {"dose": 25, "weeks": 2}, {"dose": 50, "weeks": 3}], "weeks": 7},
    {**STEPS, "steps": [{"dose": 50, "weeks": 4}, {"dose": 25, "weeks": 9}]},
    {**STEPS, "steps": [{"dose": None, "weeks": 8}]},
    {"drug": "Celebrex"},
]


@pytest.mark.parametrize("row", ROWS)
def test_the_value_that_is_put_in_is_the_one_that_is_shown(make_trial, row):
    record = IntakeRecord.model_validate({"as_of": "2026-11-20", "trials": [make_trial(**row)]})
    rules = ruleset("default")
    setting = Setting.of(record, rules)
    (trial,) = record.trials
    (weighed,) = weigh([read(trial, setting, rules)], rules)
    changes = counterfactual.changes_to_count(weighed, setting, rules)
    assert changes
    shown = {each.field: each.after for each in changes}
    assert counterfactual.with_changes(trial, changes) == counterfactual.apply(trial, shown)
    plain = trial.model_dump(mode="json")
    assert {each.field: each.before for each in changes} == {field: plain[field] for field in shown}


def test_doses_missed_and_a_word_in_doubt_are_two_facts(run, make_trial):
    changes = found(run, make_trial(adherence="partial", missed_doses_per_week=4))["changes"]
    assert changes == [change("missed_doses_per_week", 4, 0), change("adherence", "partial", "good")]
