"""Calendar feeds: an unguessable address for the appointments of a patient, a device or a site.

The address can be read again by who made it (it is kept sealed), renewed and revoked. What it shows has no clinical
word: a patient's visits are visits to the clinic, on a device or at a site there are initials.
"""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import and_, or_, select
from sqlalchemy.exc import IntegrityError

from clinic import audit, clock
from clinic.audit import Actor
from clinic.db import broken_constraint, db, transaction
from clinic.locations import queries as locations
from clinic.locations.models import Device, Location
from clinic.patients.models import Patient
from clinic.patients.sites import everyone
from clinic.scheduling import calendar_file
from clinic.scheduling.calendar_file import Entry
from clinic.scheduling.models import CalendarFeed, FeedKind, Mode, SessionState, TreatmentSession
from clinic.staff.models import StaffUser

SHOWN_BACK = timedelta(days=60)
CANCELLED_FOR = timedelta(days=30)  # how long a calendar is told that an appointment was cancelled
VISIT_WORDS = {"en": "Visit at {clinic}", "es": "Cita en {clinic}"}
VIDEO_WORDS = {"en": "By video", "es": "Por video"}


@dataclass(frozen=True)
class Served:
    """A calendar as it is sent. `etag` and `changed_at` stay the same until something in it changes."""

    content: bytes = field(repr=False)
    etag: str
    changed_at: datetime


# -- addresses --------------------------------------------------------------------------------------------------------


def present(kind: FeedKind, subject_id: int) -> CalendarFeed | None:
    """The feed whose address is in use, if there is one."""
    return db.session.scalar(
        select(CalendarFeed).where(_subject(kind) == subject_id, CalendarFeed.revoked_at.is_(None))
    )


def _subject(kind: FeedKind):  # type: ignore[no-untyped-def]
    columns = {
        FeedKind.PATIENT: CalendarFeed.patient_id,
        FeedKind.DEVICE: CalendarFeed.device_id,
        FeedKind.LOCATION: CalendarFeed.location_id,
    }
    return columns[kind]


def open_feed(kind: FeedKind, subject_id: int, *, by: Actor) -> str:
    """The token of the address in use, or of a new one. Raises NotFound through the foreign key's absence of a subject."""
    try:
        with transaction():
            found = present(kind, subject_id)
            return found.token if found is not None else _new(kind, subject_id, by=by)
    except IntegrityError as error:  # two browsers at once: the first one's address holds
        if broken_constraint(error) not in IN_USE:
            raise
        with transaction():
            found = present(kind, subject_id)
            assert found is not None
            return found.token


IN_USE = frozenset(f"calendar_feeds_{kind}_key" for kind in FeedKind)


def _new(kind: FeedKind, subject_id: int, *, by: Actor) -> str:
    token = secrets.token_urlsafe(24)
    row = CalendarFeed(
        kind=kind,
        patient_id=subject_id if kind == FeedKind.PATIENT else None,
        device_id=subject_id if kind == FeedKind.DEVICE else None,
        location_id=subject_id if kind == FeedKind.LOCATION else None,
        token=token,
        token_hash=_digest(token),
        created_at=clock.now(),
        changed_at=clock.now(),
    )
    db.session.add(row)
    audit.record(row, "created", by=by)
    db.session.flush()
    return token


def renew_feed(kind: FeedKind, subject_id: int, *, by: Actor) -> str:
    """Another address; the old one shows nothing from now on."""
    with transaction():
        _revoke(kind, subject_id, by=by)
        return _new(kind, subject_id, by=by)


def revoke_feed(kind: FeedKind, subject_id: int, *, by: Actor) -> None:
    """No address any more. One that was never there is none too."""
    with transaction():
        _revoke(kind, subject_id, by=by)


def _revoke(kind: FeedKind, subject_id: int, *, by: Actor) -> None:
    row = present(kind, subject_id)
    if row is not None:
        row.revoked_at = clock.now()
        audit.record(row, "revoked", by=by)
        db.session.flush()


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


# -- what is served -----------------------------------------------------------------------------------------------------


@everyone()
def serve(token: str) -> Served | None:
    """The calendar behind an address; None where there is none."""
    with transaction():
        row = db.session.scalar(
            select(CalendarFeed).where(CalendarFeed.token_hash == _digest(token), CalendarFeed.revoked_at.is_(None))
        )
        if row is None:
            return None
        name, entries = _entries(row)
        digest = hashlib.sha256(repr((name, entries)).encode()).digest()
        if digest != row.content_hash:
            row.content_hash, row.changed_at = digest, clock.now().replace(microsecond=0)
        content = calendar_file.write(name, entries, changed_at=row.changed_at)
        return Served(content, hashlib.sha256(content).hexdigest()[:32], row.changed_at)


def _entries(row: CalendarFeed) -> tuple[str, list[Entry]]:
    profile = locations.profile()
    clinic = profile.short_name if profile else "the clinic"
    if row.kind == FeedKind.PATIENT:
        patient = db.session.get_one(Patient, row.patient_id)
        words = VISIT_WORDS[patient.language].format(clinic=clinic)
        condition = TreatmentSession.patient_id == patient.id
        return clinic, [_entry(one, words, patient.language) for one in _appointments(condition)]
    if row.kind == FeedKind.DEVICE:
        device = db.session.get_one(Device, row.device_id)
        name = f"{device.location.name}, {device.name}"
        return name, [_entry(one, one.initials) for one in _appointments(TreatmentSession.device_id == device.id)]
    site = db.session.get_one(Location, row.location_id)
    found = _appointments(TreatmentSession.location_id == site.id)
    return site.name, [_entry(one, f"{one.initials}, {one.device or one.staff}") for one in found]


@dataclass(frozen=True)
class _Appointment:
    id: int
    revision: int
    starts_at: datetime
    ends_at: datetime
    state: str
    mode: str
    initials: str
    device: str | None
    staff: str | None
    site: str
    address: str
    tz: str


def _appointments(condition: object) -> Sequence[_Appointment]:
    """What lies in the last weeks and ahead; what was cancelled a while ago is left out. One statement."""
    now = clock.now()
    rows = db.session.execute(
        select(
            TreatmentSession.id,
            TreatmentSession.revision,
            TreatmentSession.starts_at,
            TreatmentSession.ends_at,
            TreatmentSession.state,
            TreatmentSession.mode,
            Patient.initials,
            Device.name,
            StaffUser.name,
            Location.name,
            Location.address,
            Location.tz,
        )
        .join(Patient, Patient.id == TreatmentSession.patient_id)
        .join(Location, Location.id == TreatmentSession.location_id)
        .outerjoin(Device, Device.id == TreatmentSession.device_id)
        .outerjoin(StaffUser, StaffUser.id == TreatmentSession.staff_id)
        .where(
            condition,  # type: ignore[arg-type]
            TreatmentSession.starts_at > now - SHOWN_BACK,
            TreatmentSession.state != SessionState.HELD,
            or_(
                TreatmentSession.state != SessionState.CANCELLED,
                and_(TreatmentSession.state == SessionState.CANCELLED, TreatmentSession.ended_at > now - CANCELLED_FOR),
            ),
        )
        .order_by(TreatmentSession.starts_at, TreatmentSession.id)
    )
    return [_Appointment(*tuple(row)) for row in rows]


def _entry(one: _Appointment, summary: str, language: str = "en") -> Entry:
    is_cancelled = one.state == SessionState.CANCELLED
    by_video = one.mode == Mode.VIDEO
    return Entry(
        key=f"appointment:{one.id}",
        sequence=one.revision + is_cancelled,
        starts_at=one.starts_at,
        ends_at=one.ends_at,
        tz=one.tz,
        summary=summary,
        location=VIDEO_WORDS[language] if by_video else f"{one.site}, {one.address}",
        is_cancelled=is_cancelled,
    )
