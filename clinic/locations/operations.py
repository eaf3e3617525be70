"""Sites, their hours, closures and devices. Every change raises the site's schedule version."""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import date, time, timedelta
from typing import NamedTuple

from sqlalchemy import delete, or_, select, text
from sqlalchemy.exc import IntegrityError

from clinic import audit, clock
from clinic.audit import Actor
from clinic.db import broken_constraint, db, transaction
from clinic.errors import Conflict, Invalid, NotFound
from clinic.locations import queries
from clinic.locations.closures import usual_closures
from clinic.locations.models import (
    ClinicProfile,
    Closure,
    Device,
    DeviceKind,
    Location,
    OpeningHours,
    Room,
    StaffShift,
)
from clinic.protocols.base import catalogue

FIRST_YEAR, LAST_YEAR = 2000, 2100


class Span(NamedTuple):
    """Open from `opens` to `closes`, wall time; weekday 0 is Monday."""

    weekday: int
    opens: time
    closes: time


@dataclass(frozen=True, kw_only=True)
class NewDevice:
    """A device of a new or existing site."""

    name: str
    kind: str
    protocols: Sequence[str]
    turnover_minutes: int = 5


@dataclass(frozen=True, kw_only=True)
class NewLocation:
    """What creates a site."""

    slug: str
    name: str
    address: str
    zip_code: str
    tz: str
    phone: str
    note: str = ""
    latitude: float | None = None
    longitude: float | None = None
    chairs_per_observer: int = 2
    hours: Sequence[Span] = ()
    devices: Sequence[NewDevice] = ()


def set_profile(
    *, name: str, short_name: str, slogan: str, phone: str, promises_safety_call: bool, is_demo: bool, by: Actor
) -> None:
    """Say who the clinic is. `promises_safety_call`: pages may say that a person calls by a time. Raises Invalid."""
    if not name.strip() or not short_name.strip():
        raise Invalid("the clinic needs a name and a short name", fields=["name", "short_name"])
    with transaction():
        row = db.session.get(ClinicProfile, 1, with_for_update=True)
        if row is None:
            row = ClinicProfile(id=1)
            db.session.add(row)
        row.name, row.short_name, row.slogan, row.phone = (
            name.strip(),
            short_name.strip(),
            slogan.strip(),
            phone.strip(),
        )
        row.promises_safety_call, row.is_demo = promises_safety_call, is_demo
        audit.record(row, "changed", by=by, promises_safety_call=promises_safety_call)


def create_location(new: NewLocation, *, by: Actor) -> int:
    """Create a site with its hours and devices; answers the id. Raises Invalid, or Conflict where the slug is taken."""
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", new.slug) or len(new.slug) > 40:
        raise Invalid("a slug is lower-case letters, digits and hyphens, at most 40", fields=["slug"])
    if not new.name.strip():
        raise Invalid("a location needs a name", fields=["name"])
    if new.tz not in clock.zones():
        raise Invalid(f"no such time zone: {new.tz}", fields=["tz"])
    if not re.fullmatch(r"\d{5}(-\d{4})?", new.zip_code):
        raise Invalid("a ZIP code has five digits", fields=["zip"])
    checked_hours(new.hours)
    with transaction():
        if db.session.scalar(select(Location.id).where(Location.slug == new.slug)):
            raise Conflict(f"there is a location {new.slug} already")
        row = Location(
            slug=new.slug,
            name=new.name.strip(),
            address=new.address.strip(),
            zip_code=new.zip_code,
            latitude=new.latitude,
            longitude=new.longitude,
            tz=new.tz,
            phone=new.phone.strip(),
            note=new.note.strip(),
            chairs_per_observer=new.chairs_per_observer,
            schedule_version=1,
        )
        row.hours = [OpeningHours(weekday=day, opens=opens, closes=closes) for day, opens, closes in new.hours]
        db.session.add(row)
        audit.record(row, "created", by=by)
        for device in new.devices:
            _add_device(row, device, by=by)
        return row.id


def set_hours(location_id: int, hours: Iterable[Span], *, by: Actor) -> None:
    """Replace the weekly hours of a site. Raises Invalid where spans of a day overlap."""
    spans = checked_hours(hours)
    with transaction():
        set_hours_within_transaction(location_id, spans, by=by)


def set_hours_within_transaction(location_id: int, hours: Iterable[Span], *, by: Actor) -> None:
    """The same, as a step of another operation."""
    spans = checked_hours(hours)
    location = queries.lock(location_id)
    db.session.execute(delete(OpeningHours).where(OpeningHours.location_id == location_id))
    db.session.add_all(
        OpeningHours(location_id=location_id, weekday=day, opens=opens, closes=closes) for day, opens, closes in spans
    )
    _changed(location, "hours_set", by=by, spans=len(spans))
    db.session.flush()
    db.session.expire(location, ["hours"])


def checked_hours(hours: Iterable[Span]) -> list[Span]:
    """The spans of a week, in order. Raises Invalid where two of a day overlap."""
    spans, before = sorted(hours), None
    for span in spans:
        if not 0 <= span.weekday <= 6:
            raise Invalid("a weekday is 0 (Monday) to 6 (Sunday)", fields=["hours"])
        if span.opens >= span.closes:
            raise Invalid("a day closes after it opens", fields=["hours"])
        if before is not None and before.weekday == span.weekday and span.opens < before.closes:
            raise Invalid("two spans of one day overlap", fields=["hours"])
        before = span
    return spans


def add_closure(location_id: int, on_date: date, name: str, *, by: Actor) -> int:
    """Close a site on a date; answers the id. Raises Invalid, or Conflict where it is closed already."""
    if not name.strip() or len(name.strip()) > 100:
        raise Invalid("Say why, in at most 100 characters.", fields=["name"])
    if not FIRST_YEAR <= on_date.year <= LAST_YEAR:
        raise Invalid("The year is not possible.", fields=["on_date"])
    try:
        with transaction():
            location = queries.lock(location_id)
            row = Closure(location_id=location_id, on_date=on_date, name=name.strip())
            db.session.add(row)
            db.session.flush()
            _changed(location, "closure_added", by=by, on=on_date.isoformat())
            return row.id
    except IntegrityError as error:
        if broken_constraint(error) == "closures_location_id_on_date_key":
            raise Conflict("The site is closed on that date already.") from None
        raise


def remove_closure(closure_id: int, *, by: Actor) -> None:
    """Open a site again on a date. Raises NotFound."""
    with transaction():
        location = queries.lock(_closure(closure_id).location_id)
        row = _closure(closure_id, afresh=True)
        on = row.on_date.isoformat()
        db.session.delete(row)
        _changed(location, "closure_removed", by=by, on=on)


def _closure(closure_id: int, *, afresh: bool = False) -> Closure:
    row = db.session.get(Closure, closure_id, populate_existing=afresh)
    if row is None:
        raise NotFound("no such closure")
    return row


def start_closures(location_id: int, year: int, *, by: Actor) -> list[date]:
    """Put the usual closures of a year on the site's list, where they are missing; answers the dates that were added."""
    if not FIRST_YEAR <= year <= LAST_YEAR:
        raise Invalid("The year is not possible.", fields=["year"])
    with transaction():
        location = queries.lock(location_id)
        known = {row.on_date for row in queries.closures(location_id, date(year, 1, 1), date(year, 12, 31))}
        new = [(on, name) for on, name in usual_closures(year) if on not in known]
        db.session.add_all(Closure(location_id=location_id, on_date=on, name=name) for on, name in new)
        if new:
            _changed(location, "closures_started", by=by, year=year, added=len(new))
        return [on for on, _ in new]


def add_device(location_id: int, new: NewDevice, *, by: Actor) -> int:
    """Put one more device on a site; answers its id. Raises NotFound, Invalid, Conflict."""
    with transaction():
        location = queries.lock(location_id)
        row = _add_device(location, new, by=by)
        db.session.flush()
        _changed(location, "device_added", by=by, device_id=row.id)
        db.session.flush()
        db.session.expire(location, ["devices"])
        return row.id


def _add_device(location: Location, new: NewDevice, *, by: Actor) -> Device:
    if new.kind not in {str(kind) for kind in DeviceKind}:
        raise Invalid(f"a device is {' or '.join(DeviceKind)}", fields=["kind"])
    if not new.name.strip() or len(new.name.strip()) > 60:
        raise Invalid("a device has a name of at most 60 characters", fields=["name"])
    if not new.protocols:
        raise Invalid("a device gives at least one protocol", fields=["protocols"])
    for key in new.protocols:
        protocol = catalogue().get(key)
        if protocol is None:
            raise Invalid(f"unknown protocol {key}: known are {', '.join(sorted(catalogue()))}", fields=["protocols"])
        if protocol.device_kind != new.kind:
            raise Invalid(f"a {new.kind} does not give {key}", fields=["protocols"])
    if not 0 <= new.turnover_minutes <= 60:
        raise Invalid("turnover is 0 to 60 minutes", fields=["turnover_minutes"])
    if location.id is not None and db.session.scalar(
        select(Device.id).where(Device.location_id == location.id, Device.name == new.name.strip())
    ):
        raise Conflict(f"there is a device {new.name.strip()} at {location.name} already")
    row = Device(
        location_id=location.id,
        name=new.name.strip(),
        kind=new.kind,
        protocols=list(new.protocols),
        turnover_minutes=new.turnover_minutes,
    )
    db.session.add(row)
    audit.record(row, "created", by=by, kind=new.kind)
    return row


def add_room(location_id: int, name: str, *, is_shared: bool = False, by: Actor) -> int:
    """Add a room; one appointment at a time has it, unless it is shared. Raises NotFound, Invalid, Conflict."""
    if not name.strip() or len(name.strip()) > 60:
        raise Invalid("a room has a name of at most 60 characters", fields=["name"])
    try:
        with transaction():
            location = queries.lock(location_id)
            row = Room(location_id=location_id, name=name.strip(), is_shared=is_shared)
            db.session.add(row)
            db.session.flush()
            audit.record(row, "created", by=by)
            _changed(location, "room_added", by=by)
            return row.id
    except IntegrityError as error:
        if broken_constraint(error) == "rooms_location_id_name_key":
            raise Conflict("There is a room of that name at the site already.") from None
        raise


def put_device_in_room(device_id: int, room_id: int | None, *, by: Actor) -> None:
    """Say where a device stands. What is booked keeps its room; new bookings have the new one. Raises NotFound, Invalid."""
    with transaction():
        device = db.session.get(Device, device_id)
        if device is None or device.retired_at is not None:
            raise NotFound("no such device")
        location = queries.lock(device.location_id)
        room = db.session.get(Room, room_id) if room_id is not None else None
        if room_id is not None and (room is None or room.location_id != device.location_id or room.retired_at):
            raise Invalid("no such room at this site", fields=["room"])
        device.room_id = room_id
        audit.record(device, "put_in_room", by=by, room_id=room_id)
        _changed(location, "device_put_in_room", by=by)


def _changed(location: Location, action: str, *, by: Actor, **detail: int | str) -> None:
    location.schedule_version += 1
    audit.record_event("locations", location.id, action, by=by, reason=None, patient_id=None, **detail)


@dataclass(frozen=True, kw_only=True)
class NewShift:
    """Weekly presence of a staff member, site's wall time; until it is ended where `valid_until` is None."""

    user_id: int
    weekday: int
    starts: time
    ends: time
    valid_from: date
    valid_until: date | None = None
    break_starts: time | None = None
    break_ends: time | None = None


def add_shift(location_id: int, new: NewShift, *, by: Actor) -> int:
    """Put a weekly shift on a site's rota; answers the id. Raises Invalid, or Conflict where the person works then."""
    with _one_place_translated(), transaction():
        return _add_shift(queries.lock(location_id), new, by=by)


def add_shifts(location_id: int, new: Sequence[NewShift], *, by: Actor) -> list[int]:
    """The same for several, all of them or none."""
    with _one_place_translated(), transaction():
        location = queries.lock(location_id)
        return [_add_shift(location, one, by=by) for one in new]


def _add_shift(location: Location, new: NewShift, *, by: Actor) -> int:
    _check_shift(new)
    _refuse_overlap(new)
    row = StaffShift(location_id=location.id, **asdict(new))
    db.session.add(row)
    db.session.flush()
    audit.record(row, "created", by=by, user_id=new.user_id, weekday=new.weekday)
    _changed(location, "shift_added", by=by, user_id=new.user_id)
    return row.id


@contextmanager
def _one_place_translated() -> Iterator[None]:
    try:
        yield
    except IntegrityError as error:
        if broken_constraint(error) == "staff_shifts_one_place_key":
            raise Conflict("This person has a shift that starts then already.") from None
        raise


def _check_shift(new: NewShift) -> None:
    if not 0 <= new.weekday <= 6 or new.starts >= new.ends:
        raise Invalid("A shift has a weekday and ends after it starts.", fields=["weekday", "ends"])
    if (new.break_starts is None) != (new.break_ends is None):
        raise Invalid("A break has a start and an end.", fields=["break_starts", "break_ends"])
    if (
        new.break_starts is not None
        and new.break_ends is not None
        and not new.starts <= new.break_starts < new.break_ends <= new.ends
    ):
        raise Invalid("The break lies inside the shift.", fields=["break_starts", "break_ends"])
    if not FIRST_YEAR <= new.valid_from.year <= LAST_YEAR:
        raise Invalid("The year is not possible.", fields=["valid_from"])
    if new.valid_until is not None and new.valid_until < new.valid_from:
        raise Invalid("The shift ends before it begins.", fields=["valid_until"])


def _refuse_overlap(new: NewShift) -> None:
    """Nobody is at two places at once; two who add shifts of one person wait for each other."""
    db.session.execute(text("SELECT id FROM staff_users WHERE id = :id FOR UPDATE"), {"id": new.user_id})
    statement = select(StaffShift, Location.name).join(Location, Location.id == StaffShift.location_id)
    statement = statement.where(
        StaffShift.user_id == new.user_id,
        StaffShift.weekday == new.weekday,
        StaffShift.starts < new.ends,
        StaffShift.ends > new.starts,
        or_(StaffShift.valid_until.is_(None), StaffShift.valid_until >= new.valid_from),
    )
    if new.valid_until is not None:
        statement = statement.where(StaffShift.valid_from <= new.valid_until)
    found = db.session.execute(statement.order_by(StaffShift.id)).first()
    if found is not None:
        row, site = found
        raise Conflict(
            f"This person works at {site} from {row.starts:%H:%M} to {row.ends:%H:%M} on that weekday already."
        )


def shift(shift_id: int, *, afresh: bool = False) -> StaffShift:
    """The weekly shift, `afresh` as others left it while we waited for a lock. Raises NotFound."""
    row = db.session.get(StaffShift, shift_id, populate_existing=afresh)
    if row is None:
        raise NotFound("no such shift")
    return row


def shifts_of(location_id: int, since: date) -> Sequence[StaffShift]:
    """Weekly shifts of a site that are worked on that day or later, by time."""
    statement = select(StaffShift).where(
        StaffShift.location_id == location_id,
        or_(StaffShift.valid_until.is_(None), StaffShift.valid_until >= since),
    )
    return db.session.scalars(statement.order_by(StaffShift.valid_from, StaffShift.starts, StaffShift.id)).all()


def end_shift_within_transaction(shift_id: int, last: date, *, by: Actor) -> StaffShift:
    """A weekly shift is worked for the last time on or before this day. Raises NotFound, Invalid."""
    location = queries.lock(shift(shift_id).location_id)
    row = shift(shift_id, afresh=True)
    if row.valid_until is not None and row.valid_until <= last:
        raise Invalid(f"This shift ends on {row.valid_until:%b} {row.valid_until.day} already.", fields=["last"])
    if not FIRST_YEAR <= last.year <= LAST_YEAR:
        raise Invalid("The year is not possible.", fields=["last"])
    audit.record(row, "ended", by=by, on=last.isoformat())
    _changed(location, "shift_ended", by=by, user_id=row.user_id)
    if last < row.valid_from:
        db.session.delete(row)  # it was never worked
    else:
        row.valid_until = last
    db.session.flush()
    return row


def change_shift_within_transaction(shift_id: int, new: NewShift, *, by: Actor) -> int:
    """A weekly shift ends the day before `new.valid_from`, and another takes its place. Raises as the two steps do."""
    old = shift(shift_id)
    end_shift_within_transaction(old.id, new.valid_from - timedelta(days=1), by=by)
    return _add_shift(queries.lock(old.location_id), new, by=by)
