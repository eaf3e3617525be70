"""`clinic mail`: letters that come to the clinic's own mail server."""

import sys
from pathlib import Path

import click

from clinic.cli.application import TRY_LATER, application


@click.group()
def mail() -> None:
    """Mail that came back."""


@mail.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
def bounce(file: Path | None) -> None:
    """Read one letter that came to the address of bounces, from FILE or standard input, for use as a mail server's pipe.

    A letter that is no bounce of ours is none of our business: exit 0 all the same, so that it is not sent back. While the
    database does not answer it is 75, so that the mail server comes again.
    """
    raw = sys.stdin.buffer.read() if file is None or str(file) == "-" else _content(file)
    with application(failed=TRY_LATER):
        from clinic.reminders import bounces, receipts
        from clinic.reminders.ledger import settings

        found = bounces.read(raw, settings().secret_keys)
        known = found is not None and receipts.record_bounce(found.message_id, code=found.code, is_dead=found.is_dead)
        click.echo("written down" if known else "not a bounce of ours", err=True)


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise click.ClickException(f"{file}: {error.strerror}") from None
