"""Does the sweep that finds due reminders grow with the clinic's history, or only with what lies ahead?

At the hour at which each clinic was built, everything due written before: the sweep asks every question and finds nothing new.
A network of forty sites has more ahead than four sites have, so the times are also held against the visits of the next
two days. `reminders` measures the same visits with and without a long history.

    python benchmarks/sweep.py [--upto 2000000]
"""

import sys
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from sqlalchemy import text

from benchmarks.worlds import Took, World, over, parts, processor, timed, upto, worlds
from clinic import clock
from clinic.db import db
from clinic.reminders import ledger

ROUNDS = 12
AHEAD = text(
    "SELECT count(*) FROM treatment_sessions WHERE state IN ('booked', 'confirmed')"
    " AND starts_at BETWEEN :now AND cast(:now AS timestamptz) + interval '2 days'"
)
ROWS = text(
    "SELECT id, patient_id, starts_at, state FROM treatment_sessions WHERE state IN ('booked', 'confirmed')"
    " AND starts_at BETWEEN :now AND cast(:now AS timestamptz) + interval '2 days'"
)


@dataclass
class Measured:
    """One clinic, its visits of two days, and milliseconds of each."""

    world: World
    ahead: int = 0
    all: list[Took] = field(default_factory=list)
    urgent: list[Took] = field(default_factory=list)
    bare: list[Took] = field(default_factory=list)

    def one_round(self) -> None:
        """Both sweeps, and the rows of two days alone."""
        with self.world.entered():
            self.bare.append(timed(lambda: db.session.execute(ROWS, {"now": clock.now()}).all()))
            db.session.remove()
            self.all.append(timed(ledger.sweep))
            self.urgent.append(timed(ledger.sweep_urgent))


def main() -> int:
    """Print the time at each size and the growth for each visit ahead."""
    with worlds(upto(__doc__), only=(20_000, 200_000, 2_000_000)) as found:
        measured = [Measured(world) for world in found.values()]
        for _ in range(ROUNDS):
            for one in measured:
                one.one_round()
        for one in measured:
            with one.world.entered():
                one.ahead = db.session.scalar(AHEAD, {"now": clock.now()}) or 1
    for one in measured:
        print(
            f"{one.world.appointments:>9,} appointments: sweep / fetching the visits of two days = "
            f"{over(one.all, one.bare)}"
        )
        print(
            f"  {parts(sweep=one.all, what_someone_waits_for=one.urgent, rows_alone=one.bare)}   "
            f"{one.ahead:,} visits in two days"
        )
    few, many = measured[0], measured[-1]
    print(
        f"sweep for each visit ahead, {many.world.rows:,} / {few.world.rows:,} appointments = "
        f"{processor(many.all) / many.ahead / (processor(few.all) / few.ahead):.2f}; all together {over(many.all, few.all)}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
