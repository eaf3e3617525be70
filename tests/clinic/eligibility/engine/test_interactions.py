import pytest

from clinic.eligibility.engine import IntakeRecord, drugs, knowledge
from clinic.eligibility.engine.interactions import interactions, tags


def found(*medicines, trials=()):
    record = {"as_of": "2026-11-20", "current_medicines": list(medicines), "trials": list(trials)}
    return interactions(IntakeRecord.model_validate(record))


def codes(*medicines, trials=()):
    return {each.code for each in found(*medicines, trials=trials)}


@pytest.mark.parametrize(
    ("one", "other", "code", "level"),
    [
        ("Nardil", "Zoloft", "maoi_serotonergic", "contraindicated"),
        ("Emsam", "venlafaxine", "maoi_serotonergic", "contraindicated"),
        ("linezolid", "Lexapro", "maoi_serotonergic", "contraindicated"),
        ("Parnate", "tramadol", "maoi_serotonergic", "contraindicated"),
        ("Parnate", "Wellbutrin", "maoi_bupropion", "contraindicated"),
        ("Parnate", "Adderall", "maoi_stimulant", "contraindicated"),
        ("Parnate", "Sudafed", "maoi_sympathomimetic", "contraindicated"),
        ("Zoloft", "tramadol", "serotonergic_opioid", "serious"),
        ("Wellbutrin", "tramadol", "bupropion_seizure", "serious"),
        ("Wellbutrin", "Xanax", "bupropion_sedative", "caution"),
        ("lithium", "Advil", "lithium_nsaid", "serious"),
        ("lithium", "HCTZ", "lithium_thiazide", "serious"),
        ("lithium", "lisinopril", "lithium_ace", "serious"),
        ("nortriptyline", "Prozac", "tca_2d6", "serious"),
        ("Zoloft", "Eliquis", "ssri_anticoagulant", "serious"),
        ("Celexa", "Geodon", "qt", "serious"),
        ("Celebrex", "Lexapro", "ssri_nsaid", "caution"),
    ],
)
def test_a_pair_is_shown_whichever_way_round(one, other, code, level):
    for pair in ((one, other), (other, one)):
        (shown,) = [each for each in found(*pair) if each.code == code]
        assert (shown.level, set(shown.medicines)) == (level, {one, other})
        assert "recalled" in shown.source


@pytest.mark.parametrize("pair", [("Zoloft", "levothyroxine"), ("Zoloft", "sertraline"), ("Zoloft",), ()])
def test_what_does_not_interact_shows_no_pair(pair):
    assert [each for each in found(*pair) if len(each.medicines) > 1] == []


def test_a_trial_that_goes_on_is_taken_and_one_that_ended_is_not(make_trial):
    running = make_trial("phenelzine", dose_mg_per_day=45, stopped_reason="ongoing")
    assert "maoi_serotonergic" in codes("Zoloft", trials=[running])
    assert "maoi_serotonergic" not in codes("Zoloft", trials=[running | {"stopped_reason": "inefficacy"}])


@pytest.mark.parametrize(
    ("drug", "stopped", "still"),
    [("fluoxetine", "2026-10-17", True), ("fluoxetine", "2026-10-15", False), ("sertraline", "2026-11-08", True)],
)
def test_an_maoi_within_the_washout_of_what_was_stopped(make_trial, drug, stopped, still):
    ended = make_trial(drug, stopped_on=stopped)
    running = make_trial("Parnate", dose_mg_per_day=30, stopped_reason="ongoing")
    assert ("maoi_serotonergic" in codes(trials=[ended, running])) is still


def test_the_most_serious_comes_first_and_a_treatment_is_named():
    shown = found("Xanax", "Nardil", "Zoloft")
    assert shown[0].level == "contraindicated"
    assert {each.code: each.treatments for each in shown}["esketamine_sedative"] == ("esketamine", "iv_ketamine")


def test_a_medicine_that_no_list_knows_is_said():
    (shown,) = found("Moonroot")
    assert (shown.code, shown.medicines) == ("not_checked", ("Moonroot",))


def test_every_member_of_the_lists_is_a_medicine_or_a_class_or_a_group():
    table = knowledge.interactions()
    every = [*drugs.table().values(), *drugs.others().values()]
    names = set().union(*(tags(drug) for drug in every)) | set(table["groups"])
    used = {name for members in table["groups"].values() for name in members}
    used |= {row[key] for row in table["pairs"] for key in ("one", "other")} | {
        row["one"] for row in table["treatments"]
    }
    assert used <= names
    assert all(set(row["src"]) <= set(table["sources"]) for row in (*table["pairs"], *table["treatments"]))


def test_medicines_taken_now_reach_the_screens(run, make_record):
    assert run(current_medicines=["Xanax"]).pathways["esketamine"].verdict == "needs_review"
    assert run(current_medicines=["tramadol"]).pathways["tms"].verdict == "needs_review"
    assert run(current_medicines=["ibuprofen"]).pathways["tms"].verdict == "likely_eligible"
    assert run(current_medicines=["Adderall"]).pathways["iv_ketamine"].verdict == "likely_eligible"
