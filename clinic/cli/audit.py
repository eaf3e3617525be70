"""`clinic audit`: is the trail whole."""

import json
import sys
from dataclasses import asdict
from pathlib import Path

import click

from clinic.cli.application import FAILED, application


@click.group()
def audit() -> None:
    """The trail of who did and read what."""


@audit.command()
@click.option(
    "--anchor",
    "anchors",
    multiple=True,
    type=click.Path(path_type=Path),
    help="File with the seals. Default: this clinic's.",
)
def verify(anchors: tuple[Path, ...]) -> None:
    """Hold every event against its seal. Prints a report as JSON; exit 1 where something was altered, removed or moved."""
    with application():
        from clinic.audit.sealing import anchor_file
        from clinic.audit.verifying import TAIL_IS_OLD, verify

        own = anchor_file()
        report = verify(anchors or ([own] if own.exists() else []))
        age = report.tail_age
        answer = {
            "ok": not report.problems,
            "events": report.events,
            "seals": report.seals,
            "sealed": report.sealed,
            "unsealed": {
                "events": report.unsealed,
                "oldest_seconds": None if age is None else round(age.total_seconds()),
            },
            "erased": report.erased,
            "unsigned_seals": report.unsigned,
            "anchored": report.anchored,
            "missing_ids": report.missing,
            "problems": [asdict(problem) for problem in report.problems],
        }
    click.echo(json.dumps(answer, indent=1))
    for problem in report.problems:
        click.echo(f"{problem.kind}: {problem.at}: {problem.text}", err=True)
    if report.unsigned:
        click.echo(f"{report.unsigned} seals were signed with a key that is not in CLINIC_DATA_KEYS any more", err=True)
    if report.is_tail_old:
        click.echo(f"nothing was sealed for over {TAIL_IS_OLD.seconds} s: do worker and beat run?", err=True)
    if not report.anchored:
        click.echo("no anchor file was read: seals that were all made anew would not be noticed", err=True)
    if report.problems:
        sys.exit(FAILED)


@audit.command()
def seal() -> None:
    """Seal what was committed since the last seal; worker and beat do this every few seconds."""
    with application():
        from clinic.audit.sealing import seal

        click.echo(json.dumps({"sealed": seal()}))
