"""From a protocol of the catalogue to the visits that the planner places."""

from collections.abc import Iterable

from clinic.protocols.base import Protocol, ProtocolVisit
from clinic.scheduling.planner.facts import VisitSpec


def visits_of(
    protocol: Protocol, visits: Iterable[ProtocolVisit] | None = None, *, grid: int = 5, turnover: int = 5
) -> tuple[VisitSpec, ...]:
    """Visits of a course, or those given of it. A device's capabilities are the keys of the protocols it gives.

    A slot holds the device's turnover: it is rounded up to the grid, then the turnover is taken off.
    """
    return tuple(
        VisitSpec(
            duration=max(grid, -(-visit.minutes // grid) * grid) - turnover,
            capability=protocol.key,
            need=visit.need,
            gap=visit.gap,
            ideal=visit.ideal,
            offsets=visit.offsets,
            consistent=visit.consistent,
            kind=visit.kind,
        )
        for visit in (protocol.visits if visits is None else visits)
    )
