"""Operations that want the same things at the same moment, in threads and in processes: clean refusals, nothing taken twice."""

import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from datetime import date, datetime, timedelta
from random import Random
from threading import Barrier
from time import sleep
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
    holding,
    making_up,
    operations,
    proving,
    queries,
    replanning,
    sweeping,
    visits,
)
from clinic.scheduling.authorising import NewAuthorisation
from clinic.scheduling.visits import NewVisit
from clinic.scheduling.wishes import CourseWish
from tests.builders import TESTER, make_patient, make_staff
from tests.conftest import be_patient, make_app
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
    be_patient(app)

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


# -- any operation against any other, in processes --------------------------------------------------------------------

Asked = tuple[Any, ...]  # the name of an operation below, and what it is called with
LEAD = timedelta(seconds=float(os.environ.get("RACE_LEAD", "20")))  # until every process has started


def _book(patient_id: int, proposal_id: Any) -> object:
    return operations.book_course(patient_id, proposal_id=proposal_id, by=TESTER)


def _apply(outage_id: int) -> object:
    return replanning.apply_outage(outage_id, by=TESTER)


def _sweep() -> object:
    return sweeping.sweep()


DO: dict[str, Callable[..., object]] = {"book": _book, "move": _moved, "apply": _apply, "sweep": _sweep}


def _asks(settings: Any, asked: list[Asked], at: datetime) -> list[str]:
    """What one process got: each thread waits for the one moment at which all processes begin."""
    jobs.ring = lambda *_a, **_k: None  # type: ignore[assignment]
    app, start = make_app(settings), Barrier(len(asked))
    be_patient(app)

    def run(one: Asked) -> str:
        with app.app_context():
            start.wait()
            sleep(max(0.0, (at - clock.now()).total_seconds()))
            try:
                answer = DO[one[0]](*one[1:])
                return "refused" if isinstance(answer, Conflict) else one[0]
            except Conflict:
                return "refused"
            finally:
                db.session.remove()

    with ThreadPoolExecutor(len(asked)) as pool:
        answers = list(pool.map(run, asked))
    with app.app_context():
        db.engine.dispose()
    return answers


def in_processes(app: Flask, processes: int, asked: list[Asked], at: datetime | None = None) -> list[str]:
    """All of it at one moment, spread over processes that know nothing of each other; whatever is no refusal raises."""
    parts = [part for n in range(processes) if (part := asked[n::processes])]
    settings = [app.config["SETTINGS"]] * len(parts)
    with ProcessPoolExecutor(len(parts), mp_context=multiprocessing.get_context("spawn")) as pool:
        found = pool.map(_asks, settings, parts, [at or clock.now() + LEAD] * len(parts))
        return [answer for answers in found for answer in answers]


def lane(app: Flask, clients: int) -> list[Asked]:
    """Everybody asks for the one course that is cheapest: the same device at the same times."""
    return prepared(app, lambda: [("book", x, plan(x)) for x in make_clinic(clients)])  # type: ignore[no-any-return]


PROCESSES = [pytest.param(2, 6, id="two"), pytest.param(5, 50, id="five")]


@pytest.mark.soak
@pytest.mark.parametrize(("processes", "clients"), PROCESSES)
def test_of_many_processes_on_one_lane_one_books(
    committed_app: Flask, rings: object, processes: int, clients: int
) -> None:
    answers = in_processes(committed_app, processes, lane(committed_app, clients))
    assert (answers.count("book"), answers.count("refused")) == (1, clients - 1)
    is_sound(committed_app)


@pytest.mark.soak
@pytest.mark.parametrize(("processes", "clients"), PROCESSES)
def test_moves_in_one_process_race_bookings_in_another(
    committed_app: Flask, rings: object, processes: int, clients: int
) -> None:
    def make() -> list[Asked]:
        ids = make_clinic(clients)
        movers = [book(x)[4] for x in ids[: max(2, clients // 10)]]
        plans = [(x, plan(x)) for x in ids[len(movers) :]]
        at = datetime.fromisoformat(queries.proposal(plans[0][1]).plan["sessions"][4]["starts_at"])
        return [*(("move", x, at) for x in movers), *(("book", x, p) for x, p in plans)]

    answers = in_processes(committed_app, processes, prepared(committed_app, make))
    assert answers.count("book") <= 1
    assert answers.count("move") + answers.count("book") >= 1
    is_sound(committed_app)


@pytest.mark.soak
@pytest.mark.parametrize(("processes", "clients"), PROCESSES)
def test_an_outage_in_one_process_races_bookings_in_another(
    committed_app: Flask, rings: object, processes: int, clients: int
) -> None:
    def make() -> list[Asked]:
        ids = make_clinic(clients, devices=2, operators=2)
        row = queries.session(book(ids[0])[3])
        outage_id = closing.device_down(
            row.device_id or 0,
            starts_at=row.starts_at - timedelta(hours=8),
            ends_at=row.starts_at + timedelta(hours=12),
            reason="race",
            by=TESTER,
        )
        return [("apply", outage_id), ("apply", outage_id), *(("book", x, plan(x)) for x in ids[1:])]

    answers = in_processes(committed_app, processes, prepared(committed_app, make))
    assert answers.count("apply") <= 1
    is_sound(committed_app)


@pytest.mark.soak
@pytest.mark.parametrize(("processes", "clients"), PROCESSES)
def test_a_hold_that_runs_out_races_its_owner_and_others_in_processes(
    committed_app: Flask, rings: object, processes: int, clients: int
) -> None:
    """The owner says yes, others ask for the place and the sweep passes by in the moment in which the hold ends."""

    def make() -> tuple[list[Asked], datetime]:
        ids = make_clinic(clients)
        plans = [plan(x) for x in ids]
        kept = holding.hold_proposal(plans[0], lives=LEAD, by=TESTER)
        return [("sweep",), *(("book", x, p) for x, p in zip(ids, plans, strict=True))], kept.expires_at

    asked, ends = prepared(committed_app, make)
    answers = in_processes(committed_app, processes, asked, ends - timedelta(milliseconds=30))
    assert answers.count("book") == 1
    is_sound(committed_app)
