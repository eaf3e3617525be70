"""The proof finds every violation that is planted past constraints and operations, and nothing where nothing is."""

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from clinic import clock
from clinic.db import db
from clinic.locations.models import Closure, StaffShift
from clinic.scheduling import closing, operations, proving, queries, visits
from clinic.scheduling.authorising import NewAuthorisation, add_authorisation
from clinic.scheduling.models import TreatmentSession
from clinic.scheduling.visits import NewVisit
from clinic.scheduling.wishes import CourseWish
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
    permit_esketamine,
)
from tests.clinic.scheduling.conftest import Scene

EXCLUSIONS = ("device_overlap", "patient_overlap", "spacing", "room_overlap", "staff_overlap")


def book(scene: Scene, patient_id: int | None = None) -> list[TreatmentSession]:
    patient_id = patient_id or scene.patient.id
    wish = CourseWish("itbs_left", earliest_start=date(2026, 11, 24))
    offer = operations.propose_courses(patient_id, wish, by=TESTER)
    booked = operations.book_course(patient_id, proposal_id=offer.proposal_ids[0], by=TESTER)
    return list(queries.sessions(booked.course_id))


def someone() -> int:
    patient = make_patient()
    make_decision(patient)
    db.session.commit()
    return patient.id


def without_constraints() -> None:
    for name in EXCLUSIONS:
        db.session.execute(text(f"ALTER TABLE treatment_sessions DROP CONSTRAINT treatment_sessions_{name}"))


def write(sql: str, **values: Any) -> None:
    db.session.flush()
    db.session.execute(text(sql), values)
    db.session.execute(text("UPDATE locations SET schedule_version = schedule_version + 1"))
    db.session.expire_all()


def rules() -> dict[str, bool]:
    """Rules that are broken, and whether that is pending."""
    return {one.rule: one.pending for one in proving.prove()}


def test_a_calendar_made_by_operations_is_sound(scene: Scene) -> None:
    mate = make_device(scene.site, name="B", room_id=make_room(scene.site).id)
    staff = make_staff("therapist", skills=("obs",), licensed_in=["CA"])
    make_shifts(staff, scene.site)
    add_authorisation(
        NewAuthorisation(
            patient_id=scene.patient.id,
            payer="aetna",
            number="A-1",
            pathway="tms",
            sessions_approved=36,
            valid_from=date(2026, 11, 1),
            valid_until=date(2027, 6, 1),
        ),
        by=TESTER,
    )
    book(scene)
    book(scene, someone())
    at = datetime(2026, 11, 24, 22, tzinfo=UTC)
    new = NewVisit(
        patient_id=someone(), kind="consult", staff_id=staff.id, location_id=scene.site.id, starts_at=at, minutes=30
    )
    visits.book_visit(new, by=TESTER)
    operations.propose_courses(someone(), CourseWish("itbs_left"), hold=True, by=TESTER)
    assert mate.id
    assert list(proving.prove()) == []


def overlap_device(scene: Scene) -> None:
    mine, theirs = book(scene)[5], book(scene, someone())[5]
    write(
        "UPDATE treatment_sessions SET starts_at = :a, ends_at = :b, device_until = :c, local_on = :d WHERE id = :id",
        a=mine.starts_at,
        b=mine.ends_at,
        c=mine.device_until,
        d=mine.local_on,
        id=theirs.id,
    )


def overlap_patient(scene: Scene) -> None:
    first = book(scene)[5]
    make_visit(scene.patient, make_staff("therapist"), scene.site, first.starts_at)


def overlap_course(scene: Scene) -> None:
    rows = book(scene)
    write("UPDATE treatment_sessions SET spaced_until = starts_at + interval '3 days' WHERE id = :id", id=rows[5].id)


def overlap_staff(scene: Scene) -> None:
    staff, at = make_staff("therapist"), datetime(2026, 11, 24, 18, tzinfo=UTC)
    make_visit(make_patient(), staff, scene.site, at)
    make_visit(make_patient(), staff, scene.site, at + timedelta(minutes=15))


def overlap_room(scene: Scene) -> None:
    room, at = make_room(scene.site), datetime(2026, 11, 24, 18, tzinfo=UTC)
    for _ in range(2):
        make_visit(make_patient(), make_staff("therapist"), scene.site, at, room_id=room.id)


@pytest.mark.parametrize(
    ("plant", "rule"),
    [
        (overlap_device, "device"),
        (overlap_patient, "patient"),
        (overlap_course, "hours_between"),
        (overlap_staff, "staff_member"),
        (overlap_room, "room"),
    ],
)
def test_an_overlap_is_found_without_the_constraint(scene: Scene, plant: Callable[[Scene], None], rule: str) -> None:
    without_constraints()
    plant(scene)
    assert rules().get(rule) is False


def test_an_overbooked_operator_is_found(scene: Scene) -> None:
    make_device(scene.site, name="B")
    rows = book(scene)
    db.session.query(StaffShift).update({"starts": time(17, 30)})
    write("SELECT 1")
    found = rules()
    assert found["operator_pool"] is False
    assert rows


def test_a_mapping_without_who_can_map_is_found(scene: Scene) -> None:
    book(scene)
    write("UPDATE staff_users SET skills = '{tms}'")
    assert rules() == {"mapping_skill": False}


def test_an_observer_with_too_many_chairs_is_found(scene: Scene) -> None:
    site = make_location(name="Chairs", chairs_per_observer=2)
    for _ in range(2):
        make_device(site, kind="chair", protocols=["esketamine_trd"])
    make_shifts(make_staff("nurse", skills=("obs",)), site)
    for _ in range(2):
        patient = make_patient()
        make_decision(patient, pathway="esketamine")
        permit_esketamine(patient, site)
        db.session.commit()
        wish = CourseWish("esketamine_trd", location_ids=(site.id,), daily_window=(540, 740))
        offer = operations.propose_courses(patient.id, wish, by=TESTER)
        operations.book_course(patient.id, proposal_id=offer.proposal_ids[0], by=TESTER)
    assert rules() == {}
    write("UPDATE locations SET chairs_per_observer = 1 WHERE id = :id", id=site.id)
    assert rules() == {"observer_capacity": False}


def test_a_session_on_a_device_that_cannot_give_it_is_found(scene: Scene) -> None:
    book(scene)
    write("UPDATE devices SET protocols = '{tms_10hz_left_standard}'")
    assert rules() == {"device_has_capability": False}


def test_a_ledger_that_was_tampered_with_is_found(scene: Scene) -> None:
    rows = book(scene)
    authorisation_id = add_authorisation(
        NewAuthorisation(
            patient_id=scene.patient.id,
            payer="aetna",
            number="A-1",
            pathway="tms",
            sessions_approved=30,
            valid_from=date(2026, 11, 1),
            valid_until=date(2027, 6, 1),
        ),
        by=TESTER,
    )
    assert rules() == {}
    for trigger in ("insert", "update", "delete"):
        db.session.execute(text(f"DROP TRIGGER treatment_sessions_ledger_{trigger} ON treatment_sessions"))
    write(
        "UPDATE treatment_sessions SET authorisation_id = :a WHERE course_id = :c",
        a=authorisation_id,
        c=rows[0].course_id,
    )
    assert rules() == {"authorisation": False}


@pytest.mark.parametrize(
    ("sql", "rule"),
    [
        ("UPDATE courses SET planned_sessions = 30", "more_than_planned"),
        ("UPDATE courses SET state = 'cancelled'", "place_of_an_ended_course"),
        ("UPDATE devices SET location_id = (SELECT max(id) FROM locations)", "device_at_another_site"),
    ],
)
def test_rows_that_contradict_each_other_are_found(scene: Scene, sql: str, rule: str) -> None:
    make_location()
    book(scene)
    write(sql)
    assert rules().get(rule) is False


def test_what_a_late_closure_or_an_open_outage_hits_is_pending(scene: Scene) -> None:
    rows = book(scene)
    db.session.add(Closure(location_id=scene.site.id, on_date=rows[5].local_on, name="storm"))
    write("SELECT 1")
    assert rules() == {"location_is_open": True}
    operator = db.session.query(StaffShift.user_id).limit(1).scalar()
    at = rows[8].starts_at
    closing.person_away(operator, starts_at=at, ends_at=at + timedelta(hours=1), reason="ill", by=TESTER)
    assert rules()["operator_pool"] is True


def test_a_hold_that_ran_out_is_no_violation(scene: Scene, now: datetime) -> None:
    operations.propose_courses(scene.patient.id, CourseWish("itbs_left"), hold=True, by=TESTER)
    with clock.frozen(now + timedelta(hours=1)):
        assert rules() == {}


def test_the_proof_is_made_once_a_day_and_kept(scene: Scene, now: datetime) -> None:
    book(scene)
    first = proving.prove_if_due()
    assert first is not None
    assert (first.appointments, first.violations, first.pending) == (36, 0, 0)
    assert proving.prove_if_due() is None
    with clock.frozen(now + timedelta(hours=28)):
        assert proving.prove_if_due() is not None
