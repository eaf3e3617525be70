"""From booked courses to what the planner's repair is asked, and its plan as rows that could be written. Writes nothing."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from sqlalchemy import select

from clinic import clock
from clinic.db import db
from clinic.intake import queries as intake
from clinic.protocols.base import Protocol
from clinic.scheduling import capacity, queries, wishes
from clinic.scheduling.capacity import Snapshot
from clinic.scheduling.mirror import Taken
from clinic.scheduling.models import HOLDS_PLACE, Course, TreatmentSession
from clinic.scheduling.planner import Event, PlannedVisit, RepairPlan, RunningCourse, VisitSpec, preview, repair
from clinic.scheduling.planner.calendar import from_utc, to_utc
from clinic.scheduling.planner.damage import hits
from clinic.scheduling.wishes import CourseWish

SECONDS = 8.0  # of thinking, for one preview
MOST_OF_A_COURSE = 5  # sessions that one course may lose to be planned by the programme
NOTICE = 60  # minutes: today nobody is moved to a start sooner than that

Rows = tuple[TreatmentSession, ...]


@dataclass(frozen=True)
class Question:
    """What repair is asked. `rows[course, position]`: the sessions of one visit, by start."""

    state: Snapshot
    courses: tuple[RunningCourse, ...]
    rows: Mapping[tuple[str, int], Rows]
    events: tuple[Event, ...]
    tz: str

    def solve(self, *, seconds: float = SECONDS) -> RepairPlan:
        """The plan; the events are in the state already.

        Where one course loses many sessions each goes to its nearest place: the days that a programme would weigh
        against each other grow too many, and there is little to choose.
        """
        today, minute = from_utc(clock.now(), self.tz)
        now, occupancy = self.state.occupancy.day_of(today), self.state.occupancy
        struck = hits(self.courses, occupancy, now=now, now_minute=minute, events=self.events)
        asked = {"now": now, "now_minute": minute, "notice": NOTICE, "applied": True}
        if max(Counter(hit.course for hit in struck).values(), default=0) > MOST_OF_A_COURSE:
            return preview(self.courses, occupancy, self.events, **asked)  # type: ignore[arg-type]
        return repair(self.courses, occupancy, self.events, seconds=seconds, **asked)  # type: ignore[arg-type]


def ask(
    course_ids: Iterable[int],
    *,
    location_ids: Collection[int],
    events: Sequence[Event] = (),
    anywhere: bool = False,
    declined: Mapping[int, Sequence[tuple[datetime, datetime]]] | None = None,
    places: Mapping[int, Taken] | None = None,
) -> Question | None:
    """The question about these courses, as they stand; None where none of them has a session ahead.

    location_ids: where it happened; the first one's zone counts. anywhere: every site that gives the treatment may be
    used, not only those that the patient named or goes to. declined: spans a course, that the patient said no to.
    places: by session, where it stands instead of where its row says.
    """
    ids = sorted(set(course_ids))
    courses = {x.id: x for x in db.session.scalars(select(Course).where(Course.id.in_(ids)))}
    rows: dict[int, list[TreatmentSession]] = {x: [] for x in courses}
    held = (TreatmentSession.state.in_(HOLDS_PLACE)) | TreatmentSession.id.in_(list(places or ()))
    statement = select(TreatmentSession).where(TreatmentSession.course_id.in_(ids), held)
    for row in db.session.scalars(statement.order_by(TreatmentSession.starts_at, TreatmentSession.id)):
        rows[row.course_id or 0].append(row)
    accepted = {x: _accepted(courses[x], rows[x], anywhere=anywhere) for x in courses}
    sites = set(location_ids).union(*accepted.values())
    last = max((r.starts_at for found in rows.values() for r in found), default=None)
    if last is None:
        return None
    state = capacity.snapshot(sites, until=last.date() + timedelta(days=28))
    if places:
        state = _as_if(state, [r for found in rows.values() for r in found], places)
    made: list[RunningCourse] = []
    keys: dict[tuple[str, int], Rows] = {}
    for x, course in courses.items():
        spans = (declined or {}).get(x, ())
        running, of = _running(course, rows[x], state, accepted[x], spans, set(courses), places or {})
        if running is not None:
            made.append(running)
            keys |= {(running.id, n): one for n, one in enumerate(of)}
    tz = state.sites[next(iter(location_ids))].tz
    return Question(state, tuple(made), keys, tuple(events), tz) if made else None


def _as_if(state: Snapshot, rows: Sequence[TreatmentSession], places: Mapping[int, Taken]) -> Snapshot:
    """The state with some sessions elsewhere than their rows say."""
    moved = [row for row in rows if row.id in places]
    state = state.without(*(Taken(*(getattr(r, name) for name in Taken._fields)) for r in moved if _counts(r)))
    added: dict[int, set[Any]] = {}
    for row in moved:
        for location_id, booking in state.mirrored(places[row.id]):
            added.setdefault(location_id, set()).add(booking)
    return state.changed(added=added, removed={}, versions={})


def _counts(row: TreatmentSession) -> bool:
    return row.state in HOLDS_PLACE


def _accepted(course: Course, rows: Sequence[TreatmentSession], *, anywhere: bool) -> list[int]:
    """Sites for this course: where it is, those the patient named, and if need be all; home first."""
    offering = queries.sites_offering(wishes.protocol_of(course.protocol).gives)
    named = [x for x in intake.availability(course.patient_id)["locations"] if x in offering]
    own = [course.location_id, *(row.location_id for row in rows)]
    others = offering if anywhere and len(offering) <= capacity.MOST_SITES else []
    return list(dict.fromkeys([*own, *named, *others]))


def _running(
    course: Course,
    rows: Sequence[TreatmentSession],
    state: Snapshot,
    accepted: Sequence[int],
    declined: Sequence[tuple[datetime, datetime]],
    asked: Collection[int],
    places: Mapping[int, Taken],
) -> tuple[RunningCourse | None, list[Rows]]:
    protocol, now = wishes.protocol_of(course.protocol), clock.now()
    where = {row.id: places.get(row.id) for row in rows}
    ahead = [r for r in rows if _start(r, where) > now and (r.state in queries.FREEABLE or r.id in places)]
    if not ahead:
        return None, []
    ahead.sort(key=lambda r: (_start(r, where), r.id))
    visits = [tuple(group) for _, group in groupby(ahead, key=lambda r: _visit_key(r, protocol, where))]
    specs = tuple(_spec(group, protocol, where) for group in visits)
    placed = tuple(_placed(group, spec, state, where) for group, spec in zip(visits, specs, strict=True))
    known = intake.availability(course.patient_id)
    windows = {day: tuple((a, b) for a, b in spans) for day, spans in known["windows"].items()} or None
    wish = CourseWish(course.protocol, location_ids=tuple(accepted), windows=windows, away=tuple(known["away"]))
    held = [h for h in queries.held_by_patient(course.patient_id) if h.course_id is None or h.course_id not in asked]
    busy = [span for _, span in wishes.busy_spans(held, state)]
    for starts_at, ends_at in declined:
        for tz in sorted({site.tz for site in state.sites.values()}):
            on, minute = from_utc(starts_at, tz)
            busy.append((state.occupancy.day_of(on), minute, minute + int((ends_at - starts_at).total_seconds() // 60)))
    request = wishes.course_request(wish, protocol, state, busy)
    request = replace(request, visits=specs, continued=True, release=0, first_number=ahead[0].number)
    before = [r for r in rows if r not in ahead and r.starts_at < _start(ahead[0], where)]
    if before and before[-1].device_id in state.devices:
        day, minute = state.day_and_minute(before[-1].device_id or 0, before[-1].starts_at)
        request = replace(request, previous_day=day, previous_start=minute)
    return RunningCourse(str(course.id), request, placed, person=str(course.patient_id)), visits


def _start(row: TreatmentSession, where: Mapping[int, Taken | None]) -> datetime:
    place = where.get(row.id)
    return row.starts_at if place is None else place.starts_at


def _visit_key(row: TreatmentSession, protocol: Protocol, where: Mapping[int, Taken | None]) -> Any:
    """Sessions of one day of an accelerated course are one visit."""
    several = len(wishes.visit_of(protocol, row.number, row.kind).offsets) > 1
    return row.local_on if several and where.get(row.id) is None else row.id


def _spec(group: Rows, protocol: Protocol, where: Mapping[int, Taken | None]) -> VisitSpec:
    spec = wishes.specs(protocol, [wishes.visit_of(protocol, group[0].number, group[0].kind)])[0]
    first = _start(group[0], where)
    offsets = tuple(int((_start(row, where) - first).total_seconds() // 60) for row in group)
    minutes = int((group[0].ends_at - group[0].starts_at).total_seconds() // 60)
    return replace(spec, offsets=offsets, duration=minutes)


def _placed(group: Rows, spec: VisitSpec, state: Snapshot, where: Mapping[int, Taken | None]) -> PlannedVisit:
    row, place = group[0], where.get(group[0].id)
    device_id = (row.device_id if place is None else place.device_id) or 0
    day, start = state.day_and_minute(device_id, _start(row, where))
    facts = state.devices[device_id]
    on = state.occupancy.date_of(day)
    return PlannedVisit(row.number, row.kind, day, on, facts.id, facts.location, start, start + spec.span)


# -- the plan as rows -----------------------------------------------------------------------------------------------


def as_preview(plan: RepairPlan, question: Question) -> dict[str, Any]:
    """The plan to be stored and shown: who moves by how much to where, what found no place, and the bound beside it."""
    moved: list[dict[str, Any]] = []
    unplaced: list[dict[str, Any]] = []
    visits = {course.id: course.request.visits for course in question.courses}
    for move in plan.moves:
        offsets = visits[move.course][move.position].offsets
        for n, row in enumerate(question.rows[move.course, move.position]):
            line = _line(row, move.new, offsets[n], question.state) | {
                "minutes": move.minutes,
                "days": move.days,
                "needs_yes": move.earlier,
                "because": move.because,
                "text": move.text,
                "cost": move.cost if n == 0 else 0,
            }
            (unplaced if move.new is None else moved).append(line)
    return {
        "moved": moved,
        "unplaced": unplaced,
        "breaches": [
            {
                "course_id": int(one.course),
                "days": one.days,
                "allowed": list(one.allowed),
                "cost": one.cost,
                "text": one.text,
                "needs_role": "prescriber",
            }
            for one in plan.breaches
            if one.is_new
        ],
        "people": len({line["patient_id"] for line in (*moved, *unplaced)}),
        "cost": plan.cost,
        "parts": plan.parts.as_dict(),
        "bound": plan.bound,
        "stage": plan.stage,
    }


def _line(row: TreatmentSession, new: PlannedVisit | None, offset: int, state: Snapshot) -> dict[str, Any]:
    line: dict[str, Any] = {
        "session_id": row.id,
        "course_id": row.course_id,
        "patient_id": row.patient_id,
        "number": row.number,
        "revision": row.revision,
        "from_at": row.starts_at.isoformat(),
        "from_device": row.device_id,
        "from_location": row.location_id,
        "to_at": None,
        "to_device": None,
        "to_location": None,
    }
    if new is not None:
        device_id = state.device_ids[new.device]
        site = state.site_of_device[device_id]
        at = to_utc(new.date, new.start + offset, site.tz)
        line |= {"to_at": at.isoformat(), "to_device": device_id, "to_location": site.id}
    return line
