"""Which authorisation pays for which session, what is left of it, and when to ask for more. Reads only."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, NamedTuple

from sqlalchemy import and_, func, select

from clinic import clock
from clinic.db import db
from clinic.errors import Invalid, NotAuthorised, NotFound
from clinic.locations import queries as locations
from clinic.protocols.base import Protocol
from clinic.protocols.shapes import bookable
from clinic.scheduling.models import (
    HOLDS_PLACE,
    Authorisation,
    Course,
    CourseState,
    SelfPayAgreement,
    SessionState,
    TreatmentSession,
)

LEAD = timedelta(days=14)  # a payer takes so long to answer: ask for more at the latest so long before it runs out


class Wanted(NamedTuple):
    """A session that wants somebody to pay for it."""

    number: int
    location_id: int
    device_id: int | None
    local_on: date


class Funds(NamedTuple):
    """Who pays for a session: a payer, the patient, or nobody was asked."""

    authorisation_id: int | None = None
    self_pay_id: int | None = None


OPEN = Funds()


def base(protocol: str) -> str:
    """The protocol without the shape that counts it out: what a payer approves."""
    return protocol.split(".", 1)[0]


def of_patient(patient_id: int) -> Sequence[Authorisation]:
    """What payers approved for a person, what runs out first in front; those taken back left out."""
    statement = select(Authorisation).where(Authorisation.patient_id == patient_id, Authorisation.ended_at.is_(None))
    ordered = statement.order_by(Authorisation.valid_until, Authorisation.id)
    return db.session.scalars(ordered.execution_options(populate_existing=True)).all()  # the database counts


def fitting(patient_id: int, protocol: Protocol) -> list[Authorisation]:
    """Those that are about this treatment."""
    return [
        row
        for row in of_patient(patient_id)
        if row.pathway == protocol.modality and (row.protocol is None or base(row.protocol) == base(protocol.key))
    ]


def why_not(row: Authorisation, wanted: Wanted) -> str | None:
    """Why an authorisation does not cover a session, its count apart; None where it does."""
    if not row.valid_from <= wanted.local_on <= row.valid_until:
        return f"{wanted.local_on.isoformat()} is outside {row.valid_from.isoformat()} to {row.valid_until.isoformat()}"
    if row.location_id is not None and row.location_id != wanted.location_id:
        return "it is for another site"
    if row.device_id is not None and row.device_id != wanted.device_id:
        return "it is for another device"
    return None


def cover(
    patient_id: int,
    protocol: Protocol,
    wanted: Sequence[Wanted],
    *,
    self_pay_id: int | None = None,
    freed: Mapping[int, int] | None = None,
) -> list[Funds]:
    """Who pays for each session. Where nothing was approved for the treatment, nobody was asked: all stay open.

    Otherwise a payer's sessions stay within count, dates, site and device, and what is left over is the patient's, if
    they agreed. freed: sessions by authorisation that the same operation gives back. Raises NotAuthorised, Invalid.
    """
    if self_pay_id is not None:
        agreed(patient_id, protocol, self_pay_id)
    rows = fitting(patient_id, protocol)
    if not rows:
        return [Funds(None, self_pay_id)] * len(wanted)
    left = {row.id: row.sessions_approved - row.sessions_taken + (freed or {}).get(row.id, 0) for row in rows}
    found: list[Funds] = []
    outside: list[dict[str, Any]] = []
    for one in sorted(wanted, key=lambda x: (x.local_on, x.number)):
        payer = next((row for row in rows if left[row.id] > 0 and why_not(row, one) is None), None)
        if payer is not None:
            left[payer.id] -= 1
            found.append(Funds(payer.id))
        else:
            found.append(Funds(None, self_pay_id))
            outside.append({"number": one.number, "date": one.local_on.isoformat(), "why": _reason(rows, left, one)})
    if outside and self_pay_id is None:
        count = len(outside)
        text = f"{count} session{'s' if count > 1 else ''} of {len(wanted)} would lie outside what the payer approved."
        raise NotAuthorised(text, sessions=outside, authorisations=[summary(row) for row in rows])
    order = {id(one): n for n, one in enumerate(sorted(wanted, key=lambda x: (x.local_on, x.number)))}
    return [found[order[id(one)]] for one in wanted]


def _reason(rows: Sequence[Authorisation], left: Mapping[int, int], wanted: Wanted) -> str:
    reasons = [why_not(row, wanted) or "no session is left" for row in rows]
    return "; ".join(dict.fromkeys(reasons))


def agreed(patient_id: int, protocol: Protocol, self_pay_id: int) -> SelfPayAgreement:
    """The patient's own agreement to pay for this treatment. Raises Invalid."""
    row = db.session.get(SelfPayAgreement, self_pay_id)
    if row is None or row.patient_id != patient_id or row.ended_at is not None or row.pathway != protocol.modality:
        raise Invalid("the patient did not agree to pay for this treatment", fields=["self_pay"])
    return row


def self_pays(patient_id: int) -> Sequence[SelfPayAgreement]:
    """What a person agreed to pay themselves, newest first."""
    statement = select(SelfPayAgreement).where(
        SelfPayAgreement.patient_id == patient_id, SelfPayAgreement.ended_at.is_(None)
    )
    return db.session.scalars(statement.order_by(SelfPayAgreement.id.desc())).all()


def get(authorisation_id: int) -> Authorisation:
    """The authorisation. Raises NotFound."""
    row = db.session.get(Authorisation, authorisation_id)
    if row is None:
        raise NotFound("no such authorisation")
    return row


def summary(row: Authorisation) -> dict[str, Any]:
    """An authorisation as it is sent with a refusal: no number, which identifies the person at the payer."""
    return {
        "id": row.id,
        "payer": row.payer,
        "approved": row.sessions_approved,
        "left": row.sessions_approved - row.sessions_taken,
        "valid_from": row.valid_from.isoformat(),
        "valid_until": row.valid_until.isoformat(),
    }


# -- what is left, and when to ask for more -------------------------------------------------------------------------


@dataclass(frozen=True)
class Account:
    """One authorisation as the course shows it. `used` sessions were given, `booked` ones hold a place ahead."""

    id: int
    payer: str
    approved: int
    used: int
    booked: int
    valid_from: date
    valid_until: date

    @property
    def left(self) -> int:
        """Sessions that can still be booked under it."""
        return self.approved - self.used - self.booked


@dataclass(frozen=True)
class CourseFunds:
    """Who pays for a course.

    runs_out_on: the last day that what was approved reaches: the last session under it where none is left, else the
    last valid day. ask_by: when to ask the payer for more; None where all that is planned is paid for.
    """

    accounts: tuple[Account, ...]
    self_paid: int
    unfunded: int  # sessions ahead that nobody was asked for, though the payer approved others
    owed: int  # sessions of the course without a place
    runs_out_on: date | None
    ask_by: date | None

    @property
    def left(self) -> int:
        """Sessions that can still be booked at the payer's cost."""
        return sum(account.left for account in self.accounts)


def of_course(course_id: int) -> CourseFunds:
    """What is left for a course, when it runs out, and when to ask for more. Raises NotFound."""
    course = db.session.get(Course, course_id)
    if course is None:
        raise NotFound("no such course")
    today = clock.today(locations.get(course.location_id).tz)
    given = TreatmentSession.state == SessionState.COMPLETED
    held = TreatmentSession.state.in_(HOLDS_PLACE)
    rows = db.session.execute(
        select(
            TreatmentSession.authorisation_id,
            TreatmentSession.self_pay_id.is_not(None).label("self"),
            func.count().label("held"),
            func.max(TreatmentSession.local_on).label("last"),
        )
        .where(TreatmentSession.course_id == course_id, held)
        .group_by(TreatmentSession.authorisation_id, TreatmentSession.self_pay_id.is_not(None))
    ).all()
    ids = {row.authorisation_id for row in rows if row.authorisation_id is not None}
    pathway = _pathway(course)
    approved = [
        x for x in of_patient(course.patient_id) if x.id in ids or (x.pathway == pathway and _is_for(x, course))
    ]
    used = _used([x.id for x in approved], given)
    accounts = tuple(
        Account(
            x.id,
            x.payer,
            x.sessions_approved,
            used.get(x.id, 0),
            x.sessions_taken - used.get(x.id, 0),
            x.valid_from,
            x.valid_until,
        )
        for x in approved
    )
    total = sum(row.held for row in rows)
    unfunded = sum(row.held for row in rows if row.authorisation_id is None and not row.self)
    unfunded = unfunded if approved else 0
    owed = max(0, course.planned_sessions - total)
    runs_out = _runs_out(accounts, [row.last for row in rows if row.authorisation_id is not None])
    short = unfunded > 0 or owed > sum(account.left for account in accounts)
    is_open = course.state in (CourseState.BOOKED, CourseState.RUNNING, CourseState.PAUSED)
    ask_by = max(today, runs_out - LEAD) if runs_out is not None and short and is_open else None
    return CourseFunds(accounts, sum(row.held for row in rows if row.self), unfunded, owed, runs_out, ask_by)


def _pathway(course: Course) -> str | None:
    found = bookable().get(course.protocol)
    return found.modality if found is not None else None


def _is_for(row: Authorisation, course: Course) -> bool:
    return row.protocol is None or base(row.protocol) == base(course.protocol)


def _used(ids: Collection[int], given: Any) -> dict[int, int]:
    if not ids:
        return {}
    rows = db.session.execute(
        select(TreatmentSession.authorisation_id, func.count().label("given"))
        .where(TreatmentSession.authorisation_id.in_(ids), given)
        .group_by(TreatmentSession.authorisation_id)
    )
    return {row.authorisation_id: row.given for row in rows}


def _runs_out(accounts: Iterable[Account], last_days: Collection[date]) -> date | None:
    known = list(accounts)
    if not known:
        return None
    if any(account.left for account in known):
        return max(account.valid_until for account in known if account.left)
    return max(last_days, default=max(account.valid_until for account in known))


def running_out(location_ids: Collection[int], *, within: timedelta = timedelta(days=7)) -> list[tuple[int, date]]:
    """Open courses at these sites whose payer has to be asked within that time: course and day, soonest first."""
    until = clock.now().date() + within
    courses = db.session.scalars(
        select(Course.id)
        .join(
            Authorisation,
            and_(Authorisation.patient_id == Course.patient_id, Authorisation.ended_at.is_(None)),
        )
        .where(
            Course.location_id.in_(location_ids),
            Course.state.in_((CourseState.BOOKED, CourseState.RUNNING, CourseState.PAUSED)),
        )
        .distinct()
    ).all()
    found = [(x, funds.ask_by) for x in courses if (funds := of_course(x)).ask_by is not None]
    return sorted(((x, on) for x, on in found if on is not None and on <= until), key=lambda pair: (pair[1], pair[0]))
