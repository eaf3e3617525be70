"""`clinic db`: the schema."""

import logging
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import click

from clinic.config import Settings, SettingsError


@click.group()
def database() -> None:
    """Bring the database up to date."""


@database.command()
def upgrade() -> None:
    """Apply the migrations that the database does not have yet."""
    from flask_migrate import upgrade as apply
    from sqlalchemy.exc import SQLAlchemyError

    from clinic.app import create_app
    from clinic.config import read_settings

    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        with create_app(read_settings()).app_context():
            apply()
    except SettingsError as error:
        raise click.ClickException(str(error)) from None
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", error)).splitlines()[0]
        raise click.ClickException(f"the database could not be updated: {reason}") from None


@database.command()
@click.argument("name")
def migration(name: str) -> None:
    """Write a new migration from the models, e.g. `clinic db migration add_rooms`."""
    from flask_migrate import migrate
    from flask_migrate import upgrade as apply

    from clinic.app import create_app
    from clinic.embedded.postgres import PostgresServer

    if not name.isidentifier():
        raise click.ClickException("give the migration a name of letters and underscores, e.g. add_rooms")
    folder = Path(__file__).parents[2] / "migrations" / "versions"
    number = 1 + max((int(path.name[:4]) for path in folder.glob("[0-9]*.py")), default=0)
    with tempfile.TemporaryDirectory() as place, PostgresServer(Path(place), durable=False) as server:
        settings = replace(Settings(), database_url=server.url(), secret_keys=("unused",), data_keys=("unused",))
        with create_app(settings).app_context():
            apply()
            migrate(message=name, rev_id=f"{number:04d}")
