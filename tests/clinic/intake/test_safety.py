"""A safety answer: stored first, a task in the same transaction, help before anything else."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import select

from clinic import clock
from clinic.db import db
from clinic.intake import queries
from clinic.locations.models import ClinicProfile
from clinic.tasks.models import Task

SATURDAY = datetime(2026, 11, 28, 18, 0, tzinfo=UTC)  # 10:00 in Los Angeles, closed until Monday 8:00


def tasks() -> list[Task]:
    return list(db.session.scalars(select(Task).where(Task.kind == "safety").order_by(Task.id)))


def promise(on: bool) -> None:
    db.session.get_one(ClinicProfile, 1).promises_safety_call = on
    db.session.commit()


def test_item_9_at_nought_opens_nothing(person) -> None:
    person.known()
    assert person.save("phq9-9", answer="0").location.endswith("/intake/gad7-1")
    assert tasks() == []


@pytest.mark.parametrize(("answer", "level"), [("1", "lit"), ("2", "same_day"), ("3", "same_day")])
def test_item_9_is_saved_and_a_person_is_told(person, rings, answer, level) -> None:
    person.known()
    response = person.save("phq9-9", answer=answer)
    assert "/intake/safety" in response.location
    task = tasks()[0]
    assert (task.level, task.patient_id, task.intake_id) == (level, person.intake.patient_id, person.intake_id)
    assert task.due_at == datetime(2026, 11, 24, 2, 0, tzinfo=UTC)  # the clinic closes at 18:00
    assert queries.values(person.intake_id)["phq9-9"] == {"answer": answer}
    assert ("reminders.sweep_urgent", {}) in rings


def test_a_draft_of_item_9_opens_the_task_too(person) -> None:
    person.known()
    answer = person.client.post("/intake/phq9-9/autosave", data={"answer": "2", "form": "a"})
    assert answer.json["safety"] is True
    assert [task.level for task in tasks()] == ["same_day"]


def test_the_same_answer_again_opens_no_second_task(person) -> None:
    person.known()
    for _ in range(3):
        person.save("phq9-9", answer="1")
    assert len(tasks()) == 1


def test_taking_the_answer_back_leaves_the_task(person) -> None:
    person.known()
    person.save("phq9-9", answer="2")
    person.save("phq9-9", answer="0")
    assert tasks()[0].closed_at is None


def test_a_rise_since_an_earlier_day_is_the_same_day(person, at) -> None:
    person.known()
    person.save("phq9-9", answer="0")
    with at(datetime(2026, 11, 25, 18, 0, tzinfo=UTC)):
        # the patient's browser was open for less than its 12 hours: it comes back by link
        answer = operations_save(person, "1")
    assert answer == "same_day"


def operations_save(person, answer: str) -> str | None:
    from clinic.intake import operations
    from tests.builders import TESTER

    return operations.save_page(
        person.intake_id, "phq9-9", {"answer": answer}, is_complete=True, revision=9, form="b", by=TESTER
    ).level


def test_out_of_hours_it_is_due_at_the_next_opening(person) -> None:
    person.known()
    promise(True)
    person.save("phq9-9", answer="1")
    with clock.frozen(SATURDAY):
        assert operations_save(person, "2") == "same_day"
    assert tasks()[-1].due_at == datetime(2026, 11, 30, 16, 0, tzinfo=UTC)


def test_the_card_promises_a_call_only_where_the_clinic_does(person) -> None:
    person.known()
    promise(False)
    person.save("phq9-9", answer="1")
    assert "will call you" not in person.get("safety").get_data(as_text=True)
    promise(True)
    assert "A person from the clinic will call you by 6:00 pm." in person.get("safety").get_data(as_text=True)


def test_out_of_hours_the_card_says_that_nobody_reads_it(person, at, monkeypatch) -> None:
    with at(SATURDAY):
        person.client.post("/intake/start", data={"fresh": "1"})
        person.intake_id += 1
        person.known()
        promise(True)
        person.save("phq9-9", answer="3")
        html = person.get("safety").get_data(as_text=True)
    assert "Nobody at the clinic reads this before Mon, Nov 30, 8:00 am. Call or text 988 now." in html
    assert "will call you" not in html


def test_without_a_phone_number_no_call_is_promised(person) -> None:
    person.save("about", given="A", family="B", birth_month="1", birth_day="2", birth_year="1990")
    person.save("contact", email="a@example.org")
    promise(True)
    person.save("phq9-9", answer="1")
    assert "will call you" not in person.get("safety").get_data(as_text=True)


def test_the_card_shows_help_and_no_score(person) -> None:
    person.known()
    person.save("phq9-9", answer="3")
    html = person.get("safety").get_data(as_text=True)
    for help_line in ('href="tel:988"', 'href="sms:988"', 'href="tel:911"', 'href="tel:+17145550100"'):
        assert help_line in html
    assert "Your answer is saved." in html
    assert "score" not in html.lower()


def test_the_card_never_blocks_going_on(person) -> None:
    person.known()
    person.save("phq9-9", answer="3")
    assert person.client.post("/intake/safety", data={"after": "phq9-9"}).location.endswith("/intake/difficulty")


def test_six_questions_or_a_person(person) -> None:
    person.known()
    person.save("phq9-9", answer="3")
    assert person.client.post("/intake/safety", data={"next": "person"}).location.endswith("/intake/difficulty")
    assert person.client.post("/intake/safety", data={"next": "questions"}).location.endswith("/intake/cssrs-1")
    assert person.save("cssrs-1", item1="1", item2="0").location.endswith("/intake/cssrs-3")
    assert person.save("cssrs-1", item1="1", item2="1").location.endswith("/intake/cssrs-2")


@pytest.mark.parametrize(
    ("page", "answers"),
    [
        ("cssrs-2", {"item4": "1"}),
        ("cssrs-2", {"item5": "1"}),
        ("cssrs-3", {"item6": "1", "recent": "1"}),
        ("mind", {"psychosis_now": "yes"}),
        ("mind", {"mania_now": "yes"}),
    ],
)
def test_what_cannot_wait_is_due_in_an_hour(person, page, answers) -> None:
    person.known()
    response = person.save(page, **answers)
    assert "/intake/safety" in response.location
    task = tasks()[-1]
    assert (task.level, task.due_at) == ("urgent", datetime(2026, 11, 23, 19, 0, tzinfo=UTC))


@pytest.mark.parametrize(
    ("page", "answers"),
    [("cssrs-2", {"item3": "1"}), ("cssrs-3", {"item6": "1", "recent": "0"}), ("mind", {"psychosis_history": "yes"})],
)
def test_other_answers_open_no_task_of_their_own(person, page, answers) -> None:
    person.known()
    assert "/intake/safety" not in person.save(page, **answers).location
    assert tasks() == []


def test_a_graver_answer_takes_the_place_of_the_milder_task(person) -> None:
    person.known()
    person.save("phq9-9", answer="1")
    person.save("cssrs-2", item4="1")
    assert [(task.level, task.closed_at is None) for task in tasks()] == [("lit", False), ("urgent", True)]


def test_in_two_tabs_the_task_opens_although_the_page_is_asked_about(person) -> None:
    person.known()
    person.client.post("/intake/mind", data={"psychosis_now": "no", "form": "one", "revision": "0"})
    answer = person.client.post("/intake/mind", data={"psychosis_now": "yes", "form": "two", "revision": "0"})
    assert answer.status_code == 409
    assert [task.level for task in tasks()] == ["urgent"]


def test_a_task_from_before_the_person_was_known_gets_the_name(person) -> None:
    person.save("phq9-9", answer="2")
    assert tasks()[0].patient_id is None
    person.known()
    db.session.expire_all()
    assert tasks()[0].patient_id == person.intake.patient_id


def test_the_card_stands_hidden_in_the_page_of_item_9(person) -> None:
    html = person.get("phq9-9").get_data(as_text=True)
    assert "data-item9" in html
    assert "data-safety hidden" in html
