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
@click.option("--location", "slugs", multiple=True, help="Slug of a site that it reaches; without: every site.")
def create(name: str, role: str, slugs: tuple[str, ...]) -> None:
    """Make a bearer token and print it, this once."""
    with application():
        from clinic.audit import system
        from clinic.locations import queries
        from clinic.staff.operations import create_token

        sites = [queries.get_by_slug(slug).id for slug in slugs] if slugs else None
        click.echo(create_token(name=name, role=role, location_ids=sites, by=system(BY)))


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
