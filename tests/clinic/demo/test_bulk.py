"""A clinic with years behind it: every rule of the calendar holds, nothing of the past is sent."""

from collections.abc import Iterator
from datetime import timedelta
from functools import partial

import pytest
from flask import Flask
from sqlalchemy import text
from sqlalchemy.dialects.postgresql import ExcludeConstraint

from clinic import clock
from clinic.audit import verifying
from clinic.db import db
from clinic.demo import bulk, load
from clinic.demo.places import Names
from clinic.demo.sizes import SIZES, Size
from clinic.reminders import finding, ledger
from clinic.scheduling import operations, proving
from clinic.scheduling.models import TreatmentSession
from clinic.scheduling.wishes import CourseWish
from tests.builders import TESTER, make_profile, make_staff

TINY = Size("tiny", 700, 60, 1)
NAMES = Names(["Ada", "Noor"], ["Lee", "Ortiz"])
HISTORIES = load._read("people.yaml")["histories"]


@pytest.fixture
def town(committed_app: Flask, now: object, rings: object) -> Iterator[int]:
    """One town with two months behind it; how many people it has."""
    with committed_app.app_context():
        make_profile()
        manager = make_staff("manager").id
        db.session.commit()
        add = partial(bulk.add_years, note="", password="long enough", manager=(manager, TESTER), by=TESTER, seed=7)
        yield add(TINY, (), NAMES, HISTORIES, progress=lambda *_: None)


def count(sql: str) -> int:
    return int(db.session.scalar(text(sql)) or 0)


def test_a_town_in_bulk_breaks_no_rule_and_sends_nothing_of_the_past(town: int) -> None:
    assert town == count("SELECT count(*) FROM patients")
    assert abs(count("SELECT count(*) FROM treatment_sessions") - TINY.appointments) < 100
    assert list(proving.prove()) == []
    apart = {str(rule.name) for rule in TreatmentSession.__table__.constraints if isinstance(rule, ExcludeConstraint)}
    held = "contype = 'x' AND convalidated AND conrelid = 'treatment_sessions'::regclass"
    assert {row.conname for row in db.session.execute(text(f"SELECT conname FROM pg_constraint WHERE {held}"))} == apart
    assert apart
    assert [one for one in finding.find_due(clock.now(), []) if one.due.not_before <= clock.now()] == []
    assert ledger.sweep() == {}
    assert verifying.verify().problems == []


def test_a_town_in_bulk_is_a_clinic_like_any_other(town: int) -> None:
    waits = count("SELECT patient_id FROM tasks WHERE kind = 'book_course' LIMIT 1")
    offer = operations.propose_courses(waits, CourseWish("itbs_left"), by=TESTER)
    booked = operations.book_course(waits, proposal_id=offer.proposal_ids[0], by=TESTER)
    assert booked.is_new
    assert count(f"SELECT count(*) FROM treatment_sessions WHERE course_id = {booked.course_id}") == 36
    assert count("SELECT count(*) FROM scores") > 0
    with clock.frozen(clock.now() + timedelta(days=1)):
        assert sum(ledger.sweep().values()) > 0


@pytest.mark.soak
@pytest.mark.parametrize("size", ["clinic", "network"])
def test_every_size_is_sound(committed_app: Flask, rings: object, size: str) -> None:
    with committed_app.app_context():
        load.load(size=SIZES[size])
        assert count("SELECT count(*) FROM locations") == 4 + SIZES[size].towns
        assert count("SELECT count(*) FROM treatment_sessions") == pytest.approx(SIZES[size].appointments, rel=0.01)
        assert [one for one in proving.prove() if not one.pending] == []
        assert ledger.sweep() == {}
