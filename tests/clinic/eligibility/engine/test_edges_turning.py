"""What would turn a whole verdict, in words: one open fact after the other, of treatments, of the history, of a payer."""

import json

import pytest

from clinic.eligibility.engine import IntakeRecord, assess, knowledge
from clinic.eligibility.engine.turning import apply_to

NOTHING = "no change of up to three facts brings it about."
SHOWN = {"trd": "The history meets the rule set", "tms": "TMS is likely eligible", "own": "Policy own is met"}
SHOWN |= {"esketamine": "esketamine is likely eligible", "iv_ketamine": "IV ketamine is likely eligible"}


@pytest.fixture
def own(tmp_path):
    """Puts a policy of these criteria and exclusions beside ours."""

    def write(criteria, exclusions=()):
        table = {"id": "own", "version": "1", "treatment": "tms", "payer": "Own Health", "confidence": "low"}
        table |= {"verified": "here", "criteria": criteria, "exclusions": list(exclusions)}
        (tmp_path / "own.yaml").write_text(json.dumps(table))  # JSON is YAML
        assert knowledge.use_folder(tmp_path) == []

    yield write
    knowledge.use_folder(tmp_path / "none")


@pytest.fixture
def turn(make_record):
    """What would turn one verdict: words, and the changes as (field, from, to); none where it stands or nothing does.

    Where there are changes they are made, and the step is gone.
    """

    def of(about, **overrides):
        using = {"policies": ["own"]} if about == "own" else {}
        record = make_record(**overrides)

        def step(document):
            steps = assess(IntakeRecord.model_validate(document), **using).to_json()["next_steps"]
            return next((each for each in steps if each.get("about") == about), None)

        found = step(record)
        if found is None:
            return None
        text = found["text"].removeprefix(SHOWN[about]).lstrip(": ")
        if found["changes"] is None:
            assert found["code"] == "no_small_change"
            return text
        assert found["code"] == "would_turn"
        assert step(apply_to(record, found["changes"])) is None
        return text, [(each["field"], each["from"], each["to"]) for each in found["changes"]]

    return of


def safety(make_record, **changes):
    return {"safety": make_record()["safety"] | changes}


def episode(make_record, **changes):
    return {"episode": make_record()["episode"] | changes}


def two(make_trial, first=None, second=None):
    return {"trials": [make_trial(**(first or {})), make_trial("venlafaxine", dose_mg_per_day=150, **(second or {}))]}


# A treatment

ALL = ("tms", "esketamine", "iv_ketamine")
KETAMINES = ("esketamine", "iv_ketamine")


@pytest.mark.parametrize(
    ("field", "treatments"),
    [
        *((field, ("tms",)) for field in ("metal_in_head", "cochlear_implant", "pacemaker_or_icd", "vns_or_dbs", "seizure_history")),
        ("stroke_or_brain_lesion", ALL),
        *((field, KETAMINES) for field in ("aneurysm_or_avm", "intracerebral_haemorrhage", "current_substance_use", "psychosis_history")),
    ],
)  # fmt: skip
def test_an_answer_that_is_missing(turn, make_record, field, treatments):
    for about in ALL:
        found = turn(about, **safety(make_record, **{field: None}))
        words = f"if the answer on {field.replace('_', ' ')} is no."
        assert found == ((words, [(f"safety.{field}", None, False)]) if about in treatments else None)


@pytest.mark.parametrize(
    ("answers", "treatments", "words", "change"),
    [
        ({"pregnant": True}, ALL, "there is no pregnancy", ("safety.pregnant", True, False)),
        ({"pregnant": None}, KETAMINES, "the answer on pregnant is no", ("safety.pregnant", None, False)),
        (
            {"current_substance_use": True},
            ALL,
            "no substance is a problem now",
            ("safety.current_substance_use", True, False),
        ),
        ({"liver_impairment": None}, KETAMINES, "the liver is not impaired", ("safety.liver_impairment", None, "none")),
        ({"bp": None}, KETAMINES, "the blood pressure is in range, as at 120/80", ("safety.bp", None, [120, 80])),
        (
            {"bp": [160, 100]},
            KETAMINES,
            "the blood pressure is in range, as at 120/80",
            ("safety.bp", [160, 100], [120, 80]),
        ),
    ],
)
def test_a_state_that_can_pass(turn, make_record, answers, treatments, words, change):
    for about in ALL:
        found = turn(about, sex="female", **safety(make_record, **answers))
        assert found == ((f"if {words}.", [change]) if about in treatments else None)


@pytest.mark.parametrize(
    ("field", "words"), [("current_mania", "the mania is over"), ("psychotic_features", "the psychosis is over")]
)
@pytest.mark.parametrize("about", ALL)
def test_an_episode_that_passes(turn, make_record, about, field, words):
    found = turn(about, **episode(make_record, **{field: True}))
    assert found == (f"if {words}.", [(f"episode.{field}", True, False)])


def test_an_age_that_is_missing(turn):
    assert turn("esketamine", age=None) == ("if the person is an adult.", [("age", None, 18)])
    assert turn("esketamine", age=17) == NOTHING


@pytest.mark.parametrize(
    ("answers", "about"),
    [
        ({"metal_in_head": True}, "tms"),
        ({"stroke_or_brain_lesion": True}, "tms"),
        ({"aneurysm_or_avm": True}, "esketamine"),
        ({"intracerebral_haemorrhage": True}, "esketamine"),
        ({"psychosis_history": True}, "esketamine"),
        ({"liver_impairment": "moderate"}, "esketamine"),
        ({"substance_use": True}, "esketamine"),  # a disorder of the past
        ({"stimulants_drugs": True}, "tms"),  # drugs of the last month, whatever is said of a problem
    ],
)
def test_what_lasts_is_not_turned(turn, make_record, answers, about):
    assert turn(about, **safety(make_record, **answers)) == NOTHING


def test_three_answers_are_as_many_as_are_offered(turn, make_record):
    open_ones = ("metal_in_head", "cochlear_implant", "pacemaker_or_icd", "vns_or_dbs")
    found = turn("tms", **safety(make_record, **dict.fromkeys(open_ones[:3])))
    assert found[1] == [(f"safety.{field}", None, False) for field in open_ones[:3]]
    assert found[0] == (
        "if the answer on metal in head is no, the answer on cochlear implant is no and the answer on pacemaker or icd is no."
    )
    assert turn("tms", **safety(make_record, **dict.fromkeys(open_ones))) == NOTHING
    assert turn("tms", safety=None) == NOTHING


def test_the_history_and_an_answer_together(turn, make_record, make_trial):
    rows = two(make_trial, second={"adherence": None})
    changes = [("safety.metal_in_head", None, False), ("trials[1].adherence", None, "good")]
    found = turn("tms", **safety(make_record, metal_in_head=None), **rows)
    assert found == (
        "if the answer on metal in head is no and for venlafaxine it was taken as prescribed.",
        changes,
    )
    missing = safety(make_record, metal_in_head=None, cochlear_implant=None, vns_or_dbs=None)
    assert turn("tms", **missing, **rows) == NOTHING  # four facts


def test_one_fact_that_settles_two_things_is_one_change(turn, make_record):
    found = turn("esketamine", **episode(make_record, diagnosis=None))
    assert found == ("if the diagnosis is major depression.", [("episode.diagnosis", None, "mdd")])


# The history


@pytest.mark.parametrize(
    ("first", "second", "words", "changes"),
    [
        ({}, {"adherence": None}, "for venlafaxine it was taken as prescribed", [("trials[1].adherence", None, "good")]),
        (
            {"adherence": None},
            {"adherence": None},
            "for sertraline it was taken as prescribed and for venlafaxine it was taken as prescribed",
            [("trials[0].adherence", None, "good"), ("trials[1].adherence", None, "good")],
        ),
        (
            {},
            {"adherence": None, "outcome": None, "purpose": None},
            "for venlafaxine it was taken as prescribed, for venlafaxine it did not help enough and for venlafaxine it was taken for depression",
            [("trials[1].adherence", None, "good"), ("trials[1].outcome", None, "none"), ("trials[1].purpose", None, "depression")],
        ),
        (
            {},
            {"stopped_on": "2026-01-01", "weeks_well_after": [6, 10]},
            "for venlafaxine there was no time well after it",
            [("trials[1].weeks_well_after", [6, 10], 0)],
        ),
    ],
)  # fmt: skip
def test_what_the_history_lacks(turn, make_trial, first, second, words, changes):
    assert turn("trd", **two(make_trial, first, second)) == (f"if {words}.", changes)


def test_what_the_history_cannot_get(turn, make_record, make_trial):
    open_twice = {"adherence": None, "outcome": None}
    assert turn("trd", **two(make_trial, open_twice, open_twice)) == NOTHING  # four facts
    assert turn("trd", trials=[make_trial()]) == NOTHING
    assert turn("trd", trials=[make_trial(), make_trial("Zoloft", adherence=None)]) == NOTHING  # one medicine
    assert turn("trd", trials=[make_trial(), make_trial(outcome="response")]) == NOTHING
    assert turn("trd", trials=None) == NOTHING
    assert turn("trd", age=17) == NOTHING
    for diagnosis in ("bipolar_1", "dysthymia", "schizoaffective"):
        assert turn("trd", **episode(make_record, diagnosis=diagnosis)) == NOTHING
    assert turn("trd") is None


def test_the_fewest_changes_come_first(turn, make_trial):
    easy, hard = make_trial("venlafaxine", dose_mg_per_day=150, adherence=None), make_trial("bupropion", dose_mg_per_day=300, adherence=None, outcome=None)  # fmt: skip
    words = "if for venlafaxine it was taken as prescribed."
    assert turn("trd", trials=[make_trial(), hard, easy]) == (words, [("trials[2].adherence", None, "good")])
    assert turn("trd", trials=[make_trial(), easy, hard]) == (words, [("trials[1].adherence", None, "good")])


def test_a_medicine_without_a_name_goes_by_its_place(turn, make_trial):
    rows = [make_trial(), make_trial("venlafaxine", dose_mg_per_day=150), make_trial(None)]
    assert turn("trd", trials=rows) is None
    unnamed = make_trial("Celebrex")
    found = turn("trd", trials=[make_trial("venlafaxine", dose_mg_per_day=150), unnamed])
    assert found == (
        "if for Celebrex the medicine was Celexa (citalopram).",
        [("trials[1].drug", "Celebrex", "Celexa")],
    )


def test_the_diagnosis_and_two_rows(turn, make_record, make_trial):
    rows = two(make_trial, {"adherence": None}, {"adherence": None})
    found = turn("trd", **rows, **episode(make_record, diagnosis=None))
    assert [field for field, _, _ in found[1]] == ["episode.diagnosis", "trials[0].adherence", "trials[1].adherence"]
    more = two(make_trial, {"adherence": None}, {"adherence": None, "outcome": None})
    assert turn("trd", **more, **episode(make_record, diagnosis=None)) == NOTHING


# A payer


@pytest.mark.parametrize("code", ["psychosis", "psychotic_features", "current_psychotic_symptoms", None])
def test_a_psychosis_that_is_not_known(turn, own, make_record, code):
    own({"diagnosis": "mdd" if code else "mdd without psychosis"}, [code] if code else [])
    change = ("episode.psychotic_features", None, False)
    assert turn("own", **episode(make_record, psychotic_features=None)) == ("if there is no psychosis now.", [change])
    assert turn("own", **episode(make_record, psychotic_features=True)) == NOTHING


@pytest.mark.parametrize("code", ["active_suicidality", "acute_suicidal_ideation_with_intent"])
def test_thoughts_that_were_not_asked(turn, own, make_record, code):
    own({}, [code])
    assert turn("own", cssrs=None) == ("if there are no thoughts of suicide.", [("cssrs.thoughts", None, False)])
    assert turn("own", cssrs=make_record()["cssrs"] | {"thoughts": True, "intent": True}) == NOTHING


@pytest.mark.parametrize("code", ["bipolar", "schizoaffective", None])
def test_a_diagnosis_that_is_not_known(turn, own, make_record, code):
    own({}, [code] if code else [])
    found = turn("own", **episode(make_record, diagnosis=None))
    assert found == ("if the diagnosis is major depression.", [("episode.diagnosis", None, "mdd")])
    assert turn("own", **episode(make_record, diagnosis="dysthymia")) == NOTHING


def test_an_age_that_a_policy_asks_for(turn, own):
    own({"age": {"min": 18}})
    assert turn("own", age=None) == ("if the age is in range, as at 40.", [("age", None, 40)])
    assert turn("own", age=17) == NOTHING
    own({"age": {"min": 65}})
    assert turn("own", age=None) == NOTHING  # forty would not do, and nobody knows


@pytest.mark.parametrize(
    ("code", "fields"),
    [
        ("seizure_conditions", ("seizure_history",)),
        ("seizure_disorder", ("seizure_history",)),
        ("cerebrovascular_disease", ("stroke_or_brain_lesion",)),
        ("dementia", ("stroke_or_brain_lesion",)),
        ("cns_tumour", ("stroke_or_brain_lesion",)),
        ("raised_icp", ("stroke_or_brain_lesion",)),
        ("aneurysmal_vascular_disease", ("aneurysm_or_avm",)),
        ("avm", ("aneurysm_or_avm",)),
        ("intracerebral_haemorrhage_history", ("intracerebral_haemorrhage",)),
        ("active_substance_use_disorder", ("current_substance_use",)),
        ("substance_abuse_last_90_days", ("current_substance_use",)),
        ("schizophrenia", ("psychosis_history",)),
        ("severe_head_trauma", ("head_injury",)),
        ("hypersensitivity", ("hypersensitivity",)),
        ("metal_in_or_around_head", ("metal_in_head", "vns_or_dbs")),
        ("implanted_device_within_30_cm", ("cochlear_implant", "pacemaker_or_icd")),
    ],
)
def test_an_exclusion_that_was_not_asked(turn, own, make_record, code, fields):
    own({}, [code])
    found = turn("own", **safety(make_record, **dict.fromkeys(fields)))
    words = " and ".join(f"the answer on {field.replace('_', ' ')} is no" for field in fields)
    assert found == (f"if {words}.", [(f"safety.{field}", None, False) for field in fields])
    assert turn("own", **safety(make_record, **dict.fromkeys(fields, False))) is None
    if code != "schizophrenia":
        assert turn("own", **safety(make_record, **dict.fromkeys(fields, True))) == NOTHING


def test_a_pregnancy_that_was_not_asked(turn, own, make_record):
    own({}, ["pregnancy"])
    found = turn("own", sex="female", **safety(make_record, pregnant=None))
    assert found == ("if the answer on pregnant is no.", [("safety.pregnant", None, False)])


def test_four_implants_that_were_not_asked_are_too_many(turn, own, make_record):
    own({}, ["metal_in_or_around_head"])
    fields = ("metal_in_head", "cochlear_implant", "vns_or_dbs", "pacemaker_or_icd")
    assert len(turn("own", **safety(make_record, **dict.fromkeys(fields[:3])))[1]) == 3
    assert turn("own", **safety(make_record, **dict.fromkeys(fields))) == NOTHING


COURSE = {"type": "cbt", "sessions": 12, "adequate": True}
SHORT = {"type": "ipt", "sessions": 3, "adequate": None}


@pytest.mark.parametrize("wanted", ["required", "required_or_augmentation"])
@pytest.mark.parametrize(("before", "after"), [(None, [COURSE]), ([], [COURSE]), ([SHORT], [SHORT, COURSE])])
def test_a_talking_treatment_more(turn, own, wanted, before, after):
    own({"psychotherapy": wanted})
    change = ("psychotherapy", before or None, after)
    words = "if an adequate course of psychotherapy is on record."
    assert turn("own", psychotherapy=before) == (words, [change])


@pytest.mark.parametrize(
    ("wanted", "overrides", "words", "change"),
    [
        ({"level": "severe"}, {}, "the episode is severe", ("episode.severity", None, "severe_without_psychosis")),
        (
            {"instrument_minimums": {"phq9": 20}},
            {"phq9": None},
            "the PHQ-9 is 20 or more",
            ("phq9", None, [3, 3, 3, 3, 3, 3, 2, 0, 0]),
        ),
        (
            {"instrument_minimums": {"phq9": 27}},
            {"phq9": None},
            "the PHQ-9 is 27 or more",
            ("phq9", None, [3] * 9),
        ),
        ({"instrument_minimums": {"phq9": 1}}, {"phq9": None}, "the PHQ-9 is 1 or more", ("phq9", None, [1] + [0] * 8)),
        (
            {"instrument_minimums": {"hamd": 20, "phq9": 20}},
            {},
            "the HAMD is 20 or more",
            ("scores.hamd17", None, 20),
        ),
        (
            {"instrument_minimums": {"bdi": 30, "madrs": 28}},
            {"scores": {"bdi2": 10}},
            "the MADRS is 28 or more",
            ("scores.madrs", None, 28),
        ),
    ],
)
def test_a_severity_that_is_not_known(turn, own, make_record, wanted, overrides, words, change):
    own({"severity": wanted})
    assert turn("own", **episode(make_record, severity=None), **overrides) == (f"if {words}.", [change])


def test_a_severity_that_no_fact_turns(turn, own, make_record):
    own({"severity": {"level": "severe"}})
    assert turn("own", **episode(make_record, severity="mild")) == NOTHING
    own({"severity": {"note": "ask the payer"}})
    assert turn("own") == NOTHING
    own({"severity": {"instrument_minimums": {"madrs": 28}}})
    assert turn("own", scores={"madrs": 27}) == NOTHING


@pytest.mark.parametrize(
    "criteria",
    [
        {"trial_mix": "x"},
        {"augmentation_trials_required": 1},
        {"min_failed_antidepressant_trials": None},
        {"oral_antidepressant_required": True},
    ],
)
def test_what_only_a_person_settles(turn, own, criteria):
    own(criteria)
    assert turn("own") == NOTHING


def test_a_trial_that_a_payer_lacks(turn, own, make_trial):
    own({"min_failed_antidepressant_trials": 2, "trial_min_weeks": 6, "min_distinct_classes": 2})
    found = turn("own", **two(make_trial, second={"adherence": None}))
    change = ("trials[1].adherence", None, "good")
    assert found == ("if for venlafaxine it was taken as prescribed.", [change])
    same = [make_trial(), make_trial("fluoxetine", dose_mg_per_day=20, adherence=None)]
    assert turn("own", trials=same) == NOTHING  # of the same class


def test_more_trials_than_the_rule_set_asks_for(turn, own, make_trial):
    own({"min_failed_antidepressant_trials": 3, "trial_min_weeks": 6})
    third = make_trial("bupropion", dose_mg_per_day=300, adherence=None)
    assert turn("own", trials=[*two(make_trial)["trials"], third])[1] == [("trials[2].adherence", None, "good")]
    own({"min_failed_antidepressant_trials": 4, "trial_min_weeks": 6})
    fourth = make_trial("mirtazapine", dose_mg_per_day=30, adherence=None)
    found = turn("own", trials=[*two(make_trial)["trials"], third, fourth])
    assert [field for field, _, _ in found[1]] == ["trials[2].adherence", "trials[3].adherence"]


def test_a_payer_too_is_told_the_fewest_changes_first(turn, own, make_trial):
    own({"min_failed_antidepressant_trials": 2, "trial_min_weeks": 6})
    hard = make_trial("bupropion", dose_mg_per_day=300, adherence=None, outcome=None)
    easy = make_trial("venlafaxine", dose_mg_per_day=150, adherence=None)
    assert turn("own", trials=[make_trial(), hard, easy])[1] == [("trials[2].adherence", None, "good")]
    late = make_trial("mirtazapine", dose_mg_per_day=30, adherence=None)
    assert turn("own", trials=[make_trial(), easy, late])[1] == [("trials[1].adherence", None, "good")]


def test_a_trial_and_an_answer_of_a_payer(turn, own, make_record, make_trial):
    own({"min_failed_antidepressant_trials": 2, "trial_min_weeks": 6}, ["seizure_disorder"])
    rows = two(make_trial, second={"adherence": None})
    found = turn("own", **rows, **safety(make_record, seizure_history=None))
    assert found[1] == [("safety.seizure_history", None, False), ("trials[1].adherence", None, "good")]


def test_a_policy_that_is_met_needs_nothing(turn, own):
    own({"alternatives_to_drug_trials": ["x"]}, ["maintenance_tms"])  # what informs stands in nobody's way
    assert turn("own") is None


def test_a_change_of_a_part_that_is_not_there_makes_it():
    assert apply_to({}, [{"field": "safety.bp", "to": [120, 80]}]) == {"safety": {"bp": [120, 80]}}
    assert apply_to({"safety": None, "age": 3}, [{"field": "age", "to": 40}]) == {"safety": None, "age": 40}
    before = {"trials": [{"drug": "Zoloft"}, {"drug": "Prozac"}]}
    changes = [{"field": "trials[1].weeks", "to": 8}, {"field": "trials[1].role", "to": "alone"}]
    assert apply_to(before, changes)["trials"] == [{"drug": "Zoloft"}, {"drug": "Prozac", "weeks": 8, "role": "alone"}]
    assert before == {"trials": [{"drug": "Zoloft"}, {"drug": "Prozac"}]}  # it is a copy that changes
