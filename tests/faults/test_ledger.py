"""Everything that can die dies while messages go out: none is lost, and none goes out twice beyond the stated case.

Counted at the gateway against the ledger. A message may be accepted twice only where a worker died, or the gateway lied,
and the gateway does not say what it holds; then it is the same reference with the same words. The seed is printed.
"""

import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from flask import Flask
from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy import func, select, text
from sqlalchemy.exc import SQLAlchemyError

from clinic import clock, jobs
from clinic.config import Settings
from clinic.db import db
from clinic.embedded.postgres import PostgresServer
from clinic.embedded.redis import RedisServer
from clinic.jobs import Job
from clinic.reminders import ledger, receipts
from clinic.reminders.models import Lane, Message
from clinic.tasks.models import Task
from tests import many_visits
from tests.conftest import create_database, make_app
from tests.faults.parts import Parts, kill, pause, wait
from tests.gateway import HANG_UP, FakeGateway

pytestmark = [pytest.mark.faults, pytest.mark.embedded]

START = datetime(2026, 11, 24, 0, 5, tzinfo=UTC)  # Monday, 16:05 in Los Angeles
TOMORROW = datetime(2026, 11, 24, 18, tzinfo=UTC)
CHANGES = {  # of the clocks: five past four on the eve, and ten o'clock on the day
    "back": (datetime(2026, 10, 31, 23, 5, tzinfo=UTC), datetime(2026, 11, 1, 18, tzinfo=UTC)),
    "forward": (datetime(2026, 3, 8, 0, 5, tzinfo=UTC), datetime(2026, 3, 8, 17, tzinfo=UTC)),
}
AFTER = ledger.STUCK_AFTER + timedelta(minutes=1)  # claims of the dead are taken back by then
FULL, SMALL = 2000, 60
SEED = int(os.environ.get("SEED", "1"))


@dataclass
class Scene:
    """What a scenario may touch."""

    rng: random.Random
    parts: Parts
    gateways: list[FakeGateway]
    postgres: PostgresServer
    redis: RedisServer
    app: Flask
    count: int
    workers: int
    start: datetime
    at: datetime
    deaths: int = 0  # of workers: each may hold a batch
    stop: threading.Event = field(default_factory=threading.Event)

    def accepted(self) -> int:
        return sum(len(gateway.accepted) for gateway in self.gateways)

    def reached(self, share: float) -> bool:
        return self.accepted() >= share * self.count

    def points(self, times: int) -> list[float]:
        """Shares of the way at which something happens."""
        return sorted(self.rng.uniform(0.05, 0.85) for _ in range(times))

    def kill_a_worker(self) -> None:
        """And start another one in its place."""
        alive = [part for part in self.parts.workers if part.poll() is None]
        kill(self.rng.choice(alive))
        self.deaths += 1
        self.parts.worker(self.at)


@contextmanager
def scene(
    settings: Settings,
    postgres: PostgresServer,
    redis: RedisServer,
    template: Callable[[PostgresServer], str],
    root: Path,
    folder: Path,
    *,
    count: int,
    workers: int,
    gateways: int = 1,
    start: datetime = START,
    visits: datetime = TOMORROW,
) -> Iterator[Scene]:
    """People with a visit tomorrow, each with a message that is due, and nothing that runs yet."""
    print(f"seed {SEED}, {count} messages, {workers} workers")
    url = template(postgres)
    app = make_app(replace(settings, database_url=url, redis_url=redis.url, public_url="https://clinic.example.org"))
    with app.app_context():
        fakes = [FakeGateway() for _ in range(gateways)]
        for fake in fakes:
            fake.__enter__()
            fake.lists, fake.now = True, clock.now
        parts = Parts(app.config["SETTINGS"], root, folder, fakes, CLINIC_PUBLIC_URL="https://clinic.example.org")
        made = Scene(random.Random(SEED), parts, fakes, postgres, redis, app, count, workers, start, start)
        try:
            with clock.frozen(start):
                visit_id = many_visits.prepare()
                many_visits.people(1, count)
                many_visits.visits(visit_id, 1, count, visits, each=timedelta(hours=5) / count, state="booked")
                ledger.sweep()
            yield made
        finally:
            made.stop.set()
            parts.end()
            for fake in fakes:
                fake.__exit__()
            db.session.remove()
            db.engine.dispose()


def ring(times: int = 1) -> None:
    """As the sweep does; a broker that is away hears nothing."""
    for _ in range(times):
        jobs.ring(Job.SEND_NORMAL)


def unsent() -> int:
    try:
        db.session.rollback()
        waits = select(func.count()).where(Message.state != "sent", Message.purpose == "day_before")
        return db.session.scalar(waits) or 0
    except SQLAlchemyError:
        db.session.remove()
        return -1


def go_on_to_the_end(at: Scene, seconds: float, *, fresh: bool = True) -> None:
    """What the dead held is due again eleven minutes later; then everything goes out."""
    if fresh:
        for part in at.parts.running:
            kill(part)
        at.at = at.start + AFTER
        for _ in range(min(at.workers, 2)):
            at.parts.worker(at.at)
    last = [0.0]

    def nudge() -> None:
        if time.monotonic() - last[0] > 2:
            last[0] = time.monotonic()
            jobs.ring(Job.SWEEP_REMINDERS)
            ring()

    wait(lambda: unsent() == 0, "the rest", seconds, between=nudge)


def written_down() -> set[str]:
    """References of messages that are known to be sent, or to be in doubt."""
    db.session.rollback()
    known = select(Message.reference).where((Message.state == "sent") | Message.unsure_of.is_not(None))
    return {str(reference) for reference in db.session.scalars(known)}


def count_against_the_ledger(at: Scene, *, most_doubled: int = 0) -> None:
    """None lost, none doubled beyond the stated case."""
    # Workers may still be at other messages: what was taken until now is counted, once it is written down.
    taken = [request for gateway in at.gateways for request in list(gateway.accepted)]
    accepted = Counter(request.reference for request in taken)
    said = {(request.reference, request.form["To"], request.form["Body"]) for request in taken}
    # Under a clock that ran ahead others went out early and their worker died: the row says that it is in doubt.
    wait(lambda: set(accepted) <= written_down(), "what was taken to be written down", 30)
    db.session.rollback()
    rows = db.session.execute(select(Message.reference, Message.purpose, Message.state)).all()
    references = {str(row.reference) for row in rows if row.purpose == "day_before"}
    doubled = sum(count - 1 for count in accepted.values())
    print(f"{len(references & set(accepted))} of {at.count} accepted, {doubled} twice, {at.deaths} workers died")
    assert len(references) == at.count
    assert references <= set(accepted)
    assert len(said) == len(accepted)  # a repeat says the same to the same person
    assert doubled <= most_doubled
    # A task about many at once, which a wrong clock opened, stays: somebody looks why.
    about = Task.subject["purpose"].astext == "day_before", Task.subject.has_key("message_id")
    called = select(func.count()).where(Task.kind == "message_failed", Task.closed_at.is_(None), *about)
    assert db.session.scalar(called) == 0
    assert {row.state for row in rows if row.purpose == "day_before"} == {"sent"}


# -- what happens -------------------------------------------------------------------------------------------------------


def workers_die(at: Scene) -> None:
    """kill -9 of workers at random points."""
    for share in at.points(2 + at.workers):
        wait(lambda share=share: at.reached(share), f"{share:.0%} of the messages", 240, between=ring)
        time.sleep(at.rng.uniform(0, 0.05))
        at.kill_a_worker()


def beats_die(at: Scene) -> None:
    """Two beats ring; both are killed and started again."""
    beats = [at.parts.beat(at.at), at.parts.beat(at.at)]
    for share in at.points(3):
        wait(lambda share=share: at.reached(share), f"{share:.0%} of the messages", 300, between=ring)
        kill(beats.pop(0))
        beats.append(at.parts.beat(at.at))


def redis_dies(at: Scene) -> None:
    """The broker is killed and comes back; or it forgets everything."""
    for number, share in enumerate(at.points(4)):
        wait(lambda share=share: at.reached(share), f"{share:.0%} of the messages", 240, between=ring)
        if number % 2:
            try:
                with Redis.from_url(at.redis.url) as client:
                    client.flushall()
            except RedisError:
                continue
        else:
            assert at.redis.process is not None
            at.redis.process.kill()
            at.redis.process.wait()
            time.sleep(at.rng.uniform(0.2, 2))
            at.redis.start()


def postgres_dies(at: Scene) -> None:
    """The database is killed, restarted, and stands still for seconds."""
    for number, share in enumerate(at.points(3)):
        wait(lambda share=share: at.reached(share), f"{share:.0%} of the messages", 240, between=ring)
        assert at.postgres.process is not None
        if number == 1:
            pause(at.postgres.process, at.rng.uniform(1, 4))
            continue
        at.postgres.process.kill()
        at.postgres.process.wait()
        db.session.remove()
        db.engine.dispose()
        time.sleep(at.rng.uniform(0.2, 2))
        at.postgres.start()


def gateway_has_a_bad_day(at: Scene) -> None:
    """Slow, 429, 500, hanging up, and lying: it takes the message and does not say so."""
    rng, lock = at.rng, threading.Lock()

    def fault(number: int) -> tuple[int, bool, float] | None:
        with lock:
            kind = rng.random()
        if number > at.count:  # it gets better: tries are limited
            return None
        faults = ((0.03, (500, False, 0.0)), (0.06, (429, False, 0.0)), (0.09, (HANG_UP, False, 0.0)))
        lies = ((0.12, (HANG_UP, True, 0.0)), (0.14, (500, True, 0.0)), (0.17, (201, True, 0.3)))
        return next((answer for share, answer in (*faults, *lies) if kind < share), None)

    at.gateways[0].fault = fault
    wait(lambda: at.reached(0.8), "most messages", 300, between=ring)
    at.gateways[0].fault = lambda number: None


def first_gateway_dies(at: Scene) -> None:
    """In the middle the first provider fails; the second takes over."""
    wait(lambda: at.reached(0.4), "40 % of the messages", 240, between=ring)
    at.gateways[0].fault = lambda number: (503 if number % 2 else 500, False, 0.0)
    wait(lambda: at.reached(0.6), "60 % of the messages", 300, between=ring)


def callbacks_come_as_they_please(at: Scene) -> None:
    """Delivery reports twice, in any order, and before the worker wrote down that it sent anything."""
    ended = threading.Event()

    def report() -> None:
        rng, told = random.Random(SEED), 0
        with at.app.app_context():
            while not ended.is_set() or told < len(at.gateways[0].accepted):
                gateway = at.gateways[0]
                new, told = list(enumerate(gateway.requests))[told:], len(gateway.requests)
                words = [(number, word) for number, _ in new for word in ("queued", "sent", "delivered", "delivered")]
                rng.shuffle(words)
                for number, word in words:
                    request = gateway.requests[number]
                    status = receipts.Status("sms1", f"SM{number + 1}", word, None, request.reference)
                    receipts.record_status(status)
                time.sleep(0.02)

    thread = threading.Thread(target=report)
    thread.start()
    try:
        for share in at.points(2):
            wait(lambda share=share: at.reached(share), f"{share:.0%} of the messages", 240, between=ring)
            at.kill_a_worker()
        wait(lambda: at.reached(0.9), "most messages", 240, between=ring)
    finally:
        ended.set()
        thread.join(120)


def the_clock_is_set(at: Scene) -> None:
    """Hours forward and back, past the night and before it; under some of these clocks it is too late for many."""
    hours = [3.0, -2.0, 16.0, 20.5, -26.0]
    at.rng.shuffle(hours)
    for share, jump in zip(at.points(len(hours)), hours, strict=True):
        wait(lambda share=share: at.reached(share), f"{share:.0%} of the messages", 60, between=ring)
        for part in at.parts.running:
            kill(part)
        at.deaths += at.workers
        at.at = at.start + timedelta(hours=jump)
        print(f"at {share:.0%} the clock is set {jump:+} hours")
        for _ in range(at.workers):
            at.parts.worker(at.at)
        seen = at.accepted()
        for _ in range(10):
            jobs.ring(Job.SWEEP_REMINDERS)
            ring()
            time.sleep(1)
            if at.accepted() > seen:
                break
        if at.accepted() == seen:  # night, or too early: the right clock gets on with it
            for part in at.parts.running:
                kill(part)
            at.at = at.start
            for _ in range(at.workers):
                at.parts.worker(at.at)


SCENARIOS = [
    workers_die,
    beats_die,
    redis_dies,
    postgres_dies,
    gateway_has_a_bad_day,
    first_gateway_dies,
    callbacks_come_as_they_please,
]


def own_database(settings: Settings) -> Callable[[PostgresServer], str]:
    """A migrated database on a server that this test may kill."""
    from flask_migrate import upgrade

    def make(server: PostgresServer) -> str:
        url = create_database(server, "own")
        app = make_app(replace(settings, database_url=url))
        with app.app_context():
            upgrade()
            db.engine.dispose()
        return url

    return make


@pytest.mark.soak
@pytest.mark.parametrize("happens", SCENARIOS, ids=lambda call: call.__name__)
def test_ten_workers_and_two_thousand_messages(
    settings: Settings, project_root: Path, tmp_path: Path, happens: Callable[[Scene], None]
) -> None:
    with (
        PostgresServer(tmp_path / "pg") as postgres,
        RedisServer(tmp_path / "redis") as redis,
        scene(
            settings,
            postgres,
            redis,
            own_database(settings),
            project_root,
            tmp_path,
            count=FULL,
            workers=10,
            gateways=2,
        ) as at,
    ):
        at.gateways[0].delay = 0.01
        for _ in range(at.workers):
            at.parts.worker(at.at)
        happens(at)
        go_on_to_the_end(at, 400)
        count_against_the_ledger(at)


@pytest.mark.soak
@pytest.mark.parametrize(("start", "visits"), CHANGES.values(), ids=CHANGES)
def test_a_clock_that_is_set_on_the_eve_of_a_change_of_the_clocks(
    settings: Settings, project_root: Path, tmp_path: Path, start: datetime, visits: datetime
) -> None:
    with (
        PostgresServer(tmp_path / "pg") as postgres,
        RedisServer(tmp_path / "redis") as redis,
        scene(
            settings,
            postgres,
            redis,
            own_database(settings),
            project_root,
            tmp_path,
            count=FULL,
            workers=3,
            start=start,
            visits=visits,
        ) as at,
    ):
        at.gateways[0].delay = 0.01
        for _ in range(at.workers):
            at.parts.worker(at.at)
        the_clock_is_set(at)
        go_on_to_the_end(at, 400)
        count_against_the_ledger(at)


def test_a_small_day_on_which_much_dies(
    settings: Settings,
    postgres: PostgresServer,
    redis: RedisServer,
    template_database: str,
    project_root: Path,
    tmp_path: Path,
) -> None:
    """A worker is killed, the broker forgets everything, the gateway lies and hangs up."""

    def template(server: PostgresServer) -> str:
        return create_database(server, f"faults_{abs(hash(tmp_path))}", template_database)

    Redis.from_url(redis.url).flushall()
    with scene(settings, postgres, redis, template, project_root, tmp_path, count=SMALL, workers=1) as at:
        faults = {3: (HANG_UP, True, 0.0), 7: (500, False, 0.0), 11: (429, False, 0.0), 15: (500, True, 0.0)}
        at.gateways[0].fault = lambda number: faults.get(number, (201, True, 0.02))
        worker = at.parts.worker(at.at)
        wait(lambda: at.accepted() >= at.rng.randint(12, 40), "the first messages", 90, between=ring)
        kill(worker)
        at.deaths += 1
        Redis.from_url(redis.url).flushall()
        at.gateways[0].fault = lambda number: None
        at.at = at.start + AFTER
        at.parts.worker(at.at)
        go_on_to_the_end(at, 90, fresh=False)
        count_against_the_ledger(at)


@pytest.mark.soak
def test_without_a_gateway_that_lists_what_it_took_a_repeat_is_the_same_message(
    settings: Settings, project_root: Path, tmp_path: Path
) -> None:
    with (
        PostgresServer(tmp_path / "pg") as postgres,
        RedisServer(tmp_path / "redis") as redis,
        scene(settings, postgres, redis, own_database(settings), project_root, tmp_path, count=FULL, workers=10) as at,
    ):
        at.gateways[0].lists, at.gateways[0].delay = False, 0.01
        for _ in range(at.workers):
            at.parts.worker(at.at)
        workers_die(at)
        go_on_to_the_end(at, 400)
        count_against_the_ledger(at, most_doubled=at.deaths * 50)


@pytest.mark.soak
def test_a_full_bulk_queue_never_delays_what_is_urgent(settings: Settings, project_root: Path, tmp_path: Path) -> None:
    """As `make run` starts them: one process for what somebody waits for, others for the rest."""
    with (
        PostgresServer(tmp_path / "pg") as postgres,
        RedisServer(tmp_path / "redis") as redis,
        scene(settings, postgres, redis, own_database(settings), project_root, tmp_path, count=FULL, workers=2) as at,
    ):
        db.session.execute(text("UPDATE messages SET lane = 'bulk'"))
        db.session.commit()
        at.gateways[0].delay = 0.2
        at.parts.worker(at.at, queues="urgent")
        at.parts.worker(at.at, queues="normal,bulk", processes=2)
        for _ in range(300):
            jobs.ring(Job.SEND_BULK)
        wait(lambda: at.reached(0.05), "the bulk to be under way", 90)
        patient_id = db.session.scalar(select(func.max(Message.patient_id)))
        begun = time.monotonic()
        db.session.execute(
            text("INSERT INTO link_requests (patient_id, purpose, requested_at) VALUES (:id, 'sign_in', :at)"),
            {"id": patient_id, "at": START},
        )
        db.session.commit()
        jobs.ring(Job.SWEEP_URGENT)

        def told() -> bool:
            db.session.rollback()
            return db.session.scalar(select(Message.state).where(Message.lane == Lane.URGENT)) == "sent"

        wait(told, "the link", 20)
        print(f"the link went out after {time.monotonic() - begun:.1f} s, {unsent()} others still waited")
        assert unsent() > FULL / 4
