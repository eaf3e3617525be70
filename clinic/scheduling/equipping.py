"""What a site has, changed with what is booked in view: hours, rota, treatments that a device gives.

A change that leaves something booked without a lawful place is refused once, with the list; agreed to, it is made and opens
an outage in the same transaction, so that nothing is left without a re-plan.
"""

from collections.abc import Callable, Collection, Sequence
from datetime import date
from functools import partial

from sqlalchemy import func, select

from clinic import audit, clock
from clinic.audit import Actor
from clinic.db import db, transaction
from clinic.errors import Conflict, Invalid, NotFound
from clinic.locations import operations as locations
from clinic.locations import queries as places
from clinic.locations.operations import NewShift
from clinic.patients.sites import everyone
from clinic.protocols.base import catalogue
from clinic.protocols.shapes import bookable
from clinic.scheduling import closing, fitting, holding, locking, queries, replanning
from clinic.scheduling.models import HOLDS_PLACE, Course, Hold, TreatmentSession
from clinic.staff import queries as staff


class WouldHit(Conflict):
    """The change takes the place of what is booked. `details["sessions"]`: the ids."""

    code = "would_hit"


def change_capacity(
    location_id: int, change: Callable[[], None], *, reason: str, agreed: bool = False, by: Actor
) -> int | None:
    """Make a change of a site's hours or rota, a step within a transaction; answers the outage that it opens, if any.

    Raises WouldHit where appointments would have no lawful place any more and nobody agreed; and what the change raises.
    """
    with transaction() as after_commit, everyone():
        places.lock(location_id)
        before = fitting.misfits(location_id)
        change()
        db.session.flush()
        hit = fitting.misfits(location_id, as_it_would_be=True) - before
        if hit and not agreed:
            raise WouldHit("This takes the place of what is booked.", sessions=sorted(hit))
        outage = closing.less_capacity_within_transaction(location_id, hit, reason, by=by) if hit else None
        for hold_id in _holds(hit):
            after_commit.append(partial(holding.let_go, hold_id, by=by))
        db.session.flush()
        outage_id = outage.id if outage is not None else None
    if outage_id is not None:
        replanning.preview_outage(outage_id)
    return outage_id


def _holds(hit: Collection[int]) -> Sequence[int]:
    """Holds of plans that can no longer be kept."""
    rows = (TreatmentSession.id.in_(hit), TreatmentSession.course_id.is_(None))
    return db.session.scalars(
        select(Hold.id).join(TreatmentSession, Hold.id == TreatmentSession.hold_id).where(*rows).distinct()
    ).all()


# -- rota -----------------------------------------------------------------------------------------------------------


def end_shift(shift_id: int, last: date, *, at: int, agreed: bool = False, by: Actor) -> int | None:
    """A weekly shift of a site is worked until this day. Raises NotFound, Invalid, WouldHit."""
    shift = locations.shift(shift_id)
    if shift.location_id != at:
        raise NotFound("no such shift")
    name = staff.get(shift.user_id).name

    def change() -> None:
        locations.end_shift_within_transaction(shift_id, last, by=by)

    return change_capacity(at, change, reason=f"a shift of {name} ends", agreed=agreed, by=by)


def change_shift(shift_id: int, new: NewShift, *, at: int, agreed: bool = False, by: Actor) -> int | None:
    """A weekly shift has other hours from `new.valid_from` on. Raises NotFound, Invalid, Conflict, WouldHit."""
    shift = locations.shift(shift_id)
    if shift.location_id != at or shift.user_id != new.user_id:
        raise NotFound("no such shift")
    name = staff.get(shift.user_id).name

    def change() -> None:
        locations.change_shift_within_transaction(shift_id, new, by=by)

    return change_capacity(at, change, reason=f"a shift of {name} changes", agreed=agreed, by=by)


# -- devices --------------------------------------------------------------------------------------------------------


def offer_protocols(device_id: int, keys: Collection[str], *, by: Actor) -> None:
    """Say which treatments a device gives. Raises NotFound, Invalid; Conflict while one that goes is booked there."""
    with transaction() as after_commit:
        device = queries.devices({device_id}).get(device_id)
        if device is None or device.retired_at is not None:
            raise NotFound("no such device")
        known = catalogue()
        if not keys or any(key not in known or known[key].device_kind != device.kind for key in keys):
            raise Invalid("Choose at least one treatment that such a device can give.", fields=["protocols"])
        locked = locking.lock_places({device_id}, {device.location_id}, clock.now().date())
        booked = _booked(device_id)
        for key in sorted(set(device.protocols) - set(keys)):
            if booked.get(key):
                times = "once" if booked[key] == 1 else f"{booked[key]} times"
                words = f"{known[key].name} is booked here {times} more: give those courses another device first."
                raise Conflict(words, fields=["protocols"])
        device.protocols = sorted(keys)
        audit.record(device, "protocols_changed", by=by, protocols=",".join(sorted(keys)))
        locked.facts_changed = True
        locking.raise_versions(locked, after_commit)


@everyone()
def _booked(device_id: int) -> dict[str, int]:
    """Sessions ahead on a device by protocol, shapes of one protocol together."""
    rows = db.session.execute(
        select(Course.protocol, func.count())
        .join(TreatmentSession, TreatmentSession.course_id == Course.id)
        .where(
            TreatmentSession.device_id == device_id,
            TreatmentSession.state.in_(HOLDS_PLACE),
            TreatmentSession.starts_at > clock.now(),
        )
        .group_by(Course.protocol)
    )
    found: dict[str, int] = {}
    for protocol, count in rows:
        given = bookable()[protocol].gives
        found[given] = found.get(given, 0) + count
    return found
