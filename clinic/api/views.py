"""The API put together: every noun's module registers its calls on the one blueprint."""

from typing import Any

from flask import current_app

from clinic.api import appointments, authorisations, courses, intakes, outages, patients, places
from clinic.api.blueprint import bp
from clinic.web.access import public

__all__ = ["appointments", "authorisations", "bp", "courses", "intakes", "outages", "patients", "places"]


@bp.get("/openapi.json")
@bp.doc(hide=True)
@public
def openapi() -> Any:
    """The description of this API, OpenAPI 3.1."""
    return current_app.spec  # type: ignore[attr-defined]
