"""How an operation found the rows that it changed, kept for two minutes in case it was a slip (`undoing`)."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any

from clinic import clock
from clinic.audit import Actor
from clinic.db import db
from clinic.scheduling.models import Course, ScheduleStep, TreatmentSession

COLUMNS = (
    "state",
    "location_id",
    "device_id",
    "room_id",
    "staff_id",
    "number",
    "kind",
    "patient_state",
    "starts_at",
    "ends_at",
    "device_until",
    "spaced_until",
    "local_on",
    "confirmed_at",
    "started_at",
    "ended_at",
    "change_id",
    "authorisation_id",
    "self_pay_id",
    "with_threshold",
)
COURSE_COLUMNS = ("state", "ended_at", "planned_sessions", "device_id")
INSTANTS = frozenset({"starts_at", "ends_at", "device_until", "spaced_until", "confirmed_at", "started_at", "ended_at"})

Before = dict[int, dict[str, Any]]


def before(rows: Iterable[TreatmentSession]) -> Before:
    """What rows are before an operation changes them."""
    return {row.id: {name: _as_json(getattr(row, name)) for name in COLUMNS} for row in rows}


def course_before(course: Course) -> dict[str, Any]:
    """What a course is before an operation changes it."""
    return {name: _as_json(getattr(course, name)) for name in COURSE_COLUMNS}


def _as_json(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime | date) else value


def remember(
    action: str,
    old: Before,
    rows: Sequence[TreatmentSession],
    *,
    course: tuple[Course, dict[str, Any]] | None = None,
    by: Actor,
) -> None:
    """Keep how an operation found these rows, in its transaction. A row that was not there before is None in `old`."""
    if not rows:
        return
    after = [{"id": x.id, "before": old.get(x.id), "revision": x.revision, "state": x.state} for x in rows]
    db.session.add(
        ScheduleStep(
            actor_kind=by.kind,
            actor_key=by.key,
            action=action,
            location_id=rows[0].location_id,
            rows=after,
            course=None if course is None else {"id": course[0].id, "before": course[1], "state": course[0].state},
            made_at=clock.now(),
        )
    )
