"""The medicine history as bars: what is sure is drawn as sure, what is not is hatched."""

from datetime import date
from typing import Any

import pytest

from clinic.eligibility import history
from clinic.eligibility.engine.rules import ruleset
from clinic.web.charts import Ending, Level
from tests.builders import eligible_record, failed_trial

TODAY = date(2026, 11, 23)
RULES = ruleset("default")


def drawn(*trials: dict[str, Any]) -> list[history.Drawn]:
    return history.draw(history.facts_of(eligible_record(trials=list(trials), as_of="2026-11-23"), RULES), TODAY)


def bars(trial: dict[str, Any]) -> list[tuple[date, date | None, str]]:
    return [(each.starts, each.ends, str(each.level)) for each in drawn(trial)[0].segments]


def test_exact_days_at_dose_are_one_solid_bar() -> None:
    trial = failed_trial("sertraline", 150, weeks=8, weeks_at_dose=8, started_on="2025-01-01", stopped_on="2025-02-26")
    assert bars(trial) == [(date(2025, 1, 1), date(2025, 2, 26), "at")]


def test_the_height_is_dose_over_minimum() -> None:
    trial = failed_trial("sertraline", 100, started_on="2025-01-01", stopped_on="2025-03-01", weeks=8)
    assert drawn(trial)[0].segments[0].ratio == 2.0  # the minimum of sertraline is 50


def test_weeks_before_the_dose_was_reached_are_drawn_below_it() -> None:
    trial = failed_trial("sertraline", 100, weeks=10, weeks_at_dose=8, started_on="2025-01-01", stopped_on="2025-03-12")
    assert [level for _, _, level in bars(trial)] == ["below", "at"]
    assert bars(trial)[0][1] == date(2025, 1, 15)  # two weeks of ten


def test_a_month_is_hatched_at_both_ends_and_solid_between() -> None:
    trial = failed_trial("sertraline", 100, weeks=20, weeks_at_dose=20, started_on="2025-01", stopped_on="2025-06")
    assert bars(trial) == [
        (date(2025, 1, 1), date(2025, 1, 31), "unsure"),
        (date(2025, 1, 31), date(2025, 6, 1), "at"),
        (date(2025, 6, 1), date(2025, 6, 30), "unsure"),
    ]


def test_a_year_alone_is_hatched_whole() -> None:
    trial = failed_trial("sertraline", 100, weeks=8, started_on="2024", stopped_on="2024")
    assert {level for _, _, level in bars(trial)} == {"unsure"}


def test_what_is_still_taken_has_an_open_end() -> None:
    trial = failed_trial("sertraline", 100, started_on="2026-10-01", stopped_reason="ongoing", outcome="unknown")
    assert bars(trial)[-1][1] is None
    assert drawn(trial)[0].ending is None


def test_a_dose_below_the_minimum_is_below_and_a_range_across_it_is_not_sure() -> None:
    day = {"started_on": "2025-01-01", "stopped_on": "2025-03-01"}
    assert bars(failed_trial("sertraline", 25, **day))[0][2] == "below"
    assert bars(failed_trial("sertraline", [25, 100], **day))[0][2] == "unsure"


def test_steps_are_drawn_one_after_the_other_and_a_gap_stays_empty() -> None:
    steps = [{"dose": 25, "weeks": 2}, {"dose": 0, "weeks": 1}, {"dose": 100, "weeks": 7}]
    trial = failed_trial("sertraline", 100, weeks=10, started_on="2025-01-01", stopped_on="2025-03-12", steps=steps)
    assert bars(trial) == [
        (date(2025, 1, 1), date(2025, 1, 15), "below"),
        (date(2025, 1, 22), date(2025, 3, 12), "at"),
    ]


def test_without_a_day_nothing_is_drawn() -> None:
    row = drawn(failed_trial("sertraline", 100))[0]
    assert (row.segments, row.ending) == ((), Ending.NONE)


def test_a_stop_and_weeks_give_the_start() -> None:
    trial = failed_trial("sertraline", 100, weeks=8, weeks_at_dose=8, stopped_on="2025-02-26")
    assert bars(trial) == [(date(2025, 1, 1), date(2025, 2, 26), "at")]


def test_a_medicine_without_a_minimum_is_drawn_as_its_own_kind() -> None:
    trial = {"drug": "Celebrex", "started_on": "2025-01-01", "stopped_on": "2025-02-01"}
    assert [level for _, _, level in bars(trial)] == [Level.OTHER]


def test_an_end_before_the_start_draws_nothing() -> None:
    assert bars(failed_trial("sertraline", 100, started_on="2025-03-01", stopped_on="2025-01-01")) == []


def test_an_add_on_is_drawn_on_the_medicine_that_it_was_added_to() -> None:
    base = failed_trial("escitalopram", 20, weeks=40, started_on="2024-01-01", stopped_on="2024-10-07")
    other = failed_trial("sertraline", 100, weeks=8, started_on="2025-01-01", stopped_on="2025-02-26")
    added = failed_trial("aripiprazole", 5, role="add_on", weeks=8, started_on="2024-06-01", stopped_on="2024-07-27")
    rows = drawn(other, base, added)
    assert [len(row.add_ons) for row in rows] == [0, 1, 0]
    assert rows[1].add_ons[0].label == "aripiprazole 5 mg"


def test_the_sure_overlap_wins_over_the_possible_one() -> None:
    vague = failed_trial("bupropion", 300, weeks=8, started_on="2024", stopped_on="2024")
    base = failed_trial("escitalopram", 20, weeks=40, started_on="2024-01-01", stopped_on="2024-10-07")
    added = failed_trial("aripiprazole", 5, role="add_on", weeks=8, started_on="2024-06-01", stopped_on="2024-07-27")
    assert [len(row.add_ons) for row in drawn(vague, base, added)] == [0, 1, 0]


def test_a_trial_that_was_added_by_its_dates_is_drawn_on_the_other_one() -> None:
    base = failed_trial("sertraline", 100, weeks=16, started_on="2026-01-01", stopped_on="2026-04-23")
    later = failed_trial("bupropion", 300, weeks=8, started_on="2026-02-26", stopped_on="2026-04-23")
    undated = failed_trial("fluoxetine", 40, weeks=8)
    facts = history.facts_of(eligible_record(trials=[base, later, undated], as_of="2026-11-23"), RULES)
    rows = history.draw(facts, TODAY, {1: 0, 2: 0})
    assert [[each.label for each in row.add_ons] for row in rows] == [["bupropion 300 mg"], [], []]
    assert "with bupropion 300 mg added" in history.label(facts[0], rows[0])


@pytest.mark.parametrize(
    ("outcome", "reason", "ending"),
    [
        ("none", "inefficacy", Ending.NONE),
        ("partial", "inefficacy", Ending.PARTIAL),
        ("response", "other", Ending.HELPED),
        ("remission", "other", Ending.HELPED),
        ("lost_response", "inefficacy", Ending.LOST),
        ("none", "side_effects", Ending.SIDE_EFFECTS),
        ("partial", "side_effects", Ending.PARTIAL),
        ("unknown", "inefficacy", Ending.UNKNOWN),
    ],
)
def test_every_outcome_has_its_sign(outcome: str, reason: str, ending: Ending) -> None:
    trial = failed_trial("sertraline", 100, outcome=outcome, stopped_reason=reason)
    assert drawn(trial)[0].ending is ending


def test_the_words_say_what_the_bars_show() -> None:
    trial = failed_trial("sertraline", 100, weeks=10, started_on="2025-03", stopped_on="2025-06-02")
    facts = history.facts_of(eligible_record(trials=[trial], as_of="2026-11-23"), RULES)
    row = history.draw(facts, TODAY)[0]
    assert history.label(facts[0], row) == "March 2025 to Jun 2, 2025, 10 weeks, no change"


def test_evidence_sets_each_fact_beside_what_is_asked() -> None:
    trial = failed_trial("venlafaxine", 75, weeks=10, weeks_at_dose=4, adherence="partial")
    facts = history.facts_of(eligible_record(trials=[trial]), RULES)[0]
    rows = {row.fact: row for row in history.evidence(facts, "x")}
    assert (rows["Dose"].given, rows["Dose"].source) == ("75 mg per day", "x")
    assert rows["Dose"].threshold.startswith("at least 75 mg per day; the strictest source asks for")
    assert rows["Weeks at this dose"].given == "4"
    assert rows["Taken as prescribed"].given == "partial"


def test_what_is_asked_of_every_trial_names_its_source() -> None:
    asked = {row.fact: (row.threshold, row.source) for row in history.asked_of_all(RULES)}
    assert asked["Weeks at this dose"] == ("at least 6", f"rule set default {RULES.version}")
    assert asked["This episode"] == ("yes", "trial_adequacy.episode_scope: seen")
    facts = history.facts_of(eligible_record(trials=[failed_trial("sertraline", 100)]), RULES)[0]
    assert set(asked) < {row.fact for row in history.evidence(facts, "x")}  # each has its fact beside it


def test_an_episode_far_back_leaves_the_scale_to_this_one() -> None:
    old = failed_trial("sertraline", 100, started_on="2015-01", stopped_on="2015-06", in_current_episode=False)
    new = failed_trial("venlafaxine", 150, started_on="2025-01-10", stopped_on="2025-06-10")
    facts = history.facts_of(eligible_record(trials=[old, new], as_of="2026-11-23"), RULES)
    assert history.scale_from(facts, history.draw(facts, TODAY)) == date(2025, 1, 10)
    near = history.facts_of(eligible_record(trials=[new], as_of="2026-11-23"), RULES)
    assert history.scale_from(near, history.draw(near, TODAY)) is None


def test_a_record_that_is_none_draws_nothing() -> None:
    assert history.facts_of({"trials": [{"drug": "x", "dose": "many"}]}, RULES) == []
