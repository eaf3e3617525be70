"""Many ask for the same course at once, for real: own database, own connections, threads."""

from concurrent.futures import ThreadPoolExecutor
from datetime import date
from threading import Barrier
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import text

from clinic.db import db
from clinic.errors import SlotTaken
from clinic.scheduling import operations, queries
from clinic.scheduling.wishes import CourseWish
from clinic.staff.operations import create_token
from tests.builders import TESTER, make_decision, make_device, make_location, make_patient, make_shifts, make_staff

pytestmark = pytest.mark.races

CLIENTS = 50
WISH = CourseWish("itbs_left", earliest_start=date(2026, 11, 24), daily_window=(480, 600))
OVERLAPS = """
    SELECT count(*) FROM treatment_sessions a JOIN treatment_sessions b
    ON a.device_id = b.device_id AND a.id < b.id AND a.starts_at < b.device_until AND b.starts_at < a.device_until
    WHERE a.state = 'booked' AND b.state = 'booked'
"""


def make_clinic(patients: int, *, devices: int = 1, operators: int = 1) -> list[int]:
    """One site, and patients who may be booked; answers their ids."""
    site = make_location(name="Fullerton")
    for _ in range(devices):
        make_device(site)
    for _ in range(operators):
        make_shifts(make_staff("operator", skills=("tms", "map")), site)
    ids = []
    for _ in range(patients):
        patient = make_patient()
        make_decision(patient)
        ids.append(patient.id)
    db.session.commit()
    return ids


def race(app: Flask, wishes: list[tuple[int, UUID]]) -> list[object]:
    """Book all of these proposals at the same moment; answers the course or the refusal of each."""
    together = Barrier(len(wishes))

    def book(wish: tuple[int, UUID]) -> object:
        patient_id, proposal_id = wish
        with app.app_context():
            together.wait()
            try:
                return operations.book_course(patient_id, proposal_id=proposal_id, by=TESTER)
            except SlotTaken as refusal:
                return refusal
            finally:
                db.session.remove()

    with ThreadPoolExecutor(len(wishes)) as pool:
        return list(pool.map(book, wishes))


def test_of_fifty_who_want_one_course_one_gets_it(committed_app: Flask, now: object, rings: object) -> None:
    with committed_app.app_context():
        ids = make_clinic(CLIENTS)
        wanted = [(x, operations.propose_courses(x, WISH, by=TESTER).proposal_ids[0]) for x in ids]
        db.session.remove()
    answers = race(committed_app, wanted)
    refused = [answer for answer in answers if isinstance(answer, SlotTaken)]
    assert (len(answers) - len(refused), len(refused)) == (1, 49)
    assert all(refusal.details["offer"].proposal_ids for refusal in refused)
    assert all(len(refusal.details["taken"]) == 36 for refusal in refused)
    with committed_app.app_context():
        assert db.session.scalar(text("SELECT count(*) FROM treatment_sessions")) == 36
        assert db.session.scalar(text("SELECT count(*) FROM courses")) == 1


def test_of_fifty_clicks_on_one_proposal_one_books(committed_app: Flask, now: object, rings: object) -> None:
    with committed_app.app_context():
        (patient_id,) = make_clinic(1)
        proposal_id = operations.propose_courses(patient_id, WISH, by=TESTER).proposal_ids[0]
        db.session.remove()
    answers = race(committed_app, [(patient_id, proposal_id)] * CLIENTS)
    assert [answer.is_new for answer in answers].count(True) == 1  # type: ignore[attr-defined]
    assert len({answer.course_id for answer in answers}) == 1  # type: ignore[attr-defined]


def test_two_devices_and_one_operator_are_never_overbooked(committed_app: Flask, now: object, rings: object) -> None:
    """Every patient is offered the free device; the operator is the limit that no exclusion constraint knows."""
    with committed_app.app_context():
        ids = make_clinic(8, devices=2, operators=1)
        wanted = [(x, operations.propose_courses(x, WISH, by=TESTER).proposal_ids[n % 2]) for n, x in enumerate(ids)]
        db.session.remove()
    race(committed_app, wanted)
    with committed_app.app_context():
        assert db.session.scalar(text(OVERLAPS)) == 0
        together = text("""
            SELECT count(*) FROM treatment_sessions a JOIN treatment_sessions b
            ON a.id < b.id AND a.starts_at < b.ends_at AND b.starts_at < a.ends_at
        """)
        assert db.session.scalar(together) == 0
        assert db.session.scalar(text("SELECT count(*) FROM courses")) >= 1
        assert db.session.scalar(text("SELECT count(*) % 36 FROM treatment_sessions")) == 0


def test_of_fifty_calls_for_one_course_one_answers_created(committed_app: Flask, now: object, rings: object) -> None:
    with committed_app.app_context():
        ids = make_clinic(CLIENTS)
        offer = operations.propose_courses(ids[0], WISH, by=TESTER)
        plan = queries.proposals(offer.proposal_ids)[0].plan
        sessions = [{"starts_at": s["starts_at"], "device": s["device_id"]} for s in plan["sessions"]]
        token = create_token(name="race", role="service", by=TESTER)
        db.session.remove()
    together = Barrier(CLIENTS)

    def book(patient_id: int) -> tuple[int, Any]:
        client = committed_app.test_client()
        together.wait()
        body = {"patient_id": patient_id, "protocol": "itbs_left", "sessions": sessions}
        response = client.post("/api/v1/courses", json=body, headers={"Authorization": f"Bearer {token}"})
        return response.status_code, response.json

    with ThreadPoolExecutor(CLIENTS) as pool:
        answers = list(pool.map(book, ids))
    assert sorted(status for status, _ in answers) == [201] + [409] * 49
    assert all(answer["proposals"] and answer["taken"] for status, answer in answers if status == 409)
    with committed_app.app_context():
        assert db.session.scalar(text(OVERLAPS)) == 0
        assert db.session.scalar(text("SELECT count(*) FROM treatment_sessions")) == 36
