"""Visits with a staff member: they share patient, person, room and the pools with every session."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy.exc import IntegrityError

from clinic import clock
from clinic.audit import AuditEvent
from clinic.db import broken_constraint, db
from clinic.errors import AlreadyOver, Invalid, NotFound, ReasonNeeded, SlotTaken
from clinic.locations.models import StaffAbsence
from clinic.scheduling import appointments, operations, queries, visits
from clinic.scheduling.models import RuleOverride, TreatmentSession
from clinic.scheduling.visits import NewVisit, VisitWish
from clinic.scheduling.wishes import CourseWish
from clinic.staff.operations import set_licences
from tests.builders import (
    TESTER,
    make_decision,
    make_device,
    make_location,
    make_patient,
    make_room,
    make_shifts,
    make_staff,
    make_visit,
)
from tests.clinic.scheduling.conftest import Scene

LOS_ANGELES = ZoneInfo("America/Los_Angeles")


def local(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 11, day, hour, minute, tzinfo=LOS_ANGELES).astimezone(UTC)


def therapist(scene: Scene, **overrides: Any) -> Any:
    staff = make_staff("therapist", licensed_in=["CA"], **overrides)
    db.session.commit()
    return staff


def consult(scene: Scene, staff: Any, starts_at: datetime, **overrides: Any) -> NewVisit:
    new = NewVisit(
        patient_id=scene.patient.id,
        kind="consult",
        staff_id=staff.id,
        location_id=scene.site.id,
        starts_at=starts_at,
        minutes=30,
    )
    return replace(new, **overrides)


def rules(refusal: pytest.ExceptionInfo[ReasonNeeded]) -> list[str]:
    return [one["rule"] for one in refusal.value.details["rules"]]


def course_at_nine(scene: Scene) -> list[TreatmentSession]:
    wish = CourseWish("itbs_left", earliest_start=date(2026, 11, 24), daily_window=(540, 640))
    offer = operations.propose_courses(scene.patient.id, wish, by=TESTER)
    booked = operations.book_course(scene.patient.id, proposal_id=offer.proposal_ids[0], by=TESTER)
    return list(queries.sessions(booked.course_id))


def test_a_visit_is_booked_without_course_and_device(scene: Scene) -> None:
    staff, room = therapist(scene), make_room(scene.site)
    visit_id = visits.book_visit(consult(scene, staff, local(24, 11), room_id=room.id), by=TESTER)
    row = queries.session(visit_id)
    assert (row.course_id, row.device_id, row.staff_id, row.room_id) == (None, None, staff.id, room.id)
    assert (row.state, row.local_on, row.is_visit) == ("booked", date(2026, 11, 24), True)


def test_a_patient_is_never_in_two_places(scene: Scene) -> None:
    first = course_at_nine(scene)[0]
    with pytest.raises(SlotTaken, match="patient has another"):
        visits.book_visit(consult(scene, therapist(scene), first.starts_at + timedelta(minutes=5)), by=TESTER)


def test_a_course_is_planned_around_the_visits_of_the_patient(scene: Scene) -> None:
    visits.book_visit(consult(scene, therapist(scene), local(24, 9), minutes=60), by=TESTER)
    rows = course_at_nine(scene)
    assert rows[0].local_on == date(2026, 11, 25)


def test_a_staff_member_sees_one_person_at_a_time(scene: Scene) -> None:
    staff = therapist(scene)
    visits.book_visit(consult(scene, staff, local(24, 11)), by=TESTER)
    with pytest.raises(SlotTaken, match="sees someone else"):
        visits.book_visit(consult(scene, staff, local(24, 11, 15), patient_id=make_patient().id), by=TESTER)
    visits.book_visit(consult(scene, staff, local(24, 11, 30), patient_id=make_patient().id), by=TESTER)


def test_a_room_holds_one_visit_at_a_time(scene: Scene) -> None:
    room = make_room(scene.site)
    visits.book_visit(consult(scene, therapist(scene), local(24, 11), room_id=room.id), by=TESTER)
    other = consult(scene, therapist(scene), local(24, 11, 15), room_id=room.id, patient_id=make_patient().id)
    with pytest.raises(SlotTaken, match="room is taken"):
        visits.book_visit(other, by=TESTER)


@pytest.mark.parametrize("constraint", ["patient", "staff", "room"])
def test_the_database_alone_refuses_what_overlaps(scene: Scene, constraint: str) -> None:
    staff, room, patient = therapist(scene), make_room(scene.site), scene.patient
    make_visit(patient, staff, scene.site, local(24, 11), room_id=room.id)
    others = {"patient": make_patient(), "staff": therapist(scene), "room": make_room(scene.site)}
    others |= {constraint: {"patient": patient, "staff": staff, "room": room}[constraint]}
    with pytest.raises(IntegrityError) as refusal:
        make_visit(
            others["patient"],
            others["staff"],
            scene.site,
            local(24, 11, 15),
            room_id=others["room"].id,  # type: ignore[arg-type]
        )
    assert broken_constraint(refusal.value) == f"treatment_sessions_{constraint}_overlap"


def test_appointments_without_a_device_do_not_exclude_each_other(scene: Scene) -> None:
    make_visit(scene.patient, therapist(scene), scene.site, local(24, 11))
    make_visit(make_patient(), therapist(scene), scene.site, local(24, 11))


@pytest.mark.parametrize(
    ("values", "check"),
    [
        ({"device_id": 1}, "kind"),
        ({"staff_id": None}, "kind"),
        ({"kind": "daily"}, "kind"),
        ({"mode": "video", "room_id": 1}, "video_needs_no_room"),
        ({"mode": "video", "state": "completed"}, "video_records_the_state"),
        ({"patient_state": "ca"}, "patient_state"),
        ({"state": "held"}, "held"),
    ],
)
def test_the_database_refuses_a_shapeless_visit(scene: Scene, values: dict[str, Any], check: str) -> None:
    with pytest.raises(IntegrityError) as refusal:
        make_visit(scene.patient, therapist(scene), scene.site, local(24, 11), **values)
    assert broken_constraint(refusal.value) == f"treatment_sessions_{check}_check"


# -- the floor ------------------------------------------------------------------------------------------------------


def the_operator(scene: Scene) -> Any:
    from clinic.staff.models import StaffUser

    return db.session.query(StaffUser).filter(StaffUser.skills.contains(["map"])).one()


def test_the_only_operator_is_not_taken_off_the_floor(scene: Scene) -> None:
    first = course_at_nine(scene)[0]
    new = consult(scene, the_operator(scene), first.starts_at, patient_id=make_patient().id)
    with pytest.raises(SlotTaken, match="Every operator is taken"):
        visits.book_visit(new, reason="important", by=TESTER)


def test_who_sees_somebody_gives_no_session_meanwhile(scene: Scene) -> None:
    visits.book_visit(
        consult(scene, the_operator(scene), local(24, 9), minutes=120, patient_id=make_patient().id), by=TESTER
    )
    assert course_at_nine(scene)[0].local_on == date(2026, 11, 25)


def test_an_observer_who_sees_somebody_watches_no_chair(scene: Scene) -> None:
    chair = make_device(scene.site, kind="chair", protocols=["esketamine_trd"])
    nurse = make_staff("nurse", skills=("obs",))
    make_shifts(nurse, scene.site)
    db.session.commit()
    visits.book_visit(consult(scene, nurse, local(24, 11), patient_id=make_patient().id), by=TESTER)
    places = appointments.open_places(scene.site.id, "esketamine_trd", date(2026, 11, 24), date(2026, 11, 24))
    assert places
    assert {place.device_id for place in places} == {chair.id}
    assert all(p.ends_at <= local(24, 11) or p.starts_at >= local(24, 11, 30) for p in places)


def test_two_devices_in_one_room_are_used_one_at_a_time(scene: Scene) -> None:
    scene.device.room_id = make_room(scene.site).id
    mate = make_device(scene.site, name="B", room_id=scene.device.room_id)
    make_shifts(make_staff("operator", skills=("tms", "map")), scene.site)
    db.session.commit()
    first = course_at_nine(scene)[0]
    free = appointments.open_places(scene.site.id, "itbs_left", first.local_on, first.local_on)
    on_mate = [p for p in free if p.device_id == mate.id]
    assert on_mate
    assert all(p.ends_at <= first.starts_at or p.starts_at >= first.device_until for p in on_mate)
    assert first.room_id == scene.device.room_id


# -- soft rules -----------------------------------------------------------------------------------------------------


def test_a_visit_outside_the_opening_hours_needs_a_reason_on_record(scene: Scene) -> None:
    new = consult(scene, therapist(scene), local(24, 19))
    with pytest.raises(ReasonNeeded) as refusal:
        visits.book_visit(new, by=TESTER)
    assert rules(refusal) == ["location_is_open"]
    visit_id = visits.book_visit(new, reason="works until seven", by=TESTER)
    kept = db.session.query(RuleOverride).filter_by(session_id=visit_id).one()
    assert (kept.rule, kept.reason, kept.actor_key) == ("location_is_open", "works until seven", "tests")
    assert db.session.query(AuditEvent).filter_by(action="rule_set_aside", entity_id=str(visit_id)).count() == 1


def test_a_visit_off_the_rota_or_in_an_absence_needs_a_reason(scene: Scene) -> None:
    staff = therapist(scene)
    make_shifts(staff, scene.site, starts=time(8), ends=time(12))
    db.session.add(StaffAbsence(user_id=staff.id, starts_at=local(25, 0), ends_at=local(26, 0), reason="ill"))
    db.session.commit()
    for at, rule in ((local(24, 14), "person_is_on_rota"), (local(25, 9), "person_is_here")):
        with pytest.raises(ReasonNeeded) as refusal:
            visits.book_visit(consult(scene, staff, at), by=TESTER)
        assert rules(refusal) == [rule]


def test_a_visit_by_video_records_the_state_and_warns_out_of_state(scene: Scene) -> None:
    staff = therapist(scene)
    with pytest.raises(Invalid, match="which state"):
        visits.book_visit(consult(scene, staff, local(24, 11), mode="video"), by=TESTER)
    with pytest.raises(ReasonNeeded) as refusal:
        visits.book_visit(consult(scene, staff, local(24, 11), mode="video", patient_state="NV"), by=TESTER)
    assert rules(refusal) == ["licensed_in_state"]
    assert "on record: CA" in refusal.value.details["rules"][0]["why"]
    visits.book_visit(consult(scene, staff, local(24, 11), mode="video", patient_state="CA"), by=TESTER)


def test_the_state_at_the_visit_may_differ_from_the_one_at_booking(scene: Scene) -> None:
    new = consult(scene, therapist(scene), local(24, 11), mode="video", patient_state="CA")
    visit_id = visits.book_visit(new, by=TESTER)
    with clock.frozen(local(24, 11)):
        appointments.complete_session(visit_id, patient_state="NV", by=TESTER)
    assert (queries.session(visit_id).patient_state, queries.session(visit_id).state) == ("NV", "completed")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"kind": "daily"}, "kind"),
        ({"minutes": 7}, "minutes"),
        ({"mode": "telepathy"}, "mode"),
        ({"starts_at": datetime(2026, 11, 24, 19, 3, tzinfo=UTC)}, "starts_at"),
        ({"starts_at": datetime(2026, 11, 2, 19, tzinfo=UTC)}, "starts_at"),
        ({"patient_state": "XX"}, "patient_state"),
    ],
)
def test_a_wrong_visit_is_refused_with_the_field(scene: Scene, change: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refusal:
        visits.book_visit(replace(consult(scene, therapist(scene), local(24, 11)), **change), by=TESTER)
    assert refusal.value.details["fields"] == [field]


def test_a_visit_needs_a_room_of_its_own_at_its_site(scene: Scene) -> None:
    staff, elsewhere = therapist(scene), make_room(make_location())
    shared = make_room(scene.site, is_shared=True)
    db.session.commit()
    with pytest.raises(Invalid, match="no such room"):
        visits.book_visit(consult(scene, staff, local(24, 11), room_id=elsewhere.id), by=TESTER)
    with pytest.raises(Invalid, match="shared"):
        visits.book_visit(consult(scene, staff, local(24, 11), room_id=shared.id), by=TESTER)
    with pytest.raises(NotFound):
        visits.book_visit(consult(scene, staff, local(24, 11), room_id=999_999), by=TESTER)


# -- moved, cancelled, offered --------------------------------------------------------------------------------------


def test_a_visit_moves_to_another_time_and_person(scene: Scene) -> None:
    first, second = therapist(scene), therapist(scene)
    visit_id = visits.book_visit(consult(scene, first, local(24, 11)), by=TESTER)
    appointments.move_session(visit_id, starts_at=local(25, 12), staff_id=second.id, by=TESTER)
    row = queries.session(visit_id)
    assert (row.starts_at, row.staff_id, row.revision) == (local(25, 12), second.id, 1)
    assert row.local_on == date(2026, 11, 25)
    appointments.move_session(visit_id, starts_at=local(25, 12, 15), by=TESTER)  # may overlap its own old place
    with pytest.raises(Invalid):
        appointments.move_session(visit_id, starts_at=local(25, 13), device_id=scene.device.id, by=TESTER)


def test_a_cancelled_visit_frees_person_room_and_pool(scene: Scene) -> None:
    operator = the_operator(scene)
    new = consult(scene, operator, local(24, 9), minutes=120, patient_id=make_patient().id)
    visit_id = visits.book_visit(new, by=TESTER)
    appointments.cancel_session(visit_id, reason="", by=TESTER)
    visits.book_visit(consult(scene, operator, local(24, 8), patient_id=make_patient().id), by=TESTER)
    assert course_at_nine(scene)[0].local_on == date(2026, 11, 24)
    with pytest.raises(AlreadyOver):
        appointments.cancel_session(visit_id, by=TESTER)


def test_the_times_that_are_offered_are_times_that_can_be_booked(scene: Scene) -> None:
    staff, room = therapist(scene), make_room(scene.site)
    make_shifts(staff, scene.site, starts=time(9), ends=time(11))
    db.session.commit()
    visits.book_visit(consult(scene, staff, local(24, 9, 30), patient_id=make_patient().id), by=TESTER)
    wish = VisitWish(
        patient_id=scene.patient.id, staff_id=staff.id, location_id=scene.site.id, minutes=30, room_id=room.id
    )
    found = visits.visit_times(wish, date(2026, 11, 24))
    assert [one.starts_at for one in found] == [local(24, 9), local(24, 10), local(24, 10, 15), local(24, 10, 30)]
    visits.book_visit(consult(scene, staff, found[-1].starts_at, room_id=room.id), by=TESTER)


def test_two_sites_in_two_zones_share_one_patient(scene: Scene) -> None:
    denver = make_location(name="Denver", tz="America/Denver")
    make_device(denver)
    make_shifts(make_staff("operator", skills=("tms", "map")), denver)
    make_decision(scene.patient)
    db.session.commit()
    visits.book_visit(consult(scene, therapist(scene), local(24, 9), minutes=60), by=TESTER)  # 10:00 in Denver
    wish = CourseWish(
        "itbs_left", earliest_start=date(2026, 11, 24), location_ids=(denver.id,), daily_window=(600, 720)
    )
    offer = operations.propose_courses(scene.patient.id, wish, by=TESTER)
    first = queries.proposals(offer.proposal_ids)[0].plan["sessions"][0]
    assert datetime.fromisoformat(first["starts_at"]) >= local(25, 0)


def test_licences_are_states_of_two_letters(scene: Scene) -> None:
    staff = therapist(scene)
    set_licences(staff.id, ["nv", "CA"], by=TESTER)
    assert staff.licensed_in == ["CA", "NV"]
    with pytest.raises(Invalid):
        set_licences(staff.id, ["Nevada"], by=TESTER)
