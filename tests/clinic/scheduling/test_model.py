"""Random operations on a small clinic, held against a naive model of who has what: refused means unchanged, done means as said."""

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from flask_sqlalchemy import SQLAlchemy
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select

from clinic import clock
from clinic.db import db
from clinic.errors import ClinicError
from clinic.scheduling import (
    answering,
    appointments,
    closing,
    holding,
    making_up,
    operations,
    outages,
    proving,
    queries,
    replanning,
    sweeping,
    undoing,
    visits,
)
from clinic.scheduling.models import HOLDS_PLACE, Course, Hold, TreatmentSession
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
)

MONDAY = datetime(2026, 11, 23, 18, 0, tzinfo=UTC)
LOS_ANGELES = ZoneInfo("America/Los_Angeles")
SEED = int(os.environ.get("SEED", "1"))
# (patient, device, room, staff member, start, end) of one appointment
Place = tuple[int, int | None, int | None, int | None, datetime, datetime]


def place_of(row: TreatmentSession) -> Place:
    return row.patient_id, row.device_id, row.room_id, row.staff_id, row.starts_at, row.device_until


class Calendar(RuleBasedStateMachine):
    """`held` is the model: what holds a place now, by the id of the appointment."""

    database: SQLAlchemy

    @initialize()
    def open_the_clinic(self) -> None:
        self.savepoint = db.engines[None].begin_nested()  # type: ignore[union-attr]
        self.now, self.held = MONDAY, {}
        site = make_location(tz="America/Los_Angeles")
        room = make_room(site)
        self.devices = [make_device(site, room_id=room.id).id, make_device(site).id]
        for _ in range(2):
            make_shifts(make_staff("operator", skills=("tms", "map")), site)
        self.therapist, self.site, self.room = (
            make_staff("therapist", licensed_in=["CA"]).id,
            site.id,
            make_room(site).id,
        )
        self.patients = [make_patient() for _ in range(3)]
        for patient in self.patients:
            make_decision(patient)
        self.patients = [patient.id for patient in self.patients]
        db.session.commit()

    def teardown(self) -> None:
        db.session.remove()
        if hasattr(self, "savepoint"):
            self.savepoint.rollback()

    # -- trying ----------------------------------------------------------------------------------------------------

    def attempt(self, call: Callable[[], Any]) -> Any:
        """What the call answers, or None where it was refused; then the model must not have changed."""
        with clock.frozen(self.now):
            try:
                return call()
            except ClinicError:
                return None

    def row(self, n: int) -> TreatmentSession | None:
        ids = sorted(self.held)
        return queries.session(ids[n % len(ids)]) if ids else None

    def learn(self, *ids: int) -> None:
        """The model follows what an operation said that it did to these appointments."""
        db.session.expire_all()
        for session_id in ids:
            row = queries.session(session_id)
            self.held.pop(session_id, None)
            if row.state in HOLDS_PLACE:
                self.held[session_id] = place_of(row)

    # -- operations ------------------------------------------------------------------------------------------------

    @rule(
        n=st.integers(0, 2),
        hour=st.integers(8, 15),
        hold=st.booleans(),
        then=st.sampled_from(["book", "wait", "let_go"]),
    )
    def course(self, n: int, hour: int, hold: bool, then: str) -> None:
        wish = CourseWish("itbs_left", daily_window=(hour * 60, hour * 60 + 150), count=1)
        self.lapse()
        offer = self.attempt(lambda: operations.propose_courses(self.patients[n], wish, hold=hold, by=TESTER))
        self.held = {
            key: place for key, place in self.held.items() if db.session.get(TreatmentSession, key) is not None
        }
        if offer is None or not offer.proposal_ids:
            return
        planned = [(s.device_id, s.starts_at) for s in holding.planned(queries.proposal(offer.proposal_ids[0]))]
        if then == "let_go" and hold:
            hold_id = holding.hold_of(offer.proposal_ids[0])
            assert self.attempt(lambda: holding.let_go(hold_id or 0, by=TESTER))
            return
        if then != "book":
            self.learn(*db.session.scalars(select(TreatmentSession.id).where(TreatmentSession.hold_id.is_not(None))))
            return
        booked = self.attempt(
            lambda: operations.book_course(self.patients[n], proposal_id=offer.proposal_ids[0], by=TESTER)
        )
        assert booked is not None or not hold, "what is held is booked"
        if booked is not None:
            rows = queries.sessions(booked.course_id)
            assert [(row.device_id, row.starts_at) for row in rows] == planned
            self.learn(*(row.id for row in rows))

    @rule(n=st.integers(0, 500), minutes=st.sampled_from([-120, -30, -5, 5, 15, 45, 1440]), other=st.booleans())
    def move(self, n: int, minutes: int, other: bool) -> None:
        row = self.row(n)
        if row is None:
            return
        target = row.starts_at + timedelta(minutes=minutes)
        device = None if row.is_visit else self.devices[other] if row.device_id in self.devices else row.device_id
        mine, until = row.id, target + (row.device_until - row.starts_at)
        is_free = not any(
            key != mine and device is not None and place[1] == device and place[4] < until and target < place[5]
            for key, place in self.held.items()
        )
        done = self.attempt(
            lambda: appointments.move_session(mine, starts_at=target, device_id=device, by=TESTER) or True
        )
        assert is_free or not done, "a taken place was given away"
        self.learn(mine)
        if done:
            assert self.held[mine][4] == target

    @rule(n=st.integers(0, 500), how=st.sampled_from(["cancel", "miss", "arrive", "confirm", "complete"]))
    def press(self, n: int, how: str) -> None:
        row = self.row(n)
        if row is not None:
            mine = row.id
            done = self.attempt(lambda: getattr(appointments, f"{how}_session")(mine, by=TESTER) or True)
            self.learn(mine)
            assert (mine in self.held) is not (bool(done) and how in ("cancel", "miss"))

    @rule()
    def undo(self) -> None:
        step = self.attempt(lambda: undoing.last_step(TESTER))
        if step is not None and self.attempt(lambda: undoing.undo(step.id, by=TESTER)) is not None:
            self.learn(*step.session_ids)

    @rule(
        n=st.integers(0, 10), how=st.sampled_from(["pause_course", "cancel_course", "resume_course", "make_up", "swap"])
    )
    def change_course(self, n: int, how: str) -> None:
        ids = db.session.scalars(
            select(Course.id).where(Course.patient_id.in_(self.patients)).order_by(Course.id)
        ).all()
        if not ids:
            return
        course_id = ids[n % len(ids)]
        if how == "make_up":
            offered = self.attempt(lambda: making_up.make_ups(course_id))
            if offered is not None and offered.places:
                at, device = offered.places[0].starts_at, offered.places[0].device_id
                self.attempt(lambda: making_up.add_make_up(course_id, starts_at=at, device_id=device, by=TESTER))
        elif how == "swap":
            self.attempt(lambda: making_up.swap_device(course_id, self.devices[n % 2], by=TESTER))
        else:
            reason = {} if how == "resume_course" else {"reason": "model"}
            self.attempt(lambda: getattr(operations, how)(course_id, **reason, by=TESTER))
        self.learn(*(row.id for row in queries.sessions(course_id)))

    @rule(n=st.integers(0, 2), day=st.integers(0, 6), hour=st.integers(8, 17), with_room=st.booleans())
    def visit(self, n: int, day: int, hour: int, with_room: bool) -> None:
        at = (self.now.astimezone(LOS_ANGELES) + timedelta(days=day)).replace(hour=hour, minute=0, second=0)
        new = NewVisit(
            patient_id=self.patients[n],
            kind="therapy",
            staff_id=self.therapist,
            location_id=self.site,
            starts_at=at.astimezone(UTC),
            minutes=50,
            room_id=self.room if with_room else None,
        )
        visit_id = self.attempt(lambda: visits.book_visit(new, by=TESTER))
        if visit_id is not None:
            self.learn(visit_id)

    @rule(which=st.booleans(), day=st.integers(1, 4), answer=st.sampled_from(["accept", "decline", "nothing"]))
    @precondition(lambda self: bool(self.held))
    def outage(self, which: bool, day: int, answer: str) -> None:
        first = self.now.replace(hour=9) + timedelta(days=day)
        outage_id = self.attempt(
            lambda: closing.device_down(
                self.devices[which], starts_at=first, ends_at=first + timedelta(hours=15), reason="model", by=TESTER
            )
        )
        if outage_id is None:
            return
        changed = self.attempt(lambda: replanning.apply_outage(outage_id, by=TESTER)) or []
        for change_id in changed:
            if answer != "nothing":
                self.attempt(lambda x=change_id: getattr(answering, f"{answer}_change")(x, by=TESTER))
        if not changed and outages.get(outage_id).state == "open":
            self.attempt(lambda: closing.withdraw_outage(outage_id, by=TESTER))
        ours = select(TreatmentSession.id).where(TreatmentSession.location_id == self.site)
        self.learn(*db.session.scalars(ours.where(TreatmentSession.change_id.is_not(None))))

    @rule(hours=st.sampled_from([1, 5, 24, 72]))
    def time_goes_by(self, hours: int) -> None:
        self.now += timedelta(hours=hours)
        self.lapse()

    def lapse(self) -> None:
        """What ran out holds nothing, before any sweep; the sweep then takes it away and plans anew."""
        self.attempt(sweeping.sweep)
        ours = select(TreatmentSession.id).where(TreatmentSession.location_id == self.site)
        present = set(db.session.scalars(ours))
        self.held = {key: place for key, place in self.held.items() if key in present}
        self.learn(*db.session.scalars(ours.where(TreatmentSession.change_id.is_not(None))))

    # -- what always holds ------------------------------------------------------------------------------------------

    @invariant()
    def the_calendar_is_the_model(self) -> None:
        if not hasattr(self, "held"):
            return
        with clock.frozen(self.now):
            live = (
                select(TreatmentSession)
                .outerjoin(Hold, Hold.id == TreatmentSession.hold_id)
                .where(
                    TreatmentSession.location_id == self.site,
                    TreatmentSession.state.in_(HOLDS_PLACE),
                    Hold.id.is_(None) | (Hold.expires_at > clock.now()),
                )
            )
            rows = db.session.scalars(live.execution_options(populate_existing=True)).all()
            assert {row.id: place_of(row) for row in rows} == self.held

    @invariant()
    def nothing_is_taken_twice(self) -> None:
        places = sorted(getattr(self, "held", {}).values(), key=lambda place: place[4])
        for n, a in enumerate(places):
            for b in places[n + 1 :]:
                if b[4] >= a[5]:
                    break
                shared = {
                    x
                    for x, y in zip(("patient", "device", "room", "staff"), zip(a, b, strict=True), strict=False)
                    if y[0] == y[1] and y[0] is not None
                }
                assert shared <= ({"patient"} if b[4] >= a[5] - timedelta(minutes=5) else set())

    @invariant()
    def the_proof_finds_nothing(self) -> None:
        if hasattr(self, "held"):
            with clock.frozen(self.now):
                assert [one for one in proving.prove() if not one.pending] == []


@pytest.mark.parametrize(
    ("examples", "steps"),
    [pytest.param(2, 12, id="few"), pytest.param(25, 30, id="many", marks=pytest.mark.soak)],
)
def test_random_operations_keep_to_the_model(database: SQLAlchemy, rings: object, examples: int, steps: int) -> None:
    run_state_machine_as_test(
        Calendar,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            database=None,
            derandomize=SEED == 1,
            suppress_health_check=list(HealthCheck),
        ),
    )
