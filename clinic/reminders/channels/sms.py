"""Texts through a Twilio-compatible HTTP gateway, with a second one behind it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import httpx

from clinic.reminders.channels.base import Accepted, ChannelBusy, ChannelRefused, Envelope

TIMEOUT = httpx.Timeout(10.0, connect=5.0)
REFERENCE_HEADER = "I-Twilio-Idempotency-Token"
LONGEST_WAIT = timedelta(hours=1)


@dataclass(frozen=True)
class Gateway:
    """One provider."""

    url: str
    account: str
    token: str
    sender: str


class _NotTaken(ChannelBusy):
    """The gateway certainly did not take the message, so that another one may."""


class SmsChannel:
    """Tries the gateways in order; goes on to the next only where the one before certainly did not take the message."""

    def __init__(self, gateways: Sequence[Gateway]) -> None:
        self._gateways = gateways

    def send(self, envelope: Envelope) -> Accepted:
        last: ChannelBusy | None = None
        for number, gateway in enumerate(self._gateways, start=1):
            try:
                return Accepted(f"sms{number}", _post(gateway, envelope))
            except _NotTaken as error:
                last = error
        assert last is not None
        raise ChannelBusy(last.message, last.wait)


def _post(gateway: Gateway, envelope: Envelope) -> str | None:
    account = quote(gateway.account, safe="")
    try:
        answer = httpx.post(
            f"{gateway.url.rstrip('/')}/2010-04-01/Accounts/{account}/Messages.json",
            data={"To": envelope.to, "From": gateway.sender, "Body": envelope.body},
            auth=(gateway.account, gateway.token),
            headers={REFERENCE_HEADER: envelope.reference},
            timeout=TIMEOUT,
        )
    except (httpx.ConnectError, httpx.ConnectTimeout) as error:
        raise _NotTaken(f"the gateway cannot be reached: {type(error).__name__}") from None
    except httpx.HTTPError as error:
        raise ChannelBusy(f"the gateway did not answer: {type(error).__name__}") from None
    return _read(answer)


def _read(answer: httpx.Response) -> str | None:
    """The provider's id of an accepted message. Raises ChannelBusy or ChannelRefused."""
    body = _json(answer)
    if answer.is_success:
        sid = body.get("sid")
        return str(sid)[:120] if sid else None
    code = body.get("code")
    detail = f"{answer.status_code}, code {code}" if isinstance(code, int) else f"{answer.status_code}"
    if answer.status_code == 429:
        raise _NotTaken(f"the gateway is busy ({detail})", _retry_after(answer))
    if answer.status_code in (401, 403):
        raise _NotTaken(f"the gateway refused our sign-in ({detail})")
    if answer.status_code >= 500:
        raise ChannelBusy(f"the gateway has a fault ({detail})", _retry_after(answer))
    raise ChannelRefused(f"the gateway refused the message ({detail})")


def _json(answer: httpx.Response) -> dict[str, Any]:
    try:
        body = answer.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _retry_after(answer: httpx.Response) -> timedelta | None:
    """Seconds that the gateway asked for; a date is ignored."""
    given = answer.headers.get("Retry-After", "")
    return min(timedelta(seconds=int(given)), LONGEST_WAIT) if given.isdigit() and len(given) < 9 else None
