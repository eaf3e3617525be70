"""The application behind commands that need the database, and its refusals as lines of standard error."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import click

REFUSED, FAILED = 2, 1
TRY_LATER = 75  # EX_TEMPFAIL: a mail server keeps the letter and comes again


@contextmanager
def application(*, failed: int = FAILED) -> Iterator[None]:
    """Run in the application. Refused input ends with 2, a database that does not answer with `failed`, in plain words."""
    from sqlalchemy.exc import SQLAlchemyError

    from clinic.app import create_app
    from clinic.config import SettingsError
    from clinic.errors import ClinicError

    try:
        with create_app().app_context():
            yield
    except SettingsError as error:
        stop(str(error), failed)
    except ClinicError as error:
        stop(error.message, REFUSED)
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", error)).strip().splitlines()[0]
        stop(f"the database does not answer: {reason}", failed)


def stop(message: str, code: int) -> NoReturn:
    """End the command with a line on standard error."""
    click.echo(message, err=True)
    sys.exit(code)
