"""Is the process up, and are the parts behind it? Workers and beat write a heartbeat row every few seconds."""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

from flask import Blueprint, current_app, jsonify
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from clinic import clock
from clinic.db import db
from clinic.queues import Queue
from clinic.web import access

FRESH = timedelta(seconds=20)
MEASURES: list[Callable[[], Iterable[Metric]]] = []  # what features add to /metrics

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
    registry = CollectorRegistry()
    registry.register(_Clinic())
    return generate_latest() + generate_latest(registry), 200, {"Content-Type": CONTENT_TYPE_LATEST}


class _Clinic(Collector):
    """What is read from the database and the broker when somebody asks."""

    def collect(self) -> Iterator[Metric]:
        parts = GaugeMetricFamily("daybreak_up", "1 where a part answers", labels=["part"])
        for part, state in check_parts().items():
            parts.add_metric([part], float(state == "up"))
        yield parts
        rings = GaugeMetricFamily("daybreak_queue_rings", "Rings that wait in the broker", labels=["queue"])
        for queue, length in _queue_lengths().items():
            rings.add_metric([queue], length)
        yield rings
        for measure in MEASURES:
            try:
                yield from list(measure())
            except SQLAlchemyError:
                db.session.rollback()


def check_parts() -> dict[str, str]:
    """State of database, broker, worker and beat: "up" or what is wrong. A queue without a worker is a dead worker."""
    parts = {"database": "down", "broker": _broker(), "worker": "unknown", "beat": "unknown"}
    try:
        rows = db.session.execute(text("SELECT part, beat_at FROM heartbeats")).all()
        parts["database"] = "up"
        seen: dict[str, datetime] = {part: beat_at for part, beat_at in rows}  # noqa: C416 - rows are not pairs to a type checker
        parts["beat"] = _freshness(seen.get("beat"))
        parts["worker"] = _freshness(seen.get("worker"))
        queues = {str(queue): _freshness(seen.get(f"worker:{queue}")) for queue in Queue}
        if parts["worker"] == "up" and (
            mute := [f"{queue} {state}" for queue, state in queues.items() if state != "up"]
        ):
            parts["worker"] = f"nobody listens to: {', '.join(mute)}"
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
        with _redis() as client:
            client.ping()
    except RedisError:
        return "down"
    return "up"


def _queue_lengths() -> dict[str, int]:
    try:
        with _redis() as client:
            return {str(queue): int(client.llen(str(queue))) for queue in Queue}  # type: ignore[arg-type]
    except RedisError:
        return {}


def _redis() -> Redis:
    return Redis.from_url(current_app.config["SETTINGS"].redis_url, socket_timeout=2, socket_connect_timeout=2)
