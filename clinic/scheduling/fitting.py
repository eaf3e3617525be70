"""Appointments ahead that hours, rota and devices no longer carry: what was fine when it was booked may not stay so."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Any, NamedTuple

import numpy as np
from sqlalchemy import func, select

from clinic import clock
from clinic.db import db
from clinic.patients.sites import everyone
from clinic.scheduling import capacity, visits
from clinic.scheduling.capacity import Snapshot
from clinic.scheduling.mirror import Site
from clinic.scheduling.models import HOLDS_PLACE, TreatmentSession
from clinic.scheduling.planner.calendar import from_utc


class Misfit(NamedTuple):
    """A rule of the place that does not hold, and the appointments at that minute."""

    rule: str
    text: str
    rows: tuple[Any, ...]  # id, starts_at, ends_at, device_until


@everyone()
def misfits(location_id: int, *, as_it_would_be: bool = False) -> set[int]:
    """Ids of the appointments ahead at a site that have no lawful place there now.

    as_it_would_be: what this transaction changed counts, before it is committed. A visit whose hours or rota somebody
    set aside with a reason is not among them.
    """
    found = visits.out_of_hours(location_id)
    last = last_day(location_id)
    if last is None or last < clock.now().date():
        return found
    if as_it_would_be:
        state = capacity.as_it_would_be(location_id, until=last)
    else:
        state = capacity.snapshot({location_id}, until=last)
    now = clock.now()
    for one in (*crowded(state, location_id), *impossible(state, location_id)):
        found.update(row.id for row in one.rows if row.starts_at > now)
    return found


def last_day(location_id: int) -> date | None:
    """Of the appointments that hold a place at a site."""
    return db.session.scalar(
        select(func.max(TreatmentSession.local_on)).where(
            TreatmentSession.location_id == location_id, TreatmentSession.state.in_(HOLDS_PLACE)
        )
    )


def crowded(state: Snapshot, location_id: int) -> Iterator[Misfit]:
    """Minutes in which more is booked than there are people for, by rule and day."""
    occupancy, site = state.occupancy, state.sites[location_id]
    at = occupancy.location_index[site.facts.id]
    used, on = occupancy.staff_used, occupancy.staff_on
    over: Mapping[str, Any] = {
        "mapping_skill": used["map"][at] > on["map"][at],
        "operator_pool": used["map"][at] + used["tms"][at] > on["tms"][at],
        "observer_capacity": used["obs"][at] > on["obs"][at],
    }
    for rule, mask in over.items():
        for day in np.flatnonzero(mask.any(axis=1)):
            minutes = [occupancy.low + int(slot) * occupancy.unit for slot in np.flatnonzero(mask[day])]
            on_date = occupancy.date_of(int(day))
            rows = [row for row in _sessions_on(location_id, on_date, rule) if _meets(row, minutes, site)]
            words = f"{rule.replace('_', ' ')} at {site.name} on {on_date} from {minutes[0] // 60:02d}:{minutes[0] % 60:02d}"
            yield Misfit(rule, words, tuple(rows))


def _meets(row: Any, minutes: Sequence[int], site: Site) -> bool:
    _, start = from_utc(row.starts_at, site.tz)
    end = start + (row.ends_at - row.starts_at) // timedelta(minutes=1)
    return any(start <= minute < end for minute in minutes)


def _sessions_on(location_id: int, on: date, rule: str) -> Sequence[Any]:
    need = {"observer_capacity": ("obs",), "mapping_skill": ("map",)}.get(rule, ("map", "tms"))
    return db.session.execute(
        select(*_COLUMNS).where(
            TreatmentSession.location_id == location_id,
            TreatmentSession.local_on == on,
            TreatmentSession.need.in_(need),
            TreatmentSession.state.in_(HOLDS_PLACE),
        )
    ).all()


_COLUMNS = (
    TreatmentSession.id,
    TreatmentSession.device_id,
    TreatmentSession.starts_at,
    TreatmentSession.ends_at,
    TreatmentSession.device_until,
)


def impossible(state: Snapshot, location_id: int) -> Iterator[Misfit]:
    """Sessions ahead on a device that is down or outside the opening hours: a closure or change entered late."""
    occupancy, site = state.occupancy, state.sites[location_id]
    rows = db.session.execute(
        select(*_COLUMNS).where(
            TreatmentSession.location_id == location_id,
            TreatmentSession.local_on >= clock.now().date() - timedelta(days=1),
            TreatmentSession.starts_at > clock.now(),
            TreatmentSession.device_id.is_not(None),
            TreatmentSession.state.in_(HOLDS_PLACE),
        )
    )
    at = occupancy.location_index[site.facts.id]
    for row in rows:
        if row.device_id not in site.device_facts:
            continue
        day, minute = state.day_and_minute(row.device_id, row.starts_at)
        device = occupancy.device_index[site.device_facts[row.device_id].id]
        slot = (minute - occupancy.low) // occupancy.unit
        held = -(-int((row.device_until - row.starts_at).total_seconds() // 60) // occupancy.unit)
        if not 0 <= day < occupancy.days:
            continue
        inside = 0 <= slot < occupancy.slots
        if not inside or occupancy.open_run[at, day, slot] < held:
            yield Misfit("location_is_open", f"session {row.id} lies outside the opening hours", (row,))
        elif occupancy.device_up_run[device, day, slot] < held:
            yield Misfit("device_is_up", f"session {row.id} is on a device that is down", (row,))
