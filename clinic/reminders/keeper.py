"""What keeps messages going when the broker does not: a look every few seconds, from threads of worker and beat.

Calls to whoever is on call always leave from here. Everything else does only while nobody has swept for a minute,
because the broker is down, lost its rings, or has no worker: then this one process does the work by itself.
"""

import logging
import time
from datetime import timedelta

from clinic import clock, jobs
from clinic.db import db
from clinic.reminders import ledger, measures, sending
from clinic.reminders.models import Lane

log = logging.getLogger(__name__)

WATCH_EVERY = 30.0  # seconds
SILENT_AFTER = timedelta(seconds=60)
OWN_SECONDS = 5.0  # a lane, so that the next look at the calls is not far
SWEEP = "sweep"  # the part whose heartbeat says that somebody swept


class Keeper:
    """One process's looks."""

    def __init__(self) -> None:
        self._started = self._watched = time.monotonic()

    def look(self) -> None:
        """Calls first; then, now and then, whether messages stand still, and whether to go on without the broker."""
        sending.call_out()
        now = time.monotonic()
        if now - self._watched >= WATCH_EVERY:
            self._watched = now
            measures.watch()
        if now - self._started >= SILENT_AFTER.total_seconds() and _is_silent():
            log.warning("nobody swept for a minute: going on without the broker")
            go_on()


def go_on() -> None:
    """Sweep and send here and now, each lane for a few seconds."""
    ledger.sweep()
    for lane in Lane:
        sending.work(lane, seconds=OWN_SECONDS)


def _is_silent() -> bool:
    last = jobs.last_heartbeat(SWEEP)
    db.session.rollback()
    return last is None or abs(clock.now() - last) > SILENT_AFTER
