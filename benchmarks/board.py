"""How long does the day board of 200 sessions take on the server, against fetching its rows and nothing else? Does it grow?

In clinics of each size a site with ten devices and a full day is added; the application is asked for the page, for what changed,
and for nothing new, as a signed-in desk.

    python benchmarks/board.py [--upto 2000000]
"""

import gzip
import json
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from flask.testing import FlaskClient

from benchmarks.worlds import Took, World, median, over, parts, timed, upto, worlds
from clinic import clock
from clinic.db import db
from clinic.locations.models import Location
from clinic.scheduling import board, queries
from clinic.staff import sessions
from tests.builders import (
    course_sessions,
    make_course,
    make_device,
    make_location,
    make_patient,
    make_shifts,
    make_staff,
)

LANES, A_LANE = 10, 20
ROUNDS = 30
FROM = 20_000
MOST_MS = 300.0
MOST_PAGE, MOST_UPDATE = 60_000, 15_000  # bytes, compressed


def full_day(noon: datetime) -> Location:
    """One site, ten devices, twenty sessions on each, ten people on shift."""
    site = make_location(name="Fullerton", slug="full-day")
    for _ in range(LANES):
        device = make_device(site)
        make_shifts(make_staff("operator", skills=("tms", "map")), site)
        for n in range(A_LANE):
            start = noon.replace(hour=16) + timedelta(minutes=28 * n)
            course = make_course(make_patient(), [start], device=device, planned_sessions=36, state="running")
            course_sessions(course)[0].state = "completed" if start < noon - timedelta(hours=1) else "booked"
    db.session.commit()
    return site


def sign_in(client: FlaskClient, site: Location) -> None:
    user = make_staff("front_desk", locations=(site,))
    token = sessions.open_within_transaction(user.id, methods=["password"], address="127.0.0.1", browser="benchmark")
    db.session.commit()
    with client.session_transaction() as cookie:
        cookie.update(_user_id=user.fs_uniquifier, _fresh=True, fs_cc="set", fs_paa=clock.now().timestamp())
        cookie["identity.id"] = user.fs_uniquifier
        cookie["staff_session"] = token


def fetched(client: FlaskClient, path: str, status: int = 200) -> bytes:
    answer = client.get(path)
    assert answer.status_code == status, answer.status
    return answer.data


@dataclass
class Measured:
    """One clinic, its full day, and milliseconds of each."""

    world: World
    site: int
    noon: datetime
    client: FlaskClient
    version: int = 0
    page: bytes = b""
    update: bytes = b""
    whole: list[Took] = field(default_factory=list)
    part: list[Took] = field(default_factory=list)
    nothing: list[Took] = field(default_factory=list)
    bare: list[Took] = field(default_factory=list)

    def one_round(self) -> None:
        """The rows alone, the page, what changed, and nothing new."""
        with self.world.entered(), clock.frozen(self.noon):
            day, get = f"/staff/day/full-day/{self.noon.date()}", partial(fetched, self.client)
            self.page, self.update = get(day), get(f"{day}/changes?v=0")
            self.bare.append(timed(self.rows_alone))
            self.whole.append(timed(partial(get, day)))
            self.part.append(timed(partial(get, f"{day}/changes?v=0")))
            self.nothing.append(timed(partial(get, f"{day}/changes?v={self.version}", 204)))

    def rows_alone(self) -> bytes:
        """The baseline: the one statement that reads the day, as JSON."""
        rows = queries.day_list(self.site, self.noon.date())
        assert len(rows) == LANES * A_LANE
        db.session.remove()
        return json.dumps([vars(row) for row in rows], default=str).encode()


def prepared(world: World) -> Measured:
    """The full day lies on the next Monday, noon in California."""
    with world.entered():
        monday = clock.now().date() + timedelta(days=7 - clock.now().weekday())
        noon = datetime.combine(monday, time(20), tzinfo=UTC)
        with clock.frozen(noon):
            site, client = full_day(noon), world.app.test_client()
            sign_in(client, site)
            return Measured(world, site.id, noon, client, board.version_of(site.id))


def main() -> int:
    """Print each ratio and its parts; 1 where the page is too slow or too large."""
    missed = False
    with worlds(upto(__doc__)) as found:
        measured = [prepared(world) for world in found.values()]
        for _ in range(ROUNDS):
            for one in measured:
                one.one_round()
    for one in measured:
        sizes = len(gzip.compress(one.page)), len(gzip.compress(one.update))
        missed |= median(one.whole) > MOST_MS or sizes[0] > MOST_PAGE or sizes[1] > MOST_UPDATE
        print(
            f"{one.world.appointments:>9,} appointments: board page of {LANES * A_LANE} sessions / its rows alone = {over(one.whole, one.bare)}"
        )
        print(
            f"  {parts(page=one.whole, rows_alone=one.bare, what_changed=one.part, nothing_new=one.nothing)}, "
            f"which each open board asks every 1.5 s; at most {MOST_MS:.0f}"
        )
    print(
        f"  page {len(one.page) / 1000:.0f} KB, compressed {sizes[0] / 1000:.1f}; update compressed {sizes[1] / 1000:.1f} KB"
    )
    few = next((one for one in measured if one.world.rows == FROM), measured[0])
    growth = over(measured[-1].whole, few.whole)
    print(f"page at {measured[-1].world.rows:,} / at {few.world.rows:,} appointments = {growth}")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
