"""The pairs and what is taken, in words and at the borders of the washout."""

import pytest

from clinic.eligibility.engine import IntakeRecord
from clinic.eligibility.engine.interactions import interactions, taken

AS_OF = "2026-11-20"


def record(*medicines, trials=(), as_of=AS_OF):
    return IntakeRecord.model_validate({"as_of": as_of, "current_medicines": list(medicines), "trials": list(trials)})


def ended(drug, stopped, reason="inefficacy"):
    return {"drug": drug, "stopped_on": stopped, "stopped_reason": reason}


def test_a_pair_in_words():
    (shown,) = [each for each in interactions(record("Nardil", "Zoloft")) if each.code == "maoi_serotonergic"]
    assert shown.to_json() == {
        "code": "maoi_serotonergic",
        "level": "contraindicated",
        "medicines": ["Nardil", "Zoloft"],
        "treatments": [],
        "text": "Nardil with Zoloft: Risk of serotonin syndrome.",
        "action": "Do not combine. Keep the washout of the label.",
        "source": "interactions.maoi_serotonergic: fda_label; recalled",
    }


def test_a_pair_of_which_one_was_stopped_lately_says_so():
    found = interactions(record("Nardil", trials=[ended("Zoloft", "2026-11-19")]))
    (shown,) = [each for each in found if each.code == "maoi_serotonergic"]
    assert shown.text == "Zoloft with Nardil: Risk of serotonin syndrome. One was stopped lately."


def test_a_medicine_beside_a_treatment_in_words():
    (shown,) = [each for each in interactions(record("Xanax")) if each.code == "esketamine_sedative"]
    assert (shown.medicines, shown.treatments) == (("Xanax",), ("esketamine", "iv_ketamine"))
    assert shown.text.startswith("Xanax: ")
    assert shown.source.startswith("interactions.esketamine_sedative: ")
    assert shown.source.endswith("; recalled")
    stopped = interactions(record(trials=[ended("Nardil", "2026-11-19")]))
    assert all(not each.treatments for each in stopped)


def test_what_no_list_knows_is_named_and_an_empty_line_is_not():
    (shown,) = interactions(record("Moonroot", " ", "Sunleaf"))
    assert shown.to_json() == {
        "code": "not_checked",
        "level": "caution",
        "medicines": ["Moonroot", "Sunleaf"],
        "treatments": [],
        "text": "Not in the list, so not checked: Moonroot, Sunleaf.",
        "action": "Check by hand.",
        "source": "interactions",
    }
    assert interactions(record(" ")) == []


@pytest.mark.parametrize(
    ("drug", "stopped", "days"),
    [
        ("sertraline", "2026-11-20", 0),
        ("sertraline", "2026-11-21", 0),  # after the day of the record
        ("sertraline", "2026-11-07", 13),
        ("sertraline", "2026-11-06", None),
        ("venlafaxine", "2026-11-14", 6),
        ("venlafaxine", "2026-11-13", None),
        ("fluoxetine", "2026-10-17", 34),
        ("fluoxetine", "2026-10-16", None),
        ("vortioxetine", "2026-10-31", 20),
        ("vortioxetine", "2026-10-30", None),
        ("phenelzine", "2026-11-07", 13),
        ("phenelzine", "2026-11-06", None),
        ("sertraline", "2026-11", 0),
        ("mirtazapine", "2026-11-20", None),  # no washout is held for it
    ],
)
def test_the_days_since_the_last_dose_while_the_washout_lasts(drug, stopped, days):
    found = taken(record(trials=[ended(drug, stopped)]))
    assert [each.days_since for each in found] == ([] if days is None else [days])


def test_without_the_day_of_the_record_nothing_was_stopped_lately():
    assert taken(record(trials=[ended("sertraline", "2026-11-19")], as_of=None)) == []


def test_what_goes_on_is_taken_whatever_its_last_day():
    (one,) = taken(record(trials=[ended("sertraline", "2020-01-01", "ongoing")]))
    assert (one.written, one.days_since) == ("sertraline", None)


def test_one_medicine_is_taken_once_under_the_name_that_comes_first():
    found = taken(record("Zoloft", "sertraline", trials=[{"drug": "Lustral"}, {"drug": None}]))
    assert [each.written for each in found] == ["Zoloft"]
    both = taken(record("Zoloft", trials=[ended("sertraline", "2026-11-19")]))
    assert [(each.written, each.days_since) for each in both] == [("sertraline", 1), ("Zoloft", None)]


def test_two_that_were_both_stopped_make_no_pair():
    trials = [ended("Nardil", "2026-11-19"), ended("Zoloft", "2026-11-19")]
    assert [each for each in interactions(record(trials=trials)) if len(each.medicines) == 2] == []


def test_a_pair_without_a_washout_needs_both_now():
    assert "two_maoi" not in {
        each.code for each in interactions(record("Parnate", trials=[ended("Nardil", "2026-11-19")]))
    }
    assert "two_maoi" in {each.code for each in interactions(record("Parnate", "Nardil"))}


def test_the_most_serious_come_first():
    levels = [
        each.level for each in interactions(record("Xanax", "Advil", "Wellbutrin", "Zoloft", "Nardil", "tramadol"))
    ]
    order = ["contraindicated", "serious", "caution"]
    assert levels == sorted(levels, key=order.index)
    assert set(levels) == set(order)
