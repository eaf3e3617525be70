"""Whose form a request is about: the patient's own, or one that staff fill in for a person under an address of its own."""

from typing import Any

from flask import g, url_for
from markupsafe import Markup

from clinic.intake.models import Intake
from clinic.web import context

OWN, STAFF = "intake", "staff_intake"  # the blueprints that carry the same pages


def enter(intake: Intake) -> None:
    """This request fills in a form for someone else."""
    g.on_behalf = intake


def on_behalf() -> Intake | None:
    """The form that staff fill in by this request; None on the patient's own pages."""
    found: Intake | None = g.get("on_behalf")
    return found


def note() -> Markup:
    """What stands above a page that staff fill in: for whom, and who is on record for it."""
    found = on_behalf()
    return context.rendered("intake/staff_frame.html", on_behalf=found) if found is not None else Markup("")


def address(endpoint: str, **values: Any) -> str:
    """The address of one of the form's pages, in the frame that this request is in."""
    return url_for(f"{STAFF if on_behalf() else OWN}.{endpoint}", **values)
