"""What a protocol asks for before the first session and no device of the clinic gives: a scan that finds the target.

It is not booked here. The plan leaves the days that it takes, the desk has a task to arrange it, and whoever looks at the
course sees by when it has to be done.
"""

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import NamedTuple

from sqlalchemy import select

from clinic.audit import Actor
from clinic.db import db
from clinic.protocols.base import Before, Protocol
from clinic.protocols.shapes import bookable
from clinic.staff.models import Role
from clinic.tasks.models import Task, TaskKind, TaskLevel
from clinic.tasks.operations import close_keyed_within_transaction, reopen_keyed_within_transaction
from clinic.tasks.operations import open_within_transaction as open_task

OVER = "The course ended."


class Preparation(NamedTuple):
    """One thing to be done, the last date for it where the site is, and what came of it where that is on record."""

    what: Before
    by: date
    outcome: str | None = None

    @property
    def words(self) -> str:
        """In a line, for staff."""
        return f"{self.what.name}, {self.what.minutes} min"


def of_plan(protocol: Protocol, first_on: date) -> list[Preparation]:
    """What comes before a course whose first session is on that date."""
    return [Preparation(one, first_on - timedelta(days=one.lead_days)) for one in protocol.before]


def of_course(course_id: int, protocol: Protocol, first_on: date) -> list[Preparation]:
    """The same of a booked course, with what the desk wrote down."""
    planned = of_plan(protocol, first_on)
    if not planned:
        return []
    keys = {_key(course_id, one.what): one for one in planned}
    rows = db.session.execute(select(Task.dedupe_key, Task.outcome).where(Task.dedupe_key.in_(keys)))
    outcomes = {row.dedupe_key: row.outcome for row in rows}
    return [one._replace(outcome=outcomes.get(key)) for key, one in keys.items()]


def open_within_transaction(
    course_id: int, patient_id: int, location_id: int, protocol: Protocol, starts: Iterable[datetime], *, by: Actor
) -> None:
    """A task for the desk for each, due so long before the first session as the protocol asks for."""
    first = min(starts)
    for one in protocol.before:
        open_task(
            kind=TaskKind.PREPARE_COURSE,
            level=TaskLevel.ROUTINE,
            dedupe_key=_key(course_id, one),
            for_role=Role.FRONT_DESK,
            due_at=first - timedelta(days=one.lead_days),
            by=by,
            patient_id=patient_id,
            location_id=location_id,
            subject={"course_id": course_id},
        )


def close_within_transaction(course_id: int, protocol_key: str, *, by: Actor) -> None:
    """Nothing is left to arrange: the course ended."""
    if keys := _keys(course_id, protocol_key):
        close_keyed_within_transaction(keys, outcome=OVER, by=by)


def reopen_within_transaction(course_id: int, protocol_key: str, *, by: Actor) -> None:
    """The end of the course was taken back."""
    if keys := _keys(course_id, protocol_key):
        reopen_keyed_within_transaction(keys, outcome=OVER, by=by)


def _keys(course_id: int, protocol_key: str) -> list[str]:
    protocol = bookable().get(protocol_key)
    return [_key(course_id, one) for one in protocol.before] if protocol is not None else []


def _key(course_id: int, one: Before) -> str:
    return f"prepare:{course_id}:{one.kind}"
