"""No provider is set up: the message stays in its row, and /dev/outbox shows it."""

from clinic.reminders.channels.base import Accepted, Envelope

PROVIDER = "kept"


class ConsoleChannel:
    """Accepts everything."""

    def send(self, envelope: Envelope) -> Accepted:
        return Accepted(PROVIDER, None)
