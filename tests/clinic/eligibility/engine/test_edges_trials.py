"""The words, numbers and borders of the verdict on one row; every expected value follows from the rules by hand."""

import math

import pytest

from clinic.eligibility.engine import IntakeRecord, drugs
from clinic.eligibility.engine.record import Span, Step, Trial
from clinic.eligibility.engine.rules import ruleset
from clinic.eligibility.engine.trials import (
    ANY,
    Setting,
    _fill_one_gap,
    _meet,
    _run_at,
    amount,
    dose_unit,
    read,
    sources_for,
    span_text,
    weeks_text,
    weigh,
)


def shown(run, *trials, **record):
    return run(trials=list(trials), **record).to_json()["trials"]


def whys(run, trial, **record):
    return [why for why in shown(run, trial, **record)[0]["why"] if why["code"] != "no_small_change"]


@pytest.mark.parametrize(
    ("changes", "code", "text", "data"),
    [
        (
            {"dose_mg_per_day": 25},
            "inadequate_dose",
            "25 mg per day is 25 mg below the least adequate dose of 50 mg per day.",
            {"shortfall_mg": 25, "minimum_mg": 50},
        ),
        (
            {"dose_mg_per_day": [25, 37.5]},
            "inadequate_dose",
            "25 to 37.5 mg per day is 12.5 mg below the least adequate dose of 50 mg per day.",
            {"shortfall_mg": 12.5, "minimum_mg": 50},
        ),
        (
            {"weeks_at_dose": 4},
            "inadequate_duration",
            "4 weeks at this dose is 2 weeks short of 6 weeks.",
            {"shortfall_weeks": 2},
        ),
        (
            {"weeks_at_dose": 1},
            "inadequate_duration",
            "1 week at this dose is 5 weeks short of 6 weeks.",
            {"shortfall_weeks": 5},
        ),
        (
            {"weeks_at_dose": [3, 5]},
            "inadequate_duration",
            "3 to 5 weeks at this dose is 1 week short of 6 weeks.",
            {"shortfall_weeks": 1},
        ),
        (
            {"weeks_at_dose": [0, 5]},
            "inadequate_duration",
            "At most 5 weeks at this dose, 1 week short of 6 weeks.",
            {"shortfall_weeks": 1},
        ),
        (
            {"weeks": 4, "weeks_at_dose": None},
            "inadequate_duration",
            "At most 4 weeks in all, 2 weeks short of 6 weeks.",
            {"shortfall_weeks": 2},
        ),
        (
            {"weeks": 0, "weeks_at_dose": None},
            "inadequate_duration",
            "0 weeks in all is 6 weeks short of 6 weeks.",
            {"shortfall_weeks": 6},
        ),
        (
            {"weeks": None, "weeks_at_dose": None, "dose_mg_per_day": None, "steps": [{"dose": 50, "weeks": 4}]},
            "inadequate_duration",
            "4 weeks at this dose is 2 weeks short of 6 weeks.",
            {"shortfall_weeks": 2},
        ),
        ({"purpose": "sleep"}, "other_purpose", "Taken for sleep, not for depression.", {}),
        ({"purpose": "other"}, "other_purpose", "Taken for another purpose, not for depression.", {}),
        ({"role": "add_on"}, "add_on", "Added to another medicine: an augmentation, not a trial of its own.", {}),
        ({"in_current_episode": False}, "historic_episode", "Taken in an earlier episode.", {}),
        ({"contraindicated": " QT "}, "contraindicated", "Could not be tried for a medical reason: QT.", {}),
        ({"outcome": "response"}, "responded", "It helped: response.", {}),
        ({"outcome": "remission"}, "responded", "It helped: remission.", {}),
        (
            {"outcome": "lost_response"},
            "responded",
            "It helped, then stopped helping: a clinician decides.",
            {},
        ),
        (
            {"stopped_reason": "side_effects", "weeks_at_dose": 2},
            "intolerance",
            "Stopped early for side effects: shown, not counted.",
            {},
        ),
        ({"adherence": "poor"}, "inadequate_adherence", "Taken as prescribed only in part: poor.", {}),
        (
            {"adherence": "poor", "missed_doses_per_week": 4},
            "inadequate_adherence",
            "Taken as prescribed only in part: poor.",
            {},
        ),
        (
            {"adherence": "unknown", "missed_doses_per_week": [2, 3]},
            "inadequate_adherence",
            "Adherence in doubt: 2 to 3 doses missed a week.",
            {},
        ),
        (
            {"adherence": None, "missed_doses_per_week": 2},
            "inadequate_adherence",
            "Adherence in doubt: 2 doses missed a week.",
            {},
        ),
        (
            {"drug": "Emsam", "dose_mg_per_day": 3},
            "inadequate_dose",
            (
                "3 mg per 24 h is 3 mg below the least adequate dose of 6 mg per 24 h. "
                "Never counts: oral selegiline 5-10 mg (Eldepryl, Zelapar) for Parkinson disease."
            ),
            {"shortfall_mg": 3, "minimum_mg": 6},
        ),
        (
            {"drug": "Paxil CR", "dose_mg_per_day": 12.5},
            "inadequate_dose",
            (
                "12.5 mg per day is 12.5 mg below the least adequate dose of 25 mg per day "
                "in the form controlled release. Never counts: Brisdelle 7.5 mg (vasomotor symptoms)."
            ),
            {"shortfall_mg": 12.5, "minimum_mg": 25},
        ),
        # What could still change the verdict
        (
            {"drug": "Emsam", "dose_mg_per_day": None},
            "missing",
            "The dose is not known; at least 6 mg per 24 h counts.",
            {"field": "dose_mg_per_day"},
        ),
        (
            {"drug": "Emsam", "dose_mg_per_day": [3, 9]},
            "uncertain",
            "The dose, 3 to 9 mg per 24 h, may be below or at 6 mg per 24 h.",
            {"field": "dose_mg_per_day"},
        ),
        (
            {"dose_mg_per_day": None},
            "missing",
            "The dose is not known; at least 50 mg per day counts.",
            {"field": "dose_mg_per_day"},
        ),
        (
            {"drug": "Zoloft 100 mg", "dose_mg_per_day": None},
            "missing",
            "The dose is not known; at least 50 mg per day counts. The name says 100 mg: was that the dose in a day?",
            {"field": "dose_mg_per_day", "offered_mg": 100},
        ),
        (
            {"dose_mg_per_day": [25, 100]},
            "uncertain",
            "The dose, 25 to 100 mg per day, may be below or at 50 mg per day.",
            {"field": "dose_mg_per_day"},
        ),
        (
            {"weeks": None, "weeks_at_dose": None},
            "missing",
            "The weeks at this dose are not known; at least 6 count.",
            {"field": "weeks_at_dose"},
        ),
        (
            {"weeks_at_dose": [4, 8]},
            "uncertain",
            "The weeks at this dose, 4 to 8, may be under or at 6.",
            {"field": "weeks_at_dose"},
        ),
        (
            {"weeks": None, "weeks_at_dose": None, "steps": [{"dose": 100, "weeks": None}]},
            "uncertain",
            "The weeks at this dose, at least 0, may be under or at 6.",
            {"field": "weeks_at_dose"},
        ),
        ({"adherence": None}, "missing", "Missed doses are not known.", {"field": "adherence"}),
        ({"adherence": "unknown"}, "missing", "Missed doses are not known.", {"field": "adherence"}),
        (
            {"adherence": "good", "missed_doses_per_week": 3},
            "missing",
            "The missed doses do not fit what is said about taking it as prescribed.",
            {"field": "adherence"},
        ),
        (
            {"adherence": "unknown", "missed_doses_per_week": [1, 2]},
            "missing",
            "1 to 2 missed doses a week may be over or under a fifth.",
            {"field": "adherence"},
        ),
        ({"outcome": None}, "missing", "The outcome is not known.", {"field": "outcome"}),
        ({"outcome": "unknown"}, "missing", "The outcome is not known.", {"field": "outcome"}),
        (
            {"outcome": "none", "improvement_percent": 60},
            "missing",
            "The percent of improvement does not fit the outcome.",
            {"field": "outcome"},
        ),
        (
            {"outcome": "unknown", "improvement_percent": [40, 60]},
            "missing",
            "40 to 60 percent better may be under or over half.",
            {"field": "outcome"},
        ),
        (
            {"in_current_episode": True, "weeks_well_after": 8},
            "missing",
            "Eight weeks well or more after it would begin a new episode, yet it is said to be of this one.",
            {"field": "in_current_episode"},
        ),
        (
            {"started_on": "2015-01", "stopped_on": "2015-06", "weeks": None},
            "missing",
            "The dates do not fit what is said about the episode.",
            {"field": "in_current_episode"},
        ),
        (
            {"in_current_episode": None},
            "missing",
            "Not known whether it was in the current episode.",
            {"field": "in_current_episode"},
        ),
        (
            {"in_current_episode": None, "weeks_well_after": [6, 10]},
            "missing",
            "Not known whether it was in the current episode.",
            {"field": "in_current_episode"},
        ),
        ({"purpose": None}, "missing", "Not known what it was taken for.", {"field": "purpose"}),
        (
            {"drug": "trazodone for sleep", "dose_mg_per_day": 300},
            "missing",
            "Said to be for depression, yet the name says sleep.",
            {"field": "purpose"},
        ),
        (
            {"role": None},
            "missing",
            "Not known whether it was taken alone or added to another medicine.",
            {"field": "role"},
        ),
        ({"drug": None}, "missing", "The medicine is not named.", {"field": "drug"}),
        ({"drug": "  "}, "missing", "The medicine is not named.", {"field": "drug"}),
        (
            {"drug": "Qwertzu"},
            "unknown_drug",
            "No medicine of that name is in the table.",
            {"field": "drug", "suggestions": []},
        ),
        # What counts, in words
        (
            {},
            "adequate",
            "100 mg per day (at least 50), 8 weeks at dose (at least 6), taken as prescribed, no improvement.",
            {},
        ),
        (
            {"outcome": "partial", "weeks_at_dose": [6, 8]},
            "adequate",
            "100 mg per day (at least 50), 6 to 8 weeks at dose (at least 6), taken as prescribed, partial improvement.",
            {},
        ),
        (
            {"drug": "Emsam", "dose_mg_per_day": 6},
            "adequate",
            "6 mg per 24 h (at least 6), 8 weeks at dose (at least 6), taken as prescribed, no improvement.",
            {},
        ),
        (
            {"drug": "Auvelity", "dose_mg_per_day": 210},
            "adequate",
            (
                "210 mg of bupropion per day (at least 210), 8 weeks at dose (at least 6), taken as prescribed, "
                "no improvement."
            ),
            {},
        ),
    ],
)
def test_the_first_reason_in_words_and_numbers(run, make_trial, changes, code, text, data):
    found = whys(run, make_trial(**changes))[0]
    assert found == {"code": code, "text": text, **data}


def test_every_fault_is_named_in_the_order_of_the_verdicts(run, make_trial):
    trial = make_trial(
        dose_mg_per_day=25,
        weeks_at_dose=2,
        adherence="partial",
        outcome="response",
        stopped_reason="side_effects",
        in_current_episode=False,
    )
    assert [why["code"] for why in whys(run, trial)] == [
        "historic_episode",
        "responded",
        "intolerance",
        "inadequate_dose",
        "inadequate_duration",
        "inadequate_adherence",
    ]


def test_two_other_uses_are_no_use_for_depression(run, make_trial):
    (why, *_) = whys(run, make_trial("trazodone for sleep", purpose="pain"))
    assert why["code"] == "other_purpose"


def test_a_product_that_never_counts_in_words(run, make_trial):
    why, *_ = whys(run, make_trial("Silenor", dose_mg_per_day=6))
    assert why == {
        "code": "product_not_counted",
        "text": "Silenor is not a treatment of depression: Silenor 3-6 mg (insomnia) and topical doxepin.",
    }


def test_a_dose_that_nobody_said_of_a_medicine_that_nobody_named(run, make_trial):
    (_, dose) = whys(run, make_trial(None, dose_mg_per_day=None))
    assert dose == {"code": "missing", "text": "The dose is not known.", "field": "dose_mg_per_day"}


def test_an_open_form_in_words(run, make_trial):
    texts = [why["text"] for why in whys(run, make_trial("selegiline", dose_mg_per_day=None))]
    assert "The form decides here: a patch can count, the swallowed form cannot." in texts


def test_every_open_field_is_named_in_order(run):
    result = run(trials=[{"drug": "sertraline"}]).to_json()["trials"][0]
    assert result["verdict"] == "undetermined"
    fields = [why["field"] for why in result["why"] if "field" in why]
    assert fields == [
        "dose_mg_per_day",
        "weeks_at_dose",
        "adherence",
        "outcome",
        "in_current_episode",
        "purpose",
        "role",
    ]
    assert [why["field"] for why in run(trials=[{}]).to_json()["trials"][0]["why"] if "field" in why] == [
        "drug",
        *fields,
    ]


def test_a_dose_without_a_name_is_asked_only_where_nothing_is_said_of_it(run, make_trial):
    def fields(**changes):
        return [why.get("field") for why in whys(run, make_trial(None, **changes))]

    assert fields() == ["drug"]
    assert fields(dose_mg_per_day=None) == ["drug", "dose_mg_per_day"]
    assert fields(dose_mg_per_day=None, weeks_at_dose=None, steps=[{"dose": 50, "weeks": 7}]) == ["drug"]


def test_an_augmenting_agent_that_was_added_has_one_reason(run, make_trial):
    assert [why["code"] for why in whys(run, make_trial("aripiprazole", role="add_on"))] == ["drug_not_counted"]
    assert [why["code"] for why in whys(run, make_trial("ketamine", role="add_on"))] == ["drug_not_counted", "add_on"]


def test_a_name_that_several_medicines_share_lists_them(run, make_trial):
    (found,) = whys(run, make_trial("sertraline and fluoxetine"))
    assert found["text"] == (
        f"More than one medicine is named: {', '.join(found['suggestions'])}. One row is one medicine."
    )
    assert len(found["suggestions"]) == 2
    (near,) = whys(run, make_trial("Celebrex"))
    assert near["text"].endswith(f"{', '.join(near['suggestions'])}.")


def test_the_strictest_source_is_named_with_its_dose(run, make_trial):
    rows = whys(run, make_trial("venlafaxine", dose_mg_per_day=75))
    assert [row["code"] for row in rows] == ["adequate", "low_dose"]
    assert rows[1]["text"] == ("Low by the strictest source, which asks for 150 mg per day. Clinician to confirm.")


def test_a_level_in_the_window_stands_for_the_dose(run, make_trial):
    (found,) = whys(run, make_trial("nortriptyline", dose_mg_per_day=25, level_therapeutic=True))
    assert found["text"].startswith("A documented level in the window (")
    assert found["text"].endswith(
        "), whatever the dose, 8 weeks at dose (at least 6), taken as prescribed, no improvement."
    )


@pytest.mark.parametrize(("dose", "noted"), [(20, True), (12, False), (12.01, True)])
def test_a_patch_above_the_most_in_24_hours_is_read_per_patch(run, make_trial, dose, noted):
    rows = whys(run, make_trial("Emsam", dose_mg_per_day=dose))
    assert [row["code"] for row in rows] == ["adequate"] + ["patch_unit"] * noted
    if noted:
        assert rows[1]["text"] == (
            "Above 12 mg per 24 h: read as mg per patch, which delivers at least the least dose."
        )


def test_a_slip_is_said_with_what_it_was_read_as(run, make_trial):
    assert whys(run, make_trial("Zolofft"))[-1]["text"].startswith("Read as ")


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"weeks_at_dose": 4}, "borderline_duration"),
        ({"weeks_at_dose": 3.99}, "inadequate_duration"),
        ({"weeks_at_dose": 5.99}, "borderline_duration"),
        ({"weeks_at_dose": 6}, "adequate_failed"),
        ({"weeks_at_dose": 4, "stopped_reason": "ongoing"}, "ongoing_not_yet_adequate"),
        ({"outcome": "partial"}, "adequate_partial"),
        ({"outcome": "remission"}, "adequate_responded"),
        ({"dose_mg_per_day": 25}, "inadequate_dose"),
        ({"adherence": "partial"}, "inadequate_adherence"),
        ({"stopped_reason": "side_effects", "dose_mg_per_day": 25}, "intolerance"),
        ({"stopped_reason": "side_effects"}, "adequate_failed"),
        # The percent against the stated outcome: under 25 none, from 25 partial, from 50 a response.
        ({"outcome": None, "improvement_percent": [10, 30]}, "adequate_partial"),
        ({"outcome": "none", "improvement_percent": [10, 30]}, "adequate_failed"),
        ({"outcome": "none", "improvement_percent": 25}, "adequate_partial"),
        ({"outcome": "partial", "improvement_percent": 24.9}, "adequate_failed"),
        ({"outcome": "partial", "improvement_percent": [30, 49]}, "adequate_partial"),
        ({"outcome": "remission", "improvement_percent": 49}, "unknown"),
        ({"outcome": "partial", "improvement_percent": 50}, "unknown"),
        ({"outcome": "remission", "improvement_percent": 50}, "adequate_responded"),
        ({"outcome": "lost_response", "improvement_percent": 60}, "lost_response"),
        ({"outcome": "none", "improvement_percent": [40, 60]}, "adequate_failed"),
        # A fifth of seven doses is 1.4.
        ({"adherence": "partial", "missed_doses_per_week": 1.4}, "unknown"),
        ({"adherence": "partial", "missed_doses_per_week": 1.5}, "inadequate_adherence"),
        ({"adherence": "good", "missed_doses_per_week": [1, 2]}, "adequate_failed"),
        ({"adherence": "poor", "missed_doses_per_week": [1, 2]}, "inadequate_adherence"),
        ({"adherence": "good", "missed_doses_per_week": 1.4}, "adequate_failed"),
        # Weeks in all and at the dose agree within half a week.
        ({"weeks": 7.5, "weeks_at_dose": 8}, "adequate_failed"),
        ({"weeks": 5, "weeks_at_dose": 8}, "unknown"),
        ({"weeks": [5, 12], "weeks_at_dose": [6, 12]}, "adequate_failed"),
    ],
)
def test_the_detail_at_each_border(run, make_trial, changes, detail):
    assert shown(run, make_trial(**changes))[0]["detail"] == detail


# The record's day is 2026-11-20; an onset 60 weeks before is 2025-09-26, and a week either way is forgiven.


@pytest.mark.parametrize(
    ("dates", "expected"),
    [
        ({"stopped_on": "2025-09-18"}, "not_counted"),
        ({"stopped_on": "2025-09-19"}, "undetermined"),
        ({"started_on": "2025-10-03"}, "undetermined"),
        ({"started_on": "2025-10-04"}, "adequate"),
        ({"started_on": "2025-09-20"}, "undetermined"),
        ({"stopped_on": "2025-10-10"}, "undetermined"),
        ({}, "undetermined"),
    ],
)
def test_a_date_puts_a_row_into_an_episode_beyond_a_week_of_the_onset(run, make_trial, dates, expected):
    assert shown(run, make_trial(in_current_episode=None, **dates))[0]["verdict"] == expected


@pytest.mark.parametrize(
    ("stopped", "expected"),
    [
        ("2026-03-31", "not_counted"),
        ("2026-03", "not_counted"),
        ("2026-04-01", "not_counted"),
        ("2026-04-02", "adequate"),
    ],
)
def test_what_ended_by_the_first_day_of_a_time_well_belongs_before_it(run, make_trial, stopped, expected):
    well = make_trial("fluoxetine", in_current_episode=False, stopped_on="2026-04-01", weeks_well_after=8)
    row = make_trial(in_current_episode=None, started_on="2026-01-01", weeks=None, stopped_on=stopped)
    assert shown(run, row, well)[0]["verdict"] == expected


def test_a_time_well_of_under_eight_weeks_begins_nothing(run, make_trial):
    well = make_trial("fluoxetine", stopped_on="2026-04-01", weeks_well_after=[7, 9])
    row = make_trial(in_current_episode=None, started_on="2026-01-01", weeks=None, stopped_on="2026-03-31")
    assert shown(run, row, well)[0]["verdict"] == "adequate"


# The weeks of the whole trial by its dates, where the weeks at the dose have to fit in.


@pytest.mark.parametrize(
    ("dates", "held", "expected"),
    [
        ({"started_on": "2026-01-01", "stopped_on": "2026-02-12"}, 6.5, "adequate"),  # 42 days, half a week forgiven
        ({"started_on": "2026-01-01", "stopped_on": "2026-02-08"}, 6, "undetermined"),  # 38 days: 5.43 weeks
        ({"started_on": "2026-01-01", "stopped_on": "2026-02-09"}, 6, "adequate"),  # 39 days: 5.57 weeks
        ({"started_on": "2026-01-01", "stopped_on": "2026-01-01"}, 6, "undetermined"),
        ({"started_on": "2026-11-20"}, 6, "undetermined"),
        ({"started_on": "2026-11-21"}, 6, "undetermined"),
        ({"started_on": "2026-10-01", "stopped_reason": "ongoing"}, 6, "adequate"),
        ({"started_on": "2026-10-20", "stopped_reason": "ongoing"}, 6, "undetermined"),
    ],
)
def test_the_weeks_at_dose_fit_between_the_dates(run, make_trial, dates, held, expected):
    trial = make_trial(weeks=None, weeks_at_dose=held, **dates)
    assert shown(run, trial)[0]["verdict"] == expected


def facts_of(trial, **record):
    read_in = IntakeRecord.model_validate({"as_of": "2026-11-20", "trials": [trial], **record})
    rules = ruleset("default")
    return read(read_in.trials[0], Setting.of(read_in, rules), rules)


@pytest.mark.parametrize(
    ("dates", "weeks"),
    [
        ({"started_on": "2026-01-01", "stopped_on": "2026-01-15"}, Span(2, 2)),
        ({"started_on": "2026-01-01", "stopped_on": "2026-01-01"}, Span(0, 0)),
        ({"started_on": "2026-01-01", "stopped_on": "2026-01-02"}, Span(1 / 7, 1 / 7)),
        ({"started_on": "2026-11-06", "stopped_reason": "ongoing"}, Span(2, 2)),
        ({"started_on": "2026-11-06"}, Span(0, 2)),
        ({"started_on": "2026-11-06", "stopped_reason": "other"}, Span(0, 2)),
        ({"started_on": "2026-01-01", "stopped_on": "2026-01"}, Span(0, 30 / 7)),
        ({"started_on": "2026-01", "stopped_on": "2026-03"}, Span(29 / 7, 89 / 7)),
        ({"started_on": "2026-11-06", "weeks": 1.5}, Span(1.5, 1.5)),
        ({"started_on": "2026-11-06", "weeks": [1, 4]}, Span(1, 2)),
        ({"started_on": "2026-11-06", "weeks": [2.5, 4]}, Span(2.5, 4)),  # agrees within half a week: as stated
        ({"started_on": "2026-11-06", "weeks": [3, 4]}, Span(2, 3)),  # contradicts: everything from one to the other
    ],
)
def test_the_weeks_in_all_by_the_dates(dates, weeks):
    assert facts_of({"drug": "sertraline", **dates}).all_weeks == pytest.approx(weeks)


HELD, LOW, GAP = (50, 50), (25, 25), (0, 0)


@pytest.mark.parametrize(
    ("steps", "weeks"),
    [
        ([(HELD, (6, 6))], (6, 6)),
        ([(HELD, (3, 3)), (LOW, (1, 1)), (HELD, (5, 5))], (5, 5)),
        ([(HELD, (5, 5)), (LOW, (1, 1)), (HELD, (3, 3))], (5, 5)),
        ([(HELD, (3, 3)), (GAP, (1, 1)), (HELD, (5, 5))], (8, 8)),  # one gap is forgiven
        ([(HELD, (3, 3)), (GAP, (2, 2)), (HELD, (5, 5))], (8, 8)),  # of two weeks
        ([(HELD, (3, 3)), (GAP, (2.1, 2.1)), (HELD, (5, 5))], (5, 5)),
        ([(HELD, (3, 3)), (GAP, (1, 1)), (HELD, (1, 1)), (GAP, (1, 1)), (HELD, (4, 4))], (5, 5)),  # and no second one
        ([(GAP, (1, 1)), (HELD, (5, 5))], (5, 5)),
        ([(LOW, (4, 4))], (0, 0)),
        ([(LOW, (4, 4)), (LOW, (1, 1))], (0, 0)),
        ([((49.9, 50), (6, 6))], (0, 6)),
        ([(HELD, (6, 8)), (HELD, (1, 2))], (7, 10)),
        ([(HELD, (3, 3)), (GAP, (1, 3)), (HELD, (5, 5))], (5, 8)),  # a gap of which the length is open
        ([(HELD, (3, 3)), ((0, 25), (1, 1)), (HELD, (5, 5))], (5, 8)),  # and one that may have been none
        ([(HELD, (3, 3)), ((1, 25), (1, 1)), (HELD, (5, 5))], (5, 5)),
    ],
)
def test_the_longest_run_of_weeks_at_a_dose(steps, weeks):
    spans = [(Span(*dose), Span(*length)) for dose, length in steps]
    assert _run_at(spans, minimum=50, gap=2) == weeks


@pytest.mark.parametrize(
    ("weeks", "total", "filled"),
    [
        ([4, 5], (12, 12), [(4, 4), (5, 5)]),
        ([4, None], (12, 12), [(4, 4), (8, 8)]),
        ([None, 4], (10, 12), [(6, 8), (4, 4)]),
        ([[3, 4], None, 2], (10, 12), [(3, 4), (4, 7), (2, 2)]),
        ([None, 14], (10, 12), [(0, 0), (14, 14)]),
        ([None], (0.5, 0.5), [(0.5, 0.5)]),
        ([4, None], (4.5, 4.5), [(4, 4), (0.5, 0.5)]),
        ([None, None], (12, 12), [ANY, ANY]),
        ([4, None], (0, math.inf), [(4, 4), ANY]),
    ],
)
def test_the_weeks_of_one_step_follow_from_those_of_the_others(weeks, total, filled):
    steps = [Step.model_validate({"dose": 25 * at, "weeks": each}) for at, each in enumerate(weeks, 1)]
    doses = [Span(25 * at, 25 * at) for at in range(1, len(weeks) + 1)]
    assert _fill_one_gap(steps, Span(*total)) == list(zip(doses, filled, strict=True))
    assert _fill_one_gap([Step()], Span(2, 2)) == [(ANY, (2, 2))]


@pytest.mark.parametrize(
    ("stated", "other", "both"),
    [
        ((4, 8), ANY, (4, 8)),
        ((4, 8), (6, 10), (6, 8)),
        ((6, 10), (4, 8), (6, 8)),
        ((4, 8), (8, 10), (8, 8)),
        ((4, 8), (8.5, 10), (4, 8)),  # half a week apart: as stated
        ((4, 8), (8.6, 10), (8, 8.6)),  # they contradict each other: from the one to the other
        ((8.6, 10), (4, 8), (8, 8.6)),
    ],
)
def test_two_ways_to_say_the_weeks(stated, other, both):
    assert _meet(Span(*stated), other if other is ANY else Span(*other)) == both


@pytest.mark.parametrize(
    ("said", "held"),
    [
        ({"weeks": 7.5, "weeks_at_dose": 8}, Span(8, 8)),  # half a week apart: as it is stated
        ({"weeks": 7.4, "weeks_at_dose": 8}, Span(7.4, 8)),  # more: nobody knows which of the two is wrong
        ({"weeks": 8, "weeks_at_dose": 8}, Span(8, 8)),
        ({"weeks": 6, "weeks_at_dose": [4, 8]}, Span(4, 6)),
        ({"weeks": [6, 7], "weeks_at_dose": [4, 8]}, Span(4, 7)),
        ({"weeks": 5, "weeks_at_dose": None}, Span(0, 5)),
        ({"started_on": "2026-03-01", "stopped_on": "2026-02-01", "weeks_at_dose": 8}, Span(0, 8)),  # ends first
        ({"started_on": "2026-03-01", "stopped_on": "2026-02-01", "weeks_at_dose": 0.5}, Span(0.5, 0.5)),
    ],
)
def test_the_weeks_at_dose_beside_the_weeks_in_all(said, held):
    assert facts_of({"drug": "sertraline", **said}).at_dose == held


def test_without_a_day_of_the_record_a_running_trial_has_no_length():
    for reason in ("ongoing", None):
        trial = {"drug": "sertraline", "started_on": "2026-11-06", "stopped_reason": reason}
        assert facts_of(trial, as_of=None).all_weeks == (0, float("inf"))


@pytest.mark.parametrize(
    ("steps", "more", "dose", "held", "total"),
    [
        ([(25, 2), (50, 6)], {}, Span(50, 50), Span(6, 6), Span(8, 8)),
        ([(50, [2, 3]), (100, [4, 5])], {}, Span(100, 100), Span(6, 8), Span(6, 8)),
        ([([25, 50], 6)], {}, Span(25, 50), Span(0, 6), Span(6, 6)),
        ([(25, 3), (25, 4)], {}, Span(25, 25), Span(7, 7), Span(7, 7)),  # below it throughout: weeks at the best dose
        ([(25, 2), (37.5, 4)], {}, Span(37.5, 37.5), Span(4, 4), Span(6, 6)),
        ([(50, None), (25, 2)], {"weeks": 10}, Span(50, 50), Span(8, 8), Span(10, 10)),
        ([(50, None), (25, [1, 3])], {"weeks": [10, 12]}, Span(50, 50), Span(7, 11), Span(10, 12)),
        ([(50, None), (25, 4)], {"weeks": 3}, Span(50, 50), Span(0, 0), Span(3, 4)),
        ([(50, 6), (0, 1), (50, 6)], {}, Span(50, 50), Span(12, 12), Span(13, 13)),
        ([(0, 1), (50, 6)], {}, Span(50, 50), Span(6, 6), Span(7, 7)),
        ([(50, 6)], {"dose_mg_per_day": 100}, Span(50, 100), Span(6, 6), Span(6, 6)),  # contradict each other
        ([(50, 6), (100, 2)], {"dose_mg_per_day": 50}, Span(100, 100), Span(8, 8), Span(8, 8)),
        ([(100, 2)], {"weeks_at_dose": 2.5}, Span(100, 100), Span(2, 2), Span(2, 2)),
        ([(100, 2)], {"weeks_at_dose": 10}, Span(100, 100), Span(2, 10), Span(2, 10)),
    ],
)
def test_the_steps_put_together(steps, more, dose, held, total):
    rows = [{"dose": each, "weeks": weeks} for each, weeks in steps]
    found = facts_of({"drug": "sertraline", "steps": rows, **more})
    assert (found.dose, found.at_dose, found.all_weeks) == (dose, held, total)


@pytest.mark.parametrize(
    ("changes", "data"),
    [
        ({"weeks_at_dose": 5, "stopped_reason": "ongoing"}, {"on": "2026-11-27"}),
        ({"weeks_at_dose": [4, 5], "stopped_reason": "ongoing"}, {"on": "2026-12-04", "not_before": "2026-11-27"}),
        ({"weeks_at_dose": [4, 7], "stopped_reason": "ongoing"}, {"on": "2026-12-04", "not_before": "2026-11-20"}),
        ({"weeks_at_dose": 5}, None),
        ({"weeks_at_dose": 6, "stopped_reason": "ongoing"}, None),
        ({"weeks_at_dose": 6, "adherence": None, "stopped_reason": "ongoing"}, None),  # long enough already
        ({"weeks_at_dose": 5, "adherence": None, "stopped_reason": "ongoing"}, {"on": "2026-11-27"}),
        ({"weeks_at_dose": [5, 7], "adherence": None, "stopped_reason": "inefficacy"}, None),
        ({"weeks_at_dose": None, "stopped_reason": "ongoing"}, None),  # nobody knows since when
        ({"drug": "Qwertzu", "weeks_at_dose": 5, "stopped_reason": "ongoing"}, None),
        ({"weeks_at_dose": 5.9, "stopped_reason": "ongoing"}, {"on": "2026-11-21"}),
        ({"weeks_at_dose": 5.8, "stopped_reason": "ongoing"}, {"on": "2026-11-22"}),  # a day begun is waited for
        ({"weeks_at_dose": [4, 7], "dose_mg_per_day": [25, 50], "stopped_reason": "ongoing"}, None),
    ],
)
def test_the_day_on_which_it_will_be_long_enough(run, make_trial, changes, data):
    found = [why for why in whys(run, make_trial(weeks=None, **changes)) if why["code"] == "still_taking"]
    if data is None:
        assert found == []
        return
    (only,) = found
    first = data.get("not_before")
    words = f"between {first} and {data['on']}" if first else f"on {data['on']}"
    assert only == {"code": "still_taking", "text": f"Still taking: long enough {words}.", **data}


@pytest.mark.parametrize(
    ("steps", "on"),
    [
        ([(25, 2), (50, 3), (100, 1)], "2026-12-04"),
        ([(50, 5)], "2026-11-27"),
        ([(50, 3), (25, 1), (50, 2)], "2026-12-18"),  # held for two weeks now
        ([(50, 3), (0, 1), (50, 1)], "2026-12-25"),
        ([(50, 3), (50, None)], None),
        ([(50, 3), (None, 2)], None),
        ([(50, 3), (25, 2)], None),
    ],
)
def test_the_present_dose_is_held_since_the_last_lower_step(run, make_trial, steps, on):
    rows = [{"dose": dose, "weeks": weeks} for dose, weeks in steps]
    trial = make_trial(dose_mg_per_day=None, weeks=None, weeks_at_dose=None, steps=rows, stopped_reason="ongoing")
    found = [why["on"] for why in whys(run, trial) if why["code"] == "still_taking"]
    assert found == ([on] if on else [])


def test_no_day_is_named_without_the_day_of_the_record(run, make_trial):
    rows = whys(run, make_trial(weeks=None, weeks_at_dose=5, stopped_reason="ongoing"), as_of=None)
    assert [row["code"] for row in rows] == ["inadequate_duration"]


def test_steps_below_the_least_dose_at_the_end_have_no_such_day(run, make_trial):
    steps = [{"dose": 50, "weeks": 3}, {"dose": 25, "weeks": 2}]
    trial = make_trial(dose_mg_per_day=None, weeks=None, weeks_at_dose=None, steps=steps, stopped_reason="ongoing")
    assert "still_taking" not in [row["code"] for row in whys(run, trial)]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({}, {"adherence": None}),
        ({"documentation": "pharmacy"}, {"documentation": "letter"}),
        ({"documentation": "letter"}, {"documentation": "patient"}),
        ({"documentation": "letter"}, {}),
        ({"weeks_at_dose": [6, 7]}, {"weeks_at_dose": [6, 8]}),
        ({"dose_mg_per_day": [50, 60]}, {"dose_mg_per_day": [50, 100]}),
        ({"weeks_at_dose": 9}, {"weeks_at_dose": 8}),
        ({"dose_mg_per_day": 150}, {"dose_mg_per_day": 100}),
        # An earlier rule decides before a later one.
        ({"documentation": "chart", "weeks_at_dose": [6, 8]}, {"documentation": "patient"}),
        ({"weeks_at_dose": 6, "dose_mg_per_day": [50, 100]}, {"weeks_at_dose": [8, 9]}),
    ],
)
def test_the_better_row_of_one_medicine_stands(run, make_trial, first, second):
    better, other = make_trial(**first), make_trial(**second)
    rows = shown(run, better, other)
    assert rows[1]["verdict"] == "duplicate"
    turned = shown(run, other, better)
    assert turned[0]["verdict"] == "duplicate"
    assert turned[0]["detail"] == "duplicate_ingredient"
    assert turned[0]["why"] == [
        {"code": "duplicate_ingredient", "text": "Same medicine as trial 2, counted once.", "of": 1}
    ]


def test_every_medicine_that_was_entered_twice_counts_once(run, make_trial):
    names = ["fluoxetine", "sertraline", "Zoloft", "Prozac", "mirtazapine", "zoloft 100 mg"]
    rows = shown(run, *(make_trial(name) for name in names))
    assert [row["verdict"] for row in rows] == [
        "adequate",
        "adequate",
        "duplicate",
        "duplicate",
        "adequate",
        "duplicate",
    ]


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        (None, "mg per day"),
        ("sertraline", "mg per day"),
        ("selegiline_transdermal", "mg per 24 h"),
        ("dextromethorphan_bupropion", "mg of bupropion per day"),
        ("liothyronine", "mcg per day"),
    ],
)
def test_the_unit_of_a_dose(name, unit):
    assert dose_unit(drugs.table()[name] if name else None) == unit


def test_a_name_that_is_not_read_offers_the_near_ones(run, make_trial):
    (near,) = whys(run, make_trial("Luvoxx"))
    assert near["text"] == f"No medicine of that name is in the table. Near names: {', '.join(near['suggestions'])}."
    assert near["suggestions"][0] == "Luvox (fluvoxamine)"
    (apart,) = whys(run, make_trial("Welchol"))  # known to be another medicine, and near to none of ours
    assert apart["text"] == "Another medicine has this name. Was it this one?"
    assert apart["suggestions"] == []


def test_medicines_that_are_not_found_go_by_what_was_written(run, make_trial):
    verdicts = [
        row["verdict"] for row in shown(run, make_trial("Qwertzu"), make_trial("QWERTZU"), make_trial("Asdfgh"))
    ]
    assert verdicts == ["undetermined", "duplicate", "undetermined"]
    assert [row["verdict"] for row in shown(run, make_trial(None), make_trial(None))] == ["undetermined"] * 2


@pytest.mark.parametrize("length", [4, 6, 8])
def test_a_row_that_another_length_cannot_touch_keeps_its_verdict(make_trial, length):
    rules = ruleset("default")
    held = [2, 3.99, 4, 5, 6, 7, 8, 9, [3, 5], [3, 7], [3, 9], [4, 6], [5, 9], [6, 7], [6, 9], [5, 5.9]]
    rows = [facts_of(make_trial(weeks=None, weeks_at_dose=each)) for each in held]
    rows += [facts_of(make_trial(in_current_episode=each, weeks_at_dose=9)) for each in (False, None)]
    known = [weigh([row], rules)[0] for row in rows]
    for any_episode in (False, True):
        for row, before in zip(rows, known, strict=True):
            (fresh,) = weigh([row], rules, min_weeks=length, any_episode=any_episode)
            (kept,) = weigh([row], rules, min_weeks=length, any_episode=any_episode, known=[before])
            assert (kept.judgement.verdict, kept.judgement.detail, kept.judgement.missing) == (
                fresh.judgement.verdict,
                fresh.judgement.detail if fresh.verdict == "adequate" else kept.judgement.detail,
                fresh.judgement.missing,
            )


@pytest.mark.parametrize(
    ("value", "text"), [(1, "1 week"), (1.001, "1 week"), (1.5, "1.5 weeks"), (0, "0 weeks"), (1200, "1,200 weeks")]
)
def test_weeks_as_people_write_them(value, text):
    assert weeks_text(value) == text


def test_numbers_as_people_write_them():
    assert [amount(each) for each in (6.0, 6.25, 6.256, 1000, 0)] == ["6", "6.25", "6.26", "1,000", "0"]
    assert span_text(Span(1, 1)) == "1"
    assert span_text(Span(1, 2)) == "1 to 2"
    assert span_text(Span(1, float("inf"))) == "at least 1"


def test_the_sources_of_a_verdict():
    first, *papers, last = sources_for("sertraline")
    assert first == {"source": "antidepressants.sertraline", "verified": first["verified"], "confidence": "high"}
    assert all(set(each) == {"source", "title", "verified"} and each["title"] for each in papers)
    assert last == {"source": "trial_adequacy.min_duration_weeks", "verified": last["verified"]}
    assert first["verified"]
    assert last["verified"]
    assert sources_for(None) == (last,)
    assert sources_for("sertraline")[0]["source"] == "antidepressants.sertraline"


@pytest.mark.parametrize(
    ("weeks_ago", "onset"),
    [(0, "2026-11-20"), (1, "2026-11-13"), (60, "2025-09-26"), (None, None)],
)
def test_the_onset_is_so_many_weeks_before_the_day_of_the_record(weeks_ago, onset):
    record = IntakeRecord.model_validate({"as_of": "2026-11-20", "episode": {"onset_weeks_ago": weeks_ago}})
    found = Setting.of(record, ruleset("default")).onset
    assert (found and found.isoformat()) == onset


def test_the_label_cap_holds_over_60_and_for_a_liver_that_is_impaired():
    trial = Trial(drug="citalopram").model_dump(mode="json")
    assert facts_of(trial, age=60).max_dose == 40
    assert facts_of(trial, age=61).max_dose == 20
    assert facts_of(trial, age=61).min_dose == 20
    assert facts_of(trial).max_dose == 40
    assert facts_of(trial, safety={"liver_impairment": "none"}).max_dose == 40
    assert facts_of(trial, safety={"liver_impairment": "severe"}).max_dose == 20
