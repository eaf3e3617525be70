"""A person at the form."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from clinic.db import db
from clinic.intake.models import Intake
from tests.builders import make_location, make_profile

ABOUT = {"given": "Ada", "family": "Example", "birth_month": "5", "birth_day": "17", "birth_year": "1980"}
CONTACT = {"email": "ada@example.org", "phone": "714 555 0123"}


class Person:
    """A browser that fills the form; `intake` is the row behind it."""

    def __init__(self, client: FlaskClient) -> None:
        self.client = client
        self.client.post("/intake/start")
        self.intake_id = db.session.query(Intake.id).order_by(Intake.id.desc()).limit(1).scalar()

    @property
    def intake(self) -> Intake:
        db.session.expire_all()
        return db.session.get_one(Intake, self.intake_id)

    def get(self, page: str) -> Any:
        return self.client.get(f"/intake/{page}")

    def save(self, page: str, **values: Any) -> Any:
        """Leave a page that was just loaded, with these answers."""
        html = self.get(page).get_data(as_text=True)
        return self.client.post(f"/intake/{page}", data=hidden(html) | values)

    def known(self, **about: Any) -> "Person":
        """With the two pages about the person left."""
        self.save("about", **(ABOUT | about))
        self.save("contact", **CONTACT)
        return self

    def add_medicine(self, drug: str) -> str:
        """Add a medicine and answer its key."""
        answer = self.save("medicines", drug=drug, add="1")
        return answer.location.split("/")[-2]

    def send(self) -> Any:
        return self.client.post("/intake/review")


def hidden(html: str) -> dict[str, str]:
    """The hidden fields of the page's form."""
    return dict(re.findall(r'<input type="hidden" name="([a-z_]+)" value="([^"]*)"', html))


@pytest.fixture
def clinic(database: Any, now: Any) -> Any:
    make_profile()
    return make_location()


@pytest.fixture
def person(client: FlaskClient, clinic: Any, rings: Any) -> Person:
    return Person(client)


@pytest.fixture
def another(app: Any) -> Callable[[], FlaskClient]:
    """A second browser."""
    return app.test_client
