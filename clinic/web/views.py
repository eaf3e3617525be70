"""Pages for developers: every part of the pages in every state."""

from flask import Blueprint, render_template

from clinic.web import access, samples

bp = Blueprint("web", __name__)


@bp.get("/dev/components")
@access.development
def components() -> str:
    """The kitchen sink."""
    return render_template("dev/components.html", **samples.components())
