"""What the planner is told and what it answers. Frozen values, no database.

Days are calendar-day indices from `Occupancy.start`; times are minutes of local wall-clock since midnight;
intervals are half-open. Identifiers are strings that the caller chooses.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

Need = Literal["tms", "map", "obs"]
Span = tuple[int, int]
DaySpan = tuple[int, int, int]
Week = tuple[tuple[Span, ...], ...]

ALL_DAY: Week = (((0, 1440),),) * 7


@dataclass(frozen=True, slots=True)
class LocationFacts:
    """Opening hours Monday..Sunday. `special` replaces the hours of single days; `closed` days have none.

    closed_names: what a closed day is called, where it has a name (a holiday).
    """

    id: str
    hours: Week
    closed: frozenset[int] = frozenset()
    special: Mapping[int, tuple[Span, ...]] = field(default_factory=dict)
    tz: str | None = None
    closed_names: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DeviceFacts:
    """A device or chair. `turnover` minutes follow every session; `down` lists (day, from, to)."""

    id: str
    location: str
    kind: str
    capabilities: frozenset[str]
    turnover: int = 5
    down: tuple[DaySpan, ...] = ()


@dataclass(frozen=True, slots=True)
class StaffFacts:
    """One person: on shift, minus breaks, each (day, from, to). `skills` out of tms, map, obs."""

    id: str
    location: str
    skills: frozenset[str]
    shifts: tuple[DaySpan, ...]
    breaks: tuple[DaySpan, ...] = ()


@dataclass(frozen=True, slots=True)
class Extra:
    """Capacity that a clinic might add. `hours`: further opening windows by location, Monday..Sunday."""

    devices: tuple[DeviceFacts, ...] = ()
    staff: tuple[StaffFacts, ...] = ()
    hours: Mapping[str, Week] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StartChange:
    """The first start at a location as it is and as it would be; `weekdays` sooner, None where either has none."""

    location: str
    before: date | None
    after: date | None
    weekdays: int | None


@dataclass(frozen=True, slots=True)
class Booking:
    """One session on a device. The device's turnover is added by the occupancy. `id` names it in explanations only."""

    device: str
    day: int
    start: int
    duration: int
    need: Need | None
    id: str | None = field(default=None, compare=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class VisitSpec:
    """One visit of a protocol. `offsets` are the starts of its sessions after the visit's own start.

    `gap` is the hard distance to the previous visit in calendar days, `ideal` the wanted one in weekdays.
    A visit that is not `consistent` is compared with neither the anchor nor the home device.
    """

    duration: int
    capability: str
    need: Need
    gap: Span | None = None
    ideal: Span | None = None
    offsets: tuple[int, ...] = (0,)
    consistent: bool = True
    kind: str = "daily"

    @property
    def span(self) -> int:
        """Minutes from the first start to the last end."""
        return self.offsets[-1] + self.duration


@dataclass(frozen=True, slots=True)
class Weights:
    """Prices of the objective, in minutes of time-of-day deviation; triples are by priority 0, 1, 2."""

    wait: tuple[int, int, int] = (5, 10, 20)
    late: tuple[int, int, int] = (10, 20, 40)
    gap: int = 60
    tod: int = 1
    dev: int = 8
    loc: int = 45
    pref: int = 10
    unplaced: tuple[int, int, int] = (6000, 9000, 15000)


@dataclass(frozen=True, slots=True)
class CourseRequest:
    """One patient's question: this course, these places and hours.

    visits: the visits still to be planned, in order.
    device_kind: kind of the home device ("tms" or "chair").
    locations: accepted location -> penalty per visit there.
    windows: per weekday the hours in which a whole visit day must lie (hard).
    given_on: weekdays (0 = Monday) on which the protocol is given at all; nothing relaxes it.
    release, latest_start: first and last day for the first visit. target: weekdays of waiting before it is late.
    away: days without any visit. busy: other appointments of the patient, (day, from, to).
    preferred: soft window for starts. not_before: earliest day of any visit (today).
    min_hours: hours between starts, met by construction; None = no such rule.
    continued: the course runs already: waiting is not priced and release, latest_start do not bind.
    previous_day, previous_start: the last delivered visit of a continued course; the first planned visit keeps
    its gap and hours to it.
    first_number: number of the first planned visit in its protocol.
    """

    visits: tuple[VisitSpec, ...]
    device_kind: str
    locations: Mapping[str, int]
    windows: Week = ALL_DAY
    given_on: frozenset[int] = frozenset(range(7))
    release: int = 0
    latest_start: int = 10**6
    target: int = 20
    priority: int = 0
    away: frozenset[int] = frozenset()
    busy: tuple[DaySpan, ...] = ()
    preferred: Span | None = None
    not_before: int = 0
    min_hours: int | None = None
    continued: bool = False
    previous_day: int | None = None
    previous_start: int | None = None
    first_number: int = 1
    weights: Weights = Weights()


@dataclass(frozen=True, slots=True)
class PlannedVisit:
    """One visit of a plan. `end` is the end of its last session, turnover apart."""

    number: int
    kind: str
    day: int
    date: date
    device: str
    location: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class CostParts:
    """The terms of the objective. `loc` holds location penalties and visits away from the home location."""

    wait: int = 0
    late: int = 0
    gap: int = 0
    tod: int = 0
    dev: int = 0
    loc: int = 0
    pref: int = 0

    @property
    def total(self) -> int:
        """Their sum: the cost of the course."""
        return sum(self.terms)

    @property
    def terms(self) -> tuple[int, ...]:
        """The terms in order."""
        return self.wait, self.late, self.gap, self.tod, self.dev, self.loc, self.pref

    def as_dict(self) -> dict[str, int]:
        """The terms by name."""
        return dict(zip(("wait", "late", "gap", "tod", "dev", "loc", "pref"), self.terms, strict=True))


@dataclass(frozen=True, slots=True)
class DayCause:
    """Why a visit cannot lie on a day. `rule`: see BlockedDay; "possible" where it can, at a price."""

    date: date
    rule: str
    text: str


@dataclass(frozen=True, slots=True)
class NamedGap:
    """More than four calendar days between two visits. `expected`: the protocol's own pace asks for it.

    after: number of the visit before the gap; causes: of the weekdays between, where the gap is not expected.
    """

    after: int
    from_date: date
    to_date: date
    days: int
    expected: bool
    causes: tuple[DayCause, ...]
    text: str


@dataclass(frozen=True, slots=True)
class BlockedOption:
    """A place for a visit that looks better than the one it has: what forbids it and what it would save.

    rules: every rule that forbids it, in the order of rules.HARD_RULES. bookings: those in the way, where known.
    saves: how much less the course would cost with the visit there. opens: what would have to be otherwise.
    """

    date: date
    device: str
    location: str
    start: int
    rules: tuple[str, ...]
    bookings: tuple[Booking, ...]
    saves: int
    text: str
    opens: str


@dataclass(frozen=True, slots=True)
class VisitReason:
    """What one visit adds to the cost, and the cheapest place for it that is blocked; None where nothing is better."""

    number: int
    parts: CostParts
    blocked: BlockedOption | None


@dataclass(frozen=True, slots=True)
class BlockedStart:
    """Why no course starts on a day before the planned one. `visit`: the first that would find no day."""

    day: int
    date: date
    visit: int
    rule: str
    text: str


@dataclass(frozen=True, slots=True)
class StartOption:
    """The cheapest course that starts on a day. `inconvenience`: its cost without the waiting."""

    day: int
    date: date
    cost: int
    inconvenience: int


@dataclass(frozen=True, slots=True)
class CoursePlan:
    """A whole course, every visit placed. `earliest_day` is proven: no course starts before it."""

    visits: tuple[PlannedVisit, ...]
    anchor: int
    home: str
    cost: int
    parts: CostParts
    earliest_day: int
    why: tuple[str, ...] = ()
    gaps: tuple[NamedGap, ...] = ()

    @property
    def starts_on(self) -> date:
        """Date of the first visit."""
        return self.visits[0].date

    @property
    def ends_on(self) -> date:
        """Date of the last visit."""
        return self.visits[-1].date

    @property
    def locations(self) -> tuple[str, ...]:
        """Locations visited, each once, in order."""
        return tuple(dict.fromkeys(v.location for v in self.visits))


@dataclass(frozen=True, slots=True)
class BlockedDay:
    """Why one day cannot take the binding visit. `rule` is a name of rules.HARD_RULES or of a course rule."""

    day: int
    date: date
    rule: str
    text: str


@dataclass(frozen=True, slots=True)
class Relaxation:
    """A change of one kind that opens a course.

    kind: windows | weekdays | locations | bookings | staff | days_away | start_window | gaps, or several at once.
    amount: how much of it: minutes each way, weekdays, visits affected, days, weeks.
    days: the days on which the change is needed, where it is about days; weekdays: those to add.
    parts: the changes of `several`, each of which alone opens nothing.
    """

    kind: str
    amount: int
    text: str
    days: tuple[int, ...] = ()
    location: str | None = None
    starts_on: date | None = None
    cost: int | None = None
    weekdays: tuple[int, ...] = ()
    parts: "tuple[Relaxation, ...]" = ()


@dataclass(frozen=True, slots=True)
class NoCourse:
    """Proof that no course exists: the visit that no day can take, why not day by day, what would open one."""

    rule: str
    visit: int
    kind: str
    text: str
    days: tuple[BlockedDay, ...] = ()
    relaxations: tuple[Relaxation, ...] = ()


@dataclass(frozen=True, slots=True)
class Proposal:
    """One of several courses to choose from. `labels`: see propose()."""

    labels: tuple[str, ...]
    plan: CoursePlan
    reasons: tuple[str, ...] = ()
