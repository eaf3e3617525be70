"""A person whose history was sent and assessed, and a prescriber who releases it."""

import uuid
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from clinic import clock
from clinic.audit import Actor, ActorKind
from clinic.care import drafting, operations, queries
from clinic.care.speaking import speaking
from clinic.eligibility import operations as eligibility
from clinic.eligibility import queries as assessments
from clinic.patients.models import Patient
from tests.builders import eligible_record, make_patient, make_profile, make_staff

STEP_ON = date(2026, 12, 3)


@pytest.fixture(autouse=True)
def _held(now, rings, database) -> None:
    make_profile()


@pytest.fixture
def person(app) -> Patient:
    """Someone whose history is assessed."""
    patient = make_patient()
    send(patient, eligible_record())
    return patient


def send(patient: Patient, record: dict[str, Any]) -> int:
    """Send a record and assess it; answers the assessment's id."""
    by = Actor(ActorKind.SERVICE, "1")
    return eligibility.submit_record(patient.id, record, by=by)[1]


@pytest.fixture
def doctor(database) -> tuple[int, Actor]:
    staff = make_staff("prescriber")
    return staff.id, Actor(ActorKind.STAFF, str(staff.id))


@pytest.fixture
def draft(app, doctor) -> Callable[..., int]:
    """`draft(patient, ...)` prepares and saves a summary; answers its revision. `change` may edit the content."""

    def do(patient: Patient, *, change: Any = None, step: str = "Talk with your doctor.", on: Any = STEP_ON) -> int:
        staff_id, by = doctor
        row = assessments.present_assessment(patient.id)
        assert row is not None
        with app.test_request_context("/"), speaking("en"):
            content = drafting.build(row.result, row.record)
        revision = operations.start_draft(patient.id, row.id, content, language="en", staff_id=staff_id, by=by)
        if change is not None:
            change(content)
        return operations.save_draft(
            patient.id, content, next_step=step, next_step_on=on, revision=revision, staff_id=staff_id, by=by
        )

    return do


@pytest.fixture
def release(draft, doctor) -> Callable[..., int]:
    """`release(patient, ...)` shows the person a summary; answers the release's id."""

    def do(patient: Patient, **more: Any) -> int:
        staff_id, by = doctor
        return operations.release(patient.id, revision=draft(patient, **more), staff_id=staff_id, by=by)

    return do


def new_key() -> str:
    return str(uuid.uuid4())


def shown(patient: Patient) -> Any:
    found = queries.present_release(patient.id)
    assert found is not None
    return found


def today() -> date:
    return clock.today("America/Los_Angeles")
