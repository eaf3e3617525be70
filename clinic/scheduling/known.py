"""What booking a plan has to know of a person, read in one statement once the person is locked.

Most of what can stand in the way is not there for most people: a hold, another appointment, a payer's limit, a task that
waits. So it is asked whether there is any, and what there is is read by those who judge it.
"""

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, Select, Uuid, and_, bindparam, exists, false, func, or_, select, text

from clinic import clock
from clinic.db import Asked, together
from clinic.eligibility.models import Decision, DecisionKind
from clinic.errors import NotFound
from clinic.patients.sites import sees_everyone
from clinic.scheduling import clearance, queries
from clinic.scheduling.models import HOLDS_PLACE, Authorisation, CourseProposal, Hold, HoldPurpose, TreatmentSession
from clinic.scheduling.queries import LockedRow
from clinic.tasks.models import Task, TaskKind


class Known(NamedTuple):
    """A plan, and of what kinds there is something about its person.

    course_id, session_ids: those that a new course and its sessions are to have. approvals: the present approving decision by pathway.
    """

    plan: dict[str, Any]
    protocol: str
    expires_at: datetime
    booked_as: int | None  # the course that the plan became
    course_id: int
    session_ids: list[int]
    approvals: dict[str, int]
    is_held: bool  # a plan of this person holds places, this one or another
    has_appointments: bool
    has_authorisations: bool
    has_task: bool
    needs_clearance: bool
    places: Sequence[LockedRow] = ()  # of the plan, locked where it is about to be booked as it is


# The places of a plan that is about to be booked: the other ways to book lock their own, in their own order.
PLACES_OF_PLAN = f"""
    WITH place AS (
        SELECT (said ->> 'device_id')::integer AS device_id, (said ->> 'location_id')::integer AS location_id
        FROM course_proposals AS p, jsonb_array_elements(p.plan -> 'sessions') AS said
        WHERE p.id = :proposal AND p.patient_id = :patient AND p.course_id IS NULL AND p.expires_at > :now
            AND NOT EXISTS (
                SELECT FROM holds WHERE patient_id = :patient AND purpose = '{HoldPurpose.PROPOSAL}' AND ended_at IS NULL)
    ), {queries.locked_places("SELECT device_id FROM place", "SELECT location_id FROM place")}
"""  # noqa: S608 - the parts are constants of ours


def lock_for_plan(patient_id: int, proposal_id: UUID) -> Known:
    """Lock the patient, look, and lock the places; in one round trip. Raises NotFound: no such patient, or plan of theirs."""
    look, lock = _statements()
    values = {"patient": patient_id, "proposal": proposal_id, "now": clock.now()}
    if sees_everyone():
        locked, found, places = together((queries.LOCK_PATIENT, {"id": patient_id}), look(values), lock(values))
        if not locked:
            raise NotFound("no such patient")
    else:
        queries.lock_patient(patient_id)
        found, places = together(look(values), lock(values))
    if not found:
        raise NotFound("no such proposal")
    return Known(*found[0])._replace(places=[LockedRow(*row) for row in places])


@cache
def _statements() -> tuple[Asked, Asked]:
    return Asked(_statement()), Asked(text(PLACES_OF_PLAN).bindparams(bindparam("now", type_=DateTime(timezone=True))))


def _statement() -> Select[Any]:
    """Tables and no models: the lock on the patient has settled who may see them."""
    patient, now = bindparam("patient", None, BigInteger), bindparam("now", None, DateTime(timezone=True))
    plan, decision, hold, session, payer, task = (
        model.__table__.c for model in (CourseProposal, Decision, Hold, TreatmentSession, Authorisation, Task)
    )
    approvals = (
        select(func.coalesce(func.jsonb_object_agg(decision.pathway, decision.id), func.jsonb_build_object()))
        .where(
            decision.patient_id == patient,
            decision.superseded_at.is_(None),
            decision.decision == DecisionKind.APPROVE,
        )
        .scalar_subquery()
    )
    held = exists().where(hold.patient_id == patient, hold.purpose == HoldPurpose.PROPOSAL, hold.ended_at.is_(None))
    appointments = exists().where(session.patient_id == patient, session.state.in_(HOLDS_PLACE), session.ends_at > now)
    authorisations = exists().where(payer.patient_id == patient, payer.ended_at.is_(None))
    tasks = exists().where(task.kind == TaskKind.BOOK_COURSE, task.closed_at.is_(None), task.patient_id == patient)
    new_ids = func.array(
        select(func.nextval("treatment_sessions_id_seq"))
        .select_from(func.jsonb_array_elements(plan.plan["sessions"]).table_valued("session"))
        .scalar_subquery()
    )
    return select(
        plan.plan,
        plan.protocol,
        plan.expires_at,
        plan.course_id,
        func.nextval("courses_id_seq").label("new"),
        new_ids.label("sessions"),
        approvals.label("approvals"),
        held.label("held"),
        appointments.label("appointments"),
        authorisations.label("authorisations"),
        tasks.label("tasks"),
        or_(false(), *(check.sign(patient) for check in clearance.BOOKING)).label("clearance"),
    ).where(and_(plan.id == bindparam("proposal", None, Uuid), plan.patient_id == patient))
