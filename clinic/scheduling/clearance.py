"""What features above know that stands against a booking, a start or a finish. They register at import."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement

from clinic.errors import Conflict, DecisionRequired
from clinic.protocols.base import Protocol
from clinic.scheduling.models import TreatmentSession


@dataclass(frozen=True)
class Missing:
    """One thing that is not on record: a stable code, words that say what to do, and who can supply it."""

    code: str
    text: str
    who: str


class ClearanceRequired(DecisionRequired):
    """The safety rules of this treatment ask for more before it is booked. `details["missing"]` names each."""

    code = "clearance_required"


# Given patient, protocol and sites; an empty collection of sites asks about the person alone.
Against = Callable[[int, Protocol, Collection[int]], list[Missing]]


@dataclass(frozen=True)
class Check:
    """What a feature has to say to a booking, and when it has nothing to say.

    sign: a condition on the id of a patient that is false where nothing of theirs can matter, so that the check can be
    left out. always: protocols for which it is asked anyway.
    """

    against: Against
    sign: Callable[[Any], ColumnElement[bool]]
    always: Callable[[Protocol], bool]


BOOKING: list[Check] = []
# Given the session as it is about to change, in the transaction of the change.
ARRIVAL: list[Callable[[TreatmentSession], list[Missing]]] = []
START: list[Callable[[TreatmentSession], list[Missing]]] = []
FINISH: list[Callable[[TreatmentSession], list[Missing]]] = []


def missing(patient_id: int, protocol: Protocol, location_ids: Collection[int] = ()) -> list[Missing]:
    """All that stands against booking this treatment for this person at these sites."""
    return [one for check in BOOKING for one in check.against(patient_id, protocol, location_ids)]


def is_asked_always(protocol: Protocol) -> bool:
    """Whether the checks are made for this protocol also where nothing is known of the person."""
    return any(check.always(protocol) for check in BOOKING)


def refuse_booking(patient_id: int, protocol: Protocol, location_ids: Collection[int] = ()) -> None:
    """Raise ClearanceRequired where something is missing."""
    found = missing(patient_id, protocol, location_ids)
    if found:
        raise ClearanceRequired(
            " ".join(one.text for one in found),
            pathway=protocol.modality,
            missing=[{"code": one.code, "text": one.text, "who": one.who} for one in found],
        )


def refuse(checks: list[Callable[[TreatmentSession], list[Missing]]], row: TreatmentSession) -> None:
    """Raise Conflict where something stands against a change of this session."""
    found = [one for check in checks for one in check(row)]
    if found:
        raise Conflict(" ".join(one.text for one in found), missing=[one.code for one in found])
