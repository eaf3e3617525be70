"""What the safety part makes of each answer: known, present, missing and urgent, at every border, by hand."""

import pytest

from clinic.eligibility.engine import IntakeRecord
from clinic.eligibility.engine.rules import ruleset
from clinic.eligibility.engine.safety import MATTERS, QUESTIONS, Known, conditions, findings, flags, urgent

PATHWAYS = ("tms", "esketamine", "iv_ketamine")


def known(safety=None, **fields):
    if safety is not None:
        fields["safety"] = safety
    return Known(IntakeRecord.model_validate(fields), [], ruleset("default"))


def codes(name, found):
    return [each.code for each in findings(name, found)]


@pytest.mark.parametrize(
    ("safety", "fact", "expected"),
    [
        ({"liver_impairment": "severe"}, "liver_impairment", True),
        ({"liver_impairment": "moderate"}, "liver_impairment", True),
        ({"liver_impairment": "mild"}, "liver_impairment", True),
        ({"liver_impairment": "none"}, "liver_impairment", True),
        ({"hepatic_severe": True}, "liver_impairment", True),
        ({"hepatic_moderate": True}, "liver_impairment", True),
        ({"hepatic_severe": False, "hepatic_moderate": False}, "liver_impairment", True),
        ({"hepatic_severe": False}, "liver_impairment", False),
        ({"hepatic_moderate": False}, "liver_impairment", False),
        ({}, "liver_impairment", False),
        (None, "liver_impairment", False),
        ({"bp": [120, 80]}, "bp", True),
        ({"bp": [120, None]}, "bp", False),
        ({"bp": [None, 80]}, "bp", False),
        ({"bp": [141, None]}, "bp", True),
        ({"bp": [None, 91]}, "bp", True),
        ({"bp_pre_dose": True}, "bp", True),
        ({"uncontrolled_hypertension": True}, "bp", True),
        ({"bp_pre_dose": False}, "bp", False),
        (None, "bp", False),
        ({"aneurysm_or_avm": False}, "aneurysm_or_avm", True),
        ({"aneurysm_or_avm": True}, "aneurysm_or_avm", True),
        ({"aneurysmal_disease": False, "avm": False}, "aneurysm_or_avm", True),
        ({"aneurysmal_disease": False}, "aneurysm_or_avm", False),
        ({"avm": False}, "aneurysm_or_avm", False),
        ({"avm": True}, "aneurysm_or_avm", True),
        ({"aneurysmal_disease": True}, "aneurysm_or_avm", True),
        ({"current_substance_use": False}, "current_substance_use", True),
        ({"stimulants_drugs": False}, "current_substance_use", True),
        ({"active_substance_use_disorder": True}, "current_substance_use", True),
        ({"substance_use": False}, "current_substance_use", True),
        ({"substance_use": True}, "current_substance_use", False),
        ({"metal_head": False}, "metal_in_head", True),
        ({"cardiac_device": True}, "pacemaker_or_icd", True),
        ({"neurostimulator": False}, "vns_or_dbs", True),
        ({"brain_disease": False}, "stroke_or_brain_lesion", True),
        ({"pregnancy": False}, "pregnant", True),
        ({"psychosis": True}, "psychosis_history", True),
        ({}, "seizure_history", False),
        ({"seizure_history": False}, "seizure_history", True),
    ],
)
def test_whether_a_fact_has_been_answered(safety, fact, expected):
    assert known(safety).is_known(fact) is expected


@pytest.mark.parametrize(
    ("safety", "levels", "expected"),
    [
        ({"liver_impairment": "moderate"}, ("moderate",), True),
        ({"liver_impairment": "moderate"}, ("severe",), False),
        ({"hepatic_severe": True}, ("severe",), True),
        ({"hepatic_severe": True}, ("moderate",), False),
        ({"hepatic_moderate": True}, ("moderate",), True),
        ({"hepatic_moderate": True}, ("severe",), False),
        ({"hepatic_severe": True, "liver_impairment": "none"}, ("severe",), False),
        ({"hepatic_severe": False, "hepatic_moderate": False}, ("severe",), False),
        ({"hepatic_severe": False}, ("severe",), None),
        (None, ("severe",), None),
    ],
)
def test_the_liver_by_its_own_answer_or_by_the_two_of_the_screen(safety, levels, expected):
    assert known(safety).liver(*levels) is expected


@pytest.mark.parametrize(
    ("pressure", "expected"),
    [
        ([140, 90], False),
        ([140.5, 90], True),
        ([140, 90.5], True),
        ([141, None], True),
        ([140, None], None),
        ([None, 90], None),
        ([None, 91], True),
        ([None, None], None),
    ],
)
def test_the_pressure_is_high_over_140_or_over_90(pressure, expected):
    assert known({"bp": pressure}).high_pressure is expected
    assert known({"bp": pressure, "bp_pre_dose": True}).high_pressure is True
    assert known().high_pressure is None


@pytest.mark.parametrize(
    ("episode", "safety", "psychosis", "mania"),
    [
        ({"psychotic_features": True}, None, True, None),
        ({"psychotic_features": False}, None, False, None),
        ({"severity": "severe_with_psychosis"}, None, True, None),
        ({"severity": "severe_with_psychosis", "psychotic_features": False}, None, True, None),
        ({"severity": "severe_without_psychosis"}, None, None, None),
        ({"psychotic_features": False}, {"psychosis_now": True}, True, None),
        (None, {"psychosis_now": True}, True, None),
        (None, {"psychosis_now": False}, False, None),
        (None, {}, None, None),
        ({"current_mania": True}, None, None, True),
        ({"current_mania": False}, None, None, False),
        ({"current_mania": False}, {"current_mania_or_mixed": True}, None, True),
        (None, {"current_mania_or_mixed": True}, None, True),
        (None, {"current_mania_or_mixed": False}, None, None),
        ({}, None, None, None),
    ],
)
def test_psychosis_and_mania_now(episode, safety, psychosis, mania):
    found = known(safety, **({"episode": episode} if episode is not None else {}))
    assert (found.psychosis_now(), found.mania_now()) == (psychosis, mania)
    expected = [("current_psychosis", "Psychosis now.")] * bool(psychosis) + [("current_mania", "Mania now.")] * bool(
        mania
    )
    assert [(each.code, each.text) for each in urgent(found)] == expected


@pytest.mark.parametrize(
    ("age", "safety", "expected"),
    [
        (17, None, True),
        (18, None, False),
        (None, None, None),
        (None, {"under_18": True}, True),
        (18, {"under_18": True}, False),
    ],
)
def test_under_age_is_under_18(age, safety, expected):
    assert known(safety, age=age).under_age() is expected


@pytest.mark.parametrize(
    ("sex", "score", "expected"),
    [
        ("male", 3, False),
        ("male", 4, True),
        ("female", 2, False),
        ("female", 3, True),
        ("other", 3, True),
        (None, 3, True),
        (None, None, None),
    ],
)
def test_the_cut_off_of_audit_c(sex, score, expected):
    assert known(sex=sex, audit_c=score).drinks_too_much() is expected


@pytest.mark.parametrize(
    ("diagnosis", "named", "bipolar"),
    [
        ("mdd", "mdd", False),
        ("bipolar_1", "bipolar_1", True),
        ("bipolar_2", "bipolar_2", True),
        ("unknown", None, None),
        (None, None, None),
    ],
)
def test_the_diagnosis_and_whether_it_is_bipolar(diagnosis, named, bipolar):
    found = known(episode={"diagnosis": diagnosis})
    assert (found.diagnosis(), found.bipolar()) == (named, bipolar)
    assert known().diagnosis() is None


@pytest.mark.parametrize(
    ("sex", "age", "matters", "asked"),
    [
        ("female", 11, False, False),
        ("female", 12, True, True),
        ("female", 55, True, True),
        ("female", 56, False, False),
        ("female", None, True, True),
        ("unknown", 30, True, True),
        (None, 30, True, True),
        ("other", 30, False, True),
        ("male", 30, False, False),
    ],
)
def test_where_a_pregnancy_matters_and_where_it_is_asked(sex, age, matters, asked):
    found = known(sex=sex, age=age)
    assert (found.could_be_pregnant(), found.pregnancy_is_asked()) == (matters, asked)
    assert ("pregnant" in found.open_facts) is matters


@pytest.mark.parametrize(
    ("pathway", "safety", "code", "present"),
    [
        ("esketamine", {"cns_depressants": True}, "cns_depressants", True),
        ("esketamine", {"cns_depressants": False}, "cns_depressants", False),
        ("esketamine", {"stimulants_maoi": True}, "stimulants_maoi", True),
        ("esketamine", {"hypertensive_or_cv_disease": True}, "hypertensive_or_cv_disease", True),
        ("esketamine", {"stroke_or_brain_lesion": True}, "hypertensive_or_cv_disease", True),
        ("esketamine", {"brain_disease": True}, "hypertensive_or_cv_disease", True),
        ("esketamine", {"substance_use": True}, "substance_use", True),
        ("esketamine", {"substance_use": False, "current_substance_use": True}, "substance_use", True),
        ("esketamine", {"substance_use": False}, "substance_use", False),
        ("esketamine", {"avm": True}, "aneurysmal_disease", True),
        ("esketamine", {"avm": True}, "avm", False),
        ("esketamine", {"liver_impairment": "moderate"}, "hepatic_moderate", True),
        ("esketamine", {"liver_impairment": "moderate"}, "hepatic_severe", False),
        ("esketamine", {"liver_impairment": "severe"}, "hepatic_severe", True),
        ("esketamine", {"liver_impairment": "severe"}, "hepatic_moderate", False),
        ("esketamine", {"bp": [141, 80]}, "bp_pre_dose", True),
        ("iv_ketamine", {"bp": [141, 80]}, "uncontrolled_hypertension", True),
        ("iv_ketamine", {"psychosis_history": True}, "active_psychosis_or_schizophrenia", True),
        ("iv_ketamine", {"psychosis_now": True}, "active_psychosis_or_schizophrenia", True),
        ("iv_ketamine", {"active_psychosis_or_schizophrenia": True}, "active_psychosis_or_schizophrenia", True),
        ("iv_ketamine", {"current_substance_use": True}, "active_substance_use_disorder", True),
        ("iv_ketamine", {"liver_impairment": "severe"}, "severe_hepatic_disease_or_cystitis", True),
        ("iv_ketamine", {"severe_hepatic_disease_or_cystitis": True}, "severe_hepatic_disease_or_cystitis", True),
        ("iv_ketamine", {"current_mania_or_mixed": True}, "current_mania_or_mixed", True),
        ("iv_ketamine", {"intracerebral_haemorrhage": True}, "intracerebral_haemorrhage", True),
        ("iv_ketamine", {"stroke_or_brain_lesion": True}, "stroke_or_brain_lesion", True),
        (
            "iv_ketamine",
            {"aneurysm_or_avm": True},
            "unstable_cardiac_aneurysm_raised_icp_recent_stroke",
            True,
        ),
        ("tms", {"medicines": True}, "medicines", True),
        ("tms", {"alcohol": True}, "alcohol", True),
        ("tms", {"psychosis_now": True}, "psychosis_now", True),
        ("tms", {"psychosis": True}, "psychosis_now", False),
        ("tms", {"bipolar_mania": True}, "bipolar_mania", True),
        ("tms", {"age_band": True}, "age_band", False),
    ],
)
def test_which_answer_shows_which_row(pathway, safety, code, present):
    assert (code in codes(pathway, known(safety))) is present


@pytest.mark.parametrize(
    ("age", "shown"),
    [
        (17, {"under_18"}),
        (18, {"boxed_young_adults"}),
        (24, {"boxed_young_adults"}),
        (25, set()),
        (64, set()),
        (65, {"age_65"}),
    ],
)
def test_the_ages_of_the_esketamine_screen(age, shown):
    ages = {"under_18", "boxed_young_adults", "age_65"}
    assert set(codes("esketamine", known(age=age))) & ages == shown


@pytest.mark.parametrize(
    ("medicine", "pathway", "code"),
    [
        ("lorazepam", "esketamine", "cns_depressants"),
        ("phenelzine", "esketamine", "stimulants_maoi"),
        ("bupropion", "tms", "medicines"),
    ],
)
def test_a_medicine_taken_now_shows_its_row_whatever_is_answered(medicine, pathway, code):
    for answers in (None, {code: False}):
        assert code in codes(pathway, known(answers, current_medicines=[medicine]))
    assert code not in codes(pathway, known(current_medicines=["ibuprofen"]))


def test_every_fact_that_matters_is_named_once_when_nothing_is_known():
    for name in PATHWAYS:
        shown = [each for each in findings(name, known()) if each.kind == "missing"]
        extra = ["missing_age"] * (name == "esketamine") + ["missing_diagnosis"]
        assert [each.code for each in shown] == [f"missing_{fact}" for fact in MATTERS[name]] + extra
        for each, fact in zip(shown, MATTERS[name], strict=False):
            assert (each.text, each.source, each.field) == (
                f"Not known: {QUESTIONS[fact]}",
                "safety_screens",
                f"safety.{fact}",
            )
        assert (shown[-1].text, shown[-1].source, shown[-1].field) == (
            "Not known: the diagnosis of this episode.",
            "trial_adequacy",
            "episode.diagnosis",
        )
    age = next(each for each in findings("esketamine", known()) if each.code == "missing_age")
    assert (age.text, age.field) == ("Not known: the age. It is not approved under 18.", "age")
    assert "missing_age" not in codes("esketamine", known({"under_18": False}))
    assert "missing_age" not in codes("esketamine", known(age=30))


# What bears on every treatment alike, and is not shown twice where a screen asks it itself.
ALIKE = [
    (
        {"episode": {"diagnosis": "bipolar_2"}},
        "bipolar_disorder",
        "co_occurring",
        "Bipolar disorder. A clinician decides.",
        "trial_adequacy.counting_rules.bipolar: recalled",
        "clinician_review",
    ),
    (
        {"mdq_positive": True},
        "mdq_positive",
        "co_occurring",
        "The mood questionnaire is positive: bipolar review first.",
        "instruments.mdq: recalled",
        "clinician_review",
    ),
    (
        {"episode": {"current_mania": True}},
        "current_mania",
        "co_occurring",
        "Mania now. Treatment waits for a review.",
        "safety_screens.urgent_flags.psychosis_or_mania",
        "same_day_review",
    ),
    (
        {"episode": {"psychotic_features": True}},
        "current_psychosis",
        "co_occurring",
        "Psychosis now. Treatment waits for a review.",
        "safety_screens.urgent_flags.psychosis_or_mania",
        "same_day_review",
    ),
    (
        {"episode": {"diagnosis": "schizoaffective"}},
        "schizoaffective_disorder",
        "co_occurring",
        "Schizoaffective disorder. A clinician decides.",
        "safety_screens.tms_screen.psychosis_now: payer_policies; seen",
        "clinician_review",
    ),
]


@pytest.mark.parametrize(("fields", "code", "kind", "text", "source", "action"), ALIKE)
@pytest.mark.parametrize("pathway", PATHWAYS)
def test_what_bears_on_every_treatment_alike(pathway, fields, code, kind, text, source, action):
    (shown,) = [each.to_json() for each in findings(pathway, known(**fields)) if each.code == code]
    assert shown == {
        "code": code,
        "kind": kind,
        "text": text,
        "source": source,
        "level": "relative",
        "action": action,
        "system_must": None,
    }
    assert code not in codes(pathway, known(age=40))


def test_under_18_is_a_precaution_for_tms():
    (shown,) = [each for each in findings("tms", known(age=17)) if each.code == "under_18"]
    assert (shown.kind, shown.level, shown.action) == ("precaution", "relative", "clinician_review")
    assert shown.text == "Under 18: the rules are for adults. A clinician decides."
    assert shown.source == "safety_screens.tms_screen.age_band: seen for 15-21; recalled for the rest"


def test_what_the_ketamine_screen_takes_over():
    rows = {each.code: each for each in conditions("iv_ketamine")}
    bleeding, stroke = rows["intracerebral_haemorrhage"], rows["stroke_or_brain_lesion"]
    for each in (bleeding, stroke):
        assert (each.kind, each.level, each.action) == ("precaution", "relative", "clinician_review")
    assert bleeding.text == "A bleeding in the brain before. A prescriber weighs it before ketamine."
    assert bleeding.source.endswith(": spravato_label; seen for esketamine")
    assert stroke.text == (
        "Stroke or another disease of the brain; a recent stroke rules it out. A prescriber weighs it before ketamine."
    )
    assert stroke.source.endswith("unstable_cardiac_aneurysm_raised_icp_recent_stroke: recalled")


def test_what_only_informs_is_no_precaution_whatever_its_level():
    rows = {name: {each.code: each.kind for each in conditions(name)} for name in PATHWAYS}
    assert rows["tms"]["prior_tms"] == "info"
    assert (rows["esketamine"]["age_65"], rows["esketamine"]["cognition"]) == ("info", "info")
    assert (rows["esketamine"]["bp_pre_dose"], rows["tms"]["sleep_loss"]) == ("precaution", "precaution")


def test_the_confidence_of_a_row_stands_in_its_source():
    rows = {each.code: each.source for each in conditions("tms")}
    assert rows["sleep_loss"] == "safety_screens.tms_screen.sleep_loss: rossi_2021; recalled, confidence medium"
    assert rows["fainting"] == "safety_screens.tms_screen.fainting: tass; recalled"


def test_a_question_under_another_name_counts_for_a_treatment_that_does_not_list_it(run, make_record):
    """The TMS screen asks for a disease of the brain under a name of its own."""
    safety = make_record()["safety"] | {"stroke_or_brain_lesion": None, "brain_disease": True}
    codes = [each.code for each in run(safety=safety).pathways["iv_ketamine"].findings]
    assert "stroke_or_brain_lesion" in codes


def test_a_row_of_a_screen_in_words():
    rows = {name: {each.code: each for each in conditions(name)} for name in PATHWAYS}
    metal = rows["tms"]["metal_head"]
    assert metal.kind == "contraindication"
    assert metal.text.startswith("Yes to: ")
    assert metal.source.startswith("safety_screens.tms_screen.metal_head: ")
    kinds = {each.kind for name in PATHWAYS for each in rows[name].values()}
    assert kinds == {"contraindication", "precaution", "co_occurring", "info"}
    for name, section in (("esketamine", "esketamine_screen"), ("iv_ketamine", "iv_ketamine")):
        own = [each for each in rows[name].values() if each.source.startswith(f"safety_screens.{section}.{each.code}")]
        assert own
        for each in own:
            assert each.text[0] == each.text[0].upper()
            assert each.text.endswith(".")
            assert "_" not in each.text
            assert "None" not in each.text


@pytest.mark.parametrize(
    ("scale", "item9", "expected"),
    [
        ({"intent": True}, 0, ["suicide_plan_or_intent"]),
        ({"plan": True}, 0, ["suicide_plan_or_intent"]),
        ({"behaviour_3mo": True, "behaviour_lifetime": True}, 0, ["suicide_plan_or_intent"]),
        ({"behaviour_lifetime": True}, 0, ["suicide_method_no_intent"]),
        ({"method": True, "behaviour_3mo": True}, 0, ["suicide_plan_or_intent", "suicide_method_no_intent"]),
        ({"wish_dead": True}, 0, ["suicide_passive"]),
        ({"thoughts": True}, 0, ["suicide_passive"]),
        ({}, 1, ["suicide_passive"]),
        ({}, 2, ["phq9_item9_high"]),
        ({}, 3, ["phq9_item9_high"]),
        ({"thoughts": True}, 2, ["phq9_item9_high", "suicide_passive"]),
        ({}, None, []),
        (None, 0, []),
    ],
)
def test_which_flags_the_answers_raise(scale, item9, expected):
    found = known(cssrs=scale, phq9=[0] * 8 + [item9])
    assert [each.code for each in flags(found)] == expected
    reasons = [
        ("intent", "suicidal_intent", "Suicidal intent."),
        ("plan", "suicidal_plan", "A suicide plan."),
        ("behaviour_3mo", "suicidal_behavior_3_months", "Suicidal behavior in the last three months."),
    ]
    assert [each.to_json() for each in urgent(found)] == [
        {"code": code, "level": "urgent", "text": text} for field, code, text in reasons if (scale or {}).get(field)
    ]


def test_no_answers_raise_no_flag():
    assert flags(known()) == []
    assert urgent(known()) == []


def test_a_flag_as_it_is_shown():
    (flag,) = flags(known(cssrs={"intent": True}))
    shown = flag.to_json()
    assert list(shown) == ["code", "level", "action", "text", "source"]
    assert (shown["code"], shown["level"]) == ("suicide_plan_or_intent", "urgent")
    assert shown["text"].endswith(".")
    assert shown["source"].startswith("safety_screens.urgent_flags.suicide_plan_or_intent: ")
    (both,) = flags(known(episode={"current_mania": True}))
    assert (both.code, both.level) == ("psychosis_or_mania", "urgent")


@pytest.mark.parametrize(
    ("pathway", "code", "kind", "text", "source"),
    [
        (
            "esketamine",
            "avm",
            "contraindication",
            "Arteriovenous malformation.",
            "safety_screens.esketamine_screen.avm: spravato_label; seen",
        ),
        (
            "esketamine",
            "hepatic_severe",
            "precaution",
            "Severe hepatic impairment (Child-Pugh C). Not recommended.",
            "safety_screens.esketamine_screen.hepatic_severe: spravato_label; seen",
        ),
        (
            "iv_ketamine",
            "uncontrolled_hypertension",
            "precaution",
            "Uncontrolled hypertension.",
            "safety_screens.iv_ketamine.uncontrolled_hypertension: apa_2017, mcintyre_2021; recalled",
        ),
        (
            "tms",
            "fainting",
            "precaution",
            "Yes to: Have you ever fainted? What happened?",
            "safety_screens.tms_screen.fainting: tass; recalled",
        ),
    ],
)
def test_the_words_and_the_source_of_a_row_of_each_screen(pathway, code, kind, text, source):
    (row,) = [each for each in conditions(pathway) if each.code == code]
    assert (row.kind, row.text, row.source) == (kind, text, source)
