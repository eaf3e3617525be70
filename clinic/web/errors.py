"""The only place that turns errors into statuses and wording."""

import logging
from typing import Any

from flask import Flask, current_app, g, render_template, request
from flask_babel import gettext as _
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnection
from werkzeug.exceptions import HTTPException, SecurityError

from clinic.errors import ClinicError, Conflict, Invalid, NotFound, Refused
from clinic.web import i18n

log = logging.getLogger(__name__)

STATUS = ((NotFound, 404), (Invalid, 422), (Refused, 403), (Conflict, 409), (ClinicError, 400))


def status_of(error: ClinicError) -> int:
    """HTTP status of one of our errors."""
    return next(status for kind, status in STATUS if isinstance(error, kind))


def _page(status: int, message: str = "") -> tuple[str, int]:
    template = f"errors/{status}.html"
    return render_template(
        [template, "errors/500.html" if status >= 500 else "errors/400.html"], message=message
    ), status


def _in_words(message: str) -> str:
    """A refusal in the page's language. What has no words there gives way to the page's own advice."""
    words = _(message)
    return words if words != message or i18n.language() == i18n.DEFAULT else ""


def _is_api() -> bool:
    return request.path.startswith("/api/")


def init_app(app: Flask) -> None:
    """Register the handlers. API errors are problem details (RFC 9457)."""

    def refused(error: ClinicError) -> Any:
        status = status_of(error)
        if _is_api():
            return problem(status, error.code, error.message, **error.details)
        return _page(status, _in_words(error.message))

    def http(error: HTTPException) -> Any:
        original = getattr(error, "original_exception", None)
        if isinstance(original, DBAPIError):  # raised behind the view, where no handler of its own is asked
            return database(original)
        status = error.code or 500
        if error.response is not None:
            return error.response
        if isinstance(error, SecurityError):  # no page can be built for a name that is not ours
            return "This server does not answer to that name.", status, {"Content-Type": "text/plain"}
        if _is_api():
            return problem(status, (error.name or "error").lower().replace(" ", "_"), error.description or "")
        return _page(status)

    def csrf(error: CSRFError) -> Any:
        return _page(400, _("This page was open for too long. Go back, reload it and send it again."))

    def database(error: DBAPIError) -> Any:
        is_away = isinstance(error, OperationalError) or error.connection_invalidated
        return away(error) if is_away else unexpected(error)

    def away(error: DBAPIError | NoConnection) -> Any:
        log.error("database does not answer: %s", type(getattr(error, "orig", None) or error).__name__)
        g.database_down = True
        _ask_for_nobody()
        if _is_api():
            return problem(503, "unavailable", "The database does not answer. Try again in a moment.")
        return _page(503)

    def unexpected(error: Exception) -> Any:
        if app.testing:
            raise error
        log.exception("unexpected error on %s", request.endpoint)
        if _is_api():
            return problem(500, "error", "Something went wrong here. It was logged.")
        return _page(500)

    app.register_error_handler(ClinicError, refused)
    app.register_error_handler(HTTPException, http)
    app.register_error_handler(CSRFError, csrf)
    app.register_error_handler(DBAPIError, database)
    app.register_error_handler(NoConnection, away)
    app.register_error_handler(Exception, unexpected)


def _ask_for_nobody() -> None:
    """The page that says so must not ask the database who is signed in: Flask-Login would, for every template."""
    g._login_user = current_app.login_manager.anonymous_user()  # type: ignore[attr-defined]


def problem(status: int, code: str, detail: str, **more: Any) -> Any:
    """A problem-details answer (RFC 9457)."""
    from flask import jsonify

    body = {
        "type": "about:blank",
        "title": code.replace("_", " "),
        "status": status,
        "code": code,
        "detail": detail,
        **more,
    }
    answer = jsonify(body)
    answer.status_code = status
    answer.content_type = "application/problem+json"
    return answer
