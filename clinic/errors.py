"""What can go wrong, without HTTP. `clinic.web.errors` alone maps these to statuses and wording."""

from collections.abc import Mapping
from typing import Any


def sentence(text: str) -> str:
    """Words of a refusal as a whole sentence of a page."""
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."


class ClinicError(Exception):
    """Base of every refusal. `code` is stable and public; `details` is machine-readable."""

    code = "error"

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.details: Mapping[str, Any] = details

    @property
    def sentence(self) -> str:
        """The message as a whole sentence of a page."""
        return sentence(self.message)


class NotFound(ClinicError):
    """No such row, or none that this actor may see."""

    code = "not_found"


class Invalid(ClinicError):
    """The input is wrong; `details["fields"]` may name each field."""

    code = "invalid"


class Refused(ClinicError):
    """The actor may not do this."""

    code = "refused"


class Conflict(ClinicError):
    """The present state does not allow this."""

    code = "conflict"


class SlotTaken(Conflict):
    """A time of the course was booked by someone else. `details["sessions"]` names them."""

    code = "conflict"


class DecisionRequired(Conflict):
    """Treatment is booked only after a prescriber's approving decision."""

    code = "decision_required"


class ReasonNeeded(Conflict):
    """A soft rule stands against it: with a reason it can be done. `details["rules"]` says which, and who may."""

    code = "reason_needed"


class NotAuthorised(Conflict):
    """Sessions would lie outside what the payer approved. `details["sessions"]` says which and why."""

    code = "not_authorised"


class Stale(Conflict):
    """What was shown is no longer so. `details["preview"]` is how it is now: look again, then decide."""

    code = "stale"


class AlreadyOver(Conflict):
    """The session has started, ended or was cancelled."""

    code = "already_over"


class Expired(Conflict):
    """A link, proposal or hold is past its time or was used."""

    code = "expired"
