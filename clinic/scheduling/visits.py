"""Visits with a staff member: consults, medication visits, therapy, in person or by video. No course, no device.

Patient, staff member and room hold them like any session; the pools of the sites where the rota has the person count
one less meanwhile. Opening hours, rota, short notice and a licence for the patient's state are soft rules.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, NamedTuple

from sqlalchemy import false, or_, select

from clinic import audit, clock
from clinic.audit import Actor
from clinic.db import AfterCommit, db, transaction
from clinic.errors import Invalid, SlotTaken
from clinic.locations import queries as locations
from clinic.locations.models import Location, Room, StaffAbsence, StaffShift
from clinic.patients import queries as patients
from clinic.patients.sites import everyone
from clinic.scheduling import booking, capacity, locking, overriding, queries, steps, wishes
from clinic.scheduling.locking import Locked
from clinic.scheduling.mirror import Taken, minute_of, taken
from clinic.scheduling.models import (
    HOLDS_PLACE,
    PERSON,
    Hold,
    Mode,
    RuleOverride,
    SessionState,
    TreatmentSession,
    VisitKind,
)
from clinic.scheduling.overriding import Soft
from clinic.scheduling.planner.calendar import from_utc, to_utc
from clinic.staff import queries as staff
from clinic.staff.models import StaffUser

LEAST_MINUTES, MOST_MINUTES = 5, 240
OF_THE_WEEK = frozenset({"location_is_open", "person_is_on_rota"})
STEP = 15  # minutes between the times that are offered
STATES = frozenset(
    [
        "AL",
        "AK",
        "AZ",
        "AR",
        "CA",
        "CO",
        "CT",
        "DE",
        "DC",
        "FL",
        "GA",
        "HI",
        "ID",
        "IL",
        "IN",
        "IA",
        "KS",
        "KY",
        "LA",
        "ME",
        "MD",
        "MA",
        "MI",
        "MN",
        "MS",
        "MO",
        "MT",
        "NE",
        "NV",
        "NH",
        "NJ",
        "NM",
        "NY",
        "NC",
        "ND",
        "OH",
        "OK",
        "OR",
        "PA",
        "RI",
        "SC",
        "SD",
        "TN",
        "TX",
        "UT",
        "VT",
        "VA",
        "WA",
        "WV",
        "WI",
        "WY",
        "PR",
        "GU",
        "VI",
        "AS",
        "MP",
    ]
)


@dataclass(frozen=True, kw_only=True)
class NewVisit:
    """A visit to book. `patient_state`: where the patient will be at a visit by video, two letters."""

    patient_id: int
    kind: str
    staff_id: int
    location_id: int
    starts_at: datetime
    minutes: int
    mode: str = Mode.IN_PERSON
    room_id: int | None = None
    patient_state: str | None = None


class Where(NamedTuple):
    """Time, person and room of a visit."""

    starts_at: datetime
    staff_id: int
    room_id: int | None


def book_visit(new: NewVisit, *, reason: str = "", by: Actor) -> int:
    """Book one visit; answers its id.

    Raises NotFound, Invalid; SlotTaken where patient, person or room is taken or the floor needs the person;
    ReasonNeeded where only soft rules are in the way and no reason was given.
    """
    _refuse_shapeless(new)
    with booking.overlaps_translated(), transaction() as after_commit:
        queries.lock_patient(new.patient_id)
        person, ends_at = _person(new.staff_id), new.starts_at + timedelta(minutes=new.minutes)
        row = TreatmentSession(
            patient_id=new.patient_id,
            location_id=new.location_id,
            room_id=new.room_id,
            staff_id=person.id,
            number=1,
            kind=new.kind,
            need=PERSON,
            mode=new.mode,
            patient_state=new.patient_state,
            starts_at=new.starts_at,
            ends_at=ends_at,
            device_until=ends_at,
            spaced_until=ends_at,
            local_on=queries.local_date(new.starts_at, locations.get(new.location_id).tz),
            state=SessionState.BOOKED,
            revision=0,
        )
        locked = locking.lock_row(row)
        refuse_taken(taken(row), new.patient_id, locked, but=None)
        soft = soft_rules(row, person)
        overriding.settle(soft, reason, by=by)
        db.session.add(row)
        locked.take(taken(row))
        audit.record(row, "booked", by=by, kind=new.kind, staff_id=person.id)
        overriding.record(row, soft, reason, by=by)
        steps.remember("booked", {}, [row], by=by)
        locking.raise_versions(locked, after_commit)
        return row.id


def _refuse_shapeless(new: NewVisit) -> None:
    if new.kind not in {str(kind) for kind in VisitKind}:
        raise Invalid(f"kind is {', '.join(VisitKind)}", fields=["kind"])
    if new.mode not in {str(mode) for mode in Mode}:
        raise Invalid(f"mode is {' or '.join(Mode)}", fields=["mode"])
    if not LEAST_MINUTES <= new.minutes <= MOST_MINUTES or new.minutes % 5:
        raise Invalid(f"a visit has {LEAST_MINUTES} to {MOST_MINUTES} minutes in steps of 5", fields=["minutes"])
    _refuse_time(new.starts_at)
    if new.mode == Mode.VIDEO:
        if new.room_id is not None:
            raise Invalid("a visit by video needs no room", fields=["room"])
        if new.patient_state is None:
            raise Invalid("say in which state the patient will be", fields=["patient_state"])
    if new.patient_state is not None and new.patient_state not in STATES:
        raise Invalid("a state is two letters, e.g. CA", fields=["patient_state"])


def _refuse_time(starts_at: datetime) -> None:
    if starts_at.minute % 5 or starts_at.second or starts_at.microsecond:
        raise Invalid("a visit starts on a full five minutes", fields=["starts_at"])
    wishes.refuse_distant(starts_at)


def _person(staff_id: int) -> StaffUser:
    person = staff.get(staff_id)
    if not person.active:
        raise Invalid(f"{person.name} no longer works here", fields=["staff"])
    return person


def move_within_transaction(
    row: TreatmentSession, to: Where, *, reason: str, by: Actor, after_commit: AfterCommit
) -> None:
    """Give a visit another time, staff member or room; its patient is locked. Raises as `book_visit` does."""
    if to == Where(row.starts_at, row.staff_id or 0, row.room_id):
        return
    _refuse_time(to.starts_at)
    if row.mode == Mode.VIDEO and to.room_id is not None:
        raise Invalid("a visit by video needs no room", fields=["room"])
    person, before = _person(to.staff_id), taken(row)
    both = {row.staff_id or 0, to.staff_id}
    locked = locking.lock_places(
        (),
        {row.location_id}.union(*(queries.sites_of_person(x) for x in sorted(both))),
        max(row.starts_at, to.starts_at).date(),
        patient_ids={row.patient_id},
        room_ids={x for x in (row.room_id, to.room_id) if x is not None},
        staff_ids=both,
    )
    length = row.ends_at - row.starts_at
    old: dict[str, Any] = {"from_at": row.starts_at.isoformat(), "from_staff": row.staff_id}
    ends_at = to.starts_at + length
    after = before._replace(
        staff_id=to.staff_id, room_id=to.room_id, starts_at=to.starts_at, ends_at=ends_at, device_until=ends_at
    )
    refuse_taken(after, row.patient_id, locked, but=row)
    found = steps.before([row])
    with db.session.no_autoflush:
        locked.free(before)
        row.starts_at, row.ends_at, row.device_until, row.spaced_until = to.starts_at, ends_at, ends_at, ends_at
        row.staff_id, row.room_id = to.staff_id, to.room_id
        row.local_on = queries.local_date(to.starts_at, locations.get(row.location_id).tz)
        row.revision += 1
        row.state, row.confirmed_at, row.change_id = SessionState.BOOKED, None, None
        soft = soft_rules(row, person)
        overriding.settle(soft, reason, by=by)
    locked.take(after)
    audit.record(row, "moved", by=by, **old, to_at=row.starts_at.isoformat(), revision=row.revision)
    steps.remember("moved", found, [row], by=by)
    db.session.flush()
    overriding.record(row, soft, reason, by=by)
    locking.raise_versions(locked, after_commit)


# -- physical rules -------------------------------------------------------------------------------------------------


def refuse_taken(one: Taken, patient_id: int, locked: Locked, *, but: TreatmentSession | None) -> None:
    """Patient, person and room are free, and the floor can do without the person. Raises SlotTaken, Invalid."""
    same = but.id if but is not None else 0
    for held in queries.held_by_patient(patient_id):
        if held.session_id != same and held.overlaps(one.starts_at, one.ends_at):
            raise _taken("patient_is_free", "The patient has another appointment then.")
    if one.room_id is not None:
        room = db.session.get(Room, one.room_id)
        if room is None or room.retired_at is not None or room.location_id != one.location_id:
            raise Invalid("no such room at this site", fields=["room"])
        if room.is_shared:
            raise Invalid(f"{room.name} is shared: a visit needs a room of its own", fields=["room"])
    for column, key, rule, words in (
        (TreatmentSession.staff_id, one.staff_id, "person_is_free", "The staff member sees someone else then."),
        (TreatmentSession.room_id, one.room_id, "room_is_free", "The room is taken then."),
    ):
        if key is not None and _overlaps(column, key, one, same):
            raise _taken(rule, words)
    state = locked.state if but is None else locked.state.without(taken(but))
    if one.staff_id is not None and state.person_is_needed(one.staff_id, one.starts_at, one.ends_at):
        raise _taken("staff_are_free", "Every operator is taken then: the sessions on the floor need this person.")


def _taken(rule: str, words: str) -> SlotTaken:
    return SlotTaken(words, taken=[{"rule": rule, "why": words}])


@everyone()
def _overlaps(column: Any, key: int, one: Taken, but: int) -> bool:
    statement = (
        select(TreatmentSession.id)
        .outerjoin(Hold, Hold.id == TreatmentSession.hold_id)
        .where(
            column == key,
            TreatmentSession.id != but,
            TreatmentSession.state.in_(HOLDS_PLACE),
            TreatmentSession.starts_at < one.ends_at,
            TreatmentSession.starts_at > one.starts_at - timedelta(days=1),
            TreatmentSession.device_until > one.starts_at,
        )
    )
    return db.session.scalar(statement.limit(1)) is not None


# -- soft rules -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Day:
    """What the soft rules look at around one local date."""

    place: Location
    person: StaffUser
    openings: Sequence[locations.Opening]
    absences: Sequence[tuple[datetime, datetime]]
    shifts: Sequence[StaffShift]
    zones: Mapping[int, str]

    def against(self, starts_at: datetime, ends_at: datetime, mode: str) -> Iterator[Soft]:
        """What stands against a visit then."""
        if starts_at < clock.now() + timedelta(minutes=wishes.NOTICE_MINUTES):
            yield Soft("notice", f"It begins in less than {wishes.NOTICE_MINUTES} minutes")
        if mode == Mode.IN_PERSON and not any(a <= starts_at and ends_at <= b for a, b in self.openings):
            yield Soft("location_is_open", f"{self.place.name} is closed then")
        if any(a < ends_at and starts_at < b for a, b in self.absences):
            yield Soft("person_is_here", f"{self.person.name} is away then")
        elif not self._is_on_rota(starts_at, ends_at, mode):
            yield Soft("person_is_on_rota", f"{self.person.name} is not on the rota then")

    def _is_on_rota(self, starts_at: datetime, ends_at: datetime, mode: str) -> bool:
        """On shift at the site (by video: at any site) for the whole visit. Who has no rota at all is always fine."""
        here = [x for x in self.shifts if mode == Mode.VIDEO or x.location_id == self.place.id]
        return not self.shifts or any(self._covers(shift, starts_at, ends_at) for shift in here)

    def _covers(self, shift: StaffShift, starts_at: datetime, ends_at: datetime) -> bool:
        on, start = from_utc(starts_at, self.zones[shift.location_id])
        end = start + int((ends_at - starts_at).total_seconds() // 60)
        is_valid = shift.valid_from <= on and (shift.valid_until is None or on <= shift.valid_until)
        is_inside = minute_of(shift.starts) <= start and end <= minute_of(shift.ends)
        return shift.weekday == on.weekday() and is_valid and is_inside


def _day(location_id: int, person: StaffUser, on: date) -> _Day:
    noon = datetime.combine(on, time(12), UTC)
    absences = db.session.execute(
        select(StaffAbsence.starts_at, StaffAbsence.ends_at).where(
            StaffAbsence.user_id == person.id,
            StaffAbsence.starts_at < noon + timedelta(days=2),
            StaffAbsence.ends_at > noon - timedelta(days=2),
        )
    )
    return _Day(
        locations.get(location_id),
        person,
        locations.openings(location_id, on, 1),
        [(row.starts_at, row.ends_at) for row in absences],
        db.session.scalars(select(StaffShift).where(StaffShift.user_id == person.id)).all(),
        locations.zones(),
    )


def soft_rules(row: TreatmentSession, person: StaffUser) -> list[Soft]:
    """What stands against a visit and may be set aside with a reason."""
    found = list(_day(row.location_id, person, row.local_on).against(row.starts_at, row.ends_at, row.mode))
    return found + (licence(person, row.patient_state) if row.mode == Mode.VIDEO and row.patient_state else [])


def out_of_hours(location_id: int) -> set[int]:
    """Visits ahead at a site outside its hours or the rota, unless somebody set that rule aside for them."""
    now, place = clock.now(), locations.get(location_id)
    rows = db.session.execute(
        select(TreatmentSession, StaffUser)
        .join(StaffUser, StaffUser.id == TreatmentSession.staff_id)
        .where(
            TreatmentSession.location_id == location_id,
            TreatmentSession.need == PERSON,
            TreatmentSession.state.in_(queries.AHEAD),
            TreatmentSession.starts_at > now,
        )
    ).all()
    if not rows:
        return set()
    first, last = min(row.local_on for row, _ in rows), max(row.local_on for row, _ in rows)
    openings = locations.openings(location_id, first, (last - first).days + 1)
    everybody = {person.id for _, person in rows}
    shifts = db.session.scalars(select(StaffShift).where(StaffShift.user_id.in_(everybody))).all()
    aside = select(RuleOverride.session_id, RuleOverride.rule).where(
        RuleOverride.session_id.in_([r.id for r, _ in rows])
    )
    allowed = {tuple(one) for one in db.session.execute(aside)}
    zones, found = locations.zones(), set()
    for row, person in rows:
        own = [shift for shift in shifts if shift.user_id == person.id]
        against = _Day(place, person, openings, (), own, zones).against(row.starts_at, row.ends_at, row.mode)
        if any(one.rule in OF_THE_WEEK and (row.id, one.rule) not in allowed for one in against):
            found.add(row.id)
    return found


def licence(person: StaffUser, state: str) -> list[Soft]:
    """A warning where no licence for the patient's state is on record."""
    if state in person.licensed_in:
        return []
    known = ", ".join(sorted(person.licensed_in)) or "none"
    return [Soft("licensed_in_state", f"{person.name} has no licence for {state} on record (on record: {known})")]


# -- times to offer -------------------------------------------------------------------------------------------------


class VisitTime(NamedTuple):
    """A time at which a visit needs nobody's reason."""

    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True, kw_only=True)
class VisitWish:
    """A visit that wants a time."""

    patient_id: int
    staff_id: int
    location_id: int
    minutes: int
    mode: str = Mode.IN_PERSON
    room_id: int | None = None


def visit_times(wish: VisitWish, on: date) -> list[VisitTime]:
    """Times of a local date at which patient, person and room are free and no rule is in the way. Raises NotFound, Invalid."""
    if not LEAST_MINUTES <= wish.minutes <= MOST_MINUTES:
        raise Invalid(f"a visit has {LEAST_MINUTES} to {MOST_MINUTES} minutes", fields=["minutes"])
    if on > wishes.last_day():
        raise Invalid(wishes.TOO_FAR, fields=["on"])
    with transaction():
        patients.get(wish.patient_id)
        person, place = staff.get(wish.staff_id), locations.get(wish.location_id)
        state = capacity.snapshot({place.id} | queries.sites_of_person(person.id), until=on)
        day, busy = _day(place.id, person, on), _busy(wish, on)
        found = []
        for minute in range(0, 1440, STEP):
            starts_at = to_utc(on, minute, place.tz)
            ends_at = starts_at + timedelta(minutes=wish.minutes)
            is_taken = any(a < ends_at and starts_at < b for a, b in busy)
            if is_taken or next(day.against(starts_at, ends_at, wish.mode), None) is not None:
                continue
            if not state.person_is_needed(person.id, starts_at, ends_at):
                found.append(VisitTime(starts_at, ends_at))
        return found


@everyone()
def _busy(wish: VisitWish, on: date) -> list[tuple[datetime, datetime]]:
    """What patient, person and room have around a date, holds that ran out left out."""
    noon = datetime.combine(on, time(12), UTC)
    rows = db.session.execute(
        select(TreatmentSession.starts_at, TreatmentSession.device_until)
        .outerjoin(Hold, Hold.id == TreatmentSession.hold_id)
        .where(
            or_(
                TreatmentSession.patient_id == wish.patient_id,
                TreatmentSession.staff_id == wish.staff_id,
                TreatmentSession.room_id == wish.room_id if wish.room_id is not None else false(),
            ),
            TreatmentSession.state.in_(HOLDS_PLACE),
            TreatmentSession.starts_at > noon - timedelta(days=2),
            TreatmentSession.starts_at < noon + timedelta(days=2),
            or_(Hold.id.is_(None), Hold.expires_at > clock.now()),
        )
    )
    return [(row.starts_at, row.device_until) for row in rows]
