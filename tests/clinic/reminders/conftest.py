"""A patient with a course, and a channel that keeps what it was given."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pytest

from clinic.patients.models import MessageStyle
from clinic.reminders import sending
from clinic.reminders.channels import Accepted, Envelope
from tests.builders import make_course, make_patient, make_profile


@dataclass
class FakeChannel:
    """Stands in for a provider. `answers` are raised or returned in turn; then everything is accepted."""

    sent: list[Envelope] = field(default_factory=list)
    answers: list[Exception] = field(default_factory=list)

    def send(self, envelope: Envelope) -> Accepted:
        self.sent.append(envelope)
        if self.answers:
            raise self.answers.pop(0)
        return Accepted("fake", f"id-{len(self.sent)}")


@pytest.fixture
def channel(monkeypatch: pytest.MonkeyPatch) -> FakeChannel:
    fake = FakeChannel()
    monkeypatch.setattr(sending, "channel_for", lambda kind, settings: fake)
    return fake


@pytest.fixture
def booked(database: Any) -> Callable[..., Any]:
    """`booked(starts, consents=..., style=..., **course)` makes a patient who agreed to mail, with one course."""

    def make(
        starts: list[datetime],
        *,
        consents: dict[str, bool] | None = None,
        style: str = MessageStyle.EACH,
        tz: str = "America/Los_Angeles",
        language: str = "en",
        need: str = "tms",
        **overrides: Any,
    ) -> Any:
        make_profile()
        patient = make_patient(consents={"email": True} if consents is None else consents, tz=tz, language=language)
        patient.message_style = style
        return make_course(patient, starts, need=need, **overrides)

    return make
