"""From a protocol of the catalogue to the visits that the planner places."""

from clinic.protocols.base import Protocol
from clinic.scheduling.planner.facts import VisitSpec


def visits_of(protocol: Protocol, *, grid: int = 5, turnover: int = 5) -> tuple[VisitSpec, ...]:
    """Visits of a course. A slot holds the device's turnover: it is rounded up to the grid, then turnover is taken off."""
    return tuple(
        VisitSpec(
            duration=max(grid, -(-visit.minutes // grid) * grid) - turnover,
            capability=protocol.capability,
            need=visit.need,
            gap=visit.gap,
            ideal=visit.ideal,
            offsets=visit.offsets,
            consistent=visit.consistent,
            kind=visit.kind,
        )
        for visit in protocol.visits
    )
