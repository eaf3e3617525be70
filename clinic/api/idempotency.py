"""Idempotency-Key: a repeated POST is answered, not repeated. One row a token and key, kept for 24 hours."""

import hashlib
import logging
from contextlib import suppress
from datetime import timedelta
from typing import Any

from flask import Response, g, make_response, request
from sqlalchemy import Table, delete, text, update
from sqlalchemy.exc import SQLAlchemyError

from clinic import clock
from clinic.api.models import IdempotencyKey
from clinic.db import db, transaction
from clinic.errors import Conflict, Invalid
from clinic.web.errors import problem

log = logging.getLogger(__name__)

# A new id: what the request before would still answer finds nothing to write to.
CLAIM = text(
    """
    INSERT INTO idempotency_keys AS k (token_id, key, request_hash, created_at)
    VALUES (:token_id, :key, :said, :now)
    ON CONFLICT (token_id, key) DO UPDATE
        SET id = DEFAULT, request_hash = :said, created_at = :now, status = NULL, answer = NULL
        WHERE k.created_at <= :kept_since OR (k.status IS NULL AND k.created_at <= :dead_before)
    RETURNING id, set_config('synchronous_commit', 'off', true)
    """
)
KEPT = timedelta(hours=24)
DEAD_AFTER = timedelta(minutes=3)  # no request runs so long: its process died
LONGEST = 200


def before(token_id: int) -> Any:
    """Claim the key, or answer what was answered before. Raises Invalid, Conflict."""
    g.idempotency_id = None
    key = request.headers.get("Idempotency-Key")
    if request.method != "POST" or key is None:
        return None
    if not 1 <= len(key) <= LONGEST or not key.isprintable():
        raise Invalid(f"Idempotency-Key has 1 to {LONGEST} printable characters", fields=["Idempotency-Key"])
    said = hashlib.sha256(
        b"\0".join((request.method.encode(), request.full_path.encode(), request.get_data()))
    ).digest()
    with transaction():
        claimed = _claim(token_id, key, said)
        if claimed is not None:
            g.idempotency_id = claimed
            return None
        known = db.session.query(IdempotencyKey).filter_by(token_id=token_id, key=key).one()
        if known.request_hash != said:
            return problem(
                422,
                "idempotency_key_reused",
                "This Idempotency-Key was used for another request.",
                fields=["Idempotency-Key"],
            )
        if known.status is None or known.answer is None:
            raise Conflict("The first request with this Idempotency-Key is still running.")
        answer = make_response(known.answer["body"], known.status)
        answer.content_type = known.answer["content_type"]
        answer.headers["Idempotent-Replayed"] = "true"
        return answer


def _claim(token_id: int, key: str, said: bytes) -> int | None:
    """One statement. It need not be on disk before the request goes on: no later commit is, unless this one is too."""
    now = clock.now()
    values = {
        "token_id": token_id,
        "key": key,
        "said": said,
        "now": now,
        "kept_since": now - KEPT,
        "dead_before": now - DEAD_AFTER,
    }
    row = db.session.execute(CLAIM, values).first()
    return None if row is None else int(row.id)


def after(response: Response) -> Response:
    """Keep the answer; a fault of ours is not kept, so that the request can be sent again."""
    claimed = g.get("idempotency_id")
    if claimed is None:
        return response
    g.idempotency_id = None
    if g.pop("idempotency_kept", None) is response:
        return response
    try:
        _keep(claimed, response)
    except SQLAlchemyError as error:  # what was done is done, and the answer says so; the key is free again in a while
        log.warning("answer of key %s not kept: %s", claimed, type(error).__name__)
    return response


def keep_within_transaction(response: Response) -> None:
    """Keep a successful answer in the transaction of what it answers: either both are there or neither is.

    The view answers this very response; another one, because the commit failed, is kept in its place.
    """
    claimed = g.get("idempotency_id")
    if claimed is not None:
        _write(claimed, response)
        g.idempotency_kept = response


def _keep(claimed: int, response: Response) -> None:
    with transaction():
        if response.status_code >= 500:
            db.session.execute(delete(IdempotencyKey).where(IdempotencyKey.id == claimed))
        else:
            _write(claimed, response)


def _write(claimed: int, response: Response) -> None:
    kept = {"body": response.get_data(as_text=True), "content_type": response.content_type}
    keys = IdempotencyKey.__table__
    assert isinstance(keys, Table)
    db.session.execute(update(keys).where(keys.c.id == claimed).values(status=response.status_code, answer=kept))


def abandon(error: BaseException | None) -> None:
    """Free a key whose request died before it had an answer."""
    claimed = g.pop("idempotency_id", None)
    if error is None or claimed is None:
        return
    with suppress(SQLAlchemyError):
        db.session.rollback()
        with transaction():
            db.session.execute(delete(IdempotencyKey).where(IdempotencyKey.id == claimed))
