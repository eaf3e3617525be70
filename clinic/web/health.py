"""Is the process up, and are the parts behind it? Workers and beat write a heartbeat row every few seconds."""

from datetime import datetime, timedelta
from typing import Any

from flask import Blueprint, current_app, jsonify
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from clinic import clock
from clinic.db import db
from clinic.web import access

FRESH = timedelta(seconds=20)

bp = Blueprint("health", __name__)


@bp.get("/healthz")
@access.public
def healthz() -> Any:
    """The process answers."""
    return jsonify(status="up")


@bp.get("/readyz")
@access.public
def readyz() -> Any:
    """Every part answers; else 503 with the dead parts named."""
    parts = check_parts()
    dead = sorted(name for name, state in parts.items() if state != "up")
    return jsonify(status="ready" if not dead else "not ready", dead=dead, parts=parts), 503 if dead else 200


@bp.get("/metrics")
@access.public
def metrics() -> Any:
    """Prometheus text. Counts only, nothing about a person."""
    return generate_latest(), 200, {"Content-Type": CONTENT_TYPE_LATEST}


def check_parts() -> dict[str, str]:
    """State of database, broker, worker and beat: "up" or what is wrong."""
    parts = {"database": "down", "broker": _broker(), "worker": "unknown", "beat": "unknown"}
    try:
        rows = db.session.execute(text("SELECT part, beat_at FROM heartbeats")).all()
        parts["database"] = "up"
        seen: dict[str, datetime] = {part: beat_at for part, beat_at in rows}  # noqa: C416 - rows are not pairs to a type checker
        for part in ("worker", "beat"):
            parts[part] = _freshness(seen.get(part))
    except SQLAlchemyError:
        db.session.rollback()
    return parts


def _freshness(beat_at: datetime | None) -> str:
    if beat_at is None:
        return "never seen"
    age = clock.now() - beat_at
    return "up" if abs(age) < FRESH else f"silent for {int(age.total_seconds())} s"


def _broker() -> str:
    try:
        with Redis.from_url(
            current_app.config["SETTINGS"].redis_url, socket_timeout=2, socket_connect_timeout=2
        ) as client:
            client.ping()
    except RedisError:
        return "down"
    return "up"
