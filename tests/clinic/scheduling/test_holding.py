"""Places kept for somebody: nobody else gets them, and they never outlive their time."""

from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from clinic import clock
from clinic.db import db
from clinic.errors import Expired, SlotTaken
from clinic.scheduling import appointments, holding, operations, queries, sweeping
from clinic.scheduling.models import Hold, TreatmentSession
from clinic.scheduling.operations import Offer
from clinic.scheduling.wishes import CourseWish
from tests.builders import TESTER, make_decision, make_patient
from tests.clinic.scheduling.conftest import Scene

MORNING = CourseWish("itbs_left", earliest_start=date(2026, 11, 24), daily_window=(480, 570))


def someone() -> int:
    patient = make_patient()
    make_decision(patient)
    db.session.commit()
    return patient.id


def held(scene: Scene, wish: CourseWish = MORNING) -> Offer:
    return operations.propose_courses(scene.patient.id, wish, hold=True, by=TESTER)


def propose(patient_id: int, wish: CourseWish = MORNING) -> tuple[UUID, ...]:
    return operations.propose_courses(patient_id, wish, by=TESTER).proposal_ids


def starts(proposal_id: UUID) -> list[str]:
    return [s["starts_at"] for s in queries.proposal(proposal_id).plan["sessions"]]


def states() -> dict[str, int]:
    rows = db.session.execute(text("SELECT state, count(*) FROM treatment_sessions GROUP BY state"))
    return {row.state: row.count for row in rows}


def test_a_held_plan_takes_its_places_before_it_is_booked(scene: Scene, now: datetime) -> None:
    offer = held(scene)
    assert offer.held_until == now + timedelta(minutes=10)
    assert states() == {"held": 36}
    assert set(starts(offer.proposal_ids[0])).isdisjoint(starts(propose(someone())[0]))


def test_what_is_held_is_booked_in_place(scene: Scene) -> None:
    offer = held(scene)
    ids = {row.id for row in db.session.query(TreatmentSession)}
    booked = operations.book_course(scene.patient.id, proposal_id=offer.proposal_ids[0], by=TESTER)
    rows = queries.sessions(booked.course_id)
    assert {row.id for row in rows} == ids
    assert {(row.state, row.hold_id, row.revision) for row in rows} == {("booked", None, 0)}
    assert db.session.query(Hold).one().outcome == "booked"
    again = operations.book_course(scene.patient.id, proposal_id=offer.proposal_ids[0], by=TESTER)
    assert (again.course_id, again.is_new) == (booked.course_id, False)


def test_nobody_books_what_is_held_for_another(scene: Scene) -> None:
    other = someone()
    theirs = propose(other)[0]
    held(scene)
    with pytest.raises(SlotTaken):
        operations.book_course(other, proposal_id=theirs, by=TESTER)


def test_a_hold_that_ran_out_stands_in_nobodys_way(scene: Scene, now: datetime) -> None:
    other = someone()
    mine = held(scene).proposal_ids[0]
    with clock.frozen(now + timedelta(minutes=10)):
        theirs = propose(other)[0]
        assert starts(theirs) == starts(mine)
        assert operations.book_course(other, proposal_id=theirs, by=TESTER).is_new
    assert states() == {"booked": 36}


def test_a_single_session_takes_a_place_whose_hold_ran_out(scene: Scene, now: datetime) -> None:
    other = someone()
    booked = operations.book_course(other, proposal_id=propose(other)[0], by=TESTER)
    row = queries.sessions(booked.course_id)[5]
    kept = [datetime.fromisoformat(x).astimezone(UTC) for x in starts(held(scene).proposal_ids[0])]
    target = next(x for x in kept if x.date() == row.starts_at.date())
    with pytest.raises(SlotTaken):
        appointments.move_session(row.id, starts_at=target, by=TESTER)
    with clock.frozen(now + timedelta(minutes=11)):
        appointments.move_session(row.id, starts_at=target, by=TESTER)
    assert queries.session(row.id).starts_at == target


def test_a_plan_whose_hold_ran_out_is_booked_as_any_other(scene: Scene, now: datetime) -> None:
    offer = held(scene)
    with clock.frozen(now + timedelta(minutes=12)):
        assert operations.book_course(scene.patient.id, proposal_id=offer.proposal_ids[0], by=TESTER).is_new
    assert states() == {"booked": 36}


def test_the_sweep_ends_what_ran_out_and_only_that(scene: Scene, now: datetime) -> None:
    held(scene)
    version = scene.site.schedule_version
    assert sweeping.sweep() == 0
    with clock.frozen(now + timedelta(minutes=10)):
        assert sweeping.sweep() == 1
        assert sweeping.sweep() == 0
    assert states() == {}
    assert db.session.query(Hold).one().outcome == "expired"
    db.session.refresh(scene.site)
    assert scene.site.schedule_version > version


def test_one_plan_is_held_for_a_person_at_a_time(scene: Scene) -> None:
    first, second, *_ = held(scene, CourseWish("itbs_left")).proposal_ids
    holding.hold_proposal(second, by=TESTER)
    rows = db.session.query(TreatmentSession).order_by(TreatmentSession.starts_at).all()
    assert [row.starts_at.isoformat() for row in rows] == sorted(starts(second))
    assert sorted(hold.outcome or "" for hold in db.session.query(Hold)) == ["", "let_go"]
    assert first != second


def test_a_held_plan_gives_way_to_another_of_the_same_person(scene: Scene) -> None:
    _, second, *_ = held(scene).proposal_ids
    operations.book_course(scene.patient.id, proposal_id=second, by=TESTER)
    assert states() == {"booked": 36}
    assert [hold.outcome for hold in db.session.query(Hold)] == ["let_go"]


def test_a_new_question_lets_the_last_hold_go(scene: Scene) -> None:
    mine = held(scene).proposal_ids[0]
    assert starts(propose(scene.patient.id)[0]) == starts(mine)
    assert states() == {}


def test_a_hold_is_let_go_once(scene: Scene) -> None:
    held(scene)
    hold_id = db.session.query(Hold).one().id
    assert holding.let_go(hold_id, by=TESTER)
    assert not holding.let_go(hold_id, by=TESTER)


def test_an_old_plan_is_not_held(scene: Scene, now: datetime) -> None:
    proposal_id = propose(scene.patient.id)[0]
    with clock.frozen(now + timedelta(minutes=15)), pytest.raises(Expired):
        holding.hold_proposal(proposal_id, by=TESTER)


def test_a_hold_is_no_date_of_the_patient_and_stands_on_no_list(scene: Scene) -> None:
    held(scene)
    assert queries.visits_of_patient(scene.patient.id) == []
    assert queries.day_list(scene.site.id, date(2026, 11, 24)) == []
