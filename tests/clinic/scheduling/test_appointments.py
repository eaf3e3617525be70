"""Single sessions: moved within the rules, freed, delivered, missed and made up."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from clinic import clock
from clinic.errors import AlreadyOver, Conflict, Invalid, SlotTaken
from clinic.scheduling import appointments, making_up, operations, queries
from clinic.scheduling.models import TreatmentSession
from clinic.scheduling.wishes import CourseWish
from tests.builders import TESTER, make_decision, make_device, make_location, make_patient
from tests.clinic.scheduling.conftest import Scene

LOS_ANGELES = ZoneInfo("America/Los_Angeles")


def book(scene: Scene, patient_id: int | None = None) -> list[TreatmentSession]:
    """A course that starts on Tuesday, November 24."""
    patient_id = patient_id or scene.patient.id
    wish = CourseWish("itbs_left", earliest_start=date(2026, 11, 24))
    offer = operations.propose_courses(patient_id, wish, by=TESTER)
    course_id = operations.book_course(patient_id, proposal_id=offer.proposal_ids[0], by=TESTER).course_id
    return list(queries.sessions(course_id))


def local(day: int, hour: int, minute: int = 0, month: int = 12) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=LOS_ANGELES).astimezone(UTC)


def reload(row: TreatmentSession) -> TreatmentSession:
    return queries.db.session.get_one(TreatmentSession, row.id, populate_existing=True)


def refused_move(row: TreatmentSession, starts_at: datetime, device_id: int | None = None) -> str:
    with pytest.raises(Invalid) as refusal:
        appointments.move_session(row.id, starts_at=starts_at, device_id=device_id, by=TESTER)
    return str(refusal.value.details.get("rule"))


def test_a_move_raises_the_revision_and_lets_the_confirmation_lapse(scene: Scene) -> None:
    row = book(scene)[5]
    appointments.confirm_session(row.id, by=TESTER)
    starts_at = row.starts_at + timedelta(minutes=30)
    appointments.move_session(row.id, starts_at=starts_at, by=TESTER)
    moved = reload(row)
    assert (moved.starts_at, moved.revision, moved.state, moved.confirmed_at) == (starts_at, 1, "booked", None)
    assert moved.device_until - moved.ends_at == timedelta(minutes=5)


def test_a_move_to_where_it_is_changes_nothing(scene: Scene) -> None:
    row = book(scene)[5]
    appointments.move_session(row.id, starts_at=row.starts_at, by=TESTER)
    assert reload(row).revision == 0


def test_a_move_may_overlap_its_own_old_place(scene: Scene) -> None:
    row = book(scene)[5]
    appointments.move_session(row.id, starts_at=row.starts_at + timedelta(minutes=5), by=TESTER)
    assert reload(row).revision == 1


def test_a_move_to_a_taken_place_is_refused(scene: Scene) -> None:
    other = make_patient()
    make_decision(other)
    mine, theirs = book(scene), book(scene, other.id)
    target = next(row for row in theirs if row.local_on == mine[5].local_on)
    with pytest.raises(SlotTaken, match="taken"):
        appointments.move_session(mine[5].id, starts_at=target.starts_at, by=TESTER)
    assert reload(mine[5]).revision == 0


def test_a_move_outside_the_opening_hours_is_refused(scene: Scene) -> None:
    row = book(scene)[5]
    assert refused_move(row, row.starts_at.astimezone(LOS_ANGELES).replace(hour=19)) == "location_is_open"


def test_a_move_off_the_grid_is_refused(scene: Scene) -> None:
    row = book(scene)[5]
    assert refused_move(row, row.starts_at + timedelta(minutes=2)) == "start_is_on_grid"


def test_a_move_onto_the_day_of_another_session_is_refused(scene: Scene) -> None:
    row = book(scene)[5]
    assert refused_move(row, row.starts_at + timedelta(days=1, hours=2)) in ("hours_between", "gaps_are_allowed")


def test_a_move_past_the_next_session_is_refused(scene: Scene) -> None:
    rows = book(scene)
    assert refused_move(rows[5], rows[7].starts_at + timedelta(hours=3)) == "hours_between"


def test_a_move_into_the_past_or_to_a_wrong_device_is_refused(scene: Scene) -> None:
    row = book(scene)[5]
    chair = make_device(make_location(), kind="chair", protocols=["esketamine_trd"])
    queries.db.session.commit()
    with pytest.raises(Invalid, match="ahead"):
        appointments.move_session(row.id, starts_at=datetime(2026, 11, 2, 18, tzinfo=UTC), by=TESTER)
    with pytest.raises(Invalid, match="does not give"):
        appointments.move_session(row.id, starts_at=row.starts_at, device_id=chair.id, by=TESTER)
    with pytest.raises(Invalid, match="no device"):
        appointments.move_session(row.id, starts_at=row.starts_at, device_id=999_999, by=TESTER)


def test_free_times_are_the_times_a_move_accepts(scene: Scene) -> None:
    rows = book(scene)
    places = appointments.free_times(rows[5].id, rows[5].local_on)
    assert places
    appointments.move_session(rows[5].id, starts_at=places[-1].starts_at, by=TESTER)
    assert reload(rows[5]).starts_at == places[-1].starts_at


def test_the_first_delivered_session_starts_the_course_and_the_last_ends_it(scene: Scene) -> None:
    rows = book(scene)
    course_id = rows[0].course_id
    with clock.frozen(rows[0].starts_at):
        appointments.arrive_session(rows[0].id, by=TESTER)
        appointments.complete_session(rows[0].id, by=TESTER)
    assert queries.course(course_id).state == "running"
    for row in rows[1:]:
        with clock.frozen(row.starts_at):
            appointments.complete_session(row.id, by=TESTER)
    course = queries.course(course_id)
    assert (course.state, course.ended_at) == ("completed", rows[-1].starts_at)


def test_nothing_is_delivered_before_its_day(scene: Scene) -> None:
    row = book(scene)[0]
    for change in (appointments.arrive_session, appointments.complete_session, appointments.miss_session):
        with pytest.raises(Conflict, match="2026-11-24"):
            change(row.id, by=TESTER)


def test_a_session_that_is_over_takes_no_further_change(scene: Scene) -> None:
    row = book(scene)[0]
    with clock.frozen(row.starts_at):
        appointments.complete_session(row.id, by=TESTER)
        with pytest.raises(AlreadyOver):
            appointments.cancel_session(row.id, by=TESTER)
        with pytest.raises(AlreadyOver):
            appointments.miss_session(row.id, by=TESTER)


def test_a_missed_session_is_offered_after_the_last_one(scene: Scene) -> None:
    rows = book(scene)
    with clock.frozen(rows[0].starts_at):
        appointments.complete_session(rows[0].id, by=TESTER)
    with clock.frozen(rows[1].starts_at):
        appointments.miss_session(rows[1].id, by=TESTER)
        offered = making_up.make_ups(rows[0].course_id)
    last = rows[-1]
    assert last.local_on == date(2027, 1, 22)  # a Friday
    days = [place.starts_at.astimezone(LOS_ANGELES).date() for place in offered.places]
    assert days == [date(2027, 1, 25), date(2027, 1, 26), date(2027, 1, 27)]
    assert {p.starts_at.astimezone(LOS_ANGELES).time() for p in offered.places} == {
        last.starts_at.astimezone(LOS_ANGELES).time()
    }


def test_a_make_up_keeps_the_total_and_closes_the_gap_in_the_numbers(scene: Scene) -> None:
    rows = book(scene)
    appointments.cancel_session(rows[9].id, reason="away", by=TESTER)
    place = making_up.make_ups(rows[0].course_id).places[0]
    making_up.add_make_up(rows[0].course_id, starts_at=place.starts_at, device_id=place.device_id, by=TESTER)
    held = [row for row in queries.sessions(rows[0].course_id) if row.state == "booked"]
    assert [row.number for row in held] == list(range(1, 37))
    assert held[-1].starts_at == place.starts_at
    with pytest.raises(Conflict, match="has its place"):
        making_up.add_make_up(rows[0].course_id, starts_at=place.starts_at, device_id=place.device_id, by=TESTER)


def test_without_its_mapping_a_course_is_not_mended_at_its_end(scene: Scene) -> None:
    rows = book(scene)
    appointments.cancel_session(rows[0].id, by=TESTER)
    offered = making_up.make_ups(rows[0].course_id)
    assert offered.places == ()
    assert "mapping" in offered.reason


def test_a_freed_place_can_be_booked_again(scene: Scene) -> None:
    rows = book(scene)
    appointments.cancel_session(rows[9].id, by=TESTER)
    state = appointments.open_places(scene.site.id, "itbs_left", rows[9].local_on, rows[9].local_on)
    assert rows[9].starts_at in {place.starts_at for place in state}
    assert rows[8].starts_at not in {
        place.starts_at
        for place in appointments.open_places(scene.site.id, "itbs_left", rows[8].local_on, rows[8].local_on)
    }


def test_a_course_paused_after_delivery_resumes_with_the_rest(scene: Scene) -> None:
    rows = book(scene)
    with clock.frozen(rows[0].starts_at):
        appointments.complete_session(rows[0].id, by=TESTER)
        operations.pause_course(rows[0].course_id, reason="travel", by=TESTER)
        resumed = operations.resume_course(rows[0].course_id, on=date(2026, 11, 30), by=TESTER)
    assert (resumed.sessions, resumed.needs_review) == (35, False)
    held = [row for row in queries.sessions(rows[0].course_id) if row.state == "booked"]
    assert [row.number for row in held] == list(range(2, 37))


def test_a_break_longer_than_the_gap_asks_for_a_review(scene: Scene) -> None:
    rows = book(scene)
    with clock.frozen(rows[0].starts_at):
        appointments.complete_session(rows[0].id, by=TESTER)
        operations.pause_course(rows[0].course_id, reason="travel", by=TESTER)
        assert operations.resume_course(rows[0].course_id, on=date(2026, 12, 14), by=TESTER).needs_review
