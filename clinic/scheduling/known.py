"""What booking a plan has to know of a person, read in one statement once the person is locked.

Most of what can stand in the way is not there for most people: a hold, another appointment, a payer's limit, a task that
waits. So it is asked whether there is any, and what there is is read by those who judge it.
"""

from datetime import datetime
from functools import cache
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, Select, Uuid, and_, bindparam, exists, false, func, or_, select

from clinic import clock
from clinic.db import db
from clinic.eligibility.models import Decision, DecisionKind
from clinic.errors import NotFound
from clinic.scheduling import clearance
from clinic.scheduling.models import HOLDS_PLACE, Authorisation, CourseProposal, Hold, HoldPurpose, TreatmentSession
from clinic.tasks.models import Task, TaskKind


class Known(NamedTuple):
    """A plan, and of what kinds there is something about its person.

    course_id: the id that a new course is to have. approvals: the present approving decision by pathway.
    """

    plan: dict[str, Any]
    protocol: str
    expires_at: datetime
    booked_as: int | None  # the course that the plan became
    course_id: int
    approvals: dict[str, int]
    is_held: bool  # a plan of this person holds places, this one or another
    has_appointments: bool
    has_authorisations: bool
    has_task: bool
    needs_clearance: bool


def of_plan(patient_id: int, proposal_id: UUID) -> Known:
    """The patient is locked, and within reach. Raises NotFound where they have no such plan."""
    row = db.session.execute(
        _statement(), {"patient": patient_id, "proposal": proposal_id, "now": clock.now()}
    ).one_or_none()
    if row is None:
        raise NotFound("no such proposal")
    return Known(*row)


@cache
def _statement() -> Select[Any]:
    """Tables and no models: the lock on the patient has settled who may see them."""
    patient, now = bindparam("patient", type_=BigInteger), bindparam("now", type_=DateTime(timezone=True))
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
    return select(
        plan.plan,
        plan.protocol,
        plan.expires_at,
        plan.course_id,
        func.nextval("courses_id_seq").label("new"),
        approvals.label("approvals"),
        held.label("held"),
        appointments.label("appointments"),
        authorisations.label("authorisations"),
        tasks.label("tasks"),
        or_(false(), *(check.sign(patient) for check in clearance.BOOKING)).label("clearance"),
    ).where(and_(plan.id == bindparam("proposal", type_=Uuid), plan.patient_id == patient))
