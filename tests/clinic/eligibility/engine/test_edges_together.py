"""Add-ons and pairs in words, the days at dose that they rest on, and the drug rows behind them; numbers by hand."""

from datetime import date

import pytest

from clinic.eligibility.engine import IntakeRecord, drugs, together
from clinic.eligibility.engine.record import Span
from clinic.eligibility.engine.rules import ruleset
from clinic.eligibility.engine.trials import Setting, read


def added(run, make_trial, **changes):
    row = make_trial(
        **({"drug": "Abilify", "dose_mg_per_day": 5, "weeks_at_dose": 6, "weeks": 6, "role": "add_on"} | changes)
    )
    (listed,) = run(trials=[make_trial(), row]).to_json()["augmentations"]
    return listed


@pytest.mark.parametrize(
    ("changes", "verdict", "text"),
    [
        ({}, "adequate", "At its dose for 6 weeks beside an antidepressant, without enough effect."),
        ({"purpose": "sleep"}, "not_counted", "Taken for sleep, not for depression."),
        ({"in_current_episode": False}, "not_counted", "Taken in an earlier episode."),
        ({"outcome": "response"}, "responded", "It helped: response."),
        ({"outcome": "remission"}, "responded", "It helped: remission."),
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


@pytest.mark.parametrize(("weeks", "verdict"), [(4, "adequate"), (3.9, "inadequate_duration")])
def test_an_add_on_by_the_weeks_of_its_agent(run, make_trial, weeks, verdict):
    row = {"drug": "lithium", "level_therapeutic": True, "weeks_at_dose": weeks}
    assert added(run, make_trial, **row)["verdict"] == verdict


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
            "added": None,
            "text": text,
            "source": "trial_adequacy.counting_rules.combination: recalled",
        }
    ]
    (found,) = [each for each in result.trd.findings if each.code == "combination"]
    assert (found.status, found.text, found.evidence) == ("info", text, (0, 1))


# When a medicine was at its dose


def at_dose(make_trial, as_of="2026-06-01", **row):
    """First and last day on which the time at dose may begin, then those on which it may end."""
    trial = make_trial(**({"weeks": None, "weeks_at_dose": 8} | row))
    record = IntakeRecord.model_validate({"as_of": as_of, "trials": [trial]})
    rules = ruleset("default")
    found = together.stretch(read(record.trials[0], Setting.of(record, rules), rules))
    if found is None:
        return None
    return " ".join(str(date.fromordinal(int(each))) for each in (*found.start, *found.end))


def steps(*rows):
    return [{"dose": dose, "weeks": weeks} for dose, weeks in rows]


TEN_WEEKS = "2026-01-01 2026-01-15 2026-02-26 2026-03-12"  # eight of them at dose, nobody knows which


@pytest.mark.parametrize(
    ("row", "days"),
    [
        ({"started_on": "2026-01-01", "stopped_on": "2026-02-26"}, "2026-01-01 2026-01-01 2026-02-26 2026-02-26"),
        ({"started_on": "2026-01-01", "stopped_on": "2026-03-12"}, TEN_WEEKS),
        ({"started_on": "2026-01-01", "weeks": 10}, TEN_WEEKS),
        ({"stopped_on": "2026-03-12", "weeks": 10}, TEN_WEEKS),
        ({"started_on": "2026-01-01", "stopped_on": "2026", "weeks": 10}, TEN_WEEKS),
        ({"started_on": "2026", "stopped_on": "2026-03-12", "weeks": 10}, TEN_WEEKS),
        ({"started_on": "2026-01-01", "stopped_reason": "ongoing", "as_of": "2026-03-12"}, TEN_WEEKS),
        ({"weeks": 10, "stopped_reason": "ongoing", "as_of": "2026-03-12"}, TEN_WEEKS),
        (
            {"started_on": "2026-01", "stopped_reason": "ongoing", "as_of": "2026-03-12", "weeks_at_dose": 5},
            "2026-01-01 2026-02-05 2026-02-05 2026-03-12",
        ),
        ({"started_on": "2026-01", "stopped_on": "2026-03"}, "2026-01-01 2026-02-03 2026-02-26 2026-03-31"),
        ({"started_on": "2026-01-01", "weeks": [9, 11]}, "2026-01-01 2026-01-22 2026-02-26 2026-03-19"),
        ({"stopped_on": "2026-03-19", "weeks": [9, 11]}, "2026-01-01 2026-01-22 2026-02-26 2026-03-19"),
    ],
)
def test_the_days_at_dose_between_which_each_end_lies(make_trial, row, days):
    assert at_dose(make_trial, **row) == days


@pytest.mark.parametrize(
    "row",
    [
        {},
        {"started_on": "2026-01-01", "as_of": None},
        {"stopped_on": "2026-03-12"},
        {"started_on": "2026", "stopped_on": "2026"},
        {"started_on": "2026-01-01", "stopped_reason": "ongoing", "as_of": None},
        {"started_on": "2026-05-01", "stopped_on": "2026-01-01"},
    ],
)
def test_dates_that_do_not_say_when(make_trial, row):
    assert at_dose(make_trial, **row) is None


@pytest.mark.parametrize(
    ("rows", "days"),
    [
        (steps((25, 2), (100, 8)), "2026-01-15 2026-01-15 2026-03-12 2026-03-12"),
        (steps((100, 8), (25, 2)), "2026-01-01 2026-01-01 2026-02-26 2026-02-26"),
        (steps((100, 3), (25, 1), (100, 5)), "2026-01-29 2026-01-29 2026-03-05 2026-03-05"),  # the longer run
        (steps((100, 5), (25, 1), (100, 3)), "2026-01-01 2026-01-01 2026-02-05 2026-02-05"),
        (steps((50, 4), (100, 4)), "2026-01-01 2026-01-01 2026-02-26 2026-02-26"),  # 50 mg is enough
        (steps((100, 3), (25, 1), (100, 3)), "2026-01-01 2026-01-01 2026-01-22 2026-01-22"),  # the first of two
        (steps((100, 5), (25, 1), (50, 3), (100, 3)), "2026-02-12 2026-02-12 2026-03-26 2026-03-26"),
        (steps((100, 2), (0, 1), (100, 4)), "2026-01-08 2026-01-08 2026-02-19 2026-02-19"),  # six, the gap between
        (steps((100, 2), (0.5, 1), (100, 4)), "2026-01-22 2026-01-22 2026-02-19 2026-02-19"),  # no gap: four
    ],
)
def test_steps_say_when_the_run_at_dose_was(make_trial, rows, days):
    row = {"started_on": "2026-01-01", "dose_mg_per_day": None, "weeks_at_dose": None, "steps": rows}
    total = sum(each["weeks"] for each in rows)
    assert at_dose(make_trial, weeks=total, **row) == days


def test_where_the_level_stands_for_the_dose_every_step_is_at_dose(make_trial):
    row = {"drug": "nortriptyline", "level_therapeutic": True, "started_on": "2026-01-01", "weeks_at_dose": None}
    row |= {"dose_mg_per_day": None, "steps": steps((25, 4), (75, 4))}
    assert at_dose(make_trial, **row) == "2026-01-01 2026-01-01 2026-02-26 2026-02-26"


def test_a_day_is_a_time_too(make_trial):
    assert at_dose(make_trial, started_on="2026-01-01", stopped_on="2026-01-01") == " ".join(["2026-01-01"] * 4)


def dated(make_trial, drug, first, last, weeks, **more):
    return make_trial(drug, weeks=None, started_on=first, stopped_on=last, weeks_at_dose=weeks, **more)


@pytest.mark.parametrize(
    ("second", "once"),
    [
        (("2026-01-01", "2026-02-26"), False),  # the first goes on alone for eight weeks
        (("2026-01-01", "2026-03-19"), True),  # for five: no trial of its own
        (("2026-02-05", "2026-04-23"), True),  # alone for five weeks before
        (("2026-02-26", "2026-04-23"), False),
    ],
)
def test_one_of_two_was_adequate_alone_before_or_after(run, make_trial, second, once):
    weeks = (date.fromisoformat(second[1]) - date.fromisoformat(second[0])).days / 7
    rows = [
        dated(make_trial, "sertraline", "2026-01-01", "2026-04-23", 16),
        dated(make_trial, "venlafaxine", *second, weeks, dose_mg_per_day=150),
    ]
    result = run(trials=rows)
    assert [each["counts_once"] for each in result.to_json()["combinations"]] == [once]
    assert result.trd.adequate == (1 if once else 2)


SAME_DAYS, LATER = ("2026-01-01", "2026-02-26"), ("2026-05-01", "2026-06-26")


@pytest.mark.parametrize(
    ("rows", "pairs"),
    [
        ([("sertraline", SAME_DAYS), ("Zoloft", SAME_DAYS), ("venlafaxine", SAME_DAYS)], [[0, 2], [1, 2]]),
        ([("sertraline", SAME_DAYS), ("bupropion", LATER), ("venlafaxine", SAME_DAYS)], [[0, 2]]),
        ([("sertraline", SAME_DAYS), ("venlafaxine", SAME_DAYS), ("bupropion", SAME_DAYS)], [[0, 1], [0, 2], [1, 2]]),
        ([("sertraline", SAME_DAYS), ("Zoloft", SAME_DAYS)], []),
    ],
)
def test_every_two_medicines_taken_together_are_a_pair(run, make_trial, rows, pairs):
    found = run(trials=[dated(make_trial, drug, *days, 8, dose_mg_per_day=300) for drug, days in rows])
    assert [each["trials"] for each in found.to_json()["combinations"]] == pairs


@pytest.mark.parametrize(
    ("dates", "is_pair"),
    [
        ({"started_on": "2026-09-25", "stopped_on": "2026-11-20"}, True),
        ({"started_on": "2026-09-25"}, True),
        ({"stopped_on": "2026-11-20"}, True),
        ({}, False),
        ({"stopped_reason": "ongoing"}, False),  # weeks alone put nobody beside anything
    ],
)
def test_a_pair_needs_a_date_of_each(run, make_trial, dates, is_pair):
    one = dated(make_trial, "sertraline", "2026-09-25", "2026-11-20", 8)
    other = make_trial("venlafaxine", **({"dose_mg_per_day": 150, "weeks": 8} | dates))
    assert bool(run(trials=[one, other]).to_json()["combinations"]) is is_pair


def test_as_many_count_as_were_never_taken_together(run, make_trial):
    early, late = ("2026-01-01", "2026-02-26"), ("2026-03-01", "2026-04-26")
    pair = [
        dated(make_trial, "sertraline", *early, 8),
        dated(make_trial, "venlafaxine", *early, 8, dose_mg_per_day=150),
    ]
    third = dated(make_trial, "bupropion", *late, 8, dose_mg_per_day=300)
    fourth = dated(make_trial, "mirtazapine", *late, 8, dose_mg_per_day=30)
    assert run(trials=[*pair, third]).trd.adequate == 2
    assert run(trials=[*pair, third, fourth]).trd.adequate == 2  # two pairs
    apart = dated(make_trial, "vortioxetine", "2026-05-01", "2026-06-26", 8, dose_mg_per_day=20)
    assert run(trials=[*pair, third, fourth, apart]).trd.adequate == 3


def test_of_a_chain_the_two_ends_count(run, make_trial):
    """Six weeks together join the first with the second and the second with the third, not the first with the third."""
    days = [("2026-01-01", "2026-02-19"), ("2026-01-08", "2026-02-26"), ("2026-01-15", "2026-03-05")]
    doses = {"sertraline": 100, "venlafaxine": 150, "bupropion": 300}
    rows = [dated(make_trial, name, *days[at], 7, dose_mg_per_day=doses[name]) for at, name in enumerate(doses)]
    assert run(trials=rows).trd.adequate == 2
    assert run(trials=[rows[1], rows[0], rows[2]]).trd.adequate == 2


def part(first, last, *, at=True, gap=False):
    return together._Part(7.0 * first, 7.0 * last, at, gap)


@pytest.mark.parametrize(
    ("path", "left_out", "weeks"),
    [
        ([part(0, 8)], [], 8),
        ([part(0, 4), part(4, 5, at=False, gap=True), part(5, 9)], [], 8),  # a week off is forgiven
        ([part(0, 4), part(4, 6, at=False, gap=True), part(6, 10)], [], 8),  # and so are two
        ([part(0, 4), part(4, 7, at=False, gap=True), part(7, 11)], [], 4),  # three weeks are not
        ([part(0, 3), part(3, 4, at=False, gap=True), part(4, 7), part(7, 8, at=False, gap=True), part(8, 13)], [], 8),
        ([part(0, 4), part(4, 5, at=False), part(5, 10)], [], 5),  # below the dose is no gap
        ([part(0, 1, at=False, gap=True), part(1, 6)], [], 5),
        ([part(0, 8)], [(0, 14)], 6),  # the first two weeks left out
        ([part(0, 8)], [(42, 56)], 6),
        ([part(0, 8)], [(14, 21)], 5),  # in the middle: the longer side
        ([part(0, 8)], [(35, 42)], 5),
        ([part(0, 8)], [(56, 70)], 8),  # after it
        ([part(0, 8)], [(70, 84)], 8),  # long after it
        ([part(0, 2), part(2, 6)], [(14, 14)], 6),  # no day at all
        ([part(2, 8)], [(0, 14)], 6),  # before it
        ([part(0, 8)], [(28, 35), (7, 14)], 3),  # in any order
        ([part(0, 8)], [(0, 56)], 0),
    ],
)
def test_the_longest_run_at_dose(path, left_out, weeks):
    assert together._longest(path, left_out, forgiven=2.0) / 7 == pytest.approx(weeks)


def days(start, end):
    """A stretch in days; an end that lies between two days is a pair."""
    ends = [Span(*each) if isinstance(each, tuple) else Span(each, each) for each in (start, end)]
    return together.Stretch(*ends)


@pytest.mark.parametrize(
    ("one", "other", "beside", "before_or_after"),
    [
        (days(0, 50), days(20, 70), (30, 30), (20, 20)),
        (days(20, 70), days(0, 50), (30, 30), (20, 20)),
        (days(0, 50), days(0, 50), (50, 50), (0, 0)),
        (days(0, 50), days(10, 20), (10, 10), (30, 30)),
        (days(10, 20), days(0, 50), (10, 10), (0, 0)),
        (days(0, 50), days(50, 70), (0, 0), (50, 50)),
        (days(0, 50), days(60, 70), (0, 0), (60, 60)),
        (days((0, 5), (50, 60)), days((20, 30), (70, 90)), (20, 40), (15, 30)),
        (days((20, 30), (70, 90)), days((0, 5), (50, 60)), (20, 40), (10, 40)),
    ],
)
def test_days_beside_another_and_alone(one, other, beside, before_or_after):
    assert together._overlap(one, other) == beside
    assert together._alone(one, other) == before_or_after


@pytest.mark.parametrize(
    ("needed", "once"),
    [
        (42, True),
        (70, None),  # whether they were long enough together hangs on the days
        (25, None),  # and so does whether the first was long enough alone
        (10, False),
    ],
)
def test_a_pair_from_the_later_start_to_the_earlier_end(needed, once):
    first, second = days((0, 5), (100, 110)), days((20, 30), (90, 95))
    for one, other in ((first, second), (second, first)):
        pair = together._combination((0, 3), one, other, together._overlap(one, other), needed)
        assert (pair.trials, pair.weeks, pair.once) == ((0, 3), (8.57, 10.71), once)
        assert (pair.since, pair.until) == (date.fromordinal(20), date.fromordinal(95))


@pytest.mark.parametrize(
    ("joined", "most"),
    [
        ({}, 0),
        ({"a": "", "b": ""}, 2),
        ({"z": "", "a": "b", "b": "a"}, 2),
        ({"a": "b", "b": "a", "z": ""}, 2),
        ({"a": "bc", "b": "ac", "c": "ab"}, 1),
        ({"m": "abc", "a": "m", "b": "m", "c": "m"}, 3),
        ({"a": "b", "b": "ac", "c": "bd", "d": "c"}, 2),
        ({"a": "b", "b": "ac", "c": "bd", "d": "ce", "e": "d"}, 3),
    ],
)
def test_the_most_of_which_no_two_are_joined(joined, most):
    assert together._most_apart({key: set(others) for key, others in joined.items()}) == most


EXACT = [{"dose": 25, "weeks": 1}, {"dose": 50, "weeks": 6}, {"dose": 0, "weeks": 1}]
FIRST = date(2026, 1, 5).toordinal()


def path_of(make_trial, **row):
    trial = make_trial(**({"started_on": "2026-01-05", "dose_mg_per_day": None, "steps": EXACT} | row))
    record, rules = IntakeRecord.model_validate({"trials": [trial]}), ruleset("default")
    return together._path(read(record.trials[0], Setting.of(record, rules), rules))


def test_the_parts_of_a_row_day_by_day(make_trial):
    week, last = FIRST + 7, FIRST + 49
    assert path_of(make_trial) == [
        together._Part(FIRST, week, False, False),
        together._Part(week, last, True, False),
        together._Part(last, last + 7, False, True),
    ]


@pytest.mark.parametrize(
    "row",
    [
        {"steps": None, "dose_mg_per_day": 50},
        {"started_on": None},
        {"started_on": "2026-01"},
        {"started_on": "2026"},
        {"steps": [*EXACT, {"dose": [25, 50], "weeks": 1}]},
        {"steps": [*EXACT, {"dose": 50, "weeks": [1, 2]}]},
        {"steps": [*EXACT, {"dose": 50}]},
        {"steps": [*EXACT, {"weeks": 2}]},
        {"drug": None},
        {"drug": "aripiprazole"},
        {"drug": "nortriptyline", "level_therapeutic": True},
    ],
)
def test_a_row_that_is_not_known_day_by_day(make_trial, row):
    assert path_of(make_trial, **row) is None


@pytest.mark.parametrize(
    ("number", "day"), [(-5, 1), (0, 1), (1, 1), (2, 2), (739_000, 739_000), (3_650_001, 3_650_000)]
)
def test_a_day_that_no_calendar_holds_is_the_first_or_the_last(number, day):
    assert together._day(number) == date.fromordinal(day)


def low(first, last):
    return part(first, last, at=False)


@pytest.mark.parametrize(
    ("theirs", "mine", "left_out"),
    [
        # They come in while mine goes on, or go out: what lies below the least dose, up to where they are at dose.
        ([low(4, 5), low(5, 6), part(6, 9), low(9, 10)], [part(0, 7), low(7, 8), part(8, 9)], [(4, 5), (5, 6)]),
        ([low(0, 1), part(1, 4), low(4, 5), low(5, 6)], [part(1, 5), low(5, 6), part(6, 9)], [(5, 6), (4, 5)]),
        ([low(2, 3), part(3, 4), low(4, 5)], [part(0, 9)], [(2, 3), (4, 5)]),
        # On the same days neither follows on the other.
        ([low(0, 1), part(1, 5), low(5, 6)], [part(0, 6)], []),
        # A gap between is not below the least dose; what never reaches it came neither in nor out.
        ([low(2, 3), part(3, 4, at=False, gap=True), part(4, 9)], [part(0, 8)], [(2, 3)]),
        ([low(2, 3), low(3, 4)], [part(0, 8)], []),
        # Before the first day of mine, and after its last.
        ([part(0, 2), low(2, 4)], [part(4, 9)], []),
        ([part(0, 2), low(2, 5)], [part(4, 9)], [(2, 5)]),
        ([low(6, 7), part(7, 9)], [part(0, 6)], []),
        ([low(5, 7), part(7, 9)], [part(0, 6)], [(5, 7)]),
    ],
)
def test_what_is_left_out_of_a_change_of_medicines(theirs, mine, left_out):
    assert together._low_ends(theirs, mine) == [(7 * first, 7 * last) for first, last in left_out]


@pytest.mark.parametrize(
    ("first_day", "base", "weeks", "text"),
    [
        ("2026-02-12", [], 8, "No antidepressant at its dose was taken beside it."),  # the day on which the other ended
        ("2026-02-11", [0], 0.14, "0.14 weeks, 6 weeks asked for."),
    ],
)
def test_a_base_was_taken_beside_an_add_on_from_one_day_on(run, make_trial, first_day, base, weeks, text):
    row = dated(make_trial, "Abilify", first_day, "2026-06-01", 8, dose_mg_per_day=5, role="add_on")
    begins = row | {"weeks": None, "weeks_at_dose": None, "dose_mg_per_day": None, "stopped_on": None}
    begins |= {"steps": [{"dose": 5, "weeks": 8}]}
    least = dated(make_trial, "sertraline", "2026-01-01", "2026-02-12", 6, dose_mg_per_day=50)  # the least dose
    (listed,) = run(trials=[least, begins]).to_json()["augmentations"]
    assert (listed["base"], listed["weeks"], listed["text"]) == (base, weeks, text)


@pytest.mark.parametrize(
    ("dose", "verdict"),
    [
        (0.025, "adequate"),  # mg
        (0.02499, "inadequate_dose"),
        (0.99, "adequate"),
        (1, "undetermined"),  # neither is likely
        (4.9, "undetermined"),
        (5, "inadequate_dose"),
        (24.9, "inadequate_dose"),
        (25, "adequate"),  # micrograms
        ([0.02, 0.03], "undetermined"),
    ],
)
def test_the_thyroid_hormone_in_either_unit(run, make_trial, dose, verdict):
    listed = added(run, make_trial, drug="Cytomel", dose_mg_per_day=dose)
    assert listed["verdict"] == verdict


def test_an_add_on_is_held_against_the_base_that_it_was_longest_beside(run, make_trial):
    short = dated(make_trial, "sertraline", "2026-01-01", "2026-02-12", 6)
    long = dated(make_trial, "venlafaxine", "2026-01-29", "2026-04-23", 12, dose_mg_per_day=150)
    row = dated(make_trial, "Abilify", "2026-01-15", "2026-03-26", 10, dose_mg_per_day=5, role="add_on")
    for bases in ([short, long], [long, short]):
        (listed,) = run(trials=[*bases, row]).to_json()["augmentations"]
        assert (listed["base"], listed["weeks"], listed["verdict"]) == ([0, 1], 8, "adequate")
    apart = dated(make_trial, "sertraline", "2025-01-01", "2025-02-12", 6)
    (listed,) = run(trials=[apart, row]).to_json()["augmentations"]
    assert listed["text"] == "No antidepressant at its dose was taken beside it."
