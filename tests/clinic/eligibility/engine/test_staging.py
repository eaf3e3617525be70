import pytest

from clinic.eligibility.engine import staging


@pytest.mark.parametrize(("months", "points"), [(0, 1), (12, 1), (12.1, 2), (13, 2), (24, 2), (24.1, 3), (300, 3)])
def test_points_of_duration(months, points):
    assert staging.duration_points(months) == points


@pytest.mark.parametrize(
    ("failed", "points"), [(0, None), (1, 1), (2, 1), (3, 2), (4, 2), (5, 3), (6, 3), (7, 4), (10, 4), (11, 5)]
)
def test_points_of_failed_antidepressants(failed, points):
    assert staging.antidepressant_points(failed) == points


@pytest.mark.parametrize(
    ("severity", "points"),
    [("subsyndromal", 1), ("mild", 2), ("moderate", 3), ("severe_without_psychosis", 4), ("severe_with_psychosis", 5)],
)
def test_points_of_severity(severity, points):
    assert staging.severity_points(severity) == points


def staged(**overrides):
    known = {
        "duration_months": 6,
        "severity": "subsyndromal",
        "failed_antidepressants": 1,
        "augmentation_used": False,
        "ect_used": False,
    }
    return staging.maudsley(**(known | overrides))


@pytest.mark.parametrize(
    ("overrides", "score", "band"),
    [
        ({}, 3, "mild"),
        ({"duration_months": 30, "severity": "mild"}, 6, "mild"),
        ({"duration_months": 30, "severity": "moderate"}, 7, "moderate"),
        ({"duration_months": 30, "severity": "moderate", "failed_antidepressants": 7}, 10, "moderate"),
        ({"duration_months": 30, "severity": "moderate", "failed_antidepressants": 11}, 11, "severe"),
        (
            {
                "duration_months": 30,
                "severity": "severe_with_psychosis",
                "failed_antidepressants": 11,
                "augmentation_used": True,
                "ect_used": True,
            },
            15,
            "severe",
        ),
    ],
)
def test_score_and_band(overrides, score, band):
    found = staged(**overrides)
    assert (found["score"], found["band"]) == (score, band)


def test_without_a_failed_antidepressant_there_is_no_stage():
    assert staged(failed_antidepressants=0)["score"] is None


def test_a_missing_item_leaves_the_stage_open_and_is_named():
    found = staged(severity=None)
    assert (found["score"], found["missing"]) == (None, ["severity"])


def test_the_stage_of_a_record(run):
    # 60 weeks = 13.8 months: 2; severe without psychosis: 4; two failed: 1
    found = run().staging["maudsley"]
    assert (found["score"], found["band"]) == (7, "moderate")


def test_an_augmentation_in_the_episode_adds_a_point(run, make_trial, make_record):
    trials = [*make_record()["trials"], make_trial("lithium", dose_mg_per_day=900, role="add_on")]
    assert run(trials=trials).staging["maudsley"]["points"]["augmentation"] == 1


def test_the_record_says_what_the_stage_lacks(run, make_record):
    episode = make_record()["episode"] | {"ect_used": None, "onset_weeks_ago": None}
    stage = run(episode=episode).staging
    assert stage["maudsley"] is None
    assert stage["missing"] == ["episode.onset_weeks_ago", "episode.ect_used"]


def test_an_open_trial_leaves_the_stage_open_only_where_its_point_could_change(run, make_trial, make_record):
    trials = make_record()["trials"]
    third = make_trial("mirtazapine", dose_mg_per_day=30, adherence=None)
    assert run(trials=[*trials, third]).staging["missing"] == ["trials"]
    assert run(trials=[trials[0], third]).staging["maudsley"]["points"]["antidepressants"] == 1
