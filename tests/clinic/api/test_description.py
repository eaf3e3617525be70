"""What the API says of itself holds under calls that nobody would write by hand: no fault, no answer that is not described."""

import os
from datetime import date
from random import Random
from typing import Any

import pytest
import schemathesis
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from clinic.db import db
from clinic.scheduling import authorising, closing, operations, queries
from clinic.scheduling.authorising import NewAuthorisation
from clinic.scheduling.wishes import CourseWish
from clinic.staff.operations import create_token
from tests.builders import TESTER, make_staff
from tests.clinic.api.conftest import Scene
from tests.clinic.api.test_api import days_on

SEED = int(os.environ.get("SEED", "1"))
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
FEW = pytest.param(1, id="few")
MANY = pytest.param(60, id="many", marks=pytest.mark.soak)


@pytest.fixture
def real(scene: Scene) -> dict[str, Any]:
    """Values that exist, by the name of the field: half of the calls use them, so that they get past the door."""
    staff = make_staff("therapist", licensed_in=["CA"])
    db.session.commit()
    offer = operations.propose_courses(scene.patient_id, CourseWish("itbs_left"), by=TESTER)
    course_id = operations.book_course(scene.patient_id, proposal_id=offer.proposal_ids[0], by=TESTER).course_id
    approved = NewAuthorisation(
        patient_id=scene.patient_id,
        payer="aetna",
        number="A-1",
        pathway="tms",
        sessions_approved=40,
        valid_from=date(2026, 11, 1),
        valid_until=date(2027, 6, 1),
    )
    outage_id = closing.device_down(scene.device_id, starts_at=days_on(1), ends_at=days_on(2), reason="coil", by=TESTER)
    return {
        "patient_id": scene.patient_id,
        "course_id": course_id,
        "session_id": queries.sessions(course_id)[9].id,
        "device_id": scene.device_id,
        "device": scene.device_id,
        "outage_id": outage_id,
        "authorisation_id": authorising.add_authorisation(approved, by=TESTER),
        "proposal_id": str(offer.proposal_ids[1]),
        "location": scene.location,
        "locations": [scene.location],
        "protocol": "itbs_left",
        "staff": staff.id,
        "pathway": "tms",
        "kind": "daily",
        "starts_at": days_on(5).isoformat(),
        "from": days_on(3).date().isoformat(),
        "to": days_on(9).date().isoformat(),
    }


def with_real(case: Case, real: dict[str, Any], dice: Random) -> Case:
    """Some of the values become ones that exist."""
    for part in (case.path_parameters, case.query, case.body):
        if isinstance(part, dict):
            for name in set(part) & set(real):
                if dice.random() < 0.7:
                    part[name] = real[name]
    return case


@pytest.mark.parametrize("examples", [FEW, MANY])
def test_no_call_ends_in_a_fault_or_in_an_answer_that_is_not_described(
    app: Flask, client: FlaskClient, real: dict[str, Any], examples: int
) -> None:
    schema = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", app)
    tokens = {role: create_token(name="t", role=role, by=TESTER) for role in ("service", "prescriber")}
    for n, found in enumerate(schema.get_all_operations()):
        operation = found.ok()
        if examples == 1 and n % 3 != SEED % 3:
            continue  # the normal suite looks at every third call, another third with another seed

        @seed(SEED)
        @settings(
            max_examples=examples,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(), number=st.integers(0, 10**6))
        def holds(case: Case, number: int) -> None:
            dice = Random(number)
            bearer = tokens["prescriber" if dice.random() < 0.2 else "service"]
            headers = {"Authorization": f"Bearer {bearer}"}
            response = with_real(case, real, dice).call(session=client, headers=headers)
            case.validate_response(response, checks=CHECKS)

        holds()
