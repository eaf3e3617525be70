"""Proof of life, from a thread of its own, so that a long task does not look like a dead worker."""

import logging
import threading
from typing import Any

from celery.signals import beat_init, worker_ready, worker_shutting_down
from sqlalchemy.exc import SQLAlchemyError

from clinic.jobs import record_heartbeat

log = logging.getLogger(__name__)
INTERVAL = 5.0

_stopped = threading.Event()


@worker_ready.connect
def _worker_started(sender: Any, **_: Any) -> None:
    queues = sorted(sender.app.amqp.queues.consume_from)
    _start("worker", *(f"worker:{queue}" for queue in queues))


@beat_init.connect
def _beat_started(**_: Any) -> None:
    _start("beat")


@worker_shutting_down.connect
def _stop(**_: Any) -> None:
    _stopped.set()


def _start(*parts: str) -> None:
    threading.Thread(target=_beat_until_stopped, args=parts, name="heartbeat", daemon=True).start()


def _beat_until_stopped(*parts: str) -> None:
    from workers.celery_app import app

    with app.app_context():
        while not _stopped.is_set():
            try:
                record_heartbeat(*parts)
            except SQLAlchemyError as error:
                log.warning("heartbeat not written: %s", type(error).__name__)
            _stopped.wait(INTERVAL)
