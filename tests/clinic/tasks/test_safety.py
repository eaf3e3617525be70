"""The table of safety answers: level, and when the call is due."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, text

from clinic.db import transaction
from clinic.tasks import safety
from clinic.tasks.models import Task, TaskLevel
from clinic.tasks.safety import SafetyAnswers, due_at, level_of
from tests.builders import TESTER, make_patient


def at(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 11, day, hour, minute, tzinfo=UTC)


MONDAY = (at(23, 16), at(23, 20)), (at(23, 21), at(24, 2))  # 8-12 and 13-18 in Los Angeles
TUESDAY = ((at(24, 16), at(25, 2)),)
OPEN = [*MONDAY, *TUESDAY]


@pytest.mark.parametrize(
    ("answers", "level"),
    [
        (SafetyAnswers(), None),
        (SafetyAnswers(item9=0, previous_item9=2), None),
        (SafetyAnswers(item9=1), TaskLevel.LIT),
        (SafetyAnswers(item9=1, previous_item9=1), TaskLevel.LIT),
        (SafetyAnswers(item9=1, previous_item9=3), TaskLevel.LIT),
        (SafetyAnswers(item9=1, previous_item9=0), TaskLevel.SAME_DAY),
        (SafetyAnswers(item9=2), TaskLevel.SAME_DAY),
        (SafetyAnswers(item9=3, previous_item9=3), TaskLevel.SAME_DAY),
        (SafetyAnswers(cssrs_intent=True), TaskLevel.URGENT),
        (SafetyAnswers(cssrs_plan=True), TaskLevel.URGENT),
        (SafetyAnswers(behavior_3mo=True), TaskLevel.URGENT),
        (SafetyAnswers(psychosis_now=True), TaskLevel.URGENT),
        (SafetyAnswers(item9=1, mania_now=True), TaskLevel.URGENT),
    ],
)
def test_level_follows_the_table(answers: SafetyAnswers, level: TaskLevel | None) -> None:
    assert level_of(answers) == level


@pytest.mark.parametrize(
    ("level", "now", "due"),
    [
        (TaskLevel.LIT, at(23, 16), at(24, 2)),  # in hours: end of the clinic day, the lunch break included
        (TaskLevel.SAME_DAY, at(23, 22), at(24, 2)),
        (TaskLevel.URGENT, at(23, 17), at(23, 18)),
        (TaskLevel.URGENT, at(24, 1, 30), at(24, 2)),  # nobody is here an hour later
        (TaskLevel.LIT, at(23, 15), at(23, 16)),  # before hours: the next opening
        (TaskLevel.SAME_DAY, at(24, 2), at(24, 16)),  # closing time itself is closed
        (TaskLevel.URGENT, at(24, 5), at(24, 16)),
        (TaskLevel.LIT, at(23, 20, 30), at(23, 21)),
    ],
)
def test_due_follows_clinic_hours(level: TaskLevel, now: datetime, due: datetime) -> None:
    assert due_at(level, now, OPEN) == due


def test_without_known_hours_a_call_is_due_within_a_day() -> None:
    assert due_at(TaskLevel.URGENT, at(23, 17), []) == at(24, 17)


def raised(answers: SafetyAnswers, source: str = "survey:1") -> TaskLevel | None:
    with transaction():
        return safety.raise_within_transaction(
            answers, source_key=source, openings=OPEN, patient_id=None, intake_id=1, location_id=None, by=TESTER
        )


def test_a_repeat_of_the_same_answer_opens_one_task(database, now) -> None:
    assert raised(SafetyAnswers(item9=2)) == raised(SafetyAnswers(item9=2)) == TaskLevel.SAME_DAY
    [task] = database.session.scalars(select(Task))
    assert (task.level, task.due_at, task.note) == ("same_day", at(24, 2), "PHQ-9 item 9: 2")


def test_a_graver_answer_takes_the_place_of_the_milder_one(database, now) -> None:
    raised(SafetyAnswers(item9=1))
    raised(SafetyAnswers(item9=1, cssrs_plan=True))
    tasks = database.session.scalars(select(Task).order_by(Task.id)).all()
    assert [(task.level, task.closed_at is None) for task in tasks] == [("lit", False), ("urgent", True)]


def test_a_milder_answer_after_a_graver_one_adds_nothing(database, now) -> None:
    raised(SafetyAnswers(cssrs_intent=True))
    raised(SafetyAnswers(item9=1))
    assert [task.level for task in database.session.scalars(select(Task))] == ["urgent"]


def test_nothing_to_worry_about_opens_nothing(database, now) -> None:
    assert raised(SafetyAnswers(item9=0)) is None
    assert database.session.scalar(select(Task)) is None


def test_another_form_opens_its_own_task(database, now) -> None:
    raised(SafetyAnswers(item9=1), "survey:1")
    raised(SafetyAnswers(item9=1), "survey:2")
    due = database.session.scalars(select(Task.due_at)).all()
    assert due == [now + timedelta(hours=8)] * 2


def test_a_clinic_that_is_open_around_the_clock_still_has_days() -> None:
    midnight = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
    spans = [(midnight + timedelta(days=n), midnight + timedelta(days=n, hours=23, minutes=59)) for n in range(7)]
    assert safety.day_closes_at(midnight + timedelta(hours=10), spans) == spans[0][1]


# -- the answer comes first -------------------------------------------------------------------------------------------


def test_an_alert_is_opened_even_where_the_hours_cannot_be_read(database, now) -> None:
    def broken() -> list[tuple[datetime, datetime]]:
        raise ValueError("no such zone")

    with transaction():
        level = safety.raise_within_transaction(
            SafetyAnswers(item9=3),
            source_key="survey:1",
            openings=broken,
            patient_id=None,
            intake_id=1,
            location_id=None,
            by=TESTER,
        )
    [task] = database.session.scalars(select(Task))
    assert (level, task.level, task.due_at - now) == (TaskLevel.SAME_DAY, "same_day", timedelta(hours=1))


def test_what_was_written_before_stays_where_no_alert_can_be_opened(database, now, monkeypatch) -> None:
    from clinic.tasks import operations

    def broken(**_: object) -> None:
        database.session.execute(text("SELECT 1 / 0"))

    monkeypatch.setattr(operations, "open_within_transaction", broken)
    patient = make_patient()
    with transaction():
        patient.payer = "the answer"
        assert raised_here(SafetyAnswers(item9=3)) == TaskLevel.SAME_DAY
    database.session.expire_all()
    assert patient.payer == "the answer"
    assert database.session.scalar(select(Task)) is None


def raised_here(answers: SafetyAnswers) -> TaskLevel | None:
    return safety.raise_within_transaction(
        answers, source_key="survey:9", openings=OPEN, patient_id=None, intake_id=1, location_id=None, by=TESTER
    )


def test_a_wish_to_talk_to_a_person_reaches_those_who_read_the_alert_once(database, now) -> None:
    raised(SafetyAnswers(item9=2))
    for _ in range(2):
        safety.add_words("survey:1", safety.WANTS_A_PERSON, by=TESTER)
    safety.add_words("survey:2", safety.WANTS_A_PERSON, by=TESTER)
    [task] = database.session.scalars(select(Task))
    assert task.note == "PHQ-9 item 9: 2; Would rather talk to a person"
