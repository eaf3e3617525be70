"""What every channel promises: a message is accepted, refused for good, or worth another try."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol

from clinic.errors import ClinicError

ANY = "any"  # an earlier try ended in the dark: whichever provider was asked may have taken it


class Attachment(NamedTuple):
    """A file that goes with a mail."""

    name: str
    kind: str  # e.g. text/calendar
    content: bytes


@dataclass(frozen=True)
class Envelope:
    """A message on its way. `reference` is the same at every try, so that a provider can tell a repeat.

    `unsure_of`: the provider (or `ANY`) that may have taken it at an earlier try, on the machine's clock not before
    `since`. `foot`: how many paragraphs at the end of a mail are small print. `callback`: where a provider says what
    became of it. `return_path`: where a mail server sends what it cannot deliver.
    """

    reference: str
    to: str
    subject: str | None
    body: str
    language: str
    unsure_of: str | None = None
    since: datetime | None = None
    foot: int = 0
    unsubscribe: str = ""
    callback: str = ""
    return_path: str = ""
    attachments: Sequence[Attachment] = field(default=())


@dataclass(frozen=True)
class Accepted:
    """The provider took the message."""

    provider: str
    provider_id: str | None


class ChannelBusy(ClinicError):
    """Not now: try again, at the earliest after `wait`. The message never names an address.

    `unsure_of`: the provider that may have taken it in spite of this. `is_throttled`: it takes no more just now, and
    the try does not count.
    """

    code = "channel_busy"

    def __init__(
        self,
        message: str,
        wait: timedelta | None = None,
        *,
        unsure_of: str | None = None,
        is_throttled: bool = False,
    ) -> None:
        super().__init__(message)
        self.wait = wait
        self.unsure_of = unsure_of
        self.is_throttled = is_throttled


class ChannelRefused(ClinicError):
    """Never: this address or this message will not be taken. The message never names an address.

    `is_dead`: it is the address that takes nothing, not only this message.
    """

    code = "channel_refused"

    def __init__(self, message: str, *, is_dead: bool = False) -> None:
        super().__init__(message)
        self.is_dead = is_dead


class Channel(Protocol):
    """A way out. `send` makes one try, within half a minute; several threads may call it at once.

    Raises ChannelBusy or ChannelRefused.
    """

    def send(self, envelope: Envelope) -> Accepted: ...
