"""What the patient says to a re-plan: yes, no, or nothing in time. A no is planned anew; after some, a person calls."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select

from clinic import audit, clock
from clinic.audit import Actor
from clinic.db import db, transaction
from clinic.errors import AlreadyOver, Expired, NotFound, SlotTaken
from clinic.patients.sites import everyone
from clinic.scheduling import booking, holding, locking, moving, queries, repairing
from clinic.scheduling.mirror import Taken, taken
from clinic.scheduling.models import (
    ChangeState,
    HoldPurpose,
    ScheduleChange,
    SessionState,
    TreatmentSession,
)

OPEN = (ChangeState.TOLD, ChangeState.ASKED)
MOST_PLANS = 3  # so many times a person is planned anew before somebody calls
MOST_TRIES = 3


def get(change_id: int) -> ScheduleChange:
    """The change. Raises NotFound."""
    row = db.session.get(ScheduleChange, change_id)
    if row is None:
        raise NotFound("no such change")
    return row


def open_of_patient(patient_id: int) -> Sequence[ScheduleChange]:
    """Re-plans that a person can still answer, the soonest answer first.

    Where only the device changed nobody was asked: such a one is not among them.
    """
    statement = select(ScheduleChange).where(
        ScheduleChange.patient_id == patient_id,
        ScheduleChange.state.in_(OPEN),
        ScheduleChange.answer_by > clock.now(),
    )
    rows = db.session.scalars(statement.order_by(ScheduleChange.answer_by, ScheduleChange.id))
    return [row for row in rows if any(map(moving.is_news, row.moves))]


def unanswered(limit: int = 200) -> Sequence[int]:
    """Ids of re-plans whose time to answer is over."""
    statement = select(ScheduleChange.id).where(ScheduleChange.state.in_(OPEN), ScheduleChange.answer_by <= clock.now())
    return db.session.scalars(statement.order_by(ScheduleChange.answer_by).limit(limit)).all()


def accept_change(change_id: int, *, by: Actor) -> None:
    """Yes to the new times; an earlier one that waited is booked. Raises NotFound, AlreadyOver, Expired."""
    with booking.overlaps_translated(), transaction() as after_commit:
        change = _lock(change_id)
        if change.answer_by <= clock.now():
            raise Expired("The time to answer is over. The clinic will call.")
        rows = _rows(change)
        waiting = [row for row in rows if row.state == SessionState.HELD]
        locked = _lock_rows(rows)
        if any(row.hold_id is None for row in waiting):
            raise Expired("The earlier time is no longer free. The clinic will call.")
        for row in waiting:
            row.state, row.hold_id = SessionState.BOOKED, None
        _end_empty_holds(change, holding.BOOKED)
        _answered(change, ChangeState.ACCEPTED, by=by)
        db.session.flush()
        locking.raise_versions(locked, after_commit)


def decline_change(change_id: int, *, by: Actor) -> ChangeState:
    """No to the new times: planned anew without them, or given to the desk. Answers what became of it.

    `told` or `asked`: there are other times, with a revision that is told of anew; `declined`: a person calls.
    Raises NotFound, AlreadyOver.
    """
    return _plan_anew(change_id, ChangeState.DECLINED, by=by)


def lapse_change(change_id: int, *, by: Actor) -> ChangeState:
    """Nobody answered in time: times that were told stand; an earlier one that needed a yes is planned anew."""
    with transaction():
        change = _lock(change_id)
        if change.answer_by > clock.now():
            return ChangeState(change.state)
        if change.state == ChangeState.TOLD:
            _answered(change, ChangeState.LAPSED, by=by)
            return ChangeState.LAPSED
    return _plan_anew(change_id, ChangeState.LAPSED, by=by)


def _plan_anew(change_id: int, otherwise: ChangeState, *, by: Actor) -> ChangeState:
    for _ in range(MOST_TRIES):
        try:
            return _written(change_id, _other_times(change_id), otherwise, by=by)
        except SlotTaken:
            continue
    return _written(change_id, None, otherwise, by=by)


def _other_times(change_id: int) -> list[dict[str, Any]] | None:
    """New lines for the sessions of a change, without the times that were declined; None where there are none."""
    with transaction(), everyone():
        change = get(change_id)
        if change.state not in OPEN:
            raise AlreadyOver(f"this was answered: {change.state}", state=change.state)
        if change.revision >= MOST_PLANS or change.course_id is None:
            return None
        rows = {row.id: row for row in _rows(change)}
        lines = {line["session_id"]: line for line in change.moves if line["session_id"] in rows}
        old = {key: _old_place(rows[key], line) for key, line in lines.items()}
        if any(_is_over(row) for row in rows.values()) or any(x.starts_at <= clock.now() for x in old.values()):
            return None
        declined = [
            (datetime.fromisoformat(at), datetime.fromisoformat(at) + (rows[key].ends_at - rows[key].starts_at))
            for key, line in lines.items()
            for at in _declined(line)
        ]
        sites = sorted({place.location_id for place in old.values()})
        question = repairing.ask(
            [change.course_id],
            location_ids=sites,
            anywhere=change.kind == "site",
            declined={change.course_id: declined},
            places=old,
        )
    if question is None:
        return None
    plan = question.solve()
    if any(breach.is_new for breach in plan.breaches) or plan.dropped:
        return None
    new = {line["session_id"]: line for line in repairing.as_preview(plan, question)["moved"]}
    if set(new) - set(lines):
        return None  # others of the course would have to move too: a person decides
    return [_line(line, new.get(key), old[key]) for key, line in lines.items()]


def _is_over(row: TreatmentSession) -> bool:
    return row.state not in (*queries.FREEABLE, SessionState.CANCELLED)


def _declined(line: Mapping[str, Any]) -> list[str]:
    return [*line.get("declined", []), *([line["to_at"]] if line["to_at"] else [])]


def _old_place(row: TreatmentSession, line: Mapping[str, Any]) -> Taken:
    """Where the session was before the re-plan; it may be free again."""
    at = datetime.fromisoformat(line["from_at"])
    return taken(row)._replace(
        location_id=line["from_location"],
        device_id=line["from_device"],
        room_id=None,
        starts_at=at,
        ends_at=at + (row.ends_at - row.starts_at),
        device_until=at + (row.device_until - row.starts_at),
    )


def _line(line: Mapping[str, Any], new: Mapping[str, Any] | None, old: Taken) -> dict[str, Any]:
    """The next plan of a session: a new place, or the old one where it can stay there after all."""
    found = {**line, "declined": _declined(line)}
    if new is None:
        return found | {
            "to_at": old.starts_at.isoformat(),
            "to_device": old.device_id,
            "to_location": old.location_id,
            "minutes": 0,
            "days": 0,
            "needs_yes": False,
            "text": "back at the old time",
        }
    names = ("to_at", "to_device", "to_location", "minutes", "days", "needs_yes", "because", "text")
    return found | {name: new[name] for name in names}


def _written(change_id: int, lines: list[dict[str, Any]] | None, otherwise: ChangeState, *, by: Actor) -> ChangeState:
    """Write the next plan, or free the sessions and tell the desk; one transaction."""
    with booking.overlaps_translated(), transaction() as after_commit, everyone():
        change = _lock(change_id)
        rows = {row.id: row for row in _rows(change) if not _is_over(row)}
        if lines is None:
            lines = [
                {**line, "declined": _declined(line), "to_at": None, "to_device": None, "needs_yes": False}
                for line in change.moves
                if line["session_id"] in rows
            ]
        moves = moving.planned(rows, [line for line in lines if line["session_id"] in rows])
        change.revision += 1
        change.moves = lines
        has_place = bool(moves) and all(to.place is not None for to in moves)
        if has_place:
            change.state, change.answer_by = moving.state_of(moves), moving.answer_by(moves)
            audit.record(change, "planned_anew", by=by, revision=change.revision)
        else:
            _answered(change, otherwise, by=by)
        if moves:
            locked = moving.lock(moves)
            moving.refuse_taken(moves, locked)
            moving.write(change, moves, locked, by=by)
            _end_empty_holds(change, holding.LET_GO)
            locking.raise_versions(locked, after_commit)
        return ChangeState(change.state)


# -- steps ----------------------------------------------------------------------------------------------------------


def _lock(change_id: int) -> ScheduleChange:
    change = get(change_id)
    queries.lock_patient(change.patient_id)
    db.session.refresh(change)
    if change.state not in OPEN:
        raise AlreadyOver(f"this was answered: {change.state}", state=change.state)
    return change


def _rows(change: ScheduleChange) -> Sequence[TreatmentSession]:
    """The sessions that this change moved last, those that lost their place too."""
    statement = select(TreatmentSession).where(TreatmentSession.change_id == change.id)
    return db.session.scalars(
        statement.order_by(TreatmentSession.starts_at).execution_options(populate_existing=True)
    ).all()


def _lock_rows(rows: Sequence[TreatmentSession]) -> locking.Locked:
    """Lock what the sessions have; afterwards they are as they are."""
    until = max((row.starts_at for row in rows), default=clock.now())
    locked = locking.lock_places(
        {row.device_id for row in rows if row.device_id is not None},
        {row.location_id for row in rows},
        until.date(),
        patient_ids={row.patient_id for row in rows},
    )
    moving.reread([row.id for row in rows])
    return locked


def _end_empty_holds(change: ScheduleChange, outcome: str) -> None:
    """Holds of the person's re-plans that keep nothing any more."""
    db.session.flush()
    for hold in holding.live_holds(change.patient_id, HoldPurpose.CHANGE):
        if not holding.rows_of([hold]):
            hold.ended_at, hold.outcome = clock.now(), outcome


def _answered(change: ScheduleChange, state: ChangeState, *, by: Actor) -> None:
    change.state, change.answered_at = state, clock.now()
    audit.record(change, state, by=by)
