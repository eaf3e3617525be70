"""How long does booking a whole course take, against the bare transaction that writes the same 36 rows? Does it grow?

In clinics of about 1,000, 20,000, 200,000 and 2,000,000 appointments, in turn, so that all are measured under the same load:
the operation, then the same rows written by nothing but SQL; both are taken back. Growth is between the largest and 20,000.

    python benchmarks/course_commit.py [--upto 2000000]
"""

import sys
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.booking import bare_of, busiest_sites, people, wish_at
from benchmarks.worlds import Took, World, median, over, parts, timed, upto, worlds
from clinic.db import db
from clinic.scheduling import operations, queries
from tests.builders import TESTER

ROUNDS = 40
FROM = 20_000
MOST_GROWTH = 1.5


@dataclass
class Measured:
    """One clinic: where is booked, for whom, and milliseconds of each."""

    world: World
    site: int
    people: list[int]
    whole: list[Took] = field(default_factory=list)
    bare: list[Took] = field(default_factory=list)
    proposing: list[Took] = field(default_factory=list)

    def one_round(self, n: int) -> None:
        """Book and take back, and the bare rows beside it."""
        patient_id, wish = self.people[n % len(self.people)], wish_at(self.site)
        with self.world.entered():
            self.proposing.append(timed(partial(operations.propose_courses, patient_id, wish, by=TESTER)))
            offer = operations.propose_courses(patient_id, wish, by=TESTER)
            db.session.remove()
            book = partial(operations.book_course, patient_id, proposal_id=offer.proposal_ids[0], by=TESTER)
            self.whole.append(timed(book))
            course_id = queries.courses_of(patient_id)[0].id
            self.bare.append(bare_of(course_id).timed())
            operations.cancel_course(course_id, reason="benchmark", by=TESTER)


def prepared(world: World) -> Measured:
    """The busiest site that gives the protocol, and people for it."""
    with world.entered():
        return Measured(world, busiest_sites(1)[0], people(ROUNDS))


def main() -> int:
    """Print the ratio at each size and the growth; 1 where it grows too much."""
    with worlds(upto(__doc__)) as found:
        measured = [prepared(world) for world in found.values()]
        for n in range(ROUNDS):
            for one in measured:
                one.one_round(n)
    for one in measured:
        print(
            f"{one.world.appointments:>9,} appointments: whole-course commit / bare 36-row transaction = {over(one.whole, one.bare)}"
        )
        print(f"  {parts(operation=one.whole, bare=one.bare, three_proposals_before_it=one.proposing)}")
    return grown(measured)


def grown(measured: list[Measured]) -> int:
    """Print how much longer it takes in the largest clinic; 1 where that is too much."""
    few = next((one for one in measured if one.world.rows == FROM), measured[0])
    many = measured[-1]
    growth = median(many.whole) / median(few.whole)
    print(
        f"commit at {many.world.rows:,} / at {few.world.rows:,} = {over(many.whole, few.whole)}, at most {MOST_GROWTH}; bare {over(many.bare, few.bare)}"
    )
    return int(growth > MOST_GROWTH)


if __name__ == "__main__":
    sys.exit(main())
