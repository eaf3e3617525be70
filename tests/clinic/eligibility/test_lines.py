"""The lines below the trials, from answers of the engine."""

from datetime import date
from types import SimpleNamespace
from typing import Any

import pytest

from clinic.eligibility import difference, lines, presenter, summary, words
from clinic.eligibility.engine import IntakeRecord, assess
from clinic.eligibility.models import Assessment
from clinic.eligibility.operations import answer
from tests.builders import eligible_record, failed_trial

CIGNA, AETNA = "cigna_evernorth_en0383", "aetna_cpb_0469"


def result_of(record: dict[str, Any], *policies: str) -> dict[str, Any]:
    verified = {policy: date(2026, 11, 3) for policy in policies}
    return answer(IntakeRecord.model_validate(record), verified)


def test_policies_are_columns_and_a_cell_without_demand_is_empty() -> None:
    table = lines.payers(result_of(eligible_record(payer="Cigna"), CIGNA, AETNA), [CIGNA])
    assert table is not None
    assert [(column["name"], column["is_own"]) for column in table.columns] == [
        ("Cigna / Evernorth EN0383", True),
        ("Aetna CPB 0469", False),
    ]
    rows = dict(table.rows)
    assert rows["Add-on trial"][0] is None
    assert rows["Add-on trial"][1].state[1] == "Not met"


@pytest.mark.parametrize(
    ("found", "read"),
    [
        ("2 of 2 classes: snri, ssri.", "2 of 2 classes: SNRI, SSRI."),
        ("Severity severe asked for.", "Severity asked for: severe."),
        ("Excluded: raised icp.", "Excluded: raised ICP."),
        ("Taken together for 3 to 12.57 weeks.", "Taken together for 3 to 12.6 weeks."),
        ("The arms were saintly.", "The arms were saintly."),
    ],
)
def test_what_the_engine_found_is_read_in_the_fields_own_spelling(found, read) -> None:
    assert words.finding(found) == read


def test_a_policy_that_nobody_verified_is_no_column() -> None:
    result = assess(IntakeRecord.model_validate(eligible_record(payer="Cigna"))).to_json()
    assert result["policies"]
    assert lines.payers(result, [CIGNA]) is None


def test_the_clinical_lines_name_the_trials_by_their_number() -> None:
    rows = lines.clinical(result_of(eligible_record()))
    assert rows[0].name == "Trials that count"
    assert rows[0].text.endswith("Trials 1 and 2.")


@pytest.mark.parametrize(
    ("count", "words"), [(0, ("Not met", "Not met")), (1, ("Not met", "Not met")), (2, ("Met", "Not met"))]
)
def test_each_option_says_whether_its_number_of_trials_is_reached(count: int, words: tuple[str, str]) -> None:
    trials = [failed_trial("sertraline", 150), failed_trial("venlafaxine", 225)][:count]
    found = {row["id"]: row["state"][1] for row in lines.options(result_of(eligible_record(trials=trials)))}
    assert (found["tms"], found["ect"]) == words


def test_an_option_stays_open_while_a_trial_cannot_be_told() -> None:
    trials = [failed_trial("sertraline", 150), {"drug": "bupropion"}]
    rows = {row["id"]: row for row in lines.options(result_of(eligible_record(trials=trials)))}
    assert rows["tms"]["state"][1] == "Can't tell"
    assert rows["tms"]["counted"] == "After 2 adequate trials: 1 so far, 1 more can't be told."


def test_options_stand_in_the_order_of_the_alphabet() -> None:
    names = [row["name"].lower() for row in lines.options(result_of(eligible_record()))]
    assert names == sorted(names)
    assert len(names) >= 8


def test_other_causes_stand_beside_every_verdict_present_ones_first() -> None:
    record = eligible_record(audit_c=9)
    found = lines.other_causes(result_of(record), record)
    assert len(found) == 12
    assert found[0]["state"][1] == "Present"


def test_a_score_that_staff_entered_wins_over_the_history_and_brings_its_day() -> None:
    record = eligible_record(scores={"gad7": 12, "isi": 9})
    entered = [SimpleNamespace(instrument="isi", total=18, taken_on=date(2026, 11, 20))]
    found = {row["key"]: row for row in lines.scores(record, entered, "2026-11-10")}
    assert (found["isi"]["total"], found["isi"]["day"]) == ("18 of 28", date(2026, 11, 20))
    assert (found["gad7"]["total"], found["gad7"]["band"]) == ("12 of 21", "moderate")
    assert found["phq9"]["note"] == "item 9: 0"
    assert found["mdq"]["note"] == "negative"


def test_a_missing_item_is_no_total() -> None:
    found = lines.scores(eligible_record(phq9=[1, 1, None, 1, 1, 1, 1, 1, 2]), [], None)
    assert (found[0]["total"], found[0]["note"]) == (None, "item 9: 2")


def test_staging_shows_points_or_what_is_missing() -> None:
    whole = lines.staging(result_of(eligible_record()))
    assert whole["score"] == sum(value for _, value in whole["points"])
    record = eligible_record()
    del record["episode"]["onset_weeks_ago"]
    assert lines.staging(result_of(record))["missing"] == ["when the episode began"]


def test_pairs_of_medicines_are_shown_with_how_serious_they_are() -> None:
    trials = [failed_trial("fluoxetine", 40, stopped_reason="ongoing")]
    record = eligible_record(trials=trials, current_medicines=["tramadol"])
    found = lines.medicines(result_of(record), record)
    assert found["taken"] == ["Fluoxetine", "tramadol"]
    assert found["pairs"][0]["state"][1] in ("Serious", "Do not combine")


# -- the answer at a glance ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("trials", "words"),
    [
        (None, "no medicine is on record"),
        ([failed_trial("sertraline", 150)], "does not meet the criteria yet: 1 trial counts"),
        ([failed_trial("sertraline", 150), {"drug": "bupropion"}], "1 past treatment is unclear"),
        (
            [failed_trial("sertraline", 150), failed_trial("venlafaxine", 225)],
            "meets the criteria: 2 trials count; nothing found against TMS, esketamine and IV ketamine",
        ),
    ],
)
def test_the_title_is_the_clinical_answer_as_a_sentence(trials: Any, words: str) -> None:
    record = eligible_record(trials=trials) if trials is not None else {**eligible_record(), "trials": None}
    assert words in presenter.title(result_of(record), record, "M.T.")


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"episode": {"diagnosis": "bipolar_2"}}, "by counting trials: with bipolar disorder a clinician decides"),
        ({"episode": {"diagnosis": "unknown"}}, "an answer about the illness is missing"),
        ({"episode": {"diagnosis": "dysthymia"}}, "the diagnosis is another one than major depression"),
        ({"age": 17}, "by rules for adults: under 18 a clinician decides"),
    ],
)
def test_the_title_says_what_no_count_settles(changed: dict[str, Any], says: str) -> None:
    assert says in presenter.title(result_of(eligible_record() | changed), eligible_record() | changed, "M.T.")


def test_a_payers_answer_stands_apart_from_the_title() -> None:
    record = eligible_record(payer="Cigna")
    result = result_of(record, CIGNA)
    page = presenter.review(result, record, initials="M.T.", today=date(2026, 11, 23), payer_policies=[CIGNA])
    assert "Cigna" not in page.title
    assert page.lines == ("Cigna / Evernorth EN0383: 1 fact is missing.",)
    assert page.smallest_change.startswith("Cigna / Evernorth EN0383 is met if")


def test_another_payers_change_is_not_the_smallest_one() -> None:
    record = eligible_record(payer="Aetna")
    result = result_of(record, CIGNA)
    assert "Cigna" not in presenter.smallest_change(result, [AETNA])


def test_two_rows_of_one_medicine_are_asked_about_apart() -> None:
    trials = [{"drug": "sertraline"}, {"drug": "sertraline", "dose_mg_per_day": 100}]
    names = [name for name, _ in presenter.asks(result_of(eligible_record(trials=trials)))]
    assert len(names) == len(set(names))


def test_a_finding_says_what_the_clinic_does() -> None:
    record = eligible_record()
    record["safety"]["fainting"] = True
    rows = presenter.pathway_rows(result_of(record))
    finding = next(each for each in rows[0]["findings"] if each["code"] == "fainting")
    assert "treatment sessions wait for a recorded review" in finding["clinic_does"]


# -- what the signature covers -------------------------------------------------------------------------------------


def test_the_evaluation_says_diagnosis_trials_and_verdicts() -> None:
    record = eligible_record(as_of="2026-11-20")
    text = summary.evaluation(Assessment(record=record, result=result_of(record)))
    for said in (
        "Major depressive disorder",
        "Sertraline: 150 mg, 8 weeks, no change; counts.",
        "TMS: likely eligible.",
    ):
        assert said in text


# -- what changed --------------------------------------------------------------------------------------------------


def changes(before: dict[str, Any], after: dict[str, Any]) -> difference.Difference:
    return difference.between((before, result_of(before)), (after, result_of(after)))


def test_the_same_record_has_no_difference() -> None:
    assert not changes(eligible_record(), eligible_record())


def test_a_changed_dose_and_the_verdict_that_follows_are_both_named() -> None:
    weak = eligible_record(trials=[failed_trial("sertraline", 25), failed_trial("venlafaxine", 225)])
    found = changes(weak, eligible_record())
    facts = {(each.what, each.before, each.after) for each in found.facts}
    assert ("Trial 1 (Sertraline): dose, mg per day", "25", "150") in facts
    assert ("Clinical definition", "Not met", "Met") in {(one.what, one.before, one.after) for one in found.verdicts}


def test_a_fact_that_came_or_went_was_not_known() -> None:
    short = eligible_record()
    del short["mdq_positive"]
    assert [(each.what, each.before, each.after) for each in changes(short, eligible_record()).facts] == [
        ("MDQ positive", "not known", "no")
    ]
