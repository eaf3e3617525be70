"""What repair is told and what it answers. Frozen values, no database; days and minutes as in facts.py."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from clinic.scheduling.planner.facts import CourseRequest, DaySpan, PlannedVisit, Span

MoveKind = Literal["moved", "other_device", "dropped", "made_up"]
Stage = Literal["unchanged", "nearest", "frozen", "shifted"]


@dataclass(frozen=True, slots=True)
class DeviceOut:
    """A device or chair is out of service. `down` lists (day, from, to)."""

    device: str
    down: tuple[DaySpan, ...]


@dataclass(frozen=True, slots=True)
class PersonOut:
    """Members of staff are absent: `absent` lists (day, from, to). `people`: their ids, as the occupancy was told."""

    people: frozenset[str]
    absent: tuple[DaySpan, ...]


@dataclass(frozen=True, slots=True)
class SiteClosed:
    """A location is closed on whole days, for weather for instance."""

    location: str
    days: frozenset[int]


Event = DeviceOut | PersonOut | SiteClosed


@dataclass(frozen=True, slots=True)
class RepairWeights:
    """Prices of a change, per visit against the old plan, in the units of facts.Weights.

    touch: day or start changed. minute: per minute of shift. day: per weekday moved, at most `most_days` of them.
    device, location: another device of the same location, another location. drop: no place at all.
    gap: a distance between two visits outside the rule, which needs a clinician's approval.
    """

    touch: int = 60
    minute: int = 1
    device: int = 10
    location: int = 60
    day: int = 120
    drop: int = 3000
    gap: int = 5000
    most_days: int = 5


@dataclass(frozen=True, slots=True)
class RunningCourse:
    """A booked course as it stands: `request.visits[k]` has its place at `placed[k]`.

    Visits already delivered may be among them (they are past) or be summed up by the request's `previous_day` and
    `previous_start`. missed: positions of past visits that were not delivered and are to be made up.
    person: courses with the same person never overlap in time; without it a course is its own person.
    """

    id: str
    request: CourseRequest
    placed: tuple[PlannedVisit, ...]
    missed: frozenset[int] = frozenset()
    person: str | None = None

    def __post_init__(self) -> None:
        if len(self.placed) != len(self.request.visits):
            raise ValueError(f"{self.id}: {len(self.placed)} places for {len(self.request.visits)} visits")


@dataclass(frozen=True, slots=True)
class VisitMove:
    """What becomes of one visit. `position` counts the visits of the course from 0.

    minutes: shift of the time of day, negative = earlier in the day. days: calendar days, negative = earlier.
    earlier: the new place lies before the old one, so the patient has to say yes first.
    because: the rule that took the old place (a name of rules.HARD_RULES), "missed", or "makes_room".
    """

    course: str
    position: int
    kind: MoveKind
    old: PlannedVisit
    new: PlannedVisit | None
    minutes: int
    days: int
    earlier: bool
    because: str
    cost: int
    text: str


@dataclass(frozen=True, slots=True)
class GapBreach:
    """Two visits that follow each other at a distance outside the rule: only with a clinician's approval.

    before: None where it is the last visit delivered before those listed. is_new: False if the old plan had it already.
    """

    course: str
    before: PlannedVisit | None
    after: PlannedVisit
    days: int
    allowed: Span
    cost: int
    text: str
    is_new: bool = True
    needs_approval: bool = True


@dataclass(frozen=True, slots=True)
class RepairParts:
    """The terms of a repair's cost."""

    touch: int = 0
    minutes: int = 0
    days: int = 0
    device: int = 0
    location: int = 0
    dropped: int = 0
    gap: int = 0

    @property
    def total(self) -> int:
        """Their sum."""
        return self.touch + self.minutes + self.days + self.device + self.location + self.dropped + self.gap

    def as_dict(self) -> dict[str, int]:
        """The terms by name."""
        return {
            name: getattr(self, name) for name in ("touch", "minutes", "days", "device", "location", "dropped", "gap")
        }


@dataclass(frozen=True, slots=True)
class RepairPlan:
    """How the calendar can go on after an event. Nothing in it is booked.

    moves: every visit that changes, by day, start and course; a patient who is not named keeps every visit.
    placed: per changed course its visits by position, None = no place found.
    breaches: gap rules that the plan does not keep.
    stage: how it was found: "nearest" = each visit to its nearest free place; "frozen" = all affected visits together,
    everyone else untouched; "shifted" = neighbours may give way by `shift` minutes; "unchanged" = nothing to do.
    bound: no plan made of the moves that the stage considers costs less. None for a preview: it proves nothing.
    unresolved: bookings that stay impossible because nothing in `courses` can be moved to resolve them.
    """

    moves: tuple[VisitMove, ...]
    placed: Mapping[str, tuple[PlannedVisit | None, ...]]
    breaches: tuple[GapBreach, ...]
    cost: int
    parts: RepairParts
    stage: Stage
    bound: int | None
    unresolved: tuple[str, ...] = ()
    shift: int = 0

    @property
    def dropped(self) -> tuple[VisitMove, ...]:
        """Visits without a place."""
        return tuple(m for m in self.moves if m.new is None)

    @property
    def needs_yes(self) -> tuple[VisitMove, ...]:
        """Moves to an earlier time: the patient has to say yes first."""
        return tuple(m for m in self.moves if m.earlier)

    @property
    def is_proven(self) -> bool:
        """True if no plan of its stage costs less."""
        return self.bound is not None and self.bound >= self.cost
