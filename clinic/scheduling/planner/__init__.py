"""The course planner: pure, exact, warm.

Build an `Occupancy` once from facts (`LocationFacts`, `DeviceFacts`, `StaffFacts`, `Booking`), keep it in memory and
tell it of every booking with `book()` and `release()`. Ask with a `CourseRequest` per patient:

- `plan_course(request, occupancy)` -> the optimal `CoursePlan`, or a `NoCourse` that says why and what would open one;
- `propose(request, occupancy, count=3)` -> `Proposal`s that differ in kind, or a `NoCourse`;
- `earliest_start(request, occupancy)` -> first day any course can start, or None;
- `question_for(protocol, occupancy, locations=, windows=, release=, busy=)` -> a `CourseRequest` for nobody in
  particular, and `earliest_starts(request, occupancy)` -> first date per location, or None there;
- `starts_with(request, occupancy, extra)` -> per location the `StartChange` that more capacity would bring; `extra` is
  `another_device(occupancy, like=)`, `another_shift(occupancy, location, (from, to), weekdays=)` or any `Extra`;
- `visits_of(protocol, visits=)` -> the visits of a course or of a part of one, for `CourseRequest.visits`;
- `opening_part(protocol)`, `next_stage(protocol, planned)`, `rest_of(protocol, delivered=, planned=, days_since=)` -> the
  `Part` that is booked first, that a prescriber may confirm next, or that is still owed after a break;
- `breaches(request, occupancy, placements)` -> every rule a course given by hand breaks;
- `start_curve(request, occupancy)` -> for each possible first day what the cheapest course then costs;
- `visit_reasons(plan, request, occupancy, bookings)` -> per visit its share of the cost and the better-looking place that
  is blocked: by which rules and bookings, what it would save and what would open it;
- `why_not_sooner(plan, request, occupancy)` -> why no course starts on the weekdays before;
- `why_this_time(plan, request, occupancy)` -> what blocks the usual time, in one line per visit that leaves it.

After an outage ask with the `RunningCourse`s that may have to move and the `Event`s (`DeviceOut`, `PersonOut`,
`SiteClosed`); none of these changes anything:

- `preview(courses, occupancy, events, now=...)` -> a `RepairPlan` at once: each visit to its nearest free place;
- `repair(courses, occupancy, events, now=..., seconds=...)` -> the cheapest `RepairPlan`: who moves, by how much, to
  where, what found no place, which gap rules would break (a clinician's approval each), and the bound beside it;
- `after(occupancy, events)` -> the occupancy as the events leave it.

For more than one patient at once:

- `plan_batch(requests, occupancy, seconds=...)` -> a `BatchPlan`: a waiting list planned together, with a bound;
- `make_ups(course, owed, occupancy, now=...)` -> `MakeUp`s: places for a session that was missed, by the gap rules;
- `fill(freed, waiting, occupancy, now=...)` -> ranked `FillProposal`s for freed slots; a confirmed patient never moves.

Days are indices from `occupancy.start` (`day_of`, `date_of` convert), times are local minutes since midnight.
"""

from clinic.scheduling.planner.batch import BatchPlan, plan_batch
from clinic.scheduling.planner.course import best_course, earliest_start, plan_course
from clinic.scheduling.planner.damage import after
from clinic.scheduling.planner.explain import relaxed
from clinic.scheduling.planner.facts import (
    ALL_DAY,
    BlockedDay,
    BlockedOption,
    BlockedStart,
    Booking,
    CostParts,
    CoursePlan,
    CourseRequest,
    DayCause,
    DeviceFacts,
    Extra,
    LocationFacts,
    NamedGap,
    NoCourse,
    PlannedVisit,
    Proposal,
    Relaxation,
    StaffFacts,
    StartChange,
    StartOption,
    VisitReason,
    VisitSpec,
    Weights,
)
from clinic.scheduling.planner.fill import FillProposal, Waiting, fill
from clinic.scheduling.planner.make_up import MakeUp, make_ups
from clinic.scheduling.planner.occupancy import Occupancy
from clinic.scheduling.planner.outlook import another_device, another_shift, earliest_starts, question_for, starts_with
from clinic.scheduling.planner.propose import propose, start_curve
from clinic.scheduling.planner.reasons import visit_reasons, why_not_sooner, why_this_time
from clinic.scheduling.planner.repair import preview, repair
from clinic.scheduling.planner.repair_facts import (
    DeviceOut,
    Event,
    GapBreach,
    PersonOut,
    RepairParts,
    RepairPlan,
    RepairWeights,
    RunningCourse,
    SiteClosed,
    VisitMove,
)
from clinic.scheduling.planner.rules import Breach, breaches, why_not
from clinic.scheduling.planner.visits import Part, Rest, next_stage, opening_part, part_of, rest_of, visits_of

__all__ = [
    "ALL_DAY",
    "BatchPlan",
    "BlockedDay",
    "BlockedOption",
    "BlockedStart",
    "Booking",
    "Breach",
    "CostParts",
    "CoursePlan",
    "CourseRequest",
    "DayCause",
    "DeviceFacts",
    "DeviceOut",
    "Event",
    "Extra",
    "FillProposal",
    "GapBreach",
    "LocationFacts",
    "MakeUp",
    "NamedGap",
    "NoCourse",
    "Occupancy",
    "Part",
    "PersonOut",
    "PlannedVisit",
    "Proposal",
    "Relaxation",
    "RepairParts",
    "RepairPlan",
    "RepairWeights",
    "Rest",
    "RunningCourse",
    "SiteClosed",
    "StaffFacts",
    "StartChange",
    "StartOption",
    "VisitMove",
    "VisitReason",
    "VisitSpec",
    "Waiting",
    "Weights",
    "after",
    "another_device",
    "another_shift",
    "best_course",
    "breaches",
    "earliest_start",
    "earliest_starts",
    "fill",
    "make_ups",
    "next_stage",
    "opening_part",
    "part_of",
    "plan_batch",
    "plan_course",
    "preview",
    "propose",
    "question_for",
    "relaxed",
    "repair",
    "rest_of",
    "start_curve",
    "starts_with",
    "visit_reasons",
    "visits_of",
    "why_not",
    "why_not_sooner",
    "why_this_time",
]
