"""From typed answers to the intake record: expected values by hand."""

from datetime import date

import pytest

from clinic.eligibility.engine.record import IntakeRecord, screen_question_ids
from clinic.intake import record
from clinic.intake.pages import SCREENS

AS_OF = date(2026, 11, 23)
BORN = date(1980, 5, 17)


def made(pages, trials=()):
    return record.to_record(pages, trials, as_of=AS_OF, born=BORN)


@pytest.mark.parametrize(
    ("typed", "mg"),
    [
        ("50", 50),
        ("50 mg", 50),
        ("50-100", [50, 100]),
        ("100 - 50 mg", [50, 100]),
        ("50 to 100", [50, 100]),
        ("about 37.5", 37.5),
        ("37,5mg", 37.5),
        ("1,200", 1200),
        ("0", None),
        ("a lot", None),
        ("-5", None),
        ("50 weeks", None),
        ("1e5", None),
        ("99999999", None),
        ("٥٠", 50),
        ("", None),
        (None, None),
    ],
)
def test_a_dose_is_a_number_or_a_range(typed, mg) -> None:
    assert record.dose_of(typed) == mg


@pytest.mark.parametrize(
    ("typed", "weeks"),
    [
        ("6", 6),
        ("4-7", [4, 7]),
        ("4 or 5", [4, 5]),
        ("about 8 weeks", 8),
        ("2 months", [8, 9]),
        ("6 months", [25, 27]),
        ("1 year", [52, 53]),
        ("6 weeks to 3 months", [6, 14]),
        ("14 days", 2),
        ("0", 0),
        ("50 mg", None),
        ("forever", None),
        ("900 years", None),
    ],
)
def test_weeks_are_a_number_or_a_range(typed, weeks) -> None:
    assert record.weeks_of(typed) == weeks


def test_a_month_that_is_not_known_leaves_the_year() -> None:
    assert record.month_of({"from_year": "2025", "from_month": "3"}, "from") == "2025-03"
    assert record.month_of({"from_year": "2025"}, "from") == "2025"
    assert record.month_of({"from_month": "3"}, "from") is None
    assert record.month_of({"from_year": "2025", "dates_not_sure": "y"}, "from") is None


def test_dates_of_unlike_precision_are_compared_by_what_is_known() -> None:
    assert record.is_backwards("2025-03", "2025-01")
    assert not record.is_backwards("2025-03", "2025")
    assert record.is_backwards("2025-03", "2024")


def test_of_a_range_of_sessions_the_least_is_claimed() -> None:
    assert record.count_of("8-12") == 8
    assert record.count_of("12 weeks") is None


def test_nothing_answered_says_nothing() -> None:
    assert made({}) == {"as_of": "2026-11-23", "age": 46}


@pytest.mark.parametrize(
    ("missed", "adherence"), [("0", "good"), ("1", "good"), ("2_3", "partial"), ("4_more", "poor"), ("not_sure", None)]
)
def test_one_missed_dose_a_week_is_still_steady(missed, adherence) -> None:
    assert record.trial_row({"missed": missed}).get("adherence") == adherence


@pytest.mark.parametrize(
    ("use", "said"),
    [
        ("alone", {"purpose": "depression", "role": "alone"}),
        ("add_on", {"purpose": "depression", "role": "add_on"}),
        ("sleep", {"purpose": "sleep"}),
        ("not_sure", {}),
        ("nonsense", {}),
    ],
)
def test_one_question_says_what_it_was_for_and_whether_alone(use, said) -> None:
    assert record.trial_row({"use": use}) == said


def test_not_sure_is_left_out_everywhere() -> None:
    unsure = dict.fromkeys(("use", "outcome", "stopped", "missed", "this_episode", "at_dose"), "not_sure")
    row = unsure | {"drug": "Zoloft", "dose_not_sure": "y", "weeks_not_sure": "y", "dates_not_sure": "y"}
    assert made({}, [row])["trials"] == [{"drug": "Zoloft"}]


def test_no_medicine_taken_is_an_answer() -> None:
    assert made({"medicines": {"none": "y"}})["trials"] == []


def test_no_talk_therapy_is_an_answer() -> None:
    assert made({"therapy": {"had": "no"}})["psychotherapy"] == []
    assert "psychotherapy" not in made({"therapy": {"had": "not_sure"}})


def test_bipolar_of_an_unknown_kind_is_flagged_and_not_guessed() -> None:
    found = made({"brings": {"diagnosis": "bipolar"}})
    assert found["episode"] == {"diagnosis": "unknown"}
    assert found["safety"] == {"bipolar_mania": True}


def test_audit_c_needs_all_three_answers() -> None:
    assert made({"alcohol": {"audit1": "2", "audit2": "0", "audit3": "1"}})["audit_c"] == 3
    assert "audit_c" not in made({"alcohol": {"audit1": "2", "audit2": "0"}})


def test_a_whole_form_becomes_the_record() -> None:
    pages = {
        "about": {"sex": "female"},
        "cover": {"payer": "Aetna"},
        "brings": {"diagnosis": "mdd", "onset_month": "6", "onset_year": "2026"},
        **{f"phq9-{n}": {"answer": str(n % 4)} for n in (1, 2, 3, 4, 5, 6, 7, 9)},
        "safety": {"next": "questions"},
        "cssrs-1": {"item1": "1", "item2": "0"},
        "cssrs-3": {"item6": "0"},
        "gad7-1": {"item1": "3", "item2": "2", "item3": "1", "item4": "0"},
        "gad7-2": {"item5": "1", "item6": "1", "item7": "0"},
        "ptsd": {"gate": "1"},
        "ptsd-1": {"item1": "1", "item2": "1", "item3": "0"},
        "ptsd-2": {"item4": "0", "item5": "1"},
        "taking": {"names": ["Metformin", "fish oil"]},
        "thyroid": {"problem": "no", "tested": "yes", "result": "normal", "test_month": "2", "test_year": "2026"},
        "therapy": {"had": "yes", "kinds": ["cbt", "other", "not_sure"], "other_kind": "Art therapy"},
        "therapy-cbt": {"sessions": "12-16"},
        "therapy-other": {"sessions_not_sure": "y"},
        "treatments": {"ect": "no"},
        "implants": {"metal_in_head": "no", "cochlear_implant": "not_sure", "pacemaker_or_icd": "yes"},
        "mind": {"psychosis_now": "no", "mania_now": "no"},
        "heart": {"systolic": "128", "diastolic": "82", "respiratory": "no"},
        "health": {"liver_impairment": "mild", "bladder": "no"},
        "pregnancy": {"pregnant": "no"},
    }
    trials = [
        {
            "drug": "Zoloft",
            "dose": "50-100",
            "weeks": "4-7",
            "at_dose": "all",
            "from_month": "3",
            "from_year": "2026",
            "to_year": "2026",
            "outcome": "partial",
            "stopped": "side_effects",
            "side_effects": "Nausea",
            "side_effect_month": "4",
            "side_effect_year": "2026",
            "missed": "1",
            "papers": "none",
            "this_episode": "no",
        },
        {
            "drug": "wellbutrin xl",
            "dose": "300",
            "weeks": "20",
            "at_dose": "part",
            "at_dose_weeks": "8",
            "to_year": "2026",
            "outcome": "none",
            "stopped": "ongoing",
            "missed": "4_more",
            "this_episode": "yes",
        },
    ]
    expected = {
        "as_of": "2026-11-23",
        "age": 46,
        "sex": "female",
        "episode": {"diagnosis": "mdd", "onset_weeks_ago": 23, "current_mania": False, "ect_used": False},
        "trials": [
            {
                "drug": "Zoloft",
                "dose_mg_per_day": [50, 100],
                "weeks": [4, 7],
                "weeks_at_dose": [4, 7],
                "started_on": "2026-03",
                "stopped_on": "2026",
                "adherence": "good",
                "outcome": "partial",
                "stopped_reason": "side_effects",
                "side_effect": "Nausea",
                "side_effect_on": "2026-04",
                "in_current_episode": False,
                "documentation": "patient",
            },
            {
                "drug": "wellbutrin xl",
                "dose_mg_per_day": 300,
                "weeks": 20,
                "weeks_at_dose": 8,
                "adherence": "poor",
                "outcome": "none",
                "stopped_reason": "ongoing",
                "in_current_episode": True,
            },
        ],
        "psychotherapy": [{"type": "cbt", "sessions": 12}, {"type": "Art therapy"}, {}],
        "phq9": [1, 2, 3, 0, 1, 2, 3, None, 1],
        "cssrs": {"wish_dead": True, "thoughts": False, "behaviour_lifetime": False, "behaviour_3mo": False},
        "safety": {
            "metal_in_head": False,
            "pacemaker_or_icd": True,
            "psychosis_now": False,
            "respiratory": False,
            "bladder": False,
            "pregnant": False,
            "bp": [128, 82],
            "liver_impairment": "mild",
        },
        "payer": "Aetna",
        "current_medicines": ["Metformin", "fish oil"],
        "scores": {"gad7": 8, "pcptsd5": 3},
        "thyroid": {"problem": False, "result": "normal", "tested_on": "2026-02"},
    }
    found = made(pages, trials)
    assert found == expected
    IntakeRecord.model_validate(found)


def test_every_question_is_one_that_the_record_knows() -> None:
    everything = {key: dict.fromkeys(names, "yes") for key, names in SCREENS.items()}
    IntakeRecord.model_validate(made(everything))


def test_what_a_patient_can_answer_of_the_screens_is_asked() -> None:
    asked = {name for names in SCREENS.values() for name in names}
    by_another_name = {
        "metal_head": "metal_in_head",
        "cardiac_device": "pacemaker_or_icd",
        "neurostimulator": "vns_or_dbs",
        "brain_disease": "stroke_or_brain_lesion",
        "pregnancy": "pregnant",
        "psychosis": "psychosis_history",
        "active_substance_use_disorder": "current_substance_use",
        "active_psychosis_or_schizophrenia": "psychosis_now",
        "current_mania_or_mixed": "mania_now",
        "uncontrolled_hypertension": "hypertensive_or_cv_disease",
        "unstable_cardiac_aneurysm_raised_icp_recent_stroke": "aneurysmal_disease",
        "severe_hepatic_disease_or_cystitis": "bladder",
    }
    # words of their own page, the liver's four levels, the birth date, and what is measured or asked on the day
    elsewhere = {"medicines", "hepatic_moderate", "hepatic_severe", "age_band", "age_65", "under_18"}
    on_the_day = {"sleep_loss", "bp_pre_dose", "cognition", "boxed_young_adults"}
    wanted = {by_another_name.get(name, name) for name in screen_question_ids()}
    assert wanted - elsewhere - on_the_day <= asked


def test_times_that_touch_are_one_window() -> None:
    chosen = ["0-morning", "0-afternoon", "2-early", "2-evening"]
    assert record.windows({"when": "some", "windows": chosen}) == {0: [[480, 1020]], 2: [[360, 480], [1020, 1200]]}
    assert record.windows({"when": "weekdays"}) == {day: [[360, 1200]] for day in range(5)}
    assert record.windows({"when": "not_sure"}) == {}


def test_days_away_are_counted_one_by_one() -> None:
    values = {"from1": "2026-12-24", "to1": "2026-12-26", "from2": "2027-01-04", "from3": "nonsense"}
    assert record.away(values) == [date(2026, 12, 24), date(2026, 12, 25), date(2026, 12, 26), date(2027, 1, 4)]


def test_places_keep_their_order_and_stand_once() -> None:
    assert record.places({"first": "3", "second": "1", "third": "3"}) == [3, 1]
    assert record.places({"first": "not_sure"}) == []


def test_a_questionnaire_has_a_total_only_by_its_own_rules() -> None:
    six = {"gad7-1": {f"item{n}": "1" for n in (1, 2, 3, 4)}, "gad7-2": {"item5": "1", "item6": "1"}}
    assert made(six)["scores"] == {"gad7": 7}, "one open item is taken as the mean of the others"
    five = {"gad7-1": {f"item{n}": "1" for n in (1, 2, 3, 4)}, "gad7-2": {"item5": "1"}}
    assert "scores" not in made(five)
    assert made({"ptsd": {"gate": "0"}})["scores"] == {"pcptsd5": 0}
    assert "scores" not in made({"ptsd": {"gate": "1"}, "ptsd-1": {"item1": "1"}})


@pytest.mark.parametrize(
    ("now", "ever", "said"),
    [("yes", None, True), ("no", "no", False), ("no", "yes", None), ("no", None, None), (None, "no", None)],
)
def test_psychotic_features_are_no_only_where_there_never_were_any(now, ever, said) -> None:
    mind = {name: answer for name, answer in (("psychosis_now", now), ("psychosis_history", ever)) if answer}
    assert made({"mind": mind}).get("episode", {}).get("psychotic_features") is said


@pytest.mark.parametrize(
    ("papers", "files", "grade"),
    [
        ("none", (), "patient"),
        ("pharmacy", (), None),
        ("pharmacy", ("letter",), None),
        ("pharmacy", ("pharmacy_list",), "pharmacy"),
        ("chart", ("letter",), "chart"),
        ("letter", ("letter",), "letter"),
        ("not_sure", ("letter",), None),
    ],
)
def test_papers_document_a_row_once_they_are_there(papers, files, grade) -> None:
    assert record.trial_row({"papers": papers}, files).get("documentation") == grade


@pytest.mark.parametrize(
    ("typed", "hours"), [("6", 6), ("5-7", [5, 7]), ("about 8 hours", 8), ("25", None), ("few", None)]
)
def test_hours_of_sleep_are_a_number_or_a_range(typed, hours) -> None:
    assert record.hours_of(typed) == hours


def test_a_thyroid_that_was_not_tested_has_no_result() -> None:
    answers = {"problem": "not_sure", "tested": "no", "result": "normal", "test_year": "2025"}
    assert "thyroid" not in made({"thyroid": answers})


def test_every_answer_of_a_medicine_is_one_that_the_record_knows() -> None:
    from clinic.intake import forms

    for stopped in ("side_effects", "could_not", "ongoing"):
        row = {"drug": "Effexor", "dose": "75", "weeks": "6", "at_dose": "changed", "stopped": stopped, "level": "yes"}
        row |= {"step1_dose": "37.5", "step1_weeks": "1", "papers": "letter", "side_effects": "x", "in_the_way": "y"}
        for release in forms.RELEASE_FORMS:
            pages = {"life": {"words": "x"}, "family": {"relatives": "y"}, "sleep": {"hours": "5"}}
            found = record.to_record(pages, [row | {"release": release}], as_of=AS_OF, born=BORN, files={"letter"})
            IntakeRecord.model_validate(found)
            assert set(found) <= {"as_of", "age", "trials"}, "life, family, genes and sleep decide nothing"
