"""Whole histories as they are published or written down, each with the verdicts worked out by hand."""


def test_four_ssris_in_full_are_resistant_yet_one_class(run, make_trial):
    trials = [
        make_trial("Prozac", dose_mg_per_day=40),
        make_trial("Zoloft", dose_mg_per_day=150),
        make_trial("Lexapro", dose_mg_per_day=20),
        make_trial("Paxil", dose_mg_per_day=40),
    ]
    two_classes = ["aetna_cpb_0469", "cms_l37086_l37088_noridian", "uhc_optum", "bcbs_mp_170", "cigna_spravato"]
    result = run(trials=trials, using={"policies": two_classes})
    assert result.trd.verdict == "met"
    assert result.trd.adequate == 4
    assert [policy.verdict for policy in result.policies] == ["not_met"] * 5
    assert "one_class" in [finding.code for finding in result.trd.findings]


def test_names_alone_cannot_be_told_and_ask_for_the_rest(run):
    names = ["Prozac", "Zoloft", "Lexapro", "Wellbutrin"]
    result = run(trials=[{"drug": name} for name in names])
    assert result.trd.verdict == "undetermined"
    assert [row.verdict for row in result.trials] == ["undetermined"] * 4
    asked = {ask.field for ask in result.ask}
    for index in range(4):
        for field in ("dose_mg_per_day", "weeks_at_dose", "adherence", "outcome", "in_current_episode"):
            assert f"trials[{index}].{field}" in asked


def test_half_a_dose_does_not_count_and_says_what_would(run, make_trial):
    trials = [make_trial("Zoloft"), make_trial("Effexor XR", dose_mg_per_day=37.5)]
    result = run(trials=trials)
    assert result.trd.verdict == "not_met"
    row = result.to_json()["trials"][1]
    assert row["verdict"] == "inadequate_dose"
    assert row["why"][0]["shortfall_mg"] == 37.5
    assert row["would_count_if"]["changes"] == [{"field": "dose_mg_per_day", "from": 37.5, "to": 75}]


def test_an_implant_in_the_head_rules_out_tms_alone(run, make_record):
    safety = make_record()["safety"] | {"metal_in_head": True}
    result = run(safety=safety)
    assert result.pathways["tms"].verdict == "contraindicated"
    assert result.pathways["esketamine"].verdict == "likely_eligible"
    assert result.pathways["iv_ketamine"].verdict == "likely_eligible"


# worked_examples of trial_adequacy.yaml


def test_worked_example_two_ssris(run, make_trial):
    trials = [
        make_trial("sertraline", dose_mg_per_day=100, weeks=8, weeks_at_dose=8),
        make_trial("escitalopram", dose_mg_per_day=20, weeks=7, weeks_at_dose=7),
    ]
    result = run(trials=trials, using={"policies": ["aetna_cpb_0469"]})
    assert result.trd.verdict == "met"
    assert result.policies[0].verdict == "not_met"


def test_worked_example_trazodone_for_sleep(run, make_trial):
    trials = [
        make_trial("sertraline", dose_mg_per_day=50, weeks=10, weeks_at_dose=10),
        make_trial("trazodone", dose_mg_per_day=50, weeks=104, weeks_at_dose=104, purpose="sleep"),
    ]
    result = run(trials=trials)
    assert [row.judgement.detail for row in result.trials] == ["adequate_failed", "not_an_antidepressant_trial"]
    assert result.trd.verdict == "not_met"


def test_worked_example_low_dose_and_intolerance(run, make_trial):
    trials = [
        make_trial("venlafaxine XR", dose_mg_per_day=75, weeks=8, weeks_at_dose=8),
        make_trial(
            "bupropion XL", dose_mg_per_day=300, weeks=12 / 7, weeks_at_dose=12 / 7, stopped_reason="side_effects"
        ),
    ]
    result = run(trials=trials, using={"policies": ["cms_l34522_first_coast"]})
    assert [row.judgement.detail for row in result.trials] == ["low_dose_by_strict_source", "intolerance"]
    assert result.trd.adequate == 1
    by_code = {finding.code: finding.status for finding in result.policies[0].findings}
    assert by_code["failed_trials"] == "met"
    assert by_code["distinct_classes"] == "met"


def test_worked_example_lost_response(run, make_trial):
    result = run(trials=[make_trial("fluoxetine", dose_mg_per_day=40, weeks_at_dose=9, outcome="lost_response")])
    assert result.trials[0].verdict == "responded"
    assert result.trials[0].judgement.detail == "lost_response"


def test_one_history_under_three_lengths(run, make_trial):
    trials = [
        make_trial("sertraline", weeks_at_dose=7),
        make_trial("venlafaxine", dose_mg_per_day=150, weeks_at_dose=5),
    ]
    verdicts = {}
    for ruleset in ("min_weeks_4", "default", "min_weeks_8"):
        result = run(trials=trials, using={"ruleset": ruleset})
        assert result.to_json()["ruleset"] == {"id": ruleset, "version": "1.1"}
        verdicts[ruleset] = (result.trd.verdict, [row.judgement.detail for row in result.trials])
    assert verdicts == {
        "min_weeks_4": ("met", ["adequate_failed", "adequate_failed"]),
        "default": ("not_met", ["adequate_failed", "borderline_duration"]),
        "min_weeks_8": ("not_met", ["borderline_duration", "borderline_duration"]),
    }
