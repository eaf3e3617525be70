"""Sites, devices, protocols, open times. A site's public id is its slug."""

from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import Field

from clinic import clock
from clinic.api.blueprint import Body, Line, accepts, answers, bp, listed
from clinic.errors import Invalid, NotFound
from clinic.locations import queries as locations
from clinic.locations.models import Location
from clinic.protocols.shapes import bookable
from clinic.scheduling import appointments
from clinic.web.access import token

MOST_DAYS = 92


def site(name: str) -> Location:
    """The site with this public id. Raises NotFound."""
    return locations.get_by_slug(name)


@bp.get("/locations")
@answers("LocationPage")
@token()
def list_locations() -> Any:
    """Sites in use, by name."""
    return listed(
        [
            {
                "id": row.slug,
                "slug": row.slug,
                "name": row.name,
                "address": row.address,
                "zip_code": row.zip_code,
                "timezone": row.tz,
                "phone": row.phone,
                "note": row.note,
                "protocols": sorted(
                    {key for device in row.devices if not device.retired_at for key in device.protocols}
                ),
                "hours": [
                    {
                        "weekday": h.weekday,
                        "opens": h.opens.isoformat("minutes"),
                        "closes": h.closes.isoformat("minutes"),
                    }
                    for h in row.hours
                ],
            }
            for row in locations.active()
        ]
    )


@bp.get("/devices")
@answers("DevicePage")
@token()
def list_devices() -> Any:
    """Devices in use, by site and id."""
    return listed(
        [
            {
                "id": device.id,
                "name": device.name,
                "location": row.slug,
                "kind": device.kind,
                "protocols": device.protocols,
                "turnover_minutes": device.turnover_minutes,
            }
            for row in locations.active()
            for device in row.devices
            if device.retired_at is None
        ]
    )


@bp.get("/protocols")
@answers("ProtocolPage")
@token()
def list_protocols() -> Any:
    """Protocols that can be booked."""
    return listed(
        [
            {
                "id": entry.key,
                "name": entry.name,
                "version": entry.version,
                "pathway": entry.modality,
                "device_kind": entry.device_kind,
                "given_as": entry.gives,
                "sessions": sum(len(visit.offsets) for visit in entry.first_visits),
                "later_stages": [
                    {
                        "id": stage.id,
                        "name": stage.name,
                        "sessions": sum(len(visit.offsets) for visit in visits),
                        "needs_improvement_percent": stage.needs_improvement_percent,
                    }
                    for stage, visits in zip(entry.later, entry.visits_by_stage[1:], strict=True)
                ],
                "min_hours_between": entry.min_hours,
                "first_minutes": entry.visits[0].minutes,
                "session_minutes": entry.visits[-1].minutes,
            }
            for entry in bookable().values()
        ]
    )


class OpenTimes(Body):
    """Which open times are asked for; both dates are included."""

    location: Line
    protocol: Line
    from_: date = Field(alias="from")
    to: date
    cursor: str | None = None
    limit: str | None = None


@bp.get("/availability")
@answers("OpenTimePage")
@token()
@accepts(OpenTimes, query=True)
def availability(body: OpenTimes) -> Any:
    """Open times of one usual session."""
    if not 0 <= (body.to - body.from_).days < MOST_DAYS:
        raise Invalid(f"from and to span 1 to {MOST_DAYS} days", fields=["from", "to"])
    if not clock.is_near(body.from_):
        raise Invalid("from is out of range", fields=["from"])
    if body.protocol not in bookable():
        raise NotFound(f"no protocol {body.protocol!r}")
    place = site(body.location)
    zone = ZoneInfo(place.tz)
    return listed(
        [
            {
                "id": f"{found.starts_at:%Y%m%dT%H%MZ}-{found.device_id}",
                "starts_at": found.starts_at.astimezone(zone).isoformat(),
                "ends_at": found.ends_at.astimezone(zone).isoformat(),
                "device": found.device_id,
            }
            for found in appointments.open_places(place.id, body.protocol, body.from_, body.to)
        ]
    )
