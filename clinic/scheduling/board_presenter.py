"""The board in words: one sentence for the day, a word for each block and lane, and how full weeks are."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from clinic.locations import queries as locations
from clinic.locations.models import Location
from clinic.scheduling import board
from clinic.scheduling.board import Block, BoardDay, Is, Lane
from clinic.scheduling.models import Mode, VisitKind
from clinic.scheduling.planning import Place
from clinic.scheduling.presenter import KIND_WORDS, clock24
from clinic.scheduling.queries import DayRow

WORDS: dict[Is, tuple[str, str, str]] = {  # kind of the state word, word, icon
    Is.PLANNED: ("", "Planned", "ring"),
    Is.CONFIRMED: ("", "Confirmed", "text"),
    Is.ARRIVED: ("now", "Arrived", "user"),
    Is.RUNNING: ("good", "In session", "play"),
    Is.DONE: ("good", "Done", "check"),
    Is.LATE: ("due", "Late", "clock"),
    Is.NO_SHOW: ("stop", "No-show", "x"),
    Is.MOVE: ("due", "Must move", "move"),
}
NEXT_STEP: dict[Is, tuple[str, str, str]] = {  # change, word on the button, key
    Is.PLANNED: ("arrive", "Arrived", "a"),
    Is.CONFIRMED: ("arrive", "Arrived", "a"),
    Is.LATE: ("arrive", "Arrived", "a"),
    Is.MOVE: ("arrive", "Arrived", "a"),
    Is.ARRIVED: ("start", "Start", "s"),
    Is.RUNNING: ("complete", "Done", "f"),
}
LANE_WORDS = {"tms": "TMS", "chair": "Chair", "person": "Visits"}
ACTION_WORDS = {
    "moved": "moved",
    "arrived": "marked as arrived",
    "started": "started",
    "completed": "marked as done",
    "no_show": "marked as missed",
    "confirmed": "confirmed",
    "cancelled": "cancelled",
    "taken_back": "taken back",
}
NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
STEP = 5  # minutes between two starts


def number(count: int) -> str:
    """In words up to twelve."""
    return NUMBERS[count] if count < len(NUMBERS) else str(count)


def title(shown: BoardDay, on: date, today: date) -> str:
    """The day's answer in a sentence."""
    moving = len(shown.must_move)
    people = f"{number(moving)} {'person needs' if moving == 1 else 'people need'} another place"
    if shown.closed is not None:
        return f"Closed: {shown.closed}." if not moving else f"Closed ({shown.closed}): {people}"
    down = [lane for lane in shown.lanes if any(block.state is Is.MOVE for block in lane.blocks) and lane.stops]
    if moving and len(down) == 1:
        return f"{down[0].name} is {'away' if down[0].kind == 'person' else 'down'}: {people}"
    if moving:
        return f"{people[0].upper()}{people[1:]}"
    if not shown.blocks:
        return "Nothing is planned on this day." if shown.hours else "Closed on this weekday."
    late = [block for block in shown.blocks if block.state is Is.LATE]
    if on == today and late:
        who = f"{late[0].row.initials} is late" if len(late) == 1 else f"{number(len(late))} people are late"
        return f"{who[0].upper()}{who[1:]}"
    left = sum(block.state in (Is.PLANNED, Is.CONFIRMED, Is.ARRIVED, Is.RUNNING) for block in shown.blocks)
    if on == today:
        if not left:
            return "The day is done."
        return f"All on time: {left} still to give today" if left > 1 else "All on time: one still to give today"
    return f"{len(shown.blocks)} session{'s' if len(shown.blocks) > 1 else ''} " + (
        "planned" if on > today else "were planned"
    )


def counts(shown: BoardDay) -> str:
    """`18 done, 2 in session, 28 to come`."""
    found = Counter(block.state for block in shown.blocks)
    to_come = sum(found[state] for state in (Is.PLANNED, Is.CONFIRMED, Is.LATE, Is.MOVE))
    parts = [
        (found[Is.DONE], "done"),
        (found[Is.RUNNING], "in session"),
        (found[Is.ARRIVED], "arrived"),
        (to_come, "to come"),
        (found[Is.NO_SHOW], "no-show" if found[Is.NO_SHOW] == 1 else "no-shows"),
    ]
    total = f"{len(shown.blocks)} session{'s' if len(shown.blocks) != 1 else ''}"
    return ": ".join([total, ", ".join(f"{count} {word}" for count, word in parts if count)]).rstrip(": ")


# -- lanes and people -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LaneView:
    """One device or person in words: what it does now and until when."""

    key: str
    name: str
    note: str
    kind: str  # of the state word
    word: str
    icon: str
    until: str
    stops: str  # "612-1080 660-700": spans for the board
    blocks: tuple[Block, ...]


def lanes(shown: BoardDay) -> list[LaneView]:
    """Every lane, as the board shows it."""
    return [_lane(lane, shown) for lane in shown.lanes]


def _lane(lane: Lane, shown: BoardDay) -> LaneView:
    kind, word, icon, until = _now_words(lane, shown)
    note = LANE_WORDS[lane.kind]
    return LaneView(
        lane.key,
        lane.name,
        f"{note}, retired" if lane.is_retired else note,
        kind,
        word,
        icon,
        until,
        " ".join(f"{stop.minute}-{stop.until}" for stop in lane.stops),
        lane.blocks,
    )


def _now_words(lane: Lane, shown: BoardDay) -> tuple[str, str, str, str]:
    now = shown.now
    if now is None:
        if not lane.stops:
            return "", f"{len(lane.blocks)} planned", "ring", ""
        first = lane.stops[0]
        all_day = first.minute == 0 and first.until >= board.DAY_MINUTES
        gone = "Away" if lane.kind == "person" else "Down"
        return "due", f"{gone} all day" if all_day else f"{gone} from {clock24(first.minute)}", "off", _end(first.until)
    stop = next((each for each in lane.stops if each.minute <= now < each.until), None)
    if stop is not None:
        gone = "Away" if lane.kind == "person" else "Down"
        since = gone if stop.minute == 0 else f"{gone} since {clock24(stop.minute)}"
        return "due", since, "off", _end(stop.until)
    running = next((block for block in lane.blocks if block.state is Is.RUNNING), None)
    if running is not None:
        mapping = "mapping" if running.row.kind == "mapping" else "in session"
        return "good", f"{running.row.initials} {mapping}", "play", _end(running.minute + running.minutes)
    here = next((block for block in lane.blocks if block.state is Is.ARRIVED), None)
    if here is not None:
        return "now", f"{here.row.initials} is here", "user", _end(here.minute + here.minutes)
    ahead = [
        block
        for block in lane.blocks
        if block.state in (Is.PLANNED, Is.CONFIRMED, Is.LATE) and block.minute + block.minutes > now
    ]
    stops = [each.minute for each in lane.stops if each.minute > now]
    following = min([*(block.minute for block in ahead), *stops], default=None)
    if following is not None and following <= now:
        return "", f"waits for {ahead[0].row.initials}", "clock", _end(ahead[0].minute + ahead[0].minutes)
    return "good", "Free", "check", clock24(following) if following is not None else "closing"


def _end(minute: int) -> str:
    return "end of day" if minute >= board.DAY_MINUTES else clock24(minute)


@dataclass(frozen=True)
class PersonView:
    """One person on shift in words."""

    name: str
    hours: str
    rest: str
    does: str
    here: str  # "here", "on a break", "comes 13:00", "gone"; empty on other days


SKILLS = {"tms": "TMS", "map": "mapping", "obs": "observation"}


def people(shown: BoardDay) -> list[PersonView]:
    """Who works, from when to when, and what each can do."""
    return [
        PersonView(
            one.name,
            f"{clock24(one.minute)}–{clock24(one.until)}",
            f"{clock24(one.rest[0])}–{clock24(one.rest[1])}" if one.rest else "",
            ", ".join(SKILLS.get(skill, skill) for skill in one.skills) or "no device",
            _presence(one, shown.now),
        )
        for one in shown.people
    ]


def _presence(one: board.OnShift, now: int | None) -> str:
    if now is None:
        return ""
    if now < one.minute:
        return f"comes {clock24(one.minute)}"
    if now >= one.until:
        return "gone"
    if one.rest and one.rest[0] <= now < one.rest[1]:
        return f"on a break until {clock24(one.rest[1])}"
    return "here"


def what(row: DayRow) -> str:
    """`12/36`, or the kind of a visit."""
    return f"{row.number}/{row.planned}" if row.course_id is not None else KIND_WORDS[VisitKind(row.kind)]


def where(row: DayRow) -> str:
    """Device, or who sees the person."""
    return row.device or f"{row.staff}{', video' if row.mode == Mode.VIDEO else f', {row.room}' if row.room else ''}"


# -- one session --------------------------------------------------------------------------------------------------------


def facts(block: Block, site: Location) -> list[tuple[str, str]]:
    """What the desk asks about one session, as pairs of label and words."""
    row = block.row
    hours = f"{clock24(block.minute)} to {clock24(block.minute + block.minutes)}"
    if row.course_id is not None:
        kind = "" if row.kind == "daily" else f", {row.kind}"
        found = [("Session", f"{row.number} of {row.planned}{kind}"), ("Booked", f"{hours}, {row.device}")]
    else:
        where = "by video" if row.mode == Mode.VIDEO else row.room or "no room"
        found = [("Visit", what(row)), ("Booked", hours), ("With", row.staff or ""), ("Where", where)]
    if row.with_threshold:
        found.append(("Threshold", f"found anew, {block.minutes} minutes"))
    if block.said:
        found.append(("Said", f"“{block.said}”"))
    elif block.state is Is.CONFIRMED:
        found.append(("Said", "will be there"))
    if row.started_at is not None:
        at = row.started_at.astimezone(ZoneInfo(site.tz))
        found.append(("Started", f"{at:%H:%M}"))
    if row.revision:
        found.append(("Changed", "once" if row.revision == 1 else f"{row.revision} times"))
    return found


def spans(places: Iterable[Place], tz: str) -> dict[int, list[list[int]]]:
    """Starts as spans [first, last] of wall minutes by device."""
    zone = ZoneInfo(tz)
    found: dict[int, list[list[int]]] = {}
    for place in sorted(places, key=lambda each: (each.device_id, each.starts_at)):
        at = place.starts_at.astimezone(zone)
        minute = at.hour * 60 + at.minute
        here = found.setdefault(place.device_id, [])
        if here and minute - here[-1][1] == STEP:
            here[-1][1] = minute
        else:
            here.append([minute, minute])
    return found


# -- weeks and months -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cell:
    """How full something is on one date. `percent` is None where it cannot work then."""

    on: date
    sessions: int
    percent: int | None
    note: str = ""

    @property
    def level(self) -> str:
        """Word for the shade: empty, some, much, full, shut."""
        if self.percent is None:
            return "shut"
        return next(
            word for least, word in ((90, "full"), (60, "much"), (1, "some"), (0, "empty")) if self.percent >= least
        )


@dataclass(frozen=True)
class WeekRow:
    """One device and its days."""

    name: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class WeekView:
    """Devices by days, and the sum of both."""

    days: tuple[date, ...]
    rows: tuple[WeekRow, ...]
    totals: tuple[Cell, ...]
    title: str


def week(site: Location, monday: date) -> WeekView:
    """Monday to Sunday; Saturday and Sunday only where the site is open or something is booked."""
    days = [monday + timedelta(days=n) for n in range(7)]
    open_minutes, shut = _open_minutes(site, days)
    loads = board.loads(site.id, days[0], days[-1])
    days = [on for on in days if on.weekday() < 5 or open_minutes[on] or any(day == on for day, _ in loads)]
    devices = [d for d in site.devices if d.retired_at is None or any(key == d.id for _, key in loads)]
    rows = tuple(
        WeekRow(device.name, tuple(_cell(on, [loads.get((on, device.id))], open_minutes[on], shut) for on in days))
        for device in devices
    )
    totals = tuple(_cell(on, [loads.get((on, device.id)) for device in devices], open_minutes[on], shut) for on in days)
    sessions = sum(cell.sessions for cell in totals)
    fullest = max(totals, key=lambda cell: cell.percent or 0, default=None)
    if not sessions:
        words = "Nothing is planned in this week."
    else:
        assert fullest is not None
        words = f"{sessions} session{'s' if sessions > 1 else ''}; {fullest.on:%A} is the fullest day, {fullest.percent or 0}% taken"
    return WeekView(tuple(days), rows, totals, words)


def month(site: Location, first: date) -> dict[str, Any]:
    """Weeks of days for one month, with a sentence; days of other months are None."""
    last = (first + timedelta(days=32)).replace(day=1) - timedelta(days=1)
    days = [first + timedelta(days=n) for n in range(last.day)]
    open_minutes, shut = _open_minutes(site, days)
    loads = board.loads(site.id, first, last)
    devices = [device.id for device in site.devices if device.retired_at is None]
    keys = sorted({*devices, *(key for _, key in loads)})
    cells = {on: _cell(on, [loads.get((on, key)) for key in keys], open_minutes[on], shut) for on in days}
    monday = first - timedelta(days=first.weekday())
    weeks = []
    while monday <= last:
        weeks.append([cells.get(monday + timedelta(days=n)) for n in range(7)])
        monday += timedelta(days=7)
    total = sum(cell.sessions for cell in cells.values())
    closed = len(shut)
    words = f"{total} session{'s' if total != 1 else ''} in {first:%B}"
    if closed:
        words += f", closed on {number(closed)} day{'s' if closed > 1 else ''}"
    return {"weeks": weeks, "title": words if total else f"Nothing is planned in {first:%B}."}


def _open_minutes(site: Location, days: Sequence[date]) -> tuple[dict[date, int], dict[date, str]]:
    shut = {row.on_date: row.name for row in locations.closures(site.id, days[0], days[-1])}
    by_weekday: Counter[int] = Counter()
    for row in site.hours:
        by_weekday[row.weekday] += (row.closes.hour - row.opens.hour) * 60 + row.closes.minute - row.opens.minute
    return {on: 0 if on in shut else by_weekday[on.weekday()] for on in days}, shut


def _cell(on: date, found: Sequence[board.Load | None], minutes: int, shut: dict[date, str]) -> Cell:
    sessions = sum(load.sessions for load in found if load)
    busy = sum(load.busy for load in found if load)
    capacity = minutes * max(1, len(found))
    percent = None if not minutes and not busy else min(100, round(100 * busy / capacity)) if capacity else 100
    return Cell(on, sessions, percent, shut.get(on, ""))
