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
def _worker_started(**_: Any) -> None:
    _start("worker")


@beat_init.connect
def _beat_started(**_: Any) -> None:
    _start("beat")


@worker_shutting_down.connect
def _stop(**_: Any) -> None:
    _stopped.set()


def _start(part: str) -> None:
    threading.Thread(target=_beat_until_stopped, args=[part], name="heartbeat", daemon=True).start()


def _beat_until_stopped(part: str) -> None:
    from workers.celery_app import app

    with app.app_context():
        while not _stopped.is_set():
            try:
                record_heartbeat(part)
            except SQLAlchemyError as error:
                log.warning("heartbeat not written: %s", type(error).__name__)
            _stopped.wait(INTERVAL)
