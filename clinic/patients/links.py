"""Single-use links and the patient sessions that they open. Steps for other features' operations; no transaction here."""

import hashlib
import secrets
from collections.abc import Mapping
from datetime import timedelta

from sqlalchemy import select, update

from clinic import clock
from clinic.db import db
from clinic.errors import Expired
from clinic.patients.models import AccessLink, LinkPurpose, PatientSession, about

LIFETIME = {
    LinkPurpose.INTAKE: timedelta(days=14),
    LinkPurpose.SIGN_IN: timedelta(minutes=30),
    LinkPurpose.SURVEY: timedelta(days=7),
    LinkPurpose.VISIT: timedelta(days=8),
    LinkPurpose.ASK: timedelta(days=7),
}
SESSION_LIFETIME = timedelta(hours=12)
KIOSK_LIFETIME = timedelta(hours=2)


def digest(token: str) -> bytes:
    """What is kept of a link or cookie."""
    return hashlib.sha256(token.encode()).digest()


def make_link(purpose: LinkPurpose, *, patient_id: int | None, **ids: int | None) -> str:
    """Add a link row and answer its token; the address is `{public url}/l/{token}`. `ids`: those of `models.ABOUT`."""
    token, now = secrets.token_urlsafe(24), clock.now()
    db.session.add(
        AccessLink(
            token_hash=digest(token),
            purpose=purpose,
            patient_id=patient_id,
            created_at=now,
            expires_at=now + LIFETIME[purpose],
            **ids,
        )
    )
    return token


def find_link(token: str) -> AccessLink | None:
    """The link of a token, spent or not."""
    return db.session.scalar(select(AccessLink).where(AccessLink.token_hash == digest(token)))


def spend(token: str) -> tuple[AccessLink, str]:
    """Spend the link and open a patient session; answers the link and the session's cookie value. Raises Expired."""
    now = clock.now()
    link = db.session.scalar(
        update(AccessLink)
        .where(AccessLink.token_hash == digest(token), AccessLink.spent_at.is_(None), AccessLink.expires_at > now)
        .values(spent_at=now)
        .returning(AccessLink)
    )
    if link is None:
        raise Expired("this link was used or is too old")
    cookie = open_session(LinkPurpose(link.purpose), patient_id=link.patient_id, **about(link))
    return link, cookie


def open_session(purpose: LinkPurpose, *, patient_id: int | None, **ids: int | None) -> str:
    """Add a patient session and answer its cookie value."""
    return _open(purpose, patient_id, ids, is_kiosk=False)


def carry_check(cookie: str) -> None:
    """The date of birth was given in this browser for the same person already."""
    db.session.flush()
    row = db.session.scalar(select(PatientSession).where(PatientSession.token_hash == digest(cookie)))
    assert row is not None
    row.birth_date_checked_at = clock.now()


def open_kiosk_session(purpose: LinkPurpose, *, patient_id: int | None, **ids: int | None) -> str:
    """A short session on a device of the clinic, which other people use after this one."""
    return _open(purpose, patient_id, ids, is_kiosk=True)


def _open(purpose: LinkPurpose, patient_id: int | None, ids: Mapping[str, int | None], *, is_kiosk: bool) -> str:
    cookie, now = secrets.token_urlsafe(32), clock.now()
    db.session.add(
        PatientSession(
            token_hash=digest(cookie),
            purpose=purpose,
            patient_id=patient_id,
            is_kiosk=is_kiosk,
            failed_checks=0,
            created_at=now,
            last_seen_at=now,
            expires_at=now + (KIOSK_LIFETIME if is_kiosk else SESSION_LIFETIME),
            **ids,
        )
    )
    return cookie
