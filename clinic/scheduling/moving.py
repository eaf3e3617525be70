"""Write a re-plan: many sessions change places at once, each person hears of it once, and may say no.

The steps of one transaction; `outages` and `answering` decide. Constraints are checked row by row, so all rows first
give their places back and then take the new ones.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import select, text, update

from clinic import audit, clock
from clinic.audit import Actor
from clinic.db import db
from clinic.errors import SlotTaken
from clinic.scheduling import booking, ledger, locking, queries, wishes, writing
from clinic.scheduling.ledger import Wanted
from clinic.scheduling.locking import Locked
from clinic.scheduling.mirror import taken
from clinic.scheduling.models import (
    HOLDS_PLACE,
    ChangeState,
    Hold,
    HoldPurpose,
    ScheduleChange,
    SessionState,
    TreatmentSession,
)
from clinic.scheduling.wishes import PlannedSession
from clinic.staff.models import Role
from clinic.tasks.models import TaskKind, TaskLevel
from clinic.tasks.operations import open_within_transaction

ANSWER_WITHIN = timedelta(hours=24)
ANSWER_BEFORE = timedelta(hours=2)  # an earlier time needs a yes so long before it

MOVE_SESSIONS = text(
    """
    UPDATE treatment_sessions s
    SET location_id = v.location_id, device_id = v.device_id, room_id = v.room_id, starts_at = v.starts_at,
        ends_at = v.ends_at, device_until = v.device_until, spaced_until = v.spaced_until, local_on = v.local_on,
        state = v.state, hold_id = v.hold_id, change_id = v.change_id, revision = s.revision + 1,
        authorisation_id = v.authorisation_id,
        confirmed_at = NULL, started_at = NULL, ended_at = NULL
    FROM unnest(CAST(:ids AS bigint[]), CAST(:location_ids AS integer[]), CAST(:device_ids AS integer[]),
        CAST(:room_ids AS integer[]), CAST(:starts AS timestamptz[]), CAST(:ends AS timestamptz[]),
        CAST(:device_untils AS timestamptz[]), CAST(:spaced_untils AS timestamptz[]), CAST(:dates AS date[]),
        CAST(:states AS varchar[]), CAST(:hold_ids AS bigint[]), CAST(:change_ids AS bigint[]),
        CAST(:authorisation_ids AS bigint[]))
        AS v (id, location_id, device_id, room_id, starts_at, ends_at, device_until, spaced_until, local_on,
              state, hold_id, change_id, authorisation_id)
    WHERE s.id = v.id
    """
)
LOSE_SESSIONS = text(
    """
    UPDATE treatment_sessions SET state = 'cancelled', hold_id = NULL, ended_at = :now, change_id = v.change_id,
        revision = revision + 1, confirmed_at = NULL
    FROM unnest(CAST(:ids AS bigint[]), CAST(:change_ids AS bigint[])) AS v (id, change_id)
    WHERE treatment_sessions.id = v.id
    """
)


@dataclass(frozen=True)
class To:
    """A session and its new place; None where none was found. `needs_yes`: it lies before the old one."""

    row: TreatmentSession
    place: PlannedSession | None
    needs_yes: bool


def is_news(line: Mapping[str, Any]) -> bool:
    """Does the patient notice a line of a plan? Another device at the same site and time is no news: nobody is told.

    Back at the old time after a no is news too: another time was told before.
    """
    is_same = line["to_at"] == line["from_at"] and line["to_location"] == line["from_location"]
    return not is_same or bool(line.get("declined"))


def planned(rows: Mapping[int, TreatmentSession], lines: Iterable[Mapping[str, Any]]) -> list[To]:
    """The lines of a stored plan with the rows that they move."""
    found = []
    for line in lines:
        row, place = rows[line["session_id"]], None
        if line["to_at"] is not None:
            at = datetime.fromisoformat(line["to_at"])
            until = at + (row.ends_at - row.starts_at)
            place = PlannedSession(row.number, row.kind, row.need, line["to_device"], line["to_location"], at, until)
        found.append(To(row, place, bool(line["needs_yes"])))
    return found


def lock(moves: Sequence[To]) -> Locked:
    """Lock every place, old and new; the patients are locked already."""
    rows, places = [to.row for to in moves], [to.place for to in moves if to.place is not None]
    return locking.lock_places(
        {row.device_id for row in rows if row.device_id is not None} | {place.device_id for place in places},
        {row.location_id for row in rows} | {place.location_id for place in places},
        max([row.starts_at for row in rows] + [place.starts_at for place in places]).date(),
        patient_ids={row.patient_id for row in rows},
    )


def refuse_taken(moves: Sequence[To], locked: Locked) -> None:
    """Give every old place back, take every new one; raise SlotTaken where one is gone. The state is told of it all."""
    for to in moves:
        if to.row.state in HOLDS_PLACE:
            locked.free(taken(to.row))
    lost = []
    for to in moves:
        if to.place is None:
            continue
        place = to.place
        rule = locked.so_far().why_not(place.device_id, place.starts_at, place.minutes, place.need)
        if rule is None and place.starts_at <= clock.now():
            rule = "start_is_ahead"
        if rule is not None:
            lost.append(booking.named(place, rule))
        else:
            locked.take(writing.place_of(place, locked))
    if lost:
        raise SlotTaken("Places of this plan were taken meanwhile.", taken=lost)


def write(change: ScheduleChange, moves: Sequence[To], locked: Locked, *, by: Actor) -> None:
    """Move the sessions of one change: what needs a yes is held until it comes, the rest is booked, the lost is owed."""
    db.session.flush()
    hold = _hold(change) if any(to.needs_yes and to.place is not None for to in moves) else None
    ids = [to.row.id for to in moves]
    give_back(ids)
    placed = [(to, to.place) for to in moves if to.place is not None]
    if placed:
        db.session.execute(MOVE_SESSIONS, _columns(placed, change, hold, locked))
    lost = [to.row.id for to in moves if to.place is None]
    if lost:
        values = {"now": clock.now(), "ids": lost, "change_ids": [change.id] * len(lost)}
        db.session.execute(LOSE_SESSIONS, values)
    for to in moves:
        _record(to, change, by=by)
    reread(ids)
    if change.course_id is not None:
        _number_by_time(change.course_id)
    if lost:
        tell_desk(change, moves[0].row.location_id, by=by)


def _hold(change: ScheduleChange) -> Hold:
    hold = Hold(
        patient_id=change.patient_id,
        purpose=HoldPurpose.CHANGE,
        created_at=clock.now(),
        expires_at=change.answer_by,
    )
    db.session.add(hold)
    db.session.flush()
    return hold


def give_back(ids: Sequence[int]) -> None:
    """The places of these sessions are free, until they are written anew in the same transaction."""
    db.session.execute(
        update(TreatmentSession).where(TreatmentSession.id.in_(ids)).values(state=SessionState.CANCELLED, hold_id=None),
        execution_options={"synchronize_session": False},
    )


def _columns(
    placed: Sequence[tuple[To, PlannedSession]], change: ScheduleChange, hold: Hold | None, locked: Locked
) -> dict[str, Any]:
    places = [writing.place_of(place, locked) for _, place in placed]
    protocol = wishes.protocol_of(queries.course_of(placed[0][0].row).protocol)
    waits = [to.needs_yes for to, _ in placed]
    zones = [locked.state.site_of_device[place.device_id].tz for _, place in placed]
    dates = [queries.local_date(one.starts_at, tz) for one, tz in zip(places, zones, strict=True)]
    return {
        "ids": [to.row.id for to, _ in placed],
        "location_ids": [one.location_id for one in places],
        "device_ids": [one.device_id for one in places],
        "room_ids": [one.room_id for one in places],
        "starts": [one.starts_at for one in places],
        "ends": [one.ends_at for one in places],
        "device_untils": [one.device_until for one in places],
        "spaced_untils": [
            one.starts_at + wishes.spacing(protocol, to.row.number) for (to, _), one in zip(placed, places, strict=True)
        ],
        "dates": dates,
        "states": ["held" if wait else "booked" for wait in waits],
        "hold_ids": [hold.id if wait and hold is not None else None for wait in waits],
        "change_ids": [change.id] * len(placed),
        "authorisation_ids": [_still_paid(to, on) for (to, _), on in zip(placed, dates, strict=True)],
    }


def _still_paid(to: To, on: date) -> int | None:
    """The authorisation, where it covers the new place too; else nobody pays for the session any more."""
    if to.row.authorisation_id is None or to.place is None:
        return None
    wanted = Wanted(to.row.number, to.place.location_id, to.place.device_id, on)
    fits = ledger.why_not(ledger.get(to.row.authorisation_id), wanted) is None
    return to.row.authorisation_id if fits else None


def _record(to: To, change: ScheduleChange, *, by: Actor) -> None:
    row = to.row
    about: dict[str, Any] = {"change_id": change.id, "revision": row.revision + 1}
    if to.place is None:
        audit.record_event("treatment_sessions", row.id, "lost", by=by, patient_id=row.patient_id, **about)
        return
    audit.record_event(
        "treatment_sessions",
        row.id,
        "moved",
        by=by,
        patient_id=row.patient_id,
        from_at=row.starts_at.isoformat(),
        from_device=row.device_id,
        to_at=to.place.starts_at.isoformat(),
        **about,
    )


def reread(ids: Iterable[int]) -> Sequence[TreatmentSession]:
    """Rows as they are now, by id."""
    statement = select(TreatmentSession).where(TreatmentSession.id.in_(list(ids))).order_by(TreatmentSession.id)
    return db.session.scalars(statement.execution_options(populate_existing=True)).all()


def _number_by_time(course_id: int) -> None:
    """Sessions are numbered in the order in which they are given."""
    course = queries.course(course_id)
    protocol = wishes.protocol_of(course.protocol)
    held = [row for row in queries.sessions(course_id) if row.state in HOLDS_PLACE]
    for number, row in enumerate(held, start=1):
        if row.number != number and row.state in queries.FREEABLE:
            row.number, row.kind = number, wishes.visit_of(protocol, number, row.kind).kind
    db.session.flush()


def answer_by(moves: Sequence[To]) -> datetime:
    """Until when the patient can answer: a day, and at the latest two hours before the first new time."""
    now = clock.now()
    starts = [to.place.starts_at for to in moves if to.place is not None]
    if not starts:
        return now + ANSWER_WITHIN
    latest = min(starts) - ANSWER_BEFORE
    if latest <= now:
        latest = now + (min(starts) - now) / 2
    return min(latest, now + ANSWER_WITHIN)


def state_of(moves: Sequence[To]) -> ChangeState:
    """Told, or asked where an earlier time waits for a yes."""
    return ChangeState.ASKED if any(to.needs_yes and to.place is not None for to in moves) else ChangeState.TOLD


def visit_to_desk(session_id: int, outage_id: int, *, by: Actor) -> None:
    """A visit in the reach of an outage has to be moved by hand."""
    row = db.session.get_one(TreatmentSession, session_id)
    if row.state not in queries.AHEAD:
        return
    open_within_transaction(
        kind=TaskKind.RESCHEDULE,
        level=TaskLevel.ROUTINE,
        dedupe_key=f"reschedule:visit:{session_id}:{outage_id}",
        for_role=Role.FRONT_DESK,
        due_at=clock.now(),
        patient_id=row.patient_id,
        location_id=row.location_id,
        subject={"session_id": session_id},
        by=by,
    )


def tell_desk(change: ScheduleChange, location_id: int, *, by: Actor) -> None:
    """A person has to find a time by hand."""
    open_within_transaction(
        kind=TaskKind.RESCHEDULE,
        level=TaskLevel.ROUTINE,
        dedupe_key=f"reschedule:{change.id}:{change.revision}",
        for_role=Role.FRONT_DESK,
        due_at=clock.now(),
        patient_id=change.patient_id,
        location_id=location_id,
        subject={"change_id": change.id, "course_id": change.course_id},
        by=by,
    )
