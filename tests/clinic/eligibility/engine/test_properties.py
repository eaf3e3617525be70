"""What must hold of every record, searched for exceptions: a fixed sample in `make test`, at length in `make soak`."""

import itertools
import json
import os
import random
import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from clinic.eligibility.engine import IntakeRecord, assess

QUIET = {"deadline": None, "database": None, "suppress_health_check": list(HealthCheck)}
PAYERS = ["cigna_spravato", "cms_l34522_first_coast", "aetna_cpb_0469", "bcbs_mp_170", "fda_label_tms_adult"]

# Least adequate dose in mg per day, written down from the drug table.
LEAST = {
    "sertraline": 50,
    "Prozac": 20,
    "Lexapro": 10,
    "Effexor XR": 75,
    "Cymbalta": 60,
    "bupropion XL": 300,
    "Remeron": 15,
    "amitriptyline": 100,
    "Nardil": 45,
}
SAME_AS = {
    "sertraline": "Zoloft",
    "Prozac": "fluoxetine 20 mg",
    "Effexor XR": "venlafaxine ER",
    "Remeron": "MIRTAZAPINE",
}
NO_TRIAL = ["lithium", "Abilify", "Silenor", "Celebrex", "Spravato", None]
NO_RISK = {
    "metal_in_head": False,
    "cochlear_implant": False,
    "pacemaker_or_icd": False,
    "vns_or_dbs": False,
    "seizure_history": False,
    "stroke_or_brain_lesion": False,
    "pregnant": False,
    "current_substance_use": False,
    "aneurysm_or_avm": False,
    "intracerebral_haemorrhage": False,
    "bp": [120, 80],
    "psychosis_history": False,
    "liver_impairment": "none",
}


@pytest.fixture(params=[pytest.param(40, id="sample"), pytest.param(3000, id="full", marks=pytest.mark.soak)])
def search(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Looks for a counterexample: the same small sample every time, or a long seeded search."""
    quick = request.param < 1000

    def look(check: Callable[..., None], *, share: float = 1, **strategies: Any) -> None:
        examples = max(10, round(request.param * share))
        settings(max_examples=examples, derandomize=quick, **QUIET)(given(**strategies)(check))()

    return look


def maybe(strategy: Any) -> Any:
    return st.one_of(st.none(), strategy)


def number(*values: float) -> Any:
    """An exact number, a range or nothing."""
    exact = st.sampled_from(values)
    return st.one_of(exact, exact, st.tuples(exact, exact).map(lambda pair: sorted(pair)), st.none())


DOSES = number(5, 7.5, 10, 20, 25, 37.5, 49.9, 50, 60, 75, 100, 150, 300)
WEEKS = number(0, 1, 2, 3.9, 4, 5.9, 6, 7, 8, 12, 52)
DAYS = st.sampled_from(["2015", "2019-05", "2025-11-01", "2026", "2026-01-05", "2026-02-10", "2026-07", "2026-11-20"])
STEPS = st.lists(
    st.fixed_dictionaries({"dose": number(0, 10, 25, 50, 100, 300), "weeks": number(0.5, 1, 2, 4, 6)}),
    min_size=1,
    max_size=4,
)
ROW = st.fixed_dictionaries(
    {
        "drug": st.sampled_from([*LEAST, *LEAST, *SAME_AS.values(), *NO_TRIAL]),
        "dose_mg_per_day": DOSES,
        "weeks_at_dose": WEEKS,
        "adherence": st.sampled_from(["good", "good", "good", "partial", "unknown", None]),
        "outcome": st.sampled_from(["none", "none", "partial", "response", "lost_response", "unknown", None]),
        "stopped_reason": st.sampled_from(["inefficacy", "inefficacy", "side_effects", "ongoing", None]),
        "in_current_episode": st.sampled_from([True, True, True, False, None]),
        "purpose": st.sampled_from(["depression", "depression", "depression", "sleep", None]),
        "role": st.sampled_from(["alone", "alone", "alone", "add_on", None]),
    },
    optional={
        "weeks": WEEKS,
        "steps": STEPS,
        "started_on": DAYS,
        "stopped_on": DAYS,
        "missed_doses_per_week": number(0, 1, 2, 5),
        "improvement_percent": number(0, 24, 25, 49, 50, 90),
        "weeks_well_after": number(0, 4, 8, 20),
        "level_therapeutic": st.sampled_from([True, False]),
        "contraindicated": st.sampled_from(["prolonged QT", None, None]),
        "documentation": st.sampled_from(["pharmacy", "letter", "patient", None]),
    },
)
ROWS = st.lists(ROW, max_size=5)
ANSWER = st.sampled_from([False, False, False, False, True, None])
SAFETY = st.fixed_dictionaries(
    {key: ANSWER for key, value in NO_RISK.items() if value is False}
    | {
        "bp": st.sampled_from([[120, 80], [120, 80], [150, 95], [None, 80], None]),
        "liver_impairment": st.sampled_from(["none", "none", "mild", "moderate", "severe", None]),
    }
)
EPISODE = st.fixed_dictionaries(
    {
        "diagnosis": st.sampled_from(["mdd", "mdd", "mdd", "mdd", "dysthymia", "bipolar_2", "schizoaffective", None]),
        "onset_weeks_ago": maybe(st.sampled_from([10, 40, 60, 130])),
        "psychotic_features": ANSWER,
        "current_mania": ANSWER,
        "severity": st.sampled_from(["mild", "severe_without_psychosis", "severe_with_psychosis", None]),
        "ect_used": ANSWER,
    }
)
PERSON = st.fixed_dictionaries(
    {
        "age": st.sampled_from([15, 17, 18, 30, 40, 40, 55, 56, 70, None]),
        "sex": st.sampled_from(["female", "male", "other", "unknown", None]),
        "episode": EPISODE,
        "mdq_positive": ANSWER,
        "audit_c": st.sampled_from([0, 2, 3, 4, 9, None]),
        "phq9": st.sampled_from([[2] * 8 + [0], [3] * 9, None]),
        "safety": SAFETY,
    }
)
CALM = {
    "as_of": "2026-11-20",
    "age": 40,
    "sex": "male",
    "episode": {"diagnosis": "mdd", "psychotic_features": False, "current_mania": False},
    "mdq_positive": False,
    "audit_c": 0,
    "safety": NO_RISK,
}


def full_trial(drug: str, **more: Any) -> dict[str, Any]:
    """A trial that counts: the least dose, eight weeks, taken as prescribed, of no use, in this episode."""
    return {
        "drug": drug,
        "dose_mg_per_day": LEAST[drug],
        "weeks_at_dose": 8,
        "adherence": "good",
        "outcome": "none",
        "stopped_reason": "inefficacy",
        "in_current_episode": True,
        "purpose": "depression",
        "role": "alone",
        **more,
    }


def answer(record: dict[str, Any], **using: Any) -> dict[str, Any]:
    return assess(IntakeRecord.model_validate(record), **using).to_json()


def verdicts(found: dict[str, Any]) -> dict[str, Any]:
    """Every verdict of an answer that no order of rows may touch."""
    return {
        "trd": (found["trd"]["verdict"], found["trd"]["adequate_trials"]),
        "rows": sorted(row["verdict"] for row in found["trials"]),
        "pathways": {name: each["verdict"] for name, each in found["pathways"].items()},
        "urgent": found["urgent"],
        "staging": found["staging"]["maudsley"],
        "policies": {
            each["id"]: (each["verdict"], [(finding["code"], finding["status"]) for finding in each["findings"]])
            for each in found["policies"]
        },
    }


NEARLY = st.builds(
    lambda drug, lacks: full_trial(drug) | lacks,
    st.sampled_from(["sertraline", "Prozac", "Cymbalta"]),
    st.sampled_from([{}, {"adherence": None}, {"outcome": None}, {"weeks_at_dose": 4}, {"documentation": "chart"}]),
)


def test_the_order_of_rows_never_matters(search):
    def check(person, rows, seed):
        record = CALM | person | {"trials": rows}
        shuffled = random.Random(seed).sample(rows, len(rows))
        one, other = (answer(record | {"trials": each}, policies=PAYERS) for each in (rows, shuffled))
        assert verdicts(one) == verdicts(other)

    # Rows of a few medicines too, of which one stands for the others.
    rows = st.one_of(ROWS, st.lists(NEARLY, min_size=2, max_size=4))
    search(check, person=PERSON, rows=rows, seed=st.integers(0, 999))


DATED = [
    {},
    {"started_on": "2026-01-05", "stopped_on": "2026-03-05"},
    {"started_on": "2026-01-05", "stopped_on": "2026-06-30"},
    {"started_on": "2026-03-06", "stopped_on": "2026-05-20"},
    {"started_on": "2026-07-01", "stopped_on": "2026-09-20"},
]
COUNTING = st.builds(lambda drug, dates: full_trial(drug, **dates), st.sampled_from([*LEAST]), st.sampled_from(DATED))


def test_an_adequate_trial_more_never_loses_a_verdict(search):
    def check(counting, rows, added, place):
        record = CALM | {"trials": [*counting, *rows]}
        before = answer(record)
        assume(before["trd"]["verdict"] == "met")
        more = [*record["trials"]]
        more.insert(min(place, len(more)), added)
        after = answer(record | {"trials": more})
        assert after["trd"]["verdict"] == "met"
        assert after["trd"]["adequate_trials"] >= before["trd"]["adequate_trials"]

    search(
        check, counting=st.lists(COUNTING, min_size=2, max_size=4), rows=ROWS, added=COUNTING, place=st.integers(0, 9)
    )


def test_a_row_entered_twice_adds_nothing(search):
    def check(person, rows, which):
        copied = rows[which % len(rows)]
        assume(copied["drug"] is not None)
        copy = copied | {"drug": SAME_AS.get(copied["drug"], copied["drug"])}
        record = CALM | person | {"trials": rows}
        once, twice = (verdicts(answer(record | {"trials": each}, policies=PAYERS)) for each in (rows, [*rows, copy]))
        assert len(twice.pop("rows")) == len(once.pop("rows")) + 1
        assert twice == once

    search(check, person=PERSON, rows=st.lists(ROW, min_size=1, max_size=5), which=st.integers(0, 4))


POSSIBLE = {
    "age": [10, 15, 17, 18, 40, 70],
    "sex": ["female", "male", "other"],
    "audit_c": [0, 12],
    "mdq_positive": [True, False],
    **{f"safety.{key}": [True, False] for key, value in NO_RISK.items() if value is False},
    "safety.bp": [[120, 80], [200, 120]],
    "safety.liver_impairment": ["none", "mild", "moderate", "severe"],
    "episode.diagnosis": ["mdd", "bipolar_1", "bipolar_2", "dysthymia", "schizoaffective"],
    "episode.psychotic_features": [True, False],
    "episode.current_mania": [True, False],
}


def with_value(record: dict[str, Any], field: str, value: Any) -> dict[str, Any]:
    head, _, tail = field.partition(".")
    return record | {head: ((record.get(head) or {}) | {tail: value}) if tail else value}


def get(record: dict[str, Any], field: str) -> Any:
    head, _, tail = field.partition(".")
    return (record.get(head) or {}).get(tail) if tail else record.get(head)


@pytest.mark.parametrize("field", POSSIBLE)
def test_one_unknown_is_never_eligible_where_one_of_its_values_is_contraindicated(field):
    record = with_value(CALM | {"trials": [full_trial("Prozac"), full_trial("Cymbalta")]}, field, None)
    unknown = answer(record)["pathways"]
    for value in POSSIBLE[field]:
        for name, known in answer(with_value(record, field, value))["pathways"].items():
            assert (unknown[name]["verdict"], known["verdict"]) != ("likely_eligible", "contraindicated"), value


def blanked(record: dict[str, Any], fields: set[str]) -> dict[str, Any]:
    for field in sorted(fields):
        record = with_value(record, field, None)
    return record


SLIGHTLY_OFF = st.sets(st.sampled_from([*POSSIBLE]), max_size=4).map(lambda fields: blanked(CALM, fields))


def test_unknowns_are_never_eligible_where_one_way_to_fill_them_is_contraindicated(search):
    def check(person, seed):
        record = CALM | person | {"trials": [full_trial("Prozac"), full_trial("Cymbalta")]}
        before = answer(record)["pathways"]
        assume(any(each["verdict"] == "likely_eligible" for each in before.values()))
        rng = random.Random(seed)
        filled = record
        for field, values in POSSIBLE.items():
            if get(record, field) is None:
                filled = with_value(filled, field, rng.choice(values))
        after = answer(filled)["pathways"]
        for name in before:
            assert (before[name]["verdict"], after[name]["verdict"]) != ("likely_eligible", "contraindicated"), name

    search(check, person=SLIGHTLY_OFF, seed=st.integers(0, 999))


def test_what_is_contraindicated_stays_so_whatever_the_unknowns_are(search):
    def check(person, rows, seed):
        record = CALM | person | {"trials": rows}
        before = answer(record)["pathways"]
        rng = random.Random(seed)
        filled = record
        for field, values in POSSIBLE.items():
            if get(record, field) is None:
                filled = with_value(filled, field, rng.choice(values))
        after = answer(filled)["pathways"]
        for name in before:
            if before[name]["verdict"] == "contraindicated":
                assert after[name]["verdict"] == "contraindicated"

    search(check, person=PERSON, rows=st.lists(ROW, max_size=2), seed=st.integers(0, 999))


RANGE_FIELDS = ("dose_mg_per_day", "weeks_at_dose", "weeks", "missed_doses_per_week", "improvement_percent")
INSIDE = [0.5, 1, 2, 3.9, 4, 5, 5.9, 6, 7, 8, 10, 12, 20, 25, 37.5, 49.9, 50, 60, 75, 99, 100, 150, 299, 300]


def points(row: dict[str, Any], field: str) -> list[Any]:
    """The ends of a range and what lies inside of it; the value itself where there is no range."""
    value = row.get(field)
    if not isinstance(value, list):
        return [value]
    return [value[0], *(each for each in INSIDE if value[0] < each < value[1]), value[1]]


def test_a_range_is_definite_only_where_all_of_it_agrees(search):
    def check(row):
        fields = [field for field in RANGE_FIELDS if field in row]
        assume(any(isinstance(row[field], list) for field in fields))
        found = answer(CALM | {"trials": [row]})["trials"][0]
        assume(found["verdict"] != "undetermined")

        def contradicts(field, value):
            """Out of the range, this value does not go with what else is said: alone it leaves open what was certain."""
            return answer(CALM | {"trials": [row | {field: value}]})["trials"][0]["verdict"] == "undetermined"

        for values in itertools.islice(itertools.product(*(points(row, field) for field in fields)), 60):
            exact = answer(CALM | {"trials": [row | dict(zip(fields, values, strict=True))]})["trials"][0]
            if exact["verdict"] == "undetermined":  # a value that contradicts another one leaves the row open
                continue
            if found["verdict"] == "adequate":
                assert exact["verdict"] == "adequate", values
            else:
                # What is certainly wrong stays wrong; a value may add a fault that comes before it.
                assert exact["verdict"] != "adequate", values
                same = {each["code"] for each in found["why"]} & {each["code"] for each in exact["why"]}
                assert same or any(map(contradicts, fields, values)), values

    search(check, row=ROW, share=0.5)


def test_a_range_whose_every_value_gives_one_verdict_has_that_verdict(search):
    def check(drug, dose, weeks):
        row = full_trial(drug, dose_mg_per_day=dose, weeks_at_dose=weeks)
        found = answer(CALM | {"trials": [row]})["trials"][0]["verdict"]
        least = LEAST[drug]
        faults = {
            "inadequate_dose" if dose < least else "inadequate_duration" if weeks < 6 else "adequate"
            for dose in points(row | {"dose_mg_per_day": [*row["dose_mg_per_day"]]}, "dose_mg_per_day")
            for weeks in points(row, "weeks_at_dose")
        }
        if len(faults) == 1:
            assert found == faults.pop()
        elif "adequate" in faults:
            assert found == "undetermined"

    pair = lambda *values: st.tuples(st.sampled_from(values), st.sampled_from(values)).map(sorted)  # noqa: E731
    doses, weeks = pair(5, 10, 20, 45, 50, 60, 75, 100, 150, 300), pair(1, 4, 5.9, 6, 7, 12)
    search(check, drug=st.sampled_from([*LEAST]), dose=doses, weeks=weeks)


def changed(row: dict[str, Any], changes: list[dict[str, Any]]) -> dict[str, Any]:
    """The row or record after the changes of a counterfactual, each read as its JSON says."""
    row = json.loads(json.dumps(row))
    for change in changes:
        *path, last = [int(part) if part.isdigit() else part for part in re.findall(r"\w+", change["field"])]
        target: Any = row
        for part in path:
            if isinstance(part, str) and target.get(part) is None:
                target[part] = {}
            target = target[part]
        target[last] = change["to"]
    return row


def test_the_counterfactual_turns_the_verdict_and_no_part_of_it_does(search):
    def check(row):
        found = answer(CALM | {"trials": [row]})["trials"][0]
        would = found["would_count_if"]
        assume(would is not None and would.get("changes"))
        changes = would["changes"]
        assert found["verdict"] != "adequate"
        assert would["text"]

        def verdict(part):
            return answer(CALM | {"trials": [changed(row, part)]})["trials"][0]["verdict"]

        assert verdict(changes) == "adequate"
        if len(changes) <= 3:
            for size in range(len(changes)):
                for part in itertools.combinations(changes, size):
                    assert verdict(list(part)) != "adequate", part

    search(check, row=ROW)


def verdict_about(found: dict[str, Any], about: str) -> bool:
    """Whether the verdict that a next step speaks of is the one that is wished for."""
    if about == "trd":
        return bool(found["trd"]["verdict"] == "met")
    if about in found["pathways"]:
        return bool(found["pathways"][about]["verdict"] == "likely_eligible")
    return next(each["verdict"] for each in found["policies"] if each["id"] == about) == "met"


def test_a_next_step_that_would_turn_a_verdict_does_and_no_part_of_it_does(search):
    def check(person, rows):
        record = CALM | person | {"trials": rows}
        found = answer(record, policies=PAYERS)
        steps = [step for step in found["next_steps"] if step.get("changes")]
        assume(steps)
        for step in steps:
            assert not verdict_about(found, step["about"])
            assert len(step["changes"]) <= 3
            for size in range(len(step["changes"]) + 1):
                for part in itertools.combinations(step["changes"], size):
                    turned = verdict_about(answer(changed(record, list(part)), policies=PAYERS), step["about"])
                    assert turned is (size == len(step["changes"])), (step["about"], part)

    few = st.lists(st.one_of(COUNTING, ROW), max_size=3)
    search(check, share=0.5, person=st.one_of(SLIGHTLY_OFF, PERSON), rows=few)


def test_a_counterfactual_says_from_what_it_starts(search):
    def check(row):
        would = answer(CALM | {"trials": [row]})["trials"][0]["would_count_if"]
        assume(would is not None and would.get("changes"))
        for change in would["changes"]:
            if change["field"] in RANGE_FIELDS:
                before = row.get(change["field"])
                exact = before[0] if isinstance(before, list) and before[0] == before[1] else before
                assert change["from"] == exact

    search(check, row=ROW, share=0.5)


def test_a_positive_bipolar_screen_is_never_eligible(search):
    def check(person, rows, by):
        person = person | {"trials": rows}
        person = with_value(person, *by)
        assert {each["verdict"] for each in answer(CALM | person)["pathways"].values()} <= {
            "needs_review",
            "contraindicated",
        }

    counting = st.lists(COUNTING, min_size=2, max_size=3)
    by = st.sampled_from(
        [("mdq_positive", True), ("episode.diagnosis", "bipolar_1"), ("episode.diagnosis", "bipolar_2")]
    )
    search(check, person=st.one_of(PERSON, st.just(CALM)), rows=st.one_of(ROWS, counting), by=by)


def test_under_eighteen_nothing_is_settled(search):
    def check(person, rows, age):
        found = answer(CALM | person | {"trials": rows, "age": age})
        assert found["trd"]["verdict"] == "undetermined"
        assert {each["verdict"] for each in found["pathways"].values()} <= {"needs_review", "contraindicated"}
        assert found["pathways"]["esketamine"]["verdict"] == "contraindicated"

    counting = st.lists(COUNTING, min_size=2, max_size=3)
    search(check, person=st.one_of(PERSON, st.just(CALM)), rows=st.one_of(ROWS, counting), age=st.integers(0, 17))


def test_a_payer_changes_no_clinical_verdict(search):
    def check(person, rows, payer):
        record = CALM | person | {"trials": rows}
        alone = answer(record)
        beside = answer(record | {"payer": payer}, policies=PAYERS)
        for part in ("trd", "trials", "pathways", "urgent", "staging"):
            assert beside[part] == alone[part]

    search(check, person=PERSON, rows=ROWS, payer=st.sampled_from([None, "tricare", "Aetna", "nobody in particular"]))


def upside_down(value: Any) -> Any:
    """The same value with the keys of every object in the other order."""
    if isinstance(value, dict):
        return {key: upside_down(value[key]) for key in reversed(value)}
    return [upside_down(each) for each in value] if isinstance(value, list) else value


def test_the_same_record_gives_the_same_bytes(search):
    def check(person, rows):
        record = CALM | person | {"trials": rows}
        parsed = IntakeRecord.model_validate(record)
        first = assess(parsed, policies=PAYERS).to_bytes()
        assert assess(IntakeRecord.model_validate(upside_down(record)), policies=PAYERS).to_bytes() == first
        stored = json.loads(json.dumps(parsed.to_json()))
        assert assess(IntakeRecord.model_validate(stored), policies=PAYERS).to_bytes() == first

    search(check, person=PERSON, rows=ROWS)


def test_another_process_with_another_hash_seed_gives_the_same_bytes():
    rows = [full_trial("Prozac"), full_trial("Lexapro", weeks_at_dose=4), full_trial("Cymbalta", dose_mg_per_day=None)]
    names = [full_trial("Prozac") | {"drug": name} for name in ("Celebrex", "Abilify", "Savella")]
    lines = "".join(
        json.dumps(record) + "\n"
        for record in (CALM | {"trials": rows + names}, CALM | {"trials": rows[:1], "safety": None, "age": None}, {})
    )
    command = [sys.executable, "-m", "clinic.cli.main", "assess", "--jsonl"]
    command += [part for payer in PAYERS for part in ("--policy", payer)]
    outputs = {
        subprocess.run(
            command, input=lines.encode(), capture_output=True, check=True, env=os.environ | {"PYTHONHASHSEED": seed}
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(outputs) == 1
    assert len(outputs.pop().splitlines()) == 3
