"""What a request may carry: forms, files and, where a page's script or the API says so, JSON."""

from typing import Any

from flask import Flask, request
from werkzeug.exceptions import BadRequest, NotFound, UnsupportedMediaType

from clinic.web.access import Audience, declared

# Pages' own scripts send these as JSON. A form never does: its library would take any shape of it for answers.
TAKES_JSON = frozenset({"staff.hold", "staff.drop_held", "staff.still", "staff.over"})


def init_app(app: Flask) -> None:
    """Refuse what no view expects, before anybody reads it."""

    @app.before_request
    def refuse_nothing_characters() -> None:
        """PostgreSQL keeps no NUL: an address with one names nothing, and no page is found by one."""
        if "\0" in request.path:
            raise NotFound
        if b"%00" in request.query_string:
            raise BadRequest

    @app.before_request
    def refuse_json() -> None:
        if not request.is_json or request.endpoint is None or request.endpoint in TAKES_JSON:
            return
        access = declared(app, request.endpoint)
        if access is None or access.audience is not Audience.TOKEN:
            raise UnsupportedMediaType


def bound_depth(app: Flask) -> None:
    """Refuse what is nested too deep to be read like any other text that is no JSON. After whoever sets a provider."""
    read = app.json.loads

    def loads(s: str | bytes, **kwargs: Any) -> Any:
        try:
            return read(s, **kwargs)
        except RecursionError:
            raise ValueError("nested too deep") from None

    app.json.loads = loads  # type: ignore[method-assign]
