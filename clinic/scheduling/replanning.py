"""Who has to move after an outage: shown first, then done in one transaction.

The preview is stored with the schedules that it was made on; applying holds every line of it against the calendar as it
is and does all of it or nothing.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import select

from clinic import audit, clock
from clinic.audit import Actor
from clinic.db import db, transaction
from clinic.errors import SlotTaken, Stale
from clinic.locations.models import Device
from clinic.patients.sites import everyone
from clinic.scheduling import booking, locking, moving, outages, overriding, queries, repairing
from clinic.scheduling.mirror import day_spans
from clinic.scheduling.models import (
    ChangeKind,
    Course,
    Outage,
    OutageState,
    ScheduleChange,
    TreatmentSession,
)
from clinic.scheduling.moving import To
from clinic.scheduling.overriding import Soft
from clinic.scheduling.planner import DeviceOut, Event, PersonOut, SiteClosed
from clinic.scheduling.repairing import Question

MOST_COURSES = 400
EMPTY: dict[str, Any] = {
    "moved": [],
    "unplaced": [],
    "breaches": [],
    "visits": [],
    "people": 0,
    "cost": 0,
    "parts": {},
    "bound": 0,
    "stage": "unchanged",
}


# -- preview --------------------------------------------------------------------------------------------------------


def preview_outage(outage_id: int, *, seconds: float = repairing.SECONDS) -> dict[str, Any]:
    """Plan anew for whom it hits, store the plan and answer it. Raises NotFound, AlreadyOver."""
    with transaction(), everyone():
        row = outages.still_open(outage_id)
        question, visits = _question(row)
    plan = question.solve(seconds=seconds) if question is not None else None  # thinking holds no connection
    with transaction(), everyone():
        row = outages.still_open(outage_id, lock=True)
        found = repairing.as_preview(plan, question) if plan is not None and question is not None else dict(EMPTY)
        found["visits"] = visits
        row.preview, row.previewed_at, row.revision = found, clock.now(), row.revision + 1
        row.versions = {str(x): v for x, v in question.state.versions.items()} if question is not None else {}
        return found


def _question(row: Outage) -> tuple[Question | None, list[dict[str, Any]]]:
    """What repair is asked, and the visits that somebody has to move by hand."""
    rows = outages.hit(row)
    visits = [
        {"session_id": one.id, "patient_id": one.patient_id, "starts_at": one.starts_at.isoformat(), "kind": one.kind}
        for one in rows
        if one.is_visit and (row.kind != ChangeKind.SITE or one.mode == "in_person")
    ]
    sites = [row.location_id] if row.location_id is not None else sorted(queries.sites_of_person(row.staff_id or 0))
    courses = {one.course_id for one in rows if one.course_id is not None}
    if not courses or not sites:
        return None, visits
    courses |= _neighbours(rows, courses)
    question = repairing.ask(courses, location_ids=sites, anywhere=row.is_final or row.kind == ChangeKind.SITE)
    if question is None:
        return None, visits
    events = tuple(_events(row, question))
    return Question(question.state, question.courses, question.rows, events, question.tz), visits


def _neighbours(rows: Sequence[TreatmentSession], courses: Collection[int]) -> set[int]:
    """Other courses at the affected sites on the affected days: they may give way by a little."""
    days = {(row.location_id, row.local_on) for row in rows if row.course_id is not None}
    found: set[int] = set()
    for location_id in {place for place, _ in days}:
        found.update(
            x
            for x in db.session.scalars(
                select(TreatmentSession.course_id)
                .where(
                    TreatmentSession.location_id == location_id,
                    TreatmentSession.local_on.in_([on for place, on in days if place == location_id]),
                    TreatmentSession.state.in_(queries.AHEAD),
                    TreatmentSession.course_id.is_not(None),
                    TreatmentSession.course_id.not_in(courses),
                )
                .distinct()
                .limit(MOST_COURSES)
            )
            if x is not None
        )
    return found


def _events(row: Outage, question: Question) -> list[Event]:
    state = question.state
    days, start = state.days, state.start
    if row.kind == ChangeKind.CAPACITY:
        return []  # no single event: whatever has no lawful place is mended
    if row.kind == ChangeKind.DEVICE:
        site = state.site_of_device[row.device_id or 0]
        spans = day_spans(row.starts_at, row.ends_at, site.tz, start, days)
        return [DeviceOut(state.devices[row.device_id or 0].id, tuple(spans))]
    if row.kind == ChangeKind.SITE:
        site = state.sites[row.location_id or 0]
        closed = (day for day, _, _ in day_spans(row.starts_at, row.ends_at, site.tz, start, days))
        return [SiteClosed(site.facts.id, frozenset(closed))]
    found: list[Event] = []
    for site in state.sites.values():
        ids = frozenset(x.id for x in site.staff if x.id.split(" ", 1)[0] == str(row.staff_id))
        if ids:
            found.append(PersonOut(ids, tuple(day_spans(row.starts_at, row.ends_at, site.tz, start, days))))
    return found


# -- apply ----------------------------------------------------------------------------------------------------------


def apply_outage(outage_id: int, *, revision: int | None = None, reason: str = "", by: Actor) -> list[int]:
    """Do what the preview shows, all of it or nothing; answers the ids of the changes, one a person and course.

    revision: the preview that was looked at. Where it was made anew, or the calendar no longer allows it, Stale carries
    a fresh one. New gap breaches need a prescriber's reason. Raises NotFound, AlreadyOver, Stale, ReasonNeeded.
    """
    try:
        with booking.overlaps_translated(), transaction() as after_commit, everyone():
            row = outages.still_open(outage_id, lock=True)
            if row.preview is None or (revision is not None and revision != row.revision):
                raise SlotTaken("This preview was made anew.", taken=[])
            overriding.settle([_soft(one) for one in row.preview["breaches"]], reason, by=by)
            moves = _moves(row.preview)
            locked = moving.lock(moves) if moves else locking.lock_places((), (), row.ends_at.date())
            moving.refuse_taken(moves, locked)
            changes = _write(row, moves, locked, by=by)
            _record_breaches(row.preview["breaches"], moves, reason, by=by)
            _visits_to_desk(row, by=by)
            row.state, row.applied_at = OutageState.APPLIED, clock.now()
            _retire(row)
            audit.record(row, "applied", by=by, reason=reason or None, people=len(changes))
            if moves:
                locking.raise_versions(locked, after_commit)
            return changes
    except SlotTaken as refusal:
        fresh = preview_outage(outage_id)
        raise Stale(
            f"{refusal.message} Here is how it is now. Nothing was changed.",
            preview=fresh,
            revision=outages.get(outage_id).revision,
        ) from None


def _soft(breach: Mapping[str, Any]) -> Soft:
    return Soft("gaps_are_allowed", breach["text"], prescriber_only=True, price=breach["cost"])


def _record_breaches(breaches: Sequence[Mapping[str, Any]], moves: Sequence[To], reason: str, *, by: Actor) -> None:
    for breach in breaches:
        row = next((to.row for to in moves if to.row.course_id == breach["course_id"]), None)
        if row is not None:
            overriding.record(row, [_soft(breach)], reason, by=by)


def _moves(preview: Mapping[str, Any]) -> list[To]:
    """The moves of a preview with their rows, patients locked. Raises SlotTaken where a row is no longer as it was."""
    lines = [*preview["moved"], *preview["unplaced"]]
    queries.lock_patients({line["patient_id"] for line in lines})
    rows = {row.id: row for row in moving.reread(line["session_id"] for line in lines)}
    changed = [
        line["session_id"]
        for line in lines
        if line["session_id"] not in rows
        or rows[line["session_id"]].revision != line["revision"]
        or rows[line["session_id"]].state not in queries.FREEABLE
    ]
    if changed:
        raise SlotTaken("Sessions of this plan were changed meanwhile.", taken=[{"session_id": x} for x in changed])
    return moving.planned(rows, lines)


def _write(row: Outage, moves: Sequence[To], locked: locking.Locked, *, by: Actor) -> list[int]:
    moving.give_back([to.row.id for to in moves])
    groups: dict[int, list[To]] = {}
    for to in moves:
        groups.setdefault(to.row.course_id or 0, []).append(to)
    lines = {
        line["session_id"]: line for line in (*(row.preview or EMPTY)["moved"], *(row.preview or EMPTY)["unplaced"])
    }
    found = []
    for course_id, mine in sorted(groups.items()):
        change = ScheduleChange(
            patient_id=mine[0].row.patient_id,
            course_id=course_id,
            outage_id=row.id,
            kind=row.kind,
            state=moving.state_of(mine),
            revision=1,
            moves=[lines[to.row.id] for to in mine],
            created_at=clock.now(),
            answer_by=moving.answer_by(mine),
        )
        db.session.add(change)
        moving.write(change, mine, locked, by=by)
        audit.record(change, "told", by=by, sessions=len(mine), asked=change.state == "asked")
        if row.is_final:
            _new_home(course_id)
        found.append(change.id)
    return found


def _new_home(course_id: int) -> None:
    """Where a device left for good, the course is at home where most of its sessions are now."""
    ahead = [row for row in queries.sessions(course_id) if row.state in queries.FREEABLE]
    if ahead:
        course = db.session.get_one(Course, course_id)
        (device_id, location_id), _ = Counter((row.device_id, row.location_id) for row in ahead).most_common(1)[0]
        course.device_id, course.location_id = device_id or course.device_id, location_id


def _visits_to_desk(row: Outage, *, by: Actor) -> None:
    for one in (row.preview or EMPTY)["visits"]:
        moving.visit_to_desk(one["session_id"], row.id, by=by)


def _retire(row: Outage) -> None:
    if row.is_final and row.device_id is not None and row.starts_at <= clock.now():
        db.session.get_one(Device, row.device_id).retired_at = clock.now()
