"""What booking a plan has to know of a person, read in one statement once the person is locked.

Most of what can stand in the way is not there for most people: a hold, another appointment, a payer's limit, a task that
waits. So it is asked whether there is any, and what there is is read by those who judge it.
"""

from datetime import datetime
from functools import cache
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, Select, Uuid, and_, bindparam, exists, false, func, or_, select
from sqlalchemy.dialects.postgresql import psycopg

from clinic import clock
from clinic.db import together
from clinic.eligibility.models import Decision, DecisionKind
from clinic.errors import NotFound
from clinic.patients.sites import sees_everyone
from clinic.scheduling import clearance, queries
from clinic.scheduling.models import HOLDS_PLACE, Authorisation, CourseProposal, Hold, HoldPurpose, TreatmentSession
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


def lock_for_plan(patient_id: int, proposal_id: UUID) -> Known:
    """Lock the patient, then look; in one round trip. Raises NotFound where there is no such patient, or plan of theirs."""
    sql, constants = _compiled()
    look = sql, {**constants, "patient": patient_id, "proposal": proposal_id, "now": clock.now()}
    if sees_everyone():
        locked, found = together((queries.LOCK_PATIENT, {"id": patient_id}), look)
        if not locked:
            raise NotFound("no such patient")
    else:
        queries.lock_patient(patient_id)
        (found,) = together(look)
    if not found:
        raise NotFound("no such proposal")
    return Known(*found[0])


@cache
def _compiled() -> tuple[str, dict[str, Any]]:
    made = _statement().compile(dialect=psycopg.dialect(), compile_kwargs={"render_postcompile": True})
    return str(made), {name: str(value) for name, value in made.params.items() if value is not None}


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
