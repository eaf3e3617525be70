import pytest

from clinic.eligibility.engine.safety import conditions

PATHWAYS = ("tms", "esketamine", "iv_ketamine")


def verdicts(result):
    return tuple(result.pathways[name].verdict for name in PATHWAYS)


def test_resistant_and_nothing_against_is_likely_eligible(run):
    assert verdicts(run()) == ("likely_eligible",) * 3


def test_not_resistant_and_nothing_against_is_not_yet(run):
    assert verdicts(run(trials=[])) == ("not_yet",) * 3


def test_a_history_that_cannot_be_told_needs_review(run):
    assert verdicts(run(trials=None)) == ("needs_review",) * 3


E, R, C = "likely_eligible", "needs_review", "contraindicated"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"metal_in_head": True}, (C, E, E)),
        ({"cochlear_implant": True}, (C, E, E)),
        ({"pacemaker_or_icd": True}, (C, E, E)),
        ({"vns_or_dbs": True}, (C, E, E)),
        ({"seizure_history": True}, (R, E, E)),
        ({"stroke_or_brain_lesion": True}, (R, R, R)),
        ({"aneurysm_or_avm": True}, (E, C, C)),
        ({"intracerebral_haemorrhage": True}, (E, C, R)),
        ({"current_substance_use": True}, (R, R, R)),
        ({"psychosis_history": True}, (E, R, R)),
        ({"liver_impairment": "severe"}, (E, R, R)),
        ({"liver_impairment": "moderate"}, (E, R, E)),
        ({"liver_impairment": "mild"}, (E, E, E)),
        ({"bp": [141, 80]}, (E, R, R)),
        ({"bp": [140, 90]}, (E, E, E)),
        ({"bp": [130, 91]}, (E, R, R)),
        ({"pregnant": True}, (R, R, R)),
        ({"aneurysm_clip_coil": True}, (C, E, E)),
        ({"hypersensitivity": True}, (E, C, E)),
        ({"prior_tms": True}, (E, E, E)),
        ({"metal_head": True}, (C, E, E)),
    ],
)
def test_what_speaks_against_each_treatment(run, make_record, answer, expected):
    assert verdicts(run(safety=make_record()["safety"] | answer)) == expected


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("metal_in_head", (R, E, E)),
        ("cochlear_implant", (R, E, E)),
        ("pacemaker_or_icd", (R, E, E)),
        ("vns_or_dbs", (R, E, E)),
        ("seizure_history", (R, E, E)),
        ("stroke_or_brain_lesion", (R, R, R)),
        ("aneurysm_or_avm", (E, R, R)),
        ("intracerebral_haemorrhage", (E, R, R)),
        ("current_substance_use", (E, R, R)),
        ("psychosis_history", (E, R, R)),
        ("liver_impairment", (E, R, R)),
        ("bp", (E, R, R)),
        ("pregnant", (E, E, E)),
    ],
)
def test_which_missing_fact_matters_for_which_treatment(run, make_record, field, expected):
    result = run(safety=make_record()["safety"] | {field: None})
    assert verdicts(result) == expected
    assert (f"safety.{field}" in {ask.field for ask in result.ask}) == (expected != (E, E, E))


@pytest.mark.parametrize(
    ("sex", "age", "expected"),
    [
        ("female", 40, R),
        (None, 40, R),
        ("unknown", 55, R),
        ("female", 56, E),
        ("male", 40, E),
    ],
)
def test_pregnancy_matters_where_it_could_be(run, make_record, sex, age, expected):
    result = run(sex=sex, age=age, safety=make_record()["safety"] | {"pregnant": None})
    assert verdicts(result) == (E, expected, expected)


def test_pregnancy_is_asked_of_everyone_but_men_and_forces_nothing_for_another_sex(run, make_record):
    result = run(sex="other", safety=make_record()["safety"] | {"pregnant": None})
    assert verdicts(result) == (E, E, E)
    assert "safety.pregnant" in {ask.field for ask in result.ask}


@pytest.mark.parametrize("age", [18, 24, 65, 80])
def test_an_age_that_only_informs_holds_nothing_up(run, age):
    assert verdicts(run(age=age)) == (E, E, E)


def test_an_age_not_known_is_reviewed_where_the_young_are_ruled_out(run, make_record):
    result = run(age=None)
    assert verdicts(result) == (E, R, E)
    assert result.trd.verdict == "met"
    assert verdicts(run(age=None, safety=make_record()["safety"] | {"under_18": False})) == (E, E, E)


@pytest.mark.parametrize("field", ["mdq_positive", "audit_c", "cssrs"])
def test_other_missing_facts_are_asked_and_force_nothing(run, field):
    result = run(**{field: None})
    assert verdicts(result) == (E, E, E)
    assert field in {ask.field for ask in result.ask}


@pytest.mark.parametrize("diagnosis", ["bipolar_1", "bipolar_2", "unknown", None, "schizoaffective"])
def test_these_diagnoses_are_never_eligible(run, make_record, diagnosis):
    result = run(episode=make_record()["episode"] | {"diagnosis": diagnosis})
    assert verdicts(result) == (R, R, R)


def test_a_positive_mood_questionnaire_needs_review(run):
    assert verdicts(run(mdq_positive=True)) == (R, R, R)


def test_audit_c_at_the_cut_off_of_the_sex(run, make_record):
    safety = make_record()["safety"]
    assert verdicts(run(sex="male", audit_c=3)) == (E, E, E)
    assert verdicts(run(sex="male", audit_c=4)) == (R, R, E)
    assert verdicts(run(sex="female", audit_c=3, safety=safety)) == (R, R, E)


def test_under_18_cannot_be_told_and_is_reviewed(run):
    result = run(age=17)
    assert result.trd.verdict == "undetermined"
    assert verdicts(result) == (R, C, R)
    assert run(age=18).trd.verdict == "met"


def test_under_18_by_the_screen_alone_is_under_18_too(run, make_record):
    result = run(age=None, safety=make_record()["safety"] | {"under_18": True})
    assert result.trd.verdict == "undetermined"
    assert verdicts(result) == (R, C, R)


def test_an_antidepressant_still_taken_that_lowers_the_seizure_threshold_is_reviewed(run, make_trial):
    trials = [make_trial(), make_trial("bupropion", dose_mg_per_day=300, stopped_reason="ongoing")]
    assert verdicts(run(trials=trials)) == (R, E, E)


@pytest.mark.parametrize("answer", ["intent", "plan", "behaviour_3mo"])
def test_intent_plan_or_recent_behavior_is_urgent_and_leaves_the_verdicts(run, make_record, answer):
    result = run(cssrs=make_record()["cssrs"] | {answer: True})
    assert result.to_json()["urgent"]["flag"] is True
    assert verdicts(result) == (E, E, E)
    assert result.next_steps[0].code == "urgent_review"


@pytest.mark.parametrize("answer", ["wish_dead", "thoughts", "method", "behaviour_lifetime"])
def test_the_other_screener_answers_are_not_urgent(run, make_record, answer):
    assert run(cssrs=make_record()["cssrs"] | {answer: True}).to_json()["urgent"] == {"flag": False, "reasons": []}


@pytest.mark.parametrize(
    "change", [{"psychotic_features": True}, {"current_mania": True}, {"severity": "severe_with_psychosis"}]
)
def test_psychosis_or_mania_now_is_urgent_and_reviewed(run, make_record, change):
    result = run(episode=make_record()["episode"] | change)
    assert result.to_json()["urgent"]["flag"] is True
    assert verdicts(result) == (R, R, R)


def test_nothing_known_is_a_task_not_a_refusal(run):
    from clinic.eligibility.engine import IntakeRecord, assess

    result = assess(IntakeRecord())
    assert result.trd.verdict == "undetermined"
    assert verdicts(result) == (R, R, R)
    assert {"trials", "episode.diagnosis", "safety.metal_in_head", "safety.bp"} <= {ask.field for ask in result.ask}


# What the clinic does


def test_a_finding_carries_its_level_and_what_the_clinic_does(run, make_record):
    safety = make_record()["safety"] | {"metal_in_head": True, "bp": [150, 95], "liver_impairment": "moderate"}
    shown = run(safety=safety).to_json()["pathways"]
    metal = next(each for each in shown["tms"]["findings"] if each["code"] == "metal_head")
    assert (metal["level"], metal["action"]) == ("absolute", "block_booking")
    assert metal["system_must"].startswith("obtain implant card")
    pressure = next(each for each in shown["esketamine"]["findings"] if each["code"] == "bp_pre_dose")
    assert (pressure["level"], pressure["action"]) == ("precaution", "same_day_review")
    assert "NOT an automatic cancel" in pressure["system_must"]


def test_every_question_of_the_screens_answered_yes_is_shown(run):
    for name in PATHWAYS:
        questions = [each.code for each in conditions(name) if each.is_present is None]
        result = run(safety=dict.fromkeys(questions, True))
        assert {each.code for each in result.pathways[name].findings} >= set(questions)
        assert all(each.level for each in conditions(name))


@pytest.mark.parametrize(
    ("change", "code", "level"),
    [
        ({"cssrs": {"plan": True}}, "suicide_plan_or_intent", "urgent"),
        ({"cssrs": {"behaviour_3mo": True}}, "suicide_plan_or_intent", "urgent"),
        ({"cssrs": {"method": True}}, "suicide_method_no_intent", "same_day"),
        ({"cssrs": {"behaviour_lifetime": True}}, "suicide_method_no_intent", "same_day"),
        ({"cssrs": {"wish_dead": True}}, "suicide_passive", "lit"),
        ({"phq9": [0] * 8 + [1]}, "suicide_passive", "lit"),
        ({"phq9": [0] * 8 + [2]}, "phq9_item9_high", "same_day"),
        ({"episode": {"current_mania": True}}, "psychosis_or_mania", "urgent"),
        ({"episode": {"psychotic_features": True}}, "psychosis_or_mania", "urgent"),
    ],
)
def test_a_flag_has_the_level_of_the_table_of_who_is_told(run, change, code, level):
    (flag,) = run(**change).flags
    assert (flag.code, flag.level) == (code, level)


def test_nothing_raised_no_flag(run):
    assert run().flags == ()


@pytest.mark.parametrize("change", [{"mdq_positive": True}, {"safety": {"bipolar_mania": True}}])
def test_a_positive_bipolar_screen_is_never_eligible_for_tms(run, make_record, change):
    merged = {key: make_record()["safety"] | value if key == "safety" else value for key, value in change.items()}
    assert run(**merged).pathways["tms"].verdict == "needs_review"
