"""Create a patient, keep consents, links and birth-date checks."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum

from sqlalchemy import func, select, update

from clinic import audit, clock, jobs
from clinic.audit import Actor
from clinic.db import AfterCommit, db, transaction
from clinic.errors import Conflict, Invalid, NotFound
from clinic.jobs import Job
from clinic.patients import links, queries
from clinic.patients.contact import checked_email, checked_phone
from clinic.patients.models import (
    ABOUT,
    AccessLink,
    Channel,
    ChannelConsent,
    LinkPurpose,
    LinkRequest,
    MessageStyle,
    Patient,
    PatientSession,
    about,
    record_numbers,
)

MAX_BIRTH_DATE_TRIES = 5
ASKED_AGAIN = timedelta(minutes=2)  # a second press of the button within this time is the same wish
MAX_REQUESTS = 5  # links that one person may be sent in an hour because someone asked
ONE_HOUR = timedelta(hours=1)


class LinkWish(StrEnum):
    """What became of the wish for a link."""

    ASKED = "asked"  # it goes out
    JUST_ASKED = "just_asked"  # the same one was asked for a moment ago, and goes out
    ENOUGH = "enough"  # this person was sent as many as anyone gets in an hour: nothing goes out


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
    given, family, email, phone = _checked(new)
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


@dataclass(frozen=True, kw_only=True)
class ContactChange:
    """Everything that the desk keeps about a person. Channels that are missing in `consents` stay as they are."""

    given_name: str
    family_name: str
    birth_date: date
    email: str | None
    phone: str | None
    language: str
    tz: str
    payer: str | None
    preferred_location_id: int | None
    message_style: str
    consents: dict[str, bool] = field(default_factory=dict)


def change_contacts(patient_id: int, change: ContactChange, *, by: Actor) -> None:
    """Write what differs; the audit event names the fields, never their values. Raises Invalid."""
    with transaction():
        change_within_transaction(patient_id, change, by=by, source="desk")


def change_within_transaction(patient_id: int, change: ContactChange, *, by: Actor, source: str) -> None:
    """As `change_contacts`, as a step of another operation."""
    given, family, email, phone = _checked(change)
    if change.message_style not in {str(known) for known in MessageStyle}:
        raise Invalid("choose digest or each", fields=["message_style"])
    values = {
        "given_name": given,
        "family_name": family,
        "birth_date": change.birth_date,
        "email": email,
        "phone": phone,
        "language": change.language,
        "tz": change.tz,
        "payer": change.payer,
        "preferred_location_id": change.preferred_location_id,
        "message_style": change.message_style,
    }
    patient = queries.lock(patient_id)
    changed = [name for name, value in values.items() if getattr(patient, name) != value]
    for name in changed:
        setattr(patient, name, values[name])
    patient.initials = initials(given, family)
    patient.email_blind, patient.phone_blind = email, phone  # type: ignore[assignment]
    if changed:
        audit.record(patient, "changed", by=by, fields=changed)
    for channel, granted in change.consents.items():
        set_consent_within_transaction(patient_id, channel, granted, by=by, source=source)


def _checked(person: NewPatient | ContactChange) -> tuple[str, str, str | None, str | None]:
    """Given and family name, email and phone, each in its normal form. Raises Invalid."""
    given, family = " ".join(person.given_name.split()), " ".join(person.family_name.split())
    if not given or not family:
        raise Invalid("given and family name are needed", fields=["given_name", "family_name"])
    if max(len(given), len(family)) > 200:
        raise Invalid("a name has at most 200 characters", fields=["given_name", "family_name"])
    if not date(1900, 1, 1) <= person.birth_date <= clock.now().date():
        raise Invalid("the date of birth is not possible", fields=["birth_date"])
    if person.tz not in clock.zones():
        raise Invalid("no such time zone", fields=["timezone"])
    if person.language not in ("en", "es"):
        raise Invalid("language is en or es", fields=["language"])
    return given, family, checked_email(person.email), checked_phone(person.phone)


def choose_messages(patient_id: int, *, style: str, consents: dict[str, bool], by: Actor) -> None:
    """What the patient chose on the own pages: channels, and how often. Raises Invalid."""
    if style not in {str(known) for known in MessageStyle}:
        raise Invalid("choose digest or each", fields=["style"])
    with transaction():
        patient = queries.lock(patient_id)
        if patient.message_style != style:
            patient.message_style = style
            audit.record(patient, "message_style", by=by, style=style)
        for channel, granted in consents.items():
            set_consent_within_transaction(patient_id, channel, granted, by=by, source="patient")


def choose_language(patient_id: int, language: str, *, by: Actor) -> None:
    """The language that a person chose, for pages and messages. Raises Invalid."""
    with transaction():
        choose_language_within_transaction(patient_id, language, by=by)


def choose_language_within_transaction(patient_id: int, language: str, *, by: Actor) -> None:
    """As `choose_language`, as a step of another operation."""
    if language not in ("en", "es"):
        raise Invalid("language is en or es", fields=["language"])
    patient = queries.lock(patient_id)
    if patient.language != language:
        patient.language = language
        audit.record(patient, "language", by=by, language=language)


def note_view(patient_id: int, *, part: str, by: Actor) -> None:
    """Append that someone opened a part of the record."""
    with transaction():
        audit.record_event("patients", patient_id, "viewed", by=by, patient_id=patient_id, part=part)


def note_search(found: Sequence[int], *, by: Actor) -> None:
    """Append that someone searched, and whom the answer showed; never what was typed."""
    with transaction():
        audit.record_event("patients", "search", "searched", by=by, found=list(found))


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
        raise Invalid("channel is email, sms or voice", fields=["consents"])
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


def spend_link(token: str, *, checked_for: int | None = None) -> tuple[AccessLink, str]:
    """Spend a link; answers it and the cookie value of the patient session. Raises Expired.

    `checked_for`: the person whose date of birth this browser gave in a session that still runs: it is not asked again.
    """
    with transaction():
        link, cookie = links.spend(token)
        if checked_for is not None and link.patient_id == checked_for:
            links.carry_check(cookie)
        actor = Actor(audit.ActorKind.PATIENT, str(link.patient_id or f"intake {link.intake_id}"))
        audit.record(link, "spent", by=actor, purpose=link.purpose)
        db.session.expunge(link)
        return link, cookie


def request_link(patient_id: int, purpose: str = LinkPurpose.SIGN_IN, *, by: Actor, **ids: int | None) -> LinkWish:
    """Ask that a fresh link be sent over a channel that we know. Raises Conflict where no channel is known."""
    with transaction() as after_commit:
        return request_link_within_transaction(patient_id, purpose, by=by, after_commit=after_commit, **ids)


def request_link_within_transaction(
    patient_id: int, purpose: str, *, by: Actor, after_commit: AfterCommit, **ids: int | None
) -> LinkWish:
    """`request_link` as a step of another operation; `ids` are those of `models.ABOUT`."""
    patient = queries.lock(patient_id)
    if not queries.known_channels(patient):
        raise Conflict("We have neither an email nor a phone number of this person.")
    wish = _request(patient, purpose, by=by, **ids)
    if wish is LinkWish.ASKED:
        after_commit.append(lambda: jobs.ring(Job.SWEEP_URGENT))
    return wish


def request_links_to(contact: str, *, by: Actor) -> None:
    """Ask for a sign-in link for everyone who is reached at this address; an unknown address does nothing."""
    with transaction() as after_commit:
        asked = [
            _request(queries.lock(patient.id), LinkPurpose.SIGN_IN, by=by)
            for patient in sorted(queries.reached_at(contact), key=lambda patient: patient.id)
        ]
        if LinkWish.ASKED in asked:
            after_commit.append(lambda: jobs.ring(Job.SWEEP_URGENT))


def request_link_again(token: str, *, by: Actor) -> bool:
    """Ask for a fresh link in place of one that was used or is too old; False where we do not know whom to write to."""
    link = links.find_link(token)
    if link is None or link.patient_id is None:
        return False
    if not queries.known_channels(queries.get(link.patient_id)):
        return False
    request_link(link.patient_id, link.purpose, **about(link), by=by)
    return True


def _request(patient: Patient, purpose: str, *, by: Actor, **ids: int | None) -> LinkWish:
    """Add the wish, unless the same one is a moment old or this person was sent enough. The patient's row is locked."""
    now = clock.now()
    wish = {"purpose": purpose, **dict.fromkeys(ABOUT), **ids}
    same = select(LinkRequest.id).filter_by(patient_id=patient.id, **wish)
    if db.session.scalar(same.where(LinkRequest.requested_at > now - ASKED_AGAIN).limit(1)) is not None:
        return LinkWish.JUST_ASKED
    lately = select(func.count()).where(LinkRequest.patient_id == patient.id, LinkRequest.requested_at > now - ONE_HOUR)
    if (db.session.scalar(lately) or 0) >= MAX_REQUESTS:
        return LinkWish.ENOUGH
    row = LinkRequest(patient_id=patient.id, requested_at=now, **wish)
    db.session.add(row)
    audit.record(row, "requested", by=by, purpose=str(purpose))
    return LinkWish.ASKED


def check_birth_date(patient_session_id: int, given: date) -> bool:
    """Hold the date against the record. The fifth wrong date ends the session. Raises NotFound."""
    with transaction():
        row = db.session.get(PatientSession, patient_session_id, with_for_update=True)
        if row is None or row.patient_id is None or row.ended_at is not None:
            raise NotFound("this session has ended")
        patient = queries.get(row.patient_id)
        actor = Actor(audit.ActorKind.PATIENT, str(row.patient_id))
        if patient.birth_date == given:
            row.birth_date_checked_at = row.last_seen_at = clock.now()
            audit.record(row, "birth_date_checked", by=actor)
            return True
        row.failed_checks += 1
        if row.failed_checks >= MAX_BIRTH_DATE_TRIES:
            row.ended_at = clock.now()
        audit.record(row, "birth_date_wrong", by=actor, tries=row.failed_checks)
        return False


def keep_session(patient_session_id: int, *, idle: timedelta) -> bool:
    """Note that someone is there; False where nobody was for as long as `idle`, or the session is over."""
    now = clock.now()
    with transaction():
        seen = db.session.scalar(
            update(PatientSession)
            .where(
                PatientSession.id == patient_session_id,
                PatientSession.ended_at.is_(None),
                PatientSession.last_seen_at > now - idle,
            )
            .values(last_seen_at=now)
            .returning(PatientSession.id)
        )
        return seen is not None


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
