"""The waiting list: who waits for a course, and who is offered one when places come free. An offer holds its places.

Looked through by the sweep: what was freed since the list was last looked at is held against everybody who waits
(`planner.fill`), and the one whom it helps most gets an offer. It is answered once; nobody who is booked is moved.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import func, or_, select
from sqlalchemy.exc import IntegrityError

from clinic import audit, clock
from clinic.audit import Actor
from clinic.db import AfterCommit, broken_constraint, db, transaction
from clinic.errors import AlreadyOver, Conflict, Expired, Invalid, NotFound, SlotTaken
from clinic.patients import queries as patients
from clinic.patients.sites import everyone
from clinic.scheduling import booking, capacity, holding, operations, queries, wishes
from clinic.scheduling.capacity import Snapshot
from clinic.scheduling.mirror import Taken
from clinic.scheduling.models import (
    CourseProposal,
    Hold,
    HoldPurpose,
    OfferState,
    SessionState,
    TreatmentSession,
    WaitlistEntry,
    WaitlistOffer,
    WaitState,
)
from clinic.scheduling.planner import (
    Booking,
    CoursePlan,
    CourseRequest,
    FillProposal,
    Waiting,
    best_course,
    earliest_start,
    fill,
)
from clinic.scheduling.planner.calendar import from_utc
from clinic.scheduling.planner.explain import explain_no_course
from clinic.scheduling.wishes import CourseWish

OFFER_LIVES = timedelta(hours=4)
QUIET = timedelta(hours=12)  # after a no, others come first
MOST_LOOKED_AT = 50  # people a pass; the most urgent, then the longest waiting
MOST_OFFERS = 5  # a pass
MOST_ASKED = 10  # in line, when the desk offers what is free
MOST_TRIES = 3
WAITS = (WaitState.WAITING, WaitState.OFFERED)


# -- the list -------------------------------------------------------------------------------------------------------


def join(patient_id: int, wish: CourseWish, *, priority: int = 0, by: Actor) -> int:
    """Put somebody on the list; answers the entry's id. Raises NotFound, Invalid, DecisionRequired, Conflict."""
    if not 0 <= priority <= 2:
        raise Invalid("priority is 0 to 2, 2 the most urgent", fields=["priority"])
    try:
        with transaction():
            patients.get(patient_id)
            wish = wishes.checked(wish)
            booking.approval(patient_id, wishes.protocol_of(wish.protocol))
            now = clock.now()
            row = WaitlistEntry(
                patient_id=patient_id,
                protocol=wish.protocol,
                wish=wish.as_json(),
                priority=priority,
                state=WaitState.WAITING,
                created_at=now,
                looked_at=now,
                quiet_until=now,
            )
            db.session.add(row)
            audit.record(row, "joined", by=by, priority=priority)
            return row.id
    except IntegrityError as error:
        if broken_constraint(error) == "waitlist_entries_open_key":
            raise Conflict("This person waits for that treatment already.") from None
        raise


def leave(entry_id: int, *, by: Actor) -> None:
    """Take somebody off the list; an offer that is open is let go. Raises NotFound, AlreadyOver."""
    offer = _open_offer(entry_id)
    if offer is not None:
        decline(offer, by=by)
    with transaction():
        row = lock_entry(entry_id)
        if row.state not in WAITS:
            raise AlreadyOver(f"this entry is {row.state}")
        row.state, row.ended_at = WaitState.LEFT, clock.now()
        audit.record(row, "left", by=by)


def waiting(location_ids: Iterable[int] | None = None, *, limit: int = 100) -> Sequence[WaitlistEntry]:
    """Who waits, the most urgent first, then who waits longest; where sites are given, for one of them or for any site."""
    statement = select(WaitlistEntry).where(WaitlistEntry.state.in_(WAITS))
    if location_ids is not None:
        sites = WaitlistEntry.wish["location_ids"]
        anywhere = func.coalesce(func.jsonb_array_length(sites), 0) == 0
        statement = statement.where(or_(anywhere, *(sites.contains([site]) for site in location_ids)))
    order = (WaitlistEntry.priority.desc(), WaitlistEntry.created_at, WaitlistEntry.id)
    return db.session.scalars(statement.order_by(*order).limit(limit)).all()


def entries(ids: Collection[int]) -> Sequence[WaitlistEntry]:
    """These entries, whatever their state."""
    return db.session.scalars(select(WaitlistEntry).where(WaitlistEntry.id.in_(ids))).all()


def _open_offer(entry_id: int) -> int | None:
    return db.session.scalar(
        select(WaitlistOffer.id).where(WaitlistOffer.entry_id == entry_id, WaitlistOffer.state == OfferState.OPEN)
    )


def lock_entry(entry_id: int) -> WaitlistEntry:
    """The entry as it is after the lock on its patient. Raises NotFound."""
    patient_id = db.session.scalar(select(WaitlistEntry.patient_id).where(WaitlistEntry.id == entry_id))
    if patient_id is None:
        raise NotFound("no such entry")
    queries.lock_patient(patient_id)
    return db.session.get_one(WaitlistEntry, entry_id, populate_existing=True)


# -- offers ---------------------------------------------------------------------------------------------------------


def offer_freed(*, by: Actor) -> list[int]:
    """Offer what came free since the list was last looked through; answers the ids of the offers."""
    offers: list[int] = []
    for _ in range(MOST_OFFERS):
        best = _best()
        if best is None:
            break
        entry_id, found, state = best
        try:
            assert found.plan is not None
            offers.append(_offer(entry_id, found.plan, found.gain, state, by=by))
        except (SlotTaken, AlreadyOver):
            continue  # somebody was faster: look again
    _looked(by=by)
    return offers


def _best() -> tuple[int, FillProposal, Snapshot] | None:
    """Whom the freed places help most."""
    with transaction(), everyone():
        rows = [row for row in waiting(limit=MOST_LOOKED_AT) if _may_be_asked(row)]
        if not rows:
            return None
        since = min(row.looked_at for row in rows)
        taken = _freed_since(since)
        if not taken:
            return None
        state = capacity.snapshot({one.location_id for one in taken} | sites_of(rows))
        freed = [booking for one in taken for _, booking in state.mirrored(one) if type(booking) is Booking]
        asked = [Waiting(str(row.id), request=request_of(row, state)) for row in rows]
        today, minute = from_utc(clock.now(), next(iter(state.sites.values())).tz)
        now = state.occupancy.day_of(today)
    found = fill(freed, asked, state.occupancy, now=now, now_minute=minute, notice=wishes.NOTICE_MINUTES)
    best = next((one for one in found if one.plan is not None), None)
    return (int(best.patient), best, state) if best is not None else None


def _may_be_asked(row: WaitlistEntry) -> bool:
    return row.state == WaitState.WAITING and row.quiet_until <= clock.now()


def _freed_since(since: datetime) -> list[Taken]:
    """Places ahead that were given up since then: cancelled and missed sessions, and offers that came to nothing."""
    now = clock.now()
    columns = [getattr(TreatmentSession, name) for name in Taken._fields]
    soon = now + timedelta(minutes=wishes.NOTICE_MINUTES)
    rows = db.session.execute(
        select(*columns).where(
            TreatmentSession.state == SessionState.CANCELLED,
            TreatmentSession.ended_at > since,
            TreatmentSession.starts_at > soon,
            TreatmentSession.device_id.is_not(None),
        )
    )
    found = [Taken(*row) for row in rows]
    lapsed = select(WaitlistOffer.proposal_id).where(
        WaitlistOffer.state.in_((OfferState.DECLINED, OfferState.EXPIRED)), WaitlistOffer.answered_at > since
    )
    for proposal in queries.proposals(db.session.scalars(lapsed).all()):
        found.extend(
            Taken(s.location_id, s.device_id, None, None, s.need, s.starts_at, s.ends_at, s.ends_at)
            for s in holding.planned(proposal)
            if s.starts_at > soon
        )
    return found


def sites_of(rows: Iterable[WaitlistEntry]) -> set[int]:
    """Sites that these people may be planned at."""
    found: set[int] = set()
    for row in rows:
        offering = queries.sites_offering(wishes.protocol_of(row.protocol).gives)
        wanted = [x for x in row.wish["location_ids"] if x in offering] or offering
        found.update(wanted[: capacity.MOST_SITES])
    return found


def request_of(row: WaitlistEntry, state: Snapshot) -> CourseRequest:
    """What the planner is asked for somebody on the list."""
    wish = operations.with_defaults(row.patient_id, wishes.wish_from_json(row.wish))
    protocol = wishes.protocol_of(row.protocol)
    request = wishes.course_request(wish, protocol, state, operations.busy(row.patient_id, state))
    if protocol.follows:
        request = wishes.after_last(request, queries.last_delivered(row.patient_id, protocol.gives), state)
    return replace(request, priority=row.priority)


def _offer(entry_id: int, plan: CoursePlan, gain: int, state: Snapshot, *, by: Actor) -> int:
    """Store the course, hold its places, and write the offer; one transaction."""
    with booking.overlaps_translated(), transaction() as after_commit, everyone():
        entry = lock_entry(entry_id)
        wish = wishes.wish_from_json(entry.wish)
        protocol = wishes.protocol_of(entry.protocol)
        proposal = operations.stored_plan(plan, "earliest", entry.patient_id, wish, protocol, state)
        db.session.add(proposal)
        db.session.flush()
        return offer_within_transaction(entry, proposal, gain=gain, by=by, after_commit=after_commit)


def offer_within_transaction(
    entry: WaitlistEntry, proposal: CourseProposal, *, gain: int, by: Actor, after_commit: AfterCommit
) -> int:
    """Hold a stored course for somebody on the list and offer it; the patient is locked. Raises AlreadyOver, SlotTaken."""
    if entry.state != WaitState.WAITING:
        raise AlreadyOver("this person was offered something already")
    kept = holding.hold_within_transaction(
        proposal, purpose=HoldPurpose.OFFER, lives=OFFER_LIVES, by=by, after_commit=after_commit
    )
    offer = WaitlistOffer(
        entry_id=entry.id,
        patient_id=entry.patient_id,
        proposal_id=proposal.id,
        gain=gain,
        state=OfferState.OPEN,
        created_at=clock.now(),
        expires_at=kept.expires_at,
    )
    db.session.add(offer)
    entry.state = WaitState.OFFERED
    audit.record(offer, "offered", by=by, gain=gain)
    return offer.id


@dataclass(frozen=True)
class EarliestOffer:
    """What the first in line was offered; None where no whole course fits anybody. `passed_over`: entries, and why."""

    offer_id: int | None
    passed_over: tuple[tuple[int, str], ...]


def offer_earliest(location_ids: Iterable[int] | None = None, *, by: Actor) -> EarliestOffer:
    """Offer the first in line the earliest course that is free, whether or not anything was given up.

    Who said no lately comes after the others. Whoever nothing fits, or who may not be booked, is passed over.
    """
    with transaction():
        rows = [row for row in waiting(location_ids, limit=MOST_LOOKED_AT) if row.state == WaitState.WAITING]
        ids = [row.id for row in sorted(rows, key=lambda row: not _may_be_asked(row))][:MOST_ASKED]
    passed: list[tuple[int, str]] = []
    for entry_id in ids:
        try:
            return EarliestOffer(_offer_earliest(entry_id, by=by), tuple(passed))
        except Conflict as refusal:
            passed.append((entry_id, refusal.sentence))
    return EarliestOffer(None, tuple(passed))


def _offer_earliest(entry_id: int, *, by: Actor) -> int:
    """Raises Conflict where no whole course fits, or a prescriber has to say more."""
    for _ in range(MOST_TRIES):
        with transaction():
            row = db.session.get_one(WaitlistEntry, entry_id)
            booking.approval(row.patient_id, wishes.protocol_of(row.protocol))
            sites = sites_of([row])
            if not sites:
                raise Conflict("no site of the clinic gives this treatment")
            wish = wishes.wish_from_json(row.wish)
            state = capacity.snapshot(sites, until=wish.latest_start or wish.earliest_start)
            request = request_of(row, state)
        day = earliest_start(request, state.occupancy)
        plan = best_course(replace(request, latest_start=day), state.occupancy) if day is not None else None
        if plan is None:
            raise Conflict(explain_no_course(request, state.occupancy, relax=False).text)
        gain = request.weights.unplaced[request.priority] - plan.cost
        try:
            return _offer(entry_id, plan, gain, state, by=by)
        except SlotTaken:
            continue  # somebody was faster: look again
    raise Conflict("the places are taken faster than they can be held")


def _looked(*, by: Actor) -> None:
    with transaction(), everyone():
        for row in waiting(limit=MOST_LOOKED_AT):
            if _may_be_asked(row):
                row.looked_at = clock.now()


# -- answers --------------------------------------------------------------------------------------------------------


def get_offer(offer_id: int) -> WaitlistOffer:
    """The offer. Raises NotFound."""
    row = db.session.get(WaitlistOffer, offer_id)
    if row is None:
        raise NotFound("no such offer")
    return row


def open_offers(patient_id: int) -> Sequence[WaitlistOffer]:
    """What a person can say yes to now."""
    statement = select(WaitlistOffer).where(
        WaitlistOffer.patient_id == patient_id,
        WaitlistOffer.state == OfferState.OPEN,
        WaitlistOffer.expires_at > clock.now(),
    )
    return db.session.scalars(statement.order_by(WaitlistOffer.expires_at)).all()


def open_offers_of(entry_ids: Collection[int]) -> dict[int, WaitlistOffer]:
    """The open offer of each of these entries that has one."""
    statement = select(WaitlistOffer).where(
        WaitlistOffer.entry_id.in_(entry_ids), WaitlistOffer.state == OfferState.OPEN
    )
    return {row.entry_id: row for row in db.session.scalars(statement)}


def accept(offer_id: int, *, self_pay_id: int | None = None, by: Actor) -> int:
    """Yes: the course is booked in the places that were held; answers its id. Raises AlreadyOver, Expired, SlotTaken."""
    with booking.overlaps_translated(), transaction() as after_commit:
        offer, entry = _lock_offer(offer_id)
        if offer.expires_at <= clock.now():
            raise Expired("This offer is over.")
        proposal, hold = queries.proposal_and_hold(offer.proposal_id)
        new = operations.new_course(proposal, self_pay_id)
        course_id = holding.confirm_within_transaction(new, hold, by=by, after_commit=after_commit)
        if course_id is None:
            raise Expired("This offer is over.")
        offer.state, offer.answered_at = OfferState.ACCEPTED, clock.now()
        entry.state, entry.ended_at = WaitState.BOOKED, clock.now()
        audit.record(offer, "accepted", by=by, course_id=course_id)
        return course_id


def decline(offer_id: int, *, by: Actor) -> None:
    """No: the places are free for others, the person stays on the list. Raises AlreadyOver."""
    _give_back(offer_id, OfferState.DECLINED, by=by)


def lapse(offer_id: int, *, by: Actor) -> None:
    """Nobody answered in time. Raises AlreadyOver."""
    _give_back(offer_id, OfferState.EXPIRED, by=by)


def _give_back(offer_id: int, state: OfferState, *, by: Actor) -> None:
    with transaction() as after_commit:
        offer, entry = _lock_offer(offer_id)
        hold = db.session.scalar(select(Hold).where(Hold.proposal_id == offer.proposal_id, Hold.ended_at.is_(None)))
        if hold is not None:
            outcome = holding.LET_GO if state == OfferState.DECLINED else holding.EXPIRED
            holding.end_within_transaction(hold, outcome, after_commit=after_commit)
        offer.state, offer.answered_at = state, clock.now()
        entry.state, entry.quiet_until = WaitState.WAITING, clock.now() + QUIET
        audit.record(offer, state, by=by)


def run_out(limit: int = 200) -> Sequence[int]:
    """Open offers whose time is over."""
    statement = select(WaitlistOffer.id).where(
        WaitlistOffer.state == OfferState.OPEN, WaitlistOffer.expires_at <= clock.now()
    )
    return db.session.scalars(statement.order_by(WaitlistOffer.expires_at).limit(limit)).all()


def _lock_offer(offer_id: int) -> tuple[WaitlistOffer, WaitlistEntry]:
    queries.lock_patient(get_offer(offer_id).patient_id)
    offer = db.session.get_one(WaitlistOffer, offer_id, populate_existing=True)
    if offer.state != OfferState.OPEN:
        raise AlreadyOver(f"this offer is {offer.state}", state=offer.state)
    return offer, db.session.get_one(WaitlistEntry, offer.entry_id, populate_existing=True)
