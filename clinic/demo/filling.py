"""What stands in a site's calendar after years: courses woven day by day, people who come again, visits between them."""

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

import numpy as np

from clinic import clock
from clinic.demo.crowd import Someone, instant
from clinic.demo.living import DAY, Calendar, Lived, live
from clinic.demo.places import Place
from clinic.demo.sizes import Size
from clinic.demo.weaving import Weaver, pattern_of
from clinic.scheduling.mirror import Site, read_bookings, read_site
from clinic.scheduling.planner import Occupancy

# How often each protocol is given, where a device gives it.
MIX = {
    "tms_10hz_left_standard": 34,
    "itbs_left": 24,
    "tms_10hz_left_dash": 14,
    "deep_tms_h1": 9,
    "esketamine_trd": 7,
    "rtms_1hz_right": 4,
    "bilateral_sequential": 4,
    "saint_snt": 3,
    "iv_ketamine_induction": 3,
}
AHEAD_DAYS, HORIZON = 75, 200  # courses begin at most so far ahead; the calendar reaches further
VISITS = 0.06  # of the appointments are visits with a therapist or a prescriber
COMES_AGAIN = 0.12  # of courses are a later one of the same person
MOST_FAILED = 12  # courses in a row that found no place: the day is full
WAIT_HERE = 3  # people a site whose history waits, and as many who wait for their course


@dataclass
class Filled:
    """What was woven for one site. `visits`: day, minute, visitor's place, person."""

    site: Site
    calendar: Calendar
    courses: list[Lived] = field(default_factory=list)
    owners: list[int] = field(default_factory=list)  # of each course the person, by place in `people`
    people: list[Someone] = field(default_factory=list)
    visits: list[tuple[int, int, int, int]] = field(default_factory=list)

    @property
    def appointments(self) -> int:
        """How many."""
        return sum(len(course.rows) for course in self.courses) + len(self.visits)


def weave(place: Place, size: Size, wanted: int, random: Random) -> Filled:
    """Fill the calendar of a site with about so many appointments, from `size.days` ago until some weeks ahead."""
    now = clock.now()
    start = now.date() - timedelta(days=size.days)
    days = size.days + HORIZON
    site = read_site(place.location_id, start, days)
    occupancy = _occupancy(site, start, days)
    noons = [
        int(datetime(on.year, on.month, on.day, 12, tzinfo=ZoneInfo(site.tz)).timestamp())
        for on in (start + timedelta(days=n) for n in range(days))
    ]
    filled = Filled(site, Calendar(noons, int(now.timestamp())))
    weaver = Weaver(occupancy, range(len(site.devices)), random)
    if site.devices:
        _weave_courses(filled, weaver, int(wanted * (1 - VISITS)), size.days, random)
    _assign(filled, random)
    _weave_visits(filled, place, weaver, wanted - filled.appointments, random)
    return filled


def _occupancy(site: Site, start: date, days: int) -> Occupancy:
    taken, _ = read_bookings(site, days)
    return Occupancy(
        start,
        days,
        locations=[site.facts],
        devices=[*(facts for _, facts in site.devices), site.pool],
        staff=site.staff,
        bookings=sorted(taken, key=lambda booking: (booking.device, booking.day, booking.start)),
        observer_capacity=1,
    )


def _weave_courses(filled: Filled, weaver: Weaver, wanted: int, today: int, random: Random) -> None:
    """Day by day, as many as the part of the time that has gone by asks for; fewer and fewer begin ahead."""
    given = sorted({key for _, facts in filled.site.devices for key in facts.capabilities} & MIX.keys())
    weights = [MIX[key] for key in given]
    open_days = [int(day) for day in np.flatnonzero(weaver.is_open) if day <= today + AHEAD_DAYS]
    pull = np.array([1.0 if day <= today else max(0.0, 1 - (day - today) / AHEAD_DAYS) ** 2 for day in open_days])
    targets = wanted * np.cumsum(pull) / pull.sum()
    there = 0
    for day, target in zip(open_days, targets, strict=True):
        failed = 0
        while there < target and failed < MOST_FAILED:
            pattern = pattern_of(random.choices(given, weights)[0])
            sessions = weaver.weave(pattern, day)
            if sessions is None:
                failed += 1
                continue
            filled.courses.append(live(pattern, sessions, weaver, filled.calendar, random))
            there += len(filled.courses[-1].rows)


def _assign(filled: Filled, random: Random) -> None:
    """Give each course to a person: a new one, or one whose last course ended two months before."""
    order = sorted(range(len(filled.courses)), key=lambda n: filled.courses[n].created)
    free: list[tuple[int, int]] = []  # end of the last course, person
    filled.owners = [0] * len(order)
    for n in order:
        course = filled.courses[n]
        pathway = course.pattern.protocol.modality
        ready = free[0] if free and free[0][0] + 60 * DAY < course.created and random.random() < COMES_AGAIN else None
        if ready is not None:
            free.pop(0)
            person = ready[1]
        else:
            person = len(filled.people)
            created = instant(course.created - random.randint(10, 40) * DAY)
            language = "es" if random.random() < 0.12 else "en"
            filled.people.append(Someone(created, language, {}))
        filled.owners[n] = person
        filled.people[person].pathways.setdefault(pathway, instant(course.created - random.randint(1, 5) * DAY))
        free.append((course.rows[-1].ends, person))
        free.sort()
    for n in range(2 * WAIT_HERE):
        at = instant(filled.calendar.now - (n + 1) * DAY // 2)
        waits = n < WAIT_HERE
        filled.people.append(Someone(at, "en", {} if waits else {"tms": at + timedelta(hours=3)}, waits=waits))


def _weave_visits(filled: Filled, place: Place, weaver: Weaver, wanted: int, random: Random) -> None:
    """Half-hour visits with those who give no treatment, on days on which the person has no session."""
    busy = {
        (owner, row.session.day)
        for owner, course in zip(filled.owners, filled.courses, strict=True)
        for row in course.rows
    }
    people = len(filled.people) - 2 * WAIT_HERE or len(filled.people)
    ahead = int(np.searchsorted(filled.calendar.noons, filled.calendar.now)) + AHEAD_DAYS // 2
    places = [
        (int(day), minute, n)
        for day in np.flatnonzero(weaver.is_open[:ahead])
        for n, one in enumerate(place.visitors)
        for minute in range(one.from_minute, one.until_minute - 30, 30)
        if not one.break_from - 30 < minute < one.break_until and weaver.may_meet(int(day), minute, 30)
    ]
    for day, minute, n in random.sample(places, min(len(places), max(0, wanted))):
        for _ in range(20):
            person = random.randrange(people)
            if (person, day) not in busy:
                busy.add((person, day))
                filled.visits.append((day, minute, n, person))
                break
