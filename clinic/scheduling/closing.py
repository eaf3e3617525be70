"""A device down, a staff member away, a site closed or with less capacity, a device that leaves: known, planned anew, over."""

from collections.abc import Collection
from datetime import date, datetime, timedelta

from sqlalchemy import delete, func, select

from clinic import audit, clock
from clinic.audit import Actor
from clinic.db import AfterCommit, db, transaction
from clinic.errors import Conflict, Invalid, NotFound
from clinic.locations import queries as locations
from clinic.locations.models import Closure, Device, DeviceDowntime, StaffAbsence
from clinic.scheduling import holding, locking, outages, queries, replanning
from clinic.scheduling.models import (
    ChangeKind,
    Outage,
    OutageState,
    TreatmentSession,
)
from clinic.scheduling.planner.calendar import to_utc
from clinic.staff import queries as staff

LONGEST = timedelta(days=366)
FOR_GOOD = timedelta(days=3660)


# -- it happened ----------------------------------------------------------------------------------------------------


def device_down(
    device_id: int, *, starts_at: datetime, ends_at: datetime, reason: str, is_final: bool = False, by: Actor
) -> int:
    """A device cannot be used. Answers the outage's id; its preview is stored. Raises NotFound, Invalid."""
    _refuse_span(starts_at, ends_at, reason, is_final=is_final)
    with transaction() as after_commit:
        device = queries.devices({device_id}).get(device_id)
        if device is None or device.retired_at is not None:
            raise NotFound("no such device")
        locked = locking.lock_places({device_id}, {device.location_id}, ends_at.date())
        down = DeviceDowntime(device_id=device_id, starts_at=starts_at, ends_at=ends_at, reason=reason.strip())
        db.session.add(down)
        db.session.flush()
        row = _opened(ChangeKind.DEVICE, starts_at, ends_at, reason, is_final=is_final)
        row.device_id, row.location_id, row.downtime_id = device_id, device.location_id, down.id
        _known(row, locked, after_commit, by=by)
    replanning.preview_outage(row.id)
    return row.id


def person_away(staff_id: int, *, starts_at: datetime, ends_at: datetime, reason: str, by: Actor) -> int:
    """A staff member is not there. Answers the outage's id; its preview is stored. Raises NotFound, Invalid."""
    _refuse_span(starts_at, ends_at, reason)
    with transaction() as after_commit:
        person = staff.get(staff_id)
        sites = queries.sites_of_person(staff_id)
        locked = locking.lock_places((), sites, ends_at.date(), staff_ids={staff_id})
        absence = StaffAbsence(user_id=person.id, starts_at=starts_at, ends_at=ends_at, reason=reason.strip())
        db.session.add(absence)
        db.session.flush()
        row = _opened(ChangeKind.PERSON, starts_at, ends_at, reason)
        row.staff_id, row.absence_id = staff_id, absence.id
        row.location_id = next(iter(sites)) if len(sites) == 1 else None
        _known(row, locked, after_commit, by=by)
    replanning.preview_outage(row.id)
    return row.id


def site_closed(location_id: int, *, first: date, last: date, reason: str, by: Actor) -> int:
    """A site is closed on whole days, both included. Answers the outage's id; its preview is stored.

    Days that were on the list of closures already are taken up: this is also how late entries lead to a repair.
    Raises NotFound, Invalid.
    """
    tz = locations.get(location_id).tz
    starts_at, ends_at = to_utc(first, 0, tz), to_utc(last + timedelta(days=1), 0, tz)
    _refuse_span(starts_at, ends_at, reason)
    with transaction() as after_commit:
        locked = locking.lock_places((), {location_id}, ends_at.date())
        known = {row.on_date for row in locations.closures(location_id, first, last)}
        days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
        new = [
            Closure(location_id=location_id, on_date=on, name=reason.strip()[:100]) for on in days if on not in known
        ]
        db.session.add_all(new)
        db.session.flush()
        row = _opened(ChangeKind.SITE, starts_at, ends_at, reason)
        row.location_id, row.closure_ids = location_id, [one.id for one in new]
        _known(row, locked, after_commit, by=by)
    replanning.preview_outage(row.id)
    return row.id


def less_capacity_within_transaction(location_id: int, hit: Collection[int], reason: str, *, by: Actor) -> Outage:
    """A site has other hours or a shorter rota, and these appointments no longer fit: they wait for a re-plan.

    The site is locked, and its version was raised with the change.
    """
    tz, now = locations.get(location_id).tz, clock.now()
    last = db.session.scalar(select(func.max(TreatmentSession.local_on)).where(TreatmentSession.id.in_(hit)))
    ends_at = to_utc((last or clock.today(tz)) + timedelta(days=1), 0, tz)
    row = _opened(ChangeKind.CAPACITY, now, ends_at, reason)
    row.location_id = location_id
    db.session.add(row)
    audit.record(row, "opened", by=by, kind=row.kind)
    return row


def retire_device(device_id: int, *, from_at: datetime, reason: str, by: Actor) -> int:
    """A device leaves for good: its sessions from then on are planned anew, at any site that gives the treatment."""
    ends_at = from_at + FOR_GOOD
    return device_down(device_id, starts_at=from_at, ends_at=ends_at, reason=reason, is_final=True, by=by)


def move_device(device_id: int, location_id: int, *, from_at: datetime, reason: str, by: Actor) -> tuple[int, int]:
    """A device goes to another site: there it is a new device, usable from then on; here it leaves for good.

    Answers the outage's id and the new device's. Raises NotFound, Invalid, Conflict.
    """
    with transaction() as after_commit:
        device = queries.devices({device_id}).get(device_id)
        if device is None or device.retired_at is not None:
            raise NotFound("no such device")
        if device.location_id == location_id:
            raise Invalid("the device stands at this site already", fields=["location"])
        locked = locking.lock_places({device_id}, {location_id}, from_at.date())
        taken = select(Device.id).where(Device.location_id == location_id, Device.name == device.name)
        if db.session.scalar(taken) is not None:
            raise Conflict(f"there is a device {device.name} at that site already")
        new = Device(
            location_id=location_id,
            name=device.name,
            kind=device.kind,
            protocols=list(device.protocols),
            turnover_minutes=device.turnover_minutes,
        )
        db.session.add(new)
        db.session.flush()
        now = clock.now()
        if from_at > now:
            db.session.add(DeviceDowntime(device_id=new.id, starts_at=now, ends_at=from_at, reason="not there yet"))
        audit.record(new, "created", by=by, moved_from=device_id)
        locked.facts_changed = True
        locking.raise_versions(locked, after_commit)
        new_id = new.id
    return retire_device(device_id, from_at=from_at, reason=reason, by=by), new_id


def _refuse_span(starts_at: datetime, ends_at: datetime, reason: str, *, is_final: bool = False) -> None:
    if not reason.strip() or len(reason.strip()) > 200:
        raise Invalid("Say why, in at most 200 characters.", fields=["reason"])
    if ends_at <= starts_at or ends_at <= clock.now():
        raise Invalid("It ends after it begins, and not before now.", fields=["from", "to"])
    if not is_final and ends_at - starts_at > LONGEST:
        raise Invalid("At most a year: what does not come back is retired.", fields=["to"])


def _opened(kind: ChangeKind, starts_at: datetime, ends_at: datetime, reason: str, *, is_final: bool = False) -> Outage:
    return Outage(
        kind=kind,
        starts_at=starts_at,
        ends_at=ends_at,
        reason=reason.strip(),
        is_final=is_final,
        state=OutageState.OPEN,
        created_at=clock.now(),
        closure_ids=[],
        revision=0,
        versions={},
    )


def _known(row: Outage, locked: locking.Locked, after_commit: AfterCommit, *, by: Actor) -> None:
    """From now on nothing new is booked there; plans that hold places there can no longer be kept."""
    db.session.add(row)
    audit.record(row, "opened", by=by, kind=row.kind)
    locked.facts_changed = True
    locking.raise_versions(locked, after_commit)
    ids = outages.holds_in(row)
    after_commit.append(lambda: [holding.let_go(hold_id, by=by) for hold_id in ids])


# -- over -----------------------------------------------------------------------------------------------------------


def withdraw_outage(outage_id: int, *, by: Actor) -> None:
    """It did not happen: what it closed is open again. Raises NotFound, Conflict; AlreadyOver once it was applied."""
    with transaction() as after_commit:
        row = outages.still_open(outage_id, lock=True)
        if row.kind == ChangeKind.CAPACITY:
            raise Conflict("Set the hours or the rota back in the settings of the site, then plan once more.")
        locked = locking.lock_places((), outages.sites(row), row.ends_at.date())
        for model, ids in (
            (DeviceDowntime, [row.downtime_id]),
            (StaffAbsence, [row.absence_id]),
            (Closure, row.closure_ids),
        ):
            db.session.execute(delete(model).where(model.id.in_([x for x in ids if x is not None])))
        row.state = OutageState.WITHDRAWN
        audit.record(row, "withdrawn", by=by)
        locked.facts_changed = True
        locking.raise_versions(locked, after_commit)


def end_outage(outage_id: int, *, by: Actor) -> None:
    """It is over sooner than planned: from now on the device or person can be booked. Raises NotFound, Conflict."""
    with transaction() as after_commit:
        row = db.session.get(Outage, outage_id, with_for_update=True)
        if row is None:
            raise NotFound("no such outage")
        now = clock.now()
        goes_on = row.state == OutageState.APPLIED and row.starts_at < now < row.ends_at
        if not goes_on or row.kind == ChangeKind.CAPACITY:
            raise Conflict("only an outage that was applied and goes on can end early")
        locked = locking.lock_places((), outages.sites(row), row.ends_at.date())
        if row.downtime_id is not None:
            db.session.get_one(DeviceDowntime, row.downtime_id).ends_at = now
        if row.absence_id is not None:
            db.session.get_one(StaffAbsence, row.absence_id).ends_at = now
        tomorrow = now + timedelta(days=1)
        for closure in db.session.scalars(select(Closure).where(Closure.id.in_(row.closure_ids))):
            if closure.on_date > tomorrow.date():
                db.session.delete(closure)
        row.ends_at = now
        audit.record(row, "ended", by=by)
        locked.facts_changed = True
        locking.raise_versions(locked, after_commit)
