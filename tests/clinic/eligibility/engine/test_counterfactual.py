import itertools

import pytest

from clinic.eligibility.engine import IntakeRecord, assess
from clinic.eligibility.engine.counterfactual import apply
from clinic.eligibility.engine.record import Trial
from clinic.eligibility.engine.rules import ruleset
from clinic.eligibility.engine.trials import Setting, is_adequate, judge, read
from clinic.eligibility.engine.turning import apply_to


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
        {"drug": None},
        {"drug": "Qwertzu"},
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


BEST = {
    "dose_mg_per_day": 50,
    "weeks_at_dose": 6,
    "weeks": 12,
    "adherence": "good",
    "outcome": "none",
    "steps": [{"dose": 50, "weeks": 8}],
    "stopped_on": "2026-06-01",
}


def test_applying_the_changes_turns_the_trial_and_no_fewer_do(make_record, make_trial):
    none = 0
    for values in itertools.product(*OPEN.values()):
        trial = make_trial(started_on="2026-01-01", **dict(zip(OPEN, values, strict=True)))
        (row,) = assess(IntakeRecord.model_validate(make_record(trials=[trial]))).to_json()["trials"]
        if row["verdict"] == "adequate":
            continue
        if row["would_count_if"] is None:
            none += 1
            assert row["why"][-1]["code"] == "no_small_change"
            if none % 5 == 0:  # every fifth: three facts at their best do not turn it
                best = [each for each in BEST.items() if each[0] != "steps" or trial["steps"]]
                ways = (dict(pick) for pick in itertools.combinations(best, 3))
                assert not any(turned(make_record, trial, way) for way in ways), trial
            continue
        changes = {each["field"]: each["to"] for each in row["would_count_if"]["changes"]}
        assert len(changes) <= 3
        assert turned(make_record, trial, changes), (trial, changes)
        for field in changes:
            fewer = {key: value for key, value in changes.items() if key != field}
            assert not turned(make_record, trial, fewer), (trial, field)
    assert none


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"dose_mg_per_day": 25}, "Counts if a pharmacy or chart record shows that the dose was 50 mg per day."),
        ({"dose_mg_per_day": [25, 100]}, "Counts if the dose was 50 mg per day."),
        ({"adherence": None}, "Counts if it was taken as prescribed."),
        (
            {"dose_mg_per_day": 25, "stopped_reason": "ongoing"},
            "Counts once at least 50 mg per day has been held for 6 weeks.",
        ),
    ],
)
def test_the_words_tell_what_is_still_open_from_what_a_record_would_have_to_show(run, make_trial, changes, text):
    assert run(trials=[make_trial(**changes)]).would_count_if[0]["text"] == text


def test_a_look_alike_would_count_under_the_near_name(run, make_trial):
    found = run(trials=[make_trial("Celebrex")]).would_count_if[0]
    assert found["changes"] == [{"field": "drug", "from": "Celebrex", "to": "Celexa"}]
    assert found["text"] == "Counts if the medicine was Celexa (citalopram)."
    more = run(trials=[make_trial("Celebrex", adherence=None)]).would_count_if[0]
    assert [each["field"] for each in more["changes"]] == ["drug", "adherence"]
    names = [why["code"] for why in run(trials=[make_trial("Qwertzu")]).to_json()["trials"][0]["why"]]
    assert "no_small_change" not in names  # some name would do, nobody knows which


@pytest.mark.parametrize("documentation", ["pharmacy", "chart"])
def test_what_a_pharmacy_or_a_chart_says_of_the_past_does_not_change(run, make_trial, documentation):
    assert run(trials=[make_trial(dose_mg_per_day=25, documentation=documentation)]).would_count_if == (None,)
    running = make_trial(dose_mg_per_day=25, documentation=documentation, stopped_reason="ongoing")
    assert run(trials=[running]).would_count_if[0] is not None


# Whole verdicts


def turns(result):
    return {step["about"]: step for step in result["next_steps"] if "about" in step}


def verdict_of(result, about):
    if about == "trd":
        return result["trd"]["verdict"] == "met"
    if about in result["pathways"]:
        return result["pathways"][about]["verdict"] == "likely_eligible"
    return next(each for each in result["policies"] if each["id"] == about)["verdict"] == "met"


OPEN_RECORDS = {
    "trial": lambda record, trial: {"trials": [record["trials"][0], trial("venlafaxine", dose_mg_per_day=37.5)]},
    "two_trials": lambda record, trial: {
        "trials": [trial(dose_mg_per_day=[25, 100]), trial("venlafaxine", dose_mg_per_day=150, adherence=None)]
    },
    "answers": lambda record, trial: {"safety": record["safety"] | {"metal_in_head": None, "bp": None}},
    "diagnosis": lambda record, trial: {"episode": record["episode"] | {"diagnosis": None}},
    "pressure": lambda record, trial: {"safety": record["safety"] | {"bp": [160, 100]}},
    "pregnant": lambda record, trial: {"sex": "female", "safety": record["safety"] | {"pregnant": True}},
    "mania": lambda record, trial: {"episode": record["episode"] | {"current_mania": True}},
    "psychosis": lambda record, trial: {"episode": record["episode"] | {"psychotic_features": True}},
    "look_alike": lambda record, trial: {"trials": [record["trials"][1], trial("Celebrex")]},
    "therapy": lambda record, trial: {"psychotherapy": []},
    "severity": lambda record, trial: {"episode": record["episode"] | {"severity": None}, "phq9": None},
    "names": lambda record, trial: {"trials": [{"drug": "Zoloft"}, {"drug": "Prozac"}]},
    "young": lambda record, trial: {"age": 16},
    "implant": lambda record, trial: {"safety": record["safety"] | {"metal_in_head": True}},
    "mixed": lambda record, trial: {
        "age": None,
        "trials": [record["trials"][0], trial("Celexa", weeks_at_dose=[4, 8])],
        "safety": record["safety"] | {"seizure_history": None},
    },
}
POLICIES = ["ambetter_centene_cp_bh_200", "cigna_spravato", "fda_label_tms_adult", "tricare", "aetna_cpb_0469"]


@pytest.mark.parametrize("case", OPEN_RECORDS)
def test_applying_what_would_turn_a_verdict_turns_it_and_no_fewer_do(make_record, make_trial, case):
    base = make_record()
    document = base | OPEN_RECORDS[case](base, make_trial)

    def run(changes):
        changed = IntakeRecord.model_validate(apply_to(document, changes))
        return assess(changed, policies=POLICIES).to_json()

    before = run([])
    for about, step in turns(before).items():
        assert not verdict_of(before, about)
        if step["changes"] is None:
            assert step["code"] == "no_small_change"
            continue
        assert 1 <= len(step["changes"]) <= 3
        assert verdict_of(run(step["changes"]), about), step
        for size in range(1, len(step["changes"])):
            for fewer in itertools.combinations(step["changes"], size):
                assert not verdict_of(run(fewer), about), step


def test_two_more_weeks_turn_the_history_too(run, make_trial):
    trials = [make_trial(), make_trial("Effexor", dose_mg_per_day=150, weeks=4, weeks_at_dose=4, adherence="good")]
    step = turns(run(trials=trials).to_json())["trd"]
    assert [change["field"] for change in step["changes"]] == ["trials[1].weeks_at_dose", "trials[1].weeks"]
    running = make_trial("Effexor", dose_mg_per_day=150, weeks=None, weeks_at_dose=4, stopped_reason="ongoing")
    step = turns(run(trials=[make_trial(), running]).to_json())["trd"]
    assert step["changes"] == [{"field": "trials[1].weeks_at_dose", "from": 4, "to": 6}]


@pytest.mark.parametrize("change", [{"age": 16}, {"trials": None}, {"trials": []}])
def test_what_three_facts_cannot_turn_is_said(run, change):
    step = turns(run(**change).to_json())["trd"]
    assert step["changes"] is None
    assert "no change of up to three facts" in step["text"]


def test_a_verdict_that_stands_well_has_nothing_to_turn(run):
    assert turns(run().to_json()) == {}


def test_weeks_with_many_decimals_are_rounded_up_so_that_they_suffice(make_record, make_trial):
    steps = [{"dose": 25, "weeks": 0.334}, {"dose": 50, "weeks": None}]
    trial = make_trial(dose_mg_per_day=None, weeks=2, weeks_at_dose=None, steps=steps)
    found = assess(IntakeRecord.model_validate(make_record(trials=[trial]))).would_count_if[0]
    changes = {each["field"]: each["to"] for each in found["changes"]}
    assert turned(make_record, trial, changes), changes


def test_the_step_of_unknown_dose_is_asked_for_and_not_the_weeks_without_the_drug(make_record, make_trial):
    steps = [{"dose": None, "weeks": 8}, {"dose": 0, "weeks": 1}]
    trial = make_trial(dose_mg_per_day=None, weeks=9, weeks_at_dose=None, steps=steps)
    found = assess(IntakeRecord.model_validate(make_record(trials=[trial]))).would_count_if[0]
    change = next(each for each in found["changes"] if each["field"] == "steps")
    assert change["to"][1]["dose"] == 0
    assert change["to"][0]["dose"] is not None


def test_the_short_way_to_adequate_agrees_with_the_long_one(make_record, make_trial):
    rules, seen = ruleset("default"), set()
    options = {
        **OPEN,
        "adherence": ["good", "poor"],
        "role": ["alone", "add_on", None],
        "purpose": ["depression", None],
        "in_current_episode": [True, None],
        "stopped_on": [None],
        "drug": ["sertraline", "Zyban", "lithium", "nobody"],
    }
    for values in itertools.product(*options.values()):
        record = IntakeRecord.model_validate({"trials": [make_trial(**dict(zip(options, values, strict=True)))]})
        facts = read(record.trials[0], Setting.of(record, rules), rules)
        short, long = (
            is_adequate(facts, rules.min_weeks),
            judge(facts, rules, min_weeks=None, any_episode=False).verdict == "adequate",
        )
        assert short is long, values
        seen.add(short)
    assert seen == {True, False}


def turned(make_record, trial, changes):
    changed = apply(Trial.model_validate(trial), changes).model_dump(mode="json")
    result = assess(IntakeRecord.model_validate(make_record(trials=[changed])))
    return result.trials[0].verdict == "adequate"


def test_doses_that_may_be_few_enough_are_no_change_beside_what_is_stated(run, make_trial):
    trial = make_trial(adherence="partial", missed_doses_per_week=[0, 2])
    would = run(trials=[trial]).would_count_if[0]
    assert [change["field"] for change in would["changes"]] == ["adherence"]


def test_nothing_is_changed_to_what_it_is(run, make_trial):
    trial = make_trial(started_on="2025-11-01", stopped_on="2015", weeks_at_dose=None, weeks_well_after=0)
    would = run(trials=[trial]).would_count_if[0]
    assert [change["field"] for change in would["changes"]] == ["weeks_at_dose", "stopped_on"]
