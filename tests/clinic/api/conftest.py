"""A caller with a token, and a clinic with one TMS site and a patient who may be booked."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from flask.testing import FlaskClient
from flask_sqlalchemy import SQLAlchemy

from clinic.staff.operations import create_token
from tests.builders import TESTER, make_decision, make_device, make_location, make_patient, make_shifts, make_staff


@dataclass
class Scene:
    """Ids of what the calls are about."""

    patient_id: int
    device_id: int
    location: str


@pytest.fixture
def scene(database: SQLAlchemy, now: object, rings: object) -> Scene:
    site = make_location(name="Fullerton", slug="fullerton")
    device = make_device(site, name="A")
    make_shifts(make_staff("operator", skills=("tms", "map")), site)
    patient = make_patient()
    make_decision(patient)
    database.session.commit()
    return Scene(patient.id, device.id, site.slug)


@pytest.fixture
def call(client: FlaskClient, scene: Scene) -> Callable[..., Any]:
    """`call("POST", "/courses", {...}, role=..., key=...)` answers the response."""
    tokens: dict[str, str] = {}

    def do(method: str, path: str, body: Any = None, *, role: str = "service", key: str | None = None) -> Any:
        if role not in tokens:
            tokens[role] = create_token(name="test", role=role, by=TESTER)
        headers = {"Authorization": f"Bearer {tokens[role]}"}
        if key is not None:
            headers["Idempotency-Key"] = key
        return client.open(f"/api/v1{path}", method=method, json=body, headers=headers)

    return do
