"""Taking back the last operation: all of it, only one's own, only while nobody changed it and the place is free."""

from datetime import date, datetime, timedelta
from typing import Any

import pytest

from clinic import clock
from clinic.audit import Actor, system
from clinic.db import db
from clinic.errors import AlreadyOver, Conflict, Expired, NotFound, SlotTaken
from clinic.scheduling import appointments, making_up, operations, queries, steps, undoing, visits
from clinic.scheduling.models import ScheduleStep, TreatmentSession
from clinic.scheduling.visits import NewVisit
from clinic.scheduling.wishes import CourseWish
from tests.builders import TESTER, make_decision, make_patient, make_staff
from tests.clinic.scheduling.conftest import Scene


def book(scene: Scene, patient_id: int | None = None) -> list[TreatmentSession]:
    wish = CourseWish("itbs_left", earliest_start=date(2026, 11, 24), daily_window=(540, 700))
    offer = operations.propose_courses(patient_id or scene.patient.id, wish, by=TESTER)
    booked = operations.book_course(patient_id or scene.patient.id, proposal_id=offer.proposal_ids[0], by=TESTER)
    return list(queries.sessions(booked.course_id))


def values(row: TreatmentSession) -> dict[str, Any]:
    db.session.refresh(row)
    return {name: getattr(row, name) for name in steps.COLUMNS}


def undo(by: Actor = TESTER) -> str:
    step = undoing.last_step(by)
    assert step is not None
    return undoing.undo(step.id, by=by)


def test_a_move_is_taken_back_and_told_again(scene: Scene) -> None:
    row = book(scene)[5]
    old = values(row)
    appointments.move_session(row.id, starts_at=row.starts_at + timedelta(minutes=60), by=TESTER)
    assert undo() == "moved"
    assert values(row) == old
    assert row.revision == 2


@pytest.mark.parametrize("change", ["arrive", "complete", "miss"])
def test_what_was_pressed_by_mistake_is_taken_back(scene: Scene, change: str) -> None:
    row = book(scene)[0]
    old = values(row)
    with clock.frozen(row.starts_at):
        getattr(appointments, f"{change}_session")(row.id, by=TESTER)
        undo()
    assert values(row) == old
    assert queries.course(row.course_id or 0).state == "booked"
    assert row.revision == (1 if change == "miss" else 0)  # only what the patient was told of


def test_a_cancelled_session_comes_back_to_its_place(scene: Scene) -> None:
    row = book(scene)[5]
    old = values(row)
    appointments.cancel_session(row.id, by=TESTER)
    undo()
    assert values(row) == old


def test_a_cancelled_course_comes_back_whole(scene: Scene) -> None:
    rows = book(scene)
    course = queries.course(rows[0].course_id or 0)
    for act in (operations.cancel_course, operations.pause_course):
        act(course.id, reason="by mistake", by=TESTER)
        undo()
        db.session.refresh(course)
        assert (course.state, course.ended_at) == ("booked", None)
        assert {row.state for row in queries.sessions(course.id)} == {"booked"}


def test_a_visit_and_a_make_up_are_taken_back_by_cancelling(scene: Scene) -> None:
    staff = make_staff("therapist")
    db.session.commit()
    visit_id = visits.book_visit(
        NewVisit(
            patient_id=scene.patient.id,
            kind="consult",
            staff_id=staff.id,
            location_id=scene.site.id,
            starts_at=datetime.fromisoformat("2026-11-24T14:00-08:00"),
            minutes=30,
        ),
        by=TESTER,
    )
    undo()
    assert queries.session(visit_id).state == "cancelled"
    rows = book(scene)
    appointments.cancel_session(rows[9].id, by=TESTER)
    place = making_up.make_ups(rows[0].course_id or 0).places[0]
    added = making_up.add_make_up(
        rows[0].course_id or 0, starts_at=place.starts_at, device_id=place.device_id, by=TESTER
    )
    undo()
    assert queries.session(added).state == "cancelled"


def test_a_place_that_was_taken_since_is_not_taken_back(scene: Scene) -> None:
    other = make_patient()
    make_decision(other)
    db.session.commit()
    mine, theirs = book(scene), book(scene, other.id)
    old = mine[5].starts_at
    appointments.move_session(mine[5].id, starts_at=old + timedelta(minutes=90), by=TESTER)
    twin = next(row for row in theirs if row.local_on == mine[5].local_on)
    appointments.move_session(twin.id, starts_at=old, by=system("somebody"))
    with pytest.raises(SlotTaken, match="Nothing was taken back"):
        undo()
    assert queries.session(mine[5].id).starts_at == old + timedelta(minutes=90)


def test_what_somebody_changed_since_is_not_taken_back(scene: Scene) -> None:
    row = book(scene)[5]
    appointments.move_session(row.id, starts_at=row.starts_at + timedelta(minutes=60), by=TESTER)
    appointments.confirm_session(row.id, by=system("somebody"))
    with pytest.raises(Conflict, match="changed this since"):
        undo()


def test_an_operation_is_taken_back_once_within_two_minutes(scene: Scene, now: datetime) -> None:
    row = book(scene)[5]
    appointments.cancel_session(row.id, by=TESTER)
    step = undoing.last_step(TESTER)
    assert step is not None
    assert undoing.last_step(system("somebody")) is None
    with clock.frozen(now + timedelta(minutes=2)):
        assert undoing.last_step(TESTER) is None
        with pytest.raises(Expired):
            undoing.undo(step.id, by=TESTER)
    undo()
    assert undoing.last_step(TESTER) is None
    with pytest.raises(AlreadyOver):
        undoing.undo(step.id, by=TESTER)
    with pytest.raises(NotFound):
        undoing.undo(999_999, by=TESTER)


def test_a_session_that_was_made_up_does_not_come_back(scene: Scene) -> None:
    rows = book(scene)
    appointments.cancel_session(rows[9].id, by=TESTER)
    place = making_up.make_ups(rows[0].course_id or 0).places[0]
    making_up.add_make_up(rows[0].course_id or 0, starts_at=place.starts_at, device_id=place.device_id, by=TESTER)
    with pytest.raises(Conflict, match="make-up was booked"):
        undoing.take_back(rows[9].id, by=TESTER)
    assert queries.session(rows[9].id).state == "cancelled"


def test_steps_are_dropped_after_a_day(scene: Scene, now: datetime) -> None:
    appointments.cancel_session(book(scene)[5].id, by=TESTER)
    with clock.frozen(now + timedelta(days=1)):
        undoing.forget_old()
    assert db.session.query(ScheduleStep).count() == 0
