import pytest

from clinic.eligibility.engine import drugs

# Ingredient, least adequate dose in mg per day, class: written down from the drug table, not read from it.
LEAST = [
    ("citalopram", 20, "ssri"),
    ("escitalopram", 10, "ssri"),
    ("fluoxetine", 20, "ssri"),
    ("fluvoxamine", 100, "ssri"),
    ("paroxetine", 20, "ssri"),
    ("sertraline", 50, "ssri"),
    ("vilazodone", 20, "serotonin_modulator"),
    ("vortioxetine", 10, "serotonin_modulator"),
    ("venlafaxine", 75, "snri"),
    ("desvenlafaxine", 50, "snri"),
    ("duloxetine", 60, "snri"),
    ("levomilnacipran", 40, "snri"),
    ("bupropion", 300, "ndri"),
    ("dextromethorphan-bupropion", 210, "nmda_ndri_combination"),
    ("mirtazapine", 15, "nassa_tetracyclic"),
    ("trazodone", 300, "sari"),
    ("nefazodone", 300, "sari"),
    ("gepirone extended-release", 36.3, "5ht1a_agonist"),
    ("amitriptyline", 100, "tca"),
    ("amoxapine", 200, "tca"),
    ("clomipramine", 100, "tca"),
    ("desipramine", 100, "tca"),
    ("doxepin", 100, "tca"),
    ("imipramine", 100, "tca"),
    ("nortriptyline", 75, "tca"),
    ("protriptyline", 15, "tca"),
    ("trimipramine", 100, "tca"),
    ("maprotiline", 100, "tetracyclic"),
    ("phenelzine", 45, "maoi"),
    ("tranylcypromine", 30, "maoi"),
    ("isocarboxazid", 20, "maoi"),
    ("selegiline transdermal", 6, "maoi"),
]


def test_the_table_of_least_doses_names_every_antidepressant():
    counted = {drug.name for drug in drugs.table().values() if drug.kind == "antidepressant"}
    assert counted == {name for name, _, _ in LEAST}


@pytest.mark.parametrize(("drug", "least", "drug_class"), LEAST)
def test_the_least_dose_counts_and_just_under_it_does_not(run, make_trial, drug, least, drug_class):
    at = run(trials=[make_trial(drug, dose_mg_per_day=least)]).trials[0]
    under = run(trials=[make_trial(drug, dose_mg_per_day=least - 0.1)]).trials[0]
    assert at.verdict == "adequate"
    assert at.facts.drug.drug_class == drug_class
    assert under.verdict == "inadequate_dose"


def verdict(run, *rows):
    return [row.verdict for row in run(trials=list(rows)).trials]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"weeks_at_dose": 6}, "adequate"),
        ({"weeks_at_dose": 5.9}, "inadequate_duration"),
        ({"adherence": "partial"}, "inadequate_adherence"),
        ({"adherence": "poor"}, "inadequate_adherence"),
        ({"outcome": "partial"}, "adequate"),
        ({"outcome": "response"}, "responded"),
        ({"outcome": "remission"}, "responded"),
        ({"in_current_episode": False}, "not_counted"),
        ({"purpose": "pain"}, "not_counted"),
        ({"role": "add_on"}, "not_counted"),
        ({"stopped_reason": "side_effects"}, "adequate"),
        ({"stopped_reason": "side_effects", "weeks_at_dose": 2}, "intolerance"),
        ({"stopped_reason": "side_effects", "dose_mg_per_day": 25}, "intolerance"),
        ({"stopped_reason": "cost", "weeks_at_dose": 2}, "inadequate_duration"),
    ],
)
def test_one_change_to_an_adequate_trial(run, make_trial, changes, expected):
    assert verdict(run, make_trial(**changes)) == [expected]


@pytest.mark.parametrize(
    "field",
    ["drug", "dose_mg_per_day", "weeks_at_dose", "adherence", "outcome", "in_current_episode", "purpose", "role"],
)
def test_a_missing_value_that_could_change_the_verdict_leaves_it_open(run, make_trial, field):
    result = run(trials=[make_trial(**{field: None})])
    assert result.trials[0].verdict == "undetermined"
    assert f"trials[0].{field}" in {ask.field for ask in result.ask}


@pytest.mark.parametrize("field", ["weeks", "stopped_reason", "formulation", "started_on"])
def test_a_missing_value_that_changes_nothing_leaves_the_verdict(run, make_trial, field):
    assert verdict(run, make_trial(**{field: None})) == ["adequate"]


def test_a_certain_shortfall_beats_an_unknown_dose(run, make_trial):
    assert verdict(run, make_trial(dose_mg_per_day=None, weeks=4, weeks_at_dose=None)) == ["inadequate_duration"]


@pytest.mark.parametrize(
    ("dose", "weeks", "expected"),
    [
        ([50, 100], [6, 10], "adequate"),
        ([25, 49], [6, 10], "inadequate_dose"),
        ([25, 50], [6, 10], "undetermined"),
        ([50, 100], [3, 5.5], "inadequate_duration"),
        ([50, 100], [5, 6], "undetermined"),
        ([25, 50], [3, 5], "inadequate_duration"),
    ],
)
def test_a_range_decides_only_where_all_of_it_agrees(run, make_trial, dose, weeks, expected):
    assert verdict(run, make_trial(dose_mg_per_day=dose, weeks=None, weeks_at_dose=weeks)) == [expected]


def test_why_names_every_certain_fault_and_the_first_gives_the_verdict(run, make_trial):
    row = run(trials=[make_trial(dose_mg_per_day=25, weeks=3, weeks_at_dose=3, adherence="poor")]).trials[0]
    assert row.verdict == "inadequate_dose"
    assert [why.code for why in row.judgement.why] == ["inadequate_dose", "inadequate_duration", "inadequate_adherence"]


def test_the_order_of_verdicts_among_several_faults(run, make_trial):
    faults = {"dose_mg_per_day": 25, "weeks": 2, "weeks_at_dose": 2, "adherence": "poor"}
    assert verdict(run, make_trial(**faults, stopped_reason="side_effects")) == ["intolerance"]
    assert verdict(run, make_trial(**faults, stopped_reason="side_effects", outcome="response")) == ["responded"]
    assert verdict(run, make_trial(**faults, outcome="response", in_current_episode=False)) == ["not_counted"]


def test_more_weeks_at_the_dose_than_in_all_contradict_each_other(run, make_trial):
    assert verdict(run, make_trial(weeks=4, weeks_at_dose=8)) == ["undetermined"]
    assert verdict(run, make_trial(weeks=7, weeks_at_dose=8)) == ["adequate"]


@pytest.mark.parametrize(
    "fields",
    [
        {"weeks": 8, "started_on": "2026-01-01", "stopped_on": "2026-01-15"},
        {"weeks": 8, "started_on": "2026-05-01", "stopped_on": "2026-01-01"},
        {"weeks": 8, "started_on": "2030-01-01"},
        {"weeks": 4, "weeks_at_dose": None, "steps": [{"dose": 100, "weeks": 8}]},
    ],
)
def test_dates_or_weeks_that_contradict_the_weeks_at_dose_leave_the_row_open(run, make_trial, fields):
    assert verdict(run, make_trial(**fields)) == ["undetermined"]


def test_contradicting_dates_do_not_save_a_row_that_is_too_short(run, make_trial):
    fields = {"weeks": 3, "weeks_at_dose": 3, "started_on": "2026-05-01", "stopped_on": "2026-01-01"}
    assert verdict(run, make_trial(**fields)) == ["inadequate_duration"]


def test_an_augmenting_agent_has_no_dose_fault_of_a_trial(run, make_trial):
    row = run(trials=[make_trial("Cytomel", dose_mg_per_day=0.025)]).trials[0]
    assert [why.code for why in row.judgement.why] == ["drug_not_counted"]


# steps


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([(25, 2), (50, 6)], "adequate"),
        ([(25, 2), (50, 5)], "inadequate_duration"),
        ([(50, 3), (100, 3)], "adequate"),
        ([(50, 4), (25, 1), (50, 4)], "inadequate_duration"),
        ([(50, 4), (0, 1), (50, 4)], "adequate"),
        ([(50, 4), (0, 1.2), (50, 4)], "inadequate_duration"),
        ([(50, 3), (0, 1), (50, 2), (0, 1), (50, 3)], "inadequate_duration"),
        ([(25, 10)], "inadequate_dose"),
        ([(50, None), (25, 2)], "undetermined"),
        ([([25, 50], 6)], "undetermined"),
    ],
)
def test_steps_count_the_longest_run_at_the_least_dose(run, make_trial, steps, expected):
    rows = [{"dose": dose, "weeks": weeks} for dose, weeks in steps]
    trial = make_trial(dose_mg_per_day=None, weeks=None, weeks_at_dose=None, steps=rows)
    assert verdict(run, trial) == [expected]


def test_the_one_unknown_step_follows_from_the_weeks_in_all(run, make_trial):
    steps = [{"dose": 25, "weeks": 2}, {"dose": 50, "weeks": None}]
    assert verdict(run, make_trial(dose_mg_per_day=None, weeks=8, weeks_at_dose=None, steps=steps)) == ["adequate"]
    short = make_trial(dose_mg_per_day=None, weeks=7, weeks_at_dose=None, steps=steps)
    assert verdict(run, short) == ["inadequate_duration"]


# dates


@pytest.mark.parametrize(
    ("started", "stopped", "expected"),
    [
        ("2026-01-01", "2026-02-10", "inadequate_duration"),
        ("2026-01-01", "2026-03-10", "adequate"),
        ("2026-01", "2026-02", "undetermined"),
        ("2026-01", "2026-04", "adequate"),
        ("2025", "2026", "undetermined"),
        ("2024", "2026", "adequate"),
        ("2026-03-10", "2026-01-01", "undetermined"),
    ],
)
def test_dates_known_in_part_bound_the_weeks(run, make_trial, started, stopped, expected):
    steps = [{"dose": 100, "weeks": None}]
    trial = make_trial(
        dose_mg_per_day=None, weeks=None, weeks_at_dose=None, steps=steps, started_on=started, stopped_on=stopped
    )
    assert verdict(run, trial) == [expected]


def test_a_trial_still_running_is_measured_to_the_day_of_the_record_and_says_when_it_is_long_enough(run, make_trial):
    trial = make_trial(
        weeks=None, weeks_at_dose=4, started_on="2026-10-23", stopped_reason="ongoing", outcome="unknown"
    )
    row = run(trials=[trial]).trials[0]
    assert (row.verdict, row.judgement.detail) == ("inadequate_duration", "ongoing_not_yet_adequate")
    assert row.judgement.why[-1].data == (("on", "2026-12-04"),)


def test_an_episode_left_open_follows_from_the_dates(run, make_trial):
    earlier = make_trial(in_current_episode=None, started_on="2020-01", stopped_on="2020-06")
    later = make_trial("fluoxetine", in_current_episode=None, started_on="2026-03", stopped_on="2026-08")
    assert verdict(run, earlier, later) == ["not_counted", "adequate"]


# one medicine, several rows


def test_one_medicine_counts_once_whatever_its_name(run, make_trial):
    rows = [make_trial("Zoloft"), make_trial("sertraline HCl 100 mg"), make_trial("SERTRALINE")]
    result = run(trials=rows)
    assert sorted(row.verdict for row in result.trials) == ["adequate", "duplicate", "duplicate"]
    assert result.trd.adequate == 1
    assert result.trd.verdict == "not_met"


def test_the_best_documented_row_of_a_medicine_counts(run, make_trial):
    assert verdict(run, make_trial(adherence=None), make_trial("Zoloft")) == ["duplicate", "adequate"]
    assert verdict(run, make_trial(adherence=None), make_trial(adherence=None, outcome=None)) == [
        "undetermined",
        "duplicate",
    ]


def test_a_row_that_does_not_count_by_itself_is_no_duplicate(run, make_trial):
    assert verdict(run, make_trial(), make_trial(dose_mg_per_day=25)) == ["adequate", "inadequate_dose"]


def test_two_related_agents_are_two_trials_with_a_note(run, make_trial):
    result = run(trials=[make_trial("Celexa", dose_mg_per_day=40), make_trial("Lexapro", dose_mg_per_day=20)])
    assert result.trd.verdict == "met"
    assert "similar_agents" in [finding.code for finding in result.trd.findings]


@pytest.mark.parametrize(
    "drug",
    [
        "aripiprazole",
        "Abilify",
        "lithium",
        "Spravato",
        "ketamine",
        "Zulresso",
        "Zurzuvae",
        "Savella",
        "Silenor",
        "Zyban",
        "St. John's wort",
        "quetiapine",
        "Cytomel",
        "buspirone",
        "oral selegiline",
        "agomelatine",
    ],
)
def test_what_is_no_antidepressant_trial(run, make_trial, drug):
    row = run(trials=[make_trial(drug)]).trials[0]
    assert (row.verdict, row.judgement.detail) == ("not_counted", "not_an_antidepressant_trial")


def test_a_recalled_number_says_so(run, make_trial):
    sources = run(trials=[make_trial("doxepin", dose_mg_per_day=150)]).to_json()["trials"][0]["sources"]
    assert sources[0] == {"source": "antidepressants.doxepin", "verified": "recalled", "confidence": "medium"}


def test_two_adequate_trials_at_the_same_time_carry_a_note(run, make_trial):
    dates = {"started_on": "2026-01-01", "stopped_on": "2026-03-31", "weeks": None}
    together = [make_trial(**dates), make_trial("venlafaxine", **dates)]
    result = run(trials=together)
    assert result.trd.verdict == "met"
    assert "taken_together" in [finding.code for finding in result.trd.findings]
    after = make_trial("venlafaxine", started_on="2026-04-01", stopped_on="2026-07-01")
    assert "taken_together" not in [finding.code for finding in run(trials=[together[0], after]).trd.findings]


def test_of_two_rows_documented_alike_the_first_entered_counts(run, make_trial):
    rows = [make_trial(drug="Zoloft"), make_trial(drug="sertraline")]
    assert [row.verdict for row in run(trials=rows).trials] == ["adequate", "duplicate"]
    assert [row.verdict for row in run(trials=rows[::-1]).trials] == ["adequate", "duplicate"]


# what the optional keys of a row add


@pytest.mark.parametrize(
    ("changes", "expected", "detail"),
    [
        ({"contraindicated": "QT over 500 ms"}, "not_counted", "contraindicated"),
        ({"drug": "nortriptyline", "dose_mg_per_day": 50, "level_therapeutic": True}, "adequate", "adequate_failed"),
        ({"drug": "nortriptyline", "dose_mg_per_day": None, "level_therapeutic": True}, "adequate", "adequate_failed"),
        ({"drug": "nortriptyline", "dose_mg_per_day": 50, "level_therapeutic": False}, "inadequate_dose", None),
        ({"drug": "imipramine", "dose_mg_per_day": 75, "level_therapeutic": True}, "adequate", "adequate_failed"),
        ({"dose_mg_per_day": 25, "level_therapeutic": True}, "inadequate_dose", None),  # no window for sertraline
        ({"adherence": None, "missed_doses_per_week": 1.4}, "adequate", None),
        ({"adherence": None, "missed_doses_per_week": 1.5}, "inadequate_adherence", None),
        ({"adherence": "unknown", "missed_doses_per_week": [1, 2]}, "undetermined", None),
        ({"adherence": "good", "missed_doses_per_week": 3}, "undetermined", None),
        ({"adherence": "poor", "missed_doses_per_week": 0}, "undetermined", None),
        ({"adherence": "poor", "missed_doses_per_week": 4}, "inadequate_adherence", None),
        ({"outcome": None, "improvement_percent": 24}, "adequate", "adequate_failed"),
        ({"outcome": None, "improvement_percent": 25}, "adequate", "adequate_partial"),
        ({"outcome": None, "improvement_percent": 49}, "adequate", "adequate_partial"),
        ({"outcome": None, "improvement_percent": 50}, "responded", "adequate_responded"),
        ({"outcome": None, "improvement_percent": [40, 60]}, "undetermined", None),
        ({"outcome": None, "improvement_percent": [10, 40]}, "adequate", None),
        ({"outcome": "none", "improvement_percent": 60}, "undetermined", None),
        ({"outcome": "response", "improvement_percent": 10}, "undetermined", None),
        ({"outcome": "lost_response", "improvement_percent": 10}, "responded", "lost_response"),
        ({"in_current_episode": None, "weeks_well_after": 8}, "not_counted", "historic_episode"),
        ({"in_current_episode": None, "weeks_well_after": [7, 9]}, "undetermined", None),
        ({"in_current_episode": True, "weeks_well_after": 7.9}, "adequate", None),
        ({"in_current_episode": True, "weeks_well_after": 8}, "undetermined", None),
        ({"drug": "trazodone for sleep", "purpose": None, "dose_mg_per_day": 300}, "not_counted", None),
        ({"drug": "trazodone for sleep", "dose_mg_per_day": 300}, "undetermined", None),
        ({"drug": "Emsam", "dose_mg_per_day": 20}, "adequate", None),
    ],
)
def test_an_optional_key_decides(run, make_trial, changes, expected, detail):
    row = run(trials=[make_trial(**changes)]).trials[0]
    assert row.verdict == expected
    assert detail is None or row.judgement.detail == detail


def test_weeks_well_put_what_came_before_into_an_earlier_episode(run, make_trial):
    before = make_trial("fluoxetine", in_current_episode=None, started_on="2024-01", stopped_on="2024-06")
    well = make_trial(
        "sertraline", in_current_episode=None, started_on="2024-07", stopped_on="2025-01", weeks_well_after=20
    )
    after = make_trial("venlafaxine", dose_mg_per_day=150, started_on="2025-10", stopped_on="2026-06")
    assert verdict(run, before, well, after) == ["not_counted", "not_counted", "adequate"]


def test_dates_that_do_not_fit_the_stated_episode_leave_the_row_open(run, make_trial):
    assert verdict(run, make_trial(weeks=None, started_on="2015-01", stopped_on="2015-06")) == ["undetermined"]
    later = make_trial(weeks=None, started_on="2026-01", stopped_on="2026-06", in_current_episode=False)
    assert verdict(run, later) == ["undetermined"]


def test_a_strength_in_the_name_is_offered_and_not_used(run, make_trial):
    row = run(trials=[make_trial("Zoloft 100 mg", dose_mg_per_day=None)]).trials[0]
    assert row.verdict == "undetermined"
    assert dict(row.judgement.why[0].data)["offered_mg"] == 100
    assert "100 mg" in row.judgement.why[0].text


def test_a_slip_that_was_read_is_said(run, make_trial):
    row = run(trials=[make_trial("Zolofft")]).trials[0]
    assert (row.verdict, row.judgement.why[-1].code) == ("adequate", "spelling")


@pytest.mark.parametrize(
    ("weeks", "data"),
    [
        (4, (("on", "2026-12-04"),)),
        ([3, 5], (("on", "2026-12-11"), ("not_before", "2026-11-27"))),
        (5.9, (("on", "2026-11-21"),)),
    ],
)
def test_the_day_on_which_a_running_trial_is_long_enough(run, make_trial, weeks, data):
    row = run(trials=[make_trial(weeks=None, weeks_at_dose=weeks, stopped_reason="ongoing")]).trials[0]
    assert row.judgement.detail == "ongoing_not_yet_adequate"
    assert row.judgement.why[-1].data == data


def test_a_running_trial_below_its_dose_has_no_such_day(run, make_trial):
    running = make_trial(dose_mg_per_day=25, weeks=None, weeks_at_dose=4, stopped_reason="ongoing")
    assert "still_taking" not in [why.code for why in run(trials=[running]).trials[0].judgement.why]


def test_steps_of_a_running_trial_count_from_the_last_rise(run, make_trial):
    steps = [{"dose": 25, "weeks": 2}, {"dose": 50, "weeks": 3}]
    running = make_trial(
        dose_mg_per_day=None, weeks=None, weeks_at_dose=None, steps=steps, stopped_reason="ongoing", outcome="none"
    )
    row = run(trials=[running]).trials[0]
    assert row.judgement.why[-1].data == (("on", "2026-12-11"),)


def test_of_two_rows_alike_in_the_rest_the_better_documented_counts(run, make_trial):
    told, filled = make_trial(documentation="patient"), make_trial("Zoloft", documentation="pharmacy")
    assert verdict(run, told, filled) == ["duplicate", "adequate"]
    shown = run(trials=[told, filled]).to_json()["trials"]
    assert [row["documentation"] for row in shown] == ["C", "A"]


def test_an_intolerance_keeps_its_evidence_and_says_what_is_missing(run, make_trial):
    trial = make_trial(
        "bupropion",
        dose_mg_per_day=300,
        weeks=12 / 7,
        weeks_at_dose=12 / 7,
        stopped_reason="side_effects",
        side_effect="rash",
        side_effect_on="2026-03-12",
    )
    shown = run(trials=[trial]).to_json()["trials"][0]["intolerance"]
    assert shown == {
        "side_effect": "rash",
        "on": "2026-03-12",
        "dose_reached": 300,
        "days": 12,
        "confirmed": None,
        "missing": ["confirmed"],
    }


def test_steps_that_cannot_hold_the_stated_weeks_contradict_them(run, make_trial):
    trial = make_trial(weeks=None, weeks_at_dose=10, steps=[{"dose": 100, "weeks": 2}])
    assert verdict(run, trial) == ["undetermined"]


@pytest.mark.parametrize(
    ("pair", "rule"),
    [
        (("Celexa", "Lexapro"), "enantiomers"),
        (("Wellbutrin", "Auvelity"), "enantiomers"),
        (("Effexor", "Pristiq"), "active_metabolite"),
        (("amitriptyline", "nortriptyline"), "active_metabolite"),
        (("imipramine", "desipramine"), "active_metabolite"),
    ],
)
def test_close_relatives_count_twice_and_raise_a_flag(run, make_trial, pair, rule):
    result = run(trials=[make_trial(name, dose_mg_per_day=400) for name in pair])
    assert result.trd.adequate == 2
    assert any(rule in finding.source for finding in result.trd.findings if finding.code == "similar_agents")
