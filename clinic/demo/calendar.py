"""The calendar of the demo: rooms, visits, what payers approved, a plan that is held, an outage, somebody who waits."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from clinic import clock
from clinic.audit import Actor
from clinic.errors import ClinicError
from clinic.locations import operations as locations
from clinic.locations import queries as places
from clinic.scheduling import authorising, closing, operations, queries, visits, waiting
from clinic.scheduling.authorising import NewAuthorisation
from clinic.scheduling.models import CourseState
from clinic.scheduling.visits import NewVisit
from clinic.scheduling.wishes import CourseWish
from clinic.staff import operations as staff

PROTOCOL = "itbs_left"
LICENSED = ("prescriber", "prescriber2", "therapist")
# whom, who sees them, where, on which open day after today, at which hour, for what, how, for how many minutes
VISITS = (
    ("running", "prescriber", "fullerton", 0, 15, "medication", "in_person", 30),
    ("running", "therapist", "fullerton", 1, 16, "therapy", "in_person", 50),
    ("booked", "prescriber2", "south-pasadena", 1, 10, "consult", "in_person", 60),
    ("asked", "therapist", "laguna-hills", 2, 11, "therapy", "video", 50),
    ("approved", "prescriber2", "laguna-hills", 2, 14, "medication", "video", 30),
)


@dataclass(frozen=True)
class Loaded:
    """Ids of what was loaded before: sites by slug, staff by key, people by how far they have come."""

    sites: Mapping[str, int]
    staff: Mapping[str, int]
    people: Mapping[str, list[int]]
    desk: Actor
    manager: Actor


def load(loaded: Loaded) -> None:
    """Everything that a calendar can hold, each at least once."""
    rooms = {
        slug: locations.add_room(site, "Consulting room", by=loaded.manager) for slug, site in loaded.sites.items()
    }
    for key in LICENSED:
        staff.set_licences(loaded.staff[key], ["CA"], by=loaded.manager)
    _approve(loaded)
    for n, (state, who, slug, day, hour, kind, mode, minutes) in enumerate(VISITS):
        is_video = mode == "video"
        new = NewVisit(
            patient_id=loaded.people[state][n % len(loaded.people[state])],
            kind=kind,
            staff_id=loaded.staff[who],
            location_id=loaded.sites[slug],
            starts_at=_at(loaded.sites[slug], day, hour),
            minutes=minutes,
            mode=mode,
            room_id=None if is_video else rooms[slug],
            patient_state="CA" if is_video else None,
        )
        _book(new, loaded.desk)
    _outage(loaded)
    _wait_and_hold(loaded)


def _book(new: NewVisit, by: Actor) -> None:
    """A visit whose place is taken on the day of loading is left out."""
    try:
        visits.book_visit(new, reason="Outside the rota, agreed by phone", by=by)
    except ClinicError:
        return


def _approve(loaded: Loaded) -> None:
    """Payers approved all of one course, too little of another, and the patient pays the rest of a third."""
    today = clock.now().date()
    running = [
        course
        for person in loaded.people["running"]
        for course in queries.courses_of(person)[:1]
        if course.state == CourseState.RUNNING
    ]
    about = [(course.patient_id, approved) for course, approved in zip(running, (36, 25, 30), strict=False)]
    for n, (patient_id, approved) in enumerate(about, 1):
        new = NewAuthorisation(
            patient_id=patient_id,
            payer="Demo payer",
            number=f"DEMO-T-{n}",
            pathway="tms",
            sessions_approved=approved,
            valid_from=today - timedelta(days=120),
            valid_until=today + timedelta(days=90),
        )
        authorising.add_authorisation(new, by=loaded.desk)
        if n == 3:
            what = "Six sessions beyond what was approved, at the demo clinic's price"
            agreed_on = today - timedelta(days=3)
            authorising.agree_self_pay(patient_id, pathway="tms", what=what, agreed_on=agreed_on, by=loaded.desk)


def _outage(loaded: Loaded) -> None:
    """A device is out for a day soon; the plan is shown and waits to be applied."""
    site = next(x for x in places.active() if x.id == loaded.sites["laguna-hills"])
    device_id = next(x.id for x in site.devices if x.name == "TMS A")
    first = _at(loaded.sites["laguna-hills"], 4, 0)
    until = first + timedelta(hours=23)
    closing.device_down(device_id, starts_at=first, ends_at=until, reason="Coil change", by=loaded.desk)


def _wait_and_hold(loaded: Loaded) -> None:
    """One person chooses among plans, the first of them held; another waits for an earlier start."""
    first, *others = loaded.people["approved"]
    operations.propose_courses(first, CourseWish(PROTOCOL), hold=True, by=loaded.desk)
    if others:
        soon = clock.now().date() + timedelta(days=3)
        waiting.join(others[-1], CourseWish(PROTOCOL, latest_start=soon), priority=1, by=loaded.desk)


def _at(location_id: int, day: int, hour: int) -> datetime:
    """An hour on the wall of a site, on one of its open days after today."""
    zone = ZoneInfo(places.get(location_id).tz)
    spans = places.openings(location_id, clock.today(zone.key) + timedelta(days=1), 21)
    days = sorted({opens.astimezone(zone).date() for opens, _ in spans})
    return datetime.combine(days[day], time(hour), zone).astimezone(UTC)
