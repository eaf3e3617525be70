"""A hold runs out while its owner says yes and others ask for the same place: one gets it, nobody gets half."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from random import Random
from threading import Barrier
from time import sleep
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text

from clinic import clock
from clinic.db import db
from clinic.errors import Conflict
from clinic.scheduling import holding, operations, queries, sweeping
from clinic.scheduling.wishes import CourseWish
from tests.builders import TESTER
from tests.races.test_booking_races import OVERLAPS, make_clinic

pytestmark = pytest.mark.races

LIVES = timedelta(seconds=0.6)
SEED = int(os.environ.get("SEED", "1"))


def together(app: Flask, calls: list[Callable[[], object]]) -> list[object]:
    """Call all at the same moment, each on a connection of its own; answers what each answered or refused."""
    start = Barrier(len(calls))

    def run(call: Callable[[], object]) -> object:
        with app.app_context():
            start.wait()
            try:
                return call()
            except Conflict as refusal:
                return refusal
            finally:
                db.session.remove()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def race_at_the_end(app: Flask, owner: int, other: int, dice: Random) -> list[object]:
    """Owner and another ask for one plan in the tenth of a second in which its hold runs out; the sweep passes by."""
    with app.app_context():
        wish = CourseWish("itbs_left", earliest_start=clock.now().date() + timedelta(days=3))
        mine = operations.propose_courses(owner, wish, by=TESTER).proposal_ids[0]
        theirs = operations.propose_courses(other, wish, by=TESTER).proposal_ids[0]
        kept = holding.hold_proposal(mine, lives=LIVES, by=TESTER)
        db.session.remove()

    def at_the_end(call: Callable[[], Any]) -> Callable[[], Any]:
        early = dice.uniform(-0.06, 0.04)

        def run() -> Any:
            sleep(max(0.0, (kept.expires_at - clock.now()).total_seconds() + early))
            return call()

        return run

    return together(
        app,
        [
            at_the_end(lambda: operations.book_course(owner, proposal_id=mine, by=TESTER)),
            at_the_end(lambda: operations.book_course(other, proposal_id=theirs, by=TESTER)),
            at_the_end(sweeping.sweep),
        ],
    )


def rounds(app: Flask, count: int) -> None:
    dice = Random(SEED)
    with app.app_context():
        ids = make_clinic(2 * count)
        db.session.remove()
    for n in range(count):
        owner, other, _ = race_at_the_end(app, ids[2 * n], ids[2 * n + 1], dice)
        with app.app_context():
            assert not (isinstance(owner, Conflict) and isinstance(other, Conflict))
            sweeping.sweep()
            assert db.session.scalar(text(OVERLAPS)) == 0
            left = db.session.execute(text("SELECT state, count(*) FROM treatment_sessions GROUP BY state")).all()
            assert [state for state, _ in left] == ["booked"]
            assert left[0][1] % 36 == 0
            for patient_id in ids[2 * n : 2 * n + 2]:
                for course in queries.courses_of(patient_id):
                    operations.cancel_course(course.id, reason="next round", by=TESTER)
            db.session.execute(text("DELETE FROM treatment_sessions"))
            db.session.commit()


def test_a_hold_that_runs_out_races_its_confirmation(committed_app: Flask, rings: object) -> None:
    rounds(committed_app, 2)


@pytest.mark.soak
def test_many_holds_that_run_out_race_their_confirmation(committed_app: Flask, rings: object) -> None:
    rounds(committed_app, 60)


@pytest.mark.parametrize("clients", [8, pytest.param(50, marks=pytest.mark.soak)])
def test_of_many_who_want_to_hold_one_plan_one_does(committed_app: Flask, rings: object, clients: int) -> None:
    with committed_app.app_context():
        ids = make_clinic(clients)
        wish = CourseWish("itbs_left", earliest_start=clock.now().date() + timedelta(days=3))
        plans = [operations.propose_courses(x, wish, by=TESTER).proposal_ids[0] for x in ids]
        db.session.remove()
    answers = together(committed_app, [lambda plan=plan: holding.hold_proposal(plan, by=TESTER) for plan in plans])  # type: ignore[misc]
    assert sum(isinstance(answer, holding.Kept) for answer in answers) == 1
    with committed_app.app_context():
        assert db.session.scalar(text("SELECT count(*) FROM treatment_sessions WHERE state = 'held'")) == 36
