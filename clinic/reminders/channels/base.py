"""What every channel promises: a message is accepted, refused for good, or worth another try."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from clinic.errors import ClinicError


@dataclass(frozen=True)
class Envelope:
    """A message on its way. `reference` is the same at every try, so that a provider can tell a repeat."""

    reference: str
    to: str
    subject: str | None
    body: str
    language: str


@dataclass(frozen=True)
class Accepted:
    """The provider took the message."""

    provider: str
    provider_id: str | None


class ChannelBusy(ClinicError):
    """Not now: try again, at the earliest after `wait`. The message never names an address."""

    code = "channel_busy"

    def __init__(self, message: str, wait: timedelta | None = None) -> None:
        super().__init__(message)
        self.wait = wait


class ChannelRefused(ClinicError):
    """Never: this address or this message will not be taken. The message never names an address."""

    code = "channel_refused"


class Channel(Protocol):
    """A way out. `send` makes one try, within half a minute. Raises ChannelBusy or ChannelRefused."""

    def send(self, envelope: Envelope) -> Accepted: ...
