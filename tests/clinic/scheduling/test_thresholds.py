"""A new motor threshold takes longer: planned every ten sessions, or asked for in one, and told where it matters."""

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from clinic import clock
from clinic.db import db
from clinic.errors import AlreadyOver, Conflict, SlotTaken
from clinic.protocols.base import catalogue
from clinic.reminders import ledger
from clinic.reminders.models import Message
from clinic.scheduling import operations, queries, thresholds, undoing, wishes
from clinic.scheduling.models import TreatmentSession
from clinic.scheduling.wishes import CourseWish
from tests.builders import TESTER, make_course, make_patient, make_profile, make_staff, make_visit
from tests.clinic.scheduling.conftest import Scene

WISH = CourseWish("itbs_left", earliest_start=date(2026, 11, 24), thresholds=True)


def booked(scene: Scene, wish: CourseWish = WISH) -> list[TreatmentSession]:
    offer = operations.propose_courses(scene.patient.id, replace(wish, count=1), by=TESTER)
    made = operations.book_course(scene.patient.id, proposal_id=offer.proposal_ids[0], by=TESTER)
    return list(queries.sessions(made.course_id))


def minutes(row: TreatmentSession) -> int:
    return int((row.ends_at - row.starts_at) / timedelta(minutes=1))


@pytest.mark.parametrize(
    ("key", "slot"),
    [("tms_10hz_left_standard", 70), ("tms_10hz_left_dash", 50), ("itbs_left", 35), ("rtms_1hz_right", 60),
     ("bilateral_sequential", 70), ("deep_tms_h1", 45)],
)  # fmt: skip
def test_the_slot_is_the_published_one(key: str, slot: int) -> None:
    protocol = catalogue()[key]
    assert protocol.redetermination is not None
    assert (protocol.redetermination.minutes, protocol.facts["slot_minutes"]["with_mt"]) == (slot, slot)
    assert [n for n in range(1, 37) if protocol.finds_threshold(n)] == [11, 21, 31]


def test_every_tenth_session_is_planned_and_booked_with_its_own_minutes(scene: Scene) -> None:
    rows = booked(scene)
    assert [row.number for row in rows if row.with_threshold] == [11, 21, 31]
    assert {minutes(row) for row in rows if row.with_threshold} == {30}
    assert {minutes(row) for row in rows[1:] if not row.with_threshold} == {10}
    assert all(row.device_until == row.ends_at + timedelta(minutes=5) for row in rows)


def test_where_nobody_asks_for_it_none_is_longer(scene: Scene) -> None:
    assert not any(row.with_threshold for row in booked(scene, replace(WISH, thresholds=False)))


def test_a_course_that_goes_on_keeps_them(scene: Scene) -> None:
    course_id = booked(scene)[0].course_id or 0
    operations.pause_course(course_id, reason="away", by=TESTER)
    operations.resume_course(course_id, on=date(2026, 11, 30), by=TESTER)
    rows = [row for row in queries.sessions(course_id) if row.state == "booked"]
    assert [(row.number, minutes(row)) for row in rows if row.with_threshold] == [(11, 30), (21, 30), (31, 30)]


def test_one_more_is_asked_for_and_taken_back(scene: Scene) -> None:
    row = booked(scene)[4]
    assert thresholds.plan_threshold(row.id, wanted=True, by=TESTER) == 30
    assert (minutes(row), row.with_threshold, row.revision) == (30, True, 1)
    step = undoing.last_step(TESTER)
    assert step is not None
    undoing.undo(step.id, by=TESTER)
    db.session.refresh(row)
    assert (minutes(row), row.with_threshold) == (10, False)


def test_it_never_runs_into_the_next_patient(scene: Scene) -> None:
    row = booked(scene)[4]
    make_course(make_patient(), [row.ends_at + timedelta(minutes=5)], device=scene.device)
    db.session.commit()
    scene.site.schedule_version += 1
    db.session.commit()
    with pytest.raises(SlotTaken, match="no room for 30 minutes"):
        thresholds.plan_threshold(row.id, wanted=True, by=TESTER)
    assert minutes(row) == 10


def test_it_never_runs_into_the_patients_own_visit(scene: Scene) -> None:
    row = booked(scene)[4]
    make_visit(scene.patient, make_staff("therapist"), scene.site, row.ends_at + timedelta(minutes=10))
    with pytest.raises(SlotTaken, match="the patient has another appointment"):
        thresholds.plan_threshold(row.id, wanted=True, by=TESTER)
    assert minutes(row) == 10


def test_not_where_there_is_no_threshold_or_it_is_over(scene: Scene) -> None:
    rows = booked(scene)
    with pytest.raises(Conflict, match="no motor threshold"):
        thresholds.plan_threshold(rows[0].id, wanted=True, by=TESTER)
    with clock.frozen(rows[2].starts_at + timedelta(minutes=1)), pytest.raises(AlreadyOver):
        thresholds.plan_threshold(rows[2].id, wanted=True, by=TESTER)


def test_it_is_seen_by_the_desk_and_told_to_the_patient_without_a_message(
    scene: Scene, client: Any, sign_in: Any, sign_in_patient: Any
) -> None:
    make_profile()
    row = booked(scene)[1]
    sign_in("front_desk", locations=(scene.site,))
    done = client.post(f"/staff/courses/{row.course_id}/threshold", data={"wanted": "1", "session": row.id})
    page = client.get(done.location).text
    assert "new threshold, 30 min" in page
    on = row.local_on.isoformat()
    assert "found anew, 30 minutes" in client.get(f"/staff/day/{scene.site.slug}/{on}?s={row.id}").text
    ledger.sweep()
    assert db.session.query(Message).filter_by(purpose="session_moved", state="sent").count() == 0
    sign_in_patient(scene.patient)
    assert "about 30 minutes" in client.get("/me/dates").text
    assert wishes.wish_from_json(WISH.as_json()) == WISH
