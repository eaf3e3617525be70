"""The audit sealer, from threads of the worker and of beat: one of the two is enough, and the broker is not needed."""

import logging
import threading
from typing import Any

from celery.signals import beat_init, worker_ready, worker_shutting_down
from sqlalchemy.exc import SQLAlchemyError

from clinic.audit.sealing import seal
from clinic.db import db

log = logging.getLogger(__name__)
INTERVAL = 5.0  # seconds

_stopped = threading.Event()


@worker_ready.connect
@beat_init.connect
def _start(**_: Any) -> None:
    threading.Thread(target=seal_until_stopped, name="sealer", daemon=True).start()


@worker_shutting_down.connect
def _stop(**_: Any) -> None:
    _stopped.set()


def seal_until_stopped() -> None:
    """Seal all that waits, then look again in a few seconds; a fault of one look does not end the next."""
    from workers.celery_app import app

    with app.app_context():
        while not _stopped.wait(INTERVAL):
            try:
                while seal() and not _stopped.is_set():
                    pass
            except SQLAlchemyError as error:
                log.warning("audit not sealed: %s", type(error).__name__)
            except Exception:
                log.exception("audit sealer: fault")
            finally:
                db.session.remove()
