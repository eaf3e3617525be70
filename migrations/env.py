"""Migrations run with a lock and a statement timeout: a migration that cannot get its lock gives up, the clinic works on."""

from alembic import context
from flask import current_app
from sqlalchemy import text

from clinic.db import db

LOCK_TIMEOUT = "4s"
STATEMENT_TIMEOUT = "60s"


def run() -> None:
    """Run online; there is no offline mode, because a script without the timeouts would not be ours."""
    with db.engine.connect() as connection:
        connection.execute(text(f"SET lock_timeout = '{LOCK_TIMEOUT}'"))
        connection.execute(text(f"SET statement_timeout = '{STATEMENT_TIMEOUT}'"))
        connection.commit()
        context.configure(
            connection=connection,
            target_metadata=db.metadata,
            **current_app.extensions["migrate"].configure_args,
        )
        with context.begin_transaction():
            context.run_migrations()


run()
