"""Task names, and the doorbell. Rows are the queue; a ring that gets lost costs seconds, because a sweep finds the row."""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from enum import StrEnum

import kombu
from celery import Celery
from flask import Flask, current_app
from kombu.exceptions import OperationalError
from sqlalchemy import String, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, mapped_column

from clinic import clock
from clinic.db import Base, Instant, db, transaction
from clinic.queues import Queue

log = logging.getLogger(__name__)

RING_LASTS = 30  # seconds; a sweep rings again, so an old ring only stands in the way of new ones
MOMENT = 0.5  # seconds
SOON = 0.02  # seconds: the answer of who rings has left by then
_is_silent = False


class Job(StrEnum):
    """Every task that a worker knows."""

    SWEEP_REMINDERS = "reminders.sweep"
    SWEEP_URGENT = "reminders.sweep_urgent"  # what someone waits for: links, calls
    SEND_MESSAGE = "reminders.send"  # one row
    SEND_URGENT = "reminders.send_urgent"  # rows of a lane, batch by batch
    SEND_NORMAL = "reminders.send_normal"
    SEND_BULK = "reminders.send_bulk"
    ASSESS_INTAKE = "eligibility.assess"
    SWEEP_INTAKES = "eligibility.sweep"
    SWEEP_SURVEYS = "surveys.sweep"
    SWEEP_CARE = "care.sweep"
    SWEEP_STARTS = "scheduling.sweep_starts"
    REFRESH_STARTS = "scheduling.refresh_starts"
    SWEEP_SCHEDULE = "scheduling.sweep"
    PROVE_SCHEDULE = "scheduling.prove"
    SWEEP_RECORDS = "records.sweep"


LANES = {Job.SEND_URGENT, Job.SEND_NORMAL, Job.SEND_BULK}  # each ring is one more worker at one more batch
OTHER_QUEUES = {
    Job.SWEEP_URGENT: Queue.URGENT,
    Job.SEND_URGENT: Queue.URGENT,
    Job.SEND_BULK: Queue.BULK,
}


def queue_of(job: Job) -> Queue:
    """The queue that a job's rings go to."""
    return OTHER_QUEUES.get(job, Queue.NORMAL)


def init_celery(app: Flask, broker_url: str) -> Celery:
    """The application's Celery: JSON only, results ignored, late acknowledgement, one message taken at a time."""
    celery = Celery(app.import_name)
    celery.conf.update(
        task_queues=[
            kombu.Queue(queue, routing_key=queue) for queue in map(str, Queue)
        ],  # a worker without -Q takes all
        task_default_queue=str(Queue.NORMAL),
        task_create_missing_queues=False,
        broker_url=broker_url,
        broker_connection_retry_on_startup=True,
        broker_transport_options={
            "visibility_timeout": 600,
            "socket_timeout": 5,
            "socket_connect_timeout": 2,
            "max_retries": 0,  # of a ring: who rings does not wait for a dead broker
            "interval_start": 0,
        },
        task_ignore_result=True,
        task_serializer="json",
        accept_content=["json"],
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        task_publish_retry=False,
        timezone="UTC",
        worker_hijack_root_logger=False,
        worker_send_task_events=False,
    )
    app.extensions["celery"] = celery
    return celery


def ring(job: Job, **ids: int) -> None:
    """Tell the workers that a row waits. Call after the commit; a dead broker is logged, never raised.

    A sweep looks at all there is: its ring leaves from a thread of its own, so that who commits does not wait for the
    broker; rung again by this process within a moment, it hears one ring at the moment's end.
    """
    if _is_silent:
        return
    celery: Celery = current_app.extensions["celery"]
    if ids or job in LANES:
        _send(celery, job, ids)
    else:
        _bell(celery, job)


class _Bell:
    """One ring for the many of a moment: the first almost at once, one for all that follow when the moment is over.

    One thread of the process rings, so that who commits neither waits for the broker nor starts a thread.
    """

    def __init__(self) -> None:
        self._news = threading.Condition()
        self._thread: threading.Thread | None = None
        self._last: dict[tuple[int, Job], float] = {}
        self._due: dict[tuple[int, Job], tuple[float, Celery]] = {}

    def __call__(self, celery: Celery, job: Job) -> None:
        key, now = (id(celery), job), time.monotonic()
        with self._news:
            if key in self._due:
                return
            self._due[key] = max(now + SOON, self._last.get(key, now - MOMENT) + MOMENT), celery
            if self._thread is None or not self._thread.is_alive():  # the first, or a process that was forked since
                # It does not hold up a process that ends: the sweep comes by itself.
                self._thread = threading.Thread(target=self._run, name="bell", daemon=True)
                self._thread.start()
            self._news.notify()

    def _run(self) -> None:
        while True:
            with self._news:
                first = min(self._due, key=lambda key: self._due[key][0], default=None)
                if first is None:
                    self._news.wait()
                    continue
                at, celery = self._due[first]
                if (wait := at - time.monotonic()) > 0:
                    self._news.wait(wait)
                    continue
                del self._due[first]
                self._last[first] = time.monotonic()
            _send(celery, first[1], {})


_bell = _Bell()


def _send(celery: Celery, job: Job, ids: dict[str, int]) -> None:
    try:
        celery.send_task(str(job), kwargs=ids, expires=RING_LASTS, queue=str(queue_of(job)))
    except (OperationalError, OSError) as error:
        log.warning("doorbell %s not heard: %s", job, type(error).__name__)


@contextmanager
def silence() -> Iterator[None]:
    """No ring while much is loaded at once; the sweeps find the rows."""
    global _is_silent
    before, _is_silent = _is_silent, True
    try:
        yield
    finally:
        _is_silent = before


class Heartbeat(Base):
    """When a background part last proved that it is alive: `beat`, `worker`, `worker:urgent` for a queue's worker, and `sweep`."""

    __tablename__ = "heartbeats"

    part: Mapped[str] = mapped_column(String(20), primary_key=True)
    beat_at: Mapped[Instant]


def last_heartbeat(part: str) -> datetime | None:
    """When a part last proved that it is alive."""
    return db.session.scalar(select(Heartbeat.beat_at).where(Heartbeat.part == part))


def record_heartbeat(*parts: str) -> None:
    """Write that these parts are alive now."""
    now = clock.now()
    with transaction():
        # One order for all: two workers at once wait for each other and never in a circle.
        statement = insert(Heartbeat).values([{"part": part, "beat_at": now} for part in sorted(parts)])
        db.session.execute(statement.on_conflict_do_update(index_elements=["part"], set_={"beat_at": now}))
    db.session.remove()
