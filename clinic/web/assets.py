"""Names of bundled files. The bundle is made at set-up and carries a content hash in each name."""

import json
from functools import cache
from pathlib import Path
from wsgiref.headers import Headers

from flask import Flask, url_for
from whitenoise import WhiteNoise

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
    """Make `asset` callable in templates, and serve static files before the application, compressed where that was made."""
    app.jinja_env.globals["asset"] = asset
    app.wsgi_app = WhiteNoise(  # type: ignore[method-assign]
        app.wsgi_app,
        root=app.static_folder,
        prefix="static/",
        allow_all_origins=False,
        immutable_file_test=r"/static/dist/",
        add_headers_function=_headers,
    )


def _headers(headers: Headers, _path: str, _url: str) -> None:
    headers["X-Content-Type-Options"] = "nosniff"
    headers["Referrer-Policy"] = "same-origin"
