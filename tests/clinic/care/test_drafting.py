"""Whatever the engine says, the draft holds no word that a patient does not see."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clinic.care import drafting, operations
from clinic.care.speaking import speaking
from clinic.care.wording import forbidden
from clinic.eligibility.engine import IntakeRecord, assess
from tests.builders import CLEAR_SAFETY, eligible_record, failed_trial
from tests.clinic.intake.test_words import grade

ALL_OUTCOMES = [
    (failed_trial("Zoloft", 150), "counts", "did not help enough"),
    (failed_trial("sertraline", 150, outcome="partial"), "counts", "helped a little"),
    (failed_trial("venlafaxine", 30), "does_not_count", "A full dose starts at 75 mg a day"),
    (failed_trial("bupropion", 300, weeks=3, weeks_at_dose=3), "does_not_count", "3 more weeks"),
    (failed_trial("Lexapro", 20, adherence="poor"), "does_not_count", "Most people miss some"),
    (
        failed_trial("mirtazapine", 30, weeks=2, weeks_at_dose=2, stopped_reason="side_effects"),
        "does_not_count",
        "side effects",
    ),
    (failed_trial("fluoxetine", 40, outcome="lost_response"), "unclear", "then stopped helping"),
    (failed_trial("fluoxetine", 40, outcome="remission"), "does_not_count", "It helped you"),
    (failed_trial("trazodone", 300, purpose="sleep"), "does_not_count", "something other than depression"),
    (failed_trial("aripiprazole", 5, role="add_on"), "does_not_count", "added to others"),
    (failed_trial("vortioxetine", 20, in_current_episode=False), "does_not_count", "earlier low time"),
    (failed_trial("paroxetine", 20, outcome=None), "unclear", "how much it helped"),
    (failed_trial("paroxetine", None), "unclear", "the dose"),
    (failed_trial("Celebrex", 200), "unclear", "its name"),
]


@pytest.fixture(autouse=True)
def _english(app):
    with app.test_request_context("/"), speaking("en"):
        yield


def made(record: dict) -> dict:
    return drafting.build(assess(IntakeRecord.model_validate(record)).to_json(), record)


@pytest.mark.parametrize(("trial", "state", "words"), ALL_OUTCOMES)
def test_each_verdict_has_its_plain_words(trial, state, words) -> None:
    [line] = made(eligible_record(trials=[trial]))["lines"]
    assert line["state"] == state
    assert words in line["text"]


def test_the_same_medicine_twice_is_named_and_counted_once() -> None:
    first, second = made(eligible_record(trials=[failed_trial("Zoloft", 150), failed_trial("sertraline", 100)]))[
        "lines"
    ]
    assert (first["state"], second["state"]) == ("counts", "does_not_count")
    assert "the same medicine as Zoloft (sertraline)" in second["text"]


def test_what_is_missing_names_medicines_and_never_a_health_question() -> None:
    record = eligible_record(
        trials=[failed_trial("Paxil", None, outcome=None)], safety={}, audit_c=None, mdq_positive=None
    )
    lines = [line["text"] for line in made(record)["missing"]]
    assert lines[0].startswith("Paxil (paroxetine): ")
    assert "the dose" in lines[0]
    assert lines[-1] == "Some health questions, which we go through with you"
    assert len(lines) == 2


def test_what_a_person_wrote_is_left_out_where_it_holds_such_a_word() -> None:
    [line] = made(eligible_record(trials=[failed_trial("some drug use pill", 10)]))["lines"]
    assert line["title"].startswith("Medicine 1")


maybe = st.sampled_from([True, False, None])
a_trial = st.fixed_dictionaries(
    {},
    optional={
        "drug": st.sampled_from(
            [
                "Zoloft",
                "sertraline",
                "Wellbutrin",
                "lithium",
                "ketamine",
                "Emsam",
                "Celebrex",
                "aripiprazole",
                "alcohol",
                "",
                "Prozac 20 mg",
            ]
        ),
        "dose_mg_per_day": st.one_of(st.none(), st.sampled_from([5, 30, 75, 150, 300, [50, 100]])),
        "weeks": st.one_of(st.none(), st.sampled_from([1, 3, 5.5, 6, 12, [4, 7]])),
        "weeks_at_dose": st.one_of(st.none(), st.sampled_from([1, 3, 5.5, 6, 12, [4, 7]])),
        "adherence": st.sampled_from(["good", "partial", "poor", "unknown", None]),
        "outcome": st.sampled_from(["none", "partial", "response", "remission", "lost_response", "unknown", None]),
        "stopped_reason": st.sampled_from(["inefficacy", "side_effects", "cost", "other", "ongoing", "unknown", None]),
        "side_effect": st.sampled_from([None, "rash", "seizure"]),
        "in_current_episode": maybe,
        "purpose": st.sampled_from(["depression", "sleep", "pain", "smoking", "other", None]),
        "role": st.sampled_from(["alone", "add_on", None]),
        "started_on": st.sampled_from([None, "2025", "2026-03", "2026-10-01"]),
        "contraindicated": st.sampled_from([None, "liver"]),
        "weeks_well_after": st.sampled_from([None, 2, 10]),
    },
)
a_record = st.builds(
    lambda trials, safety, **rest: eligible_record(
        trials=trials, safety={**CLEAR_SAFETY, **safety}, as_of="2026-11-21", **rest
    ),
    trials=st.lists(a_trial, max_size=5),
    safety=st.dictionaries(
        st.sampled_from([key for key in CLEAR_SAFETY if key not in ("bp", "liver_impairment")]), maybe
    ),
    age=st.sampled_from([16, 43, None]),
    mdq_positive=maybe,
    audit_c=st.sampled_from([0, 9, None]),
    payer=st.sampled_from([None, "Medicare", "aetna_tms"]),
    psychotherapy=st.lists(
        st.fixed_dictionaries(
            {},
            optional={
                "type": st.sampled_from(["CBT", "alcohol group", None]),
                "sessions": st.sampled_from([1, 12, None]),
            },
        ),
        max_size=2,
    ),
)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(record=a_record)
def test_no_draft_of_any_result_holds_a_forbidden_word(record) -> None:
    content = made(record)
    for key, text in operations.texts_of(content, None):
        assert forbidden(text) == [], (key, text)
    words = " ".join(f"{text}." for _key, text in operations.texts_of(content, None) if text)
    assert grade(words) <= 8 or len(words.split()) < 60


@pytest.mark.parametrize("language", ["en", "es"])
def test_the_draft_is_clean_in_both_languages(language) -> None:
    record = eligible_record(trials=[trial for trial, _state, _words in ALL_OUTCOMES])
    with speaking(language):
        content = made(record)
    assert operations.forbidden_in(content, None) == {}
