"""A 0/1 programme and its solver. HiGHS is loaded when the first one is solved: planning one course never pays for it."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

NO_LIMIT = float("inf")
FIRST_WIDTHS = (10,)  # reduced costs up to which columns are searched first, and after the blocks
LAST_WIDTHS = (40, 160, 1 << 40)
SHARE = 0.4  # of the time left that one search may take
BLOCK_GAP = 0.002  # a block is searched only so far

Block = Callable[[Sequence[int]], NDArray[np.intp]]

OPTIONS = {
    "output_flag": False,
    "log_to_console": False,
    "threads": 1,
    "random_seed": 0,
    "mip_abs_gap": 0.999,
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """The best choice found (columns at one; None if none was found) and a proven bound of the objective from below."""

    chosen: tuple[int, ...] | None
    objective: int | None
    bound: int


@dataclass(slots=True)
class Programme:
    """Minimise the sum of the costs of the chosen columns so that every row keeps its limits."""

    costs: list[int] = field(default_factory=list)
    _starts: list[int] = field(default_factory=lambda: [0])
    _columns: list[int] = field(default_factory=list)
    _values: list[int] = field(default_factory=list)
    _lower: list[float] = field(default_factory=list)
    _upper: list[float] = field(default_factory=list)

    def column(self, cost: int) -> int:
        """A new column; answers its number."""
        self.costs.append(cost)
        return len(self.costs) - 1

    def at_most(self, columns: Sequence[int], limit: int) -> None:
        """No more than `limit` of these are chosen."""
        self._row(columns, [1] * len(columns), -NO_LIMIT, limit)

    def exactly_one(self, columns: Sequence[int]) -> None:
        """One of these is chosen."""
        self._row(columns, [1] * len(columns), 1, 1)

    def as_many(self, these: Sequence[int], as_those: Sequence[int]) -> None:
        """As many of the first are chosen as of the second."""
        self._row([*these, *as_those], [1] * len(these) + [-1] * len(as_those), 0, 0)

    def _row(self, columns: Sequence[int], values: Sequence[int], lower: float, upper: float) -> None:
        self._columns.extend(columns)
        self._values.extend(values)
        self._starts.append(len(self._columns))
        self._lower.append(lower)
        self._upper.append(upper)

    def solve(
        self,
        *,
        seconds: float = NO_LIMIT,
        nodes: int | None = None,
        start: Sequence[int] | None = None,
        blocks: Sequence[Block] = (),
        prove: bool = True,
    ) -> Outcome:
        """Solve to proven optimality, or to the limits. `start`: columns of a known choice to begin with.

        The linear relaxation comes first; then only columns with a small reduced cost are searched, more of them if
        that proves too few. blocks: parts of the programme to be searched in turn, the rest as it is in the best
        choice, until none gets better; each answers its columns for a choice. prove: go on to all columns.
        The same programme with the same `nodes` gives the same answer, unless `seconds` cuts in.
        """
        if not self.costs:
            return Outcome((), 0, 0)
        until = time.monotonic() + seconds
        best = None if start is None else tuple(sorted(start))
        relaxed = self._relaxed(seconds)
        if relaxed is None:
            return Outcome(best, None if best is None else self.cost(best), 0)
        value, reduced = relaxed
        bound = max(0, ceil(value - 1e-6))
        for width in (*FIRST_WIDTHS, None, *(LAST_WIDTHS if prove else ())):
            left = until - time.monotonic()
            if left <= 0 or (best is not None and self.cost(best) <= bound):
                break
            if width is None:
                if best is not None:
                    best = self._block_by_block(best, blocks, until, nodes)
                continue
            allowed = reduced <= width
            allowed[list(best or ())] = True
            whole = bool(allowed.all())
            found, proven = self._searched(np.flatnonzero(allowed), best, left if whole else left * SHARE, nodes)
            best = found or best
            # whoever takes a column left out pays its reduced cost on top of the relaxation
            bound = max(bound, proven if whole else min(proven, ceil(value + width - 1e-6)))
        objective = None if best is None else self.cost(best)
        return Outcome(best, objective, bound if objective is None else min(bound, objective))

    def _block_by_block(
        self, best: tuple[int, ...], blocks: Sequence[Block], until: float, nodes: int | None
    ) -> tuple[int, ...]:
        """Search every block in turn, from the first one again after a gain, until none of them gets better."""
        since, i = 0, 0
        while since < len(blocks):
            left = until - time.monotonic()
            if left <= 0:
                break
            found, _ = self._searched(blocks[i](best), best, left * SHARE, nodes, gap=BLOCK_GAP)
            better = found is not None and self.cost(found) < self.cost(best)
            best, since = (found, 0) if found is not None and better else (best, since + 1)
            i = (i + 1) % len(blocks)
        return best

    def cost(self, chosen: Sequence[int]) -> int:
        """Sum of the costs of these columns."""
        return sum(self.costs[x] for x in chosen)

    def _relaxed(self, seconds: float) -> tuple[float, NDArray[np.float64]] | None:
        """Value of the linear relaxation and the reduced cost of each column; None if it was not solved."""
        solver = _solver(seconds)
        solver.passModel(self._model(np.arange(len(self.costs)), whole=False))
        solver.run()
        if not is_optimal(solver):
            return None
        return float(solver.getInfo().objective_function_value), np.array(solver.getSolution().col_dual)

    def _searched(
        self,
        columns: NDArray[np.intp],
        start: Sequence[int] | None,
        seconds: float,
        nodes: int | None,
        *,
        gap: float = 0.0,
    ) -> tuple[tuple[int, ...] | None, int]:
        """The best choice among these columns, and a bound of all choices among them."""
        solver = _solver(seconds)
        solver.setOptionValue("mip_rel_gap", gap)
        if nodes is not None:
            solver.setOptionValue("mip_max_nodes", nodes)
        solver.passModel(self._model(columns, whole=True))
        if start is not None:
            values = np.isin(columns, np.array(start, dtype=np.intp)).astype(np.double)
            solver.setSolution(len(values), np.arange(len(values), dtype=np.int32), values)
        solver.run()
        info, highs = solver.getInfo(), _highs()
        if solver.getModelStatus() == highs.HighsModelStatus.kInfeasible:
            return None, sum(self.costs)
        bound = max(0, ceil(info.mip_dual_bound - 1e-6)) if np.isfinite(info.mip_dual_bound) else 0
        if info.primal_solution_status != highs.SolutionStatus.kSolutionStatusFeasible:
            return None, bound
        taken = columns[np.array(solver.getSolution().col_value) > 0.5]
        return tuple(int(x) for x in taken), bound

    def _model(self, columns: NDArray[np.intp], *, whole: bool) -> Any:
        highs = _highs()
        place = np.full(len(self.costs), -1, dtype=np.int32)
        place[columns] = np.arange(len(columns), dtype=np.int32)
        index, value = place[np.array(self._columns, dtype=np.intp)], np.array(self._values, dtype=np.double)
        here = index >= 0
        rows = np.repeat(np.arange(len(self._lower)), np.diff(self._starts))[here]
        model = highs.HighsLp()
        model.num_col_, model.num_row_ = len(columns), len(self._lower)
        model.col_cost_ = np.array(self.costs, dtype=np.double)[columns]
        model.col_lower_, model.col_upper_ = np.zeros(len(columns)), np.ones(len(columns))
        model.row_lower_, model.row_upper_ = np.array(self._lower), np.array(self._upper)
        model.a_matrix_.format_ = highs.MatrixFormat.kRowwise
        counts = np.bincount(rows, minlength=len(self._lower))
        model.a_matrix_.start_ = np.concatenate(([0], np.cumsum(counts))).astype(np.int32)
        model.a_matrix_.index_ = index[here]
        model.a_matrix_.value_ = value[here]
        if whole:
            model.integrality_ = [highs.HighsVarType.kInteger] * len(columns)
        return model


def continuous_solver() -> Any:
    """An empty solver for a programme without whole numbers."""
    return _solver(NO_LIMIT)


def is_optimal(solver: Any) -> bool:
    """True if the last run found the optimum."""
    return bool(solver.getModelStatus() == _highs().HighsModelStatus.kOptimal)


def _highs() -> Any:
    import highspy

    return highspy


def _solver(seconds: float) -> Any:
    solver = _highs().Highs()
    for name, value in OPTIONS.items():
        solver.setOptionValue(name, value)
    if seconds != NO_LIMIT:
        solver.setOptionValue("time_limit", max(0.0, seconds))
    return solver
