"""Everything that an operation on the calendar locks, in one order; and what it tells of it when it commits."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cached_property, partial
from typing import Any

from sqlalchemy import delete, or_, select, update

from clinic import clock, jobs
from clinic.db import AfterCommit, db
from clinic.patients.sites import everyone
from clinic.scheduling import capacity, deltas, queries
from clinic.scheduling.capacity import Snapshot
from clinic.scheduling.deltas import Delta
from clinic.scheduling.mirror import Taken
from clinic.scheduling.models import Hold, SessionState, TreatmentSession
from clinic.scheduling.queries import LockedDevice, LockedRow
from clinic.scheduling.wishes import PlannedSession


@dataclass
class Locked:
    """What is locked: devices, schedule version by location. `state` is read when it is asked for."""

    devices: Mapping[int, LockedDevice]
    versions: Mapping[int, int]
    until: date
    taken: list[Taken] = field(default_factory=list)
    freed: list[Taken] = field(default_factory=list)
    fresh_until: datetime | None = None  # when the first hold that was added runs out
    facts_changed: bool = False  # hours, devices or shifts changed too: the warm state has to read them

    @cached_property
    def state(self) -> Snapshot:
        """The exact state of the locked locations; changes that free or take no place never need it."""
        return capacity.snapshot_under_lock(self.versions, until=self.until)

    def delta(self) -> dict[str, Any]:
        """What the next version of these schedules takes and frees, as `deltas.RAISE` writes it."""
        return deltas.values(
            self.versions, self.taken, self.freed, fresh_until=self.fresh_until, is_whole=not self.facts_changed
        )

    def so_far(self) -> Snapshot:
        """The state with what this operation freed and took until now."""
        if not self.taken and not self.freed:
            return self.state
        return self.state.after(dict.fromkeys(self.versions, (self.change(),)), {})

    def take(self, one: Taken) -> None:
        """The state under the lock is told of a new place."""
        self.taken.append(one)

    def free(self, one: Taken) -> None:
        """The state under the lock is told of a place that is free again."""
        self.freed.append(one)

    def change(self) -> Delta:
        """What this operation freed and took until now."""
        return Delta(self.taken, self.freed, self.fresh_until)


@everyone()  # a place is taken whoever holds it
def lock_places(
    device_ids: Collection[int],
    location_ids: Collection[int],
    until: date,
    *,
    patient_ids: Collection[int] = (),
    room_ids: Collection[int] = (),
    staff_ids: Collection[int] = (),
    rows: Sequence[LockedRow] = (),
) -> Locked:
    """Devices, rooms, staff, then locations, each in id order, after the patients were locked.

    Holds that ran out at these locations, or of these patients, are let go: they stand in nobody's way.
    rows: devices and locations that are locked already.
    """
    if room_ids or staff_ids:
        devices = queries.lock_devices(set(device_ids)) if device_ids else {}
        if room_ids:
            queries.lock_rooms(set(room_ids))
        if staff_ids:
            queries.lock_staff(set(staff_ids))
        locations = queries.lock_locations(set(location_ids))
    elif rows:
        devices, locations = queries.as_locked(rows, device_ids)
    else:
        devices, locations = queries.lock_devices_and_locations(set(device_ids), set(location_ids))
    if locations.has_old_holds:
        _let_go_expired(set(location_ids), set(patient_ids))
    return Locked(devices, locations.versions, until)


def lock_row(row: TreatmentSession, *, until: date | None = None) -> Locked:
    """Lock all that an appointment has; its patient is locked already."""
    return lock_places(
        {row.device_id} if row.device_id is not None else (),
        {row.location_id} | (queries.sites_of_person(row.staff_id) if row.staff_id is not None else set()),
        until or row.starts_at.date(),
        patient_ids={row.patient_id},
        room_ids={row.room_id} if row.room_id is not None else (),
        staff_ids={row.staff_id} if row.staff_id is not None else (),
    )


def lock_sessions(
    sessions: Sequence[PlannedSession], *, patient_ids: Collection[int], rows: Sequence[LockedRow] = ()
) -> Locked:
    """Lock all that these sessions need, where `rows` does not have it yet; the patient is locked already."""
    return lock_places(
        {s.device_id for s in sessions},
        {s.location_id for s in sessions},
        last_date(sessions),
        patient_ids=patient_ids,
        rows=rows,
    )


def _let_go_expired(location_ids: Collection[int], patient_ids: Collection[int]) -> None:
    """The sweep ends the holds themselves; the state of a location never counts one that ran out."""
    old = select(Hold.id).where(Hold.ended_at.is_(None), Hold.expires_at <= clock.now()).scalar_subquery()
    rows = (
        TreatmentSession.hold_id.in_(old),
        or_(TreatmentSession.location_id.in_(location_ids), TreatmentSession.patient_id.in_(patient_ids)),
    )
    without = {"synchronize_session": False}
    db.session.execute(
        delete(TreatmentSession).where(*rows, TreatmentSession.course_id.is_(None)), execution_options=without
    )
    db.session.execute(
        update(TreatmentSession)
        .where(*rows, TreatmentSession.course_id.is_not(None))
        .values(state=SessionState.CANCELLED, hold_id=None, ended_at=clock.now()),
        execution_options=without,
    )


def raise_versions(locked: Locked, after_commit: AfterCommit) -> None:
    """Tell every reader of these schedules that they changed, in the transaction that changes them."""
    db.session.execute(deltas.RAISE_ALONE, locked.delta())
    tell(locked, after_commit)


def tell(locked: Locked, after_commit: AfterCommit) -> None:
    """After the commit: the warm state of this process, and the sweep of the reminders."""
    if not locked.facts_changed:
        after_commit.append(partial(capacity.remember, locked.versions, locked.change()))
    after_commit.append(lambda: jobs.ring(jobs.Job.SWEEP_REMINDERS))


def last_date(sessions: Sequence[PlannedSession]) -> date:
    """UTC date of the last session."""
    return max(s.starts_at for s in sessions).date()
