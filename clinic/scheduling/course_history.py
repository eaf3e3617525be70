"""What happened to a course and its sessions, out of the audit trail, in words."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, or_, select

from clinic.audit import ActorKind, AuditEvent
from clinic.db import db
from clinic.scheduling.models import Course, TreatmentSession
from clinic.staff.queries import staff_names

MOST = 60
COURSE_WORDS = {
    "booked": "Course booked",
    "started": "Course began",
    "completed": "Course completed",
    "paused": "Course paused",
    "resumed": "Course resumed",
    "cancelled": "Course cancelled",
    "discontinued": "Course ended early",
    "made_up": "A make-up was added",
    "extended": "Sessions were added",
    "device_swapped": "Moved to another device",
}
SESSION_WORDS = {
    "moved": "moved",
    "cancelled": "cancelled",
    "no_show": "missed",
    "confirmed": "confirmed",
    "cannot_come": "the patient cannot come",
    "taken_back": "last change taken back",
    "rule_set_aside": "a rule was set aside",
    "threshold_planned": "time for a new motor threshold",
    "threshold_dropped": "usual length again",
}
OTHERS = {
    ActorKind.PATIENT: "the patient",
    ActorKind.SERVICE: "another system",
    ActorKind.SYSTEM: "the clinic's software",
}


@dataclass(frozen=True)
class Event:
    """One line of a course's history."""

    at: datetime
    text: str
    by: str
    reason: str


def of_course(course: Course, sessions: Sequence[TreatmentSession]) -> list[Event]:
    """The newest changes first; arrivals and deliveries are not repeated here. Two statements."""
    numbers = {str(row.id): row.number for row in sessions}
    rows = db.session.scalars(
        select(AuditEvent)
        .where(
            or_(
                and_(
                    AuditEvent.entity == Course.__tablename__,
                    AuditEvent.entity_id == str(course.id),
                    AuditEvent.action.in_(list(COURSE_WORDS)),
                ),
                and_(
                    AuditEvent.entity == TreatmentSession.__tablename__,
                    AuditEvent.entity_id.in_(list(numbers)),
                    AuditEvent.action.in_(list(SESSION_WORDS)),
                ),
            )
        )
        .order_by(AuditEvent.id.desc())
        .limit(MOST)
    ).all()
    staff = staff_names([int(row.actor_key) for row in rows if row.actor_kind == ActorKind.STAFF])
    return [
        Event(
            row.occurred_at,
            COURSE_WORDS[row.action]
            if row.entity == Course.__tablename__
            else f"Session {numbers[row.entity_id]}: {SESSION_WORDS[row.action]}",
            staff.get(int(row.actor_key), "staff")
            if row.actor_kind == ActorKind.STAFF
            else OTHERS.get(ActorKind(row.actor_kind), ""),
            row.reason or "",
        )
        for row in rows
    ]
