"""Idempotency-Key: a repeated POST is answered, not repeated. One row a token and key, kept for 24 hours."""

import base64
import hashlib
import logging
import zlib
from collections.abc import Collection
from contextlib import suppress
from datetime import timedelta
from typing import Any

from flask import Response, g, make_response, request
from sqlalchemy import BigInteger, SmallInteger, bindparam, delete, text
from sqlalchemy.exc import SQLAlchemyError

from clinic import clock
from clinic.api.models import IdempotencyKey
from clinic.db import EncryptedJSON, array, db, together, transaction
from clinic.errors import Conflict, Invalid
from clinic.scheduling.writing import Along
from clinic.staff import queries as staff
from clinic.staff.queries import Token
from clinic.web.errors import problem

log = logging.getLogger(__name__)

# Token and key in one statement: whose token it is, and the key where the role may ask and nobody asked before.
# A new id: what the request before would still answer finds nothing to write to.
CLAIM = """
    WITH token AS (
        SELECT id, name, role, has_all_sites FROM api_tokens WHERE token_hash = %(token_hash)s AND revoked_at IS NULL
    ), claimed AS (
        INSERT INTO idempotency_keys AS k (token_id, key, request_hash, created_at)
        SELECT id, %(key)s, %(said)s, %(now)s FROM token
            WHERE role = ANY(CAST(%(roles)s AS text[])) OR CAST(%(roles)s AS text) = '{}'
        ON CONFLICT (token_id, key) DO UPDATE
            SET id = DEFAULT, request_hash = %(said)s, created_at = %(now)s, status = NULL, answer = NULL
            WHERE k.created_at <= %(kept_since)s OR (k.status IS NULL AND k.created_at <= %(dead_before)s)
        RETURNING id
    )
    SELECT token.id, name, role, has_all_sites, claimed.id, set_config('synchronous_commit', 'off', true)
    FROM token LEFT JOIN claimed ON true
"""
ANSWER = "UPDATE idempotency_keys SET status = :answer_status, answer = :answer_kept WHERE id = :answer_key"
ANSWER_TYPES = (
    bindparam("answer_status", type_=SmallInteger),
    bindparam("answer_kept", type_=EncryptedJSON),
    bindparam("answer_key", type_=BigInteger),
)
KEPT = timedelta(hours=24)
DEAD_AFTER = timedelta(minutes=3)  # no request runs so long: its process died
LONGEST = 200


def claim(secret: str, roles: Collection[str]) -> Token | None:
    """Whose token it is; the key of this request is claimed with it, where it has one and the role may ask. Raises Invalid.

    It need not be on disk before the request goes on: no later commit is, unless this one is too.
    """
    g.idempotency_id = None
    key = request.headers.get("Idempotency-Key")
    if not _is_asked(key):
        return staff.active_token(secret)
    now = clock.now()
    values = {
        "token_hash": staff.hash_token(secret),
        "roles": array(sorted(roles)),
        "key": key,
        "said": _said(),
        "now": now,
        "kept_since": now - KEPT,
        "dead_before": now - DEAD_AFTER,
    }
    with transaction():
        [rows] = together((CLAIM, values), ends=True)
    if not rows:
        return None
    g.idempotency_id = rows[0][4]
    return Token(*rows[0][:4])


def _is_asked(key: str | None) -> bool:
    return request.method == "POST" and key is not None and 1 <= len(key) <= LONGEST and key.isprintable()


def _said() -> bytes:
    parts = request.method.encode(), request.full_path.encode(), request.get_data()
    return hashlib.sha256(b"\0".join(parts)).digest()


def before(token_id: int) -> Any:
    """Answer what was answered before, where the key is not this request's. Raises Invalid, Conflict."""
    key = request.headers.get("Idempotency-Key")
    if request.method != "POST" or key is None or g.idempotency_id is not None:
        return None
    if not _is_asked(key):
        raise Invalid(f"Idempotency-Key has 1 to {LONGEST} printable characters", fields=["Idempotency-Key"])
    with transaction():
        known = db.session.query(IdempotencyKey).filter_by(token_id=token_id, key=key).one_or_none()
        if known is None:  # let go of in this very moment
            raise Conflict("The first request with this Idempotency-Key did not come to an end. Send it again.")
        if known.request_hash != _said():
            return problem(
                422,
                "idempotency_key_reused",
                "This Idempotency-Key was used for another request.",
                fields=["Idempotency-Key"],
            )
        if known.status is None or known.answer is None:
            raise Conflict("The first request with this Idempotency-Key is still running.")
        answer = make_response(_body(known.answer), known.status)
        answer.content_type = known.answer["content_type"]
        answer.headers["Idempotent-Replayed"] = "true"
        return answer


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


def kept_along(response: Response) -> Along | None:
    """How a successful answer is kept with what it answers: either both are there or neither is.

    The view answers this very response; another one, because nothing was written, is kept in its place.
    """
    claimed = g.get("idempotency_id")
    if claimed is None:
        return None
    g.idempotency_kept = response
    return Along(ANSWER, ANSWER_TYPES, _values(claimed, response))


def _keep(claimed: int, response: Response) -> None:
    with transaction():
        if response.status_code >= 500:
            db.session.execute(delete(IdempotencyKey).where(IdempotencyKey.id == claimed))
        else:
            db.session.execute(text(ANSWER).bindparams(*ANSWER_TYPES), _values(claimed, response))


def _values(claimed: int, response: Response) -> dict[str, Any]:
    kept = {"zipped": _zipped(response.get_data()), "content_type": response.content_type}
    return {"answer_key": claimed, "answer_status": response.status_code, "answer_kept": kept}


def _zipped(body: bytes) -> str:
    """A whole course says much the same 36 times: a tenth of it is enough to keep."""
    return base64.b64encode(zlib.compress(body, 1)).decode()


def _body(kept: Any) -> bytes:
    if "packed" in kept:  # by the version before
        return zlib.decompress(base64.b85decode(kept["packed"]))
    return zlib.decompress(base64.b64decode(kept["zipped"]))


def abandon(error: BaseException | None) -> None:
    """Free a key whose request died before it had an answer."""
    claimed = g.pop("idempotency_id", None)
    if error is None or claimed is None:
        return
    with suppress(SQLAlchemyError):
        db.session.rollback()
        with transaction():
            db.session.execute(delete(IdempotencyKey).where(IdempotencyKey.id == claimed))
