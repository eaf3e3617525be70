"""Who could use a freed slot: ranked proposals for waiting patients. A confirmed patient is never moved."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from clinic.scheduling.planner.course import best_course
from clinic.scheduling.planner.damage import sessions_of
from clinic.scheduling.planner.facts import Booking, CoursePlan, CourseRequest, PlannedVisit, VisitSpec
from clinic.scheduling.planner.make_up import make_ups
from clinic.scheduling.planner.occupancy import Occupancy
from clinic.scheduling.planner.repair_facts import RepairWeights, RunningCourse
from clinic.scheduling.planner.rules import why_not

FillKind = Literal["mapping", "make_up", "improvement", "new_course"]


@dataclass(frozen=True, slots=True)
class Waiting:
    """A patient who may use a freed slot: with a course wanted, or with a session owed.

    request: the course wanted; plan: where it stands if it has been planned and held but not confirmed (its visits are
    booked in the occupancy). running, owed: a course that runs, and the visit it still owes.
    """

    id: str
    request: CourseRequest | None = None
    plan: CoursePlan | None = None
    running: RunningCourse | None = None
    owed: VisitSpec | None = None
    usual: tuple[str, int] | None = None


@dataclass(frozen=True, slots=True)
class FillProposal:
    """What one waiting patient would make of the slot. Nothing is booked.

    kind: "mapping" = the slot becomes the course's mapping visit; "make_up" = a session that is owed; "new_course" = a
    course becomes possible that was not; "improvement" = a course becomes better by more than the price of a change.
    visit: the visit that takes the slot. plan: the whole course that goes with it. gain: by how much the objective
    falls. score: gain times priority, what the proposals are ranked by. days_sooner: how much sooner the course starts.
    """

    patient: str
    kind: FillKind
    visit: PlannedVisit
    plan: CoursePlan | None
    gain: int
    score: int
    days_sooner: int = 0


def fill(
    freed: Sequence[Booking],
    waiting: Sequence[Waiting],
    occupancy: Occupancy,
    *,
    now: int,
    now_minute: int = 0,
    notice: int = 60,
    weights: RepairWeights | None = None,
) -> tuple[FillProposal, ...]:
    """Proposals for the freed slots, best first; each holds for itself, so book one and ask again.

    Of two whom the slots help as much, the one who comes first in `waiting` comes first.

    occupancy: the calendar with the slots free. A patient whom the slots do not help is left out: one who would do as
    well without them, or gains no more than the price of a change.
    """
    weights = weights or RepairWeights()
    blocked = occupancy.copy()
    for booking in freed:
        blocked.book(booking)
    found: list[FillProposal] = []
    for patient in waiting:
        if patient.owed is not None and patient.running is not None:
            found.extend(_as_make_up(patient, freed, occupancy, blocked, weights, now, now_minute, notice))
        elif patient.request is not None:
            found.extend(_as_course(patient, patient.request, occupancy, blocked, weights))
    return tuple(sorted(found, key=lambda x: (-x.score, -x.gain)))


def _as_make_up(
    patient: Waiting,
    freed: Sequence[Booking],
    occupancy: Occupancy,
    blocked: Occupancy,
    weights: RepairWeights,
    now: int,
    now_minute: int,
    notice: int,
) -> Iterator[FillProposal]:
    assert patient.running is not None
    assert patient.owed is not None
    request, priority = patient.running.request, patient.running.request.priority
    places = make_ups(
        patient.running,
        patient.owed,
        occupancy,
        now=now,
        now_minute=now_minute,
        notice=notice,
        usual=patient.usual,
        count=len(freed) + 1,
        weights=weights,
    )
    for place in places:
        at = place.visit.day, place.visit.device, place.visit.start
        if place.breach is None and why_not(request, blocked, patient.owed, at) is not None:
            gain = weights.drop - weights.touch - weights.minute * abs(place.minutes)
            yield FillProposal(patient.id, "make_up", place.visit, None, gain, gain * (priority + 1))
            return


def _as_course(
    patient: Waiting, request: CourseRequest, occupancy: Occupancy, blocked: Occupancy, weights: RepairWeights
) -> Iterator[FillProposal]:
    if patient.plan is not None:
        occupancy, blocked = _released(patient.plan, request, occupancy), _released(patient.plan, request, blocked)
    plan = best_course(request, occupancy)
    if plan is None:
        return
    taking = [
        v
        for spec, v in zip(request.visits, plan.visits, strict=True)
        if why_not(request, blocked, spec, (v.day, v.device, v.start)) is not None
    ]
    if not taking:
        return
    before = patient.plan or best_course(request, blocked)
    gain = (request.weights.unplaced[request.priority] if before is None else before.cost) - plan.cost
    if gain <= weights.touch:
        return
    visit, kind = taking[0], _kind(request, plan, taking[0], before)
    sooner = 0 if before is None else before.visits[0].day - plan.visits[0].day
    yield FillProposal(patient.id, kind, visit, plan, gain, gain * (request.priority + 1), sooner)


def _kind(request: CourseRequest, plan: CoursePlan, visit: PlannedVisit, before: CoursePlan | None) -> FillKind:
    if visit == plan.visits[0] and request.visits[0].need == "map":
        return "mapping"
    return "new_course" if before is None else "improvement"


def _released(plan: CoursePlan, request: CourseRequest, occupancy: Occupancy) -> Occupancy:
    free = occupancy.copy()
    for spec, visit in zip(request.visits, plan.visits, strict=True):
        for session in sessions_of(spec, visit.day, visit.device, visit.start):
            free.release(session)
    return free
