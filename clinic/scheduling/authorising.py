"""Writes of the ledger: what a payer approved, changed or took back, and what patients agreed to pay themselves."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from clinic import audit, clock
from clinic.audit import Actor
from clinic.db import broken_constraint, db, transaction
from clinic.errors import AlreadyOver, Conflict, Invalid, NotFound
from clinic.locations import queries as locations
from clinic.patients import queries as patients
from clinic.protocols.shapes import bookable
from clinic.scheduling import ledger, queries, wishes
from clinic.scheduling.ledger import Wanted
from clinic.scheduling.models import Authorisation, Course, SelfPayAgreement, TreatmentSession

PATHWAYS = ("tms", "esketamine", "iv_ketamine")
MOST_SESSIONS = 400


@dataclass(frozen=True, kw_only=True)
class NewAuthorisation:
    """What a payer approved. What is None is not limited; both dates are included."""

    patient_id: int
    payer: str
    number: str
    pathway: str
    sessions_approved: int
    valid_from: date
    valid_until: date
    protocol: str | None = None
    location_id: int | None = None
    device_id: int | None = None


def add_authorisation(new: NewAuthorisation, *, by: Actor) -> int:
    """Put an authorisation on the ledger; booked sessions without a payer come under it in order of date.

    Answers its id. Raises NotFound, Invalid.
    """
    _refuse_wrong(new)
    with transaction():
        queries.lock_patient(new.patient_id)
        row = Authorisation(
            patient_id=new.patient_id,
            payer=new.payer.strip(),
            number=new.number.strip(),
            pathway=new.pathway,
            protocol=new.protocol,
            location_id=new.location_id,
            device_id=new.device_id,
            sessions_approved=new.sessions_approved,
            sessions_taken=0,
            valid_from=new.valid_from,
            valid_until=new.valid_until,
            created_at=clock.now(),
        )
        db.session.add(row)
        audit.record(row, "created", by=by, approved=new.sessions_approved)
        taken = _attach(row)
        audit.record(row, "attached", by=by, sessions=taken)
        return row.id


def _refuse_wrong(new: NewAuthorisation) -> None:
    if not new.payer.strip() or len(new.payer.strip()) > 120:
        raise Invalid("say who pays, in at most 120 characters", fields=["payer"])
    if not new.number.strip() or len(new.number.strip()) > 60:
        raise Invalid("an authorisation has a number of at most 60 characters", fields=["number"])
    if new.pathway not in PATHWAYS:
        raise Invalid(f"pathway is {', '.join(PATHWAYS)}", fields=["pathway"])
    if not 1 <= new.sessions_approved <= MOST_SESSIONS:
        raise Invalid(f"1 to {MOST_SESSIONS} sessions are approved", fields=["sessions_approved"])
    if new.valid_until < new.valid_from or not (clock.is_near(new.valid_from) and clock.is_near(new.valid_until)):
        raise Invalid("it ends on the day it begins, or later", fields=["valid_until"])
    if new.protocol is not None:
        protocol = bookable().get(new.protocol)
        if protocol is None or protocol.modality != new.pathway:
            raise Invalid(f"{new.protocol} is no protocol of this treatment", fields=["protocol"])
    patients.get(new.patient_id)
    if new.location_id is not None:
        locations.get(new.location_id)
    if new.device_id is not None and new.device_id not in queries.devices({new.device_id}):
        raise NotFound("no such device")


def _attach(row: Authorisation) -> int:
    """Booked sessions ahead that nobody pays for come under it, in order of date, as far as it reaches."""
    db.session.flush()
    left = row.sessions_approved - row.sessions_taken
    count = 0
    for one in _unfunded(row):
        if count == left:
            break
        wanted = Wanted(one.number, one.location_id, one.device_id, one.local_on)
        if ledger.why_not(row, wanted) is None:
            one.authorisation_id = row.id
            count += 1
    db.session.flush()
    db.session.refresh(row)
    return count


def _unfunded(row: Authorisation) -> Sequence[TreatmentSession]:
    rows = db.session.execute(
        select(TreatmentSession, Course.protocol)
        .join(Course, Course.id == TreatmentSession.course_id)
        .where(
            TreatmentSession.patient_id == row.patient_id,
            TreatmentSession.state.in_(queries.FREEABLE),
            TreatmentSession.starts_at > clock.now(),
            TreatmentSession.authorisation_id.is_(None),
            TreatmentSession.self_pay_id.is_(None),
        )
        .order_by(TreatmentSession.starts_at)
    ).all()
    return [
        one
        for one, protocol in rows
        if wishes.protocol_of(protocol).modality == row.pathway
        and (row.protocol is None or ledger.base(row.protocol) == ledger.base(protocol))
    ]


def change_authorisation(
    authorisation_id: int,
    *,
    sessions_approved: int | None = None,
    valid_from: date | None = None,
    valid_until: date | None = None,
    by: Actor,
) -> None:
    """The payer approved more, or other dates. It is never narrowed past what is booked under it.

    Raises NotFound, AlreadyOver, Invalid, Conflict.
    """
    try:
        with transaction():
            row = _lock(authorisation_id)
            if row.ended_at is not None:
                raise AlreadyOver("this authorisation was taken back")
            if sessions_approved is not None:
                if not 1 <= sessions_approved <= MOST_SESSIONS:
                    raise Invalid(f"1 to {MOST_SESSIONS} sessions are approved", fields=["sessions_approved"])
                row.sessions_approved = sessions_approved
            row.valid_from, row.valid_until = valid_from or row.valid_from, valid_until or row.valid_until
            if row.valid_until < row.valid_from:
                raise Invalid("it ends on the day it begins, or later", fields=["valid_until"])
            audit.record(row, "changed", by=by, approved=row.sessions_approved)
            db.session.flush()
            _attach(row)
    except IntegrityError as error:
        name = broken_constraint(error)
        if name == "authorisations_not_exceeded_check":
            raise Conflict("More sessions than that are booked under it: move or cancel some first.") from None
        if name == "authorisations_cover":
            raise Conflict("Sessions are booked under it on other days: move or cancel them first.") from None
        raise


def end_authorisation(authorisation_id: int, *, reason: str, by: Actor) -> int:
    """The payer took it back, or it was entered wrongly. Sessions ahead stay booked, nobody pays for them now.

    Answers how many that are. Raises NotFound, AlreadyOver, Invalid.
    """
    if not reason.strip():
        raise Invalid("Say why.", fields=["reason"])
    with transaction():
        row = _lock(authorisation_id)
        if row.ended_at is not None:
            raise AlreadyOver("this authorisation was taken back before")
        ahead = db.session.scalars(
            select(TreatmentSession).where(
                TreatmentSession.authorisation_id == row.id, TreatmentSession.state.in_(queries.FREEABLE)
            )
        ).all()
        for one in ahead:
            one.authorisation_id = None
        db.session.flush()
        db.session.refresh(row)
        row.ended_at = clock.now()
        audit.record(row, "ended", by=by, reason=reason.strip(), freed=len(ahead))
        return len(ahead)


def agree_self_pay(patient_id: int, *, pathway: str, what: str, agreed_on: date, by: Actor) -> int:
    """The patient agreed to pay for sessions; answers the id to book them with. Raises NotFound, Invalid."""
    if pathway not in PATHWAYS:
        raise Invalid(f"pathway is {', '.join(PATHWAYS)}", fields=["pathway"])
    if not what.strip():
        raise Invalid("Say what was agreed: how many sessions, at what price.", fields=["what"])
    if agreed_on > clock.now().date() or agreed_on.year < 2000:
        raise Invalid("that day has not come yet", fields=["agreed_on"])
    with transaction():
        patients.get(patient_id)
        row = SelfPayAgreement(
            patient_id=patient_id, pathway=pathway, what=what.strip(), agreed_on=agreed_on, created_at=clock.now()
        )
        db.session.add(row)
        audit.record(row, "created", by=by)
        return row.id


def end_self_pay(self_pay_id: int, *, by: Actor) -> None:
    """Nothing more is booked under it; what is booked stays. Raises NotFound, AlreadyOver."""
    with transaction():
        row = db.session.get(SelfPayAgreement, self_pay_id, with_for_update=True)
        if row is None:
            raise NotFound("no such agreement")
        if row.ended_at is not None:
            raise AlreadyOver("this agreement was ended before")
        row.ended_at = clock.now()
        audit.record(row, "ended", by=by)


def _lock(authorisation_id: int) -> Authorisation:
    queries.lock_patient(ledger.get(authorisation_id).patient_id)
    return db.session.get_one(Authorisation, authorisation_id, populate_existing=True)
