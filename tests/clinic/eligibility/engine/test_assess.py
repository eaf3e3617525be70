import json
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clinic.eligibility.engine import IntakeRecord, assess

EXPECTED_KEYS = [
    "id",
    "as_of",
    "ruleset",
    "trd",
    "trials",
    "pathways",
    "urgent",
    "staging",
    "policies",
    "ask",
    "next_steps",
    "augmentations",
    "combinations",
    "interactions",
    "flags",
    "pseudo_resistance",
]


def test_the_output_has_the_keys_that_scripts_rely_on(run):
    found = run(using={"policies": ["aetna_cpb_0469"]}).to_json()
    assert list(found) == EXPECTED_KEYS
    assert set(found["ruleset"]) == {"id", "version"}
    assert set(found["trd"]) == {"verdict", "adequate_trials", "findings"}
    row = {"index", "entered", "ingredient", "drug_class", "verdict", "detail", "why", "would_count_if", "sources"}
    assert set(found["trials"][0]) == row | {"documentation", "intolerance"}
    assert set(found["pathways"]) == {"tms", "esketamine", "iv_ketamine"}
    assert set(found["pathways"]["tms"]) == {"verdict", "findings"}
    assert set(found["pathways"]["tms"]["findings"][0]) == {
        "code",
        "kind",
        "text",
        "source",
        "level",
        "action",
        "system_must",
    }
    assert set(found["urgent"]) == {"flag", "reasons"}
    assert set(found["staging"]["maudsley"]) == {"score", "band", "points"}
    assert set(found["policies"][0]) == {"id", "version", "verified_on", "verdict", "findings"}


def test_every_ask_names_a_field_a_question_and_a_reason(run):
    asks = run(trials=[{"drug": "Prozac"}], safety=None, age=None).to_json()["ask"]
    assert asks
    assert all(set(ask) == {"field", "question", "because"} and all(ask.values()) for ask in asks)
    assert len({ask["field"] for ask in asks}) == len(asks)


def test_id_and_day_are_echoed_and_null_when_not_given(run):
    found = run().to_json()
    assert (found["id"], found["as_of"]) == ("r1", "2026-11-20")
    empty = assess(IntakeRecord()).to_json()
    assert (empty["id"], empty["as_of"]) == (None, None)


def test_the_same_record_gives_the_same_bytes_after_storage(make_record):
    record = IntakeRecord.model_validate(make_record())
    again = IntakeRecord.model_validate(json.loads(json.dumps(record.to_json())))
    assert assess(record).to_bytes() == assess(again).to_bytes()


def test_the_text_is_the_json_of_the_answer(run, make_trial, make_record):
    records = [
        {},
        {
            "trials": [{"drug": "Zoloft"}, make_trial("Celebrex"), make_trial("Abilify", role="add_on")],
            "payer": "Aetna",
        },
        {"safety": None, "age": None, "current_medicines": ["Nardil", "Zoloft"], "id": "\u00e9\u0000"},
        {"safety": make_record()["safety"] | {"metal_in_head": True}, "cssrs": {"plan": True}},
    ]
    for overrides in records:
        result = run(**overrides)
        assert result.to_text() == json.dumps(result.to_json(), separators=(",", ":"))


@pytest.mark.parametrize("using", [{"ruleset": "nine"}, {"policies": ["nobody"]}])
def test_an_unknown_rule_set_or_policy_is_an_error(run, using):
    with pytest.raises(KeyError):
        run(using=using)


def test_no_trials_at_all_is_not_resistant_and_unknown_trials_cannot_be_told(run):
    assert run(trials=[]).trd.verdict == "not_met"
    assert run(trials=None).trd.verdict == "undetermined"


def test_open_rows_matter_only_where_they_could_reach_the_count(run, make_trial):
    adequate, open_row = make_trial(), make_trial("venlafaxine", dose_mg_per_day=None)
    assert run(trials=[open_row]).trd.verdict == "not_met"
    assert run(trials=[adequate, open_row]).trd.verdict == "undetermined"
    assert run(trials=[adequate, make_trial("mirtazapine", dose_mg_per_day=30), open_row]).trd.verdict == "met"


def test_an_open_row_of_a_medicine_that_counts_already_adds_nothing(run, make_trial):
    assert run(trials=[make_trial(), make_trial("Zoloft", outcome=None)]).trd.verdict == "not_met"


def test_a_depression_that_is_no_major_episode_is_not_resistant(run, make_record):
    assert run(episode=make_record()["episode"] | {"diagnosis": "dysthymia"}).trd.verdict == "not_met"


# Properties

DRUGS = ["sertraline", "Zoloft", "Prozac", "Effexor XR", "bupropion", "lithium", "Celebrex", None]
SPAN = st.one_of(st.none(), st.sampled_from([3, 6, 25, 50, 100, 300]), st.just([20, 80]))
TRIAL = st.fixed_dictionaries(
    {
        "drug": st.sampled_from(DRUGS),
        "dose_mg_per_day": SPAN,
        "weeks_at_dose": SPAN,
        "adherence": st.sampled_from(["good", "partial", "unknown", None]),
        "outcome": st.sampled_from(["none", "partial", "response", "unknown", None]),
        "stopped_reason": st.sampled_from(["inefficacy", "side_effects", "ongoing", None]),
        "in_current_episode": st.sampled_from([True, True, False, None]),
        "purpose": st.sampled_from(["depression", "sleep", None]),
        "role": st.sampled_from(["alone", "add_on", None]),
    }
)
SAMPLE = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@SAMPLE
@given(trials=st.lists(TRIAL, max_size=6), seed=st.integers(0, 1000))
def test_the_order_of_entry_changes_no_verdict(make_record, trials, seed):
    shuffled = random.Random(seed).sample(trials, len(trials))
    one = assess(IntakeRecord.model_validate(make_record(trials=trials)))
    other = assess(IntakeRecord.model_validate(make_record(trials=shuffled)))
    assert (one.trd.verdict, one.trd.adequate) == (other.trd.verdict, other.trd.adequate)
    assert sorted(row.verdict for row in one.trials) == sorted(row.verdict for row in other.trials)
    assert {name: each.verdict for name, each in one.pathways.items()} == {
        name: each.verdict for name, each in other.pathways.items()
    }


@SAMPLE
@given(trials=st.lists(TRIAL.filter(lambda row: row["drug"] is not None), min_size=1, max_size=5))
def test_entering_a_row_twice_adds_nothing(make_record, trials):
    once = assess(IntakeRecord.model_validate(make_record(trials=trials)))
    twice = assess(IntakeRecord.model_validate(make_record(trials=[*trials, trials[0]])))
    assert (once.trd.verdict, once.trd.adequate, once.trd.possible) == (
        twice.trd.verdict,
        twice.trd.adequate,
        twice.trd.possible,
    )


@SAMPLE
@given(trials=st.lists(TRIAL, min_size=1, max_size=4), answer=TRIAL)
def test_a_definite_trd_verdict_stands_whatever_an_open_field_turns_out_to_be(make_record, trials, answer):
    before = assess(IntakeRecord.model_validate(make_record(trials=trials))).trd.verdict
    filled = [{key: answer[key] if value is None else value for key, value in row.items()} for row in trials]
    after = assess(IntakeRecord.model_validate(make_record(trials=filled))).trd.verdict
    if before == "met":
        assert after == "met"
    if after == "met":
        assert before in ("met", "undetermined")
