"""One patient's question asked again and again, at other prices: what the prices do not change is worked out once."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from clinic.scheduling.planner.facts import CoursePlan, CourseRequest, Weights
from clinic.scheduling.planner.occupancy import Occupancy
from clinic.scheduling.planner.placement import placed_for
from clinic.scheduling.planner.search import earliest_day, know_least, solve
from clinic.scheduling.planner.table import INF, Ints, StartClass, Table

SCALE = 8  # prices are whole numbers of an eighth of the objective's unit
POOLS = ("tms", "map", "obs")

Prices = Mapping[str, NDArray[np.int32]]


@dataclass(frozen=True, slots=True)
class Limits:
    """A part of a patient's courses.

    homes: devices (indices) that may be home, None = all. anchors: first and last minute that may be the usual time.
    starts: first and last day that may have the first visit. closed: numbers of places that it may not take.
    """

    homes: frozenset[int] | None = None
    anchors: tuple[int, int] = (0, 1440)
    starts: tuple[int, int] = (0, 1 << 20)
    closed: frozenset[int] = frozenset()


ALL = Limits()


class Tariff:
    """Prices of each resource, day and slot, summed along the day: the price of a session is one difference."""

    def __init__(self, prices: Prices) -> None:
        self._summed: dict[str, Ints] = {}
        for name, by_slot in prices.items():
            summed = np.zeros((*by_slot.shape[:2], by_slot.shape[2] + 1), dtype=np.int32)
            np.cumsum(by_slot, axis=2, out=summed[:, :, 1:])
            self._summed[name] = summed

    def of(self, table: Table, starts: StartClass) -> Ints:
        """[device, day, start]: the price of all that a visit takes."""
        occupancy, visit = table.occupancy, starts.visit
        found = np.zeros(starts.mask.shape, dtype=np.int32)
        needs = [x for x in (("tms", "map") if visit.need == "map" else (visit.need,)) if x in self._summed]
        for row, device in enumerate(starts.devices):
            site, turnover = int(occupancy.device_location[device]), occupancy.devices[device].turnover
            taken = [("device", int(device), visit.duration + turnover), *((x, site, visit.duration) for x in needs)]
            for name, at, minutes in taken:
                summed = self._summed[name][at, table.first_day :]
                if summed[:, -1].any():
                    for offset in visit.offsets:
                        first, last = _slots(table, offset, minutes)
                        found[row] += summed[:, last] - summed[:, first]
        return found


def _slots(table: Table, offset: int, minutes: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Per start the first slot that a session of so many minutes takes, and the first after it."""
    key = "slots", offset, minutes
    if key not in table.lasting:
        occupancy, unit = table.occupancy, table.occupancy.unit
        starts = table.first_start + offset + np.arange(table.count) * occupancy.grid - occupancy.low
        ends = -(-(starts + minutes) // unit)
        table.lasting[key] = np.clip(starts // unit, 0, occupancy.slots), np.clip(ends, 0, occupancy.slots)
    slots: tuple[NDArray[np.intp], NDArray[np.intp]] = table.lasting[key]
    return slots


class Bidder:
    """A patient who answers prices with the cheapest course, on a calendar that stays as it is.

    often: whether enough answers are wanted to prepare for them.
    """

    def __init__(self, request: CourseRequest, occupancy: Occupancy, *, often: bool) -> None:
        self.request, self.occupancy = request, occupancy
        self._tables = {ALL: Table(_scaled(request), occupancy)}
        self._earliest = earliest_day(self._tables[ALL])
        if often:
            know_least(self._tables[ALL])

    @property
    def homes(self) -> frozenset[int]:
        """Devices worth being home."""
        return frozenset(self._tables[ALL].homes)

    def cheapest(self, tariff: Tariff, limits: Limits = ALL, below: int = INF) -> tuple[int, CoursePlan] | None:
        """What the cheapest course costs with these prices (scaled), and the course; None: none costs below that.

        Closed places are left to the tariff.
        """
        limits = replace(limits, closed=frozenset())
        if limits not in self._tables:
            minutes = self._tables[ALL].first_start + np.arange(self._tables[ALL].count) * self.occupancy.grid
            inside = (minutes >= limits.anchors[0]) & (minutes <= limits.anchors[1])
            self._tables[limits] = self._tables[ALL].only(limits.homes, inside)
        table = self._tables[limits]
        first, last = (day - table.first_day for day in limits.starts)
        dearer = table.dearer([tariff.of(table, c) for c in table.classes])
        found = solve(dearer, max(0, first), max(0, last + 1), below)
        if found is None or self._earliest is None:
            return None
        return found[0].cost, placed_for(self.request, found[0], self._earliest)


def _scaled(request: CourseRequest) -> CourseRequest:
    """The request with every price in eighths."""
    w = request.weights
    wait, late = tuple(SCALE * x for x in w.wait), tuple(SCALE * x for x in w.late)
    weights = Weights(
        wait=(wait[0], wait[1], wait[2]),
        late=(late[0], late[1], late[2]),
        gap=SCALE * w.gap,
        tod=SCALE * w.tod,
        dev=SCALE * w.dev,
        loc=SCALE * w.loc,
        pref=SCALE * w.pref,
        unplaced=w.unplaced,
    )
    return replace(request, weights=weights, locations={x: SCALE * p for x, p in request.locations.items()})
