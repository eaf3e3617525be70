"""Short signed addresses in messages. They need no row and no sign-in: the number and its seal are all there is.

A token is the number of a ledger row or a patient, and twelve bytes of an HMAC over it and what it is for. The same
message therefore holds the same address however often it is written.
"""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from enum import StrEnum

SEAL = 12  # bytes
LONGEST = 60


class Use(StrEnum):
    """What a token opens; one for one thing is none for another."""

    VISIT = "visit"  # a message about visits: see them, answer
    MAIL = "unsubscribe email"  # a patient: no more mail
    STAFF_MAIL = "unsubscribe staff"  # a staff member: no more mail in the morning
    RETURN = "return path"  # a message: where its bounces go
    OFFER = "offer"  # a message about a freed time: take it or leave it


def sign(use: Use, number: int, keys: Sequence[str]) -> str:
    """The token, made with the newest key."""
    raw = number.to_bytes((number.bit_length() + 7) // 8 or 1, "big")
    return f"{_text(raw)}.{_text(_seal(use, number, keys[0]))}"


def read(use: Use, token: str, keys: Sequence[str]) -> int | None:
    """The number, if any of the keys made the token for this use."""
    raw, mark, given = token.partition(".")
    if not mark or len(token) > LONGEST:
        return None
    try:
        number = int.from_bytes(_bytes(raw), "big")
        seal = _bytes(given)
    except ValueError:
        return None
    if number.bit_length() > 63 or not any(hmac.compare_digest(seal, _seal(use, number, key)) for key in keys):
        return None
    return number


def _seal(use: Use, number: int, key: str) -> bytes:
    return hmac.digest(key.encode(), f"daybreak {use}\0{number}".encode(), hashlib.sha256)[:SEAL]


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text.encode() + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
