"""`clinic token`: bearer tokens of other systems."""

import click

from clinic.cli.application import application
from clinic.cli.user import BY


@click.group()
def token() -> None:
    """API tokens."""


@token.command()
@click.option("--name", required=True, help="Who uses it, e.g. `billing`.")
@click.option("--role", required=True, help="service, or a staff role whose calls it may make.")
def create(name: str, role: str) -> None:
    """Make a bearer token and print it, this once."""
    with application():
        from clinic.audit import system
        from clinic.staff.operations import create_token

        click.echo(create_token(name=name, role=role, by=system(BY)))


@token.command("list")
def list_tokens() -> None:
    """Print id, role, state and name of every token; never the token itself."""
    with application():
        from clinic.staff.queries import tokens

        for row in tokens():
            click.echo(f"{row.id}\t{row.role}\t{'revoked' if row.revoked_at else 'active'}\t{row.name}")


@token.command()
@click.argument("token_id", type=int)
def revoke(token_id: int) -> None:
    """End a token at once."""
    with application():
        from clinic.audit import system
        from clinic.staff.operations import revoke_token

        revoke_token(token_id, by=system(BY))
