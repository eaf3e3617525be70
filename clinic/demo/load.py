"""Load the demo clinic: the operations of staff and patients, at the times at which they would have been made."""

import random
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import yaml
from sqlalchemy import select, text

from clinic import clock, jobs
from clinic.audit import Actor, ActorKind, system
from clinic.db import db
from clinic.demo import bulk, calendar, care, places, room
from clinic.demo.places import Names
from clinic.demo.sizes import SIZES, Size
from clinic.eligibility import operations as eligibility
from clinic.eligibility.operations import Decide
from clinic.errors import Conflict
from clinic.intake import operations as intake
from clinic.locations import operations as locations
from clinic.locations.models import Location
from clinic.locations.operations import NewDevice, NewLocation, NewShift, Span
from clinic.patients import operations as patients
from clinic.patients.operations import NewPatient
from clinic.reminders.answers import decline_visit
from clinic.scheduling import appointments
from clinic.scheduling import operations as scheduling
from clinic.scheduling import queries as courses
from clinic.scheduling.wishes import CourseWish
from clinic.staff import operations as staff
from clinic.surveys import operations as surveys
from clinic.surveys import queries as survey_queries

HERE = Path(__file__).parent
BY: Actor = system("demo")
TZ = "America/Los_Angeles"
PASSWORD = "daybreak-demo"  # noqa: S105 - the demo clinic's sign-ins are printed on the screen
DOMAIN = "demo.example.org"
SEED = 20261121
COURSE_PROTOCOL = "tms_10hz_left_standard"
ENDED_EARLY = ("paused", "discontinued", "cancelled")
CHECK_IN_EVERY = 5  # sessions; in between no check-in opens
TMS_SITES = ("fullerton", "laguna-hills")
YEAR = 365  # days for which the rota reaches back at least

Progress = Callable[[str, int, int], None]


@dataclass
class Clinic:
    """Ids of what was loaded."""

    sites: dict[str, int] = field(default_factory=dict)
    staff: dict[str, int] = field(default_factory=dict)
    emails: dict[str, str] = field(default_factory=dict)
    people: dict[str, list[int]] = field(default_factory=dict)  # patients by how far they have come

    def actor(self, key: str) -> Actor:
        return Actor(ActorKind.STAFF, str(self.staff[key]))


@dataclass(frozen=True)
class Person:
    """One synthetic person and how far they have come."""

    number: int
    given: str
    family: str
    state: str
    history: dict[str, Any] | None
    delivered: int
    site: str

    @property
    def email(self) -> str:
        return f"patient{self.number:02d}@{DOMAIN}"

    @property
    def phone(self) -> str:
        return f"+1714555{100 + self.number:04d}"

    @property
    def birth_date(self) -> date:
        age = (self.history or {}).get("age", 40)
        return date(clock.today(TZ).year - age - 1, self.number % 12 + 1, self.number % 28 + 1)


def is_empty() -> bool:
    """Whether no site was set up yet."""
    return db.session.scalar(select(Location.id).limit(1)) is None


def load(progress: Progress = lambda *_: None, size: Size = SIZES["small"]) -> int:
    """Load a clinic into an empty database; answers the number of people. Raises Conflict otherwise.

    The people of the small one are in each: they stand at every stage of the way.
    """
    if not is_empty():
        raise Conflict("this database holds a clinic already: the demo is for an empty one")
    with _unhurried_disk():
        clinic = _load_places(progress, max(YEAR, size.days))
        people = list(_people())
        for done, person in enumerate(people, 1):
            with jobs.silence():
                _load_person(person, clinic)
            progress("people", done, len(people))
        with jobs.silence():
            watched = _load_room(clinic, len(people))
            calendar.load(
                calendar.Loaded(
                    clinic.sites, clinic.staff, clinic.people, clinic.actor("desk"), clinic.actor("manager")
                )
            )
    care.write_notes(clinic.staff["manager"], clinic.actor("manager"), clock.today(TZ))
    return len(people) + watched + (_add_years(size, clinic, progress) if size.is_bulk else 0)


@contextmanager
def _unhurried_disk() -> Iterator[None]:
    """Commits wait for no disk; the first one afterwards waits for all of them. Half a demo is of use to nobody."""
    _wait_for_disk("off")
    try:
        yield
    finally:
        db.session.rollback()
        _wait_for_disk("on")


def _wait_for_disk(choice: str) -> None:
    db.session.execute(text("SELECT set_config('synchronous_commit', :choice, false)"), {"choice": choice})
    db.session.commit()


def _add_years(size: Size, clinic: Clinic, progress: Progress) -> int:
    people = _read("people.yaml")
    return bulk.add_years(
        size,
        clinic.sites.values(),
        Names(people["given"], people["family"]),
        people["histories"],
        note=_read("clinic.yaml")["note"],
        password=PASSWORD,
        manager=(clinic.staff["manager"], clinic.actor("manager")),
        by=BY,
        seed=SEED,
        progress=progress,
    )


def _load_room(clinic: Clinic, loaded: int) -> int:
    """People of the room: approved for esketamine, enrolled, and in a chair today, or on the next open day."""
    today = clock.today(TZ)
    first = today + timedelta(days=(7 - today.weekday()) % 7) if today.weekday() > 4 else today
    sites = [clinic.sites["fullerton"], clinic.sites["beverly-hills"]]
    room.certify(sites, clinic.staff["manager"], clinic.actor("manager"), today)
    history = _read("people.yaml")["histories"]["eligible"]
    for nth, (given, family) in enumerate(room.PEOPLE):
        person = Person(loaded + nth + 1, given, family, "room", history, 0, "fullerton")
        with clock.frozen(_office_hour(clock.now() - timedelta(days=4))):
            patient_id = _register(person, clinic)
            record = {**(person.history or {}), "as_of": clock.today(TZ).isoformat()}
            eligibility.submit_record(patient_id, record, by=BY)
            reason = "Two adequate trials in this episode, nothing against it."
            command = Decide(patient_id=patient_id, pathway="esketamine", decision="approve", reason=reason)
            eligibility.decide(command, staff_id=clinic.staff["prescriber"], by=clinic.actor("prescriber"))
            room.enroll(patient_id, person.number, clinic.staff["nurse"], clinic.actor("nurse"), clock.today(TZ))
            course_id = room.book(patient_id, sites[nth % 2], first, clinic.actor("desk"))
        if course_id is not None:
            room.live(course_id, nth, clinic.staff["nurse"], clinic.actor("nurse"))
    return len(room.PEOPLE)


def sign_ins() -> list[tuple[str, str, str]]:
    """Email, password and roles of the demo's staff, as far as they are there."""
    data = _read("clinic.yaml")
    return [(f"{one['key']}@{DOMAIN}", PASSWORD, ", ".join(one["roles"])) for one in data["staff"]]


# -- places ---------------------------------------------------------------------------------------------------------


def _load_places(progress: Progress, days: int) -> Clinic:
    data, clinic = _read("clinic.yaml"), Clinic()
    locations.set_profile(**data["profile"], is_demo=True, by=BY)
    for done, site in enumerate(data["sites"], 1):
        clinic.sites[site["slug"]] = _load_site(site, data["note"])
        progress("sites", done, len(data["sites"]))
    for done, person in enumerate(data["staff"], 1):
        _load_staff(person, clinic, days)
        progress("staff", done, len(data["staff"]))
    return clinic


def _load_site(site: dict[str, Any], note: str) -> int:
    new = NewLocation(
        slug=site["slug"],
        name=site["name"],
        address=site["address"],
        zip_code=site["zip_code"],
        tz=TZ,
        phone=site["phone"],
        note=note,
        latitude=site["latitude"],
        longitude=site["longitude"],
        hours=[
            Span(places.WEEKDAYS[day], time.fromisoformat(opens), time.fromisoformat(closes))
            for day, spans in site["hours"].items()
            for opens, closes in spans
        ],
        devices=[
            NewDevice(
                name=device["name"],
                kind=device["kind"],
                protocols=device["protocols"],
                turnover_minutes=device["turnover"],
            )
            for device in site["devices"]
        ],
    )
    location_id = locations.create_location(new, by=BY)
    this_year = clock.today(TZ).year
    for year in (this_year - 1, this_year, this_year + 1):
        locations.start_closures(location_id, year, by=BY)
    return location_id


def _load_staff(person: dict[str, Any], clinic: Clinic, days: int) -> None:
    key = person["key"]
    has_all_sites = person["sites"] == "all"
    clinic.staff[key] = staff.create_staff_user(
        email=f"{key}@{DOMAIN}",
        name=person["name"],
        password=PASSWORD,
        roles=person["roles"],
        location_ids=[] if has_all_sites else [clinic.sites[slug] for slug in person["sites"]],
        has_all_sites=has_all_sites,
        is_demo=True,
        skills=person.get("skills", ()),
        by=BY,
    )
    shift = person.get("shift")
    if shift:
        starts, ends = (time.fromisoformat(wall) for wall in shift["hours"])
        break_starts, break_ends = (time.fromisoformat(wall) for wall in shift["break"])
        for weekday in range(5):
            new = NewShift(
                user_id=clinic.staff[key],
                weekday=weekday,
                starts=starts,
                ends=ends,
                break_starts=break_starts,
                break_ends=break_ends,
                valid_from=clock.today(TZ) - timedelta(days=days),
            )
            locations.add_shift(clinic.sites[shift["at"]], new, by=BY)


# -- people ---------------------------------------------------------------------------------------------------------


def _people() -> Iterator[Person]:
    data = _read("people.yaml")
    families = data["family"]
    names = zip(data["given"], families[17:] + families[:17], strict=True)  # initials that differ
    number = 0
    for group in data["states"]:
        for _ in range(group["count"]):
            number += 1
            given, family = next(names)
            history = data["histories"].get(group.get("history"))
            site = TMS_SITES[number % 2]
            yield Person(number, given, family, group["state"], history, group.get("delivered", 0), site)


def _load_person(person: Person, clinic: Clinic) -> None:
    if person.state == "intake_open":
        _open_intake(person)
        return
    step_on = _weekday_after(clock.today(TZ) + timedelta(days=4 + person.number % 3))
    start = _office_hour(clock.now() - timedelta(days=_days_ago(person)))
    with clock.frozen(start):
        patient_id = _register(person, clinic)
        eligibility.submit_record(patient_id, {**(person.history or {}), "as_of": clock.today(TZ).isoformat()}, by=BY)
    if person.state in ("waiting", "safety"):
        return
    with clock.frozen(_office_hour(start + timedelta(days=1))):
        _decide(person, patient_id, clinic)
        if person.number in care.RELEASED:
            _release(person, patient_id, clinic, step_on)
    if person.state in ("asked", "declined", "approved"):
        return
    ahead = clock.today(TZ) + timedelta(days=2 + person.number % 3)
    with clock.frozen(_office_hour(start + timedelta(days=2))):
        first = clock.today(TZ) + timedelta(days=1) if person.delivered else ahead
        course_id = _book(person, patient_id, clinic, first)
    if course_id is not None:
        _live_through(person, patient_id, course_id, clinic)


def _days_ago(person: Person) -> int:
    """When the history was sent: lately for those who wait, long enough ago for what was delivered since."""
    if person.delivered:
        return 16 + person.number % 4 + person.delivered * 7 // 5 + (14 if person.delivered > 30 else 0)
    spread = {"waiting": 1, "safety": 0, "asked": 1, "declined": 4, "approved": 1, "booked": 4, "cancelled": 9}
    return spread.get(person.state, 0) + person.number % 2


def _register(person: Person, clinic: Clinic) -> int:
    new = NewPatient(
        given_name=person.given,
        family_name=person.family,
        birth_date=person.birth_date,
        email=person.email,
        phone=person.phone,
        language="es" if person.number % 9 == 0 else "en",
        tz=TZ,
        preferred_location_id=clinic.sites[person.site],
        consents={"email": True, "sms": person.number % 3 != 0},
    )
    patient_id = patients.create_patient(new, by=BY, source="desk")
    clinic.people.setdefault(person.state, []).append(patient_id)
    return patient_id


def _open_intake(person: Person) -> None:
    intake_id, _ = intake.start_intake(language="en")
    by = Actor(ActorKind.PATIENT, f"intake {intake_id}")
    born = person.birth_date
    answers = {
        "given": person.given,
        "family": person.family,
        "birth_year": str(born.year),
        "birth_month": str(born.month),
        "birth_day": str(born.day),
        "sex": "female",
    }
    for page, values in (("about", answers), ("contact", {"email": person.email, "phone": person.phone})):
        intake.save_page(intake_id, page, values, is_complete=True, revision=0, form="demo", by=by)
    intake.add_trial(intake_id, str(uuid.UUID(int=SEED + person.number)), "Zoloft", by=by)


def _decide(person: Person, patient_id: int, clinic: Clinic) -> None:
    decision, reason = {
        "asked": ("ask", "Doses and dates of all four medicines, from the pharmacy."),
        "declined": ("decline", "One more trial at full dose first; see again in eight weeks."),
    }.get(person.state, ("approve", "Two adequate trials in this episode, nothing against it."))
    command = Decide(patient_id=patient_id, pathway="tms", decision=decision, reason=reason)
    eligibility.decide(command, staff_id=clinic.staff["prescriber"], by=clinic.actor("prescriber"))


def _release(person: Person, patient_id: int, clinic: Clinic, step_on: date) -> None:
    """The next step lies ahead of the day of loading, however long ago the history was sent."""
    by = clinic.actor("prescriber")
    care.release_summary(patient_id, person.number, on=step_on, staff_id=clinic.staff["prescriber"], by=by)


def _weekday_after(day: date) -> date:
    return day + timedelta(days=(7 - day.weekday()) % 7) if day.weekday() > 4 else day


# -- courses --------------------------------------------------------------------------------------------------------


def _book(person: Person, patient_id: int, clinic: Clinic, first: date) -> int | None:
    wish = CourseWish(
        protocol="itbs_left" if person.number % 3 == 0 else COURSE_PROTOCOL,
        earliest_start=first,
        location_ids=(clinic.sites[person.site],),
        count=1,
    )
    by = clinic.actor("desk")
    offer = scheduling.propose_courses(patient_id, wish, by=by)
    if not offer.proposal_ids:
        return None
    return scheduling.book_course(patient_id, proposal_id=offer.proposal_ids[0], by=by).course_id


def _live_through(person: Person, patient_id: int, course_id: int, clinic: Clinic) -> None:
    """Deliver what lies in the past, answer the check-ins on the way, then what became of the course."""
    scores = _falling_scores(person)
    operator = clinic.actor("operator")
    now = clock.now()
    past = [one for one in courses.sessions(course_id) if one.ends_at < now]
    if person.state in ENDED_EARLY:
        past = past[: person.delivered]
    ended_at = now
    for session in past:
        ended_at = session.ends_at
        with clock.frozen(session.starts_at - timedelta(minutes=4)):
            appointments.arrive_session(session.id, by=operator)
        with clock.frozen(session.ends_at):
            appointments.complete_session(session.id, by=operator)
        if session.number == 1 or session.number % CHECK_IN_EVERY == 0:
            with clock.frozen(session.ends_at + timedelta(minutes=30)):
                surveys.keep_up()
            answered_at = session.ends_at + timedelta(hours=5)
            if answered_at <= now:  # a check-in of today still waits
                with clock.frozen(answered_at):
                    _answer_check_ins(patient_id, scores)
    if person.state in ENDED_EARLY:
        with clock.frozen(ended_at + timedelta(hours=6)):
            _what_became(person, course_id, clinic)
    elif person.state == "cannot_come":
        _decline_next(course_id)


def _what_became(person: Person, course_id: int, clinic: Clinic) -> None:
    by = clinic.actor("desk")
    if person.state == "paused":
        scheduling.pause_course(course_id, reason="Away for family reasons", by=by)
    else:
        scheduling.cancel_course(course_id, reason="The patient chose another way", by=by)


def _decline_next(course_id: int) -> None:
    ahead = next((one for one in courses.sessions(course_id) if one.starts_at > clock.now()), None)
    if ahead is not None:
        decline_visit(ahead.id, by=Actor(ActorKind.PATIENT, str(ahead.patient_id)))


def _answer_check_ins(patient_id: int, scores: Iterator[list[int]]) -> None:
    by = Actor(ActorKind.PATIENT, str(patient_id))
    for survey in survey_queries.open_of_patient(patient_id):
        phq9 = next(scores) if "phq9" in survey.instruments else []
        surveys.save_answers(survey.id, _check_in_answers(survey.instruments, phq9), by=by)
        surveys.send_answers(survey.id, by=by)


def _check_in_answers(instruments: Sequence[str], phq9: list[int]) -> dict[str, Any]:
    """Anxiety and sleep follow the mood; side effects are few."""
    answers: dict[str, Any] = {f"phq9.{n}": value for n, value in enumerate(phq9, 1)}
    tenth = sum(phq9) / 27
    if phq9 and sum(phq9):
        answers["phq9.difficulty"] = min(3, round(3 * tenth))
    if "gad7" in instruments:
        answers |= {f"gad7.{n}": min(3, round(3 * tenth * 0.8)) for n in range(1, 8)}
    if "sleep_clinic" in instruments:
        answers |= {"sleep_clinic.1": min(3, round(3 * tenth)), "sleep_clinic.2": 6 if tenth < 0.5 else 4}
    if "side_effects_tms" in instruments:
        answers |= {"side_effects_tms.1": round(4 * tenth), "side_effects_tms.2": round(5 * tenth)}
        answers |= {f"side_effects_tms.{n}": 0 for n in range(3, 10)} | {"side_effects_tms.10": None}
    return answers


def _falling_scores(person: Person) -> Iterator[list[int]]:
    """PHQ-9 answers that fall from session to session, faster for some people than for others."""
    dice = random.Random(SEED + person.number)
    total, pace = 19.0, dice.choice((0.6, 1.4, 2.2, 2.8))
    while True:
        total = max(2.0, total - pace - dice.random())
        yield _spread(round(total))


def _spread(total: int) -> list[int]:
    """Nine answers with this sum; the ninth stays 0."""
    answers, place = [0] * 9, 0
    for _ in range(min(total, 24)):
        while answers[place % 8] == 3:
            place += 1
        answers[place % 8] += 1
        place += 1
    return answers


# -- time and files -------------------------------------------------------------------------------------------------


def _office_hour(instant: datetime) -> datetime:
    """The same day at 17:00 UTC, morning in California, but never ahead; a weekend moves to the Friday before."""
    day = instant.date()
    while day.weekday() > 4 or datetime.combine(day, time(17), tzinfo=UTC) > clock.now():
        day -= timedelta(days=1)
    return datetime.combine(day, time(17), tzinfo=UTC)


def _read(name: str) -> Any:
    return yaml.load((HERE / name).read_text(), Loader=yaml.CSafeLoader)
