"""Courses that are planned together: who stands where, on an occupancy of their own."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from clinic.scheduling.planner.damage import sessions_of
from clinic.scheduling.planner.facts import Booking, CoursePlan, CourseRequest
from clinic.scheduling.planner.occupancy import Occupancy
from clinic.scheduling.planner.placement import place
from clinic.scheduling.planner.search import solve
from clinic.scheduling.planner.table import Table

Plans = dict[str, CoursePlan]


def bookings_of(request: CourseRequest, plan: CoursePlan) -> list[Booking]:
    """What a planned course takes from the calendar."""
    return [
        session
        for spec, visit in zip(request.visits, plan.visits, strict=True)
        for session in sessions_of(spec, visit.day, visit.device, visit.start)
    ]


def optimum(table: Table) -> CoursePlan | None:
    """The cheapest course of a table, by its own prices."""
    found = solve(table)
    return None if found is None else place(*found)


class Roster:
    """Plans of some of the requests, booked in `occupancy`; `free` is the calendar without them."""

    def __init__(self, requests: Mapping[str, CourseRequest], occupancy: Occupancy) -> None:
        self.requests = requests
        self.free, self.occupancy = occupancy, occupancy.copy()
        self.plans: Plans = {}
        self.seen: dict[str, dict[tuple[object, ...], CoursePlan]] = {x: {} for x in requests}
        self.held: dict[tuple[str, int], dict[str, list[tuple[int, int]]]] = defaultdict(dict)
        self.cost = sum(self.unplaced_price(x) for x in requests)

    def unplaced_price(self, patient: str) -> int:
        """What it costs to leave a patient without a course."""
        request = self.requests[patient]
        return request.weights.unplaced[request.priority]

    def price(self, patient: str) -> int:
        """What the patient costs as it stands."""
        plan = self.plans.get(patient)
        return self.unplaced_price(patient) if plan is None else plan.cost

    def best(self, patient: str) -> CoursePlan | None:
        """The cheapest course on what is free now; remembered in `seen`."""
        plan = optimum(Table(self.requests[patient], self.occupancy))
        if plan is not None:
            self.seen[patient][tuple((v.day, v.device, v.start) for v in plan.visits)] = plan
        return plan

    def insert(self, patient: str, plan: CoursePlan | None) -> None:
        """Book a plan; None leaves the patient unplaced, as does one dearer than that."""
        if plan is None or plan.cost >= self.unplaced_price(patient):
            return
        bookings = bookings_of(self.requests[patient], plan)
        self.occupancy.change(added=bookings)
        for b in bookings:
            self.held[b.device, b.day].setdefault(patient, []).append((b.start, b.start + b.duration))
        self.cost += plan.cost - self.unplaced_price(patient)
        self.plans[patient] = plan

    def remove(self, patients: Iterable[str]) -> None:
        """Take plans out; who has none is passed over."""
        gone = [(x, self.plans.pop(x)) for x in patients if x in self.plans]
        freed = {x: bookings_of(self.requests[x], plan) for x, plan in gone}
        self.occupancy.change(removed=[b for bookings in freed.values() for b in bookings])
        for patient, bookings in freed.items():
            for b in bookings:
                self.held[b.device, b.day].pop(patient, None)
        self.cost += sum(self.unplaced_price(x) - plan.cost for x, plan in gone)

    def restore(self, plans: Plans, patients: Iterable[str]) -> None:
        """Put these patients back to what they have in `plans`."""
        wanted = sorted(set(patients))
        self.remove(wanted)
        for patient in wanted:
            self.insert(patient, plans.get(patient))

    def blockers(self, patient: str, plan: CoursePlan) -> list[str]:
        """Patients who hold something that the plan needs, in order; of a full staff pool one per visit."""
        found: dict[str, None] = {}
        for booking in bookings_of(self.requests[patient], plan):
            device = self.occupancy.device(booking.device)
            end = booking.start + booking.duration
            mine = [
                other
                for other, a, b in self._on(booking.device, booking.day)
                if other != patient and a < end + device.turnover and booking.start < b + device.turnover
            ]
            found.update(dict.fromkeys(mine))
            if not mine and self._crowds(booking):
                near = [
                    other
                    for x in self.occupancy.devices
                    if x.location == device.location
                    for other, a, b in self._on(x.id, booking.day)
                    if other != patient and a < end and booking.start < b
                ]
                if near and not found.keys() & set(near):
                    found[near[0]] = None
        return list(found)

    def _on(self, device: str, day: int) -> list[tuple[str, int, int]]:
        return [
            (other, start, end)
            for other, sessions in self.held.get((device, day), {}).items()
            for start, end in sessions
        ]

    def _crowds(self, booking: Booking) -> bool:
        """True if the staff pool has no room for this session."""
        if booking.need is None:
            return False
        occupancy, i = self.occupancy, self.occupancy.device_index[booking.device]
        slots = occupancy.outward(booking.start, booking.start + booking.duration)
        runs = occupancy.staff_free_run[booking.need][int(occupancy.device_location[i]), booking.day]
        return bool(runs[slots.start] < slots.stop - slots.start)
