"""A chair, a person who may sit in it, and a TMS course under way."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from clinic.db import db
from clinic.scheduling import authorising
from clinic.scheduling.authorising import NewAuthorisation
from clinic.treatment import permits
from clinic.treatment.rules import programs
from tests.builders import (
    TESTER,
    course_sessions,
    make_course,
    make_decision,
    make_device,
    make_location,
    make_patient,
    make_profile,
    make_staff,
)

NOW = datetime(2026, 11, 23, 18, tzinfo=UTC)  # Monday, 10:00 at the site
PROGRAM = next(iter(programs()))


def certify(site: Any, *, on: date = date(2026, 1, 1), until: date | None = None) -> None:
    permits.certify_site(
        site.id, PROGRAM, number="C-1", certified_on=on, expires_on=until, staff_id=make_staff("manager").id, by=TESTER
    )


def enroll(patient: Any) -> None:
    staff_id = make_staff("nurse").id
    permits.enroll(patient.id, PROGRAM, number="E-1", enrolled_on=date(2026, 1, 1), staff_id=staff_id, by=TESTER)


def authorize(patient: Any, *, until: date = date(2026, 12, 31), pathway: str = "esketamine") -> None:
    """A payer approved twenty visits of this treatment."""
    authorising.add_authorisation(
        NewAuthorisation(
            patient_id=patient.id,
            payer="Aetna",
            number="A-1",
            pathway=pathway,
            sessions_approved=20,
            valid_from=date(2026, 1, 1),
            valid_until=until,
        ),
        by=TESTER,
    )


@pytest.fixture
def visit(database: Any, now: datetime, rings: list[Any]) -> Callable[..., Any]:
    """`visit()`: an esketamine visit that begins now, the person arrived, all permits there. Answers names for its parts."""

    def make(protocol: str = "esketamine_trd", *, arrived: bool = True, permitted: bool = True) -> Any:
        make_profile()
        site = make_location()
        chair = make_device(site, kind="chair", protocols=[protocol])
        patient = make_patient()
        pathway = "esketamine" if protocol == "esketamine_trd" else "iv_ketamine"
        course = make_course(
            patient,
            [NOW, NOW + timedelta(days=3)],
            device=chair,
            need="obs",
            protocol=protocol,
            state="running",
            decision_id=make_decision(patient, pathway=pathway).id,
        )
        session = course_sessions(course)[0]
        session.state = "arrived" if arrived else "booked"
        db.session.flush()
        if permitted:
            certify(site)
            enroll(patient)
            authorize(patient)
        nurse, prescriber = make_staff("nurse", locations=(site,)), make_staff("prescriber", locations=(site,))
        return SimpleNamespace(
            site=site, chair=chair, patient=patient, course=course, session=session, nurse=nurse, prescriber=prescriber
        )

    return make


@pytest.fixture
def tms(database: Any, now: datetime, rings: list[Any]) -> Any:
    """A TMS course of ten weekday sessions; the first one is now, and the person has arrived."""
    make_profile()
    site = make_location()
    patient = make_patient()
    days = [day for n in range(14) if (day := NOW + timedelta(days=n)).weekday() < 5]
    course = make_course(patient, days, device=make_device(site))
    sessions = course_sessions(course)
    sessions[0].state = "arrived"
    db.session.flush()
    return SimpleNamespace(
        site=site,
        patient=patient,
        course=course,
        sessions=sessions,
        session=sessions[0],
        operator=make_staff("operator", locations=(site,)),
        prescriber=make_staff("prescriber", locations=(site,)),
    )
