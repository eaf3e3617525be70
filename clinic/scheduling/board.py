"""One site and day as the board shows it: lanes, appointments with a state each, people on shift. Reads only.

A lane is a device or chair, or a staff member who has visits on that day. Its key is the device's id, or "p" and the
staff member's.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import func, or_, select

from clinic import clock
from clinic.audit import ActorKind, AuditEvent
from clinic.db import db
from clinic.locations.models import (
    Closure,
    Device,
    DeviceDowntime,
    Location,
    OpeningHours,
    StaffAbsence,
    StaffShift,
)
from clinic.patients.sites import everyone
from clinic.scheduling import queries
from clinic.scheduling.models import HOLDS_PLACE, Hold, Mode, SessionState, TreatmentSession
from clinic.scheduling.queries import DayRow
from clinic.staff.models import StaffUser
from clinic.tasks.models import Task, TaskKind

LATE_AFTER = timedelta(minutes=5)
RECENT = timedelta(minutes=3)
DAY_MINUTES = 1440
WIDEST_DAY = (6, 20)  # hours shown where a site says none
Span = tuple[int, int]


class Is(StrEnum):
    """What a block on the board says; each has its own icon, word and edge."""

    PLANNED = "planned"
    CONFIRMED = "confirmed"
    ARRIVED = "arrived"
    RUNNING = "running"
    DONE = "done"
    LATE = "late"
    NO_SHOW = "no-show"
    MOVE = "move"


_FIXED = {SessionState.COMPLETED: Is.DONE, SessionState.NO_SHOW: Is.NO_SHOW}


@dataclass(frozen=True)
class Block:
    """One session on the board. Minutes count from midnight of the site's wall clock."""

    row: DayRow
    minute: int
    minutes: int
    state: Is
    said: str  # what the patient let us know, if anything

    @property
    def lane(self) -> str:
        """Key of its lane."""
        return str(self.row.device_id) if self.row.device_id is not None else f"p{self.row.staff_id}"


@dataclass(frozen=True)
class Kept:
    """A place that nobody else gets until its hold runs out."""

    lane: str
    minute: int
    minutes: int


@dataclass(frozen=True)
class Stop:
    """A span in which a lane cannot be used. `reason` is staff's words."""

    minute: int
    until: int
    reason: str


@dataclass(frozen=True)
class Lane:
    """One device, chair or person and its day. `kind`: tms, chair or person."""

    key: str
    name: str
    kind: str
    is_retired: bool
    stops: tuple[Stop, ...]
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class OnShift:
    """One person at the site on that day."""

    user_id: int
    name: str
    minute: int
    until: int
    rest: Span | None
    skills: tuple[str, ...]


@dataclass(frozen=True)
class BoardDay:
    """Everything on one board, in wall minutes of the site. `now` is None on other days."""

    version: int
    lanes: tuple[Lane, ...]
    blocks: tuple[Block, ...]  # by time, then lane
    kept: tuple[Kept, ...]
    people: tuple[OnShift, ...]
    closed: str | None
    hours: tuple[Span, ...]
    now: int | None

    @property
    def from_hour(self) -> int:
        """First hour to show."""
        return min([*(a for a, _ in self.hours), *(b.minute for b in self.blocks)], default=WIDEST_DAY[0] * 60) // 60

    @property
    def to_hour(self) -> int:
        """Hour at which the board ends."""
        ends = [*(b for _, b in self.hours), *(b.minute + b.minutes for b in self.blocks)]
        return -(-max(ends, default=WIDEST_DAY[1] * 60) // 60)

    @property
    def must_move(self) -> tuple[Block, ...]:
        """Sessions that lie where nothing can be given."""
        return tuple(block for block in self.blocks if block.state is Is.MOVE)


def version_of(location_id: int) -> int:
    """The number that rises with every change at a site."""
    return db.session.scalars(select(Location.schedule_version).where(Location.id == location_id)).one()


def day(site: Location, on: date) -> BoardDay:
    """The board of one site and local date. As many statements for many sessions as for one."""
    now, zone = clock.now(), ZoneInfo(site.tz)
    begins, ends = (_instant(each, site.tz) for each in (on, on + timedelta(days=1)))
    version = version_of(site.id)  # before the rows: what comes after it is asked for again
    rows = queries.day_list(site.id, on)
    devices = _devices(site.id, {row.device_id for row in rows if row.device_id is not None})
    stops = _stops([device.id for device in devices], begins, ends, zone)
    away = _absences({row.staff_id for row in rows if row.staff_id is not None}, begins, ends, zone)
    closed = db.session.scalar(select(Closure.name).where(Closure.location_id == site.id, Closure.on_date == on))
    hours = () if closed is not None else _hours(site.id, on)
    said = _said({row.id: row for row in rows}, site.id)
    blocks = tuple(
        _block(row, zone, now=now, stops=_of(row, stops, away), hours=hours, said=said.get(row.id, "")) for row in rows
    )
    by_lane: dict[str, list[Block]] = {}
    for block in blocks:
        by_lane.setdefault(block.lane, []).append(block)
    lanes = [
        Lane(
            str(device.id),
            device.name,
            device.kind,
            device.retired_at is not None,
            stops.get(device.id, ()),
            tuple(by_lane.get(str(device.id), ())),
        )
        for device in devices
    ]
    who = {row.staff_id: row.staff or "" for row in rows if row.staff_id is not None}
    for staff_id, name in sorted(who.items(), key=lambda each: each[1]):
        key = f"p{staff_id}"
        lanes.append(Lane(key, name, "person", False, away.get(staff_id, ()), tuple(by_lane[key])))
    here = now.astimezone(zone)
    return BoardDay(
        version=version,
        lanes=tuple(lanes),
        blocks=blocks,
        kept=_kept(site.id, on, zone),
        people=_people(site.id, on),
        closed=closed,
        hours=hours,
        now=here.hour * 60 + here.minute if here.date() == on else None,
    )


def state_of(row: DayRow, *, now: datetime, is_stopped: bool) -> Is:
    """One word for a session; what has begun or ended is never said to move."""
    if row.state in _FIXED:
        return _FIXED[SessionState(row.state)]
    if row.state == SessionState.ARRIVED:
        return Is.RUNNING if row.started_at is not None else Is.ARRIVED
    if is_stopped:
        return Is.MOVE
    if row.starts_at < now - LATE_AFTER:
        return Is.LATE
    return Is.CONFIRMED if row.state == SessionState.CONFIRMED else Is.PLANNED


def _block(
    row: DayRow, zone: ZoneInfo, *, now: datetime, stops: Sequence[Stop], hours: Sequence[Span], said: str
) -> Block:
    at = row.starts_at.astimezone(zone)
    minute, minutes = at.hour * 60 + at.minute, int((row.ends_at - row.starts_at).total_seconds() // 60)
    until = minute + minutes
    stopped = any(stop.minute < until and minute < stop.until for stop in stops)
    shut = row.mode != Mode.VIDEO and not any(a <= minute and until <= b for a, b in hours)
    return Block(row, minute, minutes, state_of(row, now=now, is_stopped=stopped or shut), said)


def _instant(on: date, tz: str) -> datetime:
    return datetime.combine(on, time(), tzinfo=ZoneInfo(tz)).astimezone(UTC)


def _devices(location_id: int, also: Collection[int]) -> Sequence[Device]:
    """Devices in use, and retired ones that still hold a session of the day; stimulators first, then chairs."""
    return db.session.scalars(
        select(Device)
        .where(Device.location_id == location_id, or_(Device.retired_at.is_(None), Device.id.in_(also)))
        .order_by(Device.kind.desc(), Device.name)
    ).all()


def _stops(
    device_ids: Collection[int], begins: datetime, ends: datetime, zone: ZoneInfo
) -> Mapping[int, tuple[Stop, ...]]:
    rows = db.session.execute(
        select(DeviceDowntime.device_id, DeviceDowntime.starts_at, DeviceDowntime.ends_at, DeviceDowntime.reason)
        .where(
            DeviceDowntime.device_id.in_(device_ids), DeviceDowntime.starts_at < ends, DeviceDowntime.ends_at > begins
        )
        .order_by(DeviceDowntime.starts_at)
    )
    return _spans(rows, begins, ends, zone)


def _spans(rows: Iterable[Any], begins: datetime, ends: datetime, zone: ZoneInfo) -> Mapping[int, tuple[Stop, ...]]:
    found: dict[int, tuple[Stop, ...]] = {}
    for key, starts_at, ends_at, reason in rows:
        first = 0 if starts_at <= begins else _minute(starts_at, zone)
        last = DAY_MINUTES if ends_at >= ends else _minute(ends_at, zone)
        found[key] = (*found.get(key, ()), Stop(first, last, reason))
    return found


def _of(row: DayRow, stops: Mapping[int, Sequence[Stop]], away: Mapping[int, Sequence[Stop]]) -> Sequence[Stop]:
    return stops.get(row.device_id, ()) if row.device_id is not None else away.get(row.staff_id or 0, ())


def _absences(
    staff_ids: Collection[int], begins: datetime, ends: datetime, zone: ZoneInfo
) -> Mapping[int, tuple[Stop, ...]]:
    rows = db.session.execute(
        select(StaffAbsence.user_id, StaffAbsence.starts_at, StaffAbsence.ends_at, StaffAbsence.reason).where(
            StaffAbsence.user_id.in_(staff_ids), StaffAbsence.starts_at < ends, StaffAbsence.ends_at > begins
        )
    )
    return _spans(rows, begins, ends, zone)


def _minute(at: datetime, zone: ZoneInfo) -> int:
    wall = at.astimezone(zone)
    return wall.hour * 60 + wall.minute


def _wall(at: time) -> int:
    """Minutes after midnight; 23:59 stands for midnight, the last minute a column can hold."""
    minutes = at.hour * 60 + at.minute
    return DAY_MINUTES if minutes == DAY_MINUTES - 1 else minutes


def _hours(location_id: int, on: date) -> tuple[Span, ...]:
    rows = db.session.execute(
        select(OpeningHours.opens, OpeningHours.closes)
        .where(OpeningHours.location_id == location_id, OpeningHours.weekday == on.weekday())
        .order_by(OpeningHours.opens)
    )
    return tuple((_wall(opens), _wall(closes)) for opens, closes in rows)


def _people(location_id: int, on: date) -> tuple[OnShift, ...]:
    rows = db.session.execute(
        select(StaffShift, StaffUser.name, StaffUser.skills)
        .join(StaffUser, StaffUser.id == StaffShift.user_id)
        .where(
            StaffShift.location_id == location_id,
            StaffShift.weekday == on.weekday(),
            StaffShift.valid_from <= on,
            or_(StaffShift.valid_until.is_(None), StaffShift.valid_until >= on),
            StaffUser.active.is_(True),
        )
        .order_by(StaffShift.starts, StaffUser.name)
    )
    return tuple(
        OnShift(
            shift.user_id,
            name,
            _wall(shift.starts),
            _wall(shift.ends),
            (_wall(shift.break_starts), _wall(shift.break_ends)) if shift.break_starts and shift.break_ends else None,
            tuple(skills),
        )
        for shift, name, skills in rows
    )


@everyone()
def _kept(location_id: int, on: date, zone: ZoneInfo) -> tuple[Kept, ...]:
    """Places that holds keep; whose they are is not shown."""
    rows = db.session.execute(
        select(
            TreatmentSession.device_id, TreatmentSession.staff_id, TreatmentSession.starts_at, TreatmentSession.ends_at
        )
        .join(Hold, Hold.id == TreatmentSession.hold_id)
        .where(
            TreatmentSession.location_id == location_id,
            TreatmentSession.local_on == on,
            TreatmentSession.state == SessionState.HELD,
            Hold.expires_at > clock.now(),
        )
    )
    return tuple(
        Kept(
            str(device_id) if device_id is not None else f"p{staff_id}",
            _minute(starts_at, zone),
            int((ends_at - starts_at).total_seconds() // 60),
        )
        for device_id, staff_id, starts_at, ends_at in rows
    )


def _said(rows: Mapping[int, DayRow], location_id: int) -> dict[int, str]:
    """Who let us know that they cannot come, by session."""
    if not rows:
        return {}
    subjects = db.session.scalars(
        select(Task.subject["session_id"].as_integer()).where(
            Task.kind == TaskKind.CANNOT_COME, Task.closed_at.is_(None), Task.location_id == location_id
        )
    )
    return {x: "Can't come" for x in subjects if x in rows and rows[x].state in queries.AHEAD}


# -- who changed what -------------------------------------------------------------------------------------------------


def recent_changes(session_ids: Iterable[int]) -> dict[int, tuple[str, str]]:
    """Of these sessions, the last change of the last minutes: action and who made it."""
    rows = db.session.execute(
        select(AuditEvent.entity_id, AuditEvent.action, AuditEvent.actor_kind, AuditEvent.actor_key)
        .where(
            AuditEvent.entity == TreatmentSession.__tablename__,
            AuditEvent.entity_id.in_([str(x) for x in session_ids]),
            AuditEvent.occurred_at > clock.now() - RECENT,
            AuditEvent.action != "read",
        )
        .order_by(AuditEvent.id)
    ).all()
    staff = {row.actor_key for row in rows if row.actor_kind == ActorKind.STAFF}
    names: dict[str, str] = {}
    if staff:
        known = select(StaffUser.id, StaffUser.name).where(StaffUser.id.in_([int(x) for x in staff]))
        names = {str(row.id): row.name for row in db.session.execute(known)}
    other = {ActorKind.PATIENT: "the patient", ActorKind.SERVICE: "another system"}
    return {
        int(row.entity_id): (row.action, names.get(row.actor_key) or other.get(ActorKind(row.actor_kind), "the clinic"))
        for row in rows
    }


# -- weeks and months -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Load:
    """How full a device is on one date: sessions, their minutes with turnover, and the minutes in which it could work."""

    sessions: int = 0
    busy: int = 0


def loads(location_id: int, first: date, last: date) -> dict[tuple[date, int], Load]:
    """Sessions that hold a place, by local date and device, both dates included. One statement."""
    minutes = func.extract("epoch", TreatmentSession.device_until - TreatmentSession.starts_at) / 60
    rows = db.session.execute(
        select(TreatmentSession.local_on, TreatmentSession.device_id, func.count(), func.sum(minutes))
        .where(
            TreatmentSession.location_id == location_id,
            TreatmentSession.local_on.between(first, last),
            TreatmentSession.state.in_(HOLDS_PLACE),
            TreatmentSession.device_id.is_not(None),
        )
        .group_by(TreatmentSession.local_on, TreatmentSession.device_id)
    )
    return {(on, device_id or 0): Load(count, int(busy)) for on, device_id, count, busy in rows}
