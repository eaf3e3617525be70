"""Whole courses: proposed, booked once, or refused with a reason."""

import itertools
from collections import Counter
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import select

from clinic import clock
from clinic.eligibility.models import Decision
from clinic.errors import AlreadyOver, Conflict, DecisionRequired, Expired, Invalid, NotFound, SlotTaken
from clinic.locations.models import Closure, DeviceDowntime, Location
from clinic.protocols.shapes import bookable
from clinic.scheduling import appointments, holding, operations, queries
from clinic.scheduling.models import Course, TreatmentSession
from clinic.scheduling.operations import AskedSession
from clinic.scheduling.wishes import CourseWish
from tests.builders import (
    TESTER,
    make_decision,
    make_device,
    make_location,
    make_patient,
    make_shifts,
    make_staff,
    make_visit,
    permit_esketamine,
)
from tests.clinic.scheduling.conftest import Scene

LOS_ANGELES = ZoneInfo("America/Los_Angeles")
ITBS = CourseWish("itbs_left")


def propose(scene: Scene, wish: CourseWish = ITBS) -> operations.Offer:
    return operations.propose_courses(scene.patient.id, wish, by=TESTER)


def first_proposal(scene: Scene, wish: CourseWish = ITBS) -> UUID:
    return propose(scene, wish).proposal_ids[0]


def book(scene: Scene, wish: CourseWish = ITBS) -> int:
    return operations.book_course(scene.patient.id, proposal_id=first_proposal(scene, wish), by=TESTER).course_id


def another_patient() -> int:
    patient = make_patient()
    make_decision(patient)
    return patient.id


def version_of(location: Location) -> int:
    return queries.db.session.scalar(select(Location.schedule_version).where(Location.id == location.id))


def test_three_proposals_differ_in_kind(scene: Scene) -> None:
    rows = queries.proposals(propose(scene).proposal_ids)
    assert len({row.kind for row in rows}) == 3
    assert all(row.plan["why"] for row in rows)
    assert len({str(row.plan["sessions"]) for row in rows}) == 3


def test_the_standard_course_is_booked_as_the_protocol_has_it(scene: Scene) -> None:
    sessions = queries.sessions(book(scene))
    assert [s.number for s in sessions] == list(range(1, 37))
    assert Counter(s.kind for s in sessions) == {"mapping": 1, "daily": 29, "taper": 6}
    assert sessions[0].ends_at - sessions[0].starts_at == timedelta(minutes=70)  # a slot of 75 with 5 of turnover
    assert {s.ends_at - s.starts_at for s in sessions[1:]} == {timedelta(minutes=10)}
    assert {s.device_until - s.ends_at for s in sessions} == {timedelta(minutes=5)}
    weeks = Counter(s.local_on.isocalendar()[:2] for s in sessions if s.kind == "taper")
    assert sorted(weeks.values(), reverse=True) == [3, 2, 1]


def test_booking_writes_version_audit_and_doorbell(scene: Scene, rings: list[tuple[str, dict[str, int]]]) -> None:
    before = version_of(scene.site)
    course_id = book(scene)
    assert version_of(scene.site) == before + 1
    assert queries.course(course_id).state == "booked"
    assert ("reminders.sweep", {}) in rings


def test_a_double_click_books_one_course(scene: Scene) -> None:
    proposal_id = first_proposal(scene)
    first = operations.book_course(scene.patient.id, proposal_id=proposal_id, by=TESTER)
    second = operations.book_course(scene.patient.id, proposal_id=proposal_id, by=TESTER)
    assert (first.is_new, second.is_new) == (True, False)
    assert first.course_id == second.course_id
    assert len(queries.courses_of(scene.patient.id)) == 1


def test_nothing_is_proposed_or_booked_without_an_approving_decision(scene: Scene) -> None:
    proposal_id = first_proposal(scene)
    decision = queries.db.session.scalar(select(Decision).where(Decision.patient_id == scene.patient.id))
    decision.superseded_at = clock.now()
    queries.db.session.commit()
    with pytest.raises(DecisionRequired):
        operations.book_course(scene.patient.id, proposal_id=proposal_id, by=TESTER)
    with pytest.raises(DecisionRequired):
        propose(scene)


def test_approval_of_one_treatment_does_not_open_another(scene: Scene) -> None:
    with pytest.raises(DecisionRequired):
        propose(scene, CourseWish("esketamine_trd"))


def test_a_taken_course_is_refused_with_fresh_proposals(scene: Scene) -> None:
    other = another_patient()
    mine = first_proposal(scene)
    theirs = operations.propose_courses(other, ITBS, by=TESTER).proposal_ids[0]
    operations.book_course(other, proposal_id=theirs, by=TESTER)
    with pytest.raises(SlotTaken) as refusal:
        operations.book_course(scene.patient.id, proposal_id=mine, by=TESTER)
    assert len(refusal.value.details["taken"]) == 36
    assert queries.courses_of(scene.patient.id) == []
    fresh = refusal.value.details["offer"].proposal_ids
    assert operations.book_course(scene.patient.id, proposal_id=fresh[0], by=TESTER).is_new


def test_the_patients_own_visit_is_named_where_it_stands_in_the_way(scene: Scene) -> None:
    mine = first_proposal(scene)
    third = holding.planned(queries.proposal(mine))[2]
    make_visit(scene.patient, make_staff("therapist"), scene.site, third.starts_at)
    with pytest.raises(SlotTaken) as refusal:
        operations.book_course(scene.patient.id, proposal_id=mine, by=TESTER)
    assert [(one["number"], one["rule"]) for one in refusal.value.details["taken"]] == [(3, "patient_is_free")]


def test_an_expired_proposal_is_refused_with_fresh_ones(scene: Scene, now: datetime) -> None:
    proposal_id = first_proposal(scene)
    with clock.frozen(now + timedelta(minutes=15)), pytest.raises(Expired) as refusal:
        operations.book_course(scene.patient.id, proposal_id=proposal_id, by=TESTER)
    assert refusal.value.details["offer"].proposal_ids


def test_the_proposal_of_another_patient_is_not_found(scene: Scene) -> None:
    proposal_id = first_proposal(scene)
    with pytest.raises(NotFound):
        operations.book_course(another_patient(), proposal_id=proposal_id, by=TESTER)


def test_closures_are_skipped(scene: Scene) -> None:
    for day in (date(2026, 11, 26), date(2026, 11, 27)):
        queries.db.session.add(Closure(location_id=scene.site.id, on_date=day, name="Thanksgiving"))
    queries.db.session.flush()
    dates = [s.local_on for s in queries.sessions(book(scene, CourseWish("itbs_left", daily_window=(840, 1080))))]
    assert dates[0] == date(2026, 11, 23)
    assert dates[:5] == [date(2026, 11, d) for d in (23, 24, 25, 30)] + [date(2026, 12, 1)]


@pytest.mark.parametrize(
    ("start", "before", "after"),
    [(date(2027, 2, 22), time(9), time(9)), (date(2027, 10, 11), time(9), time(9))],
    ids=["spring", "autumn"],
)
def test_a_course_across_a_clock_change_keeps_its_wall_time(
    scene: Scene, start: date, before: time, after: time
) -> None:
    wish = CourseWish("itbs_left", earliest_start=start, daily_window=(540, 630))
    sessions = queries.sessions(book(scene, wish))
    local = [s.starts_at.astimezone(LOS_ANGELES) for s in sessions]
    assert {x.utcoffset() for x in local} == {timedelta(hours=-7), timedelta(hours=-8)}
    assert {x.time() for x in local[1:]} == {before} == {after}


def test_a_site_without_tms_is_never_offered_and_says_why(scene: Scene) -> None:
    beverly = make_location(name="Beverly Hills", slug="beverly-hills")
    offer = propose(scene, CourseWish("itbs_left", location_ids=(beverly.id,)))
    assert offer.proposal_ids == ()
    assert offer.binding[0]["rule"] == "device_has_capability"
    assert "is not given at Beverly Hills" in offer.binding[0]["text"]
    assert any("Fullerton" in change["text"] for change in offer.binding[0]["opens"])


def test_a_patient_of_a_site_without_tms_is_offered_the_nearest_one(scene: Scene) -> None:
    home = make_location(name="Beverly Hills", latitude=34.07, longitude=-118.40)
    near = make_location(name="Pasadena", latitude=34.11, longitude=-118.15)
    far = make_location(name="Laguna Hills", latitude=33.60, longitude=-117.70)
    for site in (near, far):
        make_device(site)
        make_shifts(make_staff(skills=("tms", "map")), site)
    scene.site.latitude, scene.site.longitude = 33.87, -117.92
    scene.patient.preferred_location_id = home.id
    queries.db.session.flush()
    rows = queries.proposals(propose(scene).proposal_ids)
    assert near.id in {row.plan["location_id"] for row in rows}
    assert home.id not in {row.plan["location_id"] for row in rows}


def test_no_course_names_the_binding_rule_and_what_opens_one(scene: Scene) -> None:
    offer = propose(scene, CourseWish("itbs_left", daily_window=(480, 540)))  # mapping alone needs 75 minutes
    assert offer.proposal_ids == ()
    assert offer.binding[0]["rule"] == "inside_one_window"
    assert "windows" in {change["kind"] for change in offer.binding[0]["opens"]}


def test_no_operator_who_can_map_means_no_course(scene: Scene, database: SQLAlchemy) -> None:
    site = make_location(name="Laguna Hills")
    make_device(site)
    make_shifts(make_staff("operator", skills=("tms",)), site)
    offer = propose(scene, CourseWish("itbs_left", location_ids=(site.id,)))
    assert offer.binding[0]["rule"] == "staff_are_on_shift"


def test_a_course_given_by_hand_is_booked(scene: Scene) -> None:
    row = queries.proposals(propose(scene).proposal_ids)[0]
    asked = [AskedSession(datetime.fromisoformat(s["starts_at"]), s["device_id"]) for s in row.plan["sessions"]]
    booked = operations.book_course(scene.patient.id, protocol="itbs_left", sessions=asked, by=TESTER)
    assert len(queries.sessions(booked.course_id)) == 36


def test_a_course_given_by_hand_keeps_the_rules(scene: Scene) -> None:
    row = queries.proposals(propose(scene).proposal_ids)[0]
    asked = [AskedSession(datetime.fromisoformat(s["starts_at"]), s["device_id"]) for s in row.plan["sessions"]]
    with pytest.raises(Invalid, match="36 sessions, 35"):
        operations.book_course(scene.patient.id, protocol="itbs_left", sessions=asked[:-1], by=TESTER)
    late = [*asked[:-1], AskedSession(asked[-1].starts_at + timedelta(days=14), asked[-1].device_id)]
    with pytest.raises(Invalid, match="days since the visit before"):
        operations.book_course(scene.patient.id, protocol="itbs_left", sessions=late, by=TESTER)
    night = [*asked[:-1], AskedSession(asked[-1].starts_at.replace(hour=10), asked[-1].device_id)]
    with pytest.raises(Invalid):
        operations.book_course(scene.patient.id, protocol="itbs_left", sessions=night, by=TESTER)


def test_staff_pools_are_never_exceeded(scene: Scene) -> None:
    make_device(scene.site, name="B")  # two devices, one operator
    queries.db.session.execute(
        Location.__table__.update().where(Location.id == scene.site.id).values(schedule_version=2)
    )
    window = (480, 600)
    for patient_id in (scene.patient.id, another_patient(), another_patient()):
        offer = operations.propose_courses(patient_id, CourseWish("itbs_left", daily_window=window), by=TESTER)
        if offer.proposal_ids:
            operations.book_course(patient_id, proposal_id=offer.proposal_ids[0], by=TESTER)
    rows = queries.db.session.scalars(select(TreatmentSession).order_by(TreatmentSession.starts_at)).all()
    assert len(rows) >= 72
    assert all(a.ends_at <= b.starts_at for a, b in itertools.pairwise(rows))


def test_two_courses_of_one_patient_never_overlap(scene: Scene) -> None:
    make_device(scene.site, name="B")
    make_shifts(make_staff(skills=("tms", "map")), scene.site)
    book(scene)
    book(scene)
    rows = queries.db.session.scalars(select(TreatmentSession).order_by(TreatmentSession.starts_at)).all()
    assert len(rows) == 72
    assert all(a.ends_at <= b.starts_at for a, b in itertools.pairwise(rows))


def test_an_accelerated_course_books_ten_sessions_a_day(scene: Scene) -> None:
    scene.device.protocols = ["saint_snt"]
    queries.db.session.flush()
    sessions = queries.sessions(book(scene, CourseWish("saint_snt", daily_window=(480, 1080))))
    assert len(sessions) == 51
    per_day = Counter(s.local_on for s in sessions if s.kind == "daily")
    assert set(per_day.values()) == {10}
    assert len(per_day) == 5


def test_a_gap_over_thanksgiving_is_named_with_its_dates(scene: Scene) -> None:
    for day, name in ((26, "Thanksgiving"), (27, "Day after Thanksgiving")):
        queries.db.session.add(Closure(location_id=scene.site.id, on_date=date(2026, 11, day), name=name))
    queries.db.session.commit()
    (row,) = queries.proposals(
        propose(scene, CourseWish("itbs_left", latest_start=date(2026, 11, 24), count=1)).proposal_ids
    )
    named = "5 days from Wed Nov 25 to Mon Nov 30: Thu Nov 26 closed (Thanksgiving), Fri Nov 27 closed (Day after Thanksgiving)"
    assert named in row.plan["why"]
    assert [gap["text"] for gap in row.plan["gaps"] if not gap["expected"]] == [named]


def test_what_stood_in_the_way_of_the_usual_time_is_noted(scene: Scene) -> None:
    for day, opens, closes in ((30, time(8), time(9, 30)), (25, time(9, 30), time(18))):
        span = [datetime.combine(date(2026, 11, day), at, LOS_ANGELES).astimezone(UTC) for at in (opens, closes)]
        queries.db.session.add(
            DeviceDowntime(device_id=scene.device.id, starts_at=span[0], ends_at=span[1], reason="service")
        )
    queries.db.session.commit()
    wish = CourseWish("itbs_left", daily_window=(480, 640), latest_start=date(2026, 11, 24), count=1)
    (row,) = queries.proposals(propose(scene, wish).proposal_ids)
    (note,) = row.plan["notes"].values()
    assert "device out of service (open if the device is back in service, " in note


def test_a_payers_shape_is_booked_on_the_devices_of_its_protocol(scene: Scene) -> None:
    course_id = book(scene, CourseWish("itbs_left.noridian"))
    course = queries.course(course_id)
    assert (course.protocol, course.planned_sessions) == ("itbs_left.noridian", 25)
    assert course.protocol_version == bookable()["itbs_left.noridian"].edition
    assert [s.number for s in queries.sessions(course_id)] == list(range(1, 26))


def test_a_maintenance_visit_keeps_its_weeks_after_the_last_session(scene: Scene) -> None:
    course_id = book(scene, CourseWish("itbs_left", latest_start=date(2026, 11, 24)))
    sessions = queries.sessions(course_id)
    with clock.frozen(sessions[-1].starts_at):
        for row in sessions:
            appointments.complete_session(row.id, by=TESTER)
        visit_id = book(scene, CourseWish("itbs_left.maintenance"))
    (visit,) = queries.sessions(visit_id)
    assert 5 <= (visit.local_on - sessions[-1].local_on).days <= 9  # the first week that is wanted, and no sooner
    assert (visit.kind, visit.ends_at - visit.starts_at) == ("maintenance", timedelta(minutes=10))


def test_an_accelerated_day_that_was_broken_off_is_resumed_as_a_shorter_one(scene: Scene) -> None:
    scene.device.protocols = ["saint_snt"]
    queries.db.session.flush()
    sessions = queries.sessions(book(scene, CourseWish("saint_snt", date(2026, 11, 24), daily_window=(480, 1080))))
    with clock.frozen(sessions[25].starts_at):
        for row in sessions[:25]:
            appointments.complete_session(row.id, by=TESTER)
        operations.pause_course(sessions[0].course_id, reason="device", by=TESTER)
        resumed = operations.resume_course(sessions[0].course_id, on=date(2026, 12, 7), by=TESTER)
    assert (resumed.sessions, resumed.needs_review) == (26, True)
    assert "its last 6 sessions are planned as a day of their own" in resumed.review
    rows = [row for row in queries.sessions(sessions[0].course_id) if row.state == "booked"]
    assert [row.number for row in rows] == list(range(26, 52))
    assert list(Counter(row.local_on for row in rows).values()) == [6, 10, 10]


@pytest.mark.parametrize(
    "wish",
    [
        CourseWish("no_such_protocol"),
        CourseWish("itbs_left", daily_window=(600, 540)),
        CourseWish("itbs_left", weekdays=(7,)),
        CourseWish("itbs_left", count=0),
        CourseWish("itbs_left", earliest_start=date(2030, 1, 1)),
        CourseWish("itbs_left", latest_start=date(2020, 1, 1)),
    ],
)
def test_a_wrong_wish_is_refused(scene: Scene, wish: CourseWish) -> None:
    with pytest.raises(Invalid):
        propose(scene, wish)


def test_cancelling_frees_every_place(scene: Scene) -> None:
    course_id = book(scene)
    operations.cancel_course(course_id, reason="moved away", by=TESTER)
    assert queries.course(course_id).state == "cancelled"
    assert {s.state for s in queries.sessions(course_id)} == {"cancelled"}
    with pytest.raises(AlreadyOver):
        operations.cancel_course(course_id, reason="", by=TESTER)
    assert len(queries.sessions(book(scene))) == 36


def test_a_paused_course_is_resumed_with_what_is_owed(scene: Scene) -> None:
    course_id = book(scene)
    operations.pause_course(course_id, reason="ill", by=TESTER)
    assert queries.course(course_id).state == "paused"
    with pytest.raises(Conflict):
        operations.pause_course(course_id, reason="", by=TESTER)
    resumed = operations.resume_course(course_id, on=date(2026, 12, 7), by=TESTER)
    assert (resumed.sessions, resumed.needs_review) == (36, False)
    rows = [s for s in queries.sessions(course_id) if s.state == "booked"]
    assert rows[0].local_on == date(2026, 12, 7)
    assert queries.course(course_id).state == "booked"


def test_resuming_a_course_that_is_not_paused_is_refused(scene: Scene) -> None:
    with pytest.raises(Conflict):
        operations.resume_course(book(scene), by=TESTER)


def test_the_database_alone_refuses_an_overlap(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    other = another_patient()
    mine = first_proposal(scene)
    theirs = operations.propose_courses(other, ITBS, by=TESTER).proposal_ids[0]
    operations.book_course(other, proposal_id=theirs, by=TESTER)
    monkeypatch.setattr("clinic.scheduling.booking.refuse_taken", lambda *_, **__: None)
    with pytest.raises(SlotTaken) as refusal:
        operations.book_course(scene.patient.id, proposal_id=mine, by=TESTER)
    assert refusal.value.details["why"] == "the device was booked by someone else"
    assert queries.db.session.scalar(select(Course).where(Course.patient_id == scene.patient.id)) is None


def test_what_another_process_changed_is_seen_by_its_version(scene: Scene) -> None:
    course_id = book(scene)
    assert propose_at(scene, time(8)) == []
    sessions = TreatmentSession.__table__.update().where(TreatmentSession.course_id == course_id)
    queries.db.session.execute(sessions.values(state="cancelled", ended_at=datetime(2026, 11, 23, tzinfo=UTC)))
    queries.db.session.execute(Location.__table__.update().values(schedule_version=Location.schedule_version + 1))
    assert propose_at(scene, time(8)) != []


def propose_at(scene: Scene, at: time) -> list[UUID]:
    """Proposals that have room only at this time of day, in the days of the first course."""
    minute = at.hour * 60 + at.minute
    wish = CourseWish("tms_10hz_left_dash", daily_window=(minute, minute + 90), latest_start=date(2026, 11, 24))
    return list(operations.propose_courses(another_patient(), wish, by=TESTER).proposal_ids)


def test_an_observer_watches_no_more_chairs_than_the_site_allows(scene: Scene) -> None:
    site = make_location(name="Chairs", chairs_per_observer=2)
    for _ in range(3):
        make_device(site, kind="chair", protocols=["esketamine_trd"])
    make_shifts(make_staff("nurse", skills=("obs",)), site)
    wish = CourseWish(
        "esketamine_trd", location_ids=(site.id,), daily_window=(540, 740), latest_start=date(2026, 11, 24)
    )
    offers = []
    for _ in range(3):
        patient = make_patient()
        make_decision(patient, pathway="esketamine")
        permit_esketamine(patient, site)
        queries.db.session.commit()
        offers.append(operations.propose_courses(patient.id, wish, by=TESTER))
        if offers[-1].proposal_ids:
            operations.book_course(patient.id, proposal_id=offers[-1].proposal_ids[0], by=TESTER)
    assert [bool(offer.proposal_ids) for offer in offers] == [True, True, False]
    assert offers[2].binding[0]["rule"] == "staff_are_free"
    rows = queries.db.session.scalars(select(TreatmentSession).where(TreatmentSession.location_id == site.id)).all()
    assert len(rows) == 24
    assert all(sum(x.starts_at <= row.starts_at < x.ends_at for x in rows) <= 2 for row in rows)
