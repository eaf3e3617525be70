"""From a protocol of the catalogue to the visits that the planner places: a whole course, a later stage, what is owed."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from clinic.protocols.base import Protocol, ProtocolVisit, Stage
from clinic.scheduling.planner.facts import VisitSpec


def visits_of(
    protocol: Protocol, visits: Iterable[ProtocolVisit] | None = None, *, grid: int = 5, turnover: int = 5
) -> tuple[VisitSpec, ...]:
    """What is booked when a course begins, or the given visits. A device's capabilities are the keys that it gives.

    A slot holds the device's turnover: it is rounded up to the grid, then the turnover is taken off.
    """
    return tuple(
        VisitSpec(
            duration=max(grid, -(-visit.minutes // grid) * grid) - turnover,
            capability=protocol.gives,
            need=visit.need,
            gap=visit.gap,
            ideal=visit.ideal,
            offsets=visit.offsets,
            consistent=visit.consistent,
            kind=visit.kind,
        )
        for visit in (protocol.first_visits if visits is None else visits)
    )


@dataclass(frozen=True, slots=True)
class Part:
    """Visits of a course that are planned together. `numbers`: the session that each begins with, from 1."""

    visits: tuple[ProtocolVisit, ...]
    numbers: tuple[int, ...]

    @property
    def sessions(self) -> int:
        """How many sessions they hold."""
        return sum(len(visit.offsets) for visit in self.visits)


def part_of(protocol: Protocol, first: int, last: int) -> Part:
    """The visits of sessions `first` to `last`. A visit that is begun keeps the distances of its sessions."""
    visits, numbers, following = [], [], 1
    for visit in protocol.visits:
        here = range(following, following + len(visit.offsets))
        following = here.stop
        wanted = [offset for number, offset in zip(here, visit.offsets, strict=True) if first <= number <= last]
        if wanted:
            visits.append(replace(visit, offsets=tuple(offset - wanted[0] for offset in wanted)))
            numbers.append(max(first, here.start))
    return Part(tuple(visits), tuple(numbers))


def stage_ends(protocol: Protocol) -> list[int]:
    """Number of the last session of each stage."""
    ends, so_far = [], 0
    for stage in protocol.visits_by_stage:
        so_far += sum(len(visit.offsets) for visit in stage)
        ends.append(so_far)
    return ends


def opening_part(protocol: Protocol) -> Part:
    """What is booked when a course begins."""
    return part_of(protocol, 1, stage_ends(protocol)[0])


def next_stage(protocol: Protocol, planned: int) -> tuple[Stage, Part] | None:
    """The stage that a prescriber may confirm for a course of `planned` sessions so far; None after the last one."""
    for stage, begins, ends in zip(protocol.later, stage_ends(protocol), stage_ends(protocol)[1:], strict=False):
        if planned == begins:
            return stage, part_of(protocol, begins + 1, ends)
    return None


@dataclass(frozen=True, slots=True)
class Rest:
    """What a course still owes. `follows`: the gap to the last delivered session binds.

    review: why a prescriber looks first, empty where nothing asks for it.
    """

    part: Part
    follows: bool
    review: str = ""


def rest_of(protocol: Protocol, *, delivered: int, planned: int, days_since: int | None = None) -> Rest:
    """The sessions owed after `delivered` of `planned`, `days_since` calendar days after the last one at the earliest.

    A break that the protocol wants reviewed lets the gap go, so that the rest can be planned for the prescriber to
    approve. Raises ValueError where nothing is owed.
    """
    if not 0 <= delivered < planned:
        raise ValueError(f"{delivered} of {planned} sessions were delivered")
    last = max((end for end in stage_ends(protocol) if end <= planned), default=planned)
    first = max(1, last - (planned - delivered) + 1)  # what was made up beyond the protocol counts from the end
    part = part_of(protocol, first, last)
    reasons = []
    if delivered and len(part.visits[0].offsets) < _whole(protocol, part):
        left, number = len(part.visits[0].offsets), part.visits[0].number
        reasons.append(f"visit {number} was broken off: its last {left} sessions are planned as a day of their own")
    limit = part.visits[0].gap[1] if part.visits[0].gap else None
    if protocol.breaks is not None:
        limit = protocol.breaks.review_over_days
    breaks = days_since is not None and limit is not None and days_since > limit
    if breaks:
        reasons.append(f"{days_since} days since the last session, over {limit}")
    if reasons and protocol.breaks is not None:
        reasons.append(f"{protocol.breaks.text} ({protocol.breaks.verified})")
    return Rest(part, follows=days_since is not None and not breaks, review="; ".join(reasons))


def _whole(protocol: Protocol, part: Part) -> int:
    return len(protocol.visits[part.visits[0].number - 1].offsets)
