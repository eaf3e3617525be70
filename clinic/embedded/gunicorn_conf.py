"""How gunicorn serves the clinic; read by gunicorn itself. Address and size come from the environment."""

import gc
import os
from typing import Any

from clinic import logs

_host = os.environ.get("CLINIC_HOST") or "127.0.0.1"
bind = f"{f'[{_host}]' if ':' in _host else _host}:{os.environ.get('CLINIC_PORT') or '8000'}"
worker_class = "gthread"
workers = int(os.environ.get("WEB_CONCURRENCY") or 2)
threads = 8
preload_app = True  # one import for all processes; the application connects to nothing before it forks
timeout = 60
graceful_timeout = 10
keepalive = 5
max_requests = 20_000
max_requests_jitter = 2_000
accesslog = None  # addresses hold sign-in and calendar tokens, which belong in no log
errorlog = "-"
control_socket_disable = True
logs.to_standard_error()
# No page waits for the database without end: a statement that takes this long is a 503. libpq reads it at each connection.
os.environ.setdefault("PGOPTIONS", "-c statement_timeout=30s -c idle_in_transaction_session_timeout=60s")


def pre_fork(_server: Any, _worker: Any) -> None:
    """What was loaded stays: to look through it at each collection costs requests milliseconds, and memory its sharing."""
    gc.freeze()
