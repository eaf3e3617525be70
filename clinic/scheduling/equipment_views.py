"""Settings of a site that the calendar depends on: devices, rooms, rota. What a change would hit is shown before it is made."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from flask import flash, redirect, render_template, request, url_for
from sqlalchemy import select

from clinic import clock
from clinic.db import db
from clinic.errors import ClinicError, Conflict, Invalid, NotFound
from clinic.locations import front
from clinic.locations import operations as places
from clinic.locations import queries as locations
from clinic.locations.models import Device, Location, Room, StaffShift
from clinic.locations.operations import NewDevice
from clinic.locations.views import SITE_LINKS
from clinic.protocols.base import catalogue
from clinic.scheduling import closing, equipping, outage_presenter
from clinic.scheduling.blueprint import bp
from clinic.scheduling.equipment_forms import (
    DAYS,
    DeviceForm,
    EndForm,
    GoesForm,
    HoursOfShiftForm,
    InRoomForm,
    RoomForm,
    ShiftForm,
    TreatmentsForm,
)
from clinic.scheduling.equipping import WouldHit
from clinic.scheduling.planner.calendar import to_utc
from clinic.staff import queries as staff
from clinic.staff.models import Role
from clinic.web import access
from clinic.web.access import current_actor, current_staff

MANAGER = Role.MANAGER
NOT_SENT_AGAIN = frozenset({"csrf_token", "agreed"})


def _own_site(location_id: int) -> Location:
    if location_id not in current_staff().location_ids:
        raise NotFound("no such location")
    return locations.get(location_id)


# -- what would be hit ------------------------------------------------------------------------------------------------


def guarded(location_id: int, change: Callable[[bool], int | None]) -> Any | None:
    """Make a change, told whether it was agreed to; answers the page that comes next where it hits somebody."""
    try:
        outage_id = change("agreed" in request.form)
    except WouldHit as refusal:
        return _would_hit(locations.get(location_id), refusal.details["sessions"])
    if outage_id is None:
        return None
    flash("Changed. What is booked there waits for a re-plan: look at it and apply it below.", "error")
    return redirect(url_for("scheduling.outage", outage_id=outage_id))


def _would_hit(site: Location, ids: Sequence[int]) -> Any:
    """The list, and two ways on; what was sent is sent again with the yes."""
    return render_template(
        "scheduling/would_hit.html",
        site=site,
        hits=outage_presenter.hits_of(ids),
        sent=[(name, x) for name, values in request.form.lists() if name not in NOT_SENT_AGAIN for x in values],
        back_url=url_for("locations.site", location_id=site.id),
    ), 409


def _other_hours(location_id: int, change: Callable[[], None]) -> Any | None:
    """The opening hours of a site change."""
    by = current_actor()
    reason = "the opening hours changed"

    def do(agreed: bool) -> int | None:
        return equipping.change_capacity(location_id, change, reason=reason, agreed=agreed, by=by)

    return guarded(location_id, do)


front.CAPACITY_GUARDS.append(_other_hours)


# -- devices and rooms ------------------------------------------------------------------------------------------------


def _treatments(kind: str | None = None) -> list[tuple[str, str]]:
    found = [(one.name, one.key, one.device_kind) for one in catalogue().values()]
    return [(key, name) for name, key, of in sorted(found) if kind in (None, of)]


def _rooms(site: Location) -> Sequence[Room]:
    statement = select(Room).where(Room.location_id == site.id, Room.retired_at.is_(None))
    return db.session.scalars(statement.order_by(Room.name)).all()


@bp.route("/staff/settings/locations/<int:location_id>/devices", methods=["GET", "POST"])
@access.staff(MANAGER)
def devices(location_id: int) -> Any:
    """Devices and rooms of a site; one more of each."""
    site = _own_site(location_id)
    adds_room = "room_name" in request.form
    room = RoomForm() if adds_room else RoomForm(formdata=None)
    form = DeviceForm(formdata=None, protocols=_treatments()) if adds_room else DeviceForm(protocols=_treatments())
    sent: Any = room if adds_room else form
    if sent.validate_on_submit():
        try:
            words = _add_room(site, room) if adds_room else _add_device(site, form)
        except (Invalid, Conflict) as refusal:
            _show(refusal, sent, {"turnover_minutes": "turnover", "name": "room_name" if adds_room else "name"})
        else:
            flash(words)
            return redirect(url_for(".devices", location_id=site.id))
    return render_template(
        "scheduling/devices.html",
        site=site,
        devices=sorted(site.devices, key=lambda one: (one.retired_at is not None, one.name)),
        rooms=_rooms(site),
        names=dict(_treatments()),
        form=form,
        room=room,
        sent=sent if sent.is_submitted() else None,
    ), 422 if sent.is_submitted() else 200


def _add_device(site: Location, form: DeviceForm) -> str:
    new = NewDevice(
        name=form.name.data or "",
        kind=form.kind.data,
        protocols=form.protocols.data or [],
        turnover_minutes=form.turnover.data or 0,
    )
    places.add_device(site.id, new, by=current_actor())
    return f"{new.name.strip()} can be booked now."


def _add_room(site: Location, form: RoomForm) -> str:
    places.add_room(site.id, form.room_name.data or "", is_shared=bool(form.shared.data), by=current_actor())
    return "The room is there now."


def _show(refusal: ClinicError, form: Any, renamed: dict[str, str]) -> None:
    """A refusal beside the field that it is about, else above the form."""
    field = next(iter(refusal.details.get("fields") or ()), "")
    field = renamed.get(field, field)
    if field in form:
        form[field].errors = [*form[field].errors, refusal.sentence]
    else:
        form.form_errors.append(refusal.sentence)


@bp.get("/staff/settings/locations/<int:location_id>/devices/<int:device_id>")
@access.staff(MANAGER)
def device(location_id: int, device_id: int) -> Any:
    """What one device gives, where it stands, and its way out."""
    site = _own_site(location_id)
    return _device_page(site, _device(site, device_id))


def _device(site: Location, device_id: int) -> Device:
    row = db.session.get(Device, device_id)
    if row is None or row.location_id != site.id or row.retired_at is not None:
        raise NotFound("no such device")
    return row


def _forms(site: Location, row: Device, sent: str = "") -> dict[str, Any]:
    others = [
        (str(one.id), one.name)
        for one in locations.active()
        if one.id != site.id and one.id in current_staff().location_ids
    ]
    rooms = [(str(one.id), one.name) for one in _rooms(site)]
    tomorrow = clock.today(site.tz) + timedelta(days=1)
    empty: dict[str, Any] = {"formdata": None}
    of = {kind: {} if kind == sent else empty for kind in ("treatments", "room", "goes")}
    return {
        "treatments": TreatmentsForm(
            protocols=_treatments(row.kind), **of["treatments"], data={"protocols": row.protocols}
        ),
        "room": InRoomForm(rooms=rooms, **of["room"], data={"room": str(row.room_id or "")}),
        "goes": GoesForm(sites=others, **of["goes"], data={"from_day": tomorrow}),
    }


def _device_page(
    site: Location, row: Device, forms: dict[str, Any] | None = None, sent: str = "", status: int = 200
) -> Any:
    forms = forms or _forms(site, row)
    return render_template(
        "scheduling/device.html",
        site=site,
        device=row,
        forms=forms,
        sent=forms.get(sent),
        has_rooms=len(forms["room"].room.choices) > 1,
    ), status


@bp.post("/staff/settings/locations/<int:location_id>/devices/<int:device_id>/<act>")
@access.staff(MANAGER)
def change_device(location_id: int, device_id: int, act: str) -> Any:
    """Other treatments, another room, or it leaves."""
    site, by = _own_site(location_id), current_actor()
    row = _device(site, device_id)
    if act not in ("treatments", "room", "goes"):
        raise NotFound("no such change")
    forms = _forms(site, row, act)
    form = forms[act]
    if not form.validate_on_submit():
        return _device_page(site, row, forms, act, 422)
    try:
        if act == "treatments":
            equipping.offer_protocols(row.id, form.protocols.data or [], by=by)
        elif act == "room":
            places.put_device_in_room(row.id, int(form.room.data) if form.room.data else None, by=by)
        else:
            return redirect(url_for(".outage", outage_id=_goes(site, row, form)))
    except (Invalid, Conflict) as refusal:
        _show(refusal, form, {"from": "from_day", "location": "to"})
        return _device_page(site, _device(site, device_id), forms, act, 422 if isinstance(refusal, Invalid) else 409)
    flash("Saved. New bookings follow it.")
    return redirect(url_for(".device", location_id=site.id, device_id=device_id))


def _goes(site: Location, row: Device, form: GoesForm) -> int:
    """A device that leaves is an outage that does not end: its sessions are planned anew, here or where it goes."""
    from_at, reason, by = to_utc(form.from_day.data, 0, site.tz), form.reason.data or "", current_actor()
    if form.to.data:
        return closing.move_device(row.id, int(form.to.data), from_at=from_at, reason=reason, by=by)[0]
    return closing.retire_device(row.id, from_at=from_at, reason=reason, by=by)


# -- rota -------------------------------------------------------------------------------------------------------------


@bp.route("/staff/settings/locations/<int:location_id>/rota", methods=["GET", "POST"])
@access.staff(MANAGER)
def rota(location_id: int) -> Any:
    """Who is at a site on which weekday; one more shift."""
    site = _own_site(location_id)
    people = [(str(key), name) for key, name in staff.of_site(site.id)]
    form = ShiftForm(people=people, valid_from=clock.today(site.tz))
    if form.validate_on_submit():
        try:
            places.add_shifts(site.id, list(form.shifts()), by=current_actor())
        except (Invalid, Conflict) as refusal:
            _show(refusal, form, {"weekday": "weekdays"})
        else:
            flash("On the rota. New bookings count on it.")
            return redirect(url_for(".rota", location_id=site.id))
    today = clock.today(site.tz)
    rows = places.shifts_of(site.id, today)
    names = staff.staff_names(list({row.user_id for row in rows}))
    return render_template(
        "scheduling/rota.html",
        site=site,
        today=today,
        weekdays=DAYS,
        people=[
            (name, [[row for row in rows if (row.user_id, row.weekday) == (key, day)] for day in range(7)])
            for key, name in sorted(names.items(), key=lambda one: one[1])
        ],
        form=form,
    ), 422 if form.is_submitted() else 200


@bp.get("/staff/settings/locations/<int:location_id>/rota/<int:shift_id>")
@access.staff(MANAGER)
def shift(location_id: int, shift_id: int) -> Any:
    """One weekly shift: other hours, or its last day."""
    site = _own_site(location_id)
    return _shift_page(site, _shift(site, shift_id))


def _shift(site: Location, shift_id: int) -> StaffShift:
    row = places.shift(shift_id)
    if row.location_id != site.id:
        raise NotFound("no such shift")
    return row


def _shift_page(site: Location, row: StaffShift, hours: Any = None, end: Any = None, status: int = 200) -> Any:
    today = clock.today(site.tz)
    first = today + timedelta(days=(row.weekday - today.weekday()) % 7)
    return render_template(
        "scheduling/shift.html",
        site=site,
        shift=row,
        name=staff.get(row.user_id).name,
        weekday=DAYS[row.weekday],
        hours=hours or HoursOfShiftForm(formdata=None, obj=row, data={"valid_from": max(first, row.valid_from)}),
        end=end or EndForm(formdata=None, last=today),
        sent=hours or end,
    ), status


@bp.post("/staff/settings/locations/<int:location_id>/rota/<int:shift_id>/<act>")
@access.staff(MANAGER)
def change_shift(location_id: int, shift_id: int, act: str) -> Any:
    """Give a shift other hours from a day on, or end it; what nobody would be there for is shown first."""
    site, by = _own_site(location_id), current_actor()
    row = _shift(site, shift_id)
    if act not in ("hours", "end"):
        raise NotFound("no such change")
    form: Any = HoursOfShiftForm() if act == "hours" else EndForm()
    if not form.validate_on_submit():
        return _shift_page(site, row, **{act: form}, status=422)

    def change(agreed: bool) -> int | None:
        if act == "end":
            return equipping.end_shift(row.id, form.last.data, at=site.id, agreed=agreed, by=by)
        new = form.shift(row.user_id, row.weekday, row.valid_until)
        return equipping.change_shift(row.id, new, at=site.id, agreed=agreed, by=by)

    try:
        page = guarded(site.id, change)
    except (Invalid, Conflict) as refusal:
        _show(refusal, form, {})
        status = 422 if isinstance(refusal, Invalid) else 409
        return _shift_page(site, _shift(site, shift_id), **{act: form}, status=status)
    if page is not None:
        return page
    flash("Changed. Nobody who is booked is touched by it.")
    return redirect(url_for(".rota", location_id=site.id))


SITE_LINKS.append(lambda site_id: ("Devices and rooms", url_for("scheduling.devices", location_id=site_id)))
SITE_LINKS.append(lambda site_id: ("Rota", url_for("scheduling.rota", location_id=site_id)))
SITE_LINKS.append(lambda site_id: ("Calendars", url_for("scheduling.site_calendars", slug=locations.get(site_id).slug)))
