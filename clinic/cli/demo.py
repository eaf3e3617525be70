"""`clinic demo load`, `clinic demo sign-ins`: a clinic to look at. Synthetic people only."""

import click

from clinic.cli.application import application


@click.group()
def demo() -> None:
    """A demo clinic with synthetic people."""


@demo.command("load")
@click.option("--size", type=click.Choice(["small", "clinic", "network"]), default="small", show_default=True)
@click.option("--if-empty", is_flag=True, help="Do nothing where a clinic is there already.")
def load_command(size: str, if_empty: bool) -> None:
    """Load a demo clinic into an empty database.

    small: four sites and forty people. clinic: the same with two years behind them, about 20,000 appointments.
    network: forty sites and 2,000,000 appointments, some minutes on two cores and about 3 GB of disk.
    """
    from flask import current_app
    from rich.console import Console
    from rich.progress import Progress, TaskID

    from clinic.demo.load import is_empty, load
    from clinic.demo.sizes import SIZES
    from clinic.errors import ClinicError

    console = Console(stderr=True)
    with application():
        if current_app.config["SETTINGS"].is_production:
            raise click.ClickException("this is a production clinic: the demo is not loaded into it")
        if if_empty and not is_empty():
            return
        try:
            with Progress(console=console, transient=True) as bar:
                rows: dict[str, TaskID] = {}

                def show(what: str, done: int, total: int) -> None:
                    if what not in rows:
                        rows[what] = bar.add_task(what, total=total)
                    bar.update(rows[what], completed=done)

                count = load(show, SIZES[size])
        except ClinicError as error:
            raise click.ClickException(error.message) from None
        except BaseException:
            click.echo("Half a demo clinic was loaded: empty the database before you load another.", err=True)
            raise
    click.echo(f"Loaded {size}: {count:,} synthetic people at {4 + SIZES[size].towns} sites.", err=True)


@demo.command("sign-ins")
def sign_ins_command() -> None:
    """Print the demo's staff sign-ins. They work on this machine's demo clinic only."""
    from clinic.demo.load import sign_ins
    from clinic.locations.queries import profile

    with application():
        clinic = profile()
        if clinic is None or not clinic.is_demo:
            return
    for email, password, roles in sign_ins():
        click.echo(f"  {email:<34} {password}   {roles}")
