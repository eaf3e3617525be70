"""What a patient who cannot come may choose: another time of that day, or a place after the last session."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from clinic import audit, clock
from clinic.audit import Actor
from clinic.db import AfterCommit, db, transaction
from clinic.errors import AlreadyOver, Conflict, Invalid, SlotTaken
from clinic.locations import queries as locations
from clinic.protocols.base import Protocol
from clinic.scheduling import appointments, booking, locking, making_up, queries, steps, visits, wishes
from clinic.scheduling.mirror import taken
from clinic.scheduling.models import HOLDS_PLACE, Course, CourseState, SessionState, TreatmentSession
from clinic.scheduling.planner.calendar import from_utc
from clinic.scheduling.wishes import PlannedSession

CHOICES = 2
VISIT_DAYS = 14  # how far ahead a visit with a staff member is looked for
LEAST_SHIFT = timedelta(minutes=45)  # who cannot come at eight is not offered ten past eight


@dataclass(frozen=True)
class Choice:
    """One other time. `is_after_last`: the session moves behind all others of its course."""

    starts_at: datetime
    device_id: int | None
    location_id: int
    is_after_last: bool

    @property
    def key(self) -> str:
        """As it stands in a form."""
        return f"{self.starts_at.isoformat()} {self.device_id or 0} {int(self.is_after_last)}"


def choices(session_id: int) -> list[Choice]:
    """Up to two other times that keep every rule, soonest first; none where the clinic has to look.

    Raises NotFound, AlreadyOver.
    """
    with transaction():
        row = _ahead(queries.session(session_id))
        is_visit = row.is_visit
    found = _visit_times(session_id) if is_visit else _session_times(session_id)
    return sorted(found, key=lambda one: one.starts_at)[:CHOICES]


def _ahead(row: TreatmentSession) -> TreatmentSession:
    if row.state not in queries.AHEAD or row.starts_at <= clock.now():
        raise AlreadyOver(f"this appointment is {row.state.replace('_', ' ')}", state=row.state)
    return row


def _session_times(session_id: int) -> list[Choice]:
    row = queries.session(session_id)
    old, on = row.starts_at, row.local_on
    same_day = [place for place in appointments.free_times(session_id, on) if abs(place.starts_at - old) >= LEAST_SHIFT]
    nearest = min(same_day, key=lambda place: (abs(place.starts_at - old), place.device_id), default=None)
    found = []
    if nearest is not None:
        found.append(Choice(nearest.starts_at, nearest.device_id, nearest.location_id, False))
    with transaction():
        row = queries.session(session_id)
        later = _after_the_last(row, queries.course_of(row))
    return [*found, *later[: CHOICES - len(found)]]


def _after_the_last(row: TreatmentSession, course: Course) -> list[Choice]:
    protocol = wishes.protocol_of(course.protocol)
    rows = queries.sessions(course.id)
    others = [each for each in rows if each.state in HOLDS_PLACE and each.id != row.id]
    if not _may_go_last(row, course, protocol, others):
        return []
    offered = making_up.after_the_last(course, protocol, others, rows, CHOICES)
    own = (row.starts_at, row.device_id)
    return [
        Choice(place.starts_at, place.device_id, place.location_id, True)
        for place in offered.places
        if (place.starts_at, place.device_id) != own and place.starts_at > row.starts_at
    ]


def _may_go_last(row: TreatmentSession, course: Course, protocol: Protocol, others: list[TreatmentSession]) -> bool:
    """The mapping stays first, and days of several sessions are mended by the clinic."""
    is_open = course.state in (CourseState.BOOKED, CourseState.RUNNING)
    single = all(len(visit.offsets) == 1 for visit in protocol.visits)
    return bool(others) and is_open and single and row.number > 1


def _visit_times(session_id: int) -> list[Choice]:
    with transaction():
        row = queries.session(session_id)
        minutes = int((row.ends_at - row.starts_at).total_seconds() // 60)
        wish = visits.VisitWish(
            patient_id=row.patient_id,
            staff_id=row.staff_id or 0,
            location_id=row.location_id,
            minutes=minutes,
            mode=row.mode,
            room_id=row.room_id,
        )
        first, usual = row.local_on, from_utc(row.starts_at, locations.get(row.location_id).tz)[1]
        old, tz = row.starts_at, locations.get(row.location_id).tz
    found: list[Choice] = []
    for on in (first + timedelta(days=n) for n in range(VISIT_DAYS)):
        times = [time for time in visits.visit_times(wish, on) if abs(time.starts_at - old) >= LEAST_SHIFT]
        if times:
            best = min(times, key=lambda time: abs(from_utc(time.starts_at, tz)[1] - usual))
            found.append(Choice(best.starts_at, None, wish.location_id, False))
        if len(found) == CHOICES:
            break
    return found


def choose(session_id: int, choice: Choice, *, by: Actor) -> None:
    """Give the appointment the chosen time: one row, one message. Raises NotFound, AlreadyOver, SlotTaken, Invalid."""
    if not choice.is_after_last:
        appointments.move_session(session_id, starts_at=choice.starts_at, device_id=choice.device_id, by=by)
        return
    with booking.overlaps_translated(), transaction() as after_commit:
        row = _ahead(queries.lock_session(session_id))
        course = queries.course_of(row)
        protocol = wishes.protocol_of(course.protocol)
        others = [each for each in queries.sessions(course.id) if each.state in HOLDS_PLACE and each.id != row.id]
        if not _may_go_last(row, course, protocol, others):
            raise Conflict("This session has to be moved by the clinic.")
        _put_last(row, course, protocol, others, choice, by, after_commit)


def _put_last(
    row: TreatmentSession,
    course: Course,
    protocol: Protocol,
    others: list[TreatmentSession],
    choice: Choice,
    by: Actor,
    after_commit: AfterCommit,
) -> None:
    device = appointments.giving_device(choice.device_id or 0, protocol)
    wishes.refuse_distant(choice.starts_at)
    last, number = others[-1], len(others) + 1
    visit = wishes.visit_of(protocol, number, last.kind)
    ends_at = choice.starts_at + wishes.length(protocol, visit)
    place = PlannedSession(number, visit.kind, visit.need, device.id, device.location_id, choice.starts_at, ends_at)
    locked = locking.lock_places(
        {device.id, *(x for x in (row.device_id,) if x is not None)},
        {row.location_id, device.location_id},
        max(choice.starts_at, row.starts_at).date(),
        patient_ids={row.patient_id},
    )
    appointments.refuse_place(locked.state.without(taken(row)), place)
    on = queries.local_date(choice.starts_at, locked.state.site_of_device[device.id].tz)
    if choice.starts_at < last.spaced_until or appointments.soft_gap(protocol, number, last.local_on, on, last.kind):
        raise Invalid("That time no longer keeps the pace of the course.", fields=["place"])
    _refuse_busy(row, choice.starts_at, ends_at)
    found, old = steps.before([row, *others]), row.starts_at.isoformat()
    locked.free(taken(row))
    making_up.renumber(others, protocol)
    appointments.put(row, place, protocol, locked)
    row.number, row.kind, row.need = number, visit.kind, visit.need
    row.revision += 1
    row.state, row.confirmed_at, row.change_id = SessionState.BOOKED, None, None
    locked.take(taken(row))
    audit.record(row, "moved", by=by, from_at=old, to_at=row.starts_at.isoformat(), revision=row.revision)
    steps.remember("moved", found, [row, *(x for x in others if x.number != found[x.id]["number"])], by=by)
    db.session.flush()
    locking.raise_versions(locked, after_commit)


def _refuse_busy(row: TreatmentSession, starts_at: datetime, ends_at: datetime) -> None:
    for held in queries.held_by_patient(row.patient_id):
        if held.session_id != row.id and held.overlaps(starts_at, ends_at):
            raise SlotTaken("The patient has another appointment then.", taken=[])


def choice_of(key: str, offered: list[Choice]) -> Choice:
    """The choice of a form, as long as it is still offered. Raises SlotTaken."""
    found = next((one for one in offered if one.key == key), None)
    if found is None:
        raise SlotTaken("This time was just taken.", taken=[])
    return found
