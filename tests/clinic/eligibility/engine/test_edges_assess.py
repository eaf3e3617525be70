"""What to do next and what to ask: which steps are there, in which order, and when none is."""

from dataclasses import replace

import pytest

from clinic.eligibility.engine import IntakeRecord, safety
from clinic.eligibility.engine.criteria import trd
from clinic.eligibility.engine.rules import ruleset
from clinic.eligibility.engine.turning import case_of


def steps(result):
    return [step.code for step in result.next_steps if step.about is None]


def test_options_are_named_in_the_order_of_the_alphabet_and_only_after_a_verdict(run):
    (offer,) = [step for step in run().next_steps if step.code == "discuss_options"]
    said = "Options to talk about after 2 adequate trials: "
    assert offer.text.startswith(said)
    listed = offer.text.removeprefix(said).removesuffix(".").split("; ")
    assert listed == sorted(listed)
    assert "discuss_options" not in steps(run(age=17))


AFTER = {
    1: ["Structured psychotherapy added (CBT, DBT, IPT)", "Switching to another class", "optimise dose and time"],
    2: [
        "Augmentation of the current antidepressant",
        "Esketamine nasal spray",
        "Structured psychotherapy added (CBT, DBT, IPT)",
        "Switching to another class",
        "Transcranial magnetic stimulation",
    ],
    3: [
        "Augmentation of the current antidepressant",
        "Electroconvulsive therapy",
        "Esketamine nasal spray",
        "IV racemic ketamine (off-label)",
        "Transcranial magnetic stimulation",
        "specialist second opinion",
    ],
}


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4])
def test_what_is_offered_after_so_many_adequate_trials(run, make_trial, count):
    drugs = {"sertraline": 100, "venlafaxine": 150, "bupropion": 300, "mirtazapine": 30}
    rows = [make_trial(name, dose_mg_per_day=dose) for name, dose in drugs.items()]
    offers = [step.text for step in run(trials=rows[:count]).next_steps if step.code == "discuss_options"]
    listed = AFTER.get(min(count, 3))
    assert offers == ([f"Options to talk about after {count} adequate trials: {'; '.join(listed)}."] if listed else [])


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, ["discuss_options", "prescriber_decision"]),
        ({"phq9": [0] * 8 + [1]}, ["item9_review", "discuss_options", "prescriber_decision"]),
        ({"cssrs": {"plan": True}}, ["urgent_review", "discuss_options", "prescriber_decision"]),
        ({"mdq_positive": True}, ["bipolar_review", "clinician_review", "discuss_options"]),
        ({"trials": None}, ["complete_history", "clinician_review"]),
        ({"payer": "Nobody Mutual"}, ["discuss_options", "payer_policy", "prescriber_decision"]),
    ],
)
def test_the_steps_in_their_order(run, changes, expected):
    assert steps(run(**changes)) == expected


@pytest.mark.parametrize(
    ("changes", "code", "text"),
    [
        (
            {"cssrs": {"plan": True}},
            "urgent_review",
            "Tell the on-call clinician now. A person calls within 60 minutes.",
        ),
        (
            {"phq9": [0] * 8 + [1]},
            "item9_review",
            "PHQ-9 item 9 is positive: open the C-SSRS questions and tell the care team the same day.",
        ),
        (
            {"mdq_positive": True},
            "bipolar_review",
            "A clinician reviews for bipolar disorder before any decision.",
        ),
        ({"mdq_positive": True}, "clinician_review", "A clinician reviews TMS, esketamine and IV ketamine."),
        (
            {"safety": {"metal_in_head": True}},
            "prescriber_release",
            "No booking of TMS until a prescriber records a reasoned release.",
        ),
        (
            {"safety": {"metal_in_head": True, "aneurysm_or_avm": True}},
            "prescriber_release",
            "No booking of TMS, esketamine and IV ketamine until a prescriber records a reasoned release.",
        ),
        ({"trials": None}, "complete_history", "Ask for what is missing in the medication history."),
        (
            {"payer": "Nobody Mutual"},
            "payer_policy",
            "No policy of this payer is held: open the current one.",
        ),
        ({}, "prescriber_decision", "A prescriber decides, with the person, on the options."),
    ],
)
def test_a_step_in_words(run, make_record, changes, code, text):
    if "safety" in changes:
        changes = {"safety": make_record()["safety"] | changes["safety"]}
    assert [step.text for step in run(**changes).next_steps if step.code == code] == [text]


@pytest.mark.parametrize(
    ("changes", "field", "question", "because"),
    [
        (
            {"trials": None},
            "trials",
            "Which medicines were tried, at what dose and for how long?",
            "Without the history nothing can be counted.",
        ),
        (
            {"episode": None},
            "episode.diagnosis",
            "What is the diagnosis of this episode?",
            "The rules are for a major depressive episode.",
        ),
        (
            {"sex": None, "audit_c": 3},
            "sex",
            "What is the sex of the person?",
            "The AUDIT-C cut-off depends on it.",
        ),
        (
            {"trials": [{"dose_mg_per_day": 50}]},
            "trials[0].drug",
            "this medicine: Which medicine was it? Check the spelling on the bottle.",
            "The medicine is not named.",
        ),
        (
            {"trials": [{"drug": "Zoloft"}]},
            "trials[0].dose_mg_per_day",
            "Zoloft: What was the highest dose, in mg per day?",
            "The dose is not known; at least 50 mg per day counts.",
        ),
    ],
)
def test_a_question_in_words(run, changes, field, question, because):
    asks = {ask.field: (ask.question, ask.because) for ask in run(**changes).ask}
    assert asks[field] == (question, because)


def test_a_pregnancy_is_asked_where_one_could_be(run, make_record):
    def asked(answer, **changes):
        found = run(safety=make_record()["safety"] | {"pregnant": answer}, **changes).to_json()["ask"]
        return next(((each["question"], each["because"]) for each in found if each["field"] == "safety.pregnant"), None)

    question, holds = safety.QUESTIONS["pregnant"], "It matters for esketamine and IV ketamine."
    assert (
        asked(None, sex="female") == asked(None, sex=None) == asked(None, sex="female", age=None) == (question, holds)
    )
    assert asked(None, sex="other") == (
        question,
        "It matters for TMS, esketamine and IV ketamine.",
    )  # and holds nothing
    assert asked(False, sex="female") is asked(False, sex="other") is None
    assert asked(None, sex="male") is None
    assert asked(None, sex="female", age=60) is None


@pytest.mark.parametrize(
    ("changes", "field", "question"),
    [
        ({"psychotherapy": None}, "psychotherapy", "Which talking treatments, and how many sessions?"),
        (
            {"episode": {"diagnosis": "mdd", "psychotic_features": False}, "phq9": None},
            "episode.severity",
            "How severe is the episode, and what is the PHQ-9?",
        ),
    ],
)
def test_what_a_policy_waits_for_is_asked_in_its_name(run, changes, field, question):
    using = {"policies": ["ambetter_centene_cp_bh_200"]}
    asks = {ask.field: (ask.question, ask.because) for ask in run(using=using, **changes).ask}
    assert asks[field] == (question, "Policy ambetter_centene_cp_bh_200 asks for it.")
    refused = {ask.field: ask.because for ask in run(using=using, trials=[], **changes).ask}
    assert "Policy" not in refused.get(field, "")  # it is not met whatever the answer


@pytest.mark.parametrize(
    ("changes", "missing"),
    [
        ({"stopped_reason": "side_effects"}, ["side_effect", "on", "confirmed"]),
        ({"side_effect": "nausea"}, ["on", "confirmed"]),
        (
            {"side_effect": "nausea", "side_effect_on": "2026-02", "side_effect_confirmed": False, "weeks": None},
            ["days"],
        ),
        ({"side_effect": "nausea", "dose_mg_per_day": None}, ["on", "dose_reached", "confirmed"]),
        ({}, None),
    ],
)
def test_side_effects_on_record_and_what_is_asked_of_them(run, make_trial, changes, missing):
    (row,) = run(trials=[make_trial(**changes)]).to_json()["trials"]
    assert (None if row["intolerance"] is None else row["intolerance"]["missing"]) == missing


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, "2 adequate of 2 needed, at least 6 weeks at dose each."),
        ({"trials": None}, "Not known which medicines were tried."),
        ({"trials": []}, "0 adequate of 2 needed, at least 6 weeks at dose each."),
    ],
)
def test_the_count_in_words(run, changes, text):
    assert run(**changes).trd.findings[0].text == text


def test_the_count_says_what_is_open_and_what_was_taken_together(run, make_trial):
    rows = [make_trial(), make_trial("venlafaxine", dose_mg_per_day=150, adherence=None)]
    text = run(trials=rows).trd.findings[0].text
    assert text == "1 adequate of 2 needed, at least 6 weeks at dose each; 1 cannot be told yet."
    days = {"started_on": "2026-01-01", "stopped_on": "2026-02-26", "weeks": None}
    both = [make_trial(**days), make_trial("venlafaxine", dose_mg_per_day=150, **days)]
    text = run(trials=both).trd.findings[0].text
    assert text == "1 adequate of 2 needed, at least 6 weeks at dose each; 2 rows, those taken together counted once."


def test_a_rule_set_may_count_each_medicine_of_a_combination(make_record, make_trial):
    days = {"started_on": "2026-01-01", "stopped_on": "2026-02-26", "weeks": None}
    both = [make_trial(**days), make_trial("venlafaxine", dose_mg_per_day=150, **days)]
    record = IntakeRecord.model_validate(make_record(trials=both))
    apart = replace(ruleset("default"), combination_counts_once=False)
    case = case_of(record, apart)
    found = trd(record, case.trials, case.known, apart)
    assert (found.adequate, found.combinations) == (2, ())


def test_what_is_on_record_of_side_effects_in_full(run, make_trial):
    said = {"side_effect": "nausea", "side_effect_on": "2026-02", "side_effect_confirmed": True}
    row = make_trial(dose_mg_per_day=[50, 100], weeks=[8, 10], **said)
    assert run(trials=[row]).to_json()["trials"][0]["intolerance"] == {
        "side_effect": "nausea",
        "on": "2026-02",
        "dose_reached": [50, 100],
        "days": [56, 70],
        "confirmed": True,
        "missing": [],
    }


def test_the_parts_of_an_answer_and_their_names(run, make_trial):
    found = run(trials=[make_trial("Celebrex", dose_mg_per_day=None)], payer="Nobody Mutual").to_json()
    assert " ".join(found) == (
        "id as_of ruleset trd trials pathways urgent staging policies ask next_steps augmentations combinations "
        "interactions flags pseudo_resistance"
    )
    assert " ".join(found["trials"][0]) == (
        "index entered ingredient drug_class verdict detail why would_count_if documentation intolerance sources"
    )
    parts = [found["ruleset"], found["trd"], found["urgent"], found["ask"][0]]
    assert [" ".join(each) for each in parts] == [
        "id version",
        "verdict adequate_trials findings",
        "flag reasons",
        "field question because",
    ]
    assert {" ".join(each) for each in found["next_steps"]} == {"code text", "code text about changes"}
    assert (found["id"], found["as_of"], found["ruleset"]["id"]) == ("r1", "2026-11-20", "default")
    assert (found["urgent"]["flag"], run(cssrs={"plan": True}).to_json()["urgent"]["flag"]) == (False, True)


ASKED = [
    ("age", "How old is the person?"),
    ("episode.psychotic_features", "Any voices or fixed frightening beliefs now?"),
    ("episode.current_mania", "Unusually high mood with little sleep now?"),
    ("mdq_positive", "What is the result of the mood disorder questionnaire?"),
    ("audit_c", "What is the AUDIT-C score?"),
    ("cssrs", "What are the answers to the suicide screener?"),
]


def test_what_is_known_is_not_asked(run):
    assert run().ask == ()


@pytest.mark.parametrize(("field", "question"), ASKED)
def test_what_is_not_known_and_could_change_a_verdict_is_asked(run, make_record, field, question):
    head, _, tail = field.partition(".")
    changes = {head: make_record()["episode"] | {tail: None} if tail else None}
    assert [(each.field, each.question) for each in run(**changes).ask] == [(field, question)]


def test_what_lies_in_a_part_that_is_missing_is_asked(run):
    asked = [each.field for each in run(episode=None).ask]
    assert asked == ["episode.diagnosis", "episode.psychotic_features", "episode.current_mania"]


def test_only_what_can_still_change_a_treatment_is_asked_for_it(run, make_record):
    answers = {"metal_in_head": True, "seizure_history": None, "stroke_or_brain_lesion": None}
    asks = run(safety=make_record()["safety"] | answers).ask
    assert [(each.field, each.because) for each in asks] == [
        ("safety.stroke_or_brain_lesion", "It matters for esketamine and IV ketamine.")
    ]


def test_the_sex_is_asked_where_the_cut_off_of_audit_c_hangs_on_it(run):
    def asked(**changes):
        return "sex" in [ask.field for ask in run(**changes).ask]

    assert asked(sex=None, audit_c=3)
    assert asked(sex="unknown", audit_c=3)
    assert not asked(sex="female", audit_c=3)
    assert not asked(sex=None, audit_c=4)
    assert not asked(sex=None, audit_c=2)


def test_an_answer_that_matters_for_several_treatments_is_asked_once(run, make_record):
    result = run(safety=make_record()["safety"] | {"stroke_or_brain_lesion": None, "bp": None})
    because = {ask.field: ask.because for ask in result.ask}
    assert because["safety.stroke_or_brain_lesion"] == "It matters for TMS, esketamine and IV ketamine."
    assert because["safety.bp"] == "It matters for esketamine and IV ketamine."
