"""A fact that is added after sending makes a new sent intake; nothing that was sent is edited."""

from typing import Any

import pytest
from sqlalchemy import select

from clinic import audit
from clinic.db import db, transaction
from clinic.errors import Conflict, Invalid
from clinic.intake import amending, facts, operations, queries
from clinic.intake.amending import Change
from clinic.intake.models import Amendment, AmendmentSource, Intake
from clinic.tasks.models import Task
from tests.builders import TESTER, eligible_record, make_patient


def change(path: str, value: Any, source: str = "patient") -> Change:
    return Change(path, value, AmendmentSource(source))


def amend(patient_id: int, *changes: Change, **more: Any) -> Intake:
    return queries.get(amending.amend(patient_id, changes, reason="asked by phone", by=TESTER, **more))


def send_record(**overrides: Any) -> Intake:
    patient = make_patient()
    with transaction() as after_commit:
        return operations.add_sent_within_transaction(
            patient, eligible_record(**overrides), by=TESTER, after_commit=after_commit
        )


def open_reviews() -> list[int | None]:
    return list(
        db.session.scalars(select(Task.intake_id).where(Task.kind == "review_intake", Task.closed_at.is_(None)))
    )


@pytest.fixture
def sent(person) -> Intake:
    """A form with two medicines, the second without a dose."""
    person.known()
    for drug, dose in (("Zoloft", "100"), ("Effexor", "")):
        key = person.add_medicine(drug)
        person.save(f"medicines/{key}/1", drug=drug, dose=dose, weeks="8")
    person.send()
    return person.intake


def test_a_fact_makes_a_new_sent_intake_and_the_older_stays(sent, rings) -> None:
    before = sent.record
    found = amend(sent.patient_id, change("mdq_positive", False, "score"))
    assert found.record == {**before, "id": f"intake-{found.id}", "mdq_positive": False}
    assert (found.state, found.corrects_id, found.reason) == ("submitted", sent.id, "asked by phone")
    assert (queries.get(sent.id).state, queries.get(sent.id).record) == ("superseded", before)
    assert ("eligibility.assess", {"intake_id": found.id}) in rings


def test_pages_and_medicine_rows_go_with_it(sent) -> None:
    found = amend(sent.patient_id, change("mdq_positive", False))
    assert queries.values(found.id) == queries.values(sent.id)
    assert list(queries.trial_rows(found.id)) == list(queries.trial_rows(sent.id))


def test_a_medicine_is_kept_by_its_row(sent) -> None:
    found = amend(sent.patient_id, change("trials[1].dose_mg_per_day", 150))
    row = db.session.scalars(select(Amendment).where(Amendment.intake_id == found.id)).one()
    assert (row.trial_key, row.path) == (list(queries.trial_rows(found.id))[1], "dose_mg_per_day")
    assert found.record["trials"][1]["dose_mg_per_day"] == 150


def test_a_fact_about_a_row_that_was_taken_off_is_passed_over() -> None:
    record = {"trials": []}
    kept = [facts.Fact("gone", "dose_mg_per_day", 5), facts.Fact("b", "weeks", 7)]
    assert facts.laid(record, kept, {"b": {"drug": "x"}}) == {"trials": [{"drug": "x", "weeks": 7}]}


def test_none_takes_a_fact_back(sent) -> None:
    found = amend(sent.patient_id, change("trials[0].dose_mg_per_day", None))
    assert "dose_mg_per_day" not in found.record["trials"][0]


def test_earlier_facts_are_kept_and_the_later_one_counts(sent) -> None:
    amend(sent.patient_id, change("audit_c", 2), change("age", 40))
    found = amend(sent.patient_id, change("audit_c", 5))
    assert (found.record["audit_c"], found.record["age"]) == (5, 40)


def test_a_record_that_was_sent_whole_is_the_base(database, now, rings) -> None:
    sent = send_record()
    found = amend(sent.patient_id, change("trials[1].weeks_at_dose", [3, 5]), change("safety.bp", [150, 95]))
    assert sent.base_record == found.base_record == eligible_record()
    expected = eligible_record()
    expected["trials"][1]["weeks_at_dose"] = [3, 5]
    expected["safety"]["bp"] = [150, 95]
    assert found.record == expected
    again = amend(sent.patient_id, change("mdq_positive", True))
    assert again.record == {**expected, "mdq_positive": True}


def test_the_history_itself_may_be_told_later_and_then_amended(database, now, rings) -> None:
    sent = send_record(trials=None)
    amend(sent.patient_id, change("trials", [{"drug": "Zoloft"}, {"drug": "Prozac"}]))
    found = amend(sent.patient_id, change("trials[1].weeks", 6), change("trials[2].drug", "Lexapro"))
    assert found.record["trials"] == [{"drug": "Zoloft"}, {"drug": "Prozac", "weeks": 6}, {"drug": "Lexapro"}]


@pytest.mark.parametrize("path", ["", "Trials", "trials[9].drug", "age.more", "a..b", "trials[x]", "x" * 121])
def test_what_is_no_fact_of_the_record_is_refused_by_name(database, now, rings, path) -> None:
    sent = send_record()
    with pytest.raises(Invalid) as refused:
        amend(sent.patient_id, change(path, 1))
    assert refused.value.details["fields"][0] == path[:120] or path.startswith(str(refused.value.details["fields"][0]))
    assert queries.latest_submitted(sent.patient_id).id == sent.id


def test_medicines_that_stand_in_rows_are_not_replaced_as_a_whole(sent) -> None:
    with pytest.raises(Invalid) as refused:
        amend(sent.patient_id, change("trials", 1))
    assert refused.value.details["fields"] == ["trials"]
    assert queries.latest_submitted(sent.patient_id).id == sent.id


def test_what_the_caller_refuses_changes_nothing(sent) -> None:
    def check(record: dict[str, Any]) -> None:
        raise Invalid("no", fields=["$.age"])

    with pytest.raises(Invalid):
        amend(sent.patient_id, change("age", "old"), check=check)
    assert queries.latest_submitted(sent.patient_id).id == sent.id


def test_without_a_form_there_is_nothing_to_amend(database, now, rings) -> None:
    with pytest.raises(Conflict):
        amend(make_patient().id, change("age", 40))


def test_the_open_review_moves_to_the_new_intake(sent) -> None:
    found = amend(sent.patient_id, change("age", 40))
    closed = db.session.scalars(select(Task).where(Task.intake_id == sent.id)).one()
    assert (closed.outcome, open_reviews()) == ("superseded", [found.id])


def test_a_closed_review_stays_closed_until_an_assessment_says_something_else(sent) -> None:
    for task in db.session.scalars(select(Task).where(Task.closed_at.is_(None))):
        task.closed_at, task.outcome = task.due_at, "seen"
    amend(sent.patient_id, change("age", 30))
    assert open_reviews() == []


def test_the_audit_names_who_and_no_answer(sent) -> None:
    found = amend(sent.patient_id, change("safety.current_substance_use", True))
    events = select(audit.AuditEvent).filter_by(entity="intakes", entity_id=str(found.id), action="amended")
    event = db.session.scalars(events).one()
    assert (event.actor_key, event.reason) == ("tests", "asked by phone")
    assert event.detail == {"intake_id": sent.id, "facts": 1, "sources": ["patient"]}
