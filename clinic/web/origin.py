"""From where a caller acts: written into every event of the audit trail."""

from typing import Any

from flask import Flask, g, has_request_context, request

from clinic import audit


def init_app(_app: Flask) -> None:
    """Let the audit trail ask."""
    audit.ask_origin(origin)


def origin() -> dict[str, Any]:
    """Address, session and page of the present request; nothing outside of one."""
    if not has_request_context():
        return {}
    return {"address": request.remote_addr or "", "session": session_name(), "page": request.endpoint or ""}


def session_name() -> str:
    """`staff 12`, `patient 7`, `token 3`: which sign-in acts; empty for a stranger."""
    if g.get("token"):
        return f"token {g.token}"
    if g.get("staff") is not None:
        return f"staff {g.get('staff_session') or 0}"
    caller = g.get("patient")
    return f"patient {caller.session_id}" if caller is not None else ""
