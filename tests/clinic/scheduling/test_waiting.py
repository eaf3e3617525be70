"""The waiting list: what comes free is offered to whom it helps most, held, answered once."""

from dataclasses import replace
from datetime import date, datetime, timedelta

import pytest

from clinic import clock
from clinic.db import db
from clinic.errors import AlreadyOver, Conflict, DecisionRequired, Expired, Invalid
from clinic.scheduling import operations, queries, sweeping, waiting
from clinic.scheduling.models import TreatmentSession, WaitlistEntry
from clinic.scheduling.wishes import CourseWish
from tests.builders import TESTER, make_decision, make_location, make_patient
from tests.clinic.scheduling.conftest import Scene

# one course fits into this hour a day, so that a second one has to wait
TIGHT = CourseWish(
    "tms_10hz_left_standard",
    earliest_start=date(2026, 11, 24),
    latest_start=date(2026, 11, 27),
    daily_window=(540, 630),
)


def someone() -> int:
    patient = make_patient()
    make_decision(patient)
    db.session.commit()
    return patient.id


def fill_the_hour(scene: Scene) -> list[int]:
    """Book courses until none fits any more; answers their ids."""
    booked = []
    while True:
        person = someone() if booked else scene.patient.id
        offer = operations.propose_courses(person, TIGHT, by=TESTER)
        if not offer.proposal_ids:
            return booked
        booked.append(operations.book_course(person, proposal_id=offer.proposal_ids[0], by=TESTER).course_id)


def wait(patient_id: int | None = None, priority: int = 0) -> int:
    return waiting.join(patient_id or someone(), TIGHT, priority=priority, by=TESTER)


def offered(scene: Scene, now: datetime, *people: int) -> list[int]:
    """Somebody's course is cancelled a minute later; answers the offers."""
    course_id = fill_the_hour(scene)[0]
    for person in people:
        wait(person)
    if not people:
        wait()
    with clock.frozen(now + timedelta(minutes=1)):
        operations.cancel_course(course_id, reason="moved away", by=TESTER)
        return waiting.offer_freed(by=TESTER)


def state_of(entry_id: int) -> str:
    return db.session.get_one(WaitlistEntry, entry_id).state


def test_what_comes_free_is_offered_and_held(scene: Scene, now: datetime) -> None:
    (offer_id,) = offered(scene, now)
    offer = waiting.get_offer(offer_id)
    held = db.session.query(TreatmentSession).filter_by(state="held", patient_id=offer.patient_id).count()
    assert (offer.state, held) == ("open", 36)
    assert offer.expires_at == now + timedelta(hours=4, minutes=1)
    assert state_of(offer.entry_id) == "offered"


def test_nothing_is_offered_where_nothing_came_free(scene: Scene) -> None:
    fill_the_hour(scene)
    wait()
    assert waiting.offer_freed(by=TESTER) == []


def test_a_yes_books_the_course_once(scene: Scene, now: datetime) -> None:
    (offer_id,) = offered(scene, now)
    with clock.frozen(now + timedelta(hours=1)):
        course_id = waiting.accept(offer_id, by=TESTER)
        with pytest.raises(AlreadyOver):
            waiting.accept(offer_id, by=TESTER)
        with pytest.raises(AlreadyOver):
            waiting.decline(offer_id, by=TESTER)
    assert {row.state for row in queries.sessions(course_id)} == {"booked"}
    assert state_of(waiting.get_offer(offer_id).entry_id) == "booked"


def test_a_no_gives_the_places_to_the_next_one(scene: Scene, now: datetime) -> None:
    first, second = someone(), someone()
    (offer_id,) = offered(scene, now, first, second)
    offer = waiting.get_offer(offer_id)
    assert offer.patient_id == first
    with clock.frozen(now + timedelta(minutes=5)):
        waiting.decline(offer_id, by=TESTER)
        (next_id,) = waiting.offer_freed(by=TESTER)
    assert waiting.get_offer(next_id).patient_id == second
    assert state_of(offer.entry_id) == "waiting"


def test_an_offer_that_runs_out_goes_to_the_next_one(scene: Scene, now: datetime) -> None:
    first, second = someone(), someone()
    (offer_id,) = offered(scene, now, first, second)
    with clock.frozen(now + timedelta(hours=5)):
        with pytest.raises(Expired):
            waiting.accept(offer_id, by=TESTER)
        sweeping.sweep()
        assert [offer.patient_id for offer in waiting.open_offers(second)] == [second]
    assert waiting.get_offer(offer_id).state == "expired"
    assert waiting.open_offers(first) == []


def test_the_more_urgent_comes_first(scene: Scene, now: datetime) -> None:
    course_id = fill_the_hour(scene)[0]
    wait()
    urgent = wait(priority=2)
    with clock.frozen(now + timedelta(minutes=1)):
        operations.cancel_course(course_id, reason="moved away", by=TESTER)
        (offer_id,) = waiting.offer_freed(by=TESTER)
    assert waiting.get_offer(offer_id).entry_id == urgent


def test_who_leaves_gives_up_an_offer(scene: Scene, now: datetime) -> None:
    (offer_id,) = offered(scene, now)
    entry_id = waiting.get_offer(offer_id).entry_id
    with clock.frozen(now + timedelta(minutes=2)):
        waiting.leave(entry_id, by=TESTER)
    assert (state_of(entry_id), waiting.get_offer(offer_id).state) == ("left", "declined")
    assert db.session.query(TreatmentSession).filter_by(state="held").count() == 0
    with pytest.raises(AlreadyOver):
        waiting.leave(entry_id, by=TESTER)


def test_the_first_in_line_is_offered_what_was_free_all_along(scene: Scene) -> None:
    wait()
    urgent = wait(priority=2)
    made = waiting.offer_earliest({scene.site.id}, by=TESTER)
    offer = waiting.get_offer(made.offer_id or 0)
    assert (offer.entry_id, made.passed_over) == (urgent, ())
    sessions = queries.proposal(offer.proposal_id).plan["sessions"]
    assert sessions[0]["starts_at"].startswith("2026-11-24")
    assert db.session.query(TreatmentSession).filter_by(state="held").count() == 36


def test_whom_nothing_fits_is_passed_over_with_the_reason(scene: Scene) -> None:
    nothing = waiting.join(someone(), replace(TIGHT, daily_window=(1200, 1260)), priority=2, by=TESTER)
    fits = wait()
    made = waiting.offer_earliest(by=TESTER)
    assert waiting.get_offer(made.offer_id or 0).entry_id == fits
    ((entry_id, why),) = made.passed_over
    assert entry_id == nothing
    assert "isit 1" in why
    assert waiting.offer_earliest(by=TESTER).offer_id is None


def test_who_said_no_lately_comes_after_the_others(scene: Scene, now: datetime) -> None:
    first, second = wait(), wait()
    offer_id = waiting.offer_earliest(by=TESTER).offer_id or 0
    assert waiting.get_offer(offer_id).entry_id == first
    waiting.decline(offer_id, by=TESTER)
    again = waiting.offer_earliest(by=TESTER).offer_id or 0
    assert waiting.get_offer(again).entry_id == second


def test_one_waits_once_for_a_treatment_that_was_approved(scene: Scene) -> None:
    person = someone()
    entry_id = wait(person)
    with pytest.raises(Conflict, match="already"):
        wait(person)
    assert [row.id for row in waiting.waiting()] == [entry_id]
    with pytest.raises(DecisionRequired):
        wait(make_patient().id)
    with pytest.raises(Invalid):
        wait(someone(), priority=3)


def test_a_busy_other_site_hides_nobody_who_waits_here(scene: Scene) -> None:
    here, there = scene.site.id, make_location(name="Laguna Hills", slug="laguna-hills").id
    db.session.commit()
    _, _, both, anywhere = (
        waiting.join(someone(), replace(TIGHT, location_ids=sites), by=TESTER)
        for sites in ((there,), (there,), (there, here), ())
    )
    assert [row.id for row in waiting.waiting([here], limit=2)] == [both, anywhere]
    assert [row.id for row in waiting.waiting([])] == [anywhere]
