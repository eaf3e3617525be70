"""Missing facts are asked of the patient once, and what comes back is part of the record, assessed anew."""

import copy
import importlib
from typing import Any

import pytest
from sqlalchemy import select

from clinic.db import db
from clinic.eligibility import answers, ask_forms, asking, operations, queries
from clinic.eligibility.engine import IntakeRecord, assess, safety
from clinic.errors import AlreadyOver, Conflict, Invalid
from clinic.intake import amending, facts
from clinic.intake import queries as intakes
from clinic.intake.amending import Change
from clinic.intake.models import AmendmentSource
from clinic.patients import queries as patients
from clinic.patients.models import LinkRequest
from clinic.tasks.models import Task
from tests.builders import TESTER, eligible_record, make_location, make_patient, make_staff

NINE = [2, 2, 2, 3, 2, 2, 2, 1, 0]


def without(path: str) -> dict[str, Any]:
    """A history that lacks one fact, and is otherwise told."""
    record = eligible_record()
    if path.endswith(".bipolar_mania"):
        return record
    facts.lay(record, path, None)
    return record


def asked(record: dict[str, Any]) -> set[str]:
    return {ask.field for ask in assess(IntakeRecord.model_validate(record)).ask}


ROUND_TRIPS: list[tuple[str, dict[str, Any], list[tuple[str, Any]]]] = [
    ("trials[0].dose_mg_per_day", {"answer": "100-150"}, [("trials[0].dose_mg_per_day", [100, 150])]),
    ("trials[0].weeks_at_dose", {"answer": "2 months"}, [("trials[0].weeks_at_dose", [8, 9])]),
    ("trials[1].adherence", {"answer": "2_3"}, [("trials[1].adherence", "partial")]),
    ("trials[1].outcome", {"answer": "partial"}, [("trials[1].outcome", "partial")]),
    ("trials[0].in_current_episode", {"answer": "no"}, [("trials[0].in_current_episode", False)]),
    (
        "trials[0].purpose",
        {"answer": "add_on"},
        [("trials[0].purpose", "depression"), ("trials[0].role", "add_on")],
    ),
    ("trials[0].role", {"answer": "sleep"}, [("trials[0].purpose", "sleep")]),
    ("trials[0].drug", {"answer": "other", "other": "Zoloft"}, [("trials[0].drug", "Zoloft")]),
    ("trials", {"name0": "Zoloft", "name2": "Prozac"}, [("trials", [{"drug": "Zoloft"}, {"drug": "Prozac"}])]),
    ("trials", {"none": "y"}, [("trials", [])]),
    ("episode.diagnosis", {"answer": "mdd"}, [("episode.diagnosis", "mdd")]),
    ("episode.psychotic_features", {"answer": "no"}, [("episode.psychotic_features", False)]),
    ("episode.current_mania", {"answer": "no"}, [("episode.current_mania", False)]),
    ("age", {"answer": "46"}, [("age", 46)]),
    ("audit_c", {"audit1": "2", "audit2": "0", "audit3": "1"}, [("audit_c", 3)]),
    ("mdq_positive", {"answer": "no"}, [("mdq_positive", False)]),
    (
        "cssrs",
        {"item1": "1", "item2": "0", "item4": "1", "item6": "0"},
        [
            ("cssrs.wish_dead", True),
            ("cssrs.thoughts", False),
            ("cssrs.behaviour_lifetime", False),
            ("cssrs.behaviour_3mo", False),
        ],
    ),
    ("safety.bp", {"upper": "118", "lower": "76"}, [("safety.bp", [118, 76])]),
    ("safety.liver_impairment", {"answer": "mild"}, [("safety.liver_impairment", "mild")]),
    *(
        (f"safety.{name}", {"answer": "no"}, [(f"safety.{name}", False)])
        for name in (
            "metal_in_head",
            "cochlear_implant",
            "pacemaker_or_icd",
            "vns_or_dbs",
            "seizure_history",
            "stroke_or_brain_lesion",
            "pregnant",
            "current_substance_use",
            "aneurysm_or_avm",
            "intracerebral_haemorrhage",
            "psychosis_history",
        )
    ),
]


@pytest.mark.parametrize(
    ("path", "typed", "told"), ROUND_TRIPS, ids=[f"{row[0]}-{n}" for n, row in enumerate(ROUND_TRIPS)]
)
def test_an_answer_becomes_a_fact_and_the_question_is_gone(path, typed, told) -> None:
    record = without(path)
    if path == "trials[0].drug":
        record["trials"][0]["drug"] = "Zolxyz"
    assert path in asked(record)
    field = answers.field_of(path, by_clinician=True)
    assert field is not None
    assert answers.facts_of(field, typed) == told
    for where, value in told:
        facts.lay(record, where, value)
    assert path not in asked(record)


def every_question() -> set[str]:
    """Every fact that the engine may ask for."""
    module = importlib.import_module("clinic.eligibility.engine.assess")  # the function of that name hides it
    fields = {f"trials[0].{name}" for name in module._TRIAL_QUESTIONS}
    fields |= {row[0] for row in module._COULD_CHANGE} | {row[0] for row in module._POLICY_FIELDS.values()}
    return fields | {f"safety.{name}" for name in safety.QUESTIONS} | {"trials", "episode.diagnosis", "sex"}


def test_every_fact_that_the_engine_asks_for_has_an_input(app) -> None:
    with app.test_request_context():
        for path in sorted(every_question()):
            field = answers.field_of(path, by_clinician=True)
            assert field is not None, path
            assert ask_forms.parts_of(0, asking.Question(field, "?", "Zoloft")), path


@pytest.mark.parametrize("typed", [{}, {"answer": "not_sure"}, {"not_sure": "y", "answer": "5"}, {"answer": "\x00"}])
def test_not_sure_and_nothing_tell_nothing(typed) -> None:
    for kind in sorted(answers.KINDS):
        field = answers.Field("trials[0].x", kind, "x", 0)
        assert answers.facts_of(field, typed) == [] or kind in ("drug",), kind


def test_ratings_and_hidden_items_are_not_for_the_patient() -> None:
    assert answers.field_of("mdq_positive") is None
    assert answers.field_of("episode.severity") is None
    assert answers.field_of("trials[0].nonsense") is None


# -- with a database ------------------------------------------------------------------------------------------------


@pytest.fixture
def gaps(database, now, rings) -> Any:
    """A person whose history lacks the second dose, the weeks of the first and the blood pressure."""
    record = eligible_record()
    del record["trials"][1]["dose_mg_per_day"]
    del record["trials"][0]["weeks_at_dose"]
    del record["safety"]["bp"]
    patient = make_patient(preferred_location_id=make_location().id)
    _, assessment_id = operations.submit_record(patient.id, record, by=TESTER)
    return queries.assessment(assessment_id)


DOSE, WEEKS, PRESSURE = "trials[1].dose_mg_per_day", "trials[0].weeks_at_dose", "safety.bp"


def send(assessment: Any, *fields: str, **more: Any) -> Any:
    staff = make_staff("prescriber")
    ask_id = asking.send_ask(
        assessment.id, fields or (DOSE, WEEKS, PRESSURE), more.pop("note", ""), staff_id=staff.id, by=TESTER, **more
    )
    return asking.get(ask_id)


def answer(ask: Any, **values: str) -> None:
    keep(ask, **values)
    asking.answer_ask(ask.id, by=TESTER)


def keep(ask: Any, step: int = 1, form: str = "a", revision: int = 0, **values: str) -> Any:
    return asking.save_ask_draft(
        ask.id, step, values, fields=list(values), is_complete=True, revision=revision, form=form, by=TESTER
    )


def number_of(ask: Any, path: str) -> int:
    return [question.field.path for question in asking.questions_of(ask)].index(path)


def kinds(patient_id: int) -> list[str]:
    return sorted(db.session.scalars(select(Task.kind).where(Task.patient_id == patient_id, Task.closed_at.is_(None))))


def test_sending_makes_a_link_and_a_call_for_later(gaps) -> None:
    ask = send(gaps, note="See you soon.")
    wish = db.session.scalars(select(LinkRequest)).one()
    assert (wish.purpose, wish.ask_id, wish.patient_id) == ("ask", ask.id, gaps.patient_id)
    call = db.session.scalars(select(Task).where(Task.kind == "ask_patient")).one()
    assert (call.for_role, call.due_at.isoformat()) == ("front_desk", "2026-11-26T02:00:00+00:00")
    assert (ask.note, len(ask.questions)) == ("See you soon.", 3)


def test_the_answers_are_facts_of_the_present_record_and_assessed(gaps) -> None:
    ask = send(gaps)
    answer(
        ask,
        **{
            f"q{number_of(ask, DOSE)}_answer": "225",
            f"q{number_of(ask, WEEKS)}_answer": "8",
            f"q{number_of(ask, PRESSURE)}_upper": "118",
            f"q{number_of(ask, PRESSURE)}_lower": "76",
        },
    )
    made = queries.present_assessment(gaps.patient_id)
    assert (made.record, made.trd, made.tms) == (eligible_record(), "met", "likely_eligible")
    assert queries.assessment(gaps.id).superseded_at is not None
    assert asking.get(ask.id).state == "answered"
    assert kinds(gaps.patient_id) == ["clinical_review", "review_intake"]
    sources = {row.source for row in intakes.amendments(made.intake_id)}
    assert sources == {"patient"}


def test_all_not_sure_is_an_answer_too_and_changes_no_record(gaps) -> None:
    ask = send(gaps)
    answer(ask, q0_not_sure="y")
    assert queries.present_assessment(gaps.patient_id).id == gaps.id
    assert asking.get(ask.id).state == "answered"
    assert "clinical_review" in kinds(gaps.patient_id)


def test_answered_twice_is_answered_once(gaps) -> None:
    ask = send(gaps, PRESSURE)
    answer(ask, q0_upper="118", q0_lower="76")
    made = queries.present_assessment(gaps.patient_id)
    asking.answer_ask(ask.id, by=TESTER)
    assert queries.present_assessment(gaps.patient_id).id == made.id
    with pytest.raises(AlreadyOver):
        keep(ask, q0_upper="200")


def test_one_form_is_open_and_a_new_one_replaces_it_after_a_look(gaps) -> None:
    first = send(gaps, DOSE)
    with pytest.raises(Conflict) as refused:
        send(gaps, WEEKS)
    assert refused.value.details["ask_id"] == first.id
    second = send(gaps, WEEKS, replaces=first.id)
    assert (asking.get(first.id).state, asking.open_of(gaps.patient_id).id) == ("withdrawn", second.id)
    with pytest.raises(AlreadyOver):
        asking.answer_ask(first.id, by=TESTER)


def test_taken_back_questions_call_nobody(gaps) -> None:
    ask = send(gaps)
    asking.withdraw_ask(ask.id, by=TESTER)
    assert "ask_patient" not in kinds(gaps.patient_id)
    with pytest.raises(AlreadyOver):
        asking.withdraw_ask(ask.id, by=TESTER)


def test_only_what_is_missing_can_be_asked(gaps) -> None:
    with pytest.raises(Invalid):
        send(gaps, "safety.metal_in_head")
    with pytest.raises(Invalid):
        send(gaps, "mdq_positive")


def test_a_person_who_cannot_be_reached_is_not_asked(gaps) -> None:
    patient = patients.lock(gaps.patient_id)
    patient.email = patient.phone = patient.email_blind = patient.phone_blind = None
    db.session.flush()
    with pytest.raises(Conflict):
        send(gaps)
    assert asking.open_of(gaps.patient_id) is None


def test_a_record_that_changed_meanwhile_still_takes_the_answer(gaps) -> None:
    ask = send(gaps, DOSE)
    change = Change("mdq_positive", True, AmendmentSource.SCORE)
    intake_id = amending.amend(gaps.patient_id, [change], reason="score", by=TESTER)
    operations.assess_intake(intake_id, by=TESTER)
    answer(ask, q0_answer="225")
    record = queries.present_assessment(gaps.patient_id).record
    assert (record["mdq_positive"], record["trials"][1]["dose_mg_per_day"]) == (True, 225)


def test_a_medicine_that_is_another_one_by_now_takes_no_answer(gaps) -> None:
    ask = send(gaps, DOSE)
    record = copy.deepcopy(gaps.record)
    record["trials"].reverse()
    operations.submit_record(gaps.patient_id, record, by=TESTER)
    answer(ask, q0_answer="225")
    assert [row.get("dose_mg_per_day") for row in queries.present_assessment(gaps.patient_id).record["trials"]] == [
        None,
        150,
    ]


def test_the_second_tab_is_told_what_the_first_kept(gaps) -> None:
    ask = send(gaps)
    keep(ask, form="one", q0_answer="8")
    clash = keep(ask, form="two", q0_answer="4").clash
    assert clash is not None
    assert asking.values_kept(asking.get(ask.id)) == {"q0_answer": "8"}


@pytest.fixture
def screener(database, now, rings) -> Any:
    record = eligible_record()
    del record["cssrs"]
    patient = make_patient(preferred_location_id=make_location().id)
    _, assessment_id = operations.submit_record(patient.id, record, by=TESTER)
    return queries.assessment(assessment_id)


def test_a_grave_answer_is_told_when_it_is_kept_and_only_once(screener, rings) -> None:
    ask = send(screener, "cssrs")
    saved = keep(ask, q0_item2="1", q0_item5="1")
    assert saved.level == "urgent"
    told = select(Task).where(Task.kind == "safety", Task.patient_id == screener.patient_id)
    assert len(db.session.scalars(told).all()) == 1
    asking.answer_ask(ask.id, by=TESTER)
    assert len(db.session.scalars(told).all()) == 1
    assert queries.present_assessment(screener.patient_id).is_urgent
    assert ("reminders.sweep", {}) in rings


def test_a_later_fact_does_not_tell_the_same_grave_answer_again(database, now, rings) -> None:
    record = eligible_record(phq9=[*NINE[:8], 2])
    patient = make_patient()
    operations.submit_record(patient.id, record, by=TESTER)
    change = Change("audit_c", 2, AmendmentSource.CLINICIAN)
    intake_id = amending.amend(patient.id, [change], reason="told", by=TESTER)
    operations.assess_intake(intake_id, by=TESTER)
    assert len(db.session.scalars(select(Task).where(Task.kind == "safety")).all()) == 1


def test_a_clinician_enters_a_fact_with_a_reason(gaps) -> None:
    staff = make_staff("prescriber")
    more = {"staff_id": staff.id, "by": TESTER}
    made = asking.enter_fact(gaps.id, "episode.diagnosis", {"q0_answer": "bipolar_2"}, reason="interview", **more)
    found = queries.assessment(made)
    assert (found.record["episode"]["diagnosis"], found.reason) == ("bipolar_2", "interview")
    row = intakes.amendments(found.intake_id)[0]
    assert (row.source, row.amended_by) == ("clinician", staff.id)
    with pytest.raises(Conflict):
        asking.enter_fact(gaps.id, "age", {"q0_answer": "40"}, reason="interview", **more)
    with pytest.raises(Invalid):
        asking.enter_fact(made, "age", {"q0_answer": "40"}, reason=" ", **more)
    with pytest.raises(Invalid):
        asking.enter_fact(made, "age", {"q0_answer": "old"}, reason="interview", **more)
