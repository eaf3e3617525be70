"""Each criterion of a payer policy at its borders, in words: policies of one criterion, written here."""

import pytest

from clinic.eligibility.engine import IntakeRecord
from clinic.eligibility.engine.policies import evaluate_policy
from clinic.eligibility.engine.rules import ruleset
from clinic.eligibility.engine.turning import case_of

CHECK = "not established here: check the policy"
TWO = {"min_failed_antidepressant_trials": 2, "trial_min_weeks": 6}
ONE = {"min_failed_antidepressant_trials": 1, "trial_min_weeks": 6}


@pytest.fixture
def ask(make_record):
    """The finding of one code under a policy that sets only these criteria: (status, text, rows that bear on it)."""

    def of(code, criteria, exclusions=(), **overrides):
        record = IntakeRecord.model_validate(make_record(**overrides))
        policy = {
            "id": "own",
            "version": 3,
            "payer": "Own Health",
            "policy_number": "N-7",
            "confidence": "low",
            "effective_date": "2026-02-01",
            "criteria": criteria,
            "exclusions": exclusions,
        }
        result = evaluate_policy(policy, case_of(record, ruleset("default")), "2026-03-01")
        found = [each for each in result.findings if each.code == code]
        assert all(each.source == "N-7, in force 2026-02-01; confidence low" for each in found)
        assert (result.id, result.version, result.verified_on) == ("own", "3", "2026-03-01")
        return (found[0].status, found[0].text, found[0].evidence) if found else None

    return of


# How many trials, of how many weeks


def test_the_number_of_trials_in_words(ask):
    assert ask("failed_trials", TWO) == ("met", "2 of 2 trials count at 6 weeks or more.", (0, 1))
    more = TWO | {"min_failed_antidepressant_trials": 3}
    assert ask("failed_trials", more) == ("unmet", "2 of 3 trials count at 6 weeks or more.", (0, 1))
    assert ask("failed_trials", TWO, trials=None) == ("unknown", "0 of 2 trials count at 6 weeks or more.", ())
    assert ask("failed_trials", {"trial_min_weeks": 6}) is None  # a policy that asks for none
    text = f"Number of trials {CHECK}."
    assert ask("failed_trials", {"min_failed_antidepressant_trials": None}) == ("unknown", text, (0, 1))


@pytest.mark.parametrize(("weeks", "count"), [(6.4, 0), (6.5, 1), (6.6, 1), ([6.4, 6.6], 0)])
def test_the_least_weeks_are_those_of_the_policy(ask, make_trial, weeks, count):
    criteria = {"min_failed_antidepressant_trials": 1, "trial_min_weeks": 6.5}
    status, text, _ = ask("failed_trials", criteria, trials=[make_trial(weeks_at_dose=weeks)])
    may = "; 1 more may" if isinstance(weeks, list) else ""
    assert text == f"{count} of 1 trials count at 6.5 weeks or more{may}."
    assert status == ("met" if count else "unknown" if may else "unmet")


@pytest.mark.parametrize(
    ("weeks", "status", "count"), [(8, "met", "1 of 1"), (7.9, "unknown", "0 of 1"), (4, "unknown", "0 of 1")]
)
def test_weeks_that_are_not_said_are_sure_from_the_longest_asked_anywhere(ask, make_trial, weeks, status, count):
    criteria = {"min_failed_antidepressant_trials": 1}
    more = "" if status == "met" else "; 1 more may"
    text = f"{count} trials count (weeks {CHECK}; sure from 8, possible from 4){more}."
    assert ask("failed_trials", criteria, trials=[make_trial(weeks_at_dose=weeks)])[:2] == (status, text)
    assert ask("failed_trials", criteria, trials=[make_trial(weeks_at_dose=3.9)])[0] == "unmet"


def test_one_medicine_counts_once_and_the_better_known_row_stands_for_it(ask, make_trial):
    open_row, sure = make_trial(adherence=None), make_trial()
    assert ask("failed_trials", TWO, trials=[open_row, sure]) == (
        "unmet",
        "1 of 2 trials count at 6 weeks or more.",
        (1,),
    )


# What is a failure


@pytest.mark.parametrize(
    ("limit", "changes", "status"),
    [
        (None, {"outcome": "partial"}, "met"),
        (None, {"outcome": None, "improvement_percent": 49}, "met"),
        (49, {"outcome": "partial"}, "met"),
        (48, {"outcome": "partial"}, "unmet"),
        (48, {"outcome": "none"}, "met"),
        (25, {"outcome": None, "improvement_percent": 25}, "met"),
        (25, {"outcome": None, "improvement_percent": 26}, "unmet"),
        (25, {"outcome": None, "improvement_percent": [25, 26]}, "unknown"),
        (25, {"outcome": "response"}, "unmet"),
    ],
)
def test_a_percent_limit_says_what_a_failure_is(ask, make_trial, limit, changes, status):
    criteria = ONE | {"failure_max_improvement_percent": limit}
    assert ask("failed_trials", criteria, trials=[make_trial(**changes)])[0] == status


# How far back


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"stopped_on": "2025-11-20"}, "met"),  # a year is 365.25 days
        ({"stopped_on": "2025-11-19"}, "unmet"),
        ({"stopped_on": "2025-11"}, "unknown"),
        ({"stopped_on": "2025-12"}, "met"),
        ({"stopped_on": "2025-10"}, "unmet"),
        ({"stopped_on": "2025"}, "unknown"),
        ({"stopped_reason": "ongoing"}, "met"),
        ({"in_current_episode": None}, "unknown"),  # without a date only the episode places it
    ],
)
def test_a_policy_that_looks_a_year_back(ask, make_trial, make_record, changes, status):
    episode = make_record()["episode"] | {"onset_weeks_ago": 30}
    row = make_trial(**({"in_current_episode": False} | changes))
    criteria = ONE | {"episode_window": "last_12_months"}
    assert ask("failed_trials", criteria, trials=[row], episode=episode)[0] == status


@pytest.mark.parametrize(("weeks", "status"), [(52, "met"), (53, "unknown"), (None, "unknown")])
def test_an_episode_within_the_window_places_its_trials(ask, make_trial, make_record, weeks, status):
    episode = make_record()["episode"] | {"onset_weeks_ago": weeks}
    criteria = ONE | {"episode_window": "last_12_months"}
    assert ask("failed_trials", criteria, trials=[make_trial()], episode=episode)[0] == status
    assert ask("failed_trials", criteria, trials=[make_trial()], as_of=None)[0] == "unknown"


@pytest.mark.parametrize(
    ("criteria", "last", "gone"),
    [
        ({"episode_window": "last_5_years"}, "2021-11-20", "2021-11-19"),
        ({"episode_window": "lifetime", "lookback_years": 2}, "2024-11-20", "2024-11-19"),
        ({"episode_window": "lifetime", "lookback_years": 4}, "2022-11-20", "2022-11-19"),  # 1,461 days: whole ones
        ({"episode_window": "last_12_months", "lookback_years": 2}, "2024-11-20", "2024-11-19"),
    ],
)
def test_a_window_in_years_ends_on_a_day(ask, make_trial, criteria, last, gone):
    def status(day):
        row = make_trial(stopped_on=day, in_current_episode=False)
        return ask("failed_trials", ONE | criteria, trials=[row])[0]

    assert (status(last), status(gone)) == ("met", "unmet")


@pytest.mark.parametrize(("stopped", "status"), [("2022-11-20", "met"), ("2022-11", "unknown"), ("2022-10", "unmet")])
def test_a_month_around_the_first_day_of_a_window_is_open(ask, make_trial, stopped, status):
    criteria = ONE | {"episode_window": "lifetime", "lookback_years": 4}
    assert ask("failed_trials", criteria, trials=[make_trial(stopped_on=stopped)])[0] == status


@pytest.mark.parametrize(("weeks", "status"), [(1461, "met"), (1462, "unknown")])  # 28 years are 10,227 days
def test_an_episode_that_began_on_the_first_day_of_a_window_is_in_it(ask, make_trial, make_record, weeks, status):
    criteria = ONE | {"episode_window": "current_episode", "lookback_years": 28}
    episode = make_record()["episode"] | {"onset_weeks_ago": weeks}
    assert ask("failed_trials", criteria, trials=[make_trial()], episode=episode)[0] == status


@pytest.mark.parametrize(
    ("window", "status"),
    [
        ("lifetime", "met"),
        ("current_episode_at_least_one", "met"),
        ("current_episode", "unmet"),
        ("not_stated", "unknown"),
        (None, "unknown"),
    ],
)
def test_a_trial_of_an_earlier_episode_by_the_window(ask, make_trial, window, status):
    row = make_trial(in_current_episode=False)
    assert ask("failed_trials", ONE | {"episode_window": window}, trials=[row])[0] == status


def test_one_of_them_in_the_current_episode(ask, make_trial):
    criteria = ONE | {"episode_window": "current_episode_at_least_one"}
    text = "At least one of them in the current episode."

    def status(*episodes, **overrides):
        rows = [
            make_trial(drug, dose_mg_per_day=400, in_current_episode=each)
            for drug, each in zip(("sertraline", "bupropion"), episodes, strict=False)
        ]
        return ask("one_in_episode", criteria, **({"trials": rows} | overrides))

    assert status(True) == ("met", text, ())
    assert status(False, True)[0] == "met"
    assert status(False, None)[0] == "unknown"
    assert status(False, False)[0] == "unmet"
    assert status(trials=None)[0] == "unknown"
    assert ask("one_in_episode", ONE | {"episode_window": "lifetime"}) is None


# Side effects in the place of failures


def intolerant(make_trial, drug, effect=None):
    return make_trial(
        drug, dose_mg_per_day=400, weeks=1, weeks_at_dose=1, stopped_reason="side_effects", side_effect=effect
    )


@pytest.mark.parametrize(
    ("counts", "agents", "rows", "status"),
    [
        (True, None, 1, "met"),
        (True, 2, 1, "unmet"),
        (True, 2, 2, "met"),
        (False, None, 2, "unmet"),
        (None, None, 1, "unknown"),
        (None, 2, 1, "unmet"),
    ],
)
def test_side_effects_count_where_the_policy_says_so(ask, make_trial, counts, agents, rows, status):
    criteria = ONE | {"intolerance_counts": counts, "intolerance_min_agents": agents}
    trials = [intolerant(make_trial, drug) for drug in ("sertraline", "venlafaxine")[:rows]]
    assert ask("failed_trials", criteria, trials=trials)[0] == status


@pytest.mark.parametrize(
    ("effects", "status"),
    [
        (("nausea", "dry mouth"), "met"),
        (("Nausea", "nausea "), "unmet"),
        (("nausea", None), "unknown"),
        ((None, None), "unknown"),
        (("nausea", " "), "unknown"),
    ],
)
def test_side_effects_that_have_to_differ(ask, make_trial, effects, status):
    criteria = TWO | {
        "intolerance_counts": True,
        "intolerance_min_agents": 2,
        "intolerance_distinct_side_effects": True,
    }
    rows = zip(("sertraline", "venlafaxine"), effects, strict=True)
    assert ask("failed_trials", criteria, trials=[intolerant(make_trial, *row) for row in rows])[0] == status


def test_a_failure_and_a_side_effect_of_one_medicine_are_one(ask, make_trial):
    criteria = TWO | {"intolerance_counts": True}
    rows = [make_trial(), intolerant(make_trial, "Zoloft")]
    assert ask("failed_trials", criteria, trials=rows) == ("unmet", "1 of 2 trials count at 6 weeks or more.", (0,))


# Classes


@pytest.mark.parametrize(
    ("named", "drugs", "status", "text"),
    [
        (None, ("sertraline", "venlafaxine"), "met", "2 of 2 classes: snri, ssri."),
        (None, ("sertraline", "fluoxetine"), "unmet", "1 of 2 classes: ssri."),
        (None, (), "unmet", "0 of 2 classes: none."),
        (["ssri", "bupropion"], ("sertraline", "bupropion"), "met", None),
        (["ssri", "bupropion"], ("sertraline", "venlafaxine"), "unknown", "1 of 2 classes: ssri."),
    ],
)
def test_classes_in_words(ask, make_trial, named, drugs, status, text):
    criteria = ONE | {"min_distinct_classes": 2, "classes_named": named}
    found = ask("distinct_classes", criteria, trials=[make_trial(drug, dose_mg_per_day=300) for drug in drugs])
    assert found[0] == status
    assert text is None or found[1] == text


def test_classes_that_are_not_known_yet(ask, make_trial):
    criteria = ONE | {"min_distinct_classes": 2}
    assert ask("distinct_classes", criteria, trials=None)[0] == "unknown"
    assert ask("distinct_classes", ONE | {"min_distinct_classes": None})[:2] == (
        "unknown",
        f"Number of classes {CHECK}.",
    )
    unnamed = [make_trial(), make_trial("Qwertzu")]
    assert ask("distinct_classes", criteria, trials=unnamed)[0] == "unknown"  # it may be of any class
    assert ask("distinct_classes", ONE) is None


# The dose, the add-ons, the talking treatments


@pytest.mark.parametrize(
    ("dose", "status", "count"), [(200, "met", 1), (199.9, "unknown", 0), ([199, 201], "unknown", 0)]
)
def test_the_highest_labeled_dose_settles_a_dose_rule(ask, make_trial, dose, status, count):
    criteria = ONE | {"dose_rule": "as high as tolerated"}
    rows = (0,) if count else ()
    text = f"Dose: as high as tolerated. {count} at the highest labeled dose; a person checks the others."
    assert ask("dose_rule", criteria, trials=[make_trial(dose_mg_per_day=dose)]) == (status, text, rows)
    assert ask("dose_rule", ONE) is None


def test_as_many_rows_at_the_highest_dose_as_trials_are_asked_for(ask, make_trial):
    rows = [make_trial(dose_mg_per_day=200), make_trial("venlafaxine", dose_mg_per_day=150)]
    assert ask("dose_rule", ONE | {"dose_rule": "x"}, trials=rows)[0] == "met"
    assert ask("dose_rule", TWO | {"dose_rule": "x"}, trials=rows)[0] == "unknown"


def abilify(make_trial, **changes):
    return make_trial("Abilify", **({"dose_mg_per_day": 5, "weeks_at_dose": 6, "weeks": 6, "role": "add_on"} | changes))


@pytest.mark.parametrize(
    ("criteria", "changes", "status"),
    [
        ({}, {}, "met"),
        ({}, {"weeks_at_dose": 5}, "unmet"),
        ({"augmentation_weeks": 4}, {"weeks_at_dose": 5}, "met"),
        ({"augmentation_weeks": 7}, {}, "unmet"),
        ({}, {"adherence": None}, "unknown"),
        ({"augmentation_list": ["lithium"]}, {}, "unmet"),
        ({"augmentation_list": ["aripiprazole"]}, {}, "met"),
        ({"augmentation_list": ["second_generation_antipsychotic"]}, {}, "met"),
    ],
)
def test_an_add_on_that_a_policy_asks_for(ask, make_trial, criteria, changes, status):
    rows = [make_trial(), abilify(make_trial, **changes)]
    found = ask("augmentation", {"augmentation_trials_required": 1} | criteria, trials=rows)
    assert found[:2] == (status, "1 augmentation trial asked for.")
    assert found[2] == (() if status == "unmet" else (1,))


def test_two_add_ons_are_of_two_agents(ask, make_trial):
    criteria = {"augmentation_trials_required": 2}
    twice = [make_trial(), abilify(make_trial), abilify(make_trial)]
    assert ask("augmentation", criteria, trials=twice)[:2] == ("unmet", "2 augmentation trials asked for.")
    lithium = make_trial("lithium", dose_mg_per_day=900, role="add_on", level_therapeutic=True)
    assert ask("augmentation", criteria, trials=[*twice, lithium])[0] == "met"
    assert ask("augmentation", criteria, trials=None)[0] == "unknown"
    assert ask("augmentation", {"augmentation_trials_required": 0}) is None


def test_an_add_on_may_stand_for_a_trial_but_is_never_sure(ask, make_trial):
    rows = [make_trial(), abilify(make_trial)]
    text = "1 of 2 trials count at 6 weeks or more"
    assert ask("failed_trials", TWO, trials=rows) == ("unmet", f"{text}.", (0,))
    may = TWO | {"augmentation_may_count_as_trial": True}
    assert ask("failed_trials", may, trials=rows) == ("unknown", f"{text}; 1 more may.", (0, 1))


CBT, SHORT = {"type": "cbt", "sessions": 12}, {"type": "cbt", "sessions": 3}


@pytest.mark.parametrize(
    ("wanted", "types", "courses", "found"),
    [
        ("required", None, [CBT], ("met", "An adequate course of psychotherapy.")),
        ("required", None, [SHORT], ("unmet", "An adequate course of psychotherapy.")),
        ("required", None, None, ("unknown", "An adequate course of psychotherapy.")),
        ("required", ["ipt"], [CBT], ("unmet", "An adequate course of psychotherapy.")),
        ("if_available", None, [], ("info", "Psychotherapy is asked for if it is available.")),
        (None, None, [CBT], ("unknown", f"Psychotherapy {CHECK}.")),
        ("not_required", None, [], None),
    ],
)
def test_psychotherapy_in_words(ask, wanted, types, courses, found):
    answer = ask("psychotherapy", {"psychotherapy": wanted, "psychotherapy_types": types}, psychotherapy=courses)
    assert (answer[:2] if answer else None) == found


def test_psychotherapy_or_an_add_on(ask, make_trial):
    criteria = {"psychotherapy": "required_or_augmentation"}
    text = "Psychotherapy or an augmentation."

    def status(courses, *rows, **more):
        trials = [make_trial(), *rows]
        return ask("psychotherapy_or_augmentation", criteria | more, trials=trials, psychotherapy=courses)[:2]

    assert status([CBT]) == ("met", text)
    assert status([], abilify(make_trial)) == ("met", text)
    assert status([]) == ("unmet", text)
    assert status(None)[0] == "unknown"
    assert status([], abilify(make_trial), augmentation_trials_required=2)[0] == "unmet"
    both = criteria | {"augmentation_trials_required": 1}
    assert ask("augmentation", both) is None  # it is asked for in the one finding only
    assert ask("psychotherapy", both) is None


# The person and the illness


@pytest.mark.parametrize(
    ("limits", "age", "found"),
    [
        ({"min": 18}, 18, ("met", "Age 18 or more.")),
        ({"min": 18}, 17, ("unmet", "Age 18 or more.")),
        ({"min": 18, "max": 65}, 65, ("met", "Age 18 to 65.")),
        ({"min": 18, "max": 65}, 66, ("unmet", "Age 18 to 65.")),
        ({"max": 65}, 3, ("met", "Age any to 65.")),
        ({"min": 0, "max": 65}, 0, ("met", "Age 0 to 65.")),
        ({"min": 18}, None, ("unknown", "Age 18 or more.")),
        ({"note": "adults"}, 40, ("unknown", f"Age {CHECK}.")),
    ],
)
def test_age_in_words(ask, limits, age, found):
    assert ask("age", {"age": limits}, age=age)[:2] == found


@pytest.mark.parametrize(
    ("words", "psychotic", "status"),
    [
        ("mdd without psychosis", False, "met"),
        ("non-psychotic mdd", True, "unmet"),
        ("mdd without psychosis", None, "unknown"),
        ("mdd", True, None),
        (None, True, None),
    ],
)
def test_a_diagnosis_without_psychosis(ask, make_record, words, psychotic, status):
    episode = make_record()["episode"] | {"psychotic_features": psychotic}
    found = ask("no_psychosis", {"diagnosis": words}, episode=episode)
    assert found == (None if status is None else (status, "Without psychosis.", ()))
    assert ask("diagnosis", {"diagnosis": words}) == ("met", "Major depression.", ())


@pytest.mark.parametrize(
    ("level", "least", "word"),
    [
        ("moderate", "moderate", "moderate"),
        ("moderate_to_severe", "moderate", "moderate to severe"),
        ("moderately_severe", "severe_without_psychosis", "moderately severe"),
        ("severe", "severe_without_psychosis", "severe"),
    ],
)
def test_the_level_of_an_episode(ask, make_record, level, least, word):
    order = ["subsyndromal", "mild", "moderate", "severe_without_psychosis"]

    def status(severity):
        episode = make_record()["episode"] | {"severity": severity}
        return ask("severity", {"severity": {"level": level}}, episode=episode)[:2]

    text = f"Severity {word} asked for."
    assert status(least) == status("severe_with_psychosis") == ("met", text)
    assert status(order[order.index(least) - 1]) == status("subsyndromal") == ("unmet", text)
    assert status(None) == ("unknown", text)
    assert ask("severity", {"severity": {"level": level}}, episode=None)[0] == "unknown"


def test_a_severity_that_is_left_open_or_not_asked(ask):
    assert ask("severity", {"severity": {"note": "x"}})[:2] == ("unknown", f"Severity {CHECK}.")
    assert ask("severity", {"severity": {"level": "not_stated", "instrument_minimums": {"phq9": 20}}}) is None
    assert ask("severity", {"severity": None}) is None


@pytest.mark.parametrize(
    ("minimums", "overrides", "status", "text"),
    [
        ({"phq9": 16}, {}, "met", "at least PHQ9 16 (is 16)."),
        ({"phq9": 17}, {}, "unmet", "at least PHQ9 17 (is 16)."),
        ({"phq9": 16}, {"phq9": [2] * 8 + [None]}, "unknown", "at least PHQ9 16."),
        ({"phq9": 16}, {"phq9": None}, "unknown", "at least PHQ9 16."),
        ({"hamd": 20}, {"scores": {"hamd17": 20}}, "met", "at least HAMD 20 (is 20)."),
        ({"bdi": 30}, {"scores": {"bdi2": 29}}, "unmet", "at least BDI 30 (is 29)."),
        ({"qids": 16}, {"scores": {"qids_sr16": 16}}, "met", "at least QIDS 16 (is 16)."),
        ({"madrs": 28, "phq9": 20}, {"scores": {"madrs": 28}}, "met", "at least MADRS 28 (is 28) or PHQ9 20 (is 16)."),
        ({"madrs": 28, "phq9": 20}, {}, "unknown", "at least MADRS 28 or PHQ9 20 (is 16)."),
    ],
)
def test_severity_by_scores(ask, minimums, overrides, status, text):
    found = ask("severity", {"severity": {"instrument_minimums": minimums}}, **overrides)
    assert found[:2] == (status, text)


@pytest.mark.parametrize(
    ("severity", "status"), [("mild", "unmet"), ("severe_without_psychosis", "unknown"), (None, "unknown")]
)
def test_a_milder_word_settles_scores_that_are_not_there(ask, make_record, severity, status):
    episode = make_record()["episode"] | {"severity": severity}
    wanted = {"level": "severe", "instrument_minimums": {"madrs": 28}}
    found = ask("severity", {"severity": wanted}, episode=episode)
    assert found[:2] == (status, "Severity severe, at least MADRS 28.")
    scored = ask("severity", {"severity": wanted}, episode=episode, scores={"madrs": 28})
    assert scored[0] == "met"  # a score that is there goes before the word


def test_an_oral_antidepressant_beside_the_treatment(ask, make_trial):
    criteria, text = {"oral_antidepressant_required": True}, "Taking an oral antidepressant."

    def status(row, **overrides):
        return ask("oral_antidepressant", criteria, **({"trials": [row]} | overrides))

    assert status(make_trial(stopped_reason="ongoing")) == ("met", text, ())
    assert status(make_trial()) == ("unknown", text, ())  # the history may leave it out: nobody fails by it
    assert status(make_trial("lithium", stopped_reason="ongoing"))[0] == "unknown"
    assert status(make_trial("Qwertzu", stopped_reason="ongoing"))[0] == "unknown"
    assert ask("oral_antidepressant", {"oral_antidepressant_required": False}) is None


@pytest.mark.parametrize(
    ("criteria", "code", "text"),
    [
        ({"trial_mix": "2 of 2"}, "trial_mix", "Kinds of trial: 2 of 2. A person checks this."),
        (
            {"failure_definitions": ["a", "b"]},
            "failure_definitions",
            "Definition of failure: a; b. A person checks this.",
        ),
        (
            {"oral_antidepressant_stable_weeks": 4},
            "oral_antidepressant_stable_weeks",
            "Weeks on a stable oral antidepressant: 4. A person checks this.",
        ),
        (
            {"oral_antidepressant_must_not_be_a_failed_one": True},
            "oral_antidepressant_must_not_be_a_failed_one",
            "Oral antidepressant other than a failed one: asked for. A person checks this.",
        ),
        ({"same_criteria_as": "tricare"}, "same_criteria_as", "Criteria shared with: tricare. A person checks this."),
    ],
)
def test_what_a_person_checks(ask, criteria, code, text):
    assert ask(code, criteria) == ("unknown", text, ())
    assert ask(code, dict.fromkeys(criteria)) is None


def test_what_may_stand_in_the_place_of_trials_informs(ask):
    criteria = {"alternatives_to_drug_trials": ["good response to TMS before"]}
    text = "Instead of the trials, where documented: good response to TMS before."
    assert ask("alternative", criteria) == ("info", text, ())
    assert ask("alternative", {"alternatives_to_drug_trials": None}) is None


# Exclusions


@pytest.mark.parametrize(
    ("code", "field"),
    [
        *((code, field) for code in ("implanted_device_within_30_cm", "metal_in_or_around_head") for field in ("metal_in_head", "cochlear_implant", "vns_or_dbs", "pacemaker_or_icd")),
        ("conductive_ferromagnetic_or_magnetic_sensitive_metal_in_head_within_30_cm", "cochlear_implant"),
        ("seizure_conditions", "seizure_history"),
        ("seizure_disorder", "seizure_history"),
        ("substance_abuse_last_90_days", "current_substance_use"),
        ("active_substance_use_disorder", "current_substance_use"),
        ("untreated_moderate_or_severe_substance_or_alcohol_use_disorder", "current_substance_use"),
        ("cerebrovascular_disease", "stroke_or_brain_lesion"),
        ("dementia", "stroke_or_brain_lesion"),
        ("cns_tumour", "stroke_or_brain_lesion"),
        ("raised_icp", "stroke_or_brain_lesion"),
        ("severe_head_trauma", "head_injury"),
        ("aneurysmal_vascular_disease", "aneurysm_or_avm"),
        ("arteriovenous_malformation", "aneurysm_or_avm"),
        ("avm", "aneurysm_or_avm"),
        ("intracerebral_haemorrhage", "intracerebral_haemorrhage"),
        ("intracerebral_haemorrhage_history", "intracerebral_haemorrhage"),
        ("hypersensitivity", "hypersensitivity"),
    ],
)  # fmt: skip
def test_an_exclusion_by_its_question(ask, make_record, code, field):
    def status(answer):
        safety = make_record()["safety"] | {field: answer}
        return ask(f"exclusion_{code}", {}, [code], safety=safety)

    text = f"Excluded: {code.replace('_', ' ')}."
    assert status(False) == ("met", text, ())
    assert status(True) == ("unmet", text, ())
    assert status(None) == ("unknown", text, ())


@pytest.mark.parametrize("code", ["psychosis", "psychotic_features", "current_psychotic_symptoms"])
@pytest.mark.parametrize(("answer", "status"), [(False, "met"), (True, "unmet"), (None, "unknown")])
def test_psychosis_now_excludes(ask, make_record, code, answer, status):
    episode = make_record()["episode"] | {"psychotic_features": answer}
    assert ask(f"exclusion_{code}", {}, [code], episode=episode)[0] == status


@pytest.mark.parametrize(
    ("code", "answer", "status"),
    [
        ("schizophrenia", False, "met"),  # who never had a psychosis has none
        ("schizophrenia", True, "unknown"),  # another kind of psychosis is no schizophrenia
        ("schizophrenia", None, "unknown"),
    ],
)
def test_a_psychosis_of_the_past_and_schizophrenia(ask, make_record, code, answer, status):
    safety = make_record()["safety"] | {"psychosis_history": answer}
    assert ask(f"exclusion_{code}", {}, [code], safety=safety)[0] == status


@pytest.mark.parametrize(
    ("code", "diagnosis", "status"),
    [
        ("schizoaffective", "mdd", "met"),
        ("schizoaffective", "schizoaffective", "unmet"),
        ("schizoaffective", None, "unknown"),
        ("bipolar", "mdd", "met"),
        ("bipolar", "bipolar_2", "unmet"),
    ],
)
def test_another_illness_excludes(ask, make_record, code, diagnosis, status):
    episode = make_record()["episode"] | {"diagnosis": diagnosis}
    assert ask(f"exclusion_{code}", {}, [code], episode=episode)[0] == status


@pytest.mark.parametrize(
    ("sex", "age", "answer", "status"),
    [
        ("female", 40, True, "unmet"),
        ("female", 40, False, "met"),
        ("female", 40, None, "unknown"),
        ("male", 40, None, "met"),
        ("female", 60, None, "met"),
        ("female", 60, True, "unmet"),
    ],
)
def test_a_pregnancy_excludes_where_one_is_possible(ask, make_record, sex, age, answer, status):
    safety = make_record()["safety"] | {"pregnant": answer}
    assert ask("exclusion_pregnancy", {}, ["pregnancy"], sex=sex, age=age, safety=safety)[0] == status


@pytest.mark.parametrize("code", ["active_suicidality", "acute_suicidal_ideation_with_intent"])
@pytest.mark.parametrize(
    ("answers", "status"),
    [
        ({"intent": True}, "unmet"),
        ({"plan": True, "intent": None}, "unmet"),
        ({"thoughts": False, "intent": None, "plan": None}, "met"),  # without thoughts the others are not asked
        ({"thoughts": True, "intent": False, "plan": False}, "met"),
        ({"thoughts": True, "intent": False, "plan": None}, "unknown"),
        ({"thoughts": None, "intent": None, "plan": None}, "unknown"),
    ],
)
def test_suicidality_excludes_by_intent_or_plan(ask, make_record, code, answers, status):
    assert ask(f"exclusion_{code}", {}, [code], cssrs=make_record()["cssrs"] | answers)[0] == status
    assert ask(f"exclusion_{code}", {}, [code], cssrs=None)[0] == "unknown"


def test_an_exclusion_of_a_kind_of_treatment_informs(ask):
    assert ask("exclusion_maintenance_tms", {}, ["maintenance_tms"]) == ("info", "Excluded: maintenance tms.", ())


def test_a_policy_without_number_or_date_is_named_by_its_payer(make_record):
    record = IntakeRecord.model_validate(make_record())
    policy = {"id": "own", "version": 1, "payer": "Own Health", "confidence": "high", "criteria": {}}
    result = evaluate_policy(policy, case_of(record, ruleset("default")))
    assert result.verified_on is None
    assert {each.source for each in result.findings} == {"Own Health, in force from a date not known; confidence high"}
    assert result.to_json() == {
        "id": "own",
        "version": "1",
        "verified_on": None,
        "verdict": "met",
        "findings": [each.to_json() for each in result.findings],
    }
