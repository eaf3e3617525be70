"""The linear programme over the courses found so far: it grows with them and is solved from where it last stood."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clinic.scheduling.planner.programme import NO_LIMIT, continuous_solver, is_optimal


@dataclass(frozen=True, slots=True)
class Relaxed:
    """The optimum in fractions: its value, the share of each column, and what one more of a place would save."""

    value: float
    shares: NDArray[np.float64]
    worth: dict[int, float]


class Master:
    """Columns are courses, each with its owner; of every owner's columns one is chosen.

    A place becomes a row once more owners want it than can have it; of places wanted by the same columns one is enough.
    """

    def __init__(self, capacity: NDArray[np.int64], without: Sequence[int]) -> None:
        """capacity: how many can have a place. without: what each owner costs without a course; the first columns."""
        self._capacity, self._owners = capacity, len(without)
        self._owner = list(range(len(without)))
        self._takers: dict[int, list[int]] = defaultdict(list)
        self._row: dict[int, int] = {}
        self._touched: set[int] = set()
        self._shut: set[int] = set()
        self._solver: Any = continuous_solver()
        self._solver.setOptionValue("presolve", "off")  # it would lose where the last run stood
        for cost in without:
            self._solver.addCol(float(cost), 0.0, 1.0, 0, np.zeros(0, dtype=np.int32), np.zeros(0))
        for number in range(len(without)):
            self._solver.addRow(1.0, 1.0, 1, np.array([number], dtype=np.int32), np.ones(1))

    def add(self, owner: int, cost: int, places: NDArray[np.int64]) -> int:
        """A course and the places that it takes; answers its column."""
        column = len(self._owner)
        self._owner.append(owner)
        rows = [owner]
        for place in places.tolist():
            self._takers[place].append(column)
            self._touched.add(place)
            if place in self._row:
                rows.append(self._row[place])
        self._solver.addCol(float(cost), 0.0, 1.0, len(rows), np.array(rows, dtype=np.int32), np.ones(len(rows)))
        return column

    def solve(self, shut: Iterable[int] = ()) -> Relaxed | None:
        """The optimum without the columns that are shut; None if it was not found."""
        self._add_rows()
        self._shut_only(set(shut))
        self._solver.run()
        if not is_optimal(self._solver):
            return None
        solution = self._solver.getSolution()
        duals = solution.row_dual
        worth = {place: -duals[row] for place, row in self._row.items() if duals[row] < 0}
        return Relaxed(float(self._solver.getInfo().objective_function_value), np.array(solution.col_value), worth)

    def _add_rows(self) -> None:
        """Rows for places that the new columns have made scarce."""
        touched = sorted(self._touched)
        self._touched.clear()
        known = {(self._capacity[x], *self._takers[x]) for x in touched if x in self._row}
        for place in touched:
            takers, capacity = self._takers[place], self._capacity[place]
            if place in self._row or (capacity, *takers) in known or len({self._owner[x] for x in takers}) <= capacity:
                continue
            known.add((capacity, *takers))
            self._row[place] = self._owners + len(self._row)
            index = np.array(takers, dtype=np.int32)
            self._solver.addRow(-NO_LIMIT, float(capacity), len(index), index, np.ones(len(index)))

    def _shut_only(self, shut: set[int]) -> None:
        changed = np.array(sorted(shut ^ self._shut), dtype=np.int32)
        if len(changed):
            upper = np.array([0.0 if column in shut else 1.0 for column in changed.tolist()])
            self._solver.changeColsBounds(len(changed), changed, np.zeros(len(changed)), upper)
        self._shut = shut
