"""Second opinions: one prescriber asks, another answers. They inform a decision and never stand in its way."""

from dataclasses import dataclass

from sqlalchemy import select

from clinic import audit, clock
from clinic.audit import Actor
from clinic.db import db, transaction
from clinic.eligibility import queries
from clinic.eligibility.models import Opinion, OpinionKind, Pathway
from clinic.errors import Conflict, Invalid, NotFound, Refused
from clinic.locations.queries import closing_on_open_day
from clinic.patients import queries as patients
from clinic.staff.models import Role
from clinic.tasks import operations as tasks
from clinic.tasks.models import TaskKind, TaskLevel

ANSWER_WITHIN = 2  # open days of the clinic
MAX_WORDS = 4000


@dataclass(frozen=True, kw_only=True)
class AskOpinion:
    """A question about one treatment to another prescriber; `asked_of` None: to any of them."""

    assessment_id: int
    pathway: str
    question: str
    asked_of: int | None = None


def ask(command: AskOpinion, *, staff_id: int, by: Actor) -> int:
    """Ask for a second opinion on the present assessment. Sent twice, it is one question.

    Raises NotFound, Invalid, Conflict where one on this treatment waits already or a newer assessment is there.
    """
    words = command.question.strip()
    if command.pathway not in {str(each) for each in Pathway}:
        raise Invalid("Choose a treatment.", fields=["pathway"])
    if not words or len(words) > MAX_WORDS:
        raise Invalid(f"Write the question, at most {MAX_WORDS} characters.", fields=["question"])
    if command.asked_of == staff_id:
        raise Invalid("A second opinion comes from somebody else.", fields=["asked_of"])
    if command.asked_of is not None and command.asked_of not in queries.prescribers():
        raise Invalid("Choose a prescriber of this clinic, or any of them.", fields=["asked_of"])
    with transaction():
        assessment = queries.assessment(command.assessment_id)
        patient = patients.lock(assessment.patient_id)
        db.session.refresh(assessment, ["superseded_at"])
        if assessment.superseded_at is not None:
            raise Conflict("A newer assessment is there: read it, then ask.")
        waiting = _waiting(patient.id, command.pathway)
        if waiting is not None:
            if (waiting.asked_by, waiting.question, waiting.asked_of) == (staff_id, words, command.asked_of):
                return waiting.id
            raise Conflict("A second opinion on this treatment was asked for already. It waits.")
        row = Opinion(
            patient_id=patient.id,
            assessment_id=assessment.id,
            pathway=command.pathway,
            question=words,
            asked_by=staff_id,
            asked_of=command.asked_of,
            asked_at=clock.now(),
        )
        db.session.add(row)
        audit.record(row, "asked", by=by, pathway=command.pathway, asked_of=command.asked_of)
        tasks.open_within_transaction(
            kind=TaskKind.SECOND_OPINION,
            level=TaskLevel.ROUTINE,
            dedupe_key=_task_key(row.id),
            for_role=Role.PRESCRIBER,
            due_at=closing_on_open_day(patient.preferred_location_id, patient.tz, ANSWER_WITHIN),
            by=by,
            patient_id=patient.id,
            location_id=patient.preferred_location_id,
            subject={"opinion_id": row.id, "asked_of": command.asked_of},
            note=words,
        )
        return row.id


def give(opinion_id: int, *, opinion: str, reason: str, staff_id: int, by: Actor) -> int:
    """Answer a second opinion; answers the id of the assessment. Raises NotFound, Invalid, Refused, Conflict."""
    words = reason.strip()
    if opinion not in {str(each) for each in OpinionKind}:
        raise Invalid("Choose agree, disagree, or need more.", fields=["opinion"])
    if not words or len(words) > MAX_WORDS:
        raise Invalid(f"Give your reason, at most {MAX_WORDS} characters.", fields=["reason"])
    with transaction():
        row = db.session.scalar(select(Opinion).where(Opinion.id == opinion_id).with_for_update())
        if row is None:
            raise NotFound("no such second opinion")
        if row.asked_by == staff_id:
            raise Refused("You asked for this opinion. It comes from somebody else.")
        if row.given_at is not None:
            if (row.given_by, row.opinion, row.reason) == (staff_id, opinion, words):
                return row.assessment_id
            raise Conflict("This second opinion was given already.")
        row.opinion, row.reason, row.given_by, row.given_at = opinion, words, staff_id, clock.now()
        audit.record(row, "gave", by=by, opinion=opinion)
        tasks.close_keyed_within_transaction([_task_key(row.id)], outcome=f"opinion: {opinion}", by=by)
        return row.assessment_id


def get(opinion_id: int) -> Opinion:
    """One opinion, given or waiting. Raises NotFound."""
    found = db.session.get(Opinion, opinion_id)
    if found is None:
        raise NotFound("no such second opinion")
    return found


def _waiting(patient_id: int, pathway: str) -> Opinion | None:
    return db.session.scalar(
        select(Opinion).where(Opinion.patient_id == patient_id, Opinion.pathway == pathway, Opinion.given_at.is_(None))
    )


def _task_key(opinion_id: int) -> str:
    return f"second_opinion:{opinion_id}"
