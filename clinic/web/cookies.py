"""Names and flags of our cookies. Over https a name says that no other host of the domain has set the cookie."""

from flask import Response, current_app, request


def own_name(name: str, *, is_https: bool) -> str:
    """`__Host-` binds a cookie to this host, its whole path and TLS; browsers take no other cookie of that name."""
    return f"__Host-{name}" if is_https else name


def _own(name: str) -> str:
    return own_name(name, is_https=current_app.config["SESSION_COOKIE_SECURE"])


def read(name: str) -> str | None:
    """What this browser sent under `name`."""
    return request.cookies.get(_own(name))


def write(response: Response, name: str, value: str, *, seconds: int) -> None:
    """Give the browser a cookie that no script reads and no other site sends."""
    secure = current_app.config["SESSION_COOKIE_SECURE"]
    response.set_cookie(_own(name), value, max_age=seconds, httponly=True, secure=secure, samesite="Lax")


def forget(response: Response, name: str) -> None:
    """Take the cookie from the browser."""
    response.delete_cookie(_own(name), secure=current_app.config["SESSION_COOKIE_SECURE"], httponly=True)
