"""Add-ons and pairs in words, and the drug rows behind them; numbers from the drug table by hand."""

import pytest

from clinic.eligibility.engine import drugs


def added(run, make_trial, **changes):
    row = make_trial("Abilify", **({"dose_mg_per_day": 5, "weeks_at_dose": 6, "weeks": 6, "role": "add_on"} | changes))
    (listed,) = run(trials=[make_trial(), row]).to_json()["augmentations"]
    return listed


@pytest.mark.parametrize(
    ("changes", "verdict", "text"),
    [
        ({}, "adequate", "At its dose for 6 weeks beside an antidepressant, without enough effect."),
        ({"purpose": "sleep"}, "not_counted", "Taken for sleep, not for depression."),
        ({"in_current_episode": False}, "not_counted", "Taken in an earlier episode."),
        ({"outcome": "response"}, "responded", "It helped: response."),
        ({"outcome": "lost_response"}, "responded", "It helped: lost response."),
        ({"dose_mg_per_day": 1}, "inadequate_dose", "Below the least dose of 2."),
        ({"weeks_at_dose": 5}, "inadequate_duration", "5 weeks, 6 weeks asked for."),
        ({"adherence": "poor"}, "inadequate_adherence", "Taken as prescribed only in part: poor."),
        ({"adherence": "partial"}, "inadequate_adherence", "Taken as prescribed only in part: partial."),
        ({"dose_mg_per_day": None}, "undetermined", "Not known: whether the dose was enough."),
        ({"dose_mg_per_day": [1, 2]}, "undetermined", "Not known: whether the dose was enough."),
        ({"weeks_at_dose": [5, 6]}, "undetermined", "Not known: the weeks at dose."),
        ({"adherence": None}, "undetermined", "Not known: missed doses."),
        ({"outcome": None}, "undetermined", "Not known: the outcome."),
        ({"in_current_episode": None}, "undetermined", "Not known: the episode."),
        ({"purpose": None}, "undetermined", "Not known: what it was taken for."),
        (
            {"adherence": None, "outcome": None},
            "undetermined",
            "Not known: missed doses, the outcome.",
        ),
    ],
)
def test_an_add_on_in_words(run, make_trial, changes, verdict, text):
    listed = added(run, make_trial, **changes)
    assert (listed["verdict"], listed["text"]) == (verdict, text)
    assert (listed["agent"], listed["agent_class"]) == ("aripiprazole", "second_generation_antipsychotic")
    assert listed["source"].startswith("trial_adequacy.counting_rules.augmentation: seen (policies differ); ")


def test_an_add_on_of_no_known_name_and_one_by_its_level(run, make_trial):
    rows = [
        make_trial("Qwertzu", role="add_on"),
        make_trial("lithium", dose_mg_per_day=900),
        make_trial("mirtazapine", dose_mg_per_day=30, role="add_on"),
    ]
    unnamed, level, second = run(trials=[make_trial(), *rows]).to_json()["augmentations"]
    assert (unnamed["agent"], unnamed["agent_class"]) == (None, None)
    assert unnamed["text"] == "Not known: which medicine, whether the dose was enough."
    assert unnamed["source"] == "trial_adequacy.counting_rules.augmentation: seen (policies differ)"
    assert level["text"] == "Not known: whether the level was in the window."
    assert second["agent_class"] == "antidepressant_combination"


@pytest.mark.parametrize(
    ("name", "weeks", "dose", "most", "unit", "agent_class"),
    [
        ("lithium", 4, 600, None, "mg_per_day", "lithium"),
        ("aripiprazole", 6, 2, 15, "mg_per_day", "second_generation_antipsychotic"),
        ("liothyronine", 4, 25, 50, "mcg_per_day", "thyroid_hormone"),
    ],
)
def test_an_augmenting_agent_of_the_table(name, weeks, dose, most, unit, agent_class):
    agent = drugs.table()[name]
    assert (agent.id, agent.name, agent.kind) == (name, name, "augmentation")
    assert (agent.adequate_weeks, agent.min_dose, agent.usual_max, agent.dose_unit) == (weeks, dose, most, unit)
    assert (agent.drug_class, agent.augmentation_class) == (agent_class, agent_class)
    assert agent.payer_class == "not_a_standard_trial"
    assert agent.why_not_counted == "an augmenting agent, not a trial of its own"
    assert (agent.strict_min, agent.never_counts_when, agent.tms_flag) == (None, None, False)
    assert (agent.verified, agent.confidence, agent.src) == ("recalled", "high", ("fda_label",))
    assert agent.source == f"antidepressants {name}: fda_label; recalled, confidence high"


DAYS = {"started_on": "2026-01-01", "stopped_on": "2026-02-26", "weeks": None}  # eight weeks


def test_a_combination_as_it_is_shown(run, make_trial):
    pair = [make_trial(**DAYS), make_trial("venlafaxine", dose_mg_per_day=150, **DAYS)]
    result = run(trials=pair)
    text = (
        "Taken together for 8 weeks, from 2026-01-01 to 2026-02-26: one combination trial, neither was adequate alone."
    )
    assert result.to_json()["combinations"] == [
        {
            "trials": [0, 1],
            "since": "2026-01-01",
            "until": "2026-02-26",
            "weeks": 8,
            "counts_once": True,
            "text": text,
            "source": "trial_adequacy.counting_rules.combination: recalled",
        }
    ]
    (found,) = [each for each in result.trd.findings if each.code == "combination"]
    assert (found.status, found.text, found.evidence) == ("info", text, (0, 1))
