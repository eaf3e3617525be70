"""What became of courses until now: delivered, missed, made up, confirmed; ended early, paused, cancelled. Pure.

Instants are seconds since 1970, 0 for never. Rows stand as `docs/states.md` allows them, so that every later operation
finds what it expects.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

from clinic.demo.weaving import Pattern, Session, Weaver

DAY = 86_400
MISSED, CALLED_OFF = 0.025, 0.015  # of past sessions
ENDED_EARLY, NEVER_BEGUN, PAUSED = 0.05, 0.02, 0.02  # of courses
TOLD_BEFORE = 3 * DAY  # so long ago everything lies that people would be told of


@dataclass(frozen=True, slots=True)
class Row:
    """One appointment as it is stored."""

    session: Session
    number: int
    state: str
    starts: int
    ends: int
    started: int = 0
    ended: int = 0
    confirmed: int = 0
    revision: int = 0


@dataclass
class Lived:
    """One course with all its appointments. `delivered`: when each session that was given ended, in order."""

    pattern: Pattern
    state: str
    created: int
    ended: int = 0
    rows: list[Row] = field(default_factory=list)
    delivered: list[int] = field(default_factory=list)

    @property
    def first(self) -> Session:
        """The first appointment."""
        return self.rows[0].session


@dataclass(frozen=True)
class Calendar:
    """Noon of each day at the site, as an instant: hours are counted from it, for clocks change at night."""

    noons: Sequence[int]
    now: int

    def at(self, day: int, minute: int) -> int:
        """The instant of a wall time."""
        return self.noons[day] + (minute - 720) * 60


def live(pattern: Pattern, sessions: list[Session], weaver: Weaver, calendar: Calendar, random: Random) -> Lived:
    """Play a course until now. What was missed is made up behind its end, where there is a place."""
    first = calendar.at(sessions[0].day, sessions[0].start)
    created = min(first - random.randint(3, 21) * DAY, calendar.now - TOLD_BEFORE - random.randint(0, 9 * DAY))
    course = Lived(pattern, "booked", created)
    stop, state = _stop(sessions, first, created, calendar, random)
    single = pattern.protocol.key != "saint_snt"  # sessions of an accelerated day are not made up one by one
    held, waiting, made_up = 0, list(sessions), 0
    for n, session in enumerate(waiting):
        starts = calendar.at(session.day, session.start)
        ends = starts + session.takes.minutes * 60
        late = n >= len(sessions)
        row = _row(session, held + 1, starts, ends, stop, calendar.now, random, may_miss=single and n > 0 and not late)
        if late:
            row = Row(session, row.number, row.state, starts, ends, row.started, row.ended, row.confirmed, revision=1)
        course.rows.append(row)
        if row.state not in ("no_show", "cancelled"):
            held += 1
        elif row.starts < (stop or calendar.now):
            made_up += 1
        if row.state == "completed":
            course.delivered.append(ends)
        if n >= len(sessions) - 1 and made_up > len(waiting) - len(sessions) and not stop:
            more = weaver.one_more(pattern, waiting[-1])
            if more is not None:
                waiting.append(more)
    course.state, course.ended = _ended(course, held, stop, state, calendar.now)
    return course


def _stop(sessions: list[Session], first: int, created: int, calendar: Calendar, random: Random) -> tuple[int, str]:
    """When a course ended early or was paused, and as what; 0 where it goes on."""
    dice, last = random.random(), calendar.now - TOLD_BEFORE
    if dice < NEVER_BEGUN:
        at = created + (first - created) // 2
        return (at, "cancelled") if at < last else (0, "")
    after = sessions[random.randrange(len(sessions) // 4, len(sessions) - 1)] if len(sessions) > 4 else sessions[0]
    at = calendar.at(after.day, after.start) + 6 * 3600
    if dice < NEVER_BEGUN + ENDED_EARLY:
        return (at, "discontinued") if at < last else (0, "")
    is_paused = dice < NEVER_BEGUN + ENDED_EARLY + PAUSED and calendar.now - 40 * DAY < at < last
    return (at, "paused") if is_paused else (0, "")


def _row(
    session: Session, number: int, starts: int, ends: int, stop: int, now: int, random: Random, *, may_miss: bool
) -> Row:
    if stop and starts > stop:
        return Row(session, number, "cancelled", starts, ends, ended=stop)
    if ends <= now:
        dice = random.random() if may_miss else 1.0
        if dice < MISSED:
            return Row(session, number, "no_show", starts, ends, ended=starts + 1200)
        if dice < MISSED + CALLED_OFF:
            return Row(session, number, "cancelled", starts, ends, ended=starts - DAY)
        return Row(session, number, "completed", starts, ends, started=starts, ended=ends)
    if starts <= now:
        return Row(session, number, "arrived", starts, ends, started=starts)
    if starts < now + 3 * DAY and random.random() < 0.4:
        return Row(session, number, "confirmed", starts, ends, confirmed=now - random.randint(3600, DAY))
    return Row(session, number, "booked", starts, ends)


def _ended(course: Lived, held: int, stop: int, state: str, now: int) -> tuple[str, int]:
    """State of the course and when it ended. One that is owed sessions and has none ahead was not gone on with."""
    if stop:
        if state == "discontinued" and not course.delivered:
            return "cancelled", stop
        return state, 0 if state == "paused" else stop
    if len(course.delivered) >= course.pattern.sessions:
        return "completed", course.delivered[-1]
    if held < course.pattern.sessions and all(row.ends < now - TOLD_BEFORE for row in course.rows):
        return ("discontinued" if course.delivered else "cancelled"), course.rows[-1].ends + 3600
    return ("running" if course.delivered else "booked"), 0
