"""`clinic user`: the people who work here."""

import json
import sys

import click

from clinic.cli.application import REFUSED, application, stop

BY = "command line"


@click.group()
def user() -> None:
    """Staff accounts."""


@user.command()
@click.option("--email", required=True, help="Also the name at sign-in.")
@click.option("--name", required=True, help="As colleagues read it.")
@click.option(
    "--role", "roles", multiple=True, required=True, help="front_desk, operator, nurse, therapist, prescriber, manager."
)
@click.option(
    "--location",
    "slugs",
    multiple=True,
    help="Slug of a site that the person may see; `all` for every site, later ones too.",
)
@click.option("--skill", "skills", multiple=True, help="tms, map or obs: what the scheduler may count on.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input instead of asking.")
def create(
    email: str,
    name: str,
    roles: tuple[str, ...],
    slugs: tuple[str, ...],
    skills: tuple[str, ...],
    password_stdin: bool,
) -> None:
    """Create a staff account; prints its id."""
    password = read_password(password_stdin)
    with application():
        from clinic.audit import system
        from clinic.locations import queries
        from clinic.staff.operations import create_staff_user

        sites = [queries.get_by_slug(slug) for slug in slugs if slug != "all"]
        key = create_staff_user(
            email=email,
            name=name,
            password=password,
            roles=roles,
            location_ids=[site.id for site in sites],
            has_all_sites="all" in slugs,
            skills=skills,
            by=system(BY),
        )
        click.echo(json.dumps({"id": key}))


@user.command()
@click.argument("email")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input instead of asking.")
def password(email: str, password_stdin: bool) -> None:
    """Set a new password; every browser of that person is signed out."""
    new = read_password(password_stdin)
    with application():
        from clinic.audit import system
        from clinic.staff.operations import set_password

        set_password(email, new, by=system(BY))


@user.command("second-step-off")
@click.argument("email")
def second_step_off(email: str) -> None:
    """Switch the second step at sign-in off, for someone whose phone is lost."""
    with application():
        from clinic.audit import system
        from clinic.staff.administration import switch_off_second_step

        switch_off_second_step(email, by=system(BY))


@user.command()
@click.argument("email")
def stop_account(email: str) -> None:
    """Close the account of someone who left; what they did stays on record."""
    with application():
        from clinic.audit import system
        from clinic.staff.administration import deactivate

        deactivate(email, by=system(BY))


user.add_command(stop_account, "stop")


def read_password(from_stdin: bool) -> str:
    """The new password: from standard input, or asked twice on the terminal."""
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        stop("no terminal to ask on: give the password with --password-stdin", REFUSED)
    return str(click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))
