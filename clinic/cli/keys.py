"""`clinic keys`: which data keys the values lie under, and the way to a new one."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from clinic.cli.application import FAILED, application


@click.group()
def keys() -> None:
    """The keys that encrypt columns (CLINIC_DATA_KEYS)."""


@keys.command()
def check() -> None:
    """Try every value with every key. Prints by table how many lie under which; exit 1 where a value cannot be opened."""
    with application(), progress_bar() as progress:
        from clinic.db import keyring
        from clinic.records.rotation import look

        found, names = look(progress), keyring().names()
    tables = {
        table: {
            **{
                names[place] if 0 <= place < len(names) else "none": count
                for place, count in sorted(one.by_key.items())
            },
            **({"search digests of an older key": one.stale_blinds} if one.stale_blinds else {}),
        }
        for table, one in found.items()
        if one.by_key
    }
    lost = sum(one.by_key[-1] for one in found.values())
    is_done = all(one.is_done for one in found.values())
    click.echo(
        json.dumps({"keys": names, "all_under_newest": is_done, "cannot_be_opened": lost, "tables": tables}, indent=1)
    )
    if lost:
        click.echo(f"{lost} values open with none of these keys: a key is missing from CLINIC_DATA_KEYS", err=True)
        sys.exit(FAILED)
    if is_done:
        click.echo(f"All is under {names[0]}: the other keys may go.", err=True)
    else:
        click.echo("Run `clinic keys rotate`; keep every key until then.", err=True)


@keys.command()
def rotate() -> None:
    """Put every value under the newest key, while the clinic runs. Stopped on the way it goes on when started again."""
    with application(), progress_bar() as progress:
        from clinic.audit import system
        from clinic.records.rotation import rotate

        written = rotate(by=system("command line"), progress=progress)
    click.echo(json.dumps({"rows_written": written}))


@contextmanager
def progress_bar() -> Iterator[Callable[[str, int, int], None]]:
    """A bar on standard error."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("tables", total=None)
        yield lambda name, done, total: bar.update(task, description=name, completed=done, total=total)
