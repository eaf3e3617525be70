"""Outages: shown first, applied whole or not at all, each person told once, and free to say no."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from clinic import clock
from clinic.db import db
from clinic.errors import AlreadyOver, Conflict, Expired, Invalid, NotFound, ReasonNeeded, Refused, Stale
from clinic.locations.models import Closure, Device, DeviceDowntime, StaffShift
from clinic.scheduling import (
    answering,
    appointments,
    closing,
    holding,
    operations,
    outages,
    queries,
    replanning,
    sweeping,
    visits,
)
from clinic.scheduling.models import Hold, RuleOverride, ScheduleChange, TreatmentSession
from clinic.scheduling.visits import NewVisit
from clinic.scheduling.wishes import CourseWish
from clinic.tasks.models import Task
from tests.builders import (
    TESTER,
    actor_of,
    make_decision,
    make_device,
    make_location,
    make_patient,
    make_shifts,
    make_staff,
)
from tests.clinic.scheduling.conftest import Scene

LOS_ANGELES = ZoneInfo("America/Los_Angeles")


def local(day: int, hour: int = 0, minute: int = 0, month: int = 12) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=LOS_ANGELES).astimezone(UTC)


def book(patient_id: int, *, window: tuple[int, int] = (540, 640)) -> list[TreatmentSession]:
    wish = CourseWish("itbs_left", earliest_start=date(2026, 11, 24), daily_window=window)
    offer = operations.propose_courses(patient_id, wish, by=TESTER)
    booked = operations.book_course(patient_id, proposal_id=offer.proposal_ids[0], by=TESTER)
    return list(queries.sessions(booked.course_id))


@dataclass
class Two:
    """The scene with a second device and operator, and one booked course on the first."""

    scene: Scene
    mate: Device
    rows: list[TreatmentSession]

    @property
    def hit(self) -> TreatmentSession:
        return next(row for row in self.rows if row.local_on == date(2026, 12, 2))


@pytest.fixture
def two(scene: Scene) -> Two:
    mate = make_device(scene.site, name="B")
    make_shifts(make_staff("operator", skills=("tms", "map")), scene.site)
    db.session.commit()
    return Two(scene, mate, book(scene.patient.id))


def down(two: Two, first: int = 2, last: int = 2, **more: Any) -> int:
    return closing.device_down(
        two.rows[0].device_id or 0, starts_at=local(first), ends_at=local(last, 23), reason="coil", by=TESTER, **more
    )


def preview(outage_id: int) -> dict[str, Any]:
    return outages.get(outage_id).preview or {}


def someone() -> int:
    patient = make_patient()
    make_decision(patient)
    db.session.commit()
    return patient.id


def only_device(scene: Scene) -> list[TreatmentSession]:
    return book(scene.patient.id)


# -- preview --------------------------------------------------------------------------------------------------------


def test_the_preview_moves_to_the_other_device_at_the_same_time(two: Two) -> None:
    shown = preview(down(two))
    assert [(x["session_id"], x["to_device"], x["minutes"]) for x in shown["moved"]] == [(two.hit.id, two.mate.id, 0)]
    assert shown["moved"][0]["to_at"] == shown["moved"][0]["from_at"]
    assert (shown["unplaced"], shown["people"], shown["cost"], shown["bound"]) == ([], 1, 10, 10)


def test_nothing_new_is_booked_there_from_the_moment_it_is_known(two: Two) -> None:
    device_id, at = two.rows[0].device_id or 0, two.hit.starts_at + timedelta(hours=2)
    down(two)
    with pytest.raises(Invalid) as refusal:
        appointments.move_session(two.hit.id, starts_at=at, device_id=device_id, by=TESTER)
    assert refusal.value.details["rule"] == "device_is_up"
    assert queries.session(two.hit.id).device_id == device_id  # nobody is moved before it is applied


def test_a_plan_that_holds_places_there_is_let_go(two: Two) -> None:
    wish = CourseWish("itbs_left", earliest_start=date(2026, 11, 24), daily_window=(700, 1000))
    operations.propose_courses(someone(), wish, hold=True, by=TESTER)
    held = db.session.query(TreatmentSession).filter_by(state="held").first()
    assert held is not None
    closing.device_down(held.device_id or 0, starts_at=local(2), ends_at=local(2, 23), reason="coil", by=TESTER)
    assert db.session.query(Hold).one().outcome == "let_go"


@pytest.mark.parametrize(
    ("change", "field"),
    [({"reason": " "}, "reason"), ({"ends_at": local(1)}, "from"), ({"ends_at": local(2, month=1)}, "from")],
)
def test_a_wrong_outage_is_refused(scene: Scene, change: dict[str, Any], field: str) -> None:
    values = {"starts_at": local(2), "ends_at": local(3), "reason": "coil"} | change
    with pytest.raises(Invalid) as refusal:
        closing.device_down(scene.device.id, **values, by=TESTER)
    assert field in refusal.value.details["fields"]
    with pytest.raises(NotFound):
        closing.device_down(999_999, starts_at=local(2), ends_at=local(3), reason="coil", by=TESTER)


# -- apply ----------------------------------------------------------------------------------------------------------


def test_applying_moves_all_of_it_and_writes_one_change_a_person(two: Two) -> None:
    outage_id = down(two, 2, 4)
    (change_id,) = replanning.apply_outage(outage_id, by=TESTER)
    change = answering.get(change_id)
    moved = [row for row in queries.sessions(two.hit.course_id or 0) if row.change_id == change_id]
    assert len(moved) == len(change.moves) == 3
    assert {(row.device_id, row.state, row.revision) for row in moved} == {(two.mate.id, "booked", 1)}
    assert (change.state, change.revision, change.patient_id) == ("told", 1, two.scene.patient.id)
    assert outages.get(outage_id).state == "applied"
    with pytest.raises(AlreadyOver):
        replanning.apply_outage(outage_id, by=TESTER)


def test_a_preview_that_was_overtaken_is_refused_with_a_fresh_one(two: Two) -> None:
    outage_id = down(two)
    appointments.move_session(
        two.hit.id, starts_at=two.hit.starts_at + timedelta(minutes=30), device_id=two.mate.id, by=TESTER
    )
    with pytest.raises(Stale) as refusal:
        replanning.apply_outage(outage_id, by=TESTER)
    assert refusal.value.details["preview"]["moved"] == []
    assert refusal.value.details["revision"] == outages.get(outage_id).revision == 2
    assert replanning.apply_outage(outage_id, revision=2, by=TESTER) == []


def test_a_place_that_was_taken_since_is_never_taken_twice(two: Two) -> None:
    outage_id = down(two)
    other = book(someone(), window=(700, 800))
    twin = next(row for row in other if row.local_on == two.hit.local_on)
    appointments.move_session(twin.id, starts_at=two.hit.starts_at, device_id=two.mate.id, by=TESTER)
    with pytest.raises(Stale) as refusal:
        replanning.apply_outage(outage_id, by=TESTER)
    (line,) = refusal.value.details["preview"]["moved"]
    assert line["to_at"] != line["from_at"]
    replanning.apply_outage(outage_id, by=TESTER)
    assert queries.session(two.hit.id).starts_at == datetime.fromisoformat(line["to_at"])


def test_an_arrival_elsewhere_does_not_make_a_preview_stale(two: Two) -> None:
    outage_id = down(two)
    with clock.frozen(two.rows[0].starts_at):
        appointments.arrive_session(two.rows[0].id, by=TESTER)
        assert len(replanning.apply_outage(outage_id, by=TESTER)) == 1


def test_sessions_may_take_each_others_places(two: Two) -> None:
    """The constraints look row by row, so every place is given back before one is taken."""
    first = next(row for row in book(someone()) if row.local_on == date(2026, 12, 2))
    outage_id = closing.device_down(two.mate.id, starts_at=local(8), ends_at=local(8, 23), reason="coil", by=TESTER)
    places = {first.id: (two.hit.starts_at, two.hit.device_id), two.hit.id: (first.starts_at, first.device_id)}
    outages.get(outage_id).preview = {
        **replanning.EMPTY,
        "moved": [
            {
                "session_id": x.id,
                "patient_id": x.patient_id,
                "course_id": x.course_id,
                "revision": 0,
                "to_at": places[x.id][0].isoformat(),
                "to_device": places[x.id][1],
                "to_location": x.location_id,
                "needs_yes": False,
            }
            for x in (first, two.hit)
        ],
    }
    db.session.commit()
    replanning.apply_outage(outage_id, by=TESTER)
    for key, place in places.items():
        row = queries.session(key)
        db.session.refresh(row)
        assert (row.starts_at, row.device_id) == place


def test_what_finds_no_place_is_owed_and_given_to_the_desk(scene: Scene) -> None:
    rows = only_device(scene)
    outage_id = closing.device_down(
        scene.device.id, starts_at=local(2), ends_at=local(2, month=12) + timedelta(days=365), reason="fire", by=TESTER
    )
    shown = preview(outage_id)
    assert len(shown["unplaced"]) == len([row for row in rows if row.local_on >= date(2026, 12, 2)])
    assert (shown["stage"], shown["bound"]) == ("nearest", None)
    (change_id,) = replanning.apply_outage(outage_id, by=TESTER)
    lost = [row for row in queries.sessions(rows[0].course_id or 0) if row.change_id == change_id]
    assert {row.state for row in lost} == {"cancelled"}
    task = db.session.query(Task).filter_by(kind="reschedule").one()
    assert task.subject == {"change_id": change_id, "course_id": rows[0].course_id}


def test_a_gap_that_is_too_wide_needs_a_prescriber(scene: Scene) -> None:
    only_device(scene)
    user = make_staff("prescriber")
    db.session.commit()
    outage_id = closing.device_down(
        scene.device.id, starts_at=local(1), ends_at=local(12, 23), reason="flood", by=TESTER
    )
    assert preview(outage_id)["breaches"]
    with pytest.raises(ReasonNeeded):
        replanning.apply_outage(outage_id, by=TESTER)
    with pytest.raises(Refused):
        replanning.apply_outage(outage_id, reason="flood", by=TESTER)
    assert outages.get(outage_id).state == "open"
    replanning.apply_outage(outage_id, reason="flood", by=actor_of(user))
    assert db.session.query(RuleOverride).filter_by(rule="gaps_are_allowed").count() >= 1


# -- people and sites -----------------------------------------------------------------------------------------------


def test_an_absence_moves_only_as_many_as_are_too_many(two: Two) -> None:
    other = book(someone())
    together = {row.starts_at for row in two.rows} & {row.starts_at for row in other}
    operator = db.session.query(StaffShift.user_id).order_by(StaffShift.user_id.desc()).limit(1).scalar()
    outage_id = closing.person_away(operator, starts_at=local(2), ends_at=local(2, 23), reason="ill", by=TESTER)
    expected = sum(x.astimezone(LOS_ANGELES).date() == date(2026, 12, 2) for x in together)
    assert len(preview(outage_id)["moved"]) == expected
    replanning.apply_outage(outage_id, by=TESTER)
    rows = db.session.query(TreatmentSession).filter_by(local_on=date(2026, 12, 2), state="booked").all()
    assert all(a.ends_at <= b.starts_at or b.ends_at <= a.starts_at for a in rows for b in rows if a.id < b.id)


def test_the_visits_of_who_is_away_go_to_the_desk(scene: Scene) -> None:
    staff = make_staff("therapist")
    db.session.commit()
    new = NewVisit(
        patient_id=scene.patient.id,
        kind="therapy",
        staff_id=staff.id,
        location_id=scene.site.id,
        starts_at=local(2, 11),
        minutes=50,
    )
    visit_id = visits.book_visit(new, by=TESTER)
    outage_id = closing.person_away(staff.id, starts_at=local(2), ends_at=local(2, 23), reason="ill", by=TESTER)
    assert [x["session_id"] for x in preview(outage_id)["visits"]] == [visit_id]
    replanning.apply_outage(outage_id, by=TESTER)
    assert db.session.query(Task).filter_by(kind="reschedule").one().subject == {"session_id": visit_id}


def test_a_closed_site_sends_its_patients_where_the_treatment_is_given(scene: Scene) -> None:
    rows = only_device(scene)
    south = make_location(name="Laguna Hills")
    make_device(south)
    make_shifts(make_staff("operator", skills=("tms", "map")), south)
    db.session.commit()
    outage_id = closing.site_closed(
        scene.site.id, first=date(2026, 12, 2), last=date(2026, 12, 2), reason="storm", by=TESTER
    )
    (line,) = preview(outage_id)["moved"]
    assert (line["to_location"], line["to_at"]) == (south.id, line["from_at"])
    replanning.apply_outage(outage_id, by=TESTER)
    moved = next(row for row in queries.sessions(rows[0].course_id or 0) if row.change_id is not None)
    assert (moved.location_id, moved.local_on) == (south.id, date(2026, 12, 2))


def test_a_closure_that_was_entered_late_lists_whom_it_hits_and_leads_to_a_repair(scene: Scene) -> None:
    rows = only_device(scene)
    db.session.add(Closure(location_id=scene.site.id, on_date=date(2026, 12, 2), name="staff day"))
    scene.site.schedule_version += 1
    db.session.commit()
    hit = outages.hit_by_closures([scene.site.id])
    assert [row.local_on for row in hit] == [date(2026, 12, 2)]
    outage_id = closing.site_closed(
        scene.site.id, first=date(2026, 12, 2), last=date(2026, 12, 2), reason="staff day", by=TESTER
    )
    replanning.apply_outage(outage_id, by=TESTER)
    assert outages.hit_by_closures([scene.site.id]) == []
    assert len([r for r in queries.sessions(rows[0].course_id or 0) if r.state == "booked"]) == 36


def test_a_device_that_moves_to_another_site_takes_its_courses_along(scene: Scene) -> None:
    rows = only_device(scene)
    south = make_location(name="Laguna Hills")
    make_shifts(make_staff("operator", skills=("tms", "map")), south)
    db.session.commit()
    outage_id, new_id = closing.move_device(
        scene.device.id, south.id, from_at=local(2), reason="offer changed", by=TESTER
    )
    shown = preview(outage_id)
    assert {line["to_device"] for line in shown["moved"]} == {new_id}
    assert shown["unplaced"] == []
    assert len(replanning.apply_outage(outage_id, by=TESTER)) == 1
    course = queries.course(rows[0].course_id or 0)
    assert (course.location_id, course.device_id) == (south.id, new_id)
    with pytest.raises(Conflict):
        closing.move_device(scene.device.id, south.id, from_at=local(3), reason="again", by=TESTER)


# -- the patient's answer -------------------------------------------------------------------------------------------


def squeezed(scene: Scene) -> tuple[int, TreatmentSession]:
    """An outage whose only way out on the day is an earlier time; answers the change and the session."""
    rows = only_device(scene)
    hit = next(row for row in rows if row.local_on == date(2026, 12, 2))
    outage_id = closing.device_down(
        scene.device.id, starts_at=hit.starts_at - timedelta(minutes=5), ends_at=local(2, 23), reason="coil", by=TESTER
    )
    (change_id,) = replanning.apply_outage(outage_id, by=TESTER)
    return change_id, hit


def test_an_earlier_time_is_held_until_the_patient_says_yes(scene: Scene) -> None:
    change_id, hit = squeezed(scene)
    row = queries.session(hit.id)
    assert (answering.get(change_id).state, row.state) == ("asked", "held")
    answering.accept_change(change_id, by=TESTER)
    db.session.refresh(row)
    assert (row.state, row.hold_id) == ("booked", None)
    assert answering.get(change_id).state == "accepted"
    assert db.session.query(Hold).one().outcome == "booked"
    assert row.starts_at < datetime.fromisoformat(answering.get(change_id).moves[0]["from_at"])
    with pytest.raises(AlreadyOver):
        answering.accept_change(change_id, by=TESTER)


def test_a_no_is_planned_anew_without_the_time_that_was_declined(two: Two) -> None:
    outage_id = down(two)
    (change_id,) = replanning.apply_outage(outage_id, by=TESTER)
    first = queries.session(two.hit.id).starts_at
    assert answering.decline_change(change_id, by=TESTER) in ("told", "asked")
    change, row = answering.get(change_id), queries.session(two.hit.id)
    db.session.refresh(row)
    assert row.starts_at != first
    assert (change.revision, row.revision, change.moves[0]["declined"]) == (2, 2, [first.isoformat()])


def test_after_some_noes_a_person_calls(two: Two) -> None:
    (change_id,) = replanning.apply_outage(down(two), by=TESTER)
    answers = [answering.decline_change(change_id, by=TESTER) for _ in range(3)]
    assert answers[-1] == "declined"
    row = queries.session(two.hit.id)
    db.session.refresh(row)
    assert (row.state, answering.get(change_id).state) == ("cancelled", "declined")
    assert db.session.query(Task).filter_by(kind="reschedule").count() == 1
    with pytest.raises(AlreadyOver):
        answering.decline_change(change_id, by=TESTER)


def test_a_no_after_the_device_came_back_returns_to_the_old_place(two: Two) -> None:
    outage_id = down(two)
    old = (two.hit.starts_at, two.hit.device_id)
    (change_id,) = replanning.apply_outage(outage_id, by=TESTER)
    db.session.query(DeviceDowntime).delete()
    two.scene.site.schedule_version += 1
    db.session.commit()
    # the old time on the other device was declined; the old device is free again at that time but the time is not wanted
    answering.decline_change(change_id, by=TESTER)
    row = queries.session(two.hit.id)
    db.session.refresh(row)
    assert row.state in ("booked", "held")
    assert row.device_id == old[1]


def test_what_was_told_stands_when_nobody_answers(two: Two) -> None:
    (change_id,) = replanning.apply_outage(down(two), by=TESTER)
    answer_by = answering.get(change_id).answer_by
    with clock.frozen(answer_by):
        with pytest.raises(Expired):
            answering.accept_change(change_id, by=TESTER)
        sweeping.sweep()
    assert answering.get(change_id).state == "lapsed"
    assert queries.session(two.hit.id).state == "booked"


def test_an_earlier_time_without_a_yes_is_planned_anew(scene: Scene) -> None:
    change_id, hit = squeezed(scene)
    earlier = queries.session(hit.id).starts_at
    with clock.frozen(answering.get(change_id).answer_by):
        sweeping.sweep()
    row = queries.session(hit.id)
    db.session.refresh(row)
    assert row.starts_at != earlier or row.state == "cancelled"
    assert db.session.query(TreatmentSession).filter(TreatmentSession.hold_id.is_not(None)).count() in (0, 1)


def test_open_changes_of_a_person_are_those_that_can_be_answered(scene: Scene) -> None:
    change_id, hit = squeezed(scene)
    assert [x.id for x in answering.open_of_patient(hit.patient_id)] == [change_id]
    answering.accept_change(change_id, by=TESTER)
    assert answering.open_of_patient(hit.patient_id) == []


def test_another_device_at_the_same_time_is_no_open_change(two: Two) -> None:
    assert replanning.apply_outage(down(two), by=TESTER)
    assert answering.open_of_patient(two.scene.patient.id) == []


# -- over -----------------------------------------------------------------------------------------------------------


def test_an_outage_that_did_not_happen_is_withdrawn(two: Two) -> None:
    outage_id = down(two)
    closing.withdraw_outage(outage_id, by=TESTER)
    assert db.session.query(DeviceDowntime).count() == 0
    assert outages.open_outages([two.scene.site.id]) == []
    with pytest.raises(AlreadyOver):
        replanning.apply_outage(outage_id, by=TESTER)


def test_an_outage_that_is_over_early_frees_the_device(two: Two, now: datetime) -> None:
    outage_id = closing.device_down(
        two.rows[0].device_id or 0, starts_at=now, ends_at=local(4), reason="coil", by=TESTER
    )
    replanning.apply_outage(outage_id, by=TESTER)
    with clock.frozen(now + timedelta(hours=2)):
        closing.end_outage(outage_id, by=TESTER)
        places = appointments.open_places(two.scene.site.id, "itbs_left", date(2026, 12, 2), date(2026, 12, 2))
    assert two.rows[0].device_id in {place.device_id for place in places}
    assert db.session.query(ScheduleChange).count() >= 1
    assert holding.run_out() == []
