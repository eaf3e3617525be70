"""Looks at what must go out whatever the broker does, from threads of the workers and of beat."""

import logging
import threading
from typing import Any

from celery.signals import beat_init, worker_ready, worker_shutting_down
from sqlalchemy.exc import SQLAlchemyError

from clinic.db import db
from clinic.reminders.keeper import Keeper

log = logging.getLogger(__name__)
INTERVAL = 5.0  # seconds

_stopped = threading.Event()


@worker_ready.connect
@beat_init.connect
def _start(**_: Any) -> None:
    threading.Thread(target=call_until_stopped, name="calls", daemon=True).start()


@worker_shutting_down.connect
def _stop(**_: Any) -> None:
    _stopped.set()


def call_until_stopped() -> None:
    """Look every few seconds; a fault of one look does not end the next."""
    from workers.celery_app import app

    keeper = Keeper()
    with app.app_context():
        while not _stopped.wait(INTERVAL):
            try:
                keeper.look()
            except SQLAlchemyError as error:
                log.warning("messages not looked at: %s", type(error).__name__)
            except Exception:
                log.exception("messages: fault")
            finally:
                db.session.remove()
