"""`clinic settings`: what an installation may decide, and what it has decided."""

import sys
from dataclasses import Field, fields
from typing import Any

import click

from clinic.config import Settings, SettingsError, read_settings

MARKDOWN_HEAD = """# Settings

Settings come from the environment. `clinic settings` prints them with the values that are in force; this page is
written by `clinic settings --markdown`. What is not set takes its default. A list is separated by commas.

Secrets made by `make run` live in `secrets.env` in the instance folder, readable by its owner alone; with
`CLINIC_ENV=production` they are not used, and a production start without settings of its own is refused.

| Setting | Default | Meaning |
|---|---|---|
"""
MARKDOWN_FOOT = """
Settings marked *secret* are never printed.

Keys rotate: put the new key first and keep the old one behind it; new signatures and new rows use the first, older
ones are still read.

`CLINIC_CLOCK_START` is turned once into an offset against the machine's clock, kept in the instance and handed to
web, worker and beat. A later run keeps that offset, also when the same start is given again; another start, or
`CLINIC_CLOCK_OFFSET` (0: back to the machine's time), replaces it.

Beside these, gunicorn's own `WEB_CONCURRENCY` sets the number of web processes (2).
"""


@click.command()
@click.option("--markdown", is_flag=True, help="Write docs/settings.md to standard output.")
def settings(markdown: bool) -> None:
    """List every setting, its value and its meaning. Secrets are not shown."""
    if markdown:
        click.echo(as_markdown(), nl=False)
        return
    try:
        found = read_settings()
    except SettingsError as error:
        for problem in str(error).split("; "):
            click.echo(problem, err=True)
        sys.exit(2)
    for item in fields(Settings):
        click.echo(f"{item.metadata['name']}={_shown(item, getattr(found, item.name))}\t{item.metadata['text']}")


def as_markdown() -> str:
    """The page docs/settings.md."""
    rows = []
    for item in fields(Settings):
        default = _plain(item.default)
        secret = " *Secret.*" if item.metadata["secret"] else ""
        rows.append(
            f"| `{item.metadata['name']}` | {f'`{default}`' if default else ''} | {item.metadata['text']}{secret} |\n"
        )
    return MARKDOWN_HEAD + "".join(rows) + MARKDOWN_FOOT


def _shown(item: Field[Any], value: object) -> str:
    text = _plain(value)
    return "(set, not shown)" if item.metadata["secret"] and text else text


def _plain(value: object) -> str:
    return ",".join(value) if isinstance(value, tuple) else str(value)
