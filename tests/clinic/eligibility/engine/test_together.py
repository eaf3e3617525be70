import pytest

ALONE = {"weeks": None, "weeks_at_dose": None}


def steps(*rows):
    return [{"dose": dose, "weeks": weeks} for dose, weeks in rows]


def dated(make_trial, drug, start, stop, **overrides):
    return make_trial(drug, weeks=None, started_on=start, stopped_on=stop, **overrides)


def pair(make_trial, first, second, **overrides):
    """Sertraline and venlafaxine, each between two days, at dose throughout."""
    one = dated(make_trial, "sertraline", *first, **({"weeks_at_dose": 8} | overrides))
    return [one, dated(make_trial, "venlafaxine", *second, dose_mg_per_day=150, **({"weeks_at_dose": 8} | overrides))]


def test_two_taken_together_throughout_are_one_combination_trial(run, make_trial):
    days = ("2026-01-01", "2026-02-26")  # eight weeks
    result = run(trials=pair(make_trial, days, days))
    assert [row.verdict for row in result.trials] == ["adequate", "adequate"]
    assert (result.trd.adequate, result.trd.verdict) == (1, "not_met")
    (combination,) = result.to_json()["combinations"]
    assert (combination["trials"], combination["weeks"], combination["counts_once"]) == ([0, 1], 8, True)


def test_the_first_keeps_its_own_trial_where_it_was_adequate_alone_before(run, make_trial):
    first = dated(make_trial, "sertraline", "2026-01-01", "2026-04-23", weeks_at_dose=16)
    second = dated(make_trial, "venlafaxine", "2026-02-26", "2026-04-23", weeks_at_dose=8, dose_mg_per_day=150)
    result = run(trials=[first, second])  # eight weeks alone, then eight together
    assert (result.trd.adequate, result.trd.verdict) == (2, "met")
    assert result.to_json()["combinations"][0]["counts_once"] is False


@pytest.mark.parametrize(
    ("drug", "since", "kind", "added"),
    [
        ("venlafaxine", "2026-02-26", "augmentation trial with a second antidepressant", 1),
        ("fluoxetine", "2026-02-26", "combination trial", None),  # one class
        ("venlafaxine", "2026-01-01", "combination trial", None),  # on one day
    ],
)
def test_a_second_one_of_another_class_that_came_later_is_shown_as_an_augmentation(
    run, make_trial, drug, since, kind, added
):
    first = dated(make_trial, "sertraline", "2026-01-01", "2026-04-23", weeks_at_dose=16)
    weeks = 8 if since == "2026-02-26" else 16
    second = dated(make_trial, drug, since, "2026-04-23", weeks_at_dose=weeks, dose_mg_per_day=150)
    for rows, place in (([first, second], added), ([second, first], None if added is None else 0)):
        (pair,) = run(trials=rows).to_json()["combinations"]
        assert pair["added"] == place
        assert f": one {kind}" in pair["text"]


def test_five_weeks_alone_before_are_not_enough_for_a_trial_of_its_own(run, make_trial):
    first = dated(make_trial, "sertraline", "2026-01-01", "2026-04-02", weeks_at_dose=13)
    second = dated(make_trial, "venlafaxine", "2026-02-05", "2026-04-02", weeks_at_dose=8, dose_mg_per_day=150)
    assert run(trials=[first, second]).trd.adequate == 1


def test_a_short_overlap_is_no_combination(run, make_trial):
    trials = pair(make_trial, ("2026-01-01", "2026-02-26"), ("2026-02-12", "2026-04-09"))
    result = run(trials=trials)
    assert (result.trd.adequate, result.to_json()["combinations"]) == (2, [])


def test_dates_known_to_the_year_say_nothing_of_an_overlap(run, make_trial):
    assert run(trials=pair(make_trial, ("2026", "2026"), ("2026", "2026"))).trd.adequate == 2


def test_an_overlap_that_is_only_possible_is_shown_and_lowers_no_count(run, make_trial):
    trials = pair(make_trial, ("2026-01", "2026-04"), ("2026-01", "2026-04"))
    result = run(trials=trials)
    assert result.trd.adequate == 2
    assert "taken_together" in [finding.code for finding in result.trd.findings]
    assert result.to_json()["combinations"][0]["counts_once"] is None


def test_a_third_medicine_never_lowers_the_count(run, make_trial):
    first, second = ("2026-01-01", "2026-02-26"), ("2026-02-26", "2026-04-23")
    two = pair(make_trial, first, second)
    both = dated(make_trial, "mirtazapine", "2026-01-01", "2026-04-23", weeks_at_dose=16, dose_mg_per_day=30)
    assert run(trials=two).trd.adequate == 2
    assert run(trials=[*two, both]).trd.adequate >= 2


def test_three_taken_together_are_one(run, make_trial):
    days = ("2026-01-01", "2026-02-26")
    third = dated(make_trial, "mirtazapine", *days, weeks_at_dose=8, dose_mg_per_day=30)
    assert run(trials=[*pair(make_trial, days, days), third]).trd.adequate == 1


def test_a_payer_counts_a_combination_once_too(run, make_trial):
    days = ("2026-01-01", "2026-02-26")
    result = run(trials=pair(make_trial, days, days), using={"policies": ["ambetter_centene_cp_bh_200"]})
    by_code = {finding.code: finding.status for finding in result.policies[0].findings}
    assert by_code["failed_trials"] == "unmet"


# Changing over


def change_over(make_trial, *, weeks_at_first, taper):
    """Sertraline, its last weeks at half the least dose beside venlafaxine at full dose for seven weeks."""
    total = weeks_at_first + taper
    first = make_trial(
        "sertraline",
        dose_mg_per_day=None,
        started_on="2026-01-01",
        steps=steps((100, weeks_at_first), (25, taper)),
        **ALONE,
    )
    starts = {8: "2026-02-26", 7: "2026-02-19"}[total - taper]
    second = make_trial("venlafaxine", dose_mg_per_day=None, started_on=starts, steps=steps((150, 7)), **ALONE)
    return [first, second]


def test_weeks_of_changing_over_below_one_of_the_doses_count_for_neither(run, make_trial):
    result = run(trials=change_over(make_trial, weeks_at_first=8, taper=2))
    assert [row.verdict for row in result.trials] == ["adequate", "inadequate_duration"]
    assert result.trials[1].facts.at_dose == (5, 5)
    *_, note = result.trials[1].judgement.why
    assert note.code == "cross_taper"
    assert note.text == "2 weeks of changing over, below one of the two least doses, left out."


def test_a_change_over_of_one_week_leaves_six(run, make_trial):
    result = run(trials=change_over(make_trial, weeks_at_first=8, taper=1))
    assert [row.verdict for row in result.trials] == ["adequate", "adequate"]
    assert result.trials[1].facts.at_dose == (6, 6)


def test_the_old_one_at_full_dose_while_the_new_one_comes_in_low_loses_those_weeks(run, make_trial):
    old = make_trial("sertraline", dose_mg_per_day=None, started_on="2026-01-01", steps=steps((100, 7)), **ALONE)
    new = make_trial(
        "venlafaxine", dose_mg_per_day=None, started_on="2026-02-05", steps=steps((37.5, 2), (150, 8)), **ALONE
    )
    result = run(trials=[old, new])
    assert [row.verdict for row in result.trials] == ["inadequate_duration", "adequate"]
    assert result.trials[0].facts.at_dose == (5, 5)


def test_two_rows_of_one_medicine_are_no_change_over(run, make_trial):
    old = make_trial("sertraline", dose_mg_per_day=None, started_on="2026-01-01", steps=steps((100, 7)), **ALONE)
    new = make_trial("Zoloft", dose_mg_per_day=None, started_on="2026-02-05", steps=steps((25, 2), (100, 8)), **ALONE)
    assert [row.facts.at_dose for row in run(trials=[old, new]).trials] == [(7, 7), (8, 8)]


def test_a_gap_is_forgiven_in_what_a_change_over_leaves(run, make_trial):
    rows = steps((100, 2), (0, 1), (100, 6))
    old = make_trial("sertraline", dose_mg_per_day=None, started_on="2026-01-01", steps=rows, **ALONE)
    coming = make_trial(
        "venlafaxine", dose_mg_per_day=None, started_on="2026-02-19", steps=steps((37.5, 2), (150, 8)), **ALONE
    )
    elsewhere = make_trial("fluoxetine", dose_mg_per_day=None, started_on="2025-01-01", steps=steps((20, 7)), **ALONE)
    result = run(trials=[elsewhere, old, coming])
    assert [row.facts.at_dose for row in result.trials] == [(7, 7), (6, 6), (8, 8)]


def test_without_a_first_day_nobody_can_tell_of_a_change_over(run, make_trial):
    trials = [row | {"started_on": None} for row in change_over(make_trial, weeks_at_first=8, taper=2)]
    assert [row.verdict for row in run(trials=trials).trials] == ["adequate", "adequate"]


# Augmentation


def add_on(make_trial, drug="Abilify", **overrides):
    return make_trial(drug, **({"dose_mg_per_day": 5, "weeks_at_dose": 6, "weeks": 6, "role": "add_on"} | overrides))


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, "adequate"),
        ({"weeks_at_dose": 5.9}, "inadequate_duration"),
        ({"dose_mg_per_day": 1.9}, "inadequate_dose"),
        ({"dose_mg_per_day": 2}, "adequate"),
        ({"dose_mg_per_day": None}, "undetermined"),
        ({"adherence": "poor"}, "inadequate_adherence"),
        ({"outcome": "response"}, "responded"),
        ({"outcome": None}, "undetermined"),
        ({"purpose": "sleep"}, "not_counted"),
        ({"in_current_episode": False}, "not_counted"),
        ({"drug": "Symbyax", "dose_mg_per_day": 6, "weeks_at_dose": 8, "weeks": 8}, "adequate"),
        ({"drug": "lithium", "dose_mg_per_day": 900}, "undetermined"),
        ({"drug": "lithium", "dose_mg_per_day": None, "level_therapeutic": True}, "adequate"),
        ({"drug": "Cytomel", "dose_mg_per_day": 25}, "adequate"),
        ({"drug": "Cytomel", "dose_mg_per_day": 0.025}, "adequate"),
        ({"drug": "Cytomel", "dose_mg_per_day": 0.005}, "inadequate_dose"),
        ({"drug": "Cytomel", "dose_mg_per_day": 3}, "undetermined"),
        ({"drug": "mirtazapine", "dose_mg_per_day": 30}, "adequate"),
    ],
)
def test_an_add_on_is_listed_with_its_own_verdict(run, make_trial, changes, verdict):
    result = run(trials=[make_trial(), add_on(make_trial, **changes)])
    assert result.trials[1].verdict == "not_counted"
    (listed,) = result.to_json()["augmentations"]
    assert (listed["index"], listed["verdict"]) == (1, verdict)


def test_an_add_on_is_judged_by_the_weeks_beside_its_base(run, make_trial):
    base = make_trial(weeks=None, started_on="2026-01-01", stopped_on="2026-03-26", weeks_at_dose=12)
    late = add_on(make_trial, weeks=None, started_on="2026-02-26", stopped_on="2026-04-23", weeks_at_dose=8)
    (listed,) = run(trials=[base, late]).to_json()["augmentations"]
    assert (listed["base"], listed["weeks"], listed["verdict"]) == ([0], 4, "inadequate_duration")


def test_an_add_on_to_nothing_is_no_augmentation(run, make_trial):
    base = make_trial(weeks=None, started_on="2025-01-01", stopped_on="2025-03-26", weeks_at_dose=12)
    late = add_on(make_trial, weeks=None, started_on="2026-02-26", stopped_on="2026-04-23", weeks_at_dose=8)
    (listed,) = run(trials=[base, late]).to_json()["augmentations"]
    assert listed["verdict"] == "not_counted"
