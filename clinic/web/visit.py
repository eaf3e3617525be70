"""The staff cookie: which session this browser holds. Flask's `session` is touched here alone."""

from flask import session

_KEY, _HELD = "staff_session", "held"


def token() -> str | None:
    """The token of this browser's staff session."""
    found = session.get(_KEY)
    return found if isinstance(found, str) else None


def keep(value: str) -> None:
    """Give this browser a staff session; what an earlier one left is gone, the form token stays."""
    session[_KEY] = value


def clear() -> None:
    """This browser holds no staff session any more."""
    for name in list(session):
        if name not in ("csrf_token", "_flashes", "language"):
            session.pop(name)


def flag_held(is_held: bool) -> None:
    """Pages of this browser look whether something typed waits for them."""
    if is_held:
        session[_HELD] = True
    else:
        session.pop(_HELD, None)


def is_held() -> bool:
    """Does something that was typed wait."""
    return bool(session.get(_HELD))
