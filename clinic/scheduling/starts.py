"""When a whole course could start at each site, before there is a patient; and what more capacity would change.

Public pages read the answers that a sweep keeps (`CourseStart`): a view costs one statement, however long the planner
thinks. Staff ask the live calendar.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from flask import g
from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert

from clinic import clock
from clinic.db import db, transaction
from clinic.errors import Invalid
from clinic.locations import front
from clinic.locations.models import Device, Location
from clinic.patients.sites import everyone
from clinic.protocols.base import Protocol, catalogue
from clinic.scheduling import capacity, queries, wishes
from clinic.scheduling.capacity import Snapshot
from clinic.scheduling.models import CourseStart
from clinic.scheduling.planner import (
    ALL_DAY,
    CourseRequest,
    StartChange,
    another_device,
    another_shift,
    earliest_starts,
    question_for,
    starts_with,
)

FRESH_FOR = timedelta(minutes=10)  # a site whose calendar changes all day is not asked again sooner
TREATMENTS = {"tms": "tms", "esketamine": "esketamine", "iv_ketamine": "ketamine"}  # modality: key on public pages
Span = tuple[int, int]


@dataclass(frozen=True)
class SiteStart:
    """The first date on which a course could start at a site; None where none fits into the planned months."""

    location_id: int
    name: str
    starts_on: date | None


# -- live, for staff ------------------------------------------------------------------------------------------------


def _question(
    protocol: Protocol, state: Snapshot, hours: Span | None = None, weekdays: Collection[int] = ()
) -> CourseRequest:
    days = frozenset(weekdays) or frozenset(range(7))
    windows = ALL_DAY
    if hours is not None or weekdays:
        windows = tuple((hours or (0, 1440),) if day in days else () for day in range(7))
    today = min(clock.today(site.tz) for site in state.sites.values())
    return question_for(
        protocol,
        state.occupancy,
        windows=windows,
        release=state.occupancy.day_of(today) + protocol.lead_days,
        busy=wishes.in_the_past(state),
        turnover=wishes.SLOT_TURNOVER,
    )


def _state(protocol: Protocol, location_ids: Collection[int]) -> Snapshot | None:
    offering = [x for x in queries.sites_offering(protocol.gives) if x in location_ids]
    return capacity.snapshot(offering) if offering else None


def site_starts(
    protocol_key: str, location_ids: Collection[int], *, hours: Span | None = None, weekdays: Collection[int] = ()
) -> list[SiteStart]:
    """The next possible start at each of these sites that gives the protocol, soonest first. Raises NotFound, Invalid."""
    protocol = wishes.protocol_of(protocol_key)
    _refuse_hours(hours)
    with transaction():
        state = _state(protocol, location_ids)
    if state is None:
        return []
    found = earliest_starts(_question(protocol, state, hours, weekdays), state.occupancy)
    rows = [SiteStart(site.id, site.name, found[site.facts.id]) for site in state.sites.values()]
    return sorted(rows, key=lambda row: (row.starts_on or date.max, row.name))


def _refuse_hours(hours: Span | None) -> None:
    if hours is not None and not 0 <= hours[0] < hours[1] <= 1440:
        raise Invalid("The hours end before they begin.", fields=["before"])


@dataclass(frozen=True)
class WhatIf:
    """One change of capacity at one site, and the first start without and with it."""

    location_id: int
    site: str
    text: str
    change: StartChange


EVENING, SATURDAY = 3 * 60, (9 * 60, 13 * 60)


def what_if(protocol_key: str, location_ids: Collection[int]) -> list[WhatIf]:
    """What another device, an evening or a Saturday would do to the next start, site by site, on the real calendar.

    Each adds one person who can do it all. Raises NotFound.
    """
    protocol = wishes.protocol_of(protocol_key)
    with transaction():
        state = _state(protocol, location_ids)
    if state is None:
        return []
    request, occupancy = _question(protocol, state), state.occupancy
    skills = ("obs",) if protocol.device_kind == "chair" else ("tms", "map")
    found = []
    for site in state.sites.values():
        giving = [facts for _, facts in site.devices if protocol.gives in facts.capabilities]
        closes = max((b for spans in site.facts.hours for _, b in spans), default=0)
        evening = (closes, min(1440, closes + EVENING))
        changes = [
            (
                f"another device like {giving[0].id.partition(',')[0]}",
                another_device(occupancy, giving[0].id, skills=skills),
            )
        ]
        if closes and evening[1] > closes:
            words = f"an evening shift, Monday to Friday {_clock(evening[0])} to {_clock(evening[1])}"
            changes.append((words, another_shift(occupancy, site.facts.id, evening, skills=skills)))
        if not site.facts.hours[5]:
            words = f"Saturdays {_clock(SATURDAY[0])} to {_clock(SATURDAY[1])}"
            changes.append((words, another_shift(occupancy, site.facts.id, SATURDAY, weekdays=(5,), skills=skills)))
        found += [
            WhatIf(site.id, site.name, words, starts_with(request, occupancy, extra)[site.facts.id])
            for words, extra in changes
        ]
    return found


def _clock(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"


# -- kept, for public pages -----------------------------------------------------------------------------------------


def stale_sites() -> list[int]:
    """Sites in use with devices whose kept answers are of an older calendar or day."""
    kept = (
        select(
            CourseStart.location_id,
            func.min(CourseStart.schedule_version).label("version"),
            func.min(CourseStart.computed_at).label("at"),
        )
        .group_by(CourseStart.location_id)
        .subquery()
    )
    rows = db.session.execute(
        select(Location.id, Location.tz, Location.schedule_version, kept.c.version, kept.c.at)
        .outerjoin(kept, kept.c.location_id == Location.id)
        .where(
            Location.retired_at.is_(None),
            Location.id.in_(select(Device.location_id).where(Device.retired_at.is_(None))),
        )
        .order_by(Location.id)
    )
    now = clock.now()
    return [row.id for row in rows if _is_stale(row.tz, row.schedule_version, row.version, row.at, now)]


def _is_stale(tz: str, version: int, kept: int | None, at: datetime | None, now: datetime) -> bool:
    if kept is None or at is None:
        return True
    is_older_day = queries.local_date(at, tz) != clock.today(tz)
    return is_older_day or (kept != version and at <= now - FRESH_FOR)


@everyone()
def refresh_starts(location_id: int) -> int:
    """Ask the planner anew for one site and keep the answers; answers how many protocols it gives."""
    with transaction():
        offered = _offered(location_id)
        version = db.session.scalar(select(Location.schedule_version).where(Location.id == location_id)) or 0
        state = capacity.snapshot({location_id})
    site = state.sites[location_id]
    answers = {
        protocol.key: earliest_starts(_question(protocol, state), state.occupancy)[site.facts.id]
        for protocol in offered
    }
    now = clock.now()
    with transaction():
        stale = delete(CourseStart).where(
            CourseStart.location_id == location_id, CourseStart.protocol.not_in(list(answers))
        )
        db.session.execute(stale)
        for key, starts_on in answers.items():
            values = {"starts_on": starts_on, "schedule_version": version, "computed_at": now}
            statement = insert(CourseStart).values(location_id=location_id, protocol=key, **values)
            db.session.execute(statement.on_conflict_do_update(index_elements=["location_id", "protocol"], set_=values))
    return len(answers)


def _offered(location_id: int) -> Sequence[Protocol]:
    given = {
        key
        for keys in db.session.scalars(
            select(Device.protocols).where(Device.location_id == location_id, Device.retired_at.is_(None))
        )
        for key in keys
    }
    return [protocol for key, protocol in catalogue().items() if key in given]


def kept_starts() -> dict[int, dict[str, date | None]]:
    """The kept answers by site and protocol; one statement a request."""
    if "course_starts" not in g:
        found: dict[int, dict[str, date | None]] = {}
        rows = select(CourseStart.location_id, CourseStart.protocol, CourseStart.starts_on)
        for location_id, protocol, starts_on in db.session.execute(rows):
            found.setdefault(location_id, {})[protocol] = starts_on
        g.course_starts = found
    return g.course_starts  # type: ignore[no-any-return]


def next_starts(location: Location) -> dict[str, date]:
    """The first day on which a full course of each treatment could begin at a site, as the sweep kept it."""
    today, found = clock.today(location.tz), dict[str, date]()
    for key, on in kept_starts().get(location.id, {}).items():
        treatment = TREATMENTS.get(catalogue()[key].modality) if key in catalogue() else None
        if treatment is not None and on is not None and on >= today:
            found[treatment] = min(on, found.get(treatment, on))
    return found


front.NEXT_STARTS.append(next_starts)
