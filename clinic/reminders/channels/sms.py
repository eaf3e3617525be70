"""Texts through a Twilio-compatible HTTP gateway, with a second one behind it.

No message may be taken twice, so the second gateway is asked only where the first certainly did not take it. A try
that ended in the dark (no answer, or the worker died) is cleared up first: the gateway is asked for what it holds.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any
from urllib.parse import quote

import httpx

from clinic.reminders.channels.base import ANY, Accepted, ChannelBusy, ChannelRefused, Envelope

TIMEOUT = httpx.Timeout(10.0, connect=5.0)
REFERENCE_HEADER = "I-Twilio-Idempotency-Token"
LONGEST_WAIT = timedelta(hours=1)
SKEW = timedelta(minutes=2)  # between our clock and the provider's
LOOKED_AT = 50  # messages to this number, newest first
# Twilio's codes of a number that takes no texts: not valid, not mobile, unknown, land line.
DEAD_NUMBER = frozenset({21211, 21214, 21217, 21614, 30005, 30006})
OPTED_OUT = 21610  # the person told the provider itself to stop


@dataclass(frozen=True)
class Gateway:
    """One provider, and its name in the ledger."""

    url: str
    account: str
    token: str
    sender: str
    name: str = "sms1"

    @property
    def messages(self) -> str:
        return f"{self.url.rstrip('/')}/2010-04-01/Accounts/{quote(self.account, safe='')}/Messages.json"


class _NotTaken(ChannelBusy):
    """The gateway certainly did not take the message, so that another one may."""


class _CannotTell(Exception):
    """The gateway does not list what it took."""


class SmsChannel:
    """Tries the gateways in order."""

    def __init__(self, gateways: Sequence[Gateway]) -> None:
        self._gateways = gateways

    def send(self, envelope: Envelope) -> Accepted:
        last: ChannelBusy | None = None
        held, usable = self._cleared_up(envelope)
        if held is not None:
            return held
        for gateway in usable:
            try:
                return Accepted(gateway.name, _post(gateway, envelope))
            except _NotTaken as error:
                last = error
        assert last is not None
        raise ChannelBusy(last.message, last.wait, unsure_of=envelope.unsure_of, is_throttled=last.is_throttled)

    def _cleared_up(self, envelope: Envelope) -> tuple[Accepted | None, Sequence[Gateway]]:
        """What an earlier try came to, if a gateway holds it; else those that may be asked now. Raises ChannelBusy."""
        doubtful = [gateway for gateway in self._gateways if envelope.unsure_of in (gateway.name, ANY)]
        mute: list[Gateway] = []
        for gateway in doubtful:
            try:
                found = _find(gateway, envelope)
            except _CannotTell:
                mute.append(gateway)
            except _NotTaken as error:
                raise ChannelBusy(error.message, error.wait, unsure_of=envelope.unsure_of) from None
            else:
                if found:
                    return Accepted(gateway.name, found), ()
        if mute:
            return None, mute[:1]  # the same reference again, and nobody else
        rest = [gateway for gateway in self._gateways if gateway not in doubtful]
        return None, [*rest, *doubtful]


@cache
def _client(_process: int) -> httpx.Client:
    """Connections that stay open, one set a process: a fork must not share its parent's."""
    return httpx.Client(limits=httpx.Limits(max_connections=20, max_keepalive_connections=10, keepalive_expiry=20))


def _ask(method: str, gateway: Gateway, **more: Any) -> httpx.Response:
    client, auth = _client(os.getpid()), (gateway.account, gateway.token)
    return client.request(method, gateway.messages, auth=auth, timeout=TIMEOUT, **more)


def _post(gateway: Gateway, envelope: Envelope) -> str | None:
    form = {"To": envelope.to, "From": gateway.sender, "Body": envelope.body}
    if envelope.callback:
        form["StatusCallback"] = f"{envelope.callback}&via={gateway.name}"
    try:
        answer = _ask("POST", gateway, data=form, headers={REFERENCE_HEADER: envelope.reference})
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
        raise _NotTaken(f"the gateway cannot be reached: {type(error).__name__}") from None
    except httpx.HTTPError as error:
        why = f"the gateway did not answer: {type(error).__name__}"
        raise ChannelBusy(why, unsure_of=gateway.name) from None
    return _read(answer, gateway)


def _read(answer: httpx.Response, gateway: Gateway) -> str | None:
    """The provider's id of an accepted message. Raises ChannelBusy or ChannelRefused."""
    body = _json(answer)
    if answer.is_success:
        sid = body.get("sid")
        return str(sid)[:120] if sid else None
    code = body.get("code")
    detail = f"{answer.status_code}, code {code}" if isinstance(code, int) else f"{answer.status_code}"
    if answer.status_code == 429:
        raise _NotTaken(f"the gateway is busy ({detail})", _retry_after(answer), is_throttled=True)
    if answer.status_code in (401, 403):
        raise _NotTaken(f"the gateway refused our sign-in ({detail})")
    if answer.status_code == 503:
        raise _NotTaken(f"the gateway is not available ({detail})", _retry_after(answer))
    if answer.status_code >= 500:
        raise ChannelBusy(f"the gateway has a fault ({detail})", _retry_after(answer), unsure_of=gateway.name)
    if code == OPTED_OUT:
        raise ChannelRefused(f"the person told the provider to stop texts ({detail})")
    raise ChannelRefused(f"the gateway refused the message ({detail})", is_dead=code in DEAD_NUMBER)


def _find(gateway: Gateway, envelope: Envelope) -> str | None:
    """The provider's id of this very text where it holds it. Raises _CannotTell, or _NotTaken where it does not answer."""
    try:
        answer = _ask("GET", gateway, params={"To": envelope.to, "PageSize": LOOKED_AT})
    except httpx.HTTPError as error:
        raise _NotTaken(f"the gateway did not answer: {type(error).__name__}") from None
    if answer.status_code in (404, 405, 501):
        raise _CannotTell
    if not answer.is_success:
        raise _NotTaken(f"the gateway does not say what it took ({answer.status_code})", _retry_after(answer))
    listed = _json(answer).get("messages")
    if not isinstance(listed, list):
        raise _CannotTell
    return next((str(row["sid"])[:120] for row in listed if _is_it(row, envelope)), None)


def _is_it(row: Any, envelope: Envelope) -> bool:
    if (
        not isinstance(row, dict)
        or not row.get("sid")
        or (row.get("to"), row.get("body")) != (envelope.to, envelope.body)
    ):
        return False
    made = _instant(row.get("date_created"))
    return made is None or envelope.since is None or made >= envelope.since - SKEW


def _instant(text: Any) -> datetime | None:
    try:
        found = parsedate_to_datetime(str(text))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _json(answer: httpx.Response) -> dict[str, Any]:
    try:
        body = answer.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _retry_after(answer: httpx.Response) -> timedelta | None:
    """Seconds that the gateway asked for; a date is ignored."""
    given = answer.headers.get("Retry-After", "")
    return min(timedelta(seconds=int(given)), LONGEST_WAIT) if given.isdecimal() and len(given) < 9 else None
