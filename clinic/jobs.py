"""Task names, and the doorbell. Rows are the queue; a ring that gets lost costs seconds, because a sweep finds the row."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum

from celery import Celery
from flask import Flask, current_app
from kombu.exceptions import OperationalError
from sqlalchemy import String
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, mapped_column

from clinic import clock
from clinic.db import Base, Instant, db, transaction

log = logging.getLogger(__name__)

RING_LASTS = 30  # seconds; a sweep rings again, so an old ring only stands in the way of new ones
_is_silent = False


class Job(StrEnum):
    """Every task that a worker knows."""

    SWEEP_REMINDERS = "reminders.sweep"
    SEND_MESSAGE = "reminders.send"
    ASSESS_INTAKE = "eligibility.assess"
    SWEEP_INTAKES = "eligibility.sweep"
    SWEEP_SURVEYS = "surveys.sweep"
    SWEEP_CARE = "care.sweep"
    SWEEP_STARTS = "scheduling.sweep_starts"
    REFRESH_STARTS = "scheduling.refresh_starts"
    SWEEP_SCHEDULE = "scheduling.sweep"


def init_celery(app: Flask, broker_url: str) -> Celery:
    """The application's Celery: JSON only, results ignored, late acknowledgement, one message taken at a time."""
    celery = Celery(app.import_name)
    celery.conf.update(
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
    """Tell the workers that a row waits. Call after the commit; a dead broker is logged, never raised."""
    if _is_silent:
        return
    celery: Celery = current_app.extensions["celery"]
    try:
        celery.send_task(str(job), kwargs=ids, expires=RING_LASTS)
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
    """When a background part (worker, beat) last proved that it is alive."""

    __tablename__ = "heartbeats"

    part: Mapped[str] = mapped_column(String(20), primary_key=True)
    beat_at: Mapped[Instant]


def record_heartbeat(part: str) -> None:
    """Write that `part` is alive now."""
    now = clock.now()
    with transaction():
        statement = insert(Heartbeat).values(part=part, beat_at=now)
        db.session.execute(statement.on_conflict_do_update(index_elements=["part"], set_={"beat_at": now}))
    db.session.remove()
