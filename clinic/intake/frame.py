"""Whose form a request is about: the patient's own, or one that staff fill in for a person under an address of its own."""

from typing import Any

from flask import g, url_for

from clinic.intake.models import Intake

OWN, STAFF = "intake", "staff_intake"  # the blueprints that carry the same pages


def enter(intake: Intake) -> None:
    """This request fills in a form for someone else."""
    g.on_behalf = intake


def on_behalf() -> Intake | None:
    """The form that staff fill in by this request; None on the patient's own pages."""
    found: Intake | None = g.get("on_behalf")
    return found


def address(endpoint: str, **values: Any) -> str:
    """The address of one of the form's pages, in the frame that this request is in."""
    return url_for(f"{STAFF if on_behalf() else OWN}.{endpoint}", **values)
