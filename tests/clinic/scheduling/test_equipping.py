"""Hours, rota and devices: a change shows what it takes the place of, and leads to a re-plan; nothing stays impossible."""

from datetime import date, time, timedelta

import pytest
from sqlalchemy import select, update

from clinic.db import db
from clinic.errors import Conflict, Invalid, NotFound
from clinic.locations import operations as locations
from clinic.locations.models import Location, OpeningHours, StaffShift
from clinic.locations.operations import NewDevice, NewShift, Span
from clinic.scheduling import closing, equipping, fitting, operations, outages, queries, replanning
from clinic.scheduling.equipping import WouldHit
from clinic.scheduling.models import Hold, Outage, TreatmentSession
from clinic.scheduling.wishes import CourseWish
from clinic.tasks.models import Task
from tests.builders import TESTER, make_location, make_shifts, make_staff, make_visit
from tests.clinic.scheduling.conftest import Scene
from tests.clinic.scheduling.test_outages import LOS_ANGELES, book, local

AFTERNOONS = [Span(day, time(12), time(18)) for day in range(5)]
FAR = date(2026, 12, 31)


@pytest.fixture
def rows(scene: Scene) -> list[TreatmentSession]:
    """A course booked at nine in the morning."""
    return book(scene.patient.id)


def set_hours(scene: Scene, spans: list[Span], *, agreed: bool = False) -> int | None:
    def change() -> None:
        locations.set_hours_within_transaction(scene.site.id, spans, by=TESTER)

    return equipping.change_capacity(scene.site.id, change, reason="new hours", agreed=agreed, by=TESTER)


def shifts(scene: Scene) -> list[StaffShift]:
    found = select(StaffShift).where(StaffShift.location_id == scene.site.id).order_by(StaffShift.weekday)
    return list(db.session.scalars(found))


def test_shorter_hours_name_what_they_hit_and_change_nothing(scene: Scene, rows: list[TreatmentSession]) -> None:
    with pytest.raises(WouldHit) as refusal:
        set_hours(scene, AFTERNOONS)
    assert refusal.value.details["sessions"] == sorted(row.id for row in rows)
    assert set(db.session.scalars(select(OpeningHours.opens))) == {time(8)}
    assert (db.session.scalars(select(Outage)).all(), fitting.misfits(scene.site.id)) == ([], set())


def test_agreed_to_they_open_a_replan_that_mends_all_of_it(scene: Scene, rows: list[TreatmentSession]) -> None:
    outage_id = set_hours(scene, AFTERNOONS, agreed=True)
    assert outage_id is not None
    assert len((outages.get(outage_id).preview or {})["moved"]) == len(rows)
    assert fitting.misfits(scene.site.id) == {row.id for row in rows}  # nobody is moved before it is applied
    replanning.apply_outage(outage_id, by=TESTER)
    assert fitting.misfits(scene.site.id) == set()
    assert min(row.starts_at.astimezone(LOS_ANGELES).hour for row in queries.sessions(rows[0].course_id or 0)) >= 12


def test_hours_set_back_need_no_move(scene: Scene, rows: list[TreatmentSession]) -> None:
    outage_id = set_hours(scene, AFTERNOONS, agreed=True) or 0
    assert set_hours(scene, [Span(day, time(8), time(18)) for day in range(5)]) is None
    assert replanning.preview_outage(outage_id)["moved"] == []
    with pytest.raises(Conflict, match="Set the hours or the rota back"):
        closing.withdraw_outage(outage_id, by=TESTER)


def test_longer_hours_open_nothing(scene: Scene, rows: list[TreatmentSession]) -> None:
    assert set_hours(scene, [Span(day, time(7), time(20)) for day in range(5)]) is None
    assert db.session.scalars(select(Outage)).all() == []


def test_what_was_impossible_before_is_not_blamed_on_a_change(scene: Scene, rows: list[TreatmentSession]) -> None:
    set_hours(scene, AFTERNOONS, agreed=True)
    assert set_hours(scene, [Span(day, time(12), time(19)) for day in range(5)]) is None


def test_a_refused_change_leaves_no_trace_in_the_warm_state(scene: Scene, rows: list[TreatmentSession]) -> None:
    with pytest.raises(WouldHit):
        set_hours(scene, AFTERNOONS)
    set_hours(scene, [Span(day, time(8), time(19)) for day in range(5)])  # the same version number as the refused one
    assert fitting.misfits(scene.site.id) == set()


def test_a_plan_that_holds_places_outside_the_new_hours_is_let_go(scene: Scene) -> None:
    wish = CourseWish("itbs_left", earliest_start=date(2026, 11, 24), daily_window=(540, 640))
    operations.propose_courses(scene.patient.id, wish, hold=True, by=TESTER)
    set_hours(scene, AFTERNOONS, agreed=True)
    assert db.session.query(Hold).one().outcome == "let_go"


def test_a_visit_outside_the_new_hours_goes_to_the_desk(scene: Scene) -> None:
    doctor = make_staff("prescriber")
    visit = make_visit(scene.patient, doctor, scene.site, local(2, 9))
    db.session.commit()
    outage_id = set_hours(scene, AFTERNOONS, agreed=True) or 0
    assert [one["session_id"] for one in (outages.get(outage_id).preview or {})["visits"]] == [visit.id]
    replanning.apply_outage(outage_id, by=TESTER)
    assert [task.kind for task in db.session.scalars(select(Task))] == ["reschedule"]


def test_a_shift_that_ends_names_who_is_left_without_an_operator(scene: Scene, rows: list[TreatmentSession]) -> None:
    monday = shifts(scene)[0]
    mondays = {row.id for row in rows if row.local_on.weekday() == 0 and row.local_on > date(2026, 12, 1)}
    with pytest.raises(WouldHit) as refusal:
        equipping.end_shift(monday.id, date(2026, 12, 1), at=scene.site.id, by=TESTER)
    assert set(refusal.value.details["sessions"]) == mondays
    outage_id = equipping.end_shift(monday.id, date(2026, 12, 1), at=scene.site.id, agreed=True, by=TESTER) or 0
    shown = outages.get(outage_id).preview or {}
    assert {line["session_id"] for line in (*shown["moved"], *shown["unplaced"])} == mondays


def test_a_shift_that_somebody_else_works_too_ends_quietly(scene: Scene, rows: list[TreatmentSession]) -> None:
    make_shifts(make_staff("operator", skills=("tms", "map")), scene.site)
    db.session.commit()
    assert equipping.end_shift(shifts(scene)[0].id, FAR, at=scene.site.id, by=TESTER) is None


def test_a_shift_gets_other_hours_from_a_day_on(scene: Scene) -> None:
    old = shifts(scene)[0]
    new = NewShift(user_id=old.user_id, weekday=0, starts=time(10), ends=time(16), valid_from=FAR)
    assert equipping.change_shift(old.id, new, at=scene.site.id, by=TESTER) is None
    mondays = [row for row in shifts(scene) if row.weekday == 0]
    assert [(row.starts, row.valid_from, row.valid_until) for row in mondays] == [
        (time(8), date(2026, 1, 1), FAR - timedelta(days=1)),
        (time(10), FAR, None),
    ]


def test_nobody_is_at_two_places_at_once(scene: Scene) -> None:
    old, elsewhere = shifts(scene)[0], make_location()
    new = NewShift(user_id=old.user_id, weekday=0, starts=time(17), ends=time(20), valid_from=FAR)
    with pytest.raises(Conflict, match="works at Fullerton from 08:00 to 18:00"):
        locations.add_shift(elsewhere.id, new, by=TESTER)
    with pytest.raises(NotFound):
        equipping.end_shift(old.id, FAR, at=elsewhere.id, by=TESTER)


def test_a_treatment_that_is_booked_on_a_device_stays_on_it(scene: Scene, rows: list[TreatmentSession]) -> None:
    with pytest.raises(Conflict, match="is booked here 36 times more"):
        equipping.offer_protocols(scene.device.id, ["tms_10hz_left_dash"], by=TESTER)
    equipping.offer_protocols(scene.device.id, ["itbs_left"], by=TESTER)
    assert scene.device.protocols == ["itbs_left"]
    with pytest.raises(Invalid, match="at least one treatment"):
        equipping.offer_protocols(scene.device.id, ["esketamine_trd"], by=TESTER)


def test_a_device_that_is_added_can_be_booked_at_once(scene: Scene) -> None:
    new = NewDevice(name="B", kind="tms", protocols=["itbs_left"])
    device_id = locations.add_device(scene.site.id, new, by=TESTER)
    assert any(row.device_id for row in book(scene.patient.id))
    assert device_id in {device.id for device in scene.site.devices}


def test_a_change_counts_on_from_the_version_as_it_is(scene: Scene) -> None:
    before = scene.site.schedule_version  # and another process raises it meanwhile
    statement = update(Location).values(schedule_version=Location.schedule_version + 5)
    db.session.execute(statement, execution_options={"synchronize_session": False})
    locations.add_closure(scene.site.id, FAR, "inventory", by=TESTER)
    assert db.session.scalar(select(Location.schedule_version)) == before + 6
