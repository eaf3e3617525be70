"""What anyone may read: the guide, the treatments, and where every figure comes from."""

from typing import Any

from flask import render_template

from clinic import clock
from clinic.care import options, presenter, queries, rates
from clinic.care.blueprint import bp
from clinic.locations import queries as locations
from clinic.protocols.base import catalogue
from clinic.web import access, i18n

START_URL = "/intake/start"


@bp.get("/guide")
@access.public
def guide() -> Any:
    """What it means that medicines did not help enough, in plain words."""
    return render_template(
        "care/guide.html",
        quotes=presenter.shown_quotes(queries.notes_in(i18n.language())),
        start_url=START_URL,
    )


@bp.get("/treatments")
@access.public
def treatments() -> Any:
    """Ways of treatment, A to Z, with what visits are like and what studies found."""
    return render_template(
        "care/treatments.html",
        chosen=presenter.shown_options(queries.notes_in(i18n.language())),
        given=given_here(),
        start_url=START_URL,
    )


def given_here() -> set[str]:
    """Options that a device of some site gives now."""
    protocols = {
        key
        for site in locations.active()
        for device in site.devices
        if device.retired_at is None
        for key in device.protocols
    }
    return {protocol.modality for key, protocol in catalogue().items() if key in protocols}


@bp.get("/sources")
@access.public
def sources() -> Any:
    """Every figure with its study, year and link, and how sure it is; the clinic's own beside them."""
    own = rates.shown_rates(clock.now())
    return render_template(
        "care/sources.html",
        chosen=[shown.option for shown in presenter.shown_options({})],
        quotes=presenter.shown_quotes(queries.notes_in(i18n.language())),
        sources=sorted(options.sources().values(), key=lambda source: (source.sure == "document", source.by)),
        claims=options.document_figures(),
        own=own,
    )
