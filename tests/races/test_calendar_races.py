"""Operations that want the same things at the same moment, in threads and in processes: clean refusals, nothing taken twice."""

import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from datetime import date, datetime, timedelta
from random import Random
from threading import Barrier
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text

from clinic import clock, jobs
from clinic.db import db
from clinic.errors import Conflict, Invalid
from clinic.scheduling import (
    appointments,
    authorising,
    closing,
    making_up,
    operations,
    proving,
    queries,
    replanning,
    visits,
)
from clinic.scheduling.authorising import NewAuthorisation
from clinic.scheduling.visits import NewVisit
from clinic.scheduling.wishes import CourseWish
from tests.builders import TESTER, make_patient, make_staff
from tests.conftest import make_app
from tests.races.test_booking_races import make_clinic
from tests.races.test_hold_races import together

pytestmark = pytest.mark.races

FEW = pytest.param(4, id="few")
FIFTY = pytest.param(50, id="fifty", marks=pytest.mark.soak)
SEED = int(os.environ.get("SEED", "1"))


def wish(minutes: tuple[int, int] = (480, 600)) -> CourseWish:
    return CourseWish("itbs_left", earliest_start=clock.now().date() + timedelta(days=5), daily_window=minutes)


def plan(patient_id: int, **more: Any) -> Any:
    return operations.propose_courses(patient_id, wish(**more), by=TESTER).proposal_ids[0]


def book(patient_id: int) -> list[int]:
    proposal_id = plan(patient_id, minutes=(480, 1080))
    booked = operations.book_course(patient_id, proposal_id=proposal_id, by=TESTER)
    return [row.id for row in queries.sessions(booked.course_id)]


def refused(answers: list[object]) -> int:
    return sum(isinstance(answer, Conflict) for answer in answers)


def is_sound(app: Flask) -> None:
    with app.app_context():
        assert [one.text for one in proving.prove() if not one.pending] == []
        db.session.remove()


def prepared(app: Flask, make: Callable[[], Any]) -> Any:
    with app.app_context():
        made = make()
        db.session.remove()
        return made


@pytest.mark.parametrize("clients", [FEW, FIFTY])
def test_moves_race_bookings_for_one_lane(committed_app: Flask, rings: object, clients: int) -> None:
    def make() -> tuple[list[tuple[int, Any]], list[int]]:
        ids = make_clinic(2 * clients)
        movers = [book(x)[4] for x in ids[: min(6, clients // 3)]]
        return [(x, plan(x)) for x in ids[clients:]], movers

    plans, movers = prepared(committed_app, make)
    target = prepared(committed_app, lambda: queries.proposal(plans[0][1]).plan["sessions"][4]["starts_at"])
    at = datetime.fromisoformat(target)
    calls: list[Callable[[], object]] = [
        lambda x=x, p=p: operations.book_course(x, proposal_id=p, by=TESTER) for x, p in plans
    ]
    calls += [lambda m=m: _moved(m, at) for m in movers]
    answers = together(committed_app, calls)
    booked = [answer for answer in answers[: len(plans)] if not isinstance(answer, Conflict)]
    assert len(booked) <= 1 or refused(answers) >= clients - len(booked)
    is_sound(committed_app)


def _moved(session_id: int, at: Any) -> object:
    return clean(lambda: appointments.move_session(session_id, starts_at=at, by=TESTER))


def clean(call: Callable[[], object]) -> object:
    """What lies too near to a place that somebody else just got is a clean refusal too."""
    try:
        return call()
    except Invalid as refusal:
        return Conflict(refusal.message)


@pytest.mark.parametrize("clients", [FEW, FIFTY])
def test_an_outage_races_bookings_into_the_places_that_it_wants(
    committed_app: Flask, rings: object, clients: int
) -> None:
    def make() -> tuple[int, list[tuple[int, Any]]]:
        ids = make_clinic(clients + 2, devices=2, operators=2)
        row = queries.session(book(ids[0])[3])
        outage_id = closing.device_down(
            row.device_id or 0,
            starts_at=row.starts_at - timedelta(hours=8),
            ends_at=row.starts_at + timedelta(hours=12),
            reason="race",
            by=TESTER,
        )
        return outage_id, [(x, plan(x)) for x in ids[2:]]

    outage_id, plans = prepared(committed_app, make)
    calls: list[Callable[[], object]] = [lambda: replanning.apply_outage(outage_id, by=TESTER)] * 2
    calls += [lambda x=x, p=p: operations.book_course(x, proposal_id=p, by=TESTER) for x, p in plans]
    answers = together(committed_app, calls)
    assert sum(isinstance(answer, list) for answer in answers[:2]) <= 1
    is_sound(committed_app)


@pytest.mark.parametrize("clients", [FEW, FIFTY])
def test_the_last_session_of_an_authorisation_is_booked_once(committed_app: Flask, rings: object, clients: int) -> None:
    """Several courses of one person owe a session, and one is left of what the payer approved."""

    def make() -> tuple[list[tuple[int, Any]], int]:
        (patient_id,) = make_clinic(1, devices=2, operators=2)
        rows = book(patient_id)
        course_id = queries.session(rows[0]).course_id or 0
        for session_id in rows[5:10]:
            appointments.cancel_session(session_id, by=TESTER)
        approved = NewAuthorisation(
            patient_id=patient_id,
            payer="aetna",
            number="A-1",
            pathway="tms",
            sessions_approved=32,
            valid_from=date(2020, 1, 1),
            valid_until=date(2199, 1, 1),
        )
        authorisation_id = authorising.add_authorisation(approved, by=TESTER)
        places = making_up.make_ups(course_id, count=5).places
        return [(course_id, places[n % len(places)]) for n in range(clients)], authorisation_id

    owed, authorisation_id = prepared(committed_app, make)
    calls = [
        lambda c=c, p=p: clean(
            lambda: making_up.add_make_up(c, starts_at=p.starts_at, device_id=p.device_id, by=TESTER)
        )
        for c, p in owed
    ]
    answers = together(committed_app, calls)  # type: ignore[arg-type]
    assert (len(answers) - refused(answers), refused(answers)) == (1, clients - 1)
    with committed_app.app_context():
        row = db.session.execute(text("SELECT sessions_taken, sessions_approved FROM authorisations")).one()
        assert tuple(row) == (32, 32)
    is_sound(committed_app)
    assert authorisation_id


@pytest.mark.parametrize("clients", [FEW, FIFTY])
def test_one_staff_member_and_one_patient_are_booked_once(committed_app: Flask, rings: object, clients: int) -> None:
    def make() -> tuple[int, list[int], int, Any]:
        make_clinic(1)
        staff_id = make_staff("therapist").id
        people = [make_patient().id for _ in range(clients)]
        db.session.commit()
        site = db.session.scalar(text("SELECT max(id) FROM locations"))
        day = clock.now() + timedelta(days=7 - clock.now().weekday())
        return staff_id, people, site, day.replace(hour=19, minute=0, second=0, microsecond=0)

    staff_id, people, site, at = prepared(committed_app, make)
    new = NewVisit(patient_id=0, kind="consult", staff_id=staff_id, location_id=site, starts_at=at, minutes=30)
    calls = [lambda x=x: visits.book_visit(replace(new, patient_id=x), by=TESTER) for x in people]
    answers = together(committed_app, calls)  # type: ignore[arg-type]
    assert (len(answers) - refused(answers), refused(answers)) == (1, clients - 1)
    is_sound(committed_app)


# -- processes ------------------------------------------------------------------------------------------------------


def _in_a_process(settings: Any, work: list[tuple[int, Any]], seed: int) -> list[str]:
    """What one process with threads of its own and a warm state of its own got of what it asked for."""
    jobs.ring = lambda *_a, **_k: None  # type: ignore[assignment]
    app, dice, start = make_app(settings), Random(seed), Barrier(len(work))

    def run(one: tuple[int, Any]) -> str:
        with app.app_context():
            start.wait()
            try:
                booked = operations.book_course(one[0], proposal_id=one[1], by=TESTER)
                if dice.random() < 0.5:
                    row = queries.sessions(booked.course_id)[6]
                    _moved(row.id, row.starts_at + timedelta(minutes=15))
                return "booked"
            except Conflict:
                return "refused"
            finally:
                db.session.remove()

    with ThreadPoolExecutor(len(work)) as pool:
        answers = list(pool.map(run, work))
    with app.app_context():
        db.engine.dispose()
    return answers


@pytest.mark.soak
@pytest.mark.parametrize(("processes", "clients"), [(2, 3), (8, 7)])
def test_processes_with_warm_states_of_their_own_take_nothing_twice(
    committed_app: Flask, rings: object, processes: int, clients: int
) -> None:
    def make() -> list[tuple[int, Any]]:
        ids = make_clinic(processes * clients, devices=2, operators=2)
        return [(x, plan(x, minutes=(480, 570 + 30 * (n % 4)))) for n, x in enumerate(ids)]

    plans = prepared(committed_app, make)
    settings = committed_app.config["SETTINGS"]
    parts = [plans[n::processes] for n in range(processes)]
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        answers = [
            a for found in pool.map(_in_a_process, [settings] * processes, parts, range(processes)) for a in found
        ]
    assert answers.count("booked") >= 1
    assert set(answers) <= {"booked", "refused"}
    is_sound(committed_app)
