"""`clinic export`: everything, for whoever comes after."""

import json
from pathlib import Path

import click

from clinic.cli.application import application
from clinic.cli.keys import progress_bar


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
def export(folder: Path) -> None:
    """Write everything into FOLDER: CSV of every table, FHIR R4 as NDJSON, and the files. It is not encrypted."""
    with application(), progress_bar() as progress:
        from clinic.audit import system
        from clinic.records.exporting import export

        done = export(folder, by=system("command line"), progress=progress)
    click.echo(
        json.dumps({"folder": str(folder), "rows": done.rows.total(), "resources": done.resources, "files": done.files})
    )
    click.echo("Everything in it can be read by who has it: keep it as you keep the clinic's records.", err=True)
