"""How often a caller may ask. One Limiter for the application; routes name limits of their own by address.

Above them stands one limit of writes by caller: a person, a program, or a stranger's address. Counters lie in Redis.
Without it they are kept in memory, by each process for itself, and Redis is asked again every few seconds; sign-in has
its own waits in the database.
"""

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager

from flask import Flask, Response, current_app, g, request
from flask_limiter import ApplicationLimit, Limiter
from flask_limiter.util import get_remote_address

WRITES = "600 per minute"  # no hand presses ten times a second for a minute
READING = frozenset({"GET", "HEAD", "OPTIONS"})
SECONDS = 1  # that Redis may take
EVEN = 0.4  # seconds of an answer that must not tell by its time what was found


def caller() -> str:
    """Whose writes are counted together."""
    bearer = request.headers.get("Authorization", "")
    if bearer and request.path.startswith("/api/"):
        return f"token {hashlib.sha256(bearer.encode()).hexdigest()[:16]}"
    if g.get("staff") is not None:
        return f"staff {g.staff.id}"
    if g.get("patient") is not None:
        return f"patient session {g.patient.session_id}"
    return get_remote_address()


def _is_reading() -> bool:
    return request.method in READING


limiter = Limiter(
    get_remote_address,
    application_limits=[ApplicationLimit(lambda: WRITES, key_function=caller, exempt_when=_is_reading)],
)


@contextmanager
def even() -> Iterator[None]:
    """Whatever is done within takes as long: to write to a person that we know is more work than to find nobody."""
    until = time.monotonic() + EVEN
    yield
    if not current_app.testing:
        time.sleep(max(0.0, until - time.monotonic()))


def init_app(app: Flask) -> None:
    """Count, after the caller is known."""
    limiter.init_app(app)
    app.after_request(say_when)


def say_when(response: Response) -> Response:
    """Who was refused is told when to come back. To tell everybody what is left would ask Redis twice more each time."""
    reached = limiter.current_limit if response.status_code == 429 else None
    if reached is not None:
        response.headers["X-RateLimit-Limit"] = str(reached.limit.amount)
        response.headers["X-RateLimit-Remaining"] = str(reached.remaining)
        response.headers["X-RateLimit-Reset"] = str(reached.reset_at)
        response.headers["Retry-After"] = str(max(1, reached.reset_at - int(time.time())))
    return response
