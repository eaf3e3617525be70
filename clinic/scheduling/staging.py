"""What the next stage of a staged course asks for, and what features above measured. They register at import."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

from clinic.scheduling import wishes
from clinic.scheduling.models import Course
from clinic.scheduling.planner.visits import next_stage


@dataclass(frozen=True)
class Measured:
    """Fall of a questionnaire's total from the baseline of a course to its newest complete score, in percent."""

    instrument: str
    baseline: int
    total: int
    on: date
    percent: float | None  # None where the baseline is nought


@dataclass(frozen=True)
class Asked:
    """The improvement that the next stage asks for, and whether it is there; None: that cannot be told."""

    rule: str
    percent: int
    measured: Measured | None

    @property
    def is_met(self) -> bool | None:
        if self.measured is None or self.measured.percent is None:
            return None
        return self.measured.percent >= self.percent


# Given a course's id.
MEASURED: list[Callable[[int], Measured | None]] = []


def asked(course: Course) -> Asked | None:
    """The condition of the stage that would come next; None where none comes, or where it asks for no improvement."""
    protocol = wishes.protocol_of(course.protocol)
    following = next_stage(protocol, course.planned_sessions)
    if following is None or following[0].needs_improvement_percent is None:
        return None
    found = next((one for read in MEASURED if (one := read(course.id)) is not None), None)
    rule = f"{protocol.name}, version {protocol.shape_version or protocol.version}"
    return Asked(rule, following[0].needs_improvement_percent, found)
