"""What a policy file may say: each key at its borders, and what is told where it is wrong."""

import pytest

from clinic.eligibility.engine import knowledge, policy_file

NAMES = ", ".join(sorted(policy_file.CRITERIA))


def problems(changes=None, *, without=(), **criteria):
    """What is wrong with a sound policy once these keys and criteria are changed."""
    table = dict(knowledge.policy("tricare")) | {"id": "own"} | (changes or {})
    table["criteria"] = criteria or table["criteria"]
    return policy_file.problems({key: value for key, value in table.items() if key not in without}, stem="own")


def number(low, high):
    return f"must be a number from {low} to {high}, or null for not known"


def whole(low, high):
    return f"must be a whole number from {low} to {high}, or null for not known"


TEXT, TEXTS, YES_NO = "must be text", "must be a list of texts", "must be true or false, or null for not known"
NUMBERS = {
    "min_failed_antidepressant_trials": (0, 20, whole),
    "min_distinct_classes": (0, 8, whole),
    "intolerance_min_agents": (0, 20, whole),
    "augmentation_trials_required": (0, 20, whole),
    "trial_min_weeks": (0, 52, number),
    "augmentation_weeks": (0, 52, number),
    "oral_antidepressant_stable_weeks": (0, 52, number),
    "failure_max_improvement_percent": (0, 100, number),
    "adherence_min_percent": (0, 100, number),
    "prior_use_requires_phq9_reduction_percent": (0, 100, number),
    "lookback_years": (0, 100, number),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_at_its_borders(name):
    low, high, words = NUMBERS[name]
    wrong = [f"criteria.{name}: {words(low, high)}"]
    for sound in (None, low, high):
        assert problems(**{name: sound}) == []
    for value in (low - 1, high + 1, True, str(low), [low]):
        assert problems(**{name: value}) == wrong
    assert problems(**{name: low + 0.5}) == (wrong if words is whole else [])


@pytest.mark.parametrize(
    "name",
    [
        "intolerance_counts",
        "intolerance_distinct_side_effects",
        "augmentation_may_count_as_trial",
        "oral_antidepressant_required",
        "oral_antidepressant_must_not_be_a_failed_one",
    ],
)
def test_a_yes_or_no(name):
    assert [problems(**{name: value}) for value in (True, False, None)] == [[], [], []]
    assert problems(**{name: "yes"}) == problems(**{name: 1}) == [f"criteria.{name}: {YES_NO}"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("episode_window", policy_file.WINDOWS),
        ("psychotherapy", policy_file.THERAPY),
    ],
)
def test_a_word_of_a_list(name, words):
    for word in (*words, None):
        assert problems(**{name: word}) == []
    text = f"criteria.{name}: must be one of {', '.join(words)}, or null for not known"
    assert problems(**{name: "sometimes"}) == problems(**{name: 3}) == [text]


def test_the_words_that_a_policy_may_use():
    assert policy_file.WINDOWS[3:] == ("last_5_years", "last_12_months", "not_stated")
    assert policy_file.THERAPY == ("required", "required_or_augmentation", "if_available", "not_required")


@pytest.mark.parametrize("name", ["diagnosis", "dose_rule", "trial_mix", "same_criteria_as"])
def test_a_text(name):
    assert problems(**{name: "mdd"}) == problems(**{name: None}) == []
    assert problems(**{name: 4}) == problems(**{name: ["mdd"]}) == [f"criteria.{name}: {TEXT}"]


@pytest.mark.parametrize(
    "name",
    ["classes_named", "augmentation_list", "psychotherapy_types", "alternatives_to_drug_trials", "failure_definitions"],
)
def test_a_list_of_texts(name):
    assert problems(**{name: ["ssri", "snri"]}) == problems(**{name: []}) == problems(**{name: None}) == []
    wrong = [f"criteria.{name}: {TEXTS}"]
    assert problems(**{name: "ssri"}) == problems(**{name: ["ssri", 3]}) == problems(**{name: {"a": 1}}) == wrong


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ({"min": 18, "max": 65, "note": "adults"}, None),
        ({"min": 0, "max": 120}, None),
        ({"min": None}, None),
        ({}, None),
        ({"min": -1}, whole(0, 120)),
        ({"min": 18, "max": 121}, whole(0, 120)),
        ({"min": 18.5}, whole(0, 120)),
        ({"from": 18}, "must be {min: years, max: years}"),
        (18, "must be {min: years, max: years}"),
    ],
)
def test_an_age(value, fault):
    assert problems(age=value) == ([f"criteria.age: {fault}"] if fault else [])


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        (
            {"level": "severe", "instrument_minimums": {"phq9": 20}, "any_one_of": 1, "within_weeks": 2, "note": "x"},
            None,
        ),
        ({"instrument_minimums": dict.fromkeys(("phq9", "hamd", "madrs", "bdi", "qids", "zung"), 100)}, None),
        ({"level": None, "instrument_minimums": None}, None),
        ({"instrument_minimums": {"phq9": 0, "madrs": None}}, None),
        ({"instrument_minimums": {"phq9": 101}}, whole(0, 100)),
        ({"instrument_minimums": {"phq9": 20, "madrs": -1}}, whole(0, 100)),
        (
            {"instrument_minimums": {"phq9": 20, "gad7": 10}},
            "instrument_minimums: gad7 is not one of phq9, hamd, madrs, bdi, qids, zung",
        ),
        ({"instrument_minimums": 20}, "instrument_minimums must be {phq9: points, ...}, or null for not known"),
        (
            {"level": "bad"},
            "must be one of moderate, moderate_to_severe, moderately_severe, severe, not_stated, or null for not known",
        ),
        ({"points": 20}, "must be {level: word, instrument_minimums: {phq9: points, ...}}"),
        ("severe", "must be {level: word, instrument_minimums: {phq9: points, ...}}"),
    ],
)
def test_a_severity(value, fault):
    assert problems(severity=value) == ([f"criteria.severity: {fault}"] if fault else [])


@pytest.mark.parametrize("name", [*sorted(policy_file.DESCRIBED), "age_note", "trials_verified"])
def test_what_only_describes_may_be_anything(name):
    assert problems(**{name: {"any": ["thing"]}}) == []


def test_a_criterion_that_nobody_knows():
    text = f"criteria.min_trials: unknown criterion: use one of {NAMES}"
    assert problems(min_trials=2, trial_min_weeks=60) == [text, f"criteria.trial_min_weeks: {number(0, 52)}"]


@pytest.mark.parametrize("key", ["id", "version", "treatment", "payer", "confidence", "verified", "criteria"])
def test_what_has_to_be_there(key):
    missing = f"{key}: is missing: add it"
    assert missing in problems(without=[key])
    if key != "criteria":
        assert missing in problems({key: None})
        assert missing in problems({key: ""})


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"treatment": "ect"}, "treatment: must be one of tms, esketamine, ketamine_iv, or null for not known"),
        ({"confidence": "sure"}, "confidence: must be one of high, medium, low, or null for not known"),
        ({"version": 2}, f"version: {TEXT}"),
        ({"payer": ["x"]}, f"payer: {TEXT}"),
        ({"policy_number": 7}, f"policy_number: {TEXT}"),
        ({"verified": 2026}, f"verified: {TEXT}"),
        ({"src": "x"}, f"src: {TEXTS}"),
        ({"exclusions": "x"}, f"exclusions: {TEXTS}"),
        ({"id": 7}, f"id: {TEXT}"),
        ({"id": "other"}, "id: is 'other', the file is 'own': give both one name"),
        ({"valid": True}, "valid: unknown key: remove it, or put words for people under note"),
        ({"date": 7, "effective_date": [1]}, None),
        *(({key: {"any": 1}}, None) for key in sorted(policy_file._ALSO - {"criteria"})),
    ],
)
def test_a_key_of_the_file(changes, fault):
    assert problems(changes) == ([fault] if fault else [])


def test_a_file_that_is_no_table():
    start = "must be a list of keys with values: start from a copy of one of the policies that come with the program"
    assert policy_file.problems(["own"], stem="own") == policy_file.problems(None, stem="own") == [start]
    table = dict(knowledge.policy("tricare")) | {"id": "own", "criteria": [1], "valid": 1}
    assert policy_file.problems(table, stem="own") == [
        "valid: unknown key: remove it, or put words for people under note",
        "criteria: must be a list of keys with values",
    ]
