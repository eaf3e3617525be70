"""Each finding on the history in full: status, words, rows, source. What a payer asks is in test_policies.py."""

import pytest

from clinic.eligibility.engine import IntakeRecord
from clinic.eligibility.engine.criteria import psychotherapy_answer, therapy


def found(run, code, **overrides):
    """The findings of one code as (status, text, source, rows)."""
    rows = [each for each in run(**overrides).trd.findings if each.code == code]
    return [(each.status, each.text, each.source, each.evidence) for each in rows]


def test_the_count_names_its_rows_and_its_definition(run, make_trial):
    rows = [make_trial(), make_trial("fluoxetine", weeks_at_dose=1), make_trial("venlafaxine", dose_mg_per_day=None)]
    text = "1 adequate of 2 needed, at least 6 weeks at dose each; 1 cannot be told yet."
    source = "trial_adequacy.definitions_of_trd: fda_label_trials, ema; recalled. consensus_2021; seen"
    assert found(run, "adequate_trials", trials=rows) == [("unknown", text, source, (0, 2))]


BIPOLAR = "Bipolar disorder: counts are not comparable. A clinician decides before any verdict."
BIPOLAR_SOURCE = "trial_adequacy.counting_rules.bipolar: recalled"
DEFINITION = "trial_adequacy.definitions_of_trd"


@pytest.mark.parametrize(
    ("diagnosis", "overrides", "finding"),
    [
        ("mdd", {}, ("met", "Major depressive episode.", DEFINITION)),
        ("bipolar_1", {}, ("unknown", BIPOLAR, BIPOLAR_SOURCE)),
        ("bipolar_2", {}, ("unknown", BIPOLAR, BIPOLAR_SOURCE)),
        ("bipolar_2", {"trials": []}, ("unmet", BIPOLAR, BIPOLAR_SOURCE)),  # too few, whoever decides
        ("bipolar_2", {"trials": None}, ("unknown", BIPOLAR, BIPOLAR_SOURCE)),
        (None, {}, ("unknown", "The diagnosis of this episode is not known.", DEFINITION)),
        ("unknown", {}, ("unknown", "The diagnosis of this episode is not known.", DEFINITION)),
        ("dysthymia", {}, ("unmet", "Not a major depressive episode: dysthymia.", DEFINITION)),
    ],
)
def test_the_diagnosis(run, make_record, diagnosis, overrides, finding):
    episode = make_record()["episode"] | {"diagnosis": diagnosis}
    assert found(run, "diagnosis", episode=episode, **overrides) == [(*finding, ())]


@pytest.mark.parametrize(
    ("age", "status", "text"),
    [
        (17, "unknown", "Under 18: the rules are for adults."),
        (18, "met", "Adult."),
        (None, "info", "Age not known; the rules are for adults."),
    ],
)
def test_the_age(run, age, status, text):
    assert found(run, "adult", age=age) == [(status, text, "safety_screens.tms_screen.age_band", ())]
    assert (run(age=age).trd.verdict == "undetermined") is (age == 17)


@pytest.mark.parametrize(
    ("names", "rule", "rows"),
    [
        (["escitalopram", "sertraline", "citalopram"], "enantiomers", (2, 0)),
        (["venlafaxine", "desvenlafaxine"], "active_metabolite", (1, 0)),
    ],
)
def test_close_relatives_are_said(run, make_trial, names, rule, rows):
    trials = [make_trial(name, dose_mg_per_day=150) for name in names]
    first, second = sorted((names[0], names[-1]))
    text = f"{first} and {second} are closely related: two trials, one class, and a reviewer may see one."
    source = f"trial_adequacy.counting_rules.{rule}: recalled"
    assert found(run, "similar_agents", trials=trials) == [("info", text, source, rows)]
    assert found(run, "similar_agents", trials=trials[:1]) == []


def test_one_class_is_said_of_two_trials_or_more(run, make_trial):
    ssris = [make_trial("fluoxetine", dose_mg_per_day=20, weeks_at_dose=1), make_trial(), make_trial("paroxetine")]
    text = "All adequate trials are of one class: ssri. Many payers ask for two."
    source = "trial_adequacy.counting_rules.same_class: seen"
    assert found(run, "one_class", trials=ssris) == [("info", text, source, (1, 2))]
    assert found(run, "one_class", trials=ssris[:2]) == []
    assert found(run, "one_class") == []


TALKED = "trial_adequacy.psychotherapy_adequacy: "


@pytest.mark.parametrize(
    ("courses", "text"),
    [
        (
            [{"type": "CBT", "sessions": 12}],
            "An adequate course of evidence-based psychotherapy is on record.",
        ),
        ([], "No adequate course of evidence-based psychotherapy is on record."),
        (None, "Not known whether evidence-based psychotherapy was tried."),
    ],
)
def test_psychotherapy_informs(run, courses, text):
    ((status, said, source, rows),) = found(run, "evidence_based_psychotherapy", psychotherapy=courses)
    assert (status, said, rows) == ("info", text, ())
    assert source.startswith(TALKED)
    assert "; confidence " in source


@pytest.mark.parametrize(
    ("course", "answer"),
    [
        ({"type": "cbt", "sessions": 8}, True),
        ({"type": "cbt", "sessions": 7}, False),
        ({"sessions": 7}, False),
        ({"sessions": 20}, None),
        ({"type": "cbt"}, None),
        ({"type": "talking", "sessions": 20}, None),
        ({"type": "talking", "adequate": True}, True),
        ({"type": "cbt", "sessions": 20, "adequate": False}, False),
    ],
)
def test_a_course_is_adequate_by_its_kind_and_its_sessions(course, answer):
    record = IntakeRecord.model_validate({"psychotherapy": [course]})
    assert psychotherapy_answer(record) is answer


@pytest.mark.parametrize(
    ("courses", "answer"),
    [
        ([{"type": "IPT", "sessions": 20}], False),
        ([{"type": "Cognitive Behavioral Therapy", "sessions": 20}], True),
        ([{"type": "IPT", "sessions": 20}, {"type": "CBT", "sessions": 20}], True),
        ([{"type": "CBT", "sessions": 2}], False),
        ([{"adequate": True}], None),  # of which kind nobody said
        ([], False),
        (None, None),
    ],
)
def test_a_course_of_the_kind_that_is_asked_for(courses, answer):
    record = IntakeRecord.model_validate({"psychotherapy": courses})
    assert psychotherapy_answer(record, ["cbt"]) is answer


@pytest.mark.parametrize(
    ("written", "short"),
    [("TCC", "cbt"), ("Cognitive-Behavioural  therapy", "cbt"), ("Gestalt (group)", "gestalt group")],
)
def test_a_kind_of_psychotherapy_by_its_short_name(written, short):
    assert therapy(written) == short
