"""A clinic with one TMS site, and a patient who may be booked."""

from dataclasses import dataclass

import pytest
from flask_sqlalchemy import SQLAlchemy

from clinic.locations.models import Device, Location
from clinic.patients.models import Patient
from tests.builders import make_decision, make_device, make_location, make_patient, make_shifts, make_staff


@dataclass
class Scene:
    """One site open Monday to Friday 8:00-18:00, one device, one operator who can map."""

    site: Location
    device: Device
    patient: Patient


@pytest.fixture
def scene(database: SQLAlchemy, now: object, rings: object) -> Scene:
    site = make_location(name="Fullerton", slug="fullerton")
    device = make_device(site, name="A")
    make_shifts(make_staff("operator", skills=("tms", "map")), site)
    patient = make_patient()
    make_decision(patient)
    database.session.commit()
    return Scene(site, device, patient)
