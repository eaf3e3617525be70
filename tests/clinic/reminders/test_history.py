"""For any history of book, move, cancel, miss, pause, missing papers, opt-out and language, what goes out is what a model says.

The model below knows the rules from the handbook and nothing of the code: one person, visits, the clock. It is asked at
every look of the sweep; the real ledger runs beside it on the real database.
"""

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select

from clinic import audit, clock
from clinic.db import db
from clinic.intake.attachments import add as add_paper
from clinic.patients import operations as patients
from clinic.patients import queries
from clinic.reminders import ledger, sending
from clinic.reminders.models import Message
from clinic.scheduling.models import TreatmentSession
from clinic.tasks.models import Task
from tests.builders import TESTER, course_sessions, make_course, make_patient, make_profile, make_task
from tests.clinic.intake import files

SITE = "America/Los_Angeles"
STARTS = (date(2026, 10, 28), date(2026, 3, 5), date(2026, 6, 10))  # two of them over a change of the clocks
ZONES = ("America/Los_Angeles", "America/New_York", "Pacific/Honolulu")
DAYS = 6
ENOUGH = 3  # messages a day and channel; what may wait then waits for the next morning
MAY_WAIT = ("missed_visit", "documents_missing")
Said = tuple[str, str, frozenset[int]]  # purpose, channel, visits


def wall(day: date, at: time, tz: str) -> datetime:
    return datetime.combine(day, at, ZoneInfo(tz)).astimezone(UTC)


# -- the model ------------------------------------------------------------------------------------------------------------


@dataclass
class Visit:
    starts: datetime
    state: str = "booked"
    moves: int = 0
    ended: datetime | None = None
    told: dict[str, datetime] = field(default_factory=dict)  # where the person believes it is, by channel
    heard: dict[str, int] = field(default_factory=dict)  # the last move that they were told of

    def ahead(self, now: datetime) -> bool:
        return self.state == "booked" and self.starts > now


@dataclass
class Hole:
    """A place in the packet of an assessment that a list or a letter would fill."""

    assessment: int
    found: datetime
    task: Any
    is_closed: bool = False


@dataclass
class Found:
    """A message, of use until its deadline, and what it is said once about."""

    deadline: datetime
    said: Said
    key: tuple[Any, ...] = ()


@dataclass
class Model:
    tz: str
    style: str
    booked: datetime
    consent: dict[str, bool]
    visits: list[Visit]
    done: set[tuple[Any, ...]] = field(default_factory=set)
    sent: dict[tuple[str, date], int] = field(default_factory=dict)
    holes: list[Hole] = field(default_factory=list)
    papers: list[datetime] = field(default_factory=list)  # lists and letters that came
    put_off: list[tuple[datetime, Found]] = field(default_factory=list)

    def look(self, now: datetime) -> set[Said]:
        """What goes out at this look: the nearest deadline first, and what may wait only where little was said that day."""
        here = now.astimezone(ZoneInfo(self.tz))
        if here.time() >= time(21) or here.time() < time(8):
            return set()
        found = list(self._put_off_until(now))
        for channel in [name for name, yes in self.consent.items() if yes]:
            found += [*self._visits(now, channel), *self._news(now, channel), *self._once(now, channel)]
            found += self._papers(now, channel)
        said: set[Said] = set()
        for one in sorted(found, key=lambda one: one.deadline):
            purpose, channel, _ = one.said
            told = self.sent.get((channel, here.date()), 0)
            if purpose in MAY_WAIT and told >= ENOUGH:
                self.put_off.append((wall(here.date() + timedelta(days=1), time(8), self.tz), one))
                continue
            self.sent[channel, here.date()] = told + 1
            said.add(one.said)
        return said

    def _put_off_until(self, now: datetime) -> Iterator[Found]:
        """What is not wanted now is forgotten: it may be wanted anew."""
        due = [one for at, one in self.put_off if at <= now < one.deadline]
        self.put_off = [(at, one) for at, one in self.put_off if at > now]
        for one in due:
            purpose, channel, _ = one.said
            is_wanted = purpose != "documents_missing" or self._waits_since(one.key[1])
            if is_wanted and self.consent[channel]:
                yield one
            else:
                self.done.discard(one.key)

    def _waits_since(self, assessment: int) -> list[datetime]:
        """Since when each paper of the assessment is missing that is missing still."""
        holes = [hole for hole in self.holes if hole.assessment == assessment and not hole.is_closed]
        return sorted(hole.found for hole in holes if not any(came >= hole.found for came in self.papers))

    def _papers(self, now: datetime, channel: str) -> Iterator[Found]:
        for assessment in {hole.assessment for hole in self.holes}:
            for since in self._waits_since(assessment)[:1]:
                opens = self._after_night(since + timedelta(days=2))
                ends = opens + timedelta(hours=36)
                if opens <= now < ends:
                    yield from self._say("documents_missing", channel, frozenset(), (assessment,), ends)

    def _after_night(self, at: datetime) -> datetime:
        here = at.astimezone(ZoneInfo(self.tz))
        if time(8) <= here.time() < time(21):
            return at
        return wall(here.date() + timedelta(days=here.time() >= time(21)), time(8), self.tz)

    def _first(self, number: int) -> bool:
        came = ("booked", "arrived", "completed")
        return all(v.state not in came or v.starts >= self.visits[number].starts for v in self.visits)

    def _visits(self, now: datetime, channel: str) -> Iterator[Found]:
        for number, visit in enumerate(self.visits):
            if not visit.ahead(now):
                continue
            eve = visit.starts.astimezone(ZoneInfo(self.tz)).date() - timedelta(days=1)
            four, two = wall(eve, time(16), self.tz), visit.starts - timedelta(hours=2)
            night = two.astimezone(ZoneInfo(self.tz)).time()
            windows = {
                "day_before": (four, visit.starts - timedelta(hours=1), self.style == "each" or self._first(number)),
                "two_hours_before": (
                    two,
                    visit.starts - timedelta(minutes=30),
                    self.style == "each" and time(8) <= night < time(21),
                ),
                "first_visit": (
                    wall(eve - timedelta(days=2), time(16), self.tz),
                    wall(eve - timedelta(days=1), time(16), self.tz),
                    self._first(number),
                ),
            }
            for purpose, (opens, ends, wanted) in windows.items():
                if wanted and max(opens, self.booked if not visit.moves else opens) <= now < ends:
                    yield from self._say(purpose, channel, frozenset({number}), (number, visit.starts), ends)

    def _news(self, now: datetime, channel: str) -> Iterator[Found]:
        moved, gone = set(), set()
        for number, visit in enumerate(self.visits):
            if now >= visit.starts - timedelta(minutes=15):
                continue
            if visit.state == "booked" and visit.moves > visit.heard.get(channel, 0):
                visit.heard[channel] = visit.moves
                if visit.told.get(channel, self._original(number)) != visit.starts:
                    moved.add(number)
                    visit.told[channel] = visit.starts
            lately = visit.ended is not None and visit.ended > now - timedelta(days=2)
            key = ("cancelled", number, visit.moves, channel)
            if visit.state == "cancelled" and lately and key not in self.done:
                self.done.add(key)
                gone.add(number)
        for purpose, visits in (("session_moved", moved), ("session_cancelled", gone)):
            if visits:
                soon = min(self.visits[number].starts for number in visits) - timedelta(minutes=15)
                yield Found(soon, (purpose, channel, frozenset(visits)))

    def _original(self, number: int) -> datetime:
        return self.originals[number]

    def __post_init__(self) -> None:
        self.originals = [visit.starts for visit in self.visits]

    def _once(self, now: datetime, channel: str) -> Iterator[Found]:
        ahead = [v.starts for v in self.visits if v.ahead(now)]
        ends = min([self.booked + timedelta(days=2), *(at - timedelta(minutes=15) for at in ahead)])
        if ahead and self.booked <= now < ends:
            yield from self._say("course_booked", channel, frozenset(), (), ends)
        for number, visit in enumerate(self.visits):
            if visit.state == "no_show" and visit.ended:
                opens = visit.ended + timedelta(hours=1)
                ends = self._after_night(opens) + timedelta(hours=24)
                if opens <= now < ends:
                    yield from self._say("missed_visit", channel, frozenset({number}), (number, visit.starts), ends)
        for monday in {self._monday(v.starts) for v in self.visits if v.ahead(now)} if self.style == "digest" else ():
            week = [v.starts for v in self.visits if v.ahead(now) and self._monday(v.starts) == monday]
            opens = wall(monday - timedelta(days=1), time(17), self.tz)
            ends = min(week) - timedelta(hours=1)
            if self.booked <= opens <= now < ends:
                yield from self._say("weekly_digest", channel, frozenset(), (monday,), ends)

    def _monday(self, at: datetime) -> date:
        day = at.astimezone(ZoneInfo(SITE)).date()
        return day - timedelta(days=day.weekday())

    def _say(
        self, purpose: str, channel: str, visits: frozenset[int], key: tuple[Any, ...], ends: datetime
    ) -> Iterator[Found]:
        if (purpose, *key, channel) not in self.done:
            self.done.add((purpose, *key, channel))
            yield Found(ends, (purpose, channel, visits), (purpose, *key, channel))


# -- the real one beside it ---------------------------------------------------------------------------------------------


class Run:
    """One history: the model, the rows, and what happens to both."""

    def __init__(self, seed: int) -> None:
        self.rng = rng = random.Random(seed)
        self.tz, self.day = rng.choice(ZONES), rng.choice(STARTS)
        style, language = rng.choice(["each", "digest"]), rng.choice(["en", "es"])
        consents = {"email": rng.random() < 0.8, "sms": rng.random() < 0.6}
        booked = wall(self.day, time(9, 30), SITE)
        starts = [
            wall(self.day + timedelta(days=n), time(rng.choice([8, 9, 13, 17]), rng.choice([0, 30])), SITE)
            for n in sorted(rng.sample(range(1, DAYS), 3))
        ]
        with clock.frozen(booked):
            make_profile()
            self.patient = make_patient(consents=consents, tz=self.tz, language=language)
            self.patient.message_style = style
            self.course = make_course(self.patient, starts, created_at=booked)
        self.rows = list(course_sessions(self.course))
        self.model = Model(self.tz, style, booked, consents, [Visit(at) for at in starts])
        self.seen: set[int] = set()

    def looks(self) -> Iterator[datetime]:
        """Every instant at which something may become due or too late, and some between; the sweep is at each of them."""
        instants = {self.model.booked}
        for n in range(-1, DAYS + 2):
            for at in ((8, 1), (11, 5), (13, 5), (16, 0), (17, 0), (20, 50), (23, 0)):
                instants.add(wall(self.day + timedelta(days=n), time(*at), self.tz))
        for visit in self.model.visits:
            instants |= {visit.starts - timedelta(minutes=m) for m in (120, 61, 31, 16)}
        yield from sorted(at for at in instants if at >= self.model.booked)

    def happen(self, now: datetime) -> None:
        """Something of the kinds of things that happen, to the rows and to the model alike."""
        rng, here = self.rng, now.astimezone(ZoneInfo(self.tz))
        if here.weekday() == 6 and here.hour >= 13:
            return  # a week's message is written some hours before it goes out
        choice, number = rng.random(), rng.randrange(len(self.rows))
        row, visit = self.rows[number], self.model.visits[number]
        if choice < 0.12 and visit.ahead(now):
            self._move(row, visit, now)
        elif choice < 0.16 and visit.ahead(now):
            self._end(row, visit, "cancelled", now)
        elif choice < 0.20 and visit.state == "booked" and visit.starts <= now:
            self._end(row, visit, rng.choice(["no_show", "completed"]), now)
        elif choice < 0.23:  # a pause: whatever lies ahead is cancelled
            for other, twin in zip(self.rows, self.model.visits, strict=True):
                if twin.ahead(now):
                    self._end(other, twin, "cancelled", now)
        elif choice < 0.29:
            channel = rng.choice(["email", "sms"])
            self.model.consent[channel] = not self.model.consent[channel]
            patients.set_consent(self.patient.id, channel, self.model.consent[channel], by=TESTER, source="desk")
        elif choice < 0.33:
            language = rng.choice(["en", "es"])
            patients.choose_language(self.patient.id, language, by=TESTER)
        elif choice < 0.42:
            self._papers(now)

    def _papers(self, now: datetime) -> None:
        """One more is found missing, one comes, or the desk closes the task about one."""
        rng, holes = self.rng, [hole for hole in self.model.holes if not hole.is_closed]
        choice = rng.random()
        if choice < 0.6 or not holes:
            assessment = rng.choice([1, 2])
            subject = {"hole": f"trials[{len(holes)}]", "policy": "any", "assessment_id": assessment}
            task = make_task(patient_id=self.patient.id, kind="packet_hole", subject=subject, created_at=now)
            self.model.holes.append(Hole(assessment, now, task))
        elif choice < 0.8:
            kind = rng.choice(["pharmacy_list", "letter", "gene_test"])
            content = files.png() + str(now).encode()  # the same file twice is one file
            add_paper(patient_id=self.patient.id, kind=kind, name="list.png", content=content, by=TESTER)
            self.model.papers += [now] if kind != "gene_test" else []
        else:
            hole = rng.choice(holes)
            hole.is_closed = True
            hole.task.closed_at, hole.task.outcome = now, "done"
            db.session.flush()

    def _move(self, row: TreatmentSession, visit: Visit, now: datetime) -> None:
        to = visit.starts + timedelta(minutes=self.rng.choice([-60, -30, 30, 60, 24 * 60]))
        to = self.model.originals[self.rows.index(row)] if self.rng.random() < 0.3 else to
        taken = {other.starts for other in self.model.visits if other is not visit}
        if to <= now + timedelta(hours=1) or to in taken or to == visit.starts:
            return
        visit.moves += 1
        before, visit.starts = visit.starts, to
        row.starts_at, row.revision = to, visit.moves
        row.ends_at = to + timedelta(minutes=20)
        row.device_until = row.spaced_until = to + timedelta(minutes=25)
        row.local_on = to.astimezone(ZoneInfo(SITE)).date()
        audit.record(
            row, "moved", by=TESTER, from_at=before.isoformat(), from_device=row.device_id, revision=visit.moves
        )
        db.session.flush()

    def _end(self, row: TreatmentSession, visit: Visit, state: str, now: datetime) -> None:
        visit.state, visit.ended = state, now
        row.state, row.ended_at = state, now
        db.session.flush()

    def look(self) -> set[Said]:
        """Sweep, send, and read what went out since the last look."""
        for message_id in ledger.collect_due():
            sending.send_message(message_id)
        number_of = {row.id: number for number, row in enumerate(self.rows)}
        said: dict[tuple[str, str], set[int]] = {}
        statement = select(Message).where(Message.state.in_(("sent", "void"))).order_by(Message.id)
        for row in db.session.scalars(statement.execution_options(populate_existing=True)):
            if row.id in self.seen or (row.state == "void" and row.failure != "told in another message"):
                continue
            self.seen.add(row.id)
            visits = {number_of[row.session_id]} if row.session_id is not None else set()
            if row.state == "sent" and row.body is not None:
                is_spanish = re.search(r"\b(su|sus|suyo|le)\b", row.body.lower()) is not None
                assert is_spanish == (self.patient.language == "es")
            said.setdefault((row.purpose, row.channel), set()).update(visits)
        return {(purpose, channel, frozenset(visits)) for (purpose, channel), visits in said.items()}


@pytest.mark.parametrize(
    "seed",
    [10, 19, *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(100, 200))],
    ids=lambda n: f"seed{n}",
)
def test_what_goes_out_is_what_the_model_says(database: Any, channel: Any, seed: int) -> None:
    run = Run(seed)
    for now in run.looks():
        with clock.frozen(now):
            said, expected = run.look(), run.model.look(now)
            merged: dict[tuple[str, str], set[int]] = {}
            for purpose, way, visits in expected:
                merged.setdefault((purpose, way), set()).update(visits)
            assert said == {(p, w, frozenset(v)) for (p, w), v in merged.items()}, f"seed {seed} at {now.isoformat()}"
            run.happen(now)
    assert queries.get(run.patient.id) is run.patient


@pytest.mark.parametrize(
    "seed", [1, *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(2, 40))], ids=lambda n: f"seed{n}"
)
def test_a_clock_that_jumps_sends_nothing_twice_and_loses_nothing(database: Any, channel: Any, seed: int) -> None:
    """Back and forth by hours and days, over both changes of the clocks; then it runs on as it should."""
    rng = random.Random(seed)
    day = rng.choice([date(2026, 10, 30), date(2026, 3, 6)])
    with clock.frozen(wall(day, time(8, 30), SITE)):
        make_profile()
        people = [make_patient(consents={"email": True}) for _ in range(4)]
        for patient in people:
            patient.message_style = "each"
        courses = [
            make_course(one, [wall(day + timedelta(days=n), time(9 + n), SITE) for n in (1, 2, 3, 4)]) for one in people
        ]
    now = wall(day, time(9), SITE)
    for _ in range(14):
        with clock.frozen(now):
            for message_id in ledger.collect_due():
                sending.send_message(message_id)
        now += timedelta(hours=rng.choice([1, 2, 5, 9, -1, -3, 26, -20]))
    steps = wall(day, time(9), SITE)
    while steps < wall(day + timedelta(days=4), time(13), SITE):
        with clock.frozen(steps):
            for message_id in ledger.collect_due():
                sending.send_message(message_id)
        steps += timedelta(hours=3)
    accepted = [sent.reference for sent in channel.sent]
    assert len(accepted) == len(set(accepted))
    wanted = {visit.id for course in courses for visit in course_sessions(course)}
    told = set(db.session.scalars(select(Message.session_id).filter_by(purpose="day_before", state="sent")))
    called = set(
        db.session.scalars(
            select(Message.session_id)
            .join(Task, Task.subject["message_id"].as_integer() == Message.id)
            .where(Message.purpose == "day_before", Message.state == "failed", Task.closed_at.is_(None))
        )
    )
    assert told | called == wanted
