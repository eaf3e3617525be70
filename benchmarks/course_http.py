"""How long does booking a whole course take over HTTP, against the bare transaction of the same 36 rows?

A web process as `make run` starts it (gunicorn, two processes of eight threads, Redis); `POST /api/v1/courses` of a proposal,
under an Idempotency-Key, on a connection that is kept, as the bare one's to the database is; then the same rows by nothing but SQL.

    python benchmarks/course_http.py [--upto 2000000]
"""

import sys
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.booking import Bare, bare_of, busiest_sites, people
from benchmarks.web import Web, served
from benchmarks.worlds import Took, World, median, over, parts, timed, upto, worlds
from clinic.db import db
from clinic.locations.models import Location

ROUNDS = 40
IN_A_ROW = 10  # of one clinic, then the next: four that take turns push each other out of the processor's caches
FROM = 20_000
MOST = 2.0


@dataclass
class Measured:
    """One clinic, its web process, and milliseconds of each."""

    world: World
    web: Web
    site: str
    people: list[int]
    whole: list[Took] = field(default_factory=list)
    empty: list[Took] = field(default_factory=list)
    bare: list[Took] = field(default_factory=list)

    def one_round(self, n: int) -> None:
        """Book and take back, and the bare rows beside it."""
        patient_id, booked = self.people[n], []
        proposal_id = self.web.propose(patient_id, self.site)

        def book() -> None:
            booked.append(self.web.post("/courses", {"patient_id": patient_id, "proposal_id": proposal_id}))

        self.whole.append(timed(book))
        status, course = booked[0]
        assert status == 201, course
        self.empty.append(timed(lambda: self.web.get("/locations?limit=1")))
        with self.world.entered():
            self.bare.append(self._bare(course).timed())
        status, answer = self.web.post(f"/courses/{course['id']}/cancel", {"reason": "benchmark"})
        assert status == 200, answer

    @staticmethod
    def _bare(course: Any) -> Bare:
        return bare_of(course["id"])


def prepared(world: World, stack: ExitStack) -> Measured:
    """The busiest site that gives the protocol, people for it, and the web process."""
    with world.entered():
        site = db.session.get(Location, busiest_sites(1)[0])
        assert site is not None
        slug, ids = site.slug, people(ROUNDS)
    return Measured(world, stack.enter_context(served(world)), slug, ids)


def main() -> int:
    """Print the ratio at each size and the growth; 1 where the goal is missed."""
    missed = False
    with worlds(upto(__doc__)) as found, ExitStack() as stack:
        measured = [prepared(world, stack) for world in found.values()]
        for first in range(0, ROUNDS, IN_A_ROW):
            for one in measured:
                for n in range(first, first + IN_A_ROW):
                    one.one_round(n)
    for one in measured:
        whole, bare = median(one.whole), median(one.bare)
        missed |= whole > MOST * bare
        print(
            f"{one.world.appointments:>9,} appointments: booking a course over HTTP / bare 36-row transaction = "
            f"{over(one.whole, one.bare)}, at most {MOST}"
        )
        print(f"  {parts(POST=one.whole, bare=one.bare, a_small_GET=one.empty)}")
    few, many = next((one for one in measured if one.world.rows == FROM), measured[0]), measured[-1]
    print(f"over HTTP at {many.world.rows:,} / at {few.world.rows:,} = {over(many.whole, few.whole)}")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
