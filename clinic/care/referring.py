"""Referrals to the clinic and from it: what may be sent is the person's to say, and none is left lying."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from clinic import audit, clock
from clinic.audit import Actor, system
from clinic.care import options, queries
from clinic.care.models import Referral, ReferralDirection, ReferralState
from clinic.db import db, transaction
from clinic.errors import Conflict, Invalid
from clinic.locations.queries import closing_on_open_day
from clinic.patients import queries as patients
from clinic.staff.models import Role
from clinic.tasks import operations as tasks
from clinic.tasks.models import TaskKind, TaskLevel

CARE, SPECIALIST = "care", "specialist"
ABOUT_OUT = (*options.REFERRABLE, SPECIALIST)
NEXT = {
    ReferralState.DRAFT: (ReferralState.SENT,),
    ReferralState.SENT: (ReferralState.RECEIVED, ReferralState.BOOKED),
    ReferralState.RECEIVED: (ReferralState.BOOKED,),
    ReferralState.BOOKED: (),
}
# Days in a state after which somebody looks after it.
PATIENCE = {ReferralState.DRAFT: 3, ReferralState.SENT: 7, ReferralState.RECEIVED: 14, ReferralState.BOOKED: 60}
MAX_NAME, MAX_TEXT = 200, 1000
BY = system("referrals")


@dataclass(frozen=True, kw_only=True)
class NewReferral:
    """A referral as entered."""

    direction: str
    about: str
    name: str
    organization: str = ""
    contact: str = ""
    reason: str = ""
    may_share: bool = False
    referred_on: date | None = None


def add(patient_id: int, new: NewReferral, *, staff_id: int, by: Actor) -> int:
    """Write a referral down; answers its id. One to us has been received, one from us is a draft. Raises Invalid."""
    _check(new)
    with transaction():
        patients.lock(patient_id)
        now = clock.now()
        row = Referral(
            patient_id=patient_id,
            direction=new.direction,
            state=ReferralState.RECEIVED if new.direction == ReferralDirection.IN else ReferralState.DRAFT,
            about=new.about,
            name=" ".join(new.name.split()),
            organization=new.organization.strip() or None,
            contact=new.contact.strip() or None,
            reason=new.reason.strip() or None,
            may_share=new.may_share,
            referred_on=new.referred_on,
            added_by=staff_id,
            added_at=now,
            state_since=now,
        )
        db.session.add(row)
        audit.record(row, "added", by=by, direction=row.direction, about=row.about, may_share=row.may_share)
        return row.id


def _check(new: NewReferral) -> None:
    if new.direction not in {str(known) for known in ReferralDirection}:
        raise Invalid("Choose who refers to whom.", fields=["direction"])
    known = (CARE,) if new.direction == ReferralDirection.IN else ABOUT_OUT
    if new.about not in known:
        raise Invalid("Choose what it is for.", fields=["about"])
    if not new.name.strip():
        raise Invalid("Name the doctor or the place.", fields=["name"])
    for name, limit in (("name", MAX_NAME), ("organization", MAX_NAME), ("contact", MAX_NAME), ("reason", MAX_TEXT)):
        if len(getattr(new, name)) > limit:
            raise Invalid(f"At most {limit} characters.", fields=[name])


def set_consent(referral_id: int, *, may_share: bool, by: Actor) -> None:
    """Write down whether the person agrees that this one hears from us."""
    with transaction():
        row = queries.lock_referral(referral_id)
        if row.may_share != may_share:
            row.may_share = may_share
            audit.record(row, "consented" if may_share else "withdrew", by=by)


def move(referral_id: int, state: str, *, seen: str, by: Actor) -> None:
    """Take a referral one step on. `seen`: the state on the page that was pressed. Raises Invalid, Conflict."""
    with transaction():
        row = queries.lock_referral(referral_id)
        _must_be(row, seen)
        if state not in NEXT.get(ReferralState(row.state), ()):
            raise Conflict("This referral cannot go there from where it stands.")
        if state == ReferralState.SENT and not row.may_share:
            raise Invalid("The person has not agreed that we send anything. Ask first.", fields=["may_share"])
        _enter(row, ReferralState(state), by=by)


def close(referral_id: int, *, outcome: str, seen: str, by: Actor) -> None:
    """End a referral with what came of it. Raises Invalid, Conflict."""
    words = outcome.strip()
    if not words:
        raise Invalid("Say what came of it.", fields=["outcome"])
    if len(words) > MAX_TEXT:
        raise Invalid(f"At most {MAX_TEXT} characters.", fields=["outcome"])
    with transaction():
        row = queries.lock_referral(referral_id)
        _must_be(row, seen)
        if row.state == ReferralState.CLOSED:
            raise Conflict("This referral is closed.")
        _enter(row, ReferralState.CLOSED, outcome=words, by=by)


def _must_be(row: Referral, seen: str) -> None:
    if row.state != seen:
        raise Conflict("Someone else took this referral on meanwhile. Look again.")


def _enter(row: Referral, state: ReferralState, *, by: Actor, outcome: str | None = None) -> None:
    tasks.close_keyed_within_transaction([task_key(row)], outcome=outcome or f"moved on: {state}", by=by)
    row.state, row.state_since = state, clock.now()
    if state == ReferralState.CLOSED:
        row.outcome, row.closed_at = outcome, row.state_since
    audit.record(row, str(state), by=by)


def task_key(row: Any) -> str:
    """The task that opens when a referral sits too long in a state."""
    return f"referral:{row.id}:{row.state}:{row.state_since.isoformat()}"


def open_due_tasks() -> list[int]:
    """Open a task for every referral that sits too long; answers them. Two at once open one."""
    now = clock.now()
    late = {
        task_key(row): row.id
        for row in queries.open_referrals()
        if now - row.state_since >= timedelta(days=PATIENCE[ReferralState(row.state)])
    }
    there = queries.keys_with_task(list(late))
    return [referral_id for key, referral_id in late.items() if key not in there and _open_task(referral_id)]


def _open_task(referral_id: int) -> bool:
    with transaction():
        row = queries.lock_referral(referral_id)
        if row.state == ReferralState.CLOSED:
            return False
        patient = patients.get(row.patient_id)
        task_id = tasks.open_within_transaction(
            kind=TaskKind.REFERRAL,
            level=TaskLevel.ROUTINE,
            dedupe_key=task_key(row),
            for_role=Role.FRONT_DESK,
            due_at=closing_on_open_day(patient.preferred_location_id, patient.tz, 1),
            by=BY,
            patient_id=row.patient_id,
            location_id=patient.preferred_location_id,
            subject={"referral_id": row.id, "state": row.state},
        )
        return task_id is not None
