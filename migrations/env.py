"""Migrations while the clinic works: each is a transaction of its own and waits for a lock less than a second at a time.

Whoever asks for a table after a migration that waits for it waits behind it. So a migration gives up soon, lets those
through, and is tried again; what was applied before it stays applied.
"""

import logging
import time

from alembic import context
from flask import current_app
from psycopg.errors import LockNotAvailable
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from clinic.db import db

LOCK_TIMEOUT = "800ms"
STATEMENT_TIMEOUT = "60s"
TRIES, PAUSE = 30, 1.0  # seconds

log = logging.getLogger("alembic.runtime.migration")


def run() -> None:
    """Run online; there is no offline mode, because a script without the timeouts would not be ours."""
    with db.engine.connect() as connection:
        connection.execute(text(f"SET lock_timeout = '{LOCK_TIMEOUT}'"))
        connection.execute(text(f"SET statement_timeout = '{STATEMENT_TIMEOUT}'"))
        connection.commit()
        for tries_left in reversed(range(TRIES)):
            try:
                _apply(connection)
                return
            except OperationalError as error:
                connection.rollback()
                if not isinstance(error.orig, LockNotAvailable) or not tries_left:
                    raise
            log.info("A table is in use: trying again")
            time.sleep(PAUSE)


def _apply(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=db.metadata,
        transaction_per_migration=True,
        **current_app.extensions["migrate"].configure_args,
    )
    with context.begin_transaction():
        context.run_migrations()


run()
