"""Places kept for somebody who chooses: a hold excludes everybody else until it is booked, let go, or runs out.

A hold is rows in the state `held` under the constraints of every appointment. It never outlives its time: whoever locks
a location lets go what ran out there, and the arrays do not count it (`locking.lock_places`, `capacity.Snapshot`).
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select, text

from clinic import audit, clock
from clinic.audit import Actor
from clinic.db import AfterCommit, db, transaction
from clinic.errors import AlreadyOver, Expired, NotFound
from clinic.scheduling import booking, ledger, locking, queries, wishes, writing
from clinic.scheduling.locking import Locked
from clinic.scheduling.mirror import taken
from clinic.scheduling.models import CourseProposal, Hold, HoldPurpose, SessionState, TreatmentSession
from clinic.scheduling.wishes import PlannedSession
from clinic.scheduling.writing import NewCourse

HOLD_LIVES = timedelta(minutes=10)
BOOKED, LET_GO, EXPIRED = "booked", "let_go", "expired"  # outcomes

FUND_SESSIONS = text(
    """
    UPDATE treatment_sessions SET authorisation_id = v.authorisation_id, self_pay_id = v.self_pay_id
    FROM unnest(CAST(:numbers AS smallint[]), CAST(:authorisation_ids AS bigint[]), CAST(:self_pay_ids AS bigint[]))
        AS v (number, authorisation_id, self_pay_id)
    WHERE treatment_sessions.course_id = :course_id AND treatment_sessions.number = v.number
    """
)
CONFIRM_COURSE = text(
    f"""
    WITH course AS (
        INSERT INTO courses (patient_id, decision_id, protocol, protocol_version, location_id, device_id, anchor_minute,
                             planned_sessions, cost, state, created_at)
        VALUES (:patient_id, :decision_id, :protocol, :protocol_version, :location_id, :device_id, :anchor_minute,
                :planned_sessions, :cost, 'booked', :created_at)
        RETURNING id
    ), proposal AS (
        UPDATE course_proposals SET course_id = course.id FROM course WHERE course_proposals.id = :proposal_id
    ), hold AS (
        UPDATE holds SET ended_at = :created_at, outcome = 'booked' WHERE id = :hold_id
    ), {writing.NO_LONGER_WAITS}, sessions AS (
        UPDATE treatment_sessions SET state = 'booked', hold_id = NULL, course_id = course.id FROM course
        WHERE treatment_sessions.hold_id = :hold_id
    )
    SELECT id FROM course
    """  # noqa: S608 - the part is a constant
)


@dataclass(frozen=True)
class Kept:
    """A hold that was made."""

    hold_id: int
    expires_at: datetime


def hold_proposal(
    proposal_id: UUID, *, purpose: HoldPurpose = HoldPurpose.PROPOSAL, lives: timedelta = HOLD_LIVES, by: Actor
) -> Kept:
    """Keep every place of a proposed course. Asked again it lasts anew; another proposal of the person is let go.

    Raises NotFound, AlreadyOver where it was booked, Expired; SlotTaken names what is gone, and nothing is held.
    """
    with booking.overlaps_translated(), transaction() as after_commit:
        row = queries.proposal(proposal_id)
        queries.lock_patient(row.patient_id)
        db.session.refresh(row)
        return hold_within_transaction(row, purpose=purpose, lives=lives, by=by, after_commit=after_commit)


def hold_within_transaction(
    row: CourseProposal, *, purpose: HoldPurpose, lives: timedelta, by: Actor, after_commit: AfterCommit
) -> Kept:
    """The patient is locked already. Raises as `hold_proposal` does."""
    now = clock.now()
    if row.course_id is not None:
        raise AlreadyOver("this plan was booked")
    if row.expires_at <= now:
        raise Expired("This plan is too old. Ask for fresh ones.")
    protocol, sessions = wishes.protocol_of(row.protocol), planned(row)
    old = live_holds(row.patient_id, purpose)
    if purpose == HoldPurpose.OFFER:  # one may wait for two treatments: each offer keeps its own places
        old = [one for one in old if one.proposal_id == row.id]
    locked = _lock(sessions, old, row.patient_id)
    let_go_within_transaction(old, LET_GO, locked)
    hold = Hold(patient_id=row.patient_id, purpose=purpose, proposal_id=row.id, created_at=now, expires_at=now + lives)
    db.session.add(hold)
    row.expires_at = max(row.expires_at, hold.expires_at)
    db.session.flush()
    booking.refuse_taken(row.patient_id, locked.so_far(), sessions)
    locked.fresh_until = hold.expires_at
    writing.hold_sessions(hold.id, row.patient_id, protocol, sessions, locked)
    audit.record(hold, "held", by=by, purpose=str(purpose), places=len(sessions))
    locking.raise_versions(locked, after_commit)
    return Kept(hold.id, hold.expires_at)


def planned(row: CourseProposal) -> list[PlannedSession]:
    """The sessions of a proposal."""
    return wishes.sessions_from_json(row.plan)


def hold_of(proposal_id: UUID) -> int | None:
    """The live hold of a plan. Raises NotFound where there is no such plan."""
    queries.proposal(proposal_id)
    return db.session.scalar(select(Hold.id).where(Hold.proposal_id == proposal_id, Hold.ended_at.is_(None)))


def live_holds(patient_id: int, purpose: HoldPurpose) -> Sequence[Hold]:
    """Holds of a person that were not ended, those that ran out too."""
    statement = select(Hold).where(Hold.patient_id == patient_id, Hold.purpose == purpose, Hold.ended_at.is_(None))
    return db.session.scalars(statement.order_by(Hold.id)).all()


def held_proposal(patient_id: int) -> tuple[UUID, datetime] | None:
    """The plan whose places are kept for a person now, and until when."""
    for hold in live_holds(patient_id, HoldPurpose.PROPOSAL):
        if hold.proposal_id is not None and hold.expires_at > clock.now():
            return hold.proposal_id, hold.expires_at
    return None


def rows_of(holds: Collection[Hold]) -> Sequence[TreatmentSession]:
    """The places of these holds that are still there."""
    if not holds:
        return []
    statement = select(TreatmentSession).where(TreatmentSession.hold_id.in_([hold.id for hold in holds]))
    return db.session.scalars(
        statement.order_by(TreatmentSession.starts_at).execution_options(populate_existing=True)
    ).all()


def _lock(sessions: Sequence[PlannedSession], old: Collection[Hold], patient_id: int) -> Locked:
    rows = rows_of(old)
    return locking.lock_places(
        {s.device_id for s in sessions} | {row.device_id for row in rows if row.device_id is not None},
        {s.location_id for s in sessions} | {row.location_id for row in rows},
        max([s.starts_at for s in sessions] + [row.starts_at for row in rows]).date(),
        patient_ids={patient_id},
    )


def let_go_within_transaction(holds: Collection[Hold], outcome: str, locked: Locked) -> None:
    """End holds and free their places; all of it is locked. A session of a course that waited there is cancelled."""
    for row in rows_of(holds):
        locked.free(taken(row))
        if row.course_id is None:
            db.session.delete(row)
        else:
            row.state, row.hold_id, row.ended_at = SessionState.CANCELLED, None, clock.now()
    for hold in holds:
        hold.ended_at, hold.outcome = clock.now(), outcome
    db.session.flush()


def let_go(hold_id: int, *, outcome: str = LET_GO, by: Actor) -> bool:
    """End a hold; answers False where it had ended before. Raises NotFound."""
    with transaction() as after_commit:
        hold = lock_hold(hold_id)
        if hold.ended_at is not None:
            return False
        end_within_transaction(hold, outcome, after_commit=after_commit)
        audit.record(hold, outcome, by=by)
        return True


def end_within_transaction(hold: Hold, outcome: str, *, after_commit: AfterCommit) -> None:
    """Lock what is left of a hold and free it; the patient is locked already."""
    rows = rows_of([hold])
    if rows:
        locked = locking.lock_places(
            {row.device_id for row in rows if row.device_id is not None},
            {row.location_id for row in rows},
            rows[-1].starts_at.date(),
            patient_ids={hold.patient_id},
        )
        let_go_within_transaction([hold], outcome, locked)
        locking.raise_versions(locked, after_commit)
    hold.ended_at, hold.outcome = clock.now(), outcome


def lock_hold(hold_id: int) -> Hold:
    """The hold as it is after the lock on its patient. Raises NotFound."""
    patient_id = db.session.scalar(select(Hold.patient_id).where(Hold.id == hold_id))
    if patient_id is None:
        raise NotFound("no such hold")
    queries.lock_patient(patient_id)
    return db.session.get_one(Hold, hold_id, populate_existing=True)


def run_out(limit: int = 200) -> Sequence[tuple[int, str]]:
    """Holds that ran out and were not ended yet: id and purpose."""
    statement = select(Hold.id, Hold.purpose).where(Hold.ended_at.is_(None), Hold.expires_at <= clock.now())
    return [(row.id, row.purpose) for row in db.session.execute(statement.order_by(Hold.expires_at).limit(limit))]


# -- booking what is held -------------------------------------------------------------------------------------------


def book_within_transaction(new: NewCourse, *, by: Actor, after_commit: AfterCommit) -> int:
    """Lock, check and write a whole course; the patient is locked already. Raises SlotTaken, DecisionRequired.

    Another plan that is held for this person gives way to it: nobody is stopped by a place of their own.
    """
    decision_id = booking.approval(new.patient_id, new.protocol, {one.location_id for one in new.sessions})
    old = live_holds(new.patient_id, HoldPurpose.PROPOSAL)
    locked = _lock(new.sessions, old, new.patient_id)
    let_go_within_transaction(old, LET_GO, locked)
    return booking.book_locked_within_transaction(new, decision_id, locked, by=by, after_commit=after_commit)


def confirm_within_transaction(
    new: NewCourse, hold: Hold | None, *, by: Actor, after_commit: AfterCommit
) -> int | None:
    """Book a course whose places are held, in one statement; None where they are not, or no longer.

    The patient is locked. A hold that ran out while the locks were awaited is gone: the caller books as if new.
    """
    if hold is None or hold.expires_at <= clock.now():
        return None
    decision_id = booking.approval(new.patient_id, new.protocol, {one.location_id for one in new.sessions})
    locked = locking.lock_sessions(new.sessions, patient_ids={new.patient_id})
    if hold.expires_at <= clock.now() or len(rows_of([hold])) < len(new.sessions):
        return None
    wants = writing.wanted(new.protocol, new.sessions, locked)
    funds = ledger.cover(new.patient_id, new.protocol, wants, self_pay_id=new.self_pay_id)
    values = writing.course_values(new, decision_id)
    course_id: int = db.session.execute(CONFIRM_COURSE, {**values, "hold_id": hold.id}).scalar_one()
    if any(one != ledger.OPEN for one in funds):
        columns = {
            "numbers": [one.number for one in wants],
            "authorisation_ids": [one.authorisation_id for one in funds],
            "self_pay_ids": [one.self_pay_id for one in funds],
        }
        db.session.execute(FUND_SESSIONS, {**columns, "course_id": course_id})
    db.session.expire_all()
    booking.finish_course(course_id, new, by=by)
    locking.raise_versions(locked, after_commit)
    return course_id
