import pytest

from clinic.eligibility.engine import knowledge, policies


def findings(result):
    return {finding.code: finding.status for finding in result.policies[0].findings}


def check(run, policy, **overrides):
    return run(using={"policies": [policy]}, **overrides)


@pytest.mark.parametrize("policy", knowledge.policy_ids())
def test_every_policy_answers_with_a_reason(run, policy):
    (result,) = check(run, policy).policies
    assert result.verdict in ("met", "not_met", "undetermined")
    assert result.findings
    assert result.verified_on is None


def test_a_policy_that_says_everything_is_met_by_a_full_history(run):
    result = check(run, "fda_label_spravato", safety=None)
    assert result.policies[0].verdict == "undetermined"  # exclusions not asked
    assert findings(result)["failed_trials"] == "met"


def test_the_spravato_label_is_met(run, make_record):
    result = check(run, "fda_label_spravato", safety=make_record()["safety"] | {"hypersensitivity": False})
    # The label gives no weeks, so 8 at dose are counted as sure.
    assert result.policies[0].verdict == "met"


def test_what_a_policy_leaves_open_is_never_met(run):
    result = check(run, "cms_l33398_ngs")
    assert findings(result)["failed_trials"] == "unknown"
    assert result.policies[0].verdict == "undetermined"


@pytest.mark.parametrize(("weeks", "status"), [(8, "met"), (6, "unknown"), (4, "unknown"), (3, "unmet")])
def test_weeks_that_a_policy_does_not_say_are_sure_only_at_the_longest_asked_anywhere(run, make_trial, weeks, status):
    trials = [make_trial(weeks_at_dose=weeks)]
    assert findings(check(run, "cms_l34522_first_coast", trials=trials))["failed_trials"] == status


def test_a_25_percent_rule_does_not_take_a_partial_response(run, make_trial):
    trials = [make_trial(outcome="partial"), make_trial("venlafaxine", dose_mg_per_day=150)]
    assert findings(check(run, "cigna_spravato", trials=trials))["failed_trials"] == "unmet"
    assert findings(check(run, "optumrx_western_health_spravato", trials=trials))["failed_trials"] == "met"


def test_intolerance_counts_where_the_policy_says_so(run, make_trial):
    trials = [
        make_trial(),
        make_trial("venlafaxine", dose_mg_per_day=150, weeks_at_dose=1, stopped_reason="side_effects"),
    ]
    assert findings(check(run, "ambetter_centene_cp_bh_200", trials=trials))["failed_trials"] == "met"
    assert findings(check(run, "aetna_cpb_0469", trials=trials))["failed_trials"] == "unknown"  # the policy is silent


@pytest.mark.parametrize(
    ("therapy", "status"),
    [
        ([{"type": "CBT", "sessions": 12}], "met"),
        ([{"type": "CBT", "sessions": 5}], "unmet"),
        ([{"adequate": False}], "unmet"),
        ([], "unmet"),
        (None, "unknown"),
        ([{"type": "talking", "sessions": 20}], "unknown"),
    ],
)
def test_psychotherapy_required(run, therapy, status):
    assert findings(check(run, "ambetter_centene_cp_bh_200", psychotherapy=therapy))["psychotherapy"] == status


def test_an_augmentation_required(run, make_trial, make_record):
    trials = make_record()["trials"]
    assert findings(check(run, "aetna_cpb_0469"))["augmentation"] == "unmet"
    agent = make_trial("Abilify", dose_mg_per_day=5, role="add_on")
    assert findings(check(run, "aetna_cpb_0469", trials=[*trials, agent]))["augmentation"] == "met"
    unsure = make_trial("Abilify", dose_mg_per_day=None, role="add_on")
    assert findings(check(run, "aetna_cpb_0469", trials=[*trials, unsure]))["augmentation"] == "unknown"


def test_severity_by_category_or_by_score(run, make_record):
    moderate = make_record()["episode"] | {"severity": "moderate"}
    assert findings(check(run, "aetna_cpb_0469", episode=moderate))["severity"] == "unmet"
    low, high = [1] * 9, [2] * 9
    assert findings(check(run, "ambetter_centene_cp_bh_200", phq9=low))["severity"] == "unmet"
    assert findings(check(run, "ambetter_centene_cp_bh_200", phq9=high))["severity"] == "met"


def test_an_exclusion_that_is_present_is_not_met(run, make_record):
    result = check(
        run, "ambetter_centene_cp_bh_200", episode=make_record()["episode"] | {"diagnosis": "schizoaffective"}
    )
    assert findings(result)["exclusion_schizoaffective"] == "unmet"
    assert result.policies[0].verdict == "not_met"


@pytest.mark.parametrize(
    ("payer", "ids"),
    [
        ("aetna_cpb_0469", ("aetna_cpb_0469",)),
        ("Aetna", ("aetna_cpb_0469",)),
        ("cigna", ("cigna_evernorth_en0383", "cigna_spravato")),
        ("L34522", ("cms_l34522_first_coast",)),
        ("Nobody's Mutual", ()),
    ],
)
def test_a_payer_is_found_by_id_number_or_name(payer, ids):
    assert policies.find_policies(payer) == ids


def test_the_payer_of_the_record_is_checked_and_an_unknown_one_is_a_step(run):
    assert [policy.id for policy in run(payer="Aetna").policies] == ["aetna_cpb_0469"]
    assert "payer_policy" in [step.code for step in run(payer="Nobody's Mutual").next_steps]


def test_a_policy_never_changes_the_trd_verdict(run):
    assert run().trd == check(run, "anthem_elevance_low").trd
