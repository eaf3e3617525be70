"""What a request may carry: forms, files and, where a page's script or the API says so, JSON."""

from typing import IO, Any

from flask import Flask, request
from flask.json.provider import DefaultJSONProvider
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import BadRequest, NotFound, UnsupportedMediaType
from werkzeug.formparser import FormDataParser

from clinic.web.access import Audience, declared

# Pages' own scripts send these as JSON. A form never does: its library would take any shape of it for answers.
TAKES_JSON = frozenset({"staff.hold", "staff.drop_held", "staff.still", "staff.over"})


class _Form(FormDataParser):
    """A form without NUL: PostgreSQL keeps none, no keyboard makes one, and what stands around it is not lost."""

    def parse(
        self, stream: IO[bytes], mimetype: str, content_length: int | None, options: dict[str, str] | None = None
    ) -> tuple[IO[bytes], MultiDict[str, str], MultiDict[str, Any]]:
        stream, form, files = super().parse(stream, mimetype, content_length, options)
        pairs = [(name.replace("\0", ""), value.replace("\0", "")) for name, value in form.items(multi=True)]
        return stream, self.cls(pairs), files


def init_app(app: Flask) -> None:
    """Refuse what no view expects, before anybody reads it."""
    app.request_class = type("Request", (app.request_class,), {"form_data_parser_class": _Form})

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


def set_json(app: Flask) -> None:
    """How JSON is read and written. After whoever sets a provider.

    What is nested too deep, and half of a sign, is refused like any other text that is no JSON. The keys of an answer stay in
    the order in which it is described.
    """
    assert isinstance(app.json, DefaultJSONProvider)
    app.json.sort_keys = False
    read = app.json.loads

    def loads(s: str | bytes, **kwargs: Any) -> Any:
        try:
            value = read(s, **kwargs)
        except RecursionError:
            raise ValueError("nested too deep") from None
        if (b"\\u" if isinstance(s, bytes) else "\\u") in s:  # type: ignore[operator]
            app.json.dumps(value, ensure_ascii=False).encode()  # UnicodeEncodeError is a ValueError
        return value

    app.json.loads = loads  # type: ignore[method-assign]
