"""What a course gets besides its first booking: make-ups past the gap, sessions added, another device."""

import itertools
from datetime import date, timedelta
from zoneinfo import ZoneInfo

import pytest

from clinic import clock
from clinic.db import db
from clinic.errors import Conflict, Invalid, ReasonNeeded, Refused, SlotTaken
from clinic.intake import queries as intake
from clinic.locations.models import Closure
from clinic.scheduling import appointments, making_up, operations, queries
from clinic.scheduling.models import HOLDS_PLACE, RuleOverride, TreatmentSession
from clinic.scheduling.wishes import CourseWish
from tests.builders import TESTER, actor_of, make_decision, make_device, make_patient, make_shifts, make_staff
from tests.clinic.scheduling.conftest import Scene

LOS_ANGELES = ZoneInfo("America/Los_Angeles")


def book(scene: Scene, protocol: str = "itbs_left", patient_id: int | None = None) -> list[TreatmentSession]:
    patient_id = patient_id or scene.patient.id
    wish = CourseWish(protocol, earliest_start=date(2026, 11, 24), daily_window=(480, 600))
    offer = operations.propose_courses(patient_id, wish, by=TESTER)
    booked = operations.book_course(patient_id, proposal_id=offer.proposal_ids[0], by=TESTER)
    return list(queries.sessions(booked.course_id))


def held(course_id: int) -> list[TreatmentSession]:
    return [row for row in queries.sessions(course_id) if row.state in HOLDS_PLACE]


def prescriber() -> object:
    user = make_staff("prescriber")
    db.session.commit()
    return actor_of(user)


def close(scene: Scene, first: date, days: int) -> None:
    for n in range(days):
        db.session.add(Closure(location_id=scene.site.id, on_date=first + timedelta(days=n), name="storm"))
    scene.site.schedule_version += 1
    db.session.commit()


def test_a_make_up_past_the_gap_is_priced_and_needs_a_prescribers_reason(scene: Scene) -> None:
    rows = book(scene)
    appointments.cancel_session(rows[9].id, by=TESTER)
    course_id, last = rows[0].course_id, rows[-1]
    close(scene, last.local_on + timedelta(days=1), 14)
    offered = making_up.make_ups(course_id)
    assert (offered.places, offered.most_days, offered.price) == ((), 11, 5000)
    place = offered.beyond[0]
    assert (place.starts_at.astimezone(LOS_ANGELES).date() - last.local_on).days == place.gap > 11
    assert place.breach == f"{place.gap} days after the session before, allowed 1 to 11"
    chosen = {"starts_at": place.starts_at, "device_id": place.device_id}
    with pytest.raises(ReasonNeeded) as refusal:
        making_up.add_make_up(course_id, **chosen, by=TESTER)
    assert refusal.value.details["rules"][0]["needs_role"] == "prescriber"
    with pytest.raises(Refused, match="Only a prescriber"):
        making_up.add_make_up(course_id, **chosen, reason="the storm", by=TESTER)
    added = making_up.add_make_up(course_id, **chosen, reason="the storm", by=prescriber())
    assert db.session.query(RuleOverride).filter_by(session_id=added).one().rule == "gaps_are_allowed"


def test_a_make_up_lies_near_the_usual_time_on_days_on_which_the_patient_is_here(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = book(scene)
    appointments.cancel_session(rows[9].id, by=TESTER)
    course_id = rows[0].course_id
    soonest = making_up.make_ups(course_id).places
    known = intake.availability(scene.patient.id)
    away = [soonest[0].starts_at.astimezone(LOS_ANGELES).date()]
    monkeypatch.setattr(intake, "availability", lambda _: {**known, "away": away})
    offered = making_up.make_ups(course_id).places
    assert [place.starts_at for place in offered[:2]] == [place.starts_at for place in soonest[1:]]
    assert {(place.shift, place.breach, place.device_id) for place in offered} == {(0, "", scene.device.id)}


def test_a_move_past_the_gap_needs_a_prescribers_reason(scene: Scene) -> None:
    last = book(scene)[-1]
    far = last.starts_at + timedelta(days=14)
    with pytest.raises(ReasonNeeded):
        appointments.move_session(last.id, starts_at=far, by=TESTER)
    appointments.move_session(last.id, starts_at=far, reason="family", by=prescriber())
    assert queries.session(last.id).starts_at == far


def test_a_completed_course_goes_on_with_maintenance(scene: Scene) -> None:
    rows = book(scene)
    for row in rows:
        row.state, row.ended_at = "completed", row.ends_at
    course = queries.course(rows[0].course_id)
    course.state, course.ended_at = "completed", rows[-1].ends_at
    db.session.commit()
    with clock.frozen(rows[-1].ends_at + timedelta(hours=1)):
        ids = making_up.extend_course(
            course.id, kind="maintenance", count=3, every_weeks=2, reason="keeps the response", by=prescriber()
        )
    added = held(course.id)[-3:]
    assert [row.id for row in added] == ids
    assert [row.kind for row in added] == ["maintenance"] * 3
    assert [row.number for row in added] == [37, 38, 39]
    assert all(11 <= (b.local_on - a.local_on).days <= 17 for a, b in itertools.pairwise(added))
    assert (course.state, course.planned_sessions, course.ended_at) == ("running", 39, None)


def test_sessions_added_to_a_course_follow_at_its_pace(scene: Scene) -> None:
    rows = book(scene)
    course_id = rows[0].course_id
    making_up.extend_course(course_id, kind="daily", count=5, reason="partial response", by=prescriber())
    added = held(course_id)[-5:]
    assert {row.kind for row in added} == {"daily"}
    assert added[0].local_on > rows[-1].local_on
    assert [(b.local_on - a.local_on).days for a, b in itertools.pairwise(added)] == [1, 1, 1, 1]
    assert all(row.revision == 1 for row in added)


def test_only_a_prescriber_adds_sessions_and_says_why(scene: Scene) -> None:
    course_id = book(scene)[0].course_id
    with pytest.raises(Refused):
        making_up.extend_course(course_id, kind="daily", count=5, reason="more", by=TESTER)
    with pytest.raises(Invalid, match="why"):
        making_up.extend_course(course_id, kind="daily", count=5, reason=" ", by=prescriber())
    with pytest.raises(Invalid, match="kind is"):
        making_up.extend_course(course_id, kind="mapping", count=5, reason="more", by=prescriber())
    with pytest.raises(Conflict, match="no stage after"):
        making_up.extend_course(course_id, kind="stage", reason="more", by=prescriber())


def test_the_next_stage_of_a_staged_course_is_booked_when_a_prescriber_says_so(scene: Scene) -> None:
    rows = book(scene, "itbs_left.noridian")
    course_id = rows[0].course_id
    before = queries.course(course_id).planned_sessions
    added = making_up.extend_course(course_id, kind="stage", reason="PHQ-9 fell by 30 %", by=prescriber())
    assert (before, len(added)) == (25, 16)
    assert [row.number for row in held(course_id)] == list(range(1, 42))


def test_a_course_swaps_its_device_at_the_same_times(scene: Scene) -> None:
    mate = make_device(scene.site, name="B")
    make_shifts(make_staff("operator", skills=("tms", "map")), scene.site)
    db.session.commit()
    rows = book(scene)
    times = [row.starts_at for row in rows]
    assert making_up.swap_device(rows[0].course_id, mate.id, from_on=date(2026, 12, 1), by=TESTER) > 25
    after = queries.sessions(rows[0].course_id)
    assert [row.starts_at for row in after] == times
    assert {row.device_id for row in after if row.local_on >= date(2026, 12, 1)} == {mate.id}
    assert {row.device_id for row in after if row.local_on < date(2026, 12, 1)} == {scene.device.id}
    making_up.swap_device(rows[0].course_id, mate.id, by=TESTER)
    assert queries.course(rows[0].course_id).device_id == mate.id


def test_a_swap_moves_all_or_nothing(scene: Scene) -> None:
    mate = make_device(scene.site, name="B")
    make_shifts(make_staff("operator", skills=("tms", "map")), scene.site)
    other = make_patient()
    make_decision(other)
    db.session.commit()
    rows = book(scene)
    theirs = book(scene, patient_id=other.id)
    blocking = [row for row in theirs if row.device_id == mate.id]
    assert blocking
    with pytest.raises(SlotTaken) as refusal:
        making_up.swap_device(rows[0].course_id, mate.id, by=TESTER)
    assert refusal.value.details["taken"]
    assert {row.revision for row in queries.sessions(rows[0].course_id)} == {0}


def test_a_device_that_does_not_give_the_protocol_is_no_swap(scene: Scene) -> None:
    chair = make_device(scene.site, kind="chair", protocols=["esketamine_trd"])
    db.session.commit()
    with pytest.raises(Invalid, match="does not give"):
        making_up.swap_device(book(scene)[0].course_id, chair.id, by=TESTER)
