"""`clinic location`: the sites."""

import json
import re
from datetime import time
from typing import Any

import click

from clinic.cli.application import REFUSED, application, stop
from clinic.cli.user import BY

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
HOURS = re.compile(r"(?P<first>[a-z]{3})(-(?P<last>[a-z]{3}))? (?P<opens>\d\d:\d\d)-(?P<closes>\d\d:\d\d)")


@click.group()
def location() -> None:
    """Sites."""


@location.command()
@click.option("--slug", required=True, help="Word in addresses, e.g. north-side.")
@click.option("--name", required=True)
@click.option("--address", required=True)
@click.option("--zip", "zip_code", required=True)
@click.option("--tz", required=True, help="e.g. America/Los_Angeles")
@click.option("--phone", default="", help="Number of the site.")
@click.option("--note", default="", help="A sentence for the public page.")
@click.option("--latitude", type=click.FloatRange(-90, 90))
@click.option("--longitude", type=click.FloatRange(-180, 180))
@click.option("--hours", "hours", multiple=True, help='e.g. "mon-fri 08:00-18:00"; may be given several times.')
@click.option(
    "--device", "devices", multiple=True, help='"NAME:tms or chair:PROTOCOL,PROTOCOL"; may be given several times.'
)
@click.option(
    "--closures",
    "years",
    multiple=True,
    type=click.IntRange(2000, 2100),
    help="Year whose usual closures are put on the list.",
)
def add(
    slug: str,
    name: str,
    address: str,
    zip_code: str,
    tz: str,
    phone: str,
    note: str,
    latitude: float | None,
    longitude: float | None,
    hours: tuple[str, ...],
    devices: tuple[str, ...],
    years: tuple[int, ...],
) -> None:
    """Add a site; prints its id."""
    spans = [span for text in hours for span in _spans(text)]
    parts = [_device(text) for text in devices]
    with application():
        from clinic.audit import system
        from clinic.locations.operations import NewDevice, NewLocation, Span, create_location, start_closures

        key = create_location(
            NewLocation(
                slug=slug,
                name=name,
                address=address,
                zip_code=zip_code,
                tz=tz,
                phone=phone,
                note=note,
                latitude=latitude,
                longitude=longitude,
                hours=[Span(*span) for span in spans],
                devices=[NewDevice(**part) for part in parts],
            ),
            by=system(BY),
        )
        for year in sorted(set(years)):
            start_closures(key, year, by=system(BY))
        click.echo(json.dumps({"id": key}))


def _spans(text: str) -> list[tuple[int, time, time]]:
    match = HOURS.fullmatch(text.strip().lower())
    try:
        if match is None:
            raise ValueError
        first = DAYS.index(match["first"])
        last = DAYS.index(match["last"] or match["first"])
        opens, closes = time.fromisoformat(match["opens"]), time.fromisoformat(match["closes"])
        if last < first:
            raise ValueError
    except ValueError:
        stop(f'--hours {text!r}: write it like "mon-fri 08:00-18:00"', REFUSED)
    return [(day, opens, closes) for day in range(first, last + 1)]


def _device(text: str) -> dict[str, Any]:
    name, _, rest = text.partition(":")
    kind, _, protocols = rest.partition(":")
    if not (name and kind and protocols):
        stop(f'--device {text!r}: write it like "TMS A:tms:itbs_left"', REFUSED)
    return {"name": name, "kind": kind, "protocols": [key.strip() for key in protocols.split(",") if key.strip()]}
