import pytest

from clinic.eligibility.engine.record import other_cause_codes


def status(run, code, **overrides):
    rows = run(**overrides).to_json()["pseudo_resistance"]
    assert [row["code"] for row in rows] == list(other_cause_codes())
    (row,) = [row for row in rows if row["code"] == code]
    assert row["text"]
    assert row["source"].startswith("trial_adequacy.pseudo_resistance_checks")
    return row["status"]


P, A, N = "present", "absent", "not_asked"


@pytest.mark.parametrize(
    ("code", "overrides", "expected"),
    [
        ("inadequate_dose", {}, A),
        ("inadequate_dose", {"trials": None}, N),
        ("bipolar_disorder", {}, A),
        ("bipolar_disorder", {"mdq_positive": True}, P),
        ("bipolar_disorder", {"mdq_positive": None}, N),
        ("ptsd_or_anxiety", {}, N),
        ("ptsd_or_anxiety", {"scores": {"gad7": 10}}, P),
        ("ptsd_or_anxiety", {"scores": {"gad7": 9}}, N),
        ("ptsd_or_anxiety", {"scores": {"gad7": 9, "pcptsd5": 3}}, A),
        ("ptsd_or_anxiety", {"sex": "female", "scores": {"gad7": 9, "pcptsd5": 3}}, P),
        ("ptsd_or_anxiety", {"scores": {"pcptsd5": 4}}, P),
        ("thyroid_or_other_medical", {}, N),
        ("thyroid_or_other_medical", {"thyroid": {"problem": True}}, P),
        ("thyroid_or_other_medical", {"thyroid": {"result": "abnormal"}}, P),
        ("thyroid_or_other_medical", {"thyroid": {"problem": False}}, A),
        ("thyroid_or_other_medical", {"thyroid": {"result": "normal"}}, A),
        ("thyroid_or_other_medical", {"thyroid": {"result": "unknown"}}, N),
        ("therapy_not_evidence_based", {}, A),
        ("therapy_not_evidence_based", {"psychotherapy": []}, P),
        ("therapy_not_evidence_based", {"psychotherapy": None}, N),
        ("sleep_apnoea", {}, N),
        ("sleep_apnoea", {"other_causes": {"sleep_apnoea": True}}, P),
        ("sleep_apnoea", {"other_causes": {"sleep_apnoea": False}}, A),
        ("chronic_stress_trauma_relationships", {}, N),
        ("wrong_diagnosis", {}, N),
        ("wrong_diagnosis", {"other_causes": {"wrong_diagnosis": False}}, A),
        ("medicines_that_lower_mood", {}, N),
        ("medicines_that_lower_mood", {"current_medicines": []}, A),
        ("medicines_that_lower_mood", {"current_medicines": ["prednisone"]}, P),
        ("drug_interaction_or_substance_use", {}, N),
        ("drug_interaction_or_substance_use", {"current_medicines": []}, A),
        ("drug_interaction_or_substance_use", {"audit_c": 8}, P),
        ("drug_interaction_or_substance_use", {"current_medicines": ["lithium", "Advil"]}, P),
        ("drug_interaction_or_substance_use", {"current_medicines": [], "scores": {"dast10": 3}}, P),
        ("drug_interaction_or_substance_use", {"current_medicines": [], "safety": {}, "scores": {"dast10": 3}}, P),
    ],
)
def test_a_cause_is_present_absent_or_not_asked(run, code, overrides, expected):
    assert status(run, code, **overrides) == expected


@pytest.mark.parametrize(
    ("code", "fault", "unknown"),
    [
        ("inadequate_dose", {"dose_mg_per_day": 25}, {"dose_mg_per_day": None}),
        ("inadequate_duration", {"weeks": 3, "weeks_at_dose": 3}, {"weeks_at_dose": None}),
        ("poor_adherence", {"adherence": "poor"}, {"adherence": None}),
    ],
)
def test_causes_that_follow_from_the_trials(run, make_trial, code, fault, unknown):
    full = make_trial("venlafaxine", dose_mg_per_day=150)
    assert status(run, code, trials=[full]) == A
    assert status(run, code, trials=[full, make_trial(**fault)]) == P
    assert status(run, code, trials=[full, make_trial(**unknown)]) == N


def test_what_a_clinician_entered_goes_first(run):
    said = {"bipolar_disorder": False, "ptsd_or_anxiety": True}
    assert status(run, "bipolar_disorder", mdq_positive=True, other_causes=said) == A
    assert status(run, "ptsd_or_anxiety", other_causes=said) == P


def test_no_cause_changes_a_verdict(run):
    present = dict.fromkeys(other_cause_codes(), True)
    assert run(other_causes=present).trd == run().trd
    assert run(other_causes=present).pathways == run().pathways
