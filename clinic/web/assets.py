"""Names of bundled files. The bundle is made at set-up and carries a content hash in each name."""

import json
from functools import cache
from pathlib import Path

from flask import Flask, url_for

DIST = Path(__file__).parent / "static" / "dist"


@cache
def _manifest() -> dict[str, str]:
    try:
        names = json.loads((DIST / "manifest.json").read_text())
    except OSError:
        raise RuntimeError("the front end is not bundled: run `make setup`") from None
    assert isinstance(names, dict)
    return names


def asset(name: str) -> str:
    """URL of a bundled file, e.g. `asset("app.css")`."""
    return url_for("static", filename=f"dist/{_manifest()[name]}")


def init_app(app: Flask) -> None:
    """Make `asset` callable in templates."""
    app.jinja_env.globals["asset"] = asset
