"""Take back the last operation on the calendar, where nobody changed it since and every place is still free."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import delete, select

from clinic import audit, clock
from clinic.audit import Actor
from clinic.db import db, transaction
from clinic.errors import AlreadyOver, Conflict, Expired, NotFound, SlotTaken
from clinic.scheduling import booking, locking, preparing, queries, visits
from clinic.scheduling.appointments import PLACE_TEXT
from clinic.scheduling.locking import Locked
from clinic.scheduling.mirror import Taken, taken
from clinic.scheduling.models import HOLDS_PLACE, Course, ScheduleStep, SessionState, TreatmentSession
from clinic.scheduling.steps import COLUMNS, INSTANTS

LASTS = timedelta(minutes=2)  # the board offers it for ten seconds; whoever stands beside it gets the rest
KEPT = timedelta(days=1)


@dataclass(frozen=True)
class Step:
    """An operation that can be taken back until `until`."""

    id: int
    action: str
    session_ids: tuple[int, ...]
    until: datetime


def last_step(by: Actor) -> Step | None:
    """The last operation of this person that can be taken back."""
    row = db.session.scalar(
        select(ScheduleStep)
        .where(
            ScheduleStep.actor_kind == by.kind,
            ScheduleStep.actor_key == by.key,
            ScheduleStep.made_at > clock.now() - LASTS,
        )
        .order_by(ScheduleStep.made_at.desc(), ScheduleStep.id.desc())
        .limit(1)
    )
    if row is None or row.undone_at is not None:
        return None
    return Step(row.id, row.action, tuple(one["id"] for one in row.rows), row.made_at + LASTS)


def take_back(session_id: int, *, by: Actor) -> None:
    """Undo what was done last with one appointment, whoever did it. Raises Conflict where that was nothing lately."""
    step_id = db.session.scalar(
        select(ScheduleStep.id)
        .where(
            ScheduleStep.made_at > clock.now() - LASTS,
            ScheduleStep.rows.contains([{"id": session_id}]),
        )
        .order_by(ScheduleStep.made_at.desc(), ScheduleStep.id.desc())
        .limit(1)
    )
    if step_id is None:
        raise Conflict("There is nothing to take back: it was more than two minutes ago, or someone changed it since.")
    undo(step_id, by=by)


def undo(step_id: int, *, by: Actor) -> str:
    """Put everything back as the operation found it; answers what it was. Moved sessions get a new revision.

    Raises NotFound, Expired after two minutes, AlreadyOver where it was undone, Conflict where somebody changed it
    since, SlotTaken where an old place was taken.
    """
    with booking.overlaps_translated(), transaction() as after_commit:
        step = db.session.get(ScheduleStep, step_id, with_for_update=True)
        if step is None:
            raise NotFound("there is nothing to take back")
        if step.undone_at is not None:
            raise AlreadyOver("this was taken back already")
        if step.made_at + LASTS <= clock.now():
            raise Expired("It is too late to take this back. Change it by hand.")
        rows = _unchanged_rows(step)
        course = _unchanged_course(step)
        locked = _lock(rows, step)
        for row in rows:
            if row.state in HOLDS_PLACE:
                locked.free(taken(row))
        for row in rows:
            _restore(row, _before_of(step, row), locked)
        if course is not None and step.course is not None:
            for name, value in step.course["before"].items():
                setattr(course, name, _from_json(name, value))
            preparing.reopen_within_transaction(course.id, course.protocol, by=by)
        db.session.flush()
        _refuse_made_up(rows)
        step.undone_at = clock.now()
        audit.record_event("schedule_steps", step.id, "undone", by=by, action_undone=step.action, rows=len(rows))
        db.session.flush()
        locking.raise_versions(locked, after_commit)
        return step.action


def _unchanged_rows(step: ScheduleStep) -> list[TreatmentSession]:
    ids = [one["id"] for one in step.rows]
    people = set(db.session.scalars(select(TreatmentSession.patient_id).where(TreatmentSession.id.in_(ids))))
    queries.lock_patients(people)
    found = {
        row.id: row
        for row in db.session.scalars(
            select(TreatmentSession).where(TreatmentSession.id.in_(ids)).execution_options(populate_existing=True)
        )
    }
    for one in step.rows:
        row = found.get(one["id"])
        if row is None or (row.revision, row.state) != (one["revision"], one["state"]):
            raise Conflict("Somebody changed this since. Nothing was taken back.")
    return [found[one["id"]] for one in step.rows]


def _unchanged_course(step: ScheduleStep) -> Course | None:
    if step.course is None:
        return None
    course = db.session.get_one(Course, step.course["id"], populate_existing=True)
    if course.state != step.course["state"]:
        raise Conflict("The course was changed since. Nothing was taken back.")
    return course


def _before_of(step: ScheduleStep, row: TreatmentSession) -> dict[str, Any] | None:
    values = next(one["before"] for one in step.rows if one["id"] == row.id)
    return None if values is None else {name: _from_json(name, value) for name, value in values.items()}


def _from_json(name: str, value: Any) -> Any:
    if value is None:
        return None
    if name in INSTANTS:
        return datetime.fromisoformat(value)
    return date.fromisoformat(value) if name == "local_on" else value


def _lock(rows: Sequence[TreatmentSession], step: ScheduleStep) -> Locked:
    every: list[Mapping[str, Any]] = [{name: getattr(row, name) for name in COLUMNS} for row in rows]
    every += [old for row in rows if (old := _before_of(step, row)) is not None]
    people = {one["staff_id"] for one in every if one["staff_id"] is not None}
    return locking.lock_places(
        {one["device_id"] for one in every if one["device_id"] is not None},
        {one["location_id"] for one in every}.union(*(queries.sites_of_person(x) for x in sorted(people))),
        max(one["starts_at"] for one in every).date(),
        patient_ids={row.patient_id for row in rows},
        room_ids={one["room_id"] for one in every if one["room_id"] is not None},
        staff_ids=people,
    )


def _restore(row: TreatmentSession, old: dict[str, Any] | None, locked: Locked) -> None:
    """Write the old values; a row that was not there before is cancelled. The place has to be free still."""
    if old is None:
        row.state, row.ended_at = SessionState.CANCELLED, clock.now()
        return
    held = row.state in HOLDS_PLACE
    one = Taken(*(old[name] if name in old else getattr(row, name) for name in Taken._fields))
    is_told = (held, taken(row)) != (old["state"] in HOLDS_PLACE, one)
    if old["state"] in HOLDS_PLACE:
        if is_told:
            _refuse_lost(row, one, locked)
        locked.take(one)
    for name, value in old.items():
        setattr(row, name, value)
    if is_told:
        row.revision += 1


def _refuse_made_up(rows: Sequence[TreatmentSession]) -> None:
    """A session that was lost and made up does not come back: the course would have one too many."""
    for course_id in {row.course_id for row in rows if row.course_id is not None}:
        held = sum(row.state in HOLDS_PLACE for row in queries.sessions(course_id))
        if held > queries.course(course_id).planned_sessions:
            raise Conflict("A make-up was booked for this session already.")


def _refuse_lost(row: TreatmentSession, one: Taken, locked: Locked) -> None:
    if one.starts_at <= clock.now() and row.starts_at != one.starts_at:
        raise Expired("The old time has passed.")
    if one.device_id is None:
        visits.refuse_taken(one, row.patient_id, locked, but=row)
        return
    minutes = int((one.ends_at - one.starts_at).total_seconds() // 60)
    rule = locked.so_far().why_not(one.device_id, one.starts_at, minutes, one.need)
    if rule is not None:
        words = PLACE_TEXT.get(rule, rule.replace("_", " "))
        raise SlotTaken(f"The place is gone: {words}. Nothing was taken back.", taken=[])


def forget_old() -> int:
    """Drop what nobody can take back any more; answers how many."""
    with transaction():
        result = db.session.execute(delete(ScheduleStep).where(ScheduleStep.made_at <= clock.now() - KEPT))
        return int(result.rowcount)  # type: ignore[attr-defined]
