"""Several who wait, planned together: who gets a course, who none and why; booked or offered, each for itself."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta
from html import unescape
from typing import Any

import pytest
from flask.testing import FlaskClient

from clinic import clock
from clinic.db import db
from clinic.errors import Invalid
from clinic.scheduling import operations, queries, together, together_presenter, waiting
from clinic.scheduling.models import CourseProposal, TreatmentSession, WaitlistEntry, WaitlistPlan, WaitlistPlanLine
from clinic.scheduling.wishes import CourseWish
from tests.builders import TESTER, make_decision, make_location, make_patient
from tests.clinic.scheduling.conftest import Scene
from tests.clinic.scheduling.test_waiting import someone, state_of

SHORT = CourseWish("itbs_left.maintenance", earliest_start=date(2026, 11, 24), latest_start=date(2026, 11, 24))


def line_up(count: int, wish: CourseWish = SHORT) -> list[int]:
    return [waiting.join(someone(), wish, by=TESTER) for _ in range(count)]


def planned(entry_ids: list[int]) -> tuple[int, list[WaitlistPlanLine]]:
    plan_id = together.plan(entry_ids, rounds=4, by=TESTER)
    return plan_id, list(together.lines(plan_id))


def outcomes(plan_id: int) -> list[str | None]:
    db.session.expire_all()
    return [line.outcome for line in together.lines(plan_id)]


def booked_sessions() -> int:
    return db.session.query(TreatmentSession).filter_by(state="booked").count()


def test_a_plan_books_nothing_and_bounds_what_it_costs(scene: Scene) -> None:
    plan_id, lines = planned(line_up(2))
    plan = together.get(plan_id)
    assert all(line.proposal_id and line.reason is None for line in lines)
    assert 0 <= plan.bound <= plan.cost
    assert (booked_sessions(), state_of(lines[0].entry_id)) == (0, "waiting")


def test_who_finds_no_place_beside_the_others_is_told_the_rule(scene: Scene) -> None:
    _, lines = planned(line_up(3, replace(SHORT, daily_window=(540, 565))))
    without = [line for line in lines if line.proposal_id is None]
    assert len(without) == 1
    assert "device" in (without[0].reason or ""), without[0].reason


def test_all_are_booked_in_one_go(scene: Scene) -> None:
    plan_id, lines = planned(line_up(2))
    assert together.book(plan_id, by=TESTER) == {"booked": 2, "offered": 0, "lost": 0}
    assert booked_sessions() == 2
    assert {state_of(line.entry_id) for line in lines} == {"booked"}
    assert waiting.waiting() == []


def test_a_second_press_books_nothing_more(scene: Scene) -> None:
    plan_id, _ = planned(line_up(2))
    together.book(plan_id, by=TESTER)
    assert together.book(plan_id, by=TESTER) == {"booked": 0, "offered": 0, "lost": 0}
    assert booked_sessions() == 2


def test_who_no_longer_fits_is_named_and_the_others_are_booked(scene: Scene) -> None:
    plan_id, lines = planned(line_up(2))
    gone = db.session.get_one(CourseProposal, lines[0].proposal_id).plan["sessions"]
    asked = [operations.AskedSession(datetime.fromisoformat(s["starts_at"]), s["device_id"]) for s in gone]
    operations.book_course(scene.patient.id, protocol=SHORT.protocol, sessions=asked, by=TESTER)
    assert together.book(plan_id, by=TESTER) == {"booked": 1, "offered": 0, "lost": 1}
    assert outcomes(plan_id) == ["lost", "booked"]
    assert "Session 1: " in (together.lines(plan_id)[0].said or "")
    assert state_of(lines[0].entry_id) == "waiting"


def test_each_is_offered_what_is_held_for_them(scene: Scene, now: datetime) -> None:
    plan_id, lines = planned(line_up(2))
    assert together.offer(plan_id, by=TESTER)["offered"] == 2
    held = db.session.query(TreatmentSession).filter_by(state="held").count()
    offers = waiting.open_offers_of([line.entry_id for line in lines])
    assert (held, {offer.expires_at for offer in offers.values()}) == (2, {now + timedelta(hours=4)})
    assert waiting.accept(offers[lines[0].entry_id].id, by=TESTER)


def test_only_those_who_are_ticked(scene: Scene) -> None:
    plan_id, lines = planned(line_up(2))
    together.book(plan_id, [lines[1].entry_id], by=TESTER)
    assert outcomes(plan_id) == [None, "booked"]
    assert state_of(lines[0].entry_id) == "waiting"


def test_an_old_plan_books_nothing(scene: Scene, now: datetime) -> None:
    plan_id, _ = planned(line_up(1))
    with clock.frozen(now + timedelta(minutes=31)):
        assert together.book(plan_id, by=TESTER)["lost"] == 1
    assert "30 minutes" in (together.lines(plan_id)[0].said or "")


def test_who_left_meanwhile_is_not_booked(scene: Scene) -> None:
    plan_id, lines = planned(line_up(1))
    waiting.leave(lines[0].entry_id, by=TESTER)
    together.book(plan_id, by=TESTER)
    assert (together.lines(plan_id)[0].said, booked_sessions()) == ("Taken off the list meanwhile.", 0)


def test_a_person_is_planned_once_and_the_unapproved_not_at_all(scene: Scene) -> None:
    person = someone()
    first = waiting.join(person, SHORT, by=TESTER)
    second = waiting.join(person, replace(SHORT, protocol="itbs_left"), by=TESTER)
    declined = make_patient()
    decision = make_decision(declined)
    third = waiting.join(declined.id, SHORT, by=TESTER)
    decision.superseded_at = clock.now()
    db.session.commit()
    _, lines = planned([first, second, third])
    reasons = {line.entry_id: line.reason for line in lines}
    assert (reasons[first], reasons[second]) == (None, together.TWICE)
    assert "prescriber" in (reasons[third] or "")


def test_nobody_or_too_many_is_refused(scene: Scene) -> None:
    with pytest.raises(Invalid):
        together.plan([], by=TESTER)
    with pytest.raises(Invalid, match="At most"):
        together.plan(list(range(1, together.MOST_TOGETHER + 2)), by=TESTER)


def test_a_course_that_is_booked_another_way_ends_the_waiting(scene: Scene) -> None:
    person = someone()
    entry_id = waiting.join(person, SHORT, by=TESTER)
    offer = operations.propose_courses(person, SHORT, by=TESTER)
    operations.book_course(person, proposal_id=offer.proposal_ids[0], by=TESTER)
    db.session.expire_all()
    assert state_of(entry_id) == "booked"
    assert db.session.get_one(WaitlistEntry, entry_id).ended_at == clock.now()


def test_old_plans_are_dropped(scene: Scene, now: datetime) -> None:
    plan_id, _ = planned(line_up(1))
    together.book(plan_id, by=TESTER)
    with clock.frozen(now + timedelta(days=8)):
        together.forget_old()
    assert db.session.query(WaitlistPlan).count() == db.session.query(WaitlistPlanLine).count() == 0
    assert len(queries.open_courses({scene.site.id})) == 1


def test_the_page_says_who_gets_what(scene: Scene) -> None:
    plan_id, lines = planned(line_up(3, replace(SHORT, daily_window=(540, 565))))
    view = together_presenter.view(together.get(plan_id), lines)
    assert view.title == "Two of three get a whole course; they start on Tue, Nov 24."
    assert len(view.without) == 1
    assert view.open == len(view.placed)


# -- pages ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def desk(scene: Scene, client: FlaskClient, sign_in: Callable[..., Any]) -> FlaskClient:
    sign_in("front_desk", locations=(scene.site,))
    return client


def test_the_desk_plans_all_of_a_site_and_books_those_ticked(desk: FlaskClient, scene: Scene) -> None:
    first, second = line_up(2)
    made = desk.post("/staff/waitlist/plans", data={"site": scene.site.slug, "all": "1"})
    page = desk.get(made.location).text
    assert "All two get a whole course" in page
    assert "itbs" not in page
    done = desk.post(f"{made.location}/book", data={"entry": [second]})
    page = unescape(desk.get(done.location).text)
    assert "One whole course is booked. Each person gets one message with all dates." in page
    assert (state_of(first), state_of(second)) == ("waiting", "booked")
    again = desk.post(f"{made.location}/again")
    assert "The one person gets a whole course" in desk.get(again.location).text


def test_the_desk_offers_and_is_told_what_was_wrong(desk: FlaskClient) -> None:
    (entry_id,) = line_up(1)
    assert "Choose at least one" in desk.get(desk.post("/staff/waitlist/plans").location).text
    made = desk.post("/staff/waitlist/plans", data={"entry": [entry_id, "x", "9" * 30]})
    assert "Nobody is ticked" in desk.get(desk.post(f"{made.location}/book").location).text
    offered = desk.get(desk.post(f"{made.location}/offer", data={"entry": [entry_id]}).location).text
    assert "One whole course is held and offered." in unescape(offered)
    assert "the answer is awaited" not in offered


def test_a_plan_of_people_of_another_site_does_not_exist(scene: Scene, client: Any, sign_in: Any) -> None:
    entry_id = waiting.join(scene.patient.id, SHORT, by=TESTER)
    scene.patient.preferred_location_id = scene.site.id
    plan_id = together.plan([entry_id], rounds=1, by=TESTER)
    there = make_location(name="Laguna Hills", slug="laguna-hills")
    db.session.commit()
    sign_in("front_desk", locations=(there,))
    assert client.get(f"/staff/waitlist/plans/{plan_id}").status_code == 404
    assert client.post(f"/staff/waitlist/plans/{plan_id}/book", data={"entry": [entry_id]}).status_code == 404
    assert client.post("/staff/waitlist/plans", data={"site": "a\0b"}).status_code == 404
    assert client.get(f"/staff/waitlist?site={scene.site.slug}").status_code == 403


def test_the_desk_offers_the_first_in_line_a_course(desk: FlaskClient) -> None:
    assert "No whole course fits" in desk.get(desk.post("/staff/waitlist/offer").location).text
    line_up(1)
    page = unescape(desk.get(desk.post("/staff/waitlist/offer").location).text)
    assert "is offered a course from Tue, Nov 24, held until" in page
