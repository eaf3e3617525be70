"""Courses for several who wait, planned together; then booked, or held and offered, each in its own transaction.

A plan keeps no place. Whoever no longer fits when it is carried out is named and stays on the list; the others are not
touched by it.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import timedelta

from sqlalchemy import delete, select

from clinic import audit, clock
from clinic.audit import Actor
from clinic.db import AfterCommit, db, transaction
from clinic.errors import AlreadyOver, ClinicError, Conflict, Expired, Invalid, NotFound, sentence
from clinic.scheduling import booking, capacity, operations, queries, waiting, wishes
from clinic.scheduling.capacity import Snapshot
from clinic.scheduling.models import (
    CourseProposal,
    LineOutcome,
    WaitlistEntry,
    WaitlistPlan,
    WaitlistPlanLine,
    WaitState,
)
from clinic.scheduling.planner import BatchPlan, CourseRequest, Weights, plan_batch

PLAN_LIVES = timedelta(minutes=30)
KEPT = timedelta(days=7)
MOST_TOGETHER = 40
SECONDS = 8.0  # of thinking, for one plan
NOWHERE = "No site of the clinic gives this treatment."
TWICE = "Planned here for another treatment. Plan this one when that one is booked."
TOO_OLD = "This plan is older than 30 minutes. Nothing was booked: plan once more."

Carry = Callable[[WaitlistPlanLine, WaitlistEntry, CourseProposal, AfterCommit], None]


# -- planning -------------------------------------------------------------------------------------------------------


def plan(entry_ids: Collection[int], *, seconds: float | None = None, rounds: int | None = None, by: Actor) -> int:
    """Plan these people together and store the plan; answers its id. Nothing is booked and nobody is told.

    seconds, rounds: see `plan_batch`. Raises Invalid where nobody of them waits, or where they are too many.
    """
    with transaction():
        rows = _waiting(entry_ids)
        reasons = _not_asked(rows)
        asked = [row for row in rows if row.id not in reasons]
        state = _state_for(asked)
        requests = {} if state is None else {str(row.id): waiting.request_of(row, state) for row in asked}
    if state is None:
        reasons |= {row.id: NOWHERE for row in asked}
        return _store(rows, reasons, by=by)
    made = _planned(requests, state, seconds, rounds)
    return _store(rows, reasons, made, state, by=by)


def _waiting(entry_ids: Collection[int]) -> Sequence[WaitlistEntry]:
    """Those who still wait, in the order of the list."""
    if len(entry_ids) > MOST_TOGETHER:
        raise Invalid(f"At most {MOST_TOGETHER} people are planned together.", fields=["entry"])
    chosen = WaitlistEntry.id.in_(entry_ids), WaitlistEntry.state == WaitState.WAITING
    order = (WaitlistEntry.priority.desc(), WaitlistEntry.created_at, WaitlistEntry.id)
    rows = db.session.scalars(select(WaitlistEntry).where(*chosen).order_by(*order)).all()
    if not rows:
        raise Invalid("Choose at least one person who waits without an offer.", fields=["entry"])
    return rows


def _not_asked(rows: Iterable[WaitlistEntry]) -> dict[int, str]:
    """Why the planner is not asked for some: one of two courses of a person, and what a prescriber has to say first."""
    found: dict[int, str] = {}
    people: set[int] = set()
    for row in rows:
        try:
            booking.approval(row.patient_id, wishes.protocol_of(row.protocol))
        except (Conflict, NotFound) as refusal:
            found[row.id] = refusal.sentence
            continue
        if row.patient_id in people:
            found[row.id] = TWICE
        people.add(row.patient_id)
    return found


def _state_for(rows: Sequence[WaitlistEntry]) -> Snapshot | None:
    sites = waiting.sites_of(rows)
    if not sites:
        return None
    asked = [wishes.wish_from_json(row.wish) for row in rows]
    days = [day for wish in asked for day in (wish.latest_start, wish.earliest_start) if day is not None]
    return capacity.snapshot(sites, until=max(days, default=None))


def _planned(
    requests: dict[str, CourseRequest], state: Snapshot, seconds: float | None, rounds: int | None
) -> BatchPlan:
    """Between two transactions: thinking holds no connection."""
    if seconds is None and rounds is None:
        seconds = SECONDS
    return plan_batch(requests, state.occupancy, seconds=seconds, rounds=rounds)


def _store(
    rows: Sequence[WaitlistEntry],
    reasons: dict[int, str],
    made: BatchPlan | None = None,
    state: Snapshot | None = None,
    *,
    by: Actor,
) -> int:
    now = clock.now()
    with transaction():
        kept = WaitlistPlan(
            created_at=now,
            expires_at=now + PLAN_LIVES,
            cost=made.cost if made is not None else 0,
            bound=made.bound if made is not None else 0,
        )
        db.session.add(kept)
        db.session.flush()
        for row in rows:
            course = made.plans.get(str(row.id)) if made is not None else None
            line = WaitlistPlanLine(plan_id=kept.id, entry_id=row.id, patient_id=row.patient_id)
            if course is not None and state is not None:
                wish = wishes.wish_from_json(row.wish)
                protocol = wishes.protocol_of(row.protocol)
                proposal = operations.stored_plan(course, "best", row.patient_id, wish, protocol, state)
                proposal.expires_at = kept.expires_at
                db.session.add(proposal)
                db.session.flush()
                line.proposal_id = proposal.id
            else:
                line.reason = reasons.get(row.id) or _binding(made, row)
            db.session.add(line)
        audit.record(kept, "planned", by=by, people=len(rows))
        return kept.id


def _binding(made: BatchPlan | None, row: WaitlistEntry) -> str:
    refusal = made.refusals[str(row.id)] if made is not None else None
    if refusal is None:
        return NOWHERE
    if refusal.rule == "device_has_capability":
        return f"{wishes.protocol_of(row.protocol).name} is not given at the sites of this wish."
    return sentence(refusal.text)[:500]


# -- carrying it out ------------------------------------------------------------------------------------------------


def get(plan_id: int) -> WaitlistPlan:
    """The plan. Raises NotFound."""
    row = db.session.get(WaitlistPlan, plan_id)
    if row is None:
        raise NotFound("no such plan")
    return row


def lines(plan_id: int) -> Sequence[WaitlistPlanLine]:
    """The people of a plan whom the caller may see, in its order."""
    statement = select(WaitlistPlanLine).where(WaitlistPlanLine.plan_id == plan_id)
    return db.session.scalars(statement.order_by(WaitlistPlanLine.id)).all()


def book(plan_id: int, entry_ids: Collection[int] | None = None, *, by: Actor) -> dict[str, int]:
    """Book the courses of a plan, each in one transaction; answers how many had which outcome.

    entry_ids: whose; left out, everyone's. Whoever no longer fits stays on the list, with the reason in `said`.
    """

    def carry(line: WaitlistPlanLine, entry: WaitlistEntry, proposal: CourseProposal, calls: AfterCommit) -> None:
        new = operations.new_course(proposal)
        course_id = operations.book_within_transaction(new, by=by, after_commit=calls)
        db.session.flush()
        line.outcome, line.course_id = LineOutcome.BOOKED, course_id
        entry.state, entry.ended_at = WaitState.BOOKED, clock.now()
        audit.record(entry, "booked", by=by, course_id=course_id, plan_id=plan_id)

    return _carry_out(plan_id, entry_ids, carry)


def offer(plan_id: int, entry_ids: Collection[int] | None = None, *, by: Actor) -> dict[str, int]:
    """Hold the courses of a plan and offer each to its person; otherwise like `book`."""

    def carry(line: WaitlistPlanLine, entry: WaitlistEntry, proposal: CourseProposal, calls: AfterCommit) -> None:
        gain = Weights().unplaced[entry.priority] - proposal.plan["cost"]
        waiting.offer_within_transaction(entry, proposal, gain=gain, by=by, after_commit=calls)
        line.outcome = LineOutcome.OFFERED

    return _carry_out(plan_id, entry_ids, carry)


def _carry_out(plan_id: int, entry_ids: Collection[int] | None, carry: Carry) -> dict[str, int]:
    with transaction():
        get(plan_id)
        chosen = [
            line.id
            for line in lines(plan_id)
            if line.proposal_id is not None
            and line.outcome in (None, LineOutcome.LOST)
            and (entry_ids is None or line.entry_id in entry_ids)
        ]
    counts = dict.fromkeys(LineOutcome, 0)
    for line_id in chosen:
        counts[_one(line_id, carry)] += 1
    return {str(outcome): count for outcome, count in counts.items()}


def _one(line_id: int, carry: Carry) -> LineOutcome:
    """One person. What was done by somebody else meanwhile stays as it is."""
    try:
        with booking.overlaps_translated(), transaction() as after_commit:
            line = db.session.get_one(WaitlistPlanLine, line_id)
            entry = waiting.lock_entry(line.entry_id)
            db.session.refresh(line)
            if line.outcome in (LineOutcome.BOOKED, LineOutcome.OFFERED):
                return LineOutcome(line.outcome)  # pressed twice, or in two windows
            if entry.state != WaitState.WAITING:
                raise AlreadyOver(_elsewhere(entry))
            proposal = queries.proposal(line.proposal_id)
            if proposal.expires_at <= clock.now():
                raise Expired(TOO_OLD)
            line.said = None
            carry(line, entry, proposal, after_commit)
            return LineOutcome(line.outcome or LineOutcome.LOST)
    except ClinicError as refusal:
        with transaction():
            line = db.session.get_one(WaitlistPlanLine, line_id, populate_existing=True)
            if line.outcome not in (LineOutcome.BOOKED, LineOutcome.OFFERED):
                line.outcome, line.said = LineOutcome.LOST, _words(refusal)[:1000]
        return LineOutcome.LOST


def _elsewhere(entry: WaitlistEntry) -> str:
    words = {
        WaitState.BOOKED: "Booked another way meanwhile.",
        WaitState.OFFERED: "Offered a course meanwhile; the answer is awaited.",
        WaitState.LEFT: "Taken off the list meanwhile.",
    }
    return words[WaitState(entry.state)]


def _words(refusal: ClinicError) -> str:
    """What stands against it, and the first sessions that were taken."""
    named = refusal.details.get("taken", ())
    parts = [f"session {one['number']}: {one['why']}" for one in named]
    more = f" and {len(parts) - 3} more" if len(parts) > 3 else ""
    listed = f" {'; '.join(parts[:3])}{more}." if parts else ""
    return refusal.sentence + (f"{listed[:1]}{listed[1:2].upper()}{listed[2:]}" if listed else "")


def forget_old() -> None:
    """Drop plans of last week: what they led to stands on the list and in the courses."""
    with transaction():
        old = select(WaitlistPlan.id).where(WaitlistPlan.created_at < clock.now() - KEPT).scalar_subquery()
        without = {"synchronize_session": False}
        db.session.execute(delete(WaitlistPlanLine).where(WaitlistPlanLine.plan_id.in_(old)), execution_options=without)
        db.session.execute(delete(WaitlistPlan).where(WaitlistPlan.id.in_(old)), execution_options=without)
