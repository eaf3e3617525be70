"""Every antidepressant against both of its thresholds, at, just under and just over, in each of its release forms.

The numbers are written down from the drug table by hand, not read from it.
"""

import pytest

# Name as written, default minimum, strict minimum, all in mg per day.
BOTH = [
    ("citalopram", 20, 20),
    ("escitalopram", 10, 10),
    ("fluoxetine", 20, 20),
    ("Prozac Weekly", 90 / 7, 20),
    ("fluvoxamine", 100, 100),
    ("Luvox CR", 100, 100),
    ("paroxetine", 20, 20),
    ("Paxil CR", 25, 20),
    ("sertraline", 50, 50),
    ("vilazodone", 20, 40),
    ("vortioxetine", 10, 10),
    ("venlafaxine", 75, 150),
    ("Effexor XR", 75, 150),
    ("venlafaxine besylate ER", 112.5, 150),
    ("desvenlafaxine", 50, 50),
    ("duloxetine", 60, 60),
    ("levomilnacipran", 40, 40),
    ("bupropion", 300, 300),
    ("Wellbutrin SR", 300, 300),
    ("Wellbutrin XL", 300, 300),
    ("Aplenzin", 348, 300),
    ("Forfivo XL", 300, 300),
    ("Auvelity", 210, 210),
    ("mirtazapine", 15, 15),
    ("trazodone", 300, 300),
    ("nefazodone", 300, 300),
    ("Exxua", 36.3, 36.3),
    ("amitriptyline", 100, 150),
    ("amoxapine", 200, 300),
    ("clomipramine", 100, 150),
    ("desipramine", 100, 150),
    ("doxepin", 100, 150),
    ("imipramine", 100, 150),
    ("nortriptyline", 75, 75),
    ("protriptyline", 15, 30),
    ("trimipramine", 100, 150),
    ("maprotiline", 100, 150),
    ("phenelzine", 45, 45),
    ("tranylcypromine", 30, 30),
    ("isocarboxazid", 20, 30),
    ("Emsam", 6, 6),
]
STEP = 0.01


def detail(run, make_trial, drug, dose):
    row = run(trials=[make_trial(drug, dose_mg_per_day=dose)]).trials[0]
    return row.judgement.detail


@pytest.mark.parametrize(("drug", "least", "strict"), BOTH)
def test_a_dose_at_under_and_over_both_thresholds(run, make_trial, drug, least, strict):
    assert detail(run, make_trial, drug, least - STEP) == "inadequate_dose"
    low = "low_dose_by_strict_source"
    assert detail(run, make_trial, drug, least) == (low if least < strict else "adequate_failed")
    assert detail(run, make_trial, drug, least + STEP) == (low if least + STEP < strict else "adequate_failed")
    if strict > least:
        assert detail(run, make_trial, drug, strict - STEP) == low
        assert detail(run, make_trial, drug, strict) == "adequate_failed"
        assert detail(run, make_trial, drug, strict + STEP) == "adequate_failed"


@pytest.mark.parametrize(("drug", "least", "strict"), BOTH)
def test_a_range_over_the_least_dose_is_open_and_one_beside_it_is_not(run, make_trial, drug, least, strict):
    assert detail(run, make_trial, drug, [least - STEP, least]) == "unknown"
    assert detail(run, make_trial, drug, [least / 2, least - STEP]) == "inadequate_dose"
    assert detail(run, make_trial, drug, [least, least + 1]) != "unknown"


@pytest.mark.parametrize(("drug", "least", "strict"), BOTH)
@pytest.mark.parametrize(("weeks", "short"), [(5.99, True), (6, False), (6.01, False)])
def test_the_weeks_at_under_and_over_six(run, make_trial, drug, least, strict, weeks, short):
    trial = make_trial(drug, dose_mg_per_day=max(least, strict), weeks=None, weeks_at_dose=weeks)
    row = run(trials=[trial]).trials[0]
    assert row.judgement.detail == ("borderline_duration" if short else "adequate_failed")


def test_the_rows_of_the_table_are_all_here():
    from clinic.eligibility.engine import drugs

    named = {drugs.find(name).drug.id for name, _, _ in BOTH}
    assert named == {drug.id for drug in drugs.table().values() if drug.kind == "antidepressant"}


# Over 60, or with an impaired liver, the label's cap is the adequate dose.


@pytest.mark.parametrize("person", [{"age": 61}, {"safety": {"liver_impairment": "moderate"}}])
def test_citalopram_at_the_cap_counts_in_full(run, make_trial, person):
    row = run(trials=[make_trial("citalopram", dose_mg_per_day=20)], **person).trials[0]
    assert (row.judgement.detail, row.facts.max_dose) == ("adequate_failed", 20)
    assert run(trials=[make_trial("citalopram", dose_mg_per_day=20)], age=60).trials[0].facts.max_dose == 40
