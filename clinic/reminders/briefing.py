"""What staff read in the morning: counts of their sites, never a name."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import func, or_, select

from clinic.db import db
from clinic.locations.models import Location
from clinic.reminders.facts import TOOK_OR_TAKES_PLACE
from clinic.scheduling.models import SessionState, TreatmentSession
from clinic.staff.models import StaffLocation, StaffRole, StaffUser, StaffUserRole
from clinic.tasks.models import Task, TaskKind


def lines(staff_id: int, day: date, now: datetime, tz: str) -> list[str]:
    """One line a site with visits today, then what waits: safety first."""
    everywhere = select(StaffUser.id).where(StaffUser.id == staff_id, StaffUser.has_all_sites)
    granted = select(StaffLocation.location_id).where(StaffLocation.user_id == staff_id)
    sites = select(Location.id).where(or_(Location.id.in_(granted), everywhere.exists()))
    return [*_visits(sites, day), *_tasks(staff_id, sites, now)]


def _visits(sites: Any, day: date) -> list[str]:
    rows = db.session.execute(
        select(
            Location.name,
            func.count(),
            func.count().filter(TreatmentSession.state == SessionState.CONFIRMED),
        )
        .join(TreatmentSession, TreatmentSession.location_id == Location.id)
        .where(
            Location.id.in_(sites),
            TreatmentSession.local_on == day,
            TreatmentSession.state.in_(TOOK_OR_TAKES_PLACE),
        )
        .group_by(Location.name)
        .order_by(Location.name)
    ).all()
    if not rows:
        return ["No visits today."]
    return [f"{name}: {_counted(count, 'visit')}, {confirmed} confirmed" for name, count, confirmed in rows]


def _tasks(staff_id: int, sites: Any, now: datetime) -> list[str]:
    roles = select(StaffRole.name).join(StaffUserRole).where(StaffUserRole.user_id == staff_id)
    own = (
        Task.closed_at.is_(None),
        or_(Task.location_id.is_(None), Task.location_id.in_(sites)),
        or_(Task.for_role.in_(roles), Task.owner_id == staff_id, Task.kind == TaskKind.SAFETY),
    )
    late = Task.due_at <= now
    waiting, over, safety, unsent = db.session.execute(
        select(
            func.count(),
            func.count().filter(late),
            func.count().filter(Task.kind == TaskKind.SAFETY),
            func.count().filter(Task.kind == TaskKind.MESSAGE_FAILED),
        ).where(*own)
    ).one()
    said = [f"Safety: {safety} waiting"] if safety else []
    said.append(f"{_counted(waiting, 'task')} waiting, {over} past the time" if waiting else "No task is waiting.")
    if unsent:
        said.append(f"{_counted(unsent, 'message')} could not be delivered: call these people")
    return said


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
