"""Create a patient, keep consents, links and birth-date checks."""

from dataclasses import dataclass, field
from datetime import date
from zoneinfo import available_timezones

from sqlalchemy import select

from clinic import audit, clock
from clinic.audit import Actor
from clinic.db import db, transaction
from clinic.errors import Invalid, NotFound
from clinic.patients import links, queries
from clinic.patients.contact import checked_email, checked_phone
from clinic.patients.models import (
    AccessLink,
    Channel,
    ChannelConsent,
    MessageStyle,
    Patient,
    PatientSession,
    record_numbers,
)

MAX_BIRTH_DATE_TRIES = 5


@dataclass(frozen=True, kw_only=True)
class NewPatient:
    """What creates a patient."""

    given_name: str
    family_name: str
    birth_date: date
    email: str | None = None
    phone: str | None = None
    language: str = "en"
    tz: str = "America/Los_Angeles"
    payer: str | None = None
    preferred_location_id: int | None = None
    consents: dict[str, bool] = field(default_factory=dict)


def create_patient(new: NewPatient, *, by: Actor, source: str = "desk") -> int:
    """Create a patient and answer the id. Raises Invalid."""
    with transaction():
        return create_within_transaction(new, by=by, source=source).id


def create_within_transaction(new: NewPatient, *, by: Actor, source: str) -> Patient:
    """As `create_patient`, as a step of another operation."""
    given, family = " ".join(new.given_name.split()), " ".join(new.family_name.split())
    if not given or not family:
        raise Invalid("given and family name are needed", fields=["given_name", "family_name"])
    if max(len(given), len(family)) > 200:
        raise Invalid("a name has at most 200 characters", fields=["given_name", "family_name"])
    today = clock.now().date()
    if not date(1900, 1, 1) <= new.birth_date <= today:
        raise Invalid("the date of birth is not possible", fields=["birth_date"])
    if new.tz not in available_timezones():
        raise Invalid("no such time zone", fields=["timezone"])
    if new.language not in ("en", "es"):
        raise Invalid("language is en or es", fields=["language"])
    email, phone = checked_email(new.email), checked_phone(new.phone)
    number = db.session.scalar(select(record_numbers.next_value()))
    patient = Patient(
        record_number=f"D-{number}",
        given_name=given,
        family_name=family,
        initials=initials(given, family),
        birth_date=new.birth_date,
        email=email,
        email_blind=email,
        phone=phone,
        phone_blind=phone,
        language=new.language,
        tz=new.tz,
        message_style=MessageStyle.DIGEST,
        payer=new.payer,
        preferred_location_id=new.preferred_location_id,
        created_at=clock.now(),
    )
    db.session.add(patient)
    audit.record(patient, "created", by=by)
    for channel, granted in new.consents.items():
        set_consent_within_transaction(patient.id, channel, granted, by=by, source=source)
    return patient


def initials(given: str, family: str) -> str:
    """First letters, upper case, as the desk searches them."""
    return (given[:1] + family[:1]).upper()


def set_consent(patient_id: int, channel: str, granted: bool, *, by: Actor, source: str) -> None:
    """Record a yes or a no to a channel. It works at once, and for that channel only."""
    with transaction():
        queries.lock(patient_id)
        set_consent_within_transaction(patient_id, channel, granted, by=by, source=source)


def set_consent_within_transaction(patient_id: int, channel: str, granted: bool, *, by: Actor, source: str) -> None:
    """As `set_consent`, as a step of another operation. An answer that does not change adds nothing."""
    if channel not in {str(known) for known in Channel}:
        raise Invalid("channel is email or sms", fields=["consents"])
    present = db.session.scalar(
        select(ChannelConsent).where(
            ChannelConsent.patient_id == patient_id,
            ChannelConsent.channel == channel,
            ChannelConsent.superseded_at.is_(None),
        )
    )
    if present is not None:
        if present.granted == granted:
            return
        present.superseded_at = clock.now()
        db.session.flush()
    row = ChannelConsent(
        patient_id=patient_id, channel=channel, granted=granted, source=source, recorded_at=clock.now()
    )
    db.session.add(row)
    audit.record(row, "consented" if granted else "withdrew", by=by, channel=channel)


def set_message_style(patient_id: int, style: str, *, by: Actor) -> None:
    """Choose one weekly digest, or one message a visit."""
    if style not in {str(known) for known in MessageStyle}:
        raise Invalid("choose digest or each")
    with transaction():
        patient = queries.lock(patient_id)
        patient.message_style = style
        audit.record(patient, "message_style", by=by, style=style)


def spend_link(token: str) -> tuple[AccessLink, str]:
    """Spend a link; answers it and the cookie value of the patient session. Raises Expired."""
    with transaction():
        link, cookie = links.spend(token)
        actor = Actor(audit.ActorKind.PATIENT, str(link.patient_id or f"intake {link.intake_id}"))
        audit.record(link, "spent", by=actor, purpose=link.purpose)
        db.session.expunge(link)
        return link, cookie


def check_birth_date(patient_session_id: int, given: date) -> bool:
    """Hold the date against the record. The fifth wrong date ends the session. Raises NotFound."""
    with transaction():
        row = db.session.get(PatientSession, patient_session_id, with_for_update=True)
        if row is None or row.patient_id is None or row.ended_at is not None:
            raise NotFound("this session has ended")
        patient = queries.get(row.patient_id)
        actor = Actor(audit.ActorKind.PATIENT, str(row.patient_id))
        if patient.birth_date == given:
            row.birth_date_checked_at = clock.now()
            audit.record(row, "birth_date_checked", by=actor)
            return True
        row.failed_checks += 1
        if row.failed_checks >= MAX_BIRTH_DATE_TRIES:
            row.ended_at = clock.now()
        audit.record(row, "birth_date_wrong", by=actor, tries=row.failed_checks)
        return False


def end_session(patient_session_id: int) -> None:
    """Sign the patient out on this browser."""
    with transaction():
        row = db.session.get(PatientSession, patient_session_id, with_for_update=True)
        if row is not None and row.ended_at is None:
            row.ended_at = clock.now()
            audit.record(
                row,
                "signed_out",
                by=Actor(audit.ActorKind.PATIENT, str(row.patient_id or f"intake {row.intake_id}")),
            )
