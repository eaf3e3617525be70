"""The Maudsley stage: its points one by one, and what is said where there is none."""

import pytest

from clinic.eligibility.engine import staging

KNOWN = {
    "duration_months": 18,
    "severity": "moderate",
    "failed_antidepressants": 3,
    "augmentation_used": True,
    "ect_used": False,
}
POINTS = {"duration": 2, "severity": 3, "antidepressants": 2, "augmentation": 1, "ect": 0}


def test_every_point_by_its_name():
    assert staging.maudsley(**KNOWN) == {"score": 8, "band": "moderate", "points": POINTS}
    other = staging.maudsley(**(KNOWN | {"augmentation_used": False, "ect_used": True}))
    assert other == {"score": 8, "band": "moderate", "points": POINTS | {"augmentation": 0, "ect": 1}}


@pytest.mark.parametrize(
    ("field", "item"),
    [
        ("duration_months", "duration"),
        ("severity", "severity"),
        ("failed_antidepressants", "antidepressants"),
        ("augmentation_used", "augmentation"),
        ("ect_used", "ect"),
    ],
)
def test_what_is_missing_is_named_and_the_rest_keeps_its_points(field, item):
    assert staging.maudsley(**(KNOWN | {field: None})) == {
        "score": None,
        "band": None,
        "points": POINTS | {item: None},
        "missing": [field],
    }


def test_no_failed_antidepressant_is_a_reason():
    found = staging.maudsley(**(KNOWN | {"failed_antidepressants": 0, "severity": None}))
    assert found == {
        "score": None,
        "band": None,
        "points": POINTS | {"antidepressants": None, "severity": None},
        "reason": "not_applicable: no failed antidepressant",
        "missing": ["severity"],
    }


def test_a_month_is_a_twelfth_of_a_year():
    assert pytest.approx(30.4375 / 7) == staging.WEEKS_A_MONTH


@pytest.mark.parametrize(("weeks", "points"), [(52, 1), (53, 2), (104, 2), (105, 3)])
def test_the_weeks_of_the_episode_in_months(run, make_record, weeks, points):
    found = run(episode=make_record()["episode"] | {"onset_weeks_ago": weeks}).staging["maudsley"]
    assert found["points"]["duration"] == points


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, 1),
        ({"in_current_episode": False}, 0),
        ({"purpose": "sleep"}, 0),
        ({"purpose": None}, 1),
        ({"in_current_episode": None}, None),
        ({"drug": "fluoxetine", "role": "add_on"}, 1),
        ({"drug": "fluoxetine", "role": "alone"}, 0),
    ],
)
def test_which_row_is_an_augmentation(run, make_record, make_trial, changes, expected):
    added = make_trial(**({"drug": "lithium", "dose_mg_per_day": 900, "outcome": "response"} | changes))
    stage = run(trials=[*make_record()["trials"], added]).staging
    if expected is None:
        assert (stage["maudsley"], stage["missing"]) == (None, ["trials"])
    else:
        assert stage["maudsley"]["points"]["augmentation"] == expected


def test_the_stage_of_a_record_without_a_history_or_an_adequate_trial(run):
    none = run(trials=None).staging
    assert (none["maudsley"], none["missing"]) == (None, ["trials"])
    assert "not_applicable" not in none
    empty = run(trials=[]).staging
    assert (empty["maudsley"], empty["missing"], empty["not_applicable"]) == (None, [], "no adequate trial yet")
    assert empty["source"].startswith("trial_adequacy.maudsley_staging_method: ")


def test_without_an_episode_its_fields_are_missing(run):
    assert run(episode=None).staging["missing"] == ["episode.onset_weeks_ago", "episode.severity", "episode.ect_used"]
