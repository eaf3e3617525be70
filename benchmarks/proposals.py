"""How long does proposing whole courses take on the warm calendar of a real site, against planning one by hand?

At the busiest site of each clinic, each question another one: the exact optimum on a grid of five minutes (`one course`), what
the desk asks for (three courses of different kinds, read, planned, explained and stored), and one course found by hand as
`planner_online` does, on the same calendar.

    python benchmarks/proposals.py [--upto 2000000]
"""

import sys
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.booking import PROTOCOL, busiest_sites, people, wish_at
from benchmarks.planner_online import visits_by_hand
from benchmarks.worlds import Took, World, median, over, parts, timed, upto, worlds
from clinic import clock
from clinic.db import db
from clinic.scheduling import capacity, operations, wishes
from clinic.scheduling.planner import best_course
from tests.builders import TESTER

ROUNDS = 30
MOST_MS = 15.0


@dataclass
class Measured:
    """One clinic, the site, and milliseconds of each."""

    world: World
    site: int
    people: list[int]
    one: list[Took] = field(default_factory=list)
    three: list[Took] = field(default_factory=list)
    warm: list[Took] = field(default_factory=list)
    hand: list[Took] = field(default_factory=list)

    def one_round(self, n: int) -> None:
        """One question, asked and answered in each way."""
        with self.world.entered():
            start = clock.now().date() + timedelta(days=2 + n)
            wish = wishes.checked(wish_at(self.site, earliest_start=start))
            protocol = wishes.protocol_of(PROTOCOL)
            self.warm.append(timed(lambda: capacity.snapshot({self.site}, until=start)))
            state = capacity.snapshot({self.site}, until=start)
            request = wishes.course_request(wish, protocol, state, operations.busy(self.people[n], state))
            db.session.remove()
            self.one.append(timed(lambda: best_course(request, state.occupancy)))
            self.hand.append(timed(lambda: visits_by_hand(request, state.occupancy)))
            self.three.append(timed(partial(operations.propose_courses, self.people[n], wish, by=TESTER)))


def prepared(world: World) -> Measured:
    """The busiest site that gives the protocol, and people for it."""
    with world.entered():
        return Measured(world, busiest_sites(1)[0], people(ROUNDS))


def main() -> int:
    """Print the ratio at each size; 1 where one course takes too long."""
    missed = False
    with worlds(upto(__doc__), only=(20_000, 200_000, 2_000_000)) as found:
        measured = [prepared(world) for world in found.values()]
        for n in range(ROUNDS):
            for one in measured:
                one.one_round(n)
    for one in measured:
        missed |= median(one.one) > MOST_MS
        print(
            f"{one.world.appointments:>9,} appointments: the exact optimum of one course / by hand = "
            f"{over(one.one, one.hand)}; {median(one.one):.1f} ms, at most {MOST_MS:.0f}"
        )
        print(
            f"  {parts(one_course=one.one, by_hand=one.hand, reading_the_warm_calendar=one.warm)}\n"
            f"  {parts(three_courses_planned_explained_stored=one.three)}"
        )
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
