"""What a patient is asked and says: new times after an outage, a course that came free; the waiting list of staff."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from html import unescape
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from flask.testing import FlaskClient

from clinic import clock
from clinic.db import db
from clinic.scheduling import answering, closing, operations, presenter, queries, replanning, waiting
from clinic.scheduling.models import ScheduleChange, TreatmentSession, WaitlistEntry, WaitlistOffer
from clinic.scheduling.wishes import CourseWish
from tests.builders import TESTER, make_decision, make_location, make_patient, make_profile
from tests.clinic.scheduling.conftest import Scene
from tests.clinic.scheduling.test_waiting import TIGHT, fill_the_hour

LOS_ANGELES = ZoneInfo("America/Los_Angeles")


@pytest.fixture
def patient(scene: Scene, client: FlaskClient, sign_in_patient: Callable[..., Any]) -> FlaskClient:
    make_profile()
    sign_in_patient(scene.patient)
    return client


def replanned(scene: Scene) -> ScheduleChange:
    """A booked course with one session moved by the outage of a morning that was applied."""
    wish = CourseWish("itbs_left", earliest_start=date(2026, 11, 24), daily_window=(540, 640))
    offer = operations.propose_courses(scene.patient.id, wish, by=TESTER)
    booked = operations.book_course(scene.patient.id, proposal_id=offer.proposal_ids[0], by=TESTER)
    device_id = queries.sessions(booked.course_id)[0].device_id or 0
    first = datetime(2026, 12, 2, tzinfo=LOS_ANGELES).astimezone(UTC)
    outage_id = closing.device_down(
        device_id, starts_at=first, ends_at=first + timedelta(hours=13), reason="coil", by=TESTER
    )
    replanning.apply_outage(outage_id, by=TESTER)
    return db.session.query(ScheduleChange).one()


def test_the_patient_sees_old_and_new_times_and_says_yes(
    patient: FlaskClient, scene: Scene, post: Callable[..., Any]
) -> None:
    change_id = replanned(scene).id
    assert "We had to change your visits" in patient.get("/me").text
    html = patient.get(f"/me/changes/{change_id}").text
    assert "Dec 2" in html
    assert "before:" in html
    assert "coil" not in html
    assert post(f"/me/changes/{change_id}", {"answer": "yes"}).location == "/me/dates"
    assert answering.get(change_id).state == "accepted"
    assert "You said yes." in patient.get(f"/me/changes/{change_id}").text
    assert "We had to change your visits" not in patient.get("/me").text


def test_a_no_is_planned_anew_until_a_person_calls(
    patient: FlaskClient, scene: Scene, post: Callable[..., Any]
) -> None:
    page = f"/me/changes/{replanned(scene).id}"
    said = [post(page, {"answer": "no"}) for _ in range(3)]
    assert said[0].location == page
    assert said[-1].location == "/me/dates"
    assert "A person from the clinic calls you" in patient.get("/me/dates").text
    assert post(page, {"answer": "yes"}).location == "/me/dates"


def test_nobody_answers_for_another_patient(patient: FlaskClient, scene: Scene, sign_in_patient: Any) -> None:
    change_id = replanned(scene).id
    other = make_patient()
    db.session.commit()
    sign_in_patient(other)
    assert patient.get(f"/me/changes/{change_id}").status_code == 404
    assert patient.get("/me/changes/999999").status_code == 404
    assert patient.get("/me/offers/999999").status_code == 404


def offered(scene: Scene, now: datetime) -> tuple[int, int]:
    """Somebody else waits and is offered what came free; answers the offer and the patient."""
    course_id = fill_the_hour(scene)[0]
    person = make_patient()
    make_decision(person)
    db.session.commit()
    waiting.join(person.id, TIGHT, by=TESTER)
    with clock.frozen(now + timedelta(minutes=1)):
        operations.cancel_course(course_id, reason="moved away", by=TESTER)
        return waiting.offer_freed(by=TESTER)[0], person.id


@pytest.mark.parametrize("answer", ["yes", "no"])
def test_a_patient_answers_an_offer(
    client: FlaskClient,
    scene: Scene,
    now: datetime,
    post: Callable[..., Any],
    sign_in_patient: Callable[..., Any],
    answer: str,
) -> None:
    make_profile()
    offer_id, person = offered(scene, now)
    sign_in_patient(db.session.get_one(type(scene.patient), person))
    assert "A place has come free for you" in client.get("/me").text
    html = client.get(f"/me/offers/{offer_id}").text
    assert "You could start on" in html
    assert post(f"/me/offers/{offer_id}", {"answer": answer}).location == "/me/dates"
    held = db.session.query(TreatmentSession).filter_by(patient_id=person, state="booked").count()
    assert held == (36 if answer == "yes" else 0)
    assert db.session.query(WaitlistEntry).one().state == ("booked" if answer == "yes" else "waiting")
    assert "This offer is over." in client.get(f"/me/offers/{offer_id}").text
    post(f"/me/offers/{offer_id}", {"answer": "yes"})
    assert "This offer is over." in client.get("/me/dates").text


def test_why_these_times_in_plain_words(patient: FlaskClient, scene: Scene) -> None:
    wish = CourseWish("itbs_left", earliest_start=date(2026, 11, 24), daily_window=(540, 640))
    offer = operations.propose_courses(scene.patient.id, wish, by=TESTER)
    operations.book_course(scene.patient.id, proposal_id=offer.proposal_ids[0], by=TESTER)
    html = unescape(patient.get("/me/dates").text)
    assert "Why these times?" in html
    assert "It is within the hours that you gave us." in html
    assert "The longest break between two visits is" in html


# -- staff ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def desk(scene: Scene, client: FlaskClient, sign_in: Callable[..., Any]) -> FlaskClient:
    sign_in("front_desk", locations=(scene.site,))
    return client


def test_who_finds_no_course_goes_on_the_list(desk: FlaskClient, scene: Scene, post: Callable[..., Any]) -> None:
    assert "Nobody waits." in desk.get("/staff/waitlist").text
    wish = {"protocol": "itbs_left", "after": "480", "before": "510"}
    page = f"/staff/courses/new?patient={scene.patient.id}"
    html = post(page, wish).text
    assert "Put on the waiting list" in html
    form = re.search(r'<form[^>]*waitlist"[^>]*>(.*?)</form>', html, re.DOTALL)
    assert form is not None
    values = dict(re.findall(r'name="(\w+)" value="([^"]*)"', form[1]))
    join = f"/staff/patients/{scene.patient.id}/waitlist"
    assert post(join, values | {"priority": "2"}).location == "/staff/waitlist"
    row = db.session.query(WaitlistEntry).one()
    assert (row.priority, row.wish["daily_window"]) == (2, [480, 510])
    html = desk.get("/staff/waitlist").text
    assert "1 person waits, nobody has an offer." in html
    assert "Urgent" in html
    post(join, values)
    assert "waits for that treatment already" in desk.get("/staff/waitlist").text
    post(f"/staff/waitlist/{row.id}/leave")
    assert "Nobody waits." in desk.get("/staff/waitlist").text
    post(f"/staff/waitlist/{row.id}/leave")
    assert "entry is left" in desk.get("/staff/waitlist").text
    post(join, {"protocol": ""})
    assert db.session.query(WaitlistEntry).count() == 1


@pytest.mark.parametrize(("answer", "booked"), [("accept", 36), ("decline", 0)])
def test_the_desk_answers_for_who_calls(
    desk: FlaskClient, scene: Scene, now: datetime, post: Callable[..., Any], answer: str, booked: int
) -> None:
    offer_id, person = offered(scene, now)
    html = desk.get("/staff/waitlist").text
    assert "1 person waits, 1 has an offer." in html
    post(f"/staff/offers/{offer_id}/{answer}")
    rows = db.session.query(TreatmentSession).filter_by(patient_id=person, state="booked").count()
    assert rows == booked
    assert db.session.query(WaitlistOffer).one().state == ("accepted" if booked else "declined")
    post(f"/staff/offers/{offer_id}/{answer}")
    assert "offer is" in desk.get("/staff/waitlist").text


def lines_of(*kinds: str) -> list[dict[str, Any]]:
    at, later = "2026-12-02T17:00:00+00:00", "2026-12-02T18:00:00+00:00"
    same = {"session_id": 1, "from_at": at, "to_at": at, "from_location": 1, "to_location": 1}
    changed = {"time": {"to_at": later}, "place": {"to_location": 2}, "lost": {"to_at": None}, "device": {}}
    return [same | changed[kind] for kind in kinds]


@pytest.mark.parametrize(
    ("kinds", "words"),
    [
        (("time", "device"), ["One visit is at another time."]),
        (("place", "place"), ["2 visits are at another place, at the same time."]),
        (("time", "time", "lost"), ["2 visits are at other times.", "One visit has no time yet."]),
        (("device",), []),
    ],
)
def test_the_home_says_what_changed_and_no_more(app: Any, kinds: tuple[str, ...], words: list[str]) -> None:
    with app.test_request_context():
        assert presenter.what_changed(lines_of(*kinds)) == words


def test_where_only_the_device_changed_nobody_is_asked(patient: FlaskClient, scene: Scene) -> None:
    change = replanned(scene)
    assert answering.open_of_patient(scene.patient.id) == [change]
    change.moves = [{**line, "to_at": line["from_at"], "to_location": line["from_location"]} for line in change.moves]
    db.session.commit()
    assert answering.open_of_patient(scene.patient.id) == []
    assert "We had to change" not in patient.get("/me").text


def test_another_place_at_the_same_time_is_said_as_such(patient: FlaskClient, scene: Scene) -> None:
    change = replanned(scene)
    there = make_location(name="Laguna Hills", slug="laguna-hills")
    change.moves = [{**line, "to_at": line["from_at"], "to_location": there.id} for line in change.moves]
    db.session.commit()
    assert "at the same time" in patient.get("/me").text
    html = patient.get(f"/me/changes/{change.id}").text
    assert "same time, before at Fullerton" in html
    assert (
        "a la misma hora, antes en Fullerton"
        in patient.get(f"/me/changes/{change.id}?lang=es", follow_redirects=True).text
    )
