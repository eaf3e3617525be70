"""Treatment protocols: what is given, how often, and the visits that a course of it consists of.

One YAML file per protocol and a frozen catalogue over them. A published protocol is never edited: a change is a new
`version`, and a course keeps the key and version that it was booked under.

`shapes/` holds other ways to count out the same treatment (a payer's blocks, maintenance): each shape that fits a
protocol makes one more of it, under the key "protocol.shape". See clinic/protocols/shapes.py, whose `bookable()` is the whole list; `catalogue()` is what devices give.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

Kind = Literal["mapping", "daily", "taper", "induction", "optimisation", "infusion", "maintenance"]
Need = Literal["tms", "map", "obs"]
Pair = tuple[int, int]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEK: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def _low_high(pair: Pair) -> Pair:
    if not 0 <= pair[0] <= pair[1]:
        raise ValueError("low must not exceed high")
    return pair


Range = Annotated[Pair, AfterValidator(_low_high)]
Text = Annotated[str, Field(min_length=1)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Source(_Part):
    """Where a value comes from, and whether it was read there (`seen`) or known by heart (`recalled`)."""

    title: Text
    organisation: Text
    year: int
    verified: Text


class Block(_Part):
    """A run of like visits.

    minutes: slot of one session, the device's turnover included. gap: hard calendar days to the visit before;
    ideal: wanted weekdays to it; first_gap, first_ideal: the same for the first visit of the block.
    sessions, every_minutes: several sessions on one visit day and the distance of their starts.
    """

    kind: Kind
    count: Annotated[int, Field(ge=1, le=60)]
    minutes: Annotated[int, Field(ge=5, le=480)]
    need: Need
    consistent: bool = True
    gap: Range | None = None
    ideal: Range | None = None
    first_gap: Range | None = None
    first_ideal: Range | None = None
    sessions: Annotated[int, Field(ge=1, le=20)] = 1
    every_minutes: Annotated[int, Field(ge=0, le=240)] = 0

    @model_validator(mode="after")
    def _complete(self) -> "Block":
        if self.count > 1 and (self.gap is None or self.ideal is None):
            raise ValueError("a block of several visits needs gap and ideal")
        if self.sessions > 1 and self.every_minutes < self.minutes:
            raise ValueError("sessions of one day overlap")
        return self


@dataclass(frozen=True, slots=True)
class ProtocolVisit:
    """One visit of a course. `gap` and `ideal` are None for the first. `offsets`: starts of its sessions."""

    number: int
    kind: Kind
    minutes: int
    need: Need
    consistent: bool
    gap: Pair | None
    ideal: Pair | None
    offsets: tuple[int, ...]


class Stage(_Part):
    """A part of a course that is booked whole. One after the first is booked when a prescriber confirms what it needs.

    needs_improvement_percent: fall of the score since the start that a payer asks for, None where none is named.
    """

    id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    name: Text
    blocks: Annotated[tuple[Block, ...], Field(min_length=1)]
    needs_improvement_percent: Annotated[int, Field(ge=1, le=100)] | None = None


class Breaks(_Part):
    """What a break in a running course means, in calendar days since the last delivered session.

    Over `review_over_days` a prescriber looks first; over `restart_over_days` the question is whether to start anew.
    """

    review_over_days: Annotated[int, Field(ge=1, le=60)]
    restart_over_days: Annotated[int, Field(ge=1, le=120)] | None = None
    text: Text
    verified: Text


class Redetermination(_Part):
    """A session in which the motor threshold is found anew: the minutes of its slot, and after how many sessions."""

    minutes: Annotated[int, Field(ge=5, le=480)]
    every_sessions: Annotated[int, Field(ge=2, le=60)]
    verified: Text


class Before(_Part):
    """A visit that is made elsewhere before a course, so many days before its first session or more."""

    kind: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    name: Text
    minutes: Annotated[int, Field(ge=5, le=480)]
    lead_days: Annotated[int, Field(ge=1, le=60)]
    verified: Text


class Protocol(_Part):
    """A protocol that the scheduler can book. A device gives it if its capabilities hold `gives`.

    `min_hours` lie between starts; visits fall on `weekdays` only. `blocks` are booked first; each stage of `later` once it is confirmed.
    `follows`: the first visit keeps its gap to the last session of the course before (maintenance).
    `base`, `shape`, `shape_version`: the protocol that this one counts out differently, and how.
    `facts` holds stimulation or dose and the slot defaults as published, to be shown, never computed with.
    """

    key: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    version: Annotated[int, Field(ge=1)]
    name: Text
    modality: Literal["tms", "esketamine", "iv_ketamine"]
    device_kind: Literal["tms", "chair"]
    device_models: tuple[Text, ...] = ()
    min_hours: Annotated[int, Field(ge=1, le=168)] | None = None
    weekdays: Annotated[tuple[Weekday, ...], Field(min_length=1)] = WEEK
    blocks: Annotated[tuple[Block, ...], Field(min_length=1)]
    later: tuple[Stage, ...] = ()
    breaks: Breaks | None = None
    redetermination: Redetermination | None = None
    before: tuple[Before, ...] = ()
    follows: bool = False
    base: str | None = None
    shape: str | None = None
    shape_version: int | None = None
    fda_status: Text
    verified: Text
    pace_verified: Text
    sources: Annotated[tuple[Source, ...], Field(min_length=1)]
    facts: Mapping[str, Any] = Field(default_factory=dict)
    notes: tuple[Text, ...] = ()

    @model_validator(mode="after")
    def _gaps_known(self) -> "Protocol":
        if self.base or self.shape or self.shape_version:
            raise ValueError("base and shape are not written, they are made from the files in shapes")
        return self._counted()

    def _counted(self) -> "Protocol":
        every = [block for stage in self.stages for block in stage.blocks]
        for i, block in enumerate(every[1:], start=1):
            if block.first_gap is None and block.gap is None:
                raise ValueError(f"block {i} does not say its gap to the block before")
            if block.first_ideal is None and block.ideal is None:
                raise ValueError(f"block {i} does not say its ideal gap to the block before")
        return self

    @property
    def given_on(self) -> frozenset[int]:
        """Weekdays on which it is given, 0 = Monday."""
        return frozenset(WEEK.index(day) for day in self.weekdays)

    @property
    def gives(self) -> str:
        """The key under which a device gives this treatment."""
        return self.base or self.key

    @property
    def lead_days(self) -> int:
        """Days that have to lie between today and the first session, for what is done before it."""
        return max((one.lead_days for one in self.before), default=0)

    @property
    def edition(self) -> str:
        """Version of the protocol, and of the shape behind it: what a course keeps."""
        return str(self.version) if self.shape_version is None else f"{self.version}.{self.shape_version}"

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The parts of a course in order, each booked whole."""
        return (Stage(id="course", name=self.name, blocks=self.blocks), *self.later)

    @property
    def visits(self) -> tuple[ProtocolVisit, ...]:
        """Every visit of a course in order, those of later stages too."""
        return tuple(visit for stage in self.visits_by_stage for visit in stage)

    @property
    def first_visits(self) -> tuple[ProtocolVisit, ...]:
        """What is booked when a course begins."""
        return self.visits_by_stage[0]

    @property
    def visits_by_stage(self) -> tuple[tuple[ProtocolVisit, ...], ...]:
        """The visits of each stage, numbered through."""
        found: list[tuple[ProtocolVisit, ...]] = []
        number = 0
        for stage in self.stages:
            visits = []
            for block in stage.blocks:
                offsets = tuple(block.every_minutes * i for i in range(block.sessions))
                for j in range(block.count):
                    number += 1
                    gap, ideal = block.gap, block.ideal
                    if j == 0:
                        gap, ideal = block.first_gap or gap, block.first_ideal or ideal
                    if number == 1 and not self.follows:
                        gap = ideal = None
                    visits.append(
                        ProtocolVisit(
                            number, block.kind, block.minutes, block.need, block.consistent, gap, ideal, offsets
                        )
                    )
            found.append(tuple(visits))
        return tuple(found)

    def finds_threshold(self, number: int) -> bool:
        """Is session `number` one in which the motor threshold is found anew, where they are planned."""
        anew = self.redetermination
        return anew is not None and number > 1 and (number - 1) % anew.every_sessions == 0

    @property
    def session_count(self) -> int:
        """Treatment sessions that are booked first: a mapping visit counts where it treats too (`facts.first_visit_treats`)."""
        treats = bool(self.facts.get("first_visit_treats", True))
        return sum(len(v.offsets) for v in self.first_visits if v.kind != "mapping" or treats)


class CatalogueError(ValueError):
    """A protocol file cannot be used. The message names the file and what is wrong."""


Entry = TypeVar("Entry", bound=BaseModel)


def read_entry(path: Path, model: type[Entry]) -> Entry:
    """Read one file of the catalogue. Raises CatalogueError."""
    try:
        return model.model_validate(yaml.load(path.read_text("utf-8"), Loader=_loader()))  # noqa: S506 - a safe loader
    except (ValidationError, yaml.YAMLError, OSError, UnicodeDecodeError) as fault:
        raise CatalogueError(f"{path.name}: {fault}") from fault


def load_protocol(path: Path) -> Protocol:
    """Read one protocol file. Raises CatalogueError."""
    protocol = read_entry(path, Protocol)
    if protocol.key != path.stem:
        raise CatalogueError(f"{path.name}: the key {protocol.key} is not the name of the file")
    return protocol


def _loader() -> Any:
    """The C loader where it is built, five times as fast; both are safe."""
    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def load_catalogue(*folders: Path) -> Mapping[str, Protocol]:
    """Protocols of several folders by key; a key given twice is refused. Raises CatalogueError."""
    found: dict[str, Protocol] = {}
    for folder in folders:
        for path in sorted(folder.glob("*.yaml")):
            if path.stem in found:
                raise CatalogueError(f"{path.name}: the key is given twice")
            found[path.stem] = load_protocol(path)
    return MappingProxyType(found)


@cache
def catalogue() -> Mapping[str, Protocol]:
    """The protocols that come with the project, by key: what a device can give."""
    return load_catalogue(Path(__file__).parent)
