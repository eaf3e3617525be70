"""Shapes: other ways to count out a protocol's sessions, such as a payer's blocks or maintenance visits.

A shape takes its visits from the protocol that it is laid over: minutes, staff, gaps and the mapping visit stay those
of the protocol. Every shape that fits a protocol makes one more that can be booked, under the key "protocol.shape".
"""

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import Field, model_validator

from clinic.protocols.base import (
    Block,
    CatalogueError,
    Kind,
    Protocol,
    Range,
    Source,
    Stage,
    Text,
    _Part,
    catalogue,
    read_entry,
)


class Run(_Part):
    """Like visits taken from the protocol: the n-th of `counts` counts out its n-th block of the kind `like`, 0 skips it.

    kind: what they are called here, `like` where left out. gap, ideal: the hard and the wanted distance to the visit
    before where it is not the protocol's own.
    """

    like: Kind
    counts: Annotated[tuple[Annotated[int, Field(ge=0, le=60)], ...], Field(min_length=1)]
    kind: Kind | None = None
    gap: Range | None = None
    ideal: Range | None = None


class ShapeStage(_Part):
    """A stage of a shape; see base.Stage."""

    id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    name: Text
    runs: Annotated[tuple[Run, ...], Field(min_length=1)]
    needs_improvement_percent: Annotated[int, Field(ge=1, le=100)] | None = None


class Shape(_Part):
    """How often the sessions of a protocol are given, apart from what is given. One file in shapes/, frozen like it."""

    key: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    version: Annotated[int, Field(ge=1)]
    name: Text
    modality: Literal["tms", "esketamine", "iv_ketamine"]
    follows: bool = False
    stages: Annotated[tuple[ShapeStage, ...], Field(min_length=1)]
    verified: Text
    sources: Annotated[tuple[Source, ...], Field(min_length=1)]
    notes: tuple[Text, ...] = ()

    @model_validator(mode="after")
    def _counts_something(self) -> "Shape":
        if self.stages[0].needs_improvement_percent is not None:
            raise ValueError("the first stage needs no improvement")
        if any(not any(run.counts) for stage in self.stages for run in stage.runs):
            raise ValueError("a run counts out at least one visit")
        return self

    def fits(self, protocol: Protocol) -> bool:
        """True where the protocol is of the modality, gives one session a visit, and has the blocks that are counted out."""
        blocks = protocol.blocks
        have = {kind: sum(block.kind == kind for block in blocks) for kind in {block.kind for block in blocks}}
        wanted = [run for stage in self.stages for run in stage.runs]
        return (
            protocol.modality == self.modality
            and protocol.base is None
            and all(block.sessions == 1 for block in blocks)
            and all(have.get(run.like, 0) >= len(run.counts) for run in wanted)
        )

    def over(self, protocol: Protocol) -> Protocol:
        """The protocol counted out by this shape. Raises ValueError where it does not fit."""
        if not self.fits(protocol):
            raise ValueError(f"{self.key} does not fit {protocol.key}")
        first, *later = (_stage(stage, protocol) for stage in self.stages)
        counted = sum(block.count for block in first.blocks)
        facts = {key: value for key, value in protocol.facts.items() if key not in COUNTED_OTHERWISE}
        shaped = protocol.model_copy(
            update={
                "key": f"{protocol.key}.{self.key}",
                "name": f"{protocol.name}: {self.name}",
                "base": protocol.key,
                "shape": self.key,
                "shape_version": self.version,
                "follows": self.follows,
                "blocks": first.blocks,
                "later": tuple(later),
                "pace_verified": self.verified,
                "sources": (*protocol.sources, *self.sources),
                "facts": {**facts, "total_sessions": counted},
                "notes": (*protocol.notes, *self.notes),
            }
        )
        return shaped._counted()


# facts about the number of sessions, which the shape replaces
COUNTED_OTHERWISE = frozenset({"acute_sessions", "acute_range", "acute_weeks", "total_sessions", "document_weeks"})


def _stage(stage: ShapeStage, protocol: Protocol) -> Stage:
    blocks = tuple(block for run in stage.runs for block in _blocks(run, protocol))
    return Stage(id=stage.id, name=stage.name, blocks=blocks, needs_improvement_percent=stage.needs_improvement_percent)


def _blocks(run: Run, protocol: Protocol) -> Iterator[Block]:
    models = [block for block in protocol.blocks if block.kind == run.like]
    counted = [(count, model) for count, model in zip(run.counts, models, strict=False) if count]
    for n, (count, model) in enumerate(counted):
        changes: dict[str, object] = {"count": count, "kind": run.kind or model.kind}
        if n == 0 and run.gap is not None:
            changes["first_gap"] = run.gap
        if n == 0 and run.ideal is not None:
            changes["first_ideal"] = run.ideal
        yield Block.model_validate({**model.model_dump(), **changes})


def load_shapes(*folders: Path) -> tuple[Shape, ...]:
    """Shapes of several folders, files named modality.key.yaml. Raises CatalogueError."""
    found: dict[str, Shape] = {}
    for folder in folders:
        for path in sorted(folder.glob("*.yaml")):
            shape = read_entry(path, Shape)
            if path.stem != f"{shape.modality}.{shape.key}":
                raise CatalogueError(f"{path.name}: the file of this shape is {shape.modality}.{shape.key}.yaml")
            if path.stem in found:
                raise CatalogueError(f"{path.name}: the shape is given twice")
            found[path.stem] = shape
    return tuple(found.values())


def shaped(protocols: Mapping[str, Protocol], shapes: tuple[Shape, ...]) -> Mapping[str, Protocol]:
    """Every protocol as it is, each followed by its shapes."""
    found: dict[str, Protocol] = {}
    for key, protocol in protocols.items():
        found[key] = protocol
        for shape in shapes:
            if shape.fits(protocol):
                other = shape.over(protocol)
                found[other.key] = other
    return MappingProxyType(found)


@cache
def bookable() -> Mapping[str, Protocol]:
    """All that the scheduler can book, by key: the catalogue, and each protocol in the shapes that fit it."""
    return shaped(catalogue(), load_shapes(Path(__file__).parent / "shapes"))
