"""Sign-ins that fail are slowed down, and nobody can lock anybody else out.

Three counters, each with its own wait. By account and address: five tries are free, then waits double up to a quarter of
an hour. By address, whoever is tried: thirty in a quarter of an hour. By account from browsers that this account never
signed in with: fifty an hour over all addresses. The person's own browsers, known by a signed cookie, are held up by their
own tries alone, whatever others do elsewhere or at the same address (a clinic has one for everybody, the guests' network
included), and a passkey, which cannot be guessed, by nothing. A known and an unknown account are counted alike.
"""

import hashlib
import ipaddress
from datetime import datetime, timedelta

from flask import current_app
from itsdangerous import BadSignature, URLSafeSerializer
from sqlalchemy import delete, func, select

from clinic import clock
from clinic.db import db, keyring
from clinic.staff.models import SignInFailure

FREE_TRIES = 5
FIRST_WAIT = timedelta(seconds=30)
LONGEST_WAIT = timedelta(minutes=15)
ADDRESS_TRIES, ADDRESS_WITHIN = 30, timedelta(minutes=15)
ACCOUNT_TRIES, ACCOUNT_WITHIN = 50, timedelta(hours=1)
KEPT = timedelta(days=1)
DEVICE_COOKIE = "daybreak_device"
DEVICE_LASTS = timedelta(days=180)


def wait(email: str, address: str, device: str | None) -> timedelta:
    """How long this caller waits before the next try at this account; zero: try now."""
    now, account, place = clock.now(), account_key(email), address_key(address)
    own = known_device(email, device)
    tried = _doubling(now, account, place, own)
    if own is not None:
        return tried
    strangers = (SignInFailure.account == account) & SignInFailure.device.is_(None)
    return max(
        tried,
        _spread(now, SignInFailure.address == place, ADDRESS_TRIES, ADDRESS_WITHIN),
        _spread(now, strangers, ACCOUNT_TRIES, ACCOUNT_WITHIN),
    )


def _doubling(now: datetime, account: bytes, place: bytes, own: bytes | None) -> timedelta:
    """Waits between the tries of one caller at one account. A browser that is known is a caller of its own."""
    caller = (
        SignInFailure.device == own
        if own is not None
        else (SignInFailure.address == place) & SignInFailure.device.is_(None)
    )
    tries, last = db.session.execute(
        select(func.count(), func.max(SignInFailure.occurred_at)).where(
            SignInFailure.account == account, caller, SignInFailure.occurred_at > now - KEPT
        )
    ).one()
    if tries < FREE_TRIES:
        return timedelta(0)
    pause = min(FIRST_WAIT * 2 ** min(tries - FREE_TRIES, 10), LONGEST_WAIT)
    return max(last + pause - now, timedelta(0))


def _spread(now: datetime, condition: object, tries: int, within: timedelta) -> timedelta:
    """Until the oldest of the last `tries` failures is `within` ago."""
    oldest: datetime | None = db.session.scalar(
        select(SignInFailure.occurred_at)
        .where(condition, SignInFailure.occurred_at > now - within)  # type: ignore[arg-type]
        .order_by(SignInFailure.occurred_at.desc())
        .offset(tries - 1)
        .limit(1)
    )
    return timedelta(0) if oldest is None else max(oldest + within - now, timedelta(0))


def failed(email: str, address: str, device: str | None) -> None:
    """Note a failed try, and forget those that no counter reads any more. The caller commits."""
    now = clock.now()
    db.session.execute(delete(SignInFailure).where(SignInFailure.occurred_at <= now - KEPT))
    db.session.add(
        SignInFailure(
            account=account_key(email),
            address=address_key(address),
            device=known_device(email, device),
            occurred_at=now,
        )
    )


def succeeded(email: str, address: str, device: str | None) -> None:
    """Who is in starts anew, from this address or browser alone. The caller commits."""
    own = known_device(email, device)
    caller = SignInFailure.device == own if own is not None else SignInFailure.address == address_key(address)
    db.session.execute(delete(SignInFailure).where(SignInFailure.account == account_key(email), caller))


def account_key(email: str) -> bytes:
    """What stands for an account, whether it exists or not."""
    return keyring().blind("sign-in", email)[0]


def address_key(address: str) -> bytes:
    """What stands for an address; of IPv6 the network, since one caller has all of its addresses."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return keyring().blind("address", address)[0]
    if found.version == 6:
        address = str(ipaddress.ip_network((int(found) >> 64 << 64, 64)).network_address)
    return keyring().blind("address", address)[0]


# -- browsers that are known ------------------------------------------------------------------------------------------


def device_cookie(email: str, nonce: str) -> str:
    """A cookie that says: this browser signed in as this account before. It opens nothing."""
    return _serializer().dumps([account_key(email).hex(), nonce])


def known_device(email: str, cookie: str | None) -> bytes | None:
    """The browser, if this account signed in with it before."""
    if not cookie:
        return None
    try:
        account, nonce = _serializer().loads(cookie)
    except (BadSignature, ValueError, TypeError):
        return None
    if bytes.fromhex(account) not in keyring().blind("sign-in", email):
        return None
    return hashlib.sha256(str(nonce).encode()).digest()


def _serializer() -> URLSafeSerializer:
    keys = current_app.config["SETTINGS"].secret_keys
    return URLSafeSerializer(list(reversed(keys)), salt="device")
